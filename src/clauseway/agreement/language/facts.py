"""Facts: dated, recorded, append-only. An unknown fact is absent; absence is never taken for "no".

A fact has the day it took effect and the point at which it became known. Without a recorded time it
is known from its own day. Of several answers on one product, the latest in effect holds. A fact may
correct another fact, which is hidden from the point at which the correction became known; before
that point nothing has changed. `registers` reads facts from text, `recorded` from single records,
and `suppositions` from the facts that a question supposes.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from clauseway.agreement.language.actions import CLOUDS, REGIONS, SEGMENTS, takes
from clauseway.agreement.language.terms import Scope
from clauseway.catalog import ELSEWHERE, Catalog, Product
from clauseway.values import Citation, KnownAt, through

SHIPPED_STAGES = frozenset({"preview", "available"})
STAGES = SHIPPED_STAGES | {"announced"}
# An answer in one word: the first cloud's operator can or cannot, and declines or not.
ANSWERS: Mapping[str, tuple[bool, bool]] = {
    "cannot+declines": (False, True),
    "cannot+chooses": (False, False),
    "can+declines": (True, True),
    "can+chooses": (True, False),
}


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """The parts of every fact: the day it took effect, when it became known, and its place.

    `corrects` is the name of the fact that it corrects. `id` is its name, if it has an id.
    """

    effective: date
    known: KnownAt
    citation: Citation
    id: str = ""
    corrects: str = ""

    @property
    def turns(self) -> tuple[date, ...]:
        """Return the days on which its effect changes.

        On the first day the effect begins; on a second day it ends, or an offer counts as passed.
        """
        return (self.effective,)

    def in_effect(self, day: date) -> bool:
        """Return whether the fact has begun and not ended."""
        return len([turn for turn in self.turns if turn <= day]) == 1

    @property
    def name(self) -> str:
        """Return the name by which a correction names it: its id, or else its content.

        The content is written as `launch:new-model:azure:preview=DAY`.
        """
        return self.id or f"{self.citation.term}={self.effective}"


class Launch(Fact, frozen=True, kw_only=True, tag="launch"):
    """A product launched on a cloud at a stage: announced, preview or available."""

    product: str
    cloud: str
    stage: str

    @property
    def shipped(self) -> bool:
        return self.stage in SHIPPED_STAGES


class Answer(Fact, frozen=True, kw_only=True, tag="answer"):
    """The operator of the first cloud answered whether it will support a product."""

    product: str
    can: bool
    declines: bool


class Offer(Fact, frozen=True, kw_only=True, tag="offer"):
    """Something was offered to the holder of a right of first refusal, who passed on it or did not.

    After the day in `answer_by`, silence is a pass. Of several offers of a subject, the latest
    counts.
    """

    subject: str
    passed: bool
    answer_by: date | None = msgspec.field(default=None, name="answer-by")

    @property
    def turns(self) -> tuple[date, ...]:
        if self.answer_by is None or self.passed:
            return (self.effective,)
        return self.effective, max(through(self.answer_by), self.effective)

    def passed_by(self, day: date) -> bool:
        return self.passed or (len(self.turns) > 1 and self.turns[-1] <= day)


class Milestone(Fact, frozen=True, kw_only=True, tag="milestone"):
    """The milestone's verification took effect. A mere declaration is not recorded as this fact."""


class EventHappened(Fact, frozen=True, kw_only=True, tag="event"):
    """An event that the agreement defines took place. `through` is its last day, if it has one."""

    event: str
    through: date | None = None

    @property
    def turns(self) -> tuple[date, ...]:
        return _from_through(self.effective, self.through)


class Grant(Fact, frozen=True, kw_only=True, tag="grant"):
    """The owner granted a party a product: to sell it or, if it is intellectual property, to use it.

    `cloud`, `region` and `segment` limit the grant; empty means any. `through` is its last day.
    """

    party: str
    product: str
    cloud: str = ""
    region: str = ""
    segment: str = ""
    through: date | None = None

    @property
    def turns(self) -> tuple[date, ...]:
        return _from_through(self.effective, self.through)

    @property
    def scope(self) -> Scope:
        """Return the scope that the grant is limited to."""
        return _scope_of(self)


class Withdrawal(Fact, frozen=True, kw_only=True, tag="withdrawal"):
    """A product is withdrawn from a party's grants from this day on. A later grant stands.

    `cloud`, `region` and `segment` limit what is withdrawn; empty means any. The rest of each grant
    goes on.
    """

    party: str
    product: str
    cloud: str = ""
    region: str = ""
    segment: str = ""

    @property
    def scope(self) -> Scope:
        """Return the scope that the withdrawal is limited to."""
        return _scope_of(self)

    def follows(self, grant: Grant) -> bool:
        """Return whether a grant was made to the same party by the time of the withdrawal."""
        before = (grant.effective, grant.known) <= (self.effective, self.known)
        return before and grant.party == self.party


