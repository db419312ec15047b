"""An object stays with the deployment that issued it, belongs to one project, and is metered once, at its end."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest
from endpoints_rig import RIVAL_SECRET, STORE, Endpoints, endpoints, plan
from gateway_rig import AUTHORIZED, MESSAGES, MODEL, OTHER_SECRET, PATIENCE_S, PRODUCT, SECRET, key

from awaiting import eventually
from clauseway.gateway.plan import Budget
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.request.resource_index import INDEX_FILE
from clauseway.metering import Status, Unit, UsageRecord

STALL_S = 5.0  # time enough for what is to happen within it, on a busy machine too
SHORT_LIMITS = str(Path(__file__).with_name("short_limits.py"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Nobody polls but the tests: the gateway itself would come after an hour."""
    settings = Settings(limits=Limits(pending_s=3600))
    keys = (key(OTHER_SECRET, "microsoft"),)
    with endpoints(tmp_path_factory.mktemp("gateway"), keys=keys, settings=settings) as running:
        yield running


def on(cloud: str) -> dict[str, str]:
    return {"x-clauseway-cloud": cloud}


def metered(clouds: Endpoints, since: int) -> list[UsageRecord]:
    """The records since then that hold usage."""
    return [record for record in clouds.rig.records()[since:] if record.units]


@pytest.mark.parametrize("cloud", ["openai", "azure"])
def test_a_response_is_asked_for_where_it_lies(clouds: Endpoints, cloud: str) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    made = client.responses.create(model=MODEL, input="Where is this?", extra_headers=on(cloud))
    assert client.responses.retrieve(made.id).output_text == made.output_text
    assert client.responses.input_items.list(made.id).data[0].type == "message"
    follow = client.responses.create(model=MODEL, input="And now?", previous_response_id=made.id)
    assert follow.previous_response_id == made.id
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match="made here"):
        client.responses.retrieve(made.id)
    asked = [(request["method"], request["path"].rpartition("/v1")[2]) for request in clouds.asked(cloud)]
    assert asked == [
        ("POST", "/responses"),
        ("GET", f"/responses/{made.id}"),
        ("GET", f"/responses/{made.id}/input_items"),
        ("POST", "/responses"),
        ("DELETE", f"/responses/{made.id}"),
    ]
    records = clouds.rig.records()[since:]
    assert len(records) == 5, "each call has its record"
    assert [record.request for record in metered(clouds, since)] == [records[0].request, records[3].request]


@pytest.mark.parametrize("cloud", ["openai", "azure"])
def test_a_background_response_is_metered_once_at_its_end(clouds: Endpoints, cloud: str) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    made = client.responses.create(model=MODEL, input="Slowly.", background=True, extra_headers=on(cloud))
    assert made.status == "queued"
    while made.status in ("queued", "in_progress"):
        assert not metered(clouds, since)
        made = client.responses.retrieve(made.id)
    for _ in range(3):
        client.responses.retrieve(made.id)
    (record,) = metered(clouds, since)
    assert made.usage is not None
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == made.usage.output_tokens
    assert (record.status, record.streamed) == (Status.COMPLETE, False)


def test_what_ends_later_is_metered_as_what_made_it(clouds: Endpoints) -> None:
    """One deployment has many models; whichever of them an identifier is asked with, the usage is its own model's."""
    client, since = clouds.client(), len(clouds.rig.records())
    made = client.responses.create(model=MODEL, input="Slowly.", background=True, extra_headers=on("openai"))
    while client.responses.retrieve(made.id).status != "completed":
        assert not metered(clouds, since)
    (entry,) = [entry for entry in clouds.rig.entries()[since:] if entry[0].units]
    assert (entry[2].product, entry[2].model) == (PRODUCT, MODEL)


def test_whoever_made_it_pays_for_it(clouds: Endpoints) -> None:
    """Two keys of one project that buy from different sellers: the maker's seller is the one who sold it."""
    since = len(clouds.rig.records())
    made = clouds.client(OTHER_SECRET).responses.create(model=MODEL, input="Mine.", background=True)
    while clouds.client().responses.retrieve(made.id).status != "completed":
        pass
    (payer,) = [buyer for record, buyer, _, _ in clouds.rig.entries()[since:] if record.units]
    assert (payer.key_id, payer.seller) == ("key-microsoft", "microsoft")


