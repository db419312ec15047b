"""All deadlines of the process on one lazy wheel: at most one entry per connection, moved when it
fires, not when set.

A timer per request would be set and cancelled fifty thousand times a second to fire almost never.
Here a connection only writes down when it is due; its entry is looked at when its slot comes up,
and put further on if it is not due. Precise to a tick.

After a standstill (the machine was paused, or had no processor to spare) the wheel looks at the
deadlines a turn later: the loop first reads what came meanwhile, and gives up no answer that came.
"""

from asyncio import AbstractEventLoop
from time import monotonic
from typing import Final, Protocol

TICK_S: Final = 0.05
_SLOTS: Final = 2048  # a round of 102 s; what is due later is looked at once a round
_STANDSTILL_S: Final = 0.25  # more between two turns means that the process did not run


class Timed(Protocol):
    """Something with a deadline. `slot_s` belongs to the wheel: when its entry comes up, 0 when it
    has none."""

    due_s: float
    slot_s: float

    def timer_fired(self) -> None:
        """Act on the deadline: the wheel calls this once `due_s` has passed."""


class Wheel:
    """Deadlines in seconds of `time.monotonic`. `now_s` is the time of the last tick, cheap to
    read: up to `TICK_S` behind."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.now_s = monotonic()
        self._loop = loop
        self._tick = int(self.now_s / TICK_S)
        # Each holds its entries as keys: in order, and quick to take out.
        self._slots: list[dict[Timed, None]] = [{} for _ in range(_SLOTS)]
        self._stood_still = False
        self._handle = loop.call_later(TICK_S, self._turn)

    def arm(self, timed: Timed, due_s: float) -> None:
        """Set the deadline. Costs a comparison when an entry already comes up in time."""
        timed.due_s = due_s
        if not 0.0 < timed.slot_s <= due_s:
            self._enter(timed, due_s)

    def forget(self, timed: Timed) -> None:
        """Take its entry out: what is gone must not stay until its deadline."""
        if timed.slot_s:
            entries = self._slots[int(timed.slot_s / TICK_S + 0.5) % _SLOTS]
            entries.pop(timed, None)
            timed.slot_s = 0.0
            if not entries:
                entries.clear()  # or it keeps the memory of removed entries until its turn

    def stop(self) -> None:
        self._handle.cancel()

    def _enter(self, timed: Timed, due_s: float) -> None:
        """Move it to the slot of the first tick after `due_s`, or as far ahead as the wheel
        reaches."""
        self.forget(timed)
        tick = min(max(int(due_s / TICK_S) + 1, self._tick + 1), self._tick + _SLOTS - 1)
        timed.slot_s = tick * TICK_S
        self._slots[tick % _SLOTS][timed] = None

    def _turn(self) -> None:
        """Fire the deadlines that have passed; after a standstill, wait one turn."""
        self._handle = self._loop.call_later(TICK_S, self._turn)
        now_s = monotonic()
        # Not twice in a row: in a process that is always late, deadlines hold too.
        self._stood_still = not self._stood_still and now_s - self.now_s > _STANDSTILL_S
        self.now_s = now_s
        if self._stood_still:
            return
        current = int(now_s / TICK_S)
        while self._tick < current:
            self._tick += 1
            at = self._tick % _SLOTS
            entries = self._slots[at]
            # Replace the slot, so that what is entered now waits for the next round.
            self._slots[at] = {}
            for timed in entries:
                try:
                    self._look_at(timed)
                except Exception as error:  # the deadlines of others hold all the same
                    self._loop.call_exception_handler(
                        {"message": "A deadline failed.", "exception": error}
                    )

    def _look_at(self, timed: Timed) -> None:
        if timed.slot_s != self._tick * TICK_S:
            return  # forgotten, or moved, since this round of entries began
        timed.slot_s = 0.0
        if timed.due_s <= self.now_s:
            timed.timer_fired()
        else:
            self._enter(timed, timed.due_s)
