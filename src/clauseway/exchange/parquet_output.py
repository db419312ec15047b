"""Where PyArrow writes a Parquet file: a file, or a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from clauseway.files.presence import is_file


@contextmanager
def parquet_output(path: Path) -> Iterator[str | pa.NativeFile]:
    """Yield the output for a Parquet file at a path. Raise OSError.

    PyArrow asks a file how far it is written, to list the places of its columns at the end. A pipe
    does not tell, so the bytes are counted.
    """
    if is_file(path):
        yield str(path)
        return
    with path.open("wb") as pipe, pa.PythonFile(_CountedPipe(pipe), "w") as output:
        yield output


class _CountedPipe:
    """A pipe that tells how much was written into it."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._written = 0

    def write(self, data: bytes) -> int:
        self._written += self._pipe.write(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._pipe.flush()

    def close(self) -> None:
        self._pipe.close()

    @property
    def closed(self) -> bool:
        return self._pipe.closed
