"""Suppose the events that may yet come, before it is said that no answer ever changes.

An event begins, ends or pauses terms, so what is true of the register as it stands may be untrue
once one happens. For a term, this supposes each event that a term about the same products waits
for: it does not come, or it comes on the term's first day, some days before, or some days later,
when all that follows from the first has come about. With many events, not every choice is tried.
Each event alone, and all together, are also supposed after the last day that the agreement writes.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import date, timedelta
from itertools import chain, combinations, product, repeat

from clauseway.agreement import Agreement, FactRegister, Licence, boundaries, suppose
from clauseway.agreement.language.terms import MILESTONE, AnyTerm, Inoperative, RevenueShareTerm
from clauseway.catalog import Catalog
from clauseway.decisions.tables.decision_table import Sheet
from clauseway.values import KnownAt

# More events are supposed one alone, two on the first day, and all together.
_TOGETHER_MAX = 3
# No deadline that an agreement sets is longer; a day beyond the calendar could not be supposed.
_DAYS_MAX = 36_500


def supposing(
    supposed: Iterable[str], agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> FactRegister:
    """Return a register with supposed facts added."""
    return facts.with_facts([suppose(text, catalog, agreement.events) for text in supposed])


def suppositions(
    agreement: Agreement, catalog: Catalog, term: AnyTerm, last: date
) -> list[tuple[str, ...]]:
    """Return the sets of supposed events that may change what a term does, the smallest first.
    `last` is the last day that the agreement writes."""
    events = sorted(recorded_behind(agreement, _awaited_beside(agreement, catalog, term)))
    on_first, later, earlier = (
        [supposed_event(event, day) for event in events] for day in _days(agreement, term)
    )
    if len(events) <= _TOGETHER_MAX:
        choices = product(*zip(repeat(""), on_first, later, earlier))
        sets = [tuple(filter(None, choice)) for choice in choices]
    else:
        sets = [(event,) for event in chain(on_first, later)]
        sets += [*combinations(on_first, 2), tuple(on_first), tuple(later)]
    after_all = [supposed_event(event, last + _lag(agreement)) for event in events]
    sets += [*((event,) for event in after_all), tuple(after_all)]
    return sorted(dict.fromkeys(filter(None, sets)), key=len)


def _days(agreement: Agreement, term: AnyTerm) -> tuple[date, date, date]:
    """Return the days on which an event is supposed: the term's first day; a later day, on which
    all has come about that follows from an event of the first; and an earlier day, such that all
    that follows from an event has come about on the first."""
    lag = _lag(agreement)
    return term.begins, term.begins + lag, max(date.min + lag, term.begins) - lag


def _lag(agreement: Agreement) -> timedelta:
    """Return within how long all has come about that follows from an event."""
    days_max = max((event.days for event in agreement.events.values()), default=0)
    return timedelta(days=min(days_max, _DAYS_MAX) + 1)


def by_supposition(
    agreement: Agreement, catalog: Catalog, terms: Iterable[AnyTerm]
) -> dict[tuple[str, ...], list[AnyTerm]]:
    """Return the sets of supposed events, each with the terms for which it may come."""
    coming: dict[tuple[str, ...], list[AnyTerm]] = {}
    written = boundaries(agreement, FactRegister(()), KnownAt.everything())
    for term in terms:
        for supposed in suppositions(agreement, catalog, term, written[-1]):
            coming.setdefault(supposed, []).append(term)
    return coming


def bears_on(catalog: Catalog, term: AnyTerm) -> frozenset[str]:
    """Return the products and classes of which a question may be answered by a term."""
    names = {*catalog.classes, *catalog.products}
    if isinstance(term, RevenueShareTerm):
        return frozenset({*names, ""})
    return frozenset(name for name in names if catalog.overlap([name], _products(term)))


def position_of(sheet: Sheet) -> Hashable:
    """Return the part of a sheet that decides its answers, whenever the events came: the terms that
    hold and those that have ended, in the order in which they did. The days do not matter.
    """
    case = sheet.case
    by_end = sorted(case.force.states, key=lambda state: (state.end, state.term.id))
    return (
        case.question.action,
        sheet.for_another,
        frozenset(act.product for act in sheet.acts),
        tuple((state.term.id, state.in_force, state.paused) for state in case.force.states),
        tuple(state.term.id for state in by_end if state.ended),
        case.facts.facts,
        tuple(sorted(case.question.readings.items())),
    )


def supposed_event(event: str, day: date) -> str:
    """Return the supposition that an event begins on a day."""
    return f"{event}={day}" if event == MILESTONE else f"event:{event}={day}"


def recorded_behind(agreement: Agreement, names: Iterable[str]) -> frozenset[str]:
    """Return the recorded events that let these events begin, or prevent, put off or end them."""
    events, behind, pending = agreement.events, set[str](), [*names]
    while pending:
        name = pending.pop()
        if name not in behind:
            behind.add(name)
            pending += _named_by(agreement, name)
    return frozenset(
        name for name in behind if name == MILESTONE or (name in events and events[name].recorded)
    )


def _named_by(agreement: Agreement, name: str) -> list[str]:
    event = agreement.events.get(name)
    return [*event.waits_for, *filter(None, [event.over_by])] if event is not None else []


def _awaited_beside(agreement: Agreement, catalog: Catalog, term: AnyTerm) -> Iterator[str]:
    """Yield the events that a term waits for, and those of every term beside it."""
    beside = {
        other.id
        for amendment in agreement.amendments
        for other in amendment.terms
        if _is_beside(catalog, term, other)
    }
    for amendment in agreement.amendments:
        for other in amendment.terms:
            if other.id in beside:
                yield from (other.until, other.from_, other.while_, other.while_no)
        for change in amendment.changes:
            if not beside.isdisjoint(change.sets_end):
                yield change.until


def _is_beside(catalog: Catalog, term: AnyTerm, other: AnyTerm) -> bool:
    """Return whether two terms may bear on one answer: whether shares are due is asked of shares."""
    if isinstance(other, Inoperative) or (
        isinstance(term, RevenueShareTerm) is not isinstance(other, RevenueShareTerm)
    ):
        return False
    return isinstance(term, RevenueShareTerm) or catalog.overlap(_products(term), _products(other))


def _products(term: AnyTerm) -> frozenset[str]:
    products: frozenset[str] = getattr(term, "products", frozenset())
    if isinstance(term, Licence):
        return products.union(*(scope.products for scope in term.carries))
    return products
