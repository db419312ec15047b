"""Books that were edited by hand and have no backup: the break is stated, and never looks whole again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import settled_book
from clauseway.app.opening.home import Home
from in_process import answer, run

ASSUMED = [part for name in settled_book.ACCEPTED for part in ("--assume", name)]
SETTLE = ("settle", "--period", "2026-05", *ASSUMED)

# Damage to the database, as a shell command · the first finding of a check
DEEDS = {
    "a posting": ("UPDATE postings SET amount = '7.77' WHERE entry = 1 AND leg = 0", "was changed"),
    "a log row": ("UPDATE audit_log SET why = 'x' WHERE sequence = 3", "log row 3 is broken"),
    "a log row cut out": ("DELETE FROM audit_log WHERE sequence = 3", "log row 3 is missing"),
    "the end of the log": (
        "DELETE FROM audit_log WHERE sequence = (SELECT max(sequence) FROM audit_log)",
        "the end of the log was changed",
    ),
}


def by_hand(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.control)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("deed", DEEDS)
def test_a_stated_break_lets_the_books_go_on_and_is_shown_for_ever(tmp_path: Path, deed: str) -> None:
    home = settled_book.make(tmp_path / "home")
    statement, said = DEEDS[deed]
    by_hand(home, statement)
    refused = run(*SETTLE, home=home.root)
    assert refused.returncode == 3
    assert "audit restart" in refused.stderr
    before = answer("audit", "verify", home=home.root, code=2)
    assert said in " ".join(problem["what"] for problem in before["problems"])
    stated = answer("audit", "restart", "--why", "edited on 3 June", home=home.root)
    assert stated["why"] == "edited on 3 June"
    after = answer("audit", "verify", home=home.root, code=2)
    assert after["problems"] == []
    assert [log_break["head"] for log_break in after["breaks"]] == [stated["head"]]
    if deed != "a posting":
        assert after["before"] != [], "what is broken stays broken"
    text = run("audit", "verify", home=home.root).stdout
    assert "begun again after a break" in text
    assert "not edited\n" not in text
    assert "edited on 3 June" in run("audit", "log", home=home.root).stdout
    assert run(*SETTLE, home=home.root).returncode == 0
    assumed = answer("statement", "--period", "2026-05", home=home.root)["assumptions"]
    (shown,) = [assumption for assumption in assumed if assumption["name"] == "books-begun-again-1"]
    assert stated["head"] in shown["text"]
    assert "edited on 3 June" in shown["text"]


def test_a_stranger_reads_of_the_break_and_gets_the_same_bytes(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    by_hand(home, DEEDS["a log row"][0])
    answer("audit", "restart", "--why", "a bad disk", home=home.root)
    assert run(*SETTLE, home=home.root).returncode == 0
    packed = str(tmp_path / "may.pack")
    answer("statement", "pack", "2026-05", "--out", packed, home=home.root)
    done = answer("statement", "verify", packed, home=tmp_path / "nowhere")["repeated"]
    assert done["same"]
    assert [estimate["name"] for estimate in done["estimates"]] == ["books-begun-again-1"]


def test_the_new_log_is_checked_like_any_other(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    by_hand(home, DEEDS["a posting"][0])
    answer("audit", "restart", "--why", "x", home=home.root)
    by_hand(home, "UPDATE postings SET amount = '8.88' WHERE entry = 2 AND leg = 0")
    result = answer("audit", "verify", home=home.root, code=2)
    assert len(result["problems"]) == 1
    assert run(*SETTLE, home=home.root).returncode == 3
    answer("audit", "restart", "--why", "again", home=home.root)
    assert len(answer("audit", "verify", home=home.root, code=2)["breaks"]) == 2


def test_whole_books_are_not_begun_again(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    refused = run("audit", "restart", "--why", "to be sure", home=home.root)
    assert refused.returncode == 3
    assert "the log is not broken" in refused.stderr
    by_hand(home, DEEDS["a posting"][0])
    assert "--why: ' ' is no value" in run("audit", "restart", "--why", " ", home=home.root).stderr
