"""Settling: usage in Parquet to revenue lines to a settlement, beside bare SQL that computes the same sums.

The rows are made up, deterministically and in a temporary folder: 1,000 tenants over 60 days, two products on two
clouds in three regions, from two sellers, the large tenants with most of the requests, the token counts of each request
its own. Both sides read the same files, sum by tenant and day, join the same dated prices on the day's interval in
decimal(38, 12), and come to the same revenue to the last digit, or this fails. Each run is a process of its own, so
that its peak of memory is its own; ours and the bare one take turns. Posting is timed apart.

    python -m bench.settlement run ours|bare FOLDER     one run, as JSON (what the benchmark starts)
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import duckdb
import ibis
import msgspec
from sqlalchemy import Connection

from bench.memory import peak_megabytes
from bench.price_tables import open_prices
from bench.results import Effort, Result, result
from clauseway import open_agreement
from clauseway.ledger import Inputs, accruals, read_assumptions, settle
from clauseway.storage import Control
from clauseway.storage.lake.file_list import USAGE, LakeFile, files_of, list_files
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import duckdb_engine
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, KnownAt, exact_sum, start_of_day_ns

ROWS = 50_000_000
_TIMES, _DOUBLED, _MEGABYTES = 1.3, 2.1, 600
_TENANTS, _DAYS, _FILES_A_DAY = 1_000, 60, 2
_FIRST = date(2026, 5, 1)
_PERIOD = Interval(date(2026, 6, 1), date(2026, 7, 1))
# The share is due on what has accumulated since it began.
SINCE = Interval(date(2026, 4, 27), _PERIOD.end)
_ASSUMED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
KNOWN_AT = KnownAt.end_of(date(2026, 7, 1))
_INPUTS = Inputs(agreement="", price_book="", batches=(), known_at="everything", engine="")
# Prices that change within the days, so that the join is one of intervals. A book that prices a model
# prices all of its units.
_BOOK = """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.5,aws,,,input_tokens,2026-06-15,,2026-06-10,5.25,made up
gpt-5.5,aws,,,cached_input_tokens,2026-06-15,,2026-06-10,0.55,made up
gpt-5.5,aws,,,output_tokens,2026-06-15,,2026-06-10,33,made up
gpt-5.4,aws,,us-west-2,input_tokens,2026-05-20,2026-06-20,2026-05-10,2.75,made up
gpt-5.4,aws,,us-west-2,cached_input_tokens,2026-05-20,2026-06-20,2026-05-10,0.275,made up
gpt-5.4,aws,,us-west-2,output_tokens,2026-05-20,2026-06-20,2026-05-10,16.123457,made up
"""
_PLACES = [
    ("gpt-5.4", "aws", "openai", "us-east-2"),
    ("gpt-5.4", "aws", "openai", "us-west-2"),
    ("gpt-5.4", "azure", "microsoft", "eastus2"),
    ("gpt-5.4", "azure", "openai", "eastus2"),
    ("gpt-5.5", "aws", "openai", "us-east-2"),
    ("gpt-5.5", "aws", "openai", "us-west-2"),
    ("gpt-5.5", "azure", "microsoft", "eastus2"),
    ("gpt-5.5", "azure", "openai", "eastus2"),
]


def measure(effort: Effort) -> list[Result]:
    """50 million rows and half as many; 100 million and 50 with `--large`."""
    rows = 2 * ROWS if effort.large else ROWS
    rounds = min(effort.rounds, 3)
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        whole, half = Path(folder) / "whole", Path(folder) / "half"
        generate(whole, rows)
        generate(half, rows // 2)
        runs: dict[str, list[Figures]] = {"ours": [], "bare": [], "half": []}
        for _ in range(rounds):
            for who, where in (("ours", whole), ("bare", whole), ("half", half)):
                runs[who].append(_run("bare" if who == "bare" else "ours", where))
            assert runs["ours"][-1].revenue == runs["bare"][-1].revenue, "the two sides differ"
    name, notes = f"settlement/{rows // 1_000_000}M", _notes(runs, rows)
    seconds = {who: [figure.seconds for figure in figures] for who, figures in runs.items()}
    megabytes = {
        who: [figure.megabytes for figure in figures]
        for who, figures in runs.items()
        if who != "half"
    }
    bare = sorted(seconds["bare"])[rounds // 2]
    doubled = [whole / half for whole, half in zip(seconds["ours"], seconds["half"], strict=True)]
    return [
        result(name, "s", _TIMES * bare, {who: seconds[who] for who in ("ours", "bare")}, notes),
        result(f"{name}/memory", "MB", _MEGABYTES, megabytes, {}),
        result(f"{name}/twice the rows", "times", _DOUBLED, {"ours": doubled}, {}),
    ]


def _notes(runs: dict[str, list["Figures"]], rows: int) -> dict[str, str]:
    ours, bare = runs["ours"], runs["bare"]
    ratio = sorted(own.seconds / peer.seconds for own, peer in zip(ours, bare, strict=True))[
        len(ours) // 2
    ]
    return {
        "times bare": f"{ratio:.2f}",
        "rows": f"{rows:,} in {_DAYS * _FILES_A_DAY} files",
        "groups": f"{bare[0].groups:,} (day, tenant, product, cloud, seller, region)",
        "posting": f"{ours[0].posting_seconds:.2f} s",
    }


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run: without the imports and the opening of the books, to the settlement; its peak of memory; its sum."""

    seconds: float
    megabytes: float
    revenue: str
    groups: int = 0
    posting_seconds: float = 0.0


