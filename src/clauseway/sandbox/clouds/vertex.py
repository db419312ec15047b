"""The fake cloud of Google Vertex AI for OpenAI's models, with Google's OAuth token endpoint.

`/v1/projects/{project}/locations/{location}/publishers/openai/v1/responses` serves Responses and
nothing else; `…/endpoints/openapi/chat/completions` serves the open-weight models under their Model
Garden names. Authentication is an OAuth bearer token of the scope `cloud-platform`; `POST /token`
hands one out for a service account's assertion (RFC 7523), whose RS256 signature, issuer, audience,
scope and times are checked. The headers `OpenAI-Project` and `OpenAI-Organization` are refused.
Errors are Google's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clauseway.sandbox.clouds.anthropic_direct import (
    CLAUDE_MODELS,
    claude_account,
    error_answer,
    messages_answer,
    version_mistake,
)
from clauseway.sandbox.clouds.fake_cloud import answer_of, ask
from clauseway.sandbox.clouds.model_server import NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials, tokens
from clauseway.sandbox.surfaces.account import TEXT_MODELS, AccountModel, CloudAccount, UnknownModel
from clauseway.sandbox.surfaces.parameters import query_of
from clauseway.sandbox.wire import FormatRefusal, Header, HttpAnswer, Received, encode

PUBLISHED: Final[Mapping[str, str]] = TEXT_MODELS
OPEN_MODELS: Final = ("openai/gpt-oss-120b-maas", "openai/gpt-oss-20b-maas")
# The audience of an assertion is Google's, wherever it is sent.
_AUDIENCE: Final = "https://oauth2.googleapis.com/token"
# RFC 7523, 2.1.
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# As Google states it in `expires_in`.
_TOKEN_LIFE_S: Final = 3_599
_ASSERTION_LIFE_S_MAX: Final = 3_600
_SKEW_S_MAX: Final = 300
_PLACE: Final = re.compile(
    r"/v1/projects/([\w.:-]+)/locations/([a-z0-9-]+)/(publishers/openai/v1|endpoints/openapi)(/.+)"
)
# Anthropic's models, in their own format: the model and how it is asked in the path.
_PREDICTED: Final = re.compile(
    r"/v1/projects/([\w.:-]+)/locations/([a-z0-9-]+)/publishers/anthropic/models/"
    r"([^/:]+):(rawPredict|streamRawPredict)"
)
_COUNT_TOKENS: Final = "count-tokens"
# The version of Anthropic's format that a body names.
_MESSAGES_VERSION: Final = "vertex-2023-10-16"
# Google's canonical codes (`google.rpc.Code`) of HTTP's statuses.
_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_NO_CREDENTIAL: Final = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, "
    "login cookie or other valid "
    "authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_BAD_CREDENTIAL: Final = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
    "cookie or other valid "
    "authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_QUOTA: Final = (
    "Quota exceeded for "
    "aiplatform.googleapis.com/global_online_prediction_requests_per_base_model with base model: "
    "gpt. Please submit a quota increase request."
)
# Family or status → message.
_OUTAGES: Final[Mapping[str | int, str]] = {
    401: _BAD_CREDENTIAL,
    429: "Resource exhausted. Please try again later.",
    503: "The service is currently unavailable.",
    "insufficient_quota": _QUOTA,
    "credit_balance_exhausted": _QUOTA,
    "organization_spend_limit_exceeded": _QUOTA,
}
_UNNAMED: Final = "Internal error encountered."


class VertexAI:
    """One Google project."""

    def __init__(self) -> None:
        self._published = CloudAccount(
            {name: AccountModel("text", snapshot) for name, snapshot in PUBLISHED.items()}
        )
        self._open = CloudAccount({name: AccountModel("text", name) for name in OPEN_MODELS})
        self._claude = claude_account(CLAUDE_MODELS)

    def endpoint(self, path: str) -> str:
        predicted = _PREDICTED.fullmatch(path)
        if predicted:
            return "/messages/count_tokens" if predicted[3] == _COUNT_TOKENS else "/messages"
        place = _PLACE.fullmatch(path)
        return place[4] if place else ""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of Vertex AI, or of Google's token endpoint."""
        if received.path == "/token":
            return _grant(received)
        if predicted := _PREDICTED.fullmatch(received.path):
            return self._predict(received, *predicted.groups())
        place = _PLACE.fullmatch(received.path)
        if place is None:
            message = f"The requested URL {received.path} was not found on this server."
            return _error(received, 404, message)
        project, location, root, path = place.groups()
        denied = _authenticate(received) or _authorize(received, project, location)
        if denied is not None:
            return denied
        # Google refuses headers of OpenAI's.
        for name in (b"openai-project", b"openai-organization"):
            if received.header(name):
                return _error(received, 400, f"Request header '{name.decode()}' is not supported.")
        # Published and open models have different endpoints.
        published = root.startswith("publishers")
        account = self._published if published else self._open
        try:
            reply = ask(
                account, received, path, {"/responses"} if published else {"/chat/completions"}
            )
        except FormatRefusal as refused:
            return _json(received, refused.status, refused.body)
        except UnknownModel as unknown:
            at = f"projects/{project}/locations/{location}/publishers/openai/models/{unknown.model}"
            return _unpublished(received, at)
        except NoEndpoint:
            return _error(received, 404, "Method not found.")
        return answer_of(reply, _headers(received), encode)

    def _predict(
        self, received: Received, project: str, location: str, model: str, how: str
    ) -> HttpAnswer:
        """Return the answer of one of Anthropic's models."""
        denied = _authenticate(received) or _authorize(received, project, location)
        if denied is not None:
            return denied
        if model != _COUNT_TOKENS and model not in self._claude.models:
            at = f"projects/{project}/locations/{location}/publishers/anthropic/models/{model}"
            return _unpublished(received, at)
        try:
            request = msgspec.json.decode(received.body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            return _error(received, 400, "Invalid JSON payload received.")
        if mistake := version_mistake(request, _MESSAGES_VERSION):
            return error_answer(received, 400, mistake)
        # Counting names no model in the path: the body does.
        if model == _COUNT_TOKENS:
            return messages_answer(self._claude, received, "/messages/count_tokens")
        streamed = bytes(request.get("stream", msgspec.Raw(b"false"))) == b"true"
        # The path's last part says how it is answered, and the body may not say otherwise.
        if "model" in request or streamed != (how == "streamRawPredict"):
            return error_answer(received, 400, "model: Extra inputs are not permitted")
        return messages_answer(self._claude, received, "/messages", model)

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in Google's words."""
        message = _OUTAGES.get(outage.family) or _OUTAGES.get(outage.status, _UNNAMED)
        reason = "ACCESS_TOKEN_EXPIRED" if outage.family == "expired_token" else ""
        return _error(received, outage.status, message, reason=reason)


def _authenticate(received: Received) -> HttpAnswer | None:
    scheme, _, token = received.header(b"authorization").partition(" ")
    if not token:
        return _error(received, 401, _NO_CREDENTIAL, reason="CREDENTIALS_MISSING")
    claims = None
    if scheme == "Bearer" and token.startswith("ya29."):
        claims = tokens.read_token(token.removeprefix("ya29."), credentials.ISSUER_KEY.public)
    if claims is None:
        return _error(received, 401, _BAD_CREDENTIAL, reason="ACCESS_TOKEN_TYPE_UNSUPPORTED")
    if received.now_s >= claims["exp"]:
        return _error(received, 401, _BAD_CREDENTIAL, reason="ACCESS_TOKEN_EXPIRED")
    if credentials.GOOGLE_SCOPE not in claims.get("scope", "").split():
        message = "Request had insufficient authentication scopes."
        return _error(received, 403, message, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    return None


def _authorize(received: Received, project: str, location: str) -> HttpAnswer | None:
    """Return the refusal of a project that is not the caller's."""
    if project == credentials.GOOGLE_PROJECT:
        return None
    at = f"//aiplatform.googleapis.com/projects/{project}/locations/{location}"
    message = f"Permission 'aiplatform.endpoints.predict' denied on resource '{at}' (or it may not exist)."
    return _error(received, 403, message, reason="IAM_PERMISSION_DENIED")


def _grant(received: Received) -> HttpAnswer:
    """Return an access token for a service account's assertion."""
    form = query_of(received.body.decode("latin-1"))
    if received.method != "POST" or form.get("grant_type") != _GRANT:
        message = f"Invalid grant_type: {form.get('grant_type', '')}"
        return _json(
            received, 400, {"error": "unsupported_grant_type", "error_description": message}
        )
    claims = tokens.read_token(form.get("assertion", ""), credentials.DEMONSTRATION_KEY.public)
    mistake = "Invalid JWT Signature." if claims is None else _mistake(claims, received.now_s)
    if claims is None or mistake:
        return _json(received, 400, {"error": "invalid_grant", "error_description": mistake})
    token = credentials.google_token(int(received.now_s) + _TOKEN_LIFE_S, str(claims["scope"]))
    grant = {"access_token": token, "expires_in": _TOKEN_LIFE_S, "token_type": "Bearer"}
    return _json(received, 200, grant)


def _mistake(claims: Mapping[str, Any], now_s: float) -> str:
    """Return the problem with a signed assertion, in Google's words; empty for a valid one."""
    if claims.get("iss") != credentials.GOOGLE_CLIENT_EMAIL:
        return "Invalid grant: account not found"
    if claims.get("aud") != _AUDIENCE:
        return "Invalid JWT: Failed audience check."
    # RFC 7519: `iat` and `exp` are numbers; anything else counts as long ago.
    issued, expires = (
        at if isinstance(at := claims.get(name), int | float) else 0 for name in ("iat", "exp")
    )
    if not (issued - _SKEW_S_MAX <= now_s < expires and expires - issued <= _ASSERTION_LIFE_S_MAX):
        return (
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat "
            "and exp values in the JWT claim."
        )
    scope = claims.get("scope")
    return (
        ""
        if scope and isinstance(scope, str)
        else "Invalid OAuth scope or ID token audience provided."
    )


def _unpublished(received: Received, model: str) -> HttpAnswer:
    message = f"Publisher Model `{model}` was not found or your project does not have access to it."
    return _error(received, 404, message)


def _error(received: Received, status: int, message: str, reason: str = "") -> HttpAnswer:
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "status": _STATUSES.get(status, "INTERNAL"),
    }
    if reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
    return _json(received, status, {"error": error})


def _json(received: Received, status: int, body: object) -> HttpAnswer:
    headers = ((b"content-type", b"application/json; charset=UTF-8"), *_headers(received))
    if status == 401:
        headers = (
            *headers,
            (
                b"www-authenticate",
                b'Bearer realm="https://accounts.google.com/", error="invalid_token"',
            ),
        )
    return HttpAnswer(status=status, headers=headers, body=encode(body))


def _headers(received: Received) -> tuple[Header, ...]:
    return (
        (b"x-vertex-ai-internal-prediction-backend", b"sandbox"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-goog-request-id", received.uuid.encode()),
    )
