"""RSA-SHA256 signatures (PKCS #1 v1.5). Apart from the rest, because only what signs so needs its
library."""

from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_KEYS_MAX = 16  # one per credential in use, and the one before it


@lru_cache(_KEYS_MAX)
def signer(pem: str) -> Callable[[bytes], bytes]:
    """Signs with the key. It is parsed once, which takes longer than many signatures. Raises
    ValueError where `pem` is no RSA private key in the clear."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the key to sign with cannot be read: {type(error).__name__}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the key to sign with is no RSA key")
    private, padding, hashed = key, PKCS1v15(), SHA256()
    return lambda text: private.sign(text, padding, hashed)
