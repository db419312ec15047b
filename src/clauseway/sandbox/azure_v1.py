"""The twin of an Azure OpenAI resource, v1 path: `POST /openai/v1/chat/completions`, `GET /openai/v1/models`.

Authentication is `api-key` or a Microsoft Entra bearer token. `model` is the *deployment's* name, and deployments are
named otherwise than models (`gpt-5-5`), as in practice: a caller that passes the model's name gets Azure's 404.
Also takes the dated path `/openai/deployments/{deployment}/chat/completions?api-version=…` that Azure's own SDK class
calls. Every answer carries the content filter's results, and a stream begins with a chunk that has nothing else.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import msgspec

from clauseway.sandbox import chat, credentials
from clauseway.sandbox.wire import Answer, Header, Received, Refused

CHAT_PATH: Final = "/openai/v1/chat/completions"
# The deployment's name and the dated snapshot of the model that it deploys.
DEPLOYMENTS: Final[Mapping[str, str]] = {"gpt-5-5": "gpt-5.5-2026-04-23", "gpt-5-4": "gpt-5.4-2026-03-05"}
_DATED_PREFIX, _DATED_SUFFIX = "/openai/deployments/", "/chat/completions"
_CREATED = 1_767_225_600
_LIMIT_TOKENS = 10_000_000

_WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_WRONG_TOKEN = (
    "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or "
    "have expired."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_FAULTS: Mapping[int, tuple[str, str]] = {
    429: (
        "429",
        "Requests to the ChatCompletions_Create Operation have exceeded the token rate limit of your pricing tier.",
    ),
    503: ("ServiceUnavailable", "The service is temporarily unable to process your request. Please try again later."),
}
_SAFE = {"filtered": False, "severity": "safe"}
_ANSWER_FILTER = {"hate": _SAFE, "self_harm": _SAFE, "sexual": _SAFE, "violence": _SAFE}
_PROMPT_FILTER = {"jailbreak": {"filtered": False, "detected": False}, **_ANSWER_FILTER}
_PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": _PROMPT_FILTER}]


def is_chat(path: str) -> bool:
    return path == CHAT_PATH or bool(_dated_deployment(path))


def answer(received: Received) -> Answer:
    """What Azure OpenAI would answer."""
    if (denied := _authenticate(received)) is not None:
        return denied
    if received.method == "POST" and is_chat(received.path):
        return _chat(received)
    if (received.method, received.path) == ("GET", "/openai/v1/models"):
        return _json(received, 200, {"object": "list", "data": [_model(name) for name in DEPLOYMENTS]})
    return _error(received, 404, "404", "Resource not found")


def fault(received: Received, status: int) -> Answer:
    """An outage in Azure's words."""
    code, message = _FAULTS.get(
        status, ("InternalServerError", "The server had an error while processing your request.")
    )
    return _error(received, status, code, message)


def _authenticate(received: Received) -> Answer | None:
    key = received.header(b"api-key")
    bearer = received.header(b"authorization")
    if key == credentials.AZURE_API_KEY or bearer == f"Bearer {credentials.AZURE_ENTRA_TOKEN}":
        return None
    # The v1 path takes the key as a bearer token too, as plain OpenAI clients send it.
    if bearer == f"Bearer {credentials.AZURE_API_KEY}":
        return None
    return _error(received, 401, "401", _WRONG_TOKEN if bearer and not key else _WRONG_KEY)


def _dated_deployment(path: str) -> str:
    if path.startswith(_DATED_PREFIX) and path.endswith(_DATED_SUFFIX):
        return path[len(_DATED_PREFIX) : -len(_DATED_SUFFIX)]
    return ""


def _chat(received: Received) -> Answer:
    dated = _dated_deployment(received.path)
    if dated and not parse_qs(received.query).get("api-version"):
        return _error(received, 404, "404", "Resource not found")
    try:
        request = chat.read_request(received.body)
    except Refused as refused:
        kind = {"type": "invalid_request_error", "param": refused.param or None, "code": refused.code or None}
        return _json(received, refused.status, {"error": {"message": refused.message, **kind}})
    deployment = dated or request.model
    snapshot = DEPLOYMENTS.get(deployment)
    if snapshot is None:
        return _error(received, 404, "DeploymentNotFound", _NO_DEPLOYMENT)
    return (
        _stream(received, request, deployment, snapshot)
        if request.streamed
        else _whole(received, request, deployment, snapshot)
    )


def _whole(received: Received, request: chat.ChatRequest, deployment: str, snapshot: str) -> Answer:
    generation = request.generation
    choice = {
        "content_filter_results": _ANSWER_FILTER,
        "finish_reason": generation.finish_reason,
        "index": 0,
        "logprobs": None,
        "message": {**chat.message_of(generation)},
    }
    body = {
        "choices": [choice],
        "created": int(received.now_s),
        "id": chat.completion_id(received),
        "model": snapshot,
        "object": "chat.completion",
        "prompt_filter_results": _PROMPT_RESULTS,
        "system_fingerprint": None,
        "usage": chat.usage_of(generation),
    }
    return Answer(
        status=200,
        headers=_model_headers(received, deployment, b"application/json", generation.prompt_tokens),
        body=msgspec.json.format(chat.encode(body), indent=2),
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
    )


def _stream(received: Received, request: chat.ChatRequest, deployment: str, snapshot: str) -> Answer:
    generation = request.generation
    preamble = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": _PROMPT_RESULTS,
    }
    if request.include_usage:
        preamble["usage"] = None
    head: dict[str, object] = {
        "id": chat.completion_id(received),
        "object": "chat.completion.chunk",
        "created": int(received.now_s),
        "model": snapshot,
        "system_fingerprint": None,
    }
    choice: dict[str, object] = {"content_filter_results": _ANSWER_FILTER, "logprobs": None}
    return Answer(
        status=200,
        headers=_model_headers(received, deployment, b"text/event-stream; charset=utf-8", generation.prompt_tokens),
        events=(chat.event(preamble), *chat.stream_events(request, head, choice)),
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
    )


def _model(name: str) -> dict[str, object]:
    capabilities = {
        "fine_tune": False,
        "inference": True,
        "completion": False,
        "chat_completion": True,
        "embeddings": False,
    }
    return {"id": name, "object": "model", "status": "succeeded", "created_at": _CREATED, "capabilities": capabilities}


def _error(received: Received, status: int, code: str, message: str) -> Answer:
    return _json(received, status, {"error": {"code": code, "message": message}})


def _json(received: Received, status: int, body: object) -> Answer:
    return Answer(
        status=status, headers=((b"content-type", b"application/json"), *_headers(received)), body=chat.encode(body)
    )


def _headers(received: Received) -> tuple[Header, ...]:
    return (
        (b"apim-request-id", received.uuid.encode()),
        (b"x-request-id", received.uuid.encode()),
        (b"x-ms-region", b"East US 2"),
        (b"x-content-type-options", b"nosniff"),
    )


def _model_headers(received: Received, deployment: str, content_type: bytes, tokens: int) -> tuple[Header, ...]:
    return (
        (b"content-type", content_type),
        (b"x-ms-deployment-name", deployment.encode()),
        (b"x-ms-rai-invoked", b"true"),
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-limit-tokens", b"%d" % _LIMIT_TOKENS),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-remaining-tokens", b"%d" % max(0, _LIMIT_TOKENS - tokens)),
        *_headers(received),
    )
