"""`clauseway settle`: who owes whom for a month."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from clauseway.app.books.basis import NamedBasis, basis_of, given_agreements, given_prices, history
from clauseway.app.books.day_charges import DaySettled
from clauseway.app.books.settled import now, rows_waiting
from clauseway.app.books.settling import settle_as_known, settle_days, settle_month
from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.library import known_point, readings_of
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.periods import month as month_of
from clauseway.app.reports.amounts import exact
from clauseway.app.reports.handed_statements import StatementVerification
from clauseway.app.reports.statements import statement_context
from clauseway.app.reports.verifying import verify_statement
from clauseway.app.reports.what_if import what_if
from clauseway.app.usage.lake_checks import usage_ahead
from clauseway.app.usage.losses import OtherHome, silent_homes
from clauseway.app.usage.named_engines import DUCKDB, SPARK, engine_named
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.beside_text import print_what_if
from clauseway.cli.console import console
from clauseway.cli.held import by_one_connection
from clauseway.cli.money.basis import say_recorded
from clauseway.cli.money.statement_text import print_statement
from clauseway.cli.money.verification_text import print_verification
from clauseway.cli.output import print_text
from clauseway.ledger import Settlement, statement_of
from clauseway.values import Interval, InvalidInput, Problem, counted
from clauseway.wording.names import listed

# A second opinion that is not the same.
DIFFERS = 2
# Where Spark runs unless --spark-master names a place: as threads of one process.
_THIS_MACHINE = "local[*]"
_NO_SPARK = Problem(
    what="--spark-master without Spark",
    why="DuckDB reads the usage, within this process",
    where="--spark-master",
    remedy=f"Add --engine {SPARK} or --second-opinion {SPARK}, or leave it out.",
)

# A flag · the flags that would be without effect beside it · why.
_APART = (
    (
        "engine_name",
        ("second_opinion", "under"),
        "DuckDB alone compares terms, and the statement that Spark made is no second opinion on itself",
    ),
    ("second_opinion", ("known_at", "under"), "nothing is posted that it could judge"),
    (
        "part",
        ("known_at", "under", "second_opinion", "from_scratch"),
        "a day alone is summed, and no month settled",
    ),
    (
        "known_at",
        ("assume", "reading", "from_scratch", "prices", "rates", "agreement", "under"),
        "what the home held then is used",
    ),
    ("under", ("from_scratch",), "nothing is posted, and what was kept is not dropped"),
)

Period = Annotated[str, typer.Option("--period", help="The month, as 2026-05.")]
Assume = Annotated[
    list[str] | None,
    typer.Option(
        "--assume",
        help="A figure accepted by name, or given a value. Repeatable.",
        metavar="NAME[=VALUE]",
    ),
]


@by_one_connection
def command(
    context: typer.Context,
    period: Period,
    assume: Assume = None,
    reading: options.Readings = None,
    prices: options.PriceBookFlag = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates", help="Dated exchange rates, for prices in other currencies than USD."
        ),
    ] = None,
    agreement: options.AgreementFolders = None,
    under: Annotated[
        list[str] | None,
        typer.Option(
            "--under",
            help="Show beside it what would be due as of an earlier amendment, by another reading or with another "
            "figure; nothing is posted. Repeatable.",
            metavar="AMENDMENT|NAME=VALUE",
        ),
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at",
            help="Show what was due by what this home held and knew then; nothing is posted.",
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="Sum, price and hash this day of the month alone, and keep it for the settlement; nothing is posted. "
            "Repeatable.",
            metavar="DAY",
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="Drop the sums kept of days and of earlier months, and count everything again.",
        ),
    ] = False,
    engine_name: Annotated[
        str,
        typer.Option(
            "--engine",
            help="What reads, sums, prices and hashes usage, to the same bytes: duckdb, within this process; spark, "
            "over several machines.",
            metavar="ENGINE",
        ),
    ] = DUCKDB,
    second_opinion: Annotated[
        str,
        typer.Option(
            "--second-opinion",
            help="Settle again with another engine, and compare to the last byte: spark.",
            metavar="ENGINE",
        ),
    ] = "",
    spark_master: Annotated[
        str,
        typer.Option(
            "--spark-master",
            help="Where Spark runs, in its own words, as local-cluster[2,1,1024] or spark://host:7077; unless it is "
            "given, Spark runs as threads of this machine, local[*].",
            metavar="MASTER",
        ),
    ] = "",
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Settle a month from metered usage, under assumptions accepted by name.

    Seals what the gateways have metered, prices it, takes every revenue share in force in the month
    on cumulative totals, clips it at its cap, posts the journal and prints the statement. Figures
    that were never published are used only where you accept them by name; without that, nothing is
    settled and the figure is named. Settling a month again on more usage posts the difference. Only
    days are read again whose usage or prices have changed, and only earlier months whose usage,
    prices, terms, figures or credits have; --from-scratch reads them all.

    A month can be settled in parts: --part sums one day, days run side by side in any order, on
    every machine that shares the database, and the settlement of the month reads what they kept.

    The basis belongs to the home: the first settlement that names a price book, rates, a figure, a
    reading or an agreement records it as accepted by you, and every later command uses it. Where no
    flag names an agreement, that is the one of the home's configuration. Naming something else is
    refused; `clauseway basis` changes it, by whom, when and why.

    Usage is read by DuckDB, within this process. With --engine spark (the extra `spark`, and Java),
    Spark reads, sums, prices and hashes it on its workers, each with the same Python as here and
    pyarrow; no machine holds a day, and the statement and the hashes of its days are the same.

    With --second-opinion spark the usage is summed and priced again by Spark (the extra `spark`,
    and Java), from the first day on and without any sum that was kept. The exit code is 2 where
    a line differs; both amounts are printed.

    \b
    What is undisclosed?
      clauseway settle --period 2026-05
    Accept what was reported:
      clauseway settle --period 2026-05 --assume share-openai-microsoft --assume cap
    With a price book of your own, which this home holds from then on:
      clauseway settle --period 2026-05 --prices book.csv
    What was due by what was known on 5 June? Nothing is posted:
      clauseway settle --period 2026-05 --known-at 2026-06-05
    The shares of two agreements:
      clauseway settle --period 2026-05 --agreement ours --agreement theirs
    With figures of your own:
      clauseway settle --period 2026-05 --assume share-openai-microsoft=18% --assume "cap=USD 30 billion"
    What if only the terms up to A3 governed the same usage, or the percentage were another? Nothing is posted:
      clauseway settle --period 2026-05 --assume share-openai-microsoft --assume cap --under A3
      clauseway settle --period 2026-05 --under share-openai-microsoft=15%
    Sum two days ahead of the settlement, which then reads no usage of theirs:
      clauseway settle --period 2026-05 --part 2026-05-04 --part 2026-05-05
    Read a lake that no machine holds with a cluster of Spark:
      clauseway settle --period 2026-05 --engine spark --spark-master spark://host:7077
    Does Spark come to the same cents?
      clauseway settle --period 2026-05 --second-opinion spark
    """
    at = home_at(home)
    _check_flags(context.params)
    start = partial(engine_named, home=at, master=spark_master or _THIS_MACHINE)
    if known_at is not None:
        with start(engine_name) as engine:
            _print(settle_as_known(at, period, known_point(known_at), engine), as_json)
        return 0
    basis = basis_of(at)
    # The first settlement stands on what the gateway serves by, unless a flag says otherwise.
    served = () if basis.holds_agreement else agreements_in(at.configuration)
    given = NamedBasis(prices=prices, rates=rates, agreements=tuple(agreement or served))
    opened, table = given_agreements(at, basis, given), given_prices(basis, given, now())
    readings = readings_of(reading)
    if part:
        with start(engine_name) as engine:
            days = settle_days(at, opened, table, period, part, assume or [], readings, engine)
        answer(as_json, {"days": days}, lambda: _print_days(days))
        return 0
    if under:
        comparison = what_if(at, opened, table, period, assume or [], readings, under)
        answer(as_json, comparison, lambda: print_what_if(console(), comparison))
        return 0
    is_new = not at.root.exists()
    settle = partial(settle_month, at, opened, table, period, assume or [], readings)
    # Acceptances that the settlement records come after these.
    accepted = len(history(at))
    posted: list[int] = []
    standing: list[Interval] = []
    # Engines start before anything is posted.
    with ExitStack() as started:
        engine = started.enter_context(start(engine_name))
        if second_opinion:
            judge = started.enter_context(start(second_opinion))
        settlement = settle(
            from_scratch=from_scratch,
            on_wait=partial(_say_locked, at),
            on_posted=posted.append,
            on_stands=standing.append,
            engine=engine,
        )
        say_recorded(history(at)[accepted:])
        _say_standing(standing)
        _say_waiting(rows_waiting(at))
        _say_silent(silent_homes(at))
        _say_ahead(usage_ahead(at))
        _say_new(at, is_new)
        _say_running(period, datetime.now(UTC).date())
        done = _what_posting_did(period, sum(posted))
        if not second_opinion:
            _print(settlement, as_json, done)
            return 0
        print("Spark sums the same usage again; that takes a minute or more.", file=sys.stderr)
        verification = verify_statement(at, statement_of(settlement), judge)
    return _print_both(settlement, verification, as_json, done)


