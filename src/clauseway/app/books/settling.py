"""Settling a month: seal what was metered, price it, take the shares, post the journal, keep the
settlement."""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from clauseway.agreement import RevenueShare, RevenueShareTerm
from clauseway.app.books.audit_log import refuse_edited, stated_breaks
from clauseway.app.books.basis import (
    Basis,
    FirstUse,
    basis_of,
    chosen_readings,
    first_use,
    reasons,
    record_first_use,
    refuse_before_agreement,
)
from clauseway.app.books.carrying import CarriedSums, PriceNames, named
from clauseway.app.books.day_charges import DayCharges, DaySettled
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import kept_control
from clauseway.app.opening.locks import locked
from clauseway.app.opening.periods import month, months_in
from clauseway.app.opening.revenue_shares import check_assumed, shares_of
from clauseway.app.opening.several import Opened, each_of, figures_of, text_hash
from clauseway.app.usage.damages import refuse_losses
from clauseway.app.usage.lake_checks import refuse_unknown
from clauseway.app.usage.lake_place import store_of
from clauseway.app.usage.losses import accepted_losses, times_with_one_copy
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.decisions.joint_answers import in_their_order
from clauseway.ledger import (
    Carried,
    Conflict,
    Credit,
    Dispute,
    Inputs,
    Late,
    Resolution,
    SaleRecord,
    Settlement,
    StatementChange,
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
    summary_of,
    uncounted,
)
from clauseway.ledger.assumptions import Assumptions, replace_items
from clauseway.ledger.carrying import ShareKey
from clauseway.ledger.closing import SettlementSummary
from clauseway.ledger.revenue import in_no_base
from clauseway.ledger.sharing import days_in
from clauseway.pricing import PriceTable
from clauseway.storage import Control
from clauseway.storage.books.books import Books
from clauseway.storage.books.kept_sums import drop_sums
from clauseway.storage.lake.file_list import is_dropped
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine
from clauseway.storage.usage.block_hashes import DayContent
from clauseway.storage.usage.content import (
    attempts_of,
    content_digest,
    day_contents,
    drop_contents,
)
from clauseway.storage.usage.past import as_known
from clauseway.storage.usage.priced import sales_in_order
from clauseway.values import (
    FIRST_DAY,
    LAST_DAY,
    VERSION,
    Interval,
    InvalidInput,
    KnownAt,
    day_after,
    parse_day,
)

# Why something is held that a settlement was the first to use.
FIRST_USE = "first used by the settlement of {period}"


def settle_month(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    period: str,
    assume: Sequence[str],
    readings: Mapping[str, str],
    *,
    from_scratch: bool = False,
    on_wait: Callable[[], object] = lambda: None,
    on_posted: Callable[[int], object] = lambda _: None,
    on_stands: Callable[[Interval], object] = lambda _: None,
    engine: QueryEngine = duckdb_engine,
) -> Settlement:
    """Settle a month on everything metered so far, and post it: the shares of every agreement
    given.

    Sums of earlier months are kept, and made anew where their inputs changed; `from_scratch` drops
    them and recounts. `on_wait` is called before waiting for another process at these books,
    `on_posted` with the number of new entries once they are posted. `on_stands` is called with each
    closed month whose inputs changed and whose records were dropped: it stands as it was closed. The
    `engine` reads, sums, prices and hashes the usage; the settlement is the same with any.

    Settling again on more usage posts the difference. The month after the last closed one also
    takes what came late for closed months: as corrections of its own, or by restating them. Raise
    InvalidInput: a closed month; a figure undisclosed and not accepted, usage without a price, a
    product that the catalog does not know, usage that may be lost and for which nobody accepted an
    estimate. Then nothing is posted.

    Agreements, prices, figures and readings that are new to the home are recorded as accepted by
    the acting person; others than those that the home holds are refused.
    """
    days = month(period)
    _refuse_before_amendments(opened, days)
    read_assumptions(assume, figures_of(opened))
    check_assumed(opened, assume, "--assume")
    _try_without_home(
        home, lambda empty: settle_month(empty, opened, prices, period, assume, readings)
    )
    seal(home)
    with kept_control(home), books_locked(home, on_wait), open_lake(home) as opened_lake:
        lake = opened_lake.priced_by(engine)
        refuse_edited(lake.control)
        books = Books(lake.control)
        _refuse_closed(books, days)
        basis = basis_of(home)

        def used(held: Basis) -> FirstUse:
            return first_use(lake.control, held, opened, prices, assume, readings)

        use = used(basis)
        if from_scratch:
            drop_contents(lake.control)
        settler = Settler(
            lake, opened, prices, use.readings, books.vouchers(), use_kept=not from_scratch
        )
        refuse_losses(lake.control, settler.needed(days))
        refuse_unknown(home, lake, settler.needed(days))
        closed = ClosedMonths(books, days)
        _refuse_other_names(settler, closed)
        last = books.latest(days)
        late_months = late_of(
            settler,
            books,
            closed,
            use.assume,
            basis,
            stated=[change.period for change in last.corrections] if last else [],
            on_stands=on_stands,
        )
        restatements = [
            late_month.restatement
            for late_month in late_months
            if late_month.restatement is not None
        ]
        settlement = with_late(settler.settle(days, use.assume), closed, late_months)
        if use.accepting:
            record_first_use(
                home,
                lambda: used(basis_of(home)).accepting,
                FIRST_USE.format(period=period),
            )
        on_posted(_post(lake.control, [*restatements, settlement]))
        if from_scratch:
            # Not before the month is posted: a recount that is refused leaves them.
            drop_sums(lake.control)
        settler.carry_on(days, use.assume)
        # Closed with this settlement, the month needs no second look while its inputs stay as they
        # are.
        settler.mark_same(summary_of(settlement), (), use.assume)
        settler.keep()
    return settlement


