"""From a request that has arrived to its lifecycle, or to an answer of the gateway's own.

    path → operation → key → limits → body → candidates → lifecycle

Requests that cannot be understood, are not authenticated or not permitted are refused here; each
refusal says why, in the shape of the API that the client speaks.
"""

import re
from collections.abc import Callable
from functools import partial
from time import monotonic_ns
from typing import Final, NoReturn

from clauseway.gateway.answers import project_usage
from clauseway.gateway.answers.information import (
    explain,
    health,
    limits,
    models,
    readiness,
    requests,
)
from clauseway.gateway.answers.lists import MergedList
from clauseway.gateway.answers.message_models import message_models
from clauseway.gateway.answers.preparations import look_up_and_select, prepare_deletion
from clauseway.gateway.answers.uploads import BatchUpload
from clauseway.gateway.answers.workers_requests import requests_lifecycle
from clauseway.gateway.budgets.shortage import Shortage
from clauseway.gateway.clouds.dialect import Call
from clauseway.gateway.connections.incoming import Incoming
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.request.lifecycle import Lifecycle, Preparation, RequestClient
from clauseway.gateway.request.refusals import Refused, cut_off, journal_failed, refused_body
from clauseway.gateway.request.resources import Resources
from clauseway.gateway.request.selection import MadeElsewhere, Selected, Selector
from clauseway.gateway.request.shared import Shared, lines_of_own_answer
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.routing.key_digests import secret_in
from clauseway.gateway.routing.routing_tables import Customer, RoutingTables
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.batch_files import Upload
from clauseway.gateway.wire.bodies.body_contents import (
    NO_CONTENTS,
    BodyContents,
    read_body,
    read_upload,
)
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED, FormRequest
from clauseway.gateway.wire.errors import (
    LIMITED,
    error_response,
    shortage_response,
)
from clauseway.gateway.wire.message_errors import answer_in_message_shape
from clauseway.gateway.wire.not_offered import reason_against
from clauseway.gateway.wire.operations import (
    READY,
    Operation,
    RequestLine,
    State,
    UnderstoodRequest,
    UnknownPath,
    for_values,
    path_meant,
    request_line_of,
)

_JSON: Final = b"application/json"
_GET_AND_HEAD: Final = (b"GET", b"HEAD")  # some load balancers ask by HEAD
_NO_CANDIDATES: Final = CandidateSelection(())
_AUTHORITY: Final = re.compile(rb"(?i:\Ahttps?)://[^/?]*")
_HEDGE_MIN_S: Final = 0.05  # one tick of the timer wheel
_DEPLOYMENTS: Final = b"/openai/deployments/"
# A 401 names what it wants (RFC 9110, 11.6.1); the JDK's client raises another error without it.
_CHALLENGE: Final = b"www-authenticate: Bearer\r\n"
_READS_ONLY: Final = (
    "This key may read what its project asked and ask nothing: use one with the role member."
)

# Answers that need a key and no cloud. Each gets the name or identifier in the path (the group of
# its pattern) and the query.
_KEYED: Final[
    tuple[
        tuple[re.Pattern[bytes], Callable[[Shared, Customer, bytes | None, bytes, bytes], bytes]],
        ...,
    ]
] = (
    (re.compile(rb"(?:/openai|/anthropic)?(?:/v1)?/models(?:/([^/?]{1,200}))?"), models),
    (re.compile(rb"/clauseway/v1/requests/(req_[0-9a-f]{32})"), explain),
    (re.compile(rb"/clauseway/v1/requests()"), requests),
    (re.compile(rb"/clauseway/v1/limits()"), limits),
)
# Answers that need no key either.
_OPEN: Final[tuple[tuple[bytes, Callable[[Shared, bytes], bytes]], ...]] = (
    (b"/healthz", health),
    (b"/readyz", readiness),
)


