"""Decisions: a question in, an outcome with its reasons out. A table over questions for those who ask often.

An owner may do what no term in force forbids; anyone else needs a grant; an exclusivity forbids what lies outside it
unless a carve-out covers the case; refusal rights and ship-first make an answer conditional until recorded facts meet
them. Nothing here is special to one agreement.

Knows no clock and no HTTP: the day, the point of knowledge, the readings and the facts are arguments.
"""

from clauseway.decisions.audit import Audit, AuditFinding, Bound, Order, Shipment, audit_launches
from clauseway.decisions.batch import StandIns
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.domain import all_questions
from clauseway.decisions.engine import decide, facts_hash
from clauseway.decisions.question import Question, ask, check_readings
from clauseway.decisions.several import (
    Asked,
    ask_together,
    check_readings_together,
    check_regions_together,
    decide_together,
    joint_catalog,
    own_options,
    put_to,
    supposing_together,
    timeline_together,
    unnamed_in,
)
from clauseway.decisions.table import DecisionTable, Span, Tables, Verdict, compile_table, timeline

__all__ = [
    "Asked",
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
    "Span",
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
    "facts_hash",
    "joint_catalog",
    "own_options",
    "put_to",
    "supposing_together",
    "timeline",
    "timeline_together",
    "unnamed_in",
]
