"""Rows of the lake's files, read with the checksums of their pages."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_rows(path: Path, **asked: Any) -> pa.Table:
    """Read rows of a Parquet file as pyarrow does, checking each page against its checksum if it
    has one."""
    return pq.read_table(path, page_checksum_verification=True, **asked)
