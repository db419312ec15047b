"""Amounts as people read them, the same on pages, terminals and prints."""

from decimal import Decimal

from clauseway.values import amount_text


def cents(amount: Decimal) -> str:
    """Return an amount in USD, to the cent: 1,234.56"""
    return amount_text(amount)


def in_currency(amount: Decimal, currency: str) -> str:
    """Return an amount with its currency, in the decimal places of that: 1,234.56 USD"""
    return f"{amount_text(amount, currency)} {currency}"


def signed(amount: Decimal) -> str:
    """Return an amount in USD with its sign: +1,234.56; zero has none."""
    return f"{amount:+,.2f}" if amount else "0.00"


def exact(amount: Decimal) -> str:
    """Return every digit that says something, at least cents: 1,234.5678"""
    text = f"{amount.normalize():,f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def percent(rate: Decimal) -> str:
    """Return a rate as a percentage: 20 %"""
    return f"{(rate * 100).normalize():f} %"
