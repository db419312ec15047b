"""Leasing: slices of budgets and shares of limits for the gateways of a home, and what dead gateways
held, back.

Gateways ask at a unix socket that only this user can open: `POST /leases` with a
`gateway.leases.LeaseCall`, answered by a list of `Slice`. A thread of the serving process answers,
each call in one transaction. Other questions to the home may be answered at the same socket.
"""

import contextlib
import http.server
import os
import socketserver
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from clauseway.app.books.limit_shares import LimitShares
from clauseway.app.opening.home import Home
from clauseway.gateway.budgets.leases import FOREVER_S, Ask, LeaseCall, Slice
from clauseway.metering import Status
from clauseway.storage import Control
from clauseway.storage.books.losses import RECOVERED, WHOLE, Losses
from clauseway.storage.customers.leases import (
    NO_END_NS,
    Lease,
    LeaseRequest,
    Leases,
    LeaseState,
    bounds,
)
from clauseway.storage.customers.limit_shares import MemoryShares, StoredShares
from clauseway.storage.customers.tenants import BudgetRow, LimitScope, Tenants
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.spending import ReservedAttempt, reserved_attempts

_CALL_BYTES = 16 << 20  # an ask is some hundred bytes; a gateway reports on all its budgets at once
_CALL = msgspec.json.Decoder(LeaseCall)
_SECOND_NS = 1_000_000_000
_NOBODY = 0  # the holder of a lease without a process: the lease ends when somebody ends it
_POLL_S = 0.05  # how soon it notices that it should end


# From the body of a question to that of its answer. Raises msgspec.DecodeError for one that cannot
# be read.
AnswerQuestion = Callable[[bytes], bytes]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        path: Path,
        leases: Leases,
        shares: LimitShares,
        others: Mapping[str, AnswerQuestion],
    ) -> None:
        self.leases, self.shares, self.others = leases, shares, others
        super().__init__(str(path), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print why a call failed. The gateway finds its connection closed, and asks again."""
        print(
            f"A question of a gateway was not answered: {sys.exception()!r}",
            file=sys.stderr,
            flush=True,
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    """One gateway's connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        answer_to = self._lease if self.path == "/leases" else self.server.others.get(self.path)
        if answer_to is None or not length.isdigit() or int(length) > _CALL_BYTES:
            self._answer(404, b'{"error": {"message": "The lease server knows POST /leases."}}')
            return
        try:
            answered = answer_to(self.rfile.read(int(length)))
        except msgspec.DecodeError as error:
            self._answer(400, msgspec.json.encode({"error": {"message": str(error)}}))
            return
        self._answer(200, answered)

    def _lease(self, body: bytes) -> bytes:
        call = _CALL.decode(body)
        slices = answer(self.server.leases, call, time.time_ns(), self.server.shares)
        return msgspec.json.encode(slices)

    def address_string(self) -> str:
        return "gateway"

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: there is a call for each budget and second."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer(
    leases: Leases, call: LeaseCall, now_ns: int, shares: LimitShares | None = None
) -> list[Slice]:
    """Return the answer to a gateway's call."""
    of_budgets = [ask for ask in call.asks if ask.kind == "budget"]
    of_limits = [ask for ask in call.asks if ask.kind != "budget"]
    wanted = [_wanted(call, ask) for ask in of_budgets]
    states = iter(leases.lease(wanted, now_ns) if wanted else [])
    assert shares is not None or not of_limits, "nobody keeps the shares of limits"
    granted = iter(shares.lease(call.boot, of_limits) if shares else [])
    return [
        _slice(next(states), now_ns) if ask.kind == "budget" else next(granted) for ask in call.asks
    ]


def _wanted(call: LeaseCall, ask: Ask) -> LeaseRequest:
    return LeaseRequest(
        budget=ask.budget,
        boot=ask.holder or call.boot,
        part=ask.part,
        pid=_NOBODY if ask.holder else call.pid,
        serial=ask.serial,
        spent=ask.spent,
        least=ask.least,
        target=ask.target,
        is_over=ask.over,
        spool=call.spool,
    )


def _slice(held: LeaseState, now_ns: int) -> Slice:
    ends_in_s = (held.end_ns - now_ns) / _SECOND_NS if held.end_ns < NO_END_NS else FOREVER_S
    return Slice(
        leased=held.leased,
        left=held.left,
        amount=held.amount,
        ends_in_s=ends_in_s,
        recall=held.is_recalled,
    )


