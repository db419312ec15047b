"""Google Vertex AI: an OAuth token as bearer, and one of two surfaces, known by the end of the
target's root.

`…/projects/{project}/locations/{location}/publishers/openai/v1` serves OpenAI's models through
Responses only; `…/projects/{project}/locations/{location}/endpoints/openapi` serves others
(`google/gemini-…`) through chat only. Neither takes OpenAI's headers for organization and project,
so these are never passed.
"""

from clauseway.gateway.clouds.dialect import (
    OPERATIONS,
    Call,
    Credential,
    Dialect,
    Prepare,
    authentication,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"bearer"})
_SURFACES = {"/publishers/openai/v1": "responses", "/endpoints/openapi": "chat"}
_REFUSED = (b"openai-organization:", b"openai-project:")


def prepare(target: Target, credential: Credential) -> Prepare:
    _served(target)
    presented = with_static_headers(target, *authentication(credential, _TAKES))

    def prepare(call: Call, body: bytes, forwarded: bytes, now_s: int) -> bytes:
        return presented(call, body, _without_account(forwarded), now_s)

    return prepare


def lacks(target: Target) -> frozenset[str]:
    return OPERATIONS - {_served(target)}


def _served(target: Target) -> str:
    """The one operation of the target's surface. Raises ValueError where its root is no surface of
    Vertex."""
    for end, operation in _SURFACES.items():
        if target.url.rstrip("/").endswith(end):
            return operation
    raise ValueError(f"{target.url!r} ends in none of {', '.join(_SURFACES)}")


def _without_account(forwarded: bytes) -> bytes:
    if b"openai-" not in forwarded.lower():
        return forwarded
    lines = forwarded.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.lower().startswith(_REFUSED))


DIALECT: Dialect = Dialect(prepare, b"x-request-id", _TAKES, lacks)