def _run(who: str, folder: Path) -> Figures:
    command = [sys.executable, "-m", "bench.settlement", "run", who, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{who} failed:\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=Figures)


def run_ours(folder: Path) -> Figures:
    """From the sealed files to the settlement; then its journal, posted."""
    opened, prices = open_agreement(), open_prices(KNOWN_AT, folder / "book.csv")
    shares = opened.revenue_shares(KNOWN_AT, {})
    assumptions = read_assumptions(_ASSUMED, opened.agreement.figures)
    control = Control.open(folder / "control.db")
    lake = Lake(folder / "lake", control)
    with duckdb_engine() as con:  # the libraries loaded, as the bare side's are
        con.to_pyarrow(ibis.literal(1))
    begin = time.perf_counter()
    settlement = settle(
        period=_PERIOD,
        shares=shares,
        revenue=revenue(lake, prices, SINCE),
        catalog=opened.catalog,
        assumptions=assumptions,
        inputs=_INPUTS,
    )
    end = time.perf_counter()
    control.settle(settlement, accruals(settlement, control.entries()), time.time_ns())
    posted = time.perf_counter()
    control.close()
    # OpenAI's base is its own sales: with Microsoft's share ended, the one that is settled.
    base = exact_sum(share.base_after for share in settlement.shares)
    return Figures(
        seconds=end - begin,
        posting_seconds=posted - end,
        megabytes=peak_megabytes(),
        revenue=f"{base:f}",
    )


def run_bare(folder: Path) -> Figures:
    """The same sums in SQL alone, at the same grain, with the engine's own defaults for memory."""
    files = [str(file) for file in sorted((folder / "lake").rglob("*.parquet"))]
    begin = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TEMP TABLE prices AS SELECT * FROM read_parquet($1)",
            [str(folder / "prices.pq")],
        )
        connection.execute(_SUMS, [files])
        lines = connection.execute(_LINES).fetchall()
        seconds = time.perf_counter() - begin
        groups = connection.execute("SELECT count(*) FROM sums").fetchone()
    base = exact_sum(amount for _, seller, _, _, amount, _ in lines if seller == "openai")
    return Figures(
        seconds=seconds,
        megabytes=peak_megabytes(),
        revenue=f"{base:f}",
        groups=groups[0] if groups else 0,
    )


