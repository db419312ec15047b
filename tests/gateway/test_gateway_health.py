"""Health as a state machine, the retry budget, and what clouds' refusals mean, as tables."""

import json
from email.utils import formatdate
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.request.failures import (
    Failure,
    failure_of,
    failure_of_event,
    is_passing,
    lacks_path,
    retry_after_s,
    without_retry,
)
from clauseway.gateway.routing.health import Health, RetryBudget
from clauseway.gateway.wire.operations import OPERATIONS

# (what happens at which second)… → at which seconds a request is admitted afterwards
FIVE = [(0.0, "fails")] * 5
HISTORIES: list[tuple[str, list[tuple[float, str]], dict[float, bool]]] = [
    ("new", [], {0.0: True}),
    ("four failures", FIVE[:4], {0.0: True}),
    ("five in a row eject for a second", FIVE, {0.5: False, 1.0: True}),
    ("not in a row", [*FIVE[:4], (0.0, "succeeds"), *FIVE[:4]], {0.0: True}),
    ("one probe at a time", [*FIVE, (1.0, "attempted")], {1.0: False, 5.0: False, 31.0: True}),
    ("a probe that succeeds", [*FIVE, (1.0, "attempted"), (1.2, "succeeds")], {1.2: True}),
    ("a probe that fails: twice as long", [*FIVE, (1.0, "attempted"), (1.2, "fails")], {3.1: False, 3.2: True}),
    ("a probe that is called off", [*FIVE, (1.0, "attempted"), (1.1, "called off")], {1.1: True}),
    ("told to wait", [(0.0, "told 7")], {6.9: False, 7.0: True}),
    ("after a wait all may go", [(0.0, "told 7"), (7.0, "attempted")], {7.0: True}),
    ("an answer from before does not end a wait", [(0.0, "told 7"), (1.0, "succeeds")], {6.9: False, 7.0: True}),
    ("the longer of two waits", [(0.0, "told 7"), (1.0, "told 2")], {6.9: False, 7.0: True}),
    ("nobody waits longer than clients do", [(0.0, "told 9999")], {119.0: False, 120.0: True}),
    ("a wait while ejected", [*FIVE, (0.5, "told 7")], {7.4: False, 7.5: True}),
    ("behind it one probe at a time", [*FIVE, (0.5, "told 7"), (7.5, "attempted")], {7.6: False, 37.5: True}),
    ("a probe that is told to wait", [*FIVE, (1.0, "attempted"), (1.1, "told 2")], {3.0: False, 3.1: True}),
    ("a probe that misses its path", [*FIVE, (1.0, "attempted"), (1.1, "lacks")], {1.1: True}),
    ("failures during a wait do not shorten it", [(0.0, "told 7"), *FIVE], {6.9: False, 7.0: True}),
    ("but eject", [(0.0, "told 7"), *FIVE, (7.0, "attempted")], {7.1: False, 37.0: True}),
]


def lived(history: list[tuple[float, str]]) -> Health:
    health = Health()
    for now_s, what in history:
        match what.split(" "):
            case ["fails"]:
                health.failed(now_s, "answered 500")
            case ["succeeds"]:
                health.succeeded()
            case ["attempted"]:
                assert health.admits(now_s)
                health.attempted(now_s)
            case ["called", _]:
                health.cancelled()
            case ["lacks"]:
                health.found_absent(now_s, "embeddings")
            case ["told", seconds]:
                health.asked_to_wait(now_s, float(seconds), "answered 429")
    return health


@pytest.mark.parametrize(("history", "then"), [case[1:] for case in HISTORIES], ids=[case[0] for case in HISTORIES])
def test_health(history: list[tuple[float, str]], then: dict[float, bool]) -> None:
    health = lived(history)
    assert {now_s: health.admits(now_s) for now_s in then} == then


# (which organisation, what happens at second 0)… → which organisations are admitted at second 0.5
ACME, BRILL, CORVO, DUNE = ORGANISATIONS = ("acme", "brill", "corvo", "dune")
BY_ORGANISATION: list[tuple[str, list[tuple[str, str]], set[str]]] = [
    ("an organisation's failures are its own", [(ACME, "fails")] * 5, {BRILL, CORVO, DUNE}),
    ("however many", [(ACME, "fails")] * 50, {BRILL, CORVO, DUNE}),
    ("one failure of another after it", [(ACME, "fails")] * 5 + [(BRILL, "fails")], {BRILL, CORVO, DUNE}),
    ("four of one and one of another", [(ACME, "fails")] * 4 + [(BRILL, "fails")], set(ORGANISATIONS)),
    ("three of one and two of another", [(ACME, "fails")] * 3 + [(BRILL, "fails")] * 2, set()),
    ("of three, all hear", [(ACME, "fails")] * 9 + [(BRILL, "fails"), (CORVO, "fails")], set()),
    (
        "of four, none has to fail often",
        [(ACME, "fails"), (BRILL, "fails"), (CORVO, "fails"), (DUNE, "fails")] * 2,
        set(),
    ),
    ("another is served", [(ACME, "fails")] * 5 + [(BRILL, "succeeds")], set(ORGANISATIONS)),
    ("served between", ([(ACME, "fails")] * 3 + [(BRILL, "fails"), (BRILL, "succeeds")]) * 5, set(ORGANISATIONS)),
    ("a wait is everybody's", [(ACME, "told 7")], set()),
    ("a wait while one is ejected, too", [(ACME, "fails")] * 9 + [(BRILL, "told 7")], set()),
]


@pytest.mark.parametrize(
    ("history", "admitted"), [case[1:] for case in BY_ORGANISATION], ids=[case[0] for case in BY_ORGANISATION]
)
def test_health_by_organisation(history: list[tuple[str, str]], admitted: set[str]) -> None:
    health = Health()
    for organisation, step in history:
        health.attempted(0.0, organisation)
        if step == "fails":
            health.failed(0.0, "answered 500", organisation)
        elif step == "succeeds":
            health.succeeded()
        else:
            health.asked_to_wait(0.0, 7.0, "answered 429")
    assert {name for name in ORGANISATIONS if health.admits(0.5, name)} == admitted


