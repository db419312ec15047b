"""A file of the lake that is gone for good: accepted by name, stated, and read again once it is put back.

The home is that of `metered_months`. May: 200.00 on azure and 144.00 on aws by openai, 20 % each; the file of
5 May, with its one attempt of 200.00, is lost.
"""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake
from clauseway.storage.control import schema
from clauseway.storage.lake.file_list import INTENTS, every_file
from in_process import answer, run
from metered_months import IN, MILLION, OUT, Sold, assumed, metered_home

LOST_DAY = "2026-05-05"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return metered_home(tmp_path / "home")


def settled(home: Home, period: str = "2026-05", code: int = 0) -> Any:
    return answer("settle", "--period", period, *assumed(), home=home.root, code=code)


def owed(home: Home) -> dict[str, str]:
    """Return openai's debt for May, by cloud."""
    amounts = settled(home)
    return {line["cloud"]: line["amount"] for line in amounts["lines"] if line["payer"] == "openai"}


def lose(home: Home, day: str = LOST_DAY) -> tuple[Path, Path]:
    """Take the file of a day away; where it was and where it is."""
    (path,) = (home.lake / "usage" / day).glob("*.parquet")
    aside = home.root / "aside.parquet"
    shutil.move(path, aside)
    return path, aside


def named(path: Path) -> str:
    """A file as the lake names it."""
    return "/".join(path.parts[-3:])


def accept(home: Home, path: Path, *words: str, code: int = 0) -> Any:
    return answer("lake", "accept", named(path), *words, "--why", "the disk failed", home=home.root, code=code)


# The estimate accepted for the lost file · the debt for May on azure and on aws: 20 % of 200.00 and of 144.00
ESTIMATES = [("summed", {"azure": "40.00", "aws": "28.80"}), ("nothing", {"aws": "28.80"})]


@pytest.mark.parametrize(("estimate", "amounts"), ESTIMATES)
def test_a_lost_file_is_accepted_by_name_and_the_month_says_so(
    home: Home, tmp_path: Path, estimate: str, amounts: dict[str, str]
) -> None:
    path, aside = lose(home)
    assert "clauseway lake accept" in str(settled(home, code=3))
    accepted = accept(home, path, "--estimate", estimate)
    assert accepted["place"] == f"file {named(path)}"
    assert owed(home) == amounts
    stated = answer("statement", "--period", "2026-05", home=home.root)
    (lost,) = [assumption for assumption in stated["assumptions"] if assumption["name"] == "lost-usage-1"]
    assert "1 record of 2026-05-05, and its SHA-256 was" in lost["text"]
    assert "the disk failed" in lost["text"]
    result = answer("lake", "check", home=home.root)
    assert [(loss["file"], loss["estimate"]) for loss in result["lost"]] == [(named(path), estimate)]
    assert run("lake", "rollups", home=home.root).stdout == "Every day was as it should be.\n"
    assert answer("statement", "verify", "2026-05", home=home.root)["repeated"]["same"]
    packed = str(tmp_path / "may.pack")
    answer("statement", "pack", "2026-05", "--out", packed, home=home.root)
    verified = answer("statement", "verify", packed, home=tmp_path / "nowhere")["repeated"]
    assert [estimate["name"] for estimate in verified["estimates"]] == ["lost-usage-1"]
    assert accept(home, path, "--estimate", estimate) == accepted, "again, the same"
    other = "nothing" if estimate == "summed" else "summed"
    assert f"accepted it at {estimate}" in str(accept(home, path, "--estimate", other, code=3))
    # Put back, it is what counts.
    shutil.copy(aside, path)
    assert answer("lake", "check", home=home.root)["healed"] == [named(path)]
    assert owed(home) == {"azure": "40.00", "aws": "28.80"}
    assert "lost-usage-1" not in str(answer("statement", "--period", "2026-05", home=home.root)["assumptions"])
    assert run("lake", "rollups", home=home.root).stdout == "Every day was as it should be.\n"
    assert answer("lake", "check", home=home.root)["lost"] == []
    assert run("audit", "verify", home=home.root).returncode == 0


def test_another_file_in_its_place_heals_nothing(home: Home) -> None:
    path, _ = lose(home)
    accept(home, path)
    shutil.copy(next((home.lake / "usage" / "2026-05-06").glob("*.parquet")), path)
    assert answer("lake", "check", home=home.root)["healed"] == []
    assert owed(home) == {"azure": "40.00", "aws": "28.80"}


