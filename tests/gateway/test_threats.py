"""Attempts of a tenant that no other test makes: a body or a message that unpacks to gigabytes, an address for the
gateway to call, a key found byte by byte, a page at the gateway's port."""

import contextlib
import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, SECRET, Cloud, Rig, chat_body, read_all, request_bytes, well

from clauseway.gateway.routing.key_digests import digest
from clauseway.gateway.wire.bodies.body_contents import read_body
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.decoding import Decode, RequestProperties
from clauseway.gateway.wire.bodies.message_requests import decode_messages
from clauseway.gateway.wire.bodies.requests import (
    NOTHING_ASKED,
    decode_chat,
    decode_items,
    decode_plain,
    decode_responses,
)
from clauseway.gateway.wire.web_socket_turns import request_of

BOMB_BYTES = 64 << 20
OPENAPI = Path(__file__).parents[2] / "docs/openapi"


def paths_of(document: str) -> list[str]:
    """The addresses of an OpenAPI document, each with a month in the place of every name."""
    paths = json.loads((OPENAPI / document).read_text())["paths"]
    return [re.sub(r"\{\w+\}", "2026-05", path) for path in paths]


# Addresses that the pages answer and the gateway does not.
PAGES_ALONE = sorted(set(paths_of("pages.json")) - set(paths_of("gateway.json")))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure", well)
        started.start()
        yield started


@pytest.fixture
def azure(rig: Rig) -> Cloud:
    cloud = rig.clouds["azure"]
    cloud.requests.clear()
    return cloud


# coding | what makes a body in it, not before it is needed; of those that Python cannot write, the first bytes
CODED: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(b" " * BOMB_BYTES),
    "deflate": lambda: zlib.compress(b" " * BOMB_BYTES),
    "zstd": lambda: b"(\xb5/\xfd" + bytes(64),
    "br": lambda: b"\x8b" * 64,
}


def peak_kb(rig: Rig) -> int:
    """The largest memory that the gateway's process ever had."""
    assert rig.process is not None
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.parametrize("coding", CODED)
def test_no_body_of_a_request_is_unpacked(rig: Rig, azure: Cloud, coding: str) -> None:
    before = peak_kb(rig)
    answer = rig.exchange(request_bytes(CODED[coding](), f"content-encoding: {coding}", "connection: close"))
    assert answer.split(b" ")[1] in (b"400", b"415")
    assert azure.requests == []
    assert peak_kb(rig) - before < BOMB_BYTES // 4 // 1024


def test_no_message_over_a_web_socket_is_unpacked(rig: Rig, azure: Cloud) -> None:
    """Compression that the client offers is not taken; a message that is compressed all the same ends the session."""
    with rig.socket() as connection:
        connection.sendall(
            b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"authorization: Bearer " + SECRET.encode() + b"\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"sec-websocket-extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1 << 16)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        before = peak_kb(rig)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(b" " * BOMB_BYTES) + packer.flush(zlib.Z_SYNC_FLUSH)
        fin, compressed, text, masked, length_of_8 = 0x80, 0x40, 0x01, 0x80, 127
        frame = bytes([fin | compressed | text, masked | length_of_8]) + len(packed).to_bytes(8, "big") + bytes(4)
        with contextlib.suppress(OSError):  # it is closed before the end
            connection.sendall(frame + packed)
        assert close_code(read_all(connection)) == 1002
    assert azure.requests == []
    assert peak_kb(rig) - before < BOMB_BYTES // 4 // 1024


def close_code(frames: bytes) -> int:
    """The code of the close frame that is the first of these."""
    assert frames[0] == 0x88, frames[:40]
    return int.from_bytes(frames[2:4], "big")


def decode_message(message: bytes, _content_type: bytes) -> RequestProperties:
    request_of(message)
    return NOTHING_ASKED


MANY = 250_001
COMMAS = json.dumps({"role": "user", "content": 'a,"' * MANY})
# what has a quarter of a million commas | what reads it | the body | whether it is read
ELEMENTS: list[tuple[str, Decode, str, bool]] = [
    ("tools of a chat", decode_chat, '{"model": "m", "messages": [], "tools": [%s{}]}' % ("{}," * MANY), False),
    ("numbers for tools", decode_responses, '{"model": "m", "input": "a", "tools": [%s1]}' % ("1," * MANY), False),
    ("messages", decode_messages, '{"model": "m", "max_tokens": 1, "messages": [%s""]}' % ('"a",' * MANY), False),
    ("items", decode_items, '{"items": [%s{}]}' % ("{}," * MANY), False),
    ("members", decode_chat, '{%s"messages": []}' % ('"a": 1,' * MANY), False),
    ("members beside tokens", decode_plain, '{%s"model": "m", "input": "a"}' % ('"a": 1,' * MANY), False),
    ("a message over a WebSocket", decode_message, '{%s"input": "a"}' % ('"a": 1,' * MANY), False),
    ("the text of a chat", decode_chat, f'{{"model": "m", "messages": [{COMMAS}]}}', True),
    ("tokens to embed", decode_plain, '{"model": "m", "input": [%s1]}' % ("1," * MANY), True),
]


@pytest.mark.parametrize(("decode", "body", "is_read"), [row[1:] for row in ELEMENTS], ids=[row[0] for row in ELEMENTS])
def test_no_body_has_more_elements_than_are_looked_at_while_others_wait(
    decode: Decode, body: str, is_read: bool
) -> None:
    """A body of 50 MB with nothing but empty tools kept all others waiting for a minute, in gigabytes of memory."""
    refused = contextlib.nullcontext() if is_read else pytest.raises(BadBody, match="more than 250,000 members")
    with refused:
        read_body(decode, body.encode(), b"application/json")


@pytest.mark.parametrize("path", PAGES_ALONE)
def test_no_page_is_had_at_the_gateways_port(rig: Rig, azure: Cloud, path: str) -> None:
    """Neither with a key nor without one, and no cloud is asked for it in their stead."""
    for head in ({}, AUTHORIZED):
        answer = httpx.get(f"http://127.0.0.1:{rig.port}{path}", headers=head)
        assert answer.status_code in (401, 404)
        assert answer.headers["content-type"] == "application/json"
    assert azure.requests == []


def test_an_address_in_a_body_is_called_by_no_gateway(rig: Rig, azure: Cloud) -> None:
    """Images, files and tools are named by addresses: the cloud gets them as they are written."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/latest/meta-data"
        content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": address}]
        body = chat_body(messages=[{"role": "user", "content": content}])
        answer = rig.exchange(request_bytes(body, "connection: close"))
        assert answer.startswith(b"HTTP/1.1 ")
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert [json.loads(request.body)["messages"] for request in azure.requests] in (
        [[{"role": "user", "content": content}]],
        [],  # where the model takes no images
    )


def test_what_is_compared_of_a_key_tells_nothing_of_its_secret() -> None:
    """Keys are found by a keyed hash. Secrets that are alike to their last byte have hashes that are not alike, so how
    long a comparison takes says nothing of the secret."""
    hash_key = bytes(range(32))
    digests = [digest(hash_key, f"sk-{'a' * 40}{last:03d}".encode()).hex() for last in range(300)]
    assert len({each[:8] for each in digests}) == len(digests)
    assert digest(bytes(32), b"sk-a") != digest(hash_key, b"sk-a")
