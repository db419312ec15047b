"""Faults around a served home are reported while it serves, and end nothing that still works."""

import contextlib
import errno
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pytest

from awaiting import eventually
from clauseway.app.customers.keys import create_key, revoke_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import gateways as gateways_module
from clauseway.app.running import serving as serving_module
from clauseway.app.running import upkeep as upkeep_module
from clauseway.app.running.doctor import Patient, examine
from clauseway.app.running.processes import Child, start
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving, to_standard_error
from clauseway.app.usage.sealing import seal
from clauseway.pricing import PriceTable
from clauseway.values import KnownAt
from deployments import deployment
from small_disks import small_disk

PATIENCE_S = 60.0
CONFIGURATION = "[gateway]\nport = 0\n" + deployment()


class Kept(NamedTuple):
    """A home that is served, and what was reported of it."""

    home: Home
    served: Served
    signals: Signals
    reported: list[str]

    @property
    def is_ready(self) -> bool:
        url = self.served.gateway_url.removesuffix("/v1")
        return httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200

    def accepts(self, secret: str) -> bool:
        url, bearer = f"{self.served.gateway_url}/models", {"authorization": f"Bearer {secret}"}
        return httpx.get(url, headers=bearer, timeout=PATIENCE_S).status_code == 200

    @property
    def gateway(self) -> int:
        """The number of the process that serves."""
        (child,) = self.served.gateways
        return child.pid

    def has_reported(self, *words: str) -> bool:
        return any(all(word in text for word in words) for text in self.reported)


@contextlib.contextmanager
def kept(folder: Path, report: Callable[[str], None] | None = None) -> Iterator[Kept]:
    home = Home(folder).make()
    home.configuration.write_text(CONFIGURATION)
    options = ServeOptions(home=home, opened=open_agreements([]), configuration=home.configuration)
    signals, reported = Signals(), list[str]()
    with serving(options) as served:
        keeping = threading.Thread(target=keep, args=(options, served, signals, report or reported.append))
        keeping.start()
        try:
            yield Kept(home, served, signals, reported)
            assert keeping.is_alive()
        finally:
            signals.stop.set()
            keeping.join(PATIENCE_S)


@contextlib.contextmanager
def no_process_can_be_started(home: Home) -> Iterator[None]:
    """Each start opens a file for what the process says, and cannot."""
    aside = home.logs.rename(home.root / "aside")
    home.logs.write_text("no folder")
    yield
    home.logs.unlink()
    aside.rename(home.logs)


def test_processes_that_cannot_be_replaced_serve_on(tmp_path: Path) -> None:
    with kept(tmp_path) as kept_home:
        former = kept_home.gateway
        with no_process_can_be_started(kept_home.home):
            kept_home.signals.replace.set()
            eventually(lambda: kept_home.has_reported("were not all replaced", "logs"))
            assert kept_home.is_ready
            assert kept_home.gateway == former
        kept_home.signals.replace.set()
        eventually(lambda: kept_home.gateway != former)
        assert kept_home.is_ready


def test_a_process_that_cannot_be_started_again_yet_is_started_once_it_can(tmp_path: Path) -> None:
    with kept(tmp_path) as kept_home:
        former = kept_home.gateway
        with no_process_can_be_started(kept_home.home):
            os.kill(former, signal.SIGKILL)
            eventually(lambda: kept_home.has_reported("waits for the machine", "logs"))
        eventually(lambda: kept_home.has_reported("was started again"))
        assert kept_home.is_ready
        assert len(kept_home.reported) == 2, "the wait is reported once"


def test_no_try_to_start_a_process_keeps_a_descriptor(tmp_path: Path) -> None:
    """It is tried every few seconds, for as long as the machine starts none."""
    no_folder = tmp_path / "logs"
    no_folder.write_text("")
    folder_for_a_log = tmp_path / "gateway.log"
    folder_for_a_log.mkdir()
    before = os.listdir("/proc/self/fd")
    for log in (no_folder / "gateway.log", folder_for_a_log):
        with pytest.raises(OSError, match=r"gateway.log|logs"):
            start("the gateway", "clauseway.gateway", (), log)
    assert os.listdir("/proc/self/fd") == before


