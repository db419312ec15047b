"""The content of an export: the terms in force on a day, the ended ones, and the facts known and in
effect.

Every format writes term by term from here. The content is taken from the terms; no decision is
asked.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Generic, TypeVar

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    Grant,
    InForce,
    Launch,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    Scope,
    Term,
    TermState,
    Withdrawal,
)
from clauseway.agreement.language.actions import (
    CLOUDS,
    CONTRACT,
    LICENSE,
    SELL,
    SERVE,
    TERM_ACTIONS,
    USE,
    takes,
)
from clauseway.agreement.language.terms import (
    ANYONE,
    FIRST_SHIPPED_SINCE,
    KINDS,
    AnyTerm,
    Conditional,
    Inoperative,
)
from clauseway.catalog import ELSEWHERE, Catalog
from clauseway.decisions.givers import Givers, giver_of
from clauseway.decisions.rights import LAUNCH_RULE
from clauseway.values import Citation

TermT = TypeVar("TermT", bound=Term)
# The parts to which a grant and a withdrawal may be kept, and the actions that have them.
_WHERE = ("clouds", "segments", "regions")
_PLACED = frozenset(action for action in TERM_ACTIONS if takes(action, CLOUDS))
_PLACELESS = frozenset(TERM_ACTIONS) - _PLACED
# The acts that an owner may do, and others by its grant.
OWNED = (SERVE, SELL, LICENSE, USE, CONTRACT)
# The acts of a sale.
SOLD = (SERVE, SELL)


def sold(scope: Scope) -> tuple[str, ...]:
    """Return the acts of a sale that a licence carries."""
    return tuple(action for action in SOLD if not scope.actions or action in scope.actions)


class LostLicence(msgspec.Struct, frozen=True, kw_only=True):
    """A licence that was given, with all products and classes of which it holds no more."""

    term: Licence
    products: frozenset[str]


class KeptTerm(msgspec.Struct, Generic[TermT], frozen=True):
    """A term in force, as far as whoever gave it could give it: its products, `but` for some."""

    term: TermT
    but: frozenset[str] = frozenset()


class GrantedScope(msgspec.Struct, frozen=True):
    """The acts that a permission or a recorded grant lets its party do, `but` for some products."""

    permission: Permission
    but: frozenset[str] = frozenset()


class Extract(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement on one day, as known at one point, under one choice of readings. `facts` holds
    only the known facts."""

    agreement: Agreement
    catalog: Catalog
    force: InForce
    facts: FactRegister
    readings: Mapping[str, str]

    @property
    def as_of(self) -> date:
        return self.force.as_of

    @property
    def terms_written(self) -> int:
        """Return the number of terms in force that an export writes."""
        terms = (state.term for state in self.force.states if state.in_force)
        return sum(not isinstance(term, Inoperative) for term in terms)

    def written(self) -> Iterator[KeptTerm[AnyTerm]]:
        """Yield the terms in force, kind by kind; first the kinds that make other acts wait.

        Each format has one function that writes a term of any kind, with `assert_never`: mypy names
        the formats that do not know a kind.
        """
        for kind in sorted(KINDS.values(), key=lambda kind: not issubclass(kind.term, Conditional)):
            yield from self.kept(kind.term)

    def in_force(self, kind: type[TermT]) -> list[TermT]:
        """Return the terms of a kind that are in force, the latest amendment's first.

        The kind is none that is kept to what its giver could give: `kept` returns those.
        """
        kept = self.kept(kind)
        assert not any(each.but for each in kept)
        return [each.term for each in kept]

    def kept(self, kind: type[TermT]) -> list[KeptTerm[TermT]]:
        """Return the terms of a kind that are in force, the latest amendment's first.

        A permission keeps to what its grantor could give, and the exclusivity that a right wrote to
        what the right's giver could give: it may come in several parts. A term that is kept to
        nothing is left out.
        """
        terms = [
            (state.term, state.right)
            for state in self.force.states
            if state.in_force and isinstance(state.term, kind)
        ]
        return [
            KeptTerm(
                msgspec.structs.replace(term, products=products) if products is not None else term,
                but,
            )
            for term, right in terms
            for products, but in self._parts(term, right)
        ]

    def _parts(
        self, term: AnyTerm, right: AnyTerm | None
    ) -> Iterator[tuple[frozenset[str] | None, frozenset[str]]]:
        """Yield the products of each part of a term that holds on the day, None for all that it
        names, and the products that the part leaves out.

        A right is kept to what whoever gives it could give. Ship-first of what first ships since a
        day that lies ahead binds nothing yet.
        """
        if isinstance(term, Precedence) and self.binds_new_only(term) and self.as_of < term.since:
            return
        giver = giver_of(right or term)
        if not giver or not isinstance(term, Permission | Exclusivity):
            yield None, frozenset()
            return
        named = [
            name for name, wider in self._lineages.items() if not wider.isdisjoint(term.products)
        ]
        given = {
            name for name in named if self.givers.may_give(giver, self._lineages[name], self.as_of)
        }
        # A class stands for all in it. Where some of that is not given, the class is given without.
        whole = frozenset(name for name in given if given.issuperset(self.inside(name)))
        if whole:
            yield whole, frozenset()
        for name in sorted(given - whole):
            yield frozenset({name}), frozenset(self.inside(name)) - given

    @property
    def _lineages(self) -> Mapping[str, frozenset[str]]:
        names = (*self.catalog.classes, *self.catalog.products)
        return {name: self.catalog.lineage(name) for name in names}

    @property
    def givers(self) -> Givers:
        """Return who could give rights on any day."""
        return Givers.of(self.force.states)

    def lost(self) -> list[LostLicence]:
        """Return the licences that were given and hold no more, of some products at least."""
        states: dict[str, list[TermState]] = {}
        for state in self.force.states:
            if isinstance(state.term, Licence):
                states.setdefault(state.term.id, []).append(state)
        givers, lineages = self.givers, self._lineages
        lost: list[LostLicence] = []
        for stretches in states.values():
            licence = stretches[0].term
            assert isinstance(licence, Licence)
            # A term has a state for each stretch of days; it holds if one of them is in force.
            holds = any(state.in_force for state in stretches)
            products = frozenset(
                name
                for name, lineage in lineages.items()
                if not (holds and givers.may_give(licence.licensor, lineage, self.as_of))
                and any(givers.lost(state, lineage, self.as_of) for state in stretches)
            )
            if products:
                lost.append(LostLicence(term=licence, products=products))
        return lost

    def names_lost(self, lost: LostLicence, products: Iterable[str]) -> frozenset[str] | None:
        """Return the products and classes of a licensed scope that were lost; None for all of it.

        A scope without products is of any. Each name stands for itself, not for what lies in it.
        """
        scope = frozenset(products)
        named = frozenset(
            name
            for name, lineage in self._lineages.items()
            if self.owner(name) and not (scope and lineage.isdisjoint(scope))
        )
        return None if named <= lost.products else named & lost.products

    def inside(self, name: str) -> list[str]:
        """Return the products and classes that lie in a class, without the class."""
        return [
            inner for inner, lineage in self._lineages.items() if name in lineage and inner != name
        ]

    @property
    def launch_rule(self) -> Citation | None:
        """Return the rule that a launch on a party's own cloud grants it resale there, if the
        agreement states it."""
        return self.agreement.rules.get(LAUNCH_RULE)

    def owner(self, product: str) -> str:
        """Return the owner of a product or class; empty if nobody owns it."""
        lineage = self.catalog.lineage(product)
        return next(
            (
                term.party
                for term in self.in_force(Ownership)
                if not lineage.isdisjoint(term.products)
            ),
            "",
        )

    def permissions(self) -> list[GrantedScope]:
        """Return the permissions in force."""
        return [GrantedScope(kept.term, kept.but) for kept in self.kept(Permission)]

    def public(self) -> list[Permission]:
        """Return the permissions that hold for anyone, which rest on no grant."""
        return [kept.term for kept in self.kept(Permission) if kept.term.party == ANYONE]

    def granted(self) -> list[GrantedScope]:
        """Return what named parties are granted within a scope: by permissions of terms, and by
        recorded grants."""
        return [*self.permitted(), *self.kept_grants()]

    def permitted(self) -> list[GrantedScope]:
        """Return the permissions of a named party."""
        return [scope for scope in self.permissions() if scope.permission.party != ANYONE]

    def grants(self, party: str) -> list[Grant]:
        """Return a party's recorded grants in effect that are kept to no cloud, region or segment,
        of which nothing was withdrawn, and nothing fell."""
        return [grant for grant in self.facts.grants(party, self.as_of) if self._is_whole(grant)]

    def kept_grants(self) -> list[GrantedScope]:
        """Return the other recorded grants in effect, as permissions of what is left of them."""
        return [
            scope
            for party in sorted(self.catalog.parties)
            for grant in self.facts.grants(party, self.as_of)
            if not self._is_whole(grant)
            for scope in self._left_of(grant)
        ]

    def _is_whole(self, grant: Grant) -> bool:
        still_given = self._still_given(grant)
        return grant.scope == Scope() and not self._withdrawals(grant) and all(still_given.values())

    def _still_given(self, grant: Grant) -> dict[str, bool]:
        """Return for each product and class of a grant whether its grantor could give it still."""
        givers, given = self.givers, dict[str, bool]()
        for name, lineage in self._lineages.items():
            if grant.product in lineage:
                grantor = givers.grantor(lineage, grant.effective, self.as_of)
                given[name] = not grantor or givers.may_give(grantor, lineage, self.as_of)
        return given

    def _withdrawals(self, grant: Grant) -> list[Withdrawal]:
        """Return the withdrawals that may have taken part of a grant."""
        return [
            fact
            for fact in self.facts.withdrawals(grant, self.as_of)
            if self.overlap([fact.product], [grant.product])
        ]

    def _left_of(self, grant: Grant) -> list[GrantedScope]:
        """Return what withdrawals leave of a grant, as scopes that may overlap."""
        left = self._given_scopes(grant)
        for withdrawal in self._withdrawals(grant):
            left = [
                rest
                for scope in left
                for rest in self._without(scope, withdrawal)
                if rest.permission.actions
            ]
        return left

    def _given_scopes(self, grant: Grant) -> list[GrantedScope]:
        """Return what the grantor of a grant could give still, as scopes that may overlap."""
        permission, given = _as_permission(grant), self._still_given(grant)
        scopes = [
            GrantedScope(
                msgspec.structs.replace(permission, products=frozenset({name})),
                frozenset(inner for inner in self.inside(name) if not given[inner]),
            )
            for name, is_given in given.items()
            if is_given
        ]
        whole = GrantedScope(permission)
        return [whole] if whole in scopes else scopes

    def _without(self, scope: GrantedScope, withdrawal: Withdrawal) -> Iterator[GrantedScope]:
        """Yield a scope outside each part of a withdrawal: its product, its place, its customers."""
        permission = scope.permission
        if not self.within(permission.products, [withdrawal.product]):
            yield GrantedScope(permission, scope.but | {withdrawal.product})
        taken = withdrawal.scope
        for part in _WHERE:
            if not getattr(taken, part):
                continue
            names = getattr(permission, part) or self._names(part)
            if left := names - getattr(taken, part):
                yield _kept_to(scope, _PLACED, **{part: left})
        if taken != Scope():
            # Actions without a place or customers lie outside a withdrawal that names some.
            yield _kept_to(scope, _PLACELESS)

    def _names(self, part: str) -> frozenset[str]:
        """Return all names of a part of an act."""
        catalog = self.catalog
        regions = frozenset({*catalog.regions, ELSEWHERE})
        return {"clouds": catalog.clouds, "segments": catalog.segments, "regions": regions}[part]

    def overlap(self, some: Iterable[str], others: Iterable[str]) -> bool:
        """True if a product can lie in both scopes."""
        return self.catalog.overlap(some, others)

    def within(self, some: Iterable[str], scope: Iterable[str]) -> bool:
        """True if all of a scope lies in another."""
        scope = tuple(scope)
        return all(any(self.catalog.belongs(name, wide) for wide in scope) for name in some)

    def scopes_of(self, name: str) -> list[str]:
        """Return a product or class and every class it lies in, nearest first."""
        scopes = [name]
        at = self.catalog.class_of(name)
        while at:
            if at != name:
                scopes.append(at)
            at = self.catalog.classes[at].within
        return scopes

    def owned(self) -> list[tuple[Ownership, frozenset[str]]]:
        """Return the ownership terms in force, each with the products that an earlier term of
        another party takes from it."""
        owned: list[tuple[Ownership, frozenset[str]]] = []
        for term in self.in_force(Ownership):
            taken = [
                before.products
                for before, _ in owned
                if before.party != term.party and self.overlap(before.products, term.products)
            ]
            owned.append((term, frozenset[str]().union(*taken)))
        return owned

    def unsold(self) -> list[str]:
        """Return the products and classes that are served and never sold."""
        catalog = self.catalog
        return [
            name
            for name in sorted({*catalog.products, *catalog.classes})
            if catalog.takes(name, SERVE) and not catalog.takes(name, SELL)
        ]

    def launches(self, product: str) -> list[Launch]:
        """Return the shipments that have taken effect."""
        return [launch for launch in self.facts.launches(product) if launch.effective <= self.as_of]

    def first_shipped(self, product: str) -> date | None:
        """Return the first shipment on record, on any cloud; dates recorded ahead count, as they do
        in ship-first."""
        shipped = [launch.effective for launch in self.facts.launches(product)]
        latest = self.catalog.products[product].first_shipped_by
        return min([*shipped, *([latest] if latest else [])], default=None)

    def offers(self) -> dict[str, Citation]:
        """Return the offers to holders of rights of first refusal, who passed on them."""
        rights = self.in_force(RefusalRight)
        subjects = [
            subject
            for term in rights
            for subject in ([term.subject] if term.subject else self.deals(term))
        ]
        passed = {subject: self.facts.passed(subject, self.as_of) for subject in subjects}
        return {subject: offer.citation for subject, offer in passed.items() if offer is not None}

    def deals(self, term: RefusalRight) -> list[str]:
        """Return the products that are each offered by themselves, under their own names."""
        return [
            name
            for name in sorted(self.catalog.products)
            if not self.catalog.lineage(name).isdisjoint(term.products)
        ]

    def passed_deals(self, term: RefusalRight) -> list[str]:
        """Return those of its products that were offered and passed on."""
        return [name for name in self.deals(term) if self.facts.passed(name, self.as_of)]

    def binds_new_only(self, term: Precedence) -> bool:
        return term.binds.under(self.readings) == FIRST_SHIPPED_SINCE

    def lifting(self, term: Precedence) -> tuple[str, ...]:
        """Return the answers of the first cloud's operator that lift ship-first; empty if it makes
        no exception."""
        if term.unless is None:
            return ()
        both = term.unless.under(self.readings) == "cannot-and-declines"
        return (
            ("cannot+declines",) if both else ("cannot+declines", "cannot+chooses", "can+declines")
        )

    def ahead(self, term: Precedence) -> list[str]:
        """Return the products that were on the first cloud for as many days as the term says."""
        lead = timedelta(days=term.lead_days)
        return [
            product
            for product in sorted(self.catalog.products)
            if any(
                launch.cloud == term.first and launch.effective + lead <= self.as_of
                for launch in self.launches(product)
            )
        ]


def heading(extract: Extract, comment: str, format_: str) -> str:
    """Return the lines that open an export: the agreement, the day, the point of knowledge, the
    readings."""
    readings = ", ".join(f"{name}={option}" for name, option in sorted(extract.readings.items()))
    lines = [
        f"{extract.agreement.title}, {format_}",
        f"as of {extract.as_of}, known at {extract.force.known_at}, readings {readings or 'none'}",
        f"agreement {extract.agreement.text_digest}",
    ]
    return "\n".join(f"{comment} {line}" for line in lines)


def _kept_to(scope: GrantedScope, actions: frozenset[str], **parts: frozenset[str]) -> GrantedScope:
    """Return what is granted of some actions, kept to these names of parts."""
    kept = {"actions": scope.permission.actions & actions, **parts}
    return GrantedScope(msgspec.structs.replace(scope.permission, **kept), scope.but)


def _as_permission(grant: Grant) -> Permission:
    return Permission(
        id=grant.name,
        citation=grant.citation,
        begins=grant.effective,
        party=grant.party,
        actions=frozenset(TERM_ACTIONS),
        products=frozenset({grant.product}),
        clouds=grant.scope.clouds,
        segments=grant.scope.segments,
        regions=grant.scope.regions,
    )
