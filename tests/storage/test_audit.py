"""The log of the books: who did what, and that no edit beside it stays unseen."""

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from clauseway.ledger import Account, Entry, Inputs, Posting, Settlement
from clauseway.ledger.vouchers import Credit, Reversed
from clauseway.storage import ApiKey, Control, Sealed
from clauseway.storage.books.basis import Accepting, accept
from clauseway.storage.books.books import Books, Closed
from clauseway.storage.books.losses import Loss, Losses
from clauseway.storage.books.one_copy import OneCopyPeriod, record_one_copy
from clauseway.storage.control import audit, audit_check, schema
from clauseway.storage.control.actor import acting
from clauseway.storage.control.chained import CHAINED, NOT_CHAINED
from clauseway.storage.control.passwords import Password, set_password
from clauseway.storage.control.people import ROLES, Approval, Person, ask, name_person, set_rules
from clauseway.storage.control.versions import move
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenant, Tenants
from clauseway.storage.lake.file_list import LakeFile, drop_days, list_files
from clauseway.values import Interval

MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
KEY = ApiKey(
    digest="d1",
    key_id="key_1",
    organisation="Contoso",
    project="search",
    seller="openai",
    segment="any",
    created_ns=5,
)
SETTLEMENT = Settlement(
    period=MAY,
    shares=(),
    ended=(),
    assumptions=(),
    needs_order=(),
    inputs=Inputs(agreement="a", price_book="b", batches=(), known_at="everything", engine="test"),
    receipt="r1",
)

LOSS = Loss(
    spool="s",
    segment=1,
    first_frame=2,
    end_frame=3,
    reason="60 bytes fail their checksum",
    first_day=date(2026, 5, 2),
    last_day=date(2026, 5, 2),
    lost_ns=9,
    why="a bad sector",
)


def entry(number: int, amount: str = "1.00") -> Entry:
    owed = Account("openai", "payable", "revenue-share", "microsoft")
    spent = Account("openai", "expense", "revenue-share", "microsoft")
    legs = ((spent, Decimal(amount)), (owed, -Decimal(amount)))
    return Entry(
        id=f"entry-{number}",
        reference=f"accrual|2026-05|{number}",
        day=date(2026, 5, 31),
        narration="openai to microsoft",
        postings=tuple(Posting(account, value, "USD", ()) for account, value in legs),
    )


def file(name: str) -> LakeFile:
    return LakeFile(
        name=name,
        kind="usage",
        first_day=date(2026, 5, 2),
        last_day=date(2026, 5, 2),
        first_request="req_1",
        last_request="req_2",
        rows=2,
        bytes=100,
        digest="f" * 64,
        sealed_ns=9,
    )


def batch() -> Sealed:
    return Sealed(
        spool="s",
        segment=1,
        first_frame=0,
        end_frame=2,
        digest="e" * 64,
        usage_rows=2,
        intent_rows=0,
        first_day=date(2026, 5, 2),
        last_day=date(2026, 5, 2),
        sealed_ns=9,
    )


# Tables that the first version of the database did not have.
LATER = {"one_copy", "people", "passwords", "two_person_rules", "approvals"}


def fill(control: Control) -> None:
    """Write a row, at least, into every chained table but the later ones."""
    control.add_key(KEY)
    control.replace_secret("key_1", "d2", 77)
    tenants = Tenants(control)
    tenants.add(Tenant(organisation="Contoso", created_ns=1))
    tenants.add(Tenant(organisation="Contoso", project="search", policy='{"a":1}', created_ns=1))
    scope: dict[str, Any] = {"organisation": "Contoso", "project": "search", "created_ns": 3}
    tenants.set_limit(Limit(id="lim_1", requests_per_minute=5, tokens_per_minute=6, **scope))
    tenants.set_budget(BudgetRow(id="bud_1", period="month", amount=Decimal("12.50"), currency="USD", **scope))
    control.commit_batch(batch(), lambda connection: list_files(connection, [file("a"), file("b")]))
    with control.writing() as connection:
        drop_days(connection, [file("a")], date(2026, 5, 3), 10)
    control.record_fact(kind="launch", effective=date(2026, 5, 4), payload="{}", source="a blog", recorded_ns=11)
    assumed = Accepting(kind="assumption", name="cap", label="1000", text="1000")
    accept(control, [assumed], who="anna", why="a term sheet", recorded_ns=11)
    control.settle(SETTLEMENT, [entry(1), entry(2)], 12)
    of = Reversed(event_ns=1, seller="openai", cloud="aws", product="p", amount=Decimal("1.00"))
    credit = Credit(id="c-1", day=date(2026, 5, 9), reason="outage of 9 May", of=of)
    books = Books(control)
    books.book(credit, [entry(3)], 13)
    Losses(control).record([LOSS])
    key = {"party": "openai", "public": "k", "fingerprint": "SHA256:f", "who": "anna", "why": "by post"}
    stated = {"row": 7, "head": "6:aa", "found": "log row 3 is broken", "problems": 1, "who": "anna", "why": "disk"}
    with control.writing() as connection:
        connection.execute(insert(schema.party_keys).values(recorded_ns=5, **key))
        connection.execute(insert(schema.audit_breaks).values(recorded_ns=5, **stated))
    books.close(Closed(period=MAY, receipt="r1", digest="c" * 64, statement=b"{}\n", closed_ns=14))


