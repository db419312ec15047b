"""A file of the lake that was edited, swapped, cut or removed: what every command says, and that none of it is settled.

The home is that of `metered_months`: seven attempts in April and May 2026, a file for each event day.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from clauseway.app.books.closing import closed_months
from clauseway.app.opening.home import Home
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.lake_checks import check_lake, unknown_problem
from clauseway.app.usage.sealing import open_lake
from clauseway.storage.lake.file_list import USAGE, files_of
from in_process import answer, run
from metered_months import OUT, SOLD, assumed, metered_home

SETTLE_MAY = ("settle", "--period", "2026-05", *assumed())


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = metered_home(tmp_path_factory.mktemp("settled") / "home")
    done = run("settle", "--period", "2026-04", *assumed(), "--prices", book(made), home=made.root)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def home(settled: Home, tmp_path: Path) -> Home:
    """Each test damages its own."""
    return Home(shutil.copytree(settled.root, tmp_path / "home"))


def book(home: Home) -> str:
    return str(home.root / "book.csv")


def file_of(home: Home, day: str) -> Path:
    """The one file with the usage of a day."""
    (path,) = (home.lake / "usage" / day).glob("*.parquet")
    return path


def is_closed(home: Home, period: str) -> bool:
    return any(f"{closed.period.begin:%Y-%m}" == period for closed, _ in closed_months(home))


def times_a_thousand(home: Home) -> None:
    """An editor who knows Parquet: the file is whole, its own checksums are right, the tokens are not."""
    path = file_of(home, "2026-05-05")
    table = pq.read_table(path)
    place = table.schema.get_field_index(OUT.column)
    raised = table.set_column(place, table.schema.field(place), pc.multiply(table[OUT.column], 1000))
    pq.write_table(raised, path, compression="zstd", write_page_checksum=True)


def flip_a_bit(home: Home) -> None:
    path = file_of(home, "2026-05-06")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def cut(home: Home) -> None:
    path = file_of(home, "2026-05-06")
    path.write_bytes(path.read_bytes()[:-1])


def remove(home: Home) -> None:
    file_of(home, "2026-05-07").unlink()


def swap_two(home: Home) -> None:
    first, second = file_of(home, "2026-05-05"), file_of(home, "2026-05-07")
    beside = first.with_suffix(".beside")
    first.rename(beside)
    second.rename(first)
    beside.rename(second)


# Damage done by hand · the days whose files are named · the finding
DAMAGES = [
    (times_a_thousand, ["2026-05-05"], "changed"),
    (flip_a_bit, ["2026-05-06"], "changed"),
    (cut, ["2026-05-06"], "changed"),
    (remove, ["2026-05-07"], "missing"),
    (swap_two, ["2026-05-05", "2026-05-07"], "changed"),
]
BY_HAND = pytest.mark.parametrize(("by_hand", "days", "said"), DAMAGES, ids=[row[0].__name__ for row in DAMAGES])
Damaging = Callable[[Home], None]


@BY_HAND
def test_nothing_is_settled_from_a_file_that_is_not_what_was_written(
    home: Home, by_hand: Damaging, days: list[str], said: str
) -> None:
    names = [file_of(home, day).name for day in days]
    by_hand(home)
    done = run(*SETTLE_MAY, "--prices", book(home), home=home.root)
    assert done.returncode == 3
    for day, name in zip(days, names, strict=True):
        assert f"usage/{day}/{name}" in done.stderr
    assert said in done.stderr
    assert "SHA-256" in done.stderr, "what to look for in a backup"
    assert run("statement", "--period", "2026-05", home=home.root).returncode != 0, "nothing was posted"


@BY_HAND
def test_a_settled_month_is_not_the_same_any_more(home: Home, by_hand: Damaging, days: list[str], said: str) -> None:
    assert run(*SETTLE_MAY, "--prices", book(home), home=home.root).returncode == 0
    by_hand(home)
    done = run("statement", "verify", "2026-05", home=home.root)
    assert done.returncode == 3
    assert f"usage/{days[0]}/" in done.stderr


@BY_HAND
def test_a_settled_month_is_not_closed_on_a_damaged_lake(
    home: Home, by_hand: Damaging, days: list[str], said: str
) -> None:
    for command in (SETTLE_MAY, ("books", "close", "2026-04")):
        assert run(*command, home=home.root).returncode == 0
    by_hand(home)
    refused = run("books", "close", "2026-05", home=home.root)
    assert refused.returncode == 3
    assert f"usage/{days[0]}/" in refused.stderr
    assert not is_closed(home, "2026-05")


@BY_HAND
def test_the_lake_is_checked_to_the_last_byte(home: Home, by_hand: Damaging, days: list[str], said: str) -> None:
    sound = answer("lake", "check", home=home.root)
    assert (sound["files"], sound["faults"]) == (5, [])
    names = [file_of(home, day).name for day in days]
    by_hand(home)
    result = answer("lake", "check", home=home.root, code=2)
    assert [(fault["first_day"], fault["what"]) for fault in result["faults"]] == [(day, said) for day in days]
    outcome = run("lake", "check", home=home.root)
    assert outcome.returncode == 2
    heading, *faults, counts = outcome.stdout.splitlines()
    assert heading.startswith("5 files and 0 retired, ")
    assert heading.endswith(f": {len(days)} file{'s' if len(days) > 1 else ''} not as written")
    for number, (day, name) in enumerate(zip(days, names, strict=True)):
        what, why, remedy = faults[3 * number : 3 * number + 3]
        assert what == f"  usage/{day}/{name}: {said}"
        assert why.endswith(f"; it held 1 record of {day}.")
        assert f"Without a backup, accept the loss: clauseway lake accept usage/{day}/{name} --why …" in remedy
    assert counts.startswith("the lists of files have as many rows as the log of the books says; ")


# Every command that reads single records of the day; each names the file and exits with 3.
READERS = [
    ("settle", "--period", "2026-05", *assumed()),
    ("settle", "--period", "2026-05", "--under", "A3", *assumed()),
    ("export", "usage", "--format", "parquet", "--out", "usage.parquet"),
    ("export", "usage", "--format", "cloudevents", "--out", "usage.jsonl"),
    ("export", "usage", "--format", "focus", "--out", "usage.csv"),
    ("lake", "rollups"),
    ("usage", "request", "req_00000000000000070000000000000005"),
]


@pytest.mark.parametrize("command", READERS, ids=[" ".join(row[:4]) for row in READERS])
def test_no_command_reads_a_changed_file(home: Home, tmp_path: Path, command: tuple[str, ...]) -> None:
    times_a_thousand(home)
    placed = [str(tmp_path / part) if part.startswith("usage.") else part for part in command]
    prices = ["--prices", book(home)] if command[0] == "settle" else []
    done = run(*placed, *prices, home=home.root)
    assert done.returncode == 3, done.stdout
    assert "usage/2026-05-05/" in done.stderr


def test_a_file_of_other_days_stops_nobody(home: Home) -> None:
    """April's share of Microsoft ended with 26 April: May reads from 27 April on."""
    (home.lake / "usage" / "2026-04-10").rename(home.root / "aside")
    assert run(*SETTLE_MAY, "--prices", book(home), home=home.root).returncode == 0
    assert [fault["what"] for fault in answer("lake", "check", home=home.root, code=2)["faults"]] == ["missing"]


