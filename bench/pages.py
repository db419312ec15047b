"""The pages over many records: the time of each page, and how it grows with the records behind it.

Two homes are made, one with a hundredth of the other's records: made-up usage of 1,000 tenants over 60 days
(`bench.settlement`), its intents, its batches and hourly sums, and May and June 2026 settled and closed as the product
does it. Then every page is asked for over the pages' own application, in a process of its own per home: once, because
the first page of a kind may load libraries, and then in rounds. Checks that settle again or read every row of the books
are what somebody asks for; their times are there to be read, without a goal.

    python -m bench.pages make FOLDER ROWS     a home of so many records
    python -m bench.pages time FOLDER ROUNDS   the times of its pages, as JSON (what the benchmark starts)
"""

import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import median

import duckdb
import msgspec
from sqlalchemy import Connection
from starlette.testclient import TestClient

from bench.price_tables import open_prices
from bench.results import Effort, Result, result
from bench.settlement import generate
from clauseway.app.books.closing import close_month
from clauseway.app.books.settled import latest_settlements, now
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.ledger import statement_of
from clauseway.storage import Control
from clauseway.storage.control.control import Sealed
from clauseway.storage.lake.file_list import INTENTS, USAGE, LakeFile, files_of, list_files
from clauseway.storage.lake.hourly_sums import Sums, add_sums
from clauseway.storage.lake.rollups import scan
from clauseway.values import Interval, day_after
from clauseway.web.pages import create_app

ROWS = 10_000_000
_SMALLER, _GOAL_MS = 100, 100
# As many as merging leaves of 100 million records.
_FILES_A_DAY = 4
_PERIODS = ("2026-05", "2026-06")
_ASSUMED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
_LATER = date(2026, 8, 1)
_QUESTION = "action=serve&party=openai&product=api.stateless&cloud=aws"
# These settle a month again, or read the whole log.
_CHECKS = ("check books", "check month")


