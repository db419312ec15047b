"""Limits and budgets in one process: what a table of requests gets, and what holds in every interleaving."""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from itertools import count
from time import monotonic, sleep
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from allowance_plans import allowance_plan, opened
from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance, Shortage
from clauseway.gateway.budgets.leases import Ask, GrantedLease, LocalLeaseServer
from clauseway.gateway.budgets.slices import DENIED_S, BudgetSlice, shortest
from clauseway.gateway.plan import Budget, RateLimit

T = TypeVar("T")
USD = 10**12
PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure
SOON_S = 20.0  # well below the patience that is given to a lease server here


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks here are answered at once: on a machine that stands still for seconds, too, none is given up."""
    monkeypatch.setattr(sys.modules[Allowances.__module__], "_PATIENCE_S", PATIENCE_S)


def alone(limits: Sequence[RateLimit]) -> KeyAllowance:
    return opened(Allowances(LocalLeaseServer()), limits)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def limit(**given: Any) -> RateLimit:
    return RateLimit(**{"id": "l", "whose": "project acme/search", **given})


def budget(**given: Any) -> Budget:
    return Budget(**{"id": "b", "whose": "project acme/search", **given})


# A limit of 3 requests a minute. Asked at second → let through, or refused with seconds to wait.
MINUTE = [
    (0.0, None),
    (0.9, None),
    (30.0, None),
    (30.0, 31.0),  # the step of second 0 counts until none of it is younger than a minute: second 61
    (59.9, 1.1),
    (60.9, 0.1),
    (61.0, None),
    (61.0, None),
    (61.5, 29.5),  # second 30 counts until second 91
    (91.0, None),
]


def test_no_more_requests_than_the_limit_in_any_minute() -> None:
    allowance = alone([limit(requests_per_minute=3)])
    for now_s, wait_s in MINUTE:
        admission = allowance.admit(now_s)
        assert (admission and pytest.approx(admission.retry_after_s)) == wait_s, f"at {now_s}"


def test_a_request_counts_against_all_limits_or_against_none() -> None:
    wide, narrow = limit(id="wide", requests_per_minute=5), limit(id="narrow", requests_per_minute=2)
    allowance = alone([wide, narrow])
    assert [allowance.admit(0.0) for _ in range(2)] == [None, None]
    assert [short.id for _ in range(9) if (short := allowance.admit(0.0))] == ["narrow"] * 9
    assert allowance.rate_limit_headers(0.0).startswith(b"x-ratelimit-limit-requests: 2\r\n")
    assert [allowance.admit(61.0) for _ in range(2)] == [None, None]


@given(
    amount=st.integers(1, 5),
    waits_s=st.lists(st.floats(0, 70), min_size=5, max_size=60),
)
def test_in_any_minute_wherever_it_begins(amount: int, waits_s: list[float]) -> None:
    allowance = alone([limit(requests_per_minute=amount)])
    passed: list[float] = []
    now_s = 0.0
    for wait_s in waits_s:
        now_s += wait_s
        short = allowance.admit(now_s)
        if short is not None:
            now_s += short.retry_after_s + 1e-6
            assert allowance.admit(now_s) is None, "it said when"
        passed.append(now_s)
        assert len([at for at in passed if now_s - at <= 60]) <= amount


# A limit or budget of 10, and 10 were reserved. What came of these → (what a request may take, whether it is refused).
# A request that costs nothing reads, cancels or deletes something that runs on meanwhile.
OVERDRAWN = [
    ("as reserved", 10, [(0, False), (1, True)]),
    ("more than was reserved", 15, [(0, False), (1, True)]),
    ("less than was reserved", 9, [(0, False), (1, False), (2, True)]),
]


@pytest.mark.parametrize(("became", "used", "asked"), OVERDRAWN)
@pytest.mark.parametrize("of", ["tokens", "budget"])
def test_what_costs_nothing_needs_nothing_that_is_left(
    of: str, became: str, used: int, asked: list[tuple[int, bool]]
) -> None:
    async def refused() -> list[tuple[int, bool]]:
        allowances = Allowances(LocalLeaseServer({"b": 10}))
        allowance = (
            opened(allowances, [limit(tokens_per_minute=10)])
            if of == "tokens"
            else opened(allowances, budgets=[budget()])
        )

        async def reserves(amount: int) -> bool:
            of_budget, of_limit = (amount, 0) if of == "budget" else (0, amount)
            while (short := allowance.reserve("azure", "gpt-5.5", of_budget, of_limit, 0.0)) and short.may_grow:
                await allowances.grow(short)
            return short is None

        assert await reserves(10)
        allowance.end_reservation("azure", "gpt-5.5", 10, used, 10, used)
        return [(amount, not await reserves(amount)) for amount, _ in asked]

    assert run(refused()) == asked


def test_a_limit_that_is_lowered_below_what_is_used_refuses_nothing_that_costs_nothing() -> None:
    allowances = Allowances(LocalLeaseServer())
    before = opened(allowances, [limit(tokens_per_minute=100)])
    assert before.reserve("azure", "gpt-5.5", 0, 90, 0.0) is None
    allowance = opened(allowances, [limit(tokens_per_minute=10)])
    assert allowance.reserve("azure", "gpt-5.5", 0, 0, 0.0) is None
    assert allowance.reserve("azure", "gpt-5.5", 0, 1, 0.0) is not None


# A limit of 1,000 tokens a minute: (second, reserved, used then, refused with what is left). Each ends at once.
TOKENS = [
    (0.0, 600, 100, None),
    (1.0, 900, 300, None),
    (2.0, 601, 0, 600),
    (2.0, 600, 600, None),
    (3.0, 1, 0, 0),
    (61.0, 101, 0, 100),
    (61.0, 100, 0, None),
    (62.0, 400, 400, None),
]


def test_tokens_count_at_their_worst_and_then_as_they_were_used() -> None:
    allowance = alone([limit(tokens_per_minute=1000)])
    for now_s, reserved, used, left in TOKENS:
        reservation = allowance.reserve("azure", "gpt-5.5", 0, reserved, now_s)
        assert (reservation and reservation.left) == left, f"at {now_s}"
        if reservation is None:
            allowance.end_reservation("azure", "gpt-5.5", 0, 0, reserved, used)


# A limit's narrowing → does it count an attempt at gpt-5.5 on azure?
NARROWED = [
    ({}, True),
    ({"cloud": "azure"}, True),
    ({"cloud": "aws"}, False),
    ({"product": "gpt-5.5"}, True),
    ({"product": "gpt-5.4"}, False),
    ({"cloud": "azure", "product": "gpt-5.5"}, True),
    ({"cloud": "azure", "product": "gpt-5.4"}, False),
]


@pytest.mark.parametrize(("narrowed", "counts"), NARROWED)
def test_a_limit_counts_what_it_is_narrowed_to(narrowed: dict[str, str], counts: bool) -> None:
    allowance = alone([limit(tokens_per_minute=5, **narrowed), limit(id="r", requests_per_minute=2, **narrowed)])
    assert [bool(allowance.admit(0.0)) for _ in range(2)] == [False, False]
    assert allowance.reserve("azure", "gpt-5.5", 0, 5, 0.0) is None
    assert bool(allowance.reserve("azure", "gpt-5.5", 0, 5, 0.0)) is counts
    assert bool(allowance.rate_limit_headers(0.0, "azure", "gpt-5.5")) is (counts or not narrowed)


# Two requests a minute, on azure alone. Attempted at second, on → let through, or the seconds to wait.
ON_AZURE = [
    (0.0, "azure", None),
    (0.0, "azure", None),
    (0.0, "azure", 61.0),
    (0.0, "aws", None),
    (60.5, "azure", 0.5),
    (61.0, "azure", None),  # the step of second 0 counts no more
    (61.0, "azure", None),
    (61.0, "azure", 61.0),
    (122.0, "azure", None),
]


def test_a_limit_of_requests_on_a_cloud_fills_again() -> None:
    allowance = alone([limit(requests_per_minute=2, cloud="azure")])
    for now_s, cloud, wait_s in ON_AZURE:
        short = allowance.reserve(cloud, "gpt-5.5", 0, 0, now_s)
        assert (short and pytest.approx(short.retry_after_s)) == wait_s, f"at {now_s} on {cloud}"
    headers = allowance.rate_limit_headers(122.0, "azure", "gpt-5.5")
    assert b"x-ratelimit-remaining-requests: 1\r\n" in headers
    assert allowance.rate_limit_headers(122.0, "aws", "gpt-5.5") == b""


def test_a_limit_of_tokens_says_how_many_were_needed() -> None:
    short = alone([limit(tokens_per_minute=5)]).reserve("azure", "gpt-5.5", 0, 6, 0.0)
    assert short is not None
    assert (short.needed, short.left, short.retry_after_s) == (6, 5, 0.0)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_limit_that_a_plan_left_out_begins_anew_when_it_is_back(kind: str) -> None:
    allowances, one_a_minute = Allowances(LocalLeaseServer()), limit(**{f"{kind}_per_minute": 1})

    def passes(allowance: KeyAllowance) -> bool:
        short = allowance.admit(0.0) or allowance.reserve("azure", "gpt-5.5", 0, 1, 0.0)
        return short is None

    before = opened(allowances, [one_a_minute])
    assert [passes(before), passes(before)] == [True, False]
    assert not passes(opened(allowances, [one_a_minute])), "it stayed, and what was used counts"
    opened(allowances)
    assert passes(opened(allowances, [one_a_minute]))


def test_headers_as_openai_writes_them() -> None:
    allowance = alone([limit(requests_per_minute=60, tokens_per_minute=1000)])
    allowance.admit(0.5)
    allowance.reserve("azure", "gpt-5.5", 0, 400, 0.5)
    assert allowance.rate_limit_headers(0.5).decode().split("\r\n") == [
        "x-ratelimit-limit-requests: 60",
        "x-ratelimit-remaining-requests: 59",
        "x-ratelimit-reset-requests: 1m1s",
        "x-ratelimit-limit-tokens: 1000",
        "x-ratelimit-remaining-tokens: 600",
        "x-ratelimit-reset-tokens: 1m1s",  # what is open counts as used no sooner
        "",
    ]
    assert b"reset-requests: 11s\r\n" in allowance.rate_limit_headers(50.9)
    assert b"reset-tokens: 1m1s\r\n" in allowance.rate_limit_headers(50.9)
    allowance.end_reservation("azure", "gpt-5.5", 0, 0, 400, 0)
    assert b"remaining-tokens: 1000\r\nx-ratelimit-reset-tokens: 0ms\r\n" in allowance.rate_limit_headers(50.9)
    assert b"reset-requests: 0ms\r\n" in allowance.rate_limit_headers(61.0)
    assert alone([]).rate_limit_headers(0.0) == b""


WORDS = [
    (
        Shortage("requests", "key key_1", 60, 0, 1, 12.3, False, "l"),
        "The limit of 60 requests a minute of key key_1 has 0 left. Try again in 13s.",
    ),
    (
        Shortage("tokens", "project acme/search", 40_000, 1_234, 5_000, 0.012, False, "l"),
        "The limit of 40,000 tokens a minute of project acme/search has 1,234 left; this request may take up to 5,000. "
        "Try again in 12ms.",
    ),
    (
        Shortage("tokens", "project acme/search", 4_000, 4_000, 5_000, 0.0, False, "l"),
        "The limit of 4,000 tokens a minute of project acme/search has 4,000 left; this request may take up to 5,000. "
        "It never fits: ask for fewer output tokens, or have it raised.",
    ),
    (
        Shortage("budget", "organisation acme", 2_500 * USD, 31 * USD // 1000, USD // 4, 3_661, False, "b"),
        "The budget of 2,500.00 USD of organisation acme has 0.031 USD left; this request may cost up to 0.25 USD. "
        "A new period begins in 62 minutes.",
    ),
    (
        Shortage("budget", "organisation acme", -1, 0, USD, 0.0, False, "b"),
        "The budget of organisation acme cannot be asked for more now.",
    ),
    (
        # The window's wait is not the lease server's: a header says when to come again.
        Shortage("requests", "organisation acme", -1, 0, 1, 40.0, False, "l"),
        "The limit of requests a minute of organisation acme cannot be asked for more now.",
    ),
    (
        Shortage("budget", "organisation acme", USD, USD // 10, USD // 4, 0.0, False, "b", revoking=USD // 2),
        "The budget of organisation acme has 0.10 USD left. Open requests hold up to 0.50 USD more, and give back what "
        "they do not use. Try again soon.",
    ),
]


@pytest.mark.parametrize(("shortage", "message"), WORDS)
def test_a_shortage_in_words(shortage: Shortage, message: str) -> None:
    assert shortage.message == message


class OneOf:
    """A lease server as one of two processes sees it: each numbers its own leases."""

    def __init__(self, lease_server: LocalLeaseServer, number: int) -> None:
        self._lease_server, self._number = lease_server, number
        self.fails = ""  # the next call: before it is heard, or after

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        fails, self.fails = self.fails, ""
        if fails == "before":
            raise ConnectionError
        shifted = [
            ask if ask.holder else msgspec.structs.replace(ask, part=ask.part * 2 + self._number) for ask in asks
        ]
        answer = await self._lease_server.lease(shifted)
        if fails == "after":
            raise ConnectionError
        return answer


async def reserved(
    allowances: Allowances, allowance: KeyAllowance, picodollars: int, tokens: int = 0
) -> Shortage | None:
    """Reserve, and ask for more of the budget as long as that helps."""
    while (short := allowance.reserve("azure", "gpt-5.5", picodollars, tokens, monotonic())) and short.may_grow:
        await allowances.grow(short)
    return short


# A budget of 10: what an attempt reserves, what it is charged (None: still open) → what is short, if anything.
BUDGET_OF_TEN = [
    (4, 1, None),  # 9 left
    (6, None, None),  # 3 left, 6 reserved
    (4, 0, "3 left"),
    (3, 3, None),  # 0 left, 6 reserved
    (1, 0, "0 left"),
]


def test_a_budget_is_never_overshot() -> None:
    async def spend() -> None:
        allowances = Allowances(LocalLeaseServer({"b": 10}))
        allowance = opened(allowances, budgets=[budget()])
        for picodollars, charged, short in BUDGET_OF_TEN:
            reservation = await reserved(allowances, allowance, picodollars)
            assert (reservation and f"{reservation.left} left") == short
            if reservation is None and charged is not None:
                allowance.end_reservation("azure", "gpt-5.5", picodollars, charged, 0, 0)
        allowance.end_reservation("azure", "gpt-5.5", 6, 2, 0, 0)
        assert await reserved(allowances, allowance, 5) is not None
        assert await reserved(allowances, allowance, 4) is None

    run(spend())


def test_all_budgets_or_none_and_limits_with_them() -> None:
    async def spend() -> None:
        allowances = Allowances(LocalLeaseServer({"own": 10, "whole": 4}))
        allowance = opened(
            allowances,
            [limit(tokens_per_minute=100)],
            [budget(id="own"), budget(id="whole", whose="organisation acme")],
        )
        short = await reserved(allowances, allowance, 5, 60)
        assert short is not None
        assert (short.whose, short.left) == ("organisation acme", 4)
        assert await reserved(allowances, allowance, 4, 100) is None

    run(spend())


class Counting(LocalLeaseServer):
    """A lease server that counts how often it was asked."""

    asks = 0

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        self.asks += 1
        await asyncio.sleep(0)
        return await super().lease(asks)


def test_all_budgets_that_are_short_grow_in_one_call() -> None:
    async def spend() -> None:
        lease_server = Counting({"own": 10, "whole": 10})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget(id="own"), budget(id="whole")])
        short = allowance.reserve("azure", "gpt-5.5", 4, 0, 0.0)
        assert short is not None
        assert [lease.id for lease in short.growing] == ["own", "whole"]
        assert await allowances.grow(short)
        assert allowance.reserve("azure", "gpt-5.5", 4, 0, 0.0) is None
        assert lease_server.asks == 1

    run(spend())


def test_one_ask_serves_all_that_wait() -> None:
    async def spend() -> int:
        lease_server = Counting({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        results = await asyncio.gather(*(reserved(allowances, allowance, 10) for _ in range(32)))
        assert results == [None] * 32
        return lease_server.asks

    assert run(spend()) <= 3


def test_a_lease_server_that_is_away_grants_nothing_and_delays_nobody_twice(clock: list[float]) -> None:
    class Away:
        asks = 0

        async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
            self.asks += 1
            raise ConnectionRefusedError

    async def spend() -> None:
        lease_server = Away()
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        for _ in range(5):
            short = await reserved_at(allowances, allowance, 1, 0.0)
            assert short is not None
            assert "cannot be asked" in short.message
        assert lease_server.asks == 1

    run(spend())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that allowances see, turned by hand."""
    now_s = [0.0]
    monkeypatch.setattr(sys.modules[Allowances.__module__], "monotonic", lambda: now_s[0])
    return now_s


