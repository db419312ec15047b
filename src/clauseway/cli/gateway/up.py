"""`clauseway up`: the whole thread on one screen."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.reports.statements import statement_context
from clauseway.app.running.machine_faults import end_of
from clauseway.app.running.replaying import planned_requests
from clauseway.app.running.snippets import snippets_for
from clauseway.app.running.up import ASSUMPTIONS, Night, fresh_home, night, play, settle_night, stay
from clauseway.cli import options
from clauseway.cli.console import console, print_indented
from clauseway.cli.gateway.replay_progress import ReplayDisplay, counts_table
from clauseway.cli.money.settle import Assume
from clauseway.cli.money.statement_text import print_statement
from clauseway.cli.output import print_json
from clauseway.cli.signals import stop_on_signals
from clauseway.ledger import Settlement, statement_of
from clauseway.sandbox.traffic.replay import ReplayedRequest, ReplayReport
from clauseway.values import counted


def command(
    once: Annotated[bool, typer.Option("--once", help="End after the statement.")] = False,
    assume: Assume = None,
    limit: Annotated[
        int,
        typer.Option(
            parser=options.whole("--limit"),
            metavar="NUMBER",
            help="Replay at most so many requests; 0 for the whole sample.",
        ),
    ] = 0,
    port: options.GatewayPort = None,
    pages_port: options.PagesPort = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Play the night of the amendment: clouds, gateway, pages, a week of real traffic, two settled
    months.

    Everything runs on this machine: simulated clouds, the gateway in front of them, the pages. A
    sample of real production traffic is replayed under a simulated business clock, 26 April to 2
    May 2026. Then April and May are settled, under the reported figures accepted by name (--assume
    share-openai-microsoft, share-microsoft-openai and cap, unless you give your own), and
    everything stays up until Ctrl-C.

    \b
    All of it:
      clauseway up
    End after the statement:
      clauseway up --once
    With another percentage:
      clauseway up --assume share-openai-microsoft=18% --assume share-microsoft-openai --assume cap
    """
    out = Console(quiet=True) if as_json else console()
    opened = open_agreement()
    _say_agreement(out, opened)
    planned = planned_requests(limit=limit)
    fresh = fresh_home(home_at(home))
    with night(fresh, opened, port, pages_port) as run:
        _say_processes(out, run)
        with ReplayDisplay(out, len(planned), simulated=True, quiet=as_json) as display:
            report = play(run, planned, display.show)
        _say_report(out, report)
        settlements = _settle(out, run, opened, assume or list(ASSUMPTIONS))
        if not once:
            _say_open(out, run)
        if as_json:
            _print_json(run, report, settlements)
        if not once:
            # From here on Ctrl-C is how this is meant to end; before, it breaks the run off.
            until = stop_on_signals()
            out.print("\nCtrl-C stops everything.", style="bold")
            dead = stay(run, until)
            if dead is not None:
                raise end_of(dead.name, dead.exit_code, fresh.logs)
    if once:
        out.print("\n6  Ended, as --once asks", style="bold")
        _say_data(out, fresh)
    if report.progress.failed:
        raise requests_failed(fresh, report.progress.failed)
    return 0


def requests_failed(home: Home, failed: Mapping[str, int]) -> RuntimeError:
    """Return the error of a night in which requests failed: how many, by code, and what the last
    refusal of 500 or above said. Where the machine was the reason, that names it."""
    count = counted(sum(failed.values()), "request")
    said = ""
    with suppress(OSError):
        for line in home.refused_by("gateway").read_bytes().splitlines():
            refused = msgspec.json.decode(line)
            said = refused["message"] if refused["status"] >= 500 else said
    return RuntimeError(f"{count} failed: {dict(failed)}. {said}".rstrip())


def _say_agreement(out: Console, opened: OpenAgreement) -> None:
    agreement = opened.agreement
    out.print(f"1  {agreement.title}", style="bold")
    for amendment in agreement.amendments:
        print_indented(
            out,
            f"{amendment.id} {amendment.effective} {amendment.title}: {counted(len(amendment.terms), 'term')}",
        )
    prose = ", ".join(
        f"{amendment.id} {clause.number}" for amendment, clause in agreement.not_formalised()
    )
    print_indented(
        out,
        f"{counted(len(opened.facts.facts), 'recorded launch', 'recorded launches')}; in prose only: {prose}",
        style="dim",
    )


def _say_processes(out: Console, run: Night) -> None:
    out.print("\n2  Clouds, simulated", style="bold")
    width = max(len(address.cloud) for address in run.clouds.addresses)
    for address in run.clouds.addresses:
        print_indented(out, f"{address.cloud:{width}}  {address.url}")
    out.print(f"\n3  Gateway {run.served.gateway_url} · pages {run.served.pages_url}", style="bold")
    for note in run.notes:
        print_indented(out, note, style="yellow")
    out.print("\n4  The night of the amendment", style="bold")
    print_indented(
        out,
        "Azure LLM inference trace 2023 (CC-BY-4.0), replayed from 26 April to 2 May 2026",
        style="dim",
    )


def _say_report(out: Console, report: ReplayReport) -> None:
    out.print(counts_table(report.progress))
    refused = next((outcome for outcome in report.outcomes if outcome.kind == "refused"), None)
    if refused is not None:
        print_indented(out, f"Before: {refused.message}")
        served = next(
            (outcome for outcome in report.outcomes if _same_request_served(outcome, refused)), None
        )
        if served is not None:
            print_indented(out, f"From 27 April the same request is served on {served.cloud}.")
    print_indented(
        out, f"{counted(len(report.outcomes), 'request')} in {report.seconds:.1f} s", style="dim"
    )


def _same_request_served(outcome: ReplayedRequest, refused: ReplayedRequest) -> bool:
    return outcome.kind == "served" and outcome.cloud == refused.cloud


def _settle(
    out: Console, run: Night, opened: OpenAgreement, assume: Sequence[str]
) -> list[Settlement]:
    flags = " ".join(f"--assume {shlex.quote(item)}" for item in assume)
    out.print("\n5  Settlement", style="bold")
    print_indented(out, f"clauseway settle --period 2026-04 {flags} (and 2026-05)", style="dim")
    sealed, settlements = settle_night(run.home, opened, assume)
    print_indented(
        out, f"{counted(sealed.usage, 'usage record')} sealed into the lake", style="dim"
    )
    for damage in sealed.damages:
        print_indented(out, f"damaged: {damage}", style="red")
    for settlement in settlements:
        print_statement(out, statement_context(statement_of(settlement)))
    return settlements


def _say_open(out: Console, run: Night) -> None:
    out.print(f"\n6  Open {run.served.pages_url}", style="bold")
    _say_data(out, run.home)
    for snippet in snippets_for(run.served.gateway_url, run.served.sample, run.snippet_key):
        out.print(f"\n   {snippet.label}", style="bold")
        out.print(snippet.text, soft_wrap=True)


def _say_data(out: Console, home: Home) -> None:
    folder = shlex.quote(str(home.root))
    statement = f"clauseway statement --period 2026-05 --home {folder}"
    out.print(f"   The data is in {home.root}: {statement}", style="dim", soft_wrap=True)


def _print_json(run: Night, report: ReplayReport, settlements: Sequence[Settlement]) -> None:
    print_json(
        {
            "gateway": run.served.gateway_url,
            "pages": run.served.pages_url,
            "key": run.snippet_key,
            "home": str(run.home.root),
            "progress": report.progress,
            "statements": [statement_of(settlement) for settlement in settlements],
        }
    )
