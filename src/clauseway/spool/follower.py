"""The follower of journals: takes each commit of a gateway, forces it to its own disk, and says so.

One thread for each connection, which reads, writes and answers by turns: nothing lies between the
disk's word and the gateway's. A connection belongs to one journal; a newer one of the same journal
takes its place. No time is compared with another machine's, so the clocks need not agree.

INVARIANT: an APPEND is acknowledged after its bytes, and all before them in its segment, are on the
disk. A segment is only ever continued where it ends; bytes that were acknowledged are never cut.
"""

import contextlib
import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from clauseway.files import force_folder, make_folder, write_whole
from clauseway.spool.copies import (
    CopyState,
    HeldSegment,
    fenced_by,
    held_segments,
    write_state,
)
from clauseway.spool.follower_messages import (
    NONCE_BYTES,
    PREFACE_BYTES,
    Append,
    BadMessage,
    Channel,
    MessageKind,
    check_preface,
    pack_preface,
    unpack_append,
    unpack_release,
)
from clauseway.spool.segment_format import ACKNOWLEDGED_AT, pack_acknowledged
from clauseway.spool.segments import (
    IDENTITY_NAME,
    NO_ROOM,
    SpoolBusy,
    fill_with_zeros,
    list_segments,
    lock,
    segment_path,
)

# A gateway says something each second; after so long it is gone, or the network is.
_SILENT_S: Final = 10.0
_RECEIVE_BYTES: Final = 1 << 18
# Blocks that were written once are forced in half of the time: zeros ahead, a megabyte at once.
_FILL_BYTES: Final = 1 << 20
_BACKLOG: Final = 64
_SPOOL_BYTES: Final = 16
# Nobody has proved anything yet: a first message is short, and comes at once.
_GREETING_S: Final = 5.0
# Connections that have proved nothing, each a thread; of more, the oldest end. A gateway proves
# itself within milliseconds.
_STRANGERS_MAX: Final = 64


Report = Callable[[str], None]


class _Refused(Exception):
    """A connection that is ended with a reason."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why, self.detail = why, detail


class Follower:
    """Keeps copies in `folder` for all gateways that know `secret`; `report` gets a line for each
    that comes, leaves or is refused."""

    def __init__(self, folder: Path, secret: bytes, report: Report) -> None:
        make_folder(folder)
        self.secret, self.report = secret, report
        self._folder = folder
        self._lock = threading.Lock()
        self._connections: dict[str, _Connection] = {}
        # In the order in which they came.
        self._open: dict[_Connection, None] = {}
        self._is_stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Take connections until `stop` is called or the listener is closed."""
        listener.listen(_BACKLOG)
        while not self._is_stopping:
            try:
                connected, address = listener.accept()
            except OSError as error:
                if self._is_stopping or error.errno in (errno.EBADF, errno.EINVAL):
                    return
                self.report(f"No connection can be taken: {error}")
                continue
            connection = _Connection(self, connected, f"{address[0]}:{address[1]}")
            with self._lock:
                self._open[connection] = None
                strangers = [known for known in self._open if not known.is_proved]
            for stranger in strangers[:-_STRANGERS_MAX]:
                stranger.leave()
            threading.Thread(target=connection.run, daemon=True).start()

    def stop(self, listener: socket.socket) -> None:
        """End all connections. Acknowledged records are on the disk."""
        self._is_stopping = True
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.end()

    def take(self, spool: str, connection: "_Connection") -> Path:
        """Return the folder of a journal's copy; a connection that had it before has ended."""
        with self._lock:
            former = self._connections.get(spool)
            self._connections[spool] = connection
        if former is not None:
            former.end()
        return self._folder / spool

    def leave(self, connection: "_Connection") -> None:
        with self._lock:
            self._open.pop(connection, None)
            for spool, known in list(self._connections.items()):
                if known is connection:
                    del self._connections[spool]


