"""Answers that need no cloud: models, explanations of requests, health and readiness.

Each function returns a whole HTTP answer or raises `Refused`.
"""

import msgspec

from clauseway.gateway.request.explanations import as_json
from clauseway.gateway.request.refusals import Refused, journal_failed
from clauseway.gateway.request.selection import refuse_model
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.tables import Customer
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.errors import response
from clauseway.metering import Buyer, RequestId


def models(shared: Shared, customer: Customer, name: bytes | None, head_lines: bytes) -> bytes:
    """List the models that are served to a customer, or one of them."""
    names = shared.tables.models(shared.clock(), customer)
    if name is None:
        listed = [_model(served, customer) for served in names]
        return _json({"object": "list", "data": listed}, head_lines)
    text = name.decode(errors="replace")
    if text not in names:
        refuse_model(text)
    return _json(_model(text, customer), head_lines)


def _model(name: str, customer: Customer) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": customer.buyer.seller}


def explain(
    shared: Shared, customer: Customer, identifier: bytes | None, head_lines: bytes
) -> bytes:
    """Say why one of the latest requests of the customer's project went where it went."""
    named = (identifier or b"").decode()
    request = RequestId.parse(named)
    explanation = shared.explanations.find(request.number) if request.boot == shared.boot else None
    if explanation is not None and _project(explanation.buyer) == _project(customer.buyer):
        return response(200, as_json(named, explanation), head_lines)
    message = (
        f"There is no {named} of this key's project among the latest requests of this process; "
        f"`clauseway usage request {named}` reads older ones from the journal and the lake."
    )
    raise Refused(errors.NO_SUCH_OBJECT, message)


def health(shared: Shared, head_lines: bytes) -> bytes:
    """Say whether usage can be recorded."""
    spool = shared.spool
    unwritable = spool.failure or spool.full
    if unwritable is not None:
        return journal_failed(unwritable, head_lines)
    if spool.shortage is not None:
        why = f"no room for the next segment of the usage journal; {spool.room_bytes:,} bytes are left in this one"
        return _json({"status": "ok", "journal": why}, head_lines)
    return response(200, b'{"status":"ok"}', head_lines)


def readiness(shared: Shared, head_lines: bytes) -> bytes:
    """Say whether requests should be sent here: a healthy gateway may have no cloud to ask. (One
    that is stopping does not listen any more.)"""
    if shared.spool.failure is not None or shared.spool.full is not None:
        return health(shared, head_lines)
    targets = shared.tables.targets
    if targets and all(target.prepare is None for target in targets):
        raise Refused(
            errors.NOT_READY, "No deployment has a credential at present; the log says why."
        )
    return _json(
        {"status": "ready", "deployments": len({target.name for target in targets})}, head_lines
    )


def _json(value: object, head_lines: bytes) -> bytes:
    return response(200, msgspec.json.encode(value), head_lines)


def _project(buyer: Buyer) -> tuple[str, str]:
    return (buyer.organisation, buyer.project)
