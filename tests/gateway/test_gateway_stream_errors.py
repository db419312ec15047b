"""Errors inside a stream, before its first content: judged by what they say, as HTTP errors are.

What speaks of the request is the client's answer, as it came, however often: the deployment stays as well as it was,
and no other one is asked. What speaks of the deployment or of our account there sends the request elsewhere.
"""

from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    DONE_EVENT,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    Behaviour,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    chunk_event,
    compact,
)
from gateway_stage import (
    CALLS,
    RESPONSE_DELTAS,
    RESPONSE_END,
    RESPONSE_PREAMBLE,
    Stage,
    answering,
    typed,
)

from clauseway.gateway.plan import Auth

ROLE = chunk_event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
USED = {"input_tokens": 21, "output_tokens": 0}


def chat_error(**error: object) -> bytes:
    return b"data: %b\n\n" % compact({"error": error})


def failed_response(code: str, usage: dict[str, int] | None = None) -> bytes:
    error = {"code": code, "message": "As the cloud says it."}
    return typed("response.failed", 1, response={"id": "resp_1", "status": "failed", "error": error, "usage": usage})


def message_event(kind: str, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, **members}))


def message_error(kind: str, message: str) -> bytes:
    return message_event("error", error={"type": kind, "message": message})


def listed(**error: object) -> bytes:
    """An error as Google writes it: in a list."""
    return b"data: %b\n\n" % compact([{"error": error}])


def error_field(code: int, kind: str) -> bytes:
    """An error as llama.cpp writes it into a chat: a field that no client reads."""
    return b"error: %b\n\n" % compact({"code": code, "message": "no", "type": kind})


def error_line(code: int, kind: str) -> bytes:
    """An error whose event says so in its line alone, as llama.cpp's of messages and responses do."""
    return b"event: error\ndata: %b\n\n" % compact({"code": code, "message": "no", "type": kind})


