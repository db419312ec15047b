"""Charges as a FOCUS bill, 1.2 and 1.4: by hand, against the rules, and each rule against what breaks it."""

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal as D
from itertools import repeat
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from clauseway.exchange.focus.bill import (
    bill_columns,
    decimal_text,
    focus_rows,
    write_bill_as_csv,
    write_bill_as_parquet,
)
from clauseway.exchange.focus.focus_columns import (
    COLUMNS,
    CONDITIONAL,
    MANDATORY,
    RECOMMENDED,
    V1_2,
    V1_4,
    VERSIONS,
    FocusRow,
    Value,
    broken_rules,
    columns_of,
)
from clauseway.ledger.charges import UsageCharge, UsageCredit
from clauseway.metering import Unit
from clauseway.values import Interval

MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
HOSTS = {"azure": "microsoft", "aws": "amazon"}


def charge(seller: str = "microsoft", unit: Unit = Unit.INPUT_TOKENS, quantity: int = 10_000) -> UsageCharge:
    """Input tokens at 2.25 USD a million, listed at 2.50."""
    return UsageCharge(
        day=date(2026, 5, 3),
        organisation="Fabrikam",
        project="chat",
        seller=seller,
        cloud="azure",
        region="eastus2",
        product="gpt-5.4",
        unit=unit,
        quantity=quantity,
        price=2_250_000,
        list_price=2_500_000,
        currency="USD",
        source="a letter",
        requests=3,
    )


def row(seller: str = "microsoft", version: str = V1_2, **changed: Value) -> dict[str, Value]:
    """A row of Microsoft's bill."""
    [bill_row] = focus_rows([charge(seller)], MAY, "microsoft", "openai", HOSTS, version)
    return {**bill_row, **changed}


def later(seller: str = "microsoft", **changed: Value) -> dict[str, Value]:
    return row(seller, V1_4, **changed)


# The price's part for requests → the end of its id, and the tier
UNIT_PRICES = [
    ("", (), "gpt-5.4/input_tokens/azure/eastus2/microsoft", None),
    ("flex", ("flex",), "gpt-5.4/input_tokens/azure/eastus2/microsoft/flex", "flex"),
    ("", ("above-272000",), "gpt-5.4/input_tokens/azure/eastus2/microsoft/above-272000", None),
    ("flex", ("flex", "above-272000"), "gpt-5.4/input_tokens/azure/eastus2/microsoft/flex/above-272000", "flex"),
]


@pytest.mark.parametrize(("tier", "conditions", "identity", "expected"), UNIT_PRICES)
def test_each_unit_price_has_its_own_id(
    tier: str, conditions: tuple[str, ...], identity: str, expected: str | None
) -> None:
    charged = msgspec.structs.replace(charge(), tier=tier, conditions=conditions)
    for version in VERSIONS:
        [bill_row] = focus_rows([charged], MAY, "microsoft", "openai", HOSTS, version)
        assert (bill_row["SkuPriceId"], bill_row["x_Tier"]) == (identity, expected)


def test_what_the_provider_sells_is_billed() -> None:
    bill_row = row()
    # 10,000 tokens × 2.25 USD per million; the list says 2.50
    assert (bill_row["BilledCost"], bill_row["EffectiveCost"], bill_row["ContractedCost"]) == (D("0.0225"),) * 3
    assert (bill_row["ListCost"], bill_row["ListUnitPrice"], bill_row["ContractedUnitPrice"]) == (
        D("0.025"),
        D("2.5"),
        D("2.25"),
    )
    assert (bill_row["PricingQuantity"], bill_row["PricingUnit"]) == (D("0.01"), "1000000 Tokens")
    assert (bill_row["ConsumedQuantity"], bill_row["ConsumedUnit"]) == (D(10_000), "Tokens")
    assert (bill_row["ProviderName"], bill_row["InvoiceIssuerName"], bill_row["PublisherName"]) == (
        "microsoft",
        "microsoft",
        "openai",
    )
    assert (bill_row["ChargePeriodStart"], bill_row["ChargePeriodEnd"]) == (
        datetime(2026, 5, 3, tzinfo=UTC),
        datetime(2026, 5, 4, tzinfo=UTC),
    )


