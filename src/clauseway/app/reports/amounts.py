"""Amounts as people read them, the same on pages, terminals and prints."""

from decimal import Decimal

from clauseway.values import amount_text


def cents(amount: Decimal) -> str:
    """1,234.56"""
    return amount_text(amount)


def signed(amount: Decimal) -> str:
    """+1,234.56; zero has no sign."""
    return f"{amount:+,.2f}" if amount else "0.00"


def exact(amount: Decimal) -> str:
    """Return every digit that says something, at least cents: 1,234.5678"""
    text = f"{amount.normalize():,f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def percent(rate: Decimal) -> str:
    """20 %"""
    return f"{(rate * 100).normalize():f} %"
