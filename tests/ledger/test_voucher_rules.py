"""Vouchers by rule: how much of a sale may be taken back, and what a voucher may refer to."""

from datetime import date
from decimal import Decimal

import pytest

from clauseway.ledger import Credit, Dispute, Invoice, Payment, Resolution, Reversal, Reversed, Voucher
from clauseway.ledger.voucher_rules import (
    dispute_to_resolve,
    invoice_to_pay,
    payment_to_reverse,
    payments_before,
    read_amount,
    refuse_before,
    taken_back,
    voucher_day,
)
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
    with pytest.raises(InvalidInput, match="more than is left"):
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


def test_a_payment_is_reversed_once() -> None:
    paid, back = payment("P1"), Reversal(id="V1", day=DAY, payment="P1")
    assert payment_to_reverse([paid], "V1", "P1") is paid
    assert payment_to_reverse([paid, back], "V1", "P1") is paid  # told again
    with pytest.raises(InvalidInput, match="V1 did it"):
        payment_to_reverse([paid, back], "V2", "P1")
    with pytest.raises(InvalidInput, match="Known: P1"):
        payment_to_reverse([paid], "V1", "P2")


def test_payments_stand_as_they_did_when_a_voucher_was_first_told() -> None:
    first, second = payment("P1"), payment("P2")
    assert payments_before([first, second], "P2") == [first]
    assert payments_before([first, second], "P3") == [first, second]


def test_an_invoice_is_paid_by_its_name() -> None:
    assert invoice_to_pay([INVOICE], "I1") is INVOICE
    with pytest.raises(InvalidInput, match="Known: I1"):
        invoice_to_pay([INVOICE], "i1")
    with pytest.raises(InvalidInput, match="Known: none"):
        invoice_to_pay([], "I1")


@pytest.mark.parametrize("text", ["0", "-1", "1.005", "ten", ""])
def test_an_amount_is_above_zero_and_of_whole_cents(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an amount"):
        read_amount(text, CENT)


def test_a_voucher_keeps_its_day() -> None:
    today = date(2026, 6, 1)
    assert voucher_day([], "C1", None, today) == today
    assert voucher_day([credit("C1", "4")], "C1", None, today) == DAY
    assert voucher_day([credit("C1", "4")], "C1", today, today) == today
    refuse_before("C1", DAY, DAY, "the sale")
    with pytest.raises(InvalidInput, match="before the sale"):
        refuse_before("C1", date(2026, 5, 3), DAY, "the sale")
