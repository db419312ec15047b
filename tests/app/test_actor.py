"""The actor is the account that logged in, or the process's own, whatever the environment says."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from clauseway.storage.control import actor

ASK = """
import os
from pathlib import Path
from clauseway.storage.control import actor
actor.LOGIN_ACCOUNT = Path({file!r})
{before}
print(actor.acting())
"""
NAMELESS = 54_321
# The kernel writes this number for a process that nobody's login began.
NO_LOGIN = "4294967295"


def asked(login: Path, before: str = "") -> str:
    environment = {**os.environ, "USER": "mallory", "LOGNAME": "mallory", "SUDO_USER": "mallory"}
    command = [sys.executable, "-c", ASK.format(file=str(login), before=before)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("text", [NO_LOGIN, "", None])
def test_without_a_login_the_account_is_the_processs_own(tmp_path: Path, text: str | None) -> None:
    login = tmp_path / "loginuid"
    if text is not None:
        login.write_text(text)
    assert asked(login) == pwd.getpwuid(os.getuid()).pw_name


def test_who_logged_in_stays_who_they_are_under_another_account(tmp_path: Path) -> None:
    login = tmp_path / "loginuid"
    login.write_text("1")
    assert asked(login) == pwd.getpwuid(1).pw_name
    login.write_text(str(NAMELESS))
    assert asked(login) == f"uid {NAMELESS}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may take another account")
def test_an_account_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    assert asked(tmp_path / "none", f"os.setuid({NAMELESS})") == f"uid {NAMELESS}"


@pytest.mark.skipif(not Path("/proc/self/loginuid").exists(), reason="this system keeps no login")
def test_the_kernel_tells_who_logged_in() -> None:
    held = int(actor.LOGIN_ACCOUNT.read_text())
    account = os.getuid() if str(held) == NO_LOGIN else held
    assert actor.acting() in (f"uid {account}", *(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == account))
