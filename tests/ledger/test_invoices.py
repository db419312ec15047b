"""Invoices and payments as an accountant books them: due days, withholding, currencies, what the exchange leaves."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from share_tables import cited, month, settled, share, sold

from clauseway.agreement.language.shares import PaymentTerm, RevenueShare
from clauseway.exchange.focus.invoice_detail import charge_rows
from clauseway.ledger import (
    Entry,
    Invoice,
    Journal,
    Payment,
    accruals,
    balances,
    invoice_of,
    payment_of,
    read_rates,
    reversal_of,
)
from clauseway.ledger.dues import due_day, dues, paid_through
from clauseway.ledger.exchange_rates import convert, convert_parts
from clauseway.ledger.invoices import Owed, open_invoices, open_lines, owed_through, position
from clauseway.ledger.vouchers import InvoiceLine, InvoicePart, Voucher
from clauseway.values import CENT, InvalidInput, exact_sum

DAY, MAY = date(2026, 6, 3), date(2026, 5, 31)


def taxed(term: str, rate: str) -> RevenueShare:
    return share(term, rate=rate, payment=PaymentTerm(due_days=30), withholding="7.5 %")


def owing(term: str, amount: str) -> Owed:
    """One month's due of a term, all of it share: A1 says nothing of payment, B1 is paid in 30 days and taxed."""
    of = taxed(term, "100 %") if term.startswith("B1") else share(term, rate="100 %")
    [due] = dues(settled([sold("05-02", amount)], month("2026-05"), of))
    return Owed(
        term=term,
        through=MAY,
        due=due.due,
        withholding=due.withholding,
        citation=due.citation,
        dues=(due,),
        before=D(0),
    )


def invoiced(owed: Mapping[str, str], currency: str = "USD", rate: Fraction = Fraction(1)) -> tuple[Invoice, Entry]:
    return invoice_of(
        identity="i-1",
        payer="maker",
        payee="host",
        day=DAY,
        through=MAY,
        owed=[owing(term, amount) for term, amount in owed.items()],
        currency=currency,
        rate=rate,
    )


def paid(
    invoice: Invoice, amount: str, before: Sequence[Payment] = (), currency: str = "", rate: Fraction = Fraction(1)
) -> tuple[Payment, Entry]:
    return payment_of(
        identity=f"p-{len(before)}",
        invoice=invoice,
        before=before,
        day=DAY,
        amount=D(amount),
        currency=currency or invoice.currency,
        rate=rate,
        citations={term: cited(term) for term in ("A1.share", "B1.share")},
    )


def booked(*entries: Entry) -> dict[str, str]:
    """Every account that is not at zero, in USD and in EUR."""
    journal = Journal().append(entries)
    return {
        f"{account} {currency}": str(amount)
        for currency in ("USD", "EUR")
        for account, amount in balances(journal.entries, currency).items()
        if amount
    }


def test_an_invoice_turns_what_is_accrued_into_a_claim() -> None:
    shares = [share("A1.share"), taxed("B1.share", "10 %")]
    may = settled([sold("05-02", "100.00")], month("2026-05"), *shares)
    accrued = accruals(may)
    owed = owed_through(dues(may), [], "maker", "host", MAY)
    assert {due.term: str(due.amount) for due in owed} == {"A1.share": "20.00", "B1.share": "10.00"}
    assert owed_through(dues(may), [], "maker", "host", date(2026, 5, 30)) == []
    invoice, entry = invoiced({due.term: str(due.amount) for due in owed})
    assert [(line.term, str(line.amount), line.due) for line in invoice.lines] == [
        ("A1.share", "20.00", None),
        ("B1.share", "10.00", date(2026, 6, 30)),  # 31 May and 30 days
    ]
    assert owed_through(dues(may), [invoice], "maker", "host", MAY) == []
    assert position([*accrued, entry], "maker", "host") == {"invoiced": D("30.00")}
    assert booked(*accrued, entry) == {
        "host:income:revenue-share:maker USD": "-30.00",
        "host:receivable:invoiced:maker USD": "30.00",
        "maker:expense:revenue-share:host USD": "30.00",
        "maker:payable:invoiced:host USD": "-30.00",
    }


