"""A revoked key is announced to gateways ahead of the plan that has it no more."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from clauseway.app.customers.keys import NewKey, create_key, revoke_key, rotate_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import revocations
from clauseway.app.running.revocations import Revocations, begin_revocations
from clauseway.files import write_whole
from clauseway.gateway.plan import Key
from clauseway.gateway.plan.file import Keys, PlanPart
from clauseway.gateway.process.ended_keys import EndedKeys
from clauseway.gateway.routing.key_digests import digest
from clauseway.storage.control.engines import Place
from kill_stage import eventually
from postgresql_server import new_control_database, server_address

CATALOG = open_agreements([]).catalog


class Watched:
    """A home that is looked at, and a gateway that reads what is announced."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.now_s = 0.0
        self.announced = 0
        self.watch = Revocations(home, begin_revocations(home), self._announce)
        self.gateway = EndedKeys(home.revocations, lambda: self.now_s)

    def _announce(self) -> None:
        self.announced += 1

    def digest(self, key: NewKey) -> bytes:
        return digest(bytes.fromhex(self.home.hash_key()), key.secret.encode())

    def ended(self) -> set[bytes]:
        self.watch.look()
        return self.gateway.read()


@pytest.fixture
def home(tmp_path: Path, place: Place) -> Home:
    made = Home(tmp_path / "home").make()
    if isinstance(place, str):
        made.database_address.write_text(place)
    return made


@pytest.fixture
def watched(home: Home) -> Iterator[Watched]:
    made = Watched(home)
    yield made
    made.watch._control.close()


def new_key(home: Home) -> NewKey:
    return create_key(home, CATALOG, organisation="acme", project="p", seller="openai", segment="any")


# A key has a second secret, and for a day its first one too. What is written then, and which of the two it ends.
WRITES: dict[str, tuple[Callable[[Home, str], object], set[str]]] = {
    "the key is revoked": (revoke_key, {"first", "second"}),
    "a third secret holds at once": (lambda home, key_id: rotate_key(home, key_id, 0), {"first", "second"}),
    "a third secret, with an hour of grace": (lambda home, key_id: rotate_key(home, key_id, 1), set()),
    "another key is made": (lambda home, _: new_key(home), set()),
}


@pytest.mark.parametrize("what", WRITES)
def test_what_a_write_ends_is_announced_at_the_next_look(home: Home, watched: Watched, what: str) -> None:
    write, ended = WRITES[what]
    first = new_key(home)
    secrets = {"first": first, "second": rotate_key(home, first.key_id, 24)}
    assert watched.ended() == set()
    write(home, first.key_id)
    assert watched.ended() == {watched.digest(secrets[name]) for name in ended}
    assert watched.announced == (1 if ended else 0)
    assert watched.ended() == set(), "it was announced"


def test_a_gateway_that_starts_knows_what_was_announced(home: Home, watched: Watched) -> None:
    """It may read a plan that was compiled before."""
    keys = [new_key(home), new_key(home)]
    for key in keys:
        revoke_key(home, key.key_id)
        watched.watch.look()
    assert EndedKeys(home.revocations, lambda: 0.0).read() == {watched.digest(key) for key in keys}


def test_a_disk_that_was_full_gets_the_announcement_later(home: Home, watched: Watched) -> None:
    key = new_key(home)
    revoke_key(home, key.key_id)
    home.revocations.unlink()
    home.revocations.mkdir()  # nothing can be written there
    watched.watch.look()
    seen = watched.watch.head()
    home.revocations.rmdir()
    assert watched.ended() == {watched.digest(key)}
    assert watched.watch.head() == seen, "the plan was compiled for it meanwhile"


def unreadable(home: Home) -> Callable[[], None]:
    """Let nobody read where the control data are, as on a disk that fails; return what ends that."""
    address = home.database_address
    aside = address.rename(home.root / "aside") if address.exists() else None
    address.mkdir()

    def end() -> None:
        address.rmdir()
        if aside is not None:
            aside.rename(address)

    return end


def test_a_disk_that_failed_is_looked_at_again(home: Home) -> None:
    """The thread that looks ends by no failure: nobody would hear of revoked keys any more."""
    changes = threading.Semaphore(0)
    watch = Revocations(home, begin_revocations(home), changes.release)
    key = new_key(home)
    with watch.looking():
        end = unreadable(home)
        eventually(lambda: isinstance(watch._failure, OSError), "the failure is not seen")
        with pytest.raises(IsADirectoryError):
            watch.head()
        end()
        revoke_key(home, key.key_id)
        assert changes.acquire(timeout=60)
        eventually(lambda: watch._failure is None, "the plan is never compiled again")
        assert watch.head()


@pytest.fixture
def shared_home(tmp_path: Path) -> Home:
    """A home on a server, whose looks are so far apart that only an announcement is seen soon."""
    made = Home(tmp_path / "home").make()
    made.database_address.write_text(new_control_database())
    return made


