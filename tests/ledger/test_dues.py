"""One amount due, whoever shows it: laws over random histories of months that are settled, closed, invoiced and paid.

A history is six months of sales, each known in the month it was made or late; every month is settled on what is known
by then, takes what came late for closed ones, and is closed. Some months are invoiced, some invoices are paid.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal as D

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from share_tables import cited, month, settled, share, sold

from clauseway.agreement.language.shares import Floor, PaymentTerm, RevenueShare, Tier
from clauseway.app.reports.statements import statement_context
from clauseway.exchange.statement_csv import statement_csv
from clauseway.ledger import (
    Entry,
    Invoice,
    Payment,
    RevenueLine,
    Settlement,
    accruals,
    balances,
    corrected,
    dues,
    invoice_of,
    late,
    payment_of,
    read_assumptions,
    references,
    reversal_of,
    statement_of,
    summary_of,
    uncounted,
)
from clauseway.ledger.forecast import assumed_growth, forecast
from clauseway.ledger.invoices import open_lines, owed_through
from clauseway.ledger.vouchers import Voucher, standing_payments
from clauseway.values import exact_sum
from clauseway.web.documents import statement_html

MONTHS = [month(f"2026-0{number}") for number in range(1, 7)]
NO_GROWTH = assumed_growth(D(0), D(0), D(0))
LATER = date(2027, 1, 1)


class History:
    """The books of one agreement, month after month."""

    def __init__(self, of: Sequence[RevenueShare]) -> None:
        self.of = of
        self.closed: list[Settlement] = []
        self.restatements: list[Settlement] = []
        self.entries: list[Entry] = []
        self.vouchers: list[Voucher] = []

    def close(self, number: int, known: Sequence[RevenueLine]) -> Settlement:
        days = MONTHS[number]
        changes = [change for settlement in self.closed for change in settlement.corrections]
        changes += [change for restatement in self.restatements for change in restatement.changes]
        late_changes = []
        for closed in self.closed:
            before = [again for again in self.restatements if again.period == closed.period]
            late_changes.append(late(closed, before, changes, settled(known, closed.period, *self.of)))
        self.restatements += [change.restatement for change in late_changes if change.restatement is not None]
        open_ = settled(known, days, *self.of)
        if late_changes:
            corrections = [change for result in late_changes for change in result.corrections]
            receipts = [item.receipt for item in self.closed]
            restated = uncounted(map(summary_of, self.closed), map(summary_of, self.restatements))
            open_ = corrected(open_, corrections, receipts, restated)
        for settlement in [*(change.restatement for change in late_changes), open_]:
            if settlement is not None:
                begins = references(settlement.period)
                posted = [entry for entry in self.entries if entry.reference.startswith(begins)]
                self.entries += accruals(settlement, posted)
        self.closed.append(open_)
        return open_

    def invoice(self, number: int) -> Invoice | None:
        through = MONTHS[number].end - timedelta(days=1)
        due = [due for each in self.closed for due in dues(each)]
        done = [voucher for voucher in self.vouchers if isinstance(voucher, Invoice)]
        owed = owed_through(due, done, "maker", "host", through)
        if not owed:
            return None
        invoice, entry = invoice_of(
            identity=f"i-{number}", payer="maker", payee="host", day=through, through=through, owed=owed
        )
        self.vouchers.append(invoice)
        self.entries.append(entry)
        return invoice

    def pay(self, invoice: Invoice, part: int, *, returned: bool) -> None:
        left = exact_sum(open_lines(invoice, standing_payments(self.vouchers)).values())
        amount = (abs(left) * part / 100).quantize(D("0.01"))
        if not amount or amount > abs(left):
            return
        payment, entry = payment_of(
            identity=f"p-{len(self.vouchers)}",
            invoice=invoice,
            before=standing_payments(self.vouchers),
            day=invoice.day,
            amount=amount,
            currency="USD",
            rate=1,  # type: ignore[arg-type]
            citations={share.term: cited(share.term) for share in self.of},
        )
        self.vouchers.append(payment)
        self.entries.append(entry)
        if returned:
            reversal, back = reversal_of(
                identity=f"r-{payment.id}", payment=payment, paid=entry, day=invoice.day, reason=""
            )
            self.vouchers.append(reversal)
            self.entries.append(back)

    def payable(self, name: str) -> D:
        amounts = balances(self.entries)
        return -exact_sum(
            amount
            for account, amount in amounts.items()
            if (account.party, account.kind, account.name) == ("maker", "payable", name)
        )


TERMS = st.sampled_from(
    [
        (share(),),
        (share(late="restatement", payment=PaymentTerm(due_days=30), withholding="10 %"),),
        (share(cap="USD 400", late="restatement"),),
        (share(tiers=(Tier(above="USD 900", rate="10 %"),), payment=PaymentTerm(every="quarter", due_days=45)),),
        (share(floors=(Floor(amount="USD 50", per="month"), Floor(amount="USD 180", per="quarter"))),),
        (
            share("A1.share", late="restatement", payment=PaymentTerm(due_days=10)),
            share("B1.share", rate="7.5 %", withholding="5 %", cap="USD 90"),
        ),
        (share("A1.share", end=date(2026, 3, 15)), share("A2.share", begin=date(2026, 3, 15), rate="30 %")),
    ]
)
CENTS = st.integers(-20_000, 90_000).map(lambda units: str(D(units).scaleb(-2)))
# month of the sale, day, how many months late it is known, amount
SALES = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 28), st.integers(0, 3), CENTS, st.sampled_from(["own", "rented"])),
    min_size=1,
    max_size=14,
)
# which months are invoiced; which part of each invoice is paid, in percent; whether the payment comes back
BOOKED = st.lists(st.tuples(st.booleans(), st.integers(0, 100), st.booleans()), min_size=6, max_size=6)


def lived(
    of: Sequence[RevenueShare],
    sales: Sequence[tuple[int, int, int, str, str]],
    booked: Sequence[tuple[bool, int, bool]],
) -> History:
    history = History(of)
    for number, (is_invoiced, part, returned) in enumerate(booked):
        known = [
            sold(f"{at:02}-{day:02}", amount, cloud=cloud)
            for at, day, lag, amount, cloud in sales
            if at + lag <= number + 1
        ]
        history.close(number, known)
        invoice = history.invoice(number) if is_invoiced else None
        if invoice is not None:
            history.pay(invoice, part, returned=returned)
    return history


@given(TERMS, SALES, BOOKED)
@settings(max_examples=60, deadline=None)
def test_every_face_of_every_month_says_the_same(
    of: Sequence[RevenueShare],
    sales: list[tuple[int, int, int, str, str]],
    booked: list[tuple[bool, int, bool]],
) -> None:
    history = lived(of, sales, booked)
    for closed in history.closed:
        for party in ("", "maker", "host"):
            statement = statement_of(closed, party)
            whole = exact_sum(each.total for each in statement.directions)
            rows = list(csv.DictReader(io.StringIO(statement_csv(statement))))
            html = re.sub(r"<[^>]+>", " ", statement_html(statement_context(statement)))
            assert exact_sum(each.amount for each in dues(closed)) == whole
            assert exact_sum(each.amount for each in statement.dues) == whole
            assert exact_sum(each.amount for each in statement.lines) == whole
            assert exact_sum(D(row["amount_usd"]) for row in rows) == whole
            assert exact_sum(each.paid + each.withheld for each in statement.dues) == whole
            printed = re.findall(r"maker owes host\s+(-?[\d.,]+)", html)
            assert not printed or D(printed[0].replace(",", "")) == whole
        for due in dues(closed):
            assert due.share + due.corrections + due.restated == due.amount
            assert (due.due is None) == (next(each for each in of if each.term == due.term).payment is None)


@given(TERMS, SALES, BOOKED)
@settings(max_examples=60, deadline=None)
def test_what_is_due_is_invoiced_once_and_the_books_agree(
    of: Sequence[RevenueShare],
    sales: list[tuple[int, int, int, str, str]],
    booked: list[tuple[bool, int, bool]],
) -> None:
    history = lived(of, sales, booked)
    due = exact_sum(due.amount for each in history.closed for due in dues(each))
    invoices = [voucher for voucher in history.vouchers if isinstance(voucher, Invoice)]
    asked = exact_sum(line.owed for item in invoices for line in item.lines)
    paid = standing_payments(history.vouchers)
    assert exact_sum((due, -asked)) == history.payable("revenue-share")
    open_ = exact_sum(left for item in invoices for left in open_lines(item, paid).values())
    assert exact_sum((asked, -exact_sum(payment.amount for payment in paid))) == open_ == history.payable("invoiced")
    assert history.payable("withholding") == exact_sum(payment.withheld for payment in paid)
    for invoice in invoices:
        assert invoice.total == exact_sum(line.owed for line in invoice.lines)
        for line in invoice.lines:
            assert exact_sum((*(part.amount for part in line.parts), -line.invoiced_before)) == line.owed
            terms = next(each for each in of if each.term == line.term).payment
            assert line.due == (line.through + timedelta(days=terms.due_days) if terms and line.through else None)
    # An invoice at the end takes what is left, and then nothing is.
    history.invoice(5)
    assert all(share.payment is not None and share.payment.every == "quarter" for share in of) or (
        history.payable("revenue-share") == 0
    )
    assert history.invoice(5) is None


@given(TERMS, SALES)
@settings(max_examples=40, deadline=None)
def test_a_forecast_goes_on_from_what_is_due(
    of: Sequence[RevenueShare], sales: list[tuple[int, int, int, str, str]]
) -> None:
    history = lived(of, sales, [(False, 0, False)] * 6)
    result = forecast(history.closed, of, read_assumptions((), {}), through=2026, known_at=LATER, growth=NO_GROWTH)
    for outlook in result.outlooks:
        due = [each for month_ in history.closed for each in dues(month_) if each.term == outlook.term]
        assert outlook.settled == exact_sum(each.amount for each in due)
        assert exact_sum(year.settled for year in outlook.years) == outlook.settled
        assert exact_sum(year.due.mid for year in outlook.years) == outlook.months[-1].due.mid
        assert exact_sum(year.saved.mid for year in outlook.years) == exact_sum(
            (outlook.months[-1].uncapped.mid, -outlook.months[-1].due.mid)
        )
        assert outlook.cap is not None or outlook.saved == 0


RATES = st.sampled_from(["10 %", "20 %", "35 %"])


@given(RATES, RATES, st.lists(st.integers(1, 90_000), min_size=1, max_size=4), st.sampled_from(["", "USD 150"]))
@settings(max_examples=40, deadline=None)
def test_another_rate_ahead_leaves_the_settled_months_as_they_are(
    before: str, ahead: str, cents: list[int], cap: str
) -> None:
    lines = [sold(f"{number:02}-17", str(D(units).scaleb(-2))) for number, units in enumerate(cents, 1)]
    was, will = share(rate=before, cap=cap), share(rate=ahead, cap=cap)
    past = [settled([line for line in lines if line.event_day < days.end], days, was) for days in MONTHS[: len(lines)]]
    outlooks = [
        forecast(past, [share], read_assumptions((), {}), through=2026, known_at=LATER, growth=NO_GROWTH).outlooks[0]
        for share in (was, will)
    ]
    same, other = outlooks
    assert (other.settled, other.saved, other.remaining) == (same.settled, same.saved, same.remaining)
    settled_months = [[month for month in each.months if month.is_settled] for each in outlooks]
    assert settled_months[0] == settled_months[1]
    assert exact_sum(year.due.mid for year in other.years) == other.months[-1].due.mid
    if not cap:
        # On top of what was settled, each further month's base at the other rate.
        base = lines[-1].amount * (12 - len(lines))
        rate = D(ahead.removesuffix(" %")) / 100
        more = other.months[-1].due.mid - other.settled
        assert abs(more - base * rate) <= D("0.01")


def test_a_restatement_is_due_with_the_month_that_brings_it() -> None:
    """January is closed at 20.00. In March 50.00 more of January are known: 10.00, due 30 days after 31 March.

    A tenth is withheld of all that is due, and so of the restated amount too.
    """
    of = share(late="restatement", payment=PaymentTerm(due_days=30), withholding="10 %")
    history = History([of])
    january, more = sold("01-10", "100.00"), sold("01-20", "50.00")
    for number, known in enumerate(([january], [january], [january, more])):
        history.close(number, known)
    sentences = [
        [(str(due.share), str(due.restated), str(due.withheld), due.due) for due in dues(each)]
        for each in history.closed
    ]
    assert sentences == [
        [("20.00", "0.00", "2.00", date(2026, 3, 2))],
        [("0.00", "0.00", "0.00", date(2026, 3, 30))],
        [("0.00", "10.00", "1.00", date(2026, 4, 30))],
    ]
    # Amounts counted once are not due again, and a second change counts from the first.
    history.close(3, [january, more])
    history.close(4, [january, msgspec.structs.replace(more, amount=D("60.00"))])
    assert [str(due.restated) for each in history.closed[3:] for due in dues(each)] == ["0.00", "2.00"]
    assert isinstance(history.invoice(4), Invoice)
    assert not any(isinstance(voucher, Payment) for voucher in history.vouchers)
