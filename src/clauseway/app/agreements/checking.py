"""The remarks of `check` on an agreement's folder, and the state of its files for `--watch`."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from clauseway.agreement.soundness.checking import check_agreement
from clauseway.agreement.soundness.remarks import Remark, Severity
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement, unread, with_recorded
from clauseway.decisions.question import RESTS_ON
from clauseway.values import InvalidInput, Problem


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """Every remark on an agreement, the gravest first, and how many of each severity."""

    title: str
    sound: bool
    counts: dict[str, int]
    remarks: tuple[Remark, ...]


def check_folder(folder: Path | None, home: Home) -> CheckView:
    """Check an agreement, by default the built-in one, with what a home has recorded.

    Raise InvalidInput where it cannot be read.
    """
    opened = with_recorded(open_agreement(folder), home)
    remarks = (*check_agreement(opened.agreement, opened.facts, RESTS_ON), *_not_read(folder))
    counts = {
        severity.value: sum(remark.severity is severity for remark in remarks)
        for severity in Severity
    }
    return CheckView(
        title=opened.agreement.title,
        sound=not counts[Severity.ERROR.value],
        counts=counts,
        remarks=remarks,
    )


def _not_read(folder: Path | None) -> Iterator[Remark]:
    for name in unread(folder) if folder is not None and folder.is_dir() else ():
        yield Remark(
            severity=Severity.NOTE,
            kind="not-read",
            document=name,
            line=0,
            what=f"{name} is not read",
            why="the documents of an agreement are the files whose names end in .md",
            todo="Nothing, unless it should say something: then rename it.",
        )


def watched(folder: Path | None) -> Path:
    """Return the folder to watch.

    Raise InvalidInput where there is none: the built-in agreement does not change.
    """
    if folder is None or not folder.is_dir():
        raise InvalidInput(
            Problem(
                what="there is nothing to watch",
                why="no folder is named" if folder is None else f"{folder} is not a folder",
                where="--watch",
                todo="Name the folder of an agreement with --agreement.",
            )
        )
    return folder


def state_of(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return the name, time of change (ns) and size of each document: it differs once a document
    was changed."""
    state = set()
    for path in folder.glob("*.md"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # an editor replaces a file by taking the old one away first
        state.add((path.name, status.st_mtime_ns, status.st_size))
    return frozenset(state)
