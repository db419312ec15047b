"""The layout of a segment file, which does not change any more. All numbers are little-endian: `u64`
is unsigned and has 64 bits, `i64` is signed.

Segment header, 64 bytes, at offset 0:

    offset  size  field
         0     8  magic              "CLWSPOOL"
         8     2  version       u16  1
        10     2  header size   u16  64
        12     4  reserved      u32  0
        16    16  spool id           of the directory; it never changes
        32     8  segment       u64  the number in the file's name
        40     8  created       u64  nanoseconds since 1970, the machine's clock
        48     8  boot          u64  the start of the gateway that writes it
        56     4  checksum      u32  CRC-32 of bytes 0 to 55
        60     4  acknowledged  u32  the number of frames that were reported as durable

The last field is updated after each commit, before the waiters of its records are notified. It is
not forced to disk: it survives the end of the process, but after a loss of power it may lag behind.
It is never ahead of the durable frames. So an unreadable frame below it was lost, while bytes at or
above it may be a write that was never acknowledged. Older segments have 0 there, which has no
meaning.

Frames follow without a gap. Each is one commit: a header of 28 bytes and a payload of records,
labels first:

    offset  size  field
         0     4  magic              "CWFR"
         4     4  length        u32  of the payload in bytes
         8     4  checksum      u32  CRC-32 of bytes 12 to 27, then 4 to 7, then the payload,
                                   continued from the segment header's checksum
        12     8  number        u64  of the frame in its segment, from 0
        20     4  records       u32  how many in the payload, labels included
        24     4  labels        u32  how many of them are labels

Because its checksum continues that of the segment header, a frame is valid in its own segment only.
A closing frame (the next number, no payload, no records) says that nothing follows: it is written
when a segment is full and at a clean stop. The file may be longer than its frames (preallocated,
zeros). A segment without a closing frame was left by a process that died.

Records. The first byte is the kind. A label (1) is data that many records share. It is written in
each segment before its first use. After 1, 2, 4, 8 … frames of the segment, it is written again
before its next use, so that a damaged frame loses no label for good:

    u8 kind | u32 code | u32 length | JSON: {"type": "buyer" | "deployment" | "ruling", ...its fields}

The three types share one series of codes, which holds within the segment. Intent (2) and usage (3)
begin with the same 49 bytes:

    u8 kind | u64 boot | u64 number | u16 attempt | i64 event_ns | i64 recorded_ns
      | u32 buyer | u32 deployment | u32 ruling | u16 endpoint

Intent goes on with 24 bytes, usage with 31 and two parts of variable length. Of the unsigned numbers
a writer uses the lower half:

    intent: u64 body_bytes | u64 output_tokens_max | u64 reserved_picodollars
    usage:  u8 status | u16 http_status | u8 streamed | u64 duration_us | u64 first_content_us
              | i64 charge_picodollars | u8 unit count | u16 id length
              | unit count x (u16 unit code, u64 quantity) | upstream id, UTF-8

A field that was added later stands among the units, as a pair with a code of its own. There is one:
code 65280, whose quantity is the position of the service tier in `metering.endpoints.TIERS`.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from librt.strings import BytesWriter, write_i16_le, write_i32_le, write_i64_le

from clauseway.metering import (
    Buyer,
    Deployment,
    Intent,
    RequestId,
    Ruling,
    Status,
    Unit,
    UsageRecord,
)
from clauseway.metering.endpoints import TIERS

Label = Buyer | Deployment | Ruling

VERSION: Final = 1
SEGMENT_MAGIC: Final = b"CLWSPOOL"
FRAME_MAGIC: Final = b"CWFR"
SEGMENT_HEADER: Final = Struct("<8sHHI16sQQQII")
ACKNOWLEDGED_AT, ACKNOWLEDGED_END = 60, 64  # in the header; the only part that changes
FRAME_HEADER: Final = Struct("<4sIIQII")
# The part of a frame's header that the checksum covers: number, records, labels, length.
_FRAME_NUMBERS: Final = Struct("<QIII")
_CHECKSUM: Final = Struct("<I")
_COUNT_MAX: Final = 0xFFFF_FFFF

LABEL, INTENT, USAGE = 1, 2, 3
_LABEL: Final = Struct("<BII")
_ATTEMPT: Final = "BQQHqqIIIH"
_CODES: Final = Struct("<III")
_CODES_AT: Final = Struct("<BQQHqq").size
_INTENT: Final = Struct("<" + _ATTEMPT + "QQQ")
_KEY: Final = Struct("<QQH")  # boot, number, attempt
# The lengths in a usage record: how many units, and how long the upstream id is.
_LENGTHS: Final = Struct("<BH")
_USAGE_FIELDS: Final = _ATTEMPT + "BHBQQqBH"
_USAGE_FIELD_COUNT: Final = len(_USAGE_FIELDS)
_UNIT_FIELDS: Final = "HQ"
# A look-up here takes a third of the time of `Unit(code)`.
_UNIT_OF: Final = {int(unit): unit for unit in Unit}
TIER_CODE: Final = 0xFF00
# One struct per count of units, because unpacking head and units in one call is cheaper than two. A
# record has a handful of units; all 256 structs would take two megabytes.
_PREPARED: Final = 24
_USAGE: Final = tuple(
    Struct("<" + _USAGE_FIELDS + _UNIT_FIELDS * count) for count in range(_PREPARED)
)
# A cloud's request id has some 40 bytes. A longer id than this is cut, not refused.
_UPSTREAM_ID_BYTES_MAX: Final = 512
_LABEL_TYPES: Final[dict[str, Callable[..., Label]]] = {
    "buyer": Buyer,
    "deployment": Deployment,
    "ruling": Ruling,
}


class SegmentHeader(NamedTuple):
    """The header of a segment.

    `checksum` is the header's own and begins the checksums of its frames. `acknowledged` counts
    frames.
    """

    spool: bytes
    segment: int
    created_ns: int
    boot: int
    checksum: int
    acknowledged: int = 0


class FrameHeader(NamedTuple):
    """A frame's header as read; only `frame_is_valid` says whether to believe it."""

    length: int
    checksum: int
    number: int
    records: int
    labels: int


