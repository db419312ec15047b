"""Faults on demand: each kind as a client sees it, for exactly as many requests as told."""

import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import openai
import pyarrow
import pytest
from openai import OpenAI
from sandbox_rig import PATIENCE_S, clouds, running_clouds
from sandbox_shapes import problems_of

from awaiting import eventually
from clauseway.sandbox import zstandard
from clauseway.sandbox.faults import Fault, Pause, play
from clauseway.sandbox.signatures.credentials import (
    AZURE_API_KEY,
    BEDROCK_API_KEY,
    GOOGLE_LOCATION,
    GOOGLE_PROJECT,
    OCI_API_KEY,
    OCI_COMPARTMENT,
    OPENAI_API_KEY,
    google_token,
)

HTTP = httpx.Client(verify=False, timeout=PATIENCE_S)

CHAT = {
    "openai": "/v1/chat/completions",
    "azure": "/openai/v1/chat/completions",
    "bedrock": "/openai/v1/chat/completions",
}
KEYS = {"openai": OPENAI_API_KEY, "azure": AZURE_API_KEY, "bedrock": BEDROCK_API_KEY}
MODELS = {"openai": "gpt-5.5", "azure": "gpt-5-5", "bedrock": "openai.gpt-5.5"}


def ask(clouds: Any, cloud: str, *, stream: bool = False, read_s: float = PATIENCE_S) -> httpx.Response:
    body = {
        "model": MODELS[cloud],
        "messages": [{"role": "user", "content": "a b c"}],
        "max_tokens": 64,
        "stream": stream,
    }
    headers = {"authorization": f"Bearer {KEYS[cloud]}"}
    return HTTP.post(
        clouds.url(cloud, CHAT[cloud]), json=body, headers=headers, timeout=httpx.Timeout(PATIENCE_S, read=read_s)
    )


OUTAGES = [
    # cloud, status, where its code stands, the code
    ("openai", 429, ("error", "code"), "rate_limit_exceeded"),
    ("openai", 503, ("error", "code"), "server_is_overloaded"),
    ("openai", 500, ("error", "type"), "server_error"),
    ("azure", 429, ("error", "code"), "429"),
    ("azure", 500, ("error", "code"), "InternalServerError"),
    ("bedrock", 429, ("x-amzn-errortype",), "ThrottlingException"),
    ("bedrock", 503, ("x-amzn-errortype",), "ServiceUnavailableException"),
]


@pytest.mark.parametrize(("cloud", "status", "place", "code"), OUTAGES)
def test_an_outage_in_the_clouds_own_words(
    clouds: Any, cloud: str, status: int, place: tuple[str, ...], code: str
) -> None:
    before = clouds.counts(cloud)
    clouds.add_fault(cloud, kind="status", status=status, count=3)
    answers = [ask(clouds, cloud) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status, status, status, 200]
    value = answers[0].json()["error"][place[1]] if place[0] == "error" else answers[0].headers[place[0]]
    assert value == code
    after = clouds.counts(cloud)
    assert {name: after[name] - before[name] for name in after} == {
        "attempts": 4,
        "answered": 1,
        "refused": 0,
        "faulted": 3,
        "abandoned": 0,
        "streams": 0,
        "prompt_tokens": 3,
        "completion_tokens": 64,
    }


def test_the_sdk_waits_as_told_and_tries_again(clouds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses_s: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses_s.append)  # the SDK's way to wait
    clouds.add_fault("openai", kind="status", status=429, retry_after_ms=300)
    client = OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=1)
    raw = client.chat.completions.with_raw_response.create(model="gpt-5.5", messages=[{"role": "user", "content": "a"}])
    assert raw.retries_taken == 1
    assert pauses_s == [0.3]


def test_retry_after_is_told_in_both_units(clouds: Any) -> None:
    clouds.add_fault("azure", kind="status", status=429, retry_after_ms=1500)
    headers = ask(clouds, "azure").headers
    assert (headers["retry-after-ms"], headers["retry-after"]) == ("1500", "2")


def test_a_dropped_connection(clouds: Any) -> None:
    clouds.add_fault("bedrock", kind="drop")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(clouds, "bedrock")
    assert ask(clouds, "bedrock").status_code == 200


