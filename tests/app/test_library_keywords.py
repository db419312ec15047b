"""The library says which keyword is wrong, as any call in Python does, and which was meant."""

import pytest

from clauseway import open_agreement

SERVE = {"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({**SERVE, "asof": "2026-05-01"}, "no part 'asof': Did you mean 'as_of'?"),
        ({**SERVE, "readings": {"R1": "or"}}, "no part 'readings': Did you mean 'reading'?"),
        ({**SERVE, "where": "aws"}, "no part 'where': Known: action, as_of, cloud,"),
        ({"action": "serve"}, "a question needs party"),
        ({}, "a question needs action and party"),
    ],
)
def test_a_wrong_keyword_is_told(given: dict[str, object], says: str) -> None:
    agreement = open_agreement()
    for ask in (agreement.decide, agreement.question):
        with pytest.raises(TypeError) as refused:
            ask(**given)  # type: ignore[arg-type]
        assert says in str(refused.value)
