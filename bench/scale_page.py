"""`python -m bench.scale_page`: docs/scale.md, written from bench/scale.json and bench/results.json.

Every figure of the page is taken from these records or computed from them here, but for the examples of prices, which
the page says are examples. A test holds the page to the records.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

import msgspec

from bench.record_bytes import LAKE_BYTES
from bench.report import recorded as recorded_results
from bench.results import Result
from bench.scale import ENGINES, RECORD, Recorded, Run
from clauseway.storage.lake.compaction import ROWS_MAX

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
RECORDS_A_YEAR = 10**12
_DAYS, _MONTHS, _HOURS = 365, 12, 24
_SECONDS = _DAYS * _HOURS * 3600
# Examples of list prices, as the page says.
_GIGABYTE_MONTH_USD, _CORE_HOUR_USD, _THOUSAND_WRITES_USD = 0.023, 0.05, 0.005
_CLUSTERS = (16, 64, 256)

HEAD = """\
# Scale

How much one core settles with each engine, which engine to take, and what a trillion usage records a year would need.
`python -m bench.scale` measures and writes [bench/scale.json](../bench/scale.json), `python -m bench.scale_page`
writes this page; a test holds the page to the record."""

LIMITS = """\
## What this does not show

- The largest lake that was summed is the one in the first table. Larger figures are computed from it, in proportion.
- The rows that were summed are synthetic, and smaller than real ones: the clouds' ids in them are serial numbers, while
  real ids are random and take 23 bytes each. The plan for a year assumes random ids.
- The measurement covers reading, counting each attempt once, summing, pricing and hashing. It leaves out shares, caps
  and posting, which work on some hundred lines a day.
- A day on which a cap is reached or a rate band begins needs one machine: with either engine, the process that settles
  reads the sales of that day one by one. A pack of a month is one file, which DuckDB sorts.
