"""`clauseway books close`: a month whose statement never changes again."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from clauseway.app.books.closing import close_month, closed_months
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.values import counted


def command(
    period: Annotated[
        str, typer.Argument(help="The month, as 2026-05; left out, the closed months are listed.")
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Close a settled month: its statement is kept, byte by byte, and never changes.

    Months are closed in order. Usage, a price, a fact, a credit or a resolved dispute that comes
    late for a closed month becomes a correction in the open month, or restates the closed one
    beside the original: the agreement's share says which, with late: correction or late:
    restatement. Either shows old, new and why. A closed month is not opened again.

    \b
    Close May:
      clauseway books close 2026-05
    What is closed, and what restates it:
      clauseway books close
    """
    if period:
        closing = close_month(home_at(home), period, datetime.now(UTC).date())
        closed = closing.month
        at = datetime.fromtimestamp(closed.closed_ns // 1_000_000_000, UTC)
        how = "is closed" if closing.is_new else f"was closed already, at {at:%Y-%m-%d %H:%M} UTC"
        answer(
            as_json,
            {
                "period": period,
                "receipt": closed.receipt,
                "statement": closed.digest,
                "closed_now": closing.is_new,
            },
            f"{period} {how}. Receipt {closed.receipt}, statement {closed.digest}.",
        )
        return 0
    months = closed_months(home_at(home))

    def show() -> None:
        out = console()
        for month, again in months:
            out.print(
                f"{month.period.begin:%Y-%m}  receipt {month.receipt}  statement {month.digest}",
                soft_wrap=True,
            )
            for restated in again:
                out.print(
                    f"         restated by {restated.receipt}, {counted(len(restated.changes), 'line')}",
                    soft_wrap=True,
                )
        if not months:
            out.print("No month is closed.")

    answer(
        as_json,
        [
            {
                "period": f"{month.period.begin:%Y-%m}",
                "receipt": month.receipt,
                "statement": month.digest,
                "restated_by": [restated.receipt for restated in again],
            }
            for month, again in months
        ],
        show,
    )
    return 0
