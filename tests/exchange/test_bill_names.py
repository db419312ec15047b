"""A bill names providers in their own words: which cloud hosts, and which party sells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clauseway.catalog import Catalog
from clauseway.exchange.usage.focus import BillNames, described_by, read_focus, usage_rows
from clauseway.metering import Unit

CATALOG = Catalog(
    parties=frozenset({"lab", "amazon", "nimbus", "cumulus"}),
    clouds=frozenset({"aws", "nimbus-gpu", "cumulus-east", "cumulus-west"}),
    operators={"aws": "amazon", "nimbus-gpu": "nimbus", "cumulus-east": "cumulus", "cumulus-west": "cumulus"},
    segments=frozenset({"any"}),
    classes={},
    products={},
)
# the host as the bill names it | the cloud, or the bill's own words
HOSTS = [
    ("Amazon Web Services", "aws"),  # its operator
    ("AWS", "aws"),
    ("Nimbus, Inc.", "nimbus-gpu"),  # a cloud that only the agreement knows, by its operator
    ("nimbus GPU cloud", "nimbus-gpu"),
    ("Cumulus West GmbH", "cumulus-west"),
    ("Cumulus", "Cumulus"),  # it operates two clouds: the name tells neither
    ("Microsoft", "azure"),  # a vendor's usual name, whatever the agreement
    ("Stratus", "Stratus"),
]
# who issues the invoice | the seller
ISSUERS = [("Nimbus, Inc.", "nimbus"), ("AWS EMEA SARL", "amazon"), ("Lab", "lab"), ("Stratus", "Stratus")]


@pytest.mark.parametrize(("host", "cloud"), HOSTS)
def test_the_host_is_a_cloud_of_the_agreement(host: str, cloud: str) -> None:
    assert described_by({"HostProviderName": host}, BillNames.of(CATALOG))[0]["cloud"] == cloud


@pytest.mark.parametrize(("issuer", "seller"), ISSUERS)
def test_the_issuer_is_a_party_of_the_agreement(issuer: str, seller: str) -> None:
    assert described_by({"InvoiceIssuerName": issuer}, BillNames.of(CATALOG))[0]["seller"] == seller


def test_a_price_book_names_further_products() -> None:
    row = {"SkuMeter": "gpt 9 mini input tokens"}
    assert described_by(row, BillNames.of(CATALOG))[0]["product"] == ""
    assert described_by(row, BillNames.of(CATALOG, {"gpt-9", "gpt-9-mini"}))[0]["product"] == "gpt-9-mini"


METERS = [
    ("Claude Sonnet input tokens", Unit.INPUT_TOKENS),
    ("Claude Sonnet cache read tokens", Unit.CACHED_INPUT_TOKENS),
    ("Claude Sonnet cache write tokens", Unit.CACHE_WRITE_TOKENS),
    ("Claude Sonnet cache-write-5m", Unit.CACHE_WRITE_TOKENS),
    ("Claude Sonnet cache-write-1h", Unit.CACHE_WRITE_1H_TOKENS),
    ("USE1-Claude4.5Sonnet-cache-write-1-hour-input-token-count", Unit.CACHE_WRITE_1H_TOKENS),
    ("cache_write_1h_tokens", Unit.CACHE_WRITE_1H_TOKENS),
    ("Web Search Calls", Unit.WEB_SEARCHES),
    ("Grounding with Bing Search Transactions", Unit.WEB_SEARCHES),
]


# meter, unit of the quantity → what is counted
SEARCHES = [
    ("gpt-5.5 web search", "1K Calls", Unit.WEB_SEARCHES),
    ("gpt-5.5 web search", "1K Requests", Unit.WEB_SEARCHES),
    ("gpt-5.5 web search content input", "1K Tokens", Unit.INPUT_TOKENS),
]


@pytest.mark.parametrize(("meter", "counted_in", "unit"), SEARCHES)
def test_a_search_is_no_request_and_what_it_brings_in_are_tokens(meter: str, counted_in: str, unit: Unit) -> None:
    row = {"SkuMeter": meter, "ConsumedUnit": counted_in}
    assert described_by(row, BillNames.of(CATALOG))[1] is unit


@pytest.mark.parametrize(("meter", "unit"), METERS)
def test_a_meter_is_a_unit(meter: str, unit: Unit) -> None:
    assert described_by({"SkuMeter": meter}, BillNames.of(CATALOG))[1] is unit


def test_each_token_stands_in_a_row_of_its_own() -> None:
    """1,000 in, of which 600 were written to the cache, of which 400 for an hour."""
    names = dict.fromkeys(("organisation", "project", "seller", "cloud", "region", "product", "model", "tier"), "x")
    counted = {"input_tokens": 1000, "cache_write_tokens": 600, "cache_write_1h_tokens": 400}
    rows = {row["SkuMeter"]: row["ConsumedQuantity"] for row in usage_rows([{"hour": 1, **names, **counted}])}
    expected = {"x input_tokens": 400, "x cache_write_tokens": 200, "x cache_write_1h_tokens": 400}
    assert {meter: float(quantity) for meter, quantity in rows.items()} == expected


# the columns of a bill that name the buyer → the organisation
BUYERS = [
    ({"SubAccountName": "search", "SubAccountId": "123", "BillingAccountName": "acme"}, "search"),
    ({"SubAccountId": "123", "BillingAccountName": "acme"}, "123"),
    ({"BillingAccountName": "acme"}, "acme"),
]
USAGE = {
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-05-01T00:00:00Z",
    "ConsumedQuantity": "2",
    "ConsumedUnit": "1K Tokens",
    "ProviderName": "AWS",
    "SkuMeter": "lab-1 input tokens",
}


def read_row(folder: Path, columns: Mapping[str, str]) -> dict[str, Any]:
    file = folder / "bill.csv"
    file.write_text(f"{','.join(columns)}\n{','.join(columns.values())}\n")
    [row] = read_focus(file, BillNames.of(CATALOG, {"lab-1"}))
    assert not row.unreadable
    return row.fields


@pytest.mark.parametrize(("columns", "organisation"), BUYERS)
def test_the_nearest_name_of_the_buyer_is_the_organisation(
    tmp_path: Path, columns: dict[str, str], organisation: str
) -> None:
    assert read_row(tmp_path, USAGE | columns)["organisation"] == organisation


def test_a_row_that_names_its_charge_is_identified_by_that(tmp_path: Path) -> None:
    """So a row of our own export is the same usage, whatever else its columns say later."""
    before, after = (
        read_row(tmp_path, USAGE | {"SubAccountName": name, "x_ChargeId": "charge-1"}) for name in ("acme", "acme-eu")
    )
    assert (before["id"], after["id"]) == ("charge-1", "charge-1")
    # Other rows are identified by their descriptive columns.
    others = {read_row(tmp_path, USAGE | {"SubAccountName": name})["id"] for name in ("acme", "acme-eu")}
    assert len(others) == 2