# The estimates accepted for the two files · openai's debt for azure: 20 % of 490.00, of a third, of two thirds
LOST_TOGETHER = [
    (("summed", "summed"), "98.00"),
    (("summed", "nothing"), "32.67"),
    (("nothing", "summed"), "65.33"),
    (("nothing", "nothing"), ""),
]


@pytest.mark.parametrize(("estimates", "azure"), LOST_TOGETHER)
def test_files_of_one_day_that_are_lost_together_are_accepted_one_after_the_other(
    home: Home, estimates: tuple[str, str], azure: str
) -> None:
    """200.00 by openai on azure on 5 May in a file of one record, 150.00 and 140.00 in one of two.

    The sums do not tell the files apart: what is missing is shared by their records.
    """
    more = {IN: 5 * MILLION, OUT: 14 * MILLION}, {IN: 5 * MILLION, OUT: 13 * MILLION}
    metered_home(home.root, [Sold(LOST_DAY, 1, 1, units) for units in more], first=100)
    paths = sorted((home.lake / "usage" / LOST_DAY).glob("*.parquet"))
    whole = {"azure": "98.00", "aws": "28.80"}
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    assert settled(home, code=3)
    for path, estimate in zip(paths, estimates, strict=True):
        assert accept(home, path, "--estimate", estimate)["attempts"] == (estimate == "summed")
    assert owed(home) == ({"azure": azure} if azure else {}) | {"aws": "28.80"}
    assert run("lake", "rollups", home=home.root).stdout == "Every day was as it should be.\n"
    for path, content in before.items():
        path.write_bytes(content)
    assert len(answer("lake", "check", home=home.root)["healed"]) == 2
    assert owed(home) == whole
    assert run("lake", "rollups", home=home.root).stdout == "Every day was as it should be.\n"


def test_a_file_of_intents_is_accepted_at_nothing_whatever_else_is_lost(home: Home) -> None:
    """A file of attempts that began holds no usage: what the sums lack beside it is another file's."""
    path, _ = lose(home)
    with open_lake(home) as lake, lake.control.writing() as connection:
        (listed,) = [file for file in every_file(lake.control) if file.name == named(path)]
        intents = msgspec.structs.replace(listed, name=listed.name.replace("usage/", "intents/"), kind=INTENTS)
        connection.execute(insert(schema.lake_files).values(**msgspec.structs.asdict(intents)))
    accepted = answer("lake", "accept", intents.name, "--why", "the disk failed", home=home.root)
    assert accepted["attempts"] == 0
    accept(home, path)
    assert owed(home) == {"azure": "40.00", "aws": "28.80"}


def test_a_file_lost_of_a_closed_month_moves_what_is_due_only_as_it_is_accepted(home: Home) -> None:
    """April: 100.00 by openai on aws on 28 April, 20 %. By the hourly sums nothing changes; at nothing, 20.00 go."""
    settled(home, "2026-04")
    assert run("books", "close", "2026-04", home=home.root).returncode == 0
    path, aside = lose(home, "2026-04-28")
    accept(home, path)
    assert settled(home)["directions"][1]["corrections"] == []
    shutil.copy(aside, path)
    assert settled(home)["directions"][1]["corrections"] == []
    path.unlink()
    accept(home, path, "--estimate", "nothing")
    (back,) = settled(home)["directions"][1]["corrections"]
    assert "usage was lost: lost-usage-2 = nothing, accepted by" in back["causes"][0]
    assert (back["old"], back["new"]) == ("20.00", "0")
    shutil.copy(aside, path)
    assert settled(home)["directions"][1]["corrections"] == []


# Words of the command · a word of what is said
WRONG = [
    (("nothing-like-it.parquet", "--why", "x"), "no file of that name is read"),
    ((".parquet", "--why", "x"), "several files end so"),
    (("FILE", "--why", " "), "' ' is no value"),
    (("FILE", "--why", "x", "--estimate", "reserved"), "'reserved': this loss has no such estimate. One of summed,"),
    (("FILE", "--why", "x"), "its bytes are those that were sealed"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_is_no_loss_is_refused(home: Home, words: tuple[str, ...], said: str) -> None:
    (path,) = (home.lake / "usage" / LOST_DAY).glob("*.parquet")
    done = run("lake", "accept", *(named(path) if word == "FILE" else word for word in words), home=home.root)
    assert done.returncode == 3
    assert said in " ".join(done.stderr.split())
