"""Vouchers by rule: how much of a sale may be taken back, and what a voucher may refer to."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from share_tables import month, settled, share, sold

from clauseway.agreement.language.shares import PaymentTerm, RevenueShare
from clauseway.ledger import Credit, Dispute, Invoice, Payment, Resolution, Reversal, Reversed, Voucher
from clauseway.ledger.dues import dues
from clauseway.ledger.voucher_rules import (
    InvoiceRequest,
    dispute_to_resolve,
    invoice_to_pay,
    invoiceable,
    payment_to_reverse,
    payments_before,
    read_amount,
    refuse_before,
    refuse_finer,
    refuse_several_places,
    taken_back,
    voucher_day,
)
from clauseway.ledger.vouchers import InvoiceLine
from clauseway.values import CENT, InvalidInput, start_of_day_ns

DAY = date(2026, 5, 4)


def sale(amount: str, request: str = "") -> Reversed:
    return Reversed(
        event_ns=start_of_day_ns(DAY),
        seller="openai",
        cloud="aws",
        product="gpt-5.5",
        amount=Decimal(amount),
        request=request,
    )


def credit(name: str, amount: str, request: str = "") -> Credit:
    return Credit(id=name, day=DAY, of=sale(amount, request))


def dispute(name: str, amount: str, request: str = "") -> Dispute:
    return Dispute(id=name, day=DAY, of=sale(amount, request))


def resolution(name: str, of: str, *, upheld: bool) -> Resolution:
    return Resolution(id=name, day=DAY, dispute=of, upheld=upheld)


def payment(name: str) -> Payment:
    zero = Decimal(0)
    return Payment(
        id=name, day=DAY, invoice="I1", amount=zero, currency="USD", rate="1", withheld=zero, settles=(), rounding=zero
    )


INVOICE = Invoice(id="I1", day=DAY, payer="openai", payee="microsoft", through=DAY, currency="USD", rate="1", lines=())

ELSEWHERE = msgspec.structs.replace(sale("4"), cloud="azure")
NEXT_DAY = msgspec.structs.replace(sale("4"), event_ns=start_of_day_ns(date(2026, 5, 5)))

# (vouchers told before, the request or "" for the day's sales, charged for it, charged that day) → left of it
LEFT = [
    ([], "r1", "10", "25", "10"),
    ([], "", "25", "25", "25"),
    ([credit("C1", "4", "r1")], "r1", "10", "25", "6"),
    ([credit("C1", "4", "r2")], "r1", "10", "25", "10"),  # of another request
    ([credit("C1", "20")], "r1", "10", "25", "5"),  # the day's reversal leaves less of each request
    ([credit("C1", "4", "r1"), dispute("D1", "3")], "", "25", "25", "18"),
    ([dispute("D1", "4", "r1"), resolution("R1", "D1", upheld=False)], "r1", "10", "25", "10"),
    ([dispute("D1", "4", "r1"), resolution("R1", "D1", upheld=True)], "r1", "10", "25", "6"),
    ([credit("NEW", "4", "r1")], "r1", "10", "25", "10"),  # told again
    ([Credit(id="C1", day=DAY, of=ELSEWHERE)], "", "25", "25", "25"),  # of another cloud's sales
    ([Credit(id="C1", day=DAY, of=NEXT_DAY)], "", "25", "25", "25"),
]


@pytest.mark.parametrize(("vouchers", "request_id", "charged", "day_charged", "left"), LEFT)
def test_all_that_is_left_of_a_sale_is_taken_back(
    vouchers: list[Voucher], request_id: str, charged: str, day_charged: str, left: str
) -> None:
    def taken(wanted: Decimal | None) -> Decimal:
        return taken_back(
            vouchers,
            "NEW",
            sale("0", request_id),
            charged=Decimal(charged),
            day_charged=Decimal(day_charged),
            wanted=wanted,
        ).amount

    assert taken(None) == Decimal(left)
    assert taken(Decimal(left)) == Decimal(left)
    with pytest.raises(InvalidInput, match="more than is left"):
        taken(Decimal(left) + CENT)


def test_nothing_left_is_nothing_to_take_back() -> None:
    with pytest.raises(InvalidInput, match="nothing is left of that sale"):
        taken_back(
            [credit("C1", "10", "r1")],
            "NEW",
            sale("0", "r1"),
            charged=Decimal(10),
            day_charged=Decimal(25),
            wanted=None,
        )


def test_a_dispute_ends_once() -> None:
    opened, ended = dispute("D1", "4"), resolution("R1", "D1", upheld=True)
    assert dispute_to_resolve([opened], "R1", "D1") is opened
    assert dispute_to_resolve([opened, ended], "R1", "D1") is opened  # told again
    with pytest.raises(InvalidInput, match="R1 upheld it"):
        dispute_to_resolve([opened, ended], "R2", "D1")
    with pytest.raises(InvalidInput, match="no dispute is called 'D2'"):
        dispute_to_resolve([opened], "R1", "D2")
    # Another voucher of that name is no dispute, and another dispute's end is not this one's.
    with pytest.raises(InvalidInput, match="no dispute is called 'C1'"):
        dispute_to_resolve([credit("C1", "4"), opened], "R1", "C1")
    rejected = resolution("R1", "D1", upheld=False)
    other = dispute("D2", "1")
    assert dispute_to_resolve([opened, other, rejected], "R2", "D2") is other
    with pytest.raises(InvalidInput, match="R1 rejected it"):
        dispute_to_resolve([opened, other, rejected], "R2", "D1")


def test_a_payment_is_reversed_once() -> None:
    paid, back = payment("P1"), Reversal(id="V1", day=DAY, payment="P1")
    assert payment_to_reverse([paid], "V1", "P1") is paid
    assert payment_to_reverse([paid, back], "V1", "P1") is paid  # told again
    with pytest.raises(InvalidInput, match="V1 did it"):
        payment_to_reverse([paid, back], "V2", "P1")
    with pytest.raises(InvalidInput, match="Known: P1"):
        payment_to_reverse([paid], "V1", "P2")
    with pytest.raises(InvalidInput, match="Known: none"):
        payment_to_reverse([paid, back], "V2", "P2")
    with pytest.raises(InvalidInput, match="no payment is called 'V1'"):
        payment_to_reverse([paid, back], "V2", "V1")
    # Another payment may still be reversed.
    second = payment("P2")
    assert payment_to_reverse([paid, back, second], "V2", "P2") is second


def test_payments_stand_as_they_did_when_a_voucher_was_first_told() -> None:
    first, second = payment("P1"), payment("P2")
    assert payments_before([first, second], "P2") == [first]
    assert payments_before([first, second], "P3") == [first, second]


def test_an_invoice_is_paid_by_its_name() -> None:
    assert invoice_to_pay([INVOICE], "I1") is INVOICE
    with pytest.raises(InvalidInput, match="Did you mean 'I1'"):
        invoice_to_pay([INVOICE], "i1")
    with pytest.raises(InvalidInput, match="None is known yet"):
        invoice_to_pay([], "I1")


@pytest.mark.parametrize("text", ["0", "-1", "1.005", "ten", ""])
def test_an_amount_is_above_zero_and_of_whole_cents(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an amount"):
        read_amount(text, CENT)


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [("12.50", CENT, "12.50"), ("0.01", CENT, "0.01"), ("12", CENT, "12"), ("12", Decimal(1), "12")],
)
def test_an_amount_is_read_in_whole_units(text: str, unit: Decimal, amount: str) -> None:
    assert read_amount(text, unit) == Decimal(amount)
    with pytest.raises(InvalidInput, match="is not an amount"):
        read_amount("12.505" if unit == CENT else "12.5", unit)


def test_a_part_of_a_yen_is_no_amount() -> None:
    for amount, currency in (("12.50", "USD"), ("12", "JPY"), ("12.00", "JPY")):
        refuse_finer(Decimal(amount), currency)
    with pytest.raises(InvalidInput, match=r"12\.50 JPY is not an amount: JPY has no smaller unit than 1"):
        refuse_finer(Decimal("12.50"), "JPY")


def test_a_request_is_taken_back_where_it_was_charged() -> None:
    refuse_several_places("r1", [sale("1", "r1"), sale("2", "r1")])
    with pytest.raises(InvalidInput, match="charged on aws and azure, on 2026-05-04"):
        refuse_several_places("r1", [sale("1", "r1"), ELSEWHERE])
    with pytest.raises(InvalidInput, match="charged on aws, on 2026-05-04 and 2026-05-05"):
        refuse_several_places("r1", [sale("1", "r1"), NEXT_DAY])


# 20 % of 100.00 in April and of 50.00 in May, by the month; and 5 % of them, by the quarter.
MONTHLY = share("A1.share", payment=PaymentTerm(due_days=30))
QUARTERLY = share("B1.share", rate="5 %", payment=PaymentTerm(every="quarter", due_days=30))
SALES = [sold("04-02", "100.00"), sold("05-02", "50.00")]
JUNE = date(2026, 6, 1)


def may_invoice(
    period: str,
    *voucher: Voucher,
    of: tuple[RevenueShare, ...] = (MONTHLY, QUARTERLY),
    open_since: date | None = JUNE,
    payer: str = "maker",
    identity: str = "I1",
) -> str:
    """Say what may be invoiced as `identity`: the amounts, an invoice of before, or why nothing may be."""
    due = [due for name in ("2026-04", "2026-05") for due in dues(settled(SALES, month(name), *of))]
    payee = "host" if payer == "maker" else "maker"
    try:
        asked = InvoiceRequest(id=identity, payer=payer, payee=payee, month=month(period))
        result = invoiceable(voucher, due, asked, open_since)
    except InvalidInput as refusal:
        [problem] = refusal.problems
        return f"{problem.what}: {problem.why}"
    return f"again {result.id}" if isinstance(result, Invoice) else " ".join(str(voucher.amount) for voucher in result)


def wrote(name: str, through: date, owed: str, payer: str = "maker", payee: str = "host") -> Invoice:
    line = InvoiceLine(
        term="A1.share", owed=Decimal(owed), amount=Decimal(owed), withheld=Decimal(0), due=None, through=through
    )
    return Invoice(id=name, day=DAY, payer=payer, payee=payee, through=through, currency="USD", rate="1", lines=(line,))


APRIL, MAY = date(2026, 4, 30), date(2026, 5, 31)
BOTH = (wrote("I0", APRIL, "20.00"), wrote("I1", MAY, "10.00"))


def test_what_may_be_invoiced() -> None:
    assert may_invoice("2026-05") == "20.00 10.00"
    assert may_invoice("2026-04") == "20.00"
    assert may_invoice("2026-05", wrote("I0", APRIL, "20.00")) == "10.00"
    # A month is invoiced once it is closed.
    assert may_invoice("2026-05", open_since=MAY) == "2026-05 is open: what it owes may change until it is closed"
    assert may_invoice("2026-04", open_since=date(2026, 5, 1)) == "20.00"
    assert may_invoice("2026-04", open_since=None).startswith("2026-04 is open")
    # The same invoice again is answered by itself; more that is owed since is another's.
    assert may_invoice("2026-05", *BOTH) == "again I1"
    assert may_invoice("2026-05", wrote("I1", MAY, "20.00")).startswith("invoice I1 was written before: more is owed")
    # Its id is taken where it asks through another day.
    through = "invoice I1 was written before: it is through 2026-04-30, not 2026-05-31"
    assert may_invoice("2026-05", wrote("I1", APRIL, "20.00")) == through
    # A later month has all that was owed: of this direction alone, whatever the invoice is called.
    assert may_invoice("2026-04", *BOTH, identity="I2") == (
        "2026-04 is invoiced: I1 is through 2026-05-31 and has all that was owed then"
    )
    assert may_invoice("2026-04", *BOTH, identity="I0") == "again I0"
    assert may_invoice("2026-04", wrote("I9", MAY, "10.00", "host", "maker")) == "20.00"


def test_why_there_is_nothing_to_invoice() -> None:
    assert may_invoice("2026-05", *BOTH, identity="I2", of=(MONTHLY,)) == (
        "nothing to invoice maker for 2026-05: all that is owed is invoiced"
    )
    by_quarter = "nothing to invoice maker for 2026-05: B1.share is payable by the quarter"
    assert may_invoice("2026-05", of=(QUARTERLY,)) == by_quarter
    # A term that owes nothing waits for nothing; nor does one of the other direction.
    free = share("C1.share", rate="0 %", payment=PaymentTerm(every="quarter", due_days=30))
    assert may_invoice("2026-05", of=(QUARTERLY, free)) == by_quarter
    # Nothing was ever owed in that direction: it may be meant the other way round, or another party.
    assert may_invoice("2026-05", payer="host") == (
        "nothing to invoice host for 2026-05: host owes maker nothing through 2026-05-31"
    )
    # April's invoice does not wait for May.
    later = share("B1.share", begin=date(2026, 5, 1), payment=PaymentTerm(every="quarter", due_days=30))
    assert may_invoice("2026-04", of=(later,)) == (
        "nothing to invoice maker for 2026-04: maker owes host nothing through 2026-04-30"
    )


def test_a_voucher_keeps_its_day() -> None:
    today = date(2026, 6, 1)
    assert voucher_day([], "C1", None, today) == today
    assert voucher_day([credit("C1", "4")], "C1", None, today) == DAY
    assert voucher_day([credit("C1", "4")], "C1", today, today) == today
    refuse_before("C1", DAY, DAY, "the sale")
    with pytest.raises(InvalidInput, match="before the sale"):
        refuse_before("C1", date(2026, 5, 3), DAY, "the sale")
