"""Reading a request's parameters, with refusals in the words of OpenAI's API.

Every function raises `FormatRefusal` for what the real API would refuse.
"""

from typing import Any
from urllib.parse import parse_qs

import msgspec

from clauseway.sandbox.wire import FormatRefusal, Reply

_JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
}
_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
    "using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. "
    "If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the body as a JSON object."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise FormatRefusal(400, _NOT_JSON) from None
    if not isinstance(request, dict):
        raise FormatRefusal(400, _NOT_JSON)
    return request


def model_of(request: dict[str, Any], named: str = "") -> str:
    """Return the model asked for; `named` where the path names it."""
    model = named or request.get("model")
    if not model:
        raise FormatRefusal(400, "you must provide a model parameter")
    expect(model, str, "model", "a string")
    return str(model)


def required(request: dict[str, Any], name: str) -> Any:
    """Return a parameter that must be given."""
    if (value := request.get(name)) is None:
        raise missing(name)
    return value


def missing(name: str) -> FormatRefusal:
    return FormatRefusal(
        400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def flag(fields: dict[str, Any], name: str, at: str = "") -> bool:
    value = fields.get(name)
    if value is not None:
        expect(value, bool, at or name, "a boolean")
    return bool(value)


def section(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a parameter that is an object; an empty one where it is not given."""
    value = fields.get(name)
    if value is None:
        return {}
    expect(value, dict, name, "an object")
    return dict(value)


def objects(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a parameter that is a list of objects; an empty one where it is not given."""
    value = fields.get(name)
    if value is None:
        return []
    expect(value, list, name, "an array of objects")
    for index, item in enumerate(value):
        expect(item, dict, f"{name}[{index}]", "an object")
    return list(value)


def web_searches(tools: list[dict[str, Any]]) -> int:
    """Return how often the web is searched: once by each tool that may."""
    return sum(str(tool.get("type")).startswith("web_search") for tool in tools)


def images_drawn(tools: list[dict[str, Any]]) -> int:
    """Return how many images are drawn: one by each tool that may."""
    return sum(str(tool.get("type")).startswith("image_generation") for tool in tools)


def integer(fields: dict[str, Any], name: str, least: int) -> int | None:
    """Return an integer of at least `least`, or None where it is not given."""
    value = fields.get(name)
    if value is None:
        return None
    if type(value) is not int:
        refuse_type(value, name, "an integer")
    if value < least:
        raise FormatRefusal(
            400,
            f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but "
            f"got {value} instead.",
            param=name,
            code="integer_below_min_value",
        )
    return int(value)


def choice(fields: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """Return one of the allowed values; the first where it is not given."""
    value = fields.get(name)
    if value is None:
        return allowed[0]
    if value not in allowed:
        supported = ", ".join(f"'{option}'" for option in allowed[:-1])
        listed = f"{supported}, and '{allowed[-1]}'" if supported else f"'{allowed[-1]}'"
        raise FormatRefusal(
            400,
            f"Invalid value: '{value}'. Supported values are: {listed}.",
            param=name,
            code="invalid_value",
        )
    return str(value)


def expect(value: object, kind: type, at: str, wanted: str) -> None:
    if not isinstance(value, kind):
        refuse_type(value, at, wanted)


def refuse_type(value: object, at: str, wanted: str) -> None:
    got = _JSON_TYPES.get(type(value), "null")
    raise FormatRefusal(
        400,
        f"Invalid type for '{at}': expected {wanted}, but got {got} instead.",
        param=at,
        code="invalid_type",
    )


def query_of(text: str) -> dict[str, str]:
    """Return the last value of each parameter of a query string."""
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def new_metadata(body: bytes) -> object:
    """Return the metadata that a request puts in place of an object's."""
    request = read_object(body)
    if "metadata" not in request:
        raise missing("metadata")
    return request["metadata"] or {}


def list_page(items: list[dict[str, Any]], query: str, limit: int = 20) -> Reply:
    """Return the part of a list that `after` and `limit` ask for; `limit` is the usual one."""
    asked = query_of(query)
    ids = [item["id"] for item in items]
    begin = ids.index(asked["after"]) + 1 if asked.get("after") in ids else 0
    if asked.get("limit", "").isdecimal():
        limit = int(asked["limit"])
    chosen = items[begin : begin + limit]
    return Reply(
        value={
            "object": "list",
            "data": chosen,
            "first_id": chosen[0]["id"] if chosen else None,
            "last_id": chosen[-1]["id"] if chosen else None,
            "has_more": begin + limit < len(items),
        }
    )
