"""Charges for metered usage as a bill in FOCUS: one row a day, buyer, product, host cloud, region,
seller and unit.

A provider issues the bill for its own sales. Sales of another party that the provider only hosts
are on the bill with a BilledCost of 0, because the seller receives the payment; the other costs
stay. FOCUS has no columns for host cloud and requests: they are in custom columns (`x_…`).

1.2 names the provider and the product's publisher. 1.4 names the seller (ServiceProviderName) and
the operator of the cloud (HostProviderName) instead, but neither the issuer of the bill nor the
publisher.

A credit is a row of the category "Credit" below zero, on the day of the sale that it takes back, so
that the bill sums to the base that settlements take.

A home invoices shares between parties, but not usage to its buyers, so no row has an invoice.

A decimal is always written with a point (`30.0`), so that a reader that guesses types does not take
a column for whole numbers. In Parquet the types are decimal(38, 12) and timestamps in UTC.

Rules and their source: `focus_columns`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from clauseway.exchange.cells import CsvWriter
from clauseway.exchange.focus.focus_columns import (
    DECIMAL,
    KINDS,
    TIME,
    V1_2,
    FocusRow,
    Value,
    columns_of,
)
from clauseway.exchange.usage.focus import ORGANISATION, PROJECT
from clauseway.ledger.charges import UsageCharge, UsageCredit
from clauseway.metering import Unit
from clauseway.values import USD, Interval, day_after, exact_product

# Prices are per million units, as their sellers list them.
_PER = Decimal(1_000_000)
_ZERO = Decimal(0)
# Rows are some four kilobytes each in memory.
_ROW_GROUP = 20_000
_DECIMAL = pa.decimal128(38, 12)
_OWN_KINDS = {"x_Requests": DECIMAL, "x_OwedUsd": DECIMAL, "x_WithholdingRate": DECIMAL}
_NO_HOSTS: Mapping[str, str] = {}
_TOKENS = ("Tokens", "1000000 Tokens", Decimal(1))
# (consumed unit, pricing unit, consumed units per unit of ours)
_UNITS = {
    Unit.REQUESTS: ("Requests", "1000000 Requests", Decimal(1)),
    Unit.AUDIO_INPUT_MILLISECONDS: ("Seconds", "1000 Seconds", Decimal("0.001")),
    Unit.WEB_SEARCHES: ("Searches", "1000000 Searches", Decimal(1)),
}

# The columns of a bill of any version, in their order.
_BILL_COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceDetailId",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "x_HostCloud",
    "x_Requests",
    "x_Tier",
)


@cache
def bill_columns(version: str = V1_2) -> tuple[str, ...]:
    """Return the columns of a bill in a version of FOCUS."""
    specified = columns_of(version)
    return tuple(name for name in _BILL_COLUMNS if name in specified or name.startswith("x_"))


def focus_rows(
    charges: Iterable[UsageCharge | UsageCredit],
    period: Interval,
    provider: str = "",
    publisher: str = "",
    hosts: Mapping[str, str] = _NO_HOSTS,
    version: str = V1_2,
) -> list[FocusRow]:
    """Return the rows of a provider's bill for a period, in the order of the charges and credits.

    Without a `provider` each seller bills its own sales. `publisher` made the products; `hosts` are
    the operators of clouds.
    """
    columns = bill_columns(version)
    rows: list[FocusRow] = []
    for charge in charges:
        biller, maker = provider or charge.seller, publisher or charge.seller
        if isinstance(charge, UsageCredit):
            row = _credit_row(charge, period, biller, maker, hosts)
        else:
            row = _row(charge, period, biller, maker, hosts)
        rows.append({name: row[name] for name in columns})
    return rows


def write_bill_as_csv(rows: Iterable[FocusRow], columns: Sequence[str], file: TextIO) -> None:
    """Write the rows as CSV into a file that leaves line ends as they are; a null is an empty
    field."""
    writer = CsvWriter(file)
    writer.row(columns)
    writer.rows([_written(row[name]) for name in columns] for row in rows)


def write_bill_as_parquet(
    rows: Iterable[FocusRow], columns: Sequence[str], output: str | pa.NativeFile
) -> None:
    """Write the rows as Parquet, a row group of them at a time; each column has the type that the
    specification gives it."""
    schema = pa.schema([(name, _type_of(name)) for name in columns])
    left = iter(rows)
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        while some := list(islice(left, _ROW_GROUP)):
            writer.write_table(
                pa.table({name: [row[name] for row in some] for name in columns}, schema=schema)
            )


def _type_of(name: str) -> pa.DataType:
    kind = KINDS.get(name) or _OWN_KINDS.get(name, "")
    return {DECIMAL: _DECIMAL, TIME: pa.timestamp("us", "UTC")}.get(kind, pa.string())


def _about(
    charge: UsageCharge | UsageCredit,
    period: Interval,
    provider: str,
    publisher: str,
    hosts: Mapping[str, str],
) -> dict[str, Value]:
    """Return the columns for the buyer, the product and the time of a charge."""
    # A credit without a buyer is on the seller's own account.
    buyer, kind = (
        (charge.organisation, ORGANISATION) if charge.organisation else (charge.seller, "Seller")
    )
    return {
        "BillingAccountId": buyer,
        "BillingAccountName": buyer,
        "BillingAccountType": kind,
        # FOCUS takes the end of a period as excluded, so it is the midnight after the last day.
        "BillingPeriodEnd": midnight(period.end),
        "BillingPeriodStart": midnight(period.begin),
        # FOCUS: null unless the row corrects a billing period that was invoiced before.
        "ChargeClass": None,
        "ChargePeriodEnd": midnight(day_after(charge.day)),
        "ChargePeriodStart": midnight(charge.day),
        # Null where the operator is not known.
        "HostProviderName": hosts.get(charge.cloud),
        # FOCUS: who invoices the charge, which is the seller wherever it is hosted.
        "InvoiceIssuerName": charge.seller,
        "ProviderName": provider,
        "PublisherName": publisher,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": charge.product,
        "ServiceProviderName": charge.seller,
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": charge.project or None,
        "SubAccountName": charge.project or None,
        "SubAccountType": PROJECT if charge.project else None,
        "x_HostCloud": charge.cloud,
    }


def _credit_row(
    credit: UsageCredit, period: Interval, provider: str, publisher: str, hosts: Mapping[str, str]
) -> dict[str, Value]:
    cost = credit.amount.copy_negate()
    # No price and no quantity: those columns are null, and every cost is what is taken back.
    return {
        **dict.fromkeys(_BILL_COLUMNS),
        **_about(credit, period, provider, publisher, hosts),
        "BilledCost": cost if credit.seller == provider else _ZERO,
        "BillingCurrency": USD,
        "ChargeCategory": "Credit",
        "ChargeDescription": f"{credit.voucher}: {credit.reason or 'taken back'} "
        f"({credit.product} on {credit.cloud}, sold by {credit.seller})",
        "ChargeFrequency": "One-Time",
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "ListCost": cost,
    }


def _row(
    charge: UsageCharge, period: Interval, provider: str, publisher: str, hosts: Mapping[str, str]
) -> dict[str, Value]:
    """Return a row with the columns of every version."""
    cost = charge.amount
    # List prices are picodollars (1e-12 USD) a unit; costs are in dollars.
    list_cost = Decimal(charge.quantity * charge.list_price).scaleb(-12)
    consumed, pricing, per = _UNITS.get(charge.unit, _TOKENS)
    meter = charge.unit.column.replace("_", " ").capitalize()
    sku = f"{charge.product}/{charge.unit.column}"
    place = f"{charge.cloud}/{charge.region or 'any'}"
    return {
        **_about(charge, period, provider, publisher, hosts),
        "BilledCost": cost if charge.seller == provider else _ZERO,
        "BillingCurrency": charge.currency or USD,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{meter} of {charge.product} on {charge.cloud}, "
        f"sold by {charge.seller}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": exact_product(Decimal(charge.quantity), per),
        "ConsumedUnit": consumed,
        "ContractedCost": cost,
        "ContractedUnitPrice": _per_million(charge.price),
        "EffectiveCost": cost,
        "InvoiceDetailId": None,
        "InvoiceId": None,
        "ListCost": list_cost,
        "ListUnitPrice": _per_million(charge.list_price),
        "PricingCategory": "Standard",
        # Prices are per million of our units, which the pricing unit names as FOCUS does.
        "PricingQuantity": Decimal(charge.quantity) / _PER,
        "PricingUnit": pricing,
        "RegionId": charge.region or None,
        "RegionName": charge.region or None,
        "SkuId": sku,
        "SkuMeter": meter,
        # FOCUS asks that keys which it does not define begin with x_.
        "SkuPriceDetails": json.dumps({"x_source": charge.source}, ensure_ascii=False),
        # FOCUS: it names one unit price, so tiers and lengths have their own.
        "SkuPriceId": "/".join((sku, place, charge.seller, *charge.conditions)),
        "x_Requests": Decimal(charge.requests),
        "x_Tier": charge.tier or None,
    }


def _per_million(picos: int) -> Decimal:
    """Return picos a unit as an amount per million units."""
    return Decimal(picos).scaleb(-6).normalize()


def midnight(day: date) -> datetime:
    """Return the instant at which a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def _written(value: Value) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value or ""


def decimal_text(value: Decimal) -> str:
    """Return a decimal as FOCUS writes it: with a point and as few places as needed, at least
    one."""
    text = f"{value.normalize():f}"
    return text if "." in text else f"{text}.0"
