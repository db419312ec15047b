"""A statement for a party: a settled period by direction, with its clauses, its cap, its
assumptions and its receipt.

    Settlement ── statement_of(settlement, party) ──▶ Statement
    Statement ── canonical_bytes ──▶ compared and signed

A statement is a function of the settlement and the party alone: anybody with the same inputs writes
the same bytes.
"""

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.dues import Due, dues, total
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.settlement import (
    MINIMUM,
    Ended,
    Inputs,
    Settlement,
    ShareLine,
    ShareResult,
    StatementChange,
    in_direction,
)
from clauseway.values import USD, Citation, Interval, exact_sum

# Letters and digits that nobody confuses, in print or on the telephone (Crockford's base 32).
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# 40 bits: among 100,000 lines of one month, two share a name once in two hundred times; their words
# then tell them apart.
_ID_LENGTH = 8


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line as parties name it: one product on one host cloud by one seller, in one share.

    `id` is printed in every format and is the same in every party's statement; it changes only
    where the period or one of term, begin, product, cloud and seller does. `assumptions` are the
    undisclosed figures it stands on. Amounts are USD, `amount` in cents. A line that corrects a
    closed month (`corrects`, `2026-04`), or says what its restatement changed (`restates`), holds
    the differences, has no rate of its own, and says why in `causes`.
    """

    id: str
    payer: str
    payee: str
    term: str
    days: Interval
    product: str
    cloud: str
    seller: str
    requests: int
    base: Decimal
    rate: Decimal
    amount: Decimal
    assumptions: tuple[str, ...]
    citations: tuple[Citation, ...]
    corrects: str = ""
    causes: tuple[str, ...] = ()
    restates: str = ""

    @property
    def is_change(self) -> bool:
        """True if the line holds the difference of a closed month's line."""
        return bool(self.corrects or self.restates)


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """All that `payer` owes `payee` for the period. Directions are not netted.

    `shares` are in order of time; `ended` says from when on nothing is due, if that day is within
    the period or before it. `total` is the sum of the statement's `dues` in this direction: shares,
    `corrections` of closed periods, and their `restated` changes that are due with this one.
    `disputed` would be due too if all open disputes were rejected, and is not in it. For a
    restatement, `changes` are the differences from the last statement; they are in the shares.
    """

    payer: str
    payee: str
    total: Decimal
    shares: tuple[ShareResult, ...]
    ended: Ended | None
    corrections: tuple[StatementChange, ...] = ()
    disputed: Decimal = Decimal(0)
    restated: tuple[StatementChange, ...] = ()
    changes: tuple[StatementChange, ...] = ()


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement for `party` (empty: for all). `as_of` are the event days settled, `known_at` the
    clock of knowledge.

    `lines` are those of the shares, corrections and restatements, flat and with their ids, in the
    order of the directions; they sum to the directions' totals, and so do `dues`, the payments term
    by term. `restates` is the closed month that it restates, where no direction says so by its
    changes. Raise ValueError where `as_of` is no month.
    """

    party: str
    as_of: Interval
    known_at: str
    currency: str
    directions: tuple[Direction, ...]
    lines: tuple[StatementLine, ...]
    assumptions: tuple[Assumption, ...]
    inputs: Inputs
    receipt: str
    dues: tuple[Due, ...] = ()
    restates: str | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.as_of != calendar_period(self.as_of.begin, "month"):
            raise ValueError(
                f"{self.as_of.begin} until {self.as_of.end} is no month of the calendar"
            )

    @property
    def month(self) -> str:
        """Return the period as commands name it, `2026-05`."""
        return self.as_of.begin.strftime("%Y-%m")

    @property
    def is_restatement(self) -> bool:
        """Return whether it restates a closed month."""
        return bool(self.restates) or _has_changes(self.directions)

    def rate_of(self, line: StatementLine) -> Decimal | None:
        """Return the one rate that gives a line's amount; None if there is none: of the difference
        from a closed month's line, of a minimum and of a line by bands."""
        by_bands = {
            (share.payer, share.payee, share.term)
            for direction in self.directions
            for share in direction.shares
            if share.bands
        }
        is_minimum = line.product == MINIMUM and not line.seller
        if line.is_change or is_minimum or (line.payer, line.payee, line.term) in by_bands:
            return None
        return line.rate


def statement_of(settlement: Settlement, party: str = "") -> Statement:
    """Return the part of a settlement that concerns a party, or all of it."""
    # A pair whose share has ended, or that only has changes, gets a direction too.
    pairs = {(share.payer, share.payee) for share in settlement.shares}
    pairs |= {(ended.payer, ended.payee) for ended in settlement.ended}
    pairs |= {
        (change.payer, change.payee) for change in (*settlement.corrections, *settlement.restated)
    }
    due = tuple(item for item in dues(settlement) if not party or party in (item.payer, item.payee))
    directions = tuple(
        _direction(settlement, due, *pair) for pair in sorted(pairs) if not party or party in pair
    )
    statement = Statement(
        party=party,
        as_of=settlement.period,
        known_at=settlement.inputs.known_at,
        currency=USD,
        directions=directions,
        lines=tuple(line for direction in directions for line in _lines(settlement, direction)),
        assumptions=settlement.assumptions,
        inputs=settlement.inputs,
        receipt=settlement.receipt,
        dues=due,
    )
    return _marked(statement) if settlement.restates else statement


def _marked(restatement: Statement) -> Statement:
    """Return a restatement with its mark, where no direction says by its changes that it is a
    restatement: nothing of its party changed."""
    restates = msgspec.UNSET if _has_changes(restatement.directions) else restatement.month
    return msgspec.structs.replace(restatement, restates=restates)


