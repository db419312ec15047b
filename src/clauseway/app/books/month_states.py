"""How far each month has come (open, settled, closed, invoiced, paid), and the balance of every
account: read from the books and the hourly sums, without a look at single records."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.app.books.settled import SettledMonth
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month as month_of
from clauseway.app.opening.periods import months_in
from clauseway.ledger import Account, Invoice
from clauseway.ledger.invoices import open_invoices
from clauseway.storage.books.books import Books
from clauseway.storage.control import journal
from clauseway.storage.lake.hourly_sums import days_with_usage
from clauseway.values import exact_sum

OPEN, SETTLED, CLOSED, INVOICED, PAID = "open", "settled", "closed", "invoiced", "paid"


class MonthOwed(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that one party owes another for a month, and the invoices that claim it.

    `unclaimed` is the part that no invoice claims, as of a term whose quarter is not over; `unpaid`
    is what is open of the invoices, in their currencies.
    """

    payer: str
    payee: str
    amount: Decimal
    unclaimed: Decimal
    invoices: tuple[str, ...]
    unpaid: tuple[tuple[Decimal, str], ...]

    @property
    def state(self) -> str:
        """Return `invoiced` or `paid`; empty where something is owed that no invoice claims."""
        if self.unclaimed:
            return ""
        return INVOICED if any(amount for amount, _ in self.unpaid) else PAID


class MonthState(msgspec.Struct, frozen=True, kw_only=True):
    """A month with usage or a settlement. An open one owes nothing yet."""

    period: str
    state: str
    owed: tuple[MonthOwed, ...] = ()


class AccountBalance(msgspec.Struct, frozen=True, kw_only=True):
    """The balance of an account, debits positive."""

    account: Account
    currency: str
    amount: Decimal


def latest_settled(months: Sequence[MonthState], today: date) -> MonthState | None:
    """Return the latest settled month that has begun, else the latest: a mistyped month to come
    must not stand for what is owed. None if no month is settled."""
    settled = [month for month in months if month.state != OPEN]
    begun = [month for month in settled if month_of(month.period).begin <= today]
    return next(reversed(begun or settled), None)


def month_states(home: Home, settled: Mapping[str, SettledMonth]) -> tuple[MonthState, ...]:
    """Return the months from the first to the last with usage or a settlement, oldest first."""
    with open_control(home) as control:
        books = Books(control)
        closed = {f"{days.begin:%Y-%m}" for days in books.closed_receipts()}
        vouchers = books.vouchers()
        used = days_with_usage(control)
    claims = open_invoices(vouchers)
    periods = sorted({*settled, *(months_in(used) if used else ())})
    return tuple(
        month_state(period, settled.get(period), claims, is_closed=period in closed)
        for period in periods
    )


def month_state(
    period: str,
    settled: SettledMonth | None,
    claims: Sequence[tuple[Invoice, Decimal]],
    *,
    is_closed: bool,
) -> MonthState:
    if settled is None:
        return MonthState(period=period, state=OPEN)
    owed = tuple(_owed(period, settled, claims))
    if not is_closed:
        return MonthState(period=period, state=SETTLED, owed=owed)
    # A month has come as far as the direction that has come least far.
    states = {each.state for each in owed if each.amount or each.unclaimed}
    state = CLOSED if "" in states or not states else INVOICED if INVOICED in states else PAID
    return MonthState(period=period, state=state, owed=owed)


def _owed(
    period: str, settled: SettledMonth, claims: Sequence[tuple[Invoice, Decimal]]
) -> Iterator[MonthOwed]:
    for payer, payee, total in settled.totals:
        between = payer, payee
        claiming = [
            (invoice, unpaid)
            for invoice, unpaid in claims
            if (invoice.payer, invoice.payee) == between and _terms_claimed(invoice, period)
        ]
        claimed = {term for invoice, _ in claiming for term in _terms_claimed(invoice, period)}
        unclaimed = [
            due.amount
            for due in settled.dues
            if (due.payer, due.payee) == between and due.term not in claimed
        ]
        yield MonthOwed(
            payer=payer,
            payee=payee,
            amount=total,
            unclaimed=exact_sum(unclaimed),
            invoices=tuple(invoice.id for invoice, _ in claiming),
            unpaid=tuple((unpaid, invoice.currency) for invoice, unpaid in claiming),
        )


def _terms_claimed(invoice: Invoice, period: str) -> set[str]:
    """Return the terms under which an invoice claims a month. Lines of older homes have no parts:
    they claim the month through which they ask."""
    if any(line.parts for line in invoice.lines):
        return {line.term for line in invoice.lines for part in line.parts if part.month == period}
    is_last = f"{invoice.through:%Y-%m}" == period
    return {line.term for line in invoice.lines if is_last}


def balances(home: Home) -> tuple[AccountBalance, ...]:
    """Return the balance of each account and currency, accounts that are even left out."""
    sums: dict[tuple[Account, str], list[Decimal]] = defaultdict(list)
    with open_control(home) as control, control.reading() as connection:
        for leg in journal.legs_of(connection):
            sums[leg.posting.account, leg.posting.currency].append(leg.posting.amount)
    summed = [(account, currency, exact_sum(legs)) for (account, currency), legs in sums.items()]
    return tuple(
        AccountBalance(account=account, currency=currency, amount=amount)
        for account, currency, amount in sorted(summed)
        if amount
    )
