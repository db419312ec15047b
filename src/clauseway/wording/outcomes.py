"""The word for an outcome: a revenue share is due or not due, an act is permitted or forbidden."""

from collections.abc import Collection

from clauseway.agreement.language.actions import SHARE
from clauseway.decisions import Outcome

_OF_A_SHARE = {Outcome.PERMITTED: "due", Outcome.FORBIDDEN: "not due"}


def outcome_word(outcome: Outcome, actions: str | Collection[str]) -> str:
    """Return the word that people read for an outcome of an action, or of several."""
    is_share = actions == SHARE or (not isinstance(actions, str) and set(actions) == {SHARE})
    return _OF_A_SHARE.get(outcome, outcome.value) if is_share else outcome.value


def is_due(outcome: Outcome, action: str) -> bool | None:
    """Return whether a revenue share is due; None where nothing is stated, and for other actions."""
    if action != SHARE or outcome is Outcome.UNSTATED:
        return None
    return outcome is Outcome.PERMITTED