def _scope_of(fact: Grant | Withdrawal) -> Scope:
    """Return the cloud, region and segment that a grant or withdrawal is limited to."""
    named = {"clouds": fact.cloud, "regions": fact.region, "segments": fact.segment}
    return Scope(**{part: frozenset({name}) for part, name in named.items() if name})


class ProductAdded(Fact, frozen=True, kw_only=True, tag="product"):
    """A product of a class, which the agreement's text does not name yet."""

    product: str
    class_: str = msgspec.field(name="class")


class PartyAdded(Fact, frozen=True, kw_only=True, tag="party"):
    """A party that the agreement's text does not name yet."""

    party: str


class Retraction(Fact, frozen=True, kw_only=True, tag="retraction"):
    """The fact that `corrects` names did not happen."""


FACT_KINDS: Mapping[str, type[Fact]] = {
    "launch": Launch,
    "answer": Answer,
    "offer": Offer,
    "milestone": Milestone,
    "event": EventHappened,
    "grant": Grant,
    "withdrawal": Withdrawal,
    "retraction": Retraction,
}
# The facts that add a name to the catalog. Text has its own form for these.
ADDITIONS: Mapping[str, type[Fact]] = {"product": ProductAdded, "party": PartyAdded}


def _from_through(begin: date, last_day: date | None) -> tuple[date, ...]:
    return (begin,) if last_day is None else (begin, through(last_day))


def _after(sequence: int, fact: Fact) -> Fact:
    """Return the fact, moved behind a place in its instant.

    A supposed fact has no place: it is always known.
    """
    if fact.known == KnownAt.always():
        return fact
    known_at = KnownAt(fact.known.instant_ns, fact.known.sequence + sequence + 1)
    return msgspec.structs.replace(fact, known=known_at)


class FactRegister(msgspec.Struct, frozen=True):
    """All recorded facts, in the order in which they became known."""

    facts: tuple[Fact, ...] = ()

    def known(self, known_at: KnownAt) -> "FactRegister":
        """Return the facts known at a point, without the facts that were corrected by then.

        A correction still hides its fact after the correction itself was corrected.
        """
        known_facts = FactRegister(tuple(fact for fact in self.facts if fact.known <= known_at))
        if not any(fact.corrects for fact in known_facts.facts):
            return known_facts
        return FactRegister(
            tuple(fact for fact, hidden_by in known_facts.with_corrections() if hidden_by is None)
        )

    def with_corrections(self) -> list[tuple[Fact, Fact | None]]:
        """Return each fact with the fact that corrects it, or None.

        A correction may have the same name as the fact it corrects (an answer of the same day).
        Then it hides the facts of that name that stand before it.
        """
        correcting: dict[str, list[tuple[int, Fact]]] = {}
        for at, fact in enumerate(self.facts):
            if fact.corrects:
                correcting.setdefault(fact.corrects, []).append((at, fact))

        def hiding(at: int, fact: Fact) -> Fact | None:
            by = (
                by
                for later, by in correcting.get(fact.name, ())
                if by.name != fact.name or later > at
            )
            return next(by, None)

        return [(fact, hiding(at, fact)) for at, fact in enumerate(self.facts)]

    def contradictions(self) -> list[tuple[Fact, Fact]]:
        """Return pairs of uncorrected facts that contradict each other about one thing and day.

        Of each pair, the fact that stands first in the register comes first.
        """
        first: dict[tuple[object, ...], Fact] = {}
        contradictions = []
        for fact, hidden_by in self.with_corrections():
            about, says = _saying(fact)
            if hidden_by is not None or not about:
                continue
            before = first.setdefault((fact.effective, *about), fact)
            if _saying(before)[1] != says:
                contradictions.append((before, fact))
        return contradictions

    def with_facts(self, more: Iterable[Fact]) -> "FactRegister":
        """Return the register with facts added.

        Within one instant, the added facts became known after the facts of the register.
        """
        last: dict[int, int] = {}
        for fact in self.facts:
            last[fact.known.instant_ns] = max(
                fact.known.sequence, last.get(fact.known.instant_ns, -1)
            )
        added = [_after(last.get(fact.known.instant_ns, -1), fact) for fact in more]
        return FactRegister(tuple(sorted((*self.facts, *added), key=lambda fact: fact.known)))

    def launches(self, product: str) -> list[Launch]:
        launches = [
            fact
            for fact in self.facts
            if isinstance(fact, Launch) and fact.product == product and fact.shipped
        ]
        # Sort launches of one day by name, so that the order of recording changes nothing.
        return sorted(
            launches, key=lambda fact: (fact.effective, fact.cloud, fact.stage, fact.known)
        )

    def answer(self, product: str, as_of: date) -> Answer | None:
        answers = [
            fact for fact in self.facts if isinstance(fact, Answer) and fact.product == product
        ]
        in_effect = [fact for fact in answers if fact.effective <= as_of]
        return max(in_effect, key=lambda fact: (fact.effective, fact.known), default=None)

    def offer(self, subject: str, as_of: date) -> Offer | None:
        """Return the latest offer of a subject that was made by a day."""
        offers = [
            fact for fact in self.facts if isinstance(fact, Offer) and fact.subject == subject
        ]
        made = [offer for offer in offers if offer.effective <= as_of]
        return max(made, key=lambda offer: (offer.effective, offer.known), default=None)

    def passed(self, subject: str, as_of: date) -> Offer | None:
        """Return the latest offer of a subject if its holder had passed on it by a day."""
        latest = self.offer(subject, as_of)
        return latest if latest is not None and latest.passed_by(as_of) else None

    def grants(self, party: str, as_of: date) -> list[Grant]:
        """Return a party's grants that were made by a day and are not over by their own last day.

        Withdrawals may have taken all of such a grant, or part of it.
        """
        return [grant for grant in self._grants(party) if grant.in_effect(as_of)]

    def grants_made(self, party: str, as_of: date) -> list[Grant]:
        """Return a party's grants that were made by a day, also those that are over."""
        return [grant for grant in self._grants(party) if grant.effective <= as_of]

    def _grants(self, party: str) -> list[Grant]:
        return [fact for fact in self.facts if isinstance(fact, Grant) and fact.party == party]

    def withdrawals(self, grant: Grant, as_of: date) -> list[Withdrawal]:
        """Return the withdrawals in effect on a day that may have taken part of a grant."""
        return [
            fact
            for fact in self.facts
            if isinstance(fact, Withdrawal) and fact.effective <= as_of and fact.follows(grant)
        ]


