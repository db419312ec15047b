"""Charges of usage: a line's amount, and like lines added up."""

from datetime import date
from decimal import Decimal

import msgspec

from clauseway.ledger.charges import UsageCharge, summed
from clauseway.metering import Unit

CHARGE = UsageCharge(
    day=date(2026, 5, 3),
    organisation="acme",
    project="chat",
    seller="openai",
    cloud="azure",
    region="eastus2",
    product="gpt-5.4",
    unit=Unit.INPUT_TOKENS,
    quantity=10_000,
    price=2_250_000,
    list_price=2_500_000,
    currency="USD",
    source="a letter",
    requests=3,
)


def test_an_amount_is_quantity_times_price_in_picodollars() -> None:
    assert CHARGE.amount == Decimal("0.0225")  # 10,000 × 2.25 / 1,000,000


def test_like_charges_are_added_up_and_others_stand_apart() -> None:
    of_another = msgspec.structs.replace(CHARGE, project="batch", quantity=7, requests=2)
    more = msgspec.structs.replace(CHARGE, quantity=5, requests=1)
    at_another_price = msgspec.structs.replace(CHARGE, price=2_500_000)
    assert summed([more, at_another_price, CHARGE, of_another]) == [
        of_another,
        at_another_price,
        msgspec.structs.replace(CHARGE, quantity=10_005, requests=4),
    ]
