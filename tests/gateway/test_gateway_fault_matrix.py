"""Every fault × chat or responses × streamed or not × one deployment or two: what the caller gets, what is recorded.

One row per fault. `alone` is (status, code, in the message) where it is the only deployment; with a second one behind
it, the second answers, unless content had gone out already.
"""

from typing import NamedTuple

import pytest
from gateway_rig import PATIENCE_S, Behaviour, drop, stall, status
from gateway_stage import CALLS, SILENCE_S, Call, Scene, Stage, answering, failing_after
from misbehaviours import (
    HEAD_WITHOUT_END,
    PACKED_TRANSFER,
    chunks_in_1_0,
    cut_in_head,
    cut_without_length,
    garbage,
    interim_after_answer,
    interim_answers_one_by_one,
    no_chunks,
    ok,
    stall_in_body,
    told,
    too_long,
    too_short,
    two_answers,
    two_answers_and_interim,
    two_lengths,
    written,
    zstd_frames,
)


class Fault(NamedTuple):
    """`recorded` is the HTTP status in the record; `committed`: content has gone out, nobody else is asked; `stalls`:
    the deployment is given up, as it says nothing more; `wait_s`: how long it asks to be left alone; `lasts`: it would
    refuse the request again, so a client is not told to come back."""

    behaviour: Behaviour | None
    alone: tuple[int, str, str]
    recorded: int
    committed: bool = False
    stalls: bool = False
    wait_s: int = 0
    lasts: bool = False

    def scene(self, stage: Stage, *behind: Behaviour) -> Scene:
        return stage.scene(self.behaviour, *behind, attempt_timeout_s=SILENCE_S if self.stalls else PATIENCE_S)


