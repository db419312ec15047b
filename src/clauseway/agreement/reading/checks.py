"""Check a term or a change: its names are defined, its days make sense, its meaning is clear."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import assert_never

import msgspec

from clauseway.agreement.language.actions import CLOUDS, TERM_ACTIONS
from clauseway.agreement.language.agreement import Change
from clauseway.agreement.language.figures import parse_amount, parse_percentage
from clauseway.agreement.language.kinds import KINDS, parts_of
from clauseway.agreement.language.names import uses
from clauseway.agreement.language.shares import FLOOR_PERIODS, LATE, PAYMENT_PERIODS
from clauseway.agreement.language.terms import (
    ANYONE,
    BINDS,
    MILESTONE,
    ONLY,
    UNLESS,
    AnyTerm,
    Choice,
    Exclusivity,
    Forbidding,
    Inoperative,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Term,
)
from clauseway.agreement.reading.definitions import ANY_SEGMENT, Definitions
from clauseway.agreement.text.entries import Entry
from clauseway.agreement.text.mistakes import DEFINITIONS, Mistakes, Names
from clauseway.catalog import ELSEWHERE
from clauseway.values import BadNumber, InvalidInput, parse_day, through

# With one of these, or a digit, a text begins that was meant to be a number.
_BEGIN_A_NUMBER = ("+", "-", ".", ",", "\u2212")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a term or change, and the definitions that it is checked against.

    `effective` is None if its amendment does not state it.
    """

    entry: Entry
    effective: date | None
    definitions: Definitions
    mistakes: Mistakes

    def tell(self, key: str, problem: str, why: str, todo: str) -> None:
        """Report a mistake at a key of the block, or at its head."""
        self.mistakes.add(self.line(key), problem, why, todo)

    def line(self, key: str) -> int:
        member = self.entry.members.get(key)
        return member.line if member else self.entry.line


def check_term(term: AnyTerm, place: Place) -> None:
    """Report the mistakes of a term that could be read."""
    _check_names(term, place)
    _check_readings(term.under, "under", place)
    _check_days_of_term(term, place)
    _check_events(term, place)
    if isinstance(term, Precedence):
        _check_choice("binds", term.binds, BINDS, place)
        if term.unless is not None:
            _check_choice("unless", term.unless, UNLESS, place)
        if term.lead_days < 0:
            why = "the first cloud would come last"
            place.tell(
                "lead-days", f"{term.id} leads by less than nothing", why, "Write how many days."
            )
    if isinstance(term, RevenueShareTerm):
        _check_share(term, place)
    if isinstance(term, RefusalRight):
        _check_refusal_right(term, place)
    if isinstance(term, Exclusivity):
        only = term.only
        filled = [
            names
            for names in (only.clouds, only.sellers, only.regions, only.parties, only.licensees)
            if names
        ]
        if len(filled) != 1:
            why = "only: names clouds, sellers, regions, parties or licensees"
            place.tell("only", f"{term.id} reserves nothing clear", why, "Write one of these.")
    _check_parts(term, place)


def _check_refusal_right(term: RefusalRight, place: Place) -> None:
    if term.subject:
        place.mistakes.check_name(place.line("subject"), term.subject)
    if term.grantor == term.holder:
        why = "whoever holds the right is never bound by it"
        place.tell(
            "grantor",
            f"{term.id} binds its own holder",
            why,
            "Name who must offer, or leave grantor: out.",
        )


def _check_parts(term: AnyTerm, place: Place) -> None:
    """Check that each action takes the parts that limit it, and that each part names something."""
    match term:
        case Permission() | Precedence():
            _check_taken("actions", term, term.actions, parts_of(term), place)
        case Exclusivity():
            only = [part for part in ONLY if getattr(term.only, part)]
            _check_taken("actions", term, term.actions, [*parts_of(term), *only], place)
            _check_carve_outs(term, place)
        case Prohibition():
            _check_taken("actions", term, term.actions, parts_of(term), place)
            _check_carve_outs(term, place)
            if not term.parties:
                why = "it binds those it names"
                place.tell(
                    "parties", "'parties' does not fit", why, f"Name parties, or write [{ANYONE}]."
                )
        case RefusalRight():
            apart = [CLOUDS] if term.except_clouds else []
            _check_taken("actions", term, term.actions, [*apart, *parts_of(term)], place)
        case Licence():
            for scope in term.carries:
                if scope == Scope():
                    why = "a licence carries what it names"
                    place.tell(
                        "carries",
                        f"what {term.id} carries names nothing",
                        why,
                        "Write actions: and products:.",
                    )
                _check_taken("carries", term, scope.actions, parts_of(scope), place)
        case Ownership() | RevenueShareTerm() | Inoperative():
            pass
        case _:
            assert_never(term)