def test_a_server_announces_a_write_to_those_who_look(shared_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the connection at which the announcement is awaited was lost meanwhile."""
    monkeypatch.setattr(revocations, "_LISTENING_LOOK_EVERY_S", 3600.0)
    changes = threading.Semaphore(0)
    watch = Revocations(shared_home, begin_revocations(shared_home), changes.release)
    keys = [new_key(shared_home), new_key(shared_home)]
    with watch.looking():
        await_listener(shared_home)
        revoke_key(shared_home, keys[0].key_id)
        assert changes.acquire(timeout=60)
        end_connections(shared_home)
        await_listener(shared_home)
        revoke_key(shared_home, keys[1].key_id)
        assert changes.acquire(timeout=60)
    assert len(EndedKeys(shared_home.revocations, lambda: 0.0).read()) == 2


def ask_server(query: str, home: Home) -> list[tuple[object, ...]]:
    """Ask at another database of the server about the home's."""
    name = make_url(home.database_address.read_text()).database
    with psycopg.connect(server_address(), autocommit=True) as connection:
        return connection.execute(query.encode(), (name,)).fetchall()


def await_listener(home: Home) -> None:
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND state = 'idle' AND query LIKE 'LISTEN%%'"
    eventually(lambda: ask_server(waits, home), "nobody listens")


def end_connections(home: Home) -> None:
    ask_server("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", home)


def test_half_a_line_is_read_once_it_is_whole(home: Home, watched: Watched) -> None:
    whole = "5a" * 32 + "\n"
    for half in (whole[:20], whole[20:]):
        assert watched.gateway.read() == set()
        with home.revocations.open("a") as file:
            file.write(half)
    assert watched.gateway.read() == {b"\x5a" * 32}


def test_a_file_that_was_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "revocations"
    path.write_text("5a" * 32 + "\n" + "5b" * 32 + "\nno digest\n")
    gateway = EndedKeys(path, lambda: 0.0)
    assert gateway.read() == {b"\x5a" * 32, b"\x5b" * 32}
    path.write_text("5c" * 32 + "\n")
    assert gateway.read() == {b"\x5c" * 32}
    assert gateway.ended == {b"\x5a" * 32, b"\x5b" * 32, b"\x5c" * 32}
    # A plan that still has the key of one of them: later plans have no other.
    key = Key(digest="5b" * 32, organisation="acme", project="p", key_id="k", seller="openai", segment="any")
    keys = Keys()
    keys.add(msgspec.json.encode(PlanPart(keys=(key,))), [key])
    gateway.forget(keys)
    assert gateway.ended == {b"\x5b" * 32}


def test_a_file_that_was_begun_anew_and_grew_at_once_is_read_from_its_beginning(tmp_path: Path) -> None:
    """By another `serve`, between two looks of a gateway that outlived the former one."""
    path = tmp_path / "revocations"
    write_whole(path, b"5a" * 32 + b"\n")
    gateway = EndedKeys(path, lambda: 0.0)
    assert gateway.read() == {b"\x5a" * 32}
    write_whole(path, b"5b" * 32 + b"\n" + b"5c" * 32 + b"\n")
    assert gateway.read() == {b"\x5b" * 32, b"\x5c" * 32}
    for later in ("5d", "5e"):
        with path.open("a") as file:
            file.write(later * 32 + "\n")
        assert gateway.read() == {bytes.fromhex(later) * 32}
    assert gateway.read() == set()


def test_a_clock_that_was_set_back_hides_no_answer_of_the_database(tmp_path: Path) -> None:
    """A file whose time is another than before was touched meanwhile, also where that time is earlier."""
    path, now_s = tmp_path / "revocations", [0.0]
    path.touch()
    gateway = EndedKeys(path, lambda: now_s[0])
    for time_s in (2_000_000_000, 1_900_000_000):
        now_s[0] += 40.0
        os.utime(path, (time_s, time_s))
        gateway.read()
        assert gateway.silent_s == 0.0
    now_s[0] += 40.0
    gateway.read()
    assert gateway.silent_s == 40.0


def test_the_time_of_the_file_is_when_the_database_was_reached(home: Home, watched: Watched) -> None:
    before = home.database_address.read_text() if home.database_address.exists() else ""
    watched.ended()
    watched.now_s = 40.0
    home.database_address.write_text("postgresql://127.0.0.1:1/nobody")
    watched.ended()
    assert watched.gateway.silent_s == 40.0
    with pytest.raises(DBAPIError):
        watched.watch.head()
    if before:
        home.database_address.write_text(before)
    else:
        home.database_address.unlink()
    watched.watch._touched_s = 0.0  # as a second later
    watched.ended()
    assert watched.gateway.silent_s == 0.0
    touched_ns = home.revocations.stat().st_mtime_ns
    watched.ended()
    assert home.revocations.stat().st_mtime_ns == touched_ns, "nor does each look write to the disk"
