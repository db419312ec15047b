"""Revenue as the ledger takes it: sums by day, seller, host cloud and product; and the part of it
that counts in a base."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain

import msgspec

from clauseway.agreement.language.shares import RevenueShare
from clauseway.catalog import Catalog
from clauseway.ledger.assumptions import Assumptions
from clauseway.values import day_of, exact_sum

_NOTHING, _WHOLE = Decimal(0), Decimal(1)


class RevenueLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The charges for usage of one event day (UTC): `amount` in USD to twelve places, a credit
    below zero.

    Where a price was in another currency, every digit of the converted amount is kept. `requests`
    counts the priced attempts behind it. `voucher` names the credit or dispute that takes it back;
    empty for usage. `unsized` counts the records that sum many requests of a model whose price
    depends on a length: nobody knows how long each was, so they are priced as short.
    """

    event_day: date
    seller: str
    cloud: str
    product: str
    amount: Decimal
    requests: int = 0
    voucher: str = ""
    unsized: int = 0


class SaleRecord(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """One priced attempt, in the order in which a cap is consumed: by event time, then by record
    id.

    A credit or a dispute is a sale record too: at the event time of the sale it takes back, below
    zero, with its voucher's id.
    """

    event_ns: int
    request_id: str
    attempt: int
    seller: str
    cloud: str
    product: str
    amount: Decimal


def taken_back(record: SaleRecord) -> RevenueLine:
    """Return a credit or dispute as a line of its event day."""
    return RevenueLine(
        event_day=day_of(record.event_ns),
        seller=record.seller,
        cloud=record.cloud,
        product=record.product,
        amount=record.amount,
        voucher=record.request_id,
    )


def clipped(back: Iterable[SaleRecord], revenue: Iterable[RevenueLine]) -> list[SaleRecord]:
    """Limit the amounts that take sales back to the charges of their day, seller, cloud and
    product.

    A price that became known later may charge less than was credited before. Returned in order of
    event time and voucher.
    """
    # Sum the charges of the days, sellers, clouds and products that are taken back.
    taken = sorted(back)
    named = {_sales_of(record) for record in taken}
    left: dict[tuple[date, str, str, str], Decimal] = {}
    for line in revenue:
        key = line.event_day, line.seller, line.cloud, line.product
        if key in named:
            left[key] = exact_sum((left.get(key, _NOTHING), line.amount))
    kept = []
    for record in taken:
        key = _sales_of(record)
        # No more than the day was charged, over all that takes it back.
        amount = min(record.amount.copy_negate(), left.get(key, _NOTHING))
        left[key] = exact_sum((left.get(key, _NOTHING), amount.copy_negate()))
        if amount > 0:
            kept.append(msgspec.structs.replace(record, amount=amount.copy_negate()))
    return kept


def left_of_sales(records: Sequence[SaleRecord]) -> list[SaleRecord]:
    """Return the sales of a day without what is taken back of them, by event time and record id.

    A credit or dispute takes the latest sale of its seller, cloud and product at or before its own
    event time, then those before, then those after. Counted where it stands, it would move a cap
    or a band back on its own line, which other lines moved on meanwhile.
    """
    taken = sorted(record for record in records if record.amount < 0)
    sales = sorted(record for record in records if record.amount >= 0)
    if not taken:
        return sales
    left = [sale.amount for sale in sales]
    places: dict[tuple[str, str, str], list[int]] = {}
    for place, sale in enumerate(sales):
        places.setdefault((sale.seller, sale.cloud, sale.product), []).append(place)
    more = list[SaleRecord]()
    for record in taken:
        amount = record.amount.copy_negate()
        of_line = places.get((record.seller, record.cloud, record.product), [])
        before = bisect_right(of_line, record.event_ns, key=lambda place: sales[place].event_ns)
        for number in chain(reversed(range(before)), range(before, len(of_line))):
            if not amount:
                break
            place = of_line[number]
            part = min(amount, left[place])
            left[place] = exact_sum((left[place], part.copy_negate()))
            amount = exact_sum((amount, part.copy_negate()))
        if amount:
            more.append(msgspec.structs.replace(record, amount=amount.copy_negate()))
    kept = [
        sale if amount == sale.amount else msgspec.structs.replace(sale, amount=amount)
        for sale, amount in zip(sales, left, strict=True)
        if amount
    ]
    return sorted([*kept, *more])


def _sales_of(record: SaleRecord) -> tuple[date, str, str, str]:
    return day_of(record.event_ns), record.seller, record.cloud, record.product


def in_no_base(shares: Iterable[RevenueShare], catalog: Catalog) -> frozenset[str]:
    """Return the products that no share counts, whoever sells them: their charges move nothing."""
    taking = list(shares)
    return frozenset(
        product
        for product in catalog.products
        if not any(share.takes_in(product, catalog.lineage(product), "") for share in taking)
    )


class Counting:
    """The part of a sale that counts in a share's base. The sale is its seller's revenue, or by
    assumption its host's.

    The answer for each product, cloud and seller is kept: they are few, and lines are many.
    """

    def __init__(self, share: RevenueShare, catalog: Catalog, assumptions: Assumptions) -> None:
        self._share, self._catalog, self._assumptions = share, catalog, assumptions
        self._parts: dict[tuple[str, str, str], Decimal] = {}

    def part(self, product: str, cloud: str, seller: str) -> Decimal:
        """Return the part of such sales that counts, as a fraction of one."""
        key = product, cloud, seller
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = self._part(product, cloud, seller)
        return part

    def _part(self, product: str, cloud: str, seller: str) -> Decimal:
        base, catalog = self._share.base, self._catalog
        if not self._share.takes_in(product, catalog.lineage(product), cloud):
            return _NOTHING
        # An assumption says whose revenue a sale is: the seller's, or the host's operator's.
        owner = catalog.operators[cloud] if self._assumptions.host_owns else seller
        # Sales of the base's own sellers count in full; of others' sales, what the payer earns.
        if owner in base.sellers:
            return _WHOLE
        if base.wholesale and owner not in base.wholesale_except:
            return self._assumptions.wholesale(owner)
        return _NOTHING
