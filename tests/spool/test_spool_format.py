"""The bytes of the spool: what is packed is read back, and the documented layout is the layout."""

import struct

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clauseway.metering import Buyer, Deployment, Intent, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.metering.endpoints import TIERS
from clauseway.spool import segment_format as layout

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
# Of an unsigned field a writer uses the lower half.
I16, I32, I64 = (1 << 15) - 1, (1 << 31) - 1, (1 << 63) - 1
codes = st.integers(0, I32)
counts = st.integers(0, I64)
instants = st.integers(-I64 - 1, I64)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
requests = st.builds(RequestId, counts, counts)
intents = st.builds(
    Intent,
    requests,
    st.integers(0, I16),
    instants,
    instants,
    codes,
    codes,
    codes,
    st.integers(0, I16),
    counts,
    counts,
    counts,
)
usage_records = st.builds(
    UsageRecord,
    requests,
    st.integers(0, I16),
    instants,
    instants,
    codes,
    codes,
    codes,
    st.integers(0, I16),
    st.sampled_from(Status),
    st.integers(0, I16),
    st.booleans(),
    counts,
    counts,
    instants,
    st.lists(st.tuples(st.sampled_from(Unit), counts), max_size=12).map(tuple),
    words,
)
labels = st.one_of(
    st.builds(Buyer, words, words, words, words, words),
    st.builds(Deployment, words, words, words, words, words, words),
    st.builds(Ruling, words, words, st.lists(words, max_size=4).map(tuple), words),
)


def packed_intent(intent: Intent) -> bytes:
    return layout.pack_intent(
        intent.request.boot,
        intent.request.number,
        intent.attempt,
        intent.event_ns,
        intent.recorded_ns,
        intent.buyer,
        intent.deployment,
        intent.ruling,
        intent.endpoint,
        intent.body_bytes,
        intent.output_tokens_max,
        intent.reserved_picodollars,
    )


@given(st.dictionaries(codes, labels, max_size=4), st.lists(intents, max_size=4), st.lists(usage_records, max_size=4))
def test_a_payload_is_read_back_as_it_was_packed(
    named: dict[int, layout.Label], begun: list[Intent], ended: list[UsageRecord]
) -> None:
    payload = b"".join(
        [
            *(layout.pack_label(code, label) for code, label in named.items()),
            *map(packed_intent, begun),
            *map(layout.pack_usage, ended),
        ]
    )
    assert layout.unpack_payload(payload) == (named, begun, ended)


@given(intents, usage_records)
def test_label_codes_are_read_from_packed_records(begun: Intent, ended: UsageRecord) -> None:
    assert layout.codes_of(packed_intent(begun)) == (begun.buyer, begun.deployment, begun.ruling)
    assert layout.codes_of(layout.pack_usage(ended)) == (ended.buyer, ended.deployment, ended.ruling)


@given(st.binary(max_size=200), st.integers(0, U64), st.integers(0, U32), st.data())
def test_a_frame_is_valid_as_written_and_with_no_bit_changed(
    payload: bytes, number: int, seed: int, data: st.DataObject
) -> None:
    header = layout.pack_frame_header(payload, number, 3, 1, seed)
    unpacked = layout.unpack_frame_header(header)
    assert unpacked is not None
    assert unpacked[:1] + unpacked[2:] == (len(payload), number, 3, 1)
    assert layout.frame_is_valid(unpacked, payload, seed)
    assert not layout.frame_is_valid(unpacked, payload, seed ^ 1), "a frame is valid in its own segment only"
    frame = bytearray(header + payload)
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    changed = layout.unpack_frame_header(bytes(frame[:28]))
    assert changed is None or not layout.frame_is_valid(changed, bytes(frame[28:]), seed)


def test_the_segment_header_is_the_documented_one() -> None:
    header = layout.pack_segment_header(b"0123456789abcdef", 7, 8, 9)
    assert len(header) == 64
    assert header[:8] == b"CLWSPOOL"
    assert struct.unpack_from("<HHI", header, 8) == (1, 64, 0)
    assert header[16:32] == b"0123456789abcdef"
    assert struct.unpack_from("<QQQ", header, 32) == (7, 8, 9)
    unpacked = layout.unpack_segment_header(header)
    assert unpacked is not None
    assert (unpacked.segment, unpacked.created_ns, unpacked.boot) == (7, 8, 9)
    for byte in range(56):
        damaged = bytearray(header)
        damaged[byte] ^= 1
        assert layout.unpack_segment_header(bytes(damaged)) is None


def test_records_lie_as_documented() -> None:
    intent = layout.pack_intent(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    assert len(intent) == 49 + 24
    assert struct.unpack("<BQQHqqIIIHQQQ", intent) == (2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    usage = layout.pack_usage_fields(1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 200, True, 13, 14, 15, ((2, 16), (6, 17)), b"id")
    assert len(usage) == 49 + 31 + 2 * 10 + 2
    assert struct.unpack("<BQQHqqIIIHBHBQQqBHHQHQ2s", usage) == (
        3,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        1,
        200,
        1,
        13,
        14,
        15,
        2,
        2,
        2,
        16,
        6,
        17,
        b"id",
    )
    label = layout.pack_label(5, Ruling("d", "permitted", ("A5.x",), "r"))
    assert label[:5] == struct.pack("<BI", 1, 5)
    assert (
        label[9:] == b'{"type": "ruling", "decision": "d", "outcome": "permitted", "terms": ["A5.x"], "receipt": "r"}'
    )


def test_the_tier_stands_among_the_units_and_is_none() -> None:
    """Six tiers there and back, beside the units; one that was told of later is as if untold."""
    plain = UsageRecord(
        RequestId(1, 2),
        1,
        3,
        4,
        5,
        6,
        7,
        8,
        Status.COMPLETE,
        200,
        False,
        9,
        10,
        11,
        ((Unit.INPUT_TOKENS, 12),),
        "up",
    )
    for tier in TIERS:
        record = msgspec.structs.replace(plain, tier=tier)
        assert layout.unpack_payload(layout.pack_usage(record)).usage == [record]
    later = msgspec.structs.replace(plain, units=(*plain.units, (layout.TIER_CODE, len(TIERS))))
    assert layout.unpack_payload(layout.pack_usage(later)).usage == [plain]
