"""What only all documents together show: names used twice, no order between two, changes of what is not there (yet).

The order is that in which documents were concluded: by day; of one day by what each names as `after`, else as they
take effect.
"""

from collections.abc import Collection, Sequence
from datetime import date

from clauseway.agreement.amendments import Draft
from clauseway.agreement.definitions import Definitions
from clauseway.agreement.mistakes import DEFINITIONS, Mistakes
from clauseway.agreement.terms import ANY_TERM

# What stands first has the name; whoever comes later is told.
_OTHER_ID = "Give one of them another id."


def check_sequence(drafts: Sequence[Draft], definitions: Definitions, mistakes: Mistakes) -> None:
    """Check the amendments of an agreement against each other, in the order in which they were concluded."""
    in_order = in_order_of_conclusion(drafts)
    _check_any(in_order, mistakes)
    _check_ids(in_order, mistakes)
    _check_after(in_order, mistakes)
    _check_days(in_order, mistakes)
    _check_declared(in_order, mistakes)
    declared = {name for draft in in_order for name, _ in draft.declared}
    for draft in in_order:
        _check_despite(draft, declared, mistakes.within(draft.document))
        within = mistakes.within(draft.document)
        _check_changed(draft, in_order, within)
        _check_rescinded(draft, in_order, within)
        _check_once(draft, within)
    _check_commentary(in_order, definitions, mistakes.within(DEFINITIONS))


