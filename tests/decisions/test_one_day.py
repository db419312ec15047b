"""Questions about one day rest on one fold of the agreement, and never on that of another day, text or register."""

from typing import Any

import pytest

from clauseway import OpenAgreement
from clauseway.agreement import in_force
from clauseway.decisions import asking as decisions
from terms_at_hand import asking, documents, reading

DAY = "2026-06-01"
EXCLUSIVE = """
id: t
kind: exclusivity
actions: [serve]
products: [apps]
only: {clouds: [north]}
through: 2026-06-30"""
FIRST = """
id: t
kind: precedence
party: maker
first: north
actions: [serve]
products: [apps]
since: 2026-01-01
binds: every-product"""
OWN, NORTH = "serve maker app own", "serve maker app north"


def outcomes(opened: OpenAgreement, *questions: str, day: str = DAY) -> list[str]:
    return [opened.answer(asking(opened, question, day)).outcome for question in questions]


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of the arguments of each fold."""
    folded: list[Any] = []

    def fold(*basis: Any) -> Any:
        folded.append(basis)
        return in_force(*basis)

    monkeypatch.setattr(decisions, "in_force", fold)
    return folded


def test_questions_about_one_day_are_answered_from_one_fold(folds: list[Any]) -> None:
    opened = reading(documents(EXCLUSIVE))
    assert outcomes(opened, NORTH, OWN) == ["permitted", "forbidden"]
    assert len(folds) == 1
    assert outcomes(opened, NORTH, OWN, day="2026-07-01") == ["permitted", "permitted"]
    assert len(folds) == 2


def test_in_turn_each_agreement_and_each_register_has_its_own_answer() -> None:
    exclusive, first = reading(documents(EXCLUSIVE)), reading(documents(FIRST))
    launched = first.supposing(["launch:app:north:available=2026-05-01"])
    for _ in range(2):
        assert outcomes(exclusive, OWN) == ["forbidden"]
        assert outcomes(first, OWN) == ["conditional"]
        assert outcomes(launched, OWN) == ["permitted"]
