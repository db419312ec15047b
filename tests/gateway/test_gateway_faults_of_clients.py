"""A client's fault is a client's: it reaches that client in the cloud's own words, moves nobody else's traffic and asks
no second cloud. A deployment's fault stays with one of its models."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    DONE_EVENT,
    EJECTING_GATEWAY,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    PROBING_GATEWAY,
    PRODUCT,
    Behaviour,
    Connection,
    Received,
    Rig,
    chunk_event,
    key,
    status,
)
from gateway_stage import (
    CALLS,
    RESPONSE_DELTAS,
    RESPONSE_END,
    RESPONSE_PREAMBLE,
    RESPONSE_USAGE,
    Call,
    Stage,
    answering,
)

from clauseway.gateway.plan import Epoch, Key, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Deployment, Status, Unit

ITEM = (
    b'{"error":{"message":"Item with id \'rs_1\' not found. Items are not persisted when `store` is set to false.",'
    b'"type":"invalid_request_error","param":"input","code":null}}'
)
TOO_LARGE = (
    b'{"error":{"message":"Request too large for gpt-5.4 in organization %b on tokens per min (TPM): Limit 30000, '
    b'Requested 61111.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}'
)


def telling(code: int, body: bytes, *headers: str) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(code, body, headers)

    return behave


# -- the request's fault


OWN_FAULTS: dict[str, tuple[int, bytes, bytes]] = {
    "a bad value": (400, b'{"error":{"message":"no","param":"tools","code":"invalid_value"}}', b""),
    "an item that expired": (404, ITEM, b""),
    "an item, as vLLM says it": (
        404,
        b'{"error":{"message":"File file-1 not found","type":"NotFoundError","param":null,"code":404}}',
        b"",
    ),
    "an item, as Google says it": (
        404,
        b'[{"error":{"code":404,"message":"CachedContent not found (or permission denied)","status":"NOT_FOUND"}}]',
        b"",
    ),
    "a conflict": (409, b'{"error":{"message":"locked","param":null,"code":"conversation_locked"}}', b""),
    "too large a body": (413, b'{"error":{"message":"too large"}}', b""),
    "no sense": (422, b'{"error":{"message":"no","code":"unprocessable"}}', b""),
    "beyond every limit": (429, TOO_LARGE % b"org-AbCdEf123456", TOO_LARGE % b"org-***"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("code", "expected", "heard"), OWN_FAULTS.values(), ids=OWN_FAULTS)
def test_a_requests_fault_is_passed_on_and_counts_against_nobody(
    stage: Stage, call: Call, code: int, expected: bytes, heard: bytes
) -> None:
    scene = stage.scene(telling(code, expected, "X-Should-Retry: true", "retry-after: 20"), answering)
    for _ in range(7):
        answer = scene.ask(call)
        assert (answer.status_code, answer.content) == (code, heard or expected)
    assert scene.asked == [7, 0], "never skipped, and nobody else is asked"
    if code == 429:
        assert answer.headers.get_list("x-should-retry") == ["false"]


def test_what_a_cloud_says_of_our_account_is_told_in_our_words(stage: Stage) -> None:
    words = b'{"error":{"message":"Incorrect API key provided: sk-clo***1. org-AbCdEf12, proj_AbCdEf12","code":"%b"}}'
    for code, name in ((401, b"invalid_api_key"), (403, b"permission_error"), (429, b"insufficient_quota")):
        answer = stage.scene(telling(code, words % name)).ask()
        assert answer.status_code in (429, 502)
        for ours in ("sk-", "org-", "proj_", "Incorrect"):
            assert ours not in answer.text


# A name that a cloud writes into an error of the request → the name that the client reads
NAMES = {
    "OpenAI's": ("org-AbCdEf123456, proj_AbCdEf12, sk-AbCdEf12", "org-***, proj-***, sk-***"),
    "Google's project": ("projects/acme-prod-417/locations/us-central1: no", "projects/***/locations/us-central1: no"),
    "Google's project in a sentence": (
        "billing on project #1234567 by ?project=acme-17",
        "billing on project #*** by ?project=***",
    ),
    "Google's project by its number": ("in project 123456789012 before", "in project *** before"),
    "an account of Amazon": ("for account 123456789012.", "for account ***."),
    "xAI's team": ("no. Team: 1b2c-77, API key ID: 9f-01, Model: x", "no. Team: ***, API key ID: ***, Model: x"),
    "an ARN": (
        "Access to arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x : no",
        "Access to arn:*** : no",
    ),
    "an ARN of a role": ("(arn:aws:iam::123456789012:role/gateway.)", "(arn:***.)"),
    "a resource of Azure": ("at acme-prod.openai.azure.com.", "at ***.openai.azure.com."),
    "of Azure's foundry": ("https://acme-prod.services.ai.azure.com/x", "https://***.services.ai.azure.com/x"),
    "a subscription": ("(subscription 11111111-2222-3333-4444-555555555555)", "(subscription ***)"),
    "a path of Azure": ("/subscriptions/11111111-2222-3333-4444-555555555555/x", "/subscriptions/***/x"),
    "an OCID": ("ocid1.compartment.oc1..aaaaaaaasecret: no", "ocid1.***: no"),
    "the deployment's own": ("Project `acme-prod-417`, comp-of-acme at 127.0.0.1:80", "Project `***`, *** at ***:80"),
    "no name": ("Invalid 'projects/': expected arn:aws, organization, subscription 7, ocid1", None),
    "a longer word": ("the-acme-prod-417-case and acme-prod-4170", None),
}


def test_a_clients_error_has_no_name_of_our_account(tmp_path: Path) -> None:
    body = '{"error":{"message":"%s","code":"invalid_value"}}'
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("first")
        url = f"http://127.0.0.1:{cloud.port}/v1/projects/acme-prod-417/locations/x"
        settings = {"project": "p", "organization": "comp-of-acme"}
        rig.start(rig.plan([rig.target("first", cloud.port, url=url, settings=settings)]))
        for case, (written, heard) in NAMES.items():
            cloud.behaviour = telling(400, (body % written).encode())
            answer = rig.post()
            assert (answer.status_code, answer.text) == (400, body % (written if heard is None else heard)), case


# A whole 200 that tells of a failure: the path asked | what of it is the model's or the client's own words
FAILED_RESPONSE = (
    '{"id":"resp_1","object":"response","status":"failed",  "output":[{"text":"%s"}],'
    '"error":{"code":"invalid_prompt","message":"%s"},"usage":{"input_tokens":3,"output_tokens":1}}'
)
FAILED_BATCH = (
    '{"id":"batch_1","object":"batch","status":"failed","metadata":{"note":"%s"},'
    '"errors":{"object":"list","data":[{"code":"token_limit_exceeded","message":"%s"}]}}'
)
IN_ITS_WORDS = "Project `acme-prod-417`, comp-of-acme, org-AbCdEf123456 at 127.0.0.1:80"
IN_OURS = "Project `***`, ***, org-*** at ***:80"
LINES = b'{"custom_id":"c","method":"POST","url":"/v1/chat/completions","body":{"model":"%b","messages":[]}}\n'


def test_a_failure_that_a_whole_answer_tells_has_no_name_of_our_account(tmp_path: Path) -> None:
    """A stored response or a batch tells its failure without our names; the model's words and the client's stay."""
    said_of_response, said_of_batch = [
        failed % (IN_ITS_WORDS, IN_ITS_WORDS) for failed in (FAILED_RESPONSE, FAILED_BATCH)
    ]

    async def behave(connection: Connection, request: Received) -> None:
        method, path, _ = request.head.partition(b"\r\n")[0].split(b" ")
        if path.endswith(b"/files"):
            said = '{"id":"file-1","object":"file","purpose":"batch"}'
        elif b"/responses" in path:
            said = said_of_response
        elif method == b"GET" and b"/batches?" in path:
            said = f'{{"object":"list","has_more":false,"data":[{said_of_batch}]}}'
        else:
            said = said_of_batch
        connection.answer(200, said.encode())

    with Rig(tmp_path) as rig, httpx.Client(timeout=PATIENCE_S, headers=AUTHORIZED) as http:
        cloud = rig.cloud("first", behave)
        url = f"http://127.0.0.1:{cloud.port}/v1/projects/acme-prod-417/locations/x"
        settings = {"project": "p", "organization": "comp-of-acme"}
        rig.start(rig.plan([rig.target("first", cloud.port, url=url, settings=settings)]))
        v1 = f"{rig.url}/v1"
        file = http.post(f"{v1}/files", data={"purpose": "batch"}, files={"file": ("b", LINES % MODEL.encode())})
        assert file.status_code == 200, file.text
        batch = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        response, told_of_batch = [failed % (IN_ITS_WORDS, IN_OURS) for failed in (FAILED_RESPONSE, FAILED_BATCH)]
        listed = (
            f'{{"object":"list","data":[{told_of_batch}],"first_id":"batch_1","last_id":"batch_1","has_more":false}}'
        )
        for case, answer, text in (
            ("a response", http.post(f"{v1}/responses", json={"model": MODEL, "input": "x"}), response),
            ("one that is read later", http.get(f"{v1}/responses/resp_1"), response),
            ("a batch", http.post(f"{v1}/batches", json=batch), told_of_batch),
            ("one that is read later", http.get(f"{v1}/batches/batch_1"), told_of_batch),
            ("a list of batches", http.get(f"{v1}/batches"), listed),
        ):
            assert (answer.status_code, answer.text) == (200, text), case


def test_an_unknown_previous_response_is_answered_as_openai_answers(stage: Stage) -> None:
    scene = stage.scene(answering)
    answer = scene.ask(CALLS["responses"], previous_response_id="resp_unknown")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": {
            "message": "Previous response with id 'resp_unknown' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }
    }
    assert scene.asked == [0]


# -- a path that a server does not have


# How it refuses the path → what a client hears that has no other deployment
NO_PATH: dict[str, tuple[int, bytes, int]] = {
    "as FastAPI says it": (404, b'{"detail":"Not Found"}', 502),
    "without a word": (404, b"", 502),
    "as Azure says it": (404, b'{"error":{"code":"404","message":"Resource not found"}}', 502),
    "as Azure says it in words": (404, b'{"error":{"code":"NotFound","message":"Resource not found"}}', 502),
    "as vLLM says it": (404, b'{"error":{"message":"Not Found","type":"Not Found","param":null,"code":404}}', 502),
    "as Amazon's gateways say it": (404, b'{"message":"Not Found"}', 502),
    "as Kong says it": (404, b'{"message":"no Route matched with those values"}', 502),
    "gone": (410, b"", 502),
    "as Groq says it": (
        404,
        b'{"error":{"message":"Unknown request URL: POST /v1/responses.","code":"unknown_url"}}',
        404,
    ),
    "a method": (405, b'{"detail":"Method Not Allowed"}', 405),
    "as OpenAI says it": (404, b'{"error":{"message":"Invalid URL (POST /v1/responses)","code":null}}', 404),
    "of a model, as Azure says it": (400, b'{"error":{"code":"OperationNotSupported","message":"The responses"}}', 400),
}


def without_responses(code: int, body: bytes) -> Behaviour:
    async def behave(connection: Connection, request: Received) -> None:
        has_path = b"/responses" not in request.head.partition(b"\r\n")[0]
        await (answering if has_path else telling(code, body))(connection, request)

    return behave


@pytest.mark.parametrize(("code", "body"), [case[:2] for case in NO_PATH.values()], ids=NO_PATH)
def test_a_path_that_a_server_lacks_moves_that_operation_alone(stage: Stage, code: int, body: bytes) -> None:
    scene = stage.scene(without_responses(code, body), answering)
    for _ in range(7):
        answer = scene.ask(CALLS["responses"])
        assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "cloud1")
    assert scene.asked == [1, 7], "it is asked once a minute"
    assert [scene.ask(CALLS[call]).headers["x-clauseway-cloud"] for call in ("chat", "chat stream")] == ["cloud0"] * 2
    path = f"/clauseway/v1/requests/{answer.headers['x-clauseway-request-id']}"
    result = stage.http.get(stage.rig.url + path, headers=AUTHORIZED).json()
    assert [entry["reason"] for entry in result["skipped"]] == ["its server did not have this path a short while ago"]


@pytest.mark.parametrize(("code", "body", "heard"), NO_PATH.values(), ids=NO_PATH)
def test_a_path_that_no_server_has_is_asked_for_all_the_same(stage: Stage, code: int, body: bytes, heard: int) -> None:
    scene = stage.scene(without_responses(code, body))
    for _ in range(7):
        answer = scene.ask(CALLS["responses"])
        assert answer.status_code == heard
        assert heard == 502 or answer.content == body
    assert scene.asked == [7]
    assert scene.ask(CALLS["chat"]).status_code == 200


# -- one organisation's failures, one model's failures


def key_of(secret: str, organisation: str) -> Key:
    return msgspec.structs.replace(key(secret, "openai"), organisation=organisation, key_id=secret)


ORGANISATIONS = {"sk-acme-1": "acme", "sk-acme-2": "acme", "sk-brill": "brill", "sk-corvo": "corvo"}


class Tenants:
    """Three organisations, one with two keys, at two clouds, the first of which fails where `poison` is asked for."""

    def __init__(self, rig: Rig, retries: int = 50, launcher: Sequence[str] = EJECTING_GATEWAY) -> None:
        self._http = httpx.Client(timeout=PATIENCE_S)
        self.first, self.second = rig.cloud("first", self._poisoned), rig.cloud("second")
        keys = tuple(key_of(*pair) for pair in ORGANISATIONS.items())
        plan = rig.plan(keys=keys, settings=Settings(limits=Limits(retries=retries)))
        rig.start(plan, launcher=launcher)
        self._url = f"{rig.url}/v1/chat/completions"

    async def _poisoned(self, connection: Connection, request: Received) -> None:
        await (status(500) if "poison" in request.json else answering)(connection, request)

    def answer(self, secret: str, **members: object) -> httpx.Response:
        body = {"model": MODEL, "messages": MESSAGES, **members}
        return self._http.post(self._url, json=body, headers={"authorization": f"Bearer {secret}"})

    def ask(self, secret: str, **members: object) -> tuple[int, str]:
        """Ask with a key; the status, and the cloud that answered."""
        answer = self.answer(secret, **members)
        return answer.status_code, answer.headers.get("x-clauseway-cloud", "")


# Whose requests are poisoned, in turn → which keys' good requests are served by the first cloud then
POISONED = {
    "one key": (["sk-acme-1"] * 8, {"sk-brill", "sk-corvo"}),
    "two keys of one organisation": (["sk-acme-1", "sk-acme-2"] * 4, {"sk-brill", "sk-corvo"}),
    "and once another": ([*["sk-acme-1", "sk-acme-2"] * 4, "sk-corvo"], {"sk-brill", "sk-corvo"}),
    "and once each other": ([*["sk-acme-1"] * 6, "sk-corvo", "sk-brill"], set()),
}


@pytest.mark.parametrize(("poisoned", "at_first"), POISONED.values(), ids=POISONED)
def test_an_organisation_whose_requests_fail_keeps_the_primary_from_itself(
    tmp_path: Path, poisoned: list[str], at_first: set[str]
) -> None:
    with Rig(tmp_path) as rig:
        tenants = Tenants(rig)
        assert {tenants.ask(secret, poison=True) for secret in poisoned} == {(200, "second")}
        assert len(tenants.first.requests) < len(poisoned), "for the organisation itself it is ejected"
        # The one that is to be moved first: an answer of the first cloud would end its ejection.
        served = {secret: tenants.ask(secret) for secret in sorted(ORGANISATIONS)}
        assert {secret for secret, answer in served.items() if answer == (200, "first")} == at_first


@pytest.mark.parametrize("between", [[], ["sk-corvo"]], ids=["undisturbed", "with refusals of another's requests"])
def test_refusals_of_requests_end_no_row_of_failures(tmp_path: Path, between: list[str]) -> None:
    """In an outage a cloud may still refuse what is not valid: that does not tell that it is well."""
    bad_value = telling(*OWN_FAULTS["a bad value"][:2])

    async def failing(connection: Connection, request: Received) -> None:
        await (bad_value if request.json.get("user") == "bad" else status(500))(connection, request)

    with Rig(tmp_path) as rig:
        tenants = Tenants(rig)
        tenants.first.behaviour = failing
        for _ in range(5):
            assert [tenants.ask(secret) for secret in ("sk-acme-1", "sk-brill")] == [(200, "second")] * 2
            for secret in between:
                tenants.ask(secret, user="bad")
        assert sum("user" not in request.json for request in tenants.first.requests) == 5, "it is ejected"


def test_an_organisation_that_uses_up_its_further_attempts_leaves_the_others_theirs(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        tenants = Tenants(rig, retries=12)
        statuses = set()
        for _ in range(30):
            statuses.add(tenants.ask("sk-acme-1", poison=True)[0])
            # It ends the row: nothing is ejected.
            assert tenants.ask("sk-acme-1") == (200, "first")
        assert 502 in statuses, "nothing was left for the organisation itself"
        tenants.first.behaviour = status(500)
        assert [tenants.ask("sk-brill") for _ in range(3)] == [(200, "second")] * 3


NO_PROGRAMME = b'{"error":{"message":"Your project has no access to the program.","type":"permission_error"}}'


async def streamed_refusal(connection: Connection, _: Received) -> None:
    connection.begin_stream()
    connection.piece(b"data: %b\n\n" % NO_PROGRAMME)
    connection.end_stream()


@pytest.mark.parametrize(
    ("refusing", "streamed"),
    [(telling(403, NO_PROGRAMME), False), (streamed_refusal, True)],
    ids=["a status", "an error in a stream"],
)
def test_a_programme_that_an_account_is_not_in_takes_its_deployment_from_nobody(
    tmp_path: Path, refusing: Behaviour, streamed: bool
) -> None:
    """OpenAI's refusal of a request for it; a deployment that has it may stand beside."""

    async def without_programme(connection: Connection, request: Received) -> None:
        await (refusing if "access_programs" in request.json else answering)(connection, request)

    with Rig(tmp_path) as rig:
        tenants = Tenants(rig)
        tenants.first.behaviour = without_programme
        programmes = {"cyber": "daybreak_red"}
        asked = [tenants.ask("sk-acme-1", access_programs=programmes, stream=streamed) for _ in range(6)]
        assert asked == [(200, "second")] * 6
        assert len(tenants.first.requests) == 6
        assert tenants.ask("sk-acme-1") == (200, "first")


