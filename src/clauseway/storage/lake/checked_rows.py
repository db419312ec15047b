"""Rows of the lake's files, read with the checksums of their pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_rows(path: Path, *, columns: Sequence[str] | None = None, **asked: Any) -> pa.Table:
    """Read rows of a Parquet file as pyarrow does, checking each page against its checksum if it
    has one.

    A column that was added to the lake after the file was written is left out.
    """
    if columns is not None:
        there = set(pq.read_schema(path).names)
        columns = [name for name in columns if name in there]
    return pq.read_table(path, columns=columns, page_checksum_verification=True, **asked)
