"""Facts that a question supposes, in words: `milestone=2027-01-01` as a sentence."""

from clauseway.agreement import suppose
from clauseway.app.opening.several import Opened, each_of
from clauseway.wording.dates import day_in_words
from clauseway.wording.facts import fact_in_words
from clauseway.wording.names import Wording


def fact_supposed(opened: Opened, words: Wording, text: str) -> str:
    """Return `on 1 January 2027 the milestone's verification took effect`.

    Raise InvalidInput where the text is no fact.
    """
    events = {
        name: event for each in each_of(opened) for name, event in each.agreement.events.items()
    }
    fact = suppose(text, opened.catalog, events)
    return f"on {day_in_words(fact.effective)} {fact_in_words(words, fact)}"
