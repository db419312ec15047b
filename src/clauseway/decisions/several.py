"""Several agreements in force at once: a right needs a permission in one of them and no prohibition in any.

Each agreement is asked for itself, about what it names; one that does not name a party, cloud or product of the
question states nothing about it. Then the answers are joined:

    one forbids                          forbidden, whatever the others say
    one permits, or would once a         what only lacks a grant elsewhere needs none there;
    condition of its own is met          every other condition (ship-first, first refusal) stands
    none permits                         conditional on a grant in one and on every other condition
    none states anything                 unstated
    a revenue share                      due where one of them makes it due: a share that one does not know is no
                                         prohibition

The order of the agreements changes nothing. With one agreement the answer is that of `decide`.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

import msgspec

from clauseway.agreement import Agreement, FactRegister, suppose
from clauseway.agreement.actions import SHARE
from clauseway.catalog import Catalog, ProductClass
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.engine import ENGINE, decide
from clauseway.decisions.question import Question, ask
from clauseway.decisions.table import Span, Verdict, timeline
from clauseway.values import FOREVER, InvalidInput, KnownAt, Problem

# What the engine calls the condition that only lacks the owner's consent.
GRANT = "grant"
ANY_SEGMENT = "any"


class Asked(msgspec.Struct, frozen=True):
    """An agreement with its catalog and facts, to be asked beside others."""

    agreement: Agreement
    catalog: Catalog
    facts: FactRegister


One = TypeVar("One", bound=Asked)


class Said(Protocol):
    """What an agreement says of a question: a decision, or a table's verdict."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


class _Answer(msgspec.Struct, frozen=True):
    """What one agreement says."""

    agreement: str
    decision: Said

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
    """Everything that one of them names. Where two define a name, the first in their own order of names holds."""
    classes: dict[str, ProductClass] = {}
    for catalog in catalogs:
        for name, known in catalog.classes.items():
            before = classes.get(name, known)
            classes[name] = msgspec.structs.replace(before, actions=before.actions | known.actions)
    return Catalog(
        parties=frozenset().union(*(catalog.parties for catalog in catalogs)),
        clouds=frozenset().union(*(catalog.clouds for catalog in catalogs)),
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
        events=frozenset().union(*(catalog.events for catalog in catalogs)),
    )


def _subjects(catalogs: Sequence[Catalog]) -> frozenset[str] | None:
    known = [catalog.subjects for catalog in catalogs if catalog.subjects is not None]
    return frozenset().union(*known) if len(known) == len(catalogs) else None


def check_regions_together(asked: Iterable[Asked]) -> None:
    """Refuse agreements that divide the places of the clouds differently: a question names one place for all of them.

    Raises InvalidInput.
    """
    dividing = [one for one in asked if one.catalog.regions]
    if any(one.catalog.regions != dividing[0].catalog.regions for one in dividing):
        names = " and ".join(sorted(one.agreement.id for one in dividing))
        why, todo = (
            "a question names one place for all of them",
            "Define the same regions in each, or in one alone.",
        )
        raise InvalidInput(
            Problem(
                what=f"{names} divide regions differently", why=why, where="--agreement", todo=todo
            )
        )


def ask_together(
    asked: Sequence[Asked],
    *,
    action: str,
    party: str,
    as_of: date,
    known_at: KnownAt,
    product: str = "",
    cloud: str = "",
    to: str = "",
    seller: str = "",
    segment: str = ANY_SEGMENT,
    region: str = "",
    readings: Mapping[str, str] | None = None,
    unnamed: Collection[str] = (),
) -> Question:
    """A question to all of them, or InvalidInput with every problem in it. One of them must know each name.

    `unnamed` are products that may be asked about though none of them names them.

    Its `readings` are those chosen; each agreement reads whatever else it defines by its own default.
    """
    chosen = readings or {}
    problems = _reading_problems(asked, chosen)
    try:
        question = ask(
            asked[0].agreement,
            joint_catalog([one.catalog for one in asked]),
            action=action,
            party=party,
            product=product,
            cloud=cloud,
            to=to,
            seller=seller,
            segment=segment,
            region=region,
            as_of=as_of,
            known_at=known_at,
            unnamed=unnamed,
        )
    except InvalidInput as error:
        raise InvalidInput(*error.problems, *problems) from None
    if problems:
        raise InvalidInput(*problems)
    return msgspec.structs.replace(question, readings=dict(chosen))


def check_readings_together(asked: Sequence[Asked], chosen: Mapping[str, str]) -> None:
    """Refuse a reading or an option that none of the agreements defines. Raises InvalidInput."""
    if problems := _reading_problems(asked, chosen):
        raise InvalidInput(*problems)


