"""The doctor, against clouds on loopback that are well, or ill in one way."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from bench.price_tables import open_prices
from gateway_rig import closed_port
from identity_services import Answer, Asked, Service, serving, tls_context

from clauseway.app.opening import probing
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import doctor
from clauseway.app.running.doctor import Check, Examination, Patient, examine
from clauseway.cli import run
from clauseway.values import KnownAt

OPENED = open_agreements([])
PRICES = open_prices(KnownAt.everything())
MODELS = json.dumps({"object": "list", "data": [{"id": "gpt-5.5"}, {"id": "gpt-5.4-2026-03-05"}]}).encode()


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "param": None, "code": None}}).encode()


class Cloud:
    """A cloud that answers as it is told."""

    def __init__(self) -> None:
        self.answer = Answer(200, MODELS)

    def __call__(self, _: Asked) -> Answer:
        return self.answer


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def service(cloud: Cloud) -> Iterator[Service]:
    with serving(cloud) as service:
        yield service


def deployment(name: str, url: str, **changes: str) -> str:
    """A [[deployment]] in TOML: OpenAI's own on Azure, but for the changes."""
    fields = {
        "dialect": '"openai"',
        "url": f'"{url}"',
        "cloud": '"azure"',
        "seller": '"openai"',
        "region": '"global"',
        "auth": '{kind = "bearer", secret = "sk-live-1234"}',
        "models": '{"gpt-5.5" = "gpt-5.5"}',
        **changes,
    }
    return (
        "\n".join(["[[deployment]]", f'name = "{name}"', *(f"{key} = {value}" for key, value in fields.items())]) + "\n"
    )


def found(tmp_path: Path, *deployments: str) -> Examination:
    path = tmp_path / "clouds.toml"
    path.write_text("\n".join(deployments))
    return examine(Patient(opened=OPENED, prices=PRICES, configuration=path))


def of(examination: Examination, what: str, name: str = "one") -> Check:
    (check,) = [check for check in examination.checks if (check.deployment, check.what) == (name, what)]
    return check


def test_all_is_well(tmp_path: Path, service: Service) -> None:
    examination = found(tmp_path, deployment("one", f"{service.url}/v1"))
    assert examination.ok
    assert [check.what for check in examination.checks] == [
        "configuration",
        "credential",
        "address",
        "answer",
        "price",
        "agreement",
    ]
    # On Azure the book has prices of the priority tier, and none of flex, which the place may have.
    price = "gpt-5.5: 5.00 and 30.00 USD per million tokens in and out"
    assert of(examination, "price").found == f"{price}; the same in tiers without a price of their own (flex)"
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("GET", "/v1/models")
    assert asked.headers["authorization"] == "Bearer sk-live-1234"


# The cloud's answer to the question for its models → the finding, and the remedy.
ILL = [
    (Answer(401, error("Wrong key: sk-live-1234.")), "answered 401", "Wrong key: ….", "Check the credential"),
    (Answer(403, error("no access")), "answered 403", "no access", "Check the credential"),
    (Answer(404, b"<html>not here</html>", "text/html"), "answered 404", "not here", "Check the url"),
    (Answer(302, b""), "answered 302", "never followed", "final url"),
    (Answer(500, b"\xff\xfe"), "answered 500", "", "Check the url"),
    (Answer(200, b"<html>a portal</html>", "text/html"), "answered 200", "no list of models", "/models lies"),
    (Answer(200, b'{"data":[{"id":"gpt-4"}]}'), "answered 200", "without gpt-5.5", "ask the cloud for access"),
]


@pytest.mark.parametrize(("answer", "asked", "said", "remedy"), ILL)
def test_an_answer_that_is_not_well(
    tmp_path: Path, service: Service, cloud: Cloud, answer: Answer, asked: str, said: str, remedy: str
) -> None:
    cloud.answer = answer
    examination = found(tmp_path, deployment("one", f"{service.url}/v1"))
    check = of(examination, "answer")
    assert not examination.ok
    assert asked in check.found
    assert said in check.found
    assert remedy in check.remedy
    assert "sk-live-1234" not in str(examination)


