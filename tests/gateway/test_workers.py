"""Several workers at one port, as `clauseway serve --workers` runs them: killed under load, replaced, asked for each
other's objects, on one plan, under one limit."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from gateway_rig import (
    ANSWER,
    MESSAGES,
    PATIENCE_S,
    Connection,
    Received,
    Rig,
    stall,
)
from gateway_stage import RESPONSE
from one_cloud import CONFIGURATION, HaltingChat, sealed_records
from prometheus_client.parser import text_string_to_metric_families
from web_socket_rig import WHOLE, Halting, closing_of, kinds, message, opened, until_end

from awaiting import eventually
from clauseway import spool
from clauseway.app.customers.allowances import GivenScope, set_limit
from clauseway.app.customers.keys import create_key, revoke_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import gateways
from clauseway.app.running.processes import Child
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving
from clauseway.metering import Status
from clauseway.spool import read_frames

MODEL = "gpt-5.5"
CLIENTS = 8
STOP_DELAY_S = 6.0  # time enough to see on a busy machine that both are about to stop
REQUESTS = "/clauseway/v1/requests"


class Team:
    """A served home with two workers over one scripted cloud, and a key."""

    def __init__(self, root: Path, rig: Rig) -> None:
        self.home = Home(root / "home").make()
        self.cloud = rig.cloud("azure")
        (self.home.root / "key").write_text("sk-cloud")
        self.opened = open_agreements([])
        self.secret = self.key("p")
        self.configure("")
        self.reports: list[str] = []
        self.signals = Signals()
        self.served: Served
        self.keeping: threading.Thread

    def configure(self, more: str, gateway: str = "") -> None:
        """Write the configuration, with `gateway` in its section of that name and `more` behind everything."""
        text = CONFIGURATION.format(port=self.cloud.port).replace("[gateway]\n", f"[gateway]\n{gateway}\n", 1)
        self.home.configuration.write_text(text + more)

    def key(self, project: str) -> str:
        made = create_key(
            self.home, self.opened.catalog, organisation="acme", project=project, seller="openai", segment="any"
        )
        self.key_id = made.key_id
        return made.secret

    @contextlib.contextmanager
    def running(self, workers: int = 2) -> Iterator["Team"]:
        options = ServeOptions(
            home=self.home, opened=self.opened, configuration=self.home.configuration, workers=workers
        )
        self.signals = Signals()
        with serving(options) as self.served:
            self.keeping = threading.Thread(target=keep, args=(options, self.served, self.signals, self.reports.append))
            self.keeping.start()
            try:
                yield self
            finally:
                self.signals.stop.set()
                self.keeping.join(PATIENCE_S)

    @property
    def workers(self) -> list[Child]:
        return list(self.served.gateways)

    @property
    def authorized(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}

    def client_of(self, worker: int) -> httpx.Client:
        """A client whose only connection is one worker's."""
        while True:
            client = httpx.Client(
                base_url=self.served.gateway_url.removesuffix("/v1"),
                headers=self.authorized,
                timeout=PATIENCE_S,
                limits=httpx.Limits(max_connections=1),
            )
            if client.get("/readyz").json()["worker"] == worker:
                return client
            client.close()

    def both(self) -> list[httpx.Client]:
        return [self.client_of(0), self.client_of(1)]

    def records(self) -> list[tuple[str, Status]]:
        return sealed_records([self.home])


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with Rig(tmp_path) as rig:
        yield Team(tmp_path, rig)


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 9})


async def made_and_fetched(connection: Connection, request: Received) -> None:
    """A cloud that keeps responses: the one it made can be asked for by name."""
    path = request.head.split(b" ")[1]
    connection.answer(200, RESPONSE if path.startswith(b"/v1/responses") else ANSWER)


