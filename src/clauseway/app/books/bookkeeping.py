"""Bookkeeping: what people tell the ledger (credits, disputes, invoices, payments).

Each voucher has an id of its author's: recording it again changes nothing, and recording something
else under the same id is refused. The rules of vouchers are the ledger's (`voucher_rules`); here
they meet the lake and the books.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar

import msgspec

from clauseway.app.books.audit_log import refuse_edited
from clauseway.app.books.basis import basis_of
from clauseway.app.books.settling import books_locked
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month
from clauseway.app.opening.priced_usage import charge_of, in_usd
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.ledger import (
    Conflict,
    Credit,
    Dispute,
    Due,
    Entry,
    Invoice,
    Payment,
    Rates,
    Resolution,
    Reversal,
    Reversed,
    Voucher,
    dues,
    invoice_of,
    payment_of,
    reversal_of,
)
from clauseway.ledger.invoices import open_invoices, open_lines
from clauseway.ledger.voucher_rules import (
    InvoiceRequest,
    day_sales,
    dispute_to_resolve,
    invoice_to_pay,
    invoiceable,
    left_of_day,
    payment_to_reverse,
    payments_before,
    read_amount,
    refuse_before,
    refuse_finer,
    refuse_several_places,
    refused,
    taken_back,
    voucher_day,
)
from clauseway.pricing import PriceTable
from clauseway.storage.books.books import Books
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.attempts import Selection, attempts
from clauseway.storage.usage.priced import revenue
from clauseway.values import (
    CENT,
    USD,
    Interval,
    InvalidInput,
    check_names,
    day_after,
    day_of,
    exact_sum,
    smallest_unit,
    start_of_day_ns,
)

_PICO = Decimal("0.000000000001")
# Read when the books are free: another process may change what a home holds before that.
HeldPrices = Callable[[], PriceTable]
_TakesBack = TypeVar("_TakesBack", Credit, Dispute)


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """The sale that a voucher names: one request, or a day's sales of one product on one cloud
    by one seller."""

    request: str = ""
    day: date | None = None
    seller: str = ""
    cloud: str = ""
    product: str = ""


class VoucherDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A credit or a dispute to book: its id, the sale, and the amount, by default all that is left
    of it. Without a day, it is dated today, or as it was when it was first booked."""

    id: str
    sold: Sold
    amount: str = ""
    day: date | None = None
    reason: str = ""


def credit(home: Home, prices: HeldPrices, draft: VoucherDraft) -> Credit:
    """Take a charge back, wholly or in part.

    Raise InvalidInput: no such sale, or less was charged.
    """
    return _book_taken_back(Credit, home, prices, draft)


def dispute(home: Home, prices: HeldPrices, draft: VoucherDraft) -> Dispute:
    """Dispute a charge: it leaves the base, and with it the cap, until the dispute is resolved.

    Raise InvalidInput.
    """
    return _book_taken_back(Dispute, home, prices, draft)


def _book_taken_back(
    kind: type[_TakesBack], home: Home, prices: HeldPrices, draft: VoucherDraft
) -> _TakesBack:
    """Book a voucher that takes a charge out of the base, wholly or in part."""
    with _books(home) as (lake, books):
        sale = _taken_back(lake, books, prices(), draft)
        dated = _dated_after_sale(books, draft.id, draft.day, sale)
        voucher = kind(id=draft.id, day=dated, reason=draft.reason, of=sale)
        _book(books, voucher, ())
    return voucher


def dispute_days(
    home: Home,
    prices: HeldPrices,
    claims: Mapping[str, Sold],
    day: date | None,
    reason: str,
) -> list[Dispute]:
    """Dispute what is left of days' sales, each by its id, all or none.

    Days of which nothing is left are skipped. Raise InvalidInput: nothing is left of any.
    """
    with _books(home) as (lake, books):
        vouchers, table = books.vouchers(), prices()
        opened: list[Dispute] = []
        for identity, sold in claims.items():
            with refusing_unpriced():
                sale = _day(lake, table, sold)
            # Credits, and other disputes of the day, have taken their part already.
            left = left_of_day(vouchers, identity, sale, sale.amount)
            if left > 0:
                dated = _dated_after_sale(books, identity, day, sale)
                of = msgspec.structs.replace(sale, amount=left)
                opened.append(Dispute(id=identity, day=dated, reason=reason, of=of))
        if not opened:
            raise refused(
                "nothing is left to dispute",
                "all that was charged is credited or in dispute",
                "List what is in dispute: clauseway books dispute list.",
            )
        try:
            books.book_together(opened, time.time_ns())
        except Conflict as error:
            raise _taken(error.identity, error) from None
    return opened


