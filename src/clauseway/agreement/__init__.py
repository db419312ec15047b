"""The agreement: documents, amendments, typed terms, readings, figures, facts, and their force.

The reader turns a folder of Markdown into an `Agreement`, or into a list of every mistake in it,
each with file, line and remedy. An amendment adds terms and names the terms that it ends or whose
end it moves. Nothing is edited, and a term that has ended stays ended. Facts (launches, answers,
offers, milestones, grants) stand in a register beside the agreement. `in_force` folds all of them
for one day, one point of knowledge and one choice of readings.

    language   terms, facts, events, and the agreement itself, as frozen records
    text       a document taken apart: sections, blocks, YAML, and its mistakes
    reading    documents to an Agreement and its facts
    force      the terms in force on a day
    soundness  remarks on a readable agreement
    authoring  schema and layout for its authors

This package knows nothing of questions, requests or money paid.
"""

from clauseway.agreement.force.fold import (
    InForce,
    TermState,
    boundaries,
    idle_events,
    in_force,
    possible_boundaries,
    possible_turns,
    revenue_shares,
)
from clauseway.agreement.language.agreement import Agreement, Amendment, Change, Clause
from clauseway.agreement.language.definitions import Commentary, ContextNote, Figure, Reading
from clauseway.agreement.language.facts import (
    Answer,
    Fact,
    FactRegister,
    Grant,
    Launch,
    Milestone,
    Offer,
    PartyAdded,
    ProductAdded,
    Retraction,
    Withdrawal,
    with_additions,
)
from clauseway.agreement.language.meaning import meaning_of, meaning_of_facts
from clauseway.agreement.language.shares import RevenueShare, ShareBase
from clauseway.agreement.language.terms import (
    Choice,
    Commitment,
    Context,
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Stake,
    Term,
    Undertaking,
)
from clauseway.agreement.reading.agreement_reader import read_agreement, read_with_facts
from clauseway.agreement.reading.recorded import Recorded, UncheckedFact, checked, facts_for
from clauseway.agreement.reading.registers import read_facts
from clauseway.agreement.reading.suppositions import suppose

__all__ = [
    "Agreement",
    "Amendment",
    "Answer",
    "Change",
    "Choice",
    "Clause",
    "Commentary",
    "Commitment",
    "Context",
    "ContextNote",
    "Exclusivity",
    "Fact",
    "FactRegister",
    "Figure",
    "Grant",
    "InForce",
    "Launch",
    "Licence",
    "Milestone",
    "Offer",
    "Ownership",
    "PartyAdded",
    "Permission",
    "Precedence",
    "ProductAdded",
    "Prohibition",
    "Reading",
    "Recorded",
    "RefusalRight",
    "Retraction",
    "RevenueShare",
    "RevenueShareTerm",
    "Scope",
    "ShareBase",
    "Stake",
    "Term",
    "TermState",
    "UncheckedFact",
    "Undertaking",
    "Withdrawal",
    "boundaries",
    "checked",
    "facts_for",
    "idle_events",
    "in_force",
    "meaning_of",
    "meaning_of_facts",
    "possible_boundaries",
    "possible_turns",
    "read_agreement",
    "read_facts",
    "read_with_facts",
    "revenue_shares",
    "suppose",
    "with_additions",
]
