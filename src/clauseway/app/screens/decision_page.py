"""The auditor's page of a decision from outside: its question is asked again, as by
`clauseway verify`."""

from collections.abc import Iterator

from clauseway.app.agreements.explaining import (
    DecisionVerification,
    Explanation,
    read_explanation,
    verify,
)
from clauseway.app.agreements.supposing import fact_supposed
from clauseway.app.opening.several import Opened, each_of
from clauseway.values import InvalidInput
from clauseway.web.auditor import CheckContext, DecisionContext
from clauseway.wording.names import Wording

_WHERE = "the decision"


def decision_page(opened: Opened, receipt: str) -> DecisionContext:
    """Return the page of a decision in JSON. Keep nothing."""
    if not receipt.strip():
        return DecisionContext(receipt=receipt)
    try:
        recorded = read_explanation(_WHERE, receipt.encode())
        done = verify(opened, recorded)
    except InvalidInput as error:
        return DecisionContext(receipt=receipt, problem=error.sentences)
    return DecisionContext(receipt=receipt, check=_checked(opened, recorded, done))


def _checked(opened: Opened, recorded: Explanation, done: DecisionVerification) -> CheckContext:
    return CheckContext(
        title=_sentence(opened, recorded),
        holds=done.same,
        said="repeats" if done.same else "does not repeat",
        lines=tuple((each.what, each.recorded, each.now) for each in done.differences),
        remarks=tuple(_remarks(opened, recorded, done)),
        command="clauseway verify FILE",
    )


def _sentence(opened: Opened, recorded: Explanation) -> str:
    asked = recorded.question
    again, question = opened.asking(
        asked.suppositions,
        as_of=asked.as_of,
        known_at=asked.known_at,
        reading=asked.readings,
        **asked.given(),
    )
    return Wording.of(each_of(again)).right(question)


def _remarks(opened: Opened, recorded: Explanation, done: DecisionVerification) -> Iterator[str]:
    asked, words = recorded.question, Wording.of(each_of(opened))
    yield f"On {asked.as_of}, as known on {asked.known_at}: {recorded.outcome} was recorded."
    if asked.suppositions:
        supposed = (fact_supposed(opened, words, text) for text in asked.suppositions)
        yield f"Supposed: {' · '.join(supposed)}."
    for note in done.notes:
        yield f"The {note.what} was edited since, without a change of meaning."
    yield f"Receipt {done.recorded.id}."
