"""The gateway, which counts its looks for bytes: at its end, in the file that the first argument names.

It asks for the time with each look. So the module that looks is imported while the clock counts who asks.
"""

import sys
import time
from importlib import import_module
from pathlib import Path

import uvloop

LOOKS = Path(sys.argv.pop(1))
count = 0
now_ns = time.monotonic_ns


def counted_ns() -> int:
    global count
    count += 1
    return now_ns()


time.monotonic_ns = counted_ns
import_module("clauseway.gateway.request.busy_polling")
time.monotonic_ns = now_ns


async def main() -> None:
    options = import_module("clauseway.gateway.__main__").parse_options(sys.argv[1:])
    await import_module("clauseway.gateway.process.server").Server(options).run()


uvloop.run(main())
LOOKS.write_text(str(count))
