"""What a decision is made of. A decision is a value: it can be compared, stored, sent and repeated."""

from datetime import date
from enum import StrEnum

import msgspec

from clauseway.values import Citation


class Outcome(StrEnum):
    """The four answers. Only `permitted` lets anything happen."""

    PERMITTED = "permitted"
    FORBIDDEN = "forbidden"
    CONDITIONAL = "conditional"
    UNSTATED = "unstated"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the text or the register on which the decision rests, and how it bears on it.

    `bearing`: permits · forbids · conditions · inside (what an exclusivity reserves) · exempts (a carve-out) · ended ·
    meets (a fact) · not-bound · rule (how silence is read) · commentary. `note` says what the place alone does not: a
    day, a cloud. `agreement` is the id of the one that says it, where several were asked together.
    """

    bearing: str
    term: str
    amendment: str
    document: str
    line: int
    source: str
    text: str
    note: str = ""
    agreement: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        place = f"{self.document}:{self.line}; {self.source}"
        of = f"{self.agreement} " if self.agreement else ""
        return f"{self.bearing}: {of}{self.amendment} {self.term}{note}: {self.text} [{place}]"

    @classmethod
    def of(cls, bearing: str, citation: Citation, note: str = "") -> "Reason":
        return cls(
            bearing=bearing,
            term=citation.term,
            amendment=citation.amendment,
            document=citation.document,
            line=citation.line,
            source=citation.source,
            text=citation.text,
            note=note,
        )


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must be recorded before the answer becomes `permitted`. `needs` lists facts in the form `--suppose` takes,
    any one of which would do; none where the question is about a class and only facts about a product would."""

    term: str
    text: str
    needs: tuple[str, ...]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Another reading under which the outcome would be another."""

    reading: str
    option: str
    outcome: Outcome


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to repeat the decision: the engine, the digests of the agreement's text and of its meaning, of the
    facts and the question, and both clocks. The text is no part of the `id`: another layout changes no answer."""

    id: str
    engine: str
    agreement: str
    meaning: str = ""
    facts: str
    as_of: date
    known_at: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question. `reasons` holds the deciding ones first and is never empty."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...]
    turns_on: tuple[Turn, ...]
    as_of: date
    known_at: str
    receipt: Receipt
