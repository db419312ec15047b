"""Settling a month: seal what was metered, price it, take the shares, post the journal, keep the settlement."""

import fcntl
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version

import msgspec

from clauseway.agreement import RevenueShare, RevenueShareTerm
from clauseway.app.audit_log import refuse_edited
from clauseway.app.basis import Basis, basis_of, first_use, reasons, record
from clauseway.app.home import Home
from clauseway.app.library import OpenAgreement
from clauseway.app.losses import accepted_losses, refuse_losses
from clauseway.app.periods import month as month
from clauseway.app.prices import TODO_PRICE
from clauseway.app.sealing import open_lake, seal
from clauseway.app.several import Opened, each_of, figures_of, own_readings, text_hash
from clauseway.decisions.several import in_their_order
from clauseway.ledger import (
    Credit,
    Dispute,
    Inputs,
    Late,
    Resolution,
    RevenueLine,
    SaleRecord,
    Settlement,
    Statement,
    Voucher,
    accruals,
    corrected,
    credited,
    disputed,
    late,
    never_closed,
    read_assumptions,
    references,
    settle,
    statement_of,
    uncounted,
)
from clauseway.pricing import PriceTable, UnknownPrice
from clauseway.storage import Control
from clauseway.storage.books import Books
from clauseway.storage.lake import Lake
from clauseway.storage.past import as_known
from clauseway.storage.usage import revenue, sales_in_order
from clauseway.values import Citation, Interval, InvalidInput, KnownAt, Problem

# Why something is held that a settlement was the first to use.
FIRST_USE = "first used by the settlement of {period}"


def settle_month(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    period: str,
    assume: Sequence[str],
    readings: Mapping[str, str],
) -> Settlement:
    """Settle a month on everything metered so far, and post it: the shares of every agreement given.

    Settling again on more usage posts the difference. The month after the last closed one also takes what came late for
    closed months: as corrections of its own, or by restating them. Raises InvalidInput: a closed month; a figure
    undisclosed and not accepted, usage without a price, a product that the catalog does not know, usage that may be
    lost and for which nobody accepted an estimate. Then nothing is posted.

    What the home does not hold yet of agreements, prices, figures and readings is recorded as accepted by whoever is
    acting; anything else than what it holds is refused.
    """
    days = month(period)
    read_assumptions(assume, figures_of(opened))
    seal(home)
    with one_at_a_time(home), open_lake(home) as lake:
        refuse_edited(lake.control)
        books = Books(lake.control)
        _refuse_closed(books, days)
        basis = basis_of(home)
        use = first_use(lake.control, basis, opened, prices, assume, readings)
        settler = Settler(lake, opened, prices, use.readings, books.vouchers())
        refuse_losses(lake.control, settler.needed(days))
        found = late_of(settler, books, days, use.assume, basis)
        restatements = [one.restatement for one in found if one.restatement is not None]
        settlement = _with_late(books, settler.settle(days, use.assume), found, restatements)
        if use.accepting:
            record(home, use.accepting, FIRST_USE.format(period=period))
        _post(lake.control, [*restatements, settlement])
    return settlement


def settle_as_known(home: Home, period: str, known_at: KnownAt) -> Settlement:
    """Settle a month on what the home held and knew at an instant; nothing is posted.

    Raises InvalidInput as `settle_month` does, and where usage known then cannot be told from what came later.
    """
    days = month(period)
    basis = basis_of(home, known_at)
    prices, opened = basis.prices(known_at), basis.opened()
    seal(home)
    with as_known(home.control, home.lake, known_at.instant_ns) as past:
        if past.is_merged:
            what = "usage known then cannot be told from what came later"
            why, todo = "their files were merged", "Settle by present knowledge: leave --known-at out."
            raise InvalidInput(Problem(what=what, why=why, where="--known-at", todo=todo))
        books = Books(past.lake.control)
        _refuse_closed(books, days)
        settler = Settler(past.lake, opened, prices, basis.readings, books.vouchers())
        found = late_of(settler, books, days, basis.assume, basis)
        restatements = [one.restatement for one in found if one.restatement is not None]
        return _with_late(books, settler.settle(days, basis.assume), found, restatements)


