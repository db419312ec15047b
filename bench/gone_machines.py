"""A machine that is gone with its home: how long what it held of a budget stays taken.

Two homes share a database and a lake, `serve` runs in each, and the second one's journal has its copy at a follower.
All processes of the second home are killed while it holds a slice of the budget, and its home is removed. From then on
its journal is recovered from the copy at the first home: that is refused as long as the second may still be alive.
Counted is from the kill until what it has not spent is free.
"""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from bench.data_plane import cloud_on
from bench.databases import ask, leases_of
from bench.results import Effort, Result, result
from bench.serving import Served, allow, make_home, new_key, postgresql, serve
from bench.workers import follower
from clauseway.app.opening.home import Home
from clauseway.app.usage.recovering import copies_in, recover
from clauseway.app.usage.sealing import seal
from clauseway.storage.customers.leases import Leases
from clauseway.values import InvalidInput

_PATIENCE_S = 900.0
_ASKED_EVERY_S = 0.5
_WHY = "the machine is gone"


def measure(_effort: Effort) -> list[Result]:
    """It is measured once: nearly all of it is the silence after which a home counts as gone."""
    core = min(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as made,
        postgresql(Path(made)) as make_database,
        cloud_on(core) as cloud,
        follower(Path(made), core) as followed,
    ):
        folder, address = Path(made), make_database("machines")
        lake = folder / "lake"
        lake.mkdir()
        left = make_home(folder / "left", cloud=cloud, address=address)
        gone = make_home(folder / "gone", cloud=cloud, address=address, more=followed)
        for home in (left, gone):
            home.lake.symlink_to(lake)
        allow(gone)
        secret = new_key(gone).secret
        with serve(left), serve(gone) as served, leases_of(left) as leases:
            ask(served.port, secret)
            seal(gone)  # by that it is heard, as four times a minute while it lives
            free_s, command_s = _taken_over(left, gone, served, leases, folder / "follower")
    note = f"of which the command itself {command_s:.1f} s; the rest is the silence before it is allowed"
    name = "replica/gone-machine-slices-free-after"
    return [result(name, "s", None, {"ours": [round(free_s, 1)]}, {"ours": note})]


def _taken_over(
    left: Home, gone: Home, served: Served, leases: Leases, follower_home: Path
) -> tuple[float, float]:
    """Return after how many seconds the slices are free, and how long the command took."""
    held = {lease.boot for lease in leases.open()}
    assert held, "the gateway holds no slice"
    _kill(served)
    begun_s = time.perf_counter()
    shutil.rmtree(gone.root)
    copies = Home(follower_home).copies
    (copy,) = copies_in(copies)
    while True:
        asked_s = time.perf_counter()
        assert asked_s - begun_s < _PATIENCE_S, "the journal cannot be recovered"
        try:
            recover(left, copies, copy.spool, _WHY)
            break
        except InvalidInput:
            time.sleep(_ASKED_EVERY_S)
    command_s = time.perf_counter() - asked_s
    while held & {lease.boot for lease in leases.open()}:
        assert time.perf_counter() - begun_s < _PATIENCE_S, "the dead hold it still"
        time.sleep(0.05)
    return time.perf_counter() - begun_s, command_s


def _kill(served: Served) -> None:
    """End every process of a home at once, as a power failure does."""
    children = Path(f"/proc/{served.parent}/task/{served.parent}/children").read_text().split()
    for process in (served.parent, *map(int, children)):
        os.kill(process, signal.SIGKILL)
