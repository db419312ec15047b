"""Why nobody serves a sale, in one message: where only a deployment is missing first, then each clause once."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from bench.price_tables import open_prices

from clauseway.app.opening.configuration import Configuration, read_configuration
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import each_of
from clauseway.app.running.planning import compile_plan
from clauseway.app.screens.clause_places import citations_of
from clauseway.app.screens.engineer_page import grouped_refusals
from clauseway.app.screens.gateway_glances import RefusalGlance
from clauseway.gateway.plan import Plan, Route
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns
from clauseway.wording.names import Wording
from deployments import deployment
from selection_rig import HASH_KEY, SECRET, Bench, key

KNOWN_AT = KnownAt.recorded_on(date(2026, 11, 20), sequence=0)
NO_DEPLOYMENT = "On AWS Amazon may sell gpt-5.5, but no deployment of it there is sold by Amazon."
BY_GRANT = (
    "Amazon may not sell gpt-5.5 on Azure, Google Cloud, OCI or OpenAI-own (conditional by "
    "A5.ends-exclusive-sale, A5.md:39): Microsoft's exclusive right to sell OpenAI's models ends. Others sell by "
    "OpenAI's grant. OpenAI must grant it to Amazon; no grant is recorded."
)
BY_SALE = (
    "Amazon may not sell gpt-5.5 on AWS, Azure, Google Cloud, OCI or OpenAI-own (forbidden by A1.sale, A1.md:92): "
    "Beside OpenAI, Microsoft is the only seller of OpenAI models, in every customer segment."
)
# day, seller: all that is said to a key which asks for no cloud, or how it begins
TOLD = [
    ("2026-11-20", "amazon", f"{NO_DEPLOYMENT} {BY_GRANT}"),
    ("2026-04-26", "amazon", BY_SALE),
    ("2026-11-20", "openai", ""),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    opened = open_agreement()
    path = tmp_path_factory.mktemp("plan") / "clauseway.toml"
    path.write_text(deployment("azure", cloud="azure") + deployment("aws", cloud="aws"))
    configuration = read_configuration(path, opened.catalog)
    return with_keys(configuration, path, {"openai": SECRET, "amazon": "sk-amazon"})


def with_keys(configuration: Configuration, path: Path, secrets: Mapping[str, str]) -> Plan:
    """The plan with a key for each seller."""
    keys = [key(secret, seller, key_id=seller) for seller, secret in secrets.items()]
    prices = open_prices(KNOWN_AT)
    return compile_plan(open_agreement(), configuration, keys, HASH_KEY, known_at=KNOWN_AT, prices=prices, where=path)


def route(made: Plan, seller: str, day: str) -> Route:
    instant = start_of_day_ns(date.fromisoformat(day))
    return [epoch for epoch in made.epochs if epoch.begin_ns <= instant][-1].routes[f"{seller}|gpt-5.5|any"]


@pytest.mark.parametrize(("day", "seller", "said"), TOLD)
def test_each_clause_is_said_once(made: Plan, day: str, seller: str, said: str) -> None:
    reason = route(made, seller, day).everywhere
    assert reason == said
    assert len(reason) < 500


def test_keys_of_sellers_that_no_agreement_names_are_named(tmp_path: Path) -> None:
    path = tmp_path / "clauseway.toml"
    path.write_text(deployment("azure", cloud="azure"))
    configuration = read_configuration(path, open_agreement().catalog)
    with pytest.raises(InvalidInput) as refused:
        with_keys(configuration, path, {"openai": SECRET, "anthropic": "sk-anthropic", "mistral": "sk-mistral"})
    assert [problem.what for problem in refused.value.problems] == [
        "the key anthropic of acme buys from 'anthropic'",
        "the key mistral of acme buys from 'mistral'",
    ]
    assert "clauseway key revoke anthropic" in refused.value.problems[0].remedy


def test_where_a_deployment_is_missing_the_terms_that_permit_the_sale_are_named(made: Plan) -> None:
    asked = route(made, "amazon", "2026-11-20")
    [aws] = asked.unserved
    assert (aws.cloud, aws.message, aws.terms[0]) == ("aws", NO_DEPLOYMENT, "A5.any-cloud")
    assert "aws" not in {refusal.cloud for refusal in asked.refusals}


def test_on_the_screen_a_clause_stands_once_for_each_seller_with_its_place_in_the_text(made: Plan) -> None:
    opened = open_agreement()
    epoch = [epoch for epoch in made.epochs if epoch.begin_ns <= start_of_day_ns(date(2026, 11, 20))][-1]
    results = [
        RefusalGlance(
            market=market, cloud=refusal.cloud, outcome=refusal.outcome, message=refusal.message, terms=refusal.terms
        )
        for market, route in epoch.routes.items()
        for refusal in route.refusals
    ]
    groups = list(grouped_refusals(Wording.of(each_of(opened)), citations_of(opened), results))
    assert len(results) > 4 * len(groups)
    assert [(group.outcome, group.clauses[0].term, group.sales) for group in groups] == [
        (
            "conditional",
            "A5.ends-exclusive-sale",
            ("Amazon: gpt-5.5 on Azure, Google Cloud, OCI or OpenAI-own",),
        )
    ]


def test_a_cloud_that_nothing_closes_is_known_though_nobody_deploys_there(made: Plan) -> None:
    assert {"google-cloud", "oci"} <= Bench(made).tables.clouds


def test_a_served_request_says_which_deployment_the_agreement_ruled_out(made: Plan) -> None:
    selection = Bench(made).select(at_ns=start_of_day_ns(date(2026, 4, 26)))
    [candidate] = selection.candidates
    assert candidate.target.cloud == "azure"
    assert candidate.terms
    [skipped] = selection.skipped
    assert str(skipped) == "aws aws: ruled out by A4.api"
    assert skipped.terms[0] == "A4.api"
