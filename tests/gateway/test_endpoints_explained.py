"""Every answer says where it came from and why; a request can be asked about, by whoever may know."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import OTHER_SECRET, SECRET, Rig, chat_body, key, status, well

from awaiting import eventually
from clauseway.app.customers.keys import ROLES
from clauseway.app.opening.home import Home
from clauseway.app.reports.one_request import one_request
from clauseway.cli import run
from clauseway.values import Interval, InvalidInput

RIVAL, AUDITOR, ADMIN = "sk-test-rival", "sk-test-auditor", "sk-test-admin"
NOBODY = "req_" + "0" * 32


@contextmanager
def started_rig(home: Path) -> Iterator[Rig]:
    with Rig(home) as started:
        started.spool = home / "spool" / "gateway"
        started.spool.parent.mkdir()
        started.cloud("azure", status(503))
        started.cloud("openai", well)
        rival = msgspec.structs.replace(key(RIVAL, "openai"), organisation="rival")
        auditor = msgspec.structs.replace(key(AUDITOR, "openai"), role="auditor")
        admin = msgspec.structs.replace(key(ADMIN, "openai"), role="admin")
        keys = (key(SECRET, "openai"), key(OTHER_SECRET, "microsoft"), rival, auditor, admin)
        started.start(started.plan(keys=keys))
        yield started


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Azure fails, and is ejected after five failures: no test may count on its being asked."""
    with started_rig(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture
def new_rig(tmp_path: Path) -> Iterator[Rig]:
    """Nothing was asked before: Azure is asked first, and fails."""
    with started_rig(tmp_path) as started:
        yield started


def ask(rig: Rig, secret: str = SECRET, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    headers["authorization"] = f"Bearer {secret}"
    return httpx.post(rig.url + path, content=chat_body(), headers=headers)


def explained(rig: Rig, answer: httpx.Response, secret: str = SECRET) -> httpx.Response:
    path = f"/clauseway/v1/requests/{answer.headers['x-clauseway-request-id']}"
    return httpx.get(rig.url + path, headers={"authorization": f"Bearer {secret}"})


def test_an_answer_names_its_cloud_and_its_decision(new_rig: Rig) -> None:
    headers = ask(new_rig).headers
    names = ("cloud", "region", "seller", "deployment", "decision", "outcome", "attempts")
    assert [headers[f"x-clauseway-{name}"] for name in names] == [
        "openai",
        "eastus",
        "openai",
        "openai-1",
        "permitted-1",
        "permitted",
        "2",
    ]


def test_a_request_tells_what_was_tried_and_what_it_cost(new_rig: Rig) -> None:
    answer = explained(new_rig, ask(new_rig)).json()
    assert [(attempt["deployment"], attempt["outcome"], attempt["status"]) for attempt in answer["attempted"]] == [
        ("azure-1", "answered 503 (scripted)", 503)
    ]
    assert (answer["served_by"]["deployment"], answer["decision"], answer["status"]) == ("openai-1", "permitted-1", 200)
    assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (21, 8)
    assert answer["outcome"] == "permitted"
    assert answer["usage_estimated"] is False
    # 21 in at 2.5 and 8 out at 15 dollars a million
    assert answer["cost"] == {"amount": "0.000172500000", "currency": "USD", "provisional": True}


def test_a_request_tells_what_was_passed_over(rig: Rig) -> None:
    answer = explained(rig, ask(rig, **{"x-clauseway-cloud": "openai"})).json()
    assert [(target["deployment"], target["reason"]) for target in answer["skipped"]] == [
        ("azure-1", "the request asks for openai")
    ]
    assert answer["attempted"] == []


REFUSED: list[tuple[str, str, str, dict[str, str], int]] = [
    ("forbidden by a clause", SECRET, "/v1/chat/completions", {"x-clauseway-cloud": "aws"}, 403),
    ("no such cloud", SECRET, "/v1/chat/completions", {"x-clauseway-cloud": "moon"}, 400),
    ("nothing deployed", OTHER_SECRET, "/v1/chat/completions", {}, 404),
    ("a role that asks nothing", AUDITOR, "/v1/chat/completions", {}, 403),
    ("a body that is none", SECRET, "/v1/audio/transcriptions", {}, 400),
]


@pytest.mark.parametrize(
    ("secret", "path", "headers", "status"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refusals_are_explained_too(rig: Rig, secret: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = ask(rig, secret, path, **headers)
    result = explained(rig, answer, secret).json()
    assert (answer.status_code, result["status"], result["served_by"]) == (status, status, None)
    assert result["message"] == answer.json()["error"]["message"]


def test_a_refusal_carries_the_clause(rig: Rig) -> None:
    answer = ask(rig, **{"x-clauseway-cloud": "aws"})
    assert answer.headers["x-clauseway-decision"] == "A4.azure-exclusive"
    assert "A4 clause 3" in answer.json()["error"]["message"]


def test_only_ones_own_project_and_its_auditor_may_know(rig: Rig) -> None:
    answer = ask(rig)
    readers = {secret: explained(rig, answer, secret).status_code for secret in (SECRET, OTHER_SECRET, AUDITOR, RIVAL)}
    assert readers == {SECRET: 200, OTHER_SECRET: 200, AUDITOR: 200, RIVAL: 404}
    nobody = httpx.get(f"{rig.url}/clauseway/v1/requests/{NOBODY}", headers={"authorization": f"Bearer {SECRET}"})
    assert nobody.status_code == 404
    assert f"clauseway usage request {NOBODY}" in nobody.json()["error"]["message"]
    assert httpx.get(f"{rig.url}/clauseway/v1/requests/{NOBODY}").status_code == 401


ROLES_PAGE = Path(__file__).parents[2] / "docs/roles.md"
GATEWAY = Path(__file__).parents[2] / "docs/openapi/gateway.json"
# Beginnings of an address; the table of roles leaves them out.
ROOT = re.compile(r"^/(?:openai/deployments/\{model\}|openai/v1|openai|anthropic/v1|anthropic|v1)(?=/)")
OPERATIONS = [
    (method.upper(), path)
    for path, methods in json.loads(GATEWAY.read_text())["paths"].items()
    for method in methods
    if method in ("get", "post", "delete", "patch", "put")
]


def roles_table() -> dict[str, dict[str, str]]:
    """Return the answer to each role of a key, by method and address."""
    section = ROLES_PAGE.read_text().partition("## Keys of customers\n")[2].partition("\n## ")[0]
    head, _, *rows = [
        [cell.strip().strip("`") for cell in line[1:-1].split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    assert len(rows) == len({row[0] for row in rows}), "a row stands twice"
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def row_of(method: str, path: str) -> str:
    return f"{method} {ROOT.sub('', path)}"


def test_the_roles_of_keys_are_those_of_the_tables() -> None:
    assert {tuple(cells) for cells in roles_table().values()} == {("nobody", *ROLES)}


def test_every_address_has_its_row() -> None:
    assert set(roles_table()) == {row_of(*operation) for operation in OPERATIONS} | {"WebSocket /responses"}


def answered_to(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        return "401"
    return "403" if answer.status_code == 403 and "role_not_permitted" in answer.text else "yes"


@pytest.fixture(scope="module")
def client(rig: Rig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.url, timeout=30) as opened:
        yield opened


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_role_of_a_key_may_ask(client: httpx.Client, method: str, path: str) -> None:
    """Over HTTP as the table says; an admin of an older home is answered as a member."""
    expected = roles_table()[row_of(method, path)]
    asked = {
        name: client.request(
            method,
            re.sub(r"\{\w+\}", "resp_1", path.replace("{request_id}", NOBODY)),
            headers={"authorization": f"Bearer {secret}"} if secret else {},
            content=None if method == "GET" else b"{}",
        )
        for name, secret in (("nobody", ""), ("member", SECRET), ("admin", ADMIN), ("auditor", AUDITOR))
    }
    answered = {name: answered_to(answer) for name, answer in asked.items()}
    assert answered == {**expected, "admin": expected["member"]}


@pytest.mark.parametrize("path", ["requests", "usage", "models"])
def test_an_auditor_reads_every_field_that_a_member_reads(rig: Rig, path: str) -> None:
    ask(rig)
    address = f"/v1/{path}" if path == "models" else f"/clauseway/v1/{path}"
    results = [
        httpx.get(rig.url + address, headers={"authorization": f"Bearer {secret}"}) for secret in (SECRET, AUDITOR)
    ]
    assert results[0].json() == results[1].json()
    assert results[0].status_code == results[1].status_code


def test_an_auditor_opens_no_session(rig: Rig) -> None:
    answer = rig.exchange(
        f"GET /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {AUDITOR}\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"role_not_permitted" in answer


# -- the latest requests of a project, and what it may still ask


def listed(rig: Rig, query: str = "", secret: str = SECRET) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.get(f"{rig.url}/clauseway/v1/requests{query}", headers=headers)


def identifiers(answer: httpx.Response) -> list[str]:
    return [request["id"] for request in answer.json()["data"]]


def test_a_project_lists_its_own_requests_the_newest_first(rig: Rig) -> None:
    answers = [ask(rig) for _ in range(3)]
    asked = [answer.headers["x-clauseway-request-id"] for answer in answers]
    refused = ask(rig, **{"x-clauseway-cloud": "moon"}).headers["x-clauseway-request-id"]
    ask(rig, RIVAL)
    assert identifiers(listed(rig, "?limit=4")) == [refused, *reversed(asked)]
    assert identifiers(listed(rig, "?limit=2&status=200")) == [asked[2], asked[1]]
    assert identifiers(listed(rig, f"?limit=1&after={asked[2]}")) == [asked[1]]
    assert identifiers(listed(rig, "?status=400&limit=1&operation=chat")) == [refused]
    assert identifiers(listed(rig, "?model=another")) == []
    assert listed(rig, "?limit=2").json()["has_more"] is True
    assert listed(rig, "?limit=4").json()["data"][1] == explained(rig, answers[2]).json()
    assert set(identifiers(listed(rig, "?limit=100", RIVAL))).isdisjoint([*asked, refused])
    assert identifiers(listed(rig, "?limit=1", AUDITOR)) == [refused], "its auditor reads them too"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=²", "limit=", "status=-1", "after=req_1", "page=2", "limit=1&limit=2"],
)
def test_a_query_that_says_nothing_is_refused(rig: Rig, query: str) -> None:
    error = listed(rig, f"?{query}").json()["error"]
    assert (error["code"], error["param"]) == ("invalid_query", query.partition("=")[0])


def test_a_page_after_a_request_that_is_not_known_is_none(rig: Rig) -> None:
    """An empty page would say that there is nothing older, and any other page would not be the next."""
    own, rivals = (ask(rig, secret).headers["x-clauseway-request-id"] for secret in (SECRET, RIVAL))
    # The request with the same number since another start of the gateway.
    of_another_start = f"req_{int(own[4:20], 16) ^ 1:016x}{own[20:]}"
    for after in (NOBODY, "req_" + "f" * 32, of_another_start, rivals):
        answer = listed(rig, f"?after={after}")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (404, "not_found", "after"), after
        assert f"There is no {after} among the latest requests" in error["message"]
    assert listed(rig, f"?after={own}").status_code == 200


def test_a_key_hears_what_it_may_hold(client: httpx.Client) -> None:
    """At the connection that this module keeps open: another would be the key's second."""

    def told() -> Any:
        return client.get("/clauseway/v1/limits", headers={"authorization": f"Bearer {SECRET}"}).json()

    # A busy gateway has not noticed yet that the connections of earlier tests are closed.
    eventually(lambda: told()["connections"]["open"] == 1)
    assert told() == {
        "object": "clauseway.limits",
        "limits": [],
        "budgets": [],
        "connections": {"limit": 2_500, "open": 1},
        "bytes_in_flight": {"limit": 512 << 20, "held": 0},
    }
    assert client.get("/clauseway/v1/limits").status_code == 401


# -- from journal and lake, after the process is gone


def test_an_older_request_is_told_from_the_journal(new_rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    request = ask(new_rig).headers["x-clauseway-request-id"]
    home = Home(new_rig.home)
    result = one_request(home, request)
    assert [(attempt.deployment, attempt.status, attempt.http_status) for attempt in result.attempts] == [
        ("azure-1", "failed", 503),
        ("openai-1", "complete", 200),
    ]
    assert (result.operation, result.organisation, result.key_id) == ("chat", "acme", "key-openai")
    assert result.attempts[1].terms == ("A5.any-cloud",)
    assert result.attempts[1].charge_picodollars == 21 * 2_500_000 + 8 * 15_000_000
    assert one_request(home, request) == result, "from the lake as from the journal"
    assert run(["usage", "request", request, "--home", str(new_rig.home)]) == 0
    heading, whose, _, *lines = capsys.readouterr().out.splitlines()
    assert heading == f"{request}  chat of api.stateless"
    assert whose == f"at {result.at:%Y-%m-%d %H:%M:%S} UTC, acme/research, key key-openai"
    failed, served = result.attempts
    assert lines[0].startswith("1. azure-1 (azure, ")
    assert lines[0].endswith(f": failed with 503 after {failed.duration_us / 1000:,.1f} ms")
    place, model = f"{served.cloud}, {served.region}", served.model
    took = f"complete with 200 after {served.duration_us / 1000:,.1f} ms"
    assert f"2. openai-1 ({place}, model {model}): {took}" in lines
    assert lines[-3] == f"   let through by {served.decision}: permitted, A5.any-cloud"
    assert lines[-2] == f"   the cloud's own id: {served.upstream_id}"
    assert lines[-1].startswith("   21 input tokens, ")
    assert lines[-1].endswith("; 0.0001725 USD, until settlement prices it")


def test_a_request_is_found_by_the_id_that_its_cloud_gave_it(new_rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    request = ask(new_rig).headers["x-clauseway-request-id"]
    home = Home(new_rig.home)
    attempt = one_request(home, request).attempts[1]
    assert attempt.upstream_id, "the cloud answers with its own id"
    answers: list[tuple[int, int]] = []
    assert one_request(home, attempt.upstream_id, None, lambda *files: answers.append(files)).request == request
    assert answers == [(done, len(answers)) for done in range(len(answers))] != [], "who waits is told how far it is"
    assert run(["usage", "request", attempt.upstream_id, "--home", str(new_rig.home)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert request in out
    assert f"the cloud's own id: {attempt.upstream_id}" in out
    day = one_request(home, request).at.date()
    assert one_request(home, attempt.upstream_id, Interval(day, day + timedelta(1))).request == request
    earlier = ["--home", str(new_rig.home), "--until", str(day - timedelta(1))]
    assert run(["usage", "request", attempt.upstream_id, *earlier]) == 3
    assert "no request" in (said := " ".join(capsys.readouterr().err.split()))
    assert "of these days" in said
    assert run(["usage", "request", request, *earlier]) == 3
    assert "a request's own id says where it is" in " ".join(capsys.readouterr().err.split())
    # This cloud gives one id to all: then both are told.
    other = ask(new_rig).headers["x-clauseway-request-id"]
    for name in (attempt.upstream_id, "\ud800"):
        assert run(["usage", "request", name, "--home", str(new_rig.home)]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert f"clouds gave it to 2: {request}, {other}" in said


@pytest.mark.parametrize("name", ["req_5", "resp_" + "0" * 32, "req_" + "z" * 32, NOBODY, "", "\ud800"])
def test_what_is_no_request(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="x-clauseway-request-id"):
        one_request(Home(tmp_path), name)
