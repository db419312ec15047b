"""A stop beside a database that is frozen: its server keeps all connections and answers nothing, and
a wait for an answer has no end of its own."""

import contextlib
import threading
from collections.abc import Iterator

from clauseway.app.opening.home import Home
from clauseway.app.running.processes import LOOK_EVERY_S
from clauseway.storage.control.engines import cut_connections, is_silent
from clauseway.values import InvalidInput


@contextlib.contextmanager
def left_on_stop(home: Home, stop: threading.Event) -> Iterator[None]:
    """Once a stop is asked for, ask the database again and again whether it answers, until the block
    ends. While it says nothing, cut the connections, so that whoever waits for it goes on to the end.

    A database that answers is waited for: it may have much to do.
    """
    over = threading.Event()

    def watch() -> None:
        # Not `stop.wait`: the event of signals wakes one thread only.
        while not over.wait(LOOK_EVERY_S):
            if stop.is_set() and _is_silent(home):
                cut_connections()

    threading.Thread(target=watch, name="frozen database", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _is_silent(home: Home) -> bool:
    try:
        place = home.control
        return isinstance(place, str) and is_silent(place)
    except (InvalidInput, OSError):  # the address may be half written, or the disk be gone
        return False