def _say_locked(home: Home) -> None:
    message = f"Another process writes the books of {home.root}: this one waits until it has ended."
    print(message, file=sys.stderr, flush=True)


def _what_posting_did(period: str, entries: int) -> str:
    """Return what the books hold now, and what settling again does."""
    posted = (
        f"{counted(entries, 'entry', 'entries')} posted"
        if entries
        else "No entry posted: the books held these amounts"
    )
    return (
        f"{posted}. Settling {period} again posts what has changed since, until it is closed: "
        f"clauseway books close {period}"
    )


def _print_both(
    settlement: Settlement, verification: StatementVerification, as_json: bool, done: str
) -> int:
    """Print a settlement and what posting it did, then how another engine judges it; return the exit
    code."""
    statement = statement_of(settlement)

    def show() -> None:
        print_statement(console(), statement_context(statement))
        print_text(done)
        print_verification(console(), verification, by="Spark")

    answer(as_json, {"statement": statement, "second_opinion": verification}, show)
    return 0 if verification.same else DIFFERS


def _print(settlement: Settlement, as_json: bool, done: str = "") -> None:
    """Print a settlement, and what posting it did; nothing where it was not posted."""
    statement = statement_of(settlement)

    def show() -> None:
        print_statement(console(), statement_context(statement))
        if done:
            print_text(done)

    answer(as_json, statement, show)


