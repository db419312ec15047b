"""Read percentages and amounts: `20 %`, `0.2`, `USD 38 billion`, `25_000.50`.

`values.numbers` has the rules. `commas` is for an agreement's text alone: there a comma may group
digits if it cannot be a decimal sign.
"""

import re
from decimal import Decimal

from clauseway.values import NUMBER_BELOW, BadNumber, read_decimal, read_percentage, round_half_even

_SCALES = {"": 0, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_AMOUNT = re.compile(
    r"(?:USD\s*)?(?P<number>\S*?)\s*(?P<scale>thousand|million|billion|trillion|)", re.IGNORECASE
)
_PERCENTAGE = "Write a percentage, as in 20 % or 0.2."
_SUM = "Write an amount in USD, as in 38000000000, 38_000_000_000 or 'USD 38 billion'."
# The code or sign of a currency beside a number, unless it is USD.
_OTHER_CURRENCY = re.compile(
    r"(?:(?!USD)[A-Z]{3}\s*|[£¥€]\s*)[-+.,\d].*|[-+.,\d].*(?:\s(?!USD)[A-Z]{3}|[£¥€])"
)


def parse_percentage(text: str, *, commas: bool = False) -> Decimal:
    """Return `20%`, `20 %` or `0.2` as a fraction of one. Raises BadNumber."""
    try:
        fraction = read_percentage(text, commas=commas)
    except BadNumber as error:
        raise _pointing(error, _PERCENTAGE) from None
    if fraction > 1:
        raise BadNumber("it is more than the whole", _PERCENTAGE)
    return fraction


def parse_amount(text: str, *, commas: bool = False) -> Decimal:
    """Return `38000000000`, `USD 38 billion` or `25_000.50` in USD. Raises BadNumber."""
    if _OTHER_CURRENCY.fullmatch(text.strip(" ")):
        raise BadNumber(
            "it is in another currency, and sums are counted in USD",
            "Write what it is in USD at the contract's rate. Where that rate moves, write the name of a "
            "figure, whose value in USD each settlement accepts by name (--assume).",
        )
    match = _AMOUNT.fullmatch(text.strip(" "))
    if match is None:
        raise BadNumber("it is not an amount", _SUM)
    try:
        number = read_decimal(match["number"], commas=commas)
    except BadNumber as error:
        raise _pointing(error, _SUM) from None
    amount = number.scaleb(_SCALES[match["scale"].lower()])
    if amount >= NUMBER_BELOW:
        raise BadNumber(
            "it has more than 15 digits before the point", "Write an amount below 10^15 USD."
        )
    cents = round_half_even(amount)
    if amount != cents:
        raise BadNumber("it is not a whole number of cents", _SUM)
    return cents


def _pointing(error: BadNumber, form: str) -> BadNumber:
    """Return the error with the wanted form as its remedy, unless it has a more exact remedy."""
    return BadNumber(error.why, form if error.is_general else error.remedy)
