"""Every source against an identity service on loopback that the vendor's own library asks, or the vendor's files."""

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import google.auth.jwt
import oci
import pytest
from cryptography.hazmat.primitives import serialization
from identity_services import Answer, Asked, certificate, new_key, pem, serving, tls_context

from clauseway.gateway.clouds import Credential
from clauseway.gateway.credentials import KINDS, STATIC, fetch, open_credential_source, problems_of, sent_kind
from clauseway.gateway.plan import Auth
from clauseway.values import InvalidInput

KEY = new_key()
TENANCY = "ocid1.tenancy.oc1..aaaaaaaaba3pv6wkcr4jqae5f15p2b2m2yt2j6rx32uzr4h25vqstifsfdsq"
USER = "ocid1.user.oc1..aaaaaaaat5nvwcna5j6aqzjcaty5eqbb6qt2jvpkanghtgdaqedqw3rynjq"
FINGERPRINT = "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
HOUR_S = 3600


@pytest.fixture(autouse=True)
def machine_without_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that runs the tests is found, and nobody outside it is asked."""
    for name in (
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "OCI_CONFIG_FILE",
        "OCI_RESOURCE_PRINCIPAL_VERSION",
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))


def in_an_hour(expires_s: int) -> bool:
    return abs(expires_s - time.time() - HOUR_S) < 60


def refusal(auth: Auth) -> str:
    with pytest.raises(InvalidInput) as refused:
        fetch(auth)
    (problem,) = refused.value.problems
    return f"{problem.why} {problem.remedy}"


def test_the_table_of_kinds_is_whole() -> None:
    assert set(KINDS) == {"entra", "aws", "google", "oci-user", "oci-instance", "oci-resource", "file"}
    for kind in KINDS:
        assert problems_of(Auth(kind=kind)) == [], "the development installation has every vendor's library"
        assert sent_kind(Auth(kind=kind)) in STATIC


def test_every_extra_is_there_to_install() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    named = {kind.extra for kind in KINDS.values() if kind.libraries}
    assert named <= set(project["optional-dependencies"])


def test_no_vendors_library_is_loaded_before_its_kind_is_used() -> None:
    program = """
