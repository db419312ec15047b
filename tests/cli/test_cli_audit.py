"""The log of the books on the command line, and every command that stands on books that somebody edited."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import settled_book
from clauseway.app.opening.home import Home
from clauseway.storage.control.actor import acting
from in_process import answer, run

ASSUMED = [part for name in settled_book.ACCEPTED for part in ("--assume", name)]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """April settled and closed, May settled and credited."""
    home = settled_book.make(tmp_path_factory.mktemp("book") / "home")
    at = ("--home", str(home.root))
    for command in (
        "books close 2026-04",
        "books credit --id c-1 --request " + settled_book.request(7) + " --amount 0.50 --reason outage",
    ):
        done = run(*command.split(), *at)
        assert done.returncode == 0, done.stderr + done.stdout
    return home


@pytest.fixture
def own(book: Home, tmp_path: Path) -> Home:
    """A copy to change."""
    return Home(Path(shutil.copytree(book.root, tmp_path / "own")))


def edited(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.control)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


# Edits of the audit log, and the words by which every command names each.
EDITS = {
    "a posting of April": (
        "UPDATE postings SET amount = '99.00' WHERE entry = 1 AND leg = 0",
        "entry accrual|2026-04",
    ),
    "a closed statement": (
        "UPDATE closes SET statement = replace(statement, 'openai', 'nobody')",
        "close 2026-04",
    ),
    "the credit": ("DELETE FROM vouchers", "credit c-1 was deleted"),
    "the log": ("UPDATE audit_log SET who = 'nobody' WHERE sequence = 2", "log row 2 is broken"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_books_that_were_edited_are_told_and_not_settled_on(own: Home, edit: str) -> None:
    statement, named = EDITS[edit]
    edited(own, statement)
    for words, code in (
        (("audit", "verify"), 2),
        (("statement", "verify", "2026-05"), 2),
        (("settle", "--period", "2026-05", *ASSUMED), 3),
        (("books", "close", "2026-05"), 3),
        (("books", "credit", "--id", "c-2", "--request", settled_book.request(7), "--amount", "0.1"), 3),
    ):
        done = run(*words, "--home", str(own.root))
        said = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode, named in said) == (code, True), f"{words}: {said}"


def test_a_log_that_was_begun_again_says_so_ever_after(own: Home) -> None:
    def said() -> str:
        done = run("audit", "verify", home=own.root)
        assert done.returncode == 2, "also where nothing was edited since"
        return " ".join(done.stdout.split())

    edited(own, EDITS["a posting of April"][0])
    shown = run("statement", "verify", "2026-04", home=own.root).stdout
    assert shown.startswith("Statement 2026-04: NOT the same\n")
    stated = run("audit", "restart", "--why", "by hand", home=own.root).stdout
    row = int(re.findall(r"begun again at row (\d+); before, it was broken: entry accrual\|2026-04", stated)[0])
    assert "was changed (1 finding), and ended with " in stated
    since = f"since log row {row}, where their log was begun again after a break"
    assert said().startswith(f"The books were not edited {since}")
    assert re.search(
        rf"Broken before log row {row}: entry accrual\S+ was changed \(1 finding\); the log ended with {row - 1}:"
        rf"[0-9a-f]{{64}}\. Stated by {acting()} on \d{{4}}-\d\d-\d\d: by hand",
        said(),
    )
    edited(own, "UPDATE postings SET amount = '99.00' WHERE entry = 1 AND leg = 1")
    assert said().startswith(f"The books were edited: 1 finding {since}")
    run("audit", "restart", "--why", "again", home=own.root)
    assert f"since log row {row}," not in said(), "the last break counts"


def test_books_that_nobody_edited_are_settled_on(own: Home) -> None:
    assert answer("audit", "verify", home=own.root)["problems"] == []
    # It says what it posted; the credit is in the first settlement.
    settle = ("settle", "--period", "2026-05", *ASSUMED, "--home", str(own.root))
    assert "\n1 entry posted. Settling 2026-05 again posts what has changed since" in run(*settle).stdout
    assert "\nNo entry posted: the books held these amounts." in run(*settle).stdout
    assert answer("audit", "verify", home=own.root)["problems"] == []


def test_the_log_is_shown_in_words_and_its_json_exactly(book: Home) -> None:
    shown = run("audit", "log", "--kind", "entry", "--home", str(book.root)).stdout
    words = "entry added: accrual of 2026-04: microsoft to openai: gpt-5.4 on azure, sold by microsoft"
    assert words in " ".join(shown.split())
    assert "|" not in shown
    rows = answer("audit", "log", "--kind", "entry", home=book.root)
    assert rows[0]["subject"].startswith("accrual|2026-04-01|2026-05-01|A1.share-microsoft-openai|gpt-5.4|azure|")


def test_the_log_is_filtered_by_kind_month_and_person(book: Home) -> None:
    def kinds(*words: str) -> set[str]:
        return {row["kind"] for row in answer("audit", "log", *words, home=book.root)}

    assert {"log", "usage", "file", "entry", "settlement", "close", "credit"} <= kinds()
    assert kinds("--kind", "close", "--kind", "credit") == {"close", "credit"}
    assert kinds("--period", "2026-04", "--kind", "settlement", "--kind", "close") == {"settlement", "close"}
    assert kinds("--period", "2026-04", "--kind", "credit") == set()
    assert kinds("--who", acting(), "--kind", "close") == {"close"}
    [credit] = answer("audit", "log", "--kind", "credit", home=book.root)
    assert (credit["why"], credit["subject"], credit["who"]) == ("outage", "c-1", acting())
    text = run("audit", "log", "--last", "3", "--home", str(book.root)).stdout
    assert len(text.splitlines()) == 4
    assert len(re.findall(r"T\d\d:\d\d:\d\dZ ", text)) == 3, "an instant says that it is of UTC"


def test_an_end_that_was_told_before_finds_a_log_that_was_written_anew(own: Home) -> None:
    head = answer("audit", "verify", home=own.root)["head"]
    edited(own, "UPDATE postings SET amount = '99.00' WHERE entry = 1 AND leg = 0")
    edited(own, "DELETE FROM audit_log")
    edited(own, "DELETE FROM audit_head")
    assert answer("audit", "verify", home=own.root)["problems"] == []
    [problem] = answer("audit", "verify", "--head", head, home=own.root, code=2)["problems"]
    assert "is not the one that was told" in problem["what"]


@pytest.mark.parametrize("expected", ["x", "1:zz", "1:", f"{'9' * 5000}:{'a' * 64}", f"1:{'A' * 64}"])
def test_what_is_no_end_of_a_log_is_no_edit(book: Home, expected: str) -> None:
    done = run("audit", "verify", "--head", expected, "--home", str(book.root))
    assert (done.returncode, "is not an end of a log" in done.stderr) == (3, True)


def test_a_home_without_books_has_none_to_check(tmp_path: Path) -> None:
    for words in (("audit", "log"), ("audit", "verify")):
        done = run(*words, "--home", str(tmp_path / "nowhere"))
        assert done.returncode == 3
        assert "nothing was ever recorded" in done.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("command", "flag", "meant"),
    [
        ("audit log --kind clos", "--kind", "close"),
        (f"audit log --who {acting()}x", "--who", acting()),
        ("books journal --account revenue-shre", "--account", "revenue-share"),
    ],
)
def test_a_misspelt_name_to_look_for_is_told(book: Home, command: str, flag: str, meant: str) -> None:
    done = run(*command.split(), "--home", str(book.root))
    assert done.returncode == 3
    assert f"{flag}: unknown name" in done.stderr
    assert f"Did you mean {meant!r}?" in done.stderr


def test_a_known_name_without_rows_is_no_mistake(book: Home) -> None:
    for command in ("audit log --kind dispute", "books journal --account disputed --period 2026-06"):
        assert run(*command.split(), "--home", str(book.root)).returncode == 0
