"""The hash of usage that comes in order: rows in blocks, a block column by column, a day by its
blocks.

    65,536 rows ─▶ hash of the block ┐
    65,536 rows ─▶ hash of the block ┴▶ hash of the day

A block is hashed wherever its rows are: by this process, or by a worker of Spark, to which
`hashed_block` is sent. INVARIANT: that function needs hashlib and pyarrow alone, as a worker has no
clauseway.
"""

import hashlib
from collections.abc import Iterable
from datetime import date

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from clauseway.metering import Unit

WORDS = (
    "request_id",
    "organisation",
    "project",
    "seller",
    "segment",
    "cloud",
    "region",
    "product",
    "model",
    "tier",
)
NUMBERS = ("attempt", "event_ns", "endpoint", "status")
UNITS = tuple(unit.column for unit in Unit)
# The order of a day's rows; no two rows have the same.
ORDER = ("request_id", "attempt")
# Rows hashed together. INVARIANT: never changed, as a day's name depends on it.
BLOCK_ROWS = 65_536
# The beginning of every day's hash.
_FORMAT = b"clauseway usage 1"


class DayContent(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts of an event day that count: their number and their hash."""

    day: date
    attempts: int
    digest: str


def block_hash(rows: pa.Table) -> bytes:
    """Hash some rows, column by column; a unit that none of them has is left out."""
    digest = hashlib.blake2b(str(rows.num_rows).encode(), digest_size=32)
    for name in (*WORDS, *NUMBERS):
        digest.update(name.encode())
        digest.update(_text(rows[name]) if name in WORDS else _numbers(rows[name]))
    for name in UNITS:
        values = _numbers(rows[name])
        if values.strip(b"\0"):
            digest.update(name.encode())
            digest.update(values)
    return digest.digest()


def day_content(day: date, attempts: int, blocks: Iterable[bytes]) -> DayContent:
    """Name a day's attempts by the hashes of their blocks, in order."""
    digest = hashlib.blake2b(_FORMAT, digest_size=32)
    for block in blocks:
        digest.update(block)
    return DayContent(day=day, attempts=attempts, digest=digest.hexdigest())


def hashed_block(rows: pa.Table) -> pa.Table:
    """Return the hash of the rows of a block, which come in any order, as a row of `HASHED`."""
    in_order = rows.sort_by([(name, "ascending") for name in ORDER])
    first, last = in_order.slice(0, 1), in_order.slice(rows.num_rows - 1)
    return pa.table(
        {
            "event_day": first["event_day"],
            "block": first["block"],
            "rows": pa.array([rows.num_rows], pa.int64()),
            "first_request": first["request_id"],
            "first_attempt": first["attempt"],
            "last_request": last["request_id"],
            "last_attempt": last["attempt"],
            "digest": pa.array([block_hash(in_order)], pa.binary()),
        }
    )


# The columns of `hashed_block`, in Spark's words.
HASHED = (
    "event_day date, block long, rows long, first_request string, first_attempt long, "
    "last_request string, last_attempt long, digest binary"
)


def _numbers(column: pa.ChunkedArray) -> bytes:
    """Return whole numbers as eight bytes each, the lowest first, as every machine here has them."""
    values = pa.concat_arrays([chunk.cast(pa.int64()) for chunk in column.chunks])
    begin, end = values.offset, values.offset + len(values)
    return memoryview(values.buffers()[1])[begin * 8 : end * 8].tobytes()


def _text(column: pa.ChunkedArray) -> bytes:
    """Return the lengths of the texts, followed by the texts."""
    whole = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    offsets = memoryview(whole.buffers()[1]).cast("q")
    begin, end = offsets[whole.offset], offsets[whole.offset + len(whole)]
    texts = whole.buffers()[2]
    held = b"" if texts is None else memoryview(texts)[begin:end].tobytes()
    return _numbers(pa.chunked_array([pc.binary_length(whole)])) + held
