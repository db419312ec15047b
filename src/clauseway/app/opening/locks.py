"""Locks of a home: one process at a time does a named thing to it, on this machine or on all that
share its database."""

import fcntl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clauseway.app.opening.home import Home

# Whoever serves a home holds this lock of its folder.
SERVED = "serve"


@contextmanager
def locked(home: Home, name: str, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock `name` of a home; wait for whoever has it, having called `on_wait` once.

    The lock is a file's where the control database is a file, else the server's. It ends with its
    holder.
    """
    place = home.make().control
    if isinstance(place, str):
        # Only homes on a server load its driver.
        from clauseway.storage.control.engines import holding  # noqa: PLC0415

        with holding(place, zlib.crc32(name.encode()), on_wait):
            yield
        return
    with locked_here(home, name, on_wait):
        yield


@contextmanager
def locked_here(
    home: Home, name: str, on_wait: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the lock `name` of a home's folder, wherever its control database is."""
    with (home.root / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
