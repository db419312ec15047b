"""Settlements of homes from before usage was named by its content: they name batches, and are verified by them."""

import time
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books.settling import Settler
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.periods import month
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.sealing import open_lake
from clauseway.storage.books.books import Books
from in_process import answer, run


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """May as such a home recorded it: its inputs name the home's batches, and the point of knowledge is an instant."""
    made = settled_book.sealed(tmp_path / "home")
    with open_lake(made) as lake:
        books = Books(lake.control)
        settler = Settler(lake, open_agreement(), open_prices(settled_book.KNOWN), {}, use_kept=False)
        named = tuple(batch.name for batch in lake.control.batches())
        known_at = str(settled_book.KNOWN)
        settler.inputs = msgspec.structs.replace(settler.inputs, batches=named, known_at=known_at)
        settlement = settler.settle(month("2026-05"), settled_book.ACCEPTED)
        assert settlement.inputs.usage == ""
        books.control.settle(settlement, (), time.time_ns())
    return made


def test_a_settlement_by_batch_is_performed_again(home: Home) -> None:
    done = answer("statement", "verify", "2026-05", home=home.root)["repeated"]
    assert {line["verdict"] for line in done["lines"]} == {"the same"}


def test_batches_that_came_later_do_not_disturb_it(home: Home) -> None:
    settled_book.seal(home, [(12, "05-20", 9, 1, 2, (100_000, 0, 10_000))])
    assert answer("statement", "verify", "2026-05", home=home.root)["repeated"]["same"]


def test_files_merged_since_with_later_usage_are_told_apart_or_it_says_so(home: Home) -> None:
    settled_book.seal(home, [(12, "05-03", 9, 1, 2, (100_000, 0, 10_000))])
    compact_lake(home, 2)
    done = run("statement", "verify", "2026-05", home=home.root)
    assert done.returncode == 2
    assert "Files were merged since" in done.stdout, done.stdout


def test_another_home_says_that_the_batches_are_not_there(home: Home, tmp_path: Path) -> None:
    may = tmp_path / "may.json"
    assert run("statement", "--period", "2026-05", "--out", str(may), home=home.root).returncode == 0
    theirs = Home(tmp_path / "theirs").make()
    settled_book.seal(theirs, settled_book.USED[:-1])
    repetition = answer("statement", "verify", str(may), home=theirs.root, code=2)["repeated"]
    assert "Not in this lake: " in repetition["remarks"][0]