class Scripted(LocalLeaseServer):
    """A lease server whose leases end after so many seconds, are revoked, or hold less than was asked."""

    def __init__(self, amounts: dict[str, int]) -> None:
        super().__init__(amounts)
        self.heard: list[Ask] = []
        self.changes: dict[str, Any] = {}
        self.holders_get = 1.0

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        self.heard += asks
        await asyncio.sleep(0)
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> GrantedLease:
        if ask.holder and not ask.over:
            target = int(ask.target * self.holders_get)
            ask = msgspec.structs.replace(ask, least=0, target=target)
        return msgspec.structs.replace(self._lease(ask), **self.changes)


async def no_more_asks(allowances: Allowances) -> None:
    await allowances.quiet(allowances.slices())


async def reserved_at(
    allowances: Allowances, allowance: KeyAllowance, picodollars: int, now_s: float
) -> Shortage | None:
    """Reserve, and ask for more as long as that helps, at a second of a clock that is turned by hand."""
    short = allowance.reserve("azure", "gpt-5.5", picodollars, 0, now_s)
    while short is not None and short.may_grow:
        await allowances.grow(short)
        short = allowance.reserve("azure", "gpt-5.5", picodollars, 0, now_s)
    await no_more_asks(allowances)
    return short


def test_a_period_that_is_over_gives_nothing_any_more(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 100})
        lease_server.changes = {"ends_in_s": 50.0}
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        short = allowance.reserve("azure", "gpt-5.5", 2, 0, 0.0)
        assert short is not None
        assert await allowances.grow(short)
        assert allowance.reserve("azure", "gpt-5.5", 2, 0, 49.9) is None
        clock[0] = 50.0
        later = allowance.reserve("azure", "gpt-5.5", 2, 0, 50.0)
        assert later is not None, "of the new period nothing is leased yet"
        assert await allowances.grow(later)
        assert allowance.reserve("azure", "gpt-5.5", 2, 0, 50.0) is None
        assert {ask.part for ask in lease_server.heard} == {0, 1}

    run(spend())


