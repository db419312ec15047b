"""Revenue shares for the ledger: payer and payee, base, days and clause.

`revenue_shares` reads a share off the agreement for one point of knowledge; its interval already
ends where an amendment or a milestone ended it. A rate or an amount is stated in the text (`15 %`,
`USD 5000`), or is the name of a figure. An undisclosed figure gets its value from an assumption.
"""

from datetime import date

import msgspec

from clauseway.values import Citation

_NONE: frozenset[str] = frozenset()

# The periods over which a floor is due, and after which a share is paid.
TOTAL = "total"
FLOOR_PERIODS = frozenset({"month", "quarter", "year", TOTAL})
PAYMENT_PERIODS = frozenset({"month", "quarter"})
# Late usage of a closed period leads to a correction in the open period, or to a restatement of the
# closed one.
CORRECTION, RESTATEMENT = "correction", "restatement"
LATE = frozenset({CORRECTION, RESTATEMENT})


class ShareBase(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The sales that a share is taken on.

    `sellers`: their own sales count in full.
    `wholesale`: the payer's earnings from every other seller count too, except from those in
    `wholesale_except`.
    `excludes`: product classes whose sales never count.
    `products`, `clouds`: only their sales count; empty means any.
    """

    sellers: frozenset[str]
    wholesale: bool = False
    wholesale_except: frozenset[str] = _NONE
    excludes: frozenset[str] = _NONE
    products: frozenset[str] = _NONE
    clouds: frozenset[str] = _NONE

    def takes_in(self, lineage: frozenset[str], cloud: str) -> bool:
        """Return whether sales of a product count. An empty `cloud` means any cloud.

        `lineage` holds the product and the classes it lies in.
        """
        if not lineage.isdisjoint(self.excludes) or (
            self.products and lineage.isdisjoint(self.products)
        ):
            return False
        return self.is_on(cloud)

    def is_on(self, cloud: str) -> bool:
        """Return whether sales on a cloud count. An empty `cloud` means any cloud."""
        return not cloud or not self.clouds or cloud in self.clouds


class Tier(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A band of the cumulative base: the part above `above`, up to the next tier, has `rate`."""

    above: str
    rate: str


class Floor(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The least that is due `per` calendar month, quarter or year, or in total by the share's end.

    If the share is in force on only some days of a period, the floor is reduced in proportion.
    """

    amount: str
    per: str


class PaymentTerm(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The days of payment: `every` calendar month or quarter, `due_days` after its last day."""

    every: str = "month"
    due_days: int


class RevenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a revenue share, in force on the days `begin` ≤ day < `end` of event time.

    The share is due on the cumulative base since `begin`. An empty `cap` means that there is no
    cap. An empty `cap_opening` means that the agreement's figure `cap-counts` says how much was
    counted before. `rate` applies to the base below the first tier. `ended_by` cites the text that
    ended the share, if any, and `event` the recorded fact that brought the end about, if one did.
    `undeclared` names general figures that the share's agreement does not
    declare and another agreement of the home does: they do not hold for it. `counted` holds, where
    several agreements are in force, the products and classes that the share's agreement names and
    that its base takes in, by that agreement's own classes; None means that every name counts that
    the base takes in.
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
    event: Citation | msgspec.UnsetType = msgspec.UNSET
    cap_opening: str = ""
    tiers: tuple[Tier, ...] = ()
    floors: tuple[Floor, ...] = ()
    payment: PaymentTerm | None = None
    withholding: str = ""
    late: str = CORRECTION
    undeclared: tuple[str, ...] = ()
    counted: frozenset[str] | None = None

    def takes_in(self, product: str, lineage: frozenset[str], cloud: str) -> bool:
        """Return whether sales of a product on a cloud count; `lineage` and `cloud` as in
        `ShareBase.takes_in`."""
        if self.counted is None:
            return self.base.takes_in(lineage, cloud)
        return product in self.counted and self.base.is_on(cloud)

    @property
    def rates(self) -> tuple[str, ...]:
        """Return every percentage that the share names or states."""
        return (self.rate, *(tier.rate for tier in self.tiers), *filter(None, (self.withholding,)))

    @property
    def amounts(self) -> tuple[str, ...]:
        """Return every amount that the share names or states."""
        stated = (*(tier.above for tier in self.tiers), *(floor.amount for floor in self.floors))
        return (*stated, *filter(None, (self.cap, self.cap_opening)))
