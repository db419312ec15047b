"""Limits and budgets at the gateway as the process that it is: refused in time, not overshot, returned after a kill."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import SECRET, Rig, eventually, key, stall

from clauseway.app.home import Home
from clauseway.app.leasing import lease_server
from clauseway.app.sealing import seal
from clauseway.gateway.plan import Budget, Plan, RateLimit
from clauseway.metering import Status
from clauseway.storage import Control
from clauseway.storage.leases import Leases, Standing, usd
from clauseway.storage.tenants import BudgetRow, Tenants

# What a scripted cloud's answer costs: 21 tokens in at 2.5 and 8 out at 15 USD per million, 4 of 21 cached.
TOKENS_MAX = 10
WORST_OUTPUT = TOKENS_MAX * 15_000_000


class House:
    """A home with one budget, its lessor, and gateways over it, each with its own spool."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.home = Home(root)
        self._stack = stack
        self.control = Control.open(self.home.make().control)
        stack.callback(self.control.close)
        stack.enter_context(lease_server(self.home))

    def set_budget(self, picodollars: int) -> None:
        row = BudgetRow(
            id="b", organisation="acme", period="total", amount=usd(picodollars), currency="USD", created_ns=1
        )
        Tenants(self.control).set_budget(row)

    def gateway(self, name: str) -> Rig:
        folder = self.home.root / name
        folder.mkdir()
        rig = self._stack.enter_context(Rig(folder))
        rig.spool = self.home.spools / name
        rig.spool.mkdir(parents=True)
        rig.cloud("azure")
        return rig

    def plan(self, rig: Rig, *limits: RateLimit) -> Plan:
        holds = msgspec.structs.replace(key(SECRET, "openai"), limits=tuple(range(len(limits))), budgets=(0,))
        return rig.plan(
            keys=(holds,),
            limits=limits,
            budgets=(Budget(id="b", whose="organisation acme"),),
            leases=str(self.home.lease_socket),
        )

    @property
    def standing(self) -> Standing:
        (found,) = Leases(self.control).standings(time.time_ns())
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, stack)


def ask(rig: Rig) -> httpx.Response:
    return rig.post(max_completion_tokens=TOKENS_MAX)


def charged(*rigs: Rig) -> int:
    return sum(record.charge_picodollars for rig in rigs for record in rig.records())


def test_a_limit_is_refused_with_its_figures(house: House) -> None:
    house.set_budget(10**15)
    rig = house.gateway("one")
    rig.start(house.plan(rig, RateLimit(id="l", whose="project acme/research", requests_per_minute=2)))
    first, second, third = ask(rig), ask(rig), ask(rig)
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in (first, second, third)] == ["1", "0", "0"]
    error = third.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "2 requests a minute of project acme/research has 0 left" in error["message"]
    assert 0 < int(third.headers["retry-after"]) <= 61


def test_two_gateways_never_overshoot_a_budget(house: House) -> None:
    house.set_budget(10 * WORST_OUTPUT)
    rigs = [house.gateway(name) for name in ("one", "two")]
    for rig in rigs:
        rig.start(house.plan(rig))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, rigs * 20))
    refused = [answer.json()["error"] for answer in answers if answer.status_code == 429]
    assert len(answers) == sum(answer.status_code == 200 for answer in answers) + len(refused)
    assert refused
    assert refused[0]["code"] == "budget_exceeded"
    assert "of organisation acme has" in refused[0]["message"]
    for rig in rigs:
        rig.stop()
    assert 0 < charged(*rigs) <= 10 * WORST_OUTPUT
    assert (house.standing.spent, house.standing.leased) == (charged(*rigs), 0)


def test_a_gateway_killed_in_the_middle_gives_back_what_it_did_not_spend(house: House) -> None:
    house.set_budget(200 * WORST_OUTPUT)
    rig = house.gateway("one")
    rig.start(house.plan(rig))
    assert [ask(rig).status_code for _ in range(5)] == [200] * 5
    rig.clouds["azure"].behaviour = stall
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(ask, rig).add_done_callback(lambda call: call.exception())
        eventually(lambda: len(rig.intents()) == 9)
        rig.kill()
    assert house.standing.left < 200 * WORST_OUTPUT
    seal(house.home)
    ended = {record.request for record in rig.records() if record.status is Status.COMPLETE}
    reserved = sum(intent.reserved_picodollars for intent in rig.intents() if intent.request not in ended)
    assert len(ended) == 5
    assert (house.standing.spent, house.standing.leased) == (charged(rig) + reserved, 0)


def test_a_budget_that_was_raised_serves_again(house: House) -> None:
    house.set_budget(1)
    rig = house.gateway("one")
    rig.start(house.plan(rig))
    assert ask(rig).status_code == 429
    house.set_budget(10**12)
    eventually(lambda: ask(rig).status_code == 200)
