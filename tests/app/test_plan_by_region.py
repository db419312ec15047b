"""Routes where terms tell regions apart: a deployment is used where its own place is permitted."""

import tomllib
from datetime import date
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices

from clauseway.agreement import builtin
from clauseway.app.opening.configuration import Configuration
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.app.running.planning import compile_plan
from clauseway.gateway.plan import Plan, Route
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns
from deployments import deployment

REGIONS = "regions:\n  eu: {aws: [eu-west-1], azure: [westeurope]}\n  us: {aws: [us-east-1]}\nsegments:"
# In force from July 2026 on: in the EU the models are served on Azure alone.
IN_THE_EU = """---
id: A6
title: In the EU
announced: 2026-07-01
effective: 2026-07-01
sources: [P]
---

## 6.1 In the EU on Azure alone

As it says.

```yaml term
id: A6.eu
kind: exclusivity
actions: [serve]
products: [api]
regions: [eu]
only: {clouds: [azure]}
source: [P]
```
"""


def opened(folder: Path) -> OpenAgreement:
    for path in (Path(builtin.__path__[0]) / "openai-microsoft").glob("*.md"):
        (folder / path.name).write_text(path.read_text("utf-8").replace("\nsegments:", f"\n{REGIONS}"), "utf-8")
    (folder / "A6.md").write_text(IN_THE_EU, "utf-8")
    return open_agreement(folder)


def plan(agreement: OpenAgreement, *places: str) -> Plan:
    """One deployment of OpenAI's for each cloud and place."""
    written = "".join(
        deployment(place, cloud=place.partition("/")[0], region=place.partition("/")[2]) for place in places
    )
    known_at = KnownAt.end_of(date(2026, 11, 1))
    configuration = msgspec.convert(tomllib.loads(written), Configuration)
    prices = open_prices(known_at)
    return compile_plan(agreement, configuration, [], "00", known_at=known_at, prices=prices, where=Path("a file"))


def route(made: Plan, day: str) -> Route:
    instant = start_of_day_ns(date.fromisoformat(day))
    return [epoch for epoch in made.epochs if epoch.begin_ns <= instant][-1].routes["openai|gpt-5.5|any"]


def test_a_deployment_is_used_where_its_place_is_permitted(tmp_path: Path) -> None:
    made = plan(opened(tmp_path), "aws/eu-west-1", "aws/us-east-1", "azure/westeurope")
    used = {
        day: [made.targets[index].label.deployment for index, _ in route(made, day).candidates]
        for day in ("2026-06-30", "2026-07-01")
    }
    assert used == {
        "2026-06-30": ["azure/westeurope", "aws/eu-west-1", "aws/us-east-1"],
        "2026-07-01": ["azure/westeurope", "aws/us-east-1"],
    }
    [text] = [refusal.message for refusal in route(made, "2026-07-01").refusals if refusal.cloud == "aws"]
    assert text.startswith("OpenAI may not sell gpt-5.5 on AWS in eu (forbidden by A6.eu, A6.md:")


def test_a_place_of_which_nothing_says_where_it_lies_makes_no_plan(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        plan(opened(tmp_path), "aws/eu-west-1", "aws/eu-west-3")
    [problem] = refused.value.problems
    assert (problem.where, problem.what) == ("deployment aws/eu-west-3: region", "unknown region 'eu-west-3'")
    assert problem.remedy.endswith(
        "If it lies in none of the regions, list it under regions: in agreement.md, in a region that no term names."
    )
