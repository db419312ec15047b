"""The fake cloud of an Azure OpenAI resource, with its v1 path, its dated path and its Entra token
endpoint.

It has four families of paths:

    /openai/v1/…
        `model` is the name of the deployment. As in practice, it differs from the model's name
        (`gpt-5-5`): a caller that passes the model's name gets Azure's 404.
    /openai/deployments/{deployment}/…?api-version=…
        Called by Azure's own SDK class. The api-version has to exist; before 2024-09-01,
        `stream_options` is refused.
    /openai/{responses|files|batches|models}?api-version=…
        Called by the same class where no deployment is named.
    /anthropic/v1/…
        Anthropic's models, in Anthropic's own format.

Authentication is `api-key` or a Microsoft Entra bearer token: a JWT whose signature, audience,
tenant and times are checked. `POST /{tenant}/oauth2/v2.0/token` hands one out for the demonstration
client's secret.

Every chat answer carries the content filter's results; a stream begins with a chunk that has only
those. There are no moderations, variations of images, conversations or stored chat completions, no
`/responses/compact` and no `/responses/input_tokens`, and `stream_options` is refused on Responses.
If a batch's file names a deployment that does not exist, creating the batch fails with 400
`model_not_found`.
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from clauseway.sandbox.clouds.anthropic_direct import (
    CLAUDE_MODELS,
    claude_account,
    versioned_answer,
)
from clauseway.sandbox.clouds.fake_cloud import answer_of, ask
from clauseway.sandbox.clouds.model_server import ALL, NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials, tokens
from clauseway.sandbox.surfaces.account import (
    CREATED,
    OTHER_MODELS,
    TEXT_MODELS,
    AccountModel,
    ChatStyle,
    CloudAccount,
    UnknownModel,
)
from clauseway.sandbox.surfaces.parameters import query_of, read_object
from clauseway.sandbox.wire import (
    FormatRefusal,
    Header,
    HttpAnswer,
    Received,
    encode,
    encode_indented,
)

ROOT: Final = "/openai/v1"
# Anthropic's models, in their own format.
MESSAGES_ROOT: Final = "/anthropic/v1"
_DATED: Final = "/openai/deployments/"
_UNDEPLOYED: Final = "/openai/"
_SERVED: Final = ALL - {
    "/responses/compact",
    "/responses/input_tokens",
    "/moderations",
    "/images/variations",
    "/conversations",
    "/chat",
}
_DEPLOYED: Final = frozenset(
    path
    for path in _SERVED
    if path.startswith(("/chat", "/completions", "/embeddings", "/images", "/audio"))
)
_NOT_DEPLOYED: Final = frozenset({"/responses", "/files", "/batches", "/models"})

# The deployment's name and the model that it deploys.
DEPLOYMENTS: Final[Mapping[str, AccountModel]] = {
    **{
        name.replace(".", "-"): AccountModel("text", snapshot)
        for name, snapshot in TEXT_MODELS.items()
    },
    **{
        name: model
        for name, model in OTHER_MODELS.items()
        if model.kind not in ("moderation",) and name != "dall-e-2"
    },
}
API_VERSIONS: Final = frozenset(
    {
        "2024-02-01",
        "2024-05-01-preview",
        "2024-06-01",
        "2024-07-01-preview",
        "2024-08-01-preview",
        "2024-09-01-preview",
        "2024-10-01-preview",
        "2024-10-21",
        "2024-12-01-preview",
        "2025-01-01-preview",
        "2025-02-01-preview",
        "2025-03-01-preview",
        "2025-04-01-preview",
    }
)
# Came with 2024-09-01-preview (Microsoft's page on the API's life cycle).
_STREAM_OPTIONS_FROM: Final = "2024-09-01"
# Responses came with the API version 2025-03-01-preview.
_RESPONSES_FROM: Final = "2025-03-01"
_V1_VERSIONS: Final = frozenset({"", "v1", "preview", "latest"})
_LIMIT_TOKENS: Final = 10_000_000
# The value that Entra states in `expires_in`.
_TOKEN_LIFE_S: Final = 3_599
_AUDIENCES: Final = frozenset(
    {credentials.AZURE_AUDIENCE, f"{credentials.AZURE_AUDIENCE}/", "https://ai.azure.com"}
)

_WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
    "a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_WRONG_TOKEN = (
    "Unauthorized. Access token is missing, invalid, audience is incorrect "
    "(https://cognitiveservices.azure.com), or "
    "have expired."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within "
    "the last 5 minutes, "
    "please wait a moment and try again."
)
_RATE: Final = (
    "429",
    "Requests to the ChatCompletions_Create Operation have exceeded the token rate limit of "
    "your pricing tier.",
)
_UNAVAILABLE: Final = (
    "ServiceUnavailable",
    "The service is temporarily unable to process your request. Please try again later.",
)
_QUOTA: Final = (
    "insufficient_quota",
    "You exceeded your current quota, please check your plan and billing details.",
)
# An outage's family or status → code and message.
_OUTAGES: Final[Mapping[str | int, tuple[str, str]]] = {
    401: ("401", _WRONG_TOKEN),
    429: _RATE,
    503: _UNAVAILABLE,
    "insufficient_quota": _QUOTA,
    "credit_balance_exhausted": _QUOTA,
    "organization_spend_limit_exceeded": _QUOTA,
    "slow_down": ("slow_down", "Your request rate has grown too quickly. Please slow down."),
    "no_capacity": (
        "no_capacity",
        "The system is currently experiencing high demand and cannot process your request. "
        "Your request exceeds the "
        "maximum usage size allowed during peak load. For improved capacity reliability, "
        "consider switching to "
        "Provisioned Throughput.",
    ),
    "server_is_overloaded": (
        "server_is_overloaded",
        "The server is currently overloaded with other requests. Please try again later.",
    ),
}
_UNNAMED: Final = ("InternalServerError", "The server had an error while processing your request.")
_SAFE = {"filtered": False, "severity": "safe"}
_ANSWER_FILTER = {"hate": _SAFE, "self_harm": _SAFE, "sexual": _SAFE, "violence": _SAFE}
_PROMPT_FILTER = {"jailbreak": {"filtered": False, "detected": False}, **_ANSWER_FILTER}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _PROMPT_FILTER}]
_STYLE: Final = ChatStyle(
    choice={"content_filter_results": _ANSWER_FILTER, "logprobs": None},
    tail={"system_fingerprint": None},
    whole={"prompt_filter_results": _PROMPT_RESULTS},
    preamble={
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": _PROMPT_RESULTS,
    },
    alphabetical=True,
)


class AzureOpenAI:
    """One Azure OpenAI resource."""

    def __init__(self) -> None:
        self._account = CloudAccount(DEPLOYMENTS, _STYLE)
        self._claude = claude_account(CLAUDE_MODELS)

    def endpoint(self, path: str) -> str:
        if path.startswith(f"{MESSAGES_ROOT}/"):
            return path.removeprefix(MESSAGES_ROOT)
        return _place(path)[1]

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of Azure OpenAI, or of Entra for a token."""
        # Entra is another service: a caller without a token yet has to reach it.
        if "/oauth2/v2.0/" in received.path or "/.well-known/" in received.path:
            return _entra(received)
        if (denied := _authenticate(received)) is not None:
            return denied
        # Anthropic's format has errors of its own, so it is answered before Azure's paths are read.
        if received.path.startswith(f"{MESSAGES_ROOT}/"):
            return versioned_answer(self._claude, received, self.endpoint(received.path))
        deployment, path = _place(received.path)
        version = parse_qs(received.query).get("api-version", [""])[0]
        if not path or not _version_fits(received.path, path, version):
            return _error(received, 404, "404", "Resource not found")
        try:
            model = self._model(received, deployment, path)
            _check_stream_options(received, path, version)
            served = (
                _DEPLOYED
                if deployment
                else _SERVED
                if received.path.startswith(f"{ROOT}/")
                else _NOT_DEPLOYED
            )
            if received.path == f"{ROOT}/models" and received.method == "GET":
                data = [_model(name) for name in DEPLOYMENTS]
                return _json(received, 200, {"object": "list", "data": data})
            if (received.method, path) == ("POST", "/batches") and (
                missing := self._undeployed(received)
            ):
                return _json(received, 400, _batch_error(missing))
            reply = ask(self._account, received, path, served, deployment)
        except FormatRefusal as refused:
            return _json(received, refused.status, refused.body)
        except UnknownModel:
            return _error(received, 404, "DeploymentNotFound", _NO_DEPLOYMENT)
        except NoEndpoint:
            return _error(received, 404, "404", "Resource not found")
        return answer_of(reply, _model_headers(received, model, reply.tokens[0]), encode_indented)

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in Azure's words."""
        code, message = _OUTAGES.get(outage.family) or _OUTAGES.get(outage.status, _UNNAMED)
        return _error(received, outage.status, code, message)

    def _undeployed(self, received: Received) -> str:
        """Return the first deployment in a batch's file that does not exist; empty if all exist."""
        named = read_object(received.body).get("input_file_id")
        file = self._account.files.get(named) if isinstance(named, str) else None
        for line in file.content.splitlines() if file is not None else ():
            try:
                model = json.loads(line)["body"]["model"]
                if model not in DEPLOYMENTS:
                    return str(model)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue  # reported when the batch is validated
        return ""

    def _model(self, received: Received, deployment: str, path: str) -> str:
        """Return the name of the deployment that answers, for the headers; empty if none does.

        Raise UnknownModel if the path names none that exists, FormatRefusal if the body is not JSON.
        """
        if deployment:
            if deployment not in DEPLOYMENTS:
                raise UnknownModel(deployment)
            return deployment
        if (
            path in ("/chat/completions", "/completions", "/responses", "/embeddings")
            and received.method == "POST"
        ):
            return str(read_object(received.body).get("model", ""))
        return ""


