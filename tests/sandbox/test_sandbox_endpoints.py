"""Every endpoint but chat and Responses, by the vendor's own SDK; shapes are judged by the vendor's description."""

import base64
import io
import json
import wave
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from sandbox_rig import clouds, running_clouds
from sandbox_shapes import paths_of, problems_of, recorded_body

from clauseway.sandbox.signatures.credentials import OPENAI_API_KEY

KEY = {"authorization": f"Bearer {OPENAI_API_KEY}"}
WHAT: Any = [{"role": "user", "content": "which cloud may serve this"}]


@pytest.fixture
def client(clouds: Any) -> OpenAI:
    return OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=0)


def test_embeddings_are_the_same_as_floats_and_as_base64(clouds: Any, client: OpenAI) -> None:
    asked: Any = {"model": "text-embedding-3-small", "input": ["one two", "three"], "dimensions": 8}
    answer = client.embeddings.create(**asked)  # the SDK asks for base64
    plain = client.embeddings.create(**asked, encoding_format="float")
    assert [len(each.embedding) for each in answer.data] == [8, 8]
    for item, other in zip(answer.data, plain.data, strict=True):
        assert item.embedding == pytest.approx(other.embedding, abs=1e-8)
        assert sum(each * each for each in item.embedding) == pytest.approx(1)
    assert (plain.usage.prompt_tokens, plain.usage.total_tokens) == (3, 3)  # two words and one
    assert problems_of("CreateEmbeddingResponse", plain.to_dict()) == []
    raw = httpx.post(clouds.url("openai", "/v1/embeddings"), headers=KEY, json={**asked, "encoding_format": "base64"})
    assert paths_of(raw.json()) == paths_of(recorded_body("embeddings-dimensions"))


EMBEDDED = [
    # input, tokens
    ("one two three", 3),
    (["one", "two three"], 3),
    ([11, 12, 13, 14], 4),
    ([[11, 12], [13]], 3),
]


@pytest.mark.parametrize(("given", "tokens"), EMBEDDED)
def test_every_form_of_an_embeddings_input(client: OpenAI, given: Any, tokens: int) -> None:
    assert client.embeddings.create(model="text-embedding-3-large", input=given).usage.prompt_tokens == tokens


def test_an_unknown_embeddings_model_is_refused_as_recorded(clouds: Any) -> None:
    body = {"model": "text-embedding-4-ultra", "input": "x"}
    answer = httpx.post(clouds.url("openai", "/v1/embeddings"), headers=KEY, json=body)
    assert (answer.status_code, answer.json()) == (404, recorded_body("embeddings-unknown-model"))


def test_an_image_has_its_size_and_its_usage(client: OpenAI) -> None:
    answer = client.images.generate(
        model="gpt-image-1", prompt="a clause as a way", n=2, size="1536x1024", quality="low"
    )
    assert answer.data is not None
    picture = base64.b64decode(answer.data[0].b64_json or "")
    assert picture.startswith(b"\x89PNG")
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1536, 1024)
    assert answer.usage is not None
    # Five words of prompt, and twice 400 tokens for a picture of low quality and this size.
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (5, 800, 805)
    assert problems_of("ImagesResponse", answer.to_dict()) == []


def test_an_image_is_edited_varied_and_streamed(client: OpenAI) -> None:
    edited = client.images.edit(
        model="gpt-image-1", prompt="add a way", image=[("a.png", b"one"), ("b.png", b"two")], quality="high"
    )
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 2 * 85
    assert edited.usage.output_tokens == 4160
    varied = client.images.create_variation(image=("a.png", b"one"), n=3, response_format="b64_json")
    assert varied.data is not None
    assert (len(varied.data), varied.usage) == (3, None)
    (event,) = client.images.generate(model="gpt-image-1", prompt="a way", stream=True)
    assert event.type == "image_generation.completed"
    assert event.usage.output_tokens == 1056
    assert problems_of("ImageGenStreamEvent", event.to_dict()) == []


def test_speech_is_sound_of_the_right_length(client: OpenAI) -> None:
    speech = client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="five words are spoken here", response_format="wav"
    )
    with wave.open(io.BytesIO(speech.content)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(2.0)  # 0.4 s a word
    plain = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="one")
    assert plain.response.headers["content-type"] == "audio/mpeg"
    assert plain.content.startswith(b"\xff\xfb")