class Router:
    """Routes the requests of one connection. It remembers the customer of the last key, as long as
    key and tables stay the same and no key is revoked."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._customer_key = b""
        self._customer_mark: object = None  # the `keys_mark` of the tables that found the customer
        self._customer: Customer | None = None
        self.use: Use | None = None  # of the key that the connection counts toward
        # For the explanation of a refusal: the customer of the present request, and its model.
        self._project: Customer | None = None
        self._model = ""

    def wants_body(self, incoming: Incoming) -> bool:
        """Return whether a request needs its body, now that its head has come. If not, `route`
        refuses it or answers it without the body."""
        shared = self._shared
        try:
            request_line = READY.get((incoming.url, incoming.method))
            if request_line is None:
                request_line = _request_line_of(incoming)
            customer = self.customer_of(incoming)
        except (UnknownPath, Refused):
            return False
        incoming.request_line = request_line
        spool = shared.spool
        if spool.failure is not None or spool.full is not None:
            return _journal_problem(shared) is None and customer.role != "auditor"
        return customer.role != "auditor"

    def route(self, incoming: Incoming, client: RequestClient) -> Lifecycle | bytes:
        """Return the lifecycle of a request that goes to a cloud, or a whole answer."""
        request_line = incoming.request_line or READY.get((incoming.url, incoming.method))
        try:
            if request_line is None:
                try:
                    request_line = _request_line_of(incoming)
                except UnknownPath as unknown:
                    return self._answer_without_cloud(incoming, unknown.methods, client)
            return self._serve_operation(incoming, request_line, client)
        except Refused as refused:
            self._shared.counts.refusals[refused.kind.code] += 1
            explained = self._explain(request_line, refused)
            lines = refused.headers + explained + client.head_lines
            if refused.closes and incoming.keep_alive:
                incoming.keep_alive = False
                lines += b"connection: close\r\n"
            answer = error_response(refused.kind, str(refused), param=refused.param, headers=lines)
            return _as_asked(incoming, _in_clients_shape(answer, request_line, incoming))

    def _explain(self, request_line: RequestLine | None, refused: Refused) -> bytes:
        """Keep the explanation of a refused request, if its customer is known; return the header lines
        that name the request."""
        shared, customer = self._shared, self._project
        number = shared.next_number()
        if request_line is not None and customer is not None:
            explanation = RequestExplanation(
                event_ns=shared.clock(),
                buyer=customer.buyer,
                operation=request_line.operation.name,
                model=self._model,
                skipped=refused.skipped,
                attempted=(),
                status=refused.kind.status,
                message=str(refused),
                refused_by=refused.terms,
            )
            shared.finished(number, explanation, monotonic_ns(), b"")
        return lines_of_own_answer(shared.identity_lines(number))

    def _answer_without_cloud(
        self, incoming: Incoming, methods: tuple[bytes, ...], client: RequestClient
    ) -> Lifecycle | bytes:
        """Answer a path that is no operation. `methods` are the methods that the path takes, if only
        the request's method is wrong."""
        path, _, query = incoming.url.partition(b"?")
        shared, head_lines = self._shared, self._head_lines(client)
        if methods:
            _refuse_method(path, incoming.method, *methods)
        for pattern, keyed_answer in _KEYED:
            match = pattern.fullmatch(path)
            if match is not None:
                # Another worker at this port may have served the request that is asked about.
                asks_workers = keyed_answer in (explain, requests)
                if incoming.method not in _GET_AND_HEAD:
                    # `DELETE /models/…` is OpenAI's too; it is refused with its own reason.
                    _refuse_not_offered(incoming)
                _check_reads(path, incoming.method)
                customer = self.customer_of(incoming)
                if asks_workers and shared.siblings is not None:
                    asking = _client_as_asked(incoming, client)
                    return requests_lifecycle(asking, shared, customer, match[1], query)
                # Both vendors have this path, with answers of different shapes.
                if keyed_answer is models and _speaks_messages(incoming):
                    keyed_answer = message_models
                return _as_asked(
                    incoming, keyed_answer(shared, customer, match[1], query, head_lines)
                )
        if path == project_usage.PATH:
            _check_reads(path, incoming.method)
            customer = self.customer_of(incoming)
            asking = _client_as_asked(incoming, client)
            return project_usage.usage_lifecycle(asking, shared, customer, query)
        for open_path, answer in _OPEN:
            if path == open_path:
                _check_reads(path, incoming.method)
                return _as_asked(incoming, answer(shared, head_lines))
        _refuse_not_offered(incoming)
        but = _but_meant(path_meant(path) or _models_meant(path))
        message = f"There is no {path.decode(errors='replace')} here{but}."
        raise Refused(errors.UNKNOWN_PATH, message)

    def _head_lines(self, client: RequestClient) -> bytes:
        """Return the header lines of an answer that needs no cloud."""
        return self._shared.plan_line + client.head_lines

    # -- an operation at a cloud

    def _serve_operation(
        self, incoming: Incoming, request_line: RequestLine, client: RequestClient
    ) -> Lifecycle | bytes:
        shared = self._shared
        # key
        self._project, self._model = None, request_line.model
        customer = self._project = self.customer_of(incoming)
        if customer.role == "auditor":
            raise Refused(errors.NOT_ALLOWED, _READS_ONLY)
        # limits
        spool = shared.spool
        if spool.failure is not None or spool.full is not None:
            journal_problem = _journal_problem(shared)
            if journal_problem is not None:
                return _in_clients_shape(
                    journal_failed(journal_problem, self._head_lines(client)),
                    request_line,
                    incoming,
                )
        shortage: Shortage | None = None
        if customer.allowance is not None:
            shortage = customer.allowance.admit(shared.wheel.now_s)
            if shortage is not None and not shortage.may_grow:
                shared.counts.shortages[shortage.kind, shortage.whose] += 1
                refused = Refused(LIMITED, shortage.message)
                lines = self._explain(request_line, refused) + client.head_lines
                lines += customer.allowance.rate_limit_headers(shared.wheel.now_s)
                return _in_clients_shape(shortage_response(shortage, lines), request_line, incoming)
        if request_line.operation.state is State.LISTS:
            return self._list(incoming, request_line, customer, client, shortage)
        # body, candidates, lifecycle
        lifecycle = self._lifecycle(incoming, request_line, client, customer)
        if shortage is not None:
            lifecycle.shortage = shortage
        return lifecycle

    def _lifecycle(
        self,
        incoming: Incoming,
        request_line: RequestLine,
        client: RequestClient,
        customer: Customer,
    ) -> Lifecycle:
        """Read the body, select the candidates for it, and return the lifecycle of the request."""
        # body
        if incoming.unwanted:
            raise Refused(
                errors.CHANGED,
                "The reason for refusing this request no longer applies. Send it again.",
            )
        pieces = incoming.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        contents = _contents_of(request_line.operation, body, incoming)
        operation = for_values(request_line.operation, contents.needs)
        properties = contents.properties
        # candidates
        shared = self._shared
        event_ns = shared.clock()
        selector = Selector(shared, customer, incoming.cloud, event_ns)
        batch_file: Upload | None = None
        unknown: tuple[str, ...] = ()
        if operation.routed:
            self._model = request_line.model or properties.model or ""
        decoded = properties.decoded
        if isinstance(decoded, Upload) and decoded.for_batches:
            selector.cloud()  # refused before the file is read, where it is unknown
            batch_file = decoded
            selected = Selected(_NO_CANDIDATES)
        else:
            try:
                selected = selector.select(operation, request_line, self._model, contents)
            except MadeElsewhere as elsewhere:
                unknown = elsewhere.identifiers
                selected = Selected(_NO_CANDIDATES, model=self._model or "")
        selection, named_resource = selected.selection, selected.named_resource
        # lifecycle
        request = UnderstoodRequest(
            operation=operation,
            call=_call_of(request_line, operation, incoming.content_type, contents, body),
            properties=properties,
            body=body,
            content_type=incoming.content_type,
            forwarded=b"".join(incoming.forwarded),
            model=selected.model,
            hedge_s=_hedge_s(incoming.hedge) if incoming.hedge else 0.0,
            needs=contents.needs,
            text_bytes=contents.text_bytes,
        )
        if (
            named_resource is None
            and operation.state is State.NONE
            and not operation.may_name_parts
            and not unknown
        ):
            return Lifecycle(client, shared, customer, selection, request, event_ns)
        resources = Resources(customer, request, named_resource)
        preparation: Preparation | None = None
        if unknown:
            select = partial(selector.select, operation, request_line, self._model, contents)
            preparation = partial(look_up_and_select, selector, select, request, unknown)
        elif batch_file is not None:
            upload = BatchUpload(selector, customer, request, batch_file, event_ns)
            preparation = upload.prepare
        elif named_resource is not None and named_resource.pending and operation.deletes:
            preparation = partial(prepare_deletion, shared, selection, request, named_resource)
        return Lifecycle(
            client, shared, customer, selection, request, event_ns, resources, preparation
        )

    def _list(
        self,
        incoming: Incoming,
        request_line: RequestLine,
        customer: Customer,
        client: RequestClient,
        shortage: Shortage | None,
    ) -> Lifecycle:
        """List the project's objects of one kind by the gateway's own index: the list of a cloud
        account may hold pages of other projects' objects."""
        shared, operation = self._shared, request_line.operation
        event_ns = shared.clock()
        selector = Selector(shared, customer, incoming.cloud, event_ns)
        selector.cloud()  # refused here where it is unknown, whatever was made
        call, forwarded = operation.call(b"", request_line.query, b""), b"".join(incoming.forwarded)
        request = UnderstoodRequest(operation, call, NOTHING_ASKED, b"", b"", forwarded, "")
        resources = Resources(customer, request)
        merged = MergedList(shared, customer, operation, request_line.query, selector)
        lifecycle = Lifecycle(
            client, shared, customer, _NO_CANDIDATES, request, event_ns, resources, merged.prepare
        )
        lifecycle.shortage = shortage
        return lifecycle

    def admit(self, incoming: Incoming) -> None:
        """Check the key of a WebSocket's handshake, which counts as a frame. Raise Refused."""
        customer = self.customer_of(incoming)
        if customer.role == "auditor":
            raise Refused(errors.NOT_ALLOWED, _READS_ONLY)
        if self.use is not None:
            shared = self._shared
            shared.in_flight.count_frame(self.use, shared.wheel.now_s, shared.limits)

    def customer_of(self, incoming: Incoming) -> Customer:
        """Return the customer whose key the head presents. Raises Refused."""
        shared = self._shared
        if shared.is_cut_off:
            raise cut_off(shared.database_away_s)
        tables = shared.tables
        presented_key = incoming.authorization or incoming.api_key or incoming.other_api_key
        if incoming.presents_several_keys:
            _refuse_several_owners(incoming, tables)
        # Most connections keep to one key: it is looked up again only after a new plan, and when a
        # key was revoked.
        if (
            presented_key
            and presented_key == self._customer_key
            and tables.keys_mark is self._customer_mark
            and self._customer is not None
        ):
            return self._customer
        secret = secret_in(presented_key) if incoming.authorization else presented_key
        customer = tables.customer(secret) if secret else None
        if customer is None:
            message = (
                "Incorrect API key provided: it is not known here."
                if secret
                else "Send an API key: 'Authorization: Bearer KEY'."
            )
            raise Refused(errors.NO_KEY, message, headers=_CHALLENGE)
        self._use_key(customer)
        self._customer_key, self._customer = presented_key, customer
        self._customer_mark = tables.keys_mark
        return customer

    def _use_key(self, customer: Customer) -> None:
        """Count the connection as the key's. Raises Refused."""
        former_use, shared = self.use, self._shared
        if former_use is None or former_use.label != customer.label:
            self.use = shared.in_flight.use(customer.label, customer.buyer, shared.limits)
            if former_use is not None:
                shared.in_flight.leave_key(former_use)

    def leave(self) -> None:
        """Count the connection toward its key no longer: it is gone."""
        use, self.use = self.use, None
        if use is not None:
            self._shared.in_flight.leave_key(use)