def _batch_error(deployment: str) -> dict[str, object]:
    deployments = ", ".join(DEPLOYMENTS)
    message = (
        f"The provided model deployment '{deployment}' does not exist in the AOAI resource. "
        f"Valid deployments are "
        f"'{deployments}'. Learn more: https://aka.ms/aoai_batch/errors."
    )
    error = {"code": "model_not_found", "message": message, "line": None, "param": None}
    return {"errors": {"data": [error], "object": "list"}}


def _place(path: str) -> tuple[str, str]:
    """Return the deployment that a path names, or "", and the rest of the path. Both are empty for a
    path that Azure OpenAI does not have."""
    if path.startswith(f"{ROOT}/"):
        return "", path.removeprefix(ROOT)
    if path.startswith(_DATED):
        deployment, _, rest = path.removeprefix(_DATED).partition("/")
        return (deployment, f"/{rest}") if deployment and rest else ("", "")
    return ("", path.removeprefix("/openai")) if path.startswith(_UNDEPLOYED) else ("", "")


def _version_fits(whole: str, path: str, version: str) -> bool:
    if whole.startswith(f"{ROOT}/"):
        return version in _V1_VERSIONS
    return version in API_VERSIONS and (
        not path.startswith("/responses") or version >= _RESPONSES_FROM
    )


