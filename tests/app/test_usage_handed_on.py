"""Usage handed from one home to another: the same records, whichever way they travel, and so the same amounts."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clauseway import open_agreement
from clauseway.app.books.handing_over import ExportScope, usage_event_lines
from clauseway.app.opening.home import Home
from clauseway.app.usage.compacting import export_usage
from clauseway.app.usage.importing import Imported, ImportSource, import_usage
from clauseway.app.usage.sealing import open_lake
from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.metering.endpoints import ENDPOINTS, TIERS, tier_of
from clauseway.pricing import PriceTable, parse_book
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, KnownAt, start_of_day_ns
from in_process import answer
from metered_months import BOOK, CACHED, IN, MILLION, OUT, Sold, assumed, metered, metered_home, record
from soak import examples

OPENED = open_agreement()
PRICES = PriceTable(parse_book(BOOK, "book.csv"), KnownAt.everything())
SPRING = Interval(date(2026, 4, 1), date(2026, 6, 1))
FIRST_NS = start_of_day_ns(date(2026, 4, 10))
DAYS_NS = 40 * 86_400_000_000_000
WORDS = st.sampled_from(["acme", "Fabrikam & Söhne", "a/b", "=1+1", "x" * 200, 'o\'neil "q"'])
LONG = json.dumps({"engine": "0.1.0", "agreement": "f" * 64, "facts": ["a fact"] * 120})
UNITS = st.fixed_dictionaries(
    {Unit.INPUT_TOKENS: st.integers(5, 10**6)},
    optional={
        Unit.CACHED_INPUT_TOKENS: st.integers(0, 5),
        Unit.OUTPUT_TOKENS: st.integers(0, 10**6),
        Unit.REQUESTS: st.just(1),
    },
)


@st.composite
def batches(draw: st.DrawFn) -> UsageBatch:
    """Attempts of a gateway, with everything that a record may say."""
    sellers = st.sampled_from(["openai", "microsoft"])
    clouds = st.sampled_from([("azure", "eastus2"), ("aws", "us-east-2"), ("openai-own", "")])
    usage = []
    for number in range(draw(st.integers(1, 8))):
        event_ns = FIRST_NS + draw(st.integers(0, DAYS_NS))
        attempt = UsageRecord(
            request=RequestId(draw(st.integers(1, 2**63 - 1)), number),
            attempt=draw(st.integers(1, 3)),
            event_ns=event_ns,
            recorded_ns=event_ns + draw(st.integers(0, DAYS_NS)),
            buyer=1,
            deployment=1,
            ruling=1,
            endpoint=draw(st.sampled_from(sorted(ENDPOINTS.values()))),
            status=draw(st.sampled_from(Status)),
            http_status=draw(st.sampled_from([0, 200, 503])),
            streamed=draw(st.booleans()),
            duration_us=draw(st.integers(0, 10**8)),
            first_content_us=draw(st.integers(0, 10**6)),
            charge_picodollars=draw(st.integers(0, 10**12)),
            units=tuple(draw(UNITS).items()),
            upstream_id=draw(st.sampled_from(["", "chatcmpl-1"])),
            tier=draw(st.sampled_from(TIERS)),
        )
        usage.append(attempt)
    cloud, region = draw(clouds)
    receipt = draw(st.sampled_from(["", LONG]))
    buyer = Buyer(draw(WORDS), draw(WORDS), "key_1", draw(sellers), draw(st.sampled_from(["any", "state"])))
    return UsageBatch(
        spool="s",
        segment=1,
        first_frame=0,
        end_frame=1,
        usage=usage,
        intents=[],
        buyers={1: buyer},
        deployments={1: Deployment("d-1", cloud, "", region, "gpt-5.4", draw(WORDS))},
        rulings={1: Ruling("d1", "permitted", ("A5.any-cloud", "A5.licence"), receipt)},
    )


def said(home: Home) -> list[dict[str, Any]]:
    with open_lake(home) as lake:
        return [row for part in lake.records() for row in part.to_pylist()]


def lines(home: Home) -> list[tuple[object, ...]]:
    with open_lake(home) as lake:
        lines = revenue(lake, PRICES, SPRING)
    return [(line.event_day, line.seller, line.cloud, line.product, line.amount, line.requests) for line in lines]


def events_of_the_books(home: Home, out: Path) -> None:
    out.write_bytes(b"".join(usage_event_lines(home, ExportScope())))


def events_of_the_lake(home: Home, out: Path) -> None:
    export_usage(home, "cloudevents", out)


def columns_of_the_lake(home: Home, out: Path) -> None:
    export_usage(home, "parquet", out)


# how it travels | the file | whether attempts that were never charged travel too
WAYS: list[tuple[Callable[[Home, Path], None], str, bool]] = [
    (events_of_the_books, "usage.jsonl", False),
    (events_of_the_lake, "usage.jsonl", True),
    (columns_of_the_lake, "usage.parquet", True),
]


def load(home: Home, path: Path) -> Imported:
    return import_usage(home, OPENED, [path], ImportSource(), lambda *_: None)


@pytest.mark.parametrize(("write", "name", "whole"), WAYS)
@settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
@given(batch=batches())
def test_a_home_that_imports_what_another_exported_holds_the_same_records(
    tmp_path_factory: pytest.TempPathFactory,
    write: Callable[[Home, Path], None],
    name: str,
    whole: bool,
    batch: UsageBatch,
) -> None:
    folder = tmp_path_factory.mktemp("handed")
    ours, theirs = Home(folder / "ours"), Home(folder / "theirs")
    with open_lake(ours) as lake:
        lake.seal(batch, 1)
    write(ours, folder / name)
    wanted = [row for row in said(ours) if whole or row["status"] in (1, 2, 3, 7)]
    if wanted:
        assert load(theirs, folder / name) == Imported(rows=len(wanted), imported=len(wanted))
        assert load(theirs, folder / name) == Imported(rows=len(wanted), again=len(wanted))
    assert said(theirs) == wanted
    assert lines(theirs) == lines(ours)
    # And handed on again, or back, it is still the same.
    if wanted:
        write(theirs, folder / f"again-{name}")
        assert load(ours, folder / f"again-{name}").again == len(wanted)


TIERED = """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,tier
gpt-5.4,,,,input_tokens,2026-03-05,,2026-03-05,2.00,ours,
gpt-5.4,,,,cached_input_tokens,2026-03-05,,2026-03-05,0.50,ours,
gpt-5.4,,,,output_tokens,2026-03-05,,2026-03-05,10.00,ours,
gpt-5.4,,,,input_tokens,2026-03-05,,2026-03-05,1.00,ours,flex
gpt-5.4,,,,output_tokens,2026-03-05,,2026-03-05,5.00,ours,flex
"""
# The tier · units → the charge, of 322.00 in all.
SERVED: list[tuple[str, dict[Unit, int]]] = [
    ("", {IN: 10 * MILLION, OUT: 8 * MILLION}),  # 20 + 80 = 100.00
    ("flex", {IN: 10 * MILLION, OUT: 8 * MILLION}),  # 10 + 40 = 50.00
    ("", {IN: 10 * MILLION, CACHED: 4 * MILLION, OUT: 10 * MILLION}),  # 12 + 2 + 100 = 114.00
    ("flex", {IN: 10 * MILLION, CACHED: 4 * MILLION, OUT: 10 * MILLION}),  # 6 + 2 + 50 = 58.00
]


def buyers(home: Home) -> set[tuple[str, str, str]]:
    return {(row["organisation"], row["project"], tier_of(row["endpoint"], row["tier"])) for row in said(home)}


@pytest.mark.parametrize(
    "export", [("focus", "--period", "2026-05", "--party", "openai"), ("usage", "--format", "focus")]
)
def test_usage_of_several_tiers_comes_back_from_focus_as_it_was(tmp_path: Path, export: tuple[str, ...]) -> None:
    ours, theirs = (metered_home(tmp_path / name, (), TIERED) for name in ("ours", "theirs"))
    usage = [
        msgspec.structs.replace(record(number, Sold("2026-05-05", 1, 1, units)), tier=tier)
        for number, (tier, units) in enumerate(SERVED)
    ]
    metered(ours, usage)

    def base(home: Home) -> list[str]:
        outcome = answer("settle", "--period", "2026-05", *assumed(), home=home.root)
        return [line["base"] for line in outcome["lines"]]

    assert base(ours) == ["322.000000000000"]
    out = tmp_path / "bill.csv"
    answer("export", *export, "--out", str(out), home=ours.root)
    result = answer("usage", "import", str(out), home=theirs.root)
    assert (result["quarantined"], result["imported"]) == (0, result["rows"])
    assert base(theirs) == base(ours)
    assert buyers(theirs) == buyers(ours)


def test_both_homes_settle_to_the_same_amounts(tmp_path: Path) -> None:
    ours = metered_home(tmp_path / "ours")
    theirs = metered_home(tmp_path / "theirs", sold=())
    out = tmp_path / "usage.jsonl"
    answer("export", "usage", "--format", "cloudevents", "--out", str(out), home=ours.root)
    assert answer("usage", "import", str(out), home=theirs.root)["imported"] == 7
    for period in ("2026-04", "2026-05"):
        amounts = []
        for home in (ours, theirs):
            book = ("--prices", str(ours.root / "book.csv"))
            result = answer("settle", "--period", period, *assumed(), *book, home=home.root)
            amounts.append([(line["term"], line["base"], line["amount"]) for line in result["lines"]])
        assert amounts[0] == amounts[1] != []
