"""Metered usage as CloudEvents 1.0 in JSON lines: one event an attempt that counts, with the units as reported.

The id is the request's with the attempt's number, so whoever receives an event twice counts it once. The fields of
`data` are those by which usage is imported (`metering.checks`), with a unit's column as its name.

Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

TYPE = "org.clauseway.usage"
SOURCE = "/clauseway"


def usage_event(fields: Mapping[str, object], units: Mapping[str, int]) -> bytes:
    """One event as a line without its newline. `fields` are those of an attempt; times are nanoseconds since 1970."""
    event_ns = fields["event_ns"]
    assert isinstance(event_ns, int), "an attempt has a time"
    seconds, rest = divmod(event_ns, 1_000_000_000)
    instant = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    event = {
        "specversion": "1.0",
        "id": f"{fields['request_id']}/{fields['attempt']}",
        "source": SOURCE,
        "type": TYPE,
        "time": f"{instant}.{rest:09d}Z" if rest else f"{instant}Z",
        "subject": "/".join(str(fields[name]) for name in ("organisation", "project") if fields[name]),
        "datacontenttype": "application/json",
        "data": {**fields, **units},
    }
    return msgspec.json.encode({name: value for name, value in event.items() if value != ""})