def test_the_lease_of_a_period_that_is_over_is_returned_by_the_next_report(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 100})
        lease_server.changes = {"ends_in_s": 50.0}
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        allowance.end_reservation("azure", "gpt-5.5", 4, 3, 0, 0)
        await allowances.report(49.0)
        assert [ask.over for ask in lease_server.heard] == [False, False]
        await allowances.report(50.0)
        (last,) = lease_server.heard[2:]
        assert (last.part, last.over, last.spent) == (0, True, 3)

    run(spend())


# Is it revoked? → what this process holds after its next report, of 68 leased and 3 spent.
REVOKED = [(False, 68), (True, 3)]


@pytest.mark.parametrize(("revoked", "held"), REVOKED)
def test_a_slice_that_is_revoked_goes_back_but_for_what_is_spent(clock: list[float], revoked: bool, held: int) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        allowance.end_reservation("azure", "gpt-5.5", 4, 3, 0, 0)
        lease_server.changes = {"revoked": revoked}
        await allowances.report(0.0)
        assert sum(lease_server._held.values()) == held

    run(spend())


def test_a_slice_is_topped_up_before_anybody_is_short(clock: list[float]) -> None:
    async def spend() -> None:
        allowances = Allowances(Scripted({"b": 1000}))
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 1, 0.0) is None
        for _ in range(200):
            assert allowance.reserve("azure", "gpt-5.5", 1, 0, 0.0) is None
            allowance.end_reservation("azure", "gpt-5.5", 1, 1, 0, 0)
            await no_more_asks(allowances)

    run(spend())


