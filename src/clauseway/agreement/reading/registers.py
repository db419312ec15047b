"""Read registers of facts: Markdown with `yaml facts` blocks, or a YAML list of the same entries.

Entries of kind `product` and `party` add names to the catalog. Facts of the same recorded instant
became known in the order in which they stand. A fact may have an `id`. `corrects` names the fact
that it corrects: by id, or by its content (`launch:chat-2:azure:preview=2026-04-28`).
"""

from collections.abc import Iterator, Mapping
from datetime import date

import msgspec

from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.facts import (
    FACT_KINDS,
    Fact,
    FactRegister,
    Retraction,
    ends_too_early,
    kept_in_vain,
    names_in,
)
from clauseway.agreement.reading.blocks import Cited, Named, build, read_block
from clauseway.agreement.reading.front import RegisterFront, read_front
from clauseway.agreement.reading.knowledge import known_since
from clauseway.agreement.text.entries import YamlValue
from clauseway.agreement.text.markdown import readable, take_apart
from clauseway.agreement.text.mistakes import KnownNames, Mistakes
from clauseway.agreement.text.yaml_text import read_yaml
from clauseway.catalog import Catalog, Product
from clauseway.values import Citation, KnownAt


class AboutFact(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every fact beside those of its kind. `recorded`: a day or instant (UTC)."""

    kind: str
    source: Cited
    says: str
    recorded: str = ""
    id: str = ""
    corrects: str = ""


class AddedProduct(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A product that a register adds to the catalog."""

    kind: str
    product: Named
    class_: str = msgspec.field(name="class")
    first_shipped_by: date | None = None


class AddedParty(msgspec.Struct, frozen=True, kw_only=True):
    """A party that a register adds to the catalog."""

    kind: str
    party: Named


_ADDITIONS = ("product", "party")
_ABOUT = frozenset({"kind", "source", "says", "recorded", "id", "corrects"})
# The fields that make up a fact's name, in their order.
NAMED = ("event", "party", "product", "class", "cloud", "stage", "subject")

# Why a retraction cannot be retracted, and the way out.
RETRACTED = "what a retraction hid is not said again by taking the retraction back"
RECORD_AGAIN = "Record the fact again, with the day on which it took effect."

_NO_SUBJECT = "no right of first refusal names it as its subject"
_NAME_SUBJECT = "Write subject: in the refusal-right that the offer is made under."


class Gathered(msgspec.Struct, frozen=True):
    """The readable facts of a register, and the catalog with the names that the register adds."""

    facts: tuple[Fact, ...]
    catalog: Catalog | None


def read_facts(
    name: str, text: str, catalog: Catalog, events: Mapping[str, Event]
) -> tuple[FactRegister, Catalog]:
    """Read a register; `name` is its file's. Raises InvalidInput with every problem."""
    mistakes = Mistakes(name)
    gathered = gather_facts(text, catalog, events, None, mistakes)
    if mistakes:
        raise mistakes.refusal()
    assert gathered.catalog is not None
    return FactRegister().with_facts(gathered.facts), gathered.catalog


def gather_facts(
    text: str,
    catalog: Catalog | None,
    events: Mapping[str, Event],
    sources: KnownNames,
    mistakes: Mistakes,
) -> Gathered:
    """Read a register and report its mistakes. `events` are those that the agreement defines.

    Without a catalog any name passes, without `sources` any source: the mistakes that make them
    unreadable are reported elsewhere.
    """
    entries = list(_entries(text, mistakes))
    # Additions come first: facts may name a product that stands further down.
    for entry in entries:
        if entry.text("kind") in _ADDITIONS:
            catalog = _with_addition(entry, catalog, mistakes)
    facts: list[tuple[Fact, YamlValue]] = []
    for entry in entries:
        if (
            entry.text("kind") not in _ADDITIONS
            and (fact := _fact(entry, len(facts), mistakes)) is not None
        ):
            _check_names(fact, entry, catalog, events, mistakes)
            _check_end(fact, entry, mistakes)
            _check_sources(entry, sources, mistakes)
            facts.append((fact, entry))
    # Only all facts together show a fact that corrects nothing, or two that contradict each other.
    _check_corrections(facts, mistakes)
    _check_agree(facts, mistakes)
    return Gathered(tuple(fact for fact, _ in facts), catalog)


def _entries(text: str, mistakes: Mistakes) -> Iterator[YamlValue]:
    if mistakes.where.endswith(".md"):
        document = take_apart(text, mistakes)
        if document.front.strip():
            read_front(document, RegisterFront, mistakes)
        for block in document.blocks:
            yield from _listed(read_block(block, ("facts",), mistakes), mistakes)
    else:
        yield from _listed(read_yaml(readable(text, mistakes), 1, mistakes), mistakes)


def _listed(entry: YamlValue | None, mistakes: Mistakes) -> Iterator[YamlValue]:
    items = () if entry is None else entry.value if isinstance(entry.value, list) else (entry,)
    for item in items:
        if item.is_mapping and item is not entry:
            yield item
        else:
            mistakes.add(
                item.line,
                "not a fact",
                "facts are a YAML list of mappings",
                "Begin each with '- kind:'.",
            )


def _with_addition(entry: YamlValue, catalog: Catalog | None, mistakes: Mistakes) -> Catalog | None:
    member = entry.members.get(entry.text("kind"), entry)
    mistakes.check_name(member.line, entry.text(entry.text("kind")))
    if entry.text("kind") == "party":
        party = build(AddedParty, entry, mistakes)
        if party is None or catalog is None:
            return catalog
        return msgspec.structs.replace(catalog, parties=catalog.parties | {party.party})
    added = build(AddedProduct, entry, mistakes)
    if added is None or catalog is None:
        return catalog
    mistakes.check_defined(entry.line, "class", added.class_, catalog.classes)
    product = Product(
        id=added.product, product_class=added.class_, first_shipped_by=added.first_shipped_by
    )
    return msgspec.structs.replace(catalog, products={**catalog.products, product.id: product})


def _fact(entry: YamlValue, sequence: int, mistakes: Mistakes) -> Fact | None:
    kind = FACT_KINDS.get(entry.text("kind"))
    if kind is None:
        kinds = {*FACT_KINDS, *_ADDITIONS}
        mistakes.check_one_of(entry.line, "kind of fact", entry.text("kind"), kinds)
        return None
    about = entry.only(_ABOUT)
    written = build(AboutFact, about, mistakes)
    citation = _citation(entry, written, mistakes.where) if written else None
    # Since when it is known follows from its day, so the record is built first and completed then.
    computed = {"citation": citation, "known": KnownAt.always(), "id": "", "corrects": ""}
    fact = build(kind, entry, mistakes, computed, beside=_ABOUT)
    if fact is None or written is None:
        return None
    known_at = known_since(written.recorded, fact.effective, entry.line, mistakes, sequence)
    return msgspec.structs.replace(fact, known=known_at, id=written.id, corrects=written.corrects)


def _citation(entry: YamlValue, written: AboutFact, document: str) -> Citation:
    return Citation(
        term=":".join([written.kind, *(entry.text(key) for key in NAMED if key in entry.members)]),
        amendment="facts",
        document=document,
        line=entry.line,
        source=", ".join(
            f"{source.id} ({source.passage})" if source.passage else source.id
            for source in written.source
        ),
        text=f"{written.says} ({entry.text('effective')})",
    )


def _check_names(
    fact: Fact,
    entry: YamlValue,
    catalog: Catalog | None,
    events: Mapping[str, Event],
    mistakes: Mistakes,
) -> None:
    for key, name, allowed in names_in(fact, catalog) if catalog is not None else ():
        check_named(entry.members[key].line, key, name, allowed, events, mistakes)
    for key, part in kept_in_vain(fact, catalog) if catalog is not None else ():
        mistakes.add(
            entry.members[key].line,
            f"the {entry.text('kind')} is kept to a {key}",
            *no_such_place(str(entry.text("product")), part),
        )


def no_such_place(product: str, part: str) -> tuple[str, str]:
    """Return why a product is granted without a place, and what to do."""
    return f"no act that may be asked of {product} takes {part}", "Leave it out."


def check_named(
    line: int,
    key: str,
    name: str,
    allowed: KnownNames,
    events: Mapping[str, Event],
    mistakes: Mistakes,
) -> None:
    """Check that the agreement defines a name in a fact, and that facts record what it names."""
    event = events.get(name) if key == "event" and name not in (allowed or ()) else None
    if event is not None and not event.recorded:
        rests_on = event.after or event.extended_by
        remedy = f"Record or suppose {rests_on}." if rests_on else "Leave it out."
        why = f"it comes about by itself, {event.how}"
        mistakes.add(line, f"the event {name!r} is not recorded", why, remedy)
    elif key == "subject":
        mistakes.check_one_of(line, key, name, allowed, why=_NO_SUBJECT, remedy=_NAME_SUBJECT)
    elif key == "stage":
        # The language knows the stages; no agreement defines one.
        mistakes.check_one_of(line, key, name, allowed)
    else:
        mistakes.check_defined(line, key, name, allowed)


def _check_end(fact: Fact, entry: YamlValue, mistakes: Mistakes) -> None:
    if key := ends_too_early(fact):
        why, remedy = f"it took effect on {fact.effective}", "Fix one of the two days."
        mistakes.add(entry.members[key].line, f"{key} lies before the fact itself", why, remedy)


def _check_sources(entry: YamlValue, sources: KnownNames, mistakes: Mistakes) -> None:
    for item in entry.members["source"].items:
        name = next(iter(item.members), "") or str(item.value)
        mistakes.check_defined(item.line, "source", name, sources)


def _check_agree(facts: list[tuple[Fact, YamlValue]], mistakes: Mistakes) -> None:
    """Check that no two facts contradict each other, unless one of them is corrected."""
    lines = {id(fact): entry.line for fact, entry in facts}
    for before, after in FactRegister(tuple(fact for fact, _ in facts)).contradictions():
        problem, why = (
            f"it contradicts {before.name}",
            f"line {lines[id(before)]} says otherwise of the same day",
        )
        remedy = f"If that was wrong, say so: corrects: {before.name}. Else fix one of the days."
        mistakes.add(lines[id(after)], problem, why, remedy)


def _check_corrections(facts: list[tuple[Fact, YamlValue]], mistakes: Mistakes) -> None:
    """Check that ids are unique, and that a correction names a fact that was known before it."""
    ids: dict[str, int] = {}
    for fact, entry in facts:
        if fact.id and fact.id in ids:
            problem, why = f"the fact {fact.id!r} stands twice", f"it stands on line {ids[fact.id]}"
            mistakes.add(entry.line, problem, why, "Give one of them another id.")
        ids.setdefault(fact.id, entry.line)
    for fact, entry in facts:
        if fact.corrects:
            earlier = {
                candidate.name: candidate
                for candidate, _ in facts
                if candidate is not fact and candidate.known <= fact.known
            }
            line = entry.members["corrects"].line
            mistakes.check_one_of(
                line, "earlier fact", fact.corrects, earlier, "no fact known before has that name"
            )
            if isinstance(fact, Retraction) and isinstance(earlier.get(fact.corrects), Retraction):
                mistakes.add(line, f"{fact.corrects} is a retraction", RETRACTED, RECORD_AGAIN)
        elif isinstance(fact, Retraction):
            mistakes.add(
                entry.line,
                "a retraction of nothing",
                "it names no fact",
                "Write corrects: and its name.",
            )
