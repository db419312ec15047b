"""A home whose file system goes away while its usage is sealed: nothing is begun where it was, and nothing is lost."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from journals import gateway, home_at

from clauseway.app.customers.keys import known_hash_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.machine_faults import fault_of
from clauseway.app.running.serving import ServeOptions, serving
from clauseway.app.usage.damages import write_damages
from clauseway.app.usage.lake_checks import note_faults
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.storage.control.control import kept_open
from clauseway.storage.lake.digests import CHANGED, LakeFault
from clauseway.storage.lake.file_list import files_of
from deployments import deployment

_TO_THE_SYSTEM = frozenset({"posix", "io", "_io", "_sqlite3"})
# Of these modules, and called as often as a version of Python likes.
_ASK_NOTHING = frozenset({"fspath", "text_encoding", "_path_splitroot_ex"})

# To move the home before each of some 230 calls would take a quarter of a minute.
_STEP = 3


class Calls:
    """The calls of this thread to the system; before one of them the home's folder moves, as a mount goes.

    With `leaves_folder` an empty one stays there: the mount point.
    """

    def __init__(self, home: Path, moves_at: int, *, leaves_folder: bool = False) -> None:
        self.seen = 0
        self._home, self._moves_at, self._leaves_folder = home, moves_at, leaves_folder

    def __call__(self, _frame: FrameType, event: str, called: Any) -> None:
        is_of_the_system = event == "c_call" and getattr(called, "__module__", None) in _TO_THE_SYSTEM
        if is_of_the_system and called.__name__ not in _ASK_NOTHING:
            self.seen += 1
            if self.seen == self._moves_at:
                self._home.rename(self._home.with_name("aside"))
                if self._leaves_folder:
                    self._home.mkdir()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was sealed once and whose gateway wrote since."""
    home = home_at(tmp_path_factory.mktemp("written") / "home")
    gateway(home)
    seal(home)
    gateway(home, range(11, 21), boot=8)
    return home.root


def test_a_home_that_goes_at_any_moment_of_a_round_is_begun_nowhere(written: Path, tmp_path: Path) -> None:
    moves_at = 1
    while True:
        root = tmp_path / str(moves_at) / "home"
        shutil.copytree(written, root)
        home = Home(root).served()
        calls = Calls(root, moves_at)
        with contextlib.suppress(Exception), calls.counted():
            seal(home)
        if calls.seen < moves_at:
            break
        assert not root.exists(), f"{[str(path) for path in root.rglob('*')]} at call {moves_at}"
        root.with_name("aside").rename(root)
        assert seal(home).damages == ()
        with open_lake(home) as lake:
            assert sum(file.rows for file in files_of(lake.control, "usage")) == 20, f"at call {moves_at}"
        moves_at += _STEP
    assert moves_at > 100, f"{calls.seen} calls"


def each_time(_: Home) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def once(home: Home) -> contextlib.AbstractContextManager[None]:
    """As pages open it, for everything that one of them shows."""
    return kept_open(home.control)


@pytest.mark.parametrize(("opens", "is_served"), [(each_time, True), (each_time, False), (once, True)])
def test_a_home_that_goes_at_any_moment_of_its_opening_gets_no_other_control_data(
    written: Path, tmp_path: Path, *, opens: Callable[[Home], contextlib.AbstractContextManager[None]], is_served: bool
) -> None:
    # A home that is not served, and goes before the first look at it, was never there.
    moves_at = 1 if is_served else 2
    while True:
        root = tmp_path / str(moves_at) / "home"
        shutil.copytree(written, root)
        home = Home(root).served() if is_served else Home(root)
        calls = Calls(root, moves_at, leaves_folder=True)
        with contextlib.suppress(Exception), calls.counted(), opens(home), open_control(home) as control:
            control.keys()
        if calls.seen < moves_at:
            break
        assert list(root.iterdir()) == [], f"at call {moves_at}"
        moves_at += 1
    assert moves_at > 10, f"{calls.seen} calls"


class Starts(Calls):
    """The starts of processes; as one of them starts, an empty folder takes the place of the home."""

    def __init__(self, home: Path, moves_at: int) -> None:
        super().__init__(home, moves_at, leaves_folder=True)

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if getattr(called, "__name__", "") == "fork_exec":
            called = os.rename  # any call that is counted
            super().__call__(frame, event, called)


@pytest.mark.parametrize("process", [1, 2], ids=["gateway", "pages"])
def test_a_home_that_goes_while_its_processes_start_is_said_to_be_gone(tmp_path: Path, process: int) -> None:
    home = Home(tmp_path / "home").make()
    home.configuration.write_text("[gateway]\nport = 0\n" + deployment())
    options = ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration)
    with pytest.raises(FileNotFoundError) as failed, Starts(home.root, process).counted(), serving(options):
        pytest.fail("it serves")
    problem = fault_of(failed.value, home.root)
    assert problem is not None
    assert problem.what == "the home is gone"


def test_a_served_home_that_goes_gets_no_other_key_to_hash_with(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    home.identity()
    with open_control(home):
        served = home.served()
    home.root.rename(tmp_path / "aside")
    home.root.mkdir()
    with pytest.raises(FileNotFoundError):
        known_hash_key(served)
    assert list(home.root.iterdir()) == []


def test_into_what_is_left_of_a_home_no_look_at_it_is_written(written: Path, tmp_path: Path) -> None:
    """A round that looks for damage may have sealed before the home went."""
    home = Home(shutil.copytree(written, tmp_path / "home")).served()
    home.root.rename(tmp_path / "aside")
    home.root.mkdir()
    write_damages(home)
    day = date(2026, 5, 1)
    fault = LakeFault(name="usage/a.parquet", what=CHANGED, first_day=day, last_day=day, rows=1, digest="")
    note_faults(home, [], [fault])
    assert list(home.root.iterdir()) == []
