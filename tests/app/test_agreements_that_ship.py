"""Agreements that ship, chosen by name: asked, listed, and settled under like a folder of one's own."""

from pathlib import Path
from typing import Any

import pytest

import settled_book
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import SHIPPED, built_in_documents, open_agreement
from clauseway.metering import Buyer, Deployment
from clauseway.values import InvalidInput
from in_process import answer, run

CLOUDS = "anthropic-clouds"
# Two sales of claude-opus-4.7 in May 2026 by the clouds that host it, and the price of both.
BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "amazon", "any"),
    2: Buyer("Contoso", "search", "key_1", "microsoft", "any"),
}
DEPLOYMENTS = {
    1: Deployment("aws-1", "aws", "", "us-east-1", "claude-opus-4.7", "claude-opus-4.7"),
    2: Deployment("azure-1", "azure", "", "eastus2", "claude-opus-4.7", "claude-opus-4.7"),
}
SOLD = ((1, "05-10", 0, 1, 1, (1_000_000, 0, 0)), (2, "05-10", 1, 2, 2, (400_000, 0, 0)))
PRICES = """\
product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
claude-opus-4.7,,,,input_tokens,2026-04-16,,2026-04-16,5.00,a letter
claude-opus-4.7,,,,cached_input_tokens,2026-04-16,,2026-04-16,0.50,a letter
claude-opus-4.7,,,,output_tokens,2026-04-16,,2026-04-16,25.00,a letter
"""


def test_each_name_opens_the_agreement_of_that_id() -> None:
    assert [open_agreement(name).agreement.id for name in SHIPPED] == list(SHIPPED)
    assert [shown["name"] for shown in answer("agreement", "list")] == list(SHIPPED)
    listed = run("agreement", "list").stdout
    assert "openai-microsoft: The OpenAI–Microsoft partnership, 5 amendments, by default" in listed


def test_a_folder_goes_before_a_shipped_agreement_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CLOUDS).mkdir()
    for name, text in built_in_documents("template").items():
        (tmp_path / CLOUDS / name).write_text(text, "utf-8")
    assert open_agreement(CLOUDS).agreement.id != CLOUDS


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        open_agreement("anthropic-cloud")
    [problem] = refused.value.problems
    assert problem.remedy.endswith("or an agreement that ships: anthropic-clouds or openai-microsoft.")


def test_both_are_in_force_at_once() -> None:
    """Two vendors, one cloud: each agreement speaks of its own products."""
    both = [flag for name in SHIPPED for flag in ("--agreement", name)]
    question = ("--action", "sell", "--party", "amazon", "--cloud", "aws", "--as-of", "2026-05-01")
    for product in ("claude-opus-4.7", "gpt-5.5"):
        assert answer("decide", *both, *question, "--product", product)["outcome"] == "permitted"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with two requests of 10 May 2026."""
    made = Home(tmp_path / "home").make()
    settled_book.seal(made, SOLD, buyers=BUYERS, deployments=DEPLOYMENTS)
    return made


def dues(statement: dict[str, Any]) -> dict[str, str]:
    return {direction["payee"]: direction["total"] for direction in statement["directions"]}


def test_a_month_is_settled_under_it_from_the_homes_basis(home: Home, tmp_path: Path) -> None:
    """1 million tokens × 5.00 by Amazon, 0.4 million × 5.00 by Microsoft, of each one half."""
    prices = tmp_path / "prices.csv"
    prices.write_text(PRICES, "utf-8")
    at = ("--home", str(home.root))
    said = run("basis", "agreement", CLOUDS, "--why", "the other partnership", *at)
    assert said.returncode == 0, said.stderr
    month = ("settle", "--period", "2026-05", "--prices", str(prices), *at)
    refused = run(*month)
    assert refused.returncode != 0
    assert "share-anthropic-amazon" in refused.stderr
    assert "no value was reported" in refused.stderr
    rates = [f"share-anthropic-{operator}" for operator in ("amazon", "google", "microsoft")]
    accepted = [flag for rate in rates for flag in ("--assume", rate)]
    statement = answer(*month, *accepted)
    assert dues(statement) == {"amazon": "2.50", "google": "0.00", "microsoft": "1.00"}
