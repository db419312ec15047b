"""Numbers in an agreement's text: what is read, and what is refused with its line and the way to write it."""

import pytest
from small_agreement import with_edits

from clauseway.agreement import read_agreement
from clauseway.values import InvalidInput


def written(key: str, text: str) -> dict[str, str]:
    """The small agreement, with one more line in its share or another rate."""
    return with_edits(("A1.md", 43, f"rate: {text}" if key == "rate" else f"rate: rate\n{key}: {text}"))


# An agreement's text: a comma groups only where it can be no decimal sign.
IN_TEXT = [("cap", "USD 38,000,000,000"), ("cap", "25,000.50"), ("cap", "5_000"), ("rate", "17.5 %"), ("rate", "0.2")]
NOT_IN_TEXT = [
    ("rate", "1,5 %"),
    ("rate", "20"),
    ("rate", "1"),
    ("rate", "+5 %"),
    ("rate", "1e1 %"),
    ("rate", "-5 %"),
    ("rate", "\uff12\uff10 %"),
    ("rate", "120 %"),
    ("cap", "38,5"),
    ("cap", "25,000"),
    ("cap", "1.000,50"),
    ("cap", "1.000.000"),
    ("cap", "USD 1,5 billion"),
    ("cap", "1e9"),
    ("cap", "-5"),
    ("cap", "20 %"),
    ("cap", ".5"),
    ("cap", "USD NaN"),
    ("cap", "1_00"),
    ("cap", "5000 trillion"),
    ("payment", "{due-days: 3,5}"),
    ("payment", "{due-days: 1e1}"),
    ("payment", "{due-days: +30}"),
    ("payment", "{due-days: 1_0}"),
    ("payment", "{due-days: \u0661}"),
    ("payment", "{due-days: 30.5}"),
]


@pytest.mark.parametrize(("key", "text"), IN_TEXT)
def test_numbers_of_an_agreement(key: str, text: str) -> None:
    read_agreement(written(key, text))


@pytest.mark.parametrize(("key", "text"), NOT_IN_TEXT)
def test_no_numbers_of_an_agreement(key: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_agreement(written(key, text))
    [problem] = refused.value.problems
    assert (problem.where, problem.line > 0) == ("A1.md", True)
    assert problem.why
    assert problem.remedy


@pytest.mark.parametrize("text", ["EUR 5 million", "\u20ac 100", "5 million EUR", "\u00a35", "1,000 GBP"])
def test_an_amount_in_another_currency_is_told_a_way_out(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_agreement(written("cap", text))
    [problem] = refused.value.problems
    assert problem.why == "it is in another currency, and sums are counted in USD"
    assert "figure" in problem.remedy


def test_the_value_of_a_figure_is_read_where_a_term_uses_it() -> None:
    figure = "  rate: {says: The rate., value: '1,5 %', standing: ours, source: [T]}"
    with pytest.raises(InvalidInput) as refused:
        read_agreement(with_edits(("agreement.md", 28, figure)))
    [problem] = refused.value.problems
    assert (problem.where, problem.line) == ("agreement.md", 28)
    assert problem.what == "the value '1,5 %' of figure rate cannot be read"
    assert problem.remedy == "Write 1.5 or 15 whichever is meant."
