"""Vouchers that stand: which sales are taken back for good, which are in dispute, which payments count; and charges."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import cited, month

from clauseway.ledger import Credit, Dispute, Payment, Resolution, Reversal, Reversed, StatementChange, Voucher
from clauseway.ledger.charges import UsageCharge, summed
from clauseway.ledger.vouchers import InvoiceLine, credited, disputed, standing_payments
from clauseway.metering import Unit
from clauseway.values import start_of_day_ns

DAY = date(2026, 5, 4)


def sale(amount: str) -> Reversed:
    return Reversed(
        event_ns=start_of_day_ns(DAY), seller="maker", cloud="rented", product="chat", amount=D(amount), request=""
    )


def payment(name: str) -> Payment:
    nothing = D(0)
    return Payment(
        id=name,
        day=DAY,
        invoice="I1",
        amount=nothing,
        currency="USD",
        rate="1",
        withheld=nothing,
        settles=(),
        rounding=nothing,
    )


CREDIT = Credit(id="C1", day=DAY, of=sale("1.00"))
OPEN = Dispute(id="D1", day=DAY, of=sale("2.00"))
UPHELD = Dispute(id="D2", day=DAY, of=sale("4.00"))
REJECTED = Dispute(id="D3", day=DAY, of=sale("8.00"))
ENDS = (
    Resolution(id="R2", day=DAY, dispute="D2", upheld=True),
    Resolution(id="R3", day=DAY, dispute="D3", upheld=False),
)
PAID = (payment("P1"), payment("P2"))
# The vouchers told · what is taken back for good · what is in dispute · the payments that count.
STAND: list[tuple[Sequence[Voucher], list[str], list[str], list[str]]] = [
    ((), [], [], []),
    ((CREDIT,), ["C1 -1.00"], [], []),
    ((OPEN,), [], ["D1 -2.00"], []),
    ((UPHELD, ENDS[0]), ["D2 -4.00"], [], []),
    ((REJECTED, ENDS[1]), [], [], []),
    ((UPHELD, REJECTED), [], ["D2 -4.00", "D3 -8.00"], []),
    # The end may be told before the dispute is read.
    ((*ENDS, REJECTED, UPHELD, OPEN, CREDIT), ["C1 -1.00", "D2 -4.00"], ["D1 -2.00"], []),
    (PAID, [], [], ["P1", "P2"]),
    ((*PAID, Reversal(id="V1", day=DAY, payment="P1")), [], [], ["P2"]),
    ((Reversal(id="V1", day=DAY, payment="P2"), *PAID, CREDIT, OPEN), ["C1 -1.00"], ["D1 -2.00"], ["P1"]),
]


@pytest.mark.parametrize(("vouchers", "back", "open_", "payments"), STAND)
def test_which_vouchers_stand(
    vouchers: Sequence[Voucher], back: list[str], open_: list[str], payments: list[str]
) -> None:
    assert [f"{voucher.request_id} {voucher.amount}" for voucher in credited(vouchers)] == back
    assert [f"{voucher.request_id} {voucher.amount}" for voucher in disputed(vouchers)] == open_
    assert [payment.id for payment in standing_payments(vouchers)] == payments
    # A voucher is no attempt at a cloud: it stands before the first one of its instant.
    assert {voucher.attempt for voucher in (*credited(vouchers), *disputed(vouchers))} <= {0}


def test_payments_call_a_line_by_its_term_and_day() -> None:
    line = InvoiceLine(term="A1.share", owed=D(1), amount=D(1), withheld=D(0), due=None)
    assert line.name == "A1.share"
    assert msgspec.structs.replace(line, through=DAY).name == "A1.share through 2026-05-04"


# The id of a line → its product, cloud and seller, and the line in words.
LINES = [
    ("A1.share|chat|rented|maker", ("chat", "rented", "maker"), "chat on rented, sold by maker"),
    ("A1.share@2026-05-21|chat|rented|maker", ("chat", "rented", "maker"), "chat on rented, sold by maker"),
    ("A1.share|minimum|2026-05|", ("minimum", "2026-05", ""), "minimum of 2026-05"),
    # A name of a term may hold the sign that parts them.
    ("A1.one|two|chat|rented|maker", ("chat", "rented", "maker"), "chat on rented, sold by maker"),
]


@pytest.mark.parametrize(("line", "parts", "words"), LINES)
def test_of_what_a_changed_line_is(line: str, parts: tuple[str, str, str], words: str) -> None:
    nothing = D(0)
    change = StatementChange(
        period=month("2026-05"),
        term="A1.share",
        payer="maker",
        payee="host",
        line=line,
        old=nothing,
        new=nothing,
        old_base=nothing,
        new_base=nothing,
        old_requests=0,
        new_requests=0,
        old_adjusted=nothing,
        new_adjusted=nothing,
        causes=(),
        citation=cited("A1.share"),
    )
    assert (change.product, change.cloud, change.seller) == parts
    assert change.of == words


def charge(product: str, quantity: int, requests: int, price: int = 2_500_000) -> UsageCharge:
    return UsageCharge(
        day=DAY,
        organisation="acme",
        project="chat",
        seller="maker",
        cloud="rented",
        region="",
        product=product,
        unit=Unit.INPUT_TOKENS,
        quantity=quantity,
        price=price,
        list_price=price,
        currency="USD",
        source="list",
        requests=requests,
    )


def test_like_charges_are_added_up() -> None:
    """1,000 and 600 tokens at 2.50 a million are 0.004; at another price they are a line of their own."""
    sums = summed(
        [charge("gpt", 1000, 1), charge("code", 5, 1), charge("gpt", 600, 3), charge("gpt", 7, 1, price=3_000_000)]
    )
    assert [(each.product, each.quantity, each.requests, str(each.amount)) for each in sums] == [
        ("code", 5, 1, "0.000012500000"),
        ("gpt", 7, 1, "0.000021000000"),
        ("gpt", 1600, 4, "0.004000000000"),
    ]
