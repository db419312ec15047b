"""The lawyer's screens: a question asked and answered, an agreement's text.

A form keeps what was typed: its fields hold text as it came, valid or not.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final, Literal, Protocol

import msgspec

from clauseway.decisions.parts import BY_NAME
from clauseway.values import Citation
from clauseway.web.contexts import OutcomeName, PlainSentence, Timeline
from clauseway.web.page import Absence, Given, WebPage

FieldKind = Literal["select", "text"]


# The parameters of a question's address: each part, both days, readings and suppositions.
QUESTION_QUERY: Final = (*BY_NAME, "as_of", "known_at", "reading", "suppose")


class QuestionAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A question as an address puts it. `names` holds the name of each part, as it was typed; a
    part that was not typed is left out, and a day is empty."""

    names: Mapping[str, str] = msgspec.field(default_factory=dict)
    as_of: str = ""
    known_at: str = ""
    reading: tuple[str, ...] = ()
    suppose: tuple[str, ...] = ()

    def given(self) -> dict[str, str | tuple[str, ...]]:
        """Return whatever was typed, by the name that it has in the address."""
        typed: dict[str, str | tuple[str, ...]] = {
            **self.names,
            "as_of": self.as_of,
            "known_at": self.known_at,
            "reading": self.reading,
            "suppose": self.suppose,
        }
        return {name: value for name, value in typed.items() if value}


class FieldChoice(msgspec.Struct, frozen=True):
    """An entry of a field that is chosen from: its value, and the words for it."""

    value: str
    label: str


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a form with what was typed into it.

    `kind`: `select` (one of `choices`) or `text` (`choices` are suggested). Days are text too, for a
    browser's own field of a day drops what is none. `problem` says what is wrong with the value and
    what to do; empty where nothing is.
    """

    id: str
    name: str
    label: str
    value: str
    kind: FieldKind = "select"
    choices: tuple[FieldChoice, ...] = ()
    problem: str = ""
    hint: str = ""


class QuestionForm(msgspec.Struct, frozen=True, kw_only=True):
    """The question as a form: its sentence, and what is asked less often.

    `further_named` names the fields in `further`; `problems` are of no single field.
    """

    sentence: tuple[FormField, ...]
    further: tuple[FormField, ...]
    further_named: str
    problems: tuple[str, ...] = ()


class ReasonShown(msgspec.Struct, frozen=True, kw_only=True):
    """A reason of an answer beside the clause that it cites, whose words are in `text`."""

    bearing: str
    note: str
    citation: Citation
    agreement: str
    title: str
    text: str


class ChangeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A way to another answer: the words for it, the outcome then, and the address that asks so."""

    label: str
    outcome: OutcomeName
    said: str
    address: str


class KnowledgePoint(msgspec.Struct, frozen=True):
    """A day at whose end something had become known: the value for the field (empty: now), and what
    it was."""

    value: str
    label: str


class SwitchOption(msgspec.Struct, frozen=True, kw_only=True):
    """A way to read a clause, and the address that asks so."""

    label: str
    address: str
    is_chosen: bool


