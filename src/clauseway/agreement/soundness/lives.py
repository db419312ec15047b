"""The lives of an agreement's terms: when each is in force under each combination of readings.

A life is the interval on which a term may be in force, whatever events happen. With it go the acts
that terms cover: cells (an action and an askable name) and places (a cloud, seller, segment and
region).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from itertools import combinations, islice, product
from math import prod
from typing import TypeVar, assert_never

import msgspec

from clauseway.agreement.force.calendar import Calendar
from clauseway.agreement.force.fold import ChangeEffects, in_force, is_day, standing
from clauseway.agreement.language.agreement import Agreement, Amendment, Change
from clauseway.agreement.language.facts import FactRegister
from clauseway.agreement.language.terms import (
    ANYONE,
    EXCLUSIVE_SUFFIX,
    MILESTONE,
    NAMES,
    AnyTerm,
    Barring,
    Exclusivity,
    Forbidding,
    Located,
    Permission,
    Scope,
    Term,
    exclusivity_of,
)
from clauseway.agreement.soundness.remarks import lasting
from clauseway.agreement.text.mistakes import DEFINITIONS
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.values import DAY_BEFORE_FOREVER, FOREVER, Citation, Interval, KnownAt

# Combinations of readings multiply. A text with more has enough to fix in the first of them.
COMBINATIONS_MAX = 256

K = TypeVar("K", bound=Term)
# The place and seller of an act, by the keys of scopes.
WHERE = ("clouds", "sellers", "segments", "regions")
PlaceNames = Mapping[str, str]
# An action and an askable product or class.
Cell = tuple[str, str]
# For each action, the actions that it rests on.
RestsOn = Mapping[str, frozenset[str]]


def parties_forbidden(term: Forbidding) -> NAMES:
    """Return the parties whose acts a term may forbid, or `anyone`."""
    if isinstance(term, Barring):
        return term.barred
    match term:
        case Exclusivity():
            return frozenset({ANYONE})
        case _:
            assert_never(term)


class Lives:
    """An agreement's terms and their lives. Each is computed once, when a check first asks."""

    def __init__(self, agreement: Agreement, facts: FactRegister, rests_on: RestsOn) -> None:
        self.agreement = agreement
        self.catalog: Catalog = agreement.catalog
        self.facts = facts
        self.rests_on = rests_on
        self._cells: dict[tuple[NAMES, NAMES], frozenset[Cell]] = {}

    @cached_property
    def terms(self) -> list[tuple[Amendment, AnyTerm]]:
        return [
            (amendment, term) for amendment in self.agreement.amendments for term in amendment.terms
        ]

    @cached_property
    def standing(self) -> frozenset[str]:
        """Return the amendments that, under some readings, no other rescinds."""
        agreement, everything = self.agreement, KnownAt.everything()
        return frozenset(
            amendment.id
            for readings in self.readings_of(agreement.amendments)
            for amendment in standing(agreement, everything, readings)
        )

    @cached_property
    def held_against(self) -> Mapping[str, frozenset[str]]:
        """Return by term the permissions that hold although that very term forbids the act."""
        against: dict[str, frozenset[str]] = defaultdict(frozenset)
        for _, permission in self.terms:
            for name in permission.despite if isinstance(permission, Permission) else ():
                against[name] |= {permission.id}
        return against

    @cached_property
    def amendment_of(self) -> dict[str, str]:
        return {term.id: amendment.id for amendment, term in self.terms}

    @cached_property
    def by_readings(self) -> list[dict[str, tuple[AnyTerm, Interval]]]:
        """Return, for each combination of readings, the terms ever in force, and their lives.

        The oldest term comes first.
        """
        known_facts = self.facts.known(KnownAt.everything())
        agreement = whatever_happens(self.agreement)
        by_readings = []
        for readings in self.readings_of(self.agreement.amendments):
            folded = in_force(
                agreement, known_facts, DAY_BEFORE_FOREVER, KnownAt.everything(), readings
            )
            lives = {
                state.term.id: (state.term, Interval(state.term.begins, state.end))
                for state in folded.states
            }
            oldest_first = [id for id in self.amendment_of if id in lives]
            by_readings.append({id: lives[id] for id in oldest_first if not lives[id][1].is_empty})
        return by_readings

    @cached_property
    def change_effects(self) -> list[tuple[dict[str, str], ChangeEffects]]:
        """Return, for each combination of readings, the effects of all changes, with everything
        known."""
        agreement, everything = self.agreement, KnownAt.everything()
        known_facts = self.facts.known(everything)
        return [
            (readings, ChangeEffects(agreement, known_facts, readings, everything))
            for readings in self.readings_of(agreement.amendments)
        ]

    def readings_of(self, amendments: Iterable[Amendment]) -> list[dict[str, str]]:
        """Return each combination of the readings that amendments name. Others keep defaults."""
        texts = [text for amendment in amendments for text in amendment.texts]
        named = sorted({reading for text in texts for reading in text.under})
        options = (self.agreement.readings[name].options for name in named)
        defaults = self.agreement.default_readings()
        return [
            {**defaults, **dict(zip(named, chosen, strict=True))}
            for chosen in islice(product(*options), COMBINATIONS_MAX)
        ]

    @property
    def combinations_left_out(self) -> int:
        """Return how many combinations of the readings that the text names are not looked at."""
        named = {
            name
            for amendment in self.agreement.amendments
            for text in amendment.texts
            for name in text.under
        }
        count = prod(len(self.agreement.readings[name].options) for name in named)
        return max(0, count - COMBINATIONS_MAX)

    @cached_property
    def askable(self) -> list[tuple[str, frozenset[str]]]:
        """Return the products and classes that a question may name, with the actions of each."""
        classes = self.catalog.classes
        named = [name for name in classes if classes[name].actions]
        named += self.catalog.products
        return [(name, classes[self.catalog.class_of(name)].actions) for name in named]

    def cells(self, actions: NAMES, products: NAMES) -> frozenset[Cell]:
        """Return the actions and askable names that a scope covers."""
        key = (actions, products)
        if key not in self._cells:
            self._cells[key] = frozenset(
                (action, name)
                for wider in products
                for name, actions_of_name in self._askable_in.get(wider, ())
                for action in actions & actions_of_name
            )
        return self._cells[key]

    @cached_property
    def _askable_in(self) -> dict[str, list[tuple[str, NAMES]]]:
        """Return `askable` by each product and class that a name lies in, itself included."""
        within: dict[str, list[tuple[str, NAMES]]] = defaultdict(list)
        for name, actions in self.askable:
            for wider in self.catalog.lineage(name):
                within[wider].append((name, actions))
        return within

    def cells_of(self, scope: Scope) -> frozenset[Cell]:
        """Return the cells of a carve-out or of a scope of a licence. An empty list means any."""
        return self.cells(scope.actions or self._actions, scope.products or self._classes)

    def carves_out(self, term: Forbidding, cell: Cell, place: PlaceNames) -> bool:
        """Return whether a carve-out of a term covers an act at a place."""
        return any(
            cell in self.cells_of(scope) and covers(scope, place, "") for scope in term.except_
        )

    @cached_property
    def _actions(self) -> NAMES:
        return frozenset(action for _, actions in self.askable for action in actions)

    @cached_property
    def _classes(self) -> NAMES:
        return frozenset(self.catalog.classes)

    def is_in(self, name: str, products: NAMES) -> bool:
        """Return whether a product or class is one of these, or lies within one of them."""
        return any(self.catalog.belongs(name, wider) for wider in products)

    @cached_property
    def names(self) -> Mapping[str, NAMES]:
        """Return all names of each part of an act, by the key under which a scope names them."""
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

    def places(
        self, within: Iterable[Located], distinguished_by: Iterable[Located], but: str
    ) -> list[PlaceNames]:
        """Return the places that lie within all of the scopes `within`.

        The part `but` is left empty. Of the names that no scope of `distinguished_by` mentions, one stands
        for all.
        """
        sides = []
        for key in WHERE:
            inside = frozenset(self.names[key]).intersection(
                *(getattr(scope, key) or self.names[key] for scope in within)
            )
            named = frozenset().union(*(getattr(scope, key) for scope in distinguished_by))
            apart = [*sorted(inside & named), *sorted(inside - named)[:1]]
            sides.append([""] if key == but else apart)
        return [dict(zip(WHERE, names, strict=True)) for names in product(*sides)]

    def pairs(
        self, first_kind: type[K], second_kind: type[AnyTerm]
    ) -> Iterator[tuple[K, AnyTerm, Interval]]:
        """Yield each pair of terms of two kinds that are in force at once under some readings."""
        seen: set[tuple[str, str]] = set()
        for lives in self.by_readings:
            firsts = [(term, life) for term, life in lives.values() if isinstance(term, first_kind)]
            seconds = [
                (term, life) for term, life in lives.values() if isinstance(term, second_kind)
            ]
            both = (
                combinations(firsts, 2) if first_kind is second_kind else product(firsts, seconds)
            )
            for (first, first_life), (second, second_life) in both:
                together = first_life.intersect(second_life)
                # Never in force at once: they cannot contradict each other.
                if together.is_empty or self.take_turns(first.id, second.id):
                    continue
                if (first.id, second.id) not in seen:
                    seen.add((first.id, second.id))
                    yield first, second, together

    def take_turns(self, *ids: str) -> bool:
        """Return whether an event ends or pauses one of two terms and begins the other."""
        ends = [self._end_by_event(id) for id in ids]
        if None in ends:
            return False
        (end, other_end), (first, second) = ends, (self.written[id] for id in ids)
        return any(
            bool(ended and later.from_ in self._set_off_by(ended[0]) and ended[1] <= later.begins)
            or bool(earlier.while_no and earlier.while_no == later.while_)
            for earlier, ended, later in ((first, end, second), (second, other_end, first))
        )

    def _end_by_event(self, id: str) -> tuple[str, date] | None:
        """Return the event that ends a term, and the day since which it does.

        The event is empty if none does. Return None if the end depends on readings, or on several
        changes.
        """
        term = self.written[id]
        changes = [change for change in self._changes(id) if id in change.sets_end]
        if not changes:
            return term.until, term.begins
        [amendment] = [
            amendment for amendment in self.agreement.amendments if changes[0] in amendment.changes
        ]
        if len(changes) > 1 or changes[0].under or amendment.id in self.agreement.ever_rescinded:
            return None
        return changes[0].until, max(term.begins, amendment.effective)

    def _set_off_by(self, event: str) -> frozenset[str]:
        """Return an event and those that come about on its day or some days after it."""
        after = {event} if event in {*self.agreement.events, MILESTONE} else set[str]()
        while (
            further := {name for name, each in self.agreement.events.items() if each.after in after}
            - after
        ):
            after |= further
        return frozenset(after)

    def waits_of(self, id: str) -> frozenset[tuple[str, str]]:
        """Return the events that begin or pause a term, each with its key."""
        term = self.written[id]
        waits = {("from", term.from_), ("while", term.while_), ("while-no", term.while_no)}
        return frozenset((key, event) for key, event in waits if event)

    def lies_within(self, narrow: str, wide: str, since: date = date.min) -> bool:
        """Return whether, from a day on, a term never holds without another.

        It is so whatever events happen, and under every reading.
        """
        for by_id in self.by_readings:
            if narrow not in by_id:
                continue
            life = by_id[narrow][1].intersect(Interval(since))
            whole = by_id[wide][1] if wide in by_id else Interval(since, since)
            if not life.is_empty and life.intersect(whole) != life:
                return False
        return self.holds_as_long(wide, narrow)

    def holds_as_long(self, wide: str, narrow: str) -> bool:
        """Return whether the wide term holds as long as the narrow one, whatever events happen.

        Each event that begins, ends or pauses the wide term must do the same to the narrow term.
        """
        end, first = self._end_by_event(narrow), self.written[wide]
        if not self.waits_of(wide) <= self.waits_of(narrow):
            return False
        # An event that is over by its own day does not begin the wide term.
        if first.from_ and first.begins > self.written[narrow].begins:
            return False
        return all(
            end is not None and end[0] == event and end[1] <= since
            for event, since in self._ends_by_events(wide)
        )

    def _ends_by_events(self, id: str) -> Iterator[tuple[str, date]]:
        """Yield each event that ever ends a term, and the day since which it does."""
        ends = [(self.written[id].until, self.written[id].begins)]
        effective = {amendment.id: amendment.effective for amendment in self.agreement.amendments}
        for amendment, changes in self._changes_of.get(id, {}).items():
            since = effective[amendment]
            ends += [(change.until, since) for change in changes if id in change.sets_end]
        for event, since in ends:
            if event in self.agreement.events or event == MILESTONE:
                yield event, since

    def meeting(self, days: Interval, *terms: AnyTerm) -> str:
        """Return the days of two terms, with the events without which they do not hold."""
        return lasting(days) + self.left_by_events(*(term.id for term in terms))

    def left_by_events(self, *ids: str) -> str:
        """Return which days events leave to these terms; empty if no event may take one.

        An event that has ended a term already shows in the term's days, and is left out.
        """
        waits = dict.fromkeys(
            f"{id} {key}: {event}"
            for id in ids
            for key, event in sorted({*self.waits_of(id), *self._awaited_ends(id)})
        )
        whom = {1: "it", 2: "both"}.get(len({*ids}), "all of them")
        return f", on the days that events leave to {whom} ({', '.join(waits)})" if waits else ""

    def _awaited_ends(self, id: str) -> Iterator[tuple[str, str]]:
        """Yield the events that may still end a term, each with its key.

        If an event begins the term, every event that ends it is still open.
        """
        for event, since in self._ends_by_events(id):
            if self.written[id].from_ or self._calendar.first(event, since)[0] == FOREVER:
                yield "until", event

    def may_begin_yet(self, term: AnyTerm) -> bool:
        """Return whether a term may begin later than the recorded events say: the event that ended
        it before its first day, or that let it begin, may turn out to be over by that day."""
        return any(
            stretch.begin < term.begins < stretch.end == FOREVER
            for name in (term.until, term.from_)
            if (event := self.agreement.events.get(name)) is not None and event.over_by
            for stretch in self._calendar.stretches(name)
        )

    @cached_property
    def _calendar(self) -> Calendar:
        return Calendar(self.agreement.events, self.facts.known(KnownAt.everything()))

    @cached_property
    def written(self) -> dict[str, AnyTerm]:
        """Return the terms with the events that they wait for."""
        return {term.id: term for _, term in self.terms}

    @cached_property
    def of_rights(self) -> frozenset[str]:
        """Return the ids of the exclusivities that rights write."""
        return exclusivities_of_rights(self.written.values())

    def _changes(self, term: str) -> Iterator[Change]:
        for changes in self._changes_of.get(term, {}).values():
            yield from changes

    def amendments_on(self, term: AnyTerm) -> list[Amendment]:
        """Return the amendments that write or change a term, oldest first, without other texts."""
        own = self.amendment_of[term.id]
        changes = self._changes_of.get(term.id, {})
        return [
            msgspec.structs.replace(
                amendment,
                terms=(term,) if amendment.id == own else (),
                changes=changes.get(amendment.id, ()),
            )
            for amendment in self.agreement.amendments
            if amendment.id == own or amendment.id in changes
        ]

    @cached_property
    def _changes_of(self) -> dict[str, dict[str, tuple[Change, ...]]]:
        """Return, for each term, its changes by amendment."""
        changes: dict[str, dict[str, tuple[Change, ...]]] = {}
        for amendment in self.agreement.amendments:
            for change in amendment.changes:
                for term in (*change.ends, *change.sets_end):
                    by_amendment = changes.setdefault(term, {})
                    by_amendment[amendment.id] = (*by_amendment.get(amendment.id, ()), change)
        return changes


