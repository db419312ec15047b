"""The gateway's side of a journal's copy: sends each commit to a follower and waits for its word.

A thread connects, compares digests, and sends from the journal's own files what the follower lacks,
until it is nearly there. Then the loop takes over: with the writer at rest it sends the remainder,
and from there on every frame as it is written, on the same connection. So there is one order, the
journal's, and a follower that was away for a second or a day comes back by the same way.

While there is no copy, commits wait for `patience_s`. After that they go on alone or are refused,
as `when_away` says. Going on alone is noted beside the journal before anybody hears of a record
that has one copy only.

INVARIANT: except alone, the writer hears `copied` only after the follower said that everything up
to the last frame written here is on its disk.
"""

import asyncio
import contextlib
import errno
import json
import os
import secrets
import socket
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from clauseway.spool.alone import AlonePeriods
from clauseway.spool.copies import ALONE, HeldSegment, Uncopied, digest_of
from clauseway.spool.follower_messages import (
    NONCE_BYTES,
    PREFACE_BYTES,
    BadMessage,
    Channel,
    MessageKind,
    check_preface,
    pack_append,
    pack_preface,
    pack_release,
)
from clauseway.spool.reader import extent
from clauseway.spool.segment_format import ACKNOWLEDGED_AT, ACKNOWLEDGED_END, pack_acknowledged
from clauseway.spool.segments import (
    SpoolSegment,
    list_segments,
    note_fenced,
    released_before,
    segment_path,
)
from clauseway.spool.writer import SpoolWriter

_CHUNK_BYTES: Final = 1 << 20
_RECEIVE_BYTES: Final = 1 << 16
_TICK_S: Final = 0.2
_PING_EVERY_S: Final = 1.0
_RELEASE_EVERY_S: Final = 5.0
_RETRY_S: Final = 1.0
# While it catches up, nobody waits for its answers one by one.
_ANSWER_S: Final = 10.0
# How soon a frame is looked for again that is being written here, and for how long.
_SOON_S: Final = 0.005
_NOT_YET_S: Final = 5.0
_NOWHERE: Final = (-1, 0)

JournalPlace = tuple[int, int]
Tell = Callable[[str], None]


class FollowerSettings(NamedTuple):
    """Where the follower is, the secret that both know, and how to go on without it."""

    host: str
    port: int
    secret: bytes
    when_away: str
    patience_s: float

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class JournalFacts(NamedTuple):
    """How a journal is named to its follower."""

    directory: Path
    spool: str
    place: str
    boot: int


