"""CloudEvents 1.0 of usage: one event per attempt, in the JSON event format, structured (lines) or
batched (arrays).

There is one type, `TYPE`, with one writer: another home imports the events that this program
exports as the same records. `source` and `id` identify an event, so the same event again is the
same usage. `data` holds the fields by which usage is imported (`metering.usage_rules`), units by
name under `units`; an event that we wrote (`SOURCE`) is identified by its request and attempt.
Events of other types are skipped unless their data hold units.

Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.usage.reported_rows import Reported, json_values
from clauseway.metering import Status, Unit

TYPE = "org.clauseway.usage.v1"
SOURCE = "/clauseway"
SPECIFICATION = "1.0"
# The types and sources of earlier versions.
_FORMER_TYPES = frozenset({"clauseway.usage.v1", "org.clauseway.usage"})
_OUR_SOURCES = frozenset({SOURCE, "clauseway.usage.v1"})
_UNITS = tuple(unit.column for unit in Unit)
# Columns that the event's own attributes hold, or that follow from them.
_NOT_DATA = frozenset({"request_id", "attempt", "event_ns", "event_day", *_UNITS})
# Whole numbers that may lie above 2^53, which readers in JavaScript round: written as text.
_LARGE = ("recorded_ns", "charge_picodollars")
_ABSENT: tuple[Any, ...] = (None, "", [], ())


def read_cloudevents(path: Path) -> Iterator[Reported]:
    """Yield the usage in a file of events."""
    for line, value, wrong in json_values(path):
        yield (
            Reported(line=line, fields={"event": value}, unreadable=wrong)
            if wrong
            else _reported(line, value)
        )


def _reported(line: int, event: Any) -> Reported:
    if not isinstance(event, dict) or "specversion" not in event:
        return Reported(
            line=line, fields={"event": event}, unreadable="not a CloudEvent: it has no specversion"
        )
    if event["specversion"] != SPECIFICATION:
        why = f"specversion {str(event['specversion'])[:20]!r} is not {SPECIFICATION}"
        return Reported(line=line, fields=event, unreadable=why)
    # Events of other types count if their data hold units.
    data, kind = event.get("data"), event.get("type")
    is_ours = isinstance(kind, str) and (kind == TYPE or kind in _FORMER_TYPES)
    if not is_ours and not (isinstance(data, dict) and "units" in data):
        return Reported(line=line, fields={}, skipped=f"an event of type {str(kind)[:80]}")
    if not isinstance(data, dict):
        return Reported(line=line, fields=event, unreadable="its data are not an object")
    fields = {name: value for name, value in data.items() if name != "units"}
    units = data.get("units", {})
    fields |= units if isinstance(units, dict) else {"units": units}
    fields |= {"source": event.get("source"), "id": event.get("id"), "event_ns": event.get("time")}
    if is_ours and isinstance(event.get("source"), str) and event["source"] in _OUR_SOURCES:
        fields["request_id"], _, fields["attempt"] = str(event.get("id")).partition("/")
    return Reported(line=line, fields=fields)


def write_cloudevents(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield usage rows of the lake (by column name) as events, each on a line."""
    for row in rows:
        subject = "/".join(str(row[name]) for name in ("organisation", "project") if row[name])
        data = {
            name: value
            for name, value in row.items()
            if name not in _NOT_DATA and value not in _ABSENT
        }
        data |= {name: str(data[name]) for name in _LARGE if name in data}
        data["status"] = Status(row["status"]).name.lower()
        data["units"] = {name: row[name] for name in _UNITS if row.get(name) is not None}
        event = {
            "specversion": SPECIFICATION,
            "id": f"{row['request_id']}/{row['attempt']}",
            "source": SOURCE,
            "type": TYPE,
            "time": _instant(row["event_ns"]),
            "subject": subject,
            "datacontenttype": "application/json",
            "data": data,
        }
        # CloudEvents 1.0: `subject` must not be empty where it is present, so it is left out.
        yield (
            msgspec.json.encode({name: value for name, value in event.items() if value != ""})
            + b"\n"
        )


def _instant(event_ns: int) -> str:
    whole, fraction = divmod(event_ns, 1_000_000_000)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"
