"""The file formats of a statement. `FORMATS` is the one list of them.

Each is a function of the statement alone, so that the same inputs give the same bytes. A format
that needs a library of an extra is loaded when it is used.
"""

import importlib
from collections.abc import Callable, Mapping

from clauseway.app.reports.statements import statement_context
from clauseway.exchange.statement_csv import statement_csv
from clauseway.ledger import Statement
from clauseway.ledger.statement import canonical_bytes
from clauseway.web.documents import statement_html

# These two bring the extra `documents` along.
_PDF = "clauseway.web.pdf"
_XLSX = "clauseway.exchange.statement_xlsx"
TERMINAL = "terminal"


def as_html(statement: Statement) -> bytes:
    return statement_html(statement_context(statement)).encode()


def as_pdf(statement: Statement) -> bytes:
    written: bytes = importlib.import_module(_PDF).statement_pdf(statement_context(statement))
    return written


def as_xlsx(statement: Statement) -> bytes:
    written: bytes = importlib.import_module(_XLSX).statement_xlsx(statement)
    return written


def as_csv(statement: Statement) -> bytes:
    return statement_csv(statement).encode()


FORMATS: Mapping[str, Callable[[Statement], bytes]] = {
    "html": as_html,
    "pdf": as_pdf,
    "xlsx": as_xlsx,
    "csv": as_csv,
    "json": canonical_bytes,
}
