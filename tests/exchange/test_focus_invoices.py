"""Invoices of shares as Invoice Detail of FOCUS 1.4: by hand, the charges behind each line, and that they sum to it."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.exchange.focus.focus_columns import INVOICE_DETAIL, MANDATORY, FocusRow, Value
from clauseway.exchange.focus.invoice_detail import (
    CHARGE_COLUMNS,
    INVOICE_COLUMNS,
    IssuedInvoice,
    broken_invoices,
    charge_rows,
    detail_rows,
    has_months,
)
from clauseway.ledger.vouchers import Invoice, InvoiceLine, InvoicePart

# 3 July 2026, 12:00:00.5 UTC
RECORDED = 1_783_080_000_500_000_000


def part(month: str, share: str, corrections: str = "0.00", restated: str = "0.00") -> InvoicePart:
    return InvoicePart(month=month, share=D(share), corrections=D(corrections), restated=D(restated))


def line(amount: str, *parts: InvoicePart, before: str = "0.00", term: str = "A1.share") -> InvoiceLine:
    """A quarter's line, due 45 days after its end."""
    owed = sum((part.amount for part in parts), D(0)) - D(before)
    return InvoiceLine(
        term=term,
        owed=owed,
        amount=D(amount),
        withheld=D("0.1"),
        due=date(2026, 8, 14),
        through=date(2026, 6, 30),
        parts=parts,
        invoiced_before=D(before),
    )


def issued(*lines: InvoiceLine, currency: str = "USD", rate: str = "1") -> IssuedInvoice:
    invoice = Invoice(
        id="openai-microsoft-2026-06",
        day=date(2026, 7, 3),
        payer="microsoft",
        payee="openai",
        through=date(2026, 6, 30),
        currency=currency,
        rate=rate,
        lines=lines,
    )
    return IssuedInvoice(invoice=invoice, recorded_ns=RECORDED)


# A quarter: 100.00 + 40.00 − 7.50 of a correction, 60.00, and 12.25 restated; 30.00 of it was invoiced before.
QUARTER = line(
    "174.75",
    part("2026-04", "100.00"),
    part("2026-05", "40.00", "-7.50"),
    part("2026-06", "60.00", "0.00", "12.25"),
    before="30.00",
)


