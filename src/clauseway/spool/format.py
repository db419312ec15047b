"""The layout of a segment file, final. All numbers are little-endian; `u` is unsigned, `i` signed, the figure is bits.

Segment header, 64 bytes, at offset 0:

    offset  size  field
         0     8  magic              "CLWSPOOL"
         8     2  version       u16  1
        10     2  header size   u16  64
        12     4  reserved      u32  0
        16    16  spool id           one per directory, for ever
        32     8  segment       u64  the number in the file's name
        40     8  created       u64  nanoseconds since 1970, the machine's clock
        48     8  boot          u64  the start of the gateway that writes it
        56     4  checksum      u32  CRC-32 of bytes 0 to 55
        60     4  acknowledged  u32  how many frames somebody may have been told are durable

The last field is written anew after each commit, before whoever waits for it is told, and is not forced to
disk: it outlives the process, and after a loss of power it may lag behind. It is never ahead of what is durable.
So a frame below it that cannot be read was lost, while bytes at or above it may be a write that was never
acknowledged. Older segments have 0 there, which says nothing.

Frames follow without a gap. Each is one commit: a header of 28 bytes and a payload of records, labels first:

    offset  size  field
         0     4  magic              "CWFR"
         4     4  length        u32  of the payload in bytes
         8     4  checksum      u32  CRC-32 of bytes 12 to 27, then 4 to 7, then the payload,
                                   begun with the segment header's checksum
        12     8  number        u64  of the frame in its segment, from 0
        20     4  records       u32  how many in the payload, labels included
        24     4  labels        u32  how many of them are labels

Begun with the segment's checksum, a frame is valid in its own segment only. A closing frame (number as usual, no
payload, no records) says that nothing follows: it is written when a segment is full and at a clean stop. The file may
be longer than its frames (preallocated, zeros). A segment without a closing frame was left by a process that died.

Records. The first byte is the kind. Label (1): what many records share, written in each segment before its first
use, and again after 1, 2, 4, 8 … frames when it is used:

    u8 kind | u32 code | u32 length | JSON: {"type": "buyer" | "deployment" | "ruling", ...its fields}

Codes are one space for all three types and hold within the segment. Intent (2) and usage (3) begin alike, 49 bytes:

    u8 kind | u64 boot | u64 number | u16 attempt | i64 event_ns | i64 recorded_ns
      | u32 buyer | u32 deployment | u32 ruling | u16 endpoint

Intent goes on with 24 bytes, usage with 31 and two parts of variable length:

    intent: u64 body_bytes | u64 output_tokens_max | u64 reserved_picodollars
    usage:  u8 status | u16 http_status | u8 streamed | u64 duration_us | u64 first_content_us
              | i64 charge_picodollars | u8 unit count | u16 id length
              | unit count x (u16 unit code, u64 quantity) | upstream id, UTF-8

What a record learned to hold later stands among the units: code 65280 is no unit, its quantity is the place of the
tier in `metering.endpoints.TIERS`.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

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
ACKNOWLEDGED_AT: Final = 60
FRAME_HEADER: Final = Struct("<4sIIQII")
_FRAME_NUMBERS: Final = Struct(
    "<QIII"
)  # what the checksum covers of a frame's header: number, records, labels, length
_CHECKSUM: Final = Struct("<I")
_COUNT_MAX: Final = 0xFFFF_FFFF

LABEL, INTENT, USAGE = 1, 2, 3
_LABEL: Final = Struct("<BII")
_ATTEMPT: Final = "BQQHqqIIIH"
_CODES: Final = Struct("<III")
_CODES_AT: Final = Struct("<BQQHqq").size
_INTENT: Final = Struct("<" + _ATTEMPT + "QQQ")
_KEY: Final = Struct("<QQH")  # boot, number, attempt
_LENGTHS: Final = Struct(
    "<BH"
)  # of a usage record: how many units, and how long the upstream id is
_USAGE_FIELDS: Final = _ATTEMPT + "BHBQQqBH"
_USAGE_FIELD_COUNT: Final = len(_USAGE_FIELDS)
_UNIT_FIELDS: Final = "HQ"
_UNITS_MAX: Final = 255
_UNIT_OF: Final = {
    int(unit): unit for unit in Unit
}  # a third of the time that asking the enumeration takes
TIER_CODE: Final = 0xFF00
# One struct per count of units, because packing head and units in one call is cheaper than two.
_USAGE: Final = tuple(
    Struct("<" + _USAGE_FIELDS + _UNIT_FIELDS * count) for count in range(_UNITS_MAX + 1)
)
_UPSTREAM_ID_BYTES_MAX: Final = (
    512  # a cloud's request id is some 40 bytes; what is longer is cut, never refused
)
_LABEL_TYPES: Final[dict[str, Callable[..., Label]]] = {
    "buyer": Buyer,
    "deployment": Deployment,
    "ruling": Ruling,
}


class SegmentHeader(NamedTuple):
    """What a segment says of itself.

    `checksum` is the header's own and begins that of its frames. `acknowledged` counts frames.
    """

    spool: bytes
    segment: int
    created_ns: int
    boot: int
    checksum: int
    acknowledged: int = 0


class FrameHeader(NamedTuple):
    """A frame's header as found; only `frame_is_valid` says whether to believe it."""

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


