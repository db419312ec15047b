"""Records as columns: one flat row per attempt, its labels written out, its units a column each.

A unit that was not reported is null, zero is a report of zero. The seller is the buyer's: the party
the customer pays, whoever hosts. A column is added at the end or as a unit, never changed; readers
take a missing one for null.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import attrgetter
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from clauseway.metering import (
    Buyer,
    Deployment,
    Intent,
    Ruling,
    Status,
    Unit,
    UsageRecord,
    Used,
    flaws_of_units,
)
from clauseway.metering.units import CONTAINED_IN
from clauseway.metering.usage_rules import most_believed, sums_many
from clauseway.storage.lake.quarantine import Flawed
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import DAY_NS

R = TypeVar("R", Intent, UsageRecord)
_WORD = pa.dictionary(pa.int32(), pa.string())
# Each label's fields are columns; the seller is the buyer's.
_BUYER = Buyer.__struct_fields__
_DEPLOYMENT = tuple(name for name in Deployment.__struct_fields__ if name != "seller")
_RULING = Ruling.__struct_fields__

_ATTEMPT = [
    ("request_id", pa.string()),
    ("attempt", pa.int32()),
    ("event_ns", pa.int64()),
    ("event_day", pa.date32()),
    ("recorded_ns", pa.int64()),
    ("endpoint", pa.int16()),
]
_LABELS = [
    (name, pa.list_(pa.string()) if name == "terms" else _WORD)
    for name in (*_BUYER, *_DEPLOYMENT, *_RULING)
]
_USAGE = [
    ("status", pa.int8()),
    ("http_status", pa.int16()),
    ("streamed", pa.bool_()),
    ("duration_us", pa.int64()),
    ("first_content_us", pa.int64()),
    ("charge_picodollars", pa.int64()),
    ("upstream_id", pa.string()),
]
_INTENT = [
    ("body_bytes", pa.int64()),
    ("output_tokens_max", pa.int64()),
    ("reserved_picodollars", pa.int64()),
]
_UNITS = [(unit.column, pa.int64()) for unit in Unit]

# Columns that were added later; older files lack them.
LATER = [("tier", pa.string())]
# The intent's place in the journal. The order of segments and frames is that in which attempts began.
LATER_OF_INTENTS = [("journal_segment", pa.int64()), ("journal_frame", pa.int64())]

# The fields of a record that its columns take as they are.
_SAME = ("attempt", "event_ns", "recorded_ns", "endpoint")
_SAME_OF_USAGE = tuple(name for name, _ in [*_USAGE, *LATER] if name != "status")
_SAME_OF_INTENT = tuple(name for name, _ in _INTENT)

USAGE_SCHEMA = pa.schema([*_ATTEMPT, *_LABELS, *_USAGE, *_UNITS, *LATER])
INTENT_SCHEMA = pa.schema([*_ATTEMPT, *_LABELS, *_INTENT, *LATER_OF_INTENTS])


def sound_table(batch: UsageBatch) -> tuple[pa.Table, list[Flawed]]:
    """Return the batch's usage, and the records with impossible units. The usage has these records
    as attempts without units."""
    try:
        table = usage_table(batch)
    except OverflowError:  # a count beyond 63 bits
        table = None
    if table is not None and is_sound(table):
        return table, []
    sound, flawed = held_back(batch)
    return usage_table(sound), flawed


def is_sound(usage: pa.Table, *, aggregated: bool = False) -> bool:
    """True if no record has a flaw that `metering.flaws_of_units` would find, checked column by
    column.

    A lake also holds records that sum many requests: where any may be `aggregated`, each may hold
    as much as they do.
    """
    for unit in Unit:
        counts = usage[unit.column]
        if counts.null_count < len(counts):
            outer = pc.min_max(counts).as_py()
            if outer["min"] < 0 or outer["max"] > most_believed(unit, aggregated=aggregated):
                return False
    # The parts of a whole may not sum to more than the whole.
    for whole in set(CONTAINED_IN.values()):
        parts = [usage[part.column] for part in Unit if CONTAINED_IN.get(part) is whole]
        reported = [pc.fill_null(part, 0) for part in parts if part.null_count < len(part)]
        if reported:
            contained = reduce(pc.add, reported)
            if pc.any(pc.greater(contained, pc.fill_null(usage[whole.column], 0))).as_py():
                return False
    return True


def held_back(batch: UsageBatch) -> tuple[UsageBatch, list[Flawed]]:
    """Return the batch with each impossible record as an attempt without units, in quarantine, and
    these records."""
    flawed: list[Flawed] = []
    usage = list(batch.usage)
    for index, record in enumerate(usage):
        # A record does not say how many requests it stands for: but for a batch's, it stands for one.
        aggregated = sums_many(record.endpoint)
        if flaws := flaws_of_units(dict(record.units), aggregated=aggregated):
            body = msgspec.json.encode(row_of(batch, record)).decode()
            origin = f"{batch.spool}/{batch.segment}"
            flawed.append(Flawed(origin=origin, line=batch.first_frame, flaws=flaws, body=body))
            usage[index] = msgspec.structs.replace(record, status=Status.QUARANTINED, units=())
    return (msgspec.structs.replace(batch, usage=usage) if flawed else batch), flawed


def row_of(batch: UsageBatch, record: UsageRecord) -> dict[str, object]:
    """Return a record as a row of fields, as `metering.examine` takes it."""
    row: dict[str, object] = {
        "request_id": str(record.request),
        "status": record.status.name.lower(),
    }
    for name in ("attempt", "event_ns", "endpoint", *_SAME_OF_USAGE):
        row[name] = getattr(record, name)
    for name, values in _label_columns(batch, [record]).items():
        row[name] = values[0].as_py()
    return row | {unit.column: count for unit, count in record.units}


def used_table(rows: Sequence[Used], recorded_ns: int) -> pa.Table:
    """Return believed rows of an import as usage; recorded now if they do not say when they became
    known."""
    columns: dict[str, object] = {
        name: [getattr(row, name) for row in rows]
        for name in USAGE_SCHEMA.names
        if name in Used.__struct_fields__
    }
    columns |= {
        "request_id": [str(row.request) for row in rows],
        "event_day": [row.event_ns // DAY_NS for row in rows],
        "recorded_ns": [row.recorded_ns or recorded_ns for row in rows],
        "status": [int(row.status) for row in rows],
    }
    columns |= _unit_columns([row.units for row in rows])
    return pa.table(columns, schema=USAGE_SCHEMA)


def usage_table(batch: UsageBatch) -> pa.Table:
    """Return the batch's usage records, in the order they were written."""
    records = batch.usage
    columns: dict[str, object] = {**_attempt_columns(records), **_label_columns(batch, records)}
    columns |= _fields_of(records, _SAME_OF_USAGE)
    columns["status"] = [int(record.status) for record in records]
    columns |= _unit_columns([record.units for record in records])
    return pa.table(columns, schema=USAGE_SCHEMA)


