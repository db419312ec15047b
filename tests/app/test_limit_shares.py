"""Limits by the minute that several gateways keep together: what a table of requests gets, and the law that no minute
sees more than the limit, whoever dies, stops or is not heard."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allowance_plans import opened
from clauseway.app.customers.limit_shares import LimitShares
from clauseway.gateway.budgets import allowances as allowances_module
from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import Ask, GrantedLease
from clauseway.gateway.plan import RateLimit
from clauseway.storage.customers.limit_shares import MemoryShares
from clauseway.storage.customers.tenants import Limit

LIMIT = "lim_1"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0


class Held:
    """The limits of a home, and the shares of them."""

    def __init__(self, clock: Clock, *, requests: int = 0, tokens: int = 0) -> None:
        self.clock = clock
        self.limit = Limit(
            id=LIMIT, organisation="acme", requests_per_minute=requests, tokens_per_minute=tokens, created_ns=1
        )
        kept = MemoryShares(lambda ids: {LIMIT: self.limit}, lambda: clock.now_s)
        self.shares = LimitShares(kept.changing)


class Worker:
    """One gateway's allowances, and its way to the shares."""

    def __init__(self, held: Held, name: str) -> None:
        self.held, self.name = held, name
        self.fails = ""  # the next call: before it is heard, or after
        self.allowances = Allowances(self, shares_limits=True)
        limit = RateLimit(
            id=LIMIT,
            whose="organisation acme",
            requests_per_minute=held.limit.requests_per_minute,
            tokens_per_minute=held.limit.tokens_per_minute,
        )
        self.allowance = opened(self.allowances, [limit])

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        fails, self.fails = self.fails, ""
        if fails == "before":
            raise ConnectionError
        answer = self.held.shares.lease(self.name, asks)
        if fails == "after":
            raise ConnectionError
        return answer

    async def admits(self) -> bool:
        """Return whether a request is let through, having asked for more as long as that helps."""
        while short := self.allowance.admit(self.held.clock.now_s):
            if not short.may_grow:
                return False
            await self.allowances.grow(short)
        return True

    async def admits_of(self, count: int) -> int:
        return sum([await self.admits() for _ in range(count)])

    async def tokens(self, reserved: int, used: int) -> bool:
        clock = self.held.clock
        while short := self.allowance.reserve("azure", "gpt-5.5", 0, reserved, clock.now_s):
            if not short.may_grow:
                return False
            await self.allowances.grow(short)
        self.allowance.end_reservation("azure", "gpt-5.5", 0, 0, reserved, used)
        return True

    async def report(self) -> None:
        await self.allowances.report(self.held.clock.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(allowances_module, "monotonic", lambda: made.now_s)
    return made


async def seconds(clock: Clock, count: int, *workers: Worker) -> None:
    for _ in range(count):
        clock.now_s += 1
        for worker in workers:
            await worker.report()


# How many of 20 requests each of two workers gets, one after the other, under a limit of so many a minute.
SPLITS = [
    (100, [20, 20]),
    (30, [20, 10]),
    (20, [20, 0]),
    (1, [1, 0]),
]


@pytest.mark.parametrize(("amount", "passed"), SPLITS)
def test_the_limit_is_there_for_whoever_comes_and_once(clock: Clock, amount: int, passed: list[int]) -> None:
    async def ask() -> list[int]:
        held = Held(clock, requests=amount)
        first, second = Worker(held, "a"), Worker(held, "b")
        got = [await first.admits_of(20)]
        await seconds(clock, 4, first, second)  # an idle worker keeps nothing in reserve
        return [*got, await second.admits_of(20)]

    assert asyncio.run(ask()) == passed


def test_a_minute_later_it_is_there_again_for_another_worker(clock: Clock) -> None:
    async def ask() -> list[int]:
        held = Held(clock, requests=10)
        first, second = Worker(held, "a"), Worker(held, "b")
        got = [await first.admits_of(11)]
        await seconds(clock, 59, first, second)
        got.append(await second.admits_of(1))
        await seconds(clock, 3, first, second)
        return [*got, await second.admits_of(11)]

    assert asyncio.run(ask()) == [10, 0, 10]


def test_what_an_idle_worker_holds_is_revoked_where_another_is_short(clock: Clock) -> None:
    async def ask() -> list[int]:
        held = Held(clock, requests=20)
        first, second = Worker(held, "a"), Worker(held, "b")
        got = [await first.admits_of(5), await second.admits_of(14)]
        for worker in (first, second):
            await worker.report()
        clock.now_s += 1  # as long as a denial lasts
        got.append(await second.admits_of(20))
        return got

    first, second, more = asyncio.run(ask())
    assert (first, second + more) == (5, 15)


# The fate of a worker that used 6 of 10 and held more → seconds until another gets all 10.
ENDS = [("stops", 62), ("dies", 77)]


@pytest.mark.parametrize(("end", "until_s"), ENDS)
def test_what_a_worker_used_counts_for_a_minute_after_its_end(clock: Clock, end: str, until_s: int) -> None:
    async def ask() -> list[int]:
        held = Held(clock, requests=10)
        gone, stays = Worker(held, "a"), Worker(held, "b")
        await gone.admits_of(6)
        if end == "stops":
            await gone.allowances.close()
        clock.now_s += until_s - 0.5
        before = await stays.admits_of(10)
        await seconds(clock, 61, stays)
        clock.now_s += 1
        return [before, await stays.admits_of(11)]

    before, after = asyncio.run(ask())
    assert before <= 4
    assert after == 10


def test_a_worker_that_is_not_heard_lets_nothing_through_once_its_share_is_over(clock: Clock) -> None:
    async def ask() -> tuple[int, str]:
        held = Held(clock, requests=40)
        worker = Worker(held, "a")
        assert await worker.admits()
        clock.now_s += 9.5
        within = await worker.admits_of(2)
        clock.now_s += 1.0
        worker.fails = "before"
        short = worker.allowance.admit(clock.now_s)
        assert short is not None
        await worker.allowances.grow(short)
        again = worker.allowance.admit(clock.now_s)
        assert again is not None
        assert again.is_unknown
        assert not again.may_grow
        return within, again.message

    within, message = asyncio.run(ask())
    assert within == 2
    assert message.startswith("The limit of requests a minute of organisation acme cannot be asked for more now.")


def test_what_is_left_elsewhere_is_told(clock: Clock) -> None:
    async def ask() -> bytes:
        worker = Worker(Held(clock, requests=40), "a")
        assert await worker.admits()
        return worker.allowance.rate_limit_headers(clock.now_s)

    lines = asyncio.run(ask()).decode().split("\r\n")
    assert lines[:2] == ["x-ratelimit-limit-requests: 40", "x-ratelimit-remaining-requests: 39"]


def test_a_limit_that_never_fits_is_not_asked_for(clock: Clock) -> None:
    async def ask() -> None:
        worker = Worker(Held(clock, tokens=100), "a")
        short = worker.allowance.reserve("azure", "gpt-5.5", 0, 101, clock.now_s)
        assert short is not None
        assert (short.may_grow, short.retry_after_s) == (False, 0.0)
        assert await worker.tokens(100, 100)

    asyncio.run(ask())


# A limit of 100 requests, of 60 from second 10 on. At which second who asks with which number: used, needed at least,
# wished for → what it holds, what is left for others, whether it is to give back what it does not use.
ASKS = [
    (0.0, "a", 1, (0, 10, 40), (25, 75, False)),  # a quarter of what is free
    (0.0, "a", 1, (0, 20, 60), (25, 75, False)),  # heard already
    (1.0, "b", 1, (0, 80, 80), (0, 75, False)),  # refused
    (5.75, "a", 2, (0, 0, 25), (25, 75, True)),  # another one was refused within five seconds
    (6.0, "a", 3, (0, 0, 25), (25, 75, False)),
    (6.0, "b", 2, (0, 75, 75), (75, 0, False)),
    (6.0, "a", 4, (0, 0, 25), (25, 0, False)),  # nothing is left, but nobody is short
    (10.0, "a", 5, (0, 0, 25), (25, 0, True)),  # 40 less than nothing: the limit was lowered
    (10.0, "b", 3, (30, 0, 50), (50, 0, True)),
    (11.0, "b", 4, (30, 0, 30), (30, 5, False)),
    (88.0, "a", 6, (0, 0, 0), (0, 60, False)),  # nobody was heard for 77 seconds: the minute is free
    (88.0, "a", 7, (0, 40, 40), (40, 20, False)),
]


class Shares:
    """The shares of the limits that there are, at an instant."""

    def __init__(self, **amounts: int) -> None:
        self.now_s = 0.0
        self.limits: dict[str, Limit] = {}
        self.shares = LimitShares(MemoryShares(lambda ids: self.limits, lambda: self.now_s).changing)
        self.set(**amounts)

    def set(self, *, requests: int = 0, tokens: int = 0) -> None:
        """Set the limits; without amounts, there are none."""
        limit = Limit(
            id=LIMIT, organisation="acme", requests_per_minute=requests, tokens_per_minute=tokens, created_ns=1
        )
        self.limits = {LIMIT: limit} if requests or tokens else {}

    def ask(self, at_s: float, who: str, serial: int, least: int = 0, target: int = 0, **other: Any) -> GrantedLease:
        self.now_s = at_s
        given: dict[str, Any] = {"kind": "requests", "budget": LIMIT, "part": 0, "serial": serial} | other
        ask = Ask(**given, least=least, target=target)
        return self.shares.lease(who, [ask])[0]


def test_shares_that_are_asked_for_one_after_the_other() -> None:
    shares = Shares(requests=100)
    for at_s, who, serial, (spent, least, target), (leased, left, revoked) in ASKS:
        if at_s == 10.0:
            shares.set(requests=60)
        held = shares.ask(at_s, who, serial, least, target, spent=spent)
        assert (held.leased, held.left, held.revoked) == (leased, left, revoked), (at_s, who, serial)


# A share of 40 of 100, 15 of them used, last heard at second 0. Asked by another at which second → what is left.
COUNTED = [
    ("it ended", {"spent": 15, "over": True}, 61.75, 85),
    ("it ended", {"spent": 15, "over": True}, 62.0, 100),
    ("it ended unused", {"over": True}, 1.0, 100),
    ("it died", {"spent": 15, "target": 40}, 76.75, 60),
    ("it died", {"spent": 15, "target": 40}, 77.0, 100),
]


@pytest.mark.parametrize(("_why", "last", "at_s", "left"), COUNTED)
def test_how_long_a_share_counts(_why: str, last: dict[str, Any], at_s: float, left: int) -> None:
    shares = Shares(requests=100)
    assert shares.ask(0.0, "a", 1, 40, 40).leased == 40
    shares.ask(0.0, "a", 2, **last)
    assert shares.ask(at_s, "b", 1).left == left


# As above, the first two asks at second 4,000; then the clock of the database is set back by an hour.
SET_BACK = [
    (4000.0, "a", 1, 40, (40, 60, False)),
    (4000.0, "b", 1, 80, (0, 60, False)),  # refused: others are asked for shares for five seconds
    (400.0, "c", 1, 0, (0, 60, True)),
    (405.0, "c", 2, 0, (0, 60, False)),
    (476.75, "b", 2, 0, (0, 60, False)),
    (477.0, "b", 3, 100, (100, 0, False)),  # nobody has heard of the first for 77 seconds
]


def test_a_share_counts_no_longer_where_the_clock_is_set_back() -> None:
    shares = Shares(requests=100)
    for at_s, who, serial, least, (leased, left, revoked) in SET_BACK:
        held = shares.ask(at_s, who, serial, least, least)
        assert (held.leased, held.left, held.revoked) == (leased, left, revoked), (at_s, who)


def test_requests_and_tokens_of_a_limit_are_shared_apart() -> None:
    shares = Shares(requests=10, tokens=1000)
    assert shares.ask(0.0, "a", 1, 10, 10).leased == 10
    assert shares.ask(0.0, "a", 1, 800, 800, kind="tokens").left == 200
    assert not shares.ask(0.0, "b", 1, 201, 201, kind="tokens").leased
    assert [
        shares.ask(0.0, "a", 2, 0, held, kind=kind).revoked for kind, held in (("requests", 10), ("tokens", 800))
    ] == [
        False,
        True,
    ]


@pytest.mark.parametrize("kept", [{}, {"tokens": 5}])
def test_a_limit_that_was_removed_refuses_nobody(kept: dict[str, int]) -> None:
    shares = Shares(**kept)
    held = shares.ask(0.0, "a", 1, 10**9, 10**9)
    assert (held.leased, held.revoked) == (10**9, False)
    assert held.left > 10**15


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose turn it is
        st.sampled_from(["asks", "asks", "asks", "reports", "reports", "stops", "dies"]),
        st.sampled_from([0.0, 0.0, 0.3, 1.0, 5.0, 11.0, 30.0, 62.0]),  # seconds before
        st.sampled_from(["", "", "", "before", "after"]),  # its next call is lost
    ),
    max_size=80,
)


