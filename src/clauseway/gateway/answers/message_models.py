"""`/v1/models` in the shape that Anthropic's clients read: for requests that name a version of that
API.

Listed is what they can ask for, models with a deployment that speaks Messages, in the plan's order.
No release day is known here, so `created_at` is 1 January 1970: what Anthropic's own API says of
such a model.
"""

from typing import Final

import msgspec

from clauseway.gateway.answers.information import query_of, whole_number
from clauseway.gateway.request.selection import refuse_model
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import DeploymentChoice
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.wire.errors import response
from clauseway.gateway.wire.operations import BY_NAME, unquoted

# Anthropic's page size: the default and the maximum.
_LISTED, _LISTED_MAX = 20, 1000
_UNKNOWN_DAY: Final = "1970-01-01T00:00:00Z"
_MESSAGES: Final = BY_NAME["messages"].name


def message_models(
    shared: Shared, customer: Customer, name: bytes | None, query: bytes, head_lines: bytes
) -> bytes:
    """List the models that are served to a customer as messages, or look one name up: that of a
    retired model, which is not listed, too."""
    if name is not None:
        model = _looked_up(shared, customer, unquoted(name))
        return response(200, msgspec.json.encode(model), head_lines)
    tables, now_ns = shared.tables, shared.clock()
    served = {
        model: target
        for model in tables.models(now_ns, customer)
        if (target := _speaking_messages(tables.served(now_ns, customer, model))) is not None
    }
    parameters = query_of(query, "limit", "after_id", "before_id", "beta")
    limit = whole_number(parameters, "limit", _LISTED, _LISTED_MAX)
    # `before_id` asks for the page that ends just before it: the last names, not the first.
    names = _between(list(served), parameters.get("after_id", ""), parameters.get("before_id", ""))
    page = names[-limit:] if "before_id" in parameters else names[:limit]
    listed = {
        "data": [_model(model, served[model]) for model in page],
        "has_more": len(names) > limit,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
    return response(200, msgspec.json.encode(listed), head_lines)


def _looked_up(shared: Shared, customer: Customer, name: str) -> dict[str, object]:
    """Return the model of a name. Raises Refused if it is not served as messages."""
    tables, now_ns = shared.tables, shared.clock()
    choice = tables.served(now_ns, customer, name)
    target = _speaking_messages(choice)
    if choice is None or target is None:
        refuse_model(tables, now_ns, customer, name)
    # The vendor's word for a model that still answers, past its day too.
    return _model(name, target, "deprecated" if choice.retired else "active")


def _speaking_messages(choice: DeploymentChoice | None) -> CallTarget | None:
    targets = [candidate.target for candidate in choice.candidates] if choice is not None else []
    return next((target for target in targets if _MESSAGES not in target.lacks), None)


def _between(names: list[str], after: str, before: str) -> list[str]:
    """Return the names of a page's neighbourhood; a name that is not there bounds nothing."""
    if after in names:
        names = names[names.index(after) + 1 :]
    return names[: names.index(before)] if before in names else names


def _model(name: str, target: CallTarget, lifecycle: str = "active") -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _UNKNOWN_DAY,
        "lifecycle": lifecycle,
        "max_input_tokens": target.target.context_tokens_max or None,
        "max_tokens": target.output_tokens_max or None,
        "capabilities": None,
        "line": None,
        "deprecated_at": None,
        "retires_at": None,
    }