def _check_stream_options(received: Received, path: str, version: str) -> None:
    dated = version if version in API_VERSIONS else ""
    old = dated and dated[: len(_STREAM_OPTIONS_FROM)] < _STREAM_OPTIONS_FROM
    if (
        received.method != "POST"
        or not (path == "/responses" or old)
        or b"stream_options" not in received.body
    ):
        return
    if "stream_options" in read_object(received.body):
        if path == "/responses":
            message = "Unknown parameter: 'stream_options'."
            raise FormatRefusal(400, message, param="stream_options", code="unknown_parameter")
        raise FormatRefusal(400, "Unrecognized request argument supplied: stream_options")


def _authenticate(received: Received) -> HttpAnswer | None:
    bearer = received.bearer
    # Anthropic's path takes the key under Anthropic's name too. The v1 path takes it as a bearer
    # token, as plain OpenAI clients send it; the dated paths do not.
    key = received.header(b"api-key")
    if received.path.startswith(f"{MESSAGES_ROOT}/"):
        key = key or received.header(b"x-api-key")
    elif received.path.startswith(f"{ROOT}/"):
        key = key or (bearer if bearer == credentials.AZURE_API_KEY else "")
    if key == credentials.AZURE_API_KEY:
        return None
    if key or not bearer:
        return _error(received, 401, "401", _WRONG_KEY)
    claims = tokens.read_token(bearer, credentials.ISSUER_KEY.public)
    if (
        claims is None
        or claims.get("aud") not in _AUDIENCES
        or claims.get("tid") != credentials.AZURE_TENANT_ID
        or not claims["nbf"] <= received.now_s < claims["exp"]
    ):
        return _error(received, 401, "401", _WRONG_TOKEN)
    return None


