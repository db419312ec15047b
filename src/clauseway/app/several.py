"""Several agreements opened together, asked as one is. See `decisions.several` for how their answers are joined."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from itertools import product as every
from pathlib import Path
from typing import TypeAlias, Unpack

import msgspec

from clauseway.agreement import FactRegister, Precedence, read_facts
from clauseway.app.explaining import Explanation
from clauseway.app.home import Home
from clauseway.app.library import OpenAgreement, QuestionParts, Wrong, day_given, known_point, open_agreement, read_text
from clauseway.app.library import with_recorded as one_with_recorded
from clauseway.catalog import Catalog
from clauseway.decisions import (
    Asked,
    Decision,
    Question,
    Span,
    ask_together,
    check_readings_together,
    decide_together,
    joint_catalog,
    timeline_together,
)
from clauseway.decisions.change import WouldChange
from clauseway.decisions.question import QuestionRecord
from clauseway.values import InvalidInput, KnownAt, Problem

# Facts that meet several conditions at once are tried together; more ways than these tell a reader nothing new.
_WAYS_MAX = 16


class OpenAgreements(msgspec.Struct, frozen=True):
    """Agreements in force at once, two or more, each with its own facts."""

    each: tuple[OpenAgreement, ...]

    @property
    def catalog(self) -> Catalog:
        """Everything that one of them names."""
        return joint_catalog([one.catalog for one in self.each])

    def question(self, **parts: Unpack[QuestionParts]) -> Question:
        """A checked question. `as_of` defaults to today (UTC), `known_at` to now. Raises InvalidInput."""
        wrong = Wrong()
        as_of = wrong.tried(lambda: day_given(parts.get("as_of"), "--as-of"), None) or datetime.now(UTC).date()
        known_at = wrong.tried(lambda: known_point(parts.get("known_at")), KnownAt.everything())
        asked = wrong.tried(lambda: self._ask(parts, as_of, known_at), None)
        wrong.refuse()
        assert asked is not None
        return asked

    def _ask(self, parts: QuestionParts, as_of: date, known_at: KnownAt) -> Question:
        return ask_together(
            self._asked(),
            action=parts["action"],
            party=parts["party"],
            product=parts.get("product", ""),
            cloud=parts.get("cloud", ""),
            to=parts.get("to", ""),
            seller=parts.get("seller", ""),
            segment=parts.get("segment", "any"),
            region=parts.get("region", ""),
            as_of=as_of,
            known_at=known_at,
            readings=parts.get("reading"),
        )

    def asking(self, suppose: Iterable[str], **parts: Unpack[QuestionParts]) -> tuple["OpenAgreements", Question]:
        """The agreements with supposed facts, and a question to them. Raises InvalidInput with what is wrong in it."""
        wrong = Wrong()
        opened = wrong.tried(lambda: self.supposing(suppose), self)
        question = wrong.tried(lambda: self.question(**parts), None)
        wrong.refuse()
        assert question is not None
        return opened, question

    def decide(self, *, suppose: Iterable[str] = (), **parts: Unpack[QuestionParts]) -> Decision:
        """Answer a question under all of them, with facts supposed. Raises InvalidInput where it is none."""
        opened, question = self.asking(suppose, **parts)
        return opened.answer(question)

    def answer(self, question: Question) -> Decision:
        """Answer a question that is checked already."""
        return decide_together(self._asked(), question)

    def timeline(self, question: Question) -> tuple[Span, ...]:
        """The answers to a question over all days, as known at its `known_at`."""
        return timeline_together(self._asked(), question)

    def supposing(self, suppositions: Iterable[str]) -> "OpenAgreements":
        """The same agreements with supposed facts, each in those that name what it names; in one of them at least."""
        wrong = Wrong()
        each = list(self.each)
        for text in suppositions:
            taken = [_tried(one, text) for one in each]
            if not any(isinstance(found, OpenAgreement) for found in taken):
                wrong.problems += next(found.problems for found in taken if isinstance(found, InvalidInput))
            each = [found if isinstance(found, OpenAgreement) else one for one, found in zip(each, taken, strict=True)]
        wrong.refuse()
        return OpenAgreements(tuple(each))

    def with_facts_from(self, path: Path) -> "OpenAgreements":
        """The same agreements with the facts of a file, which may name whatever one of them names."""
        before = self.catalog
        register, after = read_facts(str(path), read_text(path), before)
        added = after.parties - before.parties, after.products.keys() - before.products.keys()
        return OpenAgreements(tuple(_with_file(one, register, after, added) for one in self.each))

    def _asked(self) -> list[Asked]:
        return [Asked(one.agreement, one.catalog, one.facts) for one in self.each]


# What a question may be put to.
Opened: TypeAlias = OpenAgreement | OpenAgreements


def _tried(one: OpenAgreement, text: str) -> OpenAgreement | InvalidInput:
    try:
        return one.supposing([text])
    except InvalidInput as error:
        return error


def _with_file(
    one: OpenAgreement, register: FactRegister, joint: Catalog, added: tuple[Set[str], Set[str]]
) -> OpenAgreement:
    """An agreement with a file's facts and with what the file adds: parties, and products of classes that it has."""
    parties, products = added
    found = {
        name: joint.products[name] for name in products if joint.products[name].product_class in one.catalog.classes
    }
    catalog = msgspec.structs.replace(
        one.catalog, parties=one.catalog.parties | parties, products={**one.catalog.products, **found}
    )
    return OpenAgreement(one.agreement, catalog, one.facts.with_facts(register.facts))


