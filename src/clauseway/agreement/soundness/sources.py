"""Notes on what no public source states, on prose alone, and on what stands in another file."""

import re
from collections.abc import Iterator

from clauseway.agreement.language.definitions import OURS
from clauseway.agreement.soundness.lives import Lives
from clauseway.agreement.soundness.remarks import Remark, Severity, remark

# An id in two parts: letters, and what tells it from others of its kind.
_NUMBERED = re.compile(r"([A-Za-z]+)\d+")


def misplaced(lives: Lives) -> Iterator[Remark]:
    """Note ids that name another amendment, or another file, than the one that they stand in."""
    ids = {amendment.id for amendment in lives.agreement.amendments}
    for amendment in lives.agreement.amendments:
        stem = amendment.document.removesuffix(".md")
        if _names_another(stem, amendment.id, ids):
            yield Remark(
                severity=Severity.NOTE,
                kind="misplaced",
                document=amendment.document,
                line=1,
                what=f"amendment {amendment.id} stands in {amendment.document}",
                why="its id and the name of its file speak of two amendments",
                remedy="Fix its id:, or rename the file.",
            )
        for text in amendment.texts:
            prefix = text.id.split(".")[0]
            if "." in text.id and _names_another(prefix, amendment.id, ids):
                yield remark(
                    Severity.NOTE,
                    "misplaced",
                    text.citation,
                    f"{text.id} stands in amendment {amendment.id}",
                    f"its id begins as those of amendment {prefix} do",
                    f"Write {amendment.id}. in front, if it is a slip.",
                )


def _names_another(name: str, amendment: str, ids: set[str]) -> bool:
    """Return whether a name is another amendment's id, or is made like this one's."""
    if name == amendment:
        return False
    own, other = _NUMBERED.fullmatch(amendment), _NUMBERED.fullmatch(name)
    return name in ids or bool(own and other and own[1] == other[1])


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
            remedy="Write a term under it, if it is meant to have an effect.",
        )
