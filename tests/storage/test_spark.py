"""Spark sums and prices what DuckDB does, to the last digit, on two processes of its own (`local-cluster`)."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from bench.price_tables import open_prices
from test_usage import DAYS, PRICED, PRICES, sealed, totals, used

import s3_server
import settled_book
import spark_judge
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_as_known, settle_days, settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.usage.lake_place import move_lake
from clauseway.app.usage.sealing import open_lake
from clauseway.metering import Status, Unit, UsageRecord
from clauseway.storage import Control
from clauseway.storage.control import schema
from clauseway.storage.lake import lake as lake_module
from clauseway.storage.lake import query_engines
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.object_store import ObjectStore
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine
from clauseway.storage.usage import content, spark_hashes
from clauseway.storage.usage.content import day_contents
from clauseway.storage.usage.priced import revenue, sales_in_order
from clauseway.values import InvalidInput, KnownAt
from in_process import CLAUSEWAY, answer, run

CLUSTER = "local-cluster[2,1,1024]"
BY_SPARK = ("--engine", "spark", "--spark-master", CLUSTER)


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    try:
        return spark_judge.settings()
    except spark_judge.Unavailable as reason:
        pytest.skip(f"no Spark: {reason}")


def connector_to_s3() -> dict[str, str]:
    """The settings by which Spark reads S3; none where its connector cannot be had."""
    with suppress(spark_judge.Unavailable):
        return spark_judge.settings_with_s3()
    return {}


@pytest.fixture(scope="module")
def spark(environment: dict[str, str]) -> Iterator[QueryEngine]:
    """One cluster, which commands that run in this process use too; it reads S3 where its connector can be had."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.syspath_prepend(environment["PYTHONPATH"])
        for name, value in (environment | connector_to_s3()).items():
            if name != "PYTHONPATH":
                patch.setenv(name, value)
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


# Spark alone


@contextmanager
def no_duckdb() -> Iterator[None]:
    """Let nothing of this process ask DuckDB."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("DuckDB was asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", refuse)
        patch.setattr(query_engines, "_DATABASES", {})
        with pytest.raises(AssertionError, match="DuckDB was asked"), duckdb_engine():
            pass
        yield


def written(home: Home) -> dict[str, list[tuple[str, ...]]]:
    """Return the tables that settlements write, but instants: statements, day hashes, charges, entries, postings."""
    tables = (schema.settlements, schema.usage_contents, schema.kept_sums, schema.entries, schema.postings)
    with open_lake(home) as lake, lake.control.reading() as connection:
        return {
            table.name: sorted(
                tuple(str(value) for name, value in row.items() if name != "recorded_ns")
                for row in connection.execute(table.select()).mappings()
            )
            for table in tables
        }


def both_settle(book: Home, *flags: str, part: Sequence[str] = ()) -> Any:
    """Settle May with DuckDB, and in a copy with Spark alone, a part of it first; return the statement of both."""
    other = Home(Path(shutil.copytree(book.root, book.root.with_name("other"))))
    asked = ("settle", "--period", "2026-05", *flags, "--home")
    by_duckdb = answer(*asked, str(book.root))
    with no_duckdb():
        if part:
            assert [day["lines"] for day in answer(*asked, str(other.root), *BY_SPARK, *part)["days"]] == [3]
        by_spark = answer(*asked, str(other.root), *BY_SPARK)
    assert written(other) == written(book)
    assert by_spark == by_duckdb
    return by_spark


def test_spark_alone_settles_a_month_within_which_a_cap_is_reached(spark: QueryEngine, tmp_path: Path) -> None:
    """6.81 × 20 % are 1.362, of which 1.103 are of the days before 3 May: the cap of 1.2 falls within that day."""
    book = Home(tmp_path / "home").make()
    settled_book.seal(book)
    accepted = (*settled_book.ACCEPTED[:-1], "cap=USD 1.2")
    figures = (flag for figure in accepted for flag in ("--assume", figure))
    statement = both_settle(book, *figures, part=("--part", "2026-05-03"))
    ((share,),) = [direction["shares"] for direction in statement["directions"] if direction["shares"]]
    reached = share["cap"]["reached"]
    assert (reached["day"], reached["request_id"]) == ("2026-05-03", settled_book.request(9))


def test_spark_alone_settles_what_came_late_for_a_closed_month_too(book: Home, spark: QueryEngine) -> None:
    """Days without new usage keep the hashes that DuckDB made; the others are hashed by Spark."""
    close_month(book, "2026-04", date(2026, 7, 1))
    late = [(12, "04-27", 9, 1, 1, (100_000, 0, 10_000)), (13, "05-03", 9, 1, 2, (100_000, 0, 10_000))]
    settled_book.seal(book, late)
    statement = both_settle(book)
    assert any(direction["corrections"] for direction in statement["directions"])


def test_every_way_to_settle_asks_the_engine_that_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month, a day of it, and a month as it was known: by a watched engine, where the default is none."""
    book, asked = Home(tmp_path / "home").make(), list[str]()
    settled_book.seal(book)
    monkeypatch.setattr(lake_module, "duckdb_engine", None)

    @contextmanager
    def watched() -> Iterator[Any]:
        asked.append("")
        with duckdb_engine() as con:
            yield con

    terms = (open_agreement(), open_prices(settled_book.KNOWN), "2026-05")
    figures = (settled_book.ACCEPTED, dict[str, str]())
    for settle_by in (
        lambda: settle_days(book, *terms, ["2026-05-02"], *figures, engine=watched),
        lambda: settle_month(book, *terms, *figures, engine=watched),
        lambda: settle_as_known(book, "2026-05", KnownAt(1 << 62), engine=watched),
    ):
        asked.clear()
        settle_by()
        # To sum, and to hash.
        assert len(asked) >= 2