def _say_silent(homes: Sequence[OtherHome]) -> None:
    """Report on standard error whose usage may be missing: a machine that is gone settles nothing."""
    for other in homes:
        print(
            f"Home {other.home} has been silent for {other.silent_s:,} s, and the end of its journals "
            "is not sealed: what only they hold is in no amount; `clauseway spool list` shows them.",
            file=sys.stderr,
        )


def _say_ahead(problem: Problem | None) -> None:
    """Report on standard error usage that is dated after today: a clock was ahead."""
    if problem is not None:
        said = f"{problem.what[0].upper()}{problem.what[1:]}"
        print(f"{said}: {problem.why}; `clauseway doctor` says what to do.", file=sys.stderr)


def _say_new(home: Home, is_new: bool) -> None:
    """Report on standard error that a home began with the settlement: nothing was used in it."""
    if is_new:
        print(
            f"A new home begins at {home.root}: without usage, so nothing is due. If you meant another, "
            "name it with --home or in CLAUSEWAY_HOME.",
            file=sys.stderr,
        )


def _say_running(period: str, today: date) -> None:
    """Report on standard error that a month is not over: it may be a mistyped one."""
    days = month_of(period)
    if today < days.begin:
        print(f"{period} has not begun: nothing was used in it yet.", file=sys.stderr)
    elif today < days.end:
        last = days.end - date.resolution
        print(f"{period} lasts through {last}: settle it again once it is over.", file=sys.stderr)


def _say_standing(months: Sequence[Interval]) -> None:
    """Report on standard error the closed months that could not be counted again."""
    if months:
        closed = listed([f"{days.begin:%Y-%m}" for days in months])
        print(
            f"Single records of {closed} were dropped: closed months stand as they were closed, "
            "whatever prices, figures, facts and credits have changed since.",
            file=sys.stderr,
        )


def _say_waiting(rows: int) -> None:
    """Report on standard error the rows that no settlement counts."""
    if rows:
        wait, them = ("row of usage waits", "it") if rows == 1 else ("rows of usage wait", "them")
        print(
            f"{rows:,} {wait} in quarantine and {'is' if rows == 1 else 'are'} in no amount; "
            f"`clauseway usage quarantine list` shows {them}.",
            file=sys.stderr,
        )


def _print_days(days: list[DaySettled]) -> None:
    for day in days:
        if not day.lines:
            console().print(f"{day.day}  no usage that is charged")
            continue
        now_or_before = "kept before, unchanged" if day.was_kept else "summed now, and kept"
        requests = counted(day.requests, "request")
        console().print(f"{day.day}  {requests}, USD {exact(day.amount)}: {now_or_before}")


def _check_flags(flags: Mapping[str, Any]) -> None:
    """Raise InvalidInput for an unknown engine, and for flags without effect beside another."""
    engine, second_opinion = flags["engine_name"], flags["second_opinion"]
    _check_engine("--engine", engine, DUCKDB, SPARK)
    if second_opinion:
        _check_engine("--second-opinion", second_opinion, SPARK)
    if flags["spark_master"] and SPARK not in (engine, second_opinion):
        raise InvalidInput(_NO_SPARK)
    given = {
        name for name, value in flags.items() if value and (name, value) != ("engine_name", DUCKDB)
    }
    for name, others, why in _APART:
        beside = [_written(other) for other in others if other in given]
        if name in given and beside:
            flag = _written(name)
            problem, remedy = f"{flag} with {listed(beside)}", f"Leave out {flag}, or the rest."
            raise InvalidInput.of(what=problem, why=why, where=flag, remedy=remedy)


def _written(name: str) -> str:
    """Return how a flag is written."""
    return f"--{name.removesuffix('_name').replace('_', '-')}"


def _check_engine(flag: str, name: str, *engines: str) -> None:
    if name not in engines:
        problem, why = f"no engine {name!r}", f"{flag} takes {' or '.join(engines)}"
        remedy = f"Write {' or '.join(f'{flag} {engine}' for engine in engines)}."
        raise InvalidInput.of(what=problem, why=why, where=flag, remedy=remedy)
