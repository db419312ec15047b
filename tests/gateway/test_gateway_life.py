"""The gateway as a process: killed under load, stopped, orphaned, given a new plan, its disk taken away."""

import asyncio
import contextlib
import os
import resource
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import openai
import pytest
from gateway_rig import (
    AUTHORIZED,
    DONE_EVENT,
    GATEWAY,
    MESSAGES,
    MODEL,
    NAME_THERE,
    OTHER_SECRET,
    PATIENCE_S,
    PRODUCT,
    SECRET,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    parent_pipe,
    read_all,
    request_bytes,
    stall,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan import PlannedRetirement
from clauseway.metering import Status

CLIENTS = 32
EARLY_ANSWERS = str(Path(__file__).with_name("early_answers.py"))


class Load:
    """Clients that ask on and on until the gateway is gone, and remember the request ids of whole answers."""

    def __init__(self, port: int) -> None:
        self.answered: set[str] = set()
        self._port = port
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)

    async def _all(self) -> None:
        await asyncio.gather(*(self._client(stream=number % 4 == 0) for number in range(CLIENTS)))

    async def _client(self, *, stream: bool) -> None:
        request = request_bytes(chat_body(stream=stream))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while True:
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                if stream:
                    body = await reader.readuntil(b"\r\n0\r\n\r\n")
                    assert DONE_EVENT in body
                else:
                    await reader.readexactly(int(headers["content-length"]))
                self.answered.add(headers["x-clauseway-request-id"])


def missing_after_kills(rig: Rig, launcher: Sequence[str], kills: int) -> tuple[int, int]:
    """(answers that clients received, those of them without a usage record) over some kills under load."""
    rig.cloud("azure")
    answered: set[str] = set()
    for kill in range(kills):
        rig.start(launcher=launcher)
        load = Load(rig.port)
        load.start()
        goal = 300 + 37 * kill
        eventually(lambda load=load, goal=goal: len(load.answered) >= goal)  # type: ignore[misc]
        rig.kill()
        load.join()
        answered |= load.answered
    recorded = {str(record.request) for record in rig.records()}
    return len(answered), len(answered - recorded)


def test_no_answer_is_lost_by_kill_9(rig: Rig) -> None:
    answered, missing = missing_after_kills(rig, GATEWAY, kills=4)
    assert answered >= 4 * 300
    assert missing == 0
    # The next start gives every attempt that was open an end, and each attempt has exactly one.
    rig.start()
    rig.stop()
    records = rig.records()
    ended = [(record.request, record.attempt) for record in records]
    assert len(ended) == len(set(ended))
    assert {(intent.request, intent.attempt) for intent in rig.intents()} == set(ended)
    assert {record.status for record in records} <= {
        Status.COMPLETE,
        Status.INTERRUPTED,
        Status.INTERRUPTED_ESTIMATED,
        Status.LOST,
    }
    assert all(record.units for record in records if record.status is Status.COMPLETE)


def test_the_test_above_can_fail(rig: Rig) -> None:
    """The same kills against a gateway that answers before the record is durable: answers are missing."""
    answered, missing = missing_after_kills(rig, ("-E", EARLY_ANSWERS), kills=4)
    assert answered >= 4 * 300
    assert missing > 0


def test_attempts_open_at_a_kill_are_recorded_as_lost(rig: Rig) -> None:
    rig.cloud("azure", stall)
    rig.start()
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body()))
        eventually(lambda: rig.intents())
        rig.kill()
        assert read_all(connection) == b""
    rig.start()
    rig.stop()
    ((record, buyer, deployment, _),) = rig.entries()
    assert (record.status, record.http_status, record.units) == (Status.LOST, 0, ())
    assert (buyer.organisation, deployment.cloud) == ("acme", "azure")
    assert record.event_ns == rig.intents()[0].event_ns
    rig.start()
    rig.stop()
    assert len(rig.records()) == 1, "and only once"


def test_a_stop_lets_open_requests_end(rig: Rig) -> None:
    begun, stopping = threading.Event(), threading.Event()

    async def slowly(connection: Connection, request: Received) -> None:
        events = content_events(with_nulls=True)
        connection.begin_stream()
        connection.piece(b"".join(events[:3]))
        begun.set()
        while not stopping.is_set():
            await asyncio.sleep(0.01)
        connection.piece(b"".join(events[3:]) + DONE_EVENT)
        connection.end_stream()

    rig.cloud("azure", slowly)
    rig.start()
    with rig.socket() as connection, rig.socket() as idle:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert begun.wait(20)
        assert rig.process is not None
        rig.process.send_signal(signal.SIGTERM)
        assert read_all(idle) == b"", "idle connections are closed at once"
        with pytest.raises(ConnectionRefusedError):
            rig.socket()
        stopping.set()
        answer = read_all(connection)
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert rig.process.wait(20) == 0
    assert rig.records()[0].status is Status.ESTIMATED


def test_a_gateway_whose_parent_dies_stops(rig: Rig) -> None:
    rig.cloud("azure")
    with parent_pipe() as (child, die):
        rig.start(None, "--parent-pipe", str(child), pass_fds=[child])
        assert rig.post().status_code == 200
        die()
        assert rig.process is not None
        assert rig.process.wait(20) == 0


