"""The shared index: the stateful resources of all homes that share a database.

A gateway asks the process that runs its home, at that process's socket; only that process speaks to
the database. A resource is durable in the index of the home that made it first, and is then copied
to the database: an answer that issues an identifier waits for the copy, so that the next request may
come to any replica. A copy may take longer than the other homes need to notice that this home is
silent: then no answer waits any more, and the copies follow later. Until they have, the other homes
deny no identifier that they do not find.

    POST /issued/copy         copy what this home's index notes to be shared
    POST /issued/find         `FindQuery`, answered by a list of `IndexedResource`
    POST /issued/deployments  `ListQuery`, answered by a list of names
    POST /issued/made         `ListQuery`, answered by a list of `IndexedResource`

The answer is null while a home is silent: that home may have issued the identifier. After an
upgrade, the process that runs the home may be of the former version, so the paths keep their names.
"""

from asyncio import AbstractEventLoop, Task, sleep
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from clauseway.gateway.request.resource_index import (
    IndexedResource,
    ListedResource,
    ListQuery,
    ResourceIndex,
)
from clauseway.gateway.transport.home_socket import ask
from clauseway.metering import Buyer

# A home that has copied nothing for so long may have resources that no other home knows.
SILENT_S: Final = 5.0
# So long an answer waits for its copy: then this home is silent, and a little longer, because what
# is noted while it says that all is copied is not.
_COPY_S: Final = SILENT_S + 1.0
_AGAIN_S: Final = 0.25
_FIND_S: Final = 5.0  # then the client asks again
_RESOURCES: Final = msgspec.json.Decoder(list[IndexedResource])
_NAMES: Final = msgspec.json.Decoder(list[str])
_Decoded = TypeVar("_Decoded")


class FindQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query for some identifiers of a project."""

    organisation: str
    project: str
    identifiers: tuple[str, ...]


class ProjectIndex(Protocol):
    """An index as a list of a project's resources reads it. Raises OSError where it cannot be
    asked."""

    async def deployments(self, buyer: Buyer, endpoint: int, /) -> list[str]: ...

    async def list_resources(self, query: ListQuery, /) -> list[ListedResource]: ...


class SharedIndex:
    """The resources of all homes that share a database. `index` is this home's own."""

    index: ResourceIndex

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        # Of the process that runs this home: the present plan names it.
        self.socket = ""
        # Until when each step waits.
        self._waiting: list[tuple[float, Callable[[], None]]] = []
        self._is_noted = False
        self._copying: Task[None] | None = None
        self._is_away = False

    # -- resources that this home adds or forgets

    def announce(self, step: Callable[[], None]) -> None:
        """Ask for a copy of what this home's index notes to be shared. Call `step` when the copy is
        in the database, or at once while the database is away."""
        self._is_noted = True
        if self._is_away:
            step()
        else:
            self._waiting.append((self._loop.time() + _COPY_S, step))
        if self._copying is None:
            self._copying = self._loop.create_task(self._copy())

    async def _copy(self) -> None:
        """Ask for copies until nobody waits: all that came during one wait for the next."""
        while self._is_noted:
            self._is_noted = False
            taken, self._waiting = self._waiting, []
            try:
                await self._ask("/issued/copy", b"{}", _COPY_S)
                self._is_away = False
            except OSError:
                # The first step has waited longest. The notes stay, and are copied when they can be.
                self._is_away = self._is_away or (bool(taken) and taken[0][0] <= self._loop.time())
                if not self._is_away:
                    self._waiting = [*taken, *self._waiting]
                    self._is_noted = bool(self._waiting)
                    await sleep(_AGAIN_S)
                    continue
                taken, self._waiting = [*taken, *self._waiting], []
            for _, step in taken:
                step()
        self._copying = None

    def close(self) -> None:
        if self._copying is not None:
            self._copying.cancel()

    # -- resources of any home

    async def look_up(self, buyer: Buyer, identifiers: Sequence[str]) -> None:
        """Let this home's index remember those of a project's identifiers that there are. Raises
        OSError."""
        unknown = [name for name in identifiers if self.index.find_for(buyer, name) is None]
        if unknown:
            query = FindQuery(
                organisation=buyer.organisation,
                project=buyer.project,
                identifiers=tuple(unknown),
            )
            self.index.remember(await self._resources("/issued/find", query))

    async def deployments(self, buyer: Buyer, endpoint: int) -> list[str]:
        """Return where something of one kind lies that a project made. Raises OSError."""
        query = ListQuery(organisation=buyer.organisation, project=buyer.project, endpoint=endpoint)
        answer = await self._ask("/issued/deployments", msgspec.json.encode(query))
        return _decoded(_NAMES, answer)

    async def list_resources(self, query: ListQuery) -> list[ListedResource]:
        """Return the resources that a project made, as `ResourceIndex.list_resources` does of one
        home. Raises OSError."""
        resources = await self._resources("/issued/made", query)
        self.index.remember(resources)
        return [
            ListedResource(resource.identifier, resource.deployment, resource.created_ns)
            for resource in resources
        ]

    async def _resources(self, path: str, query: FindQuery | ListQuery) -> list[IndexedResource]:
        return _decoded(_RESOURCES, await self._ask(path, msgspec.json.encode(query)))

    async def _ask(self, path: str, body: bytes, patience_s: float = _FIND_S) -> bytes:
        status, answer = await ask(self.socket, path, body, patience_s)
        if status != 200:
            raise ConnectionError(f"the home answered {status} to {path}")
        return answer


def _decoded(decoder: msgspec.json.Decoder[_Decoded], answer: bytes) -> _Decoded:
    """Return the decoded answer. Raise OSError where it cannot be read, or is null."""
    try:
        return decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise ConnectionError(f"the home's answer cannot be read: {error}") from error