def settle_days(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    period: str,
    days: Sequence[str],
    assume: Sequence[str],
    readings: Mapping[str, str],
    engine: QueryEngine = duckdb_engine,
) -> list[DaySettled]:
    """Sum, price and hash days of a month by an engine, and keep that for its settlement; nothing is
    posted.

    Safe beside a settlement and beside other days of the same home, on every machine that shares
    its database. Raise InvalidInput as `settle_month` does, and for a day outside the month.
    """
    of_month = month(period)
    _refuse_before_amendments(opened, of_month)
    wanted = [_day_of(of_month, text) for text in days]
    _try_without_home(
        home, lambda empty: settle_days(empty, opened, prices, period, days, assume, readings)
    )
    seal(home)
    with open_lake(home) as opened_lake:
        lake = opened_lake.priced_by(engine)
        refuse_edited(lake.control)
        use = first_use(lake.control, basis_of(home), opened, prices, assume, readings)
        for day in wanted:
            refuse_losses(lake.control, Interval(day, day_after(day)))
        refuse_unknown(home, lake, of_month)
        settler = Settler(lake, opened, prices, use.readings)
        settled = [settler.charges.settled(day) for day in wanted]
        settler.charges.keep()
        for day in wanted:
            settler.keep_content(day)
    return settled


def _try_without_home(home: Home, act: Callable[[Home], object]) -> None:
    """Do something in an empty home of its own first where there is no home yet: what is refused
    then makes none."""
    if home.is_begun:
        return
    with TemporaryDirectory(prefix="clauseway-") as folder:
        empty = Home(Path(folder) / "home").make()
        with open_lake(empty):
            pass
        act(empty)


def _day_of(of_month: Interval, text: str) -> date:
    day = parse_day(text, "--part")
    if day not in of_month:
        problem, why = f"{day} is not a day of the month", f"--period names {of_month.begin:%Y-%m}"
        remedy = f"Write --period {day:%Y-%m}, or another day."
        raise InvalidInput.of(what=problem, why=why, where="--part", remedy=remedy)
    return day


