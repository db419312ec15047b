"""What is damaged or lost in the home that a gateway writes for, by kind, as the process beside it tells in a file.

The gateway knows nothing of lakes and databases; it shows these numbers among its figures.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

KINDS = ("frames", "spool", "lake")
_COUNTS = msgspec.json.Decoder(dict[str, int])


def read_conditions(path: Path) -> Mapping[str, int]:
    """How many of each kind; none where nobody tells."""
    try:
        told = _COUNTS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return {kind: told.get(kind, 0) for kind in KINDS}