# last day of a month, paid every, → with what it is paid, and when that is due 45 days on
CALENDAR = [
    (date(2026, 5, 31), "month", date(2026, 5, 31), date(2026, 7, 15)),
    (date(2026, 5, 31), "quarter", date(2026, 6, 30), date(2026, 8, 14)),
    (date(2026, 6, 30), "quarter", date(2026, 6, 30), date(2026, 8, 14)),
    (date(2026, 12, 31), "quarter", date(2026, 12, 31), date(2027, 2, 14)),
]


@pytest.mark.parametrize(("last", "every", "through", "due"), CALENDAR)
def test_the_payment_calendar(last: date, every: str, through: date, due: date) -> None:
    term = PaymentTerm(every=every, due_days=45)
    assert paid_through(last, term) == through
    assert due_day(through, term) == due
    assert due_day(paid_through(last, None), None) is None


def test_what_an_older_home_invoiced_is_not_asked_for_again() -> None:
    """Its lines have no payment of their own: they took the oldest first, and all that was owed."""
    of = taxed("A1.share", "20 %")
    lines = [sold("04-02", "100.00"), sold("05-02", "50.00")]
    due = [due for name in ("2026-04", "2026-05") for due in dues(settled(lines, month(name), of))]
    old = Invoice(
        id="old",
        day=DAY,
        payer="maker",
        payee="host",
        through=date(2026, 4, 30),
        currency="USD",
        rate="1",
        lines=(InvoiceLine(term="A1.share", owed=D("20.00"), amount=D("20.00"), withheld=D(0), due=None),),
    )
    [may] = owed_through(due, [old], "maker", "host", MAY)
    assert (may.through, str(may.amount), may.due) == (MAY, "10.00", date(2026, 6, 30))


def test_withholding_in_parts_is_withholding_at_once() -> None:
    # 7.5 % of 33.33 is 2.49975: 2.50. In three parts of 11.11: 0.83325 → 0.83; 1.6665 → 1.67; 2.49975 → 2.50
    invoice, entry = invoiced({"B1.share": "33.33"})
    first, result = paid(invoice, "11.11")
    second, two = paid(invoice, "11.11", [first])
    third, three = paid(invoice, "11.11", [first, second])
    assert [str(each.withheld) for each in (first, second, third)] == ["0.83", "0.84", "0.83"]
    whole, at_once = paid(invoice, "33.33")
    assert str(whole.withheld) == "2.50"
    assert (
        booked(entry, result, two, three)
        == booked(entry, at_once)
        == {
            "host:cash:bank:maker USD": "30.83",
            "host:receivable:revenue-share:maker USD": "-33.33",
            "host:receivable:withholding:tax-authority USD": "2.50",
            "maker:cash:bank:host USD": "-30.83",
            "maker:payable:revenue-share:host USD": "33.33",
            "maker:payable:withholding:tax-authority USD": "-2.50",
        }
    )
    with pytest.raises(InvalidInput, match="is open: it is paid"):
        paid(invoice, "0.01", [first, second, third])


# Parts in an invoice of an older home for its line's months: nothing, or their amounts and no tax.
OLDER_PARTS = [(), (InvoicePart(month="2026-05", share=D("1.00"), corrections=D(0), restated=D(0)),)]


@pytest.mark.parametrize("parts", OLDER_PARTS)
def test_withholding_after_a_reversal_is_withholding_at_once(parts: tuple[InvoicePart, ...]) -> None:
    # 10 % of 1.00 is 0.10. 0.05 and 0.10 withhold 0.00 and 0.02 (0.015); 0.05 comes back, and 0.90 follows.
    invoice, _ = invoiced({"B1.share": "1.00"})
    line = msgspec.structs.replace(invoice.lines[0], withheld=D("0.1"), parts=parts)
    invoice = msgspec.structs.replace(invoice, lines=(line,))
    first, _ = paid(invoice, "0.05")
    second, _ = paid(invoice, "0.10", [first])
    assert [str(each.withheld) for each in (first, second)] == ["0.00", "0.02"]
    rest, _ = paid(invoice, "0.90", [second])
    assert str(rest.withheld) == "0.08"
    # The same with payments of an older home, which say only the sum of what they withheld.
    older = msgspec.structs.replace(second, withheld_of=())
    assert paid(invoice, "0.90", [older])[0] == rest