def test_speech_as_a_stream_tells_its_usage(clouds: Any) -> None:
    body = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "two words", "stream_format": "sse"}
    answer = httpx.post(clouds.url("openai", "/v1/audio/speech"), headers=KEY, json=body)
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [problems_of("CreateSpeechResponseStreamEvent", event) for event in events] == [[], []]
    assert events[-1]["usage"] == {"input_tokens": 2, "output_tokens": 20, "total_tokens": 22}


def test_a_transcription_in_every_form(client: OpenAI) -> None:
    sound = ("speech.wav", b"x" * 40_000)  # three seconds begun
    answer = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, prompt="two words")
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert answer.usage.input_tokens == 2 + 3 * 10
    assert answer.usage.output_tokens == len(answer.text.split())
    assert problems_of("CreateTranscriptionResponseJson", answer.to_dict()) == []
    whole = client.audio.transcriptions.create(model="whisper-1", file=sound)
    assert paths_of(whole.to_dict()) == paths_of(recorded_body("audio-transcription-basic"))
    verbose = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="verbose_json")
    assert (verbose.duration, verbose.text) == (3.0, answer.text)
    assert problems_of("CreateTranscriptionResponseVerboseJson", verbose.to_dict()) == []
    plain = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    assert plain == f"{answer.text}\n"
    srt = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:03,000\n")
    translated = client.audio.translations.create(model="whisper-1", file=sound)
    assert translated.text == answer.text
    *deltas, done = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, stream=True)
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == answer.text
    assert done.type == "transcript.text.done"
    assert done.usage is not None
    assert done.usage.output_tokens == answer.usage.output_tokens
    assert problems_of("CreateTranscriptionResponseStreamEvent", done.to_dict()) == []


