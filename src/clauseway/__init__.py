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
    from clauseway.agreement import FactRegister, Given, RevenueShare
    from clauseway.agreement.soundness import Remark, check_agreement
    from clauseway.app.explaining import Explanation, Verification, explain, read_explanation, verify
    from clauseway.app.home import Home, home_at
    from clauseway.app.library import OpenAgreement, open_agreement
    from clauseway.app.register import list_facts, record_fact
    from clauseway.app.several import OpenAgreements, open_agreements
    from clauseway.decisions import Condition, Decision, Outcome, Question, Reason, Receipt, Span, Turn
    from clauseway.decisions.proof import Claim, Proof, Within, prove
    from clauseway.values import Citation, Interval, InvalidInput, KnownAt, Money, Problem

_OFFERED = {
    "FactRegister": "clauseway.agreement",
    "Given": "clauseway.agreement",
    "RevenueShare": "clauseway.agreement",
    "Home": "clauseway.app.home",
    "home_at": "clauseway.app.home",
    "OpenAgreement": "clauseway.app.library",
    "open_agreement": "clauseway.app.library",
    "list_facts": "clauseway.app.register",
    "record_fact": "clauseway.app.register",
    "OpenAgreements": "clauseway.app.several",
    "open_agreements": "clauseway.app.several",
    "Remark": "clauseway.agreement.soundness",
    "check_agreement": "clauseway.agreement.soundness",
    "Explanation": "clauseway.app.explaining",
    "Verification": "clauseway.app.explaining",
    "explain": "clauseway.app.explaining",
    "read_explanation": "clauseway.app.explaining",
    "verify": "clauseway.app.explaining",
    "Claim": "clauseway.decisions.proof",
    "Proof": "clauseway.decisions.proof",
    "Within": "clauseway.decisions.proof",
    "prove": "clauseway.decisions.proof",
    "Condition": "clauseway.decisions",
    "Decision": "clauseway.decisions",
    "Outcome": "clauseway.decisions",
    "Question": "clauseway.decisions",
    "Reason": "clauseway.decisions",
    "Receipt": "clauseway.decisions",
    "Span": "clauseway.decisions",
    "Turn": "clauseway.decisions",
    "Citation": "clauseway.values",
    "InvalidInput": "clauseway.values",
    "Interval": "clauseway.values",
    "KnownAt": "clauseway.values",
    "Money": "clauseway.values",
    "Problem": "clauseway.values",
}

__all__ = [
    "Citation",
    "Claim",
    "Condition",
    "Decision",
    "Explanation",
    "FactRegister",
    "Given",
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
    "Span",
    "Turn",
    "Verification",
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
