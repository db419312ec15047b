"""Web: the pages. What a lawyer and an accountant look at: the agreement, rights over time, counts,
statements.

The room knows how to draw. Everything it draws arrives as a typed context from a `PageSource` that
somebody else implements; amounts of money arrive as text, already rounded and formatted, and stay
text. It must not know how anything is stored, evaluated or settled, but for forecasts, which it
draws from the ledger's own records. It fetches nothing: one page is one document, script and style
inside it, so that it works without a network and prints as it looks. Only `pages`, `sign_in` and
`forms` load Starlette: commands that draw run without it.

    pages      the ASGI application that serves them
    page_list  the list of pages, and the navigation
    overview   the first page; engineer, lawyer, finance, auditor: the screens of these readers. Each has its
               pages, what they are filled with, and the protocol of the source that fills them
    contexts   records that several pages are filled with
    page       a page as a record
    drawing    the templates, and how they write days and counts
    cited_sources  the sources that citations name, each listed once
    timeline   rights over time to rectangles: pure arithmetic on days
    pictures   rights and forecasts as SVG, and as PNG
    documents  a statement as one HTML file; pdf: as PDF
    sign_in    who may see them: a form, sessions, a limit to guessing; forms: what a browser sends
    monitoring  a dashboard for Grafana and rules for Prometheus, to take away
    openapi    the addresses of the pages as an OpenAPI document
"""
