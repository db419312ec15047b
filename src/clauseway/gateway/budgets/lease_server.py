"""A stable handle to the lease server named by the present plan."""

from collections.abc import Sequence
from pathlib import Path

from clauseway.gateway.budgets.leases import (
    Ask,
    GrantedLease,
    LeaseServer,
    LeaseSocket,
    LocalLeaseServer,
    NextFrame,
)


class CurrentLeaseServer:
    """Asks the socket that the present plan names; without one, a gateway grants itself whatever it
    asks."""

    def __init__(self, boot: int, spool: str, next_frame: NextFrame) -> None:
        self._boot, self._spool, self._next_frame = boot, spool, next_frame
        self._path = ""
        self._alone = LocalLeaseServer()
        self._socket: LeaseSocket | None = None

    def reload(self, path: str) -> None:
        """Use the lease server at `path` from now on; if it is empty, grant whatever is asked
        for."""
        if path == self._path:
            return
        self.close()
        self._path = path
        self._socket = (
            LeaseSocket(Path(path), self._boot, self._spool, self._next_frame) if path else None
        )

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        """Raises OSError where the lease server cannot be asked."""
        lease_server: LeaseServer = self._socket or self._alone
        return await lease_server.lease(asks)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
