"""Kills of anything, under load: processes are killed by SIGKILL one after another, machines lose their disks or are
frozen, written off and thawed; afterwards usage is counted again from what clouds and clients wrote down themselves.

As a script: `python tests/kills.py --kills 100 --out bench/evidence/kills.json`, as `make soak` does. With `--once` the
record is of the longest run.
"""

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pyarrow.parquet as pq
from sqlalchemy.exc import DBAPIError

from clauseway.app.customers.allowances import GivenScope, set_budget, set_limit
from clauseway.app.customers.keys import create_key
from clauseway.app.customers.tenants import create_tenant
from clauseway.app.opening.several import open_agreements
from clauseway.app.usage.losses import write_off
from clauseway.app.usage.recovering import copies_in, recover
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.metering import Status
from clauseway.metering.records import SERVED
from clauseway.storage import Control
from clauseway.storage.books import losses
from clauseway.storage.books.losses import Losses
from clauseway.storage.customers.leases import NOBODY, Leases, picodollars
from clauseway.values import InvalidInput
from commits import described
from kill_load import Customer, Got, KillLoad
from kill_stage import WORKERS, Machine, Stage, end, eventually, lose_disk
from kill_standing import has_sealed, held, standing

_FOREVER_S = 1e9
_BUDGET_USD = "0.05"
_PER_MINUTE = 40
_MINUTE_NS = 60_000_000_000
# So many refusals, and the next budget's turn has come.
_REFUSALS = 15
# Answers between two kills at most. Half of all kills come at once with another: the former is not mended yet.
_BETWEEN = 25
# Lines that nobody waits for are on the disk within 50 ms. Here processes wait for a processor, too.
_WRITTEN_S = 0.5
# How many of a hundred kills are of each kind.
KINDS = {
    "gateway": 44,
    "cloud": 16,
    "backend": 10,
    "follower": 8,
    "database": 8,
    "parent": 6,
    "machine": 4,
    "disk": 2,
    "frozen": 2,
}
LAWS = (
    "each answer that a client got whole is metered once, complete, with the cloud's own figures",
    "each metered attempt is one that a cloud answered, and none is metered twice",
    "each attempt that reached a cloud is metered: complete, or as interrupted, failed or lost, unless its gateway was "
    "killed within half a second",
    "the charges of a budget are no more than its amount, and so is what is spent and leased of it",
    "the charges of each start of a gateway are no more than what it had leased",
    "no 60 seconds have more requests of a limit than the limit",
    "no lease is open once all have ended",
    "no answer ends as if it were whole and is not",
)


class NoVerdict(Exception):
    """The kills came to no end that could be judged. The text says why, and what stood still."""


