"""A gateway's process that begins once somebody has opened a named pipe and closed it again: `GATE` names it."""

import os
from pathlib import Path

from clauseway.gateway import __main__ as gateway


def main(arguments: list[str]) -> int:
    Path(os.environ["GATE"]).read_bytes()
    return gateway.main(arguments)
