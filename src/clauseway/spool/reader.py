"""Reading a spool: batches, positions and attempts left open; releasing sealed segments.

A frame is believed when its checksum holds and its number follows. Otherwise the rest of the
segment is searched for a valid frame. If there is one, the gap is damage and is reported as data;
if there is none, the frames end here: at the torn end of a process that died, or where the writer
has got to. A full or cleanly closed segment ends with a closing frame; if a segment has none and
other segments of the same start follow it, its end is damage too. The header counts the
acknowledged frames: none of these is a torn end.
"""

import contextlib
import os
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from itertools import compress
from pathlib import Path
from typing import NamedTuple, TypeVar

from clauseway.files import force_file, force_folder
from clauseway.files.folders import list_folder
from clauseway.metering import (
    Buyer,
    Deployment,
    Intent,
    RequestId,
    Ruling,
    Status,
    UsageRecord,
)
from clauseway.spool.segment_format import (
    FRAME_HEADER,
    FRAME_MAGIC,
    SEGMENT_HEADER,
    FrameHeader,
    Label,
    SegmentHeader,
    attempts_in,
    frame_is_valid,
    label_texts_in,
    times_in,
    unpack_frame_header,
    unpack_label,
    unpack_payload,
    unpack_segment_header,
)
from clauseway.spool.segments import (
    SpoolSegment,
    list_segments,
    note_number,
    note_released,
    segment_path,
)

_L = TypeVar("_L", Buyer, Deployment, Ruling)

# Read ahead by this much: a segment is read in some sixteen calls, not one per frame.
_BLOCK_BYTES = 1 << 20
_ZEROS = bytes(_BLOCK_BYTES)
_EVERY_SEGMENT = 1 << 64
_Key = tuple[int, int, int]  # an attempt: boot, number, attempt


class Damage(NamedTuple):
    """Damaged bytes of a segment. Frames `first` to `end` (half-open) are lost.

    `end` is -1 if it cannot be known because the segment's end is gone. `boot` is the start that
    wrote them (0: not known). Their events happened from `since_ns` to `until_ns` on the business
    clock, as far as the frames before and after them in the segment show; 0 where none does.
    """

    file: str
    offset: int
    first: int
    end: int
    reason: str
    boot: int = 0
    since_ns: int = 0
    until_ns: int = 0

    def __str__(self) -> str:
        lost = (
            f"frames {self.first} to {self.end - 1} are lost"
            if self.end >= 0
            else f"frames from {self.first} are lost"
        )
        return f"{self.file} at byte {self.offset}: {self.reason}; {lost}"


class FrameBatch(NamedTuple):
    """The records of frames `first` ≤ number < `end` of one segment of the spool `spool` (hex).

    `buyers`, `deployments` and `rulings` resolve the codes that these records name. `damages` lie
    within the range. `intent_frames` are the numbers of the frames in which the intents stand.
    """

    spool: str
    segment: int
    first: int
    end: int
    intents: tuple[Intent, ...]
    records: tuple[UsageRecord, ...]
    buyers: dict[int, Buyer]
    deployments: dict[int, Deployment]
    rulings: dict[int, Ruling]
    damages: tuple[Damage, ...]
    intent_frames: tuple[int, ...] = ()

    def entries(self) -> Iterator[tuple[UsageRecord, Buyer, Deployment, Ruling]]:
        """Yield each usage record with its labels."""
        for record in self.records:
            yield (
                record,
                self.buyers[record.buyer],
                self.deployments[record.deployment],
                self.rulings[record.ruling],
            )


class Position(NamedTuple):
    """The extent of a segment. Its frames are 0 ≤ number < `end`; `closed` when none will follow,
    ever.

    `boot` is the start that writes it, `created_ns` when that start began it; 0 if its header is
    damaged. The first `acknowledged` frames are known to be on the disk; later ones may be in the
    kernel's memory alone, and their writer may be dead.
    """

    spool: str
    segment: int
    end: int
    closed: bool
    damages: tuple[Damage, ...]
    boot: int = 0
    created_ns: int = 0
    acknowledged: int = 0

    @property
    def is_blank(self) -> bool:
        """True if its file has no byte but zeros: a process died while it made the segment, or all
        that was written there is gone."""
        return not (self.spool or self.damages)


class Extent(NamedTuple):
    """How far a segment is whole from its begin: `size` bytes, `frames` with records. 0 bytes if
    its header cannot be read. `is_closed`: its closing frame was read."""

    size: int = 0
    frames: int = 0
    is_closed: bool = False
    boot: int = 0


