"""Apache Iceberg's table format, version 2, as far as a table of sealed usage needs it.

    metadata (JSON)  ─▶ snapshots ─▶ manifest list (Avro) ─▶ manifests (Avro) ─▶ data files (Parquet)

Knows the format's fields and their numbers, which stand for ever, and writes the same bytes for
the same content. Knows neither where files lie nor which of them count. The module needs the extra
`iceberg`.

The format is described at https://iceberg.apache.org/spec/.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from io import BytesIO
from typing import Any

import fastavro
import msgspec
import pyarrow as pa

from clauseway.metering import Unit
from clauseway.storage.lake.columns import USAGE_SCHEMA

FORMAT_VERSION = 2
# The statuses of a manifest's entries, as the specification numbers them.
ADDED, EXISTING, DELETED = 1, 0, 2
_EPOCH = date(1970, 1, 1)

# A column's number is its place here. INVARIANT: never changed; a new column goes to the end.
_COLUMNS = (
    "request_id",
    "attempt",
    "event_ns",
    "event_day",
    "recorded_ns",
    "endpoint",
    "organisation",
    "project",
    "key_id",
    "seller",
    "segment",
    "deployment",
    "cloud",
    "region",
    "product",
    "model",
    "decision",
    "outcome",
    "terms",
    "receipt",
    "status",
    "http_status",
    "streamed",
    "duration_us",
    "first_content_us",
    "charge_picodollars",
    "upstream_id",
    "tier",
)
_TERM_ID = 99  # a term in the list `terms`
_UNIT_IDS_FROM = 100  # a unit's number is its code, beyond that
FIELD_IDS: Mapping[str, int] = {
    **{name: number for number, name in enumerate(_COLUMNS, start=1)},
    **{unit.column: _UNIT_IDS_FROM + unit for unit in Unit},
}
_DAY, _REQUEST, _ATTEMPT = FIELD_IDS["event_day"], FIELD_IDS["request_id"], FIELD_IDS["attempt"]
# The specification numbers partition fields from 1000 on.
_PARTITION_ID = 1000

_DOCS = {
    "request_id": "a request; with attempt, the identity of a row",
    "event_ns": "when it was used, by the business clock, in nanoseconds since 1970 (UTC)",
    "event_day": "the day of event_ns (UTC)",
    "recorded_ns": "when it was first known, in nanoseconds since 1970 (UTC)",
    "seller": "the party that the customer pays",
    "cloud": "the cloud that served it",
    "status": "1, 2, 3 and 7 count and have a charge; 4 failed, 5 was lost, 6 waits for correction",
    "tier": "the service tier that the cloud reported",
}
_TYPES = {
    pa.string(): "string",
    pa.dictionary(pa.int32(), pa.string()): "string",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.date32(): "date",
    pa.bool_(): "boolean",
}

SPEC = {
    "spec-id": 0,
    "fields": [
        {
            "source-id": _DAY,
            "field-id": _PARTITION_ID,
            "name": "event_day",
            "transform": "identity",
        }
    ],
}
UNSORTED, BY_REQUEST = 0, 1
SORT_ORDERS = [
    {"order-id": UNSORTED, "fields": []},
    {
        "order-id": BY_REQUEST,
        "fields": [
            {
                "source-id": source,
                "transform": "identity",
                "direction": "asc",
                "null-order": "nulls-first",
            }
            for source in (_REQUEST, _ATTEMPT)
        ],
    },
]


class DataFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file of one event day, with the request ids that it spans; `sorted` by request."""

    path: str
    day: date
    rows: int
    bytes: int
    first_request: str
    last_request: str
    sorted: bool


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A data file in a manifest: since which snapshot it is `ADDED` or `EXISTING`, or by which it
    was `DELETED`.

    `sequence` is that of the snapshot that added it; 0 in the manifest of that snapshot itself.
    """

    status: int
    snapshot: int
    sequence: int
    file: DataFile

    @property
    def is_live(self) -> bool:
        return self.status != DELETED


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest as a manifest list names it, with its entries."""

    path: str
    bytes: int
    sequence: int
    snapshot: int
    entries: tuple[ManifestEntry, ...]


def schema(number: int) -> dict[str, Any]:
    """Return the columns of usage as a schema of Iceberg's."""
    fields = [_field(field) for field in USAGE_SCHEMA]
    return {
        "type": "struct",
        "schema-id": number,
        "fields": sorted(fields, key=lambda field: int(field["id"])),
    }


def last_column_id() -> int:
    """Return the greatest number of a column."""
    return max(*FIELD_IDS.values(), _TERM_ID)


def name_mapping() -> str:
    """Return the names that stand for columns in data files, which carry no numbers."""
    names: list[dict[str, Any]] = []
    for name, number in sorted(FIELD_IDS.items(), key=lambda item: item[1]):
        mapped: dict[str, Any] = {"field-id": number, "names": [name]}
        if name == "terms":
            mapped["fields"] = [{"field-id": _TERM_ID, "names": ["element", "item"]}]
        names.append(mapped)
    return json.dumps(names)


