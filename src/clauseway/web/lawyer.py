"""The contexts of the lawyer's screens: a question asked and answered, an agreement's text.

A form keeps what was typed: its fields hold text as it came, valid or not.
"""

from datetime import date
from typing import Literal

import msgspec

from clauseway.values import Citation
from clauseway.web.contexts import OutcomeName, PlainSentence

FieldKind = Literal["select", "text"]


class QuestionAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A question as an address puts it, every part as it was typed; empty where it was not."""

    action: str = ""
    party: str = ""
    product: str = ""
    cloud: str = ""
    to: str = ""
    seller: str = ""
    segment: str = ""
    region: str = ""
    as_of: str = ""
    known_at: str = ""
    reading: tuple[str, ...] = ()
    suppose: tuple[str, ...] = ()


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

    `problems` are of no single field.
    """

    sentence: tuple[FormField, ...]
    further: tuple[FormField, ...]
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
    """A change between two amendments in a sentence, and the clause that it is laid to."""

    sentence: str
    citation: Citation
    place: str
    combinations: str


class CompareContext(msgspec.Struct, frozen=True, kw_only=True):
    """Two amendments compared: the text up to the one beside that up to the other. `problem` says
    why there is nothing to compare; empty where there is."""

    fields: tuple[FormField, ...]
    problem: str = ""
    before: str = ""
    after: str = ""
    rescissions: tuple[str, ...] = ()
    groups: tuple[ChangeGroupShown, ...] = ()
    counted: str = ""
