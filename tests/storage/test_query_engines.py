"""DuckDB as it is lent within a process: tables of one connection, memory of all, queries written once."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ibis import _
from ibis.expr.types import Table

from clauseway.storage.lake import query_engines
from clauseway.storage.lake.query_engines import built, duckdb_engine, given, held, read_files

ROWS = pa.table({"model": ["a", "b", "a"], "tokens": [1, 2, 3]})


def test_a_connection_sees_its_own_tables_alone() -> None:
    with duckdb_engine() as first, duckdb_engine() as second:
        tables = [held(con, [given(con, ROWS.slice(0, size))]) for con, size in ((first, 1), (second, 3))]
        assert tables[0].get_name() == tables[1].get_name()
        counted = [con.to_pyarrow(table.count()).as_py() for con, table in zip((first, second), tables, strict=True)]
        assert counted == [1, 3]
    with duckdb_engine() as third, pytest.raises(duckdb.CatalogException):
        third.to_pyarrow(tables[0])


def test_an_equal_query_of_another_connection_is_written_once(tmp_path: Path) -> None:
    query_engines._text.cache_clear()
    sums = []
    for tokens in (10, 20, 30):
        file = tmp_path / f"{tokens}.parquet"
        pq.write_table(pa.table({"model": ["a", "a"], "tokens": [tokens, 1]}), file)
        with duckdb_engine() as con:
            models = read_files(con, [file]).group_by("model").agg(tokens=_.tokens.sum())
            sums += con.to_pyarrow(models)["tokens"].to_pylist()
    assert sums == [11, 21, 31], "the text is kept, not the answer"
    assert query_engines._text.cache_info().misses == 1
    with duckdb_engine() as con:
        con.to_pyarrow(read_files(con, [file]).filter(_.tokens > 1))
    assert query_engines._text.cache_info().misses == 2


def test_a_step_of_equal_tables_is_made_once(tmp_path: Path) -> None:
    made = []

    def above(usage: Table, tokens: int) -> Table:
        made.append((*usage.columns, tokens))
        return usage.filter(_.tokens > tokens)

    file = tmp_path / "it's.parquet"
    counted = []
    for rows, tokens in ((ROWS, 1), (ROWS.slice(1), 1), (ROWS, 2), (ROWS.drop_columns(["model"]), 1)):
        pq.write_table(rows, file)
        with duckdb_engine() as con:
            counted.append(con.to_pyarrow(built(con, above, read_files(con, [file]), tokens).count()).as_py())
    assert counted == [2, 2, 1, 2], "the step is kept, not the answer"
    assert made == [("model", "tokens", 1), ("model", "tokens", 2), ("tokens", 1)]


def test_after_an_error_the_next_query_opens_another_database() -> None:
    with duckdb_engine():
        before = query_engines._DATABASES[os.getpid()]
    with pytest.raises(duckdb.Error), duckdb_engine() as con:
        con.con.execute("SELECT * FROM nowhere")
    with duckdb_engine() as con:
        assert con.to_pyarrow(given(con, ROWS).count()).as_py() == 3
    assert query_engines._DATABASES[os.getpid()] is not before


def test_an_answer_may_be_read_after_its_connection() -> None:
    with duckdb_engine() as con:
        answer = con.con.sql("SELECT hash(i) AS number FROM range(2_000_000) AS r(i) ORDER BY number")
        batches = answer.to_arrow_reader(20_000)
        first = batches.read_next_batch().num_rows
    assert first + sum(batch.num_rows for batch in batches) == 2_000_000
    with duckdb_engine() as con:
        assert con.con.sql("SELECT current_setting('memory_limit')").fetchall() == [("286.1 MiB",)]


LARGE = """
import sys
from clauseway.storage.lake.query_engines import duckdb_engine

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

def fill(con, rows):
    con.con.execute(f"CREATE TEMP TABLE numbers AS SELECT hash(i) AS number FROM range({rows}) AS r(i)")

with duckdb_engine() as con:
    fill(con, 1000)
before = megabytes()
with duckdb_engine() as con:
    fill(con, 20_000_000)
    within = megabytes()
print(within - before, megabytes() - before)
"""


def test_what_a_large_query_took_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    within, after = map(float, done.stdout.split())
    assert within > 100
    assert after < within / 2, (within, after)
