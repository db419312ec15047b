"""Undisclosed figures: numbers and choices that a settlement needs and no published text gives.

A figure is declared as data beside the agreement, with the value people assume and who stands behind it. It is never
a term: a *reported* figure fills nothing until it is accepted by name, one of *ours* holds by default and is named on
every statement.
"""

from enum import StrEnum

import msgspec


class Standing(StrEnum):
    """Who stands behind a figure's value."""

    REPORTED = "reported"  # by the press, never published by the parties: must be accepted by name
    OURS = "ours"  # our reading of the text: holds unless another value is given


class FigureKind(StrEnum):
    """How a figure's value is written."""

    PERCENTAGE = "percentage"  # 20% or 0.2
    AMOUNT = "amount"  # USD 38 billion, 38000000000
    SELLER_PERCENTAGE = "percentage-by-seller"  # 100%, or amazon:80% for one seller
    CHOICE = "choice"  # one of `choices`


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A named figure. `value` is the value assumed, in words or digits as a person writes it; `text` says what it is.

    `source` names where it was reported, or is empty. `choices` are the values that a choice may take; one that ends
    in `:` takes an amount after it (`all-payments:` is written `all-payments:1500000000`).
    """

    name: str
    kind: FigureKind
    value: str
    standing: Standing
    text: str
    source: str = ""
    choices: tuple[str, ...] = ()
