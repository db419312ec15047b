"""Vouchers: records that people add to the ledger, each by an id of their own, so that adding it
twice changes nothing.

    Credit, Dispute, Resolution   about sales: they move the base, and with it shares and caps
    Invoice, Payment, Reversal    about dues: they move receivables and payables

A credit, and a dispute while it is open or once it is upheld, takes a sale back at the event time
of that sale.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TypeAlias

import msgspec

from clauseway.ledger.revenue import SaleRecord
from clauseway.values import exact_sum


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a sale that is taken back: `amount` USD above zero, at the sale's event time (ns
    since 1970, UTC).

    `request` names the sale; it is empty where the amount is of a day's sales.
    """

    event_ns: int
    seller: str
    cloud: str
    product: str
    amount: Decimal
    request: str = ""


class _Voucher(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """A record with the caller's `id`, dated `day` in the books."""

    id: str
    day: date
    reason: str = ""

    @property
    def kind(self) -> str:
        return type(self).__name__.lower()


class Credit(_Voucher, frozen=True, kw_only=True, tag="credit"):
    """A charge taken back, wholly or in part."""

    of: Reversed


class Dispute(_Voucher, frozen=True, kw_only=True, tag="dispute"):
    """A charge that one party does not accept. It is in no base until the dispute is resolved."""

    of: Reversed


class Resolution(_Voucher, frozen=True, kw_only=True, tag="resolution"):
    """The end of a dispute: upheld, and the charge stays out; or rejected, and it returns."""

    dispute: str
    upheld: bool


class InvoicePart(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an invoice's line that is due for one settled month, `2026-05`: the parts of its
    `dues.Due`, in USD.

    `withheld` of it is tax, at the rate `withholding`: both as the month's statement says. Parts of
    older homes say neither; the rate of their line holds for them.
    """

    month: str
    share: Decimal
    corrections: Decimal
    restated: Decimal
    withholding: Decimal | None = None
    withheld: Decimal = Decimal("0.00")

    @property
    def amount(self) -> Decimal:
        return self.share + self.corrections + self.restated


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """The amount invoiced under one term and paid with everything through a day, from which its due
    day counts.

    `owed` is in USD, `amount` in the invoice's currency; `withheld` is the rate of the last month.
    `owed` is the sum of the `parts` less `invoiced_before`. Lines of older homes have no `through` of their own, and no
    parts.
    """

    term: str
    owed: Decimal
    amount: Decimal
    withheld: Decimal
    due: date | None
    through: date | None = None
    parts: tuple[InvoicePart, ...] = ()
    invoiced_before: Decimal = Decimal("0.00")

    @property
    def name(self) -> str:
        """Return the name by which payments call the line within its invoice."""
        return self.term if self.through is None else f"{self.term} through {self.through}"


class Invoice(_Voucher, frozen=True, kw_only=True, tag="invoice"):
    """The claim of `payee` on `payer` for everything owed through a day and not yet invoiced. Below
    zero: a credit note.

    `rate` is the value of one USD in the invoice's currency, written as a fraction; `1` for USD.
    """

    payer: str
    payee: str
    through: date
    currency: str
    rate: str
    lines: tuple[InvoiceLine, ...]

    @property
    def total(self) -> Decimal:
        return exact_sum(line.amount for line in self.lines)


class Payment(_Voucher, frozen=True, kw_only=True, tag="payment"):
    """A payment on an invoice: `amount` in `currency` before withholding, `withheld` of it kept
    back as tax.

    `settles` are the amounts it takes off the invoice's lines, by their names and in the invoice's
    currency; `rounding` is the part of them that no money stands for. `withheld_of` splits
    `withheld` over the same lines; in older homes it is empty.
    """

    invoice: str
    amount: Decimal
    currency: str
    rate: str
    withheld: Decimal
    settles: tuple[tuple[str, Decimal], ...]
    rounding: Decimal
    withheld_of: tuple[tuple[str, Decimal], ...] = ()


class Reversal(_Voucher, frozen=True, kw_only=True, tag="reversal"):
    """A payment taken back (returned by a bank, booked by mistake): the amounts it paid are open
    again."""

    payment: str


Voucher: TypeAlias = Credit | Dispute | Resolution | Invoice | Payment | Reversal


def standing_payments(vouchers: Iterable[Voucher]) -> list[Payment]:
    """Return the payments that were not reversed, in the order in which they were recorded."""
    recorded = list(vouchers)
    reversed_ = {voucher.payment for voucher in recorded if isinstance(voucher, Reversal)}
    return [
        voucher
        for voucher in recorded
        if isinstance(voucher, Payment) and voucher.id not in reversed_
    ]


def credited(vouchers: Iterable[Voucher]) -> list[SaleRecord]:
    """Return the sales taken back for good: credits, and disputes that were upheld. Their order
    does not matter."""
    recorded = list(vouchers)
    upheld = {
        voucher.dispute
        for voucher in recorded
        if isinstance(voucher, Resolution) and voucher.upheld
    }
    credits_ = [_record(voucher) for voucher in recorded if isinstance(voucher, Credit)]
    return credits_ + [_record(voucher) for voucher in _disputes(recorded) if voucher.id in upheld]


def disputed(vouchers: Iterable[Voucher]) -> list[SaleRecord]:
    """Return the sales that are in dispute and may return."""
    recorded = list(vouchers)
    resolved = {voucher.dispute for voucher in recorded if isinstance(voucher, Resolution)}
    return [_record(voucher) for voucher in _disputes(recorded) if voucher.id not in resolved]


def _disputes(vouchers: Iterable[Voucher]) -> list[Dispute]:
    return [voucher for voucher in vouchers if isinstance(voucher, Dispute)]


def _record(voucher: Credit | Dispute) -> SaleRecord:
    of = voucher.of
    return SaleRecord(
        event_ns=of.event_ns,
        request_id=voucher.id,
        attempt=0,
        seller=of.seller,
        cloud=of.cloud,
        product=of.product,
        amount=-of.amount,
    )