def midnight(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_line_is_a_record_with_the_invoices_figures() -> None:
    [record] = detail_rows(issued(QUARTER))
    expected = {
        "BilledCost": D("174.75"),
        "BillingAccountId": "microsoft",
        "BillingCurrency": "USD",
        "BillingPeriodStart": midnight("2026-06-01"),
        "BillingPeriodEnd": midnight("2026-07-01"),
        "ChargeCategory": "Adjustment",
        "InvoiceDetailCreated": datetime(2026, 7, 3, 12, tzinfo=UTC),
        "InvoiceDetailDescription": "Revenue share under A1.share through 2026-06-30",
        "InvoiceDetailGrain": '{"x_Term": "A1.share", "x_Through": "2026-06-30"}',
        "InvoiceDetailId": "A1.share through 2026-06-30",
        "InvoiceDetailLastUpdated": datetime(2026, 7, 3, 12, tzinfo=UTC),
        "InvoiceId": "openai-microsoft-2026-06",
        "InvoiceIssueDate": midnight("2026-07-03"),
        "InvoiceIssueStatus": "Issued",
        "InvoiceIssuerName": "openai",
        "PaymentDueDate": midnight("2026-08-14"),
        "PaymentTerms": "45 days after 2026-06-30",
        "ReferenceInvoiceId": "openai-microsoft-2026-06",
        "x_OwedUsd": D("174.75"),
        "x_UsdRate": "1",
        "x_WithholdingRate": D("0.1"),
    }
    assert record == expected
    assert tuple(record) == INVOICE_COLUMNS
    [record] = detail_rows(issued(msgspec.structs.replace(QUARTER, due=date(2026, 7, 1))))
    assert record["PaymentTerms"] == "1 day after 2026-06-30"


# a charge behind the quarter's line | its days, its class, USD
CHARGES = [
    ("share", "2026-04-01", "2026-05-01", None, "100.00"),
    ("share", "2026-05-01", "2026-06-01", None, "40.00"),
    ("corrections of closed months", "2026-05-01", "2026-06-01", "Correction", "-7.50"),
    ("share", "2026-06-01", "2026-07-01", None, "60.00"),
    ("restatements of closed months", "2026-06-01", "2026-07-01", "Correction", "12.25"),
    ("less what was invoiced before", "2026-04-01", "2026-07-01", None, "-30.00"),
]


def test_the_charges_behind_a_line_are_what_it_is_the_sum_of() -> None:
    rows = charge_rows(issued(QUARTER).invoice)
    assert [
        (
            row["ChargeDescription"],
            row["ChargePeriodStart"],
            row["ChargePeriodEnd"],
            row["ChargeClass"],
            row["BilledCost"],
        )
        for row in rows
    ] == [
        (f"Revenue share under A1.share: {name}", midnight(begin), midnight(end), kind, D(amount))
        for name, begin, end, kind, amount in CHARGES
    ]
    assert sum(D(row[-1]) for row in CHARGES) == D("174.75")
    for row in rows:
        assert (row["InvoiceId"], row["InvoiceDetailId"]) == (
            "openai-microsoft-2026-06",
            "A1.share through 2026-06-30",
        )
        assert {row[name] for name in ("EffectiveCost", "ContractedCost", "ListCost")} == {row["BilledCost"]}
        assert (row["InvoiceIssuerName"], row["ServiceProviderName"], row["BillingAccountId"]) == (
            "openai",
            "openai",
            "microsoft",
        )
        # No price, no quantity, no cloud.
        nothing = ("PricingQuantity", "ConsumedQuantity", "SkuId", "SkuPriceId", "HostProviderName", "RegionId")
        assert {row[name] for name in nothing} == {None}
        assert tuple(row) == CHARGE_COLUMNS


def test_a_line_in_euro_is_rounded_once() -> None:
    """1.00 + 1.00 + 1.00 USD at 5/6 are 2.50 EUR: 0.84 + 0.83 + 0.83."""
    months = (part("2026-04", "1.00"), part("2026-05", "1.00"), part("2026-06", "1.00"))
    invoice = issued(line("2.50", *months), currency="EUR", rate="5/6")
    rows = charge_rows(invoice.invoice)
    assert [(row["BilledCost"], row["BillingCurrency"]) for row in rows] == [
        (D("0.84"), "EUR"),
        (D("0.83"), "EUR"),
        (D("0.83"), "EUR"),
    ]
    [record] = detail_rows(invoice)
    assert (record["BilledCost"], record["BillingCurrency"]) == (D("2.50"), "EUR")
    assert (record["x_OwedUsd"], record["x_UsdRate"]) == (D("3.00"), "5/6")
    assert broken_invoices([record], rows) == []


def test_a_line_in_yen_is_split_in_whole_ones() -> None:
    """1.00 + 1.00 + 1.00 USD at 100.4 are 301 JPY: 101 + 100 + 100."""
    months = (part("2026-04", "1.00"), part("2026-05", "1.00"), part("2026-06", "1.00"))
    invoice = issued(line("301", *months), currency="JPY", rate="100.4")
    assert [str(row["BilledCost"]) for row in charge_rows(invoice.invoice)] == ["101", "100", "100"]


def test_a_credit_note_is_below_zero() -> None:
    invoice = issued(line("-7.50", part("2026-06", "0.00", "-7.50")))
    [charge] = charge_rows(invoice.invoice)
    assert (charge["BilledCost"], charge["ChargeClass"]) == (D("-7.50"), "Correction")
    assert broken_invoices(detail_rows(invoice), [charge]) == []


def test_where_the_agreement_states_no_day_of_payment_none_is_invented() -> None:
    undated = InvoiceLine(
        term="A1.share",
        owed=D(1),
        amount=D(1),
        withheld=D(0),
        due=None,
        through=date(2026, 6, 30),
        parts=(part("2026-06", "1.00"),),
    )
    [record] = detail_rows(issued(undated))
    assert (record["PaymentDueDate"], record["PaymentTerms"]) == (None, "The agreement states no day of payment")


def test_an_invoice_of_an_older_home_has_no_months() -> None:
    old = InvoiceLine(term="A1.share", owed=D(1), amount=D(1), withheld=D(0), due=None)
    assert has_months(issued(QUARTER).invoice)
    assert not has_months(issued(QUARTER, old).invoice)


def test_the_table_is_the_data_models() -> None:
    assert len(INVOICE_DETAIL) == 22
    mandatory = {column.name for column in INVOICE_DETAIL.values() if column.level == MANDATORY}
    assert len(mandatory) == 18
    assert mandatory <= set(INVOICE_COLUMNS)
    assert list(INVOICE_DETAIL) == sorted(INVOICE_DETAIL)


AMOUNTS = st.decimals(min_value=-1000, max_value=1000, places=2)
PARTS = st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=3)


