"""AWS Signature Version 4, for requests with a body and a fixed set of headers.

Our own, because the vendor's takes 39 µs a request and this one about 10: the derived key is kept for the day, and what
never changes of the canonical request is built once. Rule: AWS's "Signature Version 4 signing process"; the vendor's
signer is the judge in the tests. Pure: the time is an argument.
"""

import hashlib
import hmac
import time
from urllib.parse import quote

_ALGORITHM = b"AWS4-HMAC-SHA256"
_UNRESERVED = "/~"


def canonical_path(path: str) -> str:
    """The path as it is signed: dot segments removed, slashes collapsed, encoded once more."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part and part != ".":
            kept.append(part)
    trailing = "/" if path.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + trailing, safe=_UNRESERVED)


def canonical_query(query: str) -> str:
    """The query as it is signed, sorted by name and value; it is taken to be encoded already."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in pairs))


class Signer:
    """Signs requests of one method to one path of one host with one set of credentials.

    `service` and `region` are the scope (`bedrock-mantle`, `us-east-1`); which service a surface wants is a setting.
    """

    def __init__(
        self,
        *,
        access_key: str,
        secret: str,
        service: str,
        region: str,
        host: str,
        path: str,
        method: str = "POST",
        query: str = "",
        content_type: str = "application/json",
        session_token: str = "",
    ) -> None:
        self._secret = secret.encode()
        self._region = region.encode()
        self._service = service.encode()
        self._access_key = access_key.encode()
        token = session_token.encode()
        typed = b"content-type;" if content_type else b""
        names = typed + b"host;x-amz-content-sha256;x-amz-date" + (b";x-amz-security-token" if token else b"")
        path_and_query = b"%b\n%b" % (canonical_path(path).encode(), canonical_query(query).encode())
        # What is signed of every request, with places for body hash, date, and body hash again.
        self._canonical = (
            method.encode() + b"\n" + path_and_query.replace(b"%", b"%%")
            + (b"\ncontent-type:" + content_type.encode().replace(b"%", b"%%") if content_type else b"")
            + b"\nhost:" + host.encode()
            + b"\nx-amz-content-sha256:%b\nx-amz-date:%b\n"
            + (b"x-amz-security-token:" + token.replace(b"%", b"%%") + b"\n" if token else b"")
            + b"\n" + names + b"\n%b"
        )  # fmt: skip
        self._headers = (
            b"x-amz-date: %b\r\nx-amz-content-sha256: %b\r\n"
            + (b"x-amz-security-token: " + token.replace(b"%", b"%%") + b"\r\n" if token else b"")
            + b"authorization: " + _ALGORITHM + b" Credential=%b, SignedHeaders=" + names + b", Signature=%b\r\n"
        )  # fmt: skip
        self._second = -1
        self._stamp = b""
        self._day = b""
        self._scope = b""
        self._key = b""

    def headers(self, body: bytes, now_s: int) -> bytes:
        """The header lines that sign `body` at `now_s` (seconds since 1970). Host and content type are the caller's."""
        if now_s != self._second:
            self._set_time(now_s)
        body_hash = hashlib.sha256(body).hexdigest().encode()
        canonical = self._canonical % (body_hash, self._stamp, body_hash)
        request_hash = hashlib.sha256(canonical).hexdigest().encode()
        to_sign = b"%b\n%b\n%b\n%b" % (_ALGORITHM, self._stamp, self._scope, request_hash)
        signature = hmac.digest(self._key, to_sign, "sha256").hex().encode()
        return self._headers % (self._stamp, body_hash, b"%b/%b" % (self._access_key, self._scope), signature)

    def _set_time(self, now_s: int) -> None:
        self._second = now_s
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s)).encode()
        day = self._stamp[:8]
        if day == self._day:
            return
        self._day = day
        self._scope = b"%b/%b/%b/aws4_request" % (day, self._region, self._service)
        key = b"AWS4" + self._secret
        for part in (day, self._region, self._service, b"aws4_request"):
            key = hmac.digest(key, part, "sha256")
        self._key = key