class _Segment:
    """A segment that is being copied."""

    def __init__(self, directory: Path, number: int, size: int) -> None:
        self.number, self.size = number, size
        path = segment_path(directory, number)
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._filled = os.fstat(self.descriptor).st_size
        if not self._filled:
            force_folder(directory)

    def append(self, part: Append) -> None:
        """Write bytes where the segment ends, and force them. Raise BadMessage, OSError."""
        if part.offset != self.size:
            raise BadMessage(
                f"bytes for {part.offset:,} of segment {part.segment}, which ends at {self.size:,}"
            )
        end = part.offset + len(part.data)
        if end > self._filled:
            self._fill(end)
        written = os.pwritev(self.descriptor, (part.data,), part.offset, os.RWF_DSYNC)
        while written < len(part.data):
            rest = part.data[written:]
            written += os.pwritev(self.descriptor, (rest,), part.offset + written, os.RWF_DSYNC)
        self.size = end
        if part.frames:
            # Unforced, like the mark of the writer; a mark that cannot be written claims less.
            with contextlib.suppress(OSError):
                os.pwrite(self.descriptor, pack_acknowledged(part.frames), ACKNOWLEDGED_AT)

    def _fill(self, end: int) -> None:
        try:
            fill_with_zeros(self.descriptor, end, end + _FILL_BYTES)
            self._filled = end + _FILL_BYTES
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # The zeros took what room there was, and the bytes need it; without zeros it is only
            # slower.
            os.ftruncate(self.descriptor, self.size)
            self._filled = end

    def close(self) -> None:
        """Give the zeros back."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, self.size)
        os.close(self.descriptor)


class _Connection:
    """One gateway's connection, in a thread of its own."""

    def __init__(self, follower: Follower, connected: socket.socket, address: str) -> None:
        self._follower, self._socket, self._address = follower, connected, address
        self._over = threading.Event()
        # Set in the thread, once the other side has shown that it knows the secret.
        self.is_proved = False
        self._thread: threading.Thread | None = None
        self._segment: _Segment | None = None
        self._sizes: dict[int, int] = {}
        self._directory = Path()
        self._state = CopyState("", "", False)
        self._is_closed = False
        self._greeted_s = 0.0

    def leave(self) -> None:
        """End it soon."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """End it, and wait until it writes nothing any more."""
        self.leave()
        if threading.current_thread() is not self._thread:
            self._over.wait()

    def run(self) -> None:
        self._thread = threading.current_thread()
        name = f"the gateway at {self._address}"
        held = -1
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = self._greet()
            # From here on a refusal reaches the gateway, which says it on its side too.
            try:
                hello = self._hello(channel)
                name = f"journal {hello['spool']} ({hello['place']}) of {self._address}"
                held = self._open_copy(hello)
                self._welcome(channel)
                self._follower.report(f"Following {name}.")
                self._follow(channel)
                how = "after" if self._is_closed else "without"
                self._follower.report(f"The {name} left {how} closing it.")
            except _Refused as refused:
                self._send(
                    channel, MessageKind.REFUSED, {"why": refused.why, "detail": refused.detail}
                )
                self._follower.report(f"Refused {name}: {refused.detail}.")
        except BadMessage as error:
            self._follower.report(f"Refused {name}: {error}.")
        except TimeoutError:
            self._follower.report(f"Lost {name}: it was silent for too long.")
        except OSError as error:
            self._follower.report(f"Lost {name}: {error}.")
        finally:
            if self._segment is not None:
                self._segment.close()
            if held >= 0:
                os.close(held)
            self._socket.close()
            self._follower.leave(self)
            self._over.set()

    # -- greeting

    def _greet(self) -> Channel:
        """Prove to know the secret. Raise BadMessage, OSError."""
        self._greeted_s = time.monotonic() + _GREETING_S
        theirs = b""
        while len(theirs) < PREFACE_BYTES:
            theirs += self._received_in_time(PREFACE_BYTES - len(theirs))
        ours = pack_preface(secrets.token_bytes(NONCE_BYTES))
        # In every version: so an older or newer gateway can say which one it met.
        self._socket.sendall(ours)
        check_preface(theirs)
        channel = Channel(self._follower.secret, theirs + ours, is_writer=False)
        self._socket.sendall(channel.seal(MessageKind.PROOF))
        return channel

    def _hello(self, channel: Channel) -> dict[str, str]:
        try:
            kind, body = self._first(channel)
        except ConnectionResetError:
            raise BadMessage("it left at our proof; it may have another secret") from None
        try:
            fields = json.loads(body) if kind is MessageKind.HELLO else {}
            hello = {name: str(fields[name]) for name in ("spool", "place", "when_away")}
            identity = bytes.fromhex(hello["spool"])
        except (ValueError, KeyError, TypeError):
            raise BadMessage("its first message names no journal") from None
        if len(identity) != _SPOOL_BYTES or identity.hex() != hello["spool"]:
            raise BadMessage("its first message names no journal")
        return hello

    def _first(self, channel: Channel) -> tuple[MessageKind, bytes]:
        while True:
            messages = channel.feed(self._received_in_time(_RECEIVE_BYTES))
            if messages:
                self.is_proved = True
                return messages[0]

    def _open_copy(self, hello: dict[str, str]) -> int:
        """Open the journal's copy and lock it; return the descriptor of the lock. Raise _Refused."""
        spool = hello["spool"]
        self._directory = directory = self._follower.take(spool, self)
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            try:
                # A recovery of the copy holds the same lock.
                held = lock(directory)
            except SpoolBusy:
                detail = "somebody recovers this copy just now"
                raise _Refused("busy", detail) from None
            try:
                # Recovered: the copy took the journal's place, and nothing may be added to it.
                if by := fenced_by(directory):
                    detail = f"the journal was recovered by {by}, and is over"
                    raise _Refused("recovered", detail)
                write_whole(directory / IDENTITY_NAME, f"{spool}\n".encode())
                self._state = CopyState(hello["place"], hello["when_away"], False)
                write_state(directory, self._state)
                # The folder may be new: its own name has to survive a loss of power.
                force_folder(directory.parent)
            except BaseException:
                os.close(held)
                raise
            return held
        except OSError as error:
            raise _Refused("disk", _reason(error)) from None

    def _welcome(self, channel: Channel) -> None:
        segments: list[HeldSegment] = held_segments(self._directory)
        self._sizes = {segment.number: segment.size for segment in segments}
        self._send(channel, MessageKind.WELCOME, {"segments": [list(held) for held in segments]})

    # -- following

    def _follow(self, channel: Channel) -> None:
        """Answer each message in its order until the gateway leaves."""
        self._socket.settimeout(_SILENT_S)
        while True:
            try:
                data = self._received(_RECEIVE_BYTES)
            except ConnectionResetError:
                return
            for kind, body in channel.feed(data):
                try:
                    self._obey(kind, body)
                except OSError as error:
                    raise _Refused("disk", _reason(error)) from None
                self._socket.sendall(channel.seal(MessageKind.ACK))

    def _obey(self, kind: MessageKind, body: bytes) -> None:
        if kind is MessageKind.APPEND:
            part = unpack_append(body)
            self._segment_of(part.segment).append(part)
        elif kind is MessageKind.RELEASE:
            self._release(unpack_release(body))
        elif kind is MessageKind.BYE:
            write_state(self._directory, self._state._replace(is_closed=True))
            self._is_closed = True
        elif kind is not MessageKind.PING:
            raise BadMessage(f"an unexpected message {kind.name}")

    def _segment_of(self, number: int) -> _Segment:
        if self._segment is None or self._segment.number != number:
            if self._segment is not None:
                self._sizes[self._segment.number] = self._segment.size
                self._segment.close()
            self._segment = None  # should the next one not open
            self._segment = _Segment(self._directory, number, self._sizes.get(number, 0))
        return self._segment

    def _release(self, before: int) -> None:
        """Delete segments that are sealed elsewhere."""
        gone = [segment for segment in list_segments(self._directory) if segment.number < before]
        for segment in gone:
            if self._segment is None or self._segment.number != segment.number:
                segment.path.unlink(missing_ok=True)
        if gone:
            force_folder(self._directory)

    # -- bytes

    def _received(self, size: int) -> bytes:
        data = self._socket.recv(size)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the gateway closed the connection")
        return data

    def _received_in_time(self, size: int) -> bytes:
        """Return bytes of the greeting, which ends at its time however slowly they come."""
        left_s = self._greeted_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._received(size)

    def _send(self, channel: Channel, kind: MessageKind, body: object) -> None:
        self._socket.sendall(channel.seal(kind, json.dumps(body).encode()))


def _reason(error: OSError) -> str:
    if error.errno in NO_ROOM:
        return "its disk is full"
    return f"its disk failed: {error.strerror or error}"
