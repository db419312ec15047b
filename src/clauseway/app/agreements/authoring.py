"""Tools for the author of an agreement: a folder to begin with, a schema for the editor, one
layout for all."""

import sys
from functools import partial
from pathlib import Path

import msgspec

from clauseway.agreement.authoring.formatting import format_document
from clauseway.agreement.authoring.json_schema import block_schema
from clauseway.app.opening.library import ProblemList, built_in_documents, require_folder
from clauseway.app.opening.places import A_PLACE, text_of, writing
from clauseway.files import output_file
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_folder, is_there
from clauseway.values import InvalidInput, cause_of

TEMPLATE = "template"


def new_agreement(folder: Path) -> list[Path]:
    """Copy the template into a new folder, to be edited at once; its files.

    Raise InvalidInput for one in use.
    """
    if is_there(folder) and (not is_folder(folder) or any(folder.iterdir())):
        raise InvalidInput.of(
            what="something is there already",
            why="nothing is overwritten",
            where=str(folder),
            remedy="Name a folder that does not exist yet, or an empty one.",
        )
    written = []
    with writing(folder, A_PLACE):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in sorted(built_in_documents(TEMPLATE).items()):
            path = folder / name
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def schema_text() -> str:
    """Return the JSON Schema of blocks, as it is written to a file.

    Raise InvalidInput where Python runs without docstrings, from which it takes descriptions.
    """
    if sys.flags.optimize > 1:
        raise InvalidInput.of(
            what="the schema would lack descriptions",
            why="Python drops the texts that they are made from where this is 2, and by -OO",
            where="PYTHONOPTIMIZE",
            remedy="Unset it for this command, and run Python without -OO.",
        )
    return msgspec.json.format(msgspec.json.encode(block_schema()), indent=2).decode() + "\n"


def write_schema(path: Path) -> None:
    """Write the JSON Schema of blocks to a file.

    Raise InvalidInput where that cannot be written, and where `schema_text` does.
    """
    with writing(path, A_PLACE):
        path.write_text(schema_text(), "utf-8")


def format_folder(folder: Path, *, write: bool) -> list[Path]:
    """Return the documents of a folder that are not laid out canonically; with `write` they are
    from then on.

    Raise InvalidInput where a file cannot be read; then none was written.
    """
    require_folder(folder)
    wrong = ProblemList()
    changed: list[tuple[Path, str]] = []
    for path in list_folder(folder, "*.md"):
        text = wrong.tried(partial(_text, path), "")
        formatted = format_document(text)
        if formatted != text:
            changed.append((path, formatted))
    wrong.refuse()
    for path, formatted in changed if write else ():
        with writing(path, A_PLACE):
            _replace(path, formatted)
    return [path for path, _ in changed]


def _text(path: Path) -> str:
    """Return a file's text with its line ends as they are."""
    try:
        return text_of(path, newline="")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.of(
            what="the file cannot be read",
            why=cause_of(error),
            where=str(path),
            remedy="Give a readable UTF-8 file.",
        ) from None


def _replace(path: Path, text: str) -> None:
    """Replace a file whole, behind a link the file that it leads to; the same may read it as
    before."""
    with output_file(path) as beside:
        beside.write_bytes(text.encode("utf-8"))
