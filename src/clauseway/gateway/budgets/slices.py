"""This process's slices of budgets: what is spent and reserved of them, and what is asked of the
lease server.

INVARIANT: spent + reserved ≤ leased, as long as no charge is larger than its reservation and the
plan has the budget. A reservation made in one period may end in the next: its charge counts against
the slice that it was reserved from, oldest first.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from clauseway.gateway.budgets.leases import FOREVER_S, Ask, GrantedLease
from clauseway.gateway.budgets.shortage import Shortage
from clauseway.gateway.plan import Budget

# A denied ask is not repeated at once: a refused client must not become load on the lease server.
DENIED_S: Final = 1.0
# A process that does not spend still says now and then that it is here, and hears whether somebody
# is short; after a minute it gives back what it holds.
_SILENCE_S, _IDLE_S = 5.0, 60.0
# A slice grows by some requests of the size just asked for, or by twice what was spent since more
# was last asked for, whichever is more.
_SLICE_REQUESTS, _SLICE_GROWTH = 16, 2


class Former:
    """A lease of an earlier period from which something is still reserved."""

    __slots__ = ("leased", "part", "reserved", "serial", "spent")

    def __init__(self, budget_slice: "BudgetSlice") -> None:
        self.part, self.serial = budget_slice.part, budget_slice.serial
        self.leased = budget_slice.leased
        self.spent = budget_slice.spent
        self.reserved = budget_slice.reserved

    def over(self, budget: str) -> Ask:
        """Return the ask that ends this lease."""
        self.serial += 1
        return Ask(budget=budget, part=self.part, serial=self.serial, spent=self.spent, over=True)


class BudgetSlice:
    """This process's slice of one budget. INVARIANT: left = leased - spent - reserved."""

    __slots__ = (
        "_parts",
        "amount",
        "asked_about",
        "busy_s",
        "denied_least",
        "denied_until_s",
        "elsewhere",
        "formers",
        "gone",
        "id",
        "idle",
        "lease_task",
        "leased",
        "left",
        "low_water",
        "narrowed",
        "owing",
        "part",
        "period_end_s",
        "reported",
        "reserved",
        "revoking",
        "said_s",
        "serial",
        "spent",
        "spent_then",
        "unheard",
        "unread",
        "waiting",
        "whose",
    )

    def __init__(self, budget: Budget, parts: Iterator[int]) -> None:
        self.id = budget.id
        self.describe(budget)
        self._parts = parts
        self.part, self.serial = next(parts), 0
        self.leased = self.spent = self.reserved = self.left = 0
        self.low_water = 0
        self.period_end_s = FOREVER_S
        self.formers: list[Former] = []
        # Of the whole budget, as last heard: its amount, and what no lease holds.
        self.amount, self.elsewhere = -1, 0
        self.denied_least, self.denied_until_s = 0, 0.0
        self.lease_task: asyncio.Task[Any] | None = None
        self.waiting = 0
        self.spent_then = 0  # `spent` when more was last asked for
        self.reported = 0
        self.unheard = False  # the lease server could not be asked the last time
        # What others held, and had not spent, when more was last asked for: dead processes, living
        # ones.
        self.unread = self.revoking = 0
        self.owing = False  # the lease server does not know yet what was given back
        self.asked_about = False  # somebody wants to know how the budget stands
        self.busy_s = self.said_s = 0.0
        self.idle = False  # for so long that what is free is to be given back
        self.gone = False  # the present plan does not have the budget

    def describe(self, budget: Budget) -> None:
        """Take over the description of the budget in a new plan."""
        self.whose = budget.whose
        self.narrowed = (budget.cloud, budget.product)
        self.gone = False

    def turn(self) -> None:
        """End the present lease, because its period or budget has ended: its open reservations stay
        with it. Begin the next lease at zero."""
        if self.serial:  # else nobody was asked for it
            self.formers.append(Former(self))
        self.part, self.serial = next(self._parts), 0
        self.leased = self.spent = self.reserved = self.left = self.low_water = 0
        self.spent_then = self.reported = 0
        self.owing = False
        self.period_end_s = FOREVER_S
        self.denied_until_s = 0.0

    def end_reservation(self, reserved: int, charged: int) -> None:
        """End a reservation while reservations of former periods are open."""
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

    def transfer(self, reserved: int) -> Ask:
        """Take a reservation out of this slice, for a lease of its own. Return the ask that makes
        this lease smaller by it."""
        self.reserved -= reserved
        self.leased -= reserved
        return self.ask()

    def take_back(self, reserved: int, part: int) -> None:
        """Reserve here again what got no lease of its own, as far as we know: from the lease
        numbered `part` that it came from or, if that is over, from the present one."""
        if part == self.part:
            self.reserved += reserved
            self.leased += reserved
            return
        for former in self.formers:
            if former.part == part:
                former.reserved += reserved
                former.leased += reserved
                return
        self.reserved += reserved
        self.left -= reserved

    def shortage(self, needed: int, now_s: float) -> Shortage:
        left = max(self.left + self.elsewhere, 0)
        # What was short when it was denied may have come back since.
        is_denied = now_s < self.denied_until_s and needed >= self.denied_least
        may_grow = not self.gone and (not is_denied or (left >= needed and not self.unheard))
        waits = (
            self.period_end_s - now_s
            if self.period_end_s < FOREVER_S and needed <= self.amount
            else 0.0
        )
        amount = -1 if self.unheard else self.amount
        # Of their worst case open requests spend little in the end, here as elsewhere.
        revoking = self.revoking + self.reserved
        # Named only if the request would fit with it. What comes back sooner is named alone.
        fits_soon = left + revoking >= needed
        fits = left + revoking + self.unread >= needed
        return Shortage(
            "budget",
            self.whose,
            amount,
            left,
            needed,
            max(waits, 0.0),
            may_grow,
            self.id,
            growing=(self,),
            unread=self.unread if fits and not fits_soon else 0,
            revoking=revoking if fits_soon else 0,
        )

    def growth(self, needed: int) -> Ask:
        """Return the ask for a slice that covers `needed` and what comes soon."""
        soon = max(_SLICE_REQUESTS * needed, _SLICE_GROWTH * (self.spent - self.spent_then))
        held = self.spent + self.reserved
        self.spent_then = self.spent
        return self.ask(
            least=held + needed, target=max(held + max(needed, self.waiting) + soon, self.leased)
        )

    def report(self, now_s: float) -> Ask | None:
        """Return the ask that reports, once a second, what was spent, and now and then that the
        slice is still held."""
        if self.reported != self.spent or self.reserved:
            self.busy_s = now_s
        elif not (self.owing or self.asked_about) and (
            self.left <= 0 or now_s < self.said_s + _SILENCE_S
        ):
            return None
        self.said_s = now_s
        self.idle = now_s >= self.busy_s + _IDLE_S
        return self.ask()

    def ask(self, *, least: int = 0, target: int | None = None) -> Ask:
        """Return the wanted state of the lease; without a target, its present state."""
        self.serial += 1
        self.reported = self.spent
        self.asked_about = False
        target = self.leased if target is None else target
        return Ask(
            budget=self.id,
            part=self.part,
            serial=self.serial,
            spent=self.spent,
            least=least,
            target=target,
        )

    def give_back(self) -> Ask:
        """Return the ask that gives back what is not used. That part is no longer ours, even before
        the ask is sent."""
        self.leased -= max(self.left, 0)
        self.left = min(self.left, 0)
        self.low_water = 0
        self.owing = True
        self.idle = False
        return self.ask()

    def keep(self, free: int, part: int) -> None:
        """Keep the amount of a `give_back` whose ask is not sent after all; a lease that is over has
        nothing to keep."""
        if part == self.part:
            self.leased += free
            self.left += free

    def granted(self, slice_: GrantedLease, ask: Ask, now_s: float) -> None:
        """Take over an answer. A lease only becomes larger by it; it does not restore what was
        given back."""
        self.amount, self.elsewhere = slice_.amount, slice_.left
        self.unheard = False
        self.owing = False
        if ask.least:
            self.unread = slice_.unread
            self.revoking = slice_.revoking if isinstance(slice_.revoking, int) else 0
        # The budget's period is over: what is spent from now on belongs to the next one.
        if slice_.ends_in_s <= 0:
            self.turn()
            return
        self.period_end_s = now_s + slice_.ends_in_s
        if ask.target >= self.leased and slice_.leased > self.leased:
            self.left += slice_.leased - self.leased
            self.leased = slice_.leased
            self.busy_s = now_s
        # At a quarter of what is left now, more is asked for, before a request has to wait for it.
        self.low_water = max(self.left, 0) // 4
        if slice_.leased < ask.least:
            self.denied_least = ask.least - self.spent - self.reserved
            self.denied_until_s = now_s + DENIED_S


def shortest(slices: tuple[BudgetSlice, ...], needed: int, now_s: float) -> Shortage:
    """Return the shortage of budgets: of a slice that cannot grow, if there is one, as more of the
    others would not help; of such, one whose budget is known to be used up."""
    short = [each for each in slices if each.left < needed and not each.gone]
    worst = min([budget_slice.shortage(needed, now_s) for budget_slice in short], key=_prospects)
    return worst._replace(growing=tuple(short))


def _prospects(shortage: Shortage) -> tuple[bool, bool]:
    """Return whether more may be leased now, and whether it may be later."""
    return shortage.may_grow, shortage.is_unknown
