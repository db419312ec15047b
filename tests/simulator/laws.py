"""The laws: what holds in every story, whatever failed. Some are watched while it runs, the others judged at its end.

Ground truth is what clouds answered and what clients got; nothing of it comes from the product's own books.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from clauseway.app.books.register import recorded_facts
from clauseway.gateway.budgets.allowances import KeyAllowance
from clauseway.gateway.request.attempt import Attempt
from clauseway.ledger import balances
from clauseway.ledger.journal import Entry
from clauseway.metering import RequestId, Status
from clauseway.metering.records import IS_ESTIMATE, SERVED
from clauseway.spool import SpoolWriter
from clauseway.storage import Control
from clauseway.storage.books.losses import Loss, Losses
from clauseway.storage.control import schema
from clauseway.storage.customers.leases import Lease, LeaseRequest, Leases, LeaseState, _read
from clauseway.storage.lake.file_list import INTENTS, USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import KnownAt

from .actors import INPUT_PRICE, OUTPUT_PRICE, Amendment, Answer, BudgetTerms, CloudCall, Gateway, Terms, VirtualHome
from .bookkeeping import INPUT_USD, OUTPUT_USD, RATE, Settled
from .registering import NOTHING_RECORDED, Register, outcome_at, outcome_of
from .seams import Replaced
from .world import SECOND, Process, World

ACKNOWLEDGED: Final = "what was acknowledged is metered, once"
NOWHERE: Final = "nothing is metered twice or comes from nowhere"
COVERED: Final = "an attempt older than 50 ms is in the journal"
BUDGETS: Final = "budgets are held over all gateways"
RETURNED: Final = "what was not spent is free again"
LIMITS: Final = "limits are held over all gateways"
FENCED: Final = "a lease that is over stays over, and an old word moves none"
STREAMS: Final = "every answer ends, as an answer or as an error"
CLOCKS: Final = "usage keeps the instant of its event, and that of its record"
REVOKED: Final = "a key that was revoked serves nobody after three seconds"
AMENDED: Final = "a cloud that an amendment took away is asked nothing after three seconds"
KNOWN: Final = "an answer as of an instant uses nothing that was recorded after it"
SETTLED: Final = "what is settled is what clouds' own logs say, to the cent"
CAPPED: Final = "the cap is never exceeded"
REPEATED: Final = "who settles again gets the same bytes"
SERVES: Final = "what is whole again serves again"
FAULTS: Final = "no process ends by a fault of its own"
LAWS: Final = (
    ACKNOWLEDGED,
    NOWHERE,
    COVERED,
    BUDGETS,
    RETURNED,
    LIMITS,
    FENCED,
    STREAMS,
    CLOCKS,
    REVOKED,
    AMENDED,
    KNOWN,
    SETTLED,
    CAPPED,
    REPEATED,
    SERVES,
    FAULTS,
)

# Beside the 50 ms for which an intent may wait: a commit before it and its own, on a disk that is slow.
_COVERED_S: Final = 0.050 + 0.1
_MINUTE_NS: Final = 60 * SECOND
# A look at the database, a plan written and read; on a real machine it is well within a second.
_REVOKED_NS: Final = 3 * SECOND
_CENT: Final = Decimal("0.01")


class Begun(NamedTuple):
    """An attempt at a cloud as it began: who made it, when, and what it reserved."""

    request: RequestId
    attempt: int
    process: Process
    at_ns: int
    event_ns: int
    wall_ns: int
    reserved: int
    cloud: str


class Watch:
    """A watch kept from outside while a story runs: attempts, admissions and leases."""

    def __init__(self, world: World, terms: Terms) -> None:
        self._world = world
        self._limits = dict(terms.limits)
        self.begun: list[Begun] = []
        self._admitted: dict[str, deque[int]] = defaultdict(deque)
        self.ended: dict[tuple[str, str, int], int] = {}
        self.ended_ns: dict[tuple[str, str], int] = {}  # by budget and start: when its last lease was ended by others
        self.sealed_ns: dict[tuple[str, int], int] = {}  # by attempt: when its begin was known to the lake
        self._heard: dict[tuple[str, str, int], tuple[int, int]] = {}
        self.failed: set[Process] = set()  # whose journal failed: nothing is promised of what was not written yet
        self.revoked: dict[str, int] = {}  # by customer: since when somebody was told that the key is revoked
        self.amendments: list[Amendment] = []
        self.lost_disks: set[str] = set()  # by machine
        self.troubled: list[tuple[int, int, str]] = []  # from, until, machine: when nothing was promised there

    def install(self, replaced: Replaced) -> None:
        watch = self
        begin, admit, lease, end, seal = Attempt._begin, KeyAllowance.admit, Leases.lease, Leases.end, Lake.seal

        def watched_begin(attempt: Attempt) -> None:
            watch._begins(attempt)
            begin(attempt)

        def watched_admit(allowance: KeyAllowance, now_s: float) -> Any:
            shortage = admit(allowance, now_s)
            if shortage is None:
                for window in allowance._requests:
                    watch._admits(window.id)
            return shortage

        def watched_lease(leases: Leases, wanted: Sequence[LeaseRequest], now_ns: int) -> list[LeaseState]:
            states = lease(leases, wanted, now_ns)
            for request, state in zip(wanted, states, strict=True):
                watch._leases(request, state, now_ns)
            return states

        def watched_end(leases: Leases, ended: Lease, spent: int, now_ns: int) -> bool:
            done = end(leases, ended, spent, now_ns)
            if done:
                if (ended.budget, ended.boot, ended.part) in watch.ended:
                    watch._world.breaks(FENCED, f"{ended.budget} of {ended.boot} is ended again")
                watch.ended[ended.budget, ended.boot, ended.part] = spent
                watch.ended_ns[ended.budget, ended.boot] = watch._world.now_ns
            return done

        def watched_seal(lake: Lake, batch: UsageBatch, *others: Any, **named: Any) -> bool:
            for intent in batch.intents:
                watch.sealed_ns.setdefault((str(intent.request), intent.attempt), watch._world.now_ns)
            return seal(lake, batch, *others, **named)

        fail = SpoolWriter._fail

        def watched_fail(writer: SpoolWriter, error: OSError) -> None:
            if watch._world.current is not None:
                watch.failed.add(watch._world.current)
            fail(writer, error)

        replaced.set(SpoolWriter, "_fail", watched_fail)
        replaced.set(Attempt, "_begin", watched_begin)
        replaced.set(KeyAllowance, "admit", watched_admit)
        replaced.set(Leases, "lease", watched_lease)
        replaced.set(Leases, "end", watched_end)
        replaced.set(Lake, "seal", watched_seal)

    def _begins(self, attempt: Attempt) -> None:
        owner: Any = attempt._owner
        process = self._world.current
        assert process is not None
        self.begun.append(
            Begun(
                request=RequestId(owner.shared.boot, owner.number),
                attempt=attempt.ordinal,
                process=process,
                at_ns=self._world.now_ns,
                event_ns=owner.event_ns,
                wall_ns=process.machine.wall_ns(),
                reserved=attempt.reserved.picodollars,
                cloud=attempt.candidate.target.cloud,
            )
        )

    def _admits(self, limit: str) -> None:
        times, now_ns = self._admitted[limit], self._world.now_ns
        times.append(now_ns)
        while times[0] <= now_ns - _MINUTE_NS:
            times.popleft()
        if len(times) > self._limits[limit]:
            self._world.breaks(
                LIMITS, f"{len(times)} requests within a minute of {limit}, which lets {self._limits[limit]}"
            )

    def _leases(self, wanted: LeaseRequest, state: LeaseState, now_ns: int) -> None:
        name = wanted.budget, wanted.boot, wanted.part
        if name in self.ended and state.end_ns > now_ns:
            self._world.breaks(FENCED, f"{wanted.budget} of {wanted.boot} was ended and is spoken of as open")
        serial, leased = self._heard.get(name, (0, 0))
        if wanted.serial <= serial and state.leased != leased:
            self._world.breaks(FENCED, f"word {wanted.serial} after {serial} moved {name}: {leased} to {state.leased}")
        self._heard[name] = max(serial, wanted.serial), state.leased

    def excused(self, machine: str, since_ns: int, until_ns: int) -> bool:
        """Return whether nothing was promised of a machine at some instant between two."""
        return any(name == machine and begin <= until_ns and end >= since_ns for begin, end, name in self.troubled)


class Records(NamedTuple):
    """The product's records at the end: rows of the lake, leases, losses."""

    usage: list[dict[str, Any]]
    intents: list[dict[str, Any]]
    leases: list[Lease]
    losses: list[Loss]
    budgets: dict[str, int]
    unreadable: list[str]
    entries: list[Entry]

    @classmethod
    def read(cls, control: Control, homes: Sequence[VirtualHome], budgets: dict[str, int]) -> "Records":
        rows: dict[str, list[dict[str, Any]]] = {}
        unreadable: list[str] = []
        for kind in (USAGE, INTENTS):
            names = [file.name for file in files_of(control, kind)]
            paths = [
                path
                for name in names
                for path in {(home.home.lake / name).resolve() for home in homes}
                if path.exists()
            ]
            rows[kind] = []
            for path in paths:
                try:
                    rows[kind] += pq.ParquetFile(path).read().to_pylist()
                except (pa.ArrowInvalid, OSError):  # which of the two depends on where it is torn
                    unreadable.append(path.name)
        with control.reading() as connection:
            leases = [_read(row) for row in connection.execute(select(schema.leases))]
        return cls(rows[USAGE], rows[INTENTS], leases, Losses(control).all(), budgets, unreadable, control.entries())


