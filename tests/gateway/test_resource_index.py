"""The resource index: durable before it is told, owned by whoever was first, claimed once."""

import asyncio
import contextlib
import errno
import gc
import itertools
import resource
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from gateway_stage import typed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_allowances import Scripted, budget, limit, reserved

from allowance_plans import opened
from awaiting import eventually
from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import LocalLeaseServer
from clauseway.gateway.clouds.reports import responses_report_in
from clauseway.gateway.request import resource_index
from clauseway.gateway.request.holds import Holds, Reservation
from clauseway.gateway.request.resource_index import Hold, IndexedResource, ListQuery, ResourceIndex
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.metering import Buyer

ACME = Buyer("acme", "research", "key-1", "openai", "direct")
RIVAL = Buyer("rival", "theirs", "key-2", "microsoft", "direct")


def row(
    identifier: str, buyer: Buyer = ACME, *, pending: bool = False, created_ns: int = 1, endpoint: int = 2
) -> IndexedResource:
    return IndexedResource(identifier, buyer, "azure-1", "gpt-5.4", endpoint, 100, created_ns, pending)


class Index:
    """An index and what it tells; as two workers open one file, so may a test."""

    def __init__(self, path: Path, journal: str = "") -> None:
        self.loop = asyncio.new_event_loop()
        self.index = ResourceIndex(path, self.loop, journal)

    def add(self, *rows: IndexedResource) -> bool | OSError:
        answers: list[bool | OSError] = []
        self.index.add(rows, answers.append)
        return self._told(answers)

    def claim(self, identifier: str, request: str) -> bool | OSError:
        answers: list[bool | OSError] = []
        self.index.claim(identifier, request, answers.append)
        return self._told(answers)

    def resolve(self, recorded: set[str]) -> None:
        self.index.resolve(self.index.claims(), recorded)
        self.index.flush()
        self.loop.run_until_complete(asyncio.sleep(0))

    def _told(self, answers: list[bool | OSError]) -> bool | OSError:
        self.index.flush()
        self.loop.run_until_complete(asyncio.sleep(0))
        (outcome,) = answers
        return outcome

    def close(self) -> None:
        self.index.close()
        self.loop.close()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "issued.db")
    yield opened
    opened.close()


def test_what_was_told_is_there_for_another_process(worker: Index, tmp_path: Path) -> None:
    assert worker.add(row("resp_1"), row("file-1")) is True
    other = Index(tmp_path / "issued.db")
    assert other.index.find("resp_1") == row("resp_1")
    assert other.index.find("file-1") == row("file-1")
    assert other.index.find("resp_2") is None
    other.close()


def test_an_index_that_was_removed_keeps_nothing_until_it_is_back(worker: Index, tmp_path: Path) -> None:
    """Entries of a file without a name end with the process."""
    index, aside = tmp_path / "issued.db", tmp_path / "aside.db"
    assert worker.add(row("resp_1")) is True
    index.rename(aside)
    refused = worker.add(row("resp_2"))
    assert isinstance(refused, OSError)
    assert (refused.errno, refused.filename) == (errno.ENOENT, str(index))
    assert worker.index.failure is refused
    index.write_bytes(b"")
    assert isinstance(worker.add(row("resp_3")), OSError), "another file is not it either"
    worker.index._path = index / "issued.db"  # as where a folder cannot be looked into
    unseen = worker.add(row("resp_3"))
    worker.index._path = index
    assert isinstance(unseen, OSError)
    assert unseen.errno == errno.ENOTDIR
    aside.rename(index)
    assert worker.add(row("resp_4")) is True
    assert worker.index.failure is None


