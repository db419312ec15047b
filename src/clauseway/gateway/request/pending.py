"""Asks for what is pending when no client does: responses in the background and batches use what
they use all the same.

A few at a time, in turn, off every request's way; of several workers, each asks for its own part.
Each asking is a request like a client's, with its own attempt in the journal; the one that sees the
end claims it and meters it (see `resource_index`). A resource that its cloud does not know any more is
recorded as an estimate. Resources on a deployment that is not configured now stay pending until it
is again.
"""

from time import time_ns

from clauseway.gateway.request.lifecycle import Lifecycle
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.resources import Resources
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.wire.operations import BY_NAME, Operation, UnderstoodRequest
from clauseway.gateway.wire.requests import NOTHING_ASKED

_AT_ONCE_MAX = 16  # a round costs no more than a busy client
_ASKED_WITH: dict[int, Operation] = {
    BY_NAME["responses"].code: BY_NAME["responses.retrieve"],
    BY_NAME["batches.create"].code: BY_NAME["batches.retrieve"],
}


class Poller:
    """One per process. `poll` is to be called once a second or so."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._due_s = 0.0
        self._after = (-1, "")
        self._open: set[str] = set()

    def poll(self, now_s: float) -> None:
        """Begin a round where one is due; `now_s` in seconds of `time.monotonic`."""
        period_s = self._shared.limits.pending_s
        if (
            now_s < self._due_s
            or self._shared.spool.failure is not None
            or self._shared.spool.full is not None
        ):
            return
        self._due_s = now_s + period_s
        resources = self._shared.resource_index.pending(_AT_ONCE_MAX, self._after)
        self._after = (
            (resources[-1].created_ns, resources[-1].identifier)
            if len(resources) == _AT_ONCE_MAX
            else (-1, "")
        )
        youngest_ns = time_ns() - int(period_s * 1e9)
        for resource in resources:
            # A client that has just made it comes for it itself.
            is_ours = self._shared.worker.attends(resource.identifier)
            if resource.created_ns <= youngest_ns and is_ours:
                self._ask_for(resource)

    def _ask_for(self, resource: IndexedResource) -> None:
        shared, identifier = self._shared, resource.identifier
        holder = shared.tables.holder(resource.deployment, resource.model)
        # A client asks for it just now, and would meter the same end.
        if (
            holder is None
            or identifier in self._open
            or identifier in shared.holds.ids_read_by_clients
        ):
            return
        operation = _ASKED_WITH[resource.endpoint]
        # No limits and no budget of the key: what it may cost was reserved when it was made.
        customer = Customer(shared.spool.label(resource.buyer), 0, resource.buyer)
        request = UnderstoodRequest(
            operation,
            operation.call(identifier.encode(), b"", b""),
            NOTHING_ASKED,
            b"",
            b"",
            b"",
            resource.model,
        )
        self._open.add(identifier)
        client = _Unheard(self._open, identifier)
        resources = Resources(customer, request, resource)
        Lifecycle(
            client,
            shared,
            customer,
            CandidateSelection((holder,)),
            request,
            shared.clock(),
            resources=resources,
        ).start_unattended()


class _Unheard:
    """Hears the answer and says nothing."""

    head_lines = b""
    chunked = True

    def __init__(self, open_: set[str], identifier: str) -> None:
        self._open = open_
        self._identifier = identifier

    def write(self, data: bytes) -> None:
        pass

    def request_over(self, *, intact: bool) -> None:
        self._open.discard(self._identifier)

    def check_deadlines_by(self, due_s: float) -> None:
        pass
