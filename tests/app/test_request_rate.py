"""Requests a second: what was collected within a minute decides, not who looks at the screen or how often."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.app.screens.request_rate import RequestRate
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.pages import create_app


@pytest.mark.parametrize(
    ("collected", "per_second"),
    [
        ([], None),
        ([(0, [5])], None),
        ([(0, [5]), (2, [11])], 3),
        ([(0, [0]), (30, [60]), (60, [120])], 2),
        ([(0, [5, 9]), (2, [11, 13])], 5),
        # Requests older than a minute do not count: 60 requests in the 60 s from 2 to 62.
        ([(0, [0]), (2, [1000]), (62, [1060])], 1),
        # A worker that was started again counts from zero, and so does the ring.
        ([(0, [900]), (2, [3]), (4, [13])], 5),
        ([(0, [900, 10]), (2, [3, 1000]), (4, [13, 1000])], 5),
        # One that did not answer in time has served no burst when it does.
        ([(0, [500, 500]), (2, [500]), (4, [500, 520]), (6, [500, 524])], 2),
    ],
)
def test_the_rate_is_that_of_the_last_minute(
    collected: Sequence[tuple[float, Sequence[int]]], per_second: float | None
) -> None:
    rate = RequestRate()
    for at_s, requests in collected:
        rate.collect(at_s, requests)
    assert rate.per_second() == per_second


def test_after_a_gateway_that_was_away_the_rate_begins_anew() -> None:
    rate = RequestRate()
    rate.collect(0, [10])
    rate.forget()
    rate.collect(2, [50])
    assert rate.per_second() is None


@contextmanager
def gateway(path: Path, requests: list[int]) -> Iterator[None]:
    """A control socket that answers with the last of these numbers of requests."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        body = json.dumps({"requests": requests[-1]}).encode()
                        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_it_is_the_same_however_many_look(tmp_path: Path) -> None:
    home, requests = Home(tmp_path / "home").make(), [100]
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    pages = TestClient(create_app(source, hosts=["*"]))
    with gateway(home.gateway_socket, requests):
        asyncio.run(source.collect(at_s=0))
        requests.append(220)
        asyncio.run(source.collect(at_s=60))
        shown = [re.search(r"requests a second</dt><dd>(\S+)", pages.get("/engineer").text) for _ in range(3)]
    assert [match and match[1] for match in shown] == ["2.0"] * 3