def resolve(
    home: Home, identity: str, disputed: str, *, upheld: bool, day: date | None, reason: str
) -> Resolution:
    """End a dispute: upheld, the charge stays out; rejected, it returns. Raise InvalidInput."""
    with _books(home) as (_, books):
        opened = dispute_to_resolve(books.vouchers(), identity, disputed)
        dated = _dated(books, identity, day)
        refuse_before(identity, dated, opened.day, f"{disputed} of {opened.day}")
        voucher = Resolution(id=identity, day=dated, reason=reason, dispute=disputed, upheld=upheld)
        _book(books, voucher, ())
    return voucher


def disputes(home: Home) -> list[tuple[Dispute, Resolution | None]]:
    """Return every dispute with its resolution, in the order in which they were recorded."""
    with _reading(home) as books:
        vouchers = books.vouchers()
    resolutions = {
        voucher.dispute: voucher for voucher in vouchers if isinstance(voucher, Resolution)
    }
    return [
        (voucher, resolutions.get(voucher.id))
        for voucher in vouchers
        if isinstance(voucher, Dispute)
    ]


def invoice(
    home: Home,
    period: str,
    payer: str,
    payee: str,
    day: date | None = None,
    identity: str = "",
    currency: str = "",
) -> Invoice:
    """Invoice what is owed through a closed month and not yet invoiced, in USD unless a currency is
    given. Where nothing is left, return the invoice that was written under this id.

    Each payment that the agreement names is a line with its own due day, however late it is
    invoiced. Raise InvalidInput: the month is open, nothing is owed, a term is not payable before
    its quarter ends, no rate; the invoice of this id is another than is asked for.
    """
    identity = identity or f"{payee}-{payer}-{period}"
    asked = InvoiceRequest(
        id=identity, payer=payer, payee=payee, month=month(period), day=day, currency=currency
    )
    through = asked.through
    with _books(home) as (_, books):
        owed = invoiceable(books.vouchers(), _dues(books), asked, books.open_since())
        # Nothing is owed beyond the invoice of this name.
        if isinstance(owed, Invoice):
            return owed
        # An invoice cannot be older than the month through which it asks.
        dated = _dated(books, identity, day)
        refuse_before(identity, dated, through, f"{through}, through which it asks")
        voucher, entry = invoice_of(
            identity=identity,
            payer=payer,
            payee=payee,
            day=dated,
            through=through,
            owed=owed,
            currency=currency or USD,
            rate=_rates(home).at(dated, USD, currency or USD),
        )
        _book(books, voucher, (entry,))
    return voucher


def pay(
    home: Home,
    identity: str,
    invoice_id: str,
    amount: str,
    day: date | None = None,
    currency: str = "",
) -> Payment:
    """Record a payment on an invoice; without an amount, of all that is open.

    Raise InvalidInput.
    """
    with _books(home) as (_, books):
        vouchers = books.vouchers()
        claim = invoice_to_pay(vouchers, invoice_id)
        before = payments_before(vouchers, identity)
        into, dated = currency or claim.currency, _dated(books, identity, day)
        refuse_before(identity, dated, claim.day, f"{claim.id} of {claim.day}")
        whole = abs(exact_sum(open_lines(claim, before).values()))
        if not amount and into != claim.currency:
            raise refused(
                "no amount",
                "what arrived is not in the invoice's currency",
                "Say what arrived: --amount.",
            )
        # A payment in hundredths of a yen, as homes of before recorded it, may be recorded again.
        finest = min(CENT, smallest_unit(into))
        paid = read_amount(amount, finest) if amount else whole
        same = next((item for item in vouchers if item.id == identity), None)
        asked = (invoice_id, paid, into, dated)
        # Recorded again, a payment stands as it was booked, whatever rates and rules came since.
        if isinstance(same, Payment) and asked == (
            same.invoice,
            abs(same.amount),
            same.currency,
            same.day,
        ):
            return same
        if amount:
            refuse_finer(paid, into)
        voucher, entry = payment_of(
            identity=identity,
            invoice=claim,
            before=before,
            day=dated,
            amount=paid,
            currency=into,
            rate=_rates(home).at(dated, into, claim.currency),
            citations={due.term: due.citation for due in _dues(books)},
        )
        _book(books, voucher, (entry,))
    return voucher


def reverse(
    home: Home, identity: str, payment: str, day: date | None = None, reason: str = ""
) -> tuple[Reversal, Payment]:
    """Take a payment back: what it settled is open again.

    Raise InvalidInput: no such payment, or reversed before.
    """
    with _books(home) as (_, books):
        standing = payment_to_reverse(books.vouchers(), identity, payment)
        dated = _dated(books, identity, day)
        refuse_before(identity, dated, standing.day, f"{standing.id} of {standing.day}")
        # A payment has one entry, among those of its invoice.
        [paid] = [
            entry
            for entry in books.control.entries(f"invoice|{standing.invoice}")
            if entry.id == f"payment|{payment}"
        ]
        voucher, entry = reversal_of(
            identity=identity, payment=standing, paid=paid, day=dated, reason=reason
        )
        _book(books, voucher, (entry,))
    return voucher, standing


