"""The templates and their filters for days, months and counts: for served pages and for kept
documents."""

import base64
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clauseway.web.cited_sources import cited_by, source_names, sources_of
from clauseway.web.timeline import BAR_PX, LEGEND, drawn_of
from clauseway.wording.dates import dated, day_in_words, days_in_words, month_in_words

# A longer message quotes a long value; its beginning and its end say what is wrong.
_MESSAGE_LETTERS, _BEGINNING, _END = 500, 160, 320
# Letters of a label that fit on the narrowest screens.
_LABEL_LETTERS = 38


@cache
def environment() -> Environment:
    """Return the templates of this room, with their filters.

    The process shares one environment, because it keeps compiled templates: compiling takes twenty
    times as long as drawing a statement.
    """
    templates = Environment(
        loader=PackageLoader("clauseway.web"),
        autoescape=True,
        # A misspelt name in a template fails; by default it would print nothing.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        day=day_in_words,
        month=month_in_words,
        count=_count,
        days=days_in_words,
        dated=dated,
        two_lines=_two_lines,
        brief=_brief,
        css_string=_css_string,
        data_uri=_data_uri,
        source_names=source_names,
    )
    templates.globals.update(
        drawn_of=drawn_of,
        bar_px=BAR_PX,
        legend=LEGEND,
        sources_of=sources_of,
        cited_by=cited_by,
    )
    return templates


def _count(number: int) -> str:
    return f"{number:,}"


def _brief(text: str) -> str:
    """Return a message without its middle if it is long."""
    if len(text) <= _MESSAGE_LETTERS:
        return text
    return f"{text[:_BEGINNING]} … {text[-_END:]}"


def _two_lines(text: str) -> tuple[str, str]:
    """Return a label in two lines for a narrow screen; the second is empty for a short label."""
    if len(text) <= _LABEL_LETTERS:
        return text, ""
    spaces = [at for at, letter in enumerate(text) if letter == " "] or [len(text)]
    middle = min(spaces, key=lambda at: abs(at - len(text) / 2))
    return text[:middle], text[middle + 1 :]


def _data_uri(svg: str) -> str:
    """Return a picture as a data URI: its styles do not affect the page, and the page's policy
    allows it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _css_string(text: str) -> Markup:
    """Return text as a string in a style sheet.

    Characters that could end the string or the sheet are written as code points.
    """
    safe = (
        c if c.isascii() and (c.isalnum() or c in " .,=%()-") else f"\\{ord(c):x} " for c in text
    )
    return Markup(f'"{"".join(safe)}"')
