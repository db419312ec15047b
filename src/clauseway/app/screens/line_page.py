"""The pages behind a statement line: its working, entries, prices and clauses, and its requests,
day by day."""

from decimal import Decimal

from clauseway.app.customers.tenants import customer_in_words
from clauseway.app.opening.home import Home
from clauseway.app.reports import tracing
from clauseway.app.reports.amounts import cents, exact
from clauseway.app.reports.statements import Named, as_it_is
from clauseway.ledger import Account
from clauseway.ledger.settlement import described
from clauseway.ledger.statement import StatementLine
from clauseway.values import (
    USD,
    InvalidInput,
    KnownAt,
    counted,
    parse_day,
    read_place,
)
from clauseway.web.contexts import (
    ClauseShown,
    DayRequestsContext,
    LineContext,
    RequestShown,
    TracedEntry,
    TracedLeg,
    TracedUnit,
)

# Records on the days of a line that a page reads unasked: they take a fraction of a second.
RECORDS_MAX = 10_000
_ALL = "all"
# Requests on a page of a day's requests.
REQUESTS_MAX = 100


def line_page(
    home: Home,
    period: str,
    line: str,
    request: str,
    records: str = "",
    named: Named = as_it_is,
) -> LineContext | None:
    """Return the page of a line of a month, with one request followed if it is named; None if the
    month has no such line. Raise InvalidInput for a request that the line does not have.

    If its days have more than `RECORDS_MAX` records, read them only if `records` is `all`.
    """
    if records not in ("", _ALL):
        raise InvalidInput.of(
            what=f"{records!r} are no records that can be read",
            why=f"they are read with records={_ALL}, or not at all",
            where="records",
            remedy=f"Write records={_ALL}, or leave it out.",
        )
    try:
        trace = tracing.trace_line(
            home,
            line,
            request,
            rows_max=0 if records else RECORDS_MAX,
            period=period,
        )
    except tracing.NotTraced:
        return None
    return line_context(trace, named) if (trace.period, trace.line.id) == (period, line) else None


def line_context(trace: tracing.LineTrace, named: Named) -> LineContext:
    """Return the trace for a page. `named` writes parties and clouds, alone or within a text."""
    line = trace.line
    followed = any(request.share_after is not None for request in trace.requests)
    return LineContext(
        period=trace.period,
        id=line.id,
        title=_title(line, named),
        currency=USD,
        working=(*_counted(trace), *trace.working),
        remarks=trace.remarks,
        entries=tuple(
            TracedEntry(
                id=entry.id,
                day=entry.day,
                narration=named(entry.narration),
                legs=tuple(
                    TracedLeg(account=_account(leg.account, named), amount=cents(leg.amount))
                    for leg in entry.postings
                ),
            )
            for entry in trace.entries
        ),
        days=tuple((day.day, f"{day.requests:,}", exact(day.charged)) for day in trace.days),
        prices=tuple(map(_unit, trace.prices)),
        requests=tuple(_request(request, named) for request in trace.requests),
        requests_note=_note(trace, followed=followed),
        is_outline=trace.unread > 0,
        clauses=tuple(
            ClauseShown(citation=clause.citation, title=clause.title, text=clause.text)
            for clause in trace.clauses
        ),
    )


def day_requests_page(
    home: Home, period: str, line: str, day: str, begin: str, named: Named = as_it_is
) -> DayRequestsContext | None:
    """Return a page of the requests of a line on a day, from number `begin` on (empty: from the
    first); None if the month has no such line, or the line no request on that day.

    Raise InvalidInput: an invalid day or number, or usage without a price.
    """
    on = parse_day(day, "the day")
    first = read_place(begin, "request", "from", of="the day")
    try:
        day_requests = tracing.requests_of_day(home, period, line, on, first - 1, REQUESTS_MAX)
    except tracing.NotTraced:
        return None
    if (day_requests.period, day_requests.line.id) != (period, line):
        return None
    read_place(begin, "request", "from", of="the day", count=day_requests.day.requests)
    last = first - 1 + len(day_requests.requests)
    return DayRequestsContext(
        period=period,
        line=line,
        day=on,
        title=_title(day_requests.line, named),
        currency=USD,
        said=f"{first:,} to {last:,} of {day_requests.day.requests:,}; the day is charged "
        f"{exact(day_requests.day.charged)} {USD}",
        requests=tuple(_request(request, named) for request in day_requests.requests),
        earlier=max(1, first - REQUESTS_MAX) if first > 1 else None,
        later=last + 1 if last < day_requests.day.requests else None,
    )


def _title(line: StatementLine, named: Named) -> str:
    return f"{named(line.payer)} pays {named(line.payee)} {cents(line.amount)} {USD}: " + described(
        line.product, named(line.cloud), named(line.seller)
    )


def _note(trace: tracing.LineTrace, *, followed: bool) -> str:
    if trace.unread:
        return (
            f"{counted(trace.line.requests, 'request')}. Not read yet: "
            f"{counted(trace.unread, 'record')} of these days."
        )
    if followed:
        return "The request that was asked for."
    shown = len(trace.requests)
    if shown == trace.line.requests:
        return f"All {shown:,}." if shown > 1 else ""
    return (
        f"{shown:,} of {trace.line.requests:,}, the first and the last by event time; all of a day "
        "stand behind its number above."
    )


def _counted(trace: tracing.LineTrace) -> tuple[str, ...]:
    """Return the charge if only a part of it is in the base."""
    if trace.charged == trace.counted:
        return ()
    return (f"charged {exact(trace.charged)}, counted in the base {exact(trace.counted)}",)


def _unit(unit: tracing.PricedUnit) -> TracedUnit:
    return TracedUnit(
        unit=unit.unit.replace("_", " "),
        quantity=f"{unit.quantity:,}",
        price=exact(unit.usd_per_million),
        charged=exact(unit.charged),
        source=unit.source,
    )


def _account(account: Account, named: Named) -> str:
    about = f", with {named(account.about)}" if account.about else ""
    return f"{named(account.party)}, {account.in_words}{about}"


def _request(request: tracing.TracedRequest, named: Named) -> RequestShown:
    region = f", {request.region}" if request.region else ""
    return RequestShown(
        id=request.request_id,
        at=str(KnownAt.parse(request.at).to_the_second()),
        whose=customer_in_words(request.organisation, request.project),
        served_by=f"{request.model} on {named(request.cloud)}{region}",
        charged=exact(request.charged),
        units=tuple(map(_unit, request.units)),
        moved=_moved(request.share_before, request.share_after),
    )


def _moved(before: Decimal | None, after: Decimal | None) -> str:
    if before is None or after is None:
        return ""
    return f"In order of time it moved the line's share from {exact(before)} to {exact(after)}."