@pytest.mark.parametrize("cloud", ["openai", "azure", "bedrock"])
def test_a_stream_cut_after_events(clouds: Any, cloud: str) -> None:
    clouds.add_fault(cloud, kind="cut-after-events", events=5)
    body = {"model": MODELS[cloud], "messages": [{"role": "user", "content": "a"}], "max_tokens": 64, "stream": True}
    headers = {"authorization": f"Bearer {KEYS[cloud]}"}
    received = b""
    try:
        with httpx.stream("POST", clouds.url(cloud, CHAT[cloud]), json=body, headers=headers) as answer:
            for part in answer.iter_raw():
                received += part
    except httpx.RemoteProtocolError:
        received += b"CUT"
    assert received.endswith(b"CUT")
    assert received.count(b"\n\n") == 5
    assert b"[DONE]" not in received


def test_an_answer_cut_inside_its_body(clouds: Any) -> None:
    clouds.add_fault("openai", kind="cut-after-events")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(clouds, "openai")


def test_a_stall_lasts_longer_than_the_client_waits(clouds: Any) -> None:
    before = clouds.counts("openai")["abandoned"]
    clouds.add_fault("openai", kind="stall", seconds=10 * PATIENCE_S)
    with pytest.raises(httpx.ReadTimeout):
        ask(clouds, "openai", read_s=0.2)
    eventually(lambda: clouds.counts("openai")["abandoned"] == before + 1)


def test_a_stall_inside_a_stream(clouds: Any) -> None:
    """Three events come, and nothing more as long as the client stays."""
    before = clouds.counts("azure")["abandoned"]
    clouds.add_fault("azure", kind="stall", events=3, seconds=10 * PATIENCE_S)
    body = {
        "model": "gpt-5-5",
        "messages": [{"role": "user", "content": "a"}],
        "max_tokens": 64,
        "stream": True,
    }
    headers = {"authorization": f"Bearer {AZURE_API_KEY}"}
    url, received = clouds.url("azure", CHAT["azure"]), b""
    with HTTP.stream("POST", url, json=body, headers=headers) as answer:
        for part in answer.iter_raw():
            received += part
            if received.count(b"\n\n") >= 3:
                break
    assert received.count(b"\n\n") == 3
    eventually(lambda: clouds.counts("azure")["abandoned"] == before + 1)


def test_a_stall_goes_on_to_the_end_for_a_client_that_waits(clouds: Any) -> None:
    clouds.add_fault("azure", kind="stall", events=3, seconds=0.01)
    assert ask(clouds, "azure", stream=True).text.endswith("data: [DONE]\n\n")


EVENTS = [b"one\n\n", b"two\n\n", b"three\n\n"]
PAUSE = Pause(0.5)
PLAYED = [
    # the fault, the steps that follow
    (Fault(kind="stall", seconds=0.5), [PAUSE, *EVENTS]),
    (Fault(kind="stall", seconds=0.5, events=2), [*EVENTS[:2], PAUSE, EVENTS[2]]),
    (Fault(kind="stall", seconds=0.5, events=9), [*EVENTS, PAUSE]),
    (Fault(kind="pace", seconds=0.5), [PAUSE, EVENTS[0], PAUSE, EVENTS[1], PAUSE, EVENTS[2]]),
    (
        Fault(kind="drip", seconds=0.5, bytes=8),
        [PAUSE, b"one\n\ntwo", PAUSE, b"\n\nthree\n", PAUSE, b"\n"],
    ),
]


@pytest.mark.parametrize(("fault", "steps"), PLAYED)
def test_the_steps_of_a_slow_stream(fault: Fault, steps: list[bytes | Pause]) -> None:
    assert list(play(EVENTS, streamed=True, fault=fault, error=b"")) == steps


def test_a_client_that_leaves_a_slow_stream_is_counted(clouds: Any) -> None:
    before = clouds.counts("azure")["abandoned"]
    clouds.add_fault("azure", kind="pace", seconds=0.02)
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY)
    stream = client.chat.completions.create(
        model="gpt-5-5",
        messages=[{"role": "user", "content": "a"}],
        max_tokens=100_000,  # far longer than any client stays
        stream=True,
    )
    next(iter(stream))
    stream.close()
    eventually(lambda: clouds.counts("azure")["abandoned"] == before + 1)


def test_a_client_that_closes_after_the_answer_did_not_leave(clouds: Any) -> None:
    before = clouds.counts("openai")
    for stream in (False, True):
        answer = respond(clouds, "openai", {"connection": "close"}, stream=stream)
        assert answer.headers["connection"] == "close"
    after = clouds.counts("openai")
    assert (after["answered"] - before["answered"], after["abandoned"] - before["abandoned"]) == (2, 0)


