"""One request's life, in the order in which it happens.

The router has read the request, identified the customer and found the candidates that may serve it.
From there this file follows the request, section by section:

    start       if the journal is full, wait for room; then the deadline runs
    prepare     larger shares of exhausted limits are requested; an uploaded batch file is read; a
                list from several cloud accounts is merged. Most requests skip this step
    choose      take the best candidate that was not attempted yet, is healthy and has quota left.
                If none is left, take the last resort: the first candidate that was skipped for its
                health or quota, unless its cloud named a time to wait; after an attempt that failed,
                the first that was skipped because it was busy
    attempt     reserve the worst case, write an intent to the journal, send the request; where a
                share of a limit or a slice of a budget is too small, wait for a larger one, at the
                first attempt only
    answer      the cloud answers, whole or as a stream. Once the first content of a stream is
                sent, no other cloud is attempted, and the request's deadline no longer counts: the
                client gets the rest, or a broken stream
    issue       the identifiers in the answer (of a stored response, a file, a batch) are durable in
                the gateway's index. Most answers issue none
    finish      the last bytes of the answer wait until the usage record is durable in the journal
    over        the client has its answer, or has left

Then follow the interruptions: attempts that fail, failures of the gateway itself, deadlines and the
hedge, clients that leave.

After a failed attempt the next candidate is attempted, while the process has retries left
(`RetryBudget`); after a failed probe always, since a probe costs no client its answer. `failures`
tells which refusals of a cloud are about the request itself: the client gets those as its answer.
Candidates that are ejected, without quota or beyond a budget are skipped, and the explanation says
so. A client may ask for a hedge: a second attempt beside a slow first one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Final, NamedTuple, Protocol

from clauseway.gateway.budgets.allowances import Shortage
from clauseway.gateway.request.attempt import Attempt, AttemptOwner, tokens_expected
from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.failures import OVERLOADED, Failure, is_passing
from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.request.passed_content import PassedContent
from clauseway.gateway.request.refusals import (
    Refused,
    journal_failed,
    kind_of_failure,
    unrecorded,
)
from clauseway.gateway.request.resource_index import IndexedResource, OnWritten
from clauseway.gateway.request.resources import ResourceEnd, Resources
from clauseway.gateway.request.shared import Shared, lines_of_own_answer
from clauseway.gateway.routing.choices import Candidate, CandidateSelection, SkippedDeployment
from clauseway.gateway.routing.health import WAIT_MAX_S, Health
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.routing.targets import CallTarget, WorstCase
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED
from clauseway.gateway.wire.errors import (
    CLOUDS_BUSY,
    CLOUDS_FAILED,
    CLOUDS_UNAVAILABLE,
    DEADLINE,
    INTERNAL,
    OWN_FAULT,
    PATIENCE_S,
    PHRASES,
    STREAM_BROKEN,
    UNKNOWN_MODEL,
    ErrorKind,
    error_response,
    response,
    shortage_kind,
    shortage_response,
    wait_lines,
)
from clauseway.gateway.wire.event_streams import Stream
from clauseway.gateway.wire.message_errors import answer_in_message_shape
from clauseway.gateway.wire.operations import BY_NAME, Operation, UnderstoodRequest
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.metering import RequestId, Status

_READS_FILE: Final = BY_NAME["files.retrieve"]
FOREVER_S: Final = 1e12  # finite, because the timer wheel counts in ticks
_COSTS_NOTHING: Final = WorstCase(0, 0, 0)
_CALLED_OFF_AS_SLOWER: Final = "was slower and called off"
_CALLED_OFF_WITHOUT_CLIENT: Final = "was called off, because the client left"


class RequestClient(Protocol):
    """The connection that the request came by, as far as its lifecycle needs it.

    `head_lines` are headers of the answer, such as `connection: close`. `chunked`: a stream is sent
    in chunks; else its end is the end of the connection.
    """

    @property
    def head_lines(self) -> bytes: ...
    @property
    def chunked(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Send bytes; dropped when the client is gone."""

    def request_over(self, *, intact: bool) -> None:
        """End the request. `intact` tells whether the connection can carry another request."""

    def check_deadlines_by(self, due_s: float) -> None:
        """Arrange that the lifecycle's `check_deadlines` is called by `due_s`."""


class PreparedRequest(NamedTuple):
    """The outcome of a preparation: candidates, the request that is sent to them and the resource
    that it names if that was looked up, or the body of the gateway's own answer."""

    selection: CandidateSelection = CandidateSelection(())
    request: UnderstoodRequest | None = None
    body: bytes = b""
    named_resource: IndexedResource | None = None


# Work before any cloud is asked, such as reading an upload: it is told how to ask whether the request
# is over meanwhile, and returns None then. It raises Refused if the request cannot be served.
Preparation = Callable[[Callable[[], bool]], Awaitable[PreparedRequest | None]]


