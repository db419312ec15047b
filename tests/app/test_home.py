"""Where a home's things lie, also where the home lies deep."""

import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

import settled_book
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import locked
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
