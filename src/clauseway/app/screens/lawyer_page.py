"""The lawyer's screen: a question from a form, answered as by `clauseway decide`, and the documents
of the agreement."""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from urllib.parse import urlencode

import msgspec

from clauseway.agreement import Reading
from clauseway.agreement.language.actions import CONTRACT, LICENSE, SELL, SERVE, SHARE, USE
from clauseway.app.agreements.explaining import Explanation, explain
from clauseway.app.agreements.passages import (
    clause_at,
    clause_of,
    document_name,
    documents_by_name,
    located,
    sections_of,
)
from clauseway.app.agreements.rights_over_time import timeline_of_question
from clauseway.app.agreements.supposing import fact_supposed
from clauseway.app.opening.library import readings_of
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.catalog import Catalog
from clauseway.decisions import Question, Reason
from clauseway.decisions.parts import BEHIND, BY_NAME, PARTS, Part
from clauseway.decisions.searches.change import WouldChange
from clauseway.values import (
    Citation,
    InvalidInput,
    KnownAt,
    Problem,
    read_place,
)
from clauseway.web.contexts import PlainSentence
from clauseway.web.lawyer import (
    AnswerShown,
    ChangeShown,
    FieldChoice,
    FormField,
    KnowledgePoint,
    LawyerContext,
    OverTime,
    Passage,
    QuestionAsked,
    QuestionForm,
    ReadingSwitch,
    ReasonShown,
    SwitchOption,
    TextContext,
)
from clauseway.wording.dates import day_in_words
from clauseway.wording.decided import RECORD_PRODUCT
from clauseway.wording.names import Wording, listed, sentence
from clauseway.wording.outcomes import outcome_word
from clauseway.wording.shown_rights import rights_of_interest

# Writes a fact that is supposed (`milestone=2027-01-01`) as a sentence.
_FactInWords = Callable[[str], str]
_ACTIONS = {
    SERVE: "serve",
    SELL: "sell",
    LICENSE: "license",
    USE: "use under licence",
    CONTRACT: "contract for compute",
    SHARE: "share revenue",
}


# The parts in the form's sentence, and the parts that are used less often.
_SENTENCE = sorted((part for part in PARTS if part.field.place), key=lambda part: part.field.place)
_FURTHER = [part for part in BEHIND if not part.field.place]
_OTHER_FLAGS = {
    "--as-of": "as_of",
    "--known-at": "known_at",
    "--reading": "reading",
    "--suppose": "suppose",
}
# A flag of a command in a sentence, and the label of its field.
_FLAG = re.compile(r"--[a-z-]+")
_LABELS = {
    **{part.flag: part.field.label for part in PARTS},
    "--as-of": "on the day",
    "--known-at": "known at",
    "--reading": "read as",
    "--suppose": "supposing",
}
# Empty fields for suppositions in the form, beyond the filled ones.
_SPARE_SUPPOSITIONS = 1


def lawyer_page(
    opened: Opened, asked: QuestionAsked, today: date, known_at: KnownAt
) -> LawyerContext:
    """Return the screen with the question answered, or with its problems beside the fields. Without
    a question, ask for the agreement's first right of interest."""
    asked = _first_question(opened, today, known_at) if asked == QuestionAsked() else asked
    asked = _as_written(opened.catalog, asked)
    words = Wording.of(each_of(opened))
    answer, problems = None, tuple[Problem, ...]()
    try:
        answer = _answered(opened, words, asked)
    except InvalidInput as error:
        problems = error.problems
    # Show the terms of the answer's day, else the terms of today.
    as_of, known_at = (
        (answer.as_of, KnownAt.parse(answer.known_at)) if answer else (today, known_at)
    )
    return LawyerContext(
        title=title_of(opened),
        form=_form(opened, words, asked, problems),
        answer=answer,
        plain_words=plain_words(opened, as_of, known_at),
        as_of=as_of,
    )


def _as_written(catalog: Catalog, asked: QuestionAsked) -> QuestionAsked:
    """Return the question with its names as the agreement writes them, whatever their case."""
    names = {
        name: BY_NAME[name].spellings(catalog).get(typed.strip().casefold(), typed)
        for name, typed in asked.names.items()
        if name in BY_NAME
    }
    return msgspec.structs.replace(asked, names={**asked.names, **names})


