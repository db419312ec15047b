"""Leases of budgets: the slice that each gateway process holds, granted in one transaction, so that
no money is spent twice.

Amounts are whole picodollars here and exact decimals (USD) in the database.

INVARIANT: for a budget and a period, the amounts held by open leases and spent by ended leases sum
to no more than the budget, unless the budget was lowered below them; then nothing more is granted.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, insert, select, update

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record
from clauseway.storage.customers.tenants import BudgetRow
from clauseway.values import DAY_NS, day_of, start_of_day_ns

TOTAL, DAY, MONTH = "total", "day", "month"
PERIODS = (TOTAL, DAY, MONTH)
# Beyond the immediate need, a grant takes at most this part of the free amount: other processes
# need theirs.
_SHARE = 4
# How long after a refusal other processes are asked to give back unused slices: longer than an idle
# one takes to report, which is some six seconds.
_REVOKE_NS = 8_000_000_000
# The process of a lease without one: such a lease ends when somebody ends it.
NOBODY = 0
_DIGITS = Context(prec=60)
NO_END_NS = 1 << 63

# Each statement is made once: to make one takes as long as to execute it. An underscore tells a value
# to look for from the column that is written.
_LEASE = schema.leases.c
_LEASES = select(schema.leases)
_OPEN = _LEASES.where(_LEASE.is_open).order_by(_LEASE.sequence)
_OF_BOOT = _LEASES.where(_LEASE.boot == bindparam("_boot")).order_by(_LEASE.sequence)
_OF_PERIOD = _LEASES.where(
    _LEASE.budget == bindparam("_budget"), _LEASE.begin_ns == bindparam("_begin_ns")
)
_OF_BUDGETS = _LEASES.join(schema.budgets, schema.budgets.c.id == _LEASE.budget).where(
    _LEASE.begin_ns.in_(bindparam("_begins", expanding=True))
)
_NAMED = (
    _LEASE.budget == bindparam("_budget"),
    _LEASE.boot == bindparam("_boot"),
    _LEASE.part == bindparam("_part"),
)
_FIND = _LEASES.where(*_NAMED)
_BEGIN = insert(schema.leases)
_CHANGE = update(schema.leases).where(*_NAMED)
_END = _CHANGE.where(_LEASE.is_open)
_BUDGETS = select(schema.budgets).order_by(schema.budgets.c.created_ns, schema.budgets.c.id)
_LOCKED_BUDGET = (
    select(schema.budgets).where(schema.budgets.c.id == bindparam("_budget")).with_for_update()
)


class LeaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A process's request for a lease; its amounts are totals of the lease, as in `Lease`.

    `target` is the amount wanted; less than `least` would not help. `is_over`: no attempt is open
    any more, and `spent` is final. `journal_segment` and `journal_frame` are the place in the
    process's journal behind which it reserves whatever is granted now; -1 if it did not say.
    """

    budget: str
    boot: str
    part: int
    pid: int
    serial: int
    spent: int
    least: int
    target: int
    is_over: bool
    spool: str = ""
    journal_segment: int = -1
    journal_frame: int = -1


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a lease: `leased` in all, `left` of the budget's `amount` for anybody, until
    `end_ns`.

    `is_revoked`: the unused part should be given back. `elsewhere`: where less was granted than
    would help, the open leases that others hold of the same period.
    """

    leased: int
    left: int
    amount: int
    end_ns: int
    is_revoked: bool
    elsewhere: tuple["Lease", ...] = ()


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The slice of a budget that a process holds or held: number `part` of its start `boot` (hex),
    for the period from `begin_ns`.

    `spool` (hex) is the spool that it writes, if it said so; what it reserved of this lease stands
    there in frame `journal_frame` of segment `journal_segment` or later. `serial` numbers its last request. While it
    `is_open`, `leased` counts as gone, afterwards `spent`.
    """

    budget: str
    begin_ns: int
    boot: str
    part: int
    pid: int
    serial: int
    leased: int
    spent: int
    is_open: bool
    opened_ns: int
    heard_ns: int
    spool: str = ""
    journal_segment: int = -1
    journal_frame: int = -1

    @property
    def begun_at(self) -> tuple[int, int]:
        """Return the place in its journal from which on it was reserved from."""
        return self.journal_segment, self.journal_frame

    @property
    def gone(self) -> int:
        return max(self.leased, self.spent) if self.is_open else self.spent


class BudgetStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A budget in the present period: `spent`, and `leased` beyond that to running processes, in
    picodollars."""

    budget: BudgetRow
    begin_ns: int
    end_ns: int
    amount: int
    spent: int
    leased: int

    @property
    def left(self) -> int:
        return self.amount - self.spent - self.leased


def bounds(period: str, instant_ns: int) -> tuple[int, int]:
    """Return the first nanosecond of the period that holds an instant, and of the next period.
    UTC."""
    if period == TOTAL:
        return 0, NO_END_NS
    day = day_of(instant_ns)
    if period == DAY:
        return start_of_day_ns(day), start_of_day_ns(day) + DAY_NS
    assert period == MONTH, f"{period!r} is not a period"
    first = day.replace(day=1)
    return start_of_day_ns(first), start_of_day_ns((first + timedelta(days=31)).replace(day=1))


def picodollars(amount: Decimal) -> int:
    """Return USD as whole picodollars; budgets have at most twelve decimals."""
    return int(amount.scaleb(12, _DIGITS))


def usd(picodollars: int) -> Decimal:
    """Return whole picodollars as USD, every digit kept."""
    return Decimal(picodollars).scaleb(-12, _DIGITS)


class Leases:
    """The leases in a control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def lease(self, wanted: Sequence[LeaseRequest], now_ns: int) -> list[LeaseState]:
        """Grant the requests as far as the budgets reach; return the states of the leases, in the
        order given.

        One transaction. INVARIANT: budgets are locked in the order of their ids, so that no two
        transactions wait for each other.
        """
        in_order = sorted(range(len(wanted)), key=lambda index: wanted[index].budget)
        with self._control.writing() as connection:
            held = {index: _lease(connection, wanted[index], now_ns) for index in in_order}
        return [held[index] for index in range(len(wanted))]

    def open(self) -> list[Lease]:
        """Return the leases that are not over."""
        with self._control.reading() as connection:
            return [_read(row) for row in connection.execute(_OPEN)]

    def of_boot(self, boot: str) -> list[Lease]:
        """Return all leases of one start of a gateway, ended leases too."""
        with self._control.reading() as connection:
            return [_read(row) for row in connection.execute(_OF_BOOT, {"_boot": boot})]

    def end(self, lease: Lease, spent: int, now_ns: int) -> bool:
        """End the lease of a dead process that spent this much: the rest is free. Return whether
        the lease was still open."""
        over = {"spent": usd(spent), "is_open": False, "heard_ns": now_ns}
        with self._control.writing() as connection:
            return connection.execute(_END, _name(lease) | over).rowcount > 0

    def standings(self, now_ns: int) -> list[BudgetStanding]:
        """Return every budget in the period that holds now."""
        begins = {bounds(period, now_ns)[0] for period in PERIODS}
        of_budget: dict[tuple[str, int], list[Lease]] = {}
        with self._control.reading() as connection:
            budgets = [as_record(BudgetRow, row) for row in connection.execute(_BUDGETS)]
            # One query for all budgets: there may be thousands.
            for row in connection.execute(_OF_BUDGETS, {"_begins": sorted(begins)}):
                lease = _read(row)
                of_budget.setdefault((lease.budget, lease.begin_ns), []).append(lease)
        return [_standing(budget, of_budget, now_ns) for budget in budgets]


def _standing(
    budget: BudgetRow, of_budget: Mapping[tuple[str, int], Sequence[Lease]], now_ns: int
) -> BudgetStanding:
    """Return a budget with its leases, which `of_budget` has by budget and begin."""
    begin_ns, end_ns = bounds(budget.period, now_ns)
    leases = of_budget.get((budget.id, begin_ns), ())
    return BudgetStanding(
        budget=budget,
        begin_ns=begin_ns,
        end_ns=end_ns,
        amount=picodollars(budget.amount),
        spent=sum(lease.spent for lease in leases),
        leased=sum(lease.gone - lease.spent for lease in leases),
    )


def _lease(connection: Connection, wanted: LeaseRequest, now_ns: int) -> LeaseState:
    budget = connection.execute(_LOCKED_BUDGET, {"_budget": wanted.budget}).one_or_none()
    lease = _find(connection, wanted)
    if lease is not None and (wanted.serial <= lease.serial or not lease.is_open):
        return _stale(connection, budget, lease, now_ns)
    if budget is None:
        return _without_budget(connection, lease, wanted, now_ns)
    begin_ns, end_ns = bounds(budget.period, now_ns)
    amount = picodollars(budget.amount)
    before = lease or _new(wanted, begin_ns, now_ns)
    # A lease of a past period is granted nothing more.
    of_period = _of_period(connection, budget.id, before.begin_ns)
    free = amount - sum(held.gone for held in of_period)
    is_current = before.begin_ns == begin_ns
    leased = granted(
        before.leased,
        free if is_current else 0,
        spent=wanted.spent,
        least=wanted.least,
        target=0 if wanted.is_over else wanted.target,
    )
    after = _answered(before, wanted, leased, now_ns)
    _write(connection, after, is_new=lease is None)
    left = free + (before.gone if lease else 0) - after.gone
    is_short = leased < wanted.least and is_current
    others = [held for held in of_period if held.is_open and held.boot != wanted.boot]
    if is_short:
        connection.execute(
            update(schema.budgets).where(schema.budgets.c.id == budget.id).values(short_ns=now_ns)
        )
    return LeaseState(
        leased=leased,
        left=max(left, 0),
        amount=amount,
        end_ns=end_ns if is_current else begin_ns,
        # Clocks of machines differ, and may be set back.
        is_revoked=left < 0 or (not wanted.least and abs(now_ns - budget.short_ns) < _REVOKE_NS),
        elsewhere=tuple(others) if is_short else (),
    )


