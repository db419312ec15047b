"""The lake's rows about one request: every attempt, failed and open ones too, as rows of
`columns`."""

from collections.abc import Callable, Mapping
from typing import Any

from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.file_list import INTENTS, USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.values import Interval

RequestRow = Mapping[str, Any]


def usage_rows(lake: Lake, request_id: str) -> list[RequestRow]:
    """Return the ends of its attempts, in order."""
    return _rows(lake, USAGE, request_id)


def intent_rows(lake: Lake, request_id: str) -> list[RequestRow]:
    """Return the beginnings of its attempts, in order."""
    return _rows(lake, INTENTS, request_id)


def requests_of(
    lake: Lake,
    upstream_id: str,
    days: Interval | None = None,
    on_files: Callable[[int, int], object] = lambda _done, _all: None,
) -> list[str]:
    """Return the requests of which an attempt ended with that id of a cloud's, in order.

    Files are in order of our own ids, so every file is read, or with `days` every file with usage
    of these; of each, two columns. `on_files` is told before each how many of all are read.
    """
    named: set[str] = set()
    files = lake.sound(files_of(lake.control, USAGE, days))
    for done, file in enumerate(files):
        on_files(done, len(files))
        rows = read_rows(
            lake.root / file.name,
            columns=["request_id"],
            filters=[("upstream_id", "=", upstream_id)],
        )
        named.update(rows["request_id"].to_pylist())
    return sorted(named)


def _rows(lake: Lake, kind: str, request_id: str) -> list[RequestRow]:
    rows: list[RequestRow] = []
    files = [
        file
        for file in files_of(lake.control, kind)
        if file.first_request <= request_id <= file.last_request
    ]
    for file in lake.sound(files):
        rows += read_rows(
            lake.root / file.name, filters=[("request_id", "=", request_id)]
        ).to_pylist()
    return sorted(rows, key=lambda row: row["attempt"])