STEPS = st.lists(st.tuples(st.sampled_from(ORGANISATIONS), st.sampled_from([*["fails"] * 5, "succeeds"])), max_size=60)


@given(STEPS)
def test_three_failures_of_one_organisation_count_for_the_others(steps: list[tuple[str, str]]) -> None:
    """So none takes a deployment from the others, and an organisation that fails five times leaves it itself."""
    health, row = Health(), dict.fromkeys(ORGANISATIONS, 0)
    for organisation, step in steps:
        health.attempted(0.0, organisation)
        if step == "fails":
            row[organisation] += 1
            health.failed(0.0, "answered 500", organisation)
        else:
            row = dict.fromkeys(ORGANISATIONS, 0)
            health.succeeded()
        gone = sum(min(failures, 3) for failures in row.values()) >= 5
        for name in ORGANISATIONS:
            assert health.admits(0.5, name) == (not gone and row[name] < 5)


def test_who_met_a_failure_first_does_not_keep_the_others_away_for_long() -> None:
    health = Health()
    for now_s in (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 7.0, 15.0, 31.0):
        health.attempted(now_s, ACME)
        health.failed(now_s, "answered 500", ACME)
    assert health.until_s == 61.0
    for _ in range(2):
        health.failed(31.0, "answered 500", BRILL)
    assert [health.admits(now_s, CORVO) for now_s in (31.9, 32.0)] == [False, True]


@pytest.mark.parametrize("organisations", [(ACME,), (ACME, BRILL)])
def test_only_a_probe_that_fails_prolongs_an_ejection(organisations: tuple[str, ...]) -> None:
    """Not what was under way when it began, nor who has no other deployment."""
    health = Health()
    for organisation in organisations * 20:
        health.failed(0.0, "answered 500", organisation)
    for organisation in organisations:
        health.attempted(0.5, organisation)
        health.failed(0.9, "answered 500", organisation)
    assert (health.until_s, health.ejected) == (1.0, 1)
    assert health.admits(1.0, ACME)


def test_a_path_that_one_organisation_did_not_find_is_looked_for_by_the_others() -> None:
    """Its requests may be the cause; met by a second one, it is the server's."""
    health = Health()
    health.found_absent(0.0, "chat", ACME)
    health.found_absent(1.0, "chat", ACME)
    health.found_absent(1.0, "embeddings", BRILL)
    assert [health.lacks(2.0, "chat", organisation) for organisation in (ACME, BRILL)] == [True, False]
    health.found_absent(2.0, "chat", BRILL)
    assert all(health.lacks(61.0, "chat", organisation) for organisation in (ACME, BRILL, CORVO))
    assert not health.lacks(61.5, "embeddings", BRILL)
    assert not health.lacks(62.5, "chat", ACME)
    health.found_absent(63.0, "chat", BRILL)
    assert [health.lacks(64.0, "chat", organisation) for organisation in (ACME, BRILL)] == [False, True]


def test_models_work_for_what_costs_something_and_for_moderations() -> None:
    """Clouds limit the rest apart: files, batches, conversations, stored answers, counts."""
    working = {operation.name for operation in OPERATIONS if operation.asks_model}
    assert working == {operation.name for operation in OPERATIONS if operation.metered} | {"moderations"}


def ejected_for_all() -> Health:
    """Until second 1, when one organisation's probe fails: until second 3."""
    health = Health()
    for organisation in (ACME, ACME, ACME, BRILL, BRILL):
        health.failed(0.0, "answered 500", organisation)
    assert health.admits(1.0, ACME)
    health.attempted(1.0, ACME)
    health.failed(1.0, "answered 500", ACME)
    return health


def test_after_a_probe_that_failed_another_organisation_has_the_next() -> None:
    health = ejected_for_all()
    assert [health.admits(3.0, name) for name in (ACME, BRILL, CORVO)] == [False, True, True]
    assert [health.admits(now_s, ACME) for now_s in (4.9, 5.0)] == [False, True], "unless nobody else comes"
    health.attempted(3.0, BRILL)
    assert not health.admits(3.1, CORVO), "the probe is out"
    health.failed(3.2, "answered 500", BRILL)
    assert [health.admits(7.2, name) for name in (ACME, BRILL, CORVO)] == [True, False, True], "the turn is another's"


def test_no_organisation_leaves_the_next_probe_whose_own_has_not_failed() -> None:
    """Neither one whose failures ejected the deployment, nor one whose probe failed before it was well."""
    health = Health()
    for organisation in (BRILL, BRILL, ACME, ACME, ACME):
        health.failed(0.0, "answered 500", organisation)
    assert health.admits(1.0, ACME)
    again = ejected_for_all()
    again.succeeded()
    for organisation in (ACME, ACME, ACME, BRILL, BRILL):
        again.failed(3.0, "answered 500", organisation)
    assert again.admits(4.0, ACME)


def test_a_wait_leaves_it_alone_for_all_where_it_was_ejected_for_one_for_longer() -> None:
    health = Health()
    for now_s in (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 7.0, 15.0, 31.0):
        health.attempted(now_s, ACME)
        health.failed(now_s, "answered 500", ACME)
    health.asked_to_wait(32.0, 7.0, "answered 429")
    assert health.until_s == 39.0
    assert [health.admits(38.9, name) for name in (ACME, BRILL)] == [False, False]


def test_an_organisation_that_is_not_the_probe_does_not_prolong_an_ejection() -> None:
    """It asks all the same where it has no other deployment."""
    health = ejected_for_all()
    for now_s in (1.5, 2.0, 2.9):
        health.attempted(now_s, ACME)
        health.failed(now_s, "answered 500", ACME)
    health.attempted(3.0, ACME)
    assert health.admits(3.1, BRILL)
    health.attempted(3.1, BRILL)
    health.succeeded()
    assert all(health.admits(3.2, name) for name in ORGANISATIONS)


