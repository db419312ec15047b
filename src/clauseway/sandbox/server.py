"""The sandbox's sockets: one process, one port per cloud, uvicorn's HTTP on uvloop.

A fake cloud decides what to answer; this module receives, counts, plays faults, and sends. Beside
the cloud's own paths every port has the sandbox's administration: `GET /sandbox/counts` (all
clouds), `GET` and `DELETE /sandbox/attempts` (all clouds, the latest 10,000), `GET`, `POST` and
`DELETE /sandbox/faults` (this cloud).
"""

import asyncio
import contextlib
import errno
import itertools
import os
import re
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.clouds.fake_cloud import framed
from clauseway.sandbox.clouds.model_server import GENERATING
from clauseway.sandbox.faults import Break, Fault, Faults, Outage, Pause, play
from clauseway.sandbox.surfaces import aws_frames
from clauseway.sandbox.wire import HttpAnswer, Received, event
from clauseway.values import InvalidInput, listen_problem

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[MutableMapping[str, Any]], Any]

# The time for open answers after a stop; a stalled answer must not hold the process longer.
_DRAIN_S_MAX = 5
USUAL_PORTS: Final[Mapping[str, int]] = {
    name: kind.usual_port for name, kind in FAKE_CLOUDS.items()
}
# Ports tried from the usual one on; the usual ports are neighbours, so the next one may be taken by
# a sibling.
_PORTS_TRIED_MAX = 100
# The most attempts that are kept, of all clouds together; a long run must not fill the memory.
_ATTEMPTS_MAX = 10_000
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class FakeCloudCounts(msgspec.Struct):
    """A cloud's counts of the requests at which a model works.

    attempts = answered + refused + faulted + abandoned + open attempts. `answered` were sent
    whole with status 200; their tokens are counted, and the tokens of responses and batches that a
    poll finished. `refused` are the cloud's own errors, `faulted` ended by a fault, and of
    `abandoned` the client left before the end.
    """

    attempts: int = 0
    answered: int = 0
    refused: int = 0
    faulted: int = 0
    abandoned: int = 0
    streams: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Tls(msgspec.Struct, frozen=True):
    """PEM files."""

    certificate: Path
    key: Path


