"""Assumptions as they are typed: what is read, and what is refused with what to do."""

from decimal import Decimal as D

import pytest
from share_tables import share

from clauseway.agreement.language.definitions import Figure
from clauseway.ledger import read_assumptions
from clauseway.ledger.assumptions import check_taken, replace_items
from clauseway.values import Citation, InvalidInput
from terms_at_hand import documents, reading

CITATION = Citation(term="f", amendment="0", document="agreement.md", line=1, source="P", text="What it is.")
FIGURES = {
    name: Figure(id=name, value=value, standing=standing, citation=CITATION)
    for name, value, standing in [
        ("share", "20 %", "reported"),
        ("cap", "USD 38000000000", "reported"),
        ("other-share", "50 %", "placeholder"),
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
    ("cap=25_000.50", "25000.50"),
    ("cap=38000000000.5", "38000000000.5"),
]


@pytest.mark.parametrize(("item", "value"), PERCENTAGES)
def test_percentages(item: str, value: str) -> None:
    assert read_assumptions([item], FIGURES).percentage("share") == D(value)


@pytest.mark.parametrize(("item", "value"), AMOUNTS)
def test_amounts(item: str, value: str) -> None:
    assert read_assumptions([item], FIGURES).amount("cap") == D(value)


NAMED = ["share", "cap", "other-share"]

# what is typed → what every statement says of it, and what machines read
STANDINGS = [
    ([], "wholesale", "100 % (ours)", "ours"),
    ([], "share", "20 % (reported)", "reported"),
    (["share"], "share", "20 % (reported)", "reported"),
    (["share=20%"], "share", "20% (reported)", "reported"),
    (["share=0.2"], "share", "0.2 (reported)", "reported"),
    (["share=18%"], "share", "18%, given (20 % was reported)", "given"),
    (["cap=USD 38 billion"], "cap", "USD 38 billion (reported)", "reported"),
    (["cap=500"], "cap", "500, given (USD 38,000,000,000 was reported)", "given"),
    (["other-share"], "other-share", "50 % (placeholder)", "placeholder"),
    (["other-share=30%"], "other-share", "30%, given (50 % was a placeholder)", "given"),
    (["revenue-owner=host"], "revenue-owner", "host, given (seller is ours)", "given"),
    (["wholesale=90%", "wholesale=amazon:80%"], "wholesale", "90%; amazon:80%, given (100 % is ours)", "given"),
    (["cap-counts=all-payments:5"], "cap-counts", "all-payments:5, given (from-a5 is ours)", "given"),
]


@pytest.mark.parametrize(("items", "name", "said", "standing"), STANDINGS)
def test_a_value_that_was_given_is_never_called_reported(items: list[str], name: str, said: str, standing: str) -> None:
    read = read_assumptions(items, FIGURES)
    (used,) = (sale for sale in read.used(NAMED) if sale.name == name)
    assert (used.in_words, used.standing) == (said, standing)
    # The assumptions that a settlement accepted make the same again, with the same standing.
    again = read_assumptions([f"{used.name}={value}" for value in used.value.split("; ")], FIGURES)
    assert [sale.in_words for sale in again.used(NAMED) if sale.name == name] == [said]


def test_a_placeholder_is_used_only_where_it_was_accepted() -> None:
    (problem,) = read_assumptions([], FIGURES).undisclosed(["other-share"])
    assert "no value was reported (P), and 50 % is a placeholder" in problem.why
    assert "--assume other-share=VALUE" in problem.remedy
    assert read_assumptions(["other-share"], FIGURES).undisclosed(["other-share"]) == []
    assert [sale.name for sale in read_assumptions([], FIGURES).used([])] == [
        "cap-counts",
        "revenue-owner",
        "wholesale",
    ]


def test_a_refusal_says_a_reported_sum_with_its_thousands_apart() -> None:
    (problem,) = read_assumptions([], FIGURES).undisclosed(["cap"])
    assert "USD 38,000,000,000 was reported" in problem.why


def test_a_declared_value_may_group_with_commas_and_a_given_one_may_not() -> None:
    cap = Figure(id="cap", value="USD 38,000,000,000", standing="reported", citation=CITATION)
    for item in ("cap", "cap=USD 38,000,000,000", "cap=38_000_000_000"):
        read = read_assumptions([item], {"cap": cap})
        assert (read.amount("cap"), read.used(["cap"])[0].standing) == (D(38_000_000_000), "reported")
    with pytest.raises(InvalidInput, match="a comma groups"):
        read_assumptions(["cap=USD 30,000,000,000"], {"cap": cap})


def test_a_default_that_cannot_be_read_is_told_where_it_stands() -> None:
    wholesale = Figure(id="wholesale", value="90,5 %", standing="ours", citation=CITATION)
    with pytest.raises(InvalidInput, match=r"agreement.md:1: figure wholesale says '90,5 %'"):
        read_assumptions([], {"wholesale": wholesale})


# what an agreement declares → what was paid before, toward every cap of the agreement
OPENINGS = [("from-a5", "0"), ("all-payments:50", "50"), ("all-payments:USD 1.5 million", "1500000")]


@pytest.mark.parametrize(("declared", "paid"), OPENINGS)
def test_a_declared_sum_counts_toward_the_cap(declared: str, paid: str) -> None:
    counts = {"cap-counts": Figure(id="cap-counts", value=declared, standing="ours", citation=CITATION)}
    for items in ([], ["cap-counts"], [f"cap-counts={declared}"]):
        read = read_assumptions(items, counts)
        assert read.opening_balance == D(paid)
        assert [sale.in_words for sale in read.used(["cap-counts"])] == [f"{declared} (ours)"]
    assert read_assumptions(["cap-counts=all-payments:7"], counts).opening_balance == 7


def test_wholesale_by_seller() -> None:
    read = read_assumptions(["wholesale=90%", "wholesale=amazon:80%"], FIGURES)
    assert (read.wholesale("amazon"), read.wholesale("oracle")) == (D("0.8"), D("0.9"))
    assert read_assumptions([], FIGURES).wholesale("amazon") == 1
    (named,) = (a for a in read.used([]) if a.name == "wholesale")
    assert named.value == "90%; amazon:80%"


def test_a_general_figure_holds_for_the_shares_of_agreements_that_declare_it() -> None:
    read = read_assumptions(["wholesale=90%", "cap-counts=all-payments:7", "revenue-owner=host"], FIGURES)
    own, other = read.of(share()), read.of(share(undeclared=("cap-counts", "revenue-owner", "wholesale")))
    assert (own.wholesale("oracle"), own.opening_balance, own.host_owns) == (D("0.9"), D(7), True)
    assert (other.wholesale("oracle"), other.opening_balance, other.host_owns) == (D(1), D(0), False)


# Items held · items given → those that hold from now on: what is given takes the place of all of its figures.
REPLACED = [
    (["cap=5", "share"], ["cap = 6"], ["share", "cap = 6"]),
    (["wholesale=90%", "wholesale=amazon:80%", "cap"], ["wholesale=70%"], ["cap", "wholesale=70%"]),
    (["cap=5"], [], ["cap=5"]),
]


@pytest.mark.parametrize(("held", "given", "left"), REPLACED)
def test_what_is_given_takes_the_place_of_what_is_held(held: list[str], given: list[str], left: list[str]) -> None:
    assert replace_items(held, given) == left


REFUSED = [
    ("speed", "unknown assumption 'speed'"),
    ("share=120%", "more than the whole"),
    ("share=20", "Write 20 % if that is meant"),
    ("share=1", "Write 1 % if that is meant"),
    ("share=1,5 %", "Write 1.5 or 15 "),
    ("share=a fifth", "Write a percentage"),
    # A variable of the shell that is not set: nobody has accepted the figure as declared.
    ("cap=", "cap= cannot be read: no value stands behind the equals sign"),
    ("share= ", "no value stands behind the equals sign"),
    ("revenue-owner=", "no value stands behind the equals sign"),
    ("cap=-1", "a minus sign"),
    ("cap=a lot", "Write an amount"),
    ("cap=38,5", "Write 38.5 or 385 "),
    ("cap=25,000.50", "a comma groups digits for some"),
    ("cap=USD 38,000,000,000", "a comma groups digits for some"),
    ("cap=1e3", "an exponent"),
    ("cap=20 %", "Write an amount"),
    ("cap=1000 trillion", "more than 15 digits"),
    ("cap=0.001", "not a whole number of cents"),
    ("cap-counts=all-payments", "what had been paid before is missing"),
    ("cap-counts=everything", "Write from-a5, or all-payments:"),
    ("revenue-owner=customer", "Write seller or host"),
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


DECLARED = """figures:
  wholesale: {value: 100 %, standing: ours, says: All of it., source: [T]}
  cap-counts: {value: from-this-contract, standing: ours, says: From the contract on., source: [T]}
  revenue-owner: {value: seller, standing: ours, says: The seller., source: [T]}
  share: {value: 10 %, standing: reported, says: The share., source: [T]}
  cap: {value: USD 500, standing: reported, says: The cap., source: [T]}
rules:"""
ITEMS = ["share", "cap=400", "revenue-owner=host", "cap-counts=all-payments:5", "wholesale=90%", "wholesale=rival:80%"]
SECOND = (
    "id: s2\nkind: revenue-share\npayer: maker\npayee: rival\nrate: share\n"
    "base: {sellers: [maker, rival], wholesale: true}"
)
# The base, and what the share states of a cap → the items that no share takes.
TAKEN = [
    ("{sellers: [maker], wholesale: true}", "cap: cap", []),
    ("{sellers: [maker]}", "cap: cap", ["wholesale=90%", "wholesale=rival:80%"]),
    ("{sellers: [maker], wholesale: true, wholesale-except: [rival]}", "cap: cap", ["wholesale=rival:80%"]),
    ("{sellers: [maker, rival], wholesale: true}", "cap: cap", ["wholesale=rival:80%"]),
    ("{sellers: [maker], wholesale: true}", "cap: cap\ncap-opening: USD 5", ["cap-counts=all-payments:5"]),
    ("{sellers: [maker], wholesale: true}", "", ["cap=400", "cap-counts=all-payments:5"]),
    # A share that takes a seller's sales as others' is enough, whatever a second share makes of them.
    ("{sellers: [maker], wholesale: true}", f"cap: cap\n\n{SECOND}", []),
]


@pytest.mark.parametrize(("base", "cap", "left_out"), TAKEN)
def test_a_figure_that_no_share_takes_is_refused(base: str, cap: str, left_out: list[str]) -> None:
    share = f"id: s\nkind: revenue-share\npayer: maker\npayee: partner\nrate: share\nbase: {base}\n{cap}"
    texts = documents(share)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", DECLARED, 1)
    opened = reading(texts)
    check_taken([item for item in ITEMS if item not in left_out], [opened.agreement], "--assume")
    for item in left_out:
        with pytest.raises(InvalidInput, match=f"{item} has no effect"):
            check_taken([item], [opened.agreement], "--assume")
