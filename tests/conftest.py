"""Fixtures of every test: a browser where one is installed, and no skipping where CI is set."""

import functools
import gc
import os
import shutil
import ssl
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx._transports.default
import httpx2._transports.default
import pytest
import websockets.asyncio.client
import websockets.sync.client
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from clauseway.storage.control import passwords
from clauseway.storage.control.engines import Place
from memory_folders import memory_folder

if TYPE_CHECKING:
    from endpoints_rig import Endpoints
    from gateway_rig import Rig
    from gateway_stage import Stage

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
SOAKING = os.environ.get("SOAK", "1") != "1"
# Each of a thousand children would compile its libraries anew. `make` says so too; this is for pytest called by itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A loaded machine may pause any example, or its making, for longer than Hypothesis expects; what is slow is seen in the
# durations. Each run draws other examples, so what a run leaves out of Hypothesis's hundred the next ones bring.
settings.register_profile(
    "loaded-machine",
    deadline=None,
    max_examples=100 if SOAKING else 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("loaded-machine")
PATIENCE_S = 60.0  # an upper bound for a loaded machine, never the measure
# The headless shell comes first: it takes half of Chromium's CPU (choice 207).
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# A browser that talks to nobody but the page under test, and that runs as root in a container.
BROWSER_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _read_authorities_once(transports: ModuleType) -> None:
    """Let all clients of a library share one context with the public authorities: each client takes 20 ms to read them,
    which was the most of what many tests did. Contexts that a test makes itself stay its own."""
    make = transports.create_ssl_context
    shared = functools.cache(make)

    def create_ssl_context(verify: ssl.SSLContext | str | bool = True, **settings: object) -> ssl.SSLContext:
        context: ssl.SSLContext = (shared if verify is True else make)(verify, **settings)
        return context

    transports.create_ssl_context = create_ssl_context  # type: ignore[attr-defined]


def _be_patient(library: ModuleType) -> None:
    """Let clients without a timeout of their own wait a minute: a loaded machine may stand still for the library's
    five seconds."""
    timeout = library._config.DEFAULT_TIMEOUT_CONFIG
    timeout.connect = timeout.read = timeout.write = timeout.pool = PATIENCE_S


def _be_patient_with_sessions(connect: Any) -> None:
    """Let sessions over WebSockets wait a minute too, where the library waits for ten or twenty seconds."""
    defaults = connect.__kwdefaults__
    for wait in ("open_timeout", "ping_timeout", "close_timeout"):
        assert wait in defaults
        defaults[wait] = PATIENCE_S


# A try of a password takes tenths of a second, which keeps others from guessing it; tests make hundreds. The cost
# stands in each verifier. Processes that tests start have the cost that ships, and `test_passwords.py` holds it.
passwords._COST = 2**4

for library in (httpx, httpx2):
    _read_authorities_once(library._transports.default)
    _be_patient(library)
_be_patient_with_sessions(websockets.sync.client.connect)
_be_patient_with_sessions(websockets.asyncio.client.connect.__init__)


def _failed_for_skipping(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where CI is set, a test that did not run is a failure. Expected failures are no skips and stay."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: nothing may be skipped where CI is set. {reason}"


# A module stays whole, for its fixtures are costly. These are long, have none, and are dealt out test by test.
ONE_BY_ONE = (
    "test_any_text",
    "test_brief",
    "test_every_combination",
    "test_format",
    "test_laws",
    "test_outside_judges",
    "test_table",
)
# Modules that share a server or a machine's memory, by what they share: one process runs them one after another.
TOGETHER = {
    "test_lake_moved": "s3",
    "test_object_store": "s3",
    "test_publishing": "spark",  # Spark's processes are many and large
    "test_spark": "spark",
}
# The modules that take longest, by the durations of a whole run of two processes.
LONG_FIRST = (
    "test_simulated_seeds",
    "test_spark",
    "test_screens",
    "test_operation_alerts",
    "test_backup",
    "test_real_clients_together",
    "test_real_clients_agents",
    "test_missing_libraries",
    "test_real_clients_and_faults",
    "test_real_clients_openai_suite",
    "test_openapi_judged",
    "test_ports",
    "test_forms_walked",
    "test_night_on_screen",
    "test_line_screen",
    "test_settled_in_parts",
    "test_pages_in_words",
    "test_cli_person",
)


class ModuleScheduling(LoadScopeScheduling):  # type: ignore[misc]  # the library ships no types
    """Deals tests out to processes, a module at a time, in the order in which they were collected.

    pytest-xdist's own `--dist loadgroup` hands each group on as part of a test's id, which pytest 9.2 ignores: every
    module was split, and its fixtures made once in each process; choice 130 has the report.
    """

    def __init__(self, config: pytest.Config, log: Producer | None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return nodeid if name in ONE_BY_ONE else TOGETHER.get(name, name)


# Several times what a whole run writes there; a killed gateway leaves 20 MB.
ROOM_BYTES = 6 << 30


@pytest.hookimpl(tryfirst=True)  # before pytest makes its folder
def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests, let tests write into memory: a home forces each commit to its disk, a
    gateway each group of records, and a disk takes milliseconds for that (choice 229). The folder is removed at the
    end; `--basetemp` names one that stays."""
    is_shared = bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")
    if is_shared and config.option.basetemp is None:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        # One below: pytest makes its folder anew, and the lock is on this one.
        folder = stack.enter_context(memory_folder("clauseway-tests-", ROOM_BYTES, programs=True))
        config.option.basetemp = folder / "t"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, and leave what was collected out of each later look: nearly all of it stays,
    and a look walks all of it again. Later looks at everything are ten times rarer than by default: they took a sixth
    of the time of tests that hold tables of decisions."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.set_threshold(700, 10, 100)
    gc.enable()
    return collected


@pytest.hookimpl(optionalhook=True)  # a run without xdist has no such hook
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ModuleScheduling:
    return ModuleScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that only a soak walks over; begin with the long ones where several processes share the tests."""
    left_out = [] if SOAKING else [item for item in items if item.get_closest_marker("soaking") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Long modules begin, longest first, and single tests end a run: no process waits long for another."""
    name = item.path.stem
    if name in LONG_FIRST:
        return LONG_FIRST.index(name)
    return len(LONG_FIRST) + (name in ONE_BY_ONE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _failed_for_skipping(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _failed_for_skipping(report)
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium: the one named by CHROMIUM, else the first that is installed.

    One per module: while it is open its own event loop runs in this thread, and no test may start another.
    """
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else BROWSERS
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(
            "no Chromium on this machine (Debian: apt-get install chromium-headless-shell; or set CHROMIUM to its path)"
        )
    expect.set_options(timeout=PATIENCE_S * 1000)  # what is expected is awaited, not timed
    driven = sync_playwright()
    try:
        playwright = driven.start()
    except Exception as error:  # of no type of its own
        pytest.skip(
            f"Playwright does not start ({error}); its program needs libatomic (Debian: apt-get install libatomic1)"
        )
    try:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGS, timeout=PATIENCE_S * 1000)
        yield chromium
        chromium.close()
    finally:
        playwright.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where an empty control database may be made: each test that asks runs on SQLite and on a real PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "control.db"
    from postgresql_server import new_control_database  # noqa: PLC0415  # few tests load the driver

    return new_control_database()


@pytest.fixture
def rig(tmp_path: Path) -> "Iterator[Rig]":
    """A gateway's process and the scripted clouds behind it, none of them started."""
    from gateway_rig import Rig  # noqa: PLC0415  # the gateway's tests alone load it

    with Rig(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Stage]":
    """A running gateway for many scenes."""
    from gateway_stage import staged  # noqa: PLC0415  # the gateway's tests alone load it

    with staged(tmp_path_factory.mktemp("gateway")) as started:
        yield started


@pytest.fixture
def clouds(started: "Endpoints") -> "Endpoints":
    """The simulated clouds that a module has started, as if nobody had asked them anything yet."""
    started.clear_faults()
    started.forget_asked()
    return started


def pytest_sessionfinish() -> None:
    for module in ("forked_programs", "postgresql_server", "s3_server", "settled_book"):
        if started := sys.modules.get(module):
            started.stop()
    # pytest looks for garbage five times more: a process of a thousand tests holds a gigabyte.
    gc.freeze()
