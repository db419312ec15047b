"""Decisions in words: a refusal for a caller, and the deciding clause beside a bar of a
timeline."""

import re
from collections.abc import Iterable, Sequence

from clauseway.catalog import ELSEWHERE
from clauseway.decisions import Decision, Outcome
from clauseway.wording.names import OUTSIDE, Wording, listed, sentence

# The command that says of which class a product is that no agreement names.
RECORD_PRODUCT = (
    "clauseway fact record product --product {product} --class CLASS --effective DAY --source WHERE"
)
# The spelling of our own reading as the only source, with what the agreement says it is.
_OWN_READING = re.compile(r"ours \(([^()]*)\)")
# The words for days before the first amendment.
NOT_YET = "No amendment is in force yet."
# A cloud and a region of it; the region is empty where the agreement tells none apart.
CloudRegion = tuple[str, str]


def from_source(source: str) -> str:
    """Return the sources of a citation with their label; our own reading says what it is."""
    own = _OWN_READING.fullmatch(source)
    return own[1] if own else f"source {source}"


def refusal_sentence(
    words: Wording, decision: Decision, seller: str, product: str, *places: CloudRegion
) -> str:
    """Return a refusal for the caller: the sale, the clause, and the facts that would permit it.

    The places are those for which the decision is the same. The clause is cited by its place in the
    text, where its sources stand.
    """
    first = decision.reasons[0]
    line = f":{first.line}" if first.line else ""
    clause = f"{decision.outcome} by {first.term}, {first.document}{line}"
    sale = f"{words.name(seller)} may not sell {product} on {_places(words, places, 'or')}"
    # The operator can decide otherwise about what is unstated, so the refusal says how.
    if decision.outcome is Outcome.UNSTATED:
        return (
            f"No agreement in force states that {sale.replace(' may not ', ' may ', 1)} ({clause})"
            f"{first.note and f': {first.note}'}. "
            'This gateway refuses what is unstated; unstated = "serve" at the top of '
            "clauseway.toml would serve it."
        )
    return f"{sale} ({clause}): {first.text}{words.spelt(_needed(decision))}"


def unserved_sentence(
    words: Wording, outcome: Outcome, seller: str, product: str, *places: CloudRegion
) -> str:
    """Return that a sale would be served at places, and that no deployment there makes it."""
    name, where = words.name(seller), _places(words, places, "and")
    missing = f"no deployment of it there is sold by {name}"
    if outcome is Outcome.UNSTATED:
        return (
            f"No agreement in force states that {name} may sell {product} on {where}; "
            f"this gateway serves what is unstated, but {missing}."
        )
    return f"On {where} {name} may sell {product}, but {missing}."


def why_nowhere(
    words: Wording,
    seller: str,
    product: str,
    unserved: Iterable[tuple[CloudRegion, Decision]],
    refused: Iterable[tuple[CloudRegion, Decision]],
) -> str:
    """Return why no place serves a sale: where only a deployment is missing comes first, then each
    clause once, with all the places that it closes."""
    lacking = [
        unserved_sentence(words, decision.outcome, seller, product, *places)
        for decision, places in _alike((each, each[1].outcome) for each in unserved)
    ]
    closed = [
        refusal_sentence(words, decision, seller, product, *places)
        for decision, places in _alike((each, _grounds(each[1])) for each in refused)
    ]
    return " ".join([*lacking, *closed])


def deciding_clause(words: Wording, decision: Decision) -> str:
    """Return the text of the deciding term behind its note, and the facts that would permit it."""
    first = decision.main_reason
    note = f"{sentence(words.spelt(first.note))}: " if first.note else ""
    return f"{note}{first.text}{words.spelt(_needed(decision))}"


def _alike(
    decided: Iterable[tuple[tuple[CloudRegion, Decision], object]],
) -> list[tuple[Decision, list[CloudRegion]]]:
    """Return the decisions that read the same as one, with their places."""
    groups: dict[object, tuple[Decision, list[CloudRegion]]] = {}
    for (place, decision), reads in decided:
        groups.setdefault(reads, (decision, []))[1].append(place)
    return list(groups.values())


def _grounds(decision: Decision) -> tuple[object, ...]:
    """Return what a refusal says of its grounds."""
    first = decision.reasons[0]
    return decision.outcome, first.citation, first.note, _needed(decision)


def _places(words: Wording, places: Sequence[CloudRegion], conjunction: str) -> str:
    return listed([_place(words.name(cloud), region) for cloud, region in places], conjunction)


def _place(cloud: str, region: str) -> str:
    if region == ELSEWHERE:
        return f"{cloud} {OUTSIDE}"
    return f"{cloud} in {region}" if region else cloud


def _needed(decision: Decision) -> str:
    return "".join(f" {condition.text}" for condition in decision.conditions)
