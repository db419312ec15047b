"""A client that is served over its connection, one request after another, by HTTP or in a session:
the request under way and its deadlines, and answers that the client does not read."""

import asyncio
from abc import abstractmethod

from clauseway.gateway.connections.router import Router
from clauseway.gateway.connections.unread_answers import UnreadAnswers
from clauseway.gateway.request.lifecycle import Lifecycle
from clauseway.gateway.request.shared import Shared


class ServedClient(asyncio.Protocol):
    """The state of a connection that any protocol has. Subclasses read and write its bytes."""

    def __init__(self, shared: Shared, router: Router) -> None:
        self._shared = shared
        self._router = router
        self._lifecycle: Lifecycle | None = None
        self._stuck = False  # the client reads its answers too slowly
        self._unread: UnreadAnswers | None = None  # and what it is sent lies still
        self.due_s = 0.0
        self.slot_s = 0.0

    @abstractmethod
    def abort(self) -> None:
        """Close at once, even in the middle of an answer."""

    @abstractmethod
    def timer_fired(self) -> None:
        """Called by the wheel at `due_s`."""

    @abstractmethod
    def _pause_reading(self) -> None: ...

    # -- the request under way

    def _begin(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        lifecycle.start()
        if self._serves(lifecycle):
            self._shared.wheel.arm(self, lifecycle.due_s)

    def _serves(self, lifecycle: Lifecycle) -> bool:
        """Return whether a request is not over. Compiled code reads an attribute that it has just
        set as what it set: so a call of its own reads it."""
        return self._lifecycle is lifecycle

    def _drop_request(self) -> None:
        """End the request under way without an answer, because the gateway failed at it."""
        lifecycle, self._lifecycle = self._lifecycle, None
        if lifecycle is not None:
            lifecycle.cancel()

    def _leave_request(self) -> None:
        """Tell the request under way that its client has left."""
        lifecycle, self._lifecycle = self._lifecycle, None
        if lifecycle is not None:
            lifecycle.client_left()

    def check_deadlines_by(self, due_s: float) -> None:
        """Arrange that the lifecycle's deadlines are checked by `due_s`, if that is sooner than
        before."""
        if self._lifecycle is not None and due_s < self.due_s:
            self._shared.wheel.arm(self, due_s)

    def _check_deadlines(self, lifecycle: Lifecycle) -> None:
        """Check the deadlines of the request under way, and set the next; end the connection if its
        client does not read the answer."""
        now_s = self._shared.wheel.now_s
        if lifecycle.due_s <= now_s:
            lifecycle.check_deadlines(now_s)
        # The check may have ended the request, and its answer begun the next one in line.
        if not self._serves(lifecycle):
            return
        due_s = max(lifecycle.due_s, now_s)
        if self._unread is not None:
            if self._unread.lie_still(now_s):
                self.abort()
            due_s = min(due_s, self._unread.due_s)
        self._shared.wheel.arm(self, due_s)

    # -- answers that the client does not read

    def _hold_unread(self, transport: asyncio.Transport) -> None:
        """Read no more of the client's requests while it does not read its answers."""
        shared = self._shared
        self._stuck = True
        self._unread = UnreadAnswers(transport, shared.wheel.now_s, shared.limits.idle_s)
        self._pause_reading()
        if self._lifecycle is not None:
            self._lifecycle.client_paused()
            self.check_deadlines_by(self._unread.due_s)

    def _count_unread(self) -> None:
        """Count the bytes of an answer that has ended, where the client does not read it."""
        if self._stuck and self._unread is not None:
            self._unread.count(self._shared.in_flight, self._router.use)

    def _forget_unread(self) -> None:
        unread, self._unread = self._unread, None
        if unread is not None:
            unread.release(self._shared.in_flight)
