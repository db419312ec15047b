"""The one reader of numbers that people and files write.

    12500    12_500    12500.50    0.2    a point before decimals, underscores between groups
    1,250,000    25,000.50                only where a caller allows commas: in an agreement's text

A comma separates decimals in half of the world and groups in the other half, so it is read only
where it can be no decimal sign: with two groups or more, or with a point after it. Everything else
is refused with the way to write it: exponents, NaN, digits of other scripts, a plus sign, a minus
where nothing is below zero, a percent sign where no percentage is meant.

Money and prices are stored as decimal(38, 12). A number that is read has at most 15 digits before
the point and 12 behind it, so that sums of many and products with a rate still fit.

A count is written with its noun, `counted`: 1 request, 1,000 requests.
"""

import re
from decimal import Decimal

from clauseway.values.problems import InvalidInput, Problem

# A number that is read is smaller than this: more than any amount of money ever promised.
NUMBER_BELOW = Decimal(10) ** 15
PLACES_MAX = 12
# Longer than any number within these bounds, however it is grouped.
_CHARACTERS_MAX = 60
_WRITE = "Write it with the digits 0 to 9 and a point, as in 12500.50 or 12_500.50."
_NOT_WHOLE = "it is not a whole number"
_WRITE_WHOLE = "Write it with the digits 0 to 9, as in 12500 or 12_500."

_WHOLE = r"\d{1,3}(?:_\d{3})+|\d+"
_DECIMAL = re.compile(rf"({_WHOLE})(?:\.(\d+))?", re.ASCII)
# Commas that can be no decimal sign: two groups or more, or one group and a point after it.
_WITH_COMMAS = re.compile(r"(\d{1,3}(?:,\d{3}){2,}|\d{1,3},\d{3}(?=\.))(?:\.(\d+))?", re.ASCII)
_EXPONENT = re.compile(r"(\d+(?:\.\d+)?)[eE]([+-]?\d{1,2})", re.ASCII)
_LOOKS_EXPONENTIAL = re.compile(r"[\d.]+[eE][+-]?\d+", re.ASCII)
_ONE_COMMA = re.compile(r"(\d+),(\d+)", re.ASCII)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: 1 request, 2 requests, 1,000 entries."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


class BadNumber(ValueError):
    """A text that is not a number. `why` says what is wrong with it, `remedy` how to write it."""

    def __init__(self, why: str, remedy: str = _WRITE) -> None:
        super().__init__(why)
        self.why, self.remedy = why, remedy

    @property
    def is_general(self) -> bool:
        """True if `remedy` only says how numbers are written, so that a caller may say more."""
        return self.remedy in (_WRITE, _WRITE_WHOLE)

    @property
    def is_fraction(self) -> bool:
        """True if the text is a number, and a whole one was wanted."""
        return self.why == _NOT_WHOLE

    def problem(self, problem: str, where: str, line: int = 0) -> Problem:
        return Problem(what=problem, why=self.why, where=where, line=line, remedy=self.remedy)


def read_decimal(
    text: str,
    *,
    places: int = PLACES_MAX,
    below: Decimal = NUMBER_BELOW,
    signed: bool = False,
    commas: bool = False,
    exponent: bool = False,
) -> Decimal:
    """Return the number that a text writes. Raise BadNumber for everything else.

    `signed` allows numbers below zero. `commas` is for an agreement's text, `exponent` for formats
    of machines whose specification allows exponents (FOCUS).
    """
    bare = text.strip(" ")
    is_negative = signed and bare.startswith("-")
    number = _unsigned(bare[1:] if is_negative else bare, commas=commas, exponent=exponent)
    if number >= below:
        limit = "10^15" if below == NUMBER_BELOW else str(below)
        why = (
            "it has more than 15 digits before the point"
            if below == NUMBER_BELOW
            else "it is too large"
        )
        raise BadNumber(why, f"Write a number below {limit}.")
    if number != 0 and -_exponent_of(number) > places:
        allowed = f"{places} decimal places are" if places != 1 else "one decimal place is"
        why = f"it has more decimal places than the {places} that are kept"
        raise BadNumber(why if places else _NOT_WHOLE, f"Round it: {allowed} kept.")
    # No negative zero: it would be written as -0, another text in a digest.
    return number.copy_negate() if is_negative and number else number


