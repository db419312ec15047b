"""Looking ahead: from the settlements of a home, the shares of the agreement and what is assumed; and the picture."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.books.settling import latest_settlements, shares_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, figures_of
from clauseway.ledger import Settlement, read_assumptions
from clauseway.ledger.forecast import (
    Forecast,
    Growth,
    MonthAhead,
    Outlook,
    assumed_growth,
    forecast,
)
from clauseway.values import BadNumber, InvalidInput, KnownAt, Problem, read_percentage

FIRST_YEAR, LAST_YEAR, THROUGH = 2000, 2100, 2030
# A month in which everything doubles is growth; ten times is a slip of the pen, and so is losing more than all.
_GROWTH = "Write a growth a month, as 5%, or a range, as 2%..8%."
_GROWTH_MIN, _GROWTH_MAX = Decimal(-1), Decimal(10)


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast with what it stands on: the knowledge, and the receipts of the months it goes on from."""

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
    """Forecast every share from the settled months of a home. Nothing is changed.

    Figures and readings are those that the home holds; `assume` and `readings` suppose others for this look alone.
    Raises InvalidInput.
    """
    assumed = read_growth(growth) if growth else None
    if not FIRST_YEAR <= through <= LAST_YEAR:
        todo = f"Name a year from {FIRST_YEAR} to {LAST_YEAR}."
        why = "no partnership is forecast for that long"
        raise InvalidInput(
            Problem(what=f"{through} is no last year", why=why, where="--through", todo=todo)
        )
    settled = latest_settlements(home)
    basis = basis_of(home)
    held = basis.assume or accepted_in(list(settled.values())[-1:])
    accepted = supposing(held, assume)
    return Ahead(
        known_at=str(known_at),
        receipts={name: one.receipt for name, one in settled.items()},
        forecast=forecast(
            list(settled.values()),
            shares_of(opened, known_at, {**basis.readings, **readings}),
            read_assumptions(accepted, figures_of(opened)),
            through=through,
            known=known_at.day,
            growth=assumed,
        ),
    )


def supposing(held: Sequence[str], assume: Sequence[str]) -> list[str]:
    """Return the figures held, with those that are supposed in the place of what they name."""
    named = {item.partition("=")[0].strip() for item in assume}
    return [*(item for item in held if item.partition("=")[0] not in named), *assume]


def accepted_in(settlements: Iterable[Settlement]) -> list[str]:
    """The figures that settlements accepted, as `--assume` takes them."""
    return [
        f"{figure.name}={value}"
        for settlement in settlements
        for figure in settlement.assumptions
        if figure.accepted
        for value in figure.value.split("; ")
    ]


def read_growth(text: str) -> Growth:
    """`5%`, or a range `2%..8%`, or low, middle and high: `2%..5%..8%`. Raises InvalidInput."""
    parts = text.split("..")
    try:
        if len(parts) > 3:
            raise BadNumber("there are at most a low, a middle and a high one", _GROWTH)
        rates = [_rate(part) for part in parts]
        if rates != sorted(rates):
            raise BadNumber("they are not in order, low first", _GROWTH)
    except BadNumber as error:
        todo = _GROWTH if error.is_general else error.todo
        raise InvalidInput(
            BadNumber(error.why, todo).problem(f"{text!r} is no growth", "--growth")
        ) from None
    mid = rates[1] if len(rates) == 3 else (rates[0] + rates[-1]) / 2
    return assumed_growth(rates[0], mid, rates[-1])


def _rate(text: str) -> Decimal:
    """A percentage a month that may be below zero. Raises BadNumber."""
    rate = read_percentage(text, signed=True, bare=False)
    if not _GROWTH_MIN <= rate <= _GROWTH_MAX:
        raise BadNumber(
            f"{text} a month is not believed", "Write a growth between -100% and 1000%."
        )
    return rate


# The picture

_WIDTH, _PANEL, _HEAD, _FOOT = 1120, 300, 92, 50
_LEFT, _RIGHT, _AXIS = 110, 30, 40
_FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"
_STYLE = f"""
text {{ font-family: {_FONT}; font-size: 13px; fill: #1e1d1a }}
.title {{ font-size: 18px; font-weight: bold }} .soft {{ font-size: 12px; fill: #625e55 }}
.head {{ font-weight: bold }} .grid {{ stroke: #d8d3c6 }} .range {{ fill: #1e6b62; fill-opacity: 0.18 }}
.settled {{ fill: none; stroke: #1e6b62; stroke-width: 3 }}
.likely {{ fill: none; stroke: #1e6b62; stroke-width: 2; stroke-dasharray: 6 4 }}
.uncapped {{ fill: none; stroke: #8a6110; stroke-width: 1.5; stroke-dasharray: 2 3 }}
.cap {{ stroke: #9b3b2c; stroke-width: 1.5 }} .cap-label {{ font-size: 12px; fill: #9b3b2c }}
"""
_MAGNITUDES = ((Decimal(10**9), "bn"), (Decimal(10**6), "m"), (Decimal(1000), "k"))


