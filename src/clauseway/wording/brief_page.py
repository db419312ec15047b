"""An amendment on a page: its parts as records, and the page as Markdown."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.decisions import Outcome


class Said(msgspec.Struct, frozen=True, kw_only=True):
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

    `since_then` holds the facts recorded of the days until the next amendment; `sources` those that
    are cited, by identifier.
    """

    amendment: str
    title: str
    agreement: str
    announced: date
    effective: date
    known_at: str
    what_happened: tuple[Said, ...]
    why_it_matters: tuple[Said, ...]
    key_numbers: tuple[Number, ...]
    quick_answers: tuple[QuickAnswer, ...]
    since_then: tuple[Said, ...]
    sources: Mapping[str, str]


def markdown_of(told: Brief) -> str:
    """The page, as Markdown."""
    lines = [
        f"# {told.amendment}: {told.title}",
        "",
        f"{told.agreement}. Announced on {told.announced}, in effect from {told.effective}; "
        f"told as known at {told.known_at}.",
        "",
        "## What happened",
        "",
        *(f"- {said.text} ({said.place})" for said in told.what_happened),
        "",
        "## Why it matters",
        "",
        *(f"- {said.text} ({said.place})" for said in told.why_it_matters),
        "",
        "## Key numbers",
        "",
        "| what | value | place |",
        "|---|---|---|",
        *(f"| {number.what} | {number.value} | {number.place} |" for number in told.key_numbers),
        "",
        "## Quick answers",
        "",
        *(f"- **{one.question}** {one.answer} ({one.place})" for one in told.quick_answers),
        *([] if told.quick_answers else ["None of the agreement's main rights is touched."]),
        "",
        "## Since then",
        "",
        *(f"- {said.text} ({said.place})" for said in told.since_then),
        *([] if told.since_then else ["No fact is recorded of the days until the next amendment."]),
        "",
        "## Sources",
        "",
        *(f"- {source}: {text}" for source, text in told.sources.items()),
    ]
    return "\n".join(lines) + "\n"
