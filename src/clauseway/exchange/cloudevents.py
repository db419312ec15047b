"""CloudEvents 1.0 of usage: one event per attempt, in the JSON event format, structured (lines) or batched (arrays).

`source` and `id` identify an event, so the same event again is the same usage. Our own type is `TYPE`; its `data` holds
our fields, units by name under `units`. Events of other types are passed over unless their data say what was used.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.reports import Reported, json_values
from clauseway.metering import Unit

TYPE = "clauseway.usage.v1"
SPECIFICATION = "1.0"
_UNITS = frozenset(unit.column for unit in Unit)
_NOT_DATA = frozenset({"request_id", "event_ns", "event_day", "recorded_ns"})


def read_cloudevents(path: Path) -> Iterator[Reported]:
    """The usage in a file of events."""
    for line, value, wrong in json_values(path):
        yield Reported(line=line, fields={"event": value}, unreadable=wrong) if wrong else _reported(line, value)


def _reported(line: int, event: Any) -> Reported:
    if not isinstance(event, dict) or "specversion" not in event:
        return Reported(line=line, fields={"event": event}, unreadable="no CloudEvent: it has no specversion")
    if event["specversion"] != SPECIFICATION:
        return Reported(line=line, fields=event, unreadable=f"specversion {event['specversion']!r} is not 1.0")
    data = event.get("data")
    if event.get("type") != TYPE and not (isinstance(data, dict) and "units" in data):
        return Reported(line=line, fields={}, skipped=f"an event of type {event.get('type')}")
    if not isinstance(data, dict):
        return Reported(line=line, fields=event, unreadable="its data are no object")
    fields = {name: value for name, value in data.items() if name != "units"}
    units = data.get("units", {})
    fields |= units if isinstance(units, dict) else {"units": units}
    fields |= {"source": event.get("source"), "id": event.get("id"), "event_ns": event.get("time")}
    if event.get("source") == TYPE:  # one that we wrote: the id is the request's and the attempt's
        fields["request_id"], _, fields["attempt"] = str(event.get("id")).partition("/")
    return Reported(line=line, fields=fields)


def write_cloudevents(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Usage rows of the lake (by column name) as one event per line, ended by a newline each."""
    for row in rows:
        data = {
            name: value
            for name, value in row.items()
            if name not in _NOT_DATA and name not in _UNITS and value not in (None, "", [])
        }
        data["units"] = {name: row[name] for name in sorted(_UNITS & row.keys()) if row[name] is not None}
        event = {
            "specversion": SPECIFICATION, "type": TYPE, "source": TYPE, "id": f"{row['request_id']}/{row['attempt']}",
            "time": _instant(row["event_ns"]), "subject": str(row["organisation"]),
            "datacontenttype": "application/json", "data": data,
        }  # fmt: skip
        yield msgspec.json.encode(event) + b"\n"


def _instant(event_ns: int) -> str:
    whole, fraction = divmod(event_ns, 1_000_000_000)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}Z" if fraction else f"{text}Z"
