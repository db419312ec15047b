"""The evidence behind a statement line: entries, days, units with prices, requests and clauses.

    statement line ─▶ entries ─▶ charges by day ─▶ units and prices ─▶ requests
          └─────────▶ clauses, with file, line and source

Everything is read again from its source, as known when the line was settled; a remark states every
sum that differs from the line. An outline leaves the records unread, so that its time does not grow
with their number.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.app.agreements.passages import clause_at, located_again
from clauseway.app.books.basis import basis_of, settled_agreement, settled_prices
from clauseway.app.books.bookkeeping import Sold, dispute_days
from clauseway.app.books.settled import latest_settlements, now, settlement_of
from clauseway.app.books.settling import Settler, saw_all_usage
from clauseway.app.opening.home import Home
from clauseway.app.opening.priced_usage import charge_of, in_usd
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.app.opening.several import Opened
from clauseway.app.reports.amounts import cents, exact, percent
from clauseway.app.reports.statements import working_of
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import Dispute, Entry, RevenueLine, Settlement, StatementChange, statement_of
from clauseway.ledger.accruals import references
from clauseway.ledger.statement import StatementLine, change_id, line_id
from clauseway.metering import Used
from clauseway.pricing import PriceTable
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.attempts import Selection, attempts
from clauseway.storage.usage.priced import revenue
from clauseway.storage.usage.sums import day_sums
from clauseway.values import (
    CENT,
    USD,
    Citation,
    Interval,
    InvalidInput,
    KnownAt,
    counted,
    day_after,
    exact_product,
    exact_sum,
)

# Requests shown from either end of a line.
_SHOWN = 3


class NotTraced(InvalidInput):
    """The line does not exist, or has no such day."""


class DayCharge(msgspec.Struct, frozen=True, kw_only=True):
    """The charge for a line's requests of one event day (UTC), in USD."""

    day: date
    requests: int
    charged: Decimal


class PricedUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit at one price: `quantity` × `usd_per_million` ÷ 10⁶ = `charged`. `source` is the
    price's source, with the rate of its day if it is in another currency."""

    unit: str
    quantity: int
    usd_per_million: Decimal
    charged: Decimal
    source: str


class TracedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a line: its customer, time, usage and charge.

    In order of event time it moved the line's share from `share_before` to `share_after`, in USD,
    unrounded.
    """

    request_id: str
    attempt: int
    at: str
    organisation: str
    project: str
    cloud: str
    region: str
    model: str
    upstream_id: str
    decision: str
    terms: tuple[str, ...]
    units: tuple[PricedUnit, ...]
    charged: Decimal
    share_before: Decimal | None = None
    share_after: Decimal | None = None


class TracedClause(msgspec.Struct, frozen=True, kw_only=True):
    """A clause behind a line. `text` is its prose, empty if the agreement at hand has none
    there."""

    citation: Citation
    title: str
    text: str


class LineTrace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything behind a line.

    `remarks` say what could not be repeated, and why. `unread` is the number of records on the
    line's days if the trace is an outline: then `days` are the days that settling kept, if any, and
    there are neither `prices` nor `requests`.

    `requests` are the first and the last by event time, or the request that was asked for.
    `counted` is the part of the charges in the share's base; `working` are the steps to the line's
    amount, as in its statement.
    """

    period: str
    line: StatementLine
    working: tuple[str, ...]
    receipt: str
    entries: tuple[Entry, ...]
    days: tuple[DayCharge, ...]
    charged: Decimal
    counted: Decimal
    prices: tuple[PricedUnit, ...]
    requests: tuple[TracedRequest, ...]
    clauses: tuple[TracedClause, ...]
    remarks: tuple[str, ...]
    unread: int = 0


