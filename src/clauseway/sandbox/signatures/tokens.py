"""JSON Web Tokens (RFC 7519) signed with RS256, as Microsoft Entra, Google and Oracle use them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from clauseway.sandbox.signatures.rsa import KeyPair, PublicKey


def sign_token(claims: Mapping[str, object], key: KeyPair, key_id: str) -> str:
    """Return the token that says `claims`."""
    head = {"typ": "JWT", "alg": "RS256", "kid": key_id}
    signed = ".".join(
        encode_segment(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)
    )
    return f"{signed}.{encode_segment(key.sign(signed.encode()))}"


def read_token(token: str, key: PublicKey) -> dict[str, Any] | None:
    """Return the claims of a token that `key` signed, or None.

    Times, audience and issuer are the caller's to check.
    """
    signed, _, signature = token.rpartition(".")
    try:
        head, claims = (json.loads(decode_segment(part)) for part in signed.split("."))
        given = decode_segment(signature)
    except ValueError:
        return None
    if not isinstance(head, dict) or not isinstance(claims, dict) or head.get("alg") != "RS256":
        return None
    return claims if key.verifies(signed.encode(), given) else None


def decode_segment(text: str) -> bytes:
    """Decode what `encode_segment` wrote. Raise ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def encode_segment(content: bytes) -> str:
    """base64url without its padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