def test_all_workers_serve_one_plan_and_know_each_others_objects(team: Team) -> None:
    team.cloud.behaviour = made_and_fetched
    team.configure("[telemetry]\nmetrics = true\nmetrics_port = 0\n")
    with team.running():
        clients = team.both()
        ready = [client.get("/readyz").json() for client in clients]
        assert [worker["worker"] for worker in ready] == [0, 1]
        (plan,) = {worker["plan"] for worker in ready}
        answers = [ask(client) for client in clients]
        assert {answer.headers["x-clauseway-plan"] for answer in answers} == {plan}
        # Each explains the other's requests and lists those of both, the newest first, page by page. One that does
        # not answer the other within a second is left out, for the moment.
        names = [answer.headers["x-clauseway-request-id"] for answer in answers]
        for client in clients:
            eventually(partial(explains, client, names))
            assert client.get(f"{REQUESTS}/req_{0:032x}").status_code == 404
            eventually(partial(lists, client, names[1:], has_more=True))
            eventually(partial(lists, client, names[:1], has_more=False, after=names[1]))
            assert client.get(REQUESTS, params={"status": 404}).json()["data"] == []
            # The request with the same number since another start is none that they know.
            for unknown in (f"req_{0:032x}", f"req_{int(names[1][4:20], 16) ^ (1 << 40):016x}{names[1][20:]}"):
                error = client.get(REQUESTS, params={"after": unknown}).json()["error"]
                assert (error["code"], error["param"]) == ("not_found", "after")
        # A key is accepted by both, and refused by both once it is revoked.
        other = team.key("other")
        for client in clients:
            client.headers["authorization"] = f"Bearer {other}"
            eventually(lambda client=client: client.get("/v1/models").status_code == 200)  # type: ignore[misc]
        revoke_key(team.home, team.key_id)
        for client in clients:
            eventually(lambda client=client: client.get("/v1/models").status_code == 401)  # type: ignore[misc]
            client.headers["authorization"] = f"Bearer {team.secret}"
        # A response that one made is the other's too.
        first, second = clients
        made = first.post("/v1/responses", json={"model": MODEL, "input": "Which cloud?", "store": True})
        assert made.status_code == 200
        assert second.get(f"/v1/responses/{made.json()['id']}").json() == made.json()
        assert second.delete(f"/v1/responses/{made.json()['id']}").status_code == 200
        # The figures of both, whoever is asked.
        port = team.workers[0].ready["ports"]["metrics"]
        eventually(lambda: workers_shown(port) == {"gateway", "gateway-1"})
        # Their counts together are what the pages show: two answers, and three about the response.
        (counted,) = httpx.get(f"{team.served.pages_url}counts.json").json()["clouds"]
        assert (counted["cloud"], counted["served"]) == ("azure", 5)


def explains(client: httpx.Client, names: list[str]) -> bool:
    return [client.get(f"{REQUESTS}/{name}").json().get("id") for name in names] == names


def lists(client: httpx.Client, names: list[str], *, has_more: bool, **asked: str) -> bool:
    """Return whether these requests are on a page of one. A page after a request whose worker does not answer within
    a second is refused."""
    page = client.get(REQUESTS, params={"limit": "1", **asked}).json()
    return ([view["id"] for view in page.get("data", ())], page.get("has_more")) == (names, has_more)


def workers_shown(port: int) -> set[str]:
    """Return the workers whose connections are counted in the figures."""
    shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    samples = [sample for family in text_string_to_metric_families(shown) for sample in family.samples]
    return {sample.labels["worker"] for sample in samples if sample.name == "clauseway_connections"}


class Load:
    """Clients that ask on and on, on new connections where theirs broke, and remember whole answers."""

    def __init__(self, team: Team) -> None:
        self.answered: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self._team, self._stopping = team, threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _ask(self) -> None:
        base = self._team.served.gateway_url.removesuffix("/v1")
        while not self._stopping.is_set():
            with (
                contextlib.suppress(httpx.TransportError),
                httpx.Client(base_url=base, headers=self._team.authorized, timeout=PATIENCE_S) as client,
            ):
                while not self._stopping.is_set():
                    answer = ask(client)
                    self.statuses[answer.status_code] += 1
                    if answer.status_code == 200:
                        self.answered.add(answer.headers["x-clauseway-request-id"])

    def goes_on(self, count: int = 40) -> None:
        goal = len(self.answered) + count
        eventually(lambda: len(self.answered) >= goal)


