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
from clauseway.cli.agreement import check as checker
from clauseway.cli.output import console, print_json

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

NOT_FORMATTED = 2
Folder = Annotated[Path, typer.Argument(help="The agreement's folder.", show_default=False)]


@app.callback()
def _agreements() -> None:
    """Write an agreement: a folder of Markdown, one file per amendment, read by lawyers and by Clauseway alike."""


@app.command("list")
def list_(as_json: options.AsJson = False) -> int:
    """List the agreements that ship, by the names that --agreement takes instead of a folder.

    \b
    See their names, and what the other one says:
      clauseway agreement list
      clauseway terms --agreement anthropic-clouds
    """
    shipped = [open_agreement(name).agreement for name in SHIPPED]
    if as_json:
        print_json(
            [
                {"name": one.id, "title": one.title, "amendments": len(one.amendments)}
                for one in shipped
            ]
        )
        return 0
    for one in shipped:
        by_default = ", by default" if one.id == BUILT_IN else ""
        console().print(
            f"{one.id}: {one.title}, {len(one.amendments)} amendments{by_default}", highlight=False
        )
    return 0


@app.command()
def new(folder: Folder, as_json: options.AsJson = False) -> int:
    """Make a folder with a small agreement of a vendor and its partner, to be edited at once.

    It has two amendments and every kind of term, with comments for whoever writes.

    \b
    Make it, and ask it:
      clauseway agreement new ours
      clauseway decide --agreement ours --action serve --party vendor --product assistant --cloud vendor-cloud
    """
    written = [str(path) for path in new_agreement(folder)]
    if as_json:
        print_json({"files": written})
        return 0
    out = console()
    for path in written:
        out.print(path)
    out.print(
        "Begin with agreement.md: who there is, and what they speak about. Then the amendments.",
        style="dim",
    )
    return 0


@app.command()
def schema(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it to a file; by default it is printed.")
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Print the JSON Schema of terms, changes, definitions and facts, for an editor that completes and checks YAML.

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
    if as_json:
        print_json({"file": str(out)})
    else:
        console().print(f"written to {out}")
    return 0


@app.command()
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
    """Lay out the YAML blocks of an agreement in the one canonical way. Prose, comments and meaning stay.

    \b
    Lay it out:
      clauseway agreement fmt ours
    Only say which files are not:
      clauseway agreement fmt ours --check
    """
    changed = [str(path) for path in format_folder(folder, write=not only_check)]
    if as_json:
        print_json({"changed": changed, "written": not only_check})
    else:
        out = console()
        for path in changed:
            out.print(path)
        if not changed:
            out.print("Everything is laid out canonically.", style="dim")
    return NOT_FORMATTED if only_check and changed else 0


@app.command()
def check(
    folder: Folder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file changes, until Ctrl-C.")
    ] = False,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Check an agreement's text, as `clauseway check --agreement FOLDER` does: what is wrong, doubtful or idle in it.

    \b
    While you write:
      clauseway agreement check ours --watch

    Exit code: 0 no errors, 2 errors, 3 the text cannot be read, 1 a failure, ours or the machine's.
    """
    return checker.command(folder, home, watch, as_json)
