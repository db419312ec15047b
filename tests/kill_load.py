"""Clients of an installation whose parts are killed: what they asked, and what they were told."""

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

MODEL = "gpt-5.5"
# Between two requests of a client at most, and after one that was refused.
_PAUSE_S, _REFUSED_S = 0.02, 0.1
_TIMEOUT_S = 60.0
_PATH = "/v1/chat/completions"
# `whole`: to its last byte. `told`: refused, or ended by an error that was said. `broken`: the connection ended first.
Outcome = Literal["whole", "told", "broken", "silent"]


class Got(NamedTuple):
    """A client's answer to one request. `silent`: an answer that ended as if it were whole, and was not.

    `ended_s` is the instant by `time.monotonic`, `port` where it asked.
    """

    tag: str
    customer: str
    outcome: Outcome
    status: int
    request: str = ""
    tokens: tuple[int, int] = (0, 0)
    code: str = ""
    port: int = 0
    ended_s: float = 0.0


class Customer:
    """A customer: a name and the secret of a key."""

    def __init__(self, name: str, secret: str) -> None:
        self.name, self.secret = name, secret


class KillLoad:
    """Clients that ask on and on at ports that may answer. `choose` says as which customer each asks."""

    def __init__(self, ports: list[int], choose: Callable[[random.Random], Customer], clients: int = 5) -> None:
        self.got: list[Got] = []
        self.statuses: Counter[int] = Counter()
        self._ports, self._choose, self._over = ports, choose, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self) -> "KillLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT_S)

    @property
    def whole(self) -> int:
        return self.statuses[200]

    def _ask(self, number: int) -> None:
        chance, serial = random.Random(number), 0
        port, connection = 0, None
        while not self._over.wait(_PAUSE_S * chance.random()):
            serial += 1
            if connection is None or chance.random() < 0.05:
                port = chance.choice(self._ports)
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
            got = self._once(connection, f"t{number}-{serial}", self._choose(chance), chance)
            got = got._replace(port=port, ended_s=time.monotonic())
            self.got.append(got)
            self.statuses[got.status if got.outcome == "whole" or got.status != 200 else 0] += 1
            if got.outcome == "broken":
                connection.close()
                connection = None
            if got.outcome != "whole":
                self._over.wait(_REFUSED_S)

    @staticmethod
    def _once(connection: http.client.HTTPConnection, tag: str, customer: Customer, chance: random.Random) -> Got:
        is_stream, with_usage = chance.random() < 0.5, chance.random() < 0.5
        body: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": "Which cloud is this?"}]}
        body["max_completion_tokens"] = 100
        if is_stream:
            body["stream"] = True
            body |= {"stream_options": {"include_usage": True}} if with_usage else {}
        headers = {"authorization": f"Bearer {customer.secret}", "content-type": "application/json"}
        headers["x-client-request-id"] = tag
        status, request = 0, ""
        try:
            connection.request("POST", _PATH, json.dumps(body), headers)
            answer = connection.getresponse()
            status, request = answer.status, answer.getheader("x-clauseway-request-id") or ""
            said = answer.read()
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(OSError):
                connection.close()
            return Got(tag, customer.name, "broken", status, request)
        if status != 200:
            return Got(tag, customer.name, "told", status, request, code=json.loads(said)["error"]["code"])
        outcome, tokens = _judge(is_stream, said)
        return Got(tag, customer.name, outcome, status, request, tokens)


def _judge(is_stream: bool, said: bytes) -> tuple[Outcome, tuple[int, int]]:
    if not is_stream:
        usage = json.loads(said)["usage"]
        return "whole", (usage["prompt_tokens"], usage["completion_tokens"])
    events = [json.loads(line[6:]) for line in said.split(b"\n") if line.startswith(b"data: {")]
    if any("error" in event for event in events):
        return "told", (0, 0)
    if not said.endswith(b"data: [DONE]\n\n"):
        return "silent", (0, 0)
    usages = [event["usage"] for event in events if event.get("usage")]
    return "whole", (usages[0]["prompt_tokens"], usages[0]["completion_tokens"]) if usages else (0, 0)


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
