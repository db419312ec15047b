"""Versions of the control database: a new one, an older one and a later one, in a file and on a server."""

from contextlib import closing
from datetime import date
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from clauseway.storage import Control
from clauseway.storage.control import versions
from clauseway.storage.control.engines import Place, engine_of, writer_of
from clauseway.values import InvalidInput
from postgresql_server import new_database

# Columns that a database from before the versions may lack.
ADDED = [
    ("keys", "role"),
    ("keys", "expires_ns"),
    ("lake_files", "lost_ns"),
    ("losses", "file"),
    ("spools", "home"),
    ("rollups", "cache_write_1h_tokens"),
    ("rollups", "web_searches"),
    ("rollups", "image_tool_input_tokens"),
    ("rollups", "image_tool_image_input_tokens"),
    ("rollups", "image_tool_output_tokens"),
    ("rollups", "image_tool_image_output_tokens"),
    ("leases", "journal_segment"),
    ("leases", "journal_frame"),
    ("party_keys", "is_withdrawn"),
]

PEOPLE = ("people", "passwords", "two_person_rules", "approvals")
ISSUED = ("issued_resources", "identifier_copies")
DAY = date(2026, 5, 1)


@pytest.fixture
def engine(place: Place) -> Engine:
    """An empty database, for transactions that write."""
    return writer_of(engine_of(place))


def shape(connection: Connection) -> dict[str, Any]:
    """Everything that a database says of its tables."""
    inspected = inspect(connection)
    tables = {
        name: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in inspected.get_columns(name)
            },
            "key": inspected.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted(
                tuple(constraint["column_names"]) for constraint in inspected.get_unique_constraints(name)
            ),
            "indexes": sorted((index["name"], index["column_names"]) for index in inspected.get_indexes(name)),
            "checks": sorted(str(check["name"]) for check in inspected.get_check_constraints(name)),
            "references": sorted(
                (key["constrained_columns"], key["referred_table"]) for key in inspected.get_foreign_keys(name)
            ),
        }
        for name in inspected.get_table_names()
    }
    excluding = "SELECT conname FROM pg_constraint WHERE contype = 'x'"
    excluded = connection.execute(text(excluding)).all() if connection.dialect.name == "postgresql" else []
    return {"tables": tables, "excluded": [name for (name,) in excluded]}


def made_new(engine: Engine) -> dict[str, Any]:
    with engine.begin() as connection:
        versions.bring_up(connection)
    with engine.begin() as connection:
        return shape(connection)