def test_what_is_put_back_is_settled(home: Home) -> None:
    path = file_of(home, "2026-05-05")
    shutil.copy(path, home.root / "backup")
    times_a_thousand(home)
    assert run(*SETTLE_MAY, "--prices", book(home), home=home.root).returncode == 3
    shutil.copy(home.root / "backup", path)
    assert run(*SETTLE_MAY, "--prices", book(home), home=home.root).returncode == 0


# A check's finding about a file that lies there again now, at its size · the sentence until the next check
FOUND_BEFORE = [
    (remove, "2026-05-07", []),
    (flip_a_bit, "2026-05-06", ["a file of the lake is changed"]),
]


@pytest.mark.parametrize(("by_hand", "day", "said"), FOUND_BEFORE, ids=[row[0].__name__ for row in FOUND_BEFORE])
def test_a_file_that_is_back_is_said_to_be_what_a_check_found(
    home: Home, by_hand: Damaging, day: str, said: list[str]
) -> None:
    path = file_of(home, day)
    written = path.read_bytes()
    by_hand(home)
    assert check_lake(home).faults
    path.write_bytes(written)
    assert [damage.problem.what for damage in blocking_damages(home)] == said
    check_lake(home)
    assert blocking_damages(home) == []


# Rows that somebody deleted beside the program · what `lake check` says
EMPTIED = [
    ("manifest", "the log knows 1 rows of manifest, and there are 0"),
    ("lake_files WHERE sequence > 1", "the log knows 5 rows of lake_files, and there are 1"),
]


