"""The agreement in force as an ODRL 2.2 policy in JSON-LD, term by term.

Every rule is atomic (one action, one target) and carries its term, document, line and source. The
four outcomes:

    permitted     a permission reaches the act, none of its duties is open, and no prohibition
                  reaches it
    conditional   the same, but the permission has an open duty: consent by the owner, an offer
                  passed on, shipping first
    forbidden     a prohibition reaches the act (`conflict` is `prohibit`); for a share, no
                  obligation reaches it
    unstated      neither permission nor prohibition reaches the act; on a day with nothing in
                  force there is no policy

    ownership     permission to the owner; to everyone else a permission with the duty to obtain
                  its consent
    permission, licence, recorded grant, launch on the party's own cloud   permission
    exclusivity, prohibition, a licence that has ended                     prohibition
    precedence, right of first refusal           duty of every permission it bears on
    revenue share                                obligation to compensate

An act's host is its server; a sale's host is the owner where it launched on that cloud, else the
cloud's operator. An act's region is the region of its place (`cw:within`), or the region itself
where it is named.

Actions, left operands and the facts about products and parties are a profile of ours. It is
declared in the same document, and so is the JSON-LD context, so that nothing is fetched to read it.
No equivalence is claimed: an evaluator that does not know the profile comes to none of these
outcomes, and `cw:unknownWithoutProfile` lists for each policy which of its terms it would have to
know. Model: ODRL Information Model 2.2, https://www.w3.org/TR/odrl-model/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from clauseway.agreement import (
    Exclusivity,
    Launch,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
)
from clauseway.agreement.language.terms import (
    AnyTerm,
    Barring,
    Forbidding,
    Inoperative,
    Traded,
)
from clauseway.exchange.agreements.extract import OWNED, SOLD, Extract, LostLicence, sold
from clauseway.exchange.agreements.odrl_nodes import (
    ANYONE,
    OTHERS,
    PROFILE,
    Node,
    asset_nodes,
    cited,
    day_node,
    escaped,
    party_nodes,
    place_nodes,
    prefix_of,
    reference,
)
from clauseway.exchange.agreements.odrl_profile import profile_nodes, profile_terms
from clauseway.values import Citation

_CONTEXT: Node = {
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "dcterms": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "cw": PROFILE,
}


class _Reach(msgspec.Struct, frozen=True):
    """An act that a question needs: the action `asked`, by anyone, by others than the owner or by
    the seller itself, and its actor.

    The actor is the asker, the host of the sale, or the owner that licenses. `to` is the operand of
    the licensee.
    """

    asked: str
    by: str = ""
    actor: str = "party"
    to: str = ""


# A sale is an offer and a hosting. Who serves what it sells itself does both.
_REACHED: Mapping[str, tuple[_Reach, ...]] = {
    "serve": (_Reach("serve"), _Reach("sell", actor="host")),
    "sell": (_Reach("sell"), _Reach("serve", ":seller")),
    "contract-compute": (_Reach("contract-compute"),),
    "license": (
        _Reach("license", to="recipient"),
        _Reach("license", ":others", "owner", "recipient"),
        _Reach("license", ":others", "owner", "party"),
        _Reach("use-under-licence", ":others", "owner", "party"),
    ),
    "use-under-licence": (_Reach("use-under-licence", to="party"),),
}


class _Precondition(msgspec.Struct, frozen=True):
    """The action by which a term makes acts wait, the constraints of which any one meets it, and the
    party that it is done toward."""

    term: Precedence | RefusalRight
    action: str
    met: Sequence[Node]
    toward: str


class _Duty(msgspec.Struct, frozen=True):
    """A duty, and the permissions that it lies on: of an owner's products, or left to anyone."""

    node: Node
    asked: str
    products: frozenset[str]
    owner: str
    public: bool


def odrl_document(extract: Extract) -> Node:
    """Return the document: the profile, parties, assets with their facts, and the policy, if
    anything is in force."""
    graph = [*profile_nodes(), *party_nodes(extract), *asset_nodes(extract), *place_nodes(extract)]
    if extract.force.stated:
        graph += _Policy(extract).nodes()
    return {"@context": _CONTEXT, "@graph": graph}