def pack_segment_header(spool: bytes, segment: int, created_ns: int, boot: int) -> bytes:
    """64 bytes. `spool` is 16 bytes."""
    size = SEGMENT_HEADER.size
    unchecked = SEGMENT_HEADER.pack(
        SEGMENT_MAGIC, VERSION, size, 0, spool, segment, created_ns, boot, 0, 0
    )
    covered = unchecked[:56]
    return covered + _CHECKSUM.pack(zlib.crc32(covered)) + unchecked[60:]


def unpack_segment_header(data: bytes) -> SegmentHeader | None:
    """The header, or None where these bytes are none of ours (too short, other magic or version, damaged)."""
    if len(data) < SEGMENT_HEADER.size:
        return None
    magic, version, _, _, spool, segment, created_ns, boot, checksum, acknowledged = (
        SEGMENT_HEADER.unpack_from(data)
    )
    if magic != SEGMENT_MAGIC or version != VERSION or checksum != zlib.crc32(data[:56]):
        return None
    return SegmentHeader(spool, segment, created_ns, boot, checksum, acknowledged)


def seeds_of(data: bytes) -> tuple[int, int]:
    """With which a segment's frames may begin their checksums where its header is damaged: the checksum as it stands
    there, and that of the header's other bytes. One damaged place leaves one of them right."""
    return int.from_bytes(data[56:60], "little"), zlib.crc32(data[:56])


def pack_acknowledged(frames: int) -> bytes:
    """How many frames were acknowledged, for `ACKNOWLEDGED_AT`."""
    return _CHECKSUM.pack(min(frames, _COUNT_MAX))


def pack_frame_header(payload: bytes, number: int, records: int, labels: int, seed: int) -> bytes:
    """28 bytes. `seed` is the checksum of the segment's header."""
    length = len(payload)
    numbers = _FRAME_NUMBERS.pack(number, records, labels, length)
    checksum = zlib.crc32(payload, zlib.crc32(numbers, seed))
    return FRAME_HEADER.pack(FRAME_MAGIC, length, checksum, number, records, labels)


def unpack_frame_header(data: bytes) -> FrameHeader | None:
    """The header, or None where no frame begins here."""
    if len(data) < FRAME_HEADER.size:
        return None
    magic, length, checksum, number, records, labels = FRAME_HEADER.unpack_from(data)
    return FrameHeader(length, checksum, number, records, labels) if magic == FRAME_MAGIC else None


def frame_is_valid(header: FrameHeader, payload: bytes, seed: int) -> bool:
    """Whether header and payload are what was written, in the segment it was written to."""
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
    """An `Intent`, field by field: on the request's way no record is built only to be packed."""
    return _INTENT.pack(
        INTENT, boot, number, attempt, event_ns, recorded_ns, buyer, deployment, ruling, endpoint,
        body_bytes, output_tokens_max, reserved_picodollars,
    )  # fmt: skip


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
    units: Sequence[tuple[int, int]],
    upstream_id: bytes,
) -> bytes:
    """A `UsageRecord`, field by field."""
    count = len(units)
    identifier = upstream_id[:_UPSTREAM_ID_BYTES_MAX]
    return _USAGE[count].pack(
        USAGE, boot, number, attempt, event_ns, recorded_ns, buyer, deployment, ruling, endpoint,
        status, http_status, streamed, duration_us, first_content_us, charge_picodollars,
        count, len(identifier), *chain.from_iterable(units),
    ) + identifier  # fmt: skip


