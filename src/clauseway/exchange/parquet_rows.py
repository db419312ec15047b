"""The rows of a Parquet file that others wrote: a value that Python has no word for spoils its row and no other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 20_000
# What Arrow raises where Python has no word for a value: bytes that are no UTF-8, a year 60,000, a zone on Mars.
_NO_WORD = (ValueError, OverflowError, TypeError, LookupError)


class RepeatedColumns(ValueError):
    """A table in which names of columns are there twice: those names."""


def check_names(names: list[str]) -> None:
    """Raise RepeatedColumns where a name is there twice: a row would keep the last of them and nobody would know."""
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise RepeatedColumns(", ".join(again))


def parquet_rows(
    path: Path, check: Callable[[list[str]], None]
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Each row with its number from 1, and where it could not be read, why; `check` is asked of the columns first.

    Raises RepeatedColumns, ArrowException for a file that is none or is damaged, and what `check` raises.
    """
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        check_names(names)
        check(names)
        line = 0
        for batch in file.iter_batches(_ROWS):
            for row, wrong in _rows_of(batch):
                line += 1
                yield line, row, wrong


def _rows_of(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        rows = batch.to_pylist()
    except _NO_WORD:
        # Which row it is, is found by asking for each.
        for number in range(batch.num_rows):
            yield _row_of(batch, number)
        return
    for row in rows:
        yield row, ""


def _row_of(batch: pa.RecordBatch, number: int) -> tuple[dict[str, Any], str]:
    row: dict[str, Any] = {}
    wrong = ""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[number].as_py()
        except _NO_WORD as error:
            wrong = wrong or f"{name} cannot be read: {error}"
    return row, wrong
