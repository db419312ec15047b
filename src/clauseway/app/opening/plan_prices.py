"""The prices that a gateway charges and reserves by, taken from the dated book: every case in which they differ.

Whoever buys, through whatever endpoint, in whatever tier, hour and length, finds in the plan what `pricing` would say;
a case that costs what a more general one does is left out (see `tariffs.cases_of`).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product as every

import msgspec

from clauseway.gateway.plan import Prices
from clauseway.gateway.routing.tariffs import Case, cases_of
from clauseway.metering.endpoints import DEFAULT_TIER, TIERS
from clauseway.pricing import PriceRow, PriceTable, Sale
from clauseway.pricing.conditions import HOUR
from clauseway.values import USD, InvalidInput, Problem, start_of_day_ns

_NS_MAX = (1 << 63) - 1

# Above which length, from when until when, unit → price.
_Span = tuple[int, int, int, tuple[tuple[int, int], ...]]


def plan_prices(sale: Sale, prices: PriceTable, day: date) -> tuple[Prices, ...]:
    """What a product costs at a place. Raises InvalidInput where some of it is priced in another currency than USD on
    the day or later: a gateway counts limits and budgets in dollars."""
    grain = prices.grain([sale])
    hours = _hours_alike(grain.hours) if HOUR in grain.further else {-1: ()}
    found: dict[Case, Mapping[tuple[_Span, ...], tuple[int, ...]]] = {}
    # The general before the special: what a case adds is seen against what would hold without it.
    cases = every(("", *sorted(grain.buyers)), ("", *sorted(grain.endpoints)), ("", *TIERS[2:]))
    for buyer, endpoint, tier in sorted(cases, key=_names):
        own = msgspec.structs.replace(
            sale, buyer=buyer, endpoint=endpoint, tier=tier or DEFAULT_TIER
        )
        spans = _by_hours(own, grain.steps, hours, prices, day)
        general = next(
            (found[case] for case in cases_of(buyer, endpoint, tier) if case in found), None
        )
        if spans != general:
            found[buyer, endpoint, tier] = spans
    return tuple(
        Prices(
            begin_ns=begin_ns,
            end_ns=end_ns,
            units=dict(units),
            above=above,
            hours=within,
            buyer=buyer,
            endpoint=endpoint,
            tier=tier,
        )
        for (buyer, endpoint, tier), by_hours in found.items()
        for spans, within in by_hours.items()
        for above, begin_ns, end_ns, units in spans
    )


def bound_ns(day: date) -> int:
    """A day's start; the first and the last day of all are always and never."""
    return -_NS_MAX - 1 if day == date.min else _NS_MAX if day == date.max else start_of_day_ns(day)


def _names(case: Case) -> tuple[int, Case]:
    return sum(1 for name in case if name), case


def _hours_alike(first: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """The hours of the week by the first of those that have the same prices."""
    return {
        one: tuple(hour for hour, its in first.items() if its == one)
        for one in sorted(set(first.values()))
    }


def _by_hours(
    sale: Sale,
    steps: tuple[int, ...],
    hours: Mapping[int, tuple[int, ...]],
    prices: PriceTable,
    day: date,
) -> Mapping[tuple[_Span, ...], tuple[int, ...]]:
    """The spans of a case with the hours of the week in which they hold: none where they hold in all."""
    found: dict[tuple[_Span, ...], list[int]] = {}
    for one, alike in hours.items():
        spans = tuple(_spans(msgspec.structs.replace(sale, hour=one), steps, prices, day))
        found.setdefault(spans, []).extend(alike)
    return {
        spans: tuple(sorted(within)) if len(found) > 1 else () for spans, within in found.items()
    }


def _spans(sale: Sale, steps: tuple[int, ...], prices: PriceTable, day: date) -> Iterator[_Span]:
    before: list[tuple[int, int, tuple[tuple[int, int], ...]]] = []
    for above in (0, *steps):
        rows = list(
            _joined(
                prices.rows([msgspec.structs.replace(sale, context=above + 1 if above else 0)]), day
            )
        )
        if rows != before:
            yield from ((above, *row) for row in rows)
        before = rows


def _joined(
    rows: list[PriceRow], day: date
) -> Iterator[tuple[int, int, tuple[tuple[int, int], ...]]]:
    """The rows as spans, each as long as nothing changes."""
    begin_ns = end_ns = 0
    units: tuple[tuple[int, int], ...] = ()
    for row in rows:
        if not _in_dollars(row, day):
            continue
        own = tuple((int(unit), price) for unit, price in sorted(row.prices.items()))
        if own == units and bound_ns(row.begin) == end_ns:
            end_ns = bound_ns(row.end)
            continue
        if units:
            yield begin_ns, end_ns, units
        begin_ns, end_ns, units = bound_ns(row.begin), bound_ns(row.end), own
    if units:
        yield begin_ns, end_ns, units


def _in_dollars(row: PriceRow, day: date) -> bool:
    """Whether it is; one that is over need not be. Raises InvalidInput."""
    if row.currency != USD and row.end > day:
        sale = row.sale
        asked = ", ".join(
            filter(None, (sale.buyer and f"for {sale.buyer}", f"in the tier {sale.tier}"))
        )
        what = f"{sale.product} on {sale.cloud} sold by {sale.seller} is priced in {row.currency} {asked}"
        why, todo = (
            "a gateway counts limits and budgets in USD",
            "Give it a price book with a price in USD.",
        )
        raise InvalidInput(Problem(what=what, why=why, where="price book", todo=todo))
    return row.currency == USD
