"""Spark as the engine that usage is summed and priced by: over processes and machines that see the lake
at the same path.

The module needs the extra `spark`, and Java.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from ibis.backends import BaseBackend
from ibis.backends.pyspark import Backend
from pyspark.sql import SparkSession

from clauseway.storage.lake.query_engines import QueryEngine
from clauseway.values import InvalidInput, Problem

_TODO = (
    "Install a Java runtime of version 17 or later and name its folder in JAVA_HOME; name a master "
    "that Spark knows with --spark-master."
)
# Every digit depends on the first two: overflow is an error, and a sum of decimals keeps all its
# places instead of giving up the last one for room before the point.
_SPARK_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


@contextmanager
def spark_engine(master: str) -> Iterator[QueryEngine]:
    """Start Spark, and yield an engine that runs on it until the end of the block.

    `master` is Spark's own word for where to run: `local[*]` for threads of this machine,
    `local-cluster[2,1,1024]` for two processes, `spark://host:7077` for a cluster that sees the
    lake at the same path. Raise InvalidInput if there is no Java, or Spark does not start.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise _not_started("no Java was found")
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    settings = dict(_SPARK_SETTINGS)
    if master.startswith("local"):
        # Processes of this machine alone talk to one another on the loopback.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings["spark.sql.shuffle.partitions"] = str(os.cpu_count() or 1)
    builder = SparkSession.builder.master(master).appName("clauseway")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # Java's own exceptions have no common type here
        first = str(error).strip().partition("\n")[0]
        raise _not_started(first.rstrip(".") or type(error).__name__) from None

    @contextmanager
    def opened() -> Iterator[BaseBackend]:
        backend = Backend()
        backend.do_connect(session)
        yield backend

    try:
        yield opened
    finally:
        session.stop()


def _not_started(why: str) -> InvalidInput:
    return InvalidInput(Problem(what="Spark did not start", why=why, where="spark", remedy=_TODO))
