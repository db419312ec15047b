"""Validate a term or a change: its names are defined, its days make sense, its meaning is clear.

A check adds each mistake to the list of its `TermPlace`, at the line of the key that it is about.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import assert_never

import msgspec

from clauseway.agreement.language.actions import CLOUDS, TERM_ACTIONS
from clauseway.agreement.language.agreement import Change
from clauseway.agreement.language.figures import parse_amount, parse_percentage
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.shares import FLOOR_PERIODS, LATE, PAYMENT_PERIODS, TOTAL
from clauseway.agreement.language.terms import (
    ANYONE,
    BINDS,
    FIRST_SHIPPED_SINCE,
    KINDS,
    ONLY,
    PLACES,
    UNLESS,
    AnyTerm,
    Barring,
    Choice,
    Exclusivity,
    Forbidding,
    Inoperative,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Term,
    Traded,
)
from clauseway.agreement.reading.definitions import Definitions
from clauseway.agreement.text.entries import YamlValue
from clauseway.agreement.text.mistakes import DEFINITIONS, KnownNames, Mistakes
from clauseway.values import BadNumber, InvalidInput, parse_day, through

_NO_ACTION = (
    "no act of this name is decided; keep what it means as prose, or as kind: undertaking with "
    "parties:, which decides nothing and is shown"
)
# A text that begins with a sign, a point, a digit, USD, or another currency before a digit was
# meant to be a number.
_NUMBER_BEGINS = re.compile(r"[-+.,\u2212\d]|(?i:USD)|(?:[A-Z]{3}\s|[$\u00a3\u00a5\u20ac])\s*\d")


class TermPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a term or change, and the definitions that it is checked against.

    `effective` is None if its amendment does not state it.
    """

    entry: YamlValue
    effective: date | None
    definitions: Definitions
    mistakes: Mistakes

    def tell(self, key: str, problem: str, why: str, remedy: str) -> None:
        """Report a mistake at a key of the block, or at its head."""
        self.mistakes.add(self.line(key), problem, why, remedy)

    def line(self, key: str) -> int:
        member = self.entry.members.get(key)
        return member.line if member else self.entry.line


def check_term(term: AnyTerm, place: TermPlace) -> None:
    """Report the mistakes of a term that could be read."""
    _check_names(term, place)
    _check_readings(term.under, place)
    _check_days(term, place)
    _check_events(term, place)
    _check_empty(place.entry, term, place)
    _check_two_parties(term, place)
    _check_scopes(term, place)
    # The rules of one kind alone.
    if isinstance(term, Barring):
        _check_barring(term, place)
        return
    match term:
        case Permission():
            _check_permission(term, place)
        case Exclusivity():
            _check_exclusivity(term, place)
        case Precedence():
            _check_precedence(term, place)
        case RefusalRight():
            _check_refusal_right(term, place)
        case Licence():
            _check_licence(term, place)
        case RevenueShareTerm():
            _check_share(term, place)
        case Ownership() | Inoperative():
            pass
        case _:
            assert_never(term)


# Any term


def _check_names(term: AnyTerm, place: TermPlace) -> None:
    """Check that every name in a term is defined."""
    vocabulary = place.definitions.vocabulary
    for use in uses(term):
        for name in sorted(use.names):
            line = place.line(use.key)
            if use.noun == "action":
                # Actions are the language's own: an agreement cannot define another.
                place.mistakes.check_one_of(line, use.noun, name, TERM_ACTIONS, _NO_ACTION)
            else:
                place.mistakes.check_defined(line, use.noun, name, vocabulary[use.noun])


# The lists that mean any if they are left out, and those that then say nothing.
_ANY_IF_LEFT_OUT = frozenset({"actions", "products", "clouds", "sellers", "segments", "regions"})
_NOTHING_IF_LEFT_OUT = frozenset(
    {"carries", "despite", "parties", "licensees", "excludes", "wholesale-except"}
)
# A term needs these itself: written empty, it reaches nothing. A share may be taken on what other
# sellers pay alone: its base then names no seller.
_MAY_BE_EMPTY = {"": {"actions", "products"}, "base": {"sellers"}}


