"""A configuration of six deployments compiled to a plan, and what a gateway selects by it."""

import json
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from clauseway.app.opening.configuration import Configuration, read_configuration
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.running.configuring import retired_here
from clauseway.app.running.planning import compile_plan
from clauseway.gateway.plan import Plan, Policy
from clauseway.metering import Unit
from clauseway.pricing import PriceTable, UnknownPrice, parse_book
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns
from selection_rig import HASH_KEY, Bench, key

# Products that the text does not know are recorded; class and decisions are then those of any stateless API.
PRODUCTS = """\
- {kind: product, product: text-embedding-3-small, class: api.stateless, first-shipped-by: 2024-01-25}
- {kind: product, product: whisper-1, class: api.stateless, first-shipped-by: 2023-03-01}
- {kind: product, product: gpt-image-1, class: api.stateless, first-shipped-by: 2025-04-23}
"""
KNOWN_AT = KnownAt.recorded_on(date(2026, 11, 20), sequence=0)
BOOK = """\
product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.5,,,,input_tokens,2026-04-23,,2026-04-23,5.00,test
gpt-5.5,,,,cached_input_tokens,2026-04-23,,2026-04-23,0.50,test
gpt-5.5,,,,output_tokens,2026-04-23,,2026-04-23,30.00,test
gpt-5.5,aws,,,input_tokens,2026-04-23,,2026-04-23,5.50,test
gpt-5.5,oci,,,output_tokens,2026-06-01,,2026-06-01,20.00,test
text-embedding-3-small,,,,input_tokens,2024-01-25,,2024-01-25,0.02,test
whisper-1,,,,audio_input_milliseconds,2023-03-01,,2023-03-01,0.10,test
"""
COMMON = 'seller = "openai"\nauth = {kind = "none"}\nmodels = {"gpt-5.5" = "gpt-5.5"}\n'
SIX = f"""\
[[deployment]]
name = "direct"
dialect = "openai"
url = "https://api.openai.com/v1"
cloud = "openai-own"
region = "global"
residency = "us"
certifications = ["soc2"]
{COMMON}
[[deployment]]
name = "sweden"
dialect = "azure"
url = "https://contoso.openai.azure.com/openai/v1"
cloud = "azure"
region = "swedencentral"
residency = "eu"
certifications = ["soc2", "hipaa"]
quota_requests_per_minute = 600
{COMMON}
[[deployment]]
name = "reserved"
dialect = "azure"
url = "https://fabrikam.openai.azure.com/openai/v1"
cloud = "azure"
region = "eastus2"
residency = "us"
provisioned = true
lacks = ["vision"]
{COMMON}
[[deployment]]
name = "ohio"
dialect = "bedrock"
url = "https://bedrock-mantle.us-east-2.api.aws/openai/v1"
cloud = "aws"
region = "us-east-2"
residency = "us"
has = ["file-search"]
{COMMON}
[[deployment]]
name = "google"
dialect = "vertex"
url = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/openai/v1"
cloud = "google-cloud"
region = "global"
{COMMON}
[[deployment]]
name = "chicago"
dialect = "oci"
url = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1"
cloud = "oci"
region = "us-chicago-1"
residency = "us"
{COMMON}
[[commitment]]
name = "credits"
kind = "universal-credits"
amount = 1000
from = 2026-01-01
until = 2027-01-01
clouds = ["oci"]

[[commitment]]
name = "macc"
kind = "macc"
amount = "2_000.50"
currency = "EUR"
usd_rate = "1.10"
from = 2026-01-01
until = 2029-01-01
clouds = ["azure"]
"""


@cache
def opened() -> OpenAgreement:
    """The built-in agreement, with the products of other endpoints."""
    with TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.yaml"
        facts.write_text(PRODUCTS)
        return open_agreement().with_facts_from(facts)


