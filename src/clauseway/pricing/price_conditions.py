"""The conditions that a price may depend on, and when two conditions meet.

An empty condition holds for anything. The others are conjunctive: all must hold. Of two entries
whose conditions hold, the entry that names more is the more specific; `above` (more input tokens
than so many) and `hours` count as one name each.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from clauseway.metering.endpoints import BATCH, DEFAULT_TIER
from clauseway.values import HOURS_OF_WEEK

# Every price is looked up by these.
DIMENSIONS = ("product", "cloud", "seller", "region")
# A price may also depend on these names, on the length of the context and on the hour of the week.
FURTHER = ("buyer", "tier", "endpoint")
NAMES = (*DIMENSIONS, *FURTHER)
CONTEXT, HOUR = "context", "hour"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:\s*,\s*[a-z]{3}(?:-[a-z]{3})?)*))?\s*"
    r"(?P<hours>\d\d-\d\d)?",
    re.ASCII,
)


class Sale(msgspec.Struct, frozen=True, order=True):
    """Everything that a price may depend on, besides unit and day.

    `context` counts the request's input tokens, `hour` the hours since Monday 00:00 UTC (0 to 167;
    below zero if it is not known, and then no time window holds).
    """

    product: str
    cloud: str
    seller: str
    region: str
    buyer: str = ""
    tier: str = DEFAULT_TIER
    endpoint: str = ""
    context: int = 0
    hour: int = -1

    @property
    def names(self) -> tuple[str, ...]:
        return (
            self.product,
            self.cloud,
            self.seller,
            self.region,
            self.buyer,
            self.tier,
            self.endpoint,
        )


class Conditions(msgspec.Struct, frozen=True):
    """The conditions of one entry: `names` in the order of `NAMES`, empty for any."""

    names: tuple[str, ...]
    above: int = 0
    hours: frozenset[int] = frozenset()

    @property
    def product(self) -> str:
        return self.names[0]

    @property
    def buyer(self) -> str:
        return self.names[NAMES.index("buyer")]

    @property
    def tier(self) -> str:
        return self.names[NAMES.index("tier")]

    @property
    def of_requests(self) -> tuple[str, ...]:
        """Return the conditions on requests themselves, beyond place and buyer, as words: `flex`,
        `above-272000`, `from-hour-8`. No two prices of one unit that hold at a time have the same."""
        endpoint = self.names[NAMES.index("endpoint")]
        above = f"above-{self.above}" if self.above else ""
        # Windows of hours that hold at once are ambiguous: others differ in their first hour.
        hours = f"from-hour-{min(self.hours)}" if self.hours else ""
        return tuple(word for word in (self.tier, endpoint, above, hours) if word)

    @property
    def is_of_batches(self) -> bool:
        return self.tier == BATCH

    @property
    def is_of_lengths_in_any_tier(self) -> bool:
        """True if it holds above a length and names no tier: a price of batches goes before it."""
        return self.above > 0 and not self.tier

    @property
    def specificity(self) -> int:
        """Return how many conditions it names."""
        return sum(1 for name in self.names if name) + (self.above > 0) + bool(self.hours)

    @property
    def further(self) -> frozenset[str]:
        """Return the named conditions beyond `DIMENSIONS`."""
        named = {
            name for name, value in zip(NAMES, self.names, strict=True) if value and name in FURTHER
        }
        return frozenset(
            named | ({CONTEXT} if self.above else set()) | ({HOUR} if self.hours else set())
        )

    def miss(self, sale: Sale) -> str:
        """Return the first condition that does not hold for a sale; empty if all hold."""
        for name, wanted, value in zip(NAMES, self.names, sale.names, strict=True):
            if wanted and wanted != value:
                return f"it is for {name} {wanted}, not {value or 'an unnamed one'}"
        if self.above and sale.context <= self.above:
            return f"it is for more than {self.above} input tokens, these are {sale.context}"
        if self.hours and sale.hour not in self.hours:
            return "it is for other hours"
        return ""

    def matches(self, sale: Sale) -> bool:
        """True if all hold for a sale."""
        return (
            all(
                not wanted or wanted == value
                for wanted, value in zip(self.names, sale.names, strict=True)
            )
            and (not self.above or sale.context > self.above)
            and (not self.hours or sale.hour in self.hours)
        )

    def may_match(self, place: Sale) -> bool:
        """True if they may hold for a sale of that product, cloud, seller and region, whatever its
        other values."""
        return all(
            not wanted or wanted == value
            for wanted, value in zip(self.names[:4], place.names[:4], strict=True)
        )

    def meets(self, other: "Conditions") -> bool:
        """True if both hold for some sale. A price of batches of any length goes before one of a
        length in any tier."""
        if not all(not a or not b or a == b for a, b in zip(self.names, other.names, strict=True)):
            return False
        hours = not self.hours or not other.hours or bool(self.hours & other.hours)
        return hours and not any(
            batches.is_of_batches and not batches.above and lengths.is_of_lengths_in_any_tier
            for batches, lengths in ((self, other), (other, self))
        )

    def both(self, other: "Conditions") -> "Conditions":
        """Return the conditions that hold where both do."""
        names = tuple(a or b for a, b in zip(self.names, other.names, strict=True))
        hours = (
            self.hours & other.hours if self.hours and other.hours else self.hours or other.hours
        )
        return Conditions(names, max(self.above, other.above), hours)

    def covers(self, other: "Conditions") -> bool:
        """True if these conditions hold wherever the others do."""
        return (
            all(
                not wanted or wanted == value
                for wanted, value in zip(self.names, other.names, strict=True)
            )
            and self.above <= other.above
            and (not self.hours or (bool(other.hours) and other.hours <= self.hours))
        )

    def same_but_step(self, other: "Conditions") -> bool:
        """True if they differ at most in the length of the context: then the longer step
        decides."""
        return self.names == other.names and self.hours == other.hours


def parse_hours(text: str) -> frozenset[int]:
    """Read `mon-fri 08-18`, `22-06`, `sat,sun` as hours of the week (UTC). Raise ValueError.

    Hours begin at the first figure and end before the second; past midnight they run into the next
    day, which need not be one of the named days.
    """
    window = _WINDOW.fullmatch(text.strip().lower())
    if not text.strip() or window is None:
        raise ValueError("it is not a time window")
    days = sorted(
        {day for part in (window["days"] or "mon-sun").split(",") for day in _days(part.strip())}
    )
    begin, end = (int(figure) for figure in (window["hours"] or "00-24").split("-"))
    if begin > 23 or end > 24 or begin == end:
        raise ValueError("hours run from 00 to 24")
    length = (end - begin) % 24 or 24
    # Past midnight the hours run into the next day, and from Sunday into Monday.
    return frozenset(
        (day * 24 + begin + hour) % HOURS_OF_WEEK for day in days for hour in range(length)
    )


def _days(part: str) -> Iterable[int]:
    first, _, last = part.partition("-")
    if first not in _DAYS or (last and last not in _DAYS):
        raise ValueError(f"the days are {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return ((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def classes_of_hours(windows: Iterable[frozenset[int]]) -> Mapping[int, int]:
    """Map each hour of the week to the first hour that lies in the same windows."""
    distinct = tuple(dict.fromkeys(windows))
    first: dict[tuple[bool, ...], int] = {}
    return {
        hour: first.setdefault(tuple(hour in window for window in distinct), hour)
        for hour in range(HOURS_OF_WEEK)
    }
