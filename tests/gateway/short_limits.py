"""The gateway with limits so short that a test can reach them, and a client on a busy machine does not by chance."""

import sys

import msgspec
import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.process.server import Server

LIMITS = Limits(
    head_s=2.0, body_s=2.0, idle_s=3.0, linger_s=0.3, connections=8, answer_bytes=100_000, pending_s=0.1, drain_s=0.2
)


async def main() -> None:
    await Server(msgspec.structs.replace(parse_options(sys.argv[1:]), limits=LIMITS)).run()


uvloop.run(main())
