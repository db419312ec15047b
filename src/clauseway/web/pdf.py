"""A statement as PDF, set by Typst: tagged for screen readers, with its fonts; the bytes depend on
neither the day nor the machine.

The template is `templates/statement.typ`. Its content arrives as data, never as markup, so no name
in an agreement can change the page. Apart from `documents`, because the library comes with an
extra.
"""

from importlib import resources

import msgspec
import typst

from clauseway.web.contexts import StatementContext
from clauseway.web.drawing import environment


def statement_pdf(statement: StatementContext) -> bytes:
    """Return the document. Every page names the statement's assumptions."""
    template = (resources.files("clauseway.web") / "templates" / "statement.typ").read_text("utf-8")
    filters = environment().filters
    data = msgspec.to_builtins(statement, enc_hook=str)
    for section, drawn in zip(data["sections"], statement.sections, strict=True):
        section["days"] = filters["days"](drawn.begin, drawn.end)
    for payment, due in zip(data["calendar"], statement.calendar, strict=True):
        payment["due"] = filters["day"](due.due)
        payment["through"] = filters["day"](due.through)
    data["month"] = filters["month"](statement.period)
    given = {"statement": msgspec.json.encode(data).decode()}
    # A machine's own fonts would change the bytes of the document.
    pdf: bytes = typst.compile(
        template.encode(), format="pdf", sys_inputs=given, ignore_system_fonts=True
    )
    return pdf
