"""Look for the next bytes for a moment before the process sleeps, if earlier looks found some.

A core that sleeps until bytes come answers them later: it has to wake up, and its caches and branch
predictors are cold. Where one request follows another, that is a fifth of what each of them waits.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

from clauseway.spool import SpoolWriter

# One wake-up serves several open requests at once. A process that does not sleep serves them one by
# one, for an eighth more CPU. So it goes on sleeping until all are answered and the next have come.
_OPEN_REQUESTS_MAX: Final = 1
_SKIPPED_FOR_SEVERAL: Final = 64
_SKIPPED_MAX: Final = 255


class BusyPolling:
    """Turns of the event loop that do not sleep: after bytes came for the only open request, for
    `polling_us` at most.

    If nothing comes in that time, the process sleeps at once after the next read, then after the
    next 3, 7 and so on, up to 255. Bytes that come in time halve that number. So a process whose
    clouds take their time pays next to nothing.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        spool: SpoolWriter,
        polling_us: int,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.polling_us = polling_us
        self._loop = loop
        self._spool = spool
        self._now_ns = now_ns
        self._is_polling = False
        self._has_read = False
        self._until_ns = 0
        self._to_skip = 0
        self._skipped_at_failure = 0
        # Bound once: it is scheduled for each turn.
        self._next_turn: Callable[[], None] = self._turn

    def bytes_came(self) -> None:
        """Note that bytes of a client or a cloud were read."""
        if self._spool.open_requests > _OPEN_REQUESTS_MAX:
            self._to_skip = _SKIPPED_FOR_SEVERAL
        elif self._is_polling:
            if not self._has_read:
                self._has_read = True
                self._skipped_at_failure >>= 1
        elif self._to_skip:
            self._to_skip -= 1
        elif self.polling_us:
            self._is_polling = self._has_read = True
            self._loop.call_soon(self._next_turn)

    def _turn(self) -> None:
        if self._spool.open_requests > _OPEN_REQUESTS_MAX:
            self._is_polling = False
            return
        now_ns = self._now_ns()
        if self._has_read:
            # What was read has been worked on: the time runs from here.
            self._has_read = False
            self._until_ns = now_ns + 1000 * self.polling_us
        elif now_ns >= self._until_ns:
            self._is_polling = False
            self._skipped_at_failure = min(2 * self._skipped_at_failure + 1, _SKIPPED_MAX)
            self._to_skip = self._skipped_at_failure
            return
        self._loop.call_soon(self._next_turn)