def test_withholding_in_parts_of_another_currency_is_withholding_at_once() -> None:
    # 7.5 % of 1.00 EUR is 0.075: 0.08. Of 0.05 alone it is 0.00375: 0.00.
    invoice, _ = invoiced({"B1.share": "1.00"})
    payments = list[Payment]()
    for _ in range(20):
        payments.append(paid(invoice, "0.05", payments, currency="EUR", rate=Fraction(1))[0])
    assert str(exact_sum(payment.withheld for payment in payments)) == "0.08"


def test_each_currency_withholds_of_what_was_paid_in_it() -> None:
    # 7.5 % of 40.00 EUR are 3.00 EUR; they are worth 50.00 USD. Of the other 50.00 USD 3.75 USD are withheld.
    invoice, _ = invoiced({"B1.share": "100.00"})
    euros, _ = paid(invoice, "40.00", currency="EUR", rate=Fraction("1.25"))
    dollars, _ = paid(invoice, "50.00", [euros])
    assert [str(payment.withheld) for payment in (euros, dollars)] == ["3.00", "3.75"]


def test_a_payment_that_came_back_leaves_its_invoice_open() -> None:
    invoice, _ = invoiced({"A1.share": "10.00"})
    payment, entry = paid(invoice, "4.00")
    reversal, _ = reversal_of(identity="r", payment=payment, paid=entry, day=DAY, reason="")
    recorded: list[Voucher] = [invoice, payment, reversal]
    for count, left in ((1, "10.00"), (2, "6.00"), (3, "10.00")):
        assert [(of.id, str(amount)) for of, amount in open_invoices(recorded[:count])] == [(invoice.id, left)]


def test_a_line_of_nothing_takes_no_cent_of_what_others_are_worth() -> None:
    parts = {"a": D("0.00"), "b": D("10.00")}
    assert convert_parts(D("10.01"), parts, Fraction(1), CENT) == {"a": D("0.00"), "b": D("10.01")}


def test_a_quarter_withholds_what_its_months_withhold() -> None:
    # 20.00 and 20.00 at 10 %, then 20.00 at 5 %: 2.00 + 2.00 + 1.00.
    lines = [sold(f"{month_}-02", "100.00") for month_ in ("04", "05", "06")]
    due = [
        item
        for name, rate in (("2026-04", "10 %"), ("2026-05", "10 %"), ("2026-06", "5 %"))
        for item in dues(
            settled(
                lines,
                month(name),
                share("A1.share", payment=PaymentTerm(every="quarter", due_days=30), withholding=rate),
            )
        )
    ]
    june = date(2026, 6, 30)
    for currency, rate, whole, half in (("USD", Fraction(1), "5.00", "2.50"), ("EUR", Fraction(1, 2), "2.50", "2.50")):
        quarter, _ = invoice_of(
            identity="i-1",
            payer="maker",
            payee="host",
            day=june,
            through=june,
            owed=owed_through(due, [], "maker", "host", june),
            currency=currency,
            rate=rate,
        )
        assert [str(part.withheld) for part in quarter.lines[0].parts] == ["2.00", "2.00", "1.00"]
        # The line itself names the rate of the last month.
        assert quarter.lines[0].withheld == D("0.05")
        payment, _ = paid(quarter, str(quarter.total))
        assert str(payment.withheld) == whole
        assert str(paid(quarter, "30.00")[0].withheld) == half
    # Cent by cent, too: 0.05 a month at 10 % withholds 0.00 three times, and 0.15 at once would be 0.02.
    small = [msgspec.structs.replace(item, share=D("0.05"), amount=D("0.05"), withheld=D("0.00")) for item in due]
    owed = owed_through(small, [], "maker", "host", june)
    quarter, _ = invoice_of(identity="i-2", payer="maker", payee="host", day=june, through=june, owed=owed)
    assert str(paid(quarter, "0.15")[0].withheld) == "0.00"