def trace_line(
    home: Home, line: str, request: str = "", cent: int = 0, rows_max: int = 0, *, period: str = ""
) -> LineTrace:
    """Return the evidence behind a line of the latest settlements. `line` is the beginning of its
    id; with `period`, it is looked for in that month alone.

    With `request` follow that request; with `cent` the request that brought the line to that cent.
    With `rows_max`, outline a line whose days have more records, unless a request is followed.
    Raise InvalidInput: no such line, request or cent, or usage without a price.
    """
    traced = _find(home, line, period)
    with open_lake(home) as lake:
        inputs = traced.settlement.inputs
        known_at = KnownAt.parse(inputs.known_at)
        opened = settled_agreement(home, inputs.agreement)
        rows = sum(file.rows for file in lake.usage_files(traced.line.days))
        if rows_max and rows > rows_max and not request and not cent:
            # A settlement by all knowledge kept the days by the prices that were known then.
            prices = settled_prices(home, inputs.price_book, min(known_at, now()))
            return _outline(lake, prices, opened, traced, rows)
        table = settled_prices(home, inputs.price_book, known_at)
        with refusing_unpriced():
            return _Tracer(lake, table, opened, traced).trace(request, cent)


class BookedDispute(msgspec.Struct, frozen=True, kw_only=True):
    """A line in dispute: its booked disputes, one for each day."""

    line: str
    booked: tuple[Dispute, ...]


def disputed_days(
    home: Home, line: str, party: str, reason: str, day: date | None
) -> BookedDispute:
    """Dispute the rest of a line's charges after credits and other disputes: a voucher for each
    day, all or none. Repeating it changes nothing.

    Raise InvalidInput.
    """
    trace = trace_line(home, line)
    if party not in (trace.line.payer, trace.line.payee):
        why, remedy = (
            f"{party} neither pays nor is paid by it",
            f"Ask {trace.line.payer} or {trace.line.payee}.",
        )
        raise InvalidInput.of(what="it cannot be disputed", why=why, where="--party", remedy=remedy)
    if not trace.days:
        why, remedy = "it has no usage", "Dispute the lines of the months that it corrects."
        raise InvalidInput.of(what="it cannot be disputed", why=why, where="LINE", remedy=remedy)
    statement_line = trace.line
    # Named by line and day, so that the same dispute again changes nothing.
    claims = {
        f"{statement_line.id}-{day_charge.day}": Sold(
            day=day_charge.day,
            seller=statement_line.seller,
            cloud=statement_line.cloud,
            product=statement_line.product,
        )
        for day_charge in trace.days
    }
    booked = dispute_days(
        home, lambda: basis_of(home).prices(now()), claims, day, f"{party}: {reason}"
    )
    return BookedDispute(line=statement_line.id, booked=tuple(booked))


