"""What can be told apart: for an action and a product, what bears on it and when, and which names that tells apart.

Everything else of a question's names forms one class and has one answer, so a table decides it once.

    Dockets     for an action and a product: the terms and facts that bear on it
    Situation   what bears on it from a day on; equal situations have equal answers, whatever the product and the day
    Partitions  the names that a situation tells apart, for parties, other parties, clouds and segments
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Commitment,
    Context,
    Exclusivity,
    FactRegister,
    Grant,
    Launch,
    Licence,
    Offer,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    TermState,
    Undertaking,
    Withdrawal,
    in_force,
)
from clauseway.agreement.actions import ACTIONS, CONTRACT, LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.facts import Answer, Fact
from clauseway.agreement.force import standing
from clauseway.agreement.terms import ANYONE, NAMES, AnyTerm, Traded
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.decisions.question import CLOUD_ACTIONS, TO_ACTIONS
from clauseway.values import FOREVER, KnownAt

# Which acts an answer about an action looks at: a sale rests on what the owner may serve, a use on what it may license.
_LOOKS_AT: Mapping[str, frozenset[str]] = {
    SERVE: frozenset({SERVE, SELL}),
    SELL: frozenset({SERVE, SELL}),
    LICENSE: frozenset({LICENSE}),
    USE: frozenset({USE, LICENSE}),
    CONTRACT: frozenset({CONTRACT}),
    SHARE: frozenset({SHARE}),
}
_LAST_DAY = FOREVER - timedelta(days=1)


class Bearing(msgspec.Struct, frozen=True, gc=False):
    """A term that bears on an action and a product: its place in the agreement, and the scopes in it that do."""

    place: int
    within: tuple[int, ...]


class Situation(msgspec.Struct, frozen=True, gc=False):
    """Everything that an answer about an action and a product may rest on, on a day. Two that are equal answer alike.

    `facts` pairs the place of a fact in the register with how many of its turns are past; `product` holds what the
    product itself brings: whether it is one (and no class), and the day by which it had shipped.
    """

    action: str
    product: tuple[bool, date | None]
    live: tuple[Bearing, ...]
    ended: tuple[Bearing, ...]
    facts: tuple[tuple[int, int], ...]
    commented: tuple[str, ...]


class Text(msgspec.Struct, frozen=True):
    """The agreement folded once, for one point of knowledge and one choice of readings.

    `live` and `ended` hold each term as it stands while in force and once ended; what the fold says of either is the
    same on every day. Places count in the fold's order: the latest amendment's terms first.
    """

    agreement: Agreement
    catalog: Catalog
    known: FactRegister
    live: Sequence[TermState]
    ended: Sequence[TermState]
    begins: Mapping[str, date]

    @classmethod
    def of(
        cls,
        agreement: Agreement,
        catalog: Catalog,
        known: FactRegister,
        known_at: KnownAt,
        readings: Mapping[str, str],
    ) -> "Text":
        folded = in_force(agreement, known, _LAST_DAY, known_at, readings).states
        # What waits for an event bears on nothing.
        states = [state for state in folded if state.begin < FOREVER]
        return cls(
            agreement=agreement,
            catalog=catalog,
            known=known,
            live=[msgspec.structs.replace(state, as_of=state.begin) for state in states],
            ended=[
                msgspec.structs.replace(state, as_of=max(state.end, state.begin))
                for state in states
            ],
            begins={
                amendment.id: amendment.effective
                for amendment in standing(agreement, known_at, readings)
            },
        )

    @property
    def begin(self) -> date:
        """The first day on which anything is stated."""
        return min(self.begins.values(), default=FOREVER)


class Docket:
    """What bears on an action and a product over all days."""

    def __init__(self, text: Text, action: str, product: str, bearings: Sequence[Bearing]) -> None:
        self._text, self._action, self._product = text, action, product
        self._bearings = bearings
        terms = [text.live[bearing.place].term for bearing in bearings]
        leads = frozenset(
            term.lead_days for term in terms if isinstance(term, Precedence) and term.lead_days
        )
        places = _facts_on(text, action, product, bearings)
        self._facts = [(place, _turns(text.known.facts[place], leads)) for place in places]

    def situations(self) -> Iterator[tuple[date, Situation]]:
        """Each day on which something changes and what bears from then on, in order, from the first day stated."""
        text, first = self._text, self._text.begin
        begun: dict[date, list[Bearing]] = defaultdict(list)
        over: dict[date, list[Bearing]] = defaultdict(list)
        days = {first}
        for bearing in self._bearings:
            state = text.live[bearing.place]
            if state.begin < state.end:
                begun[state.begin].append(bearing)
            over[max(state.end, state.begin)].append(bearing)
        comments = self._comments()
        days.update(begun, over, (turn for _, turns in self._facts for turn in turns), comments)
        live: list[Bearing] = []
        ended = _Ended(text)
        for day in sorted(days - {FOREVER}):
            for bearing in over.get(day, ()):
                if bearing in live:
                    live.remove(bearing)
                ended.add(bearing, self._action)
            for bearing in begun.get(day, ()):
                insort(live, bearing, key=_place)
            if day >= first:
                yield day, self._situation(day, live, ended, comments)

    def _situation(
        self, day: date, live: Sequence[Bearing], ended: "_Ended", comments: Mapping[date, str]
    ) -> Situation:
        text = self._text
        known = text.catalog.products.get(self._product)
        dated = any(isinstance(text.live[bearing.place].term, Precedence) for bearing in live)
        return Situation(
            action=self._action,
            product=(
                known is not None,
                known.first_shipped_by if known is not None and dated else None,
            ),
            live=tuple(live),
            ended=ended.kept(),
            facts=tuple((place, bisect_right(turns, day)) for place, turns in self._facts),
            commented=tuple(
                amendment for begins, amendment in sorted(comments.items()) if begins <= day
            ),
        )

    def _comments(self) -> dict[date, str]:
        """The amendments that a commentary comes from, by the day from which it is quoted."""
        begins = self._text.begins
        if self._action == SHARE:
            return {}
        return {
            begins[comment.from_amendment]: comment.from_amendment
            for comment in self._text.agreement.commentary
            if comment.from_amendment in begins
        }


def _place(bearing: Bearing) -> int:
    return bearing.place


class _Ended:
    """The terms that have ended and may still be cited: of those that reach the same, the one that ended last. Of
    exclusivities none is kept that reaches no more than one that ended later."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._last: dict[object, Bearing] = {}
        self._reserved: dict[_Reserved, Bearing] = {}

    def add(self, bearing: Bearing, action: str) -> None:
        term = self._text.ended[bearing.place].term
        if isinstance(term, Exclusivity):
            reserved = frozenset(one for one in _LOOKS_AT[action] if term.bears_on(one))
            self._add_reserved(bearing, (reserved, *_where(term)))
        elif (reach := _reach_once_ended(term, bearing, action)) is not None:
            other = self._last.get(reach)
            if other is None or self._rank(bearing) > self._rank(other):
                self._last[reach] = bearing

    def _add_reserved(self, bearing: Bearing, reach: "_Reserved") -> None:
        rank = self._rank(bearing)
        if reach in self._reserved and self._rank(self._reserved[reach]) > rank:
            return
        narrower = [
            one
            for one, other in self._reserved.items()
            if _covers(reach, one) and self._rank(other) < rank
        ]
        for one in narrower:
            del self._reserved[one]
        self._reserved[reach] = bearing

    def _rank(self, bearing: Bearing) -> tuple[date, int, int]:
        """As the engine chooses: by end, then by amendment, then the first in the text."""
        state = self._text.ended[bearing.place]
        return state.end, state.order, -bearing.place

    def kept(self) -> tuple[Bearing, ...]:
        return tuple(sorted((*self._last.values(), *self._reserved.values()), key=_place))


