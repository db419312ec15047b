"""Batches: each line of a file is decided like a request of its own; what it may cost is held until it has ended."""

import contextlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import openai
import pytest
from endpoints_rig import CLOUDS, EMBEDDING, RIVAL_SECRET, Endpoints, plan, sandbox_clouds
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    OTHER_SECRET,
    PATIENCE_S,
    PATIENT_GATEWAY,
    PRODUCT,
    REFUSAL,
    Rig,
    key,
    request_bytes,
)

from awaiting import eventually
from clauseway.app.customers.leasing import lease_server
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import seal
from clauseway.gateway.plan import Budget, Epoch, Lack, Plan, PlannedRetirement, RateLimit, Route
from clauseway.sandbox.signatures import credentials
from clauseway.storage import Control
from clauseway.storage.customers.leases import Lease, Leases, usd
from clauseway.storage.customers.tenants import BudgetRow, Tenants

SHORT_LIMITS = str(Path(__file__).with_name("short_limits.py"))
RETIRED = "gpt-5.4-2025-01-01"
INPUT_PRICE, OUTPUT_PRICE = 2_500_000, 15_000_000  # of both deployments, in picodollars
OUTPUT_MAX = 50
CONTEXT_MAX, BYTES_PER_TOKEN_MAX, LETTERS = 1_000, 8, 2_000
LACKING = {"openai": "predicted-output", "azure": "logprobs"}
BATCH = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


def line(model: str = MODEL, url: str = "/v1/chat/completions", method: str = "POST", **body: object) -> bytes:
    asked = {"model": model, "messages": [{"role": "user", "content": "Grüße"}], **body}
    return json.dumps({"custom_id": "c", "method": method, "url": url, "body": asked}).encode() + b"\n"


