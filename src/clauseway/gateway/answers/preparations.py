"""Preparations of requests that name one resource.

A response whose usage is not metered yet is retrieved before it is deleted, so that its end is
metered: afterwards its cloud tells nothing of it. Identifiers that this home did not issue, where
other homes share its database, are looked up before candidates are selected.
"""

from collections.abc import Callable

from clauseway.gateway.answers.cloud_answers import ask
from clauseway.gateway.request.lifecycle import PreparedRequest, maker_of
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.resources import GONE
from clauseway.gateway.request.selection import MadeElsewhere, Selected, Selector
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.wire.errors import CLOUDS_UNAVAILABLE
from clauseway.gateway.wire.operations import BY_NAME, UnderstoodRequest


async def prepare_deletion(
    shared: Shared,
    selection: CandidateSelection,
    request: UnderstoodRequest,
    resource: IndexedResource,
    _is_over: Callable[[], bool],
) -> PreparedRequest | None:
    """Prepare the deletion of a pending response, once it was retrieved, which meters its end. One
    that still runs is deleted all the same. Raise Refused."""
    operation = BY_NAME[request.operation.name.replace(".delete", ".retrieve")]
    customer = maker_of(shared, resource)
    answer = await ask(shared, customer, selection, operation, resource, model=resource.model)
    is_gone = answer.status in GONE
    is_pending = shared.resource_index.is_pending(resource.identifier)
    if answer.status != 200 and (is_pending or not is_gone):
        raise Refused(
            CLOUDS_UNAVAILABLE._replace(should_retry=is_gone or answer.should_retry),
            "The response is not deleted: its usage is still to be read from its cloud, which "
            f"answered {answer.status}. Delete it again later.",
            headers=answer.retry_lines,
        )
    return PreparedRequest(selection, request, named_resource=resource)


async def look_up_and_select(
    selector: Selector,
    select: Callable[[], Selected],
    request: UnderstoodRequest,
    unknown: tuple[str, ...],
    is_over: Callable[[], bool],
) -> PreparedRequest | None:
    """Prepare a request by looking up the identifiers that it names: first the `unknown`, then
    those that `select` misses. Return the candidates, and the resource that the request names.
    Raise Refused."""
    while not is_over():
        await selector.look_up(unknown)
        try:
            selected = select()
        except MadeElsewhere as elsewhere:
            unknown = elsewhere.identifiers
            continue
        return PreparedRequest(
            selected.selection,
            request.of_model(selected.model),
            named_resource=selected.named_resource,
        )
    return None
