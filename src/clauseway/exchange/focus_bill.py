"""Charges for metered usage as a bill in FOCUS 1.2: one row a day, buyer, product, host cloud, region, seller and unit.

A bill has a provider, whose bill it is. What the provider sells it bills. What another party sells, and the provider
only hosts, is on the bill with a BilledCost of 0, because the seller receives the payment; the other costs stay. Host
cloud, term and requests have no column in 1.2 and stand in columns of our own (`x_…`).

Rules and their source: `focus_columns`.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

import msgspec

from clauseway.exchange.focus_columns import Row, Value
from clauseway.metering import Unit
from clauseway.values import USD, Interval, day_after, exact_product

# Prices are per million units, as their sellers list them.
_PER = Decimal(1_000_000)
_ZERO = Decimal(0)
_TOKENS = ("Tokens", "1000000 Tokens", Decimal(1))
# (consumed unit, pricing unit, consumed units per unit of ours)
_UNITS = {
    Unit.REQUESTS: ("Requests", "1000000 Requests", Decimal(1)),
    Unit.AUDIO_INPUT_MILLISECONDS: ("Seconds", "1000 Seconds", Decimal("0.001")),
}

# What every bill has, in its order: also one without a row.
BILL_COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ServiceCategory",
    "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
    "SubAccountName", "SubAccountType", "x_HostCloud", "x_Requests",
)  # fmt: skip


class UsageCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit of one product cost one buyer on one day. Prices are picos of `currency` for one unit."""

    day: date
    organisation: str
    project: str
    seller: str
    cloud: str
    region: str
    product: str
    unit: Unit
    quantity: int
    price: int
    list_price: int
    currency: str
    source: str
    requests: int

    @property
    def amount(self) -> Decimal:
        return Decimal(self.quantity * self.price).scaleb(-12)


def focus_rows(charges: Iterable[UsageCharge], period: Interval, provider: str, publisher: str) -> list[Row]:
    """The rows of a provider's bill for a period; with no provider named, each seller's own. `publisher` made the
    products. The order is that of the charges."""
    return [_row(charge, period, provider or charge.seller, publisher or charge.seller) for charge in charges]


def focus_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The rows as CSV; a null is an empty field."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row[name]) for name in columns] for row in rows)
    return written.getvalue()


def _row(charge: UsageCharge, period: Interval, provider: str, publisher: str) -> Row:
    cost = charge.amount
    list_cost = Decimal(charge.quantity * charge.list_price).scaleb(-12)
    consumed, pricing, per = _UNITS.get(charge.unit, _TOKENS)
    meter = charge.unit.column.replace("_", " ").capitalize()
    sku = f"{charge.product}/{charge.unit.column}"
    place = f"{charge.cloud}/{charge.region or 'any'}"
    return {
        "BilledCost": cost if charge.seller == provider else _ZERO,
        "BillingAccountId": charge.organisation,
        "BillingAccountName": charge.organisation,
        "BillingAccountType": "Organisation",
        "BillingCurrency": charge.currency or USD,
        "BillingPeriodEnd": _midnight(period.end),
        "BillingPeriodStart": _midnight(period.begin),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{meter} of {charge.product} on {charge.cloud}, sold by {charge.seller}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _midnight(day_after(charge.day)),
        "ChargePeriodStart": _midnight(charge.day),
        "ConsumedQuantity": exact_product(Decimal(charge.quantity), per),
        "ConsumedUnit": consumed,
        "ContractedCost": cost,
        "ContractedUnitPrice": _per_million(charge.price),
        "EffectiveCost": cost,
        "InvoiceIssuerName": charge.seller,
        "ListCost": list_cost,
        "ListUnitPrice": _per_million(charge.list_price),
        "PricingCategory": "Standard",
        "PricingQuantity": Decimal(charge.quantity) / _PER,
        "PricingUnit": pricing,
        "ProviderName": provider,
        "PublisherName": publisher,
        "RegionId": charge.region or None,
        "RegionName": charge.region or None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": charge.product,
        "ServiceSubcategory": "Generative AI",
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceDetails": json.dumps({"x_source": charge.source}, ensure_ascii=False),
        "SkuPriceId": f"{sku}/{place}/{charge.seller}",
        "SubAccountId": charge.project or None,
        "SubAccountName": charge.project or None,
        "SubAccountType": "Project" if charge.project else None,
        "x_HostCloud": charge.cloud,
        "x_Requests": Decimal(charge.requests),
    }


def _per_million(picos: int) -> Decimal:
    """Picos a unit as an amount per million units."""
    return Decimal(picos).scaleb(-6).normalize()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _written(value: Value) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value or ""