def supposing_together(asked: Sequence[Asked], text: str) -> list[Asked]:
    """The agreements with a supposed fact, in each that names what it names. Raises InvalidInput where none does."""
    refused: list[InvalidInput] = []
    found = []
    for one in asked:
        try:
            facts = one.facts.with_facts([suppose(text, one.catalog)])
            found.append(msgspec.structs.replace(one, facts=facts))
        except InvalidInput as error:
            refused.append(error)
            found.append(one)
    if len(refused) == len(asked):
        raise refused[0]
    return found


def _reading_problems(asked: Sequence[Asked], chosen: Mapping[str, str]) -> list[Problem]:
    options: dict[str, set[str]] = {}
    for one in asked:
        for reading in one.agreement.readings.values():
            options.setdefault(reading.id, set()).update(reading.options)
    problems = []
    for name, option in chosen.items():
        if option not in options.get(name, ()):
            known = (
                f"Known: {', '.join(sorted(options.get(name, options)))}."
                if options
                else "Leave it out."
            )
            what = f"unknown option {option!r}" if name in options else f"unknown name {name!r}"
            where = f"--reading {name}" if name in options else "--reading"
            problems.append(
                Problem(what=what, why="no agreement given defines it", where=where, todo=known)
            )
    return problems


def in_their_order(asked: Iterable[One]) -> list[One]:
    """The agreements in the order in which each answer tells them."""
    return sorted(asked, key=lambda one: (one.agreement.id, one.agreement.hash))


def decide_together(asked: Sequence[Asked], question: Question) -> Decision:
    """Answer a question under all agreements."""
    in_order = in_their_order(asked)
    decisions = [answer_of(one, question) for one in in_order]
    if len(in_order) == 1:
        return decisions[0]
    joined = _joined(question.action, _answers(in_order, decisions))
    return _decision(decisions, question, joined, _turns(in_order, question, joined.outcome))


def joined_verdict(action: str, asked: Sequence[Asked], said: Sequence[Said]) -> Verdict:
    """What agreements say together, of what each of them says for itself."""
    joined = _joined(action, _answers(asked, said))
    return Verdict(joined.outcome, joined.reasons, joined.conditions)


def _answers(asked: Sequence[Asked], said: Sequence[Said]) -> list[_Answer]:
    return [_Answer(one.agreement.id, answer) for one, answer in zip(asked, said, strict=True)]


def _decision(
    decisions: Sequence[Decision], question: Question, joined: _Joined, turns: tuple[Turn, ...]
) -> Decision:
    return Decision(
        outcome=joined.outcome,
        reasons=joined.reasons,
        conditions=joined.conditions,
        turns_on=turns,
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=_receipt(decisions, question, joined.outcome),
    )


def timeline_together(asked: Sequence[Asked], question: Question) -> tuple[Span, ...]:
    """The answers to a question over all days, as known at its `known_at`; its own `as_of` is left aside.

    What turns on a reading is for `decide_together` to say: the spans leave it out.
    """
    in_order = in_their_order(asked)
    histories = [_history(one, question) for one in in_order]
    days = sorted({day for begins, _ in histories for day in begins if day != date.min})
    spans: list[Span] = []
    for begin, end in zip(days, [*days[1:], FOREVER], strict=True):
        decisions = [found[bisect_right(begins, begin) - 1] for begins, found in histories]
        joined = _joined(question.action, _answers(in_order, decisions))
        if spans and _says(spans[-1].decision) == (
            joined.outcome,
            joined.reasons,
            joined.conditions,
        ):
            spans[-1] = msgspec.structs.replace(spans[-1], end=end)
        else:
            on_the_day = msgspec.structs.replace(question, as_of=begin)
            spans.append(
                Span(begin=begin, end=end, decision=_decision(decisions, on_the_day, joined, ()))
            )
    return tuple(spans)


def _says(decision: Decision) -> tuple[object, ...]:
    return decision.outcome, decision.reasons, decision.conditions


def _history(one: Asked, question: Question) -> tuple[list[date], list[Decision]]:
    """What an agreement says over time: the days from which on each answer holds, the first of all days first."""
    first = answer_of(one, msgspec.structs.replace(question, as_of=date.min))
    own = put_to(one, question)
    if unnamed_in(one, own):
        return [date.min], [first]
    spans = timeline(one.agreement, one.catalog, one.facts, own)
    return [date.min, *(span.begin for span in spans)], [first, *(span.decision for span in spans)]


def answer_of(one: Asked, question: Question) -> Decision:
    """What an agreement says of a question, as far as it names what the question names."""
    own = put_to(one, question)
    if unnamed := unnamed_in(one, own):
        return _nothing(one, own, unnamed)
    return decide(one.agreement, one.catalog, one.facts, own)