class House(Endpoints):
    """Two clouds, and a gateway before them with a budget that is leased."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.home = Home(root)
        self.control = Control.open(self.home.make().control)
        stack.callback(self.control.close)
        stack.enter_context(lease_server(self.home))
        super().__init__(stack.enter_context(Rig(root)), stack.enter_context(sandbox_clouds(*CLOUDS)))
        self.rig.spool = self.home.spools / "gateway"
        self.rig.spool.mkdir(parents=True)
        self.rig.launcher = PATIENT_GATEWAY
        self.set_budget(10**15)

    def set_budget(self, picodollars: int) -> None:
        row = BudgetRow(
            id="b", organisation="acme", period="total", amount=usd(picodollars), currency="USD", created_ns=1
        )
        Tenants(self.control).set_budget(row)

    def plan(self) -> Plan:
        """The model on both clouds, AWS closed to it; another seller may sell on OpenAI alone, nothing is left of a
        dated name."""
        made = plan(self.rig, self.ports, keys=(key(OTHER_SECRET, "microsoft"),))
        routes = dict(made.epochs[0].routes)
        mine, theirs = f"openai|{PRODUCT}|direct", f"microsoft|{PRODUCT}|direct"
        routes[mine] = Route(candidates=routes[mine].candidates, refusals=(REFUSAL,))
        routes[theirs] = Route(candidates=routes[theirs].candidates[:1])
        limit = RateLimit(id="l", whose="organisation acme", tokens_per_minute=10_000)
        keys = [
            msgspec.structs.replace(key, limits=(0,), budgets=(0,)) if key.organisation == "acme" else key
            for key in made.keys
        ]
        retired = [
            PlannedRetirement(name=RETIRED, surface=target.surface, begin_ns=0, message="Retired; use gpt-5.4.")
            for target in made.targets[:1]
        ]
        targets = [
            msgspec.structs.replace(target, lacks=(Lack(capability="batch", reason="no deployment for batches"),))
            if target.label.model == EMBEDDING
            else msgspec.structs.replace(
                target,
                lacks=(Lack(capability=LACKING[target.label.cloud], reason="for this test"),),
                context_tokens_max=CONTEXT_MAX,
                quota_tokens_per_minute=1_000,
            )
            for target in made.targets
        ]
        return msgspec.structs.replace(
            made,
            targets=tuple(targets),
            epochs=(Epoch(begin_ns=0, routes=routes),),
            keys=tuple(keys),
            limits=(limit,),
            budgets=(Budget(id="b", whose="organisation acme"),),
            leases=str(self.home.lease_socket),
            models={**made.models, RETIRED: PRODUCT},
            retirements=tuple(retired),
        )

    def start(self) -> None:
        self.rig.start(self.plan())

    def upload(self, *lines: bytes, secret: str = "", cloud: str = "") -> Any:
        headers = {"x-clauseway-cloud": cloud} if cloud else {}
        client = self.client(secret) if secret else self.client()
        return client.files.create(file=("b.jsonl", b"".join(lines)), purpose="batch", extra_headers=headers)

    def holds(self) -> list[Lease]:
        """The leases that no process holds."""
        return [lease for lease in Leases(self.control).open() if lease.pid == 0]

    @property
    def spent(self) -> int:
        (standing,) = Leases(self.control).standings(time.time_ns())
        return standing.spent

    def charged(self) -> int:
        return sum(record.charge_picodollars for record in self.rig.records())


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("house"), stack)
        house.start()
        yield house


@pytest.fixture
def house(started: House) -> House:
    started.clear_faults()
    started.forget_asked()
    return started


@pytest.mark.parametrize(("cloud", "name_there"), [("openai", MODEL), ("azure", "gpt-5-4")])
def test_from_a_file_to_its_answers(house: House, cloud: str, name_there: str) -> None:
    client = house.client()
    file = house.upload(line(), line(n=1), b"\r\n", line(), cloud=cloud)
    assert name_there in client.files.content(file.id).text
    batch = client.batches.create(input_file_id=file.id, **BATCH)
    while batch.status != "completed":
        batch = client.batches.retrieve(batch.id)
    assert (batch.request_counts.total, batch.request_counts.failed) == (3, 0)
    answers = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [answer["response"]["status_code"] for answer in answers] == [200] * 3
    paths = {(request["cloud"], request["path"].rpartition("/v1")[2]) for request in house.asked(cloud)}
    assert (cloud, "/batches") in paths


def test_a_file_goes_on_to_the_next_cloud(house: House) -> None:
    house.fault("openai", kind="status", status=503, endpoint="/files")
    client = house.client()
    raw = client.files.with_raw_response.create(file=("b.jsonl", line()), purpose="batch")
    assert (raw.headers["x-clauseway-cloud"], raw.headers["x-clauseway-attempts"]) == ("azure", "2")
    assert "gpt-5-4" in client.files.content(raw.parse().id).text


def test_a_line_of_any_place_keeps_the_file_to_who_can_serve_it(house: House) -> None:
    anywhere, on_azure = line(), line(prediction={"type": "content", "content": "x"})
    on_openai = line(logprobs=True)
    for lines, cloud in (
        ([anywhere, anywhere], "openai"),
        ([anywhere, on_azure], "azure"),
        ([on_azure, anywhere], "azure"),
        ([anywhere, on_openai, anywhere], "openai"),
    ):
        raw = house.client().files.with_raw_response.create(file=("b.jsonl", b"".join(lines)), purpose="batch")
        assert raw.headers["x-clauseway-cloud"] == cloud
        assert house.client().batches.create(input_file_id=raw.parse().id, **BATCH).id
    with pytest.raises(openai.BadRequestError, match=r"Line 3 .* files of their own"):
        house.upload(anywhere, on_azure, on_openai)


# lines → status, code, and what the message says
REFUSED: list[tuple[str, list[bytes], int, str | None, list[str]]] = [
    ("an unknown model", [line(), line("gpt-9")], 404, "model_not_found", ["Line 2 (model 'gpt-9')", "does not exist"]),
    ("no model", [line(""), line()], 400, "missing_required_parameter", ["Line 1:", "names no model"]),
    ("an unknown url", [line(url="/v1/audio/speech")], 400, "invalid_body", ["'/v1/audio/speech'", "/v1/responses"]),
    ("another method", [line(method="GET")], 400, "invalid_body", ["its method is 'GET'"]),
    ("no JSON", [line(), b"\r\n", b"{]\n"], 400, "invalid_body", ["Line 3: it is no request of a batch"]),
    ("no object", [b"[]\n"], 400, "invalid_body", ["Line 1: it is no request"]),
    ("no body", [b'{"method":"POST","url":"/v1/embeddings"}'], 400, "invalid_body", ["Line 1"]),
    ("a body that cannot be", [line(n=0)], 400, "invalid_body", ["Line 1", ">= 1"]),
    ("nothing", [b"\n\n"], 400, "invalid_body", ["holds no request"]),
    (
        "two deployments",
        [line(), line("gpt-image-1", "/v1/images/generations")],
        400,
        "unsupported_by_every_deployment",
        ["Line 2 (model 'gpt-image-1')", "files of their own"],
    ),
    (
        "two models of one deployment",
        [line(), line("omni-moderation-latest", "/v1/moderations", input="x")],
        400,
        "unsupported_by_every_deployment",
        ["Line 2 (model 'omni-moderation-latest')", "files of their own"],
    ),
    (
        "what lies elsewhere",
        [line(url="/v1/responses", input="x", previous_response_id="resp_1")],
        400,
        "previous_response_not_found",
        ["resp_1"],
    ),
    (
        "an item that no answer had",
        [line(url="/v1/responses", input=[{"type": "item_reference", "id": "msg_1"}], store=False)],
        404,
        None,
        ["Item with id 'msg_1' not found"],
    ),
    ("a chat that is to be stored", [line(store=True)], 400, "not_offered", ["Line 1", "Leave out store"]),
    (
        "a response that is to be stored",
        [line(url="/v1/responses", input="x", store=True)],
        400,
        "not_offered",
        ["Line 1", "Write store: false"],
    ),
    ("a chat over a store of Azure's", [line(data_sources=[{}])], 400, "not_offered", ["Line 1", "data_sources"]),
    (
        "a deployment without batches",
        [line(EMBEDDING, "/v1/embeddings", input="x")],
        400,
        "unsupported_by_every_deployment",
        ["lacks batch (no deployment for batches)"],
    ),
    ("many", [line(f"gpt-{at}") for at in range(9)], 404, "model_not_found", ["Line 5", "Later lines were not read."]),
]


@pytest.mark.parametrize(
    ("lines", "status", "code", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_nothing_is_uploaded_where_a_line_is_refused(
    house: House, lines: list[bytes], status: int, code: str | None, said: list[str]
) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        house.upload(*lines)
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert [part for part in said if part not in str(raised.value)] == []
    assert (house.asked("openai"), house.asked("azure")) == ([], [])


def test_a_refusal_cites_the_clause(house: House) -> None:
    with pytest.raises(openai.PermissionDeniedError) as raised:
        house.upload(line(), cloud="aws")
    assert raised.value.code == "forbidden_by_agreement"
    assert "Line 1 (model 'gpt-5.4'): A4 clause 3" in str(raised.value)
    assert raised.value.response.headers["x-clauseway-decision"] == "A4.azure-exclusive"


FORM = {**AUTHORIZED, "content-type": "multipart/form-data; boundary=b"}
PURPOSE = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
FILE = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a; b.jsonl"\r\n\r\n%b\r\n'


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (PURPOSE + FILE % line(), 200),
        (PURPOSE + FILE % line() + FILE % line(), 400),
        (PURPOSE + PURPOSE + FILE % line(), 400),
        (PURPOSE + FILE.replace(b'"file"', b'"file"; name="x"') % line(), 400),
        (PURPOSE + FILE.replace(b'"file"', b"file") % line(), 200),
        (PURPOSE + FILE % line() + FILE.replace(b'"file"', b"file") % line(), 400),
        (PURPOSE.replace(b"\r\n\r\n", b"\n\r\n\r\n") + FILE % line(), 400),
        (PURPOSE + FILE % (line() + b"\r\n--bx\r\n" + line()), 400),
        (PURPOSE, 400),
    ],
)
def test_a_form_is_read_in_one_way_or_not_at_all(house: House, form: bytes, status: int) -> None:
    back = httpx.post(f"{house.base_url}/files", content=form + b"--b--\r\n", headers=FORM, timeout=PATIENCE_S)
    assert back.status_code == status, back.text
    assert status == 200 or house.asked("openai") == []


def test_whoever_leaves_while_a_file_is_read_uploads_nothing(house: House) -> None:
    """And whoever comes meanwhile is served."""
    form = PURPOSE + FILE % (line() * 20_000) + b"--b--\r\n"
    headers = ("content-type: multipart/form-data; boundary=b",)
    with house.rig.socket() as client:
        client.sendall(request_bytes(form, *headers, path="/v1/files"))
        eventually(lambda: house.rig.counts()["open"] == 1)
        assert house.get("/healthz").status_code == 200
    eventually(lambda: house.rig.counts()["open"] == 0)
    assert house.asked("openai") == []


def test_only_what_was_decided_becomes_a_batch(house: House) -> None:
    client = house.client()
    other = client.files.create(file=("b.jsonl", line("gpt-9")), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="not uploaded here with purpose batch"):
        client.batches.create(input_file_id=other.id, **BATCH)
    with pytest.raises(openai.BadRequestError, match="names no file"):
        client.post("/batches", cast_to=object, body=BATCH)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("/v1/embeddings", "Line 1 of the file is for /v1/chat/completions, not for /v1/embeddings"),
        ("/v1/audio/speech", "its endpoint is '/v1/audio/speech'; batches are of /v1/chat/completions"),
        ("/v1/chat/completions", ""),
        ("/chat/completions", ""),  # as Azure's samples have it
        (None, ""),
    ],
)
def test_a_batch_is_of_what_its_lines_were_decided_for(house: House, endpoint: str | None, said: str) -> None:
    """Some servers run all lines at the endpoint of the batch, whatever the lines say."""
    client = house.client()
    file = client.files.create(file=("b.jsonl", line()), purpose="batch")
    house.forget_asked()
    body = {**BATCH, "input_file_id": file.id, "endpoint": endpoint}
    if said:
        with pytest.raises(openai.BadRequestError, match=re.escape(said)) as raised:
            client.post("/batches", cast_to=object, body=body)
        assert raised.value.param == "endpoint"
        assert house.asked("openai") == []
    else:
        with contextlib.suppress(openai.BadRequestError):  # the simulated cloud wants OpenAI's word
            client.post("/batches", cast_to=object, body=body)
        assert [asked["path"] for asked in house.asked("openai")] == ["/v1/batches"]


# Azure's, at the storage of the operator's account.
BLOBS: list[dict[str, object]] = [
    {"input_blob": "https://operator.blob.core.windows.net/in/secret.jsonl"},
    {"output_folder": {"url": "https://operator.blob.core.windows.net/out"}},
]


@pytest.mark.parametrize("blob", BLOBS, ids=["input_blob", "output_folder"])
@pytest.mark.parametrize("escaped", [False, True])
def test_a_batch_names_no_blob_of_the_operators(house: House, blob: dict[str, object], escaped: bool) -> None:
    """The cloud would read and write it with the operator's identity, and run lines that nobody decided."""
    file = house.upload(line())
    house.forget_asked()
    (name,) = blob
    body = json.dumps({**BATCH, "input_file_id": file.id, **blob})
    body = body.replace("put_", "put\\u005f") if escaped else body
    url, headers = f"{house.base_url}/batches", {**AUTHORIZED, "content-type": "application/json"}
    refused = httpx.post(url, content=body, headers=headers, timeout=PATIENCE_S)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "not_offered", name)
    assert [request for cloud in CLOUDS for request in house.asked(cloud)] == []
    made = httpx.post(url, json={**BATCH, "input_file_id": file.id, name: None}, headers=AUTHORIZED, timeout=PATIENCE_S)
    assert made.status_code == 200


