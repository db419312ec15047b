"""AWS Bedrock's OpenAI-compatible surface: SigV4 over the spliced body, or a Bedrock API key as bearer.

The service that is signed is the target's setting (`bedrock-mantle` or `bedrock`): the vendor's own clients differ.
"""

from clauseway.gateway.clouds.dialect import Call, Credential, Dialect, Prepare, address_of, head, with_static_headers
from clauseway.gateway.clouds.usage import units_of
from clauseway.gateway.plan import Target
from clauseway.gateway.sigv4 import Signer

_AUTHENTICATION = {"bearer": b"authorization: Bearer "}
_SIGNERS_MAX = 64  # calls whose path holds an identifier are all different; those without are a dozen


def prepare(target: Target, credential: Credential) -> Prepare:
    if credential.kind == "sigv4":
        return _signed(target, credential)
    return with_static_headers(target, _AUTHENTICATION[credential.kind] + credential.secret.encode())


def _signed(target: Target, credential: Credential) -> Prepare:
    address = address_of(target.url)
    root, host = address.path.encode(), f"host: {address.authority}\r\n".encode()
    signers: dict[Call, Signer] = {}

    def signer_of(call: Call) -> Signer:
        path, _, query = call.path.decode("latin-1").partition("?")
        signer = Signer(
            access_key=credential.access_key,
            secret=credential.secret,
            service=target.auth.service,
            region=target.auth.region,
            host=address.authority,
            method=call.method.decode(),
            path=address.path + path,
            query=query,
            content_type=call.content_type.decode("latin-1"),
            session_token=credential.session_token,
        )
        if len(signers) < _SIGNERS_MAX:
            signers[call] = signer
        return signer

    def prepare(call: Call, body: bytes, passed: bytes, now_s: int) -> bytes:
        signer = signers.get(call) or signer_of(call)
        return head(call, root, host, passed, signer.headers(body, now_s), body)

    return prepare


DIALECT = Dialect(prepare, units_of, b"x-amzn-requestid")
