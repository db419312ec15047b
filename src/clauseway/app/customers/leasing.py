"""Leasing: slices of budgets and shares of limits for the gateways of a home, and what dead gateways
held, back.

Gateways ask at a unix socket that only this user can open: `POST /leases` with a
`gateway.budgets.leases.LeaseCall`, answered by a list of `GrantedLease`. A thread of the serving process
answers, each call in one transaction. Other questions to the home may be answered at the same socket.
"""

import contextlib
import http.server
import os
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from clauseway.app.customers.holders import of_the_dead
from clauseway.app.customers.limit_shares import LimitShares
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import control_of
from clauseway.gateway.budgets.leases import FOREVER_S, Ask, GrantedLease, LeaseCall
from clauseway.storage.customers.leases import (
    NO_END_NS,
    NOBODY,
    Lease,
    LeaseRequest,
    Leases,
    LeaseState,
)
from clauseway.storage.customers.limit_shares import MemoryShares, StoredShares
from clauseway.storage.customers.tenants import Tenants
from clauseway.values import NOT_JSON

_CALL_BYTES = 16 << 20  # an ask is some hundred bytes; a gateway reports on all its budgets at once
_CALL = msgspec.json.Decoder(LeaseCall)
_SECOND_NS = 1_000_000_000
# A process that holds something unused reports on it within six seconds: one that was silent for
# longer will give nothing back.
_SILENT_NS = 10 * _SECOND_NS
_POLL_S = 0.05  # how soon it notices that it should end


# From the body of a question to that of its answer. Raises msgspec.DecodeError for one that cannot
# be read.
AnswerQuestion = Callable[[bytes], bytes]
# Of some leases, those of processes that are no more.
FindDead = Callable[[Sequence[Lease]], Sequence[Lease]]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        path: Path,
        leases: Leases,
        shares: LimitShares,
        dead: FindDead,
        others: Mapping[str, AnswerQuestion],
    ) -> None:
        self.leases, self.shares, self.dead, self.others = leases, shares, dead, others
        self.reported: type[BaseException] | None = None  # the last failure, until a call succeeds
        super().__init__(str(path), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print why a call failed, once: a database that is away fails every call. The gateway
        finds its connection closed, and asks again."""
        error = sys.exception()
        assert error is not None, "it is called for one"
        if isinstance(error, (BrokenPipeError, ConnectionResetError)):
            return  # the gateway waited no longer, as on a busy machine, and asks again
        if type(error) is not self.reported:
            first_line = str(error).partition("\n")[0]
            print(
                f"A question of a gateway was not answered: {type(error).__name__}: {first_line}",
                file=sys.stderr,
                flush=True,
            )
        self.reported = type(error)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One gateway's connection."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        answer_to = self._lease if self.path == "/leases" else self.server.others.get(self.path)
        # A body is read into memory whole, so its length is bounded before.
        if (
            answer_to is None
            or not (length.isascii() and length.isdigit())
            or int(length) > _CALL_BYTES
        ):
            paths = ", ".join(["/leases", *self.server.others])
            message = f"Here are POST {paths}, with a body of at most {_CALL_BYTES:,} bytes."
            self._answer(404, msgspec.json.encode({"error": {"message": message}}))
            return
        try:
            answered = answer_to(self.rfile.read(int(length)))
        except NOT_JSON as error:
            self._answer(400, msgspec.json.encode({"error": {"message": str(error)}}))
            return
        self.server.reported = None
        self._answer(200, answered)

    def _lease(self, body: bytes) -> bytes:
        call = _CALL.decode(body)
        server = self.server
        granted_leases = answer(server.leases, call, time.time_ns(), server.shares, server.dead)
        return msgspec.json.encode(granted_leases)

    def address_string(self) -> str:
        return "gateway"

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: there is a call for each budget and second."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _none_dead(_: Sequence[Lease]) -> Sequence[Lease]:
    return ()


def answer(
    leases: Leases,
    call: LeaseCall,
    now_ns: int,
    shares: LimitShares | None = None,
    dead: FindDead = _none_dead,
) -> list[GrantedLease]:
    """Return the answer to a gateway's call."""
    of_budgets = [ask for ask in call.asks if ask.kind == "budget"]
    of_limits = [ask for ask in call.asks if ask.kind != "budget"]
    wanted = [_wanted(call, ask) for ask in of_budgets]
    states = iter(leases.lease(wanted, now_ns) if wanted else [])
    assert shares is not None or not of_limits, "nobody keeps the shares of limits"
    granted = iter(shares.lease(call.boot, of_limits) if shares else [])
    # The leases go back in the order of the asks, whichever register granted them.
    return [
        _granted_lease(next(states), now_ns, dead) if ask.kind == "budget" else next(granted)
        for ask in call.asks
    ]


def _wanted(call: LeaseCall, ask: Ask) -> LeaseRequest:
    return LeaseRequest(
        budget=ask.budget,
        boot=ask.holder or call.boot,
        part=ask.part,
        # A lease of another holder than the process (a batch) does not end with it.
        pid=NOBODY if ask.holder else call.pid,
        serial=ask.serial,
        spent=ask.spent,
        least=ask.least,
        target=ask.target,
        is_over=ask.over,
        spool=call.spool,
        journal_segment=call.journal_segment,
        journal_frame=call.journal_frame,
    )


def _granted_lease(held: LeaseState, now_ns: int, dead: FindDead) -> GrantedLease:
    ends_in_s = (held.end_ns - now_ns) / _SECOND_NS if held.end_ns < NO_END_NS else FOREVER_S
    of_the_dead = dead(held.elsewhere)
    living = [lease for lease in held.elsewhere if lease not in of_the_dead]
    return GrantedLease(
        leased=held.leased,
        left=held.left,
        amount=held.amount,
        ends_in_s=ends_in_s,
        revoked=held.is_revoked,
        unread=_not_spent(of_the_dead),
        revoking=_not_spent(lease for lease in living if _gives_back(lease, now_ns))
        or msgspec.UNSET,
    )


def _gives_back(lease: Lease, now_ns: int) -> bool:
    """Return whether a living process gives back what it does not use of a lease; of a hold, it
    uses all."""
    return lease.pid != NOBODY and now_ns - lease.heard_ns < _SILENT_NS


def _not_spent(leases: Iterable[Lease]) -> int:
    return sum(lease.gone - lease.spent for lease in leases)


@contextlib.contextmanager
def lease_server(home: Home, others: Mapping[str, AnswerQuestion] | None = None) -> Iterator[Path]:
    """Grant slices of the home's budgets and shares of its limits until the block ends; where the
    socket is. `others` answer further questions, by path.

    A socket left there by a process that died is replaced.
    """
    control = control_of(home)
    path = home.lease_socket
    path.unlink(missing_ok=True)
    # Only this user may connect, from the socket's first moment on.
    before = os.umask(0o077)
    try:
        limits_by_id = Tenants(control).limits_by_id
        kept = StoredShares(control) if home.may_be_shared else MemoryShares(limits_by_id)
        shares = LimitShares(kept.changing)
        dead = partial(of_the_dead, control, home)
        server = _Server(path, Leases(control), shares, dead, others or {})
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
