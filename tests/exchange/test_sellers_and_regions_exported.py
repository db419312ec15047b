"""Exports of an agreement whose terms keep to sellers and regions, asked of by judges from outside."""

from datetime import date

import msgspec
import pytest
from outside_judges import JUDGES, cedar_requests
from regopy import Interpreter

from clauseway import KnownAt
from clauseway.app.agreements.exporting import cedar, extract
from clauseway.decisions import Question, all_questions
from clauseway.exchange.agreements import AGREEMENT_FORMATS
from clauseway.values import InvalidInput
from housed_data import opened

DAYS = (date(2023, 12, 31), date(2026, 1, 1), date(2026, 7, 1))


def questions(day: date) -> list[Question]:
    """Every combination, with every seller; `elsewhere` and places stand among the regions."""
    agreement = opened()
    return list(all_questions(agreement.agreement, agreement.catalog, as_of=day, known_at=KnownAt.everything()))


@pytest.mark.parametrize("judge", JUDGES)
def test_every_seller_and_region(judge: str) -> None:
    for day in DAYS:
        asked = questions(day)
        ours = [opened().answer(question).outcome for question in asked]
        heard = JUDGES[judge].answers(extract(opened(), day, KnownAt.everything()), asked)
        assert heard == ours
    assert any(question.seller != question.party for question in asked)
    assert {*ours} == {"permitted", "forbidden", "conditional"}


@pytest.mark.parametrize("judge", JUDGES)
def test_places_lie_in_their_regions(judge: str) -> None:
    places = {"north": "north-1", "south": "south-9"}
    taken = extract(opened(), DAYS[1], KnownAt.everything())
    for cloud, place in places.items():
        in_region = [question for question in questions(DAYS[1]) if (question.cloud, question.region) == (cloud, "eu")]
        at_place = [msgspec.structs.replace(question, region=place) for question in in_region]
        answers = JUDGES[judge].answers
        assert answers(taken, at_place) == answers(taken, in_region)


def test_the_seller_stands_in_the_requests_of_cedar() -> None:
    """Those of the hosting come first, those of the sale follow; who sells what it serves is its host."""
    taken = extract(opened(), DAYS[1], KnownAt.everything())
    parts = {"action": "serve", "party": "maker", "product": "app", "cloud": "own", "region": "us"}
    requests = cedar_requests(taken, **parts, seller="reseller")
    assert [(request["principal"]["id"], request["action"]["id"]) for request in requests] == [
        ("maker", "serve"),
        ("maker", "serve.once-met"),
        ("maker", "serve.stated"),
        ("reseller", "sell"),
        ("reseller", "sell.once-met"),
        ("reseller", "sell.stated"),
    ]
    assert {(request["context"]["seller"], request["context"]["region"]) for request in requests} == {
        ("reseller", "us")
    }
    itself = cedar_requests(taken, **parts)[3:]
    assert {(request["principal"]["id"], request["context"]["host"]) for request in itself} == {("maker", "maker")}
    assert [request["action"]["id"] for request in itself] == ["sell", "sell.once-met", "sell.stated"]


def test_what_the_terms_keep_to_is_written() -> None:
    taken = extract(opened(), DAYS[1], KnownAt.everything())
    assert '["broker", "reseller"].contains(context.seller)' in cedar(taken)[0]
    assert '["eu"].contains(context.region)' in cedar(taken)[0]
    assert 'act.seller in {"broker", "reseller"}' in AGREEMENT_FORMATS["rego"](taken)
    assert 'places := {"north": {"north-1": "eu"}, "south": {"south-1": "us", "south-9": "eu"}}' in AGREEMENT_FORMATS[
        "rego"
    ](taken)


def test_a_region_that_says_nothing_gets_no_answer() -> None:
    taken = extract(opened(), DAYS[1], KnownAt.everything())
    for region in ("", "mars"):
        with pytest.raises(InvalidInput):
            cedar_requests(taken, action="serve", party="maker", product="app", cloud="north", region=region)
        interpreter = Interpreter()
        interpreter.add_module("housed", AGREEMENT_FORMATS["rego"](taken))
        interpreter.set_input(
            {"action": "serve", "party": "maker", "product": "app", "cloud": "north", "region": region}
        )
        assert str(interpreter.query("data.clauseway.outcome")) == "undefined"
