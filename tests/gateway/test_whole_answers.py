"""Whole bodies of a 200, as tables: which are answers."""

import pytest

from clauseway.gateway.wire.operations import OPERATIONS
from clauseway.gateway.wire.whole_answers import (
    IS_ANSWER,
    REPORTED_ERROR,
    is_announced,
    shows_its_end,
    used_nothing,
    without_names_in_failure,
)

# operation, body → an answer
BODIES: list[tuple[str, bytes, bool]] = [
    ("chat", b'{"choices":[]}', True),
    ("chat", b'{"choices": [{"message":{}}],"error":null}', True),
    ("chat", b'{"choices":[],"error":""}', True),
    ("chat", b'{"choices":[],"error":false}', True),
    ("chat", b'{"choices":[],"error":{}}', True),
    ("chat", b'{"error":{}}', False),
    ("chat", b'{"choices":null}', False),
    ("chat", b'{"choices":"no"}', False),
    ("chat", b'{"choices":{}}', False),
    ("chat", b'{"choices":[],"error":"overloaded"}', False),
    ("completions", b'{"choices":null}', False),
    ("messages", b'{"content":[]}', True),
    ("messages", b'{"content":null}', False),
    ("embeddings", b'{"data":[]}', True),
    ("embeddings", b'{"data":null}', False),
    ("files.list", b'{"data":"none"}', False),
    ("images.generations", b'{"created":1,"data":[]}', True),
    ("images.generations", b'{"created":1}', True),
    ("images.generations", b'{"created":1,"data":null}', False),
    ("responses", b'{"id":"r","output":[]}', True),
    ("responses", b'{"output":[]}', True),
    ("responses", b'{"id":"r","status":"in_progress"}', True),
    ("responses", b'{"id":"r","object":"response","output":null,"status":"queued"}', True),
    ("responses", b'{"id":"r","status":"failed","error":{"code":"server_error"},"output":[]}', True),
    ("responses", b'{"object":"response","error":{"code":"server_error"},"output":[]}', True),
    ("responses", b'{"id":"r","output":null}', False),
    ("responses", b'{"id":"r","output":"no"}', False),
    ("responses", b'{"id":null}', False),
    ("responses", b'{"id":"c","object":"chat.completion","choices":[]}', False),
    ("responses", b'{"id":"c","object":null,"status":"queued"}', True),
    ("responses", b'{"id":null,"error":{"message":"overloaded","code":"server_error"}}', False),
    ("responses", b'{"output":[],"error":{"message":"overloaded"}}', False),
    ("responses", b"[]", False),
    ("responses", b'{"object":"response","output":"no"}', False),
    ("responses", b'{"object":"response","status":"queued"}', True),
    ("responses", b'{"object":"list","output":null}', False),
    ("responses.compact", b'{"output":null}', False),
    ("audio.speech", b"\xff\xf3\x44\xc4", True),
    ("audio.speech", b'{"error":{"message":"overloaded"}}', False),
    ("audio.speech", b"\n<html>", False),
    ("audio.transcriptions", b' {"text":"Hi."}', True),
    ("audio.transcriptions", b"1\n00:00:00,000 --> 00:00:01,000\nHi.\n", True),
    ("audio.transcriptions", b'{"error":{"message":"overloaded"}}', False),
    ("audio.transcriptions", b'{"words":[]}', False),
    ("audio.transcriptions", b"\n<html>", False),
    ("audio.transcriptions", b"", False),
    # Half of a surrogate pair is a text of JSON; what only looks like it is not.
    ("chat", rb'{"choices":[{"message":{"content":"\ud83d"}}]}', True),
    ("chat", rb'{"choices":[{"message":{"content":"\uDE00, \ud83d\ude00 \\ud83d"}}]}', True),
    ("chat", rb'{"choices":[{"message":{"content":"\ud8zz"}}]}', False),
    ("chat", rb'{"choices":[{"message":{"content":"\ud83d', False),
    ("responses", rb'{"id":"r","output":[{"text":"\ud83d"}]}', True),
]


@pytest.mark.parametrize(("operation", "body", "is_answer"), BODIES)
def test_bodies(operation: str, body: bytes, is_answer: bool) -> None:
    assert IS_ANSWER[operation](body) is is_answer


# operation, a body with usage → an answer at first sight, without a look at its members
PLAIN: list[tuple[str, bytes, bool]] = [
    ("chat", b'{"choices":[],"usage":{}}', True),
    ("chat", b'{"usage":{},"choices" : [{"message":{}}]}', True),
    ("chat", b'{"choices":null,"usage":{}}', False),
    ("chat", b'{"usage":{}}', False),
    ("chat", b'{"choices":[],"usage":{},"error":"no"}', False),
    ("completions", b'{"choices":{},"usage":{}}', False),
    ("embeddings", b'{"data":null,"usage":{}}', False),
    ("messages", b'{"content":null,"usage":{}}', False),
    ("responses", b'{"id":"r","output":[],"usage":{},"error":null}', True),
    ("responses", b'{"object":"response","output":null,"usage":{}}', False),
    ("images.generations", b'{"created":1,"data":[],"usage":{}}', True),
    ("audio.transcriptions", b'{"text":"Hi.","usage":{}}', False),
]