class Lifecycle(AttemptOwner):
    """The life of one request, from `start` to `_release`, as the module tells it.

    `resources` are those that the request makes or names on a cloud account; None if there are
    none.
    """

    # Defaults are class attributes: most requests set few of them, so instances stay small.
    # `_decided` and `_over` go from False to True once. `_stream_begun` goes back to False if the
    # identifier of a waiting stream cannot be written.

    # When to check the deadlines next, and the slot of the timer wheel in which the request waits
    # for that.
    due_s = 0.0
    slot_s = 0.0
    # The task that the next attempt waits for: an admission, a preparation, or a larger share of a
    # limit or slice of a budget.
    _task: asyncio.Task[None] | None = None
    # The shortage of the request limit when the request came; None if it was admitted. Set before
    # `start`.
    shortage: Shortage | None = None
    # Choosing.
    _next_index = 0
    _last_resort: Candidate | None = None  # skipped, but attempted rather than give no answer
    _paused: tuple[Candidate, ...] = ()  # skipped, because they were busy and named no time
    # Skipped because its server lacked the operation's path: attempted after `_last_resort`.
    _without_path: Candidate | None = None
    _busy_until_s = 0.0  # the soonest time at which a cloud said to ask again; 0 if none did
    _pause_statuses: tuple[int, ...] = ()  # of the clouds that said so and were skipped
    _may_pass = False  # the latest failure may have passed when the client comes again
    _lacks_retries = False  # the process had no further attempt for the candidates that are left
    _has_unused_retry = False  # a further attempt is taken from `RetryBudget` and has not begun
    _first_shortage: Shortage | None = None  # the first shortage that ruled out a candidate
    _shortage_lines = b""  # the header lines of the customer's limits that hold for that candidate
    # Attempting: the attempt whose answer the client gets, or the latest; and the hedge beside it.
    _attempts_begun = 0
    _attempt: Attempt | None = None
    _hedge: Attempt | None = None
    _hedge_due_s = FOREVER_S
    _failure_limits = b""  # header lines of the latest failure: its cloud's rate limits
    # Answering.
    _stream_begun = False  # content of a stream was sent, or waits until its identifier is durable
    is_cut = False  # the stream broke: the body ends without its last chunk
    _waiting_events: list[bytes] | None = None  # kept until the row of their response is durable
    _background_id = ""  # of the response in the background whose stream the client reads
    _streamed_id = ""  # the same, also of one that was made before
    _status = 0
    _message = ""
    _refused_by: tuple[str, ...] = ()
    # The client's answer is settled, or the request is over: no further attempt begins. At most the
    # index or the journal is awaited.
    _decided = False
    _last_bytes = b""  # the bytes still to send: the end of a stream, or a whole answer
    _over = False  # the client has its answer, or has left
    _client_pauses = False  # it does not read, so nothing is read from the cloud
    _unattended = False  # no client waits for the answer; it is read for its usage
    _is_left = False  # its client left, and no further attempt is made
    _left_use: Use | None = None  # the key's use in which it counts as a connection since then
    # The bytes of the request's body and of an answer buffered whole. Until the request is over,
    # they count in `in_flight_use`: the bytes that all requests of this key hold in this process.
    in_flight_use: Use | None = None
    bytes_in_flight = 0

    def __init__(
        self,
        client: RequestClient,
        shared: Shared,
        customer: Customer,
        selection: CandidateSelection,
        request: UnderstoodRequest,
        event_ns: int,
        resources: Resources | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        self._client = client
        self.shared = shared
        self.customer = customer
        self.request = request
        self.event_ns = event_ns  # the instant of the business clock that dates the request
        self.number = shared.next_number()
        # Another plan may take the place of this one before the answer.
        self._identity_lines = shared.identity_lines(self.number)
        self._candidates = selection.candidates
        self._skipped = selection.skipped
        self._strategy = selection.strategy
        self._retired = selection.retired
        # The attempts that failed, or were called off under a hedge, in the order of their ends.
        self._ended_attempts: tuple[EndedAttempt, ...] = ()
        self._resources = resources
        self._preparation = preparation

    @property
    def names_resource(self) -> bool:
        """Return whether the request names a resource, which lies on one cloud account."""
        return self._resources is not None and self._resources.named_resource is not None

    @property
    def has_sent_bytes(self) -> bool:
        """Return whether a part of a streamed answer was sent."""
        return self._stream_begun and self._waiting_events is None

    @property
    def has_candidates_left(self) -> bool:
        """Return whether another candidate could be asked."""
        return self._next_index < len(self._candidates)

    @property
    def _may_go_on(self) -> bool:
        """Return whether another candidate could be attempted, be it one that was busy."""
        return self.has_candidates_left or bool(self._paused)

    # -- start

    def start(self) -> None:
        """Begin the request: at once, or when the journal has room."""
        self._begin_ns = monotonic_ns()
        shared = self.shared
        shared.spool.open_requests += 1
        shared.counts.started += 1
        shared.retries.count_request(self.customer.buyer.organisation)
        self._start_deadline()
        if shared.spool.full is not None:
            # Ask no cloud while its usage could not be recorded.
            shared.spool.notify_of_room(_RoomWaiter(self))
            self._set_due(FOREVER_S)
            return
        self._prepare_or_attempt()

    def _start_deadline(self) -> None:
        """Let the request's deadline run from now, and the time after which a hedge is due."""
        now_s = self.shared.wheel.now_s
        self._deadline_s = now_s + self.shared.tables.deadline_s
        # No hedge where a cloud keeps the answer: the slower attempt's would stay there, and nobody
        # would learn its identifier.
        resources = self._resources
        if self.request.hedge_s and (resources is None or not resources.keeps_resource):
            self._hedge_due_s = now_s + self.request.hedge_s

    def _restart_hedge(self) -> None:
        """Let the time after which a hedge is due run from now, because no cloud was asked yet."""
        if self._hedge_due_s < FOREVER_S:
            self._hedge_due_s = self.shared.wheel.now_s + self.request.hedge_s

    def start_unattended(self) -> None:
        """Begin a request that the gateway makes to learn its usage: no client waits for it."""
        self._unattended = True
        self.shared.unattended.add(self)
        self.start()

    def room_wait_ended(self, error: OSError | None) -> None:
        """Go on, because the journal has room again; with an error, refuse, because the wait took
        too long."""
        if self._over:
            return
        if error is None:
            # The time spent waiting for room does not count: no cloud was asked yet.
            self._start_deadline()
            self._prepare_or_attempt()
        else:
            self._answer_write_failure(error)

    def _prepare_or_attempt(self) -> None:
        """Begin the first step that the request still needs: a larger share of a limit, its
        preparation, or its first attempt. Once the share is granted, this is called again; a
        preparation goes on to an attempt or an answer."""
        shortage, self.shortage = self.shortage, None
        if shortage is not None:
            self._task = self.shared.loop.create_task(self._admit(shortage))
            self._set_due(self._deadline_s)
            return
        preparation, self._preparation = self._preparation, None
        if preparation is not None:
            self._task = self.shared.loop.create_task(self._prepare(preparation))
            self._set_due(self._deadline_s)
            return
        try:
            self._attempt_next_candidate_or_answer()
        except Exception as error:
            self.end_with_own_fault(error)

    # -- prepare

    async def _admit(self, exhausted: Shortage) -> None:
        """Ask for larger shares of the exhausted limits until the request is admitted or no larger
        share is granted."""
        allowance = self.customer.allowance
        assert allowance is not None, "a limit was short"
        shortage: Shortage | None = exhausted
        try:
            while shortage is not None and shortage.may_grow:
                await self.shared.allowances.grow(shortage)
                shortage = allowance.admit(self.shared.wheel.now_s)
            # The client left, or the deadline came, while the lease server was asked.
            if self._decided:
                return
            self._task = None
            if shortage is None:
                self._restart_hedge()
                self._prepare_or_attempt()
            else:
                limit_lines = allowance.rate_limit_headers(self.shared.wheel.now_s)
                self._answer_shortage(shortage, limit_lines)
        except Exception as error:
            self._task = None
            self.end_with_own_fault(error)

    async def _prepare(self, preparation: Preparation) -> None:
        """Run the preparation, and go on with its result."""
        try:
            prepared = await preparation(lambda: self._over)
            if prepared is not None and not self._decided:
                self._task = None
                self._go_on_with(prepared)
        except Refused as refused:
            if not self._decided:
                self._task = None
                self._refuse(refused)
        except Exception as error:
            self._task = None
            self.end_with_own_fault(error)

    def _go_on_with(self, prepared: PreparedRequest) -> None:
        """Attempt the candidates that the preparation selected, or answer with its answer."""
        request = prepared.request
        if request is None:
            self._finish_with_own_answer(200, response(200, prepared.body, self._header_lines()))
            return
        # No hedge after a preparation: an upload sent twice would be stored twice, and everything
        # else lies on one cloud account.
        self._hedge_due_s = FOREVER_S
        self._candidates, self.request = prepared.selection.candidates, request
        self._skipped = (*self._skipped, *prepared.selection.skipped)
        self._strategy = prepared.selection.strategy
        self._retired = prepared.selection.retired
        if self._resources is not None:
            self._resources.replace_request(request)
            if prepared.named_resource is not None:
                self._resources.name(prepared.named_resource)
        self._attempt_next_candidate_or_answer()

    def _refuse(self, refused: Refused) -> None:
        """Answer with the refusal that the preparation raised."""
        kind, message = refused.kind, str(refused)
        self.shared.counts.refusals[kind.code] += 1
        self._skipped = (*self._skipped, *refused.skipped)
        self._refused_by = refused.terms
        lines = self._header_lines(refused.headers)
        answer = error_response(kind, message, param=refused.param, headers=lines)
        self._finish_with_own_answer(kind.status, answer, message)

    # -- choose

    def _attempt_next_candidate_or_answer(self) -> None:
        """Attempt the next candidate; if there is none, answer so."""
        resources = self._resources
        if resources is not None and resources.keeps_resource and not self._ended_attempts:
            failure = self.shared.resource_index.failure
            if failure is not None:
                # The client would not get the answer that the cloud bills: its identifier could not
                # be kept.
                self._answer_write_failure(failure)
                return
        if not self._attempt_next_candidate():
            self._answer_no_candidate_left()

    def _attempt_next_candidate(self) -> bool:
        """Attempt the best remaining candidate that can be asked now; return False if there is
        none."""
        shared = self.shared
        now_s = shared.wheel.now_s
        while self._next_index < len(self._candidates):
            candidate = self._candidates[self._next_index]
            self._next_index += 1
            target = candidate.target
            health = target.health_of(self.request.operation)
            if target.write_head is None:
                # The missing credential is logged already; the operator has to fix it.
                self._skip(candidate, "has no credential at present")
            elif not health.admits(now_s, self.customer.buyer.organisation):
                self._skip(candidate, health.why)
                # A cloud that named a time would refuse until then. Any other may have recovered: its
                # deployment is a last resort, better than no answer.
                if health.asked_for_pause and health.named_duration:
                    self._note_busy(health.until_s)
                    self._pause_statuses = (*self._pause_statuses, health.pause_status)
                else:
                    self._last_resort = self._last_resort or candidate
                    if health.asked_for_pause:
                        self._paused = (*self._paused, candidate)
            elif health.absent and health.lacks(
                now_s, self.request.operation.name, self.customer.buyer.organisation
            ):
                self._skip(candidate, "its server did not have this path a short while ago")
                self._without_path = self._without_path or candidate
            # The quota is the model's: reading what was made, or storing a file, takes none of it.
            elif not target.has_quota_left(now_s) and self.request.operation.routed:
                self._skip(candidate, "its quota of this minute is used up")
                self._last_resort = self._last_resort or candidate
            elif self._attempt_candidate(candidate, health):
                return True
        last_resort, self._last_resort = self._last_resort, None
        # Once an attempt has failed, only a cloud that was busy a moment ago is a last resort: the
        # others would most likely fail too.
        if self._ended_attempts:
            last_resort = self._paused[0] if self._paused else None
        # A server that lacked the path may have it now, but comes after all that have it.
        elif last_resort is None and not self._busy_until_s:
            last_resort, self._without_path = self._without_path, None
        if last_resort is None:
            return False
        self._paused = tuple([paused for paused in self._paused if paused is not last_resort])
        return self._attempt_last_resort(last_resort)

    def _attempt_last_resort(self, candidate: Candidate) -> bool:
        health = candidate.target.health_of(self.request.operation)
        return self._attempt_candidate(candidate, health, is_last_resort=True)

    def _skip(self, candidate: Candidate, why: str) -> None:
        """Note for the explanation that a candidate is skipped."""
        target = candidate.target
        self._skipped = (*self._skipped, SkippedDeployment(target.cloud, target.name, why))

    def _note_busy(self, until_s: float) -> None:
        """Note until when a cloud said not to ask it again; the soonest of several counts."""
        self._busy_until_s = min(self._busy_until_s or FOREVER_S, until_s)

    # -- attempt

    def _attempt_candidate(
        self, candidate: Candidate, health: Health, *, is_last_resort: bool = False
    ) -> bool:
        """Reserve the worst case and begin the attempt.

        Return True once the attempt has begun, or the wait for a larger share of a limit or slice of
        a budget. Return False, and skip the candidate, if a limit or budget is too small.
        """
        target = candidate.target
        is_hedge = self._attempt is not None and not self._attempt.over
        worst_case = self._worst_case(target)
        allowance = self.customer.allowance
        if allowance is not None:
            shortage = allowance.reserve(
                target.cloud,
                target.product,
                worst_case.picodollars,
                worst_case.tokens,
                self.shared.wheel.now_s,
            )
            if shortage is not None:
                if shortage.may_grow and not is_hedge:
                    # A hedge waits for no larger share: it moves on to the next candidate.
                    self._task = self.shared.loop.create_task(
                        self._grow_and_attempt(shortage, candidate, is_last_resort)
                    )
                    self._set_due(self._deadline_s)
                    return True
                self._skip(candidate, shortage.message)
                if self._first_shortage is None:
                    self._first_shortage = shortage
                    self._shortage_lines = allowance.rate_limit_headers(
                        self.shared.wheel.now_s, target.cloud, target.product
                    )
                return False
        if target.quota is not None and self.request.operation.routed:
            target.quota.take(tokens_expected(self.request, worst_case))
        self._has_unused_retry = False
        # INVARIANT: the journal knows an attempt by this number, so no two of a request share it.
        self._attempts_begun += 1
        attempt = Attempt(self, candidate, health, self._attempts_begun, worst_case)
        if is_hedge:
            self._hedge = attempt
        else:
            self._attempt = attempt
        self.set_deadline(attempt)
        attempt.begin()
        return True

    def _worst_case(self, target: CallTarget) -> WorstCase:
        """Return the most that an attempt can use and cost; for a batch, of all its lines."""
        request, resources = self.request, self._resources
        if not request.operation.metered:
            # The call itself costs nothing; the lines of a batch do.
            if resources is None or not resources.is_batch:
                return _COSTS_NOTHING
            return resources.worst_case_of_batch()
        scale = target.scale
        if target.has_varying_prices:
            scale = target.scale_for(request, self.customer.buyer, self.event_ns)
        text_bytes = request.text_bytes if request.operation.is_text else len(request.body)
        return target.worst_case(request.properties, text_bytes, request.needs, scale)

    async def _grow_and_attempt(
        self, shortage: Shortage, candidate: Candidate, is_last_resort: bool
    ) -> None:
        """Ask for larger shares of the exhausted limits and slices of the exhausted budgets, then
        choose again from the candidate on: meanwhile it may have been ejected, or have no
        credential or no quota any more.

        Another request may take the granted amount first. Then the reservation falls short again
        and a larger share is asked for again, until the worst case fits or nothing more is granted.
        """
        try:
            await self.shared.allowances.grow(shortage)
            if self._decided:
                return
            self._task = None
            self._restart_hedge()
            if not is_last_resort:
                self._next_index -= 1
            elif self._attempt_last_resort(candidate):
                return
            self._attempt_next_candidate_or_answer()
        except Exception as error:
            self._task = None
            self.end_with_own_fault(error)

    # -- answer: an attempt calls these when its cloud has answered, including with a refusal

    def count_answer_bytes(self, count: int) -> None:
        """Count bytes of an answer that is buffered until it is whole."""
        in_flight = self.shared.in_flight
        if self.in_flight_use is None:
            self.in_flight_use = in_flight.find(self.customer.label)
        if self.in_flight_use is not None:
            self.bytes_in_flight += count
            in_flight.add(self.in_flight_use, count)

    def answered(self, attempt: Attempt, body: bytes) -> None:
        """Record the usage of a whole answer, and finish with the answer. The answer may be the
        cloud's refusal of the request itself."""
        self._status = status = attempt.status
        is_served = 200 <= status < 300
        self._answer_from(attempt, attempt.output_in(body) if is_served else 0)
        # A refusal counts as a failed attempt, but not against the health of the deployment.
        if not is_served:
            self.shared.counts.failed[attempt.candidate.target.cloud] += 1
        # The cloud has now cached this prompt's prefix: send the next request with the same cache
        # key to this deployment.
        if is_served and self.request.needs.cache_key:
            self._remember_cache(attempt)
        resources = self._resources
        # The request's path names a resource.
        if resources is not None and resources.is_about_named_resource:
            self._answer_about_resource(resources, attempt, body)
        # The answer issues an identifier.
        elif resources is not None and is_served and resources.issues_identifier:
            self._answer_and_issue(resources, attempt, body)
        else:
            if is_served:
                attempt.record_usage_of_answer(body)
            else:
                attempt.record_end(Status.FAILED, status)
            self._finish(self._whole_answer(attempt, body), is_last_step=True)

    def stream_content(self, attempt: Attempt, events: bytes) -> None:
        """Pass on events of a stream. With the first, the client gets its answer from this attempt."""
        client = self._client
        framed = b"%x\r\n%b\r\n" % (len(events), events) if client.chunked else events
        if self._waiting_events is not None:
            self._waiting_events.append(framed)
            return
        if self._stream_begun:
            client.write(framed)
            return
        self._answer_from(attempt)
        self._stream_begun = True
        if self.request.needs.cache_key:
            self._remember_cache(attempt)
        framed = self._stream_head(attempt, framed)
        resources = self._resources
        if resources is not None and isinstance(attempt.stream, TypedStream):
            self._streamed_id = resources.streamed_id_of(attempt.stream)
            if self._streamed_id:
                self.shared.holds.note_stream(self._streamed_id, attempt.stream)
        background_id = resources.background_id_of(attempt.stream) if resources is not None else ""
        if resources is None or not background_id:
            client.write(framed)
            return
        # The response runs on at the cloud: its identifier has to be durable before the client can
        # read it.
        attempt.pending_resource = resources.row(attempt, background_id, pending=True)
        self._waiting_events = [framed]
        self._background_id = background_id
        self.shared.holds.ids_read_by_clients.add(background_id)
        self.shared.resource_index.add(
            (attempt.pending_resource,), self._guarded(self._send_waiting_events)
        )

    def stream_ended(self, attempt: Attempt) -> None:
        """Record the usage of a stream whose last event has come, and finish."""
        stream = attempt.stream
        assert stream is not None
        self._status = attempt.status
        last_bytes = _last_of_stream(stream.last, self._client.chunked)
        if not self._stream_begun:
            # The whole stream was its last event: no content was passed on before it.
            self._answer_from(attempt)
            if self.request.needs.cache_key:
                self._remember_cache(attempt)
            last_bytes = self._stream_head(attempt, last_bytes)
        resources = self._resources
        if resources is None:
            attempt.record_usage_of_stream()
            self._finish(last_bytes)
            return
        rows = resources.rows_of_stream(attempt, stream)
        resource_end = resources.resource_end_in_stream(attempt)
        if resource_end is not None:
            self._meter_resource_end(resource_end, attempt, last_bytes, rows)
            return
        if resources.is_about_named_resource:
            attempt.record_end(Status.COMPLETE, attempt.status)
        else:
            attempt.record_usage_of_stream()
        self._finish_issuing(last_bytes, rows)

    def _answer_from(self, attempt: Attempt, output_tokens: int = 0) -> None:
        """Let the client's answer come from this attempt, a whole one of `output_tokens`; cancel its
        rival, if there is one."""
        if self._hedge is None:
            return
        rival = self._rival_of(attempt)
        self._attempt, self._hedge = attempt, None
        if rival is not None:
            self._call_off(rival, _CALLED_OFF_AS_SLOWER, output_tokens)

    def _call_off(self, attempt: Attempt, outcome: str, output_tokens: int = 0) -> None:
        """Meter an attempt until now, cancel it and note how it ended. `output_tokens` is how long
        the same answer was elsewhere."""
        self._cancel_attempt(attempt, output_tokens)
        self._note_ended(attempt, Failure(outcome, attempt.status), called_off=True)

    def _cancel_attempt(self, attempt: Attempt, output_tokens: int = 0) -> None:
        attempt.disconnect()
        attempt.health.cancelled()
        attempt.record_usage_until_now(output_tokens)

    def _rival_of(self, attempt: Attempt) -> Attempt | None:
        """Return the other attempt under a hedge; None if it is over or there is none."""
        rival = self._hedge if attempt is self._attempt else self._attempt
        return rival if rival is not None and not rival.over else None

    def _remember_cache(self, attempt: Attempt) -> None:
        """Remember that this deployment has cached the prompt: later requests with the same cache
        key go there."""
        request, shared = self.request, self.shared
        shared.tables.memory.cached.served(
            self.customer.buyer.organisation,
            request.model,
            request.needs.cache_key,
            attempt.candidate.target.name,
            shared.wheel.now_s,
        )

    # -- issue: answers with identifiers of resources

    def _send_waiting_events(self, outcome: bool | OSError) -> None:
        """Send the events that waited until the row of their response was durable."""
        events, self._waiting_events = self._waiting_events, None
        if self._over or events is None:
            return
        if isinstance(outcome, OSError):
            self._stream_begun = False  # nothing was sent: the answer can still be an error
            # Let the usage record end the reservation: no pending resource needs it any more.
            if self._attempt is not None:
                self._attempt.pending_resource = None
            self._cancel_attempts()
            self._answer_write_failure(outcome)
        else:
            self._client.write(b"".join(events))

    def _answer_and_issue(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """Finish with an answer that issues an identifier. If the resource is still pending, its
        usage is metered at its end."""
        last_bytes = self._whole_answer(attempt, body)
        rows = resources.rows_of_answer(attempt, body)
        if rows and rows[0].pending:
            attempt.pending_resource = rows[0]
            attempt.record_end(Status.COMPLETE, attempt.status)
        else:
            attempt.record_usage_of_answer(body)
        self._finish_issuing(last_bytes, rows)

    def _answer_about_resource(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """Finish with an answer about the resource that the request names. If the resource has
        ended and its usage is still pending, meter that usage now."""
        status, last_bytes = attempt.status, self._whole_answer(attempt, body)
        resource_end = resources.resource_end_in_answer(
            attempt, body, self._events_streamed(resources)
        )
        rows = resources.rows_of_named(status, body)
        if (
            resource_end is not None
            and self._is_final(resource_end)
            and not self._waits_for_length(resource_end, attempt)
        ):
            self._meter_resource_end(resource_end, attempt, last_bytes, rows)
            return
        if resource_end is None and status < 300 and resources.named_resource is not None:
            self.shared.holds.forget_end(resources.named_resource.identifier)
        attempt.record_end(Status.COMPLETE if status < 300 else Status.FAILED, status)
        if status < 300 and self.request.operation.deletes and resources.named_resource is not None:
            self._decided = True
            # The cloud has deleted the resource. If the index cannot remove its row, nothing
            # breaks: the cloud answers the next request with 404.
            finish = self._guarded(lambda _outcome: self._finish(last_bytes))
            self.shared.resource_index.forget(resources.named_resource.identifier, finish)
        else:
            self._finish_issuing(last_bytes, rows)

    def _waits_for_length(self, resource_end: ResourceEnd, attempt: Attempt) -> bool:
        """Return whether the end of a batch is metered by another request, which asks how long its
        output is. If the process dies before that, the batch is still pending."""
        shared, batch = self.shared, resource_end.resource
        file_id, holds = resource_end.unread_file_id, self.shared.holds
        if not file_id or batch.identifier in holds.being_measured:
            return bool(file_id)
        if not holds.may_measure(batch.identifier):
            return False
        start_own_request(
            shared,
            Discarding(holds.being_measured, batch.identifier),
            maker_of(shared, batch),
            CandidateSelection((attempt.candidate,)),
            _READS_FILE,
            file_id,
            batch,
            model=batch.model,
            end_without_output=resource_end,
        )
        return True

    def _is_final(self, resource_end: ResourceEnd) -> bool:
        """Return whether an end stays as it is. A cloud that was about to complete a response may
        call it cancelled at once, or know nothing of it yet, and tell its usage a moment later."""
        shared, identifier = self.shared, resource_end.resource.identifier
        if not resource_end.believed_after:
            return True
        reported_for_s = shared.holds.end_reported_for_s(identifier, shared.wheel.now_s)
        return reported_for_s >= resource_end.believed_after * shared.limits.pending_s

    def _events_streamed(self, resources: Resources) -> int:
        """Return how many events of the named resource this process has streamed."""
        named = resources.named_resource
        return self.shared.holds.events_streamed(named.identifier) if named is not None else 0

    def _meter_resource_end(
        self,
        resource_end: ResourceEnd,
        attempt: Attempt,
        last_bytes: bytes,
        rows: list[IndexedResource],
    ) -> None:
        """Claim the end of a pending resource and meter its usage, unless another request has
        claimed it.

        The outcome of the claim is True if this request meters the end, False if another request
        does, and an error if the claim could not be written.
        """
        shared, identifier = self.shared, resource_end.resource.identifier
        self._decided = True

        def on_claimed(outcome: bool | OSError) -> None:
            if attempt.over:
                return  # its row could not be written, so its usage is recorded already
            if isinstance(outcome, bool):
                shared.holds.forget_response(identifier)
            if outcome is True:
                attempt.record_resource_end(
                    resource_end.resource, resource_end.units, resource_end.status
                )
                # The resource is marked as metered once the record is durable. `resource_index` says
                # what happens if the process dies before that.
                shared.spool.notify_when_durable(_MeteredMarker(shared, identifier))
            elif outcome is False:
                # Another request has claimed the end and meters it.
                attempt.pending_resource = None
                attempt.record_end(Status.COMPLETE, attempt.status)
                shared.holds.drop(identifier)
            else:
                # A later request meters the end: until then the resource's reservation stays.
                attempt.record_end(Status.COMPLETE, attempt.status)
            if isinstance(outcome, OSError):
                self._answer_write_failure(outcome)
            else:
                self._finish_issuing(last_bytes, rows)

        request_id = str(RequestId(shared.boot, self.number))
        shared.resource_index.claim(identifier, request_id, self._guarded(on_claimed))

    def _finish_issuing(self, last_bytes: bytes, rows: list[IndexedResource]) -> None:
        """Finish once `rows`, one for each identifier in the answer, are durable in the index."""
        if not rows:
            self._finish(last_bytes)
            return
        self._decided = True

        def on_written(outcome: bool | OSError) -> None:
            if not isinstance(outcome, OSError):
                self._finish(last_bytes)
                return
            for row in rows:
                self.shared.holds.drop(row.identifier)
            self._answer_write_failure(outcome)

        self.shared.resource_index.add(rows, self._guarded(on_written))

    def _guarded(self, step: OnWritten) -> OnWritten:
        """Return `step`, guarded: an exception raised in it ends the request. The event loop, which
        calls the step, would only log the exception.

        The step is called with True if the index was changed, False if there was nothing to change,
        and an error if the index could not be written.
        """

        def guarded(outcome: bool | OSError) -> None:
            try:
                step(outcome)
            except Exception as error:
                self.end_with_own_fault(error)

        return guarded

    # -- the bytes of an answer

    def _whole_answer(self, attempt: Attempt, body: bytes) -> bytes:
        """Return a whole answer with its status line and headers."""
        return self._head(attempt, b"content-length: %d\r\n\r\n%b" % (len(body), body))

    def _stream_head(self, attempt: Attempt, framed: bytes) -> bytes:
        """Return status line and headers of a stream, and its first events."""
        framing = b"transfer-encoding: chunked\r\n\r\n" if self._client.chunked else b"\r\n"
        return self._head(attempt, framing + framed)

    def _head(self, attempt: Attempt, rest: bytes) -> bytes:
        """Return status line and headers, then `rest`: the headers that frame the body, and the
        bytes of the body."""
        status = attempt.status
        allowance, target = self.customer.allowance, attempt.candidate.target
        # Show the customer's own limits if it has any. Else pass on the limits of our cloud
        # account, as the cloud states them.
        own_limits = (
            allowance.rate_limit_headers(self.shared.wheel.now_s, target.cloud, target.product)
            if allowance
            else b""
        )
        return b"HTTP/1.1 %d %b\r\n%b%b%b%bx-clauseway-attempts: %d\r\n%b%b" % (
            status,
            PHRASES.get(status, b"-"),
            attempt.head,
            own_limits or attempt.rate_limit_lines,
            attempt.candidate.headers,
            self._identity_lines,
            self._attempts_begun,
            self._client.head_lines,
            rest,
        )

    def _header_lines(self, headers: bytes = b"") -> bytes:
        """Return the headers of an answer that is the gateway's own."""
        return b"%b%bx-clauseway-attempts: %d\r\n%b" % (
            headers,
            lines_of_own_answer(self._identity_lines),
            self._attempts_begun,
            self._client.head_lines,
        )

    # -- finish → over

    def _finish_with_own_answer(self, status: int, answer: bytes, message: str = "") -> None:
        """Finish with an answer of the gateway's own."""
        self._status, self._message = status, message
        # Only whole answers start with HTTP/. A stream's error event is in the client's format
        # already.
        if self.request.operation.speaks_messages and answer.startswith(b"HTTP/"):
            answer = answer_in_message_shape(answer)
        self._finish(answer)

    def _finish(self, last_bytes: bytes, *, is_last_step: bool = False) -> None:
        """Decide the answer. Its last bytes wait until every record of this request is durable;
        then `write_ended` sends them, maybe before this returns if it is the caller's last step."""
        self._decided = True
        self._last_bytes = last_bytes
        self.shared.spool.notify_when_durable(self, is_last_step=is_last_step)

    def write_ended(self, error: OSError | None) -> None:
        """Send the last bytes, or, with an error, say that the journal could not be written."""
        if error is not None:
            self._answer_write_failure(error)
        elif not self._over:
            self._send_last(self._last_bytes)

    def _answer_write_failure(self, error: OSError) -> None:
        """Answer that a record or an identifier of this request could not be written to disk."""
        if self._over:
            return  # the client has left
        # The client gets this error, whatever the cloud answered.
        kind = kind_of_failure(error)
        self._status = kind.status
        self._message = unrecorded(error)
        if self._stream_begun:
            stream = self._attempt.stream if self._attempt is not None else None
            assert stream is not None, "its content was sent"
            self._send_last(self._last_of_broken(stream, kind, self._message))
            return
        answer = journal_failed(error, self._header_lines())
        if self.request.operation.speaks_messages:
            answer = answer_in_message_shape(answer)
        self._send_last(answer)

    def _send_last(self, last_bytes: bytes) -> None:
        """Send the events that still wait, then the last bytes, and end the request."""
        client = self._client
        events, self._waiting_events = self._waiting_events, None
        if events is not None:
            client.write(b"".join(events))
        # The connection can carry another request if the answer's end is marked: by its length, or
        # by its last chunk. A stream that is not chunked, or was cut, ends with the connection.
        intact = not self._stream_begun or (client.chunked and not self.is_cut)
        client.write(last_bytes)
        try:
            self._release()
        finally:
            client.request_over(intact=intact)

    def _release(self) -> None:
        """Release whatever the request has taken, and keep the explanation of how it ended. The
        request is over."""
        self._over = True
        self._decided = True
        self._last_bytes = b""
        self._put_back_unused_retry()
        shared = self.shared
        shared.spool.open_requests -= 1
        if self.bytes_in_flight and self.in_flight_use is not None:
            shared.in_flight.release(self.in_flight_use, self.bytes_in_flight)
        if self._unattended:
            shared.unattended.discard(self)
            shared.wheel.forget(self)
            if self._left_use is not None:
                shared.in_flight.end_left_request(self._left_use)
        # An attempt and its lifecycle refer to each other: without this, only the garbage collector
        # would free them.
        attempt, self._attempt, self._hedge = self._attempt, None, None
        if self._background_id:
            shared.holds.ids_read_by_clients.discard(self._background_id)
        if self._streamed_id and attempt is not None:
            shared.holds.end_stream(self._streamed_id, attempt.stream)
        request = self.request
        answering_attempt = attempt if attempt is not None and not attempt.failed else None
        if answering_attempt is not None and 200 <= self._status < 300:
            shared.counts.served[answering_attempt.candidate.target.cloud] += 1
        explanation = RequestExplanation(
            event_ns=self.event_ns,
            buyer=self.customer.buyer,
            operation=request.operation.name,
            model=request.model,
            skipped=self._skipped,
            attempted=self._ended_attempts,
            candidates=self._candidates,
            strategy=self._strategy,
            candidate=answering_attempt.candidate if answering_attempt is not None else None,
            units=answering_attempt.units if answering_attempt is not None else (),
            charged=answering_attempt.charged if answering_attempt is not None else 0,
            is_estimated=answering_attempt is not None and answering_attempt.is_estimated,
            streamed=request.properties.streamed,
            first_content_us=answering_attempt.first_content_us
            if answering_attempt is not None
            else 0,
            model_there=answering_attempt.model_there if answering_attempt is not None else "",
            status=0 if self._is_left else self._status,
            message=self._message,
            refused_by=self._refused_by,
        )
        shared.finished(self.number, explanation, self._begin_ns, request.forwarded)

    # -- attempts that fail

    def attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        """Record the failure and go on with the rival or the next candidate."""
        attempt.record_end(Status.FAILED, failure.status)
        self._note_ended(attempt, failure)
        self._failure_limits = attempt.rate_limit_lines
        self._may_pass = is_passing(failure, attempt.head)
        if failure.named_duration:
            # Whatever time a cloud names, it is asked again after `WAIT_MAX_S`.
            self._note_busy(self.shared.wheel.now_s + min(failure.wait_s, WAIT_MAX_S))
        rival, self._hedge = self._rival_of(attempt), None
        if rival is not None:
            self._attempt = rival
            return
        if self._decided:
            return  # no further attempt is needed
        if self._is_left:
            self.cancel()
            return
        # A probe costs its client no answer, and multiplies no load: a deployment has one at a time,
        # ever more seldom.
        has_retry = attempt.is_probe or not self._may_go_on or self._takes_retry()
        if not has_retry:
            self._note_no_retries()
            self._answer_no_candidate_left()
        else:
            self._attempt_next_candidate_or_answer()

    def stream_broke(self, attempt: Attempt, reason: str) -> None:
        """End a stream that broke after content was sent: with an error event in the client's
        format, or without the body's end, never as a complete stream."""
        attempt.record_usage_until_now()
        attempt.failed = True
        target, stream = attempt.candidate.target, attempt.stream
        assert stream is not None
        self._note_ended(attempt, Failure(reason, attempt.status))
        message = f"The stream broke: {target.cloud} {reason} (deployment {target.name})."
        last_bytes = self._last_of_broken(stream, STREAM_BROKEN, message)
        # The client saw the status of the head; the explanation says 502.
        self._status, self._message = 502, message
        self._finish_issuing(last_bytes, self._rows_of_begun_stream(attempt))

    def _rows_of_begun_stream(self, attempt: Attempt) -> list[IndexedResource]:
        """Return the rows of whatever a stream named whose end does not come: the client may have
        read it, and its cloud may keep it."""
        stream, resources = attempt.stream, self._resources
        if resources is None or stream is None or not attempt.has_content:
            return []
        return resources.rows_of_stream(attempt, stream)

    def _last_of_broken(self, stream: Stream, kind: ErrorKind, message: str) -> bytes:
        """Return the last bytes of a stream that broke: an error event, which cannot stand in a
        file's content, and no last chunk. Some clients read no errors in a stream: they see that
        the body is incomplete (RFC 9112, 8)."""
        self.is_cut = True
        if isinstance(stream, PassedContent):
            return b""
        return _framed(stream.broken(kind, message), self._client.chunked)

    def _note_ended(self, attempt: Attempt, failure: Failure, *, called_off: bool = False) -> None:
        """Keep an attempt that failed or was called off for the explanation and the error, and
        count its failure. An attempt that was called off is no failure of its cloud."""
        target = attempt.candidate.target
        if not called_off:
            self.shared.counts.failed[target.cloud] += 1
        ended_attempt = EndedAttempt(
            cloud=target.cloud,
            deployment=target.name,
            outcome=failure.outcome,
            status=failure.status,
            duration_us=attempt.age_us(),
            product=target.product,
            units=attempt.units,
            charged=attempt.charged,
            is_estimated=attempt.is_estimated,
            ordinal=attempt.ordinal,
            called_off=called_off,
            is_spent=failure.is_spent,
            meant=failure.meant,
        )
        self._ended_attempts = (*self._ended_attempts, ended_attempt)

    def _takes_retry(self) -> bool:
        """Take one of the organisation's further attempts; return False if none is left."""
        self._has_unused_retry = self.shared.retries.take(self.customer.buyer.organisation)
        return self._has_unused_retry

    def _put_back_unused_retry(self) -> None:
        """Put back a further attempt that was taken, where every candidate left was skipped."""
        if self._has_unused_retry:
            self._has_unused_retry = False
            self.shared.retries.put_back(self.customer.buyer.organisation)

    def _note_no_retries(self) -> None:
        """Note that no further candidate is attempted, for the explanation and the answer."""
        self._lacks_retries = True
        why = "no retries are left: too many requests fail at present"
        self._skipped = (*self._skipped, SkippedDeployment("", "", why))

    def _answer_shortage(self, shortage: Shortage, limit_lines: bytes) -> None:
        """Answer that a limit or budget is exhausted, or that its lease server cannot be reached.
        `limit_lines` are header lines."""
        self.shared.counts.shortages[shortage.kind, shortage.whose] += 1
        answer = shortage_response(shortage, self._header_lines(limit_lines))
        self._finish_with_own_answer(shortage_kind(shortage).status, answer, shortage.message)

    def _answer_no_candidate_left(self) -> None:
        """Answer that no candidate can be asked, or that none is left."""
        shortage = self._first_shortage
        # No cloud was asked: a limit or budget of the client is a reason.
        if shortage is not None and not self._ended_attempts:
            self._answer_shortage(shortage, self._shortage_lines)
            return
        statuses = {failed_attempt.status for failed_attempt in self._ended_attempts}
        # Every cloud says that it has no such model, and the vendor has retired it, so answer 404.
        if statuses == {404} and self._retired:
            self._answer_failure(UNKNOWN_MODEL)
            return
        kind = self._failure_kind()
        # Clouds that were not asked may be well: the client may try again at once.
        if self._lacks_retries and self._may_go_on:
            self._answer_failure(kind._replace(should_retry=True))
        # At least one cloud named a time before which it must not be asked: pass on the soonest.
        elif kind is not CLOUDS_FAILED and self._busy_until_s:
            wait_s = max(self._busy_until_s - self.shared.wheel.now_s, 0.0)
            kind = kind._replace(should_retry=wait_s <= PATIENCE_S)
            self._answer_failure(kind, wait_lines(wait_s))
        else:
            # One attempt was made in all: the client's retries multiply none of the gateway's.
            again = self._may_pass and len(self._ended_attempts) == 1
            lines = b"" if kind is CLOUDS_FAILED else self._failure_limits
            self._answer_failure(kind._replace(should_retry=again), lines)

    def _failure_kind(self) -> ErrorKind:
        """Return the kind of error by the statuses of all attempts, or, if no cloud was asked, of
        the answers by which clouds asked to be left alone. Where our quota is spent the client is at
        no limit: such an attempt tells nothing beside others, and alone it is a failure."""
        statuses = {
            ended.meant or ended.status for ended in self._ended_attempts if not ended.is_spent
        }
        if self._ended_attempts and not statuses and not self._busy_until_s:
            return CLOUDS_FAILED
        statuses = statuses or set(self._pause_statuses)
        if statuses == {429}:
            return CLOUDS_BUSY
        return CLOUDS_UNAVAILABLE if statuses <= {429, *OVERLOADED} else CLOUDS_FAILED

    def _answer_failure(self, kind: ErrorKind, headers: bytes = b"") -> None:
        """Answer that every attempt failed, or that no candidate can be attempted now; give the
        reason for each."""
        message = "No cloud answered this request. "
        if kind is DEADLINE and not self._ended_attempts:
            message += "The deadline passed before any was attempted."
        else:
            message += self._reasons()
        if kind is UNKNOWN_MODEL:
            message = f"{self._retired} {message}"
        answer = error_response(kind, message, headers=self._header_lines(headers))
        self._finish_with_own_answer(kind.status, answer, message)

    def _reasons(self) -> str:
        """Say how each attempt failed, and why each deployment that was not attempted was skipped.
        Only the explanation says why a last resort was skipped first: that is of other requests,
        and clients take its words (a rate limit) for the error's own."""
        asked = {(ended.cloud, ended.deployment) for ended in self._ended_attempts}
        others = [other for other in self._skipped if (other.cloud, other.deployment) not in asked]
        skipped = "; ".join(map(str, others))
        if not self._ended_attempts:
            return f"None was attempted: {skipped}."
        attempted = "; ".join(map(str, self._ended_attempts))
        return f"Attempted: {attempted}." + (f" Skipped: {skipped}." if skipped else "")

    # -- failures of the gateway itself: exceptions in our own code

    def attempt_raised(self, attempt: Attempt, error: Exception) -> None:
        """Leave the request to the rival attempt, or end the request. Ask no further cloud: our
        code would raise the same exception there."""
        rival = self._rival_of(attempt)
        if rival is None or self._stream_begun:
            self.end_with_own_fault(error)
            return
        self.shared.report_fault(error)
        self._attempt, self._hedge = rival, None
        self._record_own_fault(attempt)

    def end_with_own_fault(self, error: BaseException) -> None:
        """End both attempts and tell the client that the gateway failed."""
        self.shared.report_fault(error)
        if self._over:
            return
        stream = self._attempt.stream if self._attempt is not None else None
        for attempt in (self._attempt, self._hedge):
            if attempt is not None:
                attempt.disconnect()
                # Our fault ended the attempt: that is no failure of its cloud.
                attempt.health.cancelled()
                self._record_own_fault(attempt)
        # The status was sent with the head. Only an event can still tell the client of the failure.
        if self._stream_begun and stream is not None:
            answer = self._last_of_broken(stream, INTERNAL, OWN_FAULT)
        else:
            answer = error_response(INTERNAL, OWN_FAULT, headers=self._header_lines())
        self._finish_with_own_answer(INTERNAL.status, answer, OWN_FAULT)

    def _record_own_fault(self, attempt: Attempt) -> None:
        """Record the end of an attempt at which the gateway failed, if it has not ended yet."""
        attempt.failed = True
        # Listed as skipped, not as failed: the fault is ours, not the cloud's.
        self._skip(attempt.candidate, "the gateway itself failed at this attempt")
        try:
            if not attempt.over and attempt.has_content:
                attempt.record_usage_until_now()
            elif not attempt.over:
                attempt.record_end(Status.FAILED, attempt.status)
        except Exception as error:
            self.shared.report_fault(error)
            attempt.end_without_record()

    # -- deadlines and the hedge

    def set_deadline(self, attempt: Attempt) -> None:
        """Set the attempt's deadline: its own time limit, but no later than the request's deadline.
        Once a stream's content has come, the request's deadline no longer counts: only silence ends
        the stream."""
        tables, streamed = self.shared.tables, self.request.properties.streamed
        timeout_s = tables.attempt_timeout_s if streamed else tables.answer_timeout_s
        due_s = self.shared.wheel.now_s + timeout_s
        # Not by min(), which costs more: this runs for every attempt.
        if due_s > self._deadline_s and not attempt.has_content:
            due_s = self._deadline_s
        attempt.due_s = due_s
        if self._hedge is not None or self._hedge_due_s < due_s:
            due_s = self._earliest_due_s()
        self._set_due(due_s)

    def shorten_deadline(self, attempt: Attempt, due_s: float) -> None:
        """Set the attempt's deadline to `due_s`, if it is not earlier already."""
        attempt.due_s = min(attempt.due_s, due_s)
        self._set_due(self._earliest_due_s())

    def _earliest_due_s(self) -> float:
        """Return the earliest of these: the request's deadline, the attempts' deadlines, and the time
        at which the hedge is due. Once stream content was sent, only the attempt's deadline counts."""
        due_s = FOREVER_S if self._stream_begun else min(self._deadline_s, self._hedge_due_s)
        for attempt in self._attempts_under_way:
            due_s = min(due_s, attempt.due_s)
        return due_s

    def _set_due(self, due_s: float) -> None:
        """Set when to check the deadlines next. If that is earlier than before, ask the client's
        connection for an earlier timer. The first call of a request does not ask, because the
        caller that starts the request arms the timer."""
        sooner = due_s < self.due_s
        self.due_s = due_s
        if self._unattended:
            self.shared.wheel.arm(self, due_s)
        elif sooner:
            # A later time needs no call: the timer re-arms itself when it fires.
            self._client.check_deadlines_by(due_s)

    def timer_fired(self) -> None:
        """Check deadlines of an unattended request; called by the timer wheel."""
        if self._over:
            return
        self.check_deadlines(self.shared.wheel.now_s)
        if not self._over:
            self.shared.wheel.arm(self, max(self.due_s, self.shared.wheel.now_s))

    def check_deadlines(self, now_s: float) -> None:
        """End the request or an attempt that is out of time, or begin the hedge."""
        if self._decided:
            self.due_s = FOREVER_S
            return
        if not self._stream_begun:
            if now_s >= self._deadline_s:
                self._end_at_deadline()
                return
            if now_s >= self._hedge_due_s:
                self._begin_hedge()
        for attempt in self._attempts_under_way:
            # The end of the one may have called the other off.
            if attempt.over or attempt.due_s > now_s:
                continue
            if self._client_pauses and attempt.awaits_events:
                self.set_deadline(attempt)  # the cloud's silence is the client's
            else:
                attempt.time_out()
        self.due_s = FOREVER_S if self._decided else self._earliest_due_s()

    def _begin_hedge(self) -> None:
        """Attempt another candidate beside a slow attempt, once."""
        self._hedge_due_s = FOREVER_S
        attempt = self._attempt
        if (
            attempt is None
            or attempt.over
            or self._hedge is not None
            or not self.has_candidates_left
        ):
            return
        if not self._takes_retry():
            self._note_no_retries()
        elif not self._attempt_next_candidate():
            self._put_back_unused_retry()

    def _end_at_deadline(self) -> None:
        """End the attempts under way, and answer that the request's deadline has passed."""
        if self._task is not None:
            self._task.cancel()
        for attempt in self._attempts_under_way:
            attempt.disconnect()
            attempt.failed = True
            attempt.health.failed(
                self.shared.wheel.now_s,
                "did not answer in time",
                self.customer.buyer.organisation,
            )
            attempt.record_end(Status.FAILED, attempt.status)
            self._note_ended(
                attempt, Failure("did not answer before the request's deadline", attempt.status)
            )
        self._answer_failure(DEADLINE)

    @property
    def _attempts_under_way(self) -> list[Attempt]:
        """Return the attempts that are not over: at most two, under a hedge."""
        both = (self._attempt, self._hedge)
        return [attempt for attempt in both if attempt is not None and not attempt.over]

    # -- clients that leave, or read slowly

    def client_left(self) -> None:
        """Meter the work until now and cancel the attempts: the client's connection is gone. An
        answer that comes whole is read to its end for its usage instead, and by the customer's
        policy any."""
        self._waiting_events = None
        if self._over:
            return
        if self._decided:
            self._release()
            return
        if self._task is not None:
            self._task.cancel()
        attempt = self._attempt
        if attempt is None or attempt.over:
            self.cancel()
        elif self._outlives_client:
            self._go_on_unattended()
        elif any(under_way.awaits_whole_answer for under_way in self._attempts_under_way):
            self._is_left = True
            self._hedge_due_s = FOREVER_S
            self._keep_whole_answers()
            self._go_on_unattended()
        else:
            self.cancel()

    @property
    def _outlives_client(self) -> bool:
        """Return whether the request is served to its end after the client has left: by the
        customer's policy, and always what runs on at the cloud, as long as its identifier has not
        come, by which its end is metered."""
        resources = self._resources
        return self.customer.reads_on_leave or (
            resources is not None and resources.runs_on and not self._background_id
        )

    def _keep_whole_answers(self) -> None:
        """Call off an attempt of which no cloud works out a whole answer, as one that connects or
        renews its credential; have the others sent nowhere again."""
        for attempt in self._attempts_under_way:
            if attempt.awaits_whole_answer:
                attempt.repeat_nothing()
                continue
            self._attempt, self._hedge = self._rival_of(attempt), None
            self._call_off(attempt, _CALLED_OFF_WITHOUT_CLIENT)

    def _go_on_unattended(self) -> None:
        """Read the answer to its end for its usage. Until then the request counts as a connection
        of its key, so that nobody has more under way than by staying."""
        self._client = _NOBODY
        self._unattended = True
        self.shared.unattended.add(self)
        customer, in_flight = self.customer, self.shared.in_flight
        self._left_use = in_flight.count_left_request(customer.label, customer.buyer)
        self.client_resumed()
        self.shared.wheel.arm(self, self.due_s)

    def cancel(self) -> None:
        """End the request without an answer: meter the work until now and cancel the attempts."""
        if self._over:
            return
        if not self._decided:
            self._cancel_attempts()
        self._release()

    def _cancel_attempts(self) -> None:
        """Meter the attempts under way and cancel them. Add to the index whatever their streams
        named."""
        rows: list[IndexedResource] = []
        for attempt in self._attempts_under_way:
            rows += self._rows_of_begun_stream(attempt)
            if attempt is self._hedge:
                self._call_off(attempt, _CALLED_OFF_WITHOUT_CLIENT)
            else:
                self._cancel_attempt(attempt)
        if rows:
            self.shared.resource_index.add(rows, ignore_outcome)

    def client_paused(self) -> None:
        """Stop reading from the cloud: the client does not take what was sent. Meanwhile the
        deadline for the cloud's silence is put off; the client's connection has its own."""
        self._client_pauses = True
        if self._attempt is not None:
            self._attempt.pause()

    def client_resumed(self) -> None:
        """Read from the cloud again, and let the deadline for its silence run from now."""
        was_paused, self._client_pauses = self._client_pauses, False
        attempt = self._attempt
        if attempt is None:
            return
        attempt.resume()
        if was_paused and not attempt.over and attempt.awaits_events:
            self.set_deadline(attempt)


class _RoomWaiter:
    """The spool's waiter: tells a request that its wait for room in the journal has ended."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def write_ended(self, error: OSError | None) -> None:
        self._lifecycle.room_wait_ended(error)


class _MeteredMarker:
    """Marks a pending resource as metered when its usage is durable, even if the client has left."""

    def __init__(self, shared: Shared, identifier: str) -> None:
        self._shared = shared
        self._identifier = identifier

    def write_ended(self, error: OSError | None) -> None:
        if error is None:
            self._shared.resource_index.mark_metered(self._identifier)


class _Nobody:
    """Drops the answer of a client that has left."""

    head_lines = b""
    chunked = True

    def write(self, data: bytes) -> None:
        pass

    def request_over(self, *, intact: bool) -> None:
        pass

    def check_deadlines_by(self, due_s: float) -> None:
        pass


class Discarding(_Nobody):
    """The client of a request that the gateway makes about a resource: it discards the answer, which
    the gateway has metered. Meanwhile the identifier is among those that are asked for."""

    def __init__(self, asked_for: set[str], identifier: str) -> None:
        asked_for.add(identifier)
        self._asked_for = asked_for
        self._identifier = identifier

    def request_over(self, *, intact: bool) -> None:
        self._asked_for.discard(self._identifier)


def maker_of(shared: Shared, resource: IndexedResource) -> Customer:
    """Return the customer whose key made a resource, without limits and budgets: the resource's cost
    was reserved when it was made."""
    return Customer(shared.spool.label(resource.buyer), resource.buyer)


def start_own_request(
    shared: Shared,
    client: RequestClient,
    customer: Customer,
    selection: CandidateSelection,
    operation: Operation,
    identifier: str,
    resource: IndexedResource | None,
    query: bytes = b"",
    *,
    model: str = "",
    end_without_output: ResourceEnd | None = None,
) -> None:
    """Begin a request of the gateway's own to a cloud: about a resource, or for a list. `model` is
    the model that the records name; `end_without_output` is the end of the batch whose output the
    request asks for."""
    call = operation.call(identifier.encode(), query, b"")
    request = UnderstoodRequest(operation, call, NOTHING_ASKED, b"", b"", b"", model)
    resources = Resources(customer, request, resource)
    resources.end_without_output = end_without_output
    Lifecycle(
        client, shared, customer, selection, request, shared.clock(), resources=resources
    ).start_unattended()


_NOBODY: Final = _Nobody()


def ignore_outcome(_outcome: bool | OSError) -> None:
    """Ignore whether the resource index was changed: nobody waits for it."""


def _last_of_stream(events: bytes, chunked: bool) -> bytes:
    """Return the last events of a stream, framed, and the end of the body."""
    return _framed(events, chunked) + b"0\r\n\r\n" if chunked else events


def _framed(events: bytes, chunked: bool) -> bytes:
    """Return events of a stream as a chunk, or as they are where nothing is sent in chunks."""
    return b"%x\r\n%b\r\n" % (len(events), events) if chunked and events else events
