"""Remark on errors, doubts and idle parts of a readable agreement, each with its file and line.

    error     The text contradicts itself: conflicts, grants that an exclusivity takes back, two
              owners.
    warning   Probably not meant: gaps in ownership, overlaps, terms that are never in force or
              reach nothing.
    note      Worth knowing: terms that rest on our own reading alone, idle definitions, clauses in
              prose only.

Terms are in force as the fold (`force`) computes it, with everything known, under every combination
of the readings that terms depend on. `CHECKS` lists the checks. `reader` reports the mistakes that
keep a text from being read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import combinations, islice
from itertools import product as every
from typing import TypeVar, assert_never

import msgspec

from clauseway.agreement.force.fold import boundaries, changed_by, in_force
from clauseway.agreement.language.agreement import OURS, Agreement, Amendment, Change
from clauseway.agreement.language.facts import Answer, EventHappened, FactRegister, Grant, Launch
from clauseway.agreement.language.names import uses
from clauseway.agreement.language.terms import (
    ANYONE,
    NAMES,
    AnyTerm,
    Commitment,
    Context,
    Exclusivity,
    Forbidding,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Term,
    Traded,
    Undertaking,
)
from clauseway.agreement.text.mistakes import DEFINITIONS
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.values import FOREVER, Citation, Interval, KnownAt

# The last day there is: by then every change has had its effect on every end.
_LAST_DAY = FOREVER - timedelta(days=1)
# Combinations of readings multiply. A text with more has enough to fix in the first of them.
_COMBINATIONS_MAX = 256

K = TypeVar("K", bound=Term)
# Where an act happens, to whom, and who sells, by the keys of scopes.
_WHERE = ("clouds", "sellers", "segments", "regions")
_Where = Scope | Permission | Exclusivity | Prohibition
_Place = Mapping[str, str]
# What of an action rests on which other actions, as a sale on a cloud rests on serving there.
RestsOn = Mapping[str, frozenset[str]]
_NONE: Mapping[str, frozenset[str]] = {}


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that `check` says of a text: where, what, why, and what to do about it."""

    severity: Severity
    kind: str
    document: str
    line: int
    what: str
    why: str
    todo: str


def check_agreement(
    agreement: Agreement, facts: FactRegister, rests_on: RestsOn = _NONE
) -> tuple[Remark, ...]:
    """Return every remark on an agreement, the gravest first, then in order of file and line."""
    text = _Text(agreement, facts, rests_on)
    found = dict.fromkeys(remark for check in CHECKS for remark in check(text))
    return tuple(
        sorted(
            found,
            key=lambda one: (list(Severity).index(one.severity), one.document, one.line, one.what),
        )
    )


