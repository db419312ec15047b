"""Our signatures against the vendor's own signer."""

import time
from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS, credential_in
from clauseway.gateway.clouds.sigv4 import Signer, SigningKey
from clauseway.gateway.plan import Auth, Target
from clauseway.metering import Deployment

printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
segments = st.text(st.characters(categories=["L", "N"], include_characters="-._~:@!$&'()*+,;= %"), max_size=12)
paths = st.lists(segments | st.sampled_from([".", "..", ""]), max_size=5).map(lambda parts: "/" + "/".join(parts))
names = st.from_regex(r"[a-z\-]{1,6}", fullmatch=True)
values = st.from_regex(r"[a-zA-Z0-9%\-]{0,6}", fullmatch=True)
queries = st.lists(st.tuples(names, values), max_size=3).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
instants = st.integers(1_600_000_000, 2_000_000_000)
words = st.text(printable, min_size=1, max_size=40)


def judged(
    *,
    body: bytes,
    now_s: int,
    host: str,
    path: str,
    query: str,
    content_type: str,
    credentials: Credentials,
    service: str,
    region: str,
    method: str = "POST",
) -> dict[str, str]:
    """The headers that botocore would send."""
    key = SigningKey(
        access_key=credentials.access_key,
        secret=credentials.secret_key,
        service=service,
        region=region,
        session_token=credentials.token or "",
    )
    signer = Signer(key, host=host, path=path, method=method, query=query, content_type=content_type)
    lines = signer.headers(body, now_s).decode().split("\r\n")[:-1]
    ours = dict(line.split(": ", 1) for line in lines)
    url = f"https://{host}{path}" + (f"?{query}" if query else "")
    stated = {"host": host, "x-amz-content-sha256": ours["x-amz-content-sha256"]}
    if content_type:
        stated["content-type"] = content_type
    request = AWSRequest(method, url, headers=stated, data=body)
    with patch.object(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(now_s, UTC)):
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    theirs = {name.lower(): str(value) for name, value in request.headers.items()}
    assert {name: theirs[name] for name in ours} == ours
    return ours


@settings(max_examples=200)
@given(st.binary(max_size=300), instants, paths, queries, words, words, st.none() | words)
def test_the_vendors_signer_agrees(
    body: bytes, now_s: int, path: str, query: str, access_key: str, secret: str, token: str | None
) -> None:
    judged(
        body=body,
        now_s=now_s,
        host="bedrock-mantle.us-east-1.api.aws",
        path=path,
        query=query,
        content_type="application/json",
        credentials=Credentials(access_key, secret, token),
        service="bedrock-mantle",
        region="us-east-1",
    )


def test_days_regions_services_and_ports() -> None:
    for now_s in (1_777_161_599, 1_777_161_600):
        for service, region, host in [("bedrock", "eu-west-1", "127.0.0.1:8412"), ("bedrock-mantle", "us-west-2", "h")]:
            judged(
                body=b"{}",
                now_s=now_s,
                host=host,
                path="/openai/v1/chat/completions",
                query="",
                service=service,
                region=region,
                content_type="application/json",
                credentials=Credentials("AKID", "secret"),
            )


def test_one_signer_over_midnight_changes_its_key() -> None:
    def new() -> Signer:
        key = SigningKey(access_key="A", secret="s", service="bedrock", region="r")
        return Signer(key, host="h", path="/p")

    signer = new()
    before, after = signer.headers(b"", 1_777_161_599), signer.headers(b"", 1_777_161_600)
    assert before != after == new().headers(b"", 1_777_161_600)


def test_requests_without_a_body_and_types_with_boundaries() -> None:
    for method, body, content_type in [
        ("GET", b"", ""),
        ("DELETE", b"", ""),
        ("POST", b"", ""),
        ("POST", b"--x--", "multipart/form-data; boundary=x"),
        ("POST", b"--x--", 'multipart/form-data;  charset=utf-8;   boundary="a b%c"'),
    ]:
        judged(
            body=body,
            now_s=1_777_161_600,
            host="h",
            path="/openai/v1/responses/resp_1/cancel",
            query="b=2&a=1%20",
            content_type=content_type,
            credentials=Credentials("AKID", "secret", "token%"),
            service="bedrock",
            region="us-west-2",
            method=method,
        )


def test_one_key_signs_for_many_paths() -> None:
    """Whoever set the time, another signer of the same key sees it."""
    key = SigningKey(access_key="A", secret="s", service="bedrock", region="r")
    one, other = Signer(key, host="h", path="/1"), Signer(key, host="h", path="/2")
    first, later = one.headers(b"", 1_777_161_599), other.headers(b"", 1_777_161_600)
    assert one.headers(b"", 1_777_161_599) == first != one.headers(b"", 1_777_161_600)
    assert other.headers(b"", 1_777_161_600) == later


def test_the_head_that_goes_to_the_cloud_is_the_one_that_was_signed() -> None:
    target = Target(
        label=Deployment("d", "aws", "openai", "us-east-1", "p", "openai.gpt-5.4"),
        dialect="bedrock",
        url="http://127.0.0.1:8412/openai/v1",
        auth=Auth(kind="sigv4", secret="s", access_key="AKID", service="bedrock-mantle", region="us-east-1"),
        input_price=0,
        output_price=0,
        output_tokens_max=1,
    )
    write_head = DIALECTS["bedrock"].head_writer(target, credential_in(target.auth))
    head = write_head(CHAT_COMPLETIONS, b"{}", b"openai-beta: x\r\n", int(time.time()))
    lines = head.decode().split("\r\n")
    assert lines[:2] == ["POST /openai/v1/chat/completions HTTP/1.1", "host: 127.0.0.1:8412"]
    assert "openai-beta: x" in lines
    assert "content-type: application/json" in lines
    assert lines[-3:] == ["content-length: 2", "", ""]
    assert any("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date," in line for line in lines)
