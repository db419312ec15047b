"""Counts of a home's damages by kind, read from the file that the process beside the gateway
writes.

The gateway knows nothing of lakes and databases; it shows these numbers among its figures.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

KINDS = ("frames", "spool", "lake")
_COUNTS = msgspec.json.Decoder(dict[str, int])


def read_damages(path: Path) -> Mapping[str, int]:
    """Return the number of damages of each kind; empty if no process writes them."""
    try:
        counts = _COUNTS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return {kind: counts.get(kind, 0) for kind in KINDS}
