"""A journal with a copy, for tests: the real writer, a real follower at a socket, and a line between them that can be
cut after any number of bytes."""

import asyncio
import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from clauseway.metering import Buyer, Deployment, Ruling, Status
from clauseway.spool import SpoolWriter, pack_intent, pack_usage_fields, positions, read_frames
from clauseway.spool.copier import Copier, FollowerSettings, JournalFacts
from clauseway.spool.copies import REFUSE
from clauseway.spool.follower import Follower
from clauseway.spool.reader import extent
from clauseway.spool.segments import _LOCK_NAME, list_segments
from ports import free_ports

Codes = tuple[int, int, int]  # buyer, deployment, ruling
SECRET = b"0123456789abcdef0123456789abcdef"
LABELS = (
    Buyer("acme", "research", "key_1", "openai", "direct"),
    Deployment("gpt-east", "azure", "openai", "eastus", "api.stateless", "gpt-5.4"),
    Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),
)
PATIENCE_S = 100.0
ACKNOWLEDGED = slice(60, 64)


def codes_of(writer: SpoolWriter, labels: tuple[Buyer, Deployment, Ruling] = LABELS) -> Codes:
    """The codes by which a writer's records name these labels."""
    buyer, deployment, ruling = labels
    return writer.label(buyer), writer.label(deployment), writer.label(ruling)


def packed_usage(
    boot: int,
    number: int,
    codes: Codes,
    *,
    event_ns: int = 1000,
    status: Status = Status.COMPLETE,
    upstream_id: bytes = b"up",
) -> bytes:
    """The record of a request's end, packed."""
    named = (boot, number, 1, event_ns, 3000, *codes, 1)
    return pack_usage_fields(*named, int(status), 200, False, 5, 5, 0, ((2, 7),), upstream_id)


class FollowerHere:
    """A follower in threads of this process. `port` stays its own over all its lives."""

    def __init__(self, folder: Path, secret: bytes = SECRET) -> None:
        self.folder, self.secret = folder, secret
        self.lines: list[str] = []
        (self.port,) = free_ports(1)
        self._running: tuple[Follower, socket.socket, threading.Thread] | None = None

    def start(self) -> None:
        if self._running is None:
            listener = socket.create_server(("127.0.0.1", self.port))
            follower = Follower(self.folder, self.secret, self.lines.append)
            thread = threading.Thread(target=follower.serve, args=(listener,), daemon=True)
            thread.start()
            self._running = follower, listener, thread

    def stop(self) -> None:
        if self._running is not None:
            follower, listener, thread = self._running
            follower.stop(listener)
            thread.join()
            listener.close()
            self._running = None

    def wait_until_left(self) -> None:
        """Wait until the follower notices that the gateways of its copies are gone, and gives back their locks."""
        for lock in self.folder.glob(f"*/{_LOCK_NAME}"):
            descriptor = os.open(lock, os.O_RDWR)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.close(descriptor)

    def copy(self) -> Path:
        """The only copy that it holds."""
        (directory,) = [path for path in self.folder.iterdir() if path.is_dir()]
        return directory


class Line:
    """A line to a port. `cut_after` ends all its connections once so many more bytes have gone to the follower, `hold`
    brings nothing over any more."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._left: int | None = None
        self._open: list[socket.socket] = []
        self._goes_on = threading.Event()
        self._goes_on.set()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_after(self, count: int) -> None:
        self._left = count
        if not count:
            self.cut()

    def hold(self) -> None:
        self._goes_on.clear()

    def cut(self) -> None:
        self._left = None
        self._goes_on.set()
        ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to_port))
                except OSError:
                    near.close()
                    continue
                self._open += [near, far]
                threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._goes_on.wait()
                if counted and self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                sink.sendall(data)
                if self._left is not None and self._left <= 0:
                    self.cut()
                    return
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Waiting:
    """Somebody who waits for a record."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()

    def write_ended(self, error: OSError | None) -> None:
        if not self.heard.cancelled():
            self.heard.set_result(error)


class CopiedJournal:
    """A gateway's start at a journal with a copy."""

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        boot: int = 1,
        when_away: str = REFUSE,
        patience_s: float = 20.0,
        segment_bytes: int = 1 << 20,
        secret: bytes = SECRET,
        hold_s: float = 0.0,
        quick_us: int = 1_000_000,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.directory, self.boot = directory, boot
        self.told: list[str] = []
        self.writer = SpoolWriter(directory, loop, boot=boot, segment_bytes=segment_bytes, quick_us=quick_us)
        self.writer.hold_s = hold_s
        settings = FollowerSettings("127.0.0.1", port, secret, when_away, patience_s)
        facts = JournalFacts(directory, self.writer.identity, directory.name, boot)
        self.copier = Copier(self.writer, facts, settings, loop, self.told.append)
        self.writer.copy_to(self.copier)
        self.codes = codes_of(self.writer)

    def append(self, number: int) -> None:
        self.writer.append(packed_usage(self.boot, number, self.codes), *self.codes)

    def begin(self, number: int) -> None:
        """The intent of a request; it is written with the next frame."""
        packed = pack_intent(self.boot, number, 1, 1000, 2000, *self.codes, 1, 10, 20, 30)
        self.writer.append(packed, *self.codes)

    async def commit(self) -> OSError | None:
        waiting = Waiting()
        self.writer.notify_when_durable(waiting)
        return await asyncio.wait_for(waiting.heard, PATIENCE_S)

    async def write(self, number: int) -> OSError | None:
        """A frame with one record; what its waiter heard."""
        self.append(number)
        heard = await self.commit()
        if self.writer._preparing is not None:
            await asyncio.wait((self.writer._preparing,))
        return heard

    async def until(self, live: bool) -> None:
        """Until the follower has everything, or is known to be away."""
        give_up_s = time.monotonic() + PATIENCE_S
        while (self.copier.is_live if live else self.copier.is_away) is False:
            assert time.monotonic() < give_up_s, self.copier.problem or self.copier._why
            await asyncio.sleep(0.005)

    async def die(self) -> None:
        """As a killed process does: nothing is closed in order, its lock and its connections are gone."""
        copier = self.copier
        copier._is_over = True
        if copier._session is not None:
            copier._leave()
        if copier._connecting is not None:
            await asyncio.wait((copier._connecting,))
        for session in (copier._joining, copier._finished()):
            if session is not None:
                session.close()
        self.writer.failure = OSError("dead")
        self.writer._jobs.put(None)
        self.writer._log_thread.join()
        if self.writer._preparing is not None:
            await asyncio.wait((self.writer._preparing,))
        os.close(self.writer._lock)


def numbers_in(directory: Path) -> list[int]:
    """The requests of a journal or of a copy, in order."""
    return [
        record.request.number
        for position in positions(directory)
        for record in read_frames(directory, position.segment, 0, 1 << 40).records
    ]


def whole_bytes(directory: Path) -> dict[int, bytes]:
    """Each segment as far as it is whole, without the count of acknowledged frames."""
    wholes = {}
    for segment in list_segments(directory):
        data = bytearray(segment.path.read_bytes()[: extent(segment).size])
        data[ACKNOWLEDGED] = bytes(4) if data else b""
        wholes[segment.number] = bytes(data)
    return wholes


@contextlib.contextmanager
def following(folder: Path) -> Iterator[FollowerHere]:
    follower = FollowerHere(folder)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()