def read_whole(text: str, *, least: int = 0, most: int = int(NUMBER_BELOW) - 1) -> int:
    """Return the whole number that a text writes, within bounds. Raise BadNumber for everything
    else."""
    if "." in text and "," not in text:
        raise BadNumber(_NOT_WHOLE, _WRITE_WHOLE)
    try:
        number = int(read_decimal(text, places=0, signed=least < 0))
    except BadNumber as error:
        raise BadNumber(
            error.why, _WRITE_WHOLE if error.is_general or "," in text else error.remedy
        ) from None
    if not least <= number <= most:
        raise BadNumber(
            f"it is not between {least} and {most}", f"Write a number from {least} to {most}."
        )
    return number


def read_place(text: str, noun: str, where: str, *, of: str, count: int | None = None) -> int:
    """Return the number of a line, or of a thing of another `noun`, that a text names: the first by
    default. Raise InvalidInput where it is none of the `count` that there are, if that is known."""
    most = int(NUMBER_BELOW) - 1 if count is None else max(count, 1)
    try:
        return read_whole(text or "1", least=1, most=most)
    except BadNumber:
        why = f"the {noun}s of {of} are numbered from 1"
        if count is not None:
            why = f"{of} has {counted(count, noun)}, numbered from 1"
        raise InvalidInput.of(
            what=f"{text!r} is not the number of a {noun}",
            why=why,
            where=where,
            remedy=f"Write a whole number, as {where}=1, or leave it out.",
        ) from None


def read_percentage(
    text: str, *, signed: bool = False, commas: bool = False, bare: bool = True
) -> Decimal:
    """Return `20 %`, or with `bare` also `0.2`, as a fraction of one. Raise BadNumber otherwise.

    A number of one or more without a percent sign is refused: nobody can tell 1 % from the whole.
    """
    written = text.strip(" ")
    if written.endswith("%"):
        number = written[:-1].rstrip(" \u00a0\u202f")
        return read_decimal(number, places=PLACES_MAX - 2, signed=signed, commas=commas) / 100
    fraction = read_decimal(written, signed=signed, commas=commas)
    if not bare or abs(fraction) >= 1:
        why = "it has no percent sign, and may mean a part or the hundredth of one"
        raise BadNumber(why, f"Write {written} % if that is meant, else a fraction as 0.2.")
    return fraction


def _unsigned(text: str, *, commas: bool, exponent: bool) -> Decimal:
    if len(text) > _CHARACTERS_MAX:
        raise BadNumber(f"it has {len(text)} characters, and no number is that long")
    if _DECIMAL.fullmatch(text):
        return Decimal(text.replace("_", ""))
    if commas and _WITH_COMMAS.fullmatch(text):
        return Decimal(text.replace(",", ""))
    if exponent and _EXPONENT.fullmatch(text):
        return Decimal(text)
    raise _refusal(text)


def _exponent_of(number: Decimal) -> int:
    """Return the power of ten of the last digit that is not zero."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int), f"{number} is finite"
    return exponent


def _refusal(text: str) -> BadNumber:
    """Return the first reason why a text is not a number."""
    if not text:
        return BadNumber("nothing is written")
    # `isdigit` also takes digits of other scripts, and Python would read them as numbers.
    if any(character.isdigit() and not character.isascii() for character in text):
        return BadNumber("it is written with digits other than 0 to 9")
    if "%" in text:
        return BadNumber("no percentage is meant here")
    if text.startswith("+"):
        return BadNumber("a plus sign stands before it", "Leave the sign out.")
    # U+2212 is the typographic minus, as word processors write it.
    if text.startswith(("-", "\u2212")):
        why = "a minus sign stands where no number is below zero"
        return BadNumber(
            why if text[0] == "-" else "its minus sign is another character", "Write it anew."
        )
    if "," in text:
        return _comma_refusal(text)
    if _LOOKS_EXPONENTIAL.fullmatch(text):
        return BadNumber(
            "it is written with an exponent", "Write its digits out, as in 12_500_000."
        )
    if "_" in text and set(text) <= set("0123456789_."):
        return BadNumber("its underscores do not stand between groups of three digits")
    if text.count(".") > 1 and set(text) <= set("0123456789."):
        return BadNumber("it has more than one point")
    if set(text) <= set("0123456789."):
        return BadNumber("digits stand before and behind a point", "Write it as 0.5 or 5.0.")
    return BadNumber("it is not a number")


def _comma_refusal(text: str) -> BadNumber:
    why = "a comma groups digits for some and begins the decimals for others"
    pair = _ONE_COMMA.fullmatch(text)
    if pair is None:
        return BadNumber(why)
    whole, rest = pair.groups()
    grouped = (
        f"{whole}{rest}, or {whole}_{rest},"
        if len(rest) == 3 and len(whole) <= 3
        else f"{whole}{rest}"
    )
    return BadNumber(why, f"Write {whole}.{rest} or {grouped} whichever is meant.")
