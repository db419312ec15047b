"""The places of clauses in the documents of the served agreements, so that links on pages open the
text: of every term by its identifier, and of the clauses in settled months."""

from collections.abc import Iterable, Mapping

import msgspec

from clauseway.app.agreements.passages import located, located_again
from clauseway.app.opening.several import Opened, each_of
from clauseway.values import Citation
from clauseway.web.contexts import LineContext, LineShown, StatementContext, StatementSection


def citations_of(opened: Opened) -> dict[str, Citation]:
    """Return the citation of each term, change of terms and rule, by its identifier."""
    cited: dict[str, Citation] = {}
    for asked in each_of(opened):
        written = dict(asked.agreement.rules)
        for amendment in asked.agreement.amendments:
            written |= {change.id: change.citation for change in amendment.changes}
            written |= {term.id: term.citation for term in amendment.terms}
        cited |= {name: located(opened, asked, citation) for name, citation in written.items()}
    return cited


def cited_terms(cited: Mapping[str, Citation], terms: Iterable[str]) -> tuple[Citation, ...]:
    """Return the citations of terms, without those that the served agreements do not have."""
    return tuple(cited[term] for term in terms if term in cited)


def statement_with_places(opened: Opened, statement: StatementContext) -> StatementContext:
    """Return a statement whose clauses open their text."""
    sections = tuple(_section(opened, section) for section in statement.sections)
    return msgspec.structs.replace(statement, sections=sections)


def line_with_places(opened: Opened, line: LineContext) -> LineContext:
    """Return the evidence behind a line, whose clauses open their text."""
    clauses = tuple(
        msgspec.structs.replace(clause, citation=located_again(opened, clause.citation))
        for clause in line.clauses
    )
    return msgspec.structs.replace(line, clauses=clauses)


def _section(opened: Opened, section: StatementSection) -> StatementSection:
    return msgspec.structs.replace(
        section,
        lines=tuple(_line(opened, line) for line in section.lines),
        citations=_placed(opened, section.citations),
        ended_by=_placed(opened, section.ended_by),
    )


def _line(opened: Opened, line: LineShown) -> LineShown:
    return msgspec.structs.replace(line, citations=_placed(opened, line.citations))


def _placed(opened: Opened, citations: tuple[Citation, ...]) -> tuple[Citation, ...]:
    return tuple(located_again(opened, citation) for citation in citations)
