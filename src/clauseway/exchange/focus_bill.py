"""Charges for metered usage as a bill in FOCUS 1.2: one row a day, buyer, product, host cloud, region, seller and unit.

A bill has a provider, whose bill it is. What the provider sells it bills. What another party sells, and the provider
only hosts, is on the bill with a BilledCost of 0, because the seller receives the payment; the other costs stay. Host
cloud, term and requests have no column in 1.2 and stand in columns of our own (`x_…`).

A decimal is written as one (`30.0`), so that a reader that guesses types from what it sees takes no column for whole
numbers. Parquet has types of its own: decimal(38, 12) and timestamps in UTC.

Rules and their source: `focus_columns`.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

import msgspec
import pyarrow as pa

from clauseway.exchange.cells import CsvWriter
from clauseway.exchange.focus_columns import BY_NAME, DECIMAL, TIME, Row, Value
from clauseway.metering import Unit
from clauseway.values import USD, Interval, day_after, exact_product

# Prices are per million units, as their sellers list them.
_PER = Decimal(1_000_000)
_ZERO = Decimal(0)
_DECIMAL = pa.decimal128(38, 12)
_OWN_KINDS = {"x_Requests": DECIMAL}
# Seller and buyer, and the invoice from one to the other.
Invoices = Mapping[tuple[str, str], str]
_NO_INVOICES: Invoices = {}
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
    "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice",
    "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName",
    "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "x_HostCloud", "x_Requests",
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


def focus_rows(
    charges: Iterable[UsageCharge], period: Interval, provider: str, publisher: str, invoices: Invoices = _NO_INVOICES
) -> list[Row]:
    """The rows of a provider's bill for a period; with no provider named, each seller's own. `publisher` made the
    products; `invoices` names the invoice of a seller to a buyer, where there is one. The order is that of the
    charges."""
    return [
        _row(charge, period, provider or charge.seller, publisher or charge.seller)
        | {"InvoiceId": invoices.get((charge.seller, charge.organisation))}
        for charge in charges
    ]


def focus_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The rows as CSV; a null is an empty field."""
    written = io.StringIO(newline="")
    writer = CsvWriter(written)
    writer.row(columns)
    writer.rows([_written(row[name]) for name in columns] for row in rows)
    return written.getvalue()


def focus_table(rows: Sequence[Row], columns: Sequence[str]) -> pa.Table:
    """The rows as an Arrow table, each column of the type that the specification gives it."""
    schema = pa.schema([(name, _type_of(name)) for name in columns])
    return pa.table({name: [row[name] for row in rows] for name in columns}, schema=schema)


def _type_of(name: str) -> pa.DataType:
    kind = BY_NAME[name].kind if name in BY_NAME else _OWN_KINDS.get(name, "")
    return {DECIMAL: _DECIMAL, TIME: pa.timestamp("us", "UTC")}.get(kind, pa.string())


def _row(charge: UsageCharge, period: Interval, provider: str, publisher: str) -> dict[str, Value]:
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
        "InvoiceId": None,
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
        return decimal_text(value)
    return value or ""


def decimal_text(value: Decimal) -> str:
    """A decimal as FOCUS has it in text: with a point and at least one place, and no more than it needs."""
    text = f"{value.normalize():f}"
    return text if "." in text else f"{text}.0"
