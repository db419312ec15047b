"""What every cloud's front door does alike: pass a request to the model server, and pass its reply on."""

from collections.abc import Callable, Collection
from typing import Protocol

import msgspec

from clauseway.sandbox import zstandard
from clauseway.sandbox.clouds import model_server
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.surfaces.account import Account
from clauseway.sandbox.wire import Answer, Call, Header, Received, Reply


class Twin(Protocol):
    """A simulated cloud."""

    def answer(self, received: Received) -> Answer:
        """What the cloud would answer."""
        ...

    def outage(self, received: Received, outage: Outage) -> Answer:
        """An outage in the cloud's words."""
        ...

    def endpoint(self, path: str) -> str:
        """What follows the cloud's root, as `/chat/completions`; empty for what is not below it."""
        ...


def ask(
    account: Account, received: Received, path: str, served: Collection[str], model: str = ""
) -> Reply:
    """The model server's reply. Raises Refused, UnknownModel and NoEndpoint."""
    call = Call(
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
) -> Answer:
    """A reply with a cloud's headers. `write` is how the cloud writes JSON."""
    head = ((b"content-type", reply.content_type), *headers)
    return Answer(
        status=200,
        headers=head,
        body=b"" if reply.events else reply.content or write(reply.value),
        events=reply.events,
        tokens=reply.tokens,
    )


def framed(answer: Answer) -> Answer:
    """The same with each event of a stream, or the whole body, as a Zstandard frame of its own."""
    headers = (*answer.headers, (b"content-encoding", b"zstd"))
    events = tuple(map(zstandard.frame, answer.events))
    return msgspec.structs.replace(
        answer, headers=headers, events=events, body=zstandard.frame(answer.body)
    )
