"""The clouds as a process: one line when ready, the next port when one is taken, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from clauseway.sandbox.credentials import OPENAI_API_KEY

COMMAND = [sys.executable, "-m", "clauseway.sandbox"]
CLOUDS = ["openai", "azure", "bedrock", "bedrock_runtime", "vertex", "oracle"]


def all_at(port: int) -> list[str]:
    return [word for cloud in CLOUDS for word in (f"--{cloud.replace('_', '-')}-port", str(port))]


ANY_PORTS = all_at(0)
BODY = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "a"}], "max_tokens": 32, "stream": True}


@contextmanager
def running(
    *arguments: str, pass_fds: tuple[int, ...] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, pass_fds=pass_fds)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        yield process, ready["ports"]
        process.wait(10)
        assert process.stdout.read() == b"", "one line on stdout and nothing else"
    finally:
        process.kill()
        process.wait()


def test_a_taken_port_gives_way_to_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(*all_at(port)) as (process, ports):
            assert list(ports) == CLOUDS
            assert port < ports["openai"]
            assert sorted(ports.values()) == list(ports.values())
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_is_finished_before_it_ends(number: signal.Signals) -> None:
    slow = '{"cloud":"openai","kind":"pace","seconds":0.02}'
    with running(*ANY_PORTS, "--fault", slow) as (process, ports):
        url = f"http://127.0.0.1:{ports['openai']}/v1/chat/completions"
        with httpx.stream("POST", url, json=BODY, headers={"authorization": f"Bearer {OPENAI_API_KEY}"}) as answer:
            parts = answer.iter_raw()
            first = next(parts)
            process.send_signal(number)
            assert (first + b"".join(parts)).endswith(b"data: [DONE]\n\n")
    assert process.returncode == 0


def test_it_ends_with_its_parent() -> None:
    read_end, write_end = os.pipe()
    with running(*ANY_PORTS, "--parent-pipe", str(read_end), pass_fds=(read_end,)) as (process, _):
        os.close(read_end)
        os.close(write_end)
        assert process.wait(10) == 0


BAD_FAULTS = ["{", '{"kind":"drop"}', '{"cloud":"moon","kind":"drop"}', '{"cloud":"azure","kind":"explode"}']


@pytest.mark.parametrize("fault", BAD_FAULTS)
def test_a_bad_fault_is_named_and_nothing_starts(fault: str) -> None:
    ended = subprocess.run([*COMMAND, *ANY_PORTS, "--fault", fault], capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("--fault: ")
    assert "is no fault" in ended.stderr
