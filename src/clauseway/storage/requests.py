"""What the lake holds of one request: every attempt, failed and open ones too, as rows of `columns`."""

from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from clauseway.storage.files import INTENTS, USAGE
from clauseway.storage.lake import Lake

Row = Mapping[str, Any]


def usage_rows(lake: Lake, request_id: str) -> list[Row]:
    """The ends of its attempts, in order."""
    return _rows(lake, USAGE, request_id)


def intent_rows(lake: Lake, request_id: str) -> list[Row]:
    """The beginnings of its attempts, in order."""
    return _rows(lake, INTENTS, request_id)


def _rows(lake: Lake, kind: str, request_id: str) -> list[Row]:
    found: list[Row] = []
    for path in lake.files(kind=kind):
        found += pq.read_table(path, filters=[("request_id", "=", request_id)]).to_pylist()
    return sorted(found, key=lambda row: row["attempt"])