def test_rules_are_listed_used_up_in_order_and_deleted(clouds: Any) -> None:
    url = clouds.url("openai", "/sandbox/faults")
    rules = [{"kind": "status", "status": 500, "count": 1}, {"kind": "status", "status": 503, "count": None}]
    httpx.post(url, json=rules)
    assert [ask(clouds, "openai").status_code for _ in range(4)] == [500, 503, 503, 503]
    assert [(rule["status"], rule["count"]) for rule in httpx.get(url).json()] == [(503, None)]
    assert httpx.delete(url).json() == []
    assert ask(clouds, "openai").status_code == 200


BAD_RULES = [
    '{"kind":"explode"}',
    '{"kind":"status","colour":"red"}',
    "{",
    '{"status":503}',
    '[{"kind":"drop"},{"kind":"x"}]',
]


@pytest.mark.parametrize("rule", BAD_RULES)
def test_a_bad_rule_sets_nothing(clouds: Any, rule: str) -> None:
    url = clouds.url("openai", "/sandbox/faults")
    answer = httpx.post(url, content=rule)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("No rule was set: ")
    assert httpx.get(url).json() == []


def test_a_fault_that_names_no_endpoint_hits_where_a_model_works(clouds: Any) -> None:
    clouds.add_fault("openai", kind="status", status=503)
    client = OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=0)
    assert client.models.list().data
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-5.5", messages=[{"role": "user", "content": "a"}])


def test_requests_that_a_cloud_refuses_are_counted_apart(clouds: Any) -> None:
    before = clouds.counts("openai")
    httpx.post(clouds.url("openai", CHAT["openai"]), content=json.dumps({}))
    after = clouds.counts("openai")
    assert (after["attempts"] - before["attempts"], after["refused"] - before["refused"]) == (1, 1)
    assert after["prompt_tokens"] == before["prompt_tokens"]


VERTEX_ROOT = f"/v1/projects/{GOOGLE_PROJECT}/locations/{GOOGLE_LOCATION}/publishers/openai/v1"
# cloud: root, bearer token, model
PLACES: dict[str, tuple[str, str, str]] = {
    "openai": ("/v1", OPENAI_API_KEY, "gpt-5.5"),
    "azure": ("/openai/v1", AZURE_API_KEY, "gpt-5-5"),
    "bedrock": ("/openai/v1", BEDROCK_API_KEY, "openai.gpt-5.5"),
    "bedrock_runtime": ("/openai/v1", BEDROCK_API_KEY, "us.openai.gpt-5.5"),
    "vertex": (VERTEX_ROOT, google_token(), "gpt-5.5"),
    "oracle": ("/openai/v1", OCI_API_KEY, "openai.gpt-5.5"),
}


def respond(
    clouds: Any, cloud: str, headers: Mapping[str, str] = MappingProxyType({}), *, stream: bool = False
) -> httpx.Response:
    """A request to the Responses API, which every cloud has."""
    root, token, model = PLACES[cloud]
    sent = {"authorization": f"Bearer {token}", "opc-compartment-id": OCI_COMPARTMENT, **headers}
    body = {"model": model, "input": "a b c", "max_output_tokens": 64, "stream": stream}
    return HTTP.post(clouds.url(cloud, f"{root}/responses"), json=body, headers=sent)


STATUSES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "credit_balance_exhausted": 429,
    "organization_spend_limit_exceeded": 429,
    "slow_down": 429,
    "no_capacity": 429,
    "server_is_overloaded": 503,
    "expired_token": 401,
}
AWS_NAMES = {
    "rate_limit_exceeded": "ThrottlingException",
    "insufficient_quota": "ServiceQuotaExceededException",
    "credit_balance_exhausted": "ServiceQuotaExceededException",
    "organization_spend_limit_exceeded": "ServiceQuotaExceededException",
    "slow_down": "ThrottlingException",
    "no_capacity": "ModelNotReadyException",
    "server_is_overloaded": "ServiceUnavailableException",
    "expired_token": "ExpiredTokenException",
}
# Each cloud's name for each family; OpenAI has names for all but Azure's lack of room.
NAMES = {
    "openai": {
        **{family: family for family in STATUSES},
        "no_capacity": "rate_limit_exceeded",
        "expired_token": "token_expired",
    },
    "azure": {
        "rate_limit_exceeded": "429",
        "insufficient_quota": "insufficient_quota",
        "credit_balance_exhausted": "insufficient_quota",
        "organization_spend_limit_exceeded": "insufficient_quota",
        "slow_down": "slow_down",
        "no_capacity": "no_capacity",
        "server_is_overloaded": "server_is_overloaded",
        "expired_token": "401",
    },
    "bedrock": AWS_NAMES,
    "bedrock_runtime": AWS_NAMES,
    "vertex": {
        **dict.fromkeys(STATUSES, "RESOURCE_EXHAUSTED"),
        "server_is_overloaded": "UNAVAILABLE",
        "expired_token": "UNAUTHENTICATED",
    },
    "oracle": {
        "rate_limit_exceeded": "TooManyRequests",
        "insufficient_quota": "LimitExceeded",
        "credit_balance_exhausted": "LimitExceeded",
        "organization_spend_limit_exceeded": "LimitExceeded",
        "slow_down": "TooManyRequests",
        "no_capacity": "TooManyRequests",
        "server_is_overloaded": "ServiceUnavailable",
        "expired_token": "NotAuthenticated",
    },
}