def test_a_cloud_that_is_busy_has_taken_the_credential(tmp_path: Path, service: Service, cloud: Cloud) -> None:
    cloud.answer = Answer(429, error("slow down"))
    assert of(found(tmp_path, deployment("one", f"{service.url}/v1")), "answer").ok


def test_a_compartment_that_is_not_named(tmp_path: Path, service: Service, cloud: Cloud) -> None:
    cloud.answer = Answer(400, b'{"code":"MissingParameter","message":"Missing required header: opc-compartment-id"}')
    check = of(found(tmp_path, deployment("one", f"{service.url}/openai/v1", dialect='"oci"', cloud='"oci"')), "answer")
    assert (check.ok, "opc-compartment-id" in check.found) == (False, True)
    assert "settings = {compartment_id" in check.remedy


def test_where_there_is_no_list_an_empty_request_must_be_refused(
    tmp_path: Path, service: Service, cloud: Cloud
) -> None:
    cloud.answer = Answer(400, error("model is missing"))
    root = f"{service.url}/v1/projects/p/locations/global/publishers/openai/v1"
    vertex = {"dialect": '"vertex"', "cloud": '"google-cloud"'}
    examination = found(tmp_path, deployment("one", root, **vertex))
    assert of(examination, "answer").ok
    assert (service.asked[0].method, service.asked[0].path) == ("POST", root.removeprefix(service.url) + "/responses")
    assert service.asked[0].body == b"{}"


UNREACHABLE = [
    ("http://127.0.0.1:{closed}/v1", "Connection refused"),
    ("https://no-such-host.invalid/v1", "no-such-host.invalid"),
]


@pytest.mark.parametrize(("url", "expected"), UNREACHABLE)
def test_what_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, expected: str) -> None:
    monkeypatch.setenv("KEY_OF_ONE", "sk-live-1234")
    auth = '{kind = "bearer", secret_env = "KEY_OF_ONE"}'
    with closed_port() as closed:
        check = of(found(tmp_path, deployment("one", url.format(closed=closed), auth=auth)), "address")
    assert (check.ok, expected in check.found) == (False, True)


def drip(listener: socket.socket) -> None:
    """Answer with a byte of the body every tenth of a second, until the client leaves."""
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)


def test_an_answer_whose_bytes_come_one_by_one_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "ANSWER_TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        [*_, check] = [each for each in found(tmp_path, deployment("one", url)).checks if each.what == "address"]
    assert (check.ok, "did not end within 1 s" in check.found) == (False, True)


def test_a_certificate_that_nobody_trusts(tmp_path: Path, cloud: Cloud) -> None:
    context, _ = tls_context(tmp_path)
    with serving(cloud, context) as service:
        check = of(found(tmp_path, deployment("one", f"{service.url}/v1")), "address")
    assert not check.ok
    assert "CERTIFICATE_VERIFY_FAILED" in check.found


