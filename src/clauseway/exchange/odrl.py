"""The agreement in force as an ODRL 2.2 policy in JSON-LD, term by term.

Every rule is atomic (one action, one target) and carries its term, document, line and source. The four outcomes:

    permitted     a permission reaches the act, none of its duties is open, and no prohibition reaches it
    conditional   so, but the permission has an open duty: consent by the owner, an offer passed on, shipping first
    forbidden     a prohibition reaches the act (`conflict` is `prohibit`); for a share, that no obligation reaches it
    unstated      neither permission nor prohibition reaches the act; on a day with nothing in force there is no policy

    ownership            permission to the owner; to everyone else a permission with the duty to obtain its consent
    permission, licence, recorded grant, launch on the party's own cloud   permission
    exclusivity, a licence that has ended                                  prohibition
    precedence, right of first refusal                                     duty of every permission it bears on
    revenue share                                                          obligation to compensate

An act's region is that in which its place lies (`cw:within`), or the region itself where it is named by it.

Actions, left operands and the facts about products and parties are a profile of ours, declared in the same document, so
that it can be read without a network. Model: ODRL Information Model 2.2, https://www.w3.org/TR/odrl-model/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from clauseway.agreement import (
    Answer,
    Exclusivity,
    Fact,
    Grant,
    Launch,
    Licence,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
)
from clauseway.exchange.extract import Extract
from clauseway.values import Citation

Node = dict[str, Any]

PROFILE = "urn:clauseway:odrl:"
_CONTEXT: Node = {
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "dcterms": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "cw": PROFILE,
}
ACTIONS = ("serve", "sell", "license", "use-under-licence", "contract-compute", "share-revenue")
_OWNED = ACTIONS[:5]
_SOLD = ("serve", "sell")
# What a constraint may be about.
_OPERANDS = (
    "cloud", "seller", "segment", "region", "party", "recipient", "product", "firstShipped", "launchedOn", "answer",
    "passed", "granted",
)  # fmt: skip
# Which acts the owner's act bears on: by anyone, by the owner or by others, who go no further than it may. A term on
# sales bears on others' serving too, and on nothing of the owner's, whose sale is its serving.
_REACHED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "serve": (("serve", ""), ("sell", "")),
    "sell": (("serve", ":others"), ("sell", ":others")),
    "contract-compute": (("contract-compute", ""),),
    "license": (("license", ""), ("license", ":others"), ("use-under-licence", ":others")),
    "use-under-licence": (("use-under-licence", ":owner"),),
}
ANYONE, OTHERS = "anyone", "anyone-but-the-owner"


def odrl_document(extract: Extract) -> Node:
    """The document: the profile, parties, assets with their facts, and the policy, if anything is in force."""
    graph = [*_profile(), *_parties(extract), *_assets(extract), *_regions(extract)]
    if extract.force.stated:
        graph += _Policy(extract).nodes()
    return {"@context": _CONTEXT, "@graph": graph}


# The policy


class _Policy:
    """Gathers rules and the duties that they share."""

    def __init__(self, extract: Extract) -> None:
        self.extract = extract
        self.rules: dict[str, list[Node]] = {"permission": [], "prohibition": [], "obligation": []}
        self.duties: list[Node] = []
        self.times: dict[str, int] = {}

    def nodes(self) -> list[Node]:
        """The policy itself and the duties."""
        for refusal in self.extract.in_force(RefusalRight):
            self._refusal(refusal)
        for precedence in self.extract.in_force(Precedence):
            self._precedence(precedence)
        self._permissions()
        for exclusivity in self.extract.in_force(Exclusivity):
            self._exclusivity(exclusivity)
        for licence in self.extract.ended(Licence):
            self._lost(licence)
        for share in self.extract.in_force(RevenueShareTerm):
            self._share(share)
        return [*self.duties, self._policy()]

    def _policy(self) -> Node:
        extract = self.extract
        readings = [f"{name}={option}" for name, option in sorted(extract.readings.items())]
        return {
            "@id": f"{_prefix(extract)}policy:{extract.as_of}",
            "@type": "odrl:Agreement",
            "odrl:profile": {"@id": PROFILE},
            "odrl:conflict": {"@id": "odrl:prohibit"},
            "dcterms:title": extract.agreement.title,
            "cw:asOf": _day(extract.as_of),
            "cw:knownAt": str(extract.force.known_at),
            "cw:reading": readings,
            "cw:agreement": extract.agreement.hash,
            **{f"odrl:{kind}": rules for kind, rules in self.rules.items() if rules},
        }

    # Permissions

    def _permissions(self) -> None:
        for term, taken in self.extract.owned():
            outside = self._not_in(taken)
            for action in _OWNED:
                for product in self._taking(action, term.products):
                    self._permit_of(term.party, term.citation, term.party, action, product, outside)
                    consent = [self._consent(term.party)]
                    self._permit_of(term.party, term.citation, OTHERS, action, product, outside, consent)
        for permission in self.extract.in_force(Permission):
            for action in sorted(permission.actions & {*_OWNED}):
                self._granted(permission.citation, permission.party, action, permission)
        for licence in self.extract.in_force(Licence):
            for product in self._taking("use-under-licence", licence.products):
                for _, owned in self._owners_of(product):
                    use = (licence.citation, licence.licensee, "use-under-licence", product, owned)
                    self._rule("permission", *use, licence.licensor)
            for scope in licence.carries:
                for action in _sold(scope):
                    self._granted(licence.citation, licence.licensee, action, scope)
        for fact in self.extract.facts.facts:
            if fact.effective <= self.extract.as_of:
                self._fact(fact)

    def _granted(self, citation: Citation, party: str, action: str, scope: Scope | Permission) -> None:
        for product in self._taking(action, scope.products or self._owned()):
            self._permit(citation, party, action, product, self._where(scope))

    def _fact(self, fact: Fact) -> None:
        if isinstance(fact, Grant):
            for action in _OWNED:
                for product in self._taking(action, [fact.product]):
                    self._permit(fact.citation, fact.party, action, product)
        elif isinstance(fact, Launch) and fact.shipped:
            operator = self.extract.catalog.operators[fact.cloud]
            where = [self._constraint("cloud", "eq", [self._cloud(fact.cloud)])]
            # To whoever lost its licence a launch is no grant, and a prohibition says so.
            for action in _SOLD:
                self._permit(fact.citation, operator, action, fact.product, where)

    def _permit(
        self, citation: Citation, party: str, action: str, product: str, constraints: Sequence[Node] = ()
    ) -> None:
        """A permission of what somebody owns, or of what anyone may do."""
        if party == ANYONE:
            self._rule("permission", citation, party, action, product, constraints, self._owner(product))
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
        waiting = [{"@id": duty["@id"]} for duty in self.duties if self._bears(duty, action, product)]
        if attached := [*duties, *waiting]:
            rule["odrl:duty"] = attached

    def _bears(self, duty: Node, action: str, product: str) -> bool:
        named = [one["@id"].removeprefix(PROFILE) for one in duty["cw:bearsOn"]]
        scope = [unquote(one["@id"].removeprefix(f"{_prefix(self.extract)}asset:")) for one in duty["cw:scope"]]
        return action in named and self.extract.overlap([product], scope)

    # Duties

    def _consent(self, owner: str) -> Node:
        rule = self.extract.agreement.rules["grant"]
        return {
            "@type": "odrl:Duty",
            "odrl:action": {"@id": "odrl:obtainConsent"},
            "odrl:consentingParty": self._party(owner),
            **_cited(rule),
        }

    def _refusal(self, term: RefusalRight) -> None:
        elsewhere = [self._constraint("cloud", "isNoneOf", map(self._cloud, sorted(term.except_clouds)))]
        open_while = [*self._in(term.products), *(elsewhere if term.except_clouds else []), *self._trade(term)]
        met = [self._constraint("passed", "isAnyOf", [term.subject])]
        for owner, owned in self._owners_of(*term.products):
            self._duty(term, "offer-first", owner, [*open_while, *owned], met, term.holder)

    def _precedence(self, term: Precedence) -> None:
        extract = self.extract
        elsewhere = self._constraint("cloud", "neq", [self._cloud(term.first)])
        open_while = [*self._in(term.products), elsewhere, *self._trade(term)]
        if extract.binds_new_only(term):
            # Never shipped counts as later than any day.
            open_while.append(self._constraint("firstShipped", "gteq", [_day(term.since)]))
        answers = ["cannot+declines"]
        if not extract.needs_both(term):
            answers += ["cannot+chooses", "can+declines"]
        met = [
            self._constraint("launchedOn", "isAnyOf", [self._cloud(term.first)]),
            self._constraint("answer", "isAnyOf", answers),
        ]
        operator = extract.catalog.operators[term.first]
        for owner, owned in self._owners_of(*term.products):
            if owner == term.party:
                self._duty(term, "ship-first", owner, [*open_while, *owned], met, operator)

    def _duty(
        self,
        term: Precedence | RefusalRight,
        action: str,
        owner: str,
        open_while: Sequence[Node],
        met: Sequence[Node],
        toward: str,
    ) -> None:
        """Duties that lie on permissions where `open_while` holds, until any one of `met` does: one for each side,
        the owner's and the others', that the term's acts are asked of."""
        for by, party in (("", []), (":owner", self._is(owner)), (":others", self._is_not(owner))):
            # The owner's sale is its serving: a condition of sales alone is never met with.
            acts = term.actions - {"sell"}
            bears_on = {act for one in acts for act, who in _REACHED.get(one, ()) if who == by}
            if bears_on:
                self.duties.append(
                    {
                        "@id": f"{_prefix(self.extract)}duty:{_escaped(term.id)}:{len(self.duties) + 1}",
                        "@type": "odrl:Duty",
                        "odrl:action": {"@id": PROFILE + action},
                        "odrl:informedParty": self._party(toward),
                        "odrl:constraint": [*open_while, *party],
                        "cw:metBy": _any_of(*met),
                        "cw:bearsOn": [{"@id": PROFILE + name} for name in sorted(bears_on)],
                        "cw:scope": self._assets(term.products),
                        **_cited(term.citation),
                    }
                )

    # Prohibitions

    def _exclusivity(self, term: Exclusivity) -> None:
        for action in sorted(term.actions):
            carved = [self._not(scope, action) for scope in term.except_]
            if None in carved:
                continue
            everywhere = [*self._where(term), *(one for one in carved if one)]
            for act, by in _REACHED.get(action, ()):
                held = self._held_by_others(term) if act == "use-under-licence" and by != ":owner" else []
                for product in self._taking(act, term.products):
                    for owner, owned in self._owners_of(product):
                        who = {"": [], ":owner": self._is(owner), ":others": self._is_not(owner)}[by]
                        for outside in self._outside(term, action, act, by, owner):
                            constraints = [*everywhere, *held, *owned, *who, *outside]
                            self._prohibit(term.citation, ANYONE, act, product, constraints)

    def _outside(self, term: Exclusivity, action: str, act: str, by: str, owner: str) -> list[list[Node]]:
        """What lies outside an exclusivity. What reaches others by way of the owner's act is asked of the owner."""
        if term.only.clouds:
            return [[self._constraint("cloud", "isNoneOf", map(self._cloud, sorted(term.only.clouds)))]]
        if term.only.sellers:
            return [[self._constraint("seller", "isNoneOf", map(self._party, sorted(term.only.sellers)))]]
        if term.only.regions:
            return [[self._constraint("region", "isNoneOf", map(self._region, sorted(term.only.regions)))]]
        if term.only.parties:
            if action == "sell":
                return [[self._constraint("party", "isNoneOf", map(self._party, sorted(term.only.parties)))]]
            return [] if owner in term.only.parties else [[]]
        if action != "license":
            return [[]]
        inside = [*map(self._party, sorted({*term.only.licensees, owner}))]
        to_party = by == ":others"
        return [[self._constraint("party" if to_party else "recipient", "isNoneOf", inside)]]

    def _held_by_others(self, term: Exclusivity) -> list[Node]:
        """Whoever holds a licence in force uses what it covers, whatever the owner may grant."""
        return [
            _any_of(
                self._constraint("party", "isNoneOf", [self._party(licence.licensee)]),
                *self._not_in(licence.products),
            )
            for licence in self.extract.in_force(Licence)
            if licence.licensee not in term.only.licensees and self.extract.overlap(licence.products, term.products)
        ]

    def _lost(self, term: Licence) -> None:
        """A right that rested on a licence ends with it, until another licence or a grant gives it anew."""
        ungranted = self._constraint("granted", "eq", [False])
        held = [licence for licence in self.extract.in_force(Licence) if licence.licensee == term.licensee]
        granted = [_scope_of(one) for one in self.extract.granted() if one.party == term.licensee]
        used = [Scope(products=licence.products) for licence in held]
        self._end(term, "use-under-licence", term.products, [*used, *granted], [ungranted])
        carried = [anew for licence in held for anew in licence.carries]
        for scope in term.carries:
            for action in _sold(scope):
                where = [*self._where(scope), ungranted]
                self._end(term, action, scope.products or self._owned(), [*carried, *granted], where)

    def _end(
        self, term: Licence, action: str, products: Iterable[str], held: Iterable[Scope], where: Sequence[Node]
    ) -> None:
        """What has ended, but for what is held anew."""
        for product in self._taking(action, products):
            still = [
                self._not(self._of(scope, product), action)
                for scope in held
                if not scope.products or self.extract.overlap([product], scope.products)
            ]
            if None in still:
                continue
            for owner, owned in self._owners_of(product):
                if owner != term.licensee:
                    constraints = [*(one for one in still if one), *where, *owned]
                    self._prohibit(term.citation, term.licensee, action, product, constraints)

    def _of(self, scope: Scope, product: str) -> Scope:
        """A scope as it holds for a product or class: its products left out where all of that lies in them."""
        whole = scope.products and self.extract.within([product], scope.products)
        return msgspec.structs.replace(scope, products=frozenset()) if whole else scope

    def _prohibit(
        self, citation: Citation, party: str, action: str, product: str, constraints: Sequence[Node] = ()
    ) -> None:
        public = [
            self._not(_scope_of(term), action)
            for term in self.extract.public()
            if action in term.actions and self.extract.overlap(term.products, [product])
        ]
        if None not in public:
            self._rule("prohibition", citation, party, action, product, [*constraints, *(one for one in public if one)])

    # Obligations

    def _share(self, term: RevenueShareTerm) -> None:
        rule = self._rule(
            "obligation", term.citation, term.payer, "share-revenue", "", self._not_in(term.base.excludes)
        )
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
        self.times[citation.term] = self.times.get(citation.term, 0) + 1
        assigner = owner or (self._owner(product) if product else party)
        types = {"permission": "odrl:Permission", "prohibition": "odrl:Prohibition", "obligation": "odrl:Duty"}
        rule: Node = {
            "@id": f"{_prefix(self.extract)}rule:{_escaped(citation.term)}:{self.times[citation.term]}",
            "@type": types[kind],
            "odrl:action": {"@id": PROFILE + action},
            "odrl:assigner": self._party(assigner),
            "odrl:assignee": self._party(party),
            **({"odrl:target": self._asset(product)} if product else {}),
            **({"odrl:constraint": list(constraints)} if constraints else {}),
            **_cited(citation),
        }
        self.rules[kind].append(rule)
        return rule

    def _taking(self, action: str, products: Iterable[str]) -> list[str]:
        """The products and classes of a scope of which an action may be asked at all. Whoever sells what another serves
        is asked for its sale, of what can only be served too."""
        catalog = self.extract.catalog
        asked = {*_SOLD} if action == "sell" else {action}
        return [
            name
            for name in sorted(products)
            if any(
                asked & known.actions and (catalog.belongs(known.id, name) or catalog.belongs(name, known.id))
                for known in catalog.classes.values()
            )
        ]

    def _owned(self) -> list[str]:
        return sorted(frozenset[str]().union(*(term.products for term, _ in self.extract.owned())))

    def _owner(self, product: str) -> str:
        owners = [term.party for term, _ in self.extract.owned() if self.extract.overlap([product], term.products)]
        return owners[0] if owners else ANYONE

    def _owners_of(self, *products: str) -> list[tuple[str, list[Node]]]:
        """Who owns what of a scope, with the constraints that say which part; none where it is the whole."""
        found: list[tuple[str, list[Node]]] = []
        for term, taken in self.extract.owned():
            if self.extract.overlap(products, term.products):
                whole = self.extract.within(products, term.products)
                less = [one for one in taken if self.extract.overlap(products, [one])]
                found.append((term.party, [*([] if whole else self._in(term.products)), *self._not_in(less)]))
                if whole:
                    break
        return found

    def _is(self, party: str) -> list[Node]:
        return [self._constraint("party", "eq", [self._party(party)])]

    def _is_not(self, party: str) -> list[Node]:
        return [self._constraint("party", "neq", [self._party(party)])]

    def _where(self, scope: Scope | Permission | Exclusivity) -> list[Node]:
        clouds = [self._constraint("cloud", "isAnyOf", map(self._cloud, sorted(scope.clouds)))]
        return [*(clouds if scope.clouds else []), *self._trade(scope)]

    def _trade(
        self, scope: Scope | Permission | Exclusivity | Precedence | RefusalRight, operator: str = "isAnyOf"
    ) -> list[Node]:
        """Who sells, to whom, and where, as far as a scope says so."""
        asked: list[tuple[str, list[Any]]] = [
            ("seller", [self._party(name) for name in sorted(scope.sellers)]),
            ("segment", sorted(scope.segments)),
            ("region", [self._region(name) for name in sorted(scope.regions)]),
        ]
        return [self._constraint(operand, operator, values) for operand, values in asked if values]

    def _not(self, scope: Scope, action: str) -> Node | None:
        """That an act lies outside a scope: outside one of its parts. Empty where it always does, None where never."""
        if scope.actions and action not in scope.actions:
            return {}
        parts = [
            *self._not_in(scope.products),
            *([self._constraint("cloud", "isNoneOf", map(self._cloud, sorted(scope.clouds)))] if scope.clouds else []),
            *self._trade(scope, "isNoneOf"),
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
        return _reference(self.extract, "asset", product)

    def _party(self, party: str) -> Node:
        return _reference(self.extract, "party", party)

    def _cloud(self, cloud: str) -> Node:
        return _reference(self.extract, "cloud", cloud)

    def _region(self, region: str) -> Node:
        return _reference(self.extract, "region", region)


def _any_of(*parts: Node) -> Node:
    return parts[0] if len(parts) == 1 else {"@type": "odrl:LogicalConstraint", "odrl:or": list(parts)}


def _scope_of(term: Permission) -> Scope:
    return Scope(
        actions=term.actions,
        products=term.products,
        clouds=term.clouds,
        sellers=term.sellers,
        segments=term.segments,
        regions=term.regions,
    )


def _sold(scope: Scope) -> tuple[str, ...]:
    return tuple(action for action in _SOLD if not scope.actions or action in scope.actions)


# What the policy speaks about


def _profile() -> Iterator[Node]:
    for action in (*ACTIONS, "ship-first", "offer-first"):
        yield {"@id": PROFILE + action, "@type": "odrl:Action", "odrl:includedIn": {"@id": "odrl:use"}}
    yield {"@id": "odrl:obtainConsent", "@type": "odrl:Action", "odrl:includedIn": {"@id": "odrl:use"}}
    for operand in _OPERANDS:
        yield {"@id": PROFILE + operand, "@type": "odrl:LeftOperand"}


def _parties(extract: Extract) -> Iterator[Node]:
    for name in (ANYONE, OTHERS):
        yield {**_reference(extract, "party", name), "@type": "odrl:PartyCollection"}
    for name in sorted(extract.catalog.parties):
        yield {
            **_reference(extract, "party", name),
            "@type": "odrl:Party",
            "odrl:partOf": _reference(extract, "party", ANYONE),
            "cw:operates": [_reference(extract, "cloud", cloud) for cloud in sorted(extract.catalog.own_cloud(name))],
            "cw:granted": [
                _reference(extract, "asset", fact.product) for fact in extract.facts.grants(name, extract.as_of)
            ],
        }


def _assets(extract: Extract) -> Iterator[Node]:
    for known in sorted(extract.catalog.classes.values(), key=lambda known: known.id):
        wider = {"odrl:partOf": _reference(extract, "asset", known.within)} if known.within else {}
        yield {**_reference(extract, "asset", known.id), "@type": "odrl:AssetCollection", **wider}
    for product in sorted(extract.catalog.products.values(), key=lambda product: product.id):
        first = extract.first_shipped(product.id)
        answer = extract.facts.answer(product.id, extract.as_of)
        yield {
            **_reference(extract, "asset", product.id),
            "@type": "odrl:Asset",
            "odrl:partOf": _reference(extract, "asset", product.product_class),
            **({"cw:firstShipped": _day(first)} if first else {}),
            "cw:launch": [_launch(extract, launch) for launch in extract.launches(product.id)],
            **({"cw:answer": _answer(answer)} if answer else {}),
        }
    for subject, citation in sorted(extract.offers().items()):
        yield {"@id": f"{_prefix(extract)}offer:{_escaped(subject)}", "cw:passed": subject, **_cited(citation)}


def _regions(extract: Extract) -> Iterator[Node]:
    """The places that lie in regions, each by its name on its cloud."""
    catalog = extract.catalog
    for cloud in sorted(catalog.clouds):
        for place in sorted(catalog.places_of(cloud)):
            yield {
                "@id": f"{_prefix(extract)}place:{_escaped(cloud)}:{_escaped(place)}",
                "cw:within": _reference(extract, "region", catalog.region_of(cloud, place)),
            }


def _launch(extract: Extract, launch: Launch) -> Node:
    cloud = _reference(extract, "cloud", launch.cloud)
    effective = _day(launch.effective)
    return {"cw:cloud": cloud, "cw:stage": launch.stage, "cw:effective": effective, **_cited(launch.citation)}


def _answer(answer: Answer) -> Node:
    said = f"{'can' if answer.can else 'cannot'}+{'declines' if answer.declines else 'chooses'}"
    return {"cw:says": said, "cw:effective": _day(answer.effective), **_cited(answer.citation)}


def _cited(citation: Citation) -> Node:
    return {
        "cw:term": citation.term,
        "cw:amendment": citation.amendment,
        "cw:document": citation.document,
        "cw:line": citation.line,
        "dcterms:source": citation.source,
        "dcterms:description": citation.text,
    }


def _reference(extract: Extract, kind: str, name: str) -> Node:
    return {"@id": f"{_prefix(extract)}{kind}:{_escaped(name)}"}


def _prefix(extract: Extract) -> str:
    return f"urn:clauseway:{_escaped(extract.agreement.id)}:"


def _escaped(name: str) -> str:
    """A name as part of an IRI."""
    return quote(name, safe="")


def _day(day: date) -> Node:
    return {"@type": "xsd:date", "@value": str(day)}