MESSAGE_START = message_event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude",
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
)
FILTERED = chat_error(
    message="The response was filtered.",
    type="invalid_request_error",
    param="prompt",
    code="content_filter",
    status=400,
)
# How the request's own faults are told inside a stream. Each event arrives by itself.
OWN: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "filtered": ("chat stream", (FILTERED,)),
    "filtered, after the role, before the end": ("chat stream", (ROLE, FILTERED, DONE_EVENT)),
    "filtered and ended in one piece": ("chat stream", (ROLE + FILTERED + DONE_EVENT,)),
    "too long, as vLLM says it": (
        "chat stream",
        (chat_error(message="maximum context length is 4096 tokens", type="BadRequestError", param=None, code=400),),
    ),
    "too large": ("chat stream", (chat_error(message="Payload too large", code=413),)),
    "not as the format is": ("chat stream", (chat_error(message="Unprocessable", code="422"),)),
    "an invalid request, with usage": (
        "chat stream",
        (b'data: {"error":{"code":400},"usage":{"prompt_tokens":3,"completion_tokens":0}}\n\n',),
    ),
    "context_length_exceeded": ("responses stream", (RESPONSE_PREAMBLE, failed_response("context_length_exceeded"))),
    "invalid_prompt": ("responses stream", (RESPONSE_PREAMBLE, failed_response("invalid_prompt"))),
    "an image that is none": ("responses stream", (RESPONSE_PREAMBLE, failed_response("invalid_image_format"))),
    "an error event": (
        "responses stream",
        (RESPONSE_PREAMBLE, typed("error", 1, code="invalid_prompt", message="Flagged.", param="input")),
    ),
    "an error event, then the failure": (
        "responses stream",
        (
            RESPONSE_PREAMBLE,
            typed(
                "error",
                1,
                error={
                    "type": "invalid_request_error",
                    "code": "context_length_exceeded",
                    "message": "Your input exceeds the context window.",
                    "param": "input",
                },
            ),
            failed_response("context_length_exceeded"),
        ),
    ),
    "an error before all": ("responses stream", (typed("error", 0, code="invalid_prompt", message="no", param=None),)),
    "a bad value, in a list": ("chat stream", (ROLE, listed(code=400, message="Bad.", status="INVALID_ARGUMENT"))),
    "a bad value of a response, in a list": ("responses stream", (RESPONSE_PREAMBLE, listed(code=400, message="Bad."))),
    "a bad value, by the event's line": ("responses stream", (error_line(400, "exceed_context_size_error"),)),
    "a bad value, as Oracle says it": ("chat stream", (chat_error(message="no", code="InvalidParameter"),)),
}
# And how deployments' faults are.
DEPLOYMENTS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "no words": ("chat stream", (ROLE, chat_error(message="boom"))),
    "a sentence": ("chat stream", (b'data: {"error":"overloaded"}\n\n',)),
    "500": ("chat stream", (chat_error(message="Internal", type="InternalServerError", code=500),)),
    "rate limit": ("chat stream", (chat_error(message="Slow down", type="requests", code="rate_limit_exceeded"),)),
    "our key": ("chat stream", (chat_error(message="no", type="invalid_request_error", code="invalid_api_key"),)),
    "our quota": ("chat stream", (chat_error(message="no", type="insufficient_quota", code="insufficient_quota"),)),
    "no such model": ("chat stream", (chat_error(message="no", type="invalid_request_error", code="model_not_found"),)),
    "our rights, as Oracle says it": ("chat stream", (chat_error(message="no", code="NotAuthenticated"),)),
    "busy, as Oracle says it": ("chat stream", (chat_error(message="no", code="TooManyRequests"),)),
    "overloaded": ("chat stream", (chat_error(message="no", type="service_unavailable_error", code=None),)),
    "server_error": ("responses stream", (RESPONSE_PREAMBLE, failed_response("server_error"))),
    "busy": ("responses stream", (RESPONSE_PREAMBLE, failed_response("rate_limit_exceeded"))),
    "an error event": ("responses stream", (typed("error", 0, code="server_error", message="sorry", param=None),)),
    "a field of its own, as llama.cpp writes it": ("chat stream", (ROLE, error_field(500, "server_error"), DONE_EVENT)),
    "the event's line alone, as llama.cpp says it": ("responses stream", (error_line(500, "server_error"),)),
    "in a list": ("chat stream", (ROLE, listed(code=503, message="Overloaded.", status="UNAVAILABLE"))),
    "a response's, in a list": ("responses stream", (RESPONSE_PREAMBLE, listed(code=503, message="Overloaded."))),
}
OWN_MESSAGES = {
    "too long": (MESSAGE_START, message_error("invalid_request_error", "prompt is too long: 200001 tokens > 200000")),
    "before all": (message_error("invalid_request_error", "messages: at least one message is required"),),
    "too large": (MESSAGE_START, message_error("request_too_large", "Request exceeds the maximum size")),
    "by the event's line": (MESSAGE_START, error_line(400, "exceed_context_size_error")),
    "a bad value, in a list": (MESSAGE_START, listed(code=400, message="Bad.", status="INVALID_ARGUMENT")),
}
DEPLOYMENTS_MESSAGES = {
    "by the event's line": (MESSAGE_START, error_line(500, "server_error")),
    "in a list": (MESSAGE_START, listed(code=503, message="Overloaded.", status="UNAVAILABLE")),
    "in a list, before all": (listed(code=429, message="Resource exhausted.", status="RESOURCE_EXHAUSTED"),),
    "overloaded": (MESSAGE_START, message_error("overloaded_error", "Overloaded")),
    "broken": (MESSAGE_START, message_error("api_error", "Internal server error")),
    "busy": (MESSAGE_START, message_error("rate_limit_error", "Number of request tokens has exceeded your limit")),
    "our key": (message_error("authentication_error", "invalid x-api-key"),),
    "our credit": (message_error("invalid_request_error", "Your credit balance is too low to access the API."),),
}
# More often than an ejection would take.
TIMES = 7


