"""The first page's way to each reader's screen: what stands beside the engineer's."""

from datetime import date
from pathlib import Path

import pytest

from clauseway.app.agreements.rights_over_time import timeline_of_rights
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