def settle_as_known(
    home: Home, period: str, known_at: KnownAt, engine: QueryEngine = duckdb_engine
) -> Settlement:
    """Settle a month on what the home held and knew at an instant; nothing is posted.

    Raise InvalidInput as `settle_month` does, and for an instant that no record can have.
    """
    if not known_at.is_recordable:
        raise InvalidInput.of(
            what="no record can have that instant",
            why=f"instants of records are nanoseconds in 64 bits, from {FIRST_DAY} to {LAST_DAY}",
            where="--known-at",
            remedy="Name a day within these.",
        )
    days = month(period)
    basis = basis_of(home, known_at)
    refuse_before_agreement(home, basis, known_at)
    prices, opened = basis.prices(known_at), basis.opened()
    seal(home)
    with as_known(home.control, home.lake, known_at.instant_ns, store_of(home)) as opened_past:
        past = opened_past.priced_by(engine)
        books = Books(past.control)
        _refuse_closed(books, days)
        settler = Settler(past, opened, prices, basis.readings, books.vouchers())
        closed = ClosedMonths(books, days)
        late_months = late_of(settler, books, closed, basis.assume, basis)
        return with_late(settler.settle(days, basis.assume), closed, late_months)


class ClosedMonths:
    """The closed months before an open one, and their restatements; none where it does not
    follow them."""

    def __init__(self, books: Books, days: Interval) -> None:
        receipts = books.closed_receipts()
        # Months are closed in order: the one after the last closed states what came late for them.
        follows = bool(receipts) and max(period.end for period in receipts) == days.begin
        self.days = days
        self.receipts = receipts if follows else {}
        summaries = books.summaries() if follows else []
        self.closed = [
            closed_month
            for closed_month in summaries
            if self.receipts.get(closed_month.period) == closed_month.receipt
        ]
        self.restatements = [settlement for settlement in summaries if settlement.restates]

    def changes(self, period: Interval) -> list[StatementChange]:
        """Return every change of a closed period that was given out, in corrections and
        restatements."""
        corrections = [
            change for closed_month in self.closed for change in closed_month.corrections
        ]
        corrections += [
            change for restatement in self.restatements for change in restatement.changes
        ]
        return [change for change in corrections if change.period == period]


def with_late(
    settlement: Settlement, closed: ClosedMonths, late_months: Sequence[Late]
) -> Settlement:
    """Return the open month with what it owes for closed ones: corrections, and what
    restatements changed of them."""
    if not closed.receipts:
        return settlement
    corrections = [change for late_month in late_months for change in late_month.corrections]
    new = [
        summary_of(late_month.restatement)
        for late_month in late_months
        if late_month.restatement is not None
    ]
    restated = uncounted(closed.closed, [*closed.restatements, *new])
    return corrected(settlement, corrections, list(closed.receipts.values()), restated)


def books_locked(
    home: Home, on_wait: Callable[[], object] | None = None
) -> AbstractContextManager[None]:
    """Hold the lock of the books: postings are differences to the entries read before."""
    return locked(home, "books", on_wait)