class SeenRequest(msgspec.Struct):
    """A request that a cloud received. `serial` is part of the request id in its answer;
    `outcome` is as in `FakeCloudCounts`, or `open`."""

    cloud: str
    method: str
    path: str
    endpoint: str
    serial: str
    client_request_id: str
    received_s: float
    status: int = 0
    outcome: str = "open"
    tokens: tuple[int, int] = (0, 0)


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, showing the connection to the application: a fault must be able to
    break it. `Upgrade` is ignored (RFC 9110, 7.8); the parser would stop before the body."""

    _in_message = False

    def data_received(self, data: bytes) -> None:
        if not self._in_message:
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = True
        self.scope["extensions"] = {"sandbox.transport": self.transport}  # type: ignore[dict-item]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = False


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

    def __init__(
        self,
        name: str,
        serials: Callable[[], str],
        counts: Mapping[str, FakeCloudCounts],
        attempts: deque[SeenRequest],
    ) -> None:
        self._name = name
        self._cloud = FAKE_CLOUDS[name].create()
        self._serials = serials
        self._all_counts = counts
        self._counts = counts[name]
        self._attempts = attempts
        self.faults = Faults()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        # The sandbox's own paths: faults, counts, attempts.
        if scope["path"].startswith("/sandbox/"):
            await _send_json(send, *self._administer(scope["method"], scope["path"], body))
            return
        received = Received(
            method=scope["method"],
            scheme=scope["scheme"],
            path=scope["path"],
            raw_path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=scope["headers"],
            body=body,
            now_s=time.time(),
            serial=self._serials(),
        )
        endpoint = self._cloud.endpoint(received.path)
        attempt = SeenRequest(
            cloud=self._name,
            method=received.method,
            path=received.path,
            endpoint=endpoint,
            serial=received.serial,
            client_request_id=received.header(b"x-client-request-id"),
            received_s=received.now_s,
        )
        self._attempts.append(attempt)
        generating = endpoint in GENERATING
        try:
            fault = self._fault(received, endpoint, generating)
        except msgspec.DecodeError as error:
            await _send_json(send, 400, _not_set(error))
            return
        connection = _Connection(scope["extensions"]["sandbox.transport"], receive, send)
        self._counts.attempts += generating
        await self._answer(received, attempt, fault, connection)

    def _fault(self, received: Received, endpoint: str, generating: bool) -> Fault | None:
        header = received.header(b"x-sandbox-fault")
        if header:
            return msgspec.json.decode(header, type=Fault)
        return self.faults.take(endpoint, generating)

    async def _answer(
        self,
        received: Received,
        attempt: SeenRequest,
        fault: Fault | None,
        connection: "_Connection",
    ) -> None:
        if fault is not None and fault.kind in _INSTEAD:
            answer = self._instead(received, fault)
            self._count(attempt, "faulted", answer.status if answer else 0)
            await (
                connection.send(answer, None, b"")
                if answer
                else connection.fail(_NO_HTTP[fault.kind])
            )
            return
        # The cloud judges the request; a fault hits only an answer that it would have given.
        answer = self._cloud.answer(received)
        attempt.tokens = answer.tokens
        if answer.status != 200:
            self._count(attempt, "refused", answer.status)
            await connection.send(answer, None, b"")
            return
        self._counts.streams += bool(answer.events) and attempt.endpoint in GENERATING
        if fault is not None and fault.kind == "wrong-length":
            self._count(attempt, "faulted", 200)
            await connection.fail(_with_wrong_length(answer, fault.bytes))
            return
        if fault is not None and fault.kind == "error-event" and not answer.events:
            self._count(attempt, "faulted", 500)
            await connection.send(self._cloud.outage(received, Outage(500)), None, b"")
            return
        if fault is not None and fault.kind == "zstd-frames":
            answer = framed(answer)
        # Faults within a body are played while it is sent.
        in_frames = (b"content-type", aws_frames.CONTENT_TYPE) in answer.headers
        error = _error_event(attempt.endpoint, fault, in_frames=in_frames)
        whole = await connection.send(answer, fault, error)
        event = "answered" if whole and not error else "faulted"
        self._count(attempt, "abandoned" if connection.left else event, 200)
        if not whole:
            await connection.fail(b"")

    def _count(self, attempt: SeenRequest, outcome: str, status: int) -> None:
        attempt.outcome, attempt.status = outcome, status
        counts = self._counts
        if attempt.endpoint in GENERATING:
            setattr(counts, outcome, getattr(counts, outcome) + 1)
        if outcome == "answered":
            counts.prompt_tokens += attempt.tokens[0]
            counts.completion_tokens += attempt.tokens[1]

    def _instead(self, received: Received, fault: Fault) -> HttpAnswer | None:
        """Return a fault's HTTP answer; None for a fault that is not HTTP."""
        match fault.kind:
            case "status":
                return _with_retry_after(
                    self._cloud.outage(received, fault.outage), fault.retry_after_ms
                )
            case "redirect":
                here = f"{received.scheme}://{received.header(b'host')}{received.raw_path}"
                location = (fault.location or here).encode("latin-1")
                return HttpAnswer(status=fault.outage.status, headers=((b"location", location),))
        return None

    def _administer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        if (method, path) == ("GET", "/sandbox/counts"):
            return 200, self._all_counts
        if path == "/sandbox/attempts" and method in ("GET", "DELETE"):
            if method == "DELETE":
                self._attempts.clear()
            return 200, list(self._attempts)
        if path == "/sandbox/faults" and method in ("GET", "POST", "DELETE"):
            if method == "DELETE":
                self.faults.clear()
            if method == "POST":
                try:
                    rules = msgspec.json.decode(body, type=Fault | list[Fault])
                except msgspec.DecodeError as error:
                    return 400, _not_set(error)
                for rule in rules if isinstance(rules, list) else [rules]:
                    self.faults.add(rule)
            return 200, self.faults.pending()
        return 404, {
            "error": {
                "message": f"The sandbox has no {method} {path}.",
                "type": "invalid_request_error",
            }
        }


def _not_set(error: Exception) -> dict[str, object]:
    return {"error": {"message": f"No rule was set: {error}.", "type": "invalid_request_error"}}


