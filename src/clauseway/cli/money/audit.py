"""`clauseway audit`: who did what to the books, and whether they were edited beside that."""

import re
from typing import Annotated

import typer

from clauseway.app.books.audit_log import list_log, restart_log, verify_books
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, in_seconds, plain_table, print_indented
from clauseway.values import KnownAt, counted

NOT_SO = 2
_MONTH = re.compile(r"\d{4}-\d{2}(?=-\d{2}\|)")


def log(
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only this kind, as close or payment. Repeatable."),
    ] = None,
    period: Annotated[
        str, typer.Option("--period", help="Only what is about this month, as 2026-05.")
    ] = "",
    who: Annotated[str, typer.Option("--who", help="Only what this person did.")] = "",
    last: Annotated[
        int,
        typer.Option(
            "--last",
            parser=options.whole("--last"),
            metavar="NUMBER",
            help="Only so many rows from the end; 0 for all.",
        ),
    ] = 0,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """List who did what, when and why.

    An entry of the journal is shown by its month and its narration; --json has its id.

    \b
    All of it:
      clauseway audit log
    What was done to May's closes and payments:
      clauseway audit log --period 2026-05 --kind close --kind payment
    """
    rows = list_log(home_at(home), kind or [], period, who, last)

    def show() -> None:
        table = plain_table("row", "when", "who", "what", "why")
        for row in rows:
            subject, why = row.subject, row.why
            if row.kind == "entry":
                subject, why = _entry_text(subject, narration=why), ""
            done = f"{row.kind} {row.act}: {subject}"
            when = in_seconds(str(KnownAt(row.recorded_ns)))
            table.add_row(str(row.sequence), when, row.who, done, why)
        console().print(table if rows else "Nothing was recorded.")

    answer(as_json, rows, show)
    return 0


def _entry_text(identity: str, narration: str) -> str:
    """Return an entry of the journal in words: its id has digests that nobody reads. The log keeps
    its narration as its reason."""
    act, _, rest = identity.partition("|")
    month = _MONTH.match(rest)
    return f"{act} of {month[0]}: {narration}" if month else f"{act}: {narration}"


def verify(
    head: Annotated[
        str,
        typer.Option(
            "--head", help="The log's end as it was told before.", metavar="NUMBER:DIGEST"
        ),
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Check every row of the books against the log, and the log itself.

    Keep the printed end of the log where those who may write the database may not: with --head, a
    log that was computed anew is found too. The exit code is 0 where nothing was ever edited, and 2
    where something was, also where the log was begun again since: --json tells the `problems` since
    then from the `breaks`.

    \b
    Was anything edited?
      clauseway audit verify
    """
    check = verify_books(home_at(home), head)

    def show() -> None:
        out = console()
        verdict = (
            f"edited: {counted(len(check.problems), 'finding')}" if check.problems else "not edited"
        )
        if check.breaks:
            last = check.breaks[-1].row
            verdict += f" since log row {last}, where their log was begun again after a break"
        style = "bold red" if check.problems else "bold green" if check.is_whole else "bold yellow"
        out.print(f"The books were {verdict}", style=style)
        print_indented(
            out,
            f"{counted(check.rows, 'log row')}; the log ends with {check.head}",
            by=2,
            style="dim",
        )
        for problem in check.problems:
            print_indented(out, f"{problem.what}: {problem.why}.", by=2)
        if check.problems:
            print_indented(out, check.problems[0].remedy, by=2, style="dim")
        for broken in check.breaks:
            when = KnownAt(broken.recorded_ns).day
            text = f"Broken before log row {broken.row}: {broken.found} "
            text += f"({counted(broken.problems, 'finding')}); the log ended with {broken.head}."
            print_indented(
                out, f"{text} Stated by {broken.who} on {when}: {broken.why}", by=2, style="yellow"
            )
        for problem in check.before:
            print_indented(
                out,
                f"before the break, still: {problem.what}: {problem.why}.",
                by=2,
                style="yellow",
            )

    answer(as_json, check, show)
    return 0 if check.is_whole else NOT_SO


def restart(
    why: Annotated[
        str,
        typer.Option("--why", help="What is known of the break; every statement after it says so."),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """State that the log is broken, and begin it again where there is no backup to restore.

    The books stand as they are from then on. An edited row stays edited: the break, with who stated
    it, when and why, is shown by audit log, audit verify and every statement that is settled after
    it, and the new log names the end of the old one.

    \b
    After a row was edited with a database client, and no backup is left:
      clauseway audit restart --why "posting 12 was edited by hand on 3 June, as found by the auditor"
    """
    stated = restart_log(home_at(home), why)
    text = f"The log is begun again at row {stated.row}; before, it was broken: {stated.found}"
    answer(
        as_json,
        stated,
        f"{text} ({counted(stated.problems, 'finding')}), and ended with {stated.head}.",
    )
    return 0
