"""Reservations that outlive their answer: a response in the background has cost nothing yet, and
may cost all.

Of responses, in this process's memory only. Where it is lost with the process, the slices that it
was reserved from come back with the process's leases, and what was used is known from the journal.
Where another worker meters the end, it books the charge to its own slices, and this one lets go of
the reservation some seconds later, when the lease server has heard of the charge.

A batch runs for a day, so what is reserved for it outlives the process: of each budget it gets a
lease of its own, which ends with what the batch came to, whoever sees that.

    reserved (from this process's slices) ──▶ kept (leases of its own) ──▶ ended (what it came to) ──▶ gone

Each step is in the file of identifiers before it counts on the lease server having heard of it;
what the lease server did not hear is said again, which grants nothing twice.
"""

import asyncio
import contextlib
from asyncio import AbstractEventLoop, Task
from hashlib import blake2b
from time import time, time_ns
from typing import Final, NamedTuple

from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance
from clauseway.gateway.request.issued import Hold, IssuedIndex

_AT_ONCE_MAX: Final = 256
_AGAIN_S: Final = 5.0
_PATIENCE_S: Final = 3.0
# A worker beside this one may just be seeing to it; after that it has died.
_ORPHANED_NS: Final = 10_000_000_000
# A worker tells the lease server within a second or two what it booked; a row is written in less.
_ENDED_ELSEWHERE_S: Final = 5.0
_LOOKED_AT_MAX: Final = 64


class Reservation(NamedTuple):
    """An amount reserved from an allowance for a cloud and product. `lasts`: see the module."""

    allowance: KeyAllowance
    cloud: str
    product: str
    picodollars: int
    tokens: int
    lasts: bool = False


class Holds:
    """Reservations by the identifier of what is pending."""

    def __init__(
        self, loop: AbstractEventLoop, allowances: Allowances, issued: IssuedIndex
    ) -> None:
        self._loop = loop
        self._allowances = allowances
        self._issued = issued
        self._held: dict[str, Reservation] = {}
        self._working: Task[None] | None = None
        self._again_s: dict[tuple[str, bool], float] = {}
        # When it was seen first that nothing is pending any more of what is held here.
        self._ended_s: dict[str, float] = {}
        # Responses whose stream a client of this process still reads: their end comes by itself.
        self.attended: set[str] = set()

    def keep(self, identifier: str, held: Reservation) -> None:
        self.drop(identifier)  # a cloud that names two things alike
        self._held[identifier] = held

    def end_reservation(self, identifier: str, charged: int, tokens: int) -> bool:
        """End the reservation of a pending resource with its charge (picodollars) and tokens. Return
        False if nothing is reserved for it."""
        held = self._held.pop(identifier, None)
        if held is not None:
            held.allowance.end_reservation(
                held.cloud, held.product, held.picodollars, charged, held.tokens, tokens
            )
            if held.lasts:
                # Booked here; should the lease server have heard of it after all, it has come to
                # nothing there.
                self._issued.hold_ended(identifier, 0)
            return True
        if not self._issued.is_held(identifier):
            return False
        self._issued.hold_ended(identifier, charged)
        return True

    def drop(self, identifier: str) -> None:
        """This process need not see to it."""
        held = self._held.pop(identifier, None)
        if held is not None:
            held.allowance.end_reservation(
                held.cloud, held.product, held.picodollars, 0, held.tokens, 0
            )

    def __len__(self) -> int:
        return len(self._held)

    @property
    def working(self) -> bool:
        """Return whether something is being told to the lease server now."""
        return self._working is not None and not self._working.done()

    # -- what lasts

    def look(self, now_s: float) -> None:
        """Report to the lease server what it has not heard yet; to be called once a second or
        so."""
        if not self.working:
            self._working = self._loop.create_task(self._see_to(now_s))

    async def close(self) -> None:
        """Before the process's slices are returned: what lasts must not be among them."""
        if self._working is not None:
            await self._working
        # Steps that cannot be reported in time are reported at the next start.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._transfer_all()

    async def _see_to(self, now_s: float) -> None:
        await self._transfer_all()
        self._drop_ended_elsewhere(now_s)
        self._again_s = {step: due_s for step, due_s in self._again_s.items() if due_s > now_s}
        for hold in self._issued.open_holds(_AT_ONCE_MAX):
            if hold.charged < 0 and hold.created_ns > time_ns() - _ORPHANED_NS:
                continue
            step = hold.identifier, hold.charged >= 0
            if step not in self._again_s and not await self._report(hold):
                self._again_s[step] = now_s + _AGAIN_S

    def _drop_ended_elsewhere(self, now_s: float) -> None:
        """Let go of reservations whose end another worker metered; some are looked at each time, in
        turn."""
        looked_at = list(self._held)[:_LOOKED_AT_MAX]
        pending = self._issued.still_pending(looked_at) if looked_at else set()
        for identifier in looked_at:
            # To the end of the order, so that all are looked at in turn.
            self._held[identifier] = self._held.pop(identifier)
            if identifier in pending:
                self._ended_s.pop(identifier, None)
            elif now_s - self._ended_s.setdefault(identifier, now_s) >= _ENDED_ELSEWHERE_S:
                self.drop(identifier)
        self._ended_s = {name: s for name, s in self._ended_s.items() if name in self._held}

    async def _transfer_all(self) -> None:
        for identifier in [identifier for identifier, held in self._held.items() if held.lasts]:
            await self._transfer(identifier)

    async def _transfer(self, identifier: str) -> None:
        """Transfer a reservation of this process to leases of its own."""
        held = self._held.get(identifier)
        if held is None:
            return
        slices = held.allowance.slices(held.cloud, held.product)
        await self._allowances.quiet(slices)
        if self._held.pop(identifier, None) is None:
            return  # the batch has ended meanwhile
        if await self._allowances.transfer(
            slices, held.picodollars, _holder(identifier), int(time())
        ):
            self._issued.hold_kept(identifier)
        else:
            self._held[identifier] = held

    async def _report(self, hold: Hold) -> bool:
        """Report a hold; return whether the lease server heard it."""
        holder = _holder(hold.identifier)
        if hold.charged >= 0:
            done = await self._allowances.end(hold.budgets, hold.charged, holder)
            if done:
                self.drop(hold.identifier)  # where it ended while it could not be transferred
                self._issued.forget_hold(hold.identifier)
            return done
        done = await self._allowances.hold(hold.budgets, hold.picodollars, holder, int(time()))
        if done:
            self._issued.hold_kept(hold.identifier)
        return done


def _holder(identifier: str) -> str:
    """The name under which its leases are held."""
    return blake2b(identifier.encode(), digest_size=8).hexdigest()
