"""Two findings that must both hold: what they say together."""

from itertools import product

import pytest

from clauseway.decisions.case import Finding, combined
from clauseway.decisions.decision import Condition, Outcome

CONDITION = Condition(term="t", text="a grant must be recorded", needs=())
FINDINGS = {
    "forbidden": Finding(Outcome.FORBIDDEN, ()),
    "unstated": Finding(Outcome.UNSTATED, ()),
    "conditional": Finding(Outcome.CONDITIONAL, (), (CONDITION,)),
    "permitted": Finding(Outcome.PERMITTED, ()),
}
STRICTEST_FIRST = list(FINDINGS)


@pytest.mark.parametrize(("first", "second"), list(product(FINDINGS, repeat=2)))
def test_of_two_findings_the_stricter_is_the_answer(first: str, second: str) -> None:
    together = combined(FINDINGS[first], FINDINGS[second])
    assert together.outcome == min(first, second, key=STRICTEST_FIRST.index)
    assert together.conditions == ((CONDITION,) if together.outcome is Outcome.CONDITIONAL else ())
