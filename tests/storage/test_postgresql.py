"""Only a server has these: its own exclusion of ranges, its order of text, its address, machines that are not heard."""

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import create_engine, event, insert, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control
from clauseway.storage.control.engines import without_password
from clauseway.values import InvalidInput
from postgresql_server import new_database, server_address, transactions_of

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
    address = new_database()
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
        Control.open(new_database())
    assert "orders text by a language" in str(refused.value)
    assert "LC_COLLATE 'C'" in refused.value.problems[0].remedy


def test_a_writer_that_is_not_heard_any_more_keeps_no_other_from_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen, or its machine, in the middle of a transaction: the server ends that, and nothing of it stays."""
    monkeypatch.setattr(engines, "_SILENT_S", 1)
    address = new_database()
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


@pytest.mark.parametrize("address", ["", "postgresql://", "mysql://u@h/d", "postgresql://host", "control.db"])
def test_an_address_of_no_such_database_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Control.open(address)
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in refused.value.problems[0].remedy


def test_a_password_is_never_shown() -> None:
    assert without_password("postgresql://me:secret@db/clauseway") == "postgresql://me:***@db/clauseway"


def read_from(control: Control) -> None:
    """Read a table once: the server has counted the transaction when it answers."""
    with control.reading() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush(), count(*) FROM manifest"))


@pytest.mark.parametrize(("tried_after_s", "transactions"), [(60.0, 20), (0.0, 40)])
def test_a_connection_is_tried_before_it_is_used_only_after_some_silence(
    monkeypatch: pytest.MonkeyPatch, tried_after_s: float, transactions: int
) -> None:
    monkeypatch.setattr(engines, "_TRIED_AFTER_S", tried_after_s)
    address = new_database()
    with closing(Control.open(address)) as control:
        read_from(control)
        before = transactions_of(address)
        for _ in range(20):
            read_from(control)
        assert transactions_of(address) - before == transactions


def test_a_connection_that_the_server_has_closed_is_replaced() -> None:
    address = new_database()
    with closing(Control.open(address)) as control:
        read_from(control)
        ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(server_address(), autocommit=True) as connection:
            rows = connection.execute(ended, (make_url(address).database,)).fetchall()
        assert rows == [(True,)]
        read_from(control)
