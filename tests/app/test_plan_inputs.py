"""Whatever a plan is compiled from is looked at again as soon as it is written, and not otherwise."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from test_register import given_fact

from clauseway.app.books.basis import change_prices
from clauseway.app.books.register import record_fact
from clauseway.app.customers.allowances import GivenScope, set_budget, set_limit
from clauseway.app.customers.keys import create_key, list_keys, revoke_key, rotate_key
from clauseway.app.customers.tenants import Wish, set_policy
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import plan_inputs
from clauseway.app.running.plan_inputs import InputsState, PlanInputs, state_of
from clauseway.storage import Control
from clauseway.storage.control.engines import Place
from clauseway.values import start_of_day_ns

OPENED = open_agreements([])
ACME = GivenScope(organisation="acme")
CONFIGURATION = """\
[[deployment]]
name = "direct"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret_file = "secret"}
models = {"gpt-5.5" = "gpt-5.5"}
"""
BOOK = """\
product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.5,,,,output_tokens,2026-04-24,,2026-04-24,9.00,ours
"""


class Watched:
    """A home's inputs; how often all of them were read."""

    def __init__(self, home: Home) -> None:
        self.looks = 0
        self.reports: list[str] = []
        self._home = home
        self.inputs = PlanInputs(home, self._look, self._look(), self.reports.append)

    def _look(self) -> InputsState:
        self.looks += 1
        return state_of(self._home, OPENED, self._home.configuration)

    def changed(self) -> bool:
        self.inputs._due_s = 0.0  # a look takes a fifth of the time at most: this one is due
        return self.inputs.changed()


@pytest.fixture
def home(tmp_path: Path, place: Place) -> Home:
    made = Home(tmp_path / "home").make()
    if isinstance(place, str):
        made.database_address.write_text(place)
    made.configuration.write_text(CONFIGURATION)
    (made.root / "secret").write_text("sk-cloud")
    create_key(made, OPENED.catalog, organisation="acme", project="p", seller="openai", segment="any")
    return made


