"""The twin of AWS Bedrock's mantle endpoint: OpenAI's chat format behind AWS authentication.

`POST /openai/v1/chat/completions` with SigV4 (service `bedrock-mantle`, see `sigv4`) or a Bedrock API key as bearer.
The front door refuses as every AWS service does (403, `x-amzn-errortype`, a plain `message`); what comes from behind it
is in OpenAI's error shape. `gpt-oss` is also served under `/v1`, where AWS keeps the open-weight models.
"""

from collections.abc import Mapping
from typing import Final

from clauseway.sandbox import chat, credentials, sigv4
from clauseway.sandbox.wire import Answer, Header, Received, Refused

ROOT: Final = "/openai/v1"
OPEN_WEIGHT_ROOT: Final = "/v1"
CHAT_PATHS: Final = frozenset({f"{ROOT}/chat/completions", f"{OPEN_WEIGHT_ROOT}/chat/completions"})
OPEN_WEIGHT_MODELS: Final = frozenset({"openai.gpt-oss-120b"})
MODELS: Final = ("openai.gpt-5.5", "openai.gpt-5.4", "openai.gpt-oss-120b")
_CREATED = 1_767_225_600

_PRINCIPALS: Mapping[str, sigv4.Principal] = {
    credentials.AWS_ACCESS_KEY_ID: sigv4.Principal(credentials.AWS_SECRET_ACCESS_KEY),
    credentials.AWS_SESSION_ACCESS_KEY_ID: sigv4.Principal(
        credentials.AWS_SESSION_SECRET_ACCESS_KEY, credentials.AWS_SESSION_TOKEN
    ),
}
_FAULTS: Mapping[int, tuple[str, str]] = {
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}


def answer(received: Received) -> Answer:
    """What Bedrock mantle would answer."""
    denied = _authenticate(received)
    if denied is not None:
        return _aws_error(received, 403, denied.code, denied.message)
    if received.method == "POST" and received.path in CHAT_PATHS:
        return _chat(received)
    if received.method == "GET" and received.path == f"{ROOT}/models":
        return _json(received, 200, {"object": "list", "data": [_model(name) for name in MODELS]})
    return _aws_error(
        received, 404, "UnknownOperationException", "The requested operation is not recognized by the service."
    )


def fault(received: Received, status: int) -> Answer:
    """An outage in AWS's words."""
    unnamed = (
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    )
    code, message = _FAULTS.get(status, unnamed)
    return _aws_error(received, status, code, message)


def _authenticate(received: Received) -> sigv4.Denied | None:
    authorization = received.header(b"authorization")
    if not authorization:
        return sigv4.Denied("MissingAuthenticationTokenException", "Missing Authentication Token")
    if authorization.startswith("Bearer "):
        if authorization == f"Bearer {credentials.BEDROCK_API_KEY}":
            return None
        return sigv4.Denied("UnrecognizedClientException", "The security token included in the request is invalid.")
    return sigv4.verify(received, _PRINCIPALS, credentials.AWS_REGION, credentials.AWS_SERVICE)


def _chat(received: Received) -> Answer:
    try:
        request = chat.read_request(received.body)
        _check_model(request.model, received.path)
    except Refused as refused:
        kind = {"type": "invalid_request_error", "param": refused.param or None, "code": refused.code or None}
        return _json(received, refused.status, {"error": {"message": refused.message, **kind}})
    generation = request.generation
    head: dict[str, object] = {
        "id": chat.completion_id(received),
        "object": "chat.completion.chunk" if request.streamed else "chat.completion",
        "created": int(received.now_s),
        "model": request.model,
    }
    tail: dict[str, object] = {"service_tier": "default", "system_fingerprint": None}
    if request.streamed:
        return Answer(
            status=200,
            headers=_headers(received, b"text/event-stream; charset=utf-8"),
            events=tuple(chat.stream_events(request, {**head, **tail}, {})),
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
        )
    choice = {"index": 0, "message": chat.message_of(generation), "finish_reason": generation.finish_reason}
    return Answer(
        status=200,
        headers=_headers(received, b"application/json"),
        body=chat.encode({**head, "choices": [choice], "usage": chat.usage_of(generation), **tail}),
        prompt_tokens=generation.prompt_tokens,
        completion_tokens=generation.completion_tokens,
    )


def _check_model(model: str, path: str) -> None:
    served = OPEN_WEIGHT_MODELS if path.startswith(OPEN_WEIGHT_ROOT) else MODELS
    if model not in served:
        raise Refused(404, f"The model '{model}' does not exist", code="model_not_found")


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"}


def _aws_error(received: Received, status: int, code: str, message: str) -> Answer:
    headers = ((b"x-amzn-errortype", code.encode()), *_headers(received, b"application/json"))
    return Answer(status=status, headers=headers, body=chat.encode({"message": message}))


def _json(received: Received, status: int, body: object) -> Answer:
    return Answer(status=status, headers=_headers(received, b"application/json"), body=chat.encode(body))


def _headers(received: Received, content_type: bytes) -> tuple[Header, ...]:
    return ((b"content-type", content_type), (b"x-amzn-requestid", received.uuid.encode()))
