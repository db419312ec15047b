"""Terms that contradict each other: exclusivities, owners, and grants that are taken back."""

from collections.abc import Iterator
from itertools import product
from typing import assert_never, get_args

import msgspec

from clauseway.agreement.language.terms import (
    ANYONE,
    FIRST_SHIPPED_SINCE,
    NAMES,
    AnyTerm,
    Exclusivity,
    Granting,
    Licence,
    Located,
    Ownership,
    Permission,
    Precedence,
    Scope,
)
from clauseway.agreement.soundness.lives import (
    WHERE,
    Cell,
    Lives,
    PlaceNames,
    covers,
    excepting,
)
from clauseway.agreement.soundness.remarks import Remark, Severity, listed, remark
from clauseway.values import Interval, KnownAt


def conflicts(lives: Lives) -> Iterator[Remark]:
    """Remark on two exclusivities that no act can satisfy together."""
    for earlier, later, together in lives.pairs(Exclusivity, Exclusivity):
        assert isinstance(later, Exclusivity)
        cell = _nothing_left(lives, earlier, later)
        if cell is None:
            continue
        action, name = cell
        yield remark(
            Severity.ERROR,
            "conflict",
            later.citation,
            f"{earlier.id} and {later.id} leave no way to {action} {name}",
            f"one reserves it to {listed(earlier.only.names)}, "
            f"the other to {listed(later.only.names)}, "
            f"and both are in force {lives.meeting(together, earlier, later)}",
            f"End one of them in a change, or {excepting(lives.of_rights, earlier.id, later.id)}.",
        )


def _nothing_left(lives: Lives, earlier: Exclusivity, later: Exclusivity) -> Cell | None:
    """Return a cell covered by both, of which no act is allowed by both; None if there is none."""
    part = earlier.only.part
    if part != later.only.part or not earlier.only.names.isdisjoint(later.only.names):
        return None
    shared = lives.cells(earlier.actions, earlier.products) & lives.cells(
        later.actions, later.products
    )
    places = lives.places((earlier, later), (*_scopes(earlier), *_scopes(later)), part)
    for cell, place in product(sorted(shared), places):
        if _allowed(lives, earlier, cell, place).isdisjoint(_allowed(lives, later, cell, place)):
            return cell
    return None


def _scopes(term: Exclusivity) -> tuple[Located, ...]:
    """Return the scopes of an exclusivity: its own and its carve-outs."""
    return (term, *term.except_)


def _allowed(lives: Lives, term: Exclusivity, cell: Cell, place: PlaceNames) -> NAMES:
    """Return the names (of clouds, sellers, …) that an exclusivity allows an act that it covers.

    These are the names it reserves the act to, the names outside its own scope, and the names of
    its carve-outs.
    """
    part = term.only.part
    whole = lives.names[part]
    own: NAMES = getattr(term, part, frozenset())
    allowed = term.only.names | (whole - own if own else frozenset())
    for scope in term.except_:
        if cell in lives.cells_of(scope) and covers(scope, place, part):
            allowed |= getattr(scope, part, frozenset()) or whole
    return allowed


def two_owners(lives: Lives) -> Iterator[Remark]:
    """Remark on products that two parties own at once."""
    for earlier, later, name, together in owned_twice(lives):
        yield remark(
            Severity.ERROR,
            "conflict",
            later.citation,
            f"{name} has two owners",
            f"{earlier.id} says {earlier.party}, {later.id} says {later.party}, "
            f"{lives.meeting(together, earlier, later)}",
            f"End {earlier.id} in a change, or take {name} out of one of the two.",
        )


def owned_twice(lives: Lives) -> Iterator[tuple[Ownership, Ownership, str, Interval]]:
    """Yield two ownerships of different parties that are in force at once, a product or class that
    both name, and the days on which both are in force."""
    for earlier, later, together in lives.pairs(Ownership, Ownership):
        assert isinstance(later, Ownership)
        if earlier.party == later.party:
            continue
        for name, _ in lives.askable:
            if lives.is_in(name, earlier.products) and lives.is_in(name, later.products):
                yield earlier, later, name, together
                break


