"""The latest requests of a project over all workers at a port. Each worker keeps the requests it
served; the worker that is queried collects the others'."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from clauseway.gateway.answers.information import (
    LatestQuery,
    explained,
    latest_query,
    no_such_request,
    own_lifecycle,
)
from clauseway.gateway.request.explanations import as_json
from clauseway.gateway.request.lifecycle import Lifecycle, PreparedRequest, RequestClient
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.transport.siblings import ask_siblings
from clauseway.gateway.wire.operations import OWN_REQUESTS
from clauseway.metering import RequestId

# Where a worker asks another: an identifier, or a query, of a project.
PATH: Final = "/requests"
_VIEWS: Final = msgspec.json.Decoder(list[dict[str, object]])


class WorkersRequests:
    """The preparation of an answer about requests: of the one that is `named`, or of the latest that
    the query asks for."""

    def __init__(self, shared: Shared, customer: Customer, named: str, query: bytes) -> None:
        self._shared, self._named = shared, named
        buyer = customer.buyer
        self._project = (buyer.organisation, buyer.project)
        self._query = LatestQuery() if named else latest_query(query)

    async def prepare(self, _is_over: Callable[[], bool]) -> PreparedRequest | None:
        """Return the answer. Raises Refused."""
        if self._named:
            view = await self._find(self._named)
            if view is None:
                raise no_such_request(self._named)
            return PreparedRequest(body=msgspec.json.encode(view))
        return PreparedRequest(body=msgspec.json.encode(await self._list(self._query)))

    async def _find(self, named: str) -> dict[str, object] | None:
        views = await self._ask(LatestQuery(limit=1), named)
        return views[0] if views else None

    async def _list(self, query: LatestQuery) -> dict[str, object]:
        if query.after:
            after = await self._find(query.after)
            if after is None:
                raise no_such_request(query.after, param="after")
            query = msgspec.structs.replace(query, before_ns=int(str(after["event_ns"])))
        # One more than a page: whether there is more.
        views = await self._ask(msgspec.structs.replace(query, limit=query.limit + 1), "")
        views.sort(key=_age)
        page = views[: query.limit]
        return {"object": "list", "data": page, "has_more": len(views) > query.limit}

    async def _ask(self, query: LatestQuery, named: str) -> list[dict[str, object]]:
        """Return what this worker and the others know."""
        views = _known(self._shared, self._project, query, named)
        control = self._shared.siblings
        assert control is not None, "there are other workers"
        organisation, project = self._project
        parameters = msgspec.structs.asdict(query) | {
            "organisation": organisation,
            "project": project,
            "named": named,
        }
        for body in (await ask_siblings(control, f"{PATH}?{urlencode(parameters)}")).values():
            views += _VIEWS.decode(body)
        return views


def known_here(shared: Shared, path: str) -> bytes:
    """Answer another worker's question, as `WorkersRequests` asks it."""
    parameters = dict(parse_qsl(path.partition("?")[2], keep_blank_values=True))
    project = (parameters.pop("organisation"), parameters.pop("project"))
    named = parameters.pop("named")
    query = msgspec.convert(parameters, LatestQuery, strict=False)
    return msgspec.json.encode(_known(shared, project, query, named))


def _known(
    shared: Shared, project: tuple[str, str], query: LatestQuery, named: str
) -> list[dict[str, object]]:
    """Return what this process knows: the request that is named, or the latest."""
    if named:
        view = explained(shared, project, named)
        return [] if view is None else [view]
    views: list[dict[str, object]] = []
    for number, explanation in shared.explanations.latest():
        identifier = str(RequestId(shared.boot, number))
        # The identifier orders requests of one instant: no page repeats or skips one.
        place = (explanation.event_ns, identifier)
        if query.after and place >= (query.before_ns, query.after):
            continue
        # Listing requests is a request too; it would head every list.
        if explanation.operation == OWN_REQUESTS.name or not query.wants(project, explanation):
            continue
        views.append(as_json(identifier, explanation))
        if len(views) == query.limit:
            break
    return views


def _age(view: dict[str, object]) -> tuple[int, str]:
    """Sort the newest first."""
    return -int(str(view["event_ns"])), str(view["id"])


def requests_lifecycle(
    client: RequestClient, shared: Shared, customer: Customer, named: bytes, query: bytes
) -> Lifecycle:
    """Return the lifecycle of a question about requests. Raises Refused."""
    asked = WorkersRequests(shared, customer, named.decode(), query)
    return own_lifecycle(client, shared, customer, OWN_REQUESTS, query, asked.prepare)
