"""Drafts rehearsed on the traffic and months of `metered_months`: what fares otherwise, who gains and who loses."""

import hashlib
import html
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal as D
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench.price_tables import open_prices
from starlette.testclient import TestClient

from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import documents_of, open_agreement
from clauseway.app.reports.rehearsing import Rehearsal, open_draft, rehearse
from clauseway.pricing import PriceTable
from clauseway.storage import Control
from clauseway.values import InvalidInput, KnownAt
from home_pages import pages_client
from metered_months import ACCEPTED, BOOK, IN, MILLION, OUT, Sold, metered_home

FRONT = """---
id: A6
title: A draft
announced: {day}
effective: {day}
sources: [P]
---

# A6 A draft

## 6.1 Something

{words}
"""
TERM = """
```yaml {kind}
id: A6.{name}
{body}
source: [P]
```
"""
ONLY_AZURE = TERM.format(
    kind="term",
    name="api",
    body="kind: exclusivity\nactions: [serve, sell]\nproducts: [api.stateless]\nonly: {clouds: [azure]}",
)
ONLY_ANOTHER = TERM.format(
    kind="term",
    name="sale",
    body="kind: exclusivity\nactions: [serve, sell]\nproducts: [api]\nonly: {parties: [microsoft]}",
)
TEN_PERCENT = TERM.format(kind="change", name="ends", body="ends: [A5.share-openai-microsoft]") + TERM.format(
    kind="term",
    name="share",
    body="kind: revenue-share\npayer: openai\npayee: microsoft\nrate: 10 %\n"
    "base: {sellers: [openai], excludes: [open-weight]}\nthrough: 2030-12-31",
)
ENDS_IT = TERM.format(kind="change", name="ends", body="ends: [A6.api]").replace("A6.ends", "A7.ends")


def text(*blocks: str, day: str = "2027-01-01") -> str:
    return FRONT.format(day=day, words="Words." if not blocks else "".join(blocks))


@cache
def prices_of(home: Home) -> PriceTable:
    return open_prices(KnownAt.everything(), home.root / "book.csv")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """April and May 2026, settled."""
    home = metered_home(tmp_path_factory.mktemp("months"))
    prices = prices_of(home)
    for period in ("2026-04", "2026-05"):
        settle_month(home, open_agreement(), prices, period, ACCEPTED, {})
    return home


def rehearsed(home: Home, draft: str, **more: Any) -> Rehearsal:
    path = home.root / "A6.md"
    path.write_text(draft)
    real, drafted = open_draft(None, path, home)
    return rehearse(home, real, drafted, prices_of(home), **more)


def fares(rehearsal: Rehearsal) -> list[tuple[str, str, str, int, str]]:
    """Return the requests that fare otherwise: how, on which cloud, sold by whom, how many, charged how much."""
    return [(row.what, row.cloud, row.seller, row.requests, f"{row.charged:f}"[:6]) for row in rehearsal.routed]


def shares(rehearsal: Rehearsal) -> dict[str, tuple[D, D]]:
    """Month and payer: as it is, under the draft."""
    return {
        f"{month.period} {way.payer}": (way.real, way.other)
        for month in rehearsal.months
        for way in month.beside.directions
    }


def test_a_draft_without_terms_changes_nothing(home: Home) -> None:
    rehearsal = rehearsed(home, text())
    assert rehearsal.changes_nothing
    assert (rehearsal.draft, rehearsal.amendment, rehearsal.title) == ("A6.md", "A6", "A draft")
    assert (rehearsal.effective, rehearsal.known_at) == (date(2027, 1, 1), str(KnownAt.everything()))
    assert (rehearsal.requests, rehearsal.unchanged, rehearsal.routed, rehearsal.not_asked) == (7, 7, (), ())
    assert shares(rehearsal) == {
        "2026-04 microsoft": (D(10), D(10)),
        "2026-04 openai": (D(40), D(40)),
        "2026-05 microsoft": (D(0), D(0)),
        "2026-05 openai": (D("68.80"), D("68.80")),
    }
    assert {party.party: party.gains for party in rehearsal.parties} == {"microsoft": D(0), "openai": D(0)}


