"""The published table: readers that are not ours come to our sums, of the same files it is the same table, and whatever
is killed it is the former one or the new one."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_compaction import FIRST, batch, used

import iceberg_judges
from clauseway.metering import SERVED, Status, Unit
from clauseway.storage import Control
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA, usage_table
from clauseway.storage.lake.compaction import compact, drop_before
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.lost_files import heal
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.lake.stores import FolderStore
from clauseway.storage.usage.iceberg import FIELD_IDS
from clauseway.storage.usage.publishing import _opened, publish
from clauseway.values import InvalidInput
from soak import examples

NOW_NS = 1_800_000_000_000_000_000


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    control = Control.open(tmp_path / "control.db")
    yield Lake(tmp_path / "lake", control)
    control.close()


def our_sums(lake: Lake) -> iceberg_judges.Rows:
    """Return the usage that counts by the lake itself, by day and cloud."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (1 + len(Unit)))
    for part in lake.records():
        for row in part.to_pylist():
            if row["status"] in SERVED:
                of_place = sums[str(row["event_day"]), row["cloud"]]
                of_place[0] += 1
                for place, unit in enumerate(Unit, start=1):
                    of_place[place] += row[unit.column] or 0
    return sorted((*place, *map(str, figures)) for place, figures in sums.items())


def published_names(lake: Lake) -> list[str]:
    table = _opened(lake.store)
    current = table.current()
    assert current is not None
    return sorted(table.data_files([current]))


def metadata_of(lake: Lake) -> dict[str, Any]:
    return _opened(lake.store).metadata


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def states(lake: Lake) -> tuple[Lake, list[int], list[iceberg_judges.Rows], str]:
    """A lake published after each kind of change, with the snapshot of each and what the lake said then."""
    snapshots, expected = [], []

    def published() -> str:
        done = publish(lake, NOW_NS)
        snapshots.append(done.snapshot)
        expected.append(our_sums(lake))
        return done.metadata

    # Two days and two clouds; a failed attempt does not count.
    lake.seal(batch(0, used(1, 0, 1_000), used(2, 0, 9, who=2), used(3, 1, 5, status=Status.FAILED), used(4, 1, 7)), 10)
    published()
    # Files from before there was a column for the service tier.
    older = usage_table(batch(1, used(5, 2, 2**40), used(6, 2, 11, who=2))).drop_columns(["tier"])
    at = Range(spool="older", segment=1, first_frame=0, end_frame=1)
    lake.seal_tables(at, older, INTENT_SCHEMA.empty_table(), 20)
    published()
    # An attempt that failed was sealed again as complete, and another one twice as it was.
    lake.seal(batch(2, used(3, 1, 6, recorded_ns=99), used(4, 1, 7), used(7, 1, 8), spool="copy"), 30)
    published()
    list(compact(lake, NOW_NS, files_least=2))
    metadata = published()
    return lake, snapshots, expected, metadata


@pytest.mark.slow
@pytest.mark.parametrize("reader", iceberg_judges.JUDGES)
def test_a_reader_that_is_not_ours_comes_to_our_sums_of_every_snapshot(
    reader: str, states: tuple[Lake, list[int], list[iceberg_judges.Rows], str]
) -> None:
    lake, snapshots, expected, metadata = states
    units = [f"coalesce({unit.column}, 0)" for unit in Unit]
    try:
        answers = iceberg_judges.JUDGES[reader](lake.store.location, metadata, snapshots, units)
    except iceberg_judges.Unavailable as reason:
        pytest.skip(f"no {reader}: {reason}")
    assert answers == expected
    assert len(expected[0]) == 3
    assert ("2026-05-01", "azure", "3") in {row[:3] for row in expected[-1]}  # attempts 3, 4 and 7, each once


def test_nothing_is_copied_but_days_on_which_an_attempt_was_sealed_twice(
    states: tuple[Lake, list[int], list[iceberg_judges.Rows], str],
) -> None:
    lake, _, _, _ = states
    names = published_names(lake)
    assert [name.split("/")[:3] for name in names] == [
        ["published", "usage", "2026-05-01"],
        ["usage", "2026-04-30", names[1].rpartition("/")[2]],
        ["usage", "2026-05-02", names[2].rpartition("/")[2]],
    ]
    assert {file.name for file in files_of(lake.control, USAGE)} >= {name for name in names if name[0] == "u"}


