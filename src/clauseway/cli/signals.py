"""Signals of the operating system as events that a command waits for."""

import contextlib
import queue
import signal
import threading


class SignalEvent(threading.Event):
    """An event that a handler of signals may set at any moment, for one thread that waits.

    `threading.Event` holds a lock while it is set: the handler of a second signal, which runs in
    the middle of the first one's, would wait for it for ever. A `SimpleQueue` has no such lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._wakes.put(None)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=timeout)
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
