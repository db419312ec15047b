"""When a token ends. Its signature is the cloud's business; what it says of its end serves to renew
it in time."""

from base64 import urlsafe_b64decode
from binascii import Error

import msgspec


class _Claims(msgspec.Struct):
    exp: int = 0


def expiry_s(token: str) -> int:
    """Seconds since 1970, or 0 where the token does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0
    try:
        return msgspec.json.decode(
            urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims
        ).exp
    except (Error, ValueError, RecursionError, msgspec.DecodeError):
        return 0