def test_processes_are_started_whatever_number_their_descriptors_have(tmp_path: Path) -> None:
    """`select` takes none above 1,023."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 4096), limits[1]))
    try:
        with contextlib.ExitStack() as opened:
            while opened.enter_context(Path(os.devnull).open("rb")).fileno() < 1100:
                pass
            with kept(tmp_path) as held:
                assert held.is_ready
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def pages_that_fail(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until the event is set, the pages fail where they start, for a reason of their own."""
    mended = threading.Event()

    def failing(name: str, module: str, arguments: Sequence[str], log: Path, **options: Any) -> Child:
        broken = [] if mended.is_set() else ["--no-such-flag"]
        return start(name, module, [*arguments, *broken], log, **options)

    monkeypatch.setattr(serving_module, "start", failing)
    monkeypatch.setattr(serving_module, "_PAGES_AGAIN_AFTER_S", 0.2)
    return mended


def pages_check(home: Home) -> list[str]:
    """Return the doctor's findings about the pages; without a configuration it asks no cloud."""
    prices = PriceTable((), KnownAt.everything())
    patient = Patient(opened=open_agreements([]), prices=prices, configuration=home.root / "none.toml", home=home)
    return [check.found for check in examine(patient).checks if check.what == "pages"]


def test_pages_that_cannot_start_stop_no_traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the start nor later; who looks is told, and they come back once they can."""
    mended = pages_that_fail(monkeypatch)
    with kept(tmp_path) as kept_home:
        (note,) = kept_home.served.notes
        assert "The gateway serves without the pages" in note
        eventually(lambda: kept_home.has_reported("The gateway serves on without the pages", "no-such-flag"))
        assert kept_home.is_ready
        (said,) = pages_check(kept_home.home)
        assert "no-such-flag" in said
        mended.set()
        eventually(lambda: kept_home.has_reported("the pages ended and were started again"))
        assert httpx.get(kept_home.served.pages_url, timeout=PATIENCE_S).status_code == 200
        assert pages_check(kept_home.home) == []
        assert len(kept_home.reported) == 2, "the failure is reported once"


def test_a_home_that_nobody_serves_lacks_no_pages(tmp_path: Path) -> None:
    """Killed while it served without them, `serve` left its reason behind."""
    home = Home(tmp_path / "home").make()
    with open_control(home):
        pass
    home.pages_away.write_text("their port is taken")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(home.lease_socket))
    assert pages_check(home) == []


def test_upkeep_that_cannot_be_loaded_yet_is_loaded_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no descriptor is left."""
    failing = ["first", "second"]

    def load(name: str) -> ModuleType:
        if name == serving_module._UPKEEP and failing:
            failing.pop()
            raise OSError(errno.EMFILE, "Too many open files", "upkeep.py")
        return import_module(name)

    monkeypatch.setattr(serving_module, "import_module", load)
    monkeypatch.setattr(serving_module, "_SEAL_EVERY_S", 0.1)
    with kept(tmp_path) as kept_home:
        eventually(lambda: kept_home.has_reported("Usage cannot be sealed yet", "Too many open files"))
        eventually(lambda: kept_home.home.damages.exists())
        assert len(kept_home.reported) == 1, "the failure is reported once"


@pytest.mark.parametrize("fault", [MemoryError(), pa.ArrowInvalid("Corrupt snappy compressed data")])
def test_upkeep_that_fails_ends_no_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """Usage waits in the journals meanwhile."""
    fails = threading.Event()

    def seal_or_fail(home: Home) -> object:
        if fails.is_set():
            raise fault
        return seal(home)

    fails.set()
    monkeypatch.setattr(upkeep_module, "seal", seal_or_fail)
    monkeypatch.setattr(serving_module, "_SEAL_EVERY_S", 0.1)
    with kept(tmp_path) as kept_home:
        eventually(lambda: kept_home.has_reported("could not be sealed and waits", type(fault).__name__))
        fails.clear()
        eventually(lambda: kept_home.home.damages.exists())
        assert kept_home.is_ready
        assert len(kept_home.reported) == 1, "the failure is reported once"


