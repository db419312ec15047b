"""Reservations of pending resources: they outlive the answer that made the resource. A response in
the background has cost nothing when it is answered, and may still cost its whole worst case.

The reservation of a response is kept in this process's memory only. If the process dies, the slices
from which it was reserved come back with the process's leases, and the journal tells the usage. If
another worker meters the end, that worker charges its own slices, and this process drops the
reservation some seconds later, when the lease server has heard of the charge.

A batch runs for a day, so its reservation outlives the process: it becomes a hold, a lease of its
own of each budget. The hold ends with the charge of the batch, whichever process meters the batch.

    reserved (from this process's slices) ──▶ kept (leases of its own) ──▶ ended (charge) ──▶ gone

The resource index has each step before the lease server hears of it. A step that the lease server
did not hear is reported again; it grants nothing twice.
"""

import asyncio
import contextlib
from asyncio import AbstractEventLoop, Task
from hashlib import blake2b
from time import time, time_ns
from typing import Final, NamedTuple

from clauseway.gateway.budgets.allowances import Allowances, KeyAllowance
from clauseway.gateway.request.resource_index import Hold, ResourceIndex
from clauseway.gateway.wire.event_streams import Stream
from clauseway.gateway.wire.typed_streams import TypedStream

_AT_ONCE_MAX: Final = 256
_AGAIN_S: Final = 5.0
_PATIENCE_S: Final = 3.0
# Another worker may be about to transfer a younger hold itself; after so long it has died.
_ORPHANED_NS: Final = 10_000_000_000
# A worker reports a charge to the lease server within a second or two, and writes a row sooner.
_ENDED_ELSEWHERE_S: Final = 5.0
_LOOKED_AT_MAX: Final = 64
_MEASURED_MAX: Final = 3  # a file that cannot be asked for keeps no batch from being metered
# Streams are forgotten when their response is metered, which another worker may do.
_STREAMS_MAX: Final = 10_000


class Reservation(NamedTuple):
    """An amount reserved from an allowance for a cloud and product. `outlives_process`: it becomes a
    hold, as the reservation of a batch does."""

    allowance: KeyAllowance
    cloud: str
    product: str
    picodollars: int
    tokens: int
    outlives_process: bool = False

    def end(self, charged: int, tokens: int) -> None:
        """End the reservation with a charge (picodollars) and the tokens that were used."""
        self.allowance.end_reservation(
            self.cloud, self.product, self.picodollars, charged, self.tokens, tokens
        )


