"""Replicas on one PostgreSQL: how soon a change holds on all, and what an idle replica asks of the database.

Two homes share a database; `serve` runs in each, as on two machines. A key is revoked again and again, at any moment of
the replicas' rounds, while both are asked for their models with it every other millisecond: the change holds once both
answer 401, counted from the beginning of the command. Then nobody writes anything, and PostgreSQL's own counters say
how often it was asked.
"""

import contextlib
import http.client
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from bench.results import Effort, Result, result
from bench.serving import make_home, new_key, postgresql, serve
from clauseway.app.customers.keys import revoke_key
from clauseway.app.opening.home import Home

_REPLICAS, _CHANGES, _GOAL_S = 2, 50, 1.0
_IDLE_S = 20.0
_EVERY_S = 0.002
_PATIENCE_S = 60.0
_SEED = 1


def measure(effort: Effort) -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder,
        postgresql(Path(folder)) as make_database,
    ):
        address = make_database("replicas")
        homes = [
            make_home(Path(folder) / f"home-{number}", address=address)
            for number in range(_REPLICAS)
        ]
        with contextlib.ExitStack() as stack:
            replicas = [stack.enter_context(serve(home)) for home in homes]
            delays_s = list(_delays_s(homes[0], [replica.port for replica in replicas]))
            asked, cpu_s = _idle(address, [replica.parent for replica in replicas])
    in_order = sorted(delays_s)
    note = f"{_CHANGES} changes"
    slowest = {"ours": [in_order[int(0.99 * _CHANGES)]]}
    return [
        result("replica/change-holds-on-all", "s", _GOAL_S, {"ours": in_order}, {"ours": note}),
        result("replica/change-holds-on-all-p99", "s", _GOAL_S, slowest, {"ours": note}),
        result("replica/idle-transactions", "per second", None, {"ours": [asked / _REPLICAS]}, {}),
        result("replica/idle-cpu", "% of a core", None, {"ours": [cpu_s / _REPLICAS * 100]}, {}),
    ]


def _delays_s(home: Home, ports: list[int]) -> Iterator[float]:
    chance = random.Random(_SEED)
    for _ in range(_CHANGES):
        key = new_key(home)
        for port in ports:
            _ask_until(port, key.secret, 200)
        time.sleep(chance.uniform(0, 0.5))
        held_s: list[float] = []
        asking = [threading.Thread(target=_note, args=(held_s, port, key.secret)) for port in ports]
        for thread in asking:
            thread.start()
        begun_s = time.perf_counter()
        revoke_key(home, key.key_id)
        for thread in asking:
            thread.join()
        assert len(held_s) == len(ports), "a replica goes on by the revoked key"
        yield round(max(held_s) - begun_s, 3)


def _note(held_s: list[float], port: int, secret: str) -> None:
    held_s.append(_ask_until(port, secret, 401))


def _ask_until(port: int, secret: str, status: int) -> float:
    """Return when the first answer with this status came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    with contextlib.closing(connection):
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until_s = time.perf_counter() + _PATIENCE_S
        while time.perf_counter() < until_s:
            connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {secret}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == status:
                return time.perf_counter()
            time.sleep(_EVERY_S)
    raise TimeoutError(f"no answer {status} within {_PATIENCE_S:g} s")


def _idle(address: str, processes: list[int]) -> tuple[float, float]:
    """Return transactions a second, and CPU seconds a second of the processes, while nobody writes."""
    with psycopg.connect(address, autocommit=True) as connection:
        before, cpu_s, begun_s = _asked(connection), _cpu_s(processes), time.perf_counter()
        time.sleep(_IDLE_S)
        took_s = time.perf_counter() - begun_s
        asked = _asked(connection) - before
        return asked / took_s, (_cpu_s(processes) - cpu_s) / took_s


def _asked(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def _cpu_s(processes: list[int]) -> float:
    """Return the CPU time of processes, user and system."""
    ticks = 0
    for process in processes:
        figures = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(figures[11]) + int(figures[12])
    return ticks / os.sysconf("SC_CLK_TCK")
