"""Each alert that ships fires in a real Prometheus when its fault is caused at a running gateway, and not before."""

import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    PATIENT_GATEWAY,
    SECRET,
    Connection,
    Received,
    Rig,
    key,
    status,
)
from ruamel.yaml import YAML
from test_gateway_copied import FollowerProcess
from test_operation_telemetry import Collector

from awaiting import eventually
from clauseway.app.customers.leasing import lease_server
from clauseway.app.opening.home import Home
from clauseway.app.running.upkeep import Upkeep
from clauseway.gateway.plan import Auth, Budget, Plan
from clauseway.gateway.plan.settings import Copying, Log, Settings, Telemetry
from clauseway.storage import Control
from clauseway.storage.customers.leases import usd
from clauseway.storage.customers.tenants import BudgetRow, Tenants
from clauseway.values import DAY_NS
from prometheus_server import ALERTS, Prometheus, scraping
from small_disks import SmallDisk, small_disk

# One client for all: to make one takes longer than a request.
HTTP = httpx.Client(timeout=PATIENCE_S)
FIGURES = Telemetry(metrics=True)
SMALL_SEGMENTS = str(Path(__file__).with_name("small_segments.py"))
SLOW_DISK = str(Path(__file__).with_name("slow_disk.py"))
# A request with a limit of ten tokens reserves less than this of a budget: its body, and ten tokens.
REQUEST_PICODOLLARS = 500_000_000
# A user of a request whose record is long: fewer of them fill a disk.
LONG_NAME = "u" * 64
# Gateways that share one budget, beside those of the faults.
SHARING = ("first", "second")


class Scene:
    """One gateway whose figures Prometheus scrapes."""

    def __init__(self, rig: Rig, listener: socket.socket, stack: ExitStack) -> None:
        self.rig, self.stack = rig, stack
        self._listener = listener

    def start(
        self, plan: Plan | None = None, *arguments: str, launcher: tuple[str, ...] = (), rig: Rig | None = None
    ) -> None:
        """Start the gateway, or another process that shares its port for figures."""
        if not self.rig.clouds:
            self.rig.cloud("azure")
        if plan is None:
            plan = self.rig.plan(settings=Settings(telemetry=FIGURES))
        more = {"launcher": launcher} if launcher else {}
        arguments += ("--metrics-listener", str(self._listener.fileno()))
        (rig or self.rig).start(plan, *arguments, pass_fds=(self._listener.fileno(),), **more)

    def post(self, **members: object) -> httpx.Response:
        body = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 10, **members}
        return HTTP.post(f"{self.rig.url}/v1/chat/completions", json=body, headers=AUTHORIZED)

    def figures(self) -> list[str]:
        return HTTP.get(f"http://127.0.0.1:{self._listener.getsockname()[1]}/metrics").text.splitlines()

    def home(self) -> Home:
        """A home whose journal the gateway writes, and whose damage it shows."""
        home = Home(self.rig.home / "home").make()
        self.rig.spool = home.spools / "gateway"
        return home


# A story is a healthy gateway until its first `yield`, and the fault from then on. It is asked to go on
# until the alert fires.
Story = Callable[[Scene], Iterator[None]]


def gateway_is_gone(scene: Scene) -> Iterator[None]:
    scene.start()
    yield
    scene.rig.kill()


def worker_hangs(scene: Scene) -> Iterator[None]:
    second = scene.stack.enter_context(Rig(scene.rig.home))
    second.control, second.spool = scene.rig.home / "control-2.sock", scene.rig.home / "spool-2"
    scene.start(None, "--worker", "0", "2")
    scene.start(None, "--worker", "1", "2", rig=second)
    yield
    assert second.process is not None
    second.process.send_signal(signal.SIGSTOP)
    scene.stack.callback(second.process.send_signal, signal.SIGCONT)


