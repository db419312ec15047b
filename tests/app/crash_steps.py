"""Steps of metering and settling that die at a point of their own choosing: a server that forks one process per step.

Every point is a moment at which a kill could matter: before and after a write, a rename, a forced write, a deletion,
and a commit of the database; of a write also its middle. The process ends there at once, with nothing flushed and
nobody told. Or the disk is full from that point on.
"""

import asyncio
import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
from sqlalchemy import event
from sqlalchemy.engine import Engine

from clauseway import open_agreement, spool
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.prices import shipped_books
from clauseway.app.usage import importing
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.metering import Buyer, Deployment, Ruling
from clauseway.pricing import PriceTable
from clauseway.storage.lake.file_list import USAGE, files_of, kept_names
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.lake.quarantine import held
from clauseway.storage.lake.rollups import scan
from clauseway.values import Interval, KnownAt, exact_sum, start_of_day_ns

KILLED, FULL = 99, 98
OPENED = open_agreement()
# April's last prices were recorded on 3 June: a month is closed on all that is known of it.
PRICES = PriceTable(shipped_books(), KnownAt.end_of(date(2026, 6, 3)))
ASSUME = ("share-openai-microsoft", "share-microsoft-openai", "cap")
LABELS = (
    Buyer("acme", "research", "key_1", "openai", "any"),
    Deployment("gpt-east", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4"),
    Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),
)
DAY_NS = start_of_day_ns(date(2026, 4, 28))
REQUESTS = 24