class OpenAttempt(NamedTuple):
    """An intent without usage, with its labels: the process that wrote it died, or is still working
    on it."""

    intent: Intent
    buyer: Buyer
    deployment: Deployment
    ruling: Ruling


class Unended(NamedTuple):
    """The traces of dead processes in a spool: `attempts` without an end, oldest first, and which of
    the requests asked about are `recorded` with usage."""

    attempts: list[OpenAttempt]
    recorded: set[RequestId]


class _Frame(NamedTuple):
    header: FrameHeader
    offset: int
    payload: bytes

    @property
    def is_closing(self) -> bool:
        return self.header.records == 0


class _File:
    """Positioned reads of a file that another process may be writing or truncating: never
    mapped."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._begin = 0
        self._block = b""

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes; fewer at the end of the file."""
        begin = offset - self._begin
        if begin < 0 or begin + size > len(self._block):
            self._begin, begin = offset, 0
            # A damaged header may claim gigabytes: memory is taken for bytes that are there.
            there = max(os.fstat(self._descriptor).st_size - offset, 0)
            self._block = os.pread(self._descriptor, min(max(size, _BLOCK_BYTES), there), offset)
        return self._block[begin : begin + size]

    def forget(self) -> None:
        """Drop the block that was read ahead: the writer may have completed it meanwhile."""
        self._block = b""

    def is_blank(self) -> bool:
        """Return whether the file has no byte but zeros."""
        offset = 0
        while data := self.at(offset, _BLOCK_BYTES):
            if data != _ZEROS[: len(data)]:
                return False
            offset += len(data)
        return True

    def find(self, needle: bytes, offset: int) -> int:
        """Return where `needle`, in which no byte is zero, is next found at or after `offset`; -1
        if nowhere."""
        before = b""
        while data := self.at(offset, _BLOCK_BYTES):
            # Most of a live segment is the zeros that it was filled with: one comparison skips
            # them.
            if data == _ZEROS[: len(data)]:
                before = b""
            elif (at := (before + data).find(needle)) >= 0:
                return offset - len(before) + at
            else:
                before = (before + data)[1 - len(needle) :]
            offset += len(data)
        return -1


def _frame_at(file: _File, offset: int, seed: int) -> _Frame | None:
    """Return the frame that begins here, if it is valid."""
    header = unpack_frame_header(file.at(offset, FRAME_HEADER.size))
    if header is None:
        return None
    payload = file.at(offset + FRAME_HEADER.size, header.length)
    return _Frame(header, offset, payload) if frame_is_valid(header, payload, seed) else None


def _frames(segment: SpoolSegment) -> Iterator[_Frame | Damage]:
    """Yield every valid frame of a segment in order, and the damage between them."""
    assert segment.header is not None
    header, seed = segment.header, segment.header.checksum
    sound: list[int] = []
    with _File(segment.path) as file:

        def lost(offset: int, first: int, end: int, reason: str, following: bytes) -> Damage:
            since_ns = _since(header, (_frame_at(file, at, seed) for at in sound))
            until_ns = times_in(following).last_ns
            return Damage(
                str(segment.path), offset, first, end, reason, header.boot, since_ns, until_ns
            )

        offset, number = SEGMENT_HEADER.size, 0
        while True:
            frame = _frame_at(file, offset, seed)
            if frame is None or frame.header.number != number:
                frame = _next_valid(file, offset, number, seed)
                if frame is None:
                    # The header was read before the frames, so a live writer cannot have
                    # acknowledged more since.
                    if header.acknowledged > number:
                        reason = "the last frames that were acknowledged cannot be read"
                        yield lost(offset, number, header.acknowledged, reason, b"")
                    return
                if frame.offset != offset:
                    reason = f"{frame.offset - offset} bytes fail their checksum"
                    yield lost(offset, number, frame.header.number, reason, frame.payload)
            sound.append(frame.offset)
            yield frame
            if frame.is_closing:
                return
            offset = frame.offset + FRAME_HEADER.size + frame.header.length
            number = frame.header.number + 1


def _since(header: SegmentHeader, before: Iterable[_Frame | None]) -> int:
    """Return the first instant at which events lost after these frames may have begun.

    The begin of the oldest attempt that is open after them, or their last event; the segment's own
    begin if there is none.
    """
    begun: dict[tuple[int, int, int], int] = {}
    last_ns = header.created_ns
    for frame in before:
        if frame is None:
            continue
        payload = unpack_payload(frame.payload)
        for intent in payload.intents:
            begun[intent.request.boot, intent.request.number, intent.attempt] = intent.event_ns
        for record in payload.usage:
            begun.pop((record.request.boot, record.request.number, record.attempt), None)
        # A frame of labels only has no time.
        last_ns = times_in(frame.payload).last_ns or last_ns
    return min([last_ns, *begun.values()])