def test_letters_that_are_written_as_their_numbers_make_no_request_longer(house: House) -> None:
    """Python's clients write all others so: in six bytes each, of which the text has two."""
    written = line(messages=[{"role": "user", "content": "я" * LETTERS}])
    assert len(written) > 6 * LETTERS > BYTES_PER_TOKEN_MAX * CONTEXT_MAX
    assert house.client().batches.create(input_file_id=house.upload(written).id, **BATCH).id


def test_a_batch_is_decided_again_for_who_makes_it(house: House) -> None:
    """The other seller of the same project may not sell on Azure, where the file lies."""
    file = house.upload(line(), cloud="azure")
    with pytest.raises(openai.APIStatusError, match="Line 1 of the file") as raised:
        house.client(OTHER_SECRET).batches.create(input_file_id=file.id, **BATCH)
    assert raised.value.status_code == 404
    assert [request["path"] for request in house.asked("azure") if "batches" in request["path"]] == []


# -- lists


class Made(NamedTuple):
    """Batches that one project made on two accounts, the newest first, while another used the same accounts."""

    house: House
    files: list[str]
    batches: list[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with ExitStack() as stack:
        house = House(tmp_path_factory.mktemp("lists"), stack)
        house.start()
        files, batches = [], []
        for at in range(6):
            cloud = CLOUDS[at % 2]
            house.upload(line(), secret=RIVAL_SECRET, cloud=cloud)
            files.append(house.upload(line(), cloud=cloud).id)
            batches.append(house.client().batches.create(input_file_id=files[-1], **BATCH).id)
        house.client().files.create(file=("a.pdf", b"%PDF"), purpose="user_data", extra_headers=on("azure"))
        yield Made(house, files[::-1], batches[::-1])


def on(cloud: str) -> dict[str, str]:
    return {"x-clauseway-cloud": cloud}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_list_of_two_clouds_is_one_list(made: Made, limit: int) -> None:
    """As the SDK pages through it."""
    client = made.house.client()
    assert [batch.id for batch in client.batches.list(limit=limit)] == made.batches
    assert [file.id for file in client.files.list(limit=limit, purpose="batch")] == made.files
    assert [file.id for file in client.files.list(limit=limit, purpose="batch", order="asc")] == made.files[::-1]
    assert len(list(client.files.list(limit=limit))) == 7


def test_a_page_asks_each_cloud_once(made: Made) -> None:
    made.house.forget_asked()
    page = made.house.client().batches.list(limit=3)
    assert (page.has_more, len(page.data), page.first_id, page.last_id) == (
        True,
        3,
        made.batches[0],
        made.batches[2],
    )
    assert [len(made.house.asked(cloud)) for cloud in CLOUDS] == [1, 1]
    records = [record for record in made.house.rig.records()[-2:] if record.units]
    assert records == [], "a list is not metered"


def test_an_object_is_told_as_its_cloud_tells_it(made: Made) -> None:
    def get(path: str, **headers: str) -> httpx.Response:
        return httpx.get(made.house.base_url + path, headers={**AUTHORIZED, **headers}, timeout=PATIENCE_S)

    merged = get("/files?purpose=batch").content
    for cloud in CLOUDS:
        alone = msgspec.json.decode(get("/files?purpose=batch", **on(cloud)).content, type=dict[str, msgspec.Raw])
        objects = msgspec.json.decode(alone["data"], type=list[msgspec.Raw])
        assert len(objects) == 3
        assert all(bytes(object_) in merged for object_ in objects)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit is a number from 1 to 100"),
        ("limit=101", "limit is a number from 1 to 100"),
        ("limit=x", "limit is a number"),
        ("order=up", "order is asc or desc"),
        ("after=batch_9", "no 'batch_9' that this key's project made"),
    ],
)
def test_what_no_page_can_be_is_refused(made: Made, query: str, said: str) -> None:
    back = made.house.get(f"/v1/batches?{query}")
    assert back.status_code in (400, 404)
    assert said in back.json()["error"]["message"]


