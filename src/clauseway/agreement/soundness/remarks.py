"""A remark on an agreement's text: how grave it is, where, what, why, and what to do about it."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from clauseway.values import FOREVER, Citation, Interval


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A remark of `agreement check`. `what` is the matter, `remedy` the remedy.

    `term` is the id of the text that it is about; empty if it is about none that has an id.
    """

    severity: Severity
    kind: str
    document: str
    line: int
    what: str
    why: str
    remedy: str
    term: str = ""

    @property
    def rank(self) -> tuple[int, str, int, str]:
        """Return the place among remarks: the gravest first, then in order of file and line."""
        return list(Severity).index(self.severity), self.document, self.line, self.what


def remark(
    severity: Severity, kind: str, at: Citation, problem: str, why: str, remedy: str
) -> Remark:
    """Return a remark on a cited text."""
    return Remark(
        severity=severity,
        kind=kind,
        document=at.document,
        line=at.line,
        what=problem,
        why=why,
        remedy=remedy,
        term=at.term,
    )


# A scope within a term, by the key under which it stands.
_SCOPES = {"except": "carve-out", "carries": "part"}


def scope_named(term: str, key: str, number: int) -> str:
    """Return a name for the carve-out, or the part of what a licence carries, of this number.

    Return the term's id for what stands under any other key.
    """
    return f"{_SCOPES[key]} {number} of {term}" if key in _SCOPES else term


def lasting(days: Interval) -> str:
    """Return days as `from 2026-01-01 through 2026-12-31`, or without an end where none is set."""
    if days.end == FOREVER:
        return f"from {days.begin}"
    return f"from {days.begin} through {days.last_day}"


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