def named(cloud: str, answer: httpx.Response) -> Any:
    """Return the cloud's name for the error, where that cloud says it."""
    match cloud:
        case "openai" | "azure":
            return answer.json()["error"]["code"]
        case "vertex":
            return answer.json()["error"]["status"]
        case "oracle":
            return answer.json()["code"]
    return answer.headers["x-amzn-errortype"]


@pytest.mark.parametrize("family", STATUSES)
@pytest.mark.parametrize("cloud", NAMES)
def test_each_family_in_each_clouds_words(clouds: Any, cloud: str, family: str) -> None:
    clouds.add_fault(cloud, kind="status", family=family, retry_after_ms=700)
    answer = respond(clouds, cloud)
    # AWS says 403 of a token that has expired.
    status = 403 if (cloud.startswith("bedrock"), family) == (True, "expired_token") else STATUSES[family]
    assert (answer.status_code, named(cloud, answer)) == (status, NAMES[cloud][family])
    assert answer.headers["retry-after-ms"] == "700"
    assert respond(clouds, cloud).status_code == 200


def test_quota_is_told_from_rate_by_openais_type(clouds: Any) -> None:
    for family, kind in [("rate_limit_exceeded", "requests"), ("insufficient_quota", "insufficient_quota")]:
        clouds.add_fault("openai", kind="status", family=family)
        assert respond(clouds, "openai").json()["error"]["type"] == kind


def test_a_fault_for_one_request_alone(clouds: Any) -> None:
    clouds.add_fault("openai", kind="status", status=500)
    fault = {"x-sandbox-fault": '{"kind": "status", "family": "slow_down"}'}
    assert respond(clouds, "openai", fault).json()["error"]["code"] == "slow_down"
    assert respond(clouds, "openai").status_code == 500  # the rule was left as it was
    bad = {"x-sandbox-fault": '{"kind": "explode"}'}
    assert respond(clouds, "openai", bad).json()["error"]["message"].startswith("No rule was set: ")


def test_a_fault_for_one_endpoint(clouds: Any) -> None:
    clouds.add_fault("openai", kind="status", status=503, endpoint="/files", count=2)
    assert respond(clouds, "openai").status_code == 200
    client = OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=0)
    with pytest.raises(openai.InternalServerError):
        client.files.list()
    with pytest.raises(openai.InternalServerError):
        client.files.retrieve("file-x")
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-x")


def test_an_error_event_after_azures_preamble(clouds: Any) -> None:
    clouds.add_fault("azure", kind="error-event", events=1, family="server_is_overloaded")
    answer = ask(clouds, "azure", stream=True)
    preamble, error, end = answer.text.split("\n\n")
    assert (answer.status_code, end) == (200, "")
    assert "prompt_filter_results" in preamble
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "server_is_overloaded"
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY, max_retries=0)
    clouds.add_fault("azure", kind="error-event", events=1)
    stream = client.chat.completions.create(model="gpt-5-5", messages=[{"role": "user", "content": "a"}], stream=True)
    with pytest.raises(openai.APIError, match="The server had an error"):
        list(stream)


def test_an_error_event_in_a_stream_of_responses(clouds: Any) -> None:
    clouds.add_fault("openai", kind="error-event", events=4, family="server_is_overloaded")
    text = respond(clouds, "openai", stream=True).text
    last = text.split("\n\n")[-2]
    assert last.startswith("event: error\n")
    event = json.loads(last.partition("data: ")[2])
    assert (event["sequence_number"], event["code"]) == (4, "server_is_overloaded")
    assert problems_of("ResponseStreamEvent", event) == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("at", [0, 1, 100])