def wait_for_one_another(lives: Lives) -> Iterator[Remark]:
    """Remark on two ship-firsts of one party that name different first clouds for one product.

    Only new products count: one that has shipped may have met one of the two terms.
    """
    for earlier, later, together in lives.pairs(Precedence, Precedence):
        assert isinstance(later, Precedence)
        # Each party ships for itself, and one first cloud satisfies both terms.
        if earlier.party != later.party or earlier.first == later.first:
            continue
        days = _binding_new(together, earlier, later)
        cells = lives.cells(earlier.actions, earlier.products) & lives.cells(
            later.actions, later.products
        )
        new = [
            (action, name)
            for name, _ in lives.askable
            for action in sorted(earlier.actions)
            if (action, name) in cells and not _has_shipped(lives, name)
        ]
        if days.is_empty or not new or not _share_places(earlier, later):
            continue
        action, name = new[0]
        yield remark(
            Severity.ERROR,
            "conflict",
            later.citation,
            f"{earlier.id} and {later.id} wait for one another: {earlier.party} can {action} "
            f"{name} first on neither {earlier.first} nor {later.first}",
            f"by the one it ships on {earlier.first} before any other cloud, by the other on "
            f"{later.first}, and both are in force {lives.meeting(days, earlier, later)}",
            "End one of them in a change, or keep each to products, sellers, segments or regions "
            "of its own.",
        )


def _binding_new(together: Interval, *terms: Precedence) -> Interval:
    """Return the days on which two ship-firsts both bind what first ships."""
    since = [
        term.since for term in terms if {*term.binds.options.values()} == {FIRST_SHIPPED_SINCE}
    ]
    return Interval(max([together.begin, *since]), together.end)


def _has_shipped(lives: Lives, name: str) -> bool:
    """Return whether a product has shipped anywhere; a class stands for a new product."""
    product = lives.catalog.products.get(name)
    if product is None:
        return False
    launches = lives.facts.known(KnownAt.everything()).launches(name)
    return product.first_shipped_by is not None or bool(launches)


def _share_places(earlier: Precedence, later: Precedence) -> bool:
    """Return whether two terms have a seller, a segment and a region in common."""
    pairs: list[tuple[NAMES, NAMES]] = [
        (earlier.sellers, later.sellers),
        (earlier.segments, later.segments),
        (earlier.regions, later.regions),
    ]
    return all(not first or not second or first & second for first, second in pairs)


class Granted(msgspec.Struct, frozen=True):
    """A grant by a term to a party: by the term itself, or carried by a licence."""

    term: AnyTerm
    party: str
    scope: Scope


def granted(term: AnyTerm) -> list[Granted]:
    """Return what a term grants to a party that it names, scope by scope."""
    if not isinstance(term, Granting):
        return []
    match term:
        case Permission():
            if term.party == ANYONE:
                return []
            scope = Scope(
                actions=term.actions,
                products=term.products,
                clouds=term.clouds,
                sellers=term.sellers,
                segments=term.segments,
                regions=term.regions,
            )
            return [Granted(term, term.party, scope)]
        case Licence():
            return [Granted(term, term.licensee, scope) for scope in term.carries]
        case _:
            assert_never(term)


def contradicted_grants(lives: Lives) -> Iterator[Remark]:
    """Remark on a grant inside an exclusivity that forbids what it grants."""
    for kind in get_args(Granting):
        for exclusivity, term, together in lives.pairs(Exclusivity, kind):
            if isinstance(term, Permission) and term.overrides(exclusivity.id):
                continue
            for grant in granted(term):
                yield from _taken_back(lives, exclusivity, grant, together)
            if isinstance(term, Licence) and exclusivity.only.licensees:
                yield from _licensed_past(lives, exclusivity, term, together)