import sys
from clauseway.gateway import clouds
from clauseway.gateway.credentials import fetch, problems_of
from clauseway.gateway.plan import Auth
assert not problems_of(Auth(kind="aws")) and fetch(Auth(kind="bearer", secret="s")).secret == "s"
print(sorted({"azure.identity", "botocore", "google.auth", "oci", "cryptography", "requests"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = KINDS["aws"]._replace(libraries=("no_such_vendor.sdk", "json"))
    monkeypatch.setitem(KINDS, "aws", missing)
    with pytest.raises(InvalidInput, match=r"no_such_vendor.sdk is not installed.*pip install 'clauseway\[aws\]'"):
        open_credential_source(Auth(kind="aws"))


def test_static_kinds_are_what_they_hold() -> None:
    assert fetch(Auth(kind="sigv4", secret="s", access_key="A", session_token="t")) == Credential(
        kind="sigv4", secret="s", access_key="A", session_token="t"
    )


# Microsoft Entra ID


def entra_of(url: Callable[[], str], refuse: list[str]) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        if "openid-configuration" in asked.path:
            root = f"{url()}/contoso"
            names = ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint")
            return Answer(
                200,
                json.dumps(
                    {name: f"{root}/oauth2/v2.0/{name}" for name in names} | {"issuer": f"{root}/v2.0"}
                ).encode(),
            )
        if refuse:
            return Answer(401, json.dumps({"error": "invalid_client", "error_description": refuse[0]}).encode())
        token = {"token_type": "Bearer", "expires_in": HOUR_S, "access_token": "entra.token"}
        return Answer(200, json.dumps(token).encode())

    return answer


def test_entra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context, trusted = tls_context(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    refuse: list[str] = []
    url: list[str] = []
    with serving(entra_of(lambda: url[0], refuse), context) as service:
        url.append(service.url)
        named = {"tenant_id": "contoso", "client_id": "app-1", "authority": service.url}
        secret = Auth(kind="entra", secret="s3cret~value", settings=named)
        (tmp_path / "federated").write_text("kubernetes.token")
        workload = Auth(kind="entra", settings={**named, "token_file": str(tmp_path / "federated"), "scope": "api://x"})

        credential = fetch(secret)
        assert (credential.kind, credential.secret) == ("bearer", "entra.token")
        assert in_an_hour(credential.expires_s)
        form = parse_qs(service.asked[-1].body.decode())
        assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]
        assert (form["client_id"], form["client_secret"]) == (["app-1"], ["s3cret~value"])

        assert fetch(workload).secret == "entra.token"
        form = parse_qs(service.asked[-1].body.decode())
        assert (form["client_assertion"], form["scope"]) == (["kubernetes.token"], ["api://x"])

        refuse.append("AADSTS7000215: Invalid client secret s3cret~value provided.")
        message = refusal(secret)
        assert "AADSTS7000215" in message
        assert "s3cret~value" not in message


def test_entra_of_nobody() -> None:
    assert "no tenant_id and no client_id" in refusal(Auth(kind="entra", secret="s"))


# AWS


def test_aws_environment_and_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "nothing in the whole chain" in refusal(Auth(kind="aws"))
    (tmp_path / "aws-credentials").write_text("[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = team\n")
    team = Auth(kind="aws", settings={"profile": "team"})
    assert fetch(team) == Credential(kind="sigv4", access_key="AKIDTEAM", secret="team")
    (tmp_path / "aws-credentials").write_text("[team]\naws_access_key_id = AKIDNEW\naws_secret_access_key = new\n")
    assert fetch(team).access_key == "AKIDNEW"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    expected = Credential(kind="sigv4", access_key="AKIDENV", secret="env", session_token="token")
    assert fetch(Auth(kind="aws")) == expected
    assert "could not be found" in refusal(Auth(kind="aws", settings={"profile": "nobody"}))


def test_aws_container(monkeypatch: pytest.MonkeyPatch) -> None:
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + HOUR_S))
    given = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": end, "RoleArn": "r"}
    with serving(lambda _: Answer(200, json.dumps(given).encode())) as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
        credential = fetch(Auth(kind="aws"))
        assert (credential.access_key, credential.secret, credential.session_token) == ("ASIA1", "s", "t")
        assert in_an_hour(credential.expires_s)
        fetch(Auth(kind="aws"))
        assert len(service.asked) == 2, "asked anew, not from a cache"


def test_aws_assumed_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + HOUR_S))
    given = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <Credentials><AccessKeyId>ASIA2</AccessKeyId><SecretAccessKey>s2</SecretAccessKey>
        <SessionToken>t2</SessionToken><Expiration>{end}</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>"""
    with serving(lambda _: Answer(200, given.encode(), "text/xml")) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
        (tmp_path / "aws-config").write_text(
            "[profile gateway]\nregion = us-east-1\ncredential_source = Environment\n"
            "role_arn = arn:aws:iam::123456789012:role/gateway\n"
        )
        credential = fetch(Auth(kind="aws", settings={"profile": "gateway"}))
        assert (credential.access_key, credential.session_token) == ("ASIA2", "t2")
        assert in_an_hour(credential.expires_s)
        assert parse_qs(service.asked[0].body.decode())["RoleArn"] == ["arn:aws:iam::123456789012:role/gateway"]


# Google


@pytest.mark.filterwarnings("ignore:The load_credentials_from_file method is deprecated")  # the operator's own file
def test_google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service account: its assertion is verified with the account's certificate, as Google does."""
    trusted = certificate(KEY)

    def token(asked: Asked) -> Answer:
        assertion = parse_qs(asked.body.decode())["assertion"][0]
        claims = google.auth.jwt.decode(assertion, certs=trusted, audience="https://oauth2.googleapis.com/token")  # type: ignore[no-untyped-call]
        assert (claims["iss"], claims["scope"]) == ("gateway@acme", "https://www.googleapis.com/auth/cloud-platform")
        given = {"access_token": "ya29.token", "expires_in": HOUR_S, "token_type": "Bearer"}
        return Answer(200, json.dumps(given).encode())

    with serving(token) as service:
        account = tmp_path / "account.json"
        account.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": "acme",
                    "private_key_id": "1",
                    "private_key": pem(KEY),
                    "client_email": "gateway@acme",
                    "client_id": "1",
                    "token_uri": f"{service.url}/token",
                }
            )
        )
        for auth in (Auth(kind="google", settings={"credentials_file": str(account)}), Auth(kind="google")):
            credential = fetch(auth)
            assert (credential.kind, credential.secret) == ("bearer", "ya29.token")
            assert in_an_hour(credential.expires_s)
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))  # for the second
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    message = refusal(Auth(kind="google"))
    assert "gone.json was not found" in message
    assert "gcloud auth application-default login" in message


# Oracle


def jwt(claims: dict[str, object]) -> str:
    signer = google.auth.crypt.RSASigner.from_string(pem(KEY))  # type: ignore[no-untyped-call]
    encoded: bytes = google.auth.jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
    return encoded.decode()