class _Text:
    """An agreement with what the checks ask of it, worked out once."""

    def __init__(self, agreement: Agreement, facts: FactRegister, rests_on: RestsOn) -> None:
        self.agreement = agreement
        self.catalog: Catalog = agreement.catalog
        self.facts = facts
        self.rests_on = rests_on
        self._cells: dict[tuple[NAMES, NAMES], frozenset[tuple[str, str]]] = {}

    @cached_property
    def terms(self) -> list[tuple[Amendment, AnyTerm]]:
        return [
            (amendment, term) for amendment in self.agreement.amendments for term in amendment.terms
        ]

    @cached_property
    def amendment_of(self) -> dict[str, str]:
        return {term.id: amendment.id for amendment, term in self.terms}

    @cached_property
    def lives(self) -> list[dict[str, tuple[AnyTerm, Interval]]]:
        """Return, for each combination of readings, the terms ever in force, and when; oldest first."""
        known = self.facts.known(KnownAt.everything())
        agreement = _whatever_happens(self.agreement)
        found = []
        for readings in self.readings_of(amendment for amendment in self.agreement.amendments):
            states = in_force(agreement, known, _LAST_DAY, KnownAt.everything(), readings).states
            lives = {
                state.term.id: (state.term, Interval(state.term.begins, state.end))
                for state in states
            }
            found.append(
                {
                    id: lives[id]
                    for id in self.amendment_of
                    if id in lives and not lives[id][1].is_empty
                }
            )
        return found

    def readings_of(self, amendments: Iterable[Amendment]) -> list[dict[str, str]]:
        """Return every combination of the readings that these depend on, with defaults for others."""
        named = sorted(
            {
                reading
                for amendment in amendments
                for one in _timed(amendment)
                for reading in one.under
            }
        )
        options = (self.agreement.readings[name].options for name in named)
        chosen = islice(every(*options), _COMBINATIONS_MAX)
        defaults = self.agreement.default_readings()
        return [{**defaults, **dict(zip(named, one, strict=True))} for one in chosen]

    @cached_property
    def askable(self) -> list[tuple[str, frozenset[str]]]:
        """Return the products and classes that a question may name, with the actions of each."""
        classes = self.catalog.classes
        named = [
            *(name for name, known in classes.items() if known.actions),
            *self.catalog.products,
        ]
        return [(name, classes[self.catalog.class_of(name)].actions) for name in named]

    def cells(self, actions: NAMES, products: NAMES) -> frozenset[tuple[str, str]]:
        """Return the actions and askable names that a scope covers."""
        key = (actions, products)
        if key not in self._cells:
            self._cells[key] = frozenset(
                (action, name)
                for name, taken in self.askable
                if any(self.catalog.belongs(name, one) for one in products)
                for action in actions & taken
            )
        return self._cells[key]

    def cells_of(self, scope: Scope) -> frozenset[tuple[str, str]]:
        """Do the same for a carve-out or for a scope of a licence. An empty list means any."""
        return self.cells(scope.actions or self._actions, scope.products or self._classes)

    @cached_property
    def _actions(self) -> NAMES:
        return frozenset(action for _, taken in self.askable for action in taken)

    @cached_property
    def _classes(self) -> NAMES:
        return frozenset(self.catalog.classes)

    @cached_property
    def every(self) -> Mapping[str, NAMES]:
        """All names of a part of an act, by the key under which a scope names them."""
        catalog = self.catalog
        regions = frozenset({*catalog.regions, ELSEWHERE}) if catalog.regions else frozenset({""})
        return {
            "clouds": catalog.clouds,
            "sellers": catalog.parties,
            "segments": catalog.segments,
            "regions": regions,
            "parties": catalog.parties,
            "licensees": catalog.parties,
        }

    def places(self, within: Iterable[_Where], told: Iterable[_Where], but: str) -> list[_Place]:
        """Where an act may happen within all of these scopes, told by clouds, sellers, segments and regions, `but` one:
        of names that none of `told` mentions, one stands for all."""
        sides = []
        for key in _WHERE:
            inside = frozenset(self.every[key]).intersection(
                *(getattr(one, key) or self.every[key] for one in within)
            )
            named = frozenset().union(*(getattr(one, key) for one in told))
            sides.append(
                [""] if key == but else [*sorted(inside & named), *sorted(inside - named)[:1]]
            )
        return [dict(zip(_WHERE, one, strict=True)) for one in every(*sides)]

    def pairs(self, one: type[K], other: type[AnyTerm]) -> Iterator[tuple[K, AnyTerm, Interval]]:
        """Yield terms of two kinds that are in force at once under some readings; each pair once."""
        told: set[tuple[str, str]] = set()
        for lives in self.lives:
            firsts = [(term, life) for term, life in lives.values() if isinstance(term, one)]
            seconds = [(term, life) for term, life in lives.values() if isinstance(term, other)]
            both = combinations(firsts, 2) if one is other else every(firsts, seconds)
            for (first, first_life), (second, second_life) in both:
                together = first_life.intersect(second_life)
                if not together.is_empty and (first.id, second.id) not in told:
                    told.add((first.id, second.id))
                    yield first, second, together

    def amendments_on(self, term: AnyTerm) -> list[Amendment]:
        """Those that write a term or change it, oldest first, with nothing else in them."""
        own = self.amendment_of[term.id]
        changed = {amendment.id: changes for amendment, changes in self._changed.get(term.id, ())}
        return [
            msgspec.structs.replace(
                amendment,
                terms=(term,) if amendment.id == own else (),
                changes=changed.get(amendment.id, ()),
            )
            for amendment in self.agreement.amendments
            if amendment.id == own or amendment.id in changed
        ]

    @cached_property
    def _changed(self) -> dict[str, list[tuple[Amendment, tuple[Change, ...]]]]:
        """Return, for each term, the amendments that change it, with their changes of it."""
        found: dict[str, list[tuple[Amendment, tuple[Change, ...]]]] = {}
        for amendment in self.agreement.amendments:
            named: dict[str, tuple[Change, ...]] = {}
            for change in amendment.changes:
                for term in (*change.ends, *change.sets_end):
                    named[term] = (*named.get(term, ()), change)
            for term, changes in named.items():
                found.setdefault(term, []).append((amendment, changes))
        return found