def test_the_same_files_are_the_same_table_to_the_byte(tmp_path: Path) -> None:
    place = tmp_path / "lake"
    written = []
    for _ in range(2):
        control = Control.open(tmp_path / "control.db")
        lake = Lake(place, control)
        lake.seal(batch(0, used(1, 0, 1), used(2, 1, 1)), 10)
        publish(lake, NOW_NS)
        written.append(bytes_of(place))
        control.close()
        for path in (tmp_path / "control.db", *sorted(place.rglob("*"), reverse=True)):
            path.rmdir() if path.is_dir() else path.unlink()
    assert written[0] == written[1]
    elsewhere = Lake(tmp_path / "elsewhere", Control.open(tmp_path / "other.db"))
    elsewhere.seal(batch(0, used(1, 0, 1), used(2, 1, 1)), 10)
    number = json.loads(written[0]["metadata/v1.metadata.json"])["current-snapshot-id"]
    assert publish(elsewhere, NOW_NS).snapshot == number


def test_nothing_new_writes_nothing(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    assert publish(lake, NOW_NS).is_new
    before = bytes_of(lake.root)
    done = publish(lake, NOW_NS)
    assert (done.is_new, done.added, done.removed) == (False, 0, 0)
    assert bytes_of(lake.root) == before


# change | snapshot's operation | files added and removed
def test_a_snapshot_says_what_changed(lake: Lake) -> None:
    messages = []

    def tell() -> None:
        done = publish(lake, NOW_NS)
        operation = metadata_of(lake)["snapshots"][-1]["summary"]["operation"]
        messages.append((operation, done.added, done.removed, done.rows))

    lake.seal(batch(0, used(1, 0, 1), used(2, 2, 1)), 10)
    tell()
    lake.seal(batch(1, used(3, 0, 1)), 10)
    tell()
    list(compact(lake, NOW_NS, files_least=2))
    tell()
    lake.seal(batch(2, used(3, 0, 1), spool="copy"), 10)
    tell()
    drop_before(lake, FIRST + timedelta(days=1), NOW_NS)
    tell()
    assert messages == [
        ("append", 2, 0, 2),
        ("append", 1, 0, 3),
        ("replace", 1, 2, 3),
        ("replace", 1, 1, 3),  # each attempt once: the day has another file and the same rows
        ("delete", 0, 1, 1),
    ]


def test_a_file_that_is_back_is_the_snapshot_of_before(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1), used(2, 1, 1)), 10)
    whole = publish(lake, NOW_NS).snapshot
    (lost, _) = files_of(lake.control, USAGE)
    with lake.control.writing() as connection:
        connection.exec_driver_sql("UPDATE lake_files SET lost_ns = 5 WHERE name = ?", (lost.name,))
    assert publish(lake, NOW_NS).rows == 1
    with lake.control.writing() as connection:
        connection.exec_driver_sql("UPDATE lake_files SET lost_ns = 0 WHERE name = ?", (lost.name,))
    assert publish(lake, NOW_NS).snapshot == whole
    metadata = metadata_of(lake)
    assert len(metadata["snapshots"]) == 2
    assert [entry["snapshot-id"] for entry in metadata["snapshot-log"]][::2] == [whole, whole]
    assert heal(lake, NOW_NS) == []