def plain_words(opened: Opened, as_of: date, known_at: KnownAt) -> tuple[PlainSentence, ...]:
    """Return the sentences of the terms in force, each clause once, the latest amendment's
    first."""
    clauses: dict[str, list[Citation]] = {}
    for asked in each_of(opened):
        for state in asked.in_force(as_of, known_at).states:
            if state.in_force:
                citation = located(opened, asked, state.term.citation)
                clauses.setdefault(citation.text, []).append(citation)
    return tuple(
        PlainSentence(text=text, citations=tuple(citations)) for text, citations in clauses.items()
    )


def _first_question(opened: Opened, today: date, known_at: KnownAt) -> QuestionAsked:
    for asked in each_of(opened):
        for right in rights_of_interest(asked, known_at):
            return QuestionAsked(names=right.as_combination(), as_of=str(today))
    return QuestionAsked(names={"action": SERVE}, as_of=str(today))


# The question and its answer


def _answered(opened: Opened, words: Wording, asked: QuestionAsked) -> AnswerShown:
    named = {part.name: asked.names.get(part.name) or part.default for part in PARTS}
    supposing, question = opened.asking(
        asked.suppose,
        as_of=asked.as_of or None,
        known_at=asked.known_at or None,
        reading=readings_of(asked.reading),
        **named,
    )
    explained = explain(supposing, question, suppositions=asked.suppose)
    # Fix both clocks, so that the address gives the same answer tomorrow.
    pinned = msgspec.structs.replace(
        asked, as_of=str(explained.as_of), known_at=str(explained.known_at)
    )
    action = question.action
    supposed = partial(fact_supposed, opened, words)
    # The text of a fact that the question supposes, by the text that its reason has.
    said = {f"Supposed: {text}.": f"Supposed: {supposed(text)}." for text in asked.suppose}
    return AnswerShown(
        outcome=explained.outcome.value,
        said=outcome_word(explained.outcome, action),
        sentence=words.right(question),
        as_of=explained.as_of,
        known_at=str(question.known_at.to_the_second()),
        reasons=tuple(_reason(opened, words, said, reason) for reason in explained.reasons),
        conditions=tuple(words.spelt(condition.text) for condition in explained.conditions),
        changes=tuple(
            _change(supposed, pinned, change, action) for change in explained.would_change
        ),
        each=tuple(_each(explained, action)),
        supposed=tuple(map(supposed, asked.suppose)),
        receipt=explained.receipt.id,
        address=_address(pinned),
        command=_command(pinned),
        over_time=_over_time(opened, supposing, question, pinned),
        note=_note(opened, question),
    )


def _note(opened: Opened, question: Question) -> str:
    """Return how to record a product that no agreement names; empty for a known product."""
    product = question.product
    if not product or opened.catalog.names_product(product):
        return ""
    return f"No agreement asked names {product}: {RECORD_PRODUCT.format(product=product)}"


def _each(explained: Explanation, action: str) -> Iterator[tuple[str, str]]:
    if isinstance(explained.answers, tuple):
        for answer in explained.answers:
            yield answer.agreement, outcome_word(answer.outcome, action)


def _reason(opened: Opened, words: Wording, said: Mapping[str, str], reason: Reason) -> ReasonShown:
    citation = clause_of(opened, reason)
    clause = clause_at(opened, citation.document, citation.line)
    text = clause.text if clause else said.get(citation.text, "")
    return ReasonShown(
        bearing=reason.bearing,
        note=words.spelt(reason.note),
        citation=citation,
        agreement=reason.agreement,
        title=f"{clause.number} {clause.title}" if clause else "",
        text=text,
    )


def _change(
    in_words: _FactInWords, pinned: QuestionAsked, change: WouldChange, action: str
) -> ChangeShown:
    label, asked = _asked_otherwise(in_words, pinned, change)
    of = f" ({', '.join(change.agreements)})" if change.agreements else ""
    return ChangeShown(
        label=f"{label}{of}",
        outcome=change.outcome.value,
        said=outcome_word(change.outcome, action),
        address=_address(asked),
    )


def _asked_otherwise(
    in_words: _FactInWords, pinned: QuestionAsked, change: WouldChange
) -> tuple[str, QuestionAsked]:
    """Return the words for a change, and the changed question."""
    replace = msgspec.structs.replace
    match change.kind:
        case "later":
            return f"from {change.as_of} on", replace(pinned, as_of=str(change.as_of))
        case "earlier":
            return f"up to {change.as_of}", replace(pinned, as_of=str(change.as_of))
        case "knowledge":
            known_at = str(change.known_at)
            return f"as known at the end of {known_at}", replace(pinned, known_at=known_at)
        case "fact":
            supposed = (*pinned.suppose, *change.suppose)
            happened = listed([in_words(text) for text in change.suppose])
            return f"if {happened}", replace(pinned, suppose=supposed)
        case _:
            name, _, option = change.reading.partition("=")
            kept = [item for item in pinned.reading if item.partition("=")[0] != name]
            return f"if {name} is read as “{option}”", replace(
                pinned, reading=(*kept, change.reading)
            )