def write_manifest(entries: Sequence[ManifestEntry], sequence: int) -> bytes:
    """Return a manifest of the snapshot with that sequence number."""
    records = [_entry_record(entry, sequence) for entry in entries]
    columns = schema(0)
    described = {
        "schema": json.dumps(columns),
        "schema-id": str(columns["schema-id"]),
        "partition-spec": json.dumps(SPEC["fields"]),
        "partition-spec-id": str(SPEC["spec-id"]),
        "format-version": str(FORMAT_VERSION),
        "content": "data",
    }
    return _avro(_MANIFEST_ENTRY, records, described)


def read_manifest(content: bytes, sequence: int, snapshot: int) -> tuple[ManifestEntry, ...]:
    """Return the entries of a manifest of the snapshot with that sequence number."""
    entries = []
    for record in _records(content):
        own = record["snapshot_id"]
        number = record["sequence_number"]
        entries.append(
            ManifestEntry(
                status=record["status"],
                snapshot=snapshot if own is None else own,
                sequence=sequence if number is None else number,
                file=_file_of(record["data_file"]),
            )
        )
    return tuple(entries)


def write_manifest_list(
    manifests: Sequence[ManifestFile], snapshot: int, parent: int | None, sequence: int
) -> bytes:
    """Return the manifest list of a snapshot."""
    described = {
        "snapshot-id": str(snapshot),
        "parent-snapshot-id": "null" if parent is None else str(parent),
        "sequence-number": str(sequence),
        "format-version": str(FORMAT_VERSION),
    }
    return _avro(_MANIFEST_FILE, [_manifest_record(manifest) for manifest in manifests], described)


def read_manifest_list(content: bytes) -> list[ManifestFile]:
    """Return the manifests of a manifest list, without their entries."""
    return [
        ManifestFile(
            path=record["manifest_path"],
            bytes=record["manifest_length"],
            sequence=record["sequence_number"],
            snapshot=record["added_snapshot_id"],
            entries=(),
        )
        for record in _records(content)
    ]


def _field(field: Any) -> dict[str, Any]:
    type_ = (
        {
            "type": "list",
            "element-id": _TERM_ID,
            "element": "string",
            "element-required": False,
        }
        if pa.types.is_list(field.type)
        else _TYPES[field.type]
    )
    described = {"id": FIELD_IDS[field.name], "name": field.name, "required": False, "type": type_}
    return described | ({"doc": _DOCS[field.name]} if field.name in _DOCS else {})


def _entry_record(entry: ManifestEntry, sequence: int) -> dict[str, Any]:
    # Added files take their sequence number from the snapshot; all others state it.
    is_own = entry.status == ADDED
    assert is_own or 0 < entry.sequence <= sequence, "an entry is of an earlier snapshot"
    file = entry.file
    # Bounds of day and request let an engine skip files that cannot hold what it looks for.
    bounds = {_DAY: (_day_bytes(file.day),) * 2}
    bounds[_REQUEST] = (file.first_request.encode(), file.last_request.encode())
    return {
        "status": entry.status,
        "snapshot_id": entry.snapshot,
        "sequence_number": None if is_own else entry.sequence,
        "file_sequence_number": None if is_own else entry.sequence,
        "data_file": {
            "content": 0,
            "file_path": file.path,
            "file_format": "PARQUET",
            "partition": {"event_day": file.day},
            "record_count": file.rows,
            "file_size_in_bytes": file.bytes,
            "lower_bounds": [{"key": key, "value": ends[0]} for key, ends in bounds.items()],
            "upper_bounds": [{"key": key, "value": ends[1]} for key, ends in bounds.items()],
            "sort_order_id": BY_REQUEST if file.sorted else UNSORTED,
        },
    }


def _file_of(record: Mapping[str, Any]) -> DataFile:
    lower = {bound["key"]: bound["value"] for bound in record["lower_bounds"]}
    upper = {bound["key"]: bound["value"] for bound in record["upper_bounds"]}
    return DataFile(
        path=record["file_path"],
        day=record["partition"]["event_day"],
        rows=record["record_count"],
        bytes=record["file_size_in_bytes"],
        first_request=lower[_REQUEST].decode(),
        last_request=upper[_REQUEST].decode(),
        sorted=record["sort_order_id"] == BY_REQUEST,
    )


