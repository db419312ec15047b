"""The program before any command: its version, its help by either name, and completion in a shell."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from in_process import run


def test_the_version_is_that_of_the_package() -> None:
    told = run("--version")
    assert (told.returncode, told.stdout) == (0, f"clauseway {version('clauseway')}\n")


# `clauseway help …` · the same as
HELPS = [
    (("help",), ("--help",)),
    (("help", "decide"), ("decide", "--help")),
    (("help", "budget", "set"), ("budget", "set", "--help")),
]


@pytest.mark.parametrize(("asked", "same"), HELPS)
def test_help_is_a_word_too(asked: tuple[str, ...], same: tuple[str, ...]) -> None:
    told = run(*asked)
    assert told.returncode == 0
    assert told.stdout == run(*same).stdout
    assert told.stdout.startswith("Usage: clauseway")


def test_help_of_a_command_that_is_not_there_is_refused() -> None:
    told = run("help", "decied")
    assert told.returncode == 3
    assert "decide" in told.stderr


# words on the line, the last one unfinished · what a shell is offered
COMPLETIONS = [
    ("clauseway dec", "decide"),
    ("clauseway decide --prod", "--product"),
    ("clauseway budget s", "set"),
    ("clauseway budget set --am", "--amount"),
]


@pytest.mark.parametrize(("line", "offered"), COMPLETIONS)
def test_a_shell_completes_commands_and_flags(line: str, offered: str) -> None:
    words = line.split()
    asked = {"_CLAUSEWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    told = subprocess.run(
        [sys.executable, "-m", "clauseway"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert offered in told.stdout.split()
