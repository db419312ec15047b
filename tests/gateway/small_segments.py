"""The gateway with a journal whose segments are soon full, and that looks for room more often than people make it."""

import functools
import sys

import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server
from clauseway.spool import SpoolWriter


async def main() -> None:
    spool = functools.partial(SpoolWriter, segment_bytes=64 << 10, room_every_s=0.05)
    await Server(parse_options(sys.argv[1:]), spool).run()


uvloop.run(main())
