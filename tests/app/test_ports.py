"""Where processes listen: a child listens and says where; a port asked for by name is that one or refused."""

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from awaiting import eventually
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.running import processes
from clauseway.app.running.processes import ChildFailed, on_port, start
from clauseway.app.running.serving import ServeOptions, serving
from clauseway.gateway.transport.listener import USUAL_PORT, Listener
from clauseway.gateway.transport.listening import listen
from clauseway.sandbox import server
from clauseway.values import InvalidInput, listen_problem
from deployments import deployment

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
LOOPBACK = "127.0.0.1"


def test_two_doors_never_share_a_port() -> None:
    """Neither serves yet: each of them only has its port."""
    first = Listener(LOOPBACK, 0)
    try:
        with pytest.raises(InvalidInput, match=f"cannot listen on port {first.port}: address already in use"):
            Listener(LOOPBACK, first.port)
    finally:
        first.close()


def test_a_port_that_nobody_names_gives_way_to_the_next_free_one() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        usual = taken.getsockname()[1]
        with listen(LOOPBACK, None, usual) as listener:
            assert listener.getsockname()[1] > usual
    with listen(LOOPBACK, None, usual) as listener:
        assert listener.getsockname()[1] >= usual


@pytest.mark.parametrize("listening", [listen, server.listen], ids=["gateway", "sandbox"])
@pytest.mark.parametrize(
    ("host", "port", "why", "remedy"),
    [
        ("192.0.2.1", 8400, "cannot assign requested address", "Name another address, one that this machine has."),
        ("2001:db8::1", 8400, "cannot assign requested address", "Name another address, one that this machine has."),
        ("no-such-host.invalid", 8400, "not known", "Name another address or port"),
        (LOOPBACK, None, "address already in use", "Stop what listens there, or name another address or port"),
    ],
    ids=["not of this machine", "not of this machine, IPv6", "no address", "taken"],
)
def test_an_address_that_cannot_be_had_is_told_in_words(
    listening: Callable[[str, int, int], socket.socket], host: str, port: int | None, why: str, remedy: str
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken, pytest.raises(InvalidInput) as refused:
        listening(host, port or taken.getsockname()[1], USUAL_PORT)
    [problem] = refused.value.problems
    assert why in problem.why
    assert "while" not in problem.why
    assert problem.where.startswith(f"[{host}]:" if ":" in host else f"{host}:")
    assert problem.remedy.startswith(remedy)


def test_a_port_that_only_root_may_take_is_told_so() -> None:
    """Nothing listens there that could be stopped."""
    problem = listen_problem("0.0.0.0", 443, PermissionError(errno.EACCES, "Permission denied"))
    assert problem.why == "permission denied"
    assert problem.remedy.startswith("Name another port, 1024 or above")


def test_what_a_child_refuses_reaches_whoever_started_it(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        arguments = [
            "--home",
            str(tmp_path),
            "--gateway-url",
            "http://127.0.0.1/v1",
            "--sample-model",
            "m",
            *on_port(port),
        ]
        with pytest.raises(InvalidInput, match=f"cannot listen on port {port}"):
            start("the pages", "clauseway.app.running.pages_process", arguments, tmp_path / "log")


def test_another_failure_is_told_with_what_the_child_said(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="arguments are required: --home, --gateway-url"):
        start("the pages", "clauseway.app.running.pages_process", [], tmp_path / "log")


def test_a_child_that_got_ready_while_its_parent_worked_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan is compiled meanwhile, which may take longer than all the patience with the child."""
    ready = tmp_path / "ready"
    child = f"import pathlib, time\nprint('{{}}', flush=True)\npathlib.Path({str(ready)!r}).touch()\ntime.sleep(60)\n"
    (tmp_path / "slow_child.py").write_text(child)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(processes, "LOOK_EVERY_S", 0.001)

    def work() -> None:
        while not ready.exists():
            time.sleep(0.01)
        time.sleep(0.3)

    start("a child", "slow_child", [], tmp_path / "log", meanwhile=work).stop()


STUBBORN = """import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({pid!r}).write_text(str(os.getpid()))
print({said!r}, end="", flush=True)
pathlib.Path({pid!r}).with_suffix(".said").touch()
time.sleep(600)
"""


def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> Path:
    """Write a child that hears no signal to leave; return the file of its number."""
    pid = tmp_path / "pid"
    (tmp_path / "stubborn_child.py").write_text(STUBBORN.format(pid=str(pid), said=said))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return pid


def test_a_child_that_does_not_leave_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn(tmp_path, monkeypatch, "{}\n")
    before = os.listdir("/proc/self/fd")
    child = start("a child", "stubborn_child", [], tmp_path / "log")
    assert os.getsid(child.pid) == child.pid, "Ctrl-C reaches its parent alone"
    assert [child.stop(0.05), child.stop(0.05)] == [-signal.SIGKILL] * 2
    assert not child.running
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(
    ("said", "why"),
    [("", "was not ready within"), ("{", "was not ready within"), ("no JSON\n", "instead of that it is ready")],
    ids=["nothing", "half a line", "another word"],
)
def test_a_child_that_does_not_get_ready_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, why: str
) -> None:
    pid = stubborn(tmp_path, monkeypatch, said)
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.2)

    def begun() -> None:
        eventually(pid.with_suffix(".said").exists)

    with pytest.raises(ChildFailed, match=why):
        start("a child", "stubborn_child", [], tmp_path / "log", meanwhile=begun)
    assert not Path("/proc", pid.read_text()).exists()


@pytest.mark.parametrize("flag", ["--port", "--pages-port"])
def test_a_port_asked_for_by_name_that_is_taken_is_refused(tmp_path: Path, flag: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        command = [str(CLAUSEWAY), "up", "--once", "--limit", "1", flag, str(port), "--home", str(tmp_path)]
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 3, refused.stderr
    assert f"127.0.0.1:{port}: cannot listen on port {port}: address already in use." in refused.stderr


def test_a_port_that_the_configuration_names_and_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "clouds.toml").write_text(f"[gateway]\nport = {port}\n" + deployment())
        command = [str(CLAUSEWAY), "serve", "--config", str(tmp_path / "clouds.toml"), "--home", str(tmp_path)]
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 3, refused.stderr
    assert f"127.0.0.1:{port}: cannot listen on port {port}: address already in use." in refused.stderr


@pytest.mark.parametrize("host", ["http://gateway.example", "[::1]", "127.0.0.1:8400", "a b"])
def test_an_address_of_another_form_is_told_by_its_flag(tmp_path: Path, host: str) -> None:
    (tmp_path / "clouds.toml").write_text(deployment())
    chosen = ServeOptions(
        home=Home(tmp_path), opened=open_agreement(), configuration=tmp_path / "clouds.toml", host=host
    )
    with pytest.raises(InvalidInput, match=r"^--host: .* cannot be listened at: it is neither an address nor"):
        serving(chosen, None).__enter__()


def test_nights_that_start_together_keep_to_themselves(tmp_path: Path) -> None:
    """Nobody names a port: each replays into a gateway of its own, which knows its keys."""
    homes = [tmp_path / str(number) for number in range(2)]
    nights = [
        subprocess.Popen(
            [CLAUSEWAY, "up", "--once", "--limit", "60", "--json", "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home in homes
    ]
    ended = [night.communicate() for night in nights]
    assert [night.returncode for night in nights] == [0, 0], [errors for _, errors in ended]
    results = [json.loads(output) for output, _ in ended]
    for result in results:
        assert result["progress"]["done"] == 60
        assert result["progress"]["failed"] == {}


def test_who_had_to_move_says_so(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # where others have it, they may leave before `up` begins
            held.enter_context(socket.create_server((LOOPBACK, USUAL_PORT)))
        command = [str(CLAUSEWAY), "up", "--once", "--limit", "1", "--home", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    moved = f"Gateway http://{LOOPBACK}:{USUAL_PORT}/v1" not in done.stdout
    assert (f"Port {USUAL_PORT} is taken: the gateway listens on 84" in done.stdout) == moved


def test_no_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    """A command line can be read by every user of the machine."""
    command = [str(CLAUSEWAY), "up", "--limit", "1", "--port", "0", "--json", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            printed, _ = json.JSONDecoder().raw_decode("".join(iter(up.stdout.readline, "}\n")) + "}")
            children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
            lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
            page = httpx.get(printed["pages"], timeout=60).text
        finally:
            up.terminate()
    assert len(lines) == 3  # clouds, gateway, pages
    assert printed["key"] in page
    assert [line for line in lines if printed["key"].encode() in line] == []