def test_what_was_not_committed_is_not_there(worker: Index) -> None:
    """Its answer told the client so; another project may be given the same name."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, former[1]))
    try:
        refused = worker.add(row("resp_1"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert isinstance(refused, OSError)
    assert worker.index.find("resp_1") is None


def test_who_issued_first_owns_it(worker: Index) -> None:
    worker.add(row("resp_1"))
    worker.add(row("resp_1", RIVAL))
    resource = worker.index.find("resp_1")
    assert resource is not None
    assert resource.buyer == ACME


# Whose project asks for what ACME's made → is it found?
ASKING = [
    (ACME, True),
    (msgspec.structs.replace(ACME, key_id="key-9", seller="microsoft"), True),
    (msgspec.structs.replace(ACME, project="sales"), False),
    (msgspec.structs.replace(RIVAL, project=ACME.project), False),
    (RIVAL, False),
]


@pytest.mark.parametrize(("buyer", "is_found"), ASKING)
def test_a_resource_is_its_projects_alone(worker: Index, buyer: Buyer, is_found: bool) -> None:
    worker.add(row("resp_1"))
    assert (worker.index.find_for(buyer, "resp_1") is not None) is is_found
    query = ListQuery(
        organisation=buyer.organisation, project=buyer.project, endpoint=2, deployments=("azure-1",), count=9
    )
    assert bool(worker.loop.run_until_complete(worker.index.list_resources(query))) is is_found
    assert bool(worker.loop.run_until_complete(worker.index.deployments(buyer, 2))) is is_found


def file(identifier: str, contents: bytes, buyer: Buyer = ACME) -> IndexedResource:
    return msgspec.structs.replace(row(identifier, buyer), purpose="batch", contents=contents)


def test_the_contents_of_a_file_are_those_that_its_owner_sent(worker: Index) -> None:
    """A cloud may give an identifier twice: to another project, or again once the file is deleted."""
    worker.add(row("file_1"))
    worker.add(file("file_1", b"theirs", RIVAL))
    assert worker.index.contents("file_1") == b""
    worker.add(file("file_2", b"first"))
    worker.add(file("file_2", b"theirs", RIVAL))
    assert worker.index.contents("file_2") == b"first"
    worker.index.forget("file_2", lambda _outcome: None)
    worker.add(row("file_2"))
    assert worker.index.contents("file_2") == b""


def test_what_is_claimed_is_pending_for_nobody_until_its_claim_is_decided(worker: Index) -> None:
    """Also where the process remembers it: no second request meters the same end."""
    worker.add(row("resp_1", pending=True), row("resp_2", pending=True))
    worker.index.mark_metered("resp_2")
    for is_pending in (False, True):
        worker.claim("resp_1", "req_a")
        assert [resource.identifier for resource in worker.index.pending(9)] == ["resp_2"]
        assert worker.index.still_pending(["resp_1", "resp_2"]) == {"resp_1", "resp_2"}
        if is_pending:
            worker.resolve(set())
        result = worker.index.find("resp_1")
        assert result is not None
        assert result.pending is is_pending


def test_what_is_pending_is_claimed_by_one_of_two_workers(worker: Index, tmp_path: Path) -> None:
    worker.add(row("resp_1", pending=True))
    other = Index(tmp_path / "issued.db")
    assert [worker.claim("resp_1", "req_a"), other.claim("resp_1", "req_b")] == [True, False]
    assert worker.index.claims() == {"resp_1": "req_a"}
    worker.index.mark_metered("resp_1")
    assert worker.claim("resp_1", "req_c") is False
    assert worker.index.claims() == {}
    other.close()


@pytest.mark.parametrize(("recorded", "again"), [({"req_a"}, False), (set(), True)], ids=["recorded", "not recorded"])
def test_a_claim_of_a_process_that_died(tmp_path: Path, recorded: set[str], again: bool) -> None:
    first = Index(tmp_path / "issued.db")
    first.add(row("resp_1", pending=True))
    first.claim("resp_1", "req_a")
    first.close()
    second = Index(tmp_path / "issued.db")
    second.resolve(recorded)
    resource = second.index.find("resp_1")
    assert resource is not None
    assert resource.pending is again
    assert second.claim("resp_1", "req_b") is again
    second.close()


# The claimant, by the journal it writes → does a worker that writes journal "aa" decide on the claim?
CLAIMED = [("aa", True), ("bb", False), ("", True)]  # no journal: an earlier version's


@pytest.mark.parametrize(("journal", "decides"), CLAIMED)
def test_a_worker_decides_on_claims_of_its_own_journal_alone(tmp_path: Path, journal: str, decides: bool) -> None:
    claiming, starting = Index(tmp_path / "issued.db", journal), Index(tmp_path / "issued.db", "aa")
    claiming.add(row("resp_1", pending=True))
    claiming.claim("resp_1", "req_a")
    assert starting.index.claims() == ({"resp_1": "req_a"} if decides else {})
    starting.resolve(set())
    assert starting.claim("resp_1", "req_b") is decides
    claiming.close()
    starting.close()


def test_a_reservation_goes_once_another_worker_has_metered_its_end(tmp_path: Path) -> None:
    """Both for what was kept before and for what was deleted since; never while it is pending."""
    worker = Index(tmp_path / "issued.db")
    accounts = Allowances(LocalLeaseServer())
    account = opened(accounts, [limit(tokens_per_minute=100)])
    for identifier, tokens in (("resp_1", 10), ("resp_2", 20), ("resp_3", 40)):
        worker.add(row(identifier, pending=True))
        assert account.reserve("azure", "gpt-5.5", 0, tokens, 0.0) is None

    async def look(*at_s: float) -> int:
        ((window,), _) = account.limits_and_slices(0.0)
        for now_s in at_s:
            holds.look(now_s)
            while holds.is_working:
                await asyncio.sleep(0)
        return window.left

    async def tell() -> None:
        for identifier, tokens in (("resp_1", 10), ("resp_2", 20), ("resp_3", 40)):
            holds.keep(identifier, Reservation(account, "azure", "gpt-5.5", 0, tokens))
        assert await look(0.0, 10.0) == 30
        for identifier in ("resp_1", "resp_2"):
            worker.index.claim(identifier, "req_a", lambda _outcome: None)
            worker.index.mark_metered(identifier)
        worker.index.forget("resp_2", lambda _outcome: None)
        worker.index.flush()
        assert await look(20.0, 24.0) == 30, "the lease server may not have heard yet"
        assert await look(25.0) == 60

    holds = Holds(worker.loop, accounts, worker.index)
    worker.loop.run_until_complete(tell())
    worker.close()


# Does the lease server grant leases of a batch's own? → what this process has spent once a batch that reserved 40 has
# ended with 7, and what the lease server is to be told of its hold.
HELD = [(False, 7, 0), (True, 0, 7)]


@pytest.mark.parametrize(("granted", "spent", "expected"), HELD)
def test_a_batch_is_charged_where_its_reservation_lies(worker: Index, granted: bool, spent: int, expected: int) -> None:
    """A reservation that gets no lease of its own stays in this process, whose slice then pays for the batch alone."""
    hold = Hold("batch_1", ("b",), 40, time.time_ns())
    worker.add(msgspec.structs.replace(row("batch_1", pending=True), hold=hold))

    async def end() -> None:
        lease_server = Scripted({"b": 100})
        allowances = Allowances(lease_server)
        account = opened(allowances, budgets=[budget()])
        assert await reserved(allowances, account, 40) is None
        holds = Holds(worker.loop, allowances, worker.index)
        holds.keep("batch_1", Reservation(account, "azure", "gpt-5.5", 40, 0, True))
        lease_server.holders_get = float(granted)
        holds.look(0.0)
        while holds.is_working:
            await asyncio.sleep(0)
        worker.index.flush()
        assert holds.end_reservation("batch_1", 7, 0)
        worker.index.flush()
        (budget_slice,) = account.slices("azure", "gpt-5.5")
        assert (budget_slice.spent, budget_slice.reserved) == (spent, 0)
        assert [each.charged for each in worker.index.open_holds(9)] == [expected]

    worker.loop.run_until_complete(end())


def test_of_a_stream_that_is_over_its_count_alone_is_held(worker: Index) -> None:
    """A stream holds what it read, a whole response at times, and its response may be metered by another worker."""
    holds = Holds(worker.loop, Allowances(LocalLeaseServer()), worker.index)
    streams = [TypedStream(responses_report_in, (), runs_on=True) for _ in range(2)]
    for stream, count in zip(streams, (3, 2), strict=True):
        holds.note_stream("resp_1", stream)
        for number in range(count):
            stream.feed(typed("response.output_text.delta", number, delta="word"))
    assert holds.events_streamed("resp_1") == 3
    holds.end_stream("resp_1", streams[0])  # another has taken its place
    streams[1].feed(typed("response.output_text.delta", 2, delta="word") * 2)
    holds.end_stream("resp_1", streams[1])
    streams[1].feed(typed("response.output_text.delta", 4, delta="word"))
    assert holds.events_streamed("resp_1") == 4
    assert not [holder for holder in gc.get_referrers(streams[1]) if isinstance(holder, tuple)]


def test_the_pending_come_in_turn_oldest_first(worker: Index) -> None:
    rows = [row(f"resp_{number}", pending=True, created_ns=number // 2) for number in range(7)]
    worker.add(*reversed(rows), row("resp_done", created_ns=0))
    identifiers, after = [], (-1, "")
    while page := worker.index.pending(3, after):
        identifiers += [resource.identifier for resource in page]
        after = (page[-1].created_ns, page[-1].identifier)
    assert identifiers == [row.identifier for row in rows]


def test_what_was_deleted_is_forgotten_but_not_what_is_owed(worker: Index) -> None:
    worker.add(row("resp_done"), row("resp_owed", pending=True))
    for identifier in ("resp_done", "resp_owed"):
        worker.index.forget(identifier, lambda _outcome: None)
    worker.index.flush()
    assert worker.index.find("resp_done") is None
    assert worker.index.find("resp_owed") is not None


def test_a_long_list_stops_nobody(worker: Index) -> None:
    """A project may have so many objects that to look through them takes seconds: the loop goes on meanwhile."""
    worker.add(row("file-0"))

    async def turns_during(reading: Awaitable[Sequence[object]]) -> int:
        turns, read = 0, asyncio.ensure_future(reading)
        while not read.done():
            turns += 1
            await asyncio.sleep(0)
        assert len(await read) == 1
        return turns

    query = ListQuery(organisation="acme", project="research", endpoint=2, deployments=("azure-1",), count=9)
    assert worker.loop.run_until_complete(turns_during(worker.index.list_resources(query))) > 1
    assert worker.loop.run_until_complete(turns_during(worker.index.deployments(ACME, 2))) > 1


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="issued"):
        ResourceIndex(tmp_path / "missing" / "issued.db", asyncio.new_event_loop())


def overwrite(path: Path, data: bytes) -> None:
    """Write over a file that others have open."""
    with path.open("r+b") as file:
        file.write(data)


def test_a_disk_that_reads_again_is_believed(tmp_path: Path) -> None:
    """SQLite keeps what it has read, damaged pages too, for as long as nobody writes."""
    path = tmp_path / "issued.db"
    names = [f"resp_{number:05d}" for number in range(20_000)]
    earlier = Index(path)
    assert earlier.add(*(row(name) for name in names)) is True
    earlier.close()
    sound = path.read_bytes()
    worker = Index(path)
    overwrite(path, b"\xff" * len(sound))
    for name in names[::100]:
        with contextlib.suppress(OSError):
            worker.index.find(name)
    assert worker.index.unreadable is not None
    overwrite(path, sound)
    assert [worker.index.find(name) for name in names[::100]] == [row(name) for name in names[::100]]
    eventually(lambda: worker.index.unreadable is None)
    worker.close()


def test_a_disk_that_reads_again_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer keeps pages that it read, damaged ones too. It does not wait for a request to try it again."""
    monkeypatch.setattr(resource_index, "_AGAIN_S", 0.01)
    path = tmp_path / "issued.db"
    with contextlib.closing(Index(path)) as worker:
        assert worker.add(*(row(f"resp_{number:05d}") for number in range(5_000))) is True
    sound = path.read_bytes()
    with contextlib.closing(Index(path)) as worker:
        overwrite(path, b"\xff" * len(sound))
        refused = worker.add(row("resp_x"))
        assert isinstance(refused, OSError)
        assert worker.index.failure is refused
        overwrite(path, sound)
        eventually(lambda: worker.index.failure is None)
        assert worker.add(row("resp_x")) is True
        assert worker.index.failure is None


