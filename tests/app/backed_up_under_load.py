"""A gateway's journal that is written while somebody backs the home up: a process that begins and ends requests, one
after the other, and prints the number of each once it is durable."""

import asyncio
import os
import sys
from pathlib import Path

from journals import LABELS, RESERVED, commit, ended, today

from clauseway.app.opening.home import Home
from clauseway.app.usage.usage_journals import register_spool
from clauseway.spool import SpoolWriter, pack_intent
from clauseway.values import start_of_day_ns
from copied import codes_of

# Small, so that segments are closed, sealed and let go of all the time.
SEGMENT_BYTES = 8_000


async def write(home: Home) -> None:
    directory = home.spools / "gateway"
    register_spool(home, directory)
    writer = SpoolWriter(directory, asyncio.get_running_loop(), boot=7, segment_bytes=SEGMENT_BYTES)
    codes = codes_of(writer, LABELS)
    event_ns, number = start_of_day_ns(today()), 0
    while True:
        number += 1
        at_ns = event_ns + number
        named = (7, number, 1, at_ns, at_ns, *codes, 1)
        await commit(writer, pack_intent(*named, 1_000, 1_000, RESERVED), codes)
        await commit(writer, ended(7, number, at_ns, codes), codes)
        os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    asyncio.run(write(Home(Path(sys.argv[1]))))