class Kills:
    """An installation under load, and what was killed of it."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.stage, self.chance = stage, chance
        self.killed: Counter[str] = Counter()
        self._drawn: list[str] = []
        self.held_before: dict[str, dict[str, int]] = {}
        self.held_after: dict[str, dict[str, int]] = {}
        self.capped: list[Customer] = []
        self._catalog = open_agreements([]).catalog
        self.free, self.limited = self._customer("free"), self._customer("limited")
        set_limit(self._home, self._catalog, GivenScope(organisation="acme", project="limited"), _PER_MINUTE, 0)
        self._cap()
        self.load = KillLoad([machine.port for machine in stage.machines], self._choose)

    @property
    def _home(self) -> Any:
        return self.stage.machines[0].home

    def _customer(self, project: str) -> Customer:
        key = create_key(
            self._home, self._catalog, organisation="acme", project=project, seller="openai", segment="any"
        )
        return Customer(project, key.secret)

    def _cap(self) -> None:
        """Let another customer with a budget of its own come."""
        project = f"capped-{len(self.capped)}"
        with suppress(InvalidInput):  # it is there since the last time that the database went away
            create_tenant(self._home, "acme", project)
        # A plan that has the key has the budget too: the database may go away between the two.
        set_budget(self._home, self._catalog, GivenScope(organisation="acme", project=project), _BUDGET_USD, "total")
        self.capped.append(self._customer(project))

    def _choose(self, chance: random.Random) -> Customer:
        drawn = chance.random()
        return self.free if drawn < 0.45 else self.limited if drawn < 0.6 else self.capped[-1]

    def run(self, kills: int, tell: Callable[[str], None], lasting_s: float = _FOREVER_S) -> None:
        """Kill so often, or for so long, wait until all serves again, and stop it in order. Raise NoVerdict."""
        over_s = time.monotonic() + lasting_s
        # A process that stands still is told of while clients ask: without them everything stands still.
        with self.load, self._told_what_stands():
            self._kill_on(kills, tell, over_s)
        with self._told_what_stands():
            for machine in self.stage.machines:
                machine.leave()

    @contextmanager
    def _told_what_stands(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            stands = standing(self.stage, self.load.got, time.monotonic())
            raise NoVerdict(f"{sum(self.killed.values())} kills, and then: {error!r}\n{stands}") from error

    def _kill_on(self, kills: int, tell: Callable[[str], None], over_s: float) -> None:
        eventually(lambda: self.load.whole > 10, "the first answers")
        self.held_before = self._held()
        while sum(self.killed.values()) < kills and time.monotonic() < over_s:
            kind = self._draw()
            if not self._kill(kind):
                # It was not there to be killed: its turn comes when it is.
                self._drawn.insert(self.chance.randrange(len(self._drawn) + 1), kind)
                self._go_on(1)
                continue
            self.killed[kind] += 1
            tell(f"{sum(self.killed.values())} kills, {self.load.whole} of {len(self.load.got)} whole; {kind}")
            self._go_on(max(self.chance.randrange(-_BETWEEN, _BETWEEN), 0))
        eventually(self.stage.is_whole, "all parts run again")
        self._go_on(_BETWEEN)
        since_s = time.monotonic()
        eventually(lambda: self._all_serve(since_s), "each gateway answers again")
        self.held_after = self._held()

    def _held(self) -> dict[str, dict[str, int]]:
        """Return what the processes hold once each parent has sealed: a parent keeps the libraries of sealing."""
        eventually(lambda: all(has_sealed(machine.pid) for machine in self.stage.machines), "each parent has sealed")
        return held(self.stage)

    def _all_serve(self, since_s: float) -> bool:
        """Return whether each gateway of each machine has answered since."""
        self._go_on(1)
        starts = {(got.port, _start(got.request)) for got in self.load.got if _is_served_since(got, since_s)}
        by_port = Counter(port for port, _ in starts)
        return all(by_port[machine.port] >= WORKERS for machine in self.stage.machines)

    def _draw(self) -> str:
        """Return the next kind to kill: of each hundred, as many as the table says."""
        if not self._drawn:
            self._drawn = [kind for kind, times in KINDS.items() for _ in range(times)]
            self.chance.shuffle(self._drawn)
        return self._drawn.pop()

    def _go_on(self, answers: int) -> None:
        """Wait for so many answers, and start again meanwhile what was killed."""
        if not answers:
            return
        goal = self.load.whole + answers

        def has_gone_on() -> bool:
            self.stage.see_to()
            refused = sum(got.status == 429 for got in self.load.got[-400:] if got.customer == self.capped[-1].name)
            if refused > _REFUSALS:
                with suppress(DBAPIError):  # the database is away: later
                    self._cap()
            return self.load.whole >= goal

        eventually(has_gone_on, f"{answers} further answers")

    def _kill(self, kind: str) -> bool:
        """Kill one of a kind. Return whether there was one."""
        machine = self.chance.choice(self.stage.machines)
        if kind == "gateway":
            return self._kill_gateway(machine)
        if kind == "cloud":
            return self.chance.choice(self.stage.clouds).kill()
        if kind == "follower":
            return self.stage.follower.kill()
        if kind == "database":
            return self.stage.database.kill()
        if kind == "backend":
            return self._kill_backend()
        if kind == "parent":
            return machine.kill_parent()
        if kind == "machine":
            return machine.kill()
        eventually(self.stage.is_whole, f"all parts run before this: {kind}")
        if kind == "disk":
            self._lose_disk(machine)
        else:
            self._freeze(machine)
        return True

    def _kill_gateway(self, machine: Machine) -> bool:
        gateways = machine.gateways() if machine.running else []
        if gateways:
            end(gateways[0] if self.chance.random() < 0.5 else gateways[-1])
        return bool(gateways)

    def _kill_backend(self) -> bool:
        backends = self.stage.database.backends() if self.stage.database.running else []
        if not backends:
            return False
        gone = backends[0]
        end(gone)
        # The server ends all others and recovers once it has noticed.
        eventually(lambda: gone not in self.stage.database.backends(), "the server notices that a backend is gone")
        return True

    def _other(self, machine: Machine) -> Machine:
        (other,) = (item for item in self.stage.machines if item is not machine)
        return other

    def _journals(self, machine: Machine) -> list[str]:
        """The journals that the machine's home writes, by name."""
        with _control(machine) as control:
            spools = Losses(control).spools()
        home = machine.home.identity()
        return [spool.spool for spool in spools if spool.is_of(home) and spool.place.startswith("gateway")]

    def _lose_disk(self, machine: Machine) -> None:
        """The machine and its disk are gone: the other home recovers its journals from the follower's copies."""
        copies = {copy.spool for copy in copies_in(self.stage.follower.folder)}
        held = [name for name in self._journals(machine) if name in copies]
        machine.kill()
        lose_disk(machine)
        with patch.object(losses, "SILENT_NS", 0):
            for name in held:
                eventually(lambda name=name: self._is_free(name), "the follower notices")  # type: ignore[misc]
                recover(self._other(machine).home, self.stage.follower.folder, name, "the disk is gone")

    def _is_free(self, name: str) -> bool:
        return not any(copy.is_connected for copy in copies_in(self.stage.follower.folder) if copy.spool == name)

    def _freeze(self, machine: Machine) -> None:
        """The machine is not heard, and is written off by the other one; then it goes on as if nothing were."""
        journals = self._journals(machine)
        pids = [machine.pid, *machine.gateways()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            # As the server does by itself with a machine that is gone, half a minute later.
            self.stage.database.hang_up_on(machine.pid)
            with patch.object(losses, "SILENT_NS", 0):
                for name in journals:
                    write_off(self._other(machine).home, name, "nothing", "the machine is silent")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


def _start(request: str) -> str:
    """Return the start of a gateway that a request's id names."""
    return request[4:20]


def _is_served_since(got: Got, since_s: float) -> bool:
    return got.outcome == "whole" and got.ended_s >= since_s


@contextmanager
def _control(machine: Machine) -> Iterator[Control]:
    control = Control.open(machine.home.control)
    try:
        yield control
    finally:
        control.close()


# Laws

Row = dict[str, Any]


class Answered(NamedTuple):
    """An attempt as a cloud wrote it down, when it was asked."""

    tag: str
    input: int
    output: int
    asked_s: float


class Judged(NamedTuple):
    """The counts, and every breach in a sentence."""

    requests: int
    whole: int
    attempts: int
    recounted: int
    not_yet_written: int
    overshoot: int
    statuses: Mapping[str, int]
    breaches: Sequence[str]


def judge(stage: Stage, customers: Sequence[Customer], got: Sequence[Got]) -> Judged:
    """Count again what clients got and clouds answered, once everything has ended."""
    for machine in stage.machines:
        seal(machine.home)
    first = stage.machines[0]
    usage, intents = _rows(first, "usage"), _rows(first, "intent")
    ledger = _ledger(stage)
    unwritten = not_yet_written(usage, ledger, got)
    breaches = [*recount(usage, ledger, got, len(unwritten)), *_streams(got)]
    over_budget, errors = _budgets(first, customers, usage)
    over_limit = _most_in_a_minute([row["recorded_ns"] for row in intents if _limited(row)]) - _PER_MINUTE
    if over_limit > 0:
        breaches.append(f"{over_limit} requests more than the limit in a minute")
    recounted = sum(row["upstream_id"] in ledger for row in usage)
    return Judged(
        requests=len(got),
        whole=sum(answer.outcome == "whole" for answer in got),
        attempts=len(ledger),
        recounted=recounted,
        not_yet_written=len(unwritten),
        overshoot=over_budget + max(over_limit, 0),
        statuses=Counter(Status(row["status"]).name.lower() for row in usage),
        breaches=[*breaches, *errors],
    )


def _limited(row: Row) -> bool:
    return bool(row["project"] == "limited" and row["attempt"] == 1)


def _rows(machine: Machine, kind: str) -> list[Row]:
    with open_lake(machine.home) as lake:
        tables = [pq.read_table(path) for path in lake.files(kind=kind)]
    return [row for table in tables for row in table.to_pylist()]


def _ledger(stage: Stage) -> dict[str, Answered]:
    """Return the answers of each cloud, by the cloud's own name of each."""
    lines = [json.loads(line) for cloud in stage.clouds for line in cloud.ledger.read_text().splitlines()]
    return {line["name"]: Answered(line["tag"], line["input"], line["output"], line["asked_s"]) for line in lines}


def not_yet_written(usage: Sequence[Row], ledger: Mapping[str, Answered], got: Sequence[Got]) -> set[str]:
    """Attempts without a record that a gateway began just before it was killed: the client's connection broke then."""
    broken_s = {answer.tag: answer.ended_s for answer in got if answer.outcome == "broken"}
    missing = ledger.keys() - {row["upstream_id"] for row in usage}
    return {name for name in missing if broken_s.get(ledger[name].tag, _FOREVER_S) - ledger[name].asked_s < _WRITTEN_S}


def recount(usage: Sequence[Row], ledger: Mapping[str, Answered], got: Sequence[Got], unwritten: int) -> Iterator[str]:
    keys = Counter((row["request_id"], row["attempt"]) for row in usage)
    yield from (f"{key} is metered {count} times" for key, count in keys.items() if count > 1)
    named = [row for row in usage if row["upstream_id"]]
    names = Counter(row["upstream_id"] for row in named)
    yield from (f"the cloud's {name} is metered {count} times" for name, count in names.items() if count > 1)
    complete: dict[str, Row] = {}
    for row in named:
        answered = ledger.get(row["upstream_id"])
        if answered is None:
            yield f"{row['request_id']} is metered as {row['upstream_id']}, which no cloud answered"
        elif row["status"] == Status.COMPLETE:
            complete[row["request_id"]] = row
            if (row["input_tokens"], row["output_tokens"]) != (answered.input, answered.output):
                yield f"{row['upstream_id']} is metered with other figures"
    tags = {row["request_id"]: ledger[row["upstream_id"]].tag for row in complete.values()}
    for answer in got:
        if answer.outcome != "whole":
            continue
        if tags.get(answer.request) != answer.tag:
            yield f"{answer.tag} was answered whole as {answer.request}, and is not metered as complete"
        elif any(answer.tokens):
            row = complete[answer.request]
            if answer.tokens != (row["input_tokens"], row["output_tokens"]):
                yield f"{answer.tag} was told {answer.tokens}"
    unnamed = sum(not row["upstream_id"] for row in usage)
    if (missing := len(ledger.keys() - names.keys()) - unwritten) > unnamed:
        yield f"{missing} attempts reached a cloud, and only {unnamed} are metered without the cloud's name"


def _streams(got: Sequence[Got]) -> list[str]:
    return [f"{answer.tag} ended as if it were whole" for answer in got if answer.outcome == "silent"]


def _budgets(machine: Machine, customers: Sequence[Customer], usage: Sequence[Row]) -> tuple[int, list[str]]:
    """Return by how much budgets were overspent, in picodollars, and each breach."""
    breaches, over = [], 0
    charged: dict[str, int] = defaultdict(int)
    by_boot: dict[str, int] = defaultdict(int)
    capped = {customer.name for customer in customers}
    for row in usage:
        if row["project"] in capped and Status(row["status"]) in SERVED:
            charged[row["project"]] += row["charge_picodollars"]
            by_boot[_start(row["request_id"])] += row["charge_picodollars"]
    amount = picodollars(Decimal(_BUDGET_USD))
    for project, spent in charged.items():
        if spent > amount:
            over += spent - amount
            breaches.append(f"{project} spent {spent} of {amount}")
    with _control(machine) as control:
        leases = Leases(control)
        for standing in leases.standings(0):
            if standing.left < 0:
                over -= standing.left
                breaches.append(f"{standing.budget.id}: {standing.spent} spent, {standing.leased} leased")
        for boot, spent in by_boot.items():
            if spent > (held := sum(lease.leased for lease in leases.of_boot(boot))):
                breaches.append(f"start {boot} spent {spent} and had leased {held}")
        breaches += [f"{lease} is open" for lease in leases.open() if lease.pid != NOBODY]
    return over, breaches


def _most_in_a_minute(instants_ns: Sequence[int]) -> int:
    """Return the most instants that lie within one minute."""
    instants_ns = sorted(instants_ns)
    return max(
        (at + 1 - bisect_left(instants_ns, instant - _MINUTE_NS + 1) for at, instant in enumerate(instants_ns)),
        default=0,
    )


# A run


def killed(
    root: Path, kills: int, seed: int, tell: Callable[[str], None] = lambda _: None, lasting_s: float = _FOREVER_S
) -> tuple[Kills, Judged]:
    """Run an installation under `root`, kill so often, and judge. Raise NoVerdict."""
    with Stage(root) as stage:
        run = Kills(stage, random.Random(seed))
        run.run(kills, tell, lasting_s)
        return run, judge(stage, run.capped, run.load.got)


def evidence(run: Kills, judged: Judged, *, once: bool) -> dict[str, object]:
    """Return the figures of a run, for the record."""
    errors = Counter(f"{got.status} {got.code or 'ended by an error'}" for got in run.load.got if got.outcome == "told")
    return {
        "kind": "kills-once" if once else "kills",
        "day": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "commit": described(),
        "kills": sum(run.killed.values()),
        "what": dict(sorted(run.killed.items())),
        "requests": judged.requests,
        "whole": judged.whole,
        "attempts": judged.attempts,
        "recounted": judged.recounted,
        "not_yet_written": judged.not_yet_written,
        "overshoot": judged.overshoot,
        "refusals": dict(sorted(errors.items())),
        "metered": dict(sorted(judged.statuses.items())),
        "budgets": len(run.capped),
        "held_before": run.held_before,
        "held_after": run.held_after,
        "breaches": list(judged.breaches),
        "laws": list(LAWS),
    }


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def _print(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/kills.py", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=_FOREVER_S, help="no more kills after that")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--once", action="store_true", help="with --out: it is the record of the longest run")
    parser.add_argument("--keep", type=Path, help="a new folder that is kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clauseway-kills-") as folder:
        root = asked.keep or Path(folder) / "stage"
        try:
            run, judged = killed(root, asked.kills, asked.seed, _print, asked.minutes * 60)
        except NoVerdict as error:
            print(f"No verdict: {error}", file=sys.stderr)
            return 2
    seen = evidence(run, judged, once=asked.once)
    print(json.dumps(seen, indent=1))
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(seen, indent=1) + "\n")
    return 1 if judged.breaches else 0


if __name__ == "__main__":
    raise SystemExit(main())
