"""Limits and budgets at the gateway as the process that it is: refused in time, not overshot, returned after a kill."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    PATIENCE_S,
    PATIENT_GATEWAY,
    PRODUCT,
    SECRET,
    Connection,
    Received,
    Rig,
    compact,
    key,
    stall,
)

from awaiting import eventually
from clauseway.app.customers.leasing import lease_server
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import seal
from clauseway.gateway.plan import Budget, Plan, Prices, RateLimit
from clauseway.metering import Status, Unit
from clauseway.storage import Control
from clauseway.storage.customers.leases import BudgetStanding, Leases, usd
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenants

# A scripted cloud's answer: 21 tokens in at 2.5 and 8 out at 15 USD per million, 4 of 21 cached.
TOKENS_MAX = 10
WORST_OUTPUT = TOKENS_MAX * 15_000_000


class House:
    """A home with one budget, its lease server, and gateways over it, each with its own spool."""

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
        rig.launcher = PATIENT_GATEWAY
        rig.spool = self.home.spools / name
        rig.spool.mkdir(parents=True)
        rig.cloud("azure")
        return rig

    def plan(self, rig: Rig, *limits: RateLimit, prices: tuple[Prices, ...] = ()) -> Plan:
        holds = msgspec.structs.replace(key(SECRET, "openai"), limits=tuple(range(len(limits))), budgets=(0,))
        return rig.plan(
            [rig.target("azure", rig.clouds["azure"].port, prices=prices)],
            keys=(holds,),
            limits=limits,
            budgets=(Budget(id="b", whose="organisation acme"),),
            leases=str(self.home.lease_socket),
        )

    @property
    def standing(self) -> BudgetStanding:
        (standing,) = Leases(self.control).standings(time.time_ns())
        return standing


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
    # A window of whole seconds, and a tick of the clock.
    assert 0 < int(third.headers["retry-after"]) <= 62


def test_a_limit_of_tokens_is_refused_with_its_figures(house: House) -> None:
    """Those of the tightest limit of the deployment that was refused."""
    house.set_budget(10**15)
    rig = house.gateway("one")
    wide = RateLimit(id="wide", whose="organisation acme", tokens_per_minute=2 * TOKENS_MAX)
    narrow = RateLimit(id="narrow", whose="organisation acme", tokens_per_minute=TOKENS_MAX, product=PRODUCT)
    rig.start(house.plan(rig, wide, narrow))
    refused = ask(rig)
    assert refused.status_code == 429
    figures = [refused.headers[f"x-ratelimit-{name}-tokens"] for name in ("limit", "remaining", "reset")]
    assert figures == [str(TOKENS_MAX), str(TOKENS_MAX), "0ms"]


def test_a_key_hears_what_is_left_of_its_limits_and_budgets(house: House) -> None:
    house.set_budget(10**15)
    rig = house.gateway("one")
    rig.start(house.plan(rig, RateLimit(id="l", whose="project acme/research", requests_per_minute=5)))
    for _ in range(2):
        assert ask(rig).status_code == 200
    answer = httpx.get(f"{rig.url}/clauseway/v1/limits", headers=AUTHORIZED).json()
    (limit,), (budget,) = answer["limits"], answer["budgets"]
    assert (limit["kind"], limit["whose"], limit["limit"], limit["remaining"]) == (
        "requests",
        "project acme/research",
        5,
        3,
    )
    assert (budget["whose"], Decimal(budget["amount"])) == ("organisation acme", Decimal(1000))
    assert Decimal(budget["left"]) == Decimal(1000) - Decimal(charged(rig)).scaleb(-12)


def test_two_gateways_never_overshoot_a_budget(house: House) -> None:
    house.set_budget(10 * WORST_OUTPUT)
    rigs = [house.gateway(name) for name in ("one", "two")]
    for rig in rigs:
        rig.start(house.plan(rig))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, rigs * 20))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    refusals = {(answer.status_code, answer.json()["error"]["code"]) for answer in refused}
    # For now, where it would fit with what the other one holds.
    assert refusals <= {(429, "insufficient_quota"), (503, "budget_unavailable")}
    assert "of organisation acme has" in refused[0].json()["error"]["message"]
    for rig in rigs:
        rig.stop()
    assert 0 < charged(*rigs) <= 10 * WORST_OUTPUT
    assert (house.standing.spent, house.standing.leased) == (charged(*rigs), 0)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_workers_never_overshoot_a_limit_by_the_minute(house: House, kind: str) -> None:
    """A request reserves the tokens that it may take and uses 29 of them."""
    house.set_budget(10**15)
    amount = 12 if kind == "requests" else 12 * 29
    requests, tokens = (amount, 0) if kind == "requests" else (0, amount)
    Tenants(house.control).set_limit(
        Limit(id="l", organisation="acme", requests_per_minute=requests, tokens_per_minute=tokens, created_ns=1)
    )
    limit = RateLimit(id="l", whose="organisation acme", requests_per_minute=requests, tokens_per_minute=tokens)
    rigs = [house.gateway(name) for name in ("one", "two")]
    for number, rig in enumerate(rigs):
        rig.start(house.plan(rig, limit), "--worker", str(number), "2")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, rigs * 15))
    statuses = [answer.status_code for answer in answers]
    assert 1 <= statuses.count(200) <= 12
    assert set(statuses) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert f"{amount:,} {kind} a minute of organisation acme" in refused.json()["error"]["message"]


def test_a_worker_that_cannot_ask_for_more_of_a_limit_says_so(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        holds = msgspec.structs.replace(key(SECRET, "openai"), limits=(0,))
        limit = RateLimit(id="l", whose="organisation acme", requests_per_minute=5)
        plan = rig.plan(keys=(holds,), limits=(limit,), leases=str(tmp_path / "nobody"))
        rig.start(plan, "--worker", "0", "2")
        refused = ask(rig)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "limit_unavailable")
        assert refused.headers["x-clauseway-request-id"]


def price(own: int, output: int, tier: str = "") -> Prices:
    units = {int(Unit.INPUT_TOKENS): own, int(Unit.OUTPUT_TOKENS): output}
    return Prices(begin_ns=0, end_ns=1 << 62, units=units, tier=tier)


# Input costs nothing, so that all is known to the picodollar: 10 tokens out are 150 or 375 microdollars.
BY_TIER = (price(0, 15_000_000), price(0, 37_500_000, "priority"), price(0, 7_500_000, "flex"))
DEFAULT_WORST, PRIORITY_WORST = TOKENS_MAX * 15_000_000, TOKENS_MAX * 37_500_000


def serve_in(rig: Rig, tier: str, *, late: threading.Event | None = None) -> None:
    """Let its cloud say that it serves in a tier, all that was allowed; `late`: not before."""

    async def behave(connection: Connection, request: Received) -> None:
        usage = {"prompt_tokens": 21, "completion_tokens": request.json["max_completion_tokens"]}
        if late is not None:
            await asyncio.to_thread(late.wait, PATIENCE_S)
        connection.answer(200, compact({**json.loads(ANSWER), "usage": usage, "service_tier": tier}))

    rig.clouds["azure"].behaviour = behave


def ask_in(rig: Rig, tier: str) -> httpx.Response:
    return rig.post(max_completion_tokens=TOKENS_MAX, service_tier=tier)


def test_a_tier_that_costs_more_than_a_budget_has_is_refused(house: House) -> None:
    house.set_budget(PRIORITY_WORST - 1)
    rig = house.gateway("one")
    rig.start(house.plan(rig, prices=BY_TIER))
    serve_in(rig, "default")
    refused = [ask_in(rig, "priority"), ask(rig), ask_in(rig, "auto")]
    assert [answer.status_code for answer in refused] == [429] * 3
    assert {answer.json()["error"]["code"] for answer in refused} == {"insufficient_quota"}
    assert "may cost up to 0.000375 USD" in refused[0].json()["error"]["message"]
    assert not rig.clouds["azure"].requests
    assert [ask_in(rig, "default").status_code, ask_in(rig, "flex").status_code] == [200, 200]
    assert charged(rig) == 2 * DEFAULT_WORST, "flex was asked for, and the cloud says that it served in default"


def test_a_burst_of_priority_requests_never_overshoots(house: House) -> None:
    house.set_budget(3 * PRIORITY_WORST + DEFAULT_WORST)
    rig = house.gateway("one")
    rig.start(house.plan(rig, prices=BY_TIER))
    enough = threading.Event()
    serve_in(rig, "priority", late=enough)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask_in, rig, "priority") for _ in range(16)]
        # Each is refused, or waits at the cloud: how many leases grow in time depends on the machine, never too many.
        azure = rig.clouds["azure"]
        eventually(lambda: sum(answer.done() for answer in asked) + len(azure.requests) == len(asked))
        enough.set()
        answers = [answer.result() for answer in asked]
    served = [answer for answer in answers if answer.status_code == 200]
    # On a busy machine the lease server may answer too late; no slice is taken for spent then.
    refusals = {(answer.status_code, answer.json()["error"]["code"]) for answer in answers if answer.status_code != 200}
    assert refusals <= {(429, "insufficient_quota"), (503, "budget_unavailable")}
    assert 1 <= len(served) <= 3
    charged = [(record.tier, record.charge_picodollars) for record in rig.records()]
    assert charged == [("priority", PRIORITY_WORST)] * len(served)
    path = f"/clauseway/v1/requests/{served[0].headers['x-clauseway-request-id']}"
    result = httpx.get(f"{rig.url}{path}", headers=AUTHORIZED).json()
    assert result["cost"]["amount"] == "0.000375000000"
    rig.stop()
    assert (house.standing.spent, house.standing.leased) == (len(served) * PRIORITY_WORST, 0)


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


def test_a_budget_of_the_first_cloud_alone_sends_nobody_to_the_second(house: House) -> None:
    """Nothing of it is leased yet: its first request waits for a slice. Where it is spent, the second cloud serves."""
    house.set_budget(10 * WORST_OUTPUT)
    rig = house.gateway("one")
    rig.cloud("aws")
    plan = house.plan(rig)
    of_azure = Budget(id="b", whose="organisation acme on azure", cloud="azure")
    targets = [rig.target(name, rig.clouds[name].port) for name in ("azure", "aws")]
    rig.start(
        rig.plan(targets, keys=plan.keys, budgets=(of_azure,), leases=plan.leases),
    )
    served = [ask(rig).headers["x-clauseway-cloud"] for _ in range(12)]
    assert (served[0], served[-1]) == ("azure", "aws")
    assert served == sorted(served, reverse=True), "one after the other"
    assert house.standing.spent <= 10 * WORST_OUTPUT


def test_a_second_cloud_that_costs_more_waits_for_a_larger_slice(house: House) -> None:
    """Else the failure of the first would be everybody's whose slice is small, however much the budget has."""
    house.set_budget(4 * WORST_OUTPUT)
    rig = house.gateway("one")

    async def fails(connection: Connection, _: Received) -> None:
        connection.answer(500, b"{}")

    rig.clouds["azure"].behaviour = fails
    rig.cloud("aws")
    plan = house.plan(rig)
    targets = [
        rig.target(name, rig.clouds[name].port, prices=(price(0, output),))
        for name, output in (("azure", 15_000_000), ("aws", 45_000_000))
    ]
    rig.start(rig.plan(targets, keys=plan.keys, budgets=plan.budgets, leases=plan.leases))
    answer = ask(rig)
    assert (answer.status_code, answer.headers["x-clauseway-attempts"]) == (200, "2"), answer.text
    rig.stop()
    assert (house.standing.spent, house.standing.leased) == (charged(rig), 0)


def test_a_budget_that_was_raised_serves_again(house: House) -> None:
    house.set_budget(1)
    rig = house.gateway("one")
    rig.start(house.plan(rig))
    assert ask(rig).status_code == 429
    house.set_budget(10**12)
    eventually(lambda: ask(rig).status_code == 200)
