"""The gateway without a garbage collector, and a count of its objects and descriptors: what stays is what leaks.

SIGRTMIN makes it write the file named by the first argument: {"objects": {type: count}, "descriptors": count}.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server

COUNTED = Path(sys.argv.pop(1))


def count() -> None:
    # Empty dictionaries are the slots of the wheel, which are there from the start and counted once they were used.
    objects = Counter(type(object_).__name__ for object_ in gc.get_objects() if type(object_) is not dict or object_)
    new = COUNTED.with_suffix(".new")
    new.write_text(json.dumps({"objects": objects, "descriptors": len(os.listdir("/proc/self/fd"))}))
    new.rename(COUNTED)


async def main() -> None:
    gc.disable()
    asyncio.get_running_loop().add_signal_handler(signal.SIGRTMIN, count)
    await Server(parse_options(sys.argv[1:])).run()


uvloop.run(main())
