"""What a tenant may try that no other test tries: a body that unpacks to gigabytes, an address for the gateway to call,
a key found byte by byte."""

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_rig import Cloud, Rig, chat_body, request_bytes, well

from clauseway.gateway.routing.keys import digest

BOMB_BYTES = 64 << 20


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


# coding | a body in it; of those that Python cannot write, the first bytes
CODED = {
    "gzip": gzip.compress(b" " * BOMB_BYTES),
    "deflate": zlib.compress(b" " * BOMB_BYTES),
    "zstd": b"(\xb5/\xfd" + bytes(64),
    "br": b"\x8b" * 64,
}


def peak_kb(rig: Rig) -> int:
    """The largest memory that the gateway's process ever had."""
    assert rig.process is not None
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.parametrize("coding", CODED)
def test_no_body_of_a_request_is_unpacked(rig: Rig, azure: Cloud, coding: str) -> None:
    before = peak_kb(rig)
    answer = rig.exchange(request_bytes(CODED[coding], f"content-encoding: {coding}", "connection: close"))
    assert answer.split(b" ")[1] in (b"400", b"415")
    assert azure.requests == []
    assert peak_kb(rig) - before < BOMB_BYTES // 4 // 1024


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