@pytest.mark.parametrize(("rows", "said"), EMPTIED)
def test_a_lake_whose_list_was_emptied_is_not_called_sound_and_loses_nothing(home: Home, rows: str, said: str) -> None:
    with closing(sqlite3.connect(home.embedded_control)) as database, database:
        database.execute(f"DELETE FROM {rows}")
    checked = run("lake", "check", home=home.root)
    assert checked.returncode == 2
    assert "as many rows as the log" not in checked.stdout
    above, _, below = checked.stdout.partition(said)
    assert above.splitlines()[-1].startswith("  ")
    assert "audit verify" in below.splitlines()[1], "what to do"
    assert (compact_lake(home).removed, len(list(home.lake.glob("usage/*/*.parquet")))) == (0, 5)


def test_files_on_no_list_are_counted_and_one_is_named() -> None:
    problem = unknown_problem(["usage/2026-05-05/a.parquet", "usage/2026-05-06/b.parquet"])
    assert problem.why.startswith("2 of its files are on no list, ")
    assert problem.where == "usage/2026-05-06/b.parquet"
    assert "`clauseway lake check` names what stays" in problem.remedy


def test_retired_files_are_checked_until_they_are_deleted_and_merging_goes_on_beside_a_fault(home: Home) -> None:
    second = [sold for sold in SOLD if sold.day != "2026-05-05"]
    metered_home(home.root, second, first=101)
    times_a_thousand(home)
    done = run("lake", "compact", "--files", "2", home=home.root)
    assert done.returncode == 0, "one file of 5 May: nothing of it was to be merged"
    with open_lake(home) as lake:
        merged = [file.name for file in files_of(lake.control, USAGE) if "merged-" in file.name]
    assert len(merged) == 4
    result = answer("lake", "check", home=home.root, code=2)
    assert result["retired"] == 8
    retired = next(path for path in (home.lake / "usage" / "2026-04-10").iterdir() if "merged" not in path.name)
    retired.write_bytes(b"")
    result = answer("lake", "check", home=home.root, code=2)
    assert sorted((fault["first_day"], fault["is_retired"]) for fault in result["faults"]) == [
        ("2026-04-10", True),
        ("2026-05-05", False),
    ]


def test_a_damaged_day_is_not_merged_and_the_others_are(home: Home) -> None:
    metered_home(home.root, SOLD, first=101)
    for path in (home.lake / "usage" / "2026-05-06").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    done = run("lake", "compact", "--files", "2", home=home.root)
    assert done.returncode == 3
    assert "usage/2026-05-06/" in done.stderr
    with open_lake(home) as lake:
        merged = [file for file in files_of(lake.control, USAGE) if "merged-" in file.name]
    assert len(merged) == 4


def test_sealing_goes_on_beside_a_lost_file(home: Home) -> None:
    """The same requests again on a day whose file is gone: whether they repeat cannot be told."""
    file_of(home, "2026-05-07").unlink()
    metered_home(home.root, SOLD, first=1000)
    with open_lake(home) as lake:
        last = [file for file in files_of(lake.control, USAGE) if str(file.first_day) == "2026-05-07"]
    assert len(last) == 2


def test_files_carry_page_checksums_which_merging_verifies(home: Home) -> None:
    page = pq.ParquetFile(file_of(home, "2026-05-05"), page_checksum_verification=True)
    assert page.read().num_rows == 1
    assert compact_lake(home).before == 0
