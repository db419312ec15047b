"""Routing as a client sees it: one gateway process over two scripted clouds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest
from gateway_rig import AUTHORIZED, MESSAGES, MODEL, PATIENCE_S, PRODUCT, Connection, Received, Rig, key, status, well
from gateway_stage import RESPONSE_END

from clauseway.gateway.plan import Lack, PlannedRetirement, Policy

OLD, NEW = "gpt-4o-2024-05-13", "gpt-5.6-sol"
# Picodollars for a token that is sent.
PRICES = {"aws": 2_500_000, "azure": 2_400_000}
RETIRED = f"The model {OLD!r} was retired by openai on 2026-10-23. Its successor is {NEW!r}."


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """First aws, which lacks web search; then azure, a little cheaper."""
    home: Path = tmp_path_factory.mktemp("routing")
    with Rig(home) as made:
        ports = {name: made.cloud(name).port for name in ("aws", "azure")}
        lack = Lack(capability="web-search", reason="since 2026-05-01; a page")
        aws = made.target("aws", ports["aws"], surface="openai", lacks=(lack,))
        azure = made.target("azure", ports["azure"], surface="openai", input_price=2_400_000)
        plan = made.plan((aws, azure))
        retirement = PlannedRetirement(name=OLD, surface="openai", begin_ns=0, message=RETIRED)
        made.start(msgspec.structs.replace(plan, models={**plan.models, OLD: PRODUCT}, retirements=(retirement,)))
        yield made


@pytest.fixture(autouse=True)
def _all_well(rig: Rig) -> None:
    for cloud in rig.clouds.values():
        cloud.behaviour = well


def served_by(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-clauseway-cloud"]


def test_who_cannot_is_passed_over_and_the_explanation_says_since_when_and_by_which_source(rig: Rig) -> None:
    assert served_by(rig.post()) == "aws"
    answer = rig.post(web_search_options={})
    assert served_by(answer) == "azure"
    number = answer.headers["x-clauseway-request-id"]
    result = httpx.get(f"{rig.url}/clauseway/v1/requests/{number}", headers=AUTHORIZED).json()
    (passed,) = result["skipped"]
    assert (passed["deployment"], passed["reason"]) == ("aws-1", "lacks web-search (since 2026-05-01; a page)")


def explained(rig: Rig, answer: httpx.Response) -> dict[str, Any]:
    number = answer.headers["x-clauseway-request-id"]
    result: dict[str, Any] = httpx.get(f"{rig.url}/clauseway/v1/requests/{number}", headers=AUTHORIZED).json()
    return result


def asked_of(explanation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Each candidate with what a million tokens of it cost, in and out."""
    prices = [candidate["usd_per_million_tokens"] for candidate in explanation["candidates"]]
    names = [candidate["deployment"] for candidate in explanation["candidates"]]
    return [(name, price["input"], price["output"]) for name, price in zip(names, prices, strict=True)]


def test_the_explanation_names_the_strategy_and_every_candidate_with_its_prices(rig: Rig) -> None:
    explanation = explained(rig, rig.post())
    assert explanation["strategy"] == "primary-first"
    aws, azure = ("aws-1", "2.500000", "15.000000"), ("azure-1", "2.400000", "15.000000")
    assert asked_of(explanation) == [aws, azure]
    # Where only one can serve it, nothing was chosen.
    explanation = explained(rig, rig.post(web_search_options={}))
    assert (explanation["strategy"], asked_of(explanation)) == ("", [azure])


def test_the_explanation_says_by_which_strategy_the_cheaper_was_asked_first(rig: Rig) -> None:
    targets = tuple(rig.target(name, rig.clouds[name].port, input_price=price) for name, price in PRICES.items())
    with Rig(rig.home / "cheapest") as other:
        other.home.mkdir()
        plan = other.plan(targets)
        other.start(msgspec.structs.replace(plan, policies=(Policy(strategy="cheapest"),)))
        explanation = explained(other, other.post())
    assert (explanation["strategy"], explanation["served_by"]["deployment"]) == ("cheapest", "azure-1")
    assert asked_of(explanation) == [("azure-1", "2.400000", "15.000000"), ("aws-1", "2.500000", "15.000000")]


def test_where_nobody_can_the_refusal_says_why(rig: Rig) -> None:
    body = {"model": MODEL, "messages": MESSAGES, "web_search_options": {}}
    headers = {**AUTHORIZED, "x-clauseway-cloud": "aws"}
    answer = httpx.post(f"{rig.url}/v1/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_by_every_deployment")
    assert "aws-1: lacks web-search (since 2026-05-01; a page)" in answer.json()["error"]["message"]