# The actions that an exclusivity bears on, then what it keeps to: clouds, sellers, segments, regions.
_Reserved = tuple[NAMES, NAMES, NAMES, NAMES, NAMES]


def _covers(wide: _Reserved, narrow: _Reserved) -> bool:
    """Whether a scope holds all of another; what names none holds all."""
    places = zip(wide[1:], narrow[1:], strict=True)
    return wide[0] >= narrow[0] and all(
        not one or bool(other and other <= one) for one, other in places
    )


def _reach_once_ended(term: AnyTerm, bearing: Bearing, action: str) -> object:
    """What an ended term is still asked for: equal for two terms that reach the same. None where it never is."""
    looked_at = _LOOKS_AT[action]
    match term:
        case Licence():
            carries = [term.carries[index] for index in bearing.within]
            return (
                Licence,
                term.licensor,
                term.licensee,
                tuple((one.actions & looked_at, _where(one)) for one in carries),
            )
        case RevenueShareTerm():
            return RevenueShareTerm, term.payer, term.payee
    return None


def _where(scope: Scope | Permission | Exclusivity) -> tuple[NAMES, NAMES, NAMES, NAMES]:
    return scope.clouds, scope.sellers, scope.segments, scope.regions


class Dockets:
    """The dockets of an agreement. Terms are found by the names in their scopes: only some bear on a product."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._by_name: dict[str, list[int]] = defaultdict(list)
        named = {
            fact.product
            for fact in text.known.facts
            if isinstance(fact, Launch | Answer | Grant | Withdrawal)
        }
        for place, state in enumerate(text.live):
            for name in _scope_names(state.term):
                self._by_name[name].append(place)
            named |= _inner_names(state.term)
        self._named = frozenset(named.union(self._by_name))

    def signature(self, product: str) -> object:
        """Equal for two products or classes that no term and no fact tells apart."""
        known = self._text.catalog.products.get(product)
        lineage = self._text.catalog.lineage(product)
        return (
            lineage & self._named,
            known is not None,
            known.first_shipped_by if known is not None else None,
        )

    def docket(self, action: str, product: str) -> Docket:
        return Docket(self._text, action, product, self._bearings(action, product))

    def _bearings(self, action: str, product: str) -> list[Bearing]:
        lineage = self._text.catalog.lineage(product)
        places = {place for name in (*lineage, "") for place in self._by_name.get(name, ())}
        found = []
        for place in sorted(places):
            within = _bears(self._text.live[place].term, action, lineage)
            if within is not None:
                found.append(Bearing(place, within))
        return found


def _inner_names(term: AnyTerm) -> frozenset[str]:
    """The names of products and classes in a term's inner scopes."""
    match term:
        case Exclusivity() | Prohibition():
            return frozenset(name for scope in term.except_ for name in scope.products)
        case Licence():
            return frozenset(name for scope in term.carries for name in scope.products)
        case RevenueShareTerm():
            return term.base.excludes | term.base.products
        case Ownership() | Permission() | Precedence() | RefusalRight():
            return frozenset()
        case Commitment() | Stake() | Undertaking() | Context():
            return frozenset()
        case _:
            assert_never(term)


