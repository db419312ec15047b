"""Where a home's things lie, also where the home lies deep."""

import socket
from pathlib import Path

import pytest

from clauseway.app.opening.home import Home
from clauseway.values import InvalidInput


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