@contextlib.contextmanager
def lease_server(home: Home, others: Mapping[str, AnswerQuestion] | None = None) -> Iterator[Path]:
    """Grant slices of the home's budgets and shares of its limits until the block ends; where the
    socket is. `others` answer further questions, by path.

    A socket left there by a process that died is replaced.
    """
    control = Control.open(home.make().control)
    path = home.lease_socket
    path.unlink(missing_ok=True)
    # Only this user may connect, from the socket's first moment on.
    before = os.umask(0o077)
    try:
        limits_by_id = Tenants(control).limits_by_id
        kept = StoredShares(control) if home.may_be_shared else MemoryShares(limits_by_id)
        shares = LimitShares(kept.changing)
        server = _Server(path, Leases(control), shares, others or {})
    finally:
        os.umask(before)
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_S,), name="leases", daemon=True
    )
    thread.start()
    try:
        yield path
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        control.close()
        path.unlink(missing_ok=True)


def dead_leases(control: Control, home: str) -> list[Lease]:
    """Return the open leases of processes that are no more.

    A number says only of this home's processes whether they live; one that has such a number again
    delays that. Processes of another home are dead once their journal was written off.
    """
    losses = Losses(control)
    spools = {spool.spool: spool for spool in losses.spools()}
    of_boot = {boot: spool for spool in spools.values() for boot in spool.boots}
    written_off = {
        loss.spool for loss in losses.all() if loss.segment == WHOLE and not loss.found_ns
    }
    dead = []
    for lease in Leases(control).open():
        spool = spools.get(lease.spool) or of_boot.get(lease.boot)
        is_here = spool is None or spool.is_of(home)
        is_gone = (
            not _lives(lease.pid) if is_here else spool is not None and spool.spool in written_off
        )
        if spool is not None and is_here and spool.place.startswith(RECOVERED):
            is_gone = True  # its process was another machine's, whatever has its number here
        if lease.pid != _NOBODY and is_gone:
            dead.append(lease)
    return dead


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class UnreadJournals(msgspec.Struct, frozen=True, kw_only=True):
    """Dead processes with gaps in their journals: `lost` ones have losses there, or no journal
    any more; the journal of `missing` ones is gone, and nobody has written it off."""

    lost: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


def return_leases(lake: Lake, dead: Collection[Lease], now_ns: int, unread: UnreadJournals) -> int:
    """End the leases of dead processes, of whose spools everything was sealed since; how many.

    What such a process spent is what its attempts were charged. One that has no end, or is lost,
    counts as what it reserved; of a process that lost usage, everything leased counts as spent. The
    leases of one whose journal is missing stay as they are, until it is found or written off. Raise
    LakeDamaged.
    """
    leases = Leases(lake.control)
    budgets = {budget.id: budget for budget in Tenants(lake.control).budgets()}
    ended = 0
    for boot in sorted({lease.boot for lease in dead} - unread.missing):
        held, all_is_read = leases.of_boot(boot), boot not in unread.lost
        attempts = (
            reserved_attempts(lake, boot, min(lease.opened_ns for lease in held))
            if all_is_read
            else []
        )
        for parts in _by_period(held).values():
            budget = budgets.get(parts[0].budget)
            if not all_is_read:
                spent = sum(part.gone for part in parts)
            elif budget is None:
                spent = 0  # nobody asks any more: what was reported will do
            else:
                spent = _spent(budget, parts, attempts)
            ended += _end(leases, parts, spent, now_ns)
    return ended


def _by_period(held: Iterable[Lease]) -> dict[tuple[str, int], list[Lease]]:
    leases: dict[tuple[str, int], list[Lease]] = defaultdict(list)
    for lease in held:
        leases[lease.budget, lease.begin_ns].append(lease)
    return leases


def _spent(budget: BudgetRow, parts: list[Lease], attempts: Iterable[ReservedAttempt]) -> int:
    """Return the amount that attempts took from a budget in one period, in picodollars, since
    its first lease."""
    since_ns = min(part.opened_ns for part in parts)
    _, end_ns = bounds(budget.period, parts[0].begin_ns)
    return sum(
        attempt.reserved if attempt.status in (0, Status.LOST) else attempt.charge
        for attempt in attempts
        if since_ns <= attempt.begun_ns < end_ns and _counts(budget, attempt)
    )


def _counts(budget: BudgetRow, attempt: ReservedAttempt) -> bool:
    return all(
        getattr(budget, name) in ("", getattr(attempt, name))
        for name in LimitScope.__struct_fields__
    )


def _end(leases: Leases, parts: list[Lease], spent: int, now_ns: int) -> int:
    """End a process's leases of one period.

    The sum is what counts: each takes what it held, the last one the rest.
    """
    open_parts = [part for part in parts if part.is_open]
    spent -= sum(part.spent for part in parts if not part.is_open)
    ended = 0
    for part in open_parts:
        own = spent if part is open_parts[-1] else min(spent, part.leased)
        spent -= own
        # Never less than it reported: what it knew of may not have reached its spool.
        ended += leases.end(part, max(own, part.spent), now_ns)
    return ended
