"""Bugs to be planted, one at a time: a piece of the product's source, and what stands there with the bug.

A bug is planted by compiling one function anew, in its own module, with the piece replaced; a piece that is not there
any more is an error of this table. Each names the law that has to see it. The last one no law can see, and says why.
"""

import functools
import inspect
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from .laws import (
    ACKNOWLEDGED,
    AMENDED,
    BUDGETS,
    CAPPED,
    CLOCKS,
    COVERED,
    FAULTS,
    FENCED,
    KNOWN,
    LIMITS,
    NOWHERE,
    REPEATED,
    RETURNED,
    REVOKED,
    SERVES,
    SETTLED,
    STREAMS,
)  # fmt: skip
from .seams import Replaced

# The Python whose seeds stand here. Its event loop decides who of several goes on first.
SEEDS_OF = (3, 11)


class Bug(NamedTuple):
    """A bug: its name, where it stands (module:function), the piece and its replacement, the law that sees it, and the
    seed of a story in which it did when this was written."""

    name: str
    place: str
    piece: str
    instead: str
    law: str
    seed: int
    why_unseen: str = ""


BUGS = (
    Bug(
        "an answer ends before its record is on the disk", "clauseway.spool.writer:SpoolWriter.notify_when_durable",
        "        self._waiting.append(waiter)\n        if self._busy:",
        "        self._loop.call_soon(waiter.write_ended, None)\n        if self._busy:", ACKNOWLEDGED, 12,
    ),
    Bug(
        "a commit is written and not forced", "clauseway.spool.writer:SpoolWriter._commit",
        "self._offset, os.RWF_DSYNC)", "self._offset, 0)", ACKNOWLEDGED, 9,
    ),
    Bug(
        "a new segment's name is not forced", "clauseway.spool.writer:SpoolWriter._create",
        "            force_folder(self._directory)\n", "", ACKNOWLEDGED, 8,
    ),
    Bug(
        "a new journal's own name is not forced", "clauseway.files.whole:make_folder",
        "        force_folder(made.parent)\n", "        pass\n", ACKNOWLEDGED, 15,
    ),
    Bug(
        "a new segment's header is not forced", "clauseway.spool.writer:SpoolWriter._create",
        "(header,), 0, os.RWF_DSYNC)", "(header,), 0, 0)", ACKNOWLEDGED, 9,
    ),
    Bug(
        "a file of the lake is not forced", "clauseway.storage.lake.lake:Lake._write",
        "with written_whole(path) as beside:", "with written_whole(path, durable=False) as beside:", ACKNOWLEDGED, 3,
    ),
    Bug(
        "a journal whose disk failed goes on", "clauseway.spool.writer:SpoolWriter._written",
        "            else:\n                self._fail(result)\n        elif",
        "            else:\n                self._release()\n        elif", ACKNOWLEDGED, 53,
    ),
    Bug(
        "a frame without room is taken for written", "clauseway.spool.writer:SpoolWriter._stall",
        "self._tell(waiters, error)", "self._tell(waiters, None)", ACKNOWLEDGED, 0,
    ),
    Bug(
        "a segment is released while an attempt is open in it", "clauseway.spool.reader:release",
        "        if place.segment in open_segments:\n            break\n", "", COVERED, 206,
    ),
    Bug(
        "what a dead process left open is not ended", "clauseway.gateway.process.journals:write_lost",
        "for attempt in attempts:", "for attempt in attempts[1:]:", COVERED, 0,
    ),
    Bug(
        "a process that starts ends its own attempts", "clauseway.gateway.process.journals:_end_unended",
        "first_own, asked.values())", "1 << 62, asked.values())", NOWHERE, 35,
    ),
    Bug(
        "a failed attempt is charged as the last answer",
        "clauseway.gateway.request.attempt:Attempt._charge_and_append",
        "charge = target.charge(units)", "charge = 2 * target.charge(units)", NOWHERE, 0,
    ),
    Bug(
        "what is given back stays in use until it is heard", "clauseway.gateway.budgets.slices:BudgetSlice.give_back",
        "        self.leased -= max(self.left, 0)\n        self.left = min(self.left, 0)\n        self.low_water = 0\n"
        "        self.owing = True\n        self.idle = False\n        return self.ask()",
        "        return self.ask(target=self.leased - max(self.left, 0))", BUDGETS, 91,
    ),
    Bug(
        "an old word moves a lease", "clauseway.storage.customers.leases:_lease",
        "(wanted.serial <= lease.serial or not lease.is_open)", "not lease.is_open", FENCED, 43,
    ),
    Bug(
        "a lease that is over can be spoken of again", "clauseway.storage.customers.leases:_lease",
        "(wanted.serial <= lease.serial or not lease.is_open)", "wanted.serial <= lease.serial", FENCED, 24,
    ),
    Bug(
        "what ended leases spent is free again", "clauseway.storage.customers.leases:_of_period",
        "return [_read(row) for row in connection.execute(query)]",
        "return [lease for row in connection.execute(query) if (lease := _read(row)).is_open]", BUDGETS, 4,
    ),
    Bug(
        "an attempt without an end cost nothing", "clauseway.app.usage.returning:_spent",
        "attempt.reserved if attempt.status in (0, Status.LOST) else attempt.charge", "attempt.charge", BUDGETS, 0,
    ),
    Bug(
        "what attempts freed is given back before the journal has their ends",
        "clauseway.gateway.budgets.allowances:Allowances._give_back",
        "if calls and not await self._is_recorded():", "if False:", BUDGETS, 39,
    ),
    Bug(
        "attempts in the frame in which a lease began count nowhere", "clauseway.app.usage.returning:_by_place",
        "(attempt.journal_segment, attempt.journal_frame)", "(attempt.journal_segment, attempt.journal_frame - 1)",
        BUDGETS, 0,
    ),
    Bug(
        "leases of dead processes are never ended", "clauseway.app.usage.returning:_end",
        "ended += leases.end(part, max(own, part.spent), now_ns)", "ended += 1", RETURNED, 0,
    ),
    Bug(
        "a share of a dead process is free at once", "clauseway.app.customers.limit_shares:_lease",
        "held_s = _MINUTE_S if ask.over else _HELD_S", "held_s = 0.5 if ask.over else LASTS_S", LIMITS, 256,
    ),
    Bug(
        "a minute is forgotten after half of it", "clauseway.gateway.budgets.windows:Window.turn",
        "step - steps[0][0] > _WINDOW_S", "step - steps[0][0] > 5", LIMITS, 14,
    ),
    Bug(
        "a stream that breaks ends as if it were whole", "clauseway.gateway.request.lifecycle:Lifecycle.stream_broke",
        "_last_of_stream(event, self._client.chunked)", '_last_of_stream(b"", self._client.chunked)', STREAMS, 3,
    ),
    Bug(
        "an intent is recorded under the instant of its request", "clauseway.gateway.request.attempt:Attempt._begin",
        "recorded_ns=time_ns()", "recorded_ns=owner.event_ns", CLOCKS, 0,
    ),
    Bug(
        "a batch is sealed from its segment's begin again", "clauseway.app.usage.sealing:_seal_segment",
        "first = lake.control.sealed_to(place.spool or registered.spool, place.segment)", "first = 0", FAULTS, 0,
    ),
    Bug(
        "a gateway stays with the plan that it began with", "clauseway.gateway.process.server:Server._look_at_plan",
        "if self._read_again or file_identity(self._options.plan) != self._plan_seen:", "if False:", REVOKED, 58,
    ),
    Bug(
        "a revoked key is still accepted", "clauseway.storage.control.control:Control.keys",
        "if not with_revoked:", "if False:", REVOKED, 18,
    ),
    Bug(
        "routes of an amendment are not turned to", "clauseway.gateway.routing.routing_tables:RoutingTables._turn_to",
        "if epoch.begin_ns <= self._begin_ns:", "if epoch.begin_ns <= 0:", AMENDED, 2,
    ),
    Bug(
        "an answer ends before its copy is on the follower's disk", "clauseway.spool.writer:SpoolWriter._written",
        "            if self._copy is not None:\n", "            if False:\n", ACKNOWLEDGED, 246,
    ),
    Bug(
        "what a recovered journal left open is not ended", "clauseway.app.usage.recovering:end_open_attempts",
        "    if unended:", "    if not unended:", COVERED, 6,
    ),
    Bug(
        "facts count from the day before they were recorded",
        "clauseway.agreement.language.facts:FactRegister.known",
        "if fact.known <= known_at", "if fact.known.instant_ns <= known_at.instant_ns + 86_400_000_000_000", KNOWN, 25,
    ),
    Bug(
        "a day's charges are kept although usage of it came late", "clauseway.app.books.day_charges:DayCharges._name",
        "named(_FORMAT, day, batches,", "named(_FORMAT, day,", SETTLED, 4,
    ),
    Bug(
        "a line that is settled again is posted whole", "clauseway.ledger.accruals:_accrual",
        "held = balances(before)", "held = balances(())", SETTLED, 4,
    ),
    Bug(
        "the name of a folder that was there is not forced", "clauseway.storage.lake.stores:make_folders",
        "    folder.mkdir(parents=True, exist_ok=True)\n    folders = []",
        "    folders = []\n    if folder.exists():\n        return folders\n"
        "    folder.mkdir(parents=True, exist_ok=True)", ACKNOWLEDGED, 3005,
    ),
    Bug(
        "attempts that were sealed beyond the end of a copy stay open", "clauseway.app.usage.recovering:_end_beyond",
        "    if not left_open:", "    if left_open:", COVERED, 616,
    ),
    Bug(
        "a frame is sealed before it is on the disk", "clauseway.app.usage.sealing:_seal_segment",
        "spool.force_segment(directory, place.segment)", "pass", COVERED, 3659,
    ),
    Bug(
        "a charge that came after a day's turn is counted on neither day", "clauseway.app.usage.returning:_of_open",
        "else (0, rest)", "else (0, 0)", BUDGETS, 3551,
    ),
    Bug(
        "leases that began in one frame are taken for told apart", "clauseway.app.usage.returning:_within",
        "if moved > 0:", "if moved > 1 << 62:", BUDGETS, 7908,
    ),
    Bug(
        "who waited for the database waits four times as long", "clauseway.app.running.plan_inputs:PlanInputs.changed",
        "4 * (time.thread_time() - worked_before_s)", "4 * (time.monotonic() - begin_s)", REVOKED, 5385,
    ),
    Bug(
        "a home is heard by its own clock", "clauseway.storage.books.losses:Losses.heard",
        "            now_ns = engines.now_ns(connection)",
        "            import time; now_ns = time.time_ns()", SERVES, 26,
    ),
    Bug(
        "a share is not clipped at its cap", "clauseway.ledger.sharing:Sharing._clip",
        "return share if self.limit is None else min(share, self.limit)", "return share", CAPPED, 9,
    ),
    Bug(
        "a settlement keeps the instant at which it was made", "clauseway.app.books.settling:Settler._inputs_of",
        "or _known_at(self._lake, self._opened, self._prices, days.end)", "or str(KnownAt(time.time_ns()))",
        REPEATED, 4,
    ),
    Bug(
        "a home that is gone keeps leases whose journal is at rest", "clauseway.app.customers.holders:of_the_dead",
        "losses.written_off() | _at_rest_elsewhere(losses, spools.values(), identity)", "losses.written_off()",
        RETURNED, 6126,
    ),
)  # fmt: skip