class Settler:
    """Settles months of a home's usage, as known now.

    Usage is that of the lake as it was listed at the beginning: what gateways seal meanwhile is in
    no part of a settlement. It is read once for all days that are asked for. What lies before a
    month is taken from sums that were kept, with `use_kept`; without, everything is read.
    """

    def __init__(
        self,
        lake: Lake,
        opened: Opened,
        prices: PriceTable,
        readings: Mapping[str, str],
        vouchers: Sequence[Voucher] = (),
        *,
        use_kept: bool = True,
    ) -> None:
        self.shares = shares_of(opened, prices.known_at, readings)
        self.terms = _terms_of(opened)
        # Sums are kept of all usage: of a part of it, everything is read.
        self._use_kept = use_kept and not lake.is_limited
        lake = lake.snapshot(use_kept=self._use_kept)
        self._lake, self._opened, self._prices = lake, opened, prices
        self._figures = figures_of(opened)
        # Open weights, for example: they may be used without a price, and are shared by nobody.
        self._in_no_base = in_no_base(self.shares, opened.catalog)
        self._credited, self._disputed = credited(vouchers), disputed(vouchers)
        self._sales: dict[date, list[SaleRecord]] = {}
        # A settlement that is repeated states the point of knowledge of the first, so that both
        # are equal.
        self.stated_known_at = ""
        self._contents: tuple[Interval, list[DayContent]] | None = None
        price_names = PriceNames(prices)
        self.charges = DayCharges(
            lake, prices, price_names, self._in_no_base, use_kept=self._use_kept
        )
        self.sums = CarriedSums(
            lake.control, price_names, opened.catalog, lake.listing, self.charges.lines
        )
        # From this day on something may be due: usage, or the minimum of a share.
        days = [usage.first_day for usage in lake.listing.usage]
        days += [share.begin for share in self.shares if share.floors]
        self.first_day_due = min(days, default=None)
        self.inputs = Inputs(
            agreement=text_hash(opened),
            price_book=prices.digest,
            known_at=str(prices.known_at),
            engine=f"clauseway {VERSION}",
            facts="+".join(
                asked.facts_digest(prices.known_at) for asked in in_their_order(each_of(opened))
            ),
            vouchers=vouchers_hash(vouchers),
            readings=chosen_readings(opened, readings) or msgspec.UNSET,
        )

    def settle(self, days: Interval, assume: Sequence[str]) -> Settlement:
        """Return the settlement of some days; nothing is posted.

        Raise InvalidInput as `settle_month` does.
        """
        settlement = self._settled(days, assume, {})
        if settlement.needs_order:
            ordered = {day: self._in_order(day) for day in settlement.needs_order}
            settlement = self._settled(days, assume, ordered)
        return settlement

    def _settled(
        self, days: Interval, assume: Sequence[str], ordered: Mapping[date, list[SaleRecord]]
    ) -> Settlement:
        assumptions = read_assumptions(assume, self._figures)
        carried, if_rejected = self._carried(days, assumptions)
        # A share whose sum is not carried is counted from its own first day.
        begins = [self._since(share, days, carried) for share in self.in_force(days)]
        return settle(
            period=days,
            shares=self.shares,
            revenue=self.charges.lines(Interval(min([days.begin, *begins]), days.end)),
            catalog=self._opened.catalog,
            assumptions=assumptions,
            inputs=self._inputs_of(days),
            ordered=ordered,
            credited=self._credited,
            disputed=self._disputed,
            losses=[
                *accepted_losses(self._lake.control, days, self._prices.known_at),
                *stated_breaks(self._lake.control, self._prices.known_at),
                *times_with_one_copy(self._lake.control, days, self._prices.known_at),
            ],
            carried=carried,
            carried_if_rejected=if_rejected,
        )

    def needed(self, days: Interval) -> Interval:
        """Return the days whose usage a settlement of these days needs: shares are due on
        cumulative totals."""
        return Interval(
            min([days.begin, *(share.begin for share in self.in_force(days))]), days.end
        )

    def in_force(self, days: Interval) -> list[RevenueShare]:
        """Return the shares that are in force on some of the days."""
        return [share for share in self.shares if not days_in(share, days).is_empty]

    def fingerprint(self, days: Interval, assume: Sequence[str]) -> str:
        """Return a hash of everything that settling these days is made from."""
        assumptions = read_assumptions(assume, self._figures)
        backs = [[*self._credited, *self._disputed], self._credited]
        return self.sums.fingerprint(days, self.in_force(days), assumptions, *backs)

    def reads_from(self, days: Interval, assume: Sequence[str]) -> date:
        """Return the first day whose usage settling these days has to read."""
        shares = self.in_force(days)
        if not self._use_kept:
            return min([days.begin, *(share.begin for share in shares)])
        assumptions = read_assumptions(assume, self._figures)
        earlier = [share for share in shares if share.begin < days.begin]
        return self.sums.reads_from(
            days.begin, earlier, assumptions, [*self._credited, *self._disputed]
        )

    def lacks(self, days: Interval, assume: Sequence[str]) -> bool:
        """Return whether single records were dropped that settling these days has to read."""
        return is_dropped(self._lake.control, Interval(self.reads_from(days, assume), days.end))

    def is_same(
        self, settled: SettlementSummary, changes: Sequence[StatementChange], assume: Sequence[str]
    ) -> bool:
        """Return whether settling again gives the settlement with its changes so far, because it was
        marked for the same inputs."""
        return self._use_kept and self.sums.is_kept(*self._sameness(settled, changes, assume))

    def mark_same(
        self, settled: SettlementSummary, changes: Sequence[StatementChange], assume: Sequence[str]
    ) -> None:
        """Remember that settling again on the same inputs changes nothing that was stated."""
        self.sums.mark(*self._sameness(settled, changes, assume))

    def _sameness(
        self, settled: SettlementSummary, changes: Sequence[StatementChange], assume: Sequence[str]
    ) -> tuple[str, str]:
        inputs = self.fingerprint(settled.period, assume)
        return named("same", settled.period), named(settled.receipt, changes, inputs)

    def carry_on(self, days: Interval, assume: Sequence[str]) -> None:
        """Carry the sums forward for the settlement of the next month, while the usage of these
        days is loaded."""
        self._before(days.end, self.in_force(days), read_assumptions(assume, self._figures))

    def _carried(
        self, days: Interval, assumptions: Assumptions
    ) -> tuple[Mapping[ShareKey, Carried], Mapping[ShareKey, Carried]]:
        """Return the amount that each share has accumulated before a month, and the same without
        disputes, where there are."""
        shares = [share for share in self.in_force(days) if share.begin < days.begin]
        names = assumptions.names_of(self.in_force(days))
        # Figures that nobody accepted are refused by `settle`, with everything else that is wrong.
        if not self._use_kept or days.begin.day != 1 or assumptions.undisclosed(names):
            return {}, {}
        return self._before(days.begin, shares, assumptions)

    def _before(
        self, day: date, shares: Sequence[RevenueShare], assumptions: Assumptions
    ) -> tuple[Mapping[ShareKey, Carried], Mapping[ShareKey, Carried]]:
        carried = self.sums.before(day, shares, assumptions, [*self._credited, *self._disputed])
        if not self._disputed:
            return carried, carried
        return carried, self.sums.before(day, shares, assumptions, self._credited, if_rejected=True)

    @staticmethod
    def _since(share: RevenueShare, days: Interval, carried: Mapping[ShareKey, Carried]) -> date:
        return days.begin if (share.term, share.begin) in carried else share.begin

    def read(self, days: Interval) -> None:
        """Read the usage of these days at once."""
        self.charges.lines(days)

    def keep(self) -> None:
        """Keep the sums that were made since."""
        self.charges.keep()
        self.sums.keep()

    def _inputs_of(self, days: Interval) -> Inputs:
        """Return the inputs, with the usage of these days and of those before that their totals
        stand on."""
        # An older statement names batches instead of contents.
        if self.inputs.batches:
            return self.inputs
        since = self.needed(days)
        contents = self._contents_of(since)
        usage = [content for content in contents if content.day in days]
        before = [
            content for content in contents if content.day in since and content.day < days.begin
        ]
        return msgspec.structs.replace(
            self.inputs,
            known_at=self.stated_known_at
            or _known_at(self._lake, self._opened, self._prices, days.end),
            usage=content_digest(usage),
            attempts=attempts_of(usage),
            usage_before=content_digest(before),
        )

    def keep_content(self, day: date) -> None:
        """Hash the usage of a day and keep the hash, by which a statement names it: the settlement
        of the month then reads no usage of that day."""
        day_contents(self._lake, Interval(day, day_after(day)))

    def _contents_of(self, days: Interval) -> list[DayContent]:
        if self._contents is None or days.intersect(self._contents[0]) != days:
            self._contents = days, day_contents(self._lake, days)
        return self._contents[1]

    def _in_order(self, day: date) -> list[SaleRecord]:
        if day not in self._sales:
            self._sales[day] = sales_in_order(self._lake, self._prices, day, self._in_no_base)
        return self._sales[day]


