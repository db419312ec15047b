"""A gateway serves by several agreements at once, and as facts are recorded beside it."""

import tomllib
from datetime import date
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices

from clauseway.agreement import UncheckedFact
from clauseway.app.agreements.authoring import new_agreement
from clauseway.app.agreements.rights_over_time import timeline_of_rights
from clauseway.app.books.register import record_fact, with_register
from clauseway.app.opening.configuration import Configuration
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.several import OpenAgreements, Opened, open_agreements, text_hash
from clauseway.app.running.planning import compile_plan
from clauseway.gateway.plan import Plan, Route
from clauseway.values import KnownAt, start_of_day_ns
from deployments import deployment

CONFIGURATION = deployment("on-aws", cloud="aws", region="us-east-1") + deployment("on-azure")

KNOWN_AT = KnownAt.end_of(date(2026, 7, 1))

# An agreement of OpenAI and the deployment venture, over the same product, in words of its own.
CHANNEL = """---
id: channel
title: The channel
---

```yaml definitions
sources: {T: the text}
parties: [openai, deployment-venture]
clouds: {azure: deployment-venture, aws: deployment-venture}
segments: [any]
classes: {models: {actions: [serve, sell]}}
products: {gpt-5.5: {class: models, first-shipped-by: 2026-04-26}}
rules: {unstated: Nothing., owner: The owner may., grant: Others need one., share: Where due., licensee: It ends.}
```
"""
AMENDMENT = """---
id: C1
title: The first
announced: 2026-05-10
effective: 2026-05-10
---

## 1.1 Ownership

OpenAI owns its models.

```yaml term
id: C1.owns
kind: ownership
party: openai
products: [models]
source: [T]
```

## 1.2 More

{says}

```yaml term
{term}
source: [T]
```
"""
RESALE = "id: C1.resale\nkind: permission\nparty: deployment-venture\nactions: [sell]\nproducts: [models]"
NOT_AWS = "id: C1.azure\nkind: exclusivity\nactions: [serve]\nproducts: [models]\nonly: {clouds: [azure]}"


def channel(folder: Path, term: str) -> Path:
    folder.mkdir()
    (folder / "agreement.md").write_text(CHANNEL)
    (folder / "C1.md").write_text(AMENDMENT.format(says="It says more.", term=term))
    return folder


def both(folder: Path, term: str) -> Opened:
    return open_agreements([None, channel(folder, term)])


def plan(opened: Opened, sellers: list[str], known_at: KnownAt = KNOWN_AT) -> Plan:
    written = msgspec.convert(tomllib.loads(CONFIGURATION), Configuration)
    deployments = [
        msgspec.structs.replace(deployment, seller=seller) for seller in sellers for deployment in written.deployment
    ]
    configuration = Configuration(deployment=tuple(deployments))
    prices = open_prices(known_at)
    return compile_plan(opened, configuration, [], "00", known_at=known_at, prices=prices, where=Path("a file"))


def route(made: Plan, seller: str, day: str) -> Route:
    instant = start_of_day_ns(date.fromisoformat(day))
    epoch = [epoch for epoch in made.epochs if epoch.begin_ns <= instant][-1]
    return epoch.routes[f"{seller}|gpt-5.5|any"]


def clouds(made: Plan, seller: str, day: str) -> list[str]:
    return [made.targets[index].label.cloud for index, _ in route(made, seller, day).candidates]


def test_one_agreement_and_the_same_twice_over_plan_alike(tmp_path: Path) -> None:
    alone = plan(open_agreement(), ["openai"])
    silent = new_agreement(tmp_path / "silent")[0].parent
    beside = plan(open_agreements([None, silent]), ["openai"])
    for day in ("2024-06-01", "2026-04-26", "2026-04-27", "2026-06-01"):
        assert clouds(beside, "openai", day) == clouds(alone, "openai", day), day


