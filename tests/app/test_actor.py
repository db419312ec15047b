"""Who acts: the account of the operating system, whatever the environment says."""

import os
import pwd
import subprocess
import sys

import pytest

ASK = "import os; from clauseway.app.opening.actor import acting; {before}; print(acting())"
NAMELESS = 54_321


def asked(before: str = "pass") -> str:
    environment = {**os.environ, "USER": "mallory", "LOGNAME": "mallory", "SUDO_USER": "mallory"}
    command = [sys.executable, "-c", ASK.format(before=before)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_account_is_the_processs_own_and_not_what_the_environment_claims() -> None:
    assert asked() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.skipif(os.getuid() != 0, reason="only root may take another account")
def test_an_account_without_a_name_is_told_by_its_number() -> None:
    assert asked(f"os.setuid({NAMELESS})") == f"uid {NAMELESS}"
