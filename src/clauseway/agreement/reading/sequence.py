"""Check the mistakes that only all documents together show.

These are names used twice, two documents without an order, and changes of terms that do not exist
(yet). Documents are ordered by the day on which they were concluded, then by the document that each
names as `after`, then by the day on which they take effect.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement.language.actions import LICENSE
from clauseway.agreement.language.terms import (
    ANY_TERM,
    EXCLUSIVE_SUFFIX,
    AnyTerm,
    Ownership,
    Permission,
    RevenueShareTerm,
)
from clauseway.agreement.reading.amendments import AmendmentRead
from clauseway.agreement.reading.definitions import Definitions
from clauseway.agreement.text.mistakes import DEFINITIONS, Mistakes
from clauseway.catalog import Catalog

# The document that stands first keeps the name; the mistake is reported at the later one.
_OTHER_ID = "Give one of them another id."


def check_sequence(
    drafts: Sequence[AmendmentRead], definitions: Definitions, mistakes: Mistakes
) -> None:
    """Check the amendments of an agreement against each other, in the order of conclusion."""
    in_order = in_order_of_conclusion(drafts)
    # The order itself: ids and days.
    _check_any(in_order, mistakes)
    _check_ids(in_order, mistakes)
    _check_after(in_order, mistakes)
    _check_days(in_order, mistakes)
    # The terms that amendments name of each other.
    _check_declared(in_order, mistakes)
    order = _Order.of(in_order)
    for draft in in_order:
        within = mistakes.within(draft.document)
        _check_despite(draft, order.declaring, within)
        _check_changed(draft, order, within)
        _check_rescinded(draft, order, within)
        _check_once(draft, within)
    _check_commentary(in_order, definitions, mistakes.within(DEFINITIONS))
    # A document with a mistake has no terms, so it would not show who earns what.
    if not mistakes:
        _check_wholesale(in_order, definitions.catalog(), mistakes)


class _Order(msgspec.Struct, frozen=True):
    """The drafts in the order of conclusion, the place of each document, and who declares a name.

    `changes` are the ids of changes.
    """

    drafts: Sequence[AmendmentRead]
    places: Mapping[str, int]
    declaring: Mapping[str, Sequence[AmendmentRead]]
    changes: Collection[str]

    @classmethod
    def of(cls, in_order: Sequence[AmendmentRead]) -> "_Order":
        declaring: dict[str, list[AmendmentRead]] = defaultdict(list)
        for draft in in_order:
            for name, _ in draft.declared:
                declaring[name].append(draft)
        return cls(
            drafts=in_order,
            places={draft.document: place for place, draft in enumerate(in_order)},
            declaring=declaring,
            changes={changed.change.id for draft in in_order for changed in draft.changed},
        )

    def precedes(self, earlier: AmendmentRead, draft: AmendmentRead) -> bool:
        """Return whether an amendment was concluded before another, or may have been.

        It may have been if a day could not be read.
        """
        if earlier is draft:
            return False
        if earlier.concluded is None or draft.concluded is None:
            return True
        return self.places[earlier.document] < self.places[draft.document]

    def before(self, draft: AmendmentRead) -> list[AmendmentRead]:
        """Return the amendments concluded before another."""
        return [earlier for earlier in self.drafts if self.precedes(earlier, draft)]


def _check_any(drafts: Sequence[AmendmentRead], mistakes: Mistakes) -> None:
    if not drafts:
        why = "an agreement without one states nothing"
        mistakes.within(DEFINITIONS).add(
            1, "there is no amendment", why, "Add a file such as A1.md."
        )


def _check_ids(drafts: Sequence[AmendmentRead], mistakes: Mistakes) -> None:
    seen: dict[str, str] = {}
    for draft in drafts:
        if draft.id:
            mistakes.within(draft.document).check_name(1, draft.id)
        if draft.id and draft.id in seen:
            problem, why = f"amendment {draft.id!r} stands twice", f"{seen[draft.id]} has that id"
            mistakes.within(draft.document).add(1, problem, why, _OTHER_ID)
        seen.setdefault(draft.id, draft.document)


def in_order_of_conclusion(drafts: Sequence[AmendmentRead]) -> list[AmendmentRead]:
    """Return the drafts in the order of conclusion. A draft without a readable day comes last."""
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


def _chain(draft: AmendmentRead, drafts: Sequence[AmendmentRead]) -> list[AmendmentRead]:
    """Return the drafts of the same day that a draft comes after, the nearest first.

    A circle is walked once.
    """
    chain: list[AmendmentRead] = []
    at: AmendmentRead | None = draft
    while at is not None and at.after:
        named = [
            candidate
            for candidate in drafts
            if candidate.id == at.after and candidate.concluded == at.concluded
        ]
        at = next((candidate for candidate in named if candidate not in (*chain, draft)), None)
        chain += [at] if at is not None else []
    return chain


def _check_after(drafts: Sequence[AmendmentRead], mistakes: Mistakes) -> None:
    """Check that each `after` names another document of the same day, without circles."""
    for draft in drafts:
        if not draft.after:
            continue
        within = mistakes.within(draft.document)
        same_day = [
            candidate.id
            for candidate in drafts
            if candidate.concluded == draft.concluded and candidate is not draft
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
            problem, why = f"{draft.id} comes after itself", f"{last.id} comes after {last.after}"
            within.add(1, problem, why, "Break the circle of after:.")


def _check_days(drafts: Sequence[AmendmentRead], mistakes: Mistakes) -> None:
    """Check that two documents concluded and effective on the same days say which came after."""
    for number, draft in enumerate(drafts):
        for before in drafts[:number]:
            if draft.concluded is None or before.concluded != draft.concluded:
                continue
            if before.effective != draft.effective:
                continue
            if before not in _chain(draft, drafts) and draft not in _chain(before, drafts):
                problem, why = (
                    f"two amendments were concluded on {draft.concluded}",
                    f"{before.document} was too",
                )
                remedy = f"Write after: {before.id or '…'} in the later one, or fix a date."
                mistakes.within(draft.document).add(1, problem, why, remedy)
                break


def _check_rescinded(draft: AmendmentRead, order: _Order, mistakes: Mistakes) -> None:
    """Check that a rescinded amendment was concluded earlier and is not yet in effect."""
    if not draft.rescinded:
        return
    earlier = {rescinded.id: rescinded for rescinded in order.before(draft)}
    for changed in draft.rescinded:
        mistakes.check_one_of(
            changed.line, "earlier amendment", changed.term, earlier, "no earlier amendment has it"
        )
        rescinded = earlier.get(changed.term)
        if (
            rescinded
            and rescinded.effective
            and draft.effective
            and rescinded.effective <= draft.effective
        ):
            why = f"it took effect on {rescinded.effective}"
            remedy = (
                f"Let {draft.id} take effect before that day (effective:), or end the terms of "
                f"{rescinded.id} instead, and set again the ends that it set."
            )
            mistakes.add(
                changed.line,
                f"{changed.term} cannot be rescinded from {draft.effective}",
                why,
                remedy,
            )


def _check_declared(drafts: Sequence[AmendmentRead], mistakes: Mistakes) -> None:
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


def _check_changed(draft: AmendmentRead, order: _Order, mistakes: Mistakes) -> None:
    """Check that a change names terms of earlier amendments."""
    for changed in draft.changed:
        declaring = order.declaring.get(changed.term, ())
        if changed.term in order.changes:
            problem, why = (
                f"{changed.term!r} is a change",
                "a change has no end: it has its effect once",
            )
            mistakes.add(changed.line, problem, why, "Name the terms whose end is meant.")
        elif any(order.precedes(earlier, draft) for earlier in declaring):
            continue
        elif declaring:
            problem = f"{changed.change.id} changes {changed.term!r} too early"
            why = f"it stands in {declaring[-1].document}, not before"
            remedy = "Change it in a later amendment, or name another term."
            if declaring[-1] is draft:
                why, remedy = "it stands in the same document", _remedy_within(changed.term)
            mistakes.add(changed.line, problem, why, remedy)
        else:
            earlier_terms = {name for each in order.before(draft) for name, _ in each.declared}
            mistakes.check_one_of(
                changed.line,
                "earlier term",
                changed.term,
                earlier_terms,
                "no earlier amendment has it",
            )


def _remedy_within(term: str) -> str:
    """Return how to write the end of a term in the document that writes the term."""
    right = term.removesuffix(EXCLUSIVE_SUFFIX)
    if right == term:
        return f"Write until: or through: under {term} itself."
    return (
        f"Delete exclusive: or sole: under {right}, and write its exclusivity as a term: kind: "
        "exclusivity with the same actions: and products:, only: {parties: [...]} (for a licence, "
        "actions: [license, use-under-licence] and only: {licensees: [...]}), and its own until: or "
        "through:."
    )


def _check_despite(draft: AmendmentRead, declared: Collection[str], mistakes: Mistakes) -> None:
    """Check that `despite` names terms of the agreement, in any amendment."""
    for name, line in draft.despite:
        if name != ANY_TERM:
            mistakes.check_one_of(line, "term", name, declared, "no amendment has it")


def _check_once(draft: AmendmentRead, mistakes: Mistakes) -> None:
    """Check that an amendment changes a term at most once under the same readings."""
    seen: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for changed in draft.changed:
        key = (changed.term, frozenset(changed.change.under.items()))
        if key in seen:
            problem, why = (
                f"{changed.change.id} changes {changed.term!r} a second time",
                f"{seen[key]} changes it too",
            )
            mistakes.add(changed.line, problem, why, "Delete one of the two.")
        seen.setdefault(key, changed.change.id)


def _check_commentary(
    drafts: Sequence[AmendmentRead], definitions: Definitions, mistakes: Mistakes
) -> None:
    ids = [draft.id for draft in drafts]
    if ids and all(ids):
        for name, written in definitions.commentary.items():
            line = definitions.lines["commentary", name]
            mistakes.check_one_of(
                line, "amendment", written.from_amendment, ids, "no document has that id"
            )


def _check_wholesale(drafts: Sequence[AmendmentRead], catalog: Catalog, mistakes: Mistakes) -> None:
    """Check each share of what its payer earns from other sellers: the payer must be able to earn it.

    An owner earns from those who sell what it owns, and so does whoever may license it to others.
    """
    terms = [term for draft in drafts if draft.amendment for term in draft.amendment.terms]
    for draft in drafts:
        for term in draft.amendment.terms if draft.amendment else ():
            if not isinstance(term, RevenueShareTerm) or not term.base.wholesale:
                continue
            named = (*catalog.classes, *catalog.products)
            counted = [name for name in named if term.base.takes_in(catalog.lineage(name), "")]
            if counted and not any(_earns(other, term.payer, counted, catalog) for other in terms):
                mistakes.within(draft.document).add(
                    term.citation.line,
                    f"{term.payer} earns nothing from the other sellers in {term.id}",
                    f"no term lets {term.payer} own anything in its base or license it to others, "
                    "so what others sell is not its to share",
                    f"Take wholesale: out, or write an ownership of {term.payer}, or let whoever "
                    "owns it pay.",
                )


def _earns(term: AnyTerm, party: str, names: Sequence[str], catalog: Catalog) -> bool:
    """Return whether a term lets a party earn from those who sell one of these products."""
    if isinstance(term, Permission):
        return term.party == party and LICENSE in term.actions
    if not isinstance(term, Ownership) or term.party != party:
        return False
    return any(catalog.belongs(name, owned) for name in names for owned in term.products)
