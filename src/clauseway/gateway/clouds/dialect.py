"""The interface of a cloud's module."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from clauseway.gateway.plan import Auth, Target
from clauseway.metering.endpoints import ENDPOINTS


class Call(NamedTuple):
    """A request in OpenAI's terms. `path` lies under the root that OpenAI calls `/v1`, its query
    included; `content_type` is empty where there is no body."""

    method: bytes
    path: bytes
    content_type: bytes


CHAT_COMPLETIONS = Call(b"POST", b"/chat/completions", b"application/json")

# The features that a surface may have or lack, by name. `Dialect.lacks` says which it has not.
OPERATIONS = frozenset({*ENDPOINTS, "models"})

# (call, body, header lines to pass on, whether it streams) → the call and the body as a cloud takes
# them that names in the path what others have in the body.
Envelope = Callable[[Call, bytes, bytes, bool], tuple[Call, bytes]]
# (call, body, header lines to pass on, seconds since 1970) → the authenticated head, up to and
# including the empty line.
HeadWriter = Callable[[Call, bytes, bytes, int], bytes]


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """The credential that is presented to a cloud. `kind` says how: `bearer` and `api-key` send
    `secret`; `sigv4` signs with it (`access_key`, `session_token` go with it); `signature` signs
    with the RSA key `secret` (PEM) named `key_id`; `none` sends nothing.

    `expires_s` is when it ends, in seconds since 1970; 0 where it does not.
    """

    kind: str
    secret: str
    access_key: str = ""
    session_token: str = ""
    key_id: str = ""
    expires_s: int = 0

    def __repr__(self) -> str:
        """Without secrets: credentials end up in messages and logs."""
        return f"Credential(kind={self.kind!r}, expires_s={self.expires_s})"


def credential_in(auth: Auth) -> Credential:
    """The credential of an `Auth` that holds it itself."""
    return Credential(
        kind=auth.kind,
        secret=auth.secret,
        access_key=auth.access_key,
        session_token=auth.session_token,
        key_id=auth.settings.get("key_id", ""),
    )


def no_envelope(_target: Target) -> Envelope | None:
    """Return None: the surface takes calls and bodies unchanged."""
    return None


def no_operation(_target: Target) -> frozenset[str]:
    """For surfaces that have all of OpenAI's operations."""
    return frozenset()


class Dialect(NamedTuple):
    """A cloud's module. `provider` is what spans call it: `gen_ai.provider.name` of OpenTelemetry's
    conventions, which `catalog.cloud_names` reads back. `head_writer(target, credential)` returns
    the function that writes the authenticated heads of requests to that target; a new credential is
    a new function. It raises KeyError if `credential.kind` is not in `takes`, ValueError if the
    target's address or settings, or the credential's key, are invalid.

    `request_id_header` is the header in which the cloud names the request for itself, in lower
    case. `lacks(target)` are the operations (by name) that the surface does not have.
    `takes_usage_option`: whether a chat stream may be asked for its usage chunk. Both raise
    ValueError as `head_writer` does. `refuses_with` are the statuses by which the cloud refuses a
    credential. `envelope(target)` is how calls and bodies are changed for it;
    `framed(target)`: its streams come in the frames of AWS instead of server-sent events.
    `settings` are the names of a target's settings that the module reads.
    """

    provider: str
    head_writer: Callable[[Target, Credential], HeadWriter]
    request_id_header: bytes
    takes: frozenset[str]
    lacks: Callable[[Target], frozenset[str]] = no_operation
    takes_usage_option: Callable[[Target], bool] = lambda _target: True
    refuses_with: frozenset[int] = frozenset({401})
    envelope: Callable[[Target], Envelope | None] = no_envelope
    framed: Callable[[Target], bool] = lambda _target: False
    settings: frozenset[str] = frozenset()


_USUAL_PORTS = {"http": 80, "https": 443}
# A name as DNS takes it (RFC 1035, 2.3.4), with the underscore that private networks use too.
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_HOST_CHARACTERS_MAX = 253
# The whole authority, less its port. `urlsplit` drops what stands beside the brackets. A zone (%…)
# would matter to link-local addresses alone, which are never called.
_BRACKETED = re.compile(r"\[[^\]%]+\](:.*)?")
# Characters that break the line of a request: `urlsplit` drops tabs and ends of lines, and
# keeps spaces.
_VISIBLE = re.compile(r"[!-~]+")


