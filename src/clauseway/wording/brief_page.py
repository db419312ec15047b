"""An amendment on a page: its parts as records, and the page as Markdown."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.decisions import Outcome


class BriefSentence(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence and the place it rests on."""

    text: str
    place: str


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number, a day or a figure; `value` says so where it was never disclosed."""

    what: str
    value: str
    place: str


class QuickAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A question about the day on which the amendment takes effect, and its answer."""

    question: str
    answer: str
    outcome: Outcome
    before: Outcome
    place: str


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment on a page.

    `since_then` holds the facts recorded of the days until the next amendment, if there is one;
    `sources` those that are cited, by identifier. `rescinded_by` is the amendment that keeps this one
    from taking effect, if one does.
    """

    amendment: str
    title: str
    agreement: str
    announced: date
    effective: date
    known_at: str
    what_happened: tuple[BriefSentence, ...]
    why_it_matters: tuple[BriefSentence, ...]
    key_numbers: tuple[Number, ...]
    quick_answers: tuple[QuickAnswer, ...]
    since_then: tuple[BriefSentence, ...]
    next_amendment: str
    sources: Mapping[str, str]
    rescinded_by: str = ""


def markdown_of(page: Brief) -> str:
    """Return the page, as Markdown."""
    begins = f"in effect from {page.effective}"
    if page.rescinded_by:
        begins = f"never in effect (rescinded by {page.rescinded_by})"
    # The quick answers ask about a few rights alone: others may change.
    none = (
        f"None of the few questions that a brief asks is answered otherwise, or rests on "
        f"{page.amendment}. All answers that change stand under *Why it matters*."
    )
    lines = [
        f"# {page.amendment}: {page.title}",
        "",
        f"{page.agreement}. Announced on {page.announced}, {begins}; "
        f"told as known at {page.known_at}.",
        "",
        "## What happened",
        "",
        *(f"- {said.text} ({said.place})" for said in page.what_happened),
        *([] if page.what_happened else ["It begins, ends and moves no term."]),
        "",
        "## Why it matters",
        "",
        *(f"- {said.text} ({said.place})" for said in page.why_it_matters),
        "",
        "## Key numbers",
        "",
        "| what | value | place |",
        "|---|---|---|",
        *(f"| {number.what} | {number.value} | {number.place} |" for number in page.key_numbers),
        "",
        "## Quick answers",
        "",
        *(f"- **{quick.question}** {quick.answer} ({quick.place})" for quick in page.quick_answers),
        *([] if page.quick_answers else [none]),
        "",
        f"## Since then, until {page.next_amendment}" if page.next_amendment else "## Since then",
        "",
        *(f"- {said.text} ({said.place})" for said in page.since_then),
        *([] if page.since_then else ["No fact is recorded of these days."]),
        "",
        "## Sources",
        "",
        *(f"- {source}: {text}" for source, text in page.sources.items()),
        *([] if page.sources else ["No source is named."]),
    ]
    return "\n".join(lines) + "\n"
