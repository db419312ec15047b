"""Registers of facts as text: Markdown with `yaml facts` blocks, or a plain YAML list of the same entries.

Entries of kind `product` and `party` add to the catalog what the agreement does not name yet. Facts of one recorded
instant became known in the order in which they stand.
"""

from collections.abc import Iterator
from datetime import date

import msgspec

from clauseway.agreement.blocks import Cited, Named, build, read_block
from clauseway.agreement.entries import Entry, read_yaml
from clauseway.agreement.facts import FACT_KINDS, Fact, FactRegister, names_in
from clauseway.agreement.knowledge import known_since
from clauseway.agreement.markdown import readable, take_apart
from clauseway.agreement.mistakes import Mistakes
from clauseway.catalog import Catalog, Product
from clauseway.values import Citation, KnownAt


class AboutFact(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of a fact beside its own fields. `recorded`: a day or an instant (UTC)."""

    kind: str
    source: Cited
    says: str
    recorded: str = ""


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
_ABOUT = frozenset({"kind", "source", "says", "recorded"})
# What a fact is about, in the order in which its name says it.
_NAMED = ("party", "product", "cloud", "stage", "subject")


def read_facts(name: str, text: str, catalog: Catalog) -> tuple[FactRegister, Catalog]:
    """Read a register; `name` is its file's. Raises InvalidInput with every problem."""
    mistakes = Mistakes(name)
    entries = list(_entries(text, mistakes))
    for entry in entries:
        if entry.text("kind") in _ADDITIONS:
            catalog = _with_addition(entry, catalog, mistakes)
    facts: list[Fact] = []
    for entry in entries:
        if entry.text("kind") not in _ADDITIONS and (fact := _fact(entry, len(facts), mistakes)) is not None:
            _check_names(fact, entry, catalog, mistakes)
            facts.append(fact)
    if mistakes:
        raise mistakes.refusal()
    return FactRegister().with_facts(facts), catalog


def _entries(text: str, mistakes: Mistakes) -> Iterator[Entry]:
    if mistakes.where.endswith(".md"):
        for block in take_apart(text, mistakes).blocks:
            yield from _listed(read_block(block, ("facts",), mistakes), mistakes)
    else:
        yield from _listed(read_yaml(readable(text, mistakes), 1, mistakes), mistakes)


def _listed(entry: Entry | None, mistakes: Mistakes) -> Iterator[Entry]:
    items = () if entry is None else entry.value if isinstance(entry.value, list) else (entry,)
    for item in items:
        if item.is_mapping and item is not entry:
            yield item
        else:
            mistakes.add(item.line, "no fact", "facts are a YAML list of mappings", "Begin each with '- kind:'.")


def _with_addition(entry: Entry, catalog: Catalog, mistakes: Mistakes) -> Catalog:
    if entry.text("kind") == "party":
        party = build(AddedParty, entry, mistakes)
        return msgspec.structs.replace(catalog, parties=catalog.parties | {party.party}) if party else catalog
    added = build(AddedProduct, entry, mistakes)
    if added is None:
        return catalog
    mistakes.check_defined(entry.line, "class", added.class_, catalog.classes)
    product = Product(id=added.product, product_class=added.class_, first_shipped_by=added.first_shipped_by)
    return msgspec.structs.replace(catalog, products={**catalog.products, product.id: product})


def _fact(entry: Entry, sequence: int, mistakes: Mistakes) -> Fact | None:
    kind = FACT_KINDS.get(entry.text("kind"))
    if kind is None:
        known = {*FACT_KINDS, *_ADDITIONS}
        mistakes.check_one_of(entry.line, "kind of fact", entry.text("kind"), known)
        return None
    about = entry.only(_ABOUT)
    written = build(AboutFact, about, mistakes)
    citation = _citation(entry, written, mistakes.where) if written else None
    computed = {"citation": citation, "known": KnownAt.always()}
    fact = build(kind, entry, mistakes, computed, beside=_ABOUT)
    if fact is None or written is None:
        return None
    known_at = known_since(written.recorded, fact.effective, entry.line, mistakes, sequence)
    return msgspec.structs.replace(fact, known=known_at)


def _citation(entry: Entry, written: AboutFact, document: str) -> Citation:
    return Citation(
        term=":".join([written.kind, *(entry.text(key) for key in _NAMED if key in entry.members)]),
        amendment="facts",
        document=document,
        line=entry.line,
        source=", ".join(written.source),
        text=f"{written.says} ({entry.text('effective')})",
    )


def _check_names(fact: Fact, entry: Entry, catalog: Catalog, mistakes: Mistakes) -> None:
    for what, name, known in names_in(fact, catalog):
        mistakes.check_defined(entry.members[what].line, what, name, known)
