"""Only a server has these: its own exclusion of ranges, its order of text, its address."""

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.exc import IntegrityError

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control
from clauseway.storage.control.engines import without_password
from clauseway.values import InvalidInput
from postgresql_server import new_database

RANGE = {
    "spool": "a", "segment": 1, "first_frame": 0, "end_frame": 10, "digest": "", "usage_rows": 0, "intent_rows": 0,
    "sealed_ns": 1,
}  # fmt: skip


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
    assert "LC_COLLATE 'C'" in refused.value.problems[0].todo


@pytest.mark.parametrize("address", ["", "postgresql://", "mysql://u@h/d", "postgresql://host", "control.db"])
def test_an_address_of_no_such_database_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Control.open(address)
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in refused.value.problems[0].todo


def test_a_password_is_never_shown() -> None:
    assert without_password("postgresql://me:secret@db/clauseway") == "postgresql://me:***@db/clauseway"