def _refuse_several_owners(incoming: Incoming, tables: RoutingTables) -> None:
    """Refuse a head that presents keys of several owners: who pays would hang on which header is
    read first. A key that nobody has here, such as the placeholder of a client, has no owner."""
    secrets = (secret_in(incoming.authorization), incoming.api_key, incoming.other_api_key)
    customers = [tables.customer(secret) for secret in secrets if secret]
    if len({customer.label for customer in customers if customer is not None}) > 1:
        raise Refused(
            errors.MALFORMED_HTTP,
            "The head presents the keys of several owners in Authorization, api-key and x-api-key. Send one key.",
        )


def _request_line_of(incoming: Incoming) -> RequestLine:
    """Return the parsed request line of a head. Raise UnknownPath, and Refused if the path is offered
    only in the other vendor's shape."""
    incoming.url = _path_of(incoming.url)
    request_line = request_line_of(incoming.method, incoming.url)
    if request_line.operation.shape_error is None and _speaks_messages(incoming):
        _refuse_not_offered(incoming)
    return request_line


def _contents_of(operation: Operation, body: bytes, incoming: Incoming) -> BodyContents:
    """Return the contents of a body. Raises Refused."""
    if operation.decode is None:
        return NO_CONTENTS
    read = read_body if operation.routed else read_upload
    try:
        return read(operation.decode, body, incoming.content_type)
    except BadBody as error:
        raise refused_body(error, incoming.content_coding) from None


