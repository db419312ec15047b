"""Closed periods: the statement at closing, the amounts known by now, and how the difference is
booked.

    closed settlement ─┐
    earlier changes   ─┴─▶ stated, by line ─┐
    settled again on present knowledge ─────┴─▶ changes ─▶ corrections in the open period
                                                       └─▶ a restatement beside the closed one

INVARIANT: the amounts stated for a closed period and all changes of it since sum to the amounts due
by present knowledge, so a cap holds over closed and open periods together.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from clauseway.agreement.language.figures import REVENUE_OWNER, WHOLESALE
from clauseway.agreement.language.shares import CORRECTION, RESTATEMENT, PaymentTerm
from clauseway.ledger.assumptions import ESTIMATED, accepted_items, is_same_value
from clauseway.ledger.settlement import (
    Disputed,
    Inputs,
    Settlement,
    ShareLine,
    ShareResult,
    StatementChange,
)
from clauseway.values import FOREVER, Citation, Interval, counted, exact_sum

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


def stated(closed: Settlement, changes: Iterable[StatementChange] = ()) -> dict[str, Stated]:
    """Return the lines of a closed settlement with every change since, in any order."""
    lines = _lines(closed)
    for change in changes:
        # Changes are differences, so their order does not matter.
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


def _nothing_of(line: StatementChange | Stated) -> Stated:
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
) -> list[StatementChange]:
    """Return the lines that differ between the last statement and present knowledge, in order of
    their ids, with causes.

    `since` are the inputs of the last statement, by default the closed settlement's; `because` says
    who changed an input since then and why, by the input's name.
    """
    why = _Reasons(since or closed.inputs, now.inputs, because or {})
    after, changed = _lines(now), []
    for line in sorted(before.keys() | after.keys()):
        # A line that is new or gone is compared with a line of zeros.
        present = before.get(line) or after[line]
        empty = _nothing_of(present)
        old, new = before.get(line, empty), after.get(line, empty)
        # A base may move without an amount: beyond the cap nothing more is due.
        if (old.amount, old.disputed) != (new.amount, new.disputed):
            changed.append(
                StatementChange(
                    period=closed.period,
                    term=present.term,
                    payer=present.payer,
                    payee=present.payee,
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
    return changed


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """Late facts of a closed period: corrections for the open period, and a restatement where the
    agreement asks for it."""

    closed: Settlement
    corrections: tuple[StatementChange, ...]
    restatement: Settlement | None


def late(
    closed: Settlement,
    restatements: Sequence[Settlement],
    reported: Iterable[StatementChange],
    now: Settlement,
    since: Inputs | None = None,
    because: Mapping[str, str] | None = None,
) -> Late:
    """Return the corrections and the restatement of a closed period that is settled again as `now`.

    `restatements` are the earlier ones, oldest first; `reported` are all changes of closed periods
    that were reported: corrections in closed periods, and changes by restatements. `since` and
    `because` are those of `changes`.
    """
    before = stated(closed, [change for change in reported if change.period == closed.period])
    differing = changes(closed, now, before, since, because)
    latest = restatements[-1] if restatements else closed
    again = [change for change in differing if _is_restated(change, closed, latest, now)]
    # A correction is due with the open month; a restatement is a statement of its own.
    return Late(
        closed=closed,
        corrections=tuple(change for change in differing if change not in again),
        restatement=restated(closed, latest, now, again) if again else None,
    )


def _is_restated(
    change: StatementChange, closed: Settlement, latest: Settlement, now: Settlement
) -> bool:
    """True if a change restates its period, by what the agreement says of the share now, or said
    of it last."""
    says = {share.term: share.late for share in (*closed.shares, *latest.shares, *now.shares)}
    # A share that came by a correction and went again stands on no statement of the period.
    return bool(closed.receipt) and says.get(change.term, CORRECTION) == RESTATEMENT


def never_closed(period: Interval, inputs: Inputs) -> Settlement:
    """Return an empty settlement for a period before the first closed one. It has no receipt and
    cannot be restated."""
    return Settlement(
        period=period,
        shares=(),
        ended=(),
        assumptions=(),
        needs_order=(),
        inputs=inputs,
        receipt="",
    )


class SettlementSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a recorded settlement that later months need: its terms, and its changes of
    closed periods.

    `accepted` are the figures it was accepted with, as `--assume` takes them.
    """

    period: Interval
    receipt: str
    restates: str
    terms: tuple[str, ...]
    accepted: tuple[str, ...]
    corrections: tuple[StatementChange, ...]
    changes: tuple[StatementChange, ...]
    restated: tuple[StatementChange, ...]