def test_sweeping_spares_the_files_of_the_latest_snapshots_and_no_more(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    lake.seal(batch(1, used(2, 0, 1)), 10)
    publish(lake, NOW_NS)
    merged_from = [file.name for file in files_of(lake.control, USAGE)]
    list(compact(lake, NOW_NS, files_least=2))
    lake.sweep()
    for frame in range(2, 6):
        assert all((lake.root / name).exists() for name in merged_from)
        lake.seal(batch(frame, used(frame + 1, frame % 3, 1)), 10)
        publish(lake, NOW_NS)
        lake.sweep()
    lake.seal(batch(6, used(7, 0, 1)), 10)
    publish(lake, NOW_NS)
    lake.sweep()
    assert not any((lake.root / name).exists() for name in merged_from)
    assert all((lake.root / name).exists() for name in published_names(lake))


def test_what_no_version_names_is_removed_once_nobody_can_be_reading_it(lake: Lake) -> None:
    for frame in range(8):
        lake.seal(batch(frame, used(frame + 1, 0, 1)), 10)
        publish(lake, NOW_NS)
    versions = sorted(path.name for path in lake.root.glob("metadata/*.metadata.json"))
    assert versions == [f"v{number}.metadata.json" for number in range(3, 9)]
    table = _opened(lake.store)
    named = {name.rpartition("/")[2] for name in table.own_files(table.snapshots)}
    assert {path.name for path in lake.root.glob("metadata/*.avro")} == named
    assert (lake.root / "metadata/version-hint.text").read_text() == "8"


def test_many_manifests_become_one(lake: Lake) -> None:
    for frame in range(66):
        lake.seal(batch(frame, used(frame + 1, frame % 3, 1)), 10)
        publish(lake, NOW_NS)
    table = _opened(lake.store)
    current = table.current()
    assert current is not None
    assert [len(manifest.entries) for manifest in table.manifests(current)] == [65, 1]
    assert published_names(lake) == sorted(file.name for file in files_of(lake.control, USAGE))


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["seal", "repeat", "merge", "sweep", "publish"]), max_size=9))
def test_whatever_happens_in_between_the_table_is_the_lake(tmp_path_factory: Any, steps: list[str]) -> None:
    """LAW: the files of a table hold every attempt once, with the best known record of each."""
    folder = tmp_path_factory.mktemp("lake")
    control = Control.open(folder / "control.db")
    lake = Lake(folder / "lake", control)
    for number, step in enumerate([*steps, "publish"]):
        if step == "seal":
            lake.seal(batch(number, used(number + 1, number % 2, number), used(50 + number, 0, 3)), number + 1)
        elif step == "repeat":
            again = used(50, 0, 3, status=Status.ESTIMATED, recorded_ns=number)
            lake.seal(batch(number, again, used(number + 1, 1, 1), spool="copy"), number + 1)
        elif step == "merge":
            list(compact(lake, NOW_NS, files_least=2))
        elif step == "sweep":
            lake.sweep()
        else:
            publish(lake, NOW_NS)
    read = [row for name in published_names(lake) for row in pq.read_table(lake.root / name).to_pylist()]
    assert sorted(read, key=_identity) == sorted(
        (row for part in lake.records() for row in part.select(USAGE_SCHEMA.names).to_pylist()),
        key=_identity,
    )
    control.close()


def _identity(row: dict[str, Any]) -> tuple[str, int]:
    return row["request_id"], row["attempt"]