def configuration(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "clauseway.toml"
    path.write_text(text.replace('"none"', '"bearer", secret_env = "HOME"'))
    return read_configuration(path, opened().catalog, secrets=False)


def compiled(tmp_path: Path, text: str = SIX, policy: Policy | None = None, book: str = BOOK, **named: Any) -> Plan:
    prices = PriceTable(parse_book(book, "book"), KNOWN_AT)
    where = tmp_path / "clauseway.toml"
    made = compile_plan(
        opened(),
        configuration(tmp_path, text),
        [key()],
        HASH_KEY,
        known_at=KNOWN_AT,
        prices=prices,
        where=where,
        **named,
    )
    return Plan(**{name: getattr(made, name) for name in made.__struct_fields__} | {"policies": (policy or Policy(),)})


def body(**members: Any) -> bytes:
    return json.dumps({"model": "gpt-5.5", "messages": [{"role": "user", "content": "hello"}], **members}).encode()


def at(day: str) -> int:
    return start_of_day_ns(date.fromisoformat(day))


PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}]}]
ALL = ["reserved", "sweden", "direct", "ohio", "chicago"]  # google has Responses only
EU = Policy(residency=("eu",))
CHEAPEST, COMMITTED = Policy(strategy="cheapest"), Policy(strategy="commitment")

# policy, request, day → order
ORDERS = [
    (Policy(), {}, "2026-11-20", ALL),
    (Policy(), {}, "2026-03-01", ["reserved", "sweden"]),  # before A5: on Azure alone; no price then either
    (EU, {}, "2026-11-20", ["sweden"]),
    (Policy(certifications=("hipaa",)), {}, "2026-11-20", ["sweden"]),
    (Policy(), {"messages": PICTURE}, "2026-11-20", ["sweden", "direct", "ohio", "chicago"]),
    (Policy(), {"service_tier": "flex"}, "2026-11-20", ["direct", "chicago"]),  # Azure has it for other models
    # Web search on Bedrock came with October 2026.
    (Policy(), {"web_search_options": {}}, "2026-09-30", ["reserved", "sweden", "direct"]),
    (Policy(), {"web_search_options": {}}, "2026-10-01", ["reserved", "sweden", "direct", "ohio"]),
    (CHEAPEST, {}, "2026-11-20", ["reserved", "chicago", "sweden", "direct", "ohio"]),
    (COMMITTED, {}, "2026-11-20", ["reserved", "chicago", "sweden", "direct", "ohio"]),
    (COMMITTED, {}, "2027-01-01", ["reserved", "sweden", "direct", "ohio", "chicago"]),  # credits lapsed
]


@pytest.mark.parametrize(("policy", "members", "day", "order"), ORDERS)
def test_the_order(tmp_path: Path, policy: Policy, members: dict[str, Any], day: str, order: list[str]) -> None:
    bench = Bench(compiled(tmp_path, policy=policy))
    assert bench.order(body(**members), at_ns=at(day)) == order


def test_an_operation_goes_where_it_is_offered(tmp_path: Path) -> None:
    assert Bench(compiled(tmp_path)).order_of_responses(at("2026-11-20")) == [*ALL[:-1], "google", "chicago"]


def test_reasons_name_capability_and_source(tmp_path: Path) -> None:
    bench = Bench(compiled(tmp_path))
    passed = {
        target.deployment: target.reason
        for target in bench.select(body(service_tier="flex", messages=PICTURE), at_ns=at("2026-11-20")).skipped
    }
    assert passed["reserved"].startswith("lacks vision (the deployment's configuration says so); lacks flex (")
    assert passed["ohio"].startswith("lacks flex (AWS solutions library")


def test_the_deployments_own_word_goes_before_the_matrix(tmp_path: Path) -> None:
    targets = {target.label.deployment: target for target in compiled(tmp_path).targets}
    lacking = {lack.capability for lack in targets["ohio"].lacks}
    assert "code-interpreter" in lacking
    assert "file-search" not in lacking


def test_limits_names_and_prices_come_from_catalog_and_book(tmp_path: Path) -> None:
    made = compiled(tmp_path)
    targets = {target.label.deployment: target for target in made.targets}
    assert (targets["direct"].context_tokens_max, targets["ohio"].context_tokens_max) == (1_050_000, 1_000_000)
    assert targets["sweden"].quota_requests_per_minute == 600
    assert made.models["gpt-5.5-2026-04-23"] == "gpt-5.5"
    assert "gpt-5.5-2026-04-23" in made.snapshots
    spans = [(span.begin_ns, span.units[Unit.OUTPUT_TOKENS]) for span in targets["chicago"].prices]
    assert spans == [(at("2026-04-23"), 30_000_000), (at("2026-06-01"), 20_000_000)]


