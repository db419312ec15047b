"""What a party reads: a settled period by direction, with its clauses, its cap, its assumptions and its receipt."""

from decimal import Decimal

import msgspec

from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.settlement import Ended, Inputs, Settlement, ShareResult
from clauseway.values import USD, Interval, exact_sum


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """All that `payer` owes `payee` for the period. Directions are not netted.

    `shares` are in order of time; `ended` says from when on nothing is due, where that is so by the period's end.
    """

    payer: str
    payee: str
    total: Decimal
    shares: tuple[ShareResult, ...]
    ended: Ended | None


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement for `party` (empty: for all). `as_of` are the event days settled, `known_at` what was known then."""

    party: str
    as_of: Interval
    known_at: str
    currency: str
    directions: tuple[Direction, ...]
    assumptions: tuple[Assumption, ...]
    inputs: Inputs
    receipt: str


def statement_of(settlement: Settlement, party: str = "") -> Statement:
    """The part of a settlement that concerns a party, or all of it."""
    pairs = {(share.payer, share.payee) for share in settlement.shares}
    pairs |= {(ended.payer, ended.payee) for ended in settlement.ended}
    return Statement(
        party=party,
        as_of=settlement.period,
        known_at=settlement.inputs.known_at,
        currency=USD,
        directions=tuple(_direction(settlement, *pair) for pair in sorted(pairs) if not party or party in pair),
        assumptions=settlement.assumptions,
        inputs=settlement.inputs,
        receipt=settlement.receipt,
    )


def _direction(settlement: Settlement, payer: str, payee: str) -> Direction:
    shares = tuple(share for share in settlement.shares if (share.payer, share.payee) == (payer, payee))
    ended = [end for end in settlement.ended if (end.payer, end.payee) == (payer, payee)]
    return Direction(
        payer=payer,
        payee=payee,
        total=exact_sum(share.amount for share in shares),
        shares=shares,
        ended=ended[0] if ended else None,
    )
