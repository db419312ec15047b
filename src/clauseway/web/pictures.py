"""Pictures (SVG; PNG with the extra `charts`): rights over time as bars, and forecast shares as
lines under their caps.

    rights_svg(title, known_at, timeline)   one bar a right
    forecast_svg(forecast)                  one panel a share
    png_of(svg)                             either as PNG

Each picture is one document, whose titles say the same in words.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from html import escape
from textwrap import wrap

from clauseway.ledger.assumptions import in_one_line
from clauseway.ledger.forecast import Forecast, MonthAhead, Outlook
from clauseway.values import InvalidInput
from clauseway.web.contexts import OutcomeName, Timeline
from clauseway.web.timeline import BAR_PX, LEGEND, Bar, Drawn, DrawnRow, drawn_of

_WIDTH_PX = 1120
_FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"
_STYLE = f"""
text {{ font-family: {_FONT}; font-size: 13px; fill: #1e1d1a }}
.title {{ font-size: 18px; font-weight: bold }} .soft {{ font-size: 12px; fill: #625e55 }}
"""


def _picture(height: int, title: str, style: str, *parts: str) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_PX}" height="{height}" '
            f'viewBox="0 0 {_WIDTH_PX} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _paper(height: int) -> str:
    return f'<rect width="{_WIDTH_PX}" height="{height}" fill="#fbfaf6"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(text)}</text>'


# Rights over time

_MARGIN_PX = 28
_HEAD_PX = 66
_FOOT_PX = 44
# The width of an outcome's name within its bar.
_WORD_PX = 86
# A year's label needs this much; where years are narrower, some go without.
_YEAR_PX = 40
_RIGHTS_STYLE = f"""{_STYLE}\
.word {{ font-size: 12px; fill: #ffffff }} .grid {{ stroke: #d8d3c6 }}
.mark {{ stroke: #7a2e1f; stroke-dasharray: 2 3 }} .mark-label {{ font-size: 12px; font-weight: bold; fill: #7a2e1f }}
.permitted, .forbidden, .conditional {{ stroke: #fbfaf6 }}
.permitted {{ fill: #1e6b62 }} .forbidden {{ fill: #9b3b2c }} .conditional {{ fill: #8a6110 }}
.unstated {{ fill: #fbfaf6; stroke: #8d887c; stroke-dasharray: 3 2 }}
"""
# Outcomes differ in texture too, for readers who do not see the colours.
_PATTERNS = """<defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="1.6" height="6" fill="#ffffff" fill-opacity="0.22"/></pattern>
<pattern id="dots" width="7" height="7" patternUnits="userSpaceOnUse">\
<circle cx="3.5" cy="3.5" r="1.3" fill="#ffffff" fill-opacity="0.3"/></pattern>
</defs>"""
_TEXTURES: Mapping[OutcomeName, str] = {"forbidden": "hatch", "conditional": "dots"}


def rights_svg(title: str, known_at: str, timeline: Timeline) -> str:
    """Return rights over time: one bar a right, the amendments marked, a legend.

    The title of every bar says the same in words.
    """
    # A day before every timeline, so that a stored picture marks no present day.
    drawn = drawn_of(timeline, date.min)
    height = _HEAD_PX + drawn.height + _FOOT_PX
    years = f"{timeline.begin.year} to {timeline.end.year - 1}"
    return _picture(
        height,
        f"{title}, {years}",
        _RIGHTS_STYLE,
        _PATTERNS,
        _paper(height),
        _text(_MARGIN_PX, 30, title, "title"),
        _text(_MARGIN_PX, 50, f"Rights over time, {years}; known at {known_at}", "soft"),
        f'<g transform="translate({_MARGIN_PX},{_HEAD_PX})">',
        *_axis(drawn),
        *(line for row in drawn.rows for line in _row(row)),
        *(_text(_px(mark.x) + 3, mark.y, mark.label, "mark-label") for mark in drawn.marks),
        "</g>",
        *_outcomes(height - 18),
    )


def _px(percent: float) -> float:
    return round(percent / 100 * (_WIDTH_PX - 2 * _MARGIN_PX), 1)


def _line(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" class="{kind}"/>'


def _axis(drawn: Drawn) -> Iterable[str]:
    width = _px(drawn.years[1].x - drawn.years[0].x) if len(drawn.years) > 1 else _YEAR_PX
    step = max(1, -(-_YEAR_PX // max(1, int(width))))
    for index, year in enumerate(drawn.years):
        yield _line(_px(year.x), drawn.top, drawn.axis_y, "grid")
        if index % step == 0:
            yield _text(_px(year.x) + 2, drawn.axis_y + 17, year.label, "soft")
    for mark in drawn.marks:
        yield _line(_px(mark.x), mark.y - 10, drawn.axis_y, "mark")


def _row(row: DrawnRow) -> Iterable[str]:
    # Written twice: the first, thick and in the paper's colour, keeps lines off the second.
    yield (
        f'<text y="{row.label_y}" stroke="#fbfaf6" stroke-width="4" '
        f'stroke-linejoin="round">{escape(row.label)}</text>'
    )
    yield _text(0, row.label_y, row.label)
    for bar in row.bars:
        yield from _bar(row, bar)


def _bar(row: DrawnRow, bar: Bar) -> Iterable[str]:
    place = f'x="{_px(bar.x)}" width="{_px(bar.width)}" y="{row.bar_y}" height="{BAR_PX}"'
    said = f"{row.label}: {bar.said}, {bar.begin} to {bar.end}. {bar.why}"
    yield f"<g><title>{escape(said)}</title>"
    yield f'<rect {place} class="{bar.outcome}"/>'
    if texture := _TEXTURES.get(bar.outcome):
        yield f'<rect {place} fill="url(#{texture})"/>'
    if _px(bar.width) >= _WORD_PX:
        kind = "soft" if bar.outcome == "unstated" else "word"
        yield _text(_px(bar.x) + 7, row.bar_y + 14, bar.said, kind)
    yield "</g>"


def _outcomes(y: int) -> Iterable[str]:
    for index, (outcome, words) in enumerate(LEGEND.items()):
        x = _MARGIN_PX + index * 160
        place = f'x="{x}" y="{y - 10}" width="26" height="12"'
        yield f'<rect {place} class="{outcome}"/>'
        if texture := _TEXTURES.get(outcome):
            yield f'<rect {place} fill="url(#{texture})"/>'
        yield _text(x + 34, y, words, "soft")


# Shares ahead

_PANEL_PX = 300
_SHARES_HEAD_PX = 92
# The line of assumptions is wrapped at the width of the picture.
_ASSUMED_LETTERS, _ASSUMED_PX = 110, 17
_SHARES_FOOT_PX = 50
_LEFT_PX, _RIGHT_PX = 110, 30
_MONTHS_PX = 40
_SHARES_STYLE = f"""{_STYLE}\
.head {{ font-weight: bold }} .grid {{ stroke: #d8d3c6 }} .range {{ fill: #1e6b62; fill-opacity: 0.18 }}
.settled {{ fill: none; stroke: #1e6b62; stroke-width: 3 }}
.likely {{ fill: none; stroke: #1e6b62; stroke-width: 2; stroke-dasharray: 6 4 }}
.uncapped {{ fill: none; stroke: #8a6110; stroke-width: 1.5; stroke-dasharray: 2 3 }}
.cap {{ stroke: #9b3b2c; stroke-width: 1.5 }} .cap-label {{ font-size: 12px; fill: #9b3b2c }}
"""
_MAGNITUDES = ((Decimal(10**9), "bn"), (Decimal(10**6), "m"), (Decimal(1000), "k"))


def forecast_svg(forecast: Forecast) -> str:
    """Return the amounts due of each share, settled and forecast, with the range and the cap."""
    outlooks = [outlook for outlook in forecast.outlooks if outlook.months]
    title = f"What is due, through {forecast.through}"
    assumed = in_one_line(forecast.assumptions)
    lines = wrap(f"Assumed: {assumed}", _ASSUMED_LETTERS)
    head = _SHARES_HEAD_PX + _ASSUMED_PX * (len(lines) - 1)
    height = head + _PANEL_PX * len(outlooks) + _SHARES_FOOT_PX
    return _picture(
        height,
        title,
        _SHARES_STYLE,
        _paper(height),
        _text(_MARGIN_PX, 30, title, "title"),
        _text(
            _MARGIN_PX,
            50,
            f"Settled through {forecast.last_settled}; USD since the share began",
            "soft",
        ),
        *(
            _text(_MARGIN_PX, 68 + _ASSUMED_PX * index, line, "soft")
            for index, line in enumerate(lines)
        ),
        *(
            line
            for index, outlook in enumerate(outlooks)
            for line in _panel(outlook, head + index * _PANEL_PX)
        ),
        _text(_MARGIN_PX, height - 20, _lines_and_bands(outlooks), "soft"),
    )


def _lines_and_bands(outlooks: Sequence[Outlook]) -> str:
    drawn = any(not outlook.growth.is_assumed for outlook in outlooks)
    band = "10th to 90th of each hundred paths" if drawn else "assumed low to high"
    return f"line: settled · dashes: middle · band: {band} · dots: without the cap"


def _panel(outlook: Outlook, top: int) -> Iterable[str]:
    """Yield one share: axes, band, lines, cap."""
    months = outlook.months
    # A cap far above the lines would press them flat: it is named, not drawn.
    most = max(month.due.high for month in months)
    near = outlook.cap is not None and outlook.cap <= most * 2
    highest = max([most, *([outlook.cap] if near and outlook.cap is not None else [])]) or Decimal(
        1
    )
    step = (_WIDTH_PX - _LEFT_PX - _RIGHT_PX) / max(len(months) - 1, 1)
    bottom = top + _PANEL_PX - _MONTHS_PX

    def x(index: int) -> float:
        return round(_LEFT_PX + index * step, 1)

    def y(amount: Decimal) -> float:
        part = min(float(amount / highest), 1.0)
        return round(bottom - part * (_PANEL_PX - _MONTHS_PX - 40), 1)

    yield _text(
        _MARGIN_PX, top + 12, f"{outlook.payer} pays {outlook.payee}: {outlook.term}", "head"
    )
    # The axes: a line a year, three levels of amount.
    for index, month in enumerate(months):
        if month.month.endswith("-01") or index == 0:
            yield (
                f'<line x1="{x(index)}" x2="{x(index)}" y1="{top + 30}" y2="{bottom}" '
                f'class="grid"/>'
            )
            yield _text(x(index) + 2, bottom + 16, month.month[:4], "soft")
    for part in (Decimal(0), highest / 2, highest):
        yield _level(y(part), "grid")
        yield _text(_MARGIN_PX, y(part) + 4, _short(part), "soft")
    # The band begins at the last settled month, so that there is no gap.
    ahead = [index for index, month in enumerate(months) if not month.is_settled]
    since = max(0, min(ahead, default=len(months)) - 1)
    if ahead:
        later = range(since, len(months))
        band = [(x(i), y(months[i].due.high)) for i in later]
        band += [(x(i), y(months[i].due.low)) for i in reversed(later)]
        yield f'<polygon points="{_points(band)}" class="range"/>'
        yield _curve(
            [(x(i), y(months[i].due.mid)) for i in later], "likely", _said(months, outlook)
        )
        if any(month.uncapped.mid != month.due.mid for month in months):
            inside = [i for i in range(len(months)) if months[i].uncapped.mid <= highest]
            yield _curve(
                [(x(i), y(months[i].uncapped.mid)) for i in inside], "uncapped", "without the cap"
            )
    # A single settled month has no line: it is a dot.
    past = [index for index, month in enumerate(months) if month.is_settled]
    yield _curve([(x(i), y(months[i].due.mid)) for i in past], "settled", "settled")
    if len(past) == 1:
        yield f'<circle cx="{x(past[0])}" cy="{y(months[past[0]].due.mid)}" r="4" fill="#1e6b62"/>'
    if near and outlook.cap is not None:
        yield _level(y(outlook.cap), "cap")
        yield _text(
            _LEFT_PX + 6,
            y(outlook.cap) - 5,
            f"cap {_short(outlook.cap)} ({outlook.cap_name})",
            "cap-label",
        )
    elif outlook.cap is not None:
        yield _text(
            _LEFT_PX + 6,
            top + 42,
            f"cap {_short(outlook.cap)} ({outlook.cap_name}), far above",
            "cap-label",
        )


def _said(months: Sequence[MonthAhead], outlook: Outlook) -> str:
    last = months[-1].due
    return (
        f"{outlook.term} by {months[-1].month}: {last.mid:,.2f} ({last.low:,.2f} to "
        f"{last.high:,.2f})"
    )


def _level(y: float, kind: str) -> str:
    return f'<line x1="{_LEFT_PX}" x2="{_WIDTH_PX - _RIGHT_PX}" y1="{y}" y2="{y}" class="{kind}"/>'


def _curve(points: Sequence[tuple[float, float]], kind: str, said: str) -> str:
    return (
        f'<polyline points="{_points(points)}" '
        f'class="{kind}"><title>{escape(said)}</title></polyline>'
    )


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _short(amount: Decimal) -> str:
    """38 bn, 1.5 m, 120."""
    for size, word in _MAGNITUDES:
        if abs(amount) >= size:
            return f"{(amount / size):.1f} {word}".replace(".0 ", " ")
    return f"{amount:.2f}"


# PNG


def png_of(svg: str) -> bytes:
    """Return the picture at twice its size.

    Raise InvalidInput if the library that draws it is not installed.
    """
    try:
        # Imported here because it is an extra (`charts`): SVG is drawn without it.
        renderer = importlib.import_module("vl_convert")
    except ModuleNotFoundError:
        raise InvalidInput.of(
            what="no PNG can be drawn",
            why="the library that draws it is not installed",
            where="--png",
            remedy=(
                "Install it (pip install 'clauseway[charts]'), or write --svg, which needs nothing."
            ),
        ) from None
    drawn: bytes = renderer.svg_to_png(svg, scale=2.0)
    return drawn
