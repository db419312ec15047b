"""The charges behind metered usage, attempt by attempt: which price each unit had, and the sums that a bill shows."""

from collections.abc import Iterator

import msgspec

from clauseway.exchange.focus_bill import UsageCharge
from clauseway.metering.endpoints import ENDPOINTS, tier_of
from clauseway.pricing import Charge, PriceTable, Sale
from clauseway.pricing.table import in_context
from clauseway.storage.attempts import Attempt, Selection, attempts
from clauseway.storage.lake import Lake
from clauseway.values import day_of

_ENDPOINT_NAMES = {code: name for name, code in ENDPOINTS.items()}
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
        endpoint=_ENDPOINT_NAMES.get(attempt.endpoint, ""),
        hour=(attempt.event_ns // _HOUR_NS + _EPOCH_HOUR) % _HOURS_OF_WEEK,
    )


def charge_of(attempt: Attempt, prices: PriceTable) -> Charge:
    """An attempt's charge with its working. Raises pricing.UnknownPrice."""
    return prices.charge(sale_of(attempt), day_of(attempt.event_ns), attempt.units)


def usage_charges(lake: Lake, prices: PriceTable, selection: Selection) -> list[UsageCharge]:
    """The charges of a selection, summed by day, buyer, seller, place, product, unit and price, in that order.

    Each attempt is priced alone, so whatever its price depends on counts. Raises pricing.UnknownPrice.
    """
    sums: dict[UsageCharge, list[int]] = {}
    for attempt in attempts(lake, selection):
        for charge in _parts(attempt, prices):
            counted = sums.setdefault(msgspec.structs.replace(charge, quantity=0, requests=0), [0, 0])
            counted[0] += charge.quantity
            counted[1] += 1
    found = [
        msgspec.structs.replace(charge, quantity=quantity, requests=requests)
        for charge, (quantity, requests) in sums.items()
    ]
    return sorted(found, key=msgspec.structs.astuple)


def _parts(attempt: Attempt, prices: PriceTable) -> Iterator[UsageCharge]:
    sale, day = sale_of(attempt), day_of(attempt.event_ns)
    charge = prices.charge(sale, day, attempt.units)
    won = prices.row(in_context(sale, attempt.units), day).won
    for line in charge.lines:
        yield UsageCharge(
            day=day,
            organisation=attempt.organisation,
            project=attempt.project,
            seller=attempt.seller,
            cloud=attempt.cloud,
            region=attempt.region,
            product=attempt.product,
            unit=line.unit,
            quantity=line.quantity,
            price=line.price,
            list_price=won[line.unit].entry.price,
            currency=charge.currency,
            source=line.source,
            requests=1,
        )