# A purchase: product, place, buyer | the columns that say so
NAMES = [
    (
        {},
        {
            "BillingAccountId": "Fabrikam",
            "BillingAccountName": "Fabrikam",
            "BillingAccountType": "Organisation",
            "BillingCurrency": "USD",
            "BillingPeriodStart": datetime(2026, 5, 1, tzinfo=UTC),
            "BillingPeriodEnd": datetime(2026, 6, 1, tzinfo=UTC),
            "SubAccountId": "chat",
            "SubAccountName": "chat",
            "SubAccountType": "Project",
            "RegionId": "eastus2",
            "RegionName": "eastus2",
            "ServiceCategory": "AI and Machine Learning",
            "ServiceSubcategory": "Generative AI",
            "ServiceName": "gpt-5.4",
            "SkuId": "gpt-5.4/input_tokens",
            "SkuMeter": "Input tokens",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": "Input tokens of gpt-5.4 on azure, sold by microsoft",
            "SkuPriceDetails": '{"x_source": "a letter"}',
            "x_Requests": D(3),
        },
    ),
    (
        {"project": "", "region": "", "organisation": "", "source": "Größe", "currency": "EUR"},
        {
            "BillingCurrency": "EUR",
            "BillingAccountId": "microsoft",
            "BillingAccountType": "Seller",
            "SubAccountId": None,
            "SubAccountName": None,
            "SubAccountType": None,
            "RegionId": None,
            "RegionName": None,
            "SkuPriceId": "gpt-5.4/input_tokens/azure/any/microsoft",
            "SkuPriceDetails": '{"x_source": "Größe"}',
        },
    ),
]


@pytest.mark.parametrize(("changed", "columns"), NAMES, ids=["all is named", "little is named"])
def test_a_row_names_buyer_product_and_place(changed: dict[str, str], columns: dict[str, Value]) -> None:
    [bill_row] = focus_rows([msgspec.structs.replace(charge(), **changed)], MAY, "microsoft", "openai", HOSTS)
    assert {name: bill_row[name] for name in columns} == columns


def test_a_credit_is_a_row_below_zero_without_price_and_quantity() -> None:
    charged = charge()
    taken_back = UsageCredit(
        voucher="n1",
        reason="",
        day=charged.day,
        organisation=charged.organisation,
        project=charged.project,
        seller=charged.seller,
        cloud=charged.cloud,
        product=charged.product,
        amount=D("0.02"),
    )
    for version in VERSIONS:
        [bill_row] = focus_rows([taken_back], MAY, "microsoft", "openai", HOSTS, version)
        sold = row(version=version)
        about = {
            *("BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd"),
            *("BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart", "HostProviderName", "InvoiceIssuerName"),
            *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName", "ServiceProviderName"),
            *("ServiceSubcategory", "SubAccountId", "SubAccountName", "SubAccountType", "x_HostCloud"),
        }
        own = {
            "ChargeCategory": "Credit",
            "ChargeDescription": "n1: taken back (gpt-5.4 on azure, sold by microsoft)",
            "ChargeFrequency": "One-Time",
            **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), D("-0.02")),
        }
        expected = {name: own.get(name, sold[name] if name in about else None) for name in bill_columns(version)}
        assert bill_row == expected


def test_what_a_third_party_sells_is_billed_at_nothing() -> None:
    bill_row = row("openai")
    assert (bill_row["BilledCost"], bill_row["EffectiveCost"]) == (D(0), D("0.0225"))
    assert (bill_row["ProviderName"], bill_row["InvoiceIssuerName"], bill_row["x_HostCloud"]) == (
        "microsoft",
        "openai",
        "azure",
    )


# seller and cloud | ServiceProviderName, HostProviderName, InvoiceIssuerName, BilledCost on Microsoft's bill in 1.4
ENTITIES = [
    ("microsoft", "azure", ("microsoft", "microsoft", "microsoft", D("0.0225"))),
    ("openai", "azure", ("openai", "microsoft", "openai", D(0))),  # the seller receives the payment
    ("microsoft", "aws", ("microsoft", "amazon", "microsoft", D("0.0225"))),
    ("microsoft", "lab", ("microsoft", None, "microsoft", D("0.0225"))),  # nobody knows who operates it
]


@pytest.mark.parametrize(
    ("seller", "cloud", "named"), ENTITIES, ids=[f"{entity[0]} on {entity[1]}" for entity in ENTITIES]
)
def test_in_1_4_seller_and_host_are_named_apart(seller: str, cloud: str, named: tuple[Value, ...]) -> None:
    charged = msgspec.structs.replace(charge(seller), cloud=cloud)
    [bill_row] = focus_rows([charged], MAY, "microsoft", "openai", HOSTS, V1_4)
    names = ("ServiceProviderName", "HostProviderName", "InvoiceIssuerName", "BilledCost")
    assert tuple(bill_row[name] for name in names) == named
    assert "ProviderName" not in bill_row
    assert broken_rules([bill_row], V1_4, "microsoft") == []