def _next_valid(file: _File, offset: int, number: int, seed: int) -> _Frame | None:
    """Return the next valid frame that is not before `number`, after invalid bytes."""
    at = offset
    while (at := file.find(FRAME_MAGIC, at)) >= 0:
        frame = _frame_at(file, at, seed)
        if frame is not None and frame.header.number >= number:
            break
        at += 1
    else:
        return None
    # The writer completes a frame before it begins the next: a frame half-written a moment ago is
    # whole by now.
    file.forget()
    first = _frame_at(file, offset, seed)
    return first if first is not None and first.header.number == number else frame


def extent(segment: SpoolSegment) -> Extent:
    """Return how far a segment is whole: nothing beyond damage, and nothing of a torn end."""
    if segment.header is None:
        return Extent()
    offset, number, boot = SEGMENT_HEADER.size, 0, segment.header.boot
    with _File(segment.path) as file:
        while True:
            frame = _frame_at(file, offset, segment.header.checksum)
            if frame is None or frame.header.number != number:
                return Extent(offset, number, False, boot)
            offset += FRAME_HEADER.size + frame.header.length
            if frame.is_closing:
                return Extent(offset, number, True, boot)
            number += 1


def extents(directory: Path) -> list[Extent]:
    """Return how far each segment is whole, oldest first, without those released meanwhile."""
    wholes = []
    for segment in list_segments(directory):
        with contextlib.suppress(FileNotFoundError):
            wholes.append(extent(segment))
    return wholes


def positions(directory: Path) -> tuple[Position, ...]:
    """Return the extent of each segment of a spool, oldest first, without those released
    meanwhile."""
    segments = list_segments(directory)
    places = []
    for index, segment in enumerate(segments):
        with contextlib.suppress(FileNotFoundError):
            places.append(_position(segment, segments[index + 1 :]))
    return tuple(places)


def _position(segment: SpoolSegment, later: list[SpoolSegment]) -> Position:
    if segment.header is None:
        return _position_without_header(segment, later)
    end, offset, closing = 0, SEGMENT_HEADER.size, False
    damages: list[Damage] = []
    for part in _frames(segment):
        if isinstance(part, Damage):
            damages.append(part)
            end = max(end, part.end)
        else:
            closing = part.is_closing
            end = part.header.number + (0 if closing else 1)
            offset = part.offset + FRAME_HEADER.size + part.header.length
    boots = [other.header.boot for other in later if other.header is not None]
    is_cut = not closing and not (damages and damages[-1].end == end)
    if boots.count(segment.header.boot) > 1 and is_cut:
        # The next segment is made ahead of time; the one after it only once this one has its
        # closing frame.
        since_ns, boot = segment.header.created_ns, segment.header.boot
        damages.append(
            Damage(
                str(segment.path), offset, end, -1, "the segment's end is missing", boot, since_ns
            )
        )
    closed = closing or len(later) > 1 or any(boot != segment.header.boot for boot in boots)
    header = segment.header
    return Position(
        header.spool.hex(),
        segment.number,
        end,
        closed,
        tuple(damages),
        header.boot,
        header.created_ns,
        header.acknowledged,
    )


def _position_without_header(segment: SpoolSegment, later: list[SpoolSegment]) -> Position:
    """Return the position of a segment that a process did not finish making, or whose header is
    damaged."""
    with _File(segment.path) as file:
        # Zeros at the begin alone say nothing: a page may have been lost before frames that are
        # whole.
        is_blank = file.is_blank()
        file.forget()
        header = unpack_segment_header(file.at(0, SEGMENT_HEADER.size))
    if header is not None:
        # Its process was making it when it was listed, and has finished since.
        return _position(segment._replace(header=header), later)
    damage = Damage(str(segment.path), 0, 0, -1, "the segment's header fails its checksum")
    return Position("", segment.number, 0, bool(later), () if is_blank else (damage,))


def blank_segments(directory: Path) -> set[int]:
    """Return the numbers of the segments whose files have no byte but zeros."""
    unread = [segment for segment in list_segments(directory) if segment.header is None]
    return {segment.number for segment in unread if _is_blank(segment.path)}