def summary_of(settlement: Settlement) -> SettlementSummary:
    """Return the part of a settlement that later months need."""
    return SettlementSummary(
        period=settlement.period,
        receipt=settlement.receipt,
        restates=settlement.restates,
        terms=tuple(share.term for share in settlement.shares),
        accepted=tuple(accepted_items(settlement.assumptions)),
        corrections=settlement.corrections,
        changes=settlement.changes,
        restated=settlement.restated,
    )


def uncounted(
    closed: Iterable[SettlementSummary], restatements: Iterable[SettlementSummary]
) -> tuple[StatementChange, ...]:
    """Return the changes by restatements that no closed period has counted as due: by period and
    line, net.

    They are due with the open period. `restatements` are all restatements of each period, oldest
    first.
    """
    moved: dict[tuple[Interval, str], list[StatementChange]] = {}
    for summary in restatements:
        for change in summary.changes:
            moved.setdefault((change.period, change.line), []).append(change)
    counted: dict[tuple[Interval, str], list[StatementChange]] = {}
    for summary in closed:
        for change in summary.restated:
            counted.setdefault((change.period, change.line), []).append(change)
    net = [_net(changes_, counted.get(key, ())) for key, changes_ in sorted(moved.items())]
    return tuple(
        change for change in net if change.amount or change.new_disputed != change.old_disputed
    )


def _net(changed: Sequence[StatementChange], counted: Sequence[StatementChange]) -> StatementChange:
    """Return the changes of one line less the changes counted before, as one change up to the last
    of them."""
    last = changed[-1]

    def moved(of_line: Iterable[StatementChange], part: str) -> Decimal:
        return exact_sum(
            getattr(change, f"new{part}") - getattr(change, f"old{part}") for change in of_line
        )

    # The old value is the last new value with all uncounted moves undone.
    def old(part: str) -> Decimal:
        new: Decimal = getattr(last, f"new{part}")
        return exact_sum((new, -moved(changed, part), moved(counted, part)))

    return msgspec.structs.replace(
        last,
        old=old(""),
        old_base=old("_base"),
        old_adjusted=old("_adjusted"),
        old_disputed=old("_disputed"),
        old_requests=int(old("_requests")),
        causes=tuple(
            dict.fromkeys(
                cause
                # The causes of changes that were counted before stand where they were counted.
                for change in (changed[-1:] if counted else changed)
                for cause in change.causes
            )
        ),
    )


def corrected(
    settlement: Settlement,
    corrections: Sequence[StatementChange],
    closed: Iterable[str],
    restated: Sequence[StatementChange] = (),
) -> Settlement:
    """Return the open period's settlement with the amounts it owes for closed periods: corrections
    and restated changes.

    `closed` are the receipts of the closed settlements.
    """
    # The debts of closed periods depend on their settlements, so the receipt covers them.
    receipts = tuple(sorted(closed))
    inputs = msgspec.structs.replace(settlement.inputs, closed=receipts)
    owed = [*corrections, *restated]
    return msgspec.structs.replace(
        settlement,
        corrections=tuple(corrections),
        restated=tuple(restated),
        inputs=inputs,
        receipt=_receipt(settlement, receipts, owed),
    )


def restated(
    closed: Settlement, latest: Settlement, now: Settlement, changed: Sequence[StatementChange]
) -> Settlement:
    """Return the closed period with the changes of the shares that are restated.

    Other shares stay as they stood in `latest`, the restatement before this one or else the closed
    settlement itself.
    """
    moved = {change.term for change in changed}
    kept = [share for share in latest.shares if share.term not in moved]
    again = [share for share in now.shares if share.term in moved]
    there = {share.term for share in again}
    # A share that no longer exists by present knowledge stays, with nothing due.
    gone = [_nothing(share) for share in latest.shares if share.term in moved - there]
    return msgspec.structs.replace(
        now,
        shares=tuple(
            sorted(
                [*kept, *again, *gone],
                key=lambda share: (share.payer, share.payee, share.begin, share.term),
            )
        ),
        disputed=(
            *(dispute for dispute in latest.disputed if dispute.term not in moved),
            *(dispute for dispute in now.disputed if dispute.term in moved),
        ),
        corrections=closed.corrections,
        restated=closed.restated,
        restates=closed.receipt,
        changes=tuple(changed),
        receipt=_receipt(now, (closed.receipt, latest.receipt), changed),
    )