RATES = read_rates("day,base,quote,rate\n2026-06-01,EUR,USD,1.0842\n2026-06-05,EUR,USD,1.1\n", "rates.csv")


def test_an_invoice_in_euros_is_split_by_largest_remainder() -> None:
    # 10.00 + 5.01 USD at 1 / 1.0842: 15.01 / 1.0842 = 13.8443… → 13.84; parts 9.2220… and 4.6202… → 9.22 and 4.62
    invoice, entry = invoiced({"A1.share": "10.00", "B1.share": "5.01"}, "EUR", RATES.at(DAY, "USD", "EUR"))
    assert [str(line.amount) for line in invoice.lines] == ["9.22", "4.62"]
    assert booked(entry) == {
        "host:equity:exchange:maker USD": "15.01",
        "host:receivable:revenue-share:maker USD": "-15.01",
        "host:equity:exchange:maker EUR": "-13.84",
        "host:receivable:invoiced:maker EUR": "13.84",
        "maker:equity:exchange:host USD": "-15.01",
        "maker:payable:revenue-share:host USD": "15.01",
        "maker:equity:exchange:host EUR": "13.84",
        "maker:payable:invoiced:host EUR": "-13.84",
    }


# A credit that nearly takes up a claim: 0.92 EUR for a dollar, the total rounded once, each line at its own worth.
BOTH_SIGNS = [
    ({"A1.share": "-1000000.00", "B1.share": "1000000.01"}, ["-920000.00", "920000.01"]),  # 0.0092 → 0.01
    ({"A1.share": "-1000000.01", "B1.share": "1000000.00"}, ["-920000.01", "920000.00"]),
    ({"A1.share": "-100.00", "B1.share": "100.00"}, ["-92.00", "92.00"]),
    ({"A1.share": "-1000.00", "B1.share": "1000.50"}, ["-920.00", "920.46"]),
]


@pytest.mark.parametrize(("owed", "lines"), BOTH_SIGNS)
def test_claims_and_credits_of_one_invoice_are_each_converted_at_the_rate(
    owed: dict[str, str], lines: list[str]
) -> None:
    invoice, _ = invoiced(owed, "EUR", Fraction("0.92"))
    assert [str(line.amount) for line in invoice.lines] == lines
    charges = [row["BilledCost"] for row in charge_rows(invoice)]
    assert charges == [line.amount for line in invoice.lines]


def test_a_payment_on_claims_and_credits_withholds_tax_on_what_each_is_worth() -> None:
    invoice, _ = invoiced({"A1.share": "-1000000.00", "B1.share": "1000000.01"})
    payment, _ = paid(invoice, "0.01", currency="EUR", rate=1 / Fraction("0.92"))
    # 7.5 % of 920,000.01 EUR.
    assert (payment.amount, payment.withheld) == (D("0.01"), D("69000.00"))


@given(
    amounts=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=6),
    rate=st.fractions(min_value=Fraction(1, 200), max_value=200, max_denominator=10_000),
)
def test_parts_in_another_currency_are_each_worth_theirs_and_sum_to_the_whole(
    amounts: list[int], rate: Fraction
) -> None:
    parts = {f"{number}": D(cents).scaleb(-2) for number, cents in enumerate(amounts)}
    total = convert(exact_sum(parts.values()), rate, CENT)
    split = convert_parts(total, parts, rate, CENT)
    assert exact_sum(split.values()) == total
    for name, part in parts.items():
        assert abs(Fraction(split[name]) - Fraction(part) * rate) <= Fraction(15, 1000)