def test_prices_of_long_requests_come_along(tmp_path: Path) -> None:
    """A tenth dearer above 272,000 tokens of input."""
    line = "gpt-5.5,oci,,,input_tokens,2026-06-01,,2026-06-01,5.50,test,,272000\n"
    made = compiled(
        tmp_path, book=BOOK.replace("source\n", "source,tier,above\n").replace(",test\n", ",test,,\n") + line
    )
    chicago = next(target for target in made.targets if target.label.deployment == "chicago")
    rows = {(span.above, span.units[Unit.INPUT_TOKENS]) for span in chicago.prices if span.begin_ns >= at("2026-06-01")}
    assert rows == {(0, 5_000_000), (272_000, 5_500_000)}


def test_a_commitment_is_what_was_promised_less_what_was_spent(tmp_path: Path) -> None:
    credits, macc = compiled(tmp_path, spent={"credits": 250 * 10**12}).commitments
    assert (credits.name, credits.left) == ("credits", 750 * 10**12)
    assert macc.left == 2_200_550 * 10**9, "2,000.50 EUR at 1.10 USD"


OTHER = SIX.partition('[[deployment]]\nname = "sweden"')[0]


def test_other_kinds_of_models_need_other_prices(tmp_path: Path) -> None:
    models = '{"text-embedding-3-small" = "e", "whisper-1" = "w"}'
    made = compiled(tmp_path, OTHER.replace('{"gpt-5.5" = "gpt-5.5"}', models))
    embedding, whisper = made.targets
    assert (embedding.kind, embedding.output_tokens_max, embedding.output_price) == ("embedding", 0, 0)
    assert whisper.prices[0].units == {Unit.AUDIO_INPUT_MILLISECONDS: 100_000}
    with pytest.raises(UnknownPrice, match=r"gpt-image-1"):
        compiled(tmp_path, OTHER.replace('{"gpt-5.5" = "gpt-5.5"}', '{"gpt-image-1" = "i"}'))


def test_who_asks_for_what_was_retired_before_it_could_be_served_here_learns_its_successor(tmp_path: Path) -> None:
    tables = Bench(compiled(tmp_path)).tables
    assert tables.retired(at("2026-09-30"), "gpt-4o-2024-05-13") == ""
    assert "retired by azure on 2026-10-01" in tables.retired(at("2026-10-22"), "gpt-4o-2024-05-13")
    assert "'gpt-5.6-sol'" in tables.retired(at("2026-10-23"), "gpt-4o-2024-05-13")
    elsewhere = Bench(compiled(tmp_path, OTHER)).tables
    assert elsewhere.retired(at("2026-10-22"), "gpt-4o-2024-05-13") == "", "no deployment is Azure's"
    assert tables.retired(at("2026-11-20"), "never-heard-of") == ""


