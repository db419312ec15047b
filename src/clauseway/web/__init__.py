"""Web: the pages. What a lawyer and an accountant look at: the agreement, rights over time, counts,
statements.

The room knows how to draw. Everything it draws arrives as a typed context (`contexts`) from a
`PageSource` that somebody else implements; amounts of money arrive as text, already rounded and
formatted, and stay text. It must not know how anything is stored, evaluated or settled, and it
fetches nothing: one page is one document, script and style inside it, so that it works without a
network and prints as it looks.

    contexts   what a page needs to be told, and the protocol of who tells it
    timeline   rights over time to rectangles: pure arithmetic on days
    pictures   rights and forecasts as SVG, and as PNG
    drawing    the templates, and how they write days and counts
    documents  a statement as one HTML file; `pdf` as PDF
    pages      routes and the ASGI application
"""

from clauseway.web.contexts import (
    Alert,
    ClauseShown,
    CloudCounts,
    CountsContext,
    DueLine,
    FigureShown,
    ForecastContext,
    HomeContext,
    LineContext,
    LineShown,
    PageSource,
    PlainSentence,
    ReceiptLine,
    RequestShown,
    Snippet,
    StatementContext,
    StatementSection,
    Timeline,
    TimelineMark,
    TimelineRow,
    TimelineStretch,
    Total,
    TracedEntry,
    TracedLeg,
    TracedUnit,
    Unavailable,
)
from clauseway.web.pages import create_app

__all__ = [
    "Alert",
    "ClauseShown",
    "CloudCounts",
    "CountsContext",
    "DueLine",
    "FigureShown",
    "ForecastContext",
    "HomeContext",
    "LineContext",
    "LineShown",
    "PageSource",
    "PlainSentence",
    "ReceiptLine",
    "RequestShown",
    "Snippet",
    "StatementContext",
    "StatementSection",
    "Timeline",
    "TimelineMark",
    "TimelineRow",
    "TimelineStretch",
    "Total",
    "TracedEntry",
    "TracedLeg",
    "TracedUnit",
    "Unavailable",
    "create_app",
]
