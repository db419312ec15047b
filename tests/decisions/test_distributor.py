"""A second agreement written as a lawyer writes one, and sixty-eight questions answered by hand before they were asked.

The folder `distributor` holds it: an exclusive and a sole appointment, a host that may not sell, halls offered one by
one, a notice that is cured and one that is not, a grant, a share with bands, a minimum and a cap, and four documents,
the third of them retroactive. `distributor_questions.md` holds the questions.
"""

from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from reference_evaluator import World
from test_appointment import parts_of

from clauseway import open_agreement
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.app.agreements.checking import check_folder
from clauseway.app.opening.home import home_at
from clauseway.decisions import Tables
from clauseway.decisions.question import RESTS_ON
from clauseway.ledger import Inputs, RevenueLine, read_assumptions, settle
from clauseway.values import Interval

FOLDER = Path(__file__).with_name("distributor")
DISTRIBUTOR = open_agreement(FOLDER)
QUESTIONS = FOLDER.with_name("distributor_questions.md")
ANSWERS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in QUESTIONS.read_text("utf-8").splitlines()
    if line.startswith("|") and not line.startswith(("| asked", "|---"))
]
# Everything that happened is known by then.
LATER = "2028-12-31"

# month · texts sold by Meridian · voices · due · because
SETTLED = [
    ("2025-01", "500.00", "900.00", "60.00", "500 × 12 %; voices are in no base"),
    ("2025-02", "100.00", "0.00", "50.00", "12, so at least 50"),
    ("2025-03", "2400.00", "0.00", "248.00", "400 × 12 % + 2,000 × 10 %; 358 in all"),
    ("2025-04", "1000.00", "0.00", "42.00", "10 % is 100; 400 is the most"),
    ("2025-05", "1000.00", "0.00", "0.00", "the cap is reached"),
]


def test_there_are_sixty_eight() -> None:
    assert len(ANSWERS) == 68


@pytest.mark.parametrize(("question", "day", "known", "answer", "because"), ANSWERS)
def test_an_answer_is_the_one_by_hand(question: str, day: str, known: str, answer: str, because: str) -> None:
    asked = DISTRIBUTOR.question(**parts_of(question), as_of=day, known_at=known or LATER)
    decision = DISTRIBUTOR.answer(asked)
    assert decision.outcome == answer, because
    tables = Tables(DISTRIBUTOR.agreement, DISTRIBUTOR.catalog, DISTRIBUTOR.facts)
    assert tables.decide(asked) == decision
    assert World(DISTRIBUTOR, asked).answer() == answer


def test_a_month_is_settled_as_by_hand() -> None:
    revenue = [
        RevenueLine(
            event_day=date.fromisoformat(f"{month}-15"),
            seller="meridian",
            cloud="meridian-cloud",
            product=product,
            amount=D(amount),
            requests=1,
        )
        for month, texts, voices, _, _ in SETTLED
        for product, amount in (("script", texts), ("timbre", voices))
    ]
    due = []
    for month, *_ in SETTLED:
        begin = date.fromisoformat(f"{month}-01")
        settlement = settle(
            period=Interval(begin, begin.replace(month=begin.month + 1)),
            shares=DISTRIBUTOR.revenue_shares(),
            revenue=revenue,
            catalog=DISTRIBUTOR.catalog,
            assumptions=read_assumptions([], DISTRIBUTOR.agreement.figures),
            inputs=Inputs(agreement="a", price_book="b", batches=("c",), known_at="everything", engine="test"),
        )
        [share] = settlement.shares
        due.append(str(share.amount))
    assert due == [amount for _, _, _, amount, _ in SETTLED]


def test_nothing_is_remarked_on_and_each_term_has_an_effect(tmp_path: Path) -> None:
    """The end that a change sets to an exclusivity counts: the notice that ended it earlier might never have come."""
    assert check_agreement(DISTRIBUTOR.agreement, DISTRIBUTOR.facts, RESTS_ON) == ()
    view = check_folder(FOLDER, home_at(tmp_path))
    assert view.remarks == ()
    terms = {term.id for amendment in DISTRIBUTOR.agreement.amendments for term in amendment.terms}
    assert {effect.term for effect in view.effects} == terms
