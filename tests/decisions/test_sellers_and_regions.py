"""Terms that keep to sellers and regions: what is decided, by the engine and by its table, and how it is told.

The agreement below is small enough to be read beside the table of questions. Outside judges are asked of it in
`tests/exchange/test_sellers_and_regions_exported.py`.
"""

from datetime import date
from pathlib import Path

import pytest

from clauseway import KnownAt, Outcome, Question, open_agreement
from clauseway.agreement import read_agreement
from clauseway.agreement.authoring.formatting import format_document
from clauseway.decisions import Tables, all_questions
from clauseway.decisions.searches.change import would_change
from clauseway.decisions.searches.compare import Combination, Side, compare, grouped
from clauseway.decisions.searches.proof import Claim, Within, prove
from clauseway.decisions.tables.domain import names_sellers
from clauseway.decisions.trace import trace
from clauseway.values import Interval, InvalidInput
from housed_data import DOCUMENTS, answered, asking, opened

# action | party | cloud | sold by | segment | region | outcome | term of the first reason
DECIDED = """
serve | maker    | north | maker    | any    | eu         | permitted   | H1.eu
serve | maker    | north | maker    | any    | north-1    | permitted   | H1.eu
serve | maker    | south | maker    | any    | eu         | forbidden   | H1.eu
serve | maker    | south | maker    | any    | south-9    | forbidden   | H1.eu
serve | maker    | south | maker    | any    | us         | permitted   | H1.own-products
serve | maker    | south | maker    | any    | south-1    | permitted   | H1.own-products
serve | maker    | south | maker    | any    | elsewhere  | permitted   | H1.own-products
serve | maker    | south | maker    | state  | us         | forbidden   | H1.state
serve | maker    | south | maker    | state  | eu         | forbidden   | H1.eu
serve | maker    | north | maker    | state  | eu         | permitted   | H1.eu
serve | maker    | south | reseller | any    | us         | permitted   | H1.own
serve | maker    | south | reseller | any    | elsewhere  | conditional | grant
serve | maker    | south | reseller | any    | eu         | forbidden   | H1.eu
serve | maker    | north | reseller | any    | eu         | permitted   | H1.eu
serve | maker    | north | broker   | any    | us         | conditional | grant
sell  | reseller | south | reseller | any    | south-1    | permitted   | H1.own
sell  | reseller | south | reseller | any    | elsewhere  | conditional | grant
sell  | reseller | north | reseller | any    | eu         | permitted   | H1.eu
sell  | reseller | south | reseller | any    | eu         | forbidden   | H1.eu
serve | maker    | own   | maker    | any    | us         | permitted   | H1.own-products
serve | maker    | own   | reseller | any    | us         | forbidden   | H1.own
serve | maker    | own   | broker   | any    | us         | forbidden   | H1.own
sell  | reseller | own   | reseller | any    | us         | forbidden   | H1.own
"""
DAY = date(2026, 1, 1)
ROWS = [tuple(part.strip() for part in line.split("|")) for line in DECIDED.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_decided(row: tuple[str, ...]) -> None:
    *parts, outcome, because = row
    action, party, cloud, seller, segment, region = parts
    decision = answered(action, party, cloud, seller, segment, region)
    assert (decision.outcome, decision.reasons[0].term) == (outcome, because), decision.reasons


def test_the_table_says_the_same_of_everything() -> None:
    agreement = opened()
    tables = Tables(agreement.agreement, agreement.catalog, agreement.facts)
    count = 0
    for day in (date(2023, 12, 31), DAY, date(2027, 1, 1)):
        for question in all_questions(agreement.agreement, agreement.catalog, as_of=day, known_at=KnownAt.everything()):
            assert tables.decide(question) == agreement.answer(question), question
            count += 1
    sellers = {question.seller for question in _questions() if question.action == "serve" and question.party == "maker"}
    assert sellers == {"maker", "host", "reseller", "broker"}
    assert {question.region for question in _questions() if question.cloud} == {"eu", "us", "elsewhere"}
    assert count > 1000


def _questions() -> list[Question]:
    agreement = opened()
    return list(all_questions(agreement.agreement, agreement.catalog, as_of=DAY, known_at=KnownAt.everything()))


def test_a_place_answers_as_the_region_in_which_it_lies() -> None:
    for place, cloud, region in (("north-1", "north", "eu"), ("south-9", "south", "eu"), ("south-1", "south", "us")):
        for segment in ("any", "state"):
            parts = ("serve", "maker", cloud, "reseller", segment)
            at_the_place, in_the_region = answered(*parts, place), answered(*parts, region)
            assert at_the_place.outcome == in_the_region.outcome
            assert at_the_place.reasons == in_the_region.reasons


# --- nothing is guessed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "what", "remedy"),
    [
        ("", "it is missing", "Name a place as its cloud does, or one of eu, us, elsewhere."),
        (
            "north-11",
            "unknown region 'north-11'",
            "Did you mean 'north-1'? If it lies in none of the regions, ask with --region elsewhere.",
        ),
        (
            "mars",
            "unknown region 'mars'",
            "Known: elsewhere, eu, north-1, us. If it lies in none of the regions, ask with --region elsewhere.",
        ),
        (
            "south-1",
            "unknown region 'south-1'",
            "Did you mean 'north-1'? If it lies in none of the regions, ask with --region elsewhere.",
        ),
        ("u\x00", "'u\\x00' is not a region", "Name the region as its cloud does."),
    ],
)
def test_a_region_that_says_nothing_is_refused(region: str, what: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asking("serve", "maker", "north", "maker", "any", region)
    [problem] = refused.value.problems
    assert (problem.where, problem.what, problem.remedy) == ("--region", what, remedy)
    assert region or problem.why == "H1.eu, H1.state, H1.reseller, H2.eu keep to regions"


def test_a_table_has_no_answer_either() -> None:
    agreement = opened()
    table = Tables(agreement.agreement, agreement.catalog, agreement.facts).table(KnownAt.everything(), {})
    for region in ("", "north-11"):
        with pytest.raises(KeyError):
            table.look_up("serve", "maker", "app", "north", as_of=DAY, region=region)
    with pytest.raises(KeyError):
        table.look_up("serve", "maker", "app", "north", as_of=DAY, seller="nobody", region="eu")


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_carve_out_says_for_whom_and_where() -> None:
    decision = answered("serve", "maker", "south", "maker", "state", "eu", day=date(2026, 7, 1))
    assert [(reason.term, reason.note) for reason in decision.reasons[:1]] == [
        ("H2.eu", "the carve-out for state, sales by maker, places in eu")
    ]
    assert decision.outcome == "permitted"
    sold_by_another = answered("serve", "maker", "south", "reseller", "state", "eu", day=date(2026, 7, 1))
    assert sold_by_another.outcome == "forbidden"


def test_the_trace_says_what_lies_outside() -> None:
    agreement = opened()
    outcomes = {}
    for parts in (("serve", "maker", "south", "maker", "any", "us"), ("serve", "maker", "own", "maker", "any", "us")):
        question = asking(*parts)
        traced = trace(agreement.agreement, agreement.catalog, agreement.facts, question, agreement.answer(question))
        outcomes[parts[2]] = {step.term: step.why for step in traced}
    assert outcomes["south"]["H1.eu"] == "the region us lies outside; it is about eu"
    assert outcomes["south"]["H1.state"] == "the segment any lies outside; it is about state"
    assert outcomes["own"]["H1.own"] == "the seller maker lies outside; it is about broker, reseller"


def test_what_would_change_is_asked_of_the_same_seller_and_region() -> None:
    agreement = opened()
    question = asking("serve", "maker", "south", "reseller", "any", "elsewhere")
    changes = would_change(
        agreement.agreement, agreement.catalog, agreement.facts, question, agreement.answer(question)
    )
    assert ("fact", "permitted", ("grant:reseller:app=2026-01-01",)) in [
        (change.kind, change.outcome, change.suppose) for change in changes
    ]


def test_a_comparison_tells_sellers_and_regions_apart() -> None:
    agreement = opened()
    sides = [
        Side(
            agreement=agreement.agreement,
            facts=agreement.facts,
            as_of=day,
            known_at=KnownAt.everything(),
            readings={},
        )
        for day in (date(2026, 6, 30), date(2026, 7, 1))
    ]
    changes = compare(sides[0], sides[1], agreement.catalog)
    in_eu = Combination(action="serve", party="maker", product="app", cloud="south", segment="state", region="eu")
    assert in_eu in {change.combination for change in changes}
    boxes = grouped(changes)
    assert {combination for box in boxes for combination in box.combinations()} == {
        change.combination for change in changes
    }
    assert sum(map(len, boxes)) == len(changes)


def test_a_proof_walks_over_sellers_and_regions() -> None:
    agreement = opened()

    def proved(sellers: tuple[str, ...], regions: tuple[str, ...]) -> tuple[bool, str, str]:
        proof = prove(
            agreement.agreement,
            agreement.catalog,
            agreement.facts,
            Claim(always=False, outcomes=frozenset({Outcome.FORBIDDEN})),
            Within(
                actions=("serve",),
                parties=("maker",),
                clouds=("south",),
                segments=("any",),
                sellers=sellers,
                regions=regions,
            ),
            Interval(DAY, date(2026, 6, 30)),
            known_at=KnownAt.everything(),
            readings=[{}],
        )
        counterexample = proof.counterexample
        return (
            proof.holds,
            counterexample.seller if counterexample else "",
            counterexample.region if counterexample else "",
        )

    assert proved(("maker",), ("us", "elsewhere")) == (True, "", "")
    assert proved(("maker",), ()) == (False, "maker", "eu")
    assert proved(("reseller",), ("eu",)) == (False, "reseller", "eu")
    # A place of a cloud stands for its region, as in a question.
    assert proved(("maker",), ("south-1",)) == (True, "", "")
    assert proved(("maker",), ("south-9",)) == (False, "maker", "eu")
    with pytest.raises(InvalidInput, match="unknown region 'north-1'"):
        proved(("maker",), ("north-1",))


# --- as text ---------------------------------------------------------------------------------------------------------


def test_the_layout_keeps_what_is_written() -> None:
    for text in DOCUMENTS.values():
        written = format_document(text)
        assert format_document(written) == written
    assert read_agreement({name: format_document(text) for name, text in DOCUMENTS.items()}).catalog == opened().catalog


def test_an_agreement_that_names_no_seller_asks_of_none() -> None:
    assert names_sellers(opened().agreement)
    without = {name: text.replace("sellers: [maker], ", "") for name, text in DOCUMENTS.items()}
    without["H1.md"] = without["H1.md"].replace("sellers: [reseller, broker]\n", "")
    assert not names_sellers(read_agreement(without))


def test_an_action_that_no_term_keeps_to_a_region_says_why_one_is_asked_for() -> None:
    opened = open_agreement(Path(__file__).with_name("appointment"))
    texts = []
    for action, product in (("sell", "beacon"), ("contract-compute", "hall-one")):
        with pytest.raises(InvalidInput) as refused:
            opened.decide(action=action, party="lumen", product=product, cloud="lumen-own", as_of="2024-05-01")
        texts += [problem.why for problem in refused.value.problems]
    assert texts[0].startswith("A1.appointment, A1.exclusive, ")
    assert texts[1] == "no term keeps contract-compute to a region, but a grant may be kept to one"


@pytest.mark.parametrize(
    ("written", "instead", "expected"),
    [
        ("  us: {south: [south-1]}", "  us: {south: [south-9]}", "'south-9' of south lies in two regions, eu and us"),
        ("  us: {south: [south-1]}", "  us: {south: [eu]}", "'eu' of south lies in two regions, eu and us"),
        ("  us: {south: [south-1]}", "  elsewhere: {}", "a region cannot be 'elsewhere'"),
        ("  us: {south: [south-1]}", "  us: {west: [w]}", "unknown cloud 'west'"),
        ("  us: {south: [south-1]}", "  us: [south-1]", "regions: 'us' does not fit"),
        ("  us: {south: [south-1]}", "  us: {south: south-1}", "regions: 'us' does not fit"),
        ("regions: [eu]\nonly: {clouds: [north]}", "regions: [ue]\nonly: {clouds: [north]}", "unknown region 'ue'"),
        ("sellers: [reseller, broker]", "sellers: [resller, broker]", "unknown party 'resller'"),
        ("only: {regions: [eu]}", "only: {regions: [eu], clouds: [own]}", "H1.state reserves nothing clear"),
        ("only: {regions: [eu]}", "only: {regions: [mars]}", "unknown region 'mars'"),
        ("sellers: [maker], regions: [eu]", "sellers: [maker], regions: [moon]", "unknown region 'moon'"),
    ],
)
def test_mistakes_have_their_message(written: str, instead: str, expected: str) -> None:
    texts = {name: text.replace(written, instead) for name, text in DOCUMENTS.items()}
    assert texts != DOCUMENTS
    with pytest.raises(InvalidInput) as refused:
        read_agreement(texts)
    assert expected in [problem.what for problem in refused.value.problems]
    assert all(problem.line for problem in refused.value.problems)
