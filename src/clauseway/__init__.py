"""Clauseway turns a commercial AI partnership into running software.

    from clauseway import open_agreement

    agreement = open_agreement()
    decision = agreement.decide(action="serve", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01")
    print(decision.outcome, decision.reasons[0])

These names are loaded at their first use, so that a gateway, which uses none of them, stays small.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clauseway.agreement import FactRegister, RevenueShare, UncheckedFact
    from clauseway.agreement.soundness.checking import check_agreement
    from clauseway.agreement.soundness.remarks import Remark
    from clauseway.app.agreements.explaining import (
        DecisionVerification,
        Explanation,
        explain,
        read_explanation,
        verify,
    )
    from clauseway.app.books.register import list_facts, record_fact
    from clauseway.app.opening.home import Home, home_at
    from clauseway.app.opening.library import OpenAgreement, QuestionParts, open_agreement
    from clauseway.app.opening.prices import PriceWorking
    from clauseway.app.opening.several import OpenAgreements, open_agreements
    from clauseway.app.reports.for_programs import diff, explain_line, price, statement, usage
    from clauseway.app.reports.tracing import LineTrace
    from clauseway.decisions import (
        AnsweredStretch,
        Condition,
        Decision,
        Outcome,
        Question,
        Reason,
        Receipt,
        Turn,
    )
    from clauseway.decisions.searches.proof import Claim, Proof, Within, every_reading, prove
    from clauseway.ledger import Statement
    from clauseway.storage.lake.hourly_sums import Usage
    from clauseway.values import Citation, Interval, InvalidInput, KnownAt, Problem
    from clauseway.wording.changes import Comparison

_OFFERED = {
    "FactRegister": "clauseway.agreement",
    "UncheckedFact": "clauseway.agreement",
    "RevenueShare": "clauseway.agreement",
    "Home": "clauseway.app.opening.home",
    "home_at": "clauseway.app.opening.home",
    "OpenAgreement": "clauseway.app.opening.library",
    "open_agreement": "clauseway.app.opening.library",
    "list_facts": "clauseway.app.books.register",
    "record_fact": "clauseway.app.books.register",
    "OpenAgreements": "clauseway.app.opening.several",
    "open_agreements": "clauseway.app.opening.several",
    "Remark": "clauseway.agreement.soundness.remarks",
    "check_agreement": "clauseway.agreement.soundness.checking",
    "Explanation": "clauseway.app.agreements.explaining",
    "DecisionVerification": "clauseway.app.agreements.explaining",
    "explain": "clauseway.app.agreements.explaining",
    "read_explanation": "clauseway.app.agreements.explaining",
    "verify": "clauseway.app.agreements.explaining",
    "Claim": "clauseway.decisions.searches.proof",
    "Proof": "clauseway.decisions.searches.proof",
    "Within": "clauseway.decisions.searches.proof",
    "every_reading": "clauseway.decisions.searches.proof",
    "prove": "clauseway.decisions.searches.proof",
    "Condition": "clauseway.decisions",
    "Decision": "clauseway.decisions",
    "Outcome": "clauseway.decisions",
    "Question": "clauseway.decisions",
    "Reason": "clauseway.decisions",
    "Receipt": "clauseway.decisions",
    "AnsweredStretch": "clauseway.decisions",
    "Turn": "clauseway.decisions",
    "Citation": "clauseway.values",
    "InvalidInput": "clauseway.values",
    "Interval": "clauseway.values",
    "KnownAt": "clauseway.values",
    "Problem": "clauseway.values",
    "QuestionParts": "clauseway.app.opening.library",
    "PriceWorking": "clauseway.app.opening.prices",
    "diff": "clauseway.app.reports.for_programs",
    "explain_line": "clauseway.app.reports.for_programs",
    "price": "clauseway.app.reports.for_programs",
    "statement": "clauseway.app.reports.for_programs",
    "usage": "clauseway.app.reports.for_programs",
    "LineTrace": "clauseway.app.reports.tracing",
    "Statement": "clauseway.ledger",
    "Usage": "clauseway.storage.lake.hourly_sums",
    "Comparison": "clauseway.wording.changes",
}

__all__ = [
    "AnsweredStretch",
    "Citation",
    "Claim",
    "Comparison",
    "Condition",
    "Decision",
    "DecisionVerification",
    "Explanation",
    "FactRegister",
    "Home",
    "Interval",
    "InvalidInput",
    "KnownAt",
    "LineTrace",
    "OpenAgreement",
    "OpenAgreements",
    "Outcome",
    "PriceWorking",
    "Problem",
    "Proof",
    "Question",
    "QuestionParts",
    "Reason",
    "Receipt",
    "Remark",
    "RevenueShare",
    "Statement",
    "Turn",
    "UncheckedFact",
    "Usage",
    "Within",
    "check_agreement",
    "diff",
    "every_reading",
    "explain",
    "explain_line",
    "home_at",
    "list_facts",
    "open_agreement",
    "open_agreements",
    "price",
    "prove",
    "read_explanation",
    "record_fact",
    "statement",
    "usage",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'clauseway' has no attribute {name!r}")
    return getattr(importlib.import_module(_OFFERED[name]), name)