# what came before → whether an attempt of ACME's at second 1 is a probe
PROBES: list[tuple[str, Health, bool]] = [
    ("well", Health(), False),
    ("told to wait, and asked all the same", lived([(0.0, "told 7")]), False),
    ("ejected for longer, and asked all the same", lived([*FIVE, (1.0, "attempted"), (1.0, "fails")]), False),
    ("its ejection is over", lived(FIVE), True),
    ("beside a probe that is out", lived([*FIVE, (1.0, "attempted")]), False),
]


@pytest.mark.parametrize(("health", "is_probe"), [case[1:] for case in PROBES], ids=[case[0] for case in PROBES])
def test_which_attempt_is_a_probe(health: Health, is_probe: bool) -> None:
    assert health.attempted(1.0, ACME) is is_probe


def test_ejections_grow_to_half_a_minute_and_begin_anew_when_it_is_well() -> None:
    """A cloud may be away for days: an ejection is then as long as on the first."""
    health, now_s, lengths = lived(FIVE), 0.0, []
    for _ in range(1_100):
        lengths.append(health.until_s - now_s)
        now_s = health.until_s
        health.attempted(now_s)
        health.failed(now_s, "again")
    assert lengths == [1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 1_095]
    health.succeeded()
    for _ in range(5):
        health.failed(now_s, "again")
    assert health.until_s - now_s == 1.0


@pytest.mark.parametrize(
    ("history", "at_s", "is_away", "failing"),
    [
        ([], 0.0, False, ""),
        (FIVE[:1], 0.0, False, "1 failure in a row, the last: answered 500"),
        (FIVE, 0.0, True, "5 failures in a row, the last: answered 500"),
        # A probe ends an ejection; a wait that was asked for ends by itself.
        (FIVE, 1.0, True, "5 failures in a row, the last: answered 500"),
        ([(0.0, "told 7")], 6.9, True, ""),
        ([(0.0, "told 7")], 7.0, False, ""),
    ],
)
def test_what_is_said_of_a_deployment(
    history: list[tuple[float, str]], at_s: float, is_away: bool, failing: str
) -> None:
    health = lived(history)
    assert (health.is_away(at_s), health.failing) == (is_away, failing)


@given(st.lists(st.sampled_from(["fails", "succeeds", "told 3", "called off", "ask"]), max_size=40))
def test_an_ejected_deployment_never_has_two_probes(steps: list[str]) -> None:
    health, now_s = Health(), 0.0
    for step in steps:
        now_s += 0.5
        if step == "ask":
            ejected = bool(health.until_s) and not health.asked_for_pause
            if health.admits(now_s) and ejected:
                health.attempted(now_s)
                assert not health.admits(now_s), "the probe is out"
        else:
            match step.split(" "):
                case ["fails"]:
                    health.failed(now_s, "x")
                case ["succeeds"]:
                    health.succeeded()
                case ["told", _]:
                    health.asked_to_wait(now_s, 3.0, "x")
                case _:
                    health.cancelled()
    assert health.admits(now_s + 200.0), "nothing is left alone for ever"


RETRIES = st.lists(st.tuples(st.sampled_from(ORGANISATIONS), st.booleans()), max_size=1000)


@given(RETRIES)
def test_further_attempts_are_a_fifth_of_the_requests_and_fifty(steps: list[tuple[str, bool]]) -> None:
    budget, requests, taken = RetryBudget(50), 0, 0
    for organisation, retry in steps:
        if retry:
            taken += budget.take(organisation)
        else:
            requests += 1
            budget.count_request(organisation)
        assert taken <= 50 + 0.2 * requests + 1e-6


@given(st.lists(st.booleans(), max_size=1000))
def test_an_organisation_that_takes_what_it_can_leaves_another_ten(steps: list[bool]) -> None:
    budget = RetryBudget(50)
    for retry in steps:
        if retry:
            budget.take(ACME)
        else:
            budget.count_request(ACME)
    assert all(budget.take(BRILL) for _ in range(10))


@pytest.mark.parametrize("always", [1, 2, 3, 50])
def test_one_that_is_alone_has_two_thirds_of_the_budget_and_never_less_than_one(always: int) -> None:
    budget = RetryBudget(always)
    assert sum(budget.take(ACME) for _ in range(always)) == max(1, ceil(always * 2 / 3))


def test_a_quiet_day_saves_up_no_retries_for_an_outage() -> None:
    budget = RetryBudget(50)
    for _ in range(1000):
        budget.count_request(ACME)
    assert [budget.take(ACME) for _ in range(35)] == [True] * 34 + [False]


def test_what_is_put_back_was_never_taken() -> None:
    budget = RetryBudget(50)
    for _ in range(100):
        assert budget.take(ACME)
        budget.put_back(ACME)
    assert [budget.take(ACME) for _ in range(35)] == [True] * 34 + [False]
    budget.put_back(ACME)
    assert [budget.take(ACME), budget.take(ACME)] == [True, False]


def test_the_retry_budget_comes_back() -> None:
    budget = RetryBudget(50)
    assert [budget.take(ACME) for _ in range(35)] == [True] * 34 + [False]
    for _ in range(6):
        budget.count_request(ACME)
    assert [budget.take(ACME), budget.take(ACME)] == [True, False]
    for _ in range(1000):
        budget.count_request(BRILL)
    assert sum(budget.take(ACME) for _ in range(50)) == 34, "a budget that is whole again owes nobody"


# -- what a refusal means: status, error → goes elsewhere, what is said of it, how long it is left alone