BUSY, FAILED, UNAVAILABLE = (429, "rate_limit_exceeded"), (502, "clouds_failed"), (503, "clouds_unavailable")
USED = b'{"choices":null,"output":null,"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}'
PART = b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-9/90\r\ncontent-length: 10\r\n\r\n" + USED[:10]
NO_ANSWER = (*FAILED, "answered 200 without an answer")
EVERYWHERE: dict[str, Fault] = {
    # the families of 429
    "429 rate_limit_exceeded": Fault(told(429, "rate_limit_exceeded"), (*BUSY, "429 (rate_limit_exceeded)"), 429),
    "429 with retry-after": Fault(told(429, "x", "retry-after: 7"), (*BUSY, "429 (x)"), 429, wait_s=7),
    "429 with a long retry-after": Fault(told(429, "x", "retry-after: 70"), (*BUSY, "429 (x)"), 429, wait_s=70),
    "429 with a retry-after of hours": Fault(told(429, "x", "retry-after: 7200"), (*BUSY, "429 (x)"), 429, wait_s=120),
    "429 with a retry-after that is no time": Fault(told(429, "x", "retry-after: -5"), (*BUSY, "429 (x)"), 429),
    "429 that is not to be tried again": Fault(
        told(429, "x", "x-should-retry: false"), (*BUSY, "429 (x)"), 429, lasts=True
    ),
    "429 insufficient_quota": Fault(
        told(429, "insufficient_quota", kind="insufficient_quota"),
        (*FAILED, "429 (insufficient_quota)"),
        429,
        lasts=True,
    ),
    "429 credit_balance_exhausted": Fault(
        told(429, "credit_balance_exhausted", kind="insufficient_quota"),
        (*FAILED, "insufficient_quota"),
        429,
        lasts=True,
    ),
    "429 organization_spend_limit_exceeded": Fault(
        told(429, "organization_spend_limit_exceeded"),
        (*FAILED, "organization_spend_limit_exceeded"),
        429,
        lasts=True,
    ),
    "429 slow_down": Fault(told(429, "slow_down"), (*BUSY, "slow_down"), 429),
    "429 no_capacity": Fault(told(429, "no_capacity"), (*BUSY, "no_capacity"), 429),
    "429 without words": Fault(status(429), (*BUSY, "429"), 429),
    # servers
    "500": Fault(status(500), (*FAILED, "answered 500"), 500),
    "502": Fault(status(502), (*FAILED, "answered 502"), 502),
    "503 server_is_overloaded": Fault(
        told(503, "server_is_overloaded", "retry-after: 7"), (*UNAVAILABLE, "server_is_overloaded"), 503, wait_s=7
    ),
    "504": Fault(status(504), (*FAILED, "answered 504"), 504),
    "529": Fault(status(529), (*UNAVAILABLE, "answered 529"), 529),
    "529 with retry-after": Fault(told(529, "x", "retry-after: 7"), (*UNAVAILABLE, "529 (x)"), 529, wait_s=7),
    # our credential or that deployment
    "401": Fault(told(401, "invalid_api_key"), (*FAILED, "401 (invalid_api_key)"), 401, lasts=True),
    "403": Fault(status(403), (*FAILED, "answered 403"), 403, lasts=True),
    "404": Fault(told(404, "DeploymentNotFound"), (*FAILED, "DeploymentNotFound"), 404, lasts=True),
    "408": Fault(status(408), (*FAILED, "answered 408"), 408),
    # redirects: nobody signed for those
    "301": Fault(status(301, "location: http://127.0.0.1:1/"), (*FAILED, "answered 301"), 301, lasts=True),
    "307": Fault(status(307, "location: /elsewhere"), (*FAILED, "answered 307"), 307, lasts=True),
    "308": Fault(status(308, "location: /elsewhere"), (*FAILED, "answered 308"), 308, lasts=True),
    # connections
    "nobody listens": Fault(None, (*FAILED, "could not be reached"), 0),
    "closed without a byte": Fault(drop, (*FAILED, "without an answer"), 0),
    "stalls before its head": Fault(stall, (*FAILED, "did not answer in time"), 0, stalls=True),
    "cut within its head": Fault(cut_in_head, (*FAILED, "closed the connection"), 0),
    "garbage": Fault(garbage, (*FAILED, "not HTTP"), 0),
    "two lengths": Fault(two_lengths, (*FAILED, "not HTTP"), 0),
    "zstd that nobody asked for": Fault(zstd_frames, (*FAILED, "encoding"), 200),
    "429 in an encoding": Fault(
        told(429, "x", "retry-after: 7", "content-encoding: gzip"), (*BUSY, "encoding"), 429, wait_s=7
    ),
    "two answers": Fault(two_answers, (*FAILED, "two answers"), 0),
    "an interim answer behind the answer": Fault(interim_after_answer, (*FAILED, "two answers"), 0),
    "two answers, an interim one between": Fault(two_answers_and_interim, (*FAILED, "two answers"), 0),
    "status 000": Fault(written(b"HTTP/1.1 000 X\r\n\r\n"), (*FAILED, "a status of 0"), 0),
    "status 099": Fault(written(b"HTTP/1.1 099 X\r\n\r\n"), (*FAILED, "a status of 99"), 0),
    "chunks in HTTP/1.0": Fault(chunks_in_1_0, (*FAILED, "in HTTP/1.0"), 0),
    "HTTP/2.0": Fault(written(b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"), (*FAILED, "in HTTP/2.0"), 0),
    "HTTP/2.0 behind an interim answer": Fault(
        written(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (*FAILED, "in HTTP/2.0"),
        0,
    ),
    "HTTP/0.9": Fault(written(b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n"), (*FAILED, "in HTTP/0.9"), 0),
    "RTSP": Fault(written(b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"), (*FAILED, "not HTTP"), 0),
    "ICE": Fault(written(b"\r\nICE/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"), (*FAILED, "not HTTP"), 0),
    "another protocol": Fault(
        written(b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\nx"),
        (*FAILED, "another protocol"),
        0,
    ),
    "a head without end": Fault(written(HEAD_WITHOUT_END), (*FAILED, "without an answer"), 0),
    "a header without end": Fault(
        written(b"HTTP/1.1 200 OK\r\nx-more: " + b"and more" * 80_000), (*FAILED, "without an answer"), 0
    ),
    "interim answers without end": Fault(
        written(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40_000), (*FAILED, "without an answer"), 0
    ),
    "interim answers without end, one by one": Fault(interim_answers_one_by_one, (*FAILED, "without an answer"), 0),
    "gzip as a transfer coding": Fault(
        written(PACKED_TRANSFER),
        (*FAILED, "transfer coding"),
        0,
    ),
    "chunked twice": Fault(
        written(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        (*FAILED, "transfer coding"),
        0,
    ),
    # a status of success without an answer
    "204": Fault(written(b"HTTP/1.1 204 No Content\r\n\r\n"), (*FAILED, "204 without an answer"), 204),
    "200 and nothing": Fault(ok(b""), NO_ANSWER, 200),
    "200 and a page": Fault(ok(b"<html><body>Welcome</body></html>", "text/html"), NO_ANSWER, 200),
    "200 and an error": Fault(ok(b'{"error":{"message":"overloaded","code":502}}'), NO_ANSWER, 200),
    "200 and an error beside an answer": Fault(ok(b'{"choices":null,"error":{"message":"no"}}'), NO_ANSWER, 200),
    "200 and a list that is none": Fault(ok(b'{"id":null,"object":null,"choices":"no","output":null}'), NO_ANSWER, 200),
    "200 and usage without an answer": Fault(ok(USED), NO_ANSWER, 200),
    "206 and a part": Fault(written(PART), (*FAILED, "206 with a part that nobody asked for"), 206),
    "200 and another object": Fault(ok(b'{"status":"ok"}'), NO_ANSWER, 200),
    "cut without a length": Fault(cut_without_length, NO_ANSWER, 200),
}
WHOLE: dict[str, Fault] = {
    "cut within the answer": Fault(failing_after(0, "cut"), (*FAILED, "broke off"), 200),
    "stalls within the answer": Fault(stall_in_body, (*FAILED, "did not answer in time"), 200, stalls=True),
    "shorter than its length": Fault(too_short, (*FAILED, "broke off"), 200),
    "longer than its length": Fault(too_long, (*FAILED, "not HTTP"), 0),
}
STREAMED: dict[str, Fault] = {
    "error before content": Fault(failing_after(0, "error"), (*FAILED, "error before any content"), 200),
    "cut before content": Fault(failing_after(0, "cut"), (*FAILED, "broke off"), 200),
    "stalls before content": Fault(failing_after(0, "stall"), (*FAILED, "did not answer in time"), 200, stalls=True),
    "no chunks": Fault(no_chunks, (*FAILED, "not HTTP"), 200),
    "error after content": Fault(
        failing_after(2, "error"), (200, "stream_interrupted", "reported an error"), 200, True
    ),
    "cut after content": Fault(failing_after(2, "cut"), (200, "stream_interrupted", "broke off"), 200, True),
    "stalls after content": Fault(
        failing_after(2, "stall"), (200, "stream_interrupted", "fell silent"), 200, True, stalls=True
    ),
}
ROWS = [
    *((name, call, fault) for name, fault in EVERYWHERE.items() for call in CALLS),
    *((name, call, fault) for name, fault in WHOLE.items() for call in CALLS if not CALLS[call].stream),
    *((name, call, fault) for name, fault in STREAMED.items() for call in CALLS if CALLS[call].stream),
]
each_row = pytest.mark.parametrize(
    ("fault", "call"), [(row[2], CALLS[row[1]]) for row in ROWS], ids=[f"{row[0]}, {row[1]}" for row in ROWS]
)


@each_row
def test_one_deployment(stage: Stage, fault: Fault, call: Call) -> None:
    scene = fault.scene(stage)
    answer = scene.ask(call)
    expected, code, words = fault.alone
    assert answer.status_code == expected
    assert code in answer.text
    assert words in answer.text
    assert answer.headers["x-clauseway-attempts"] == "1"
    if fault.committed:
        assert not call.ends_well(answer.text)
        assert answer.extensions["broken"], "also where a client reads no errors in a stream"
    else:
        assert answer.json()["error"]["code"] == code
        # Nobody has tried again yet; a client waits for 30 seconds at most.
        comes_again = fault.wait_s <= 30 and not fault.lasts
        assert answer.headers["x-should-retry"] == ("true" if comes_again else "false")
        told_s = int(answer.headers.get("retry-after-ms", "0")) / 1000
        assert fault.wait_s <= told_s <= fault.wait_s + 0.5
        assert ("retry-after" in answer.headers) == bool(fault.wait_s)
    assert scene.outcomes() == [(0, "INTERRUPTED_ESTIMATED" if fault.committed else "FAILED", fault.recorded)]


@each_row
def test_two_deployments(stage: Stage, fault: Fault, call: Call) -> None:
    scene = fault.scene(stage, answering)
    answer = scene.ask(call)
    assert answer.status_code == 200
    if fault.committed:
        assert fault.alone[1] in answer.text
        assert not call.ends_well(answer.text)
        assert scene.outcomes() == [(0, "INTERRUPTED_ESTIMATED", fault.recorded)]
        assert scene.asked == [1, 0]
        return
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("cloud1", "2")
    assert call.ends_well(answer.text) if call.stream else answer.json()["usage"]
    assert scene.outcomes() == [(0, "FAILED", fault.recorded), (1, "COMPLETE", 200)]
    assert scene.asked == [int(fault.behaviour is not None), 1]
