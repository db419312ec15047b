"""Slices of budgets: what a gateway process asks for and is granted, so that no two processes spend the same money.

Every figure is a total of one lease, in picodollars, never a difference: an answer that was lost does no harm, and the
same thing asked again grants nothing twice. `serial` counts a lease's asks; the lessor heeds none that is older than
one it has seen, so that one which was delayed cannot take back what was granted since.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

FOREVER_S = 1e18
_NO_LIMIT = 1 << 62


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one lease of a budget should be. `part` numbers this process's leases: a new one for a new period.

    `least` is the total below which nothing helps, `target` the total wished for; below what is held, the rest is given
    back. `spent` is final where the lease is `over`.
    """

    budget: str
    part: int
    serial: int
    spent: int = 0
    least: int = 0
    target: int = 0
    over: bool = False


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as it stands. `leased` is its total; `left` is what no lease holds of the budget's `amount`.

    The period that it is of ends in `ends_in_s`; 0 or less: that is over, and nothing more comes of this lease.
    `recall`: another process needs what this one holds and does not use.
    """

    leased: int
    left: int
    amount: int
    ends_in_s: float = FOREVER_S
    recall: bool = False


class Lessor(Protocol):
    """Who grants slices."""

    async def lease(self, asks: Sequence[Ask]) -> Sequence[Slice]:
        """One slice for each ask, in order. Raises OSError (a timeout is one) where the lessor cannot be asked."""


class LocalLessor:
    """Grants from amounts held in this process, to this process alone: for a gateway that stands by itself."""

    def __init__(self, amounts: Mapping[str, int] | None = None, otherwise: int = _NO_LIMIT) -> None:
        self._amounts = dict(amounts or {})
        self._otherwise = otherwise
        self._held: dict[tuple[str, int], int] = {}

    async def lease(self, asks: Sequence[Ask]) -> Sequence[Slice]:
        return [self._lease(ask) for ask in asks]

    def _lease(self, ask: Ask) -> Slice:
        amount = self._amounts.get(ask.budget, self._otherwise)
        held = self._held.get((ask.budget, ask.part), 0)
        free = amount - sum(total for (budget, _), total in self._held.items() if budget == ask.budget)
        wished = min(ask.spent if ask.over else ask.target, held + max(free, 0))
        if wished < held or wished >= ask.least:
            self._held[ask.budget, ask.part], free = wished, free + held - wished
            held = wished
        return Slice(leased=held, left=max(free, 0), amount=amount)
