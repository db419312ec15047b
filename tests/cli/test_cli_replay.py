"""Replaying traffic: its keys come from a file, never from the command line."""

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from clauseway.cli.console import console
from clauseway.cli.gateway.replay_progress import ReplayDisplay
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.transport.tls import toward_clouds
from clauseway.sandbox.traffic.replay import Progress
from clauseway.sandbox.traffic.replay_connection import GatewayAddress
from in_process import run


def test_keys_are_read_from_a_file_and_each_that_is_missing_is_named(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("openai=cw-secret\n")
    refused = run("gateway", "replay", "--keys", str(keys))
    assert refused.returncode == 3
    assert "--keys: no key buys from microsoft" in refused.stderr
    assert "from openai" not in refused.stderr
    assert "cw-secret" not in refused.stderr
    assert run("gateway", "replay", "--key", "openai=cw-secret").returncode == 3, (
        "a command line can be read by everybody"
    )


def test_each_way_of_failing_is_shown_with_the_words_of_the_first(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("openai=cw-a\nmicrosoft=cw-b\n")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/v1"
        asked = ("gateway", "replay", "--keys", str(keys), "--limit", "2", "--url", url)
        shown, machine = run(*asked), run(*asked, "--json")
    assert (shown.returncode, machine.returncode) == (1, 1)
    assert "replaying  2/2  served: none · refused: none · failed not_connected 2\n" in shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("not_connected: ")]
    assert "refused" in line
    assert json.loads(machine.stdout)["failures"] == {"not_connected": line.removeprefix("not_connected: ")}


def test_off_a_terminal_a_replay_shows_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 20 requests two between lines, and the last."""
    noon_ns = 1_777_204_800 * 10**9  # 26 April 2026
    counts = {"served": {"azure": 3, "aws": 1}, "refused": {"oci": 2}, "failed": {"status_503": 1}}
    with ReplayDisplay(console(), 20, simulated=True) as display:
        for done in (1, 2, 3, 4, 20):
            display.show(Progress(done=done, total=20, business_ns=noon_ns, **counts))
    with ReplayDisplay(console(), 20, quiet=True) as display:
        display.show(Progress(done=20, total=20, business_ns=noon_ns, **counts))
    words = "served: aws 1, azure 3 · refused: oci 2 · failed status_503 1"
    assert capsys.readouterr().out.splitlines() == [f"26 Apr 2026 12:00  {done}/20  {words}" for done in (1, 3, 20)]


def test_a_gateway_that_asks_for_a_certificate_is_shown_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, authority, certificate = tmp_path / "keys.txt", tmp_path / "ca.pem", tmp_path / "client.pem"
    keys.write_text("openai=cw-a\nmicrosoft=cw-b\n")
    signer = trustme.CA()
    signer.cert_pem.write_to_path(str(authority))
    signer.issue_cert("replay@example.com").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
    asking.verify_mode = ssl.CERT_REQUIRED
    signer.issue_cert("127.0.0.1").configure_cert(asking)
    shown: list[object] = []

    def meet(listener: ssl.SSLSocket) -> None:
        with listener.accept()[0] as connection:
            shown.append(dict(connection.getpeercert() or {}).get("subjectAltName"))

    with socket.create_server(("127.0.0.1", 0)) as listening, asking.wrap_socket(listening, server_side=True) as tls:
        gateway = threading.Thread(target=meet, args=(tls,))
        gateway.start()
        url = f"https://127.0.0.1:{tls.getsockname()[1]}/v1"
        asked = ("gateway", "replay", "--keys", str(keys), "--limit", "1", "--url", url)
        run(*asked, "--certificate", str(certificate))
        gateway.join()
    assert shown == [(("email", "replay@example.com"),)]
    refused = run(*asked, "--certificate", str(keys))
    assert (refused.returncode, "--certificate" in refused.stderr) == (3, True)


def test_a_replay_trusts_whom_the_gateway_trusts() -> None:
    """On every Python: from 3.13 on the library's usual context asks more of a private authority's certificate."""
    replaying, serving = GatewayAddress.of("https://127.0.0.1/v1").tls, toward_clouds(TlsSettings())
    assert replaying is not None
    assert replaying.verify_flags == serving.verify_flags
    assert (replaying.verify_mode, replaying.check_hostname) == (serving.verify_mode, serving.check_hostname)
