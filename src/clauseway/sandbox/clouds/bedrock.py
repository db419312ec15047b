"""The fake clouds of AWS Bedrock's two endpoints in OpenAI's format: mantle and runtime, behind AWS
authentication.

Both take SigV4 (see `sigv4`) or a Bedrock API key as bearer under `/openai/v1`. Mantle is signed as
the service `bedrock-mantle`, names its models `openai.gpt-…`, and serves the open-weight ones under
`/v1` too, where AWS keeps them. Runtime is signed as `bedrock` and names inference profiles:
`us.openai.…`, `global.openai.…`.

The front end refuses as every AWS service does (403, `x-amzn-errortype`, a plain `message`); what
comes from behind it is in OpenAI's error shape.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from clauseway.sandbox.clouds.anthropic_direct import (
    CLAUDE_MODELS,
    claude_account,
    messages_answer,
    version_mistake,
    versioned_answer,
)
from clauseway.sandbox.clouds.fake_cloud import answer_of, ask
from clauseway.sandbox.clouds.model_server import NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials, sigv4
from clauseway.sandbox.surfaces import aws_frames
from clauseway.sandbox.surfaces.account import (
    TEXT_MODELS,
    AccountModel,
    ChatStyle,
    CloudAccount,
    UnknownModel,
)
from clauseway.sandbox.wire import FormatRefusal, Header, HttpAnswer, Received, encode

ROOT: Final = "/openai/v1"
# Anthropic's models in their own format: at mantle, and by InvokeModel at the runtime.
MESSAGES_ROOT: Final = "/anthropic/v1"
_INVOKED: Final = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
# The version of Anthropic's format that the body of InvokeModel names.
_MESSAGES_VERSION: Final = "bedrock-2023-05-31"
OPEN_WEIGHT_ROOT: Final = "/v1"
OPEN_WEIGHT_MODELS: Final = ("openai.gpt-oss-120b", "openai.gpt-oss-20b")
_SERVED: Final = frozenset({"/chat/completions", "/responses", "/models"})

_PRINCIPALS: Mapping[str, sigv4.Principal] = {
    credentials.AWS_ACCESS_KEY_ID: sigv4.Principal(credentials.AWS_SECRET_ACCESS_KEY),
    credentials.AWS_SESSION_ACCESS_KEY_ID: sigv4.Principal(
        credentials.AWS_SESSION_SECRET_ACCESS_KEY, credentials.AWS_SESSION_TOKEN
    ),
}
_THROTTLED: Final = ("ThrottlingException", "Too many requests, please wait before trying again.")
_UNAVAILABLE: Final = ("ServiceUnavailableException", "Bedrock is unable to process your request.")
_QUOTA: Final = (
    "ServiceQuotaExceededException",
    "Your request exceeds the service quota for your account.",
)
# Family or status → AWS's name of the error, message.
_OUTAGES: Final[Mapping[str | int, tuple[str, str]]] = {
    401: ("ExpiredTokenException", "The security token included in the request is expired"),
    403: ("ExpiredTokenException", "The security token included in the request is expired"),
    429: _THROTTLED,
    503: _UNAVAILABLE,
    "insufficient_quota": _QUOTA,
    "credit_balance_exhausted": _QUOTA,
    "organization_spend_limit_exceeded": _QUOTA,
    "no_capacity": (
        "ModelNotReadyException",
        "The model is not ready for inference. Please try again later.",
    ),
}
_UNNAMED: Final = (
    "InternalServerException",
    "The system encountered an unexpected error during processing. Try your request again.",
)


class Bedrock:
    """One of Bedrock's endpoints, with one account."""

    def __init__(self, service: str, models: Collection[str], open_weight: Collection[str]) -> None:
        style = ChatStyle(tail={"service_tier": "default", "system_fingerprint": None})
        self._service = service
        self._is_runtime = service == credentials.AWS_RUNTIME_SERVICE
        spelled = "us.anthropic.{}-v1:0" if self._is_runtime else "anthropic.{}"
        self._claude = claude_account(
            {spelled.format(name): snapshot for name, snapshot in CLAUDE_MODELS.items()}
        )
        self._account = CloudAccount({name: AccountModel("text", name) for name in models}, style)
        self._open_weight = CloudAccount(
            {name: AccountModel("text", name) for name in open_weight}, style
        )

    def endpoint(self, path: str) -> str:
        if path.startswith(f"{MESSAGES_ROOT}/") and not self._is_runtime:
            return path.removeprefix(MESSAGES_ROOT)
        if _INVOKED.fullmatch(path) and self._is_runtime:
            return "/messages"
        for root in (ROOT, OPEN_WEIGHT_ROOT) if self._open_weight.models else (ROOT,):
            if path.startswith(f"{root}/"):
                return path.removeprefix(root)
        return ""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of Bedrock."""
        # The front end authenticates every path, known or not.
        denied = self._authenticate(received)
        if denied is not None:
            return _aws_error(received, 403, denied.code, denied.message)
        if received.path.startswith(f"{MESSAGES_ROOT}/") and not self._is_runtime:
            return versioned_answer(self._claude, received, self.endpoint(received.path))
        invoked = _INVOKED.fullmatch(received.path)
        if invoked and self._is_runtime:
            return self._invoke(received, *invoked.groups())
        path = self.endpoint(received.path)
        # Under `/v1` AWS keeps only the open-weight models.
        account = self._account if received.path.startswith(f"{ROOT}/") else self._open_weight
        try:
            reply = ask(account, received, path, _SERVED)
        except FormatRefusal as refused:
            return _json(received, refused.status, refused.body)
        except UnknownModel as unknown:
            missing = FormatRefusal(
                404, f"The model '{unknown.model}' does not exist", code="model_not_found"
            )
            return _json(received, 404, missing.body)
        except NoEndpoint:
            message = "The requested operation is not recognized by the service."
            return _aws_error(received, 404, "UnknownOperationException", message)
        return answer_of(reply, _headers(received), encode)

    def _invoke(self, received: Received, model: str, how: str) -> HttpAnswer:
        """Return the answer of InvokeModel: a message, or its events in frames."""
        try:
            request = msgspec.json.decode(received.body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            return _aws_error(received, 400, "ValidationException", "Malformed input request")
        # The path names the model and, in its last part, streaming or not; the body must not.
        wrong = next((name for name in ("model", "stream") if name in request), "")
        mistake = (
            f"{wrong}: Extra inputs are not permitted"
            if wrong
            else version_mistake(request, _MESSAGES_VERSION)
        )
        if not mistake and model not in self._claude.models:
            mistake = "The provided model identifier is invalid."
        if mistake:
            return _aws_error(received, 400, "ValidationException", mistake)
        streamed = how == "invoke-with-response-stream"
        # Behind the front end the call is one of Anthropic's own API, where the body asks for a
        # stream.
        if streamed:
            request["stream"] = msgspec.Raw(b"true")
        call = msgspec.structs.replace(received, body=encode(request))
        answer = messages_answer(self._claude, call, "/messages", model)
        if answer.status != 200:
            message = msgspec.json.decode(answer.body)["error"]["message"]
            return _aws_error(received, answer.status, "ValidationException", message)
        kind = aws_frames.CONTENT_TYPE if streamed else b"application/json"
        return msgspec.structs.replace(
            answer,
            headers=((b"content-type", kind), *_headers(received)),
            # The events of the stream go into AWS's frames, each as one chunk.
            events=tuple(
                [aws_frames.chunk_frame(aws_frames.data_in(event)) for event in answer.events]
            ),
        )

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in AWS's words. An expired token is 403 at AWS."""
        code, message = _OUTAGES.get(outage.family) or _OUTAGES.get(outage.status, _UNNAMED)
        return _aws_error(received, 403 if outage.status == 401 else outage.status, code, message)

    def _authenticate(self, received: Received) -> sigv4.Denied | None:
        authorization = received.header(b"authorization")
        if not authorization:
            return sigv4.Denied(
                "MissingAuthenticationTokenException", "Missing Authentication Token"
            )
        if authorization.startswith("Bearer "):
            if authorization == f"Bearer {credentials.BEDROCK_API_KEY}":
                return None
            return sigv4.Denied(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )
        return sigv4.verify(received, _PRINCIPALS, credentials.AWS_REGION, self._service)