class Holds:
    """The reservations of pending resources, by the identifier of the resource."""

    def __init__(
        self, loop: AbstractEventLoop, allowances: Allowances, resource_index: ResourceIndex
    ) -> None:
        self._loop = loop
        self._allowances = allowances
        self._resource_index = resource_index
        self._reservations: dict[str, Reservation] = {}
        self._task: Task[None] | None = None
        # When a step (identifier, whether it is the end) that was not heard is reported again.
        self._again_s: dict[tuple[str, bool], float] = {}
        # When a resource with a reservation here was first seen to be no longer pending.
        self._ended_s: dict[str, float] = {}
        # Batches whose output is asked for its length at present, and how often it was.
        self.being_measured: set[str] = set()
        self._measured: dict[str, int] = {}
        # When the cloud of a response first said that it was cancelled, and told no usage.
        self._ends_reported_s: dict[str, float] = {}
        # Responses whose stream a client of this process still reads, which brings their end.
        self.ids_read_by_clients: set[str] = set()
        # Of responses in the background that were streamed here: the latest stream of each while it
        # lasts, and the most events with which one before it had brought output.
        self._streams: dict[str, tuple[TypedStream | None, int]] = {}

    def keep(self, identifier: str, reservation: Reservation) -> None:
        """Keep the reservation of a resource until the resource ends."""
        self.drop(identifier)  # a cloud may have given two resources one identifier
        self._reservations[identifier] = reservation

    def end_reservation(self, identifier: str, charged: int, tokens: int) -> bool:
        """End the reservation of a pending resource with its charge (picodollars) and tokens. Return
        False if nothing is reserved for it."""
        reservation = self._reservations.pop(identifier, None)
        if reservation is not None:
            reservation.end(charged, tokens)
            if reservation.outlives_process:
                # This process's slices have paid the charge. If the lease server made a hold of it
                # all the same, that hold ends with no charge.
                self._resource_index.mark_hold_ended(identifier, 0)
            return True
        if not self._resource_index.is_held(identifier):
            return False
        self._resource_index.mark_hold_ended(identifier, charged)
        return True

    def note_stream(self, identifier: str, stream: TypedStream) -> None:
        """Note a stream of a response in the background, whose usage may be reported by nobody."""
        self._streams[identifier] = stream, self.events_streamed(identifier)
        if len(self._streams) > _STREAMS_MAX:
            del self._streams[next(iter(self._streams))]

    def events_streamed(self, identifier: str) -> int:
        """Return how many events of a response this process has streamed; none before output."""
        if identifier not in self._streams:
            return 0
        stream, before = self._streams[identifier]
        return max(stream.events, before) if stream is not None and stream.has_output else before

    def end_stream(self, identifier: str, stream: Stream | None) -> None:
        """Keep of a stream that is over only how many events it had: it holds what it read."""
        if stream is not None and self._streams.get(identifier, (None, 0))[0] is stream:
            self._streams[identifier] = None, self.events_streamed(identifier)

    def end_reported_for_s(self, identifier: str, now_s: float) -> float:
        """Return for how long the cloud of a resource has told its end, as this process has seen; 0
        at the first time."""
        first_s = self._ends_reported_s.setdefault(identifier, now_s)
        if len(self._ends_reported_s) > _STREAMS_MAX:
            del self._ends_reported_s[next(iter(self._ends_reported_s))]
        return now_s - first_s

    def may_measure(self, identifier: str) -> bool:
        """Count that the output of a batch is asked for its length; return False if it was often."""
        times = self._measured[identifier] = self._measured.get(identifier, 0) + 1
        if len(self._measured) > _STREAMS_MAX:
            del self._measured[next(iter(self._measured))]
        return times <= _MEASURED_MAX

    def forget_end(self, identifier: str) -> None:
        """Forget that the cloud of a resource has told its end: it tells otherwise now."""
        self._ends_reported_s.pop(identifier, None)

    def forget_response(self, identifier: str) -> None:
        """Forget a response, or a batch, whose end was seen."""
        self._measured.pop(identifier, None)
        self._streams.pop(identifier, None)
        self._ends_reported_s.pop(identifier, None)

    def drop(self, identifier: str) -> None:
        """End a reservation without a charge: this process need not keep it."""
        reservation = self._reservations.pop(identifier, None)
        if reservation is not None:
            reservation.end(0, 0)

    def __len__(self) -> int:
        return len(self._reservations)

    @property
    def is_working(self) -> bool:
        """Return whether a report to the lease server is under way."""
        return self._task is not None and not self._task.done()

    # -- reservations that outlive the process

    def look(self, now_s: float) -> None:
        """Report to the lease server the steps that it has not heard yet. To be called about once a
        second."""
        if not self.is_working:
            self._task = self._loop.create_task(self._report_readable_steps(now_s))

    async def close(self) -> None:
        """Turn reservations into holds before the process returns its slices."""
        if self._task is not None:
            await self._task
        # Steps that cannot be reported in time are reported at the next start.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._transfer_all()

    async def _report_readable_steps(self, now_s: float) -> None:
        """Report the steps; where the index cannot be read, they wait for the next round."""
        with contextlib.suppress(OSError):
            await self._report_steps(now_s)

    async def _report_steps(self, now_s: float) -> None:
        await self._transfer_all()
        self._drop_ended_elsewhere(now_s)
        self._again_s = {step: due_s for step, due_s in self._again_s.items() if due_s > now_s}
        for hold in self._resource_index.open_holds(_AT_ONCE_MAX):
            has_ended = hold.charged >= 0
            if not has_ended and hold.created_ns > time_ns() - _ORPHANED_NS:
                continue
            step = hold.identifier, has_ended
            if step not in self._again_s and not await self._report(hold):
                self._again_s[step] = now_s + _AGAIN_S

    def _drop_ended_elsewhere(self, now_s: float) -> None:
        """Drop reservations of resources whose end another worker metered. Each call looks at some
        of them, in turn."""
        looked_at = list(self._reservations)[:_LOOKED_AT_MAX]
        pending = self._resource_index.still_pending(looked_at) if looked_at else set()
        for identifier in looked_at:
            # To the end of the order, so that all are looked at in turn.
            self._reservations[identifier] = self._reservations.pop(identifier)
            if identifier in pending:
                self._ended_s.pop(identifier, None)
            elif now_s - self._ended_s.setdefault(identifier, now_s) >= _ENDED_ELSEWHERE_S:
                self.drop(identifier)
        self._ended_s = {name: s for name, s in self._ended_s.items() if name in self._reservations}

    async def _transfer_all(self) -> None:
        # A copy: reservations come and go while one is transferred.
        for identifier, reservation in list(self._reservations.items()):
            if reservation.outlives_process:
                await self._transfer(identifier)

    async def _transfer(self, identifier: str) -> None:
        """Transfer a reservation of this process to leases of its own."""
        reservation = self._reservations.get(identifier)
        if reservation is None:
            return
        slices = reservation.allowance.slices(reservation.cloud, reservation.product)
        await self._allowances.quiet(slices)
        if self._reservations.pop(identifier, None) is None:
            return  # the batch has ended meanwhile
        if await self._allowances.transfer(
            slices, reservation.picodollars, _holder(identifier), int(time())
        ):
            self._resource_index.mark_hold_kept(identifier)
        else:
            self._reservations[identifier] = reservation

    async def _report(self, hold: Hold) -> bool:
        """Report a hold; return whether the lease server heard it."""
        holder = _holder(hold.identifier)
        if hold.charged >= 0:
            is_heard = await self._allowances.end(hold.budgets, hold.charged, holder)
            if is_heard:
                self.drop(hold.identifier)  # where it ended while it could not be transferred
                self._resource_index.forget_hold(hold.identifier)
            return is_heard
        is_heard = await self._allowances.hold(hold.budgets, hold.picodollars, holder, int(time()))
        if is_heard:
            self._resource_index.mark_hold_kept(hold.identifier)
        return is_heard


def _holder(identifier: str) -> str:
    """Return the name of the holder of a hold's leases."""
    return blake2b(identifier.encode(), digest_size=8).hexdigest()
