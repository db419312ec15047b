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
from datetime import timedelta
from decimal import Decimal

import msgspec

from clauseway.agreement.shares import RESTATEMENT
from clauseway.agreement.shares import Payment as PaymentTerm
from clauseway.ledger.assumptions import ESTIMATED
from clauseway.ledger.settlement import Change, Disputed, Inputs, Settlement, ShareLine, ShareResult
from clauseway.values import FOREVER, Citation, Interval, exact_sum

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
    payment: PaymentTerm | None = None
    withholding: Decimal = _ZERO


def stated(closed: Settlement, changes: Iterable[Change] = ()) -> dict[str, Stated]:
    """The lines of a closed settlement with every change since, in any order."""
    lines = _lines(closed)
    for change in changes:
        old = lines.get(change.line) or _nothing_of(change)
        lines[change.line] = msgspec.structs.replace(
            old,
            amount=old.amount + change.new - change.old,
            disputed=old.disputed + change.new_disputed - change.old_disputed,
            base=exact_sum((old.base, change.new_base, -change.old_base)),
            requests=old.requests + change.new_requests - change.old_requests,
            adjusted=exact_sum((old.adjusted, change.new_adjusted, -change.old_adjusted)),
        )
    return lines


def _nothing_of(line: Change | Stated) -> Stated:
    """Return a line of the same share that states nothing."""
    return Stated(
        term=line.term,
        payer=line.payer,
        payee=line.payee,
        citation=line.citation,
        payment=line.payment,
        withholding=line.withholding,
    )


def changes(
    closed: Settlement,
    now: Settlement,
    before: Mapping[str, Stated],
    since: Inputs | None = None,
    because: Mapping[str, str] | None = None,
) -> list[Change]:
    """What differs, line by line, between what was stated and what is known now; by line id. Each says why.

    `since` is what the last statement of it stood on, by default the closed one's; `because` says who changed that
    meanwhile and why, by what was changed.
    """
    why = _Because(since or closed.inputs, now.inputs, because or {})
    after, found = _lines(now), []
    for line in sorted(before.keys() | after.keys()):
        some = before.get(line) or after[line]
        none = _nothing_of(some)
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
                    causes=tuple(_causes(old, new, closed, now, why)),
                    citation=new.citation,
                    payment=new.payment,
                    withholding=new.withholding,
                )
            )
    return found


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """What came late for a closed period: corrections for the open one, and a restatement where it is to be one."""

    closed: Settlement
    corrections: tuple[Change, ...]
    restatement: Settlement | None


def late(
    closed: Settlement,
    restatements: Sequence[Settlement],
    told: Iterable[Change],
    now: Settlement,
    since: Inputs | None = None,
    because: Mapping[str, str] | None = None,
) -> Late:
    """What became of a closed period, settled again as `now`.

    `restatements` are those there were, oldest first; `told` are all changes of closed periods that were given out: the
    corrections of closed periods, and what restatements changed. `since` and `because` are those of `changes`.
    """
    before = stated(closed, [change for change in told if change.period == closed.period])
    found = changes(closed, now, before, since, because)
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
    return bool(closed.receipt) and says[change.term] == RESTATEMENT


