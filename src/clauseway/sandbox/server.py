"""The sandbox's sockets: one process, one port per cloud, uvicorn's HTTP on uvloop.

A twin decides what to answer; this module receives, counts, breaks what a fault says to break, and sends. Beside the
cloud's own paths every port has the sandbox's administration: `GET /sandbox/counts` (all clouds), `GET`, `POST` and
`DELETE /sandbox/faults` (this cloud).
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clauseway.sandbox import azure_v1, bedrock_mantle, openai_direct
from clauseway.sandbox.faults import Fault, Faults
from clauseway.sandbox.wire import Answer, Received
from clauseway.values import InvalidInput, Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[MutableMapping[str, Any]], Any]

# What may still be answered after a stop was asked for; a stalled answer must not hold the process longer.
_DRAIN_S_MAX = 5
# Ports tried after a busy one; the default ports are neighbours, so the next one may be taken by a sibling.
_PORTS_TRIED_MAX = 100


class Twin(msgspec.Struct, frozen=True):
    """A cloud's behaviour: what it answers, how it words an outage, and which paths its faults hit."""

    answer: Callable[[Received], Answer]
    fault: Callable[[Received, int], Answer]
    is_chat: Callable[[str], bool]


TWINS: Final[Mapping[str, Twin]] = {
    "openai": Twin(openai_direct.answer, openai_direct.fault, openai_direct.CHAT_PATHS.__contains__),
    "azure": Twin(azure_v1.answer, azure_v1.fault, azure_v1.is_chat),
    "bedrock": Twin(bedrock_mantle.answer, bedrock_mantle.fault, bedrock_mantle.CHAT_PATHS.__contains__),
}


class Counts(msgspec.Struct):
    """What a cloud saw and did with requests for chat completions.

    attempts = answered + refused + faulted + abandoned + those still open. `answered` were sent whole with status 200,
    and the tokens are theirs alone; `refused` are the cloud's own errors; `faulted` ended by a fault; `abandoned` were
    left by the client before the end.
    """

    attempts: int = 0
    answered: int = 0
    refused: int = 0
    faulted: int = 0
    abandoned: int = 0
    streams: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, showing the connection to the application: a fault must be able to break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.transport": self.transport}  # type: ignore[dict-item]


class _Server(uvicorn.Server):
    """One of several servers in a loop: signals are the process's, and being ready is an event."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class CloudApplication:
    """One cloud's ASGI application."""

    def __init__(self, name: str, twin: Twin, serials: Callable[[], str], counts: Mapping[str, Counts]) -> None:
        self._twin = twin
        self._serials = serials
        self._all_counts = counts
        self._counts = counts[name]
        self.faults = Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        if scope["path"].startswith("/sandbox/"):
            await _send_json(send, *self._administer(scope["method"], scope["path"], body))
            return
        received = Received(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers=scope["headers"],
            body=body,
            now_s=time.time(),
            serial=self._serials(),
        )
        transport = scope["extensions"]["sandbox.transport"]
        if self._twin.is_chat(received.path):
            await self._answer_chat(received, transport, receive, send)
        else:
            await _send_answer(self._twin.answer(received), None, transport, send)

    async def _answer_chat(
        self, received: Received, transport: asyncio.Transport, receive: Receive, send: Send
    ) -> None:
        counts = self._counts
        counts.attempts += 1
        fault = self.faults.take()
        if fault is not None and fault.kind in ("status", "drop"):
            counts.faulted += 1
            if fault.kind == "drop":
                await _break(transport, receive)
            else:
                answer = _with_retry_after(self._twin.fault(received, fault.status), fault.retry_after_ms)
                await _send_answer(answer, None, transport, send)
            return
        answer = self._twin.answer(received)
        if answer.status != 200:
            counts.refused += 1
            await _send_answer(answer, None, transport, send)
            return
        counts.streams += bool(answer.events)
        whole = await _send_answer(answer, fault, transport, send)
        if transport.is_closing():
            counts.abandoned += 1
            await _break(transport, receive)
        elif not whole:
            counts.faulted += 1
            await _break(transport, receive)
        else:
            counts.answered += 1
            counts.prompt_tokens += answer.prompt_tokens
            counts.completion_tokens += answer.completion_tokens

    def _administer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        if (method, path) == ("GET", "/sandbox/counts"):
            return 200, self._all_counts
        if path == "/sandbox/faults" and method in ("GET", "POST", "DELETE"):
            if method == "DELETE":
                self.faults.clear()
            if method == "POST":
                try:
                    rules = msgspec.json.decode(body, type=Fault | list[Fault])
                except msgspec.DecodeError as error:
                    return 400, {"error": {"message": f"No rule was set: {error}.", "type": "invalid_request_error"}}
                for rule in rules if isinstance(rules, list) else [rules]:
                    self.faults.add(rule)
            return 200, self.faults.pending()
        return 404, {"error": {"message": f"The sandbox has no {method} {path}.", "type": "invalid_request_error"}}


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None when the client left before its end."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    return None


