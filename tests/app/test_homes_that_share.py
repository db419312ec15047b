"""Two homes on one database: each looks after its own journals, and nobody decides by a process id that another
machine is dead. On a real PostgreSQL; two machines are two folders, and processes of the other one are not seen."""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from journals import gateway

from allowance_plans import opened
from clauseway.app.customers.leasing import lease_server
from clauseway.app.customers.limit_shares import LimitShares
from clauseway.app.opening import locks
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import IdentityLock
from clauseway.app.running.serving import Rounds
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.losses import write_off
from clauseway.app.usage.sealing import seal
from clauseway.gateway.budgets import allowances as of_gateways
from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import Ask, LeaseSocket
from clauseway.gateway.plan import RateLimit
from clauseway.spool import identify
from clauseway.storage import Control
from clauseway.storage.books import losses as losses_module
from clauseway.storage.books.losses import Losses
from clauseway.storage.customers.leases import BudgetStanding, LeaseRequest, Leases, LeaseState, usd
from clauseway.storage.customers.limit_shares import StoredShares
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenants
from clauseway.values import InvalidInput
from in_process import run
from postgresql_server import end_connections, new_control_database
from settled_book import ACCEPTED

BUDGET, AMOUNT = "bud_1", 1_000
HOMES = ("first", "second")


class Machines:
    """Homes on one database and one lake. `first` has a gateway that holds 600 of a budget of 1,000."""

    def __init__(self, root: Path) -> None:
        address, lake = new_control_database(), root / "lake"
        lake.mkdir()
        self.first, self.second = [self._home(root / name, address, lake) for name in HOMES]
        self.control = Control.open(address)
        Tenants(self.control).set_budget(
            BudgetRow(id=BUDGET, organisation="acme", period="total", amount=usd(AMOUNT), currency="USD", created_ns=1)
        )
        # A process of another machine: here there is none of that number.
        with subprocess.Popen([sys.executable, "-c", ""]) as elsewhere:
            self.pid = elsewhere.pid
        self.journal = gateway(self.first, killed=True)
        self.spool = identify(self.journal).hex()
        assert self.lease(1, target=600).leased == 600

    @staticmethod
    def _home(root: Path, address: str, lake: Path) -> Home:
        home = Home(root).make()
        home.database_address.write_text(address)
        home.lake.symlink_to(lake)
        return home

    def lease(self, serial: int, *, target: int, spent: int = 0) -> LeaseState:
        """Ask the budget for a lease, as the gateway of the first home does."""
        request = LeaseRequest(
            budget=BUDGET,
            boot=f"{7:016x}",
            part=0,
            pid=self.pid,
            serial=serial,
            spent=spent,
            least=target,
            target=target,
            is_over=False,
            spool=self.spool,
        )
        (state,) = Leases(self.control).lease([request], time.time_ns())
        return state

    @property
    def standing(self) -> BudgetStanding:
        (standing,) = Leases(self.control).standings(time.time_ns())
        return standing


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def test_another_home_takes_nothing_from_a_gateway_that_it_cannot_see(machines: Machines) -> None:
    sealed = seal(machines.second)
    assert sealed.damages == ()
    assert blocking_damages(machines.second) == []
    assert machines.standing.leased == 600
    assert machines.lease(2, target=600, spent=400).leased == 600, "its gateway goes on"


def test_the_home_of_a_gateway_that_died_settles_its_lease(machines: Machines) -> None:
    """Ten attempts were sealed, charged nothing: all of it is free again."""
    seal(machines.second)
    seal(machines.first)
    assert (machines.standing.spent, machines.standing.leased) == (0, 0)