@pytest.mark.parametrize("how", ["replaced", "SIGHUP"])
def test_a_new_plan_is_taken_over_without_a_restart(rig: Rig, how: str) -> None:
    rig.cloud("azure")
    rig.start()
    client = rig.client()
    client.chat.completions.create(model=MODEL, messages=MESSAGES)
    changed = msgspec.structs.replace(rig.plan(), models={"another": "api.stateless"})
    rig.write_plan(changed)
    assert rig.process is not None
    if how == "SIGHUP":
        rig.process.send_signal(signal.SIGHUP)
    eventually(lambda: [model.id for model in client.models.list()] == ["another"])
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)
    client.chat.completions.create(model="another", messages=MESSAGES)
    rig.write_plan(msgspec.structs.replace(changed, keys=()))
    eventually(lambda: httpx.get(f"{rig.url}/v1/models", headers=AUTHORIZED).status_code == 401)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="another", messages=MESSAGES)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_under_way_names_the_plan_that_decided_it(rig: Rig, streamed: bool) -> None:
    cloud, goes_on = rig.cloud("azure"), asyncio.Event()

    async def answer_later(connection: Connection, request: Received) -> None:
        await goes_on.wait()
        await well(connection, request)

    rig.start()
    first = rig.post().headers["x-clauseway-plan"]
    cloud.behaviour = answer_later
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post, streamed)
        eventually(lambda: len(cloud.requests) == 2)
        rig.write_plan(rig.plan(agreement="another"))
        eventually(lambda: httpx.get(f"{rig.url}/readyz").json()["plan"] != first)
        cloud.loop.call_soon_threadsafe(goes_on.set)
        answer = waiting.result(PATIENCE_S)
    assert (answer.status_code, answer.headers["x-clauseway-plan"]) == (200, first)
    assert rig.post().headers["x-clauseway-plan"] != first


# Keys of another seller come first under the new plan, so that what is numbered by arrival has other numbers; or it has
# no such model any more.
@pytest.mark.parametrize(("others_first", "models"), [(False, {}), (True, {}), (False, {"another": PRODUCT})])
def test_a_customer_of_the_former_plan_is_told_of_its_own_market(
    rig: Rig, others_first: bool, models: dict[str, str]
) -> None:
    cloud, goes_on = rig.cloud("azure"), asyncio.Event()

    async def know_no_model_later(connection: Connection, _: Received) -> None:
        await goes_on.wait()
        connection.answer(404, b'{"error":{"message":"gone","code":"model_not_found"}}')

    retired = PlannedRetirement(name=NAME_THERE, surface="azure", begin_ns=0, message="It is retired.")
    plan = rig.plan([rig.target("azure", cloud.port, surface="azure", snapshot=NAME_THERE)], retirements=(retired,))
    rig.start(plan)
    first = rig.post().headers["x-clauseway-plan"]
    cloud.behaviour = know_no_model_later
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post)
        eventually(lambda: len(cloud.requests) == 2)
        rig.write_plan(msgspec.structs.replace(plan, agreement="another", models=models or plan.models))
        eventually(lambda: httpx.get(f"{rig.url}/readyz").json()["plan"] != first)
        if others_first:
            with pytest.raises(openai.APIStatusError):
                rig.client(OTHER_SECRET).chat.completions.create(model=MODEL, messages=MESSAGES)
        cloud.loop.call_soon_threadsafe(goes_on.set)
        answer = waiting.result(PATIENCE_S)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("It is retired. ")


def test_a_plan_that_is_none_changes_nothing(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    (rig.home / "plan.json").write_bytes(b'{"agreement": 5}')
    assert rig.process is not None
    rig.process.send_signal(signal.SIGHUP)
    eventually(lambda: "plan" in rig.errors())
    assert rig.post().status_code == 200


def test_a_bad_plan_stops_the_start_with_every_problem(rig: Rig) -> None:
    plan = rig.plan(
        [
            rig.target("azure", 1, dialect="cobol"),
            rig.target("aws", 1, url="ftp://somewhere"),
            rig.target("aws", 1, "another", url="ftp://somewhere"),
        ]
    )
    with pytest.raises(AssertionError) as failed:
        rig.start(msgspec.structs.replace(plan, hash_key="zz"))
    assert rig.process is not None
    assert rig.process.wait(20) == 3
    text = str(failed.value)
    assert f"{plan.targets[0].label.deployment}: unknown dialect 'cobol'" in text
    assert text.count(f"{plan.targets[1].label.deployment}.url: unusable address") == 1, "not once for each model"
    assert f"Fix the url, settings or auth of the deployment {plan.targets[1].label.deployment}." in text
    assert "hash_key: not hexadecimal" in text


def test_a_second_gateway_on_the_same_spool_does_not_start(rig: Rig, tmp_path: Path) -> None:
    rig.cloud("azure")
    rig.start()
    first = rig.process
    with pytest.raises(AssertionError, match="another process"):
        rig.start()
    assert first is not None
    first.kill()
    first.wait()


def test_a_journal_that_fails_serves_nothing_more(rig: Rig) -> None:
    azure = rig.cloud("azure")
    rig.start()
    assert rig.post().status_code == 200
    assert rig.process is not None
    # The kernel refuses every write beyond this size from now on, as a full disk would.
    (segment,) = rig.spool.glob("*.seg")
    assert os.path.getsize(segment) > 0
    resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
    answer = rig.post()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "journal_failed")
    asked = len(azure.requests)
    assert rig.post().status_code == 503
    assert rig.post(stream=True).status_code == 503
    assert len(azure.requests) == asked, "no cloud is asked for what cannot be recorded"
    assert httpx.get(f"{rig.url}/healthz").status_code == 503


def test_a_stream_whose_record_cannot_be_written_does_not_end_like_a_whole_one(rig: Rig) -> None:
    rig.cloud("azure", well)
    rig.start()
    assert rig.post().status_code == 200
    assert rig.process is not None
    resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
    answer = rig.post(stream=True)
    assert answer.status_code == 200
    assert "[DONE]" not in answer.text
    assert "journal_failed" in answer.text


def test_the_secret_is_nowhere_on_the_disk(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    rig.post()
    rig.stop()
    for path in rig.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
