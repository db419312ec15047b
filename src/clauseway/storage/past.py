"""The control data as they stood when certain batches of usage were all there was, in a copy: to settle again from.

The home itself is only read. Files of usage stay where they are; the copy lists those that held these batches alone.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from sqlalchemy import delete

from clauseway.storage import schema
from clauseway.storage.control import Control
from clauseway.storage.files import USAGE, files_of
from clauseway.storage.lake import Lake


class Past(msgspec.Struct, frozen=True):
    """A lake as it was. `missing` are batches that it does not have; `is_merged` where files of that time hold rows
    that came later too, so that they cannot be told apart."""

    lake: Lake
    missing: tuple[str, ...]
    is_merged: bool


@contextmanager
def as_it_was(control: Path, lake: Path, batches: Sequence[str]) -> Iterator[Past]:
    """The lake of a home with these batches and no later ones. `control` is the home's database."""
    with TemporaryDirectory(prefix="clauseway-") as folder:
        copy = Path(folder) / "control.db"
        if control.exists():
            with closing(sqlite3.connect(control)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        opened = Control.open(copy)
        try:
            yield _taken_back(opened, lake if lake.exists() else Path(folder) / "lake", frozenset(batches))
        finally:
            opened.close()


@contextmanager
def as_known(control: Path, lake: Path, known_ns: int) -> Iterator[Past]:
    """The lake and the books of a home as they stood at an instant, in a copy."""
    batches = []
    if control.exists():
        opened = Control.open(control)
        try:
            batches = [one.name for one in opened.batches() if one.sealed_ns <= known_ns]
        finally:
            opened.close()
    with as_it_was(control, lake, batches) as past:
        with past.lake.control.writing() as connection:
            for table, recorded in (
                (schema.vouchers, schema.vouchers.c.recorded_ns),
                (schema.closes, schema.closes.c.closed_ns),
                (schema.settlements, schema.settlements.c.recorded_ns),
            ):
                connection.execute(delete(table).where(recorded > known_ns))
        yield past


def _taken_back(control: Control, lake: Path, wanted: frozenset[str]) -> Past:
    held = {batch.name: batch for batch in control.batches()}
    kept = [held[name] for name in sorted(wanted) if name in held]
    later = [batch for name, batch in held.items() if name not in wanted]
    last_ns = max((batch.sealed_ns for batch in kept), default=0)
    missing = tuple(sorted(wanted - held.keys()))
    if not later:
        return Past(Lake(lake, control), missing, is_merged=False)
    with control.writing() as connection:
        for batch in later:
            columns = schema.manifest.c
            of_batch = (columns.spool == batch.spool) & (columns.segment == batch.segment)
            connection.execute(delete(schema.manifest).where(of_batch, columns.first_frame == batch.first_frame))
        connection.execute(delete(schema.lake_files).where(schema.lake_files.c.sealed_ns > last_ns))
    rows = sum(file.rows for file in files_of(control, USAGE))
    return Past(Lake(lake, control), missing, is_merged=rows != sum(batch.usage_rows for batch in kept))
