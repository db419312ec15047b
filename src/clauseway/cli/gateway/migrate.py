"""`clauseway migrate`: control data moved between the home's own file and a PostgreSQL server."""

from typing import Annotated

import typer

from clauseway.app.books.migrating import migrate
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.output import console, counted


def command(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="postgresql://USER:PASSWORD@HOST/DATABASE, or `embedded`.",
            metavar="ADDRESS",
        ),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Move a home's control data to an empty PostgreSQL database that machines share, or back.

    Keys, facts, leases, the lake's manifest and the books move; the usage journals and the lake's
    files stay where they are. Every table is counted and hashed on both sides, and the log of the
    books is checked, before the home names the new place. Until then the old one is in force and
    untouched. The database must order text by its bytes (LC_COLLATE 'C').

    \b
    To a server:
      clauseway migrate --to postgresql://clauseway:secret@db.example/clauseway
    Back into the home:
      clauseway migrate --to embedded

    Exit code: 0 moved, 3 nothing was moved and why, 1 a failure, ours or the machine's.
    """
    out = console()

    def tell(table: str, rows: int) -> None:
        if rows and not as_json:
            out.print(f"{table}: {counted(rows, 'row')}", soft_wrap=True)

    moved = migrate(home_at(home), to, tell)

    def show() -> None:
        out.print(
            f"{moved.rows:,} rows of {len(moved.tables)} tables are the same in both places.",
            soft_wrap=True,
        )
        out.print(f"The control data is at {moved.target} now.", soft_wrap=True)
        if moved.kept:
            out.print(
                f"The file from before is kept as {moved.kept}; nothing reads it.", soft_wrap=True
            )

    answer(as_json, moved, show)
    return 0
