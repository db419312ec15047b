"""The resources that a request makes or names on one cloud account: responses, their items and
containers, files and batches, by identifier. Pure but for the time of day.

    makes      the answer issues an identifier; its row is durable before the client can read it
    names      the request names a resource that was made before
    pending    the resource runs on after the answer; the one request that claims its end meters its usage

`Resources` decides how such a request ends; the lifecycle performs it.
"""

from collections.abc import Sequence
from time import time_ns
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.request.attempt import Attempt
from clauseway.gateway.request.resource_index import Hold, IndexedResource
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.routing.targets import WorstCase
from clauseway.gateway.wire.batch_files import Batching, Upload
from clauseway.gateway.wire.event_streams import Stream
from clauseway.gateway.wire.operations import (
    BATCHES,
    FILES,
    RETRIEVED_WITH,
    SOUNDS,
    State,
    UnderstoodRequest,
)
from clauseway.gateway.wire.stateful_resources import StatefulResource, objects_in, resource_in
from clauseway.metering import Status, Unit

GONE: Final = frozenset((404, 410))
_OK: Final = 200
_OUTPUT: Final = Unit.OUTPUT_TOKENS
_BATCH_OUTPUT: Final = "batch_output"
# A minute, by the default: Azure was seen to tell a response 33 seconds after it had answered with it.
_GONE_AFTER: Final = 4
_CONTAINER: Final = b'"container'
_AUDIO: Final = b'"audio"'


class ResourceEnd(NamedTuple):
    """The end of a pending resource, with its usage. It is believed once its cloud has told it for
    `believed_after` times `pending_s`: one that is cancelled may be completed all the same, and one
    that is not found may be a moment later. `unread_file_id` is the file with a batch's answers,
    whose length the usage does not know yet."""

    resource: IndexedResource
    units: Units
    status: Status
    believed_after: int = 0
    unread_file_id: str = ""

    def with_output(self, tokens: int) -> "ResourceEnd":
        """Return the end with an estimate of its output."""
        units = tuple([(unit, count) for unit, count in self.units if unit is not _OUTPUT])
        return self._replace(units=(*units, (_OUTPUT, tokens)), unread_file_id="")


