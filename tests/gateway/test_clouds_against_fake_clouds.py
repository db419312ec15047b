"""Our cloud modules and credentials against the fake clouds, which follow the vendors' SDKs alone:
every way in that we have opens theirs, and with anything else it stays shut."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clauseway.app.opening.probing import CloudAnswer, answer_to, connected
from clauseway.app.running.doctor import harmless
from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS
from clauseway.gateway.clouds.reports import chat_report_in, responses_report_in
from clauseway.gateway.credentials import fetch
from clauseway.gateway.plan import Auth, Target
from clauseway.gateway.plan.settings import TlsSettings
from clauseway.metering import Deployment
from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.server import serve
from clauseway.sandbox.signatures import credentials as theirs

PATIENCE_S = 20
RESPONSES = Call(b"POST", b"/responses", b"application/json")
OCI_KEY_ID = f"{theirs.OCI_TENANCY}/{theirs.OCI_USER}/{theirs.OCI_FINGERPRINT}"
VERTEX = f"/v1/projects/{theirs.GOOGLE_PROJECT}/locations/{theirs.GOOGLE_LOCATION}"


class Way(NamedTuple):
    """A way to a cloud: its twin, our dialect, the path of the root, the model's name there, how to authenticate."""

    twin: str
    dialect: str
    root: str
    model: str
    auth: Callable[[str, Path], Auth]
    settings: Mapping[str, str] = {}


def static(kind: str, secret: str, **fields: Any) -> Callable[[str, Path], Auth]:
    return lambda _url, _folder: Auth(kind=kind, secret=secret, **fields)


def google_account(url: str, folder: Path) -> Auth:
    """A service account whose token comes from the twin."""
    (folder / "account.json").write_text(json.dumps(theirs.google_service_account(f"{url}/token")))
    return Auth(kind="google", settings={"credentials_file": str(folder / "account.json")})


def oci_user(_url: str, folder: Path) -> Auth:
    (folder / "key.pem").write_text(theirs.private_key_pem())
    (folder / "config").write_text(
        f"[DEFAULT]\ntenancy={theirs.OCI_TENANCY}\nuser={theirs.OCI_USER}\nfingerprint={theirs.OCI_FINGERPRINT}\n"
        f"key_file={folder / 'key.pem'}\nregion={theirs.OCI_REGION}\n"
    )
    return Auth(kind="oci-user", settings={"config_file": str(folder / "config")})


def aws_profile(_url: str, folder: Path) -> Auth:
    (folder / "aws").write_text(
        f"[profile sandbox]\naws_access_key_id = {theirs.AWS_SESSION_ACCESS_KEY_ID}\n"
        f"aws_secret_access_key = {theirs.AWS_SESSION_SECRET_ACCESS_KEY}\n"
        f"aws_session_token = {theirs.AWS_SESSION_TOKEN}\n"
    )
    return Auth(kind="aws", region=theirs.AWS_REGION, settings={"profile": "sandbox"})


def secret_file(secret: str, sends: str) -> Callable[[str, Path], Auth]:
    def auth(_url: str, folder: Path) -> Auth:
        (folder / "secret").write_text(secret + "\n")
        return Auth(kind="file", settings={"path": str(folder / "secret"), "sends": sends})

    return auth


