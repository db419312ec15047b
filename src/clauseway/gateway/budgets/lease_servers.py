"""The lessor that the present plan names, behind one that stays."""

from collections.abc import Sequence
from pathlib import Path

from clauseway.gateway.budgets.leases import Ask, LeaseSocket, Lessor, LocalLessor, Slice


class Lessors:
    """Asks the socket that the plan taken over last names; without one, a gateway stands by itself."""

    def __init__(self, boot: int, spool: str) -> None:
        self._boot, self._spool = boot, spool
        self._path = ""
        self._alone = LocalLessor()
        self._socket: LeaseSocket | None = None

    def take_over(self, path: str) -> None:
        """Ask there from now on; empty: grant whatever is asked for."""
        if path == self._path:
            return
        self.close()
        self._path = path
        self._socket = LeaseSocket(Path(path), self._boot, self._spool) if path else None

    async def lease(self, asks: Sequence[Ask]) -> Sequence[Slice]:
        """Raises OSError where the lessor cannot be asked."""
        lessor: Lessor = self._socket or self._alone
        return await lessor.lease(asks)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
