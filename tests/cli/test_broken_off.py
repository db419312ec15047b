"""Whoever breaks a command off sees no traceback, at whatever moment: Ctrl-C ends it as it ends any program."""

import signal
import subprocess
import sys

import pytest

# A module of the program | what of the program is loaded once it is
LOADED = [("clauseway.values.money", "the core"), ("clauseway.app.opening.home", "half of it")]


@pytest.mark.parametrize("module", [module for module, _ in LOADED], ids=[part for _, part in LOADED])
def test_a_command_is_broken_off_while_it_loads(module: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "clauseway", "--version"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not next(process.stderr).rstrip().endswith(module):
            pass
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert "Traceback" not in said
    assert process.returncode == -signal.SIGINT
