"""The first page's way to each reader's screen: what stands beside the engineer's."""

from datetime import date
from pathlib import Path

import pytest

import settled_book
from clauseway.app.agreements.rights_over_time import timeline_of_rights
from clauseway.app.books.settled import SettledMonths
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.running import pages_process
from clauseway.app.screens.screen_summaries import screen_summaries
from clauseway.gateway.wire.errors import FORBIDDEN
from clauseway.values import KnownAt
from clauseway.web.contexts import CloudCounts, CountsContext


def test_the_pages_know_the_gateways_code_of_a_refusal_by_a_clause() -> None:
    assert FORBIDDEN.code == pages_process._BY_A_CLAUSE


@pytest.mark.parametrize(
    ("served", "refused", "said"),
    [(5, 1, "5 requests served, 1 refused by a clause"), (1, 0, "1 request served, 0 refused")],
)
def test_a_request_that_two_clouds_terms_refuse_is_one(tmp_path: Path, served: int, refused: int, said: str) -> None:
    opened = open_agreement()
    clouds = tuple(
        CloudCounts(cloud=cloud, served=there, refused=refused, failed=0, tokens=0)
        for cloud, there in (("aws", 0), ("google", 0), ("azure", served))
    )
    counts = CountsContext(clouds=clouds, clock="", edition="", refused=refused)
    timeline = timeline_of_rights(opened, KnownAt.everything())
    engineer, *_ = screen_summaries(Home(tmp_path).make(), opened, {}, timeline, counts, date(2026, 5, 1), "")
    assert said in engineer.answer


# A day, and the first right on it: A5 takes effect on 27 April.
RIGHTS = [
    (date(2026, 4, 26), "OpenAI serves gpt-5.5 on AWS: forbidden; "),
    (date(2026, 4, 27), "OpenAI serves gpt-5.5 on AWS: permitted; "),
    (date(2026, 5, 2), "OpenAI serves gpt-5.5 on AWS: permitted; "),
]


def test_a_right_is_said_as_it_is_on_the_day_and_money_as_of_the_latest_month(tmp_path: Path) -> None:
    opened, home = open_agreement(), settled_book.make(tmp_path / "home")
    timeline = timeline_of_rights(opened, KnownAt.everything())
    counts = CountsContext(clouds=(), clock="", edition="", refused=0)
    for day, said in RIGHTS:
        _, lawyer, finance, _ = screen_summaries(home, opened, SettledMonths(home).latest(), timeline, counts, day, "")
        assert lawyer.answer.startswith(said)
        month = "May" if day >= date(2026, 5, 1) else "April"
        assert finance.answer.startswith(f"{month} 2026 is settled: ")
