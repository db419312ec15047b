"""Web: the pages. What a lawyer and an accountant look at: the agreement, rights over time, counts,
statements.

The room knows how to draw. Everything it draws arrives as a typed context (`contexts`) from a
`PageSource` that somebody else implements; amounts of money arrive as text, already rounded and
formatted, and stay text. It must not know how anything is stored, evaluated or settled, but
for forecasts, which it draws from the ledger's own records. It fetches nothing: one page is one
document, script and style inside it, so that it works without a network and prints as it looks.

    contexts   what a page needs to be told, the protocol of who tells it, and the list of pages
    timeline   rights over time to rectangles: pure arithmetic on days
    pictures   rights and forecasts as SVG, and as PNG
    drawing    the templates, and how they write days and counts
    documents  a statement as one HTML file; `pdf` as PDF
    pages      the ASGI application that serves them
"""

from clauseway.web.pages import create_app

__all__ = ["create_app"]
