"""The candidates for a request: by the model that it names, by the resource that it names, or by
where files are put.

Raises `Refused` where there is none, with the clause, the missing capability or the name that
nobody knows.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NoReturn

from clauseway.gateway.request.batch_contents import LineGroup, batch_scale, decode_contents
from clauseway.gateway.request.refusals import RETRY_IN_1_S, Refused
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate, CandidateSelection, DeploymentChoice
from clauseway.gateway.routing.routing_tables import Customer, RoutingTables, header_line
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.batch_files import Batching
from clauseway.gateway.wire.bodies.body_contents import BodyContents
from clauseway.gateway.wire.bodies.decoding import DecodedBody, RequestProperties
from clauseway.gateway.wire.bodies.needs import ItemReference, Needs
from clauseway.gateway.wire.bodies.requests import ChatRequest, ResponsesRequest
from clauseway.gateway.wire.operations import BY_NAME, Operation, RequestLine

_NO_MODEL: Final = "The request names no model. GET /v1/models lists those that are served here."
# OpenAI's words, and those of Anthropic's "prompt is too long: …": clients go by either.
_TOO_LONG: Final = (
    "The prompt is too long: this model's maximum context length is {} tokens. "  # then the reasons
)
_NO_INPUT_FILE: Final = (
    "The request names no file. Upload one with purpose batch and name it as input_file_id."
)


class Selected:
    """The candidates, the resource that the request names, and the model's name as the client
    knows it."""

    def __init__(
        self,
        selection: CandidateSelection,
        named_resource: IndexedResource | None = None,
        model: str = "",
    ) -> None:
        self.selection: Final = selection
        self.named_resource: Final = named_resource
        self.model: Final = model


class MadeElsewhere(Exception):
    """Identifiers of which this home does not know the first: another one may have issued it."""

    def __init__(self, identifiers: tuple[str, ...]) -> None:
        super().__init__(identifiers)
        self.identifiers = identifiers


class Selector:
    """Selects candidates for one customer at one instant of the business clock, on the cloud that
    the request asks for (`cloud_name`, empty for any). One plan decides, also where a look-up or a
    long upload outlasts it: the plan at which the request came, which knows the customer."""

    def __init__(
        self, shared: Shared, customer: Customer, cloud_name: bytes, event_ns: int
    ) -> None:
        self._shared = shared
        self._tables = shared.tables
        self._customer = customer
        self._cloud_name = cloud_name
        self._event_ns = event_ns
        # The identifiers for which all homes that share the database were asked.
        self._looked_up: set[str] = set()

    # -- identifiers

    async def look_up(self, identifiers: Sequence[str]) -> None:
        """Ask all homes that share the database for these identifiers. Then candidates can be
        selected by them. Raise Refused if the database cannot be reached."""
        shared_index = self._shared.shared_index
        assert shared_index is not None, "no other home shares the database"
        self._looked_up.update(identifiers)
        try:
            await shared_index.look_up(self._customer.buyer, identifiers)
        except OSError:
            raise objects_unknown() from None

    def _find_resource(self, identifier: str, others: Sequence[str] = ()) -> IndexedResource | None:
        """Return a resource of the customer's project; None if there is none. Raise MadeElsewhere
        if other homes have to be asked first: for the `others` that the request names too. Raise
        Refused if the index cannot be read."""
        with _readable_index():
            resource = self._shared.resource_index.find_for(self._customer.buyer, identifier)
        if (
            resource is None
            and self._shared.shared_index is not None
            and identifier not in self._looked_up
        ):
            raise MadeElsewhere((identifier, *others))
        return resource

    # -- by what a request names

    def select(
        self, operation: Operation, request_line: RequestLine, model: str, contents: BodyContents
    ) -> Selected:
        """Select the deployments that may serve a request: by its model, where it is routed by one,
        else by the resource that it names. Raise Refused, or MadeElsewhere."""
        if operation.routed:
            return self.by_model(operation, model, contents)
        return self.by_resource(request_line, contents)

    # -- by model

    def by_model(self, operation: Operation, model: str, contents: BodyContents) -> Selected:
        """Select the deployments that may serve the model; if the body names a resource, those
        where the resource lies. Raise Refused, or MadeElsewhere."""
        shared, customer = self._shared, self._customer
        tables, now_s = self._tables, shared.wheel.now_s
        choice = self._choice(model)
        cloud = self.cloud()
        properties, needs, named_ids = contents.properties, contents.needs, contents.named_ids
        if properties.named_ids:
            self._check_continued(properties.decoded)
        if needs.items:
            no_such = not_made_here if operation.makes_chat else _no_such_item
            named_ids = (*named_ids, *self._stored_items(needs.items, no_such))
        named_resource = self._named_resource(named_ids) if named_ids else None
        deployment = named_resource.deployment if named_resource is not None else ""
        selection = choice.select(
            operation,
            properties,
            cloud,
            deployment,
            needs=needs,
            body_bytes=contents.text_bytes,
            now_s=now_s,
            cached_at=tables.memory.cached.deployment(
                customer.buyer.organisation, model, needs.cache_key, now_s
            )
            if needs.cache_key
            else "",
        )
        if not selection.candidates:
            self._refuse_without_candidates(
                choice, selection, cloud, deployment, model, properties.output_tokens
            )
        return Selected(selection, named_resource, model)

    def _choice(self, model: str) -> DeploymentChoice:
        """Return the deployments from which a model may be served. Raise Refused if the model is
        unknown."""
        tables = self._tables
        choice = tables.choice(self._event_ns, self._customer, model)
        if choice is None:
            refuse_model(tables, self._event_ns, self._customer, model)
        return choice

    def _check_continued(self, decoded: DecodedBody) -> None:
        """Raise Refused if the response or the conversation that a request continues is unknown, in
        OpenAI's words: clients match on them, and send the whole conversation instead."""
        if not isinstance(decoded, ResponsesRequest):
            return
        previous, conversation = decoded.previous_response_id, decoded.conversation_id
        if previous and self._find_resource(previous) is None:
            message = f"Previous response with id '{previous}' not found."
            raise Refused(errors.NO_PREVIOUS_RESPONSE, message, param="previous_response_id")
        if conversation and self._find_resource(conversation) is None:
            raise _no_such_conversation(conversation)

    def _stored_items(
        self, items: Sequence[ItemReference], no_such: Callable[[str], Refused]
    ) -> list[str]:
        """Return those of the items that the project's answers had: the request goes where they lie.
        Raise the refusal `no_such` if one is of another project, or of nobody and the request says
        nothing else of it."""
        stored, names = [], [item.identifier for item in items]
        for item in items:
            if self._find_resource(item.identifier, names) is not None:
                if not item.is_container:
                    stored.append(item.identifier)
            elif item.is_bare or self._is_of_another_project(item.identifier):
                raise (not_made_here if item.is_container else no_such)(item.identifier)
        return stored

    def _is_of_another_project(self, identifier: str) -> bool:
        """Return whether a resource that is not of the customer's project is of another one."""
        with _readable_index():
            return self._shared.resource_index.find(identifier) is not None

    def _named_resource(self, identifiers: tuple[str, ...]) -> IndexedResource:
        """Return the first of the resources that a request names. Raise Refused if they do not all
        lie on one deployment."""
        resources = [
            self._vector_store(identifier) or self._require_resource(identifier)
            for identifier in identifiers
        ]
        if len({resource.deployment for resource in resources}) > 1:
            named = ", ".join(
                [f"{resource.identifier} on {resource.deployment}" for resource in resources]
            )
            message = f"The request names objects on more than one deployment ({named}); none knows all of them."
            raise Refused(errors.MALFORMED_BODY, message)
        return resources[0]

    def _vector_store(self, identifier: str) -> IndexedResource | None:
        """Return the vector store that the plan lets the customer's project search; None if it
        names none so."""
        buyer = self._customer.buyer
        deployment = self._tables.vector_store_at(buyer, identifier)
        return IndexedResource(identifier, buyer, deployment) if deployment else None

    def _require_resource(self, identifier: str) -> IndexedResource:
        """Return a resource of the customer's project; those of other projects are refused as not
        found."""
        resource = self._find_resource(identifier)
        if resource is None:
            raise not_made_here(identifier)
        return resource

    def _require_resource_of_path(self, request_line: RequestLine) -> IndexedResource:
        """Return the resource that the path names. If it is unknown, or of another kind than the
        path, raise Refused in OpenAI's words, as far as these are known."""
        identifier, operation = request_line.identifier, request_line.operation
        resource = self._find_resource(identifier)
        # Of another kind its cloud would say that there is none, which sounds like its end.
        if resource is None or resource.endpoint != operation.lists:
            noun = operation.name.partition(".")[0]
            raise _REFUSED_BY_NOUN.get(noun, not_made_here)(identifier)
        return resource

    # -- by a resource, or by where files are put

    def by_resource(self, request_line: RequestLine, contents: BodyContents) -> Selected:
        """Select the deployment of the resource that the path or the body names; for a new file,
        the deployment where the project's files are put. Raise Refused, or MadeElsewhere."""
        properties = contents.properties
        items = self._stored_items(contents.needs.items, _no_such_item)
        named_ids = (*properties.named_ids, *items)
        identifier = request_line.identifier or (named_ids[0] if named_ids else "")
        if identifier:
            if request_line.identifier:
                resource = self._require_resource_of_path(request_line)
                self._named_resource((identifier, *named_ids))
            else:
                resource = self._named_resource(named_ids)
            holder = self._tables.holder(resource.deployment, resource.model)
            if holder is None:
                message = (
                    f"{identifier} lies on {resource.deployment}, which is not configured any more."
                )
                raise Refused(errors.NO_SUCH_OBJECT, message)
            operation = request_line.operation
            if not request_line.identifier and operation.name in holder.target.lacks:
                message = (
                    f"{identifier} lies on {resource.deployment}, which has no {operation.name}."
                )
                raise Refused(errors.UNSUPPORTED, message)
            lacking = self._lacking(resource.deployment, contents.needs)
            if lacking:
                message = f"{identifier} lies on {resource.deployment}, which {lacking}."
                raise Refused(errors.UNSUPPORTED, message)
            batch = properties.decoded
            if isinstance(batch, Batching):
                return Selected(self._select_for_batch(batch, resource), resource, resource.model)
            return Selected(CandidateSelection((holder,)), resource, resource.model)
        if request_line.operation.name == "batches.create":
            raise Refused(errors.MISSING_MODEL, _NO_INPUT_FILE, param="input_file_id")
        candidate = self._deployment_for_files(request_line.operation, contents.needs)
        return Selected(CandidateSelection((candidate,)), None, "")

    def _select_for_batch(self, batch: Batching, file: IndexedResource) -> CandidateSelection:
        """Decide every request of an uploaded file again, for the key that creates the batch, and
        store the batch's worst case in it. Raise Refused."""
        with _readable_index():
            written = self._shared.resource_index.contents(file.identifier)
        if not written:
            message = (
                f"{file.identifier} was not uploaded here with purpose batch, so what it asks for was not decided. "
                "Upload it again, with that purpose."
            )
            raise Refused(errors.MALFORMED_BODY, message, param="input_file_id")
        contents, selection = decode_contents(written), CandidateSelection(())
        for line_group in contents.kinds:
            # Some servers run all lines at the batch's endpoint, whatever the lines say.
            if batch.operation not in ("", line_group.operation):
                path = BY_NAME[line_group.operation].path.decode()
                message = f"Line {line_group.line} of the file is for /v1{path}, not for {batch.endpoint}."
                raise Refused(errors.MALFORMED_BODY, message, param="endpoint")
            selection = self._select_for_lines(line_group, file.deployment)
        (candidate,) = selection.candidates
        # Prices may have risen since the upload: the larger amount is reserved.
        rates = batch_scale(candidate.target, self._customer.buyer, self._event_ns).rates
        now = contents.input_tokens * rates.input_max + contents.output_tokens * rates.output_max
        batch.picodollars = max(contents.picodollars, now)
        batch.output_tokens = contents.output_tokens
        # Of a file that an older version read, the bound of its tokens says the most of its length.
        batch.body_bytes = contents.body_bytes or contents.input_tokens
        return selection

    def _select_for_lines(self, line_group: LineGroup, deployment: str) -> CandidateSelection:
        """Select for the lines of a batch that are alike. Raise Refused, with the first of them."""
        try:
            choice = self._choice(line_group.model)
            selection = choice.select(
                BY_NAME[line_group.operation],
                RequestProperties(ChatRequest(max_completion_tokens=line_group.output_tokens)),
                "",
                deployment,
                needs=Needs(line_group.bits),
                body_bytes=line_group.body_bytes,
                now_s=self._shared.wheel.now_s,
            )
            if not selection.candidates:
                self._refuse_without_candidates(
                    choice, selection, "", deployment, line_group.model, line_group.output_tokens
                )
        except Refused as refused:
            message = f"Line {line_group.line} of the file (model {line_group.model!r}): {refused}"
            raise refused.reworded(message, "input_file_id") from None
        return selection

    def _deployment_for_files(self, operation: Operation, needs: Needs) -> Candidate:
        """Return the deployment where a project's files are put: the first that has the operation
        and what their content needs. Raise Refused if there is none."""
        cloud = self.cloud()
        all_lacking: list[str] = []
        for candidate in self._tables.reachable(self._event_ns, self._customer):
            target = candidate.target
            if operation.name not in target.lacks and cloud in ("", target.cloud):
                lacking = self._lacking(target.name, needs)
                if not lacking:
                    return candidate
                all_lacking.append(f"{target.cloud} {target.name}: {lacking}")
        where = f"on {cloud}" if cloud else "here"
        if all_lacking:
            message = f"No deployment {where} can serve this request: {'; '.join(all_lacking)}."
            raise Refused(errors.UNSUPPORTED, message)
        raise Refused(
            errors.NO_DEPLOYMENT, f"No deployment {where} offers {operation.name} to this key."
        )

    def _lacking(self, deployment: str, needs: Needs) -> str:
        """Return what every model of a deployment lacks that stored items ask of the responses that
        will read them; empty where one could answer."""
        bits = needs.bits
        return self._tables.lacking(self._event_ns, deployment, bits) if bits else ""

    def holders(self, deployments: Iterable[str]) -> dict[str, Candidate]:
        """Return those of the deployments that are configured, on the cloud that was asked for.
        Deployments on one account share a candidate. Raise Refused if that cloud is unknown."""
        cloud = self.cloud()
        holders: dict[str, Candidate] = {}
        accounts: dict[bytes, Candidate] = {}
        for name in deployments:
            holder = self._tables.holder(name)
            if holder is not None and cloud in ("", holder.target.cloud):
                holders[name] = accounts.setdefault(holder.target.account, holder)
        return holders

    def cloud(self) -> str:
        """Return the cloud that the client asked for; empty for any. Raise Refused if it is
        unknown."""
        if not self._cloud_name:
            return ""
        cloud, clouds = self._cloud_name.decode("latin-1"), self._tables.clouds
        if cloud not in clouds:
            named = ", ".join(sorted(clouds))
            raise Refused(
                errors.UNKNOWN_CLOUD, f"There is no cloud {cloud!r} here. Known: {named}."
            )
        return cloud

    def _refuse_without_candidates(
        self,
        choice: DeploymentChoice,
        selection: CandidateSelection,
        cloud: str,
        deployment: str,
        model: str,
        output_tokens: int,
    ) -> NoReturn:
        """Raise Refused, because no candidate is left, with the reason: the length of the prompt, if
        a deployment would serve a shorter one; else the capabilities that deployments lack; else
        that no deployment serves the model; else the clauses that close the cloud that was asked
        for, or every closed cloud. What the request follows lies on `deployment`, empty for none."""
        holder = self._tables.holder(deployment) if deployment else None
        cloud = cloud or (holder.target.cloud if holder is not None else "")
        lacking = [
            skipped
            for skipped in selection.skipped
            if cloud in ("", skipped.cloud) and not skipped.terms
        ]
        refusals = [refusal for refusal in choice.refusals.values() if cloud in ("", refusal.cloud)]
        is_missing = cloud in choice.unserved if cloud else bool(choice.unserved)
        where = f"on {cloud}" if cloud else "on any cloud"
        # A deployment that only lacks a capability is permitted: the agreement does not refuse it.
        if lacking:
            named = "; ".join(map(str, lacking))
            message = f"No deployment of {model} {where} can serve this request: {named}."
            # Requests that ask for too much share a selection, so its reasons name no figure.
            if selection.too_much:
                message += f" It asks for {output_tokens:,} tokens."
            if selection.context_tokens_max:
                message = _TOO_LONG.format(selection.context_tokens_max) + message
                raise Refused(errors.PROMPT_TOO_LONG, message, skipped=selection.skipped)
            raise Refused(errors.UNSUPPORTED, message, skipped=selection.skipped)
        message, terms = choice.why_not(cloud)
        # Where the sale is permitted somewhere, a deployment is missing there: the terms that close
        # other clouds are not the reason.
        if is_missing or not refusals:
            seller = self._customer.buyer.seller
            message = message or (
                f"No deployment serves {model} {where} for this key, which buys from {seller}; "
                "the agreement does not stand in the way."
            )
            raise Refused(
                errors.NO_DEPLOYMENT,
                message + self._other_sellers(model),
                param="model",
                skipped=selection.skipped,
                terms=terms,
            )
        # Every cloud that its terms close is counted, not only the first.
        for refusal in refusals:
            self._shared.counts.refused[refusal.cloud] += 1
        raise Refused(
            errors.FORBIDDEN,
            message,
            param="model",
            headers=header_line("x-clauseway-decision", ",".join(terms)),
            skipped=selection.skipped,
            terms=terms,
        )

    def _other_sellers(self, model: str) -> str:
        """Return a sentence that names the other sellers of a model here; empty if there are
        none."""
        seller = self._customer.buyer.seller
        others = [name for name in self._tables.sellers(model) if name != seller]
        return f" Keys that buy from {' or '.join(others)} may be served." if others else ""