def _check_any(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    if not drafts:
        why = "an agreement without one states nothing"
        mistakes.within(DEFINITIONS).add(
            1, "there is no amendment", why, "Add a file such as A1.md."
        )


def _check_ids(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    seen: dict[str, str] = {}
    for draft in drafts:
        if draft.id:
            mistakes.within(draft.document).check_name(1, draft.id)
        if draft.id and draft.id in seen:
            what, why = f"amendment {draft.id!r} stands twice", f"{seen[draft.id]} has that id"
            mistakes.within(draft.document).add(1, what, why, _OTHER_ID)
        seen.setdefault(draft.id, draft.document)


def in_order_of_conclusion(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts, the one concluded first first. Where a day could not be read, the draft stands last."""
    chains = {draft.document: _chain(draft, drafts) for draft in drafts}
    return sorted(
        drafts,
        key=lambda draft: (
            draft.concluded or date.max,
            len(chains[draft.document]),
            draft.effective or date.max,
            draft.document,
        ),
    )


def _chain(draft: Draft, drafts: Sequence[Draft]) -> list[Draft]:
    """Those of one day that a draft comes after, the nearest first; a circle is walked once."""
    found: list[Draft] = []
    at: Draft | None = draft
    while at is not None and at.after:
        named = [
            other for other in drafts if other.id == at.after and other.concluded == at.concluded
        ]
        at = next((other for other in named if other not in (*found, draft)), None)
        found += [at] if at is not None else []
    return found


def _check_after(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    """What a document comes after is another of the same day, and in the end one that comes after none."""
    for draft in drafts:
        if not draft.after:
            continue
        within = mistakes.within(draft.document)
        same_day = [
            other.id
            for other in drafts
            if other.concluded == draft.concluded and other is not draft
        ]
        why = f"no other document was concluded on {draft.concluded}"
        within.check_one_of(
            1,
            "amendment",
            draft.after,
            same_day,
            why if not same_day else "none of that day has it",
        )
        last = [draft, *_chain(draft, drafts)][-1]
        if last.after and draft.after in same_day:
            what, why = f"{draft.id} comes after itself", f"{last.id} comes after {last.after}"
            within.add(1, what, why, "Break the circle of after:.")


def _check_days(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    """Of two documents concluded on one day it is said which came after."""
    for number, draft in enumerate(drafts):
        for before in drafts[:number]:
            if draft.concluded is None or before.concluded != draft.concluded:
                continue
            if before.effective != draft.effective:
                continue
            if before not in _chain(draft, drafts) and draft not in _chain(before, drafts):
                what, why = (
                    f"two amendments were concluded on {draft.concluded}",
                    f"{before.document} was too",
                )
                todo = f"Write after: {before.id or '…'} in the later one, or fix a date."
                mistakes.within(draft.document).add(1, what, why, todo)
                break


def _check_rescinded(draft: Draft, drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    """Rescinded is what was concluded earlier and is not yet in effect."""
    earlier = {other.id: other for other in drafts if _precedes(other, draft, drafts)}
    for changed in draft.rescinded:
        mistakes.check_one_of(
            changed.line, "earlier amendment", changed.term, earlier, "no earlier amendment has it"
        )
        other = earlier.get(changed.term)
        if other and other.effective and draft.effective and other.effective <= draft.effective:
            why = f"it took effect on {other.effective}"
            todo = "End its terms instead."
            mistakes.add(
                changed.line,
                f"{changed.term} cannot be rescinded from {draft.effective}",
                why,
                todo,
            )


def _check_declared(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    seen: dict[str, str] = {}
    for draft in drafts:
        for name, line in draft.declared:
            if name:
                mistakes.within(draft.document).check_name(line, name)
            if name and name in seen:
                mistakes.within(draft.document).add(
                    line, f"{name!r} stands twice", f"{seen[name]} has that id", _OTHER_ID
                )
            seen.setdefault(name, f"{draft.document}:{line}")


def _check_changed(draft: Draft, drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    """A change names terms of earlier amendments."""
    changes = {changed.change.id for other in drafts for changed in other.changed}
    earlier = {
        name for other in drafts if _precedes(other, draft, drafts) for name, _ in other.declared
    }
    later = {
        name: other
        for other in drafts
        if not _precedes(other, draft, drafts)
        for name, _ in other.declared
    }
    for changed in draft.changed:
        if changed.term in changes:
            what, why = (
                f"{changed.term!r} is a change",
                "a change has no end: it has its effect once",
            )
            mistakes.add(changed.line, what, why, "Name the terms whose end is meant.")
        elif changed.term in later and changed.term not in earlier:
            what = f"{changed.change.id} changes {changed.term!r} too early"
            why = f"it stands in {later[changed.term].document}, not before"
            mistakes.add(
                changed.line, what, why, "Change it in a later amendment, or name another term."
            )
        else:
            mistakes.check_one_of(
                changed.line, "earlier term", changed.term, earlier, "no earlier amendment has it"
            )


def _check_despite(draft: Draft, declared: Collection[str], mistakes: Mistakes) -> None:
    """What a permission stands against is a term of the agreement, of whatever amendment."""
    for name, line in draft.despite:
        if name != ANY_TERM:
            mistakes.check_one_of(line, "term", name, declared, "no amendment has it")


def _precedes(other: Draft, draft: Draft, drafts: Sequence[Draft] = ()) -> bool:
    """Return whether an amendment was concluded before another. Where a day could not be read, it may be."""
    if other is draft:
        return False
    if other.concluded is None or draft.concluded is None or other.concluded < draft.concluded:
        return True
    order = in_order_of_conclusion(drafts)
    return order.index(other) < order.index(draft)


def _check_once(draft: Draft, mistakes: Mistakes) -> None:
    """Within an amendment, a term is changed once under the same readings."""
    seen: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for changed in draft.changed:
        key = (changed.term, frozenset(changed.change.under.items()))
        if key in seen:
            what, why = (
                f"{changed.change.id} changes {changed.term!r} a second time",
                f"{seen[key]} changes it too",
            )
            mistakes.add(changed.line, what, why, "Delete one of the two.")
        seen.setdefault(key, changed.change.id)


def _check_commentary(
    drafts: Sequence[Draft], definitions: Definitions, mistakes: Mistakes
) -> None:
    known = [draft.id for draft in drafts]
    if known and all(known):
        for name, written in definitions.commentary.items():
            line = definitions.lines["commentary", name]
            mistakes.check_one_of(
                line, "amendment", written.from_, known, "no document has that id"
            )