NOW_S = 1_780_000_000.0
DATE = formatdate(NOW_S + 9, usegmt=True)
REFUSALS: list[tuple[int, dict[str, object] | None, dict[str, str], bool, str, float]] = [
    (400, {"code": "invalid"}, {}, False, "", 0),
    (404, {"code": "DeploymentNotFound"}, {}, True, "answered 404 (DeploymentNotFound)", 0),
    (413, None, {}, False, "", 0),
    (422, None, {}, False, "", 0),
    (401, {"code": "invalid_api_key"}, {}, True, "answered 401 (invalid_api_key)", 0),
    (403, None, {}, True, "answered 403", 0),
    (408, None, {}, True, "answered 408", 0),
    (409, None, {}, False, "", 0),
    (407, None, {}, True, "answered 407", 0),
    (421, None, {}, True, "answered 421", 0),
    (426, None, {}, True, "answered 426", 0),
    (301, None, {}, True, "answered 301", 0),
    (307, None, {}, True, "answered 307", 0),
    (500, None, {}, True, "answered 500", 0),
    (502, None, {"retry-after": "3"}, True, "answered 502", 0),
    (503, {"code": "server_is_overloaded"}, {"retry-after": "3"}, True, "answered 503 (server_is_overloaded)", 3),
    (529, None, {}, True, "answered 529", 0),
    (429, {"code": "rate_limit_exceeded"}, {}, True, "answered 429 (rate_limit_exceeded)", 1),
    (429, {"code": "rate_limit_exceeded"}, {"retry-after": "7"}, True, "answered 429 (rate_limit_exceeded)", 7),
    (429, {"code": "x"}, {"retry-after": "7", "retry-after-ms": "250"}, True, "answered 429 (x)", 0.25),
    (429, {"code": "x"}, {"retry-after": DATE}, True, "answered 429 (x)", 9),
    (429, {"code": "x"}, {"retry-after": "soon"}, True, "answered 429 (x)", 1),
    (429, {"code": "no_capacity"}, {}, True, "answered 429 (no_capacity)", 1),
    (429, {"code": "slow_down"}, {}, True, "answered 429 (slow_down)", 1),
    (429, {"code": "insufficient_quota"}, {"retry-after": "1"}, True, "answered 429 (insufficient_quota)", 60),
    (429, {"type": "insufficient_quota", "code": "x"}, {}, True, "answered 429 (insufficient_quota)", 60),
    (429, {"code": "credit_balance_exhausted"}, {}, True, "answered 429 (credit_balance_exhausted)", 60),
    (
        429,
        {"code": "organization_spend_limit_exceeded"},
        {},
        True,
        "answered 429 (organization_spend_limit_exceeded)",
        60,
    ),
    (403, {"code": "insufficient_quota"}, {}, True, "answered 403 (insufficient_quota)", 60),
    (400, {"code": "blocked_api_access"}, {}, True, "answered 400 (blocked_api_access)", 60),
    (400, {"code": "QuotaExceeded"}, {}, True, "answered 400 (QuotaExceeded)", 60),
    (400, {"message": "You have reached your specified API usage limits."}, {}, True, "answered 400", 60),
    (
        429,
        {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
        {"retry-after": "7"},
        True,
        "answered 429 (enforced_spend_limit_reached)",
        60,
    ),
    (
        429,
        {"type": "rate_limit_error", "details": {"error_code": "ramp_limit_exceeded"}},
        {"retry-after": "7"},
        True,
        "answered 429 (ramp_limit_exceeded)",
        7,
    ),
]


def head_of(headers: dict[str, str]) -> bytes:
    return b"".join([f"{name}: {value}\r\n".encode() for name, value in headers.items()])


@pytest.mark.parametrize(("status", "error", "headers", "elsewhere", "outcome", "wait_s"), REFUSALS)
def test_refusals(
    status: int, error: dict[str, object] | None, headers: dict[str, str], elsewhere: bool, outcome: str, wait_s: float
) -> None:
    body = json.dumps({"error": error}).encode()
    failure = failure_of(status, head_of(headers), body, NOW_S)
    insists = any(value != "soon" for value in headers.values()) and status in (429, 503) and wait_s != 60
    expected = Failure(outcome, status, wait_s, insists, is_spent=wait_s == 60)
    assert failure == (expected if elsewhere else None)


RIGHTS_AT_ORACLE = (
    b'{"code":"NotAuthorizedOrNotFound","message":"Authorization failed or requested resource not found."}'
)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", RIGHTS_AT_ORACLE, b'{"error":{"message":"No such File object: file-1"}}']
)
def test_of_what_lies_on_one_account_not_found_is_an_answer(body: bytes) -> None:
    assert failure_of(404, b"", body, NOW_S, names_resource=True) is None


