"""A project's own usage by day and model: asked of the home, which holds the journals and the lake
of all gateways. No database is on the way of a request here."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Final

import msgspec

from clauseway.gateway.answers.information import own_lifecycle, query_of
from clauseway.gateway.plan import USAGE_PATIENCE_S, UsageQuestion
from clauseway.gateway.request.lifecycle import Lifecycle, PreparedRequest, RequestClient
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.transport.home_socket import ask
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.operations import OWN_USAGE
from clauseway.values import day_of

PATH: Final = b"/clauseway/v1/usage"
_DAYS: Final = 30
_DAYS_MAX: Final = 366
_AGAIN: Final = b"retry-after: 2\r\n"


async def _ask_home(
    socket: str, question: UsageQuestion, _is_over: Callable[[], bool]
) -> PreparedRequest | None:
    """Return the home's answer. Raise Refused."""
    try:
        status, answer = await ask(
            socket, "/usage", msgspec.json.encode(question), USAGE_PATIENCE_S
        )
    except OSError:
        status, answer = 0, b""
    if status != 200:
        message = "The process that holds the usage of this home does not answer in time."
        raise Refused(errors.USAGE_UNKNOWN, message, headers=_AGAIN)
    return PreparedRequest(body=answer)


def usage_lifecycle(
    client: RequestClient, shared: Shared, customer: Customer, query: bytes
) -> Lifecycle:
    """Return the lifecycle of a request for usage. Raise Refused if the request is invalid."""
    socket = shared.tables.plan.usage
    if not socket:
        message = "This gateway stands by itself: no home holds its usage."
        raise Refused(errors.NOT_IMPLEMENTED, message)
    question = _question(customer, query, day_of(shared.clock()))
    asking = partial(_ask_home, socket, question)
    return own_lifecycle(client, shared, customer, OWN_USAGE, query, asking)


def _question(customer: Customer, query: bytes, today: date) -> UsageQuestion:
    """Return the days asked for, by default the last thirty. Raise Refused."""
    parameters = query_of(query, "from", "until")
    last = _day(parameters, "until") or today
    first = _day(parameters, "from") or _first_of(last)
    if not 0 <= (last - first).days < _DAYS_MAX:
        message = f"from {first} until {last} is not from 1 to {_DAYS_MAX} days."
        raise Refused(errors.MALFORMED_QUERY, message, param="from")
    buyer = customer.buyer
    return UsageQuestion(
        organisation=buyer.organisation, project=buyer.project, first=first, last=last
    )


def _first_of(last: date) -> date:
    """Return the first of the thirty days until `last`. Raise Refused."""
    try:
        return last - timedelta(_DAYS - 1)
    except OverflowError:
        message = f"There are no {_DAYS} days until {last}: name the first of them with from."
        raise Refused(errors.MALFORMED_QUERY, message, param="until") from None


def _day(parameters: dict[str, str], name: str) -> date | None:
    """Return the day that a query names; None if it names none. Raise Refused."""
    written = parameters.get(name)
    try:
        return date.fromisoformat(written) if written is not None else None
    except ValueError:
        message = f"{name} is a day such as 2026-05-31, not {written!r}."
        raise Refused(errors.MALFORMED_QUERY, message, param=name) from None