class _Refused(Exception):
    """The follower does not take the journal."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class _Session:
    """A connection to the follower, and how far the follower is by it."""

    def __init__(self, connected: socket.socket, channel: Channel, held: list[HeldSegment]) -> None:
        self.socket, self.channel = connected, channel
        self.held = {segment.number: segment for segment in held}
        self.position: JournalPlace = _NOWHERE

    def close(self) -> None:
        self.socket.close()

    def ask(self, kind: MessageKind, body: bytes = b"") -> None:
        """Send a message and wait until the follower has obeyed it. Blocks."""
        self.socket.sendall(self.channel.seal(kind, body))
        answered, text = _receive(self.socket, self.channel)
        if answered is MessageKind.REFUSED:
            raise _refused(text)
        if answered is not MessageKind.ACK:
            raise BadMessage(f"an unexpected message {answered.name}")


class Copier:
    """The copy of one writer's journal. `tell` gets a sentence for each change that matters."""

    def __init__(
        self,
        writer: SpoolWriter,
        facts: JournalFacts,
        settings: FollowerSettings,
        loop: AbstractEventLoop,
        tell: Tell,
    ) -> None:
        self.problem = ""
        self.is_away = False
        self.commits_alone = 0
        self._writer, self._facts, self._settings = writer, facts, settings
        self._loop, self._tell = loop, tell
        self._alone = AlonePeriods(facts.directory)
        segment, offset = writer.position
        self._sent: JournalPlace = (segment, offset)
        # Replaced whole, so that the thread reads an offset and its frames together.
        self._written = (segment, offset, 0)
        # How far the follower is; where it has to be before the writer's commit is over (None: no
        # commit waits); and from where on a new session is level with the journal.
        self._copied: JournalPlace = _NOWHERE
        self._wanted: JournalPlace | None = None
        self._back_at: JournalPlace | None = None
        self._session: _Session | None = None
        self._joining: _Session | None = None
        self._connecting: asyncio.Future[_Session] | None = None
        # When each message was sent that has no answer yet, and where the follower is once it has.
        self._outstanding: deque[tuple[float, JournalPlace]] = deque()
        self._unsent = bytearray()
        # Since when the follower lacks something; None while it lacks nothing.
        self._lost_s: float | None = time.monotonic()
        self._spoken_s = self._release_s = self._retry_s = 0.0
        self._released = 0
        self._is_unnoted = False  # going on alone could not be noted
        self._is_over = self._is_closing = False
        self._ended = asyncio.Event()
        self._why = "it was not reached yet"
        self._look()

    @property
    def follower(self) -> str:
        return self._settings.address

    @property
    def is_live(self) -> bool:
        """Return whether the follower has everything that anybody was told is durable."""
        return self._lost_s is None

    # -- the writer's calls

    def send(self, segment: int, offset: int, frames: int, data: bytes) -> None:
        self._sent = (segment, offset + len(data))
        if offset == 0:
            # A new segment's header: it is on the disk, and all of the former segment's records.
            self._written = (segment, len(data), frames)
        if self._session is not None:
            self._append(segment, offset, frames, data)

    def written(self, segment: int, offset: int, frames: int) -> None:
        self._written = (segment, offset, frames)
        self._wanted = (segment, offset)
        if self._joining is not None:
            self._join()
        if self._session is None and self.is_away:
            self._go_on()
        else:
            self._compare()

    async def close(self) -> None:
        """Have the follower take the last frames, for as long as a commit may wait; then leave."""
        self._is_closing = True
        if self._session is not None:
            self._push(MessageKind.BYE, b"", self._sent)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._settings.patience_s)
        self._is_over = True
        if self._session is not None:
            self._leave()
        if self._connecting is not None:
            await asyncio.wait((self._connecting,))
        for session in (self._joining, self._finished()):
            if session is not None:
                session.close()
        self._joining = None

    # -- what holds

    def _compare(self) -> None:
        """Tell the writer once the follower has what it waits for."""
        if self._back_at is not None and self._copied >= self._back_at:
            self._come_back()
        if self._wanted is not None and self._copied >= self._wanted:
            self._wanted = None
            self._writer.copied()

    def _go_on(self) -> None:
        """Let the writer go on without a copy, or not."""
        if self._settings.when_away != ALONE:
            self._wanted = None
            # Clients read it: where the follower is, is not theirs to know.
            error = Uncopied(errno.EHOSTUNREACH, f"its follower is away: {self._why}")
            self._writer.uncopied(error)
            return
        if self._wanted is None and not self._is_unnoted:
            return
        segment, _, frames = self._written
        try:
            # INVARIANT: noted before anybody hears of it.
            self._alone.begin(segment, frames - 1, time.time_ns())
        except OSError as failed:
            self._wanted, self._is_unnoted = None, True
            self._writer.uncopied(failed)
            return
        self._wanted, self._is_unnoted = None, False
        self.commits_alone += 1
        self._writer.copied()

    def _be_away(self) -> None:
        """Stop waiting for the follower."""
        self.is_away = True
        self._describe()
        self._tell(self.problem)
        self._go_on()

    def _describe(self) -> None:
        self.problem = f"the follower {self.follower} is away: {self._why}"
        if self._settings.when_away == ALONE:
            self.problem += "; usage has one copy until it is back"

    def _come_back(self) -> None:
        self._back_at = self._lost_s = None
        segment, _, frames = self._written
        with contextlib.suppress(OSError):  # then it is said to have lasted longer than it did
            self._alone.end(segment, frames, time.time_ns())
        if self.is_away:
            self.is_away, self.problem = False, ""
            self._tell("")
        if self._wanted is None:
            self._writer.copied()

    # -- time

    def _look(self) -> None:
        """Look after the connection, again and again."""
        if self._is_over:
            return
        self._loop.call_later(_TICK_S, self._look)
        now_s = time.monotonic()
        if self._session is not None:
            self._look_at_session(now_s)
        if self._lost_s is not None:
            if not self.is_away and now_s - self._lost_s >= self._settings.patience_s:
                self._be_away()
            # Again and again, as the writer asks: others wait by now, and the disk may have room.
            elif self.is_away and self._session is None:
                self._go_on()
        is_idle = self._session is None and self._joining is None and self._connecting is None
        if is_idle and now_s >= self._retry_s:
            self._retry_s = now_s + _RETRY_S
            self._catch_up(None)

    def _look_at_session(self, now_s: float) -> None:
        if self._outstanding and now_s - self._outstanding[0][0] > self._settings.patience_s:
            self._drop(f"it said nothing for {self._settings.patience_s:g} s")
            return
        if now_s - self._release_s > _RELEASE_EVERY_S:
            self._release_s = now_s
            before = self._released
            with contextlib.suppress(OSError):  # a note that cannot be read now may be later
                before = released_before(self._facts.directory)
            if before > self._released:
                self._released = before
                self._push(MessageKind.RELEASE, pack_release(before), _NOWHERE)
        if now_s - self._spoken_s > _PING_EVERY_S:
            self._push(MessageKind.PING, b"", _NOWHERE)

    # -- catching up

    def _catch_up(self, session: _Session | None) -> None:
        self._connecting = self._loop.run_in_executor(None, self._caught_up, session)
        self._connecting.add_done_callback(self._nearly_there)

    def _finished(self) -> _Session | None:
        """Return the session of a thread that has ended well."""
        connecting, self._connecting = self._connecting, None
        if connecting is None or connecting.exception() is not None:
            return None
        return connecting.result()

    def _nearly_there(self, connecting: "asyncio.Future[_Session]") -> None:
        if self._is_over:
            return
        self._connecting = None
        error = connecting.exception()
        if error is None:
            self._joining = connecting.result()
            if self._sent == self._written[:2]:
                self._join()
            # Else the frame that is being written here ends it: `written` joins then.
            return
        if isinstance(error, _Refused) and error.why == "recovered":
            self._fence(str(error))
            return
        if not isinstance(error, (OSError, BadMessage, _Refused)):
            raise error
        self._why = str(error) or type(error).__name__
        if self.is_away:
            self._describe()

    def _join(self) -> None:
        """Send the remainder and go over to frames as they are written, if it is short."""
        session, self._joining = self._joining, None
        assert session is not None
        segment, offset, frames = self._written
        number, begin = session.position
        # Too far behind for one message of this thread: the other thread sends more first.
        if number != segment or not 0 <= offset - begin <= _CHUNK_BYTES:
            self._catch_up(session)
            return
        session.socket.setblocking(False)
        self._session, self._copied = session, session.position
        self._spoken_s = time.monotonic()
        self._back_at = (segment, offset)
        self._loop.add_reader(session.socket, self._readable)
        if offset > begin:
            try:
                data = _bytes_of(segment_path(self._facts.directory, segment), begin, offset)
            except OSError as error:
                self._drop(f"the journal cannot be read: {error}")
                return
            self._append(segment, begin, frames, data)
        self._compare()

    def _caught_up(self, session: _Session | None) -> _Session:
        """Connect, where there is no session yet, and send what the follower lacks. In a thread.

        Raise OSError, BadMessage, _Refused.
        """
        session = session or self._connect()
        try:
            session.socket.settimeout(_ANSWER_S)
            give_up_s = time.monotonic() + _NOT_YET_S
            while not self._is_over and not self._is_level(session):
                if time.monotonic() > give_up_s:
                    raise TimeoutError("the journal's own disk does not take what was written")
                time.sleep(_SOON_S)
        except BaseException:
            session.close()
            raise
        return session

    def _connect(self) -> _Session:
        settings, facts = self._settings, self._facts
        connected = socket.create_connection((settings.host, settings.port), timeout=_ANSWER_S)
        try:
            # Nagle's algorithm would hold back each short commit that somebody waits for.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel = introduce(connected, settings.secret)
            hello = {
                "spool": facts.spool,
                "place": facts.place,
                "boot": f"{facts.boot:016x}",
                "when_away": settings.when_away,
            }
            connected.sendall(channel.seal(MessageKind.HELLO, json.dumps(hello).encode()))
            kind, body = _receive(connected, channel)
            if kind is MessageKind.REFUSED:
                raise _refused(body)
            if kind is not MessageKind.WELCOME:
                raise BadMessage(f"an unexpected message {kind.name}")
            held = [HeldSegment(*fields) for fields in json.loads(body)["segments"]]
        except (ValueError, KeyError, TypeError):
            connected.close()
            raise BadMessage("a welcome that cannot be read") from None
        # Interrupts too: no session owns the socket yet.
        except BaseException:
            connected.close()
            raise
        return _Session(connected, channel, held)

    def _is_level(self, session: _Session) -> bool:
        """Send what the follower lacks; False where the journal has to be looked at again."""
        current, size, frames = self._written
        for segment in list_segments(self._facts.directory):
            if segment.number < session.position[0] or segment.number > current:
                continue
            is_level = (
                self._send_segment(session, segment, size, frames)
                if segment.number == current
                else self._send_former(session, segment)
            )
            if not is_level:
                return False
        if session.position != (current, size):
            raise OSError(errno.ENOENT, "the journal's own files are not there any more")
        return True

    def _send_former(self, session: _Session, segment: SpoolSegment) -> bool:
        with contextlib.suppress(FileNotFoundError):  # it is sealed and was released
            whole = extent(segment)
            if whole.boot == self._facts.boot and not whole.is_closed:
                return False  # its closing frame is on the way to the disk
            return self._send_segment(session, segment, whole.size, whole.frames)
        return True

    def _send_segment(
        self, session: _Session, segment: SpoolSegment, size: int, frames: int
    ) -> bool:
        number, path = segment.number, segment.path
        held = session.held.get(number)
        at = held.size if held is not None else 0
        # A session goes on from where it is. A new one goes on from what the follower holds, if
        # that is the beginning of this journal.
        if session.position[0] == number:
            at = session.position[1]
        elif held is not None and held.size > size:
            if segment.header is not None and segment.header.boot == self._facts.boot:
                if (number, held.size) > self._sent:
                    raise self._differs(number)
                return False  # the frame that is being written here
            # A frame that was sent and never finished here: nobody was told of it.
            at = size
        elif held is not None and digest_of(path, held.size) != held.digest:
            raise self._differs(number)
        while at < size:
            end = min(at + _CHUNK_BYTES, size)
            data = _bytes_of(path, at, end)
            # A chunk may end within a frame: only the last one says how many frames there are.
            session.ask(
                MessageKind.APPEND, pack_append(number, at, frames if end == size else 0, data)
            )
            at = end
        session.position = (number, at)
        return True

    def _differs(self, number: int) -> BadMessage:
        return BadMessage(
            f"its copy of segment {number} of journal {self._facts.spool} is no beginning of the "
            f"journal: move that folder away there, and a new copy is made"
        )

    # -- the live connection

    def _append(self, segment: int, offset: int, frames: int, data: bytes) -> None:
        body = pack_append(segment, offset, frames, data)
        self._push(MessageKind.APPEND, body, (segment, offset + len(data)))

    def _push(self, kind: MessageKind, body: bytes, position: JournalPlace) -> None:
        """Send a message; once it is acknowledged, the follower is at `position`."""
        session = self._session
        assert session is not None
        self._spoken_s = time.monotonic()
        self._outstanding.append((self._spoken_s, position))
        sealed = session.channel.seal(kind, body)
        if self._unsent:
            self._unsent += sealed
            return
        try:
            # At once, not at the end of the loop's round: the disk here comes next.
            sent = session.socket.send(sealed)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._loop.call_soon(self._drop, str(error), session)
            return
        if sent < len(sealed):
            self._unsent += sealed[sent:]
            self._loop.add_writer(session.socket, self._writable)

    def _writable(self) -> None:
        session = self._session
        assert session is not None
        try:
            del self._unsent[: session.socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._drop(str(error))
            return
        if not self._unsent:
            self._loop.remove_writer(session.socket)

    def _readable(self) -> None:
        session = self._session
        assert session is not None
        try:
            data = session.socket.recv(_RECEIVE_BYTES)
            if not data:
                self._drop("it closed the connection")
                return
            messages = session.channel.feed(data)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, BadMessage) as error:
            self._drop(str(error))
            return
        for kind, body in messages:
            if kind is MessageKind.REFUSED:
                refused = _refused(body)
                self._drop(str(refused))
                return
            if kind is not MessageKind.ACK or not self._outstanding:
                self._drop(f"an unexpected message {kind.name}")
                return
            _, position = self._outstanding.popleft()
            # A ping or a release is nowhere and moves nothing.
            self._copied = max(self._copied, position)
        if self._is_closing and not self._outstanding:
            self._ended.set()
        self._compare()

    def _drop(self, why: str, session: _Session | None = None) -> None:
        """End the connection; a new one is tried soon."""
        if self._session is None or (session is not None and session is not self._session):
            return
        self._why = why
        if self._lost_s is None:
            # It was lost when the oldest message without an answer was sent, not when this was
            # seen.
            oldest = self._outstanding[0][0] if self._outstanding else time.monotonic()
            self._lost_s = oldest
        self._leave()
        self._ended.set()
        self._copied = _NOWHERE
        self._back_at = None
        if self.is_away:
            self._go_on()

    def _leave(self) -> None:
        session, self._session = self._session, None
        assert session is not None
        self._loop.remove_reader(session.socket)
        if self._unsent:
            self._loop.remove_writer(session.socket)
            self._unsent.clear()
        self._outstanding.clear()
        session.close()

    def _fence(self, why: str) -> None:
        """The journal is over: another home has recovered it."""
        self._is_over = True
        with contextlib.suppress(OSError):  # the next start would be told the same
            note_fenced(self._facts.directory)
        self.problem = f"the follower {self.follower} refuses this journal: {why}"
        self._writer.end_by(OSError(errno.EHOSTUNREACH, self.problem))
        self._tell(self.problem)


