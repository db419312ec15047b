"""The time that a gateway's loop stands still while it takes over a plan with very many keys.

Every key was used before, so all that was made of it has to go. Then the plan is replaced, in turns by one without and
one with the asker's key, while that key lists its models once a millisecond: the longest of these answers, counted from
when its question was due, is the stop; the first with another status says when the plan was in force. Nothing of this
is written to a journal, so no disk is waited for.
"""

import contextlib
import gc
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.data_plane import gateway_on
from bench.results import Effort, Result, result
from clauseway.gateway.plan import Auth, Budget, Epoch, Key, Plan, RateLimit, Route, Target
from clauseway.gateway.plan.file import encode_plan
from clauseway.gateway.routing.key_digests import digest
from clauseway.metering import Deployment, Ruling

_SIZES = (20_000, 100_000)
_GOAL_MS = 10.0
_EVERY_S = 0.001
_KEYS_PER_BUDGET = 10
_HASH_KEY = "5a" * 32
_AT_ONCE = 100


def measure(effort: Effort) -> list[Result]:
    return [figure for keys in _SIZES for figure in _of(keys, effort.rounds)]


def _of(keys: int, rounds: int) -> list[Result]:
    cores = sorted(os.sched_getaffinity(0))
    full = _plan(keys)
    without = msgspec.structs.replace(full, keys=full.keys[1:])
    stops_ms, quiet_ms, in_force_s = [], [], []
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder, _on(cores[0]):
        home = Path(folder)
        with gateway_on(home, full, cores[-1]) as proxy, _connected(proxy.port) as connection:
            for begin in range(0, keys, _AT_ONCE):
                _use(connection, range(begin, min(begin + _AT_ONCE, keys)))
            for number in range(rounds):
                quiet_ms.append(
                    round(_ask(connection, 200 if number % 2 == 0 else 401, 1.0)[0] * 1000, 2)
                )
                _write(without if number % 2 == 0 else full, home / "plan.json")
                longest_s, took_s = _ask(
                    connection, 401 if number % 2 == 0 else 200, 1.0 + keys / 50_000
                )
                stops_ms.append(round(longest_s * 1000, 2))
                in_force_s.append(round(took_s, 3))
    name = f"plan/{keys // 1000}k-keys"
    note = {"ours": f"without a new plan at the same pace {min(quiet_ms)} to {max(quiet_ms)} ms"}
    return [
        result(f"{name}/longest-stop", "ms", _GOAL_MS, {"ours": stops_ms}, note),
        result(f"{name}/in-force-after", "s", None, {"ours": in_force_s}, {}),
    ]


def _secret(number: int) -> bytes:
    return b"sk-bench-%d" % number


def _plan(keys: int) -> Plan:
    """One deployment; a limit for each key, and a budget for every ten."""
    label = Deployment("bench-1", "azure", "openai", "eastus", "api.stateless", "gpt-5.4")
    target = Target(
        label=label,
        dialect="openai",
        url="http://127.0.0.1:9/v1",
        auth=Auth(kind="none"),
        input_price=2_500_000,
        output_price=15_000_000,
        output_tokens_max=4096,
    )
    hash_key = bytes.fromhex(_HASH_KEY)
    return Plan(
        agreement="bench",
        hash_key=_HASH_KEY,
        models={"gpt-5.4": "api.stateless"},
        targets=(target,),
        rulings=(Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),),
        epochs=(
            Epoch(begin_ns=0, routes={"openai|api.stateless|direct": Route(candidates=((0, 0),))}),
        ),
        limits=tuple(
            RateLimit(
                id=f"limit-{number}",
                whose=f"key {number}",
                requests_per_minute=10**6,
                tokens_per_minute=10**9,
            )
            for number in range(keys)
        ),
        budgets=tuple(
            Budget(id=f"budget-{number}", whose=f"project {number}")
            for number in range(keys // _KEYS_PER_BUDGET)
        ),
        keys=tuple(
            Key(
                digest=digest(hash_key, _secret(number)).hex(),
                organisation="acme",
                project=f"p-{number // 10}",
                key_id=f"key_{number}",
                seller="openai",
                segment="direct",
                limits=(number,),
                budgets=(number // _KEYS_PER_BUDGET,),
            )
            for number in range(keys)
        ),
    )


def _write(plan: Plan, path: Path) -> None:
    """Whole, by rename, as the product does."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.writelines(encode_plan(plan))
    fresh.rename(path)


def _question(number: int) -> bytes:
    return b"GET /v1/models HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer %b\r\n\r\n" % _secret(
        number
    )


def _use(connection: socket.socket, numbers: range) -> None:
    """Ask with each of these keys."""
    connection.sendall(b"".join(map(_question, numbers)))
    answered = b""
    while answered.count(b"HTTP/1.1 200") < len(numbers) or not answered.endswith(b"]}"):
        more = connection.recv(1 << 20)
        assert more, "the gateway hung up"
        answered += more


def _ask(connection: socket.socket, status: int, seconds: float) -> tuple[float, float]:
    """The longest answer, and after what time the first of that status came; for some seconds after it did."""
    question = _question(0)
    begun_s = due_s = time.perf_counter()
    longest_s, in_force_s, until_s = 0.0, 0.0, begun_s + 60.0
    while due_s < until_s:
        time.sleep(max(due_s - time.perf_counter(), 0.0))
        connection.sendall(question)
        answer = connection.recv(1 << 16)
        now_s = time.perf_counter()
        longest_s = max(longest_s, now_s - due_s)
        if not in_force_s and answer.startswith(b"HTTP/1.1 %d" % status):
            in_force_s, until_s = now_s - begun_s, now_s + seconds
        due_s = max(due_s + _EVERY_S, now_s)
    assert in_force_s, "the plan was not taken over within a minute"
    return longest_s, in_force_s


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


@contextlib.contextmanager
def _on(core: int) -> Iterator[None]:
    """This process on one core, and never at its own garbage meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, before)
