"""Amounts still to be invoiced, and lines that a payment settles: in any order of dues, invoices and payments."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D
from fractions import Fraction

import msgspec
import pytest
from share_tables import cited, month, settled, share, sold

from clauseway.agreement.language.shares import PaymentTerm, ShareBase
from clauseway.ledger import Invoice, Payment, invoice_of, payment_of
from clauseway.ledger.dues import dues
from clauseway.ledger.invoices import Owed, open_lines, owed_through
from clauseway.ledger.journal import Entry
from clauseway.ledger.vouchers import InvoiceLine
from clauseway.values import Interval, InvalidInput

APRIL, MAY = date(2026, 4, 30), date(2026, 5, 31)
A1 = share("A1.share", payment=PaymentTerm(due_days=30))
B1 = share("B1.share", rate="5 %", withholding="7.5 %")
SALES = [sold("04-02", "100.00"), sold("05-02", "50.00")]
# A1.share owes 20.00 for April and 10.00 for May; B1.share owes 5.00 and 2.50. Not in the order in which it is paid.
DUES = [due for name in ("2026-05", "2026-04") for due in reversed(dues(settled(SALES, month(name), A1, B1)))]


def test_the_parts_of_a_due() -> None:
    """7.5 % of 5.00 are 0.375, a tie: 0.38 to the even cent, of the whole amount. The payee receives the rest."""
    # In order of their terms, whichever began first.
    newer = msgspec.structs.replace(A1, begin=date(2026, 2, 1))
    shares = (share("C1.share", payer="host", payee="maker", base=ShareBase(sellers=frozenset({"maker"}))), B1, newer)
    owed_lines = [
        f"{due.payer} {due.term[:2]} {due.last_day} {due.amount} - {due.withheld} = {due.paid}"
        for due in dues(settled(SALES[:1], month("2026-04"), *shares))
    ]
    assert owed_lines == [
        "host C1 2026-04-30 20.00 - 0.00 = 20.00",
        "maker A1 2026-04-30 20.00 - 0.00 = 20.00",
        "maker B1 2026-04-30 5.00 - 0.38 = 4.62",
    ]
    # Part of a month is due with its own last day.
    [part] = dues(settled(SALES, Interval(date(2026, 4, 1), date(2026, 4, 16)), A1))
    assert (part.last_day, part.through, part.due) == (date(2026, 4, 15), APRIL, date(2026, 5, 30))


# Each line of an invoice names its term, what was owed, and the day through which; older homes wrote no day.
Line = tuple[str, str, date | None]


def invoice(name: str, through: date, lines: Sequence[Line], payer: str = "maker", payee: str = "host") -> Invoice:
    return Invoice(
        id=name,
        day=MAY,
        payer=payer,
        payee=payee,
        through=through,
        currency="USD",
        rate="1",
        lines=tuple(
            InvoiceLine(term=f"{term}.share", owed=D(owed), amount=D(owed), withheld=D(0), due=None, through=day)
            for term, owed, day in lines
        ),
    )


def owed(*before: Invoice, through: date = MAY) -> list[str]:
    return [
        f"{due.term[:2]} {due.through:%B} {due.amount}" for due in owed_through(DUES, before, "maker", "host", through)
    ]


# Invoices before → what is still owed through May, by term and month.
STILL_OWED = [
    ([], ["A1 April 20.00", "A1 May 10.00", "B1 April 5.00", "B1 May 2.50"]),
    # A line with its own day is that payment's, whatever the invoice is through.
    ([invoice("i1", MAY, [("A1", "20.00", APRIL)])], ["A1 May 10.00", "B1 April 5.00", "B1 May 2.50"]),
    ([invoice("i1", MAY, [("A1", "15.00", APRIL)])], ["A1 April 5.00", "A1 May 10.00", "B1 April 5.00", "B1 May 2.50"]),
    # A line without one claimed all that its own term owed, the oldest first.
    ([invoice("i1", APRIL, [("A1", "20.00", None)])], ["A1 May 10.00", "B1 April 5.00", "B1 May 2.50"]),
    ([invoice("i1", APRIL, [("B1", "5.00", None)])], ["A1 April 20.00", "A1 May 10.00", "B1 May 2.50"]),
    ([invoice("i1", MAY, [("A1", "30.00", None)])], ["B1 April 5.00", "B1 May 2.50"]),
    # An amount that an earlier invoice claimed, a later one does not claim again.
    (
        [invoice("i1", APRIL, [("A1", "20.00", None)]), invoice("i2", MAY, [("A1", "10.00", None)])],
        ["B1 April 5.00", "B1 May 2.50"],
    ),
    (
        [invoice("i1", APRIL, [("A1", "20.00", APRIL)]), invoice("i2", MAY, [("A1", "10.00", None)])],
        ["B1 April 5.00", "B1 May 2.50"],
    ),
    # It claimed 21.00 where 20.00 are known to be due today: 1.00 is taken off the same payment.
    (
        [invoice("i1", APRIL, [("A1", "21.00", None)])],
        ["A1 April -1.00", "A1 May 10.00", "B1 April 5.00", "B1 May 2.50"],
    ),
    # A payment that is none any more: it is taken off the latest of its term.
    (
        [invoice("i1", MAY, [("A1", "4.00", date(2026, 3, 31))])],
        ["A1 April 20.00", "A1 May 6.00", "B1 April 5.00", "B1 May 2.50"],
    ),
    (
        [invoice("i1", date(2026, 3, 31), [("B1", "1.00", None)])],
        ["A1 April 20.00", "A1 May 10.00", "B1 April 5.00", "B1 May 1.50"],
    ),
    # A term that owes nothing here takes nothing off the others.
    ([invoice("i1", MAY, [("C1", "4.00", None)])], ["A1 April 20.00", "A1 May 10.00", "B1 April 5.00", "B1 May 2.50"]),
    # The other direction's invoices are its own.
    (
        [invoice("i0", MAY, [("A1", "9.00", APRIL)], "host", "maker"), invoice("i1", MAY, [("A1", "20.00", APRIL)])],
        ["A1 May 10.00", "B1 April 5.00", "B1 May 2.50"],
    ),
]


@pytest.mark.parametrize(("before", "left"), STILL_OWED)
def test_what_is_still_to_be_invoiced(before: Sequence[Invoice], left: list[str]) -> None:
    assert owed(*before) == left


def test_only_what_is_due_in_the_direction_and_by_the_day_is_invoiced() -> None:
    assert owed(through=APRIL) == ["A1 April 20.00", "B1 April 5.00"]
    assert owed(through=date(2026, 5, 30)) == owed(through=APRIL)
    assert owed_through(DUES, [], "host", "maker", MAY) == []
    april = owed_through(DUES, [], "maker", "host", APRIL)
    assert [invoice.due for invoice in april] == [date(2026, 5, 30), None]


def claimed(*lines: Owed, currency: str = "USD", rate: Fraction = Fraction(1)) -> tuple[Invoice, Entry]:
    return invoice_of(
        identity="i1", payer="maker", payee="host", day=MAY, through=MAY, owed=lines, currency=currency, rate=rate
    )


def paid(
    of: Invoice, amount: str, currency: str = "USD", rate: Fraction = Fraction(1), before: Sequence[Payment] = ()
) -> tuple[Payment, Entry]:
    return payment_of(
        identity="p1",
        invoice=of,
        before=before,
        day=MAY,
        amount=D(amount),
        currency=currency,
        rate=rate,
        citations={term: cited(term) for term in ("A1.share", "B1.share")},
    )


OWED = owed_through(DUES, [], "maker", "host", MAY)
# Both months of A1: 30.00, without a tax.
THIRTY, CLAIM = claimed(*OWED[:2])


def test_an_invoice_moves_each_line_on_both_books_and_nothing_else() -> None:
    assert [str(leg.amount) for leg in CLAIM.postings] == [
        "20.00",
        "-20.00",
        "20.00",
        "-20.00",
        "10.00",
        "-10.00",
        "10.00",
        "-10.00",
    ]
    assert {leg.account.kind for leg in CLAIM.postings} == {"payable", "receivable"}


def test_a_payment_without_a_tax_books_no_tax() -> None:
    payment, entry = paid(THIRTY, "30.00")
    assert str(payment.withheld) == "0.00"
    assert str(payment.rounding) == "0.00"
    assert {leg.account.kind for leg in entry.postings} == {"payable", "receivable", "cash"}
    assert all(leg.amount for leg in entry.postings)


# The amount · its currency · that currency's worth in USD → what is settled of 30.00, or refused.
SETTLED = [
    ("29.99", "USD", "1", "29.99"),
    ("30.00", "USD", "1", "30.00"),
    ("30.01", "USD", "1", None),
    # Far from the whole, a payment in another currency settles its worth.
    ("10.00", "EUR", "1.1", "11.00"),
    # 27.27 × 1.1 = 29.997 → 30.00; 27.26 × 1.1 = 29.986 → 29.99, a cent short; 27.28 × 1.1 = 30.008 → 30.01
    ("27.27", "EUR", "1.1", "30.00"),
    ("27.26", "EUR", "1.1", "30.00"),
    ("27.28", "EUR", "1.1", "30.00"),
    ("27.25", "EUR", "1.1", "29.98"),
    ("27.29", "EUR", "1.1", None),
    # A cent of theirs is three of ours: 10.01 × 3 = 30.03
    ("10.01", "CUP", "3", "30.00"),
    ("9.99", "CUP", "3", "30.00"),
    ("10.02", "CUP", "3", None),
    # A thousandth of theirs is less than a cent of ours: 10.004 × 3 = 30.012 → 30.01
    ("10.004", "KWD", "3", "30.00"),
    ("9.996", "KWD", "3", "30.00"),
    ("10.005", "KWD", "3", None),
    # A cent of ours is a hundred of theirs.
    ("2999", "JPY", "0.01", "30.00"),
    ("2998", "JPY", "0.01", "29.98"),
    ("3001", "JPY", "0.01", "30.00"),
    ("3002", "JPY", "0.01", None),
]


@pytest.mark.parametrize(("amount", "currency", "worth", "settles"), SETTLED)
def test_how_much_of_thirty_dollars_a_payment_settles(
    amount: str, currency: str, worth: str, settles: str | None
) -> None:
    if settles is None:
        with pytest.raises(InvalidInput, match=r"of invoice i1 30\.00 USD is open"):
            paid(THIRTY, amount, currency, Fraction(worth))
        return
    payment, entry = paid(THIRTY, amount, currency, Fraction(worth))
    assert str(sum(part for _, part in payment.settles)) == settles
    assert str(payment.amount) == amount
    # The rest of a conversion is the difference between the settled amount and its worth.
    exchanged = (D(amount) * D(worth)).quantize(D("0.01"))
    assert payment.rounding == D(settles) - exchanged
    assert all(leg.amount for leg in entry.postings)


def test_a_paid_invoice_takes_no_further_cent_in_any_currency() -> None:
    payment, _ = paid(THIRTY, "30.00")
    assert set(open_lines(THIRTY, [payment]).values()) == {D(0)}
    for currency in ("USD", "EUR"):
        with pytest.raises(InvalidInput, match=r"nothing of invoice .* is open"):
            paid(THIRTY, "0.01", currency, before=[payment])


def test_a_payment_is_of_its_own_invoice() -> None:
    payment, _ = paid(THIRTY, "12.00")
    other = invoice("i2", MAY, [("A1", "20.00", APRIL), ("A1", "10.00", MAY)])
    assert list(map(str, open_lines(other, [payment]).values())) == ["20.00", "10.00"]
    # 12.00 over 20.00 and 10.00, in proportion.
    assert list(map(str, open_lines(THIRTY, [payment]).values())) == ["12.00", "6.00"]
