"""Usage named by its content: the same attempts have one name, however they came to a lake; others have another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage import Control
from clauseway.storage.lake.compaction import compact
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage import content
from clauseway.storage.usage.block_hashes import NUMBERS, UNITS, WORDS
from clauseway.storage.usage.content import attempts_of, content_digest, day_contents
from clauseway.values import Interval, start_of_day_ns
from usage_records import usage_batch, usage_record

MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
CACHED = Unit.CACHED_INPUT_TOKENS
HOUR_NS = 3_600_000_000_000
BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "search", "key_2", "microsoft", "state"),
}
DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4"),
    2: Deployment("aws-1", "aws", "openai", "us-east-2", "gpt-5.4", "gpt-5.4"),
}
RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}


def record(number: int, day: int = 2) -> UsageRecord:
    event_ns = start_of_day_ns(date(2026, 5, day)) + 12 * HOUR_NS
    units = {Unit.INPUT_TOKENS: 100 + number, Unit.OUTPUT_TOKENS: 7}
    return usage_record(number, event_ns, units, recorded_ns=event_ns + 1)


def changed(usage_record: UsageRecord, **fields: object) -> UsageRecord:
    return msgspec.structs.replace(usage_record, **fields)


RECORDS = [record(number, 1 + number % 3) for number in range(12)]


@contextmanager
def lake_of(*batches: Sequence[UsageRecord], spool: str = "s") -> Iterator[Lake]:
    """A lake into which these batches were sealed, one after the other."""
    with TemporaryDirectory() as folder:
        control = Control.open(Path(folder) / "control.db")
        lake = Lake(Path(folder) / "lake", control)
        first = 0
        for number, records in enumerate(batches):
            batch = usage_batch(records, BUYERS, DEPLOYMENTS, RULINGS, first=first, spool=spool)
            lake.seal(batch, 1000 + number)
            first += len(records)
        yield lake
        control.close()


def name_of(*batches: Sequence[UsageRecord], spool: str = "s") -> str:
    with lake_of(*batches, spool=spool) as lake:
        return content_digest(day_contents(lake, MAY))


@pytest.fixture(scope="module")
def name() -> str:
    return name_of(RECORDS)


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(RECORDS),
    cuts=st.lists(st.integers(0, len(RECORDS)), max_size=4),
    spool=st.sampled_from(["gateway-2", "import"]),
)
def test_neither_order_nor_batches_nor_names_of_files_are_in_it(
    order: list[UsageRecord], cuts: list[int], spool: str
) -> None:
    edges = sorted({0, *cuts, len(order)})
    batches = [order[begin:end] for begin, end in pairwise(edges)]
    assert name_of(*batches, spool=spool) == name_of(RECORDS)


def test_what_is_sealed_twice_counts_once(name: str) -> None:
    assert name_of(RECORDS, RECORDS[:5]) == name


def test_merging_files_changes_nothing(name: str) -> None:
    with lake_of(*([record] for record in RECORDS)) as lake:
        assert content_digest(day_contents(lake, MAY)) == name
        assert list(compact(lake, 2000, files_least=2))
        assert content_digest(day_contents(lake, MAY)) == name


# A change to the record of one attempt -> is it other usage?
CHANGES: dict[str, tuple[dict[str, object], bool]] = {
    "another request": ({"request": RequestId(7, 99)}, True),
    "another attempt": ({"attempt": 2}, True),
    "another instant": ({"event_ns": RECORDS[0].event_ns + 1}, True),
    "another day": ({"event_ns": RECORDS[0].event_ns + 24 * HOUR_NS}, True),
    "another buyer": ({"buyer": 2}, True),
    "another cloud": ({"deployment": 2}, True),
    "another endpoint": ({"endpoint": 2}, True),
    "another tier": ({"tier": "flex"}, True),
    "an estimate": ({"status": Status.ESTIMATED}, True),
    "it failed": ({"status": Status.FAILED}, True),
    "one token more": ({"units": ((Unit.INPUT_TOKENS, 101), (Unit.OUTPUT_TOKENS, 7))}, True),
    "another unit": (
        {"units": ((Unit.INPUT_TOKENS, 100), (Unit.OUTPUT_TOKENS, 7), (Unit.CACHED_INPUT_TOKENS, 7))},
        True,
    ),
    "a unit told as none": ({"units": (*RECORDS[0].units, (Unit.CACHED_INPUT_TOKENS, 0))}, False),
    "known later": ({"recorded_ns": RECORDS[0].recorded_ns + 5}, False),
    "slower": ({"duration_us": 9}, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_charge_can_turn_on_is_in_it(name: str, change: str) -> None:
    fields, is_other = CHANGES[change]
    now = name_of([changed(RECORDS[0], **fields), *RECORDS[1:]])
    assert (now != name) is is_other


def test_an_attempt_that_failed_has_no_part_in_it(name: str) -> None:
    failed = changed(record(50), status=Status.FAILED)
    assert name_of([*RECORDS, failed]) == name


def test_two_tokens_that_change_places_are_other_usage() -> None:
    """A sum over attempts would not see it."""
    first, second = RECORDS[0], RECORDS[3]
    assert first.event_ns // (24 * HOUR_NS) == second.event_ns // (24 * HOUR_NS)
    swapped = [changed(first, units=second.units), changed(second, units=first.units)]
    rest = [each for each in RECORDS if each not in (first, second)]
    assert name_of([*swapped, *rest]) != name_of(RECORDS)


def test_days_are_named_one_by_one() -> None:
    with lake_of(RECORDS) as lake:
        before = day_contents(lake, MAY)
        assert [(str(day.day), day.attempts) for day in before] == [
            ("2026-05-01", 4),
            ("2026-05-02", 4),
            ("2026-05-03", 4),
        ]
        assert attempts_of(before) == 12
    with lake_of([*RECORDS, record(40, 2)]) as lake:
        after = day_contents(lake, MAY)
    assert [day == other for day, other in zip(before, after, strict=True)] == [True, False, True]


def test_a_day_is_read_once_for_the_files_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with lake_of(RECORDS) as lake:
        first = day_contents(lake, MAY)
        with monkeypatch.context() as patched:
            patched.setattr(content, "_read", None)
            assert day_contents(lake, MAY) == first
            assert day_contents(lake, Interval(date(2026, 5, 2), date(2026, 5, 3))) == first[1:2]
        lake.seal(usage_batch([record(40, 2)], BUYERS, DEPLOYMENTS, RULINGS, spool="t"), 3000)
        assert [content.attempts for content in day_contents(lake, MAY)] == [4, 5, 4]


def test_what_was_known_by_an_instant_has_a_name_of_its_own(name: str) -> None:
    later = [changed(record(20 + n), recorded_ns=start_of_day_ns(date(2026, 7, 1))) for n in range(3)]
    with lake_of([*RECORDS[:6], *later], RECORDS[6:]) as lake:
        assert content_digest(day_contents(lake, MAY)) != name
        in_june = lake.as_known(start_of_day_ns(date(2026, 6, 15)))
        assert content_digest(day_contents(in_june, MAY)) == name
        assert content_digest(day_contents(lake, MAY)) != name


@pytest.mark.parametrize("block", [1, 3, 5, 100])
def test_chunks_in_which_rows_are_read_are_not_in_it(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    day = [record(number) for number in range(11)]
    with lake_of(day) as lake:
        whole = day_contents(lake, MAY)
    monkeypatch.setattr(content, "_CHUNK_ROWS", block)
    with lake_of(day) as lake:
        assert day_contents(lake, MAY) == whole


@pytest.mark.parametrize("rows", [1, 4, 8])
def test_how_many_days_are_sorted_at_a_time_is_not_in_it(rows: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_SORTED_ROWS", rows)
    assert name_of(RECORDS) == name


# rows of each day of May, at most 100 at a time -> the days that are sorted together, the last one excluded
STRETCHES: list[tuple[dict[int, int], list[tuple[int, int]]]] = [
    ({}, []),
    ({1: 40, 2: 40, 3: 40}, [(1, 3), (3, 4)]),
    ({1: 500, 2: 500}, [(1, 2), (2, 3)]),
    ({1: 40, 2: 500, 3: 40}, [(1, 2), (2, 3), (3, 4)]),
    ({1: 40, 2: 60, 4: 0, 5: 40}, [(1, 3), (4, 6)]),
    ({1: 0, 2: 500, 3: 100}, [(1, 2), (2, 3), (3, 4)]),
]


@pytest.mark.parametrize(("rows_of", "together"), STRETCHES)
def test_days_are_sorted_together_while_they_are_small(
    rows_of: dict[int, int], together: list[tuple[int, int]]
) -> None:
    days = {date(2026, 5, day): rows for day, rows in rows_of.items()}
    assert [(days.begin.day, days.end.day) for days in content._small_stretches(days, 100)] == together


def test_no_usage_has_no_name() -> None:
    assert name_of() == ""
    assert content_digest([]) == ""


def test_a_slice_of_a_table_is_hashed_as_itself() -> None:
    rows = content._Rows()
    columns = {name: [f"{name}{n}" for n in range(6)] for name in WORDS}
    numbers = {name: list(range(6)) for name in (*NUMBERS, *UNITS)}
    table = pa.table({**columns, **numbers})
    rows.add(table.slice(2, 3))
    again = content._Rows()
    again.add(pa.table({name: table[name].to_pylist()[2:5] for name in table.column_names}))
    assert rows.end(MAY.begin) == again.end(MAY.begin)
