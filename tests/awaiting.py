"""Waiting for what another thread or process is about to do."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure


def eventually(condition: Callable[[], object]) -> None:
    """Ask again and again until it is so. Fails after PATIENCE_S."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s, "it never happened"
        time.sleep(0.005)
