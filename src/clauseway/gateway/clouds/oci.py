"""Oracle OCI Generative AI: a service key as bearer, or OCI's request signing with an RSA key.

`settings["compartment_id"]` names the compartment, under both names that the vendor's client sends.
A signature covers date, request target and host, and of a POST its length, type and SHA-256 too, in
the order of the vendor's signer.
"""

from base64 import b64encode
from email.utils import formatdate
from hashlib import sha256
from importlib import import_module

from clauseway.gateway.clouds.dialect import (
    OPERATIONS,
    Call,
    Credential,
    Dialect,
    HeadWriter,
    address_of,
    authentication,
    beginning,
    ending,
    fixed_headers,
    with_static_headers,
)
from clauseway.gateway.plan import Target

_TAKES = frozenset({"bearer", "signature"})
# Loaded when a key is there to sign with: the library behind it is no part of a plain installation.
_RSA = "clauseway.gateway.clouds.rsa"
_COMPARTMENT = (b"CompartmentId: ", b"opc-compartment-id: ")
_SIGNED = b"date (request-target) host"
_SIGNED_WITH_BODY = _SIGNED + b" content-length content-type x-content-sha256"
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
# OCI's page "OpenAI-Compatible Endpoints"; embeddings are offered in its own format only.
_SERVED = frozenset(
    {
        "chat",
        "responses",
        "responses.retrieve",
        "responses.delete",
        "responses.cancel",
        "responses.input_items",
        "files.create",
        "files.list",
        "files.retrieve",
        "files.delete",
        "files.content",
        *(operation for operation in OPERATIONS if operation.startswith("conversations.")),
    }
)


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    address = address_of(target.url)
    root = address.path.encode()
    compartment = target.settings.get("compartment_id", "").encode()
    named = tuple(name + compartment for name in _COMPARTMENT) if compartment else ()
    if credential.kind != "signature":
        return with_static_headers(target, *authentication(credential, _TAKES), *named)

    sign = import_module(_RSA).signer(credential.secret)
    host, fixed = address.authority.encode(), fixed_headers(address, *named)
    key_id = credential.key_id.encode()

    def signed(call: Call, body: bytes, forwarded: bytes, now_s: int) -> bytes:
        date = formatdate(now_s, usegmt=True).encode()
        text = b"date: %b\n(request-target): %b %b%b\nhost: %b" % (
            date,
            call.method.lower(),
            root,
            call.path,
            host,
        )
        covered, digest_line = _SIGNED, b""
        if call.method in _WITH_BODY:
            # The signature covers a type, so there is one even where there is nothing to describe.
            call = call if call.content_type else call._replace(content_type=b"application/json")
            digest = b64encode(sha256(body).digest())
            text += b"\ncontent-length: %d\ncontent-type: %b\nx-content-sha256: %b" % (
                len(body),
                call.content_type,
                digest,
            )
            covered, digest_line = _SIGNED_WITH_BODY, b"x-content-sha256: %b\r\n" % digest
        authorization = (
            b'authorization: Signature algorithm="rsa-sha256",headers="%b",keyId="%b",signature="%b",version="1"\r\n'
            % (covered, key_id, b64encode(sign(text)))
        )
        lines = b"%bdate: %b\r\n%b%b%b" % (fixed, date, digest_line, authorization, forwarded)
        return beginning(call, root, lines) + ending(call, body)

    return signed


def lacks(_target: Target) -> frozenset[str]:
    return OPERATIONS - _SERVED


DIALECT: Dialect = Dialect(
    "oci.genai",
    head_writer,
    b"opc-request-id",
    _TAKES,
    lacks,
    settings=frozenset({"compartment_id"}),
)
