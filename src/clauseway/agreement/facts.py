"""Facts: dated, recorded, append-only. What is not known is not there; it is never taken for "no".

A fact has the day it took effect and the point at which it became known; without a recorded time it is known from its
own day. A question may suppose facts; what it supposes counts as known. Of several answers on one product the latest
in effect holds.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from clauseway.agreement.blocks import Entry, Problems, build, compose
from clauseway.agreement.markdown import take_apart
from clauseway.catalog import Catalog, Product
from clauseway.values import Citation, InvalidInput, KnownAt, Problem, parse_day

SHIPPED_STAGES = frozenset({"preview", "available"})
_STAGES = SHIPPED_STAGES | {"announced"}


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every fact has: the day it took effect, when it became known, and where it stands."""

    effective: date
    known: KnownAt
    citation: Citation


class Launch(Fact, frozen=True, kw_only=True, tag="launch"):
    """A product launched on a cloud at a stage: announced, preview or available."""

    product: str
    cloud: str
    stage: str

    @property
    def shipped(self) -> bool:
        return self.stage in SHIPPED_STAGES


class Answer(Fact, frozen=True, kw_only=True, tag="answer"):
    """What the operator of the first cloud answered when asked to support a product."""

    product: str
    can: bool
    declines: bool


class Offer(Fact, frozen=True, kw_only=True, tag="offer"):
    """Something was offered to the holder of a right of first refusal, who passed on it."""

    subject: str
    passed: bool


class Milestone(Fact, frozen=True, kw_only=True, tag="milestone"):
    """The milestone's verification took effect. A declaration alone changes nothing and is not recorded as this."""


class Grant(Fact, frozen=True, kw_only=True, tag="grant"):
    """The owner granted a party a product: to sell it, or for intellectual property to use it."""

    party: str
    product: str


FACT_KINDS: Mapping[str, type[Fact]] = {
    "launch": Launch,
    "answer": Answer,
    "offer": Offer,
    "milestone": Milestone,
    "grant": Grant,
}


class FactRegister(msgspec.Struct, frozen=True):
    """All recorded facts, in the order in which they became known."""

    facts: tuple[Fact, ...] = ()

    def known(self, known_at: KnownAt) -> "FactRegister":
        return FactRegister(tuple(fact for fact in self.facts if fact.known <= known_at))

    def with_facts(self, more: Iterable[Fact]) -> "FactRegister":
        return FactRegister(tuple(sorted((*self.facts, *more), key=lambda fact: fact.known)))

    def milestone(self) -> Milestone | None:
        found = [fact for fact in self.facts if isinstance(fact, Milestone)]
        return min(found, key=lambda fact: fact.effective, default=None)

    def launches(self, product: str) -> list[Launch]:
        found = [fact for fact in self.facts if isinstance(fact, Launch) and fact.product == product and fact.shipped]
        return sorted(found, key=lambda fact: fact.effective)

    def answer(self, product: str, as_of: date) -> Answer | None:
        found = [fact for fact in self.facts if isinstance(fact, Answer) and fact.product == product]
        in_effect = [fact for fact in found if fact.effective <= as_of]
        return max(in_effect, key=lambda fact: (fact.effective, fact.known), default=None)

    def passed(self, subject: str, as_of: date) -> Offer | None:
        found = [fact for fact in self.facts if isinstance(fact, Offer) and fact.subject == subject and fact.passed]
        return next((fact for fact in found if fact.effective <= as_of), None)

    def grants(self, party: str, as_of: date) -> list[Grant]:
        found = [fact for fact in self.facts if isinstance(fact, Grant) and fact.party == party]
        return [fact for fact in found if fact.effective <= as_of]


def read_facts(name: str, text: str, catalog: Catalog) -> tuple[FactRegister, Catalog]:
    """Read facts from Markdown with `yaml facts` blocks, or from a plain YAML list of the same entries.

    Entries of kind `product` and `party` add to the catalog what the agreement does not name yet. Raises InvalidInput
    with every problem.
    """
    problems = Problems()
    entries = _entries(name, text, problems)
    for entry in entries:
        catalog = _add_to_catalog(entry, catalog, name, problems)
    read = [(entry, _fact(entry, name, problems)) for entry in entries if _kind(entry) not in ("product", "party")]
    for entry, fact in read:
        if fact is not None:
            _check_names(fact, entry.line, catalog, name, problems)
    if problems.found:
        raise InvalidInput(*problems.ordered())
    return FactRegister().with_facts(fact for _, fact in read if fact is not None), catalog


def suppose(text: str, catalog: Catalog) -> Fact:
    """A fact as a supposition, `launch:new-model:azure:available=2026-04-30` and the like. Raises InvalidInput."""
    subject, equals, day_text = text.partition("=")
    kind, *rest = subject.split(":")
    values = _supposed_values(kind, rest)
    if not equals or values is None:
        raise InvalidInput(_no_supposition(text))
    day = parse_day(day_text, _SUPPOSE)
    citation = Citation(
        term=subject, amendment="facts", document=_SUPPOSE, line=0, source="supposed", text=f"Supposed: {text}."
    )
    fact = FACT_KINDS[kind](effective=day, known=KnownAt.always(), citation=citation, **values)
    problems = Problems()
    _check_names(fact, 0, catalog, _SUPPOSE, problems)
    if problems.found:
        raise InvalidInput(*problems.found)
    return fact


_SUPPOSE = "--suppose"
_ANSWERS: Mapping[str, dict[str, bool]] = {
    "cannot+declines": {"can": False, "declines": True},
    "cannot+chooses": {"can": False, "declines": False},
    "can+declines": {"can": True, "declines": True},
    "can+chooses": {"can": True, "declines": False},
}


