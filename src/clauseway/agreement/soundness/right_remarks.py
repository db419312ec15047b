"""Rights beside other terms: within a wider right, narrowed, `despite` in vain, past a sale."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from typing import get_args

from clauseway.agreement.language.actions import LICENSE
from clauseway.agreement.language.terms import (
    ANY_TERM,
    ANYONE,
    NAMES,
    AnyTerm,
    Exclusivity,
    Forbidding,
    Granting,
    Licence,
    Located,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    Scope,
)
from clauseway.agreement.soundness.conflicts import granted
from clauseway.agreement.soundness.lives import (
    WHERE,
    Cell,
    Lives,
    PlaceNames,
    covers,
    parties_forbidden,
)
from clauseway.agreement.soundness.remarks import Remark, Severity, listed, remark, scope_named
from clauseway.values import Interval


def within_another(lives: Lives) -> Iterator[Remark]:
    """Note each permission that another permission of its party, or of anyone, already covers."""
    seen: set[str] = set()
    for by_id in lives.by_readings:
        alive = [term for term, _ in by_id.values() if isinstance(term, Permission)]
        naming: dict[str, dict[int, Permission]] = defaultdict(dict)
        for place, term in enumerate(alive):
            for name in term.products:
                naming[name][place] = term
        for narrow in alive:
            wide = None if narrow.id in seen else _wider(lives, narrow, naming)
            if wide is None:
                continue
            seen.add(narrow.id)
            yield remark(
                Severity.NOTE,
                "within",
                narrow.citation,
                f"{narrow.id} grants nothing that {wide.id} does not grant",
                "its whole scope lies within the other's, on each of its days",
                f"Nothing, if it is meant to be said twice; else delete {narrow.id}, or end "
                f"{wide.id} in a change if the narrower one takes its place.",
            )


def _wider(
    lives: Lives, narrow: Permission, naming: Mapping[str, Mapping[int, Permission]]
) -> Permission | None:
    """Return the first permission that covers another.

    `naming` lists permissions, each with its place, by the products and classes that they name.
    """
    # One act of the narrow permission is enough to find those that may cover all of them.
    name = min((name for _, name in lives.cells(narrow.actions, narrow.products)), default="")
    placed: dict[int, Permission] = {}
    for wider in lives.catalog.lineage(name):
        placed.update(naming.get(wider, {}))
    in_order = (placed[place] for place in sorted(placed))
    return next((wide for wide in in_order if _lies_within(lives, narrow, wide)), None)


def _lies_within(lives: Lives, narrow: Permission, wide: Permission) -> bool:
    if narrow is wide or wide.party not in (narrow.party, ANYONE):
        return False
    if wide.grantor not in ("", narrow.grantor) or narrow.exclusive or narrow.sole:
        return False
    if not narrow.despite <= wide.despite:
        return False
    if _equal_scopes(narrow, wide) or not lives.lies_within(narrow.id, wide.id):
        return False
    cells = lives.cells(narrow.actions, narrow.products)
    return (
        bool(cells)
        and cells <= lives.cells(wide.actions, wide.products)
        and _places_within(narrow, wide)
    )


def _equal_scopes(first: Permission, second: Permission) -> bool:
    """Return whether two permissions say the same, of which `overlaps` warns."""
    keys = ("party", "grantor", "actions", "products", "despite", *WHERE)
    return all(getattr(first, key) == getattr(second, key) for key in keys)


def _part_within(narrow: frozenset[str], wide: frozenset[str]) -> bool:
    """Return whether the names of a part lie within others; an empty part is any."""
    return not wide or (bool(narrow) and narrow <= wide)


def carve_outs_within(lives: Lives) -> Iterator[Remark]:
    """Note a carve-out that lies within another carve-out of the same term, and a scope that a
    licence carries within another scope that it carries."""
    for _, term in lives.terms:
        noun, written, does = "carve-out", tuple[Scope, ...](), "lets pass"
        if isinstance(term, Forbidding):
            written = term.except_
        elif isinstance(term, Licence):
            noun, written, does = "part", term.carries, "carries"
        scopes = list(enumerate(written, start=1))
        seen: set[int] = set()
        for (number, narrow), (other, wide) in product(scopes, scopes):
            # Of two equal carve-outs, the second is reported.
            if number in seen or other in seen or number == other:
                continue
            if _scope_within(lives, narrow, wide) and (
                number > other or not _scope_within(lives, wide, narrow)
            ):
                seen.add(number)
                yield remark(
                    Severity.NOTE,
                    "within-carve-out",
                    term.citation,
                    f"{noun} {number} of {term.id} lies within its {noun} {other}",
                    f"whatever the one {does} the other {does} too",
                    f"Nothing, if it is meant to be said twice; else delete {noun} {number}, or "
                    f"fix {noun} {other} if it is meant to be narrower.",
                )


def _scope_within(lives: Lives, narrow: Scope, wide: Scope) -> bool:
    """Return whether a carve-out covers all that another covers."""
    return lives.cells_of(narrow) <= lives.cells_of(wide) and _places_within(narrow, wide)


def _places_within(narrow: Scope | Permission, wide: Scope | Permission) -> bool:
    return all(_part_within(getattr(narrow, key), getattr(wide, key)) for key in WHERE)


def narrowed(lives: Lives) -> Iterator[Remark]:
    """Note a term that forbids some acts that a right of another amendment grants.

    Left out are terms of one amendment, where this is how a case is excepted; a term that waits for
    an event, which says itself when it takes a right away; a right of which nothing is left, which
    `check` finds as emptied; and exclusivities, on which `contradicted_grants` remarks.
    """
    for forbidding_kind, kind in product(get_args(Forbidding), get_args(Granting)):
        if forbidding_kind is Exclusivity:
            continue
        pairs: Iterator[tuple[Forbidding, AnyTerm, Interval]] = lives.pairs(forbidding_kind, kind)
        for forbidding, term, together in pairs:
            overridden = isinstance(term, Permission) and term.overrides(forbidding.id)
            if overridden or lives.waits_of(forbidding.id):
                continue
            if lives.amendment_of[forbidding.id] == lives.amendment_of[term.id]:
                continue
            always = lives.lies_within(term.id, forbidding.id)
            for grant in granted(term):
                if parties_forbidden(forbidding).isdisjoint((grant.party, ANYONE)):
                    continue
                if cell := _forbidden_to(lives, forbidding, grant.scope, all_too=not always):
                    action, name = cell
                    yield remark(
                        Severity.NOTE,
                        "narrowed",
                        forbidding.citation,
                        f"{forbidding.id} forbids some of what {term.id} grants: {action} of "
                        f"{name} {lives.meeting(together, forbidding, term)}",
                        f"{grant.party} may act by the one, the other forbids it, and a term that "
                        "forbids goes before a right, whatever their days",
                        f"Nothing, if that is meant; else except the case from {forbidding.id}, "
                        f"or write despite: [{forbidding.id}] under a permission.",
                    )


def _forbidden_to(lives: Lives, term: Forbidding, scope: Scope, *, all_too: bool) -> Cell | None:
    """Return an act within a scope that a term forbids; None if it forbids none.

    Without `all_too`, leave out each action that the term forbids wholly.
    """
    distinguished_by: list[Located] = [scope, term, *term.except_]
    points = list(
        product(sorted(lives.cells_of(scope)), lives.places((scope,), distinguished_by, ""))
    )
    forbidden = [cell for cell, place in points if _is_forbidden(lives, term, cell, place)]
    for action in dict.fromkeys(action for action, _ in forbidden):
        of_action = [cell for cell in forbidden if cell[0] == action]
        if all_too or len(of_action) < sum(cell[0] == action for cell, _ in points):
            return of_action[0]
    return None


def _is_forbidden(lives: Lives, term: Forbidding, cell: Cell, place: PlaceNames) -> bool:
    if cell not in lives.cells(term.actions, term.products):
        return False
    return covers(term, place, "") and not lives.carves_out(term, cell, place)


def outlives_owner(lives: Lives) -> Iterator[Remark]:
    """Remark on a permission without a grantor that goes on when a third party owns its product.

    With a grantor it would fall with the ownership. A permission of anyone has no grantor, and is
    left out.
    """
    seen: set[tuple[str, str, date]] = set()
    for by_id in lives.by_readings:
        owning = [(term, life) for term, life in by_id.values() if isinstance(term, Ownership)]
        for term, life in by_id.values():
            if not isinstance(term, Permission) or term.grantor or term.party == ANYONE:
                continue
            for owned, owned_life in owning:
                day = owned_life.end
                names = _passed_on(lives, term, owned, owning, day)
                if not life.begin < day < life.end or not names:
                    continue
                if (term.id, owned.party, day) in seen:
                    continue
                seen.add((term.id, owned.party, day))
                remedy = (
                    f"Write grantor: {owned.party} under {term.id} if it is to fall then; nothing, "
                    "if it is to bind the new owner."
                )
                if term.party == owned.party:
                    remedy = f"End {term.id} in a change; nothing, if {term.party} is to keep it."
                yield remark(
                    Severity.WARNING,
                    "outlives-owner",
                    term.citation,
                    f"{term.id} goes on when {owned.party} owns {listed(names)} no more, from "
                    f"{day}{lives.left_by_events(term.id)}",
                    "it names no grantor, so it rests on nobody's right and does not fall with "
                    f"{owned.id}",
                    remedy,
                )


def binds_one_link(lives: Lives) -> Iterator[Remark]:
    """Warn where ship-first or a first refusal binds somebody who may pass the right on.

    An owner is bound for what it lets others do, anyone else for its own acts alone.
    """
    binding: list[tuple[Precedence | RefusalRight, AnyTerm, Interval]] = [
        *lives.pairs(Precedence, Permission),
        *lives.pairs(RefusalRight, Permission),
    ]
    for term, permission, together in binding:
        bound = term.grantor if isinstance(term, RefusalRight) else term.party
        assert isinstance(permission, Permission)
        if permission.party != bound or LICENSE not in permission.actions:
            continue
        names = [
            name
            for name, _ in lives.askable
            if lives.is_in(name, term.products) and lives.is_in(name, permission.products)
        ]
        if names and not _owns(lives, bound, names):
            yield remark(
                Severity.WARNING,
                "binds-one-link",
                term.citation,
                f"{term.id} binds {bound}, and nobody to whom {bound} licenses {names[0]} on",
                f"{permission.id} lets {bound} license it, and whoever is no owner is bound for "
                f"its own acts alone, {lives.meeting(together, term, permission)}",
                "Bind the owner, who is bound for what it lets others do, or forbid it to the "
                "others in a prohibition.",
            )


def _owns(lives: Lives, party: str, names: Sequence[str]) -> bool:
    return any(
        isinstance(term, Ownership)
        and term.party == party
        and any(lives.is_in(name, term.products) for name in names)
        for _, term in lives.terms
    )


def _passed_on(
    lives: Lives,
    term: Permission,
    owned: Ownership,
    owning: Sequence[tuple[Ownership, Interval]],
    day: date,
) -> list[str]:
    """Return the products of a permission that a third party owns from the day an ownership ends."""
    names: list[str] = []
    for name, _ in lives.askable:
        if lives.is_in(name, term.products) and lives.is_in(name, owned.products):
            owners = {
                other.party
                for other, life in owning
                if day in life and lives.is_in(name, other.products)
            }
            if owners and owners.isdisjoint((owned.party, term.party)):
                names.append(name)
    # A class stands for all in it.
    return lives.catalog.widest(names)


def despite_in_vain(lives: Lives) -> Iterator[Remark]:
    """Remark on a `despite` that names a term which forbids none of the permitted acts."""
    terms = lives.written
    for _, permission in lives.terms:
        if not isinstance(permission, Permission):
            continue
        for name in sorted(permission.despite & terms.keys()):
            forbidding = terms[name]
            if not isinstance(forbidding, Forbidding):
                why = f"{name} is of kind {forbidding.kind}, and forbids nothing"
            elif not _meet(lives, permission, forbidding):
                why = f"{name} and {permission.id} have no act in common"
            elif lives.take_turns(permission.id, name) or not any(
                permission.id in by_id
                and name in by_id
                and not by_id[permission.id][1].intersect(by_id[name][1]).is_empty
                for by_id in lives.by_readings
            ):
                why = f"{name} and {permission.id} are never in force at once"
            else:
                continue
            yield remark(
                Severity.WARNING,
                "despite-in-vain",
                permission.citation,
                f"despite: [{name}] of {permission.id} has no effect",
                why,
                f"Name the term that forbids what {permission.id} permits, or fix its scope, or "
                "delete it.",
            )


def despite_nothing(lives: Lives) -> Iterator[Remark]:
    """Note a `despite: [any]` where no term forbids any of the permitted acts."""
    forbidding = [term for _, term in lives.terms if isinstance(term, Forbidding)]
    for _, permission in lives.terms:
        if not isinstance(permission, Permission) or ANY_TERM not in permission.despite:
            continue
        if not any(_meet(lives, permission, term) for term in forbidding):
            yield remark(
                Severity.NOTE,
                "despite-nothing",
                permission.citation,
                f"despite: [{ANY_TERM}] of {permission.id} has no effect yet",
                f"no term forbids anything of what {permission.id} permits",
                "Nothing, if it is to hold against what comes; else delete it.",
            )


def _meet(lives: Lives, permission: Permission, term: Forbidding) -> bool:
    """Return whether some act lies in the scope of both terms."""
    cells = lives.cells(permission.actions, permission.products)
    if cells.isdisjoint(lives.cells(term.actions, term.products)):
        return False
    who = (permission.party, ANYONE)
    if permission.party != ANYONE and parties_forbidden(term).isdisjoint(who):
        return False
    return bool(lives.places((permission, term), (permission, term), ""))


def no_place_there(lives: Lives) -> Iterator[Remark]:
    """Remark on clouds that are named with a region in which they have no place."""
    for _, term in lives.terms:
        for scope, clouds, regions in _clouds_and_regions(term):
            for region in _without_a_place(lives, clouds, regions):
                yield remark(
                    Severity.WARNING,
                    "no-place",
                    term.citation,
                    f"{scope} names {listed(clouds)} in {region}, with no place there",
                    f"the definitions list no place of that cloud in {region}, so it covers no act "
                    "there",
                    f"Take {region} out, or list the cloud's places there under regions: in "
                    "agreement.md.",
                )
        if isinstance(term, Exclusivity):
            for region in _without_a_place(lives, term.only.clouds, term.regions):
                yield remark(
                    Severity.WARNING,
                    "no-place",
                    term.citation,
                    f"{term.id} reserves {listed(term.actions)} in {region} to "
                    f"{listed(term.only.clouds)}, with no place there",
                    f"the definitions list no place of that cloud in {region}, so nobody may act "
                    "there",
                    f"Take {region} out, name a cloud that has a place there, or list its places "
                    "under regions: in agreement.md.",
                )


def _clouds_and_regions(term: AnyTerm) -> Iterator[tuple[str, NAMES, NAMES]]:
    """Yield the name, the clouds and the regions of each scope of a term."""
    if isinstance(term, Located):
        yield term.id, term.clouds, term.regions
    if isinstance(term, Forbidding):
        for number, scope in enumerate(term.except_, start=1):
            named = scope_named(term.id, "except", number)
            yield named, scope.clouds, scope.regions or term.regions
    if isinstance(term, Licence):
        for number, scope in enumerate(term.carries, start=1):
            yield scope_named(term.id, "carries", number), scope.clouds, scope.regions


def _without_a_place(lives: Lives, clouds: NAMES, regions: NAMES) -> list[str]:
    """Return the regions in which none of these clouds has a place.

    A cloud of which no place is listed anywhere may be in any region, and a region without any
    place may have each cloud's.
    """
    catalog = lives.catalog
    if not clouds or not all(catalog.places_of(cloud) for cloud in clouds):
        return []
    return [
        region
        for region in sorted(regions & catalog.regions.keys())
        if any(catalog.regions[region].values())
        and not any(catalog.regions[region].get(cloud) for cloud in clouds)
    ]
