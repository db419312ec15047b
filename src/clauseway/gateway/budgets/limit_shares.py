"""This process's shares of limits by the minute, where several processes keep one limit together.

A share is a limit of its own, kept as a window that slides. It grows by what the lease server grants
and shrinks by what this process gives back, which is only what is not used in the present minute. So
at each instant every process has used no more than its share in the last minute, the shares sum to
no more than the limit, and no minute sees more than the limit, wherever it begins.

A share ends by itself some seconds after the lease server was last heard. The lease server counts
the share one minute longer, because it may have been used up to its last moment.
"""

import asyncio
from typing import Any, Final, Literal

from clauseway.gateway.budgets.leases import Ask, GrantedLease
from clauseway.gateway.budgets.shortage import Shortage
from clauseway.gateway.budgets.slices import DENIED_S
from clauseway.gateway.budgets.windows import Window
from clauseway.gateway.plan import RateLimit

# A share lasts for some requests of the size just asked for, or for some seconds like the last one.
_SHARE_REQUESTS: Final = 16
_SHARE_SECONDS: Final = 4
# An idle process needs nothing in reserve: another one may be short.
_IDLE_S: Final = 2.0
# Well below how long a share lasts without a word.
_SILENCE_S: Final = 3.0


class SharedWindow(Window):
    """A share of one limit. INVARIANT: left = leased - what was used in this minute or is open."""

    def __init__(self, kind: Literal["requests", "tokens"], limit: RateLimit, amount: int) -> None:
        super().__init__(kind, limit, amount)
        self.left = self.leased = 0
        self.part = self.serial = 0
        self.denied_least, self.denied_until_s = 0, 0.0
        self.lease_task: asyncio.Task[Any] | None = None
        self.waiting = 0
        self.unheard = False  # the lease server could not be asked the last time
        self.ends_s = self.busy_s = self.said_s = 0.0

    def describe(self, limit: RateLimit, amount: int) -> None:
        """Take over what a new plan says of the limit; the share stays."""
        left = self.left
        super().describe(limit, amount)
        self.left = left

    @property
    def held(self) -> int:
        return self.leased

    def turn(self, now_s: float) -> None:
        super().turn(now_s)
        if now_s >= self.ends_s:
            self._let_go()

    def _let_go(self) -> None:
        """Give up the part of the share that is not used."""
        self.leased -= max(self.left, 0)
        self.left = min(self.left, 0)

    def shortage(self, needed: int, now_s: float) -> Shortage:
        short = super().shortage(needed, now_s)
        is_denied = now_s < self.denied_until_s and needed >= self.denied_least
        return short._replace(
            limit=-1 if self.unheard else self.limit,
            left=max(self.left + self.elsewhere, 0),
            may_grow=needed <= self.limit and not is_denied,
            growing=(self,),
        )

    def growth(self, needed: int) -> Ask:
        """Return the ask for a share that covers `needed` and what comes soon."""
        used = self.leased - self.left
        soon = max(needed, self.waiting) + _SHARE_REQUESTS * needed
        return self._ask(least=used + needed, target=max(used + soon, self.leased))

    def report(self, now_s: float) -> Ask | None:
        """Return the ask that returns an idle share, tops up a low one, or renews one that is still
        used."""
        if now_s >= self.step_end_s:
            self.turn(now_s)
        recent = self.recent
        if recent:
            self.busy_s = now_s
        elif now_s >= self.busy_s + _IDLE_S and self.left > 0:
            self.said_s = now_s
            return self.give_back()
        # Less is left than was used of late: top up before a request has to wait for it.
        if recent > self.left and now_s >= self.denied_until_s:
            self.said_s = now_s
            used = self.leased - self.left
            return self._ask(target=max(used + _SHARE_SECONDS * recent, self.leased))
        # Renew: a share ends by itself some seconds after the lease server was last heard.
        if self.leased and now_s >= self.said_s + _SILENCE_S:
            self.said_s = now_s
            return self._ask()
        return None

    def give_back(self) -> Ask:
        """Return the ask that gives back what is not used. That part is no longer ours, even before
        the ask is sent."""
        self._let_go()
        return self._ask()

    def over(self) -> Ask:
        """Return the last ask: nothing more is used."""
        self._let_go()
        # Charges may have gone beyond the share: `left` is below zero then.
        used, self.leased = self.leased - self.left, 0
        self.serial += 1
        return Ask(
            kind=self.kind, budget=self.id, part=0, serial=self.serial, spent=used, over=True
        )

    def _ask(self, *, least: int = 0, target: int | None = None) -> Ask:
        self.serial += 1
        return Ask(
            kind=self.kind,
            budget=self.id,
            part=0,
            serial=self.serial,
            spent=max(self.leased - self.left, 0),
            least=least,
            # More than the limit is of no use to anybody.
            target=self.leased if target is None else max(min(target, self.limit), least),
        )

    def granted(self, slice_: GrantedLease, ask: Ask, now_s: float) -> None:
        """Take over an answer to what was asked at `now_s`. A share only becomes larger by it."""
        if ask.over:
            return
        # Of a limit that is gone from the database, the lease server reports no bound.
        self.elsewhere = max(min(slice_.left, self.limit - slice_.leased), 0)
        self.unheard = False
        self.ends_s = now_s + slice_.ends_in_s
        if ask.target >= self.leased and slice_.leased > self.leased:
            self.left += slice_.leased - self.leased
            self.leased = slice_.leased
        if slice_.leased < ask.least:
            self.denied_least, self.denied_until_s = ask.least - ask.spent, now_s + DENIED_S
