"""`clauseway usage`: usage shown, imported, made from demand; rows in quarantine."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from clauseway.app.books.expanding import days_between, expand, parse_scale, read_windows
from clauseway.app.opening.home import home_at
from clauseway.app.opening.periods import days_given
from clauseway.app.usage.compacting import (
    SHOWN_BY,
    figures_of,
    summed_rows,
    usage_of_key_shown,
    usage_shown,
)
from clauseway.app.usage.importing import Imported, ImportSource, drop, import_usage, listed, replay
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table, print_rest
from clauseway.cli.usage.usage_agreements import named_or_held
from clauseway.storage.lake.quarantine import QuarantinedRow
from clauseway.values import counted, parse_day, read_pairs

quarantine = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_FLAWED = 2  # the command did its work, and somebody has to look at the rows
_SHOWN = 50
_FIRST = ("input_tokens", "output_tokens")

Numbers = Annotated[
    list[int] | None,
    typer.Argument(
        parser=options.whole("NUMBER"),
        metavar="NUMBER…",
        help="Rows by number, from `list`; all when none is named.",
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What holds for a field; FIELD= clears it. Repeatable.",
        metavar="FIELD=VALUE",
    ),
]


@quarantine.callback()
def _quarantine() -> None:
    """Rows of usage that cannot be true: list, correct, replay, drop."""


def show(
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help=f"By what to sum: {', '.join(SHOWN_BY)}; with --key also request. Repeatable.",
        ),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key",
            help="Only of this key, by its id, with what it was charged; reads every record of the days.",
        ),
    ] = "",
    begin: Annotated[str, typer.Option("--from", help="First day.")] = "",
    end: Annotated[str, typer.Option("--until", help="Last day.")] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Show what was used, from the hourly sums: as quick for a year as for a day.

    \b
    Cloud by cloud:
      clauseway usage show
    Whose, and what, in May:
      clauseway usage show --by organisation --by product --from 2026-05-01 --until 2026-05-31
    What a key that leaked asked since, and what it was charged:
      clauseway usage show --key key_0123456789abcdef --by hour --by model --from 2026-05-01
    Request by request:
      clauseway usage show --key key_0123456789abcdef --by hour --by request --from 2026-05-01
    """
    names = by or ["cloud"]
    days = days_given(begin, end)
    of_key = usage_of_key_shown(home_at(home), key, names, days) if key else []
    sums = [of.usage for of in of_key] if key else usage_shown(home_at(home), names, days)
    charged = [f"{of.charged:,.6f}" for of in of_key]
    nothing = "Nothing is sealed yet." if days is None else "Nothing of these days is sealed."
    if key:
        nothing = f"No usage of {key} is sealed."

    def show() -> None:
        out = console()
        units = sorted(
            {unit for usage in sums for unit in usage.units},
            key=lambda unit: (unit not in _FIRST, unit),
        )
        table = plain_table(*names)
        rows = [
            [f"{figures_of(usage).get(name, 0):,}" for name in ("served", "failed", *units)]
            for usage in sums
        ]
        # Headings are wrapped where it gets narrow; names and figures never are.
        for at, column in enumerate(table.columns):
            column.min_width = max((len(usage.key[at]) for usage in sums), default=0)
        for at, name in enumerate(("served", "failed", *units)):
            wide = max((len(row[at]) for row in rows), default=0)
            table.add_column(
                name.replace("_", " "), justify="right", min_width=max(wide, len("served"))
            )
        if key:
            table.add_column(
                "charged (USD)", justify="right", min_width=max(map(len, charged), default=0)
            )
        for at, (usage, row) in enumerate(zip(sums, rows, strict=True)):
            table.add_row(*usage.key, *row, *charged[at : at + 1])
        out.print(table if sums else nothing)

    shown = summed_rows(names, sums)
    for summed, of in zip(shown, of_key, strict=False):
        summed["charged_usd"] = f"{of.charged:f}"
    answer(as_json, shown, show)
    return 0