def _whatever_happens(agreement: Agreement) -> Agreement:
    """The agreement with each term in force whenever events may let it be: a text is sound whatever happens."""
    return msgspec.structs.replace(
        agreement,
        amendments=tuple(
            msgspec.structs.replace(
                amendment,
                terms=tuple(
                    msgspec.structs.replace(term, from_="", while_="", while_no="")
                    if term.from_ or term.while_ or term.while_no
                    else term
                    for term in amendment.terms
                ),
            )
            for amendment in agreement.amendments
        ),
    )


def _timed(amendment: Amendment) -> list[AnyTerm | Change]:
    timed: list[AnyTerm | Change] = [*amendment.terms]
    return [*timed, *amendment.changes]


def _remark(severity: Severity, kind: str, at: Citation, what: str, why: str, todo: str) -> Remark:
    return Remark(
        severity=severity,
        kind=kind,
        document=at.document,
        line=at.line,
        what=what,
        why=why,
        todo=todo,
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


# Conflicts


def _conflicts(text: _Text) -> Iterator[Remark]:
    """Remark on two exclusivities that no act can satisfy together."""
    for earlier, later, together in text.pairs(Exclusivity, Exclusivity):
        if (
            not isinstance(later, Exclusivity)
            or (at := _nothing_left(text, earlier, later)) is None
        ):
            continue
        action, name = at
        yield _remark(
            Severity.ERROR,
            "conflict",
            later.citation,
            f"{earlier.id} and {later.id} leave no way to {action} {name}",
            f"one reserves it to {_listed(_kept_for(earlier))}, the other to {_listed(_kept_for(later))}, "
            f"and both are in force from {together.begin}",
            "End one of them in a change, or except the case from one.",
        )


def _nothing_left(text: _Text, earlier: Exclusivity, later: Exclusivity) -> tuple[str, str] | None:
    """Return an action and product covered by both, of which no act is allowed by both, or None."""
    by = _reserved_by(earlier)
    if by != _reserved_by(later) or not _kept_for(earlier).isdisjoint(_kept_for(later)):
        return None
    shared = text.cells(earlier.actions, earlier.products) & text.cells(
        later.actions, later.products
    )
    for cell, place in every(
        sorted(shared), text.places((earlier, later), (*_told(earlier), *_told(later)), by)
    ):
        if _allowed(text, earlier, cell, place).isdisjoint(_allowed(text, later, cell, place)):
            return cell
    return None


def _told(term: Exclusivity) -> tuple[_Where, ...]:
    """Return the scopes of an exclusivity: its own and its carve-outs."""
    return (term, *term.except_)


def _reserved_by(term: Exclusivity) -> str:
    """Return the part of an act by which an exclusivity reserves, such as "clouds"."""
    return next(
        key
        for key in ("clouds", "sellers", "regions", "parties", "licensees")
        if getattr(term.only, key)
    )


def _kept_for(term: Exclusivity) -> NAMES:
    kept: NAMES = getattr(term.only, _reserved_by(term))
    return kept


def _allowed(text: _Text, term: Exclusivity, cell: tuple[str, str], place: _Place) -> NAMES:
    """The clouds, sellers, regions, parties or licensees that an exclusivity leaves an act that it covers, with those
    outside its own scope and those of its carve-outs."""
    by = _reserved_by(term)
    whole = text.every[by]
    own: NAMES = getattr(term, by, frozenset())
    allowed = _kept_for(term) | (whole - own if own else frozenset())
    for scope in term.except_:
        if cell in text.cells_of(scope) and _covers(scope, place, by):
            allowed |= getattr(scope, by, frozenset()) or whole
    return allowed


def _covers(scope: _Where, place: _Place, but: str) -> bool:
    """Return whether a place lies in a scope, ignoring one part of the scope."""
    return all(
        not (named := getattr(scope, key)) or place[key] in named for key in _WHERE if key != but
    )


def _two_owners(text: _Text) -> Iterator[Remark]:
    for earlier, later, together in text.pairs(Ownership, Ownership):
        if not isinstance(later, Ownership) or earlier.party == later.party:
            continue
        both = [
            name
            for name, _ in text.askable
            if _in(text, name, earlier.products) and _in(text, name, later.products)
        ]
        if both:
            yield _remark(
                Severity.ERROR,
                "conflict",
                later.citation,
                f"{both[0]} has two owners",
                f"{earlier.id} says {earlier.party}, {later.id} says {later.party}, from {together.begin}",
                f"End {earlier.id} in a change, or take {both[0]} out of one of the two.",
            )


def _in(text: _Text, name: str, scope: NAMES) -> bool:
    return any(text.catalog.belongs(name, one) for one in scope)


# Grants that are taken back


class _Granted(msgspec.Struct, frozen=True):
    """A grant by a term to a party: by the term itself, or carried by a licence."""

    term: AnyTerm
    party: str
    scope: Scope


def _granted(term: AnyTerm) -> list[_Granted]:
    match term:
        case Permission() if term.party != ANYONE:
            scope = Scope(
                actions=term.actions,
                products=term.products,
                clouds=term.clouds,
                sellers=term.sellers,
                segments=term.segments,
                regions=term.regions,
            )
            return [_Granted(term, term.party, scope)]
        case Licence():
            return [_Granted(term, term.licensee, scope) for scope in term.carries]
    return []


def _contradictions(text: _Text) -> Iterator[Remark]:
    """Remark on a grant inside an exclusivity that forbids what it grants."""
    for kind in (Permission, Licence):
        for exclusivity, term, together in text.pairs(Exclusivity, kind):
            if isinstance(term, Permission) and term.overrides(exclusivity.id):
                continue
            for grant in _granted(term):
                yield from _taken_back(text, exclusivity, grant, together)
            if isinstance(term, Licence) and exclusivity.only.licensees:
                yield from _licensed_past(text, exclusivity, term, together)


def _taken_back(
    text: _Text, exclusivity: Exclusivity, grant: _Granted, together: Interval
) -> Iterator[Remark]:
    cells = text.cells_of(grant.scope)
    covered = text.cells(exclusivity.actions, exclusivity.products)
    if {name for _, name in cells}.isdisjoint(name for _, name in covered):
        return
    by = _reserved_by(exclusivity)
    places = text.places((grant.scope,), (grant.scope, *_told(exclusivity)), by)
    points = list(every(sorted(cells), places))
    forbidden = [
        (cell, place)
        for cell, place in points
        if _covers(exclusivity, place, by)
        and _is_forbidden(text, exclusivity, grant, cell, place, covered)
    ]
    if forbidden:
        whole = len(forbidden) == len(points)
        (action, name), _ = forbidden[0]
        yield _contradiction(
            exclusivity,
            grant.term,
            whole,
            f"{exclusivity.id} forbids {'all' if whole else f'{action} of {name},'} that {grant.term.id} grants",
            f"{grant.party} may act by the one, the other reserves it to {_listed(_kept_for(exclusivity))}, "
            f"and both are in force from {together.begin}",
        )


def _is_forbidden(
    text: _Text,
    exclusivity: Exclusivity,
    grant: _Granted,
    cell: tuple[str, str],
    place: _Place,
    covered: frozenset[tuple[str, str]],
) -> bool:
    """Return whether an exclusivity forbids a whole grant, or part of it.

    A part is some of the clouds, sellers or regions that are granted by name.
    """
    action, name = cell
    by = _reserved_by(exclusivity)
    rests_on = text.rests_on.get(action, frozenset()) if by in _WHERE else frozenset()
    for needed_action in sorted({action} | rests_on):
        if (needed_action, name) not in covered:
            continue
        allowed = _allowed(text, exclusivity, (needed_action, name), place)
        if by in _WHERE and (getattr(grant.scope, by) - allowed or not allowed):
            return True
        if exclusivity.only.parties and grant.party not in allowed:
            return True
    return False


def _licensed_past(
    text: _Text, exclusivity: Exclusivity, licence: Licence, together: Interval
) -> Iterator[Remark]:
    """Remark on a licence to a party outside those to whom licences are reserved."""
    licensed = [name for name, _ in text.askable if _in(text, name, licence.products)]
    reserved = [name for name in licensed if _in(text, name, exclusivity.products)]
    if reserved and licence.licensee not in exclusivity.only.licensees:
        yield _contradiction(
            exclusivity,
            licence,
            len(reserved) == len(licensed),
            f"{exclusivity.id} forbids the licence of {reserved[0]} that {licence.id} grants",
            f"{licence.licensee} is licensed by the one, the other reserves licences to "
            f"{_listed(exclusivity.only.licensees)}, and both are in force from {together.begin}",
        )


def _contradiction(
    exclusivity: Exclusivity, term: AnyTerm, whole: bool, what: str, why: str
) -> Remark:
    severity = Severity.ERROR if whole else Severity.WARNING
    todo = (
        f"End {exclusivity.id} or {term.id} in a change, or except the case from {exclusivity.id}."
    )
    return _remark(severity, "contradicted-grant", term.citation, what, why, todo)


# Gaps and overlaps


def _gaps(text: _Text) -> Iterator[Remark]:
    """Remark on a class that nobody owns while some amendment is in force."""
    first = min(amendment.effective for amendment in text.agreement.amendments)
    days = [
        day for day in boundaries(text.agreement, text.facts, KnownAt.everything()) if day >= first
    ]
    for name, known in text.catalog.classes.items():
        if known.actions and (day := _unowned_from(text, name, known.actions, days)) is not None:
            yield _remark(
                Severity.WARNING,
                "gap",
                _defined(text, "classes", name),
                f"nobody owns {name} from {day}",
                "no ownership in force names it, and nobody could grant it: every answer about it is unstated",
                f"Write an ownership of {name}, or a permission of party anyone.",
            )


def _unowned_from(text: _Text, name: str, actions: NAMES, days: Iterable[date]) -> date | None:
    lives = [life for readings in text.lives for life in [list(readings.values())]]
    for day in days:
        for readings in lives:
            live = [term for term, life in readings if day in life]
            owned = any(
                isinstance(term, Ownership) and _in(text, name, term.products) for term in live
            )
            if not owned and not all(_is_public(text, live, action, name) for action in actions):
                return day
    return None


def _is_public(text: _Text, live: Iterable[AnyTerm], action: str, name: str) -> bool:
    return any(
        isinstance(term, Permission)
        and term.party == ANYONE
        and action in term.actions
        and not any(getattr(term, key) for key in _WHERE)
        and _in(text, name, term.products)
        for term in live
    )


def _overlaps(text: _Text) -> Iterator[Remark]:
    """Remark on two terms in force at once, of different amendments, with equal kind and scope."""
    told: set[tuple[str, str]] = set()
    for lives in text.lives:
        alike: dict[object, list[tuple[AnyTerm, Interval]]] = {}
        for term, life in lives.values():
            if (scope := _scope_of(term)) is not None:
                alike.setdefault((type(term), scope), []).append((term, life))
        for group in alike.values():
            for (earlier, earlier_life), (later, later_life) in combinations(group, 2):
                together = earlier_life.intersect(later_life)
                pair = (earlier.id, later.id)
                if pair in told or together.is_empty or _same_amendment(text, earlier, later):
                    continue
                told.add(pair)
                yield _remark(
                    Severity.WARNING,
                    "overlap",
                    later.citation,
                    f"{later.id} says what {earlier.id} says",
                    f"both are in force from {together.begin}, and neither replaces the other",
                    f"End {earlier.id} in a change of {text.amendment_of[later.id]}, or delete {later.id}.",
                )


def _same_amendment(text: _Text, earlier: AnyTerm, later: AnyTerm) -> bool:
    return text.amendment_of[earlier.id] == text.amendment_of[later.id]


_OF_EVERY_TERM = frozenset(field.name for field in msgspec.structs.fields(Term))


def _scope_of(term: AnyTerm) -> object:
    """Return a term's content beside its days; None if only its prose holds the content."""
    match term:
        case Undertaking() | Context() | Commitment():
            return None
        case RevenueShareTerm():
            return term.payer, term.payee, term.base
        case Stake():
            return term.holder, term.of
        case (
            Ownership()
            | Permission()
            | Exclusivity()
            | Prohibition()
            | Precedence()
            | RefusalRight()
            | Licence()
        ):
            fields = msgspec.structs.asdict(term)
        case _:
            assert_never(term)
    return repr(
        [(name, _ordered(value)) for name, value in fields.items() if name not in _OF_EVERY_TERM]
    )


def _ordered(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


# Terms that do nothing


def _never_in_force(text: _Text) -> Iterator[Remark]:
    """Remark on a term that never comes into force, with any knowledge and under any reading."""
    for amendment, term in text.terms:
        about = text.amendments_on(term)
        small = _whatever_happens(msgspec.structs.replace(text.agreement, amendments=tuple(about)))
        points = {
            amendment.known,
            *(one.known for one in about if one.changes and one.known > amendment.known),
            # What is learned later of an event may undo an end: a cure that prevented it.
            *(
                fact.known
                for fact in text.facts.facts
                if isinstance(fact, EventHappened) and fact.known > amendment.known
            ),
        }
        # A term that has ended by the day it begins has ended for good, so that day is enough.
        states = [
            state
            for point in sorted(points)
            for readings in text.readings_of(about)
            for state in in_force(
                small, text.facts.known(point), term.begins, point, readings
            ).states
        ]
        if states and not any(state.in_force for state in states):
            by = "its own end" if states[0].ended_by.term == term.id else states[0].ended_by.term
            yield _remark(
                Severity.WARNING,
                "dead",
                term.citation,
                f"{term.id} is never in force",
                f"{by} ends it before it begins on {term.begins}",
                "Delete it, or fix its days or what ends it.",
            )


def _changes_nothing(text: _Text) -> Iterator[Remark]:
    """Remark on a change of a term that, under every reading, had ended by then.

    Such a change neither revives the term nor moves its end.
    """
    for amendment in text.agreement.amendments:
        for change in amendment.changes:
            for term in (*change.ends, *change.sets_end):
                if not any(term in effects for effects in _effects(text, change)):
                    yield _remark(
                        Severity.NOTE,
                        "idle-change",
                        change.citation,
                        f"{change.id} changes nothing of {term}",
                        f"it had ended by {amendment.effective}, when the change takes effect",
                        f"Take {term} out of it, or fix a date.",
                    )


def _effects(text: _Text, change: Change) -> Iterator[frozenset[str]]:
    """Return, for each combination of readings, the terms on which a change has an effect."""
    known = text.facts.known(KnownAt.everything())
    for readings in text.readings_of(text.agreement.amendments):
        yield changed_by(text.agreement, known, readings, change)


def _reach_nothing(text: _Text) -> Iterator[Remark]:
    """Remark on a term whose scope is empty, or that distinguishes nothing."""
    for _, term in text.terms:
        for why in _idle(text, term):
            yield _remark(
                Severity.WARNING,
                "unreachable",
                term.citation,
                f"{term.id} reaches nothing",
                why,
                "Fix its scope, or delete it.",
            )


def _idle(text: _Text, term: AnyTerm) -> Iterator[str]:
    clouds = text.catalog.clouds
    if isinstance(term, Traded) and not text.cells(term.actions, term.products):
        yield f"no product or class in {_listed(term.products) or 'it'} takes {_listed(term.actions) or 'an action'}"
    if isinstance(term, Ownership | Licence) and not any(
        _in(text, name, term.products) for name, _ in text.askable
    ):
        yield "it names no product and no class of which anything can be asked"
    if isinstance(term, Licence) and (
        idle := [scope for scope in term.carries if not text.cells_of(scope)]
    ):
        yield f"it carries {_listed(idle[0].actions)} of {_listed(idle[0].products)}, which take no such action"
    if isinstance(term, Exclusivity) and _kept_for(term) >= (
        getattr(term, _reserved_by(term), None) or text.every[_reserved_by(term)]
    ):
        yield f"it is reserved to all {_reserved_by(term)}, so nothing lies outside it"
    if isinstance(term, Forbidding):
        yield from (
            f"its carve-out {number} covers nothing of it"
            for number in _idle_carve_outs(text, term)
        )
    if isinstance(term, RefusalRight) and term.except_clouds >= clouds:
        yield "every cloud is excepted"
    if isinstance(term, Precedence) and clouds <= {term.first}:
        yield f"there is no cloud but {term.first}"


def _idle_carve_outs(text: _Text, term: Forbidding) -> Iterator[int]:
    covered = text.cells(term.actions, term.products)
    for number, scope in enumerate(term.except_, start=1):
        if covered.isdisjoint(text.cells_of(scope)) or not text.places((scope, term), (), ""):
            yield number


# Notes


def _uncited(text: _Text) -> Iterator[Remark]:
    """Remark on terms and changes that no public source states."""
    for amendment in text.agreement.amendments:
        for one in _timed(amendment):
            if not _is_ours(one.citation.source):
                continue
            yield _remark(
                Severity.NOTE,
                "uncited",
                one.citation,
                f"{one.id} rests on our own reading alone",
                "no public source is named for it",
                "Name a source, or leave it as what we read into the text.",
            )


def _is_ours(source: str) -> bool:
    """Return whether a citation's only source is our own reading, with or without a passage."""
    return source == OURS or (source.startswith(f"{OURS} (") and "; " not in source)


def _never_mentioned(text: _Text) -> Iterator[Remark]:
    """Remark on classes, products, readings and regions that no term mentions."""
    named = {
        name
        for _, term in text.terms
        for _, what, names in uses(term)
        if what == "product"
        for name in names
    }
    named |= {
        fact.product for fact in text.facts.facts if isinstance(fact, Launch | Answer | Grant)
    }
    for section, names in (("classes", text.catalog.classes), ("products", text.catalog.products)):
        for name in names:
            if not any(
                text.catalog.belongs(name, one) or _encloses(text, name, one) for one in named
            ):
                yield _idle_definition(
                    text, section, name, "no term's scope holds it, nor anything within it"
                )
    regions = [names for _, term in text.terms for _, what, names in uses(term) if what == "region"]
    for region in text.catalog.regions if not any(regions) else ():
        yield _idle_definition(
            text, "regions", region, "no term tells regions apart, and each question must name one"
        )
    for event in text.agreement.events:
        if event not in _events_used(text):
            yield _idle_definition(text, "events", event, "no term and no other event waits for it")
    for reading in text.agreement.readings.values():
        if reading.id not in _readings_used(text):
            yield _idle_definition(text, "readings", reading.id, "nothing stands under it")


def _encloses(text: _Text, wider: str, name: str) -> bool:
    return wider in text.catalog.classes and text.catalog.belongs(name, wider)


def _events_used(text: _Text) -> set[str]:
    timed = [one for amendment in text.agreement.amendments for one in _timed(amendment)]
    used = {one.until for one in timed}
    for _, term in text.terms:
        used |= {term.from_, term.while_, term.while_no}
    for event in text.agreement.events.values():
        used |= {event.over_by, event.after, event.prevented_by, event.extended_by}
    return used


def _readings_used(text: _Text) -> set[str]:
    used = {
        reading
        for amendment in text.agreement.amendments
        for one in _timed(amendment)
        for reading in one.under
    }
    for _, term in text.terms:
        if isinstance(term, Precedence):
            used |= {choice.reading for choice in (term.binds, term.unless) if choice is not None}
    return used


def _idle_definition(text: _Text, section: str, name: str, why: str) -> Remark:
    at = _defined(text, section, name)
    what = f"{name} is defined and never mentioned"
    return _remark(
        Severity.NOTE, "idle", at, what, why, "Delete it, or write the term that speaks of it."
    )


def _defined(text: _Text, section: str, name: str) -> Citation:
    line = text.agreement.lines.get((section, name), 0)
    return Citation(term=name, amendment="", document=DEFINITIONS, line=line, source="", text="")


def _not_formalised(text: _Text) -> Iterator[Remark]:
    for amendment, clause in text.agreement.not_formalised():
        yield Remark(
            severity=Severity.NOTE,
            kind="not-formalised",
            document=amendment.document,
            line=clause.line,
            what=f"clause {clause.number} ({clause.title}) stands in prose only",
            why="no term restates it, so no answer rests on it",
            todo="Write a term under it, if it is meant to have an effect.",
        )


CHECKS: tuple[Callable[[_Text], Iterator[Remark]], ...] = (
    _conflicts,
    _two_owners,
    _contradictions,
    _gaps,
    _overlaps,
    _never_in_force,
    _changes_nothing,
    _reach_nothing,
    _uncited,
    _never_mentioned,
    _not_formalised,
)
