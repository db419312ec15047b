"""Where a home's things lie, also where the home lies deep."""

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import settled_book
from clauseway.app.books.party_keys import keys_folder
from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.locks import locked
from clauseway.storage import Control
from clauseway.values import InvalidInput
from in_process import CLAUSEWAY


def test_sockets_of_a_usual_home_lie_in_it(tmp_path: Path) -> None:
    home = Home(Path("/srv/clauseway"))
    assert {home.gateway_socket.parent, home.lease_socket.parent} == {home.root}


def test_sockets_of_a_home_that_lies_deep_can_be_opened_and_are_its_own(tmp_path: Path) -> None:
    homes = [Home(tmp_path / ("deep/" * 20) / name).make() for name in ("one", "two")]
    places = [place for home in homes for place in (home.gateway_socket, home.lease_socket)]
    assert len(set(places)) == 4
    for place in places:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
        place.unlink()
        assert place.parent.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_may_read_takes_no_sockets(tmp_path: Path) -> None:
    home = Home(tmp_path / ("deep/" * 20))
    home.make().gateway_socket.parent.chmod(0o755)
    with pytest.raises(InvalidInput, match="not this user's alone"):
        home.make()


def test_a_database_is_its_users_alone_from_its_first_instant(tmp_path: Path) -> None:
    """Also where the umask lets others read; the files beside it while it is open, too."""
    before = os.umask(0o022)
    try:
        with closing(Control.open(tmp_path / "control.db")):
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes.keys() >= {"control.db", "control.db-wal", "control.db-shm"}
    assert set(modes.values()) == {0o600}


def test_a_database_that_others_may_read_is_closed_to_them_once_it_is_opened(tmp_path: Path) -> None:
    """Older programs made it by the umask; another process may hold it open, with its files beside it."""
    path = tmp_path / "control.db"
    with closing(Control.open(path)):
        for file in tmp_path.iterdir():
            file.chmod(0o644)
        with closing(Control.open(path)):
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes.keys() >= {"control.db", "control.db-wal", "control.db-shm"}
    assert set(modes.values()) == {0o600}


def test_a_home_that_its_owner_made_read_only_stays_so(tmp_path: Path) -> None:
    """It is closed to others alone: an archived home is not written because a command opened it."""
    home = Home(tmp_path / "home").make()
    control = home.root / "control.db"
    Control.open(control).close()
    control.chmod(0o444)
    home.root.chmod(0o555)
    home.make()
    Control.open(control).close()
    assert [path.stat().st_mode & 0o777 for path in (home.root, control)] == [0o500, 0o400]


def test_a_command_that_waits_for_another_process_says_so(tmp_path: Path) -> None:
    """Another process seals; what the command has to say waits for that, and is said then."""
    home = settled_book.make(tmp_path / "home")
    command = [str(CLAUSEWAY), "spool", "list", "--home", str(home.root)]
    with ExitStack() as stack:
        with locked(home, "seal"):
            waiting = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            assert waiting.stderr is not None
            said = waiting.stderr.readline()
        printed, rest = waiting.communicate(timeout=60)
    assert said == f"Another process works at {home.root}: this command waits until it has ended.\n"
    assert (waiting.returncode, rest) == (0, "")
    assert printed


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"0123"])
def test_a_damaged_identity_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path).make()
    home.identity()
    (tmp_path / "home.id").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"home\.id is damaged"):
        home.identity()
    (tmp_path / "home.id").unlink()
    assert len(home.identity()) == 16


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_tilde_is_the_users_folder(by_flag: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells leave it in `--home=~/data`, service managers everywhere: a folder `~` was made."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLAUSEWAY_HOME", "~/data")
    assert home_at("~/data" if by_flag else None).root == tmp_path / "data"


@pytest.mark.parametrize(
    ("variable", "asked"),
    [("CLAUSEWAY_HOME", lambda: home_at(None)), ("CLAUSEWAY_KEYS", lambda: keys_folder(Home(Path("/srv/clauseway"))))],
)
def test_a_variable_with_blanks_alone_names_no_folder(
    variable: str, asked: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, " ")
    with pytest.raises(InvalidInput, match=f"{variable}: ' ' is no folder"):
        asked()
    monkeypatch.setenv(variable, "")  # as if it were not set
    asked()


def test_who_serves_a_home_begins_nothing_in_its_place(tmp_path: Path) -> None:
    """A mount that ends leaves an empty folder; one that comes brings another home."""
    home = Home(tmp_path / "home")
    home.identity()
    served = home.served()
    home.root.rename(tmp_path / "aside")
    home.root.mkdir()
    for asked in (home.served, served.served, served.identity, lambda: served.make().control):
        with pytest.raises(FileNotFoundError, match=r"home\.id"):
            asked()
    assert not list(home.root.iterdir())
    home.identity()
    with pytest.raises(InvalidInput, match=r"another home lies in the place of the one that is served"):
        _ = served.control
    (home.root / "home.id").unlink()
    home.root.rmdir()
    (tmp_path / "aside").rename(home.root)
    assert served.identity() == home.identity()
