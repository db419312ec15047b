"""Closing a month: from then on its statement never changes, and what comes late goes where the
agreement says."""

import time
from datetime import date

import msgspec

from clauseway.app.books.audit_log import refuse_edited
from clauseway.app.books.basis import Basis, basis_of, stands_otherwise
from clauseway.app.books.settling import (
    books_locked,
    saw_all_usage,
    saw_earlier_usage,
    vouchers_hash,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import month
from clauseway.app.opening.revenue_shares import shares_of
from clauseway.app.usage.damages import refuse_losses
from clauseway.app.usage.lake_checks import refuse_unknown
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.ledger import Settlement, statement_of
from clauseway.ledger.statement import canonical_bytes, digest_of
from clauseway.storage.books.books import Books, Closed
from clauseway.storage.lake.lake import Lake
from clauseway.values import Interval, InvalidInput, KnownAt

_IN_ORDER = "months are closed in order."


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """A closed month, and whether this call closed it: one that was closed before stays so."""

    month: Closed
    is_new: bool


def close_month(home: Home, period: str, today: date) -> Closing:
    """Close a month with its latest settlement. Closing it again changes nothing.

    Raise InvalidInput: it has not ended, is not settled, an earlier month is open or was never
    settled though something is due for it, or usage, credits, disputes or facts came since it was
    settled.
    Raise LakeDamaged if a file with usage of the month is not what was written. Then nothing is
    closed.
    """
    days = month(period)
    if days.end > today:
        raise _refused(
            period, f"it lasts through {days.end - date.resolution}", "Close it once it is over."
        )
    seal(home)
    with books_locked(home), open_lake(home) as lake:
        refuse_edited(lake.control)
        books = Books(lake.control)
        for closed in books.closed():
            if closed.period == days:
                return Closing(month=closed, is_new=False)
        refuse_losses(lake.control, days)
        refuse_unknown(home, lake, days)
        # A closed statement stands for good: it can be repeated only from files that are whole.
        lake.files(days)
        settlement = _settled(lake, books, period, days)
        basis = basis_of(home)
        if changed := stands_otherwise(basis, settlement):
            why = f"{', '.join(changed)} changed after it was settled"
            raise _refused(period, why, f"Settle again: clauseway settle --period {period}.")
        if books.open_since() is None:
            _refuse_losing_minimum(basis, period, days.begin)
        # Looked for again: a home that is served seals while the month's files are read.
        refuse_losses(lake.control, days)
        statement = statement_of(settlement)
        closed = Closed(
            period=days,
            receipt=settlement.receipt,
            digest=digest_of(statement),
            statement=canonical_bytes(statement),
            closed_ns=time.time_ns(),
        )
        books.close(closed)
    return Closing(month=closed, is_new=True)


def closed_months(home: Home) -> list[tuple[Closed, list[Settlement]]]:
    """Return the closed months, oldest first, each with its restatements."""
    with open_lake(home) as lake:
        books = Books(lake.control)
        return [(closed, books.restatements(closed.period)) for closed in books.closed()]


def _settled(lake: Lake, books: Books, period: str, days: Interval) -> Settlement:
    """Return the settlement to close with."""
    settle = f"clauseway settle --period {period} --assume …"
    since = books.open_since()
    # Months are closed in order, each as it was settled last.
    if since is not None and days.begin != since:
        first = f"{since:%Y-%m}"
        raise _refused(period, f"{first} is open", f"Close {first} first: {_IN_ORDER}")
    if since is None and (earlier := books.settled_before(days.begin)):
        first = f"{earlier[0].begin:%Y-%m}"
        raise _refused(period, f"{first} is settled and open", f"Close {first} first: {_IN_ORDER}")
    settlement = books.latest(days)
    if settlement is None:
        raise _refused(period, "it is not settled", f"Settle it: {settle}.")
    # The settlement must stand on everything that is known now.
    came = ""
    if not saw_all_usage(lake, settlement):
        came = "usage came"
    elif not saw_earlier_usage(lake, settlement):
        came = "usage of an earlier month came"
    elif settlement.inputs.vouchers != vouchers_hash(books.vouchers()):
        came = "credits or disputes were recorded"
    if came:
        raise _refused(period, f"{came} after it was settled", f"Settle again: {settle}.")
    if since is None:
        _refuse_losing(lake, period, settlement)
    return settlement


def _refuse_losing(lake: Lake, period: str, settlement: Settlement) -> None:
    """Refuse to begin closing after a month that something is due for: no later month could
    state it."""
    begin = settlement.period.begin
    first, _ = lake.control.first_and_last_day() or (begin, begin)
    if first < begin:
        why = f"usage since {first} is in no closed month, and what it owes could never be stated"
        raise _refused_before(period, why, first)
    for share in settlement.shares:
        if share.share_before:
            why = (
                f"{share.share_before} USD is due under {share.term} for the days before, and "
                f"no month states it"
            )
            raise _refused_before(period, why, share.begin)


def _refuse_losing_minimum(basis: Basis, period: str, begin: date) -> None:
    """Refuse a first close after a share has ended whose minimum is due. The minimum of a share in
    force is in the totals of the month."""
    for share in shares_of(basis.opened(), KnownAt(time.time_ns()), basis.readings):
        if share.floors and share.end <= begin:
            why = f"a minimum is due under {share.term} for days before, and no month states it"
            raise _refused_before(period, why, share.begin)


def _refused_before(period: str, why: str, first: date) -> InvalidInput:
    """Return the refusal of a month before which others have to be closed, from the one of `first`
    on."""
    remedy = f"Settle and close {first:%Y-%m} first, and every month after it: {_IN_ORDER}"
    return _refused(period, why, remedy)


def _refused(period: str, why: str, remedy: str) -> InvalidInput:
    return InvalidInput.of(what=f"{period} cannot be closed", why=why, where="MONTH", remedy=remedy)