def test_a_moderation_flags_violence_and_nothing_else(client: OpenAI) -> None:
    answer = client.moderations.create(input=["a clause", "violence"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence
    assert not answer.results[1].categories.hate
    assert problems_of("CreateModerationResponse", answer.to_dict()) == []


def test_a_moderation_names_what_it_looked_at(client: OpenAI) -> None:
    picture: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    (result,) = client.moderations.create(input=[{"type": "text", "text": "a clause"}, picture]).results
    applied = result.category_applied_input_types
    assert (applied.violence, applied.hate) == (["text", "image"], ["text"])


PROMPTS: Any = [
    # prompts, maximum, tokens in, tokens of each answer
    ("one two three", None, 3, [16]),
    (["one two", "three"], 4, 3, [4, 4]),
    ([11, 12, 13], 4, 3, [4]),
    ([[11, 12], [13]], 4, 3, [4, 4]),
]


@pytest.mark.parametrize(("prompt", "most", "tokens_in", "tokens_out"), PROMPTS)
def test_prompts_are_continued_whole_and_streamed(
    client: OpenAI, prompt: Any, most: int | None, tokens_in: int, tokens_out: list[int]
) -> None:
    asked: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": prompt, "max_tokens": most}
    whole = client.completions.create(**asked)
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (tokens_in, sum(tokens_out))
    assert whole.usage.total_tokens == tokens_in + sum(tokens_out)
    assert [(each.index, len(each.text.split())) for each in whole.choices] == list(enumerate(tokens_out))
    *events, last = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert (last.choices, last.usage) == ([], whole.usage)
    for choice in whole.choices:
        said = [event.choices[0] for event in events if event.choices[0].index == choice.index]
        assert "".join(each.text for each in said) == choice.text
        assert [each.finish_reason for each in said if each.finish_reason] == ["length"]
    silent = list(client.completions.create(**asked, stream=True))
    assert all("usage" not in event.model_fields_set and event.choices for event in silent)


def test_a_conversation_keeps_what_is_said_in_it(client: OpenAI) -> None:
    kept = client.conversations.create(items=WHAT, metadata={"topic": "clauses"})
    assert client.conversations.retrieve(kept.id) == kept
    answer = client.responses.create(model="gpt-5.5", conversation=kept.id, input="and when")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 5 + 2
    added = client.conversations.items.create(kept.id, items=WHAT)
    ids = [str(item.id) for item in client.conversations.items.list(kept.id, order="asc")]
    assert ids == [item.id for item in client.conversations.items.list(kept.id)][::-1]
    assert (len(ids), ids[2:]) == (4, [answer.output[0].id, added.data[0].id])
    middle: Any = client.conversations.items.retrieve(ids[1], conversation_id=kept.id)
    assert middle.content[0].text == "and when"
    assert client.conversations.items.delete(ids[1], conversation_id=kept.id).id == kept.id
    assert [item.id for item in client.conversations.items.list(kept.id)] == [ids[3], ids[2], ids[0]]
    with pytest.raises(openai.NotFoundError, match="not found in conversation"):
        client.conversations.items.retrieve(ids[1], conversation_id=kept.id)
    assert client.conversations.update(kept.id, metadata={"topic": "ways"}).metadata == {"topic": "ways"}
    assert client.conversations.delete(kept.id).deleted is True
    with pytest.raises(openai.NotFoundError, match="Conversation with id"):
        client.conversations.retrieve(kept.id)


def test_a_conversation_takes_twenty_items_at_once_and_may_begin_empty(client: OpenAI) -> None:
    empty = client.conversations.create()
    assert client.conversations.items.list(empty.id).data == []
    assert len(client.conversations.items.create(empty.id, items=WHAT * 20).data) == 20


def test_a_chat_is_kept_where_it_is_stored(client: OpenAI) -> None:
    asked: Any = {"model": "gpt-5.5", "messages": WHAT, "metadata": {"topic": "clauses"}}
    list(client.chat.completions.create(**asked, store=True, stream=True))
    whole = client.chat.completions.create(**asked, store=True)
    passing = client.chat.completions.create(**asked)
    oldest_first = [chat.id for chat in client.chat.completions.list()]
    assert [chat.id for chat in client.chat.completions.list(order="desc")] == oldest_first[::-1]
    assert (oldest_first[-1], passing.id in oldest_first) == (whole.id, False)
    streamed = client.chat.completions.retrieve(oldest_first[-2])
    assert (streamed.object, streamed.usage) == ("chat.completion", whole.usage)
    (message,) = client.chat.completions.messages.list(whole.id)
    assert (message.id, message.content) == (f"{whole.id}-0", WHAT[0]["content"])
    assert client.chat.completions.update(whole.id, metadata={"topic": "ways"}).to_dict()["metadata"] == {
        "topic": "ways"
    }
    assert client.chat.completions.delete(whole.id).deleted is True
    for identifier in (whole.id, passing.id):
        with pytest.raises(openai.NotFoundError, match="not found"):
            client.chat.completions.retrieve(identifier)


def test_a_file_is_uploaded_listed_read_and_deleted(client: OpenAI) -> None:
    content = b"\x00one\r\n--two\xff\r\n"
    uploaded = client.files.create(file=("notes.bin", content), purpose="user_data")
    assert (uploaded.bytes, uploaded.filename, uploaded.purpose) == (len(content), "notes.bin", "user_data")
    assert problems_of("OpenAIFile", uploaded.to_dict()) == []
    assert client.files.retrieve(uploaded.id) == uploaded
    assert client.files.content(uploaded.id).content == content
    listed = client.files.list(purpose="user_data")
    assert uploaded.id in [each.id for each in listed]
    assert problems_of("ListFilesResponse", listed.to_dict()) == []
    deleted = client.files.delete(uploaded.id)
    assert problems_of("DeleteFileResponse", deleted.to_dict()) == []
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.content(uploaded.id)


def test_files_are_listed_page_by_page(client: OpenAI) -> None:
    ids = [client.files.create(file=(f"{each}.txt", b"x"), purpose="vision").id for each in range(5)]
    assert [each.id for each in client.files.list(purpose="vision", limit=2)] == ids[::-1]


def line(custom_id: str, body: dict[str, Any], url: str = "/v1/chat/completions") -> bytes:
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body}).encode() + b"\n"