def test_a_part_is_not_told_as_the_whole(made: Made) -> None:
    made.house.fault("azure", kind="status", status=503, endpoint="/files", count=9)
    try:
        back = made.house.get("/v1/files")
    finally:
        made.house.clear_faults()
    assert (back.status_code, back.json()["error"]["code"]) == (503, "clouds_unavailable")
    assert "azure (deployment azure-chat) did not answer" in back.json()["error"]["message"]
    assert back.headers["x-should-retry"] == "true"  # as of any request with a single attempt


def test_a_list_says_when_its_cloud_may_be_asked_again(made: Made) -> None:
    made.house.fault("azure", kind="status", status=429, retry_after_ms=700, endpoint="/files", count=9)
    try:
        back = made.house.get("/v1/files")
    finally:
        made.house.clear_faults()
    assert (back.status_code, back.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert back.headers["x-should-retry"] == "true"
    (second,) = back.headers.get_list("retry-after")
    assert 1 <= int(second) <= 2  # whole seconds, and none too few
    eventually(lambda: made.house.get("/v1/files").status_code == 200)


def test_what_a_cloud_does_not_know_any_more_is_left_out(made: Made) -> None:
    """Deleted behind our back: the page is filled with what comes next."""
    house, (newest, *rest) = made.house, made.files
    url = f"http://127.0.0.1:{house.ports['azure']}/openai/v1/files/{newest}"
    assert httpx.delete(url, headers={"api-key": credentials.AZURE_API_KEY}).status_code == 200
    page = house.client().files.list(limit=2, purpose="batch")
    assert [item.id for item in page.data] == rest[:2]
    assert [file.id for file in house.client().files.list(limit=2, purpose="batch")] == rest


# -- what is held


def worst(lines: int) -> int:
    # A letter that is written as its number counts as the bytes of the letter.
    body = len(json.dumps(json.loads(line(max_completion_tokens=OUTPUT_MAX))["body"], ensure_ascii=False).encode())
    return lines * (body * INPUT_PRICE + OUTPUT_MAX * OUTPUT_PRICE)


def small(count: int) -> list[bytes]:
    return [line(max_completion_tokens=OUTPUT_MAX)] * count


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        house = House(tmp_path, stack)
        house.start()
        yield house


def test_what_it_may_cost_is_held_until_it_has_ended(fresh: House) -> None:
    """Or refused, where a budget cannot bear it. No limit by the minute stands in its way, or is used up by it."""
    client, lines = fresh.client(), 100
    file = fresh.upload(*small(lines))
    fresh.set_budget(worst(lines) - 1)
    with pytest.raises(openai.RateLimitError) as raised:
        client.batches.create(input_file_id=file.id, **BATCH)
    assert raised.value.code == "insufficient_quota"
    assert [request["path"] for request in fresh.asked("openai") if "batches" in request["path"]] == []
    fresh.set_budget(worst(lines))
    eventually(lambda: not refuses(client, file.id))
    eventually(lambda: [lease.leased for lease in fresh.holds()] == [worst(lines)])
    (batch,) = client.batches.list().data
    assert fails(client), "the budget is all held"
    while batch.status != "completed":
        batch = client.batches.retrieve(batch.id)
    eventually(lambda: fresh.holds() == [])
    assert fresh.spent == fresh.charged() > 0
    eventually(lambda: not fails(client))
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, max_completion_tokens=1)
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) > 9_000
    assert raw.headers["x-clauseway-cloud"] == CLOUDS[0], "and its model has its quota still"


