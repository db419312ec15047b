"""Revoked keys on their way to the gateways, ahead of the plan that no longer has them.

    books' log ── keys that were written ──▶ digests of ended secrets ──▶ the home's file ──▶ gateways

A plan takes a while to compile, and a mistake in the configuration keeps it out altogether; a
revocation waits for neither. The digests are appended to a file of the home, which every gateway
reads when it starts and when it is told. The time of that file is when the database was last
reached: a gateway that sees it stand still knows that it sees no revocations.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.exc import DBAPIError

from clauseway.app.opening.home import Home
from clauseway.app.running.control_data import KeptControl
from clauseway.app.running.processes import LOOK_EVERY_S
from clauseway.files import PRIVATE, append_lines, write_whole
from clauseway.storage.control.announcements import LogListener
from clauseway.storage.control.audit import Head
from clauseway.storage.customers.ended_secrets import ended_secrets
from clauseway.values import InvalidInput

# How soon a write is seen whose announcement was lost.
_LISTENING_LOOK_EVERY_S = 1.0
# Many writes one after another are not looked at one by one.
_LOOK_EVERY_S_MIN = 0.05
# The file's time need not be newer than a gateway's next look at it.
_TOUCH_EVERY_S = 1.0
# A look at a server that does not answer takes longer: whoever stops does not wait for that.
_LAST_LOOK_S = 2.0
# The address may be half written, the database away, the home's disk or its folder gone, or no
# descriptor left: each may be over at the next look.
_AWAY = (InvalidInput, DBAPIError, OSError)


def begin_revocations(home: Home) -> Head:
    """Begin the home's file of revocations anew; return the end of the log from which on they have
    to be looked for. To be called before a plan is compiled, which has all that were before."""
    with contextlib.closing(KeptControl(home)) as control:
        head = control.head_of_log()
    write_whole(home.revocations, b"", mode=PRIVATE)
    return head


class Revocations:
    """Looks for ended secrets, and announces them to gateways."""

    def __init__(self, home: Home, since: Head, announce: Callable[[], object]) -> None:
        self._path, self._control = home.revocations, KeptControl(home)
        self._announce = announce
        self._head, self._announced_to = since, since.sequence
        self._failure: InvalidInput | DBAPIError | OSError | None = None
        self._touched_s = 0.0

    def look(self) -> None:
        """Announce what was revoked since the last look. A failure is kept for `head`."""
        try:
            head, ended = ended_secrets(self._control.opened(), self._announced_to, time.time_ns())
        except _AWAY as error:
            self._failure = error
            return
        # A disk that takes nothing now is tried again at the next look; the plan is compiled anyway.
        with contextlib.suppress(OSError):
            self._tell(ended)
            self._announced_to = head.sequence
        self._head, self._failure = head, None

    def head(self) -> Head:
        """Return the end of the log as it was at the last look. Raise what that look failed with."""
        if self._failure is not None:
            raise self._failure
        return self._head

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look in a thread of its own whenever a write is announced, and now and then all the same,
        until the block ends: nothing that takes long holds a revocation up."""
        over = threading.Event()

        def keep_looking() -> None:
            while not over.is_set():
                begun_s = time.monotonic()
                # Listened first: what is written after the look is announced.
                listener = self._listening()
                self.look()
                self._wait(over, listener)
                over.wait(begun_s + _LOOK_EVERY_S_MIN - time.monotonic())
            self._control.close()

        thread = threading.Thread(target=keep_looking, name="revocations", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(_LAST_LOOK_S)

    def _listening(self) -> LogListener | None:
        """Return what listens for writes, or None where nobody announces them."""
        if self._failure is not None:
            return None  # a server that does not answer is waited for once, by the look
        try:
            listener = self._control.listener()
            return listener if listener.listen() else None
        except _AWAY:
            return None  # the look comes next, and says the same

    def _wait(self, over: threading.Event, listener: LogListener | None) -> None:
        """Wait until a write is announced, or it is time to look all the same, or it is over."""
        if listener is None:
            over.wait(LOOK_EVERY_S)
            return
        due_s = time.monotonic() + _LISTENING_LOOK_EVERY_S
        while not over.is_set() and time.monotonic() < due_s:
            # In short parts, so that a stop does not wait for long.
            if listener.heard_within(LOOK_EVERY_S):
                return

    def _tell(self, ended: Sequence[str]) -> None:
        now_s = time.monotonic()
        if not ended and now_s < self._touched_s + _TOUCH_EVERY_S:
            return
        lines = "".join(f"{digest}\n" for digest in ended).encode()
        append_lines(self._path, lines, durable=False)
        os.utime(self._path)
        if ended:
            self._announce()
        self._touched_s = now_s