def test_one_cloud_only(home: Home) -> None:
    rehearsal = rehearsed(home, text(ONLY_AZURE))
    # From 28 April, the day after A5: openai sold once on aws that day for 100, and on 6 May for 144.
    assert fares(rehearsal) == [("moved", "aws", "openai", 2, "244.00")]
    [row] = rehearsal.routed
    assert (row.before.outcome, row.after.outcome, row.clouds) == ("permitted", "forbidden", ("azure",))
    assert (row.after.terms, row.after.places) == (("A6.api",), ("A6.md:15",))
    assert "A5.any-cloud" in row.before.terms
    assert (row.first_day, row.last_day, len(row.samples)) == (date(2026, 4, 28), date(2026, 5, 6), 2)
    assert (rehearsal.as_if, rehearsal.effective) == (date(2026, 4, 28), date(2027, 1, 1))
    assert {party.gains for party in rehearsal.parties} == {D(0)}


def test_where_nobody_may_serve_any_more_all_is_refused_and_its_charges_are_told(home: Home) -> None:
    rehearsal = rehearsed(home, text(ONLY_ANOTHER))
    # Microsoft sells by licence what OpenAI may serve: with that its own sales of 20 and 100 go too.
    assert fares(rehearsal) == [
        ("refused", "aws", "openai", 2, "244.00"),
        ("refused", "azure", "microsoft", 2, "120.00"),
        ("refused", "azure", "openai", 1, "200.00"),
    ]
    assert [(month.period, dict(month.refused)) for month in rehearsal.months] == [
        ("2026-04", {"microsoft": D(20), "openai": D(100)}),
        ("2026-05", {"microsoft": D(100), "openai": D(344)}),
    ]


def test_what_could_go_further_is_told(home: Home, tmp_path: Path) -> None:
    """An agreement that keeps the API on azure since 28 April, and a draft that ends this."""
    folder = tmp_path / "ours"
    folder.mkdir()
    for name, document in documents_of(None).items():
        (folder / name).write_text(document)
    (folder / "A6.md").write_text(text(ONLY_AZURE, day="2026-04-28"))
    (tmp_path / "A7.md").write_text(text(ENDS_IT).replace("id: A6\n", "id: A7\n"))
    real, drafted = open_draft(folder, tmp_path / "A7.md", home)
    prices = prices_of(home)
    rehearsal = rehearse(home, real, drafted, prices, as_if=date(2026, 5, 1))
    rows = {(row.what, row.seller, row.cloud, row.requests, row.before.outcome) for row in rehearsal.routed}
    # On 6 May openai sold on aws, which the agreement did not permit; on the 5th on azure, and microsoft on the 7th.
    assert ("admitted", "openai", "aws", 1, "forbidden") in rows
    assert ("opened", "openai", "azure", 1, "forbidden") in rows
    assert {row.clouds for row in rehearsal.routed if (row.what, row.seller) == ("opened", "microsoft")} == {
        ("aws",),
        ("google-cloud",),
        ("oci",),
        ("openai-own",),
    }
    assert all(row.before.terms == ("A6.api",) for row in rehearsal.routed)
    assert rehearsal.unchanged == 4


def test_what_each_party_gains_and_loses(home: Home) -> None:
    rehearsal = rehearsed(home, text(TEN_PERCENT))
    # A5's share ends with 27 April, without a sale; then 10 % of 100 in April and of 344 in May.
    assert shares(rehearsal) == {
        "2026-04 microsoft": (D(10), D(10)),
        "2026-04 openai": (D(40), D(30)),
        "2026-05 microsoft": (D(0), D(0)),
        "2026-05 openai": (D("68.80"), D("34.40")),
    }
    assert {party.party: party.gains for party in rehearsal.parties} == {"microsoft": D("-44.40"), "openai": D("44.40")}
    [line] = [line for line in rehearsal.months[1].beside.lines if line.cloud == "aws"]
    assert (line.other.terms, line.other.citations[0].document) == (("A6.share",), "A6.md")
    assert rehearsal.unchanged == 7


@pytest.mark.parametrize(
    ("more", "requests", "moved", "months"),
    [
        ({"first": date(2026, 5, 1)}, 3, 1, ["2026-05"]),
        ({"last": date(2026, 4, 30)}, 4, 1, ["2026-04"]),
        ({"as_if": date(2026, 5, 1)}, 7, 1, ["2026-04", "2026-05"]),
        ({"as_if": date(2026, 6, 1)}, 7, 0, ["2026-04", "2026-05"]),
    ],
)
def test_days_and_the_day_of_effect(
    home: Home, more: dict[str, date], requests: int, moved: int, months: list[str]
) -> None:
    rehearsal = rehearsed(home, text(ONLY_AZURE), **more)
    assert rehearsal.requests == requests
    assert sum(row.requests for row in rehearsal.routed) == moved
    assert [month.period for month in rehearsal.months] == months