def refuses(client: Any, file: str) -> bool:
    try:
        client.batches.create(input_file_id=file, **BATCH)
    except openai.RateLimitError:
        return True
    return False


def fails(client: Any) -> bool:
    try:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=1)
    except openai.RateLimitError:
        return True
    return False


def test_a_batch_is_decided_again_on_its_day(fresh: House) -> None:
    """Between the upload and the batch, Azure is closed."""
    file = fresh.upload(line(), cloud="azure")
    fresh.rig.stop()
    made = fresh.plan()
    route = f"openai|{PRODUCT}|direct"
    closed = Route(
        candidates=made.epochs[0].routes[route].candidates[:1],
        refusals=(msgspec.structs.replace(REFUSAL, cloud="azure"),),
    )
    today = Epoch(begin_ns=time.time_ns(), routes={**made.epochs[0].routes, route: closed})
    fresh.rig.start(msgspec.structs.replace(made, epochs=(*made.epochs, today)))
    with pytest.raises(openai.PermissionDeniedError, match="Line 1 of the file") as raised:
        fresh.client().batches.create(input_file_id=file.id, **BATCH)
    assert "A4 clause 3" in str(raised.value)


def test_a_batch_is_decided_again_for_what_each_of_its_lines_needs(fresh: House) -> None:
    """Azure could do what one line needs when the file was uploaded, and cannot any more."""
    needy = line(prediction={"type": "content", "content": "x"})
    files = [fresh.upload(*lines, cloud="azure") for lines in ((needy, line()), (line(), needy))]
    fresh.rig.stop()
    made = fresh.plan()
    lack = Lack(capability=LACKING["openai"], reason="since today")
    targets = tuple([msgspec.structs.replace(target, lacks=(*target.lacks, lack)) for target in made.targets])
    fresh.rig.start(msgspec.structs.replace(made, targets=targets))
    for file in files:
        with pytest.raises(openai.BadRequestError, match="predicted-output"):
            fresh.client().batches.create(input_file_id=file.id, **BATCH)


