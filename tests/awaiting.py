"""Waiting for what another thread or process is about to do."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure
# To ask is work, for those who answer too: between two questions lies a tenth of the time that it took so far.
_PAUSE_PART = 0.1
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.005, 0.1


def eventually(condition: Callable[[], object]) -> None:
    """Ask again and again until it is so. Fails after PATIENCE_S."""
    begun_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - begun_s
        assert waited_s < PATIENCE_S, "it never happened"
        time.sleep(min(max(waited_s * _PAUSE_PART, _PAUSE_S_MIN), _PAUSE_S_MAX))