def test_days_have_one_hash_wherever_their_rows_are_hashed(
    spark: QueryEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of several blocks over several ranges, with attempts that were recorded twice."""
    for module in (content, spark_hashes):
        monkeypatch.setattr(module, "BLOCK_ROWS", 64)
    monkeypatch.setattr(spark_hashes, "_RANGE_ROWS", 100)
    drawn = usage_of_all_kinds(1_500)
    again = [msgspec.structs.replace(record, status=Status.COMPLETE) for record in drawn[:200]]
    # A lake with a limit keeps no hash.
    lake = lake_of(tmp_path, drawn, again).as_known(1 << 62)
    by_duckdb = day_contents(lake, DAYS)
    assert min(day.attempts for day in by_duckdb) > 64
    with no_duckdb():
        assert day_contents(lake.priced_by(spark), DAYS) == by_duckdb


def test_an_answer_with_a_gap_is_no_hash() -> None:
    """Whatever Spark did with rows that were lost or moved on its way, no hash is made of it."""

    def answered(number: int, first: str, last: str, rows: int = 65_536) -> dict[str, object]:
        ends = {"first_request": first, "first_attempt": 1, "last_request": last, "last_attempt": 1}
        return {"block": number, "rows": rows, "digest": b"", **ends}

    whole = [answered(0, "a", "b"), answered(1, "c", "d"), answered(2, "e", "f", rows=3)]
    assert spark_hashes._day(date(2026, 5, 1), whole).attempts == 2 * 65_536 + 3
    for flawed, says in (
        (whole[1:], "all blocks"),
        (whole[:1] + whole[2:], "all blocks"),
        ([answered(0, "a", "b", rows=65_535), *whole[1:]], "full blocks"),
        ([answered(0, "a", "c"), *whole[1:]], "blocks in order"),
    ):
        with pytest.raises(AssertionError, match=says):
            spark_hashes._day(date(2026, 5, 1), flawed)


def test_workers_that_cannot_hash_are_refused_in_words() -> None:
    said = "An exception was thrown:\n  File \"pickle.py\"\nModuleNotFoundError: No module named 'pyarrow'\n\n\tat Java"
    refusal = spark_hashes._as_refusal(RuntimeError(said))
    assert isinstance(refusal, InvalidInput)
    assert "No module named 'pyarrow'" in str(refusal)
    assert "PYSPARK_PYTHON" in str(refusal)
    other = RuntimeError("a disk is full")
    assert spark_hashes._as_refusal(other) is other


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
    """Where no master is named, Spark runs in threads of this machine; the tests above have a cluster."""
    done = settle(book, environment, "--second-opinion", "spark")
    assert done.returncode == 0, done.stderr
    assert "Statement 2026-05 by Spark: the same, to the last byte" in done.stdout
    assert "2pa4zs7k  0.14  gpt-5.4 on aws, sold by openai: the same" in done.stdout


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--second-opinion", "duckdb"), "no engine 'duckdb'"),
        (("--second-opinion", "spark", "--known-at", "2026-06-05"), "nothing is posted that it could judge"),
        (("--second-opinion", "spark", "--under", "A3"), "nothing is posted that it could judge"),
        (("--engine", "presto"), "Write --engine duckdb or --engine spark."),
        (("--engine", "spark", "--under", "A3"), "DuckDB alone compares terms"),
        (("--engine", "spark", "--second-opinion", "spark"), "no second opinion on itself"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(book: Home, flags: tuple[str, ...], says: str) -> None:
    done = run("settle", "--period", "2026-05", *flags, "--home", str(book.root))
    assert (done.returncode, says in done.stderr) == (3, True), done.stderr


@pytest.mark.usefixtures("spark")
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
    try:
        spark_judge.settings_with_s3()
    except spark_judge.Unavailable as reason:
        pytest.skip(str(reason))
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
    # Spark alone, where nothing was kept.
    settled = written(book)
    with open_lake(book) as lake, lake.control.writing() as connection:
        for kept in (schema.usage_contents, schema.kept_sums):
            connection.execute(kept.delete())
    with no_duckdb():
        alone = run("settle", "--period", "2026-05", *BY_SPARK, "--home", str(book.root))
    assert alone.returncode == 0, alone.stderr
    again = written(book)
    # The days before those that May stands on were not read.
    hashed = [again.pop("usage_contents"), settled.pop("usage_contents")]
    assert set(hashed[0]) < set(hashed[1])
    assert len(hashed[0]) == 4
    assert {table: rows for table, rows in again.items() if table != "kept_sums"} == {
        table: rows for table, rows in settled.items() if table != "kept_sums"
    }
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
    for flag in ("--second-opinion", "--engine"):
        without = settle(book, {"PYTHONPATH": ""}, flag, "spark")
        assert (without.returncode, "pip install 'clauseway[spark]'" in without.stderr) == (3, True), without.stderr
    no_java = settle(
        book, environment | {"JAVA_HOME": "", "PATH": str(Path(sys.executable).parent)}, "--engine", "spark"
    )
    assert (no_java.returncode, "JAVA_HOME" in no_java.stderr) == (3, True), no_java.stderr
    nowhere = settle(book, environment, "--second-opinion", "spark", "--spark-master", "nowhere")
    assert (nowhere.returncode, "Spark did not start" in nowhere.stderr) == (3, True), nowhere.stderr
    assert answer("books", "journal", "--home", str(book.root)) == entries
