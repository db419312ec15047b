"""Revenue shares as the ledger needs them: who pays whom, on which base, from when until when, and by which clause.

A share is read off the agreement for one point of knowledge; its interval already ends where an amendment or a
milestone ended it. A rate or an amount is the name of a figure, which only an assumption fills where it is undisclosed,
or what the text itself states: `15 %`, `USD 5000`.
"""

from datetime import date

import msgspec

from clauseway.values import Citation

_NONE: frozenset[str] = frozenset()

# Over what a floor is due, and how often a share is paid.
TOTAL = "total"
FLOOR_PERIODS = frozenset({"month", "quarter", "year", TOTAL})
PAYMENT_PERIODS = frozenset({"month", "quarter"})
# What late usage does to a closed period: a correction in the open one, or a restatement of the closed one.
CORRECTION, RESTATEMENT = "correction", "restatement"
LATE = frozenset({CORRECTION, RESTATEMENT})


class ShareBase(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Whose sales a share is taken on.

    `sellers`: their own sales count in full. `wholesale_except`: where `wholesale` is true, what the payer earns from
    every other seller counts too, except from those named. `excludes`: product classes that are in no base. `products`
    and `clouds`: the base is taken on these only; empty for any.
    """

    sellers: frozenset[str]
    wholesale: bool = False
    wholesale_except: frozenset[str] = _NONE
    excludes: frozenset[str] = _NONE
    products: frozenset[str] = _NONE
    clouds: frozenset[str] = _NONE

    def takes_in(self, lineage: frozenset[str], cloud: str) -> bool:
        """Return whether sales of a product count, given all that it lies in, and the cloud; empty for any cloud."""
        if not lineage.isdisjoint(self.excludes) or (
            self.products and lineage.isdisjoint(self.products)
        ):
            return False
        return not cloud or not self.clouds or cloud in self.clouds


class Tier(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A band of the cumulative base: what lies above `above` is shared at `rate`, up to the next tier."""

    above: str
    rate: str


class Floor(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The least that is due, `per` month, quarter or year of the calendar, or in total by the end of the share.

    Where the share is in force on some days of a period only, its part of the floor by days is due.
    """

    amount: str
    per: str


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """When a share is paid: `every` month or quarter of the calendar, `due_days` after its last day."""

    every: str = "month"
    due_days: int


class RevenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a revenue share, in force on the days `begin` ≤ day < `end` of event time.

    The share is due on the cumulative base since `begin`. An empty `cap` means there is none; an empty `cap_opening`
    that the agreement's `cap-counts` says what was counted before. `rate` is that of the base below the first tier.
    `ended_by` cites what ended it, where something did.
    """

    term: str
    payer: str
    payee: str
    rate: str
    cap: str
    begin: date
    end: date
    base: ShareBase
    citation: Citation
    ended_by: Citation | None = None
    cap_opening: str = ""
    tiers: tuple[Tier, ...] = ()
    floors: tuple[Floor, ...] = ()
    payment: Payment | None = None
    withholding: str = ""
    late: str = CORRECTION

    @property
    def rates(self) -> tuple[str, ...]:
        """Every percentage it names or states."""
        return (self.rate, *(tier.rate for tier in self.tiers), *filter(None, (self.withholding,)))

    @property
    def amounts(self) -> tuple[str, ...]:
        """Every amount it names or states."""
        stated = (*(tier.above for tier in self.tiers), *(floor.amount for floor in self.floors))
        return (*stated, *filter(None, (self.cap, self.cap_opening)))
