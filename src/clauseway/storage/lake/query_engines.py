"""Engines that usage is summed and priced by: DuckDB within this process, or Spark over several.

Both run the same Ibis expressions, so one is the other's second opinion: amounts agree to the last
digit. Their differences stand here: where files are read and by whom their digests are taken, how
rows of this process are handed over, and how sums are held between two queries.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import ibis
import pyarrow as pa
from ibis.backends import BaseBackend
from ibis.backends.sql.datatypes import DuckDBType
from ibis.expr.operations import Node
from ibis.expr.types import Expr, Table

QueryEngine = Callable[[], AbstractContextManager[BaseBackend]]

# The engine's memory before it writes to disk: with its libraries the process stays within 600 MB.
_ENGINE_MEMORY = "300MB"
# The engine's memory between two queries.
_IDLE_MEMORY = "2MB"
# More than the queries that all pages of a home ask, which are some sixty.
_TEXTS_KEPT = 128
# A query is built in some five steps, of 40 KB each with its text.
_TABLES_KEPT = 256


@lru_cache(maxsize=_TEXTS_KEPT)
def _text(query: Node) -> str:
    """Return a query as DuckDB's SQL. The text is kept, because pages ask the same queries again."""
    return str(ibis.duckdb.compile(query.to_expr()))


def connected(connection: Any) -> BaseBackend:
    """Return Ibis's engine over a connection to DuckDB. Its tables are named by number, so that
    equal queries of two connections are equal expressions, whose text is kept."""
    con = ibis.duckdb.from_connection(connection)
    write = con.compile

    def compile_once(expr: Expr, /, **options: Any) -> str:
        return write(expr, **options) if any(options.values()) else _text(expr.op())

    con.compile, con.numbers = compile_once, count(1)
    return con


class _SharedDatabase:
    """This process's DuckDB: opened once, as that takes 16 ms, and lent as connections that see
    tables of their own alone. They share its memory; larger data goes to a folder that is removed
    with the process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="clauseway-")
        self._database = ibis.duckdb.connect(
            memory_limit=_ENGINE_MEMORY,
            temp_directory=self._folder.name,
            preserve_insertion_order=False,
        ).con
        self._lock = threading.Lock()
        self._lent = 0

    def lend(self) -> Any:
        with self._lock:
            self._lent += 1
            return self._database.cursor()

    def take_back(self, connection: Any) -> None:
        with self._lock:
            connection.close()
            self._lent -= 1
            if self._lent:
                return
            # DuckDB keeps free memory for the next query until its limit is lowered. It refuses to
            # lower the limit while an answer is still read.
            with suppress(Exception):
                self._database.execute(f"SET memory_limit = '{_IDLE_MEMORY}'")
            self._database.execute(f"SET memory_limit = '{_ENGINE_MEMORY}'")


# By process: a forked child has none of the threads that its parent's database waits for.
_DATABASES: dict[int, _SharedDatabase] = {}


@contextmanager
def duckdb_engine() -> Iterator[BaseBackend]:
    """Open a connection to this process's DuckDB. Its tables end with it."""
    process = os.getpid()
    database = _DATABASES.get(process) or _DATABASES.setdefault(process, _SharedDatabase())
    connection = database.lend()
    try:
        yield connected(connection)
    except Exception:
        # A DuckDB that met a fatal error answers no more: the next query opens another.
        _DATABASES.pop(process, None)
        raise
    finally:
        database.take_back(connection)


def objects_at(con: BaseBackend) -> str:
    """Return the address below which an engine reads the lake's objects itself; empty if it reads
    files of this machine."""
    return str(getattr(con, "objects_at", ""))


def digests_by(con: BaseBackend, addresses: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of objects by their addresses, read to the last byte by Spark's
    executors."""
    objects = con._session.read.format("binaryFile").load(list(addresses))
    rows = objects.selectExpr("path", "sha2(content, 256) AS digest").collect()
    return {row["path"]: row["digest"] for row in rows}


def built(con: BaseBackend, build: Callable[..., Table], *arguments: Any) -> Table:
    """Return the table that a function makes of tables and of what tells them apart.

    Ibis takes milliseconds to check a step of usage's columns, as long as DuckDB takes for a
    month. Tables of DuckDB that are equal are kept: they have numbers for names, so a step that is
    repeated by another connection is the same. Spark's tables hold their rows, and are not.
    """
    if con.name != "duckdb":
        return build(*arguments)
    return _built(build, *(part.op() if isinstance(part, Table) else part for part in arguments))


@lru_cache(maxsize=_TABLES_KEPT)
def _built(build: Callable[..., Table], *arguments: Any) -> Table:
    return build(*(part.to_expr() if isinstance(part, Node) else part for part in arguments))


@lru_cache(maxsize=_TEXTS_KEPT)
def _table(name: str, columns: tuple[tuple[str, str], ...]) -> Table:
    """Return a table of DuckDB by its columns and their types, in DuckDB's words."""
    types = {column: DuckDBType.from_string(type_) for column, type_ in columns}
    return ibis.table(ibis.schema(types), name=name)


def read_files(con: BaseBackend, files: Sequence[Path | str]) -> Table:
    """Return the rows of Parquet files; a column that a file lacks is null for its rows."""
    paths = [str(file) for file in files]
    if con.name == "duckdb":
        return _viewed(con, paths, "union_by_name = true")
    frame = con._session.read.option("mergeSchema", "true").parquet(*paths)
    name = f"files_{uuid4().hex}"
    frame.createOrReplaceTempView(name)
    return con.table(name)


def read_files_alike(con: BaseBackend, files: Sequence[Path]) -> Table:
    """Return the rows of Parquet files with the same columns. DuckDB reads the first alone before
    it is asked for rows, so any number of files takes the same memory."""
    return _viewed(con, [str(file) for file in files])


def _viewed(con: BaseBackend, paths: Sequence[str], *options: str) -> Table:
    name = _numbered(con)
    source = ", ".join([f"[{', '.join(map(_quoted, paths))}]", *options])
    con.con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet({source})")
    described = con.con.execute(f"DESCRIBE {name}").fetchall()
    return _table(name, tuple((column, type_) for column, type_, *_ in described))


def _quoted(path: str) -> str:
    return "'{}'".format(str(Path(path).absolute()).replace("'", "''"))


def _numbered(con: BaseBackend) -> str:
    return f"table_{next(con.numbers)}"


def given(con: BaseBackend, rows: pa.Table) -> Table:
    """Return rows of this process as a table of the engine."""
    table = ibis.memtable(rows)
    if con.name != "duckdb":
        return table
    name = _numbered(con)
    con.con.register(name, rows)
    return ibis.table(table.schema(), name=name)


def held(con: BaseBackend, parts: Sequence[Table]) -> Table:
    """Return the rows of all parts, computed once and held; DuckDB computes a part at a time."""
    if con.name != "duckdb":
        return (parts[0] if len(parts) == 1 else ibis.union(*parts)).cache()
    name, schema = _numbered(con), parts[0].schema()
    columns = ", ".join(map(str, schema.to_sqlglot_column_defs(con.dialect)))
    con.con.execute(f"CREATE TEMP TABLE {name} ({columns})")
    for part in parts:
        con.con.execute(f"INSERT INTO {name} {con.compile(part)}")
    return ibis.table(schema, name=name)
