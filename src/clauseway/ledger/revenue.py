"""Revenue as the ledger takes it: sums by day, seller, host cloud and product; and what of it counts in a base."""

from datetime import date
from decimal import Decimal

import msgspec

from clauseway.agreement.shares import ShareBase
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import Assumptions
from clauseway.values import day_of

_NOTHING, _WHOLE = Decimal(0), Decimal(1)


class RevenueLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The charges for usage of one event day (UTC): `amount` in USD to twelve places, a credit below zero.

    Where a price was in another currency, every digit of the converted amount is kept. `requests` counts the priced
    attempts behind it.
    `voucher` names the credit or dispute that takes it back; empty for usage.
    """

    event_day: date
    seller: str
    cloud: str
    product: str
    amount: Decimal
    requests: int = 0
    voucher: str = ""


class SaleRecord(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """One priced attempt, in the order in which a cap is consumed: by event time, then by record id.

    A credit or a dispute is one too: at the event time of what it takes back, below zero, with its voucher's id.
    """

    event_ns: int
    request_id: str
    attempt: int
    seller: str
    cloud: str
    product: str
    amount: Decimal


def taken_back(record: SaleRecord) -> RevenueLine:
    """A credit or dispute as a line of its event day."""
    return RevenueLine(
        event_day=day_of(record.event_ns),
        seller=record.seller,
        cloud=record.cloud,
        product=record.product,
        amount=record.amount,
        voucher=record.request_id,
    )


class Counting:
    """How much of a sale counts in a base. The sale is its seller's revenue, or by assumption its host's.

    One answer for each product, cloud and seller is kept: they are few, and lines are many.
    """

    def __init__(self, base: ShareBase, catalog: Catalog, assumptions: Assumptions) -> None:
        self._base, self._catalog, self._assumptions = base, catalog, assumptions
        self._known: dict[tuple[str, str, str], Decimal] = {}

    def part(self, product: str, cloud: str, seller: str) -> Decimal:
        """The part of such sales that counts, as a fraction of one."""
        key = product, cloud, seller
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._part(product, cloud, seller)
        return found

    def _part(self, product: str, cloud: str, seller: str) -> Decimal:
        base, catalog = self._base, self._catalog
        if any(catalog.belongs(product, scope) for scope in base.excludes):
            return _NOTHING
        if base.products and not any(catalog.belongs(product, scope) for scope in base.products):
            return _NOTHING
        if base.clouds and cloud not in base.clouds:
            return _NOTHING
        owner = catalog.operators[cloud] if self._assumptions.host_owns else seller
        if owner in base.sellers:
            return _WHOLE
        if base.wholesale and owner not in base.wholesale_except:
            return self._assumptions.wholesale(owner)
        return _NOTHING