async def _send_answer(answer: Answer, fault: Fault | None, transport: asyncio.Transport, send: Send) -> bool:
    """Send it, with what a fault does to it. False when it was cut short, by the fault or because the client left."""
    if fault is not None and fault.kind == "stall" and not (answer.events and fault.events):
        await asyncio.sleep(fault.seconds)
    headers = list(answer.headers)
    if not answer.events:
        headers.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if fault is not None and fault.kind == "cut-after-events":
            await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
            return False
        await send({"type": "http.response.body", "body": answer.body})
        return True
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for number, event in enumerate(answer.events):
        if fault is not None:
            if fault.kind == "cut-after-events" and number == fault.events:
                return False
            if fault.kind == "pace" or (fault.kind == "stall" and fault.events and number == fault.events):
                await asyncio.sleep(fault.seconds)
        if transport.is_closing():
            return False
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return True


async def _send_json(send: Send, status: int, body: object) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


async def _break(transport: asyncio.Transport, receive: Receive) -> None:
    """Close the connection as a failing cloud does, and wait until it is: the server then has nothing left to say."""
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


def _with_retry_after(answer: Answer, retry_after_ms: int) -> Answer:
    if not retry_after_ms:
        return answer
    seconds = -(-retry_after_ms // 1000)
    told = ((b"retry-after-ms", b"%d" % retry_after_ms), (b"retry-after", b"%d" % seconds))
    return msgspec.structs.replace(answer, headers=(*answer.headers, *told))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket at `port`, or at the next free one above it. Port 0 takes any."""
    for candidate in range(port, port + _PORTS_TRIED_MAX) if port else (0,):
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(4096)
        except OSError:
            listener.close()
            continue
        listener.setblocking(False)
        return listener
    raise InvalidInput(
        Problem(
            what=f"no port to listen on at {host}",
            why=f"{port} and the {_PORTS_TRIED_MAX - 1} ports after it are taken or not allowed",
            where=f"--host {host}, port {port}",
            todo="Name another port, or 0 for any free one.",
        )
    )


def _serials() -> Callable[[], str]:
    """32 hex digits per request: 16 drawn at the start of the process, then a count."""
    boot = secrets.token_hex(8)
    numbers = itertools.count(1)
    return lambda: f"{boot}{next(numbers):016x}"


async def serve(
    host: str,
    ports: Mapping[str, int],
    faults: Iterable[tuple[str, Fault]],
    on_ready: Callable[[Mapping[str, int]], None],
    stop: asyncio.Event,
) -> None:
    """Serve every cloud of `ports` until `stop` is set, then drain. `on_ready` gets the ports actually used."""
    listeners = {name: bind(host, port) for name, port in ports.items()}
    counts = {name: Counts() for name in ports}
    serials = _serials()
    applications = {name: CloudApplication(name, TWINS[name], serials, counts) for name in ports}
    for name, fault in faults:
        applications[name].faults.add(fault)
    servers = {name: _Server(_config(application)) for name, application in applications.items()}
    tasks = [asyncio.create_task(server.serve(sockets=[listeners[name]])) for name, server in servers.items()]
    for server in servers.values():
        await server.ready.wait()
    on_ready({name: listener.getsockname()[1] for name, listener in listeners.items()})
    await stop.wait()
    for server in servers.values():
        server.should_exit = True
    await asyncio.gather(*tasks)


def _config(application: CloudApplication) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than any client's pool keeps an idle connection: the client closes first
        timeout_graceful_shutdown=_DRAIN_S_MAX,
    )


def stop_when_parent_ends(parent_pipe: int, stop: asyncio.Event) -> None:
    """Set `stop` once the other end of the pipe is closed, however the parent ended."""
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        if not os.read(parent_pipe, 4096):
            loop.remove_reader(parent_pipe)
            stop.set()

    loop.add_reader(parent_pipe, on_readable)
