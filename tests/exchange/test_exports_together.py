"""Exports of several agreements: outside judges, asked of each one's own file, come to what is decided under all."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec
import pytest
from outside_judges import cedar_answers, odrl_answers, opa_answers, regopy_answers

from clauseway.app.agreements.exporting import extracts
from clauseway.app.opening.several import OpenAgreements, each_of, open_agreements
from clauseway.decisions import Outcome, Question, all_questions
from clauseway.decisions.joint_answers import unnamed_in
from clauseway.exchange.agreements.extract import Extract
from clauseway.values import KnownAt
from two_agreements import documents

DAY = date(2026, 6, 1)
NOW = KnownAt.end_of(DAY)


def opened(where: Path, *says: str) -> OpenAgreements:
    folders = [where / name for name, _ in zip(("north", "south"), says, strict=True)]
    for folder, item in zip(folders, says, strict=True):
        folder.mkdir()
        for document, text in documents(folder.name, item).items():
            (folder / document).write_text(text)
    opened = open_agreements(folders)
    assert isinstance(opened, OpenAgreements)
    return opened


def joined_by_the_rule(action: str, own: Sequence[Outcome], with_grants: Sequence[Outcome]) -> Outcome:
    """The rule that goes with an export of several agreements, word for word."""
    if action == "share-revenue" and Outcome.PERMITTED in own:
        return Outcome.PERMITTED
    if Outcome.FORBIDDEN in own:
        return Outcome.FORBIDDEN
    if all(answer is Outcome.UNSTATED for answer in own):
        return Outcome.UNSTATED
    if any(answer is granted is Outcome.CONDITIONAL for answer, granted in zip(own, with_grants, strict=True)):
        return Outcome.CONDITIONAL
    return Outcome.PERMITTED if Outcome.PERMITTED in own else Outcome.CONDITIONAL


# As the table of decisions has them: what one says, what the other says, where their answers must be joined.
PAIRS = [
    ("nothing more", "nothing more"),
    ("the reseller may sell", "nothing more"),
    ("the reseller may sell", "east first"),
    ("nothing more", "an offer first"),
    ("anyone may sell", "only the maker sells"),
    ("a share is due", "does not name west"),
    ("east first", "does not name the product"),
]
Judge = Callable[[Extract, Sequence[Question]], list[str]]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_outside_judges_come_to_the_same_by_the_rule_that_goes_with_the_files(
    first: str, second: str, tmp_path: Path
) -> None:
    asked = opened(tmp_path, first, second)
    catalog = asked.catalog
    questions = list(all_questions(asked.each[0].agreement, catalog, as_of=DAY, known_at=NOW))
    questions = [msgspec.structs.replace(question, readings={}) for question in questions]
    expected = [asked.answer(question).outcome for question in questions]
    for judge in (cedar_answers, opa_answers, regopy_answers, odrl_answers):
        assert _by_files(asked, questions, judge) == expected, judge


def _by_files(asked: OpenAgreements, questions: Sequence[Question], judge: Judge) -> list[Outcome]:
    """Return a judge's answers by each agreement's own file, joined by the rule."""
    own = _answers(asked, questions, judge)
    products = {(question.party, question.product) for question in questions if question.action in ("serve", "sell")}
    granted = _answers(
        asked.supposing([f"grant:{party}:{what}={DAY}" for party, what in sorted(products)]), questions, judge
    )
    return [
        joined_by_the_rule(
            question.action, [Outcome(answer[at]) for answer in own], [Outcome(grant[at]) for grant in granted]
        )
        for at, question in enumerate(questions)
    ]


def _answers(asked: OpenAgreements, questions: Sequence[Question], judge: Judge) -> list[list[str]]:
    answers = []
    for agreement, extract in zip(each_of(asked), extracts(asked, DAY, NOW).values(), strict=True):
        named = [question for question in questions if not unnamed_in(agreement, question)]
        said = dict(zip(map(msgspec.json.encode, named), judge(extract, named), strict=True))
        answers.append([said.get(msgspec.json.encode(question), "unstated") for question in questions])
    return answers