def test_claims_of_a_dead_process_are_decided_once_the_disk_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_index, "_AGAIN_S", 0.01)
    path = tmp_path / "issued.db"
    with contextlib.closing(Index(path)) as dead:
        assert dead.add(row("resp_x", pending=True), *(row(f"resp_{number:05d}") for number in range(5_000))) is True
        assert dead.claim("resp_x", "req_a") is True
    sound = path.read_bytes()

    async def decided(index: ResourceIndex) -> None:
        while not index.pending(1):
            await asyncio.sleep(0.01)

    with contextlib.closing(Index(path)) as worker:
        claims = worker.index.claims()
        overwrite(path, b"\xff" * len(sound))
        worker.index.resolve(claims, set())
        worker.index.flush()
        assert worker.index.failure is not None
        overwrite(path, sound)
        worker.loop.run_until_complete(asyncio.wait_for(decided(worker.index), 60))
        assert worker.claim("resp_x", "req_b") is True


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8))
def test_each_is_claimed_once_whoever_comes(tmp_path: Path, steps: list[tuple[str, bool]]) -> None:
    """Rows and claims in any order, by two workers on one file."""
    workers = [Index(tmp_path / "issued.db"), Index(tmp_path / "issued.db")]
    run = next(_runs)
    won = []
    for number, (name, second) in enumerate(steps):
        identifier, worker = f"{run}-{name}", workers[second]
        worker.add(row(identifier, pending=True))
        if worker.claim(identifier, f"req_{number}") is True:
            won.append(name)
    for worker in workers:
        worker.close()
    assert sorted(won) == sorted({name for name, _ in steps})


