"""A home's control data moved to a real PostgreSQL server and back: the same bytes before and after, nothing lost."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psycopg
import pytest

import settled_book
from clauseway.app.books.audit_log import verify_books
from clauseway.app.books.closing import close_month, closed_months
from clauseway.app.books.migrating import Moved, migrate
from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import locked
from clauseway.app.usage.sealing import open_lake
from clauseway.cli import run
from clauseway.ledger.statement import canonical_bytes
from clauseway.storage import Control
from clauseway.storage.books.books import Books
from clauseway.values import InvalidInput
from postgresql_server import new_database

LATE = (12, "05-06", 1, 1, 1, (40_000, 0, 10_000))
TODAY = date(2026, 7, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled_book.make(tmp_path_factory.mktemp("made") / "home").root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


def bytes_of(home: Home, period: str) -> bytes:
    found = statement(home, period)
    assert found is not None
    return canonical_bytes(found)


def test_a_month_reads_settles_and_closes_on_a_server_as_in_a_file(home: Home, tmp_path: Path) -> None:
    """Two copies of one home, one of them moved: late usage, a settlement and a close give the same bytes in both."""
    embedded = Home(Path(shutil.copytree(home.root, tmp_path / "embedded")))
    before = bytes_of(home, "2026-05")
    moved = migrate(home, new_database())
    assert (home.embedded_control.exists(), Path(moved.kept).exists()) == (False, True)
    assert {table.table for table in moved.tables} >= {"manifest", "settlements", "entries", "postings", "audit_log"}
    assert bytes_of(home, "2026-05") == before
    for one in (home, embedded):
        settled_book.seal(one, (LATE,))
        settled_book.settle(one, "2026-04", "2026-05")
        close_month(one, "2026-04", TODAY)
    assert bytes_of(home, "2026-05") == bytes_of(embedded, "2026-05") != before
    assert [closed.digest for closed, _ in closed_months(home)] == [c.digest for c, _ in closed_months(embedded)]
    assert verify_books(home).problems == ()


def test_control_data_comes_back_into_the_home_as_it_left(home: Home) -> None:
    there = migrate(home, new_database())
    settled_book.settle(home, "2026-05")
    back = migrate(home, "embedded")
    # Only on a server is it noted when a home looked after its journals.
    assert [table.table for table in back.tables if table not in there.tables] == ["homes"]
    assert isinstance(home.control, Path)
    assert home.control.exists()
    assert verify_books(home).problems == ()


def move(home: Home, target: str) -> Moved:
    return migrate(home, target)


def test_a_target_that_holds_anything_is_refused_and_nothing_moves(home: Home, tmp_path: Path) -> None:
    target = new_database()
    other = settled_book.make(tmp_path / "other")
    move(other, target)
    before = home.embedded_control.read_bytes()
    with pytest.raises(InvalidInput) as refused:
        move(home, target)
    assert "the target is not empty" in str(refused.value)
    assert home.embedded_control.read_bytes() == before
    assert bytes_of(other, "2026-05") == bytes_of(home, "2026-05")


def test_a_home_that_is_in_use_is_not_moved(home: Home) -> None:
    for name in ("books", "seal", "import"):
        with locked(home, name), pytest.raises(InvalidInput) as refused:
            move(home, new_database())
        assert "the home is in use" in str(refused.value)
    assert isinstance(home.control, Path)


def test_an_edited_book_is_not_moved(home: Home) -> None:
    control = Control.open(home.control)
    with control.unchained() as connection:
        connection.exec_driver_sql("UPDATE postings SET amount = '7.77' WHERE entry = 1 AND leg = 0")
    control.close()
    with pytest.raises(InvalidInput) as refused:
        move(home, new_database())
    assert "was changed" in str(refused.value)
    assert isinstance(home.control, Path)


def test_an_edit_on_the_server_is_found_before_the_next_settlement(home: Home) -> None:
    address = new_database()
    move(home, address)
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE postings SET amount = 7.77 WHERE entry = 1 AND leg = 0")
    assert "was changed" in str(verify_books(home).problems[0])
    with pytest.raises(InvalidInput):
        settled_book.settle(home, "2026-05")


def test_a_server_s_lock_waits_for_its_holder_on_any_machine(home: Home) -> None:
    """Two folders stand for two machines that share the database."""
    move(home, new_database())
    second = Home(home.root.parent / "second").make()
    shutil.copy(home.database_address, second.database_address)
    waited = []
    with ThreadPoolExecutor(1) as pool:
        with locked(home, "books"):

            def hold() -> bool:
                with locked(second, "books", lambda: waited.append("waited")):
                    return True

            held = pool.submit(hold)
            while not waited:
                assert not held.done()
        assert held.result(60)
    with locked(second, "seal"), locked(home, "books", lambda: waited.append("again")):
        pass
    assert waited == ["waited"]


CLOSE = """
import sys, datetime
from pathlib import Path
from clauseway.app.books.closing import close_month
from clauseway.app.opening.home import Home
closing = close_month(Home(Path(sys.argv[1])), "2026-04", datetime.date(2026, 7, 1))
print(closing.month.digest, closing.is_new)
"""


def test_two_processes_that_close_one_month_at_once_close_it_once(home: Home) -> None:
    move(home, new_database())
    command = [sys.executable, "-c", CLOSE, str(home.root)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    with open_lake(home) as lake:
        closed = Books(lake.control).closed()
    assert [digest for digest, _ in told] == [closed[0].digest] * 2
    assert sorted(is_new for _, is_new in told) == ["False", "True"], "one of them closed it, and knows"
    assert len(closed) == 1


def test_the_command_moves_a_home_and_every_reading_command_answers_from_there(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    address = new_database().replace("postgres:@", "postgres:secret@")
    where = ("--home", str(home.root))
    assert run(["statement", "--period", "2026-05", *where]) == 0
    before = capsys.readouterr().out
    assert run(["home", "migrate", "--to", address, *where]) == 0
    told = capsys.readouterr().out
    assert "are the same in both places" in told
    assert "secret" not in told
    assert home.database_address.stat().st_mode & 0o777 == 0o600
    assert run(["statement", "--period", "2026-05", *where]) == 0
    assert capsys.readouterr().out == before
    for command in (
        ["audit", "verify"],
        ["books", "journal"],
        ["fact", "list"],
        ["key", "list"],
        ["lake", "show"],
    ):
        assert run([*command, *where]) == 0, command
    capsys.readouterr()
    assert run(["home", "migrate", "--to", address, "--json", *where]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["problems"][0]["what"] == "there is nothing to move"


def test_a_server_that_is_away_is_a_fault_of_the_machine(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.database_address.write_text("postgresql://me:secret@127.0.0.1:1/clauseway\n")
    assert run(["statement", "--period", "2026-05", "--home", str(home.root)]) == 1
    told = capsys.readouterr().err
    assert "the database cannot be reached" in told
    assert "secret" not in told
    assert "a failure of ours" not in told
