"""The lawyer's screen of a draft: its mistakes, or its changes in words, on recorded requests and
in settled months, as by `clauseway agreement rehearse`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from clauseway.agreement.language.terms import Conditional, Forbidding
from clauseway.app.agreements.comparing import compare_amendments
from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.amounts import cents, signed
from clauseway.app.reports.rehearsing import (
    MEANINGS,
    Deciding,
    Rehearsal,
    Routed,
    place_draft,
    rehearse,
)
from clauseway.app.screens.compare_page import answered_otherwise, groups_shown
from clauseway.ledger.assumptions import Assumption, in_one_line
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.web.lawyer import (
    DraftContext,
    DraftMistake,
    DraftPlayed,
    DraftRead,
    MonthBeside,
    RequestsAlike,
    RequestsChanged,
)
from clauseway.wording.names import Wording

# The name of a draft among the documents, and in citations.
_NAME = "draft.md"
_SHOWN = 20


def draft_page(home: Home, opened: Opened, text: str, known_at: KnownAt) -> DraftContext:
    """Return the screen of a draft. Change nothing."""
    # A form sends each line end as CR LF.
    text = text.replace("\r\n", "\n")
    if not text.strip():
        return DraftContext(text=_beginning(opened))
    try:
        documents = _amended(opened).documents
        real, drafted = place_draft(documents, _NAME, text, home, where=_NAME)
    except InvalidInput as error:
        return DraftContext(text=text, mistakes=tuple(_mistakes(error.problems)))
    return DraftContext(text=text, read=_read(home, real, drafted, known_at))


def _amended(opened: Opened) -> OpenAgreement:
    """Return the agreement that a draft amends. Raise InvalidInput if there are several."""
    held = each_of(opened)
    if len(held) == 1:
        return held[0]
    names = ", ".join(asked.agreement.id for asked in held)
    raise InvalidInput.of(
        what="nothing says which agreement the draft amends",
        why=f"these pages have several: {names}",
        where=_NAME,
        remedy="Rehearse it on the command line: clauseway agreement rehearse FILE --agreement NAME.",
    )


def _beginning(opened: Opened) -> str:
    """Return the first lines of a draft after the last amendment, to continue."""
    held = each_of(opened)
    if len(held) != 1:
        return ""
    last = held[0].agreement.amendments[-1]
    # Ending a restrictive term changes answers; ending a permission may not.
    barring = (term for term in last.terms if isinstance(term, Conditional | Forbidding))
    ended = next(barring, last.terms[0] if last.terms else None)
    day = last.effective + timedelta(days=1)
    return (
        f"---\nid: NEXT\ntitle: Say in a few words what changes\nannounced: {day}\n"
        f"effective: {day}\nsources: [P]\n---\n\n# NEXT\n\n## 1 The clause\n\n"
        "Write the clause as people read it.\n\n```yaml change\nid: NEXT.ends\n"
        f"ends: [{ended.id if ended else 'TERM'}]\nsource: [P]\n```\n"
    )


def _mistakes(problems: Iterable[Problem]) -> Iterator[DraftMistake]:
    for problem in problems:
        # A problem in the agreement itself names its own document.
        of_draft = problem.where.rpartition("/")[2] == _NAME
        place = "" if of_draft else f"{problem.where}: "
        yield DraftMistake(problem.line if of_draft else 0, f"{place}{problem.sentences}")


def _read(home: Home, real: OpenAgreement, drafted: OpenAgreement, known_at: KnownAt) -> DraftRead:
    last, draft = drafted.agreement.amendments[-2:]
    comparison = compare_amendments(drafted, [last.id, draft.id])
    return DraftRead(
        title=f"{draft.id}, {draft.title}" if draft.title else draft.id,
        groups=groups_shown(comparison, drafted=_NAME),
        counted=f"{answered_otherwise(comparison)} from {draft.effective} on",
        played=_played(home, real, drafted, known_at),
    )


def _played(
    home: Home, real: OpenAgreement, drafted: OpenAgreement, known_at: KnownAt
) -> DraftPlayed:
    try:
        rehearsal = rehearse(home, real, drafted, basis_of(home).prices(known_at))
    except InvalidInput as error:
        return DraftPlayed(problem=f"The draft could not be played: {error.sentences}")
    words = Wording.of([drafted])
    last = rehearsal.days.last_day
    return DraftPlayed(
        said=f"Played from {rehearsal.days.begin} to {last}, as if in effect from "
        f"{rehearsal.as_if} on; known at {known_at.to_the_second()}",
        counted=f"{rehearsal.requests:,} recorded requests, {rehearsal.unchanged:,} of them as "
        "before",
        changed=tuple(_changed(rehearsal, words)),
        not_asked=tuple(
            f"{item.requests:,} of {item.product} on {words.name(item.cloud)} were not asked "
            f"about: {item.why}"
            for item in rehearsal.not_asked
        ),
        months=tuple(_months(rehearsal, words)),
        parties=tuple(
            f"{words.name(party.party)} {'gains' if party.gains > 0 else 'loses'} {cents(abs(party.gains))} USD"
            for party in rehearsal.parties
            if party.gains
        ),
        assumed=tuple(_assumed(rehearsal)),
    )


def _changed(rehearsal: Rehearsal, words: Wording) -> Iterator[RequestsChanged]:
    for what, meaning in MEANINGS.items():
        rows = [row for row in rehearsal.routed if row.what == what]
        rows.sort(key=lambda row: -row.requests)
        if rows:
            yield RequestsChanged(
                said=f"{sum(row.requests for row in rows):,} {meaning}",
                alike=tuple(_alike(row, words) for row in rows[:_SHOWN]),
                more=max(len(rows) - _SHOWN, 0),
            )


def _alike(row: Routed, words: Wording) -> RequestsAlike:
    place = f"{words.name(row.cloud)} {row.region}".rstrip()
    days = f"on {row.first_day}"
    if row.first_day != row.last_day:
        days = f"from {row.first_day} to {row.last_day}"
    charged = "charges unknown" if row.charged is None else f"{row.charged.normalize():,f} USD"
    clouds = ", ".join(map(words.name, row.clouds))
    return RequestsAlike(
        said=f"{row.requests:,} of {row.product} on {place}, sold by {words.name(row.seller)} to "
        f"{row.segment}, {days}: {charged}",
        before=_decided(row.before),
        after=_decided(row.after) + (f"; permitted on {clouds}" if clouds else ""),
    )


def _decided(side: Deciding) -> str:
    return f"{side.outcome} by {', '.join(side.terms)} ({', '.join(side.places)})"


def _months(rehearsal: Rehearsal, words: Wording) -> Iterator[MonthBeside]:
    for month in rehearsal.months:
        for way in month.beside.directions:
            yield MonthBeside(
                period=month.period,
                label=f"{words.name(way.payer)} pays {words.name(way.payee)}",
                real=cents(way.real),
                drafted=cents(way.other),
                difference=signed(way.difference),
            )
        for seller, charges in month.refused.items():
            yield MonthBeside(
                period=month.period,
                label=f"charges of {words.name(seller)} that would be refused",
                real=cents(charges),
                drafted="",
                difference="",
            )


def _assumed(rehearsal: Rehearsal) -> Iterator[str]:
    sides: Mapping[str, list[tuple[Assumption, ...]]] = {
        "Assumed, as it is": [each.beside.real_assumptions for each in rehearsal.months],
        "Assumed, under the draft": [each.beside.other_assumptions for each in rehearsal.months],
    }
    for label, months in sides.items():
        figures = dict.fromkeys(figure for month in months for figure in month)
        if figures:
            named = in_one_line(figures)
            yield f"{label}: {named}"