def test_an_ask_is_for_all_who_wait_by_then(clock: list[float]) -> None:
    """200 of 10 each: the first ask knows of one, the second of all the others."""

    async def spend() -> list[Ask]:
        lease_server = Scripted({"b": 100_000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        work = [reserved_at(allowances, allowance, 10, 0.0) for _ in range(200)]
        assert await asyncio.gather(*work) == [None] * 200
        assert [slice_.waiting for slice_ in allowances.slices()] == [0]
        return lease_server.heard

    first, second, *_ = run(spend())
    assert first.target == 10 + 16 * 10
    assert second.target >= 199 * 10


class StandsStill(Scripted):
    """Its first answer comes when the process has stood still, longer than anybody waits for an answer."""

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        is_first = not self.heard
        answer = await super().lease(asks)
        if is_first:
            sleep(1.2)
        return answer


def test_a_process_that_stood_still_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """All have waited too long, and the answer is there."""
    monkeypatch.setattr(sys.modules[Allowances.__module__], "_PATIENCE_S", 1.0)

    async def spend() -> None:
        allowances = Allowances(StandsStill({"b": 100_000}))
        allowance = opened(allowances, budgets=[budget()])
        assert await asyncio.gather(*(reserved(allowances, allowance, 10) for _ in range(200))) == [None] * 200

    run(spend())


# The part that the lease server grants of a lease asked for apart → is it there, and how much stays reserved here?
APART = [(1.0, True, 0), (0.5, False, 40), (0.0, False, 40)]


@pytest.mark.parametrize(("granted", "transferred", "stays"), APART)
def test_a_lease_of_its_own_is_whole_or_not_there(
    clock: list[float], granted: float, transferred: bool, stays: int
) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 40, 0.0) is None
        lease_server.holders_get = granted
        (budget_slice,) = slices = allowance.slices("azure", "gpt-5.5")
        assert await allowances.transfer(slices, 40, "f" * 16, 1) is transferred
        assert budget_slice.reserved == stays
        assert budget_slice.left == budget_slice.leased - budget_slice.spent - budget_slice.reserved

    run(spend())


def test_what_was_reserved_in_a_former_period_is_moved_out_of_that_one(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        lease_server.changes = {"ends_in_s": 50.0}
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 40, 0.0) is None
        clock[0] = 50.0
        assert await reserved_at(allowances, allowance, 7, 50.0) is None
        (slice_,) = slices = allowance.slices("azure", "gpt-5.5")
        (former,) = slice_.formers
        lease_server.heard.clear()
        assert await allowances.transfer(slices, 40, "f" * 16, 1)
        assert (former.reserved, slice_.reserved) == (0, 7)
        assert [ask.holder for ask in lease_server.heard] == ["f" * 16], "a lease that is over grows no smaller"

    run(spend())


class Silent(Scripted):
    """A lease server that answers nothing while it `is_silent`."""

    is_silent = False

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        if self.is_silent:
            await asyncio.Event().wait()
        return await super().lease(asks)


def test_a_lease_server_that_falls_silent_is_away(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    async def spend() -> None:
        lease_server = Silent({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 40, 0.0) is None
        (slice_,) = slices = allowance.slices("azure", "gpt-5.5")
        monkeypatch.setattr(sys.modules[Allowances.__module__], "_PATIENCE_S", 0.05)
        lease_server.is_silent = True
        assert not await allowances.transfer(slices, 40, "f" * 16, 1)
        assert (slice_.reserved, slice_.left) == (40, slice_.leased - 40), "it is ours again"
        await allowances.report(0.0)
        assert (slice_.unheard, slice_.lease_task) == (True, None)

    run(spend())


def test_a_hold_is_there_where_each_budget_grants_it() -> None:
    async def hold() -> None:
        allowances = Allowances(LocalLeaseServer({"b": 10, "whole": 5}))
        assert not await allowances.hold(["b", "whole"], 8, "e" * 16, 1)
        assert await allowances.hold(["b", "whole"], 2, "f" * 16, 1)

    run(hold())


def test_who_waits_until_nobody_asks_waits_for_each_ask(clock: list[float]) -> None:
    async def spend() -> None:
        allowances = Allowances(Scripted({"b": 100_000}))
        allowance = opened(allowances, budgets=[budget()])
        work = [asyncio.create_task(reserved_at(allowances, allowance, 10, 0.0)) for _ in range(200)]
        await asyncio.sleep(0)
        assert [each.lease_task is None for each in allowances.slices()] == [False]
        await no_more_asks(allowances)  # those who wait have asked for more meanwhile
        assert [each.lease_task is None for each in allowances.slices()] == [True]
        assert await asyncio.gather(*work) == [None] * 200

    run(spend())


def test_a_stop_waits_for_the_ask_that_is_under_way(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server, shares_limits=True)
        allowance = opened(allowances, [limit(requests_per_minute=1)], [budget()])
        short = allowance.admit(0.0)
        assert short is not None
        assert await allowances.grow(short)
        assert allowance.admit(0.0) is None
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        reporting = asyncio.create_task(allowances.report(0.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the ask is on its way
        await allowances.close()
        await reporting
        last = {ask.kind: (ask.over, ask.spent) for ask in lease_server.heard}
        assert last == {"budget": (True, 4), "requests": (True, 1)}, "a share that is used up is returned too"

    run(spend())


def test_who_has_nothing_free_gives_nothing_back(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 10})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 10, 0.0) is None
        lease_server.changes = {"revoked": True}
        lease_server.heard.clear()
        await allowances.report(0.0)
        assert len(lease_server.heard) == 1

    run(spend())


def test_a_request_waits_for_a_lease_no_longer_than_it_is_moved(clock: list[float]) -> None:
    """Moving it may take longer than one lease, and each lease that is moved takes its own time."""

    async def spend() -> None:
        allowances = Allowances(Scripted({"b": 1000}))
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 40, 0.0) is None
        slices, more = allowance.slices("azure", "gpt-5.5"), asyncio.Event()

        async def move() -> None:
            assert await allowances.transfer(slices, 40, "f" * 16, 1)
            await more.wait()

        moving = asyncio.create_task(move())
        await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            assert await reserved(allowances, allowance, 900) is None
            more.set()
            await moving

    run(spend())


@pytest.mark.parametrize("is_back", [False, True])
def test_a_request_is_decided_by_the_limits_of_the_plan_at_which_it_came(is_back: bool) -> None:
    async def spend() -> None:
        limits = [limit(id="own", requests_per_minute=5), limit(id="whole", requests_per_minute=5)]
        allowances = Allowances(LocalLeaseServer(), shares_limits=True)
        allowance = opened(allowances, limits)
        short = allowance.admit(0.0)
        opened(allowances)
        if is_back:
            opened(allowances, limits)
        # Once for each of its limits: a request that may grow and does not would ask for ever.
        for _ in limits:
            assert short is not None
            assert short.may_grow
            assert await allowances.grow(short)
            short = allowance.admit(0.0)
        assert short is None

    run(spend())


def test_what_a_new_plan_says_of_a_budget_holds_at_once() -> None:
    async def spend() -> None:
        allowances = Allowances(LocalLeaseServer({"b": 0}))
        assert await reserved(allowances, opened(allowances, budgets=[budget()]), 1) is not None
        narrowed = opened(allowances, budgets=[budget(cloud="aws", whose="acme on aws")])
        assert narrowed.reserve("azure", "gpt-5.5", 1, 0, 0.0) is None
        short = narrowed.reserve("aws", "gpt-5.5", 1, 0, 0.0)
        assert short is not None
        assert short.whose == "acme on aws"

    run(spend())


def test_a_new_plan_keeps_what_was_used() -> None:
    async def spend() -> None:
        allowances = Allowances(LocalLeaseServer({"b": 10}))
        before = opened(allowances, [limit(requests_per_minute=3)], [budget()])
        assert before.admit(0.0) is None
        assert await reserved(allowances, before, 6) is None
        after = opened(allowances, [limit(requests_per_minute=2)], [budget()])
        assert after.admit(0.0) is None
        short = after.admit(0.0)
        assert short is not None
        assert (short.limit, short.left) == (2, 0)
        before.end_reservation("azure", "gpt-5.5", 6, 6, 0, 0)
        assert await reserved(allowances, after, 5) is not None
        assert await reserved(allowances, after, 4) is None

    run(spend())


def test_a_budget_that_is_gone_gives_its_slice_back() -> None:
    async def spend() -> None:
        lease_server = LocalLeaseServer({"b": 10})
        allowances = Allowances(OneOf(lease_server, 0))
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved(allowances, allowance, 6) is None
        allowances.reload(allowance_plan())
        await allowances.report(0.0)
        allowance.end_reservation("azure", "gpt-5.5", 6, 2, 0, 0)
        await allowances.report(0.0)
        await allowances.report(0.0)
        assert not allowances._slices
        other = Allowances(OneOf(lease_server, 1))
        allowance = opened(other, budgets=[budget()])
        assert await reserved(other, allowance, 9) is not None
        assert await reserved(other, allowance, 8) is None

    run(spend())


def test_a_budget_that_a_later_plan_does_not_have_refuses_nobody() -> None:
    """Its slice goes back while requests of the former plan are under way: they still attempt other deployments."""

    async def spend() -> None:
        allowances = Allowances(LocalLeaseServer({"b": 10, "whole": 20}))
        allowance = opened(allowances, budgets=[budget(), budget(id="whole")])
        assert await reserved(allowances, allowance, 6) is None
        allowances.reload(allowance_plan(budgets=[budget(id="whole")]))
        for _ in range(2):
            await allowances.report(0.0)
            assert await reserved(allowances, allowance, 6) is None
        short = await reserved(allowances, allowance, 6)
        assert short is not None
        assert (short.limit, short.left) == (20, 2), "the other one holds as before"
        for charged in (5, 4, 3):
            allowance.end_reservation("azure", "gpt-5.5", 6, charged, 0, 0)
        await allowances.report(0.0)
        (whole,) = allowances.slices()
        assert (whole.spent, whole.reserved) == (12, 0)

    run(spend())


def test_of_a_budget_that_the_plan_does_not_have_no_more_is_asked_for(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        allowances.reload(allowance_plan())
        lease_server.heard.clear()
        assert await reserved_at(allowances, allowance, 60, 0.0) is None
        assert not lease_server.heard

    run(spend())


def test_a_budget_that_is_back_holds_before_the_former_plans_are_forgotten() -> None:
    allowances = Allowances(LocalLeaseServer({"b": 10}))
    opened(allowances, budgets=[budget()])
    allowances.reload(allowance_plan())
    made = allowance_plan(budgets=[budget()])
    allowances.turn_to(made)
    assert allowances.of(made.keys[0]).reserve("azure", "gpt-5.5", 11, 0, 0.0) is not None


# -- a slice by itself


def in_its_second_period(open_: int) -> BudgetSlice:
    """A slice with so much reserved in the period that is over, and 100 leased for the present one."""
    slice_ = BudgetSlice(budget(), count())
    slice_.granted(GrantedLease(leased=100, left=0, amount=100), slice_.growth(open_), 0.0)
    slice_.reserved, slice_.left = open_, 100 - open_
    slice_.turn()
    slice_.granted(GrantedLease(leased=100, left=0, amount=100), slice_.growth(1), 0.0)
    return slice_


@pytest.mark.parametrize(("open_", "charged", "spent"), [(6, 8, (6, 2)), (6, 5, (5, 0)), (10, 10, (10, 0))])
def test_a_reservation_ends_with_the_period_that_it_was_made_in(
    open_: int, charged: int, spent: tuple[int, int]
) -> None:
    slice_ = in_its_second_period(open_)
    (former,) = slice_.formers
    slice_.reserved, slice_.left = 10 - open_, 100 - (10 - open_)
    slice_.end_reservation(10, charged)
    assert (former.spent, slice_.spent) == spent
    assert (former.reserved, slice_.reserved) == (0, 0)
    assert slice_.left == slice_.leased - slice_.spent - slice_.reserved


# The part whose reservation gets no lease of its own: this period's, the last one's, one that nobody knows any more
@pytest.mark.parametrize(("part", "reserved"), [(1, (6, 10)), (0, (16, 0)), (7, (6, 10))])
def test_a_reservation_that_comes_back_is_held_where_it_was(part: int, reserved: tuple[int, int]) -> None:
    slice_ = in_its_second_period(6)
    (former,) = slice_.formers
    slice_.take_back(10, part)
    assert (former.reserved, slice_.reserved) == reserved
    assert slice_.left == slice_.leased - slice_.spent - slice_.reserved


# A charge above its reservation leaves less than nothing: there is nothing to give back, and the lease does not grow.
@pytest.mark.parametrize(("left", "leased"), [(30, 70), (0, 100), (-5, 100)])
def test_a_slice_gives_back_no_more_than_it_has(left: int, leased: int) -> None:
    slice_ = BudgetSlice(budget(), count())
    slice_.leased, slice_.spent, slice_.left = 100, 100 - left, left
    assert slice_.give_back().target == leased
    assert slice_.left == min(left, 0)


def test_a_slice_grows_by_twice_what_the_last_one_lasted_for() -> None:
    slice_ = BudgetSlice(budget(), count())
    slice_.spent = 100
    assert slice_.growth(1).target == 100 + 1 + 2 * 100
    slice_.spent = 150
    assert slice_.growth(1).target == 150 + 1 + 2 * 50


def test_the_shortage_that_is_told_cannot_be_mended_by_another_ask() -> None:
    growing, denied = BudgetSlice(budget(id="growing"), count()), BudgetSlice(budget(id="denied"), count())
    denied.denied_least, denied.denied_until_s = 1, 10.0
    for slices in ((growing, denied), (denied, growing)):
        short = shortest(slices, 5, 0.0)
        assert (short.id, short.may_grow, short.growing) == ("denied", False, slices)


def test_a_budget_that_is_used_up_is_told_before_one_that_others_hold() -> None:
    """Budget given back by the others would not help."""
    used_up, held = BudgetSlice(budget(id="used up"), count()), BudgetSlice(budget(id="held"), count())
    for slice_ in (used_up, held):
        slice_.amount, slice_.denied_least, slice_.denied_until_s = 100, 1, 10.0
    held.revoking = 50
    for slices in ((used_up, held), (held, used_up)):
        assert shortest(slices, 5, 0.0).id == "used up"


# A slice of a budget of 100, asked for 10 more at second 5. What is known of it → the limit told, what is left, when it
# would do, what dead processes hold, what living ones do.
NEVER_HEARD: dict[str, Any] = {"amount": -1}
SHORT = [
    (NEVER_HEARD, (-1, 0, 0.0, 0, 0)),
    ({}, (100, 0, 0.0, 0, 0)),
    ({"left": 3, "elsewhere": 4}, (100, 7, 0.0, 0, 0)),
    ({"left": -3, "elsewhere": 1}, (100, 0, 0.0, 0, 0)),  # charged beyond what was reserved
    ({"unheard": True}, (-1, 0, 0.0, 0, 0)),
    ({"period_end_s": 65.0}, (100, 0, 60.0, 0, 0)),
    ({"period_end_s": 4.0}, (100, 0, 0.0, 0, 0)),  # it is over, and the next one is not heard of
    ({"period_end_s": 65.0, "amount": 10}, (10, 0, 60.0, 0, 0)),
    ({"period_end_s": 65.0, "amount": 9}, (9, 0, 0.0, 0, 0)),  # not in the next period either
    ({"left": 3, "unread": 7}, (100, 3, 0.0, 7, 0)),
    ({"left": 3, "unread": 6}, (100, 3, 0.0, 0, 0)),  # not with them either
    ({"left": 3, "revoking": 7}, (100, 3, 0.0, 0, 7)),
    ({"left": 3, "revoking": 6}, (100, 3, 0.0, 0, 0)),
    ({"left": 3, "unread": 7, "revoking": 7}, (100, 3, 0.0, 0, 7)),  # that comes sooner
    ({"left": 3, "unread": 6, "revoking": 1}, (100, 3, 0.0, 6, 0)),  # only with both
    ({"left": 3, "reserved": 7}, (100, 3, 0.0, 0, 7)),  # our own open requests give back what they do not use
    ({"left": 3, "reserved": 4, "revoking": 3}, (100, 3, 0.0, 0, 7)),
    ({"left": 3, "reserved": 6}, (100, 3, 0.0, 0, 0)),
]


@pytest.mark.parametrize(("known", "expected"), SHORT)
def test_why_a_slice_is_short(known: dict[str, Any], expected: tuple[int, int, float, int, int]) -> None:
    slice_ = BudgetSlice(budget(), count())
    for name, value in ({"amount": 100} | known).items():
        setattr(slice_, name, value)
    short = slice_.shortage(10, 5.0)
    assert (short.limit, short.left, short.retry_after_s, short.unread, short.revoking) == expected
    assert (short.kind, short.needed, short.may_grow) == ("budget", 10, True)
    if known is NEVER_HEARD:
        new = BudgetSlice(budget(), count()).shortage(10, 5.0)
        assert new._replace(growing=short.growing) == short


def test_asks_of_a_lease_are_numbered_from_one() -> None:
    """The lease server takes no ask that is older than what it heard."""
    slice_ = BudgetSlice(budget(), count())
    assert [(ask.part, ask.serial) for ask in (slice_.growth(1), slice_.ask(), slice_.give_back())] == [
        (0, 1),
        (0, 2),
        (0, 3),
    ]
    slice_.turn()
    assert [(ask.part, ask.serial) for ask in (slice_.growth(1), slice_.ask())] == [(1, 1), (1, 2)]
    never_asked = BudgetSlice(budget(), count())
    never_asked.turn()
    assert not never_asked.formers


# Of 20 asked for at least, with 3 spent and 2 reserved, 15 were to come. Granted → from how much on nothing is asked.
DENIED = [(20, 0, 0.0), (19, 15, 5.0 + DENIED_S), (5, 15, 5.0 + DENIED_S)]


@pytest.mark.parametrize(("leased", "least", "until_s"), DENIED)
def test_what_is_denied_is_what_was_to_come(leased: int, least: int, until_s: float) -> None:
    slice_ = BudgetSlice(budget(), count())
    slice_.leased, slice_.spent, slice_.reserved = 5, 3, 2
    slice_.granted(GrantedLease(leased=leased, left=0, amount=100), slice_.growth(15), 5.0)
    assert (slice_.denied_least, slice_.denied_until_s) == (least, until_s)
    for needed in (14, 15):
        assert slice_.shortage(needed, 5.5).may_grow is (not least or needed < least)
    assert slice_.shortage(15, 5.0 + DENIED_S).may_grow
    slice_.turn()
    assert slice_.shortage(15, 5.5).may_grow, "the next period was denied nothing"


# The period ends in so many seconds → the number of the lease that an answer leaves.
PERIOD_ENDS = [(0.1, 0), (0.0, 1), (-1.0, 1)]


@pytest.mark.parametrize(("ends_in_s", "part"), PERIOD_ENDS)
def test_a_period_that_ends_now_is_over(ends_in_s: float, part: int) -> None:
    slice_ = BudgetSlice(budget(), count())
    slice_.granted(GrantedLease(leased=10, left=0, amount=10, ends_in_s=ends_in_s), slice_.growth(1), 0.0)
    assert (slice_.part, slice_.left) == (part, 0 if part else 10)


# Of 5 asked for again within a second of a denial, with so much here and so much for anybody → whether that helps.
DENIED_BUT_FREE = [(2, 3, False, True), (5, 0, False, True), (2, 2, False, False), (2, 3, True, False)]


@pytest.mark.parametrize(("left", "elsewhere", "unheard", "may_grow"), DENIED_BUT_FREE)
def test_a_denial_ends_with_what_was_short(left: int, elsewhere: int, unheard: bool, may_grow: bool) -> None:
    """Nobody is refused for good with a message by which enough is left."""
    slice_ = BudgetSlice(budget(), count())
    slice_.amount, slice_.left, slice_.elsewhere, slice_.unheard = 100, left, elsewhere, unheard
    slice_.denied_least, slice_.denied_until_s = 1, 10.0
    assert slice_.shortage(5, 9.5).may_grow is may_grow


# -- a slice and its lease server


def test_an_ask_that_cannot_be_met_takes_nothing_and_is_not_repeated_at_once(clock: list[float]) -> None:
    """Of 10, 6 are reserved here: 6 more cannot be had, and the 4 that are left are somebody else's to take."""

    async def spend() -> None:
        lease_server = Scripted({"b": 6})
        allowances = Allowances(OneOf(lease_server, 0))
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 6, 0.0) is None
        lease_server._amounts["b"], clock[0] = 10, 2.0
        before = len(lease_server.heard)
        short = allowance.reserve("azure", "gpt-5.5", 6, 0, 2.0)
        assert short is not None
        assert not await allowances.grow(short)
        again = allowance.reserve("azure", "gpt-5.5", 6, 0, 2.0)
        assert again is not None
        assert (short.may_grow, again.may_grow) == (True, False)
        assert len(lease_server.heard) == before + 1
        other = Allowances(OneOf(lease_server, 1))
        assert await reserved_at(other, opened(other, budgets=[budget()]), 4, 2.0) is None

    run(spend())


def test_a_lease_server_that_went_away_is_named(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = OneOf(LocalLeaseServer({"b": 10}), 0)
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 10, 0.0) is None
        lease_server.fails, clock[0] = "before", 2.0
        short = await reserved_at(allowances, allowance, 1, 2.0)
        assert short is not None
        assert "cannot be asked" in short.message

    run(spend())


# Seconds since something was spent → what is held of 68 leased and 3 spent, after a report.
IDLE = [(False, 4.0, 68), (False, 6.0, 68), (False, 59.0, 68), (False, 60.0, 3), (True, 60.0, 68)]


@pytest.mark.parametrize(("is_open", "idle_s", "held"), IDLE)
def test_a_slice_that_lies_idle_for_a_minute_goes_back(
    clock: list[float], is_open: bool, idle_s: float, held: int
) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        if not is_open:
            allowance.end_reservation("azure", "gpt-5.5", 4, 3, 0, 0)
        await allowances.report(0.0)
        await allowances.report(idle_s)
        assert sum(lease_server._held.values()) == held

    run(spend())


class Deaf(Scripted):
    """A lease server that does not hear the calls of some numbers, counted from 1."""

    calls = 0
    unheard: frozenset[int] = frozenset()

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        self.calls += 1
        if self.calls in self.unheard:
            raise ConnectionError
        return await super().lease(asks)


def test_what_was_given_back_unheard_is_told_again_and_then_no_more(clock: list[float]) -> None:
    async def spend() -> None:
        lease_server = Deaf({"b": 1000})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        allowance.end_reservation("azure", "gpt-5.5", 4, 3, 0, 0)
        lease_server.changes, lease_server.unheard = {"revoked": True}, frozenset({3})
        await allowances.report(0.0)  # 2: revoked; 3: given back, unheard
        assert sum(lease_server._held.values()) == 68
        lease_server.changes = {}
        await allowances.report(0.0)  # 4: told again
        assert sum(lease_server._held.values()) == 3
        await allowances.report(0.0)
        assert lease_server.calls == 4

    run(spend())


def test_who_looks_at_a_budget_has_it_heard_anew(clock: list[float]) -> None:
    """The gateway is told nothing when a budget is raised or lowered; a process that spends nothing would never ask."""

    async def spend() -> None:
        lease_server = Scripted({"b": 10})
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 10, 0.0) is None
        allowance.end_reservation("azure", "gpt-5.5", 10, 10, 0, 0)
        await allowances.report(0.0)
        (slice_,) = allowances.slices()
        for looks, heard in ((False, 10), (True, 25), (False, 25)):
            lease_server._amounts["b"] += 15
            if looks:
                assert allowance.limits_and_slices(1.0) == ((), (slice_,))
                lease_server._amounts["b"] = 25
            await allowances.report(1.0)
            assert (slice_.amount, slice_.elsewhere) == (heard, heard - 10)

    run(spend())


@pytest.mark.parametrize("journal", ["fails", "hangs"])
@pytest.mark.parametrize("why", ["revoked", "idle"])
def test_nothing_is_given_back_before_the_journal_has_what_freed_it(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, why: str, journal: str
) -> None:
    """Of a process that dies, an attempt without an end counts as reserved: others must not have spent that."""

    async def spend() -> None:
        is_durable = False

        async def recorded() -> bool:
            if journal == "hangs" and not is_durable:
                await asyncio.Event().wait()
            return is_durable

        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server, recorded=recorded)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        allowance.end_reservation("azure", "gpt-5.5", 4, 3, 0, 0)
        await allowances.report(0.0)
        lease_server.changes = {"revoked": why == "revoked"}
        now_s = 60.0 if why == "idle" else 6.0
        if journal == "hangs":
            monkeypatch.setattr(sys.modules[Allowances.__module__], "_PATIENCE_S", 0.05)
        await allowances.report(now_s)
        (slice_,) = allowances.slices()
        assert (sum(lease_server._held.values()), slice_.leased, slice_.left) == (68, 68, 65)
        is_durable = True
        monkeypatch.setattr(sys.modules[Allowances.__module__], "_PATIENCE_S", PATIENCE_S)
        await allowances.report(now_s)
        assert (sum(lease_server._held.values()), slice_.leased, slice_.left) == (3, 3, 0)

    run(spend())