def saw_all_usage(lake: Lake, settlement: Settlement) -> bool:
    """Return whether a settlement counted the usage of its period that the lake has now."""
    inputs = settlement.inputs
    # An older settlement names its batches instead of their content.
    if inputs.batches:
        of_days = {batch.name for batch in lake.control.batches(settlement.period)}
        return of_days <= set(inputs.batches)
    return content_digest(day_contents(lake, settlement.period)) == inputs.usage


def saw_earlier_usage(lake: Lake, settlement: Settlement) -> bool:
    """Return whether the totals of a settlement stand on the usage before its period that the lake
    has now: a cap, a band or a floor may move with it."""
    inputs = settlement.inputs
    # An older settlement does not tell its batches of before from those of its period.
    if inputs.batches:
        return True
    begin = settlement.period.begin
    before = Interval(min([begin, *(share.begin for share in settlement.shares)]), begin)
    return content_digest(day_contents(lake, before)) == inputs.usage_before


def late_of(
    settler: Settler,
    books: Books,
    months: ClosedMonths,
    assume: Sequence[str],
    basis: Basis,
    *,
    stated: Collection[Interval] = (),
    on_stands: Callable[[Interval], object] = lambda _: None,
) -> list[Late]:
    """Return the amounts that an open month owes for the closed ones before it: of each whose
    inputs have changed since they were looked at last, or that still owes something.

    `basis` is what the home stands on now: a correction says who changed it and why.

    A month that needs records that were dropped stands as it was closed, unless the open month has
    `stated` a correction of it: without its usage, nothing can be found to be due for it.
    """
    every = [
        (closed_month, _as_then(closed_month, assume))
        for closed_month in _never_closed(settler, months)
    ]
    every += [(closed_month, _as_then(closed_month, assume)) for closed_month in months.closed]
    changed = []
    for closed_month, accepted in every:
        _refuse_another_agreement(settler, closed_month)
        changes = months.changes(closed_month.period)
        if settler.is_same(closed_month, changes, accepted):
            continue
        if closed_month.period not in stated and settler.lacks(closed_month.period, accepted):
            on_stands(closed_month.period)
            settler.mark_same(closed_month, changes, accepted)
            continue
        changed.append((closed_month, changes, accepted))
    if changed:  # read at once, from the first that changed on
        first, _, accepted = changed[0]
        settler.read(Interval(settler.reads_from(first.period, accepted), months.days.end))
    late_months = []
    for closed_month, changes, accepted in changed:
        again = [
            books.settlement(restatement.receipt)
            for restatement in months.restatements
            if restatement.period == closed_month.period
        ]
        closed = (
            books.settlement(closed_month.receipt)
            if closed_month.receipt
            else never_closed(closed_month.period, settler.inputs)
        )
        # Causes are counted from what last told of this month: its restatement, else the latest
        # close, which has the corrections.
        since = again[-1] if again else books.settlement(months.closed[-1].receipt)
        because = reasons(books.control, basis, since)
        came = late(
            closed,
            again,
            changes,
            settler.settle(closed_month.period, accepted),
            since.inputs,
            because,
        )
        # A month whose inputs changed and whose amounts did not is not compared again.
        if came.corrections or came.restatement is not None:
            late_months.append(came)
        else:
            settler.mark_same(closed_month, changes, accepted)
    return late_months


