"""Answers that need no cloud: models, explanations of requests, health and readiness.

Each function returns a whole HTTP answer or raises `Refused`; for an answer that takes time,
`own_lifecycle` returns the lifecycle of a request without candidates.
"""

import errno
import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from clauseway.gateway.budgets.shortage import duration
from clauseway.gateway.request.explanations import RequestExplanation, as_json, usd
from clauseway.gateway.request.lifecycle import Lifecycle, Preparation, RequestClient
from clauseway.gateway.request.refusals import HANGS_S, Refused, cut_off, journal_failed
from clauseway.gateway.request.selection import refuse_model
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import CandidateSelection
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED
from clauseway.gateway.wire.errors import response
from clauseway.gateway.wire.operations import Operation, UnderstoodRequest, unquoted
from clauseway.metering import Buyer, RequestId
from clauseway.spool import NO_ROOM

_LISTED_MAX: Final = 100
_REQUEST: Final = re.compile(r"req_[0-9a-f]{32}")


def models(
    shared: Shared, customer: Customer, name: bytes | None, _query: bytes, head_lines: bytes
) -> bytes:
    """List the models that are served to a customer, or look one name up: that of a retired model,
    which is not listed, too."""
    tables, now_ns = shared.tables, shared.clock()
    if name is None:
        listed = [_model(served, customer) for served in tables.models(now_ns, customer)]
        return _json({"object": "list", "data": listed}, head_lines)
    text = unquoted(name)
    if tables.served(now_ns, customer, text) is None:
        refuse_model(tables, now_ns, customer, text)
    return _json(_model(text, customer), head_lines)


def _model(name: str, customer: Customer) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": customer.buyer.seller}


def own_lifecycle(
    client: RequestClient,
    shared: Shared,
    customer: Customer,
    operation: Operation,
    query: bytes,
    preparation: Preparation,
) -> Lifecycle:
    """Return the lifecycle of a question that `preparation` answers and no cloud is asked."""
    return Lifecycle(
        client,
        shared,
        customer,
        CandidateSelection(()),
        UnderstoodRequest(
            operation, operation.call(b"", query, b""), NOTHING_ASKED, b"", b"", b"", ""
        ),
        shared.clock(),
        preparation=preparation,
    )


def explain(
    shared: Shared, customer: Customer, identifier: bytes | None, _query: bytes, head_lines: bytes
) -> bytes:
    """Say why one of the latest requests of the customer's project went where it went."""
    named = (identifier or b"").decode()
    view = explained(shared, _project(customer.buyer), named)
    if view is None:
        raise no_such_request(named)
    return _json(view, head_lines)


def explained(shared: Shared, project: tuple[str, str], named: str) -> dict[str, object] | None:
    """Return the explanation of a project's request, as this process keeps it."""
    request = RequestId.parse(named)
    explanation = shared.explanations.find(request.number) if request.boot == shared.boot else None
    if explanation is None or _project(explanation.buyer) != project:
        return None
    return as_json(named, explanation)


def no_such_request(named: str, param: str | None = None) -> Refused:
    """Return the refusal of a request that is not known. `param` is the parameter that names it."""
    message = (
        f"There is no {named} among the latest requests of this key's project. Whoever runs the "
        f"gateway finds older ones: `clauseway usage request {named}`."
    )
    return Refused(errors.NO_SUCH_OBJECT, message, param=param)


class LatestQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for the latest requests: of a model, a status (0: any) or an operation, older than the
    request `after`. Where several workers are asked, `before_ns` is the time of that request."""

    limit: int = 20
    after: str = ""
    model: str = ""
    status: int = 0
    operation: str = ""
    before_ns: int = 0

    def wants(self, project: tuple[str, str], explanation: RequestExplanation) -> bool:
        """Return whether a request of that project is among them, whenever it was."""
        return (
            _project(explanation.buyer) == project
            and self.model in ("", explanation.model)
            and self.operation in ("", explanation.operation)
            and self.status in (0, explanation.status)
        )


def latest_query(query: bytes) -> LatestQuery:
    """Return what a query asks for. Raises Refused."""
    parameters = query_of(query, "limit", "after", "model", "status", "operation")
    return LatestQuery(
        limit=whole_number(parameters, "limit", 20, _LISTED_MAX),
        after=parameters.get("after", ""),
        model=parameters.get("model", ""),
        status=whole_number(parameters, "status", 0, 999),
        operation=parameters.get("operation", ""),
    )


def requests(
    shared: Shared, customer: Customer, _name: bytes | None, query: bytes, head_lines: bytes
) -> bytes:
    """List the latest requests of the customer's project that this process knows, the newest
    first: of a model, a status or an operation, after one of them. Raise Refused if that one is
    not known."""
    latest, project = latest_query(query), _project(customer.buyer)
    # Numbers begin anew with each start: only those of this start have an order.
    if latest.after and explained(shared, project, latest.after) is None:
        raise no_such_request(latest.after, param="after")
    after = RequestId.parse(latest.after).number if latest.after else 0
    listed: list[dict[str, object]] = []
    more = False
    for number, explanation in shared.explanations.latest():
        if (after and number >= after) or not latest.wants(project, explanation):
            continue
        if len(listed) == latest.limit:
            more = True
            break
        listed.append(as_json(str(RequestId(shared.boot, number)), explanation))
    return _json({"object": "list", "data": listed, "has_more": more}, head_lines)


def limits(
    shared: Shared, customer: Customer, _name: bytes | None, query: bytes, head_lines: bytes
) -> bytes:
    """Tell what the customer may still ask, spend and hold, as far as this process knows."""
    query_of(query)
    allowance, of_process = customer.allowance, shared.limits
    windows, slices = (
        allowance.limits_and_slices(shared.wheel.now_s) if allowance is not None else ((), ())
    )
    connections, bytes_in_flight = shared.in_flight.of(customer.label)
    view = {
        "object": "clauseway.limits",
        "limits": [
            {
                "kind": window.kind,
                "whose": window.whose,
                "cloud": window.narrowed[0],
                "product": window.narrowed[1],
                "limit": window.limit,
                "remaining": max(window.left + window.elsewhere, 0),
                "per_s": 60,
            }
            for window in windows
        ],
        "budgets": [
            {
                "whose": part.whose,
                "cloud": part.narrowed[0],
                "product": part.narrowed[1],
                "currency": "USD",
                # Nobody has asked the lease server yet: the process knows no figure.
                "amount": usd(part.amount) if part.amount >= 0 else None,
                "left": usd(max(part.left + part.elsewhere, 0)) if part.amount >= 0 else None,
            }
            for part in slices
        ],
        "connections": {"limit": of_process.connections_per_key, "open": connections},
        "bytes_in_flight": {"limit": of_process.bytes_in_flight_per_key, "held": bytes_in_flight},
    }
    return _json(view, head_lines)


def query_of(query: bytes, *names: str) -> dict[str, str]:
    """Return what a query asks for. Raises Refused for what nobody knows, or that stands twice."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in names or name in parameters:
            possible = ", ".join(names) or "none"
            message = f"{name!r} is unknown here or stands twice. Parameters: {possible}."
            raise Refused(errors.MALFORMED_QUERY, message, param=name)
        parameters[name] = value
    if "after" in parameters and not _REQUEST.fullmatch(parameters["after"]):
        message = f"after is a request's identifier, not {parameters['after']!r}."
        raise Refused(errors.MALFORMED_QUERY, message, param="after")
    return parameters


