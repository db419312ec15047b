"""Allowances of customers: limits by the minute, of which this process may hold shares, and budgets
of which it holds slices.

Lives as long as the process; a new plan changes what holds and for whom, never what was already
used. On a request's way there is no I/O and no clock: seconds (of `time.monotonic`) are arguments,
and slices come from a `LeaseServer`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from itertools import count
from time import monotonic
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from clauseway.gateway.budgets.leases import Ask, GrantedLease, LeaseServer
from clauseway.gateway.budgets.limit_shares import SharedWindow
from clauseway.gateway.budgets.shortage import Shortage
from clauseway.gateway.budgets.slices import DENIED_S, BudgetSlice, Former, shortest
from clauseway.gateway.budgets.windows import Window, header_lines
from clauseway.gateway.plan import Budget, Key, RateLimit
from clauseway.gateway.plan.file import PlanRows
from clauseway.gateway.plan.steps import emptied, whole

__all__ = ["Allowances", "KeyAllowance", "Shortage"]

# A lease server that takes longer is down, as far as a waiting request is concerned.
_PATIENCE_S: Final = 1.0
# The last ask of a lease that no process holds: the lease server ignores any other.
_LAST_SERIAL: Final = 1 << 62
# A millisecond's worth of looking at what there is to report; then requests have their turn.
_SLICES_AT_ONCE: Final = 500

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class LazyList(Protocol[T_co]):
    """A list whose rows are decoded when they are asked for, or a tuple."""

    def __getitem__(self, at: int, /) -> T_co: ...

    def __iter__(self) -> Iterator[T_co]: ...


class Allowed(Protocol):
    """The limits and budgets of a plan."""

    @property
    def limits(self) -> LazyList[RateLimit]: ...

    @property
    def budgets(self) -> LazyList[Budget]: ...


_Leased = BudgetSlice | SharedWindow
# Limits of requests that are narrowed, limits of tokens, budgets; then all limits of requests, and
# all of tokens.
_Windows = tuple[Window, ...]
_Matching = tuple[_Windows, _Windows, tuple[BudgetSlice, ...], _Windows, _Windows]


class KeyAllowance:
    """The limits and budgets that hold for a key. Shared by the keys for which the same ones
    hold."""

    __slots__ = ("_allowances", "_matching", "_requests", "_slices", "_windows")

    def __init__(
        self, allowances: "Allowances", windows: Sequence[Window], slices: Sequence[BudgetSlice]
    ) -> None:
        self._allowances = allowances
        self._windows = tuple(windows)
        self._slices = tuple(slices)
        self._requests = tuple(
            w for w in windows if w.kind == "requests" and w.narrowed == ("", "")
        )
        self._matching: dict[tuple[str, str], _Matching] = {}

    def admit(self, now_s: float) -> Shortage | None:
        """Count one request against the limits of requests that hold for any cloud and product;
        all, or none."""
        for window in self._requests:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < 1:
                return window.shortage(1, now_s)
        for window in self._requests:
            window.left -= 1
            window.fresh += 1
        return None

    def reserve(
        self, cloud: str, product: str, picodollars: int, tokens: int, now_s: float
    ) -> Shortage | None:
        """Reserve an attempt's worst case from every budget and limit that holds for it; from all,
        or from none. A budget that the present plan does not have any more grants nothing, and
        refuses nobody.

        Limits of requests that are narrowed to a cloud or product count an attempt here. An attempt
        that costs nothing is refused by no other limit and by no budget, also where these are
        overdrawn.
        """
        requests, windows, slices, _, _ = self._matching.get((cloud, product)) or self._match(
            cloud, product
        )
        # First look, taking nothing: the limits of requests, of tokens, then the budgets.
        for window in requests:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < 1:
                return window.shortage(1, now_s)
        for window in windows:
            if now_s >= window.step_end_s:
                window.turn(now_s)
            if window.left < tokens and tokens:
                return window.shortage(tokens, now_s)
        for budget_slice in slices:
            if now_s >= budget_slice.period_end_s:
                budget_slice.turn()
            if budget_slice.left < picodollars and picodollars and not budget_slice.gone:
                return shortest(slices, picodollars, now_s)
        # Nothing is short: take from all.
        for window in requests:
            window.left -= 1
            window.fresh += 1
        for window in windows:
            window.left -= tokens
        for budget_slice in slices:
            budget_slice.reserved += picodollars
            budget_slice.left -= picodollars
            if budget_slice.left < budget_slice.low_water and budget_slice.lease_task is None:
                self._allowances.top_up(budget_slice, picodollars)
        return None

    def end_reservation(
        self,
        cloud: str,
        product: str,
        reserved_picodollars: int,
        charged_picodollars: int,
        reserved_tokens: int,
        used_tokens: int,
    ) -> None:
        """End a reservation with its charge; the remainder is free again. Exactly once for each
        reservation that was made.

        The tokens used count from the latest step on that the limit has seen, which is not before
        the reservation's.
        """
        _, windows, slices, _, _ = self._matching[cloud, product]
        for window in windows:
            # Tokens that were reserved and not used are free at once.
            window.left += reserved_tokens - used_tokens
            window.fresh += used_tokens
        for budget_slice in slices:
            # It may have been reserved in a former period: then `end_reservation` finds the lease.
            if budget_slice.formers:
                budget_slice.end_reservation(reserved_picodollars, charged_picodollars)
            else:
                budget_slice.reserved -= reserved_picodollars
                budget_slice.spent += charged_picodollars
                budget_slice.left += reserved_picodollars - charged_picodollars

    def limits_and_slices(self, now_s: float) -> tuple[tuple[Window, ...], tuple[BudgetSlice, ...]]:
        """Return the limits, as they stand now, and the slices of budgets, which hear with the next
        report how their budgets stand."""
        for window in self._windows:
            if now_s >= window.step_end_s:
                window.turn(now_s)
        for budget_slice in self._slices:
            budget_slice.asked_about = True
        return self._windows, self._slices

    def slices(self, cloud: str, product: str) -> tuple[BudgetSlice, ...]:
        """Return this process's slices of the budgets that hold for an attempt."""
        return (self._matching.get((cloud, product)) or self._match(cloud, product))[2]

    def rate_limit_headers(self, now_s: float, cloud: str = "", product: str = "") -> bytes:
        """Return the `x-ratelimit-*` lines of the tightest limits that hold, as OpenAI writes them;
        empty without limits."""
        if not self._windows:
            return b""
        _, _, _, requests, tokens = self._matching.get((cloud, product)) or self._match(
            cloud, product
        )
        return header_lines(requests, now_s) + header_lines(tokens, now_s)

    def _match(self, cloud: str, product: str) -> _Matching:
        """Return the limits and budgets that hold for an attempt. INVARIANT: kept from here on, so
        that its reservation ends with the same ones."""
        holds = {(c, p) for c in (cloud, "") for p in (product, "")}
        requests = tuple(
            w for w in self._windows if w.kind == "requests" and w.narrowed in holds - {("", "")}
        )
        tokens = tuple(w for w in self._windows if w.kind == "tokens" and w.narrowed in holds)
        slices = tuple(p for p in self._slices if p.narrowed in holds)
        matching = self._matching[cloud, product] = (
            requests,
            tokens,
            slices,
            (*self._requests, *requests),
            tokens,
        )
        return matching


