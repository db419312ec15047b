"""Customers' keys: a keyed hash of the secret is stored, the secret nowhere.

BLAKE2b with the plan's key and 32 bytes of output. The secret is a long random string, so no slow
hash is needed.
"""

from hashlib import blake2b

_DIGEST_BYTES = 32


def digest(hash_key: bytes, secret: bytes) -> bytes:
    """Return the stored form of a key's secret; in a plan it stands in hex. `hash_key` has at most
    64 bytes."""
    return blake2b(secret, key=hash_key, digest_size=_DIGEST_BYTES).digest()


def secret_in(authorization: bytes) -> bytes:
    """Return the secret in the value of an `Authorization` header; empty where the scheme is not
    Bearer."""
    scheme, _, secret = authorization.partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else b""
