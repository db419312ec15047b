"""Spark as the engine that usage is summed, priced and hashed by: over processes and machines that see the lake
at the same path, or read it from S3.

Spark takes whatever else it needs from its own settings (`spark-defaults.conf`), the connector to
S3 among it.

The module needs the extra `spark`, and Java.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyspark
from ibis.backends import BaseBackend
from ibis.backends.pyspark import Backend
from py4j.protocol import Py4JJavaError
from pyspark.cloudpickle import register_pickle_by_value
from pyspark.sql import SparkSession

from clauseway.storage.lake.query_engines import QueryEngine
from clauseway.storage.lake.stores import Store
from clauseway.storage.usage import block_hashes
from clauseway.values import InvalidInput

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
    # Rows that are kept to be hashed are read twice and let go: compressing them takes a fifth of
    # the time that hashing takes in all.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


# Settings of a store, and Spark's names for them (those of its connector, S3A).
_S3A = {
    "endpoint": "endpoint",
    "region": "endpoint.region",
    "access_key_id": "access.key",
    "secret_access_key": "secret.key",
    "session_token": "session.token",
}


@contextmanager
def spark_engine(master: str, store: Store | None = None) -> Iterator[QueryEngine]:
    """Start Spark, and yield an engine that runs on it until the end of the block. A session that
    this thread has already serves, and goes on afterwards.

    `master` is Spark's own word for where to run: `local[*]` for threads of this machine,
    `local-cluster[2,1,1024]` for two processes, `spark://host:7077` for a cluster that sees the
    lake at the same path, or reads its objects from `store`. Raise InvalidInput if there is no
    Java, or Spark does not start or reach the store.
    """
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise _not_started("no Java was found")
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    settings = dict(_SPARK_SETTINGS)
    if master.startswith("local"):
        # Processes of this machine alone talk to one another on the loopback.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings["spark.sql.shuffle.partitions"] = str(os.cpu_count() or 1)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Workers are sent the code of what they hash by: they have no clauseway.
    register_pickle_by_value(block_hashes)
    running = SparkSession.getActiveSession()
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
        backend.objects_at = address
        yield backend

    try:
        address = _reached(session, store) if store else ""
        yield opened
    finally:
        if running is None:
            session.stop()


def _reached(session: SparkSession, store: Store) -> str:
    """Let Spark reach an S3 store as this home does; return Spark's address of it. Raise
    InvalidInput."""
    location = store.location.replace("s3://", "s3a://", 1)
    bucket = urlsplit(location).netloc
    hadoop = session._jsc.hadoopConfiguration()
    # Set here and not when Spark starts, where secrets would stand in a command line.
    for name, value in store.settings.items():
        hadoop.set(f"fs.s3a.bucket.{bucket}.{_S3A[name]}", value)
    if "endpoint" in store.settings:
        hadoop.set(f"fs.s3a.bucket.{bucket}.path.style.access", "true")
    try:
        path = session._jvm.org.apache.hadoop.fs.Path(location)
        path.getFileSystem(hadoop).exists(path)
    except Py4JJavaError as error:
        raise _not_reached(session, location, str(error.java_exception.toString())) from None
    return location


def _not_reached(session: SparkSession, location: str, why: str) -> InvalidInput:
    if "ClassNotFoundException" not in why and "NoClassDefFoundError" not in why:
        remedy = "Fix lake.toml of the home, or the rights of its credentials."
        problem, why = "Spark cannot reach the lake", why.partition("\n")[0].rstrip(".")
        return InvalidInput.of(what=problem, why=why, where=location, remedy=remedy)
    version = session._jvm.org.apache.hadoop.util.VersionInfo.getVersion()
    return InvalidInput.of(
        what="Spark has no connector to S3",
        why=why.partition("\n")[0].rstrip("."),
        where=location,
        remedy=f"Write spark.jars.packages org.apache.hadoop:hadoop-aws:{version} into "
        "spark-defaults.conf of the folder that SPARK_CONF_DIR names, or name the jars with "
        "spark.jars there.",
    )


def _not_started(why: str) -> InvalidInput:
    return InvalidInput.of(what="Spark did not start", why=why, where="spark", remedy=_TODO)