def pack_usage(record: UsageRecord) -> bytes:
    """A `UsageRecord` that already exists."""
    return pack_usage_fields(
        record.request.boot, record.request.number, record.attempt, record.event_ns, record.recorded_ns,
        record.buyer, record.deployment, record.ruling, record.endpoint, record.status, record.http_status,
        record.streamed, record.duration_us, record.first_content_us, record.charge_picodollars, _told(record),
        record.upstream_id.encode(),
    )  # fmt: skip


def _told(record: UsageRecord) -> Sequence[tuple[int, int]]:
    """The units, and the tier among them where one was told."""
    return (*record.units, (TIER_CODE, TIERS.index(record.tier))) if record.tier else record.units


def codes_of(record: bytes) -> tuple[int, int, int]:
    """The label codes (buyer, deployment, ruling) that a packed intent or usage record names."""
    return _CODES.unpack_from(record, _CODES_AT)


def unpack_payload(payload: bytes) -> Payload:
    """The records of a valid frame."""
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
            assert kind == USAGE, f"a valid frame holds a record of kind {kind}"
            record, at = _unpack_usage(payload, at)
            usage.append(record)
    return Payload(labels, intents, usage)


class Times(NamedTuple):
    """The first and the last event among records, on the business clock; 0 where there is no record."""

    first_ns: int
    last_ns: int


def times_in(payload: bytes) -> Times:
    """The times of a valid frame's records."""
    found = unpack_payload(payload)
    events = [intent.event_ns for intent in found.intents] + [
        record.event_ns for record in found.usage
    ]
    return Times(min(events), max(events)) if events else Times(0, 0)


def attempts_in(payload: bytes) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The attempts (boot, number, attempt) that a valid frame begins, and those it ends: quicker than all they say."""
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
            count, id_length = _LENGTHS.unpack_from(payload, at + _USAGE[0].size - _LENGTHS.size)
            at += _USAGE[count].size + id_length
    return begun, ended


def _unpack_label(payload: bytes, at: int) -> tuple[int, Label, int]:
    _, code, length = _LABEL.unpack_from(payload, at)
    begin = at + _LABEL.size
    fields = json.loads(payload[begin : begin + length])
    build = _LABEL_TYPES[fields.pop("type")]
    frozen = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return code, build(**frozen), begin + length


def _intent(fields: tuple[int, ...]) -> Intent:
    _, boot, number, *rest = fields
    return Intent(RequestId(boot, number), *rest)


def _unpack_usage(payload: bytes, at: int) -> tuple[UsageRecord, int]:
    (
        _, boot, number, attempt, event_ns, recorded_ns, buyer, deployment, ruling, endpoint,
        status, http_status, streamed, duration_us, first_content_us, charge_picodollars, count, id_length,
    ) = _USAGE[0].unpack_from(payload, at)  # fmt: skip
    flat = _USAGE[count].unpack_from(payload, at)[_USAGE_FIELD_COUNT:]
    begin = at + _USAGE[count].size
    end = begin + id_length
    record = UsageRecord(
        RequestId(boot, number), attempt, event_ns, recorded_ns, buyer, deployment, ruling, endpoint,
        Status(status), http_status, bool(streamed), duration_us, first_content_us, charge_picodollars, _units(flat),
        # A cloud's id cut in the middle of a character still identifies.
        payload[begin:end].decode(errors="replace"),
        _tier(flat) if TIER_CODE in flat else "",
    )  # fmt: skip
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
    """The tier among the units; empty where there is none, or one that is told of only later than this was written."""
    for code, place in zip(flat[::2], flat[1::2], strict=True):
        if code == TIER_CODE and place < len(TIERS):
            return TIERS[place]
    return ""