def _has_changes(directions: Iterable[Direction]) -> bool:
    return any(direction.changes for direction in directions)


def concerning(statement: Statement, party: str) -> Statement:
    """Return the part of a statement for all, or for another party, that a party's statement of the
    same settlement has too; named for nobody."""
    if not party:
        return msgspec.structs.replace(statement, party="")
    directions = [each for each in statement.directions if party in (each.payer, each.payee)]
    part = msgspec.structs.replace(
        statement,
        party="",
        directions=tuple(directions),
        lines=tuple(line for line in statement.lines if party in (line.payer, line.payee)),
        dues=tuple(due for due in statement.dues if party in (due.payer, due.payee)),
    )
    return _marked(part) if statement.is_restatement else part


def amounts_stated(statement: Statement) -> dict[str, Decimal]:
    """Return the amounts of a statement by the lines of its shares; none that is 0."""
    return {
        line.id: line.amount
        for direction in statement.directions
        for share in direction.shares
        for line in share.lines
        if line.amount
    }


def amounts_restated(statement: Statement) -> dict[str, Decimal]:
    """Return the amounts that a restatement restates, by the lines of its shares; none that is 0."""
    amounts = amounts_stated(statement)
    for direction in statement.directions:
        for change in direction.changes:
            amounts[change.line] = amounts.get(change.line, Decimal(0)) - change.amount
    return {line: amount for line, amount in amounts.items() if amount}


def canonical_bytes(statement: Statement) -> bytes:
    """Return the statement as JSON with sorted keys, two spaces of indent and one newline at its
    end."""
    return msgspec.json.format(msgspec.json.encode(statement, order="sorted"), indent=2) + b"\n"


def digest_of(statement: Statement) -> str:
    """Return SHA-256 of the canonical bytes, in hex: every print of the statement carries it."""
    return hashlib.sha256(canonical_bytes(statement)).hexdigest()


def line_id(period: Interval, share: ShareResult, line: ShareLine) -> str:
    """Return a line's short name, made from its share, product, cloud and seller, not from its
    amount."""
    of_share = (str(period.begin), str(period.end), share.term, str(share.begin))
    return _short(*of_share, line.product, line.cloud, line.seller)


def change_id(period: Interval, change: StatementChange, *, is_restated: bool) -> str:
    """Return the short name of a line that corrects a closed month in an open one, or lists its
    restatement's change."""
    does = "restates" if is_restated else "corrects"
    return _short(str(period.begin), str(period.end), does, str(change.period.begin), change.line)


def _short(*named: str) -> str:
    number = int.from_bytes(hashlib.sha256("|".join(named).encode()).digest()[:5], "big")
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_ID_LENGTH)))


def citations_of(share: ShareResult) -> tuple[Citation, ...]:
    """Return the clause that makes a share due, and the clause that ended it if it is another."""
    ended_by = share.ended_by
    return (
        (share.citation, ended_by)
        if ended_by is not None and ended_by != share.citation
        else (share.citation,)
    )


def assumed_by(settlement: Settlement, share: ShareResult) -> tuple[str, ...]:
    """Return the names of a share's assumptions: its rate, its cap, and those that are no share's
    rate or cap, which hold for all."""
    own = share.named_figures
    theirs = {name for other in settlement.shares for name in other.named_figures}
    return tuple(a.name for a in settlement.assumptions if a.name in own or a.name not in theirs)


def _lines(settlement: Settlement, direction: Direction) -> Iterator[StatementLine]:
    for share in direction.shares:
        for line in share.lines:
            yield _line(settlement, share, line)
    for change in direction.corrections:
        yield _changed(settlement, change, is_restated=False)
    for change in direction.restated:
        yield _changed(settlement, change, is_restated=True)


def _changed(
    settlement: Settlement, change: StatementChange, *, is_restated: bool
) -> StatementLine:
    closed = change.period.begin.strftime("%Y-%m")
    return StatementLine(
        id=change_id(settlement.period, change, is_restated=is_restated),
        payer=change.payer,
        payee=change.payee,
        term=change.term,
        days=change.period,
        product=change.product,
        cloud=change.cloud,
        seller=change.seller,
        requests=change.new_requests - change.old_requests,
        base=exact_sum((change.new_base, -change.old_base)),
        # No single rate gives the amount of a change.
        rate=Decimal(0),
        amount=change.amount,
        assumptions=tuple(assumption.name for assumption in settlement.assumptions),
        citations=(change.citation,),
        corrects="" if is_restated else closed,
        causes=change.causes,
        restates=closed if is_restated else "",
    )


def _line(settlement: Settlement, share: ShareResult, line: ShareLine) -> StatementLine:
    return StatementLine(
        id=line_id(settlement.period, share, line),
        payer=share.payer,
        payee=share.payee,
        term=share.term,
        days=share.days,
        product=line.product,
        cloud=line.cloud,
        seller=line.seller,
        requests=line.requests,
        base=line.base,
        rate=line.rate,
        amount=line.amount,
        assumptions=assumed_by(settlement, share),
        citations=citations_of(share),
    )


def _direction(settlement: Settlement, due: tuple[Due, ...], payer: str, payee: str) -> Direction:
    ended = in_direction(settlement.ended, payer, payee)
    disputed = in_direction(settlement.disputed, payer, payee)
    return Direction(
        payer=payer,
        payee=payee,
        total=total(due, payer, payee),
        shares=in_direction(settlement.shares, payer, payee),
        ended=ended[0] if ended else None,
        corrections=in_direction(settlement.corrections, payer, payee),
        disputed=exact_sum(dispute.amount for dispute in disputed),
        restated=in_direction(settlement.restated, payer, payee),
        changes=in_direction(settlement.changes, payer, payee),
    )
