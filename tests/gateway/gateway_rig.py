"""The ground of the gateway's tests: clouds that misbehave on command, and the gateway as the process that it is."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import forked_programs
import httpx
import msgspec
import openai
from forked_programs import ForkedProgram

from clauseway.gateway.plan import Auth, Epoch, Key, Plan, Refusal, Route, Target
from clauseway.gateway.routing.key_digests import digest
from clauseway.metering import Buyer, Deployment, Intent, Ruling, UsageRecord
from clauseway.spool import FrameBatch, positions, read_frames

HASH_KEY = "5a" * 32
SECRET = "sk-test-secret"
OTHER_SECRET = "sk-test-other-seller"
MODEL, NAME_THERE, PRODUCT = "gpt-5.4", "gpt-5.4-2026-03-05", "api.stateless"
MESSAGES: list[Any] = [{"role": "user", "content": "Which cloud is this?"}]
USAGE = {
    "prompt_tokens": 21,
    "completion_tokens": 8,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
# The command itself. Without a launcher a gateway is forked from a process that has loaded it.
GATEWAY = ("-m", "clauseway.gateway")
# Before a lease server, or a source of credentials, that may answer late on a busy machine.
PATIENT_GATEWAY = ("-E", str(Path(__file__).with_name("patient_gateway.py")))
# One that ejects a deployment for a minute.
EJECTING_GATEWAY = ("-E", str(Path(__file__).with_name("ejecting_gateway.py")), "60")
PROBING_GATEWAY = (*EJECTING_GATEWAY[:2], "0")
WORDS = ("Cl", "ou", "ds", " are", " many", ".")
PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure
# The most that one repetition may add once pools are full, and all of them: a gzip bomb that stays is 32 MiB.
GROWTH_MAX_MB, GROWTH_IN_ALL_MAX_MB = 1.0, 8.0


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def chunk_event(choices: list[object], **members: object) -> bytes:
    return b"data: %b\n\n" % compact({"id": "c1", "object": "chat.completion.chunk", "choices": choices, **members})


def content_events(*, with_nulls: bool) -> list[bytes]:
    """The events of a whole answer, as OpenAI sends them: role, words, finish reason."""
    nulls: dict[str, object] = {"usage": None} if with_nulls else {}
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in WORDS]
    deltas += [({}, "stop")]
    return [chunk_event([{"index": 0, "delta": delta, "finish_reason": reason}], **nulls) for delta, reason in deltas]


USAGE_EVENT = chunk_event([], usage=USAGE)
DONE_EVENT = b"data: [DONE]\n\n"
ANSWER = compact(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": NAME_THERE,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(WORDS)}}],
        "usage": USAGE,
    }
)


class Received(msgspec.Struct):
    """A request as a cloud received it."""

    head: bytes
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return None


class Connection:
    """A scripted cloud's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def receive(self) -> Received:
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        (length,) = lengths or [b"content-length: 0"]
        return Received(head, await self.reader.readexactly(int(length.split(b":")[1])))

    def answer(self, status: int, body: bytes, headers: Sequence[str] = ()) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "content-type: application/json", "x-request-id: up-1", *headers]
        lines.append(f"content-length: {len(body)}")
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def begin_stream(self) -> None:
        lines = ("content-type: text/event-stream", "x-request-id: up-1", "transfer-encoding: chunked")
        self.writer.write("\r\n".join(("HTTP/1.1 200 OK", *lines)).encode() + b"\r\n\r\n")

    def piece(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.writer.write(b"0\r\n\r\n")

    def drop(self) -> None:
        self.writer.transport.abort()

    async def apart(self) -> None:
        """Wait until the other side has read what was written, so that it reads alone what comes next."""
        await self.writer.drain()
        ours = self.writer.get_extra_info("sockname"), self.writer.get_extra_info("peername")
        while not self.writer.transport.is_closing() and any(unread(*ours)):
            await asyncio.sleep(0.001)

    async def left(self) -> None:
        """Until the gateway closes the connection."""
        await self.reader.read()


Behaviour = Callable[[Connection, Received], Coroutine[Any, Any, None]]


async def well(connection: Connection, request: Received) -> None:
    """A whole answer, streamed or not, as asked for."""
    asked = request.json
    if not asked.get("stream"):
        connection.answer(200, ANSWER)
        return
    with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    events = content_events(with_nulls=with_usage) + ([USAGE_EVENT] if with_usage else []) + [DONE_EVENT]
    connection.begin_stream()
    for event in events:
        connection.piece(event)
        await connection.writer.drain()
    connection.end_stream()


def status(code: int, *headers: str) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(code, b'{"error":{"message":"as told","code":"scripted"}}', headers)

    return behave


async def drop(connection: Connection, _: Received) -> None:
    """Closes without a byte."""
    connection.drop()


async def stall(connection: Connection, _: Received) -> None:
    """Says nothing until the other side gives up."""
    await connection.left()


async def cut(connection: Connection, request: Received) -> None:
    """Breaks off in the middle: of the JSON, or of the stream after three words."""
    if request.json.get("stream"):
        connection.begin_stream()
        connection.piece(b"".join(content_events(with_nulls=True)[:4]))
    else:
        connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER[:50])
    await connection.writer.drain()
    connection.drop()


