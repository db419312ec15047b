"""Spark sums and prices what DuckDB does, to the last digit, on two processes of its own (`local-cluster`)."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from test_usage import DAYS, PRICED, PRICES, sealed, totals, used

import s3_server
import settled_book
import spark_judge
from clauseway.app.opening.home import Home
from clauseway.app.usage.lake_place import move_lake
from clauseway.metering import Status, Unit, UsageRecord
from clauseway.storage import Control
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.object_store import ObjectStore
from clauseway.storage.lake.query_engines import QueryEngine
from clauseway.storage.usage.priced import revenue, sales_in_order
from in_process import CLAUSEWAY, answer, run

CLUSTER = "local-cluster[2,1,1024]"


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    try:
        return spark_judge.settings()
    except spark_judge.Unavailable as reason:
        pytest.skip(f"no Spark: {reason}")


@pytest.fixture(scope="module")
def spark(environment: dict[str, str]) -> Iterator[QueryEngine]:
    """One cluster, which commands that run in this process use too; it can read S3."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.syspath_prepend(environment["PYTHONPATH"])
        with_s3 = spark_judge.settings_with_s3()
        for name in ("JAVA_HOME", "JAVA_TOOL_OPTIONS", "SPARK_LOCAL_IP", "SPARK_CONF_DIR"):
            patch.setenv(name, with_s3[name])
        from clauseway.storage.usage.spark import spark_engine  # noqa: PLC0415 it needs the path above

        yield stack.enter_context(spark_engine(CLUSTER))


def usage_of_all_kinds(count: int) -> list[UsageRecord]:
    """Records over every price, tier, endpoint, buyer, place, hour and status of the table; the same at each run."""
    chance = random.Random(2026)
    records = []
    for number in range(100, 100 + count):
        units = {
            Unit.INPUT_TOKENS: chance.choice([0, 7, 999, 272_000, 272_001, 20_000_000]),
            Unit.OUTPUT_TOKENS: chance.randrange(9_999),
        }
        if chance.random() < 0.5:
            units[Unit.CACHED_INPUT_TOKENS] = units[Unit.INPUT_TOKENS] * chance.randrange(101) // 100
        records.append(
            used(
                number,
                chance.randrange(1, 8),
                units,
                buyer=chance.randrange(1, 4),
                at=chance.randrange(1, 4),
                hour=chance.randrange(24),
                endpoint=chance.choice(["chat", "embeddings", "batches.create", "responses"]),
                status=chance.choice(list(Status)),
                tier=chance.choice(["", "default", "flex", "batch"]),
            )
        )
    return records


def lake_of(folder: Path, *batches: Sequence[UsageRecord]) -> Lake:
    lake = Lake(folder / "lake", Control.open(folder / "control.db"))
    for number, batch in enumerate(batches):
        sealed(lake, batch, number * 10_000, spool=f"s{number}")
    return lake


def test_both_engines_come_to_the_same_lines(spark: QueryEngine, tmp_path: Path) -> None:
    """The table worked out by hand, records of all kinds, and some of both sealed twice in another state."""
    by_hand, drawn = [record for record, _ in PRICED], usage_of_all_kinds(1_500)
    again = [msgspec.structs.replace(record, status=Status.COMPLETE) for record in drawn[:200]]
    lake = lake_of(tmp_path, by_hand, drawn, again)
    lines = revenue(lake, PRICES, DAYS)
    assert len(lines) > 20
    assert any(line.unsized for line in lines)
    assert revenue(lake.priced_by(spark), PRICES, DAYS) == lines


def test_a_table_by_hand_is_what_spark_comes_to(spark: QueryEngine, tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [record for record, _ in PRICED]).priced_by(spark)
    expected = sum(Decimal(amount) for _, amount in PRICED)
    assert sum(totals(revenue(lake, PRICES, DAYS)).values()) == expected


def test_single_sales_are_the_same(spark: QueryEngine, tmp_path: Path) -> None:
    lake, day = lake_of(tmp_path, usage_of_all_kinds(300)), date(2026, 5, 4)
    sales = sales_in_order(lake, PRICES, day)
    assert len(sales) > 10
    by_spark = sales_in_order(lake.priced_by(spark), PRICES, day)
    assert sorted(by_spark, key=msgspec.structs.astuple) == sorted(sales, key=msgspec.structs.astuple)


def test_no_place_after_the_point_is_given_up_for_large_amounts(spark: QueryEngine, tmp_path: Path) -> None:
    """10^10 tokens in, half of them cached, and 500 out, in long contexts on a discounted day: 17 digits."""
    units = {Unit.INPUT_TOKENS: 20_000_000, Unit.CACHED_INPUT_TOKENS: 10_000_000, Unit.OUTPUT_TOKENS: 1}
    lake = lake_of(tmp_path, [used(number, 3, units, buyer=2) for number in range(500)])
    each = 10_000_000 * (Decimal("0.000007") + Decimal("0.00000035")) + Decimal("0.000013333333")
    for priced in (lake, lake.priced_by(spark)):
        assert list(totals(revenue(priced, PRICES, DAYS)).values()) == [500 * each]


# As a controller types it


@pytest.fixture
def book(tmp_path: Path) -> Home:
    return settled_book.make(tmp_path / "home")