def test_a_killed_worker_loses_nothing_and_the_other_serves_on(team: Team) -> None:
    with team.running():
        with Load(team) as load:
            for turn in range(3):
                load.goes_on()
                killed = team.workers[turn % 2]
                os.kill(killed.pid, signal.SIGKILL)
                load.goes_on()
                eventually(lambda killed=killed: killed.pid not in {child.pid for child in team.workers})  # type: ignore[misc]
        assert all("was started again" in text for text in team.reports)
        assert len(team.reports) == 3
        # Both are there again.
        for client in team.both():
            assert ask(client).status_code == 200
        assert load.statuses.keys() == {200}
    records = team.records()
    complete = {request for request, status in records if status is Status.COMPLETE}
    assert len(records) == len({request for request, _ in records}), "each once"
    assert load.answered <= complete
    # Requests open at a kill were ended by the worker that came in its place.
    assert {status for _, status in records} <= {Status.COMPLETE, Status.LOST, Status.INTERRUPTED_ESTIMATED}
    places = [place for journal in team.home.gateway_journals() for place in spool.positions(journal)]
    assert all(place.closed for place in places)


def test_a_key_is_revoked_while_a_worker_is_started_again(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with team.running():
        key_id, survivor, killed = team.key_id, team.client_of(1), team.workers[0]
        assert survivor.get("/v1/models").status_code == 200
        monkeypatch.setattr(gateways, "_MODULE", "late_gateway")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        monkeypatch.setenv("GATE", str(gate))
        os.kill(killed.pid, signal.SIGKILL)
        with gate.open("wb"):  # which another process reads from now on: the one that is started
            revoke_key(team.home, key_id)
            eventually(lambda: survivor.get("/v1/models").status_code == 401)
            assert killed.pid in {child.pid for child in team.workers}, "the other one still waits"
        assert team.client_of(0).get("/v1/models").status_code == 401


def test_a_limit_holds_over_workers_that_die(team: Team) -> None:
    """30 a minute, asked for much faster than that, within a minute, while workers are killed."""
    set_limit(team.home, team.opened.catalog, GivenScope(organisation="acme"), 30, 0)
    begin_s = time.monotonic()
    with team.running(), Load(team) as load:
        eventually(lambda: load.statuses[429] > 20)
        os.kill(team.workers[0].pid, signal.SIGKILL)
        refused = load.statuses[429]
        eventually(lambda: load.statuses[429] > refused + 40)
        eventually(lambda: team.reports)
    # A busy machine may be at it for more than a minute.
    assert 1 <= load.statuses[200] <= 30 * (1 + int((time.monotonic() - begin_s) / 60))
    # The lease server of a busy machine may be too late with a share: 503, which says so, and no more pass.
    assert load.statuses.keys() - {503} == {200, 429}


def test_processes_are_replaced_without_breaking_a_stream(team: Team) -> None:
    team.cloud.behaviour = halting = HaltingChat()
    with team.running():
        before = {child.pid for child in team.workers}
        streams = [_Stream(client) for client in team.both()]
        for stream in streams:
            eventually(lambda stream=stream: stream.begun)  # type: ignore[misc]
        with Load(team) as load:
            load.goes_on()
            team.signals.replace.set()
            eventually(lambda: before.isdisjoint(child.pid for child in team.workers))
            load.goes_on()
            # A load balancer goes on, too.
            assert all(client.get("/readyz").status_code == 200 for client in team.both())
        assert all(os.path.exists(f"/proc/{pid}") for pid in before), "their streams are open"
        halting.may_go_on.set()
        for stream in streams:
            stream.join()
            assert stream.text.endswith("data: [DONE]\n\n")
        assert load.statuses.keys() == {200}
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in before))
        assert team.reports == ["The gateway's processes were replaced."]
    records = team.records()
    assert {status for _, status in records} == {Status.COMPLETE}
    assert len(records) == len(load.answered) + len(streams)


