"""What goes wrong around a served home while it serves: it is reported, and ends nothing that still works."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from awaiting import eventually
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import gateways as gateways_module
from clauseway.app.running import serving as serving_module
from clauseway.app.running.processes import Child, start
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving, to_standard_error
from small_disks import small_disk

PATIENCE_S = 60.0
CONFIGURATION = """
[gateway]
port = 0

[[deployment]]
name = "one"
dialect = "openai"
url = "http://127.0.0.1:1/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "bearer", secret = "sk-cloud"}
models = {"gpt-5.5" = "there"}
"""


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
