"""The rows of a foreign Parquet file: a value that Python cannot hold makes only its own row
unreadable. A separate process reads the file (`parquet_reading`)."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from clauseway.exchange.parquet_process import WINDOW_ROWS
from clauseway.exchange.parquet_reading import others_parquet
from clauseway.values import InvalidInput

# Raised by Arrow for values that Python cannot hold: bytes that are not UTF-8, a year 60,000, a
# zone on Mars.
_NO_PYTHON_VALUE = (ValueError, OverflowError, TypeError, LookupError)


def check_columns(path: Path, names: list[str]) -> None:
    """Raise InvalidInput if a column is there twice: a row would silently keep the last value."""
    if again := sorted(name for name, times in Counter(names).items() if times > 1):
        raise InvalidInput.of(
            what="a column is there twice",
            why=f"{', '.join(again)} could mean either",
            where=str(path),
            line=1,
            remedy="Give each column a name of its own.",
        )


def parquet_rows(
    path: Path, check: Callable[[list[str]], None]
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield each row with its number from 1, and why it could not be read, else empty; first
    `check` the columns.

    Raise InvalidInput for a column that is there twice, and for a file that takes too much memory or
    time for its size, ArrowException for a file that is damaged or not Parquet, and the errors of `check`.
    """
    with others_parquet(path, WINDOW_ROWS) as file:
        names = file.schema.names
        check_columns(path, names)
        check(names)
        line = 0
        for batch in file.batches:
            for row, wrong in rows_of_batch(batch):
                line += 1
                yield line, row, wrong


def rows_of_batch(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each row, and why it could not be read, else empty."""
    try:
        rows = batch.to_pylist()
    except _NO_PYTHON_VALUE:
        # Read row by row to find the bad row.
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
        except _NO_PYTHON_VALUE as error:
            wrong = wrong or f"{name} cannot be read: {error}"
    return row, wrong
