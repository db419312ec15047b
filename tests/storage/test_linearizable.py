"""Leases, limits and closes over several processes on one PostgreSQL, some killed and some cut off from it in the
middle of a word: a foreign checker finds an order in which one process alone would have been answered the same.

With a fault planted it finds none: so the checker sees what it is there to see.
"""

import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import psycopg
import pytest
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from clauseway.app.customers.limit_shares import LimitShares
from clauseway.gateway.budgets.leases import Ask
from clauseway.storage import Control
from clauseway.storage.books import books as books_module
from clauseway.storage.books.books import AlreadyClosed, Books, Closed
from clauseway.storage.customers import leases as leases_module
from clauseway.storage.customers.leases import LeaseRequest, Leases, usd
from clauseway.storage.customers.limit_shares import StoredShares
from clauseway.storage.customers.tenants import BudgetRow, Limit, Tenants
from clauseway.values import Interval
from opa_judge import Unavailable
from porcupine_judge import History, judged, program, read_history
from postgresql_server import new_control_database
from soak import examples

# On a busy machine more is asked at once, and who searches all orders may not end in its minute.
UNDECIDED_MAX = 3
PROCESSES, OPERATIONS = 4, 30
BUDGETS, LIMITS, MONTHS = ("budget-1", "budget-2"), ("limit-1",), 3
AMOUNT, PER_MINUTE = 1_000, 300
NOW_NS = 1_800_000_000_000_000_000
FORKED = multiprocessing.get_context("fork")


@pytest.fixture(scope="module", autouse=True)
def _judge() -> None:
    try:
        program()
    except Unavailable as reason:
        pytest.skip(f"porcupine: {reason}")


class Asker:
    """One process that asks for everything, and remembers what it holds."""

    def __init__(self, address: str, history: Path, number: int) -> None:
        # The requests are the same in each run of a seed; the figures are others.
        self.asks = random.Random(f"{history.name}-{number}")
        self.chance = random.Random(f"{history}-{number}")
        self.control = _opened(address)
        self.history, self.number = History(history, number), number
        self.serials: Counter[str] = Counter()
        self.held: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self.shares = LimitShares(StoredShares(self.control).changing)

    def run(self) -> None:
        for _ in range(OPERATIONS):
            self.asks.choices([self.lease, self.share, self.end, self.close], [8, 5, 1, 1])[0]()

    def _totals(self, of: str) -> dict[str, Any]:
        """Return a request to a budget or limit now; one in eight comes late, with a serial that was used before."""
        is_late = self.asks.random() < 0.12
        self.serials[of] += not is_late
        held = self.held.get(of, 0)
        self.spent[of] = self.chance.randint(self.spent.get(of, 0), max(held, self.spent.get(of, 0)))
        least = self.chance.randint(0, 200)
        return {
            "serial": max(self.serials[of] - is_late * self.chance.randint(0, 2), 1),
            "spent": self.spent[of],
            "least": least,
            "target": least + self.chance.randint(-100, 200),
            "over": self.chance.random() < 0.04,
        }

    def lease(self) -> None:
        of, boot = self.chance.choice(BUDGETS), f"{self.number:016x}"
        totals = self._totals(of)
        asked = {"kind": "lease", "of": of, "amount": AMOUNT, "holder": boot, **totals}
        request = LeaseRequest(
            budget=of,
            boot=boot,
            part=0,
            pid=1,
            is_over=totals["over"],
            **{name: totals[name] for name in ("serial", "spent", "least", "target")},
        )
        states = self.history.do(
            asked,
            lambda: Leases(self.control).lease([request], NOW_NS),
            lambda got: {"leased": got[0].leased, "left": got[0].left},
            (DBAPIError,),
        )
        if states:
            self.held[of] = states[0].leased

    def share(self) -> None:
        of = self.chance.choice(LIMITS)
        totals = self._totals(of)
        asked = {"kind": "share", "of": of, "amount": PER_MINUTE, "holder": str(self.number), **totals}
        ask = Ask(budget=of, part=0, kind="requests", **totals)
        slices = self.history.do(
            asked,
            lambda: self.shares.lease(str(self.number), [ask]),
            lambda got: {"leased": got[0].leased, "left": got[0].left},
            (DBAPIError,),
        )
        if slices:
            self.held[of] = slices[0].leased

    def end(self) -> None:
        """Another process is taken for dead, whether it is or not: from then on it is fenced."""
        of, boot = self.chance.choice(BUDGETS), f"{self.chance.randrange(PROCESSES):016x}"
        spent = self.chance.randint(0, 50)
        asked = {"kind": "end", "of": of, "amount": AMOUNT, "holder": boot, "spent": spent}
        lease = leases_module.Lease(
            budget=of,
            begin_ns=0,
            boot=boot,
            part=0,
            pid=1,
            serial=0,
            leased=0,
            spent=0,
            is_open=True,
            opened_ns=0,
            heard_ns=0,
        )
        self.history.do(
            asked,
            lambda: Leases(self.control).end(lease, spent, NOW_NS),
            lambda ended: {"did": "ended" if ended else "nothing"},
            (DBAPIError,),
        )

    def close(self) -> None:
        month = self.asks.randint(1, MONTHS)
        # Two processes may have settled the month alike, or not.
        receipt = f"receipt-{self.number // 2}"
        closed = Closed(
            period=Interval(date(2026, month, 1), date(2026, month + 1, 1)),
            receipt=receipt,
            digest="d",
            statement=b"{}",
            closed_ns=NOW_NS,
        )

        def act() -> str:
            try:
                return "won" if Books(self.control).close(closed) else "same"
            except AlreadyClosed:
                return "refused"

        asked = {"kind": "close", "of": f"2026-{month:02}", "holder": receipt}
        self.history.do(asked, act, lambda did: {"did": did}, (DBAPIError,))


