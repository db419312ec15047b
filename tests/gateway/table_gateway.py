"""The gateway for tables of many scenes: with segments that are quick to read."""

import functools
import sys

import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server
from clauseway.spool import SpoolWriter


async def main() -> None:
    await Server(parse_options(sys.argv[1:]), functools.partial(SpoolWriter, segment_bytes=1 << 20)).run()


uvloop.run(main())