def test_a_process_that_finds_a_full_disk_is_started_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried: other workers serve on meanwhile."""
    starts = []

    def counted(name: str, *words: Any, **options: Any) -> Child:
        starts.append(name)
        return start(name, *words, **options)

    monkeypatch.setattr(gateways_module, "start", counted)
    monkeypatch.setattr(serving_module, "_AGAIN_AFTER_S", 0.1)
    monkeypatch.setattr(serving_module, "_ENDS_MAX", 1)
    with small_disk(tmp_path / "disk", 80 << 20) as disk, kept(disk.path / "home") as kept_home:
        disk.fill()
        os.kill(kept_home.gateway, signal.SIGKILL)
        eventually(lambda: kept_home.has_reported("waits for the machine", "No space left on device"))
        eventually(lambda: len(starts) >= 4)
        disk.clear()
        eventually(lambda: kept_home.has_reported("was started again"))
        assert kept_home.is_ready


def gone(home: Home) -> tuple[Path, Path]:
    """Move the home's folder away, as a mount that goes: where it was, and where it is."""
    return home.root, home.root.rename(home.root.with_name("aside"))


def emptied(home: Home) -> tuple[Path, Path]:
    """As a mount that goes and leaves its mount point."""
    place, aside = gone(home)
    place.mkdir()
    return place, aside


def without_control_data(home: Home) -> tuple[Path, Path]:
    return home.embedded_control, home.embedded_control.rename(home.root / "control.aside")


@pytest.mark.parametrize("remove", [gone, emptied, without_control_data])
def test_no_home_is_begun_in_place_of_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remove: Callable[[Home], tuple[Path, Path]]
) -> None:
    """A home that was begun anew would have no keys: every customer would hear that theirs is not known."""
    monkeypatch.setattr(serving_module, "_SEAL_EVERY_S", 0.2)
    catalog = open_agreements([]).catalog
    with kept(tmp_path / "home") as kept_home:
        home = kept_home.home
        key = create_key(home, catalog, organisation="acme", project="p", seller="openai", segment="any")
        eventually(lambda: kept_home.accepts(key.secret))
        place, aside = remove(home)
        kept_home.signals.reload.set()
        eventually(lambda: kept_home.has_reported("The database is away", "No such file"))
        eventually(lambda: kept_home.has_reported("could not be sealed", "No such file"))
        assert kept_home.accepts(key.secret)
        with pytest.raises(httpx.HTTPStatusError):
            httpx.get(kept_home.served.pages_url, timeout=PATIENCE_S).raise_for_status()
        # A round that was under way may have made the lake's folder: in it, too, nothing is written.
        assert not place.is_file()
        assert {path.name for path in place.rglob("*")} <= {"lake"}
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)
        revoke_key(home, key.key_id)
        eventually(lambda: not kept_home.accepts(key.secret))
        page = httpx.get(kept_home.served.pages_url, timeout=PATIENCE_S)
        assert (page.status_code, page.headers.get("server")) == (200, None), "what serves tells strangers what to try"


def test_a_journal_that_cannot_be_ended_is_left_to_the_next_start(tmp_path: Path) -> None:
    with kept(tmp_path) as kept_home:
        former = kept_home.gateway
        os.kill(former, signal.SIGSTOP)  # it does not leave
        kept_home.signals.replace.set()
        eventually(lambda: kept_home.has_reported("processes were replaced"))
        with no_process_can_be_started(kept_home.home):
            os.kill(former, signal.SIGKILL)
            eventually(lambda: kept_home.has_reported("was replaced and ended with -9", "left to the next start"))
        assert kept_home.is_ready


def test_a_report_that_nobody_reads_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    tried = threading.Event()

    def report(text: str) -> None:
        to_standard_error(text)
        tried.set()

    with open(write, "w") as broken, kept(tmp_path, report) as kept_home:
        monkeypatch.setattr("sys.stderr", broken)
        kept_home.home.configuration.write_text("[gateway]\nprot = 0\n")
        assert tried.wait(PATIENCE_S)
        assert kept_home.is_ready
        monkeypatch.undo()
        with contextlib.suppress(BrokenPipeError):
            broken.close()
