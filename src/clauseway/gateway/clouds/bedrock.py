"""AWS Bedrock's OpenAI-compatible surface: SigV4 over the spliced body, or a Bedrock API key as bearer.

The service that is signed is the target's setting (`bedrock-mantle` or `bedrock`): the vendor's own clients differ.
"""

from clauseway.gateway.clouds.dialect import Dialect, Prepare, address_of, opening, with_static_headers
from clauseway.gateway.clouds.usage import units_of
from clauseway.gateway.plan import Target
from clauseway.gateway.sigv4 import Signer

_AUTHENTICATION = {"bearer": b"authorization: Bearer "}


def prepare(target: Target) -> Prepare:
    if target.auth.kind == "sigv4":
        return _signed(target)
    return with_static_headers(opening(target, _AUTHENTICATION[target.auth.kind] + target.auth.secret.encode()))


def _signed(target: Target) -> Prepare:
    address = address_of(target.url)
    begin = opening(target)
    signer = Signer(
        access_key=target.auth.access_key,
        secret=target.auth.secret,
        service=target.auth.service,
        region=target.auth.region,
        host=address.authority,
        path=f"{address.path}/chat/completions",
        session_token=target.auth.session_token,
    )

    def prepare(body: bytes, passed: bytes, now_s: int) -> bytes:
        return b"%b%b%bcontent-length: %d\r\n\r\n" % (begin, passed, signer.headers(body, now_s), len(body))

    return prepare


DIALECT = Dialect(prepare, units_of, b"x-amzn-requestid")
