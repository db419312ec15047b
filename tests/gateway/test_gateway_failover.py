"""Clouds that fail: what the caller gets, what is recorded, and that no cloud is asked twice."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from gateway_rig import (
    MESSAGES,
    MODEL,
    WORDS,
    Behaviour,
    Rig,
    cut,
    drop,
    free_port,
    preamble_then_error,
    preamble_then_stall,
    stall,
    status,
    well,
)

from clauseway.metering import Unit


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as started:
        yield started


# fault → what one deployment alone makes of it (status, words in the message), HTTP status in the record.
FAULTS: dict[str, tuple[Behaviour | None, int, str, int]] = {
    "500": (status(500), 502, "answered 500", 500),
    "503": (status(503), 503, "answered 503", 503),
    "429": (status(429, "retry-after: 7"), 429, "answered 429", 429),
    "408": (status(408), 502, "answered 408", 408),
    "409": (status(409), 502, "answered 409", 409),
    "redirect": (status(307, "location: http://127.0.0.1:1/"), 502, "answered 307", 307),
    "refused": (None, 502, "could not be reached", 0),
    "dropped before a byte": (drop, 502, "closed the connection without an answer", 0),
    "stalled": (stall, 502, "did not answer in time", 0),
}
ONLY_STREAMS: dict[str, tuple[Behaviour | None, int, str, int]] = {
    "stalled before content": (preamble_then_stall, 502, "did not answer in time", 200),
    "error before content": (preamble_then_error, 502, "reported an error before any content", 200),
}
ONLY_JSON: dict[str, tuple[Behaviour | None, int, str, int]] = {
    "cut within the answer": (cut, 502, "broke off its answer", 200),
}
CASES = [
    *((fault, stream) for fault in FAULTS for stream in (False, True)),
    *((fault, True) for fault in ONLY_STREAMS),
    *((fault, False) for fault in ONLY_JSON),
]
ALL = FAULTS | ONLY_STREAMS | ONLY_JSON


def start(rig: Rig, fault: str, *, second: bool) -> None:
    """Azure with the fault first, and OpenAI, well, behind it if `second`."""
    behaviour = ALL[fault][0]
    if behaviour is None:
        targets = [rig.target("azure", free_port())]
    else:
        azure = rig.cloud("azure", behaviour)
        targets = [rig.target("azure", azure.port)]
    if second:
        targets.append(rig.target("openai", rig.cloud("openai", well).port))
    rig.start(rig.plan(targets, attempt_timeout_s=0.3))


@pytest.mark.parametrize(("fault", "stream"), CASES)
def test_a_second_deployment_takes_over(rig: Rig, fault: str, stream: bool) -> None:
    start(rig, fault, second=True)
    answer = rig.post(stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-clauseway-cloud"] == "openai"
    assert answer.headers["x-clauseway-attempts"] == "2"
    if stream:
        assert answer.text.count("data: ") == len(WORDS) + 3, "role, words, finish reason, [DONE]: once each"
        assert answer.text.endswith("data: [DONE]\n\n")
    else:
        assert answer.json()["choices"][0]["message"]["content"] == "".join(WORDS)
    assert rig.outcomes() == [("azure-1", "FAILED", ALL[fault][3]), ("openai-1", "COMPLETE", 200)]
    assert [intent.attempt for intent in rig.intents()] == [1, 2]
    assert all(len(cloud.requests) == 1 for cloud in rig.clouds.values()), "nobody is asked twice"


@pytest.mark.parametrize(("fault", "stream"), CASES)
def test_one_deployment_alone_names_its_attempt(rig: Rig, fault: str, stream: bool) -> None:
    start(rig, fault, second=False)
    answer = rig.post(stream=stream)
    expected, words = ALL[fault][1:3]
    assert answer.status_code == expected
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "azure azure-1" in error["message"]
    assert words in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-clauseway-attempts"] == "1"
    assert rig.outcomes() == [("azure-1", "FAILED", ALL[fault][3])]
    if fault == "429":
        assert answer.headers["retry-after"] == "7"
    assert rig.counts()["failed"] == {"azure": 1}
    assert rig.counts()["open"] == 0


@pytest.mark.parametrize("second", [False, True], ids=["one deployment", "two deployments"])
def test_a_stream_cut_after_content_ends_with_an_error_and_no_done(rig: Rig, second: bool) -> None:
    start(rig, "cut within the answer", second=second)
    answer = rig.post(stream=True)
    assert answer.status_code == 200
    events = answer.text.split("\n\n")
    assert [json.loads(event[6:])["choices"][0]["delta"]["content"] for event in events[:4]] == ["", *WORDS[:3]]
    error = json.loads(events[4][6:])["error"]
    assert error["code"] == "stream_interrupted"
    assert "azure" in error["message"]
    assert "[DONE]" not in answer.text
    (record,) = rig.records()
    assert record.status.name == "INTERRUPTED"
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == 4, "the part that was delivered, by events"
    assert "openai" not in rig.clouds or not rig.clouds["openai"].requests, "committed is committed"
    with pytest.raises(openai.APIError, match="stream broke"):
        list(rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))


def test_both_deployments_are_named_when_both_fail(rig: Rig) -> None:
    rig.cloud("azure", status(503))
    rig.cloud("openai", status(429))
    rig.start()
    answer = rig.post()
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "azure azure-1: answered 503" in message
    assert "openai openai-1: answered 429" in message


@pytest.mark.parametrize("code", [400, 413, 422])
def test_what_a_cloud_says_of_the_request_itself_is_passed_on(rig: Rig, code: int) -> None:
    rig.cloud("azure", status(code, "x-ratelimit-remaining-requests: 9"))
    rig.cloud("openai", well)
    rig.start()
    answer = rig.post()
    assert (answer.status_code, answer.content) == (code, b'{"error":{"message":"as told","code":"scripted"}}')
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert rig.outcomes() == [("azure-1", "FAILED", code)]
    assert not rig.clouds["openai"].requests


@pytest.mark.parametrize("code", [301, 401, 403, 404, 408, 409, 429, 500, 503])
def test_what_is_a_matter_of_that_deployment_sends_the_request_elsewhere(rig: Rig, code: int) -> None:
    """Our credential refused, no such deployment there, busy, broken: another deployment does not share it."""
    rig.cloud("azure", status(code))
    rig.cloud("openai", well)
    rig.start()
    assert rig.post().status_code == 200
    assert rig.outcomes() == [("azure-1", "FAILED", code), ("openai-1", "COMPLETE", 200)]


def test_an_idle_connection_that_died_is_replaced_without_an_attempt(rig: Rig) -> None:
    azure = rig.cloud("azure")
    rig.start()
    assert rig.post().status_code == 200

    async def die_once(connection: object, request: object) -> None:
        azure.behaviour = well
        await drop(connection, request)  # type: ignore[arg-type]

    azure.behaviour = die_once
    answer = rig.post()
    assert answer.status_code == 200
    assert answer.headers["x-clauseway-attempts"] == "1"
    assert azure.connections == 2


def test_a_second_deployment_is_asked_rather_than_the_first_again(rig: Rig) -> None:
    azure, other = rig.cloud("azure"), rig.cloud("openai")
    rig.start()
    assert rig.post().headers["x-clauseway-cloud"] == "azure"
    azure.behaviour = drop
    assert rig.post().headers["x-clauseway-cloud"] == "openai"
    assert (len(azure.requests), len(other.requests)) == (2, 1)


def test_a_pinned_cloud_fails_alone(rig: Rig) -> None:
    rig.cloud("azure", status(500))
    rig.cloud("openai", well)
    rig.start()
    with pytest.raises(openai.InternalServerError, match="azure azure-1: answered 500"):
        rig.client().chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers={"x-clauseway-cloud": "azure"}
        )
    assert not rig.clouds["openai"].requests


def test_the_whole_request_has_a_deadline(rig: Rig) -> None:
    rig.cloud("azure", stall)
    rig.cloud("openai", stall)
    rig.start(rig.plan(attempt_timeout_s=0.4, deadline_s=0.6))
    answer = rig.post()
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert rig.outcomes() == [("azure-1", "FAILED", 0), ("openai-1", "FAILED", 0)]