- Where the lake is a folder that a cluster shares, the machine that settles reads each file once, to check its digest;
  on S3 the workers do ([lake](lake.md#spark-over-s3)).
- Spark ran as threads of one process, and to hash as two processes of one machine. A cluster also moves data between
  machines.
- Prices are examples. Network, the database server, backups and people are not in them."""


def page(record: Recorded, results: Sequence[Result]) -> str:
    """Return the whole page."""
    sections = (_measured(record), _overtaking(record), _hashing(record), _plan(record, results))
    return "\n\n".join([HEAD, *("\n".join(section) for section in sections), LIMITS]) + "\n"


def rate(record: Recorded, engine: str) -> float:
    """Return the rows that a core sums in a second, without a sum's fixed cost: the difference between the smallest and
    the largest size."""
    least, *_, most = sorted(_runs(record, engine), key=lambda run: run.rows)
    return (most.rows - least.rows) / (most.sum_cpu_s - least.sum_cpu_s)


def fixed_s(record: Recorded, engine: str) -> float:
    """Return the CPU seconds of a start and of a sum of no rows."""
    least = min(_runs(record, engine), key=lambda run: run.rows)
    return least.start_cpu_s + least.sum_cpu_s - least.rows / rate(record, engine)


def hash_rate(record: Recorded, engine: str) -> float:
    """Return the rows that a core hashes in a second, between the smallest and the largest size."""
    of_engine = [hashing for hashing in record.hashed if hashing.engine == engine]
    least, *_, most = sorted(of_engine, key=lambda hashing: hashing.rows)
    return (most.rows - least.rows) / (most.hash_cpu_s - least.hash_cpu_s)


def _runs(record: Recorded, engine: str) -> list[Run]:
    return [run for run in record.runs if run.engine == engine]


def _measured(record: Recorded) -> Iterator[str]:
    yield "## Measured"
    yield ""
    yield _paragraph(
        f"Recorded on {record.day}, on {record.machine}, at commit `{record.commit}`.",
        "Both engines came to the same lines, digit by digit, at each size.",
        "Compare CPU: elapsed time moves with what else a machine does.",
    )
    yield ""
    yield "| rows | files | MB on disk | engine | start, CPU s | sum, CPU s | sum, elapsed s | largest memory, MB |"
    yield "|---|---|---|---|---|---|---|---|"
    for run in record.runs:
        yield (
            f"| {run.rows:,} | {run.files} | {run.bytes / 1e6:,.0f} | {run.engine} | {run.start_cpu_s} "
            f"| {run.sum_cpu_s} | {run.sum_s} | {run.megabytes:,.0f} |"
        )
    yield ""
    yield "| | DuckDB | Spark |"
    yield "|---|---|---|"
    both = [rate(record, engine) for engine in ("duckdb", "spark")]
    yield f"| rows per core second, between smallest and largest | {_short(both[0])} | {_short(both[1])} |"
    both = [fixed_s(record, engine) for engine in ("duckdb", "spark")]
    yield f"| CPU s before the first row, start included | {both[0]:.1f} | {both[1]:.1f} |"


def _overtaking(record: Recorded) -> Iterator[str]:
    times = rate(record, "duckdb") / rate(record, "spark")
    least, *_, most = sorted(_runs(record, "duckdb"), key=lambda run: run.rows)
    month = RECORDS_A_YEAR // _MONTHS
    yield "## Where one overtakes the other"
    yield ""
    grown = most.megabytes / least.megabytes
    yield _paragraph(
        f"Per core never: a row costs Spark {times:.1f} times the CPU.",
        "In elapsed time, and for lakes so large that the start does not matter, Spark is ahead of DuckDB",
        f"on one machine once its cluster has more than {times:.1f} times that machine's cores.",
        f"Memory is no reason to choose: {most.rows / least.rows:.0f} times the rows took DuckDB {grown:.2f}",
        "times the memory.",
        f"A month of a trillion records a year ({_short(month)} rows) takes, in proportion to the cores:",
    )
    yield ""
    yield "| | cores | hours |"
    yield "|---|---|---|"
    for cores in (record.cores, *_CLUSTERS):
        yield f"| DuckDB, one machine | {cores} | {_hours(month, rate(record, 'duckdb'), cores)} |"
    for cores in _CLUSTERS:
        yield f"| Spark | {cores} | {_hours(month, rate(record, 'spark'), cores)} |"
    yield ""
    yield _paragraph(
        "DuckDB can use several machines too: `settle --part DAY` sums and hashes a day on any machine that",
        "sees the lake. The settlement of the month then uses these sums and hashes; it reads single sales",
        "only for a day on which a share's cap is reached. Each machine needs enough disk to sort its day.",
        "So take DuckDB, in parts if a month takes too long, and Spark as a second opinion",
        "([statements](statements.md)). If no machine can sort a day, settle the month with Spark alone:",
        "`settle --engine spark` ([books](books.md#what-is-read)).",
    )


def _hashing(record: Recorded) -> Iterator[str]:
    day = RECORDS_A_YEAR / _DAYS
    rates = {engine: hash_rate(record, engine) for engine in ENGINES}
    yield "## The hash of a day"
    yield ""
    yield _paragraph(
        "A statement identifies its usage by a hash of each day, made once for each set of files of that day.",
        "DuckDB sorts a day's rows and one process hashes them; Spark's workers sort and hash them, and send",
        "32 bytes for 65,536 rows. Both came to the same hashes at each size. Spark ran as two processes of",
        f"one core and 1 GB each ({record.hashed_day}; the start is left out).",
    )
    yield ""
    yield "| rows | engine | CPU s | elapsed s | memory of all processes, MB |"
    yield "|---|---|---|---|---|"
    for hashing in record.hashed:
        yield (
            f"| {hashing.rows:,} | {hashing.engine} | {hashing.hash_cpu_s} | {hashing.hash_s} "
            f"| {hashing.megabytes:,.0f} |"
        )
    yield ""
    yield _paragraph(
        f"Between the two sizes a core hashes {_short(rates['duckdb'])} rows a second with DuckDB and",
        f"{_short(rates['spark'])} with Spark. In proportion, a day of a trillion records a year",
        f"({_short(day)} rows) takes {_hours(day, rates['duckdb'], 1)} hours with DuckDB, by one core;",
        f"{_hours(day, rates['spark'], _CLUSTERS[-1])} hours with Spark, by {_CLUSTERS[-1]} cores.",
    )


def _plan(record: Recorded, results: Sequence[Result]) -> Iterator[str]:
    measured = {result.name: result.ours for result in results}
    per_second = RECORDS_A_YEAR / _SECONDS
    day = RECORDS_A_YEAR / _DAYS
    largest = max(_runs(record, "duckdb"), key=lambda run: run.rows)
    gigabytes = RECORDS_A_YEAR * LAKE_BYTES / 1e9
    files = day / ROWS_MAX
    gateway = per_second * measured["request/chat-c32"] / 1e6
    sealing = per_second / measured["metering/sealing"]
    settling_hours = RECORDS_A_YEAR / rate(record, "duckdb") / 3600
    # Take the whole fixed cost of a sum, without the start, for the cost of opening its files.
    per_file_s = (fixed_s(record, "duckdb") - largest.start_cpu_s) / largest.files
    opening_hours = max(per_file_s, 0.0) * files * _DAYS / 3600
    core_hours = (gateway + sealing) * _DAYS * _HOURS + settling_hours + opening_hours
    # A lake that grows evenly holds half of its year on average.
    storage = gigabytes / 2 * _GIGABYTE_MONTH_USD * _MONTHS
    writes = files * _DAYS / 1000 * _THOUSAND_WRITES_USD
    yield f"## {_short(RECORDS_A_YEAR)} records a year"
    yield ""
    yield _paragraph(
        "Computed from the record above and from [the benchmarks](benchmarks.md)",
        "(`request/chat-c32`, `metering/sealing`).",
    )
    yield ""
    yield "| | | |"
    yield "|---|---|---|"
    for name, figure, note in (
        ("records a second, all year", _short(per_second), "the average, without peaks"),
        ("partitions", f"{_DAYS}", "one for each event day"),
        ("records a partition", _short(day), ""),
        ("files a partition", _short(files), f"merged to {ROWS_MAX:,} records each"),
        ("files a year", _short(files * _DAYS), "as many rows in the list of files"),
        ("bytes a record", f"{LAKE_BYTES}", "with random ids of 38 letters (`bench.record_bytes`)"),
        ("GB a partition", _short(day * LAKE_BYTES / 1e9), ""),
        ("TB a year", _short(gigabytes / 1000), ""),
        ("cores of gateways", f"{gateway:.1f}", "one attempt a record; without peaks and spares"),
        ("cores that seal", f"{sealing:.2f}", ""),
        ("core seconds to sum a day", _short(day / rate(record, "duckdb")), "DuckDB"),
        ("core hours to sum a year", _short(settling_hours), "DuckDB, each day once"),
        ("core hours to open a year's files, at most", _short(opening_hours), "DuckDB"),
        (
            "core hours to sum a year by Spark",
            _short(RECORDS_A_YEAR / rate(record, "spark") / 3600),
            "without opening the files",
        ),
        (
            "USD for storage in the first year",
            _short(storage),
            f"at {_GIGABYTE_MONTH_USD} a GB and month, from an empty lake",
        ),
        ("USD for writes of merged files", _short(writes), f"at {_THOUSAND_WRITES_USD} a thousand"),
        ("USD for cores", _short(core_hours * _CORE_HOUR_USD), f"at {_CORE_HOUR_USD} a core hour"),
    ):
        yield f"| {name} | {figure} | {note} |"


def _paragraph(*sentences: str) -> str:
    return fill(" ".join(sentences), 120, break_long_words=False, break_on_hyphens=False)


def _hours(rows: float, rows_per_core_s: float, cores: int) -> str:
    return _short(rows / rows_per_core_s / cores / 3600)


def _short(number: float) -> str:
    """Return a number to three digits, in words where it is large."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.3g} {word}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def recorded() -> Recorded:
    return msgspec.json.decode(RECORD.read_bytes(), type=Recorded)


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.scale_page", description=__doc__).parse_args()
    PAGE.write_text(page(recorded(), recorded_results()))


if __name__ == "__main__":
    main()