def not_made_here(identifier: str, param: str | None = None) -> Refused:
    """Return the refusal of an identifier that the project did not make here. `param` is the
    parameter that names it."""
    message = f"There is no {identifier!r} that this key's project made here."
    return Refused(errors.NO_SUCH_OBJECT, message, param=param)


def _no_such_file(identifier: str) -> Refused:
    message = f"No such File object: {identifier}"
    return Refused(errors.NO_SUCH_OBJECT_AT_OPENAI, message, param="id")


def _no_such_conversation(identifier: str) -> Refused:
    message = f"Conversation with id '{identifier}' not found."
    return Refused(errors.NO_SUCH_OBJECT_AT_OPENAI, message)


def _no_such_item(identifier: str) -> Refused:
    message = (
        f"Item with id '{identifier}' not found. Items are not persisted when `store` is set to "
        "false. Try again with `store` set to true, or remove this item from your input."
    )
    return Refused(errors.NO_SUCH_OBJECT_AT_OPENAI, message, param="input")


# OpenAI's own refusals, by the first part of an operation's name.
_REFUSED_BY_NOUN: Final[Mapping[str, Callable[[str], Refused]]] = {
    "files": _no_such_file,
    "conversations": _no_such_conversation,
}


@contextlib.contextmanager
def _readable_index() -> Iterator[None]:
    """Raise Refused where the index of identifiers cannot be read."""
    try:
        yield
    except OSError:
        raise objects_unknown() from None


