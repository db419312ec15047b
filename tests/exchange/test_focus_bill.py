"""Charges as a FOCUS 1.2 bill: by hand, against the specification's rules, and each rule against what breaks it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from clauseway.exchange.focus_bill import BILL_COLUMNS, UsageCharge, decimal_text, focus_csv, focus_rows
from clauseway.exchange.focus_columns import BY_NAME, COLUMNS, MANDATORY, Value, broken_rules
from clauseway.metering import Unit
from clauseway.values import Interval

MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))


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


def row(seller: str = "microsoft", **changed: Value) -> dict[str, Value]:
    [found] = focus_rows([charge(seller)], MAY, "microsoft", "openai")
    return {**found, **changed}


def test_what_the_provider_sells_is_billed() -> None:
    found = row()
    # 10,000 tokens × 2.25 USD per million; the list says 2.50
    assert (found["BilledCost"], found["EffectiveCost"], found["ContractedCost"]) == (D("0.0225"),) * 3
    assert (found["ListCost"], found["ListUnitPrice"], found["ContractedUnitPrice"]) == (
        D("0.025"),
        D("2.5"),
        D("2.25"),
    )
    assert (found["PricingQuantity"], found["PricingUnit"]) == (D("0.01"), "1000000 Tokens")
    assert (found["ConsumedQuantity"], found["ConsumedUnit"]) == (D(10_000), "Tokens")
    assert (found["ProviderName"], found["InvoiceIssuerName"], found["PublisherName"]) == (
        "microsoft", "microsoft", "openai",
    )  # fmt: skip
    assert (found["ChargePeriodStart"], found["ChargePeriodEnd"]) == (
        datetime(2026, 5, 3, tzinfo=UTC),
        datetime(2026, 5, 4, tzinfo=UTC),
    )


def test_what_a_third_party_sells_is_billed_at_nothing() -> None:
    found = row("openai")
    assert (found["BilledCost"], found["EffectiveCost"]) == (D(0), D("0.0225"))
    assert (found["ProviderName"], found["InvoiceIssuerName"], found["x_HostCloud"]) == ("microsoft", "openai", "azure")


def test_a_charge_names_the_invoice_of_its_seller_to_its_buyer() -> None:
    invoices = {("microsoft", "Fabrikam"): "2026-05-17", ("openai", "Contoso"): "other"}
    found = focus_rows([charge(), charge("openai")], MAY, "", "openai", invoices)
    assert [row["InvoiceId"] for row in found] == ["2026-05-17", None]
    assert broken_rules(found) == []


# a decimal | as FOCUS has it in text
DECIMALS = [("30", "30.0"), ("0.0225", "0.0225"), ("2.50", "2.5"), ("-3", "-3.0"), ("1E+6", "1000000.0"), ("0", "0.0")]


@pytest.mark.parametrize(("amount", "text"), DECIMALS)
def test_a_decimal_is_written_as_one(amount: str, text: str) -> None:
    assert decimal_text(D(amount)) == text


def test_sound_is_billed_in_seconds() -> None:
    [found] = focus_rows([charge(unit=Unit.AUDIO_INPUT_MILLISECONDS, quantity=90_000)], MAY, "", "")
    assert (found["ConsumedQuantity"], found["ConsumedUnit"], found["PricingUnit"]) == (
        D(90),
        "Seconds",
        "1000 Seconds",
    )
    assert found["ContractedCost"] == D("0.2025")  # 0.09 of 1000 seconds × 2.25
    assert broken_rules([found]) == []


def test_the_bill_breaks_no_rule() -> None:
    rows = focus_rows([charge(), charge("openai"), charge(unit=Unit.REQUESTS)], MAY, "microsoft", "openai")
    assert broken_rules(rows) == []
    assert all(tuple(found) == BILL_COLUMNS for found in rows)
    assert {column.name for column in COLUMNS if column.level == MANDATORY} <= set(BILL_COLUMNS)


def test_the_table_is_the_specifications() -> None:
    """57 columns in 1.2, of which 21 are mandatory; the counts are those of specification/columns at tag v1.2."""
    assert len(BY_NAME) == len(COLUMNS) == 57
    assert sum(column.level == MANDATORY for column in COLUMNS) == 21
    assert [column.name for column in COLUMNS] == sorted(column.name for column in COLUMNS)


def without(name: str) -> dict[str, Value]:
    found = row()
    del found[name]
    return found


# a row with one thing wrong | what is said
BROKEN: list[tuple[Mapping[str, Value], str]] = [
    (without("BilledCost"), "BilledCost is missing"),
    (row(HostCloud="azure"), "HostCloud is no column"),
    (row(BilledCost=None), "BilledCost is null"),
    (row(PricingQuantity=None), "PricingQuantity is null"),
    (row(RegionId=""), "RegionId is an empty string"),
    (row(ListCost="0.025"), "ListCost is '0.025', no Decimal"),
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
    assert any(says in found for found in broken_rules([broken]))


def test_a_null_is_an_empty_field_and_numbers_are_plain() -> None:
    header, line = focus_csv(focus_rows([charge()], MAY, "", ""), BILL_COLUMNS).splitlines()
    assert header.split(",")[0] == "BilledCost"
    assert line.startswith(
        "0.0225,Fabrikam,Fabrikam,Organisation,USD,2026-06-01T00:00:00Z,2026-05-01T00:00:00Z,Usage,,"
    )
    assert focus_csv([], BILL_COLUMNS).count("\n") == 1
