"""Exact money: decimal amounts, one named rounding, a stated home for the remainder.

INVARIANT: no float touches money. Amounts are `Decimal`; token prices on the request's way are
whole picodollars.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, Inexact
from typing import Final

import msgspec

USD = "USD"
CENT = Decimal("0.01")
_CODE = re.compile(r"[A-Z]{3}")
# The power of ten of the largest and the smallest number that is computed with. A few bytes of text
# may state one with a billion digits.
_MAGNITUDE_MAX = 60
# Decimal places of the currencies that have no hundredths: the minor units of ISO 4217, by code.
_PLACES: Final[Mapping[str, int]] = {
    code: places
    for places, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}
# Wide enough that no sum or product of this product's sizes is ever rounded by the context itself.
_WIDE = Context(prec=60)
# The same, and it raises where a digit would be lost all the same.
_EXACT = Context(prec=60, traps=[Inexact])


def round_half_even(amount: Decimal, unit: Decimal = CENT) -> Decimal:
    """Round to a multiple of `unit`, ties to the even neighbour: the only rounding of money."""
    return amount.quantize(unit, rounding=ROUND_HALF_EVEN, context=_WIDE)


def is_currency(code: str) -> bool:
    """Return whether a text has the form of a currency's code in ISO 4217."""
    return _CODE.fullmatch(code) is not None


def smallest_unit(currency: str) -> Decimal:
    """Return the unit to which amounts of a currency are rounded: a cent, a whole yen, or a
    thousandth of a dinar."""
    return Decimal(1).scaleb(-_PLACES.get(currency, 2))


def unit_of(currency: str, amounts: Iterable[Decimal]) -> Decimal:
    """Return the smallest unit of a currency, or a cent where an amount is not a multiple of
    it: earlier versions wrote yen in hundredths."""
    unit = smallest_unit(currency)
    return unit if all(amount == round_half_even(amount, unit) for amount in amounts) else CENT


def amount_text(amount: Decimal, currency: str = USD) -> str:
    """Return an amount with as many decimal places as its currency has: 1,234.56, or 1,235 yen."""
    return f"{round_half_even(amount, unit_of(currency, [amount])):,f}"


def last_digit(amount: Decimal) -> Decimal:
    """Return the power of ten of an amount's last digit, at most one: 0.01 for 2.50."""
    return Decimal(1).scaleb(_exponent(amount))


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum with every digit kept (the context of plain `+` keeps 28)."""
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def unreal_amount(record: object) -> Decimal | None:
    """Return an amount within a record, however deep, that is not finite or of another size than
    any sum of money has; None if there is none."""
    parts = [record]
    while parts:
        part = parts.pop()
        if isinstance(part, Decimal):
            if not part.is_finite() or abs(part.adjusted()) > _MAGNITUDE_MAX:
                return part
        elif isinstance(part, msgspec.Struct):
            parts += [getattr(part, name) for name in part.__struct_fields__]
        elif isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, tuple | list):
            parts += part
    return None


def exact_product(amount: Decimal, factor: Decimal) -> Decimal:
    """Return the product with every digit kept (the context of plain `*` keeps 28)."""
    return _EXACT.multiply(amount, factor)


def allocate(
    total: Decimal, weights: Sequence[tuple[str, Decimal]], unit: Decimal = CENT
) -> dict[str, Decimal]:
    """Split `total` over `(id, weight)` lines so that the parts are multiples of `unit` and sum to
    it exactly.

    Largest remainder; ties go to the line whose id sorts first. `total` must be a multiple of
    `unit`. Weights may be negative (credits). Where they sum to zero, the whole goes to the line
    whose id sorts first.
    """
    assert total == round_half_even(total, unit), "the total must already be rounded"
    if not weights:
        assert total == 0, "an amount needs a line to stand on"
        return {}
    assert len({line for line, _ in weights}) == len(weights), "two lines share an id"
    # Whole numbers from here on: division of decimals would lose digits, and with them the order of
    # the remainders.
    units = int(total.scaleb(-_exponent(unit), _EXACT)) // int(
        unit.scaleb(-_exponent(unit), _EXACT)
    )
    finest = min(_exponent(weight) for _, weight in weights)
    parts = [(line, int(weight.scaleb(-finest, _EXACT))) for line, weight in weights]
    whole = sum(part for _, part in parts)
    if whole == 0:
        first = min(line for line, _ in weights)
        return {line: total if line == first else unit * 0 for line, _ in weights}
    sign = 1 if whole > 0 else -1
    divided = {line: divmod(units * part * sign, whole * sign) for line, part in parts}
    # The units left over by rounding down go to the lines with the largest remainders.
    left = units - sum(floor for floor, _ in divided.values())
    favoured = set(sorted(divided, key=lambda line: (-divided[line][1], line))[:left])
    return {
        line: exact_product(unit, Decimal(floor + (line in favoured)))
        for line, (floor, _) in divided.items()
    }


def round_together(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Round amounts to cents so that they sum to their rounded sum. Each moves by less than a cent.

    Largest remainder; ties go to the amount whose id sorts first.
    """
    places = -_exponent(CENT)
    floors = {
        name: int(amount.scaleb(places, _EXACT).to_integral_value(ROUND_FLOOR, _EXACT))
        for name, amount in amounts.items()
    }
    whole = int(round_half_even(exact_sum(amounts.values())).scaleb(places, _EXACT))
    rest = {
        name: exact_sum((amounts[name], exact_product(CENT, Decimal(-floor))))
        for name, floor in floors.items()
    }
    favoured = sorted(rest, key=lambda name: (-rest[name], name))[: whole - sum(floors.values())]
    return {
        name: exact_product(CENT, Decimal(floor + (name in favoured)))
        for name, floor in floors.items()
    }


def _exponent(amount: Decimal) -> int:
    """Return the power of ten of an amount's last digit, never above zero: the shift that makes it
    whole."""
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), f"{amount} is not an amount"
    return min(exponent, 0)
