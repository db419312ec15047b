"""The lake by command: usage handed on and taken back, what may be dropped and what may not, sums made anew."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from clauseway import open_agreement
from clauseway.app.opening.home import Home
from clauseway.app.running.upkeep import Upkeep
from clauseway.app.usage import compacting, lake_checks
from clauseway.app.usage.compacting import (
    Compacted,
    compact_lake,
    export_usage,
    rebuild_rollups,
    retain,
    state,
    usage_shown,
)
from clauseway.app.usage.importing import ImportSource, import_usage
from clauseway.app.usage.lake_checks import check_lake
from clauseway.app.usage.sealing import open_lake
from clauseway.cli import run
from clauseway.cli.output import progress_on_stderr
from clauseway.storage.books.books import Books, Closed
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.stores import Stored
from clauseway.storage.usage.sums import hour_sums
from clauseway.values import Interval, InvalidInput

OPENED = open_agreement()
UNITS = {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 5}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with ten events: five on 20 April, five on 2 May."""
    usage = {"organisation": "acme", "seller": "openai", "cloud": "azure", "product": "gpt-5.4", "units": UNITS}
    lines = [
        {
            "specversion": "1.0",
            "type": "clauseway.usage.v1",
            "source": "/app",
            "id": str(number),
            "data": usage,
            "time": f"2026-{('04-20', '05-02')[number % 2]}T{number:02}:00:00Z",
        }
        for number in range(10)
    ]
    compacted = Home(tmp_path / "home")
    for number, line in enumerate(lines):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(json.dumps(line) + "\n")
        import_usage(compacted, OPENED, [path], ImportSource(), lambda *_: None)
    return compacted


def tokens(home: Home) -> list[tuple[str, dict[str, int]]]:
    with open_lake(home) as lake:
        return [(row.key[0], row.units) for row in usage_by(lake.control, ["hour"])]


def test_what_is_handed_on_comes_back_the_same(home: Home, tmp_path: Path) -> None:
    assert export_usage(home, "parquet", tmp_path / "out.parquet") == 10
    assert export_usage(home, "cloudevents", tmp_path / "out.jsonl", Interval(date(2026, 5, 1), date(2026, 6, 1))) == 5
    # A row per hour and unit: cached and other input, and output.
    assert export_usage(home, "focus", tmp_path / "out.csv") == 30
    bill = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert {(row["x_Unit"], row["ConsumedQuantity"], row["ConsumedUnit"]) for row in bill} == {
        ("input_tokens", "6.0", "Tokens"),
        ("cached_input_tokens", "4.0", "Tokens"),
        ("output_tokens", "5.0", "Tokens"),
    }
    for name in ("out.parquet", "out.csv"):
        again = Home(tmp_path / f"home of {name}")
        done = import_usage(again, OPENED, [tmp_path / name], ImportSource(), lambda *_: None)
        assert (done.quarantined, done.imported) == (0, done.rows)
        assert tokens(again) == tokens(home)
        assert import_usage(again, OPENED, [tmp_path / name], ImportSource(), lambda *_: None).again == done.rows


