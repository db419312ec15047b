"""Forecasts, from the settlements of a home, the shares of the agreement and assumptions."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.books.settled import latest_settlements
from clauseway.app.opening.home import Home
from clauseway.app.opening.revenue_shares import check_assumed, shares_of
from clauseway.app.opening.several import Opened, figures_of
from clauseway.ledger import read_assumptions
from clauseway.ledger.assumptions import accepted_items, replace_items
from clauseway.ledger.forecast import Forecast, Growth, assumed_growth, forecast
from clauseway.values import BadNumber, InvalidInput, KnownAt, read_percentage
from clauseway.web.pictures import forecast_svg

FIRST_YEAR, LAST_YEAR, THROUGH = 2000, 2100, 2030
# Doubling in a month is growth; growing tenfold, or losing more than everything, is a typing error.
_GROWTH = "Write a growth a month, as 5%, or a range, as 2%..8%."
_GROWTH_MIN, _GROWTH_MAX = Decimal(-1), Decimal(10)


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast with its inputs: the point of knowledge, and the receipts of the settled
    months."""

    known_at: str
    receipts: Mapping[str, str]
    forecast: Forecast


def look_ahead(
    home: Home,
    opened: Opened,
    *,
    known_at: KnownAt,
    assume: Sequence[str],
    readings: Mapping[str, str],
    through: int = THROUGH,
    growth: str = "",
) -> Ahead:
    """Forecast every share from the settled months of a home; change nothing.

    Figures and readings are the home's; `assume` and `readings` replace them for this forecast.
    Raise InvalidInput.
    """
    assumed = read_growth(growth) if growth else None
    if not FIRST_YEAR <= through <= LAST_YEAR:
        remedy = f"Name a year from {FIRST_YEAR} to {LAST_YEAR}."
        why = "no partnership is forecast for that long"
        raise InvalidInput.of(
            what=f"{through} cannot be the last year", why=why, where="--until", remedy=remedy
        )
    settled = latest_settlements(home)
    basis = basis_of(home)
    # Where the basis holds no figures, those of the last settled month count.
    last = next(reversed(settled.values()), None)
    held = basis.assume or (accepted_items(last.assumptions) if last else [])
    accepted = replace_items(held, assume)
    check_assumed(opened, assume, "--assume")
    return Ahead(
        known_at=str(known_at),
        receipts={name: settlement.receipt for name, settlement in settled.items()},
        forecast=forecast(
            list(settled.values()),
            shares_of(opened, known_at, {**basis.readings, **readings}),
            read_assumptions(accepted, figures_of(opened)),
            through=through,
            known_at=known_at.day,
            growth=assumed,
        ),
    )


def read_growth(text: str) -> Growth:
    """`5%`, or a range `2%..8%`, or low, middle and high: `2%..5%..8%`. Raise InvalidInput."""
    parts = text.split("..")
    try:
        if len(parts) > 3:
            raise BadNumber("there are at most a low, a middle and a high one", _GROWTH)
        rates = [_rate(part) for part in parts]
        if rates != sorted(rates):
            raise BadNumber("they are not in order, low first", _GROWTH)
    except BadNumber as error:
        remedy = _GROWTH if error.is_general else error.remedy
        raise InvalidInput(
            BadNumber(error.why, remedy).problem(f"{text!r} is not a growth", "--growth")
        ) from None
    # Of a range without a middle, half way between its ends.
    mid = rates[1] if len(rates) == 3 else (rates[0] + rates[-1]) / 2
    return assumed_growth(rates[0], mid, rates[-1])


def _rate(text: str) -> Decimal:
    """Return a percentage a month that may be below zero. Raise BadNumber."""
    rate = read_percentage(text, signed=True, bare=False)
    if not _GROWTH_MIN <= rate <= _GROWTH_MAX:
        raise BadNumber(
            f"{text} a month is not believed", "Write a growth between -100% and 1000%."
        )
    return rate


def svg_of(view: Ahead) -> str:
    """Return the forecast as a picture."""
    return forecast_svg(view.forecast)
