"""A home as it was known at an instant, in a copy of its control data: to settle again from.

The home itself is only read. Files of usage stay in their place.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc
from sqlalchemy import delete

from clauseway.files.presence import is_there
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control
from clauseway.storage.control.copying import copy_control
from clauseway.storage.control.engines import Place
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.stores import Store


@contextmanager
def copied(control: Place, lake: Path, store: Store | None = None) -> Iterator[Lake]:
    """Open the lake of a home with a copy of its control data, which may be changed. `control` is
    the home's database, `store` where its files are if not in the folder."""
    with TemporaryDirectory(prefix="clauseway-") as folder:
        copy = Path(folder) / "control.db"
        if isinstance(control, Path) and is_there(control):
            # SQLite's own backup: a copy of one instant, even while the home writes.
            with (
                closing(sqlite3.connect(control)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        with closing(Control.open(copy)) as opened:
            if not isinstance(control, Path):
                _copy_from_server(control, opened)
            yield Lake(lake if is_there(lake) else Path(folder) / "lake", opened, store)


def _copy_from_server(address: str, copy: Control) -> None:
    with closing(Control.open(address)) as server:
        copy_control(server, copy)


@contextmanager
def as_known(
    control: Place, lake: Path, known_ns: int, store: Store | None = None
) -> Iterator[Lake]:
    """Open the lake and the books of a home as they were known at an instant."""
    with copied(control, lake, store) as past:
        with past.control.writing() as connection:
            for table, recorded in (
                (schema.vouchers, schema.vouchers.c.recorded_ns),
                (schema.closes, schema.closes.c.closed_ns),
                (schema.settlements, schema.settlements.c.recorded_ns),
            ):
                connection.execute(delete(table).where(recorded > known_ns))
        yield past.as_known(known_ns)


def forget_since(control: Control, since_ns: int, begin: date) -> None:
    """Remove from a copy the settlements made at an instant or later, and closes of periods that
    end after a day."""
    with control.writing() as connection:
        connection.execute(
            delete(schema.settlements).where(schema.settlements.c.recorded_ns >= since_ns)
        )
        connection.execute(delete(schema.closes).where(schema.closes.c.end_day > begin))


def rows_known(lake: Lake, known_ns: int) -> int:
    """Return how many rows of usage were known by an instant. Raise LakeDamaged."""
    files = lake.sound(lake.usage_files())
    columns = (
        read_rows(lake.root / file.name, columns=["recorded_ns"])["recorded_ns"] for file in files
    )
    return sum(pc.sum(pc.less_equal(column, known_ns)).as_py() or 0 for column in columns)