def odrl_text(extract: Extract) -> str:
    """Return the document as JSON, indented."""
    encoded = msgspec.json.encode(odrl_document(extract))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


# The policy


class _Policy:
    """Gathers rules and the duties that they share."""

    def __init__(self, extract: Extract) -> None:
        self.extract = extract
        self.rules: dict[str, list[Node]] = {"permission": [], "prohibition": [], "obligation": []}
        self.duties: list[_Duty] = []
        self.times: dict[str, int] = {}

    def nodes(self) -> list[Node]:
        """Return the policy itself and the duties."""
        for kept in self.extract.written():
            self._term(kept.term, kept.but)
        self._owners()
        self._grants()
        for lost in self.extract.lost():
            self._lost(lost)
        duties, policy = [duty.node for duty in self.duties], self._policy()
        # The terms beside ODRL's own that an evaluator has to know to come to an answer.
        policy["cw:unknownWithoutProfile"] = [
            {"@id": PROFILE + name}
            for name in sorted(profile_terms([*duties, policy], prefix_of(self.extract)))
        ]
        return [*duties, policy]

    def _term(self, term: AnyTerm, but: frozenset[str]) -> None:
        """Write a term in force, `but` for some products; ownerships are written together. The
        duties of terms that make acts wait are gathered first."""
        if isinstance(term, Barring):
            self._barring(term)
            return
        match term:
            case Permission():
                for action in sorted(term.actions & {*OWNED}):
                    self._granted(term.citation, term.party, action, term, but)
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

    def _policy(self) -> Node:
        extract = self.extract
        readings = [f"{name}={option}" for name, option in sorted(extract.readings.items())]
        return {
            "@id": f"{prefix_of(extract)}policy:{extract.as_of}",
            "@type": "odrl:Agreement",
            "odrl:profile": {"@id": PROFILE},
            # ODRL's default, `invalid`, would void the policy where a permission meets a
            # prohibition.
            "odrl:conflict": {"@id": "odrl:prohibit"},
            "dcterms:title": extract.agreement.title,
            "cw:asOf": day_node(extract.as_of),
            "cw:knownAt": str(extract.force.known_at),
            "cw:reading": readings,
            "cw:agreement": extract.agreement.text_digest,
            **{f"odrl:{kind}": rules for kind, rules in self.rules.items() if rules},
        }

    # Permissions

    def _owners(self) -> None:
        """Write that an owner may, and others by its consent."""
        for term, taken in self.extract.owned():
            outside = self._not_in(taken)
            for action in OWNED:
                for product in self._taking(action, term.products):
                    self._permit_of(term.party, term.citation, term.party, action, product, outside)
                    consent = [self._consent(term.party)]
                    self._permit_of(
                        term.party, term.citation, OTHERS, action, product, outside, consent
                    )

    def _licence(self, licence: Licence) -> None:
        """Write the use of what is licensed, then the acts that the licence carries."""
        for product in self._taking("use-under-licence", licence.products):
            for owner, owned in self._owners_of(product):
                for gives in self._gives(licence, owner):
                    use = (
                        licence.citation,
                        licence.licensee,
                        "use-under-licence",
                        product,
                        [*owned, *gives],
                    )
                    self._rule("permission", *use, licence.licensor)
        for scope in licence.carries:
            for action in sold(scope):
                for product in self._taking(action, scope.products or self._owned()):
                    self._carried(licence, action, product, self._where(scope))

    def _grants(self) -> None:
        # Recorded grants, those that are kept to a cloud or region after the others.
        for party in sorted(self.extract.catalog.parties):
            for grant in self.extract.grants(party):
                for action in OWNED:
                    for product in self._taking(action, [grant.product]):
                        self._permit(grant.citation, grant.party, action, product)
        for kept in self.extract.kept_grants():
            left = kept.permission
            for action in sorted(left.actions & {*OWNED}):
                self._granted(left.citation, left.party, action, left, but=kept.but)
        # A launch on a cloud: its operator may.
        for fact in self.extract.facts.facts:
            if isinstance(fact, Launch) and fact.effective <= self.extract.as_of:
                self._launched(fact)

    def _carried(self, licence: Licence, action: str, product: str, where: Sequence[Node]) -> None:
        for owner, owned in self._owners_of(product):
            for gives in self._gives(licence, owner):
                carried = [*where, *owned, *gives]
                self._permit_of(owner, licence.citation, licence.licensee, action, product, carried)

    def _gives(self, licence: Licence, owner: str) -> list[list[Node]]:
        """Return the ways in which a licensor gives an owner's products: as that owner, or by its
        own rights to license on."""
        return [
            [*(self._in(products) if products else []), *self._not_in(but)]
            for products, but in self._given(licence, owner)
        ]

    def _given(self, licence: Licence, owner: str) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Return the products that a licensor may give, each time with those left out of them; no
        products are all."""
        if licence.licensor == owner:
            return [(frozenset(), frozenset())]
        return [
            (scope.permission.products, scope.but)
            for scope in self.extract.permitted()
            if scope.permission.party == licence.licensor and "license" in scope.permission.actions
        ]

    def _granted(
        self,
        citation: Citation,
        party: str,
        action: str,
        scope: Scope | Permission,
        but: Iterable[str] = (),
    ) -> None:
        where = [*self._where(scope), *self._not_in(but)]
        for product in self._taking(action, scope.products or self._owned()):
            self._permit(citation, party, action, product, where)

    def _launched(self, fact: Launch) -> None:
        if fact.shipped and self.extract.launch_rule:
            operator = self.extract.catalog.operators[fact.cloud]
            where = [self._constraint("cloud", "eq", [self._cloud(fact.cloud)])]
            # For a party that lost its licence a launch is no grant, and a prohibition says so.
            for action in SOLD:
                self._permit(fact.citation, operator, action, fact.product, where)

    def _permit(
        self,
        citation: Citation,
        party: str,
        action: str,
        product: str,
        constraints: Sequence[Node] = (),
    ) -> None:
        """Write a permission of owned products, or of acts that anyone may do."""
        if party == ANYONE:
            rule = self._rule(
                "permission", citation, party, action, product, constraints, self._owner(product)
            )
            self._attach(rule, action, product, [duty for duty in self.duties if duty.public])
            return
        for owner, owned in self._owners_of(product):
            self._permit_of(owner, citation, party, action, product, [*constraints, *owned])

    def _permit_of(
        self,
        owner: str,
        citation: Citation,
        party: str,
        action: str,
        product: str,
        constraints: Sequence[Node],
        duties: Sequence[Node] = (),
    ) -> None:
        rule = self._rule("permission", citation, party, action, product, constraints, owner)
        bound = [duty for duty in self.duties if not duty.public and duty.owner == owner]
        self._attach(rule, action, product, bound, duties)

    def _attach(
        self,
        rule: Node,
        action: str,
        product: str,
        bound: Sequence[_Duty],
        duties: Sequence[Node] = (),
    ) -> None:
        waiting = [
            {"@id": duty.node["@id"]}
            for duty in bound
            if duty.asked == action and self.extract.overlap([product], duty.products)
        ]
        if attached := [*duties, *waiting]:
            rule["odrl:duty"] = attached

    # Duties

    def _consent(self, owner: str) -> Node:
        rule = self.extract.agreement.rules["grant"]
        return {
            "@type": "odrl:Duty",
            "odrl:action": {"@id": "odrl:obtainConsent"},
            "odrl:consentingParty": self._party(owner),
            **cited(rule),
        }

    def _refusal(self, term: RefusalRight) -> None:
        open_while = [
            *self._among("cloud", "isNoneOf", term.except_clouds),
            *self._is_not(term.holder),
            *self._trade(term),
        ]
        met = [self._constraint("passed", "isAnyOf", [term.subject])]
        if not term.subject:
            # No product bears the empty name: where none was passed on, none meets it.
            met = self._in(self.extract.passed_deals(term) or [""])
        precondition = _Precondition(term, "offer-first", met, term.holder)
        for action in sorted(term.actions):
            for reach in _REACHED[action]:
                # Sales that the holder hosts need not be offered to it.
                hosted = (
                    [self._constraint("host", "neq", [self._party(term.holder)])]
                    if reach.actor == "host"
                    else []
                )
                # A licence to the holder need not be offered to it first.
                licensed = (
                    [self._constraint("recipient", "neq", [self._party(term.holder)])]
                    if reach.asked == "license"
                    else []
                )
                for owner, owned in self._owners_or_none(term.products):
                    binds_holder = (term.grantor or owner) == term.holder
                    # The holder as owner licenses what it has itself.
                    if binds_holder or (reach.actor == "owner" and owner in (term.holder, "")):
                        continue
                    still = [*open_while, *hosted, *licensed, *owned]
                    self._oblige(precondition, reach, owner, term.grantor or owner, still)

    def _precedence(self, term: Precedence) -> None:
        extract = self.extract
        open_while = [
            self._constraint("cloud", "neq", [self._cloud(term.first)]),
            *self._trade(term),
        ]
        if extract.binds_new_only(term):
            # Never shipped counts as later than any day.
            open_while.append(self._constraint("firstShipped", "gteq", [day_node(term.since)]))
        met = [self._constraint("launchedOn", "isAnyOf", [self._cloud(term.first)])]
        if term.lead_days:
            # No product bears the empty name: where none was there long enough, none meets it.
            met = self._in(extract.ahead(term) or [""])
        if answers := extract.lifting(term):
            met.append(self._constraint("answer", "isAnyOf", answers))
        operator = extract.catalog.operators[term.first]
        precondition = _Precondition(term, "ship-first", met, operator)
        for action in sorted(term.actions):
            for reach in _REACHED[action]:
                for owner, owned in self._owners_or_none(term.products):
                    still = [*open_while, *owned]
                    self._oblige(precondition, reach, owner, term.party, still)

    def _oblige(
        self,
        precondition: _Precondition,
        reach: _Reach,
        owner: str,
        bound: str,
        open_while: Sequence[Node],
    ) -> None:
        """Write duties while a bound party does the act itself, or as the owner grants it to the
        asker.

        Acts left to anyone rest on no grant.
        """
        if not bound or (reach.actor == "owner" and not owner):
            return
        # The condition that the bound party does the act itself; None if it never does.
        does = {
            "party": self._is(bound),
            "host": [self._constraint("host", "eq", [self._party(bound)])],
            "owner": [] if owner == bound else None,
        }[reach.actor]
        still = [*self._in(precondition.term.products), *open_while, *self._by(reach, owner)]
        if owner == bound:
            self._duty(precondition, reach, owner, still)
        elif owner and does is not None:
            self._duty(precondition, reach, owner, [*still, *does])
        if reach.actor == "owner" and reach.asked == "use-under-licence":
            return
        if owner == bound and does:
            does = [_any_of(*self._is(owner), *(node for node in does if reach.actor == "host"))]
        if does is not None:
            self._duty(precondition, reach, owner, [*still, *does], public=True)

    def _duty(
        self,
        precondition: _Precondition,
        reach: _Reach,
        owner: str,
        open_while: Sequence[Node],
        *,
        public: bool = False,
    ) -> None:
        """Write a duty that lies on permissions where `open_while` holds, until the precondition is
        met."""
        term = precondition.term
        node = {
            "@id": f"{prefix_of(self.extract)}duty:{escaped(term.id)}:{len(self.duties) + 1}",
            "@type": "odrl:Duty",
            "odrl:action": {"@id": PROFILE + precondition.action},
            "odrl:informedParty": self._party(precondition.toward),
            "odrl:constraint": list(open_while),
            "cw:metBy": _any_of(*precondition.met),
            "cw:bearsOn": [{"@id": PROFILE + reach.asked}],
            "cw:scope": self._assets(term.products),
            **cited(term.citation),
        }
        self.duties.append(_Duty(node, reach.asked, term.products, owner, public))

    # Prohibitions

    def _exclusivity(self, term: Exclusivity, but: frozenset[str]) -> None:
        for action in sorted(action for action in term.actions if term.bears_on(action)):
            for reach in _REACHED[action]:
                self._bar(term, action, reach, but)

    def _barring(self, term: Barring) -> None:
        for action in sorted(term.actions):
            for reach in _REACHED[action]:
                self._bar(term, action, reach)

    def _bar(self, term: Forbidding, action: str, reach: _Reach, but: Iterable[str] = ()) -> None:
        """Prohibit acts that need an act that a term forbids, but for its carve-outs, the
        permissions that name it, and some products."""
        carved = [self._not(scope, action) for scope in term.except_]
        # A carve-out that covers every such act leaves nothing to prohibit.
        if None in carved:
            return
        carved_out = (node for node in carved if node)
        everywhere = [*self._where(term), *carved_out, *self._not_in(but)]
        for product in self._taking(reach.asked, term.products):
            for owner, owned in self._owners_or_none([product]):
                outside = self._outside(term, action, reach, owner)
                allowed = [
                    *self._despite(term, action, reach, owner),
                    *self._held(term.products, reach, owner),
                ]
                # Nobody is forbidden, a permission always goes before the term, or no owner is
                # there to license.
                if outside is None or None in allowed or (reach.actor == "owner" and not owner):
                    continue
                constraints = [
                    *everywhere,
                    *owned,
                    *self._by(reach, owner),
                    *outside,
                    *(node for node in allowed if node),
                ]
                self._prohibit(term.citation, reach.asked, product, owner, constraints)

    def _outside(
        self, term: Forbidding, action: str, reach: _Reach, owner: str
    ) -> list[Node] | None:
        """Return the constraint on the parties whom a term forbids an act that it covers; None if
        it forbids nobody."""
        if isinstance(term, Barring):
            anyone = ANYONE in term.barred
            return [] if anyone else self._actor(reach, owner, term.barred, "isAnyOf")
        match term:
            case Exclusivity():
                # An exclusivity prohibits to all others what it keeps for some.
                only = term.only
            case _:
                assert_never(term)
        if only.clouds or only.sellers or only.regions:
            return [
                *self._among("cloud", "isNoneOf", only.clouds),
                *self._among("seller", "isNoneOf", only.sellers),
                *self._among("region", "isNoneOf", only.regions),
            ]
        if only.parties:
            return self._actor(reach, owner, only.parties, "isNoneOf")
        # Kept for licensees: the act stays open towards them, and the owner needs no licence.
        inside = {*only.licensees, *([owner] if action == "license" and owner else [])}
        return [self._constraint(reach.to, "isNoneOf", map(self._party, sorted(inside)))]

    def _actor(
        self, reach: _Reach, owner: str, parties: Iterable[str], operator: str
    ) -> list[Node] | None:
        """Return the constraint that the actor is one of these parties, or none of them; None if
        that is never so."""
        if reach.actor != "owner":
            return [self._constraint(reach.actor, operator, map(self._party, sorted(parties)))]
        return [] if (owner in parties) == (operator == "isAnyOf") else None

    def _despite(
        self, term: Forbidding, action: str, reach: _Reach, owner: str
    ) -> list[Node | None]:
        """Return constraints that no permission holds although the term forbids the act.

        The asker's, the licensing owner's, or anyone's permission.
        """
        of_owner = reach.actor == "owner" and reach.asked == "use-under-licence"
        return [
            self._not(
                _scope_of(permission),
                action,
                "" if of_owner or permission.party == ANYONE else permission.party,
                but=scope.but,
            )
            for scope in self.extract.permissions()
            for permission in [scope.permission]
            if permission.overrides(term.id)
            and action in permission.actions
            and (not of_owner or permission.party in (owner, ANYONE))
        ]

    def _held(self, products: Iterable[str], reach: _Reach, owner: str) -> list[Node | None]:
        """Return constraints that the user holds no licence in force, and may not act as anyone
        may: else nobody need license it."""
        if reach.asked != "use-under-licence" or reach.actor != "owner":
            return []
        held = [
            _any_of(
                self._constraint("party", "isNoneOf", [self._party(licence.licensee)]),
                *self._not_in(licence.products),
                *self._not_in(given),
                *(self._in(but) if but else []),
            )
            for licence in self.extract.in_force(Licence)
            if self.extract.overlap(licence.products, products)
            for given, but in self._given(licence, owner)
        ]
        public = [
            self._not(_scope_of(term), "use-under-licence")
            for term in self.extract.public()
            if "use-under-licence" in term.actions
        ]
        return [*held, *public]

    def _lost(self, lost: LostLicence) -> None:
        """Write that a right that rested on a licence ends with it, until another licence or a
        grant gives it anew."""
        term = lost.term
        ungranted = self._constraint("granted", "eq", [False])
        for products, outside in self._lost_of(lost, term.products):
            self._end(term, "use-under-licence", products, [ungranted, *outside])
        for scope in term.carries:
            where = [*self._where(scope), ungranted]
            for products, outside in self._lost_of(lost, scope.products or self._owned()):
                for action in sold(scope):
                    self._end(term, action, products, [*where, *outside])

    def _lost_of(
        self, lost: LostLicence, products: Iterable[str]
    ) -> Iterator[tuple[Iterable[str], list[Node]]]:
        """Yield the products of which a licence was lost, with constraints on what lies in them."""
        names = self.extract.names_lost(lost, products)
        if names is None:
            yield products, []
            return
        for name in sorted(names):
            # A target stands for all that lies in it.
            yield [name], self._not_in(self.extract.inside(name))

    def _end(
        self, term: Licence, action: str, products: Iterable[str], where: Sequence[Node]
    ) -> None:
        """Prohibit the ended acts, but for the rights that are held anew."""
        granted = [
            (_scope_of(granted.permission), granted.but)
            for granted in self.extract.granted()
            if granted.permission.party == term.licensee
        ]
        for product in self._taking(action, products):
            for owner, owned in self._owners_of(product):
                # A party holds what it owns by no licence, so none can end for it.
                if owner == term.licensee:
                    continue
                anew = [
                    self._not(self._of(scope, product), action, but=but)
                    for scope, but in granted
                    if self._on(scope, product)
                ]
                anew += self._held_anew(term, action, product, owner)
                # A right that is held anew in every case leaves nothing to prohibit.
                if None not in anew:
                    constraints = [*(node for node in anew if node), *where, *owned]
                    self._end_of(term, action, product, constraints)

    def _held_anew(self, lost: Licence, action: str, product: str, owner: str) -> list[Node | None]:
        """Return constraints that no licence in force gives its licensee the rights that another
        gave."""
        return [
            self._not(
                self._of(scope, product),
                action,
                beside=() if self._within(product, given) else given,
                but=but,
            )
            for licence in self.extract.in_force(Licence)
            if licence.licensee == lost.licensee
            for scope in self._scopes_of(licence, action)
            if self._on(scope, product)
            for given, but in self._given(licence, owner)
        ]

    def _scopes_of(self, licence: Licence, action: str) -> list[Scope]:
        return (
            [Scope(products=licence.products)]
            if action == "use-under-licence"
            else list(licence.carries)
        )

    def _within(self, product: str, scope: Iterable[str]) -> bool:
        return self.extract.within([product], scope)

    def _on(self, scope: Scope, product: str) -> bool:
        return not scope.products or self.extract.overlap([product], scope.products)

    def _of(self, scope: Scope, product: str) -> Scope:
        """Return a scope as it holds for a product or class: its products are left out if the
        product lies in them."""
        whole = scope.products and self._within(product, scope.products)
        return msgspec.structs.replace(scope, products=frozenset()) if whole else scope

    def _end_of(
        self, term: Licence, action: str, product: str, constraints: Sequence[Node]
    ) -> None:
        public = [
            self._not(_scope_of(permission), action)
            for permission in self.extract.public()
            if action in permission.actions and self.extract.overlap(permission.products, [product])
        ]
        if None not in public:
            ended = [*constraints, *(node for node in public if node)]
            self._rule("prohibition", term.citation, term.licensee, action, product, ended)

    def _prohibit(
        self, citation: Citation, action: str, product: str, owner: str, constraints: Sequence[Node]
    ) -> None:
        """Write a prohibition of owned products. For products without an owner, only acts left to
        anyone can be forbidden."""
        if owner:
            self._rule("prohibition", citation, ANYONE, action, product, constraints)
            return
        for term in self.extract.public():
            if action in term.actions and self.extract.overlap(term.products, [product]):
                left = [*self._in(term.products), *self._where(term)]
                self._rule("prohibition", citation, ANYONE, action, product, [*constraints, *left])

    # Obligations

    def _share(self, term: RevenueShareTerm) -> None:
        base = term.base
        # An empty name stands for a product or a cloud that is not named.
        counted = [
            *self._not_in(base.excludes),
            *(self._in({*base.products, ""}) if base.products else []),
        ]
        if base.clouds:
            counted += self._among("cloud", "isAnyOf", {*base.clouds, ""})
        rule = self._rule("obligation", term.citation, term.payer, "share-revenue", "", counted)
        rule["odrl:compensatedParty"] = self._party(term.payee)
        rule["cw:rate"] = term.rate
        if term.cap:
            rule["cw:cap"] = term.cap

    # Parts of rules

    def _rule(
        self,
        kind: str,
        citation: Citation,
        party: str,
        action: str,
        product: str,
        constraints: Sequence[Node],
        owner: str = "",
    ) -> Node:
        # A term written as several rules counts them, so that each rule has an @id of its own.
        self.times[citation.term] = self.times.get(citation.term, 0) + 1
        assigner = owner or (self._owner(product) if product else party)
        types = {
            "permission": "odrl:Permission",
            "prohibition": "odrl:Prohibition",
            # ODRL 2.2 has no class of obligations: what stands under `obligation` is a Duty.
            "obligation": "odrl:Duty",
        }
        rule: Node = {
            "@id": f"{prefix_of(self.extract)}rule:{escaped(citation.term)}"
            f":{self.times[citation.term]}",
            "@type": types[kind],
            "odrl:action": {"@id": PROFILE + action},
            "odrl:assigner": self._party(assigner),
            "odrl:assignee": self._party(party),
            **({"odrl:target": self._asset(product)} if product else {}),
            **({"odrl:constraint": list(constraints)} if constraints else {}),
            **cited(citation),
        }
        self.rules[kind].append(rule)
        return rule

    def _taking(self, action: str, products: Iterable[str]) -> list[str]:
        """Return the products and classes of a scope for which an action may be asked at all.

        The seller of a product that another serves is asked for its sale, even of a product that
        can only be served.
        """
        catalog = self.extract.catalog
        asked = {*SOLD} if action == "sell" else {action}
        return [
            name
            for name in sorted(products)
            if any(
                asked & product_class.actions
                and (
                    catalog.belongs(product_class.id, name)
                    or catalog.belongs(name, product_class.id)
                )
                for product_class in catalog.classes.values()
            )
        ]

    def _owned(self) -> list[str]:
        return sorted(frozenset[str]().union(*(term.products for term, _ in self.extract.owned())))

    def _owner(self, product: str) -> str:
        owners = [
            term.party
            for term, _ in self.extract.owned()
            if self.extract.overlap([product], term.products)
        ]
        return owners[0] if owners else ANYONE

    def _owners_of(self, *products: str) -> list[tuple[str, list[Node]]]:
        """Return the owners of a scope, each with the constraints that name its part; none if it is
        the whole."""
        owners: list[tuple[str, list[Node]]] = []
        for term, taken in self.extract.owned():
            if self.extract.overlap(products, term.products):
                whole = self.extract.within(products, term.products)
                less = [product for product in taken if self.extract.overlap(products, [product])]
                owners.append(
                    (term.party, [*([] if whole else self._in(term.products)), *self._not_in(less)])
                )
                if whole:
                    break
        return owners

    def _owners_or_none(self, products: Iterable[str]) -> list[tuple[str, list[Node]]]:
        """Return the owners of each part of a scope, and the part that nobody owns."""
        products = tuple(products)
        every = frozenset(self._owned())
        if self.extract.within(products, every):
            return self._owners_of(*products)
        taken = [product for product in every if self.extract.overlap(products, [product])]
        return [*self._owners_of(*products), ("", self._not_in(taken))]

    def _by(self, reach: _Reach, owner: str) -> list[Node]:
        """Return the constraint that the party asks that `reach.by` says."""
        if reach.by == ":seller":
            return [self._constraint("sellsItself", "eq", [True])]
        return self._is_not(owner) if reach.by == ":others" and owner else []

    def _is(self, party: str) -> list[Node]:
        return [self._constraint("party", "eq", [self._party(party)])]

    def _is_not(self, party: str) -> list[Node]:
        return [self._constraint("party", "neq", [self._party(party)])]

    def _where(
        self, scope: Scope | Permission | Forbidding, operator: str = "isAnyOf"
    ) -> list[Node]:
        """Return the constraints on cloud, seller, customer and region that a scope names."""
        return [*self._among("cloud", operator, scope.clouds), *self._trade(scope, operator)]

    def _trade(self, scope: Scope | Traded, operator: str = "isAnyOf") -> list[Node]:
        """Return the constraints on seller, customer and region that a scope names."""
        return [
            *self._among("seller", operator, scope.sellers),
            *self._among("segment", operator, scope.segments),
            *self._among("region", operator, scope.regions),
        ]

    def _among(self, operand: str, operator: str, names: Iterable[str]) -> list[Node]:
        """Return the constraint that an operand is among these names, or among none of them
        (`isNoneOf`); nothing where there are none."""
        kind = {"seller": "party"}.get(operand, operand)
        values = [
            name if operand == "segment" else reference(self.extract, kind, name)
            for name in sorted(names)
        ]
        return [self._constraint(operand, operator, values)] if values else []

    def _not(
        self,
        scope: Scope,
        action: str,
        party: str = "",
        beside: Iterable[str] = (),
        but: Iterable[str] = (),
    ) -> Node | None:
        """Return the constraint that an act lies outside a scope, is another party's, is about
        nothing `beside`, or about a product that the scope leaves out (`but`).

        Empty if it always does, None if never.
        """
        # The scope is about other actions, so this act always lies outside it.
        if scope.actions and action not in scope.actions:
            return {}
        parts = [
            *self._not_in(scope.products),
            *self._where(scope, "isNoneOf"),
            *(self._is_not(party) if party else []),
            *self._not_in(beside),
            *(self._in(but) if but else []),
        ]
        return _any_of(*parts) if parts else None

    def _in(self, products: Iterable[str]) -> list[Node]:
        return [self._constraint("product", "isAnyOf", self._assets(products))]

    def _not_in(self, products: Iterable[str]) -> list[Node]:
        return [self._constraint("product", "isNoneOf", self._assets(products))] if products else []

    def _constraint(self, operand: str, operator: str, values: Iterable[Any]) -> Node:
        return {
            "@type": "odrl:Constraint",
            "odrl:leftOperand": {"@id": PROFILE + operand},
            "odrl:operator": {"@id": f"odrl:{operator}"},
            "odrl:rightOperand": list(values),
        }

    def _assets(self, products: Iterable[str]) -> list[Node]:
        return [self._asset(product) for product in sorted(products)]

    def _asset(self, product: str) -> Node:
        return reference(self.extract, "asset", product)

    def _party(self, party: str) -> Node:
        return reference(self.extract, "party", party)

    def _cloud(self, cloud: str) -> Node:
        return reference(self.extract, "cloud", cloud)


def _any_of(*parts: Node) -> Node:
    return (
        parts[0] if len(parts) == 1 else {"@type": "odrl:LogicalConstraint", "odrl:or": list(parts)}
    )


def _scope_of(term: Permission) -> Scope:
    return Scope(
        actions=term.actions,
        products=term.products,
        clouds=term.clouds,
        sellers=term.sellers,
        segments=term.segments,
        regions=term.regions,
    )
