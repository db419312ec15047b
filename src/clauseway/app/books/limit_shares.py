"""Shares of limits by the minute, which several gateways of a home keep together.

They are kept in memory: they are about the last minute, and gateways end with the process that
keeps them. The protocol is that of slices of budgets; see `gateway.budgets.shares` for its other end.

INVARIANT: the shares of a limit sum to no more than the limit, unless it was lowered below what is
used; then nothing more is granted. A share counts until nothing of it can have been used within a
minute, whatever became of who held it: nobody has to find out who is dead.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from clauseway.gateway.budgets.leases import Ask, Slice
from clauseway.storage.customers.leases import granted
from clauseway.storage.customers.tenants import Limit

# A share ends so long after its holder was last heard.
LASTS_S: Final = 10.0
# What was used in a step of a second counts until none of it is younger than a minute.
_MINUTE_S: Final = 62.0
# Holders count from when they asked, we from when we heard.
_SLACK_S: Final = 5.0
_HELD_S: Final = LASTS_S + _MINUTE_S + _SLACK_S
# After a refusal, others are asked for so long to give back what they do not use.
_RECALL_S: Final = 5.0
# Of a limit that was removed: until the plans without it are there, it refuses nobody.
_NO_LIMIT: Final = 1 << 62


class _Share(msgspec.Struct, frozen=True):
    leased: int
    serial: int
    until_s: float


class LimitShares:
    """The shares of all limits. `limits_by_id` reads limits, by their ids. Seconds are of one clock
    that only rises. Several threads may ask."""

    def __init__(self, limits_by_id: Callable[[Collection[str]], Mapping[str, Limit]]) -> None:
        self._limits_by_id = limits_by_id
        self._shares: dict[tuple[str, str], dict[str, _Share]] = {}
        self._short_s: dict[tuple[str, str], float] = {}
        self._one_at_a_time = threading.Lock()

    def lease(self, holder: str, asks: Sequence[Ask], now_s: float) -> list[Slice]:
        """Grant what a process asks for, as far as the limits reach; one slice for each ask, in
        order."""
        if not asks:
            return []
        limits = self._limits_by_id({ask.budget for ask in asks})
        with self._one_at_a_time:
            return [
                self._lease(holder, ask, _amount(limits.get(ask.budget), ask.kind), now_s)
                for ask in asks
            ]

    def _lease(self, holder: str, ask: Ask, amount: int, now_s: float) -> Slice:
        of = (ask.kind, ask.budget)
        shares = {
            name: share for name, share in self._shares.get(of, {}).items() if now_s < share.until_s
        }
        before = shares.get(holder, _Share(0, 0, 0.0))
        free = amount - sum(share.leased for share in shares.values())
        after = before
        if ask.serial > before.serial:
            target = 0 if ask.over else ask.target
            leased = granted(before.leased, free, spent=ask.spent, least=ask.least, target=target)
            held_s = _MINUTE_S if ask.over else _HELD_S
            after = shares[holder] = _Share(leased, ask.serial, now_s + held_s)
        self._shares[of] = shares
        if after.leased < ask.least:
            self._short_s[of] = now_s
        left = free + before.leased - after.leased
        is_short = now_s - self._short_s.get(of, -_RECALL_S) < _RECALL_S
        return Slice(
            leased=after.leased,
            left=max(left, 0),
            amount=amount,
            ends_in_s=LASTS_S,
            recall=left < 0 or (not ask.least and is_short),
        )


def _amount(limit: Limit | None, kind: str) -> int:
    """Return how much the limit lets through in a minute."""
    per_minute = 0
    if limit is not None:
        per_minute = limit.requests_per_minute if kind == "requests" else limit.tokens_per_minute
    return per_minute or _NO_LIMIT
