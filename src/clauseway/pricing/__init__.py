"""Pricing: dated price conditions compiled to an interval table; usage and the table give a charge
with its working.

    book text ── parse_book ──▶ PriceBook ── PriceTable(books, known_at)
    PriceTable ──▶ .charge(sale, day, report)   one record
               ├─▶ .grain(sales)                how to group
               └─▶ .rows(groups)                for a join

Both ways read the same rows, so pricing one record and joining a million cannot differ. Prices are
whole picodollars (1e-12 USD) per unit. The price in force at the event's day counts, as known at
the settlement's time. A price that is not in the book is an error, never zero.

    book              the price book as a person writes it
    price_entry       a line of it
    ambiguity         lines of which neither wins
    price_table       the interval table: prices by sale and day, and what they charge
    price_conditions  what a price may depend on, and when two conditions meet
    working           every entry that was considered for a price, and why it won or lost

Knows nothing of agreements, shares, accounts or where usage is kept.
"""

from clauseway.metering.endpoints import BATCH, DEFAULT_TIER
from clauseway.pricing.book import PriceBook, parse_book
from clauseway.pricing.price_conditions import DIMENSIONS, Conditions, Sale
from clauseway.pricing.price_entry import PriceEntry
from clauseway.pricing.price_table import (
    Charge,
    ChargeLine,
    Grain,
    Price,
    PriceRow,
    PriceTable,
    UnknownPrice,
)

__all__ = [
    "BATCH",
    "DEFAULT_TIER",
    "DIMENSIONS",
    "Charge",
    "ChargeLine",
    "Conditions",
    "Grain",
    "Price",
    "PriceBook",
    "PriceEntry",
    "PriceRow",
    "PriceTable",
    "Sale",
    "UnknownPrice",
    "parse_book",
]
