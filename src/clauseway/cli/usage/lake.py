"""`clauseway lake`: the sealed usage on disk, and keeping it in shape."""

from importlib import import_module
from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.usage.compacting import compact_lake, rebuild_rollups, retain, state, today
from clauseway.app.usage.lake_checks import check_lake, unknown_problem
from clauseway.app.usage.lake_place import HOME, move_lake
from clauseway.app.usage.losses import accept_file_loss
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console
from clauseway.cli.output import progress_on_stderr
from clauseway.cli.usage.accepted_loss import print_accepted
from clauseway.cli.usage.usage_agreements import named_or_held
from clauseway.storage.books.losses import NOTHING, SUMMED
from clauseway.storage.lake.compaction import FILES_LEAST, FILES_LEAST_OVER
from clauseway.values import counted

BAD = 2
_IN_THE_HOME = "the home has no address and no secret"

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _lake() -> None:
    """The sealed usage on disk: Parquet by event day, and the hourly sums that pages read."""


@app.command()
def show(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Show how much the lake holds.

    \b
    How many files, rows and days:
      clauseway lake show
    """
    report = state(home_at(home))

    def show() -> None:
        out = console()
        out.print(
            f"{counted(report.rows, 'record')} of {report.first_day} to {report.last_day} in "
            f"{counted(report.usage_files, 'file')}, {report.bytes / 1e6:,.1f} MB in all"
            if report.first_day
            else "Nothing is sealed yet."
        )
        if report.place:
            out.print(f"the files lie at {report.place}", soft_wrap=True)
        if report.kept_from is not None:
            out.print(
                f"single records are kept from {report.kept_from} on; before that, hourly sums"
            )

    answer(as_json, report, show)
    return 0


@app.command()
def check(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Read every file to its last byte and hold it against the digest it was sealed with.

    Settling, exporting and merging do the same with the files they read, each time. This reads
    all of them, also those that were merged into others and are not deleted yet. The rows of their
    list are counted and not read; `clauseway audit verify` finds one that was changed beside the
    program.

    \b
    As a weekly job:
      clauseway lake check

    Exit code: 0 all are as they were written, 2 some are missing or changed, or hold usage that the
    database does not know, or its list of them was edited; each named with what to do.
    """
    report = check_lake(home_at(home), on_files=progress_on_stderr("file", "read"))

    def show() -> None:
        out = console()
        whole = f"{counted(report.files, 'file')} and {report.retired:,} retired, {report.bytes / 1e6:,.1f} MB"
        out.print(
            f"{whole}: "
            + (
                f"{counted(len(report.faults), 'file')} not as written"
                if report.faults
                else "all sound"
            )
        )
        for fault in report.faults:
            retired = " (retired: nobody reads it)" if fault.is_retired else ""
            problem = fault.problem
            out.print(
                f"  {problem.where}: {fault.what}{retired}\n    {problem.why}.\n    {problem.remedy}",
                soft_wrap=True,
            )
        for loss in report.lost:
            out.print(
                f"  {loss.file}: accepted as lost by {loss.who} ({loss.estimate}): {loss.why}",
                soft_wrap=True,
            )
        for name in report.healed:
            out.print(
                f"  {name}: put back, and read again; settle its months again", soft_wrap=True
            )
        for name in report.unknown:
            out.print(
                f"  {name}: the database does not know what is in it, as where it was put back to an "
                "earlier state or an import was killed",
                soft_wrap=True,
            )
        if report.unknown:
            out.print(
                "    Import the files of usage, each record once: `clauseway usage import FILE`; then accept "
                "the loss: `clauseway spool list`. One that cannot be read is put back from a copy. What nobody "
                "wants, as of a killed import, is given up: `clauseway lake accept FILE --estimate nothing "
                "--why …`.",
                soft_wrap=True,
            )
        for edit in report.edits:
            out.print(f"  {edit.what}: {edit.why}\n    {edit.remedy}", soft_wrap=True)
        if not report.edits:
            counts = "the lists of files have as many rows as the log of the books says"
            out.print(f"{counts}; `clauseway audit verify` reads each row", soft_wrap=True)
        if unread := len(report.unlisted) - len(report.unknown):
            files = counted(unread, "file")
            out.print(f"{files} that nobody reads; `clauseway lake compact` removes such files")

    answer(as_json, report, show)
    return BAD if report.faults or report.unknown or report.edits else 0


@app.command()
def accept(
    file: Annotated[
        str,
        typer.Argument(help="The file, as lake check names it; the end of its name is enough."),
    ],
    why: Annotated[
        str,
        typer.Option("--why", help="Why, in a sentence; every statement that rests on it says so."),
    ],
    estimate: Annotated[
        str,
        typer.Option(
            "--estimate",
            help=f"{SUMMED}: what the hourly sums say was in the file. {NOTHING}: nothing is added.",
        ),
    ] = SUMMED,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Accept that a file is lost of which there is no backup, so that its months can be settled.

    It is recorded who accepted it, when and why, with the days, the records and the digest of the
    file; every statement of these months says so. The hourly sums tell what was used, and not by
    which request. A file that is put back with the bytes that were sealed is read again, and its
    estimate goes; in a month that is closed, as a correction.

    A file whose usage the database does not know, as an import leaves it that was killed while it
    wrote, can be given up at nothing alone: it is removed, and statements of its month say so.

    \b
    At what the hourly sums say:
      clauseway lake accept usage/2026-05-05/gateway-1.parquet --why "the disk failed on 6 May, no backup"
    At nothing, because the cloud's bill was imported instead:
      clauseway lake accept usage/2026-05-05/gateway-1.parquet --estimate nothing --why "imported from the bill"
    What a killed import left, of a bill that is not ours:
      clauseway lake accept usage/2026-05-05/import-1.parquet --estimate nothing --why "another customer's bill"
    """
    print_accepted(accept_file_loss(home_at(home), file, estimate, why), as_json)
    return 0


@app.command()
def compact(
    files: Annotated[
        int | None,
        typer.Option(
            "--files",
            parser=options.whole("--files"),
            help="Merge where a day has this many small files; by default "
            f"{FILES_LEAST}, and {FILES_LEAST_OVER} once the day is over.",
            metavar="NUMBER",
        ),
    ] = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Merge the small files of each day, and remove what nobody reads any more. Safe while gateways
    write.

    A merged file takes the place of the others in one transaction: killed at any moment, every
    record counts once. Nothing that is settled changes by it.

    \b
    As a nightly job:
      clauseway lake compact
    Whatever can be merged:
      clauseway lake compact --files 2
    """
    done = compact_lake(home_at(home), None if files is None else max(2, files))
    text = f"{counted(done.before, 'file')} became {done.after:,}, with {counted(done.rows, 'row')}"
    text = f"{text}; {done.removed:,} removed"
    if done.unknown:
        text += f"\n{unknown_problem(done.unknown)}"
    answer(as_json, done, text)
    return 0


@app.command()
def move(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Option("--to", help="s3://BUCKET/PREFIX, or `home`.", metavar="ADDRESS"),
    ],
    endpoint: Annotated[
        str,
        typer.Option(
            "--storage-endpoint",
            help="The address of a service that is not the cloud's.",
            metavar="URL",
        ),
    ] = "",
    plain_http: Annotated[
        bool,
        typer.Option(
            "--plain-http",
            help="That address may be http:// at another machine: usage can be read.",
        ),
    ] = False,
    region: Annotated[
        str, typer.Option("--region", help="The bucket's region.", metavar="REGION")
    ] = "",
    access_key_env: Annotated[
        str,
        typer.Option("--access-key-env", help="The variable with the access key.", metavar="NAME"),
    ] = "",
    secret_env: Annotated[
        str,
        typer.Option("--secret-env", help="The variable with its secret.", metavar="NAME"),
    ] = "",
    secret_file: Annotated[
        str, typer.Option("--secret-file", help="The file with its secret.", metavar="FILE")
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Move the lake's files to object storage, or back to the home. Batches still commit in SQL.

    Every file is read again in the new place and held against its digest before the home names it
    (`lake.toml`); until then the old place is in force and untouched. Broken off, it goes on where
    it was. The folder keeps copies of what is read. Without names of secrets the machine's own
    credentials are used. Needs the extra `object-storage`.

    \b
    To a bucket, with the machine's own credentials:
      clauseway lake move --to s3://acme-usage/clauseway --region eu-central-1
    To a service of one's own:
      clauseway lake move --to s3://usage/lake --storage-endpoint https://s3.example --secret-file /etc/lake.key
    Back into the home:
      clauseway lake move --to home

    Exit code: 0 moved, 3 nothing was moved and why, 1 a failure, ours or the machine's.
    """
    if to == HOME:
        of_storage = ("endpoint", "plain_http", "region", "access_key_env", "secret_env")
        check_unread(context, dict.fromkeys((*of_storage, "secret_file"), _IN_THE_HOME))
    if secret_env:
        check_unread(context, {"secret_file": "--secret-env names the secret already"})
    settings = {
        "endpoint": endpoint,
        "plain_http": plain_http,
        "region": region,
        "access_key_env": access_key_env,
        "secret_env": secret_env,
        "secret_file": secret_file,
    }
    moved = move_lake(home_at(home), to, settings, on_files=progress_on_stderr("file", "read"))
    held = f"{counted(moved.files, 'file')} with {counted(moved.rows, 'row')}"
    text = f"{held}, {moved.bytes / 1e6:,.1f} MB, are the same in both places; {moved.copied:,} were copied."
    answer(as_json, moved, f"{text}\nThe lake is at {moved.target} now.")
    return 0


@app.command()
def publish(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Publish the sealed usage as an Apache Iceberg table, which other engines read without us.

    The table's metadata lies beside the sealed files and names them; only days on which an attempt
    was sealed twice are written once more, each attempt once. A snapshot is named by what it holds.
    Published again, it shows what was sealed, merged or lost since; files of the last five
    snapshots stay in the lake. Needs the extra `iceberg`.

    \b
    As an hourly job:
      clauseway lake publish
    """
    # Other commands of this group do without the extra.
    publishing = import_module("clauseway.app.usage.publishing")
    done = publishing.publish_lake(home_at(home))

    def show() -> None:
        out = console()
        days = f" of {done.first_day} to {done.last_day}" if done.first_day else ""
        held = f"{counted(done.rows, 'record')}{days} in {counted(done.files, 'file')}"
        if not done.is_new:
            out.print(f"Nothing new: the table holds {held}.")
        else:
            changes = f"{counted(done.added, 'file')} added, {done.removed:,} removed"
            out.print(f"Published {held}: {changes}.")
        if done.rewritten:
            repeated = counted(done.rewritten, "day")
            out.print(f"{repeated} written once more, because an attempt was sealed twice.")
        out.print(f"snapshot  {done.snapshot}", soft_wrap=True)
        out.print(f"table     {done.location}", soft_wrap=True)
        out.print(f"metadata  {done.metadata}", soft_wrap=True)

    answer(as_json, done, show)
    return 0


@app.command("retain")
def retain_command(
    keep_days: Annotated[
        int,
        typer.Option(
            "--keep-days",
            parser=options.whole("--keep-days", least=1),
            help="How many days of single records to keep.",
            metavar="NUMBER",
        ),
    ],
    agreement: options.HeldAgreementFolders = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Drop single records older than so many days. Hourly sums, the journal and statements stay.

    Refused where a period that is not closed, or a share that still runs, needs one of these days:
    a share is due on what was earned since it began. A later question about dropped days is
    refused, never answered wrongly.

    \b
    Two years:
      clauseway lake retain --keep-days 730
    """
    dropped = retain(home_at(home), named_or_held(agreement, home), keep_days, today())
    answer(
        as_json,
        {"dropped": dropped},
        f"{counted(dropped, 'record')} dropped; `clauseway lake compact` frees the room ten minutes later",
    )
    return 0


@app.command("rollups")
def rollups_command(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Sum the hours anew from every record of the lake, and say how many days differed: none, if
    all is well.

    \b
    A check:
      clauseway lake rollups
    """
    changed = rebuild_rollups(home_at(home))
    answer(
        as_json,
        {"days_changed": changed},
        lambda: console().print(
            f"{counted(changed, 'day')} differed, corrected now"
            if changed
            else "Every day was as it should be."
        ),
    )
    return 0
