"""AWS Bedrock: SigV4 over the spliced body, or a Bedrock API key as bearer.

OpenAI's format has two surfaces, Anthropic's two more.

Mantle lies at `https://bedrock-mantle.{region}.api.aws/openai/v1` (or `/v1`, by model) and is
signed as `bedrock-mantle`; the runtime at
`https://bedrock-runtime.{region}.amazonaws.com/openai/v1`, signed as `bedrock`. The host says
which, unless `auth.service` does; it says the region too, unless `auth.region` does. What each
surface has is from AWS's pages "Endpoints supported by Amazon Bedrock" and "Responses API", which
lists the runtime's paths.

Anthropic's models are served in their own format by mantle at
`https://bedrock-mantle.{region}.api.aws/anthropic/v1`, and by the runtime, whose root is
`https://bedrock-runtime.{region}.amazonaws.com`, through InvokeModel: the model in the path, and
streams in frames of AWS's own.
"""

from functools import lru_cache
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

import msgspec

from clauseway.gateway.clouds.anthropic import (
    MESSAGES,
    MESSAGES_ROOT,
    betas_in,
    enveloped,
    with_version,
)
from clauseway.gateway.clouds.dialect import (
    CALLS_MAX,
    OPERATIONS,
    Address,
    Call,
    Credential,
    Dialect,
    Envelope,
    HeadWriter,
    address_of,
    authentication,
    beginning,
    ending,
    fixed_headers,
    with_static_headers,
)
from clauseway.gateway.clouds.sigv4 import Signer, SigningKey
from clauseway.gateway.plan import Target

_TAKES = frozenset({"sigv4", "bearer"})
_MANTLE, _RUNTIME = "bedrock-mantle", "bedrock"
_FORMER_VERSION = "bedrock-2023-05-31"
_RUNTIME_HOSTS = ("bedrock-runtime.", "bedrock-runtime-fips.")
_RESPONSES = frozenset({"responses", "responses.retrieve", "responses.delete", "responses.cancel"})
_BATCHES = frozenset({"batches.create", "batches.list", "batches.retrieve", "batches.cancel"})
# The files of batches lie in S3.
_ON_RUNTIME = frozenset({"chat"}) | _RESPONSES | _BATCHES
_ON_MANTLE = frozenset({"chat", "models", "responses.input_items"}) | _RESPONSES


def head_writer(target: Target, credential: Credential) -> HeadWriter:
    writer = _signing_writer(target, credential)
    has_messages = target.url.rstrip("/").endswith(MESSAGES_ROOT)
    return with_version(writer) if has_messages else writer


def _signing_writer(target: Target, credential: Credential) -> HeadWriter:
    if credential.kind != "sigv4":
        return with_static_headers(target, *authentication(credential, _TAKES))

    address = address_of(target.url)
    root, fixed = address.path.encode(), fixed_headers(address)
    key = SigningKey(
        access_key=credential.access_key,
        secret=credential.secret,
        session_token=credential.session_token,
        service=target.auth.service or _service(address),
        region=target.auth.region or _region(address),
    )

    # All that does not depend on body and time is hashed once for each path that is called.
    @lru_cache(CALLS_MAX)
    def signing(call: Call) -> tuple[bytes, Signer]:
        path, _, query = call.path.partition(b"?")
        sent = _encoded(query)
        signer = Signer(
            key,
            method=call.method.decode(),
            host=address.authority,
            path=address.path + path.decode("latin-1"),
            query=sent,
            content_type=call.content_type.decode("latin-1"),
        )
        return beginning(
            call._replace(path=path + b"?" + sent.encode() if sent else path), root, fixed
        ), signer

    def signed(call: Call, body: bytes, forwarded: bytes, now_s: int) -> bytes:
        begun, signer = signing(call)
        return begun + forwarded + signer.headers(body, now_s) + ending(call, body)

    return signed


def lacks(target: Target) -> frozenset[str]:
    address = address_of(target.url)
    if address.path.endswith(MESSAGES_ROOT):
        return OPERATIONS - MESSAGES
    if is_invoked(target):
        return OPERATIONS - {"messages"}
    service = target.auth.service or _service(address)
    return OPERATIONS - (_ON_RUNTIME if service == _RUNTIME else _ON_MANTLE)


def is_invoked(target: Target) -> bool:
    """Return whether models are called by InvokeModel: the runtime's root without OpenAI's path."""
    return not address_of(target.url).path


def envelope(target: Target) -> Envelope | None:
    """The model and whether it streams in the path, the betas in the body."""
    if not is_invoked(target):
        return None
    model = quote(target.label.model, safe=":").encode()

    def invoked(call: Call, body: bytes, forwarded: bytes, streamed: bool) -> tuple[Call, bytes]:
        how = b"invoke-with-response-stream" if streamed else b"invoke"
        body = enveloped(body, forwarded, _FORMER_VERSION, "model", "stream")
        betas = betas_in(forwarded)
        if betas and b'"anthropic_beta"' not in body:
            body = b'%b,"anthropic_beta":%b}' % (body[:-1], msgspec.json.encode(betas))
        return call._replace(path=b"/model/%b/%b" % (model, how)), body

    return invoked


def _service(address: Address) -> str:
    return _RUNTIME if address.host.startswith(_RUNTIME_HOSTS) else _MANTLE


def _region(address: Address) -> str:
    """The region that a host of Bedrock names. Raises ValueError where it names none."""
    labels = address.host.split(".")
    if len(labels) < 3 or not labels[0].startswith("bedrock"):
        raise ValueError(f"{address.host!r} names no region of Bedrock: set the region of its auth")
    return labels[1]


def _encoded(query: bytes) -> str:
    """The query as AWS encodes it before it signs: what is sent is what was signed, however the
    client wrote it."""
    pairs = (part.replace(b"+", b"%20").partition(b"=") for part in query.split(b"&") if part)
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, _, value in pairs)


def _quoted(text: bytes) -> str:
    return quote_from_bytes(unquote_to_bytes(text), safe="-_.~")


# AWS says 403 of a token that has ended, as of an action that is not allowed.
DIALECT: Dialect = Dialect(
    "aws.bedrock",
    head_writer,
    b"x-amzn-requestid",
    _TAKES,
    lacks,
    refuses_with=frozenset({401, 403}),
    envelope=envelope,
    framed=is_invoked,
)