# Of a deployment that holds a thousand tokens and answers a thousand: more than eight bytes for each cannot fit.
TOO_LONG = [{"role": "user", "content": "x" * 8_100}]
TOO_LARGE: list[tuple[dict[str, Any], str]] = [
    ({"messages": TOO_LONG}, "context_length_exceeded"),
    ({"messages": TOO_LONG, "max_tokens": 2_000}, "context_length_exceeded"),
    ({"messages": MESSAGES, "max_tokens": 2_000}, "unsupported_by_every_deployment"),
    # A shorter one would be refused too.
    ({"messages": TOO_LONG, "web_search_options": {}}, "unsupported_by_every_deployment"),
]


def test_a_prompt_that_fits_nowhere_is_refused_in_the_words_that_clients_shorten_it_by(tmp_path: Path) -> None:
    """LangChain, LiteLLM, dspy and CrewAI go by the code or the first sentence in OpenAI's format, by the words "prompt
    is too long" in Anthropic's."""
    bounds: dict[str, Any] = {"context_tokens_max": 1_000, "output_tokens_max": 1_000}
    lack = Lack(capability="web-search", reason="a page")
    with Rig(tmp_path) as small:
        port = small.cloud("aws").port
        chat = small.target("aws", port, **bounds, lacks=(lack,))
        claude = small.target("anthropic", port, dialect="anthropic", **bounds)
        small.start(small.plan((chat, claude)))
        errors = [small.post(**asked).json()["error"] for asked, _ in TOO_LARGE]
        assert [error["code"] for error in errors] == [code for _, code in TOO_LARGE]
        assert "aws aws-1: answers 1,000 tokens at most; the request asks for more" in errors[2]["message"]
        assert errors[2]["message"].endswith(". It asks for 2,000 tokens.")
        refused = small.post(messages=TOO_LONG)
        message = refused.json()["error"]["message"]
        assert refused.status_code == 400
        assert message.startswith("The prompt is too long: this model's maximum context length is 1000 tokens. ")
        assert "aws aws-1: holds 1,000 tokens; the request is longer" in message
        body = {"model": MODEL, "max_tokens": 9, "messages": TOO_LONG}
        headers = {**AUTHORIZED, "anthropic-version": "2026-10-21"}
        refused = httpx.post(f"{small.url}/v1/messages", json=body, headers=headers)
        error = refused.json()["error"]
        assert (refused.status_code, error["type"]) == (400, "invalid_request_error")
        assert "prompt is too long" in error["message"]
        assert not small.clouds["aws"].requests


def test_of_a_retired_model_its_cloud_is_the_judge(rig: Rig) -> None:
    """As long as it is served, requests go there; from then on the client hears of its successor."""
    client = rig.client()
    assert client.chat.completions.create(model=OLD, messages=MESSAGES).choices

    async def gone(connection: Connection, _: Received) -> None:
        connection.answer(404, b'{"error":{"message":"The model does not exist","code":"model_not_found"}}')

    for cloud in rig.clouds.values():
        cloud.behaviour = gone
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model=OLD, messages=MESSAGES)
    assert refused.value.code == "model_not_found"
    assert RETIRED in str(refused.value)
    assert OLD not in {model.id for model in client.models.list()}
    for cloud in rig.clouds.values():
        cloud.behaviour = well


def test_what_shares_a_prompt_follows_to_where_it_was_served(rig: Rig) -> None:
    long = [{"role": "user", "content": "the same beginning " * 500}]
    rig.clouds["aws"].behaviour = status(503)
    assert served_by(rig.post(messages=long, prompt_cache_key="tenant-7")) == "azure"
    rig.clouds["aws"].behaviour = well
    followed = rig.post(messages=long, prompt_cache_key="tenant-7")
    assert served_by(followed) == "azure"
    assert explained(rig, followed)["strategy"] == "primary-first, but azure-1 has the prompt's beginning cached"
    assert served_by(rig.post(messages=long, prompt_cache_key="tenant-8")) == "aws"


async def _whole_stream_in_its_last_event(connection: Connection, _: Received) -> None:
    connection.begin_stream()
    connection.piece(RESPONSE_END)
    connection.end_stream()


def test_what_shares_a_prompt_follows_a_stream_that_was_its_last_event_alone(rig: Rig) -> None:
    body = {"model": MODEL, "input": "one more beginning " * 500, "prompt_cache_key": "tenant-10", "store": False}
    rig.clouds["aws"].behaviour = status(503)
    rig.clouds["azure"].behaviour = _whole_stream_in_its_last_event
    for cloud, headers in (("azure", {}), ("azure", {}), ("aws", {"x-clauseway-cloud": "aws"})):
        url = f"{rig.url}/v1/responses"
        answer = httpx.post(url, json={**body, "stream": True}, headers=AUTHORIZED | headers, timeout=PATIENCE_S)
        assert served_by(answer) == cloud
        assert answer.content.count(b"event: ") == 1
        rig.clouds["aws"].behaviour = _whole_stream_in_its_last_event


