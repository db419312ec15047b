"""From a request that has arrived to an exchange, or to an answer that needs no cloud.

    path → operation → key → limits → body → model (or what it follows) → candidates → exchange

Requests are refused here when they cannot be understood, are not authenticated or not permitted; each refusal says why,
in OpenAI's error shape.
"""

import re
from time import monotonic_ns
from typing import Final, NoReturn, Protocol

import msgspec

from clauseway.gateway.plan.steps import by_slices
from clauseway.gateway.request.exchange import Exchange, journal_failed
from clauseway.gateway.request.explanations import as_json
from clauseway.gateway.request.incoming import Incoming
from clauseway.gateway.request.issued import Issued
from clauseway.gateway.request.lists import Listing
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.request.stateful import LastingExchange
from clauseway.gateway.request.uploads import Kind, Reading, batch_scale, decode_contents
from clauseway.gateway.routing.choices import Candidate, Choice, PassedOver, Selection
from clauseway.gateway.routing.keys import secret_in
from clauseway.gateway.routing.rates import Scale
from clauseway.gateway.routing.tables import Customer, Tables, header_line
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.batch_files import Batching, Line, Upload
from clauseway.gateway.wire.capabilities import PLAIN, Needs
from clauseway.gateway.wire.errors import LIMITED, Fault, error_response, response, shortage_response
from clauseway.gateway.wire.made import EMPTY_LIST
from clauseway.gateway.wire.members import BadBody
from clauseway.gateway.wire.operations import BY_NAME, READY, Asking, State, UnknownPath, Wanted, asking_of
from clauseway.gateway.wire.requests import NOTHING_ASKED, Asked, ChatRequest
from clauseway.metering import Buyer, RequestId

_JSON: Final = b"application/json"
_AUTHORITY: Final = re.compile(rb"\Ahttps?://[^/?]*")
_MODELS: Final = re.compile(rb"(?:/openai)?(?:/v1)?/models(?:/([^/?]{1,200}))?")
_REQUESTS: Final = re.compile(rb"/clauseway/v1/requests/(req_[0-9a-f]{32})")
_HEALTH: Final = re.compile(rb"/healthz")
_READINESS: Final = re.compile(rb"/readyz")
_REALTIME: Final = re.compile(rb"(?:/v1|/openai/v1|/openai)/realtime(?:/.*)?")
_FILE_ID: Final = re.compile(rb'"file_id"\s*:\s*"([^"]{1,200})"')
_FILE_IDS: Final = re.compile(rb'"file_ids"\s*:\s*\[([^\]]*)\]')
_QUOTED: Final = re.compile(rb'"([^"]{1,200})"')
# Letters, digits, _ and - as JSON may write them, too: whoever hides a name so is found all the same.
_ESCAPED: Final = re.compile(rb"\\u00(2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")
_HEDGE_MIN_S: Final = 0.05  # the wheel's tick


class Desk(Protocol):
    """The client's connection, as far as the front needs it."""

    head_lines: bytes
    chunked: bool

    def write(self, data: bytes) -> None: ...
    def answer(self, data: bytes) -> None: ...
    def exchange_over(self, *, intact: bool) -> None: ...
    def exchange_due(self, due_s: float) -> None: ...
    def begin(self, exchange: Exchange) -> None: ...


class _NoDesk:
    """In the place of a connection that is not made yet, or lost."""

    head_lines = b""
    chunked = True

    def write(self, data: bytes) -> None:
        pass

    def answer(self, data: bytes) -> None:
        pass

    def exchange_over(self, *, intact: bool) -> None:
        pass

    def exchange_due(self, due_s: float) -> None:
        pass

    def begin(self, exchange: Exchange) -> None:
        pass


NO_DESK: Final = _NoDesk()