def _never_closed(settler: Settler, months: ClosedMonths) -> list[SettlementSummary]:
    """Return the months before the first that was closed for which something may be due."""
    if not months.closed:
        return []
    first = min(closed_month.period for closed_month in months.closed).begin
    # Usage or a minimum of a month that could not be closed any more, when it came.
    before = months_in(Interval(settler.first_day_due or first, first))
    return [summary_of(never_closed(month(period), settler.inputs)) for period in before]


def _as_then(closed: SettlementSummary, assume: Sequence[str]) -> list[str]:
    """Return the figures accepted now, and those accepted when the period was closed that are
    not named now."""
    return replace_items(closed.accepted, assume)


def _post(control: Control, settlements: Sequence[Settlement]) -> int:
    """Post them, all or none, and return the number of new entries: nobody finds a month restated
    whose correction is missing."""
    settled = [
        (settlement, accruals(settlement, control.entries(*references(settlement.period))))
        for settlement in settlements
    ]
    try:
        return control.settle_together(settled, time.time_ns())
    except Conflict as error:
        problem = "the same inputs come to another result than they did before"
        remedy = (
            "Count everything again: clauseway settle --from-scratch. If it stays so, another "
            "build settled it before: "
            "change what the home stands on (clauseway basis … --why), and it is a settlement "
            "of its own."
        )
        raise InvalidInput.of(what=problem, why=str(error), where="ledger", remedy=remedy) from None


def _refuse_before_amendments(opened: Opened, days: Interval) -> None:
    """Refuse a month in which nothing is owed under any agreement.

    Settled by a slip, it would have to be closed before each later month, with all between them.
    """
    first = min(asked.agreement.amendments[0].effective for asked in each_of(opened))
    if days.end <= first:
        raise InvalidInput.of(
            what=f"{days.begin:%Y-%m} has nothing to settle",
            why=f"no amendment is in effect before {first}",
            where="--period",
            remedy=f"Name a month from {first:%Y-%m} on.",
        )


