"""A product that no agreement in force names is refused by a gateway, or served and called unstated, as a home says."""

from datetime import date
from pathlib import Path

import pytest

from clauseway.app.opening.configuration import read_configuration
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import Opened, open_agreements
from clauseway.app.running.configuring import show_configuration
from clauseway.app.running.planning import compile_plan
from clauseway.gateway.plan import Plan, Refusal, Route
from clauseway.metering import Ruling
from clauseway.pricing import PriceTable, parse_book
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns
from deployments import deployment
from selection_rig import HASH_KEY, Bench, key

KNOWN_AT = KnownAt.recorded_on(date(2026, 11, 20), sequence=0)
SERVE = 'unstated = "serve"\n'
BOOK = """\
product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.5,,,,input_tokens,2022-01-01,,2022-01-01,5.00,test
gpt-5.5,,,,output_tokens,2022-01-01,,2022-01-01,30.00,test
gpt-4o-mini,,,,input_tokens,2022-01-01,,2022-01-01,0.15,test
gpt-4o-mini,,,,output_tokens,2022-01-01,,2022-01-01,0.60,test
"""
MODELS = '{"gpt-5.5" = "m", "gpt-4o-mini" = "n"}'
TWO = deployment("azure", cloud="azure", models=MODELS) + deployment("aws", cloud="aws", models=MODELS)
NAMED_ALONE = TWO.replace(', "gpt-4o-mini" = "n"', "")