def invoices(home: Home) -> list[tuple[Invoice, Decimal]]:
    """Return the invoices with what is open of each, in its currency."""
    with _reading(home) as books:
        return open_invoices(books.vouchers())


def _taken_back(lake: Lake, books: Books, prices: PriceTable, draft: VoucherDraft) -> Reversed:
    """Return the sale that is taken back, with its event time and the amount taken back of it."""
    sold = draft.sold
    with refusing_unpriced():
        if sold.request:
            sale, charged = _request(lake, prices, sold)
            day_charged = _charged_on(lake, prices, sale)
        else:
            sale = _day(lake, prices, sold)
            charged = day_charged = sale.amount
    return taken_back(
        books.vouchers(),
        draft.id,
        sale,
        charged=charged,
        day_charged=day_charged,
        wanted=read_amount(draft.amount, _PICO) if draft.amount else None,
    )


def _request(lake: Lake, prices: PriceTable, sold: Sold) -> tuple[Reversed, Decimal]:
    """Return a request as a sale to take back, and what its attempts were charged."""
    # The id alone would search every file of the lake; a day spares that.
    days = Interval(date.min) if sold.day is None else Interval(sold.day, day_after(sold.day))
    selection = Selection(
        days=days,
        request_id=sold.request,
        seller=sold.seller,
        cloud=sold.cloud,
        product=sold.product,
    )
    sales = [
        Reversed(
            event_ns=attempt.event_ns,
            seller=attempt.seller,
            cloud=attempt.cloud,
            product=attempt.product,
            amount=in_usd(charge_of(attempt, prices), day_of(attempt.event_ns), prices),
            request=sold.request,
        )
        for attempt in attempts(lake, selection)
    ]
    if not sales:
        raise refused(
            f"no request {sold.request} was charged", "none is sealed in the lake", "Check its id."
        )
    # One attempt stands for all, with the whole charge, so all must have been made at one place.
    refuse_several_places(sold.request, sales)
    charged = exact_sum(sale.amount for sale in sales)
    return msgspec.structs.replace(sales[-1], amount=charged), charged


def _day(lake: Lake, prices: PriceTable, sold: Sold) -> Reversed:
    """Return a day's sales as one sale to take back, with what they were charged."""
    if sold.day is None or not (sold.seller and sold.cloud and sold.product):
        remedy = "Write --request ID, or --sold-on, --seller, --cloud and --product."
        raise refused("no sale is named", "a charge is taken back where it was made", remedy)
    # A day's sales are taken back at its last instant: after everything they could follow.
    event_ns = start_of_day_ns(day_after(sold.day)) - 1
    sale = Reversed(
        event_ns=event_ns,
        seller=sold.seller,
        cloud=sold.cloud,
        product=sold.product,
        amount=Decimal(0),
    )
    return msgspec.structs.replace(sale, amount=_charged_on(lake, prices, sale))


def _charged_on(lake: Lake, prices: PriceTable, sale: Reversed) -> Decimal:
    """Return what all sales of a sale's day, seller, cloud and product were charged, in USD."""
    day, *place = day_sales(sale)
    lines = revenue(lake, prices, Interval(day, day_after(day)), product=sale.product)
    return exact_sum(
        line.amount for line in lines if [line.seller, line.cloud, line.product] == place
    )


def _dues(books: Books) -> list[Due]:
    """Return what is due for each closed period, oldest first."""
    return [due for closed in books.closed() for due in dues(books.settlement(closed.receipt))]


def _rates(home: Home) -> Rates:
    """Return the rates that the home holds."""
    return basis_of(home).rates or Rates(source="basis")


def _book(books: Books, voucher: Voucher, entries: Iterable[Entry]) -> None:
    check_names({"--id": voucher.id})
    try:
        books.book(voucher, entries, time.time_ns())
    except Conflict as error:
        raise _taken(voucher.id, error) from None


def _taken(identity: str, error: Conflict) -> InvalidInput:
    remedy = (
        "Give this one an id of its own. To change what was told, tell the opposite by another id."
    )
    return refused(f"{identity!r} is taken", str(error), remedy)


@contextmanager
def _books(home: Home) -> Iterator[tuple[Lake, Books]]:
    """Seal usage, then open the lake and its books for a voucher, unless somebody edited them."""
    seal(home)
    with books_locked(home), open_lake(home) as lake:
        refuse_edited(lake.control)
        yield lake, Books(lake.control)


@contextmanager
def _reading(home: Home) -> Iterator[Books]:
    with open_control(home) as control:
        yield Books(control)


def _dated(books: Books, identity: str, day: date | None) -> date:
    return voucher_day(books.vouchers(), identity, day, datetime.now(UTC).date())


def _dated_after_sale(books: Books, identity: str, day: date | None, sale: Reversed) -> date:
    """Return the day of a voucher that takes a sale back.

    Raise InvalidInput where it lies before the sale.
    """
    dated, sold = _dated(books, identity, day), day_of(sale.event_ns)
    refuse_before(identity, dated, sold, f"the sale of {sold}")
    return dated
