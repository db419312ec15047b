"""Checking the money: packs performed again, books held against their log, the hashing of a seal.

`money/pack` is `clauseway statement verify` of a packed month, in a process that holds nothing
else: the other party's machine. Goals: 25,000 attempts a CPU second, so that a month of a hundred
million is checked in some seventy minutes on a core, once; and the memory of an import, as the same
machine does both. `money/audit` is `clauseway audit verify`; its goal is 30 µs an entry, so that
years of closed months are checked while somebody waits. `money/hashing` hashes once more whatever
sealing hashed, as a share of sealing's CPU time: digests make the lake checkable, and may cost a
tenth.

    python -m bench.checking pack|audit PATH     one run, as JSON (what the benchmark starts)
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from bench.memory import peak_megabytes
from bench.price_tables import open_prices
from bench.results import Effort, Result, result
from clauseway.app.books.audit_log import verify_books
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.reports.packing import pack_month, verify_pack
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import Account, Entry, Posting
from clauseway.metering import (
    Buyer,
    Deployment,
    RequestId,
    Ruling,
    Status,
    Unit,
    UsageRecord,
)
from clauseway.storage.control.audit import digest_of, logged
from clauseway.storage.lake.file_list import every_file
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import USD, KnownAt, start_of_day_ns

_PACKED, _PACKED_LARGE, _BATCH = 1_000_000, 5_000_000, 100_000
_ENTRIES, _AT_ONCE = 100_000, 10_000
_PER_SECOND, _MEGABYTES, _AUDIT_S, _HASHING_PERCENT = 25_000, 600, 3.0, 10.0
_MONTH, _FIRST, _DAYS = "2026-05", date(2026, 5, 1), 31
_KNOWN_AT = KnownAt.end_of(date(2026, 6, 30))
_ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
_TENANTS = 200
_BUYERS = {
    number: Buyer(f"tenant-{number}", f"p{number % 3}", f"key_{number}", "openai", "any")
    for number in range(1, _TENANTS + 1)
}
_DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
}
_RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}


class Figures(msgspec.Struct, frozen=True):
    """One run: its CPU seconds, those of all its threads, and the peak of its memory."""

    seconds: float
    megabytes: float


class Sealed(msgspec.Struct, frozen=True):
    """CPU seconds of sealing, and of hashing again what it hashed."""

    sealing_s: float
    hashing_s: float


def measure(effort: Effort) -> list[Result]:
    """A pack of a million attempts (five with `--large`), and the log of 100,000 entries."""
    rows = _PACKED_LARGE if effort.large else _PACKED
    rounds = min(effort.rounds, 3)
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        pack, books = Path(folder) / "may.pack", Home(Path(folder) / "books")
        sealed = _pack(Home(Path(folder) / "home").make(), rows, pack)
        size = pack.stat().st_size
        packs = [_run("pack", pack) for _ in range(rounds)]
        _post(books.make())
        audits = [_run("audit", books.root) for _ in range(rounds)]
    packed = {"ours": f"{rows:,} attempts, {size / rows:.0f} bytes each"}
    logged_ = {"ours": f"{_ENTRIES:,} entries of two postings"}
    rates: dict[str, list[float]] = {"ours": [round(rows / run.seconds) for run in packs]}
    shares = {"ours": [round(100 * sealed.hashing_s / sealed.sealing_s, 2)]}
    percent = {"ours": f"{rows:,} records: files and the log's rows"}
    return [
        result("money/pack", "rows per CPU second", _PER_SECOND, rates, packed, direction="higher"),
        result("money/pack/memory", "MB", _MEGABYTES, _peaks(packs), packed),
        result(
            "money/audit", "CPU s", _AUDIT_S, {"ours": [run.seconds for run in audits]}, logged_
        ),
        result("money/audit/memory", "MB", _MEGABYTES, _peaks(audits), logged_),
        result("money/hashing", "% of sealing", _HASHING_PERCENT, shares, percent),
    ]


def _peaks(runs: list[Figures]) -> dict[str, list[float]]:
    return {"ours": [run.megabytes for run in runs]}


def _run(judged: str, path: Path) -> Figures:
    command = [sys.executable, "-m", "bench.checking", judged, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{judged} failed:\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=Figures)


def run(judged: str, path: Path) -> Figures:
    """Verify a pack, or the books of a home."""
    begun_s = time.process_time()
    if judged == "pack":
        verified, _given, _signatures = verify_pack(path)
        assert verified.same, verified
    else:
        checked = verify_books(Home(path))
        assert not checked.problems, checked.problems
        assert checked.rows > _ENTRIES, checked.rows
    return Figures(time.process_time() - begun_s, peak_megabytes())


def _pack(home: Home, rows: int, out: Path) -> Sealed:
    """Seal a month, settle it and pack it; the cost of sealing it."""
    sealed = _seal(home, rows)
    prices = open_prices(_KNOWN_AT)
    settle_month(home, open_agreement(), prices, _MONTH, _ACCEPTED, {})
    packed = pack_month(home, _MONTH, out)
    assert packed.attempts == rows, packed
    return sealed


def _seal(home: Home, rows: int) -> Sealed:
    sealing_s = 0.0
    with open_lake(home) as lake:
        for first in range(0, rows, _BATCH):
            batch = UsageBatch(
                spool="bench",
                segment=1,
                first_frame=first,
                end_frame=first + _BATCH,
                usage=list(_records(first, min(_BATCH, rows - first))),
                intents=(),
                buyers=_BUYERS,
                deployments=_DEPLOYMENTS,
                rulings=_RULINGS,
            )
            begun_s = time.process_time()
            assert lake.seal(batch, start_of_day_ns(_FIRST) + first)
            sealing_s += time.process_time() - begun_s
        with lake.control.reading() as connection:
            log = list(logged(connection))
        files = [lake.root / file.name for file in every_file(lake.control)]
    # Each row of the log is hashed with the row before, and so is what it says of a table's row.
    begun_s = time.process_time()
    for path in files:
        with path.open("rb") as written:
            hashlib.file_digest(written, "sha256")
    for row in log:
        digest_of(row.digest, row)
        digest_of(row.content, row)
    return Sealed(sealing_s, time.process_time() - begun_s)


def _records(first: int, rows: int) -> Iterator[UsageRecord]:
    """Attempts of all days of the month: the same in every run."""
    midnight_ns, second_ns = start_of_day_ns(_FIRST), 1_000_000_000
    for number in range(first, first + rows):
        day_s = number % _DAYS * 86_400 + number * 7919 % 86_400
        yield UsageRecord(
            request=RequestId(7, number),
            attempt=1,
            event_ns=midnight_ns + day_s * second_ns,
            recorded_ns=number + 1,
            buyer=1 + number * 2654435761 % _TENANTS,
            deployment=1 + number % 2,
            ruling=1,
            endpoint=1,
            status=Status.COMPLETE,
            http_status=200,
            streamed=number % 2 == 0,
            duration_us=1_000 + number % 8_191,
            first_content_us=300 + number % 900,
            charge_picodollars=0,
            units=((Unit.INPUT_TOKENS, number * 7919 % 8_000), (Unit.OUTPUT_TOKENS, number % 900)),
            upstream_id=f"up-{number}",
        )


def _post(home: Home) -> None:
    """Post entries as closes of many months would."""
    with open_lake(home) as lake:
        for first in range(0, _ENTRIES, _AT_ONCE):
            entries = (_entry(number) for number in range(first, first + _AT_ONCE))
            lake.control.post(entries, start_of_day_ns(_FIRST) + first)


def _entry(number: int) -> Entry:
    amount = Decimal(number * 7919 % 90_000_000 + 1).scaleb(-6)
    about = f"tenant-{number % 1_000}"
    legs = (("receivable", amount), ("income", -amount))
    return Entry(
        id=f"entry-{number}",
        reference=f"month-{number // 1_000}",
        day=_FIRST + timedelta(number % 1_000),
        narration="a share of a month's sales",
        postings=tuple(
            Posting(Account("maker", kind, "share", about), value, USD, ()) for kind, value in legs
        ),
    )


if __name__ == "__main__":
    print(msgspec.json.encode(run(sys.argv[1], Path(sys.argv[2]))).decode())