def never_closed(period: Interval, inputs: Inputs) -> Settlement:
    """A period before the first that was closed: nothing was stated of it. It has no receipt and cannot be restated."""
    return Settlement(
        period=period,
        shares=(),
        ended=(),
        assumptions=(),
        needs_order=(),
        inputs=inputs,
        receipt="",
    )


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What later months need to know of a recorded settlement: what it stated of closed periods, and on which terms.

    `accepted` are the figures it was accepted with, as `--assume` takes them.
    """

    period: Interval
    receipt: str
    restates: str
    terms: tuple[str, ...]
    accepted: tuple[str, ...]
    corrections: tuple[Change, ...]
    changes: tuple[Change, ...]
    restated: tuple[Change, ...]


def told_of(settlement: Settlement) -> Told:
    """The part of a settlement that later months need."""
    return Told(
        period=settlement.period,
        receipt=settlement.receipt,
        restates=settlement.restates,
        terms=tuple(share.term for share in settlement.shares),
        accepted=tuple(
            f"{one.name}={value}"
            for one in settlement.assumptions
            if one.accepted
            for value in one.value.split("; ")
        ),
        corrections=settlement.corrections,
        changes=settlement.changes,
        restated=settlement.restated,
    )


def uncounted(closed: Iterable[Told], restatements: Iterable[Told]) -> tuple[Change, ...]:
    """What restatements changed of closed periods and no closed period has counted as due: by period and line, net.

    It is due with the open period. `restatements` are all there are of each period, oldest first.
    """
    moved: dict[tuple[Interval, str], list[Change]] = {}
    for one in restatements:
        for change in one.changes:
            moved.setdefault((change.period, change.line), []).append(change)
    counted: dict[tuple[Interval, str], list[Change]] = {}
    for one in closed:
        for change in one.restated:
            counted.setdefault((change.period, change.line), []).append(change)
    net = [_net(found, counted.get(key, ())) for key, found in sorted(moved.items())]
    return tuple(one for one in net if one.amount or one.new_disputed != one.old_disputed)


def _net(found: Sequence[Change], counted: Sequence[Change]) -> Change:
    """The changes of one line less those that were counted before, as one change up to the last of them."""
    last = found[-1]

    def old(name: str) -> Decimal:
        moved = exact_sum(
            getattr(one, f"new_{name}") - getattr(one, f"old_{name}") for one in found
        )
        before = exact_sum(
            getattr(one, f"new_{name}") - getattr(one, f"old_{name}") for one in counted
        )
        return exact_sum((getattr(last, f"new_{name}"), -moved, before))

    return msgspec.structs.replace(
        last,
        old=exact_sum(
            (last.new, *(-one.amount for one in found), *(one.amount for one in counted))
        ),
        old_base=old("base"),
        old_adjusted=old("adjusted"),
        old_disputed=old("disputed"),
        old_requests=last.new_requests
        - sum(one.new_requests - one.old_requests for one in found)
        + sum(one.new_requests - one.old_requests for one in counted),
        causes=tuple(
            dict.fromkeys(
                cause for one in (found[-1:] if counted else found) for cause in one.causes
            )
        ),
    )


def corrected(
    settlement: Settlement,
    corrections: Sequence[Change],
    closed: Iterable[str],
    restated: Sequence[Change] = (),
) -> Settlement:
    """The open period's settlement with what it owes for closed ones: corrections, and what was `restated` of them.

    `closed` are the receipts of those.
    """
    receipts = tuple(sorted(closed))
    inputs = msgspec.structs.replace(settlement.inputs, closed=receipts)
    found = [*corrections, *restated]
    return msgspec.structs.replace(
        settlement,
        corrections=tuple(corrections),
        restated=tuple(restated),
        inputs=inputs,
        receipt=_receipt(settlement, receipts, found),
    )


def restated(
    closed: Settlement, latest: Settlement, now: Settlement, found: Sequence[Change]
) -> Settlement:
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
        shares=tuple(
            sorted(
                [*kept, *again, *gone], key=lambda one: (one.payer, one.payee, one.begin, one.term)
            )
        ),
        disputed=(
            *(one for one in latest.disputed if one.term not in moved),
            *(one for one in now.disputed if one.term in moved),
        ),
        corrections=closed.corrections,
        restated=closed.restated,
        restates=closed.receipt,
        changes=tuple(found),
        receipt=_receipt(now, (closed.receipt, latest.receipt), found),
    )


def _receipt(settlement: Settlement, closed: Sequence[str], found: Sequence[Change]) -> str:
    """The hash of what was settled, and of what it was held against."""
    return hashlib.sha256(
        msgspec.json.encode((settlement.receipt, closed, found), order="sorted")
    ).hexdigest()


def _nothing(share: ShareResult) -> ShareResult:
    lines = tuple(_emptied(line) for line in share.lines)
    return msgspec.structs.replace(
        share, lines=lines, amount=_ZERO, base=_ZERO, share_after=share.share_before
    )


def _emptied(line: ShareLine) -> ShareLine:
    return msgspec.structs.replace(
        line, amount=_ZERO, base=_ZERO, requests=0, adjusted=_ZERO, moved=_ZERO
    )


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
            payment=share.payment,
            withholding=share.withholding,
        )
        for share in settlement.shares
        for line in share.lines
    }
    for one in settlement.disputed:
        if one.line not in lines:
            lines[one.line] = Stated(
                term=one.term,
                payer=one.payer,
                payee=one.payee,
                disputed=one.amount,
                citation=one.citation,
            )
    return lines


class _Because(msgspec.Struct, frozen=True):
    """What a settlement stood on and what it stands on, and who changed that, and why."""

    since: Inputs
    now: Inputs
    because: Mapping[str, str]

    def agreement(self) -> str:
        """Why the agreements are others; empty where they are the same."""
        if self.since.agreement == self.now.agreement:
            return ""
        return _told("amended agreement", self.because.get("agreement", ""))

    def prices(self) -> str:
        """Why books or rates are others; empty where they are the same."""
        if self.since.price_book == self.now.price_book:
            return ""
        changed = [
            _told(words, self.because[kind])
            for kind, words in (("prices", "price book"), ("rates", "exchange rates"))
            if kind in self.because
        ]
        return "; ".join(changed) or "another price book"

    def readings(self) -> list[str]:
        """Why texts are read in another way."""
        before = self.since.readings or {}
        after = self.now.readings or {}
        return [
            _told(f"reading {name}", self.because.get(f"reading:{name}", ""))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]


def _told(words: str, reason: str) -> str:
    return f"{words} {reason}".rstrip()


def _causes(
    old: Stated, new: Stated, closed: Settlement, now: Settlement, why: _Because
) -> list[str]:
    """Why a line changed, what weighs most first; never nothing."""
    if not closed.receipt:
        return ["usage of a month before the first that was closed"]
    found = []
    was, is_ = (_days_and_rate(settlement, new.term) for settlement in (closed, now))
    moved = was[0] != is_[0]
    if moved:
        found.append(f"{_amended(closed, now, why)}: {_in_words(was[0], is_[0])}")
    elif was != is_:
        found += (
            _assumed(closed, now, why.because)
            or why.readings()
            or [why.agreement() or "another assumption"]
        )
    # Days that the share lost or gained take their usage with them: that usage was neither late nor priced anew.
    more = new.requests - old.requests
    if more and not moved and (lost := _lost(closed, now)):
        found.append(f"usage was lost: {lost}")
    elif more and not moved:
        requests = "request" if abs(more) == 1 else "requests"
        found.append(f"late usage: {abs(more):,} {requests} {'more' if more > 0 else 'less'}")
    if new.adjusted != old.adjusted:
        found.append(f"credit or dispute: {(new.adjusted - old.adjusted).normalize():+,f} of base")
    if new.disputed != old.disputed:
        found.append(
            "a dispute was opened"
            if abs(new.disputed) > abs(old.disputed)
            else "a dispute was resolved"
        )
    charges = exact_sum((new.base, -new.adjusted, -old.base, old.adjusted))
    if charges and not moved and (why.prices() or not more):
        # With late usage, how much of the difference is the price's is not told apart.
        priced = "" if more else f": {charges.normalize():+,f} of base"
        found.append(f"{why.prices() or 'new price known'}{priced}")
    return found or ["earlier sales moved the cap, a tier, a floor or a cent"]


def _lost(closed: Settlement, now: Settlement) -> str:
    """The estimates for lost usage that were accepted since a period was closed."""
    before = {one.name for one in closed.assumptions}
    new = [one for one in now.assumptions if one.standing == ESTIMATED and one.name not in before]
    return "; ".join(f"{one.name} = {one.value}, accepted by {one.source}" for one in new)


def _amended(closed: Settlement, now: Settlement, why: _Because) -> str:
    """Say what gave a share other days: the agreement's text, a reading, a fact or something else."""
    if text := why.agreement():
        return text
    if readings := why.readings():
        return "; ".join(readings)
    return "amended fact" if closed.inputs.facts != now.inputs.facts else "amended term"


