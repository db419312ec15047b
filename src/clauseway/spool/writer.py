"""The one writer of a journal, which lies in a spool: group commit, rotation, and failing closed.

Records are collected on the event loop's thread. A commit builds one frame there and makes one
call, `pwritev` with RWF_DSYNC: on this thread while the disk is quick (two changes of thread, and
two of Python's lock, cost as much as its 0.1 ms and more CPU), else by the log thread, to which an
immutable job is handed, its offset included. When to commit: at once when the waiting records reach
the open requests, or 64, or when a millisecond has passed since the last commit began; otherwise a
timer of a millisecond. "As soon as the last one returned" looks better and costs a third more: half
of a closed-loop crowd always misses the bus. For the same reason "waiting reaches open" is not
checked right after a batch was released: its clients are about to come back.

A segment is filled with zeros before its first frame. Blocks that were only reserved have to be
entered into the file system's own journal when they are first written: half of a commit's time, and
a third of its CPU. `segments` tells why the zeros are written in pieces.

After a commit, and before its waiters hear of it, the number of acknowledged frames is written to
the header, in a write that nobody waits for: so a last frame that is damaged later is told from a
frame that was never whole.

INVARIANT: a waiter hears "durable" only after the frame with its record, and all frames before it,
are on the disk. After an error of the disk every waiter, present and future, hears that error;
nothing is written any more.

A disk without room is no error of the disk, nor is a process without descriptors or memory. While
the next segment cannot be made, the present segment is written on. If the present segment is full
as well, the frame without room stays, its waiters are told or may wait (`hold_s`), and every second
the write is tried again, at its place. So records are written in their order, whatever the waiters
were told.

Where the journal has a copy elsewhere, each frame is sent there before it is written here, so that
both go on together, and a commit is over when both are durable. Without a copy nothing of this is
done (`Copy`).
"""

import asyncio
import contextlib
import errno
import os
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, Protocol

from clauseway.files import force_folder, make_folder
from clauseway.spool.reader import extent
from clauseway.spool.segment_format import (
    ACKNOWLEDGED_AT,
    FRAME_HEADER,
    SEGMENT_HEADER,
    Label,
    codes_of,
    pack_acknowledged,
    pack_frame_header,
    pack_label,
    pack_segment_header,
)
from clauseway.spool.segments import (
    NO_ROOM,
    SCARCE,
    SpoolSegment,
    fill_with_zeros,
    identify,
    lock,
    next_number,
    segment_path,
)

_FIRST_SEGMENT_BYTES: Final = 4 << 20  # of a start: filled while the first request waits for it
# Some seconds of a gateway under full load, minutes of a busy one: few files. Sealing reads the
# live segment anew each time, its frames and the zeros after them.
_SEGMENT_BYTES: Final = 16 << 20
_WAITING_MAX: Final = 64  # measured: larger batches gain nothing, smaller ones cost CPU
_COMMIT_EVERY_S: Final = 0.001  # at most a thousand commits a second, about 5 % of a core
# The loop's thread does not wait for a disk that took longer the last time; 0: it waits for none.
_QUICK_US: Final = 500
_DURATION_BITS: Final = 64
_ROOM_EVERY_S: Final = 1.0  # room is made by people; asking costs next to nothing
# Room beyond a segment's size: the frame that exceeds it and the closing frame fit on a full disk,
# too.
_LAST_FRAMES_BYTES: Final = 32 << 10
_INTENT_DELAY_S: Final = 0.050  # how long a record that nobody waits for may stay in memory


class Waiter(Protocol):
    """The caller that waits for records, or for room. Notified once, on the loop's thread."""

    def write_ended(self, error: OSError | None) -> None:
        """Go on: every record appended before the wait is on the disk. With an error, the wait has
        failed."""


class Copy(Protocol):
    """The copy of a journal elsewhere, as its writer uses it. Called on the loop's thread.

    `send` gets the bytes of each frame, in order, before they are written here. `written` says that
    all up to there is durable here; the copy answers once with `SpoolWriter.copied` or `uncopied`,
    at once or later. Where the copy is not there, `problem` says why; else it is empty.
    `commits_alone` counts the commits that were acknowledged without it.
    """

    problem: str
    commits_alone: int

    def send(self, segment: int, offset: int, frames: int, data: bytes) -> None:
        """Send bytes of a segment, whose first `frames` frames end with them."""

    def written(self, segment: int, offset: int, frames: int) -> None:
        """Tell the copy that a segment is durable here up to `offset`, which is `frames` frames."""

    async def close(self) -> None:
        """Wait, for a limited time, until all that was sent is durable at the copy; then
        disconnect."""