def test_a_background_stream_can_be_taken_up_again(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    stream = client.responses.create(model=MODEL, input="Slowly.", background=True, stream=True)
    events = list(stream)
    assert events[-1].type == "response.completed"
    made = events[-1].response
    again = list(client.responses.retrieve(made.id, stream=True))
    assert [event.type for event in again] == [event.type for event in events]
    assert client.responses.retrieve(made.id).output_text == made.output_text
    (record,) = metered(clouds, since)
    assert made.usage is not None
    assert (record.streamed, dict(record.units)[Unit.OUTPUT_TOKENS]) == (True, made.usage.output_tokens)


def test_a_background_stream_whose_client_leaves_is_metered_when_it_comes_back(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    clouds.fault("openai", kind="stall", seconds=STALL_S, events=6)
    with client.responses.create(model=MODEL, input="Slowly.", background=True, stream=True) as stream:
        made = next(event for event in stream if event.type == "response.created").response
    eventually(lambda: len(clouds.rig.records()) > since)
    assert not metered(clouds, since)
    whole = client.responses.retrieve(made.id)
    while whole.status in ("queued", "in_progress"):
        whole = client.responses.retrieve(made.id)
    (record,) = metered(clouds, since)
    assert whole.usage is not None
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == whole.usage.output_tokens


def test_a_cancelled_response_ends_without_usage(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    made = client.responses.create(model=MODEL, input="Slowly.", background=True)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"
    assert metered(clouds, since) == []
    assert len(clouds.rig.records()) == since + 3


def lines(*models: str) -> bytes:
    bodies = [{"model": model, "messages": [{"role": "user", "content": "hello"}]} for model in models]
    return b"".join(
        json.dumps({"custom_id": f"c{at}", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()
        + b"\n"
        for at, body in enumerate(bodies)
    )


def test_a_batch_from_its_file_to_its_answers(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    file = client.files.create(file=("b.jsonl", lines("gpt-5.4", "gpt-5.4")), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status != "completed":
        assert not metered(clouds, since)
        batch = client.batches.retrieve(batch.id)
    assert batch.output_file_id is not None
    answers = client.files.content(batch.output_file_id).text
    assert [json.loads(line)["custom_id"] for line in answers.splitlines()] == ["c0", "c1"]
    client.batches.retrieve(batch.id)
    (record,) = metered(clouds, since)
    usage = batch.to_dict()["usage"]
    assert isinstance(usage, dict)
    assert dict(record.units)[Unit.INPUT_TOKENS] == usage["input_tokens"]
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == usage["output_tokens"]
    assert {file.id, batch.output_file_id} <= {listed.id for listed in client.files.list()}
    assert batch.id in {listed.id for listed in client.batches.list()}


def test_a_file_is_there_until_it_is_deleted(clouds: Endpoints) -> None:
    client = clouds.client()
    content = bytes(range(256)) * 100
    file = client.files.create(file=("b.bin", content), purpose="user_data")
    assert client.files.content(file.id).content == content
    assert client.files.retrieve(file.id).bytes == len(content)
    client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert file.id not in {listed.id for listed in client.files.list()}


HIDDEN = [
    r'{"type":"input_file","\u0066ile_id":"%s"}',
    r'{"type":"input_file","\u0066\u0069\u006C\u0065\u005fid" : "%s"}',
    r'{"type":"input_image","file_id":"\u0066%s"}',
]


@pytest.mark.parametrize("part", HIDDEN)
def test_what_another_project_made_is_not_had_by_writing_its_name_otherwise(clouds: Endpoints, part: str) -> None:
    """JSON lets a letter be written as its number. Whoever does that here wants to be overlooked."""
    file = clouds.client().files.create(file=("secret", b"x"), purpose="user_data")
    clouds.forget_asked()
    assert file.id.startswith("f")
    named = part % (file.id[1:] if r"\u0066%s" in part else file.id)
    body = f'{{"model":"{MODEL}","input":[{{"role":"user","content":[{named}]}}]}}'
    headers = {"authorization": f"Bearer {RIVAL_SECRET}", "content-type": "application/json"}
    answer = httpx.post(f"{clouds.base_url}/responses", content=body.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert clouds.asked("openai") == [], "nothing of it reached a cloud"


GREETING: Any = [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]
KEPT: dict[str, Any] = {"metadata": {"file_id": "invoice-7"}}
SCHEMA: dict[str, Any] = {"type": "object", "default": {"file_id": "none", "file_ids": ["none"]}}
# Of an earlier answer, as agents without stored state send it again.
CITED: list[Any] = [
    {
        "type": "file_search_call",
        "id": "fs_1",
        "status": "completed",
        "queries": ["term"],
        "results": [{"file_id": "file-9", "filename": "deed.pdf", "score": 0.5, "text": "Until 2030."}],
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "Until 2030.",
                "annotations": [
                    {"type": "file_citation", "file_id": "file-9", "filename": "deed.pdf", "index": 0},
                    {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1"},
                ],
            }
        ],
    },
    {"role": "user", "content": "And then?"},
]
OWN_DATA: list[tuple[str, dict[str, Any]]] = [
    ("responses", {"input": "Hello.", **KEPT}),
    ("responses", {"input": CITED}),
    ("conversations", {"items": CITED}),
    ("responses", {"input": "Hello.", "tools": [{"type": "function", "name": "read", "parameters": SCHEMA}]}),
    (
        "responses",
        {"input": [{"type": "additional_tools", "tools": [{"type": "function", "name": "r", "parameters": SCHEMA}]}]},
    ),
    ("chat/completions", {"messages": GREETING, **KEPT}),
    (
        "chat/completions",
        {"messages": GREETING, "tools": [{"type": "function", "function": {"name": "read", "parameters": SCHEMA}}]},
    ),
]


@pytest.mark.parametrize(("path", "body"), OWN_DATA)
def test_a_file_id_in_the_clients_own_data_names_no_file(clouds: Endpoints, path: str, body: dict[str, Any]) -> None:
    """Clouds keep metadata, and hand schemas and what was cited before to the model: none of them reads a file."""
    answer = httpx.post(f"{clouds.base_url}/{path}", json={"model": MODEL, **body}, headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text


def test_a_file_is_not_overlooked_because_metadata_names_it_too(clouds: Endpoints) -> None:
    file = clouds.client().files.create(file=("secret", b"x"), purpose="user_data")
    clouds.forget_asked()
    content: Any = [{"type": "input_file", "file_id": file.id}]
    with pytest.raises(openai.NotFoundError, match=file.id):
        clouds.client(RIVAL_SECRET).responses.create(
            model=MODEL, input=[{"role": "user", "content": content}], metadata={"file_id": file.id}
        )
    assert clouds.asked("openai") == [], "nothing of it reached a cloud"


def searching(store: str) -> dict[str, Any]:
    return {"model": MODEL, "input": "Since when?", "tools": [{"type": "file_search", "vector_store_ids": [store]}]}


def test_a_vector_store_is_searched_by_the_projects_that_the_plan_names(clouds: Endpoints) -> None:
    """It lies on the operator's account, where whoever knows its name would read it."""
    clouds.forget_asked()
    assert clouds.client().responses.create(**searching(STORE)).output_text
    assert [attempt["status"] for attempt in clouds.asked("openai")] == [200]
    clouds.forget_asked()
    for secret, store in ((RIVAL_SECRET, STORE), (SECRET, "vs_other")):
        for name in ("vector_store_ids", r"vector\u005fstore_ids"):
            body = json.dumps(searching(store)).replace("vector_store_ids", name)
            headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
            answer = httpx.post(f"{clouds.base_url}/responses", content=body.encode(), headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
            assert store in answer.json()["error"]["message"]
    with pytest.raises(openai.BadRequestError, match="No deployment of"):
        clouds.client().responses.create(**searching(STORE), extra_headers=on("azure"))
    assert clouds.asked("openai") == clouds.asked("azure") == [], "nothing of it reached a cloud"


def referring(item: str, **more: object) -> list[Any]:
    return [{"type": "item_reference", "id": item, **more}, {"role": "user", "content": "And then?"}]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_item_of_an_answer_is_named_by_its_project_alone(clouds: Endpoints, streamed: bool) -> None:
    """And a request that names one goes to where it lies, whatever else would be preferred."""
    client, rival = clouds.client(), clouds.client(RIVAL_SECRET)
    made = client.responses.create(
        model=MODEL, input="Think.", reasoning={"effort": "high"}, stream=streamed, extra_headers=on("azure")
    )
    if streamed:
        *_, final = made
        made = final.response
    thought, message = made.output
    assert (thought.type, message.type) == ("reasoning", "message")
    forms: list[list[Any]] = [
        referring(message.id),
        referring(message.id, type=None),
        [{"id": message.id}, *referring(thought.id)],
        [{"type": "reasoning", "id": thought.id, "summary": []}, {"role": "user", "content": "And then?"}],
    ]
    for form in forms:
        clouds.forget_asked()
        assert client.responses.create(model=MODEL, input=form).output_text
        assert (len(clouds.asked("azure")), clouds.asked("openai")) == (1, [])
        for asked in (rival.responses.create, rival.responses.input_tokens.count):
            with pytest.raises(openai.NotFoundError, match=r"Item with id '.*' not found\. Items are not") as unknown:
                asked(model=MODEL, input=form)
            assert (unknown.value.param, unknown.value.code) == ("input", None)
        assert len(clouds.asked("azure")) == 1, "nothing of it reached a cloud"
    picture: Any = {"type": "image_generation_call", "id": message.id, "status": "completed", "result": "iVBO"}
    conversation = rival.conversations.create()
    for form in (*forms, [picture]):
        with pytest.raises(openai.NotFoundError, match="Items are not"):
            rival.conversations.items.create(conversation.id, items=form)
        with pytest.raises(openai.NotFoundError, match="Items are not"):
            rival.conversations.create(items=form)


def test_a_response_that_a_cache_is_compared_with_is_of_its_project(clouds: Endpoints) -> None:
    made = clouds.client().responses.create(model=MODEL, input="Once.", extra_headers=on("azure"))
    clouds.forget_asked()
    asked: Any = {"model": MODEL, "input": "Again.", "prompt_cache_options": {"comparison_response_id": made.id}}
    with pytest.raises(openai.NotFoundError, match=made.id):
        clouds.client(RIVAL_SECRET).responses.create(**asked)
    assert clouds.asked("openai") == clouds.asked("azure") == [], "nothing of it reached a cloud"
    assert clouds.client().responses.create(**asked).output_text
    assert (len(clouds.asked("azure")), clouds.asked("openai")) == (1, []), "it goes to where that lies"


def test_a_conversation_takes_the_items_of_its_projects_answers(clouds: Endpoints) -> None:
    client = clouds.client()
    made = client.responses.create(
        model=MODEL, input="Think.", reasoning={"effort": "high"}, extra_headers=on("openai")
    )
    thought: Any = {"type": "reasoning", "id": made.output[0].id, "summary": []}
    conversation = client.conversations.create(items=[thought])
    client.conversations.items.create(conversation.id, items=referring(made.output[1].id))


def test_an_item_that_a_request_brings_along_is_of_whoever_sends_it(clouds: Endpoints) -> None:
    """Agents send back what they were answered, with the identifiers that it had, whoever stored it."""
    items: list[Any] = [
        {"type": "message", "id": "msg_of_nobody", "role": "assistant", "content": "Since 1937."},
        {"id": "msg_of_nobody", "role": "user", "content": "And then?"},
        {"type": "reasoning", "id": "rs_of_nobody", "summary": [], "encrypted_content": "c2VhbGVk"},
        {"type": "function_call", "id": "fc_of_nobody", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": "fco_of_nobody", "call_id": "c", "output": "1"},
    ]
    assert clouds.client().responses.create(model=MODEL, input=items).output_text


def test_items_are_learned_wherever_an_answer_names_them(clouds: Endpoints) -> None:
    client = clouds.client()
    made = client.responses.create(model=MODEL, input="Where is this?", extra_headers=on("azure"))
    (asked,) = client.responses.input_items.list(made.id).data
    background = client.responses.create(model=MODEL, input="Later.", background=True, extra_headers=on("azure"))
    while background.status != "completed":
        background = client.responses.retrieve(background.id)
    for item in (asked, background.output[0]):
        assert client.responses.create(model=MODEL, input=referring(item.id)).output_text
    conversation = client.conversations.create(items=[{"role": "user", "content": "To be continued."}])
    (kept,) = client.conversations.items.list(conversation.id).data
    added = client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "It is."}]).data[0]
    for item in (kept, added):
        assert client.responses.create(model=MODEL, input=referring(item.id)).output_text


def test_an_item_that_was_not_stored_is_not_found(clouds: Endpoints) -> None:
    client = clouds.client()
    made = client.responses.create(model=MODEL, input="Forget it.", store=False)
    with pytest.raises(openai.NotFoundError, match=made.output[0].id):
        client.responses.create(model=MODEL, input=referring(made.output[0].id))


def test_what_another_project_made_does_not_exist(clouds: Endpoints) -> None:
    client, rival = clouds.client(), clouds.client(RIVAL_SECRET)
    response = client.responses.create(model=MODEL, input="Secret.")
    file = client.files.create(file=("b.jsonl", lines("gpt-5.4")), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    clouds.forget_asked()
    attempts: list[Any] = [
        lambda: rival.responses.retrieve(response.id),
        lambda: rival.responses.delete(response.id),
        lambda: rival.responses.cancel(response.id),
        lambda: rival.responses.input_items.list(response.id),
        lambda: rival.responses.create(model=MODEL, input="Go on.", conversation="conv_1"),
        lambda: rival.responses.create(
            model=MODEL,
            input=[{"role": "user", "content": [{"type": "input_file", "file_id": file.id}]}],
        ),
        lambda: rival.responses.create(
            model=MODEL,
            input="Read it.",
            tools=[{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file.id]}}],
        ),
        lambda: rival.files.retrieve(file.id),
        lambda: rival.files.content(file.id),
        lambda: rival.files.delete(file.id),
        lambda: rival.batches.retrieve(batch.id),
        lambda: rival.batches.cancel(batch.id),
        lambda: rival.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h"),
    ]
    for attempt in attempts:
        with pytest.raises(openai.NotFoundError):
            attempt()
    with pytest.raises(openai.BadRequestError) as unknown:
        rival.responses.create(model=MODEL, input="Go on.", previous_response_id=response.id)
    assert (unknown.value.code, unknown.value.param) == ("previous_response_not_found", "previous_response_id")
    assert list(rival.files.list()) == []
    assert list(rival.batches.list()) == []
    assert clouds.asked("openai") == [], "nothing of it reached a cloud"
    rival.files.create(file=("mine", b"x"), purpose="user_data")
    assert file.id not in {listed.id for listed in rival.files.list()}, "the same account, not the same project"


def test_a_project_finds_its_own_among_others(clouds: Endpoints) -> None:
    """One account, whose newest objects are all another project's: more of them than a page has."""
    client, rival = clouds.client(), clouds.client(RIVAL_SECRET)
    file = client.files.create(file=("b.jsonl", lines("gpt-5.4")), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    theirs = rival.files.create(file=("b.jsonl", lines("gpt-5.4")), purpose="batch")
    for _ in range(21):
        rival.batches.create(input_file_id=theirs.id, endpoint="/v1/chat/completions", completion_window="24h")
    page = client.batches.list(limit=1)
    assert [listed.id for listed in page.data] == [batch.id]


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_chat_is_read_changed_listed_and_deleted(clouds: Endpoints, stream: bool) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    asked = {"model": MODEL, "messages": MESSAGES, "store": True, "metadata": {"case": f"stored {stream}"}}
    if stream:
        identifier = list(client.chat.completions.create(**asked, stream=True))[-1].id
    else:
        identifier = client.chat.completions.create(**asked).id
    stored = client.chat.completions.retrieve(identifier)
    assert stored.choices[0].message.content
    messages = client.chat.completions.messages.list(identifier)
    assert [message.content for message in messages] == ["Which cloud is this?"]
    assert client.chat.completions.update(identifier, metadata={"case": "changed"}).metadata == {"case": "changed"}
    of_case = client.chat.completions.list(metadata={"case": "changed"})
    assert [chat.id for chat in of_case] == [identifier]
    assert not client.chat.completions.list(metadata={"case": "none"}).data
    with pytest.raises(openai.NotFoundError, match="made here"):
        clouds.client(RIVAL_SECRET).chat.completions.retrieve(identifier)
    assert not clouds.client(RIVAL_SECRET).chat.completions.list().data
    assert client.chat.completions.delete(identifier).deleted
    with pytest.raises(openai.NotFoundError, match="made here"):
        client.chat.completions.retrieve(identifier)
    assert not client.chat.completions.list(metadata={"case": "changed"}).data
    (record,) = metered(clouds, since)
    assert stored.usage is not None
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == stored.usage.completion_tokens


def test_stored_chats_are_listed_oldest_first_by_pages_and_by_model(clouds: Endpoints) -> None:
    client = clouds.client()
    made = [client.chat.completions.create(model=MODEL, messages=MESSAGES, store=True).id for _ in range(5)]
    assert [chat.id for chat in client.chat.completions.list(limit=2)] == made, "page by page, to the end"
    assert [chat.id for chat in client.chat.completions.list(order="desc", limit=3).data] == made[:1:-1]
    assert [chat.id for chat in client.chat.completions.list(after=made[2], model=MODEL)] == made[3:]
    assert not client.chat.completions.list(model="gpt-9").data
    for identifier in made:
        client.chat.completions.delete(identifier)


def test_a_chat_is_stored_only_where_it_can_be_deleted(clouds: Endpoints) -> None:
    """Azure has no page that says how."""
    client = clouds.client(default_headers=on("azure"))
    lacking = r"azure-chat: has no chat\.delete and no chat\.retrieve"
    with pytest.raises(openai.BadRequestError, match=lacking) as refused:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, store=True)
    assert refused.value.code == "unsupported_by_every_deployment"
    assert client.chat.completions.create(model=MODEL, messages=MESSAGES, store=False)


def test_a_file_pins_the_request_that_names_it(clouds: Endpoints) -> None:
    client = clouds.client()
    file = client.files.create(file=("a.pdf", b"%PDF-1.4"), purpose="user_data", extra_headers=on("azure"))
    clouds.forget_asked()
    content: Any = [{"type": "input_file", "file_id": file.id}, {"type": "input_text", "text": "What is it?"}]
    raw = client.responses.with_raw_response.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert raw.headers["x-clauseway-cloud"] == "azure"
    assert clouds.asked("openai") == []
    other = client.responses.create(model=MODEL, input="On the other cloud.", extra_headers=on("openai"))
    with pytest.raises(openai.BadRequestError, match="more than one deployment"):
        client.responses.create(
            model=MODEL, input=[{"role": "user", "content": content}], previous_response_id=other.id
        )


def test_a_pinned_request_never_goes_elsewhere(clouds: Endpoints) -> None:
    client = clouds.client()
    made = client.responses.create(model=MODEL, input="Stay.", extra_headers=on("openai"))
    clouds.fault("openai", kind="status", status=503)
    clouds.forget_asked()
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model=MODEL, input="Go on.", previous_response_id=made.id)
    assert (len(clouds.asked("openai")), clouds.asked("azure")) == (1, [])


BATCHED = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": MODEL}})
# Requests without a model: how each is asked for, and the endpoint of the cloud that may be busy alone.
WITHOUT_MODEL: dict[str, tuple[str, Callable[[Any, dict[str, str]], object]]] = {
    "an upload": ("/files", lambda client, _: client.files.create(file=("b.jsonl", BATCHED.encode()), purpose="batch")),
    "a file": ("/files", lambda client, made: client.files.retrieve(made["file"])),
    "a batch": (
        "/batches",
        lambda client, made: client.batches.create(
            input_file_id=made["file"], endpoint="/v1/chat/completions", completion_window="24h"
        ),
    ),
    "a stored response": ("/responses", lambda client, made: client.responses.retrieve(made["response"])),
    "a count": (
        "/responses/input_tokens",
        lambda client, _: client.responses.input_tokens.count(model=MODEL, input="How long is this?"),
    ),
}


Kept = tuple[Endpoints, dict[str, str]]


@contextmanager
def something_kept(home: Path) -> Iterator[Kept]:
    """Clouds that a test may make busy for a minute, and what lies on the first of them."""
    with endpoints(home) as clouds:
        client = clouds.client()
        file = client.files.create(file=("b.jsonl", BATCHED.encode()), purpose="batch")
        response = client.responses.create(model=MODEL, input="Kept.", extra_headers=on("openai"))
        yield clouds, {"file": file.id, "response": response.id}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One for all operations: none is left alone for another's sake."""
    with something_kept(tmp_path_factory.mktemp("busy")) as kept:
        yield kept


def chat_served_by(clouds: Endpoints) -> tuple[str, str]:
    """The cloud that answers a chat, and the attempts that it took."""
    headers = clouds.client().chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES).headers
    return headers["x-clauseway-cloud"], headers["x-clauseway-attempts"]


LIMITED: dict[str, Any] = {"kind": "status", "family": "rate_limit_exceeded", "retry_after_ms": 60_000, "count": None}


@pytest.mark.parametrize("what", WITHOUT_MODEL)
def test_a_model_is_served_while_what_no_model_does_is_limited(busy: Kept, what: str) -> None:
    clouds, made = busy
    endpoint, ask = WITHOUT_MODEL[what]
    clouds.fault("openai", endpoint=endpoint, **LIMITED)
    for attempts in ("1", "0"):
        with pytest.raises(openai.RateLimitError) as refused:
            ask(clouds.client(default_headers=on("openai")), made)
        assert refused.value.response.headers["x-clauseway-attempts"] == attempts, "it is left alone itself"
    clouds.clear_faults()
    assert chat_served_by(clouds) == ("openai", "1")


def test_what_no_model_does_is_answered_while_the_model_is_limited(tmp_path: Path) -> None:
    with something_kept(tmp_path) as (clouds, made):
        clouds.fault("openai", endpoint="/chat/completions", **LIMITED)
        assert [chat_served_by(clouds) for _ in range(2)] == [("azure", "2"), ("azure", "1")]
        for _, ask in WITHOUT_MODEL.values():
            ask(clouds.client(), made)


def test_what_no_model_does_heals_no_model(tmp_path: Path) -> None:
    """Whoever asks for a file between failures does not keep a broken model in the way."""
    with something_kept(tmp_path) as (clouds, made):
        clouds.fault("openai", endpoint="/chat/completions", kind="status", status=500, count=None)
        for _ in range(5):
            assert chat_served_by(clouds) == ("azure", "2")
            clouds.client().files.retrieve(made["file"])
        assert chat_served_by(clouds) == ("azure", "1")


def test_an_identifier_survives_kill_9_right_after_its_answer(tmp_path: Path) -> None:
    with endpoints(tmp_path) as clouds:
        made = []
        for _ in range(3):
            made.append(clouds.client().responses.create(model=MODEL, input="Durable?", background=True).id)
            clouds.rig.kill()
            clouds.rig.start(plan(clouds.rig, clouds.ports))
        for identifier in made:
            while clouds.client().responses.retrieve(identifier).status != "completed":
                pass
        clouds.rig.stop()
        assert len([record for record in clouds.rig.records() if record.units]) == 3


def test_what_is_pending_is_metered_once_however_often_the_process_is_killed(tmp_path: Path) -> None:
    """Clients poll while the gateway is killed again and again, at any moment between a claim and its record."""
    with endpoints(tmp_path) as clouds, ThreadPoolExecutor(8) as clients:
        client = clouds.client()
        made = [client.responses.create(model=MODEL, input="Durable?", background=True).id for _ in range(16)]
        for kill in range(3):
            polls = [clients.submit(client.responses.retrieve, response) for response in made]
            eventually(lambda polls=polls, kill=kill: sum(poll.done() for poll in polls) > 4 * kill)  # type: ignore[misc]
            clouds.rig.kill()
            for poll in polls:
                poll.exception()
            clouds.rig.start(plan(clouds.rig, clouds.ports))
            client = clouds.client()
        for identifier in made:
            while client.responses.retrieve(identifier).status != "completed":
                pass
        clouds.rig.stop()
        assert len([record for record in clouds.rig.records() if record.units]) == len(made)


def test_what_nobody_comes_back_for_is_metered_all_the_same(tmp_path: Path) -> None:
    with endpoints(tmp_path, launcher=(SHORT_LIMITS,)) as clouds:
        client = clouds.client()
        response = client.responses.create(model=MODEL, input="Bye.", background=True)
        file = client.files.create(file=("b.jsonl", lines("gpt-5.4")), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        gone = client.responses.create(model=MODEL, input="x" * 400, background=True)
        httpx.delete(f"{clouds.base_url}/responses/{gone.id}", headers=AUTHORIZED, timeout=PATIENCE_S)
        # As if the clock had been set back since.
        with closing(sqlite3.connect(clouds.rig.spool / INDEX_FILE)) as index:
            an_hour = index.execute("UPDATE issued SET created_ns = created_ns + 3600000000000 WHERE pending = 1")
            index.commit()
            assert an_hour.rowcount > 0

        def ends() -> list[UsageRecord]:
            return [record for record in clouds.rig.records() if record.units]

        eventually(lambda: len(ends()) == 3)
        assert client.responses.retrieve(response.id).status == "completed"
        assert client.batches.retrieve(batch.id).status == "completed"
        clouds.rig.stop()
        by_status = {status: [record for record in ends() if record.status is status] for status in Status}
        assert len(by_status[Status.COMPLETE]) == 2
        (estimate,) = by_status[Status.ESTIMATED]
        assert dict(estimate.units)[Unit.INPUT_TOKENS] > 100, "what cannot be found any more is estimated, and marked"
        assert all(buyer.key_id == "key-openai" for record, buyer, _, _ in clouds.rig.entries() if record.units)


def test_an_end_that_could_not_be_claimed_is_metered_later(tmp_path: Path) -> None:
    """And charged to the budget from which it was reserved."""
    secret, budget = "sk-of-a-budget", Budget(id="b", whose="organisation acme")
    keys = (msgspec.structs.replace(key(secret, "openai"), budgets=(0,)),)
    with endpoints(tmp_path, launcher=(SHORT_LIMITS,), keys=keys, budgets=(budget,)) as clouds:
        clouds.fault("openai", kind="stall", seconds=STALL_S, events=6)
        client = clouds.client(secret)
        stream = client.responses.create(model=MODEL, input="Slowly.", background=True, stream=True)
        assert next(stream).type == "response.created"
        with closing(sqlite3.connect(clouds.rig.spool / INDEX_FILE)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else writes until it is closed
            with pytest.raises(openai.APIError):
                list(stream)
        eventually(lambda: [record for record in clouds.rig.records() if record.units])
        (left,) = clouds.get("/clauseway/v1/limits", secret).json()["budgets"]
        clouds.rig.stop()
        (charge,) = [record.charge_picodollars for record in clouds.rig.records() if record.units]
        assert Decimal(left["amount"]) - Decimal(left["left"]) == Decimal(charge).scaleb(-12)


def test_what_a_stream_used_whose_identifier_could_not_be_written_is_recorded_once(tmp_path: Path) -> None:
    """Although its last event has come before anybody knew that."""
    with endpoints(tmp_path) as clouds:
        with closing(sqlite3.connect(clouds.rig.spool / INDEX_FILE)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(openai.InternalServerError):
                list(clouds.client().responses.create(model=MODEL, input="Quickly.", background=True, stream=True))
        clouds.rig.stop()
        (record,) = clouds.rig.records()
        assert dict(record.units)[Unit.OUTPUT_TOKENS] > 0
        assert "Traceback" not in clouds.rig.errors()


# -- conversations


def test_a_conversation_is_gone_on_from_where_it_lies(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    made = client.conversations.create(metadata={"topic": "clouds"}, items=[{"role": "user", "content": "One."}])
    assert (made.object, made.metadata) == ("conversation", {"topic": "clouds"})
    first = client.responses.create(model=MODEL, input="Two.", conversation=made.id)
    second = client.responses.create(model=MODEL, input="Three.", conversation={"id": made.id})
    assert (first.conversation.id, second.conversation.id) == (made.id, made.id)
    assert second.usage.input_tokens > first.usage.input_tokens > 1, "earlier turns are read again"
    said = [item for item in client.conversations.items.list(made.id, order="asc", limit=50) if item.type == "message"]
    assert [item.role for item in said] == ["user", "user", "assistant", "user", "assistant"]
    assert client.conversations.update(made.id, metadata={"topic": "more"}).metadata == {"topic": "more"}
    added = client.conversations.items.create(made.id, items=[{"role": "user", "content": "Four."}])
    item = client.conversations.items.retrieve(added.data[0].id, conversation_id=made.id)
    assert item.content[0].text == "Four."
    assert client.conversations.items.delete(item.id, conversation_id=made.id).id == made.id
    assert client.conversations.retrieve(made.id).id == made.id, "a part that is gone is not the whole"
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)
    records = metered(clouds, since)
    assert [dict(record.units)[Unit.INPUT_TOKENS] for record in records] == [
        first.usage.input_tokens,
        second.usage.input_tokens,
    ]
    assert {request["cloud"] for request in clouds.asked("openai")} == {"openai"}
    assert clouds.asked("azure") == []


def test_a_conversation_of_another_project_is_not_found(clouds: Endpoints) -> None:
    mine, rival = clouds.client().conversations.create(), clouds.client(RIVAL_SECRET)
    item = [{"role": "user", "content": "x"}]
    for ask in (
        lambda: rival.conversations.retrieve(mine.id),
        lambda: rival.conversations.update(mine.id, metadata={}),
        lambda: rival.conversations.delete(mine.id),
        lambda: rival.conversations.items.create(mine.id, items=item),
        lambda: rival.conversations.items.list(mine.id),
        lambda: rival.conversations.items.retrieve("msg_1", conversation_id=mine.id),
        lambda: rival.responses.create(model=MODEL, input="x", conversation=mine.id),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()  # type: ignore[no-untyped-call]
    assert clouds.client().conversations.retrieve(mine.id).id == mine.id


@pytest.mark.parametrize("part", ['{"type":"input_file","file_id":"%s"}', *HIDDEN[:1]])
def test_a_file_of_another_project_is_put_into_no_conversation(clouds: Endpoints, part: str) -> None:
    """A response that goes on from the conversation would read the file."""
    file = clouds.client().files.create(file=("secret", b"x"), purpose="user_data")
    mine = clouds.client(RIVAL_SECRET).conversations.create().id
    clouds.forget_asked()
    body = f'{{"items":[{{"type":"message","role":"user","content":[{part % file.id}]}}]}}'
    headers = {"authorization": f"Bearer {RIVAL_SECRET}", "content-type": "application/json"}
    for path in ("conversations", f"conversations/{mine}/items"):
        for written in (body.encode(), body.encode("utf-16")):
            answer = httpx.post(f"{clouds.base_url}/{path}", content=written, headers=headers)
            assert answer.status_code in (400, 404), answer.text
        answer = httpx.post(f"{clouds.base_url}/{path}", content=body.encode(), headers=headers)
        assert (answer.status_code, file.id in answer.text) == (404, True)
    asked = [attempt["path"] for attempt in clouds.asked("openai")]
    assert not [path for path in asked if "conversations" in path], "nothing of it reached a cloud"


def test_a_file_of_ones_own_is_put_into_a_conversation_where_it_lies(clouds: Endpoints) -> None:
    client = clouds.client()
    file = client.files.create(file=("own", b"x"), purpose="user_data")
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_file", "file_id": file.id}]}
    made = client.conversations.create(items=[item], metadata={"file_id": "invoice-7"})
    assert client.conversations.items.create(made.id, items=[item]).data
    elsewhere = client.files.create(file=("own", b"x"), purpose="user_data", extra_headers=on("azure"))
    item["content"][0]["file_id"] = elsewhere.id
    with pytest.raises(openai.BadRequestError, match="more than one deployment"):
        client.conversations.items.create(made.id, items=[item])
    with pytest.raises(openai.BadRequestError, match=r"has no conversations\.create"):
        client.conversations.create(items=[item])
    bare = httpx.post(f"{clouds.base_url}/conversations", headers=AUTHORIZED)
    assert bare.status_code == 200, "a conversation needs no body"


# Objects that a key's project did not make: the request | the client's message, param and code. Of files and
# conversations they are OpenAI's; of the rest, ours.
NO_SUCH_FILE = ("No such File object: file-1", "id", None)
NO_SUCH_CONVERSATION = ("Conversation with id 'conv_1' not found.", None, None)
OURS = "There is no {!r} that this key's project made here."
FILE_PART = [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]
ABSENT: dict[str, tuple[Any, tuple[str, str | None, str | None]]] = {
    "a file": (lambda c: c.files.retrieve("file-1"), NO_SUCH_FILE),
    "a file's content": (lambda c: c.files.content("file-1"), NO_SUCH_FILE),
    "a file to delete": (lambda c: c.files.delete("file-1"), NO_SUCH_FILE),
    "a conversation": (lambda c: c.conversations.retrieve("conv_1"), NO_SUCH_CONVERSATION),
    "a conversation's items": (lambda c: c.conversations.items.list("conv_1"), NO_SUCH_CONVERSATION),
    "a conversation to go on with": (
        lambda c: c.responses.create(model=MODEL, input="x", conversation="conv_1"),
        NO_SUCH_CONVERSATION,
    ),
    "a conversation to go on with, as an object": (
        lambda c: c.responses.create(model=MODEL, input="x", conversation={"id": "conv_1"}),
        NO_SUCH_CONVERSATION,
    ),
    "a file in a request": (
        lambda c: c.responses.create(model=MODEL, input=FILE_PART),
        (OURS.format("file-1"), None, "not_found"),
    ),
    "a file beside a conversation that is there": (
        lambda c: c.responses.create(model=MODEL, input=FILE_PART, conversation=c.conversations.create().id),
        (OURS.format("file-1"), None, "not_found"),
    ),
    "a batch's file": (
        lambda c: c.batches.create(input_file_id="file-1", endpoint="/v1/responses", completion_window="24h"),
        (OURS.format("file-1"), None, "not_found"),
    ),
    "a batch": (lambda c: c.batches.retrieve("batch_1"), (OURS.format("batch_1"), None, "not_found")),
    "a response": (lambda c: c.responses.retrieve("resp_1"), (OURS.format("resp_1"), None, "not_found")),
    "a stored chat": (lambda c: c.chat.completions.retrieve("chat_1"), (OURS.format("chat_1"), None, "not_found")),
}


@pytest.mark.parametrize(("ask", "expected"), ABSENT.values(), ids=ABSENT)
def test_an_unknown_identifier_is_answered_as_openai_answers(
    clouds: Endpoints, ask: Any, expected: tuple[str, str | None, str | None]
) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        ask(clouds.client())
    message, param, code = expected
    assert raised.value.response.json()["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


def test_a_conversation_goes_to_a_cloud_that_has_them_or_is_refused(clouds: Endpoints) -> None:
    client = clouds.client()
    with pytest.raises(openai.NotFoundError, match=r"offers conversations\.create"):
        client.conversations.create(extra_headers=on("azure"))
    made = client.conversations.create()
    with pytest.raises(openai.BadRequestError, match="what the request follows lies on openai"):
        client.responses.create(model=MODEL, input="x", conversation=made.id, extra_headers=on("azure"))


# -- counted and compacted


def test_input_is_counted_for_nothing_and_compacted_for_its_tokens(clouds: Endpoints) -> None:
    client, since = clouds.client(), len(clouds.rig.records())
    counted = client.responses.input_tokens.count(model=MODEL, input="One two three.")
    assert counted.input_tokens > 0
    made = client.responses.create(model=MODEL, input="One two three.")
    compacted = client.responses.compact(model=MODEL, previous_response_id=made.id)
    assert compacted.object == "response.compaction"
    output = [*compacted.model_dump()["output"], {"role": "user", "content": "4"}]
    again = client.responses.create(model=MODEL, input=output)
    units = [dict(record.units) for record in metered(clouds, since)]
    assert [(unit[Unit.INPUT_TOKENS], unit[Unit.OUTPUT_TOKENS]) for unit in units] == [
        (usage.input_tokens, usage.output_tokens) for usage in (made.usage, compacted.usage, again.usage)
    ]
    with pytest.raises(openai.BadRequestError, match=r"has no responses\.input_tokens"):
        client.responses.input_tokens.count(model=MODEL, input="x", extra_headers=on("azure"))


def test_pictures_are_edited_by_json_too(clouds: Endpoints) -> None:
    since = len(clouds.rig.records())
    body = {"model": "gpt-image-1", "prompt": "a cloud", "images": [{"image_url": "data:image/png;base64,AA=="}]}
    answer = httpx.post(f"{clouds.base_url}/images/edits", json=body, headers=AUTHORIZED, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    (record,) = metered(clouds, since)
    assert dict(record.units)[Unit.INPUT_TOKENS] == answer.json()["usage"]["input_tokens"]


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Endpoints]:
    """The gateway with an `answer_bytes` of 100,000."""
    with endpoints(tmp_path, launcher=(SHORT_LIMITS,)) as running:
        yield running


CONTENT = bytes(range(256)) * 4000


def test_a_files_content_may_be_longer_than_an_answer(short: Endpoints) -> None:
    client = short.client()
    file = client.files.create(file=("b.bin", CONTENT), purpose="user_data")
    for _ in range(8):
        assert client.files.content(file.id).content == CONTENT
    assert client.chat.completions.create(model=MODEL, messages=MESSAGES).choices, "no deployment is ejected"
    assert [record.status for record in short.rig.records()] == [Status.COMPLETE] * 10


def read_by_http_1_0(running: Endpoints, path: str) -> bytes:
    """Read an answer up to the end of its connection, as nginx does where nothing else is set."""
    head = "".join(f"{name}: {value}\r\n" for name, value in AUTHORIZED.items())
    received = bytearray()
    with running.rig.socket() as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n{head}\r\n".encode())
        while piece := connection.recv(1 << 16):
            received += piece
    return bytes(received)


def test_a_files_content_that_breaks_off_is_no_whole_file(short: Endpoints) -> None:
    client = short.client()
    file = client.files.create(file=("b.bin", CONTENT), purpose="user_data")
    short.fault("openai", kind="cut-at-byte", bytes=500_000, endpoint="/files")
    got = bytearray()

    def download() -> None:
        url = f"{short.base_url}/files/{file.id}/content"
        with httpx.stream("GET", url, headers=AUTHORIZED, timeout=PATIENCE_S) as answer:
            for piece in answer.iter_bytes():
                got.extend(piece)

    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        download()
    assert CONTENT.startswith(got), "and no error stands in it"
    short.fault("openai", kind="cut-at-byte", bytes=500_000, endpoint="/files")
    with pytest.raises(ConnectionResetError):
        read_by_http_1_0(short, f"/v1/files/{file.id}/content")
    assert len(got) > 100_000
    assert client.files.content(file.id).content == CONTENT
    assert read_by_http_1_0(short, f"/v1/files/{file.id}/content").endswith(b"\r\n\r\n" + CONTENT)