def _entra(received: Received) -> HttpAnswer:
    """Answer as Entra's v2.0 endpoint for client credentials, or with the metadata by which a
    client finds it."""
    tenant, _, rest = received.path.lstrip("/").partition("/")
    if received.method == "GET" and rest == "v2.0/.well-known/openid-configuration":
        at = f"https://{received.header(b'host')}/{tenant}"
        discovery = {
            "token_endpoint": f"{at}/oauth2/v2.0/token",
            "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
            "issuer": f"{at}/v2.0",
        }
        return _json(received, 200, discovery)
    if received.method != "POST" or rest != "oauth2/v2.0/token":
        return _error(received, 404, "404", "Resource not found")
    form = query_of(received.body.decode("latin-1"))
    denied = _denied_client(tenant, form)
    if denied is not None:
        return _json(received, *denied)
    now_s = int(received.now_s)
    # `…/.default` asks for every permission that the application has at that audience.
    audience = form["scope"].removesuffix("/.default")
    token = credentials.entra_token(now_s, now_s + _TOKEN_LIFE_S, audience)
    grant = {
        "token_type": "Bearer",
        "expires_in": _TOKEN_LIFE_S,
        "ext_expires_in": _TOKEN_LIFE_S,
        "access_token": token,
    }
    return _json(received, 200, grant)


def _denied_client(tenant: str, form: Mapping[str, str]) -> tuple[int, dict[str, object]] | None:
    """Return Entra's refusal, with its number.

    The checks run in the order tenant, grant, client, secret, scope.
    """
    client = form.get("client_id", "")
    if tenant != credentials.AZURE_TENANT_ID:
        return _aadsts(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
    if form.get("grant_type") != "client_credentials":
        return _aadsts(
            400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
        )
    if client != credentials.AZURE_CLIENT_ID:
        message = (
            f"Application with identifier '{client}' was not found in the directory 'sandbox'."
        )
        return _aadsts(400, "unauthorized_client", 700016, message)
    if form.get("client_secret") != credentials.AZURE_CLIENT_SECRET:
        return _aadsts(401, "invalid_client", 7000215, "Invalid client secret provided.")
    if not form.get("scope", "").endswith("/.default"):
        message = (
            "The provided request must include a 'scope' input parameter that ends in /.default."
        )
        return _aadsts(400, "invalid_scope", 70011, message)
    return None


def _aadsts(status: int, error: str, number: int, message: str) -> tuple[int, dict[str, object]]:
    return status, {
        "error": error,
        "error_description": f"AADSTS{number}: {message}",
        "error_codes": [number],
    }


def _model(name: str) -> dict[str, object]:
    kind = DEPLOYMENTS[name].kind
    capabilities = {
        "fine_tune": False,
        "inference": True,
        "completion": False,
        "chat_completion": kind == "text",
        "embeddings": kind == "embedding",
    }
    return {
        "id": name,
        "object": "model",
        "status": "succeeded",
        "created_at": CREATED,
        "capabilities": capabilities,
    }


def _error(received: Received, status: int, code: str, message: str) -> HttpAnswer:
    return _json(received, status, {"error": {"code": code, "message": message}})


def _json(received: Received, status: int, body: object) -> HttpAnswer:
    headers = ((b"content-type", b"application/json"), *_headers(received))
    return HttpAnswer(status=status, headers=headers, body=encode(body))


def _headers(received: Received) -> tuple[Header, ...]:
    return (
        (b"apim-request-id", received.uuid.encode()),
        (b"x-request-id", received.uuid.encode()),
        (b"x-ms-region", b"East US 2"),
        (b"x-content-type-options", b"nosniff"),
    )


def _model_headers(received: Received, deployment: str, prompt_tokens: int) -> tuple[Header, ...]:
    return (
        (b"x-ms-deployment-name", deployment.encode()),
        (b"x-ms-rai-invoked", b"true"),
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-limit-tokens", b"%d" % _LIMIT_TOKENS),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-remaining-tokens", b"%d" % max(0, _LIMIT_TOKENS - prompt_tokens)),
        *_headers(received),
    )
