"""The rows of a bill with the columns that a reader of costs needs, and their fields: a row's day, a
number, its currency."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from clauseway.exchange.usage.bill_files import MissingColumns, rows_of
from clauseway.exchange.usage.focus import VERSIONS_READ, number_of
from clauseway.values import InvalidInput, Problem, cause_of, is_currency

COSTS = ("ContractedCost", "BilledCost", "EffectiveCost", "ListCost")

_SHOWN = 40  # characters of a field that cannot be read


class UnreadField(ValueError):
    """A field of a row that cannot be read."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def read_rows(
    path: Path, needed: Sequence[str], cost: str
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield the rows of a bill, each with its line and why it could not be read, else empty.

    Raise InvalidInput if the file cannot be read or lacks a column, naming all of them.
    """
    try:
        yield from rows_of(path, (*needed, cost))
    except MissingColumns as error:
        raise InvalidInput(
            *(
                Problem(
                    what=f"{name} is missing",
                    why="the bill has no such column, and without it nothing can be counted",
                    where=str(path),
                    line=1,
                    remedy=f"Export the bill in FOCUS {VERSIONS_READ} with this column"
                    + (
                        f", or take another cost: --cost {' or '.join(COSTS)}."
                        if name == cost
                        else "."
                    ),
                )
                for name in error.columns
            )
        ) from None
    except (OSError, pa.ArrowException) as error:
        remedy = (
            f"Give a bill in FOCUS {VERSIONS_READ} as CSV, or as Parquet with the ending .parquet."
        )
        raise InvalidInput.of(
            what="the bill cannot be read", why=cause_of(error), where=str(path), remedy=remedy
        ) from None


def number_in(row: Mapping[str, Any], name: str) -> Decimal:
    """Return a row's number, exactly. Raise UnreadField."""
    if name not in row:
        raise UnreadField(name, "it is empty")
    number = number_of(row[name])
    if number is None:
        raise UnreadField(name, f"{str(row[name])[:_SHOWN]!r} is not a number")
    return number


def currency_in(row: Mapping[str, Any]) -> str:
    """Return the code of a row's currency. Raise UnreadField."""
    currency = str(row.get("BillingCurrency", ""))
    if not is_currency(currency):
        why = f"{currency[:_SHOWN]!r} is not a currency" if currency else "it is empty"
        raise UnreadField("BillingCurrency", why)
    return currency


def day_in(row: Mapping[str, Any], name: str) -> date:
    """Return the day of a row's instant. Raise UnreadField."""
    if name not in row:
        raise UnreadField(name, "it is empty")
    value = row[name]
    if isinstance(value, datetime):
        instant = value
    elif isinstance(value, date):
        return value
    else:
        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise UnreadField(name, f"{value!r} is not a time: {error}") from None
    # FOCUS uses UTC; a time without a zone is UTC.
    return (instant if instant.tzinfo is None else instant.astimezone(UTC)).date()
