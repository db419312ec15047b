"""What the gateway asks of a cloud's module."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from clauseway.gateway.clouds.usage import ChatUsage, Units
from clauseway.gateway.plan import Target

Prepare = Callable[[bytes, bytes, int], bytes]


class Dialect(NamedTuple):
    """A cloud's module. `prepare(target)` returns a function of (body, header lines to pass on, seconds since 1970)
    that gives the head of the request to that target, signed, up to and including the empty line.

    `units_of` maps the cloud's usage report to our units. `request_id_header` is the header in which the cloud names
    the request for itself, in lower case. `prepare` raises KeyError where the target's `auth.kind` is none that the
    cloud takes, ValueError where its address is none.
    """

    prepare: Callable[[Target], Prepare]
    units_of: Callable[[ChatUsage], Units]
    request_id_header: bytes


class Address(NamedTuple):
    """Where a target's root lies. `authority` is what the `host` header says."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


def address_of(url: str) -> Address:
    """Raises ValueError where `url` is not `http://` or `https://` with a host."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no http or https address")
    usual = 443 if parts.scheme == "https" else 80
    port = parts.port or usual
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port == usual else f"{host}:{port}"
    return Address(parts.scheme, parts.hostname, port, authority, parts.path.rstrip("/"))


def opening(target: Target, *lines: bytes) -> bytes:
    """Request line and headers that never change for a target."""
    address = address_of(target.url)
    first = f"POST {address.path}/chat/completions HTTP/1.1\r\nhost: {address.authority}\r\n".encode()
    return first + b"content-type: application/json\r\n" + b"".join(line + b"\r\n" for line in lines)


def with_static_headers(opening: bytes) -> Prepare:
    """For clouds whose authentication is the same for every request."""

    def prepare(body: bytes, passed: bytes, _now_s: int) -> bytes:
        return b"%b%bcontent-length: %d\r\n\r\n" % (opening, passed, len(body))

    return prepare