def put_to(one: Asked, question: Question) -> Question:
    """A question as it is put to one agreement."""
    # No term can name a segment that the agreement does not know, so to it the customers claim none.
    segment = question.segment if question.segment in one.catalog.segments else ANY_SEGMENT
    return msgspec.structs.replace(
        question, segment=segment, readings=own_options(one.agreement, question.readings)
    )


def own_options(agreement: Agreement, readings: Mapping[str, str]) -> dict[str, str]:
    """An option for every reading of an agreement: that chosen, where it has it, else its default."""
    own = {
        name: option
        for name, option in readings.items()
        if name in agreement.readings and option in agreement.readings[name].options
    }
    return {**agreement.default_readings(), **own}


def unnamed_in(one: Asked, question: Question) -> tuple[str, ...]:
    """What the question names and the agreement does not: then it states nothing about it."""
    catalog = one.catalog
    named = [
        (question.party, catalog.parties),
        (question.to, catalog.parties),
        (question.seller, catalog.parties),
        (question.cloud, catalog.clouds),
        (question.product, {*catalog.products, *catalog.classes}),
    ]
    found = tuple(dict.fromkeys(name for name, known in named if name and name not in known))
    if found or question.action == SHARE:
        return found
    # A product may be of another class here, or a class a wider one: then no term of it is about the action.
    takes = catalog.classes[catalog.class_of(question.product)].actions
    return () if question.action in takes else (f"{question.product} for {question.action}",)


def _nothing(one: Asked, question: Question, unnamed: tuple[str, ...]) -> Decision:
    """The answer of an agreement that does not name what is asked about."""
    verdict = silence(one, unnamed)
    empty = Receipt(
        id="",
        engine=ENGINE,
        agreement=one.agreement.hash,
        meaning=one.agreement.meaning,
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


def silence(one: Asked, unnamed: Iterable[str]) -> Verdict:
    """What an agreement says of what it does not name."""
    reason = Reason.of(
        "rule", one.agreement.rules["unstated"], f"it does not name {', '.join(unnamed)}"
    )
    return Verdict(Outcome.UNSTATED, (reason,), ())


def _joined(action: str, answers: Sequence[_Answer]) -> _Joined:
    by_outcome = {
        outcome: [one for one in answers if one.decision.outcome is outcome] for outcome in Outcome
    }
    forbidding, permitting = by_outcome[Outcome.FORBIDDEN], by_outcome[Outcome.PERMITTED]
    if forbidding and not (action == SHARE and permitting):
        return _Joined(Outcome.FORBIDDEN, _reasons(forbidding))
    conditional = by_outcome[Outcome.CONDITIONAL]
    if not permitting and not conditional:
        return _Joined(Outcome.UNSTATED, _reasons(answers))
    granting = [*permitting, *(one for one in conditional if not one.grants)]
    conditions = [condition for one in conditional for condition in one.restrictions]
    if not granting:
        conditions.append(
            _one_grant([condition for one in conditional for condition in one.grants])
        )
    if conditions:
        standing = [one for one in conditional if one.restrictions or not granting]
        return _Joined(Outcome.CONDITIONAL, _reasons(standing), tuple(dict.fromkeys(conditions)))
    met = f"no grant needed: {' and '.join(one.agreement for one in granting)} permits it"
    not_needed = [
        reason for one in conditional for reason in one.reasons(met) if reason.bearing == "rule"
    ]
    return _Joined(Outcome.PERMITTED, (*_reasons(permitting), *not_needed))


def _reasons(answers: Iterable[_Answer]) -> tuple[Reason, ...]:
    return tuple(reason for one in answers for reason in one.reasons())


def _one_grant(conditions: Sequence[Condition]) -> Condition:
    """Missing grants of several agreements: any one of them would do."""
    return Condition(
        term=GRANT,
        text=" Or: ".join(dict.fromkeys(condition.text for condition in conditions)),
        needs=tuple(dict.fromkeys(need for condition in conditions for need in condition.needs)),
    )


def _turns(asked: Sequence[Asked], question: Question, outcome: Outcome) -> tuple[Turn, ...]:
    """The readings, each changed alone wherever it is defined, under which the outcome would be another."""
    options = {
        (reading.id, option): one
        for one in asked
        for reading in one.agreement.readings.values()
        for option in reading.options
    }
    turns = []
    for name, option in options:
        readings = {**question.readings, name: option}
        other = msgspec.structs.replace(question, readings=readings)
        found = joined_verdict(
            question.action, asked, [answer_of(one, other) for one in asked]
        ).outcome
        if found is not outcome:
            turns.append(Turn(reading=name, option=option, outcome=found))
    return tuple(turns)


def _receipt(decisions: Sequence[Decision], question: Question, outcome: Outcome) -> Receipt:
    """The receipts of all, joined by a plus sign in the order of the agreements' ids."""
    agreement, meaning, facts = (
        "+".join(getattr(one.receipt, field) or "-" for one in decisions)
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
