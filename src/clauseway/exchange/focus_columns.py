"""The columns of FOCUS 1.2 and their rules, as a table, and what of it a bill breaks.

Source: FinOps Open Cost and Usage Specification 1.2, specification/columns/*.md at tag v1.2 (CC-BY-4.0): each column's
"Content Constraints" (type, feature level, whether nulls are allowed, allowed values) and its nullability rules for
charges of the category "Usage", which are all that a meter knows. A null is `None` here and an empty field in CSV.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from clauseway.values import exact_product

VERSION = "1.2"
MANDATORY, CONDITIONAL, RECOMMENDED = "Mandatory", "Conditional", "Recommended"
STRING, DECIMAL, TIME, JSON = "String", "Decimal", "Date/Time", "JSON"
Value = str | Decimal | datetime | None
Row = Mapping[str, Value]


class Column(msgspec.Struct, frozen=True):
    """A column: its level, its type, whether it may be null, and whether it may be for usage that is no correction."""

    name: str
    level: str
    kind: str = STRING
    nullable: bool = False
    null_for_usage: bool = False
    allowed: frozenset[str] = frozenset()
    non_negative: bool = False


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


COLUMNS: tuple[Column, ...] = (
    Column("AvailabilityZone", RECOMMENDED, nullable=True, null_for_usage=True),
    Column("BilledCost", MANDATORY, DECIMAL),
    Column("BillingAccountId", MANDATORY),
    Column("BillingAccountName", MANDATORY, nullable=True, null_for_usage=True),
    Column("BillingAccountType", CONDITIONAL),
    Column("BillingCurrency", MANDATORY),
    Column("BillingPeriodEnd", MANDATORY, TIME),
    Column("BillingPeriodStart", MANDATORY, TIME),
    Column("CapacityReservationId", CONDITIONAL, nullable=True, null_for_usage=True),
    Column(
        "CapacityReservationStatus", CONDITIONAL, nullable=True, null_for_usage=True, allowed=_words("Used", "Unused")
    ),
    Column("ChargeCategory", MANDATORY, allowed=_words("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    Column("ChargeClass", MANDATORY, nullable=True, null_for_usage=True, allowed=_words("Correction")),
    Column("ChargeDescription", MANDATORY, nullable=True, null_for_usage=True),
    Column("ChargeFrequency", RECOMMENDED, allowed=_words("One-Time", "Recurring", "Usage-Based")),
    Column("ChargePeriodEnd", MANDATORY, TIME),
    Column("ChargePeriodStart", MANDATORY, TIME),
    Column(
        "CommitmentDiscountCategory", CONDITIONAL, nullable=True, null_for_usage=True, allowed=_words("Spend", "Usage")
    ),
    Column("CommitmentDiscountId", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("CommitmentDiscountName", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("CommitmentDiscountQuantity", CONDITIONAL, DECIMAL, nullable=True, null_for_usage=True),
    Column(
        "CommitmentDiscountStatus", CONDITIONAL, nullable=True, null_for_usage=True, allowed=_words("Used", "Unused")
    ),
    Column("CommitmentDiscountType", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("CommitmentDiscountUnit", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("ConsumedQuantity", CONDITIONAL, DECIMAL, nullable=True),
    Column("ConsumedUnit", CONDITIONAL, nullable=True),
    Column("ContractedCost", MANDATORY, DECIMAL),
    Column("ContractedUnitPrice", CONDITIONAL, DECIMAL, nullable=True, non_negative=True),
    Column("EffectiveCost", MANDATORY, DECIMAL),
    Column("InvoiceId", RECOMMENDED, nullable=True, null_for_usage=True),
    Column("InvoiceIssuerName", MANDATORY),
    Column("ListCost", MANDATORY, DECIMAL),
    Column("ListUnitPrice", CONDITIONAL, DECIMAL, nullable=True, non_negative=True),
    Column(
        "PricingCategory", CONDITIONAL, nullable=True, allowed=_words("Standard", "Dynamic", "Committed", "Other")
    ),
    Column("PricingCurrency", CONDITIONAL, nullable=True, null_for_usage=True),
    Column(
        "PricingCurrencyContractedUnitPrice",
        CONDITIONAL, DECIMAL, nullable=True, null_for_usage=True, non_negative=True,
    ),
    Column("PricingCurrencyEffectiveCost", CONDITIONAL, DECIMAL, nullable=True, null_for_usage=True),
    Column(
        "PricingCurrencyListUnitPrice", CONDITIONAL, DECIMAL, nullable=True, null_for_usage=True, non_negative=True
    ),
    Column("PricingQuantity", MANDATORY, DECIMAL, nullable=True),
    Column("PricingUnit", MANDATORY, nullable=True),
    Column("ProviderName", MANDATORY),
    Column("PublisherName", MANDATORY),
    Column("RegionId", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("RegionName", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("ResourceId", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("ResourceName", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("ResourceType", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("ServiceCategory", MANDATORY, allowed=_words(
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media",
        "Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other",
    )),
    Column("ServiceName", MANDATORY),
    Column("ServiceSubcategory", RECOMMENDED),
    Column("SkuId", CONDITIONAL, nullable=True),
    Column("SkuMeter", CONDITIONAL, nullable=True),
    Column("SkuPriceDetails", CONDITIONAL, JSON, nullable=True, null_for_usage=True),
    Column("SkuPriceId", CONDITIONAL, nullable=True),
    Column("SubAccountId", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("SubAccountName", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("SubAccountType", CONDITIONAL, nullable=True, null_for_usage=True),
    Column("Tags", CONDITIONAL, JSON, nullable=True, null_for_usage=True),
)  # fmt: skip
BY_NAME: Mapping[str, Column] = {column.name: column for column in COLUMNS}
_CURRENCY = re.compile(r"[A-Z]{3}")
# cost = unit price × quantity, wherever both are there and the charge corrects nothing
_PRODUCTS = (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice"))
_PAIRS = (("PricingQuantity", "PricingUnit"), ("ConsumedQuantity", "ConsumedUnit"), ("SkuId", "SkuMeter"))


def broken_rules(rows: Sequence[Row]) -> list[str]:
    """Every rule of the specification that these rows break, as sentences with the row's number, from 1."""
    names = set(rows[0]) if rows else {column.name for column in COLUMNS if column.level == MANDATORY}
    found = [
        f"{column.name} is missing: it is mandatory"
        for column in COLUMNS
        if column.level == MANDATORY and column.name not in names
    ]
    found += [f"{name} is no column of FOCUS {VERSION}" for name in sorted(names) if not _is_known(name)]
    for number, row in enumerate(rows, 1):
        found += [f"row {number}: {broken}" for broken in _broken_in(row)]
    return found


