"""Calling a cloud once, by hand: connect, greet, ask, read.

The gateway's call, step by step, so that a report can name the step that fails. The head of the
request is the cloud module's own.
"""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import msgspec

from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.clouds.dialect import address_of
from clauseway.gateway.plan import Target
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.transport.metadata_addresses import flaw_of_host
from clauseway.gateway.transport.tls import toward_clouds
from clauseway.values import NOT_JSON

CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S = 10.0, 60.0
_ANSWER_BYTES_MAX = 8 << 20  # a list of models is some hundred KB at most
_SAID_CHARACTERS_MAX = 300


class Connected(msgspec.Struct, frozen=True):
    """An open connection, and how it is secured in words."""

    socket: socket.socket
    secured: str


class CloudAnswer(msgspec.Struct, frozen=True):
    """A cloud's answer.

    `request_id` is its own name for the request; `ahead_s` is by how much this machine's clock is
    ahead of the cloud's.
    """

    status: int
    body: bytes
    request_id: str
    duration_ms: int
    ahead_s: float = 0.0

    @property
    def said(self) -> str:
        """Return the message of an error in OpenAI's shape, or the first words of anything else."""
        try:
            error = msgspec.json.decode(self.body)["error"]
            text = error["message"] if isinstance(error, dict) else error
        except (*NOT_JSON, KeyError, TypeError):
            text = self.body.decode("utf-8", "replace")
        return " ".join(str(text).split())[:_SAID_CHARACTERS_MAX]


@contextlib.contextmanager
def connected(target: Target, tls: TlsSettings) -> Iterator[Connected]:
    """Connect to the target, and trust there whom the gateway trusts. Raise OSError (ssl.SSLError is
    one), and InvalidInput where the authority that the settings name is none."""
    address = address_of(target.url)
    with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as plain:
        reached = plain.getpeername()[0]
        if flaw := flaw_of_host(reached):
            raise ConnectionRefusedError(f"{address.host} leads to {reached}: {flaw}")
        if address.scheme == "http":
            yield Connected(plain, "not secured")
            return
        with toward_clouds(tls).wrap_socket(plain, server_hostname=address.host) as secure:
            yield Connected(secure, secure.version() or "TLS")


def answer_to(
    connection: Connected, target: Target, credential: Credential, call: Call, body: bytes
) -> CloudAnswer:
    """Send one call and read the whole answer. Raise OSError, http.client.HTTPException."""
    dialect = DIALECTS[target.dialect]
    begun_s = time.monotonic()
    head = dialect.head_writer(target, credential)(
        call, body, b"connection: close\r\n", int(time.time())
    )
    connection.socket.settimeout(ANSWER_TIMEOUT_S)
    connection.socket.sendall(head + body)
    response = http.client.HTTPResponse(connection.socket, method=call.method.decode())
    with contextlib.closing(response):
        response.begin()
        answer = _read(response, begun_s + ANSWER_TIMEOUT_S)
        return CloudAnswer(
            status=response.status,
            body=answer,
            request_id=response.getheader(dialect.request_id_header.decode(), ""),
            duration_ms=round((time.monotonic() - begun_s) * 1000),
            ahead_s=_ahead_s(response.getheader("date", "")),
        )


def _read(response: http.client.HTTPResponse, until_s: float) -> bytes:
    """Return the body. Raise TimeoutError where it does not end in time, though bytes still come."""
    body = b""
    while piece := response.read1(_ANSWER_BYTES_MAX - len(body)):
        body += piece
        if time.monotonic() > until_s:
            raise TimeoutError(f"the answer did not end within {ANSWER_TIMEOUT_S:.0f} s")
    return body


def _ahead_s(date: str) -> float:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:  # it did not say
        return 0.0
