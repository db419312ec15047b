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
_REPEATABLE: Final = ("reading", "suppose")
QUESTION_QUERY: Final = (*BY_NAME, "as_of", "known_at", *_REPEATABLE)


class QuestionAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A question from an address. `names` holds the name of each part as typed; parts that were not
    typed are left out, and days are empty."""

    names: Mapping[str, str] = msgspec.field(default_factory=dict)
    as_of: str = ""
    known_at: str = ""
    reading: tuple[str, ...] = ()
    suppose: tuple[str, ...] = ()

    def given(self) -> dict[str, str | tuple[str, ...]]:
        """Return the typed values by their names in the address."""
        typed: dict[str, str | tuple[str, ...]] = {
            **self.names,
            "as_of": self.as_of,
            "known_at": self.known_at,
            "reading": self.reading,
            "suppose": self.suppose,
        }
        return {name: value for name, value in typed.items() if value}


class FieldChoice(msgspec.Struct, frozen=True):
    """A choice of a field: its value and its label."""

    value: str
    label: str


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a form with its value as typed.

    `kind` is `select` (one of `choices`) or `text` (`choices` are suggestions). Days are text too,
    because a browser's own date field drops an invalid day. `problem` says what is wrong with the
    value and what to do; empty for a valid value.
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
    """The question as a form: the fields of its sentence, and `further` fields that are used less
    often. `further_named` lists these; `problems` belong to no single field.
    """

    sentence: tuple[FormField, ...]
    further: tuple[FormField, ...]
    further_named: str
    problems: tuple[str, ...] = ()


class ReasonShown(msgspec.Struct, frozen=True, kw_only=True):
    """A reason of an answer, and the clause that it cites; `text` is the clause in its own
    words."""

    bearing: str
    note: str
    citation: Citation
    agreement: str
    title: str
    text: str


class ChangeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A change that gives another outcome: its label, the outcome, and the address of that
    question."""

    label: str
    outcome: OutcomeName
    said: str
    address: str


class KnowledgePoint(msgspec.Struct, frozen=True):
    """A day by whose end something became known: the field's value (empty: now), and a label that
    says what."""

    value: str
    label: str


class SwitchOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option of a reading, and the address of the question under it."""

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
    """A decision for the screen. `address` always asks the same question: it fixes both clocks."""

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
    """The lawyer's screen. `answer` is None if the question is invalid."""

    title: str
    form: QuestionForm
    answer: AnswerShown | None
    plain_words: tuple[PlainSentence, ...]
    as_of: date


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a document: its heading, its prose, and the terms under it. `is_named`: the
    address names it."""

    heading: str
    line: int
    text: str
    blocks: tuple[str, ...]
    is_named: bool


class TextContext(msgspec.Struct, frozen=True, kw_only=True):
    """A whole document of the agreement, in its own order. An amendment has a title, and `days`
    says when it was announced and took effect."""

    document: str
    title: str = ""
    days: str = ""
    documents: tuple[str, ...]
    passages: tuple[Passage, ...]


class ChangeGroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """A change between two amendments in a sentence, the outcomes before and after in a word each,
    and the clause that causes it. `is_drafted`: the clause is a draft's, and no document here has
    it."""

    sentence: str
    before: str
    after: str
    citation: Citation
    place: str
    combinations: str
    is_drafted: bool = False


class CompareContext(msgspec.Struct, frozen=True, kw_only=True):
    """The agreement up to one amendment compared with the agreement up to another. `problem` says
    why they cannot be compared, if no field is wrong; `unchanged` says that nothing changes on the
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
    """A mistake of a draft and its line; 0 for none."""

    line: int
    said: str


class RequestsAlike(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded requests that a draft changes in the same way: a description, and the deciding terms
    `before` and `after`."""

    said: str
    before: str
    after: str


class RequestsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded requests with one fate under a draft, the largest groups first."""

    said: str
    alike: tuple[RequestsAlike, ...]
    more: int


class MonthBeside(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of a settled month in force and under a draft, in USD."""

    period: str
    label: str
    real: str
    drafted: str
    difference: str


class DraftPlayed(msgspec.Struct, frozen=True, kw_only=True):
    """A draft played on recorded traffic and settled months, or a `problem` why it could not be
    played."""

    problem: str = ""
    said: str = ""
    counted: str = ""
    changed: tuple[RequestsChanged, ...] = ()
    not_asked: tuple[str, ...] = ()
    months: tuple[MonthBeside, ...] = ()
    parties: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


class DraftRead(msgspec.Struct, frozen=True, kw_only=True):
    """A draft without mistakes: its changes in words, and its effect on recorded traffic."""

    title: str
    groups: tuple[ChangeGroupShown, ...]
    counted: str
    played: DraftPlayed


class DraftContext(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as typed, and its mistakes or its reading; both are empty until a draft is typed."""

    text: str
    mistakes: tuple[DraftMistake, ...] = ()
    read: DraftRead | None = None


def _asked(given: Given) -> QuestionAsked:
    """Return the question of an address, as typed."""
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
        """Return the lawyer's screen with a question answered; for an invalid question, with the
        problems of each field."""
        ...

    async def compare(self, before: str, after: str) -> CompareContext:
        """Compare two amendments, by default the last two, and return the changes."""
        ...

    async def draft(self, text: str) -> DraftContext:
        """Read a draft amendment, compare it with the agreement in force, play it on recorded
        traffic, and return the result. Change nothing."""
        ...

    async def text(self, document: str, line: str) -> TextContext | None:
        """Return a document of the agreement with the clause at a line marked; None if there is no
        such document."""
        ...


LAWYER_PAGES: Final[tuple[WebPage[LawyerSource], ...]] = (
    WebPage(
        name="lawyer",
        path="/lawyer",
        query=QUESTION_QUERY,
        repeatable=_REPEATABLE,
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
        command="clauseway agreement rehearse FILE",
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
            "No document of the agreement has that name.",
            "Open a document from the lawyer's screen: every clause there links to its text.",
        ),
    ),
)
