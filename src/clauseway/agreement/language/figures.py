"""Read percentages and amounts: `20 %`, `0.2`, `USD 38 billion`, `25_000.50`.

`values.numbers` has the rules. `commas` is for an agreement's text alone: there a comma may group
digits if it cannot be a decimal sign.
"""

import re
from decimal import Decimal

from clauseway.values import (
    NUMBER_BELOW,
    BadNumber,
    nearest_name,
    read_decimal,
    read_percentage,
    round_half_even,
)

# Figures that no term names: each holds for all shares of the agreement that declares it.
CAP_COUNTS, REVENUE_OWNER, WHOLESALE = "cap-counts", "revenue-owner", "wholesale"
GENERAL = (CAP_COUNTS, REVENUE_OWNER, WHOLESALE)
# The values of `revenue-owner`.
OWNERS = ("seller", "host")
# The value of `cap-counts` that adds what was paid before: `all-payments:USD 1.5 billion`.
ALL_PAYMENTS = "all-payments"

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


def parse_owner(text: str) -> str:
    """Return whose revenue a sale is, `seller` or `host`. Raises BadNumber."""
    if text not in OWNERS:
        why = "a sale belongs to whoever sells it, or to whoever operates its host cloud"
        raise BadNumber(why, f"Write {' or '.join(OWNERS)}.")
    return text


def parse_wholesale(text: str, *, commas: bool = False) -> tuple[str, Decimal]:
    """Return `80 %` or `amazon:80 %` as a seller and what its sales earn, as a fraction of one.

    An empty seller stands for all that have no percentage of their own. Raises BadNumber.
    """
    seller, _, percentage = text.rpartition(":")
    if ":" in seller or ";" in seller:
        raise BadNumber(
            "the text says one percentage, of all sellers or of one",
            "Write the percentage of all, and accept those of single sellers when settling: "
            "--assume wholesale=SELLER:PERCENTAGE for each.",
        )
    return seller.strip(), parse_percentage(percentage, commas=commas)


def parse_paid_before(text: str, *, commas: bool = False) -> Decimal:
    """Return the USD that counted toward every cap before its share began. Raises BadNumber.

    Of `all-payments:50` these are 50. An agreement's own word for counting the share alone, as in
    `from-a5`, is 0; what may be meant for `all-payments` is no such word.
    """
    word, colon, amount = text.partition(":")
    if word == ALL_PAYMENTS:
        if not amount:
            raise BadNumber("what had been paid before is missing", f"Write {ALL_PAYMENTS}:AMOUNT.")
        return parse_amount(amount, commas=commas)
    if colon or nearest_name(word, [ALL_PAYMENTS], least=0.8):
        raise BadNumber(
            f"it is neither a word of yours nor {ALL_PAYMENTS}:AMOUNT",
            f"Write {ALL_PAYMENTS}: and what had been paid before, or a word without a colon for "
            "counting what each share pays.",
        )
    return round_half_even(Decimal(0))


def check_general(name: str, value: str) -> None:
    """Raise BadNumber unless an agreement can declare this value of a figure that no term names."""
    if name == REVENUE_OWNER:
        parse_owner(value)
    elif name == WHOLESALE:
        parse_wholesale(value, commas=True)
    elif name == CAP_COUNTS:
        parse_paid_before(value, commas=True)


def _pointing(error: BadNumber, form: str) -> BadNumber:
    """Return the error with the wanted form as its remedy, unless it has a more exact remedy."""
    return BadNumber(error.why, form if error.is_general else error.remedy)
