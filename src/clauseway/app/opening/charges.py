"""The charges behind metered usage, attempt by attempt: which price each unit had, and the sums that a bill shows."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.exchange.focus_bill import UsageCharge
from clauseway.metering.endpoints import ENDPOINT_NAMES, tier_of
from clauseway.pricing import Charge, PriceRow, PriceTable, Sale
from clauseway.pricing.table import in_context
from clauseway.storage.lake.attempts import Attempt
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sums import day_sums
from clauseway.values import Interval, day_of, exact_product

_HOUR_NS = 3_600_000_000_000
# 1970 began on a Thursday: so many hours after a Monday's begin.
_EPOCH_HOUR = 72
_HOURS_OF_WEEK = 168


def sale_of(attempt: Attempt) -> Sale:
    """What an attempt's price may depend on, the length of its context apart."""
    return Sale(
        product=attempt.product,
        cloud=attempt.cloud,
        seller=attempt.seller,
        region=attempt.region,
        buyer=attempt.organisation,
        tier=tier_of(attempt.endpoint, attempt.tier),
        endpoint=ENDPOINT_NAMES.get(attempt.endpoint, ""),
        hour=(attempt.event_ns // _HOUR_NS + _EPOCH_HOUR) % _HOURS_OF_WEEK,
    )


def charge_of(attempt: Attempt, prices: PriceTable) -> Charge:
    """An attempt's charge with its working. Raises pricing.UnknownPrice."""
    return prices.charge(sale_of(attempt), day_of(attempt.event_ns), attempt.units)


def in_usd(charge: Charge, day: date, prices: PriceTable) -> Decimal:
    """A charge in USD, at the day's rate where it is in another currency. Raises InvalidInput where there is none."""
    return exact_product(charge.amount, prices.usd(charge.currency, day))


def charges_of(attempts_: Iterable[Attempt], prices: PriceTable) -> list[UsageCharge]:
    """The charges of single attempts, each priced alone, summed by day, buyer, place, product, unit and price."""
    return _summed(
        part
        for one in attempts_
        for part in _parts(
            day_of(one.event_ns),
            one.organisation,
            one.project,
            1,
            prices.charge(sale_of(one), day_of(one.event_ns), one.units),
            prices.row(in_context(sale_of(one), one.units), day_of(one.event_ns)),
        )
    )


def usage_charges(lake: Lake, prices: PriceTable, days: Interval) -> list[UsageCharge]:
    """The charges of all usage of the days, summed in the lake before it is priced. Raises pricing.UnknownPrice.

    A law in the tests says that this is what pricing the attempts one by one comes to.
    """
    return _summed(
        part
        for one in day_sums(lake, prices, days)
        for part in _parts(
            one.day,
            one.organisation,
            one.project,
            one.attempts,
            prices.charge_sum(one.sale, one.day, one.units),
            prices.row(one.sale, one.day),
        )
    )


def _summed(parts: Iterable[UsageCharge]) -> list[UsageCharge]:
    sums: dict[UsageCharge, list[int]] = {}
    for charge in parts:
        counted = sums.setdefault(msgspec.structs.replace(charge, quantity=0, requests=0), [0, 0])
        counted[0] += charge.quantity
        counted[1] += charge.requests
    found = [
        msgspec.structs.replace(charge, quantity=quantity, requests=requests)
        for charge, (quantity, requests) in sums.items()
    ]
    return sorted(found, key=msgspec.structs.astuple)


def _parts(
    day: date, organisation: str, project: str, requests: int, charge: Charge, row: PriceRow
) -> Iterator[UsageCharge]:
    for line in charge.lines:
        yield UsageCharge(
            day=day,
            organisation=organisation,
            project=project,
            seller=row.sale.seller,
            cloud=row.sale.cloud,
            region=row.sale.region,
            product=row.sale.product,
            unit=line.unit,
            quantity=line.quantity,
            price=line.price,
            list_price=row.won[line.unit].entry.price,
            currency=charge.currency,
            source=line.source,
            requests=requests,
        )