def test_a_stop_is_announced_before_the_port_closes(team: Team) -> None:
    """Each worker says at /readyz that it stops, and answers requests, for as long as the configuration says."""
    team.configure("", gateway=f"stop_delay_s = {STOP_DELAY_S}")
    with team.running():
        clients = team.both()
        asked_s = time.monotonic()
        team.signals.stop.set()
        for client in clients:
            eventually(lambda client=client: client.get("/readyz").status_code == 503)  # type: ignore[misc]
            assert client.get("/readyz").json()["error"]["code"] == "stopping"
            assert ask(client).status_code == 200
        # The port is open until this returns.
        team.keeping.join(PATIENCE_S)
        assert not team.keeping.is_alive()
        assert time.monotonic() - asked_s >= STOP_DELAY_S


def test_sessions_move_to_the_processes_that_replace_theirs(team: Team) -> None:
    """A turn that is being made ends where it began; who is idle is told to go, and comes back to another process."""
    team.cloud.behaviour = halting = Halting()
    asked = message(model=MODEL)
    with team.running():
        url, before = team.served.gateway_url, {child.pid for child in team.workers}
        with opened(url, team.secret) as busy, opened(url, team.secret) as idle:
            busy.send(asked)
            assert halting.begun.wait(PATIENCE_S)
            team.signals.replace.set()
            assert closing_of(idle)[0] == 1001
            # Both have closed the port.
            eventually(lambda: sum(log.read_text().count('"drain"') for log in team.home.logs.glob("*.log")) == 2)
            with opened(url, team.secret) as again:
                halting.may_go_on.set()
                again.send(asked)
                assert kinds(until_end(busy)) == kinds(until_end(again)) == WHOLE
                assert closing_of(busy)[0] == 1001
                eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in before))
                again.send(asked)
                assert kinds(until_end(again)) == WHOLE
    assert [status for _, status in team.records()] == [Status.COMPLETE] * 3


class _Stream(threading.Thread):
    """A stream that is read to its end."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__(daemon=True)
        self.text, self._client = "", client
        self.start()

    @property
    def begun(self) -> bool:
        return bool(self.text)

    def run(self) -> None:
        body = {"model": MODEL, "messages": MESSAGES, "stream": True}
        with self._client.stream("POST", "/v1/chat/completions", json=body) as answer:
            for text in answer.iter_text():
                self.text += text


def test_a_journal_that_no_worker_writes_any_more_is_ended(team: Team) -> None:
    """Two workers die with requests open, and so does the process that would start them again: one comes back."""
    team.cloud.behaviour = stall
    with team.running():
        hanging = [threading.Thread(target=_never_answered, args=(client,), daemon=True) for client in team.both()]
        for thread in hanging:
            thread.start()
        eventually(lambda: len(team.cloud.requests) == 2)
        journals = team.home.gateway_journals()
        eventually(lambda: all(_open(journal) for journal in journals))
        team.signals.stop.set()
        for child in team.workers:
            os.kill(child.pid, signal.SIGKILL)
    assert [_open(journal) for journal in journals] == [1, 1]
    with team.running(workers=1):
        assert _open(journals[1]) == 0
    assert Counter(status for _, status in team.records()) == {Status.LOST: 2}


def _never_answered(client: httpx.Client) -> None:
    with contextlib.suppress(httpx.TransportError):
        ask(client)


def _open(journal: Path) -> int:
    """How many attempts have no end in a journal."""
    batches = [read_frames(journal, place.segment, 0, 1 << 40) for place in spool.positions(journal)]
    begun = {(intent.request, intent.attempt) for batch in batches for intent in batch.intents}
    ended = {(record.request, record.attempt) for batch in batches for record in batch.records}
    return len(begun - ended)