_runs = itertools.count()


# A hold, and what became of its batch; the requests that a dead process recorded, None where another process lives that
# has claimed the end → what its charge is once the dead process's claims are decided.
LOST: dict[str, tuple[str, set[str] | None, int]] = {
    "pending": ("pending", set(), -1),
    "claimed by a process that lives": ("claimed", None, -1),
    "claimed, and not recorded": ("claimed", set(), -1),
    "claimed and recorded": ("claimed", {"req_a"}, 40),
    "gone": ("gone", set(), 40),
}


@pytest.mark.parametrize(("state", "recorded", "charged"), LOST.values(), ids=LOST)
def test_a_hold_whose_charge_was_not_written_counts_whole(
    worker: Index, state: str, recorded: set[str] | None, charged: int
) -> None:
    worker.add(msgspec.structs.replace(row("batch_1", pending=True), hold=Hold("batch_1", ("b",), 40, 1)))
    if state != "pending":
        worker.claim("batch_1", "req_a")
    if state == "gone":
        worker.index.mark_metered("batch_1")
        worker.index.forget("batch_1", lambda _outcome: None)
    worker.index.resolve(worker.index.claims() if recorded is not None else {}, recorded or set())
    worker.index.flush()
    (hold,) = worker.index.open_holds(9)
    assert hold.charged == charged
    worker.index.mark_hold_ended("batch_1", 7)
    worker.index.flush()
    (hold,) = worker.index.open_holds(9)
    assert hold.charged == (7 if charged < 0 else charged), "the first charge is the charge"


def test_the_latest_are_remembered(worker: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[ResourceIndex.__module__], "_REMEMBERED_MAX", 2)
    worker.add(*(row(f"resp_{number}") for number in range(4)))
    assert list(worker.index._remembered) == ["resp_2", "resp_3"]
    worker.index.remember([row("resp_0", RIVAL)])
    resource = worker.index.find("resp_0")
    assert resource is not None
    assert resource.buyer == ACME, "what another home says of ours changes nothing"
