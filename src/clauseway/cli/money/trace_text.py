"""Print all that is behind a statement line: journal, days, prices, requests and clause."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding

from clauseway.app.reports.amounts import exact
from clauseway.cli.console import plain_table, print_indented
from clauseway.ledger.settlement import described
from clauseway.wording.decided import from_source

# Records to print: what makes them loads an engine.
if TYPE_CHECKING:
    from clauseway.app.reports.tracing import LineTrace, PricedUnit, TracedRequest

_FIGURES = ("requests", "quantity", "USD per million", "charged")


def print_trace(out: Console, trace: "LineTrace", pack: Path | None = None) -> None:
    """Print the whole chain, as wide as the terminal. What a pack says is said to be its own."""
    line = trace.line
    out.print(
        f"\nLine {line.id} of {trace.period}: {line.payer} pays {line.payee} {line.amount} USD",
        style="bold",
    )
    print_indented(out, described(line.product, line.cloud, line.seller), by=2)
    if trace.charged != trace.counted:
        print_indented(out, f"charged {exact(trace.charged)}, counted {exact(trace.counted)}", by=2)
    for step in trace.working:
        print_indented(out, step, by=2)
    for remark in trace.remarks:
        print_indented(out, f"Mind: {remark}", by=2, style="yellow")
    if pack is not None:
        mind = f"As the pack says; whether it holds: clauseway statement verify {pack}"
        print_indented(out, mind, by=2, style="dim")
    if trace.entries:
        _heading(out, "Journal")
    for entry in trace.entries:
        print_indented(out, f"{entry.day} {entry.narration}", by=4)
        for posting in entry.postings:
            print_indented(
                out, f"{posting.amount:>14,f} {posting.currency}  {posting.account}", by=6
            )
        print_indented(out, entry.id, by=6, style="dim")
    if trace.days:
        _heading(out, "Charges by day")
        days = [
            (str(charges.day), f"{charges.requests:,}", exact(charges.charged))
            for charges in trace.days
        ]
        _table(out, ("day", "requests", "charged"), days)
    if trace.prices:
        _heading(out, "Prices")
        _print_units(out, trace.prices)
    if trace.requests:
        _heading(out, _which_requests(len(trace.requests), trace.line.requests))
    for request in trace.requests:
        _print_request(
            out, request, whole=len(trace.requests) == 1 or request.share_after is not None
        )
    _heading(out, "Clauses")
    for clause in trace.clauses:
        cited = clause.citation
        out.print(f"    {cited.term}, {cited.document}:{cited.line}", style="bold", highlight=False)
        print_indented(out, from_source(cited.source), by=6, style="dim")
        for text in filter(None, (clause.title, clause.text or cited.text)):
            print_indented(out, text, by=6)


def _which_requests(shown: int, every: int) -> str:
    """Return the heading of the requests, which says how many of the line's are shown."""
    if shown >= every:
        return "Requests, all of them"
    if shown == 1:
        return f"One request of {every:,}"
    return f"Requests, the first and the last {shown // 2} of {every:,}; any other: --request ID"


def _print_request(out: Console, request: "TracedRequest", whole: bool) -> None:
    out.print(
        f"    {request.request_id} at {request.at}: {exact(request.charged)} USD", highlight=False
    )
    if not whole:
        return
    whose = "/".join(filter(None, (request.organisation, request.project)))
    where = f"{request.model} on {request.cloud} {request.region}".strip()
    print_indented(out, f"{whose} · {where}", by=6)
    # Usage that was imported may name neither.
    upstream = request.upstream_id and f"the cloud's own id {request.upstream_id}"
    decision = request.decision and f"decision {request.decision}"
    if upstream or decision:
        print_indented(out, " · ".join(filter(None, (upstream, decision))), by=6, style="dim")
    _print_units(out, request.units)
    if request.share_before is not None and request.share_after is not None:
        moved = f"{exact(request.share_before)} to {exact(request.share_after)}"
        print_indented(out, f"in order of time it moved the line's share from {moved} USD", by=6)


def _print_units(out: Console, units: "Sequence[PricedUnit]") -> None:
    rows = [
        (
            unit.unit,
            f"{unit.quantity:,}",
            exact(unit.usd_per_million),
            exact(unit.charged),
            unit.source,
        )
        for unit in units
    ]
    _table(out, ("unit", *_FIGURES[1:], "price from"), rows)


def _table(out: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = plain_table(*columns, figures=_FIGURES, gap=3)
    for row in rows:
        table.add_row(*row)
    out.print(Padding(table, (0, 0, 0, 4), expand=False))


def _heading(out: Console, text: str) -> None:
    out.print(f"\n  {text}", style="bold cyan")
