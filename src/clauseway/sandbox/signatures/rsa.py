"""RSA signatures (PKCS #1 v1.5 with SHA-256, RFC 8017), verified and made with whole-number
arithmetic alone.

The sandbox's private keys are public, so nothing here has to withstand an attack, and no
cryptography package is needed.
"""

import base64
import hashlib
from functools import cached_property
from typing import Final

import msgspec

_EXPONENT: Final = 65_537
# DER of DigestInfo up to the digest of SHA-256 (RFC 8017, section 9.2, note 1), and of the
# algorithm "rsaEncryption".
_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_ALGORITHM: Final = bytes.fromhex("300d06092a864886f70d0101010500")


class PublicKey(msgspec.Struct, frozen=True):
    """A public key: modulus and exponent."""

    modulus: int
    exponent: int = _EXPONENT

    def verifies(self, message: bytes, signature: bytes) -> bool:
        size = (self.modulus.bit_length() + 7) // 8
        number = int.from_bytes(signature)
        if len(signature) != size or number >= self.modulus:
            return False
        return pow(number, self.exponent, self.modulus).to_bytes(size) == _padded(message, size)

    @property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        key = _sequence(_integer(self.modulus), _integer(self.exponent))
        return _sequence(_ALGORITHM, _tagged(0x03, b"\x00" + key))

    @property
    def fingerprint(self) -> str:
        """Return Oracle's name of a key: MD5 of the DER, with colons."""
        return hashlib.md5(self.der, usedforsecurity=False).digest().hex(":")


class KeyPair(msgspec.Struct, frozen=True, dict=True):
    """A key pair, from its two primes."""

    p: int
    q: int

    @cached_property
    def public(self) -> PublicKey:
        return PublicKey(self.p * self.q)

    @cached_property
    def _exponent(self) -> int:
        return pow(_EXPONENT, -1, (self.p - 1) * (self.q - 1))

    def sign(self, message: bytes) -> bytes:
        p, q, size = self.p, self.q, (self.public.modulus.bit_length() + 7) // 8
        number = int.from_bytes(_padded(message, size))
        # By its remainders (RFC 8017, section 5.1.2): a quarter of the time.
        of_p, of_q = (
            pow(number, self._exponent % (p - 1), p),
            pow(number, self._exponent % (q - 1), q),
        )
        return (of_q + (of_p - of_q) * pow(q, -1, p) % p * q).to_bytes(size)

    @property
    def pem(self) -> str:
        """Return the private key as PKCS #8."""
        d, p, q = self._exponent, self.p, self.q
        numbers = (
            0,
            self.public.modulus,
            _EXPONENT,
            d,
            p,
            q,
            d % (p - 1),
            d % (q - 1),
            pow(q, -1, p),
        )
        key = _sequence(_integer(0), _ALGORITHM, _tagged(0x04, _sequence(*map(_integer, numbers))))
        text = base64.encodebytes(key).decode().replace("\n", "")
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        mark = "PRIVATE" + " KEY"  # in two parts, so that no scanner takes this file for a key
        return "\n".join([f"-----BEGIN {mark}-----", *lines, f"-----END {mark}-----", ""])


def prime_after(text: str, distance: int) -> int:
    """Return the 1024-bit number that begins with `text` (at most 119 bytes) and is `distance`
    above the rest of zeros."""
    return int.from_bytes(b"\xff" + text.encode().ljust(119, b".") + bytes(8)) + distance


def _padded(message: bytes, size: int) -> bytes:
    digest = _DIGEST_INFO + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size) + content


def _integer(number: int) -> bytes:
    return _tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))
