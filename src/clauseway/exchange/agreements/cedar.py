"""The agreement in force as Cedar policies and entities, term by term.

A question is a request: the party is the principal, the product (or class of products) the
resource; cloud, other party, segment, seller, region and host stand in the context. The region is
one that the agreement defines, or `elsewhere`, and empty where it defines none. An action has three
names, and an authorizer's answers to them are the four outcomes:

    Action::"serve"            Allow: permitted
    Action::"serve.once-met"   Allow: conditional (permitted once what is missing is recorded)
    Action::"serve.stated"     Allow: forbidden; Deny: unstated

So a caller that asks only `Action::"serve"` is allowed permitted acts and nothing else.

    ownership      permits the owner; acts that others may do only by grant are permitted once met
    permission, licence, grant, launch where the agreement says so   permit
    exclusivity, prohibition, a licence that has ended            forbid, now and once met
    precedence, right of first refusal                            forbid now, not once met

A sale is an offer by the seller and a hosting: by the owner where it launched on that cloud, else
by the cloud's operator. The context names that host. To serve is both: ask `serve` for the party
and `sell` for the seller, with that seller in the context of both, and as host the party where it
sells what it serves. The stricter answer holds. Every policy carries its term, document, line and
source as annotations. Facts (launches, first shipments, answers, grants, offers) are attributes of
entities. Language:
https://docs.cedarpolicy.com/policies/syntax-policy.html
"""

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

import msgspec

from clauseway.agreement import (
    Exclusivity,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
)
from clauseway.agreement.language.terms import (
    ANYONE,
    AnyTerm,
    Barring,
    Forbidding,
    Inoperative,
    Traded,
)
from clauseway.exchange.agreements.extract import (
    OWNED,
    SOLD,
    Extract,
    GrantedScope,
    LostLicence,
    heading,
    sold,
)
from clauseway.values import Citation

# The further questions about an action, beside the question if it is permitted now.
ONCE_MET, STATED = ".once-met", ".stated"
# The product of a question that names none.
ANY_PRODUCT = "*"
# The types of entities, actions and contexts: the same for every agreement. A class is a product
# with others in it, so that sets of both have one type, as Cedar's strict validation asks.
CEDAR_SCHEMA = """\
entity Party {
    name: String,
    operates: Set<String>,
    grants: Set<Product>,
};

entity Product in [Product] {
    launchedOn?: Set<String>,
    firstShipped?: datetime,
    answer?: {cannot: Bool, declines: Bool},
};

entity Offer {
    passed?: Bool,
};

type Act = {
    cloud: String,
    to: String,
    segment: String,
    seller: String,
    region: String,
    host: String,
};

action
    "serve", "serve.once-met", "serve.stated",
    "sell", "sell.once-met", "sell.stated",
    "license", "license.once-met", "license.stated",
    "use-under-licence", "use-under-licence.once-met", "use-under-licence.stated",
    "contract-compute", "contract-compute.once-met", "contract-compute.stated",
    "share-revenue", "share-revenue.once-met", "share-revenue.stated"
appliesTo {
    principal: Party,
    resource: Product,
    context: Act,
};
"""