class DayRequests(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of a line on one event day, in order of event time, after the first `skipped`; `day`
    counts and sums all requests of the day."""

    period: str
    line: StatementLine
    day: DayCharge
    skipped: int
    requests: tuple[TracedRequest, ...]


def requests_of_day(
    home: Home, period: str, line: str, day: date, skipped: int, most: int
) -> DayRequests:
    """Return at most `most` requests of a day of a month's line. No other day is read.

    Raise NotTraced: no such line, or a day without a request of it. Raise InvalidInput: usage
    without a price.
    """
    traced = _find(home, line, period)
    with open_lake(home) as lake:
        inputs = traced.settlement.inputs
        prices = settled_prices(home, inputs.price_book, KnownAt.parse(inputs.known_at))
        days = Interval(day, day_after(day)).intersect(traced.line.days)
        with refusing_unpriced():
            charged = _kept_days(home, lake, prices, traced, days) or _of_line(
                traced.line, revenue(lake, prices, days, product=traced.line.product)
            )
            if not charged:
                raise _no_requests(traced, day)
            selected = attempts(lake, _selection(traced.line, days), first=most, skipped=skipped)
            return DayRequests(
                period=traced.period,
                line=traced.line,
                day=charged[0],
                skipped=skipped,
                requests=tuple(_request(attempt, prices) for attempt in selected),
            )


def _kept_days(
    home: Home, lake: Lake, prices: PriceTable, traced: "_TracedLine", days: Interval
) -> tuple[DayCharge, ...]:
    """Return the charges that settling kept of a line's days, without reading records; none if it
    kept none, or if records came since."""
    inputs = traced.settlement.inputs
    # A settlement by all knowledge kept the days by the prices that were known then.
    by_then = PriceTable(prices.books, min(prices.known_at, now()), prices.rates)
    return _kept(lake, by_then, settled_agreement(home, inputs.agreement), traced, days)


def _kept(
    lake: Lake, prices: PriceTable, opened: Opened, traced: "_TracedLine", days: Interval
) -> tuple[DayCharge, ...]:
    charges = Settler(lake, opened, prices, traced.settlement.inputs.readings or {}).charges
    return _of_line(traced.line, charges.kept(days))


def _no_requests(traced: "_TracedLine", day: date) -> NotTraced:
    days = traced.line.days
    return NotTraced.of(
        what=f"line {traced.line.id} has no requests on {day}",
        why=f"it has no charged request on that day; its days are from {days.begin} until {days.end}",
        where="the day",
        remedy="Take a day from the line's days.",
    )


class _TracedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line, and how to follow it: the reference of its entries, the number of its requests, its
    base, and the amount taken back. `is_plain`: each charge moved it by the line's rate."""

    period: str
    settlement: Settlement
    line: StatementLine
    reference: str
    requests: int
    base: Decimal
    adjusted: Decimal
    working: tuple[str, ...]
    is_plain: bool
    remarks: tuple[str, ...] = ()


def _find(home: Home, name: str, of_period: str = "") -> _TracedLine:
    every = [
        candidate
        for period, settlement in latest_settlements(home, of_period).items()
        for candidate in _lines(home, period, settlement, name.lower())
    ]
    if len(every) == 1:
        return every[0]
    remedy = "Take the name from a statement: clauseway statement --period 2026-05."
    if not every:
        raise NotTraced.of(
            what=f"no line {name!r}", why="no settled month has it", where="LINE", remedy=remedy
        )
    names = ", ".join(
        f"{candidate.line.id} ({candidate.line.product} on {candidate.line.cloud}, "
        f"{candidate.period})"
        for candidate in every[:5]
    )
    raise NotTraced.of(
        what=f"{len(every)} lines begin with {name!r}", why=names, where="LINE", remedy=remedy
    )


def _lines(home: Home, period: str, settlement: Settlement, name: str) -> Iterator[_TracedLine]:
    """Yield the lines of a settlement whose ids begin with a name; none for an empty one."""
    stated = [line for line in statement_of(settlement).lines if line.id.startswith(name)]
    if not name or not stated:
        return
    # A line of the statement is a line of a share, or a change of a closed month.
    of_id = {
        line_id(settlement.period, share, line): (share, line)
        for share in settlement.shares
        for line in share.lines
    }
    changes = {
        change_id(settlement.period, change, is_restated=is_restated): change
        for is_restated, changed in ((False, settlement.corrections), (True, settlement.restated))
        for change in changed
    }
    accrued, corrected = references(settlement.period)
    for line in stated:
        if line.id in of_id:
            share, own = of_id[line.id]
            yield _TracedLine(
                period=period,
                settlement=settlement,
                line=line,
                reference=f"{accrued}{own.id}",
                requests=own.requests,
                base=own.base,
                adjusted=own.adjusted,
                working=working_of(share, own),
                is_plain=own.moved == exact_product(own.base, own.rate),
            )
        else:
            change = changes[line.id]
            # A change says what was stated, what is due now, and why.
            does = (
                f"It corrects {line.corrects}"
                if line.corrects
                else f"It is what restated {line.restates}"
            )
            was = f"{does}: {change.old} was stated and {change.new} is due."
            restated = references(change.period)[0]
            yield _TracedLine(
                period=period,
                settlement=settlement,
                line=line,
                reference=f"{corrected}{change.period.begin}|{change.line}"
                if line.corrects
                else f"{restated}{change.line}",
                requests=change.new_requests,
                base=change.new_base,
                adjusted=change.new_adjusted,
                working=(*_steps_of_change(change, _rate_closed(home, change)), *change.causes),
                is_plain=False,
                remarks=(was, *(f"Why: {cause}." for cause in change.causes)),
            )


def _rate_closed(home: Home, change: StatementChange) -> Decimal | None:
    """Return the rate of a line in the month that was closed; None if the month had no such line."""
    closed = settlement_of(home, f"{change.period.begin:%Y-%m}")
    shares = closed.shares if closed is not None else ()
    rates = (line.rate for share in shares for line in share.lines if line.id == change.line)
    return next(rates, None)


def _steps_of_change(change: StatementChange, rate: Decimal | None) -> Iterator[str]:
    """Yield the line as it was stated, as it is due, and the difference."""
    old = _charged(change.old_requests, change.old_base)
    yield f"stated before: {old}; {_at(rate, change.old_base, change.old)}stated as {cents(change.old)}"
    new = _charged(change.new_requests, change.new_base)
    yield f"due now: {new}; {_at(rate, change.new_base, change.new)}due as {cents(change.new)}"
    requests = change.new_requests - change.old_requests
    moved = _charged(requests, exact_sum((change.new_base, -change.old_base)))
    yield f"difference: {moved}; {cents(change.new)} less {cents(change.old)} is {cents(change.amount)}"


def _charged(requests: int, base: Decimal) -> str:
    return f"{counted(requests, 'request')}, charged {exact(base)}"


def _at(rate: Decimal | None, base: Decimal, amount: Decimal) -> str:
    """Return the step from a base to an amount by a rate, empty where the rate alone does not give
    it: a cap, a band, a minimum or another rate is in it."""
    if rate is None:
        return ""
    moved = exact_product(base, rate)
    gives_it = abs(exact_sum((moved, -amount))) < CENT
    return f"{percent(rate)} of it is {exact(moved)}, " if gives_it else ""


def _outline(
    lake: Lake, prices: PriceTable, opened: Opened, traced: _TracedLine, rows: int
) -> LineTrace:
    """Return the trace of a line from the books and the kept charges, without reading records."""
    settlement, line = traced.settlement, traced.line
    days = _kept(lake, prices, opened, traced, line.days)
    return LineTrace(
        period=traced.period,
        line=line,
        working=traced.working,
        receipt=settlement.receipt,
        entries=tuple(_entries(lake, traced)),
        days=days,
        charged=exact_sum(day.charged for day in days) if days else traced.base,
        counted=traced.base,
        prices=(),
        requests=(),
        clauses=tuple(_clause(opened, citation) for citation in line.citations),
        remarks=traced.remarks,
        unread=rows,
    )


def _entries(lake: Lake, traced: _TracedLine) -> Iterator[Entry]:
    """Yield the entries that accrue a line, and the entries that correct it in a later period."""
    own, period = traced.reference, traced.settlement.period
    later = f"|{period.begin}|{own.removeprefix(references(period)[0])}"
    for entry in lake.control.entries(own, "correction|"):
        if entry.reference == own or (
            not traced.line.is_change and entry.reference.endswith(later)
        ):
            yield entry


def _of_line(line: StatementLine, charges: Sequence[RevenueLine]) -> tuple[DayCharge, ...]:
    """Return the charges that belong to a line."""
    return tuple(
        DayCharge(day=charge.event_day, requests=charge.requests, charged=charge.amount)
        for charge in charges
        if (charge.seller, charge.cloud, charge.product) == (line.seller, line.cloud, line.product)
    )


class _Tracer:
    """Follows one line, with the lake and the prices that it was settled from."""

    def __init__(self, lake: Lake, prices: PriceTable, opened: Opened, traced: _TracedLine) -> None:
        self._lake, self._prices, self._opened = lake, prices, opened
        self._settlement, self._line, self._traced = traced.settlement, traced.line, traced
        self._period = traced.period
        line = self._line
        self._selection = _selection(line, line.days)
        self._days = self._charges_by_day()
        self._charged = exact_sum(day.charged for day in self._days)
        base = traced.base - traced.adjusted
        self._part = base / self._charged if self._charged else Decimal(1)

    def trace(self, request: str, cent: int) -> LineTrace:
        if cent:
            request = self._request_of_cent(cent)
        return LineTrace(
            period=self._period,
            line=self._line,
            working=self._traced.working,
            receipt=self._settlement.receipt,
            entries=tuple(_entries(self._lake, self._traced)),
            days=self._days,
            charged=self._charged,
            counted=self._traced.base,
            prices=self._priced_units(),
            requests=self._followed(request) if request else self._first_and_last(),
            clauses=tuple(_clause(self._opened, citation) for citation in self._line.citations),
            remarks=tuple(self._remarks()),
        )

    def _charges_by_day(self) -> tuple[DayCharge, ...]:
        line = self._line
        charges = revenue(self._lake, self._prices, line.days, product=line.product)
        return _of_line(line, charges)

    def _priced_units(self) -> tuple[PricedUnit, ...]:
        sums = Counter[tuple[str, int, str, str, Decimal]]()
        for usage in day_sums(self._lake, self._prices, self._selection, of_all_buyers=True):
            charge = self._prices.charge_sum(usage.sale, usage.day, usage.units)
            rate = self._prices.usd(charge.currency, usage.day)
            for of_unit in charge.lines:
                priced = (of_unit.unit.column, of_unit.price, of_unit.source, charge.currency, rate)
                sums[priced] += of_unit.quantity
        return tuple(
            _unit(unit, quantity, price, source, currency, rate)
            for (unit, price, source, currency, rate), quantity in sorted(sums.items())
        )

    def _first_and_last(self) -> tuple[TracedRequest, ...]:
        return tuple(
            _request(attempt, self._prices)
            for attempt in attempts(self._lake, self._selection, first=_SHOWN, last=_SHOWN)
        )

    def _followed(self, request: str) -> tuple[TracedRequest, ...]:
        """Return every attempt of a request in the line, with the line's share before and after."""
        selection = msgspec.structs.replace(self._selection, request_id=request)
        followed = []
        for attempt in attempts(self._lake, selection):
            traced = _request(attempt, self._prices)
            # With a cap or bands, no part of the share belongs to a single request.
            if not self._traced.is_plain:
                followed.append(traced)
                continue
            before = self._charged_before(attempt)
            share = [self._share(before), self._share(before + traced.charged)]
            followed.append(
                msgspec.structs.replace(traced, share_before=share[0], share_after=share[1])
            )
        if not followed:
            raise InvalidInput.of(
                what=f"no request {request!r}",
                why="the line's days hold no such request that was charged",
                where="--request",
                remedy="Take it from the line's requests.",
            )
        return tuple(followed)

    def _request_of_cent(self, cent: int) -> str:
        """Return the first request, in order of event time, at which the line's share reaches
        `cent` cents."""
        if not self._traced.is_plain:
            why = (
                "a cap, a band, a minimum or another month is in it, so no request earned a "
                "cent by the rate alone"
            )
            remedy = (
                "Follow a request instead, with --request; the line's working says how it came "
                "to its amount."
            )
            raise InvalidInput.of(what=f"no cent {cent}", why=why, where="--cent", remedy=remedy)
        cents = int(self._line.amount / CENT)
        if not 0 < cent <= cents:
            why = f"the line amounts to {self._line.amount}"
            remedy = f"Name one from 1 to {cents}." if cents > 0 else "Take another line."
            raise InvalidInput.of(what=f"no cent {cent}", why=why, where="--cent", remedy=remedy)
        wanted, charged, last = cent * CENT, Decimal(0), ""
        for day in self._days:
            after = charged + day.charged
            if self._share(after) >= wanted or day is self._days[-1]:
                for attempt in self._attempts_of(day.day):
                    charged += self._charge(attempt)
                    last = str(attempt.request)
                    if self._share(charged) >= wanted:
                        return last
            charged = after
        # Rounding gave the line its last cent.
        return last

    def _charged_before(self, attempt: Used) -> Decimal:
        day = _day_of(attempt)
        earlier = [day_charge.charged for day_charge in self._days if day_charge.day < day]
        key = (attempt.event_ns, attempt.request, attempt.attempt)
        same_day = [
            self._charge(attempt)
            for attempt in self._attempts_of(day)
            if (attempt.event_ns, attempt.request, attempt.attempt) < key
        ]
        return exact_sum([*earlier, *same_day])

    def _attempts_of(self, day: date) -> Iterator[Used]:
        return attempts(
            self._lake, msgspec.structs.replace(self._selection, days=Interval(day, day_after(day)))
        )

    def _share(self, charged: Decimal) -> Decimal:
        """Return the line's share of a charged amount, by its rate and unrounded."""
        return exact_product(exact_product(charged, self._part), self._line.rate)

    def _charge(self, attempt: Used) -> Decimal:
        """Return the charge for an attempt, in USD."""
        return in_usd(charge_of(attempt, self._prices), _day_of(attempt), self._prices)

    def _remarks(self) -> Iterator[str]:
        inputs = self._settlement.inputs
        yield from self._traced.remarks
        if self._prices.digest != inputs.price_book:
            yield "The price book that was settled with is not in this home; another was used here."
        if not saw_all_usage(self._lake, self._settlement):
            yield (
                "The usage in this lake is not what was settled: usage came after it was "
                "settled, or is gone."
            )
        requests = sum(day.requests for day in self._days)
        if requests != self._traced.requests:
            held = f"The days hold {counted(requests, 'request')}, the line {self._traced.requests}"
            yield f"{held}: usage came after it was settled."
        if self._traced.adjusted:
            yield f"Credits and disputes took back {-self._traced.adjusted} of what was charged."


def _selection(line: StatementLine, days: Interval) -> Selection:
    return Selection(days=days, seller=line.seller, cloud=line.cloud, product=line.product)


def _request(attempt: Used, prices: PriceTable) -> TracedRequest:
    charge = charge_of(attempt, prices)
    rate = prices.usd(charge.currency, _day_of(attempt))
    return TracedRequest(
        request_id=str(attempt.request),
        attempt=attempt.attempt,
        at=str(KnownAt(attempt.event_ns)),
        organisation=attempt.organisation,
        project=attempt.project,
        cloud=attempt.cloud,
        region=attempt.region,
        model=attempt.model,
        upstream_id=attempt.upstream_id,
        decision=attempt.decision,
        terms=attempt.terms,
        units=tuple(
            _unit(
                charge_line.unit.column,
                charge_line.quantity,
                charge_line.price,
                charge_line.source,
                charge.currency,
                rate,
            )
            for charge_line in charge.lines
        ),
        charged=in_usd(charge, _day_of(attempt), prices),
    )


def _day_of(attempt: Used) -> date:
    return KnownAt(attempt.event_ns).day


def _unit(
    unit: str, quantity: int, price: int, source: str, currency: str, rate: Decimal
) -> PricedUnit:
    """Return a unit at a price in picos of a currency, converted at its `rate` in USD."""
    listed = Decimal(price).scaleb(-6)
    if currency != USD:
        source = f"{source}: {currency} {listed.normalize():f} at {rate.normalize():f}"
    return PricedUnit(
        unit=unit,
        quantity=quantity,
        usd_per_million=exact_product(listed, rate),
        charged=exact_product(Decimal(quantity * price).scaleb(-12), rate),
        source=source,
    )


def _clause(opened: Opened, citation: Citation) -> TracedClause:
    """Return the clause under which a citation's line stands."""
    place = located_again(opened, citation)
    clause = clause_at(opened, place.document, place.line)
    if clause is None:
        return TracedClause(citation=citation, title="", text="")
    return TracedClause(
        citation=citation, title=f"{clause.number} {clause.title}", text=clause.text
    )
