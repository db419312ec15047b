"""The gateway with a journal that is read no further until a file named `read-on` lies beside it: as long as reading
what dead processes left takes, so long it takes here."""

import sys
from collections.abc import Collection, Generator
from pathlib import Path

import uvloop

from clauseway.gateway.process import journals
from clauseway.metering import RequestId
from clauseway.spool import Unended, reading_unended


def held_back(directory: Path, before: int, asked: Collection[RequestId]) -> Generator[None, None, Unended]:
    while not (directory.parent / "read-on").exists():
        yield
    return (yield from reading_unended(directory, before, asked))


journals.reading_unended = held_back  # type: ignore[attr-defined, assignment]

from clauseway.gateway.__main__ import parse_options  # noqa: E402
from clauseway.gateway.process.server import Server  # noqa: E402


async def main() -> None:
    await Server(parse_options(sys.argv[1:])).run()


uvloop.run(main())
