"""A request through the gateway with everything on: key, limits, budget, routing, model, usage, journal.

CPU time per request, user and system, all threads, over loopback: the gateway on one core, load and cloud on the other.
Ours and the peers by turns, because the machine itself is not the same from minute to minute. All figures of a run are
from that run; `docs/benchmarks.md` says how to read them.
"""

import contextlib
import itertools
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from io import FileIO
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from bench.certificates import Certificates, make_certificates
from bench.peers import PEERS, cache, nginx
from bench.results import Effort, Result, ratio, result
from bench.traffic import MODEL, NAME_THERE, SECRET, holding_request, request, request_body
from clauseway.app.customers.allowances import GivenScope, set_budget
from clauseway.app.customers.leasing import lease_server
from clauseway.app.customers.tenants import create_tenant
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.gateway.plan import Auth, Budget, Epoch, Key, Lack, Plan, RateLimit, Route, Target
from clauseway.gateway.plan.settings import Settings, TlsSettings
from clauseway.gateway.routing.key_digests import digest
from clauseway.metering import Deployment, Ruling
from clauseway.spool.segments import fill_with_zeros

_ROOT = Path(__file__).parents[1]
_COMPILED = _ROOT / "build" / "compiled"
_CONNECTIONS = 32
_STREAMS = 1000
_HASH_KEY = "5a" * 32
_DISK = "forced writes alone"
_COMMIT_EVERY_S = 0.001  # as a busy journal commits
_TAKEN_FROM_S = 0.0005  # interrupts take less
_FORCED_BYTES, _FORCED_PLACES = 400, 10_000
_VENDOR_SIGNATURES = 5_000
_SIGNED = Auth(
    kind="sigv4",
    secret="bench",
    access_key="AKIDBENCH",
    service="bedrock-mantle",
    region="us-east-1",
)
_NOT_HERE = "skipped: it could not be fetched on this machine"


class Proxy(msgspec.Struct):
    """An address that is put under load, and the processes whose CPU time counts."""

    port: int
    processes: list[int]
    headers: tuple[str, ...] = ()
    authority: str = ""  # who signed its certificate, where it speaks TLS
    secret: str = SECRET


def measure(effort: Effort) -> list[Result]:
    """All benchmarks of the data plane."""
    with running(effort) as bench:
        requests = bench.beside_peers("request/chat-c32", stream=False)
        streams = bench.beside_peers("request/stream-53-events", stream=True)
        return [
            requests,
            *ratio("request/chat-over-envoy", 0.85, requests, "envoy"),
            *ratio("request/chat-over-nginx", 2.8, requests, "nginx"),
            streams,
            *ratio("request/stream-over-envoy", 1.0, streams, "envoy"),
            *ratio("request/stream-over-nginx", 1.0, streams, "nginx"),
            *bench.times_more(requests, {"portkey": 15.0, "litellm": 150.0}),
            *bench.other_authentication(),
            bench.encryption(),
            *bench.latency(requests),
            *bench.memory(),
            bench.first_request(),
        ]


@contextlib.contextmanager
def running(effort: Effort, peers: Sequence[str] = tuple(PEERS)) -> Iterator["Bench"]:
    """A bench with its gateway on one core, load and cloud on the other, until the block ends."""
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder,
        contextlib.ExitStack() as stack,
    ):
        cloud = stack.enter_context(cloud_on(cores[0]))
        yield Bench(effort, stack, Path(folder), cloud, cores[-1], cores[0], peers)


