"""Slices of budgets over the real socket: two gateways on one budget, one that is killed, one that finds nobody."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from allowance_plans import opened
from clauseway.app.customers import leasing
from clauseway.app.customers.holders import dead_leases
from clauseway.app.customers.leasing import answer, lease_server
from clauseway.app.opening.home import Home
from clauseway.app.usage.losses import write_off
from clauseway.app.usage.returning import UnreadJournals, _of_open, _spent, return_leases
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.gateway.budgets import allowances as of_gateways
from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance
from clauseway.gateway.budgets.leases import Ask, LeaseCall, LeaseSocket
from clauseway.gateway.plan import Budget
from clauseway.gateway.wire.errors import shortage_response
from clauseway.metering import Status
from clauseway.spool import SpoolWriter
from clauseway.storage import Control
from clauseway.storage.books.losses import Loss, Losses, Spool
from clauseway.storage.customers import leases as of_home
from clauseway.storage.customers.leases import NOBODY, BudgetStanding, Lease, Leases, usd
from clauseway.storage.customers.tenants import BudgetRow, Tenants
from clauseway.storage.lake.compaction import compact
from clauseway.storage.usage.spending import ReservedAttempt, reserved_attempts
from clauseway.values import DAY_NS

BUDGET = "bud_1"
AMOUNT = 100_000
NOON_NS = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer over an answer than a request waits."""
    monkeypatch.setattr(of_gateways, "_PATIENCE_S", 60.0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return with_budget(Home(tmp_path), AMOUNT)


def with_budget(home: Home, amount: int, period: str = "month") -> Home:
    control = Control.open(home.make().control)
    Tenants(control).set_budget(
        BudgetRow(id=BUDGET, organisation="acme", period=period, amount=usd(amount), currency="USD", created_ns=1)
    )
    control.close()
    return home


def standing(home: Home) -> BudgetStanding:
    control = Control.open(home.control)
    try:
        (standing,) = Leases(control).standings(time.time_ns())
        return standing
    finally:
        control.close()


OURS = Budget(id=BUDGET, whose="organisation acme")


async def spends(allowances: Allowances, chance: random.Random, requests: int) -> int:
    """Requests one after the other until they are through or the budget is; what they were charged."""
    allowance, charged = opened(allowances, budgets=[OURS]), 0
    for _ in range(requests):
        cost = chance.randint(1, 2_000)
        while (short := allowance.reserve("azure", "gpt-5.5", cost, 0, time.monotonic())) and short.may_grow:
            await allowances.grow(short)
        if short is None:
            await asyncio.sleep(0)
            paid = chance.randint(0, cost)
            allowance.end_reservation("azure", "gpt-5.5", cost, paid, 0, 0)
            charged += paid
    return charged


async def refusal(allowances: Allowances, allowance: KeyAllowance, picodollars: int) -> bytes:
    """The answer to a request that may cost so much; empty where it is reserved."""
    while (short := allowance.reserve("azure", "gpt-5.5", picodollars, 0, time.monotonic())) and short.may_grow:
        await allowances.grow(short)
    return shortage_response(short) if short is not None else b""


@pytest.mark.parametrize(("period", "waits"), [("total", False), ("month", True)])
def test_a_budget_that_is_for_all_time_never_begins_anew(tmp_path: Path, period: str, waits: bool) -> None:
    its = with_budget(Home(tmp_path), AMOUNT, period)

    async def ask() -> None:
        allowances = Allowances(LeaseSocket(its.lease_socket, 1))
        allowance, needed = opened(allowances, budgets=[OURS]), AMOUNT - 10
        while (short := allowance.reserve("azure", "gpt-5.5", needed, 0, time.monotonic())) and short.may_grow:
            assert await allowances.grow(short)
        allowance.end_reservation("azure", "gpt-5.5", needed, needed, 0, 0)
        again = allowance.reserve("azure", "gpt-5.5", needed, 0, time.monotonic())
        assert again is not None
        if again.may_grow:
            await allowances.grow(again)
            again = allowance.reserve("azure", "gpt-5.5", needed, 0, time.monotonic())
        assert again is not None
        assert (again.retry_after_s > 0, "new period" in again.message) == (waits, waits)
        await allowances.close()

    with lease_server(its):
        asyncio.run(ask())


def test_two_gateways_spend_one_budget_and_no_more(home: Home) -> None:
    async def both() -> int:
        sockets = [LeaseSocket(home.lease_socket, boot) for boot in (1, 2)]
        gateways = [Allowances(socket) for socket in sockets]
        chance = random.Random(20261120)
        charged = sum(
            await asyncio.gather(
                *(spends(allowances, chance, 30) for allowances in gateways for _ in range(8))  # worth some 250,000
            )
        )
        for allowances in gateways:
            # A slice may still be asked for, with what was spent before that: nothing is reported beside it.
            while under_way := [
                budget_slice.lease_task for budget_slice in allowances.slices() if budget_slice.lease_task is not None
            ]:
                await asyncio.wait(under_way)
            await allowances.report(time.monotonic())
        now = standing(home)
        assert now.spent == charged
        assert now.spent + now.leased <= AMOUNT
        for allowances in gateways:
            await allowances.close()
        for lease_socket in sockets:
            lease_socket.close()
        return charged

    with lease_server(home):
        charged = asyncio.run(both())
    after = standing(home)
    assert (after.spent, after.leased) == (charged, 0)
    assert AMOUNT * 0.9 < charged <= AMOUNT


def test_what_one_needs_the_other_gives_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine may take longer over all this than a slice is revoked.
    monkeypatch.setattr(of_home, "_REVOKE_NS", 600_000_000_000)

    async def both() -> None:
        first, second = (Allowances(LeaseSocket(home.lease_socket, boot)) for boot in (1, 2))
        assert await spends(first, random.Random(1), 1) > 0
        allowance, needed = opened(second, budgets=[OURS]), AMOUNT - 2_000
        short = allowance.reserve("azure", "gpt-5.5", needed, 0, 0.0)
        assert short is not None
        assert not await second.grow(short)
        await first.report(time.monotonic())
        await first.report(time.monotonic() + 6)
        third = Allowances(LeaseSocket(home.lease_socket, 3))
        allowance = opened(third, budgets=[OURS])
        short = allowance.reserve("azure", "gpt-5.5", needed, 0, 0.0)
        assert short is not None
        assert await third.grow(short)
        assert allowance.reserve("azure", "gpt-5.5", needed, 0, 0.0) is None

    with lease_server(home):
        asyncio.run(both())


def test_who_is_refused_for_what_another_process_holds_is_told_to_come_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the worst case of a request little is spent in the end: the rest, and what nobody uses, comes back."""
    monkeypatch.setattr(of_home, "_REVOKE_NS", 600_000_000_000)
    monkeypatch.setattr(leasing, "_SILENT_NS", 600_000_000_000)

    async def both() -> None:
        first, second, third = (Allowances(LeaseSocket(home.lease_socket, boot)) for boot in (1, 2, 3))
        allowance = opened(first, budgets=[OURS])
        assert await refusal(first, allowance, 60_000) == b""
        refused = await refusal(second, opened(second, budgets=[OURS]), 60_000)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Open requests hold up to 0.00000006 USD more" in refused
        assert b"\r\nretry-after: 7\r\n" in refused
        assert b"\r\nx-should-retry: true\r\n" in refused
        allowance.end_reservation("azure", "gpt-5.5", 60_000, 100, 0, 0)
        await first.quiet(first.slices())
        await first.report(time.monotonic())
        assert await refusal(third, opened(third, budgets=[OURS]), 60_000) == b""

    with lease_server(home):
        asyncio.run(both())


# Holders of 60,000 of a budget of 100,000, and seconds since each was heard → the amount that others may hope for.
HOPES = [
    (1, 0, 60_000),
    (1, 9, 60_000),
    (1, 10, msgspec.UNSET),  # a living process would have reported
    (NOBODY, 0, msgspec.UNSET),  # a batch keeps it to its end
]


@pytest.mark.parametrize(("pid", "seconds", "hoped"), HOPES)
def test_what_may_be_hoped_for(home: Home, pid: int, seconds: int, hoped: int | msgspec.UnsetType) -> None:
    with contextlib.closing(Control.open(home.control)) as control:
        leases = Leases(control)
        held = LeaseCall(
            boot="0" * 15 + "1",
            pid=pid,
            asks=(Ask(budget=BUDGET, part=0, serial=1, least=60_000, target=60_000, holder="" if pid else "f" * 16),),
        )
        answer(leases, held, NOON_NS)
        asking = LeaseCall(
            boot="0" * 15 + "2", pid=2, asks=(Ask(budget=BUDGET, part=0, serial=1, least=50_000, target=50_000),)
        )
        (refused,) = answer(leases, asking, NOON_NS + seconds * 10**9)
    assert (refused.leased, refused.left, refused.revoking) == (0, 40_000, hoped)


# Asks for a slice, tells what it holds, and does a few requests: ended, failed, open. Then it waits to be killed.
GATEWAY = """
import asyncio, sys, time
from pathlib import Path
from types import SimpleNamespace
from clauseway.gateway.budgets.leases import Ask, LeaseSocket
from clauseway.metering import Buyer, Deployment, Ruling, Status
from clauseway.spool import SpoolWriter, pack_intent, pack_usage_fields

BOOT = 7
ATTEMPTS = [  # cloud, organisation, reserved, status (0: open), charged
    ("azure", "acme", 9_000, Status.COMPLETE, 1_000),
    ("aws", "acme", 8_000, Status.FAILED, 0),
    ("aws", "acme", 7_000, Status.INTERRUPTED, 2_000),
    ("azure", "acme", 6_000, 0, 0),
    ("azure", "other", 50_000, Status.COMPLETE, 50_000),
]

async def main(home, budget, set_back_s=0):
    loop = asyncio.get_running_loop()
    (home / "spool" / "gateway").mkdir(parents=True)
    spool = SpoolWriter(home / "spool" / "gateway", loop, boot=BOOT)
    (slice_,) = await LeaseSocket(home / "leases.sock", BOOT, spool.identity, lambda: spool.next_frame).lease(
        [Ask(budget=budget, part=0, serial=1, least=60_000, target=60_000)])
    ruling = spool.label(Ruling("d", "permitted", (), "r"))
    for number, (cloud, organisation, reserved, status, charged) in enumerate(ATTEMPTS, 1):
        buyer = spool.label(Buyer(organisation, "search", "key_1", "openai", "any"))
        deployment = spool.label(Deployment("d", cloud, "openai", "r", "gpt-5.5", "m"))
        now = time.time_ns() - set_back_s * 10**9
        codes = (buyer, deployment, ruling)
        spool.append(pack_intent(BOOT, number, 1, now, now, *codes, 1, 10, 10, reserved), *codes)
        if status:
            spool.append(pack_usage_fields(
                BOOT, number, 1, now, now, *codes, 1, status, 200, False, 1, 1, charged, (), b""), *codes)
    durable = loop.create_future()
    spool.notify_when_durable(SimpleNamespace(write_ended=durable.set_result))
    assert await durable is None
    print(slice_.leased, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
"""


@pytest.fixture
def killed(home: Home) -> Iterator[Home]:
    """A home in which a gateway has held a slice of 60,000 and was killed."""
    with lease_server(home):
        command = [sys.executable, "-c", GATEWAY, str(home.root), BUDGET]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
            assert gateway.stdout is not None
            assert int(gateway.stdout.readline()) == 60_000
            seal(home)
            assert standing(home).left == 40_000, "it lives, and what it holds is its own"
            os.kill(gateway.pid, signal.SIGKILL)
            gateway.wait()
        yield home


def test_what_a_killed_gateway_held_returns_once_its_spool_is_read(killed: Home) -> None:
    serials = count(1)

    async def asks(least: int) -> int:
        ask = Ask(budget=BUDGET, part=0, serial=next(serials), least=least, target=least)
        (slice_,) = await LeaseSocket(killed.lease_socket, 8).lease([ask])
        return slice_.leased

    assert asyncio.run(asks(50_000)) == 0
    seal(killed)
    # 1,000 and 2,000 as charged, and 6,000 reserved for what has no end.
    assert (standing(killed).spent, standing(killed).leased) == (9_000, 0)
    seal(killed)
    assert standing(killed).spent == 9_000
    assert asyncio.run(asks(AMOUNT - 9_000 + 1)) == 0
    assert asyncio.run(asks(AMOUNT - 9_000)) == AMOUNT - 9_000


# Starts that wrote one journal, in their order · the last one still does · starts whose leases stay open
STARTS = [
    ((7,), True, [7]),
    ((7,), False, []),
    ((7, 8), True, [8]),
    ((7, 8), False, []),
    ((7, 8, 7_000, 9), True, [9]),
]


@pytest.mark.parametrize(("boots", "is_written", "living"), STARTS)
def test_a_start_lives_while_it_writes_its_journal_whatever_process_has_its_number(
    home: Home, boots: tuple[int, ...], is_written: bool, living: list[int]
) -> None:
    """All have the number of a process that runs here, as in containers, where each start gets the same number."""

    async def lives() -> list[str]:
        directory = home.spools / "gateway"
        register_spool(home, directory)
        for boot in boots:
            writer = SpoolWriter(directory, asyncio.get_running_loop(), boot=boot)
            ask = Ask(budget=BUDGET, part=0, serial=1, least=10, target=10)
            (granted,) = await LeaseSocket(home.lease_socket, boot, writer.identity).lease([ask])
            assert granted.leased == 10
            if boot != boots[-1] or not is_written:
                await writer.close()
        await asyncio.to_thread(seal, home)
        with open_lake(home) as lake:
            held = [lease.boot for lease in Leases(lake.control).open()]
        if is_written:
            await writer.close()
        return held

    with lease_server(home):
        assert asyncio.run(lives()) == [f"{boot:016x}" for boot in living]


# Its journal is at rest · its home was heard lately · its lease is as that of the dead
ELSEWHERE = [(True, False, True), (True, True, False), (False, False, False), (False, True, False)]


@pytest.mark.parametrize(("is_at_rest", "is_heard", "is_dead"), ELSEWHERE)
def test_a_process_of_another_home_is_dead_once_its_journal_rests_and_its_home_is_silent(
    home: Home, is_at_rest: bool, is_heard: bool, is_dead: bool
) -> None:
    boot, journal, another = f"{7:016x}", "a" * 32, "b" * 32
    ask = Ask(budget=BUDGET, part=0, serial=1, least=10, target=10)
    with contextlib.closing(Control.open(home.control)) as control:
        losses, leases = Losses(control), Leases(control)
        registered = Spool(spool=journal, place="gateway", registered_ns=1, home=another)
        losses.register(registered)
        losses.saw(msgspec.structs.replace(registered, boots=(boot,), is_at_rest=is_at_rest))
        if is_heard:
            losses.heard(another)
        answer(leases, LeaseCall(boot=boot, pid=os.getpid(), asks=(ask,), spool=journal), NOON_NS)
        (lease,) = leases.open()
        assert dead_leases(control, home) == [lease] * is_dead


def test_of_a_damaged_spool_all_that_was_leased_counts_as_spent(killed: Home) -> None:
    with open_lake(killed) as lake:
        lost = UnreadJournals(lost=frozenset({f"{7:016x}"}))
        assert return_leases(lake, dead_leases(lake.control, killed), time.time_ns(), lost) == 1
    assert (standing(killed).spent, standing(killed).leased) == (60_000, 0)


def test_a_killed_gateways_slice_stays_held_while_its_journal_is_missing(killed: Home, tmp_path: Path) -> None:
    """It is no more free than it is spent, until the journal is back or somebody writes it off."""
    with open_lake(killed) as lake:
        assert dead_leases(lake.control, killed)
    shutil.move(killed.spools, tmp_path / "aside")
    (damage,) = seal(killed).damages
    assert "missing" in damage
    assert (standing(killed).spent, standing(killed).leased) == (0, 60_000)
    shutil.move(tmp_path / "aside", killed.spools)
    seal(killed)
    assert (standing(killed).spent, standing(killed).leased) == (9_000, 0), "as if it had never been away"


def test_of_a_journal_that_is_written_off_all_that_was_leased_counts_as_spent(killed: Home) -> None:
    shutil.rmtree(killed.spools)
    seal(killed)
    with open_lake(killed) as lake:
        (spool,) = Losses(lake.control).spools()
    write_off(killed, spool.spool, "reserved", "the volume is gone")
    assert (standing(killed).spent, standing(killed).leased) == (60_000, 0)


def test_a_loss_that_was_sealed_before_a_kill_still_counts(killed: Home) -> None:
    """The damaged frame was sealed by a process that died before it looked at leases."""
    with open_lake(killed) as lake:
        day = datetime.now(UTC).date()
        lost = Loss(
            spool=Losses(lake.control).spools()[0].spool,
            segment=0,
            first_frame=90,
            end_frame=91,
            reason="28 bytes fail their checksum",
            first_day=day,
            last_day=day,
            lost_ns=1,
            boot=f"{7:016x}",
        )
        Losses(lake.control).record([lost])
    seal(killed)
    assert (standing(killed).spent, standing(killed).leased) == (60_000, 0)


def test_who_is_refused_for_what_a_dead_process_held_is_told_to_come_again(killed: Home) -> None:
    """It counts as spent until it is read."""

    def refused(boot: int, picodollars: int) -> bytes:
        allowances = Allowances(LeaseSocket(killed.lease_socket, boot))
        return asyncio.run(refusal(allowances, opened(allowances, budgets=[OURS]), picodollars))

    held_by_the_dead, beyond_that = refused(8, 50_000), refused(9, AMOUNT + 1)
    assert held_by_the_dead.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 15\r\n" in held_by_the_dead
    assert b"once the journal of a process that ended is read" in held_by_the_dead
    assert beyond_that.startswith(b"HTTP/1.1 429 ")
    assert b"insufficient_quota" in beyond_that
    seal(killed)
    assert refused(10, 50_000) == b""


def test_a_successor_writes_the_lost_ones_end_and_nothing_counts_twice(killed: Home) -> None:
    lost = """
import asyncio, sys
from pathlib import Path
from clauseway.gateway.process.journals import write_lost
from clauseway.spool import SpoolWriter, open_attempts

async def main(directory):
    left_open = open_attempts(directory)
    spool = SpoolWriter(directory, asyncio.get_running_loop(), boot=9)
    write_lost(spool, left_open)
    await spool.close()

asyncio.run(main(Path(sys.argv[1])))
"""
    subprocess.run([sys.executable, "-c", lost, str(killed.spools / "gateway")], check=True)
    assert seal(killed).usage == 1
    assert standing(killed).spent == 9_000
    with open_lake(killed) as lake:
        assert Leases(lake.control).open() == []


def test_a_budget_of_one_cloud_takes_what_was_done_there(tmp_path: Path) -> None:
    home = Home(tmp_path)
    control = Control.open(home.make().control)
    Tenants(control).set_budget(
        BudgetRow(
            id=BUDGET,
            organisation="acme",
            cloud="aws",
            period="total",
            amount=usd(AMOUNT),
            currency="USD",
            created_ns=1,
        )
    )
    control.close()
    with lease_server(home):
        command = [sys.executable, "-c", GATEWAY, str(home.root), BUDGET]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
            assert gateway.stdout is not None
            gateway.stdout.readline()
            gateway.kill()
    seal(home)
    assert standing(home).spent == 2_000


def test_a_lease_of_its_own_is_nobodys_and_any_process_may_end_it(home: Home) -> None:
    holder, boots = "f" * 16, (f"{1:016x}", f"{2:016x}")

    def call(boot: str, **changes: Any) -> LeaseCall:
        ask = Ask(**{"budget": BUDGET, "part": 0, "serial": 1, "holder": holder, **changes})
        return LeaseCall(boot=boot, pid=os.getpid(), asks=(ask,))

    control = Control.open(home.control)
    leases = Leases(control)
    try:
        (slice_,) = answer(leases, call(boots[0], least=700, target=700), NOON_NS)
        (lease,) = leases.open()
        assert (slice_.leased, lease.boot, lease.pid, lease.leased) == (700, holder, 0, 700)
        assert dead_leases(control, home) == [], "it ends when it is told to, not with a process"
        answer(leases, call(boots[1], serial=2, spent=300, over=True), NOON_NS)
        assert leases.open() == []
        (standing_now,) = leases.standings(NOON_NS)
        assert (standing_now.spent, standing_now.leased) == (300, 0)
    finally:
        control.close()


def test_of_a_budget_that_was_removed_a_killed_gateway_counts_as_it_reported(killed: Home) -> None:
    control = Control.open(killed.control)
    Tenants(control).remove_budget(BUDGET)
    control.close()
    seal(killed)
    with open_lake(killed) as lake:
        (lease,) = Leases(lake.control).of_boot(f"{7:016x}")
    assert (lease.is_open, lease.spent) == (False, 0)


def day_lease(heard_ns: int) -> tuple[BudgetRow, list[Lease]]:
    """A budget by the day, and a lease of it that was opened at noon and last heard at an instant."""
    row = BudgetRow(id=BUDGET, organisation="acme", period="day", amount=usd(AMOUNT), currency="USD", created_ns=1)
    lease = Lease(
        budget=BUDGET,
        begin_ns=NOON_NS - DAY_NS // 2,
        boot="7",
        part=0,
        pid=1,
        serial=1,
        leased=100,
        spent=0,
        is_open=True,
        opened_ns=NOON_NS,
        heard_ns=heard_ns,
    )
    return row, [lease]


def attempt_at(begun_ns: int) -> ReservedAttempt:
    """An attempt that cost 5 picodollars."""
    return ReservedAttempt(
        begun_ns=begun_ns,
        organisation="acme",
        project="search",
        key_id="key_1",
        cloud="azure",
        product="gpt-5.5",
        status=int(Status.COMPLETE),
        reserved=9,
        charge=5,
    )


# An attempt of 5 picodollars, by when it began → does the lease of 20 November count it?
BEGUN = [
    ("before anything was leased", NOON_NS - 1, 0),
    ("as it was leased", NOON_NS, 5),
    ("in the day's last nanosecond", NOON_NS + DAY_NS // 2 - 1, 5),
    ("in the next day", NOON_NS + DAY_NS // 2, 0),
]


@pytest.mark.parametrize(("when", "begun_ns", "counted"), BEGUN)
def test_a_lease_counts_what_began_while_it_held(when: str, begun_ns: int, counted: int) -> None:
    """Of a process that did not say where in its journal the lease began."""
    row, leases = day_lease(NOON_NS)
    later = msgspec.structs.replace(leases[0], part=1, begin_ns=leases[0].begin_ns + DAY_NS)
    assert _spent(row, leases, [*leases, later], [attempt_at(begun_ns)]) == counted, when


def test_a_process_with_no_later_lease_reserved_from_its_latest_whatever_the_clock_said() -> None:
    """A clock that was set forward makes an attempt look younger than the period of its lease."""
    row, leases = day_lease(NOON_NS)
    assert _spent(row, leases, leases, [attempt_at(NOON_NS), attempt_at(NOON_NS + DAY_NS)]) == 10


def test_a_lease_counts_what_began_after_its_machines_clock_went_back() -> None:
    """Later requests count, whatever the clock said by then: their amounts were reserved, and have cost money."""

    def spent(heard_ns: int, *begun_ns: int) -> int:
        row, leases = day_lease(heard_ns)
        return _spent(row, leases, leases, [attempt_at(each) for each in begun_ns])

    after_ns, hours_before_ns = NOON_NS + 1, NOON_NS - 7_200 * 10**9
    assert spent(NOON_NS, hours_before_ns, after_ns, hours_before_ns, hours_before_ns) == 15
    assert spent(NOON_NS - 7_100 * 10**9, hours_before_ns, hours_before_ns) == 10
    assert spent(NOON_NS, hours_before_ns, hours_before_ns) == 0


# Attempts by their segment and frame. Of three leases of a process the first begins in frame 2 of segment 4, the
# second, of the next day, in frame 7, and the third, of the first day again (its clock was set back), in segment 5.
PLACES = [
    ("before anything was leased", (4, 1), ""),
    ("in the frame in which it was leased", (4, 2), "first day"),
    ("before the next one was leased", (4, 6), "first day"),
    ("in the frame of the next one", (4, 7), "next day"),
    ("at the end of the segment", (4, 900), "next day"),
    ("in the next segment, of the first day again", (5, 0), "first day"),
    ("much later", (9, 1), "first day"),
]


@pytest.mark.parametrize(("when", "place", "counts_for"), PLACES)
@pytest.mark.parametrize("hours", [-48, 0, 48])
def test_the_journal_tells_from_which_lease_an_attempt_was_reserved(
    when: str, place: tuple[int, int], counts_for: str, hours: int
) -> None:
    """Whatever the clock said, and whichever request came first."""
    row, (lease,) = day_lease(NOON_NS)
    held = [
        msgspec.structs.replace(lease, part=0, journal_segment=4, journal_frame=2),
        msgspec.structs.replace(lease, part=1, journal_segment=4, journal_frame=7, begin_ns=lease.begin_ns + DAY_NS),
        msgspec.structs.replace(lease, part=2, journal_segment=5, journal_frame=0),
    ]
    attempt = msgspec.structs.replace(
        attempt_at(NOON_NS + hours * 3_600 * 10**9), journal_segment=place[0], journal_frame=place[1]
    )
    spent = {
        "first day": _spent(row, [held[0], held[2]], held, [attempt]),
        "next day": _spent(row, [held[1]], held, [attempt]),
    }
    assert spent == {day: 5 if day == counts_for else 0 for day in spent}, when


# Leases of a dead process, a day each: what the process counted in one that it ended (None: it is open), and what
# its attempts were charged that the journal has there → what is spent of those that are open.
TURNS = [
    ("each day's are its own", [(5, 5), (None, 7)], [7]),
    ("the cheaper of two attempts ended first, in the older lease", [(5, 8), (None, 4)], [7]),
    ("the dearer did: it may count twice, and is never missing", [(8, 5), (None, 7)], [7]),
    ("the older lease is open too", [(None, 8), (None, 4)], [8, 4]),
    ("over two turns", [(5, 8), (6, 4), (None, 9)], [10]),
    ("all the same after two turns", [(5, 8), (7, 4), (None, 9)], [9]),
    ("both began in one frame, and the later has all", [(None, 0), (None, 107)], [7, 100]),
    ("what no lease held stays where it is", [(None, 103), (None, 99)], [102, 100]),
]


@pytest.mark.parametrize(("when", "days", "of_open"), TURNS)
def test_charges_that_came_after_a_days_turn_are_all_counted(
    when: str, days: list[tuple[int | None, int]], of_open: list[int]
) -> None:
    _, (lease,) = day_lease(NOON_NS)
    periods = [
        [msgspec.structs.replace(lease, part=day, is_open=counted is None, spent=counted or 0)]
        for day, (counted, _) in enumerate(days)
    ]
    amounts = _of_open(periods, [charged for _, charged in days])
    assert [amount for (part,), amount in zip(periods, amounts, strict=True) if part.is_open] == of_open, when


@pytest.mark.parametrize("compacted", [False, True], ids=["as sealed", "compacted"])
def test_what_was_spent_counts_though_the_clock_went_back_right_after_the_grant(home: Home, compacted: bool) -> None:
    """The process died before it reported again: nothing but the journal tells in which order all happened."""
    with lease_server(home):
        command = [sys.executable, "-c", GATEWAY, str(home.root), BUDGET, "7200"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
            assert gateway.stdout is not None
            gateway.stdout.readline()
            try:
                if compacted:
                    seal(home)
                    with open_lake(home) as lake:
                        assert list(compact(lake, time.time_ns(), files_least=1))
            finally:
                gateway.kill()
        seal(home)
    assert (standing(home).spent, standing(home).leased) == (9_000, 0)


def test_attempts_are_found_that_were_sealed_after_a_clock_went_back(killed: Home) -> None:
    with open_lake(killed) as lake:
        an_hour_ahead = time.time_ns() + 3_600 * 10**9
        assert len(reserved_attempts(lake, f"{7:016x}", an_hour_ahead)) > 0


def test_nobody_at_the_socket_grants_nothing(home: Home) -> None:
    async def tries() -> None:
        allowances = Allowances(LeaseSocket(home.lease_socket, 1))
        allowance = opened(allowances, budgets=[OURS])
        short = allowance.reserve("azure", "gpt-5.5", 1, 0, time.monotonic())
        assert short is not None
        assert not await allowances.grow(short)
        with lease_server(home):
            await asyncio.sleep(0)
            other = Allowances(LeaseSocket(home.lease_socket, 2))
            allowance = opened(other, budgets=[OURS])
            short = allowance.reserve("azure", "gpt-5.5", 1, 0, time.monotonic())
            assert short is not None
            assert await other.grow(short)
            assert allowance.reserve("azure", "gpt-5.5", 1, 0, time.monotonic()) is None

    asyncio.run(tries())


BAD_CALLS = [
    (b"GET /leases HTTP/1.1\r\n\r\n", b"", b"501"),
    (b"POST /counts HTTP/1.1\r\n", b"{}", b"404"),
    (b"POST /leases HTTP/1.1\r\ncontent-length: -1\r\n\r\n", b"", b"404"),
    (b"POST /leases HTTP/1.1\r\n", b"{}", b"400"),
    (b"POST /leases HTTP/1.1\r\n", b"\xff\xfe{", b"400"),
    (b"POST /leases HTTP/1.1\r\n", b'{"boot":"1","pid":1,"asks":[{"x":', b"400"),
    (b"POST /leases HTTP/1.1\r\n", b'{"boot":"1","pid":1,"asks":[{"budget":"b"}]}', b"400"),
]


def test_bad_calls_are_refused_and_the_next_is_answered(home: Home) -> None:
    async def calls() -> None:
        for head, body, status in BAD_CALLS:
            reader, writer = await asyncio.open_unix_connection(home.lease_socket)
            writer.write(head + b"content-length: %d\r\n\r\n%b" % (len(body), body) if body else head)
            assert (await reader.readline()).split()[1] == status, (head, body)
            writer.close()
        assert len(await LeaseSocket(home.lease_socket, 1).lease([Ask(budget=BUDGET, part=0, serial=1)])) == 1

    with lease_server(home):
        asyncio.run(calls())


def test_why_calls_fail_is_told_once_until_one_is_answered_again(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """A database that is away would fill the standard error of `serve`."""
    away: list[Exception] = []

    def answer(_: bytes) -> bytes:
        if away:
            raise away[0]
        return b"{}"

    async def status() -> bytes:
        """The first line of the answer; empty where the connection is closed without any."""
        reader, writer = await asyncio.open_unix_connection(home.lease_socket)
        writer.write(b"POST /counts HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        line = await reader.readline()
        if line:
            await reader.readuntil(b"\r\n\r\n{}")
        writer.close()
        return line

    with lease_server(home, {"/counts": answer}):
        messages = []
        for error in (OSError("the line is cut\nat 10.0.0.9"), OSError("the line is cut"), None, OSError("again")):
            away[:] = [] if error is None else [error]
            assert asyncio.run(status()) == (b"" if error else b"HTTP/1.1 200 OK\r\n")
            messages.append(capfd.readouterr().err)
    assert messages == [
        "A question of a gateway was not answered: OSError: the line is cut\n",
        "",
        "",
        "A question of a gateway was not answered: OSError: again\n",
    ]


def test_a_gateway_that_no_longer_waits_is_no_failure(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """It asks again, and a busy machine would fill the standard error."""
    left, answered = threading.Event(), threading.Event()
    of_others = set(threading.enumerate())

    def answer(_: bytes) -> bytes:
        assert left.wait(60)
        answered.set()
        return b"{}" * (1 << 20)  # more than the socket holds

    with lease_server(home, {"/counts": answer}) as _:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(home.lease_socket))
            connection.sendall(b"POST /counts HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        left.set()
        assert answered.wait(60)
        begun = set(threading.enumerate()) - of_others
        handlers = [thread for thread in begun if "process_request_thread" in thread.name]
        for thread in handlers:
            thread.join(60)
    assert capfd.readouterr().err == ""
