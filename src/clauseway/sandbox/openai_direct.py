"""The twin of OpenAI's own API: `POST /v1/chat/completions` and `GET /v1/models` with a bearer key.

Messages, field order, indentation and headers follow recorded answers. The real API refuses `max_tokens` for this
family and asks for `max_completion_tokens`; the twin takes either, so that any client can be tried on it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from clauseway.sandbox import chat, credentials
from clauseway.sandbox.wire import Answer, Header, Received, Refused

CHAT_PATHS: Final = frozenset({"/v1/chat/completions"})
# The name asked for and the dated snapshot that answers.
MODELS: Final[Mapping[str, str]] = {"gpt-5.5": "gpt-5.5-2026-04-23", "gpt-5.4": "gpt-5.4-2026-03-05"}
_CREATED = 1_767_225_600
_LIMIT_TOKENS = 40_000_000

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_FAULTS: Mapping[int, tuple[str, str, str]] = {
    429: ("Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"),
    503: (
        "The server is currently overloaded with other requests. Sorry about that!",
        "server_error",
        "server_is_overloaded",
    ),
}


def answer(received: Received) -> Answer:
    """What OpenAI would answer."""
    if (denied := _authenticate(received)) is not None:
        return denied
    route = (received.method, received.path)
    if received.path in CHAT_PATHS and received.method == "POST":
        return _chat(received)
    if route == ("GET", "/v1/models"):
        return _json(received, 200, {"object": "list", "data": [_model(name) for name in MODELS]})
    if received.method == "GET" and received.path.removeprefix("/v1/models/") in MODELS:
        return _json(received, 200, _model(received.path.removeprefix("/v1/models/")))
    if received.path in CHAT_PATHS or received.path == "/v1/models":
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        message = f"Not allowed to {received.method} on {received.path}. {hint}"
        return _front_door(received, 405, message, code="method_not_supported")
    return _front_door(received, 404, f"Invalid URL ({received.method} {received.path})")


def fault(received: Received, status: int) -> Answer:
    """An outage in OpenAI's words: 429 and 503 have their codes, every other status is a plain server error."""
    unnamed = ("The server had an error while processing your request. Sorry about that!", "server_error", "")
    message, kind, code = _FAULTS.get(status, unnamed)
    return _json(received, status, _error(message, kind, "", code))


def _authenticate(received: Received) -> Answer | None:
    given = received.header(b"authorization")
    if given == f"Bearer {credentials.OPENAI_API_KEY}":
        return None
    key = given.removeprefix("Bearer ")
    if not given.startswith("Bearer ") or not key:
        return _front_door(received, 401, _NO_KEY)
    shown = key if len(key) < 8 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
    message = f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
    return _front_door(received, 401, message, code="invalid_api_key")


def _chat(received: Received) -> Answer:
    try:
        request = chat.read_request(received.body)
    except Refused as refused:
        return _json(
            received,
            refused.status,
            _error(refused.message, "invalid_request_error", refused.param, refused.code),
        )
    snapshot = MODELS.get(request.model)
    if snapshot is None:
        message = f"The model `{request.model}` does not exist or you do not have access to it."
        return _front_door(received, 404, message, code="model_not_found")
    generation = request.generation
    head: dict[str, object] = {
        "id": chat.completion_id(received),
        "object": "chat.completion.chunk" if request.streamed else "chat.completion",
        "created": int(received.now_s),
        "model": snapshot,
    }
    tail: dict[str, object] = {"service_tier": "default", "system_fingerprint": None}
    if request.streamed:
        return Answer(
            status=200,
            headers=_headers(received, b"text/event-stream; charset=utf-8", generation.prompt_tokens),
            events=tuple(chat.stream_events(request, {**head, **tail}, {})),
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
        )
    choice = {"index": 0, "message": chat.message_of(generation), "finish_reason": generation.finish_reason}
    return Answer(
        status=200,
        headers=_headers(received, b"application/json", generation.prompt_tokens),
        body=_indented({**head, "choices": [choice], "usage": chat.usage_of(generation), **tail}),
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
    )


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}


def _error(message: str, kind: str, param: str, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code or None}}


def _front_door(received: Received, status: int, message: str, code: str = "") -> Answer:
    """Errors raised before the model is reached: four spaces, a last newline, and none of the model's headers."""
    body = msgspec.json.format(chat.encode(_error(message, "invalid_request_error", "", code)), indent=4) + b"\n"
    headers = ((b"content-type", b"application/json; charset=utf-8"), *_plain_headers(received))
    return Answer(status=status, headers=headers, body=body)


def _json(received: Received, status: int, body: object) -> Answer:
    return Answer(status=status, headers=_headers(received, b"application/json", 0), body=_indented(body))


def _indented(body: object) -> bytes:
    return msgspec.json.format(chat.encode(body), indent=2)


def _plain_headers(received: Received) -> tuple[Header, ...]:
    return ((b"x-content-type-options", b"nosniff"), (b"x-request-id", b"req_" + received.serial.encode()))


def _headers(received: Received, content_type: bytes, tokens: int) -> tuple[Header, ...]:
    return (
        (b"content-type", content_type),
        (b"access-control-expose-headers", b"X-Request-ID"),
        (b"openai-organization", b"sandbox"),
        (b"openai-processing-ms", b"1"),
        (b"openai-version", b"2020-10-01"),
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-limit-tokens", b"%d" % _LIMIT_TOKENS),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-remaining-tokens", b"%d" % max(0, _LIMIT_TOKENS - tokens)),
        (b"x-ratelimit-reset-requests", b"6ms"),
        (b"x-ratelimit-reset-tokens", b"%dms" % (tokens * 60_000 // _LIMIT_TOKENS)),
        *_plain_headers(received),
    )
