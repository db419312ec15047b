"""Requests of the vendors' own clients, and those that our cloud modules make of the same calls."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import openai

from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.plan import Auth, Target
from clauseway.metering import Deployment

NOW_S = 1_777_161_600
MESSAGES: list[Any] = [{"role": "user", "content": "Which cloud?"}]

# Every operation as a user of the vendor's client writes it.
OPERATIONS: Mapping[str, Callable[[openai.OpenAI, str], object]] = {
    "chat": lambda client, model: client.chat.completions.create(model=model, messages=MESSAGES),
    "responses": lambda client, model: client.responses.create(model=model, input="Which cloud?"),
    "responses.retrieve": lambda client, _: client.responses.retrieve(
        "resp_1", include=["file_search_call.results", "message.output_text.logprobs"]
    ),
    "responses.delete": lambda client, _: client.responses.delete("resp_1"),
    "responses.cancel": lambda client, _: client.responses.cancel("resp_1"),
    "responses.input_items": lambda client, _: client.responses.input_items.list("resp_1", limit=3, order="asc"),
    "embeddings": lambda client, model: client.embeddings.create(model=model, input="cloud"),
    "images.generations": lambda client, model: client.images.generate(model=model, prompt="a cloud"),
    "images.edits": lambda client, model: client.images.edit(model=model, image=("a.png", b"\x89PNG"), prompt="more"),
    "images.variations": lambda client, model: client.images.create_variation(model=model, image=("a.png", b"\x89PNG")),
    "audio.speech": lambda client, model: client.audio.speech.create(model=model, voice="alloy", input="cloud"),
    "audio.transcriptions": lambda client, model: client.audio.transcriptions.create(
        model=model, file=("a.wav", b"RIFF")
    ),
    "audio.translations": lambda client, model: client.audio.translations.create(model=model, file=("a.wav", b"RIFF")),
    "moderations": lambda client, model: client.moderations.create(model=model, input="cloud"),
    "files.create": lambda client, _: client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch"),
    "files.list": lambda client, _: client.files.list(limit=2, after="file-1/ü +"),
    "files.retrieve": lambda client, _: client.files.retrieve("file-1"),
    "files.delete": lambda client, _: client.files.delete("file-1"),
    "files.content": lambda client, _: client.files.content("file-1"),
    "batches.create": lambda client, _: client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "batches.list": lambda client, _: client.batches.list(limit=2),
    "batches.retrieve": lambda client, _: client.batches.retrieve("batch_1"),
    "batches.cancel": lambda client, _: client.batches.cancel("batch_1"),
    "responses.input_tokens": lambda client, model: client.responses.input_tokens.count(model=model, input="cloud"),
    "responses.compact": lambda client, model: client.responses.compact(model=model, input="cloud"),
    "conversations.create": lambda client, _: client.conversations.create(metadata={"a": "b"}),
    "conversations.retrieve": lambda client, _: client.conversations.retrieve("conv_1"),
    "conversations.update": lambda client, _: client.conversations.update("conv_1", metadata={"a": "c"}),
    "conversations.delete": lambda client, _: client.conversations.delete("conv_1"),
    "conversations.items.create": lambda client, _: client.conversations.items.create(
        "conv_1", items=[{"role": "user", "content": "cloud"}]
    ),
    "conversations.items.list": lambda client, _: client.conversations.items.list("conv_1", limit=2),
    "conversations.items.retrieve": lambda client, _: client.conversations.items.retrieve(
        "msg_1", conversation_id="conv_1"
    ),
    "conversations.items.delete": lambda client, _: client.conversations.items.delete(
        "msg_1", conversation_id="conv_1"
    ),
    "completions": lambda client, model: client.completions.create(model=model, prompt="Which cloud?"),
    "chat.list": lambda client, _: client.chat.completions.list(limit=2, metadata={"a": "b"}),
    "chat.retrieve": lambda client, _: client.chat.completions.retrieve("chatcmpl-1"),
    "chat.messages": lambda client, _: client.chat.completions.messages.list("chatcmpl-1", limit=2),
    "chat.update": lambda client, _: client.chat.completions.update("chatcmpl-1", metadata={"a": "b"}),
    "chat.delete": lambda client, _: client.chat.completions.delete("chatcmpl-1"),
    "models": lambda client, _: client.models.list(),
}


class Sent:
    """A transport that keeps what a client sends and answers nothing of use."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._refuse))

    def _refuse(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        return httpx2.Response(400, json={"error": {"message": "kept"}})

    def by(self, client: openai.OpenAI, operation: str, model: str) -> httpx2.Request:
        """The request that the client sends for the operation."""
        try:
            OPERATIONS[operation](client, model)
        except openai.APIStatusError:
            return self.requests[-1]
        raise AssertionError("a 400 was taken for an answer")


class Head:
    """A head of ours, read as a server reads it."""

    def __init__(self, head: bytes) -> None:
        assert head.endswith(b"\r\n\r\n"), head
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        self.method, self.path, version = first.split(" ")
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}
        assert len(self.headers) == len(pairs), "a header twice"


def plain(sent: Sent) -> openai.OpenAI:
    """A client of ours: it knows the gateway only."""
    return openai.OpenAI(api_key="sk-gateway", base_url="http://gateway/v1", http_client=sent.client, max_retries=0)


def call_for(operation: str, theirs: httpx2.Request) -> Call:
    """The call that the gateway makes of what its client sends for the operation. A multipart boundary is random, so
    it is the one that the vendor's client drew for its own request."""
    sent = Sent()
    ours = sent.by(plain(sent), operation, "some-model")
    path = ours.url.raw_path.removeprefix(b"/v1")
    return Call(ours.method.encode(), path, theirs.headers.get("content-type", "").encode())


def target(dialect: str, url: str, model: str, *, settings: Mapping[str, str] | None = None, **auth: Any) -> Target:
    return Target(
        label=Deployment("d", "cloud", "openai", "region", "p", model),
        dialect=dialect,
        url=url,
        auth=Auth(kind="bearer", **auth),
        input_price=0,
        output_price=0,
        output_tokens_max=1,
        settings=settings or {},
    )


def made(to: Target, credential: Credential, call: Call, body: bytes, passed: bytes = b"", now_s: int = NOW_S) -> Head:
    return Head(DIALECTS[to.dialect].head_writer(to, credential)(call, body, passed, now_s))


def assert_same(ours: Head, theirs: httpx2.Request, *names: str) -> None:
    """Method, target and the named headers, besides those of every request."""
    assert (ours.method, ours.path) == (theirs.method, theirs.url.raw_path.decode())
    for name in ("host", "content-type", "content-length", *names):
        assert ours.headers.get(name) == theirs.headers.get(name), name
    assert ours.headers["accept-encoding"] == "identity", "what is encoded is not read"