# These two are read for each request: members of plain classes are found without looking for their
# names, where the module is compiled.
class _Segment:
    """An open segment file. The next one begins after `size` bytes. Bytes beyond the zero-filled
    part are as durable, but slower to write. `link` is a descriptor of its link in /proc, or -1.
    """

    def __init__(self, number: int, descriptor: int, link: int, seed: int, size: int) -> None:
        self.number = number
        self.descriptor = descriptor
        self.link = link
        self.seed = seed
        self.size = size


class _Frame:
    """A frame, complete before it is written, and its place in a segment."""

    def __init__(self, segment: _Segment, offset: int, header: bytes, payload: bytes) -> None:
        self.segment = segment
        self.offset = offset
        self.header = header
        self.payload = payload


class _Job(NamedTuple):
    """One call for the log thread, and the callback for what it returns: a result, or the error of
    the disk."""

    call: Callable[[], Any]
    done: Callable[[Any], None]


class SpoolWriter:
    """Appends records to the spool in `directory`, from the thread of `loop`.

    `boot` names this start of the gateway. The gateway keeps `open_requests`: how many requests may
    still come to wait. `failure` is the error after which nothing is durable any more. `shortage`
    is why the next segment cannot be made at present, `full` why nothing can be written at present;
    waiters hear it after the disk was full for `hold_s`. Writes to a disk whose last write took
    `quick_us` or longer are left to the log thread. Raises SpoolBusy if another process writes this
    spool, OSError if the first segment cannot be made.
    """

    def __init__(
        self,
        directory: Path,
        loop: AbstractEventLoop,
        *,
        boot: int,
        segment_bytes: int = _SEGMENT_BYTES,
        quick_us: int = _QUICK_US,
        room_every_s: float = _ROOM_EVERY_S,
    ) -> None:
        make_folder(directory)
        self.open_requests = 0
        self.failure: OSError | None = None
        self.shortage: OSError | None = None
        self.full: OSError | None = None
        self.hold_s = 0.0
        self._full_since_s = 0.0
        self._stalled: _Frame | None = None  # found no room
        self._copy: Copy | None = None
        self._is_uncopied = False  # a frame is durable here, and not yet there
        self._room_every_s = room_every_s
        # Commits by the number of bits of their duration in microseconds, and the sum of these.
        self.commits = [0] * _DURATION_BITS
        self.commit_us = 0
        self._directory = directory
        self._loop = loop
        self._boot = boot
        self._segment_bytes = segment_bytes
        self._quick_us = quick_us
        self._lock = lock(directory)
        self._spool = identify(directory)
        try:
            self._segment = self._create(
                next_number(directory), min(segment_bytes, _FIRST_SEGMENT_BYTES)
            )
        except OSError:
            os.close(self._lock)
            raise
        self._next: _Segment | None = None
        self._preparing: asyncio.Future[_Segment] | None = None
        self._offset = SEGMENT_HEADER.size
        self._frame = 0
        self._codes: dict[Label, int] = {}
        self._labels: list[Label] = []
        self._emitted: set[int] = set()
        self._fresh: list[int] = []
        self._pending: list[bytes] = []
        self._waiting: list[Waiter] = []
        self._released: list[Waiter] = []
        self._busy = False
        self._closing = False
        self._timer = False
        self._flush_timer = False
        self._last_commit_s = 0.0
        self._handed = 0  # jobs that the log thread has
        self._disk_us = 0  # how long the last commit's call took
        self._idle = asyncio.Event()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._log_thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._log_thread.start()

    @property
    def identity(self) -> str:
        """Return the spool's name for ever, in hex."""
        return self._spool.hex()

    @property
    def room_bytes(self) -> int:
        """Return how much can be written without asking the disk for room."""
        if self.full is not None and self.full.errno in NO_ROOM:
            return 0
        following = self._next.size if self._next is not None else 0
        return max(self._segment.size - self._offset, 0) + following

    @property
    def may_wait_for_room(self) -> bool:
        """Return whether waiters may still wait for room: the disk has been full for less than
        `hold_s`."""
        return time.monotonic() < self._full_since_s + self.hold_s

    @property
    def commit_s(self) -> float:
        """Return for how many seconds the disk has had the commit under way; 0 while it has none."""
        is_writing = self._busy and not self._is_uncopied and self.full is None
        return time.monotonic() - self._last_commit_s if is_writing else 0.0

    # -- the copy

    @property
    def position(self) -> tuple[int, int]:
        """Return the segment that is written, and where its next frame begins."""
        return self._segment.number, self._offset

    @property
    def next_frame(self) -> tuple[int, int]:
        """Return the segment that is written, and the number of its next frame: what is appended
        from now on stands there or later."""
        return self._segment.number, self._frame

    @property
    def copy(self) -> Copy | None:
        return self._copy

    def copy_to(self, copy: Copy) -> None:
        """Have the journal copied from here on. To be called before the first commit."""
        has_begun = self._frame or self._busy
        assert not has_begun, "the journal has begun without its copy"
        self._copy = copy

    def copied(self) -> None:
        """Go on: everything that is durable here is durable there, or need not be."""
        if self.failure is not None:
            return
        self.full = None
        if self._is_uncopied:
            self._is_uncopied = False
            self._acknowledge()
            self._release()
        elif not self._busy and (self._waiting or self._pending):
            self._commit()

    def uncopied(self, error: OSError) -> None:
        """Refuse: there is no copy at present, and there has to be one. New records are written
        here all the same. To be repeated while it is so."""
        if self.failure is not None:
            return
        if self.full is None:
            self._full_since_s = time.monotonic()
        self.full = error
        if self._is_uncopied:
            self._is_uncopied = self._busy = False
            # The frame is on this disk. Its waiters go back to the front and wait for the copy.
            self._waiting = self._released + self._waiting
            self._released = []
        if self._closing or not self.may_wait_for_room:
            waiters, self._waiting = self._waiting, []
            self._tell(waiters, error)
        if self._pending and not self._busy and not self._flush_timer:
            self._flush_timer = True
            self._loop.call_later(_INTENT_DELAY_S, self._flush)
        self._idle.set()

    def end_by(self, error: OSError) -> None:
        """Fail closed: the journal is continued by nobody any more."""
        if self.failure is None:
            self._fail(error)

    # -- appending

    def label(self, label: Label) -> int:
        """Return the code by which records of this process name `label`.

        The label is written to a segment when first used there.
        """
        code = self._codes.get(label)
        if code is None:
            code = self._codes[label] = len(self._labels)
            self._labels.append(label)
        return code

    def append(self, record: bytes, buyer: int, deployment: int, ruling: int) -> None:
        """Add a packed intent or usage record. It is written with the next commit, at the latest 50
        ms from now."""
        emitted = self._emitted
        if buyer not in emitted or deployment not in emitted or ruling not in emitted:
            self._emit((buyer, deployment, ruling))
        self._pending.append(record)
        if not self._flush_timer:
            self._flush_timer = True
            self._loop.call_later(_INTENT_DELAY_S, self._flush)

    def notify_of_room(self, waiter: Waiter) -> None:
        """Notify `waiter` when the journal, which is full now, has room again: then everything
        appended before is durable. With an error if there is no room within `hold_s`."""
        self.notify_when_durable(waiter)

    def notify_when_durable(self, waiter: Waiter, *, is_last_step: bool = False) -> None:
        """Notify `waiter` when everything appended so far is durable.

        If this is the caller's last step, a waiter that waits alone may be notified before the call
        returns: a quick disk is waited for here, and no turn of the loop comes between.
        """
        if self.failure is not None:
            # Not before this call returns: the caller may have more to do.
            self._loop.call_soon(waiter.write_ended, self.failure)
            return
        if self.full is not None:
            if self.may_wait_for_room:
                self._waiting.append(waiter)
            else:
                self._loop.call_soon(waiter.write_ended, self.full)
            return
        self._waiting.append(waiter)
        if self._busy:
            return
        count = len(self._waiting)
        if count >= self.open_requests or count >= _WAITING_MAX:
            self._commit(at_once=is_last_step and count == 1)
        elif not self._timer:
            if time.monotonic() - self._last_commit_s >= _COMMIT_EVERY_S:
                self._commit()
            else:
                self._start_timer()

    async def close(self) -> None:
        """Write pending records, close the segment with its closing frame, stop the log thread,
        release the lock."""
        self._closing = True
        while self.failure is None and (self._busy or self._pending or self._waiting):
            self._idle.clear()
            if self._stalled is not None:
                self._try_for_the_last_time()
                continue
            if self.full is not None and self._waiting and not self._busy:
                self.uncopied(self.full)  # there is no time left to wait for the copy
                continue
            if not self._busy:
                self._commit()
            await self._idle.wait()
        if self.failure is None:
            if self._copy is not None:
                self._send_closing(self._copy)
            with _without_room():
                _close_segment(self._segment, self._frame, self._offset)
        if self._copy is not None:
            await self._copy.close()
        self._jobs.put(None)
        self._log_thread.join()
        if self._preparing is not None:
            await asyncio.wait((self._preparing,))
        if self._next is not None:
            # It was made ahead of time and stays empty: write its closing frame and give its zeros
            # back.
            with _without_room():
                _close_segment(self._next, 0, SEGMENT_HEADER.size)
        os.close(self._lock)

    # -- committing

    def _emit(self, codes: tuple[int, ...]) -> None:
        for code in codes:
            if code not in self._emitted:
                self._emitted.add(code)
                self._fresh.append(code)

    def _start_timer(self) -> None:
        self._timer = True
        self._loop.call_later(_COMMIT_EVERY_S, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = False
        if self._waiting and not self._busy and self.failure is None:
            self._commit()

    def _flush(self) -> None:
        self._flush_timer = False
        if self._pending and not self._busy and self.failure is None:
            self._commit()

    def _commit(self, *, at_once: bool = False) -> None:
        """Build the frame of all pending records and have it written, here or by the log thread
        (see the module). With `at_once`, notify the waiters before returning if it is written
        here."""
        self._busy = True
        self._last_commit_s = time.monotonic()
        # Where the next segment cannot be made, the present one is written on beyond its size.
        if self._offset >= self._segment.size and self._next is not None:
            self._rotate(self._next)
        records = self._pending
        labels = [pack_label(code, self._labels[code]) for code in self._fresh]
        self._pending, self._fresh = [], []
        # Waiters that come from here on belong to the next frame.
        self._released, self._waiting = self._waiting, []
        if not records:
            # Nothing was written since the last frame: all that these waiters wait for is durable
            # already, unless its copy is missing.
            if self.full is None:
                self._loop.call_soon(self._release)
            else:
                self._waiting, self._released, self._busy = self._released, [], False
            return
        payload = b"".join((*labels, *records)) if labels else b"".join(records)
        count = len(labels) + len(records)
        header = pack_frame_header(payload, self._frame, count, len(labels), self._segment.seed)
        frame = _Frame(self._segment, self._offset, header, payload)
        if self._copy is not None:
            sent = header + payload
            self._copy.send(self._segment.number, self._offset, self._frame + 1, sent)
        self._frame += 1
        self._offset += len(header) + len(payload)
        # A power of two has a single bit.
        if self._frame & (self._frame - 1) == 0:
            # After 1, 2, 4, 8 … frames labels are written again: a damaged frame then loses no
            # label for good.
            self._emitted.clear()
        # While the log thread has jobs, this write would overtake them.
        if self._disk_us < self._quick_us and not self._handed:
            result = self._write(frame)
            if at_once:
                self._written(frame, result)
            else:
                self._loop.call_soon(self._written, frame, result)
        else:
            self._hand_over_frame(frame)
        if (
            self._next is None
            and self._preparing is None
            and self.shortage is None
            and self._offset >= self._segment.size // 2
        ):
            self._prepare()

    def _hand_over_frame(self, frame: _Frame) -> None:
        self._hand_over(_Job(partial(self._write, frame), partial(self._written, frame)))

    def _hand_over(self, job: _Job) -> None:
        self._handed += 1
        self._jobs.put(job)

    def _run(self) -> None:
        """Run the log thread: one call per job, its result handed to the loop."""
        take, tell = self._jobs.get, self._loop.call_soon_threadsafe
        while (job := take()) is not None:
            tell(self._handed_back, job, job.call())

    def _handed_back(self, job: _Job, result: Any) -> None:
        self._handed -= 1
        job.done(result)

    def _write(self, frame: _Frame) -> OSError | None:
        """Write a frame and wait until it is on the disk. Return the error, or None."""
        began_s = time.monotonic()
        segment, offset = frame.segment, frame.offset
        header, payload = frame.header, frame.payload
        try:
            written = os.pwritev(segment.descriptor, (header, payload), offset, os.RWF_DSYNC)
            # The disk took a part only: writing the rest returns the reason.
            if written < len(header) + len(payload):
                offset, rest = offset + written, (header + payload)[written:]
                written = os.pwritev(segment.descriptor, (rest,), offset, os.RWF_DSYNC)
                if written < len(rest):
                    return OSError(f"the journal took {written} of {len(rest)} bytes")
            # Writes to a file that was removed succeed, and end with the process.
            if _is_removed(segment):
                return FileNotFoundError(
                    errno.ENOENT, "the journal was removed", str(self._directory)
                )
        except OSError as error:
            return error
        finally:
            self._disk_us = int((time.monotonic() - began_s) * 1e6)
        return None

    def _written(self, frame: _Frame, error: OSError | None) -> None:
        if error is not None:
            if error.errno in NO_ROOM:
                self._stall(frame, error)
            else:
                self._fail(error)
        elif self.failure is None:
            took_us = int((time.monotonic() - self._last_commit_s) * 1e6)
            self.commits[took_us.bit_length()] += 1
            self.commit_us += took_us
            if self._copy is not None:
                # The commit is over when the copy answers (`copied`, `uncopied`).
                self._is_uncopied = True
                self._copy.written(self._segment.number, self._offset, self._frame)
                return
            self.full = None
            self._acknowledge()
            self._release()

    def _acknowledge(self) -> None:
        """Write into the segment's header that its frames so far are acknowledged.

        INVARIANT: after they are durable, and before any waiter is notified. Nothing waits for the
        mark itself to be durable.
        """
        try:
            os.pwrite(self._segment.descriptor, pack_acknowledged(self._frame), ACKNOWLEDGED_AT)
        except OSError:
            # The mark before it stays: it is right and claims less.
            return

    def _stall(self, frame: _Frame, error: OSError) -> None:
        """Keep a frame that found no room, to be tried again at its place. Nothing else is written
        before it."""
        if self.full is None:
            self._full_since_s = time.monotonic()
        self.full, self._stalled = error, frame
        if not self.may_wait_for_room:
            waiters = (*self._released, *self._waiting)
            self._released, self._waiting = [], []
            self._tell(waiters, error)
        self._loop.call_later(self._room_every_s, self._try_again)
        self._idle.set()

    def _try_again(self) -> None:
        frame, self._stalled = self._stalled, None
        if frame is not None and self.failure is None:
            self._hand_over_frame(frame)

    def _try_for_the_last_time(self) -> None:
        """Try a last write because the process stops: a frame without room now is lost, and was
        acknowledged to nobody."""
        frame, self._stalled = self._stalled, None
        assert frame is not None
        error = self._write(frame)
        if error is not None:
            self._fail(error)
        else:
            self._written(frame, None)

    def _fail(self, error: OSError) -> None:
        """Fail closed: nothing is durable from here on, and every waiter hears so."""
        self.failure = error
        self._busy = False
        waiters = (*self._released, *self._waiting)
        self._released, self._waiting, self._pending = [], [], []
        self._tell(waiters, error)
        self._idle.set()

    def _tell(self, waiters: Sequence[Waiter], error: OSError | None) -> None:
        """Notify the waiters. An exception of one waiter is its own: the others are notified all
        the same."""
        for waiter in waiters:
            try:
                waiter.write_ended(error)
            except Exception as fault:
                message = "A waiter of the spool failed when it was notified."
                self._loop.call_exception_handler({"message": message, "exception": fault})

    def _release(self) -> None:
        """Notify the batch's waiters, then serve those that came meanwhile."""
        released, self._released = self._released, []
        self._tell(released, None)
        self._busy = False
        count = len(self._waiting)
        if count >= _WAITING_MAX:
            self._commit()
        elif count and not self._timer:
            self._start_timer()
        elif self._pending and not self._flush_timer:
            self._flush_timer = True
            self._loop.call_later(_INTENT_DELAY_S, self._flush)
        if self._closing:
            self._idle.set()

    # -- segments

    def _create(self, number: int, size: int) -> _Segment:
        """Make a new segment file: filled with zeros, its header and its name durable."""
        header = pack_segment_header(self._spool, number, time.time_ns(), self._boot)
        path = segment_path(self._directory, number)
        total = size + _LAST_FRAMES_BYTES
        room = os.statvfs(self._directory)
        if room.f_bavail * room.f_frsize < total:
            # Not tried: a failing attempt would take room that others could still use.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, total)
            fill_with_zeros(descriptor, 0, total)
            os.pwritev(descriptor, (header,), 0, os.RWF_DSYNC)
            force_folder(self._directory)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        # The header's own checksum seeds those of its frames: a frame of another segment never
        # fits.
        seed = int.from_bytes(header[56:60], "little")
        return _Segment(number, descriptor, _open_link(descriptor), seed, size)

    def _prepare(self) -> None:
        """Make the next segment ahead of time, in a thread of its own, so that no request waits for
        it."""
        number = self._segment.number + 1
        self._preparing = self._loop.run_in_executor(
            None, self._create, number, self._segment_bytes
        )
        self._preparing.add_done_callback(self._prepared)

    def _prepared(self, prepared: "asyncio.Future[_Segment]") -> None:
        self._preparing = None
        error = prepared.exception()
        if isinstance(error, OSError):
            if error.errno not in NO_ROOM and error.errno not in SCARCE:
                self._fail(error)
                return
            self.shortage = error
            self._loop.call_later(self._room_every_s, self._prepare_again)
        else:
            self._next, self.shortage = prepared.result(), None

    def _prepare_again(self) -> None:
        if (
            self._next is None
            and self._preparing is None
            and self.failure is None
            and not self._closing
        ):
            self._prepare()

    def _rotate(self, following: _Segment) -> None:
        """Go over to the next segment. Pending records name labels that the new segment has not
        seen yet."""
        if self._copy is not None:
            self._send_closing(self._copy)
            header = os.pread(following.descriptor, SEGMENT_HEADER.size, 0)
            self._copy.send(following.number, 0, 0, header)
        self._close_behind(partial(_error_of_closing, self._segment, self._frame, self._offset))
        # The number of a frame and its offset begin anew in each segment.
        self._segment, self._next = following, None
        self._offset, self._frame = SEGMENT_HEADER.size, 0
        self._emitted.clear()
        self._fresh = []
        for record in self._pending:
            self._emit(codes_of(record))

    def _send_closing(self, copy: Copy) -> None:
        closing = pack_frame_header(b"", self._frame, 0, 0, self._segment.seed)
        copy.send(self._segment.number, self._offset, self._frame, closing)

    def _close_behind(self, close: Callable[[], OSError | None]) -> None:
        """Have the log thread close a segment, and close it again while it finds no room."""

        def closed(error: OSError | None) -> None:
            if error is None:
                return
            if error.errno in NO_ROOM:
                self._loop.call_later(self._room_every_s, self._close_behind, close)
            else:
                self._fail(error)

        self._hand_over(_Job(close, closed))


@contextlib.contextmanager
def _without_room() -> Iterator[None]:
    """Leave out a closing frame that finds no room: the frames before it are read all the same."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def close_copy(segment: SpoolSegment) -> None:
    """Write the closing frame into a copy of a segment that has none, after its last whole frame:
    nothing follows there. Raise OSError."""
    whole = extent(segment)
    if segment.header is None or whole.is_closed:
        return
    descriptor = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
    open_segment = _Segment(segment.number, descriptor, -1, segment.header.checksum, whole.size)
    _close_segment(open_segment, whole.frames, whole.size)


def _open_link(descriptor: int) -> int:
    """Open the link in /proc that names an open file: reading it then walks no path. Return -1 where
    there is no /proc."""
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1


def _is_removed(segment: _Segment) -> bool:
    """Return whether a segment's file was removed, as its link in /proc says.

    The file's status says so too. But from Linux 6.13 on, whoever asks for it makes the next write
    note a new time, and a forced write then also writes the inode: half as long again on ext4.
    """
    try:
        return os.readlink("", dir_fd=segment.link).endswith(" (deleted)")
    except OSError:  # no /proc here, or a path that is too long for it
        return not os.fstat(segment.descriptor).st_nlink


def _error_of_closing(segment: _Segment, frame: int, offset: int) -> OSError | None:
    """Close a segment. Return the error of the disk, or None."""
    try:
        _close_segment(segment, frame, offset)
    except OSError as error:
        return error
    return None


def _close_segment(segment: _Segment, frame: int, offset: int) -> None:
    """Write the closing frame and give back the preallocated bytes that were not used."""
    header = pack_frame_header(b"", frame, 0, 0, segment.seed)
    os.pwritev(segment.descriptor, (header,), offset, os.RWF_DSYNC)
    os.ftruncate(segment.descriptor, offset + FRAME_HEADER.size)
    if segment.link >= 0:
        os.close(segment.link)
    os.close(segment.descriptor)
