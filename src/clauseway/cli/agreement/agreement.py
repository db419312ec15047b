"""`clauseway agreement`: what an author of an agreement needs."""

from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.agreements.authoring import (
    format_folder,
    new_agreement,
    schema_text,
    write_schema,
)
from clauseway.app.opening.library import BUILT_IN, SHIPPED, open_agreement
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.written import file_named
from clauseway.values import counted

NOT_FORMATTED = 2
Folder = Annotated[Path, typer.Argument(help="The agreement's folder.", show_default=False)]


def list_(as_json: options.AsJson = False) -> int:
    """List the agreements that ship, by the names that --agreement takes instead of a folder.

    \b
    See the names, and what anthropic-clouds says:
      clauseway agreement list
      clauseway agreement terms --agreement anthropic-clouds
    """
    shipped = [open_agreement(name).agreement for name in SHIPPED]

    def show() -> None:
        for agreement in shipped:
            by_default = ", by default" if agreement.id == BUILT_IN else ""
            console().print(
                f"{agreement.id}: {agreement.title}, {counted(len(agreement.amendments), 'amendment')}{by_default}",
                highlight=False,
            )

    answer(
        as_json,
        [
            {
                "name": agreement.id,
                "title": agreement.title,
                "amendments": len(agreement.amendments),
            }
            for agreement in shipped
        ],
        show,
    )
    return 0


def new(folder: Folder, as_json: options.AsJson = False) -> int:
    """Make a folder with a small agreement of a vendor and its partner, to be edited at once.

    It has two amendments and every kind of term, with comments for whoever writes.

    \b
    Make it, and ask it:
      clauseway agreement new ours
      clauseway decide --agreement ours --action serve --party vendor --product assistant --cloud vendor-cloud
    """
    written = [str(path) for path in new_agreement(folder)]

    def show() -> None:
        out = console()
        for path in written:
            out.print(path)
        out.print(
            "Begin with agreement.md: who there is, and what they speak about. Then the amendments.",
            style="dim",
        )

    answer(as_json, {"files": written}, show)
    return 0


def schema(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write it to a file; by default it is printed.", callback=file_named
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Print the JSON Schema of terms, changes, definitions and facts, for an editor that completes
    and checks YAML.

    \b
    Print it:
      clauseway agreement schema
    Into a file that an editor is told of:
      clauseway agreement schema --out blocks.schema.json
    """
    if out is None:
        print(schema_text(), end="")
        return 0
    write_schema(out)
    answer(as_json, {"file": str(out)}, f"written to {out}")
    return 0


def fmt(
    folder: Folder,
    only_check: Annotated[
        bool,
        typer.Option(
            "--check", help="Change nothing; exit with 2 where something would be changed."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Lay out the YAML blocks of an agreement in the one canonical way. Prose, comments and meaning
    stay.

    \b
    Lay it out:
      clauseway agreement fmt ours
    Only say which files are not:
      clauseway agreement fmt ours --check
    """
    changed = [str(path) for path in format_folder(folder, write=not only_check)]

    def show() -> None:
        out = console()
        for path in changed:
            out.print(path)
        if not changed:
            out.print("Everything is laid out canonically.", style="dim")

    answer(as_json, {"changed": changed, "written": not only_check}, show)
    return NOT_FORMATTED if only_check and changed else 0