def disk_refuses_writes(scene: Scene) -> Iterator[None]:
    scene.start()
    yield
    assert scene.rig.process is not None
    resource.prlimit(scene.rig.process.pid, resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
    assert scene.post().status_code == 503


def disk_is_full(scene: Scene) -> Iterator[None]:
    disk = start_on_small_disk(scene)
    yield
    disk.fill()
    while scene.post(user=LONG_NAME).status_code == 200:
        pass


def next_segment_has_no_room(scene: Scene) -> Iterator[None]:
    disk = start_on_small_disk(scene)
    yield
    disk.fill(leave=16 << 10)
    # Any more, and the disk would be full before somebody scrapes.
    while "clauseway_journal_short 1.0" not in scene.figures():
        assert scene.post(user=LONG_NAME).status_code == 200


def start_on_small_disk(scene: Scene) -> SmallDisk:
    disk = scene.stack.enter_context(small_disk(scene.rig.home / "disk", 1 << 20))
    scene.rig.spool = disk.path / "spool"
    scene.start(launcher=(SMALL_SEGMENTS,))
    return disk


def follower_is_gone(scene: Scene, when_away: Any = "refuse") -> Iterator[None]:
    follower = FollowerProcess(scene.rig.home)
    scene.stack.callback(follower.kill)
    follower.start()
    copying = Copying(
        copies=1,
        follower=f"127.0.0.1:{follower.port}",
        secret_file=str(follower.secret),
        when_away=when_away,
        patience_s=5.0,
    )
    scene.rig.cloud("azure")
    scene.start(scene.rig.plan(settings=Settings(journal=copying, telemetry=FIGURES)))
    yield
    follower.kill()
    scene.post()


def follower_is_gone_and_answers_go_on(scene: Scene) -> Iterator[None]:
    return follower_is_gone(scene, "alone")


def database_is_away(scene: Scene) -> Iterator[None]:
    """A home that reaches its database says so again and again."""
    heard, over = scene.rig.home / "revocations", threading.Event()

    def reach() -> None:
        while not over.wait(0.2):
            heard.touch()

    reaching = threading.Thread(target=reach)
    reaching.start()
    scene.stack.callback(reaching.join)
    scene.stack.callback(over.set)
    scene.start(None, "--revocations", str(heard), "--shares-limits")
    yield
    over.set()


def journal_was_removed(scene: Scene) -> Iterator[None]:
    home = scene.home()
    scene.start(None, "--damages", str(home.damages))
    scene.post()
    upkeep = Upkeep(home, print)
    upkeep.round(merging=False)
    yield
    shutil.rmtree(scene.rig.spool)
    upkeep.round(merging=False)
    scene.post()


def lake_lost_a_file(scene: Scene) -> Iterator[None]:
    home = scene.home()
    scene.start(None, "--damages", str(home.damages))
    scene.post()
    upkeep = Upkeep(home, print)
    upkeep.round(merging=False)
    yield
    next((home.lake / "usage").rglob("*.parquet")).unlink()
    upkeep.round(merging=False)


def disk_is_slow(scene: Scene) -> Iterator[None]:
    scene.start(launcher=(SLOW_DISK,))
    for _ in range(20):
        scene.post()
    yield
    scene.rig.spool.with_name("slow").write_text("0.2")
    while True:
        scene.post()
        yield


def only_cloud_fails(scene: Scene) -> Iterator[None]:
    azure = scene.rig.cloud("azure")
    scene.start()
    yield
    azure.behaviour = status(500)
    while True:
        assert scene.post().status_code >= 500
        yield


def first_cloud_fails(scene: Scene) -> Iterator[None]:
    azure, _ = scene.rig.cloud("azure"), scene.rig.cloud("aws")
    scene.start()
    yield
    azure.behaviour = status(500)
    for _ in range(6):
        assert scene.post().status_code == 200


def source_gives(scene: Scene, later: str) -> Iterator[None]:
    """Credentials of AWS by the command that a profile names: good for two hours, and then as `later` says."""
    rig = scene.rig
    script = rig.home / "credentials.py"
    script.write_text(
        "import datetime, json, sys\n"
        "end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=float(sys.argv[1]))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'AKID', 'SecretAccessKey': 's', 'SessionToken': 't',"
        " 'Expiration': end.isoformat()}))\n"
    )
    lives = {"good": "7200", "later": later}
    (rig.home / "aws-config").write_text(
        "".join(
            f"[profile {name}]\ncredential_process = {sys.executable} {script} {life}\n" for name, life in lives.items()
        )
    )
    patch = scene.stack.enter_context(pytest.MonkeyPatch.context())
    patch.setenv("AWS_CONFIG_FILE", str(rig.home / "aws-config"))
    azure, aws = rig.cloud("azure"), rig.cloud("aws")

    def plan(profile: str) -> Plan:
        auth = Auth(kind="aws", service="bedrock", region="us-east-1", settings={"profile": profile})
        signed = rig.target("aws", aws.port, model="openai.gpt-5.4", dialect="bedrock", auth=auth)
        return rig.plan([rig.target("azure", azure.port), signed], settings=Settings(telemetry=FIGURES))

    scene.start(plan("good"))
    yield
    rig.write_plan(plan("later"))
    assert rig.process is not None
    rig.process.send_signal(signal.SIGHUP)


def source_gives_none(scene: Scene) -> Iterator[None]:
    return source_gives(scene, "nothing")


def source_gives_no_other(scene: Scene) -> Iterator[None]:
    return source_gives(scene, "55")


class Budgeted:
    """A home with one budget and its lease server; gateways ask it for slices."""

    def __init__(self, home: Home, stack: ExitStack) -> None:
        self._leases = str(home.lease_socket)
        self._control = Control.open(home.control)
        stack.callback(self._control.close)
        stack.enter_context(lease_server(home))

    def set(self, requests: int, period: str = "total") -> None:
        """So much that as many requests may be reserved at once."""
        amount = usd(requests * REQUEST_PICODOLLARS)
        row = BudgetRow(id="b", organisation="acme", period=period, amount=amount, currency="USD", created_ns=1)
        Tenants(self._control).set_budget(row)

    def start(self, scene: Scene) -> None:
        """Start a gateway whose only key has the budget, and that waits for the lease server of a busy machine."""
        rig, holder = scene.rig, msgspec.structs.replace(key(SECRET, "openai"), budgets=(0,))
        plan = rig.plan(
            [rig.target("azure", rig.cloud("azure").port)],
            keys=(holder,),
            budgets=(Budget(id="b", whose="organisation acme"),),
            leases=self._leases,
            settings=Settings(telemetry=FIGURES),
        )
        scene.start(plan, launcher=PATIENT_GATEWAY)


def budget_is_spent(scene: Scene) -> Iterator[None]:
    budget = Budgeted(scene.home(), scene.stack)
    budget.set(requests=1000)
    budget.start(scene)
    assert scene.post().status_code == 200
    yield
    budget.set(requests=30)
    while True:
        for _ in range(10):
            scene.post()
        yield


async def _report_a_part_that_is_no_count(connection: Connection, _: Received) -> None:
    usage = {"prompt_tokens": 21, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": "4"}}
    connection.answer(200, msgspec.json.encode({"choices": [], "usage": usage}))


def cloud_reports_what_cannot_be_read(scene: Scene) -> Iterator[None]:
    cloud = scene.rig.cloud("azure")
    scene.start()
    yield
    cloud.behaviour = _report_a_part_that_is_no_count
    while True:
        assert scene.post().status_code == 200
        yield


def nobody_takes_lines(scene: Scene) -> Iterator[None]:
    pipe = scene.rig.home / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    scene.stack.callback(os.close, reader)
    settings = Settings(log=Log(file=str(pipe), form="json", access=1.0, queue=1), telemetry=FIGURES)
    scene.rig.cloud("azure")
    scene.start(scene.rig.plan(settings=settings))
    yield
    while True:
        scene.post()
        yield


def collector_takes_nothing(scene: Scene) -> Iterator[None]:
    collector = Collector()
    scene.stack.callback(collector.shutdown)
    scene.rig.cloud("azure")
    telemetry = Telemetry(metrics=True, otlp_endpoint=collector.url)
    scene.start(scene.rig.plan(settings=Settings(telemetry=telemetry)))
    yield
    collector.status = 400
    while True:
        scene.post()
        yield


class Fault(NamedTuple):
    """The rule that a story makes fire. `also` are others that it makes fire, or may."""

    alert: str
    story: Story
    also: frozenset[str] = frozenset()


FAULTS = [
    Fault("ClausewayDown", gateway_is_gone),
    Fault("ClausewayWorkerAway", worker_hangs),
    Fault("ClausewayJournalFailed", disk_refuses_writes),
    Fault("ClausewayJournalFull", disk_is_full, frozenset({"ClausewayJournalShort"})),
    Fault("ClausewayJournalShort", next_segment_has_no_room),
    Fault("ClausewayCopyAway", follower_is_gone),
    Fault("ClausewayAlone", follower_is_gone_and_answers_go_on, frozenset({"ClausewayCopyAway"})),
    Fault("ClausewayDatabaseAway", database_is_away),
    Fault("ClausewayJournalGone", journal_was_removed, frozenset({"ClausewayJournalFailed"})),
    Fault("ClausewayUsageLost", lake_lost_a_file),
    Fault("ClausewaySlowDisk", disk_is_slow),
    Fault("ClausewayFailing", only_cloud_fails, frozenset({"ClausewayDeploymentEjected"})),
    Fault("ClausewayDeploymentEjected", first_cloud_fails),
    Fault("ClausewayNoCredential", source_gives_none),
    Fault("ClausewayCredentialEnds", source_gives_no_other, frozenset({"ClausewayNoCredential"})),
    Fault("ClausewayBudgetNearlySpent", budget_is_spent),
    Fault("ClausewayUsageOmitted", cloud_reports_what_cannot_be_read),
    Fault("ClausewayLinesDropped", nobody_takes_lines),
    Fault("ClausewayTelemetryDropped", collector_takes_nothing),
]


def test_each_alert_is_caused() -> None:
    (group,) = YAML(typ="safe").load(ALERTS)["groups"]
    assert sorted(fault.alert for fault in FAULTS) == sorted(rule["alert"] for rule in group["rules"])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    instances = [*(fault.alert for fault in FAULTS), *SHARING]
    with scraping(tmp_path_factory.mktemp("prometheus"), instances, slow=["ClausewayWorkerAway"]) as started:
        yield started


# A busy machine may answer a scrape too late, and write to its disk slowly.
OF_BUSY_MACHINES = {"ClausewayDown", "ClausewaySlowDisk"}


def is_quiet(prometheus: Prometheus, *instances: str) -> bool:
    """Return whether nothing fires for gateways whose requests were scraped, by an evaluation after that. Alerts of a
    busy machine are left aside, except an instance's own."""
    for name in instances:
        if not prometheus.values(f'sum(clauseway_requests_total{{instance="{name}"}}) >= 2'):
            return False
    scraped_s = time.time()
    eventually(lambda: prometheus.evaluated_after(scraped_s))
    return prometheus.firing(*instances) <= OF_BUSY_MACHINES - set(instances)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.alert.removeprefix("Clauseway"))
def test_an_alert_fires_when_its_fault_is_there(fault: Fault, prometheus: Prometheus, tmp_path: Path) -> None:
    name = fault.alert
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(tmp_path))
        scene = Scene(rig, prometheus.listeners[name], stack)
        story = fault.story(scene)
        next(story)
        for _ in range(2):
            assert scene.post().status_code == 200
        eventually(lambda: is_quiet(prometheus, name))
        next(story, None)
        seen: set[str] = set()

        def fires() -> bool:
            nonlocal seen
            next(story, None)
            seen |= prometheus.firing(name)
            return name in seen

        eventually(fires)
        assert seen - fault.also <= {name, *OF_BUSY_MACHINES}


