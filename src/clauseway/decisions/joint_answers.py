"""Several agreements in force at once: a right needs a permission in one and no prohibition in any.

Each agreement is asked by itself. An agreement that does not name a party, cloud or product of the
question states nothing about it. Then the answers are joined:

    an agreement forbids                 forbidden, whatever the others say
    an agreement permits, or would       no grant is needed under the other agreements; every
    once its own condition is met        other condition (ship-first, first refusal) stands
    no agreement permits                 conditional on a grant under one of them and on every
                                         other condition
    no agreement states anything         unstated
    a revenue share                      due if an agreement makes it due: an agreement that does
                                         not know a share does not prohibit it

The order of the agreements changes nothing. With one agreement the answer is that of `decide`.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Protocol, TypeVar, Unpack

import msgspec

from clauseway.agreement import Agreement, FactRegister, suppose
from clauseway.agreement.language.actions import SHARE
from clauseway.agreement.language.terms import ANY_SEGMENT
from clauseway.catalog import Catalog, ProductClass
from clauseway.decisions.asking import decide_as_read
from clauseway.decisions.case import not_named
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.engine import ENGINE
from clauseway.decisions.parts import PARTS, AnyNames, Names, NamesGiven
from clauseway.decisions.question import Question, ask
from clauseway.decisions.tables.decision_table import AnsweredStretch, Tables, Verdict
from clauseway.values import FOREVER, InvalidInput, KnownAt, Problem, refuse_any

# The engine's name for the condition that the owner must consent.
GRANT = "grant"
_SILENCING = tuple(part for part in PARTS if part.silences)


class AskedAgreement(msgspec.Struct, frozen=True):
    """An agreement with its catalog and facts, to be asked beside others."""

    agreement: Agreement
    catalog: Catalog
    facts: FactRegister


class JointSide(msgspec.Struct, frozen=True, kw_only=True):
    """A side of a comparison: several agreements, as of a day, as known at a point.

    `readings` holds the options chosen.
    """

    asked: tuple[AskedAgreement, ...]
    as_of: date
    known_at: KnownAt
    readings: Mapping[str, str]


AnyAsked = TypeVar("AnyAsked", bound=AskedAgreement)


class AgreementAnswer(Protocol):
    """An agreement's answer to a question: a decision, or a table's verdict."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


class _Answer(msgspec.Struct, frozen=True):
    """The answer of one agreement, with the agreement's id."""

    agreement: str
    decision: AgreementAnswer

    @property
    def grants(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.decision.conditions if condition.term == GRANT)

    @property
    def restrictions(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.decision.conditions if condition.term != GRANT)

    def reasons(self, note: str = "") -> tuple[Reason, ...]:
        return tuple(
            msgspec.structs.replace(reason, agreement=self.agreement, note=reason.note or note)
            for reason in self.decision.reasons
        )


class _Joined(msgspec.Struct, frozen=True):
    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...] = ()


def joint_catalog(catalogs: Sequence[Catalog]) -> Catalog:
    """Return a catalog of all names. Where two catalogs define a name, the first prevails."""
    # A class takes every action that one of the catalogs lets it take.
    classes: dict[str, ProductClass] = {}
    for catalog in catalogs:
        for name, product_class in catalog.classes.items():
            before = classes.get(name, product_class)
            classes[name] = msgspec.structs.replace(
                before, actions=before.actions | product_class.actions
            )
    return Catalog(
        parties=frozenset().union(*(catalog.parties for catalog in catalogs)),
        clouds=frozenset().union(*(catalog.clouds for catalog in catalogs)),
        # Reversed, so that the first catalog to define a name is the last to write it.
        operators={
            cloud: party
            for catalog in reversed(catalogs)
            for cloud, party in catalog.operators.items()
        },
        segments=frozenset().union(*(catalog.segments for catalog in catalogs)),
        classes=classes,
        products={
            name: product
            for catalog in reversed(catalogs)
            for name, product in catalog.products.items()
        },
        regions=next((catalog.regions for catalog in catalogs if catalog.regions), {}),
        subjects=_subjects(catalogs),
        offered_each=frozenset().union(*(catalog.offered_each for catalog in catalogs)),
        events=frozenset().union(*(catalog.events for catalog in catalogs)),
    )


def _subjects(catalogs: Sequence[Catalog]) -> frozenset[str] | None:
    subjects = [catalog.subjects for catalog in catalogs if catalog.subjects is not None]
    return frozenset().union(*subjects) if len(subjects) == len(catalogs) else None


