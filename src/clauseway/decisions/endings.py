"""Cite why a term or right holds no more: the text that ended it, or why its giver lost the right.

A right *falls* when its giver can no longer give it.
"""

from collections.abc import Iterator
from datetime import date

from clauseway.agreement import Ownership, TermState
from clauseway.agreement.language.terms import AnyTerm
from clauseway.decisions.case import ASKED_PRODUCT, Case
from clauseway.decisions.decision import Reason
from clauseway.decisions.givers import LostRight, giver_of
from clauseway.decisions.reach import Act


def cite_end_or_pause(state: TermState) -> tuple[Reason, ...]:
    """Cite the text that ended or paused a term, the event if an event did, and the term itself."""
    note = f"{state.term.id} ended on {state.end}"
    if state.paused:
        note = f"paused: {state.term.id}, {state.paused}"
    cited = [Reason.of("ended", state.ended_by, note)]
    if state.event is not None:
        cited.append(Reason.of("meets", state.event))
    return (*cited, Reason.of("ended", state.term.citation, note))


def cite_loss(case: Case, lost: LostRight, act: Act) -> tuple[Reason, ...]:
    """Cite the text that ended a right; for a right that fell, cite why its giver lost its own."""
    state = lost.state
    if not lost.fell:
        return cite_end_or_pause(state)
    giver = giver_of(state.right or state.term)
    return (*cite_breaks(case, giver, lost.day, act), cite_fall(lost))


def cite_fall(lost: LostRight) -> Reason:
    """Cite a right that fell, or the exclusivity that it wrote."""
    return _fell(lost.state.right or lost.state.term, lost.state.term, lost.day)


def _fell(right: AnyTerm, cited: AnyTerm, day: date) -> Reason:
    note = f"{cited.id} fell on {day}: {giver_of(right)} could give it no more"
    return Reason.of("ended", cited.citation, note)


def cite_breaks(case: Case, giver: str, day: date, act: Act) -> Iterator[Reason]:
    """Cite the terms by whose end or beginning, on a day, a giver lost the right to give the act."""
    for state in case.givers.broken(giver, case.lineage(act.product), day):
        term = state.term
        if state.end == day:
            yield from cite_end_or_pause(state)
        elif isinstance(term, Ownership):
            note = f"{term.party} owns {ASKED_PRODUCT} from {day}"
            yield Reason.of("ended", term.citation, note)
        else:
            yield _fell(term, term, day)
