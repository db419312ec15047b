"""Faults on demand: each kind as a client sees it, for exactly as many requests as told."""

import json
import time
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.credentials import AZURE_API_KEY, BEDROCK_API_KEY, OPENAI_API_KEY

CHAT = {
    "openai": "/v1/chat/completions",
    "azure": "/openai/v1/chat/completions",
    "bedrock": "/openai/v1/chat/completions",
}
KEYS = {"openai": OPENAI_API_KEY, "azure": AZURE_API_KEY, "bedrock": BEDROCK_API_KEY}
MODELS = {"openai": "gpt-5.5", "azure": "gpt-5-5", "bedrock": "openai.gpt-5.5"}


def ask(clouds: Any, cloud: str, *, stream: bool = False, timeout: float = 5.0) -> httpx.Response:
    body = {
        "model": MODELS[cloud],
        "messages": [{"role": "user", "content": "a b c"}],
        "max_tokens": 64,
        "stream": stream,
    }
    headers = {"authorization": f"Bearer {KEYS[cloud]}"}
    return httpx.post(clouds.url(cloud, CHAT[cloud]), json=body, headers=headers, timeout=timeout)


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
    clouds.add_fault(cloud, kind="status", status=status, count=2)
    answers = [ask(clouds, cloud) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    found = answers[0].json()["error"][place[1]] if place[0] == "error" else answers[0].headers[place[0]]
    assert found == code
    after = clouds.counts(cloud)
    assert {name: after[name] - before[name] for name in after} == {
        "attempts": 3,
        "answered": 1,
        "refused": 0,
        "faulted": 2,
        "abandoned": 0,
        "streams": 0,
        "prompt_tokens": 3,
        "completion_tokens": 64,
    }


def test_the_sdk_waits_as_told_and_tries_again(clouds: Any) -> None:
    clouds.add_fault("openai", kind="status", status=429, retry_after_ms=300)
    client = OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=1)
    began = time.monotonic()
    raw = client.chat.completions.with_raw_response.create(model="gpt-5.5", messages=[{"role": "user", "content": "a"}])
    assert raw.retries_taken == 1
    assert time.monotonic() - began >= 0.3


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
    clouds.add_fault("openai", kind="stall", seconds=2)
    with pytest.raises(httpx.ReadTimeout):
        ask(clouds, "openai", timeout=0.2)


def test_a_client_that_leaves_a_slow_stream_is_counted(clouds: Any) -> None:
    before = clouds.counts("azure")["abandoned"]
    clouds.add_fault("azure", kind="pace", seconds=0.02)
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY)
    stream = client.chat.completions.create(
        model="gpt-5-5", messages=[{"role": "user", "content": "a"}], max_tokens=500, stream=True
    )
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 5
    while clouds.counts("azure")["abandoned"] == before:
        assert time.monotonic() < deadline, "the cloud never noticed that its client left"
    assert clouds.counts("azure")["abandoned"] == before + 1


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