def test_a_budget_in_slices_of_several_gateways_is_not_nearly_spent(prometheus: Prometheus, tmp_path: Path) -> None:
    """The first holds most of it, and has spent next to nothing."""
    home = Home(tmp_path / "home").make()
    with ExitStack() as stack:
        budget = Budgeted(home, stack)
        budget.set(requests=17)
        for name in SHARING:
            (tmp_path / name).mkdir()
            rig = stack.enter_context(Rig(tmp_path / name))
            rig.spool = home.spools / name
            scene = Scene(rig, prometheus.listeners[name], stack)
            budget.start(scene)
            for _ in range(2):
                assert scene.post().status_code == 200
        scraped = 'count(sum by (instance) (clauseway_requests_total{{instance=~"{}"}}) >= 2) == 2'
        eventually(lambda: prometheus.values(scraped.format("|".join(SHARING))))
        scraped_s = time.time()
        eventually(lambda: prometheus.evaluated_after(scraped_s))
        assert prometheus.firing(*SHARING) <= OF_BUSY_MACHINES


class LeaseServerClock:
    """The wall clock of this process, which is the lease server's: it stands at a second of today, so that a busy
    machine comes to no other day."""

    def __init__(self) -> None:
        now_ns = time.time_ns()
        self._day_ns = now_ns - now_ns % DAY_NS
        self.looked = 0
        self.set(12 * 3600)

    def set(self, second: int) -> None:
        self._at_ns = self._day_ns + second * 10**9

    def __call__(self) -> int:
        self.looked += 1
        return self._at_ns


def test_the_alert_of_a_budget_ends_with_its_day(
    prometheus: Prometheus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks on the day after."""
    name, clock = SHARING[0], LeaseServerClock()
    monkeypatch.setattr(time, "time_ns", clock)
    with ExitStack() as stack:
        scene = Scene(stack.enter_context(Rig(tmp_path)), prometheus.listeners[name], stack)
        budget = Budgeted(scene.home(), stack)
        budget.set(requests=30, period="day")
        budget.start(scene)
        while scene.post().status_code == 200:
            pass
        eventually(lambda: "ClausewayBudgetNearlySpent" in prometheus.firing(name))
        clock.set(24 * 3600 - 4)
        looked = clock.looked
        # The latest request of the day, by which the gateway hears when it ends.
        eventually(lambda: scene.post().status_code == 429 and clock.looked > looked)
        eventually(lambda: is_quiet(prometheus, name))
