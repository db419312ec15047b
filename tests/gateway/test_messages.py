"""Anthropic's Messages format through the gateway, judged by the vendor's own client: to Anthropic itself and through
Bedrock's two surfaces, Vertex AI and Microsoft Foundry."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import httpx
import msgspec
import openai
import pytest
from endpoints_rig import Endpoints, sandbox_clouds, targets
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, SECRET, Rig, key

from clauseway.gateway.plan import Auth, Epoch, Plan, PlannedRetirement, Prices, RateLimit, Route, Target
from clauseway.gateway.wire.bodies.message_requests import decode_messages
from clauseway.gateway.wire.message_errors import answer_in_message_shape, in_message_shape
from clauseway.metering import Deployment, Status, Unit
from clauseway.sandbox.signatures import credentials

CLAUDE = "claude-opus-4-7"
# A name that is past the published day of its retirement at every deployment, and served on; one that nothing serves.
OVERDUE, RETIRED = "claude-opus-4-6", "claude-3-haiku"
RETIREMENTS = tuple(
    PlannedRetirement(name=name, surface="", begin_ns=0, message=f"{name} was retired. Its successor is {CLAUDE}.")
    for name in (OVERDUE, RETIRED)
)
ASKED: list[Any] = [{"role": "user", "content": "Which cloud is this?"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PLACES = ["anthropic", "azure", "aws-mantle", "aws-runtime", "google-cloud"]
# Cache reads and writes have prices of their own: a tenth and five quarters of input, twice for an hour.
PRICES = (
    Prices(
        begin_ns=0,
        end_ns=1 << 62,
        units={
            int(Unit.INPUT_TOKENS): 5_000_000,
            int(Unit.CACHED_INPUT_TOKENS): 500_000,
            int(Unit.CACHE_WRITE_TOKENS): 6_250_000,
            int(Unit.CACHE_WRITE_1H_TOKENS): 10_000_000,
            int(Unit.OUTPUT_TOKENS): 25_000_000,
            int(Unit.WEB_SEARCHES): 10_000_000_000,
        },
    ),
)


def claude_targets(ports: dict[str, int]) -> list[Target]:
    """One deployment at each place, the model under the name that it has there."""

    def at(cloud: str, path: str) -> str:
        return f"http://127.0.0.1:{ports[cloud]}{path}"

    project = f"/v1/projects/{credentials.GOOGLE_PROJECT}/locations/us-east5/publishers/anthropic"
    key_id, secret = credentials.AWS_ACCESS_KEY_ID, credentials.AWS_SECRET_ACCESS_KEY
    signed: Any = {"kind": "sigv4", "access_key": key_id, "secret": secret}
    scope: Any = {"region": credentials.AWS_REGION}
    return [
        target(
            "anthropic",
            "anthropic",
            at("anthropic", "/v1"),
            CLAUDE,
            Auth(kind="api-key", secret=credentials.ANTHROPIC_API_KEY),
        ),
        target(
            "azure",
            "azure",
            at("azure", "/anthropic/v1"),
            CLAUDE,
            Auth(kind="api-key", secret=credentials.AZURE_API_KEY),
        ),
        target(
            "aws-mantle",
            "bedrock",
            at("bedrock", "/anthropic/v1"),
            f"anthropic.{CLAUDE}",
            Auth(**signed, service=credentials.AWS_SERVICE, **scope),
        ),
        target(
            "aws-runtime",
            "bedrock",
            at("bedrock_runtime", ""),
            f"us.anthropic.{CLAUDE}-v1:0",
            Auth(**signed, service=credentials.AWS_RUNTIME_SERVICE, **scope),
        ),
        target(
            "google-cloud",
            "vertex",
            at("vertex", project),
            CLAUDE,
            Auth(kind="bearer", secret=credentials.google_token()),
        ),
    ]


def target(cloud: str, dialect: str, url: str, model: str, auth: Auth) -> Target:
    label = Deployment(f"{cloud}-1", cloud, "anthropic", "us-east5", CLAUDE, model)
    return Target(
        label=label,
        dialect=dialect,
        url=url,
        auth=auth,
        input_price=5_000_000,
        output_price=25_000_000,
        output_tokens_max=128_000,
        context_tokens_max=1_000_000,
        prices=PRICES,
    )


def plan(rig: Rig, ports: dict[str, int], **changes: Any) -> Plan:
    """Claude at every place, in that order; a chat model at OpenAI."""
    deployed = [*claude_targets(ports), targets(ports)[0]]
    claude = Route(candidates=tuple((at, 0) for at in range(len(PLACES))))
    routes = {f"anthropic|{CLAUDE}|direct": claude, "anthropic|chat|direct": Route(candidates=((len(PLACES), 0),))}
    return rig.plan(
        deployed,
        models={CLAUDE: CLAUDE, OVERDUE: CLAUDE, MODEL: "chat"},
        epochs=(Epoch(begin_ns=0, routes=routes),),
        retirements=RETIREMENTS,
        **{"keys": (key(SECRET, "anthropic"),), "attempt_timeout_s": PATIENCE_S, **changes},
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with ExitStack() as stack:
        ports = stack.enter_context(
            sandbox_clouds("openai", "azure", "bedrock", "bedrock-runtime", "vertex", "anthropic")
        )
        rig = stack.enter_context(Rig(tmp_path_factory.mktemp("gateway")))
        rig.start(plan(rig, ports))
        yield Endpoints(rig, ports)


def client(clouds: Endpoints, place: str = "", **options: Any) -> Any:
    headers = {"x-clauseway-cloud": place} if place else {}
    return anthropic.Anthropic(
        **{
            "base_url": clouds.rig.url,
            "api_key": SECRET,
            "max_retries": 0,
            "timeout": PATIENCE_S,
            "default_headers": headers,
            **options,
        }
    )


def units_of(usage: Any) -> dict[Unit, int]:
    """The client's own reading of usage, as we count: what was cached is part of the input."""
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    return {
        Unit.INPUT_TOKENS: usage.input_tokens + read + written,
        Unit.CACHED_INPUT_TOKENS: read,
        Unit.CACHE_WRITE_TOKENS: written,
        Unit.OUTPUT_TOKENS: usage.output_tokens,
        Unit.CACHE_WRITE_1H_TOKENS: usage.cache_creation.ephemeral_1h_input_tokens,
        Unit.REASONING_TOKENS: usage.output_tokens_details.thinking_tokens,
    }


