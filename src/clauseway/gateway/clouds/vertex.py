"""Google Vertex AI: an OAuth token as bearer, and one of three surfaces, known by the end of the
target's root.

`…/projects/{project}/locations/{location}/publishers/openai/v1` serves OpenAI's models through
Responses only; `…/projects/{project}/locations/{location}/endpoints/openapi` serves others
(`google/gemini-…`) through chat only; `…/projects/{project}/locations/{location}/publishers/anthropic`
serves Anthropic's in their own format, the model in the path. None takes OpenAI's headers for organization and project,
so these are never passed.
"""

from urllib.parse import quote

from clauseway.gateway.clouds.anthropic import MESSAGES, enveloped
from clauseway.gateway.clouds.dialect import (
    OPERATIONS,
    Call,
    Credential,
    Dialect,
    Envelope,
    HeadWriter,
    authentication,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"bearer"})
_MESSAGES_END = "/publishers/anthropic"
_SURFACES = {
    "/publishers/openai/v1": frozenset({"responses"}),
    "/endpoints/openapi": frozenset({"chat"}),
    _MESSAGES_END: MESSAGES,
}
_FORMER_VERSION = "vertex-2023-10-16"
# Characters that may stand in a path's segment as they are (RFC 3986, 3.3), but for those that end
# a part of it.
_SUB_DELIMITERS = "!$&'()*+,=:@"
_REFUSED = (b"openai-organization:", b"openai-project:")


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    _served(target)
    presented = with_static_headers(target, *authentication(credential, _TAKES))

    def write_head(call: Call, body: bytes, forwarded: bytes, now_s: int) -> bytes:
        return presented(call, body, _without_account(forwarded), now_s)

    return write_head


def lacks(target: Target) -> frozenset[str]:
    return OPERATIONS - _served(target)


def envelope(target: Target) -> Envelope | None:
    """The model in the path; whether it streams, too."""
    if not target.url.rstrip("/").endswith(_MESSAGES_END):
        return None
    model = quote(target.label.model, safe=_SUB_DELIMITERS).encode()

    def named_in_path(
        call: Call, body: bytes, forwarded: bytes, streamed: bool
    ) -> tuple[Call, bytes]:
        if call.path.partition(b"?")[0] != b"/messages":
            path = b"/models/count-tokens:rawPredict"
            return call._replace(path=path), enveloped(body, forwarded, _FORMER_VERSION)
        path = b"/models/%b:%b" % (model, b"streamRawPredict" if streamed else b"rawPredict")
        return call._replace(path=path), enveloped(body, forwarded, _FORMER_VERSION, "model")

    return named_in_path


def _served(target: Target) -> frozenset[str]:
    """The operations of the target's surface. Raises ValueError where its root is no surface of
    Vertex."""
    for end, operations in _SURFACES.items():
        if target.url.rstrip("/").endswith(end):
            return operations
    raise ValueError(f"{target.url!r} ends in none of {', '.join(_SURFACES)}")


def _without_account(forwarded: bytes) -> bytes:
    if b"openai-" not in forwarded.lower():
        return forwarded
    lines = forwarded.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.lower().startswith(_REFUSED))


DIALECT: Dialect = Dialect(
    "gcp.vertex_ai", head_writer, b"x-request-id", _TAKES, lacks, envelope=envelope
)
