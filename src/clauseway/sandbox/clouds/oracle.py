"""The fake cloud of Oracle OCI Generative AI in OpenAI's format: `/openai/v1/…` behind OCI's
request signature.

A request is signed (draft-cavage-http-signatures, `rsa-sha256`, see `oci_signature`) with a user's
registered key or with the session key of an instance or resource principal, whose security token
names its public key; or it carries a Generative AI key as bearer, which does not open every model.
`opc-compartment-id` must name the compartment, and `opc-request-id` comes back. A client whose
`accept-encoding` names zstd gets each event of a stream as a frame of its own. Errors of the front
end are Oracle's.
"""

from collections.abc import Mapping
from typing import Final

from clauseway.sandbox.clouds.fake_cloud import answer_of, ask, framed
from clauseway.sandbox.clouds.model_server import NoEndpoint
from clauseway.sandbox.faults import Outage
from clauseway.sandbox.signatures import credentials, oci_signature
from clauseway.sandbox.surfaces.account import TEXT_MODELS, AccountModel, CloudAccount, UnknownModel
from clauseway.sandbox.surfaces.parameters import read_object
from clauseway.sandbox.wire import FormatRefusal, Header, HttpAnswer, Received, encode

ROOT: Final = "/openai/v1"
# A key does not open these: they ask for a signed request.
SIGNED_ONLY_MODELS: Final = ("openai.gpt-oss-120b", "openai.gpt-oss-20b")
_SERVED: Final = frozenset(
    {"/chat/completions", "/responses", "/conversations", "/files", "/models"}
)
_COMPARTMENTS: Final = frozenset({credentials.OCI_COMPARTMENT, credentials.OCI_TENANCY})
_TOO_MANY: Final = ("TooManyRequests", "Too many requests for the user.")
_LIMIT: Final = ("LimitExceeded", "The service limit of this tenancy has been exceeded.")
# Family or status → code, message.
_OUTAGES: Final[Mapping[str | int, tuple[str, str]]] = {
    401: ("NotAuthenticated", oci_signature.INCORRECT),
    429: _TOO_MANY,
    503: ("ServiceUnavailable", "The service is currently unavailable."),
    "insufficient_quota": _LIMIT,
    "credit_balance_exhausted": _LIMIT,
    "organization_spend_limit_exceeded": _LIMIT,
    "no_capacity": ("TooManyRequests", "Out of capacity for this model. Please try again later."),
}
_UNNAMED: Final = ("InternalServerError", "Internal error occurred")


class OracleGenerativeAI:
    """OCI Generative AI in one region, with one tenancy."""

    def __init__(self) -> None:
        names = (*(f"openai.{name}" for name in TEXT_MODELS), *SIGNED_ONLY_MODELS)
        self._account = CloudAccount({name: AccountModel("text", name) for name in names})

    def endpoint(self, path: str) -> str:
        return path.removeprefix(ROOT) if path.startswith(f"{ROOT}/") else ""

    def answer(self, received: Received) -> HttpAnswer:
        """Return the answer of OCI Generative AI."""
        authorization = received.header(b"authorization")
        by_key = authorization == f"Bearer {credentials.OCI_API_KEY}"
        if not by_key and (mistake := oci_signature.mistake(received)):
            return _error(received, 401, "NotAuthenticated", mistake)
        compartment = received.header(b"opc-compartment-id")
        if not compartment:
            return _error(
                received, 400, "MissingParameter", "Missing required header: opc-compartment-id"
            )
        if compartment not in _COMPARTMENTS:
            message = "Authorization failed or requested resource not found."
            return _error(received, 404, "NotAuthorizedOrNotFound", message)
        try:
            if by_key:
                _check_key_opens(received)
            reply = ask(self._account, received, self.endpoint(received.path), _SERVED)
        except FormatRefusal as refused:
            return _json(received, refused.status, refused.body)
        except UnknownModel as unknown:
            return _error(
                received,
                404,
                "NotAuthorizedOrNotFound",
                f"Entity with key {unknown.model} not found",
            )
        except NoEndpoint as nowhere:
            if nowhere.methods:
                return _error(received, 405, "MethodNotAllowed", "Method not allowed")
            return _error(
                received, 404, "NotFound", "There is no operation supported at the URI path"
            )
        answer = answer_of(reply, _headers(received), encode)
        # The quirk: a stream's events, each as a frame. An answer in one piece stays as it is.
        return (
            framed(answer)
            if answer.events and "zstd" in received.header(b"accept-encoding")
            else answer
        )

    def outage(self, received: Received, outage: Outage) -> HttpAnswer:
        """Return an outage in Oracle's words."""
        code, message = _OUTAGES.get(outage.family) or _OUTAGES.get(outage.status, _UNNAMED)
        return _error(received, outage.status, code, message)


def _check_key_opens(received: Received) -> None:
    if received.method == "POST" and received.body.startswith(b"{"):
        model = read_object(received.body).get("model")
        if model in SIGNED_ONLY_MODELS:
            raise FormatRefusal(
                403, f"API keys are not supported for model {model}.", param="model"
            )


def _error(received: Received, status: int, code: str, message: str) -> HttpAnswer:
    return _json(received, status, {"code": code, "message": message})


def _json(received: Received, status: int, body: object) -> HttpAnswer:
    headers = ((b"content-type", b"application/json"), *_headers(received))
    return HttpAnswer(status=status, headers=headers, body=encode(body))


def _headers(received: Received) -> tuple[Header, ...]:
    """Return the header with the request id: the client's id, then ours, as Oracle joins them."""
    given = received.header(b"opc-request-id").upper()
    own = received.serial.upper()
    return ((b"opc-request-id", f"{given}/{own}".encode() if given else own.encode()),)
