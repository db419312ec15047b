"""The table of operations: which request line asks for what, and what goes to the deployment."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.operations import BY_NAME, OPERATIONS, READY, UnknownPath, request_line_of
from clauseway.metering import Unit

# Request line → operation, identifier, model named by the path, path as it goes to a deployment's root.
LINES: list[tuple[str, str, str, str, str]] = [
    ("POST /v1/chat/completions", "chat", "", "", "/chat/completions"),
    ("POST /openai/v1/chat/completions", "chat", "", "", "/chat/completions"),
    ("POST /openai/v1/chat/completions?api-version=preview", "chat", "", "", "/chat/completions"),
    (
        "POST /openai/deployments/gpt-5.4/chat/completions?api-version=2024-10-21",
        "chat",
        "",
        "gpt-5.4",
        "/chat/completions",
    ),
    (
        "POST /openai/deployments/gpt%2D5.4/embeddings?api-version=2024-10-21",
        "embeddings",
        "",
        "gpt-5.4",
        "/embeddings",
    ),
    (
        "POST /openai/deployments/whisper/audio/transcriptions?api-version=2024-06-01",
        "audio.transcriptions",
        "",
        "whisper",
        "/audio/transcriptions",
    ),
    ("POST /openai/deployments/d3/images/generations", "images.generations", "", "d3", "/images/generations"),
    ("POST /openai/deployments/openai/gpt-5.4/chat/completions", "chat", "", "openai/gpt-5.4", "/chat/completions"),
    ("POST /openai/deployments/openai%2Fgpt-5.4/embeddings", "embeddings", "", "openai/gpt-5.4", "/embeddings"),
    ("POST /openai/deployments/a/chat/completions", "chat", "", "a", "/chat/completions"),
    ("POST /v1/responses", "responses", "", "", "/responses"),
    ("POST /openai/responses?api-version=2025-04-01-preview", "responses", "", "", "/responses"),
    ("GET /openai/files/file-1?api-version=2024-10-21", "files.retrieve", "file-1", "", "/files/file-1"),
    ("GET /v1/responses/resp_1", "responses.retrieve", "resp_1", "", "/responses/resp_1"),
    (
        "GET /v1/responses/resp_1?stream=true&starting_after=7",
        "responses.retrieve",
        "resp_1",
        "",
        "/responses/resp_1?stream=true&starting_after=7",
    ),
    ("DELETE /v1/responses/resp_1", "responses.delete", "resp_1", "", "/responses/resp_1"),
    ("POST /v1/responses/resp_1/cancel", "responses.cancel", "resp_1", "", "/responses/resp_1/cancel"),
    (
        "GET /openai/v1/responses/resp_1/input_items?limit=2&api-version=preview",
        "responses.input_items",
        "resp_1",
        "",
        "/responses/resp_1/input_items?limit=2",
    ),
    ("POST /v1/embeddings", "embeddings", "", "", "/embeddings"),
    ("POST /v1/images/generations", "images.generations", "", "", "/images/generations"),
    ("POST /v1/images/edits", "images.edits", "", "", "/images/edits"),
    ("POST /v1/images/variations", "images.variations", "", "", "/images/variations"),
    ("POST /v1/audio/speech", "audio.speech", "", "", "/audio/speech"),
    ("POST /v1/audio/transcriptions", "audio.transcriptions", "", "", "/audio/transcriptions"),
    ("POST /v1/audio/translations", "audio.translations", "", "", "/audio/translations"),
    ("POST /v1/moderations", "moderations", "", "", "/moderations"),
    ("POST /v1/files", "files.create", "", "", "/files"),
    ("GET /v1/files?purpose=batch", "files.list", "", "", "/files?purpose=batch"),
    ("GET /v1/files/file-1", "files.retrieve", "file-1", "", "/files/file-1"),
    ("DELETE /v1/files/file-1", "files.delete", "file-1", "", "/files/file-1"),
    ("GET /v1/files/file-1/content", "files.content", "file-1", "", "/files/file-1/content"),
    ("POST /v1/batches", "batches.create", "", "", "/batches"),
    ("GET /v1/batches?limit=2", "batches.list", "", "", "/batches?limit=2"),
    ("GET /v1/batches/batch_1", "batches.retrieve", "batch_1", "", "/batches/batch_1"),
    ("POST /v1/batches/batch_1/cancel", "batches.cancel", "batch_1", "", "/batches/batch_1/cancel"),
    ("POST /v1/responses/input_tokens", "responses.input_tokens", "", "", "/responses/input_tokens"),
    ("POST /v1/responses/compact?beta=true", "responses.compact", "", "", "/responses/compact?beta=true"),
    ("POST /v1/conversations", "conversations.create", "", "", "/conversations"),
    ("GET /v1/conversations/conv_1", "conversations.retrieve", "conv_1", "", "/conversations/conv_1"),
    ("POST /v1/conversations/conv_1", "conversations.update", "conv_1", "", "/conversations/conv_1"),
    ("DELETE /v1/conversations/conv_1", "conversations.delete", "conv_1", "", "/conversations/conv_1"),
    ("POST /v1/conversations/conv_1/items", "conversations.items.create", "conv_1", "", "/conversations/conv_1/items"),
    (
        "GET /v1/conversations/conv_1/items?limit=2",
        "conversations.items.list",
        "conv_1",
        "",
        "/conversations/conv_1/items?limit=2",
    ),
    (
        "GET /v1/conversations/conv_1/items/msg_1",
        "conversations.items.retrieve",
        "conv_1",
        "",
        "/conversations/conv_1/items/msg_1",
    ),
    (
        "DELETE /v1/conversations/conv_1/items/msg_1",
        "conversations.items.delete",
        "conv_1",
        "",
        "/conversations/conv_1/items/msg_1",
    ),
    ("POST /v1/completions", "completions", "", "", "/completions"),
    ("POST /openai/deployments/g/completions?api-version=2024-10-21", "completions", "", "g", "/completions"),
    ("GET /v1/chat/completions?limit=2", "chat.list", "", "", "/chat/completions?limit=2"),
    ("GET /v1/chat/completions/chatcmpl-1", "chat.retrieve", "chatcmpl-1", "", "/chat/completions/chatcmpl-1"),
    (
        "GET /v1/chat/completions/chatcmpl-1/messages",
        "chat.messages",
        "chatcmpl-1",
        "",
        "/chat/completions/chatcmpl-1/messages",
    ),
    ("POST /v1/chat/completions/chatcmpl-1", "chat.update", "chatcmpl-1", "", "/chat/completions/chatcmpl-1"),
    ("POST /v1/messages", "messages", "", "", "/messages"),
    ("POST /v1/messages?beta=true", "messages", "", "", "/messages?beta=true"),
    ("POST /anthropic/v1/messages", "messages", "", "", "/messages"),
    ("POST /v1/messages/count_tokens", "messages.count_tokens", "", "", "/messages/count_tokens"),
    ("POST /anthropic/v1/messages/count_tokens", "messages.count_tokens", "", "", "/messages/count_tokens"),
    ("DELETE /v1/chat/completions/chatcmpl-1", "chat.delete", "chatcmpl-1", "", "/chat/completions/chatcmpl-1"),
]


@pytest.mark.parametrize(("line", "name", "identifier", "model", "path"), LINES, ids=[line[0] for line in LINES])
def test_request_lines(line: str, name: str, identifier: str, model: str, path: str) -> None:
    method, url = line.encode().split(b" ")
    request_line = request_line_of(method, url)
    assert (request_line.operation.name, request_line.identifier, request_line.model) == (name, identifier, model)
    call = request_line.operation.call(
        request_line.identifier.encode(), request_line.query, b"", request_line.part.encode()
    )
    assert (call.method, call.path) == (method, path.encode())


# Query → what of it a cloud hears.
QUERIES = [
    ("include[]=a&include%5B%5D=b", "include[]=a&include%5B%5D=b"),
    ("metadata[a]=b&metadata%5Bc%5D=d", "metadata[a]=b&metadata%5Bc%5D=d"),
    ("before_id=a&after_id=b&include_obfuscation=false", "before_id=a&after_id=b&include_obfuscation=false"),
    ("api-version=1&limit=2&&", "limit=2"),
    # Azure reads the names of a query in any case.
    ("Api-Version=1", ""),
    ("api%2Dversion=1", ""),
    ("api%2dversion", ""),
    # Google's own, by which the answer has no usage, the body another type, and somebody else the bill.
    ("$fields=choices", ""),
    ("%24fields=choices&fields=choices", ""),
    ("$ct=text/plain&limit=2&alt=sse", "limit=2"),
    ("key=k&access_token=t&quotaUser=u&%24userProject=p", ""),
    ("X-Amz-Security-Token=t&Action=x", ""),
    ("Limit=2", ""),
    ("includes=a&metadata=b&metadatas[a]=b", ""),
]


@pytest.mark.parametrize(("query", "heard"), QUERIES, ids=[query[0] for query in QUERIES])
def test_a_cloud_hears_the_parameters_of_the_vendors_apis_alone(query: str, heard: str) -> None:
    """A cloud has parameters of its own, which change what it answers, to whom, and at whose cost."""
    for path in ("/v1/files", "/openai/files/file-1/content", "/v1/chat/completions"):
        assert request_line_of(b"GET", f"{path}?{query}".encode()).query == heard.encode()


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses/resp_1/cancel", "/openai/deployments/m/embeddings"])
def test_a_request_that_writes_is_changed_by_no_query(path: str) -> None:
    query = "model=m&stream=true&beta=true&include[]=a&purpose=batch&Api-Version=1&$fields=choices"
    assert request_line_of(b"POST", f"{path}?{query}".encode()).query == b"beta=true&include[]=a"


@given(st.text(st.characters(codec="ascii", exclude_characters="?# "), max_size=40))
def test_a_query_is_never_misread(query: str) -> None:
    heard = request_line_of(b"GET", b"/v1/files?" + query.encode()).query
    assert not heard or set(heard.split(b"&")) <= set(query.encode().split(b"&"))


def test_every_operation_stands_in_the_table_above() -> None:
    assert {line[1] for line in LINES} == {operation.name for operation in OPERATIONS}
    assert [operation.code for operation in OPERATIONS] == list(range(1, len(OPERATIONS) + 1)), "codes never change"


# Operation → the tokens of 8,000 bytes of a request, and of 8,000 bytes of its answer, where nobody reports them.
ESTIMATES = [
    ("chat", 2000, 2000),
    ("embeddings", 2000, 2000),
    ("images.generations", 2000, 8),
    ("images.edits", 8, 8),
    ("images.variations", 8, 8),
    ("audio.speech", 2000, 10),
    ("audio.transcriptions", 10, 2000),
    ("audio.translations", 10, 2000),
]


@pytest.mark.parametrize(("name", "of_request", "of_answer"), ESTIMATES)
def test_what_is_text_is_estimated_as_text(name: str, of_request: int, of_answer: int) -> None:
    """Speech that is sent as sound reports nothing: its text was estimated as if it were sound itself."""
    operation = BY_NAME[name]
    assert dict(operation.estimate(8000, 7)) == {Unit.INPUT_TOKENS: of_request, Unit.OUTPUT_TOKENS: 7}
    assert operation.tokens_answered(8000) == of_answer


def test_what_is_ready_is_what_would_be_found() -> None:
    for (path, method), request_line in READY.items():
        assert request_line_of(method, path).operation is request_line.operation


# Request line → the methods that the path takes; none where there is no such path.
NOWHERE = [
    ("PUT /v1/chat/completions", ("POST", "GET")),
    ("PUT /v1/responses/resp_1", ("GET", "DELETE")),
    ("POST /v1/responses/resp_1", ("GET", "DELETE")),
    ("GET /v1/batches/batch_1/cancel", ("POST",)),
    ("PATCH /v1/files", ("POST", "GET")),
    ("GET /openai/deployments/m/chat/completions", ("POST",)),
    ("GET /v1/completions", ("POST",)),
    ("GET /v1/responses/compact", ("POST",)),
    ("GET /v1/conversations", ("POST",)),
    ("GET /v1/conversations/conv_1/items/a/b", ()),
    ("POST /v1/chat/completions/", ()),
    ("POST /anthropic/v1/chat/completions", ()),
    ("POST /chat/completions", ()),
    ("POST /openai/deployments/m/files", ()),
    ("POST /openai/deployments/a/b/chat/completion", ()),
    ("POST /openai/deployments//chat/completions", ()),
    ("GET /v1/responses/a%2Fb", ()),
    ("GET /v1/responses/../files", ()),
    ("GET /v1/files/" + "x" * 201, ()),
]


@pytest.mark.parametrize(("line", "methods"), NOWHERE, ids=[line[0][:60] for line in NOWHERE])
def test_what_there_is_not(line: str, methods: tuple[str, ...]) -> None:
    method, url = line.encode().split(b" ")
    with pytest.raises(UnknownPath) as raised:
        request_line_of(method, url)
    assert tuple(name.decode() for name in raised.value.methods) == methods


@given(st.binary(max_size=80))
def test_no_identifier_can_lead_out_of_its_place(noise: bytes) -> None:
    """An identifier in the path at a cloud is letters, digits, `-` and `_`."""
    try:
        request_line = request_line_of(b"GET", b"/v1/files/" + noise)
    except UnknownPath:
        return
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,200}", request_line.identifier) or request_line.operation.name == "files.list"
