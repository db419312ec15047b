"""Sort names into classes that have the same answer, so that a table decides each class once.

ActContexts    For an action and a product: the terms and facts that bear on it, and when.
LegalPosition  The terms and facts that bear on it from a day on. Equal legal positions have equal
               answers, whatever the product and the day.
Partitions     The names that a legal position distinguishes: parties, other parties, clouds,
               segments, sellers and regions. All other names form one class.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    Grant,
    Launch,
    Licence,
    Offer,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    TermState,
    Withdrawal,
    in_force,
)
from clauseway.agreement.force.fold import standing
from clauseway.agreement.language.actions import ACTIONS, CONTRACT, LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.language.facts import Answer, Fact
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import (
    ANYONE,
    NAMES,
    AnyTerm,
    Barring,
    Conditional,
    Forbidding,
    Inoperative,
    Offered,
    Only,
    Traded,
    Uncited,
)
from clauseway.catalog import Catalog
from clauseway.decisions.givers import Givers, giver_of, may_license
from clauseway.decisions.parts import BY_NAME, FREE, SCOPED, Part
from clauseway.values import DAY_BEFORE_FOREVER, FOREVER, KnownAt

# The actions of the acts that an answer about an action looks at: a sale rests on the owner's right
# to serve, a use on the owner's right to license.
_LOOKS_AT: Mapping[str, frozenset[str]] = {
    SERVE: frozenset({SERVE, SELL}),
    SELL: frozenset({SERVE, SELL}),
    LICENSE: frozenset({LICENSE}),
    USE: frozenset({USE, LICENSE}),
    CONTRACT: frozenset({CONTRACT}),
    SHARE: frozenset({SHARE}),
}


class Bearing(msgspec.Struct, frozen=True, gc=False):
    """A term that bears on an action and a product.

    `place` is its place in the agreement; `within` are the places of those of its inner scopes
    that bear on them too.
    """

    place: int
    within: tuple[int, ...]


class LegalPosition(msgspec.Struct, frozen=True, gc=False):
    """Everything that an answer about an action and a product may rest on, on a day.

    Equal positions have equal answers. `facts` are the places of facts in the register, `turned` the
    numbers of their turns that are past. `product` says if it is a product and not a class, if its
    class is ever sold, and the day by which it had shipped. `ahead` are the places of ship-first that
    binds what first ships since a day that is still ahead. `prolonged` are the places of live terms
    that a change keeps in force past their own ends, each with how many changes have by turns.
    """

    action: str
    product: tuple[bool, bool, date | None]
    ahead: tuple[int, ...]
    live: tuple[Bearing, ...]
    ended: tuple[Bearing, ...]
    facts: tuple[int, ...]
    turned: tuple[int, ...]
    commented: tuple[str, ...]
    prolonged: tuple[tuple[int, int], ...] = ()


class Text(msgspec.Struct, frozen=True):
    """The agreement folded once, for one point of knowledge and one choice of readings.

    `live` holds each term as it stands while in force, `ended` as it stands once ended. Each such
    state is the same on every day. Places count in the fold's order: the terms of the latest
    amendment come first.
    """

    agreement: Agreement
    catalog: Catalog
    known_facts: FactRegister
    live: Sequence[TermState]
    ended: Sequence[TermState]
    begins: Mapping[str, date]

    @classmethod
    def of(
        cls,
        agreement: Agreement,
        catalog: Catalog,
        known_facts: FactRegister,
        known_at: KnownAt,
        readings: Mapping[str, str],
    ) -> "Text":
        folded = in_force(agreement, known_facts, DAY_BEFORE_FOREVER, known_at, readings).states
        # A term that waits for an event bears on nothing.
        states = [state for state in folded if state.begin < FOREVER]
        return cls(
            agreement=agreement,
            catalog=catalog,
            known_facts=known_facts,
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
        """Return the first day on which anything is stated."""
        return min(self.begins.values(), default=FOREVER)


class ActContext:
    """The terms and facts that bear on an action and a product, over all days."""

    def __init__(self, text: Text, action: str, product: str, bearings: Sequence[Bearing]) -> None:
        self._text, self._action, self._product = text, action, product
        self._bearings = bearings
        terms = [text.live[bearing.place].term for bearing in bearings]
        leads = frozenset(
            term.lead_days for term in terms if isinstance(term, Precedence) and term.lead_days
        )
        self._since = {
            place: term.since
            for place, term in (
                (bearing.place, text.live[bearing.place].term) for bearing in bearings
            )
            if isinstance(term, Precedence) and term.since > text.live[place].begin
        }
        self._facts = tuple(_facts_on(text, action, product, bearings))
        # By day, the facts whose effect changes on it, by their numbers among these.
        self._turning: dict[date, list[int]] = defaultdict(list)
        for number, place in enumerate(self._facts):
            for turn in _turns(text.known_facts.facts[place], leads):
                self._turning[turn].append(number)

    def positions(self) -> Iterator[tuple[date, LegalPosition]]:
        """Yield in order each day on which something changes, with the legal position from then on.

        The first day is the first on which anything is stated.
        """
        text, first = self._text, self._text.begin
        # Collect the days on which terms begin or end, facts turn and comments begin.
        begun: dict[date, list[Bearing]] = defaultdict(list)
        over: dict[date, list[Bearing]] = defaultdict(list)
        days = {first}
        for bearing in self._bearings:
            state = text.live[bearing.place]
            if state.begin < state.end:
                begun[state.begin].append(bearing)
            over[max(state.end, state.begin)].append(bearing)
            days.update(each.since for each in state.prolonged if state.begin < each.since)
        comments = self._comments()
        days.update(self._since.values())
        days.update(begun, over, self._turning, comments)
        # Walk through these days, keeping the terms that are live and those that have ended.
        live: list[Bearing] = []
        ended = _Ended(text, self._bearings, text.catalog.lineage(self._product))
        turned = [0] * len(self._facts)
        for day in sorted(days - {FOREVER}):
            for number in self._turning.get(day, ()):
                turned[number] += 1
            for bearing in over.get(day, ()):
                if bearing in live:
                    live.remove(bearing)
                ended.add(bearing, self._action)
            for bearing in begun.get(day, ()):
                insort(live, bearing, key=_place)
            if day >= first:
                yield day, self._position(day, live, ended, turned, comments)

    def _position(
        self,
        day: date,
        live: Sequence[Bearing],
        ended: "_Ended",
        turned: Sequence[int],
        comments: Mapping[date, str],
    ) -> LegalPosition:
        text = self._text
        catalog_entry = text.catalog.products.get(self._product)
        dated = any(isinstance(text.live[bearing.place].term, Precedence) for bearing in live)
        return LegalPosition(
            action=self._action,
            product=(
                catalog_entry is not None,
                self._action == SERVE and text.catalog.takes(self._product, SELL),
                catalog_entry.first_shipped_by if catalog_entry is not None and dated else None,
            ),
            ahead=tuple(
                place
                for place, since in self._since.items()
                if day < since and any(bearing.place == place for bearing in live)
            ),
            live=tuple(live),
            ended=ended.kept(),
            facts=self._facts,
            turned=tuple(turned),
            commented=tuple(
                amendment for begins, amendment in sorted(comments.items()) if begins <= day
            ),
            prolonged=tuple(
                (bearing.place, by_turns)
                for bearing in live
                if (prolonged := text.live[bearing.place].prolonged)
                and (by_turns := sum(each.since <= day for each in prolonged))
            ),
        )

    def _comments(self) -> dict[date, str]:
        """Return the amendments that commentary comes from, by the day from which it is quoted."""
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


# Kinds whose terms are not lost but end.
_NeverLost = Uncited | RevenueShareTerm


class _Ended:
    """The terms that have ended and may still be cited, of one action and product.

    A term is dropped if one of its kind and parties that ended later covers all of its reach. Where
    rights depend on whoever gave them, the terms that once let somebody give them are kept too, so
    that a right that fell differs from one that never was.
    """

    def __init__(self, text: Text, bearings: Sequence[Bearing], lineage: frozenset[str]) -> None:
        self._text, self._lineage = text, lineage
        states = [text.live[bearing.place] for bearing in bearings]
        self._givers = Givers.of(states)
        self._given = any(giver_of(state.right or state.term) for state in states) or any(
            isinstance(fact, Grant) and fact.product in lineage for fact in text.known_facts.facts
        )
        self._last: dict[object, dict[_Reach, tuple[_Rank, Bearing]]] = defaultdict(dict)
        self._kept: dict[int, Bearing] = {}

    def add(self, bearing: Bearing, action: str) -> None:
        state = self._text.ended[bearing.place]
        alike, reach = _reach_once_ended(state.term, bearing, action)
        lost = self._lost(state)
        if self._given and (isinstance(state.term, Ownership) or may_license(state.term)):
            alike, reach, lost = bearing, _EVERYWHERE, state.end
        if alike is not None and lost is not None:
            # Ranked as the engine chooses: by day, then by amendment, then the first in the text.
            self._keep(bearing, self._last[alike], reach, (lost, state.order, -bearing.place))

    def _lost(self, state: TermState) -> date | None:
        """Return the day on which an ended term was lost; None for a right that never was."""
        term = state.term
        if isinstance(term, _NeverLost):
            return state.end
        match term:
            case Ownership():
                return state.end if state.begin <= state.end else None
            case Licence() | Exclusivity():
                lost = self._givers.lost(state, self._lineage, state.as_of)
            case Permission():
                if state.paused:
                    return state.end
                lost = self._givers.lost_permission(state, self._lineage, state.as_of)
            case _:
                assert_never(term)
        return lost.day if lost is not None else None

    def _keep(
        self,
        bearing: Bearing,
        last: "dict[_Reach, tuple[_Rank, Bearing]]",
        reach: "_Reach",
        rank: "_Rank",
    ) -> None:
        if any(later > rank and _covers(wide, reach) for wide, (later, _) in last.items()):
            return
        narrower = [
            narrow
            for narrow, (earlier, _) in last.items()
            if earlier < rank and _covers(reach, narrow)
        ]
        for narrow in narrower:
            _, covered = last.pop(narrow)
            del self._kept[covered.place]
        last[reach] = rank, bearing
        self._kept[bearing.place] = bearing

    def kept(self) -> tuple[Bearing, ...]:
        """Return the terms in the order of the fold."""
        return tuple([self._kept[place] for place in sorted(self._kept)])


# When a right was lost, and the place of its term in the order of the fold.
_Rank = tuple[date, int, int]
# The actions that a term bears on, then the names of each part that scopes may keep to.
_Reach = tuple[NAMES, ...]
_EVERYWHERE: _Reach = (frozenset(),)


def _covers(wide: _Reach, narrow: _Reach) -> bool:
    """Return whether a scope covers all of a narrower scope. An empty set of names covers all."""
    if not wide[0] >= narrow[0]:
        return False
    places = zip(wide[1:], narrow[1:], strict=True)
    return not any(outer and not (inner and inner <= outer) for outer, inner in places)


def _reach_once_ended(term: AnyTerm, bearing: Bearing, action: str) -> tuple[object, _Reach]:
    """Return a key that is equal for ended terms of one kind and parties, and the term's reach.

    The key is None for a term that is never cited once it has ended.
    """
    looked_at = _LOOKS_AT[action]
    if isinstance(term, Uncited):
        return None, _EVERYWHERE
    match term:
        case Exclusivity():
            reserved = frozenset(act for act in looked_at if term.bears_on(act))
            return Exclusivity, (reserved, *_where(term))
        case Licence():
            carries = (term.carries[index] for index in bearing.within)
            carried = tuple((scope.actions & looked_at, _where(scope)) for scope in carries)
            return (Licence, term.licensor, term.licensee, carried), _EVERYWHERE
        case RevenueShareTerm():
            return (RevenueShareTerm, term.payer, term.payee), _EVERYWHERE
        case Ownership():
            return (Ownership, term.party), _EVERYWHERE
        case Permission() if term.while_ or term.while_no:
            return (Permission, term.id), _EVERYWHERE  # it may be paused
        case Permission():
            return (Permission, term.party), (term.actions & looked_at, *_where(term))
        case _:
            assert_never(term)


def _where(scope: Scope | Permission | Exclusivity) -> tuple[NAMES, ...]:
    return tuple(getattr(scope, part.lists) for part in SCOPED)


class ActContexts:
    """The contexts of an agreement, with an index that finds terms by the names in their scopes."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._by_name: dict[str, list[int]] = defaultdict(list)
        named = {
            fact.product
            for fact in text.known_facts.facts
            if isinstance(fact, Launch | Answer | Grant | Withdrawal)
        }
        named |= {fact.subject for fact in text.known_facts.facts if isinstance(fact, Offer)}
        for place, state in enumerate(text.live):
            for name in _scope_names(state.term):
                self._by_name[name].append(place)
            named |= _inner_names(state.term)
        self._named = frozenset(named.union(self._by_name))

    def signature(self, product: str) -> object:
        """Return a key that is equal for two products that no term and no fact distinguishes.

        It is equal for two such classes, too.
        """
        catalog_entry = self._text.catalog.products.get(product)
        lineage = self._text.catalog.lineage(product)
        return (
            lineage & self._named,
            catalog_entry is not None,
            self._text.catalog.takes(product, SELL),
            catalog_entry.first_shipped_by if catalog_entry is not None else None,
        )

    def context(self, action: str, product: str) -> ActContext:
        """Return the context of an action and a product."""
        return ActContext(self._text, action, product, self.bearings(action, product))

    def bearings(self, action: str, product: str) -> list[Bearing]:
        """Return the terms that bear on an action and a product, in the order of the fold."""
        lineage = self._text.catalog.lineage(product)
        places = {place for name in (*lineage, "") for place in self._by_name.get(name, ())}
        bearings = []
        for place in sorted(places):
            within = _bears(self._text.live[place].term, action, lineage)
            if within is not None:
                bearings.append(Bearing(place, within))
        return bearings


