"""The poller retrieves pending resources (responses in the background, batches) from their clouds
when no client does, because their usage has to be metered all the same.

It retrieves a few at a time, in turn, beside the clients' requests; of several workers, each
retrieves its own part. Each retrieval is a request like a client's, with its own attempt in the
journal; the request that sees the end claims it and meters it (see `resource_index`). Where the cloud
has not known the resource for a while, its usage is estimated. A resource on a deployment that is not
configured stays pending until that deployment is configured again.
"""

from time import time_ns

from clauseway.gateway.request.lifecycle import Discarding, maker_of, start_own_request
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.wire.operations import RETRIEVED_WITH

_AT_ONCE_MAX = 16  # a round costs no more than a busy client


class Poller:
    """One per process. `poll` is to be called about once a second."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._due_s = 0.0
        # The place (created_ns, identifier) behind which the next round begins.
        self._after = (-1, "")
        self._being_retrieved: set[str] = set()

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
        try:
            resources = self._shared.resource_index.pending(_AT_ONCE_MAX, self._after)
        except OSError:
            return  # the index says so itself; the next round may read it
        self._after = (
            (resources[-1].created_ns, resources[-1].identifier)
            if len(resources) == _AT_ONCE_MAX
            else (-1, "")
        )
        now_ns = time_ns()
        begin_ns = now_ns - int(period_s * 1e9)
        for resource in resources:
            # The client that has just made a resource retrieves it itself. One that was made later
            # than now is older than a clock that was set back.
            is_new = begin_ns < resource.created_ns <= now_ns
            if not is_new and self._shared.worker.attends(resource.identifier):
                self._retrieve(resource)

    def _retrieve(self, resource: IndexedResource) -> None:
        shared, identifier = self._shared, resource.identifier
        holder = shared.tables.holder(resource.deployment, resource.model)
        # A former version noted files as pending too.
        operation = RETRIEVED_WITH.get(resource.endpoint)
        # A client that reads the resource's stream now meters the same end.
        if (
            operation is None
            or holder is None
            or identifier in self._being_retrieved
            or identifier in shared.holds.ids_read_by_clients
        ):
            return
        start_own_request(
            shared,
            Discarding(self._being_retrieved, identifier),
            maker_of(shared, resource),
            CandidateSelection((holder,)),
            operation,
            identifier,
            resource,
            model=resource.model,
        )
