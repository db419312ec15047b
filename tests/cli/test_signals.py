"""A command that waits for signals hears them, however many come at once."""

import subprocess
import sys

# The second signal comes in the middle of the first one's handler.
TWO_AT_ONCE = """
import os, signal, sys
from clauseway.cli.signals import stop_on_signals
until, sent = stop_on_signals(), []
def in_the_handler(frame, happening, argument):
    if happening == "call" and frame.f_code.co_name in ("set", "put", "notify_all", "<lambda>") and len(sent) < 5:
        sent.append(os.kill(os.getpid(), signal.SIGTERM))
sys.setprofile(in_the_handler)
os.kill(os.getpid(), signal.SIGTERM)
print(until.wait(), until.wait(0.0), until.is_set(), len(sent) > 1)
"""


def test_signals_that_come_together_are_heard() -> None:
    ended = subprocess.run([sys.executable, "-c", TWO_AT_ONCE], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "True True True True\n"


def test_a_wait_ends_without_a_signal_too() -> None:
    code = "from clauseway.cli.signals import stop_on_signals\nprint(stop_on_signals().wait(0.01))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "False\n"
