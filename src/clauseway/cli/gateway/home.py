"""`clauseway home`: a home backed up, restored, and its control data moved."""

from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.books.backing_up import back_up
from clauseway.app.books.migrating import migrate
from clauseway.app.books.restoring import Restored, TakingOver, restore
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.values import InvalidInput, counted

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _home() -> None:
    """A home as a whole: backed up while it serves, restored, its control data moved to a server.

    A home is a folder: control data (keys, facts, the lake's manifest, the books), the sealed usage
    and the usage journals.
    """


@app.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(help="The folder to write, which must not be there yet.")
    ],
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys",
            help="Also hash.key and the private keys of parties: then the backup is a secret.",
        ),
    ] = False,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Write a backup of a home into a folder, while the home is served or not.

    It holds the control data (from PostgreSQL too), every sealed file, the journals with what is
    not sealed yet, the configuration, and agreements that lie in the home. Nothing that was
    acknowledged before its moment is missing. The folder appears whole or not at all; `sha256sum -c
    SHA256SUMS` in it checks every file. A lake on object storage is copied from there. Keys are
    left out unless asked for: without hash.key no customer's key is accepted after a restore.
    The rows of the books are counted and not read; `clauseway audit verify` finds one that was
    changed beside the program.

    \b
    Every night, on another disk:
      clauseway home backup /mnt/backups/2026-11-22
    With what a gateway needs to serve again:
      clauseway home backup /mnt/backups/2026-11-22 --with-keys

    Exit code: 0 written, 2 written of books that were edited, 3 nothing was written and why,
    1 a failure, ours or the machine's.
    """
    made = back_up(home_at(home), folder, with_keys=with_keys)

    def show() -> None:
        _print(
            f"{counted(made.files, 'file')}, {counted(made.bytes, 'byte')} are in {made.folder}."
        )
        _print(f"Nothing that was acknowledged before {made.moment} is missing.")
        if not made.has_keys:
            _print("hash.key and private keys are not in it (--with-keys).")
        for name in made.left:
            _print(f"not in it: {name}")
        for edit in made.edits:
            _print(f"{edit.what}: {edit.why}")
        if made.edits:
            _print("Keep the backups before it. `clauseway audit verify` says all, and what to do.")
        else:
            counts = "Its books have as many rows as their log says"
            _print(f"{counts}; `clauseway audit verify` reads each row.")
        _print(f"SHA-256 of its list: {made.digest}; keep it elsewhere.", style="dim")

    answer(as_json, made, show)
    return 2 if made.edits else 0


@app.command("restore")
def restore_command(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="The home that was backed up is gone for good: this one may be served.",
        ),
    ] = False,
    why: Annotated[
        str, typer.Option("--why", help="Why it is gone, in a sentence; it is kept.")
    ] = "",
    keep_budgets: Annotated[
        bool,
        typer.Option(
            "--keep-budgets",
            help="What was left of budgets at the backup may be spent; without, nothing more of "
            "the present periods.",
        ),
    ] = False,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Write a home from a backup into an empty folder.

    Every file is held against its digest; a damaged backup, or one of a later program, is refused,
    and so is a folder that holds anything. The restored home settles the same bytes. It may be
    asked, settled and verified beside the one that was backed up, and is not served: both would
    spend the same budgets. With --take-over it is served in the other's place. Then what its
    gateways held of budgets counts as spent, and what they metered after the backup is a loss that
    statements show until somebody accepts it (`clauseway spool accept`).

    \b
    To look at it:
      clauseway home restore /mnt/backups/2026-11-22 --home look
    The disk is lost:
      clauseway home restore /mnt/backups/2026-11-22 --home /var/lib/clauseway --take-over --why "disk lost"

    Exit code: 0 restored, 3 nothing was restored and why, 1 a failure, ours or the machine's.
    """
    if not take_over and (why or keep_budgets):
        raise InvalidInput.of(
            what="nothing is taken over",
            why="a home that is restored to be read spends nothing",
            where="--why" if why else "--keep-budgets",
            remedy="Add --take-over, or leave it out.",
        )
    over = TakingOver(why=why, keeps_budgets=keep_budgets) if take_over else None
    restored = restore(folder, home_at(home), over)
    answer(as_json, restored, lambda: _show_restored(restored))
    return 0


def _show_restored(restored: Restored) -> None:
    _print(
        f"{counted(restored.files, 'file')}, {counted(restored.bytes, 'byte')} were restored into {restored.home}, "
        f"as of {restored.moment}."
    )
    if restored.takes_over:
        _print("It takes the place of the home that was backed up, and may be served.")
        _print(
            f"{counted(restored.lost_attempts, 'attempt')} that were open are lost; "
            f"{counted(restored.leases, 'slice')} of budgets count as spent."
        )
        for held in restored.held:
            _print(
                f"budget {held.budget}: the {held.amount.normalize():f} USD that were left of this period count "
                "as spent. To give more: clauseway budget set."
            )
        if restored.losses:
            _print(
                "What was metered after the backup is a loss: clauseway spool list, spool accept."
            )
    else:
        _print("It is to be read beside the home that was backed up, and is not served.")
    for sentence in restored.missing:
        _print(f"not in it: {sentence}")
    for problem in restored.problems:
        _print(f"open: {problem}")


@app.command("migrate")
def migrate_command(
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
      clauseway home migrate --to postgresql://clauseway:secret@db.example/clauseway
    Back into the home:
      clauseway home migrate --to embedded

    Exit code: 0 moved, 3 nothing was moved and why, 1 a failure, ours or the machine's.
    """

    def tell(table: str, rows: int) -> None:
        if rows and not as_json:
            _print(f"{table}: {counted(rows, 'row')}")

    moved = migrate(home_at(home), to, tell)

    def show() -> None:
        _print(
            f"{counted(moved.rows, 'row')} of {counted(len(moved.tables), 'table')} are the same in both places."
        )
        _print(f"The control data is at {moved.target} now.")
        if moved.kept:
            _print(f"The file from before is kept as {moved.kept}; nothing reads it.")

    answer(as_json, moved, show)
    return 0


def _print(text: str, style: str = "") -> None:
    console().print(text, soft_wrap=True, style=style or None)