def test_hours_are_summed_of_one_state_of_the_lake(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usage that arrives while they are written is in none of their days."""
    more = tmp_path / "more.jsonl"
    usage = {"organisation": "acme", "seller": "openai", "cloud": "azure", "product": "gpt-5.4", "units": UNITS}
    event = {"specversion": "1.0", "type": "clauseway.usage.v1", "source": "/app", "data": usage}
    late = [{**event, "id": f"late{day}", "time": f"2026-{day}T11:00:00Z"} for day in ("04-20", "05-02", "05-03")]
    more.write_text("".join(json.dumps(line) + "\n" for line in late))

    def sums_then_more(lake: Lake, day: Interval) -> list[dict[str, Any]]:
        summed = hour_sums(lake, day)
        import_usage(home, OPENED, [more], ImportSource(), lambda *_: None)
        return summed

    monkeypatch.setattr(compacting, "hour_sums", sums_then_more)
    assert export_usage(home, "focus", tmp_path / "out.csv") == 30
    monkeypatch.undo()
    assert export_usage(home, "focus", tmp_path / "later.csv") == 39


def test_what_cannot_be_written_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        export_usage(home, "parquet", tmp_path / "nowhere" / "out.parquet")
    with pytest.raises(InvalidInput, match="'xls' is not a format"):
        export_usage(home, "xls", tmp_path / "out.xls")


def test_merging_by_command(home: Home) -> None:
    before = tokens(home)
    assert compact_lake(home, 6) == Compacted(before=0, after=0, rows=0, removed=0)
    # Ten imports left five files on each of two days.
    assert compact_lake(home) == Compacted(before=10, after=2, rows=10, removed=0)
    assert compact_lake(home) == Compacted(before=0, after=0, rows=0, removed=0)
    current = state(home)
    assert (current.usage_files, current.rows, current.first_day, current.last_day, current.kept_from) == (
        2,
        10,
        date(2026, 4, 20),
        date(2026, 5, 2),
        None,
    )
    assert rebuild_rollups(home) == 0
    assert tokens(home) == before


def test_a_file_merged_while_the_lake_is_checked_is_not_called_unlisted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, merged = Lake.stored, list[int]()

    def stored_after_merging(lake: Lake) -> Iterator[Stored]:
        monkeypatch.setattr(Lake, "stored", stored)
        merged.append(compact_lake(home).after)
        return stored(lake)

    monkeypatch.setattr(Lake, "stored", stored_after_merging)
    assert check_lake(home).unlisted == ()
    assert merged == [2]


def test_a_check_tells_how_far_it_has_come(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lake_checks, "_AT_ONCE", 4)
    assert check_lake(home, progress_on_stderr("file", "read", every_s=0)).files == 10
    assert capsys.readouterr().err == "4 of 10 files read\n8 of 10 files read\n"
    assert run(["lake", "check", "--home", str(home.root)]) == 0
    assert capsys.readouterr().err == ""


def test_sums_that_were_damaged_are_made_anew(home: Home) -> None:
    before = tokens(home)
    with open_lake(home) as lake, lake.control.writing() as connection:
        connection.exec_driver_sql("UPDATE rollups SET input_tokens = input_tokens + 1 WHERE hour % 2 = 0")
    assert tokens(home) != before
    assert rebuild_rollups(home) == 1
    assert tokens(home) == before


def test_days_that_something_open_needs_are_not_dropped(home: Home) -> None:
    today = date(2026, 7, 1)
    with pytest.raises(InvalidInput, match="no period is closed, and there is usage from 2026-04-20 on"):
        retain(home, OPENED, 70, today)
    assert retain(home, OPENED, 80, today) == 0
    with open_lake(home) as lake:
        period = Interval(date(2026, 4, 1), date(2026, 5, 1))
        Books(lake.control).close(Closed(period=period, receipt="r", statement=b"{}", digest="d", closed_ns=1))
    with pytest.raises(InvalidInput, match=r"the share A5\.share-openai-microsoft runs since 2026-04-27"):
        retain(home, OPENED, 61, today)
    assert retain(home, OPENED, 65, today) == 5
    assert state(home).kept_from == date(2026, 4, 27)
    assert len(tokens(home)) == 10


def test_where_the_disk_fails_it_is_told_once_and_usage_waits(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    home.lake.write_text("no folder")
    heard: list[str] = []
    upkeep = Upkeep(home, heard.append)
    for _ in range(2):
        upkeep.round(merging=True)
    [text] = heard
    assert text.startswith("Usage could not be sealed and waits in the spool; it is tried again:")
    home.lake.unlink()
    upkeep.round(merging=True)
    assert len(heard) == 1
    home.lake.rmdir()
    home.lake.write_text("no folder")
    upkeep.round(merging=True)
    assert len(heard) == 2


def test_what_was_used_is_shown_from_the_sums(home: Home) -> None:
    assert [(row.key, row.served) for row in usage_shown(home, ["cloud", "product"])] == [(("azure", "gpt-5.4"), 10)]
    hours = usage_shown(home, ["hour"], Interval(date(2026, 5, 2), date(2026, 5, 3)))
    assert [hour.key[0] for hour in hours][:2] == ["2026-05-02T01:00Z", "2026-05-02T03:00Z"]
    with pytest.raises(InvalidInput, match="'colour' is nothing to sum by"):
        usage_shown(home, ["colour"])