@settings(deadline=None)
@given(amount=st.integers(1, 6), steps=STEPS)
def test_no_minute_sees_more_than_the_limit(amount: int, steps: list[tuple[int, str, float, str]]) -> None:
    """Three workers, in any interleaving. One that stops or dies is replaced by another."""
    clock = Clock()
    held = Held(clock, requests=amount, tokens=10 * amount)
    passed: list[float] = []
    used: list[tuple[float, int]] = []

    async def play() -> None:
        starts = iter(range(1000))
        workers = [Worker(held, str(next(starts))) for _ in range(3)]
        for at, action, wait_s, fails in steps:
            clock.now_s += wait_s
            worker = workers[at]
            worker.fails = fails
            if action == "asks":
                if await worker.admits():
                    passed.append(clock.now_s)
                if await worker.tokens(10, 7):
                    used.append((clock.now_s, 7))
            elif action == "reports":
                await worker.report()
            else:
                if action == "stops":
                    await worker.allowances.close()
                workers[at] = Worker(held, str(next(starts)))
            assert len([at_s for at_s in passed if clock.now_s - at_s <= 60]) <= amount
            assert sum(count for at_s, count in used if clock.now_s - at_s <= 60) <= 10 * amount
        # In the end all of it is there for one of them.
        for worker in workers:
            worker.fails = ""
        await seconds(clock, 80, *workers)
        assert await workers[0].admits_of(amount + 1) == amount

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allowances_module, "monotonic", lambda: clock.now_s)
        asyncio.run(play())
