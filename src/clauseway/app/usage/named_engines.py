"""The engines that sum, price and hash a home's usage, by their names: DuckDB within this process,
or Spark, which needs the extra `spark`.

Both come to the same bytes, so either is the other's second opinion.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from clauseway.app.opening.home import Home
from clauseway.app.usage.lake_place import store_for_cluster
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine

DUCKDB, SPARK = "duckdb", "spark"


@contextmanager
def engine_named(name: str, home: Home, master: str) -> Iterator[QueryEngine]:
    """Start an engine, for the length of the block; Spark at a master, by its own word for it.

    Raise InvalidInput where Spark does not start or reach the lake, before anything is settled.
    """
    if name == DUCKDB:
        yield duckdb_engine
        return
    spark = import_module("clauseway.storage.usage.spark")
    with spark.spark_engine(master, store_for_cluster(home, master)) as engine:
        yield engine