class Ending(NamedTuple):
    """A story at its end."""

    world: World
    watch: Watch
    terms: Terms
    records: Records
    calls: list[CloudCall]
    answers: list[Answer]
    gateways: list[Gateway]
    settled: Settled | None
    register: Register
    home: VirtualHome


def judge(ending: Ending) -> None:
    """Hold everything against the laws."""
    for law, violations in _JUDGES:
        for text in violations(ending):
            ending.world.breaks(law, text)


def _acknowledged(ending: Ending) -> Iterator[str]:
    for name in ending.records.unreadable:
        yield f"what was sealed as {name} cannot be read"
    by_request = defaultdict(list)
    for row in ending.records.usage:
        by_request[row["request_id"]].append(row)
    lost_boots = {loss.boot for loss in ending.records.losses}
    for answer in ending.answers:
        if answer.how != "whole":
            continue
        rows = [row for row in by_request[answer.request] if row["status"] == Status.COMPLETE]
        if len(rows) != 1 and answer.request[4:20] not in lost_boots:
            yield f"{answer.tag} ({answer.request}) was answered whole and is metered {len(rows)} times"
        elif rows and answer.input_tokens >= 0:
            counted = rows[0]["input_tokens"], rows[0]["output_tokens"]
            if counted != (answer.input_tokens, answer.output_tokens):
                yield f"{answer.tag} says {answer.input_tokens}/{answer.output_tokens}, metered are {counted}"


