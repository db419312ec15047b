"""A line of a price book: a price, or a discount, with the conditions and the days of it."""

from decimal import Decimal

import msgspec

from clauseway.metering import Unit
from clauseway.pricing.price_conditions import Conditions
from clauseway.values import USD, Interval, KnownAt


class PriceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the book: a price in picos (1e-12) of its currency for a unit, or, with `percent`,
    a discount.

    A discount without a unit holds for every unit. `book` and `line` are the entry's place.
    """

    conditions: Conditions
    unit: Unit | None
    interval: Interval
    known_at: KnownAt
    price: int
    source: str
    line: int
    book: str = ""
    percent: Decimal = Decimal(0)
    currency: str = USD

    @property
    def is_discount(self) -> bool:
        return self.percent != 0

    @property
    def specificity(self) -> int:
        """Return how many conditions it names; of two entries that match, the more specific
        wins."""
        return self.conditions.specificity + (self.is_discount and self.unit is not None)

    @property
    def place(self) -> str:
        return f"{self.book}:{self.line}" if self.line else self.book

    def meets(self, other: "PriceEntry") -> bool:
        """True if some sale on some day is matched by both."""
        return (
            self.is_discount == other.is_discount
            and (self.unit == other.unit or self.unit is None or other.unit is None)
            and not self.interval.intersect(other.interval).is_empty
            and self.conditions.meets(other.conditions)
        )
