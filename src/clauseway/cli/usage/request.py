"""`clauseway usage request`: the life of one request."""

from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.opening.periods import days_given
from clauseway.app.reports.one_request import Attempted, is_own_id, one_request
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console
from clauseway.cli.output import progress_on_stderr

_PICODOLLARS = 10**12


def command(
    context: typer.Context,
    request_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="As in the header x-clauseway-request-id, or the id that the cloud gave it.",
        ),
    ],
    begin: Annotated[
        str, typer.Option("--from", help="First day in which a cloud's id is looked for.")
    ] = "",
    end: Annotated[str, typer.Option("--until", help="Last day.")] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Show what became of a request: each attempt at a cloud, the decision that let it through,
    units and cost.

    Reads journal and lake, so it tells of requests of any age. The gateway itself tells more of its
    latest ones, with the project's own key: GET /clauseway/v1/requests/ID says which deployments
    were skipped and why. A cloud's own id (OpenAI's x-request-id, Azure's apim-request-id, AWS's
    x-amzn-requestid, …), as its support names it, is looked for in all records, which takes longer:
    --from and --until say on which days.

    \b
    One request:
      clauseway usage request req_1f0c6d2b9a3e47580000000000000001
    For a machine:
      clauseway usage request req_1f0c6d2b9a3e47580000000000000001 --json
    By a cloud's own id:
      clauseway usage request 8f0f3b1e-0d0c-4a52-9a43-5b2f9ab0a1c7
    By a cloud's own id, of which the day is known:
      clauseway usage request 8f0f3b1e-0d0c-4a52-9a43-5b2f9ab0a1c7 --from 2026-05-01 --until 2026-05-01
    """
    if is_own_id(request_id):
        check_unread(
            context, dict.fromkeys(("begin", "end"), "a request's own id says where it is")
        )
    fewer = "" if begin or end else "; with --from and --until they are fewer"
    tell = progress_on_stderr("file", f"looked through{fewer}")
    request = one_request(home_at(home), request_id, days_given(begin, end), tell)

    def show() -> None:
        out = console()
        out.print(
            f"{request.request}  {request.operation} of {request.product}",
            style="bold",
        )
        out.print(
            f"at {request.at:%Y-%m-%d %H:%M:%S} UTC, {request.organisation}/{request.project}, key {request.key_id}\n"
        )
        for attempt in request.attempts:
            for line in _lines(attempt):
                out.print(line, highlight=False)

    answer(as_json, request, show)
    return 0


def _lines(attempt: Attempted) -> list[str]:
    answered = f" with {attempt.http_status}" if attempt.http_status else ""
    lines = [
        f"{attempt.attempt}. {attempt.deployment} ({attempt.cloud}, {attempt.region}, model {attempt.model}): "
        f"{attempt.status}{answered} after {attempt.duration_us / 1000:,.1f} ms",
        f"   let through by {attempt.decision}: {attempt.outcome}, {', '.join(attempt.terms) or 'no term'}",
    ]
    if attempt.upstream_id:
        lines.append(f"   the cloud's own id: {attempt.upstream_id}")
    if attempt.units:
        counted = ", ".join(
            f"{count:,} {unit.replace('_', ' ')}" for unit, count in attempt.units.items()
        )
        whole, rest = divmod(attempt.charge_picodollars, _PICODOLLARS)
        cost = f"{whole:,}.{f'{rest:012d}'.rstrip('0').ljust(2, '0')}"
        lines.append(f"   {counted}; {cost} USD, until settlement prices it")
    return lines
