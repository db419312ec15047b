"""What a request costs through the gateway with everything on: key, route, rewritten model, usage, durable journal.

CPU time per request, user and system, all threads, plain HTTP over loopback: the gateway on one core, load and cloud on
the other. Ours and a plain nginx proxy by turns, because the machine itself is not the same from minute to minute.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import nginx
from bench.results import Effort, Result, result
from bench.traffic import MODEL, NAME_THERE, SECRET
from clauseway.gateway.keys import digest
from clauseway.gateway.plan import Auth, Epoch, Key, Plan, Route, Target
from clauseway.metering import Deployment, Ruling

_CONNECTIONS = 32
_GOALS_US = {"request/chat-c32": 30.0, "request/stream-53-events": 350.0}
_HASH_KEY = "5a" * 32


class _Proxy(msgspec.Struct):
    port: int
    processes: list[int]


def measure(effort: Effort) -> list[Result]:
    """Both benchmarks of the data plane."""
    cores = sorted(os.sched_getaffinity(0))
    proxy_core, other_core = cores[-1], cores[0]
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        cloud = stack.enter_context(_cloud(other_core))
        proxies = {"ours": stack.enter_context(_gateway(home, cloud, proxy_core))}
        peer = stack.enter_context(_nginx(home / "nginx", cloud, proxy_core))
        if peer is not None:
            proxies["nginx"] = peer
        seen: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(effort.rounds):
            for name in _GOALS_US:
                for who, proxy in proxies.items():
                    seen.setdefault((name, who), []).append(_load(proxy, name, effort.seconds, other_core))
    results = []
    for name, goal_us in _GOALS_US.items():
        runs = {who: [round(one["cpu_us"], 2) for one in seen[name, who]] for who in proxies}
        notes = {who: _note(seen[name, who]) for who in proxies}
        if peer is None:
            notes["nginx"] = "skipped: there is no nginx on this machine and Debian's package could not be fetched"
        results.append(result(name, "CPU µs per request", goal_us, runs, notes))
    return results


def _note(figures: list[dict[str, float]]) -> str:
    middle = sorted(figures, key=lambda one: one["cpu_us"])[len(figures) // 2]
    bad = sum(int(one["bad"]) for one in figures)
    return (
        f"{middle['rate']:,.0f} requests/s, p50 {middle['p50_us']:,.0f} µs, p99 {middle['p99_us']:,.0f} µs, "
        f"{bad} bad answers"
    )


def _load(proxy: _Proxy, name: str, seconds: float, core: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load", "--port", str(proxy.port), "--connections", str(_CONNECTIONS)]
    command += ["--seconds", str(seconds), *(f"--process={process}" for process in proxy.processes)]
    if "stream" in name:
        command.append("--stream")
    measured = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=lambda: _pin(core))
    figures: dict[str, float] = json.loads(measured.stdout)
    return figures


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def _cloud(core: int) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.cloud"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: _pin(core)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@contextlib.contextmanager
def _gateway(home: Path, cloud: int, core: int) -> Iterator[_Proxy]:
    plan = home / "plan.json"
    plan.write_bytes(msgspec.json.encode(_plan(cloud)))
    command = [sys.executable, "-m", "clauseway.gateway", "--plan", str(plan), "--spool", str(home / "spool")]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, preexec_fn=lambda: _pin(core)
    ) as process:  # fmt: skip
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield _Proxy(ready["ports"]["gateway"], [process.pid])
        process.terminate()


@contextlib.contextmanager
def _nginx(home: Path, cloud: int, core: int) -> Iterator[_Proxy | None]:
    binary = nginx.find(home)
    if binary is None:
        yield None
        return
    home.mkdir(parents=True, exist_ok=True)
    process, port = nginx.start(binary, home, cloud)
    everything = nginx.processes(process.pid)
    for one in everything:
        os.sched_setaffinity(one, {core})
    yield _Proxy(port, everything)
    process.terminate()
    process.wait()


def _plan(cloud: int) -> Plan:
    """One deployment under another name than the clients', so that every request is rewritten."""
    label = Deployment("bench-1", "azure", "openai", "eastus", "api.stateless", NAME_THERE)
    target = Target(
        label=label, dialect="azure", url=f"http://127.0.0.1:{cloud}/openai/v1",
        auth=Auth(kind="api-key", secret="bench"), input_price=2_500_000, output_price=15_000_000,
        output_tokens_max=4096,
    )  # fmt: skip
    hashed = digest(bytes.fromhex(_HASH_KEY), SECRET.encode()).hex()
    return Plan(
        agreement="bench", hash_key=_HASH_KEY, models={MODEL: "api.stateless"}, targets=(target,),
        rulings=(Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),),
        epochs=(Epoch(begin_ns=0, routes={"openai|api.stateless|direct": Route(candidates=((0, 0),))}),),
        keys=(Key(digest=hashed, organisation="acme", project="bench", key_id="k", seller="openai", segment="direct"),),
    )  # fmt: skip
