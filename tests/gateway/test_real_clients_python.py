"""openai-python, unmodified, against the gateway: every kind of call, and its own retries and errors."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from endpoints_rig import EMBEDDING, IMAGE, LEGACY, SPEECH, TRANSCRIBE, Endpoints, endpoints
from gateway_rig import MESSAGES, MODEL, PATIENCE_S, SECRET
from pydantic import BaseModel

from awaiting import eventually
from clauseway.metering import Status, Unit

WAV = b"RIFF" + bytes(40_000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(400)
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
BOTH = ["openai", "azure"]


class Place(BaseModel):
    city: str
    people: int


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with endpoints(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def rested_clouds(clouds: Endpoints) -> Endpoints:
    """The clouds when none asks to be left alone any more, as a test before may have had them do."""
    eventually(lambda: all(answers(clouds, cloud) for cloud in BOTH))
    clouds.forget_asked()
    return clouds


def answers(clouds: Endpoints, cloud: str) -> bool:
    asked = {"model": MODEL, "messages": MESSAGES}
    headers = {"authorization": f"Bearer {SECRET}", **on(cloud)}
    answer = httpx.post(f"{clouds.base_url}/chat/completions", json=asked, headers=headers, timeout=PATIENCE_S)
    return answer.status_code == 200


def on(cloud: str) -> dict[str, str]:
    return {"x-clauseway-cloud": cloud}


def last_units(clouds: Endpoints) -> dict[Unit, int]:
    record = clouds.rig.records()[-1]
    assert record.status is Status.COMPLETE
    return dict(record.units)


# -- chat


@pytest.mark.parametrize("cloud", BOTH)
def test_chat(clouds: Endpoints, cloud: str) -> None:
    answer = clouds.client().chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=on(cloud))
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert last_units(clouds)[Unit.OUTPUT_TOKENS] == answer.usage.completion_tokens


@pytest.mark.parametrize("cloud", BOTH)
def test_chat_asynchronously_many_at_once(clouds: Endpoints, cloud: str) -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=clouds.base_url, api_key=SECRET, max_retries=0) as client:
            calls = [
                client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=on(cloud))
                for _ in range(20)
            ]
            assert all(answer.choices[0].message.content for answer in await asyncio.gather(*calls))
            stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
            assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"

    asyncio.run(ask())


def test_chat_through_the_stream_helper(clouds: Endpoints) -> None:
    with clouds.client().chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content


@pytest.mark.parametrize("cloud", BOTH)
def test_structured_output(clouds: Endpoints, cloud: str) -> None:
    answer = clouds.client().chat.completions.parse(
        model=MODEL, messages=MESSAGES, response_format=Place, extra_headers=on(cloud)
    )
    assert isinstance(answer.choices[0].message.parsed, Place)


@pytest.mark.parametrize("stream", [False, True])
def test_tools(clouds: Endpoints, stream: bool) -> None:
    client, asked = clouds.client(), {"model": MODEL, "messages": MESSAGES, "tools": [WEATHER]}
    if stream:
        with client.chat.completions.stream(**asked, tool_choice="required") as events:
            call: Any = events.get_final_completion().choices[0].message.tool_calls[0]
    else:
        call = client.chat.completions.create(**asked, tool_choice="required").choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert "city" in json.loads(call.function.arguments)


# -- the format before chat


@pytest.mark.parametrize("cloud", BOTH)
def test_legacy_completions(clouds: Endpoints, cloud: str) -> None:
    client = clouds.client(default_headers=on(cloud))
    answer = client.completions.create(model=LEGACY, prompt=["Once upon a time", "In the end"], max_tokens=7)
    assert [len(choice.text.split()) for choice in answer.choices] == [7, 7]
    assert last_units(clouds) == {Unit.INPUT_TOKENS: 7, Unit.OUTPUT_TOKENS: 14}
    chunks = list(client.completions.create(model=LEGACY, prompt="Once upon a time", max_tokens=5, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks), "nobody asked for usage"
    assert len("".join(chunk.choices[0].text for chunk in chunks).split()) == 5
    assert last_units(clouds) == {Unit.INPUT_TOKENS: 4, Unit.OUTPUT_TOKENS: 5}
    asked = {"model": LEGACY, "prompt": [1, 2, 3], "max_tokens": 5, "stream_options": {"include_usage": True}}
    last = list(client.completions.create(**asked, stream=True))[-1]
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 5)


def test_azures_class_asks_for_legacy_completions(clouds: Endpoints) -> None:
    assert azure(clouds).completions.create(model=LEGACY, prompt="Once", max_tokens=3).choices[0].text


def test_a_chat_model_completes_nothing(clouds: Endpoints) -> None:
    with pytest.raises(openai.NotFoundError, match="v1/chat/completions"):
        clouds.client().completions.create(model=MODEL, prompt="Once")


# -- AzureOpenAI, with our address


def azure(clouds: Endpoints, **options: Any) -> Any:
    return openai.AzureOpenAI(
        azure_endpoint=clouds.rig.url, api_key=SECRET, api_version="2024-10-21", max_retries=0, **options
    )


@pytest.mark.parametrize("cloud", BOTH)
def test_azures_class_with_the_model_in_the_path(clouds: Endpoints, cloud: str) -> None:
    raw = azure(clouds).chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES, extra_headers=on(cloud)
    )
    assert raw.http_request.url.path == f"/openai/deployments/{MODEL}/chat/completions"
    assert raw.headers["x-clauseway-cloud"] == cloud
    assert raw.parse().choices[0].message.content


def test_azures_class_with_a_deployment_streams_embeds_and_responds(clouds: Endpoints) -> None:
    client = azure(clouds, azure_deployment=MODEL)
    chunks = list(client.chat.completions.create(model="whatever", messages=MESSAGES, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    client = azure(clouds)
    assert client.embeddings.create(model=EMBEDDING, input="a").data[0].embedding
    made = client.responses.create(model=MODEL, input="Hello.")
    assert client.responses.retrieve(made.id).id == made.id
    assert MODEL in [model.id for model in client.models.list()]


def test_azures_class_with_an_entra_token_in_its_place(clouds: Endpoints) -> None:
    client = openai.AzureOpenAI(
        azure_endpoint=clouds.rig.url, azure_ad_token_provider=lambda: SECRET, api_version="2024-10-21"
    )
    assert client.chat.completions.create(model=MODEL, messages=MESSAGES).choices


# -- responses


@pytest.mark.parametrize("cloud", BOTH)
def test_responses(clouds: Endpoints, cloud: str) -> None:
    answer = clouds.client().responses.create(model=MODEL, input="Hello.", extra_headers=on(cloud))
    assert answer.output_text
    assert answer.usage is not None
    assert last_units(clouds)[Unit.INPUT_TOKENS] == answer.usage.input_tokens
    assert last_units(clouds)[Unit.OUTPUT_TOKENS] == answer.usage.output_tokens


@pytest.mark.parametrize("cloud", BOTH)
def test_responses_streamed(clouds: Endpoints, cloud: str) -> None:
    with clouds.client().responses.stream(model=MODEL, input="Hello.", extra_headers=on(cloud)) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert answer.output_text
    assert answer.usage is not None
    assert last_units(clouds)[Unit.OUTPUT_TOKENS] == answer.usage.output_tokens


def test_responses_parsed_and_polled(clouds: Endpoints) -> None:
    client = clouds.client()
    parsed = client.responses.parse(model=MODEL, input="Where?", text_format=Place)
    assert isinstance(parsed.output_parsed, Place)
    polled = client.responses.create(model=MODEL, input="Later.", background=True)
    while polled.status in ("queued", "in_progress"):
        polled = client.responses.retrieve(polled.id)
    assert (polled.status, bool(polled.output_text)) == ("completed", True)


@pytest.mark.parametrize("cloud", BOTH)
def test_searches_of_the_web(clouds: Endpoints, cloud: str) -> None:
    asked: Any = {"model": MODEL, "input": "Which cloud is this?", "tools": [{"type": "web_search"}]}
    whole = clouds.client().responses.create(**asked, extra_headers=on(cloud))
    assert whole.to_dict()["tool_usage"]["web_search"] == {"num_requests": 1}
    assert last_units(clouds)[Unit.WEB_SEARCHES] == 1
    list(clouds.client().responses.create(**asked, stream=True, extra_headers=on(cloud)))
    assert last_units(clouds)[Unit.WEB_SEARCHES] == 1
    clouds.client().responses.create(model=MODEL, input="Which cloud is this?", extra_headers=on(cloud))
    assert Unit.WEB_SEARCHES not in last_units(clouds)


def test_pictures_that_a_tool_draws(clouds: Endpoints) -> None:
    asked: Any = {"model": MODEL, "input": "Draw a cloud.", "tools": [{"type": "image_generation"}]}
    for stream in (False, True):
        answer = clouds.client().responses.create(**asked, stream=stream, extra_headers=on("openai"))
        assert [event.type for event in answer][-1] == "response.completed" if stream else answer.tool_usage
        units = last_units(clouds)
        assert (units[Unit.IMAGE_TOOL_INPUT_TOKENS], units[Unit.IMAGE_TOOL_OUTPUT_TOKENS]) == (24, 1056)


# -- everything else


def test_embeddings(clouds: Endpoints) -> None:
    answer = clouds.client().embeddings.create(model=EMBEDDING, input=["a", "b"])
    assert len(answer.data) == 2
    assert last_units(clouds) == {Unit.INPUT_TOKENS: answer.usage.prompt_tokens}


def test_images(clouds: Endpoints) -> None:
    client = clouds.client()
    made = client.images.generate(model=IMAGE, prompt="A cloud.")
    assert made.usage is not None
    assert last_units(clouds)[Unit.OUTPUT_TOKENS] == made.usage.output_tokens
    edited = client.images.edit(model=IMAGE, image=("a.png", PNG), prompt="A darker one.")
    assert edited.data
    events = list(client.images.generate(model=IMAGE, prompt="A cloud.", stream=True, partial_images=1))
    assert events[-1].type == "image_generation.completed"
    assert last_units(clouds)[Unit.OUTPUT_TOKENS] == events[-1].usage.output_tokens


def test_audio(clouds: Endpoints) -> None:
    client = clouds.client()
    assert client.audio.speech.create(model=SPEECH, voice="alloy", input="Hello.").content
    with client.audio.speech.with_streaming_response.create(model=SPEECH, voice="alloy", input="Hello.") as speech:
        assert b"".join(speech.iter_bytes())
    heard = client.audio.transcriptions.create(model=TRANSCRIBE, file=("a.wav", WAV))
    assert heard.text
    assert last_units(clouds)[Unit.INPUT_TOKENS] > 0
    events = list(client.audio.transcriptions.create(model=TRANSCRIBE, file=("a.wav", WAV), stream=True))
    assert events[-1].type == "transcript.text.done"
    client.audio.transcriptions.create(model="whisper-1", file=("a.wav", WAV))
    assert set(last_units(clouds)) == {Unit.AUDIO_INPUT_MILLISECONDS}
    # A text tells no usage: it is estimated in what the model is sold by.
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", WAV), response_format="text")
    record = clouds.rig.records()[-1]
    assert (record.status, [unit for unit, _count in record.units]) == (
        Status.ESTIMATED,
        [Unit.AUDIO_INPUT_MILLISECONDS],
    )
    assert client.audio.translations.create(model="whisper-1", file=("a.wav", WAV)).text


def test_moderations_and_models(clouds: Endpoints) -> None:
    client = clouds.client()
    assert client.moderations.create(input="Hello.").results[0].flagged is False
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


# -- errors, as the client maps them

ERRORS: list[tuple[str, Any, type[openai.APIStatusError], str]] = [
    (
        "no such key",
        lambda c: c.with_options(api_key="sk-nobody").models.list(),
        openai.AuthenticationError,
        "invalid_api_key",
    ),
    (
        "no such model",
        lambda c: c.chat.completions.create(model="gpt-9", messages=MESSAGES),
        openai.NotFoundError,
        "model_not_found",
    ),
    (
        "no such cloud",
        lambda c: c.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=on("moon")),
        openai.BadRequestError,
        "unknown_cloud",
    ),
    ("a cloud's own word", lambda c: c.chat.completions.create(model=MODEL, messages=[]), openai.BadRequestError, ""),
    (
        "a wrong member",
        lambda c: c.chat.completions.create(model=MODEL, messages=MESSAGES, n=0),
        openai.BadRequestError,
        "invalid_body",
    ),
    ("no such response", lambda c: c.responses.retrieve("resp_1"), openai.NotFoundError, "not_found"),
    ("no such file", lambda c: c.files.content("file-1"), openai.NotFoundError, ""),
    ("realtime", lambda c: c.get("/realtime/calls", cast_to=object), openai.InternalServerError, "not_offered"),
    ("no such path", lambda c: c.post("/fine_tunings/jobs", cast_to=object), openai.NotFoundError, "unknown_url"),
]


@pytest.mark.parametrize(("call", "expected", "code"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_errors(clouds: Endpoints, call: Any, expected: type[openai.APIStatusError], code: str) -> None:
    with pytest.raises(expected) as raised:
        call(clouds.client())
    assert code in (raised.value.code or "")
    assert raised.value.message
    assert raised.value.response.headers["x-clauseway-request-id"]


# -- retries: how often the client asks us, and how often we ask the clouds


class Counting(httpx.HTTPTransport):
    """A transport that notes each answer to the client, request by request."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self.statuses.append(response.status_code)
        return response


