"""Closed periods: what was stated of them, what is known by now, and what becomes of the difference.

    closed settlement ─┐
    earlier changes   ─┴─▶ stated, by line ─┐
    settled again, with what is known now ──┴─▶ changes ─▶ corrections in the open period
                                                       └─▶ a restatement beside the closed one

INVARIANT: what was stated of a closed period and every change of it since sum to what is due by present knowledge, so a
cap holds over closed and open periods together.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from clauseway.agreement.shares import RESTATEMENT
from clauseway.ledger.settlement import Change, Disputed, Settlement, ShareLine, ShareResult
from clauseway.values import Citation, Interval, exact_sum

_ZERO = Decimal(0)


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a period as it was stated last. Amounts are USD in cents, bases exact."""

    term: str
    payer: str
    payee: str
    amount: Decimal = _ZERO
    disputed: Decimal = _ZERO
    base: Decimal = _ZERO
    requests: int = 0
    adjusted: Decimal = _ZERO
    citation: Citation


def stated(closed: Settlement, changes: Iterable[Change] = ()) -> dict[str, Stated]:
    """The lines of a closed settlement with every change since, in any order."""
    lines = _lines(closed)
    for change in changes:
        none = Stated(term=change.term, payer=change.payer, payee=change.payee, citation=change.citation)
        old = lines.get(change.line, none)
        lines[change.line] = msgspec.structs.replace(
            old,
            amount=old.amount + change.new - change.old,
            disputed=old.disputed + change.new_disputed - change.old_disputed,
            base=exact_sum((old.base, change.new_base, -change.old_base)),
            requests=old.requests + change.new_requests - change.old_requests,
            adjusted=exact_sum((old.adjusted, change.new_adjusted, -change.old_adjusted)),
        )
    return lines


def changes(closed: Settlement, now: Settlement, before: Mapping[str, Stated]) -> list[Change]:
    """What differs, line by line, between what was stated and what is known now; by line id. Each says why."""
    after, found = _lines(now), []
    for line in sorted(before.keys() | after.keys()):
        some = before.get(line) or after[line]
        none = Stated(term=some.term, payer=some.payer, payee=some.payee, citation=some.citation)
        old, new = before.get(line, none), after.get(line, none)
        if (old.amount, old.disputed) != (new.amount, new.disputed):
            found.append(
                Change(
                    period=closed.period,
                    term=some.term,
                    payer=some.payer,
                    payee=some.payee,
                    line=line,
                    old=old.amount,
                    new=new.amount,
                    old_base=old.base,
                    new_base=new.base,
                    old_requests=old.requests,
                    new_requests=new.requests,
                    old_adjusted=old.adjusted,
                    new_adjusted=new.adjusted,
                    old_disputed=old.disputed,
                    new_disputed=new.disputed,
                    causes=tuple(_causes(old, new, closed, now)),
                    citation=new.citation,
                )
            )
    return found


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """What came late for a closed period: corrections for the open one, and a restatement where it is to be one."""

    closed: Settlement
    corrections: tuple[Change, ...]
    restatement: Settlement | None


def late(closed: Settlement, restatements: Sequence[Settlement], told: Iterable[Change], now: Settlement) -> Late:
    """What became of a closed period, settled again as `now`.

    `restatements` are those there were, oldest first; `told` are all changes of closed periods that were given out: the
    corrections of closed periods, and what restatements changed.
    """
    before = stated(closed, [change for change in told if change.period == closed.period])
    found = changes(closed, now, before)
    again = [change for change in found if _is_restated(change, closed, now)]
    latest = restatements[-1] if restatements else closed
    return Late(
        closed=closed,
        corrections=tuple(change for change in found if change not in again),
        restatement=restated(closed, latest, now, again) if again else None,
    )


def _is_restated(change: Change, closed: Settlement, now: Settlement) -> bool:
    """Whether a change restates its period, by what the agreement says of the share now."""
    says = {share.term: share.late for share in (*closed.shares, *now.shares)}
    return says[change.term] == RESTATEMENT


def corrected(settlement: Settlement, corrections: Sequence[Change], closed: Iterable[str]) -> Settlement:
    """The open period's settlement with what it owes for closed ones. `closed` are the receipts of those."""
    receipts = tuple(sorted(closed))
    inputs = msgspec.structs.replace(settlement.inputs, closed=receipts)
    return msgspec.structs.replace(
        settlement,
        corrections=tuple(corrections),
        inputs=inputs,
        receipt=_receipt(settlement, receipts, corrections),
    )


