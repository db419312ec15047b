"""An agreement as a lawyer writes one, and sixty-six questions that were answered by hand before they were asked.

The folder `appointment` beside this file holds the agreement: an exclusive appointment for a region, notice and cure,
first refusal for each hall by itself, a share with tiers, a floor and a cap, and four amendments, the third of them
retroactive. `appointment_questions.md` holds the questions.
"""

import json
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from clauseway import open_agreement
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.app.agreements.batch import decide_file
from clauseway.decisions.question import RESTS_ON
from clauseway.ledger import Inputs, RevenueLine, read_assumptions, settle
from clauseway.values import Interval

APPOINTMENT = open_agreement(Path(__file__).with_name("appointment"))
# A table in Markdown: question, as of, known at the end of, answer, the first term that decides, because.
QUESTIONS = Path(__file__).with_name("appointment_questions.md")
ANSWERS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in QUESTIONS.read_text("utf-8").splitlines()
    if line.startswith("|") and not line.startswith(("| asked", "|---"))
]

# month · sold by Harbor for chat · for images · due · because
SETTLED = [
    ("2024-02", "0.00", "0.00", "100.00", "at least 100"),
    ("2024-03", "1500.00", "700.00", "275.00", "1,000 × 20 % + 500 × 15 %; images are in no base"),
    ("2024-04", "200.00", "0.00", "100.00", "200 × 15 % is 30, so at least 100"),
    ("2024-05", "10000.00", "0.00", "1165.00", "3,300 × 15 % + 6,700 × 10 %; 11,700 in all"),
    ("2024-06", "6000.00", "0.00", "360.00", "10 % is 600; 1,640 were due before, and 2,000 is the most"),
    ("2024-07", "6000.00", "0.00", "0.00", "the cap is reached"),
]


def parts_of(question: str) -> dict[str, Any]:
    """Action, party, product, cloud, place, segment; `to=` and `by=` name the other party and the seller."""
    words = [word for word in question.split() if "=" not in word]
    named = dict(word.split("=") for word in question.split() if "=" in word)
    parts = dict(zip(("action", "party", "product", "cloud", "region", "segment"), words, strict=False))
    return parts | {"to": named.get("to", ""), "seller": named.get("by", "")}


@pytest.mark.parametrize(("question", "day", "known", "answer", "decides", "because"), ANSWERS)
def test_an_answer_is_the_one_by_hand(
    question: str, day: str, known: str, answer: str, decides: str, because: str
) -> None:
    decision = APPOINTMENT.decide(**parts_of(question), as_of=day, known_at=known or None)
    assert (decision.outcome, decision.reasons[0].term) == (answer, decides), because


def test_a_file_of_these_questions_is_answered_alike(tmp_path: Path) -> None:
    rows = [
        {"id": str(number), **parts_of(question), "as_of": day, "known_at": known}
        for number, (question, day, known, *_) in enumerate(ANSWERS)
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    decide_file(APPOINTMENT, tmp_path / "questions.jsonl", tmp_path / "answers.jsonl", {})
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 66
    assert [row["outcome"] for row in answers] == [answer for _, _, _, answer, _, _ in ANSWERS]


def test_a_month_is_settled_as_by_hand() -> None:
    revenue = [
        RevenueLine(
            event_day=date.fromisoformat(f"{month}-15"),
            seller="harbor",
            cloud="harbor-cloud",
            product=product,
            amount=D(amount),
            requests=1,
        )
        for month, chat, images, _, _ in SETTLED
        for product, amount in (("beacon", chat), ("flare", images))
    ]
    due = []
    for month, *_ in SETTLED:
        begin = date.fromisoformat(f"{month}-01")
        settlement = settle(
            period=Interval(begin, begin.replace(month=begin.month + 1)),
            shares=APPOINTMENT.revenue_shares(),
            revenue=revenue,
            catalog=APPOINTMENT.catalog,
            assumptions=read_assumptions([], APPOINTMENT.agreement.figures),
            inputs=Inputs(agreement="a", price_book="b", batches=("c",), known_at="everything", engine="test"),
        )
        [share] = settlement.shares
        due.append(str(share.amount))
    assert due == [amount for _, _, _, amount, _ in SETTLED]


def test_the_agreement_is_sound() -> None:
    remarks = check_agreement(APPOINTMENT.agreement, APPOINTMENT.facts, RESTS_ON)
    assert [remark for remark in remarks if remark.severity != "note"] == []