def _inner_names(term: AnyTerm) -> frozenset[str]:
    """Return the names of products and classes in a term's inner scopes."""
    within = (use.names for use in uses(term) if use.number and use.noun == "product")
    return frozenset(name for names in within for name in names)


def _scope_names(term: AnyTerm) -> Iterable[str]:
    """Return the products and classes to index a term by; the empty name if it may bear on any."""
    if isinstance(term, Traded):
        return term.products
    match term:
        case Ownership():
            return term.products
        case Licence():
            carried = {name for scope in term.carries for name in scope.products or ("",)}
            return term.products | carried
        case RevenueShareTerm():
            return ("",)
        case Inoperative():
            return ()
        case _:
            assert_never(term)


def _bears(term: AnyTerm, action: str, lineage: frozenset[str]) -> tuple[int, ...] | None:
    """Return the places of a term's inner scopes that bear on an action and a product.

    Return None if the term itself does not bear on them.
    """
    looked_at = _LOOKS_AT[action]
    if isinstance(term, Traded):
        if _may_found_a_right(term, action):
            return None if lineage.isdisjoint(term.products) else ()
        if looked_at.isdisjoint(term.actions) or lineage.isdisjoint(term.products):
            return None
        carve_outs = term.except_ if isinstance(term, Forbidding) else ()
        return _scopes_on(carve_outs, looked_at, lineage)
    match term:
        case RevenueShareTerm():
            if action != SHARE:
                return None
            # A question without a product is about the share as a whole.
            return () if "" in lineage or term.base.takes_in(lineage, "") else (1,)
        case Ownership():
            return () if action != SHARE and not lineage.isdisjoint(term.products) else None
        case Licence():
            if action == USE:
                return None if lineage.isdisjoint(term.products) else ()
            carried = (
                _scopes_on(term.carries, looked_at, lineage) if action in (SERVE, SELL) else ()
            )
            return carried or None
        case Inoperative():
            return None
        case _:
            assert_never(term)


