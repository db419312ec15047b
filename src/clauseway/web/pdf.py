"""A statement as PDF/UA-1 (ISO 14289-1), set by Typst: tagged for screen readers, with its fonts;
the bytes depend on neither the day nor the machine.

The template is `templates/statement.typ`. Its content arrives as data, never as markup, so no name
in an agreement can change the page. Apart from `documents`, because the library comes with an
extra.
"""

from importlib import resources

import msgspec
import typst

from clauseway.values import InvalidInput
from clauseway.web.contexts import StatementContext
from clauseway.web.drawing import environment

# Of Typst's message about a character that no font has. Its errors have no codes.
_PREFIX = "PDF/UA-1 error: "
_WITHOUT_GLYPH = "could not be displayed with font"


def statement_pdf(statement: StatementContext) -> bytes:
    """Return the document. Every page names the statement's assumptions.

    Raise InvalidInput for text that none of Typst's fonts can show: it would be empty boxes.
    """
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
    try:
        pdf: bytes = typst.compile(
            template.encode(),
            format="pdf",
            sys_inputs=given,
            ignore_system_fonts=True,
            pdf_standards=["ua-1"],
        )
    except typst.TypstError as error:
        if _WITHOUT_GLYPH not in str(error):
            raise
        raise InvalidInput.of(
            what="the statement cannot be written as PDF",
            why=str(error).removeprefix(_PREFIX),
            where=statement.title,
            remedy="Write it as HTML or as a workbook, which show it in fonts of the reader's.",
        ) from None
    return pdf
