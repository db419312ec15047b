"""Assumptions as they are typed: what is read, and what is refused with what to do."""

from decimal import Decimal as D

import pytest

from clauseway.agreement.agreement import Figure
from clauseway.ledger import read_assumptions
from clauseway.values import Citation, InvalidInput

CITATION = Citation(term="f", amendment="0", document="agreement.md", line=1, source="P", text="What it is.")
FIGURES = {
    name: Figure(id=name, value=value, standing=standing, citation=CITATION)
    for name, value, standing in [
        ("share", "20 %", "reported"),
        ("cap", "USD 38000000000", "reported"),
        ("cap-counts", "from-a5", "ours"),
        ("revenue-owner", "seller", "ours"),
        ("wholesale", "100 %", "ours"),
    ]
}

PERCENTAGES = [
    ("share", "0.2"),
    ("share=20%", "0.2"),
    ("share=0.175", "0.175"),
    ("share = 17.5 %", "0.175"),
    ("share=0", "0"),
]
AMOUNTS = [
    ("cap", "38000000000"),
    ("cap=38000000000", "38000000000"),
    ("cap=USD 38 billion", "38000000000"),
    ("cap=1.5 million", "1500000"),
    ("cap=25,000.50", "25000.50"),
    ("cap=1e3", "1000"),
]


@pytest.mark.parametrize(("item", "value"), PERCENTAGES)
def test_percentages(item: str, value: str) -> None:
    assert read_assumptions([item], FIGURES).percentage("share") == D(value)


@pytest.mark.parametrize(("item", "value"), AMOUNTS)
def test_amounts(item: str, value: str) -> None:
    assert read_assumptions([item], FIGURES).amount("cap") == D(value)


def test_wholesale_by_seller() -> None:
    read = read_assumptions(["wholesale=90%", "wholesale=amazon:80%"], FIGURES)
    assert (read.wholesale("amazon"), read.wholesale("oracle")) == (D("0.8"), D("0.9"))
    assert read_assumptions([], FIGURES).wholesale("amazon") == 1
    (named,) = (a for a in read.used([]) if a.name == "wholesale")
    assert named.value == "90%; amazon:80%"


REFUSED = [
    ("speed", "unknown assumption 'speed'"),
    ("share=120%", "more than the whole"),
    ("share=20", "more than the whole"),
    ("share=a fifth", "write a percentage"),
    ("cap=-1", "write an amount"),
    ("cap=a lot", "write an amount"),
    ("cap=0.001", "no whole number of cents"),
    ("cap-counts=all-payments", "what had been paid before is missing"),
    ("cap-counts=everything", "write from-a5, or all-payments:"),
    ("revenue-owner=customer", "write seller or host"),
    ("wholesale=amazon:150%", "more than the whole"),
]


@pytest.mark.parametrize(("item", "said"), REFUSED)
def test_refused(item: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_assumptions([item], FIGURES)


def test_every_problem_at_once_and_no_value_twice() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_assumptions([item for item, _ in REFUSED], FIGURES)
    assert len(refused.value.problems) == len(REFUSED)
    with pytest.raises(InvalidInput, match="it was given as 20% too"):
        read_assumptions(["share=20%", "share=21%"], FIGURES)
    for said in (["wholesale=90%", "wholesale=80%"], ["wholesale=amazon:90%", "wholesale=amazon:80%"]):
        with pytest.raises(InvalidInput, match="90% too"):
            read_assumptions(said, FIGURES)
    each = read_assumptions(["wholesale=90%", "wholesale=amazon:80%", "wholesale=oracle:70%"], FIGURES)
    assert [each.wholesale(seller) for seller in ("google", "amazon", "oracle")] == [D("0.9"), D("0.8"), D("0.7")]