def restated(closed: Settlement, latest: Settlement, now: Settlement, found: Sequence[Change]) -> Settlement:
    """The closed period with the changes of those shares that are restated; others stay as they stood in `latest`, the
    restatement before this one or else the closed settlement itself."""
    moved = {change.term for change in found}
    kept = [share for share in latest.shares if share.term not in moved]
    again = [share for share in now.shares if share.term in moved]
    there = {share.term for share in again}
    # A share that present knowledge no longer knows stays, with nothing due.
    gone = [_nothing(share) for share in latest.shares if share.term in moved - there]
    return msgspec.structs.replace(
        now,
        shares=tuple(sorted([*kept, *again, *gone], key=lambda one: (one.payer, one.payee, one.begin, one.term))),
        disputed=(
            *(one for one in latest.disputed if one.term not in moved),
            *(one for one in now.disputed if one.term in moved),
        ),
        corrections=closed.corrections,
        restates=closed.receipt,
        changes=tuple(found),
        receipt=_receipt(now, (closed.receipt, latest.receipt), found),
    )


def _receipt(settlement: Settlement, closed: Sequence[str], found: Sequence[Change]) -> str:
    """The hash of what was settled, and of what it was held against."""
    return hashlib.sha256(msgspec.json.encode((settlement.receipt, closed, found), order="sorted")).hexdigest()


def _nothing(share: ShareResult) -> ShareResult:
    lines = tuple(_emptied(line) for line in share.lines)
    return msgspec.structs.replace(share, lines=lines, amount=_ZERO, base=_ZERO, share_after=share.share_before)


def _emptied(line: ShareLine) -> ShareLine:
    return msgspec.structs.replace(line, amount=_ZERO, base=_ZERO, requests=0, adjusted=_ZERO, moved=_ZERO)


def _lines(settlement: Settlement) -> dict[str, Stated]:
    disputed: dict[str, Disputed] = {one.line: one for one in settlement.disputed}
    lines = {
        line.id: Stated(
            term=share.term,
            payer=share.payer,
            payee=share.payee,
            amount=line.amount,
            disputed=disputed[line.id].amount if line.id in disputed else _ZERO,
            base=line.base,
            requests=line.requests,
            adjusted=line.adjusted,
            citation=line.citation,
        )
        for share in settlement.shares
        for line in share.lines
    }
    for one in settlement.disputed:
        if one.line not in lines:
            lines[one.line] = Stated(
                term=one.term, payer=one.payer, payee=one.payee, disputed=one.amount, citation=one.citation
            )
    return lines


def _causes(old: Stated, new: Stated, closed: Settlement, now: Settlement) -> list[str]:
    """Why a line changed, what weighs most first; never nothing."""
    found = []
    was, is_ = (_days_and_rate(settlement, new.term) for settlement in (closed, now))
    if was != is_:
        facts, text = closed.inputs.facts != now.inputs.facts, closed.inputs.agreement != now.inputs.agreement
        if was[0] != is_[0]:
            found.append("amended fact" if facts and not text else "amended agreement" if text else "amended term")
        if was[0] == is_[0]:
            found += _assumed(closed, now) or ["amended agreement" if text else "another assumption"]
    more = new.requests - old.requests
    if more:
        found.append(f"late usage: {abs(more):,} requests {'more' if more > 0 else 'less'}")
    if new.adjusted != old.adjusted:
        found.append(f"credit or dispute: {(new.adjusted - old.adjusted).normalize():+,f} of base")
    if new.disputed != old.disputed:
        found.append("a dispute was opened" if abs(new.disputed) > abs(old.disputed) else "a dispute was resolved")
    charges = exact_sum((new.base, -new.adjusted, -old.base, old.adjusted))
    if charges and not more:
        found.append(f"new price known: {charges.normalize():+,f} of base")
    return found or ["earlier sales moved the cap, a tier, a floor or a cent"]


def _days_and_rate(settlement: Settlement, term: str) -> tuple[list[Interval], list[object]]:
    shares = [share for share in settlement.shares if share.term == term]
    return [share.days for share in shares], [(share.rate, share.bands) for share in shares]


def _assumed(closed: Settlement, now: Settlement) -> list[str]:
    before = {one.name: one.value for one in closed.assumptions}
    return [
        f"assumption {one.name}: {before[one.name]} → {one.value}"
        for one in now.assumptions
        if before.get(one.name, one.value) != one.value
    ]
