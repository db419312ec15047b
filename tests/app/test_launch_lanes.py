"""Launches as lanes, of the agreement that ships and of one that puts no cloud first."""

import pytest

from clauseway.app.agreements.launch_lanes import launches_page
from clauseway.app.books.settled import now
from clauseway.app.opening.several import open_agreements
from terms_at_hand import at_hand, documents, reading

NOW = now()

# product → its verdict · the clouds of its evidence in the order of days
LANES = [
    ("gpt-5.5", "Azure first, then AWS and OCI", ["Azure", "AWS", "OCI"]),
    ("gpt-5.4", "Azure first, then AWS", ["Azure", "AWS"]),
    ("codex", "the evidence cannot tell whether Azure was before AWS or OCI", ["AWS", "OCI"]),
    (
        "gpt-oss-20b",
        "Cloudflare, Google Cloud and AWS; ship-first is not about it",
        ["Cloudflare", "Google Cloud", "AWS"],
    ),
]


@pytest.mark.parametrize(("product", "verdict", "clouds"), LANES)
def test_a_product_on_other_clouds_has_a_lane(product: str, verdict: str, clouds: list[str]) -> None:
    page = launches_page(open_agreements([]), NOW)
    assert page is not None
    [lane] = [lane for lane in page.lanes if lane.product == product]
    assert (lane.verdict, lane.breach) == (verdict, False)
    assert list(dict.fromkeys(point.cloud for point in lane.points)) == clouds


def test_lanes_are_to_scale() -> None:
    page = launches_page(open_agreements([]), NOW)
    assert page is not None
    points = sorted((point.day, point.x) for lane in page.lanes for point in lane.points)
    (first, begin), (last, end) = points[0], points[-1]
    assert 0 <= begin < end <= 100
    for day, x in points:
        share = (day - first).days / (last - first).days
        assert x == pytest.approx(begin + share * (end - begin), abs=0.01)
    assert [year.label for year in page.years] == ["2025", "2026"]
    [new_year] = [year.x for year in page.years if year.label == "2026"]
    assert max(x for day, x in points if day.year == 2025) < new_year < min(x for day, x in points if day.year == 2026)


def test_every_product_is_counted_once() -> None:
    page = launches_page(open_agreements([]), NOW)
    assert page is not None
    assert len({lane.product for lane in page.lanes}) == len(page.lanes) == 8
    assert page.others == 79


def test_no_page_where_no_cloud_comes_first() -> None:
    assert launches_page(at_hand(""), NOW) is None


FIRST_ON_NORTH = (
    "id: A1.first\nkind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\n"
    "binds: every-product\nsince: 2026-01-01"
)
LAUNCH = "kind: launch, product: app, cloud: south, stage: available, effective: 2026-02-01"


def test_a_launch_on_record_says_where_it_stands() -> None:
    texts = documents(FIRST_ON_NORTH, (LAUNCH,))
    page = launches_page(reading(texts), NOW)
    assert page is not None
    [point] = [point for lane in page.lanes if lane.product == "app" for point in lane.points]
    line = 1 + texts["facts.md"].splitlines().index(f"- {{{LAUNCH}, source: [T], says: It happened.}}")
    assert (point.document, point.line, point.evidence) == ("facts.md", line, f"facts.md:{line} available")
    # A row of a listing has no place in the agreement.
    shipped = launches_page(open_agreements([]), NOW)
    assert shipped is not None
    assert point.by == "on record, source T"
    by = {point.by for lane in shipped.lanes for point in lane.points if point.listed}
    assert {"listed by Amazon Bedrock", "listed by Azure"} <= by
    listed = {(point.document, point.line) for lane in shipped.lanes for point in lane.points if point.listed}
    assert listed == {("", 0)}
