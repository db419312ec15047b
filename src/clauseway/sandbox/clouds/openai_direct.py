"""The fake cloud of OpenAI's own API: every endpoint of the model server under `/v1`, with a bearer
key.

Messages, field order, indentation and headers follow recorded answers. The real API refuses
`max_tokens` for this family and asks for `max_completion_tokens`; the fake cloud takes either, so
that any client can be tried on it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from clauseway.sandbox.clouds.fake_cloud import answer_of, ask
from clauseway.sandbox.clouds.model_server import ALL, NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials
from clauseway.sandbox.surfaces.account import OPENAI_MODELS, ChatStyle, CloudAccount, UnknownModel
from clauseway.sandbox.wire import (
    FormatRefusal,
    Header,
    HttpAnswer,
    Received,
    encode,
    encode_indented,
)

ROOT: Final = "/v1"
_LIMIT_TOKENS: Final = 40_000_000

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization "
    "header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if "
    "you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key "
    "from "
    "https://platform.openai.com/account/api-keys."
)
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
# Family or status → message, type, code.
_RATE: Final = (
    "Rate limit reached for requests. Please try again later.",
    "requests",
    "rate_limit_exceeded",
)
_OVERLOADED: Final = (
    "The server is currently overloaded with other requests. Sorry about that!",
    "server_error",
    "server_is_overloaded",
)
_OUTAGES: Final[Mapping[str | int, tuple[str, str, str]]] = {
    429: _RATE,
    503: _OVERLOADED,
    "rate_limit_exceeded": _RATE,
    "server_is_overloaded": _OVERLOADED,
    "insufficient_quota": (_QUOTA, "insufficient_quota", "insufficient_quota"),
    "credit_balance_exhausted": (
        "Your credit balance is exhausted. Please add credits to continue.",
        "insufficient_quota",
        "credit_balance_exhausted",
    ),
    "organization_spend_limit_exceeded": (
        "Your organization has reached its monthly spend limit.",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
    ),
    "slow_down": (
        "Slow down: your request rate has grown too quickly. Please reduce it to its former "
        "level, hold it there for "
        "at least 15 minutes, and then increase it gradually.",
        "slow_down",
        "slow_down",
    ),
    "expired_token": (
        "Your authentication token has expired. Please try signing in again.",
        "invalid_request_error",
        "token_expired",
    ),
}
_UNNAMED: Final = (
    "The server had an error while processing your request. Sorry about that!",
    "server_error",
    "",
)


class OpenAIDirect:
    """OpenAI's API with one account."""

    def __init__(self) -> None:
        tail = {"service_tier": "default", "system_fingerprint": None}
        self._account = CloudAccount(OPENAI_MODELS, ChatStyle(tail=tail))

    def endpoint(self, path: str) -> str:
        return path.removeprefix(ROOT) if path.startswith(f"{ROOT}/") else ""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of OpenAI."""
        if (denied := _authenticate(received)) is not None:
            return denied
        try:
            reply = ask(self._account, received, self.endpoint(received.path), ALL)
        except FormatRefusal as refused:
            return _json(received, refused.status, refused.body)
        except UnknownModel as unknown:
            message = f"The model `{unknown.model}` does not exist or you do not have access to it."
            return _refused_early(received, 404, message, code="model_not_found")
        except NoEndpoint as nowhere:
            return _nowhere(received, nowhere)
        return answer_of(reply, _headers(received, reply.tokens[0]), encode_indented)

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in OpenAI's words: a status without words of its own is a plain
        server error."""
        message, kind, code = _OUTAGES.get(outage.family) or _OUTAGES.get(outage.status, _UNNAMED)
        return _json(received, outage.status, _error(message, kind, code))


def _nowhere(received: Received, nowhere: NoEndpoint) -> HttpAnswer:
    if nowhere.methods:
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        message = f"Not allowed to {received.method} on {received.path}. {hint}"
        return _refused_early(received, 405, message, code="method_not_supported")
    return _refused_early(received, 404, f"Invalid URL ({received.method} {received.path})")


def _authenticate(received: Received) -> HttpAnswer | None:
    given = received.header(b"authorization")
    if given == f"Bearer {credentials.OPENAI_API_KEY}":
        return None
    key = given.removeprefix("Bearer ")
    if not given.startswith("Bearer ") or not key:
        return _refused_early(received, 401, _NO_KEY)
    shown = key if len(key) < 8 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
    message = (
        f"Incorrect API key provided: {shown}. You can find your API key at "
        f"https://platform.openai.com/account/api-keys."
    )
    return _refused_early(received, 401, message, code="invalid_api_key")


def _error(message: str, kind: str, code: str) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


def _refused_early(received: Received, status: int, message: str, code: str = "") -> HttpAnswer:
    """Return an error raised before the model is reached: four spaces, a last newline, and none
    of the model's headers."""
    body = (
        msgspec.json.format(encode(_error(message, "invalid_request_error", code)), indent=4)
        + b"\n"
    )
    headers = ((b"content-type", b"application/json; charset=utf-8"), *_plain_headers(received))
    return HttpAnswer(status=status, headers=headers, body=body)


def _json(received: Received, status: int, body: object) -> HttpAnswer:
    headers = ((b"content-type", b"application/json"), *_headers(received, 0))
    return HttpAnswer(status=status, headers=headers, body=encode_indented(body))


def _plain_headers(received: Received) -> tuple[Header, ...]:
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", b"req_" + received.serial.encode()),
    )


def _headers(received: Received, tokens: int) -> tuple[Header, ...]:
    return (
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