def _scope_names(term: AnyTerm) -> Iterable[str]:
    """The names of products and classes a term may be found by; the empty name where it may bear on any."""
    match term:
        case (
            Ownership()
            | Permission()
            | Exclusivity()
            | Prohibition()
            | Precedence()
            | RefusalRight()
        ):
            return term.products
        case Licence():
            carried = {name for scope in term.carries for name in scope.products or ("",)}
            return term.products | carried
        case RevenueShareTerm():
            return ("",)
        case Commitment() | Stake() | Undertaking() | Context():
            return ()
        case _:
            assert_never(term)


def _bears(term: AnyTerm, action: str, lineage: frozenset[str]) -> tuple[int, ...] | None:
    """Which of a term's inner scopes bear on an action and a product; None where the term itself does not."""
    looked_at = _LOOKS_AT[action]
    match term:
        case RevenueShareTerm():
            if action != SHARE:
                return None
            # A question that names no product is about the share as a whole.
            return () if "" in lineage or term.base.takes_in(lineage, "") else (1,)
        case Ownership():
            return () if action != SHARE and not lineage.isdisjoint(term.products) else None
        case Exclusivity() | Prohibition():
            if looked_at.isdisjoint(term.actions) or lineage.isdisjoint(term.products):
                return None
            return _scopes_on(term.except_, looked_at, lineage)
        case Permission() if LICENSE in term.actions and action in (SERVE, SELL):
            # It may be what lets a licensor license on, and so what a licence to serve or sell rests on.
            return None if lineage.isdisjoint(term.products) else ()
        case Permission() | Precedence() | RefusalRight():
            return (
                None
                if looked_at.isdisjoint(term.actions) or lineage.isdisjoint(term.products)
                else ()
            )
        case Licence():
            if action == USE:
                return None if lineage.isdisjoint(term.products) else ()
            carried = (
                _scopes_on(term.carries, looked_at, lineage) if action in (SERVE, SELL) else ()
            )
            return carried or None
        case Commitment() | Stake() | Undertaking() | Context():
            return None
        case _:
            assert_never(term)