def test_a_batch_is_polled_to_its_files(clouds: Any, client: OpenAI) -> None:
    before = clouds.counts("openai")["completion_tokens"]
    lines = line("a", {"model": "gpt-5.5", "messages": WHAT, "max_completion_tokens": 7})
    lines += (
        line("b", {"model": "gpt-9", "messages": WHAT}) + b" \n" + line("c", {"model": "gpt-5.5", "messages": WHAT})
    )
    batch_input = client.files.create(file=("batch.jsonl", lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=batch_input.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.request_counts is not None
    assert batch.request_counts.total == 0, "before it is read"
    statuses = [batch.status] + [client.batches.retrieve(batch.id).status for _ in range(3)]
    assert statuses == ["validating", "in_progress", "completed", "completed"]
    batch = client.batches.retrieve(batch.id)
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (3, 2, 1)
    assert batch.output_file_id is not None
    assert batch.error_file_id is not None
    answered = [json.loads(each) for each in client.files.content(batch.output_file_id).text.splitlines()]
    refused = [json.loads(each) for each in client.files.content(batch.error_file_id).text.splitlines()]
    assert [each["custom_id"] for each in answered] == ["a", "c"]
    assert [each["response"]["status_code"] for each in answered + refused] == [200, 200, 404]
    bodies = [each["response"]["body"] for each in answered]
    assert len({body["id"] for body in bodies}) == 2
    assert bodies[0]["usage"]["completion_tokens"] == 7
    assert batch.usage is not None
    assert batch.usage.output_tokens == sum(body["usage"]["completion_tokens"] for body in bodies)
    assert batch.id in [each.id for each in client.batches.list()]
    # Its tokens count once, at the poll that finished it.
    assert clouds.counts("openai")["completion_tokens"] - before == batch.usage.output_tokens


def test_a_batch_that_is_wrong_fails_line_by_line(client: OpenAI) -> None:
    lines = b"{\n" + line("a", {}, "/v1/embeddings") + b'{"custom_id":"b"}\n[]\n' + b"[" * 100_000 + b"\n"
    lines += b'{"custom_id":"c","method":"POST","url":"/v1/chat/completions","body":5}\n'
    batch_input = client.files.create(file=("batch.jsonl", lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=batch_input.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = client.batches.retrieve(batch.id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(each.line, each.code) for each in batch.errors.data or ()] == [
        (1, "invalid_json_line"),
        (2, "mismatched_endpoint"),
        (3, "missing_required_parameter"),
        (4, "invalid_json_line"),
        (5, "invalid_json_line"),
        (6, "invalid_type"),
    ]
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_a_batch_is_cancelled(client: OpenAI) -> None:
    batch_input = client.files.create(file=("b.jsonl", line("a", {"model": "gpt-5.5"})), purpose="batch")
    batch = client.batches.create(
        input_file_id=batch_input.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.cancel(batch.id).status == "cancelling"
    assert client.batches.retrieve(batch.id).status == "cancelled"


MODELS_MISUSED = [
    # endpoint, body, status, how the message begins
    ("/v1/chat/completions", {"model": "whisper-1", "messages": WHAT}, 404, "This is not a chat model"),
    ("/v1/embeddings", {"model": "gpt-5.5", "input": "x"}, 403, "You are not allowed to generate embeddings"),
    ("/v1/audio/speech", {"model": "gpt-5.5", "input": "x", "voice": "alloy"}, 400, "Invalid value: 'gpt-5.5'."),
    ("/v1/embeddings", {"model": "text-embedding-3-small"}, 400, "Missing required parameter: 'input'."),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": 7}, 400, "Invalid type for 'input'"),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["x", ""]}, 400, "'$.input' is invalid."),
    ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "n": 2}, 400, "Only one choice is written: n is 1."),
    ("/v1/completions", {"model": "gpt-5.5", "prompt": "x"}, 404, "This is a chat model and not supported"),
    ("/v1/conversations", {"items": [WHAT[0]] * 21}, 400, "Invalid 'items': array too long."),
    ("/v1/responses", {"model": "gpt-5.5", "input": "x", "conversation": {}}, 400, "Missing required parameter"),
    ("/v1/images/generations", {"model": "gpt-image-1"}, 400, "Missing required parameter: 'prompt'."),
    ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "x", "n": 11}, 400, "Invalid 'n': integer above"),
    ("/v1/audio/transcriptions", {"model": "whisper-1"}, 400, "Invalid Content-Type header (application/json)"),
    ("/v1/files", {"purpose": "batch"}, 400, "Invalid Content-Type header (application/json)"),
    ("/v1/batches", {"input_file_id": "file-x"}, 400, "Missing required parameter: 'endpoint'."),
]


@pytest.mark.parametrize(("path", "body", "status", "message"), MODELS_MISUSED)
def test_what_is_asked_wrongly_is_refused(
    clouds: Any, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    answer = httpx.post(clouds.url("openai", path), headers=KEY, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(message)
    assert problems_of("ErrorResponse", answer.json()) == []


def test_models_are_described(client: OpenAI) -> None:
    assert problems_of("ListModelsResponse", client.models.list().to_dict()) == []
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_a_shape_that_is_wrong_is_found() -> None:
    assert problems_of("Batch", {"id": 7, "object": "batch"}) != []
