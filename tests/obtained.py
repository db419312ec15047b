"""Things that tests obtain for themselves from registries: under a lock, and whole or not at all.

Several processes of one run, and several checkouts, share the cache. Whoever comes first makes the folder beside its
place and renames it; the others wait for the lock and find it made. A process that is killed in between leaves nothing
that looks finished.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# One at a time asks apt: its own locks make the second fail instead of wait. `tools/` locks the same folder.
APT_LISTS = Path("/var/lib/apt/lists")


def cache() -> Path:
    """Where things obtained are kept between runs; `.ci/run` names an empty folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clauseway"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds the lock on this file or folder, and hold it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which lets the lock go


def obtain(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; `make` fills it if nobody has yet.

    What `make` raises is raised here, and the next one tries again.
    """
    folder = cache() / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{name}.lock")
    lock.touch()
    with alone(lock):
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder.parent))
            try:
                make(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder
