"""Attempts of a dead gateway whose begin or end is in the lake, and not in the copy of its journal:
they were sealed from a disk that is gone."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.metering import request_ids_of
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.columns import INTENT_SCHEMA, LATER_OF_INTENTS
from clauseway.storage.lake.file_list import INTENTS, USAGE, LakeFile, files_of
from clauseway.storage.lake.lake import Lake

# A request and its attempt's number.
AttemptKey = tuple[str, int]
_KEY = ["request_id", "attempt"]
_SEGMENT, _FRAME = (name for name, _ in LATER_OF_INTENTS)


def begun_from(
    lake: Lake, boots: Iterable[str], segment: int, frame: int
) -> dict[AttemptKey, dict[str, Any]]:
    """Return the intents that the starts `boots` (hex) wrote from a frame of their journal on, as
    rows of the lake. Raise LakeDamaged.

    An intent of which the lake was not told where it stands is left out.
    """
    place = pc.field(_SEGMENT)
    is_behind = (place > segment) | ((place == segment) & (pc.field(_FRAME) >= frame))
    begun: dict[AttemptKey, dict[str, Any]] = {}
    for boot in boots:
        first, last = request_ids_of(boot)
        requests = pc.field("request_id")
        asked = (requests >= first) & (requests <= last) & is_behind
        for file in _files_between(lake, INTENTS, first, last):
            path = lake.root / file.name
            if _SEGMENT in pq.read_schema(path).names:
                rows = read_rows(path, columns=INTENT_SCHEMA.names, filters=asked).to_pylist()
                begun |= {_key(row): row for row in rows}
    return begun


def ended_of(lake: Lake, attempts: Collection[AttemptKey]) -> set[AttemptKey]:
    """Return those of these attempts that have an end in the lake. Raise LakeDamaged."""
    if not attempts:
        return set()
    requests = sorted({request for request, _ in attempts})
    asked = pc.field("request_id").isin(pa.array(requests))
    ended = {
        _key(row)
        for file in _files_between(lake, USAGE, requests[0], requests[-1])
        for row in read_rows(lake.root / file.name, columns=_KEY, filters=asked).to_pylist()
    }
    return ended & set(attempts)


def _key(row: dict[str, Any]) -> AttemptKey:
    return row["request_id"], row["attempt"]


def _files_between(lake: Lake, kind: str, first: str, last: str) -> Iterator[LakeFile]:
    yield from lake.sound(
        [
            file
            for file in files_of(lake.control, kind)
            if file.first_request <= last and file.last_request >= first
        ]
    )
