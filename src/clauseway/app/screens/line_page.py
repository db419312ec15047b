"""Evidence behind a statement line for its page: amounts as text, the words of the clause, every
step."""

from decimal import Decimal

from clauseway.app.opening.home import Home
from clauseway.app.reports import tracing
from clauseway.app.reports.statements import Named, as_it_is, cents, exact
from clauseway.ledger.settlement import described
from clauseway.values import USD, InvalidInput
from clauseway.web.contexts import (
    ClauseShown,
    LineContext,
    RequestShown,
    TracedEntry,
    TracedLeg,
    TracedUnit,
)

# Records on the days of a line that a page reads without being asked for them: a blink of an eye.
RECORDS_MAX = 10_000


def line_page(
    home: Home,
    period: str,
    line: str,
    request: str,
    records: str = "",
    records_max: int = 0,
    named: Named = as_it_is,
) -> LineContext | None:
    """Return the page of a line of a month, with one request followed if it is named; None where
    the month has no such line or request.

    Where its days hold more than `records_max` records, they are left unread unless `records` says
    anything.
    """
    try:
        trace = tracing.trace_line(
            home, line, request, rows_max=0 if records else records_max or RECORDS_MAX
        )
    except InvalidInput:
        return None
    return line_context(trace, named) if (trace.period, trace.line.id) == (period, line) else None


def line_context(trace: tracing.LineTrace, named: Named = as_it_is) -> LineContext:
    """Return the trace for a page. `named` writes parties and clouds."""
    line = trace.line
    followed = any(request.share_after is not None for request in trace.requests)
    return LineContext(
        period=trace.period,
        id=line.id,
        title=f"{named(line.payer)} pays {named(line.payee)} {cents(line.amount)}: "
        + described(line.product, named(line.cloud), named(line.seller)),
        currency=USD,
        working=(*_counted(trace), *trace.working),
        remarks=trace.remarks,
        entries=tuple(
            TracedEntry(
                id=entry.id,
                day=entry.day,
                narration=entry.narration,
                legs=tuple(
                    TracedLeg(account=str(leg.account), amount=cents(leg.amount))
                    for leg in entry.postings
                ),
            )
            for entry in trace.entries
        ),
        days=tuple((day.day, f"{day.requests:,}", exact(day.charged)) for day in trace.days),
        prices=tuple(map(_unit, trace.prices)),
        requests=tuple(map(_request, trace.requests)),
        requests_note=_note(trace, followed=followed),
        is_outline=trace.unread > 0,
        clauses=tuple(
            ClauseShown(citation=clause.citation, title=clause.title, text=clause.text)
            for clause in trace.clauses
        ),
    )


def _note(trace: tracing.LineTrace, *, followed: bool) -> str:
    if trace.unread:
        return (
            f"{trace.line.requests:,} requests, among {trace.unread:,} records of these days, which "
            "are not read for a page that nobody asked to."
        )
    if followed:
        return "The request that was asked for."
    shown = len(trace.requests)
    return f"{shown:,} of {trace.line.requests:,}, the first and the last by event time."


def _counted(trace: tracing.LineTrace) -> tuple[str, ...]:
    """Return the charge, where only a part of it is in the base."""
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


def _request(request: tracing.TracedRequest) -> RequestShown:
    return RequestShown(
        id=request.request_id,
        at=request.at,
        whose="/".join(filter(None, (request.organisation, request.project))),
        served_by=f"{request.model} on {request.cloud} {request.region}".rstrip(),
        charged=exact(request.charged),
        units=tuple(map(_unit, request.units)),
        moved=_moved(request.share_before, request.share_after),
    )


def _moved(before: Decimal | None, after: Decimal | None) -> str:
    if before is None or after is None:
        return ""
    return f"In order of time it moved the line's share from {exact(before)} to {exact(after)}."