def check_regions_together(asked: Iterable[AskedAgreement]) -> None:
    """Raise InvalidInput if two agreements define different regions.

    A question names one place for all agreements.
    """
    dividing = [member for member in asked if member.catalog.regions]
    if any(member.catalog.regions != dividing[0].catalog.regions for member in dividing):
        names = " and ".join(sorted(member.agreement.id for member in dividing))
        raise InvalidInput.of(
            what=f"{names} divide regions differently",
            why="a question names one place for all of them",
            where="--agreement",
            remedy="Define the same regions in each, or in one alone.",
        )


def ask_together(
    asked: Sequence[AskedAgreement],
    *,
    as_of: date,
    known_at: KnownAt,
    readings: Mapping[str, str] | None = None,
    unnamed: Collection[str] = (),
    **given: Unpack[NamesGiven],
) -> Question:
    """Return a question to all agreements. Raises InvalidInput with every problem in it.

    At least one agreement must know each name, except the products in `unnamed`. The question's
    `readings` are the chosen options; each agreement uses its own default for its other readings.
    """
    chosen = readings or {}
    problems = _reading_problems(asked, chosen)
    try:
        question = ask(
            asked[0].agreement,
            joint_catalog([member.catalog for member in asked]),
            as_of=as_of,
            known_at=known_at,
            unnamed=unnamed,
            **given,
        )
    except InvalidInput as error:
        # All mistakes at once, those of readings too.
        raise InvalidInput(*error.problems, *problems) from None
    refuse_any(problems)
    return msgspec.structs.replace(question, readings=dict(chosen))


def check_readings_together(asked: Sequence[AskedAgreement], chosen: Mapping[str, str]) -> None:
    """Raise InvalidInput for a reading or an option that none of the agreements defines."""
    refuse_any(_reading_problems(asked, chosen))


def supposing_together(asked: Sequence[AskedAgreement], text: str) -> list[AskedAgreement]:
    """Return the agreements, with a supposed fact added to each that knows the fact's names.

    Raises InvalidInput if no agreement knows them.
    """
    refused: list[InvalidInput] = []
    supposing = []
    for member in asked:
        try:
            facts = member.facts.with_facts(
                [suppose(text, member.catalog, member.agreement.events)]
            )
            supposing.append(msgspec.structs.replace(member, facts=facts))
        except InvalidInput as error:
            refused.append(error)
            supposing.append(member)
    # A name that one agreement does not know is no mistake while another knows it.
    if len(refused) == len(asked):
        raise refused[0]
    return supposing


def _reading_problems(asked: Sequence[AskedAgreement], chosen: Mapping[str, str]) -> list[Problem]:
    options: dict[str, set[str]] = {}
    for member in asked:
        for reading in member.agreement.readings.values():
            options.setdefault(reading.id, set()).update(reading.options)
    problems = []
    for name, option in chosen.items():
        if option not in options.get(name, ()):
            remedy = (
                f"Known: {', '.join(sorted(options.get(name, options)))}."
                if options
                else "Leave it out."
            )
            problem = f"unknown option {option!r}" if name in options else f"unknown name {name!r}"
            where = f"--reading {name}" if name in options else "--reading"
            problems.append(
                Problem(
                    what=problem, why="no agreement given defines it", where=where, remedy=remedy
                )
            )
    return problems


def in_their_order(asked: Iterable[AnyAsked]) -> list[AnyAsked]:
    """Return the agreements in the order in which every answer lists them."""
    return sorted(asked, key=lambda member: (member.agreement.id, member.agreement.text_digest))


def decide_together(asked: Sequence[AskedAgreement], question: Question) -> Decision:
    """Answer a question under all agreements."""
    decision = decide_together_as_read(asked, question)
    turns = _turns(in_their_order(asked), question, decision.outcome)
    return msgspec.structs.replace(decision, turns_on=turns)


def decide_together_as_read(asked: Sequence[AskedAgreement], question: Question) -> Decision:
    """Answer a question under all agreements. `turns_on` stays empty."""
    in_order = in_their_order(asked)
    decisions = [answer_of(member, question) for member in in_order]
    if len(in_order) == 1:
        return decisions[0]
    joined = _joined(question.action, _answers(in_order, decisions))
    return _decision(decisions, question, joined)


def joined_verdict(
    action: str, asked: Sequence[AskedAgreement], said: Sequence[AgreementAnswer]
) -> Verdict:
    """Join the agreements' own answers (`said`) into one verdict."""
    joined = _joined(action, _answers(asked, said))
    return Verdict(joined.outcome, joined.reasons, joined.conditions)