def telling(events: tuple[bytes, ...]) -> Behaviour:
    """A 200 whose stream has these events, each sent when the last one has surely arrived."""

    async def behave(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        for event in events:
            connection.piece(event)
            await connection.apart()
        connection.end_stream()

    return behave


@pytest.mark.parametrize(("call", "events"), OWN.values(), ids=OWN)
def test_the_requests_own_fault_is_its_answer(stage: Stage, call: str, events: tuple[bytes, ...]) -> None:
    scene = stage.scene(telling(events), answering, attempt_timeout_s=PATIENCE_S)
    answers = [scene.ask(CALLS[call]) for _ in range(TIMES)]
    assert scene.asked == [TIMES, 0]
    assert {answer.content for answer in answers} == {b"".join(events)}
    assert {(answer.status_code, answer.headers["x-clauseway-attempts"]) for answer in answers} == {(200, "1")}
    reported = b'"usage":{' in b"".join(events)
    assert scene.wait_for_outcomes(TIMES) == [(0, "COMPLETE" if reported else "FAILED", 200)] * TIMES
    assert all(bool(record.charge_picodollars) == reported for record in scene.records())


def test_an_error_that_no_client_reads_is_told_as_data(stage: Stage) -> None:
    """OpenAI's clients read no field `error`: they would take half an answer for the whole."""
    event = error_field(400, "exceed_context_size_error")
    scene = stage.scene(telling((ROLE + event + DONE_EVENT,)))
    error = chat_error(code=400, message="no", type="exceed_context_size_error")
    assert scene.ask(CALLS["chat stream"]).content == ROLE + error + DONE_EVENT
    assert scene.wait_for_outcomes(1) == [(0, "FAILED", 200)]


# An error under a status of success: its words → the status that they mean, of the request's own faults.
UNDER_200: dict[str, tuple[dict[str, object], int]] = {
    "filtered, as an answer of Azure's": ({"message": "Filtered.", "type": None, "code": "content_filter"}, 400),
    "too long": ({"message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded"}, 400),
    "too large, as OpenRouter writes codes": ({"message": "Too large.", "code": 413}, 413),
}


@pytest.mark.parametrize("call", ["chat", "chat stream", "responses"])
@pytest.mark.parametrize(("error", "status"), UNDER_200.values(), ids=list(UNDER_200))
def test_the_requests_own_fault_under_200_has_the_status_that_it_means(
    stage: Stage, error: dict[str, object], status: int, call: str
) -> None:
    """Taken for no answer, it went to every deployment, and ejected each."""

    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(200, compact({"error": error}))

    scene = stage.scene(behave, answering)
    answers = [scene.ask(CALLS[call]) for _ in range(TIMES)]
    assert scene.asked == [TIMES, 0]
    assert {(answer.status_code, answer.content) for answer in answers} == {(status, compact({"error": error}))}
    assert scene.wait_for_outcomes(TIMES) == [(0, "FAILED", status)] * TIMES


def test_usage_that_the_error_reports_is_recorded(stage: Stage) -> None:
    event = failed_response("invalid_prompt", USED)
    scene = stage.scene(telling((RESPONSE_PREAMBLE, event)))
    assert scene.ask(CALLS["responses stream"]).content == RESPONSE_PREAMBLE + event
    assert scene.wait_for_outcomes(1) == [(0, "COMPLETE", 200)]
    assert [record.charge_picodollars for record in scene.records()] == [21 * 2_500_000]


FAILURE = {"code": "invalid_prompt", "message": "Flagged."}
# A whole answer that tells why it failed → how its attempt is recorded.
FAILED_WHOLE = [
    ("no usage", {"object": "response", "status": "failed", "output": [], "usage": None}, "FAILED"),
    ("an error object", {}, "FAILED"),
    ("usage", {"object": "response", "status": "failed", "output": [], "usage": USED}, "COMPLETE"),
    ("output, no usage", {"object": "response", "status": "failed", "output": [{"type": "reasoning"}]}, "ESTIMATED"),
]


@pytest.mark.parametrize(
    ("members", "status"), [case[1:] for case in FAILED_WHOLE], ids=[case[0] for case in FAILED_WHOLE]
)
def test_a_response_that_failed_costs_what_it_used(stage: Stage, members: dict[str, object], status: str) -> None:
    """As in a stream: without a report and without output it used nothing."""

    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(200, compact({"id": "resp_1", "error": FAILURE, **members}))

    scene = stage.scene(behave)
    assert scene.ask(CALLS["responses"]).json()["error"] == FAILURE
    assert scene.wait_for_outcomes(1) == [(0, status, 200)]
    assert all(bool(record.charge_picodollars) == (status != "FAILED") for record in scene.records())


def test_names_of_our_account_are_taken_out(stage: Stage) -> None:
    event = typed("error", 0, code="invalid_prompt", message="Not in organization org-AbCdEfGhIjKl.", param=None)
    scene = stage.scene(telling((event,)))
    assert scene.ask(CALLS["responses stream"]).content == event.replace(b"org-AbCdEfGhIjKl", b"org-***")


# Names of the account, known by their shape or from the deployment, in a word of the model and in an error.
TOLD = "Project `acme-prod-417`, comp-of-acme, org-AbCdEf123456 at 127.0.0.1:80"
HEARD = "Project `***`, ***, org-*** at ***:80"
SAID = chunk_event([{"index": 0, "delta": {"content": TOLD}, "finish_reason": None}])
CHAT_ERROR = chat_error(message=TOLD, type="invalid_request_error", code="content_filter")
TYPED_ERROR = typed("error", 2, code="invalid_prompt", message=TOLD, param=None)
TYPED_FAILURE = typed(
    "response.failed", 2, response={"id": "r", "status": "failed", "error": {"code": "invalid_prompt", "message": TOLD}}
)
TYPED_SAID = typed("response.output_text.delta", 1, delta=TOLD)
# the path asked | the events of the stream, all in one piece | how many of them are the model's words
NAMING: dict[str, tuple[str, tuple[bytes, ...], int]] = {
    "chat": ("/chat/completions", (CHAT_ERROR,), 0),
    "chat, after content": ("/chat/completions", (SAID, CHAT_ERROR), 1),
    "chat, after its end": ("/chat/completions", (SAID, DONE_EVENT, CHAT_ERROR), 2),
    "responses": ("/responses", (TYPED_ERROR,), 0),
    "responses, a failure": ("/responses", (TYPED_FAILURE,), 0),
    "responses, after content": ("/responses", (TYPED_SAID, TYPED_ERROR), 1),
    "responses, a failure after content": ("/responses", (TYPED_SAID, TYPED_FAILURE), 1),
    "responses, after the end": ("/responses", (TYPED_SAID, RESPONSE_END, TYPED_ERROR), 2),
    "messages": ("/messages", (message_error("invalid_request_error", TOLD),), 0),
    "messages, in a list after content": (
        "/messages",
        (message_event("content_block_delta", delta={"text": TOLD}), listed(code=400, message=TOLD)),
        1,
    ),
    "messages, after content": (
        "/messages",
        (message_event("content_block_delta", delta={"text": TOLD}), message_error("invalid_request_error", TOLD)),
        1,
    ),
}


@pytest.mark.parametrize("pieces", [False, True], ids=["in one piece", "in pieces"])
def test_an_error_in_a_stream_has_no_name_of_our_account(tmp_path: Path, pieces: bool) -> None:
    """The model's own words are nobody's to change."""
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("first")
        url = f"http://127.0.0.1:{cloud.port}/v1/projects/acme-prod-417/locations/x"
        settings = {"project": "p", "organization": "comp-of-acme"}
        plain = rig.target("first", cloud.port, url=url, settings=settings)
        anthropic = msgspec.structs.replace(plain, dialect="anthropic", auth=Auth(kind="api-key", secret="x"))
        with httpx.Client(transport=ReadsBroken(), timeout=PATIENCE_S, headers=AUTHORIZED) as http:
            for target, paths in ((plain, ("/chat/completions", "/responses")), (anthropic, ("/messages",))):
                rig.start(rig.plan([target]))
                for case, (path, events, said) in NAMING.items():
                    if path not in paths:
                        continue
                    cloud.behaviour = telling(events if pieces else (b"".join(events),))
                    asked = {"messages": MESSAGES, "max_tokens": 9} if path != "/responses" else {"input": "x"}
                    body = {"model": MODEL, "stream": True, **asked}
                    heard = http.post(f"{rig.url}/v1{path}", json=body).content
                    expected = b"".join(events[:said]) + events[-1].replace(TOLD.encode(), HEARD.encode())
                    assert heard.startswith(expected), case
                rig.stop()


def test_a_stored_response_that_failed_is_told_by_a_deployment_that_is_well(tmp_path: Path) -> None:
    events = (RESPONSE_PREAMBLE, failed_response("server_error"))

    async def behave(connection: Connection, request: Received) -> None:
        if request.head.startswith(b"GET"):
            await telling(events)(connection, request)
        else:
            connection.answer(200, b'{"id":"resp_1","object":"response","status":"queued","background":true}')

    with Rig(tmp_path) as rig:
        rig.cloud("first", behave)
        rig.start()
        with httpx.Client(timeout=PATIENCE_S, headers=AUTHORIZED) as http:
            body = {"model": MODEL, "input": "Hello.", "background": True}
            assert http.post(f"{rig.url}/v1/responses", json=body).status_code == 200
            for _ in range(TIMES):
                answer = http.get(f"{rig.url}/v1/responses/resp_1?stream=true")
                assert (answer.status_code, answer.content) == (200, b"".join(events))
        assert rig.counts()["failed"] == {}
        assert rig.outcomes() == [("first-1", "COMPLETE", 200)] * (TIMES + 1)
        assert not any(record.units or record.charge_picodollars for record in rig.records())


@pytest.mark.parametrize("before", [(), RESPONSE_DELTAS[:1]], ids=["before content", "after content"])
def test_usage_of_the_failure_that_follows_an_error_is_recorded(stage: Stage, before: tuple[bytes, ...]) -> None:
    error = typed("error", 2, code="invalid_prompt", message="Flagged.", param="input")
    events = (RESPONSE_PREAMBLE, *before, error, failed_response("invalid_prompt", USED))
    scene = stage.scene(telling(events))
    assert scene.ask(CALLS["responses stream"]).content == b"".join(events)
    assert scene.wait_for_outcomes(1) == [(0, "COMPLETE", 200)]
    assert [record.charge_picodollars for record in scene.records()] == [21 * 2_500_000]


@pytest.mark.parametrize(("call", "events"), DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_the_deployments_fault_sends_the_request_elsewhere(stage: Stage, call: str, events: tuple[bytes, ...]) -> None:
    scene = stage.scene(telling(events), answering, attempt_timeout_s=PATIENCE_S)
    answer = scene.ask(CALLS[call])
    assert scene.asked == [1, 1]
    assert answer.headers["x-clauseway-cloud"] == "cloud1"
    assert CALLS[call].ends_well(answer.text)
    assert scene.wait_for_outcomes(2) == [(0, "FAILED", 200), (1, "COMPLETE", 200)]


# An event of the only deployment before content → the client's status and code, as if it were an answer
ALONE = {
    "rate limit": (429, "rate_limit_exceeded"),
    "busy": (429, "rate_limit_exceeded"),
    "busy, as Oracle says it": (429, "rate_limit_exceeded"),
    "overloaded": (503, "clouds_unavailable"),
    "our rights, as Oracle says it": (502, "clouds_failed"),
    "server_error": (502, "clouds_failed"),
    "our quota": (502, "clouds_failed"),
}


@pytest.mark.parametrize(("fault", "answered"), ALONE.items(), ids=ALONE)
def test_a_client_learns_that_the_only_deployment_is_busy(stage: Stage, fault: str, answered: tuple[int, str]) -> None:
    call, events = DEPLOYMENTS[fault]
    answer = stage.scene(telling(events)).ask(CALLS[call])
    assert (answer.status_code, answer.json()["error"]["code"]) == answered


def test_errors_in_streams_of_messages(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        first, second = rig.cloud("first"), rig.cloud("second")
        auth = Auth(kind="api-key", secret="x")
        rig.start(
            rig.plan(
                [
                    rig.target(
                        cloud.name, cloud.port, dialect="anthropic", auth=auth, url=f"http://127.0.0.1:{cloud.port}/v1"
                    )
                    for cloud in (first, second)
                ]
            )
        )
        body = {"model": MODEL, "max_tokens": 10, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        with httpx.Client(timeout=PATIENCE_S) as http:

            def ask() -> bytes:
                return http.post(f"{rig.url}/v1/messages", headers=AUTHORIZED, json=body).content

            for events in OWN_MESSAGES.values():
                first.behaviour = telling(events)
                assert {ask() for _ in range(TIMES)} == {b"".join(events)}
            assert [len(first.requests), len(second.requests)] == [TIMES * len(OWN_MESSAGES), 0]
            answer = (MESSAGE_START, message_event("content_block_delta", index=0), message_event("message_stop"))
            for asked, events in enumerate(DEPLOYMENTS_MESSAGES.values(), 1):
                first.behaviour, second.behaviour = telling(events), telling(answer)
                assert ask() == b"".join(answer)
                assert len(second.requests) == asked