class Address(NamedTuple):
    """Where a target's root lies. `authority` is what the `host` header says."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


def address_of(url: str) -> Address:
    """Raises ValueError where `url` is not `http://` or `https://` with a host that can be called."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # Without what stands before the @: it may be a secret.
        raise ValueError(f"{url.rpartition('@')[2]!r} is no http or https address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"the address of {parts.hostname!r} holds a user, a query or a fragment")
    if not _VISIBLE.fullmatch(url):
        raise ValueError(
            f"the address of {parts.hostname!r} holds a space or another character that no address "
            "has (others are written as %…)"
        )
    is_bracketed = "[" in parts.netloc
    if is_bracketed and not _BRACKETED.fullmatch(parts.netloc):
        raise ValueError(
            f"{parts.netloc!r} is no address of IPv6 in brackets, alone: no zone (%…) and no name stands "
            "in or beside them"
        )
    if not names_host(parts.hostname, is_bracketed=is_bracketed):
        raise ValueError(
            f"{parts.hostname!r} is no name of a host: between dots it has 1 to 63 letters, digits and "
            "hyphens of ASCII (others are written as xn--…)"
        )
    port = _port_of(parts)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port == _USUAL_PORTS[parts.scheme] else f"{host}:{port}"
    return Address(parts.scheme, parts.hostname, port, authority, parts.path.rstrip("/"))


def names_host(host: str, *, is_bracketed: bool) -> bool:
    """Return whether a text is the name or address of a host, in small letters."""
    if not is_bracketed:
        return len(host) <= _HOST_CHARACTERS_MAX and _HOST.fullmatch(host) is not None
    try:
        return bool(IPv6Address(host).packed)
    except ValueError:
        return False


def _port_of(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"the port of {parts.hostname!r} is none from 1 to 65535")
    return port or _USUAL_PORTS[parts.scheme]


# A POST without a body says so, or some servers answer 411.
_OFTEN_WITHOUT_BODY = frozenset({b"GET", b"DELETE", b"HEAD"})
CALLS_MAX = 64  # calls without an identifier in their path are two dozen; the others come and go


def with_static_headers(target: Target, *lines: bytes) -> HeadWriter:
    """For clouds whose authentication is the same for every request, under one root."""
    address = address_of(target.url)
    return with_fixed_headers(address.path.encode(), fixed_headers(address, *lines))


def with_fixed_headers(
    root: bytes, fixed: bytes, path_of: Callable[[Call], bytes] = lambda call: call.path
) -> HeadWriter:
    """Return heads under `root` with header lines that are the same for every request; `path_of`
    turns a call's path into the cloud's."""

    # All of the head but what the client passed on and the body's length: the same for every chat
    # request.
    begun = lru_cache(CALLS_MAX)(
        lambda call: beginning(call._replace(path=path_of(call)), root, fixed)
    )

    def write_head(call: Call, body: bytes, forwarded: bytes, _now_s: int) -> bytes:
        if not body and call.method in _OFTEN_WITHOUT_BODY:
            return b"%b%b\r\n" % (begun(call), forwarded)
        return b"%b%bcontent-length: %d\r\n\r\n" % (begun(call), forwarded, len(body))

    return write_head


def beginning(call: Call, root: bytes, fixed: bytes) -> bytes:
    """A head as far as it is the same for every request of a call."""
    typed = b"content-type: " + call.content_type + b"\r\n" if call.content_type else b""
    return b"%b %b%b HTTP/1.1\r\n%b%b" % (call.method, root, call.path, fixed, typed)


def ending(call: Call, body: bytes) -> bytes:
    """A head's end: the body's length, where it is to be said, and the empty line."""
    if not body and call.method in _OFTEN_WITHOUT_BODY:
        return b"\r\n"
    return b"content-length: %d\r\n\r\n" % len(body)


def fixed_headers(address: Address, *lines: bytes) -> bytes:
    """The host, that nothing is to be encoded, and further header lines, each without its end.
    Raises ValueError where one would be several."""
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise ValueError(
                f"what is sent as {line.partition(b':')[0].decode()!r} has several lines"
            )
    all_lines = (b"host: " + address.authority.encode(), _NO_CODING, *lines)
    return b"".join([line + b"\r\n" for line in all_lines])


# Without it a server may choose any coding (RFC 9110, 12.5.3), and what is encoded is not read.
_NO_CODING = b"accept-encoding: identity"
_STATIC = {"bearer": b"authorization: Bearer ", "api-key": b"api-key: "}


def authentication(credential: Credential, takes: frozenset[str]) -> tuple[bytes, ...]:
    """The header line that presents the credential. Raises KeyError where it is of no kind that is
    taken."""
    if credential.kind not in takes:
        raise KeyError(credential.kind)
    return (
        ()
        if credential.kind == "none"
        else (_STATIC[credential.kind] + credential.secret.encode(),)
    )