# The test that sees the bug below.
UNSEEN_BY = "tests/spool/test_spool_journal.py::test_what_was_acknowledged_is_in_the_header_before_anybody_hears_of_it"
UNSEEN = Bug(
    "acknowledged frames are not counted in the header", "clauseway.spool.writer:SpoolWriter._acknowledge",
    "os.pwrite(self._segment.descriptor, pack_acknowledged(self._frame), ACKNOWLEDGED_AT)", "pass", "", -1,
    "The count tells a frame that was damaged after it was forced from one that was never whole. No disk here changes "
    f"bytes that it has forced, so the count is never needed; `{UNSEEN_BY}` sees it.",
)  # fmt: skip


def planting(bug: Bug) -> Callable[[Replaced], None]:
    """Return what plants a bug. Raise LookupError where its piece is not there, or not there once."""
    module_name, _, path = bug.place.partition(":")
    module = import_module(module_name)
    *owners, name = path.split(".")
    owner: Any = functools.reduce(getattr, owners, module)
    function = inspect.getattr_static(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    piece, instead = _as_deep(bug.piece, bool(owners)), _as_deep(bug.instead, bool(owners))
    if source.count(piece) != 1:
        raise LookupError(f"{bug.place} has {source.count(piece)} times what {bug.name!r} replaces")
    planted: dict[str, Any] = {}
    code = compile(source.replace(piece, instead), f"<{bug.name}>", "exec")
    # Its names are those of its module, whatever is replaced there later.
    exec(code, module.__dict__, planted)

    def plant(replaced: Replaced) -> None:
        if owners:
            replaced.set(owner, name, planted[name])
            return
        for other in list(sys.modules.values()):
            if getattr(other, "__name__", "").startswith("clauseway"):
                for held, value in list(vars(other).items()):
                    if value is function:
                        replaced.set(other, held, planted[name])

    return plant


def _as_deep(piece: str, is_method: bool) -> str:
    """Return a piece of a class's source as it stands once the function is no longer in its class."""
    lines = piece.split("\n")
    depth = 4 if is_method else 0
    return "\n".join(line[depth:] if line.startswith(" " * depth) else line for line in lines)
