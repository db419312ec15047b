"""Gaps and overlaps: classes that nobody owns, terms and names that say the same."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations

import msgspec

from clauseway.agreement.force.fold import boundaries
from clauseway.agreement.language.names_in_terms import uses
from clauseway.agreement.language.terms import (
    ANYONE,
    NAMES,
    AnyTerm,
    Commitment,
    Context,
    Forbidding,
    Ownership,
    Permission,
    RevenueShareTerm,
    Stake,
    Term,
    Undertaking,
)
from clauseway.agreement.soundness.conflicts import owned_twice
from clauseway.agreement.soundness.lives import (
    WHERE,
    Lives,
    defined,
    parties_forbidden,
)
from clauseway.agreement.soundness.remarks import (
    Remark,
    Severity,
    lasting,
    listed,
    remark,
    scope_named,
)
from clauseway.values import FOREVER, Interval, KnownAt

_NO_PERCENTAGE = re.compile(r"0+(\.0+)?\s*%")


def gaps(lives: Lives) -> Iterator[Remark]:
    """Remark on a class that nobody owns while some amendment is in force."""
    first = min(amendment.effective for amendment in lives.agreement.amendments)
    # The terms in force change on these days alone.
    turns = boundaries(lives.agreement, lives.facts, KnownAt.everything())
    days = [day for day in turns if day >= first]
    for name, product_class in lives.catalog.classes.items():
        actions = product_class.actions
        if actions and (unowned := _unowned(lives, name, actions, days)) is not None:
            yield remark(
                Severity.WARNING,
                "gap",
                defined(lives.agreement, "classes", name),
                f"nobody owns {name} {lasting(unowned)}",
                "no ownership in force names it, and nobody could grant it: every answer about "
                "what may be done with it is unstated, unless a permission of anyone covers the act",
                f"Write an ownership of {name}, or a permission of party anyone.",
            )


def forbids_what_nobody_owns(lives: Lives) -> Iterator[Remark]:
    """Remark on a term that forbids acts with products that nobody owns and not everybody may use.

    Nothing is stated of such products, so the term has no effect.
    """
    terms = [term for _, term in lives.terms]
    owned = [term.products for term in terms if isinstance(term, Ownership)]
    free = [
        (term.actions, term.products)
        for term in terms
        if isinstance(term, Permission) and term.party == ANYONE
    ]
    for term in terms:
        cells = lives.cells(term.actions, term.products) if isinstance(term, Forbidding) else ()
        answered = any(
            any(lives.is_in(name, products) for products in owned)
            or any(action in actions and lives.is_in(name, products) for actions, products in free)
            for action, name in cells
        )
        if cells and not answered:
            assert isinstance(term, Forbidding)
            products = listed(term.products)
            yield remark(
                Severity.ERROR,
                "unowned",
                term.citation,
                f"{term.id} forbids nothing: nobody owns {products}",
                "every answer about what may be done with what nobody owns is unstated, whatever "
                "a term forbids",
                f"Write a term of kind: ownership with party: and products: [{products}].",
            )


def _unowned(lives: Lives, name: str, actions: NAMES, days: Sequence[date]) -> Interval | None:
    """Return the first days on which nobody owns a class, under some reading; None if somebody
    always does."""
    for day in days:
        for by_id in lives.by_readings:
            if not _is_owned(lives, by_id, name, actions, day):
                later = (end for end in days if end > day)
                ends = (end for end in later if _is_owned(lives, by_id, name, actions, end))
                return Interval(day, next(ends, FOREVER))
    return None


def _is_owned(
    lives: Lives,
    by_id: Mapping[str, tuple[AnyTerm, Interval]],
    name: str,
    actions: NAMES,
    day: date,
) -> bool:
    """Return whether somebody owns a class on a day, or anyone may do with it all that it takes."""
    live = [term for term, life in by_id.values() if day in life]
    owned = any(isinstance(term, Ownership) and lives.is_in(name, term.products) for term in live)
    return owned or all(_is_public(lives, live, action, name) for action in actions)


def _is_public(lives: Lives, live: Iterable[AnyTerm], action: str, name: str) -> bool:
    """Return whether a permission of anyone covers an action with products of a class, wherever."""
    return any(
        isinstance(term, Permission)
        and term.party == ANYONE
        and action in term.actions
        and not any(getattr(term, key) for key in WHERE)
        and lives.is_in(name, term.products)
        for term in live
    )


def overlaps(lives: Lives) -> Iterator[Remark]:
    """Remark on two terms in force at once, with equal kind and scope."""
    seen: set[tuple[str, str]] = set()
    for by_id in lives.by_readings:
        alike: dict[object, list[tuple[AnyTerm, Interval]]] = {}
        for term, life in by_id.values():
            if (content := _content(term)) is not None:
                key = (type(term), content, lives.held_against.get(term.id))
                alike.setdefault(key, []).append((term, life))
        for group in alike.values():
            for (earlier, earlier_life), (later, later_life) in combinations(group, 2):
                together = earlier_life.intersect(later_life)
                pair = (earlier.id, later.id)
                if pair in seen or together.is_empty or lives.take_turns(*pair):
                    continue
                # Terms that begin or pause by other events may never hold on one day.
                apart = lives.waits_of(earlier.id) != lives.waits_of(later.id)
                if not apart or lives.lies_within(*pair) or lives.lies_within(later.id, earlier.id):
                    seen.add(pair)
                    yield _overlap(lives, earlier, later, together)


def _overlap(lives: Lives, earlier: AnyTerm, later: AnyTerm, together: Interval) -> Remark:
    problem = f"{later.id} says what {earlier.id} says"
    days = lives.meeting(together, earlier, later)
    why = f"both are in force {days}, and neither replaces the other"
    remedy = _left_as_it_is(lives, earlier, later)
    if isinstance(later, RevenueShareTerm) and _fields(earlier) != _fields(later):
        problem = f"{later.id} takes a share of what {earlier.id} takes a share of"
        why = f"both are in force {days}, and each is due in full"
        remedy = "Nothing, if both are meant; else end or delete one of them."
    return remark(Severity.WARNING, "overlap", later.citation, problem, why, remedy)


def _left_as_it_is(lives: Lives, earlier: AnyTerm, later: AnyTerm) -> str:
    """Return the ways to end or delete one of two equal terms that leave every answer as it is."""
    of_earlier, of_later = (lives.amendment_of[term.id] for term in (earlier, later))
    if _is_contested(lives, later):
        return "Let one party alone own it; then end or delete one of them."
    ways: list[str] = []
    # A change ends terms of earlier amendments only.
    replaced = lives.lies_within(earlier.id, later.id, later.begins)
    if of_earlier != of_later and replaced:
        ways.append(f"end {earlier.id} in a change of {of_later}")
    if lives.lies_within(later.id, earlier.id):
        ways.append(f"delete {later.id}")
    elif of_earlier == of_later and lives.lies_within(earlier.id, later.id):
        ways.append(f"delete {earlier.id}")
    elif of_earlier == of_later and replaced:
        ways.append(f"end {earlier.id} where {later.id} begins")
    if not ways:
        return (
            "Nothing, if each is to hold where the other does not; else end or delete one of them."
        )
    remedy = ", or ".join(ways)
    return f"{remedy[0].upper()}{remedy[1:]}."


def _is_contested(lives: Lives, term: AnyTerm) -> bool:
    """Return whether a term names an owner of products that another term gives another owner at the
    same time. The later text decides then, so a text that names the owner again may change answers."""
    return any(term in (earlier, later) for earlier, later, _, _ in owned_twice(lives))


def beside_its_class(lives: Lives) -> Iterator[Remark]:
    """Note a product or class that a list names beside a class in which it lies."""
    for _, term in lives.terms:
        # An exclusivity that a right writes has the right's own list.
        named = [use for use in uses(term) if use.noun == "product"]
        for use in named if term.id not in lives.of_rights else ():
            scope = scope_named(term.id, use.key, use.number)
            for name in sorted(use.names):
                if wider := sorted(lives.catalog.lineage(name) & {*use.names} - {name}):
                    yield remark(
                        Severity.NOTE,
                        "within-class",
                        term.citation,
                        f"{scope} names {name} beside {wider[0]}, in which it lies",
                        f"what is said of {wider[0]} holds of {name} too, with or without its name",
                        f"Nothing, if it is meant to be said twice; else delete {name}, or "
                        f"{wider[0]} if only {name} is meant.",
                    )


def beside_anyone(lives: Lives) -> Iterator[Remark]:
    """Note a party that a prohibition names beside anyone."""
    for _, term in lives.terms:
        parties = parties_forbidden(term) if isinstance(term, Forbidding) else frozenset()
        if ANYONE in parties and len(parties) > 1:
            named = listed(parties - {ANYONE})
            yield remark(
                Severity.NOTE,
                "beside-anyone",
                term.citation,
                f"{term.id} names {named} beside {ANYONE}",
                f"what {ANYONE} may not do {named} may not do either, with or without the name",
                f"Delete {named}, or {ANYONE} if only {named} is meant.",
            )


_OF_EVERY_TERM = frozenset(field.name for field in msgspec.structs.fields(Term))


def _content(term: AnyTerm) -> object:
    """Return a term's content beside its days; None if only its prose holds the content."""
    match term:
        case Undertaking() | Context() | Commitment():
            return None
        case RevenueShareTerm():
            # A minimum may be written beside a share as a second share of 0 % with a floor.
            of_nothing = bool(term.floors) and _NO_PERCENTAGE.fullmatch(term.rate) is not None
            return term.payer, term.payee, term.base, of_nothing
        case Stake():
            return term.holder, term.of
        case _:
            return _fields(term)


def _fields(term: AnyTerm) -> str:
    """Return the fields that terms of a kind have beside those of every term."""
    return repr(
        [
            (name, _ordered(value))
            for name, value in msgspec.structs.asdict(term).items()
            if name not in _OF_EVERY_TERM
        ]
    )


def _ordered(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
