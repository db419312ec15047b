"""Look up identifiers that this home did not issue, where other homes share its database, before
candidates are selected. Requests that name only resources of this home need no look-up."""

from collections.abc import Callable

from clauseway.gateway.request.lifecycle import PreparedRequest
from clauseway.gateway.request.selection import MadeElsewhere, Selected, Selector
from clauseway.gateway.wire.operations import UnderstoodRequest


class LookingUp:
    """Prepares a request by looking up the identifiers that it names. `select` is called again
    after each look-up; `unknown` are the first."""

    def __init__(
        self,
        selector: Selector,
        select: Callable[[], Selected],
        request: UnderstoodRequest,
        unknown: tuple[str, ...],
    ) -> None:
        self._selector = selector
        self._select = select
        self._request = request
        self._unknown = unknown

    async def prepare(self, is_over: Callable[[], bool]) -> PreparedRequest | None:
        """Return the candidates, and the resource that the request names. Raises Refused."""
        while not is_over():
            await self._selector.look_up(self._unknown)
            try:
                selected = self._select()
            except MadeElsewhere as elsewhere:
                self._unknown = elsewhere.identifiers
                continue
            request = self._request.of_model(selected.model)
            return PreparedRequest(
                selected.selection, request, named_resource=selected.named_resource
            )
        return None
