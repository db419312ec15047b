"""The parts of a decision. A decision is a value: it can be compared, stored, sent and repeated."""

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
    """A place in the text or the register on which a decision rests, and its bearing on it.

    `bearing`: permits · forbids · conditions · inside (what an exclusivity reserves) ·
    exempts (a carve-out) · prolongs (a change that keeps a term in force past its own end) · ended ·
    meets (a fact) · not-bound · rule (how silence is read) ·
    commentary. `note` adds a detail that the place does not say: a day, a cloud. `agreement` is
    the id of the agreement cited, where several were asked together.
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

    @property
    def citation(self) -> Citation:
        """Return the place alone."""
        return Citation(
            term=self.term,
            amendment=self.amendment,
            document=self.document,
            line=self.line,
            source=self.source,
            text=self.text,
        )

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
    """The facts that must be recorded before the answer becomes `permitted`.

    `needs` lists facts in the form that `--suppose` takes; any one of them would do. It is empty
    where the question is about a class, because only facts about a product would do.
    """

    term: str
    text: str
    needs: tuple[str, ...]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A reading under which the outcome would be different, with that outcome."""

    reading: str
    option: str
    outcome: Outcome


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to repeat a decision.

    It names the engine, both clocks, and the digests of the agreement's text, of its meaning and of
    the facts. The `id` is a digest of these and the question, without the text and its layout,
    which change no answer.
    """

    id: str
    engine: str
    agreement: str
    meaning: str = ""
    facts: str
    as_of: date
    known_at: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question. `reasons` is never empty; the deciding reasons come first."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...]
    turns_on: tuple[Turn, ...]
    as_of: date
    known_at: str
    receipt: Receipt

    @property
    def main_reason(self) -> Reason:
        """Return the reason to tell where there is room for one: the first, or the change that
        keeps its term in force past its own end."""
        first, *others = self.reasons
        return others[0] if others and others[0].bearing == "prolongs" else first
