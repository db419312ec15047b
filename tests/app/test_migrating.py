"""A home's control data moved to a real PostgreSQL server and back: the same bytes before and after, nothing lost."""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Literal

import psycopg
import pytest
from sqlalchemy import make_url, update

import settled_book
from clauseway.app.books import migrating
from clauseway.app.books.audit_log import verify_books
from clauseway.app.books.closing import close_month, closed_months
from clauseway.app.books.migrating import Moved, migrate
from clauseway.app.books.settled import statement
from clauseway.app.customers.keys import list_keys
from clauseway.app.customers.leasing import answer
from clauseway.app.customers.limit_shares import LimitShares
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import LOCK_NAMES, SERVED, locked, locked_here
from clauseway.app.usage.sealing import open_lake
from clauseway.cli import run
from clauseway.gateway.budgets.leases import Ask, GrantedLease, LeaseCall
from clauseway.ledger.statement import canonical_bytes
from clauseway.storage import Control
from clauseway.storage.books.books import Books
from clauseway.storage.books.losses import SILENT_NS, Losses
from clauseway.storage.control import engines, schema
from clauseway.storage.customers.leases import Leases
from clauseway.storage.customers.limit_shares import StoredShares
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenants
from clauseway.values import InvalidInput
from lock_waits import wait_for_waiting
from postgresql_server import new_database