def test_a_second_agreement_forbids_what_the_first_permits(tmp_path: Path) -> None:
    made = plan(both(tmp_path / "channel", NOT_AWS), ["openai"])
    assert clouds(made, "openai", "2026-05-09") == ["azure", "aws"]
    assert clouds(made, "openai", "2026-05-10") == ["azure"]
    [refused] = [refusal for refusal in route(made, "openai", "2026-05-10").refusals if refusal.cloud == "aws"]
    assert "C1.azure" in refused.message


def test_a_second_agreement_grants_what_the_first_leaves_open(tmp_path: Path) -> None:
    venture = ["openai", "deployment-venture"]
    alone = plan(open_agreement(), venture)
    made = plan(both(tmp_path / "channel", RESALE), venture)
    assert clouds(alone, "deployment-venture", "2026-05-10") == []
    assert clouds(made, "deployment-venture", "2026-05-09") == []
    assert clouds(made, "deployment-venture", "2026-05-10") == ["azure", "aws"]


def test_the_rulings_name_both_texts(tmp_path: Path) -> None:
    opened = both(tmp_path / "channel", RESALE)
    made = plan(opened, ["openai"])
    assert made.agreement == text_hash(opened)
    assert made.agreement.count("+") == 1
    receipts = [msgspec.json.decode(ruling.receipt) for ruling in made.rulings]
    assert all(receipt["agreement"].count("+") == 1 for receipt in receipts)


def test_the_pages_draw_the_rights_of_both(tmp_path: Path) -> None:
    opened = both(tmp_path / "channel", NOT_AWS)
    drawn = timeline_of_rights(opened, KnownAt.end_of(date(2026, 7, 1)))
    assert "C1" in {mark.label for mark in drawn.marks}
    [row] = [row for row in drawn.rows if row.label == "OpenAI serves gpt-5.5 on AWS"]
    outcomes = {segment.begin: segment.outcome for segment in row.stretches}
    assert outcomes[date(2026, 5, 10)] == "forbidden"


def test_a_recorded_fact_opens_a_route(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    opened = open_agreement()
    # Azure is not Google's: what is granted is the product, wherever OpenAI itself may serve it.
    given = UncheckedFact(
        kind="grant",
        effective="2026-05-10",
        source="a contract",
        says="Granted.",
        about={"party": "google", "product": "gpt-5.5"},
    )
    recorded = record_fact(home, opened, given)
    registered = with_register(opened, home)
    known, before = recorded.known, KnownAt(recorded.known.instant_ns, recorded.known.sequence - 1)
    assert clouds(plan(registered, ["google"], before), "google", "2026-05-10") == []
    assert clouds(plan(registered, ["google"], known), "google", "2026-05-09") == []
    assert clouds(plan(registered, ["google"], known), "google", "2026-05-10") == ["azure", "aws"]


def test_facts_recorded_for_another_agreement_do_no_harm(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    other = open_agreement(new_agreement(tmp_path / "other")[0].parent)
    about = {"product": "assistant", "cloud": "partner-cloud", "stage": "available"}
    record_fact(home, other, UncheckedFact(kind="launch", effective="2026-01-01", source="x", says="y", about=about))
    mine = with_register(open_agreement(), home)
    assert len(mine.facts.facts) == len(open_agreement().facts.facts) + 1
    assert clouds(plan(mine, ["openai"]), "openai", "2026-05-10") == ["azure", "aws"]


def test_suppositions_go_to_those_who_name_what_they_name(tmp_path: Path) -> None:
    opened = both(tmp_path / "channel", RESALE)
    assert isinstance(opened, OpenAgreements)
    supposed = opened.supposing(["launch:new-model:azure:available=2026-04-30", "milestone=2027-01-01"])
    added = [len(item.facts.facts) - len(was.facts.facts) for item, was in zip(supposed.each, opened.each, strict=True)]
    assert added == [2, 1]
    with pytest.raises(Exception, match="nothing-known"):
        opened.supposing(["launch:nothing-known:azure:available=2026-04-30"])
