"""The fake cloud of Anthropic's own API: `/v1/messages` and `/v1/messages/count_tokens` behind a
key (`x-api-key`) or a token, with the version that the format asks for.

Errors are Anthropic's, and so are those of Anthropic's models on other clouds, once the front end
has let a request in (`messages_answer`).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from clauseway.sandbox.clouds.fake_cloud import answer_of, ask
from clauseway.sandbox.clouds.model_server import MESSAGES, NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials
from clauseway.sandbox.surfaces.account import AccountModel, CloudAccount, UnknownModel
from clauseway.sandbox.wire import FormatRefusal, Header, HttpAnswer, Received, encode

ROOT: Final = "/v1"
# The version of the format that the vendor's client names, in the header or in the body.
VERSION: Final = "2026-10-21"
# Versions that the header may name (Anthropic's page on versions).
_VERSIONS: Final = frozenset({"2023-01-01", "2023-06-01", VERSION})
# Name → the snapshot that answers.
CLAUDE_MODELS: Final[Mapping[str, str]] = {
    "claude-opus-4-7": "claude-opus-4-7",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_LOW: Final = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
    "upgrade or purchase credits."
)
# Family → status, type, message.
_OUTAGES: Final[Mapping[str, tuple[int, str, str]]] = {
    "insufficient_quota": (400, "invalid_request_error", _LOW),
    "credit_balance_exhausted": (400, "invalid_request_error", _LOW),
    "organization_spend_limit_exceeded": (400, "invalid_request_error", _LOW),
    "server_is_overloaded": (529, "overloaded_error", "Overloaded"),
}


def claude_account(names: Mapping[str, str]) -> CloudAccount:
    return CloudAccount(
        {name: AccountModel("messages", snapshot) for name, snapshot in names.items()}
    )


class AnthropicDirect:
    """Anthropic's API with one account."""

    def __init__(self) -> None:
        self._account = claude_account(CLAUDE_MODELS)

    def endpoint(self, path: str) -> str:
        return path.removeprefix(ROOT) if path.startswith(f"{ROOT}/") else ""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of Anthropic."""
        if credentials.ANTHROPIC_API_KEY not in (received.header(b"x-api-key"), received.bearer):
            return error_answer(received, 401, "invalid x-api-key")
        return versioned_answer(self._account, received, self.endpoint(received.path))

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in Anthropic's words."""
        if outage.family in _OUTAGES:
            return _error(received, *_OUTAGES[outage.family])
        return error_answer(received, outage.status, "The API is not available for now.")


def versioned_answer(account: CloudAccount, received: Received, path: str) -> HttpAnswer:
    """Return the answer of Anthropic's models to a request whose header names a version of the
    format; refuse it if it names none that there is."""
    # A header that is sent twice counts as one with both values (RFC 9110, 5.2).
    version = ", ".join(received.header_values(b"anthropic-version"))
    if version in _VERSIONS:
        return messages_answer(account, received, path)
    message = f'"{version}" is not a valid version' if version else "header is required"
    return error_answer(received, 400, f"anthropic-version: {message}")


def version_mistake(body: Mapping[str, msgspec.Raw], of_cloud: str) -> str:
    """Return the problem with the version of the format that a body names on a cloud, which may be
    the cloud's own; empty if there is none."""
    if "anthropic_version" not in body:
        return "anthropic_version: Field required"
    version = str(msgspec.json.decode(body["anthropic_version"]))
    return "" if version in (of_cloud, VERSION) else f"Invalid API version: {version}"


def messages_answer(
    account: CloudAccount, received: Received, path: str, model: str = ""
) -> HttpAnswer:
    """Return the answer of Anthropic's models to an authenticated request."""
    try:
        reply = ask(account, received, path, MESSAGES, model)
    except FormatRefusal as refused:
        return error_answer(received, refused.status, refused.message)
    except UnknownModel as unknown:
        return error_answer(received, 404, f"model: {unknown.model}")
    except NoEndpoint as nowhere:
        if nowhere.methods:
            return error_answer(received, 405, "Method Not Allowed")
        return error_answer(received, 404, "Not Found")
    return answer_of(reply, _headers(received), encode)


def error_answer(received: Received, status: int, message: str) -> HttpAnswer:
    return _error(received, status, _TYPES.get(status, "api_error"), message)


def _error(received: Received, status: int, kind: str, message: str) -> HttpAnswer:
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": f"req_{received.serial[8:]}",
    }
    headers = ((b"content-type", b"application/json"), *_headers(received))
    return HttpAnswer(status=status, headers=headers, body=msgspec.json.encode(body))


def _headers(received: Received) -> tuple[Header, ...]:
    return (
        (b"request-id", b"req_" + received.serial[8:].encode()),
        (b"anthropic-organization-id", b"5a9db0c5-0000-4000-8000-000000000009"),
        (b"anthropic-ratelimit-requests-limit", b"4000"),
        (b"anthropic-ratelimit-requests-remaining", b"3999"),
    )
