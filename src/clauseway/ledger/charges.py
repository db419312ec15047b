"""Charges for usage as a bill shows them: one sum a day, buyer, place, product, unit and price. And
credits, which take charges back."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.metering import Unit
from clauseway.pricing import Charge, PriceRow


class UsageCharge(msgspec.Struct, frozen=True, kw_only=True):
    """The charge for one unit of one product to one buyer on one day.

    Prices are picos of `currency` for one unit. `tier` and `conditions` are those that the price
    names (see `Conditions.of_requests`).
    """

    day: date
    organisation: str
    project: str
    seller: str
    cloud: str
    region: str
    product: str
    unit: Unit
    quantity: int
    price: int
    list_price: int
    currency: str
    source: str
    requests: int
    tier: str = ""
    conditions: tuple[str, ...] = ()

    @property
    def amount(self) -> Decimal:
        return Decimal(self.quantity * self.price).scaleb(-12)


class UsageCredit(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that was taken back, wholly or in part: `amount` USD above zero, on the day of the
    sale. `voucher` is the credit's id, or that of a dispute that was upheld.

    A credit of a day's sales names no buyer: `organisation` and `project` are empty.
    """

    voucher: str
    reason: str
    day: date
    organisation: str
    project: str
    seller: str
    cloud: str
    product: str
    amount: Decimal


def charged_units(
    day: date, organisation: str, project: str, requests: int, charge: Charge, row: PriceRow
) -> Iterator[UsageCharge]:
    """Yield a charge unit by unit, with its buyer and its number of requests."""
    for line in charge.lines:
        entry = row.won[line.unit].entry
        yield UsageCharge(
            day=day,
            organisation=organisation,
            project=project,
            seller=row.sale.seller,
            cloud=row.sale.cloud,
            region=row.sale.region,
            product=row.sale.product,
            unit=line.unit,
            quantity=line.quantity,
            price=line.price,
            list_price=entry.price,
            currency=charge.currency,
            source=line.source,
            requests=requests,
            tier=entry.conditions.tier,
            conditions=entry.conditions.of_requests,
        )


def summed(charges: Iterable[UsageCharge]) -> list[UsageCharge]:
    """Return the charges with quantities and requests of like charges added up, in order."""
    sums: dict[UsageCharge, list[int]] = {}
    for charge in charges:
        counters = sums.setdefault(msgspec.structs.replace(charge, quantity=0, requests=0), [0, 0])
        counters[0] += charge.quantity
        counters[1] += charge.requests
    lines = [
        msgspec.structs.replace(charge, quantity=quantity, requests=requests)
        for charge, (quantity, requests) in sums.items()
    ]
    return sorted(lines, key=msgspec.structs.astuple)