class Resources:
    """The resources of one request. `named_resource` is the resource that the request names, if it
    names one."""

    def __init__(
        self,
        customer: Customer,
        request: UnderstoodRequest,
        named_resource: IndexedResource | None = None,
    ) -> None:
        self._customer = customer
        self._request = request
        # The end of the named batch, if the request asks how long its output is.
        self.end_without_output: ResourceEnd | None = None
        operation = request.operation
        # Where the path names the resource, the answer is about it; a body may name one and make
        # another.
        self.name(named_resource)
        self.is_batch = isinstance(request.properties.decoded, Batching)
        self.issues_identifier = operation.state is State.ISSUES or operation.may_name_parts
        # OpenAI keeps a response unless the request says `store: false`; a chat completion only
        # where it says `store: true`, and then the operation is one that issues.
        self.keeps_resource = (
            operation.state is State.ISSUES
            and getattr(request.properties.decoded, "store", None) is not False
        )

    def replace_request(self, request: UnderstoodRequest) -> None:
        """Replace the request by the one that its preparation made of it."""
        self._request = request

    def name(self, resource: IndexedResource | None) -> None:
        """Note the resource that the request names, which has been looked up."""
        self.named_resource = resource
        self.is_about_named_resource = (
            resource is not None and self._request.operation.state is State.NAMES
        )

    def worst_case_of_batch(self) -> WorstCase:
        """Return the worst case of a batch, to be reserved. Limits by the minute do not hold for a
        batch, because its tokens are not used in this minute."""
        batch = self._request.properties.decoded
        assert isinstance(batch, Batching)
        return WorstCase(batch.picodollars, 0, batch.output_tokens)

    @property
    def runs_on(self) -> bool:
        """Return whether the request makes something that runs on at its cloud when the client
        leaves: a batch, or a response in the background."""
        request = self._request
        return self.is_batch or (
            request.properties.later and request.operation.state is State.ISSUES
        )

    def background_id_of(self, stream: Stream | None) -> str:
        """Return the identifier of a response in the background, which goes on when its client
        leaves; empty for any other response."""
        resource = stream.resource if stream is not None else None
        return resource.id if resource is not None and self.runs_on else ""

    def streamed_id_of(self, stream: Stream) -> str:
        """Return the identifier of the response in the background whose stream this is, made or
        taken up again; empty for any other stream."""
        named = self.named_resource
        if self.is_about_named_resource and named is not None:
            return named.identifier if named.pending else ""
        return self.background_id_of(stream)

    # -- rows: which deployment made which resource, for whom

    def row(self, attempt: Attempt, identifier: str, *, pending: bool = False) -> IndexedResource:
        """Return the row of the resource that an attempt's deployment made."""
        request, deployment = self._request, attempt.candidate.target.name
        decoded = request.properties.decoded
        upload = decoded if isinstance(decoded, Upload) else None
        # The input of a batch is in its file, not in the body that creates it.
        body_bytes = decoded.body_bytes if isinstance(decoded, Batching) else len(request.body)
        return IndexedResource(
            identifier=identifier,
            buyer=self._customer.buyer,
            deployment=deployment,
            model=request.model,
            endpoint=request.operation.code,
            body_bytes=body_bytes,
            created_ns=time_ns(),
            pending=pending,
            purpose=upload.purpose if upload is not None else "",
            contents=upload.contents.get(deployment, b"") if upload is not None else b"",
            hold=self._hold(attempt, identifier) if pending and self.is_batch else None,
        )

    def _hold(self, attempt: Attempt, identifier: str) -> Hold | None:
        """Return the reservation that lasts until a batch ends; None if no budget holds."""
        allowance = self._customer.allowance
        target = attempt.candidate.target
        worst_case = attempt.reserved
        slices = allowance.slices(target.cloud, target.product) if allowance is not None else ()
        budgets = tuple([budget_slice.id for budget_slice in slices])
        return Hold(identifier, budgets, worst_case.picodollars, time_ns()) if budgets else None

    def rows_of_answer(self, attempt: Attempt, body: bytes) -> list[IndexedResource]:
        """Return the rows of what a whole answer issued and its cloud keeps: the resource first."""
        if not self.keeps_resource and _CONTAINER not in body and _AUDIO not in body:
            return []
        resource = resource_in(body)
        if resource is None:
            return []
        # A file may be in progress too, but has no usage to come.
        is_metered_later = self._request.operation.code in RETRIEVED_WITH
        # The answer that makes a batch is not metered, whatever it tells.
        runs_on = resource.pending or self.is_batch or (self.runs_on and not resource.has_ended)
        return self._rows(attempt, resource, pending=runs_on and is_metered_later)

    def rows_of_stream(self, attempt: Attempt, stream: Stream) -> list[IndexedResource]:
        """Return the rows of what a stream created and its cloud keeps; where it is of a response
        that was stored before, of what lies within that."""
        resource = stream.resource
        if resource is None:
            return []
        if self.is_about_named_resource:
            return self._rows_within_named(resource)
        return self._rows(attempt, resource)

    def _rows(
        self, attempt: Attempt, resource: StatefulResource, *, pending: bool = False
    ) -> list[IndexedResource]:
        rows = [self.row(attempt, resource.id, pending=pending)] if self.keeps_resource else []
        # A container lives on for the next request, whether or not the answer is kept; so does what
        # was said aloud, which is on no list of stored chats.
        names = resource.named_within(items=self.keeps_resource)
        sounds = [
            msgspec.structs.replace(self.row(attempt, name), endpoint=SOUNDS)
            for name in resource.sounds()
        ]
        return rows + [self.row(attempt, name) for name in names] + sounds

    def rows_of_named(self, status: int, body: bytes) -> list[IndexedResource]:
        """Return the rows of what an answer says of the named resource: the files that a batch
        produced, the items of a response or conversation."""
        if self.is_about_named_resource and self._request.operation.lists_items and status == 200:
            objects, _ = objects_in(body)
            return self._rows_like_named([name for name, _ in objects])
        resource = self._state_of_named(status, body)
        return self._rows_within_named(resource) if resource is not None else []

    def _rows_within_named(self, resource: StatefulResource) -> list[IndexedResource]:
        files = [
            msgspec.structs.replace(row, endpoint=FILES, purpose=_BATCH_OUTPUT)
            for row in self._rows_like_named(resource.files)
        ]
        return files + self._rows_like_named(resource.named_within(items=True))

    def _rows_like_named(self, names: Sequence[str]) -> list[IndexedResource]:
        """Return the rows of what lies where the named resource lies."""
        if self.named_resource is None:
            return []
        row = msgspec.structs.replace(self.named_resource, pending=False, created_ns=time_ns())
        return [msgspec.structs.replace(row, identifier=name) for name in names]

    # -- ends of pending resources

    def _state_of_named(self, status: int, body: bytes) -> StatefulResource | None:
        """Return the state of the named resource, as its cloud's answer reports it."""
        tells_end = self.is_about_named_resource and self._request.operation.tells_end
        return resource_in(body) if tells_end and status == _OK else None

    def resource_end_in_answer(
        self, attempt: Attempt, body: bytes, events_streamed: int
    ) -> ResourceEnd | None:
        """Return the end of the named resource, if its usage is pending and the attempt's answer
        reports that the resource has ended. `events_streamed`: so many of its events clients have
        read."""
        named_resource, operation = self.named_resource, self._request.operation
        status = attempt.status
        if self.end_without_output is not None:
            file = resource_in(body) if status == _OK else None
            tokens = operation.tokens_answered(file.file_bytes) if file is not None else 0
            return self.end_without_output.with_output(tokens)
        if named_resource is None or not named_resource.pending or not self.is_about_named_resource:
            return None
        # It is gone before any request saw its end: its usage can only be estimated. A server that
        # cannot cancel says the same of the path.
        if status in GONE and operation is RETRIEVED_WITH.get(named_resource.endpoint):
            gone = self._estimated_end(named_resource, named_resource.body_bytes, events_streamed)
            return gone._replace(believed_after=_GONE_AFTER)
        resource = self._state_of_named(status, body)
        if resource is None or not resource.has_ended:
            return None
        units = attempt.units_of_answer
        # What was answered without a report of its usage is more than none, also where the rest was
        # cancelled or has expired.
        answered = resource.answered_of(named_resource.body_bytes) if units is None else 0
        if units is None and events_streamed:
            answered = named_resource.body_bytes
        is_batch = named_resource.endpoint == BATCHES.code
        if answered:
            tokens = max(events_streamed, operation.tokens_answered(resource.output_bytes))
            resource_end = self._estimated_end(named_resource, answered, tokens)
            if is_batch:
                return resource_end._replace(unread_file_id=resource.text_file_id)
            return resource_end
        believed_after = int(units is None and resource.is_cancelled and not is_batch)
        return ResourceEnd(named_resource, units or (), Status.COMPLETE, believed_after)

    def resource_end_in_stream(self, attempt: Attempt) -> ResourceEnd | None:
        """Return the end of a response in the background, if the stream reported it: one that is
        taken up again behind its last event has none."""
        if attempt.stream is None or not attempt.stream.last:
            return None
        resource, named_resource = attempt.pending_resource, self.named_resource
        if self.is_about_named_resource and named_resource is not None:
            may_report_end = named_resource.pending and self._request.operation.tells_end
            resource = named_resource if may_report_end else None
        return ResourceEnd(resource, *attempt.units_of_stream()) if resource is not None else None

    def _estimated_end(
        self, resource: IndexedResource, body_bytes: int, output_tokens: int
    ) -> ResourceEnd:
        """Estimate by the input and by the output that was streamed, or is in the answer."""
        units = self._request.operation.estimate(body_bytes, output_tokens)
        return ResourceEnd(resource, units, Status.ESTIMATED)