@pytest.mark.parametrize(("operation", "body", "is_plain"), PLAIN)
def test_an_answer_at_first_sight_is_one_by_its_members(operation: str, body: bytes, is_plain: bool) -> None:
    (asked,) = (each for each in OPERATIONS if each.name == operation)
    assert asked.is_plain_answer(body) is is_plain
    assert IS_ANSWER[operation](body) or not is_plain


# operation, a body of a 206 → it ends where the answer ends
WHOLE_IN_PARTS: list[tuple[str, bytes, bool]] = [
    ("chat", b'{"choices":[],"usage":{}}', True),
    ("chat", b'{"choices":[', False),
    ("audio.speech", b"\xff\xf3\x44\xc4", False),
    ("audio.transcriptions", b"Hi.", False),
    ("audio.transcriptions", b'{"text":"Hi."}', True),
    ("files.content", b'{"a":1}', False),
]


@pytest.mark.parametrize(("operation", "body", "is_whole"), WHOLE_IN_PARTS)
def test_a_partial_content_is_whole_where_its_own_end_says_so(operation: str, body: bytes, is_whole: bool) -> None:
    assert shows_its_end(operation, body) is is_whole


# operation, content type, body → the head says that the body is an answer
ANNOUNCED: list[tuple[str, bytes, bytes, bool]] = [
    ("audio.speech", b"audio/mpeg", b"<html>", True),
    ("audio.speech", b"audio/mpeg", b"", False),
    ("audio.speech", b"text/plain", b"a", False),
    ("audio.transcriptions", b"text/plain; charset=utf-8", b"", True),
    ("audio.translations", b"Text/VTT", b"WEBVTT", True),
    ("audio.transcriptions", b"application/x-subrip", b"", True),
    ("audio.transcriptions", b"text/html", b"Hi.", False),
    ("audio.transcriptions", b"application/json", b"Hi.", False),
    ("audio.transcriptions", b"text/plain", b'{"error":{"message":"overloaded"}}', False),
    ("chat", b"text/plain", b"Hi.", False),
]


@pytest.mark.parametrize(("operation", "kind", "body", "says_answer"), ANNOUNCED)
def test_a_head_says_that_its_body_is_an_answer(operation: str, kind: bytes, body: bytes, says_answer: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nContent-Type: %b\r\n\r\n" % (len(body), kind)
    assert is_announced(operation, head, body) is says_answer
    assert not is_announced(operation, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", body)


# a body → it may report an error
REPORTED: list[tuple[bytes, bool]] = [
    (b'{"id":"r","output":[]}', False),
    (b'{"id":"r","error":null,"output":[]}', False),
    (b'{"id":"r","error" : null , "errors":\tnull}', False),
    (b'{"error_file_id":"file-1","errored_at":1}', False),
    (b'{"output":[{"text":"\\"error\\": no"}]}', False),
    (b'{"error":{}}', True),
    (b'{"error":"null"}', True),
    (b'{"error":nullable}', True),
    (b'{"error":null,"errors":[]}', True),
    (b'{"error":null,"output":[{"error":"no"}]}', True),
    (b'{"text":"error"}', True),
    (b'{"error"', True),
]


@pytest.mark.parametrize(("body", "may_report"), REPORTED)
def test_an_error_that_is_null_reports_nothing(body: bytes, may_report: bool) -> None:
    assert bool(REPORTED_ERROR.search(body)) is may_report


# an answer without usage → it used nothing
UNREPORTED: list[tuple[bytes, bool]] = [
    (b'{"id":"r","status":"failed","error":{"code":"invalid_prompt"},"output":[],"usage":null}', True),
    (b'{"id":"r","status":"failed","error":{"code":"server_error"},"output":null}', True),
    (b'{"id":"err_1","error":{"code":"server_error"}}', True),
    (b'{"id":"r","status":"failed","error":{"code":"server_error"},"output":[{"type":"reasoning"}]}', False),
    (b'{"id":"r","status":"completed","error":null,"output":[]}', False),
    (b'{"id":"r","status":"completed","output":[]}', False),
    (b'{"output":[{"type":"message","content":"error"}]}', False),
    (b"error", False),
]


@pytest.mark.parametrize(("body", "is_nothing"), UNREPORTED)
def test_an_answer_that_tells_only_its_failure_used_nothing(body: bytes, is_nothing: bool) -> None:
    assert used_nothing(body) is is_nothing


def test_names_are_taken_out_beside_half_of_a_pair() -> None:
    body = rb'{"output":[{"text":"\ud83d acme"}],"error":{"message":"\ude00 of acme"}}'
    assert without_names_in_failure(body, ("acme",)) == body.replace(b"of acme", b"of ***")


def test_names_are_taken_out_of_a_batchs_errors() -> None:
    body = b'{"metadata":{"for":"acme"},"error":null,"errors":{"data":[{"message":"a quota of acme"}]}}'
    assert without_names_in_failure(body, ("acme",)) == body.replace(b"of acme", b"of ***")
