"""Notes on what no public source states, and on clauses that no term restates."""

from collections.abc import Iterator

from clauseway.agreement.language.definitions import OURS
from clauseway.agreement.soundness.lives import Lives
from clauseway.agreement.soundness.remarks import Remark, Severity, remark


def uncited(lives: Lives) -> Iterator[Remark]:
    """Remark on terms and changes that no public source states."""
    for amendment in lives.agreement.amendments:
        for text in amendment.texts:
            if _is_ours(text.citation.source):
                yield remark(
                    Severity.NOTE,
                    "uncited",
                    text.citation,
                    f"{text.id} rests on our own reading alone",
                    "no public source is named for it",
                    "Name a source, or leave it as what we read into the text.",
                )


def _is_ours(source: str) -> bool:
    """Return whether a citation's only source is our own reading, with or without a passage."""
    return source == OURS or (source.startswith(f"{OURS} (") and "; " not in source)


def not_formalised(lives: Lives) -> Iterator[Remark]:
    """Remark on clauses that stand in prose only."""
    for amendment, clause in lives.agreement.not_formalised():
        yield Remark(
            severity=Severity.NOTE,
            kind="not-formalised",
            document=amendment.document,
            line=clause.line,
            what=f"clause {clause.number} ({clause.title}) stands in prose only",
            why="no term restates it, so no answer rests on it",
            todo="Write a term under it, if it is meant to have an effect.",
        )