SIGV4 = {"access_key": theirs.AWS_ACCESS_KEY_ID, "region": theirs.AWS_REGION}
COMPARTMENT = {"compartment_id": theirs.OCI_COMPARTMENT}
DATED = {"api_version": "2024-10-21"}
WAYS = {
    "openai": Way(
        twin="openai", dialect="openai", root="/v1", model="gpt-5.5", auth=static("bearer", theirs.OPENAI_API_KEY)
    ),
    "openai-file": Way(
        twin="openai", dialect="openai", root="/v1", model="gpt-5.5", auth=secret_file(theirs.OPENAI_API_KEY, "bearer")
    ),
    "azure-key": Way(
        twin="azure", dialect="azure", root="/openai/v1", model="gpt-5-5", auth=static("api-key", theirs.AZURE_API_KEY)
    ),
    "azure-entra": Way(
        twin="azure",
        dialect="azure",
        root="/openai/v1",
        model="gpt-5-5",
        auth=static("bearer", theirs.AZURE_ENTRA_TOKEN),
    ),
    "azure-dated": Way(
        twin="azure",
        dialect="azure",
        root="/openai",
        model="gpt-5-5",
        auth=static("api-key", theirs.AZURE_API_KEY),
        settings=DATED,
    ),
    "azure-dated-entra": Way(
        twin="azure",
        dialect="azure",
        root="/openai",
        model="gpt-5-5",
        auth=static("bearer", theirs.AZURE_ENTRA_TOKEN),
        settings=DATED,
    ),
    "mantle": Way(
        twin="bedrock",
        dialect="bedrock",
        root="/openai/v1",
        model="openai.gpt-5.5",
        auth=static("sigv4", theirs.AWS_SECRET_ACCESS_KEY, **SIGV4),
    ),
    "mantle-session": Way(
        twin="bedrock", dialect="bedrock", root="/openai/v1", model="openai.gpt-5.5", auth=aws_profile
    ),
    "mantle-key": Way(
        twin="bedrock",
        dialect="bedrock",
        root="/openai/v1",
        model="openai.gpt-5.5",
        auth=static("bearer", theirs.BEDROCK_API_KEY),
    ),
    "runtime": Way(
        twin="bedrock_runtime",
        dialect="bedrock",
        root="/openai/v1",
        model="us.openai.gpt-5.5",
        auth=static("sigv4", theirs.AWS_SECRET_ACCESS_KEY, service="bedrock", **SIGV4),
    ),
    "vertex-responses": Way(
        twin="vertex", dialect="vertex", root=f"{VERTEX}/publishers/openai/v1", model="gpt-5.5", auth=google_account
    ),
    "vertex-chat": Way(
        twin="vertex",
        dialect="vertex",
        root=f"{VERTEX}/endpoints/openapi",
        model="openai/gpt-oss-120b-maas",
        auth=google_account,
    ),
    "oci-user": Way(
        twin="oracle", dialect="oci", root="/openai/v1", model="openai.gpt-5.5", auth=oci_user, settings=COMPARTMENT
    ),
    "oci-signature": Way(
        twin="oracle",
        dialect="oci",
        root="/openai/v1",
        model="openai.gpt-5.5",
        auth=static("signature", theirs.private_key_pem(), settings={"key_id": OCI_KEY_ID}),
        settings=COMPARTMENT,
    ),
    "oci-key": Way(
        twin="oracle",
        dialect="oci",
        root="/openai/v1",
        model="openai.gpt-5.5",
        auth=static("bearer", theirs.OCI_API_KEY),
        settings=COMPARTMENT,
    ),
}


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The simulated clouds in a thread of this process."""
    there: dict[str, int] = {}
    ready, ended = threading.Event(), []

    async def run() -> None:
        until = asyncio.Event()
        ended.append((asyncio.get_running_loop(), until))

        def on_ready(ports: Mapping[str, int]) -> None:
            there.update(ports)
            ready.set()

        await serve("127.0.0.1", dict.fromkeys(FAKE_CLOUDS, 0), [], on_ready, until)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    yield there
    loop, until = ended[0]
    loop.call_soon_threadsafe(until.set)
    thread.join(PATIENCE_S)


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def reached(way: Way, ports: Mapping[str, int], folder: Path) -> tuple[Target, Credential]:
    url = f"http://127.0.0.1:{ports[way.twin]}"
    auth = way.auth(url, folder)
    target = Target(
        label=Deployment("d", "cloud", "openai", "region", "gpt-5.5", way.model),
        dialect=way.dialect,
        url=url + way.root,
        auth=auth,
        input_price=0,
        output_price=0,
        output_tokens_max=1,
        settings=way.settings,
    )
    return target, fetch(auth)


def asked(target: Target, credential: Credential, call: Call, body: object) -> CloudAnswer:
    with connected(target, TlsSettings()) as connection:
        data = json.dumps(body).encode() if body is not None else b""
        return answer_to(connection, target, credential, call, data)


@pytest.mark.usefixtures("aws_files")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_in_opens(way: Way, ports: dict[str, int], tmp_path: Path) -> None:
    target, credential = reached(way, ports, tmp_path)
    lacking = DIALECTS[way.dialect].lacks(target)
    if "chat" not in lacking:
        messages = [{"role": "user", "content": "Which cloud is this?"}]
        chat = asked(target, credential, CHAT_COMPLETIONS, {"model": way.model, "messages": messages})
        assert chat.status == 200, chat.said
        assert chat_report_in(chat.body).units is not None
        assert chat.request_id or way.dialect == "vertex", "Google names no request"
    if "responses" not in lacking:
        body = {"model": way.model, "input": "Which cloud is this?"}
        response = asked(target, credential, RESPONSES, body)
        assert response.status == 200, response.said
        assert responses_report_in(response.body).units is not None
        if "responses.retrieve" not in lacking:
            path = f"/responses/{json.loads(response.body)['id']}".encode()
            again = asked(target, credential, Call(b"GET", path + b"?include[]=reasoning.encrypted_content", b""), None)
            assert again.status == 200, again.said
            assert json.loads(again.body)["id"] == json.loads(response.body)["id"]
            deleted = asked(target, credential, Call(b"DELETE", path, b""), None)
            assert deleted.status == 200, deleted.said


@pytest.mark.usefixtures("aws_files")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_another_secret_does_not_open(way: Way, ports: dict[str, int], tmp_path: Path) -> None:
    target, credential = reached(way, ports, tmp_path)
    wrong = Credential(
        kind=credential.kind,
        secret=credential.secret if credential.kind == "signature" else credential.secret[:-3] + "xyz",
        access_key=credential.access_key,
        session_token=credential.session_token,
        key_id=credential.key_id.replace(theirs.OCI_USER, "ocid1.user.oc1..another"),
    )
    call, body = harmless(target)
    refused = asked(target, wrong, call, json.loads(body) if body else None)
    assert refused.status in DIALECTS[way.dialect].refuses_with, refused.said


@pytest.mark.usefixtures("aws_files")
def test_a_session_without_its_token_does_not_open(ports: dict[str, int], tmp_path: Path) -> None:
    target, credential = reached(WAYS["mantle-session"], ports, tmp_path)
    stripped = Credential(kind="sigv4", secret=credential.secret, access_key=credential.access_key)
    call, _ = harmless(target)
    assert asked(target, stripped, call, None).status in DIALECTS["bedrock"].refuses_with