class Payload(NamedTuple):
    """The records of one frame, in order of writing."""

    labels: dict[int, Label]
    intents: list[Intent]
    usage: list[UsageRecord]


def _usage_struct(count: int) -> Struct:
    if count < _PREPARED:
        return _USAGE[count]
    return Struct("<" + _USAGE_FIELDS + _UNIT_FIELDS * count)


def pack_segment_header(spool: bytes, segment: int, created_ns: int, boot: int) -> bytes:
    """Return the 64 bytes of a header. `spool` is 16 bytes."""
    size = SEGMENT_HEADER.size
    unchecked = SEGMENT_HEADER.pack(
        SEGMENT_MAGIC, VERSION, size, 0, spool, segment, created_ns, boot, 0, 0
    )
    covered = unchecked[:56]
    return covered + _CHECKSUM.pack(zlib.crc32(covered)) + unchecked[60:]


def unpack_segment_header(data: bytes) -> SegmentHeader | None:
    """Return the header, or None if these bytes are not a header of ours (too short, other magic or
    version, damaged)."""
    if len(data) < SEGMENT_HEADER.size:
        return None
    magic, version, _, _, spool, segment, created_ns, boot, checksum, acknowledged = (
        SEGMENT_HEADER.unpack_from(data)
    )
    if magic != SEGMENT_MAGIC or version != VERSION or checksum != zlib.crc32(data[:56]):
        return None
    return SegmentHeader(spool, segment, created_ns, boot, checksum, acknowledged)


def seeds_of(data: bytes) -> tuple[int, int]:
    """Return two checksums of a damaged segment header, the stored one and the computed one.

    If a single place of the header is damaged, one of them is right: the checksums of the frames
    continue it.
    """
    return int.from_bytes(data[56:60], "little"), zlib.crc32(data[:56])


def pack_acknowledged(frames: int) -> bytes:
    """Pack the number of acknowledged frames, for `ACKNOWLEDGED_AT`."""
    return _CHECKSUM.pack(min(frames, _COUNT_MAX))


def pack_frame_header(payload: bytes, number: int, records: int, labels: int, seed: int) -> bytes:
    """Return the 28 bytes of a header. `seed` is the checksum of the segment's header."""
    length = len(payload)
    numbers = _FRAME_NUMBERS.pack(number, records, labels, length)
    checksum = zlib.crc32(payload, zlib.crc32(numbers, seed))
    return FRAME_HEADER.pack(FRAME_MAGIC, length, checksum, number, records, labels)


def unpack_frame_header(data: bytes) -> FrameHeader | None:
    """Return the header, or None if no frame begins here."""
    if len(data) < FRAME_HEADER.size:
        return None
    magic, length, checksum, number, records, labels = FRAME_HEADER.unpack_from(data)
    return FrameHeader(length, checksum, number, records, labels) if magic == FRAME_MAGIC else None


def frame_is_valid(header: FrameHeader, payload: bytes, seed: int) -> bool:
    """True if header and payload are as written, in the segment they were written to."""
    numbers = _FRAME_NUMBERS.pack(header.number, header.records, header.labels, header.length)
    return (
        len(payload) == header.length
        and zlib.crc32(payload, zlib.crc32(numbers, seed)) == header.checksum
    )