class Allowances:
    """The allowances of all keys of a process, by the ids of their limits and budgets.

    `shares_limits`: other processes keep the same limits, so shares of them are leased. `recorded`
    waits until the journal has the ends of all attempts so far; False where it cannot.
    """

    def __init__(
        self,
        lease_server: LeaseServer,
        *,
        shares_limits: bool = False,
        recorded: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._lease_server = lease_server
        self._recorded = recorded
        self._window: type[Window] = SharedWindow if shares_limits else Window
        self._windows: dict[tuple[str, str], Window] = {}
        self._slices: dict[str, BudgetSlice] = {}
        self._limits: LazyList[RateLimit] = ()
        self._budgets: LazyList[Budget] = ()
        self._allowances: dict[tuple[tuple[int, ...], tuple[int, ...]], KeyAllowance] = {}
        # Of superseded plans: allowances that exist only there are dropped.
        self._former_allowances: list[
            dict[tuple[tuple[int, ...], tuple[int, ...]], KeyAllowance]
        ] = []
        self._limits_before: list[LazyList[RateLimit]] = []
        self._budgets_before: list[LazyList[Budget]] = []
        self._parts = count()

    def reload(self, plan: Allowed) -> None:
        """Let a plan's limits and budgets hold, and forget all others."""
        self.turn_to(plan)
        whole(self.forgetting())

    def turn_to(self, plan: Allowed) -> None:
        """Let a plan's limits and budgets hold, each from when a key of it is first asked for. The
        usage of those that stay counts on."""
        self._limits_before.append(self._limits)
        self._budgets_before.append(self._budgets)
        self._limits, self._budgets = plan.limits, plan.budgets
        self._former_allowances.append(self._allowances)
        self._allowances = {}

    def forgetting(self) -> Generator[None, None, None]:
        """Drop, in steps, the limits and budgets that the plan which was turned to last does not
        have."""
        while self._former_allowances:
            yield from emptied(self._former_allowances[-1])
            self._former_allowances.pop()
        staying: dict[str, None] = {}
        for limit in self._limits:
            staying[limit.id] = None
            yield
        while self._limits_before:
            for limit in self._limits_before[-1]:
                # A limit of both plans keeps its windows: what its last minute used still counts.
                if limit.id not in staying:
                    self._windows.pop(("requests", limit.id), None)
                    self._windows.pop(("tokens", limit.id), None)
                yield
            yield from _let_go(self._limits_before.pop())
        yield from emptied(staying)
        for budget in self._budgets:
            staying[budget.id] = None
            self._mark(budget.id, gone=False)
            yield
        while self._budgets_before:
            for budget in self._budgets_before[-1]:
                if budget.id not in staying:
                    # Its slice stays until the lease server has heard what was spent of it.
                    self._mark(budget.id, gone=True)
                yield
            yield from _let_go(self._budgets_before.pop())
        yield from emptied(staying)

    def _mark(self, budget: str, *, gone: bool) -> None:
        budget_slice = self._slices.get(budget)
        if budget_slice is not None:
            budget_slice.gone = gone

    def of(self, key: Key) -> KeyAllowance:
        """Return the allowance of a key of the plan that was loaded last."""
        indices = (key.limits, key.budgets)
        if indices not in self._allowances:
            windows = [
                window for index in key.limits for window in self._windows_of(self._limits[index])
            ]
            slices = [self._slice_of(self._budgets[index]) for index in key.budgets]
            self._allowances[indices] = KeyAllowance(self, windows, slices)
        return self._allowances[indices]

    def slices(self) -> list[BudgetSlice]:
        """Return the slices that this process holds, to be looked at."""
        return [budget_slice for budget_slice in self._slices.values() if not budget_slice.gone]

    async def grow(self, shortage: Shortage) -> bool:
        """Ask for more of the limit or the budgets that were short. Return whether the needed amount
        is there now. Takes a second at most.

        Reserve again then, whatever the answer: others may have been quicker, and the new shortage
        has the new figures. After a denial `may_grow` is false for a moment, so the caller's tries
        come to an end.
        """
        needed = shortage.needed
        slices = _leased_of(shortage)
        awaited: set[asyncio.Task[Any]] = set()
        for budget_slice in slices:
            budget_slice.waiting += needed
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while short := [
                    budget_slice for budget_slice in slices if budget_slice.left < needed
                ]:
                    idle = [
                        budget_slice for budget_slice in short if budget_slice.lease_task is None
                    ]
                    if not all(
                        budget_slice.shortage(needed, monotonic()).may_grow for budget_slice in idle
                    ):
                        break
                    if idle:
                        self._start(
                            [
                                _Call(budget_slice, None, budget_slice.growth(needed))
                                for budget_slice in idle
                            ]
                        )
                    awaited = _under_way(short)
                    await asyncio.wait(awaited)
        except TimeoutError:
            # The ask goes on: what it brings is there for a later request. Where it was answered while
            # this process stood still, another ask may help.
            if not all(task.done() for task in awaited):
                for budget_slice in slices:
                    budget_slice.denied_least = 0
                    budget_slice.denied_until_s = monotonic() + DENIED_S
                    budget_slice.unheard = True
        finally:
            for budget_slice in slices:
                budget_slice.waiting -= needed
        return bool(slices) and all(budget_slice.left >= needed for budget_slice in slices)

    def top_up(self, budget_slice: BudgetSlice, needed: int) -> None:
        """Ask for more of a slice that runs low, before a request waits for it."""
        if budget_slice.shortage(needed, monotonic()).may_grow:
            self._start([_Call(budget_slice, None, budget_slice.growth(needed))])

    async def transfer(
        self, slices: Sequence[BudgetSlice], picodollars: int, holder: str, serial: int
    ) -> bool:
        """Move a reservation from our slice of each budget to a lease of its own, in one call. Return
        whether each budget granted one: then nothing of it is reserved here any more.

        Nobody else may be asking for these budgets at the moment: see `quiet`.
        """
        if any(budget_slice.formers for budget_slice in slices):
            # The reservation may belong to a lease whose period is over, which gives nothing away.
            if not await self.hold(
                [budget_slice.id for budget_slice in slices], picodollars, holder, serial
            ):
                return False
            for budget_slice in slices:
                budget_slice.end_reservation(picodollars, 0)
            return True
        parts = [budget_slice.part for budget_slice in slices]
        own = [budget_slice.transfer(picodollars) for budget_slice in slices]
        # A task of its own: requests that wait for one of these slices wait for this call, and for
        # nothing else that the caller may do.
        task = asyncio.get_running_loop().create_task(
            self._move(slices, parts, own, picodollars, holder, serial)
        )
        for budget_slice in slices:
            assert budget_slice.lease_task is None, "two calls for one budget"
            budget_slice.lease_task = task
        return await task

    async def _move(
        self,
        slices: Sequence[BudgetSlice],
        parts: Sequence[int],
        own: Sequence[Ask],
        picodollars: int,
        holder: str,
        serial: int,
    ) -> bool:
        """Ask for our own leases (`parts`), smaller by the reservation, and for the hold's. Return
        whether each of those is granted; else the reservation is ours again."""
        holds = [_hold(budget_slice.id, picodollars, holder, serial) for budget_slice in slices]
        began_s = monotonic()
        granted: Sequence[GrantedLease] = ()
        try:
            asks = [ask for pair in zip(own, holds, strict=True) for ask in pair]
            granted = await self._lease(asks) or ()  # without one, the amounts are taken back below
        finally:
            for budget_slice in slices:
                budget_slice.lease_task = None
        for budget_slice, ask, slice_ in zip(slices, own, granted[::2], strict=False):
            if ask.part == budget_slice.part:
                budget_slice.granted(slice_, ask, began_s)
        if granted and all(slice_.leased >= picodollars for slice_ in granted[1::2]):
            return True
        for budget_slice, part in zip(slices, parts, strict=True):
            budget_slice.take_back(picodollars, part)
        return False

    async def quiet(self, slices: Sequence[BudgetSlice]) -> None:
        """Wait until nobody asks for any of these budgets."""
        while lease_tasks := {
            budget_slice.lease_task
            for budget_slice in slices
            if budget_slice.lease_task is not None
        }:
            await asyncio.wait(lease_tasks)

    async def hold(
        self, budgets: Sequence[str], picodollars: int, holder: str, serial: int
    ) -> bool:
        """Ask for the leases of a hold, again or for the first time. Return whether all are
        granted."""
        asks = [_hold(name, picodollars, holder, serial) for name in budgets]
        slices = await self._lease(asks)
        return slices is not None and all(slice_.leased >= picodollars for slice_ in slices)

    async def end(self, budgets: Sequence[str], spent: int, holder: str) -> bool:
        """End the leases of a hold, with what was spent of each. Return whether the lease server
        knows."""
        asks = [
            Ask(budget=name, part=0, serial=_LAST_SERIAL, spent=spent, over=True, holder=holder)
            for name in budgets
        ]
        return await self._lease(asks) is not None

    async def _lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease] | None:
        """Return one lease for each ask; None where the lease server cannot be asked in time."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._lease_server.lease(asks)
        except OSError:
            return None

    async def report(self, now_s: float) -> None:
        """Tell the lease server what was spent, return the leases that are over, give back what is
        revoked or idle.

        To be called once a second or so. Raises nothing: what could not be said is said the next
        time.
        """
        leased: list[_Leased] = [*self._slices.values(), *self._shares()]
        for begin in range(0, len(leased), _SLICES_AT_ONCE):
            if begin:
                await asyncio.sleep(0)
            calls: list[_Call] = []
            for lease in leased[begin : begin + _SLICES_AT_ONCE]:
                # Its answer is still awaited: one call at a time.
                if lease.lease_task is not None:
                    continue
                if isinstance(lease, BudgetSlice):
                    calls += self._reports(lease, now_s)
                elif (ask := lease.report(now_s)) is not None:
                    calls.append(_Call(lease, None, ask))
            if calls:
                await asyncio.shield(self._start(calls))

    def _shares(self) -> list[SharedWindow]:
        """Return the shares of limits; none where no other process keeps them."""
        if self._window is Window:
            return []
        return [window for window in self._windows.values() if isinstance(window, SharedWindow)]

    def _reports(self, budget_slice: BudgetSlice, now_s: float) -> "list[_Call]":
        """Return the calls that report on a slice."""
        if now_s >= budget_slice.period_end_s or (budget_slice.gone and budget_slice.serial):
            budget_slice.turn()
        calls = [
            _Call(budget_slice, former, former.over(budget_slice.id))
            for former in budget_slice.formers
            if not former.reserved
        ]
        if budget_slice.gone and not budget_slice.formers:
            del self._slices[budget_slice.id]
        elif (ask := budget_slice.report(now_s)) is not None:
            calls.append(_Call(budget_slice, None, ask))
        return calls

    async def close(self) -> None:
        """Return every slice and share. Requests that are still open are counted as what they
        reserved."""
        shares = self._shares()
        while lease_tasks := _under_way([*self._slices.values(), *shares]):
            await asyncio.wait(lease_tasks)
        calls = [_Call(share, None, share.over()) for share in shares if share.leased]
        for budget_slice in self._slices.values():
            budget_slice.turn()
            for former in budget_slice.formers:
                former.spent, former.reserved = former.spent + former.reserved, 0
                calls.append(_Call(budget_slice, former, former.over(budget_slice.id)))
        if calls:
            await self._start(calls)

    def _windows_of(self, limit: RateLimit) -> list[Window]:
        amounts: list[tuple[Literal["requests", "tokens"], int]] = [
            ("requests", limit.requests_per_minute),
            ("tokens", limit.tokens_per_minute),
        ]
        windows = []
        for kind, amount in amounts:
            if amount:
                window = self._windows.setdefault(
                    (kind, limit.id), self._window(kind, limit, amount)
                )
                window.describe(limit, amount)
                windows.append(window)
        return windows

    def _slice_of(self, budget: Budget) -> BudgetSlice:
        if budget.id not in self._slices:
            self._slices[budget.id] = BudgetSlice(budget, self._parts)
        self._slices[budget.id].describe(budget)
        return self._slices[budget.id]

    def _start(self, calls: "list[_Call]") -> "asyncio.Task[None]":
        """Start a call: one at a time for each budget and limit."""
        task = asyncio.get_running_loop().create_task(self._call(calls))
        for call in calls:
            assert call.leased.lease_task in (None, task), "two calls for one lease"
            call.leased.lease_task = task
        return task

    async def _call(self, calls: "list[_Call]") -> None:
        try:
            await self._give_back(await self._ask_for(calls))
        finally:
            for call in calls:
                call.leased.lease_task = None

    async def _give_back(self, revoked: "list[_Leased]") -> None:
        """Give back what is free.

        INVARIANT: only once the journal has what freed it. Of a process that dies, an attempt
        without an end counts as what it reserved, and others have spent by then what was given back.
        """
        free = [max(leased.left, 0) for leased in revoked]
        calls = [_Call(leased, None, leased.give_back()) for leased in revoked]
        if calls and not await self._is_recorded():
            for (leased, _, ask), amount in zip(calls, free, strict=True):
                if isinstance(leased, BudgetSlice):
                    leased.keep(amount, ask.part)
            # Shares of limits are not counted by the journal.
            calls = [call for call in calls if not isinstance(call.leased, BudgetSlice)]
        await self._ask_for(calls)

    async def _is_recorded(self) -> bool:
        if self._recorded is None:
            return True
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._recorded()
        except TimeoutError:
            return False

    async def _ask_for(self, calls: "list[_Call]") -> list[_Leased]:
        """Send the asks and take over the answers. Return the leases whose free part is to be given
        back.

        Where the lease server could not be asked, nothing was granted, as far as we know.
        """
        if not calls:
            return []
        began_s = monotonic()
        slices = await self._lease([call.ask for call in calls])
        if slices is None:
            for leased, former, _ in calls:
                # A former lease stays in the list and is reported again.
                if former is None:
                    leased.denied_least, leased.denied_until_s = 0, began_s + DENIED_S
                    leased.unheard = True
            return []
        revoked: list[_Leased] = []
        for (leased, former, ask), slice_ in zip(calls, slices, strict=True):
            # The server has the last figures of a lease that is over.
            if former is not None:
                assert isinstance(leased, BudgetSlice), "limits have no former leases"
                leased.formers.remove(former)
            # An answer to a lease that ended meanwhile grants nothing.
            elif ask.part == leased.part:
                leased.granted(slice_, ask, began_s)
                # Another process is short, or nobody here needs it: what is free goes back at once.
                if leased.left > 0 and (
                    slice_.revoked or (isinstance(leased, BudgetSlice) and leased.idle)
                ):
                    revoked.append(leased)
        return revoked


def _leased_of(shortage: Shortage) -> list[_Leased]:
    """Return the slices, or the share, that were short."""
    return [lease for lease in shortage.growing if isinstance(lease, (BudgetSlice, SharedWindow))]


def _under_way(leased: Iterable[_Leased]) -> set[asyncio.Task[Any]]:
    """Return the calls that ask for slices and shares at present."""
    return {lease.lease_task for lease in leased if lease.lease_task is not None}


def _hold(budget: str, picodollars: int, holder: str, serial: int) -> Ask:
    return Ask(
        budget=budget, part=0, serial=serial, least=picodollars, target=picodollars, holder=holder
    )


def _let_go(former: LazyList[T]) -> Generator[None, None, None]:
    """Drop a list that is not asked any more, in steps; a tuple goes at once."""
    if isinstance(former, PlanRows):
        yield from former.letting_go()


class _Call(NamedTuple):
    """An ask for a present lease, or for a former one of a budget."""

    leased: _Leased
    former: Former | None
    ask: Ask
