"""The parts that all fake clouds share: ask the model server, and make its reply an HTTP answer."""

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from clauseway.sandbox import zstandard
from clauseway.sandbox.clouds import model_server
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.wire import Header, HttpAnswer, ModelCall, Received, Reply


class FakeCloud(Protocol):
    """A simulated cloud."""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the cloud's answer."""
        ...

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in the cloud's words."""
        ...

    def endpoint(self, path: str) -> str:
        """Return the path below the cloud's root, as `/chat/completions`; empty for a path
        outside it."""
        ...


def ask(
    account: CloudAccount, received: Received, path: str, served: Collection[str], model: str = ""
) -> Reply:
    """Return the model server's reply. Raise FormatRefusal, UnknownModel and NoEndpoint."""
    call = ModelCall(
        method=received.method,
        path=path,
        query=received.query,
        content_type=received.header(b"content-type"),
        body=received.body,
        now_s=received.now_s,
        serial=received.serial,
        model=model,
    )
    return model_server.answer(account, call, served)


def answer_of(
    reply: Reply, headers: tuple[Header, ...], write: Callable[[object], bytes]
) -> HttpAnswer:
    """Return a reply with a cloud's headers. `write` is how the cloud writes JSON."""
    head = ((b"content-type", reply.content_type), *headers)
    return HttpAnswer(
        status=200,
        headers=head,
        body=b"" if reply.events else reply.content or write(reply.value),
        events=reply.events,
        tokens=reply.tokens,
    )


def framed(answer: HttpAnswer) -> HttpAnswer:
    """Return an answer with each event of its stream, or its whole body, as a Zstandard frame of
    its own."""
    headers = (*answer.headers, (b"content-encoding", b"zstd"))
    events = tuple(map(zstandard.frame, answer.events))
    return msgspec.structs.replace(
        answer, headers=headers, events=events, body=zstandard.frame(answer.body)
    )
