"""Charges of usage: a line's amount, and like lines added up."""

from datetime import date
from decimal import Decimal

import msgspec

from clauseway.ledger.charges import UsageCharge, charged_units, summed
from clauseway.metering import Unit
from clauseway.pricing import PriceTable, Sale, parse_book
from clauseway.values import KnownAt

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


def test_a_discounted_charge_names_the_list_price_too() -> None:
    """5.00 a million, less 10 %."""
    header = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,discount_percent\n"
    lines = "gpt,,,,input_tokens,2026-01-01,,2026-01-01,5.00,list,\ngpt,,,,,2026-01-01,,2026-01-01,,agreed,10\n"
    table, sale = PriceTable(parse_book(header + lines, "book.csv"), KnownAt.everything()), Sale("gpt", "aws", "o", "")
    used = {Unit.INPUT_TOKENS: 1_000_000}
    charge, row = table.charge_sum(sale, CHARGE.day, used), table.row(sale, CHARGE.day)
    [unit] = charged_units(CHARGE.day, "acme", "chat", 3, charge, row)
    assert (unit.amount, unit.price, unit.list_price) == (Decimal("4.50"), 4_500_000, 5_000_000)


def test_like_charges_are_added_up_and_others_stand_apart() -> None:
    of_another = msgspec.structs.replace(CHARGE, project="batch", quantity=7, requests=2)
    more = msgspec.structs.replace(CHARGE, quantity=5, requests=1)
    at_another_price = msgspec.structs.replace(CHARGE, price=2_500_000)
    assert summed([more, at_another_price, CHARGE, of_another]) == [
        of_another,
        at_another_price,
        msgspec.structs.replace(CHARGE, quantity=10_005, requests=4),
    ]
