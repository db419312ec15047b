"""Oracle's request signature, really verified: who, when, what was signed, the body's digest, and
the signature.

`Authorization: Signature version="1",keyId="…",algorithm="rsa-sha256",headers="…",signature="…"`
(Oracle's documentation "Request Signatures"). Every request signs `date`, `(request-target)` and
`host`; one with a body `x-content-sha256`, `content-type` and `content-length` too. The machine's
clock is an argument.
"""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from clauseway.sandbox.signatures import credentials
from clauseway.sandbox.signatures.rsa import PublicKey
from clauseway.sandbox.signatures.tokens import decode_segment, read_token
from clauseway.sandbox.wire import Received

_SIGNED_ALWAYS: Final = frozenset({"date", "(request-target)", "host"})
_SIGNED_WITH_BODY: Final = frozenset({"content-length", "content-type", "x-content-sha256"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
# Oracle refuses what was signed longer ago, or further ahead, than this.
_SKEW_MAX: Final = timedelta(minutes=5)
_FIELD: Final = re.compile(r'(\w+)="([^"]*)"')
_USER: Final = f"{credentials.OCI_TENANCY}/{credentials.OCI_USER}/{credentials.OCI_FINGERPRINT}"
INCORRECT: Final = (
    "The required information to complete authentication was not provided or was incorrect."
)
_UNVERIFIED: Final = "Failed to verify the HTTP(S) Signature"


def mistake(received: Received) -> str:
    """Return why Oracle would refuse this signed request; empty where it would not."""
    scheme, _, rest = received.header(b"authorization").partition(" ")
    fields = dict(_FIELD.findall(rest))
    if (
        scheme.lower() != "signature"
        or fields.get("algorithm") != "rsa-sha256"
        or fields.get("version") != "1"
    ):
        return INCORRECT
    key = _key(fields.get("keyId", ""), received.now_s)
    if key is None:
        return INCORRECT
    # Without a list only the date is signed, as HTTP signatures have it by default.
    signed = tuple(fields.get("headers", "date").lower().split())
    needed = _SIGNED_ALWAYS | (_SIGNED_WITH_BODY if received.method in _WITH_BODY else frozenset())
    # `(request-target)` is method and path: signed like a header, and never sent as one.
    present = {name.decode("latin-1") for name, _ in received.headers} | {"(request-target)"}
    if not needed <= set(signed) or not set(signed) <= present:
        return INCORRECT
    return (
        _mistake_in_time(received)
        or _mistake_in_body(received)
        or _mistake_in_signature(received, fields, key)
    )


def _key(key_id: str, now_s: float) -> PublicKey | None:
    """Return the public key behind a key id: a user's registered one, or that named by a
    principal's security token."""
    if key_id == _USER:
        return credentials.DEMONSTRATION_KEY.public
    if not key_id.startswith("ST$"):
        return None
    claims = read_token(key_id.removeprefix("ST$"), credentials.ISSUER_KEY.public)
    # A token of another cloud names no key.
    if claims is None or now_s >= claims["exp"] or "jwk" not in claims:
        return None
    modulus, exponent = (int.from_bytes(decode_segment(claims["jwk"][name])) for name in ("n", "e"))
    return PublicKey(modulus, exponent)


def _mistake_in_time(received: Received) -> str:
    text = received.header(b"date")
    try:
        signed = parsedate_to_datetime(text)
    except ValueError:
        return INCORRECT
    if signed.tzinfo is None:
        return INCORRECT
    now = datetime.fromtimestamp(received.now_s, UTC)
    if abs(signed - now) <= _SKEW_MAX:
        return ""
    earliest, latest = (
        format_datetime(now + skew, usegmt=True) for skew in (-_SKEW_MAX, _SKEW_MAX)
    )
    shown = format_datetime(now, usegmt=True)
    return (
        f"Date '{text}' is not within allowed clock skew. Current '{shown}', valid datetime range: "
        f"['{earliest}', '{latest}']"
    )


def _mistake_in_body(received: Received) -> str:
    if received.method not in _WITH_BODY:
        return ""
    digest = base64.b64encode(hashlib.sha256(received.body).digest()).decode()
    if received.header(b"x-content-sha256") != digest:
        return "The content hash in the x-content-sha256 header does not match the request's body"
    return "" if received.header(b"content-length") == str(len(received.body)) else INCORRECT


def _mistake_in_signature(received: Received, fields: dict[str, str], key: PublicKey) -> str:
    query = f"?{received.query}" if received.query else ""
    target = f"{received.method.lower()} {received.raw_path}{query}"
    names = fields.get("headers", "date").lower().split()
    lines = [
        f"{name}: {target if name == '(request-target)' else received.header(name.encode('latin-1'))}"
        for name in names
    ]
    try:
        signature = base64.b64decode(fields.get("signature", ""), validate=True)
    except ValueError:
        return _UNVERIFIED
    return "" if key.verifies("\n".join(lines).encode("latin-1"), signature) else _UNVERIFIED