def _check_carve_outs(term: Forbidding, place: Place) -> None:
    for number, scope in enumerate(term.except_, start=1):
        if scope == Scope():
            why = "it would leave nothing of the term"
            place.tell(
                "except",
                f"carve-out {number} of {term.id} names nothing",
                why,
                "Write what it is for.",
            )
        _check_taken("except", term, scope.actions or term.actions, parts_of(scope), place)


def _check_taken(
    key: str, term: AnyTerm, actions: Iterable[str], parts: Iterable[str], place: Place
) -> None:
    """Report the parts that cannot limit an action in a term of this kind."""
    kind = KINDS[term.kind]
    known = [action for action in TERM_ACTIONS if action in actions]
    told = ((action, kind.refusal(action, part)) for action in known for part in ("", *parts))
    for action, what in dict.fromkeys(one for one in told if one[1]):
        why = "nothing could be executed of it"
        place.tell(
            key, what, why, f"Take {action} out, or write it in a term of its own without that."
        )


def _check_share(term: RevenueShareTerm, place: Place) -> None:
    """Check rates and amounts (figures or numbers), words (from their lists) and tiers (rising)."""
    for key, names in (
        ("rate", [term.rate]),
        ("withholding", [term.withholding] if term.withholding else []),
    ):
        _check_figures(key, names, parse_percentage, place)
    _check_figures("tiers", [tier.rate for tier in term.tiers], parse_percentage, place)
    _check_figures("tiers", [tier.above for tier in term.tiers], parse_amount, place)
    _check_figures("floors", [floor.amount for floor in term.floors], parse_amount, place)
    for key, name in (("cap", term.cap), ("cap-opening", term.cap_opening)):
        _check_figures(key, [name] if name else [], parse_amount, place)
    for floor in term.floors:
        place.mistakes.check_one_of(place.line("floors"), "value of per", floor.per, FLOOR_PERIODS)
    if term.payment is not None:
        place.mistakes.check_one_of(
            place.line("payment"), "value of every", term.payment.every, PAYMENT_PERIODS
        )
        if term.payment.due_days < 0:
            todo = "Write how many days after the period it is due."
            place.tell(
                "payment", f"{term.id} is due before it is known", "due-days lies below zero", todo
            )
    place.mistakes.check_one_of(place.line("late"), "value of late", term.late, LATE)
    if term.cap_opening and not term.cap:
        place.tell(
            "cap-opening",
            f"{term.id} counts toward no cap",
            "there is no cap",
            "Write cap:, or delete it.",
        )
    if len({floor.per for floor in term.floors}) < len(term.floors):
        place.tell(
            "floors",
            f"{term.id} has two floors for one period",
            "one of them says nothing",
            "Delete one.",
        )
    stated = [
        tier.above
        for tier in term.tiers
        if tier.above not in (place.definitions.names["figures"] or ())
    ]
    try:
        bounds = [parse_amount(above, commas=True) for above in stated]
    except ValueError:
        return
    if any(low >= high for low, high in pairwise([Decimal(0), *bounds])):
        place.tell(
            "tiers", f"{term.id} has tiers out of order", "each begins above the last", "Sort them."
        )


def _check_figures(
    key: str, names: Iterable[str], parse: Callable[..., Decimal], place: Place
) -> None:
    """Check that a rate or amount is a figure of the agreement or a number.

    The value of a figure must be a number, too.
    """
    known = place.definitions.names["figures"]
    for name in names:
        if known is None:
            continue
        figure = place.definitions.figures.get(name)
        if figure is None and name in known:
            continue  # it could not be read, which was told already
        try:
            parse(name if figure is None else figure.value, commas=True)
        except BadNumber as error:
            if figure is not None:
                what = f"the value {figure.value!r} of figure {name} cannot be read"
                place.mistakes.within(DEFINITIONS).add(
                    place.definitions.lines["figures", name], what, error.why, error.todo
                )
            elif (
                name.upper().startswith("USD") or name[:1] in _BEGIN_A_NUMBER or name[:1].isdigit()
            ):
                place.tell(key, f"the number {name!r} cannot be read", error.why, error.todo)
            else:
                place.mistakes.check_defined(place.line(key), "figure", name, known)


def check_change(change: Change, place: Place) -> None:
    """Report the mistakes of a change that could be read. `sequence` checks that its terms exist."""
    _check_readings(change.under, "under", place)
    until = _until(change, place)
    if sum(map(bool, (change.ends, change.sets_end, change.rescinds))) != 1:
        why = "it ends terms, or sets their end, or rescinds amendments"
        place.tell(
            "id",
            f"{change.id} changes nothing clear",
            why,
            "Write ends:, sets-end: or rescinds:, one of them.",
        )
    elif change.rescinds and (change.until or change.through):
        key = "until" if change.until else "through"
        why = "what is rescinded never takes effect"
        place.tell(key, f"{change.id} rescinds for a time", why, f"Delete {key}:.")
    elif change.ends and (change.until or change.through):
        key = "until" if change.until else "through"
        todo = f"Delete {key}:, or write sets-end: instead of ends:."
        place.tell(
            key,
            f"{change.id} ends terms at once and later",
            "ends: is from the amendment's day on",
            todo,
        )
    elif change.sets_end and not change.until and not change.through:
        place.tell(
            "sets-end",
            f"{change.id} sets no end",
            "sets-end needs one",
            "Write until: or through:.",
        )
    for key, end in _ends(until, change.through):
        if place.effective is not None and end < place.effective:
            why = f"the end lies before {place.effective}, when it takes effect"
            place.tell(key, f"{change.id} rewrites the past", why, "Fix one of the two days.")