def fill_later(control: Control) -> None:
    """Write a row into every later table."""
    period = OneCopyPeriod(spool="s", place="gateway", segment=1, first_frame=2, since_ns=3, until_ns=4, recorded_ns=5)
    record_one_copy(control, [period])
    asked = Approval(number=0, kind="close", subject="2026-05", digest="f" * 64, says=(), asked_by="anna", asked_ns=5)
    with control.writing() as connection:
        name_person(connection, Person(account=acting(), may=tuple(ROLES)), 5)
        set_password(connection, Password(account="anna", sees=("finance",), verifier="v", recorded_ns=5))
        set_rules(connection, ["close"], 5)
        ask(connection, asked)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with everything in it, to copy."""
    path = tmp_path_factory.mktemp("filled") / "control.db"
    opened = Control.open(path)
    fill(opened)
    fill_later(opened)
    opened.close()
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "control.db"))


@pytest.fixture
def control(path: Path) -> Iterator[Control]:
    opened = Control.open(path)
    yield opened
    opened.close()


def rows_of(control: Control) -> list[audit.Logged]:
    with control.reading() as connection:
        return list(audit.logged(connection))


def by_hand(path: Path, *statements: str) -> None:
    """Edit the database as anybody can who may write its file."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A database with the tables that it had before they had a version."""
    path = tmp_path / "older.db"
    opened = Control.open(path)
    fill(opened)
    with opened.writing() as connection:
        move(connection, "0001")
    opened.close()
    by_hand(path, "DROP TABLE alembic_version")
    return path


def found(path: Path) -> list[str]:
    """Return the findings of a check of all, and of a check in part: they must agree."""
    opened = Control.open(path)
    try:
        problems = [problem.what for problem in audit_check.check(opened).problems]
        assert bool(problems) == bool(audit_check.check_in_part(opened).problems)
        return problems
    finally:
        opened.close()


def test_every_table_is_in_the_chain_or_says_why_not() -> None:
    chained = {table.place for table in CHAINED}
    assert chained | NOT_CHAINED.keys() == set(schema.metadata.tables)
    assert not chained & NOT_CHAINED.keys()
    assert all(NOT_CHAINED.values())


def test_every_chained_table_has_a_row_here(control: Control) -> None:
    assert {row.place for row in rows_of(control)} == {table.place for table in CHAINED} | {"audit_log"}


def test_the_log_says_who_did_what_and_why(control: Control) -> None:
    rows = [(row.kind, row.act, row.subject, str(row.day or ""), row.why) for row in rows_of(control)]
    assert rows[0] == ("log", "opened", "a new home", "", "")
    for expected in (
        ("key", "added", "key_1/Contoso/search", "", ""),
        ("key", "changed", "key_1/Contoso/search", "", ""),
        ("secret", "added", "key_1", "", ""),
        ("organisation", "added", "Contoso", "", ""),
        ("project", "added", "Contoso/search", "", ""),
        ("budget", "added", "Contoso/search/month", "", ""),
        ("usage", "added", "s/1/0-2", "2026-05-02", ""),
        ("file", "changed", "a", "2026-05-02", ""),
        ("fact", "added", "launch/1", "2026-05-04", "a blog"),
        ("entry", "added", "entry-1", "2026-05-31", "openai to microsoft"),
        ("settlement", "added", "2026-05 r1", "2026-05-01", ""),
        ("credit", "added", "c-1", "2026-05-09", "outage of 9 May"),
        ("close", "added", "2026-05 r1", "2026-05-01", ""),
    ):
        assert expected in rows
    assert {row.who for row in rows_of(control)} == {acting()}


def test_what_nobody_edited_is_whole(control: Control, path: Path) -> None:
    assert found(path) == []
    checked = audit_check.check(control)
    assert checked.rows == checked.head.sequence == len(rows_of(control))


