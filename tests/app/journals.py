"""A home with a usage journal written by the real writer, for tests that damage it by hand.

Ten requests of one buyer today, each begun in a frame and ended in the next. At the prices of `metered_months` each
costs 12.00 USD: 1 million input tokens at 2.00 and 1 million output tokens at 10.00. Reserved are 20 million bytes of
body and 6 million tokens of output, 20 × 2.00 + 6 × 10.00 = 100.00 USD.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from clauseway.app.opening.home import Home
from clauseway.app.usage.usage_journals import register_spool
from clauseway.metering import Buyer, Deployment, Ruling, Status, Unit
from clauseway.spool import SpoolWriter, pack_intent, pack_usage_fields
from clauseway.values import start_of_day_ns
from copied import Codes, Waiting, codes_of
from metered_months import BOOK, MILLION

LABELS = (
    Buyer("Contoso", "search", "key_1", "openai", "any"),
    Deployment("azure-1", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4"),
    Ruling("d1", "permitted", ("A5.any-cloud",), "r1"),
)
UNITS = ((int(Unit.INPUT_TOKENS), MILLION), (int(Unit.OUTPUT_TOKENS), MILLION))
RESERVED = 100 * 10**12
FRAME_HEADER, SEGMENT_HEADER = 28, 64


def today() -> date:
    return datetime.now(UTC).date()


def home_at(root: Path) -> Home:
    home = Home(root).make()
    (root / "book.csv").write_text(BOOK)
    return home


def gateway(
    home: Home,
    requests: Sequence[int] = range(1, 11),
    *,
    boot: int = 7,
    name: str = "gateway",
    day: str = "",
    killed: bool = False,
    reserved: tuple[int, int] = (20 * MILLION, 6 * MILLION),
) -> Path:
    """A gateway's life: each request is begun in one frame and ended in the next; its journal's folder.

    `reserved` are the bytes of each body and the tokens of output that are let through.
    """
    directory = home.spools / name
    register_spool(home, directory)
    event_ns = start_of_day_ns(date.fromisoformat(day) if day else today())

    async def life() -> None:
        writer = SpoolWriter(directory, asyncio.get_running_loop(), boot=boot)
        register_spool(home, directory)
        codes = codes_of(writer, LABELS)
        for number in requests:
            at_ns = event_ns + number
            named = (boot, number, 1, at_ns, at_ns, *codes, 1)
            await commit(writer, pack_intent(*named, *reserved, RESERVED), codes)
            await commit(writer, ended(boot, number, at_ns, codes), codes)
        before = {path: path.read_bytes() for path in directory.glob("*.seg")}
        await writer.close()
        if killed:  # the files as they were before the writer closed them
            for path in directory.glob("*.seg"):
                path.unlink()
            for path, data in before.items():
                path.write_bytes(data)

    asyncio.run(life())
    return directory


def ended(boot: int, number: int, at_ns: int, codes: Codes) -> bytes:
    named = (boot, number, 1, at_ns, at_ns, *codes, 1)
    return pack_usage_fields(*named, Status.COMPLETE, 200, False, 5, 5, 12 * 10**12, UNITS, b"up")


async def commit(writer: SpoolWriter, record: bytes, codes: Codes) -> None:
    writer.append(record, *codes)
    waiting = Waiting()
    writer.notify_when_durable(waiting)
    assert await waiting.heard is None


def segment(directory: Path, number: int = 0) -> Path:
    return directory / f"{number:016d}.seg"


def frames(path: Path) -> list[int]:
    """Where each frame of a segment begins, the closing one too."""
    data, offsets, at = path.read_bytes(), list[int](), SEGMENT_HEADER
    while data[at : at + 4] == b"CWFR":
        offsets.append(at)
        at += FRAME_HEADER + int.from_bytes(data[at + 4 : at + 8], "little")
    return offsets


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
