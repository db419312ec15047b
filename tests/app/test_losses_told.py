"""Damage to a home, and losses, are told wherever somebody looks: doctor, serve, figures, pages, statements."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from journals import flip, frames, gateway, home_at, segment, today
from starlette.testclient import TestClient

from clauseway import open_agreement
from clauseway.app.opening.home import Home
from clauseway.app.running.pages_process import HomePages
from clauseway.app.running.upkeep import Upkeep
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.sealing import seal
from clauseway.gateway.plan.clock import system_clock
from clauseway.gateway.process.home_damage import read_damages
from clauseway.storage.control.actor import acting
from clauseway.web.pages import create_app
from in_process import answer, run
from metered_months import assumed, metered_home

# Kind of what is wrong · how it comes to be, by hand · a word of what is said · a word of what to do
WRONG = ["frames", "spool", "lake-missing", "lake-changed"]
SAID = {
    "frames": ("may be lost", "spool accept"),
    "spool": ("a usage journal is missing", "spool write-off"),
    "lake-missing": ("a file of the lake is missing", "SHA-256"),
    "lake-changed": ("a file of the lake is changed", "SHA-256"),
}


def damaged(root: Path, wrong: str) -> Home:
    home = home_at(root)
    directory = gateway(home)
    if wrong == "frames":
        flip(segment(directory), frames(segment(directory))[5] + 60)
    if wrong == "spool":
        directory.rename(root / "aside")
    seal(home)
    if wrong == "lake-missing":
        next((home.lake / "usage").rglob("*.parquet")).unlink()
    if wrong == "lake-changed":
        path = next((home.lake / "usage").rglob("*.parquet"))
        flip(path, path.stat().st_size // 2)
        assert run("lake", "check", home=root).returncode == 2
    return home


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path, wrong: str) -> Home:
    return damaged(tmp_path / "home", wrong)


def test_the_doctor_says_it_and_what_to_do(home: Home, wrong: str) -> None:
    result = answer("doctor", home=home.root, code=2)
    (check,) = [check for check in result["checks"] if check["what"] == "usage"]
    said, remedy = SAID[wrong]
    assert said in check["found"]
    assert remedy in check["remedy"]
    assert not check["ok"]


def test_the_doctor_says_that_books_were_edited(tmp_path: Path) -> None:
    home = metered_home(tmp_path / "home")
    book = ("--prices", str(home.root / "book.csv"))
    assert run("settle", "--period", "2026-04", *assumed(), *book, home=home.root).returncode == 0
    assert books_of(home)["ok"]
    with closing(sqlite3.connect(home.control)) as database, database:
        database.execute("update postings set amount = amount + 1 where entry = (select max(entry) from postings)")
    check = books_of(home)
    assert not check["ok"]
    assert "was changed" in check["found"]
    assert "backup" in check["remedy"]


def test_the_doctor_says_that_usage_is_dated_after_today(tmp_path: Path) -> None:
    """A clock was ahead while requests were served: their usage is settled in months that are still to come."""
    home = home_at(tmp_path / "home")
    gateway(home)
    seal(home)
    assert not [check for check in answer("doctor", home=home.root, code=2)["checks"] if check["what"] == "clock"]
    gateway(home, range(11, 13), boot=8, day="2097-02-20")
    seal(home)
    (check,) = [check for check in answer("doctor", home=home.root, code=2)["checks"] if check["what"] == "clock"]
    assert "2097-02-20" in check["found"]
    assert "clauseway books credit" in check["remedy"]


def books_of(home: Home) -> dict[str, Any]:
    (check,) = [check for check in answer("doctor", home=home.root, code=2)["checks"] if check["what"] == "books"]
    return dict(check)


def test_a_journal_that_was_written_off_is_listed_so(tmp_path: Path) -> None:
    home = damaged(tmp_path / "home", "spool")
    (spool,) = answer("spool", "list", home=home.root, code=2)["spools"]
    assert run("spool", "write-off", spool["spool"], "--why", "the disk died", home=home.root).returncode == 0
    assert run("spool", "list", home=home.root).stdout.startswith(f"{spool['spool']}  {spool['place']}: written off\n")


def test_people_read_what_was_lost_and_who_accepted_it(tmp_path: Path) -> None:
    home = damaged(tmp_path / "home", "frames")
    listed = answer("spool", "list", home=home.root, code=2)
    journal, reason = listed["spools"][0]["spool"], listed["losses"][0]["reason"]
    place = f"spool {journal}, segment 0, frames from 5 to 5"
    lines = [
        f"{journal}  gateway: at rest: all of it is sealed",
        f"loss 1: usage of {today()}, {place}: {reason}",
    ]
    *same, problem, remedy = run("spool", "list", home=home.root).stdout.splitlines()
    assert same == lines
    assert problem == f"open: usage of {today()} may be lost ({place}): {reason}"
    assert remedy.endswith("accept the loss: clauseway spool accept 1 --why …")
    said = run("spool", "accept", "1", "--why", "no copy", home=home.root).stdout
    assert said.startswith(f"Loss 1 ({place}) is accepted by {acting()}: 1 attempt at what was reserved. ")
    listed_then = run("spool", "list", home=home.root)
    assert listed_then.stdout.splitlines() == [*lines, f"  reserved accepted by {acting()}: no copy"]
    assert listed_then.returncode == 0


def test_serve_says_it_once_and_tells_the_gateway(home: Home, wrong: str) -> None:
    messages: list[str] = []
    tending = Upkeep(home, messages.append)
    tending.round(merging=False)
    tending.round(merging=False)
    said, remedy = SAID[wrong]
    assert len([line for line in messages if said in line and remedy in line]) == 1
    counts = read_damages(home.damages)
    assert counts == {"frames": 0, "spool": 0, "lake": 0} | {wrong.partition("-")[0]: 1}


def test_the_pages_and_a_statement_say_it(home: Home, wrong: str) -> None:
    source = HomePages(home, open_agreement(), system_clock, "http://127.0.0.1:1/v1")
    alerts = asyncio.run(source.alerts())
    said, remedy = SAID[wrong]
    assert [(said in alert.what, remedy in alert.remedy) for alert in alerts] == [(True, True)]


def test_a_statement_says_what_was_found_lost_since_it_was_settled(tmp_path: Path) -> None:
    home = home_at(tmp_path / "home")
    directory = gateway(home, range(1, 6), killed=True)
    month = f"{today():%Y-%m}"
    prices = ("--prices", str(home.root / "book.csv"))
    assert run("settle", "--period", month, *assumed(), *prices, home=home.root).returncode == 0
    assert "Open:" not in run("statement", "--period", month, home=home.root).stdout
    gateway(home, range(6, 11), boot=8)
    flip(segment(directory, 1), frames(segment(directory, 1))[5] + 60)
    seal(home)
    text = " ".join(run("statement", "--period", month, home=home.root).stdout.split())
    assert "Open: usage of" in text
    source = HomePages(home, open_agreement(), system_clock, "http://127.0.0.1:1/v1")
    with TestClient(create_app(source), base_url="http://127.0.0.1") as client:
        page = client.get(f"/statement/{month}").text
    assert re.search(r"usage of [\d-]+ may be lost", page)
    assert "spool accept" in page


def test_what_was_put_right_is_told_no_more(tmp_path: Path) -> None:
    home = damaged(tmp_path / "home", "lake-changed")
    path = next((home.lake / "usage").rglob("*.parquet"))
    flip(path, path.stat().st_size // 2)
    assert run("lake", "check", home=home.root).returncode == 0
    assert blocking_damages(home) == []
    messages: list[str] = []
    Upkeep(home, messages.append).round(merging=False)
    assert messages == []
    assert read_damages(home.damages) == {"frames": 0, "spool": 0, "lake": 0}


def test_serving_finds_a_changed_file_by_itself(tmp_path: Path) -> None:
    """Nobody settles and nobody checks: each round of merging reads a part of the lake, all of it in a day."""
    home = home_at(tmp_path / "home")
    gateway(home)
    seal(home)
    path = next((home.lake / "usage").rglob("*.parquet"))
    flip(path, path.stat().st_size // 2)
    messages: list[str] = []
    tending = Upkeep(home, messages.append)
    tending._part = 23  # behind the last part comes the first one
    for _ in range(24):
        tending.round(merging=True)
    assert len([line for line in messages if "a file of the lake is changed" in line]) == 1
