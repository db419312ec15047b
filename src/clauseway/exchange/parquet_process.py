"""The process that reads a Parquet file which others wrote; `parquet_reading` starts it.

    standard input    the file
    arguments         rows of a batch, columns (JSON), columns that stay dictionaries (JSON)
    standard output   a line with the number of rows, then the batches as an Arrow IPC stream
    standard error    why it ended, unless it ended with 0

A kilobyte of Parquet may unpack to any size: pages are compressed, a dictionary repeats one text in
every row, and a list may claim a hundred million nulls. PyArrow has no bound for any of them, and
may end its process where memory is refused. So the reading has this process to itself, with a bound
on its address space, and hands over only what stays small as Python objects too. The process that
started it (`parquet_reading`) reads the batches and says what its end means.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Ends of the process: Arrow refused the file; the file takes more than a bound; an error of our own;
# Python could not start this program.
REFUSED, TOO_LARGE, OWN_FAULT, NOT_STARTED = 3, 4, 5, 1
# Beyond the libraries. The widest honest row group, read in batches, takes a fourth of it.
MEMORY_BYTES = 1 << 30
# Of rows in sequence, so many weigh no more than that as Python objects: 26 kB a row. The largest
# rows of bills take a fourth.
WINDOW_ROWS = 10_000
WINDOW_BYTES = 256 << 20
# A Python object with its place in a row.
_CELL_BYTES = 64


class TooLarge(Exception):
    """Raised for rows that weigh more than a window may."""


def opened(source: Path | IO[bytes], dictionaries: Sequence[str]) -> pq.ParquetFile:
    """Return a file whose `dictionaries` stay dictionaries. Raise ArrowException, also where it
    has no such column; OSError."""
    try:
        return pq.ParquetFile(source, read_dictionary=dictionaries, pre_buffer=False)
    except KeyError as error:  # the name, in bytes
        raise pa.ArrowInvalid(f"it has no column {error.args[0].decode()}") from None


def batches(
    file: pq.ParquetFile, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches of `rows` at most. Raise TooLarge, ArrowException."""
    window_rows = window_bytes = 0
    reading = file.iter_batches(
        _rows_at_once(file.metadata, rows), columns=columns, use_threads=False
    )
    for read in reading:
        for batch, weight in _halved(read):
            if batch.num_rows <= WINDOW_ROWS:
                window_rows += batch.num_rows
                window_bytes += weight
                if window_bytes > WINDOW_BYTES:
                    raise TooLarge(
                        f"{window_rows:,} of its rows unpack to {window_bytes >> 20:,} MB"
                    )
            yield batch
            if window_rows >= WINDOW_ROWS:
                window_rows = window_bytes = 0


def _rows_at_once(metadata: pq.FileMetaData, rows: int) -> int:
    """Return how many rows may be read at once, by the size that the footer states."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    stated = sum(group.total_byte_size for group in groups) // max(metadata.num_rows, 1)
    row_bytes = max(stated, metadata.num_columns * _CELL_BYTES, 1)
    return int(max(min(rows, WINDOW_BYTES // row_bytes), 1))


def _halved(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield a batch in parts with their weights. A part of many rows weighs no more than a window
    may."""
    weight = sum(map(_weight, batch.columns))
    if batch.num_rows <= WINDOW_ROWS or weight <= WINDOW_BYTES:
        yield batch, weight
        return
    half = batch.num_rows // 2
    yield from _halved(batch.slice(0, half))
    yield from _halved(batch.slice(half))


def _weight(values: pa.Array) -> int:
    """Return about how many bytes values take as Python objects."""
    kind = values.type
    own = len(values) * _CELL_BYTES
    if isinstance(values, pa.ExtensionArray):
        return _weight(values.storage)
    if pa.types.is_dictionary(kind):
        if _is_text(kind.value_type):
            # The text of an entry stands in each row that names it.
            lengths = pc.binary_length(values.dictionary).take(values.indices)
            return own + (pc.sum(lengths).as_py() or 0)
        return _weight(values.dictionary_decode())
    if pa.types.is_struct(kind):
        return own + sum(map(_weight, values.flatten()))
    if pa.types.is_map(kind):
        # A part of a batch names its entries by offsets; the arrays behind them are the whole's.
        first, last = values.offsets[0].as_py(), values.offsets[-1].as_py()
        entries = (values.keys, values.items)
        return own + sum(_weight(entry.slice(first, last - first)) for entry in entries)
    if pa.types.is_nested(kind):
        return own + _weight(values.flatten())
    if _is_text(kind):
        return own + (pc.sum(pc.binary_length(values)).as_py() or 0)
    return max(own, int(values.nbytes))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def bound_memory() -> None:
    """Bound the address space of this process to what it has mapped and `MEMORY_BYTES` more.

    A lower bound that is set already stays, since no process may raise it.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    granted = resource.getrlimit(resource.RLIMIT_AS)
    limit = min([limit, *(bound for bound in granted if bound != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _hand_over(source: IO[bytes], target: IO[bytes], arguments: Sequence[str]) -> None:
    rows, columns, dictionaries = map(json.loads, arguments)
    with opened(source, dictionaries) as file:
        target.write(b"%d\n" % file.metadata.num_rows)
        schema = file.schema_arrow
        if columns is not None:
            if missing := [name for name in columns if name not in schema.names]:
                raise pa.ArrowInvalid(f"it has no column {missing[0]}")
            schema = pa.schema([schema.field(name) for name in columns])
        with pa.ipc.new_stream(target, schema) as stream:
            # A reader of the schema alone need not wait for a batch.
            target.flush()
            for batch in batches(file, rows, columns):
                stream.write_batch(batch)


def main(arguments: Sequence[str]) -> int:
    """Read the file on standard input to its end; the code to end with."""
    bound_memory()
    try:
        _hand_over(sys.stdin.buffer, sys.stdout.buffer, arguments)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has what it wanted; what is left goes nowhere at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return TOO_LARGE
    except TooLarge as error:
        return _ended(TOO_LARGE, error)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        return _ended(REFUSED, error)
    except Exception as error:
        return _ended(OWN_FAULT, f"{type(error).__name__}: {error}")
    return 0


def _ended(code: int, why: object) -> int:
    print(why, file=sys.stderr)
    return code