class Bench:
    """One run: a cloud, our gateway and the peers that can be had, all on this machine."""

    def __init__(
        self,
        effort: Effort,
        stack: contextlib.ExitStack,
        home: Path,
        cloud: int,
        core: int,
        other_core: int,
        peers: Sequence[str] = tuple(PEERS),
    ) -> None:
        self.effort, self.stack, self.home = effort, stack, home
        self.cloud, self.core, self.other_core = cloud, core, other_core
        house = Home(root=home / "house")
        create_tenant(house, "acme")
        everything = set_budget(
            house, open_agreement().catalog, GivenScope(organisation="acme"), "1000000000", "total"
        )
        self.budget = Budget(id=everything.id, whose=everything.whose)
        self.leases = stack.enter_context(lease_server(house))
        self.ours = self.another("ours")
        self.interpreted: dict[str, Proxy] = {}
        if compiled():
            plan = _plan(
                cloud, _auth_by_key(), "azure", "/openai/v1", self.budget, str(self.leases)
            )
            interpreted = gateway_on(home / "interpreted", plan, core, interpreted=True)
            self.interpreted["interpreted"] = stack.enter_context(interpreted)
        self.peers: dict[str, Proxy] = {}
        self.missing: dict[str, str] = {}
        for name in peers:
            running = PEERS[name](cache(), home / name, cloud)
            if running is None:
                self.missing[name] = _NOT_HERE
                continue
            stack.callback(running.stop)
            self.peers[name] = Proxy(running.port, running.processes(), running.headers)
            for process in running.processes():
                _pin_all(process, core)

    def gateway(
        self,
        name: str,
        auth: Auth,
        dialect: str,
        path: str,
        *,
        under: Sequence[str] = (),
        **more: Any,
    ) -> Proxy:
        """Our gateway over the cloud, with that way of authenticating to it; `under` is the command of
        a program that runs it and watches."""
        plan = _plan(self.cloud, auth, dialect, path, self.budget, str(self.leases), **more)
        return self.stack.enter_context(gateway_on(self.home / name, plan, self.core, under=under))

    def another(self, name: str, *, under: Sequence[str] = ()) -> Proxy:
        """Our gateway over the cloud, with a key, in a folder of its own."""
        return self.gateway(name, _auth_by_key(), "azure", "/openai/v1", under=under)

    def load(
        self,
        proxy: Proxy,
        *,
        stream: bool = False,
        connections: int = _CONNECTIONS,
        rate: float = 0.0,
    ) -> dict[str, float]:
        return load(
            proxy,
            seconds=self.effort.seconds,
            core=self.other_core,
            stream=stream,
            connections=connections,
            rate=rate,
        )

    def beside_peers(self, name: str, *, stream: bool) -> Result:
        proxies = {"ours": self.ours, **self.interpreted, **self.peers}
        seen: dict[str, list[dict[str, float]]] = {who: [] for who in proxies}
        for _ in range(self.effort.rounds):
            for who, proxy in proxies.items():
                seen[who].append(self.load(proxy, stream=stream))
        runs = {
            who: [round(figure["cpu_us"], 2) for figure in figures] for who, figures in seen.items()
        }
        notes = {who: note_of(figures) for who, figures in seen.items()} | self.missing
        how = "compiled" if self.interpreted else "interpreted, as nothing could be compiled here"
        notes["ours"] += f"; {how}"
        return result(name, "CPU µs per request", None, runs, notes)

    def times_more(self, requests: Result, goals: dict[str, float]) -> list[Result]:
        """Each peer's CPU for a request, in times ours, round by round."""
        ours = requests.runs["ours"]
        return [
            result(
                f"request/{who}-takes-times-more",
                "times ours",
                goal,
                {
                    "ours": [
                        round(peer / own, 1)
                        for own, peer in zip(ours, requests.runs[who], strict=True)
                    ]
                },
                {},
                direction="higher",
            )
            for who, goal in goals.items()
            if who in requests.runs
        ]

    def other_authentication(self) -> list[Result]:
        """The CPU of signing on top of a key: the difference, round by round. Beside AWS's signature stands one by its
        own signer alone."""
        signed = self.gateway("sigv4", _SIGNED, "bedrock", "/openai/v1")
        by_aws = self._on_top("request/sigv4-on-top", signed, {"botocore": _botocore_us})
        settings = {"compartment": "ocid1.compartment.oc1..bench"}
        by_rsa = self.gateway("oci", _auth_by_rsa(), "oci", "/openai/v1", settings=settings)
        return [
            by_aws,
            *ratio("request/sigv4-on-top-over-botocore", 0.2, by_aws, "botocore"),
            self._on_top("request/oci-signature-on-top", by_rsa, {}),
        ]

    def _on_top(
        self, name: str, gateway: Proxy, beside: Mapping[str, Callable[[], float]]
    ) -> Result:
        runs: dict[str, list[float]] = {who: [] for who in ("ours", *beside)}
        notes = []
        before_us = self.load(self.ours)["cpu_us"]
        for _ in range(self.effort.rounds):
            other, after_us = self.load(gateway), self.load(self.ours)["cpu_us"]
            # The machine's pace drifts: the key's cost is that of before and after.
            runs["ours"].append(round(other["cpu_us"] - (before_us + after_us) / 2, 2))
            before_us = after_us
            notes.append(other)
            for who, cost_us in beside.items():
                runs[who].append(round(cost_us(), 2))
        return result(name, "CPU µs per request", None, runs, {"ours": note_of(notes)})

    def encryption(self) -> Result:
        """The CPU of TLS toward clients and toward the cloud, ours and nginx's: the difference to plain HTTP, round
        by round. Connections are kept, so all hands were shaken before a round counts."""
        made = make_certificates(self.home / "certificates")
        authority = str(made.authority)
        cloud = self.stack.enter_context(cloud_on(self.other_core, made))
        plan = _encrypted(
            _plan(cloud, _auth_by_key(), "azure", "/openai/v1", self.budget, str(self.leases)), made
        )
        ours = self.stack.enter_context(gateway_on(self.home / "tls", plan, self.core))
        pairs = {"ours": (self.ours, msgspec.structs.replace(ours, authority=authority))}
        running = (
            nginx.start(cache(), self.home / "nginx-tls", cloud, made)
            if "nginx" in self.peers
            else None
        )
        if running is not None:
            self.stack.callback(running.stop)
            for process in running.processes():
                _pin_all(process, self.core)
            pairs["nginx"] = (
                self.peers["nginx"],
                Proxy(running.port, running.processes(), authority=authority),
            )
        runs: dict[str, list[float]] = {who: [] for who in pairs}
        seen: dict[str, list[dict[str, float]]] = {who: [] for who in pairs}
        for _ in range(self.effort.rounds):
            for who, (plain, encrypted) in pairs.items():
                before, after = self.load(plain), self.load(encrypted)
                runs[who].append(round(after["cpu_us"] - before["cpu_us"], 2))
                seen[who].append(after)
        notes = {who: note_of(figures) for who, figures in seen.items()}
        return result("request/tls-on-top", "CPU µs per request", None, runs, notes)

    def latency(self, requests: Result) -> list[Result]:
        """Added at one connection beyond the cloud and a forced write; and the slowest hundredth at half load. Beside
        them nginx, which forces nothing to disk: what a hop and the pace cost on this machine; and forced writes
        without any gateway: what its disk costs."""
        cloud, rate = Proxy(self.cloud, [os.getpid()]), _rate_of(requests) / 2
        beside = {"nginx": self.peers["nginx"]} if "nginx" in self.peers else {}
        added: dict[str, list[float]] = {who: [] for who in ("ours", *beside)}
        slowest: dict[str, list[float]] = {who: [] for who in ("ours", *beside, _DISK)}
        windows: dict[str, list[float]] = {who: [] for who in ("ours", *beside)}
        notes = []
        for _ in range(self.effort.rounds):
            direct_us = self.load(cloud, connections=1)["p50_us"]
            for who, proxy in {"ours": self.ours, **beside}.items():
                through = self.load(proxy, connections=1)
                own_us = through["p50_us"] - direct_us
                if who == "ours":
                    forced_us = _forced_write_us(self.home, self.effort.seconds, through["rate"])
                    own_us -= forced_us
                    notes.append(f"{direct_us:.0f} direct, {forced_us:.0f} fdatasync µs")
                added[who].append(round(own_us / 1000, 3))
                paced = self.load(proxy, rate=rate)
                slowest[who].append(round(paced["p99_us"] / 1000, 3))
                windows[who].append(round(paced["window_p99_us"] / 1000, 3))
            slowest[_DISK].append(round(_late_forced_write_ms(self.home, self.effort.seconds), 3))
        one_at_a_time = result(
            "latency/added-c1-p50", "ms", None, added, {"ours": "; ".join(notes)}
        )
        pace = {"ours": f"{rate:,.0f} requests/s; {self._taken_by_others()}"}
        half_load = result("latency/half-load-p99", "ms", None, slowest, pace)
        by_window = result("latency/half-load-window-p99", "ms", None, windows, {})
        return [
            one_at_a_time,
            *ratio("latency/added-c1-p50-over-nginx", 1.3, one_at_a_time, "nginx"),
            half_load,
            *ratio("latency/half-load-p99-over-nginx", 1.5, half_load, "nginx"),
            by_window,
            *ratio("latency/half-load-window-p99-over-nginx", None, by_window, "nginx"),
        ]

    def _taken_by_others(self) -> str:
        """The time that others of this machine take from two processes that never sleep, one on each core."""
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            seconds = itertools.repeat(self.effort.seconds)
            taken = list(pool.map(_taken_ms, (self.core, self.other_core), seconds))
        whole_ms, longest_ms = (
            sum(sum(times) for times in taken),
            max((0.0, *itertools.chain(*taken))),
        )
        return (
            f"others took {whole_ms / self.effort.seconds:.0f} ms a second of two cores that never "
            f"sleep, {longest_ms:.0f} ms at the longest"
        )

    def memory(self) -> list[Result]:
        """Resident memory of a gateway that has just started, and with a thousand streams open."""
        fresh = self.another("fresh")
        idle = resident_mb(fresh.processes)
        open_streams = [_hold(fresh.port) for _ in range(_STREAMS)]
        for stream in open_streams:
            stream.recv(1)
        busy = resident_mb(fresh.processes)
        for stream in open_streams:
            stream.close()
        return [
            result("memory/idle", "MB resident", 50.0, {"ours": [idle]}, {}),
            result("memory/1000-streams", "MB resident", 100.0, {"ours": [busy]}, {}),
        ]

    def first_request(self) -> Result:
        """From starting the process to the first answer."""
        took = []
        for number in range(self.effort.rounds):
            begun_s = time.perf_counter()
            proxy = self.another(f"first-{number}")
            with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
                connection.sendall(request(stream=False))
                assert connection.recv(12) == b"HTTP/1.1 200"
            took.append(round(time.perf_counter() - begun_s, 3))
        return result("start/first-request", "s", 0.7, {"ours": took}, {})