def test_what_a_charge_costs_is_the_same_in_every_version() -> None:
    first, second = row(), later()
    assert {name: second[name] for name in second if name in first} == {
        name: first[name] for name in first if name in second
    }
    assert set(first) - set(second) == {"ProviderName", "PublisherName"}
    assert set(second) - set(first) == {"ServiceProviderName", "HostProviderName", "InvoiceDetailId"}


# a decimal | as FOCUS has it in text
DECIMALS = [("30", "30.0"), ("0.0225", "0.0225"), ("2.50", "2.5"), ("-3", "-3.0"), ("1E+6", "1000000.0"), ("0", "0.0")]


@pytest.mark.parametrize(("amount", "text"), DECIMALS)
def test_a_decimal_is_written_as_one(amount: str, text: str) -> None:
    assert decimal_text(D(amount)) == text


def test_sound_is_billed_in_seconds() -> None:
    [bill_row] = focus_rows([charge(unit=Unit.AUDIO_INPUT_MILLISECONDS, quantity=90_000)], MAY)
    assert (bill_row["ConsumedQuantity"], bill_row["ConsumedUnit"], bill_row["PricingUnit"]) == (
        D(90),
        "Seconds",
        "1000 Seconds",
    )
    assert bill_row["ContractedCost"] == D("0.2025")  # 0.09 of 1000 seconds × 2.25
    assert broken_rules([bill_row]) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bill_breaks_no_rule(version: str) -> None:
    charges = [charge(), charge("openai"), charge(unit=Unit.REQUESTS)]
    rows = focus_rows(charges, MAY, "microsoft", "openai", HOSTS, version)
    assert broken_rules(rows, version, "microsoft") == []
    assert all(tuple(row) == bill_columns(version) for row in rows)
    mandatory = {column.name for column in columns_of(version).values() if column.level == MANDATORY}
    assert mandatory <= set(bill_columns(version))


# a version | its columns, how many of them are mandatory: 1.2 as in specification/columns at tag v1.2, 1.4 as in the
# Data Model (57 − 2 that it removes + 8 that came with 1.3 + 2 that came with 1.4)
COUNTS = [(V1_2, 57, 21), (V1_4, 65, 21)]


@pytest.mark.parametrize(("version", "columns", "mandatory"), COUNTS)
def test_the_table_is_the_specifications(version: str, columns: int, mandatory: int) -> None:
    assert len(columns_of(version)) == columns
    assert sum(column.level == MANDATORY for column in columns_of(version).values()) == mandatory


def test_a_column_stands_once_in_each_version() -> None:
    places = [(column.name, version) for column in COLUMNS for version in column.versions]
    assert len(places) == len(set(places))
    assert [column.name for column in COLUMNS] == sorted(column.name for column in COLUMNS)


# what 1.4 changed | in 1.2, in 1.4: its level, and whether it may be null
CHANGED = [
    ("ProviderName", (MANDATORY, False), None),
    ("PublisherName", (MANDATORY, False), None),
    ("ServiceProviderName", None, (MANDATORY, False)),
    ("HostProviderName", None, (MANDATORY, True)),
    ("InvoiceDetailId", None, (CONDITIONAL, True)),
    ("InvoiceId", (RECOMMENDED, True), (CONDITIONAL, True)),
    ("PricingCurrency", (CONDITIONAL, True), (CONDITIONAL, False)),
    ("PricingCurrencyEffectiveCost", (CONDITIONAL, True), (CONDITIONAL, False)),
    ("ContractApplied", None, (CONDITIONAL, True)),
    ("CommitmentProgramEligibilityDetails", None, (CONDITIONAL, True)),
]


@pytest.mark.parametrize(("name", "before", "after"), CHANGED, ids=[case[0] for case in CHANGED])
def test_what_changed_between_the_versions(
    name: str, before: tuple[str, bool] | None, after: tuple[str, bool] | None
) -> None:
    for version, expected in ((V1_2, before), (V1_4, after)):
        column = columns_of(version).get(name)
        assert (column and (column.level, column.nullable)) == expected


def without(name: str) -> dict[str, Value]:
    bill_row = row()
    del bill_row[name]
    return bill_row


