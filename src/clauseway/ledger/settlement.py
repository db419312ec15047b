"""A settled period: each share in force with its lines, its cap and its clause, and the inputs it
was settled from."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Protocol, TypeVar

import msgspec

from clauseway.agreement.language.shares import CORRECTION, PaymentTerm
from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.floors import TopUp
from clauseway.ledger.scale import Band
from clauseway.values import Citation, Interval, KnownAt

_ZERO = Decimal(0)
# A line is named by its share, and behind it by product, cloud and seller.
_PARTS_BEHIND = 3
# The product of a line that is the top-up to a floor; the line's cloud is then the floor's period.
MINIMUM = "minimum"


class Directed(Protocol):
    """A record of something that one party owes another."""

    @property
    def payer(self) -> str: ...

    @property
    def payee(self) -> str: ...


_Directed = TypeVar("_Directed", bound=Directed)


def in_direction(records: Iterable[_Directed], payer: str, payee: str) -> tuple[_Directed, ...]:
    """Return the records of what `payer` owes `payee`."""
    return tuple(record for record in records if (record.payer, record.payee) == (payer, payee))


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a settlement, by content, so that the same inputs can be shown to give the same
    result. Raise ValueError where `known_at` is no point of knowledge.

    `usage` is the digest of the `attempts` of the period that counted, `usage_before` the digest of
    the earlier usage that its cumulative totals stand on; older settlements name `batches` of one
    home instead. `known_at` is the clock of knowledge, `everything` if nothing that became known
    later is at hand. `engine` is the version that settled. `vouchers` hashes the credits and
    disputes that counted; `closed` names the receipts of the periods that were closed before, which
    it corrects where they differ from what is known now.
    `readings` are the chosen ones, by name; unset if none was chosen.
    """

    agreement: str
    price_book: str
    known_at: str
    engine: str
    batches: tuple[str, ...] = ()
    usage: str = ""
    attempts: int = 0
    usage_before: str = ""
    facts: str = ""
    vouchers: str = ""
    closed: tuple[str, ...] = ()
    readings: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if not KnownAt.parse(self.known_at).is_recordable:
            raise ValueError(f"nothing can be recorded by {self.known_at}")


class ShareLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One product on one host cloud by one seller, in one share and period. `amount` is USD in
    cents.

    `base` is the period's, `base_cumulative` counts since the share began. `requests` counts those
    behind `base`, and `adjusted` is the part of it that credits and disputes took back. `moved` is
    the line's share before it was rounded. A top-up to a floor is a line too: its product is
    `minimum`, its cloud the floor's period.
    """

    id: str
    product: str
    cloud: str
    seller: str
    requests: int
    base: Decimal
    base_cumulative: Decimal
    rate: Decimal
    amount: Decimal
    citation: Citation
    adjusted: Decimal = _ZERO
    moved: Decimal = _ZERO

    @property
    def of(self) -> str:
        """Describe the line in words."""
        return described(self.product, self.cloud, self.seller)


def described(product: str, cloud: str, seller: str) -> str:
    """Describe a line in words: a product's sales, or the top-up to a floor."""
    return f"{product} on {cloud}, sold by {seller}" if seller else f"minimum of {cloud}"


class CapReached(msgspec.Struct, frozen=True, kw_only=True):
    """When a cap was reached, if it still is: the day; and the attempt, if the day's sales are in
    order."""

    day: date
    event_ns: int | None = None
    request_id: str = ""
    attempt: int = 0


class CapState(msgspec.Struct, frozen=True, kw_only=True):
    """A cap before, in and after the period, in USD. Payments before the share began consumed
    `opening`."""

    name: str
    cap: Decimal
    opening: Decimal
    consumed_before: Decimal
    consumed: Decimal
    remaining: Decimal
    reached: CapReached | None


