"""The gateway whose disk takes a while for each write of the journal, while the file `slow` stands beside that."""

import os
import sys
import time
from typing import Any

import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server

OPTIONS = parse_options(sys.argv[1:])
SLOW = OPTIONS.spool.with_name("slow")
write = os.pwritev


def write_slowly(*arguments: Any) -> int:
    written = write(*arguments)
    if SLOW.exists():
        time.sleep(float(SLOW.read_text()))
    return written


async def main() -> None:
    await Server(OPTIONS).run()


os.pwritev = write_slowly
uvloop.run(main())