def public_pem(private: str) -> bytes:
    key = serialization.load_pem_private_key(private.encode(), None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("pass_phrase", ["", "correct horse"])
def test_oci_user(tmp_path: Path, pass_phrase: str) -> None:
    """The vendor's library reads the same file and names the same key."""
    (tmp_path / "user.pem").write_text(pem(KEY, pass_phrase) + "\nOCI_API_KEY\n")
    config = tmp_path / "config"
    config.write_text(
        f"[DEFAULT]\ntenancy={TENANCY}\nuser={USER}\nfingerprint={FINGERPRINT}\nregion=us-chicago-1\n"
        f"key_file={tmp_path / 'user.pem'}\n" + (f"pass_phrase={pass_phrase}\n" if pass_phrase else "") + "[EMPTY]\n"
    )
    theirs = oci.signer.Signer.from_config(oci.config.from_file(str(config)))
    ours = fetch(Auth(kind="oci-user", settings={"config_file": str(config)}))
    assert (ours.kind, ours.key_id, ours.expires_s) == ("signature", theirs.api_key, 0)
    assert public_pem(ours.secret) == public_pem(pem(theirs.private_key))
    assert fetch(Auth(kind="oci-user", settings={"config_file": str(config), "profile": "EMPTY"})) == ours
    assert "no profile NOBODY" in refusal(
        Auth(kind="oci-user", settings={"config_file": str(config), "profile": "NOBODY"})
    )


def test_oci_session(tmp_path: Path) -> None:
    end_s = int(time.time()) + HOUR_S
    (tmp_path / "session.pem").write_text(pem(KEY))
    (tmp_path / "token").write_text(jwt({"exp": end_s, "sub": "u"}) + "\n")
    config = tmp_path / "config"
    config.write_text(
        f"[S]\ntenancy={TENANCY}\nfingerprint={FINGERPRINT}\nregion=us-chicago-1\n"
        f"key_file={tmp_path / 'session.pem'}\nsecurity_token_file={tmp_path / 'token'}\n"
    )
    ours = fetch(Auth(kind="oci-user", settings={"config_file": str(config), "profile": "S"}))
    assert ours.key_id == f"ST${(tmp_path / 'token').read_text().strip()}"
    assert ours.expires_s == end_s


def test_oci_without_configuration(tmp_path: Path) -> None:
    assert "does not exist" in refusal(Auth(kind="oci-user"))
    (tmp_path / "config").write_text("[DEFAULT]\ntenancy=t\n")
    assert "names no key_file" in refusal(Auth(kind="oci-user", settings={"config_file": str(tmp_path / "config")}))


def test_oci_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's library takes the instance's certificate and federates a key of its own: that key signs."""
    leaf, end_s = new_key(), int(time.time()) + HOUR_S
    token = jwt({"exp": end_s, "iat": end_s - HOUR_S, "sub": "instance"})

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("/instance/region"):
            return Answer(200, b"us-chicago-1", "text/plain")
        if asked.path.endswith("/identity/key.pem"):
            return Answer(200, pem(leaf).encode(), "text/plain")
        if asked.path.endswith(".pem"):
            return Answer(200, certificate(leaf, unit=f"opc-tenant:{TENANCY}").encode(), "text/plain")
        return Answer(200, json.dumps({"token": token}).encode())

    with serving(answer) as service:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", f"{service.url}/opc/v2")
        ours = fetch(Auth(kind="oci-instance", settings={"federation_endpoint": f"{service.url}/v1/x509"}))
        assert (ours.kind, ours.key_id, ours.expires_s) == ("signature", f"ST${token}", end_s)
        asked = json.loads(service.asked[-1].body)
        assert service.asked[-1].headers["authorization"].startswith("Signature ")
    lines = public_pem(ours.secret).decode().split("-----")[2]
    assert asked["publicKey"] == lines.replace("\n", "")


def test_oci_resource(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    end_s = int(time.time()) + HOUR_S
    token = jwt({"exp": end_s, "iat": end_s - HOUR_S, "res_tenant": TENANCY, "res_compartment": "c"})
    (tmp_path / "rpst").write_text(token)
    (tmp_path / "private.pem").write_text(pem(KEY))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", str(tmp_path / "rpst"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", str(tmp_path / "private.pem"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_REGION", "us-chicago-1")
    ours = fetch(Auth(kind="oci-resource"))
    assert (ours.key_id, ours.expires_s) == (f"ST${token}", end_s)
    assert public_pem(ours.secret) == public_pem(pem(KEY))


# Files


def test_a_secret_file_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    auth = Auth(kind="file", settings={"path": str(path), "sends": "api-key"})
    assert "No such file" in refusal(auth)
    path.write_text("first\n")
    source = open_credential_source(auth)
    assert source.recheck_s > 0
    assert source.fetch() == Credential(kind="api-key", secret="first")
    path.write_text("second")
    assert source.fetch().secret == "second"
    path.write_text("  \n")
    assert "is empty" in refusal(auth)
    path.write_text("two\nlines")
    assert "more than one line" in refusal(auth)


def test_settings_that_are_none() -> None:
    with pytest.raises(InvalidInput) as refused:
        fetch(Auth(kind="file", settings={"sends": "smoke"}))
    assert len(refused.value.problems) == 2
