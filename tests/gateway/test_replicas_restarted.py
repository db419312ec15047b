"""Two replicas are restarted in turn, their streams under way, as docs/several-machines.md says."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import (
    MESSAGES,
    PATIENCE_S,
    Rig,
)
from one_cloud import HaltingChat, sealed_records
from replicas_rig import MODEL, Replica, replicas_of

from awaiting import eventually
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.several import open_agreements
from clauseway.metering import Status


class Stream(threading.Thread):
    """A stream that a client reads to its end."""

    def __init__(self, replica: Replica, secret: str) -> None:
        super().__init__(daemon=True)
        self.text, self.name = "", ""
        self._url, self._secret = replica.served.gateway_url, secret
        self.start()
        eventually(lambda: self.text)

    def run(self) -> None:
        body = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 9, "stream": True}
        headers = {"authorization": f"Bearer {self._secret}"}
        url = f"{self._url}/chat/completions"
        with httpx.stream("POST", url, json=body, headers=headers, timeout=PATIENCE_S) as answer:
            self.name = answer.headers["x-clauseway-request-id"]
            for text in answer.iter_text():
                self.text += text


class Balanced(threading.Thread):
    """Requests, one after the other, to the machines that a load balancer has in."""

    def __init__(self, replicas: list[Replica], secret: str) -> None:
        super().__init__(daemon=True)
        self.balanced = list(replicas)
        self.answered: dict[str, int] = {}
        self._secret = secret
        self._over = threading.Event()

    def __enter__(self) -> "Balanced":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(PATIENCE_S)

    def take_out(self, replica: Replica) -> None:
        """From now on it gets nothing new; what it was given is answered."""
        self.balanced = [other for other in self.balanced if other is not replica]
        self.goes_on()

    def take_in(self, replica: Replica) -> None:
        self.balanced = [*self.balanced, replica]

    def goes_on(self) -> None:
        """Wait until every machine that is in answered again."""
        aim = len(self.answered) + 2 * len(self.balanced)
        eventually(lambda: len(self.answered) >= aim)

    def run(self) -> None:
        while not self._over.is_set():
            for replica in self.balanced:
                answer = replica.ask(self._secret)
                self.answered[answer.headers["x-clauseway-request-id"]] = answer.status_code


@pytest.fixture
def halting() -> HaltingChat:
    return HaltingChat()


@pytest.fixture
def replicas(tmp_path: Path, halting: HaltingChat) -> Iterator[list[Replica]]:
    with Rig(tmp_path) as rig, replicas_of(tmp_path, rig.cloud("azure", halting).port) as made:
        yield made
        halting.may_go_on.set()


def test_machines_restarted_in_turn_drop_no_stream(replicas: list[Replica], halting: HaltingChat) -> None:
    catalog = open_agreements([]).catalog
    key = create_key(replicas[0].home, catalog, organisation="acme", project="p", seller="openai", segment="any")
    for replica in replicas:
        eventually(lambda replica=replica: replica.ask(key.secret).status_code == 200)  # type: ignore[misc]
    streams: list[Stream] = []
    with Balanced(replicas, key.secret) as balanced:
        for replica in replicas:
            halting.may_go_on.clear()
            opened = [Stream(each, key.secret) for each in replicas]
            streams += opened
            balanced.take_out(replica)
            stopping = threading.Thread(target=replica.stop)
            stopping.start()
            eventually(lambda replica=replica: _refuses(replica))  # type: ignore[misc]
            balanced.goes_on()
            assert stopping.is_alive(), "its stream is under way"
            assert not any("[DONE]" in stream.text for stream in opened)
            halting.may_go_on.set()
            stopping.join(PATIENCE_S)
            assert not stopping.is_alive()
            for stream in opened:
                stream.join(PATIENCE_S)
            replica.serve()
            assert replica.ask(key.secret).status_code == 200
            balanced.take_in(replica)
            balanced.goes_on()
    assert all(stream.text.endswith("data: [DONE]\n\n") for stream in streams)
    assert Counter(balanced.answered.values()).keys() == {200}
    # The lake has each answer once, whichever home sealed it.
    recorded = Counter(sealed_records([replica.home for replica in replicas]))
    names = [*balanced.answered, *(stream.name for stream in streams)]
    assert {recorded[name, Status.COMPLETE] for name in names} == {1}
    assert {status for _, status in recorded} == {Status.COMPLETE}


def _refuses(replica: Replica) -> bool:
    """Return whether the port is closed. Nothing is asked: what is being connected in the moment of closing may get no
    answer."""
    url = httpx.URL(replica.served.gateway_url)
    try:
        socket.create_connection((url.host, url.port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False