def _opened(address: str) -> Control:
    """Open the database, however often that is cut off."""
    while True:
        with suppress(DBAPIError):
            return Control.open(address)


def _asks(address: str, history: Path, number: int, planted: Callable[[], Any]) -> None:
    with planted():
        Asker(address, history, number).run()
    os._exit(0)  # nothing of the process that it was forked from ends here


def _history(root: Path, seed: int, planted: Callable[[], Any], *, disturbed: bool = True) -> list[dict[str, Any]]:
    """Return the requests of several processes at once, and their answers."""
    chance, history = random.Random(seed), root / f"history-{seed}"
    address = new_control_database()
    control = Control.open(address)
    for of in BUDGETS:
        Tenants(control).set_budget(
            BudgetRow(
                id=of, organisation="acme", project=of, period="total", amount=usd(AMOUNT), currency="USD", created_ns=1
            )
        )
    for of in LIMITS:
        Tenants(control).set_limit(
            Limit(id=of, organisation="acme", requests_per_minute=PER_MINUTE, tokens_per_minute=0, created_ns=1)
        )
    control.close()
    history.touch()
    processes = [FORKED.Process(target=_asks, args=(address, history, number, planted)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    over = threading.Event()
    cutting = threading.Thread(target=_cut_off, args=(address, history, over, chance))
    if disturbed:
        cutting.start()
        _wait_for(history, PROCESSES * OPERATIONS // 2, processes)
        with suppress(ProcessLookupError):
            os.kill(processes[0].pid or 0, signal.SIGKILL)
    for process in processes:
        process.join()
    over.set()
    if disturbed:
        cutting.join()
    assert all(process.exitcode == 0 for process in processes[1:])
    return read_history(history)


def _wait_for(history: Path, lines: int, processes: list[Any]) -> None:
    while any(process.is_alive() for process in processes) and _lines(history) < lines:
        processes[-1].join(0.01)


def _lines(history: Path) -> int:
    return history.read_bytes().count(b"\n")


def _cut_off(address: str, history: Path, over: threading.Event, chance: random.Random) -> None:
    """End connections of others, now and then, whatever they are at. By what was done since the last time: on a busy
    machine little is done in any time, and where nearly all of it is cut off the judge finds no end."""
    due = chance.randint(4, 20)
    with psycopg.connect(address, autocommit=True) as connection:
        while not over.wait(0.005):
            if _lines(history) < due:
                continue
            due = _lines(history) + chance.randint(4, 20)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
            )


@contextmanager
def _nothing() -> Any:
    yield


def test_histories_are_linearizable(tmp_path: Path) -> None:
    unknown = decided = 0
    for seed in range(examples(1) + UNDECIDED_MAX):
        history = _history(tmp_path, seed, _nothing)
        unknown += sum("output" not in operation for operation in history)
        verdicts = judged(history)
        assert set(verdicts) >= {*BUDGETS, *LIMITS}
        assert set(verdicts.values()) <= {"Ok", "Unknown"}, verdicts
        decided += "Unknown" not in verdicts.values()
        if decided == examples(1):
            break
    assert decided == examples(1), "the judge was not done with most histories in time"
    assert unknown, "nobody was cut off"


def _a_stale_lease_is_granted_more() -> Any:
    """A process that was taken for dead, or asks late, is not told so."""
    find = leases_module._find

    def found(*asked: Any) -> Any:
        lease = find(*asked)
        return lease and msgspec.structs.replace(lease, is_open=True, serial=0)

    return patch.object(leases_module, "_find", found)


def _leases_of_others_are_not_seen() -> Any:
    """As if two transactions went on side by side."""
    of_period = leases_module._of_period
    return patch.object(leases_module, "_of_period", lambda *asked: of_period(*asked)[:1])


def _two_win_a_close() -> Any:
    closed = books_module._closed
    answers = iter([False, True] * 1_000)

    @contextmanager
    def planted() -> Any:
        with (
            patch.object(books_module, "_closed", lambda connection: closed(connection) if next(answers) else []),
            patch.object(books_module, "insert", lambda _: _Nowhere()),
        ):
            yield

    return planted()


class _Nowhere:
    """An insert that writes nothing, and so meets nothing."""

    def values(self, **_: Any) -> Any:
        return select(literal(1))


# Its processes close months again and again, and ask late seven times: each fault has where it shows.
PLANTED_SEED = 9
# A planted fault, and the objects whose histories show it.
PLANTED = [
    (_a_stale_lease_is_granted_more, set(BUDGETS)),
    (_leases_of_others_are_not_seen, set(BUDGETS)),
    (_two_win_a_close, {f"2026-{month:02}" for month in range(1, MONTHS + 1)}),
]


@pytest.mark.parametrize(("planted", "objects"), PLANTED)
def test_a_planted_fault_is_seen(tmp_path: Path, planted: Callable[[], Any], objects: set[str]) -> None:
    verdicts = judged(_history(tmp_path, PLANTED_SEED, planted, disturbed=False))
    faulty = {of for of, verdict in verdicts.items() if verdict == "Illegal"}
    assert faulty
    assert faulty <= objects