def intent_table(batch: UsageBatch) -> pa.Table:
    """Return the batch's intents, in the order they were written."""
    columns: dict[str, object] = {
        **_attempt_columns(batch.intents),
        **_label_columns(batch, batch.intents),
    }
    columns |= _fields_of(batch.intents, _SAME_OF_INTENT)
    count = len(batch.intents)
    is_placed = len(batch.intent_frames) == count
    columns["journal_segment"] = [batch.segment if is_placed else None] * count
    columns["journal_frame"] = list(batch.intent_frames) if is_placed else [None] * count
    return pa.table(columns, schema=INTENT_SCHEMA)


def _unit_columns(reports: Sequence[Sequence[tuple[Unit, int]]]) -> dict[str, object]:
    """Return a column per unit. A column of nulls costs nothing."""
    reported = {unit for report in reports for unit, _ in report}
    counts = list(map(dict, reports))
    return {
        unit.column: [count.get(unit) for count in counts]
        if unit in reported
        else pa.nulls(len(reports), pa.int64())
        for unit in Unit
    }


def _attempt_columns(records: Sequence[R]) -> dict[str, list[object]]:
    return {
        "request_id": [str(record.request) for record in records],
        "event_day": [record.event_ns // DAY_NS for record in records],
        **_fields_of(records, _SAME),
    }


def _fields_of(records: Sequence[R], names: Sequence[str]) -> dict[str, list[object]]:
    return {name: list(map(attrgetter(name), records)) for name in names}


def _label_columns(batch: UsageBatch, records: Sequence[R]) -> dict[str, pa.Array]:
    return (
        _columns_of(batch.buyers, [record.buyer for record in records], _BUYER)
        | _columns_of(batch.deployments, [record.deployment for record in records], _DEPLOYMENT)
        | _columns_of(batch.rulings, [record.ruling for record in records], _RULING)
    )


def _columns_of(
    labels: Mapping[int, Buyer] | Mapping[int, Deployment] | Mapping[int, Ruling],
    codes: Sequence[int],
    names: Sequence[str],
) -> dict[str, pa.Array]:
    """Return the fields of labels as columns. Each label is read once, however many records name
    it."""
    place = {code: number for number, code in enumerate(labels)}
    places = pa.array([place[code] for code in codes], pa.int32())
    columns = {}
    for name in names:
        values = [getattr(label, name) for label in labels.values()]
        if name == "terms":
            columns[name] = pa.array(values, pa.list_(pa.string())).take(places)
        else:
            words = {word: number for number, word in enumerate(dict.fromkeys(values))}
            indices = pa.array([words[word] for word in values], pa.int32()).take(places)
            columns[name] = pa.DictionaryArray.from_arrays(
                indices, pa.array(list(words), pa.string())
            )
    return columns
