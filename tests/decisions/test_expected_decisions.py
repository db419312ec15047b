"""The expected decisions, as a table a lawyer can read: the question, the outcome, the amendment it rests on."""

import pytest
from expected_decisions import decision_of, rows

from clauseway.app.opening.library import OpenAgreement, open_agreement

# as of | known at | action | by | what | where | more flags | outcome | amendment that decides
TABLE = """
2022-06-01 | - | serve | openai | chatgpt | aws | - | unstated | agreement
2024-06-01 | - | serve | openai | chatgpt | aws | - | forbidden | A1
2024-06-01 | - | serve | openai | api.stateless | azure | - | permitted | A1
2025-03-01 | - | serve | openai | api.stateless | oci | - | forbidden | A2
2025-03-01 | - | contract-compute | openai | compute.new | oci | - | conditional | A2
2025-03-01 | - | contract-compute | openai | compute.new | oci | suppose=offer:compute:passed=2025-03-01 | permitted | A2
2025-11-15 | - | contract-compute | openai | compute.new | oci | - | permitted | A3
2025-11-15 | - | serve | openai | chatgpt | google-cloud | - | permitted | A3
2025-11-15 | - | serve | openai | api.stateless | aws | - | forbidden | A3
2025-11-15 | - | serve | openai | api.stateless | aws | segment=us-national-security | permitted | A3
2025-11-15 | - | serve | openai | stateful-runtime | aws | - | forbidden | A3
2025-11-15 | - | serve | openai | stateful-runtime | aws | reading=R3=a3 | permitted | A3
2026-03-15 | - | serve | openai | stateful-runtime | aws | - | permitted | A4
2026-03-15 | - | serve | openai | api.stateless | aws | - | forbidden | A4
2026-03-15 | - | sell | amazon | gpt-5.4 | aws | - | forbidden | A1
2026-03-15 | - | license | openai | ip.models | - | to=amazon | forbidden | A3
2026-05-01 | - | serve | openai | gpt-5.5 | aws | - | permitted | A5
2026-05-01 | 2026-03-31 | serve | openai | gpt-5.5 | aws | - | forbidden | A4
2026-05-01 | - | serve | openai | new-model | aws | - | conditional | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=answer:new-model:cannot+declines=2026-04-29 | permitted | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=answer:new-model:can+declines=2026-04-29 | conditional | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=answer:new-model:can+declines=2026-04-29 reading=R1=or | permitted | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=launch:new-model:azure:available=2026-04-30 | permitted | A5
2026-05-01 | - | serve | openai | codex | aws | - | permitted | A5
2026-05-01 | - | serve | openai | codex | aws | reading=R5=all | conditional | A5
2026-05-01 | - | serve | openai | managed-agents | aws | - | conditional | A5
2026-05-01 | - | sell | amazon | gpt-5.5 | aws | - | permitted | A5
2026-05-01 | - | sell | google | gpt-5.5 | google-cloud | - | conditional | A5
2026-05-01 | - | sell | microsoft | gpt-5.5 | azure | - | permitted | A5
2026-04-20 | - | sell | deployment-venture | gpt-5.4 | azure | - | forbidden | A1
2026-05-01 | - | sell | deployment-venture | gpt-5.4 | azure | - | conditional | A5
2026-05-01 | - | license | openai | ip.models | - | to=amazon | permitted | A5
2026-04-26 | - | share-revenue | microsoft | - | - | to=openai | permitted | A1
2026-04-27 | - | share-revenue | microsoft | - | - | to=openai | forbidden | A5
2031-06-01 | - | share-revenue | openai | - | - | to=microsoft | forbidden | A5
2027-06-01 | 2025-12-01 | share-revenue | openai | - | - | to=microsoft suppose=milestone=2027-01-01 | forbidden | A3
2027-06-01 | - | share-revenue | openai | - | - | to=microsoft suppose=milestone=2027-01-01 | permitted | A5
2032-12-31 | - | use-under-licence | microsoft | ip.models | - | - | permitted | A5
2033-01-01 | - | use-under-licence | microsoft | ip.models | - | - | forbidden | A5
"""