def _nowhere(ending: Ending) -> Iterator[str]:
    calls = {call.upstream_id: call for call in ending.calls}
    seen_attempts, seen_ids = set(), set()
    begun = {(str(each.request), each.attempt) for each in ending.watch.begun}
    # A follower never cuts what it has beyond a gateway's disk (choice 116): it may have an end that the gateway's next
    # start did not find there, and wrote as lost. Of the two the better one counts.
    may_have_both = bool(ending.world.faults["disk lost"])
    for row in sorted(ending.records.usage, key=lambda row: row["status"] == Status.LOST):
        attempt = row["request_id"], row["attempt"]
        if attempt in seen_attempts:
            if may_have_both and row["status"] == Status.LOST:
                continue
            yield f"attempt {attempt} is in the lake twice"
        seen_attempts.add(attempt)
        if attempt not in begun:
            yield f"attempt {attempt} is in the lake, and nobody made it"
        if row["status"] != Status.COMPLETE:
            continue
        call = calls.get(row["upstream_id"])
        if call is None or row["upstream_id"] in seen_ids:
            yield f"answer {row['upstream_id']!r} of a cloud is metered {'twice' if call else 'and was never given'}"
            continue
        seen_ids.add(row["upstream_id"])
        if (row["input_tokens"], row["output_tokens"]) != (call.input_tokens, call.output_tokens):
            yield f"{call.upstream_id} used {call.input_tokens}/{call.output_tokens}, metered is another count"
        if row["charge_picodollars"] != call.input_tokens * INPUT_PRICE + call.output_tokens * OUTPUT_PRICE:
            yield f"{call.upstream_id} is charged {row['charge_picodollars']}"


def _covered(ending: Ending) -> Iterator[str]:
    intents = {(row["request_id"], row["attempt"]) for row in ending.records.intents}
    ends = {(row["request_id"], row["attempt"]) for row in ending.records.usage}
    for each in ending.watch.begun:
        attempt, process = (str(each.request), each.attempt), each.process
        # Where a journal has failed, its gateway's next start writes the ends.
        waits_for_start = process in ending.watch.failed and _is_last(ending, process)
        if attempt in intents and attempt not in ends and not waits_for_start:
            yield f"attempt {attempt} has no end in the lake"
        if attempt in intents or process in ending.watch.failed:
            continue
        is_young = process.ended_ns - each.at_ns < _COVERED_S * SECOND
        # While a disk was slow or full, nothing could be written.
        is_excused = ending.watch.excused(process.machine.name, each.at_ns, process.ended_ns)
        # Records that a follower that was away has not heard of go with the disk, however its gateway ended.
        is_lost = process.machine.name in ending.watch.lost_disks and is_excused
        if (process.is_orderly and not is_lost) or not (is_young or is_excused):
            yield f"attempt {attempt} has no intent in the lake"


