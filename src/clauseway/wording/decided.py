"""Decisions in words: a refusal for a caller, and the deciding clause beside a bar of a
timeline."""

import re

from clauseway.decisions import Decision, Outcome

# The command that says of which class a product is that no agreement names.
RECORD_PRODUCT = (
    "clauseway fact record product --product {product} --class CLASS --effective DAY --source WHERE"
)
# The spelling of our own reading as the only source, with what the agreement says it is.
_OWN_READING = re.compile(r"ours \(([^()]*)\)")
# The words for days before the first amendment.
NOT_YET = "No amendment is in force yet."


def from_source(source: str) -> str:
    """Return the sources of a citation with their label; our own reading says what it is."""
    own = _OWN_READING.fullmatch(source)
    return own[1] if own else f"source {source}"


def refusal_sentence(
    decision: Decision, seller: str, product: str, cloud: str, region: str = ""
) -> str:
    """Return a refusal for the caller: the sale, the clause, and the facts that would permit it."""
    first = decision.reasons[0]
    clause = f"{first.term} ({first.document}, line {first.line}; {from_source(first.source)})"
    where = f"{cloud} in {region}" if region else cloud
    # The operator can decide otherwise about what is unstated, so the refusal says how.
    if decision.outcome is Outcome.UNSTATED:
        return (
            f"No agreement in force states that {seller} may sell {product} on {where}: "
            f"unstated by {clause}{first.note and f': {first.note}'}. "
            'This gateway refuses what is unstated; unstated = "serve" at the top of '
            "clauseway.toml would serve it."
        )
    return (
        f"The agreement does not let {seller} sell {product} on {where}: "
        f"{decision.outcome} by {clause}: {first.text}{_needed(decision)}"
    )


def deciding_clause(decision: Decision) -> str:
    """Return the deciding term with its note and its text, and the facts that would permit it."""
    first = decision.reasons[0]
    note = f" ({first.note})" if first.note else ""
    return f"{first.amendment} {first.term}{note}: {first.text}{_needed(decision)}"


def _needed(decision: Decision) -> str:
    return "".join(f" {condition.text}" for condition in decision.conditions)
