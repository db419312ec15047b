"""The actions that a question can be about, and the parts of a scope that each action takes.

The reader refuses a term that limits an action by a part that it does not take (a licence to a
cloud).
"""

from collections.abc import Mapping

SERVE, SELL, LICENSE, USE, CONTRACT, SHARE = (
    "serve",
    "sell",
    "license",
    "use-under-licence",
    "contract-compute",
    "share-revenue",
)
ACTIONS = (SERVE, SELL, LICENSE, USE, CONTRACT, SHARE)
# The actions that terms may name. A revenue share has its own kind of term.
TERM_ACTIONS = ACTIONS[:5]
CLOUDS, SELLERS, SEGMENTS, REGIONS, PARTIES, LICENSEES = (
    "clouds",
    "sellers",
    "segments",
    "regions",
    "parties",
    "licensees",
)
_NONE: frozenset[str] = frozenset()
_PLACED = frozenset({CLOUDS, SEGMENTS, REGIONS, PARTIES})
TAKES: Mapping[str, frozenset[str]] = {
    SERVE: _PLACED | {SELLERS},
    SELL: _PLACED | {SELLERS},
    CONTRACT: _PLACED,
    LICENSE: frozenset({PARTIES, LICENSEES}),
    USE: frozenset({PARTIES, LICENSEES}),
    # A share is asked about as a whole, or for the sales on one cloud.
    SHARE: frozenset({CLOUDS}),
}


def takes(action: str, part: str) -> bool:
    """Return whether a part of a scope (`clouds`, `sellers`, …) means something for an action."""
    return part in TAKES.get(action, _NONE)