def import_(
    files: Annotated[list[Path], typer.Argument(help="Files with usage.", metavar="FILE…")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="focus, cloudevents, opentelemetry or parquet; by default seen from the file.",
        ),
    ] = "",
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A field where the file says nothing. Repeatable.", metavar="FIELD=VALUE"
        ),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Whose ids these are, instead of what the file says.")
    ] = "",
    agreement: options.HeldAgreementFolders = None,
    facts: options.FactsFile = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Import usage that others counted: FOCUS bills, CloudEvents, OpenTelemetry, and our own
    Parquet.

    A record counts once, however often its file is imported: its source and id say which it is.
    Every row is checked; what cannot be true (counts below zero, parts larger than their whole,
    unknown products, times in the future or before the first amendment) goes into quarantine with
    field and reason, and the others on. Exit code 2: rows are in quarantine.

    \b
    A bill of Azure, all of it bought from Microsoft:
      clauseway usage import azure-2026-05.csv --set seller=microsoft
    Events of an application, spans and token metrics of a collector:
      clauseway usage import events.jsonl traces.json --set organisation=acme --set seller=openai
    One of these events, on a line of its own:
      {"specversion": "1.0", "type": "org.clauseway.usage.v1", "source": "/app", "id": "1",
       "time": "2026-05-01T12:00:00Z", "data": {"cloud": "azure", "product": "gpt-5.5",
       "units": {"input_tokens": 1200, "output_tokens": 300}}}
    What another home exported:
      clauseway usage import usage.parquet
    """
    out = Console(stderr=True, highlight=False)
    last = [0]

    def report(stage: str, so_far: Imported) -> None:
        # A line per hundred thousand rows: a long file is seen to move, a short one says nothing.
        count = so_far.imported if stage == "sealed" else so_far.rows
        if not as_json and abs(count - last[0]) >= 100_000:
            last[0] = count
            out.print(f"{stage}: {counted(count, 'row')}")

    done = import_usage(
        home_at(home),
        named_or_held(agreement, home, facts),
        files,
        ImportSource(format=form, fields=_fields(fields), source=source),
        report,
        _say_waiting(home),
    )
    answer(as_json, done, lambda: _print_imported(done))
    return _FLAWED if done.quarantined else 0


def _say_waiting(home: Path | None) -> Callable[[], None]:
    """Return a function that says on standard error that another import runs."""
    text = (
        f"Another import into {home_at(home).root} is running: this one waits until it has ended."
    )
    return lambda: print(text, file=sys.stderr, flush=True)


def expand_command(
    scale: Annotated[
        str, typer.Option(help="How many records a request of the original becomes.")
    ] = "1/1000",
    begin: Annotated[str, typer.Option("--from", help="First day.")] = "2026-04-01",
    last: Annotated[str, typer.Option("--until", help="Last day.")] = "2026-05-31",
    seed: Annotated[
        int,
        typer.Option(
            parser=options.whole("--seed"),
            help="Another seed draws other tokens and times.",
            metavar="NUMBER",
        ),
    ] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Windows of demand (Parquet); by default the sample that ships."
        ),
    ] = None,
    agreement: options.HeldAgreementFolders = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Fill the lake with usage made from real demand: 38 tenants of a production service (ServeGen,
    Apache-2.0).

    Requests keep the original's times of the day, bursts and lengths; who buys which product on
    which cloud from whom is a fixed table, and where the agreement forbids that on a day, Azure
    serves. The same arguments give the same records, and count once. For trying things out and for
    measuring: nobody sent these requests.

    \b
    Two months with one record for a thousand requests, in a home of their own:
      clauseway usage expand --scale 1/1000 --home trial
      clauseway settle --period 2026-05 --assume share-openai-microsoft --assume cap --home trial
    """
    # Progress goes to standard error, so that standard output is the answer alone.
    out = Console(stderr=True, highlight=False)
    done = expand(
        home_at(home),
        named_or_held(agreement, home),
        read_windows(data),
        days_between(parse_day(begin, "--from"), parse_day(last, "--until")),
        parse_scale(scale),
        seed,
        lambda records: None if as_json else out.print(counted(records, "record")),
    )
    before = f", {done.again:,} of them there before" if done.again else ""
    answer(
        as_json,
        done,
        f"{counted(done.records, 'record')} of {counted(done.tenants, 'tenant')}{before}",
    )
    return 0