def _refuse_closed(books: Books, days: Interval) -> None:
    since = books.open_since()
    if since is None or days.begin >= since:
        return
    period, open_ = f"{days.begin:%Y-%m}", f"{since:%Y-%m}"
    problem, why = f"{period} is closed", "its statement was given out and never changes"
    remedy = (
        f"Settle {open_}: clauseway settle --period {open_} --assume …; what came late for a closed "
        "month becomes a correction there, or restates the month, as the agreement says."
    )
    first = min(books.closed_receipts())
    if days.begin < first.begin:
        problem = f"{period} cannot be settled any more"
        why = f"months are closed from {first.begin:%Y-%m} on"
        remedy = (
            f"Settle {open_}: clauseway settle --period {open_} --assume …; what is due for {period} "
            "is a correction there."
        )
    raise InvalidInput.of(what=problem, why=why, where="--period", remedy=remedy)


def _refuse_another_agreement(settler: Settler, closed: SettlementSummary) -> None:
    """Refuse to compare a month without an agreement that it was closed under: nothing would
    look due under it any more."""
    missing = sorted(set(closed.terms) - settler.terms)
    if missing:
        why = f"it was closed with {', '.join(missing)}, which the agreements given do not have"
        remedy = (
            "Write it into the text again (an amendment ends a share, and takes none out), or take "
            "all agreements of then: clauseway basis agreement FOLDER … --why …."
        )
        problem = f"{closed.period.begin:%Y-%m} cannot be compared"
        raise InvalidInput.of(what=problem, why=why, where="--agreement", remedy=remedy)


def _refuse_other_names(settler: Settler, months: ClosedMonths) -> None:
    """Refuse agreements of which two have a term by whose id months were closed: it is called
    `agreement:term` among several, so closed months would be taken back and booked again."""
    closed = {term for closed_month in months.closed for term in closed_month.terms}
    now = {share.term for share in settler.shares}
    for term in sorted(closed - now):
        others = {name for name in now if name.endswith(f":{term}")}
        # Homes of before have closed months by both names.
        if others and closed.isdisjoint(others):
            problem, why = f"two agreements have a term {term}", "months were closed by that name"
            remedy = (
                "Give the term of the other agreement another id, and accept its text: clauseway "
                "basis agreement FOLDER … --why …."
            )
            raise InvalidInput.of(what=problem, why=why, where="--agreement", remedy=remedy)


def vouchers_hash(vouchers: Sequence[Voucher]) -> str:
    """Return the hash of the credits and disputes that move bases; empty where there is none."""
    moving = [voucher for voucher in vouchers if isinstance(voucher, Credit | Dispute | Resolution)]
    return (
        hashlib.sha256(
            msgspec.json.encode(sorted(moving, key=lambda voucher: voucher.id))
        ).hexdigest()
        if moving
        else ""
    )


def _terms_of(opened: Opened) -> frozenset[str]:
    """Return the ids of all revenue shares that are written, in force or not, as settlements
    name them."""
    written = [
        (asked.agreement.id, term.id)
        for asked in each_of(opened)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, RevenueShareTerm)
    ]
    return frozenset({name for pair in written for name in (pair[1], ":".join(pair))})


def _known_at(lake: Lake, opened: Opened, prices: PriceTable, end: date) -> str:
    """Return the point of knowledge, where it leaves out anything at hand that holds before `end`
    and became known later.

    Else it is `everything`: the instant at which somebody settles is no input, and who settles the
    same an hour later gets the same.
    """
    point = prices.known_at
    # Everything at hand that became known after the point: prices, amendments, facts.
    later = [
        entry.interval.begin
        for book in prices.books
        for entry in book.entries
        if entry.known_at > point
    ]
    for asked in each_of(opened):
        later += [
            amendment.effective
            for amendment in asked.agreement.amendments
            if amendment.known > point
        ]
        later += [fact.effective for fact in asked.facts.facts if fact.known > point]
    # Only knowledge that begins before the end could have changed the settlement.
    is_partial = lake.is_limited or any(day < end for day in later)
    return str(point if is_partial else KnownAt.everything())
