"""Shares of limits by the minute, which several gateways keep together.

In memory where gateways end with the process that keeps them, in the database where homes share one.
The protocol is that of slices of budgets; see `gateway.budgets.limit_shares` for its other end.

INVARIANT: the shares of a limit sum to no more than the limit, unless it was lowered below what is
used; then nothing more is granted. A share counts until nothing of it can have been used within a
minute, whatever became of who held it: nobody has to find out who is dead.
"""

from collections.abc import Sequence
from typing import Final

from clauseway.gateway.budgets.leases import Ask, GrantedLease
from clauseway.storage.customers.leases import granted
from clauseway.storage.customers.limit_shares import LimitShare, OpenShares, ShareState
from clauseway.storage.customers.tenants import Limit

# A share ends so long after its holder was last heard.
LASTS_S: Final = 10.0
# The use of a step of a second counts until none of it is younger than a minute.
_MINUTE_S: Final = 62.0
# Holders count from when they asked, we from when we heard.
_SLACK_S: Final = 5.0
_HELD_S: Final = LASTS_S + _MINUTE_S + _SLACK_S
# After a refusal, others are asked for so long to give back what they do not use.
_REVOKE_S: Final = 5.0
# Of a limit that was removed: until the plans without it are there, it refuses nobody.
_NO_LIMIT: Final = 1 << 62


class LimitShares:
    """Grants shares of limits."""

    def __init__(self, open_shares: OpenShares) -> None:
        self._open_shares = open_shares

    def lease(self, holder: str, asks: Sequence[Ask]) -> list[GrantedLease]:
        """Grant what a process asks for, as far as the limits reach; one slice for each ask, in
        order."""
        if not asks:
            return []
        with self._open_shares({ask.budget for ask in asks}) as state:
            return [_lease(state, holder, ask) for ask in asks]


def _lease(state: ShareState, holder: str, ask: Ask) -> GrantedLease:
    of, now_s = (ask.kind, ask.budget), state.now_s
    amount = _amount(state.limits.get(ask.budget), ask.kind)
    # A share counts until its time is over, whether or not its holder is alive; where the clock was
    # set back, no longer than a share that was asked for now.
    shares = {
        name: LimitShare(share.leased, share.serial, min(share.until_s, now_s + _HELD_S))
        for name, share in state.shares.get(of, {}).items()
        if now_s < share.until_s
    }
    before = shares.get(holder, LimitShare(0, 0, 0.0))
    free = amount - sum(share.leased for share in shares.values())
    after = before
    # An ask with an old serial came late or twice: it is answered from what stands and grants
    # nothing.
    if ask.serial > before.serial:
        target = 0 if ask.over else ask.target
        leased = granted(before.leased, free, spent=ask.spent, least=ask.least, target=target)
        # The used part of a share stays in the sliding minute after it is given back.
        held_s = _MINUTE_S if ask.over else _HELD_S
        after = shares[holder] = LimitShare(leased, ask.serial, now_s + held_s)
    state.shares[of] = shares
    # Somebody is short: for a while, holders that need nothing are asked to return their shares.
    if after.leased < ask.least:
        state.short_s[of] = now_s
    elif of in state.short_s:
        state.short_s[of] = min(state.short_s[of], now_s)
    left = free + before.leased - after.leased
    is_short = now_s - state.short_s.get(of, -_REVOKE_S) < _REVOKE_S
    return GrantedLease(
        leased=after.leased,
        left=max(left, 0),
        amount=amount,
        ends_in_s=LASTS_S,
        revoked=left < 0 or (not ask.least and is_short),
    )


def _amount(limit: Limit | None, kind: str) -> int:
    """Return how much the limit lets through in a minute."""
    per_minute = 0
    if limit is not None:
        per_minute = limit.requests_per_minute if kind == "requests" else limit.tokens_per_minute
    return per_minute or _NO_LIMIT