def load(
    proxy: Proxy,
    *,
    seconds: float,
    core: int,
    stream: bool = False,
    connections: int = _CONNECTIONS,
    rate: float = 0.0,
) -> dict[str, float]:
    """The figures of `bench.load`, which runs on that core."""
    command = [sys.executable, "-m", "bench.load", "--port", str(proxy.port)]
    command += ["--connections", str(connections), "--seconds", str(seconds), "--rate", str(rate)]
    command += ["--secret", proxy.secret]
    command += [f"--process={process}" for process in proxy.processes]
    command += [f"--header={line}" for line in proxy.headers] + (["--stream"] if stream else [])
    command += ["--authority", proxy.authority] if proxy.authority else []
    measured = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lambda: _pin(core)
    )
    figures: dict[str, float] = json.loads(measured.stdout)
    return figures


def note_of(figures: Sequence[dict[str, float]]) -> str:
    middle = sorted(figures, key=lambda figure: figure["cpu_us"])[len(figures) // 2]
    bad = sum(int(figure["bad"]) for figure in figures)
    return (
        f"{middle['rate']:,.0f} requests/s, p50 {middle['p50_us']:,.0f} µs, p99 {middle['p99_us']:,.0f} µs, "
        f"{bad} bad answers"
    )


def _rate_of(requests: Result) -> float:
    return float(requests.notes["ours"].partition(" requests/s")[0].replace(",", ""))


def _forced_write_us(folder: Path, seconds: float, rate: float) -> float:
    """The median time of a small write forced to disk, where the journals lie, at the pace of requests and for as long:
    a disk and a processor that rested meanwhile take longer than without a pause, and some moments longer than
    others."""
    times = []
    with _filled(folder) as file:
        for number in range(round(seconds * rate)):
            begun_s = time.perf_counter()
            _force(file, number)
            times.append(time.perf_counter() - begun_s)
            time.sleep(max(begun_s + 1 / rate - time.perf_counter(), 0.0))
    return median(times) * 1e6


def _late_forced_write_ms(folder: Path, seconds: float) -> float:
    """Milliseconds by which the slowest hundredth of small writes is forced to disk late, where one is due each time
    that a journal would commit. A write that takes long delays those behind it, as it delays requests."""
    late = []
    with _filled(folder) as file:
        begun_s = time.perf_counter()
        for number in range(round(seconds / _COMMIT_EVERY_S)):
            due_s = begun_s + number * _COMMIT_EVERY_S
            time.sleep(max(due_s - time.perf_counter(), 0.0))
            _force(file, number)
            late.append(time.perf_counter() - due_s)
    return sorted(late)[len(late) * 99 // 100] * 1e3


@contextlib.contextmanager
def _filled(folder: Path) -> Iterator[FileIO]:
    """A file that was filled before it is written, as journals are and in the same pieces."""
    with (folder / "forced").open("wb", buffering=0) as file:
        fill_with_zeros(file.fileno(), 0, _FORCED_PLACES * _FORCED_BYTES)
        yield file


def _force(file: FileIO, number: int) -> None:
    place = number % _FORCED_PLACES * _FORCED_BYTES
    os.pwritev(file.fileno(), [b"x" * _FORCED_BYTES], place, os.RWF_DSYNC)


def _taken_ms(core: int, seconds: float) -> list[float]:
    """The times for which a core was taken away from a process that only looks at the clock."""
    _pin(core)
    taken = []
    last_s = time.perf_counter()
    end_s = last_s + seconds
    while last_s < end_s:
        now_s = time.perf_counter()
        if now_s - last_s > _TAKEN_FROM_S:
            taken.append((now_s - last_s) * 1e3)
        last_s = now_s
    return taken


def resident_mb(processes: Sequence[int]) -> float:
    def resident_kb(process: int) -> int:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    return round(sum(map(resident_kb, processes)) / 1024, 1)


def _hold(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(holding_request())
    return connection


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def _pin_all(process: int, core: int) -> None:
    """A process with the threads that it has."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@contextlib.contextmanager
def cloud_on(core: int, tls: Certificates | None = None) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.cloud"]
    command += ["--certificate", str(tls.certificate), "--key", str(tls.key)] if tls else []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, preexec_fn=lambda: _pin(core)
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def compiled() -> Path | None:
    """The wheel's modules as `make wheel` leaves them; None where nothing was compiled. Raises where they are stale."""
    if not _COMPILED.is_dir():
        return None
    newest = max((_ROOT / "src").rglob("*.py"), key=lambda path: path.stat().st_mtime)
    if newest.stat().st_mtime > _COMPILED.stat().st_mtime:
        raise SystemExit(f"{newest.relative_to(_ROOT)} was changed since: run `make wheel` first")
    return _COMPILED


@contextlib.contextmanager
def gateway_on(
    home: Path, plan: Plan, core: int, *, interpreted: bool = False, under: Sequence[str] = ()
) -> Iterator[Proxy]:
    """A gateway on that core, compiled where that was possible."""
    home.mkdir(parents=True, exist_ok=True)
    modules = None if interpreted else compiled()
    file = home / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    command = [
        *under,
        sys.executable,
        "-m",
        "clauseway.gateway",
        "--plan",
        str(file),
        "--spool",
        str(home / "spool"),
    ]
    with subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: _pin(core),
        env={**os.environ, "PYTHONPATH": str(modules)} if modules else None,
    ) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield Proxy(ready["ports"]["gateway"], [process.pid])
        finally:
            process.terminate()


def _encrypted(plan: Plan, made: Certificates) -> Plan:
    """The same toward clients and clouds that speak TLS."""
    tls = TlsSettings(
        certificate=str(made.certificate), key=str(made.key), upstream_ca=str(made.authority)
    )
    targets = tuple(
        msgspec.structs.replace(target, url=target.url.replace("http:", "https:", 1))
        for target in plan.targets
    )
    return msgspec.structs.replace(plan, targets=targets, settings=Settings(tls=tls))


def _auth_by_key() -> Auth:
    return Auth(kind="api-key", secret="bench")


def _botocore_us() -> float:
    """The CPU of one signature by AWS's own signer, of a body like those of the load."""
    credentials = Credentials(_SIGNED.access_key, _SIGNED.secret)
    signer = SigV4Auth(credentials, _SIGNED.service, _SIGNED.region)
    address = "http://127.0.0.1/openai/v1/chat/completions"
    headers, body = {"content-type": "application/json"}, request_body(stream=False)
    start_s = time.process_time()
    for _ in range(_VENDOR_SIGNATURES):
        signer.add_auth(AWSRequest("POST", address, headers, body))
    return (time.process_time() - start_s) / _VENDOR_SIGNATURES * 1_000_000


def _auth_by_rsa() -> Auth:
    made = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True)
    key_id = "ocid1.tenancy.oc1..bench/ocid1.user.oc1..bench/aa:bb"
    return Auth(kind="signature", secret=made.stdout, settings={"key_id": key_id})


def _plan(
    cloud: int, auth: Auth, dialect: str, path: str, budget: Budget, leases: str, **more: Any
) -> Plan:
    """One deployment under another name than the clients', so that every request is rewritten, which lacks something
    that no request asks for; with limits and a budget that are never used up."""
    label = Deployment("bench-1", "azure", "openai", "eastus", "api.stateless", NAME_THERE)
    target = Target(
        label=label,
        dialect=dialect,
        url=f"http://127.0.0.1:{cloud}{path}",
        auth=auth,
        input_price=2_500_000,
        output_price=15_000_000,
        output_tokens_max=4096,
        lacks=(Lack(capability="vision", reason="it is here to be looked at"),),
        **more,
    )
    hashed = digest(bytes.fromhex(_HASH_KEY), SECRET.encode()).hex()
    whose = "project bench of acme"
    return Plan(
        agreement="bench",
        hash_key=_HASH_KEY,
        models={MODEL: "api.stateless"},
        targets=(target,),
        rulings=(Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt"),),
        epochs=(
            Epoch(begin_ns=0, routes={"openai|api.stateless|direct": Route(candidates=((0, 0),))}),
        ),
        limits=(
            RateLimit(id="l", whose=whose, requests_per_minute=10**9, tokens_per_minute=10**12),
        ),
        budgets=(budget,),
        leases=leases,
        keys=(
            Key(
                digest=hashed,
                organisation="acme",
                project="bench",
                key_id="k",
                seller="openai",
                segment="direct",
                limits=(0,),
                budgets=(0,),
            ),
        ),
    )
