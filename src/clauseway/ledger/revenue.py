"""Revenue as the ledger takes it: sums by day, seller, host cloud and product; and what of it counts in a base."""

from datetime import date
from decimal import Decimal

import msgspec

from clauseway.agreement.shares import ShareBase
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import Assumptions
from clauseway.values import exact_product


class RevenueLine(msgspec.Struct, frozen=True, kw_only=True):
    """The charges for usage of one event day (UTC): `amount` in USD to twelve places, a credit below zero.

    `requests` counts the priced attempts behind it; `first_request` and `last_request` are their least and greatest id.
    """

    event_day: date
    seller: str
    cloud: str
    product: str
    amount: Decimal
    requests: int = 0
    first_request: str = ""
    last_request: str = ""


class SaleRecord(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One priced attempt, in the order in which a cap is consumed: by event time, then by record id."""

    event_ns: int
    request_id: str
    attempt: int
    seller: str
    cloud: str
    product: str
    amount: Decimal


def counted(sale: RevenueLine | SaleRecord, base: ShareBase, catalog: Catalog, assumptions: Assumptions) -> Decimal:
    """How much of a sale counts in a base. The sale is its seller's revenue; the host cloud does not matter."""
    if any(catalog.belongs(sale.product, scope) for scope in base.excludes):
        return Decimal(0)
    if sale.seller in base.sellers:
        return sale.amount
    if base.wholesale and sale.seller not in base.wholesale_except:
        return exact_product(sale.amount, assumptions.wholesale(sale.seller))
    return Decimal(0)
