"""Limits by the minute, as windows that slide in steps of a second.

A step counts whole until none of it is younger than a minute, so in no minute, wherever it begins,
is more let through than the limit says; a token bucket would let through up to twice that. Tokens
count from their reservation on, at its worst case, and from its end on as what was used.
"""

from collections import deque
from typing import Final, Literal

from clauseway.gateway.budgets.shortage import Shortage, duration
from clauseway.gateway.plan import RateLimit

_WINDOW_S: Final = 60


def _tails(kind: str) -> tuple[bytes, ...]:
    """Return the ends of a limit's header lines, one for each number of seconds until nothing of
    the limit counts as used: 61 at most."""
    resets = ("0ms", *(duration(seconds) for seconds in range(1, _WINDOW_S + 2)))
    return tuple(f"\r\nx-ratelimit-reset-{kind}: {reset}\r\n".encode() for reset in resets)


_TAILS: Final = {kind: _tails(kind) for kind in ("requests", "tokens")}


class Window:
    """A limit in the present minute. `left` is the limit less what open requests reserve of it and
    less the usage of each step; `fresh` is the usage of the present step. Where this process holds
    a share of the limit (see `limit_shares`), `elsewhere` is what is left outside the share, as
    last heard."""

    def __init__(self, kind: Literal["requests", "tokens"], limit: RateLimit, amount: int) -> None:
        self.kind = kind
        self.id = limit.id
        self.limit = self.left = amount
        self._tails = _TAILS[kind]
        self.fresh = self.elsewhere = 0
        self._step = 0
        self._steps: deque[tuple[int, int]] = deque()
        self._counted = 0  # the sum of these steps
        self.step_end_s = 0.0
        self.describe(limit, amount)

    def describe(self, limit: RateLimit, amount: int) -> None:
        """Take over the description of the limit in a new plan."""
        kind = self.kind.encode()
        self.whose = limit.whose
        self.narrowed = (limit.cloud, limit.product)
        self.left += amount - self.limit
        self.limit = amount
        self.head = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: " % (kind, amount, kind)

    def turn(self, now_s: float) -> None:
        """Begin the step that `now_s` lies in; usage older than a minute counts no more."""
        step = int(now_s)
        if self.fresh:
            self._steps.append((self._step, self.fresh))
            self._counted += self.fresh
            self.fresh = 0
        steps = self._steps
        while steps and step - steps[0][0] > _WINDOW_S:
            amount = steps.popleft()[1]
            self.left += amount
            self._counted -= amount
        self._step = step
        self.step_end_s = step + 1.0

    @property
    def recent(self) -> int:
        """Return the usage of the present step, or of the one before if that is more."""
        steps = self._steps
        before = steps[-1][1] if steps and steps[-1][0] >= self._step - 1 else 0
        return max(self.fresh, before)

    @property
    def held(self) -> int:
        """Return how much this process may let through in a minute."""
        return self.limit

    def tail(self) -> bytes:
        """Return the end of the header lines: how long until the window is empty, if nothing more
        comes. What open requests reserve counts as if it were used now."""
        if self.fresh or self.left + self._counted < self.held:
            return self._tails[_WINDOW_S + 1]
        return self._tails[
            max(self._steps[-1][0] + _WINDOW_S + 1 - self._step, 0) if self._steps else 0
        ]

    def shortage(self, needed: int, now_s: float) -> Shortage:
        return Shortage(
            self.kind,
            self.whose,
            self.limit,
            max(self.left, 0),
            needed,
            self._wait_s(needed, now_s),
            False,
            self.id,
        )

    def _wait_s(self, needed: int, now_s: float) -> float:
        if needed > self.limit:
            return 0.0
        missing = needed - self.left
        for step, amount in (*self._steps, (self._step, self.fresh)):
            missing -= amount
            if missing <= 0:
                return step + _WINDOW_S + 1 - now_s
        return 1.0  # open requests reserve the rest: nobody knows for how long


def header_lines(windows: tuple[Window, ...], now_s: float) -> bytes:
    """Return the header lines of the window with the least left; empty without windows."""
    tightest, least = None, 0
    for window in windows:
        if now_s >= window.step_end_s:
            window.turn(now_s)
        left = window.left + window.elsewhere
        if tightest is None or left < least:
            tightest, least = window, left
    if tightest is None:
        return b""
    return b"%b%d%b" % (tightest.head, least if least > 0 else 0, tightest.tail())
