"""Facts in words: what was launched, answered, offered, granted or withdrawn, and what took place."""

from clauseway.agreement import (
    Answer,
    Fact,
    Grant,
    Launch,
    Milestone,
    Offer,
    PartyAdded,
    ProductAdded,
    Withdrawal,
)
from clauseway.agreement.language.facts import EventHappened
from clauseway.catalog import ELSEWHERE
from clauseway.wording.names import OUTSIDE, Wording, customers


def fact_in_words(words: Wording, fact: Fact) -> str:
    """Return a fact in words; nothing of a retraction, which only hides another."""
    match fact:
        case Launch():
            stage = {"announced": "was announced for", "preview": "went into preview on"}
            return (
                f"{fact.product} {stage.get(fact.stage, 'became available on')} "
                f"{words.name(fact.cloud)}"
            )
        case Answer():
            can, will = (
                "can" if fact.can else "cannot",
                "declines" if fact.declines else "chooses",
            )
            return (
                f"it was answered that the first cloud {can} support {fact.product} and {will} to"
            )
        case Offer():
            return (
                f"what is called {fact.subject} was "
                f"offered{' and passed on' if fact.passed else ''}"
            )
        case Grant():
            last = f", through {fact.through}" if fact.through is not None else ""
            return f"{words.name(fact.party)} was granted {fact.product}{_kept(words, fact)}{last}"
        case Withdrawal():
            granted = f"{fact.product}{_kept(words, fact)}"
            return f"{words.name(fact.party)}'s grant of {granted} was withdrawn"
        case EventHappened():
            through = f", through {fact.through}" if fact.through is not None else ""
            return f"the event “{fact.event}” took place{through}"
        case ProductAdded():
            return f"{fact.product} was added to {fact.class_}"
        case PartyAdded():
            return f"{words.name(fact.party)} was added"
        case Milestone():
            return "the milestone's verification took effect"
    return ""


def _kept(words: Wording, fact: Grant | Withdrawal) -> str:
    """Return the place and customers that a grant or withdrawal is kept to."""
    region = fact.region
    where = f" on {words.name(fact.cloud)}" if fact.cloud else ""
    where += f" {OUTSIDE if region == ELSEWHERE else f'in {region}'}" if region else ""
    return where + (f" for {customers([fact.segment])}" if fact.segment else "")
