"""Whoever breaks a command off sees no traceback, at whatever moment: Ctrl-C ends it as it ends any program."""

import fcntl
import mmap
import os
import signal
import subprocess
import sys

import pytest

# A module of the program | what of the program is loaded once it is
LOADED = [("clauseway.values.money", "the core"), ("clauseway.app.opening.home", "half of it")]


def _heed_interrupts() -> None:
    """A shell starts what runs in the background so that it ignores them, and so does all that this starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("module", [module for module, _ in LOADED], ids=[part for _, part in LOADED])
def test_a_command_is_broken_off_while_it_loads(module: str) -> None:
    """It tells of each module that it has loaded, into a pipe so short that it waits for the reader: it cannot end
    before it is broken off."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
    command = [sys.executable, "-X", "importtime", "-m", "clauseway", "--version"]
    with (
        os.fdopen(ours, "rb", buffering=0) as pipe,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, preexec_fn=_heed_interrupts) as process,
    ):
        os.close(theirs)
        assert any(line.rstrip().endswith(module.encode()) for line in iter(pipe.readline, b""))
        process.send_signal(signal.SIGINT)
        said = pipe.read()
    assert b"Traceback" not in said
    assert process.returncode == -signal.SIGINT