def test_a_machine_whose_clock_was_ahead_is_silent_by_the_clock_of_the_database(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        right_ns = time.time_ns
        ahead.setattr(time, "time_ns", lambda: right_ns() + 3_600 * 10**9)
        seal(machines.first)
    gateway(machines.first, range(11, 13), boot=8, killed=True)
    shutil.rmtree(machines.first.root)
    monkeypatch.setattr(losses_module, "SILENT_NS", 0)
    assert write_off(machines.second, machines.spool, "nothing", "the machine burnt").estimate == "nothing"


def listed(home: Home) -> str:
    return run("spool", "list", home=home.root).stdout


def settled(home: Home) -> str:
    """Return the remarks in the settlement of a month without usage."""
    accepted = [flag for name in ACCEPTED for flag in ("--assume", name)]
    done = run("settle", "--period", "2026-03", *accepted, home=home.root)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_machine_that_is_gone_is_written_off_from_another(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    Losses(machines.control).heard(machines.first.identity())  # as each of its sealings does
    assert re.search(rf"held by home {machines.first.identity()}, heard \d+ s ago", listed(machines.second))
    assert "held by" not in listed(machines.first)
    silent = f"Home {machines.first.identity()} has been silent for"
    assert silent not in settled(machines.second)
    kept = shutil.copytree(machines.first.root, machines.first.root.with_name("kept"), symlinks=True)
    shutil.rmtree(machines.first.root)
    with pytest.raises(InvalidInput, match="another home holds it, and was heard"):
        write_off(machines.second, machines.spool, "nothing", "the machine burnt")
    monkeypatch.setattr(losses_module, "SILENT_NS", 0)
    assert f"clauseway journal recover {machines.spool[:8]}" in listed(machines.second)
    assert silent in settled(machines.second)
    assert write_off(machines.second, machines.spool, "nothing", "the machine burnt").estimate == "nothing"
    assert listed(machines.second).splitlines()[0].endswith(": written off")
    assert silent not in settled(machines.second)
    assert (machines.standing.spent, machines.standing.leased) == (600, 0), "it may have spent all that it held"
    assert machines.lease(3, target=1_000, spent=100).end_ns <= time.time_ns(), "its lease is over, should it come back"
    assert machines.standing.spent == 600
    # It does come back, with its disk.
    shutil.move(kept, machines.first.root)
    seal(machines.first)
    (loss,) = Losses(machines.control).all()
    assert loss.found_ns
    assert blocking_damages(machines.first) == []


def test_a_machine_that_is_gone_keeps_nothing_of_a_budget_whose_journal_was_sealed_to_its_end(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gateway ended and told nobody; nothing is lost with its disk, so there is nothing to recover or write off."""
    gateway(machines.first, range(11, 13), boot=8)
    seal(machines.first)  # by which the gateway that holds 600 is dead, but for this its lease was open
    lease = LeaseRequest(
        budget=BUDGET,
        boot=f"{8:016x}",
        part=0,
        pid=machines.pid,
        serial=1,
        spent=0,
        least=500,
        target=500,
        is_over=False,
        spool=machines.spool,
    )
    Leases(machines.control).lease([lease], time.time_ns())
    shutil.rmtree(machines.first.root)
    seal(machines.second)
    assert machines.standing.leased == 500, "its machine was heard a moment ago"
    monkeypatch.setattr(losses_module, "SILENT_NS", 0)
    seal(machines.second)
    assert (machines.standing.spent, machines.standing.leased) == (0, 0)


def test_a_journal_that_was_moved_to_another_home_is_its_own_from_then_on(machines: Machines) -> None:
    seal(machines.first)
    shutil.move(machines.journal, machines.second.spools / "gateway")
    assert any("is missing" in damage for damage in seal(machines.first).damages)
    assert seal(machines.second).damages == ()
    assert seal(machines.first).damages == ()
    assert blocking_damages(machines.first) == []


# Askers of a limit of 30 a minute (home, used of it, least, target) → the share that each then holds.
ASKED = [
    ("first", 0, 1, 17, 7),  # of what is free, a quarter, unless it needs more
    ("second", 0, 12, 12, 12),
    ("first", 7, 18, 18, 18),
    ("second", 12, 13, 13, 12),  # nothing is left
    ("first", 9, 0, 9, 9),  # gives back
    ("second", 12, 20, 20, 20),
]


def test_a_limit_by_the_minute_is_one_for_all_homes(machines: Machines) -> None:
    limit = Limit(id="lim_1", organisation="acme", requests_per_minute=30, tokens_per_minute=0, created_ns=1)
    Tenants(machines.control).set_limit(limit)
    shares = {name: LimitShares(StoredShares(Control.open(machines.first.control)).changing) for name in HOMES}
    for serial, (home, used, least, target, held) in enumerate(ASKED, 1):
        ask = Ask(kind="requests", budget="lim_1", part=0, serial=serial, spent=used, least=least, target=target)
        (granted,) = shares[home].lease(home, [ask])
        assert (granted.leased, granted.amount) == (held, 30), f"ask {serial}"


def test_gateways_of_two_homes_never_overshoot_a_limit(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asks its own home's lease server; what one has returned the other gets a minute later."""
    # A busy machine may take longer over an answer than a request waits.
    monkeypatch.setattr(of_gateways, "_PATIENCE_S", 60.0)
    limit = Limit(id="lim_1", organisation="acme", requests_per_minute=30, tokens_per_minute=0, created_ns=1)
    Tenants(machines.control).set_limit(limit)

    async def asks(home: Home, boot: int) -> int:
        allowances = Allowances(LeaseSocket(home.lease_socket, boot), shares_limits=True)
        limit = RateLimit(id="lim_1", whose="organisation acme", requests_per_minute=30)
        allowance, passed = opened(allowances, [limit]), 0
        for _ in range(40):
            while (short := allowance.admit(time.monotonic())) and short.may_grow:
                await allowances.grow(short)
            passed += short is None
            await asyncio.sleep(0)
        return passed

    async def both() -> list[int]:
        return list(await asyncio.gather(asks(machines.first, 1), asks(machines.second, 2)))

    with lease_server(machines.first), lease_server(machines.second):
        passed = asyncio.run(both())
    assert min(passed) >= 1
    assert 20 <= sum(passed) <= 30


def test_a_copy_of_a_home_is_not_served_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a machine's image. Both journals have one name: what one home seals would be sealed for the other, too."""
    machines = Machines(tmp_path)
    copied = machines.second
    shutil.copy(machines.first.root / "home.id", copied.root / "home.id")
    with closing(IdentityLock(machines.first)) as lock:
        lock.require()
        monkeypatch.setattr(locks, "GONE_AFTER_S", 1)
        (copied.root / "clauseway.toml").write_text("")
        refused = run("serve", "--config", str(copied.root / "clauseway.toml"), home=copied.root)
        assert refused.returncode == 3
        assert "waiting for" in refused.stderr
        assert "another machine serves a home of this identity" in refused.stderr
        # The server's restart ends the lock, and whoever had it takes it again.
        end_connections(str(machines.first.control))
        lock.require()
        with closing(IdentityLock(copied)) as other, pytest.raises(InvalidInput, match="another machine serves"):
            other.require()
        (copied.root / "home.id").unlink()
        with closing(IdentityLock(copied)) as other:
            other.require()
    machines.control.close()


def test_a_machine_that_lost_its_identity_to_a_copy_says_so_once(tmp_path: Path) -> None:
    """The copy was started while the server did."""
    machines = Machines(tmp_path)
    messages: list[str] = []
    with (
        ThreadPoolExecutor(1) as thread,
        closing(IdentityLock(machines.first)) as lock,
        closing(IdentityLock(machines.first)) as copied,
    ):
        rounds = Rounds(machines.first, messages.append, thread, lock)
        rounds.keep_identity()
        assert messages == []
        end_connections(str(machines.first.control))
        copied.require()
        rounds.keep_identity()
        rounds.keep_identity()
        assert [line for line in messages if "another machine serves a home" in line] == messages
        assert len(messages) == 1
        copied.close()
        rounds.keep_identity()
    assert len(messages) == 1
    machines.control.close()
