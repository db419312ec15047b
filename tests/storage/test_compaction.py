"""Merging, dropping and summing: what the lake says stays the same, or is refused; never twice, never less."""

import itertools
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clauseway.metering import (
    Buyer,
    Deployment,
    Intent,
    RequestId,
    Ruling,
    Status,
    Unit,
    UsageRecord,
    flaws_of_units,
)
from clauseway.metering.endpoints import ENDPOINTS
from clauseway.metering.usage_rules import UNITS_PER_REQUEST_MAX
from clauseway.storage import Control
from clauseway.storage.lake.columns import sound_table
from clauseway.storage.lake.compaction import compact, drop_before
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import INTENTS, USAGE, DroppedDays, files_of, kept_from
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.lake.key_usage import usage_of_key
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.quarantine import held
from clauseway.storage.lake.rollups import scan
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.storage.usage.metered import metered_sums
from clauseway.storage.usage.sums import hour_sums
from clauseway.values import DAY_NS, HOUR_NS, Interval, start_of_day_ns
from soak import examples
from usage_records import usage_batch, usage_record

BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "chat", "key_2", "openai", "any"),
}
DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
}
RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}
FIRST, LAST = date(2026, 4, 30), date(2026, 5, 3)
ALL = Interval(FIRST, LAST)


def used(
    number: int, day: int, tokens: int, *, who: int = 1, status: Status = Status.COMPLETE, recorded_ns: int = 0
) -> UsageRecord:
    event_ns = start_of_day_ns(FIRST) + day * 24 * 3600 * 10**9 + number * 10**12
    units = {Unit.INPUT_TOKENS: tokens, Unit.CACHED_INPUT_TOKENS: tokens // 2}
    named = {"recorded_ns": recorded_ns or number, "buyer": who, "deployment": who}
    return usage_record(number, event_ns, units, **named, status=status)


def batch(frame: int, *usage: UsageRecord, spool: str = "s") -> UsageBatch:
    intents = [Intent(record.request, 1, record.event_ns, 0, 1, 1, 1, 1, 10, 20, 30) for record in usage]
    return usage_batch(usage, BUYERS, DEPLOYMENTS, RULINGS, first=frame, end=frame + 1, spool=spool, intents=intents)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    control = Control.open(tmp_path / "control.db")
    yield Lake(tmp_path / "lake", control)
    control.close()


def said(lake: Lake) -> list[dict[str, Any]]:
    return [row for part in lake.records() for row in part.to_pylist()]


def test_records_are_of_one_state_of_the_lake(lake: Lake) -> None:
    """Usage that is sealed while they are read is in none of their days."""
    lake.seal(batch(1, used(1, 0, 10), used(2, 1, 20)), 1)
    parts = lake.records()
    read = next(parts).to_pylist()
    lake.seal(batch(2, used(3, 0, 30), used(4, 1, 40), used(5, 2, 50)), 2)
    assert list(compact(lake, 3, files_least=2))
    read += [row for part in parts for row in part.to_pylist()]
    assert [row["upstream_id"] for row in read] == ["up-1", "up-2"]
    assert len(said(lake)) == 5


def sums(lake: Lake) -> list[tuple[tuple[str, ...], int, int, dict[str, int]]]:
    rows = usage_by(lake.control, ["hour", "organisation", "cloud"])
    return [(row.key, row.served, row.failed, row.units) for row in rows]


def scanned(lake: Lake) -> list[tuple[tuple[str, ...], int, int, dict[str, int]]]:
    return [
        (
            (str(row["hour"]), row["organisation"], row["cloud"]),
            row["served"],
            row["failed"],
            {unit.column: row[unit.column] for unit in Unit if row[unit.column]},
        )
        for row in scan(lake.files(), ALL)
    ]


@pytest.mark.parametrize("rows_max", [8, 12])
def test_a_request_lies_between_the_first_and_the_last_of_one_file_alone(lake: Lake, rows_max: int) -> None:
    """Three gateways seal by turns: a file with requests of all of them would be read for each that is looked up."""
    asked = []
    for frame, (day, turn, boot) in enumerate(itertools.product(range(2), range(4), (7, 8, 9))):
        numbers = (day * 8 + turn * 2, day * 8 + turn * 2 + 1)
        usage = [msgspec.structs.replace(used(number, day, 100), request=RequestId(boot, number)) for number in numbers]
        lake.seal(batch(frame, *usage, spool=f"s{boot}"), frame)
        asked += [str(record.request) for record in usage]
    before = said(lake)
    assert list(compact(lake, 50, files_least=2, rows_max=rows_max)) != []
    for kind in (USAGE, INTENTS):
        files = files_of(lake.control, kind)
        assert [file.rows for file in files] == [8] * 6
        for request in asked:
            assert sum(file.first_request <= request <= file.last_request for file in files) == 1
    assert said(lake) == before


def test_small_files_of_a_day_become_one_and_say_the_same(lake: Lake) -> None:
    for frame in range(9):
        lake.seal(batch(frame, used(20 - frame, frame % 2, 100 + frame, who=1 + frame % 2)), frame)
    before, names = said(lake), [batch.name for batch in lake.control.batches()]
    assert list(compact(lake, 50, files_least=5)) != []
    assert [(file.kind, file.rows, file.sealed_ns) for file in files_of(lake.control, USAGE)] == [
        ("usage", 1, 1),
        ("usage", 1, 3),
        ("usage", 1, 5),
        ("usage", 1, 7),
        ("usage", 5, 8),
    ]
    list(compact(lake, 60, files_least=2))
    assert [file.rows for file in files_of(lake.control, USAGE)] == [5, 4]
    assert [file.rows for file in files_of(lake.control, INTENTS)] == [5, 4]
    ids = [str(row) for row in pq.read_table(lake.files()[0])["request_id"].to_pylist()]
    assert ids == sorted(ids)
    assert said(lake) == before
    assert [batch.name for batch in lake.control.batches()] == names
    assert sums(lake) == scanned(lake)
    assert list(compact(lake, 70, files_least=2)) == []
    # Files that were merged away stay for those who still read them, and go later.
    assert len(lake.sweep(55).removed) == 10
    assert len(lake.sweep(61).removed) == 8
    assert sorted(path for path in lake.root.rglob("*.parquet")) == sorted(lake.files() + lake.files(kind=INTENTS))


@pytest.mark.parametrize(
    ("files", "days_old", "left"),
    [
        (1, 30, 1),
        (2, 30, 1),  # two imports of a day that is over
        (2, 3, 1),
        (2, 2, 2),  # a gateway may still seal what came late
        (7, 0, 7),
        (8, 0, 1),  # a day that is sealed every few seconds
    ],
)
def test_by_default_a_day_that_is_over_is_merged_sooner(lake: Lake, files: int, days_old: int, left: int) -> None:
    for frame in range(files):
        lake.seal(batch(frame, used(frame, 0, 1)), frame)
    now_ns = start_of_day_ns(FIRST) + days_old * 24 * 3600 * 10**9 + 1
    list(compact(lake, now_ns))
    assert len(files_of(lake.control, USAGE)) == left
    assert len(said(lake)) == files


def test_a_merge_keeps_to_a_size(lake: Lake) -> None:
    for frame in range(6):
        lake.seal(batch(frame, *(used(frame * 10 + n, 0, 1) for n in range(4))), frame)
    list(compact(lake, 1, files_least=2, rows_max=10))
    assert sorted(file.rows for file in files_of(lake.control, USAGE)) == [8, 8, 8]
    assert len(said(lake)) == 24


def test_a_file_that_is_not_what_was_written_is_not_merged(lake: Lake) -> None:
    for frame in range(2):
        lake.seal(batch(frame, used(frame, 0, 1)), frame)
    path = lake.files()[1]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LakeDamaged):
        list(compact(lake, 1, files_least=2))
    assert len(files_of(lake.control, USAGE)) == 2