def _in_words(was: Sequence[Interval], is_: Sequence[Interval]) -> str:
    """`in force on 2026-04-01 to 2026-04-20, no longer to 2026-04-26`"""
    if not is_:
        return "not in force any more"
    if not was:
        return f"in force on {_days(is_)}, and was not"
    if [one.begin for one in was] == [one.begin for one in is_]:
        longer = "no longer" if is_[-1].end < was[-1].end else "and not only"
        return f"in force on {_days(is_)}, {longer} to {was[-1].end - timedelta(days=1)}"
    return f"in force on {_days(is_)}, not on {_days(was)}"


def _days(days: Sequence[Interval]) -> str:
    return " and ".join(
        f"{one.begin} on" if one.end == FOREVER else f"{one.begin} to {one.end - timedelta(days=1)}"
        for one in days
    )


def _days_and_rate(settlement: Settlement, term: str) -> tuple[list[Interval], list[object]]:
    shares = [share for share in settlement.shares if share.term == term]
    return [share.days for share in shares], [(share.rate, share.bands) for share in shares]


def _assumed(closed: Settlement, now: Settlement, because: Mapping[str, str]) -> list[str]:
    before = {one.name: one.value for one in closed.assumptions}
    return [
        _told(
            f"assumption {one.name}: {before[one.name]} → {one.value}",
            because.get(f"assumption:{one.name}", ""),
        )
        for one in now.assumptions
        if before.get(one.name, one.value) != one.value
    ]