def _is_last(ending: Ending, process: Process) -> bool:
    later = (other for other in ending.world.pids.values() if other.began_ns > process.began_ns)
    return all(other.name != process.name for other in later)


def _budgets(ending: Ending) -> Iterator[str]:
    records = ending.records
    gone: dict[tuple[str, int], int] = defaultdict(int)
    for lease in records.leases:
        gone[lease.budget, lease.begin_ns] += lease.gone
    for (name, begin_ns), total in gone.items():
        if total > records.budgets[name]:
            yield f"{total} are gone of {name} from {begin_ns}, which has {records.budgets[name]}"
    for budget in ending.terms.budgets:
        periods = {begin_ns for name, begin_ns in gone if name == budget.id}
        known = _known(ending, budget)
        if known > budget.amount * max(len(periods), 1):
            yield f"{known} were spent of {budget.id}, which has {budget.amount} in each {budget.period}"
        written = sum(lease.spent for lease in records.leases if lease.budget == budget.id)
        if written < known and not any(lease.is_open for lease in records.leases):
            yield f"{known} were spent of {budget.id}, and {written} are written down"


def _known(ending: Ending, budget: BudgetTerms) -> int:
    """Return what was spent of a budget at least: charges, and the reservations of attempts whose end nobody knew when
    the lease of a dead process was ended. An attempt of which nobody knew then that it had begun is no such one: a
    follower may have had its begin alone, and it is read when the journal is recovered."""
    ends, watch = _ends(ending), ending.watch
    total = 0
    for row in ending.records.intents:
        if not _counts(row, budget):
            continue
        attempt = row["request_id"], row["attempt"]
        end = ends.get(attempt)
        if end is not None and end["status"] != Status.LOST:
            total += end["charge_picodollars"]
        elif watch.sealed_ns[attempt] <= watch.ended_ns.get((budget.id, row["request_id"][4:20]), -1):
            total += row["reserved_picodollars"]
    return total


