"""The prices that a gateway charges and reserves by, taken from the dated book: every case in which
they differ.

For every buyer, endpoint, tier, hour and length the plan has the price that `pricing` would
return; a case that costs what a more general one does is left out (see
`tariffs.cases_of`).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product as every

import msgspec

from clauseway.gateway.plan import Prices
from clauseway.gateway.routing.tariffs import TariffCase, cases_of
from clauseway.metering import Unit
from clauseway.metering.endpoints import DEFAULT_TIER, TIERS
from clauseway.pricing import PriceRow, PriceTable, Sale
from clauseway.pricing.price_conditions import HOUR
from clauseway.values import USD, InvalidInput, start_of_day_ns

# Units without whose prices a model of each kind is not sold; of several sets any one is enough.
NEEDS_PRICE: Mapping[str, tuple[frozenset[Unit], ...]] = {
    "text": (frozenset({Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS}),),
    "embedding": (frozenset({Unit.INPUT_TOKENS}),),
    "image": (frozenset({Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS}),),
    "speech": (frozenset({Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS}),),
    "transcription": (
        frozenset({Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS}),
        frozenset({Unit.AUDIO_INPUT_MILLISECONDS}),
    ),
    "moderation": (frozenset({Unit.INPUT_TOKENS}),),
}
_NS_MAX = (1 << 63) - 1

# Above which length, from when until when, unit → price.
_Span = tuple[int, int, int, tuple[tuple[int, int], ...]]


def plan_prices(sale: Sale, prices: PriceTable, day: date) -> tuple[Prices, ...]:
    """Return the prices of a product at a place.

    Raise InvalidInput where some of it is priced in another currency than USD on the day or later:
    a gateway counts limits and budgets in dollars.
    """
    grain = prices.grain([sale])
    hours = _hours_alike(grain.hours) if HOUR in grain.further else {-1: ()}
    priced: dict[TariffCase, Mapping[tuple[_Span, ...], tuple[int, ...]]] = {}
    # The general before the special: what a case adds is seen against what would hold without it.
    cases = every(("", *sorted(grain.buyers)), ("", *sorted(grain.endpoints)), ("", *TIERS[2:]))
    for buyer, endpoint, tier in sorted(cases, key=_names):
        own = msgspec.structs.replace(
            sale, buyer=buyer, endpoint=endpoint, tier=tier or DEFAULT_TIER
        )
        spans = _by_hours(own, grain.steps, hours, prices, day)
        general = next(
            (priced[case] for case in cases_of(buyer, endpoint, tier) if case in priced), None
        )
        if spans != general:
            priced[buyer, endpoint, tier] = spans
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
        for (buyer, endpoint, tier), by_hours in priced.items()
        for spans, within in by_hours.items()
        for above, begin_ns, end_ns, units in spans
    )


def bound_ns(day: date) -> int:
    """Return a day's start; the first and the last day of all are always and never."""
    return -_NS_MAX - 1 if day == date.min else _NS_MAX if day == date.max else start_of_day_ns(day)


def _names(case: TariffCase) -> tuple[int, TariffCase]:
    return sum(1 for name in case if name), case


def _hours_alike(first: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Return the hours of the week by the first of those that have the same prices."""
    return {
        begin: tuple(hour for hour, like in first.items() if like == begin)
        for begin in sorted(set(first.values()))
    }


def _by_hours(
    sale: Sale,
    steps: tuple[int, ...],
    hours: Mapping[int, tuple[int, ...]],
    prices: PriceTable,
    day: date,
) -> Mapping[tuple[_Span, ...], tuple[int, ...]]:
    """Return the spans of a case with the hours of the week in which they hold: none where they
    hold in all."""
    groups: dict[tuple[_Span, ...], list[int]] = {}
    for hour, alike in hours.items():
        spans = tuple(_spans(msgspec.structs.replace(sale, hour=hour), steps, prices, day))
        groups.setdefault(spans, []).extend(alike)
    return {
        spans: tuple(sorted(within)) if len(groups) > 1 else () for spans, within in groups.items()
    }


def _spans(sale: Sale, steps: tuple[int, ...], prices: PriceTable, day: date) -> Iterator[_Span]:
    before: list[tuple[int, int, tuple[tuple[int, int], ...]]] = []
    for above in (0, *steps):
        # A price for more than so many tokens holds from the next token on.
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
    """Yield the rows as spans, each as long as nothing changes."""
    begin_ns = end_ns = 0
    units: tuple[tuple[int, int], ...] = ()
    for row in rows:
        if not _in_dollars(row, day):
            continue
        own = tuple((int(unit), price) for unit, price in sorted(row.prices.items()))
        # Adjoining rows with the same prices are one span, so that the plan stays small.
        if own == units and bound_ns(row.begin) == end_ns:
            end_ns = bound_ns(row.end)
            continue
        if units:
            yield begin_ns, end_ns, units
        begin_ns, end_ns, units = bound_ns(row.begin), bound_ns(row.end), own
    if units:
        yield begin_ns, end_ns, units


def _in_dollars(row: PriceRow, day: date) -> bool:
    """Return whether a price is in dollars.

    A price that has ended need not be. Raise InvalidInput.
    """
    if row.currency != USD and row.end > day:
        sale = row.sale
        asked = ", ".join(
            filter(None, (sale.buyer and f"for {sale.buyer}", f"in the tier {sale.tier}"))
        )
        problem = (
            f"{sale.product} on {sale.cloud} sold by {sale.seller} is priced in {row.currency} "
            f"{asked}"
        )
        raise InvalidInput.of(
            what=problem,
            why="a gateway counts limits and budgets in USD",
            where="price book",
            remedy="Give it a price book with a price in USD.",
        )
    return row.currency == USD