@pytest.mark.parametrize("outage", [429, 500, 503])
def test_the_client_does_not_multiply_our_attempts(rested_clouds: Endpoints, outage: int) -> None:
    """Where no cloud says when to come again."""
    for cloud in BOTH:
        for _ in range(3):
            rested_clouds.fault(cloud, kind="status", status=outage)
    transport = Counting()
    client = rested_clouds.client(max_retries=2, http_client=httpx.Client(transport=transport))
    expected = {429: openai.RateLimitError, 500: openai.InternalServerError, 503: openai.InternalServerError}[outage]
    with pytest.raises(expected) as raised:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert raised.value.status_code == {429: 429, 500: 502, 503: 503}[outage]
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert (len(transport.statuses), len(rested_clouds.asked("openai")), len(rested_clouds.asked("azure"))) == (1, 1, 1)


@pytest.mark.parametrize("passing", [{"status": 429}, {"status": 500}, {"status": 503}, {"status": 529}])
@pytest.mark.parametrize("stream", [False, True])
def test_the_client_comes_again_where_nobody_has(
    rested_clouds: Endpoints, passing: dict[str, int], stream: bool
) -> None:
    """The only deployment that may serve the request fails once: its own retry helps the client, as without us."""
    transport = Counting()
    client = rested_clouds.client(max_retries=2, http_client=httpx.Client(transport=transport))
    rested_clouds.fault("openai", kind="status", **passing)
    question: Any = {"model": MODEL, "messages": MESSAGES, "stream": stream, "extra_headers": on("openai")}
    answer = client.chat.completions.create(**question)
    assert list(answer) if stream else answer.choices
    assert transport.statuses[1:] == [200]


