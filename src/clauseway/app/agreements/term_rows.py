"""Terms in force, as rows to show."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.agreement import Change, InForce, TermState
from clauseway.agreement.language.terms import AnyTerm
from clauseway.app.opening.library import OpenAgreement
from clauseway.values import FOREVER


class TermRow(msgspec.Struct, frozen=True, kw_only=True):
    """A term on a day.

    `until` is the first day on which it is no longer in force, empty where no end is known.
    `until_event` is the event that ends it and has not come about; empty if none does. `again` is
    the day on which a term that an event pauses goes on; empty if none is known.
    """

    term: str
    kind: str
    amendment: str
    document: str
    line: int
    source: str
    text: str
    begins: date
    until: str
    until_event: str
    again: str
    in_force: bool
    ended_by: str


class ClauseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A clause that stands in prose only."""

    amendment: str
    number: str
    title: str
    document: str
    line: int
    text: str


class TermsView(msgspec.Struct, frozen=True, kw_only=True):
    """The agreement on a day, the latest amendment's terms first."""

    title: str
    as_of: date
    known_at: str
    amendments: tuple[str, ...]
    terms: tuple[TermRow, ...]
    not_formalised: tuple[ClauseRow, ...]


def terms_view(
    opened: OpenAgreement,
    as_of: date | str | None,
    known_at: str | None,
    reading: Mapping[str, str],
    *,
    with_ended: bool = False,
) -> TermsView:
    """Return the terms in force, and with `with_ended` those that have ended.

    Raise InvalidInput for a bad day or reading.
    """
    force = opened.in_force(as_of, known_at, reading)
    texts = {text.id: text for each in opened.agreement.amendments for text in each.texts}
    rows = [
        _row(state, texts, _again(state, force))
        for state in force.terms
        if state.in_force or (with_ended and state.ended)
    ]
    return TermsView(
        title=opened.agreement.title,
        as_of=force.as_of,
        known_at=str(force.known_at),
        amendments=force.amendments,
        terms=tuple(rows),
        not_formalised=tuple(
            ClauseRow(
                amendment=amendment.id,
                number=clause.number,
                title=clause.title,
                document=amendment.document,
                line=clause.line,
                text=clause.text,
            )
            for amendment, clause in opened.agreement.not_formalised()
            if amendment.id in force.amendments
        ),
    )


def _again(state: TermState, force: InForce) -> str:
    """Return the day after a pause on which a term goes on."""
    begins = [
        later.begin
        for later in force.states
        if later.term.id == state.term.id and state.end < later.begin < later.end
    ]
    return str(min(begins)) if begins else ""


def _row(state: TermState, texts: Mapping[str, AnyTerm | Change], again: str) -> TermRow:
    citation = state.term.citation
    # The text that set the end last: the term itself, or a change of it.
    until = texts[state.ended_by.term].until if state.ended_by.term in texts else ""
    return TermRow(
        term=state.term.id,
        kind=state.term.kind,
        amendment=state.amendment,
        document=citation.document,
        line=citation.line,
        source=citation.source,
        text=citation.text,
        begins=state.begin,
        until="" if state.end == FOREVER else str(state.end),
        until_event=until if state.end == FOREVER and not until[:1].isdigit() else "",
        again=again,
        in_force=state.in_force,
        ended_by="" if state.end == FOREVER else state.ended_by.term,
    )