def _call_of(
    request_line: RequestLine,
    operation: Operation,
    content_type: bytes,
    contents: BodyContents,
    body: bytes,
) -> Call:
    """Return the call that is sent to a cloud; most calls are made once for all requests."""
    if content_type == _JSON and request_line.call is not None:
        return request_line.call
    # What was read as JSON is sent as JSON: by another type, or a character set of its own, a cloud
    # could read another model out of the same bytes.
    is_form = isinstance(contents.properties.decoded, (FormRequest, Upload))
    sent_type = content_type if is_form else _JSON
    if not operation.routed and not body:
        sent_type = b""
    return operation.call(
        request_line.identifier.encode(), request_line.query, sent_type, request_line.part.encode()
    )


def _refuse_not_offered(incoming: Incoming) -> None:
    """Refuse a path that is not offered, with the reason. Do nothing if no reason is known."""
    path = incoming.url.partition(b"?")[0].decode(errors="replace")
    method = incoming.method.decode(errors="replace")
    reason = reason_against(path, method, as_messages=_speaks_messages(incoming))
    if reason:
        raise Refused(errors.NOT_IMPLEMENTED, f"{path} is not offered here: {reason}.")


def _models_meant(path: bytes) -> bytes:
    """Return the path of the models if a client with another base URL means it; else empty."""
    return b"/v1/models" if path.rstrip(b"/").endswith(b"/models") else b""


