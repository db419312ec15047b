"""Exact money: an amount and a currency, one named rounding, a stated home for the remainder.

INVARIANT: no float touches money. Amounts are `Decimal`; token prices on the request's way are whole picodollars.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

import msgspec

USD = "USD"
CENT = Decimal("0.01")
# Wide enough that no sum or product of this product's sizes is ever rounded by the context itself.
_EXACT = Context(prec=60)


def round_half_even(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """The one rounding of the house: to a multiple of `unit`, ties to the even neighbour."""
    return amount.quantize(unit, rounding=ROUND_HALF_EVEN, context=_EXACT)


class Money(msgspec.Struct, frozen=True):
    """An exact amount in a currency (ISO 4217). Adding two currencies is a bug, not a conversion."""

    amount: Decimal
    currency: str = USD

    def __add__(self, other: "Money") -> "Money":
        assert self.currency == other.currency, f"{self.currency} and {other.currency} do not add"
        return Money(_EXACT.add(self.amount, other.amount), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"


def allocate(total: Decimal, weights: Sequence[tuple[str, Decimal]], unit: Decimal = CENT) -> dict[str, Decimal]:
    """Split `total` over `(id, weight)` lines so that the parts are multiples of `unit` and sum to it exactly.

    Largest remainder; ties go to the line whose id sorts first. `total` must be a multiple of `unit`. Weights may be
    negative (credits). Where they sum to zero, the whole goes to the line whose id sorts first.
    """
    assert total == round_half_even(total, unit), "the total must already be rounded"
    if not weights:
        assert total == 0, "an amount needs a line to stand on"
        return {}
    whole = _sum(weight for _, weight in weights)
    if whole == 0:
        first = min(line for line, _ in weights)
        return {line: total if line == first else Decimal(0) for line, _ in weights}
    exact = [(line, _EXACT.divide(_EXACT.multiply(total, weight), whole)) for line, weight in weights]
    floors = {line: (part // unit if part >= 0 else -(-part // unit) - (-part % unit != 0)) * unit for line, part in exact}
    left = int(_EXACT.divide(_EXACT.subtract(total, _sum(floors.values())), unit))
    by_remainder = sorted(exact, key=lambda item: (floors[item[0]] - item[1], item[0]))
    for line, _ in by_remainder[:left]:
        floors[line] += unit
    return floors


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total