def test_a_day_of_its_own_that_traffic_reaches_is_kept(home: Home) -> None:
    rehearsal = rehearsed(home, text(ONLY_AZURE, day="2026-05-01"))
    assert rehearsal.as_if == rehearsal.effective == date(2026, 5, 1)


def test_nothing_is_changed(home: Home) -> None:
    before = state(home)
    rehearsed(home, text(ONLY_AZURE, TEN_PERCENT))
    assert state(home) == before


def state(home: Home) -> tuple[Any, ...]:
    """Every sealed byte, every entry and settlement."""
    control = Control.open(home.control)
    try:
        kept = [*control.entries(), *control.settlements(), *control.batches()]
    finally:
        control.close()
    files = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in home.lake.rglob("*.parquet")}
    return kept, files


def test_months_that_are_not_settled_need_figures(tmp_path: Path) -> None:
    home = metered_home(tmp_path)
    assert rehearsed(home, text(TEN_PERCENT)).months == ()
    rehearsal = rehearsed(home, text(TEN_PERCENT), assume=ACCEPTED)
    assert [month.period for month in rehearsal.months] == ["2026-04", "2026-05"]
    with pytest.raises(InvalidInput, match="share-openai-microsoft is undisclosed"):
        rehearsed(home, text(), assume=["cap"])


@pytest.mark.parametrize("settled", [[], ["2026-04"]])
def test_a_charge_that_lacks_a_price_is_unknown(tmp_path: Path, settled: list[str]) -> None:
    """Output has no price in May: input alone, 2 USD for a million, would be too low a charge for a sale with both."""
    sold = [
        Sold("2026-04-28", 1, 2, {IN: 5 * MILLION, OUT: 9 * MILLION}),
        Sold("2026-05-05", 1, 2, {IN: MILLION, OUT: MILLION}),
        Sold("2026-05-05", 2, 3, {IN: MILLION}),
    ]
    until_may = BOOK.replace("output_tokens,2026-03-05,", "output_tokens,2026-03-05,2026-05-01")
    home = metered_home(tmp_path, sold, until_may)
    for period in settled:
        settle_month(home, open_agreement(), prices_of(home), period, ACCEPTED, {})
    rehearsal = rehearsed(home, text(ONLY_ANOTHER))
    assert [(row.what, row.seller, row.charged) for row in rehearsal.routed] == [
        ("refused", "openai", None),
        ("refused", "microsoft", D(2)),
    ]
    assert [(month.period, dict(month.refused)) for month in rehearsal.months] == [
        (period, {"openai": D(100)}) for period in settled
    ]


def test_traffic_that_cannot_be_asked_about_is_told(tmp_path: Path) -> None:
    home = metered_home(tmp_path, [Sold("2026-05-05", 1, 4, {})])
    rehearsal = rehearsed(home, text(ONLY_AZURE))
    [item] = rehearsal.not_asked
    assert (item.product, item.requests) == ("gpt-9", 1)
    assert "gpt-9" in item.why
    assert rehearsal.unchanged == 0


BROKEN = [
    (text(ONLY_AZURE).replace("clouds: [azure]", "clouds: [azur]"), ["unknown cloud 'azur'"], 19),
    (
        text(TERM.format(kind="change", name="ends", body="ends: [A5.nothing]")),
        ["unknown earlier term 'A5.nothing'"],
        16,
    ),
    (text(day="2026-01-01"), ["A6 takes effect on 2026-01-01"], 5),
    (text(day="2026-04-27"), ["two amendments were concluded on 2026-04-27"], 1),
    (text().replace("id: A6", "id: A5"), ["amendment 'A5' stands twice"], 1),
    ("# no front matter", ["no front matter"], 1),
]