def introduce(connected: socket.socket, secret: bytes) -> Channel:
    """Greet a follower, and have it prove that it knows the secret. Raise OSError, BadMessage."""
    ours = pack_preface(secrets.token_bytes(NONCE_BYTES))
    connected.sendall(ours)
    theirs = b""
    while len(theirs) < PREFACE_BYTES:
        data = connected.recv(PREFACE_BYTES - len(theirs))
        if not data:
            raise BadMessage("it closed the connection before it said who it is")
        theirs += data
    check_preface(theirs)
    channel = Channel(secret, ours + theirs, is_writer=True)
    kind, _ = _receive(connected, channel)
    if kind is not MessageKind.PROOF:
        raise BadMessage(f"an unexpected message {kind.name}")
    return channel


def _receive(connected: socket.socket, channel: Channel) -> tuple[MessageKind, bytes]:
    """Return the next message. Here each is an answer, so no second one follows it."""
    while True:
        data = connected.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "it closed the connection")
        messages = channel.feed(data)
        if messages:
            return messages[0]


def _refused(body: bytes) -> _Refused:
    try:
        fields: Any = json.loads(body)
        return _Refused(str(fields["why"]), str(fields["detail"]))
    except (ValueError, KeyError, TypeError):
        return _Refused("", "it refuses the journal and does not say why")


def _bytes_of(path: Path, begin: int, end: int) -> bytes:
    """Return bytes of a segment, without the count of acknowledged frames. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(descriptor, end - begin, begin)
    finally:
        os.close(descriptor)
    if len(data) != end - begin:
        raise OSError(errno.EIO, f"{path} ends before {end:,} bytes")
    if begin == 0:
        header = bytearray(data)
        header[ACKNOWLEDGED_AT:ACKNOWLEDGED_END] = pack_acknowledged(0)
        return bytes(header)
    return data