def _but_meant(meant: bytes) -> str:
    """Return the end of a refusal that names the path that a client with another base URL means;
    empty if there is none."""
    return f", but there is {meant.decode()}: correct the client's base URL" if meant else ""


def _check_reads(path: bytes, method: bytes) -> None:
    """Refuse any method but those that read."""
    if method not in _GET_AND_HEAD:
        _refuse_method(path, method, *_GET_AND_HEAD)


def _refuse_method(path: bytes, method: bytes, *allowed: bytes) -> NoReturn:
    allowed_names = ", ".join([name.decode() for name in allowed])
    # Every path that may be meant takes POST: `/models/embeddings` of Foundry is no model's name.
    but = _but_meant(path_meant(path)) if method == b"POST" else ""
    message = f"{path.decode(errors='replace')} takes {allowed_names}, not {method.decode(errors='replace')}{but}."
    raise Refused(errors.WRONG_METHOD, message, headers=b"allow: %b\r\n" % allowed_names.encode())


def _in_clients_shape(answer: bytes, request_line: RequestLine | None, incoming: Incoming) -> bytes:
    """Return a whole answer of our own in the shape that the operation's clients read; where a
    path is no operation, that of the client that names a version of its API, or that asks for
    messages of a deployment whose name is none."""
    if request_line is None:
        path = incoming.url.partition(b"?")[0]
        asks_messages = path.startswith(_DEPLOYMENTS) and path.endswith(b"/messages")
        speaks_messages = asks_messages or _speaks_messages(incoming)
        return answer_in_message_shape(answer) if speaks_messages else answer
    return answer if request_line.operation.shape_error is None else answer_in_message_shape(answer)


def _speaks_messages(incoming: Incoming) -> bool:
    """Return whether a request comes from a client of Anthropic's API: all of them name its
    version, and nobody else looks below its name."""
    if incoming.url.startswith(b"/anthropic/"):
        return True
    names = incoming.forwarded[::4]
    return any(name.lower() == b"anthropic-version" for name in names)


def _as_asked(incoming: Incoming, answer: bytes) -> bytes:
    """Return an answer without its body where HEAD asked for it: behind the head a client expects
    the next answer."""
    return answer if incoming.method != b"HEAD" else _without_body(answer)


def _client_as_asked(incoming: Incoming, client: RequestClient) -> RequestClient:
    """Return the client that gets the answer of a lifecycle, which is written whole."""
    return client if incoming.method != b"HEAD" else _BodilessClient(client)


def _without_body(answer: bytes) -> bytes:
    return answer[: answer.index(b"\r\n\r\n") + 4]


class _BodilessClient:
    """The client of a request by HEAD: it gets no body of its answer."""

    def __init__(self, client: RequestClient) -> None:
        self._client = client

    @property
    def head_lines(self) -> bytes:
        return self._client.head_lines

    @property
    def chunked(self) -> bool:
        return self._client.chunked

    def write(self, data: bytes) -> None:
        self._client.write(_without_body(data))

    def request_over(self, *, intact: bool) -> None:
        self._client.request_over(intact=intact)

    def check_deadlines_by(self, due_s: float) -> None:
        self._client.check_deadlines_by(due_s)


def _hedge_s(value: bytes) -> float:
    if not value.isdigit() or len(value) > 6:
        message = f"x-clauseway-hedge-ms is a number of milliseconds, not {value.decode(errors='replace')!r}."
        raise Refused(errors.MALFORMED_HTTP, message)
    return max(int(value) / 1000, _HEDGE_MIN_S)


def _journal_problem(shared: Shared) -> OSError | None:
    """Return why the journal cannot record a request now; None if it can."""
    spool = shared.spool
    if spool.full is not None and not spool.may_wait_for_room:
        return spool.full
    return spool.failure


def _path_of(url: bytes) -> bytes:
    """Return the path that is asked for. A URL with a host, as proxies are asked, loses it: every
    server has to know that form (RFC 9112, 3.2.2)."""
    return url if url.startswith(b"/") else _AUTHORITY.sub(b"", url)