def open_agreements(folders: Sequence[Path | str | None]) -> Opened:
    """Open agreements that are in force at once; none given is the built-in one. Raises InvalidInput."""
    wrong = Wrong()
    each = [wrong.tried(partial(open_agreement, folder), None) for folder in folders or [None]]
    opened = [found for found in each if found is not None]
    ids = [one.agreement.id for one in opened]
    for repeated in sorted({name for name in ids if ids.count(name) > 1}):
        wrong.problems.append(
            Problem(
                what=f"two agreements are {repeated!r}",
                why="a reason names its agreement by the id",
                where="--agreement",
                todo="Give each folder once, or give one of them another id.",
            )
        )
    wrong.refuse()
    return opened[0] if len(opened) == 1 else OpenAgreements(tuple(opened))


def each_of(opened: Opened) -> tuple[OpenAgreement, ...]:
    """The agreements, one or several."""
    return opened.each if isinstance(opened, OpenAgreements) else (opened,)


def own_readings(opened: Opened, one: OpenAgreement, chosen: Mapping[str, str]) -> Mapping[str, str]:
    """Of the readings chosen, those that one of the agreements defines. Raises InvalidInput where none defines it."""
    if isinstance(opened, OpenAgreements):
        check_readings_together([Asked(each.agreement, each.catalog, each.facts) for each in opened.each], chosen)
        known = one.agreement.readings
        return {name: option for name, option in chosen.items() if name in known and option in known[name].options}
    return chosen


def with_recorded(opened: Opened, home: Home) -> Opened:
    """The agreements with what was recorded in a home for each."""
    if isinstance(opened, OpenAgreements):
        return OpenAgreements(tuple(one_with_recorded(one, home) for one in opened.each))
    return one_with_recorded(opened, home)


def text_hash(opened: Opened) -> str:
    """The hash of the text, of several the hashes joined by a plus sign in the order of their ids."""
    in_order = sorted(each_of(opened), key=lambda one: one.agreement.id)
    return "+".join(one.agreement.hash for one in in_order)


def first_clouds(opened: Opened) -> frozenset[str]:
    """The clouds that some ship-first term names."""
    return frozenset(
        term.first
        for one in each_of(opened)
        for amendment in one.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Precedence)
    )


def explain_together(
    opened: OpenAgreements, question: Question, *, suppositions: Iterable[str] = (), with_trace: bool = False
) -> Explanation:
    """Answer a question under several agreements and say what would change that. Raises InvalidInput for a trace."""
    if with_trace:
        raise InvalidInput(
            Problem(
                what="several agreements have no one trace",
                why="each is asked for itself, and then the answers are joined",
                where="--trace",
                todo="Ask each agreement alone with --trace.",
            )
        )
    decision = opened.answer(question)
    return Explanation(
        **msgspec.structs.asdict(decision),
        question=QuestionRecord.of(question, suppositions),
        would_change=(*_days(opened, question, decision), *_facts(opened, question, decision), *_readings(decision)),
    )


def _days(opened: OpenAgreements, question: Question, decision: Decision) -> Iterator[WouldChange]:
    """The nearest days on which the outcome is another."""
    spans = opened.timeline(question)
    others = [span for span in spans if span.decision.outcome is not decision.outcome]
    for span in others:
        if span.begin > question.as_of:
            yield WouldChange(kind="later", as_of=span.begin, outcome=span.decision.outcome)
            break
    for span in reversed(others):
        if span.end <= question.as_of:
            yield WouldChange(kind="earlier", as_of=span.end - timedelta(days=1), outcome=span.decision.outcome)
            break


def _facts(opened: OpenAgreements, question: Question, decision: Decision) -> Iterator[WouldChange]:
    """Facts that meet every condition together, taken as true from the question's day on."""
    ways = every(*(condition.needs for condition in decision.conditions)) if decision.conditions else ()
    for way in islice(ways, _WAYS_MAX):
        supposed = tuple(f"{need}={question.as_of}" for need in way)
        outcome = opened.supposing(supposed).answer(question).outcome
        if outcome is not decision.outcome:
            yield WouldChange(kind="fact", suppose=supposed, outcome=outcome)


def _readings(decision: Decision) -> Iterator[WouldChange]:
    for turn in decision.turns_on:
        yield WouldChange(kind="reading", reading=f"{turn.reading}={turn.option}", outcome=turn.outcome)
