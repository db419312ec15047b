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
)
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
        name="an answer ends before its record is on the disk",
        place="clauseway.spool.writer:SpoolWriter.notify_when_durable",
        piece="        self._waiting.append(waiter)\n        if self._busy:",
        instead="        self._loop.call_soon(waiter.write_ended, None)\n        if self._busy:",
        law=ACKNOWLEDGED,
        seed=27,
    ),
    Bug(
        name="a commit is written and not forced",
        place="clauseway.spool.writer:SpoolWriter._write",
        piece="(header, payload), offset, os.RWF_DSYNC)",
        instead="(header, payload), offset, 0)",
        law=ACKNOWLEDGED,
        seed=14,
    ),
    Bug(
        name="a new segment's name is not forced",
        place="clauseway.spool.writer:SpoolWriter._create",
        piece="            force_folder(self._directory)\n",
        instead="",
        law=ACKNOWLEDGED,
        seed=19,
    ),
    Bug(
        name="a new journal's own name is not forced",
        place="clauseway.files.whole:make_folder",
        piece="        force_folder(made.parent)\n",
        instead="        pass\n",
        law=ACKNOWLEDGED,
        seed=19,
    ),
    Bug(
        name="a new segment's header is not forced",
        place="clauseway.spool.writer:SpoolWriter._create",
        piece="(header,), 0, os.RWF_DSYNC)",
        instead="(header,), 0, 0)",
        law=ACKNOWLEDGED,
        seed=9,
    ),
    Bug(
        name="a file of the lake is not forced",
        place="clauseway.storage.lake.lake:Lake._write",
        piece="with written_whole(path) as beside:",
        instead="with written_whole(path, durable=False) as beside:",
        law=ACKNOWLEDGED,
        seed=3,
    ),
    Bug(
        name="a journal whose disk failed goes on",
        place="clauseway.spool.writer:SpoolWriter._written",
        piece="            else:\n                self._fail(error)\n        elif",
        instead="            else:\n                self._release()\n        elif",
        law=ACKNOWLEDGED,
        seed=53,
    ),
    Bug(
        name="a frame without room is taken for written",
        place="clauseway.spool.writer:SpoolWriter._stall",
        piece="self._tell(waiters, error)",
        instead="self._tell(waiters, None)",
        law=ACKNOWLEDGED,
        seed=39,
    ),
    Bug(
        name="a segment is released while an attempt is open in it",
        place="clauseway.spool.reader:release",
        piece="        if place.segment in open_segments:\n            break\n",
        instead="",
        law=COVERED,
        seed=206,
    ),
    Bug(
        name="what a dead process left open is not ended",
        place="clauseway.gateway.process.journals:write_lost",
        piece="for attempt in attempts:",
        instead="for attempt in attempts[1:]:",
        law=COVERED,
        seed=0,
    ),
    Bug(
        name="a process that starts ends its own attempts",
        place="clauseway.gateway.process.journals:_end_unended",
        piece="first_own, asked.values())",
        instead="1 << 62, asked.values())",
        law=NOWHERE,
        seed=77,
    ),
    Bug(
        name="a failed attempt is charged as the last answer",
        place="clauseway.gateway.request.attempt:Attempt._charge_and_append",
        piece="charge = target.charge(units)",
        instead="charge = 2 * target.charge(units)",
        law=NOWHERE,
        seed=0,
    ),
    Bug(
        name="what is given back stays in use until it is heard",
        place="clauseway.gateway.budgets.slices:BudgetSlice.give_back",
        piece="        self.leased -= max(self.left, 0)\n"
        "        self.left = min(self.left, 0)\n"
        "        self.low_water = 0\n"
        "        self.owing = True\n        self.idle = False\n        return self.ask()",
        instead="        return self.ask(target=self.leased - max(self.left, 0))",
        law=BUDGETS,
        seed=102,
    ),
    Bug(
        name="an old word moves a lease",
        place="clauseway.storage.customers.leases:_lease",
        piece="(wanted.serial <= lease.serial or not lease.is_open)",
        instead="not lease.is_open",
        law=FENCED,
        seed=32,
    ),
    Bug(
        name="a lease that is over can be spoken of again",
        place="clauseway.storage.customers.leases:_lease",
        piece="(wanted.serial <= lease.serial or not lease.is_open)",
        instead="wanted.serial <= lease.serial",
        law=FENCED,
        seed=66,
    ),
    Bug(
        name="what ended leases spent is free again",
        place="clauseway.storage.customers.leases:_of_period",
        piece="return [_read(row) for row in rows]",
        instead="return [lease for row in rows if (lease := _read(row)).is_open]",
        law=BUDGETS,
        seed=14,
    ),
    Bug(
        name="an attempt without an end cost nothing",
        place="clauseway.app.usage.returning:_spent",
        piece="attempt.reserved if attempt.status in (0, Status.LOST) else attempt.charge",
        instead="attempt.charge",
        law=BUDGETS,
        seed=3,
    ),
    Bug(
        name="what attempts freed is given back before the journal has their ends",
        place="clauseway.gateway.budgets.allowances:Allowances._give_back",
        piece="if calls and not await self._is_recorded():",
        instead="if False:",
        law=BUDGETS,
        seed=39,
    ),
    Bug(
        name="attempts in the frame in which a lease began count nowhere",
        place="clauseway.app.usage.returning:_by_place",
        piece="(attempt.journal_segment, attempt.journal_frame)",
        instead="(attempt.journal_segment, attempt.journal_frame - 1)",
        law=BUDGETS,
        seed=3,
    ),
    Bug(
        name="leases of dead processes are never ended",
        place="clauseway.app.usage.returning:_end",
        piece="ended += leases.end(part, max(own, part.spent), now_ns)",
        instead="ended += 1",
        law=RETURNED,
        seed=2,
    ),
    Bug(
        name="a share of a dead process is free at once",
        place="clauseway.app.customers.limit_shares:_lease",
        piece="held_s = _MINUTE_S if ask.over else _HELD_S",
        instead="held_s = 0.5 if ask.over else LASTS_S",
        law=LIMITS,
        seed=140,
    ),
    Bug(
        name="a minute is forgotten after half of it",
        place="clauseway.gateway.budgets.windows:Window.turn",
        piece="step - steps[0][0] > _WINDOW_S",
        instead="step - steps[0][0] > 5",
        law=LIMITS,
        seed=12,
    ),
    Bug(
        name="a stream that breaks ends as if it were whole",
        place="clauseway.gateway.request.lifecycle:Lifecycle._last_of_broken",
        piece="_framed(stream.broken(kind, message), self._client.chunked)",
        instead='_last_of_stream(b"", self._client.chunked)',
        law=STREAMS,
        seed=3,
    ),
    Bug(
        name="an intent is recorded under the instant of its request",
        place="clauseway.gateway.request.attempt:Attempt._begin",
        piece="recorded_ns=time_ns()",
        instead="recorded_ns=owner.event_ns",
        law=CLOCKS,
        seed=0,
    ),
    Bug(
        name="a batch is sealed from its segment's begin again",
        place="clauseway.app.usage.sealing:_seal_segment",
        piece="first = lake.control.sealed_to(place.spool or registered.spool, place.segment)",
        instead="first = 0",
        law=FAULTS,
        seed=0,
    ),
    Bug(
        name="a gateway stays with the plan that it began with",
        place="clauseway.gateway.process.server:Server._look_at_plan",
        piece="if self._read_again or file_identity(self._options.plan) != self._plan_seen:",
        instead="if False:",
        law=REVOKED,
        seed=18,
    ),
    Bug(
        name="a revoked key is still accepted",
        place="clauseway.storage.control.control:Control.keys",
        piece="_KEYS if with_revoked else _ACTIVE_KEYS",
        instead="_KEYS",
        law=REVOKED,
        seed=18,
    ),
    Bug(
        name="routes of an amendment are not turned to",
        place="clauseway.gateway.routing.routing_tables:RoutingTables._turn_to",
        piece="if epoch.begin_ns <= self._begin_ns:",
        instead="if epoch.begin_ns <= 0:",
        law=AMENDED,
        seed=17,
    ),
    Bug(
        name="an answer ends before its copy is on the follower's disk",
        place="clauseway.spool.writer:SpoolWriter._written",
        piece="            if self._copy is not None:\n",
        instead="            if False:\n",
        law=ACKNOWLEDGED,
        seed=376,
    ),
    Bug(
        name="what a recovered journal left open is not ended",
        place="clauseway.app.usage.recovering:end_open_attempts",
        piece="    if unended:",
        instead="    if not unended:",
        law=COVERED,
        seed=6,
    ),
    Bug(
        name="facts count from the day before they were recorded",
        place="clauseway.agreement.language.facts:FactRegister.known",
        piece="if fact.known <= known_at",
        instead="if fact.known.instant_ns <= known_at.instant_ns + 86_400_000_000_000",
        law=KNOWN,
        seed=38,
    ),
    Bug(
        name="a day's charges are kept although usage of it came late",
        place="clauseway.app.books.day_charges:DayCharges._name",
        piece="named(_FORMAT, day, batches,",
        instead="named(_FORMAT, day,",
        law=SETTLED,
        seed=19,
    ),
    Bug(
        name="a line that is settled again is posted whole",
        place="clauseway.ledger.accruals:_accrual",
        piece="held = balances(before)",
        instead="held = balances(())",
        law=SETTLED,
        seed=4,
    ),
    Bug(
        name="the name of a folder that was there is not forced",
        place="clauseway.storage.lake.stores:make_folders",
        piece="    for each in reversed(made):\n",
        instead="    if folder.exists():\n        return []\n    for each in reversed(made):\n",
        law=ACKNOWLEDGED,
        seed=3005,
    ),
    Bug(
        name="attempts that were sealed beyond the end of a copy stay open",
        place="clauseway.app.usage.recovering:_end_beyond",
        piece="    if not left_open:",
        instead="    if left_open:",
        law=COVERED,
        seed=616,
    ),
    Bug(
        name="a frame is sealed before it is on the disk",
        place="clauseway.app.usage.sealing:_seal_segment",
        piece="spool.force_segment(directory, place.segment)",
        instead="pass",
        law=COVERED,
        seed=3659,
    ),
    Bug(
        name="a charge that came after a day's turn is counted on neither day",
        place="clauseway.app.usage.returning:_of_open",
        piece="else (0, rest)",
        instead="else (0, 0)",
        law=BUDGETS,
        seed=3551,
    ),
    Bug(
        name="leases that began in one frame are taken for told apart",
        place="clauseway.app.usage.returning:_within",
        piece="if moved > 0:",
        instead="if moved > 1 << 62:",
        law=BUDGETS,
        seed=7908,
    ),
    Bug(
        name="who waited for the database waits four times as long",
        place="clauseway.app.running.plan_inputs:PlanInputs.changed",
        piece="4 * (time.thread_time() - worked_before_s)",
        instead="4 * (time.monotonic() - begin_s)",
        law=REVOKED,
        seed=5385,
    ),
    Bug(
        name="a home is heard by its own clock",
        place="clauseway.storage.books.losses:Losses.heard",
        piece="            now_ns = engines.now_ns(connection)",
        instead="            import time; now_ns = time.time_ns()",
        law=SERVES,
        seed=46,
    ),
    Bug(
        name="a share is not clipped at its cap",
        place="clauseway.ledger.sharing:Sharing._clip",
        piece="return share if self.figures.limit is None else min(share, self.figures.limit)",
        instead="return share",
        law=CAPPED,
        seed=9,
    ),
    Bug(
        name="a settlement keeps the instant at which it was made",
        place="clauseway.app.books.settling:Settler._inputs_of",
        piece="or _known_at(self._lake, self._opened, self._prices, days.end)",
        instead="or str(KnownAt(time.time_ns()))",
        law=REPEATED,
        seed=4,
    ),
)

# The test that sees the bug below.
UNSEEN_BY = "tests/spool/test_spool_journal.py::test_what_was_acknowledged_is_in_the_header_before_anybody_hears_of_it"
UNSEEN = Bug(
    name="acknowledged frames are not counted in the header",
    place="clauseway.spool.writer:SpoolWriter._acknowledge",
    piece="os.pwrite(self._segment.descriptor, pack_acknowledged(self._frame), ACKNOWLEDGED_AT)",
    instead="pass",
    law="",
    seed=-1,
    why_unseen="The count tells a frame that was damaged after it was forced from one that was never whole. "
    f"No disk here changes bytes that it has forced, so the count is never needed; `{UNSEEN_BY}` sees it.",
)


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