def _address(asked: QuestionAsked) -> str:
    return f"/lawyer?{urlencode(asked.given(), doseq=True)}"


def _command(asked: QuestionAsked) -> str:
    """Return the command that asks the same question."""
    parts = ["clauseway", "decide"]
    for name, given in asked.given().items():
        for value in (given,) if isinstance(given, str) else given:
            default = BY_NAME[name].default if name in BY_NAME else ""
            if value != default:
                parts += [f"--{name.replace('_', '-')}", value]
    return shlex.join(parts)


# The question over time


def _over_time(
    opened: Opened, supposing: Opened, question: Question, pinned: QuestionAsked
) -> OverTime:
    points = tuple(_points(opened))
    # If nothing became known after the question's point, show it as now.
    reached = sum(
        bool(point.value) and point.value <= str(question.known_at.day) for point in points
    )
    return OverTime(
        timeline=timeline_of_question(supposing, question),
        points=points,
        point=reached if reached == len(points) - 1 else max(reached - 1, 0),
        switches=tuple(
            _switch(reading, pinned)
            for each in each_of(opened)
            for reading in each.agreement.readings.values()
        ),
    )


def _points(opened: Opened) -> Iterator[KnowledgePoint]:
    """Yield the days on which something became known, in order; and now."""
    amendments: dict[date, list[str]] = {}
    facts: dict[date, int] = {}
    for each in each_of(opened):
        for amendment in each.agreement.amendments:
            amendments.setdefault(amendment.known.day, []).append(amendment.id)
        for fact in each.facts.facts:
            facts[fact.known.day] = facts.get(fact.known.day, 0) + 1
    for day in sorted(amendments.keys() | facts.keys()):
        news = amendments.get(day, [])
        if count := facts.get(day, 0):
            news = [*news, f"{count:,} facts" if count > 1 else "a fact"]
        yield KnowledgePoint(str(day), f"{day}: {', '.join(news)}")
    yield KnowledgePoint("", "now")


def _switch(reading: Reading, pinned: QuestionAsked) -> ReadingSwitch:
    of_others = [item for item in pinned.reading if item.partition("=")[0] != reading.id]
    chosen = next(
        (item.partition("=")[2] for item in pinned.reading if item not in of_others),
        reading.default,
    )
    return ReadingSwitch(
        name=reading.id,
        text=reading.citation.text,
        options=tuple(
            SwitchOption(
                label=f"{option} (usual)" if option == reading.default else option,
                address=_address(
                    msgspec.structs.replace(pinned, reading=(*of_others, f"{reading.id}={option}"))
                ),
                is_chosen=option == chosen,
            )
            for option in reading.options
        ),
    )


# The form


def _form(
    opened: Opened, words: Wording, asked: QuestionAsked, problems: Sequence[Problem]
) -> QuestionForm:
    wrong, of_no_field = _by_field(problems)
    fields = _Fields(opened.catalog, words, asked, wrong)
    sentence = (
        *map(fields.part, _SENTENCE),
        fields.day("as_of", "on the day", "2026-05-01"),
    )
    further = (
        fields.day("known_at", "known at", "now, a day or an instant"),
        *map(fields.part, _FURTHER),
        *_readings(opened, asked, wrong),
        *_suppositions(asked, wrong),
    )
    further_named = [*(part.name for part in _FURTHER), "known at", "readings", "suppositions"]
    return QuestionForm(
        sentence=sentence,
        further=further,
        further_named=", ".join(further_named).capitalize(),
        problems=(*of_no_field, *wrong.values()),
    )


def _by_field(problems: Iterable[Problem]) -> tuple[dict[str, str], list[str]]:
    """Return the problems in sentences: by field, and those that belong to no field."""
    names = {**{part.flag: part.name for part in PARTS}, **_OTHER_FLAGS}
    wrong: dict[str, str] = {}
    of_no_field = []
    for problem in problems:
        flag, _, item = problem.where.partition(" ")
        name = f"reading-{item}" if flag == "--reading" and item else names.get(flag, "")
        said = _FLAG.sub(_field_named, sentence(problem.sentences))
        if name:
            wrong[name] = f"{wrong[name]} {said}" if name in wrong else said
        else:
            of_no_field.append(said)
    return wrong, of_no_field


