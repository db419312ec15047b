"""The cost of a request with one, two and four workers, and with a copy of the journal on another disk.

`serve` runs over a home for each and is asked by turns as in `bench.data_plane`: with a key, a limit, a budget and a
record forced before the last byte.

First the workers lie on both cores, and each is asked as often a second as one alone, from both cores too: whoever asks
one worker from its own core alone wakes it for many requests at once, as nobody does over a network. What they cost
beyond one is the price of there being several. Then all of it lies on one core and is asked without pause, by 32
connections to each worker or by 32 that they share: what they lose by sharing a core, and the connections.

A copy is kept by `journal follow` on the other core and on the same disk: its round trip and its forced write add to
the answer.

Then four workers are asked for longer: the memory of each after the first round and after the last, and the descriptors
that are open once nobody asks any more.
"""

import contextlib
import itertools
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.data_plane import Proxy, cloud_on, load, note_of, resident_mb
from bench.peers.running import held_port
from bench.results import Effort, Result, result
from bench.serving import allow, make_home, new_key, serve
from clauseway.app.opening.home import Home
from clauseway.spool.segments import segment_path

Figures = dict[str, float]

_WORKERS = (1, 2, 4)
_CONNECTIONS = 32
_PACE = 1000.0  # requests a second of each worker: two of them do not fill a core
_GOAL = 1.1
_COPIES = """
[journal]
copies = 1
follower = "127.0.0.1:{port}"
secret_file = "{secret}"
"""
_PATIENCE_S = 30.0
# Four workers that are asked again and again: how often, and what each may grow by, as in `bench.churn`.
_MANY, _AGAIN, _GROWTH_MAX_MB = 4, 10, 2.0
_QUIET_S = 5.0
_SEGMENT = segment_path(Path(), 0).suffix
# Idle connections toward the cloud are closed soon, so that descriptors tell what is left open.
_CLOSES_SOON = "[gateway]\nupstream_idle_s = 1\n"


class Asked(NamedTuple):
    """The seconds of each load, the core that it runs on, and that of the gateways."""

    seconds: float
    core: int
    gateways_core: int

    def of(self, proxy: Proxy, connections: int, rate: float = 0.0) -> Figures:
        return load(proxy, seconds=self.seconds, core=self.core, connections=connections, rate=rate)


def measure(effort: Effort) -> list[Result]:
    cores = sorted(os.sched_getaffinity(0))
    core, other = cores[-1], cores[0]
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as made,
        cloud_on(other) as cloud,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(made)
        followed = stack.enter_context(follower(folder, other))
        proxies = {
            workers: stack.enter_context(
                _proxy(folder / f"workers-{workers}", cloud, core, workers=workers)
            )
            for workers in _WORKERS
        }
        spread = {
            workers: stack.enter_context(
                _spread(folder / f"spread-{workers}", cloud, cores, workers=workers)
            )
            for workers in _WORKERS
        }
        copied = stack.enter_context(_proxy(folder / "copied", cloud, core, more=followed))
        asked = Asked(effort.seconds, other, core)
        each: list[dict[int, Figures]] = []
        shared: list[dict[int, Figures]] = []
        paced: list[dict[int, Figures]] = []
        added_ms: dict[int, list[float]] = {1: [], _CONNECTIONS: []}
        for _ in range(effort.rounds):
            each.append({n: asked.of(proxy, n * _CONNECTIONS) for n, proxy in proxies.items()})
            shared.append({n: asked.of(proxy, _CONNECTIONS) for n, proxy in proxies.items()})
            paced.append({n: _from_each(cores, asked, proxy, n) for n, proxy in spread.items()})
            for connections, differences in added_ms.items():
                without = asked.of(proxies[1], connections)["p50_us"]
                with_copy = asked.of(copied, connections)["p50_us"]
                differences.append(round((with_copy - without) / 1000, 3))
        flat = list(_flatness(stack, folder, cloud, asked))
    alone = [figures[1] for figures in each]
    runs = {"ours": [round(figures["cpu_us"], 2) for figures in alone]}
    name = "replica/chat-1-worker"
    return [
        result(name, "CPU µs per request", None, runs, {"ours": note_of(alone)}),
        *_over_one("over-1", _GOAL, paced),
        *_over_one("on-one-core-over-1", None, each),
        *_over_one("that-share-32-connections-over-1", None, shared),
        *_of_copies(added_ms),
        *flat,
    ]


def _from_each(cores: Sequence[int], asked: Asked, proxy: Proxy, workers: int) -> Figures:
    """The figures of loads on all cores that ask together, at one pace for each worker."""
    connections, rate = workers * _CONNECTIONS // len(cores), workers * _PACE / len(cores)
    with ThreadPoolExecutor(len(cores)) as pool:
        figures = list(
            pool.map(lambda core: asked._replace(core=core).of(proxy, connections, rate), cores)
        )
    answered = sum(figure["rate"] for figure in figures)
    # Each load sees all that the gateways used, and counts its own answers alone.
    used = sum(figure["cpu_us"] * figure["rate"] for figure in figures) / len(figures)
    slowest = {name: max(figure[name] for figure in figures) for name in ("p50_us", "p99_us")}
    bad = sum(figure["bad"] for figure in figures)
    return {**slowest, "rate": answered, "bad": bad, "cpu_us": used / answered}