def test_a_batch_is_held_at_the_higher_price_of_its_two_days(fresh: House) -> None:
    """Of the upload and of its own: OpenAI's has doubled between them, Azure's is half."""
    files = [fresh.upload(*small(3), cloud=cloud) for cloud in CLOUDS]
    fresh.rig.stop()
    made = fresh.plan()
    changed = {"openai": (2 * INPUT_PRICE, 2 * OUTPUT_PRICE), "azure": (INPUT_PRICE // 2, OUTPUT_PRICE // 2)}
    targets = [
        msgspec.structs.replace(target, input_price=own, output_price=output)
        for target in made.targets
        for own, output in [changed[target.label.cloud]]
    ]
    fresh.rig.start(msgspec.structs.replace(made, targets=tuple(targets)))
    for file in files:
        fresh.client().batches.create(input_file_id=file.id, **BATCH)
    eventually(lambda: sorted(lease.leased for lease in fresh.holds()) == [worst(3), 2 * worst(3)])


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_what_is_held_outlives_the_process(fresh: House, ends: str) -> None:
    batch = fresh.client().batches.create(input_file_id=fresh.upload(*small(3)).id, **BATCH)
    eventually(fresh.holds)
    (fresh.rig.kill if ends == "killed" else fresh.rig.stop)()
    seal(fresh.home)
    assert [lease.leased for lease in fresh.holds()] == [worst(3)]
    assert fresh.spent == 0
    # It is not reserved a second time: the budget would not bear it.
    fresh.set_budget(worst(3))
    if ends == "killed":
        fresh.rig.start(fresh.plan(), launcher=(SHORT_LIMITS,))  # nobody comes back for it: the gateway does
    else:
        fresh.start()
        while fresh.client().batches.retrieve(batch.id).status != "completed":
            pass
    eventually(lambda: fresh.holds() == [])
    fresh.rig.kill()
    seal(fresh.home)
    assert fresh.spent == fresh.charged() > 0, "and what it came to is spent once, however the process ends"