def test_a_certificate_that_is_trusted(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = tls_context(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with serving(cloud, context) as service:
        examination = found(tmp_path, deployment("one", f"{service.url}/v1"))
    assert examination.ok, examination
    assert of(examination, "address").found.endswith(
        f"connected, {ssl.TLSVersion.TLSv1_3.name.replace('_', '.')[:5]}.3"
    )


def test_a_certificate_of_an_authority_that_the_configuration_names(tmp_path: Path, cloud: Cloud) -> None:
    context, trusted = tls_context(tmp_path)
    named = f'[tls]\nupstream_ca = "{trusted.name}"\n'  # beside the configuration
    with serving(cloud, context) as service:
        examination = found(tmp_path, deployment("one", f"{service.url}/v1"), named)
        assert examination.ok, examination
        # As for the gateway, it replaces the system's.
        trusted.write_text("no certificate")
        check = of(found(tmp_path, deployment("one", f"{service.url}/v1"), named), "address")
    assert (check.ok, check.remedy) == (False, "Give certificates of authorities, as PEM.")


def _own_certificate(folder: Path, *, ends: timedelta, begins: timedelta = timedelta(days=-30)) -> str:
    """The section of a certificate that holds from and until so long from now."""
    now = datetime.now(UTC)
    made = trustme.CA().issue_cert("gateway.example", not_before=now + begins, not_after=now + ends)
    made.private_key_pem.write_to_path(folder / "key.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'


@pytest.mark.parametrize(
    ("begins_days", "ends_days", "ok", "expected"),
    [
        (-30, 60, True, "valid until "),
        (-30, 3, False, "valid until "),
        (-30, -1, False, "certificate has expired"),
        (1, 60, False, "certificate is not yet valid"),
    ],
)
def test_our_own_certificate_is_looked_at(
    tmp_path: Path, service: Service, begins_days: int, ends_days: int, ok: bool, expected: str
) -> None:
    """Nobody else says that it ended: the gateway serves, and no client connects."""
    named = _own_certificate(tmp_path, begins=timedelta(days=begins_days), ends=timedelta(days=ends_days))
    for more in ("", f'client_ca = "{tmp_path / "cert.pem"}"\n'):
        check = of(found(tmp_path, deployment("one", f"{service.url}/v1"), named + more), "certificate", "")
        assert (check.ok, bool(check.remedy)) == (ok, not ok)
        assert expected in check.found


def test_a_certificate_that_is_not_its_keys(tmp_path: Path, service: Service) -> None:
    named = _own_certificate(tmp_path, ends=timedelta(days=60))
    trustme.CA().issue_cert("other.example").private_key_pem.write_to_path(tmp_path / "key.pem")
    check = of(found(tmp_path, deployment("one", f"{service.url}/v1"), named), "certificate", "")
    assert (check.ok, "KEY_VALUES_MISMATCH" in check.found) == (False, True)


def test_every_deployment_is_told_of(tmp_path: Path, service: Service) -> None:
    examination = found(
        tmp_path,
        deployment("one", f"{service.url}/v1"),
        deployment("secretless", f"{service.url}/v1", auth='{kind = "file", settings = {path = "/no/such/secret"}}'),
        deployment(
            "elsewhere", f"{service.url}/v1", models='{"gpt-5.4" = "gpt-5.4-2026-03-05"}', cloud='"google-cloud"'
        ),
        deployment("misfit", f"{service.url}/openai/v1", dialect='"azure"', settings='{api_version = "2024-10-21"}'),
    )
    assert "No such file or directory: '/no/such/secret'" in of(examination, "credential", "secretless").found
    assert not of(examination, "price", "elsewhere").ok
    assert "ends in /openai" in of(examination, "settings", "misfit").found
    assert of(examination, "answer").ok


def test_a_sale_that_the_agreement_does_not_allow(tmp_path: Path, service: Service) -> None:
    examination = found(tmp_path, deployment("one", f"{service.url}/v1", seller='"oracle"', cloud='"aws"'))
    check = of(examination, "agreement")
    assert not check.ok
    assert "Oracle may not sell gpt-5.5 on AWS (" in check.found


# Models of a deployment on OpenAI, and whether it says that it serves retired ones → the finding about retirements.
# gpt-image-1 ended there on 23 October 2026, gpt-4o-mini-tts ends on 6 January 2027, and gpt-5.5 has no end.
IMAGE, SPEECH, TEXT = '"gpt-image-1" = "gpt-image-1"', '"gpt-4o-mini-tts" = "gpt-4o-mini-tts"', '"gpt-5.5" = "gpt-5.5"'
RETIRED = {
    "the day has come": ((IMAGE,), "2026-10-23", "false", ["gpt-image-1 (2026-10-23)"]),
    "the day before": ((IMAGE,), "2026-10-22", "false", []),
    "one of three": ((IMAGE, SPEECH, TEXT), "2026-11-25", "false", ["gpt-image-1 (2026-10-23)"]),
    "two of three": (
        (IMAGE, SPEECH, TEXT),
        "2027-01-06",
        "false",
        ["gpt-4o-mini-tts (2027-01-06)", "gpt-4o-mini-tts-2025-12-15 (2027-01-06)", "gpt-image-1 (2026-10-23)"],
    ),
    "it says that it serves them": ((IMAGE,), "2026-11-25", "true", []),
}


@pytest.mark.parametrize(("models", "today", "serves_retired", "expected"), RETIRED.values(), ids=RETIRED)
def test_what_is_retired_is_said_and_is_no_fault(
    tmp_path: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    models: tuple[str, ...],
    today: str,
    serves_retired: str,
    expected: list[str],
) -> None:
    noon = datetime.fromisoformat(f"{today}T12:00:00Z")
    monkeypatch.setattr(doctor, "datetime", SimpleNamespace(now=lambda _zone: noon))
    examination = found(
        tmp_path,
        'unstated = "serve"',  # the agreement names no model of images
        deployment(
            "one",
            f"{service.url}/v1",
            models="{" + ", ".join(models) + "}",
            surface='"openai"',
            serves_retired=serves_retired,
        ),
    )
    of_retirements = [check for check in examination.checks if check.what == "retirements"]
    names = [check.found.removeprefix("asked last for ").split(", ") for check in of_retirements]
    assert [sorted(some) for some in names] == ([expected] if expected else [])
    assert all(check.ok for check in of_retirements)


@pytest.mark.parametrize(
    "section", ['[tls]\nupstream_ca = "nowhere.pem"\n', '[log]\nfile = "nowhere/x.log"\n'], ids=["authority", "log"]
)
def test_a_file_of_the_settings_that_cannot_be_had(tmp_path: Path, service: Service, section: str) -> None:
    """`serve` refuses it, and the doctor called the configuration well."""
    examination = found(tmp_path, section, deployment("direct", f"{service.url}/v1"))
    [check] = [check for check in examination.checks if check.what == "configuration"]
    assert (check.ok, "nowhere" in check.found) == (False, True)


def test_a_configuration_that_is_none(tmp_path: Path) -> None:
    examination = found(
        tmp_path, deployment("one", "https://h/v1", dialect='"bedrock"', auth='{kind = "entra"}', cloud='"x"')
    )
    assert {check.what for check in examination.checks} == {"configuration"}
    text = " ".join(check.found for check in examination.checks)
    assert "takes no credential of kind" not in text, "entra gives a bearer, which Bedrock takes"
    assert "unknown cloud 'x'" in text
    examination = found(tmp_path, deployment("one", "https://h/v1", auth='{kind = "aws"}'))
    assert [check.found for check in examination.checks] == [
        "one: openai takes no credential of kind 'sigv4': that is what auth 'aws' gives"
    ]


def test_a_clock_that_is_wrong(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "http.server.BaseHTTPRequestHandler.date_time_string", lambda *_: formatdate(time.time() - 600, usegmt=True)
    )
    check = of(found(tmp_path, deployment("one", f"{service.url}/v1")), "clock")
    assert not check.ok
    assert "this machine's is +60" in check.found


def test_the_command(tmp_path: Path, service: Service, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clouds.toml"
    path.write_text(deployment("one", f"{service.url}/v1"))
    arguments = ["doctor", "--config", str(path), "--home", str(tmp_path)]
    assert run(arguments) == 0
    assert "All is well: 8 checks." in capsys.readouterr().out
    cloud.answer = Answer(401, error("no"))
    assert run([*arguments, "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert (result["ok"], [check["what"] for check in result["checks"] if not check["ok"]]) == (False, ["answer"])
