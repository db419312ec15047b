"""A field of a usage record, from the journal's frame to the lake's column: whoever adds one reads here which place
lacks it."""

import msgspec
import pytest

from clauseway.metering import Buyer, Deployment, Intent, RequestId, Ruling, Status, Unit, UsageRecord, Used
from clauseway.metering.usage_rules import CHECKS
from clauseway.spool.segment_format import pack_usage, unpack_payload
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.usage.attempts import Selection

LABELS = {*Buyer.__struct_fields__, *Deployment.__struct_fields__, *Ruling.__struct_fields__}
CODES = {"buyer", "deployment", "ruling"}
UNITS = {unit.column for unit in Unit}
# A record with its labels written out. `deployment` is a code in the journal and a name beside it.
WRITTEN_OUT = (set(UsageRecord.__struct_fields__) - CODES) | LABELS


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("a believed row", set(Used.__struct_fields__)),
        # Another system names its usage by source and id; `aggregated` becomes an endpoint.
        ("the checks of a row", set(CHECKS) - {"request_id", "source", "id", "aggregated"} | {"request", "units"}),
        # A unit is a column; the day follows from the event's instant.
        (
            "the lake's columns",
            set(USAGE_SCHEMA.names) - UNITS - {"request_id", "event_day"} | {"request", "units"},
        ),
    ],
)
def test_a_place_has_every_field_of_a_usage_record(place: str, fields: set[str]) -> None:
    assert fields == WRITTEN_OUT, f"{place}: {sorted(fields ^ WRITTEN_OUT)}"


def test_the_lake_has_a_column_for_every_field_of_an_intent() -> None:
    of_the_lake = {"request_id", "event_day", "journal_segment", "journal_frame"}
    columns = set(INTENT_SCHEMA.names) - of_the_lake | {"request"}
    assert columns == (set(Intent.__struct_fields__) - CODES) | LABELS


def test_the_journal_keeps_every_field() -> None:
    record = UsageRecord(
        request=RequestId(7, 8),
        attempt=2,
        event_ns=3,
        recorded_ns=4,
        buyer=5,
        deployment=6,
        ruling=9,
        endpoint=10,
        status=Status.INTERRUPTED,
        http_status=200,
        streamed=True,
        duration_us=11,
        first_content_us=12,
        charge_picodollars=13,
        units=((Unit.INPUT_TOKENS, 14),),
        upstream_id="up",
        tier="flex",
    )
    defaults = {field.name: field.default for field in msgspec.structs.fields(UsageRecord)}
    assert [name for name, default in defaults.items() if getattr(record, name) == default] == []
    assert unpack_payload(pack_usage(record)).usage == [record]


def test_usage_is_selected_by_fields_that_it_has() -> None:
    assert set(Selection.__struct_fields__) - {"days", "request_id"} <= set(Used.__struct_fields__)
