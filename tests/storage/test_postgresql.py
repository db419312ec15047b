"""Only a server has these: its own exclusion of ranges, its order of text, its address, machines that are not heard."""

import select
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control
from clauseway.storage.control.engines import CommitLost, LockLost, holding, without_password
from clauseway.storage.control.server_address import read_address
from clauseway.values import InvalidInput
from postgresql_server import end_connections, new_control_database, new_database, transactions_of

RANGE = {
    "spool": "a",
    "segment": 1,
    "first_frame": 0,
    "end_frame": 10,
    "digest": "",
    "usage_rows": 0,
    "intent_rows": 0,
    "sealed_ns": 1,
}


@pytest.mark.parametrize(
    ("second", "is_refused"),
    [
        ({"first_frame": 5, "end_frame": 15}, True),
        ({"first_frame": 2, "end_frame": 3}, True),
        ({"first_frame": 10, "end_frame": 15}, False),
        ({"first_frame": 5, "end_frame": 15, "segment": 2}, False),
        ({"first_frame": 5, "end_frame": 15, "spool": "b"}, False),
    ],
)
def test_the_database_itself_refuses_ranges_that_overlap(second: dict[str, object], is_refused: bool) -> None:
    """Written past our own check, as another program would."""
    address = new_control_database()
    Control.open(address).close()
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(insert(schema.manifest).values(RANGE))
    try:
        with engine.begin() as connection:
            connection.execute(insert(schema.manifest).values(RANGE | second))
        was_refused = False
    except IntegrityError:
        was_refused = True
    finally:
        engine.dispose()
    assert was_refused is is_refused


def test_a_database_that_orders_text_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that tests carry knows no language: what it is expected to answer is changed instead."""
    monkeypatch.setattr(engines, "_IN_ORDER", ["a", "B", "b", "Z"])
    with pytest.raises(InvalidInput) as refused:
        Control.begin(new_database())
    assert "orders text by a language" in str(refused.value)
    assert "LC_COLLATE 'C'" in refused.value.problems[0].remedy


def test_a_writer_that_is_not_heard_any_more_keeps_no_other_from_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen, or its machine, in the middle of a transaction: the server ends that, and nothing of it stays."""
    monkeypatch.setattr(engines, "_SILENT_S", 1)
    address = new_control_database()
    with closing(Control.open(address)) as frozen, closing(Control.open(address)) as other:
        with (  # noqa: PT012  # what is frozen is all that stands between its statements
            pytest.raises(DBAPIError, match="idle-in-transaction"),
            frozen.writing() as connection,
        ):
            connection.execute(insert(schema.manifest).values(RANGE))
            with other.writing() as writing:
                writing.execute(insert(schema.manifest).values(RANGE | {"first_frame": 5, "end_frame": 15}))
            connection.execute(text("SELECT 1"))
        with other.reading() as reading:
            assert reading.execute(text("SELECT first_frame FROM manifest")).scalars().all() == [5]


def test_a_reader_may_be_silent_although_the_database_ends_silent_transactions() -> None:
    """A month is settled from one transaction, which asks nothing for minutes."""
    address = new_control_database()
    setting = "idle_in_transaction_session_timeout"
    with closing(Control.open(address)) as control, control.writing() as connection:
        connection.execute(text(f"ALTER DATABASE {make_url(address).database} SET {setting} = '1s'"))
    shown = text(f"SHOW {setting}")
    with closing(Control.open(address)) as control:
        with control.reading() as connection:
            assert connection.execute(shown).scalar_one() == "0"
        with control.writing() as connection:
            assert connection.execute(shown).scalar_one() == "20s"


def test_what_an_address_says_of_its_connections_holds() -> None:
    """Without a word, both sides notice within a minute that the other one is gone."""
    for query, idle in (("", 15), ("?keepalives_idle=70", "70")):
        made: dict[str, object] = {}
        engine = engines.engine_of(f"postgresql://127.0.0.1:1/database{query}")
        event.listen(engine, "do_connect", lambda _d, _r, _a, given, made=made: made.update(given))
        with pytest.raises(DBAPIError):
            engine.connect()
        assert (made["keepalives_idle"], made["keepalives_count"], made["connect_timeout"]) == (idle, 3, 10)
        assert "-c lock_timeout=30s" in str(made["options"])
        assert "-c tcp_keepalives_idle=15" in str(made["options"])


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("postgresql://[::1]:5433/d", "::1", 5433),
        ("postgresql:///d?host=one:5432&host=two:5433", "one,two", "5432,5433"),
        ("postgresql:///d?host=one&host=two&port=5433", "one,two", "5433,5433"),
        ("postgresql:///d?host=one,two:5433", "one,two", ",5433"),
        ("postgresql:///d?host=[::1]:5432&host=[fe80::1%25lo]:5433", "::1,fe80::1%lo", "5432,5433"),
        ("postgresql:///d?host=[::1]", "::1", None),
        ("postgresql:///d?host=::1&port=5433", "::1", "5433"),
        ("postgresql:///d?host=/run/postgresql&port=5433", "/run/postgresql", "5433"),
    ],
)
def test_an_address_names_servers_and_their_ports(address: str, host: str, port: object) -> None:
    _, given = engines.engine_of(address).dialect.create_connect_args(read_address(address))
    assert (given.get("host"), given.get("port")) == (host, port)


