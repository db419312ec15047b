"""Work that runs on at its cloud is metered once, at its own end, whatever else is asked or told of it meanwhile."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    PRODUCT,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    compact,
    request_bytes,
)
from gateway_stage import typed

from awaiting import eventually
from clauseway.gateway.plan import Epoch, RateLimit, Route
from clauseway.metering import Deployment, Status, Unit

SHORT_LIMITS = str(Path(__file__).with_name("short_limits.py"))
USAGE = {"input_tokens": 100, "output_tokens": 5000, "total_tokens": 5100}
QUEUED = {"id": "resp_1", "object": "response", "status": "queued", "output": []}
COMPLETED = {**QUEUED, "status": "completed", "usage": USAGE}
NOT_FOUND = b'{"error":{"message":"Nothing of that name.","type":"invalid_request_error"}}'


class Account:
    """A cloud that gives each call ("POST /v1/files", without its query) its answer; 404 to any other, and 500 to
    those that are `failing`. `asked` are the calls, in order. It answers once it `goes_on`; where it `streams`, it
    names a response at once, and then breaks off."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.failing: set[str] = set()
        self.streams = False
        self.goes_on = threading.Event()
        self.goes_on.set()

    async def __call__(self, connection: Connection, request: Received) -> None:
        call = b" ".join(request.head.split(b" ", 2)[:2]).decode().partition("?")[0]
        self.asked.append(call)
        answer = self.answers.get(call)
        if call in self.failing:
            connection.answer(500, NOT_FOUND)
        elif answer is None:
            connection.answer(404, NOT_FOUND)
        elif self.streams and b'"stream":true' in request.body:
            connection.begin_stream()
            connection.piece(typed("response.created", 0, response=answer))
            await asyncio.to_thread(self.goes_on.wait, PATIENCE_S)
            connection.drop()
        else:
            await asyncio.to_thread(self.goes_on.wait, PATIENCE_S)
            connection.answer(200, compact(answer))


class House:
    """A gateway before one account, and a client."""

    def __init__(self, rig: Rig, account: Account) -> None:
        self.rig = rig
        self.account = account
        self.client = httpx.Client(transport=ReadsBroken(), base_url=rig.url, headers=AUTHORIZED, timeout=PATIENCE_S)

    def make_response(self) -> None:
        """Make a response in the background that completes at once, as nobody knows here."""
        self.account.answers |= {"POST /v1/responses": QUEUED, "GET /v1/responses/resp_1": COMPLETED}
        asked = {"model": MODEL, "input": "Slowly.", "background": True}
        assert self.client.post("/v1/responses", json=asked).status_code == 200

    def used(self) -> list[dict[Unit, int]]:
        """The units of each record that has any."""
        return [dict(record.units) for record in self.rig.records() if record.units]


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    with Rig(tmp_path) as rig:
        account = Account()
        rig.cloud("azure", account)
        rig.start(launcher=getattr(request, "param", ()))
        yield House(rig, account)


MADE: list[tuple[str, dict[str, Any]]] = [
    ("/v1/files", {"files": {"file": b"x"}, "data": {"purpose": "user_data"}}),
    ("/v1/conversations", {"json": {}}),
    ("/v1/chat/completions", {"json": {"model": MODEL, "messages": MESSAGES, "store": True}}),
]


@pytest.mark.parametrize("house", [(SHORT_LIMITS,)], indirect=True)
def test_what_is_never_metered_is_not_waited_for(house: House) -> None:
    """A cloud may say of a file that it is in progress: no usage of it is to come."""
    for path, body in MADE:
        made = {"id": f"made_{path.rpartition('/')[2]}", "object": "thing", "status": "in_progress", "choices": []}
        house.account.answers[f"POST {path}"] = made
        assert house.client.post(path, **body).json() == made
    house.make_response()
    eventually(lambda: {Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000} in house.used())
    assert [call for call in house.account.asked if call.startswith("GET")] == ["GET /v1/responses/resp_1"]
    house.rig.stop()


# Questions about a response in the background as if it were something else, or could be ended | the cloud's requests.
BESIDE: dict[str, tuple[str, list[str]]] = {
    "as a batch": ("GET /v1/batches/resp_1", []),
    "as a batch to cancel": ("POST /v1/batches/resp_1/cancel", []),
    "as a file": ("DELETE /v1/files/resp_1", []),
    "as a conversation": ("GET /v1/conversations/resp_1", []),
    "as a stored chat": ("DELETE /v1/chat/completions/resp_1", []),
    "to cancel, where no server can": ("POST /v1/responses/resp_1/cancel", ["POST /v1/responses/resp_1/cancel"]),
}