LATE = (12, "05-06", 1, 1, 1, (40_000, 0, 10_000))
TODAY = date(2026, 7, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.make(tmp_path / "home")


def bytes_of(home: Home, period: str) -> bytes:
    month = statement(home, period)
    assert month is not None
    return canonical_bytes(month)


def test_a_month_reads_settles_and_closes_on_a_server_as_in_a_file(home: Home, tmp_path: Path) -> None:
    """Two copies of one home, one of them moved: late usage, a settlement and a close give the same bytes in both."""
    embedded = Home(Path(shutil.copytree(home.root, tmp_path / "embedded")))
    before = bytes_of(home, "2026-05")
    moved = migrate(home, new_database())
    assert (home.embedded_control.exists(), Path(moved.kept).exists()) == (False, True)
    assert {table.table for table in moved.tables} >= {"manifest", "settlements", "entries", "postings", "audit_log"}
    assert bytes_of(home, "2026-05") == before
    for either in (home, embedded):
        settled_book.seal(either, (LATE,))
        settled_book.settle(either, "2026-04", "2026-05")
        close_month(either, "2026-04", TODAY)
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
    with pytest.raises(InvalidInput, match="not empty"):
        move(home, target)
    assert not list(home.root.glob("database.url*"))
    assert home.embedded_control.read_bytes() == before
    assert bytes_of(other, "2026-05") == bytes_of(home, "2026-05")


class Killed(BaseException):
    """The process ended here."""


def broken_off(home: Home, target: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Move a home, and end before a step."""

    def end(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(migrating, step, end)
        with pytest.raises(Killed):
            move(home, target)


@pytest.mark.parametrize(("step", "is_there"), [("check", False), ("_switch", False), ("_set_aside", True)])
def test_a_move_that_was_broken_off_is_repeated(
    step: str, is_there: bool, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, before = new_database(), bytes_of(home, "2026-05")
    broken_off(home, address, step, monkeypatch)
    assert home.database_address.exists() is is_there
    if not is_there:
        move(home, address)
    assert home.database_address.stat().st_mode & 0o777 == 0o600
    assert bytes_of(home, "2026-05") == before
    assert verify_books(home).problems == ()


def test_after_a_move_that_was_broken_off_the_home_may_be_moved_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home names the place to which it was moved at last, and not the one noted before."""
    broken_off(home, new_database(), "_switch", monkeypatch)
    address = new_database()
    move(home, address)
    assert home.control == address
    assert verify_books(home).problems == ()


def test_a_move_back_that_was_broken_off_is_repeated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    move(home, new_database())
    for step in ("check", "_switch"):
        broken_off(home, "embedded", step, monkeypatch)
    with closing(Control.open(home.control)) as control:
        control.record_fact(kind="x", effective=TODAY, payload="{}", source="s", recorded_ns=1)
    with pytest.raises(InvalidInput) as refused:
        move(home, "embedded")
    (problem,) = refused.value.problems
    assert (problem.where, problem.remedy.partition(",")[0]) == (str(home.embedded_control), "Rename that file")
    home.embedded_control.rename(home.root / "aside")
    move(home, "embedded")
    assert verify_books(home).problems == ()
    assert not list(home.root.glob("database.url*"))


def test_a_home_that_is_in_use_is_not_moved(home: Home) -> None:
    for name in set(LOCK_NAMES) - {SERVED}:
        with locked(home, name), pytest.raises(InvalidInput) as refused:
            move(home, new_database())
        assert "the home is in use" in str(refused.value)
    with locked_here(home, SERVED), pytest.raises(InvalidInput, match="the home is in use"):
        move(home, new_database())
    assert isinstance(home.control, Path)


def test_a_copy_that_is_not_the_same_is_not_kept(home: Home) -> None:
    """Every row is read again on both sides; here the server keeps another text than it was given."""
    address = new_database()
    with closing(Control.open(home.control)) as control:
        record(control)
    Control.begin(address).close()
    with psycopg.connect(address) as connection:
        connection.execute(
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.source := left(NEW.source, 3); RETURN NEW; END $$"
        )
        connection.execute("CREATE TRIGGER cut BEFORE INSERT ON facts FOR EACH ROW EXECUTE FUNCTION cut()")
    with pytest.raises(InvalidInput, match=r"these tables differ: facts \(1 and 1 rows\)"):
        move(home, address)
    assert isinstance(home.control, Path)
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (0,)


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


def test_who_waits_for_a_move_holds_the_lock_of_the_new_place(home: Home) -> None:
    """The lock of a file would keep out nobody who comes after the move."""
    entered, over = Event(), Event()

    def hold() -> None:
        with locked(home, "seal"):
            entered.set()
            over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        holding: list[Future[None]] = []

        def begin_to_wait(_table: str, _rows: int) -> None:
            if not holding:
                holding.append(pool.submit(hold))
                wait_for_waiting(home.root / "seal.lock")

        migrate(home, new_database(), begin_to_wait)
        assert entered.wait(60)
        assert not over.is_set()
        with locked(home, "seal", over.set):
            is_kept_out = over.is_set()
            over.set()
    assert is_kept_out


CREATE = ("key", "create", "--organisation", "acme", "--seller", "openai")


@pytest.mark.parametrize("is_back", [False, True], ids=["to a server", "back"])
def test_a_home_that_is_written_to_meanwhile_is_not_moved(home: Home, is_back: bool) -> None:
    """A key that was made after its table was copied would be gone."""
    if is_back:
        move(home, new_database())
    before = home.control
    made: list[int] = []

    def make_key(_table: str, _rows: int) -> None:
        if not made:
            made.append(run([*CREATE, "--home", str(home.root)]))

    with pytest.raises(InvalidInput, match="written to meanwhile"):
        migrate(home, "embedded" if is_back else new_database(), make_key)
    assert home.control == before
    assert (made, len(keys := list_keys(home))) == ([0], 1)
    migrate(home, "embedded" if is_back else new_database())
    assert list_keys(home) == keys


def record(control: Control) -> int:
    return control.record_fact(kind="launch", effective=TODAY, payload="{}", source="a letter", recorded_ns=1)


@pytest.mark.parametrize("is_back", [False, True], ids=["to a server", "back"])
def test_who_opened_the_control_data_before_a_move_writes_nothing_there_after(home: Home, is_back: bool) -> None:
    """A fact is recorded without any lock of the home; there, nobody would read it."""
    if is_back:
        move(home, new_database())
    former = home.control
    with closing(Control.open(former)) as opened_before:
        moved = migrate(home, "embedded" if is_back else new_database())
        with pytest.raises(InvalidInput, match="moved meanwhile"):
            record(opened_before)
        assert opened_before.facts() == []
    with closing(Control.open(Path(moved.kept) if moved.kept else former)) as kept:
        assert kept.facts() == []
    with closing(Control.open(home.control)) as present:
        assert record(present) == 1


def test_who_opened_the_new_place_before_a_move_goes_on_after_the_rows_that_came(home: Home) -> None:
    """A server gives numbers by itself: those of the rows that were copied would be given again."""
    address = new_database()
    with closing(Control.open(home.control)) as control:
        assert [record(control) for _ in range(2)] == [1, 2]
    with closing(Control.begin(address)) as opened_before:
        with opened_before.unchained():
            pass
        migrate(home, address)
        assert record(opened_before) == 3


def add_allowances(control: Control) -> None:
    tenants = Tenants(control)
    tenants.set_budget(
        BudgetRow(id="bud", organisation="a", period="month", amount=Decimal(9), currency="USD", created_ns=1)
    )
    tenants.set_limit(Limit(id="lim", organisation="a", requests_per_minute=9, tokens_per_minute=0, created_ns=1))


def ask(control: Control, kind: Literal["budget", "requests"]) -> list[GrantedLease]:
    """Ask as a gateway that starts does."""
    wanted = Ask(budget="bud" if kind == "budget" else "lim", kind=kind, part=0, serial=1, least=5, target=5)
    call = LeaseCall(boot="0" * 16, pid=1, asks=(wanted,))
    return answer(Leases(control), call, time.time_ns(), LimitShares(StoredShares(control).changing))


@pytest.mark.parametrize("is_back", [False, True], ids=["to a server", "back"])
@pytest.mark.parametrize("kind", ["budget", "requests"])
def test_control_data_that_was_moved_grants_no_lease(
    home: Home, is_back: bool, kind: Literal["budget", "requests"]
) -> None:
    """A gateway would spend there what nobody counts."""
    with closing(Control.open(home.control)) as control:
        add_allowances(control)
    if is_back:
        move(home, new_database())
    with closing(Control.open(home.control)) as opened_before:
        migrate(home, "embedded" if is_back else new_database())
        with pytest.raises(InvalidInput, match="moved meanwhile"):
            ask(opened_before, kind)
    with closing(Control.open(home.control)) as present:
        assert [granted.leased for granted in ask(present, kind)] == [5]


def test_control_data_that_another_home_uses_stays_on_the_server(home: Home, tmp_path: Path) -> None:
    """Two homes would go on with two books."""
    move(home, new_database())
    other = Home(tmp_path / "other")
    other.make()
    shutil.copy(home.database_address, other.database_address)
    for each in (home, other):
        with closing(Control.open(each.control)) as control:
            Losses(control).heard(each.identity())
    with pytest.raises(InvalidInput, match=f"home {other.identity()} uses that database"):
        migrate(home, "embedded")
    with closing(Control.open(home.control)) as control, control.writing() as connection:
        ago_ns = engines.now_ns(connection) - SILENT_NS
        connection.execute(update(schema.homes).where(schema.homes.c.home == other.identity()).values(heard_ns=ago_ns))
    migrate(home, "embedded")
    with closing(Control.open(other.control)) as left, pytest.raises(InvalidInput, match="moved meanwhile"):
        record(left)
    with pytest.raises(InvalidInput, match="it was moved from there into another home"):
        migrate(other, "embedded")
    assert not other.embedded_control.exists()


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
    results = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    with open_lake(home) as lake:
        closed = Books(lake.control).closed()
    assert [digest for digest, _ in results] == [closed[0].digest] * 2
    assert sorted(is_new for _, is_new in results) == ["False", "True"], "one of them closed it, and knows"
    assert len(closed) == 1


def test_the_command_moves_a_home_and_every_reading_command_answers_from_there(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    address = new_database().replace("postgres:@", "postgres:secret@")
    where = ("--home", str(home.root))
    assert run(["statement", "--period", "2026-05", *where]) == 0
    before = capsys.readouterr().out
    assert run(["home", "migrate", "--to", address, *where]) == 0
    output = capsys.readouterr().out
    assert "are the same in both places" in output
    assert "secret" not in output
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
    errors = capsys.readouterr().err
    assert "the database cannot be reached" in errors
    assert "secret" not in errors
    assert "a failure of ours" not in errors


def test_a_server_that_a_home_is_to_be_moved_to_is_named_where_it_is_away(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["home", "migrate", "--to", "postgresql://me:secret@127.0.0.1:1/new", "--home", str(home.root)]) == 1
    errors = capsys.readouterr().err
    assert "  postgresql://me:***@127.0.0.1:1/new: the database cannot be reached: " in errors
    assert "Connection refused.\n" in errors
    assert "secret" not in errors


# The server's fault | a command | its message.
WRONG = [
    ("ALTER DATABASE {0} SET search_path = nowhere", ("key", "list"), "has no schema for the tables"),
    ("ALTER DATABASE {0} SET statement_timeout = 1", ("key", "list"), "cancelled a statement"),
    ("REVOKE ALL ON SCHEMA public FROM PUBLIC", ("key", "list"), "has no schema for the tables"),
    ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {0}", CREATE, "lacks a right"),
]


def test_what_is_wrong_with_a_server_is_said_with_its_address_and_what_to_do(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    address = new_database()
    move(home, address)
    name = str(make_url(address).database)
    reader = f"CREATE ROLE {name} LOGIN PASSWORD 'secret'"
    home.database_address.write_text(address.replace("postgres:@", f"{name}:secret@"))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(reader.encode())
        for wrong, command, said in WRONG:
            connection.execute(wrong.format(name).encode())
            assert run([*command, "--home", str(home.root)]) == 1, wrong
            errors = capsys.readouterr().err
            assert said in errors, errors
            assert f"{name}:***@" in errors
            assert "secret" not in errors
            connection.execute(b"GRANT ALL ON SCHEMA public TO PUBLIC")
            for setting in ("search_path", "statement_timeout"):
                connection.execute(f"ALTER DATABASE {name} RESET {setting}".encode())


def test_an_address_that_is_no_text_is_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.database_address.write_bytes(b"\xff\x00")
    assert run(["key", "list", "--home", str(home.root)]) == 3
    assert str(home.database_address) in capsys.readouterr().err
