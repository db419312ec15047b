"""Homes that older programs wrote: the first command brings them up, and they settle to the same bytes."""

import hashlib
import lzma
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

import in_process
import settled_book
from clauseway.app.opening.home import Home
from clauseway.storage.control import versions
from clauseway.storage.control.engines import engine_of, writer_of

KEPT = Path(__file__).parent / "kept/home-before-versions.tar.xz"
MONTHS = ("2026-04", "2026-05")
# A statement's digest, and the key's id, as the program printed them that wrote the kept home.
STATEMENT_THEN = "bd2daeec4e5005c4b1197b9ad8cc3bfa6710bd420b3f28e15273e4c8c46c5122"
KEY_THEN = "key_dbd88f2d9770fe8d"
REVISIONS = [
    script.revision
    for script in ScriptDirectory(str(Path(versions.__file__).parent / "migrations")).walk_revisions()
    if script.revision != versions.PRESENT
]
# The first command after an upgrade, whichever it is, brings the home up.
FIRST_COMMANDS = {
    "settle": ("settle", "--period", MONTHS[1]),
    "doctor": ("doctor",),
    "spool list": ("spool", "list"),
    "audit verify": ("audit", "verify"),
}


def run(home: Path, *arguments: str) -> str:
    done = in_process.run(*arguments, home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def statement(home: Path, period: str) -> str:
    return run(home, "statement", "--period", period, "--format", "json")


def version_of(home: Path) -> str:
    engine = engine_of(home / "control.db")
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT version_num FROM alembic_version")
        [[held]] = cursor.fetchall()
    engine.dispose()
    return str(held)


def make_older(home: Path, revision: str) -> None:
    """Give the home's database the tables of that revision; without a revision, those of before the versions."""
    engine = writer_of(engine_of(home / "control.db"))
    with engine.begin() as connection:
        versions.move(connection, revision or "0001")
        if not revision:
            connection.execute(text("DROP TABLE alembic_version"))
    engine.dispose()
    (home / "control.db").chmod(0o644)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with usage of two months, one of them settled, a customer's key and a recorded fact."""
    home = Home(tmp_path_factory.mktemp("begun") / "home").make()
    settled_book.seal(home)
    settled_book.settle(home, MONTHS[0])
    run(home.root, "key", "create", "--organisation", "Contoso", "--seller", "openai")
    return home.root


@pytest.fixture(scope="module")
def same(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The statements of a home that was never older."""
    home = tmp_path_factory.mktemp("never") / "home"
    shutil.copytree(begun, home)
    run(home, "settle", "--period", MONTHS[1])
    return [statement(home, period) for period in MONTHS]


@pytest.fixture
def older(begun: Path, tmp_path: Path) -> Callable[[str], Path]:
    def make(revision: str) -> Path:
        home = tmp_path / "home"
        shutil.copytree(begun, home)
        make_older(home, revision)
        return home

    return make


@pytest.mark.parametrize("revision", ["", *sorted(REVISIONS)])
def test_a_home_of_each_older_version_settles_to_the_same_bytes(
    older: Callable[[str], Path], revision: str, same: list[str]
) -> None:
    home = older(revision)
    keys = run(home, "key", "list")
    run(home, "settle", "--period", MONTHS[1])
    assert version_of(home) == versions.PRESENT
    assert [statement(home, period) for period in MONTHS] == same
    assert "active" in keys
    for period in MONTHS:
        run(home, "statement", "verify", period)
    assert "The books were not edited" in run(home, "audit", "verify")
    assert (home / "control.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", FIRST_COMMANDS.values(), ids=FIRST_COMMANDS)
def test_the_first_command_brings_a_home_up(older: Callable[[str], Path], command: tuple[str, ...]) -> None:
    home = older("0001")
    in_process.run(*command, home=home)
    assert version_of(home) == versions.PRESENT


def test_a_home_that_an_older_program_wrote_is_settled_again_to_the_bytes_of_then(tmp_path: Path) -> None:
    """Written on 21 November 2026 by the program of that morning, before the database had a version."""
    home = tmp_path / "home"
    home.mkdir()
    unpack = ("tar", "--extract", "--preserve-permissions", "--no-same-owner", "--directory", home)
    # Not every machine has the program by which tar reads xz.
    subprocess.run(unpack, input=lzma.decompress(KEPT.read_bytes()), check=True)
    assert (home / "control.db").stat().st_mode & 0o077, "it was open to others"
    for period in MONTHS:
        run(home, "statement", "verify", period)
    run(home, "settle", "--period", MONTHS[1])
    assert hashlib.sha256(statement(home, MONTHS[1]).encode()).hexdigest() == STATEMENT_THEN
    assert KEY_THEN in run(home, "key", "list")
    assert "The books were not edited" in run(home, "audit", "verify")
    assert (home / "control.db").stat().st_mode & 0o777 == 0o600