def _check_empty(entry: YamlValue, term: AnyTerm, place: TermPlace, within: str = "") -> None:
    """Check that no list is written empty that may be left out: it would be read as left out.

    `within` is the key under which the lists stand, empty for those of the term itself.
    """
    checked = (_ANY_IF_LEFT_OUT | _NOTHING_IF_LEFT_OUT) - _MAY_BE_EMPTY.get(within, set())
    for key, member in entry.members.items():
        if key in checked and member.value == []:
            why = "a list that names nothing says the same as none, and looks like the contrary"
            then = ", which is then any" if key in _ANY_IF_LEFT_OUT else ""
            remedy = f"Delete {key}:{then}, or name what is meant."
            place.mistakes.add(member.line, f"{key!r} of {term.id} is empty", why, remedy)
        for part in (member, *member.items):
            _check_empty(part, term, place, key)


def _check_two_parties(term: AnyTerm, place: TermPlace) -> None:
    """Check that a term between two parties names two."""
    if not (between := KINDS[term.kind].between):
        return
    party, other = (getattr(term, key) for key in between)
    if party == other:
        why = f"{party} stands on both sides, and nobody owes, grants or promises itself anything"
        remedy = f"Name another party in {between[1]}:, or delete {term.id}."
        place.tell(between[1], f"{term.id} is between {party} and itself", why, remedy)


def _check_readings(under: Mapping[str, str], place: TermPlace) -> None:
    for reading, option in under.items():
        if _is_reading(reading, "under", place):
            options = _options(reading, place)
            place.mistakes.check_one_of(
                place.line("under"), f"option of {reading}", option, options
            )


def _is_reading(reading: str, key: str, place: TermPlace) -> bool:
    readings = place.definitions.names["readings"]
    place.mistakes.check_defined(place.line(key), "reading", reading, readings)
    return readings is None or reading in readings


def _options(reading: str, place: TermPlace) -> KnownNames:
    """Return a reading's options; None if the reading itself could not be read."""
    defined = place.definitions.readings.get(reading)
    return defined.options if defined else None


def _check_days(term: Term, place: TermPlace) -> None:
    # Without the amendment's own day, only the form of the others can be checked.
    if place.effective is None:
        _until(term, place)
        return
    if term.begins < place.effective:
        why = f"{term.begins} lies before {place.effective}"
        place.tell(
            "begins", f"{term.id} begins before its amendment", why, "Fix one of the two days."
        )
    until = _until(term, place)
    _check_one_day(term, until, place)
    for key, end in _ends(until, term.through):
        if end <= term.begins:
            why = f"what begins on {term.begins} has no day left"
            place.tell(key, f"{term.id} ends before it begins", why, "Fix one of the two days.")
        elif isinstance(term, Precedence) and _binds_nothing_by(term, end):
            problem = f"{term.id} binds nothing"
            why = f"it binds what first ships on or after {term.since}, and ends before that day"
            remedy = "Write since: a day on which it still holds, or let it end later."
            place.tell("since", problem, why, remedy)


def _check_one_day(timed: Term | Change, until: date | None, place: TermPlace) -> None:
    """Report two days that would both be the end."""
    if until is not None and timed.through is not None:
        problem = f"{timed.id} ends on two days"
        why = f"until: {until} and through: {timed.through} both set its end"
        remedy = "Delete one of the two; beside through: an event may stand in until:."
        place.tell("through", problem, why, remedy)


def _binds_nothing_by(term: Precedence, end: date) -> bool:
    """Return whether ship-first ends by the day since which it binds what first ships."""
    return FIRST_SHIPPED_SINCE in term.binds.options.values() and end <= term.since


def _ends(until: date | None, last_day: date | None) -> Iterator[tuple[str, date]]:
    """Return the exclusive ends that are written, each with its key."""
    if until is not None:
        yield "until", until
    if last_day is not None:
        yield "through", through(last_day)


def _until(timed: Term | Change, place: TermPlace) -> date | None:
    """Return the day written as `until`; None if it is empty or names an event.

    Report a mistake, and return None, if it names neither a day nor an event.
    """
    events = place.definitions.event_names()
    if not timed.until or timed.until in (events or ()):
        return None
    # A text that begins with a digit was meant as a day, any other as an event.
    if not timed.until[:1].isdigit():
        place.mistakes.check_defined(place.line("until"), "day or event", timed.until, events)
        return None
    try:
        return parse_day(timed.until, "until")
    except InvalidInput as error:
        why = error.problems[0].why
        place.tell(
            "until",
            f"'until' does not fit: {timed.until!r} is not a day",
            why,
            "Write YYYY-MM-DD, or milestone or another event of agreement.md.",
        )
        return None


