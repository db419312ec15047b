"""One request from journal and lake: each attempt with its end, decision, units and cost."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.metering import RequestId, Status, Unit
from clauseway.metering.endpoints import ENDPOINT_NAMES
from clauseway.storage.usage.request_rows import (
    RequestRow,
    intent_rows,
    requests_of,
    usage_rows,
)
from clauseway.values import Interval, InvalidInput

OPEN = "open"
# Requests with one id of a cloud's that a message names.
_NAMED_MAX = 5


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. `status` is `open` until an end is recorded, else as in metering.Status;
    `http_status` is 0 if the cloud sent none. `charge_picodollars` is provisional: settlement
    prices from the dated book.
    """

    attempt: int
    deployment: str
    cloud: str
    seller: str
    region: str
    model: str
    status: str
    http_status: int
    duration_us: int
    units: Mapping[str, int]
    charge_picodollars: int
    upstream_id: str
    decision: str
    outcome: str
    terms: tuple[str, ...]
    receipt: str


class OneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request. `at` is the business time whose terms and prices applied."""

    request: str
    at: datetime
    operation: str
    organisation: str
    project: str
    key_id: str
    product: str
    attempts: tuple[Attempted, ...]


def one_request(
    home: Home,
    named: str,
    days: Interval | None = None,
    on_files: Callable[[int, int], object] = lambda _done, _all: None,
) -> OneRequest:
    """Return everything recorded of a request, by its own id or by a cloud's id, which is looked
    for in usage of these days alone, where any are given. The journal is sealed first. `on_files`
    is told how many files have been looked through for a cloud's id, of how many.

    Raise InvalidInput.
    """
    # A cloud's id may look like an id of ours, so look for ours first.
    recorded = recorded_request(home, named) if is_own_id(named) else None
    recorded = recorded or _request_of_cloud(home, named, days, on_files)
    if recorded is None:
        raise InvalidInput.of(
            what=f"no request {named!r}" + (" of these days" if days else ""),
            why="neither the journal nor the lake of this home has a request with that id or with that id of a "
            "cloud; requests that never reached a cloud are known only to the gateway, while it runs",
            where=str(home.root),
            remedy=(
                "Take the id from the answer's header x-clauseway-request-id, and name the "
                "home with --home."
            ),
        )
    return recorded


def _request_of_cloud(
    home: Home, upstream_id: str, days: Interval | None, on_files: Callable[[int, int], object]
) -> OneRequest | None:
    """Return the request with a cloud's id. Raise InvalidInput if several have it."""
    # An empty id is recorded if the cloud gave none.
    if not upstream_id or not upstream_id.isprintable():
        return None
    seal(home)
    with open_lake(home) as lake:
        requests = requests_of(lake, upstream_id, days, on_files)
    if len(requests) > 1:
        raise InvalidInput.of(
            what=f"{upstream_id!r} names several requests",
            why=f"clouds gave it to {len(requests)}: {', '.join(requests[:_NAMED_MAX])}",
            where="ID",
            remedy="Name one of them.",
        )
    return recorded_request(home, requests[0]) if requests else None


def recorded_request(home: Home, request_id: str) -> OneRequest | None:
    """Return everything recorded of a request; None for no record. The journal is sealed first.

    Raise InvalidInput if it is not a request's id.
    """
    _check(request_id)
    seal(home)
    with open_lake(home) as lake:
        ends = {row["attempt"]: row for row in usage_rows(lake, request_id)}
        begun = {row["attempt"]: row for row in intent_rows(lake, request_id)}
    # An attempt without an end is still open, or its gateway stopped before it could be recorded.
    rows = [ends.get(attempt) or begun[attempt] for attempt in sorted({*ends, *begun})]
    if not rows:
        return None
    first = rows[0]
    return OneRequest(
        request=request_id,
        at=datetime.fromtimestamp(first["event_ns"] / 1e9, UTC),
        operation=ENDPOINT_NAMES.get(first["endpoint"], str(first["endpoint"])),
        organisation=first["organisation"],
        project=first["project"],
        key_id=first["key_id"],
        product=first["product"],
        attempts=tuple(_attempted(row) for row in rows),
    )


def is_own_id(named: str) -> bool:
    """Return whether a name has the form of a gateway's request id."""
    try:
        RequestId.parse(named)
    except ValueError:
        return False
    return True


def _check(request_id: str) -> None:
    if not is_own_id(request_id):
        raise InvalidInput.of(
            what=f"{request_id!r} names no request",
            why="a request's id is req_ and 32 hexadecimal digits",
            where="ID",
            remedy=(
                "Take it from the answer's header x-clauseway-request-id; by the id that a "
                "cloud gave it: clauseway usage request ID."
            ),
        )


def _attempted(row: RequestRow) -> Attempted:
    ended = "status" in row
    return Attempted(
        attempt=row["attempt"],
        deployment=row["deployment"],
        cloud=row["cloud"],
        seller=row["seller"],
        region=row["region"],
        model=row["model"],
        status=Status(row["status"]).name.lower() if ended else OPEN,
        http_status=row["http_status"] if ended else 0,
        duration_us=row["duration_us"] if ended else 0,
        units={unit.column: row[unit.column] for unit in Unit if row.get(unit.column) is not None},
        charge_picodollars=row["charge_picodollars"] if ended else 0,
        upstream_id=row["upstream_id"] or "" if ended else "",
        decision=row["decision"],
        outcome=row["outcome"],
        terms=tuple(row["terms"] or ()),
        receipt=row["receipt"],
    )
