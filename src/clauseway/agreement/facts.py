"""Facts: dated, recorded, append-only. What is not known is not there; it is never taken for "no".

A fact has the day it took effect and the point at which it became known; without a recorded time it is known from its
own day. Of several answers on one product the latest in effect holds. `registers` reads facts from text, and
`suppositions` from what a question supposes.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from clauseway.catalog import Catalog
from clauseway.values import Citation, KnownAt

SHIPPED_STAGES = frozenset({"preview", "available"})
STAGES = SHIPPED_STAGES | {"announced"}


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


def _after(sequence: int, fact: Fact) -> Fact:
    """The fact, moved behind a place in its instant. What is supposed has no place: it is known always."""
    if fact.known == KnownAt.always():
        return fact
    known = KnownAt(fact.known.instant_ns, fact.known.sequence + sequence + 1)
    return msgspec.structs.replace(fact, known=known)


class FactRegister(msgspec.Struct, frozen=True):
    """All recorded facts, in the order in which they became known."""

    facts: tuple[Fact, ...] = ()

    def known(self, known_at: KnownAt) -> "FactRegister":
        return FactRegister(tuple(fact for fact in self.facts if fact.known <= known_at))

    def with_facts(self, more: Iterable[Fact]) -> "FactRegister":
        """The register with facts added. Of one instant, those added became known after those that stand here."""
        last: dict[int, int] = {}
        for fact in self.facts:
            last[fact.known.instant_ns] = max(fact.known.sequence, last.get(fact.known.instant_ns, -1))
        added = [_after(last.get(fact.known.instant_ns, -1), fact) for fact in more]
        return FactRegister(tuple(sorted((*self.facts, *added), key=lambda fact: fact.known)))

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


def names_in(fact: Fact, catalog: Catalog) -> list[tuple[str, str, frozenset[str]]]:
    """The names in a fact: the field, the name, and those that may stand there."""
    products = frozenset(catalog.products)
    match fact:
        case Launch():
            return [
                ("product", fact.product, products),
                ("cloud", fact.cloud, catalog.clouds),
                ("stage", fact.stage, STAGES),
            ]
        case Answer():
            return [("product", fact.product, products)]
        case Grant():
            granted = products | frozenset(catalog.classes)
            return [("party", fact.party, catalog.parties), ("product", fact.product, granted)]
    return []