def _check_events(term: AnyTerm, place: TermPlace) -> None:
    """Check that each event of a term is defined, and that a revenue share runs without a break."""
    events = place.definitions.event_names()
    for key, event in (("from", term.from_), ("while", term.while_), ("while-no", term.while_no)):
        # A text that begins with a digit was meant as a day.
        if event[:1].isdigit() and event not in (events or ()):
            place.tell(
                key,
                f"{key!r} names the day {event}",
                "an event is named there",
                f"Write begins: {event} for a day on which the term begins, or define an event "
                f"that comes about on that day in {DEFINITIONS}.",
            )
        elif event:
            place.mistakes.check_defined(place.line(key), "event", event, events)
    if isinstance(term, RevenueShareTerm) and (term.while_ or term.while_no):
        key = "while" if term.while_ else "while-no"
        why = "tiers, floors and caps count from its beginning without a break"
        remedy = "Write until: with the event, and a share of its own for what comes after."
        place.tell(key, f"the share {term.id} cannot pause", why, remedy)


def _check_scopes(term: AnyTerm, place: TermPlace) -> None:
    """Check that the parts of a scope can limit its actions, and that each carve-out names some."""
    if isinstance(term, Traded):
        _check_taken("actions", term, term.actions, _limits(term), place)
    if isinstance(term, Forbidding):
        _check_carve_outs(term, place)


def _limits(term: Traded) -> list[str]:
    """Return the parts that a term limits its actions to, or keeps out of its scope."""
    parts = _parts_of(term)
    if isinstance(term, Exclusivity):
        return [*parts, *(part for part in ONLY if getattr(term.only, part))]
    if isinstance(term, RefusalRight) and term.except_clouds:
        return [CLOUDS, *parts]
    return parts


def _parts_of(term: AnyTerm | Scope) -> list[str]:
    """Return the parts of an act that the scope of a term or carve-out names."""
    return [part for part in PLACES if getattr(term, part, None)]


def _check_carve_outs(term: Forbidding, place: TermPlace) -> None:
    for number, scope in enumerate(term.except_, start=1):
        if scope == Scope():
            problem = f"carve-out {number} of {term.id} names nothing"
            why = "it would leave nothing of the term"
            place.tell("except", problem, why, "Write what it is for.")
        _check_taken("except", term, scope.actions or term.actions, _parts_of(scope), place)


# The kinds


def _check_permission(term: Permission, place: TermPlace) -> None:
    if term.party == ANYONE and term.grantor:
        why = "what is left to anyone rests on no grant"
        place.tell("grantor", f"{term.id} has a grantor", why, "Delete grantor:, or name a party.")
    if term.party == ANYONE and (term.exclusive or term.sole):
        key = "exclusive" if term.exclusive else "sole"
        why = "what is left to anyone is reserved to nobody"
        place.tell(key, f"{term.id} is for anyone alone", why, f"Delete {key}:, or name a party.")
    if term.grantor and term.grantor == term.party:
        why = "nobody grants a right to itself"
        place.tell("grantor", f"{term.id} is its holder's own grant", why, "Name another.")
    if term.sole and not term.grantor:
        why = "a sole right is its holder's and its grantor's"
        place.tell("sole", f"{term.id} does not say who else may", why, "Write grantor:.")
    _check_exclusive(term, place)


def _check_exclusive(term: Permission | Licence, place: TermPlace) -> None:
    if term.exclusive and term.sole:
        why = "exclusive leaves out the grantor, and sole does not"
        place.tell("sole", f"{term.id} is exclusive and sole", why, "Write one of the two.")


def _check_exclusivity(term: Exclusivity, place: TermPlace) -> None:
    only = [part for part in ONLY if getattr(term.only, part)]
    if len(only) != 1:
        why = "only: names clouds, sellers, regions, parties or licensees"
        place.tell("only", f"{term.id} reserves nothing clear", why, "Write one of these.")


def _check_barring(term: Barring, place: TermPlace) -> None:
    if not term.barred:
        why, remedy = "it binds those it names", f"Name parties, or write [{ANYONE}]."
        place.tell("parties", "'parties' does not fit", why, remedy)


def _check_precedence(term: Precedence, place: TermPlace) -> None:
    _check_choice("binds", term.binds, BINDS, place)
    if term.unless is not None:
        _check_choice("unless", term.unless, UNLESS, place)
    if term.lead_days < 0:
        problem, why = f"{term.id} leads by less than nothing", "the first cloud would come last"
        place.tell("lead-days", problem, why, "Write how many days.")


