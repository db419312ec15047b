"""Whatever a body says, the model server answers or refuses it; it never breaks."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.clouds.model_server import COUNTING, GENERATING, NoEndpoint, answer
from clauseway.sandbox.signatures.credentials import DEMONSTRATION_KEY, GOOGLE_CLIENT_EMAIL
from clauseway.sandbox.signatures.tokens import sign_token
from clauseway.sandbox.surfaces.account import OPENAI_MODELS, CloudAccount, UnknownModel
from clauseway.sandbox.wire import FormatRefusal, ModelCall, Received

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "messages",
    "input",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "response_format",
    "text",
    "reasoning",
    "max_tokens",
    "max_output_tokens",
    "previous_response_id",
    "instructions",
    "metadata",
    "background",
    "store",
    "n",
    "dimensions",
    "encoding_format",
    "prompt",
    "size",
    "quality",
    "voice",
    "stream_format",
    "conversation",
]
NESTED = [
    "role",
    "content",
    "type",
    "function",
    "name",
    "parameters",
    "json_schema",
    "schema",
    "format",
    "output",
    "text",
]
PARTS = st.dictionaries(
    st.sampled_from(NESTED),
    JSON | st.sampled_from(["user", "tool", "function", "text", "message", "json_schema", "function_call_output"]),
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), JSON | PARTS | st.lists(PARTS, max_size=3))
MODELS = {
    "/embeddings": "text-embedding-3-small",
    "/images/generations": "gpt-image-1",
    "/audio/speech": "gpt-4o-mini-tts",
    "/moderations": "omni-moderation-latest",
}
ACCOUNT = CloudAccount(OPENAI_MODELS)


def call(path: str, body: bytes, method: str = "POST", query: str = "", content_type: str = "") -> ModelCall:
    return ModelCall(
        method=method, path=path, query=query, content_type=content_type, body=body, now_s=0.0, serial=f"{7:032x}"
    )


def answered_or_refused(asked: ModelCall) -> None:
    try:
        reply = answer(ACCOUNT, asked)
    except FormatRefusal as refused:
        expected = (refused.status, json.dumps(refused.body))
    except (UnknownModel, NoEndpoint):
        expected = (404, "")
    else:
        expected = (200, "")
        assert reply.value is not None or reply.content or reply.events
    assert expected[0] == 200 or 400 <= expected[0] < 500


JSON_PATHS = [path for path in (*GENERATING, *COUNTING) if not path.endswith(("edits", "variations", "tions"))]
JSON_PATHS += ["/images/generations", "/moderations", "/batches", "/chat/completions"]


@pytest.mark.parametrize("path", sorted(set(JSON_PATHS)))
@settings(max_examples=40, deadline=None)
@example(fields={"conversation": {}})
@given(fields=FIELDS)
def test_any_fields(path: str, fields: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"model": MODELS.get(path, "gpt-5.5"), "input": "x", "prompt": "x", "voice": "v"}
    usual["messages"] = [{"role": "user", "content": "x"}]
    answered_or_refused(call(path, json.dumps({**usual, **fields}).encode()))


@pytest.mark.parametrize("path", sorted({*GENERATING, *COUNTING, "/files", "/batches"}))
@settings(max_examples=15, deadline=None)
@given(body=st.binary(max_size=60))
@example(body=b"\xff{")
@example(body=b"[]")
def test_any_bytes(path: str, body: bytes) -> None:
    answered_or_refused(call(path, body))
    form = b"--b\r\n" + body + b"\r\n--b--\r\n"
    answered_or_refused(call(path, form, content_type="multipart/form-data; boundary=b"))


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    path=st.lists(st.sampled_from(["", "responses", "files", "batches", "models", "x", "content", "cancel"])),
    query=st.sampled_from(["", "limit=x", "limit=-1&after=y", "stream=true&starting_after=z", "order=&purpose"]),
)
def test_any_path(method: str, path: list[str], query: str) -> None:
    answered_or_refused(call("/" + "/".join(path), b"", method, query))


ROOTS = {"openai": "/v1", "azure": "/openai/v1", "vertex": "/v1/projects/p/locations/l/publishers/openai/v1"}
CREDENTIALS = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40) | st.builds(
    "{} {}".format,
    st.sampled_from(["Bearer", "Signature", "AWS4-HMAC-SHA256", "Basic"]),
    st.sampled_from(
        [
            "a.b.c",
            "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
            'version="1",keyId="ST$a.b.c",algorithm="rsa-sha256",headers="date",signature=""',
            "Credential=a/b/c/d/aws4_request,SignedHeaders=host,Signature=x",
            "Credential=a/b/c,SignedHeaders=,Signature=",
        ]
    ),
)


@pytest.mark.parametrize("cloud", FAKE_CLOUDS)
@settings(max_examples=40, deadline=None)
@given(authorization=CREDENTIALS, date=st.sampled_from(["", "x", "Mon, 32 Foo", "20260101T000000Z"]), body=st.binary())
def test_any_credential_is_refused(cloud: str, authorization: str, date: str, body: bytes) -> None:
    path = f"{ROOTS.get(cloud, '/openai/v1')}/chat/completions"
    value, when = authorization.encode("latin-1"), date.encode()
    headers = [(b"host", b"h"), (b"authorization", value), (b"date", when), (b"x-amz-date", when), (b"api-key", b"")]
    received = Received(
        method="POST", path=path, raw_path=path, query="", headers=headers, body=body, now_s=1.8e9, serial=f"{7:032x}"
    )
    assert FAKE_CLOUDS[cloud].create().answer(received).status in (401, 403)


@settings(max_examples=60, deadline=None)
@given(claims=st.dictionaries(st.sampled_from(["iss", "aud", "iat", "exp", "scope"]), JSON))
def test_any_claims_of_an_assertion(claims: dict[str, Any]) -> None:
    usual = {"iss": GOOGLE_CLIENT_EMAIL, "aud": "https://oauth2.googleapis.com/token"}
    assertion = sign_token({**usual, **claims}, DEMONSTRATION_KEY, "")
    form = f"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}".encode()
    received = Received(
        method="POST",
        path="/token",
        raw_path="/token",
        query="",
        headers=[],
        body=form,
        now_s=100.0,
        serial=f"{7:032x}",
    )
    assert FAKE_CLOUDS["vertex"].create().answer(received).status in (200, 400)
