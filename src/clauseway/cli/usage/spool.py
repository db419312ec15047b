"""`clauseway spool`: the usage journals and their losses."""

from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.usage.losses import Journals, accept_loss, journals, write_off
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.usage.accepted_loss import print_accepted
from clauseway.storage.books.losses import NOTHING, RESERVED, Spool

LOST = 2
app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_Estimate = Annotated[
    str,
    typer.Option(
        "--estimate",
        help=f"{RESERVED}: what attempts without an end had reserved. {NOTHING}: nothing is added.",
    ),
]
_Why = Annotated[
    str, typer.Option("--why", help="Why, in a sentence; every statement that rests on it says so.")
]


@app.callback()
def _spool() -> None:
    """The journals that gateways write usage to before it is sealed, and their losses."""


@app.command("list")
def list_command(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Show the registered journals and everything that was lost of them.

    \b
    What is there, what is missing, what was accepted and by whom:
      clauseway spool list

    Exit code: 0 nothing is open, 2 something is missing or damaged and nobody accepted an estimate
    for it.
    """
    overview = journals(home_at(home))
    answer(as_json, overview, lambda: _print(overview))
    return LOST if overview.is_open else 0


@app.command()
def accept(
    number: Annotated[
        int,
        typer.Argument(
            parser=options.whole("NUMBER"),
            metavar="NUMBER",
            help="The loss, as spool list numbers it.",
        ),
    ],
    why: _Why,
    estimate: _Estimate = RESERVED,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Accept an estimate for frames that cannot be read, so that their months can be settled.

    It is recorded who accepted it, when and why, and every statement of these months says so. Usage
    that turns up later replaces the estimate; in a month that is closed, as a correction.

    \b
    At what the attempts without an end reserved:
      clauseway spool accept 1 --why "the disk of gateway 2 failed on 5 May"
    At nothing, because the cloud's bill was imported instead:
      clauseway spool accept 1 --estimate nothing --why "imported from the bill of May"
    """
    print_accepted(accept_loss(home_at(home), number, estimate, why), as_json)
    return 0


@app.command("write-off")
def write_off_command(
    spool: Annotated[
        str,
        typer.Argument(help="The journal's name, or the beginning of it, as spool list shows it."),
    ],
    why: _Why,
    estimate: _Estimate = RESERVED,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Declare a journal lost that was registered and is not there any more.

    Budget slices that its gateways held count as spent, and an estimate is accepted as with
    `spool accept`. A journal that is put back later is sealed as always: its records replace the
    estimate.

    \b
      clauseway spool write-off 8732aa57 --why "the volume was deleted on 5 May"
    """
    print_accepted(write_off(home_at(home), spool, estimate, why), as_json)
    return 0


def _print(overview: Journals) -> None:
    out = console()
    for journal in overview.spools:
        out.print(f"{journal.spool}  {journal.place}: {_state(journal, overview)}", soft_wrap=True)
    for loss in overview.losses:
        out.print(
            f"loss {loss.number}: usage of {loss.days}, {loss.place}: {loss.reason}", soft_wrap=True
        )
        if loss.is_accepted:
            again = "; the journal was found again" if loss.found_ns else ""
            out.print(
                f"  {loss.estimate} accepted by {loss.who}: {loss.why}{again}", soft_wrap=True
            )
    for alone in overview.alone:
        until = f"until {alone.until}, when its follower had all of it" if alone.until else "on"
        out.print(f"{alone.place}: usage had one copy from {alone.since} {until}", soft_wrap=True)
    for problem in overview.open:
        out.print(
            f"open: {problem.what} ({problem.where}): {problem.why}\n  {problem.remedy}",
            soft_wrap=True,
        )
    if not overview.spools:
        out.print("No journal was written here.")


def _state(spool: Spool, overview: Journals) -> str:
    if any(loss.spool == spool.spool and loss.is_standing_write_off for loss in overview.losses):
        return "written off"
    if spool.missing_ns:
        return "missing"
    if spool.is_at_rest:
        return "at rest: all of it is sealed"
    state = "open: its end is not sealed yet"
    for other in overview.others:
        if other.home != spool.home:
            continue
        if not other.is_silent:
            return f"{state}; held by home {other.home}, heard {other.silent_s:,} s ago"
        return (
            f"{state}; held by home {other.home}, silent for {other.silent_s:,} s. If its machine is "
            f"gone: clauseway journal recover {spool.spool[:8]} where its copy lies, "
            f"or clauseway spool write-off {spool.spool[:8]}"
        )
    return state