def _check_choice(key: str, choice: Choice, words: frozenset[str], place: TermPlace) -> None:
    """Check that each option of a choice has a value, and that each value is one of the words."""
    for value in choice.options.values():
        place.mistakes.check_one_of(place.line(key), f"value of {key}", value, words)
    if not choice.reading or not _is_reading(choice.reading, key, place):
        return
    options = _options(choice.reading, place)
    for option in choice.options:
        place.mistakes.check_one_of(place.line(key), f"option of {choice.reading}", option, options)
    for option in options or ():
        if option not in choice.options:
            problem = f"{key} says nothing for {choice.reading}={option}"
            place.tell(key, problem, "each option needs a value", f"Write {option}: … there.")


def _check_refusal_right(term: RefusalRight, place: TermPlace) -> None:
    if term.subject:
        place.mistakes.check_name(place.line("subject"), term.subject)
    if term.grantor == term.holder:
        why = "whoever holds the right is never bound by it"
        remedy = "Name who must offer, or leave grantor: out."
        place.tell("grantor", f"{term.id} binds its own holder", why, remedy)


def _check_licence(term: Licence, place: TermPlace) -> None:
    _check_exclusive(term, place)
    for scope in term.carries:
        if scope == Scope():
            problem = f"{term.id} carries an empty scope"
            why, remedy = "a licence carries what it names", "Write actions: and products:."
            place.tell("carries", problem, why, remedy)
        _check_taken("carries", term, scope.actions, _parts_of(scope), place)


def _check_taken(
    key: str, term: AnyTerm, actions: Iterable[str], parts: Iterable[str], place: TermPlace
) -> None:
    """Report the parts that cannot limit an action in a term of this kind."""
    kind = KINDS[term.kind]
    in_order = [action for action in TERM_ACTIONS if action in actions]
    refusals = (
        (action, kind.refusal(action, part)) for action in in_order for part in ("", *parts)
    )
    for action, refusal in dict.fromkeys(refusals):
        if refusal:
            remedy = f"Take {action} out, or write it in a term of its own without that."
            place.tell(key, refusal, "nothing could be executed of it", remedy)


# Revenue shares


def _check_share(term: RevenueShareTerm, place: TermPlace) -> None:
    _check_figures("rate", [term.rate], parse_percentage, place)
    _check_figures("withholding", filter(None, [term.withholding]), parse_percentage, place)
    _check_figures("cap", filter(None, [term.cap]), parse_amount, place)
    _check_figures("cap-opening", filter(None, [term.cap_opening]), parse_amount, place)
    if term.cap_opening and not term.cap:
        problem, remedy = f"{term.id} counts toward no cap", "Write cap:, or delete it."
        place.tell("cap-opening", problem, "there is no cap", remedy)
    _check_cap_opening(term, place)
    _check_tiers(term, place)
    _check_floors(term, place)
    if term.payment is not None:
        line, every = place.line("payment"), term.payment.every
        place.mistakes.check_one_of(line, "value of every", every, PAYMENT_PERIODS)
        if term.payment.due_days < 0:
            problem, why = f"{term.id} is due before it is known", "due-days lies below zero"
            remedy = "Write how many days after the period it is due."
            place.tell("payment", problem, why, remedy)
    place.mistakes.check_one_of(place.line("late"), "value of late", term.late, LATE)


def _check_cap_opening(term: RevenueShareTerm, place: TermPlace) -> None:
    """Check that what counted toward the cap before does not use it up."""
    opening = _amount(term.cap_opening, place) if term.cap_opening else None
    cap = _amount(term.cap, place) if term.cap else None
    if opening is not None and cap is not None and opening >= cap:
        problem = f"{term.id} counts {term.cap_opening} toward its cap from the beginning"
        why = f"its cap in line {place.line('cap')} is {term.cap}, so nothing would ever be due"
        remedy = "Lower cap-opening:, raise the cap, or delete the share."
        place.tell("cap-opening", problem, why, remedy)