def test_dropped_days_are_refused_and_their_sums_stay(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 5), used(2, 1, 7)), 1)
    before = sums(lake)
    assert kept_from(lake.control) is None
    assert drop_before(lake, date(2026, 5, 1), 9) == 1
    assert drop_before(lake, date(2026, 5, 1), 9) == 0
    assert kept_from(lake.control) == date(2026, 5, 1)
    assert sums(lake) == before
    assert len(lake.files(Interval(date(2026, 5, 1), LAST))) == 1
    with pytest.raises(DroppedDays, match="before 2026-05-01"):
        lake.files(ALL)
    lake.sweep(10)
    assert [path.parent.name for path in lake.root.rglob("*.parquet")] == ["2026-05-01"] * 2


def test_what_a_cloud_reported_that_cannot_be_true_is_held_and_the_attempt_stays(lake: Lake) -> None:
    wrong = used(1, 0, 10)
    parts = ((Unit.INPUT_TOKENS, 10), (Unit.CACHED_INPUT_TOKENS, 11))
    lake.seal(batch(0, UsageRecord(**{**fields(wrong), "units": parts}), used(2, 0, 4)), 5)
    huge = UsageRecord(**{**fields(used(3, 0, 1)), "units": ((Unit.OUTPUT_TOKENS, 2**64 - 1),)})
    lake.seal(batch(1, huge), 6)
    first, second = held(lake.control)
    assert [flaw.reason for flaw in first.flaws] == ["the parts of input_tokens sum to 11, more than its 10"]
    assert second.flaws[0].field == "output_tokens"
    rows = {row["request_id"]: row for row in said(lake)}
    assert (rows[str(wrong.request)]["status"], rows[str(wrong.request)]["input_tokens"]) == (Status.QUARANTINED, None)
    [cloud] = usage_by(lake.control, ["cloud"])
    assert (cloud.served, cloud.failed, cloud.units["input_tokens"]) == (1, 2, 4)
    assert sums(lake) == scanned(lake)


