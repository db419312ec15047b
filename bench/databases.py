"""PostgreSQL beside SQLite: what the same work takes with the control data in the one and in the other.

A home of each kind, by turns: a question to the agreement with the home's facts, a request through `serve`, a slice of
a budget granted and given back, and a month settled and posted. Time is elapsed: the server's processes are others than
those that ask it. It runs on this machine, behind a socket; a network adds its round trips. Then a gateway of a machine
dies while it holds a slice, and it is counted how long until what it has not spent is free for others.
"""

import contextlib
import os
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from bench.data_plane import Proxy, cloud_on, load
from bench.months import seal_month
from bench.price_tables import open_prices
from bench.results import Effort, Result, result
from bench.serving import allow, make_home, new_key, postgresql, serve
from bench.traffic import request
from clauseway import open_agreement
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import with_recorded
from clauseway.storage import Control
from clauseway.storage.customers.leases import LeaseRequest, Leases
from clauseway.values import KnownAt

_ACCEPTED = ("share-openai-microsoft", "cap")
_MONTH = date(2026, 5, 1)
_KNOWN_AT = KnownAt.end_of(date(2026, 7, 1))
_ROWS = 10_000
_QUESTIONS = _SLICES = 50
_SLICE = 10**12  # picodollars
_PATIENCE_S = 120.0


def measure(effort: Effort) -> list[Result]:
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as made,
        postgresql(Path(made)) as make_database,
        cloud_on(cores[0]) as cloud,
    ):
        folder, numbers = Path(made), iter(range(10**6))

        def fresh(who: str) -> Home:
            number = next(numbers)
            address = make_database(f"home{number}") if who == "ours" else ""
            return make_home(folder / f"home-{number}", cloud=cloud, address=address)

        homes = {who: fresh(who) for who in ("ours", "sqlite")}
        for home in homes.values():
            allow(home)
        return [
            _beside("decision", "ms", _decision_ms, homes, effort.rounds),
            _beside("lease", "ms", _lease_ms, homes, effort.rounds),
            _requests(homes, effort, cores),
            _settlement(fresh, effort.rounds),
            _of_the_dead(homes["ours"], effort.rounds),
        ]


def _beside(
    name: str,
    unit: str,
    take: Callable[[Home], float],
    homes: dict[str, Home],
    rounds: int,
) -> Result:
    runs: dict[str, list[float]] = {who: [] for who in homes}
    for _ in range(rounds):
        for who, home in homes.items():
            runs[who].append(round(take(home), 3))
    return result(f"replica/{name}-on-postgresql", unit, None, runs, {})


def _decision_ms(home: Home) -> float:
    """A question with the facts that the home records, which are read for it."""
    begun_s = time.perf_counter()
    for _ in range(_QUESTIONS):
        opened = with_recorded(open_agreement(), home)
        opened.decide(action="serve", party="openai", product="gpt-5.5", cloud="aws")
    return (time.perf_counter() - begun_s) / _QUESTIONS * 1000


def _lease_ms(home: Home) -> float:
    """A slice of the budget granted, and given back."""
    control = Control.open(home.control)
    try:
        leases = Leases(control)
        (budget,) = {standing.budget.id for standing in leases.standings(time.time_ns())}
        boot = uuid.uuid4().hex[:16]
        begun_s = time.perf_counter()
        for part in range(_SLICES):
            for is_over in (False, True):
                now_ns = time.time_ns()
                leases.lease([_asked(budget, boot, part, is_over=is_over)], now_ns)
        return (time.perf_counter() - begun_s) / _SLICES * 1000
    finally:
        control.close()


def _asked(budget: str, boot: str, part: int, *, is_over: bool) -> LeaseRequest:
    target = 0 if is_over else _SLICE
    return LeaseRequest(
        budget=budget,
        boot=boot,
        part=part,
        pid=os.getpid(),
        serial=1 + is_over,
        spent=0,
        least=target,
        target=target,
        is_over=is_over,
    )


def _requests(homes: dict[str, Home], effort: Effort, cores: Sequence[int]) -> Result:
    """CPU of the gateway for a request, while its budget is leased from the one or the other."""
    runs: dict[str, list[float]] = {who: [] for who in homes}
    with contextlib.ExitStack() as stack:
        proxies = {}
        for who, home in homes.items():
            secret = new_key(home).secret
            served = stack.enter_context(serve(home, core=cores[-1]))
            proxies[who] = Proxy(served.port, list(served.gateways), secret=secret)
        for _ in range(effort.rounds):
            for who, proxy in proxies.items():
                figures = load(proxy, seconds=effort.seconds, core=cores[0])
                runs[who].append(round(figures["cpu_us"], 2))
    return result("replica/request-on-postgresql", "CPU µs per request", None, runs, {})


def _settlement(fresh: Callable[[str], Home], rounds: int) -> Result:
    """A month of usage in one file, settled and posted in a home that has settled none."""
    opened, prices = open_agreement(), open_prices(_KNOWN_AT)
    runs: dict[str, list[float]] = {"ours": [], "sqlite": []}
    for _ in range(rounds):
        for who, taken_s in runs.items():
            home = fresh(who)
            seal_month(home, 0, _MONTH, _ROWS)
            begun_s = time.perf_counter()
            settle_month(home, opened, prices, f"{_MONTH:%Y-%m}", _ACCEPTED, {})
            taken_s.append(round(time.perf_counter() - begun_s, 3))
    name, note = "replica/settlement-on-postgresql", f"{_ROWS:,} rows"
    return result(name, "s", None, runs, {"ours": note})


def _of_the_dead(home: Home, rounds: int) -> Result:
    """A gateway is killed while it holds a slice: until the slice is free, but for what was spent."""
    secret = new_key(home).secret
    taken_s = []
    with leases_of(home) as leases:
        for _ in range(rounds):
            with serve(home) as served:
                ask(served.port, secret)
                held = leases.open()
                assert held, "the gateway holds no slice"
                begun_s = time.perf_counter()
                os.kill(served.gateways[0], signal.SIGKILL)
                boots = {lease.boot for lease in held}
                while boots & {lease.boot for lease in leases.open()}:
                    assert time.perf_counter() - begun_s < _PATIENCE_S, "the dead hold it still"
                    time.sleep(0.01)
                taken_s.append(round(time.perf_counter() - begun_s, 3))
    note = "another machine's slices are free once its journal was recovered or written off"
    return result(
        "replica/dead-gateway-slices-free-after", "s", None, {"ours": taken_s}, {"ours": note}
    )


@contextlib.contextmanager
def leases_of(home: Home) -> Iterator[Leases]:
    control = Control.open(home.control)
    try:
        yield Leases(control)
    finally:
        control.close()


def ask(port: int, secret: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request(stream=False, secret=secret))
        assert connection.recv(12) == b"HTTP/1.1 200"