def _check_events(term: AnyTerm, place: Place) -> None:
    """Check that each event of a term is defined, and that a revenue share runs without a break."""
    events = [*(place.definitions.names["events"] or ()), MILESTONE]
    for key, event in (("from", term.from_), ("while", term.while_), ("while-no", term.while_no)):
        if event:
            place.mistakes.check_defined(place.line(key), "event", event, events)
    if isinstance(term, RevenueShareTerm) and (term.while_ or term.while_no):
        key = "while" if term.while_ else "while-no"
        why = "tiers, floors and caps count from its begin without a break"
        todo = "Write until: with the event, and a share of its own for what comes after."
        place.tell(key, f"the share {term.id} cannot pause", why, todo)


def _check_days_of_term(term: Term, place: Place) -> None:
    if place.effective is None:
        _until(term, place)
        return
    if term.begins < place.effective:
        why = f"{term.begins} lies before {place.effective}"
        place.tell(
            "begins", f"{term.id} begins before its amendment", why, "Fix one of the two days."
        )
    for key, end in _ends(_until(term, place), term.through):
        if end <= term.begins:
            why = f"what begins on {term.begins} has no day left"
            place.tell(key, f"{term.id} ends before it begins", why, "Fix one of the two days.")


def _ends(until: date | None, last_day: date | None) -> Iterator[tuple[str, date]]:
    """Return the exclusive ends that are written, each with its key."""
    if until is not None:
        yield "until", until
    if last_day is not None:
        yield "through", through(last_day)


def _until(timed: Term | Change, place: Place) -> date | None:
    """Return the day written as `until`; None if it is empty or names an event.

    Report a mistake, and return None, if it names neither a day nor an event.
    """
    events = {*(place.definitions.names["events"] or ()), MILESTONE}
    if not timed.until or timed.until in events:
        return None
    if not timed.until[:1].isdigit():
        place.mistakes.check_defined(place.line("until"), "day or event", timed.until, events)
        return None
    try:
        return parse_day(timed.until, "until")
    except InvalidInput as error:
        why = error.problems[0].why
        place.tell(
            "until",
            f"'until' does not fit: {timed.until!r} is no day",
            why,
            "Write YYYY-MM-DD, or milestone or another event of agreement.md.",
        )
        return None


def _check_names(term: AnyTerm, place: Place) -> None:
    """Check that every name in a term is defined."""
    vocabulary = _vocabulary(place.definitions)
    for key, what, names in uses(term):
        for name in sorted(names):
            place.mistakes.check_defined(place.line(key), what, name, vocabulary[what])


def _vocabulary(definitions: Definitions) -> Mapping[str, Names]:
    names = definitions.names
    classes, products, segments = names["classes"], names["products"], names["segments"]
    regions = names["regions"]
    return {
        "party": names["parties"],
        "cloud": names["clouds"],
        "region": {*regions, ELSEWHERE} if regions else regions,
        "segment": segments if segments is None else {*segments, ANY_SEGMENT},
        "product": None if classes is None or products is None else {*classes, *products},
        "action": TERM_ACTIONS,
    }


def _check_readings(under: Mapping[str, str], key: str, place: Place) -> None:
    for reading, option in under.items():
        if _is_reading(reading, key, place):
            options = _options(reading, place)
            place.mistakes.check_one_of(place.line(key), f"option of {reading}", option, options)


def _check_choice(key: str, choice: Choice, known: frozenset[str], place: Place) -> None:
    for value in choice.options.values():
        place.mistakes.check_one_of(place.line(key), f"value of {key}", value, known)
    if not choice.reading or not _is_reading(choice.reading, key, place):
        return
    options = _options(choice.reading, place)
    for option in choice.options:
        place.mistakes.check_one_of(place.line(key), f"option of {choice.reading}", option, options)
    for option in options or ():
        if option not in choice.options:
            what, why = (
                f"{key} says nothing for {choice.reading}={option}",
                "each option needs a value",
            )
            place.tell(key, what, why, f"Write {option}: … there.")


def _is_reading(reading: str, key: str, place: Place) -> bool:
    known = place.definitions.names["readings"]
    place.mistakes.check_defined(place.line(key), "reading", reading, known)
    return known is None or reading in known


def _options(reading: str, place: Place) -> Names:
    """Return a reading's options; None if the reading itself could not be read."""
    written = place.definitions.readings.get(reading)
    return written.options if written else None