def _with_late(
    books: Books, settlement: Settlement, found: Sequence[Late], restatements: Sequence[Settlement]
) -> Settlement:
    """The open month with what it owes for closed ones: corrections, and what restatements changed of them."""
    if not found:
        return settlement
    closed = [one.closed for one in found if one.closed.receipt]
    before = [again for one in closed for again in books.restatements(one.period)]
    corrections = [change for one in found for change in one.corrections]
    restated = uncounted(closed, [*before, *restatements])
    return corrected(settlement, corrections, [one.receipt for one in closed], restated)


@contextmanager
def one_at_a_time(home: Home) -> Iterator[None]:
    """Whoever writes the books is alone: what is posted is the difference to what stands there, read before."""
    with (home.make().root / "books.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Settler:
    """Settles any days of a home's usage by what is known now. Usage is read once for all days that are asked for."""

    def __init__(
        self,
        lake: Lake,
        opened: Opened,
        prices: PriceTable,
        readings: Mapping[str, str],
        vouchers: Sequence[Voucher] = (),
    ) -> None:
        self.shares = shares_of(opened, prices.known_at, readings)
        self.terms = _terms_of(opened)
        self._lake, self._opened, self._prices = lake, opened, prices
        self._figures = figures_of(opened)
        self._credited, self._disputed = credited(vouchers), disputed(vouchers)
        self._revenue: tuple[Interval, list[RevenueLine]] | None = None
        self._sales: dict[date, list[SaleRecord]] = {}
        batches = lake.control.batches()
        self.first_day_of_usage = min((one.first_day for one in batches if one.first_day is not None), default=None)
        self.inputs = Inputs(
            agreement=text_hash(opened),
            price_book=prices.digest,
            batches=tuple(batch.name for batch in batches),
            known_at=str(prices.known_at),
            engine=f"clauseway {version('clauseway')}",
            facts="+".join(one.facts_hash(prices.known_at) for one in in_their_order(each_of(opened))),
            vouchers=vouchers_hash(vouchers),
            readings=_chosen(opened, readings) or msgspec.UNSET,
        )

    def settle(self, days: Interval, assume: Sequence[str]) -> Settlement:
        """The days settled; nothing is posted. Raises InvalidInput as `settle_month` does."""
        settlement = self._settled(days, assume, {})
        if settlement.needs_order:
            ordered = {day: self._in_order(day) for day in settlement.needs_order}
            settlement = self._settled(days, assume, ordered)
        return settlement

    def _settled(self, days: Interval, assume: Sequence[str], ordered: Mapping[date, list[SaleRecord]]) -> Settlement:
        lines = self._lines(_since(self.shares, days))
        return settle(
            period=days,
            shares=self.shares,
            revenue=[line for line in lines if line.event_day < days.end],
            catalog=self._opened.catalog,
            assumptions=read_assumptions(assume, self._figures),
            inputs=self.inputs,
            ordered=ordered,
            credited=self._credited,
            disputed=self._disputed,
            losses=accepted_losses(self._lake.control, days, self._prices.known_at),
        )

    def needed(self, days: Interval) -> Interval:
        """The days whose usage a settlement of these days stands on: shares are due on cumulative totals."""
        return _since(self.shares, days)

    def read(self, days: Interval) -> None:
        """Read the usage of these days at once."""
        self._lines(days)

    def _lines(self, days: Interval) -> list[RevenueLine]:
        if self._revenue is None or days.intersect(self._revenue[0]) != days:
            self._revenue = days, _revenue(self._lake, self._prices, days)
        return self._revenue[1]

    def _in_order(self, day: date) -> list[SaleRecord]:
        if day not in self._sales:
            self._sales[day] = sales_in_order(self._lake, self._prices, day)
        return self._sales[day]


def _chosen(opened: Opened, readings: Mapping[str, str]) -> dict[str, str]:
    """The readings that are not the default: choosing the default says nothing new."""
    defaults = {(name, reading.default) for one in each_of(opened) for name, reading in one.agreement.readings.items()}
    return dict(sorted(set(readings.items()) - defaults))


def late_of(settler: Settler, books: Books, days: Interval, assume: Sequence[str], basis: Basis) -> list[Late]:
    """What these days owe for each closed period: nothing unless they are the first that are open.

    `basis` is what the home stands on now: a correction says who changed it and why.
    """
    closes = books.closed()
    if not closes or closes[-1].period.end != days.begin:
        return []
    closed = [books.settlement(one.receipt) for one in closes]
    restatements = {one.period: books.restatements(one.period) for one in closes}
    before = [never_closed(period, settler.inputs) for period in _before(settler, closes[0].period)]
    told = [change for one in closed for change in one.corrections]
    told += [change for one in restatements.values() for restated_ in one for change in restated_.changes]
    # The widest range first: usage is read once.
    every = [*before, *closed]
    widest = Interval(min(_since(settler.shares, one.period).begin for one in every), days.end)
    settler.read(widest)
    found = []
    for one in every:
        _refuse_another_agreement(settler, one)
        since = (restatements.get(one.period) or closed)[-1]
        because = reasons(books.control, basis, since)
        now_due = settler.settle(one.period, _as_then(one, assume))
        found.append(late(one, restatements.get(one.period, ()), told, now_due, since.inputs, because))
    return found


def _before(settler: Settler, first: Interval) -> list[Interval]:
    """The months with usage before the first that was closed: it came when they could not be closed any more."""
    begin = settler.first_day_of_usage
    months = []
    while begin is not None and begin < first.begin:
        months.append(month(f"{begin:%Y-%m}"))
        begin = months[-1].end
    return months


def _as_then(closed: Settlement, assume: Sequence[str]) -> list[str]:
    """What is accepted now, and what was accepted when the period was closed and is not named now."""
    named = {item.partition("=")[0].strip() for item in assume}
    then = [
        f"{one.name}={value}"
        for one in closed.assumptions
        if one.accepted and one.name not in named
        for value in one.value.split("; ")
    ]
    return [*assume, *then]


def _post(control: Control, settlements: Sequence[Settlement]) -> None:
    """Post them, all or none: nobody finds a month restated whose correction is missing."""
    settled = [(one, accruals(one, control.entries(*references(one.period)))) for one in settlements]
    control.settle_together(settled, time.time_ns())


def _refuse_closed(books: Books, days: Interval) -> None:
    since = books.open_since()
    if since is not None and days.begin < since:
        what = f"{days.begin:%Y-%m} is closed"
        why = "its statement was given out and never changes"
        open_ = f"{since:%Y-%m}"
        todo = (
            f"Settle {open_}: clauseway settle --period {open_} --assume …; what came late for a closed month becomes "
            f"a correction there, or restates the month, as the agreement says."
        )
        raise InvalidInput(Problem(what=what, why=why, where="--period", todo=todo))


def _refuse_another_agreement(settler: Settler, closed: Settlement) -> None:
    """What was closed under an agreement that is not given would look as if nothing were due under it any more."""
    missing = sorted({share.term for share in closed.shares} - settler.terms)
    if missing:
        why = f"it was closed with {', '.join(missing)}, which the agreements given do not have"
        todo = "Name the same agreements as then with --agreement."
        what = f"{closed.period.begin:%Y-%m} cannot be compared"
        raise InvalidInput(Problem(what=what, why=why, where="--agreement", todo=todo))


def vouchers_hash(vouchers: Sequence[Voucher]) -> str:
    """The hash of the credits and disputes that move bases; empty where there is none."""
    moving = [one for one in vouchers if isinstance(one, Credit | Dispute | Resolution)]
    return hashlib.sha256(msgspec.json.encode(sorted(moving, key=lambda one: one.id))).hexdigest() if moving else ""


def shares_of(opened: Opened, known_at: KnownAt, readings: Mapping[str, str]) -> list[RevenueShare]:
    """Every revenue share of the agreements. Of several, places name their agreement too; and so does a term's id that
    two of them have."""
    if isinstance(opened, OpenAgreement):
        return opened.revenue_shares(known_at, readings)
    found = [
        (one.agreement.id, share)
        for one in in_their_order(opened.each)
        for share in one.revenue_shares(known_at, own_readings(opened, one, readings))
    ]
    # A share that another amendment ends and begins again has one id in one agreement.
    owners: dict[str, set[str]] = {}
    for agreement, share in found:
        owners.setdefault(share.term, set()).add(agreement)
    return [
        msgspec.structs.replace(
            share,
            term=share.term if len(owners[share.term]) == 1 else f"{agreement}:{share.term}",
            citation=_placed(agreement, share.citation),
            ended_by=share.ended_by and _placed(agreement, share.ended_by),
        )
        for agreement, share in found
    ]


def _placed(agreement: str, citation: Citation) -> Citation:
    return msgspec.structs.replace(citation, document=f"{agreement}/{citation.document}")


def _terms_of(opened: Opened) -> frozenset[str]:
    """The ids of all revenue shares that are written, in force or not, as settlements name them."""
    written = [
        (one.agreement.id, term.id)
        for one in each_of(opened)
        for amendment in one.agreement.amendments
        for term in amendment.terms
        if isinstance(term, RevenueShareTerm)
    ]
    return frozenset({name for pair in written for name in (pair[1], ":".join(pair))})


def statement(home: Home, period: str, party: str = "", *, restated: bool = False) -> Statement | None:
    """The statement of a month, for one party or for all; None where it was not settled.

    Of a closed month it is the one that was closed, or with `restated` the latest that restates it; of an open one that
    of its latest settlement.
    """
    days = month(period)
    with _books(home) as books:
        closes = [one for one in books.closed() if one.period == days]
        again = books.restatements(days) if restated else []
        found = again[-1] if again else books.settlement(closes[0].receipt) if closes else books.latest(days)
    return statement_of(found, party) if found else None


def latest_settlements(home: Home) -> dict[str, Settlement]:
    """Each settled month (`2026-05`) with its latest settlement, or the one with which it was closed; oldest first."""
    with _books(home) as books:
        closed = {one.period: one.receipt for one in books.closed()}
        latest = {
            found.period.begin.strftime("%Y-%m"): found
            for found in books.control.settlements()
            if closed.get(found.period, found.receipt) == found.receipt
        }
    return dict(sorted(latest.items()))


@contextmanager
def _books(home: Home) -> Iterator[Books]:
    control = Control.open(home.make().control)
    try:
        yield Books(control)
    finally:
        control.close()


def _since(shares: Sequence[RevenueShare], days: Interval) -> Interval:
    """From the begin of the earliest share in force in these days, because shares are due on cumulative totals."""
    begins = [share.begin for share in shares if not Interval(share.begin, share.end).intersect(days).is_empty]
    return Interval(min([days.begin, *begins]), days.end)


def _revenue(lake: Lake, prices: PriceTable, days: Interval) -> list[RevenueLine]:
    try:
        return revenue(lake, prices, days)
    except UnknownPrice as error:
        raise InvalidInput(
            Problem(
                what="usage has no price",
                why=str(error),
                where="price book",
                todo=TODO_PRICE,
            )
        ) from None


def now() -> KnownAt:
    """The point of knowledge of a settlement made now."""
    return KnownAt(time.time_ns())