def pack_label(code: int, label: Label) -> bytes:
    fields = {name: getattr(label, name) for name in label.__struct_fields__}
    text = json.dumps(
        {"type": type(label).__struct_config__.tag, **fields}, ensure_ascii=False
    ).encode()
    return _LABEL.pack(LABEL, code, len(text)) + text


def pack_intent(
    boot: int,
    number: int,
    attempt: int,
    event_ns: int,
    recorded_ns: int,
    buyer: int,
    deployment: int,
    ruling: int,
    endpoint: int,
    body_bytes: int,
    output_tokens_max: int,
    reserved_picodollars: int,
) -> bytes:
    """Pack an `Intent`, field by field: on the request's way no record is built only to be
    packed. Compiled code writes each number without an object in between. Raise OverflowError for a
    number that does not fit."""
    packed = _begin_record(
        INTENT,
        boot,
        number,
        attempt,
        event_ns,
        recorded_ns,
        buyer,
        deployment,
        ruling,
        endpoint,
    )
    write_i64_le(packed, body_bytes)
    write_i64_le(packed, output_tokens_max)
    write_i64_le(packed, reserved_picodollars)
    return packed.getvalue()


def pack_usage_fields(
    boot: int,
    number: int,
    attempt: int,
    event_ns: int,
    recorded_ns: int,
    buyer: int,
    deployment: int,
    ruling: int,
    endpoint: int,
    status: int,
    http_status: int,
    streamed: bool,
    duration_us: int,
    first_content_us: int,
    charge_picodollars: int,
    units: tuple[tuple[int, int], ...],
    upstream_id: bytes,
) -> bytes:
    """Pack a `UsageRecord`, field by field, like `pack_intent`.

    A new field of the record has to be written out here, in `pack_usage` and in `_unpack_usage`:
    `tests/metering/test_fields.py` says so.
    """
    identifier = upstream_id[:_UPSTREAM_ID_BYTES_MAX]
    packed = _begin_record(
        USAGE,
        boot,
        number,
        attempt,
        event_ns,
        recorded_ns,
        buyer,
        deployment,
        ruling,
        endpoint,
    )
    packed.append(status)
    write_i16_le(packed, http_status)
    packed.append(1 if streamed else 0)
    write_i64_le(packed, duration_us)
    write_i64_le(packed, first_content_us)
    write_i64_le(packed, charge_picodollars)
    packed.append(len(units))
    write_i16_le(packed, len(identifier))
    for code, quantity in units:
        packed.append(code & 0xFF)
        packed.append(code >> 8)
        write_i64_le(packed, quantity)
    packed.write(identifier)
    return packed.getvalue()


def _begin_record(
    kind: int,
    boot: int,
    number: int,
    attempt: int,
    event_ns: int,
    recorded_ns: int,
    buyer: int,
    deployment: int,
    ruling: int,
    endpoint: int,
) -> BytesWriter:
    """Write the bytes with which intents and usage begin."""
    packed = BytesWriter()
    packed.append(kind)
    write_i64_le(packed, boot)
    write_i64_le(packed, number)
    write_i16_le(packed, attempt)
    write_i64_le(packed, event_ns)
    write_i64_le(packed, recorded_ns)
    write_i32_le(packed, buyer)
    write_i32_le(packed, deployment)
    write_i32_le(packed, ruling)
    write_i16_le(packed, endpoint)
    return packed


def pack_usage(record: UsageRecord) -> bytes:
    """Pack a `UsageRecord` that already exists."""
    return pack_usage_fields(
        boot=record.request.boot,
        number=record.request.number,
        attempt=record.attempt,
        event_ns=record.event_ns,
        recorded_ns=record.recorded_ns,
        buyer=record.buyer,
        deployment=record.deployment,
        ruling=record.ruling,
        endpoint=record.endpoint,
        status=record.status,
        http_status=record.http_status,
        streamed=record.streamed,
        duration_us=record.duration_us,
        first_content_us=record.first_content_us,
        charge_picodollars=record.charge_picodollars,
        units=_units_and_tier(record),
        upstream_id=record.upstream_id.encode(),
    )


def _units_and_tier(record: UsageRecord) -> tuple[tuple[int, int], ...]:
    """Return the units, followed by the service tier if the cloud reported it."""
    return (*record.units, (TIER_CODE, TIERS.index(record.tier))) if record.tier else record.units


def codes_of(record: bytes) -> tuple[int, int, int]:
    """Return the label codes (buyer, deployment, ruling) that a packed intent or usage record
    names."""
    return _CODES.unpack_from(record, _CODES_AT)