# As clouds and servers wrote them: status, body → speaks of the request, or what is said of the attempt.
WORDS: list[tuple[str, int, bytes, str | None]] = [
    ("a bad value", 400, b'{"error":{"message":"Invalid value","param":"tools","code":"invalid_value"}}', None),
    ("too long", 400, b'{"error":{"message":"Too long","param":"input","code":"context_length_exceeded"}}', None),
    ("too long, elsewhere", 400, b'{"error":{"message":"maximum context length is 200000","code":400}}', None),
    (
        "an item",
        404,
        b'{"error":{"message":"Item with id \'rs_1\' not found. Items are not persisted when `store` is '
        b'set to false.","type":"invalid_request_error","param":"input","code":null}}',
        None,
    ),
    (
        "an item, as vLLM says it",
        404,
        b'{"error":{"message":"File file-1 not found","type":"NotFoundError","param":null,"code":404}}',
        None,
    ),
    (
        "an item, as Google says it",
        404,
        b'[{"error":{"code":404,"message":"CachedContent not found (or permission denied)","status":"NOT_FOUND"}}]',
        None,
    ),
    (
        "Google's entity with a name",
        404,
        b'{"error":{"code":404,"message":"Requested entity was not found: files/abc","status":"NOT_FOUND"}}',
        None,
    ),
    (
        "Google's entity without a name: a model or a project",
        404,
        b'{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}',
        "answered 404",
    ),
    (
        "no model, as Google says it",
        404,
        b'{"error":{"code":404,"message":"models/gemini-pro is not found for API version v1beta, or is not supported '
        b'for generateContent.","status":"NOT_FOUND"}}',
        "answered 404",
    ),
    (
        "no model, as Vertex says it",
        404,
        b'{"error":{"code":404,"message":"Publisher Model `projects/p/locations/l/publishers/google/models/x` was not '
        b'found or your project does not have access to it.","status":"NOT_FOUND"}}',
        "answered 404",
    ),
    ("an item, as FastAPI says it", 404, b'{"detail":"File file-1 not found"}', None),
    ("an item by its code", 404, b'{"error":{"code":"file_not_found","message":"Not found"}}', None),
    ("no such path, as FastAPI says it", 404, b'{"detail":"Not Found"}', "answered 404"),
    ("no such path, as llama.cpp says it", 404, b'{"error":{"code":404,"message":"File Not Found"}}', "answered 404"),
    (
        "no such path, by its code",
        404,
        b'{"error":{"code":"NotFound","message":"Resource not found"}}',
        "answered 404 (NotFound)",
    ),
    ("each bad value, as FastAPI says it", 422, b'{"detail":[{"loc":["body"],"msg":"no"}]}', None),
    (
        "no model, as Amazon says it",
        404,
        b'{"message":"Could not resolve the foundation model from the provided model identifier."}',
        "answered 404",
    ),
    (
        "no model any more, as Amazon says it",
        404,
        b'{"message":"This model version has reached the end of its life. Please refer to the AWS documentation."}',
        "answered 404",
    ),
    (
        "no model for those who never used it",
        404,
        b'{"message":"Access denied. This Model is marked by provider as Legacy and you have not been actively using '
        b'the model in the last 30 days."}',
        "answered 404",
    ),
    (
        "no model without a profile",
        400,
        b'{"message":"Invocation of model ID x with on-demand throughput isn\xe2\x80\x99t supported. Retry your '
        b'request with the ID or ARN of an inference profile that contains this model."}',
        "answered 400",
    ),
    (
        "no model, in a sentence",
        400,
        b'{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":null}}',
        "answered 400",
    ),
    (
        "no model, as Mistral says it",
        400,
        b'{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}',
        "answered 400",
    ),
    (
        "no model, as Azure says it",
        400,
        b'{"error":{"code":"unavailable_model","message":"Unavailable model: x"}}',
        "answered 400 (unavailable_model)",
    ),
    (
        "no model, as Oracle says it",
        404,
        b'{"code":"404","message":"Entity with key openai.gpt-5.5 not found"}',
        "answered 404",
    ),
    ("an item, as Oracle says it", 404, b'{"code":"404","message":"Entity with key file-1 not found"}', None),
    (
        "a tool's model, in a sentence",
        400,
        b'{"error":{"message":"The model `x` does not exist","param":"tools[0].model","code":null}}',
        None,
    ),
    (
        "a value that the model does not know any more",
        400,
        b'{"error":{"message":"Unsupported value: this model no longer takes `stop`","param":"stop","code":null}}',
        None,
    ),
    (
        "Amazon's quota",
        400,
        b'{"message":"Your request exceeds the service quota for your account."}',
        "answered 400",
    ),
    (
        "our account at Amazon",
        404,
        b'{"message":"Model use case details have not been submitted for this account. Fill out the Anthropic use '
        b'case details form before using the model."}',
        "answered 404",
    ),
    (
        "Google's billing",
        400,
        b'{"error":{"code":400,"message":"This API method requires billing to be enabled. Please enable billing on '
        b'project #1234567","status":"FAILED_PRECONDITION"}}',
        "answered 400",
    ),
    (
        "our place, as Google says it",
        400,
        b'{"error":{"code":400,"message":"User location is not supported for the API use.","status":'
        b'"FAILED_PRECONDITION"}}',
        "answered 400",
    ),
    (
        "our rights at Oracle",
        404,
        RIGHTS_AT_ORACLE,
        "answered 404 (NotAuthorizedOrNotFound)",
    ),
    (
        "our rights at Oracle, by the sentence",
        404,
        b'{"code":"404","message":"Authorization failed or requested resource not found."}',
        "answered 404",
    ),
    ("a conversation", 404, b'{"error":{"message":"Conversation with id conv_1 not found.","code":null}}', None),
    ("a conflict", 409, b'{"error":{"message":"conversation is locked","code":"conversation_locked"}}', None),
    (
        "too large",
        429,
        b'{"error":{"message":"Request too large for gpt-5.4 in organization org-x on tokens per '
        b'min (TPM): Limit 30000, Requested 61111.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}',
        None,
    ),
    ("flagged", 403, b'{"error":{"message":"requires moderation","code":403,"metadata":{"flagged_input":"x"}}}', None),
    (
        "filtered, as xAI says it",
        403,
        b'{"code":"The caller does not have permission to execute the specified operation","error":"Content violates '
        b'usage guidelines. Team: 1b2c, API key ID: 9f, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}',
        None,
    ),
    (
        "no right, as xAI says it",
        403,
        b'{"code":"The caller does not have permission to execute the specified operation","error":"no team"}',
        "answered 403",
    ),
    (
        "no model",
        404,
        b'{"error":{"message":"The model `x` does not exist or you do not have access to it.","code":'
        b'"model_not_found"}}',
        "answered 404 (model_not_found)",
    ),
    (
        "no model, 400",
        400,
        b'{"error":{"message":"The requested model","param":"model","code":"model_not_found"}}',
        "answered 400 (model_not_found)",
    ),
    ("a tool's model", 400, b'{"error":{"message":"no","param":"tools[0].model","code":"model_not_found"}}', None),
    (
        "no model, as vLLM says it",
        404,
        b'{"object":"error","message":"The model `x` does not exist.","code":404}',
        "answered 404",
    ),
    (
        "no deployment",
        404,
        b'{"error":{"code":"DeploymentNotFound","message":"The API deployment"}}',
        "answered 404 (DeploymentNotFound)",
    ),
    ("no such path", 404, b'{"error":{"code":"404","message":"Resource not found"}}', "answered 404"),
    ("a page", 404, b"<html>404</html>", "answered 404"),
    ("a proxy's page", 400, b"\r\n<!DOCTYPE html><title>400 Bad Request</title>", "answered 400"),
    ("a page about the size", 413, b"<html>413 Request Entity Too Large</html>", None),
    ("a sentence without a format", 422, b"Failed to deserialize the JSON body: missing field `input`", None),
    (
        "Google's key",
        400,
        b'[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",'
        b'"status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":'
        b'"API_KEY_INVALID","domain":"googleapis.com"}]}}]',
        "answered 400",
    ),
    (
        "Google's key, expired",
        400,
        b'{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}',
        "answered 400",
    ),
    (
        "Google's key, by its reason",
        400,
        b'{"error":{"code":400,"message":"no","details":[{"reason" : "API_KEY_SERVICE_BLOCKED"}]}}',
        "answered 400",
    ),
    (
        "Google's bad value",
        400,
        b'[{"error":{"code":400,"message":"Invalid value at \'reason\'","status":'
        b'"INVALID_ARGUMENT","details":[{"reason":"INVALID"}]}}]',
        None,
    ),
    ("Google's answer to a bad value of a list", 400, b'[{"error":{"code":400,"message":"no"}},7]', None),
    (
        "our organisation, a stream",
        400,
        b'{"error":{"message":"Your organization must be verified to stream this model.'
        b' Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization.",'
        b'"type":"invalid_request_error","param":"stream","code":"unsupported_value"}}',
        "answered 400 (unsupported_value)",
    ),
    (
        "our organisation, a model",
        404,
        b'{"error":{"message":"Your organization must be verified to use the model '
        b'`o3`.","type":"invalid_request_error","param":null,"code":null}}',
        "answered 404",
    ),
    (
        "a model taken away",
        410,
        b'{"error":{"message":"The model `x` has been deprecated","code":null}}',
        "answered 410",
    ),
    (
        "a model that was",
        400,
        b'{"error":{"message":"The model `x` has been decommissioned.",'
        b'"type":"invalid_request_error","code":"model_decommissioned"}}',
        "answered 400 (model_decommissioned)",
    ),
    ("an item that was", 410, b'{"error":{"message":"The response has expired.","code":null}}', None),
    ("gone without a word", 410, b"", "answered 410"),
    (
        "a client's tool",
        424,
        b'{"error":{"message":"Error retrieving tool list from MCP server: \'x\'. Http status: '
        b'424 (Failed Dependency)","type":"external_connector_error","param":"tools","code":"http_error"}}',
        None,
    ),
    ("a model that broke", 424, b'{"message":"The request failed due to an error in the model."}', "answered 424"),
    (
        "a container that broke",
        424,
        b'{"error":"Request failed during generation","error_type":"generation"}',
        "answered 424",
    ),
    (
        "busy",
        429,
        b'{"error":{"code":"RateLimitReached","message":"Your requests to x have exceeded rate limit."}}',
        "answered 429 (RateLimitReached)",
    ),
    (
        "a key",
        401,
        b'{"error":{"message":"Incorrect API key provided: sk-1234.","code":"invalid_api_key"}}',
        "answered 401 (invalid_api_key)",
    ),
    (
        "a key, in a sentence",
        400,
        b'{"code":"invalid-argument","error":"Incorrect API key provided. You can obtain"}',
        "answered 400 (invalid-argument)",
    ),
    (
        "a key, as Azure says it",
        401,
        b'{"error":{"code":"401","message":"Access denied due to invalid subscription"}}',
        "answered 401",
    ),
    (
        "money",
        402,
        b'{"error":{"message":"Insufficient Balance","code":"invalid_request_error"}}',
        "answered 402 (invalid_request_error)",
    ),
    (
        "money, 400",
        400,
        b'{"error":{"message":"limit","code":"billing_hard_limit_reached"}}',
        "answered 400 (billing_hard_limit_reached)",
    ),
    ("a sentence for a code", 403, b'{"error":{"code":"project proj_1 of org-1 is archived"}}', "answered 403"),
    (
        "money, as Anthropic says it",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage '
        b'limits. You will regain access on 2026-12-01 at 00:00 UTC."}}',
        "answered 400",
    ),
    (
        "a workspace's money, as Anthropic says it",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace '
        b'API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}}',
        "answered 400",
    ),
    (
        "our organisation, as Anthropic says it",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}',
        "answered 400",
    ),
    (
        "our organisation, by Anthropic's word for the cause",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"Your account is under review.",'
        b'"details":{"error_code":"organization_on_hold"}}}',
        "answered 400 (organization_on_hold)",
    ),
    (
        "our workspace's encryption key, by Anthropic's word for the cause",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"Re-enable the key.",'
        b'"details":{"error_code":"cmek_key_disabled"}}}',
        "answered 400 (cmek_key_disabled)",
    ),
    (
        "a picture, by Anthropic's word for the cause",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error","message":"Too large.",'
        b'"details":{"error_code":"image_dimensions_too_large"}}}',
        None,
    ),
    ("our account, as Amazon says it", 400, b'{"message":"Operation not allowed"}', "answered 400"),
    (
        "a bad value, as Amazon says it",
        400,
        b'{"message":"Operation not allowed for messages without content."}',
        None,
    ),
    (
        "our rights, as Amazon says it",
        400,
        b'{"message":"Your account is not authorized to invoke this API operation."}',
        "answered 400",
    ),
    (
        "our place, as Amazon says it",
        400,
        b'{"message":"Access to Anthropic models is not allowed from unsupported countries, regions, or territories. '
        b'Please refer to https://www.anthropic.com/supported-countries for more information."}',
        "answered 400",
    ),
    (
        "our project, as Vertex says it",
        400,
        b'[{"error":{"code":400,"message":"Project `1234567` is not allowed to use Publisher Model `projects/p/'
        b'locations/l/publishers/anthropic/models/x`","status":"FAILED_PRECONDITION"}}]',
        "answered 400",
    ),
    (
        "no model in our region, as Vertex says it",
        400,
        b'[{"error":{"code":400,"message":"Publisher Model `projects/p/locations/l/publishers/anthropic/models/x` is '
        b'not servable in region us-east4.","status":"FAILED_PRECONDITION"}}]',
        "answered 400",
    ),
    (
        "called off by Google itself",
        499,
        b'[{"error":{"code":499,"message":"The operation was cancelled.","status":"CANCELLED"}}]',
        "answered 499",
    ),
    (
        "our organisation, as Groq says it",
        400,
        b'{"error":{"message":"Organization has been restricted. Please reach out to support if you believe this was '
        b'in error.","type":"invalid_request_error","code":"organization_restricted"}}',
        "answered 400 (organization_restricted)",
    ),
    (
        "Oracle's limit of a tenancy",
        400,
        b'{"code":"LimitExceeded","message":"Fulfilling this request exceeds the Oracle-defined limit."}',
        "answered 400 (LimitExceeded)",
    ),
    (
        "Oracle's quota of a compartment",
        400,
        b'{"code":"QuotaExceeded","message":"Fulfilling this request exceeds the compartment quota."}',
        "answered 400 (QuotaExceeded)",
    ),
    (
        "the version that the deployment asks for, as Azure says it",
        400,
        b'{"error":{"code":"BadRequest","message":"API version not supported"}}',
        "answered 400 (BadRequest)",
    ),
    (
        "a parameter that the model does not take, as OpenAI says it",
        403,
        b'{"error":{"message":"You are not allowed to request logprobs from this model","type":'
        b'"invalid_request_error","param":null,"code":null}}',
        None,
    ),
    (
        "a model of another kind, as OpenAI says it",
        403,
        b'{"error":{"message":"You are not allowed to generate embeddings from this model","type":'
        b'"invalid_request_error","param":null,"code":null}}',
        None,
    ),
    (
        "an agent that was stopped, as OpenAI says it",
        403,
        b'{"error":{"message":"This request was blocked by our safety systems. Reason: unintended activity.",'
        b'"type":"invalid_request_error","param":null,"code":"misalignment_policy_violation"}}',
        None,
    ),
    (
        "no right to a safety program, as OpenAI says it",
        403,
        b'{"error":{"message":"This content was flagged for possible cybersecurity risk.","type":"invalid_request",'
        b'"code":"cyber_policy"}}',
        None,
    ),
    (
        "a limit that OpenAI set for our organisation",
        429,
        b'{"error":{"message":"no","type":"requests","code":"organization_usage_limit_exceeded"}}',
        "answered 429 (organization_usage_limit_exceeded)",
    ),
    (
        "no model for our key, as OpenAI says it",
        403,
        b'{"error":{"message":"You are not allowed to sample from this model","type":"invalid_request_error"}}',
        "answered 403",
    ),
    (
        "no flex tier at present, as Groq says it",
        498,
        b'{"error":{"message":"Flex tier capacity exceeded","type":"server_error","code":"capacity_exceeded"}}',
        "answered 498 (capacity_exceeded)",
    ),
]