def _manifest_record(manifest: ManifestFile) -> dict[str, Any]:
    counted = {
        status: [entry.file.rows for entry in manifest.entries if entry.status == status]
        for status in (ADDED, EXISTING, DELETED)
    }
    days = [entry.file.day for entry in manifest.entries]
    # Added entries inherit the manifest's sequence number (the format's inheritance).
    live = [entry.sequence or manifest.sequence for entry in manifest.entries if entry.is_live]
    return {
        "manifest_path": manifest.path,
        "manifest_length": manifest.bytes,
        "partition_spec_id": SPEC["spec-id"],
        "content": 0,
        "sequence_number": manifest.sequence,
        "min_sequence_number": min(live, default=manifest.sequence),
        "added_snapshot_id": manifest.snapshot,
        "added_files_count": len(counted[ADDED]),
        "existing_files_count": len(counted[EXISTING]),
        "deleted_files_count": len(counted[DELETED]),
        "added_rows_count": sum(counted[ADDED]),
        "existing_rows_count": sum(counted[EXISTING]),
        "deleted_rows_count": sum(counted[DELETED]),
        "partitions": [
            {
                "contains_null": False,
                "contains_nan": False,
                "lower_bound": _day_bytes(min(days)),
                "upper_bound": _day_bytes(max(days)),
            }
        ],
    }


def _day_bytes(day: date) -> bytes:
    return (day - _EPOCH).days.to_bytes(4, "little", signed=True)


def _avro(shape: Any, records: Sequence[Mapping[str, Any]], described: Mapping[str, str]) -> bytes:
    """Return records as an Avro file that is the same for the same records."""
    # Blocks are set apart by a marker that other writers draw by lot.
    said = repr((described, records)).encode()
    out = BytesIO()
    fastavro.writer(
        out,
        shape,
        records,
        codec="null",
        metadata=dict(described),
        sync_marker=hashlib.sha256(said).digest()[:16],
    )
    return out.getvalue()


def _records(content: bytes) -> Iterable[Any]:
    return fastavro.reader(BytesIO(content))


def _numbered(name: str, type_: Any, number: int, *, is_optional: bool = False) -> dict[str, Any]:
    """Return a field of an Avro record with its number in Iceberg's format."""
    if is_optional:
        return {"name": name, "type": ["null", type_], "default": None, "field-id": number}
    return {"name": name, "type": type_, "field-id": number}


def _bounds(name: str, number: int, key_id: int, value_id: int) -> dict[str, Any]:
    """Return a field that maps columns to one end of their values."""
    pair = {
        "type": "record",
        "name": f"k{key_id}_v{value_id}",
        "fields": [_numbered("key", "int", key_id), _numbered("value", "bytes", value_id)],
    }
    of_columns = {"type": "array", "items": pair, "logicalType": "map"}
    return _numbered(name, of_columns, number, is_optional=True)


_DATE = {"type": "int", "logicalType": "date"}
_DATA_FILE = {
    "type": "record",
    "name": "r2",
    "fields": [
        _numbered("content", "int", 134),
        _numbered("file_path", "string", 100),
        _numbered("file_format", "string", 101),
        _numbered(
            "partition",
            {
                "type": "record",
                "name": "r102",
                "fields": [_numbered("event_day", _DATE, _PARTITION_ID, is_optional=True)],
            },
            102,
        ),
        _numbered("record_count", "long", 103),
        _numbered("file_size_in_bytes", "long", 104),
        _bounds("lower_bounds", 125, 126, 127),
        _bounds("upper_bounds", 128, 129, 130),
        _numbered("sort_order_id", "int", 140, is_optional=True),
    ],
}
_MANIFEST_ENTRY = fastavro.parse_schema(
    {
        "type": "record",
        "name": "manifest_entry",
        "fields": [
            _numbered("status", "int", 0),
            _numbered("snapshot_id", "long", 1, is_optional=True),
            _numbered("sequence_number", "long", 3, is_optional=True),
            _numbered("file_sequence_number", "long", 4, is_optional=True),
            _numbered("data_file", _DATA_FILE, 2),
        ],
    }
)
_FIELD_SUMMARY = {
    "type": "record",
    "name": "r508",
    "fields": [
        _numbered("contains_null", "boolean", 509),
        _numbered("contains_nan", "boolean", 518, is_optional=True),
        _numbered("lower_bound", "bytes", 510, is_optional=True),
        _numbered("upper_bound", "bytes", 511, is_optional=True),
    ],
}
_MANIFEST_FILE = fastavro.parse_schema(
    {
        "type": "record",
        "name": "manifest_file",
        "fields": [
            _numbered("manifest_path", "string", 500),
            _numbered("manifest_length", "long", 501),
            _numbered("partition_spec_id", "int", 502),
            _numbered("content", "int", 517),
            _numbered("sequence_number", "long", 515),
            _numbered("min_sequence_number", "long", 516),
            _numbered("added_snapshot_id", "long", 503),
            _numbered("added_files_count", "int", 504),
            _numbered("existing_files_count", "int", 505),
            _numbered("deleted_files_count", "int", 506),
            _numbered("added_rows_count", "long", 512),
            _numbered("existing_rows_count", "long", 513),
            _numbered("deleted_rows_count", "long", 514),
            _numbered(
                "partitions",
                {"type": "array", "items": _FIELD_SUMMARY, "element-id": 508},
                507,
                is_optional=True,
            ),
        ],
    }
)