def unpack_payload(payload: bytes) -> Payload:
    """Unpack the records of a valid frame."""
    labels: dict[int, Label] = {}
    intents: list[Intent] = []
    usage: list[UsageRecord] = []
    at = 0
    while at < len(payload):
        kind = payload[at]
        if kind == LABEL:
            code, label, at = _unpack_label(payload, at)
            labels[code] = label
        elif kind == INTENT:
            intents.append(_intent(_INTENT.unpack_from(payload, at)))
            at += _INTENT.size
        else:
            # The checksum held, so another kind is our own mistake, not damage.
            assert kind == USAGE, f"a valid frame holds a record of kind {kind}"
            record, at = _unpack_usage(payload, at)
            usage.append(record)
    return Payload(labels, intents, usage)


class Times(NamedTuple):
    """The first and the last event among records, on the business clock; 0 if there is no
    record."""

    first_ns: int
    last_ns: int


def times_in(payload: bytes) -> Times:
    """Return the times of the events in a valid frame."""
    records = unpack_payload(payload)
    events = [intent.event_ns for intent in records.intents] + [
        usage.event_ns for usage in records.usage
    ]
    return Times(min(events), max(events)) if events else Times(0, 0)


def attempts_in(payload: bytes) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Return the attempts (boot, number, attempt) that a valid frame begins, and those it ends.

    Quicker than unpacking the records.
    """
    begun: list[tuple[int, int, int]] = []
    ended: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload):
        kind = payload[at]
        if kind == LABEL:
            at += _LABEL.size + _LABEL.unpack_from(payload, at)[2]
        elif kind == INTENT:
            begun.append(_KEY.unpack_from(payload, at + 1))
            at += _INTENT.size
        else:
            assert kind == USAGE, f"a valid frame holds a record of kind {kind}"
            ended.append(_KEY.unpack_from(payload, at + 1))
            # The lengths end the fixed part; units and the upstream id follow.
            count, id_length = _LENGTHS.unpack_from(payload, at + _USAGE[0].size - _LENGTHS.size)
            at += _usage_struct(count).size + id_length
    return begun, ended


def label_texts_in(payload: bytes) -> dict[int, bytes]:
    """Return the labels of a valid frame, packed, by code: quicker than unpacking them.

    `unpack_label` reads one of them.
    """
    labels: dict[int, bytes] = {}
    at = 0
    # Labels come first.
    while at < len(payload) and payload[at] == LABEL:
        _, code, length = _LABEL.unpack_from(payload, at)
        begin = at + _LABEL.size
        at = begin + length
        labels[code] = payload[begin:at]
    return labels


def unpack_label(text: bytes) -> Label:
    fields = json.loads(text)
    build = _LABEL_TYPES[fields.pop("type")]
    frozen = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return build(**frozen)


def _unpack_label(payload: bytes, at: int) -> tuple[int, Label, int]:
    _, code, length = _LABEL.unpack_from(payload, at)
    begin = at + _LABEL.size
    return code, unpack_label(payload[begin : begin + length]), begin + length


def _intent(fields: tuple[int, ...]) -> Intent:
    _, boot, number, *rest = fields
    return Intent(RequestId(boot, number), *rest)


def _unpack_usage(payload: bytes, at: int) -> tuple[UsageRecord, int]:
    (
        _,
        boot,
        number,
        attempt,
        event_ns,
        recorded_ns,
        buyer,
        deployment,
        ruling,
        endpoint,
        status,
        http_status,
        streamed,
        duration_us,
        first_content_us,
        charge_picodollars,
        count,
        id_length,
    ) = _USAGE[0].unpack_from(payload, at)
    flat = _usage_struct(count).unpack_from(payload, at)[_USAGE_FIELD_COUNT:]
    begin = at + _usage_struct(count).size
    end = begin + id_length
    record = UsageRecord(
        RequestId(boot, number),
        attempt,
        event_ns,
        recorded_ns,
        buyer,
        deployment,
        ruling,
        endpoint,
        Status(status),
        http_status,
        bool(streamed),
        duration_us,
        first_content_us,
        charge_picodollars,
        _units(flat),
        # An id that was cut in the middle of a character still identifies the request.
        payload[begin:end].decode(errors="replace"),
        _tier(flat) if TIER_CODE in flat else "",
    )
    return record, end


def _units(flat: Sequence[int]) -> tuple[tuple[Unit, int], ...]:
    numbers = iter(flat)
    return tuple(
        [
            (_UNIT_OF[code], count)
            for code, count in zip(numbers, numbers, strict=True)
            if code != TIER_CODE
        ]
    )


def _tier(flat: Sequence[int]) -> str:
    """Return the service tier among the units; empty if there is none, or if it is a tier that only
    a later version knows."""
    for code, place in zip(flat[::2], flat[1::2], strict=True):
        if code == TIER_CODE and place < len(TIERS):
            return TIERS[place]
    return ""