class _FailingStore(FolderStore):
    """A folder that fails at its n-th change, as a disk does that is full, or a process that is killed there."""

    def __init__(self, root: Path, changes: int) -> None:
        super().__init__(root)
        self._left = changes

    def _change(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError(28, "No space left on device")

    def put(self, name: str, content: bytes) -> bool:
        self._change()
        return super().put(name, content)

    def replace(self, name: str, content: bytes) -> None:
        self._change()
        super().replace(name, content)

    def remove(self, names: Iterable[str]) -> None:
        self._change()
        super().remove(names)


def test_killed_at_any_change_the_table_is_the_former_or_the_new_one(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    publish(lake, NOW_NS)
    former = published_names(lake)
    lake.seal(batch(1, used(2, 0, 1), used(3, 1, 1)), 10)
    new = sorted(file.name for file in files_of(lake.control, USAGE))
    sound, seen = lake.store, []
    for changes in range(20):
        lake.store = _FailingStore(lake.root, changes)
        try:
            publish(lake, NOW_NS)
        except OSError:
            lake.store = sound
            lake.sweep()
            seen.append(published_names(lake))
            assert seen[-1] in (former, new)
            assert all((lake.root / name).exists() for name in seen[-1])
            continue
        break
    lake.store = sound
    assert len(seen) >= 4
    assert seen == sorted(seen, key=len)
    assert publish(lake, NOW_NS).snapshot == _opened(sound).metadata["current-snapshot-id"]
    assert published_names(lake) == new
    assert (lake.root / "metadata/version-hint.text").read_text() == "2", "also for readers that look there"


def test_a_missing_file_is_not_published(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    (file,) = files_of(lake.control, USAGE)
    (lake.root / file.name).unlink()
    with pytest.raises(LakeDamaged, match="a file of the lake is missing"):
        publish(lake, NOW_NS)
    assert not (lake.root / "metadata").exists()


# file | its content | what is said
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("v1.metadata.json", "{", "it is no metadata of a table"),
        ("v1.metadata.json", '{"format-version": 1, "location": "x"}', "it is no metadata of a table"),
        ("v1.metadata.json", "[]", "it is no metadata of a table"),
        ("snap", "Obj", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_left_as_it_is(lake: Lake, name: str, content: str, says: str) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    publish(lake, NOW_NS)
    (path,) = lake.root.glob(f"metadata/{name}*")
    path.write_text(content)
    before = bytes_of(lake.root)
    with pytest.raises(InvalidInput, match=says):
        publish(lake, NOW_NS)
    assert bytes_of(lake.root) == before


def test_whoever_comes_second_is_told(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    publish(lake, NOW_NS)
    lake.seal(batch(1, used(2, 0, 1)), 10)
    sound = lake.store

    class Late(_FailingStore):
        def put(self, name: str, content: bytes) -> bool:
            if name == "metadata/v2.metadata.json":
                sound.put(name, b"another's")
            return super().put(name, content)

    lake.store = Late(lake.root, 99)
    with pytest.raises(InvalidInput, match="somebody else publishes here"):
        publish(lake, NOW_NS)


def test_an_own_version_that_is_there_already_is_no_other_publisher_s(lake: Lake) -> None:
    """Its answer was lost, as over a network, and the put was repeated."""
    lake.seal(batch(0, used(1, 0, 1)), 10)
    sound = lake.store

    class Repeated(FolderStore):
        def put(self, name: str, content: bytes) -> bool:
            sound.put(name, content)
            return super().put(name, content)

    lake.store = Repeated(lake.root)
    assert publish(lake, NOW_NS).is_new


def test_a_lake_that_was_moved_is_published_anew(tmp_path: Path, lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    number = publish(lake, NOW_NS).snapshot
    lake.root.rename(tmp_path / "moved")
    moved = Lake(tmp_path / "moved", lake.control)
    done = publish(moved, NOW_NS)
    assert (done.is_new, done.snapshot) == (True, number)
    metadata = metadata_of(moved)
    assert metadata["location"] == f"file://{tmp_path}/moved"
    assert str(lake.root) not in json.dumps(metadata)


# A number stands for a column for ever: tables that others have registered are read by it.
NUMBERS = {
    "request_id": 1,
    "attempt": 2,
    "event_ns": 3,
    "event_day": 4,
    "recorded_ns": 5,
    "endpoint": 6,
    "organisation": 7,
    "project": 8,
    "key_id": 9,
    "seller": 10,
    "segment": 11,
    "deployment": 12,
    "cloud": 13,
    "region": 14,
    "product": 15,
    "model": 16,
    "decision": 17,
    "outcome": 18,
    "terms": 19,
    "receipt": 20,
    "status": 21,
    "http_status": 22,
    "streamed": 23,
    "duration_us": 24,
    "first_content_us": 25,
    "charge_picodollars": 26,
    "upstream_id": 27,
    "tier": 28,
    "requests": 101,
    "input_tokens": 102,
    "cached_input_tokens": 103,
    "cache_write_tokens": 104,
    "audio_input_tokens": 105,
    "output_tokens": 106,
    "reasoning_tokens": 107,
    "audio_output_tokens": 108,
    "accepted_prediction_tokens": 109,
    "rejected_prediction_tokens": 110,
    "image_input_tokens": 111,
    "image_output_tokens": 112,
    "audio_input_milliseconds": 113,
    "cache_write_1h_tokens": 114,
    "web_searches": 115,
    "image_tool_input_tokens": 116,
    "image_tool_image_input_tokens": 117,
    "image_tool_output_tokens": 118,
    "image_tool_image_output_tokens": 119,
}


def test_each_column_has_its_number() -> None:
    assert FIELD_IDS == NUMBERS
    assert FIELD_IDS.keys() == set(USAGE_SCHEMA.names)


def test_a_column_that_comes_later_is_a_schema_of_its_own(lake: Lake) -> None:
    lake.seal(batch(0, used(1, 0, 1)), 10)
    number = publish(lake, NOW_NS).snapshot
    path = lake.root / "metadata/v1.metadata.json"
    metadata = json.loads(path.read_text())
    fields = metadata["schemas"][0]["fields"]
    metadata["schemas"][0]["fields"] = [field for field in fields if field["name"] != "tier"]
    path.write_text(json.dumps(metadata))
    done = publish(lake, NOW_NS)
    assert (done.is_new, done.snapshot) == (True, number)
    later = metadata_of(lake)
    assert [(each["schema-id"], len(each["fields"])) for each in later["schemas"]] == [(0, 46), (1, 47)]
    assert later["current-schema-id"] == 1
    assert not publish(lake, NOW_NS).is_new


def test_a_publication_is_plain_data(lake: Lake) -> None:
    done = msgspec.json.decode(msgspec.json.encode(publish(lake, NOW_NS)))
    assert (done["rows"], done["files"], done["first_day"], done["is_new"]) == (0, 0, None, True)