def ends_too_early(fact: Fact) -> str:
    """Return the key of a fact's last day if that is before the fact took effect; else empty."""
    match fact:
        case Grant() | EventHappened() if (
            fact.through is not None and fact.through < fact.effective
        ):
            return "through"
        case Offer() if fact.answer_by is not None and fact.answer_by < fact.effective:
            return "answer-by"
    return ""


def kept_in_vain(fact: Fact, catalog: Catalog) -> list[tuple[str, str]]:
    """Return the keys that limit a grant by a part that no act with its product has.

    Each key comes with the key of that part in scopes (`cloud` with `clouds`). A class stands for
    all its products.
    """
    if not isinstance(fact, Grant | Withdrawal):
        return []
    of_product = catalog.class_of(fact.product)
    actions = {
        action
        for name, each in catalog.classes.items()
        if catalog.belongs(name, of_product)
        for action in each.actions
    }
    kept = (("cloud", CLOUDS), ("region", REGIONS), ("segment", SEGMENTS))
    return [
        (key, part)
        for key, part in kept
        if actions and getattr(fact, key) and not any(takes(action, part) for action in actions)
    ]


def _saying(fact: Fact) -> tuple[tuple[str, ...], tuple[bool | date | None, ...]]:
    """Return the subject of a fact and its statement about that subject.

    Return nothing for kinds of which several facts can hold on the same day.
    """
    match fact:
        case Answer():
            return ("answer", fact.product), (fact.can, fact.declines)
        case Offer():
            return ("offer", fact.subject), (fact.passed, fact.answer_by)
    return (), ()


def with_additions(catalog: Catalog, facts: Iterable[Fact]) -> Catalog:
    """Return a catalog with the products and parties that facts add. Existing names stay.

    A product of a class that the catalog does not have is left out: no question can be about it.
    """
    products, parties = dict(catalog.products), set(catalog.parties)
    for fact in facts:
        match fact:
            case ProductAdded() if (
                fact.class_ in catalog.classes and fact.product not in catalog.classes
            ):
                products.setdefault(
                    fact.product, Product(id=fact.product, product_class=fact.class_)
                )
            case PartyAdded():
                parties.add(fact.party)
    return msgspec.structs.replace(catalog, products=products, parties=frozenset(parties))


def names_in(fact: Fact, catalog: Catalog) -> list[tuple[str, str, frozenset[str]]]:
    """Return the names in a fact: the field, the name, and the names allowed there."""
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
        case Grant() | Withdrawal():
            granted = products | frozenset(catalog.classes)
            kept = (
                ("cloud", fact.cloud, catalog.clouds),
                (
                    "region",
                    fact.region,
                    frozenset({*catalog.regions, ELSEWHERE}) if catalog.regions else frozenset(),
                ),
                ("segment", fact.segment, catalog.segments),
            )
            return [
                ("party", fact.party, catalog.parties),
                ("product", fact.product, granted),
                *(field for field in kept if field[1]),
            ]
        case Offer() if (subjects := catalog.offer_subjects()) is not None:
            return [("subject", fact.subject, subjects)]
        case EventHappened():
            return [("event", fact.event, catalog.events)]
        case ProductAdded():
            return [("class", fact.class_, frozenset(catalog.classes))]
    return []