COUNTS = st.one_of(st.integers(0, 30), st.sampled_from([UNITS_PER_REQUEST_MAX, UNITS_PER_REQUEST_MAX + 1, 2**63]))
REPORTS = st.dictionaries(st.sampled_from(list(Unit)), COUNTS, max_size=5)


CHAT, BATCH = ENDPOINTS["chat"], ENDPOINTS["batches.retrieve"]


@given(st.lists(st.tuples(st.sampled_from([CHAT, BATCH]), REPORTS), min_size=1, max_size=4))
def test_records_are_held_back_exactly_where_the_one_table_of_checks_finds_a_flaw(
    reports: list[tuple[int, dict[Unit, int]]],
) -> None:
    usage = [
        UsageRecord(**{**fields(used(1, 0, 1)), "endpoint": endpoint, "units": tuple(report.items())})
        for endpoint, report in reports
    ]
    table, flawed = sound_table(batch(0, *usage))
    wrong = [flaws_of_units(report, aggregated=endpoint == BATCH) for endpoint, report in reports]
    assert [summary.flaws for summary in flawed] == [flaws for flaws in wrong if flaws]
    assert [status == Status.QUARANTINED for status in table["status"].to_pylist()] == list(map(bool, wrong))


def test_a_batch_of_many_lines_is_usage(lake: Lake) -> None:
    """50,000 lines of 1,000 tokens: more than any single request has."""
    lines = UsageRecord(**{**fields(used(1, 0, 0)), "endpoint": BATCH, "units": ((Unit.OUTPUT_TOKENS, 50_000_000),)})
    lake.seal(batch(0, lines, used(2, 0, 4)), 5)
    assert held(lake.control) == []
    [cloud] = usage_by(lake.control, ["cloud"])
    assert (cloud.served, cloud.failed, cloud.units["output_tokens"]) == (2, 0, 50_000_000)


def fields(record: UsageRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_files_of_homes_that_named_them_in_the_manifest_are_listed(tmp_path: Path) -> None:
    control = Control.open(tmp_path / "control.db")
    lake = Lake(tmp_path / "lake", control)
    lake.seal(batch(0, used(1, 0, 5)), 1)
    before, counted = said(lake), sums(lake)
    with control.writing() as connection:
        usage, intents = (files_of(control, kind)[0].name for kind in (USAGE, INTENTS))
        connection.exec_driver_sql("UPDATE manifest SET usage_file = ?, intents_file = ?", (usage, intents))
        connection.exec_driver_sql("DELETE FROM lake_files")
        connection.exec_driver_sql("DELETE FROM rollups")
    again = Lake(tmp_path / "lake", control)
    assert (said(again), sums(again)) == (before, counted)
    assert again.sweep().removed == ()
    control.close()


# Steps of a history: seal attempts (some of them again, as another end), copy a spool, merge.
def test_an_hour_ends_with_its_last_nanosecond(lake: Lake) -> None:
    """Engines divide in floating point, which rounds that instant up: April's last request would be of May."""
    midnight = start_of_day_ns(FIRST) + DAY_NS
    usage = [
        msgspec.structs.replace(used(number, 0, 10), event_ns=midnight - before)
        for number, before in ((1, 0), (2, 1), (3, HOUR_NS), (4, HOUR_NS + 1))
    ]
    hours = [midnight // HOUR_NS - before for before in (2, 1, 1, 0)]
    lake.seal(batch(1, *usage), 1)
    assert sums(lake) == scanned(lake)
    assert [row["hour"] for row in scan(lake.files(), ALL) for _ in range(row["served"])] == hours
    assert [row.hour for row in metered_sums(lake, ALL) for _ in range(row.attempts)] == hours
    assert [row["hour"] for row in hour_sums(lake, ALL) for _ in range(row["input_tokens"] // 10)] == hours
    of_key = usage_of_key(lake, "key_1", ["hour"])
    assert sorted(int(row.usage.key[0]) for row in of_key for _ in range(row.usage.served)) == hours


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("seal"),
            st.lists(
                st.tuples(st.integers(0, 12), st.integers(0, 50), st.sampled_from(list(Status)[:5])),
                min_size=1,
                max_size=6,
            ),
        ),
        st.just(("merge", [])),
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_hourly_sums_are_those_of_a_full_scan_whatever_came_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[tuple[int, int, Status]]]]
) -> None:
    home = tmp_path_factory.mktemp("sums")
    control = Control.open(home / "control.db")
    lake = Lake(home / "lake", control)
    for place, (what, attempts) in enumerate(steps):
        if what == "merge":
            list(compact(lake, place, files_least=2, rows_max=20))
        else:
            # The day of an attempt is its own, however often it is recorded.
            usage = [
                used(
                    number,
                    number % 3,
                    tokens,
                    who=1 + number % 2,
                    status=status,
                    recorded_ns=1_000 * (place + 1) + order,
                )  # no two records are made in one instant
                for order, (number, tokens, status) in enumerate(attempts)
            ]
            lake.seal(batch(place, *usage), place)
    assert sums(lake) == scanned(lake)
    control.close()