def metered(clouds: Endpoints) -> dict[Unit, int]:
    record = clouds.rig.records()[-1]
    assert record.status is Status.COMPLETE
    return dict(record.units)


@pytest.mark.parametrize("place", PLACES)
def test_a_message(clouds: Endpoints, place: str) -> None:
    raw = client(clouds, place).messages.with_raw_response.create(model=CLAUDE, max_tokens=1000, messages=ASKED)
    answer = raw.parse()
    assert raw.headers["x-clauseway-cloud"] == place
    assert (answer.content[0].type, answer.stop_reason) == ("text", "end_turn")
    assert metered(clouds) == units_of(answer.usage)


@pytest.mark.parametrize("place", PLACES)
def test_a_message_streamed(clouds: Endpoints, place: str) -> None:
    with client(clouds, place).messages.stream(model=CLAUDE, max_tokens=1000, messages=ASKED) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert answer.content[0].text == text != ""
    record = clouds.rig.records()[-1]
    assert (record.status, record.streamed) == (Status.COMPLETE, True)
    assert dict(record.units) == units_of(answer.usage)
    whole = client(clouds, place).messages.create(model=CLAUDE, max_tokens=1000, messages=ASKED)
    assert (whole.content[0].text, units_of(whole.usage)) == (text, units_of(answer.usage))