def test_nobody_follows_to_where_a_request_was_refused(rig: Rig) -> None:
    """It has nothing of the prompt, and what it refuses once it may refuse again."""
    long = [{"role": "user", "content": "another beginning " * 500}]
    body = {"model": MODEL, "messages": long, "prompt_cache_key": "tenant-9"}
    rig.clouds["azure"].behaviour = status(400)
    asked = httpx.post(f"{rig.url}/v1/chat/completions", json=body, headers=AUTHORIZED | {"x-clauseway-cloud": "azure"})
    rig.clouds["azure"].behaviour = well
    assert asked.status_code == 400
    assert served_by(rig.post(messages=long, prompt_cache_key="tenant-9")) == "aws"


async def stores(connection: Connection, _: Received) -> None:
    connection.answer(200, b'{"id":"file-1","object":"file","purpose":"user_data","created_at":1}')


def test_a_quota_that_is_used_up_spills_over(rig: Rig) -> None:
    """It is the model's, of which a file takes nothing; nor does storing a file tell how quick the model is."""
    aws = rig.target("aws", rig.clouds["aws"].port, quota_requests_per_minute=2)
    azure = rig.target("azure", rig.clouds["azure"].port)
    hurried = msgspec.structs.replace(key("hurried", "openai"), policy=1)
    with Rig(rig.home / "quota") as other:
        other.home.mkdir()
        made = other.plan((aws, azure), policies=(Policy(), Policy(strategy="fastest")))
        other.start(msgspec.structs.replace(made, keys=(*made.keys, hurried)))
        rig.clouds["aws"].behaviour = stores
        form: dict[str, Any] = {"files": {"file": ("f.txt", b"x" * 100_000)}, "data": {"purpose": "user_data"}}
        assert served_by(httpx.post(f"{other.url}/v1/files", headers=AUTHORIZED, **form)) == "aws"
        assert served_by(httpx.get(f"{other.url}/v1/files/file-1", headers=AUTHORIZED)) == "aws"
        rig.clouds["aws"].behaviour = well
        body = {"model": MODEL, "messages": MESSAGES}
        hurry = {"authorization": "Bearer hurried"}
        assert served_by(httpx.post(f"{other.url}/v1/chat/completions", json=body, headers=hurry)) == "aws"
        assert [served_by(other.post()) for _ in range(3)] == ["aws", "azure", "azure"]


SCHEMA_SET = [{"type": "configuration_update", "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}]
SEARCH_ADDED = [{"type": "additional_tools", "tools": [{"type": "web_search"}]}]
SAID = [{"type": "message", "role": "user", "content": "hello"}]


async def conversation_made(connection: Connection, request: Received) -> None:
    answer = b'{"id":"conv_1","object":"conversation"}'
    if b"/items HTTP" in request.head:
        answer = b'{"object":"list","data":[],"first_id":"","last_id":"","has_more":false}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.writer.write(head % len(answer) + answer)


def test_what_a_conversation_asks_of_its_responses_lies_where_one_can_be_given(tmp_path: Path) -> None:
    """Every later response reads its items, and goes where it lies."""
    with Rig(tmp_path) as rig:
        lacks = [Lack(capability=name, reason="a page") for name in ("json-schema", "web-search")]
        ports = {cloud: rig.cloud(cloud).port for cloud in ("openai", "azure")}
        openai_ = [
            rig.target("openai", ports["openai"], "small", lacks=tuple(lacks)),
            rig.target("openai", ports["openai"], "large", lacks=(lacks[1],)),
        ]
        rig.start(rig.plan((*openai_, rig.target("azure", ports["azure"], lacks=(lacks[1],)))))
        for cloud in rig.clouds.values():
            cloud.behaviour = conversation_made

        def put(path: str, items: list[dict[str, Any]], cloud: str = "") -> httpx.Response:
            headers = {**AUTHORIZED, **({"x-clauseway-cloud": cloud} if cloud else {})}
            url = f"{rig.url}/v1/conversations{path}"
            return httpx.post(url, json={"items": items}, headers=headers, timeout=PATIENCE_S)

        assert served_by(put("", SAID)) == "openai"
        assert served_by(put("/conv_1/items", SCHEMA_SET)) == "openai", "one of its models can"
        assert served_by(put("", SCHEMA_SET)) == "openai"
        for refused in (put("", SEARCH_ADDED), put("/conv_1/items", SEARCH_ADDED), put("", SEARCH_ADDED, "azure")):
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (400, "unsupported_by_every_deployment")
            assert "lacks web-search (a page)" in error["message"]
        assert len(rig.clouds["openai"].requests) == 3, "nothing of what was refused reached a cloud"