class ReadingSwitch(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of the agreement with its options in the agreement's order, the usual one first."""

    name: str
    text: str
    options: tuple[SwitchOption, ...]


class OverTime(msgspec.Struct, frozen=True, kw_only=True):
    """The question over all days, and both clocks to slide on: `point` is the present one of the
    `points` of knowledge."""

    timeline: Timeline
    points: tuple[KnowledgePoint, ...]
    point: int
    switches: tuple[ReadingSwitch, ...]


class AnswerShown(msgspec.Struct, frozen=True, kw_only=True):
    """A decision for the screen. `address` asks the same again and always: both clocks are in it."""

    outcome: OutcomeName
    said: str
    sentence: str
    as_of: date
    known_at: str
    reasons: tuple[ReasonShown, ...]
    conditions: tuple[str, ...]
    changes: tuple[ChangeShown, ...]
    each: tuple[tuple[str, str], ...]
    supposed: tuple[str, ...]
    receipt: str
    address: str
    command: str
    over_time: OverTime
    note: str = ""


class LawyerContext(msgspec.Struct, frozen=True, kw_only=True):
    """The lawyer's screen. There is no `answer` where the question is invalid."""

    title: str
    form: QuestionForm
    answer: AnswerShown | None
    plain_words: tuple[PlainSentence, ...]
    as_of: date


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a document: its heading, its prose, and the terms written under it.

    `is_named`: the one that was asked for.
    """

    heading: str
    line: int
    text: str
    blocks: tuple[str, ...]
    is_named: bool


class TextContext(msgspec.Struct, frozen=True, kw_only=True):
    """A document of the agreement, whole, in the order in which it is written."""

    document: str
    documents: tuple[str, ...]
    passages: tuple[Passage, ...]


class ChangeGroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """A change between two amendments in a sentence, and the clause that it is laid to. The clause
    of a draft `is_drafted`: no document here has it."""

    sentence: str
    citation: Citation
    place: str
    combinations: str
    is_drafted: bool = False


class CompareContext(msgspec.Struct, frozen=True, kw_only=True):
    """Two amendments compared: the text up to the one beside that up to the other. `problem` says
    why they cannot be compared, where no field is wrong; `unchanged`, that nothing changes on the
    day compared."""

    fields: tuple[FormField, ...]
    problem: str = ""
    is_compared: bool = False
    before: str = ""
    after: str = ""
    rescissions: tuple[str, ...] = ()
    unchanged: str = ""
    groups: tuple[ChangeGroupShown, ...] = ()
    counted: str = ""


class DraftMistake(msgspec.Struct, frozen=True):
    """A mistake of a draft, by the line at which it stands; 0 for none."""

    line: int
    said: str


class RequestsAlike(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded requests that a draft changes alike: what they are, and what decides `before` and
    `after`."""

    said: str
    before: str
    after: str


class RequestsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded requests with one fate under a draft, the largest groups first."""

    said: str
    alike: tuple[RequestsAlike, ...]
    more: int


class MonthBeside(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of a settled month as it is, and under a draft. Amounts in USD."""

    period: str
    label: str
    real: str
    drafted: str
    difference: str


class DraftPlayed(msgspec.Struct, frozen=True, kw_only=True):
    """A draft played on recorded traffic and settled months. `problem` says why it could not be;
    empty where it was."""

    problem: str = ""
    said: str = ""
    counted: str = ""
    changed: tuple[RequestsChanged, ...] = ()
    not_asked: tuple[str, ...] = ()
    months: tuple[MonthBeside, ...] = ()
    parties: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


class DraftRead(msgspec.Struct, frozen=True, kw_only=True):
    """A draft without mistakes: what it changes in words, and how it plays."""

    title: str
    groups: tuple[ChangeGroupShown, ...]
    counted: str
    played: DraftPlayed


class DraftContext(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as it was typed, its mistakes, or what comes of it; nothing before one was typed."""

    text: str
    mistakes: tuple[DraftMistake, ...] = ()
    read: DraftRead | None = None


def _asked(given: Given) -> QuestionAsked:
    """Return the question of an address, as it was typed."""
    return QuestionAsked(
        names={name: given[name] for name in BY_NAME if given[name]},
        as_of=given["as_of"],
        known_at=given["known_at"],
        reading=given.all("reading"),
        suppose=given.all("suppose"),
    )


class LawyerSource(Protocol):
    """The source of the lawyer's pages."""

    async def lawyer(self, asked: QuestionAsked) -> LawyerContext:
        """Return the lawyer's screen with a question answered; of an invalid question, its form
        with the problems of each field."""
        ...

    async def compare(self, before: str, after: str) -> CompareContext:
        """Return two amendments compared; where none are named, the last two."""
        ...

    async def draft(self, text: str) -> DraftContext:
        """Return a draft amendment read, compared with the agreement as it is, and played on what
        was recorded. Nothing is changed."""
        ...

    async def text(self, document: str, line: str) -> TextContext | None:
        """Return a document of the agreement, the clause at a line marked; None where there is no
        such document."""
        ...


LAWYER_PAGES: Final[tuple[WebPage[LawyerSource], ...]] = (
    WebPage(
        name="lawyer",
        path="/lawyer",
        query=QUESTION_QUERY,
        screen="/lawyer",
        ask=lambda source, given: source.lawyer(_asked(given)),
    ),
    WebPage(
        name="compare",
        path="/lawyer/compare",
        query=("before", "after"),
        screen="/lawyer",
        link="What did an amendment change?",
        ask=lambda source, given: source.compare(given["before"], given["after"]),
    ),
    WebPage(
        name="draft",
        path="/lawyer/draft",
        form=("draft",),
        screen="/lawyer",
        link="What would a draft change?",
        ask=lambda source, given: source.draft(given["draft"]),
    ),
    WebPage(
        name="text",
        path="/text",
        query=("document", "line"),
        screen="/lawyer",
        # Every page names clauses.
        also=("/",),
        ask=lambda source, given: source.text(given["document"], given["line"]),
        absent=Absence(
            "The agreement has no such document",
            "No text of that name is among its documents.",
            "Open one from the lawyer's screen: every clause named there leads to its text.",
        ),
    ),
)