def _over_one(
    name: str, goal: float | None, seen: Sequence[dict[int, Figures]]
) -> Iterator[Result]:
    """CPU per request of several workers over that of one, round by round."""
    for workers in _WORKERS[1:]:
        times = [round(figures[workers]["cpu_us"] / figures[1]["cpu_us"], 3) for figures in seen]
        note = {"ours": note_of([figures[workers] for figures in seen])}
        yield result(f"replica/chat-{workers}-workers-{name}", "times", goal, {"ours": times}, note)


def _of_copies(added_ms: dict[int, list[float]]) -> Iterator[Result]:
    for connections, differences in added_ms.items():
        name = f"replica/copy-adds-c{connections}-p50"
        yield result(name, "ms", None, {"ours": differences}, {})


def _flatness(
    stack: contextlib.ExitStack, folder: Path, cloud: int, asked: Asked
) -> Iterator[Result]:
    """The growth of the worker that grows most, from the first round to the last."""
    home = make_home(folder / "flat", cloud=cloud)
    text = home.configuration.read_text()
    home.configuration.write_text(text.replace("[gateway]\n", _CLOSES_SOON, 1))
    proxy = stack.enter_context(_served(home, asked.gateways_core, workers=_MANY))
    connections, answered = _MANY * _CONNECTIONS, 0.0
    asked.of(proxy, connections)
    _await_idle(proxy)
    memory, descriptors = _memory_mb(proxy), _descriptors(proxy)
    for _ in range(_AGAIN):
        answered += asked.of(proxy, connections)["rate"] * asked.seconds
    _await_idle(proxy)
    note = {"ours": f"over {answered:,.0f} requests and {_AGAIN * connections:,} connections"}
    grown = [round(now - before, 2) for now, before in zip(_memory_mb(proxy), memory, strict=True)]
    more = [now - before for now, before in zip(_descriptors(proxy), descriptors, strict=True)]
    name = f"replica/{_MANY}-workers"
    yield result(f"{name}-memory-grows", "MB", _GROWTH_MAX_MB, {"ours": [max(grown)]}, note)
    yield result(f"{name}-descriptors-grow", "descriptors", 0, {"ours": [float(max(more))]}, note)


def _memory_mb(proxy: Proxy) -> list[float]:
    return [resident_mb([process]) for process in proxy.processes]


def _descriptors(proxy: Proxy) -> list[int]:
    """The number of descriptors of each worker, apart from segments of its journal: the present one, and from
    its middle on the next one too."""
    return [
        sum(not file.endswith(_SEGMENT) for file in _open_files(process))
        for process in proxy.processes
    ]


def _open_files(process: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            yield os.readlink(descriptor)


def _await_idle(proxy: Proxy) -> None:
    """Wait until the descriptors stay as many for a few of the gateways' rounds, as nobody asks."""
    before, same_since_s = _descriptors(proxy), time.monotonic()
    until_s = same_since_s + _PATIENCE_S
    while time.monotonic() - same_since_s < _QUIET_S:
        assert time.monotonic() < until_s, "descriptors come and go although nobody asks"
        time.sleep(0.1)
        now = _descriptors(proxy)
        if now != before:
            before, same_since_s = now, time.monotonic()


@contextlib.contextmanager
def _proxy(
    root: Path, cloud: int, core: int, *, workers: int = 1, more: str = ""
) -> Iterator[Proxy]:
    with _served(make_home(root, cloud=cloud, more=more), core, workers=workers) as proxy:
        yield proxy


@contextlib.contextmanager
def _spread(root: Path, cloud: int, cores: Sequence[int], *, workers: int) -> Iterator[Proxy]:
    """`serve` on a home, its workers on the cores by turns."""
    with _served(make_home(root, cloud=cloud), None, workers=workers) as proxy:
        for process, core in zip(proxy.processes, itertools.cycle(cores), strict=False):
            for thread in Path(f"/proc/{process}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})
        yield proxy


@contextlib.contextmanager
def _served(home: Home, core: int | None, *, workers: int) -> Iterator[Proxy]:
    """`serve` on a home, on one core if that is named, and a key with a limit and a budget."""
    allow(home)
    secret = new_key(home).secret
    with serve(home, workers=workers, core=core) as served:
        yield Proxy(served.port, list(served.gateways), secret=secret)


@contextlib.contextmanager
def follower(folder: Path, core: int) -> Iterator[str]:
    """A configuration's lines on a follower that runs until the block ends."""
    secret = folder / "follower.secret"
    secret.write_text(secrets.token_hex(32))
    port = held_port()
    command = [sys.executable, "-m", "clauseway", "journal", "follow"]
    command += ["--listen", f"127.0.0.1:{port}", "--secret-file", str(secret)]
    command += ["--home", str(folder / "follower")]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ) as process:
        try:
            _await_listener(port)
            yield _COPIES.format(port=port, secret=secret)
        finally:
            process.terminate()


def _await_listener(port: int) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until_s, "the follower does not listen"
            time.sleep(0.05)
        else:
            return
