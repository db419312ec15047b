"""How far a closed month has come, where its terms are paid by the month and by the quarter."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import pytest

from clauseway.agreement.language.shares import PaymentTerm, RevenueShare, ShareBase
from clauseway.app.books.month_states import CLOSED, INVOICED, PAID, month_state
from clauseway.app.books.settled import SettledMonth, settled_month
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.ledger import Inputs, Invoice, RevenueLine, Settlement, dues, invoice_of, read_assumptions, settle
from clauseway.ledger.invoices import owed_through
from clauseway.ledger.vouchers import InvoiceLine
from clauseway.values import Citation, Interval

CITED = Citation(term="A1", amendment="A1", document="A1.md", line=7, source="T", text="what it says")
CATALOG = Catalog(
    parties=frozenset({"maker", "host"}),
    clouds=frozenset({"rented"}),
    operators={"rented": "host"},
    segments=frozenset({"any"}),
    classes={"api": ProductClass(id="api")},
    products={"chat": Product(id="chat", product_class="api")},
)
INPUTS = Inputs(agreement="a", price_book="b", batches=("one",), known_at="everything", engine="test")
QUARTER = ("2026-04", "2026-05", "2026-06")


def share(every: str) -> RevenueShare:
    return RevenueShare(
        term=f"A1.by-{every}",
        payer="maker",
        payee="host",
        rate="20 %",
        cap="",
        begin=date(2026, 1, 1),
        end=date(2031, 1, 1),
        base=ShareBase(sellers=frozenset({"maker"})),
        citation=CITED,
        payment=PaymentTerm(every=every, due_days=30),
    )


def days(period: str) -> Interval:
    begin = date.fromisoformat(f"{period}-01")
    return Interval(begin, begin.replace(month=begin.month + 1))


def settled(period: str) -> Settlement:
    """20 % of 100.00 is due each month under either term."""
    sold = [
        RevenueLine(event_day=days(each).begin, seller="maker", cloud="rented", product="chat", amount=D(100))
        for each in QUARTER
    ]
    return settle(
        period=days(period),
        shares=[share("month"), share("quarter")],
        revenue=sold,
        catalog=CATALOG,
        assumptions=read_assumptions([], {}),
        inputs=INPUTS,
    )


def invoiced(*through: str) -> list[Invoice]:
    """An invoice through each of these months."""
    due = [item for period in QUARTER for item in dues(settled(period))]
    invoices: list[Invoice] = []
    for period in through:
        last = days(period).end - date.resolution
        owed = owed_through(due, invoices, "maker", "host", last)
        invoice, _ = invoice_of(identity=period, payer="maker", payee="host", day=last, through=last, owed=owed)
        invoices.append(invoice)
    return invoices


# Invoices through, and which of them are paid → how far April has come
STATES: list[tuple[Sequence[str], Sequence[str], str]] = [
    ([], [], CLOSED),
    # A share paid by the quarter is claimed in June.
    (["2026-04"], [], CLOSED),
    (["2026-04"], ["2026-04"], CLOSED),
    (["2026-04", "2026-06"], ["2026-04"], INVOICED),
    (["2026-04", "2026-06"], ["2026-04", "2026-06"], PAID),
    (["2026-06"], ["2026-06"], PAID),
]


# The open amount of each direction's invoice, None where nothing is owed → the month's state: that of its last one.
DIRECTIONS = [
    ([D("0.00"), D("0.00")], PAID),
    ([D("0.00"), D("1.00")], INVOICED),
    ([D("1.00"), D("0.00")], INVOICED),
    ([D("0.00"), None], PAID),
    ([None, None], CLOSED),
]


@pytest.mark.parametrize(("unpaid", "state"), DIRECTIONS)
def test_a_month_has_come_as_far_as_its_last_direction(unpaid: Sequence[D | None], state: str) -> None:
    pairs = (("maker", "host"), ("host", "maker"))
    totals = tuple(
        (*pair, D("20.00") if left is not None else D("0.00")) for pair, left in zip(pairs, unpaid, strict=True)
    )
    month = SettledMonth(receipt="r", digest="d", totals=totals, dues=())
    claims = [
        (
            Invoice(
                id=f"{payee}-1",
                day=date(2026, 5, 2),
                payer=payer,
                payee=payee,
                through=date(2026, 4, 30),
                currency="USD",
                rate="1",
                lines=(InvoiceLine(term="A1", owed=D(20), amount=D(20), withheld=D(0), due=None),),
            ),
            left,
        )
        for (payer, payee), left in zip(pairs, unpaid, strict=True)
        if left is not None
    ]
    assert month_state("2026-04", month, claims, is_closed=True).state == state
    # An invoice of an older home claims the month through which it asks, and no other.
    [first, *_] = month_state("2026-03", month, claims, is_closed=True).owed
    assert first.invoices == ()


@pytest.mark.parametrize(("through", "paid", "state"), STATES)
def test_a_month_is_paid_once_all_that_it_owes_is_claimed_and_paid(
    through: Sequence[str], paid: Sequence[str], state: str
) -> None:
    claims = [(invoice, D("0.00") if invoice.id in paid else invoice.total) for invoice in invoiced(*through)]
    april = month_state("2026-04", settled_month(settled("2026-04")), claims, is_closed=True)
    assert april.state == state
    [owed] = april.owed
    assert owed.unclaimed == (D("0.00") if "2026-06" in through else D("20.00") if through else D("40.00"))
