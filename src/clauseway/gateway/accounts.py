"""What customers may still ask and spend: limits by the minute, and budgets of which this process holds slices.

Lives as long as the process; a new plan changes what holds and for whom, never what was already used. On a request's
way there is no I/O and no clock: seconds (of `time.monotonic`) are arguments, and slices come from a `leases.Lessor`.

A limit is a window that slides in steps of a second. A step counts whole until none of it is younger than a minute, so
in no minute, wherever it begins, is more let through than the limit says; a token bucket would let through up to twice
that. Tokens count from their reservation on, at its worst case, and from settlement on as what was used.

A budget is spent from a slice that this process has leased. INVARIANT: spent + reserved ≤ leased, as long as no charge
is larger than its reservation. What was reserved in one period and ends in the next is settled with the slice that it
was reserved from, oldest first.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from time import monotonic
from typing import Literal, NamedTuple

from clauseway.gateway.leases import FOREVER_S, Ask, Lessor, Slice
from clauseway.gateway.plan import Budget, Key, Plan, RateLimit

_WINDOW_S = 60
# A lessor that takes longer is down, as far as a waiting request is concerned.
_LESSOR_PATIENCE_S = 1.0
# What was denied is not asked for again at once: a refused client must not become load on the lessor.
_DENIED_S = 1.0
# A process that does not spend still says now and then that it is here, and hears whether somebody is short; after a
# minute it gives back what it holds.
_SILENCE_S, _IDLE_S = 5.0, 60.0
# A slice lasts for some requests of the size just asked for, and for what the last one lasted for, twice.
_SLICE_REQUESTS, _SLICE_GROWTH = 16, 2
_PICODOLLARS = 10**12


class Shortage(NamedTuple):
    """Why a request may not go on. Amounts are requests, tokens or picodollars, by `kind`.

    `limit` is the whole limit or budget (-1: not known yet), `left` what is left of it, as far as is known here.
    `retry_after_s` is when it would do, 0 where waiting does not help or nobody knows. `may_grow`: `Accounts.grow` may
    get more, of this budget and of the `others` that were short too.
    """

    kind: Literal["requests", "tokens", "budget"]
    whose: str
    limit: int
    left: int
    needed: int
    retry_after_s: float
    may_grow: bool
    id: str
    others: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """In words, with figures."""
        if self.kind == "budget":
            if self.limit < 0:
                return f"The budget of {self.whose} cannot be asked for more now.{self._todo}"
            what = f"The budget of {_usd(self.limit)} of {self.whose} has {_usd(self.left)} left"
            return f"{what}; this request may cost up to {_usd(self.needed)}.{self._todo}"
        what = f"The limit of {self.limit:,} {self.kind} a minute of {self.whose} has {self.left:,} left"
        if self.kind == "requests":
            return f"{what}.{self._todo}"
        return f"{what}; this request may take up to {self.needed:,}.{self._todo}"

    @property
    def _todo(self) -> str:
        if self.needed > self.limit >= 0:
            return " It never fits: ask for fewer output tokens, or have the limit raised."
        return f" Try again in {_duration(self.retry_after_s)}." if self.retry_after_s else ""


def _usd(picodollars: int) -> str:
    whole, rest = divmod(abs(picodollars), _PICODOLLARS)
    digits = f"{rest:012d}".rstrip("0").ljust(2, "0")
    return f"{'-' if picodollars < 0 else ''}{whole:,}.{digits} USD"


def _duration(seconds: float) -> str:
    """As OpenAI writes durations: `12ms`, `59s`, `6m0s`, `1h0m0s`."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)}ms"
    minutes, rest = divmod(-int(-seconds // 1), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _tails(kind: str) -> tuple[bytes, ...]:
    """The end of a limit's header lines for each number of seconds until it is as before: it takes 61 at most."""
    resets = ("0ms", *(_duration(seconds) for seconds in range(1, _WINDOW_S + 2)))
    return tuple(f"\r\nx-ratelimit-reset-{kind}: {reset}\r\n".encode() for reset in resets)


_TAILS = {kind: _tails(kind) for kind in ("requests", "tokens")}


class _Window:
    """What may still pass in the present minute. `left` is the limit without what is open and without the steps, of
    which `fresh` is the present one.
    """

    __slots__ = (
        "_step", "_steps", "_tails", "fresh", "head", "id", "kind", "left", "limit", "narrowed", "step_end_s", "whose",
    )  # fmt: skip

    def __init__(self, kind: Literal["requests", "tokens"], limit: RateLimit, amount: int) -> None:
        self.kind = kind
        self.id = limit.id
        self.limit = self.left = amount
        self._tails = _TAILS[kind]
        self.fresh = 0
        self._step = 0
        self._steps: deque[tuple[int, int]] = deque()
        self.step_end_s = 0.0
        self.describe(limit, amount)

    def describe(self, limit: RateLimit, amount: int) -> None:
        """Take over what a new plan says of it."""
        kind = self.kind.encode()
        self.whose = limit.whose
        self.narrowed = (limit.cloud, limit.product)
        self.left += amount - self.limit
        self.limit = amount
        self.head = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: " % (kind, amount, kind)

    def turn(self, now_s: float) -> None:
        """Begin the step that `now_s` lies in; what is older than a minute counts no more."""
        step = int(now_s)
        if self.fresh:
            self._steps.append((self._step, self.fresh))
            self.fresh = 0
        steps = self._steps
        while steps and step - steps[0][0] > _WINDOW_S:
            self.left += steps.popleft()[1]
        self._step = step
        self.step_end_s = step + 1.0

    def tail(self) -> bytes:
        """The end of the header lines: how long until the window is empty, if nothing more comes."""
        if self.fresh:
            return self._tails[_WINDOW_S + 1]
        return self._tails[max(self._steps[-1][0] + _WINDOW_S + 1 - self._step, 0) if self._steps else 0]

    def shortage(self, needed: int, now_s: float) -> Shortage:
        return Shortage(
            self.kind, self.whose, self.limit, max(self.left, 0), needed, self._wait_s(needed, now_s), False, self.id
        )

    def _wait_s(self, needed: int, now_s: float) -> float:
        if needed > self.limit:
            return 0.0
        missing = needed - self.left
        for step, amount in (*self._steps, (self._step, self.fresh)):
            missing -= amount
            if missing <= 0:
                return step + _WINDOW_S + 1 - now_s
        return 1.0  # what is open holds the rest: nobody knows for how long


class _Former:
    """A lease of an earlier period from which something is still reserved."""

    __slots__ = ("leased", "part", "reserved", "serial", "spent")

    def __init__(self, purse: "_Purse") -> None:
        self.part, self.serial = purse.part, purse.serial
        self.leased, self.spent, self.reserved = purse.leased, purse.spent, purse.reserved

    def over(self, budget: str) -> Ask:
        """The ask that ends it."""
        self.serial += 1
        return Ask(budget=budget, part=self.part, serial=self.serial, spent=self.spent, over=True)


class _Purse:
    """This process's slice of one budget. INVARIANT: left = leased - spent - reserved."""

    __slots__ = (
        "_parts", "amount", "asking", "busy_s", "denied_least", "denied_until_s", "elsewhere", "formers", "gone",
        "id", "leased", "left", "low_water", "narrowed", "owing", "part", "period_end_s", "reported", "reserved",
        "said_s", "serial", "spent", "spent_then", "waiting", "whose",
    )  # fmt: skip

    def __init__(self, budget: Budget, parts: Iterator[int]) -> None:
        self.id = budget.id
        self.describe(budget)
        self._parts = parts
        self.part, self.serial = next(parts), 0
        self.leased = self.spent = self.reserved = self.left = 0
        self.low_water = 0
        self.period_end_s = FOREVER_S
        self.formers: list[_Former] = []
        # Of the whole budget, as last heard: its amount, and what no lease holds.
        self.amount, self.elsewhere = -1, 0
        self.denied_least, self.denied_until_s = 0, 0.0
        self.asking: asyncio.Task[None] | None = None
        self.waiting = 0
        self.spent_then = 0  # when a slice was last asked for
        self.reported = 0
        self.owing = False  # the lessor does not know yet what was given back
        self.busy_s = self.said_s = 0.0
        self.gone = False

    def describe(self, budget: Budget) -> None:
        self.whose = budget.whose
        self.narrowed = (budget.cloud, budget.product)
        self.gone = False

    def turn(self) -> None:
        """The lease is over, as its period or its budget is: what is open stays with it, another begins at nothing."""
        if self.serial:  # else nobody was asked for it
            self.formers.append(_Former(self))
        self.part, self.serial = next(self._parts), 0
        self.leased = self.spent = self.reserved = self.left = self.low_water = 0
        self.spent_then = self.reported = 0
        self.owing = False
        self.period_end_s = FOREVER_S
        self.denied_until_s = 0.0

    def settle(self, reserved: int, charged: int) -> None:
        for former in self.formers:
            part = min(reserved, former.reserved)
            paid = min(charged, part)
            former.reserved -= part
            former.spent += paid
            reserved -= part
            charged -= paid
        self.reserved -= reserved
        self.spent += charged
        self.left += reserved - charged

    def shortage(self, needed: int, now_s: float) -> Shortage:
        may_grow = not self.gone and not (now_s < self.denied_until_s and needed >= self.denied_least)
        waits = self.period_end_s - now_s if self.period_end_s < FOREVER_S and needed <= self.amount else 0.0
        left = max(self.left + self.elsewhere, 0)
        return Shortage("budget", self.whose, self.amount, left, needed, max(waits, 0.0), may_grow, self.id)

    def growth(self, needed: int) -> Ask:
        """The ask for a slice that covers `needed` and what comes soon."""
        soon = max(_SLICE_REQUESTS * needed, _SLICE_GROWTH * (self.spent - self.spent_then))
        held = self.spent + self.reserved
        self.spent_then = self.spent
        return self.ask(least=held + needed, target=max(held + max(needed, self.waiting) + soon, self.leased))

    def report(self, now_s: float) -> Ask | None:
        """What there is to say once a second: what was spent, and now and then that it is still here."""
        if self.reported != self.spent or self.reserved:
            self.busy_s = now_s
        elif not self.owing and (self.left <= 0 or now_s < self.said_s + _SILENCE_S):
            return None
        self.said_s = now_s
        return self.give_back() if now_s >= self.busy_s + _IDLE_S else self.ask()

    def ask(self, *, least: int = 0, target: int | None = None) -> Ask:
        """What the lease should be; without a target, what it is."""
        self.serial += 1
        self.reported = self.spent
        target = self.leased if target is None else target
        return Ask(budget=self.id, part=self.part, serial=self.serial, spent=self.spent, least=least, target=target)

    def give_back(self) -> Ask:
        """The ask that returns what is not used. It is no longer ours from before it is said."""
        self.leased -= max(self.left, 0)
        self.left = min(self.left, 0)
        self.low_water = 0
        self.owing = True
        return self.ask()

    def granted(self, slice_: Slice, ask: Ask, now_s: float) -> None:
        """Take over an answer. A lease only becomes larger by it: what was given back stays so."""
        self.amount, self.elsewhere = slice_.amount, slice_.left
        self.owing = False
        if slice_.ends_in_s <= 0:
            self.turn()
            return
        self.period_end_s = now_s + slice_.ends_in_s
        if ask.target >= self.leased and slice_.leased > self.leased:
            self.left += slice_.leased - self.leased
            self.leased = slice_.leased
        self.low_water = max(self.left, 0) // 4
        if slice_.leased < ask.least:
            self.denied_least, self.denied_until_s = ask.least - self.spent - self.reserved, now_s + _DENIED_S


# Limits of requests that are narrowed, limits of tokens, budgets; then all limits of requests, and all of tokens.
_Matching = tuple[
    tuple[_Window, ...], tuple[_Window, ...], tuple[_Purse, ...], tuple[_Window, ...], tuple[_Window, ...]
]


class Account:
    """The limits and budgets that hold for a key. Shared by the keys for which the same ones hold."""

    __slots__ = ("_accounts", "_matching", "_purses", "_requests", "_windows")

    def __init__(self, accounts: "Accounts", windows: Sequence[_Window], purses: Sequence[_Purse]) -> None:
        self._accounts = accounts
        self._windows = tuple(windows)
        self._purses = tuple(purses)
        self._requests = tuple(w for w in windows if w.kind == "requests" and w.narrowed == ("", ""))
        self._matching: dict[tuple[str, str], _Matching] = {}

    def admit(self, now_s: float) -> Shortage | None:
        """Count one request against the limits of requests that hold for any cloud and product; all, or none."""
        for window in self._requests:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < 1:
                return window.shortage(1, now_s)
        for window in self._requests:
            window.left -= 1
            window.fresh += 1
        return None

    def reserve(self, cloud: str, product: str, picodollars: int, tokens: int, now_s: float) -> Shortage | None:
        """Reserve an attempt's worst case from every budget and limit that holds for it; from all, or from none.

        Limits of requests that are narrowed to a cloud or product count an attempt here.
        """
        requests, windows, purses, _, _ = self._matching.get((cloud, product)) or self._match(cloud, product)
        for window in requests:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < 1:
                return window.shortage(1, now_s)
        for window in windows:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < tokens:
                return window.shortage(tokens, now_s)
        for purse in purses:
            if now_s >= purse.period_end_s:
                purse.turn()
            if purse.left < picodollars:
                return _shortest(purses, picodollars, now_s)
        for window in requests:
            window.left -= 1
            window.fresh += 1
        for window in windows:
            window.left -= tokens
        for purse in purses:
            purse.reserved += picodollars
            purse.left -= picodollars
            if purse.left < purse.low_water and purse.asking is None:
                self._accounts.top_up(purse, picodollars)
        return None

    def settle(
        self,
        cloud: str,
        product: str,
        reserved_picodollars: int,
        charged_picodollars: int,
        reserved_tokens: int,
        used_tokens: int,
    ) -> None:
        """What a reservation came to; the remainder is free again. Exactly once for each reservation that was made.

        The tokens used count from the latest step on that the limit has seen, which is not before the reservation's.
        """
        _, windows, purses, _, _ = self._matching[cloud, product]
        for window in windows:
            window.left += reserved_tokens - used_tokens
            window.fresh += used_tokens
        for purse in purses:
            if purse.formers:
                purse.settle(reserved_picodollars, charged_picodollars)
            else:
                purse.reserved -= reserved_picodollars
                purse.spent += charged_picodollars
                purse.left += reserved_picodollars - charged_picodollars

    def rate_limit_headers(self, now_s: float, cloud: str = "", product: str = "") -> bytes:
        """The `x-ratelimit-*` lines of the tightest limits that hold, as OpenAI writes them; empty without limits."""
        if not self._windows:
            return b""
        _, _, _, requests, tokens = self._matching.get((cloud, product)) or self._match(cloud, product)
        return _lines(requests, now_s) + _lines(tokens, now_s)

    def _match(self, cloud: str, product: str) -> _Matching:
        """Which of them hold for an attempt. INVARIANT: kept from here on, so that it is settled with the same ones."""
        holds = {(c, p) for c in (cloud, "") for p in (product, "")}
        requests = tuple(w for w in self._windows if w.kind == "requests" and w.narrowed in holds - {("", "")})
        tokens = tuple(w for w in self._windows if w.kind == "tokens" and w.narrowed in holds)
        purses = tuple(p for p in self._purses if p.narrowed in holds)
        found = self._matching[cloud, product] = requests, tokens, purses, (*self._requests, *requests), tokens
        return found


def _shortest(purses: tuple[_Purse, ...], needed: int, now_s: float) -> Shortage:
    """What is short of budgets: one that cannot grow, if there is one, as more of the others would not help then."""
    short = [purse.shortage(needed, now_s) for purse in purses if purse.left < needed]
    worst = min(short, key=_may_grow)
    return worst._replace(others=tuple(each.id for each in short if each is not worst))


def _may_grow(shortage: Shortage) -> bool:
    return shortage.may_grow


def _lines(windows: tuple[_Window, ...], now_s: float) -> bytes:
    """The header lines of the window with the least left."""
    tightest = None
    for window in windows:
        if now_s >= window.step_end_s:
            window.turn(now_s)
        if tightest is None or window.left < tightest.left:
            tightest = window
    if tightest is None:
        return b""
    return b"%b%d%b" % (tightest.head, tightest.left if tightest.left > 0 else 0, tightest.tail())


class Accounts:
    """All accounts of a process, by the ids of limits and budgets."""

    def __init__(self, lessor: Lessor) -> None:
        self._lessor = lessor
        self._windows: dict[tuple[str, str], _Window] = {}
        self._purses: dict[str, _Purse] = {}
        self._of_limit: list[tuple[_Window, ...]] = []
        self._of_budget: list[_Purse] = []
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], Account] = {}
        self._parts = count()

    def take_over(self, plan: Plan) -> None:
        """Let a plan's limits and budgets hold. What was used of those that stay counts on."""
        self._of_limit = [tuple(self._windows_of(limit)) for limit in plan.limits]
        staying = {(window.kind, window.id) for windows in self._of_limit for window in windows}
        self._windows = {name: window for name, window in self._windows.items() if name in staying}
        self._of_budget = [self._purse_of(budget) for budget in plan.budgets]
        for name in self._purses.keys() - {budget.id for budget in plan.budgets}:
            self._purses[name].gone = True
        self._known = {}

    def of(self, key: Key) -> Account:
        """The account of a key of the plan that was taken over last."""
        indices = (key.limits, key.budgets)
        if indices not in self._known:
            windows = [window for index in key.limits for window in self._of_limit[index]]
            self._known[indices] = Account(self, windows, [self._of_budget[index] for index in key.budgets])
        return self._known[indices]

    async def grow(self, shortage: Shortage) -> bool:
        """Ask for more of the budgets that were short; whether what was needed is there now. Takes a second at most.

        Reserve again then, whatever the answer: others may have been quicker, and the new shortage has the new figures.
        Nothing that was denied `may_grow` for a moment, so that this comes to an end.
        """
        if shortage.kind != "budget":
            return False
        needed = shortage.needed
        purses = [self._purses[name] for name in (shortage.id, *shortage.others) if name in self._purses]
        for purse in purses:
            purse.waiting += needed
        try:
            async with asyncio.timeout(_LESSOR_PATIENCE_S):
                while short := [purse for purse in purses if purse.left < needed]:
                    idle = [purse for purse in short if purse.asking is None]
                    if not all(purse.shortage(needed, monotonic()).may_grow for purse in idle):
                        break
                    if idle:
                        self._start([_Call(purse, None, purse.growth(needed)) for purse in idle])
                    await asyncio.wait({purse.asking for purse in short if purse.asking is not None})
        except TimeoutError:
            # The ask goes on: what it brings is there for a later request.
            for purse in purses:
                purse.denied_least, purse.denied_until_s = 0, monotonic() + _DENIED_S
        finally:
            for purse in purses:
                purse.waiting -= needed
        return bool(purses) and all(purse.left >= needed for purse in purses)

    def top_up(self, purse: _Purse, needed: int) -> None:
        """A slice runs low: ask for the next one before somebody waits for it."""
        if not purse.gone and purse.shortage(needed, monotonic()).may_grow:
            self._start([_Call(purse, None, purse.growth(needed))])

    async def report(self, now_s: float) -> None:
        """Tell the lessor what was spent, return the leases that are over, give back what is recalled or idle.

        To be called once a second or so. Raises nothing: what could not be said is said the next time.
        """
        calls: list[_Call] = []
        for purse in [purse for purse in self._purses.values() if purse.asking is None]:
            if now_s >= purse.period_end_s or (purse.gone and purse.serial):
                purse.turn()
            calls += [_Call(purse, former, former.over(purse.id)) for former in purse.formers if not former.reserved]
            if purse.gone and not purse.formers:
                del self._purses[purse.id]
            elif (ask := purse.report(now_s)) is not None:
                calls.append(_Call(purse, None, ask))
        if calls:
            await asyncio.shield(self._start(calls))

    async def close(self) -> None:
        """Return every slice. Requests that are still open are counted as what they reserved."""
        for purse in self._purses.values():
            if purse.asking is not None:
                await purse.asking
        calls: list[_Call] = []
        for purse in self._purses.values():
            purse.turn()
            for former in purse.formers:
                former.spent, former.reserved = former.spent + former.reserved, 0
                calls.append(_Call(purse, former, former.over(purse.id)))
        if calls:
            await self._start(calls)

    def _windows_of(self, limit: RateLimit) -> list[_Window]:
        amounts: list[tuple[Literal["requests", "tokens"], int]] = [
            ("requests", limit.requests_per_minute),
            ("tokens", limit.tokens_per_minute),
        ]
        windows = []
        for kind, amount in amounts:
            if amount:
                window = self._windows.setdefault((kind, limit.id), _Window(kind, limit, amount))
                window.describe(limit, amount)
                windows.append(window)
        return windows

    def _purse_of(self, budget: Budget) -> _Purse:
        if budget.id not in self._purses:
            self._purses[budget.id] = _Purse(budget, self._parts)
        self._purses[budget.id].describe(budget)
        return self._purses[budget.id]

    def _start(self, calls: "list[_Call]") -> "asyncio.Task[None]":
        """One call at a time for each budget."""
        task = asyncio.get_running_loop().create_task(self._call(calls))
        for call in calls:
            assert call.purse.asking in (None, task), "two calls for one budget"
            call.purse.asking = task
        return task

    async def _call(self, calls: "list[_Call]") -> None:
        try:
            recalled = await self._exchange(calls)
            await self._exchange([_Call(purse, None, purse.give_back()) for purse in recalled])
        finally:
            for call in calls:
                call.purse.asking = None

    async def _exchange(self, calls: "list[_Call]") -> list[_Purse]:
        """Say it and take over what is answered; the budgets of which something is recalled.

        Where the lessor could not be asked, nothing was granted, as far as we know.
        """
        if not calls:
            return []
        began_s = monotonic()
        try:
            async with asyncio.timeout(_LESSOR_PATIENCE_S):
                slices = await self._lessor.lease([call.ask for call in calls])
        except OSError:
            for purse, former, _ in calls:
                if former is None:
                    purse.denied_least, purse.denied_until_s = 0, began_s + _DENIED_S
            return []
        recalled = []
        for (purse, former, ask), slice_ in zip(calls, slices, strict=True):
            if former is not None:
                purse.formers.remove(former)
            elif ask.part == purse.part:
                purse.granted(slice_, ask, began_s)
                if slice_.recall and purse.left > 0:
                    recalled.append(purse)
        return recalled


class _Call(NamedTuple):
    """An ask for a budget's present lease, or for a former one."""

    purse: _Purse
    former: _Former | None
    ask: Ask
