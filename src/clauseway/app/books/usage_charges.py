"""The charges for all usage of some days: sums of the lake meet the prices of their day."""

from clauseway.ledger.charges import UsageCharge, charged_units, summed
from clauseway.pricing import PriceTable
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.sums import day_sums
from clauseway.values import Interval


def usage_charges(lake: Lake, prices: PriceTable, days: Interval) -> list[UsageCharge]:
    """Return the charges for all usage of the days, summed in the lake before it is priced.

    Raise UnknownPrice.

    Pricing the attempts one by one comes to the same: a law in the tests.
    """
    return summed(
        part
        for usage in day_sums(lake, prices, days)
        for part in charged_units(
            usage.day,
            usage.organisation,
            usage.project,
            usage.attempts,
            prices.charge_sum(usage.sale, usage.day, usage.units),
            prices.row(usage.sale, usage.day),
        )
    )