def _taken_back(
    lives: Lives, exclusivity: Exclusivity, grant: Granted, together: Interval
) -> Iterator[Remark]:
    cells = lives.cells_of(grant.scope)
    covered = lives.cells(exclusivity.actions, exclusivity.products)
    if {name for _, name in cells}.isdisjoint(name for _, name in covered):
        return
    # Each act that the grant lets the party do, at each place that the two terms tell apart.
    part = exclusivity.only.part
    places = lives.places((grant.scope,), (grant.scope, *_scopes(exclusivity)), part)
    points = list(product(sorted(cells), places))
    forbidden = [
        cell
        for cell, place in points
        if covers(exclusivity, place, part)
        and _is_forbidden(lives, exclusivity, grant, cell, place, covered)
    ]
    if forbidden:
        whole = len(forbidden) == len(points)
        action, name = forbidden[0]
        share = "all" if whole else f"{action} of {name}{_limits(exclusivity)},"
        yield _contradiction(
            lives,
            exclusivity,
            grant.term,
            f"{exclusivity.id} forbids {share} that {grant.term.id} grants",
            f"{grant.party} may act by the one, "
            f"the other reserves it to {listed(exclusivity.only.names)}, "
            f"and both are in force {lives.meeting(together, exclusivity, grant.term)}",
            whole=whole,
        )


def _limits(exclusivity: Exclusivity) -> str:
    """Return in words what an exclusivity is kept to: beyond it the grant is whole."""
    limits = (
        ("on", exclusivity.clouds),
        ("in", exclusivity.regions),
        ("for", exclusivity.segments),
        ("sold by", exclusivity.sellers),
    )
    return "".join(f" {word} {listed(names)}" for word, names in limits if names)


def _is_forbidden(
    lives: Lives,
    exclusivity: Exclusivity,
    grant: Granted,
    cell: Cell,
    place: PlaceNames,
    covered: frozenset[Cell],
) -> bool:
    """Return whether an exclusivity forbids a whole grant, or part of it.

    A part is some of the clouds, sellers or regions that are granted by name.
    """
    action, name = cell
    part = exclusivity.only.part
    rests_on = lives.rests_on.get(action, frozenset()) if part in WHERE else frozenset()
    for needed_action in sorted({action} | rests_on):
        if (needed_action, name) not in covered:
            continue
        allowed = _allowed(lives, exclusivity, (needed_action, name), place)
        if part in WHERE and getattr(grant.scope, part) - allowed:
            return True
        if exclusivity.only.parties and grant.party not in allowed:
            return True
    return False


def _licensed_past(
    lives: Lives, exclusivity: Exclusivity, licence: Licence, together: Interval
) -> Iterator[Remark]:
    """Remark on a licence to a party outside those to whom licences are reserved."""
    licensed = [name for name, _ in lives.askable if lives.is_in(name, licence.products)]
    reserved = [name for name in licensed if lives.is_in(name, exclusivity.products)]
    if reserved and licence.licensee not in exclusivity.only.licensees:
        yield _contradiction(
            lives,
            exclusivity,
            licence,
            f"{exclusivity.id} forbids the licence of {reserved[0]} that {licence.id} grants",
            f"{licence.licensee} is licensed by the one, the other reserves licences to "
            f"{listed(exclusivity.only.licensees)}, and both are in force "
            f"{lives.meeting(together, exclusivity, licence)}",
            whole=len(reserved) == len(licensed),
        )


def _contradiction(
    lives: Lives, exclusivity: Exclusivity, term: AnyTerm, problem: str, why: str, *, whole: bool
) -> Remark:
    severity = Severity.ERROR if whole else Severity.WARNING
    ways = [f"End {exclusivity.id} or {term.id} in a change"]
    if isinstance(term, Permission):
        ways.append(f"write despite: [{exclusivity.id}] under {term.id}")
    remedy = f"{', '.join(ways)}, or {excepting(lives.of_rights, exclusivity.id)}."
    return remark(severity, "contradicted-grant", term.citation, problem, why, remedy)