_SUMS = """
CREATE TEMP TABLE sums AS
SELECT event_day, organisation, product, cloud, seller, region, count(*) AS requests,
    sum(input_tokens) AS input, sum(cached_input_tokens) AS cached, sum(output_tokens) AS output
FROM read_parquet($1) WHERE status IN (1, 2, 3, 7) AND event_day >= DATE '2026-04-27' AND event_day < DATE '2026-07-01'
GROUP BY ALL"""
_LINES = """
SELECT event_day, s.seller, s.cloud, s.product, sum(
    ((input - coalesce(cached, 0))::DECIMAL(18, 0) * input_price + coalesce(cached, 0)::DECIMAL(18, 0) * cached_price
     + output::DECIMAL(18, 0) * output_price)::DECIMAL(38, 12)) AS amount, sum(requests)
FROM sums AS s JOIN prices AS p ON s.product = p.product AND s.cloud = p.cloud AND s.seller = p.seller
    AND s.region = p.region AND event_day >= begin_day AND event_day < end_day
GROUP BY ALL ORDER BY ALL"""


def generate(folder: Path, rows: int, files_a_day: int = _FILES_A_DAY) -> None:
    """Make the lake of so many rows, its list of files, the book, and the prices as plain columns for the bare side."""
    folder.mkdir(parents=True)
    (folder / "book.csv").write_text(_BOOK)
    control = Control.open(folder / "control.db")
    root = Lake(folder / "lake", control).root
    files = []
    each = rows // (_DAYS * files_a_day)
    with duckdb.connect() as connection:
        for number in range(_DAYS * files_a_day):
            day = _FIRST + timedelta(days=number // files_a_day)
            name = f"{USAGE}/{day}/made-up-{number:04d}.parquet"
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            where = {
                "first": number * each,
                "rows": each,
                "day": day,
                "midnight": start_of_day_ns(day),
            }
            connection.execute(_ROWS_SQL.format(path=root / name), where)
            files.append(_listed(root, name, day, number * each, each))
    _list(control, files)
    control.close()
    _plain_prices(folder)


def _listed(root: Path, name: str, day: date, first: int, rows: int) -> LakeFile:
    written = (root / name).read_bytes()
    digest = hashlib.sha256(written).hexdigest()
    ids = [f"req_{7:016x}{number:016x}" for number in (first, first + rows - 1)]
    return LakeFile(
        name=name,
        kind=USAGE,
        first_day=day,
        last_day=day,
        first_request=ids[0],
        last_request=ids[1],
        rows=rows,
        bytes=len(written),
        digest=digest,
        sealed_ns=1,
        apart=True,
        places=json.dumps(_PLACES),
    )


def _list(control: Control, files: list[LakeFile]) -> None:
    def along(connection: Connection) -> None:
        list_files(connection, files)

    with control.writing() as connection:
        along(connection)
    assert len(files_of(control, USAGE)) == len(files)


# Multiplied by large odd numbers, the row's number is spread over what it picks; nothing is drawn.
_ROWS_SQL = f"""
COPY (
    WITH numbered AS (
        SELECT i, (i * 2654435761) % 1000003 AS a, (i * 40503 + 77) % 65537 AS b, (i * 7919 + 13) % 8191 AS c
        FROM range($first, $first + $rows) AS r(i)),
    picked AS (SELECT *, ((a / 1000003.0) ** 3 * {_TENANTS})::INTEGER AS tenant FROM numbered),
    placed AS (SELECT *, tenant % 10 < 3 AS by_microsoft, b % 5 < 2 AS on_aws FROM picked)
    SELECT 'req_' || printf('%016x%016x', 7, i) AS request_id, 1::INTEGER AS attempt,
        ($midnight + (i - $first) * (86400000000000 // $rows))::BIGINT AS event_ns, $day::DATE AS event_day,
        ($midnight + (i - $first) * (86400000000000 // $rows) + 5)::BIGINT AS recorded_ns, 1::SMALLINT AS endpoint,
        'tenant-' || tenant AS organisation, 'p' || tenant % 3 AS project, 'key_' || tenant AS key_id,
        CASE WHEN by_microsoft THEN 'microsoft' ELSE 'openai' END AS seller, 'any' AS segment,
        CASE WHEN by_microsoft OR NOT on_aws THEN 'azure-1' ELSE 'aws-' || b % 2 END AS deployment,
        CASE WHEN by_microsoft OR NOT on_aws THEN 'azure' ELSE 'aws' END AS cloud,
        CASE WHEN by_microsoft OR NOT on_aws THEN 'eastus2' WHEN b % 2 = 0 THEN 'us-east-2' ELSE 'us-west-2' END
            AS region,
        CASE WHEN c % 3 = 0 THEN 'gpt-5.4' ELSE 'gpt-5.5' END AS product, 'm-' || c % 3 AS model,
        'd1' AS decision, 'permitted' AS outcome, ['A5.any-cloud'] AS terms, 'r1' AS receipt,
        CASE WHEN c % 100 = 0 THEN 4 WHEN c % 100 = 1 THEN 2 ELSE 1 END::TINYINT AS status,
        200::SMALLINT AS http_status,
        c % 2 = 0 AS streamed, (1000 + c)::BIGINT AS duration_us, (300 + b % 900)::BIGINT AS first_content_us,
        0::BIGINT AS charge_picodollars, 'up-' || i AS upstream_id, NULL::BIGINT AS requests,
        (a % 6000 + 20)::BIGINT AS input_tokens, CASE WHEN b % 4 = 0 THEN (a % 6000) // 2 END::BIGINT
            AS cached_input_tokens,
        (c % 900 + 1)::BIGINT AS output_tokens, CASE WHEN c % 3 = 0 THEN c % 900 // 2 END::BIGINT AS reasoning_tokens
    FROM placed
) TO '{{path}}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)"""


def _plain_prices(folder: Path) -> None:
    """The interval table again for the bare side: written out here, not taken from the product's own join."""
    listed = {
        ("gpt-5.4", "azure"): ("2.50", "0.25", "15"),
        ("gpt-5.5", "azure"): ("5", "0.50", "30"),
        ("gpt-5.4", "aws"): ("2.75", "0.275", "16.50"),
        ("gpt-5.5", "aws"): ("5.50", "0.55", "33"),
    }
    rows = []
    for product, cloud, seller, region in _PLACES:
        cuts = ["2026-04-27", "2026-05-20", "2026-06-15", "2026-06-20", "2026-07-01"]
        for begin, end in pairwise(cuts):
            given, cached, output = listed[product, cloud]
            if (product, cloud) == ("gpt-5.5", "aws") and begin >= "2026-06-15":
                given = "5.25"
            if (product, region) == (
                "gpt-5.4",
                "us-west-2",
            ) and "2026-05-20" <= begin < "2026-06-20":
                output = "16.123457"
            prices = [str(Decimal(price).scaleb(-6)) for price in (given, cached, output)]
            rows.append([product, cloud, seller, region, begin, end, *prices])
    columns = ("product", "cloud", "seller", "region")
    types = "".join(f"{name} VARCHAR, " for name in columns) + "begin_day DATE, end_day DATE, "
    types += ", ".join(
        f"{name} DECIMAL(18, 12)" for name in ("input_price", "cached_price", "output_price")
    )
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE prices ({types})")
        connection.executemany(f"INSERT INTO prices VALUES ({', '.join('?' * 9)})", rows)
        connection.execute(f"COPY prices TO '{folder / 'prices.pq'}' (FORMAT parquet)")


def main() -> None:
    _, command, who, folder = sys.argv
    assert command == "run", f"{command!r} is nothing to do"
    figures = {"ours": run_ours, "bare": run_bare}[who](Path(folder))
    sys.stdout.write(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main()
