"""Engines that usage is summed and priced by: DuckDB within this process, or Spark over several.

Both run the same Ibis expressions, so one is the other's second opinion: amounts agree to the last
digit. Two things differ and stand here: how files are read, and how sums are held between two
queries.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import ibis
from ibis.backends import BaseBackend
from ibis.expr.types import Table

QueryEngine = Callable[[], AbstractContextManager[BaseBackend]]

# The engine's memory before it writes to disk: with the libraries themselves it stays within 600
# MB.
_ENGINE_MEMORY = "300MB"


@contextmanager
def duckdb_engine() -> Iterator[BaseBackend]:
    """Open a DuckDB of its own, within its memory; larger data goes to a folder that is removed
    afterwards."""
    with tempfile.TemporaryDirectory(prefix="clauseway-") as folder:
        con = ibis.duckdb.connect(
            memory_limit=_ENGINE_MEMORY,
            temp_directory=folder,
            preserve_insertion_order=False,
        )
        try:
            yield con
        finally:
            con.disconnect()


def read_files(con: BaseBackend, files: Sequence[Path]) -> Table:
    """Return the rows of Parquet files; a column that a file lacks is null for its rows."""
    paths = [str(file) for file in files]
    if con.name == "duckdb":
        return con.read_parquet(paths, union_by_name=True)
    frame = con._session.read.option("mergeSchema", "true").parquet(*paths)
    name = f"files_{uuid4().hex}"
    frame.createOrReplaceTempView(name)
    return con.table(name)


def held(con: BaseBackend, name: str, parts: Sequence[Table]) -> Table:
    """Return the rows of all parts, computed once and held; DuckDB computes a part at a time."""
    if con.name == "duckdb":
        table = con.create_table(name, parts[0], temp=True)
        for part in parts[1:]:
            con.insert(name, part)
        return table
    return (parts[0] if len(parts) == 1 else ibis.union(*parts)).cache()
