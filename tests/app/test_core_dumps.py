"""Processes with secrets write no core dumps, whatever the shell that started them allows."""

import json
import subprocess
import sys
from pathlib import Path

from in_process import CLAUSEWAY

GATEWAY = (sys.executable, "-m", "clauseway.gateway")


def limit_of(pid: str) -> list[str]:
    """Return the soft and the hard limit of a process's core dumps."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Max core file size")]
    return line.split()[4:6]


def allowing(*command: str) -> list[str]:
    """Return a command as a shell runs it that allows dumps as large as it may."""
    return ["sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"', "sh", *command]


def test_serve_with_its_gateway_and_pages_dumps_nothing(tmp_path: Path) -> None:
    command = allowing(str(CLAUSEWAY), "up", "--limit", "1", "--port", "0", "--json", "--home", str(tmp_path))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            json.JSONDecoder().raw_decode("".join(iter(up.stdout.readline, "}\n")) + "}")
            children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
            limits = [limit_of(pid) for pid in (str(up.pid), *children)]
        finally:
            up.terminate()
    assert limits == [["0", "0"]] * 4  # the command, clouds, gateway, pages


def test_a_follower_dumps_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "follower.secret"
    secret.write_text("ab" * 32)
    secret.chmod(0o600)
    words = ("journal", "follow", "--listen", "127.0.0.1:0", "--secret-file", str(secret))
    command = allowing(str(CLAUSEWAY), *words, "--dir", str(tmp_path / "copies"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        try:
            assert follower.stdout is not None
            assert follower.stdout.readline()
            limits = limit_of(str(follower.pid))
        finally:
            follower.terminate()
    assert limits == ["0", "0"]


def test_a_gateway_that_is_started_alone_dumps_nothing(tmp_path: Path) -> None:
    """Its plan is a pipe: the limit is read once it opens that, and an empty plan ends it."""
    plan = tmp_path / "plan.json"
    subprocess.run(["mkfifo", str(plan)], check=True)
    command = [*GATEWAY, "--plan", str(plan), "--spool", str(tmp_path / "spool"), "--port", "0"]
    with subprocess.Popen(allowing(*command), stderr=subprocess.PIPE, text=True) as gateway:
        with plan.open("w") as written:  # opens once the gateway reads
            limits = limit_of(str(gateway.pid))
            written.write("{}")
        gateway.communicate(timeout=60)
    assert limits == ["0", "0"]
