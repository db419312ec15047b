"""The names by which others call the clouds: complete, and each of one cloud alone."""

from collections import Counter

import pytest

from clauseway.app.opening.library import open_agreement
from clauseway.catalog.cloud_names import CLOUD_NAMES
from clauseway.gateway.clouds import DIALECTS

LISTS = ("bills", "telemetry", "listings")


@pytest.mark.parametrize("kind", LISTS)
def test_a_name_is_of_one_cloud(kind: str) -> None:
    times = Counter(name for names in CLOUD_NAMES for name in getattr(names, kind))
    assert [name for name, count in times.items() if count > 1] == []


def test_every_cloud_of_the_partnership_is_named() -> None:
    named = {names.cloud: names for names in CLOUD_NAMES}
    assert set(open_agreement(None).catalog.clouds) - set(named) == set()
    assert [cloud for cloud, names in named.items() if not names.telemetry] == []


@pytest.mark.parametrize("agreement", [None, "anthropic-clouds"])
def test_operators_are_those_of_the_agreements(agreement: str | None) -> None:
    operators = open_agreement(agreement).catalog.operators
    assert {names.cloud: names.operator for names in CLOUD_NAMES if names.cloud in operators} == dict(operators)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_the_gateway_calls_a_provider_is_read_back(dialect: str) -> None:
    """Of spans that a gateway sends, another home takes usage: it knows every provider in them."""
    assert DIALECTS[dialect].provider in {name for names in CLOUD_NAMES for name in names.telemetry}
