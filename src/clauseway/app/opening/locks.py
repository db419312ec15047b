"""Locks of a home: one process at a time does a named thing to it, on this machine or on all that
share its database."""

import fcntl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, get_args

from clauseway.app.opening.home import Home
from clauseway.values import InvalidInput

# What one process at a time does to a home: it seals the lake or changes it otherwise, imports,
# settles or posts, records a fact, changes the basis, serves.
LockName = Literal["seal", "import", "books", "facts", "basis", "serve"]
LOCK_NAMES: Final[tuple[LockName, ...]] = get_args(LockName)
# The process that serves a home holds this lock of its folder.
SERVED: Final = "serve"
# `clauseway serve` seals four times a minute, which takes less: such waits are not worth a line.
_SHORT_WAIT_S = 2.0
# Within that time a server notices that a machine is gone: by its keepalives, in half a minute.
GONE_AFTER_S = 45
_report_wait: ContextVar[Callable[[Home], object] | None] = ContextVar("report_wait", default=None)


@contextmanager
def reporting_waits(report: Callable[[Home], object]) -> Iterator[None]:
    """Have `report` called, from a thread of its own, when this context has waited for a lock of a
    home for two seconds; it may be called again for the next lock."""
    token = _report_wait.set(report)
    try:
        yield
    finally:
        _report_wait.reset(token)


@contextmanager
def locked(
    home: Home, name: LockName, on_wait: Callable[[], object] | None = None
) -> Iterator[None]:
    """Hold the lock `name` of a home; wait for whoever has it, having called `on_wait` once.
    Without it, a long wait is reported (`reporting_waits`).

    The lock is a file's where the control database is a file, else the server's. It ends with its
    holder.
    """
    if on_wait is not None:
        with _held(home, name, on_wait):
            yield
        return
    report = _report_wait.get() or (lambda _: None)
    wait = threading.Timer(_SHORT_WAIT_S, report, [home])
    wait.daemon = True
    try:
        with _held(home, name, wait.start):
            wait.cancel()
            yield
    finally:
        wait.cancel()


@contextmanager
def _held(home: Home, name: LockName, on_wait: Callable[[], object]) -> Iterator[None]:
    while True:
        place = home.make().control
        with _held_at(home, place, name, on_wait):
            # The control database may have moved during a wait: its lock is another one then.
            if home.control == place:
                yield
                return
        on_wait = _nothing


def _nothing() -> None:
    """Report a wait that was reported before no second time."""


@contextmanager
def _held_at(
    home: Home, place: Path | str, name: LockName, on_wait: Callable[[], object]
) -> Iterator[None]:
    if isinstance(place, str):
        # Only homes on a server load its driver.
        from clauseway.storage.control.engines import holding  # noqa: PLC0415

        with holding(place, zlib.crc32(name.encode()), on_wait):
            yield
        return
    with locked_here(home, name, on_wait):
        yield


def file_name(name: LockName) -> str:
    """Return the name of the file of a lock in the home's folder."""
    return f"{name}.lock"


@contextmanager
def locked_here(
    home: Home, name: LockName, on_wait: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the lock `name` of a home's folder, wherever its control database is."""
    with (home.root / file_name(name)).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class IdentityLock:
    """The right to serve the home of an identity, which one machine has at a time.

    A copy of a home's folder, or of its machine's image, has the same identity and the same journals.
    Served beside the original it would give other frames the same numbers, and what one of the two
    seals would count as sealed for the other. A home whose database is a file shares it with nobody.
    """

    def __init__(self, home: Home) -> None:
        self._home, self._lock = home, None
        place = home.control
        if isinstance(place, str):
            # Only homes on a server load its driver.
            from clauseway.storage.control.engines import ServerLock  # noqa: PLC0415

            self._lock = ServerLock(place, home.identity())

    def require(self, on_wait: Callable[[], object] | None = None) -> None:
        """Take the lock, if it is not held. With `on_wait`, call that and wait for a machine that is
        gone. Raise InvalidInput if another machine holds it, DBAPIError where the server is away."""
        if self._lock is None or self._lock.take():
            return
        if on_wait is not None:
            on_wait()
        if on_wait is None or not self._lock.take(GONE_AFTER_S):
            raise InvalidInput.of(
                what="another machine serves a home of this identity",
                why="one of the two is a copy of the other, or of its machine's image; both would "
                "number the frames of one journal, and usage would be lost",
                where=str(self._home.root / "home.id"),
                remedy="In the copy, remove home.id and the folder spool, and start it again. If "
                "the other machine is gone, its server's connection ends within a minute.",
            )

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()