def _may_found_a_right(term: Traded, action: str) -> bool:
    """Return whether a right to act may rest on a permission that lets its grantor or licensor
    license."""
    return (
        isinstance(term, Permission)
        and LICENSE in term.actions
        and action in (SERVE, SELL, CONTRACT)
    )


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
    """Return in order the days on which a fact's effect changes.

    The effect of a launch also changes when a lead of ship-first ends.
    """
    leading = (
        [fact.effective + timedelta(days=lead) for lead in leads]
        if isinstance(fact, Launch)
        else []
    )
    return sorted({*fact.turns, *leading})


def _facts_on(text: Text, action: str, product: str, bearings: Iterable[Bearing]) -> Iterator[int]:
    """Yield the places of the known facts that may bear on an action and a product."""
    # A share is due by its terms: no fact bears on it beyond the fold.
    if action == SHARE:
        return
    lineage = text.catalog.lineage(product)
    subjects = {
        term.subject_of(product)
        for bearing in bearings
        if isinstance(term := text.live[bearing.place].term, Offered)
    }
    for place, fact in enumerate(text.known_facts.facts):
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
    """Names in classes: the number of each name's class, and a name that stands for each class."""

    numbers: Mapping[str, int]
    names: Sequence[str]
    _offsets: dict[int, dict[str, int]] = msgspec.field(default_factory=dict)

    @classmethod
    def telling_apart(cls, names: Iterable[str], sets: Iterable[frozenset[str]]) -> "Classes":
        """Put two names in the same class if each of `sets` holds both or neither."""
        held: dict[str, list[int]] = {name: [] for name in names}
        for number, names_in_set in enumerate(sets):
            for name in names_in_set:
                if name in held:
                    held[name].append(number)
        numbers: dict[str, int] = {}
        stand_ins: dict[tuple[int, ...], tuple[int, str]] = {}
        for name, by in held.items():
            numbers[name] = stand_ins.setdefault(tuple(by), (len(stand_ins), name))[0]
        return cls(numbers, [name for _, name in stand_ins.values()])

    def another(self, name: str) -> str:
        """Return another name of a name's class; empty if it has no other."""
        number = self.numbers[name]
        return next((n for n, of in self.numbers.items() if of == number and n != name), "")

    def offsets(self, step: int) -> dict[str, int]:
        """Return the offset of each name's class, with classes `step` places apart."""
        if step not in self._offsets:
            self._offsets[step] = {name: number * step for name, number in self.numbers.items()}
        return self._offsets[step]


# The names that a legal position distinguishes, in classes, by part.
Partition = dict[Part, Classes]
_PARTY, _CLOUD, _SELLER = BY_NAME["party"], BY_NAME["cloud"], BY_NAME["seller"]


class Partitions:
    """The partitions of an agreement's legal positions. Equal partitions share their classes."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._asked = {
            action: {part: part.allowed(text.catalog, action) for part in FREE}
            for action in ACTIONS
        }
        # The same terms bear on many legal positions.
        self._distinctions: dict[Bearing, _Distinctions] = {}
        # The same facts bear on a product and an action on every day.
        self._of_facts: dict[tuple[int, ...], _Distinctions] = {}
        self._classes: dict[tuple[tuple[str, ...], frozenset[NAMES]], Classes] = {}

    def of(self, position: LegalPosition, *, for_another: bool = False) -> Partition:
        """Return the partition of a position; of serving, either for itself or for another."""
        bearings = (*position.live, *position.ended)
        of_facts = self._distinctions_of_facts(position.facts)
        distinctions = of_facts.union(*map(self._distinctions_of, bearings))
        return self._partition(position.action, distinctions, for_another=for_another)

    def of_nothing(self, action: str) -> Partition:
        """Return the partition in which nothing is distinguished: one class of each kind."""
        return self._partition(action, _NO_DISTINCTIONS)

    def _distinctions_of(self, bearing: Bearing) -> "_Distinctions":
        if bearing not in self._distinctions:
            term = self._text.live[bearing.place].term
            self._distinctions[bearing] = _distinctions_of_term(term, bearing, self._text.catalog)
        return self._distinctions[bearing]

    def _distinctions_of_facts(self, places: tuple[int, ...]) -> "_Distinctions":
        if places not in self._of_facts:
            facts = [self._text.known_facts.facts[place] for place in places]
            self._of_facts[places] = _NO_DISTINCTIONS.union(*map(self._distinctions_of_fact, facts))
        return self._of_facts[places]

    def _distinctions_of_fact(self, fact: Fact) -> "_Distinctions":
        match fact:
            case Grant() | Withdrawal():
                named = ((part, getattr(fact, part.name, None)) for part in _DISTINGUISHED)
                return frozenset((part, _alone(name)) for part, name in named if name is not None)
            case Launch():
                operator = self._text.catalog.operators.get(fact.cloud, "")
                return frozenset({(_CLOUD, _alone(fact.cloud)), (_PARTY, _alone(operator))})
            case _:
                return _NO_DISTINCTIONS

    def _partition(
        self, action: str, distinctions: "_Distinctions", *, for_another: bool = False
    ) -> Partition:
        sets: dict[Part, set[NAMES]] = {part: set() for part in _DISTINGUISHED}
        for part, names in distinctions:
            sets[part].add(names)
        # Terms that name parties distinguish other parties too.
        distinguished = {BY_NAME["to"]: sets[_PARTY]} | sets
        # Where the party itself sells, terms that name sellers distinguish parties. Where another
        # sells what it serves, the seller is a name of its own.
        if not for_another:
            distinguished[_PARTY] = sets[_PARTY] | sets[_SELLER]
            distinguished[_SELLER] = set()
        return {
            part: self._telling_apart(names, distinguished.get(part, set()))
            for part, names in self._asked[action].items()
        }

    def _telling_apart(self, names: tuple[str, ...], sets: set[NAMES]) -> Classes:
        key = (names, frozenset(sets))
        if key not in self._classes:
            self._classes[key] = Classes.telling_apart(names, sets)
        return self._classes[key]


# The parts whose names terms or facts distinguish from all other names.
_DISTINGUISHED = (_PARTY, *SCOPED)
# The sets of names that terms or facts distinguish, each with its part.
_Distinctions = frozenset[tuple[Part, NAMES]]
_NO_DISTINCTIONS: _Distinctions = frozenset()


def _distinctions_of_term(term: AnyTerm, bearing: Bearing, catalog: Catalog) -> _Distinctions:
    """Return the sets of names in a term. An empty scope distinguishes nothing."""
    parties = _parties_in(term)
    distinctions = {(_PARTY, _alone(party)) for party in parties}
    for scope in _places_in(term, bearing):
        distinctions |= {(part, names) for part in SCOPED if (names := _kept(scope, part))}
    # A party that the term binds may host what others sell on its clouds, so these count too. Some
    # conditions name nobody and bind the owner, who stands in its own term.
    if isinstance(term, Forbidding | Conditional | Ownership):
        distinctions |= {(_CLOUD, names) for names in map(catalog.own_cloud, parties) if names}
    return frozenset(distinctions)


def _kept(scope: object, part: Part) -> NAMES:
    """Return the names that a scope keeps to; empty if its kind cannot keep to the part."""
    names: NAMES = getattr(scope, part.lists, frozenset())
    return names


@cache
def _alone(name: str) -> NAMES:
    return frozenset({name})


def _parties_in(term: AnyTerm) -> frozenset[str]:
    if isinstance(term, Barring):
        return term.barred - {ANYONE}
    match term:
        case Ownership() | Precedence():
            return frozenset({term.party})
        case Permission():
            return frozenset({term.party}) - {ANYONE}
        case Exclusivity():
            return term.only.parties | term.only.licensees
        case RefusalRight():
            return frozenset({term.holder, term.grantor}) - {""}
        case Licence():
            return frozenset({term.licensee})
        case RevenueShareTerm():
            return frozenset({term.payer, term.payee})
        case Inoperative():
            return frozenset()
        case _:
            assert_never(term)


def _places_in(term: AnyTerm, bearing: Bearing) -> Iterator[Scope]:
    """Yield the clouds, sellers, segments and regions that a term distinguishes from others."""
    if isinstance(term, Forbidding):
        yield from (term.except_[index] for index in bearing.within)
    if isinstance(term, Barring):
        yield _places(term, term.clouds)
        return
    match term:
        case Exclusivity():
            yield _places(term.only, term.only.clouds)
            yield _places(term, term.clouds)
        case Precedence():
            yield _places(term, frozenset({term.first}))
        case RefusalRight():
            yield _places(term, term.except_clouds)
        case Licence():
            yield from (term.carries[index] for index in bearing.within)
        case RevenueShareTerm():
            # A question without a cloud differs from a question about a cloud outside the base.
            yield from (
                Scope(clouds=clouds)
                for clouds in (term.base.clouds, _alone(""))
                if term.base.clouds
            )
        case Permission():
            yield _places(term, term.clouds)
        case Ownership() | Inoperative():
            pass
        case _:
            assert_never(term)


def _places(scope: Traded | Only, clouds: NAMES) -> Scope:
    places = {part.lists: _kept(scope, part) for part in SCOPED}
    return Scope(**places | {_CLOUD.lists: clouds})
