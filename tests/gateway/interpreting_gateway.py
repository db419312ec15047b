"""The gateway, which counts the functions of the product that Python interprets on the loop's thread: at its end, by
their module's path in the package, in the file that the first argument names."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

import clauseway
from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server

COUNTED = Path(sys.argv.pop(1))
ROOT = str(Path(clauseway.__file__).parents[1])
calls: Counter[tuple[str, str, int]] = Counter()


def count(frame: FrameType, event: str, _: Any) -> None:
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(ROOT):
        calls[code.co_filename.removeprefix(ROOT), code.co_name, code.co_firstlineno] += 1


async def main() -> None:
    sys.setprofile(count)
    await Server(parse_options(sys.argv[1:])).run()


uvloop.run(main())
sys.setprofile(None)
COUNTED.write_text(json.dumps([[path, name, number] for (path, name, _), number in calls.items()]))
