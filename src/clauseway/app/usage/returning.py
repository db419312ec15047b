"""Leases of processes that are no more: what they spent, by their journals, and what is free again."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from clauseway.metering import Status
from clauseway.storage.customers.leases import Lease, Leases, bounds
from clauseway.storage.customers.tenants import BudgetRow, LimitScope, Tenants
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.spending import ReservedAttempt, reserved_attempts


class UnreadJournals(msgspec.Struct, frozen=True, kw_only=True):
    """Dead processes with gaps in their journals: `lost` ones have losses there, or no journal
    any more; the journal of `missing` ones is gone, and nobody has written it off."""

    lost: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


def return_leases(lake: Lake, dead: Collection[Lease], now_ns: int, unread: UnreadJournals) -> int:
    """End the leases of dead processes, of whose spools everything was sealed since; how many.

    Such a process spent the charges of its attempts. An attempt that has no end, or is lost, counts
    with its reservation; of a process that lost usage, everything leased counts as spent. The
    leases of one whose journal is missing stay as they are, until it is found or written off. Raise
    LakeDamaged.
    """
    leases = Leases(lake.control)
    budgets = {budget.id: budget for budget in Tenants(lake.control).budgets()}
    ended = 0
    for boot in sorted({lease.boot for lease in dead} - unread.missing):
        held, all_is_read = leases.of_boot(boot), boot not in unread.lost
        since_ns = min(lease.opened_ns for lease in held)
        # A clock that is behind the grant was set back: files may be sealed under any instant.
        attempts = (
            reserved_attempts(lake, boot, since_ns if now_ns >= since_ns else 0)
            if all_is_read
            else []
        )
        for periods in _by_budget(held):
            budget = budgets.get(periods[0][0].budget)
            if not all_is_read:
                spent = [sum(part.gone for part in parts) for parts in periods]
            elif budget is None:
                spent = [0] * len(periods)  # nobody asks any more: what was reported will do
            else:
                spent = [_spent(budget, parts, held, attempts) for parts in periods]
            for parts, amount in zip(periods, _of_open(periods, spent), strict=True):
                ended += _end(leases, parts, amount, now_ns)
    return ended


def _by_budget(held: Iterable[Lease]) -> list[list[list[Lease]]]:
    """Return the leases of each budget, period by period, in the order in which these began."""
    leases: dict[str, dict[int, list[Lease]]] = defaultdict(lambda: defaultdict(list))
    for lease in held:
        leases[lease.budget][lease.begin_ns].append(lease)
    return [sorted(periods.values(), key=_began) for periods in leases.values()]


def _began(parts: Sequence[Lease]) -> tuple[tuple[int, int], int]:
    return min(part.begun_at for part in parts), parts[0].begin_ns


def _of_open(periods: Sequence[Sequence[Lease]], spent: Sequence[int]) -> list[int]:
    """Return what the open leases of each period spent, in picodollars: what the journal has of the
    period (`spent`), less what the process counted in the leases that it ended.

    Charges in the journal beyond that belong to the next period. Where attempts end after their lease, the
    process counts the charges that come first in its oldest lease, whichever they were reserved
    from: one period gets less than its attempts were charged, and the next one more.
    """
    beyond = 0
    of_open: list[int] = []
    for parts, amount in zip(periods, spent, strict=True):
        rest = max(beyond + amount - sum(part.spent for part in parts if not part.is_open), 0)
        own, beyond = (rest, 0) if any(part.is_open for part in parts) else (0, rest)
        of_open.append(own)
    return _within(
        [sum(part.leased for part in parts if part.is_open) for parts in periods], of_open
    )


def _within(held: Sequence[int], spent: Sequence[int]) -> list[int]:
    """Return what each period spent, none more than its leases `held`: the excess goes to periods
    whose leases have room, the one before first, and stays where none has.

    A process reserves nothing beyond a lease. But the journal does not tell apart leases that began
    in the same frame.
    """
    spent = list(spent)
    for place in range(len(spent)):
        for other in (*range(place - 1, -1, -1), *range(place + 1, len(spent))):
            moved = min(spent[place] - held[place], held[other] - spent[other])
            if moved > 0:
                spent[place] -= moved
                spent[other] += moved
    return spent


def _spent(
    budget: BudgetRow,
    parts: Sequence[Lease],
    held: Iterable[Lease],
    attempts: Sequence[ReservedAttempt],
) -> int:
    """Return the amount that a process's attempts took from a budget in the period of these leases,
    in picodollars. `held` are all its leases, and `attempts` are in the order of their requests.

    The journal tells from which lease an attempt was reserved. An instant cannot: a clock that is
    set back makes an attempt look older than its lease, one that is set forward younger than its
    period.
    """
    of_budget = [lease for lease in held if lease.budget == budget.id]
    is_placed = all(lease.journal_segment >= 0 for lease in of_budget) and all(
        attempt.journal_segment >= 0 for attempt in attempts
    )
    reserved = (
        _by_place(parts, of_budget, attempts)
        if is_placed
        else _by_clock(budget, parts, of_budget, attempts)
    )
    return sum(
        attempt.reserved if attempt.status in (0, Status.LOST) else attempt.charge
        for attempt in reserved
        if _counts(budget, attempt)
    )


def _by_place(
    parts: Collection[Lease], of_budget: Iterable[Lease], attempts: Iterable[ReservedAttempt]
) -> Iterator[ReservedAttempt]:
    """Yield the attempts that were written after one of these leases began, and before the budget's
    next one did."""
    in_order = sorted(of_budget, key=lambda lease: (lease.begun_at, lease.part))
    begins = [lease.begun_at for lease in in_order]
    for attempt in attempts:
        place = bisect_right(begins, (attempt.journal_segment, attempt.journal_frame)) - 1
        if place >= 0 and in_order[place] in parts:
            yield attempt


def _by_clock(
    budget: BudgetRow,
    parts: Sequence[Lease],
    of_budget: Iterable[Lease],
    attempts: Sequence[ReservedAttempt],
) -> Iterator[ReservedAttempt]:
    """Yield the attempts that look as if they were reserved from these leases, for a process that
    did not say where in its journal they began.

    All that came later was reserved from the process's latest lease, whatever the clock said.
    """
    begin_ns = parts[0].begin_ns
    is_latest = begin_ns == max(lease.begin_ns for lease in of_budget)
    _, end_ns = bounds(budget.period, begin_ns)
    for attempt in attempts[_first_since(parts, attempts) :]:
        if is_latest or attempt.begun_ns < end_ns:
            yield attempt


def _first_since(parts: Sequence[Lease], attempts: Sequence[ReservedAttempt]) -> int:
    """Return the place of the first attempt that began under a lease.

    All later attempts count: a clock that was set back makes a later attempt look older than
    the lease. Where the clock went back before the first attempt, all of them count.
    """
    since_ns = min(part.opened_ns for part in parts)
    for place, attempt in enumerate(attempts):
        if attempt.begun_ns >= since_ns:
            return place
    went_back = any(part.heard_ns < since_ns for part in parts)
    return 0 if went_back else len(attempts)


def _counts(budget: BudgetRow, attempt: ReservedAttempt) -> bool:
    return all(
        getattr(budget, name) in ("", getattr(attempt, name))
        for name in LimitScope.__struct_fields__
    )


def _end(leases: Leases, parts: Iterable[Lease], spent: int, now_ns: int) -> int:
    """End a process's open leases of one period, of which `spent` was spent.

    The sum is what counts: each takes what it held, the last one the rest.
    """
    open_parts = [part for part in parts if part.is_open]
    ended = 0
    for part in open_parts:
        own = spent if part is open_parts[-1] else min(spent, part.leased)
        spent -= own
        # Never less than it reported: what it knew of may not have reached its spool.
        ended += leases.end(part, max(own, part.spent), now_ns)
    return ended
