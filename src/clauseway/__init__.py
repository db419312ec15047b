"""Clauseway turns a commercial AI partnership into running software.

    from clauseway import open_agreement

    agreement = open_agreement()
    decision = agreement.decide(action="serve", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01")
    print(decision.outcome, decision.reasons[0])

What is offered here is loaded when it is first asked for, so that a gateway, which asks for none of it, stays small.
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
    from clauseway.app.opening.library import OpenAgreement, open_agreement
    from clauseway.app.opening.several import OpenAgreements, open_agreements
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
    from clauseway.decisions.searches.proof import Claim, Proof, Within, prove
    from clauseway.values import Citation, Interval, InvalidInput, KnownAt, Money, Problem

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
    "Money": "clauseway.values",
    "Problem": "clauseway.values",
}

__all__ = [
    "AnsweredStretch",
    "Citation",
    "Claim",
    "Condition",
    "Decision",
    "DecisionVerification",
    "Explanation",
    "FactRegister",
    "Home",
    "Interval",
    "InvalidInput",
    "KnownAt",
    "Money",
    "OpenAgreement",
    "OpenAgreements",
    "Outcome",
    "Problem",
    "Proof",
    "Question",
    "Reason",
    "Receipt",
    "Remark",
    "RevenueShare",
    "Turn",
    "UncheckedFact",
    "Within",
    "check_agreement",
    "explain",
    "home_at",
    "list_facts",
    "open_agreement",
    "open_agreements",
    "prove",
    "read_explanation",
    "record_fact",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'clauseway' has no attribute {name!r}")
    return getattr(importlib.import_module(_OFFERED[name]), name)