class _Connection:
    """The way back to the client, which a fault may break."""

    def __init__(self, transport: asyncio.Transport, receive: Receive, send: Send) -> None:
        self._transport = transport
        self._receive = receive
        self._send = send
        self.left = False

    async def send(self, answer: HttpAnswer, fault: Fault | None, error: bytes) -> bool:
        """Send an answer with its fault. Return False if the fault or the client cut it short."""
        if fault is not None and fault.kind == "stall" and not (answer.events and fault.events):
            await self._pause(fault.seconds)
            fault = None
        headers, streamed = list(answer.headers), bool(answer.events)
        if not streamed:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await self._send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        for step in play(answer.events if streamed else (answer.body,), streamed, fault, error):
            if isinstance(step, Break):
                return False
            if isinstance(step, Pause):
                await self._pause(step.seconds)
                continue
            if self._transport.is_closing():
                self.left = True
                return False
            await self._send({"type": "http.response.body", "body": step, "more_body": True})
        # Ask before the end: after it a client may rightly close the connection.
        self.left = self._transport.is_closing()
        await self._send({"type": "http.response.body", "body": b""})
        return not self.left

    async def _pause(self, seconds: float) -> None:
        """Wait so long; end the wait when the client leaves, as a real cloud ends its work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._disconnected()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def fail(self, last_words: bytes) -> None:
        """Close the connection as a failing cloud does, and wait until it is closed."""
        if last_words:
            self._transport.write(last_words)
        self._transport.close()
        await self._disconnected()


# Faults that take the place of the cloud's answer.
_INSTEAD: Final = frozenset({"status", "redirect", "drop", "garbage"})
_NO_HTTP: Final = {
    "drop": b"",
    # Begins like a record of TLS, as from a port that speaks it.
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00 this is no HTTP \xff\xfe\r\n\r\n",
}


def _error_event(endpoint: str, fault: Fault | None, *, in_frames: bool) -> bytes:
    """Return the error event in the form of the endpoint's streams; with `in_frames` an exception
    of AWS."""
    if fault is None or fault.kind != "error-event":
        return b""
    code = fault.family or "server_error"
    message = "The server had an error while processing your request. Sorry about that!"
    if in_frames:
        overloaded = code == "server_is_overloaded"
        name = "serviceUnavailableException" if overloaded else "modelStreamErrorException"
        return aws_frames.exception_frame(name, message)
    # Responses send typed events with a sequence number, messages Anthropic's; all others an
    # object `error`.
    if endpoint.startswith("/messages"):
        kind = "overloaded_error" if code == "server_is_overloaded" else "api_error"
        return event({"type": "error", "error": {"type": kind, "message": message}}, "error")
    if endpoint.startswith("/responses"):
        said = {
            "type": "error",
            "sequence_number": fault.events,
            "code": code,
            "message": message,
            "param": None,
        }
        return event(said, "error")
    return event(
        {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
    )


def _with_wrong_length(answer: HttpAnswer, excess: int) -> bytes:
    """Return a whole answer as bytes, whose stated length is `excess` more than its body."""
    body = b"".join(answer.events) or answer.body
    headers = [*answer.headers, (b"content-length", b"%d" % (len(body) + excess))]
    return (
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"%s: %s\r\n" % header for header in headers)
        + b"\r\n"
        + body
    )


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when the client left before its end."""
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


async def _send_json(send: Send, status: int, body: object) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


def _with_retry_after(answer: HttpAnswer, retry_after_ms: int) -> HttpAnswer:
    if not retry_after_ms:
        return answer
    seconds = -(-retry_after_ms // 1000)
    hints = ((b"retry-after-ms", b"%d" % retry_after_ms), (b"retry-after", b"%d" % seconds))
    return msgspec.structs.replace(answer, headers=(*answer.headers, *hints))


def listen(host: str, port: int | None, usual: int) -> socket.socket:
    """Return a socket that listens at `port` (0: any free port; None: the usual port, or the next
    free port above it). Raise InvalidInput if the address cannot be used."""
    candidates = range(usual, usual + _PORTS_TRIED_MAX) if port is None else (port,)
    for candidate in candidates:
        try:
            # Bind and listen at once: two processes can bind one port, but not listen at it.
            listener = socket.create_server((host, candidate), family=_family(host), backlog=4096)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == candidates[-1]:
                raise InvalidInput(listen_problem(host, candidate, error)) from None
            continue
        listener.setblocking(False)
        return listener
    raise AssertionError("at least one port is tried")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _serials() -> Callable[[], str]:
    """32 hex digits per request: 16 drawn at the start of the process, then a count."""
    boot = secrets.token_hex(8)
    numbers = itertools.count(1)
    return lambda: f"{boot}{next(numbers):016x}"


async def serve(
    host: str,
    ports: Mapping[str, int | None],
    faults: Iterable[tuple[str, Fault]],
    on_ready: Callable[[Mapping[str, int]], None],
    stop: asyncio.Event,
    tls: Tls | None = None,
) -> None:
    """Serve every cloud of `ports` until `stop` is set, then drain.

    `on_ready` gets the ports in use (for a port of None see `listen`). With `tls` the clouds speak
    https, because some of the vendors' clients insist on it.
    """
    listeners = {name: listen(host, port, USUAL_PORTS[name]) for name, port in ports.items()}
    counts = {name: FakeCloudCounts() for name in ports}
    serials = _serials()
    attempts: deque[SeenRequest] = deque(maxlen=_ATTEMPTS_MAX)
    applications = {name: CloudApplication(name, serials, counts, attempts) for name in ports}
    for name, fault in faults:
        applications[name].faults.add(fault)
    servers = {
        name: _Server(_config(application, tls)) for name, application in applications.items()
    }
    tasks = [
        asyncio.create_task(server.serve(sockets=[listeners[name]]))
        for name, server in servers.items()
    ]
    # Ready only when every port answers: a caller that read the line may use any of them.
    for server in servers.values():
        await server.ready.wait()
    on_ready({name: listener.getsockname()[1] for name, listener in listeners.items()})
    await stop.wait()
    for server in servers.values():
        server.should_exit = True
    await asyncio.gather(*tasks)


def _config(application: CloudApplication, tls: Tls | None) -> uvicorn.Config:
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
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
    )


def stop_when_parent_ends(parent_pipe: int, stop: asyncio.Event) -> None:
    """Set `stop` once the other end of the pipe is closed, however the parent ended."""
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        if not os.read(parent_pipe, 4096):
            loop.remove_reader(parent_pipe)
            stop.set()

    loop.add_reader(parent_pipe, on_readable)
