"""Numbers in an agreement's text: what is read, and what is refused with its line and the way to write it."""

import pytest
from small_agreement import with_edits

from clauseway.agreement import read_agreement
from clauseway.values import InvalidInput


def written(key: str, text: str) -> dict[str, str]:
    """The small agreement, with one more line in its share or another rate."""
    return with_edits(("A1.md", 43, f"rate: {text}" if key == "rate" else f"rate: rate\n{key}: {text}"))


RATE = "  rate: {says: The rate., value: 10 %, standing: ours, source: [T]}\n"

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


# Figures that no term names. Each holds for every share of its agreement, so its value is read where it is written.
GENERAL_FIGURES = [
    ("revenue-owner", "seller", ""),
    ("revenue-owner", "host", ""),
    ("revenue-owner", "Host", "a sale belongs to whoever sells it, or to whoever operates its host cloud"),
    ("revenue-owner", "hosts", "a sale belongs to whoever sells it, or to whoever operates its host cloud"),
    ("wholesale", "85 %", ""),
    ("wholesale", "buyer:85 %", ""),
    ("wholesale", "eighty-five", "it is not a number"),
    ("wholesale", "150 %", "it is more than the whole"),
    ("wholesale", "byer:85 %", "the agreement has no party 'byer'"),
    ("wholesale", "buyer:85 %; maker:50 %", "the text says one percentage, of all sellers or of one"),
    ("cap-counts", "from-this-contract", ""),
    ("cap-counts", "all-payments:50", ""),
    ("cap-counts", "all-payments:5O", "it is not a number"),
    ("cap-counts", "all-payments", "what had been paid before is missing"),
    ("cap-counts", "all payments:50", "it is neither a word of yours nor all-payments:AMOUNT"),
    ("cap-counts", "All-payments", "it is neither a word of yours nor all-payments:AMOUNT"),
    ("cap-counts", "paid:50", "it is neither a word of yours nor all-payments:AMOUNT"),
]


@pytest.mark.parametrize(("name", "value", "why"), GENERAL_FIGURES)
def test_the_value_of_a_figure_that_no_term_names_is_read_where_it_is_written(name: str, value: str, why: str) -> None:
    figure = f"  {name}: {{says: It holds for all., value: '{value}', standing: ours, source: [T]}}"
    texts = with_edits(("agreement.md", 28, RATE + figure))
    if not why:
        read_agreement(texts)
        return
    with pytest.raises(InvalidInput) as refused:
        read_agreement(texts)
    [problem] = refused.value.problems
    assert (problem.where, problem.line) == ("agreement.md", 29)
    assert problem.what == f"the value {value!r} of figure {name} cannot be read"
    assert problem.why == why
    assert problem.remedy