class Points:
    """Counts the points that a step passes, and dies at one of them; or from there on nothing can be written."""

    def __init__(self, at: int, *, full: bool) -> None:
        self.at, self.passed, self.full = at, 0, full

    def pass_by(self) -> None:
        if self.full and self.passed >= self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.passed == self.at:
            os._exit(KILLED)
        self.passed += 1

    def around(self, owner: Any, name: str) -> None:
        call = getattr(owner, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            self.pass_by()
            result = call(*arguments, **named)
            self.pass_by()
            return result

        setattr(owner, name, watched)

    def in_the_middle_of(self, owner: Any, name: str) -> None:
        """A write of which a part reached the disk."""
        call = getattr(owner, name)

        def torn(descriptor: int, buffers: Any, offset: int, *more: Any) -> Any:
            if self.passed == self.at:
                whole = b"".join(buffers)
                call(descriptor, [whole[: len(whole) // 2]], offset, *more)
            self.pass_by()
            return call(descriptor, buffers, offset, *more)

        setattr(owner, name, torn)

    def everywhere(self) -> None:
        self.in_the_middle_of(os, "pwritev")
        for owner, name in ((os, "pwritev"), (os, "pwrite"), (os, "fsync"), (os, "ftruncate"), (Path, "rename")):
            self.around(owner, name)
        if not self.full:  # room is given back on a full disk too
            self.around(Path, "unlink")
        self.around(pq, "write_table")
        event.listen(Engine, "commit", lambda _: self.pass_by())
        event.listen(Engine, "begin", lambda _: self.pass_by())


class Client:
    """A client that sends a request, hears when it is recorded, and writes the answer down at once."""

    def __init__(self, log: int, number: int, *, early: bool) -> None:
        self._log, self._number, self._early = log, number, early

    def answer(self) -> None:
        os.write(self._log, f"{self._number}\n".encode())

    def write_ended(self, error: OSError | None) -> None:
        if error is None and not self._early:
            self.answer()


def serve(home: Home, boot: int, *, early: bool) -> None:
    """Requests with their intents and records; `early` answers before the record is durable, which is wrong."""
    log = os.open(home.root / f"answered-{boot}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def requests() -> None:
        directory = home.spools / "gateway"
        writer = spool.SpoolWriter(
            directory, asyncio.get_running_loop(), boot=boot, segment_bytes=2_000, quick_us=1_000_000 * (boot % 2)
        )
        buyer, deployment, ruling = (writer.label(label) for label in LABELS)
        for number in range(REQUESTS):
            named = (boot, number, 1, DAY_NS + number, 1, buyer, deployment, ruling, 1)
            begun = spool.pack_intent(*named, 10, 20, 30)
            ended = spool.pack_usage_fields(*named, 1, 200, False, 5, 5, 0, ((2, 1000),), b"up")
            writer.append(begun, buyer, deployment, ruling)
            writer.append(ended, buyer, deployment, ruling)
            client = Client(log, number, early=early)
            if early:
                client.answer()
            writer.notify_when_durable(client)
            if number % 3 == 0:
                await asyncio.sleep(0.001)  # so that requests come in several commits
        await writer.close()

    asyncio.run(requests())


def state(home: Home) -> dict[str, Any]:
    """Return the state: answered clients, recorded requests (in the lake or still in the spool), and disagreements."""
    answered = {
        (int(path.name.partition("-")[2]), int(line))
        for path in home.root.glob("answered-*")
        for line in path.read_text().splitlines()
    }
    with open_lake(home) as lake:
        # The lake by every row of every file, as it stands: nothing is made once that was recorded twice.
        rows = [row for path in lake.files() for row in pq.read_table(path, columns=["request_id"]).to_pylist()]
        recorded = [(int(row["request_id"][4:20], 16), int(row["request_id"][20:], 16)) for row in rows]
        once = [row for part in lake.records() for row in part.column("request_id").to_pylist()]
        for position in spool.positions(home.spools / "gateway"):
            first = lake.control.sealed_to(position.spool, position.segment)
            read = spool.read_frames(home.spools / "gateway", position.segment, first, 10**9)
            recorded += [(record.request.boot, record.request.number) for record in read.records]
            assert read.damages == ()
        served = sum(row.served for row in usage_by(lake.control, ["cloud"]))
        scanned = sum(row["served"] for row in scan(lake.files(), Interval(date(2026, 4, 1), date(2026, 5, 1))))
        entries = lake.control.entries()
        batches = lake.control.batches()
        listed = kept_names(lake.control, 0)
        files = {path.relative_to(lake.root).as_posix() for path in lake.root.rglob("*.parquet")}
    legs = [posting for entry in entries for posting in entry.postings]
    return {
        "missing": sorted(answered - set(recorded)),
        "twice": len(recorded) - len(set(recorded)) + len(rows) - len(once),
        "answered": len(answered),
        "rows": len(rows),
        "rollups": served - scanned,
        "unlisted": len(listed - files),
        "manifest": sum(batch.usage_rows for batch in batches) - len(rows),
        "journal": str(exact_sum(leg.amount for leg in legs)),
        "ids_twice": len(entries) - len({entry.id for entry in entries}),
        "income": str(exact_sum(leg.amount for leg in legs if leg.account.kind == "income")),
    }


def bring_in(home: Home) -> dict[str, Any]:
    """Import what lies beside the home, in chunks so small that there are several."""
    importing._ROWS = 8
    done = importing.import_usage(home, OPENED, [home.root / "events.jsonl"], importing.ImportSource(), lambda *_: None)
    return msgspec.to_builtins(done)  # type: ignore[no-any-return]


def brought_in(home: Home) -> dict[str, Any]:
    """Return the result of an import: rows, files and days of the lake, registered entries and waiting ones."""
    with open_lake(home) as lake:
        files = files_of(lake.control, USAGE)
        ids = [name for path in lake.files() for name in pq.read_table(path)["request_id"].to_pylist()]
        scanned = sum(row["served"] for row in scan(lake.files(), Interval(date(2026, 4, 1), date(2026, 6, 1))))
        return {
            "rows": len(ids),
            "twice": len(ids) - len(set(ids)),
            "files": len(files),
            "days": len({file.first_day for file in files}),
            "rollups": sum(row.served for row in usage_by(lake.control, ["cloud"])) - scanned,
            "waiting": len(held(lake.control)),
            "batches": len(lake.control.batches()),
        }


def steps(home: Home, boot: int) -> dict[str, Callable[[], object]]:
    return {
        "serve": lambda: serve(home, boot, early=False),
        "serve early": lambda: serve(home, boot, early=True),
        "seal": lambda: seal(home),
        "merge": lambda: compact_lake(home, 2),
        "settle": lambda: settle_month(home, OPENED, PRICES, "2026-04", ASSUME, {}),
        "close": lambda: close_month(home, "2026-04", date(2026, 6, 1)),
        "state": lambda: state(home),
        "import": lambda: bring_in(home),
        "brought in": lambda: brought_in(home),
    }


def run(asked: dict[str, Any]) -> None:
    """In a process of its own: one step, to its end or to its point."""
    points = Points(asked["at"], full=asked["full"])
    points.everywhere()
    result = steps(Home(Path(asked["home"])), asked["boot"])[asked["step"]]()
    Path(asked["result"]).write_text(json.dumps(result, default=str))


def main() -> None:
    # Libraries that each step would load at first use are loaded here, once: a forked process has them already.
    for name in ("pandas", "pyarrow_hotfix", "ibis.backends.duckdb", "ibis.expr.sql"):
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(asked)
                code = 0
            except OSError as error:
                code = FULL if error.errno == errno.ENOSPC else 1
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