def _receipt(
    settlement: Settlement, closed: Sequence[str], changed: Sequence[StatementChange]
) -> str:
    """Hash the settlement's own receipt, the closed receipts and the changes."""
    return hashlib.sha256(
        msgspec.json.encode((settlement.receipt, closed, changed), order="sorted")
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
    disputed: dict[str, Disputed] = {dispute.line: dispute for dispute in settlement.disputed}
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
    # A dispute may hold all sales of a line: then nothing is due, but something is at stake.
    for dispute in settlement.disputed:
        if dispute.line not in lines:
            lines[dispute.line] = Stated(
                term=dispute.term,
                payer=dispute.payer,
                payee=dispute.payee,
                disputed=dispute.amount,
                citation=dispute.citation,
            )
    return lines


class _Reasons(msgspec.Struct, frozen=True):
    """The inputs of the last statement and the present inputs, and who changed an input and why."""

    since: Inputs
    now: Inputs
    because: Mapping[str, str]

    def agreement(self) -> str:
        """Return why the agreements differ; empty if they are the same."""
        if self.since.agreement == self.now.agreement:
            return ""
        reason = self.because.get("agreement", "")
        # A reason reads on: changed by whom, when and why.
        return _with_reason("agreement", reason) if reason else "amended agreement"

    def prices(self) -> str:
        """Return why price books or exchange rates differ; empty if they are the same."""
        if self.since.price_book == self.now.price_book:
            return ""
        changed = [
            _with_reason(words, self.because[kind])
            for kind, words in (("prices", "price book"), ("rates", "exchange rates"))
            if kind in self.because
        ]
        return "; ".join(changed) or "another price book"

    def readings(self) -> list[str]:
        """Return why texts are read in another way, reading by reading."""
        before = self.since.readings or {}
        after = self.now.readings or {}
        return [
            _with_reason(f"reading {name}", self.because.get(f"reading:{name}", ""))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]


def _with_reason(words: str, reason: str) -> str:
    return f"{words} {reason}".rstrip()


def _causes(
    old: Stated, new: Stated, closed: Settlement, now: Settlement, why: _Reasons
) -> list[str]:
    """Return the causes of a line's change, the weightiest first; never none."""
    # A period that was never closed has nothing to compare with.
    if not closed.receipt:
        sold = old.requests or new.requests or old.base or new.base
        due = "usage" if sold else "a minimum"
        return [f"{due} of a month before the first that was closed"]
    causes = []
    was, is_ = (_days_and_figures(settlement, new.term) for settlement in (closed, now))
    figures = _assumed(closed, now, new.term, why.because)
    # Figures that say how much of a sale counts in a base, and whose revenue it is.
    counting = [figures.pop(name) for name in (WHOLESALE, REVENUE_OWNER) if name in figures]
    # A share without days on either came since the close and went again.
    moved = was[0] != is_[0] or not is_[0]
    if moved:
        causes.append(f"{_amended(closed, now, why)}: {_in_words(was[0], is_[0])}")
        causes += _other_usage(closed, now)
    # The days are the same: a figure, a reading or the text gave the share another rate or cap.
    elif was != is_:
        causes += (
            list(figures.values()) or why.readings() or [why.agreement() or "another assumption"]
        )
    # Days that the share lost or gained take their usage with them: that usage was neither late nor
    # priced anew.
    more = new.requests - old.requests
    recounted = _recounted(closed, now, why, counting) if more and not moved else ""
    if more and not moved and (lost := _lost(closed, now)):
        causes.append(f"usage was lost: {lost}")
    elif more and not moved:
        requests = "request" if abs(more) == 1 else "requests"
        counted = f"{abs(more):,} {requests} {'more' if more > 0 else 'less'}"
        causes.append(f"{recounted or 'late usage'}: {counted}")
    if new.adjusted != old.adjusted:
        causes.append(f"credit or dispute: {(new.adjusted - old.adjusted).normalize():+,f} of base")
    if new.disputed != old.disputed:
        causes.append(
            "a dispute was opened"
            if abs(new.disputed) > abs(old.disputed)
            else "a dispute was resolved"
        )
    # The rest of the base, without credits and disputes, is what usage was charged.
    charges = exact_sum((new.base, -new.adjusted, -old.base, old.adjusted))
    charged = "; ".join(filter(None, (why.prices(), *counting)))
    if charges and not moved and not recounted and (charged or not more):
        # With late usage too, the price's part of the difference cannot be told apart.
        priced = "" if more else f": {charges.normalize():+,f} of base"
        causes.append(f"{charged or 'new price known'}{priced}")
    return (
        causes
        or list(figures.values())
        or ["earlier sales moved the cap, a band, a floor or a cent"]
    )


def _recounted(closed: Settlement, now: Settlement, why: _Reasons, counting: Sequence[str]) -> str:
    """Return why a base takes in other requests of the same usage; empty if usage came or went."""
    usage = closed.inputs.usage
    if not usage or usage != now.inputs.usage:
        return ""
    # What was free of charge counts no request; a price may have changed that.
    reasons = filter(None, (why.agreement(), *why.readings(), why.prices(), *counting))
    return "; ".join(reasons) or "the base takes in other products"


def _other_usage(closed: Settlement, now: Settlement) -> list[str]:
    """Return how the usage of a period differs; nothing if it is the same.

    Of a share with other days the part of late usage in a line cannot be told apart.
    """
    before, after = closed.inputs, now.inputs
    if not before.usage or before.usage == after.usage:
        return []
    more = after.attempts - before.attempts
    if not more:
        return ["other usage in the month"]
    attempts = counted(abs(more), "attempt")
    return [f"late usage in the month: {attempts} {'more' if more > 0 else 'less'}"]


def _lost(closed: Settlement, now: Settlement) -> str:
    """Name the estimates of lost usage that were accepted since a period was closed."""
    # An estimate that stood on the closed statement already explains no difference.
    before = {assumption.name for assumption in closed.assumptions}
    new = [
        assumption
        for assumption in now.assumptions
        if assumption.standing == ESTIMATED and assumption.name not in before
    ]
    return "; ".join(
        f"{assumption.name} = {assumption.value}, accepted by {assumption.source}"
        for assumption in new
    )


def _amended(closed: Settlement, now: Settlement, why: _Reasons) -> str:
    """Return what gave a share other days: the agreement's text, a reading, a fact or something
    else."""
    if text := why.agreement():
        return text
    if readings := why.readings():
        return "; ".join(readings)
    return "amended fact" if closed.inputs.facts != now.inputs.facts else "amended term"


def _in_words(was: Sequence[Interval], is_: Sequence[Interval]) -> str:
    """Return e.g. `in force on 2026-04-01 to 2026-04-20, no longer to 2026-04-26`."""
    if not is_:
        return "not in force any more"
    if not was:
        return f"in force on {_days(is_)}, and was not"
    if [interval.begin for interval in was] == [interval.begin for interval in is_]:
        longer = "no longer" if is_[-1].end < was[-1].end else "and not only"
        return f"in force on {_days(is_)}, {longer} to {was[-1].last_day}"
    return f"in force on {_days(is_)}, not on {_days(was)}"


def _days(days: Sequence[Interval]) -> str:
    return " and ".join(
        f"{interval.begin} on"
        if interval.end == FOREVER
        else f"{interval.begin} to {interval.last_day}"
        for interval in days
    )


def _days_and_figures(
    settlement: Settlement, term: str
) -> tuple[list[Interval], list[tuple[object, ...]]]:
    """Return the days of a share, and its rate, bands and cap on them."""
    shares = [share for share in settlement.shares if share.term == term]
    figures: list[tuple[object, ...]] = []
    for share in shares:
        cap = () if share.cap is None else (share.cap.cap, share.cap.opening)
        figures.append((share.rate, share.bands, cap))
    return [share.days for share in shares], figures


def _assumed(
    closed: Settlement, now: Settlement, term: str, because: Mapping[str, str]
) -> dict[str, str]:
    """Return the figures of a share, or of no share, that have another value, each as a cause."""
    shares = (*closed.shares, *now.shares)
    own = {name for share in shares if share.term == term for name in share.named_figures}
    named = {name for share in shares for name in share.named_figures}
    before = {assumption.name: assumption.value for assumption in closed.assumptions}
    return {
        assumption.name: _with_reason(
            f"assumption {assumption.name}: {before[assumption.name]} → {assumption.value}",
            because.get(f"assumption:{assumption.name}", ""),
        )
        for assumption in now.assumptions
        if not is_same_value(before.get(assumption.name, assumption.value), assumption.value)
        and (assumption.name in own or assumption.name not in named)
    }
