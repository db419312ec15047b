"""The other agreement that ships: who may sell Claude where, as a table that a lawyer can read."""

from datetime import date

import pytest
from expected_decisions import decision_of, rows

from clauseway.agreement import revenue_shares
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.app.opening.library import OpenAgreement, open_agreement
from clauseway.decisions.question import RESTS_ON
from clauseway.values import KnownAt

# as of | known at | action | by | what | where | more flags | outcome | an amendment among the reasons
TABLE = """
2023-01-15 | - | serve | anthropic | claude-app | aws | - | unstated | agreement
2023-02-03 | - | serve | anthropic | claude.api | google-cloud | - | permitted | A1
2023-02-03 | - | sell | amazon | claude.api | aws | - | conditional | agreement
2023-09-25 | - | sell | amazon | claude.api | aws | - | permitted | A2
2023-09-25 | - | sell | amazon | claude.api | google-cloud | - | conditional | agreement
2023-09-25 | 2023-09-24 | sell | amazon | claude.api | aws | - | conditional | agreement
2023-10-01 | - | sell | google | claude.api | google-cloud | - | conditional | agreement
2023-10-28 | - | sell | google | claude.api | google-cloud | - | permitted | A3
2023-10-28 | - | serve | anthropic | claude.api | google-cloud | seller=google | permitted | A3
2023-10-28 | - | serve | anthropic | claude.api | aws | seller=google | conditional | agreement
2023-10-28 | - | sell | google | claude-app | google-cloud | - | conditional | agreement
2025-11-17 | - | sell | microsoft | claude-sonnet-4.5 | azure | - | conditional | agreement
2025-11-18 | - | sell | microsoft | claude-sonnet-4.5 | azure | - | permitted | A7
2026-05-01 | 2025-11-17 | sell | microsoft | claude-opus-4.7 | azure | - | conditional | agreement
2026-05-01 | - | sell | microsoft | claude-opus-4.7 | azure | - | permitted | A7
2026-05-01 | - | sell | microsoft | claude-opus-4.7 | anthropic-own | - | conditional | agreement
2026-05-01 | - | sell | microsoft | claude-opus-4.7 | anthropic-own | reading=R2=by-anthropic | permitted | A7
2026-05-01 | - | sell | nvidia | claude-opus-4.7 | anthropic-own | - | conditional | agreement
2026-05-01 | - | sell | nvidia | claude-opus-4.7 | azure | suppose=grant:nvidia:claude-opus-4.7=2026-04-30 | permitted | facts
2026-04-19 | - | sell | amazon | claude-platform | aws | - | conditional | agreement
2026-04-20 | - | sell | amazon | claude-platform | aws | - | permitted | A8
2026-05-01 | - | sell | google | claude-platform | google-cloud | - | conditional | agreement
2023-09-24 | - | serve | anthropic | claude-fine-tuning | google-cloud | - | permitted | A1
2024-12-01 | - | serve | anthropic | claude-fine-tuning | google-cloud | - | conditional | A2
2024-12-01 | - | serve | anthropic | claude-fine-tuning | aws | - | permitted | A1
2024-12-01 | - | serve | anthropic | claude-fine-tuning | google-cloud | suppose=launch:claude-fine-tuning:aws:preview=2024-12-01 | permitted | A1
2024-12-01 | - | serve | anthropic | claude-fine-tuning | google-cloud | suppose=answer:claude-fine-tuning:cannot+declines=2024-12-01 | conditional | A2
2024-12-01 | - | serve | anthropic | claude.training | google-cloud | - | permitted | A1
2024-12-01 | - | serve | anthropic | claude.training | google-cloud | reading=R1=sole | forbidden | A5
2024-12-01 | - | serve | anthropic | claude.training | aws | reading=R1=sole | permitted | A5
2025-10-22 | - | serve | anthropic | claude.training | google-cloud | reading=R1=sole | forbidden | A5
2025-10-23 | - | serve | anthropic | claude.training | google-cloud | reading=R1=sole | permitted | A6
2026-05-01 | - | contract-compute | anthropic | claude.capacity | azure | - | permitted | A1
2026-05-01 | - | contract-compute | amazon | claude.capacity | aws | - | conditional | agreement
2023-12-31 | - | share-revenue | anthropic | - | - | to=amazon | forbidden | agreement
2024-01-01 | - | share-revenue | anthropic | - | - | to=amazon | permitted | A4
2024-01-01 | 2026-02-17 | share-revenue | anthropic | - | - | to=amazon | forbidden | agreement
2026-05-01 | - | share-revenue | anthropic | - | - | to=google | permitted | A4
2026-05-01 | - | share-revenue | anthropic | claude-app | - | to=microsoft | forbidden | A4
2026-05-01 | - | share-revenue | amazon | - | - | to=anthropic | forbidden | agreement
"""


@pytest.fixture(scope="module")
def clouds() -> OpenAgreement:
    return open_agreement("anthropic-clouds")


@pytest.mark.parametrize("row", rows(TABLE), ids=lambda row: " ".join(row[:7]))
def test_the_clouds_decide_as_expected(clouds: OpenAgreement, row: tuple[str, ...]) -> None:
    decision, outcome, amendment = decision_of(clouds, row), *row[7:]
    assert decision.outcome == outcome
    assert amendment in {reason.amendment for reason in decision.reasons}
    assert all(reason.source and reason.document for reason in decision.reasons)


def test_the_text_is_sound_and_every_term_has_a_source(clouds: OpenAgreement) -> None:
    remarks = check_agreement(clouds.agreement, clouds.facts, RESTS_ON)
    assert [(remark.what, remark.severity.value) for remark in remarks] == [
        ("A1.ownership rests on our own reading alone", "note")
    ]


def test_each_cloud_gets_a_share_whose_rate_must_be_accepted_by_name(clouds: OpenAgreement) -> None:
    shares = revenue_shares(
        clouds.agreement, clouds.facts, KnownAt.everything(), {"R1": "primary", "R2": "by-microsoft"}
    )
    assert {(share.payee, share.rate, share.begin) for share in shares} == {
        ("amazon", "share-anthropic-amazon", date(2024, 1, 1)),
        ("google", "share-anthropic-google", date(2024, 1, 1)),
        ("microsoft", "share-anthropic-microsoft", date(2024, 1, 1)),
    }
    assert {clouds.agreement.figures[share.rate].standing for share in shares} == {"placeholder"}