@quarantine.command("list")
def list_command(
    with_ended: Annotated[
        bool, typer.Option("--all", help="Also what was replayed or dropped.")
    ] = False,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """List what waits in quarantine: file and row, field and reason.

    \b
    What waits:
      clauseway usage quarantine list
    """
    rows = listed(home_at(home), with_ended=with_ended)

    def show() -> None:
        out = console()
        if not rows:
            out.print("Nothing is in quarantine.")
            return
        table = plain_table("number", "from", "row", "state", "field", "reason")
        for row in rows[:_SHOWN]:
            for place, flaw in enumerate(row.flaws):
                # The columns of the row itself stand beside its first flaw alone.
                own = (
                    (str(row.number), row.origin, str(row.line), row.state)
                    if place == 0
                    else ("", "", "", "")
                )
                table.add_row(*own, flaw.field, flaw.reason)
        out.print(table)
        print_rest(out, len(rows), _SHOWN, by=0)

    answer(as_json, [_row(row) for row in rows], show)
    return 0


@quarantine.command("show")
def show_row(
    number: Annotated[
        int,
        typer.Argument(parser=options.whole("NUMBER"), help="A row by number.", metavar="NUMBER"),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Show a row as it came, what is wrong with it, and what became of it.

    \b
    One of them:
      clauseway usage quarantine show 3
    """
    [row] = listed(home_at(home), numbers=[number])

    def show() -> None:
        out = console()
        since = (
            datetime.fromtimestamp(row.quarantined_ns // 1_000_000_000, UTC)
            .isoformat()
            .replace("+00:00", "Z")
        )
        out.print(
            f"{row.number}  {row.origin}, row {row.line}: {row.state}, since {since}",
            style="bold",
        )
        for flaw in row.flaws:
            out.print(f"  {flaw.field}: {flaw.reason}", style="red")
        fields = msgspec.json.decode(row.body)
        width = max(map(len, fields), default=0)
        for name, value in fields.items():
            out.print(f"  {name:<{width}}  {value}")

    answer(as_json, _row(row), show)
    return 0


@quarantine.command("replay")
def replay_command(
    numbers: Numbers = None,
    fields: Fields = None,
    agreement: options.HeldAgreementFolders = None,
    facts: options.FactsFile = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Check rows again, corrected or after what was missing was recorded, and import those that are
    believed now.

    The row as it came is kept. Exit code 2: some are still wrong.

    \b
    One, with what it should have said:
      clauseway usage quarantine replay 3 --set cached_input_tokens=400
    One of a meter that is not ours, cleared, and what it counted instead:
      clauseway usage quarantine replay 3 --set 'ConsumedQuantity (Tokens of Other)=' --set input_tokens=400
    All, once the product they name was added:
      clauseway fact record product --product gpt-6 --class api.stateless --effective 2026-05-01 --source "a letter"
      clauseway usage quarantine replay
    """
    done = replay(
        home_at(home),
        named_or_held(agreement, home, facts),
        numbers or [],
        _fields(fields, empty=True),
        _say_waiting(home),
    )

    def show() -> None:
        out = console()
        out.print(f"{len(done.replayed)} imported, {len(done.still)} still in quarantine")
        for number, flaws in done.still.items():
            for flaw in flaws:
                out.print(f"  {number}  {flaw.field}: {flaw.reason}")

    answer(as_json, done, show)
    return _FLAWED if done.still else 0


@quarantine.command("drop")
def drop_command(
    numbers: Annotated[
        list[int],
        typer.Argument(parser=options.whole("NUMBER"), help="Rows by number.", metavar="NUMBER…"),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Drop rows that nobody can correct. They stay on the list of what was dropped.

    \b
    Two of them:
      clauseway usage quarantine drop 3 4
    """
    done = drop(home_at(home), numbers)
    answer(as_json, [_row(row) for row in done], f"{len(done)} dropped")
    return 0


def _row(row: QuarantinedRow) -> dict[str, object]:
    fields = {name: getattr(row, name) for name in row.__struct_fields__ if name != "body"}
    return {**fields, "row": msgspec.json.decode(row.body)}


def _print_imported(done: Imported) -> None:
    out = console()
    report = f"{done.imported:,} imported, {done.again:,} there before, {done.quarantined:,} in quarantine"
    out.print(f"{counted(done.rows, 'row')}: {report}")
    for reason, count in sorted(done.skipped.items()):
        out.print(f"{count:,} skipped: {reason}", style="dim")
    if done.quarantined:
        out.print(
            "`clauseway usage quarantine list` says what is wrong with them.",
            style="dim",
        )


def _fields(given: Sequence[str] | None, *, empty: bool = False) -> dict[str, str]:
    """Return the fields of `--set`. An empty value clears a field, which only a correction may."""
    return dict(read_pairs(given or (), "--set", "seller=microsoft", empty=empty))
