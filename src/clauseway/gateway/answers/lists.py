"""Lists of what a project made on several accounts, as one list: the newest first, page by page.

The resource index says which resources there are, and in which order; where homes share a database,
the shared index does. The accounts say what each resource is. Each account is asked for the page of
its own list that should hold its part; resources that the page lacks (others use the account too)
are asked for by name. Identifiers that an account no longer knows are forgotten. Where an account
does not answer, there is no list: a part of the list would look like the whole.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from clauseway.gateway.answers.cloud_answers import WholeAnswer, ask
from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.request.lifecycle import PreparedRequest, ignore_outcome
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.resource_index import (
    IndexedResource,
    ListedResource,
    ListQuery,
)
from clauseway.gateway.request.resources import GONE
from clauseway.gateway.request.selection import Selector, not_made_here, objects_unknown
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.request.shared_index import ProjectIndex
from clauseway.gateway.routing.choices import Candidate, CandidateSelection
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.wire.bodies.members import read_or
from clauseway.gateway.wire.errors import (
    CLOUDS_BUSY,
    CLOUDS_FAILED,
    CLOUDS_UNAVAILABLE,
    MALFORMED_BODY,
)
from clauseway.gateway.wire.operations import BY_NAME, RETRIEVED_WITH, Operation
from clauseway.gateway.wire.stateful_resources import EMPTY_LIST, objects_in, resource_in
from clauseway.gateway.wire.whole_answers import without_names_in_failure

# OpenAI's page size: the default and the maximum.
_PAGES = {"files.list": (10_000, 10_000), "batches.list": (20, 100), "chat.list": (20, 100)}
# Of stored completions the oldest come first, where nothing is said.
_OLDEST_FIRST = frozenset({"chat.list"})
# Lists of these can be asked of their clouds in either order.
_EITHER_ORDER = frozenset({"files.list", "chat.list"})
_METADATA = re.compile(r"metadata\[(.*)\]")
_AT_ONCE_MAX = 16
# Others use the account too: asked for somewhat more, its page is more likely to hold what we look
# for.
_LEAST, _MORE = 100, 2


class Page(NamedTuple):
    """The part of a list that is asked for: only what has the purpose, the model and the metadata,
    where they are named."""

    limit: int
    after: str
    newest_first: bool
    purpose: str
    model: str = ""
    metadata: Sequence[tuple[str, str]] = ()


def page_of(operation: Operation, query: bytes) -> Page:
    """Raises Refused."""
    usual, most = _PAGES[operation.name]
    parameters = dict(parse_qsl(query.decode("latin-1")))
    default_order = "asc" if operation.name in _OLDEST_FIRST else "desc"
    limit, order = parameters.get("limit", str(usual)), parameters.get("order", default_order)
    # The length first: `int` refuses numbers of more than some thousand digits.
    if not (limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= most):
        raise Refused(
            MALFORMED_BODY, f"limit is a number from 1 to {most:,}, not {limit!r}.", param="limit"
        )
    if order not in ("asc", "desc"):
        raise Refused(MALFORMED_BODY, f"order is asc or desc, not {order!r}.", param="order")
    # OpenAI filters only its list of files by purpose.
    purpose = parameters.get("purpose", "") if operation.name == "files.list" else ""
    page = Page(int(limit), parameters.get("after", ""), order == "desc", purpose)
    # Only stored completions are also filtered by model and metadata.
    if operation.name != "chat.list":
        return page
    keys = [
        (match[1], value)
        for name, value in parameters.items()
        if (match := _METADATA.fullmatch(name))
    ]
    return page._replace(model=parameters.get("model", ""), metadata=keys)


class MergedList:
    """A list of resources on several accounts, as a preparation of its request. `selector` names
    the accounts of the deployments on which the project made resources of that kind."""

    def __init__(
        self,
        shared: Shared,
        customer: Customer,
        operation: Operation,
        query: bytes,
        selector: Selector,
    ) -> None:
        self._shared = shared
        self._customer = Customer(customer.label, customer.buyer)
        self._operation = operation
        self._retrieve = BY_NAME[operation.name.replace(".list", ".retrieve")]
        self._query = query
        self._selector = selector
        self._index: ProjectIndex = shared.shared_index or shared.resource_index
        self._places: dict[str, Candidate] = {}

    async def prepare(self, _is_over: Callable[[], bool]) -> PreparedRequest | None:
        """Return the page that was asked for. Raises Refused."""
        page = page_of(self._operation, self._query)
        buyer = self._customer.buyer
        try:
            deployments = await self._index.deployments(buyer, self._operation.lists)
            self._places = self._selector.holders(deployments)
            body = await self._page(page) if self._places else EMPTY_LIST
        except OSError:
            raise objects_unknown() from None
        return PreparedRequest(body=body)

    async def _page(self, page: Page) -> bytes:
        """As many objects as were asked for, or all that are left. Raises Refused, OSError."""
        last = await self._row(page.after) if page.after else None
        listed: list[tuple[str, bytes]] = []
        more = True
        # Rows whose objects are gone leave room for further ones.
        while more and len(listed) < page.limit:
            wanted = page.limit - len(listed)
            # The index knows no metadata: many rows fall away, and each round asks the accounts.
            count = max(wanted, _LEAST) if page.model or page.metadata else wanted
            # One row beyond the page says whether there is more.
            query = self._list_query(
                tuple(self._places), last, page.newest_first, count + 1, page.purpose
            )
            rows = await self._index.list_resources(query)
            more, rows = len(rows) > count, rows[:count]
            objects = await self._objects(page, rows)
            fitting = [
                (row.identifier, objects[row.identifier])
                for row in rows
                if row.identifier in objects
            ]
            listed += fitting[:wanted]
            more = more or len(fitting) > wanted
            last = rows[-1] if rows else last
        frame = {
            "object": "list",
            "data": [msgspec.Raw(written) for _, written in listed],
            "first_id": listed[0][0] if listed else None,
            "last_id": listed[-1][0] if listed else None,
            "has_more": more,
        }
        return msgspec.json.encode(frame)

    def _list_query(
        self,
        deployments: tuple[str, ...],
        after: ListedResource | None,
        newest_first: bool,
        count: int,
        purpose: str = "",
    ) -> ListQuery:
        return ListQuery(
            organisation=self._customer.buyer.organisation,
            project=self._customer.buyer.project,
            endpoint=self._operation.lists,
            deployments=deployments,
            purpose=purpose,
            after_ns=after.created_ns if after is not None else 0,
            after_identifier=after.identifier if after is not None else "",
            newest_first=newest_first,
            count=count,
        )

    async def _row(self, identifier: str) -> ListedResource:
        shared, buyer = self._shared, self._customer.buyer
        if shared.shared_index is not None:
            await shared.shared_index.look_up(buyer, (identifier,))
        resource = shared.resource_index.find_for(buyer, identifier)
        if resource is None:
            raise not_made_here(identifier, param="after")
        return ListedResource(resource.identifier, resource.deployment, resource.created_ns)

    async def _objects(self, page: Page, rows: Sequence[ListedResource]) -> dict[str, bytes]:
        """Return the objects of rows, by identifier, as far as they still exist. Raises Refused."""
        by_place: dict[str, list[ListedResource]] = {}
        for row in rows:
            by_place.setdefault(self._places[row.deployment].target.name, []).append(row)
        parts = await asyncio.gather(*[self._part(page, some) for some in by_place.values()])
        return {identifier: written for part in parts for identifier, written in part.items()}

    async def _part(self, page: Page, rows: Sequence[ListedResource]) -> dict[str, bytes]:
        """Return the objects of rows that lie on one account."""
        place = self._places[rows[0].deployment]
        there = tuple([name for name, other in self._places.items() if other is place])
        missing = {row.identifier for row in rows}
        objects: dict[str, bytes] = {}
        # The identifier just before the first row, in the list of this account.
        neighbours = await self._index.list_resources(
            self._list_query(there, rows[0], not page.newest_first, 1)
        )
        before = neighbours[0].identifier if neighbours else ""
        _, most = _PAGES[self._operation.name]
        parameters: dict[str, object] = {"limit": min(max(_LEAST, _MORE * len(rows)), most)}
        if self._operation.name in _EITHER_ORDER:
            parameters["order"] = "desc" if page.newest_first else "asc"
        while missing:
            query = urlencode({**parameters, **({"after": before} if before else {})}).encode()
            answer = await self._ask(place, self._operation, None, query)
            if before and 400 <= answer.status < 500 and answer.status != 429:
                break  # what we went on from is not there any more
            self._check(place, answer)
            page_objects, has_more = objects_in(answer.body)
            new = {
                name: without_names_in_failure(written, place.target.destination.account_names)
                for name, written in page_objects
                if name in missing
            }
            objects |= new
            missing -= new.keys()
            if not new or not has_more:
                break
            before = page_objects[-1][0]
        # Files and stored chats have no usage to come: the index is not searched for them.
        has_ends = self._operation.lists in RETRIEVED_WITH
        ended = [row for row in rows if has_ends and self._has_ended_unmetered(row, objects)]
        for row, answer in await self._ask_about(place, ended):
            if answer.status == 200:
                objects[row.identifier] = answer.body
        alone = [row for row in rows if row.identifier in missing]
        for row, answer in await self._ask_about(place, alone):
            if answer.status in GONE:
                # One whose usage is still to be metered may be told a moment later.
                if not self._shared.resource_index.is_pending(row.identifier):
                    self._shared.resource_index.forget(row.identifier, ignore_outcome)
                continue
            self._check(place, answer)
            objects[row.identifier] = answer.body
        if not (page.purpose or page.model or page.metadata):
            return objects
        return {
            name: written for name, written in objects.items() if self._fits(page, name, written)
        }

    def _has_ended_unmetered(self, row: ListedResource, objects: Mapping[str, bytes]) -> bool:
        """Return whether the account's list tells that an object has ended whose usage is still to
        be metered. Then it is asked for by name: so its usage is metered, and the files that it
        made can be read."""
        if row.identifier not in objects:
            return False
        if not self._shared.resource_index.is_pending(row.identifier):
            return False
        state = resource_in(objects[row.identifier])
        return state is not None and state.has_ended

    async def _ask_about(
        self, place: Candidate, rows: Sequence[ListedResource]
    ) -> list[tuple[ListedResource, WholeAnswer]]:
        """Ask about the objects of rows by name, a few at once."""
        answers: list[WholeAnswer] = []
        for at in range(0, len(rows), _AT_ONCE_MAX):
            some = rows[at : at + _AT_ONCE_MAX]
            answers += await asyncio.gather(
                *[self._ask(place, self._retrieve, row, b"") for row in some]
            )
        return list(zip(rows, answers, strict=True))

    def _fits(self, page: Page, identifier: str, written: bytes) -> bool:
        """Return whether an object has what the list is narrowed to. A model is known by the name
        that the project asked for, and by the one that its cloud tells."""
        listed = decode_with_half_pairs(_decode_listed, written)
        resource = self._shared.resource_index.find(identifier) if page.model else None
        models = (listed.model, resource.model if resource is not None else "")
        metadata = listed.metadata if isinstance(listed.metadata, dict) else {}
        return (
            page.purpose in ("", listed.purpose)
            and (not page.model or page.model in models)
            and all(metadata.get(name) == value for name, value in page.metadata)
        )

    def _check(self, place: Candidate, answer: WholeAnswer) -> None:
        status = answer.status
        if status == 200:
            return
        fault = {429: CLOUDS_BUSY, 503: CLOUDS_UNAVAILABLE}.get(status, CLOUDS_FAILED)
        where = f"{place.target.cloud} (deployment {place.target.name})"
        why = f"{where} did not answer, {status}. {read_or(_decode_failed, answer.body, _Failed()).error.message}"
        raise Refused(
            fault._replace(should_retry=answer.should_retry),
            f"The list would not be whole: {why}",
            headers=answer.retry_lines,
        )

    def _resource_of(self, row: ListedResource) -> IndexedResource:
        """Return the resource of a row, as this home knows it. It does not know those of other
        homes, nor one that another request has just found gone: a 404 is about the object all the
        same, not about the path."""
        return self._shared.resource_index.find(row.identifier) or IndexedResource(
            row.identifier,
            self._customer.buyer,
            row.deployment,
            endpoint=self._operation.lists,
            created_ns=row.created_ns,
        )

    async def _ask(
        self, place: Candidate, operation: Operation, row: ListedResource | None, query: bytes
    ) -> WholeAnswer:
        """Ask for a list, or about the object of a row."""
        shared = self._shared
        resource = self._resource_of(row) if row is not None else None
        model = resource.model if resource is not None else ""
        # If the answer tells an end, its usage is metered as of the model that made the resource;
        # the account may serve others too.
        holder = shared.tables.holder(resource.deployment, model) if resource is not None else None
        selection = CandidateSelection((holder or place,))
        return await ask(shared, self._customer, selection, operation, resource, query, model=model)


class _Listed(msgspec.Struct, frozen=True, gc=False):
    """What a list is narrowed by, of whatever type the cloud writes: null is no value, and what is
    no text equals none."""

    purpose: object = None
    model: object = None
    metadata: object = None


class _Error(msgspec.Struct, frozen=True, gc=False):
    message: str = ""


class _Failed(msgspec.Struct, frozen=True, gc=False):
    error: _Error = _Error()


_decode_listed = msgspec.json.Decoder(_Listed).decode
_decode_failed = msgspec.json.Decoder(_Failed).decode
