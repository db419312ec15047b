"""The clauses of settled months on pages: each names its document as the agreements that are served
now have it, so that its link opens the text."""

import msgspec

from clauseway.app.agreements.passages import located_again
from clauseway.app.opening.several import Opened
from clauseway.values import Citation
from clauseway.web.contexts import LineContext, LineShown, StatementContext, StatementSection


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
