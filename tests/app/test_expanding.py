"""Real demand made into usage: how many, when, where and from whom; and one tenant's month counted by hand."""

from collections import Counter
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from bench.price_tables import open_prices

from clauseway import open_agreement
from clauseway.app.books.expanding import Expanded, days_between, expand, parse_scale, read_windows
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake
from clauseway.sandbox.traffic.demand import buying, demand
from clauseway.storage.lake.hourly_sums import usage_by
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, InvalidInput, KnownAt, start_of_day_ns

OPENED = open_agreement()
SPRING = days_between(date(2026, 4, 1), date(2026, 5, 31))
MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
WINDOWS = read_windows(None)


def test_the_sample_is_of_38_tenants_over_14_days() -> None:
    assert len({window.client for window in WINDOWS}) == 38
    assert max(window.window_start_s for window in WINDOWS) < 14 * 86_400
    assert sum(window.requests for window in WINDOWS) == 53_970_769


def test_one_tenant_s_month_by_hand(tmp_path: Path) -> None:
    # Tenant 34 sent 670 requests, once in fourteen days: at 00:20 of the third day. At 1/335 that makes two, on 3 and
    # 17 April and on 1, 15 and 29 May. 34 mod 6 is 4: gpt-5.4, sold by Microsoft, on Azure.
    of_34 = [window for window in WINDOWS if window.client == 34]
    home = Home(tmp_path / "home")
    done = expand(home, OPENED, of_34, SPRING, Fraction(1, 335), 1)
    assert done == Expanded(records=10, again=0, tenants=1)
    with open_lake(home) as lake:
        rows = [row for part in lake.records(MAY) for row in part.to_pylist()]
        lines = revenue(lake, open_prices(KnownAt.end_of(date(2026, 6, 30))), MAY)
    assert {tuple(row[name] for name in ("seller", "cloud", "product")) for row in rows} == {
        ("microsoft", "azure", "gpt-5.4")
    }
    assert [(str(row["event_day"]), row["input_tokens"], row["output_tokens"]) for row in rows] == [
        ("2026-05-01", 3331, 176),
        ("2026-05-01", 1648, 174),
        ("2026-05-15", 2087, 197),
        ("2026-05-15", 2061, 127),
        ("2026-05-29", 2195, 177),
        ("2026-05-29", 2219, 118),
    ]
    # In:  3,331 + 1,648 + 2,087 + 2,061 + 2,195 + 2,219 = 13,541 tokens at 2.50 USD a million:  0.0338525 USD
    # Out:   176 +   174 +   197 +   127 +   177 +   118 =    969 tokens at 15.00 USD a million: 0.0145350 USD
    assert [(str(line.event_day), f"{line.amount:f}") for line in lines] == [
        ("2026-05-01", "0.017697500000"),  # 4,979 × 2.50 + 350 × 15.00 = 12,447.5 + 5,250
        ("2026-05-15", "0.015230000000"),  # 4,148 × 2.50 + 324 × 15.00 = 10,370 + 4,860
        ("2026-05-29", "0.015460000000"),  # 4,414 × 2.50 + 295 × 15.00 = 11,035 + 4,425
    ]
    assert f"{sum(line.amount for line in lines):.7f}" == "0.0483875"  # 0.0338525 + 0.0145350


def test_the_same_again_counts_once_and_the_amendment_moves_what_asks_for_aws(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    asks_for_aws = [window for window in WINDOWS if buying(window.client).cloud == "aws"]
    days = days_between(date(2026, 4, 25), date(2026, 4, 28))
    done = expand(home, OPENED, asks_for_aws, days, Fraction(1, 20_000), 3)
    assert expand(home, OPENED, asks_for_aws, days, Fraction(1, 20_000), 3) == Expanded(
        records=done.records, again=done.records, tenants=done.tenants
    )
    with open_lake(home) as lake:
        by_hour = usage_by(lake.control, ["hour", "cloud"])
        assert sum(row.served for row in by_hour) == done.records
    boundary = start_of_day_ns(date(2026, 4, 27)) // (3600 * 10**9)
    served = Counter((row.key[1], int(row.key[0]) >= boundary) for row in by_hour)
    assert set(served) == {("azure", False), ("aws", True)}


def test_of_a_tenant_with_n_requests_the_scale_makes_its_part_exactly() -> None:
    scale = Fraction(1, 7_000)
    made = Counter(request.client for request in demand(WINDOWS, 0, 14, scale, 1))
    there = Counter[int]()
    for window in WINDOWS:
        there[window.client] += window.requests
    assert made == {client: int(requests * scale) for client, requests in there.items() if requests >= 7_000}


def test_tokens_keep_to_the_quantiles_and_requests_to_their_windows() -> None:
    window = max(WINDOWS, key=lambda candidate: candidate.requests)
    made = list(demand([window], 0, 14, Fraction(1, 10), 1))
    tokens = sorted(request.input_tokens for request in made)
    for share, quantile in ((0.1, window.input_p10), (0.5, window.input_p50), (0.9, window.input_p90)):
        assert abs(tokens[int(share * len(tokens))] - quantile) <= 0.1 * quantile
    begin_ns = window.window_start_s * 10**9
    assert all(begin_ns <= request.event_ns < begin_ns + 600 * 10**9 for request in made)


@pytest.mark.parametrize("text", ["0", "-1", "1/0", "much"])
def test_a_scale_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_scale(text)


def test_a_file_without_windows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(InvalidInput, match="the demand cannot be read"):
        read_windows(tmp_path / "x.parquet")