class Front:
    """Of one connection: it remembers who asked last. `desk` is the connection while it lasts: the two know each other,
    and nobody collects such a ring soon."""

    __slots__ = ("_asker", "_known", "_known_key", "_known_tables", "_model", "_shared", "desk")

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.desk: Desk = NO_DESK
        self._known_key = b""
        self._known_tables: Tables | None = None
        self._known: Customer | None = None
        self._asker: Customer | None = None
        self._model = ""

    def wants_body(self, incoming: Incoming) -> bool:
        """Whether a request whose head has come gets as far as its body; if not, `serve` refuses or answers it."""
        shared = self._shared
        try:
            asking = READY.get((incoming.url, incoming.method))
            if asking is None:
                incoming.url = _path_of(incoming.url)
                asking = asking_of(incoming.method, incoming.url)
            customer = self._customer(incoming, shared.tables)
        except (UnknownPath, Refused):
            return False
        incoming.asking = asking
        return customer.role != "auditor" and _unwritable(shared) is None

    def serve(self, incoming: Incoming) -> None:
        asking = incoming.asking or READY.get((incoming.url, incoming.method))
        try:
            if asking is None:
                asking = self._asking(incoming)
                if asking is None:
                    return
            self._operate(incoming, asking)
        except Refused as refused:
            self._shared.counts.refusals[refused.fault.code] += 1
            lines = refused.headers + self._refused(asking, refused.fault, str(refused), refused.passed)
            answer = error_response(refused.fault, str(refused), param=refused.param, headers=lines)
            # After the head of an answer to HEAD a client expects the next answer, not a body.
            self.desk.answer(answer if incoming.method != b"HEAD" else answer[: answer.index(b"\r\n\r\n") + 4])

    def _refused(self, asking: Asking | None, fault: Fault, message: str, passed: tuple[PassedOver, ...] = ()) -> bytes:
        """Keep why a request goes no further, where it is known who asks; the header lines that name it."""
        shared, customer = self._shared, self._asker
        number = shared.next_number()
        if asking is not None and customer is not None:
            shared.finished(number, (
                shared.clock(), customer.buyer, asking.operation.name, self._model, passed, (), None, (), 0,
                False, fault.status, message,
            ), monotonic_ns(), b"")  # fmt: skip
        return shared.request_line(number) + self.desk.head_lines

    def _asking(self, incoming: Incoming) -> Asking | None:
        """What is asked for; None where it was answered already. Raises Refused."""
        incoming.url = _path_of(incoming.url)
        path = incoming.url.partition(b"?")[0]
        try:
            return asking_of(incoming.method, incoming.url)
        except UnknownPath as unknown:
            if unknown.methods:
                self._wrong_method(path, incoming.method, *unknown.methods)
        for pattern, answer in (
            (_MODELS, self._models), (_REQUESTS, self._explain), (_HEALTH, self._health), (_READINESS, self._readiness)
        ):  # fmt: skip
            found = pattern.fullmatch(path)
            if found is not None:
                if incoming.method != b"GET":
                    self._wrong_method(path, incoming.method, b"GET")
                answer(incoming, found[1] if found.re.groups else None)
                return None
        if _REALTIME.fullmatch(path):
            message = "Realtime sessions (WebSocket) are not offered here; use /v1/responses or /v1/audio."
            raise Refused(errors.NOT_OFFERED, message)
        raise Refused(errors.UNKNOWN_PATH, f"There is no {path.decode(errors='replace')} here.")

    def _wrong_method(self, path: bytes, method: bytes, *allowed: bytes) -> NoReturn:
        takes = ", ".join(name.decode() for name in allowed)
        message = f"{path.decode(errors='replace')} takes {takes}, not {method.decode(errors='replace')}."
        raise Refused(errors.WRONG_METHOD, message, headers=b"allow: %b\r\n" % takes.encode())

    # -- an operation at a cloud

    def _operate(self, incoming: Incoming, asking: Asking) -> None:
        shared, desk = self._shared, self.desk
        tables, operation = shared.tables, asking.operation
        self._asker, self._model = None, asking.model
        customer = self._asker = self._customer(incoming, tables)
        if customer.role == "auditor":
            message = "This key may read what its project asked and ask nothing: use one with the role member or admin."
            raise Refused(errors.NOT_ALLOWED, message)
        unwritable = _unwritable(shared)
        if unwritable is not None:
            desk.answer(journal_failed(unwritable, desk.head_lines))
            return
        if customer.account is not None:
            shortage = customer.account.admit(shared.wheel.now_s)
            if shortage is not None:
                shared.counts.shortages[shortage.kind, shortage.whose] += 1
                lines = self._refused(asking, LIMITED, shortage.message)
                lines += customer.account.rate_limit_headers(shared.wheel.now_s)
                desk.answer(shortage_response(shortage, lines))
                return
        if operation.state is State.LISTS:
            self._list(incoming, asking, customer)
            return
        if incoming.unwanted:
            raise Refused(errors.CHANGED, "Keys or paths have changed while this request came. Send it again.")
        pieces = incoming.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        content_type = incoming.content_type
        asked: Asked = NOTHING_ASKED
        needs = PLAIN
        if operation.decode is not None:
            try:
                asked = operation.decode(body, content_type)
                needs = asked.needs(body)
            except BadBody as error:
                raise Refused(errors.MALFORMED_BODY, str(error), param=error.param) from None
        event_ns = shared.clock()
        selection, issued, model = self._select(incoming, asking, customer, asked, body, needs, event_ns)
        if content_type == _JSON and asking.call is not None:
            call = asking.call
        else:
            sent_type = b"" if operation.decode is None and not body else content_type or _JSON
            call = operation.call(asking.identifier.encode(), asking.query, sent_type)
        hedge_s = self._hedge_s(incoming.hedge) if incoming.hedge else 0.0
        wanted = Wanted(operation, call, asked, body, content_type, b"".join(incoming.passed), model, hedge_s, needs)
        if issued is None and operation.state is State.NONE:
            desk.begin(Exchange(desk, shared, customer, selection, wanted, event_ns))
        else:
            desk.begin(LastingExchange(desk, shared, customer, selection, wanted, event_ns, issued))

    def _select(
        self,
        incoming: Incoming,
        asking: Asking,
        customer: Customer,
        asked: Asked,
        body: bytes,
        needs: Needs,
        event_ns: int,
    ) -> tuple[Selection, Issued | None, str]:
        """The candidates, what the request follows, and the model's name as the client knows it. Raises Refused."""
        operation = asking.operation
        if not operation.routed:
            return self._select_by_state(incoming, asking, customer, asked, body, event_ns)
        model = self._model = asking.model or asked.model or ""
        tables, now_s = self._shared.tables, self._shared.wheel.now_s
        choice = tables.choice(event_ns, customer, model)
        if choice is None:
            self._no_choice(model, tables.retired(event_ns, model))
        if choice.retired:
            raise Refused(errors.UNKNOWN_MODEL, choice.retired, param="model")
        cloud = self._cloud(incoming.cloud) if incoming.cloud else ""
        follows = asked.follows
        # Files are parts of messages and of tools; a plain chat has none, and is spared the search.
        if needs is not PLAIN or operation.name != "chat":
            follows = (*follows, *_files_in(body))
        issued = self._followed(follows, customer) if follows else None
        selection = choice.select(
            operation,
            asked,
            cloud,
            issued.deployment if issued is not None else "",
            needs=needs,
            body_bytes=len(body),
            now_s=now_s,
            cached_at=tables.cached_at(customer, model, needs.cache_key, now_s) if needs.cache_key else "",
        )
        if not selection.candidates:
            holder = tables.holder(issued.deployment) if issued is not None else None
            self._forbid(choice, selection, cloud or (holder.target.cloud if holder is not None else ""), model)
        return selection, issued, model

    def _no_choice(self, model: str, retired: str = "") -> NoReturn:
        if retired:
            raise Refused(errors.UNKNOWN_MODEL, retired, param="model")
        if not model:
            message = "The request names no model. GET /v1/models lists those that are served here."
            raise Refused(errors.MISSING_MODEL, message, param="model")
        message = f"The model {model!r} does not exist here. GET /v1/models lists those that do."
        raise Refused(errors.UNKNOWN_MODEL, message, param="model")

    def _followed(self, follows: tuple[str, ...], customer: Customer) -> Issued | None:
        """Where what a request names lies; all of it has to lie on one deployment. Raises Refused."""
        found = [self._owned(identifier, customer) for identifier in follows]
        places = {issued.deployment for issued in found}
        if len(places) > 1:
            named = ", ".join(f"{issued.identifier} on {issued.deployment}" for issued in found)
            message = f"What the request names lies on more than one deployment ({named}); none knows all of it."
            raise Refused(errors.MALFORMED_BODY, message)
        return found[0] if found else None

    def _owned(self, identifier: str, customer: Customer) -> Issued:
        """What a customer's project made. What others made does not exist for it. Raises Refused."""
        issued = self._shared.issued.made_by(customer.buyer, identifier)
        if issued is None:
            raise Refused(errors.NO_SUCH_OBJECT, f"There is no {identifier!r} that this key's project made here.")
        return issued

    def _select_by_state(
        self, incoming: Incoming, asking: Asking, customer: Customer, asked: Asked, body: bytes, event_ns: int
    ) -> tuple[Selection, Issued | None, str]:
        """Where no model decides: what the path or the body names does, or the deployment where files are put."""
        if isinstance(asked, Upload) and asked.for_batches:
            if incoming.cloud:
                self._cloud(incoming.cloud)
            # Its lines say who may have it, and reading them takes time.
            asked.preparing = _BatchFile(self, incoming, customer, asked, body, event_ns)
            return Selection(()), None, ""
        named = asking.identifier or (asked.follows[0] if asked.follows else "")
        if named:
            issued = self._owned(named, customer)
            holder = self._shared.tables.holder(issued.deployment, issued.model)
            if holder is None:
                message = f"{named} lies on {issued.deployment}, which is not configured any more."
                raise Refused(errors.NO_SUCH_OBJECT, message)
            if isinstance(asked, Batching):
                return self._select_for_batch(customer, asked, issued, event_ns), issued, issued.model
            return Selection((holder,)), issued, issued.model
        if asking.operation.name == "batches.create":
            message = "The request names no file. Upload one with purpose batch and name it as input_file_id."
            raise Refused(errors.MISSING_MODEL, message, param="input_file_id")
        return Selection((self._store(incoming, asking, customer, event_ns),)), None, ""

    def line_of(self, incoming: Incoming, customer: Customer, line: Line, needs: Needs, event_ns: int) -> Selection:
        """Where a line of a batch's file may go, as if it had come by itself. Raises Refused."""
        asking = Asking(BY_NAME[line.operation])
        return self._select(incoming, asking, customer, line.asked, line.body, needs, event_ns)[0]

    def _select_for_batch(self, customer: Customer, asked: Batching, issued: Issued, event_ns: int) -> Selection:
        """Whether all that a file holds may still be asked where it lies, by who asks now. Raises Refused."""
        shared = self._shared
        found = shared.issued.contents(issued.identifier)
        if not found:
            message = (
                f"{issued.identifier} was not uploaded here with purpose batch, so what it asks for was not decided. "
                "Upload it again, with that purpose."
            )
            raise Refused(errors.MALFORMED_BODY, message, param="input_file_id")
        contents, selection = decode_contents(found), Selection(())
        for kind in contents.kinds:
            selection = self._select_kind(customer, kind, issued.deployment, event_ns)
        (candidate,) = selection.candidates
        # What prices have become since counts, where it is more.
        rates = batch_scale(candidate.target, customer.buyer, event_ns).rates
        now = contents.input_tokens * rates.input_max + contents.output_tokens * rates.output_max
        asked.picodollars, asked.output_tokens = max(contents.picodollars, now), contents.output_tokens
        return selection

    def _select_kind(self, customer: Customer, kind: Kind, deployment: str, event_ns: int) -> Selection:
        tables, model = self._shared.tables, kind.model
        choice = tables.choice(event_ns, customer, model)
        try:
            if choice is None:
                self._no_choice(model, tables.retired(event_ns, model))
            if choice.retired:
                raise Refused(errors.UNKNOWN_MODEL, choice.retired, param="model")
            selection = choice.select(
                BY_NAME[kind.operation],
                ChatRequest(max_completion_tokens=kind.output_tokens),
                "",
                deployment,
                needs=Needs(kind.bits),
                body_bytes=kind.body_bytes,
                now_s=self._shared.wheel.now_s,
            )
            if not selection.candidates:
                holder = tables.holder(deployment)
                self._forbid(choice, selection, holder.target.cloud if holder is not None else "", model)
        except Refused as refused:
            message = f"Line {kind.line} of the file (model {model!r}): {refused}"
            raise Refused(
                refused.fault, message, param="input_file_id", headers=refused.headers, passed=refused.passed
            ) from None
        return selection

    def _store(self, incoming: Incoming, asking: Asking, customer: Customer, event_ns: int) -> Candidate:
        """The deployment where a project's files are: the first that has the operation, of the cloud asked for."""
        cloud = self._cloud(incoming.cloud) if incoming.cloud else ""
        for candidate in self._shared.tables.reachable(event_ns, customer):
            target = candidate.target
            if asking.operation.name not in target.lacks and cloud in ("", target.cloud):
                return candidate
        where = f"on {cloud}" if cloud else "here"
        raise Refused(errors.NO_DEPLOYMENT, f"No deployment {where} offers {asking.operation.name} to this key.")

    def _list(self, incoming: Incoming, asking: Asking, customer: Customer) -> None:
        """What the project made of one kind, wherever it lies: from one account as it is told there, from several as
        one list."""
        shared, desk, operation = self._shared, self.desk, asking.operation
        cloud = self._cloud(incoming.cloud) if incoming.cloud else ""
        places: dict[str, Candidate] = {}
        accounts: dict[bytes, Candidate] = {}
        for name in shared.issued.deployments(customer.buyer, operation.lists):
            holder = shared.tables.holder(name)
            if holder is not None and cloud in ("", holder.target.cloud):
                places[name] = accounts.setdefault(holder.target.account, holder)
        if not places:
            desk.answer(response(200, EMPTY_LIST, desk.head_lines))
            return
        asked: Asked = NOTHING_ASKED
        selection = Selection(tuple(accounts.values()))
        if len(accounts) > 1:
            asked = Listing(shared, customer, operation, asking.query, places)
            selection = Selection(())
        call, passed = operation.call(b"", asking.query, b""), b"".join(incoming.passed)
        wanted = Wanted(operation, call, asked, b"", b"", passed, "")
        desk.begin(LastingExchange(desk, shared, customer, selection, wanted, shared.clock(), None))

    def _hedge_s(self, value: bytes) -> float:
        if not value.isdigit() or len(value) > 6:
            message = f"x-clauseway-hedge-ms is a number of milliseconds, not {value.decode(errors='replace')!r}."
            raise Refused(errors.MALFORMED_HTTP, message)
        return max(int(value) / 1000, _HEDGE_MIN_S)

    def _customer(self, incoming: Incoming, tables: Tables) -> Customer:
        """Who asks. Remembered for the connection while key and tables stay the same. Raises Refused."""
        stated = incoming.authorization or incoming.api_key
        if stated and stated == self._known_key and tables is self._known_tables and self._known is not None:
            return self._known
        secret = secret_in(stated) if incoming.authorization else stated
        customer = tables.customer(secret) if secret else None
        if customer is None:
            message = "The API key is not known here." if secret else "Send an API key: 'Authorization: Bearer KEY'."
            raise Refused(errors.NO_KEY, message)
        self._known_key, self._known_tables, self._known = stated, tables, customer
        return customer

    def _cloud(self, name: bytes) -> str:
        """The one cloud that was asked for. Raises Refused."""
        cloud, clouds = name.decode("latin-1"), self._shared.tables.clouds
        if cloud not in clouds:
            known = ", ".join(sorted(clouds))
            raise Refused(errors.UNKNOWN_CLOUD, f"There is no cloud {cloud!r} here. Known: {known}.")
        return cloud

    def _forbid(self, choice: Choice, selection: Selection, cloud: str, model: str) -> NoReturn:
        """403 with the clause: of the cloud that was asked for, or of every cloud that is closed; else what is missing.
        Raises Refused."""
        lacking = [passed for passed in selection.passed if not cloud or passed.cloud == cloud]
        refusals = [refusal for refusal in choice.refusals.values() if cloud in ("", refusal.cloud)]
        where = f"on {cloud}" if cloud else "on any cloud"
        if lacking:
            named = "; ".join(map(str, lacking))
            message = f"No deployment of {model} {where} can serve this request: {named}."
            raise Refused(errors.UNSUPPORTED, message, passed=selection.passed)
        if not refusals:
            message = f"No deployment serves {model} {where} for this key; the agreement does not stand in the way."
            raise Refused(errors.NO_DEPLOYMENT, message, param="model", passed=selection.passed)
        for refusal in refusals:
            self._shared.counts.refused[refusal.cloud] += 1
        message = " ".join(refusal.message for refusal in refusals)
        terms = ",".join(dict.fromkeys(term for refusal in refusals for term in refusal.terms))
        decision = header_line("x-clauseway-decision", terms)
        raise Refused(errors.FORBIDDEN, message, param="model", headers=decision, passed=selection.passed)

    # -- answers that need no cloud

    def _models(self, incoming: Incoming, name: bytes | None) -> None:
        tables = self._shared.tables
        customer = self._customer(incoming, tables)
        names = tables.models(self._shared.clock(), customer)
        models = [{"id": name, "object": "model", "created": 0, "owned_by": customer.buyer.seller} for name in names]
        if name is None:
            self._json({"object": "list", "data": models})
            return
        found = [model for model in models if model["id"] == name.decode(errors="replace")]
        if not found:
            self._no_choice(name.decode(errors="replace"))
        self._json(found[0])

    def _explain(self, incoming: Incoming, identifier: bytes | None) -> None:
        shared = self._shared
        customer = self._customer(incoming, shared.tables)
        named = (identifier or b"").decode()
        request = RequestId.parse(named)
        explanation = shared.explanations.find(request.number) if request.boot == shared.boot else None
        if explanation is not None and _project(explanation.buyer) == _project(customer.buyer):
            self.desk.answer(response(200, as_json(named, explanation), self.desk.head_lines))
            return
        message = (
            f"There is no {named} of this key's project among the latest requests of this process; "
            f"`clauseway request {named}` reads older ones from the journal and the lake."
        )
        raise Refused(errors.NO_SUCH_OBJECT, message)

    def _health(self, _incoming: Incoming, _name: bytes | None) -> None:
        spool = self._shared.spool
        unwritable = spool.failure or spool.full
        if unwritable is not None:
            self.desk.answer(journal_failed(unwritable, self.desk.head_lines))
        elif spool.shortage is not None:
            why = f"no room for the next segment of the usage journal; {spool.room_bytes:,} bytes are left in this one"
            self._json({"status": "ok", "journal": why})
        else:
            self.desk.answer(response(200, b'{"status":"ok"}', self.desk.head_lines))

    def _readiness(self, _incoming: Incoming, _name: bytes | None) -> None:
        """Whether requests should be sent here: one that is healthy may have nobody to ask. (One that is stopping does
        not listen any more.)"""
        shared = self._shared
        if shared.spool.failure is not None or shared.spool.full is not None:
            self._health(_incoming, _name)
            return
        targets = shared.tables.targets
        if targets and all(target.prepare is None for target in targets):
            raise Refused(errors.NOT_READY, "No deployment has a credential at present; the log says why.")
        self._json({"status": "ready", "deployments": len({target.name for target in targets})})

    def _json(self, value: object) -> None:
        self.desk.answer(response(200, msgspec.json.encode(value), self.desk.head_lines))


