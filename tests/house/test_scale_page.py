"""docs/scale.md says what was measured and what follows from it, and nothing else."""

import msgspec
import pytest
from bench.report import recorded as recorded_results
from bench.scale import Hashing, Recorded, Run
from bench.scale_page import PAGE, fixed_s, hash_rate, page, rate, recorded


def test_the_page_is_what_the_records_say() -> None:
    assert PAGE.read_text() == page(recorded(), recorded_results())


def test_both_engines_came_to_the_same_lines_at_each_size() -> None:
    lines = {(run.rows, run.lines) for run in recorded().runs}
    sizes = {run.rows for run in recorded().runs}
    assert len(lines) == len(sizes) == len(recorded().runs) / 2 >= 3


def test_both_engines_came_to_the_same_hashes_at_each_size() -> None:
    hashes = {(hashing.rows, hashing.digest) for hashing in recorded().hashed}
    assert len(hashes) == len(recorded().hashed) / 2 >= 2


def _run(engine: str, rows: int, start_cpu_s: float, sum_cpu_s: float) -> Run:
    return Run(
        engine=engine,
        rows=rows,
        files=2,
        bytes=rows * 10,
        start_s=1.0,
        start_cpu_s=start_cpu_s,
        sum_s=1.0,
        sum_cpu_s=sum_cpu_s,
        megabytes=100.0,
        lines="same",
    )


def _hashing(engine: str, rows: int, hash_cpu_s: float) -> Hashing:
    return Hashing(engine=engine, rows=rows, hash_s=1.0, hash_cpu_s=hash_cpu_s, megabytes=100.0, digest="same")


BY_HAND = Recorded(
    day="2026-11-23",
    machine="a machine",
    commit="abc1234",
    cores=2,
    hashed_day="2026-11-26",
    hashed=(
        _hashing("duckdb", 1_000_000, 2.0),
        _hashing("duckdb", 6_000_000, 12.0),
        _hashing("spark", 1_000_000, 40.0),
        _hashing("spark", 6_000_000, 140.0),
    ),
    runs=(
        _run("duckdb", 1_000_000, 0.5, 1.0),
        _run("duckdb", 11_000_000, 0.5, 2.0),
        _run("spark", 1_000_000, 9.0, 6.0),
        _run("spark", 11_000_000, 9.0, 11.0),
    ),
)


def test_rates_and_fixed_costs_by_hand() -> None:
    """DuckDB: 10 million rows more take a second more; the first million took 0.1 s of the 1.0 s. Spark: 5 s more."""
    assert (rate(BY_HAND, "duckdb"), rate(BY_HAND, "spark")) == (10_000_000, 2_000_000)
    assert fixed_s(BY_HAND, "duckdb") == pytest.approx(0.5 + 1.0 - 0.1)
    assert fixed_s(BY_HAND, "spark") == pytest.approx(9.0 + 6.0 - 0.5)
    assert (hash_rate(BY_HAND, "duckdb"), hash_rate(BY_HAND, "spark")) == (500_000, 50_000)


def test_what_follows_is_computed_from_the_record() -> None:
    text = page(BY_HAND, recorded_results())
    assert "a row costs Spark 5.0 times the CPU" in text
    assert "| bytes a record | 53 |" in text
    assert "| TB a year | 53 |" in text  # 10^12 records of 53 bytes
    assert "| core hours to sum a year | 28 |" in text  # 10^12 / 10^7 / 3600 = 27.8
    # 2 × 10^6 files of 500,000 records; 0.9 s before the first row of two files: 0.45 s × 2 × 10^6 / 3600 = 250.
    assert "| core hours to open a year's files, at most | 250 |" in text
    assert "| core hours to sum a year by Spark | 139 |" in text  # 10^12 / (2 × 10^6) / 3600 = 138.9
    assert "| Spark | 16 | 0.72 |" in text  # 10^12 / 12 / (2 × 10^6) / 16 / 3600 = 0.723
    # 10^12 / 365 rows: 2.74 × 10^9 / 500,000 / 3600 = 1.52, and 2.74 × 10^9 / 50,000 / 256 / 3600 = 0.0595.
    assert "1.5 hours with DuckDB, by one core; 0.059 hours with Spark, by 256 cores" in " ".join(text.split())
    slower = msgspec.structs.replace(BY_HAND, runs=(*BY_HAND.runs[:3], _run("spark", 11_000_000, 9.0, 16.0)))
    assert "a row costs Spark 10.0 times the CPU" in page(slower, recorded_results())