def _is_blank(path: Path) -> bool:
    try:
        with _File(path) as file:
            return file.is_blank()
    except FileNotFoundError:
        return False


def force_segment(directory: Path, segment: int) -> None:
    """Make what a segment's file has durable. Raise OSError."""
    force_file(segment_path(directory, segment))


def read_frames(directory: Path, segment: int, first_frame: int, max_records: int) -> FrameBatch:
    """Read records of `segment` from frame `first_frame` on, whole frames, until `max_records` are
    reached.

    `end == first` when there is nothing (yet). Raise FileNotFoundError if the segment is gone.
    """
    path = segment_path(directory, segment)
    wanted = next((listed for listed in list_segments(directory) if listed.number == segment), None)
    if wanted is None:
        raise FileNotFoundError(f"{path} is not a segment of this spool")
    if wanted.header is None:
        return FrameBatch("", segment, first_frame, first_frame, (), (), {}, {}, {}, ())
    return _collect(wanted, wanted.header.spool.hex(), first_frame, max_records)


def _collect(segment: SpoolSegment, spool: str, first: int, max_records: int) -> FrameBatch:
    labels: dict[int, Label] = {}
    intents: list[Intent] = []
    intent_frames: list[int] = []
    records: list[UsageRecord] = []
    damages: list[Damage] = []
    end = first
    for part in _frames(segment):
        if isinstance(part, Damage):
            if part.end > first:
                damages.append(part)
                # Lost frames count as read, so that a batch reaches over them.
                end = max(end, part.end)
        elif part.is_closing:
            break
        elif part.header.number < first:
            if part.header.labels:
                labels.update(unpack_payload(part.payload).labels)
        else:
            payload = unpack_payload(part.payload)
            labels.update(payload.labels)
            intents += payload.intents
            intent_frames += [part.header.number] * len(payload.intents)
            records += payload.usage
            end = part.header.number + 1
            if len(intents) + len(records) >= max_records:
                break
    both: list[Intent | UsageRecord] = [*intents, *records]
    named = {code for record in both for code in (record.buyer, record.deployment, record.ruling)}
    # Labels in a damaged frame may be repeated in a later one; records without labels are lost.
    if not named <= labels.keys():
        labels = _labels_of(segment) | labels
    lost = (
        []
        if named <= labels.keys()
        else [record for record in both if not _codes(record) <= labels.keys()]
    )
    if lost:
        reason = f"the labels of {len(lost)} records were lost, and they with them"
        events = [record.event_ns for record in lost]
        boot = segment.header.boot if segment.header is not None else 0
        damages.append(
            Damage(str(segment.path), 0, first, end, reason, boot, min(events), max(events))
        )
        named_in = [_codes(intent) <= labels.keys() for intent in intents]
        intents = list(compress(intents, named_in))
        intent_frames = list(compress(intent_frames, named_in))
        records = [record for record in records if _codes(record) <= labels.keys()]
        both = [*intents, *records]
    return FrameBatch(
        spool,
        segment.number,
        first,
        end,
        tuple(intents),
        tuple(records),
        _named(Buyer, {record.buyer for record in both}, labels),
        _named(Deployment, {record.deployment for record in both}, labels),
        _named(Ruling, {record.ruling for record in both}, labels),
        tuple(damages),
        tuple(intent_frames),
    )


def _labels_of(segment: SpoolSegment) -> dict[int, Label]:
    """Return every label that a segment still holds: the label of a damaged frame may stand in a
    later frame too."""
    labels: dict[int, Label] = {}
    for part in _frames(segment):
        if not isinstance(part, Damage) and part.header.labels:
            labels |= unpack_payload(part.payload).labels
    return labels


def _codes(record: Intent | UsageRecord) -> set[int]:
    return {record.buyer, record.deployment, record.ruling}


def _named(kind: type[_L], codes: set[int], labels: dict[int, Label]) -> dict[int, _L]:
    """Return the labels behind `codes`."""
    return {code: label for code in sorted(codes) if isinstance(label := labels[code], kind)}


def open_attempts(directory: Path) -> list[OpenAttempt]:
    """Return the intents without usage in the whole spool, oldest first."""
    return unended(directory).attempts


def unended(directory: Path, requests: Collection[RequestId] = ()) -> Unended:
    """Return what `reading_unended` does of a whole spool, without a pause for others."""
    reading = reading_unended(directory, requests=requests)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            whole: Unended = done.value
            return whole


