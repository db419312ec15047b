"""The text behind a citation: the clause that it stands under, and its whole document, section by
section."""

import msgspec

from clauseway.agreement import Clause
from clauseway.agreement.text.markdown import take_apart
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import Reason
from clauseway.values import Citation


class TextSection(msgspec.Struct, frozen=True, kw_only=True):
    """A heading with its line, the prose under it, and its blocks of terms and definitions."""

    heading: str
    line: int
    text: str
    blocks: tuple[str, ...]


def clause_at(opened: Opened, document: str, line: int) -> Clause | None:
    """Return the clause under which a line of a document stands."""
    for asked in each_of(opened):
        for amendment in asked.agreement.amendments:
            above = [clause for clause in amendment.clauses if clause.line <= line]
            if document_name(opened, asked, amendment.document) == document and above:
                return max(above, key=lambda clause: clause.line)
    return None


def document_name(opened: Opened, asked: OpenAgreement, document: str) -> str:
    """Return the name of an agreement's document as citations write it: of several agreements,
    with its agreement's name before it."""
    return document if opened is asked else f"{asked.agreement.id}/{document}"


def located(opened: Opened, asked: OpenAgreement, citation: Citation) -> Citation:
    """Return a citation with its document as pages name it, so that its link opens the text."""
    return msgspec.structs.replace(
        citation, document=document_name(opened, asked, citation.document)
    )


def located_again(opened: Opened, citation: Citation) -> Citation:
    """Return a citation of a settled month with its document as pages name it now: the month may have
    been settled under other agreements than these, or under one alone.

    Return it without a line, and so without a link, where none of these agreements has its term.
    """
    own = [asked for asked in each_of(opened) if citation in _written(asked, citation)]
    alike = [asked for asked in each_of(opened) if _written(asked, citation)]
    for asked in (*own, *alike):
        return located(opened, asked, _plain(asked, citation))
    return msgspec.structs.replace(citation, line=0)


def _plain(asked: OpenAgreement, citation: Citation) -> Citation:
    """Return a citation without the name of its agreement before the document."""
    document = citation.document.removeprefix(f"{asked.agreement.id}/")
    return msgspec.structs.replace(citation, document=document)


def _written(asked: OpenAgreement, citation: Citation) -> list[Citation]:
    """Return the citations of an agreement's terms and changes that stand in a document under an
    identifier, as the agreement was settled: alone, or beside others."""
    prefix = "" if "/" not in citation.document else f"{asked.agreement.id}/"
    named = citation.term, citation.document
    written = (
        msgspec.structs.replace(item.citation, document=f"{prefix}{item.citation.document}")
        for amendment in asked.agreement.amendments
        for item in (*amendment.terms, *amendment.changes)
    )
    return [place for place in written if (place.term, place.document) == named]


def clause_of(opened: Opened, reason: Reason) -> Citation:
    """Return the citation of a reason; of several agreements a reason names its own."""
    asked = next(each for each in each_of(opened) if reason.agreement in ("", each.agreement.id))
    return located(opened, asked, reason.citation)


def documents_by_name(opened: Opened) -> dict[str, str]:
    """Return the texts of the agreements by the names that citations give them, definitions first,
    then the amendments."""
    return {
        document_name(opened, asked, name): asked.documents[name]
        for asked in each_of(opened)
        for name in sorted(asked.documents, key=lambda name: (name != "agreement.md", name))
    }


def sections_of(document: str, text: str) -> list[TextSection]:
    """Return a document cut at its headings, as agreements are read."""
    parts = take_apart(text, Mistakes(document))
    return [
        TextSection(
            heading=f"{section.number} {section.title}".strip(),
            line=section.line,
            text=section.text,
            blocks=tuple(block.text for block in parts.blocks if block.clause == at),
        )
        for at, section in enumerate(parts.sections)
    ]
