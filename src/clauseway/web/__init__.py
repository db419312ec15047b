"""Web: the pages for engineers, lawyers, accountants and auditors.

The room knows how to draw. Everything it draws arrives as a typed context from a `PageSource`,
which `app` implements; amounts of money arrive as text, already rounded and formatted, and stay
text. It must not know how anything is stored, evaluated or settled, except that it draws forecasts
from the ledger's own records. A page is one document with its script and style inside, so that it
works without a network and prints as it looks. Only `pages`, `sign_in` and `forms` load Starlette:
commands that draw run without it.

    pages      the ASGI application that serves them
    page_list  the list of pages, and the navigation
    overview   the first page; engineer, lawyer, finance, auditor: the screens of these readers. Each has its
               pages, their contexts, and the protocol of the source that returns the contexts
    contexts   contexts that several pages share
    page       a page as a record
    drawing    the templates and their filters for days and counts
    cited_sources  the sources that citations name, each listed once
    timeline   rights over time to rectangles: pure arithmetic on days
    pictures   rights and forecasts as SVG, and as PNG
    documents  a statement as one HTML file; pdf: as PDF
    sign_in    who may see the pages: a form, sessions, a limit to guessing; forms: what a browser sends
    monitoring  a dashboard for Grafana and rules for Prometheus, to download
    openapi    the addresses of the pages as an OpenAPI document
"""