def settle(book: Home, environment: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    """Settle in a process of its own, whose path begins with that of the environment."""
    command = [str(CLAUSEWAY), "settle", "--period", "2026-05", "--home", str(book.root), *flags]
    path = os.pathsep.join(filter(None, (environment["PYTHONPATH"], os.environ.get("PYTHONPATH"))))
    variables = os.environ | environment | {"PYTHONPATH": path}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_a_second_opinion_is_the_same_to_the_last_byte(book: Home, environment: dict[str, str]) -> None:
    done = settle(book, environment, "--second-opinion", "spark", "--spark-master", CLUSTER)
    assert done.returncode == 0, done.stderr
    assert "Statement 2026-05 by Spark: the same, to the last byte" in done.stdout
    assert "2pa4zs7k  0.14  gpt-5.4 on aws, sold by openai: the same" in done.stdout


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--second-opinion", "duckdb"), "no engine 'duckdb'"),
        (("--second-opinion", "spark", "--known-at", "2026-06-05"), "nothing is posted that it could judge"),
        (("--second-opinion", "spark", "--under", "A3"), "nothing is posted that it could judge"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(book: Home, flags: tuple[str, ...], says: str) -> None:
    done = run("settle", "--period", "2026-05", *flags, "--home", str(book.root))
    assert (done.returncode, says in done.stderr) == (3, True), done.stderr


def test_a_cluster_that_cannot_read_a_lake_on_object_storage_is_refused_in_words(book: Home) -> None:
    """Threads of this machine read the copies; a cluster reads S3 alone."""
    book.lake_place.write_text('url = "gs://bucket/prefix"')
    flags = ("--second-opinion", "spark", "--spark-master", "spark://host:7077")
    done = run("settle", "--period", "2026-05", *flags, "--home", str(book.root))
    assert (done.returncode, "Spark cannot read this lake from a cluster" in done.stderr) == (3, True), done.stderr


@pytest.fixture
def book_on_s3(book: Home, monkeypatch: pytest.MonkeyPatch) -> tuple[Home, ObjectStore]:
    """The book with its lake in a bucket, its days summed, and no copy of a file on this machine."""
    for name, secret in s3_server.ENVIRONMENT.items():
        monkeypatch.setenv(name, secret)
    storage = s3_server.new_storage()
    named = {name: getattr(storage, name) for name in ("endpoint", "region", "access_key_env", "secret_env")}
    move_lake(book, storage.url, named)
    assert run("settle", "--period", "2026-05", "--home", str(book.root)).returncode == 0
    shutil.rmtree(book.lake)
    return book, s3_server.open_store(storage)


def copies(book: Home) -> list[Path]:
    return list(book.lake.rglob("*.parquet"))


@contextmanager
def no_connector_to_s3(spark: QueryEngine) -> Iterator[None]:
    """Name a class to Hadoop that nobody has, where it looks for the connector's."""
    with spark() as backend:
        hadoop = backend._session._jsc.hadoopConfiguration()
        connector = hadoop.get("fs.s3a.impl")
        hadoop.set("fs.s3a.impl", f"{connector}OfNobody")
        try:
            yield
        finally:
            hadoop.set("fs.s3a.impl", connector)


def test_a_cluster_reads_a_lake_on_s3_and_this_machine_none_of_it(
    book_on_s3: tuple[Home, ObjectStore], spark: QueryEngine
) -> None:
    book, store = book_on_s3
    opinion = ("--second-opinion", "spark", "--spark-master", CLUSTER)
    asked = ("settle", "--period", "2026-05", *opinion, "--home", str(book.root))
    with no_connector_to_s3(spark):
        without = run(*asked)
    assert (without.returncode, "hadoop-aws:3.4.1" in without.stderr) == (3, True), without.stderr
    done = run(*asked)
    assert done.returncode == 0, done.stderr
    assert "Statement 2026-05 by Spark: the same, to the last byte" in done.stdout
    assert copies(book) == []
    # An object that somebody else wrote, of the same length, is no usage of ours.
    (changed, *_) = [stored.name for stored in store.under("usage") if "2026-05-02" in stored.name]
    store.replace(changed, bytes(reversed(store.get(changed))))
    done = run(*asked)
    assert (done.returncode, changed in done.stderr) == (3, True), done.stdout + done.stderr
    assert copies(book) == []
    # The session that was there before these commands goes on.
    with spark() as backend:
        backend.list_tables()


def test_without_spark_or_a_place_to_run_it_nothing_is_settled(book: Home, environment: dict[str, str]) -> None:
    entries = answer("books", "journal", "--home", str(book.root))
    settled_book.seal(book, [(12, "05-04", 5, 1, 1, (1_000_000, 0, 0))])
    without = settle(book, {"PYTHONPATH": ""}, "--second-opinion", "spark")
    assert (without.returncode, "pip install 'clauseway[spark]'" in without.stderr) == (3, True), without.stderr
    nowhere = settle(book, environment, "--second-opinion", "spark", "--spark-master", "nowhere")
    assert (nowhere.returncode, "Spark did not start" in nowhere.stderr) == (3, True), nowhere.stderr
    no_java = settle(
        book, environment | {"JAVA_HOME": "", "PATH": str(Path(sys.executable).parent)}, "--second-opinion", "spark"
    )
    assert (no_java.returncode, "JAVA_HOME" in no_java.stderr) == (3, True), no_java.stderr
    assert answer("books", "journal", "--home", str(book.root)) == entries
