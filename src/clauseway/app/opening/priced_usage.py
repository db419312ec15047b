"""The charges for metered usage: attempts meet the prices of their day."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from clauseway.ledger.charges import UsageCharge, charged_units, summed
from clauseway.metering import Used
from clauseway.metering.endpoints import ENDPOINT_NAMES, tier_of
from clauseway.pricing import Charge, PriceTable, Sale
from clauseway.pricing.price_table import in_context
from clauseway.values import EPOCH_HOUR, HOUR_NS, HOURS_OF_WEEK, day_of, exact_product


def sale_of(attempt: Used) -> Sale:
    """Return everything that an attempt's price may depend on, except the length of its context."""
    return Sale(
        product=attempt.product,
        cloud=attempt.cloud,
        seller=attempt.seller,
        region=attempt.region,
        buyer=attempt.organisation,
        tier=tier_of(attempt.endpoint, attempt.tier),
        endpoint=ENDPOINT_NAMES.get(attempt.endpoint, ""),
        # 1 January 1970 was a Thursday; hours of the week count from Monday.
        hour=(attempt.event_ns // HOUR_NS + EPOCH_HOUR) % HOURS_OF_WEEK,
    )


def charge_of(attempt: Used, prices: PriceTable) -> Charge:
    """Return an attempt's charge with its working. Raise pricing.UnknownPrice."""
    return prices.charge(sale_of(attempt), day_of(attempt.event_ns), dict(attempt.units))


def in_usd(charge: Charge, day: date, prices: PriceTable) -> Decimal:
    """Return a charge in USD, at the day's rate where it is in another currency.

    Raise InvalidInput without a rate.
    """
    return exact_product(charge.amount, prices.usd(charge.currency, day))


def charges_of(attempts_: Iterable[Used], prices: PriceTable) -> list[UsageCharge]:
    """Return the charges for single attempts, each priced alone, summed by day, buyer, place,
    product, unit and price."""
    return summed(
        part
        for attempt in attempts_
        for part in charged_units(
            day_of(attempt.event_ns),
            attempt.organisation,
            attempt.project,
            1,
            charge_of(attempt, prices),
            prices.row(in_context(sale_of(attempt), dict(attempt.units)), day_of(attempt.event_ns)),
        )
    )