def test_a_model_that_the_agreement_does_not_know_is_told_how_to_be_recorded(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        configuration(tmp_path, OTHER.replace('{"gpt-5.5" = "gpt-5.5"}', '{"gpt-4o-transcribe" = "t"}'))
    assert "clauseway fact record product --product gpt-4o-transcribe" in refused.value.problems[0].remedy


def test_a_retired_name_is_told_with_the_day(tmp_path: Path) -> None:
    models = '{"whisper-1" = "whisper-1"}'
    plan = compiled(tmp_path, OTHER.replace('{"gpt-5.5" = "gpt-5.5"}', models))
    assert list(retired_here(plan, at("2027-02-25"))) == []
    (warning,) = retired_here(plan, at("2027-02-26"))
    assert "is asked last: The model 'whisper-1' was retired by openai on 2027-02-26" in warning
    bench = Bench(plan)
    assert bench.choice(at("2027-02-25"), "whisper-1").retired == ""
    retired = bench.choice(at("2027-02-26"), "whisper-1").retired
    assert "retired by openai on 2027-02-26" in retired
    assert "'gpt-transcribe'" in retired


def azure_alone(tmp_path: Path, model: str = "mine", more: str = "") -> Plan:
    """Azure's deployments by the shipped catalogue: of gpt-5.5 (to 2027-04-23), under a name of the operator's."""
    deployment = SIX.partition("[[deployment]]\n")[2].split("[[deployment]]\n")[1]
    written = "[[deployment]]\n" + deployment.replace('"gpt-5.5" = "gpt-5.5"', f'"gpt-5.5" = "{model}"') + more
    return compiled(tmp_path, written)


@pytest.mark.parametrize("name", ["gpt-5.5", "gpt-5.5-2026-04-24", "openai.gpt-5.5", "ours"])
def test_a_model_retires_under_every_name_that_it_is_asked_by(tmp_path: Path, name: str) -> None:
    """Its own, a snapshot's, another cloud's, and one that the operator gave it."""
    plan = azure_alone(tmp_path, more='[names]\nours = "gpt-5.5"\n')
    bench = Bench(plan)
    assert bench.choice(at("2027-04-22"), name).retired == ""
    assert "was retired by azure on 2027-04-23" in bench.choice(at("2027-04-23"), name).retired
    assert bench.tables.models(at("2027-04-23"), bench.customer) == []
    assert len(list(retired_here(plan, at("2027-04-23")))) == 2, "product and snapshot, each once"


def test_a_deployment_of_a_retired_snapshot_comes_last_whatever_name_is_asked(tmp_path: Path) -> None:
    """The day is that of what the deployment serves; where that is not known, of the name that is asked."""
    plan = azure_alone(tmp_path, "gpt-5.5-2026-04-24")
    (warning,) = retired_here(plan, at("2027-04-23"))
    assert "'gpt-5.5-2026-04-24' was retired by azure on 2027-04-23" in warning
    assert "'gpt-5.5-2026-04-24'" in Bench(plan).choice(at("2027-04-23"), "gpt-5.5").retired
    other = azure_alone(tmp_path, "gpt-5.5-2026-04-23")
    assert "'gpt-5.5' was retired by azure" in Bench(other).choice(at("2027-04-23"), "gpt-5.5").retired


def test_who_asks_by_another_clouds_name_for_what_nothing_serves_learns_its_successor(tmp_path: Path) -> None:
    anthropics = compiled(
        tmp_path,
        OTHER.replace('"openai"\nurl = "https://api.openai.com', '"anthropic"\nurl = "https://api.anthropic.com'),
    )
    tables = Bench(anthropics).tables
    reason = tables.retired(at("2026-08-05"), "claude-opus-4-1")
    assert "'claude-opus-4-8'" in reason
    assert tables.retired(at("2026-08-04"), "claude-opus-4-1") == ""
    azures = Bench(azure_alone(tmp_path)).tables
    assert "retired by azure on 2027-03-05" in azures.retired(at("2027-03-05"), "openai.gpt-5.4")


WRONG = [
    ('lacks = ["vision"]', 'lacks = ["sight"]', "unknown capability 'sight'"),
    ('lacks = ["vision"]', 'lacks = ["vision"]\nhas = ["vision"]', "has and lacks vision"),
    ('residency = "eu"', 'surface = "marble"', "unknown surface 'marble'"),
    ('residency = "eu"', 'residency = "   "', "residency names '   '"),
    ('certifications = ["soc2"]', 'certifications = ["soc2", ""]', "certifications names ''"),
    ('currency = "EUR"', 'currency = "Zlotys"', "unknown currency 'Zlotys'"),
    ('residency = "eu"', 'vector_stores = {"vs_1" = ["acme"]}', "'acme' is not a project"),
    ("quota_requests_per_minute = 600", "quota_requests_per_minute = -1", "cannot be"),
    ('kind = "macc"', 'kind = "promise"', "unknown kind 'promise'"),
    ('clouds = ["oci"]', 'clouds = ["cloud-nine"]', "unknown cloud 'cloud-nine'"),
    ("amount = 1000", "amount = 0", "amount = 0"),
    ("until = 2027-01-01", "until = 2026-01-01", "ends before it begins"),
    ('usd_rate = "1.10"\n', "", "EUR without a rate"),
    ('currency = "EUR"\n', "", "usd_rate = 1.10 of an amount in USD"),
    ('name = "macc"', 'name = "credits"', "two commitments 'credits'"),
]


@pytest.mark.parametrize(("written", "instead", "what"), WRONG)
def test_what_means_nothing_is_told_with_its_line(tmp_path: Path, written: str, instead: str, what: str) -> None:
    assert SIX.count(written) == 1
    with pytest.raises(InvalidInput) as refused:
        configuration(tmp_path, SIX.replace(written, instead))
    (problem,) = refused.value.problems
    assert what in problem.what
    assert problem.line


def test_a_vector_store_lies_at_one_deployment(tmp_path: Path) -> None:
    written = SIX.replace("residency =", 'vector_stores = {"vs_1" = ["acme/search"]}\nresidency =')
    with pytest.raises(InvalidInput) as refused:
        configuration(tmp_path, written)
    assert len(refused.value.problems) == written.count("vs_1") - 1
    assert all("'vs_1' stands at" in problem.what for problem in refused.value.problems)