def objects_unknown() -> Refused:
    """Return the refusal of a request that names an identifier while it cannot be looked up: the
    index cannot be read, or another home may have issued it and the database that the homes share
    cannot be reached."""
    message = (
        "Where this object lies cannot be looked up at present: the gateway does not reach the "
        "index that has it, here or in the database that it shares with others. Send the request again."
    )
    return Refused(errors.OBJECTS_UNKNOWN, message, headers=RETRY_IN_1_S)


def check_not_stored(properties: RequestProperties) -> None:
    """Raise Refused if an answer of a batch is to be stored: the gateway would not learn its
    identifier, so the answer could be neither read nor deleted here. A request for a response that
    leaves `store` out passes."""
    decoded = properties.decoded
    if isinstance(decoded, ChatRequest):
        is_stored, named, instead = decoded.store, "Chat completions", "Leave out store."
    elif isinstance(decoded, ResponsesRequest):
        is_stored, named, instead = decoded.store, "Responses", "Write store: false."
    else:
        return
    if is_stored:
        message = (
            f"{named} of a batch are not stored through this gateway, because what is "
            f"stored could not be read or deleted here. {instead}"
        )
        raise Refused(errors.NOT_OFFERED, message, param="store")


def refuse_model(tables: RoutingTables, event_ns: int, customer: Customer, model: str) -> NoReturn:
    """Raise Refused for a model that is not served to a customer: name its successor if it is
    retired, else the model that is served under nearly the same name."""
    if retired := tables.retired(event_ns, model):
        raise Refused(errors.UNKNOWN_MODEL, retired, param="model")
    if not model:
        raise Refused(errors.MISSING_MODEL, _NO_MODEL, param="model")
    message = f"The model {model!r} does not exist here. GET /v1/models lists those that do."
    # Clients put a provider before the name; Go's clients of Azure leave out its points.
    letters = _letters(model.rpartition("/")[2])
    for served in tables.models(event_ns, customer):
        if letters and served != model and _letters(served) == letters:
            message = (
                f"The model {model!r} does not exist here, but {served!r} does. "
                "GET /v1/models lists all that do."
            )
            break
    raise Refused(errors.UNKNOWN_MODEL, message, param="model")


def _letters(name: str) -> str:
    """Return the letters and digits of a name, without their case."""
    return "".join(filter(str.isalnum, name)).casefold()
