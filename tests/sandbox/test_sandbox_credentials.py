"""The demonstration credentials as files: each vendor's own library finds what the fake cloud takes."""

import json
from pathlib import Path
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import google.auth
import httpx
import oci
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from google.auth.transport.requests import Request
from hypothesis import given
from hypothesis import strategies as st
from sandbox_rig import clouds, running_clouds

from clauseway.app.running.simulation import FakeCloudAddress, RunningSandbox, write_credentials
from clauseway.sandbox.signatures.credentials import (
    AWS_SESSION_TOKEN,
    DEMONSTRATION_KEY,
    GOOGLE_LOCATION,
    GOOGLE_PROJECT,
    GOOGLE_SCOPE,
    ISSUER_KEY,
    OCI_COMPARTMENT,
)
from clauseway.sandbox.signatures.tokens import encode_segment, read_token, sign_token

VERTEX_ROOT = f"/v1/projects/{GOOGLE_PROJECT}/locations/{GOOGLE_LOCATION}/publishers/openai/v1"


@pytest.fixture
def folder(clouds: Any, tmp_path: Path) -> Path:
    addresses = (FakeCloudAddress("vertex", clouds.url("vertex", VERTEX_ROOT), ""),)
    write_credentials(RunningSandbox(None, addresses), tmp_path / "credentials")  # type: ignore[arg-type]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "credentials").iterdir())
    return tmp_path / "credentials"


def test_googles_default_credentials(clouds: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "google-service-account.json"))
    credentials, project = google.auth.default(scopes=[GOOGLE_SCOPE])
    assert project == GOOGLE_PROJECT
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    headers = {"authorization": f"Bearer {credentials.token}"}
    body = {"model": "gpt-5.5", "input": "x"}
    assert httpx.post(clouds.url("vertex", f"{VERTEX_ROOT}/responses"), json=body, headers=headers).status_code == 200


def test_oracles_configuration(clouds: Any, folder: Path) -> None:
    configuration = oci.config.from_file(str(folder / "oci-config"))
    oci.config.validate_config(configuration)
    answer = requests.get(
        clouds.url("oracle", "/openai/v1/models"),
        headers={"opc-compartment-id": OCI_COMPARTMENT},
        auth=oci.signer.Signer.from_config(configuration),
        timeout=60,
    )
    assert answer.status_code == 200


def test_aws_profiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "aws-credentials"))
    assert botocore.session.Session().get_credentials().token is None
    assert botocore.session.Session(profile="session").get_credentials().token == AWS_SESSION_TOKEN


@pytest.mark.parametrize("key", [DEMONSTRATION_KEY, ISSUER_KEY], ids=["demonstration", "issuer"])
def test_the_keys_are_keys_and_say_that_they_are_no_secret(key: Any) -> None:
    loaded: Any = load_pem_private_key(key.pem.encode(), None)  # checks the primes
    assert loaded.key_size == 2048
    assert loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == key.public.der
    assert all(b"NOT A SECRET" in prime.to_bytes(128) for prime in (key.p, key.q))


@given(message=st.binary(max_size=80), at=st.integers(0, 255), bit=st.integers(0, 7))
def test_a_signature_holds_for_its_message_alone(message: bytes, at: int, bit: int) -> None:
    signature = DEMONSTRATION_KEY.sign(message)
    public = DEMONSTRATION_KEY.public
    assert public.verifies(message, signature)
    assert not public.verifies(message + b"x", signature)
    changed = bytearray(signature)
    changed[at] ^= 1 << bit
    assert not public.verifies(message, bytes(changed))
    assert not ISSUER_KEY.public.verifies(message, signature)


def signed_by_issuer(*parts: object) -> str:
    signed = ".".join(encode_segment(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encode_segment(ISSUER_KEY.sign(signed.encode()))}"


@pytest.mark.parametrize("algorithm", ["none", "HS256", None])
def test_a_token_says_how_it_was_signed(algorithm: str | None) -> None:
    """However well it is signed: what names another algorithm is no token."""
    token = signed_by_issuer({"alg": algorithm}, {"aud": "anybody"})
    assert read_token(token, ISSUER_KEY.public) is None
    assert read_token(sign_token({"aud": "anybody"}, ISSUER_KEY, ""), ISSUER_KEY.public) == {"aud": "anybody"}


HEAD, CLAIMS = {"alg": "RS256"}, {"aud": "anybody"}
NO_TOKENS = {
    "letters that are not base64url behind the signature": f"{signed_by_issuer(HEAD, CLAIMS)}!!!!",
    "no signature": signed_by_issuer(HEAD, CLAIMS).rpartition(".")[0],
    "a part too many": signed_by_issuer(HEAD, CLAIMS, CLAIMS),
    "claims that are a list": signed_by_issuer(HEAD, [CLAIMS]),
    "a head that is a list": signed_by_issuer([HEAD], CLAIMS),
    "nothing": "",
}


@pytest.mark.parametrize("token", NO_TOKENS.values(), ids=NO_TOKENS)
def test_what_is_no_token_claims_nothing(token: str) -> None:
    assert read_token(signed_by_issuer(HEAD, CLAIMS), ISSUER_KEY.public) == CLAIMS
    assert read_token(token, ISSUER_KEY.public) is None
