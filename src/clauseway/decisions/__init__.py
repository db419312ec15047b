"""Decisions answer a question with an outcome and its reasons. Tables answer many questions fast.

An owner may do whatever no term in force forbids; any other party needs a grant. An exclusivity
forbids acts outside it, unless a carve-out covers them. Rights of first refusal and ship-first make
an answer conditional until recorded facts meet them. Nothing here is special to one agreement.

The argument is `engine`, which reads top to bottom, over the modules below it. Whatever uses the
argument stands above it. Imports point from the top of this list down:

    findings       what a check of an agreement finds
    searches       differences, their causes, what would change an answer, proofs
    trace          every term of the agreement, and why it did or did not apply
    joint_answers  a question put to several agreements, and their answers joined
    tables         decisions made ahead of time
    asking         from a question to a decision with its receipt
    launch_audit   launches held against the ship-first clause
    engine         the decision itself
    conditions     rights of first refusal and ship-first, until facts meet them
    endings        citations of what ended a term or took a right away
    forbidding     exclusivities and prohibitions
    rights         permissions, licences and recorded grants
    case           everything that an answer may rest on
    givers         who may give a right, and on which days
    reach          a term's scope compared with an act; no other module compares them
    question       a question, checked against the agreement
    decision       the outcome, its reasons and conditions, as values
    parts          the one list of the names that a question is made of

Of the functions that `engine` calls, `cite_…` returns the reasons to cite, `find_…` a record of what
holds or was lost; any other verb (`is_…`, `stands`, `lifts`) returns whether it is so.

This package has no clock and no HTTP: the day, the point of knowledge, the readings and the facts
are arguments.
"""

from clauseway.decisions.asking import decide, facts_digest
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.joint_answers import (
    AskedAgreement,
    ask_together,
    check_readings_together,
    check_regions_together,
    decide_together,
    decide_together_as_read,
    joint_catalog,
    own_options,
    put_to,
    supposing_together,
    timeline_together,
    unnamed_in,
)
from clauseway.decisions.launch_audit import (
    Audit,
    AuditFinding,
    Bound,
    Order,
    Shipment,
    audit_launches,
)
from clauseway.decisions.question import Question, ask, check_readings
from clauseway.decisions.tables.decision_table import (
    AnsweredStretch,
    DecisionTable,
    Tables,
    Verdict,
    compile_table,
)
from clauseway.decisions.tables.domain import all_questions
from clauseway.decisions.tables.stand_ins import StandIns

__all__ = [
    "AnsweredStretch",
    "AskedAgreement",
    "Audit",
    "AuditFinding",
    "Bound",
    "Condition",
    "Decision",
    "DecisionTable",
    "Order",
    "Outcome",
    "Question",
    "Reason",
    "Receipt",
    "Shipment",
    "StandIns",
    "Tables",
    "Turn",
    "Verdict",
    "all_questions",
    "ask",
    "ask_together",
    "audit_launches",
    "check_readings",
    "check_readings_together",
    "check_regions_together",
    "compile_table",
    "decide",
    "decide_together",
    "decide_together_as_read",
    "facts_digest",
    "joint_catalog",
    "own_options",
    "put_to",
    "supposing_together",
    "timeline_together",
    "unnamed_in",
]
