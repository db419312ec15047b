"""Two settlements of one period side by side: the real settlement, and another under other terms,
readings or figures.

    real ──┐
           ├─▶ beside ─▶ lines, directions and parties, each with both amounts and their difference
    other ─┘

Lines are matched by payer, payee, product, cloud and seller. One side may have two shares in a
period in which the other has one. So each side sums its shares into one line, whose `terms` name
the terms of all of them.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.settlement import (
    CapState,
    Ended,
    Settlement,
    ShareLine,
    ShareResult,
    described,
    in_direction,
)
from clauseway.values import Citation, Interval, exact_sum

_ZERO = Decimal(0)


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a line: the base and its share in USD, with rates and terms; empty if that side
    lacks the line."""

    base: Decimal = _ZERO
    amount: Decimal = _ZERO
    rates: tuple[Decimal, ...] = ()
    terms: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()


class LineBeside(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a seller's sales of a product on a host cloud, in one direction, on both sides.

    `difference` is other less real.
    """

    payer: str
    payee: str
    product: str
    cloud: str
    seller: str
    real: Amounts
    other: Amounts
    difference: Decimal

    @property
    def of(self) -> str:
        """Describe the line in words."""
        return described(self.product, self.cloud, self.seller)


class DirectionBeside(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that a payer owes a payee, on both sides, with the caps that applied. If the
    payer's share has ended, `real_ended` or `other_ended` says how."""

    payer: str
    payee: str
    real: Decimal
    other: Decimal
    difference: Decimal
    real_caps: tuple[CapState, ...] = ()
    other_caps: tuple[CapState, ...] = ()
    real_ended: Ended | None = None
    other_ended: Ended | None = None


class PartyBeside(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that a party receives less the amount that it pays, on both sides: below zero if
    it pays more.

    `gains` is other less real.
    """

    party: str
    real: Decimal
    other: Decimal
    gains: Decimal


class SideBySide(msgspec.Struct, frozen=True, kw_only=True):
    """Two settlements of `period` side by side. Their receipts identify their inputs."""

    period: Interval
    lines: tuple[LineBeside, ...]
    directions: tuple[DirectionBeside, ...]
    parties: tuple[PartyBeside, ...]
    real_assumptions: tuple[Assumption, ...]
    other_assumptions: tuple[Assumption, ...]
    real_receipt: str
    other_receipt: str

    @property
    def is_same(self) -> bool:
        """Return whether every line has the same base and amount on both sides."""
        return all(
            (line.real.base, line.real.amount) == (line.other.base, line.other.amount)
            for line in self.lines
        )


class _Key(NamedTuple):
    payer: str
    payee: str
    product: str
    cloud: str
    seller: str


def beside(real: Settlement, other: Settlement) -> SideBySide:
    """Compare two settlements of one period line by line, with totals. Neither is changed."""
    assert real.period == other.period, (
        f"{real.period} and {other.period} are not beside each other"
    )
    lines = _lines(real, other)
    directions = _directions(real, other)
    return SideBySide(
        period=real.period,
        lines=lines,
        directions=directions,
        parties=_parties(directions),
        real_assumptions=real.assumptions,
        other_assumptions=other.assumptions,
        real_receipt=real.receipt,
        other_receipt=other.receipt,
    )


def _lines(real: Settlement, other: Settlement) -> tuple[LineBeside, ...]:
    of_real, of_other = _amounts(real), _amounts(other)
    nothing = Amounts()
    return tuple(
        LineBeside(
            **key._asdict(),
            real=of_real.get(key, nothing),
            other=of_other.get(key, nothing),
            difference=_less(of_other.get(key, nothing).amount, of_real.get(key, nothing).amount),
        )
        for key in sorted(of_real.keys() | of_other.keys())
    )


def _amounts(settlement: Settlement) -> dict[_Key, Amounts]:
    """Sum each line of a settlement over its shares."""
    parts: dict[_Key, list[tuple[ShareResult, ShareLine]]] = {}
    for share in settlement.shares:
        for line in share.lines:
            key = _Key(share.payer, share.payee, line.product, line.cloud, line.seller)
            parts.setdefault(key, []).append((share, line))
    return {
        key: Amounts(
            base=exact_sum(line.base for _, line in shares),
            amount=exact_sum(line.amount for _, line in shares),
            rates=tuple(dict.fromkeys(line.rate for _, line in shares)),
            terms=tuple(dict.fromkeys(share.term for share, _ in shares)),
            citations=tuple(dict.fromkeys(line.citation for _, line in shares)),
        )
        for key, shares in parts.items()
    }


def _directions(real: Settlement, other: Settlement) -> tuple[DirectionBeside, ...]:
    pairs = {(share.payer, share.payee) for side in (real, other) for share in side.shares}
    pairs |= {(ended.payer, ended.payee) for side in (real, other) for ended in side.ended}
    return tuple(_direction(payer, payee, real, other) for payer, payee in sorted(pairs))


def _direction(payer: str, payee: str, real: Settlement, other: Settlement) -> DirectionBeside:
    due_in_real, due_in_other = due(real, payer, payee), due(other, payer, payee)
    return DirectionBeside(
        payer=payer,
        payee=payee,
        real=due_in_real,
        other=due_in_other,
        difference=_less(due_in_other, due_in_real),
        real_caps=_caps(real, payer, payee),
        other_caps=_caps(other, payer, payee),
        real_ended=_ended(real, payer, payee),
        other_ended=_ended(other, payer, payee),
    )


def due(settlement: Settlement, payer: str, payee: str) -> Decimal:
    """Return all that `payer` owes `payee` for the period."""
    return exact_sum(share.amount for share in in_direction(settlement.shares, payer, payee))


def _caps(settlement: Settlement, payer: str, payee: str) -> tuple[CapState, ...]:
    shares = in_direction(settlement.shares, payer, payee)
    return tuple(share.cap for share in shares if share.cap is not None)


def _ended(settlement: Settlement, payer: str, payee: str) -> Ended | None:
    return next(iter(in_direction(settlement.ended, payer, payee)), None)


def _parties(directions: Iterable[DirectionBeside]) -> tuple[PartyBeside, ...]:
    real: dict[str, Decimal] = {}
    other: dict[str, Decimal] = {}
    for direction in directions:
        for side, amount in ((real, direction.real), (other, direction.other)):
            side[direction.payee] = exact_sum((side.get(direction.payee, _ZERO), amount))
            # Each amount stands on both sides, so the gains of all parties sum to zero.
            side[direction.payer] = _less(side.get(direction.payer, _ZERO), amount)
    return tuple(
        PartyBeside(
            party=party,
            real=real[party],
            other=other[party],
            gains=_less(other[party], real[party]),
        )
        for party in sorted(real)
    )


def _less(amount: Decimal, taken: Decimal) -> Decimal:
    """Return the exact difference `amount` − `taken`."""
    return exact_sum((amount, taken.copy_negate()))