def test_a_body_cut_at_a_byte(clouds: Any, stream: bool, at: int) -> None:
    clouds.add_fault("openai", kind="cut-at-byte", bytes=at)
    received = b""
    root, token, model = PLACES["openai"]
    body = {"model": model, "input": "a b c", "stream": stream}
    headers = {"authorization": f"Bearer {token}"}
    with HTTP.stream("POST", clouds.url("openai", f"{root}/responses"), json=body, headers=headers) as answer:
        try:
            for part in answer.iter_raw():
                received += part
        except httpx.RemoteProtocolError:
            received += b"CUT"
    assert received.endswith(b"CUT")
    assert len(received) == at + len(b"CUT")


def test_a_slow_drip_loses_nothing(clouds: Any) -> None:
    whole = ask(clouds, "azure").json()
    clouds.add_fault("azure", kind="drip", bytes=200, seconds=0.01)
    assert ask(clouds, "azure").json()["choices"] == whole["choices"]


def test_a_redirect_is_told_and_leads_where_it_says(clouds: Any) -> None:
    clouds.add_fault("vertex", kind="redirect", location="https://example.com/elsewhere")
    answer = respond(clouds, "vertex")
    assert (answer.status_code, answer.headers["location"]) == (307, "https://example.com/elsewhere")
    clouds.add_fault("vertex", kind="redirect", status=302)
    answer = respond(clouds, "vertex")
    assert (answer.status_code, answer.headers["location"]) == (302, str(answer.request.url))


def test_garbage_is_no_http(clouds: Any) -> None:
    clouds.add_fault("openai", kind="garbage")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(clouds, "openai")
    assert ask(clouds, "openai").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_length_that_is_not_the_bodys(clouds: Any, stream: bool) -> None:
    clouds.add_fault("openai", kind="wrong-length", bytes=10)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        ask(clouds, "openai", stream=stream)
    clouds.add_fault("openai", kind="wrong-length", bytes=-10)
    short = ask(clouds, "openai", stream=stream)
    assert len(short.content) == int(short.headers["content-length"])


@pytest.mark.parametrize("stream", [False, True])
def test_frames_that_nobody_asked_for(clouds: Any, stream: bool) -> None:
    clouds.add_fault("openai", kind="zstd-frames")
    body = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "a b c"}], "stream": stream}
    headers = {"authorization": f"Bearer {OPENAI_API_KEY}", "accept-encoding": "identity"}
    with HTTP.stream("POST", clouds.url("openai", CHAT["openai"]), json=body, headers=headers) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "zstd"
    frames = raw.split(b"\x28\xb5\x2f\xfd")[1:]
    texts = [unframe(b"\x28\xb5\x2f\xfd" + frame) for frame in frames]
    if stream:
        assert texts[-1] == b"data: [DONE]\n\n"
        assert len(texts) > 5
    else:
        assert json.loads(texts[0])["object"] == "chat.completion"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_791, 65_792, 300_000])
def test_a_frame_of_any_size(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    assert unframe(zstandard.frame(content)) == content


def unframe(frame: bytes) -> bytes:
    """The vendor's own decoder, as Arrow carries it."""
    return bytes(pyarrow.CompressedInputStream(pyarrow.BufferReader(frame), "zstd").read())


def test_every_attempt_is_told_with_its_endpoint_and_its_end(clouds: Any) -> None:
    HTTP.delete(clouds.url("openai", "/sandbox/attempts"))
    clouds.add_fault("azure", kind="drop")
    sent = {"x-client-request-id": "mine"}
    answered = respond(clouds, "openai", sent)
    refused = respond(clouds, "vertex", {"authorization": "Bearer nobody"})
    with pytest.raises(httpx.RemoteProtocolError):
        respond(clouds, "azure", stream=True)
    HTTP.get(clouds.url("openai", f"/v1/responses/{answered.json()['id']}"))
    attempts = HTTP.get(clouds.url("oracle", "/sandbox/attempts")).json()
    assert [
        (each["cloud"], each["method"], each["endpoint"], each["status"], each["outcome"]) for each in attempts
    ] == [
        ("openai", "POST", "/responses", 200, "answered"),
        ("vertex", "POST", "/responses", 401, "refused"),
        ("azure", "POST", "/responses", 0, "faulted"),
        ("openai", "GET", f"/responses/{answered.json()['id']}", 401, "refused"),  # without a key
    ]
    assert attempts[0]["client_request_id"] == "mine"
    assert answered.headers["x-request-id"] == f"req_{attempts[0]['serial']}"
    assert attempts[0]["tokens"] == [3, 64]
    assert refused.status_code == 401
