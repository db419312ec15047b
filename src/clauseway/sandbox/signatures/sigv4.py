"""AWS Signature Version 4, really verified: the signature is recomputed from the received request
with botocore.

A verifier must sign exactly the headers that the caller signed, and take the rest of the request as
received. The machine's clock is an argument; the business clock never enters a signature.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from clauseway.sandbox.wire import Received

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
# AWS refuses what was signed longer ago, or further ahead, than this.
_SKEW_MAX = timedelta(minutes=5)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Denied(msgspec.Struct, frozen=True):
    """AWS's name of the error and its message; the status is 403."""

    code: str
    message: str


class Principal(msgspec.Struct, frozen=True):
    """The owner's data of an access key. `session_token` is empty for a long-term key."""

    secret_key: str
    session_token: str = ""


class _Authorization(msgspec.Struct, frozen=True):
    access_key: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


class _Recomputed(SigV4Auth):  # type: ignore[misc]
    """botocore's signer, told which headers were signed instead of choosing them."""

    def headers_to_sign(self, request: Any) -> Any:
        return request.headers


def verify(
    received: Received, principals: Mapping[str, Principal], region: str, service: str
) -> Denied | None:
    """Return why AWS would refuse this signed request, or None.

    Checked in AWS's order: form, who, scope, time, signature.
    """
    authorization = _parse(received.header(b"authorization"))
    if isinstance(authorization, Denied):
        return authorization
    principal = principals.get(authorization.access_key)
    # Temporary credentials count only with their session token, and others only without.
    if principal is None or received.header(b"x-amz-security-token") != principal.session_token:
        return Denied(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    timestamp = received.header(b"x-amz-date")
    return (
        _check_scope(authorization, timestamp, region, service)
        or _check_time(timestamp, received.now_s)
        or _check_headers(received, authorization)
        or _check_signature(received, authorization, principal, timestamp)
    )


def _parse(text: str) -> _Authorization | Denied:
    algorithm, _, rest = text.partition(" ")
    if algorithm != _ALGORITHM:
        return Denied(
            "IncompleteSignatureException", f"Unsupported AWS 'algorithm': '{algorithm}'."
        )
    # Credential=…, SignedHeaders=…, Signature=…
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [
        name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)
    ]
    if missing:
        asked = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        return Denied(
            "IncompleteSignatureException",
            f"{asked} Authorization={text.partition('Signature=')[0]}",
        )
    scope = fields["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        return Denied(
            "IncompleteSignatureException",
            f"Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got "
            f"'{fields['Credential']}'",
        )
    return _Authorization(
        access_key=scope[0],
        day=scope[1],
        region=scope[2],
        service=scope[3],
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
    )


def _check_scope(
    authorization: _Authorization, timestamp: str, region: str, service: str
) -> Denied | None:
    if authorization.region != region:
        return Denied("InvalidSignatureException", "Credential should be scoped to a valid region.")
    if authorization.service != service:
        return Denied(
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: '{service}'.",
        )
    # The key is derived from the scope's day, so it has to be the day of the signature's time.
    if authorization.day != timestamp[:8]:
        return Denied(
            "InvalidSignatureException",
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            f"from HTTP: "
            f"'{authorization.day}' != '{timestamp[:8]}', from '{timestamp}'.",
        )
    return None


def _check_time(timestamp: str, now_s: float) -> Denied | None:
    try:
        signed = datetime.strptime(timestamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return Denied(
            "IncompleteSignatureException",
            f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'. See "
            f"http://en.wikipedia.org/wiki/ISO_8601",
        )
    now = datetime.fromtimestamp(now_s, UTC)
    shown = now.strftime(SIGV4_TIMESTAMP)
    if signed < now - _SKEW_MAX:
        earliest = (now - _SKEW_MAX).strftime(SIGV4_TIMESTAMP)
        message = (
            f"Signature expired: {timestamp} is now earlier than {earliest} ({shown} - 5 min.)"
        )
        return Denied("InvalidSignatureException", message)
    if signed > now + _SKEW_MAX:
        latest = (now + _SKEW_MAX).strftime(SIGV4_TIMESTAMP)
        message = (
            f"Signature not yet current: {timestamp} is still later than {latest} ({shown} + 5 "
            f"min.)"
        )
        return Denied("InvalidSignatureException", message)
    return None


def _check_headers(received: Received, authorization: _Authorization) -> Denied | None:
    """`host` and everything AWS reads (`x-amz-*`) must be signed, and the body must be the one that
    was hashed.

    A request without X-Amz-Content-SHA256 is verified against the hash of the body received.
    """
    present = {name.decode("latin-1") for name, _ in received.headers}
    needed = {"host"} | {name for name in present if name.startswith("x-amz-")}
    unsigned = sorted(needed - set(authorization.signed_headers))
    if unsigned:
        names = ", ".join(unsigned)
        return Denied(
            "InvalidSignatureException",
            f"There were headers present in the request which were not signed: {names}",
        )
    missing = sorted(set(authorization.signed_headers) - present)
    if missing:
        return Denied(
            "InvalidSignatureException",
            f"Signed headers are missing from the request: {', '.join(missing)}",
        )
    stated = received.header(b"x-amz-content-sha256")
    if stated and stated != hashlib.sha256(received.body).hexdigest():
        return Denied("InvalidSignatureException", _MISMATCH)
    return None


def _check_signature(
    received: Received, authorization: _Authorization, principal: Principal, timestamp: str
) -> Denied | None:
    headers = HTTPHeaders()
    # Only the headers that the caller signed: others may have been added on the way.
    for name, value in received.headers:
        if (text := name.decode("latin-1")) in authorization.signed_headers:
            headers.add_header(text, value.decode("latin-1"))
    query = f"?{received.query}" if received.query else ""
    # Host is a signed header, taken from the request; the one in this address is not read.
    request = AWSRequest(
        received.method, f"http://host{received.raw_path}{query}", data=received.body
    )
    request.headers = headers
    request.context["timestamp"] = timestamp
    signer = _Recomputed(
        Credentials(authorization.access_key, principal.secret_key),
        authorization.service,
        authorization.region,
    )
    text = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(text, request), authorization.signature):
        return Denied("InvalidSignatureException", _MISMATCH)
    return None
