"""What only all documents together show: names used twice, one date twice, changes of what is not there (yet)."""

from collections.abc import Collection, Sequence
from datetime import date

from clauseway.agreement.amendments import Draft
from clauseway.agreement.definitions import Definitions
from clauseway.agreement.mistakes import DEFINITIONS, Mistakes
from clauseway.agreement.terms import ANY_TERM

# What stands first has the name; whoever comes later is told.
_OTHER_ID = "Give one of them another id."


def check_sequence(drafts: Sequence[Draft], definitions: Definitions, mistakes: Mistakes) -> None:
    """Check the amendments of an agreement against each other, in the order in which they take effect."""
    in_order = sorted(drafts, key=lambda draft: (draft.effective or date.max, draft.document))
    _check_any(in_order, mistakes)
    _check_ids(in_order, mistakes)
    _check_days(in_order, mistakes)
    _check_declared(in_order, mistakes)
    declared = {name for draft in in_order for name, _ in draft.declared}
    for draft in in_order:
        _check_despite(draft, declared, mistakes.within(draft.document))
        within = mistakes.within(draft.document)
        _check_changed(draft, in_order, within)
        _check_once(draft, within)
    _check_commentary(in_order, definitions, mistakes.within(DEFINITIONS))


def _check_any(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    if not drafts:
        why = "an agreement without one states nothing"
        mistakes.within(DEFINITIONS).add(1, "there is no amendment", why, "Add a file such as A1.md.")


def _check_ids(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    seen: dict[str, str] = {}
    for draft in drafts:
        if draft.id:
            mistakes.within(draft.document).check_name(1, draft.id)
        if draft.id and draft.id in seen:
            what, why = f"amendment {draft.id!r} stands twice", f"{seen[draft.id]} has that id"
            mistakes.within(draft.document).add(1, what, why, _OTHER_ID)
        seen.setdefault(draft.id, draft.document)


def _check_days(drafts: Sequence[Draft], mistakes: Mistakes) -> None:
    seen: dict[date, str] = {}
    for draft in drafts:
        if draft.effective is None:
            continue
        if draft.effective in seen:
            what, why = f"two amendments take effect on {draft.effective}", f"{seen[draft.effective]} does too"
            mistakes.within(draft.document).add(1, what, why, "Merge them, or mend a date.")
        seen.setdefault(draft.effective, draft.document)


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
    earlier = {name for other in drafts if _precedes(other, draft) for name, _ in other.declared}
    later = {name: other for other in drafts if not _precedes(other, draft) for name, _ in other.declared}
    for changed in draft.changed:
        if changed.term in later and changed.term not in earlier:
            what = f"{changed.change.id} changes {changed.term!r} too early"
            why = f"it stands in {later[changed.term].document}, not before"
            mistakes.add(changed.line, what, why, "Change it in a later amendment, or name another term.")
        else:
            mistakes.check_one_of(changed.line, "earlier term", changed.term, earlier, "no earlier amendment has it")


def _check_despite(draft: Draft, declared: Collection[str], mistakes: Mistakes) -> None:
    """What a permission stands against is a term of the agreement, of whatever amendment."""
    for name, line in draft.despite:
        if name != ANY_TERM:
            mistakes.check_one_of(line, "term", name, declared, "no amendment has it")


def _precedes(other: Draft, draft: Draft) -> bool:
    """Whether an amendment comes before another. Where a day could not be read, it may."""
    if other is draft:
        return False
    return other.effective is None or draft.effective is None or other.effective < draft.effective


def _check_once(draft: Draft, mistakes: Mistakes) -> None:
    """Within an amendment, a term is changed once under the same readings."""
    seen: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for changed in draft.changed:
        key = (changed.term, frozenset(changed.change.under.items()))
        if key in seen:
            what, why = f"{changed.change.id} changes {changed.term!r} a second time", f"{seen[key]} changes it too"
            mistakes.add(changed.line, what, why, "Delete one of the two.")
        seen.setdefault(key, changed.change.id)


def _check_commentary(drafts: Sequence[Draft], definitions: Definitions, mistakes: Mistakes) -> None:
    known = [draft.id for draft in drafts]
    if known and all(known):
        for name, written in definitions.commentary.items():
            line = definitions.lines["commentary", name]
            mistakes.check_one_of(line, "amendment", written.from_, known, "no document has that id")