def _scopes_on(
    scopes: Sequence[Scope], actions: frozenset[str], lineage: frozenset[str]
) -> tuple[int, ...]:
    return tuple(
        index
        for index, scope in enumerate(scopes)
        if not (scope.actions and actions.isdisjoint(scope.actions))
        and not (scope.products and lineage.isdisjoint(scope.products))
    )


def _turns(fact: Fact, leads: frozenset[int]) -> list[date]:
    """The days on which a fact comes to mean something else, in order; a launch also as the first cloud's lead ends."""
    leading = (
        [fact.effective + timedelta(days=lead) for lead in leads]
        if isinstance(fact, Launch)
        else []
    )
    return sorted({*fact.turns, *leading})


def _facts_on(text: Text, action: str, product: str, bearings: Iterable[Bearing]) -> Iterator[int]:
    """The places of the known facts that may bear on an action and a product."""
    if action == SHARE:
        return
    lineage = text.catalog.lineage(product)
    subjects = {
        term.subject
        for bearing in bearings
        if isinstance(term := text.live[bearing.place].term, RefusalRight)
    }
    for place, fact in enumerate(text.known.facts):
        match fact:
            case Launch() | Answer():
                bears = fact.product == product
            case Grant() | Withdrawal():
                bears = fact.product in lineage
            case Offer():
                bears = fact.subject in subjects
            case _:
                bears = False
        if bears:
            yield place


class Classes(msgspec.Struct, frozen=True, gc=False):
    """Names in classes: the class of each name, and one name that stands for each class."""

    numbers: Mapping[str, int]
    names: Sequence[str]
    _offsets: dict[int, dict[str, int]] = msgspec.field(default_factory=dict)

    @classmethod
    def telling_apart(cls, names: Iterable[str], sets: Iterable[frozenset[str]]) -> "Classes":
        """Two names are in one class where each of `sets` holds both or neither."""
        held: dict[str, list[int]] = {name: [] for name in names}
        for number, one in enumerate(sets):
            for name in one:
                if name in held:
                    held[name].append(number)
        numbers: dict[str, int] = {}
        stand_ins: dict[tuple[int, ...], tuple[int, str]] = {}
        for name, by in held.items():
            numbers[name] = stand_ins.setdefault(tuple(by), (len(stand_ins), name))[0]
        return cls(numbers, [name for _, name in stand_ins.values()])

    def offsets(self, step: int) -> dict[str, int]:
        """The place of each name's class, where classes lie `step` places apart."""
        if step not in self._offsets:
            self._offsets[step] = {name: number * step for name, number in self.numbers.items()}
        return self._offsets[step]