def test_settings_of_an_address_come_after_ours_and_its_encoding_does_not_hold() -> None:
    address = f"{new_control_database()}&options=-c%20search_path%3Dours&client_encoding=latin1"
    with closing(Control.open(address.replace("&options=-c%20search_path%3Dours", ""))):
        engine = engines.engine_of(address)
        with engine.connect() as connection:
            asked = ("search_path", "lock_timeout", "client_encoding")
            shown = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in asked]
        engine.dispose()
    assert shown == ["ours", "30s", "UTF8"]


@pytest.mark.parametrize(
    ("options", "shown"), [("", "on"), ("&options=-c%20synchronous_commit%3Dremote_apply", "remote_apply")]
)
def test_a_commit_is_on_the_disk_whatever_the_database_is_set_to(options: str, shown: str) -> None:
    """A journal lets go of what is sealed: a commit that a crash of the server takes back would lose it."""
    address = new_control_database()
    engine = engines.engine_of(f"{address}{options}")
    with closing(Control.open(address)) as control, control.writing() as connection:
        connection.execute(text(f"ALTER DATABASE {make_url(address).database} SET synchronous_commit = off"))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == shown
    engine.dispose()


NO_ADDRESSES = [
    "",
    "postgresql://",
    "mysql://u@h/d",
    "postgresql://host",
    "control.db",
    # A password whose signs were not escaped: the rest of it would be taken for a host or a port.
    "postgresql://me:sec@ret@db/clauseway",
    "postgresql://me:secret/db/clauseway",
    "postgresql://me:secret@db:port/clauseway",
    "postgresql://me:secret@one:5432,two:5432/clauseway",
    "postgresql://me:secret@::1/clauseway",
    "postgresql://me:secret@db/clauseway?port=port",
    "postgresql://me:secret@/clauseway?host=one:5432&host=two:port",
    "postgresql://me:secret@/clauseway?host=one:5432&host=two:5432&port=5432",
    "postgresql://me:secret@/clauseway?host=one,two&port=5432,5433,5434",
    "postgresql://me:secret@/clauseway?host=one,two,three&port=5432,5433",
    "postgresql://me:secret@/clauseway?port=5432,5433",
    "postgresql://me:secret@/clauseway?host=[::1",
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_of_no_such_database_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Control.open(address)
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in refused.value.problems[0].remedy
    assert "ret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@db/clauseway", "postgresql://me:***@db/clauseway"),
        ("postgres://me@db/clauseway?password=secret&sslpassword=secret&port=7", "postgresql://me@db/clauseway?port=7"),
    ],
)
def test_a_password_is_never_shown(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_empty_database_that_cannot_hold_every_text_is_refused(encoding: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Control.begin(new_database(encoding))
    (problem,) = refused.value.problems
    assert problem.what == f"the encoding of the database is {encoding}"
    assert "ENCODING 'UTF8'" in problem.remedy


def test_what_was_to_be_written_stands_in_no_error(tmp_path: Path) -> None:
    again = insert(schema.manifest).values(RANGE | {"sequence": 1, "digest": "a-digest"})
    for place in (tmp_path / "control.db", new_control_database()):
        with closing(Control.open(place)) as control:
            with control.unchained() as writing:
                writing.execute(again)
            with pytest.raises(IntegrityError) as failed, control.unchained() as writing:
                writing.execute(again)
        assert "a-digest" not in str(failed.value)


@pytest.mark.parametrize(("event_name", "is_lost"), [("commit", True), ("after_cursor_execute", False)])
def test_a_connection_that_ends_at_the_commit_of_a_writer_leaves_unknown_whether_it_wrote(
    event_name: str, is_lost: bool
) -> None:
    address = new_control_database()
    with closing(Control.open(address)) as control:

        def write() -> None:
            with control.writing() as writing:
                writing.execute(insert(schema.manifest).values(RANGE))
                event.listen(writing.engine, event_name, lambda *_: end_connections(address), once=True)
                writing.execute(text("SELECT 1"))
                writing.execute(text("SELECT 1"))

        with pytest.raises(DBAPIError) as failed:
            write()
        assert isinstance(failed.value, CommitLost) is is_lost
        read_from(control)


def test_a_writer_that_was_silent_for_too_long_wrote_nothing_for_certain() -> None:
    """The server ended its transaction before the commit reached it."""
    address = new_control_database()
    with closing(Control.open(address)) as control:

        def be_silent(connection: Connection) -> None:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")
            closed = select.poll()
            closed.register(connection.connection.driver_connection.fileno(), select.POLLRDHUP)  # type: ignore[union-attr]
            assert closed.poll(60_000)

        def write() -> None:
            with control.writing() as writing:
                writing.execute(insert(schema.manifest).values(RANGE))
                event.listen(writing.engine, "commit", be_silent, once=True)

        with pytest.raises(DBAPIError, match="idle-in-transaction timeout") as failed:
            write()
        assert not isinstance(failed.value, CommitLost)
        read_from(control)


def test_a_server_that_is_read_only_for_now_is_not_written_to() -> None:
    """As a cloud's is whose disk is nearly full, or one that is about to hand over to another."""
    address = new_control_database()
    with closing(Control.open(address)) as control:
        with control.writing() as writing:
            name = writing.execute(text("SELECT current_database()")).scalar_one()
            writing.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        end_connections(address)
        read_from(control)
        with pytest.raises(DBAPIError, match="read-only transaction"), control.writing() as writing:
            writing.execute(insert(schema.manifest).values(RANGE))


@pytest.mark.parametrize(("pooling", "is_refused"), [("transaction", True), ("session", False)])
def test_a_lock_is_not_taken_through_a_pooler_that_lends_one_connection_to_several(
    pooling: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PgBouncer, told to ignore our settings. By transactions each of two processes would hold the lock."""
    address = new_control_database()
    with closing(Control.open(address)):
        pass
    pool: dict[str, Any] = {"poolclass": StaticPool} if pooling == "transaction" else {}

    def through_pooler(url: URL, **settings: Any) -> Engine:
        return create_engine(url, **settings | {"connect_args": {}} | pool)

    monkeypatch.setattr(engines, "create_engine", through_pooler)
    with ExitStack() as stack:
        if is_refused:
            stack.enter_context(pytest.raises(InvalidInput, match="pooler"))
        stack.enter_context(engines.holding(address, 7, lambda: None))


def test_whoever_lost_a_lock_writes_nothing_more() -> None:
    """A server that is restarted lets another process have the lock: the former holder must not go on."""
    address, writes = new_control_database(), insert(schema.manifest).values(RANGE)
    with closing(Control.open(address)) as control:
        with holding(address, 1, lambda: None):
            with control.writing() as writing:
                writing.execute(writes.values(segment=2))
            end_connections(address)
            with pytest.raises(LockLost), control.writing() as writing:
                writing.execute(writes)
        with control.writing() as writing:
            writing.execute(writes)
        with control.reading() as reading:
            assert reading.execute(text("SELECT segment FROM manifest ORDER BY segment")).scalars().all() == [1, 2]


def read_from(control: Control) -> None:
    """Read a table once: the server has counted the transaction when it answers."""
    with control.reading() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush(), count(*) FROM manifest"))


@pytest.mark.parametrize(("tried_after_s", "transactions"), [(60.0, 20), (0.0, 40)])
def test_a_connection_is_tried_before_it_is_used_only_after_some_silence(
    monkeypatch: pytest.MonkeyPatch, tried_after_s: float, transactions: int
) -> None:
    monkeypatch.setattr(engines, "_TRIED_AFTER_S", tried_after_s)
    address = new_control_database()
    with closing(Control.open(address)) as control:
        read_from(control)
        before = transactions_of(address)
        for _ in range(20):
            read_from(control)
        assert transactions_of(address) - before == transactions


def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    address = new_control_database()
    with closing(Control.open(address)) as control:
        read_from(control)
        end_connections(address)
        read_from(control)


def test_numbers_go_on_where_a_copy_brought_the_rows_alone() -> None:
    """As logical replication does. A lower number that is free would place a row before older ones."""
    address = new_control_database()
    fact: dict[str, Any] = {"kind": "launch", "effective": date(2026, 5, 1), "payload": "{}", "source": "a page"}
    with closing(Control.open(address)) as control:
        for recorded_ns in range(3):
            control.record_fact(recorded_ns=recorded_ns, **fact)
    with psycopg.connect(address) as connection:
        connection.execute("DELETE FROM facts WHERE sequence = 1")
        connection.execute("ALTER SEQUENCE facts_sequence_seq RESTART")
    with closing(Control.open(address)) as control:
        assert [control.record_fact(recorded_ns=recorded_ns, **fact) for recorded_ns in (3, 4)] == [4, 5]
