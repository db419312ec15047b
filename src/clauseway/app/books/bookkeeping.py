"""Bookkeeping: what people tell the ledger (credits, disputes, invoices, payments), and the journal as they read it.

Each is told by an id of the teller's: telling it again changes nothing, and telling something else by it is refused.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from clauseway.app.books.audit_log import refuse_edited
from clauseway.app.books.basis import basis_of
from clauseway.app.books.handing_over import unpriced
from clauseway.app.books.sealing import open_lake, seal
from clauseway.app.books.settling import month, one_at_a_time
from clauseway.app.opening.charges import charge_of, in_usd
from clauseway.app.opening.home import Home
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
from clauseway.ledger.invoices import open_lines, owed_through
from clauseway.ledger.vouchers import standing_payments
from clauseway.pricing import PriceTable, UnknownPrice
from clauseway.storage.books.books import Books
from clauseway.storage.control import journal
from clauseway.storage.control.journal import Leg
from clauseway.storage.lake.attempts import Selection, attempts
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.usage import revenue
from clauseway.values import (
    CENT,
    USD,
    BadNumber,
    Interval,
    InvalidInput,
    Problem,
    check_names,
    day_after,
    day_of,
    exact_sum,
    read_decimal,
    start_of_day_ns,
)

_PICO = Decimal("0.000000000001")


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """Which sale is meant: one request, or a day's sales of one product on one cloud by one seller."""

    request: str = ""
    day: date | None = None
    seller: str = ""
    cloud: str = ""
    product: str = ""


