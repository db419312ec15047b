"""Signals of the operating system as events that a command waits for."""

import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that is set when the process is asked to stop."""
    until = threading.Event()
    set_on(until, signal.SIGINT, signal.SIGTERM)
    return until


def set_on(event: threading.Event, *signals: signal.Signals) -> None:
    """Set the event when one of the signals comes."""
    for number in signals:
        signal.signal(number, lambda *_: event.set())