class Cloud:
    """A scripted cloud on a port of its own. `behaviour` may be changed at any time."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.behaviour: Behaviour = well
        self.requests: list[Received] = []
        self.connections = 0
        self.left = threading.Event()
        self.loop = loop
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=tls), loop
        ).result(PATIENCE_S)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._server.close)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections += 1
        try:
            while True:
                request = await connection.receive()
                self.requests.append(request)
                await self.behaviour(connection, request)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()


class Rig:
    """Scripted clouds and one gateway process over them. Use as a context."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.spool = home / "spool"
        self.control = home / "control.sock"
        self.clouds: dict[str, Cloud] = {}
        # Those too whose name another has by now.
        self._listening: list[Cloud] = []
        self.port = 0
        # How a gateway is started where nothing else is asked for.
        self.launcher: Sequence[str] = ()
        self.process: subprocess.Popen[bytes] | ForkedProgram | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._held = contextlib.ExitStack()
        # Where nobody listens as long as this rig is there.
        self.closed_port = self._held.enter_context(closed_port())

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for cloud in self._listening:
            cloud.close()
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._held.close()

    def cloud(self, name: str, behaviour: Behaviour = well) -> Cloud:
        cloud = self.clouds[name] = Cloud(name, self._loop)
        cloud.behaviour = behaviour
        self._listening.append(cloud)
        return cloud

    def target(self, cloud: str, port: int, model: str = NAME_THERE, **changes: Any) -> Target:
        label = Deployment(f"{cloud}-1", cloud, "openai", "eastus", PRODUCT, model)
        return Target(
            **{
                "label": label,
                "dialect": "openai",
                "url": f"http://127.0.0.1:{port}/v1",
                "auth": Auth(kind="bearer", secret=f"sk-{cloud}"),
                "input_price": 2_500_000,
                "output_price": 15_000_000,
                "output_tokens_max": 4096,
                **changes,
            }
        )

    def plan(self, targets: Sequence[Target] = (), **changes: Any) -> Plan:
        """Every target permitted, in order, for the one seller; `aws` refused unless it is among them."""
        chosen = tuple(targets) or tuple(self.target(cloud.name, cloud.port) for cloud in self.clouds.values())
        there = {target.label.cloud for target in chosen}
        refusals = () if "aws" in there else (REFUSAL,)
        routes = {
            f"openai|{PRODUCT}|direct": Route(
                candidates=tuple((index, 0) for index in range(len(chosen))), refusals=refusals
            )
        }
        return Plan(
            **{
                "agreement": "test",
                "hash_key": HASH_KEY,
                "models": {MODEL: PRODUCT},
                "targets": chosen,
                "rulings": (Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),),
                "epochs": (Epoch(begin_ns=0, routes=routes),),
                "keys": (key(SECRET, "openai"), key(OTHER_SECRET, "microsoft")),
                **changes,
            }
        )

    def write_plan(self, plan: Plan) -> None:
        """Replaced whole, by rename, as the product does."""
        new = self.home / "plan.new"
        new.write_bytes(msgspec.json.encode(plan))
        new.rename(self.home / "plan.json")

    def start(
        self,
        plan: Plan | None = None,
        *arguments: str,
        launcher: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.write_plan(plan or self.plan())
        command = ["--plan", str(self.home / "plan.json"), "--spool", str(self.spool)]
        command += ["--port", "0", "--control", str(self.control), *arguments]
        with (self.home / "gateway.err").open("ab") as errors:
            self.process = _started(launcher or self.launcher, command, errors, tuple(pass_fds))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors()
        self.ports: dict[str, int] = json.loads(line)["ports"]
        self.port = self.ports["gateway"]

    def megabytes(self) -> float:
        """The memory of the process that is resident now."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def growths(self, repeat: Callable[[], object], most: int) -> list[float]:
        """Repeat until the process grows by at most `GROWTH_MAX_MB`, `most` times at most; return each growth in
        megabytes. The first repetitions fill pools and the list of the latest requests; a leak grows with each.
        """
        growths: list[float] = []
        while len(growths) < most and not (growths and growths[-1] <= GROWTH_MAX_MB):
            megabytes = self.megabytes()
            repeat()
            growths.append(self.megabytes() - megabytes)
        return growths

    def errors(self) -> str:
        return (self.home / "gateway.err").read_text()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.errors()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, secret: str = SECRET) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=secret, max_retries=0, timeout=PATIENCE_S)

    def post(self, stream: bool = False, **members: Any) -> httpx.Response:
        body = {"model": MODEL, "messages": MESSAGES, "stream": stream, **members}
        with httpx.Client(transport=ReadsBroken(), timeout=PATIENCE_S) as client:
            return client.post(f"{self.url}/v1/chat/completions", json=body, headers=AUTHORIZED)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def exchange(self, data: bytes) -> bytes:
        """Send bytes on a fresh connection and read until it is closed."""
        with self.socket() as connection:
            connection.sendall(data)
            return read_all(connection)

    def counts(self) -> dict[str, Any]:
        transport = httpx.HTTPTransport(uds=str(self.control))
        with httpx.Client(transport=transport) as client:
            counts: dict[str, Any] = client.get("http://gateway/counts").json()
            return counts

    def batches(self) -> list[FrameBatch]:
        return [read_frames(self.spool, place.segment, 0, 1 << 40) for place in positions(self.spool)]

    def intents(self) -> list[Intent]:
        return [intent for batch in self.batches() for intent in batch.intents]

    def records(self) -> list[UsageRecord]:
        return [record for batch in self.batches() for record in batch.records]

    def entries(self) -> list[tuple[UsageRecord, Buyer, Deployment, Ruling]]:
        return [entry for batch in self.batches() for entry in batch.entries()]

    def outcomes(self) -> list[tuple[str, str, int]]:
        """(deployment, status, HTTP status) of each attempt, in order."""
        return [(where.deployment, record.status.name, record.http_status) for record, _, where, _ in self.entries()]


def _started(
    launcher: Sequence[str], arguments: Sequence[str], errors: IO[bytes], pass_fds: Sequence[int]
) -> subprocess.Popen[bytes] | ForkedProgram:
    if launcher:
        command = [sys.executable, *launcher, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, pass_fds=pass_fds)
    return forked_programs.start("clauseway.gateway", arguments, errors.fileno(), pass_fds)


REFUSAL = Refusal(
    cloud="aws",
    outcome="forbidden",
    message="A4 clause 3 keeps stateless APIs on Azure (amendment-4.md, line 12).",
    terms=("A4.azure-exclusive",),
    receipt="receipt",
)
AUTHORIZED = {"authorization": f"Bearer {SECRET}"}


def resident_mb(rig: Rig) -> int:
    assert rig.process is not None
    (line,) = [line for line in Path(f"/proc/{rig.process.pid}/status").read_text().splitlines() if "VmRSS" in line]
    return int(line.split()[1]) >> 10


def key(secret: str, seller: str) -> Key:
    hashed = digest(bytes.fromhex(HASH_KEY), secret.encode()).hex()
    return Key(
        digest=hashed, organisation="acme", project="research", key_id=f"key-{seller}", seller=seller, segment="direct"
    )


class ReadsBroken(httpx.HTTPTransport):
    """Reads what came of an answer whose body broke off, in chunks without the last one; httpx raises instead. The
    extension `broken` of such a response is true."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.extensions["broken"] = False
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Broken(response.stream, response.extensions)
        return response


class _Broken(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, extensions: dict[str, Any]) -> None:
        self._stream = stream
        self._extensions = extensions

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except httpx.RemoteProtocolError:
            self._extensions["broken"] = True

    def close(self) -> None:
        self._stream.close()


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def request_bytes(body: bytes, *headers: str, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {SECRET}", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}"]).encode() + b"\r\n\r\n" + body


def chat_body(**members: object) -> bytes:
    return compact({"model": MODEL, "messages": MESSAGES, **members})


async def _cancel_all() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)


def unread(ours: tuple[str, int], theirs: tuple[str, int]) -> tuple[int, int]:
    """Return how many bytes the kernel holds between two ends: not yet sent, not yet read by them."""
    names = [f"{socket.ntohl(int.from_bytes(socket.inet_aton(host))):08X}:{port:04X}" for host, port in (ours, theirs)]
    sent = received = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if [local, remote] == names:
            sent = int(queues.partition(":")[0], 16)
        elif [remote, local] == names:
            received = int(queues.partition(":")[2], 16)
    return sent, received


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else can meanwhile: it is bound, and connections to it are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port


@contextlib.contextmanager
def parent_pipe() -> Iterator[tuple[int, Callable[[], None]]]:
    """The pipe of a parent: the child's end, and what happens when the parent dies."""
    child, parent = os.pipe()
    try:
        yield child, lambda: os.close(parent)
    finally:
        os.close(child)