def _answers(asked: Sequence[AskedAgreement], said: Sequence[AgreementAnswer]) -> list[_Answer]:
    return [
        _Answer(member.agreement.id, answer) for member, answer in zip(asked, said, strict=True)
    ]


def _decision(decisions: Sequence[Decision], question: Question, joined: _Joined) -> Decision:
    return Decision(
        outcome=joined.outcome,
        reasons=joined.reasons,
        conditions=joined.conditions,
        turns_on=(),
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=_receipt(decisions, question, joined.outcome),
    )


def timeline_together(
    asked: Sequence[AskedAgreement], question: Question
) -> tuple[AnsweredStretch, ...]:
    """Return the answers to a question over all days, as known at its `known_at`.

    The question's own `as_of` is ignored. The decisions leave out `turns_on`: see
    `decide_together`.
    """
    in_order = in_their_order(asked)
    histories = [_history(member, question) for member in in_order]
    days = sorted({day for begins, _ in histories for day in begins if day != date.min})
    stretches: list[AnsweredStretch] = []
    for begin, end in pairwise((*days, FOREVER)):
        decisions = [
            decisions_of_member[bisect_right(begins, begin) - 1]
            for begins, decisions_of_member in histories
        ]
        joined = _joined(question.action, _answers(in_order, decisions))
        # Neighbouring days with equal answers are one stretch.
        if stretches and _says(stretches[-1].decision) == (
            joined.outcome,
            joined.reasons,
            joined.conditions,
        ):
            stretches[-1] = msgspec.structs.replace(stretches[-1], end=end)
        else:
            on_the_day = msgspec.structs.replace(question, as_of=begin)
            stretches.append(
                AnsweredStretch(
                    begin=begin, end=end, decision=_decision(decisions, on_the_day, joined)
                )
            )
    return tuple(stretches)


def _says(decision: Decision) -> tuple[object, ...]:
    return decision.outcome, decision.reasons, decision.conditions


def _history(member: AskedAgreement, question: Question) -> tuple[list[date], list[Decision]]:
    """Return the days on which an agreement's answers begin, `date.min` first, and the answers."""
    first = answer_of(member, msgspec.structs.replace(question, as_of=date.min))
    own = put_to(member, question)
    if unnamed_in(member, own):
        return [date.min], [first]
    stretches = Tables(member.agreement, member.catalog, member.facts).timeline(own)
    begins = [date.min, *(stretch.begin for stretch in stretches)]
    return begins, [first, *(stretch.decision for stretch in stretches)]


def answer_of(member: AskedAgreement, question: Question) -> Decision:
    """Return an agreement's answer, with `turns_on` empty. It is unstated if the agreement does
    not know the names."""
    own = put_to(member, question)
    if unnamed := unnamed_in(member, own):
        return _nothing(member, own, unnamed)
    return decide_as_read(member.agreement, member.catalog, member.facts, own)


def put_to(member: AskedAgreement, question: Question) -> Question:
    """Return a question as it is put to one agreement."""
    return msgspec.structs.replace(
        as_named_in(member, question), readings=own_options(member.agreement, question.readings)
    )


def as_named_in(member: AskedAgreement, asked: AnyNames) -> AnyNames:
    """Return the names as one agreement is asked about them.

    No term can name a segment that the agreement does not know, so ask it about any segment.
    """
    if asked.segment in member.catalog.segments:
        return asked
    return msgspec.structs.replace(asked, segment=ANY_SEGMENT)


def own_options(agreement: Agreement, readings: Mapping[str, str]) -> dict[str, str]:
    """Return an option for every reading of an agreement.

    This is the chosen option if the agreement defines it, else the agreement's default.
    """
    own = {
        name: option
        for name, option in readings.items()
        if name in agreement.readings and option in agreement.readings[name].options
    }
    return {**agreement.default_readings(), **own}


def unnamed_in(member: AskedAgreement, question: Names) -> tuple[str, ...]:
    """Return the names in a question that an agreement does not know.

    If there are any, the agreement states nothing about the question.
    """
    catalog = member.catalog
    named = [(getattr(question, part.name), part.names(catalog)) for part in _SILENCING]
    unnamed = tuple(dict.fromkeys(name for name, names in named if name and name not in names))
    if unnamed or question.action == SHARE:
        return unnamed
    # In this agreement the product may belong to another class, or its class may be a wider one.
    # Then no term of the agreement is about the action.
    takes = catalog.classes[catalog.class_of(question.product)].actions
    return () if question.action in takes else (f"{question.product} for {question.action}",)