def exclusivities_of_rights(terms: Iterable[AnyTerm]) -> frozenset[str]:
    """Return the ids of the exclusivities that exclusive and sole rights write. Authors may give
    terms such ids too."""
    return frozenset(filter(None, map(exclusivity_of, terms)))


def excepting(of_rights: Collection[str], *names: str) -> str:
    """Return how to except a case from one of these terms that forbid.

    An exclusivity that a right writes has no text of its own in which a case could be excepted.
    """
    written = [name for name in names if name not in of_rights]
    if written:
        return f"except the case from {' or '.join(written)}"
    name, right = names[0], names[0].removesuffix(EXCLUSIVE_SUFFIX)
    return (
        f"write {name} as a term of its own (kind: exclusivity) that lets the case pass, in place "
        f"of exclusive: or sole: under {right}"
    )


def whatever_happens(agreement: Agreement) -> Agreement:
    """Return the agreement with its terms freed from events that begin or pause them.

    A text has to be sound whatever happens, so a term counts wherever events may let it hold. If an
    event begins the term, the event that ends it is left out too: it may be over by then.
    """
    amendments = [
        msgspec.structs.replace(amendment, terms=tuple(map(_without_events, amendment.terms)))
        for amendment in agreement.amendments
    ]
    return msgspec.structs.replace(agreement, amendments=tuple(amendments))


def _without_events(term: AnyTerm) -> AnyTerm:
    if not (term.from_ or term.while_ or term.while_no):
        return term
    freed = msgspec.structs.replace(term, from_="", while_="", while_no="")
    by_event = term.from_ and not is_day(term.until)
    return msgspec.structs.replace(freed, until="") if by_event else freed


def covers(scope: Located, place: PlaceNames, but: str) -> bool:
    """Return whether a place lies in a scope, ignoring one part of the scope."""
    return all(
        not (named := getattr(scope, key)) or place[key] in named for key in WHERE if key != but
    )


def defined(agreement: Agreement, section: str, name: str) -> Citation:
    """Return the citation of a definition."""
    line = agreement.lines.get((section, name), 0)
    return Citation(term=name, amendment="", document=DEFINITIONS, line=line, source="", text="")
