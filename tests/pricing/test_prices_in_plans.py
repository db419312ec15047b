"""Prices reach a gateway in dollars, or not at all."""

import tomllib
from datetime import date
from pathlib import Path

import msgspec
import pytest
from bench.price_tables import open_prices

from clauseway.app.opening.configuration import Configuration
from clauseway.app.opening.library import open_agreement
from clauseway.app.running.planning import compile_plan
from clauseway.values import InvalidInput, KnownAt
from deployments import deployment

DEPLOYMENT = deployment("one", region="westeurope")
BOOK = "product,cloud,seller,region,unit,begin,end,known_at,per_million,source,currency\n" + "".join(
    f"gpt-5.5,azure,,westeurope,{unit},2026-05-01,,2026-05-01,4.00,agreed,EUR\n"
    for unit in ("input_tokens", "cached_input_tokens", "output_tokens")
)


def test_a_deployment_whose_prices_are_in_euros_is_refused(tmp_path: Path) -> None:
    (tmp_path / "euros.csv").write_text(BOOK)
    known_at = KnownAt.end_of(date(2026, 11, 1))
    configuration = msgspec.convert(tomllib.loads(DEPLOYMENT), Configuration)
    given = {"known_at": known_at, "where": tmp_path / "clauseway.toml"}
    dollars, euros = open_prices(known_at), open_prices(known_at, tmp_path / "euros.csv")
    plan = compile_plan(open_agreement(), configuration, [], "00", prices=dollars, **given)  # type: ignore[arg-type]
    assert plan.targets[0].input_price == 5_000_000
    with pytest.raises(InvalidInput, match=r"gpt-5\.5 of deployment one is priced in EUR"):
        compile_plan(open_agreement(), configuration, [], "00", prices=euros, **given)  # type: ignore[arg-type]