@pytest.mark.parametrize(("call", "heard"), BESIDE.values(), ids=BESIDE)
def test_what_is_not_found_elsewhere_has_not_ended(house: House, call: str, heard: list[str]) -> None:
    house.make_response()
    house.account.asked.clear()
    method, path = call.split(" ")
    assert house.client.request(method, path).status_code == 404
    assert house.account.asked == heard
    assert house.used() == []
    assert house.client.get("/v1/responses/resp_1").json() == COMPLETED
    assert house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}]


@pytest.mark.parametrize("house", [(SHORT_LIMITS,)], indirect=True)
def test_a_client_that_leaves_before_it_knows_the_response_pays_for_it(house: House) -> None:
    """The cloud goes on without it: the response is metered, can be read, and can be deleted."""
    account = house.account
    account.answers |= {"POST /v1/responses": QUEUED, "DELETE /v1/responses/resp_1": {"id": "resp_1", "deleted": True}}
    account.goes_on.clear()
    with house.rig.socket() as client:
        asked = {"model": MODEL, "input": "Slowly.", "background": True}
        client.sendall(request_bytes(compact(asked), path="/v1/responses"))
        eventually(lambda: account.asked == ["POST /v1/responses"])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed, it says that it left
    assert house.client.get("/healthz").status_code == 200, "it has heard so"
    account.answers["GET /v1/responses/resp_1"] = COMPLETED
    account.goes_on.set()
    eventually(lambda: house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}])
    assert house.client.get("/v1/responses/resp_1").json() == COMPLETED
    assert house.client.delete("/v1/responses/resp_1").status_code == 200


def test_a_stream_names_its_response_before_there_is_output(house: House) -> None:
    """Else a client whose connection breaks while the model thinks could not come back for it."""
    account = house.account
    account.answers |= {"POST /v1/responses": QUEUED, "GET /v1/responses/resp_1": COMPLETED}
    account.streams = True
    account.goes_on.clear()
    asked = {"model": MODEL, "input": "Slowly.", "background": True, "stream": True}
    with house.client.stream("POST", "/v1/responses", json=asked) as answer:
        events = answer.iter_lines()
        assert next(events) == "event: response.created"
        account.goes_on.set()
        assert "stream_interrupted" in "".join(events)
    assert house.client.get("/v1/responses/resp_1").json() == COMPLETED
    assert house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}]


BODY = {"model": MODEL, "messages": [{"role": "user", "content": "x" * 200}]}
LINES, LINE_BYTES = 4, len(compact(BODY))
FILE_LINE = compact({"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": BODY}) + b"\n"


def counts(completed: object, total: object = LINES) -> dict[str, object]:
    return {"request_counts": {"total": total, "completed": completed, "failed": 0}}


OUTPUT = {"output_file_id": "file-out"}
# How a batch of four lines ends where no usage is reported | the lines whose input is charged, four bytes a token.
ENDED: list[tuple[str, dict[str, object], int]] = [
    ("completed", {**OUTPUT, **counts(4)}, 4),
    ("completed", {**OUTPUT, **counts(3)}, 3),
    ("completed", {}, 4),
    ("completed", counts(0), 0),
    ("cancelled", {**OUTPUT, **counts(3)}, 3),
    ("cancelled", {**OUTPUT, "request_counts": None}, 4),
    ("cancelled", {**OUTPUT, **counts("3")}, 4),
    ("cancelled", counts(0), 0),
    ("cancelled", {}, 0),
    ("expired", {**OUTPUT, **counts(1)}, 1),
    ("expired", {**OUTPUT, **counts(9)}, 4),
    ("failed", {}, 0),
]