class _Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that need an act: these actions, asked for by anyone, by others than the owner, or
    by the seller itself.

    `actor` does the act: the principal, the host of the sale, or the owner that licenses. `to` is
    the expression for the licensee.
    """

    actions: tuple[str, ...]
    by: str = "anyone"
    actor: str = "principal"
    to: str = ""


# The acts that each action needs: a sale needs an offer and hosting; a party that serves its own
# sale does both.
_REACHES: dict[str, tuple[_Reach, ...]] = {
    "serve": (_Reach(actions=SOLD, actor="host"),),
    "sell": (_Reach(actions=("sell",)), _Reach(actions=("serve",), by="the seller")),
    "contract-compute": (_Reach(actions=("contract-compute",)),),
    "license": (
        _Reach(actions=("license",), to="context.to"),
        _Reach(actions=("license",), by="others", actor="owner", to="context.to"),
        _Reach(
            actions=("license", "use-under-licence"),
            by="others",
            actor="owner",
            to="principal.name",
        ),
    ),
    "use-under-licence": (_Reach(actions=("use-under-licence",), to="principal.name"),),
}


def cedar_policies(extract: Extract) -> str:
    """Return the policies as text, one or more a term. None if no amendment is in force and known:
    all is unstated."""
    policies = _Policies(extract).all() if extract.force.stated else []
    return "\n\n".join([heading(extract, "//", "as Cedar policies"), *policies]) + "\n"


def cedar_entities(extract: Extract) -> list[dict[str, Any]]:
    """Return parties, classes, products and offers as Cedar's JSON entities, with the facts in
    effect as attributes."""
    return [
        *(_party(extract, name) for name in sorted(extract.catalog.parties)),
        *(_class(extract, name) for name in sorted(extract.catalog.classes)),
        *(_product(extract, name) for name in sorted(extract.catalog.products)),
        *(_entity("Offer", subject, {"passed": True}) for subject in sorted(extract.offers())),
        _entity("Product", ANY_PRODUCT, {}),
    ]


# Policies


class _Policies:
    """Writes policies, term by term, in the order in which the agreement is argued."""

    def __init__(self, extract: Extract) -> None:
        self.extract = extract
        self.written: list[str] = []
        self.times: dict[str, int] = {}

    def all(self) -> list[str]:
        # The order decides no request: in Cedar a forbid that holds overrides every permit.
        self._ownership()
        # Every share is stated: one that no term in force makes due is not due.
        self._permit(self.extract.agreement.rules["share"], _stated(["share-revenue"]), [])
        for kept in self.extract.written():
            self._term(kept.term, kept.but)
        self._grants()
        for lost in self.extract.lost():
            self._lost(lost)
        return self.written

    def _term(self, term: AnyTerm, but: frozenset[str]) -> None:
        """Write a term in force, `but` for some products; ownerships are written together."""
        if isinstance(term, Barring):
            self._barring(term)
            return
        match term:
            case Permission():
                self._permission(GrantedScope(term, but))
            case Licence():
                self._licence(term)
            case Exclusivity():
                self._exclusivity(term, but)
            case RefusalRight():
                self._refusal(term)
            case Precedence():
                self._precedence(term)
            case RevenueShareTerm():
                self._share(term)
            case Ownership() | Inoperative():
                pass
            case _:
                assert_never(term)

    # Policies that permit

    def _ownership(self) -> None:
        for term, taken in self.extract.owned():
            rest = self._not_in(taken)
            mine = [_principal(term.party)]
            self._permit(term.citation, OWNED, [*mine, self._in(term.products), *rest])
            # For all others: conditional on a grant, and stated, so that a ban is answered with
            # `forbidden`.
            self._permit(
                term.citation,
                [*_once_met(OWNED), *_stated(OWNED)],
                [self._in(term.products), *rest],
            )

    def _permission(self, scope: GrantedScope) -> None:
        term, public = scope.permission, scope.permission.party == ANYONE
        who = [] if public else [_principal(term.party)]
        acts = sorted(term.actions & {*OWNED})
        # A permission to anyone holds of products that nobody owns, too.
        asked = _all(acts) if public else acts
        self._permit(
            term.citation,
            asked,
            [*who, *self._granted_scope(scope), *([] if public else self._owned(term.products))],
        )

    def _licence(self, term: Licence) -> None:
        who = _principal(term.licensee)
        use = [who, self._in(term.products), *self._gives(term, term.products)]
        self._permit(term.citation, ["use-under-licence"], use)
        for scope in term.carries:
            if actions := sold(scope):
                self._permit(
                    term.citation,
                    actions,
                    [who, *self._scope(scope), *self._gives(term, scope.products)],
                )

    def _gives(self, term: Licence, products: Iterable[str]) -> list[str]:
        """Return the condition that the licensor owns the licensed products, or may license them
        on; empty if it owns them all."""
        products = frozenset(products)
        owned = self._owned_by({term.licensor}, products)
        if owned == "true" and not self._owned(products):
            return []
        on = [
            " && ".join([self._in(scope.permission.products), *self._not_in(scope.but)])
            for scope in self.extract.permitted()
            if scope.permission.party == term.licensor and "license" in scope.permission.actions
        ]
        mine = " && ".join([f"({owned})", *self._owned(products)])
        lets = [f"({' && '.join([scope, *self._owned(products)])})" for scope in on]
        return [f"({' || '.join([mine, *lets])})"]

    def _grants(self) -> None:
        # Recorded grants are entities' attributes; grants kept to a scope are policies of their
        # own.
        citation = self.extract.agreement.rules["grant"]
        scopes = frozenset[str]().union(*(term.products for term, _ in self.extract.owned()))
        if not scopes:
            return
        self._permit(citation, OWNED, ["resource in principal.grants", self._in(scopes)])
        for kept in self.extract.kept_grants():
            term = kept.permission
            who = _principal(term.party)
            self._permit(
                term.citation,
                sorted(term.actions),
                [who, *self._granted_scope(kept), self._in(scopes)],
            )
        if not self.extract.launch_rule:
            return
        own_launch = "principal.operates.contains(context.cloud) && resource has launchedOn"
        launched = "resource.launchedOn.contains(context.cloud)"
        self._permit(self.extract.launch_rule, SOLD, [own_launch, launched, self._in(scopes)])

    def _share(self, term: RevenueShareTerm) -> None:
        when = [
            _principal(term.payer),
            f"context.to == {_quoted(term.payee)}",
        ]
        base = term.base
        # A share may be asked about as a whole, without a product.
        none = f"resource == {_name('Product', ANY_PRODUCT)}"
        when += [f"({none} || {self._in(base.products)})"] if base.products else []
        when += _places(base.clouds | {""}) if base.clouds else []
        unless = [self._in(base.excludes)] if base.excludes else []
        self._permit(term.citation, _all(["share-revenue"]), when, unless)

    # Policies that forbid, now and once met

    def _exclusivity(self, term: Exclusivity, but: frozenset[str]) -> None:
        outside = self._not_in(but)
        for action in sorted(action for action in term.actions if term.bears_on(action)):
            for reach in _REACHES[action]:
                self._bar(term, action, reach, outside, self._inside(term, action, reach))

    def _barring(self, term: Barring) -> None:
        for action in sorted(term.actions):
            for reach in _REACHES[action]:
                named = (
                    "true" if ANYONE in term.barred else self._is(reach, term.barred, term.products)
                )
                if named != "false":
                    self._bar(
                        term, action, reach, [] if named == "true" else [f"({named})"], "false"
                    )

    def _bar(
        self, term: Forbidding, action: str, reach: _Reach, named: Sequence[str], inside: str
    ) -> None:
        carved = [self._carve_out(scope, action) for scope in term.except_]
        when = [*self._when(reach, term.products), *named, *_places(term.clouds), *_trade(term)]
        allowed = [
            inside,
            *carved,
            *self._despite(term, action, reach),
            *self._held(reach, term.products),
        ]
        unless = [condition for condition in allowed if condition != "false"]
        # Where an exception always holds, the term forbids nothing here.
        if "true" not in unless:
            self._forbid(term.citation, reach.actions, when, unless)

    def _when(self, reach: _Reach, products: frozenset[str]) -> list[str]:
        owned = self._owned(products) if reach.actor == "owner" else []
        return [*self._by(reach, products), self._in(products), *owned]

    def _inside(self, term: Exclusivity, action: str, reach: _Reach) -> str:
        if place := _kept_place(term):
            return place
        if term.only.parties:
            return self._is(reach, term.only.parties, term.products)
        if action != "license":
            return _contains(term.only.licensees, reach.to)
        # A licence to the owner itself is kept from nobody.
        to_owner = [
            f"({reach.to} == {_quoted(owner.party)} && {self._owner_scope(owner.products, taken)})"
            for owner, taken in self.extract.owned()
            if self.extract.overlap(owner.products, term.products)
        ]
        return " || ".join([_contains(term.only.licensees, reach.to), *to_owner])

    def _is(self, reach: _Reach, parties: Iterable[str], products: Iterable[str]) -> str:
        """Return the condition that one of these parties does the act."""
        if reach.actor == "owner":
            return self._owned_by(parties, products)
        return (
            _contains(parties, "context.host")
            if reach.actor == "host"
            else _one_of("principal", parties)
        )

    def _despite(self, term: Forbidding, action: str, reach: _Reach) -> list[str]:
        """Return permissions that hold although the term forbids the act: the asker's, the
        licensing owner's, or anyone's."""
        permissions = []
        for scope in self.extract.permissions():
            permission = scope.permission
            if action in permission.actions and permission.overrides(term.id):
                use = reach.actor == "owner" and "use-under-licence" in reach.actions
                for asked in reach.actions if use else [""]:
                    whose = self._asked_by(permission, asked == "use-under-licence")
                    actions = [f"action in {_actions(_all([asked]))}"] if asked else []
                    if whose != "false":
                        held = [] if whose == "true" else [f"({whose})"]
                        permissions.append(
                            " && ".join([*actions, *held, *self._granted_scope(scope)])
                        )
        return permissions

    def _asked_by(self, permission: Permission, of_owner: bool) -> str:
        if permission.party == ANYONE:
            return "true"
        if of_owner:
            return self._owned_by({permission.party}, permission.products)
        return _principal(permission.party)

    def _carve_out(self, scope: Scope, action: str) -> str:
        if scope.actions and action not in scope.actions:
            return "false"
        return " && ".join(self._scope(scope)) or "true"

    def _lost(self, lost: LostLicence) -> None:
        """Write that a right that rested on a licence ends with it, until another licence or a
        grant gives it anew."""
        term = lost.term
        who = _principal(term.licensee)
        use = _Reach(actions=("use-under-licence",), by="others", actor="owner")
        held = [
            *self._held(use, term.products),
            *self._regranted(term.licensee, use.actions, term.products),
        ]
        when = [who, *self._when(use, term.products), *self._lost_of(lost, term.products)]
        self._forbid(term.citation, use.actions, when, held)
        # A sale that the licence carried rested on it too, and ends with it.
        for scope in term.carries:
            if actions := sold(scope):
                sale = _Reach(actions=actions, by="others")
                anew = [
                    *self._carried(term.licensee, scope),
                    *self._regranted(term.licensee, actions, scope.products),
                ]
                anew += self._public(actions, scope.products)
                when = [
                    who,
                    *self._by(sale, scope.products),
                    *self._scope(scope),
                    *self._lost_of(lost, scope.products),
                ]
                self._forbid(term.citation, actions, when, anew)

    def _lost_of(self, lost: LostLicence, products: Iterable[str]) -> list[str]:
        """Return the condition that a product is one of which a licence was lost."""
        names = self.extract.names_lost(lost, products)
        if names is None:
            return self._owned(products)
        listed = ", ".join(_name("Product", name) for name in sorted(names))
        return [f"[{listed}].contains(resource)" if names else "false"]

    def _carried(self, licensee: str, lost: Scope) -> list[str]:
        """Return the conditions under which licences in force carry rights that were lost with
        another licence."""
        return [
            " && ".join(
                [
                    f"action in {_actions(_all(actions))}",
                    *self._scope(scope),
                    *self._gives(term, scope.products),
                ]
            )
            for term in self.extract.in_force(Licence)
            if term.licensee == licensee
            for scope in term.carries
            if (actions := sold(scope)) and self._overlap(lost.products, scope.products)
        ]

    def _regranted(self, party: str, actions: Iterable[str], products: Iterable[str]) -> list[str]:
        """Return the grants to a party: the recorded ones, and those that terms give."""
        return [
            "resource in principal.grants",
            *(
                " && ".join(
                    [f"action in {_actions(_all(term.actions))}", *self._granted_scope(granted)]
                )
                for granted in self.extract.granted()
                for term in [granted.permission]
                if term.party == party
                and term.actions & {*actions}
                and self._overlap(term.products, products)
            ),
        ]

    def _public(self, actions: Iterable[str], products: Iterable[str]) -> list[str]:
        """Return the conditions under which anyone may act."""
        return [
            " && ".join([f"action in {_actions(_all(sorted(term.actions)))}", *self._scope(term)])
            for term in self.extract.public()
            if term.actions & {*actions} and self._overlap(term.products, products)
        ]

    # Policies that forbid now only

    def _refusal(self, term: RefusalRight) -> None:
        offer = _name("Offer", term.subject)
        met = [f"{offer} has passed && {offer}.passed"]
        if not term.subject:
            passed = self.extract.passed_deals(term)
            met = [self._in(passed)] if passed else []
        elsewhere = (
            [f"!{_contains(term.except_clouds, 'context.cloud')}"] if term.except_clouds else []
        )
        others = f"principal != {_name('Party', term.holder)}"
        # Without a grantor the owner is bound, except a holder that owns the products itself.
        kept = "false" if term.grantor else self._owned_by({term.holder}, term.products)
        if kept == "true":
            return
        elsewhere += [] if kept == "false" else [f"!({kept})"]
        for action in sorted(term.actions):
            # A licence to the holder need not be offered to it first.
            licensed = [f"context.to != {_quoted(term.holder)}"] if action == "license" else []
            for reach in _REACHES[action]:
                held_by = self._is(reach, {term.holder}, term.products)
                doer = [] if held_by == "false" else [f"!({held_by})"]
                where = [*doer, *licensed, *elsewhere, *_trade(term)]
                when = [*self._when(reach, term.products), others, *where]
                if term.grantor:
                    self._bind(term, reach, when, met, term.grantor)
                else:
                    self._forbid_now(term, reach, when, met, self._is_owner(reach, term.products))

    def _precedence(self, term: Precedence) -> None:
        # Ship-first is met by the launch, by a lead, by an old product, or by the operator's
        # answer.
        met = [f"resource has launchedOn && resource.launchedOn.contains({_quoted(term.first)})"]
        # With a lead the launch alone is not enough: it must lie that many days back.
        if term.lead_days:
            ahead = self.extract.ahead(term)
            met = [self._in(ahead)] if ahead else []
        if self.extract.binds_new_only(term):
            met.insert(
                0, f'resource has firstShipped && resource.firstShipped < datetime("{term.since}")'
            )
        if lifting := self.extract.lifting(term):
            # One answer lifts the rule only if both halves are needed; else each half lifts it by
            # itself.
            how = "&&" if len(lifting) == 1 else "||"
            met.append(
                f"resource has answer && (resource.answer.cannot {how} resource.answer.declines)"
            )
        elsewhere = f"context.cloud != {_quoted(term.first)}"
        for action in sorted(term.actions):
            for reach in _REACHES[action]:
                when = [*self._when(reach, term.products), elsewhere, *_trade(term)]
                self._bind(term, reach, when, met, term.party)

    def _bind(
        self,
        term: Precedence | RefusalRight,
        reach: _Reach,
        when: Sequence[str],
        met: Sequence[str],
        party: str,
    ) -> None:
        """Forbid for now where a party does the act itself, or as the owner grants it to the
        asker."""
        does = self._is(reach, {party}, term.products)
        owned = self._owned_by({party}, term.products)
        # Where the party owns the whole scope and no act is left to anyone, the rule for acts that
        # rest on the owner says all.
        whole = owned == "true" and not self._public(reach.actions, term.products)
        if does != "false" and not whole:
            self._forbid(
                term.citation,
                reach.actions,
                [*when, *([] if does == "true" else [f"({does})"])],
                [*met, *self._held(reach, term.products)],
                now_only=True,
            )
        if owned != "false":
            self._forbid_now(
                term, reach, [*when, *([] if owned == "true" else [f"({owned})"])], met, "false"
            )

    def _forbid_now(
        self,
        term: Precedence | RefusalRight,
        reach: _Reach,
        when: Sequence[str],
        met: Sequence[str],
        does: str,
    ) -> None:
        """Forbid for now acts that rest on the owner: not acts left to anyone, unless the owner
        asks or does them."""
        asks = self._is_owner(_Reach(actions=reach.actions), term.products)
        bound = " || ".join(actor for actor in (asks, does) if actor != "false") or "false"
        free = (
            []
            if "true" in (asks, does)
            else [f"{left} && !({bound})" for left in self._public(reach.actions, term.products)]
        )
        self._forbid(
            term.citation,
            reach.actions,
            when,
            [*met, *free, *self._held(reach, term.products)],
            now_only=True,
        )

    def _is_owner(self, reach: _Reach, products: Iterable[str]) -> str:
        """Return the condition that the owner does the act."""
        if reach.actor == "owner":
            return "true"
        who = "context.host" if reach.actor == "host" else "principal.name"
        owners = [
            f"({who} == {_quoted(term.party)} && {self._owner_scope(term.products, taken)})"
            for term, taken in self.extract.owned()
            if self._overlap(term.products, products)
        ]
        return " || ".join(owners) or "false"

    # Parts of conditions

    def _in(self, names: Iterable[str]) -> str:
        return f"resource in [{', '.join(_name('Product', name) for name in sorted(names))}]"

    def _scope(self, scope: Scope | Permission) -> list[str]:
        products = [self._in(scope.products)] if scope.products else []
        return [*products, *_places(scope.clouds), *_trade(scope)]

    def _granted_scope(self, granted: GrantedScope) -> list[str]:
        return [*self._scope(granted.permission), *self._not_in(granted.but)]

    def _not_in(self, products: Iterable[str]) -> list[str]:
        """Return the condition that it is none of these products; empty where there are none."""
        return [f"!({self._in(products)})"] if products else []

    def _overlap(self, some: Iterable[str], others: Iterable[str]) -> bool:
        """True if two scopes overlap; an empty scope holds everything."""
        some, others = tuple(some), tuple(others)
        return not some or not others or self.extract.overlap(some, others)

    def _owner_scope(self, products: frozenset[str], taken: frozenset[str]) -> str:
        return " && ".join([self._in(products), *self._not_in(taken)])

    def _owned(self, products: Iterable[str]) -> list[str]:
        """Return the condition that somebody owns it; empty if all of the scope is owned."""
        owned = frozenset[str]().union(*(term.products for term, _ in self.extract.owned()))
        products = tuple(products)
        if products and self.extract.within(products, owned):
            return []
        return [self._in(owned)] if owned else ["false"]

    def _owners_of(self, products: Iterable[str]) -> list[tuple[Ownership, frozenset[str]]]:
        """Return the ownership terms of a scope, each with the products that others take from
        it."""
        return [
            owner for owner in self.extract.owned() if self._overlap(owner[0].products, products)
        ]

    def _owned_by(self, parties: Iterable[str], products: Iterable[str]) -> str:
        """Return the condition that one of these parties owns it: `true` or `false` if the scope
        alone decides."""
        owners = self._owners_of(products)
        named = [owner for owner in owners if owner[0].party in parties]
        if len(named) in (0, len(owners)):
            return "true" if named else "false"
        return " || ".join(f"({self._owner_scope(term.products, taken)})" for term, taken in named)

    def _by(self, reach: _Reach, products: Iterable[str]) -> list[str]:
        """Return the condition that the party asks that `reach.by` says."""
        if reach.by == "anyone":
            return []
        if reach.by == "the seller":
            return ["context.seller == principal.name"]
        owners = self._owners_of(products)
        owner = " || ".join(
            f"({_principal(term.party)} && {self._owner_scope(term.products, taken)})"
            for term, taken in owners
        )
        if len({term.party for term, _ in owners}) == 1:
            owner = _principal(owners[0][0].party)
        return [f"!({owner or 'false'})" if reach.by == "others" else f"({owner or 'false'})"]

    def _held(self, reach: _Reach, products: Iterable[str]) -> list[str]:
        """Return the conditions under which the user needs no licensing by the owner: a licence in
        force, or a public right."""
        if "use-under-licence" not in reach.actions or reach.actor != "owner":
            return []
        use = f"action in {_actions(_all(['use-under-licence']))}"
        held = [
            " && ".join(
                [
                    use,
                    _principal(term.licensee),
                    self._in(term.products),
                    *self._gives(term, term.products),
                ]
            )
            for term in self.extract.in_force(Licence)
            if self.extract.overlap(term.products, products)
        ]
        public = [
            " && ".join([use, *self._scope(term)])
            for term in self.extract.public()
            if "use-under-licence" in term.actions
        ]
        return [*held, *public]

    # Writing

    def _permit(
        self,
        citation: Citation,
        asked: Sequence[str],
        when: Sequence[str],
        unless: Sequence[str] = (),
    ) -> None:
        self._write("permit", citation, asked, when, unless)

    def _forbid(
        self,
        citation: Citation,
        actions: Sequence[str],
        when: Sequence[str],
        unless: Sequence[str],
        *,
        now_only: bool = False,
    ) -> None:
        named = actions if now_only else [*actions, *_once_met(actions)]
        self._write("forbid", citation, named, when, unless)

    def _write(
        self,
        effect: str,
        citation: Citation,
        asked: Sequence[str],
        when: Sequence[str],
        unless: Sequence[str],
    ) -> None:
        # Policies' ids must differ, so a term written as several policies counts them: #2 and on.
        self.times[citation.term] = self.times.get(citation.term, 0) + 1
        number = self.times[citation.term]
        name = citation.term if number == 1 else f"{citation.term}#{number}"
        notes = [("id", name), ("term", citation.term), ("amendment", citation.amendment)]
        notes += [
            ("document", citation.document),
            ("line", str(citation.line)),
            ("source", citation.source),
        ]
        # A clause of several lines is joined into one: a second line would be read as policy, not
        # as a comment.
        lines = [
            f"// {' '.join(citation.text.split())}",
            *(f"@{key}({_quoted(value)})" for key, value in notes),
        ]
        lines.append(f"{effect} (principal, action in {_actions(asked)}, resource)")
        if when:
            lines.append("when { " + " && ".join(_grouped(when)) + " }")
        lines += ["unless { " + condition + " }" for condition in unless]
        self.written.append("\n".join(lines) + ";")


def _grouped(parts: Sequence[str]) -> list[str]:
    return [
        f"({part})" if " || " in part and not part.startswith(("(", "!(")) else part
        for part in parts
    ]


def _principal(party: str) -> str:
    return f"principal == {_name('Party', party)}"


def _once_met(actions: Iterable[str]) -> list[str]:
    return [action + ONCE_MET for action in actions]


def _stated(actions: Iterable[str]) -> list[str]:
    return [action + STATED for action in actions]


def _all(actions: Iterable[str]) -> list[str]:
    return [action + asked for action in sorted(actions) for asked in ("", ONCE_MET, STATED)]


def _actions(names: Iterable[str]) -> str:
    return f"[{', '.join(_name('Action', name) for name in names)}]"


def _contains(names: Iterable[str], value: str) -> str:
    return f"[{', '.join(map(_quoted, sorted(names)))}].contains({value})"


def _one_of(value: str, parties: Iterable[str]) -> str:
    return f"{value} in [{', '.join(_name('Party', name) for name in sorted(parties))}]"


def _places(clouds: Iterable[str]) -> list[str]:
    return [_contains(clouds, "context.cloud")] if clouds else []


def _trade(scope: Scope | Traded) -> list[str]:
    """Return the conditions on sellers, customers and places, as far as a scope names them."""
    asked = [
        (scope.sellers, "context.seller"),
        (scope.segments, "context.segment"),
        (scope.regions, "context.region"),
    ]
    return [_contains(names, value) for names, value in asked if names]


def _kept_place(term: Exclusivity) -> str:
    """Return the condition on the clouds, sellers or regions for which an exclusivity reserves its
    scope, if any."""
    only = term.only
    kept = [
        (only.clouds, "context.cloud"),
        (only.sellers, "context.seller"),
        (only.regions, "context.region"),
    ]
    return next((_contains(names, value) for names, value in kept if names), "")


def _name(kind: str, name: str) -> str:
    return f"{kind}::{_quoted(name)}"


def _quoted(text: str) -> str:
    """Return a string literal, which Cedar shares with JSON except for the escapes of unprintable
    characters."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


# Entities


def _entity(
    kind: str, name: str, attributes: dict[str, Any], parents: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": name},
        "attrs": attributes,
        "parents": [{"type": "Product", "id": parent} for parent in parents],
    }


def _party(extract: Extract, name: str) -> dict[str, Any]:
    granted = sorted({fact.product for fact in extract.grants(name)})
    grants = [{"__entity": {"type": "Product", "id": product}} for product in granted]
    operates = sorted(extract.catalog.own_cloud(name))
    return _entity("Party", name, {"name": name, "operates": operates, "grants": grants})


def _class(extract: Extract, name: str) -> dict[str, Any]:
    wider = extract.catalog.classes[name].within
    return _entity("Product", name, {}, [wider] if wider else [])


def _product(extract: Extract, name: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "launchedOn": sorted({launch.cloud for launch in extract.launches(name)})
    }
    if first := extract.first_shipped(name):
        attributes["firstShipped"] = {"__extn": {"fn": "datetime", "arg": str(first)}}
    if answer := extract.facts.answer(name, extract.as_of):
        attributes["answer"] = {"cannot": not answer.can, "declines": answer.declines}
    return _entity("Product", name, attributes, [extract.catalog.products[name].product_class])