def test_the_client_comes_again_where_that_helps(rested_clouds: Endpoints) -> None:
    """Told by the clouds when to come again, it comes then."""
    transport = Counting()
    client = rested_clouds.client(max_retries=2, http_client=httpx.Client(transport=transport))
    for cloud in BOTH:
        rested_clouds.fault(cloud, kind="status", status=429, retry_after_ms=400)
    assert client.chat.completions.create(model=MODEL, messages=MESSAGES).choices
    assert transport.statuses == [429, 200]


def test_who_comes_when_told_is_not_refused_again(rested_clouds: Endpoints) -> None:
    """The clouds ask for less time than a tick of the gateway's clock."""
    question = {"model": MODEL, "messages": MESSAGES}
    with httpx.Client(headers={"authorization": f"Bearer {SECRET}"}, timeout=PATIENCE_S) as client:
        for _ in range(5):
            for cloud in BOTH:
                rested_clouds.fault(cloud, kind="status", status=503, retry_after_ms=1)
            statuses: list[int] = []
            while not statuses or statuses[-1] != 200:
                answer = client.post(f"{rested_clouds.base_url}/chat/completions", json=question)
                statuses.append(answer.status_code)
                if len(statuses) == 2 and answer.status_code != 200:
                    time.sleep(int(answer.headers["retry-after-ms"]) / 1000)
            # On a busy machine the time may have passed before the client asked at all.
            assert statuses in ([503, 200], [503, 503, 200])


def test_a_stream_that_breaks_raises(clouds: Endpoints) -> None:
    clouds.fault("openai", kind="cut-after-events", events=4)
    with pytest.raises(openai.APIError, match="stream broke"):
        list(clouds.client().chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    clouds.fault("openai", kind="cut-after-events", events=8)
    with pytest.raises(openai.APIError, match="stream broke"):
        list(clouds.client().responses.create(model=MODEL, input="Hello.", stream=True))
