"""Waiting until somebody waits for a lock of a home."""

import time
from pathlib import Path


def wait_for_waiting(lock: Path) -> None:
    """Return once somebody waits for the lock of a file."""
    number = f":{lock.stat().st_ino} "
    while not any("->" in line and number in line for line in Path("/proc/locks").read_text().splitlines()):
        time.sleep(0.01)