@pytest.mark.parametrize(("status", "wanted", "charged"), ENDED)
def test_a_batch_without_usage_is_estimated_by_the_lines_that_were_answered(
    house: House, status: str, wanted: dict[str, object], charged: int
) -> None:
    batch: dict[str, Any] = {"id": "batch_1", "object": "batch"}
    house.account.answers |= {
        "POST /v1/files": {"id": "file-1", "object": "file"},
        "POST /v1/batches": {**batch, "status": "validating"},
        "GET /v1/batches/batch_1": {**batch, "status": status, **wanted},
    }
    file, purpose = {"file": ("b.jsonl", FILE_LINE * LINES)}, {"purpose": "batch"}
    assert house.client.post("/v1/files", files=file, data=purpose).status_code == 200
    asked = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert house.client.post("/v1/batches", json=asked).status_code == 200
    assert house.client.get("/v1/batches/batch_1").status_code == 200
    tokens = -(-charged * LINE_BYTES // 4)
    expected = [{Unit.INPUT_TOKENS: tokens, Unit.OUTPUT_TOKENS: 0}] if charged else []
    eventually(lambda: house.used() == expected)


BATCHED = "/v1/chat/completions"
# The account's words about the file with a batch's answers, 400 bytes long | the estimated tokens of output.
OUTPUT_FILES: list[tuple[str, dict[str, Any] | None, int]] = [
    (BATCHED, {"id": "file-out", "object": "file", "bytes": 400}, 100),
    (BATCHED, {"id": "file-out", "object": "file", "bytes": "many"}, 0),
    (BATCHED, None, 0),
    # Vectors are long, and no output.
    ("/v1/embeddings", {"id": "file-out", "object": "file", "bytes": 400}, 0),
]


@pytest.mark.parametrize(("endpoint", "file", "tokens"), OUTPUT_FILES)
def test_the_output_of_a_batch_without_usage_is_estimated_by_the_length_of_its_file(
    house: House, endpoint: str, file: dict[str, Any] | None, tokens: int
) -> None:
    batch = {"id": "batch_1", "object": "batch", "endpoint": endpoint}
    house.account.answers |= {
        "POST /v1/files": {"id": "file-1", "object": "file"},
        "POST /v1/batches": {**batch, "status": "validating"},
        "GET /v1/batches/batch_1": {**batch, "status": "completed", **OUTPUT},
        **({"GET /v1/files/file-out": file} if file is not None else {}),
    }
    if file is None:
        house.account.failing.add("GET /v1/files/file-out")
    upload, purpose = {"file": ("b.jsonl", FILE_LINE)}, {"purpose": "batch"}
    assert house.client.post("/v1/files", files=upload, data=purpose).status_code == 200
    asked = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert house.client.post("/v1/batches", json=asked).status_code == 200

    def is_metered() -> bool:
        assert house.client.get("/v1/batches/batch_1").status_code == 200
        return bool(house.used())

    eventually(is_metered)
    assert house.used() == [{Unit.INPUT_TOKENS: -(-LINE_BYTES // 4), Unit.OUTPUT_TOKENS: tokens}]
    assert {record.status for record in house.rig.records() if record.units} == {Status.ESTIMATED}
    times = house.account.asked.count("GET /v1/files/file-out")
    # A file that cannot be asked for is given up.
    assert 1 <= times <= 3 if endpoint == BATCHED else times == 0


SAID: list[dict[str, Any]] = [{"type": "message", "content": [{"type": "output_text", "text": "y" * 300}]}]


@pytest.mark.parametrize(("output", "tokens_out"), [([], 0), (SAID, -(-len(compact(SAID)) // 4))])
def test_a_response_that_is_incomplete_without_usage_is_estimated(
    house: House, output: list[dict[str, Any]], tokens_out: int
) -> None:
    house.make_response()
    house.account.answers["GET /v1/responses/resp_1"] = {**QUEUED, "status": "incomplete", "output": output}
    assert house.client.get("/v1/responses/resp_1").status_code == 200
    ((tokens, row),) = [(used[Unit.INPUT_TOKENS], used[Unit.OUTPUT_TOKENS]) for used in house.used()]
    assert (tokens > 0, row) == (True, tokens_out)


TOKENS_PER_MINUTE = 10_000
EMBEDDER = Deployment("azure-1", "azure", "openai", "eastus", "embedding", "embedder")
EMBED = {"model": "embedder", "input": "x"}
EMBED_LINE = compact({"custom_id": "c", "method": "POST", "url": "/v1/embeddings", "body": EMBED}) + b"\n"
BATCH: dict[str, Any] = {"id": "batch_1", "object": "batch"}
ENDED_BATCH = {**BATCH, "status": "completed", "output_file_id": "file-out", "usage": USAGE}


@pytest.fixture
def embedding_house(tmp_path: Path) -> Iterator[House]:
    """Two models on one account, and a batch of the second that has ended, as nobody knows here."""
    with Rig(tmp_path) as rig:
        account = Account()
        port = rig.cloud("azure", account).port
        routes = {f"openai|{PRODUCT}|direct": Route(candidates=((0, 0),))}
        routes["openai|embedding|direct"] = Route(candidates=((1, 0),))
        targets = (rig.target("azure", port), rig.target("azure", port, label=EMBEDDER))
        models = {MODEL: PRODUCT, "embedder": "embedding"}
        made = rig.plan(targets, models=models, epochs=(Epoch(begin_ns=0, routes=routes),))
        limit = RateLimit(id="l", whose="organisation acme", tokens_per_minute=TOKENS_PER_MINUTE)
        keys = tuple([msgspec.structs.replace(key, limits=(0,)) for key in made.keys])
        rig.start(msgspec.structs.replace(made, limits=(limit,), keys=keys))
        house = House(rig, account)
        account.answers |= {
            "POST /v1/files": {"id": "file-1", "object": "file"},
            "POST /v1/batches": {**BATCH, "status": "validating"},
            "GET /v1/batches/batch_1": ENDED_BATCH,
            "GET /v1/files/file-out/content": {"custom_id": "c"},
        }
        file, purpose = {"file": ("b.jsonl", EMBED_LINE)}, {"purpose": "batch"}
        assert house.client.post("/v1/files", files=file, data=purpose).status_code == 200
        asked = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}
        assert house.client.post("/v1/batches", json=asked).status_code == 200
        yield house


# The account's own list, where others use the account too.
PAGES: dict[str, list[dict[str, Any]]] = {"the batch": [ENDED_BATCH], "others alone": [{"id": "batch_2"}]}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_batch_that_a_list_tells_has_ended_is_metered_as_its_own_model(
    embedding_house: House, page: list[dict[str, Any]]
) -> None:
    """It was charged as the deployment's first model, or its answers were not found yet."""
    house = embedding_house
    house.account.answers["GET /v1/batches"] = {"object": "list", "data": page, "has_more": False}
    assert house.client.get("/v1/batches").json()["data"] == [ENDED_BATCH]
    assert house.client.get("/v1/files/file-out/content").json() == {"custom_id": "c"}
    entries = [(where.model, dict(record.units)) for record, _, where, _ in house.rig.entries() if record.units]
    assert entries == [("embedder", {Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000})]


def test_the_tokens_of_a_batch_count_toward_no_limit(embedding_house: House) -> None:
    house = embedding_house
    assert house.client.get("/v1/batches/batch_1").json() == ENDED_BATCH
    content = house.client.get("/v1/files/file-out/content")
    assert house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}]
    assert content.headers["x-ratelimit-remaining-tokens"] == str(TOKENS_PER_MINUTE)


def test_a_batch_that_its_cloud_does_not_know_for_a_while_is_on_the_list_again(embedding_house: House) -> None:
    house, answers = embedding_house, embedding_house.account.answers
    answers["GET /v1/batches"] = {"object": "list", "data": PAGES["others alone"], "has_more": False}
    ended = answers.pop("GET /v1/batches/batch_1")
    assert house.client.get("/v1/batches").json()["data"] == []
    answers["GET /v1/batches/batch_1"] = ended
    assert house.client.get("/v1/batches").json()["data"] == [ENDED_BATCH]
    assert house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}]


def test_a_list_is_told_although_the_end_of_a_batch_cannot_be_read(embedding_house: House) -> None:
    house = embedding_house
    house.account.answers["GET /v1/batches"] = {"object": "list", "data": [ENDED_BATCH], "has_more": False}
    del house.account.answers["GET /v1/batches/batch_1"]
    assert house.client.get("/v1/batches").json()["data"] == [ENDED_BATCH]


def test_a_batch_that_has_ended_when_it_is_made_is_metered(embedding_house: House) -> None:
    """The answer to its creation reports no usage that is read."""
    house = embedding_house
    ended = {**ENDED_BATCH, "id": "batch_2"}
    house.account.answers |= {"POST /v1/batches": ended, "GET /v1/batches/batch_2": ended}
    asked = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert house.client.post("/v1/batches", json=asked).json() == ended
    assert house.client.get("/v1/batches/batch_2").json() == ended
    assert house.used() == [{Unit.INPUT_TOKENS: 100, Unit.OUTPUT_TOKENS: 5000}]