# a row with one thing wrong | what is said
BROKEN: list[tuple[Mapping[str, Value], str]] = [
    (without("BilledCost"), "BilledCost is missing"),
    (row(HostCloud="azure"), "HostCloud is not a column"),
    (row(BilledCost=None), "BilledCost is null"),
    (row(PricingQuantity=None), "PricingQuantity is null"),
    (row(RegionId=""), "RegionId is an empty string"),
    (row(ListCost="0.025"), "ListCost is '0.025', not Decimal"),
    (row(ListCost=D("NaN")), "ListCost is NaN"),
    (row(ListUnitPrice=D(-1)), "ListUnitPrice is -1"),
    (row(ChargeCategory="Use"), "ChargeCategory is 'Use'"),
    (row(ChargePeriodStart=datetime(2026, 5, 3)), "without UTC"),
    (row(ChargePeriodEnd=datetime(2026, 5, 3, tzinfo=UTC)), "the charge period ends before it begins"),
    (row(ContractedCost=D("0.0226")), "ContractedCost is 0.0226, and ContractedUnitPrice times"),
    (row(SkuMeter=None), "of SkuId and SkuMeter one is null"),
    (row(BillingCurrency="usd"), "BillingCurrency is 'usd'"),
    (row("openai", BilledCost=D("0.0225")), "a third party receives the payment"),
]


@pytest.mark.parametrize(("broken", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_each_rule_is_kept_by_the_check(broken: Mapping[str, Value], says: str) -> None:
    assert any(says in rule for rule in broken_rules([broken]))


def test_a_correction_need_not_be_a_product() -> None:
    """It takes back a part of what was invoiced."""
    assert broken_rules([row(ChargeClass="Correction", ContractedCost=D("0.0226"))]) == []


# a row of 1.4 with one thing wrong | what is said
BROKEN_LATER: list[tuple[Mapping[str, Value], str]] = [
    ({name: value for name, value in later().items() if name != "HostProviderName"}, "HostProviderName is missing"),
    (later(ProviderName="microsoft"), "ProviderName is not a column of FOCUS 1.4"),
    (later(ServiceProviderName=None), "ServiceProviderName is null"),
    (later(InvoiceId="2026-05-17"), "of InvoiceId and InvoiceDetailId one is null"),
    (later(PricingCurrency=None), "PricingCurrency is null"),
    (later(SkuPriceId=None, SkuPriceDetails=None), "ListUnitPrice is not null, and SkuPriceId is"),
    (later(ListCost=D("0.026")), "ListCost is 0.026, and ListUnitPrice times"),
    (later("openai", BilledCost=D("0.0225")), "a third party receives the payment"),
]


@pytest.mark.parametrize(("broken", "says"), BROKEN_LATER, ids=[says for _, says in BROKEN_LATER])
def test_each_rule_of_1_4_is_kept_by_the_check(broken: Mapping[str, Value], says: str) -> None:
    assert any(says in rule for rule in broken_rules([broken], V1_4, "microsoft"))


def test_whoever_bills_for_itself_bills_in_full() -> None:
    [bill_row] = focus_rows([charge("openai")], MAY, "", "openai", HOSTS, V1_4)
    assert bill_row["BilledCost"] == D("0.0225")
    assert broken_rules([bill_row], V1_4) == []


def test_a_bill_in_1_4_as_a_table_has_the_types_of_its_columns(tmp_path: Path) -> None:
    write_bill_as_parquet([later()], bill_columns(V1_4), str(tmp_path / "bill.parquet"))
    table = pq.read_table(tmp_path / "bill.parquet")
    assert str(table.schema.field("BilledCost").type) == "decimal128(38, 12)"
    assert str(table.schema.field("HostProviderName").type) == "string"
    assert table["InvoiceDetailId"].to_pylist() == [None]


def test_rows_are_written_before_all_are_there(tmp_path: Path) -> None:
    written = io.StringIO(newline="")

    def rows() -> Iterator[FocusRow]:
        for number in range(5):
            assert written.getvalue().count("\n") == 1 + number
            yield row()

    write_bill_as_csv(rows(), bill_columns(), written)
    write_bill_as_parquet(repeat(row(), 20_001), bill_columns(), str(tmp_path / "bill.parquet"))
    assert pq.ParquetFile(tmp_path / "bill.parquet").num_row_groups == 2


def as_csv(rows: Iterable[FocusRow]) -> str:
    written = io.StringIO(newline="")
    write_bill_as_csv(rows, bill_columns(), written)
    return written.getvalue()


def test_a_null_is_an_empty_field_and_numbers_are_plain() -> None:
    header, line = as_csv(focus_rows([charge()], MAY)).splitlines()
    assert header.split(",")[0] == "BilledCost"
    assert line.startswith(
        "0.0225,Fabrikam,Fabrikam,Organisation,USD,2026-06-01T00:00:00Z,2026-05-01T00:00:00Z,Usage,,"
    )
    assert as_csv([]).count("\n") == 1