@given(st.lists(st.tuples(PARTS, AMOUNTS), min_size=1, max_size=3), st.booleans(), AMOUNTS)
def test_the_charges_of_any_invoice_sum_to_its_records(
    lines: list[tuple[list[tuple[D, D, D]], D]], in_euro: bool, in_currency: D
) -> None:
    """Whatever its lines are the sum of, to the last digit; in another currency too, whatever the rate made of it."""
    made = []
    for number, (parts, before) in enumerate(lines):
        months = [
            part(f"2026-0{4 + place}", *(str(amount) for amount in amounts)) for place, amounts in enumerate(parts)
        ]
        owed = sum((month.amount for month in months), D(0)) - before
        anything = any(amount for amounts in parts for amount in amounts) or before
        amount = in_currency if in_euro and anything else owed
        made.append(line(str(amount), *months, before=str(before), term=f"A{number}.share"))
    invoice = issued(*made, currency="EUR" if in_euro else "USD", rate="5/6" if in_euro else "1")
    assert broken_invoices(detail_rows(invoice), charge_rows(invoice.invoice)) == []


def record(**changed: Value) -> FocusRow:
    [bill_row] = detail_rows(issued(QUARTER))
    return {**bill_row, **changed}


# a record with one thing wrong | what is said
BROKEN: list[tuple[FocusRow, str]] = [
    ({name: value for name, value in record().items() if name != "PaymentTerms"}, "PaymentTerms is missing"),
    (record(PaymentTerms=None), "PaymentTerms is null"),
    (record(InvoiceIssueStatus="Paid"), "InvoiceIssueStatus is 'Paid', none of Issued, Open, Voided"),
    (record(ChargeCategory="Share"), "ChargeCategory is 'Share'"),
    (record(BillingCurrency="usd"), "BillingCurrency is 'usd'"),
    (record(InvoiceDetailLastUpdated=datetime(2026, 7, 2, tzinfo=UTC)), "InvoiceDetailLastUpdated is before"),
    (record(BillingPeriodEnd=midnight("2026-06-01")), "the billing period ends before it begins"),
    (record(Purchaser="me"), "Purchaser is not a column of Invoice Detail"),
    (record(BilledCost=D("174.76")), "BilledCost is 174.76 USD, and the charges behind it sum to 174.75"),
    (record(InvoiceDetailId="another"), "and the charges behind it sum to None"),
]


@pytest.mark.parametrize(("broken", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_each_rule_is_kept_by_the_check(broken: FocusRow, says: str) -> None:
    charges = charge_rows(issued(QUARTER).invoice)
    assert any(says in rule for rule in broken_invoices([broken], charges))


def test_a_record_that_is_there_twice_is_seen() -> None:
    charges = charge_rows(issued(QUARTER).invoice)
    assert any("two records" in rule for rule in broken_invoices([record(), record()], charges))