COLUMNS = [
    (table.place, column.name)
    for table in CHAINED
    for column in (*table.table.columns, *(table.parts.columns if table.parts is not None else ()))
    if column.name not in table.volatile
]


@pytest.mark.parametrize(("place", "column"), COLUMNS, ids=lambda part: str(part))
def test_no_column_of_a_chained_table_can_be_edited(path: Path, place: str, column: str) -> None:
    """Change the first row in each column of its own; another number, day or text."""
    table = place if column in schema.metadata.tables[place].c else "postings"
    first = f"SELECT min(rowid) FROM {table}"
    with closing(sqlite3.connect(path)) as connection:
        value = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ({first})").fetchone()[0]
    kind = schema.metadata.tables[table].c[column].type.python_type
    new = {int: "41", bool: "1", date: "'2026-05-20'", Decimal: "'3.33'"}.get(kind, "'edited'")
    if column == "first_frame":
        new = "1"
    if column == "body":
        new = """'{"kind":"edited"}'"""
    assert str(value) != new.strip("'")
    by_hand(path, f"UPDATE {table} SET {column} = {new} WHERE rowid = ({first})")
    assert found(path) != []


# A change to the database -> the check's finding.
EDITS = {
    "a posting's amount": (
        ("UPDATE postings SET amount = '9.99' WHERE entry = 1 AND leg = 0",),
        ["entry entry-1 was changed"],
    ),
    "a posting deleted": (
        ("DELETE FROM postings WHERE entry = 2 AND leg = 1",),
        ["entry entry-2 was changed"],
    ),
    "an entry deleted with its postings": (
        ("DELETE FROM postings WHERE entry = 2", "DELETE FROM entries WHERE sequence = 2"),
        ["entry entry-2 was deleted"],
    ),
    "an entry slipped in": (
        (
            "INSERT INTO entries (id, reference, day, narration, recorded_ns)"
            " VALUES ('x', 'accrual|2026-05|x', '2026-05-31', 'x', 1)",
        ),
        ["entry x was added"],
    ),
    "postings of no entry": (
        (
            "INSERT INTO postings SELECT 99, leg, party, kind, name, about, amount, currency, citations"
            " FROM postings WHERE entry = 1",
        ),
        ["posting 2 of no entry was added"],
    ),
    "a closed statement": (
        ("UPDATE closes SET statement = '{\"total\":1}'",),
        ["close 2026-05 r1 was changed"],
    ),
    "a settlement": (
        ("UPDATE settlements SET receipt = 'r2'",),
        ["settlement 2026-05 r1 was changed"],
    ),
    "a credit taken away": (
        ("DELETE FROM vouchers",),
        ["credit c-1 was deleted"],
    ),
    "a budget raised": (
        ("UPDATE budgets SET amount = '9999'",),
        ["budget Contoso/search/month was changed"],
    ),
    "a key revived": (
        ("UPDATE keys SET expires_ns = 99",),
        ["key key_1/Contoso/search was changed"],
    ),
    "usage taken away": (
        ("DELETE FROM manifest",),
        ["usage s/1/0-2 was deleted"],
    ),
    "a log row edited": (
        ("UPDATE audit_log SET who = 'somebody' WHERE sequence = 3",),
        ["log row 3 is broken"],
    ),
    "a log row deleted": (
        ("DELETE FROM audit_log WHERE sequence = 2",),
        ["log row 2 is missing"],
    ),
    "log rows in another order": (
        (
            "UPDATE audit_log SET sequence = 999 WHERE sequence = 3",
            "UPDATE audit_log SET sequence = 3 WHERE sequence = 4",
            "UPDATE audit_log SET sequence = 4 WHERE sequence = 999",
        ),
        ["log row 3 is broken", "log row 4 is broken", "log row 5 is broken"],
    ),
    "the end of the log cut off": (
        ("DELETE FROM approvals", "DELETE FROM audit_log WHERE kind = 'approval'"),
        ["the end of the log was changed"],
    ),
    "all of the log": (
        ("DELETE FROM audit_log",),
        ["the end of the log was changed"],
    ),
    "the log's end": (
        ("DELETE FROM audit_head",),
        ["the end of the log was changed"],
    ),
    "the day of a log row": (
        ("UPDATE audit_log SET day = 'some day' WHERE sequence = 3",),
        ["log row 3 is broken"],
    ),
    "the time of a log row": (
        ("UPDATE audit_log SET recorded_ns = 'some time' WHERE sequence = 3",),
        ["log row 3 is broken"],
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_found_and_named(path: Path, edit: str) -> None:
    statements, expected = EDITS[edit]
    by_hand(path, "PRAGMA foreign_keys=OFF", *statements)
    problems = found(path)
    assert problems[: len(expected)] == expected
    assert len(problems) == len(expected) or edit == "all of the log"


def test_a_log_whose_end_was_deleted_goes_on_and_stays_broken(path: Path) -> None:
    by_hand(path, "DELETE FROM audit_head")
    opened = Control.open(path)
    last = rows_of(opened)[-1].sequence
    opened.post([entry(100)], 1)
    assert rows_of(opened)[-1].sequence == last + 1
    opened.close()
    assert found(path) == [f"log row {last + 1} is broken"]


def test_what_is_no_amount_may_change_in_between(control: Control, path: Path) -> None:
    by_hand(path, "UPDATE budgets SET short_ns = 123")
    assert found(path) == []


def test_a_column_added_later_changes_no_digest(older: Path) -> None:
    """A home of an older version has no `role`, `expires_ns` or `apart`: they are added, empty."""
    statements = ("keys DROP COLUMN role", "keys DROP COLUMN expires_ns", "lake_files DROP COLUMN apart")
    by_hand(older, *(f"ALTER TABLE {statement}" for statement in statements))
    assert found(older) == []


def test_what_is_rolled_back_is_in_no_log(control: Control) -> None:
    before = rows_of(control)
    values = {"recorded_ns": 1, "kind": "k", "effective": date(2026, 1, 1), "payload": "", "source": ""}

    def fail() -> None:
        with control.writing() as connection:
            connection.execute(insert(schema.facts).values(**values))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert rows_of(control) == before


def test_what_changes_nothing_is_in_no_log(control: Control) -> None:
    before = rows_of(control)
    control.add_key(KEY.__class__(**{name: getattr(control.keys()[0], name) for name in KEY.__struct_fields__}))
    control.settle(SETTLEMENT, [entry(1), entry(2)], 99)
    Tenants(control).set_policy("Contoso", "search", '{"a":1}')
    assert rows_of(control) == before


def test_a_removed_row_may_come_again(control: Control, path: Path) -> None:
    tenants = Tenants(control)
    tenants.remove("Contoso", "")
    tenants.add(Tenant(organisation="Contoso", created_ns=5))
    acts = [row.act for row in rows_of(control) if row.kind == "organisation"]
    assert acts == ["added", "removed", "added"]
    assert found(path) == []


def test_a_home_without_a_log_begins_one_that_says_so(older: Path) -> None:
    by_hand(older, "DROP TABLE audit_log", "DROP TABLE audit_head")
    opened = Control.open(older)
    opening, *adopted = rows_of(opened)
    assert (opening.act, opening.subject) == ("opened", f"{len(adopted)} rows stood before the log began")
    assert {row.act for row in adopted} == {"adopted"}
    assert {row.place for row in adopted} == {table.place for table in CHAINED} - LATER
    opened.close()
    assert found(older) == []
    by_hand(older, "UPDATE postings SET amount = '7.77' WHERE entry = 1 AND leg = 0")
    assert found(older) == ["entry entry-1 was changed"]


def test_many_who_write_at_once_write_one_chain(control: Control, path: Path) -> None:
    others = [Control.open(path) for _ in range(3)]
    jobs = [(others[number % 3], entry(100 + number)) for number in range(30)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job: job[0].post([job[1]], 1), jobs))
    for other in others:
        other.close()
    assert found(path) == []
    assert sum(row.kind == "entry" for row in rows_of(control)) == 33


def test_a_check_in_part_comes_round_to_every_row(
    control: Control, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for ten log rows a check: what is new is looked at now, what is old within a few checks."""
    monkeypatch.setattr(audit_check, "_ALL_UP_TO", 10)
    monkeypatch.setattr(audit_check, "_LOOKED_AT", 10)
    control.post([entry(number) for number in range(100, 140)], 1)
    with control.writing() as connection:
        connection.execute(update(schema.audit_head).values(checked=audit.head_of(connection).sequence))
    assert audit_check.check_in_part(control).problems == ()
    control.post([entry(200)], 1)
    by_hand(path, "UPDATE entries SET narration = 'x' WHERE id IN ('entry-200', 'entry-1')")
    found_now = [problem.what for problem in audit_check.check_in_part(control).problems]
    assert "entry entry-200 was changed" in found_now
    by_hand(path, "UPDATE entries SET narration = 'openai to microsoft' WHERE id = 'entry-200'")
    said = [[problem.what for problem in audit_check.check_in_part(control).problems] for _ in range(8)]
    assert ["entry entry-1 was changed"] in said
    with control.reading() as connection:
        assert connection.execute(select(schema.audit_head)).one().checked > 50