def mantle() -> Bedrock:
    """`https://bedrock-mantle.{region}.api.aws`."""
    names = (*(f"openai.{name}" for name in TEXT_MODELS), *OPEN_WEIGHT_MODELS)
    return Bedrock(credentials.AWS_SERVICE, names, OPEN_WEIGHT_MODELS)


def runtime() -> Bedrock:
    """`https://bedrock-runtime.{region}.amazonaws.com`."""
    names = [f"{scope}.openai.{name}" for scope in ("us", "global") for name in TEXT_MODELS]
    # The open-weight models are asked for without a profile, by a version.
    names += [f"{name}-1:0" for name in OPEN_WEIGHT_MODELS]
    return Bedrock(credentials.AWS_RUNTIME_SERVICE, names, ())


def _aws_error(received: Received, status: int, code: str, message: str) -> HttpAnswer:
    headers = (
        (b"x-amzn-errortype", code.encode()),
        (b"content-type", b"application/json"),
        *_headers(received),
    )
    return HttpAnswer(status=status, headers=headers, body=encode({"message": message}))


def _json(received: Received, status: int, body: object) -> HttpAnswer:
    headers = ((b"content-type", b"application/json"), *_headers(received))
    return HttpAnswer(status=status, headers=headers, body=encode(body))


def _headers(received: Received) -> tuple[Header, ...]:
    return ((b"x-amzn-requestid", received.uuid.encode()),)
