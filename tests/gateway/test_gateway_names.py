"""A cloud is reached by its name: over the first of its addresses that answers, whatever other names do."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, MESSAGES, MODEL, PATIENCE_S, Rig
from named_gateway import SILENT

from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings

NAMED = str(Path(__file__).with_name("named_gateway.py"))
AT_ONCE = 12  # more than the threads that an event loop has for names
# Its end is not waited for: a lookup that is given up goes on.
CONNECT_S = 1.0


@contextlib.contextmanager
def silent_address(host: str, port: int) -> Iterator[None]:
    """Nobody accepts there, and the kernel's queue is full: it answers no further connection."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield


def asked(rig: Rig, cloud: str) -> httpx.Response:
    return httpx.post(
        f"{rig.url}/v1/chat/completions",
        json={"model": MODEL, "messages": MESSAGES},
        headers={**AUTHORIZED, "x-clauseway-cloud": cloud},
        timeout=PATIENCE_S,
    )


def started(rig: Rig, *hosts: tuple[str, str], connect_s: float = CONNECT_S) -> None:
    """Start the gateway before one cloud, which is the cloud of each name by its host."""
    port = rig.cloud("azure").port
    targets = [rig.target(name, port, url=f"http://{host}:{port}/v1") for name, host in hosts]
    settings = Settings(limits=Limits(connect_s=connect_s))
    rig.start(rig.plan(targets, settings=settings), launcher=(NAMED,))


# A name, and what its request comes to.
HOSTS = {
    "one.example": (200, ""),
    "silent-first.example": (200, ""),
    "closed-first.example": (200, ""),
    "other-version-first.example": (200, ""),
    "all-closed.example": (502, "could not be reached (Connection refused)"),
    SILENT: (502, "did not accept a connection in time"),
}


@pytest.mark.parametrize("host", HOSTS)
def test_the_first_address_that_answers_is_taken(tmp_path: Path, host: str) -> None:
    status, words = HOSTS[host]
    with Rig(tmp_path) as rig:
        started(rig, ("azure", host))
        with silent_address("127.0.0.2", rig.clouds["azure"].port):
            answer = asked(rig, "azure")
        assert answer.status_code == status
        assert words in answer.text
        assert "never retrieved" not in rig.errors()


def test_a_name_that_no_server_answers_keeps_no_other_cloud_from_being_reached(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig, ThreadPoolExecutor(2 * AT_ONCE) as threads:
        started(rig, ("aws", SILENT), ("azure", "one.example"))
        silent = [threads.submit(asked, rig, "aws") for _ in range(AT_ONCE)]
        assert [answer.result().status_code for answer in silent] == [502] * AT_ONCE
        # Their lookups go on for minutes.
        answers = [threads.submit(asked, rig, "azure") for _ in range(AT_ONCE)]
        assert [answer.result().status_code for answer in answers] == [200] * AT_ONCE
        rig.stop()  # nor do they keep the process
