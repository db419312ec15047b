"""Slices of budgets, and shares of limits by the minute: what a gateway process asks for and is
granted, so that no two processes spend the same money or let the same request through.

Every figure is a total of one lease, never a difference: an answer that was lost does no harm, and
the same thing asked again grants nothing twice. Figures are picodollars of a budget, requests or
tokens of a limit. `serial` numbers a lease's asks. The lease server ignores an ask that is not
newer than the last it has seen, so that a delayed ask cannot take back what was granted since.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

FOREVER_S = 1e18
_NO_LIMIT = 1 << 62


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted state of one lease. `kind` says what is leased: a budget, or a limit of requests
    or of tokens. `budget` is the id of either. `part` numbers this process's leases of budgets: a
    new period has a new lease.

    `least` is the smallest total that helps, `target` the total wished for; a target below what is
    held gives back the rest. `spent` is final where the lease is `over`; of a limit, it is what was
    used of the share in this minute.

    `holder` is empty for leases of the process that asks. Holds that outlive it have leases of
    their own, under a name of their own: 16 characters of hex, as starts of processes have.
    """

    budget: str
    part: int
    serial: int
    spent: int = 0
    least: int = 0
    target: int = 0
    over: bool = False
    holder: str = ""
    kind: Literal["budget", "requests", "tokens"] = "budget"


class GrantedLease(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as it stands. `leased` is its total; `left` is what no lease holds of the budget's
    `amount`.

    The budget's period ends in `ends_in_s`; at 0 or less it is over, and the lease grants nothing
    more. The share of a limit ends then unless it is asked for again. `revoked`: another process
    needs what this one holds and does not use. `unread`: less was granted than was needed, and
    dead processes hold so much more; it counts as spent until their journals are read. `revoking`:
    living processes hold so much that is not spent, and are to give back what they do not use; it
    is left out where there is none, because answers come each second.
    """

    leased: int
    left: int
    amount: int
    ends_in_s: float = FOREVER_S
    revoked: bool = False
    unread: int = 0
    revoking: int | msgspec.UnsetType = msgspec.UNSET


class LeaseServer(Protocol):
    """Grants leases: slices of budgets, and shares of limits."""

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        """Return one lease for each ask, in order. Raise OSError (a timeout is one) if the lease
        server cannot be asked."""


class LocalLeaseServer:
    """Grants from amounts in this process, to this process only: for a gateway that stands by
    itself."""

    def __init__(self, amounts: Mapping[str, int] | None = None) -> None:
        self._amounts = dict(amounts or {})
        self._held: dict[tuple[str, str, str, int], int] = {}

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        return [self._lease(ask) for ask in asks]

    def _lease(self, ask: Ask) -> GrantedLease:
        amount = self._amounts.get(ask.budget, _NO_LIMIT)
        name = ask.kind, ask.budget, ask.holder, ask.part
        held = self._held.get(name, 0)
        free = amount - sum(total for other, total in self._held.items() if other[:2] == name[:2])
        wished = min(ask.spent if ask.over else ask.target, held + max(free, 0))
        if wished < held or wished >= ask.least:
            self._held[name], free = wished, free + held - wished
            held = wished
        return GrantedLease(leased=held, left=max(free, 0), amount=amount)


class LeaseCall(msgspec.Struct, frozen=True, kw_only=True):
    """The call of a process to the lease server's socket: `POST /leases`, answered by a list of
    `GrantedLease`.

    `boot` names the process's start, in hex. By `pid` the lease server later finds out that the
    process died; the journal `spool`, named in hex, then says what it spent. Whatever the process
    reserves of the leases that this call grants stands in that journal from frame `journal_frame`
    of segment `journal_segment` on: clocks jump, and a journal keeps its order. -1: not known.
    """

    boot: str
    pid: int
    asks: tuple[Ask, ...]
    spool: str = ""
    journal_segment: int = -1
    journal_frame: int = -1


# Where a journal is written: its segment, and the number of the next frame.
NextFrame = Callable[[], tuple[int, int]]
_GRANTED_LEASES = msgspec.json.Decoder(tuple[GrantedLease, ...])
_ANSWER_BYTES = (
    16 << 20
)  # a granted lease is some hundred bytes; asks for all budgets of a large plan come at once


def _not_known() -> tuple[int, int]:
    return -1, -1


class LeaseSocket:
    """The lease server behind a unix socket: HTTP over one connection that is kept, one call at a
    time.

    `next_frame` returns the segment of the journal `spool` that is written, and the number of its
    next frame.
    """

    def __init__(
        self, path: Path, boot: int, spool: str = "", next_frame: NextFrame = _not_known
    ) -> None:
        self._path = path
        self._boot, self._spool, self._next_frame = f"{boot:016x}", spool, next_frame
        self._one_call = asyncio.Lock()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        """Return one lease for each ask, in order. Raises OSError where nobody listens, or where
        the answer is not a lease server's."""
        segment, frame = self._next_frame()
        call = LeaseCall(
            boot=self._boot,
            pid=os.getpid(),
            asks=tuple(asks),
            spool=self._spool,
            journal_segment=segment,
            journal_frame=frame,
        )
        body = msgspec.json.encode(call)
        async with self._one_call:
            kept, self._connection = self._connection, None
            # A call that is broken off leaves no connection behind: an answer must not meet another
            # call.
            connection = kept or await asyncio.open_unix_connection(self._path, limit=_ANSWER_BYTES)
            try:
                answer = await _post(*connection, body)
            except BaseException:
                connection[1].close()
                raise
            self._connection = connection
        if len(answer) != len(asks):
            raise ConnectionError(f"{len(asks)} leases were asked for, {len(answer)} came")
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()


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


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
) -> Sequence[GrantedLease]:
    writer.write(
        b"POST /leases HTTP/1.1\r\nhost: leases\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[len(b"content-length:") :])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        answer = await reader.readexactly(length)
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"the lease server answered {head[:200]!r}")
        return _GRANTED_LEASES.decode(answer)
    # EOFError: the server ended in the middle of an answer (IncompleteReadError is one).
    except (EOFError, asyncio.LimitOverrunError, StopIteration, msgspec.DecodeError) as error:
        raise ConnectionError(f"the lease server's answer cannot be read: {error}") from error