def _unwritable(shared: Shared) -> OSError | None:
    """Why a request is refused because it could not be recorded."""
    spool = shared.spool
    if spool.full is not None and not spool.holds:
        return spool.full
    return spool.failure


def _path_of(url: bytes) -> bytes:
    """A path as it is asked for; where it is told as to a proxy, which every server has to know, without its host."""
    return url if url.startswith(b"/") else _AUTHORITY.sub(b"", url)


def _files_in(body: bytes) -> list[str]:
    """The files that a body names."""
    if b"\\u00" in body:
        body = _ESCAPED.sub(_unescaped, body)
    if b'"file_id' not in body:
        return []
    named = _FILE_ID.findall(body)
    for several in _FILE_IDS.findall(body):
        named += _QUOTED.findall(several)
    return [name.decode("utf-8", "replace") for name in named]


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),))


def _project(buyer: Buyer) -> tuple[str, str]:
    return (buyer.organisation, buyer.project)


class _BatchFile:
    """Reads the file that was sent for batches, and sends it where all of it may go."""

    def __init__(
        self, front: Front, incoming: Incoming, customer: Customer, upload: Upload, body: bytes, event_ns: int
    ) -> None:
        self._front = front
        self._incoming = incoming
        self._customer = customer
        self._upload = upload
        self._body = body
        self._event_ns = event_ns
        incoming.pieces = []  # they are in the body

    async def prepare(self, exchange: LastingExchange) -> None:
        upload = self._upload
        upload.preparing = None
        reading, self._body = Reading(upload, self._body, self._decide, self._scale), b""
        try:
            selection = await by_slices(reading.work(), exchange.is_over)
        except Refused as refused:
            exchange.refuse(refused)
            return
        if selection is not None:
            wanted = msgspec.structs.replace(exchange.wanted, model=upload.model, body=reading.body)
            exchange.go_on(selection.candidates, selection.passed, wanted)

    def _decide(self, line: Line, needs: Needs) -> Selection:
        return self._front.line_of(self._incoming, self._customer, line, needs, self._event_ns)

    def _scale(self, target: CallTarget) -> Scale:
        return batch_scale(target, self._customer.buyer, self._event_ns)