def _check_tiers(term: RevenueShareTerm, place: TermPlace) -> None:
    """Check the rates and bounds of tiers, and that stated bounds rise."""
    _check_figures("tiers", [tier.rate for tier in term.tiers], parse_percentage, place)
    _check_figures("tiers", [tier.above for tier in term.tiers], parse_amount, place)
    figures = place.definitions.names["figures"] or ()
    stated = [tier.above for tier in term.tiers if tier.above not in figures]
    try:
        bounds = [parse_amount(above, commas=True) for above in stated]
    except ValueError:
        return  # reported above
    if any(low >= high for low, high in pairwise([Decimal(0), *bounds])):
        problem, why = f"{term.id} has tiers out of order", "each begins above the last"
        place.tell("tiers", problem, why, "Sort them.")


def _check_floors(term: RevenueShareTerm, place: TermPlace) -> None:
    _check_figures("floors", [floor.amount for floor in term.floors], parse_amount, place)
    for floor in term.floors:
        place.mistakes.check_one_of(place.line("floors"), "value of per", floor.per, FLOOR_PERIODS)
    if len({floor.per for floor in term.floors}) < len(term.floors):
        problem = f"{term.id} has two floors for one period"
        place.tell("floors", problem, "one of them says nothing", "Delete one.")
    cap = _amount(term.cap, place) if term.cap else None
    for floor in term.floors:
        least = _amount(floor.amount, place)
        if cap is not None and least is not None and least > cap:
            problem = f"{term.id} is at least {floor.amount} a {floor.per}"
            if floor.per == TOTAL:
                problem = f"{term.id} is at least {floor.amount} in all"
            why = f"its cap in line {place.line('cap')} lets no more than {term.cap} be due in all"
            place.tell("floors", problem, why, "Lower the floor, or raise the cap.")


def _amount(name: str, place: TermPlace) -> Decimal | None:
    """Return an amount that is written out; None for a figure, which an assumption may change."""
    if name in place.definitions.figures:
        return None
    try:
        return parse_amount(name, commas=True)
    except BadNumber:
        return None


def _check_figures(
    key: str, names: Iterable[str], parse: Callable[..., Decimal], place: TermPlace
) -> None:
    """Check that a rate or amount is a figure of the agreement or a number.

    The value of a figure must be a number, too.
    """
    figures = place.definitions.names["figures"]
    for name in names:
        figure = place.definitions.figures.get(name)
        if figures is None or (figure is None and name in figures):
            continue  # the figure could not be read, which is reported where it is defined
        try:
            parse(name if figure is None else figure.value, commas=True)
        except BadNumber as error:
            if figure is not None:
                problem = f"the value {figure.value!r} of figure {name} cannot be read"
                line = place.definitions.lines["figures", name]
                place.mistakes.within(DEFINITIONS).add(line, problem, error.why, error.remedy)
            elif _begins_a_number(name):
                place.tell(key, f"the number {name!r} cannot be read", error.why, error.remedy)
            else:
                place.mistakes.check_defined(place.line(key), "figure", name, figures)


def _begins_a_number(text: str) -> bool:
    """Return whether a text was meant to be a number, not the name of a figure."""
    return _NUMBER_BEGINS.match(text) is not None


# Changes


def check_change(change: Change, place: TermPlace) -> None:
    """Report the mistakes of a change that could be read. `sequence` looks for its terms."""
    _check_readings(change.under, place)
    until = _until(change, place)
    limit = "until" if change.until else "through" if change.through else ""
    if sum(map(bool, (change.ends, change.sets_end, change.rescinds))) != 1:
        why = "it ends terms, or sets their end, or rescinds amendments"
        remedy = "Write ends:, sets-end: or rescinds:, one of them."
        place.tell("id", f"{change.id} changes nothing clear", why, remedy)
    elif change.rescinds and limit:
        why = "what is rescinded never takes effect"
        place.tell(limit, f"{change.id} rescinds for a time", why, f"Delete {limit}:.")
    elif change.ends and limit:
        why = "ends: is from the amendment's day on"
        remedy = f"Delete {limit}:, or write sets-end: instead of ends:."
        place.tell(limit, f"{change.id} ends terms at once and later", why, remedy)
    elif change.sets_end and not limit:
        remedy = "Write until: or through:."
        place.tell("sets-end", f"{change.id} sets no end", "sets-end needs one", remedy)
    _check_one_day(change, until, place)
    for key, end in _ends(until, change.through):
        if place.effective is not None and end < place.effective:
            why = f"the end lies before {place.effective}, when it takes effect"
            place.tell(key, f"{change.id} rewrites the past", why, "Fix one of the two days.")