@pytest.mark.parametrize(("status", "body", "outcome"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_failures_are_judged_by_their_words(status: int, body: bytes, outcome: str | None) -> None:
    failure = failure_of(status, b"", body, NOW_S)
    assert (failure.outcome if failure is not None else None) == outcome


# Errors inside streams, in the three shapes → speaks of the request, or the code that is
# told of the attempt and how long the deployment is left alone.
EVENTS: list[tuple[str, str, tuple[str, float] | None]] = [
    ("a client's tool", '{"error":{"type":"external_connector_error","code":"http_error"}}', None),
    (
        "our organisation",
        '{"error":{"type":"invalid_request_error","message":"Your organization must be verified to '
        'stream this model."}}',
        ("", 0),
    ),
    ("Google's key", '[{"error":{"code":400,"message":"API key not valid."}}]', ("", 0)),
    ("filtered", '{"error":{"code":"content_filter","type":null,"message":"no","status":400}}', None),
    ("a number", '{"error":{"code":400,"type":"BadRequestError","message":"maximum context length"}}', None),
    ("a number in words", '{"error":{"code":"413","message":"too large"}}', None),
    ("flagged", '{"error":{"code":403,"message":"no","metadata":{"flagged_input":"x"}}}', None),
    ("filtered, as xAI says it", '{"code":"no right","error":"Content violates usage guidelines. Team: 1"}', None),
    ("an error event", '{"type":"error","code":"invalid_prompt","message":"no","param":null}', None),
    ("within an error", '{"type":"error","error":{"code":"context_length_exceeded","message":"no"}}', None),
    ("a failed response", '{"type":"response.failed","response":{"error":{"code":"invalid_image_url"}}}', None),
    ("messages", '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}', None),
    ("a safety check", '{"type":"error","error":{"type":"invalid_request","code":"cyber_policy"}}', None),
    ("another one", '{"type":"response.failed","response":{"error":{"code":"bio_policy"}}}', None),
    ("an agent stopped", '{"response":{"error":{"code":"misalignment_policy_violation"}}}', None),
    ("beyond any limit", '{"error":{"code":429,"message":"Request too large for gpt-5.4"}}', None),
    ("no JSON", "overloaded", ("", 0)),
    ("no words", '{"error":{}}', ("", 0)),
    ("500", '{"error":{"code":500,"message":"no"}}', ("", 0)),
    ("a code first", '{"error":{"code":"server_error","type":"invalid_request_error"}}', (" (server_error)", 0)),
    ("a response's server", '{"response":{"error":{"code":"server_error"}}}', (" (server_error)", 0)),
    ("a vector store", '{"response":{"error":{"code":"vector_store_timeout"}}}', (" (vector_store_timeout)", 0)),
    ("busy", '{"error":{"code":"rate_limit_exceeded","message":"no"}}', (" (rate_limit_exceeded)", 1)),
    ("a busy response", '{"response":{"error":{"code":"rate_limit_exceeded"}}}', (" (rate_limit_exceeded)", 1)),
    ("no capacity", '{"error":{"code":"resource_unavailable","message":"no"}}', (" (resource_unavailable)", 1)),
    ("no flex tier", '{"response":{"error":{"code":"flex_unavailable"}}}', (" (flex_unavailable)", 1)),
    ("busy with messages", '{"type":"error","error":{"type":"rate_limit_error","message":"no"}}', ("", 1)),
    ("busy by its number", '{"error":{"code":429,"message":"no"}}', ("", 1)),
    ("busy in a sentence", '{"error":{"message":"Too many requests, please wait"}}', ("", 1)),
    ("overloaded", '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', ("", 0)),
    ("our key", '{"error":{"code":"invalid_api_key","type":"invalid_request_error"}}', (" (invalid_api_key)", 0)),
    ("our quota", '{"error":{"code":"insufficient_quota","type":"x"}}', (" (insufficient_quota)", 60)),
    ("our credit", '{"error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}', ("", 60)),
    (
        "our limit",
        '{"error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}',
        ("", 60),
    ),
    ("no model", '{"error":{"code":"model_not_found","type":"invalid_request_error"}}', (" (model_not_found)", 0)),
]


@pytest.mark.parametrize(("event", "wanted"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
def test_errors_in_streams_are_judged_by_their_words(event: str, wanted: tuple[str, float] | None) -> None:
    failure = failure_of_event(event.encode(), 200)
    before = "reported an error before any content"
    lacks_flex = "_unavailable" in event
    if wanted is None:
        assert failure is None
    else:
        assert failure is not None
        expected = Failure(before + wanted[0], 200, wanted[1], lacks_flex=lacks_flex, is_spent=wanted[1] == 60)
        assert failure._replace(meant=0) == expected


@given(st.binary(max_size=60))
def test_whatever_an_event_says_is_understood_as_something(data: bytes) -> None:
    failure = failure_of_event(data, 200)
    assert failure is None or failure.status == 200


@given(st.binary(max_size=60), st.binary(max_size=40))
def test_whatever_a_cloud_says_is_understood_as_something(body: bytes, value: bytes) -> None:
    failure = failure_of(429, b"Retry-After: %b\r\n" % value, body, NOW_S)
    assert failure is None or failure.wait_s >= 0
    assert retry_after_s(b"retry-after-ms: %b\r\n" % value, NOW_S) >= 0


@pytest.mark.parametrize("ahead_s", [0, 3600, -3600])
def test_a_date_to_come_again_at_counts_from_the_servers_own_date(ahead_s: int) -> None:
    now_s = NOW_S + ahead_s  # by the server's clock
    head = f"date: {formatdate(now_s, usegmt=True)}\r\nretry-after: {formatdate(now_s + 9, usegmt=True)}\r\n"
    assert retry_after_s(head.encode(), NOW_S) == 9


# An error of the request, as servers write it: one member of an unusual type, or bytes that are no plain JSON.
NOT_THERE = "Item with id 'msg_1' not found."
UNUSUAL_ERRORS: dict[str, dict[str, object]] = {
    "a code in a list": {"code": ["missing"]},
    "a code that is an object": {"code": {"name": "missing"}},
    "a code that is a fraction": {"code": 404.0},
    "a code that is true": {"code": True},
    "a type that is a number": {"type": 404},
    "a param in a list": {"param": ["input", 0]},
    "metadata that is a text": {"metadata": "none"},
    "metadata in a list": {"metadata": [1]},
    "details that are a text": {"details": "none"},
}
UNUSUAL_BODIES = {
    **{name: json.dumps({"error": {"message": NOT_THERE, **odd}}).encode() for name, odd in UNUSUAL_ERRORS.items()},
    "words in a list": json.dumps({"error": {"message": [NOT_THERE]}}).encode(),
    "an error in a list": json.dumps({"error": [NOT_THERE]}).encode(),
    "a code beside a sentence": json.dumps({"error": NOT_THERE, "code": 404.5}).encode(),
    "details of FastAPI": json.dumps({"detail": [{"loc": ["body"], "msg": NOT_THERE}]}).encode(),
    "half of a pair": rb'{"error":{"message":"Item with id \ud83d not found."}}',
    "a byte that is not UTF-8": b'{"error":{"message":"Item with id \xfc not found."}}',
    "a byte order mark": b'\xef\xbb\xbf{"error":{"message":"Item with id 1 not found."}}',
    "an event": b'data: {"error":{"message":"Item with id 1 not found."}}\n\ndata: [DONE]\n\n',
    "an event with its type": b'event: error\r\ndata: {"error":{"message":"Item with id 1 not found."}}\r\n\r\n',
    "an event without data before it": b'event: a\n\ndata: {"error":{"message":"Item with id 1 not found."}}\n\n',
}


@pytest.mark.parametrize("body", UNUSUAL_BODIES.values(), ids=UNUSUAL_BODIES)
def test_an_unusual_member_takes_no_error_its_words(body: bytes) -> None:
    assert failure_of(404, b"", body, NOW_S) is None
    assert not lacks_path(404, body)


# An error inside a stream, before content → whether the same deployment may answer a moment later
PASSING_IN_STREAMS = {
    '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}': True,
    '{"error":{"message":"slow down","code":"rate_limit_exceeded"}}': True,
    '{"error":{"message":"sorry","code":"what"}}': True,
    '{"error":{"message":"too slow","code":408}}': True,
    '{"error":{"message":"no","code":"invalid_api_key","type":"authentication_error"}}': False,
    '{"error":{"message":"no","type":"permission_error"}}': False,
    '{"error":{"message":"spent","code":"insufficient_quota"}}': False,
    '{"error":{"message":"gone","code":"model_not_found","type":"not_found_error"}}': False,
}


@pytest.mark.parametrize(("event", "passes"), PASSING_IN_STREAMS.items())
def test_an_error_in_a_stream_passes_or_lasts(event: str, passes: bool) -> None:
    failure = failure_of_event(event.encode(), 200)
    assert failure is not None
    assert is_passing(failure, b"") is passes
    assert not is_passing(failure, head_of({"X-Should-Retry": "false"}))
    assert is_passing(failure, head_of({"X-Should-Retry": "true"})) is passes


def test_a_client_that_must_not_retry_is_told_so_once() -> None:
    head = head_of({"server": "x", "X-Should-Retry": "true", "retry-after": "1"})
    assert without_retry(head) == b"server: x\r\nretry-after: 1\r\nx-should-retry: false\r\n"
