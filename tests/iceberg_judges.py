"""Outside judges of a published table: pyiceberg, DuckDB's own reader of Iceberg, and Spark with Iceberg's runtime.

Each reads a table by its metadata alone, in a process of its own. Their libraries are obtained once into the tests'
cache; as a script (`make test` runs it first) this says what it does meanwhile.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import spark_judge
from locked_libraries import install_locked
from obtained import obtain

_LIBRARIES = Path(__file__).with_name("iceberg.txt")
_RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.0"
_RUNTIME_DIGEST = "0480f1248e0a8b50ae2a730d7ad3e1a727351c362ca63f4a0c35182087a49323"
_ANSWER_S = 300.0  # an upper bound for a busy machine

# A row of an answer: day, cloud, attempts, and the sums of the asked units of those that count, as text.
Row = tuple[str, ...]
Rows = list[Row]


class Unavailable(Exception):
    """A reader cannot be had here; says why."""


def by_pyiceberg(
    location: str,
    metadata: str,
    snapshots: Sequence[int],
    units: Sequence[str],
    properties: Mapping[str, str] | None = None,
) -> list[Rows]:
    """Return what pyiceberg reads of each snapshot, by day and cloud. Raises Unavailable.

    `properties` say how it comes to where the table lies.
    """
    settings = {"PYTHONPATH": str(_readers()), "PROPERTIES": json.dumps(properties or {})}
    return _asked(_PYICEBERG, location, metadata, snapshots, units, settings)


def by_duckdb(location: str, metadata: str, snapshots: Sequence[int], units: Sequence[str]) -> list[Rows]:
    """Return what DuckDB reads. Raises Unavailable."""
    return _asked(_DUCKDB, location, metadata, snapshots, units, {"PYTHONPATH": str(_readers())})


def by_spark(location: str, metadata: str, snapshots: Sequence[int], units: Sequence[str]) -> list[Rows]:
    """Return what Spark reads, by the folder of the table. Raises Unavailable."""
    try:
        environment = spark_judge.settings()
    except spark_judge.Unavailable as reason:
        raise Unavailable(str(reason)) from None
    return _asked(_SPARK, location, metadata, snapshots, units, environment | {"RUNTIME": str(_runtime())})


def answer_of_duckdb(query: str) -> list[list[Any]]:
    """Return the rows that DuckDB answers a query with. Raises Unavailable."""
    question = {"query": query}
    rows: list[list[Any]] = _run(_DUCKDB_QUERY, question, {"PYTHONPATH": str(_readers())})
    return rows


JUDGES: Mapping[str, Callable[[str, str, Sequence[int], Sequence[str]], list[Rows]]] = {
    "pyiceberg": by_pyiceberg,
    "duckdb": by_duckdb,
    "spark": by_spark,
}


def _asked(
    program: str,
    location: str,
    metadata: str,
    snapshots: Sequence[int],
    units: Sequence[str],
    settings: Mapping[str, str],
) -> list[Rows]:
    question = {"location": location, "metadata": metadata, "snapshots": snapshots, "units": units}
    answers: list[Any] = _run(program, question, settings)
    return [sorted(tuple(str(field) for field in row) for row in answer) for answer in answers]


def _run(program: str, question: Mapping[str, Any], settings: Mapping[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
        timeout=_ANSWER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@cache
def _readers() -> Path:
    """The libraries of pyiceberg and DuckDB. Raises Unavailable."""
    pinned = hashlib.sha256(_LIBRARIES.read_bytes()).hexdigest()[:12]
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    return obtain(f"iceberg-readers-{version}-{pinned}", _install)


def _install(folder: Path) -> None:
    _say("Fetching readers of Iceberg tables (110 MB) for the tests, once …")
    if why := install_locked(_LIBRARIES, folder, "--no-deps"):
        raise Unavailable(f"readers of Iceberg cannot be installed: {why}")


@cache
def _runtime() -> Path:
    """Iceberg's runtime for Spark. Raises Unavailable."""
    (jar,) = (obtain(f"iceberg-spark-{_RUNTIME_DIGEST[:12]}", _fetch_runtime) / "jars").glob("*.jar")
    return jar


def _fetch_runtime(folder: Path) -> None:
    """Let Spark fetch it, as it does for its users."""
    _say("Fetching Iceberg's runtime for Spark (46 MB) …")
    environment = {**os.environ, **spark_judge.settings(), "RUNTIME": _RUNTIME, "FOLDER": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", _FETCH], env=environment, capture_output=True, text=True, timeout=_ANSWER_S, check=False
    )
    jars = list((folder / "jars").glob("*.jar"))
    if done.returncode or len(jars) != 1:
        raise Unavailable(f"Spark cannot fetch Iceberg's runtime: {spark_judge.said_of_failure(done.stderr)}")
    if hashlib.sha256(jars[0].read_bytes()).hexdigest() != _RUNTIME_DIGEST:
        raise Unavailable("Iceberg's runtime for Spark is not the one that was pinned")


_BEGIN = """
import json, sys
asked = json.load(sys.stdin)
sums = ", ".join(f"sum({unit})" for unit in asked["units"])
counted = "status in (1, 2, 3, 7)"
query = f"select event_day, cloud, count(*), {sums} from usage where {counted} group by event_day, cloud"
"""
_PYICEBERG = (
    _BEGIN
    + """
import duckdb, os
from pyiceberg.table import StaticTable
table, answers = StaticTable.from_metadata(asked["metadata"], json.loads(os.environ["PROPERTIES"])), []
for snapshot in asked["snapshots"]:
    usage = table.scan(snapshot_id=snapshot).to_arrow()
    answers.append([list(map(str, row)) for row in duckdb.sql(query).fetchall()])
print(json.dumps(answers))
"""
)
_CONNECT = """
import duckdb, duckdb_extensions
con, answers = duckdb.connect(), []
for extension in ("avro", "iceberg"):
    duckdb_extensions.import_extension(extension, con=con)
con.sql("load iceberg")
"""
_DUCKDB = (
    _BEGIN
    + _CONNECT
    + """
for snapshot in asked["snapshots"]:
    at = f"iceberg_scan('{asked['metadata']}', snapshot_from_id => {snapshot}::ubigint)"
    answers.append([list(map(str, row)) for row in con.sql(query.replace("usage", at)).fetchall()])
print(json.dumps(answers))
"""
)
_DUCKDB_QUERY = (
    _CONNECT
    + """
import json, sys
rows = con.sql(json.load(sys.stdin)["query"]).fetchall()
print(json.dumps([[str(field) for field in row] for row in rows]))
"""
)
_SPARK = (
    _BEGIN
    + """
import os
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.jars", os.environ["RUNTIME"])
for name in ("spark.ui.enabled", "spark.ui.showConsoleProgress"):
    builder = builder.config(name, "false")
spark, answers = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate(), []
for snapshot in asked["snapshots"]:
    table = spark.read.format("iceberg").option("snapshot-id", snapshot).load(asked["location"])
    table.createOrReplaceTempView("usage")
    answers.append([list(map(str, row)) for row in spark.sql(query).collect()])
print(json.dumps(answers))
"""
)
_FETCH = """
import os
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.jars.ivy", os.environ["FOLDER"])
builder.config("spark.jars.packages", os.environ["RUNTIME"]).getOrCreate().stop()
"""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """See to the readers; without one, its tests skip and say so."""
    for name, obtained in {"reader of Iceberg": _readers, "Iceberg in Spark": _runtime}.items():
        try:
            obtained()
        except (Unavailable, spark_judge.Unavailable) as reason:
            print(f"No {name}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
