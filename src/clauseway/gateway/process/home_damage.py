"""Damage and loss in the home that a gateway writes for, by kind, as the process beside it reports
in a file.

The gateway knows nothing of lakes and databases; it shows these numbers among its figures.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

KINDS = ("frames", "spool", "lake")
_COUNTS = msgspec.json.Decoder(dict[str, int])


def read_conditions(path: Path) -> Mapping[str, int]:
    """Return how many there are of each kind; none where no process reports."""
    try:
        counts = _COUNTS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return {kind: counts.get(kind, 0) for kind in KINDS}