def test_a_probe_that_fails_costs_no_client_its_answer(tmp_path: Path) -> None:
    """No further attempt is left, and the deployment fails on: who probed it is answered by the next."""
    with Rig(tmp_path) as rig:
        tenants = Tenants(rig, retries=0, launcher=PROBING_GATEWAY)
        until_ejected = [tenants.ask("sk-acme-1", poison=True)[0] for _ in range(5)]
        assert until_ejected == [502] * 5
        assert [tenants.ask("sk-acme-1", poison=True) for _ in range(3)] == [(200, "second")] * 3
        assert len(tenants.first.requests) == 8, "each was a probe"


def test_an_error_says_why_a_further_cloud_was_not_asked(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        tenants = Tenants(rig, retries=0)
        answer = tenants.answer("sk-acme-1", poison=True)
        attempted, _, skipped = answer.json()["error"]["message"].partition(" Skipped: ")
        assert answer.status_code == 502
        assert attempted.startswith("No cloud answered this request. Attempted: first ")
        assert skipped == "no retries are left: too many requests fail at present."
        assert answer.headers["x-should-retry"] == "true", "the second cloud was not asked, and may be well"


def test_an_error_says_of_a_last_resort_how_it_failed_and_not_why_it_was_skipped(stage: Stage) -> None:
    """A deployment that was busy is skipped, and asked all the same where nothing else is left. LiteLLM and what is
    built on it read "rate limit" anywhere in an error as one, also in a 502."""
    scene = stage.scene(telling(429, b'{"error":{"message":"wait","code":"rate_limit_exceeded"}}'))
    busy = scene.ask()
    scene.clouds[0].behaviour = status(500)
    failed = scene.ask()
    assert (busy.status_code, failed.status_code) == (429, 502)
    attempted = f"cloud0 {scene.model}-at-0: answered 500 (scripted)"
    assert failed.json()["error"]["message"] == f"No cloud answered this request. Attempted: {attempted}."
    number = failed.headers["x-clauseway-request-id"]
    explained = stage.http.get(f"{stage.rig.url}/clauseway/v1/requests/{number}", headers=AUTHORIZED).json()
    # On a busy machine the pause of a second may be over, and nothing was skipped.
    assert all("rate_limit_exceeded" in skipped["reason"] for skipped in explained["skipped"])


@pytest.mark.parametrize("failing", [status(429, "retry-after: 20"), status(500)], ids=["told to wait", "ejected"])
def test_a_models_fault_leaves_other_models_of_its_deployment(tmp_path: Path, failing: Behaviour) -> None:
    async def one_model_fails(connection: Connection, request: Received) -> None:
        await (failing if request.json["model"] == "a-there" else answering)(connection, request)

    with Rig(tmp_path) as rig:
        cloud, other = rig.cloud("azure", one_model_fails), rig.cloud("openai")
        targets, routes = [], {}
        for at, model in enumerate(("a", "b")):
            product = f"{PRODUCT}-{model}"
            label = Deployment("azure-1", "azure", "openai", "eastus", product, f"{model}-there")
            targets.append(rig.target("azure", cloud.port, label=label))
            targets.append(
                rig.target("openai", other.port, label=msgspec.structs.replace(label, cloud="openai", deployment="o"))
            )
            routes[f"openai|{product}|direct"] = Route(candidates=((2 * at, 0), (2 * at + 1, 0)))
        models = {model: f"{PRODUCT}-{model}" for model in ("a", "b")}
        plan = rig.plan(targets, models=models, epochs=(Epoch(begin_ns=0, routes=routes),))
        rig.start(plan, launcher=EJECTING_GATEWAY)
        for _ in range(6):
            assert rig.post(model="a").headers["x-clauseway-cloud"] == "openai"
        assert sum(received.json["model"] == "a-there" for received in cloud.requests) < 6
        assert rig.post(model="b").headers["x-clauseway-cloud"] == "azure"


NO_CAPACITY = (
    b'{"error":{"message":"Resource unavailable","type":"resource_unavailable","param":null,'
    b'"code":"resource_unavailable"}}'
)
# A request that is told that no capacity is left → the cloud that serves other requests right afterwards
WITHOUT_CAPACITY = {"requests of the flex tier": ("flex", "cloud0"), "requests without a tier": (None, "cloud1")}


@pytest.mark.parametrize(("tier", "cloud"), WITHOUT_CAPACITY.values(), ids=WITHOUT_CAPACITY)
@pytest.mark.parametrize("headers", [(), ("retry-after: 20",)], ids=["now", "for a while"])
def test_a_tier_without_capacity_keeps_no_other_request_away(
    stage: Stage, tier: str | None, cloud: str, headers: tuple[str, ...]
) -> None:
    async def behave(connection: Connection, request: Received) -> None:
        is_full = request.json.get("user") == "unlucky"
        await (telling(429, NO_CAPACITY, *headers) if is_full else answering)(connection, request)

    scene = stage.scene(behave, answering)
    unlucky = scene.ask(user="unlucky", service_tier=tier)
    assert unlucky.headers["x-clauseway-cloud"] == "cloud1", "the request itself goes elsewhere"
    assert scene.ask().headers["x-clauseway-cloud"] == cloud


# -- ends of streams

FINISH = chunk_event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
WORD = chunk_event([{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}])
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
WORD_WITH_USAGE = chunk_event([{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}], usage=USAGE)
FINISH_WITH_USAGE = chunk_event([{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=USAGE)
NO_ERROR = chunk_event([{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]).replace(
    b"data: {", b'data: {"error":null,'
)
# A cloud's stream, and the client's where that is something else.
STREAMS: dict[str, tuple[list[bytes], str, list[bytes] | None]] = {
    "no [DONE]": ([WORD, FINISH], "chat stream", None),
    "no [DONE], the last event without its empty line": ([WORD, FINISH[:-2]], "chat stream", None),
    "[DONE] without its empty line": ([WORD, FINISH, DONE_EVENT[:-1]], "chat stream", None),
    "[DONE] without white space": ([WORD, FINISH, b"data:[DONE]\n\n"], "chat stream", None),
    "comments after [DONE]": ([WORD, FINISH, DONE_EVENT + b": bye\n\n"], "chat stream", None),
    "usage on content": ([WORD_WITH_USAGE, FINISH_WITH_USAGE, DONE_EVENT], "chat stream", None),
    "usage on the last chunk": ([WORD, FINISH_WITH_USAGE], "chat stream", None),
    "the usage that we asked for": (
        [WORD, FINISH, chunk_event([], usage=USAGE), DONE_EVENT],
        "chat stream",
        [WORD, FINISH, DONE_EVENT],
    ),
    "an error that is null": ([NO_ERROR, FINISH, DONE_EVENT], "chat stream", None),
    "[DONE] after a typed stream": (
        [RESPONSE_PREAMBLE, *RESPONSE_DELTAS, RESPONSE_END, DONE_EVENT],
        "responses stream",
        None,
    ),
    "events after the last": (
        [RESPONSE_PREAMBLE, *RESPONSE_DELTAS, RESPONSE_END, b": bye\n\n", RESPONSE_DELTAS[0]],
        "responses stream",
        None,
    ),
}


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "piece by piece"])
@pytest.mark.parametrize("framed", [True, False], ids=["chunked", "until it closes"])
@pytest.mark.parametrize(("sent", "call", "passed"), STREAMS.values(), ids=STREAMS)
def test_streams_end_as_their_clouds_end_them(
    stage: Stage, sent: list[bytes], call: str, passed: list[bytes] | None, framed: bool, apart: bool
) -> None:
    async def streaming(connection: Connection, _: Received) -> None:
        if framed:
            connection.begin_stream()
        else:
            connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for piece in sent if apart else [b"".join(sent)]:
            if framed:
                connection.piece(piece)
            else:
                connection.writer.write(piece)
            await connection.apart()
        if framed:
            connection.end_stream()
        else:
            connection.writer.close()

    scene = stage.scene(streaming)
    answer = scene.ask(CALLS[call])
    assert answer.content == b"".join(passed or sent)
    ((_, ended, _),) = scene.wait_for_outcomes(1)
    if b"".join(sent).count(b'"prompt_tokens"') or call == "responses stream":
        (record,) = scene.records()
        reported = RESPONSE_USAGE["output_tokens"] if call == "responses stream" else 3
        assert (ended, dict(record.units)[Unit.OUTPUT_TOKENS]) == ("COMPLETE", reported)
    else:
        assert ended == "ESTIMATED"


@pytest.mark.parametrize(
    "end", [b"", b'data: {"choices":[', FINISH[: len(FINISH) // 2]], ids=["no finish", "half", "cut"]
)
def test_a_stream_that_closes_without_a_finish_is_broken(stage: Stage, end: bytes) -> None:
    async def streaming(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        connection.piece(WORD + end)
        connection.end_stream()

    answer = stage.scene(streaming).ask(CALLS["chat stream"])
    assert "stream_interrupted" in answer.text
    assert "[DONE]" not in answer.text


def test_a_batch_without_usage_is_estimated_by_its_file(tmp_path: Path) -> None:
    """`usage` of a batch is optional."""
    batch = '{"id":"batch_1","object":"batch","status":"%s","input_file_id":"file-1"}'

    async def behave(connection: Connection, request: Received) -> None:
        method, path, _ = request.head.partition(b"\r\n")[0].split(b" ")
        if path.endswith(b"/files"):
            connection.answer(200, b'{"id":"file-1","object":"file","purpose":"batch"}')
        else:
            connection.answer(200, (batch % ("completed" if method == b"GET" else "validating")).encode())

    with Rig(tmp_path) as rig, httpx.Client(timeout=PATIENCE_S, headers=AUTHORIZED) as http:
        rig.start(rig.plan([rig.target("first", rig.cloud("first", behave).port)]))
        v1, lines = f"{rig.url}/v1", LINES % MODEL.encode() * 50
        http.post(f"{v1}/files", data={"purpose": "batch"}, files={"file": ("b", lines)}).raise_for_status()
        asked = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        http.post(f"{v1}/batches", json=asked).raise_for_status()
        assert http.get(f"{v1}/batches/batch_1").json()["status"] == "completed"
        (record,) = [record for record in rig.records() if record.units]
        assert record.status is Status.ESTIMATED
        body_bytes = 50 * len('{"model":"","messages":[]}' + MODEL)
        assert dict(record.units) == {Unit.INPUT_TOKENS: -(-body_bytes // 4), Unit.OUTPUT_TOKENS: 0}
