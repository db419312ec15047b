"""Anthropic's Messages format: to Anthropic itself, and what its forms at other clouds have in
common.

The root is `https://api.anthropic.com/v1`; a key goes as bearer, as the vendor's client sends it,
or as `x-api-key`. The same
format lies at Microsoft Foundry under `/anthropic/v1` (dialect `azure`) and at AWS under Bedrock's
mantle (`bedrock`), there too as it came. Bedrock's runtime and Vertex AI name the model in the path
and the version in the body: an `Envelope` writes both. Judge in the tests is the vendor's client.
"""

import re
from typing import Final

import msgspec

from clauseway.gateway.clouds.dialect import (
    OPERATIONS,
    Call,
    Credential,
    Dialect,
    HeadWriter,
    authentication,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES: Final = frozenset({"api-key", "bearer"})
MESSAGES: Final = frozenset({"messages", "messages.count_tokens"})
MESSAGES_ROOT: Final = "/anthropic/v1"
# Sent for a client that names no version: that of the vendor's client.
VERSION: Final = "2026-10-21"
# The version before it, which the clouds that take it in the body call by names of their own.
_FORMER_VERSION: Final = "2023-06-01"
_VERSION: Final = re.compile(rb"(?i)^anthropic-version: ([^\r]*)\r\n", re.MULTILINE)
_BETAS: Final = re.compile(rb"(?i)^anthropic-beta: ([^\r]*)\r\n", re.MULTILINE)
_VERSION_LINE: Final = f"anthropic-version: {VERSION}\r\n".encode()
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def key_lines(credential: Credential) -> tuple[bytes, ...]:
    """Return the header line that presents a credential. Raises KeyError where it is of no kind
    that is taken."""
    if credential.kind == "api-key":
        return (b"x-api-key: " + credential.secret.encode(),)
    return authentication(credential, _TAKES)


def with_version(writer: HeadWriter) -> HeadWriter:
    """Return the same with a version for clients that name none: the format asks for one."""

    def write_head(call: Call, body: bytes, forwarded: bytes, now_s: int) -> bytes:
        if not _VERSION.search(forwarded):
            forwarded += _VERSION_LINE
        return writer(call, body, forwarded, now_s)

    return write_head


def enveloped(body: bytes, forwarded: bytes, former_version: str, *left_out: str) -> bytes:
    """Return a body as clouds take it that name the model in the path: some members are left out,
    version and betas of the client's head come in. All values stay as they were written."""
    members = _decode_members(body)
    for name in left_out:
        members.pop(name, None)
    if "anthropic_version" not in members:
        named = _VERSION.search(forwarded)
        version = named[1].decode("latin-1") if named else VERSION
        version = former_version if version == _FORMER_VERSION else version
        members["anthropic_version"] = msgspec.Raw(msgspec.json.encode(version))
    return msgspec.json.encode(members)


def betas_in(forwarded: bytes) -> list[str]:
    """Return the betas that a client's head asks for."""
    lines = _BETAS.findall(forwarded)
    named = [name.strip() for line in lines for name in line.decode("latin-1").split(",")]
    return [name for name in named if name]


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    return with_version(with_static_headers(target, *key_lines(credential)))


def lacks(_target: Target) -> frozenset[str]:
    return OPERATIONS - MESSAGES - {"models"}


DIALECT: Dialect = Dialect("anthropic", head_writer, b"request-id", _TAKES, lacks)