def _field_named(flag: re.Match[str]) -> str:
    """Return a flag of a command as its field is called in the form."""
    label = _LABELS.get(flag[0])
    return f"“{label}”" if label else flag[0]


class _Fields:
    """The fields of a question. A problem that a field shows is taken from `wrong`."""

    def __init__(
        self, catalog: Catalog, words: Wording, asked: QuestionAsked, wrong: dict[str, str]
    ) -> None:
        self._catalog, self._words, self._asked, self._wrong = catalog, words, asked, wrong

    def part(self, part: Part) -> FormField:
        """Return the field of a part. A name that an address gives beyond the list stays in it."""
        shown = part.field
        value = self._asked.names.get(part.name) or part.default
        names = [each for each in part.in_order(self._catalog) if each != part.default]
        choices = tuple(FieldChoice(each, self._label(each)) for each in names)
        if shown.nothing:
            choices = (FieldChoice(part.default, shown.nothing), *choices)
        return FormField(
            id=part.name,
            name=part.name,
            label=shown.label,
            value=value,
            kind="text" if shown.hint else "select",
            choices=choices if shown.hint else _with(choices, value),
            problem=self._wrong.pop(part.name, ""),
            hint=shown.hint,
        )

    def day(self, name: str, label: str, hint: str) -> FormField:
        return FormField(
            id=name,
            name=name,
            label=label,
            value=getattr(self._asked, name),
            kind="text",
            problem=self._wrong.pop(name, ""),
            hint=hint,
        )

    def _label(self, name: str) -> str:
        return _ACTIONS.get(name) or self._words.name(name)


def _with(choices: tuple[FieldChoice, ...], value: str) -> tuple[FieldChoice, ...]:
    if any(choice.value == value for choice in choices):
        return choices
    return (FieldChoice(value, value or "choose"), *choices)


def _readings(opened: Opened, asked: QuestionAsked, wrong: dict[str, str]) -> Iterator[FormField]:
    chosen = {item.partition("=")[0]: item for item in asked.reading}
    for each in each_of(opened):
        for reading in each.agreement.readings.values():
            value = chosen.pop(reading.id, "")
            options = [FieldChoice(f"{reading.id}={option}", option) for option in reading.options]
            choices = (FieldChoice("", f"as usual: {reading.default}"), *options)
            yield FormField(
                id=f"reading-{reading.id}",
                name="reading",
                label=f"{reading.id} read as",
                value=value,
                choices=_with(choices, value),
                problem=wrong.pop(f"reading-{reading.id}", ""),
                hint=reading.citation.text,
            )
    for number, value in enumerate(chosen.values(), 1):
        yield FormField(
            id=f"reading-unknown-{number}",
            name="reading",
            label="read as",
            value=value,
            kind="text",
            problem=wrong.pop("reading", ""),
        )


def _suppositions(asked: QuestionAsked, wrong: dict[str, str]) -> Iterator[FormField]:
    for number, value in enumerate((*asked.suppose, *[""] * _SPARE_SUPPOSITIONS), 1):
        yield FormField(
            id=f"suppose-{number}",
            name="suppose",
            label="supposing",
            value=value,
            kind="text",
            problem=wrong.pop("suppose", ""),
            hint="milestone=2027-01-01",
        )


# The text


def text_page(opened: Opened, document: str, line: str) -> TextContext | None:
    """Return a document, by default the first, with the section of a line marked; None if there is
    no such document. Raise InvalidInput for a line that the document does not have."""
    documents = documents_by_name(opened)
    document = document or next(iter(documents))
    if document not in documents:
        return None
    sections = sections_of(document, documents[document])
    last = len(documents[document].splitlines())
    at = read_place(line, "line", "line", of=document, count=last) if line else 0
    named = max((section.line for section in sections if section.line <= at), default=0)
    title, days = _title_of(opened, document)
    return TextContext(
        document=document,
        title=title,
        days=days,
        documents=tuple(documents),
        passages=tuple(
            Passage(
                heading=section.heading,
                line=section.line,
                text=section.text,
                blocks=section.blocks,
                is_named=section.line == named,
            )
            for section in sections
        ),
    )


def _title_of(opened: Opened, document: str) -> tuple[str, str]:
    """Return an amendment's title, and its days in words; both empty for another document."""
    for asked in each_of(opened):
        for amendment in asked.agreement.amendments:
            if document_name(opened, asked, amendment.document) == document:
                announced, effective = map(day_in_words, (amendment.announced, amendment.effective))
                return (
                    f"{amendment.id} {amendment.title}",
                    f"announced on {announced}, in effect from {effective}",
                )
    return "", ""
