"""Deletions of responses whose usage is not metered yet. Each is retrieved before it is deleted, so
that its end is metered: afterwards its cloud tells nothing of it."""

from collections.abc import Callable

from clauseway.gateway.answers.cloud_answers import WholeAnswer, ask
from clauseway.gateway.request.lifecycle import PreparedRequest, maker_of
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.resources import GONE
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.wire.errors import CLOUDS_UNAVAILABLE
from clauseway.gateway.wire.operations import BY_NAME, UnderstoodRequest


class Deletion:
    """Prepares the deletion of a pending response. One that still runs is deleted all the same."""

    def __init__(
        self,
        shared: Shared,
        selection: CandidateSelection,
        request: UnderstoodRequest,
        resource: IndexedResource,
    ) -> None:
        self._shared = shared
        self._selection = selection
        self._request = request
        self._resource = resource

    async def prepare(self, _is_over: Callable[[], bool]) -> PreparedRequest | None:
        """Return the deletion's candidates once the response was retrieved. Raises Refused."""
        answer = await self._retrieve()
        if answer.status != 200 and answer.status not in GONE:
            raise Refused(
                CLOUDS_UNAVAILABLE._replace(should_retry=answer.should_retry),
                "The response is not deleted: its usage is still to be read from its cloud, which "
                f"answered {answer.status}. Delete it again later.",
                headers=answer.retry_lines,
            )
        return PreparedRequest(
            selection=self._selection, request=self._request, named_resource=self._resource
        )

    async def _retrieve(self) -> WholeAnswer:
        """Retrieve the response, which meters its end."""
        shared, resource = self._shared, self._resource
        operation = BY_NAME[self._request.operation.name.replace(".delete", ".retrieve")]
        customer = maker_of(shared, resource)
        return await ask(
            shared, customer, self._selection, operation, resource, model=resource.model
        )