def _answered(lease: Lease, wanted: LeaseRequest, leased: int, now_ns: int) -> Lease:
    """Return a lease after a request that was answered with an amount."""
    return msgspec.structs.replace(
        lease,
        serial=wanted.serial,
        leased=leased,
        spent=wanted.spent,
        is_open=not wanted.is_over,
        heard_ns=now_ns,
    )


def granted(held: int, free: int, *, spent: int, least: int, target: int) -> int:
    """Return a lease's new amount: less if a part is given back, more as far as the budget reaches.

    It stays as it is where the budget does not reach `least`.
    """
    if target <= held:
        return max(min(held, target), spent)
    needed = max(least - held, 0)
    more = min(target - held, max(needed, free // _SHARE), free)
    return held + more if more >= max(needed, 1) else held


def _new(wanted: LeaseRequest, begin_ns: int, now_ns: int) -> Lease:
    return Lease(
        budget=wanted.budget,
        begin_ns=begin_ns,
        boot=wanted.boot,
        part=wanted.part,
        pid=wanted.pid,
        serial=0,
        leased=0,
        spent=0,
        is_open=True,
        opened_ns=now_ns,
        heard_ns=now_ns,
        spool=wanted.spool,
        journal_segment=wanted.journal_segment,
        journal_frame=wanted.journal_frame,
    )


def _stale(
    connection: Connection, budget: Row[Any] | None, lease: Lease, now_ns: int
) -> LeaseState:
    """Answer a request that is not newer than the last one, or whose lease is over: nothing
    changes."""
    amount = picodollars(budget.amount) if budget is not None else 0
    gone = sum(held.gone for held in _of_period(connection, lease.budget, lease.begin_ns))
    end_ns = (
        bounds(budget.period, lease.begin_ns)[1] if budget is not None and lease.is_open else now_ns
    )
    return LeaseState(
        leased=lease.leased,
        left=max(amount - gone, 0),
        amount=amount,
        end_ns=end_ns,
        is_revoked=False,
    )


def _without_budget(
    connection: Connection, lease: Lease | None, wanted: LeaseRequest, now_ns: int
) -> LeaseState:
    """Answer a request for a removed budget: nothing is granted, and the amount spent of it is
    kept."""
    leased = 0
    if lease is not None:
        leased = min(lease.leased, max(wanted.target, wanted.spent))
        _write(connection, _answered(lease, wanted, leased, now_ns), is_new=False)
    return LeaseState(leased=leased, left=0, amount=0, end_ns=NO_END_NS, is_revoked=True)


def _find(connection: Connection, wanted: LeaseRequest) -> Lease | None:
    row = connection.execute(_FIND, _name(wanted)).one_or_none()
    return None if row is None else _read(row)


def _of_period(connection: Connection, budget: str, begin_ns: int) -> list[Lease]:
    rows = connection.execute(_OF_PERIOD, {"_budget": budget, "_begin_ns": begin_ns})
    return [_read(row) for row in rows]


def _name(lease: LeaseRequest | Lease) -> dict[str, Any]:
    return {"_budget": lease.budget, "_boot": lease.boot, "_part": lease.part}


def _read(row: Row[Any]) -> Lease:
    values = row._mapping
    fields = {name: values[name] for name in Lease.__struct_fields__}
    return Lease(
        **fields | {"leased": picodollars(values["leased"]), "spent": picodollars(values["spent"])}
    )


def _write(connection: Connection, lease: Lease, *, is_new: bool) -> None:
    values = msgspec.structs.asdict(lease) | {
        "leased": usd(lease.leased),
        "spent": usd(lease.spent),
    }
    if is_new:
        connection.execute(_BEGIN, values)
    else:
        connection.execute(_CHANGE, _name(lease) | values)