class Balanced(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of the journal with the running balance of its account after it."""

    leg: Leg
    balance: Decimal


def credit(
    home: Home,
    prices: PriceTable,
    told: str,
    sold: Sold,
    amount: str,
    day: date | None,
    reason: str,
) -> Credit:
    """Take a charge back, wholly or in part. Raises InvalidInput: no such sale, or less was charged."""
    with _books(home) as (lake, books):
        of = _reversed(lake, books, prices, told, sold, amount)
        voucher = Credit(id=told, day=_dated_after_sale(books, told, day, of), reason=reason, of=of)
        _book(books, voucher, ())
    return voucher


def dispute(
    home: Home,
    prices: PriceTable,
    told: str,
    sold: Sold,
    amount: str,
    day: date | None,
    reason: str,
) -> Dispute:
    """Dispute a charge: it leaves the base, and with it the cap, until the dispute is resolved. Raises InvalidInput."""
    with _books(home) as (lake, books):
        of = _reversed(lake, books, prices, told, sold, amount)
        voucher = Dispute(
            id=told, day=_dated_after_sale(books, told, day, of), reason=reason, of=of
        )
        _book(books, voucher, ())
    return voucher


def resolve(
    home: Home, told: str, disputed: str, *, upheld: bool, day: date | None, reason: str
) -> Resolution:
    """End a dispute: upheld, the charge stays out; rejected, it returns. Raises InvalidInput."""
    with _books(home) as (_, books):
        before = books.vouchers()
        opened = next(
            (one for one in before if isinstance(one, Dispute) and one.id == disputed), None
        )
        if opened is None:
            raise _refused(
                f"no dispute is called {disputed!r}",
                "nobody recorded it here",
                "List them: dispute list.",
            )
        done = next(
            (one for one in before if isinstance(one, Resolution) and one.dispute == disputed), None
        )
        if done is not None and done.id != told:
            how = "upheld" if done.upheld else "rejected"
            raise _refused(
                f"{disputed} is resolved",
                f"{done.id} {how} it",
                "Record a credit instead, if one is due.",
            )
        dated = _dated(books, told, day)
        _refuse_before(told, dated, opened.day, f"{disputed} of {opened.day}")
        voucher = Resolution(id=told, day=dated, reason=reason, dispute=disputed, upheld=upheld)
        _book(books, voucher, ())
    return voucher


def disputes(home: Home) -> list[tuple[Dispute, Resolution | None]]:
    """Every dispute with how it ended, in the order in which they were recorded."""
    with _reading(home) as books:
        told = books.vouchers()
    ended = {one.dispute: one for one in told if isinstance(one, Resolution)}
    return [(one, ended.get(one.id)) for one in told if isinstance(one, Dispute)]


def invoice(
    home: Home,
    period: str,
    payer: str,
    payee: str,
    day: date | None = None,
    told: str = "",
    currency: str = USD,
) -> Invoice:
    """Invoice what is owed through a closed month and not yet invoiced. Again, where nothing is left, the same.

    Each payment that the agreement names is a line with its own due day, however late it is invoiced. Raises
    InvalidInput: the month is open, nothing is owed, a term is not payable before its quarter ends, no rate.
    """
    days = month(period)
    through = days.end - timedelta(days=1)
    identity = told or f"{payee}-{payer}-{period}"
    with _books(home) as (_, books):
        since = books.open_since()
        if since is None or days.end > since:
            todo = f"Close it first: clauseway close {period}."
            raise _refused(f"{period} is open", "what it owes may change until it is closed", todo)
        done = [one for one in books.vouchers() if isinstance(one, Invoice)]
        same = next((one for one in done if one.id == identity), None)
        later = [
            one
            for one in done
            if (one.payer, one.payee) == (payer, payee) and one.through > through
        ]
        if later and same is None:
            why = f"{later[-1].id} is through {later[-1].through} and has all that was owed then"
            todo = "What came since is in the next invoice of a later month."
            raise _refused(f"{period} is invoiced", why, todo)
        due = _dues(books)
        owed = owed_through(due, done, payer, payee, through) if not later else []
        if same is not None and not owed:
            return same
        if not owed:
            waiting = [
                one
                for one in due
                if (one.payer, one.payee) == (payer, payee) and one.last_day <= through
            ]
            quarterly = dict.fromkeys(
                one.term for one in waiting if one.through > through and one.amount
            )
            why = (
                f"{', '.join(quarterly)} is payable by the quarter"
                if quarterly
                else "all that is owed is invoiced"
            )
            todo = (
                "Invoice the last month of the quarter." if quarterly else "Nothing is left to do."
            )
            raise _refused(f"nothing to invoice {payer} for {period}", why, todo)
        if same is not None:
            todo = "Give the further invoice an id of its own with --id."
            raise _refused(
                f"invoice {identity} was written before", "more is owed since, by corrections", todo
            )
        dated = _dated(books, identity, day)
        _refuse_before(identity, dated, through, f"{through}, through which it asks")
        rate = _rates(home).at(dated, USD, currency)
        voucher, entry = invoice_of(
            identity=identity,
            payer=payer,
            payee=payee,
            day=dated,
            through=through,
            owed=owed,
            currency=currency,
            rate=rate,
        )
        _book(books, voucher, (entry,))
    return voucher


def pay(
    home: Home,
    told: str,
    invoice_id: str,
    amount: str,
    day: date | None = None,
    currency: str = "",
) -> Payment:
    """Record a payment on an invoice; without an amount, of all that is open. Raises InvalidInput."""
    with _books(home) as (_, books):
        vouchers = books.vouchers()
        found = next(
            (one for one in vouchers if isinstance(one, Invoice) and one.id == invoice_id), None
        )
        if found is None:
            known = ", ".join(one.id for one in vouchers if isinstance(one, Invoice)) or "none"
            raise _refused(
                f"no invoice is called {invoice_id!r}",
                "it was not written here",
                f"Known: {known}.",
            )
        same = next((one for one in vouchers if one.id == told), None)
        before = standing_payments(vouchers if same is None else vouchers[: vouchers.index(same)])
        into, dated = currency or found.currency, _dated(books, told, day)
        _refuse_before(told, dated, found.day, f"{found.id} of {found.day}")
        whole = abs(exact_sum(open_lines(found, before).values()))
        if not amount and into != found.currency:
            raise _refused(
                "no amount",
                "what arrived is not in the invoice's currency",
                "Say what arrived: --amount.",
            )
        voucher, entry = payment_of(
            identity=told,
            invoice=found,
            before=before,
            day=dated,
            amount=_amount(amount, CENT) if amount else whole,
            currency=into,
            rate=_rates(home).at(dated, into, found.currency),
            citations={one.term: one.citation for one in _dues(books)},
        )
        _book(books, voucher, (entry,))
    return voucher


def reverse(
    home: Home, told: str, payment: str, day: date | None = None, reason: str = ""
) -> tuple[Reversal, Payment]:
    """Take a payment back: what it settled is open again. Raises InvalidInput: no such payment, or reversed before."""
    with _books(home) as (_, books):
        vouchers = books.vouchers()
        found = next(
            (one for one in vouchers if isinstance(one, Payment) and one.id == payment), None
        )
        if found is None:
            known = ", ".join(one.id for one in standing_payments(vouchers)) or "none"
            raise _refused(
                f"no payment is called {payment!r}", "it was not recorded here", f"Known: {known}."
            )
        done = next(
            (one for one in vouchers if isinstance(one, Reversal) and one.payment == payment), None
        )
        if done is not None and done.id != told:
            todo = "Record a payment of its own, if money came again."
            raise _refused(f"{payment} is reversed", f"{done.id} did it", todo)
        dated = _dated(books, told, day)
        _refuse_before(told, dated, found.day, f"{found.id} of {found.day}")
        [paid] = [
            one
            for one in books.control.entries(f"invoice|{found.invoice}")
            if one.id == f"payment|{payment}"
        ]
        voucher, entry = reversal_of(
            identity=told, payment=found, paid=paid, day=dated, reason=reason
        )
        _book(books, voucher, (entry,))
    return voucher, found


def invoices(home: Home) -> list[tuple[Invoice, Decimal]]:
    """The invoices with what is open of each, in its currency."""
    with _reading(home) as books:
        told = books.vouchers()
    paid = standing_payments(told)
    return [
        (one, exact_sum(open_lines(one, paid).values())) for one in told if isinstance(one, Invoice)
    ]


def journal_of(
    home: Home, party: str = "", period: str = "", account: str = ""
) -> Iterator[Balanced]:
    """The journal's legs in order, each with its account's balance after it: all, or one party's, month's, account's.

    The balance counts everything that came before, shown or not.
    """
    days = month(period) if period else None
    balances: dict[tuple[object, str], Decimal] = {}
    with _reading(home) as books, books.control.reading() as connection:
        for leg in journal.legs_of(connection, party=party, name=account):
            posting = leg.posting
            key = posting.account, posting.currency
            balances[key] = exact_sum((balances.get(key, Decimal(0)), posting.amount))
            if days is None or leg.day in days:
                yield Balanced(leg=leg, balance=balances[key])


def _reversed(
    lake: Lake, books: Books, prices: PriceTable, told: str, sold: Sold, amount: str
) -> Reversed:
    """The sale that is taken back, with its event time. No more of it than was charged and not taken back before.

    INVARIANT: what stands of credits and disputes never exceeds what was charged, neither for a request nor for the
    sales of its day, whichever of the two they name.
    """
    try:
        found, charged = _request(lake, prices, sold) if sold.request else _day(lake, prices, sold)
        day_charged = _charged_on(lake, prices, found)
    except UnknownPrice as error:
        raise unpriced(error) from None
    standing = [one.of for one in _standing(books.vouchers()) if one.id != told]
    of_day = [one for one in standing if _sales_of(one) == _sales_of(found)]
    taken = exact_sum(
        one.amount for one in of_day if not found.request or one.request == found.request
    )
    left = charged - taken
    if found.request:
        day_left = day_charged - exact_sum(one.amount for one in of_day)
        if day_left < left:
            taken, left = charged - day_left, day_left
    wanted = _amount(amount, _PICO) if amount else left
    if wanted > left or left <= 0:
        why = f"{charged.normalize():f} USD was charged, and {taken.normalize():f} of it was taken back before"
        raise _refused(
            f"{wanted.normalize():f} USD is more than is left of that sale",
            why,
            "Take back what is left.",
        )
    return msgspec.structs.replace(found, amount=wanted)


def _standing(vouchers: Iterable[Voucher]) -> list[Credit | Dispute]:
    told = list(vouchers)
    rejected = {one.dispute for one in told if isinstance(one, Resolution) and not one.upheld}
    return [one for one in told if isinstance(one, Credit | Dispute) and one.id not in rejected]


def _sales_of(one: Reversed) -> tuple[date, str, str, str]:
    """The day's sales that a reversal is of: day, seller, cloud, product."""
    return day_of(one.event_ns), one.seller, one.cloud, one.product


def _request(lake: Lake, prices: PriceTable, sold: Sold) -> tuple[Reversed, Decimal]:
    days = Interval(date.min) if sold.day is None else Interval(sold.day, day_after(sold.day))
    selection = Selection(
        days=days,
        request_id=sold.request,
        seller=sold.seller,
        cloud=sold.cloud,
        product=sold.product,
    )
    found = list(attempts(lake, selection))
    if not found:
        raise _refused(
            f"no request {sold.request} was charged", "none is sealed in the lake", "Check its id."
        )
    reversals = [
        Reversed(
            event_ns=one.event_ns,
            seller=one.seller,
            cloud=one.cloud,
            product=one.product,
            amount=in_usd(charge_of(one, prices), day_of(one.event_ns), prices),
            request=sold.request,
        )
        for one in found
    ]
    _refuse_several(sold, reversals)
    charged = exact_sum(one.amount for one in reversals)
    return msgspec.structs.replace(reversals[-1], amount=charged), charged


def _refuse_several(sold: Sold, reversals: Sequence[Reversed]) -> None:
    """A request whose attempts were charged in several places: a voucher takes back where it was charged."""
    if len({_sales_of(one) for one in reversals}) == 1:
        return
    clouds = sorted({one.cloud for one in reversals})
    days = sorted({str(day_of(one.event_ns)) for one in reversals})
    what = f"request {sold.request} was charged on {' and '.join(clouds)}, on {' and '.join(days)}"
    todo = "Name one with --cloud, --seller, --product or --of-day, in a voucher of its own."
    raise _refused(what, "a charge is taken back where it was made", todo)


def _day(lake: Lake, prices: PriceTable, sold: Sold) -> tuple[Reversed, Decimal]:
    if sold.day is None or not (sold.seller and sold.cloud and sold.product):
        todo = "Write --request ID, or --day, --seller, --cloud and --product."
        raise _refused("no sale is named", "a charge is taken back where it was made", todo)
    # A day's sales are taken back at its last instant: after everything they could follow.
    event_ns = start_of_day_ns(day_after(sold.day)) - 1
    found = Reversed(
        event_ns=event_ns,
        seller=sold.seller,
        cloud=sold.cloud,
        product=sold.product,
        amount=Decimal(0),
    )
    charged = _charged_on(lake, prices, found)
    return msgspec.structs.replace(found, amount=charged), charged


def _charged_on(lake: Lake, prices: PriceTable, of: Reversed) -> Decimal:
    """What the sales of a reversal's day were charged, in USD."""
    day, *place = _sales_of(of)
    lines = revenue(lake, prices, Interval(day, day_after(day)), product=of.product)
    return exact_sum(one.amount for one in lines if [one.seller, one.cloud, one.product] == place)


def _dues(books: Books) -> list[Due]:
    """What is due for each closed period, oldest first."""
    return [due for closed in books.closed() for due in dues(books.settlement(closed.receipt))]


def _rates(home: Home) -> Rates:
    """The rates that the home holds."""
    return basis_of(home).rates or Rates(source="basis")


def _amount(text: str, unit: Decimal) -> Decimal:
    """An amount above zero, of whole units."""
    try:
        amount = read_decimal(text, places=-int(unit.as_tuple().exponent))
        if not amount:
            raise BadNumber("it is nothing", "Write an amount above zero, as 12.50.")
    except BadNumber as error:
        raise InvalidInput(error.problem(f"{text!r} is no amount", "--amount")) from None
    return amount


def _book(books: Books, voucher: Voucher, entries: Iterable[Entry]) -> None:
    check_names({"--id": voucher.id})
    try:
        books.book(voucher, entries, time.time_ns())
    except Conflict as error:
        todo = "Give this one an id of its own. To change what was told, tell the opposite by another id."
        raise _refused(f"{voucher.id!r} is taken", str(error), todo) from None


@contextmanager
def _books(home: Home) -> Iterator[tuple[Lake, Books]]:
    seal(home)
    with one_at_a_time(home), open_lake(home) as lake:
        refuse_edited(lake.control)
        yield lake, Books(lake.control)


@contextmanager
def _reading(home: Home) -> Iterator[Books]:
    with open_lake(home) as lake:
        yield Books(lake.control)


def _refused(what: str, why: str, todo: str) -> InvalidInput:
    return InvalidInput(Problem(what=what, why=why, where="ledger", todo=todo))


def _dated(books: Books, told: str, day: date | None) -> date:
    """The day a voucher is dated: as it is said, else as it was when it was told first, else today (UTC)."""
    if day is not None:
        return day
    before = next((one.day for one in books.vouchers() if one.id == told), None)
    return before or datetime.now(UTC).date()


def _dated_after_sale(books: Books, told: str, day: date | None, of: Reversed) -> date:
    """The day of a voucher that takes a sale back. Raises InvalidInput where it lies before the sale."""
    dated, sold = _dated(books, told, day), day_of(of.event_ns)
    _refuse_before(told, dated, sold, f"the sale of {sold}")
    return dated


def _refuse_before(told: str, dated: date, since: date, what: str) -> None:
    """Refuse a voucher that is dated before what it is about: the books of that day could not have known it."""
    if dated < since:
        why = "a voucher is dated when it is told, and nobody tells of what has not happened"
        raise _refused(
            f"{told} is dated {dated}, before {what}", why, f"Date it {since} or later, with --day."
        )