@pytest.fixture
def watched(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Inputs whose first look is over, and the next without a reason an hour away."""
    monkeypatch.setattr(plan_inputs, "_ALL_EVERY_S", 3600.0)
    made = Watched(home)
    with closing(made.inputs):
        assert not made.changed()
        yield made


class Clock:
    """The clocks that a look reads. A busy machine may pause any real one."""

    time_ns = staticmethod(time.time_ns)

    def __init__(self) -> None:
        self.now_s = self.worked_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        return self.worked_s


# A look waits for the database and works so long → when the next one is due.
DUE = [(10.0, 0.25, 1.0), (0.0, 0.25, 1.0), (10.0, 0.0, 0.0)]


@pytest.mark.parametrize(("waits_s", "works_s", "due_s"), DUE)
def test_after_a_wait_for_the_database_the_next_look_is_due_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, waits_s: float, works_s: float, due_s: float
) -> None:
    """Else an interruption of ten seconds would keep a key that was revoked for forty more."""
    clock = Clock()
    monkeypatch.setattr(plan_inputs, "time", clock)

    def look() -> InputsState:
        clock.now_s += waits_s + works_s
        clock.worked_s += works_s
        return state_of(home, OPENED, home.configuration)

    with closing(PlanInputs(home, look, None, pytest.fail)) as inputs:
        clock.now_s = 100.0
        assert inputs.changed()
        revoke_key(home, list_keys(home)[0].key_id)
        if due_s:
            clock.now_s += due_s - 0.01
            assert not inputs.changed()
            clock.now_s += 0.02
        assert inputs.changed()


def _book(home: Home) -> None:
    (home.root / "book.csv").write_text(BOOK)
    change_prices(home, "as we pay", file=home.root / "book.csv", of_this_version=False, alone=False)


def _launch(home: Home) -> None:
    about = {"product": "gpt-5.5", "cloud": "aws", "stage": "available"}
    record_fact(home, open_agreement(), given_fact("launch", "2026-05-01", "", **about))


WRITES: dict[str, Callable[[Home], object]] = {
    "a key": lambda home: create_key(
        home, OPENED.catalog, organisation="acme", project="q", seller="openai", segment="any"
    ),
    "a key's new secret": lambda home: rotate_key(home, list_keys(home)[0].key_id, 1),
    "a key's end": lambda home: revoke_key(home, list_keys(home)[0].key_id),
    "a limit": lambda home: set_limit(home, OPENED.catalog, ACME, 9, 0),
    "a budget": lambda home: set_budget(home, OPENED.catalog, ACME, "5", "month"),
    "how requests are routed": lambda home: set_policy(home, OPENED.catalog, Wish(strategy="cheapest"), "acme"),
    "a fact": _launch,
    "a price book": _book,
    "the configuration": lambda home: home.configuration.write_text(CONFIGURATION + "\n"),
    "a secret": lambda home: (home.root / "secret").write_text("sk-another"),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_write_is_seen_at_the_next_look(watched: Watched, home: Home, what: str) -> None:
    WRITES[what](home)
    assert watched.changed()
    assert not watched.changed(), "it was seen"


def test_all_is_read_only_where_something_was_written(watched: Watched, home: Home) -> None:
    looks = watched.looks
    assert [watched.changed() for _ in range(5)] == [False] * 5
    assert watched.looks == looks
    WRITES["a limit"](home)
    assert watched.changed()
    assert watched.looks == looks + 1


def _rotated(home: Home) -> int:
    rotate_key(home, list_keys(home)[0].key_id, 1)
    control = Control.open(home.control)
    try:
        return max(former.until_ns for former in control.former_secrets())
    finally:
        control.close()


def _ending(home: Home) -> int:
    create_key(
        home, OPENED.catalog, organisation="acme", project="q", seller="openai", segment="any", expires=date(2099, 1, 2)
    )
    return start_of_day_ns(date(2099, 1, 2))


@pytest.mark.parametrize("write", [_rotated, _ending], ids=["a former secret", "a key that expires"])
def test_what_ends_by_time_alone_is_seen_at_that_instant(
    watched: Watched, home: Home, write: Callable[[Home], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written then, and nothing is read before."""
    end_ns = write(home)
    assert watched.changed()
    looks = watched.looks
    monkeypatch.setattr("time.time_ns", lambda: end_ns - 1)
    assert not watched.changed()
    assert watched.looks == looks
    monkeypatch.setattr("time.time_ns", lambda: end_ns)
    assert watched.changed()
    assert watched.looks == looks + 1
    assert not watched.changed(), "it was seen"
    assert watched.looks == looks + 1


def test_a_clock_that_is_set_back_brings_back_what_had_ended(
    watched: Watched, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_ns = _ending(home)
    assert watched.changed()
    monkeypatch.setattr("time.time_ns", lambda: end_ns + 1)
    assert watched.changed()
    monkeypatch.setattr("time.time_ns", lambda: end_ns - 1)
    assert watched.changed()
    looks = watched.looks
    assert not watched.changed()
    assert watched.looks == looks


def _unreachable(address: Path) -> Callable[[], None]:
    address.write_text("postgresql://127.0.0.1:1/nobody")
    return address.unlink


def _unreadable(address: Path) -> Callable[[], None]:
    """Make an address that nobody can read, as on a disk that fails."""
    address.mkdir()
    return address.rmdir


@pytest.mark.parametrize("take_away", [_unreachable, _unreadable])
def test_a_database_that_is_away_is_told_once_and_looked_for(
    watched: Watched, home: Home, take_away: Callable[[Path], Callable[[], None]]
) -> None:
    address = home.database_address
    aside = address.rename(home.root / "aside") if address.exists() else None
    end = take_away(address)
    assert [watched.changed() for _ in range(2)] == [False, False]
    assert len(watched.reports) == 1
    (report,) = watched.reports
    assert report.startswith("The database is away")
    assert "sqlalche" not in report, "what the server says, and nothing about statements"
    end()
    if aside is not None:
        aside.rename(address)
    WRITES["a limit"](home)
    assert watched.changed()
