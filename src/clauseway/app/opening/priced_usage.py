"""The charges for metered usage: attempts meet the prices of their day."""

from datetime import date
from decimal import Decimal

from clauseway.metering import Used
from clauseway.metering.endpoints import ENDPOINT_NAMES, tier_of
from clauseway.pricing import Charge, PriceTable, Sale
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