def svg_of(view: Ahead) -> str:
    """The picture: for each share what is due since its begin, settled and ahead, with its range and its cap."""
    outlooks = [one for one in view.forecast.outlooks if one.months]
    height = _HEAD + _PANEL * len(outlooks) + _FOOT
    title = f"What is due, through {view.forecast.through}"
    assumed = " · ".join(f"{one.name} = {one.in_words}" for one in view.forecast.assumptions)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#fbfaf6"/>',
            _text(28, 30, title, "title"),
            _text(
                28,
                50,
                f"Settled through {view.forecast.last_settled}; USD since the share began",
                "soft",
            ),
            _text(28, 68, f"Assumed: {assumed}", "soft"),
            *(
                line
                for index, one in enumerate(outlooks)
                for line in _panel(one, _HEAD + index * _PANEL)
            ),
            _text(28, height - 20, _legend(outlooks), "soft"),
            "</svg>\n",
        ]
    )


def _legend(outlooks: Sequence[Outlook]) -> str:
    drawn = any(not one.growth.is_assumed for one in outlooks)
    band = "10th to 90th of each hundred paths" if drawn else "assumed low to high"
    return f"line: settled · dashes: middle · band: {band} · dots: without the cap"


def _panel(one: Outlook, top: int) -> Iterable[str]:
    """One share: axes, band, lines, cap."""
    months = one.months
    most = max(month.due.high for month in months)
    near = one.cap is not None and one.cap <= most * 2
    highest = max([most, *([one.cap] if near and one.cap is not None else [])]) or Decimal(1)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(months) - 1, 1)
    bottom = top + _PANEL - _AXIS

    def x(index: int) -> float:
        return round(_LEFT + index * step, 1)

    def y(amount: Decimal) -> float:
        part = min(float(amount / highest), 1.0)
        return round(bottom - part * (_PANEL - _AXIS - 40), 1)

    yield _text(28, top + 12, f"{one.payer} pays {one.payee}: {one.term}", "head")
    for index, month in enumerate(months):
        if month.month.endswith("-01") or index == 0:
            yield f'<line x1="{x(index)}" x2="{x(index)}" y1="{top + 30}" y2="{bottom}" class="grid"/>'
            yield _text(x(index) + 2, bottom + 16, month.month[:4], "soft")
    for part in (Decimal(0), highest / 2, highest):
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(part)}" y2="{y(part)}" class="grid"/>'
        yield _text(28, y(part) + 4, _short(part), "soft")
    ahead = [index for index, month in enumerate(months) if not month.is_settled]
    since = max(0, min(ahead, default=len(months)) - 1)
    if ahead:
        later = range(since, len(months))
        band = [(x(i), y(months[i].due.high)) for i in later]
        band += [(x(i), y(months[i].due.low)) for i in reversed(later)]
        yield f'<polygon points="{_points(band)}" class="range"/>'
        yield _curve([(x(i), y(months[i].due.mid)) for i in later], "likely", _said(months, one))
        if any(month.uncapped.mid != month.due.mid for month in months):
            inside = [i for i in range(len(months)) if months[i].uncapped.mid <= highest]
            yield _curve(
                [(x(i), y(months[i].uncapped.mid)) for i in inside], "uncapped", "without the cap"
            )
    past = [index for index, month in enumerate(months) if month.is_settled]
    yield _curve([(x(i), y(months[i].due.mid)) for i in past], "settled", "settled")
    if len(past) == 1:
        yield f'<circle cx="{x(past[0])}" cy="{y(months[past[0]].due.mid)}" r="4" fill="#1e6b62"/>'
    if near and one.cap is not None:
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(one.cap)}" y2="{y(one.cap)}" class="cap"/>'
        yield _text(
            _LEFT + 6, y(one.cap) - 5, f"cap {_short(one.cap)} ({one.cap_name})", "cap-label"
        )
    elif one.cap is not None:
        yield _text(
            _LEFT + 6, top + 42, f"cap {_short(one.cap)} ({one.cap_name}), far above", "cap-label"
        )


def _said(months: Sequence[MonthAhead], one: Outlook) -> str:
    last = months[-1].due
    return (
        f"{one.term} by {months[-1].month}: {last.mid:,.2f} ({last.low:,.2f} to {last.high:,.2f})"
    )


def _curve(points: Sequence[tuple[float, float]], kind: str, said: str) -> str:
    return f'<polyline points="{_points(points)}" class="{kind}"><title>{escape(said)}</title></polyline>'


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'


def _short(amount: Decimal) -> str:
    """38 bn, 1.5 m, 120."""
    for size, word in _MAGNITUDES:
        if abs(amount) >= size:
            return f"{(amount / size):.1f} {word}".replace(".0 ", " ")
    return f"{amount:.2f}"