def measure(effort: Effort) -> list[Result]:
    """10 million records and a hundredth of them; 100 million and a million with `--large`."""
    rows = 10 * ROWS if effort.large else ROWS
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        make(few, rows // _SMALLER)
        make(many, rows)
        return results(rows, _apart(few, effort.rounds), _apart(many, effort.rounds))


def results(rows: int, few: "Times", many: "Times") -> list[Result]:
    """The times of the pages over so many records, beside those over a hundredth of them."""
    recorded = []
    for name, measured in many.rounds.items():
        passed = f"elapsed {median(many.elapsed[name]):,.0f} ms, at first {many.first[name]:,.0f}"
        notes = {
            "ours": f"{rows:,} records; {passed}",
            f"{rows // _SMALLER:,} records": f"{median(few.rounds[name]):,.1f} CPU ms",
        }
        goal = None if name in _CHECKS else _GOAL_MS
        recorded.append(result(f"pages/{name}", "CPU ms", goal, {"ours": measured}, notes))
    return recorded


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The milliseconds of each page: elapsed when it was first asked for, and CPU and elapsed in the rounds after."""

    first: dict[str, float]
    rounds: dict[str, list[float]]
    elapsed: dict[str, list[float]]


def make(folder: Path, rows: int) -> None:
    """Make the home of so many records, with two months settled and closed."""
    generate(folder, rows, _FILES_A_DAY)
    home = Home(folder).make()
    control = Control.open(home.control)
    by_day: dict[date, list[LakeFile]] = defaultdict(list)
    for file in files_of(control, USAGE):
        by_day[file.first_day].append(file)
    for number, (day, files) in enumerate(by_day.items()):
        _commit(control, home.lake, number, day, files)
    control.close()
    # `settle` prices by what is known now, and the pages look for the charges that it kept.
    opened, prices = open_agreement(), open_prices(now(), folder / "book.csv")
    for period in _PERIODS:
        settle_month(home, opened, prices, period, _ASSUMED, {})
        close_month(home, period, _LATER)


def _commit(control: Control, root: Path, number: int, day: date, files: list[LakeFile]) -> None:
    """Commit a day's files as a batch: its intents are listed with it, and its hourly sums added."""
    rows = sum(file.rows for file in files)
    intents = [_intents(root, file) for file in files]
    sums = Sums(scan([root / file.name for file in files], Interval(day, day_after(day))))
    batch = Sealed(
        spool="made-up",
        segment=1,
        first_frame=number * rows,
        end_frame=(number + 1) * rows,
        digest=hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest(),
        usage_rows=rows,
        intent_rows=rows,
        first_day=day,
        last_day=day,
        sealed_ns=1,
    )

    def along(connection: Connection) -> None:
        list_files(connection, intents)
        add_sums(connection, sums)

    assert control.commit_batch(batch, along)


def _intents(root: Path, file: LakeFile) -> LakeFile:
    """Write the intents of a file's attempts, as one file."""
    name = f"{INTENTS}/{file.name.partition('/')[2]}"
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(_INTENTS_SQL.format(usage=root / file.name, path=root / name))
    written = (root / name).read_bytes()
    digest = hashlib.sha256(written).hexdigest()
    return msgspec.structs.replace(
        file, name=name, kind=INTENTS, bytes=len(written), digest=digest, places=""
    )


_INTENTS_SQL = """
COPY (
    SELECT request_id, attempt, event_ns, event_day, recorded_ns, endpoint, organisation, project, key_id, seller,
        segment, deployment, cloud, region, product, model, decision, outcome, terms, receipt,
        input_tokens * 4 AS body_bytes, output_tokens AS output_tokens_max, 0::BIGINT AS reserved_picodollars
    FROM read_parquet('{usage}')
) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)"""


def _apart(folder: Path, rounds: int) -> Times:
    command = [sys.executable, "-m", "bench.pages", "time", str(folder), str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Times)


def times(folder: Path, rounds: int) -> Times:
    """Ask for every page, once and then in rounds."""
    home = Home(folder)
    first: dict[str, float] = {}
    again: dict[str, list[tuple[float, float]]] = {}
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    with _gateway(home), TestClient(create_app(source, hosts=["*"])) as client:
        for name, address in _addresses(home).items():
            first[name] = _asked_ms(client, address)[1]
            again[name] = [_asked_ms(client, address) for _ in range(rounds)]
    return Times(
        first=first,
        rounds={name: [cpu_ms for cpu_ms, _ in measured] for name, measured in again.items()},
        elapsed={name: [took_ms for _, took_ms in measured] for name, measured in again.items()},
    )


def _addresses(home: Home) -> dict[str, str]:
    period = _PERIODS[-1]
    line = statement_of(latest_settlements(home)[period]).lines[0].id
    control = Control.open(home.control)
    files = files_of(control, USAGE)
    control.close()
    request = files[len(files) // 2].first_request
    return {
        "home": "/",
        "counts": "/counts.json",
        "engineer": "/engineer",
        "request": f"/engineer/request/{request}",
        "lawyer": "/lawyer",
        "lawyer answered": f"/lawyer?{_QUESTION}",
        "compare": "/lawyer/compare",
        "draft": "/lawyer/draft",
        "finance": "/finance",
        "bill": "/finance/bill",
        "statement": f"/statement/{period}",
        "statement line": f"/statement/{period}/{line}",
        "day of requests": f"/statement/{period}/{line}/{period}-15",
        "auditor": "/auditor",
        "launches": "/auditor/launches",
        "decision": "/auditor/decision",
        "handed": "/auditor/handed",
        "statement file": f"/download/statement/{period}/csv",
        "ledger file": f"/download/ledger/{period}/beancount",
        "check books": "/auditor/check/books",
        "check month": f"/auditor/check/{period}",
    }


def _asked_ms(client: TestClient, address: str) -> tuple[float, float]:
    """Ask for a page; return the milliseconds of CPU and those that passed."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    answer = client.get(address)
    took_ms = (time.perf_counter() - begun_s) * 1000
    cpu_ms = (time.process_time() - begun_cpu_s) * 1000
    assert answer.status_code == 200, f"{address}: {answer.status_code}"
    return cpu_ms, took_ms


@contextmanager
def _gateway(home: Home) -> Iterator[None]:
    """Answer at the home's control socket as a gateway does that has served nothing yet."""
    empty: dict[str, dict[str, int]] = {
        name: {} for name in ("served", "refused", "failed", "tokens", "statuses", "refusals")
    }
    answer = {"requests": 0, "buckets": [], "open": 0, **empty}
    body = json.dumps(answer).encode()

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        said = b"{}" if b" /request/" in head else body
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + said)
        await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    home.gateway_socket.unlink(missing_ok=True)
    server = loop.run_until_complete(asyncio.start_unix_server(told, home.gateway_socket))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def main() -> None:
    _, command, folder, number = sys.argv
    if command == "make":
        make(Path(folder), int(number))
        return
    assert command == "time", f"{command!r} is nothing to do"
    sys.stdout.write(msgspec.json.encode(times(Path(folder), int(number))).decode())


if __name__ == "__main__":
    main()