def _ends(ending: Ending) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the end of each attempt; of two, the one by which more is known."""
    best_last = sorted(ending.records.usage, key=lambda row: -row["status"])
    return {(row["request_id"], row["attempt"]): row for row in best_last}


def _counts(row: dict[str, Any], budget: BudgetTerms) -> bool:
    return row["organisation"] == budget.organisation and budget.cloud in ("", row["cloud"])


def _returned(ending: Ending) -> Iterator[str]:
    still_open = [lease for lease in ending.records.leases if lease.is_open]
    missing = {loss.boot for loss in ending.records.losses}
    for lease in still_open:
        if lease.leased > 0 and lease.boot not in missing:
            yield f"{lease.budget} of {lease.boot} is still leased: {lease.leased}"
    if still_open or ending.records.losses:
        return
    intents = {(row["request_id"], row["attempt"]) for row in ending.records.intents}
    unwritten = sum(each.reserved for each in ending.watch.begun if (str(each.request), each.attempt) not in intents)
    for budget in ending.terms.budgets:
        written = sum(lease.spent for lease in ending.records.leases if lease.budget == budget.id)
        most = _known(ending, budget) + unwritten + _unheard(ending, budget) + _twice(ending, budget)
        if written > most:
            yield f"{written} are written down as spent of {budget.id}, and at most {most} were"


def _twice(ending: Ending, budget: BudgetTerms) -> int:
    """Return what may count in two leases of a process: the attempts in the frame in which the later one began."""
    begins: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for lease in ending.records.leases:
        if lease.budget == budget.id:
            begins[lease.boot].append(lease.begun_at)
    later = {(boot, *place) for boot, places in begins.items() for place in sorted(places)[1:]}
    return sum(
        row["reserved_picodollars"]
        for row in ending.records.intents
        if _counts(row, budget) and (row["request_id"][4:20], row["journal_segment"], row["journal_frame"]) in later
    )


def _unheard(ending: Ending, budget: BudgetTerms) -> int:
    """Return what attempts may have cost whose process knew their end, and could not write it down."""
    ends = {attempt: row["status"] for attempt, row in _ends(ending).items()}
    asked = {(row["request_id"], row["attempt"]) for row in ending.records.intents if _counts(row, budget)}
    total = 0
    for each in ending.watch.begun:
        attempt = str(each.request), each.attempt
        # Where a journal has failed and nobody started its gateway again, there is no end at all.
        has_failed = attempt not in ends and each.process in ending.watch.failed
        if attempt in asked and (ends.get(attempt) == Status.LOST or has_failed):
            total += each.reserved
    return total


def _fenced(ending: Ending) -> Iterator[str]:
    for lease in ending.records.leases:
        spent = ending.watch.ended.get((lease.budget, lease.boot, lease.part))
        if spent is not None and (lease.is_open or lease.spent != spent):
            yield f"{lease.budget} of {lease.boot} was ended at {spent} and is at {lease.spent} now"


def _streams(ending: Ending) -> Iterator[str]:
    by_name = {gateway.name: gateway for gateway in ending.gateways}
    for answer in ending.answers:
        until_ns = answer.ended_ns or ending.world.now_ns
        machine = by_name[answer.gateway].home.machine.name
        died = any(
            process.name == answer.gateway
            and process.ended_ns
            and answer.sent_ns <= process.ended_ns <= until_ns + 5 * SECOND
            for process in ending.world.pids.values()
        )
        if answer.how == "cut short":
            yield f"{answer.tag} got a stream that ended in its middle and does not say so"
        elif (
            answer.how in ("gone", "silent")
            and not died
            and not ending.watch.excused(machine, answer.sent_ns, until_ns)
        ):
            yield f"{answer.tag} was left {answer.how} by {answer.gateway}, which was well"


def _clocks(ending: Ending) -> Iterator[str]:
    begun = {(str(each.request), each.attempt): each for each in ending.watch.begun}
    for row in (*ending.records.usage, *ending.records.intents):
        each = begun.get((row["request_id"], row["attempt"]))
        if each is not None and row["event_ns"] != each.event_ns:
            yield f"{row['request_id']} happened at {each.event_ns}, and is said to have at {row['event_ns']}"
    for row in ending.records.intents:
        each = begun.get((row["request_id"], row["attempt"]))
        if each is not None and row["recorded_ns"] != each.wall_ns:
            yield f"{row['request_id']} was recorded at {each.wall_ns}, by its row at {row['recorded_ns']}"


def _revoked(ending: Ending) -> Iterator[str]:
    """Of a home that was well for so long, no gateway serves by an older plan."""
    by_name = {gateway.name: gateway.home.name for gateway in ending.gateways}
    for answer in ending.answers:
        home, well_since_ns = by_name[answer.gateway], answer.sent_ns - _REVOKED_NS
        revoked_ns = ending.watch.revoked.get(answer.customer)
        if revoked_ns is None or answer.status != 200 or revoked_ns > well_since_ns:
            continue
        if _was_well(ending, home, well_since_ns, answer.sent_ns):
            late_s = (answer.sent_ns - revoked_ns) / SECOND
            yield f"{answer.gateway} served {answer.tag} {late_s:.1f} s after {answer.customer}'s key was revoked"


def _was_well(ending: Ending, home: str, since_ns: int, until_ns: int) -> bool:
    """Return whether a home was served from one instant to another, and all was promised of its machine."""
    has_parent = any(
        process.name == f"{home}/parent"
        and process.began_ns <= since_ns
        and (process.alive or process.ended_ns > until_ns)
        for process in ending.world.pids.values()
    )
    return has_parent and not ending.watch.excused(home, since_ns, until_ns)


def _amended(ending: Ending) -> Iterator[str]:
    """Of a home that was well for so long, no gateway asks a cloud by the agreement as it was."""
    if not ending.watch.amendments:
        return
    by_name = {gateway.name: gateway.home.name for gateway in ending.gateways}
    begun = defaultdict(list)
    for each in ending.watch.begun:
        begun[str(each.request)].append(each)
    for answer in ending.answers:
        home, well_since_ns = by_name[answer.gateway], answer.sent_ns - _REVOKED_NS
        for amendment in ending.watch.amendments:
            asked = [
                each
                for each in begun[answer.request]
                if each.cloud == amendment.cloud and each.event_ns >= amendment.in_force_ns
            ]
            is_heard = amendment.recorded_ns <= well_since_ns
            if asked and is_heard and _was_well(ending, home, well_since_ns, answer.sent_ns):
                late_s = (asked[0].event_ns - amendment.in_force_ns) / SECOND
                yield f"{answer.tag} went to {amendment.cloud} {late_s:.1f} s after that was taken away"


def _known_then(ending: Ending) -> Iterator[str]:
    if not ending.register.recorded:
        return
    held = recorded_facts(ending.home.home)
    for fact in ending.register.recorded:
        if fact not in held:
            yield f"{fact.id} was recorded, and is not in the register"
    before, outcome = KnownAt(0), NOTHING_RECORDED
    for fact in held:
        if fact.known <= before:
            yield f"{fact.id} was recorded last, as known at {fact.known}, before {before}"
        just_before = KnownAt(fact.known.instant_ns, fact.known.sequence - 1)
        if (then := outcome_at(ending.home, just_before)) != outcome:
            yield f"without {fact.id} it was {outcome}; as of just before, the answer is {then}"
        before, outcome = fact.known, outcome_of(fact)
        if (then := outcome_at(ending.home, fact.known)) != outcome:
            yield f"by {fact.id} it is {outcome}; as of it, the answer is {then}"
    for asked in ending.register.asked:
        if (now := outcome_at(ending.home, asked.known_at)) != asked.outcome:
            yield f"as of {asked.known_at} the answer was {asked.outcome}, and is {now} now"


def _settled(ending: Ending) -> Iterator[str]:
    settled = ending.settled
    if settled is None:
        return
    if not ending.records.losses:
        yield from (f"a settlement was refused: {refusal}" for refusal in settled.refusals)
    if not settled.settlements:
        return
    by_cloud: dict[str, Decimal] = defaultdict(Decimal)
    for cloud, amount in _sales(ending):
        by_cloud[cloud] += amount
    base = sum(by_cloud.values(), Decimal(0))
    due = min((base * RATE).quantize(_CENT, ROUND_HALF_EVEN), settled.cap)
    if settled.stated != due:
        yield f"clouds' logs come to {base} USD and so to {due}, the statements to {settled.stated}"
    lines = {line.cloud: line.base for share in settled.shares for line in share.lines}
    if lines != by_cloud and not settled.is_closed:
        yield f"clouds' logs say {dict(by_cloud)}, the statement {lines}"
    posted = balances(ending.records.entries)
    owed = -sum((amount for account, amount in posted.items() if account.kind == "payable"), Decimal(0))
    if owed != due:
        yield f"due are {due}, and {owed} are posted"


def _sales(ending: Ending) -> Iterator[tuple[str, Decimal]]:
    """Yield what was sold, by cloud: by the cloud's own log, or by the gateway's estimate of an answer that broke."""
    calls = {call.upstream_id: call for call in ending.calls}
    for row in ending.records.usage:
        if row["status"] not in SERVED:
            continue
        units = row["input_tokens"], row["output_tokens"]
        if row["status"] not in IS_ESTIMATE:
            call = calls[row["upstream_id"]]
            units = call.input_tokens, call.output_tokens
        yield row["cloud"], units[0] * INPUT_USD + units[1] * OUTPUT_USD


def _capped(ending: Ending) -> Iterator[str]:
    settled = ending.settled
    if settled is None or not settled.settlements:
        return
    if settled.stated > settled.cap:
        yield f"{settled.stated} are stated, and the cap is {settled.cap}"
    for settlement in settled.settlements:
        for share in settlement.shares:
            assert share.cap is not None
            if share.cap.consumed_before + share.cap.consumed > settled.cap:
                yield f"{share.cap.consumed_before} and {share.cap.consumed} of a cap of {settled.cap} are consumed"


def _repeated(ending: Ending) -> Iterator[str]:
    if ending.settled is not None and len(set(ending.settled.statements)) > 1:
        yield "settled again, the statement is another one"


Violations = Callable[[Ending], Iterator[str]]
_JUDGES: Final[tuple[tuple[str, Violations], ...]] = (
    (ACKNOWLEDGED, _acknowledged),
    (NOWHERE, _nowhere),
    (COVERED, _covered),
    (BUDGETS, _budgets),
    (RETURNED, _returned),
    (FENCED, _fenced),
    (STREAMS, _streams),
    (CLOCKS, _clocks),
    (REVOKED, _revoked),
    (AMENDED, _amended),
    (KNOWN, _known_then),
    (SETTLED, _settled),
    (CAPPED, _capped),
    (REPEATED, _repeated),
)