class ShareResult(msgspec.Struct, frozen=True, kw_only=True):
    """One share in one period. `begin` and `end` are the share's, `days` those on which it is in
    force in the period. `ended_by` is the clause that ended it, and `event` the recorded fact that
    brought the end about, if one did.

    Bases and shares `_before` are cumulative at the period's begin, those `_after` at its end; all
    in USD. `rate` holds below the first of `bands`; `top_ups` are those of the period, before the
    cap.
    """

    term: str
    payer: str
    payee: str
    begin: date
    end: date
    days: Interval
    rate_name: str
    rate: Decimal
    base_before: Decimal
    base: Decimal
    base_after: Decimal
    share_before: Decimal
    amount: Decimal
    share_after: Decimal
    lines: tuple[ShareLine, ...]
    cap: CapState | None
    citation: Citation
    ended_by: Citation | None
    event: Citation | msgspec.UnsetType = msgspec.UNSET
    bands: tuple[Band, ...] = ()
    top_ups: tuple[TopUp, ...] = ()
    payment: PaymentTerm | None = None
    withholding: Decimal = _ZERO
    late: str = CORRECTION

    @property
    def named_figures(self) -> set[str]:
        """Return the names of the share's rate and cap, as assumptions have them."""
        return {self.rate_name} | ({self.cap.name} if self.cap is not None else set())


class Disputed(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that a line would owe in addition if every open dispute were rejected.

    Below zero if other lines had its part of the cap.
    """

    term: str
    payer: str
    payee: str
    line: str
    amount: Decimal
    citation: Citation


class StatementChange(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a closed period whose statement no longer holds: old, new, and why.

    `period` is the closed one; `line` ends with product, cloud and seller. Amounts are USD in cents;
    `causes` are words, in order of weight. `payment` and `withholding` are the term's. Raise
    ValueError where `line` names none.
    """

    period: Interval
    term: str
    payer: str
    payee: str
    line: str
    old: Decimal
    new: Decimal
    old_base: Decimal
    new_base: Decimal
    old_requests: int
    new_requests: int
    old_adjusted: Decimal
    new_adjusted: Decimal
    old_disputed: Decimal = _ZERO
    new_disputed: Decimal = _ZERO
    causes: tuple[str, ...]
    citation: Citation
    payment: PaymentTerm | None = None
    withholding: Decimal = _ZERO

    def __post_init__(self) -> None:
        if self.line.count("|") < _PARTS_BEHIND:
            raise ValueError(
                f"{self.line[:40]!r} names no line: it lacks a product, a cloud or a seller"
            )

    @property
    def amount(self) -> Decimal:
        return self.new - self.old

    @property
    def product(self) -> str:
        """Return the product of the line; `minimum` for a top-up to a floor."""
        return self.line.rsplit("|", _PARTS_BEHIND)[-3]

    @property
    def cloud(self) -> str:
        return self.line.rsplit("|", _PARTS_BEHIND)[-2]

    @property
    def seller(self) -> str:
        return self.line.rsplit("|", _PARTS_BEHIND)[-1]

    @property
    def of(self) -> str:
        """Describe the line in words."""
        return described(self.product, self.cloud, self.seller)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A direction in which nothing is due from `day` on, and the clause that says so; `event` is
    the recorded fact that brought the end about, if one did."""

    payer: str
    payee: str
    term: str
    day: date
    citation: Citation
    event: Citation | msgspec.UnsetType = msgspec.UNSET


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A settled period. `receipt` hashes all inputs.

    `needs_order` names the days on which a cap fell and whose sales were not given in order: there
    the total is exact, and the split over that day's lines is in proportion.

    `corrections` are the amounts this period owes in addition for closed ones; `restated` are the
    changes of closed periods that stand in their own restatements and are due with this period. For
    a restatement, `restates` is the receipt of the closed settlement and `changes` the differences
    from the last statement.
    """

    period: Interval
    shares: tuple[ShareResult, ...]
    ended: tuple[Ended, ...]
    assumptions: tuple[Assumption, ...]
    needs_order: tuple[date, ...]
    inputs: Inputs
    receipt: str
    disputed: tuple[Disputed, ...] = ()
    corrections: tuple[StatementChange, ...] = ()
    restates: str = ""
    changes: tuple[StatementChange, ...] = ()
    restated: tuple[StatementChange, ...] = ()