def test_the_present_version_is_that_of_the_last_script() -> None:
    config = Config()
    config.set_main_option("script_location", "clauseway.storage.control:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == versions.PRESENT


def test_down_to_nothing_and_up_again_is_as_made_new(engine: Engine) -> None:
    new = made_new(engine)
    with engine.begin() as connection:
        versions.move(connection, versions.BEFORE_ALL)
    with engine.begin() as connection:
        assert shape(connection)["tables"].keys() == {"alembic_version"}
        versions.move(connection, versions.PRESENT)
    with engine.begin() as connection:
        assert shape(connection) == new


def test_a_database_from_before_the_versions_is_as_made_new_once_it_is_opened(engine: Engine, place: Place) -> None:
    new = made_new(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("DROP TABLE kept_sums"))
        for later in ("homes", "limit_shares", "limit_shortages", "one_copy", *ISSUED, *PEOPLE):
            connection.execute(text(f"DROP TABLE {later}"))
        for table, column in ADDED:
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
    Control.open(place).close()
    with engine.begin() as connection:
        assert shape(connection) == new
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == versions.PRESENT


WRONG = "the home's database is not of the version 0010 that it names"
NONE = "the home's database does not say its version"
# A change by hand -> the message, and the reason.
BY_HAND = {
    "DELETE FROM alembic_version": (NONE, "has no row"),
    "DROP TABLE alembic_version": (NONE, "is not there"),
    "INSERT INTO alembic_version VALUES ('0010')": (NONE, "has 2 rows"),
    "UPDATE alembic_version SET version_num = '0010'": (WRONG, "web_searches"),
}


@pytest.mark.parametrize("by_hand", BY_HAND)
def test_a_database_that_says_no_version_or_a_false_one_is_refused_until_it_is_written_again(
    engine: Engine, place: Place, by_hand: str
) -> None:
    new = made_new(engine)
    with engine.begin() as connection:
        connection.execute(text(by_hand))
    with pytest.raises(InvalidInput) as refused:
        Control.open(place)
    [problem] = refused.value.problems
    assert problem.what == BY_HAND[by_hand][0]
    assert BY_HAND[by_hand][1] in problem.why
    with engine.begin() as connection:
        for statement in problem.remedy.partition("again: ")[2].rstrip(";").split("; "):
            connection.execute(text(statement))
    Control.open(place).close()
    with engine.begin() as connection:
        assert shape(connection)["tables"].keys() == new["tables"].keys()


def test_a_database_of_a_later_version_is_refused_and_stays(engine: Engine, place: Place) -> None:
    made_new(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InvalidInput) as refused:
        Control.open(place)
    [problem] = refused.value.problems
    assert problem.what == "the home's database is of version 9999"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


# The version's fate under a program that goes on | the error of its next write.
CHANGED = [
    ("UPDATE alembic_version SET version_num = '9999'", "the home's database is of version 9999 by now"),
    ("UPDATE alembic_version SET version_num = '0009'", "the home's database is of version 0009 by now"),
    ("DROP TABLE alembic_version", "the home's database does not say its version"),
]


@pytest.mark.parametrize(("change", "said"), CHANGED)
def test_nothing_is_written_into_tables_that_another_version_brought_up(place: Place, change: str, said: str) -> None:
    """A program that serves has its database open while a later one brings the tables up."""
    with closing(Control.open(place)) as control:
        control.record_fact(kind="x", effective=DAY, payload="{}", source="s", recorded_ns=1)
        with engine_of(place).begin() as connection:
            connection.execute(text(change))
        with pytest.raises(InvalidInput) as refused:
            control.record_fact(kind="x", effective=DAY, payload="{}", source="s", recorded_ns=2)
        assert [problem.what for problem in refused.value.problems] == [said]
        with pytest.raises(InvalidInput, match=said), control.adding():
            pytest.fail("rows of another version's tables would be added")
        with control.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM facts")).scalar_one() == 1


def test_an_empty_database_on_a_server_is_begun_by_nobody_who_expects_control_data() -> None:
    """A home whose database was emptied, or that names another one, would know no key: each customer would be refused,
    and a restore would meet the new tables."""
    address = new_database()
    with pytest.raises(InvalidInput) as refused:
        Control.open(address)
    [problem] = refused.value.problems
    assert problem.what == "the database holds no control data"
    with engine_of(address).connect() as connection:
        assert inspect(connection).get_table_names() == []
    Control.begin(address).close()
    Control.open(address).close()


def test_a_database_that_is_not_whole_is_refused_and_stays(engine: Engine, place: Place) -> None:
    """A restore that is under way, or that ended early."""
    made_new(engine)
    Control.open(place).close()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE kept_sums"))
        before = shape(connection)
    with pytest.raises(InvalidInput) as refused:
        Control.open(place)
    [problem] = refused.value.problems
    assert problem.what == "the control data is not whole"
    with engine.begin() as connection:
        assert shape(connection) == before


def test_a_whole_database_lacks_no_constraint(engine: Engine) -> None:
    made_new(engine)
    with engine.begin() as connection:
        assert versions.missing_constraints(connection) == []


# A table · what a restore left out of it · how that is named
LEFT_OUT = [
    ("manifest", "CONSTRAINT manifest_pkey", "the primary key of manifest"),
    ("manifest", "CONSTRAINT ranges_exclude_each_other", "the exclusion of ranges of manifest"),
    ("manifest", "CONSTRAINT a_range", "a check of manifest"),
    ("lake_files", "CONSTRAINT lake_files_name_key", "a unique constraint of lake_files"),
    ("former_secrets", "CONSTRAINT former_secrets_key_id_fkey", "a reference of former_secrets"),
]


def test_constraints_that_a_restore_left_out_are_named() -> None:
    engine = writer_of(engine_of(new_database()))
    made_new(engine)
    with engine.begin() as connection:
        for table, left_out, _ in LEFT_OUT:
            connection.execute(text(f"ALTER TABLE {table} DROP {left_out}"))
        connection.execute(text("DROP INDEX losses_by_place"))
        named = ["the index losses_by_place", *(name for _, _, name in LEFT_OUT)]
        assert versions.missing_constraints(connection) == sorted(named)


def test_a_write_that_fails_for_what_a_restore_left_out_says_so() -> None:
    """`pg_restore --table` restores rows alone, without the constraints and numbers of the table."""
    address = new_database()
    with closing(Control.begin(address)) as control:
        with engine_of(address).begin() as connection:
            connection.execute(text("ALTER TABLE facts ALTER sequence DROP DEFAULT, DROP CONSTRAINT facts_pkey"))
        with pytest.raises(InvalidInput) as refused:
            control.record_fact(kind="x", effective=DAY, payload="{}", source="s", recorded_ns=1)
    [problem] = refused.value.problems
    assert problem.what == "the database takes rows that it should refuse"
    assert "the primary key of facts" in problem.why