def _is_known(name: str) -> bool:
    return name in BY_NAME or name.startswith("x_")


def _broken_in(row: Row) -> Iterator[str]:
    is_usage = row.get("ChargeCategory") == "Usage" and row.get("ChargeClass") is None
    for name, value in row.items():
        column = BY_NAME.get(name)
        if column is not None:
            yield from _broken_in_field(column, value, is_usage)
    yield from _broken_together(row)


def _broken_in_field(column: Column, value: Value, is_usage: bool) -> Iterator[str]:
    if value is None:
        if not column.nullable or (is_usage and not column.null_for_usage):
            yield f"{column.name} is null"
    elif value == "":
        yield f"{column.name} is an empty string; what is not there is null"
    elif not isinstance(value, {DECIMAL: Decimal, TIME: datetime}.get(column.kind, str)):
        yield f"{column.name} is {value!r}, no {column.kind}"
    elif isinstance(value, Decimal) and (not value.is_finite() or (column.non_negative and value < 0)):
        yield f"{column.name} is {value}"
    elif isinstance(value, str) and column.allowed and value not in column.allowed:
        yield f"{column.name} is {value!r}, none of {', '.join(sorted(column.allowed))}"
    elif isinstance(value, datetime) and value.utcoffset() is None:
        yield f"{column.name} is {value}, without UTC"


def _broken_together(row: Row) -> Iterator[str]:
    for cost, price in _PRODUCTS:
        amount, unit_price, quantity = row.get(cost), row.get(price), row.get("PricingQuantity")
        if not (isinstance(amount, Decimal) and isinstance(unit_price, Decimal) and isinstance(quantity, Decimal)):
            continue
        if row.get("ChargeClass") is None and exact_product(unit_price, quantity) != amount:
            yield f"{cost} is {amount}, and {price} times PricingQuantity is not"
    for one, other in _PAIRS:
        if (row.get(one) is None) != (row.get(other) is None):
            yield f"of {one} and {other} one is null and the other is not"
    currency = row.get("BillingCurrency")
    if isinstance(currency, str) and not _CURRENCY.fullmatch(currency):
        yield f"BillingCurrency is {currency!r}, no code of ISO 4217"
    for kind in ("Billing", "Charge"):
        bounds = [row.get(f"{kind}PeriodStart"), row.get(f"{kind}PeriodEnd")]
        instants = [bound for bound in bounds if isinstance(bound, datetime) and bound.utcoffset() is not None]
        if len(instants) == 2 and instants[0] >= instants[1]:
            yield f"the {kind.lower()} period ends before it begins"
    third_party = row.get("InvoiceIssuerName") != row.get("ProviderName")
    if third_party and row.get("BilledCost") != Decimal(0):
        yield f"BilledCost is {row.get('BilledCost')} where a third party receives the payment; it must be 0"
