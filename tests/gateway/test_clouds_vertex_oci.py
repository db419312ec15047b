"""Vertex AI's and OCI's requests beside those of the vendors' own clients and signers."""

import base64
from email.utils import formatdate

import oci
import openai
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from openai.providers import vertex
from vendor_requests import NOW_S, OPERATIONS, Head, Sent, assert_same, call_for, made, plain, target

from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS

OAUTH = Credential(kind="bearer", secret="ya29.token")
GENERATIVE = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1"
COMPARTMENT = "ocid1.compartment.oc1..aaaa"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
TENANCY, USER, FINGERPRINT = "ocid1.tenancy.oc1..t", "ocid1.user.oc1..u", "20:3b:97:13:55:1c:5b:0d"
SIGNING = Credential(kind="signature", secret=PEM, key_id=f"{TENANCY}/{USER}/{FINGERPRINT}")


@pytest.mark.parametrize("location", ["global", "europe-west4"])
def test_vertex_responses(location: str) -> None:
    sent = Sent()
    vendor = vertex(project="acme-ai", location=location, token_provider=lambda: "ya29.token")
    client = openai.OpenAI(provider=vendor, http_client=sent.client, max_retries=0)
    theirs = sent.by(client, "responses", "openai/gpt-5.4")
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    root = f"https://{host}/v1/projects/acme-ai/locations/{location}/publishers/openai/v1"
    to = target("vertex", root, "openai/gpt-5.4")
    assert_same(made(to, OAUTH, call_for("responses", theirs), theirs.content), theirs, "authorization")
    assert set(OPERATIONS) - DIALECTS["vertex"].lacks(to) == {"responses"}


def test_vertex_chat() -> None:
    """As Google documents it for OpenAI's client: its base address and a token as key."""
    root = "https://aiplatform.googleapis.com/v1/projects/acme-ai/locations/global/endpoints/openapi"
    sent = Sent()
    client = openai.OpenAI(api_key="ya29.token", base_url=root, http_client=sent.client, max_retries=0)
    theirs = sent.by(client, "chat", "google/gemini-3-pro")
    to = target("vertex", root, "google/gemini-3-pro")
    assert_same(made(to, OAUTH, call_for("chat", theirs), theirs.content), theirs, "authorization")
    assert set(OPERATIONS) - DIALECTS["vertex"].lacks(to) == {"chat"}


def test_vertex_is_never_told_openais_organization_or_project() -> None:
    to = target("vertex", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/openai/v1", "m")
    passed = b"OpenAI-Organization: org-1\r\nopenai-beta: x\r\nopenai-project: p\r\ntraceparent: 00-1\r\n"
    ours = made(to, OAUTH, CHAT_COMPLETIONS, b"{}", passed)
    assert {name for name in ours.headers if name.startswith(("openai", "trace"))} == {"openai-beta", "traceparent"}


def test_a_root_that_is_no_surface_of_vertex() -> None:
    with pytest.raises(ValueError, match="publishers/openai/v1"):
        DIALECTS["vertex"].head_writer(target("vertex", "https://aiplatform.googleapis.com/v1", "m"), OAUTH)


def verified(ours: Head) -> str:
    """The string that was signed, read from the head by the scheme's rules, once the signature over it is verified."""
    scheme, _, parameters = ours.headers["authorization"].partition(" ")
    assert scheme == "Signature"
    named = dict(part.split("=", 1) for part in parameters.split(","))
    fields = {name: value.strip('"') for name, value in named.items()}
    lines = [
        f"{name}: {ours.method.lower()} {ours.path}" if name == "(request-target)" else f"{name}: {ours.headers[name]}"
        for name in fields["headers"].split(" ")
    ]
    text = "\n".join(lines)
    signature = base64.b64decode(fields["signature"])
    KEY.public_key().verify(signature, text.encode(), padding.PKCS1v15(), SHA256())
    return text


@pytest.mark.parametrize("operation", OPERATIONS)
def test_oci_signs_as_the_vendors_signer(operation: str) -> None:
    """RSA of this kind is deterministic: the vendor's signature is ours, byte for byte."""
    sent = Sent()
    theirs = sent.by(plain(sent), operation, "openai.gpt-oss-120b")
    call, url = call_for(operation, theirs), GENERATIVE + theirs.url.raw_path.decode().removeprefix("/v1")
    to = target("oci", GENERATIVE, "openai.gpt-oss-120b", settings={"compartment_id": COMPARTMENT})
    ours = made(to, SIGNING, call, theirs.content)
    signed = requests.Request(theirs.method, url, data=theirs.content or None).prepare()
    date = signed.headers["date"] = formatdate(NOW_S, usegmt=True)
    if "content-type" in theirs.headers:
        signed.headers["content-type"] = theirs.headers["content-type"]
    oci.signer.Signer(TENANCY, USER, FINGERPRINT, None, private_key_content=PEM).do_request_sign(signed)
    for name in ("authorization", "date", "x-content-sha256", "host"):
        assert ours.headers.get(name) == signed.headers.get(name), name
    assert verified(ours).startswith(f"date: {date}\n(request-target): {ours.method.lower()} /openai")
    assert ours.headers["compartmentid"] == ours.headers["opc-compartment-id"] == COMPARTMENT


def test_oci_post_without_type_or_body() -> None:
    """The signature covers both, so both are said."""
    ours = made(target("oci", GENERATIVE, "m"), SIGNING, Call(b"POST", b"/responses/resp_1/cancel", b""), b"")
    assert (ours.headers["content-length"], ours.headers["content-type"]) == ("0", "application/json")
    assert "content-length: 0\ncontent-type: application/json\n" in verified(ours)
    assert "opc-compartment-id" not in ours.headers


def test_oci_get_and_delete_sign_date_target_and_host_only() -> None:
    for method in ("GET", "DELETE"):
        ours = made(target("oci", GENERATIVE, "m"), SIGNING, Call(method.encode(), b"/files/file-1?limit=2", b""), b"")
        expected = f"date: {formatdate(NOW_S, usegmt=True)}\n(request-target): {method.lower()} "
        assert verified(ours) == expected + "/openai/v1/files/file-1?limit=2\nhost: " + GENERATIVE.split("/")[2]


def test_oci_with_a_service_key() -> None:
    sent = Sent()
    client = openai.OpenAI(api_key="sk-oci", base_url=GENERATIVE, http_client=sent.client, max_retries=0)
    theirs = sent.by(client, "chat", "openai.gpt-oss-120b")
    to = target("oci", GENERATIVE, "openai.gpt-oss-120b", settings={"compartment_id": COMPARTMENT})
    ours = made(to, Credential(kind="bearer", secret="sk-oci"), call_for("chat", theirs), theirs.content)
    assert_same(ours, theirs, "authorization")
    assert ours.headers["opc-compartment-id"] == COMPARTMENT


@pytest.mark.parametrize("pem", ["", "no key", PEM[:400], PEM.replace("PRIVATE", "PUBLIC")])
def test_oci_with_a_key_that_is_none(pem: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as refused:
        DIALECTS["oci"].head_writer(
            target("oci", GENERATIVE, "m"), Credential(kind="signature", secret=pem, key_id="k")
        )
    assert pem[:10] not in str(refused.value) or not pem