def test_a_payment_in_euros_leaves_a_cent_to_the_exchange() -> None:
    # 100.00 USD at 1.0842 are 92.2339… EUR. 92.23 arrive: 92.23 × 1.0842 = 99.995766 → 100.00; 92.22 → 99.98…
    invoice, entry = invoiced({"A1.share": "100.00"})
    exact, _ = paid(invoice, "92.23", currency="EUR", rate=RATES.at(DAY, "EUR", "USD"))
    assert (exact.rounding, dict(exact.settles)) == (D("0.00"), {"A1.share through 2026-05-31": D("100.00")})
    short, booking = paid(invoice, "92.24", currency="EUR", rate=RATES.at(DAY, "EUR", "USD"))
    # 92.24 × 1.0842 = 100.006608 → 100.01: within a cent of a euro of the whole, so it settles the whole
    assert (str(short.rounding), dict(short.settles)) == ("-0.01", {"A1.share through 2026-05-31": D("100.00")})
    assert booked(entry, booking) == {
        "host:cash:bank:maker EUR": "92.24",
        "host:equity:exchange:maker EUR": "-92.24",
        "host:equity:exchange:maker USD": "100.01",
        "host:expense:fx-rounding:maker USD": "-0.01",
        "host:receivable:revenue-share:maker USD": "-100.00",
        "maker:cash:bank:host EUR": "-92.24",
        "maker:equity:exchange:host EUR": "92.24",
        "maker:equity:exchange:host USD": "-100.01",
        "maker:expense:fx-rounding:host USD": "0.01",
        "maker:payable:revenue-share:host USD": "100.00",
    }


# A dollar at 149.37 yen: 13.34 is 1,992.5958, 6.67 is 996.2979, and their sum of 20.01 is 2,988.8937.
YEN_OWED, YEN = {"A1.share": "13.34", "B1.share": "6.67"}, Fraction("149.37")


def test_yen_are_whole() -> None:
    invoice, entry = invoiced(YEN_OWED, "JPY", YEN)
    assert [str(line.amount) for line in invoice.lines] == ["1993", "996"]
    assert str(invoice.total) == "2989"
    # Of 1,000 the lines are paid 666.78 and 333.22; the tax of 7.5 % on B1 is 24.975, and of 996 in all 74.7.
    first, booking = paid(invoice, "1000")
    assert [str(amount) for _, amount in first.settles] == ["667", "333"]
    assert str(first.withheld_of[1][1]) == "25"
    rest, last = paid(invoice, "1989", [first])
    assert exact_sum(open_lines(invoice, [first, rest]).values()) == 0
    assert str(first.withheld_of[1][1] + rest.withheld_of[1][1]) == "75"
    legs = [leg for booked in (entry, booking, last) for leg in booked.postings if leg.currency == "JPY"]
    assert [leg.amount for leg in legs if leg.amount % 1] == []


def test_dinars_have_thousandths() -> None:
    """At 0.3069 dinars a dollar: 13.34 is 4.094046, 6.67 is 2.047023, and their sum of 20.01 is 6.141069."""
    invoice, entry = invoiced(YEN_OWED, "KWD", Fraction("0.3069"))
    assert [str(line.amount) for line in invoice.lines] == ["4.094", "2.047"]
    # Of 3.001 dinars 1.0003 are B1's, and its tax of 7.5 % is 0.075.
    payment, booking = paid(invoice, "3.001")
    assert [str(amount) for _, amount in payment.settles] == ["2.001", "1.000"]
    assert str(payment.withheld) == "0.075"
    assert booked(entry, booking)["maker:payable:revenue-share:host USD"] == "20.01"


def test_dollars_pay_an_invoice_in_yen_but_for_a_part_of_a_yen() -> None:
    """2,989 yen are 20.0107 dollars: 20.01 of them are 2,988.89, which is a whole 2,989."""
    invoice, _ = invoiced(YEN_OWED, "JPY", YEN)
    payment, _ = paid(invoice, "20.01", currency="USD", rate=YEN)
    assert payment.rounding == exact_sum(open_lines(invoice, [payment]).values()) == 0


def test_yen_pay_an_invoice_in_dollars_line_by_line() -> None:
    invoice, _ = invoiced(YEN_OWED)
    payment, entry = paid(invoice, "2989", currency="JPY", rate=1 / YEN)
    assert exact_sum(open_lines(invoice, [payment]).values()) == 0
    assert [leg.amount for leg in entry.postings if leg.currency == "JPY" and leg.amount % 1] == []


