"""Parquet files that others wrote, read by a process of its own with bounded memory.

with others_parquet(path, 10_000) as file:
    file.schema
    for batch in file.batches: …

InvalidInput      the file takes more memory than reading it may, has too many rows, or reading it
                  met an error of our own
ArrowException    the file is damaged or not Parquet
OSError           the file cannot be opened
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa

from clauseway.exchange.parquet_process import (
    MEMORY_BYTES,
    NOT_STARTED,
    OWN_FAULT,
    REFUSED,
    TOO_LARGE,
)
from clauseway.values import InvalidInput

# PyArrow loads NumPy where it is installed, and the process needs none of it: to load it took as long
# as everything else of a small file. What it loads stays, and is not looked through for garbage.
_PROGRAM = (
    "import gc, sys; gc.disable(); sys.modules['numpy'] = None; "
    "from clauseway.exchange.parquet_process import main; "
    "gc.freeze(); gc.enable(); sys.exit(main(sys.argv[1:]))"
)
_ERROR_CHARACTERS = 500
# A file with more rows has at least a byte for each: usage and charges differ from row to row, and
# a footer may state any number.
_ROWS_FREE = 100_000
# Each batch goes through the pipe in a few turns.
_PIPE_BYTES = 1 << 20
# The plain allocator maps what it needs and no gigabytes ahead of it.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}


class OthersParquet(msgspec.Struct, frozen=True):
    """An open file: the rows that its footer states, its schema, and its batches, once."""

    rows: int
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def others_parquet(
    path: Path,
    rows: int,
    *,
    columns: Sequence[str] | None = None,
    dictionaries: Sequence[str] = (),
    within: Path | None = None,
    may_repeat: bool = False,
) -> Iterator[OthersParquet]:
    """Open a Parquet file that others wrote, to be read in batches of `rows` at most.

    `dictionaries` are columns that are handed over as dictionaries. `within` is the file that
    somebody gave, where this one was taken out of it. Rows that `may_repeat` may be more than the
    file has bytes. Raise InvalidInput, ArrowException, OSError, also while batches are read.
    """
    arguments = (str(rows), json.dumps(columns), json.dumps(dictionaries))
    named = within or path
    with path.open("rb") as file, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            # -P: a module that lies in the folder of the file is not imported.
            [sys.executable, "-P", "-c", _PROGRAM, *arguments],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=errors,
            pipesize=_PIPE_BYTES,
            env=os.environ | _ENVIRONMENT,
        )
        try:
            assert process.stdout is not None
            stated = process.stdout.readline()
            try:
                stream = pa.ipc.open_stream(process.stdout)
            except pa.ArrowException:
                raise _why(process, errors, named) from None
            if not may_repeat:
                _check_count(int(stated), path, named)
            batches = _batches(stream, process, errors, named)
            yield OthersParquet(int(stated), stream.schema, batches)
        finally:
            process.kill()
            process.communicate()


def _check_count(rows: int, path: Path, named: Path) -> None:
    if rows > _ROWS_FREE + (size := path.stat().st_size):
        raise InvalidInput.of(
            what="the Parquet file has too many rows",
            why=f"{rows:,} rows in {size:,} bytes are the same row again and again",
            where=str(named),
            remedy="Give a file with a row for each request or charge.",
        )


def _batches(
    stream: pa.RecordBatchReader, process: subprocess.Popen[bytes], errors: IO[bytes], path: Path
) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            break
        except (pa.ArrowException, OSError):
            raise _why(process, errors, path) from None
        yield batch
    # The stream may end well before the process does.
    if process.wait():
        raise _why(process, errors, path)


def _why(process: subprocess.Popen[bytes], errors: IO[bytes], path: Path) -> Exception:
    """Return what the end of the process means."""
    code = process.wait()
    errors.seek(0)
    message = errors.read().decode("utf-8", "replace").strip()
    if code == NOT_STARTED:
        # Its traceback ends with the error.
        message = message.rpartition("\n")[2]
    message = message[:_ERROR_CHARACTERS]
    if code == REFUSED:
        refused: Exception = pa.ArrowInvalid(message)
        return refused
    if code in (OWN_FAULT, NOT_STARTED):
        return InvalidInput.of(
            what="the Parquet file could not be read",
            why=message,
            where=str(path),
            remedy="Report this as a fault of clauseway. Until it is mended, give CSV or JSON lines.",
        )
    if code != TOO_LARGE or not message:
        message = f"reading it takes more than {MEMORY_BYTES >> 20:,} MB"
    return InvalidInput.of(
        what="the Parquet file takes too much memory",
        why=message,
        where=str(path),
        remedy="Write it again with smaller texts and row groups, or as CSV or JSON lines. If "
        "others gave it to you, ask them what it holds.",
    )