def whole_number(parameters: dict[str, str], name: str, default: int, most: int) -> int:
    """Return a number that a query asks for. Raises Refused."""
    written = parameters.get(name, str(default))
    if not (written.isascii() and written.isdecimal() and len(written) < 5):
        written = "-1"
    if not (int(written) == default or 1 <= int(written) <= most):
        message = f"{name} is a number from 1 to {most}, not {parameters[name]!r}."
        raise Refused(errors.MALFORMED_QUERY, message, param=name)
    return int(written)


def health(shared: Shared, head_lines: bytes) -> bytes:
    """Say whether usage can be recorded."""
    spool = shared.spool
    unwritable = _unwritable(shared)
    if unwritable is not None:
        return journal_failed(unwritable, head_lines)
    if spool.copy is not None and spool.copy.problem:
        return _json({"status": "ok", "journal": spool.copy.problem}, head_lines)
    if spool.shortage is not None:
        cause = "no room" if spool.shortage.errno in NO_ROOM else spool.shortage.strerror
        why = f"{cause} for the next segment of the usage journal; {spool.room_bytes:,} bytes are left in this one"
        return _json({"status": "ok", "journal": why}, head_lines)
    if shared.database_away_s:
        return _json({"status": "ok", "database": _not_reached(shared)}, head_lines)
    return response(200, b'{"status":"ok"}', head_lines)


def readiness(shared: Shared, head_lines: bytes) -> bytes:
    """Say whether requests should be sent here: a healthy gateway may have no cloud to ask, or be
    about to stop. (One that is stopping does not listen any more.)"""
    if shared.stop_announced:
        raise Refused(errors.STOPPING, "The gateway is about to stop: send requests elsewhere.")
    if _unwritable(shared) is not None:
        return health(shared, head_lines)
    if shared.is_cut_off:
        raise cut_off(shared.database_away_s)
    targets = shared.tables.targets
    if targets and all(target.write_head is None for target in targets):
        raise Refused(
            errors.NOT_READY, "No deployment has a credential at present; the log says why."
        )
    deployments = len({target.name for target in targets})
    ready: dict[str, object] = {
        "status": "ready",
        "deployments": deployments,
        "plan": shared.tables.digest,
        "agreement": shared.tables.plan.agreement[:16],
        "worker": shared.worker.number,
    }
    if shared.database_away_s:
        ready["database"] = _not_reached(shared)
    copy = shared.spool.copy
    if copy is not None:
        # The answers that come now have so many copies beside the journal itself.
        ready["copies"] = 0 if copy.problem else 1
        if copy.problem:
            ready["journal"] = copy.problem
    return _json(ready, head_lines)


def _unwritable(shared: Shared) -> OSError | None:
    """Return why no usage can be recorded now; None if it can. A disk that neither writes nor fails
    holds every answer up."""
    spool = shared.spool
    commit_s = spool.commit_s
    if commit_s >= HANGS_S:
        return OSError(errno.ETIMEDOUT, f"its disk has not answered for {duration(commit_s)}")
    return spool.failure or spool.full


def _not_reached(shared: Shared) -> str:
    """Return for how long the database has not been reached, and what follows."""
    away_s, refuses_s = shared.database_away_s, shared.limits.database_away_s
    return f"not reached for {duration(away_s)}; requests are refused from {duration(refuses_s)} on"


def _json(value: object, head_lines: bytes) -> bytes:
    return response(200, msgspec.json.encode(value), head_lines)


def _project(buyer: Buyer) -> tuple[str, str]:
    return (buyer.organisation, buyer.project)
