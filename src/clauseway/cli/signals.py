"""Signals of the operating system as events that a command waits for."""

import contextlib
import signal
import threading


class SignalEvent(threading.Event):
    """An event that a handler of signals may set at any moment, for one thread that waits.

    `threading.Event` holds a lock while it is set: the handler of a second signal, which runs in
    the middle of the first one's, would wait for it for ever. Here the lock is what is waited for:
    it is held until the event is set.

    A `SimpleQueue` would do, but for its timeout: where another signal's handler is still running
    when the time is over, `get` of CPython 3.11 and 3.12 waits on without end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        with contextlib.suppress(RuntimeError):  # a signal before has released it
            self._asleep.release()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            self._asleep.acquire(timeout=-1 if timeout is None else timeout)
        return self._is_set


def stop_on_signals() -> SignalEvent:
    """Return an event that is set when the process is asked to stop."""
    return set_on(signal.SIGINT, signal.SIGTERM)


def set_on(*signals: signal.Signals) -> SignalEvent:
    """Return an event that is set when one of the signals comes."""
    event = SignalEvent()
    for number in signals:
        signal.signal(number, lambda *_: event.set())
    return event
