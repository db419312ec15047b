"""`clauseway`, and `python -m clauseway`: loads the commands, and runs one.

Signals are set before the commands are loaded, which takes a part of a second.
"""

import signal
import sys

from clauseway.start import load


def main() -> None:
    """Run the command of the command line and exit with its code."""
    if sys.argv[1:2] == ["serve"]:
        _ignore_early_signals()
    # A shell may have it ignored, as for a command in the background.
    heeds_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends the process without a traceback
    run = load("clauseway.cli").main
    if heeds_interrupt:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _ignore_early_signals() -> None:
    """Ignore until `serve` heeds them the signals that would end it, and that ask for what it is about
    to do: to read everything, and to start its processes."""
    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