def test_what_is_kept_after_all_is_kept_in_its_own_period(clock: list[float]) -> None:
    """The period ends while the journal is asked, which cannot record what freed the amount."""

    async def spend() -> None:
        async def recorded() -> bool:
            slice_.turn()
            return False

        lease_server = Scripted({"b": 1000})
        allowances = Allowances(lease_server, recorded=recorded)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        (slice_,) = allowances.slices()
        lease_server.changes = {"revoked": True}
        await allowances.report(0.0)
        assert (slice_.part, slice_.leased, slice_.left) == (1, 0, 0)

    run(spend())


@pytest.mark.parametrize("asked", ["report", "transfer"])
def test_an_answer_for_a_period_that_is_over_is_not_held_in_the_next(clock: list[float], asked: str) -> None:
    async def spend() -> None:
        lease_server = Scripted({"b": 1000})
        lease_server.changes = {"ends_in_s": 50.0}
        allowances = Allowances(lease_server)
        allowance = opened(allowances, budgets=[budget()])
        assert await reserved_at(allowances, allowance, 4, 0.0) is None
        (slice_,) = slices = allowance.slices("azure", "gpt-5.5")
        asking: asyncio.Task[Any] = asyncio.create_task(
            allowances.report(49.0) if asked == "report" else allowances.transfer(slices, 4, "f" * 16, 1)
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the ask is on its way
        assert allowance.reserve("azure", "gpt-5.5", 4, 0, 50.0) is not None
        await asking
        assert (slice_.part, slice_.leased, slice_.left) == (1, 0, 0)

    run(spend())


class Spending(RuleBasedStateMachine):
    """Two processes and one budget: reserve, end, report, new plans and ends of periods, in any order."""

    AMOUNT = 100
    open = Bundle("open")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.lease_server = LocalLeaseServer({"b": self.AMOUNT})
        self.lease_servers = [OneOf(self.lease_server, number) for number in range(2)]
        self.allowances = [Allowances(lease_server) for lease_server in self.lease_servers]
        self.transferred: dict[str, int] = {}
        self.worker = [opened(allowances, budgets=[budget()]) for allowances in self.allowances]
        self.charged = self.reserved = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self._close())
        self.loop.close()
        free = self.AMOUNT - sum(self.lease_server._held.values())
        assert free == self.AMOUNT - self.charged - self.reserved

    async def _close(self) -> None:
        for allowances in self.allowances:
            await allowances.close()

    @rule(target=open, number=st.integers(0, 1), cost=st.integers(1, 40))
    def reserve(self, number: int, cost: int) -> tuple[KeyAllowance, int]:
        allowance = self.worker[number]
        if self.loop.run_until_complete(reserved(self.allowances[number], allowance, cost)) is not None:
            return allowance, 0
        self.reserved += cost
        return allowance, cost

    @rule(attempt=consumes(open), share=st.integers(0, 100))
    def end_reservation(self, attempt: tuple[KeyAllowance, int], share: int) -> None:
        allowance, cost = attempt
        if cost:
            charged = cost * share // 100
            allowance.end_reservation("azure", "gpt-5.5", cost, charged, 0, 0)
            self.reserved -= cost
            self.charged += charged

    @rule(
        attempt=consumes(open),
        number=st.integers(0, 1),
        fails=st.sampled_from(["", "", "before", "after"]),
        shares=st.lists(st.integers(0, 100), max_size=1),
    )
    def outlive(self, attempt: tuple[KeyAllowance, int], number: int, fails: str, shares: list[int]) -> None:
        """It gets a lease of its own; the call may fail before or after it was heard, and is said again then. Its end
        is told by either process, or comes later than this."""
        allowance, cost = attempt
        if not cost:
            return
        mine = allowance._allowances
        holder = f"{len(self.transferred)}"
        self.transferred[holder] = cost
        self.lease_servers[self.allowances.index(mine)].fails = fails
        slices = allowance.slices("azure", "gpt-5.5")
        serial = 0
        while not self.loop.run_until_complete(mine.transfer(slices, cost, holder, serial := serial + 1)):
            self.never_overshot()
            if not fails:
                # No lease can be added beside one of a period that is over: it goes on here.
                allowance.end_reservation("azure", "gpt-5.5", cost, 0, 0, 0)
                assert self.loop.run_until_complete(mine.end(["b"], 0, holder))
                self.reserved -= cost
                return
            fails = ""
        for share in shares:
            self.reserved -= cost
            self.charged += cost * share // 100
            assert self.loop.run_until_complete(self.allowances[number].end(["b"], cost * share // 100, holder))

    @rule(number=st.integers(0, 1))
    def report(self, number: int) -> None:
        self.loop.run_until_complete(self.allowances[number].report(monotonic()))

    @rule(number=st.integers(0, 1))
    def period_ends(self, number: int) -> None:
        for budget_slice in self.allowances[number]._slices.values():
            budget_slice.turn()

    @rule(number=st.integers(0, 1))
    def new_plan(self, number: int) -> None:
        self.worker[number] = opened(self.allowances[number], budgets=[budget()])

    @invariant()
    def never_overshot(self) -> None:
        assert self.charged + self.reserved <= sum(self.lease_server._held.values()) <= self.AMOUNT
        for allowances in self.allowances:
            for budget_slice in allowances._slices.values():
                assert budget_slice.left == budget_slice.leased - budget_slice.spent - budget_slice.reserved >= 0
                for former in budget_slice.formers:
                    assert former.spent + former.reserved <= former.leased


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# Of a budget of 10: which lease asks, for at least how much, wishing how much → what it holds then, and what is left.
GRANTED = [
    (0, 4, 6, 6, 4),
    (1, 3, 8, 4, 0),  # what there is, as it is enough
    (2, 1, 1, 0, 0),
    (0, 0, 2, 2, 4),  # four are given back
    (2, 5, 5, 0, 4),  # four do not help who needs five, and stay
]


def test_a_lease_server_of_its_own_grants_what_there_is() -> None:
    lease_server = LocalLeaseServer({"b": 10})
    for part, least, target, leased, left in GRANTED:
        ask = Ask(budget="b", part=part, serial=1, least=least, target=target)
        (granted,) = run(lease_server.lease([ask]))
        assert (granted.leased, granted.left, granted.amount) == (leased, left, 10)