# An agreement that names what the built-in one does not, and keeps it on Azure.
BESIDE = {
    "agreement.md": """---
id: beside
title: Beside
---

```yaml definitions
sources: {T: the text}
parties: [openai, microsoft]
clouds: {azure: microsoft, aws: microsoft}
segments: [any]
classes: {models: {actions: [serve, sell]}}
products: {gpt-4o-mini: {class: models, first-shipped-by: 2024-07-18}}
rules: {unstated: Nothing., owner: The owner may., grant: Others need one., share: Where due., licensee: It ends.}
```
""",
    "B1.md": """---
id: B1
title: The first
announced: 2026-05-10
effective: 2026-05-10
---

## 1.1 On Azure

OpenAI owns its models, and serves them on Azure alone.

```yaml term
id: B1.owns
kind: ownership
party: openai
products: [models]
source: [T]
```

```yaml term
id: B1.azure
kind: exclusivity
actions: [serve]
products: [models]
only: {clouds: [azure]}
source: [T]
```
""",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "clauseway.toml"
    path.write_text(text)
    return path


def compiled(folder: Path, text: str, opened: Opened | None = None) -> Plan:
    opened = opened or open_agreement()
    path = written(folder, text)
    configuration = read_configuration(path, opened.catalog)
    prices = PriceTable(parse_book(BOOK, "book"), KNOWN_AT)
    return compile_plan(opened, configuration, [key()], HASH_KEY, known_at=KNOWN_AT, prices=prices, where=path)


def route(made: Plan, product: str, day: str) -> Route:
    instant = start_of_day_ns(date.fromisoformat(day))
    return [epoch for epoch in made.epochs if epoch.begin_ns <= instant][-1].routes[f"openai|{product}|any"]


def served(made: Plan, product: str, day: str) -> dict[str, str]:
    """The clouds that serve a product on a day, and the outcome under which each does."""
    return {
        made.targets[index].label.cloud: made.rulings[ruling].outcome
        for index, ruling in route(made, product, day).candidates
    }


def refusal_on_aws(made: Plan, day: str) -> Refusal:
    [refused] = [refusal for refusal in route(made, "gpt-4o-mini", day).refusals if refusal.cloud == "aws"]
    return refused


@pytest.fixture
def both(tmp_path: Path) -> Opened:
    folder = tmp_path / "beside"
    folder.mkdir()
    for name, text in BESIDE.items():
        (folder / name).write_text(text)
    return open_agreements([None, folder])


SERVED = [
    # product, day: what the built-in agreement says, and who serves
    ("gpt-4o-mini", "2022-06-01", {"azure": "unstated", "aws": "unstated"}),
    ("gpt-4o-mini", "2026-06-01", {"azure": "unstated", "aws": "unstated"}),
    ("gpt-5.5", "2022-06-01", {"azure": "unstated", "aws": "unstated"}),
    ("gpt-5.5", "2026-03-01", {"azure": "permitted"}),
    ("gpt-5.5", "2026-06-01", {"azure": "permitted", "aws": "permitted"}),
]


@pytest.mark.parametrize(("product", "day", "clouds"), SERVED)
def test_a_home_that_serves_what_is_unstated_never_calls_it_permitted(
    tmp_path: Path, product: str, day: str, clouds: dict[str, str]
) -> None:
    assert served(compiled(tmp_path, SERVE + TWO), product, day) == clouds


def test_what_an_agreement_forbids_is_refused_though_another_is_silent(tmp_path: Path, both: Opened) -> None:
    made = compiled(tmp_path, SERVE + TWO, both)
    assert served(made, "gpt-4o-mini", "2026-05-09") == {"azure": "unstated", "aws": "unstated"}
    assert served(made, "gpt-4o-mini", "2026-05-10") == {"azure": "permitted"}
    message = refusal_on_aws(made, "2026-05-10").message
    assert message.startswith("OpenAI may not sell gpt-4o-mini on AWS (forbidden by B1.azure, B1.md:")
    assert "unstated =" not in message


def test_a_refusal_names_the_setting_that_would_serve(tmp_path: Path, both: Opened) -> None:
    made = compiled(tmp_path, TWO, both)
    assert served(made, "gpt-4o-mini", "2026-05-09") == {}
    refused = refusal_on_aws(made, "2026-05-09")
    assert refused.outcome == "unstated"
    assert refused.message.startswith(
        "No agreement in force states that OpenAI may sell gpt-4o-mini on AWS (unstated by "
    )
    assert refused.message.endswith('unstated = "serve" at the top of clauseway.toml would serve it.')


@pytest.mark.parametrize("text", [NAMED_ALONE, 'unstated = "refuse"\n' + NAMED_ALONE])
def test_by_default_nothing_unstated_is_served(tmp_path: Path, text: str) -> None:
    made = compiled(tmp_path, text)
    assert {ruling.outcome for ruling in made.rulings} == {"permitted"}


def test_a_deployment_of_what_is_not_named_is_told_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        compiled(tmp_path, TWO)
    problems = refused.value.problems
    assert [problem.what for problem in problems] == [
        "azure: unknown product 'gpt-4o-mini'",
        "aws: unknown product 'gpt-4o-mini'",
    ]
    assert "clauseway fact record product --product gpt-4o-mini" in problems[0].remedy
    assert 'unstated = "serve"' in problems[0].remedy


def test_a_name_that_nothing_knows_is_a_mistake_either_way(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown product 'gpt-4o-mni'"):
        compiled(tmp_path, SERVE + TWO.replace("gpt-4o-mini", "gpt-4o-mni"))


def test_another_word_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        compiled(tmp_path, '\nunstated = "allow"\n' + NAMED_ALONE)
    [problem] = refused.value.problems
    assert (problem.line, problem.what) == (2, "unstated = 'allow' cannot be")


@pytest.mark.parametrize(("text", "value", "source"), [(SERVE, "serve", "line 1"), ("", "refuse", "default")])
def test_the_setting_is_shown(tmp_path: Path, text: str, value: str, source: str) -> None:
    [shown] = [
        setting
        for setting in show_configuration(written(tmp_path, text + NAMED_ALONE), open_agreement().catalog)
        if setting.key == "unstated"
    ]
    assert (shown.value, shown.source) == (value, source)


def test_the_answer_and_the_metered_ruling_say_unstated(tmp_path: Path) -> None:
    bench = Bench(compiled(tmp_path, SERVE + TWO))
    at_ns = start_of_day_ns(date(2026, 6, 1))
    for product, outcome in (("gpt-4o-mini", "unstated"), ("gpt-5.5", "permitted")):
        candidates = bench.choice(at_ns, product).candidates
        assert len(candidates) == 2
        line = f"x-clauseway-outcome: {outcome}\r\n".encode()
        assert all(line in candidate.headers for candidate in candidates)


def test_the_ruling_of_what_is_unstated_can_be_repeated(tmp_path: Path) -> None:
    made = compiled(tmp_path, SERVE + TWO)
    [(_, number), *_] = route(made, "gpt-4o-mini", "2026-06-01").candidates
    ruling: Ruling = made.rulings[number]
    assert (ruling.outcome, ruling.terms) == ("unstated", ("unstated",))
    decision = open_agreement().decide(
        action="sell", party="openai", product="gpt-4o-mini", cloud="azure", as_of="1970-01-01", known_at=KNOWN_AT
    )
    assert decision.receipt.id in {known.decision for known in made.rulings}
