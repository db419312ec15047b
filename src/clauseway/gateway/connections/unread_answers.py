"""A client that does not read its answers: how long it may pause before its connection ends, and
the bytes that are held for it meanwhile."""

import asyncio

from clauseway.gateway.request.in_flight import InFlight, Use


class UnreadAnswers:
    """Bytes of answers that a client's connection holds since `now_s`, because the client does not
    read them. `due_s`: when to look again whether it reads."""

    def __init__(self, transport: asyncio.Transport, now_s: float, idle_s: float) -> None:
        self._transport = transport
        self._idle_s = idle_s
        self._unsent = transport.get_write_buffer_size()
        self.due_s = now_s + idle_s
        self._use: Use | None = None
        self._counted = 0

    def lie_still(self, now_s: float) -> bool:
        """Return whether the client has read nothing for `idle_s`. One that reads, however
        slowly, has as long again."""
        if now_s < self.due_s:
            return False
        unsent, before = self._transport.get_write_buffer_size(), self._unsent
        self._unsent, self.due_s = unsent, now_s + self._idle_s
        return unsent == before

    def count(self, in_flight: InFlight, use: Use | None) -> None:
        """Count the bytes of answers that have ended among those of a key, until `release`."""
        self.release(in_flight)
        if use is not None:
            self._use, self._counted = use, self._transport.get_write_buffer_size()
            in_flight.add(use, self._counted)

    def release(self, in_flight: InFlight) -> None:
        if self._use is not None:
            in_flight.release(self._use, self._counted)
            self._use = None
