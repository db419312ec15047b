"""The clouds as a process: one line when ready, the next port when one is taken, and how it ends."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from azure.identity import ClientSecretCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clauseway.sandbox.server import USUAL_PORTS
from clauseway.sandbox.signatures.credentials import (
    AZURE_CLIENT_ID,
    AZURE_CLIENT_SECRET,
    AZURE_SCOPE,
    AZURE_TENANT_ID,
    OPENAI_API_KEY,
)

PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure
COMMAND = [sys.executable, "-m", "clauseway.sandbox"]
CLOUDS = ["openai", "azure", "bedrock", "bedrock_runtime", "vertex", "oracle", "anthropic"]


def all_at(port: int) -> list[str]:
    return [word for cloud in CLOUDS for word in (f"--{cloud.replace('_', '-')}-port", str(port))]


ANY_PORTS = all_at(0)
BODY = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "a"}], "max_tokens": 32, "stream": True}


@contextmanager
def running(
    *arguments: str, pass_fds: tuple[int, ...] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, pass_fds=pass_fds)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        yield process, ready["ports"]
        process.wait(PATIENCE_S)
        assert process.stdout.read() == b"", "one line on stdout and nothing else"
    finally:
        process.kill()
        process.wait()


def test_the_usual_ports_give_way_to_the_next_free_ones() -> None:
    """Two of them at once, and whoever else runs here: nobody names a port, and every cloud has one of its own."""
    with running() as (first, ports), running() as (second, others):
        assert list(ports) == list(others) == CLOUDS
        assert len({*ports.values(), *others.values()}) == 2 * len(CLOUDS)
        for cloud, port in ports.items():
            assert min(port, others[cloud]) >= USUAL_PORTS[cloud]
        first.terminate()
        second.terminate()
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_port_asked_for_by_name_is_that_one_or_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*COMMAND, *ANY_PORTS, "--azure-port", str(port)], capture_output=True, text=True, timeout=PATIENCE_S
        )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert f"127.0.0.1:{port}: cannot listen on port {port}: address already in use." in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_is_finished_before_it_ends(number: signal.Signals) -> None:
    slow = '{"cloud":"openai","kind":"pace","seconds":0.02}'
    with running(*ANY_PORTS, "--fault", slow) as (process, ports):
        url = f"http://127.0.0.1:{ports['openai']}/v1/chat/completions"
        with httpx.stream("POST", url, json=BODY, headers={"authorization": f"Bearer {OPENAI_API_KEY}"}) as answer:
            parts = answer.iter_raw()
            first = next(parts)
            process.send_signal(number)
            assert (first + b"".join(parts)).endswith(b"data: [DONE]\n\n")
    assert process.returncode == 0


def test_it_ends_with_its_parent() -> None:
    read_end, write_end = os.pipe()
    with running(*ANY_PORTS, "--parent-pipe", str(read_end), pass_fds=(read_end,)) as (process, _):
        os.close(read_end)
        os.close(write_end)
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def pem_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*private))
    return paths


def test_over_https_azure_identity_needs_nothing_special(pem_files: tuple[Path, Path]) -> None:
    certificate, key = map(str, pem_files)
    with running(*ANY_PORTS, "--tls-certificate", certificate, "--tls-key", key) as (process, ports):
        azure = f"https://localhost:{ports['azure']}"
        with ClientSecretCredential(
            AZURE_TENANT_ID,
            AZURE_CLIENT_ID,
            AZURE_CLIENT_SECRET,
            authority=azure,
            disable_instance_discovery=True,
            connection_verify=certificate,
        ) as credential:
            token = credential.get_token(AZURE_SCOPE).token
        context = ssl.create_default_context(cafile=certificate)
        body = {"model": "gpt-5-5", "messages": [{"role": "user", "content": "a"}], "stream": True}
        answer = httpx.post(
            f"{azure}/openai/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {token}"},
            verify=context,
        )
        assert answer.text.endswith("data: [DONE]\n\n")
        process.terminate()
    assert process.returncode == 0


def test_https_needs_both_files(pem_files: tuple[Path, Path]) -> None:
    command = [*COMMAND, *ANY_PORTS, "--tls-certificate", str(pem_files[0])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "https needs a certificate and its key" in ended.stderr


BAD_FAULTS = ["{", '{"kind":"drop"}', '{"cloud":"moon","kind":"drop"}', '{"cloud":"azure","kind":"explode"}']


@pytest.mark.parametrize("fault", BAD_FAULTS)
def test_a_bad_fault_is_named_and_nothing_starts(fault: str) -> None:
    ended = subprocess.run([*COMMAND, *ANY_PORTS, "--fault", fault], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("--fault: ")
    assert "is not a fault" in ended.stderr