# The rules beside the table, each as a case of its own: same columns.
MORE = """
2024-06-01 | - | serve | openai | research | openai-own | - | forbidden | A1
2025-03-01 | - | serve | openai | research | openai-own | - | permitted | A2
2025-03-01 | - | serve | openai | research | oci | - | forbidden | A2
2025-03-01 | - | contract-compute | openai | compute.new | openai-own | - | permitted | A2
2025-03-01 | - | contract-compute | openai | compute.new | azure | - | permitted | A2
2024-06-01 | - | contract-compute | openai | compute.new | openai-own | - | forbidden | A1
2025-11-15 | - | serve | openai | joint.api | aws | - | forbidden | A3
2025-11-15 | - | serve | openai | joint.app | aws | - | permitted | A3
2025-11-15 | - | serve | openai | joint.api | aws | segment=us-national-security | permitted | A3
2026-03-15 | - | serve | openai | api.stateless | aws | segment=us-national-security | permitted | A4
2026-03-15 | - | serve | openai | api.stateless | aws | segment=government | forbidden | A4
2026-03-15 | - | sell | amazon | api.stateless | aws | segment=us-national-security | forbidden | A1
2026-03-15 | - | sell | amazon | stateful-runtime | aws | - | conditional | A4
2025-11-15 | - | sell | amazon | stateful-runtime | aws | reading=R3=a3 | conditional | A3
2026-05-01 | - | serve | openai | new-model | aws | segment=us-national-security | conditional | A5
2026-05-01 | - | serve | openai | new-model | openai-own | - | conditional | A5
2026-05-01 | - | serve | openai | new-model | azure | - | permitted | A5
2026-05-01 | - | serve | openai | api.stateless | aws | - | conditional | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=launch:new-model:openai-own:available=2026-04-20 | permitted | A5
2026-05-01 | - | serve | openai | new-model | aws | suppose=launch:new-model:azure:announced=2026-04-30 | conditional | A5
2026-05-01 | - | sell | google | gpt-5.5 | google-cloud | suppose=grant:google:gpt-5.5=2026-05-01 | permitted | A5
2026-05-01 | - | sell | google | gpt-5.5 | google-cloud | suppose=grant:google:gpt-5.5=2026-05-10 | conditional | A5
2026-05-01 | - | sell | amazon | gpt-5.5 | azure | - | conditional | A5
2026-04-27 | - | sell | amazon | gpt-5.5 | aws | - | conditional | A5
2026-05-01 | - | serve | amazon | gpt-5.5 | aws | - | permitted | A5
2026-05-01 | - | sell | amazon | managed-agents | aws | - | conditional | A5
2033-01-01 | - | sell | microsoft | gpt-5.5 | azure | - | forbidden | A5
2032-12-31 | - | serve | microsoft | gpt-5.5 | azure | - | permitted | A5
2024-06-01 | - | sell | microsoft | chatgpt | azure | - | permitted | A1
2024-06-01 | - | sell | microsoft | chatgpt | aws | - | forbidden | A1
2024-06-01 | - | use-under-licence | microsoft | hardware | - | - | permitted | A1
2025-11-15 | - | use-under-licence | microsoft | hardware | - | - | forbidden | A3
2025-11-15 | - | license | openai | hardware | - | to=amazon | permitted | A3
2025-11-15 | - | license | openai | ip.research | - | to=amazon | permitted | A3
2024-06-01 | - | license | openai | ip.research | - | to=amazon | forbidden | A1
2030-12-31 | - | use-under-licence | microsoft | ip.research | - | - | permitted | A3
2031-01-01 | - | use-under-licence | microsoft | ip.research | - | - | forbidden | A3
2031-01-01 | - | use-under-licence | microsoft | ip.research | - | reading=R6=all-ip | permitted | A5
2027-06-01 | - | use-under-licence | microsoft | ip.research | - | suppose=milestone=2027-01-01 | forbidden | A3
2026-03-15 | - | use-under-licence | amazon | ip.models | - | - | forbidden | A3
2026-05-01 | - | use-under-licence | amazon | ip.models | - | - | conditional | A5
2026-05-01 | - | use-under-licence | amazon | ip.models | - | suppose=grant:amazon:ip.models=2026-04-30 | permitted | A5
2026-05-01 | - | use-under-licence | openai | ip.models | - | - | permitted | A1
2026-03-15 | - | license | openai | ip.models | - | to=microsoft | permitted | A3
2031-06-01 | 2025-06-01 | serve | openai | chatgpt | aws | - | permitted | A2
2031-06-01 | 2025-06-01 | sell | amazon | chatgpt | aws | - | conditional | A2
2031-06-01 | 2025-06-01 | sell | microsoft | chatgpt | azure | - | forbidden | A2
2031-06-01 | 2025-06-01 | share-revenue | openai | - | - | to=microsoft | forbidden | A2
2031-06-01 | 2025-12-01 | serve | openai | api.stateless | aws | - | forbidden | A3
2031-06-01 | 2025-12-01 | share-revenue | microsoft | - | - | to=openai | permitted | A1
2026-02-01 | - | serve | openai | gpt-5.4 | aws | suppose=milestone=2026-01-15 | permitted | A3
2026-02-01 | - | share-revenue | microsoft | - | - | to=openai suppose=milestone=2026-01-15 | forbidden | A3
2025-06-01 | - | share-revenue | microsoft | - | - | to=openai suppose=milestone=2025-01-01 | permitted | A1
2026-04-26 | - | share-revenue | microsoft | gpt-oss-120b | - | to=openai | forbidden | A1
2024-06-01 | - | sell | amazon | gpt-oss-120b | aws | - | permitted | A1
2024-06-01 | - | serve | openai | gpt-oss-120b | aws | - | permitted | A1
2022-06-01 | - | sell | amazon | gpt-oss-120b | aws | - | unstated | agreement
2026-05-01 | - | share-revenue | amazon | - | - | to=openai | forbidden | agreement
2026-05-01 | - | serve | openai | gpt-5.5 | google-cloud | seller=google | conditional | A5
2026-05-01 | - | serve | openai | gpt-5.5 | aws | seller=amazon | permitted | A5
"""


@pytest.fixture(scope="module")
def partnership() -> OpenAgreement:
    return open_agreement()


@pytest.mark.parametrize("row", rows(TABLE) + rows(MORE), ids=lambda row: " ".join(row[:7]))
def test_the_partnership_decides_as_expected(partnership: OpenAgreement, row: tuple[str, ...]) -> None:
    decision, outcome, amendment = decision_of(partnership, row), *row[7:]
    assert (decision.outcome, decision.reasons[0].amendment if decision.reasons[0].amendment != "facts" else "") == (
        outcome,
        amendment,
    ), decision.reasons
    assert bool(decision.conditions) == (outcome == "conditional")
    for reason in decision.reasons:
        assert reason.text
        assert reason.source
        assert reason.document
