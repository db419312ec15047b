"""What a party reads: a settled period by direction, with its clauses, its cap, its assumptions and its receipt.

    Settlement ── statement_of(settlement, party) ──▶ Statement ── canonical_bytes ──▶ what is compared and signed

A statement is a function of the settlement and the party alone: whoever has the same inputs writes the same bytes.
"""

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.dues import Due, dues, total
from clauseway.ledger.settlement import Change, Ended, Inputs, Settlement, ShareLine, ShareResult
from clauseway.values import USD, Citation, Interval, exact_sum

# Letters and digits that nobody mistakes for one another, in a print or on the telephone (Crockford's base 32).
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# 40 bits: of 100,000 lines of one month, two share a name once in two hundred times; they are then told apart in words.
_ID_LENGTH = 8


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line as parties name it: one product on one host cloud by one seller, in one share.

    `id` is printed in every format and is the same in every party's statement; it changes only where the period or one
    of term, begin, product, cloud and seller does. `assumptions` are the undisclosed figures it stands on. Amounts are
    USD, `amount` in cents. A line that corrects a closed month (`corrects`, `2026-04`), or says what its restatement
    changed (`restates`), holds the differences, has no rate of its own, and says why in `causes`.
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
        """Whether the line holds the difference of a closed month's line."""
        return bool(self.corrects or self.restates)


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """All that `payer` owes `payee` for the period. Directions are not netted.

    `shares` are in order of time; `ended` says from when on nothing is due, where that is so by the period's end.
    `total` is the sum of the statement's `dues` in this direction: shares, `corrections` of closed periods, and what
    was `restated` of them and is due with this one. `disputed` would be due too if all open disputes were rejected, and
    is not in it. Of a restatement, `changes` is what differs from what was stated last; it is in the shares.
    """

    payer: str
    payee: str
    total: Decimal
    shares: tuple[ShareResult, ...]
    ended: Ended | None
    corrections: tuple[Change, ...] = ()
    disputed: Decimal = Decimal(0)
    restated: tuple[Change, ...] = ()
    changes: tuple[Change, ...] = ()


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement for `party` (empty: for all). `as_of` are the event days settled, `known_at` what was known then.

    `lines` are those of the shares, corrections and restatements, flat and with their ids, in the order of the
    directions; they sum to the directions' totals, and so do `dues`, the payments term by term.
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

    @property
    def month(self) -> str:
        """The period as commands name it, `2026-05`."""
        return self.as_of.begin.strftime("%Y-%m")


def statement_of(settlement: Settlement, party: str = "") -> Statement:
    """The part of a settlement that concerns a party, or all of it."""
    pairs = {(share.payer, share.payee) for share in settlement.shares}
    pairs |= {(ended.payer, ended.payee) for ended in settlement.ended}
    pairs |= {
        (change.payer, change.payee) for change in (*settlement.corrections, *settlement.restated)
    }
    due = tuple(one for one in dues(settlement) if not party or party in (one.payer, one.payee))
    directions = tuple(
        _direction(settlement, due, *pair) for pair in sorted(pairs) if not party or party in pair
    )
    return Statement(
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


def canonical_bytes(statement: Statement) -> bytes:
    """The statement as JSON with sorted keys, two spaces of indent and one newline at its end."""
    return msgspec.json.format(msgspec.json.encode(statement, order="sorted"), indent=2) + b"\n"


def digest_of(statement: Statement) -> str:
    """SHA-256 of the canonical bytes, in hex: what every print of the statement carries."""
    return hashlib.sha256(canonical_bytes(statement)).hexdigest()


def line_id(period: Interval, share: ShareResult, line: ShareLine) -> str:
    """A line's short name, from what it is of and not from what it amounts to."""
    of_share = (str(period.begin), str(period.end), share.term, str(share.begin))
    return _short(*of_share, line.product, line.cloud, line.seller)


def change_id(period: Interval, change: Change, *, is_restated: bool) -> str:
    """The short name of a line that corrects a closed month in an open one, or says what its restatement changed."""
    does = "restates" if is_restated else "corrects"
    return _short(str(period.begin), str(period.end), does, str(change.period.begin), change.line)


def _short(*named: str) -> str:
    number = int.from_bytes(hashlib.sha256("|".join(named).encode()).digest()[:5], "big")
    return "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_ID_LENGTH)))


def citations_of(share: ShareResult) -> tuple[Citation, ...]:
    """The clause that makes a share due, and the one that ended it where that is another."""
    ended_by = share.ended_by
    return (
        (share.citation, ended_by)
        if ended_by is not None and ended_by != share.citation
        else (share.citation,)
    )


def assumed_by(settlement: Settlement, share: ShareResult) -> tuple[str, ...]:
    """The names of the assumptions that a share stands on: its rate, its cap, and those of ours that hold for all."""
    own = {share.rate_name, share.cap.name if share.cap is not None else ""}
    theirs = {name for other in settlement.shares for name in _named(other)}
    return tuple(a.name for a in settlement.assumptions if a.name in own or a.name not in theirs)


def _named(share: ShareResult) -> set[str]:
    return {share.rate_name} | ({share.cap.name} if share.cap is not None else set())


def _lines(settlement: Settlement, direction: Direction) -> Iterator[StatementLine]:
    for share in direction.shares:
        for line in share.lines:
            yield _line(settlement, share, line)
    for change in direction.corrections:
        yield _changed(settlement, change, is_restated=False)
    for change in direction.restated:
        yield _changed(settlement, change, is_restated=True)


def _changed(settlement: Settlement, change: Change, *, is_restated: bool) -> StatementLine:
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
        rate=Decimal(0),
        amount=change.amount,
        assumptions=tuple(one.name for one in settlement.assumptions),
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
    ended = [end for end in settlement.ended if (end.payer, end.payee) == (payer, payee)]
    return Direction(
        payer=payer,
        payee=payee,
        total=total(due, payer, payee),
        shares=tuple(
            share for share in settlement.shares if (share.payer, share.payee) == (payer, payee)
        ),
        ended=ended[0] if ended else None,
        corrections=_between(settlement.corrections, payer, payee),
        disputed=exact_sum(
            one.amount for one in settlement.disputed if (one.payer, one.payee) == (payer, payee)
        ),
        restated=_between(settlement.restated, payer, payee),
        changes=_between(settlement.changes, payer, payee),
    )


def _between(changes: tuple[Change, ...], payer: str, payee: str) -> tuple[Change, ...]:
    return tuple(change for change in changes if (change.payer, change.payee) == (payer, payee))