@pytest.mark.parametrize("place", PLACES)
def test_tools_and_their_results(clouds: Endpoints, place: str) -> None:
    its = client(clouds, place)
    asked = {"model": CLAUDE, "max_tokens": 1000, "tools": [WEATHER]}
    called = its.messages.create(**asked, messages=ASKED)
    (block,) = called.content
    assert (called.stop_reason, block.name, list(block.input)) == ("tool_use", "weather", ["city"])
    result = {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "Fog."}]}
    turns = [*ASKED, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    assert its.messages.create(**asked, messages=turns).stop_reason == "end_turn"
    with its.messages.stream(**asked, messages=ASKED) as stream:
        assert stream.get_final_message().content[0].input == block.input


def test_a_tool_may_be_called_with_a_file_of_its_own(clouds: Endpoints) -> None:
    """Arguments of a call are an object here, and belong to the client's tool: what it calls `file_id` is no file of
    any cloud."""
    called: Any = {"type": "tool_use", "id": "toolu_1", "name": "drive", "input": {"file_id": "1aB-drive"}}
    result: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Empty."}
    drive: Any = {
        "name": "drive",
        "input_schema": {"type": "object", "properties": {"file_id": {"type": "string"}}},
        "input_examples": [{"file_id": "1aB-other"}],
    }
    turns = [*ASKED, {"role": "assistant", "content": [called]}, {"role": "user", "content": [result]}]
    answer = client(clouds).messages.create(model=CLAUDE, max_tokens=50, messages=turns, tools=[drive])
    assert answer.content


@pytest.mark.parametrize("place", PLACES)
def test_cached_and_thinking_tokens(clouds: Endpoints, place: str) -> None:
    """Written once, read from then on; each token has one price: input, read, written, out."""
    words = "clause " * 2000
    asked = {
        "model": CLAUDE,
        "max_tokens": 4000,
        "messages": ASKED,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [{"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}],
    }
    its = client(clouds, place)
    first = its.messages.create(**asked)
    assert metered(clouds) == units_of(first.usage)
    with its.messages.stream(**asked) as stream:
        second = stream.get_final_message()
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert metered(clouds) == units_of(second.usage)
    assert first.usage.cache_creation_input_tokens == second.usage.cache_read_input_tokens == 1920
    assert (second.usage.cache_creation_input_tokens, second.usage.output_tokens_details.thinking_tokens) == (0, 512)
    charges = [record.charge_picodollars for record in clouds.rig.records()[-2:]]
    plain, out = second.usage.input_tokens * 5_000_000, second.usage.output_tokens * 25_000_000
    assert charges == [plain + 1920 * 6_250_000 + out, plain + 1920 * 500_000 + out]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_is_cached_for_an_hour_counts_and_costs_apart(clouds: Endpoints, place: str, stream: bool) -> None:
    words = f"{place} {stream} " + "hour " * 2000
    asked = {
        "model": CLAUDE,
        "max_tokens": 400,
        "messages": ASKED,
        "system": [{"type": "text", "text": words, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    }
    if stream:
        with client(clouds, place).messages.stream(**asked) as events:
            usage = events.get_final_message().usage
    else:
        usage = client(clouds, place).messages.create(**asked).usage
    written = usage.cache_creation.ephemeral_1h_input_tokens
    assert written == usage.cache_creation_input_tokens > 0
    assert metered(clouds) == units_of(usage)
    charge = clouds.rig.records()[-1].charge_picodollars
    assert charge == usage.input_tokens * 5_000_000 + written * 10_000_000 + usage.output_tokens * 25_000_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_searches_count_and_cost_apart(clouds: Endpoints, place: str, stream: bool) -> None:
    tools: Any = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]
    asked: Any = {"model": CLAUDE, "max_tokens": 1000, "messages": ASKED, "tools": tools}
    if stream:
        with client(clouds, place).messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = client(clouds, place).messages.create(**asked)
    assert answer.usage.server_tool_use.web_search_requests == 1
    assert metered(clouds)[Unit.WEB_SEARCHES] == 1
    tokens = 5_000_000 * answer.usage.input_tokens + 25_000_000 * answer.usage.output_tokens
    assert clouds.rig.records()[-1].charge_picodollars == tokens + 10_000_000_000


@pytest.mark.parametrize("place", ["anthropic", "azure", "aws-mantle", "google-cloud"])
def test_tokens_are_counted_and_cost_nothing(clouds: Endpoints, place: str) -> None:
    counted = client(clouds, place).messages.count_tokens(model=CLAUDE, messages=ASKED)
    assert counted.input_tokens == 4
    record = clouds.rig.records()[-1]
    assert (record.units, record.charge_picodollars) == ((), 0)


def test_where_tokens_cannot_be_counted_another_place_is_asked(clouds: Endpoints) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"aws-runtime-1: has no messages\.count_tokens"):
        client(clouds, "aws-runtime").messages.count_tokens(model=CLAUDE, messages=ASKED)


def test_a_retired_name_that_is_served_on_can_be_looked_up_by_either_client(clouds: Endpoints) -> None:
    """It is not listed, so that nobody begins with it; some clients look a name up before they ask for it."""
    its, openais = client(clouds), clouds.client()
    assert its.messages.create(model=OVERDUE, max_tokens=10, messages=ASKED).content
    assert OVERDUE not in [model.id for model in [*its.models.list(), *openais.models.list()]]
    assert (its.models.retrieve(OVERDUE).id, its.models.retrieve(OVERDUE).lifecycle) == (OVERDUE, "deprecated")
    assert openais.models.retrieve(OVERDUE).id == OVERDUE
    for client_of, not_there in ((its, anthropic.NotFoundError), (openais, openai.NotFoundError)):
        with pytest.raises(not_there, match=f"Its successor is {CLAUDE}"):
            client_of.models.retrieve(RETIRED)


def test_betas_and_versions_reach_each_place_where_it_reads_them(clouds: Endpoints) -> None:
    """In the head, or, where the model is in the path, in the body too; the body's own are the caller's."""
    for place in PLACES:
        its = client(clouds, place)
        answer = its.messages.create(
            model=CLAUDE, max_tokens=10, messages=ASKED, extra_headers={"anthropic-beta": "context-1m-2026-01-01"}
        )
        assert answer.content, place
    body = {"model": CLAUDE, "max_tokens": 10, "messages": ASKED}
    for place in PLACES:
        headers = AUTHORIZED | {"x-clauseway-cloud": place}
        assert httpx.post(f"{clouds.rig.url}/v1/messages", json=body, headers=headers).status_code == 200, place


def test_its_client_lists_the_models_that_it_can_ask_for(clouds: Endpoints) -> None:
    """A model that is served in OpenAI's format alone is not among them; OpenAI's client sees all."""
    its = client(clouds)
    (listed,) = list(its.models.list())
    assert (listed.id, listed.type, listed.lifecycle, listed.created_at.year) == (CLAUDE, "model", "active", 1970)
    assert (listed.max_input_tokens, listed.max_tokens) == (1_000_000, 128_000)
    assert its.models.retrieve(CLAUDE) == listed
    assert list(client(clouds, base_url=f"{clouds.rig.url}/anthropic").models.list()) == [listed]
    assert [model.id for model in its.beta.models.list(limit=1)] == [CLAUDE]
    assert list(its.models.list(after_id=CLAUDE)) == []
    for unknown in (MODEL, "claude-9"):
        with pytest.raises(anthropic.NotFoundError) as refused:
            its.models.retrieve(unknown)
        assert (body_of(refused.value)["type"], body_of(refused.value)["code"]) == (
            "not_found_error",
            "model_not_found",
        )
    with pytest.raises(anthropic.BadRequestError, match="limit is a number from 1 to 1000"):
        list(its.models.list(limit=5000))
    assert {model.id for model in clouds.client().models.list()} == {CLAUDE, MODEL}


PAGES: list[tuple[dict[str, str], list[str], bool]] = [
    ({}, ["a", "b", "c"], False),
    ({"limit": "2"}, ["a", "b"], True),
    ({"limit": "2", "after_id": "b"}, ["c"], False),
    ({"limit": "1", "before_id": "c"}, ["b"], True),
    ({"before_id": "a"}, [], False),
    ({"after_id": "nowhere"}, ["a", "b", "c"], False),
]


@pytest.mark.parametrize(("query", "names", "more"), PAGES)
def test_a_list_of_models_has_pages(paged: Rig, query: dict[str, str], names: list[str], more: bool) -> None:
    headers = {**AUTHORIZED, "anthropic-version": "2023-06-01"}
    page = httpx.get(f"{paged.url}/v1/models", params=query, headers=headers).json()
    assert ([model["id"] for model in page["data"]], page["has_more"]) == (names, more)
    assert (page["first_id"], page["last_id"]) == ((names[0], names[-1]) if names else (None, None))


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Three models that speak Messages; nobody asks their clouds."""
    with Rig(tmp_path_factory.mktemp("paged")) as rig:
        auth = Auth(kind="api-key", secret="s")
        models = ("a", "b", "c")
        deployed = [
            target("anthropic", "anthropic", f"http://127.0.0.1:{rig.closed_port}/v1", model, auth) for model in models
        ]
        routes = {f"anthropic|{model}|direct": Route(candidates=((at, 0),)) for at, model in enumerate(models)}
        rig.start(
            rig.plan(
                deployed,
                models={model: model for model in models},
                epochs=(Epoch(begin_ns=0, routes=routes),),
                keys=(key(SECRET, "anthropic"),),
            )
        )
        yield rig


def test_clients_of_other_clouds_find_it_under_their_root(clouds: Endpoints) -> None:
    foundry = anthropic.AnthropicFoundry(base_url=f"{clouds.rig.url}/anthropic/", api_key=SECRET, max_retries=0)
    assert foundry.messages.create(model=CLAUDE, max_tokens=100, messages=ASKED).content
    mantle = anthropic.AnthropicBedrockMantle(
        base_url=f"{clouds.rig.url}/anthropic", api_key=SECRET, aws_region="us-east-1", max_retries=0
    )
    assert mantle.messages.create(model=CLAUDE, max_tokens=100, messages=ASKED).content


# -- errors, as the client maps them


def body_of(error: anthropic.APIStatusError) -> Any:
    body: Any = error.body
    assert body["type"] == "error"
    return body["error"]


def test_errors_of_our_own(clouds: Endpoints) -> None:
    its = client(clouds)
    with pytest.raises(anthropic.AuthenticationError) as key_error:
        its.with_options(api_key="sk-nobody").messages.create(model=CLAUDE, max_tokens=9, messages=ASKED)
    assert body_of(key_error.value)["type"] == "authentication_error"
    with pytest.raises(anthropic.NotFoundError) as model_error:
        its.messages.create(model="claude-9", max_tokens=9, messages=ASKED)
    body = body_of(model_error.value)
    assert (body["type"], body["code"]) == ("not_found_error", "model_not_found")
    with pytest.raises(anthropic.BadRequestError) as member_error:
        its.messages.create(model=CLAUDE, max_tokens=-1, messages=ASKED)
    assert body_of(member_error.value)["code"] == "invalid_body"
    with pytest.raises(anthropic.BadRequestError, match="has no messages") as other:
        its.messages.create(model=MODEL, max_tokens=9, messages=ASKED)
    assert body_of(other.value)["code"] == "unsupported_by_every_deployment"
    name = other.value.response.headers["x-clauseway-request-id"]
    assert (other.value.request_id, other.value.response.json()["request_id"]) == (name, name)


@pytest.mark.parametrize("place", PLACES)
def test_a_clouds_own_word_about_the_request(clouds: Endpoints, place: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match="at least one message is required") as refused:
        client(clouds, place).messages.create(model=CLAUDE, max_tokens=9, messages=[])
    assert body_of(refused.value)["type"] == "invalid_request_error"
    assert refused.value.response.json()["request_id"] in refused.value.response.headers.values()


@pytest.mark.parametrize("name", ["m" * 201, "m/messages/m"])
def test_a_name_that_is_no_deployments_is_refused_as_of_messages(clouds: Endpoints, name: str) -> None:
    url = f"{clouds.rig.url}/openai/deployments/{name}/messages"
    answer = httpx.post(url, content=asked(), headers=AUTHORIZED, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["type"]) == (404, "error")


def answered(clouds: Endpoints, body: bytes) -> httpx.Response:
    return httpx.post(f"{clouds.rig.url}/v1/messages", content=body, headers=AUTHORIZED, timeout=PATIENCE_S)


def asked(**members: Any) -> bytes:
    return json.dumps({"model": CLAUDE, "max_tokens": 50, "messages": ASKED, **members}).encode()


ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-sonnet-5"}


def within(tool: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The messages that bring a tool along: for what follows, and kept from what was shortened."""
    added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
    kept = {"type": "compaction", "content": "They spoke of Oslo.", "tool_changes": [added]}
    return [[*ASKED, {"role": "system", "content": [added]}], [{"role": "assistant", "content": [kept]}, *ASKED]]


# member, body: the cloud would turn to a model that no clause was asked about, at a price that no book was asked for.
OF_OTHER_MODELS = [
    ("fallbacks", asked(fallbacks=[{"model": "claude-sonnet-5"}])),
    ("fallbacks", asked(fallbacks="default")),
    ("tools", asked(tools=[WEATHER, ADVISOR])),
    ("tools", asked(tools=[ADVISOR]).replace(b"advisor_", b"\\u0061dvisor_")),
    *(("messages", asked(messages=messages)) for messages in within(ADVISOR)),
    *(("messages", asked(messages=m).replace(b"advisor_", b"\\u0061dvisor_")) for m in within(ADVISOR)),
    # A cloud may read what is no number and no truth value here.
    ("tools", asked(tools=[{**ADVISOR, "max_uses": "3"}])),
    ("tools", asked(tools=[ADVISOR, {**WEATHER, "strict": 1}])),
    *(("messages", asked(messages=messages)) for messages in within({**ADVISOR, "max_uses": "3"})),
    *(("messages", asked(messages=["x", *messages])) for messages in within(ADVISOR)),
    ("messages", asked(messages=[{"role": "system", "content": ["x", *within(ADVISOR)[0][-1]["content"]]}])),
]


@pytest.mark.parametrize(("member", "body"), OF_OTHER_MODELS)
def test_a_message_is_of_the_one_model_that_it_names(clouds: Endpoints, member: str, body: bytes) -> None:
    before = len(clouds.rig.records())
    answer = answered(clouds, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "not_offered")
    assert error["message"].startswith(f"'{member}' has the cloud turn to another model. ")
    assert len(clouds.rig.records()) == before


@pytest.mark.parametrize("fallbacks", [[], None], ids=str)
def test_no_fallback_is_none(clouds: Endpoints, fallbacks: object) -> None:
    assert answered(clouds, asked(fallbacks=fallbacks)).status_code == 200


# member, body: the cloud would go on from what it keeps under the identifier of an earlier message.
OF_EARLIER_MESSAGES = [
    ("thread", asked(thread={"type": "create"})),
    ("thread", asked(thread={"type": "continue", "previous_message_id": "msg_1"})),
    ("thread", asked(thread={"type": "create"}).replace(b"thread", b"thr\\u0065ad")),
    ("diagnostics", asked(diagnostics={"previous_message_id": "msg_1"})),
]


@pytest.mark.parametrize(("member", "body"), OF_EARLIER_MESSAGES)
def test_a_message_names_no_earlier_one(clouds: Endpoints, member: str, body: bytes) -> None:
    before = len(clouds.rig.records())
    answer = answered(clouds, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "not_offered")
    assert error["message"].startswith(f"'{member}' ")
    assert len(clouds.rig.records()) == before


# member, body: the cloud would serve it elsewhere, or charge somebody else.
OF_THE_ACCOUNT = [
    ("inference_geo", asked(inference_geo="global")),
    ("inference_geo", asked(inference_geo="us").replace(b"geo", b"g\\u0065o")),
    ("billing_policy", asked(billing_policy={"type": "billing_policy", "bill_to": "user_profile"})),
]


@pytest.mark.parametrize(("member", "body"), OF_THE_ACCOUNT)
def test_a_message_names_no_place_and_no_payer(clouds: Endpoints, member: str, body: bytes) -> None:
    """The deployment's residency, region and price would not hold."""
    before = len(clouds.rig.records())
    error = answered(clouds, body).json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "not_offered")
    assert error["message"].startswith(f"'{member}' ")
    assert len(clouds.rig.records()) == before


@pytest.mark.parametrize("member", ["inference_geo", "billing_policy"])
def test_who_leaves_place_and_payer_to_the_account_is_answered(clouds: Endpoints, member: str) -> None:
    assert answered(clouds, asked(**{member: None})).status_code == 200


# member, what stands in it once, the same twice: which of the two is read, parsers differ in.
TWICE = [
    ("tools.type", b'"type": "custom"', b'"type": "advisor_20260301", "type": "custom"'),
    ("messages.content", b'"content": "Hello"', b'"content": [{"type": "image"}], "content": "Hello"'),
    ("messages.content.type", b'"type": "text"', b'"type": "image", "type": "text"'),
    ("messages.tools.type", b'"type": "bash_20250124"', b'"type": "advisor_20260301", "type": "bash_20250124"'),
]


@pytest.mark.parametrize(("member", "once", "twice"), TWICE, ids=[case[0] for case in TWICE])
def test_what_is_read_of_messages_and_their_tools_stands_once(
    clouds: Endpoints, member: str, once: bytes, twice: bytes
) -> None:
    added = within({"type": "bash_20250124", "name": "bash"})[0]
    said = [{"role": "user", "content": "Hello"}, {"role": "user", "content": [{"type": "text", "text": "Oslo"}]}]
    body = asked(tools=[{**WEATHER, "type": "custom"}], messages=[*said, *added])
    assert body.count(once) == 1
    assert decode_messages(body, b"application/json").needs(body)
    answer = answered(clouds, body.replace(once, twice))
    assert answer.status_code == 400
    assert f"The member '{member}' stands more than once" in answer.json()["error"]["message"]


@pytest.mark.parametrize("members", [{"thread": None}, {"diagnostics": None}, {"diagnostics": {}}], ids=str)
def test_who_names_no_earlier_message_is_answered(clouds: Endpoints, members: dict[str, Any]) -> None:
    assert answered(clouds, asked(**members)).status_code == 200
    assert answered(clouds, asked(diagnostics={"previous_message_id": None})).status_code == 200


def test_the_vendors_runner_of_tools_goes_on_without_a_thread(clouds: Endpoints) -> None:
    """It asks for a thread unless told otherwise, and sends the whole conversation where none is had."""

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: where
        """
        return f"It rains in {city}."

    its = client(clouds, "anthropic")
    before = len(clouds.rig.records())
    said = list(its.beta.messages.tool_runner(model=CLAUDE, max_tokens=500, tools=[weather], messages=ASKED))
    assert [message.stop_reason for message in said] == ["tool_use", "end_turn"]
    assert len(clouds.rig.records()) == before + 2, "what was refused is not recorded"


def test_a_thread_of_the_vendors_client_goes_on_where_it_may(clouds: Endpoints) -> None:
    def begun(**behaviour: str) -> Any:
        return client(clouds, "anthropic").beta.messages.thread(model=CLAUDE, max_tokens=500, **behaviour)

    with pytest.raises(anthropic.BadRequestError, match="Send the whole conversation") as refused:
        begun().send(*ASKED)
    assert body_of(refused.value)["details"] == {"error_code": "thread_unsupported_request"}
    thread = begun(unsupported_request_behavior="continue_unthreaded")
    assert [thread.send(*ASKED).stop_reason for _ in range(2)] == ["end_turn", "end_turn"]


def test_chat_is_not_asked_of_claude(clouds: Endpoints) -> None:
    answer = clouds.rig.post(model=CLAUDE)
    assert answer.status_code == 400
    # Whoever came with OpenAI's format learns which one the model answers in.
    assert ": has no chat, but answers /v1/messages" in answer.json()["error"]["message"]


# -- faults: health and failover hold as for chat


# status, code and member at fault → the error's members beside its message
SHAPES: list[tuple[int, str, str, dict[str, object]]] = [
    (400, "", "", {"type": "invalid_request_error"}),
    (418, "", "", {"type": "invalid_request_error"}),
    (499, "", "", {"type": "invalid_request_error"}),
    (500, "", "", {"type": "api_error"}),
    (529, "", "", {"type": "overloaded_error"}),
    (404, "unknown_path", "thread", {"type": "not_found_error", "code": "unknown_path"}),
    (400, "not_offered", "inference_geo", {"type": "invalid_request_error", "code": "not_offered"}),
    (
        400,
        "not_offered",
        "thread",
        {
            "type": "invalid_request_error",
            "code": "not_offered",
            "details": {"error_code": "thread_unsupported_request"},
        },
    ),
]


@pytest.mark.parametrize(("status", "code", "param", "members"), SHAPES)
def test_an_error_of_ours_has_the_shape_of_the_format(
    status: int, code: str, param: str, members: dict[str, object]
) -> None:
    error = {"message": "No.", "type": "ours", "code": code or None, "param": param or None}
    shaped = in_message_shape(status, json.dumps({"error": error}).encode(), "req_1")
    assert json.loads(shaped) == {"type": "error", "error": {"message": "No.", **members}, "request_id": "req_1"}
    assert in_message_shape(500, shaped, "req_2") == shaped, "it is in that shape already"
    body = json.dumps({"error": error}).encode()
    head = f"HTTP/1.1 {status} No\r\nx-request-id: req_1\r\ncontent-length: {len(body)}\r\na: b"
    answer = answer_in_message_shape(head.encode() + b"\r\n\r\n" + body)
    lines = [f"HTTP/1.1 {status} No", "request-id: req_1", "a: b", f"content-length: {len(shaped)}"]
    assert answer == "\r\n".join(lines).encode() + b"\r\n\r\n" + shaped


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}", b"HTTP/1.1 404 No\r\na: b\r\n\r\n"])
def test_what_is_no_error_or_has_no_body_stays(answer: bytes) -> None:
    assert answer_in_message_shape(answer) == answer


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 529},
        {"kind": "status", "status": 429, "retry_after_ms": 1},
        {"kind": "status", "family": "insufficient_quota"},
        {"kind": "status", "status": 401},
        {"kind": "drop"},
        {"kind": "error-event", "events": 1},
    ],
    ids=["overloaded", "busy", "credit is spent", "our key", "broken off", "an error before content"],
)
def test_another_place_answers(clouds: Endpoints, rule: dict[str, object]) -> None:
    clouds.rig.kill()
    clouds.rig.start(plan(clouds.rig, clouds.ports))
    clouds.fault("anthropic", **rule)
    with client(clouds).messages.stream(model=CLAUDE, max_tokens=100, messages=ASKED) as stream:
        assert stream.get_final_text()
        assert stream.response.headers["x-clauseway-cloud"] == "azure"
        assert stream.response.headers["x-clauseway-attempts"] == "2"


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_breaks_raises_and_is_metered(clouds: Endpoints, place: str) -> None:
    sandbox = {"aws-mantle": "bedrock", "aws-runtime": "bedrock_runtime", "google-cloud": "vertex"}.get(place, place)
    clouds.fault(sandbox, kind="cut-after-events", events=6)
    with (
        pytest.raises(anthropic.APIStatusError, match="stream broke"),
        client(clouds, place).messages.stream(model=CLAUDE, max_tokens=1000, messages=ASKED) as stream,
    ):
        list(stream)
    record = clouds.rig.records()[-1]
    assert record.status is Status.INTERRUPTED_ESTIMATED
    assert dict(record.units)[Unit.OUTPUT_TOKENS] > 0


# An error as a cloud writes it → the message that a client of the Messages format reads
FOREIGN_ERRORS = {
    '{"error":{"message":"No.","code":5.5,"param":[]}}': "No.",
    '{"error":{"message":"No.","code":["a"]}}': "No.",
    '{"error":"No.","code":5}': "No.",
    '[{"error":{"code":400,"message":"No.","status":"INVALID_ARGUMENT"}}]': "No.",
    '{"message":"No."}': "No.",
    '\ufeff{"error":{"message":"No."}}': "No.",
    '{"error":{"message":"No. \\ud83d"}}': "No. \ufffd",
    '{"Message":"No."}': '{"Message":"No."}',
    '{"error":{"message":["No."]}}': '{"error":{"message":["No."]}}',
    '{"detail":[{"msg":"No."}]}': '{"detail":[{"msg":"No."}]}',
    '{"errors":[{"message":"No."}]}': '{"errors":[{"message":"No."}]}',
    "No.": "No.",
    "": "The cloud answered HTTP 400 without a word.",
    "\r\n": "The cloud answered HTTP 400 without a word.",
}


@pytest.mark.parametrize(("body", "message"), FOREIGN_ERRORS.items())
def test_a_foreign_error_keeps_its_words(body: str, message: str) -> None:
    shaped = json.loads(in_message_shape(400, body.encode()))
    assert shaped["error"]["message"] == message
    assert shaped["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 529},
        {"kind": "error-event", "events": 1, "family": "server_is_overloaded"},
    ],
    ids=["at once", "within a stream"],
)
def test_nobody_answers(clouds: Endpoints, rule: dict[str, object]) -> None:
    for _ in range(3):
        clouds.fault("anthropic", **rule)
    with (
        pytest.raises(anthropic.APIStatusError) as failed,
        client(clouds, "anthropic", max_retries=2).messages.stream(model=CLAUDE, max_tokens=100, messages=ASKED),
    ):
        pass
    assert failed.value.status_code == 503
    assert body_of(failed.value)["type"] == "overloaded_error"
    assert failed.value.request_id == failed.value.response.headers["x-clauseway-request-id"]
    assert len(clouds.asked("anthropic")) == 3, "one attempt for each of the client's"


def test_an_overload_of_the_only_place_passes(clouds: Endpoints) -> None:
    clouds.fault("anthropic", kind="status", status=529)
    answer = client(clouds, "anthropic", max_retries=2).messages.create(model=CLAUDE, max_tokens=100, messages=ASKED)
    assert answer.content
    assert len(clouds.asked("anthropic")) == 2


def test_a_limit_is_told_in_the_formats_own_words(clouds: Endpoints) -> None:
    clouds.rig.kill()
    limited = msgspec.structs.replace(key(SECRET, "anthropic"), limits=(0,))
    limit = RateLimit(id="l", whose="project acme/research", requests_per_minute=1)
    clouds.rig.start(plan(clouds.rig, clouds.ports, keys=(limited,), limits=(limit,)))
    try:
        asked = {"model": CLAUDE, "max_tokens": 100, "messages": ASKED}
        assert client(clouds).messages.create(**asked).content
        with pytest.raises(anthropic.RateLimitError, match="1 request a minute") as refused:
            client(clouds).messages.create(**asked)
    finally:
        clouds.rig.kill()
        clouds.rig.start(plan(clouds.rig, clouds.ports))
    body = body_of(refused.value)
    assert (body["type"], body["code"]) == ("rate_limit_error", "rate_limit_exceeded")