def test_hundredths_of_yen_that_were_invoiced_before_are_still_paid() -> None:
    whole, _ = invoiced(YEN_OWED, "JPY", YEN)
    before = [msgspec.structs.replace(line, amount=line.amount + D("0.40")) for line in whole.lines]
    invoice = msgspec.structs.replace(whole, lines=tuple(before))
    first, _ = paid(invoice, "2000")
    rest, _ = paid(invoice, "989.80", [first])
    assert exact_sum(open_lines(invoice, [first, rest]).values()) == 0


def test_a_credit_note_is_paid_the_other_way() -> None:
    invoice, entry = invoiced({"A1.share": "-5.00"})
    payment, booking = paid(invoice, "5.00")
    assert str(payment.amount) == "-5.00"
    assert booked(entry, booking)["maker:cash:bank:host USD"] == "5.00"


# day, base, quote → rate
AT = [
    (date(2026, 6, 1), "EUR", "USD", Fraction("1.0842")),
    (date(2026, 6, 4), "EUR", "USD", Fraction("1.0842")),
    (date(2026, 6, 5), "EUR", "USD", Fraction("1.1")),
    (date(2026, 6, 5), "USD", "EUR", 1 / Fraction("1.1")),
    (date(2020, 1, 1), "USD", "USD", Fraction(1)),
]


@pytest.mark.parametrize(("day", "base", "quote", "rate"), AT)
def test_the_latest_rate_counts(day: date, base: str, quote: str, rate: Fraction) -> None:
    assert RATES.at(day, base, quote) == rate


def test_rates_that_cannot_be_read_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_rates(
            "day,base,quote,rate\n2026-06-31,EUR,USD,1\n2026-06-01,eur,USD,1\n2026-06-01,EUR,USD,0\n"
            "2026-06-01,EUR,USD,1.1\n2026-06-01,USD,EUR,0.9\n1,2\n2026-06-01,EUR,EUR,1\n",
            "rates.csv",
        )
    assert [(problem.line, problem.what) for problem in refused.value.problems] == [
        (2, "'2026-06-31' is not a day"),
        (3, "'eur' and 'USD' are not a pair"),
        (4, "'0' is not a rate"),
        (6, "a second rate of the pair on 2026-06-01"),
        (7, "2 fields"),
        (8, "'EUR' and 'EUR' are not a pair"),
    ]
    with pytest.raises(InvalidInput, match="unexpected columns"):
        read_rates("day,rate\n", "rates.csv")
    with pytest.raises(InvalidInput, match="unexpected columns"):
        read_rates("", "rates.csv")
    with pytest.raises(InvalidInput, match="no rate of EUR in USD on 2026-05-31"):
        RATES.at(date(2026, 5, 31), "EUR", "USD")


@given(
    st.lists(st.integers(1, 10**7), min_size=2, max_size=2),
    st.fractions(Fraction(1, 100), Fraction(100)),
    st.lists(st.integers(1, 100), max_size=6),
)
def test_whatever_is_paid_the_books_balance_and_nothing_is_lost(
    cents: list[int], rate: Fraction, parts: list[int]
) -> None:
    owed = {"A1.share": str(D(cents[0]).scaleb(-2)), "B1.share": str(D(cents[1]).scaleb(-2))}
    invoice, entry = invoiced(owed, "EUR", rate)
    assert invoice.total == convert(exact_sum(map(D, owed.values())), rate, CENT)
    entries, payments = [entry], list[Payment]()
    for part in parts:
        left = exact_sum(open_lines(invoice, payments).values())
        amount = convert(left, Fraction(part, 100), CENT)
        if amount > 0:
            payment, booking = paid(invoice, str(amount), payments)
            payments.append(payment)
            entries.append(booking)
    left = exact_sum(open_lines(invoice, payments).values())
    assert left >= 0
    assert position(entries, "maker", "host", "EUR").get("invoiced", D(0)) == left
    assert exact_sum(payment.amount for payment in payments) + left == invoice.total