@pytest.mark.parametrize(("draft", "what", "line"), BROKEN)
def test_what_is_wrong_in_a_draft_is_told_with_its_line(home: Home, draft: str, what: list[str], line: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        rehearsed(home, draft)
    assert [problem.what for problem in refused.value.problems] == what
    assert (refused.value.problems[0].where.rpartition("/")[2], refused.value.problems[0].line) == ("A6.md", line)


# How a draft is played · what is refused, why, where.
UNPLAYABLE: list[tuple[dict[str, date], tuple[str, str, str]]] = [
    (
        {"as_if": date(2026, 4, 27)},
        (
            "2026-04-27 is too early",
            "A5 took effect on 2026-04-27, and the draft comes after it",
            "--effective",
        ),
    ),
    (
        {"first": date(2026, 6, 1), "last": date(2026, 5, 1)},
        ("no day is left to play", "nothing lies from 2026-06-01 up to 2026-05-02", "--from"),
    ),
]


@pytest.mark.parametrize(("more", "refusal"), UNPLAYABLE)
def test_what_cannot_be_played_is_refused(home: Home, more: dict[str, date], refusal: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        rehearsed(home, text(), **more)
    [problem] = refused.value.problems
    assert (problem.what, problem.why, problem.where) == refusal
    assert problem.remedy.startswith("Name a ")


def test_what_is_no_draft_and_no_traffic_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no traffic"):
        rehearsed(metered_home(tmp_path / "empty", ()), text())
    with pytest.raises(InvalidInput, match="a draft comes after the last amendment, and A5 took effect on 2026-04-27"):
        rehearsed(home, text(day="2026-01-01"))
    (tmp_path / "draft.txt").write_text(text())
    with pytest.raises(InvalidInput, match=r"draft\.txt: no amendment: an amendment is a Markdown file"):
        open_draft(None, tmp_path / "draft.txt", home)
    with pytest.raises(InvalidInput, match="cannot be read"):
        open_draft(None, tmp_path / "none.md", home)


# -- on the lawyer's screen


@pytest.fixture(scope="module")
def screen(home: Home) -> Iterator[TestClient]:
    with pages_client(home) as client:
        yield client


def shown(screen: TestClient, draft: str) -> str:
    page = screen.post("/lawyer/draft", data={"draft": draft})
    assert page.status_code == 200
    return html.unescape(re.sub(r"<[^>]+>", " ", page.text))


def test_the_screen_tells_of_a_draft_what_the_command_does(home: Home, screen: TestClient) -> None:
    before = state(home)
    page = " ".join(shown(screen, text(ONLY_AZURE, TEN_PERCENT)).split())
    rehearsal = rehearsed(home, text(ONLY_AZURE, TEN_PERCENT))
    for said in (
        f"{rehearsal.requests} recorded requests, {rehearsal.unchanged} of them as before",
        "2 of gpt-5.4 on AWS us-east-2, sold by OpenAI to any, from 28 April 2026 to 6 May 2026: 244 USD",
        "as it is: permitted by A5.any-cloud",
        "under the draft: forbidden by A6.api (draft.md:15); permitted on Azure",
        "May 2026 OpenAI pays Microsoft 68.80 34.40 -34.40",
        "OpenAI gains 44.40 USD",
        "OpenAI may no longer serve",
    ):
        assert said in page
    assert state(home) == before


@pytest.mark.parametrize(("draft", "what", "line"), BROKEN)
def test_the_screen_shows_what_is_wrong_at_its_line_and_keeps_the_text(
    screen: TestClient, draft: str, what: list[str], line: int
) -> None:
    page = screen.post("/lawyer/draft", data={"draft": draft}).text
    [kept] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert html.unescape(kept) == draft
    said = html.unescape(re.sub(r"<[^>]+>", " ", page.partition("</textarea>")[2]))
    assert f"line {line}" in said
    assert all(each in said for each in what)


def test_before_a_draft_was_typed_the_screen_has_its_first_lines_which_change_something(screen: TestClient) -> None:
    [begun] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", screen.get("/lawyer/draft").text, re.DOTALL)
    read = shown(screen, html.unescape(begun))
    assert "what is answered otherwise" in read
    assert "No answer changes" not in read


def test_a_draft_that_another_site_sends_or_that_is_too_long_is_not_read(screen: TestClient) -> None:
    foreign = screen.post("/lawyer/draft", data={"draft": text()}, headers={"sec-fetch-site": "cross-site"})
    too_long = screen.post("/lawyer/draft", data={"draft": "x" * (4 << 20)})
    for answer in (foreign, too_long):
        assert answer.status_code == 400
        assert "The form cannot be read" in answer.text
    assert screen.post("/lawyer", data={"draft": text()}).status_code == 405