def reading_unended(
    directory: Path, before: int = _EVERY_SEGMENT, requests: Collection[RequestId] = ()
) -> Generator[None, None, Unended]:
    """Read what is open in the segments before number `before`, and which of the requests `requests`
    about have usage there.

    Yields after each frame, so that others go on meanwhile. Only identifiers are read: a record is
    unpacked only where an attempt has no end, so that memory grows with what is open, not with what
    was written.
    """
    while True:
        try:
            return (yield from _unended(directory, before, frozenset(requests)))
        except FileNotFoundError:
            # Sealed and released meanwhile. The ends that stood there may be missing: begin again.
            continue


def _unended(
    directory: Path, before: int, requests: frozenset[RequestId]
) -> Generator[None, None, Unended]:
    attempts: dict[_Key, OpenAttempt] = {}
    recorded: set[RequestId] = set()
    request_keys = {(request.boot, request.number) for request in requests}
    for segment in list_segments(directory):
        if segment.header is None or segment.number >= before:
            continue
        labels: dict[int, bytes] = {}
        begun: dict[_Key, bytes] = {}  # each with the frame in which it began
        for part in _frames(segment):
            yield
            if isinstance(part, Damage):
                continue
            if part.header.labels:
                labels |= label_texts_in(part.payload)
            begun_here, ended_here = attempts_in(part.payload)
            for key in begun_here:
                begun[key] = part.payload
            for key in ended_here:
                if begun.pop(key, None) is None:
                    attempts.pop(key, None)
            if request_keys and any(key[:2] in request_keys for key in ended_here):
                ends = unpack_payload(part.payload).usage
                recorded.update(end.request for end in ends if end.status is not Status.LOST)
        for key, payload in begun.items():
            attempt = _open_attempt(key, payload, labels)
            if attempt is not None:
                attempts[key] = attempt
    return Unended(list(attempts.values()), recorded & requests)


def _open_attempt(key: _Key, payload: bytes, labels: dict[int, bytes]) -> OpenAttempt | None:
    """Return the attempt that begins in a frame; None if its labels were lost, and it with them."""
    intent = next(
        intent
        for intent in unpack_payload(payload).intents
        if (intent.request.boot, intent.request.number, intent.attempt) == key
    )
    if not _codes(intent) <= labels.keys():
        return None
    buyer, deployment, ruling = (
        unpack_label(labels[code]) for code in (intent.buyer, intent.deployment, intent.ruling)
    )
    assert isinstance(buyer, Buyer)
    assert isinstance(deployment, Deployment)
    assert isinstance(ruling, Ruling)
    return OpenAttempt(intent, buyer, deployment, ruling)


def _segments_with_open_attempts(directory: Path) -> set[int]:
    """Return the segments in which an attempt begins that has no end in any segment."""
    begun: dict[_Key, int] = {}
    for segment in list_segments(directory):
        for part in _frames(segment) if segment.header is not None else ():
            if isinstance(part, Damage):
                continue
            begun_here, ended_here = attempts_in(part.payload)
            begun.update(dict.fromkeys(begun_here, segment.number))
            for key in ended_here:
                begun.pop(key, None)
    return set(begun.values())


def release(directory: Path, sealed_ends: Mapping[int, int]) -> list[int]:
    """Delete the segments whose frames (0 ≤ number < their `sealed_ends`) are all sealed elsewhere,
    oldest first, up to the first that must stay. Return the numbers of those that are gone.

    A segment stays while it may be written, while an older segment exists (the oldest goes first,
    so that an attempt's end never goes before its beginning), while frames are missing from the
    sealed ones, and while an attempt begun in it is open. A damaged segment is renamed, not
    deleted: its bytes may be the only ones left.
    """
    released: list[int] = []
    open_segments: set[int] | None = None
    for place in positions(directory):
        if not place.closed or place.end > sealed_ends.get(place.segment, -1):
            break
        # All are read once for all that go, and only where one may go.
        if open_segments is None:
            open_segments = _segments_with_open_attempts(directory)
        if place.segment in open_segments:
            break
        _let_go(directory, place)
        released.append(place.segment)
    return released


def _let_go(directory: Path, place: Position) -> None:
    path = segment_path(directory, place.segment)
    note_number(directory, place.segment + 1)
    if place.damages:
        # No note: the copy at a follower, if there is one, may be the sound one.
        path.rename(path.with_name(path.name + ".damaged"))
    else:
        if not list_folder(directory, "*.damaged"):
            note_released(directory, place.segment)
        path.unlink()
    force_folder(directory)
