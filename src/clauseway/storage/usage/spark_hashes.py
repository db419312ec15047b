"""The hashes of days, made by Spark's workers: no machine holds a day, and 32 bytes of a block of
rows come back.

    rows ─▶ sorted by ranges ─▶ numbered within their day ─▶ blocks ─▶ hashed by workers ─▶ day

A day's hash is one of hashes of blocks (`block_hashes`), so blocks are hashed side by side, and the
digest is the one that a single process comes to. Whatever Spark did on the way, the answer is
checked: blocks are full but for the last, and none begins before another has ended.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby, pairwise
from typing import Any

from ibis.backends import BaseBackend
from ibis.expr.types import Table

from clauseway.storage.usage.block_hashes import (
    BLOCK_ROWS,
    HASHED,
    ORDER,
    DayContent,
    day_content,
    hashed_block,
)
from clauseway.values import InvalidInput

# Rows that one task sorts, some 400 bytes each; a worker of Spark has a gigabyte by default.
_RANGE_ROWS = 500_000
# Spark numbers the rows of each range from the number of the range, shifted by so many bits.
_RANGE_BITS = 33


def days_hashed_by_spark(con: BaseBackend, usage: Table, rows_max: int) -> Iterator[DayContent]:
    """Yield the days of usage, in order, hashed in the order of their rows.

    `rows_max` are at least the rows of all days. Raise InvalidInput where Spark's workers cannot
    hash.
    """
    session = con._session
    keys = ("event_day", *ORDER)
    ranges = -(-rows_max // _RANGE_ROWS)
    in_order = session.sql(con.compile(usage)).repartitionByRange(ranges, *keys)
    in_order = in_order.sortWithinPartitions(*keys)
    # Kept, so that rows have the same number whenever they are asked for it.
    numbered = in_order.selectExpr("*", "monotonically_increasing_id() AS number").cache()
    try:
        # A day's rows in a range have numbers without a gap; those in the ranges before come first.
        sizes = numbered.selectExpr(
            "event_day", f"shiftright(number, {_RANGE_BITS}) AS range", "number"
        )
        sizes = sizes.groupBy("event_day", "range").agg({"number": "min", "*": "count"})
        begins = _begins(sizes.collect())
        offsets = session.createDataFrame(begins, "event_day date, range long, begin long")
        blocks = numbered.selectExpr("*", f"shiftright(number, {_RANGE_BITS}) AS range")
        blocks = blocks.join(offsets.hint("broadcast"), ["event_day", "range"])
        blocks = blocks.selectExpr("*", f"(number - begin) DIV {BLOCK_ROWS} AS block")
        blocks = blocks.drop("number", "range", "begin")
        rows = blocks.groupBy("event_day", "block").applyInArrow(hashed_block, HASHED).collect()
    except Exception as error:
        raise _as_refusal(error) from None
    finally:
        numbered.unpersist()
    rows.sort(key=lambda row: (row["event_day"], row["block"]))
    for day, of_day in groupby(rows, lambda row: row["event_day"]):
        yield _day(day, list(of_day))


def _begins(sizes: Sequence[Any]) -> list[tuple[date, int, int]]:
    """Return what to take from the numbers of a day's rows in a range, so that the day's rows count
    from zero."""
    begins: list[tuple[date, int, int]] = []
    for _, of_day in groupby(sorted(sizes, key=lambda size: size[:2]), lambda size: size[0]):
        before = 0
        for size in of_day:
            begins.append((size["event_day"], size["range"], size["min(number)"] - before))
            before += size["count(1)"]
    return begins


def _day(day: date, blocks: Sequence[Any]) -> DayContent:
    assert [block["block"] for block in blocks] == list(range(len(blocks))), f"{day}: all blocks"
    assert all(block["rows"] == BLOCK_ROWS for block in blocks[:-1]), f"{day}: full blocks"
    for before, after in pairwise(blocks):
        assert _last(before) < _first(after), f"{day}: blocks in order"
    attempts = sum(block["rows"] for block in blocks)
    return day_content(day, attempts, (block["digest"] for block in blocks))


def _first(block: Any) -> tuple[bytes, int]:
    return block["first_request"].encode(), block["first_attempt"]


def _last(block: Any) -> tuple[bytes, int]:
    return block["last_request"].encode(), block["last_attempt"]


def _as_refusal(error: Exception) -> Exception:
    """Return what to raise for an error of Spark: InvalidInput for workers without what hashes."""
    lines = str(error).splitlines()
    reasons = ("No module named", "PYTHON_VERSION_MISMATCH", 'Cannot run program "')
    why = next((line.strip() for line in lines if any(reason in line for reason in reasons)), "")
    if not why:
        return error
    python = ".".join(map(str, sys.version_info[:2]))
    return InvalidInput.of(
        what="Spark's workers cannot hash usage",
        why=why.rstrip("."),
        where="spark",
        remedy=f"Install Python {python} with pyarrow on every worker, and name it in "
        "PYSPARK_PYTHON.",
    )
