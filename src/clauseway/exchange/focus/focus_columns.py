"""The columns of FOCUS 1.2 and 1.4 and their rules, as a table, and the rules that a data set
breaks.

Sources (CC-BY-4.0): of 1.2 the FinOps Open Cost and Usage Specification, specification/columns/*.md
at tag v1.2; of 1.4 the FinOps Foundation's "FOCUS 1.4 Data Model" (SHA-256 39b3e334…a68005) for
names, levels, types, nulls and allowed values, and drafts of 1.4 for the rules between columns
(docs/choices/0090-bills-in-two-versions.md). Nulls are ruled for charges of the category "Usage",
which are all that a meter knows. A null is `None` here and an empty field in CSV.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from clauseway.exchange.usage.focus import SERVICE_CATEGORIES
from clauseway.values import exact_product, is_currency

V1_2, V1_4 = "1.2", "1.4"
VERSIONS = (V1_2, V1_4)
_OF_1_2, _OF_1_4 = (V1_2,), (V1_4,)
MANDATORY, CONDITIONAL, RECOMMENDED = "Mandatory", "Conditional", "Recommended"
STRING, DECIMAL, TIME, JSON = "String", "Decimal", "Date/Time", "JSON"
Value = str | Decimal | datetime | None
FocusRow = Mapping[str, Value]
# The type of a column's values, where they are not text.
_TYPES: Mapping[str, type] = {DECIMAL: Decimal, TIME: datetime}


class Column(msgspec.Struct, frozen=True):
    """A column: its level, its type, whether it may be null, whether it may be null for usage that
    is no correction, its allowed values, and the versions with this definition.

    A column that changed has two records.
    """

    name: str
    level: str
    kind: str = STRING
    nullable: bool = False
    null_for_usage: bool = False
    allowed: frozenset[str] = frozenset()
    non_negative: bool = False
    versions: tuple[str, ...] = VERSIONS


def _free(
    name: str,
    level: str,
    kind: str = STRING,
    allowed: frozenset[str] = frozenset(),
    non_negative: bool = False,
    versions: tuple[str, ...] = VERSIONS,
) -> Column:
    """Return a column that may be null, for usage too."""
    return Column(name, level, kind, True, True, allowed, non_negative, versions)


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


# The values that FOCUS allows in ChargeCategory and ServiceCategory; others break the rule.
_CATEGORIES = _words("Usage", "Purchase", "Tax", "Credit", "Adjustment")
_SERVICE_CATEGORIES = frozenset(SERVICE_CATEGORIES)
COLUMNS: tuple[Column, ...] = (
    _free("AllocatedMethodDetails", RECOMMENDED, JSON, versions=_OF_1_4),
    _free("AllocatedMethodId", CONDITIONAL, versions=_OF_1_4),
    _free("AllocatedResourceId", CONDITIONAL, versions=_OF_1_4),
    _free("AllocatedResourceName", CONDITIONAL, versions=_OF_1_4),
    _free("AllocatedTags", CONDITIONAL, JSON, versions=_OF_1_4),
    _free("AvailabilityZone", RECOMMENDED),
    Column("BilledCost", MANDATORY, DECIMAL),
    Column("BillingAccountId", MANDATORY),
    _free("BillingAccountName", MANDATORY),
    Column("BillingAccountType", CONDITIONAL),
    Column("BillingCurrency", MANDATORY),
    Column("BillingPeriodEnd", MANDATORY, TIME),
    Column("BillingPeriodStart", MANDATORY, TIME),
    _free("CapacityReservationId", CONDITIONAL),
    _free("CapacityReservationStatus", CONDITIONAL, allowed=_words("Used", "Unused")),
    Column("ChargeCategory", MANDATORY, allowed=_CATEGORIES),
    _free("ChargeClass", MANDATORY, allowed=_words("Correction")),
    _free("ChargeDescription", MANDATORY),
    Column("ChargeFrequency", RECOMMENDED, allowed=_words("One-Time", "Recurring", "Usage-Based")),
    Column("ChargePeriodEnd", MANDATORY, TIME),
    Column("ChargePeriodStart", MANDATORY, TIME),
    _free("CommitmentDiscountCategory", CONDITIONAL, allowed=_words("Spend", "Usage")),
    _free("CommitmentDiscountId", CONDITIONAL),
    _free("CommitmentDiscountName", CONDITIONAL),
    _free("CommitmentDiscountQuantity", CONDITIONAL, DECIMAL),
    _free("CommitmentDiscountStatus", CONDITIONAL, allowed=_words("Used", "Unused")),
    _free("CommitmentDiscountType", CONDITIONAL),
    _free("CommitmentDiscountUnit", CONDITIONAL),
    _free("CommitmentProgramEligibilityDetails", CONDITIONAL, JSON, versions=_OF_1_4),
    Column("ConsumedQuantity", CONDITIONAL, DECIMAL, nullable=True),
    Column("ConsumedUnit", CONDITIONAL, nullable=True),
    _free("ContractApplied", CONDITIONAL, JSON, versions=_OF_1_4),
    Column("ContractedCost", MANDATORY, DECIMAL),
    Column("ContractedUnitPrice", CONDITIONAL, DECIMAL, nullable=True, non_negative=True),
    Column("EffectiveCost", MANDATORY, DECIMAL),
    _free("HostProviderName", MANDATORY, versions=_OF_1_4),
    _free("InvoiceDetailId", CONDITIONAL, versions=_OF_1_4),
    _free("InvoiceId", RECOMMENDED, versions=_OF_1_2),
    _free("InvoiceId", CONDITIONAL, versions=_OF_1_4),
    Column("InvoiceIssuerName", MANDATORY),
    Column("ListCost", MANDATORY, DECIMAL),
    Column("ListUnitPrice", CONDITIONAL, DECIMAL, nullable=True, non_negative=True),
    Column(
        "PricingCategory",
        CONDITIONAL,
        nullable=True,
        allowed=_words("Standard", "Dynamic", "Committed", "Other"),
    ),
    _free("PricingCurrency", CONDITIONAL, versions=_OF_1_2),
    Column("PricingCurrency", CONDITIONAL, versions=_OF_1_4),
    _free("PricingCurrencyContractedUnitPrice", CONDITIONAL, DECIMAL, non_negative=True),
    _free("PricingCurrencyEffectiveCost", CONDITIONAL, DECIMAL, versions=_OF_1_2),
    Column("PricingCurrencyEffectiveCost", CONDITIONAL, DECIMAL, versions=_OF_1_4),
    _free("PricingCurrencyListUnitPrice", CONDITIONAL, DECIMAL, non_negative=True),
    Column("PricingQuantity", MANDATORY, DECIMAL, nullable=True),
    Column("PricingUnit", MANDATORY, nullable=True),
    Column("ProviderName", MANDATORY, versions=_OF_1_2),
    Column("PublisherName", MANDATORY, versions=_OF_1_2),
    _free("RegionId", CONDITIONAL),
    _free("RegionName", CONDITIONAL),
    _free("ResourceId", CONDITIONAL),
    _free("ResourceName", CONDITIONAL),
    _free("ResourceType", CONDITIONAL),
    Column("ServiceCategory", MANDATORY, allowed=_SERVICE_CATEGORIES),
    Column("ServiceName", MANDATORY),
    Column("ServiceProviderName", MANDATORY, versions=_OF_1_4),
    Column("ServiceSubcategory", RECOMMENDED),
    Column("SkuId", CONDITIONAL, nullable=True),
    Column("SkuMeter", CONDITIONAL, nullable=True),
    _free("SkuPriceDetails", CONDITIONAL, JSON),
    Column("SkuPriceId", CONDITIONAL, nullable=True),
    _free("SubAccountId", CONDITIONAL),
    _free("SubAccountName", CONDITIONAL),
    _free("SubAccountType", CONDITIONAL),
    _free("Tags", CONDITIONAL, JSON),
)
# The columns of the Invoice Detail data set, which came with 1.4.
INVOICE_DETAIL: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("BilledCost", MANDATORY, DECIMAL),
        Column("BillingAccountId", MANDATORY),
        Column("BillingCurrency", MANDATORY),
        Column("BillingPeriodEnd", MANDATORY, TIME),
        Column("BillingPeriodStart", MANDATORY, TIME),
        Column("ChargeCategory", MANDATORY, allowed=_CATEGORIES),
        Column("InvoiceDetailCreated", MANDATORY, TIME),
        _free("InvoiceDetailDescription", MANDATORY),
        _free("InvoiceDetailGrain", MANDATORY, JSON),
        Column("InvoiceDetailId", MANDATORY),
        Column("InvoiceDetailLastUpdated", MANDATORY, TIME),
        Column("InvoiceId", MANDATORY),
        _free("InvoiceIssueDate", MANDATORY, TIME),
        Column("InvoiceIssueStatus", MANDATORY, allowed=_words("Open", "Issued", "Voided")),
        Column("InvoiceIssuerName", MANDATORY),
        Column("PaymentCurrency", CONDITIONAL),
        Column("PaymentCurrencyBilledCost", CONDITIONAL, DECIMAL),
        Column("PaymentCurrencyInvoiceDetailId", CONDITIONAL),
        _free("PaymentDueDate", MANDATORY, TIME),
        Column("PaymentTerms", MANDATORY),
        _free("PurchaseOrderNumber", CONDITIONAL),
        Column("ReferenceInvoiceId", MANDATORY),
    )
}
_BY_NAME: Mapping[str, Mapping[str, Column]] = {
    version: {column.name: column for column in COLUMNS if version in column.versions}
    for version in VERSIONS
}
KINDS: Mapping[str, str] = {
    column.name: column.kind for column in (*COLUMNS, *INVOICE_DETAIL.values())
}
# cost = unit price × quantity, wherever both are there and the charge corrects nothing
_PRODUCTS = (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice"))
_PAIRS = (
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("SkuId", "SkuMeter"),
)
_INVOICED = (("InvoiceId", "InvoiceDetailId"),)
# 1.4: a charge without a price of a list has none of these.
_OF_A_PRICE = (
    "ConsumedQuantity",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "SkuPriceDetails",
)


def columns_of(version: str) -> Mapping[str, Column]:
    """Return the columns of the Cost and Usage data set in a version of FOCUS, by name."""
    return _BY_NAME[version]


def broken_rules(rows: Sequence[FocusRow], version: str = V1_2, generator: str = "") -> list[str]:
    """Return every rule of Cost and Usage that these rows break, with the row's number from 1.

    `generator` issues the bill. 1.4 has no column for it: without a name, each seller bills its own
    sales.
    """
    broken = broken_columns(rows, columns_of(version), f"FOCUS {version}")
    for number, row in enumerate(rows, 1):
        broken += [f"row {number}: {rule}" for rule in _broken_together(row, version, generator)]
    return broken


def broken_columns(
    rows: Sequence[FocusRow], columns: Mapping[str, Column], dataset: str
) -> list[str]:
    """Return the rules of single columns that the rows of a data set break."""
    mandatory = [column.name for column in columns.values() if column.level == MANDATORY]
    names = set(rows[0]) if rows else set(mandatory)
    broken = [f"{name} is missing: it is mandatory" for name in mandatory if name not in names]
    # FOCUS: a column of one's own begins with x_.
    unknown = [name for name in names if name not in columns and not name.startswith("x_")]
    broken += [f"{name} is not a column of {dataset}" for name in sorted(unknown)]
    for number, row in enumerate(rows, 1):
        is_usage = row.get("ChargeCategory") == "Usage" and row.get("ChargeClass") is None
        for name, value in row.items():
            column = columns.get(name)
            if column is not None and (rule := _broken_in_field(column, value, is_usage)):
                broken.append(f"row {number}: {name} {rule}")
    return broken


def _broken_in_field(column: Column, value: Value, is_usage: bool) -> str:
    """Return the rule that a value of a column breaks; empty if it breaks none."""
    if value is None:
        is_null = not column.nullable or (is_usage and not column.null_for_usage)
        return "is null" if is_null else ""
    if value == "":
        # FOCUS takes null for a missing value: an empty string stands for none.
        return "is an empty string; a missing value is null"
    if not isinstance(value, _TYPES.get(column.kind, str)):
        return f"is {value!r}, not {column.kind}"
    if isinstance(value, Decimal):
        return f"is {value}" if not value.is_finite() or (column.non_negative and value < 0) else ""
    if isinstance(value, datetime):
        # FOCUS's times are in UTC; one without an offset could be of any place.
        return f"is {value}, without UTC" if value.utcoffset() is None else ""
    if column.allowed and value not in column.allowed:
        return f"is {value!r}, none of {', '.join(sorted(column.allowed))}"
    return ""


def _broken_together(row: FocusRow, version: str, generator: str) -> Iterator[str]:
    for cost, price in _PRODUCTS:
        amount, unit_price, quantity = row.get(cost), row.get(price), row.get("PricingQuantity")
        if not (
            isinstance(amount, Decimal)
            and isinstance(unit_price, Decimal)
            and isinstance(quantity, Decimal)
        ):
            continue
        if row.get("ChargeClass") is None and exact_product(unit_price, quantity) != amount:
            yield f"{cost} is {amount}, and {price} times PricingQuantity is not"
    # Rules of 1.4: invoices, and charges without a price of a list.
    later = version != V1_2
    for first, second in _PAIRS + (_INVOICED if later else ()):
        if (row.get(first) is None) != (row.get(second) is None):
            yield f"of {first} and {second} one is null and the other is not"
    if later and row.get("SkuPriceId") is None:
        for name in _OF_A_PRICE:
            if row.get(name) is not None:
                yield f"{name} is not null, and SkuPriceId is"
    yield from broken_periods(row)
    biller = generator or row.get("InvoiceIssuerName") if later else row.get("ProviderName")
    if row.get("InvoiceIssuerName") != biller and row.get("BilledCost") != Decimal(0):
        billed = row.get("BilledCost")
        yield f"BilledCost is {billed} where a third party receives the payment; it must be 0"


def broken_periods(row: FocusRow) -> Iterator[str]:
    """Yield the problems of a row's currency and of the order of its instants."""
    currency = row.get("BillingCurrency")
    if isinstance(currency, str) and not is_currency(currency):
        yield f"BillingCurrency is {currency!r}, not a code of ISO 4217"
    for kind in ("Billing", "Charge"):
        bounds = [row.get(f"{kind}PeriodStart"), row.get(f"{kind}PeriodEnd")]
        instants = [
            bound
            for bound in bounds
            if isinstance(bound, datetime) and bound.utcoffset() is not None
        ]
        if len(instants) == 2 and instants[0] >= instants[1]:
            yield f"the {kind.lower()} period ends before it begins"