class Partition(msgspec.Struct, frozen=True, gc=False):
    """The names that one situation tells apart."""

    parties: Classes
    to: Classes
    clouds: Classes
    segments: Classes
    sellers: Classes
    regions: Classes

    @property
    def sides(self) -> tuple[Classes, ...]:
        return self.parties, self.clouds, self.segments, self.sellers, self.regions, self.to


class Partitions:
    """The partitions of an agreement's situations. Many tell the same names apart, and share their classes."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._asked = {action: _asked(text.catalog, action) for action in ACTIONS}
        # The same terms bear on many situations.
        self._tells: dict[Bearing, _TermTells] = {}
        self._classes: dict[tuple[tuple[str, ...], frozenset[frozenset[str]]], Classes] = {}

    def of(self, situation: Situation) -> Partition:
        told = _Told()
        for bearing in (*situation.live, *situation.ended):
            one = self._tells.get(bearing)
            if one is None:
                term = self._text.live[bearing.place].term
                one = self._tells[bearing] = _TermTells.of(term, bearing, self._text.catalog)
            told.add(one)
        for place, _ in situation.facts:
            match self._text.known.facts[place]:
                case Grant() | Withdrawal() as grant:
                    told.parties.add(_alone(grant.party))
                    told.clouds.add(_alone(grant.cloud))
                    told.regions.add(_alone(grant.region))
                    told.segments.add(_alone(grant.segment))
                case Launch() as launch:
                    told.clouds.add(_alone(launch.cloud))
                    told.parties.add(_alone(self._text.catalog.operators.get(launch.cloud, "")))
        return self._partition(situation.action, told)

    def of_nothing(self, action: str) -> Partition:
        """What no term tells apart: one class each."""
        return self._partition(action, _Told())

    def _partition(self, action: str, told: "_Told") -> Partition:
        asked = self._asked[action]
        # Who sells is the party itself, so that what tells sellers apart tells parties apart; else it is told beside.
        by_party = told.parties | told.sellers if action == SELL else told.parties
        return Partition(
            parties=self._telling_apart(asked.parties, by_party),
            to=self._telling_apart(asked.to, told.parties),
            clouds=self._telling_apart(asked.clouds, told.clouds),
            segments=self._telling_apart(asked.segments, told.segments),
            sellers=self._telling_apart(asked.parties, told.sellers if action == SERVE else set()),
            regions=self._telling_apart(asked.regions, told.regions),
        )

    def _telling_apart(self, names: tuple[str, ...], sets: set[frozenset[str]]) -> Classes:
        key = (names, frozenset(sets))
        if key not in self._classes:
            self._classes[key] = Classes.telling_apart(names, sets)
        return self._classes[key]


class _Told(msgspec.Struct):
    """Sets of names that something tells from all others."""

    parties: set[NAMES] = msgspec.field(default_factory=set)
    clouds: set[NAMES] = msgspec.field(default_factory=set)
    sellers: set[NAMES] = msgspec.field(default_factory=set)
    segments: set[NAMES] = msgspec.field(default_factory=set)
    regions: set[NAMES] = msgspec.field(default_factory=set)

    def add(self, term: "_TermTells") -> None:
        self.parties.update(term.parties)
        self.clouds.update(term.clouds)
        self.sellers.update(term.sellers)
        self.segments.update(term.segments)
        self.regions.update(term.regions)


class _TermTells(msgspec.Struct, frozen=True, gc=False):
    """The same of one term. Many are kept, so what is empty is the one empty tuple."""

    parties: tuple[NAMES, ...]
    clouds: tuple[NAMES, ...]
    sellers: tuple[NAMES, ...]
    segments: tuple[NAMES, ...]
    regions: tuple[NAMES, ...]

    @classmethod
    def of(cls, term: AnyTerm, bearing: Bearing, catalog: Catalog) -> "_TermTells":
        """A scope that names none tells nothing. A party that a term names may host what others sell on its clouds."""
        scopes = list(_places_in(term, bearing))
        parties = _parties_in(term)
        operated = (catalog.own_cloud(party) for party in sorted(parties))
        return cls(
            parties=tuple(map(_alone, parties)),
            clouds=(
                *(scope.clouds for scope in scopes if scope.clouds),
                *(clouds for clouds in operated if clouds and isinstance(term, _BINDS_HOSTS)),
            ),
            sellers=tuple([scope.sellers for scope in scopes if scope.sellers]),
            segments=tuple([scope.segments for scope in scopes if scope.segments]),
            regions=tuple([scope.regions for scope in scopes if scope.regions]),
        )


@cache
def _alone(name: str) -> NAMES:
    return frozenset({name})


class _Asked(msgspec.Struct, frozen=True):
    """What a question about an action may name."""

    parties: tuple[str, ...]
    to: tuple[str, ...]
    clouds: tuple[str, ...]
    segments: tuple[str, ...]
    regions: tuple[str, ...]


def _asked(catalog: Catalog, action: str) -> _Asked:
    """What a question about an action may name; empty names are those that may be left out."""
    parties, clouds = tuple(sorted(catalog.parties)), tuple(sorted(catalog.clouds))
    regions = (*sorted(catalog.regions), ELSEWHERE) if catalog.regions else ()
    return _Asked(
        parties=parties,
        to=parties if action in TO_ACTIONS else ("",),
        clouds=clouds if action in CLOUD_ACTIONS else ("", *clouds),
        segments=tuple(sorted(catalog.segments)),
        regions=regions if regions and action in CLOUD_ACTIONS else ("", *regions),
    )


# The kinds that bind whoever hosts, by name.
_BINDS_HOSTS = (Exclusivity, Prohibition, Precedence, RefusalRight)


def _parties_in(term: AnyTerm) -> frozenset[str]:
    match term:
        case Ownership() | Precedence():
            return frozenset({term.party})
        case Permission():
            return frozenset({term.party}) - {ANYONE}
        case Exclusivity():
            return term.only.parties | term.only.licensees
        case Prohibition():
            return term.parties - {ANYONE}
        case RefusalRight():
            return frozenset({term.holder, term.grantor}) - {""}
        case Licence():
            return frozenset({term.licensee})
        case RevenueShareTerm():
            return frozenset({term.payer, term.payee})
        case Commitment() | Stake() | Undertaking() | Context():
            return frozenset()
        case _:
            assert_never(term)


def _places_in(term: AnyTerm, bearing: Bearing) -> Iterator[Scope]:
    """The clouds, sellers, segments and regions that a term tells from others."""
    match term:
        case Permission():
            yield _places(term, term.clouds)
        case Exclusivity():
            yield Scope(
                clouds=term.only.clouds, sellers=term.only.sellers, regions=term.only.regions
            )
            yield _places(term, term.clouds)
            yield from (term.except_[index] for index in bearing.within)
        case Prohibition():
            yield _places(term, term.clouds)
            yield from (term.except_[index] for index in bearing.within)
        case Precedence():
            yield _places(term, frozenset({term.first}))
        case RefusalRight():
            yield _places(term, term.except_clouds)
        case Licence():
            yield from (term.carries[index] for index in bearing.within)
        case RevenueShareTerm():
            # No cloud named is another thing than a cloud outside the base.
            yield from (
                Scope(clouds=clouds)
                for clouds in (term.base.clouds, _alone(""))
                if term.base.clouds
            )
        case Ownership() | Commitment() | Stake() | Undertaking() | Context():
            pass
        case _:
            assert_never(term)


def _places(term: Traded, clouds: NAMES) -> Scope:
    return Scope(clouds=clouds, sellers=term.sellers, segments=term.segments, regions=term.regions)
