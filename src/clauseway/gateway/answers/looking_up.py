"""Look up identifiers that this home did not issue, where other homes share its database, before
candidates are selected. Requests that name only resources of this home need no look-up."""

from collections.abc import Callable

from clauseway.gateway.request.lifecycle import PreparedRequest
from clauseway.gateway.request.selection import MadeElsewhere, Selected, Selector
from clauseway.gateway.wire.operations import UnderstoodRequest


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