def _nothing(member: AskedAgreement, question: Question, unnamed: tuple[str, ...]) -> Decision:
    """Return the answer of an agreement that does not know the names in a question."""
    verdict = silence(member, unnamed)
    # No id, because nothing was decided; the silent texts are named all the same.
    empty = Receipt(
        id="",
        engine=ENGINE,
        agreement=member.agreement.text_digest,
        meaning=member.agreement.meaning_digest,
        facts="",
        as_of=question.as_of,
        known_at=str(question.known_at),
    )
    return Decision(
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        conditions=(),
        turns_on=(),
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=empty,
    )


def silence(member: AskedAgreement, unnamed: Iterable[str]) -> Verdict:
    """Return an agreement's verdict on names that it does not know."""
    return Verdict(Outcome.UNSTATED, (not_named(member.agreement, ", ".join(unnamed)),), ())


def _joined(action: str, answers: Sequence[_Answer]) -> _Joined:
    """Join answers by the table at the top of this module."""
    by_outcome = {
        outcome: [answer for answer in answers if answer.decision.outcome is outcome]
        for outcome in Outcome
    }
    forbidding, permitting = by_outcome[Outcome.FORBIDDEN], by_outcome[Outcome.PERMITTED]
    if forbidding and not (action == SHARE and permitting):
        return _Joined(Outcome.FORBIDDEN, _reasons(forbidding))
    conditional = by_outcome[Outcome.CONDITIONAL]
    if not permitting and not conditional:
        return _Joined(Outcome.UNSTATED, _reasons(answers))
    # An agreement grants if it permits, or would permit once its own conditions are met.
    granting = [*permitting, *(answer for answer in conditional if not answer.grants)]
    conditions = [condition for answer in conditional for condition in answer.restrictions]
    if not granting:
        conditions.append(
            _one_grant([condition for answer in conditional for condition in answer.grants])
        )
    if conditions:
        standing = [answer for answer in conditional if answer.restrictions or not granting]
        return _Joined(Outcome.CONDITIONAL, _reasons(standing), tuple(dict.fromkeys(conditions)))
    # Permitted: cite the rules by which the other agreements ask for a grant, as not needed.
    met = f"no grant needed: {' and '.join(answer.agreement for answer in granting)} permits it"
    not_needed = [
        reason
        for answer in conditional
        for reason in answer.reasons(met)
        if reason.bearing == "rule"
    ]
    return _Joined(Outcome.PERMITTED, (*_reasons(permitting), *not_needed))


def _reasons(answers: Iterable[_Answer]) -> tuple[Reason, ...]:
    return tuple(reason for answer in answers for reason in answer.reasons())


def _one_grant(conditions: Sequence[Condition]) -> Condition:
    """Join the missing grants of several agreements into one condition: any of them would do."""
    return Condition(
        term=GRANT,
        text=" Or: ".join(dict.fromkeys(condition.text for condition in conditions)),
        needs=tuple(dict.fromkeys(need for condition in conditions for need in condition.needs)),
    )


def _turns(
    asked: Sequence[AskedAgreement], question: Question, outcome: Outcome
) -> tuple[Turn, ...]:
    """Return the readings that, each changed alone wherever it is defined, change the outcome."""
    options = {
        (reading.id, option): member
        for member in asked
        for reading in member.agreement.readings.values()
        for option in reading.options
    }
    turns = []
    for name, option in options:
        readings = {**question.readings, name: option}
        changed = msgspec.structs.replace(question, readings=readings)
        changed_outcome = joined_verdict(
            question.action, asked, [answer_of(member, changed) for member in asked]
        ).outcome
        if changed_outcome is not outcome:
            turns.append(Turn(reading=name, option=option, outcome=changed_outcome))
    return tuple(turns)


def _receipt(decisions: Sequence[Decision], question: Question, outcome: Outcome) -> Receipt:
    """Join the receipts of all agreements, in the order of their ids: plus signs join digests."""
    agreement, meaning, facts = (
        # A dash for an agreement that states nothing, so that the others keep their places.
        "+".join(getattr(decision.receipt, field) or "-" for decision in decisions)
        for field in ("agreement", "meaning", "facts")
    )
    parts = [
        ENGINE,
        meaning,
        facts,
        msgspec.json.encode(question, order="sorted").decode(),
        outcome,
    ]
    return Receipt(
        id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        engine=ENGINE,
        agreement=agreement,
        meaning=meaning,
        facts=facts,
        as_of=question.as_of,
        known_at=str(question.known_at),
    )