def _supposed_values(kind: str, rest: list[str]) -> dict[str, Any] | None:
    match kind, rest:
        case "milestone", []:
            return {}
        case "launch", [product, cloud, stage]:
            return {"product": product, "cloud": cloud, "stage": stage}
        case "answer", [product, answer] if answer in _ANSWERS:
            return {"product": product, **_ANSWERS[answer]}
        case "offer", [subject, "passed"]:
            return {"subject": subject, "passed": True}
        case "grant", [party, product]:
            return {"party": party, "product": product}
    return None


def _no_supposition(text: str) -> Problem:
    return Problem(
        what=f"cannot suppose {text!r}",
        why="it has none of the known forms",
        where=_SUPPOSE,
        todo="Write milestone=DAY, launch:PRODUCT:CLOUD:STAGE=DAY, "
        "answer:PRODUCT:cannot+declines=DAY (or can, chooses), offer:SUBJECT:passed=DAY or grant:PARTY:PRODUCT=DAY.",
    )


def _entries(name: str, text: str, problems: Problems) -> list[Entry]:
    if not name.endswith(".md"):
        return _listed(compose(text, name, 1, problems), name, problems)
    blocks = [block for block in take_apart(name, text).blocks if block.kind == "facts"]
    return [
        entry for block in blocks for entry in _listed(compose(block.text, name, block.line, problems), name, problems)
    ]


def _listed(entry: Entry | None, name: str, problems: Problems) -> list[Entry]:
    if entry is None:
        return []
    if not isinstance(entry.value, list) or not all(isinstance(item.value, dict) for item in entry.value):
        problems.add(
            name, entry.line, "no list of facts", "facts are a YAML list of mappings", "Begin each with '- kind:'."
        )
        return []
    return list(entry.value)


def _kind(entry: Entry) -> str:
    member = entry.value.get("kind")
    return str(member.value) if member else ""


class _Addition(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A product or party that a facts file adds to the catalog."""

    kind: str
    product: str = ""
    class_: str = msgspec.field(default="", name="class")
    first_shipped_by: date | None = None
    party: str = ""


def _add_to_catalog(entry: Entry, catalog: Catalog, name: str, problems: Problems) -> Catalog:
    if _kind(entry) not in ("product", "party"):
        return catalog
    addition = build(_Addition, entry, name, problems, {})
    if addition is None:
        return catalog
    if addition.kind == "party" and addition.party:
        return msgspec.structs.replace(catalog, parties=catalog.parties | {addition.party})
    if addition.product and addition.class_ in catalog.classes:
        product = Product(
            id=addition.product, product_class=addition.class_, first_shipped_by=addition.first_shipped_by
        )
        return msgspec.structs.replace(catalog, products={**catalog.products, product.id: product})
    problems.add(
        name,
        entry.line,
        "nothing to add",
        "a product needs a known class, a party a name",
        "Write product: and class:, or party:.",
    )
    return catalog


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of a fact beside its own fields."""

    kind: str
    source: tuple[str, ...]
    says: str
    recorded: date | datetime | None = None


_WRITTEN = frozenset({"kind", "source", "says", "recorded"})


def _fact(entry: Entry, name: str, problems: Problems) -> Fact | None:
    kind = FACT_KINDS.get(_kind(entry))
    if kind is None:
        problems.add(
            name, entry.line, f"unknown kind of fact {_kind(entry)!r}", "it means nothing here",
            f"Known kinds: {', '.join(sorted(FACT_KINDS))}, product, party.",
        )  # fmt: skip
        return None
    about = Entry({key: entry.value[key] for key in entry.value if key in _WRITTEN}, entry.line)
    written = build(_Written, about, name, problems, {})
    effective = entry.value.get("effective", Entry("", entry.line))
    if written is None:
        return None
    citation = Citation(
        term=":".join([written.kind, *(str(entry.value[key].value) for key in _NAMED if key in entry.value)]),
        amendment="facts",
        document=name,
        line=entry.line,
        source=", ".join(written.source),
        text=f"{written.says} ({effective.value})",
    )
    computed = {"citation": citation, "known": KnownAt.always()}
    fact = build(kind, entry, name, problems, computed, ignore=_WRITTEN)
    return fact and msgspec.structs.replace(fact, known=_known(written.recorded, fact.effective))


_NAMED = ("party", "product", "cloud", "stage", "subject")


def _known(recorded: date | datetime | None, effective: date) -> KnownAt:
    """When a fact became known: a recorded instant (UTC), a recorded day, or else the day it took effect."""
    if isinstance(recorded, datetime):
        instant = recorded.replace(tzinfo=UTC) if recorded.tzinfo is None else recorded.astimezone(UTC)
        since = instant - datetime(1970, 1, 1, tzinfo=UTC)
        return KnownAt((since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000, 0)
    return KnownAt.recorded_on(recorded or effective)


def _check_names(fact: Fact, line: int, catalog: Catalog, name: str, problems: Problems) -> None:
    """Every name in a fact must be one that the catalog knows."""
    checks: list[tuple[str, str, frozenset[str]]] = []
    if isinstance(fact, Launch):
        checks += [("product", fact.product, frozenset(catalog.products)), ("cloud", fact.cloud, catalog.clouds)]
        checks += [("stage", fact.stage, _STAGES)]
    elif isinstance(fact, Answer):
        checks += [("product", fact.product, frozenset(catalog.products))]
    elif isinstance(fact, Grant):
        checks += [("party", fact.party, catalog.parties)]
        checks += [("product", fact.product, frozenset(catalog.products) | frozenset(catalog.classes))]
    for what, value, known in checks:
        if value not in known:
            problems.add(
                name,
                line,
                f"unknown {what} {value!r}",
                "the agreement does not name it",
                f"Known: {', '.join(sorted(known))}.",
            )
