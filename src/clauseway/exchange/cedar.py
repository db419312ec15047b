"""The agreement in force as Cedar policies and entities, term by term.

A question is a request: the party is the principal, the product (or class of products) the
resource; cloud, other party, segment, seller and region stand in the context. The region is one
that the agreement defines, or `elsewhere`, and empty where it defines none; `cedar_requests` finds
the one in which a place lies. An action has three names, and an authorizer's answers to them are the
four outcomes:

    Action::"serve"            Allow: permitted
    Action::"serve.once-met"   Allow: conditional (permitted once what is missing is recorded)
    Action::"serve.stated"     Allow: forbidden; Deny: unstated

So whoever asks only `Action::"serve"` is allowed what is permitted and nothing else.

    ownership      permits the owner; what others may do only by grant is permitted once met
    permission, licence, grant, launch on the party's own cloud   permit
    exclusivity, a licence that has ended                         forbid, now and once met
    precedence, right of first refusal                            forbid now, not once met

A sale, or another party's serving, needs that the owner may serve there: what bars the owner bars it too. Where the
seller is not the party, ask `serve` for the party and `sell` for the seller, both with that seller in the context: the
stricter answer holds (`answer_of`). Every policy
carries its term, document, line and source as annotations. Facts (launches, first shipments, answers, grants, offers)
are attributes of entities. Language: https://docs.cedarpolicy.com/policies/syntax-policy.html
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from clauseway.agreement import Exclusivity, Licence, Permission, Precedence, RefusalRight, RevenueShareTerm, Scope
from clauseway.decisions.question import region_problems
from clauseway.exchange.extract import Extract, heading
from clauseway.values import Citation, InvalidInput

# What is asked of an action beside whether it is permitted now.
ONCE_MET, STATED = ".once-met", ".stated"
# The product of a question that names none.
ANY_PRODUCT = "*"
# What entities, actions and contexts are: the same for every agreement. A class is a product with
# others in it, so that sets of both have one type, as Cedar's strict validation asks.
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
_OWNED = ("serve", "sell", "license", "use-under-licence", "contract-compute")
_SOLD = ("serve", "sell")


class _Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that a term on the owner's acts bears on: these actions, by the owner, by others or by either. `to` is
    the expression for whom the owner would license."""

    actions: tuple[str, ...]
    by: str = "anyone"
    to: str = ""


# What the owner's act is asked for: its own, and the acts of others that go no further than it may.
_REACHES: dict[str, tuple[_Reach, ...]] = {
    "serve": (_Reach(actions=_SOLD),),
    "contract-compute": (_Reach(actions=("contract-compute",)),),
    "license": (
        _Reach(actions=("license",), to="context.to"),
        _Reach(actions=("license", "use-under-licence"), by="others", to="principal.name"),
    ),
    "use-under-licence": (_Reach(actions=("use-under-licence",), by="owner"),),
}


def cedar_policies(extract: Extract) -> str:
    """The policies as text, one or more a term. None where no amendment is in force and known: all is unstated."""
    policies = _Policies(extract).all() if extract.force.stated else []
    return "\n\n".join([heading(extract, "//", "as Cedar policies"), *policies]) + "\n"


def cedar_entities(extract: Extract) -> list[dict[str, Any]]:
    """Parties, classes, products and offers as Cedar's JSON entities, with the facts in effect as attributes."""
    return [
        *(_party(extract, name) for name in sorted(extract.catalog.parties)),
        *(_class(extract, name) for name in sorted(extract.catalog.classes)),
        *(_product(extract, name) for name in sorted(extract.catalog.products)),
        *(_entity("Offer", subject, {"passed": True}) for subject in sorted(extract.offers())),
        _entity("Product", ANY_PRODUCT, {}),
    ]


def cedar_requests(
    extract: Extract,
    *,
    action: str,
    party: str,
    product: str = "",
    cloud: str = "",
    to: str = "",
    segment: str = "any",
    seller: str = "",
    region: str = "",
) -> list[dict[str, Any]]:
    """The three requests of a question: now, once met, stated. Where another sells what the party serves, those of the
    sale follow. Raises InvalidInput where the agreement tells regions apart and the region is none that it knows."""
    if problems := region_problems(extract.catalog, action, cloud, region):
        raise InvalidInput(*problems)
    resource = {"type": "Product", "id": product or ANY_PRODUCT}
    where = extract.catalog.region_of(cloud, region)
    by = (seller or party) if action in _SOLD else ""
    context = {"cloud": cloud, "to": to, "segment": segment, "seller": by, "region": where}
    acts = [(party, action), *([(by, "sell")] if action == "serve" and by != party else [])]
    return [
        {
            "principal": {"type": "Party", "id": who},
            "resource": resource,
            "context": context,
            "action": {"type": "Action", "id": act + asked},
        }
        for who, act in acts
        for asked in ("", ONCE_MET, STATED)
    ]


def outcome_of(now: bool, once_met: bool, stated: bool) -> str:
    """What the three answers say (True is Allow)."""
    if now:
        return "permitted"
    if once_met:
        return "conditional"
    return "forbidden" if stated else "unstated"


def answer_of(allowed: Sequence[bool]) -> str:
    """What the answers to all requests of a question say together: the strictest."""
    found = {outcome_of(*allowed[at : at + 3]) for at in range(0, len(allowed), 3)}
    return next(outcome for outcome in ("forbidden", "unstated", "conditional", "permitted") if outcome in found)


# Policies


class _Policies:
    """Writes policies, term by term, in the order in which the agreement is argued."""

    def __init__(self, extract: Extract) -> None:
        self.extract = extract
        self.written: list[str] = []
        self.times: dict[str, int] = {}

    def all(self) -> list[str]:
        self._ownership()
        for permission in self.extract.in_force(Permission):
            self._permission(permission)
        for licence in self.extract.in_force(Licence):
            self._licence(licence)
        self._grants()
        for exclusivity in self.extract.in_force(Exclusivity):
            self._exclusivity(exclusivity)
        for lost in self.extract.ended(Licence):
            self._lost(lost)
        for refusal in self.extract.in_force(RefusalRight):
            self._refusal(refusal)
        for precedence in self.extract.in_force(Precedence):
            self._precedence(precedence)
        self._shares()
        return self.written

    # What permits

    def _ownership(self) -> None:
        for term, taken in self.extract.owned():
            rest = [f"!({self._in(taken)})"] if taken else []
            mine = [f"principal == {_name('Party', term.party)}"]
            self._permit(term.citation, _now(_OWNED), [*mine, self._in(term.products), *rest])
            self._permit(term.citation, [*_once_met(_OWNED), *_stated(_OWNED)], [self._in(term.products), *rest])

    def _permission(self, term: Permission) -> None:
        public = term in self.extract.public()
        who = [] if public else [f"principal == {_name('Party', term.party)}"]
        acts = sorted(term.actions & {*_OWNED})
        asked = _all(acts) if public else _now(acts)
        self._permit(term.citation, asked, [*who, *self._scope(term), *([] if public else self._owned(term.products))])

    def _licence(self, term: Licence) -> None:
        who = f"principal == {_name('Party', term.licensee)}"
        use = [who, self._in(term.products), *self._owned(term.products)]
        self._permit(term.citation, _now(["use-under-licence"]), use)
        for scope in term.carries:
            if actions := _sold(scope):
                self._permit(term.citation, _now(actions), [who, *self._scope(scope), *self._owned(scope.products)])

    def _grants(self) -> None:
        citation = self.extract.agreement.rules["grant"]
        scopes = frozenset[str]().union(*(term.products for term, _ in self.extract.owned()))
        if not scopes:
            return
        self._permit(citation, _now(_OWNED), ["resource in principal.grants", self._in(scopes)])
        own_launch = "principal.operates.contains(context.cloud) && resource has launchedOn"
        launched = "resource.launchedOn.contains(context.cloud)"
        self._permit(citation, _now(_SOLD), [own_launch, launched, self._in(scopes)])

    def _shares(self) -> None:
        self._permit(self.extract.agreement.rules["share"], _stated(["share-revenue"]), [])
        for term in self.extract.in_force(RevenueShareTerm):
            when = [f"principal == {_name('Party', term.payer)}", f"context.to == {_quoted(term.payee)}"]
            unless = [self._in(term.base.excludes)] if term.base.excludes else []
            self._permit(term.citation, _all(["share-revenue"]), when, unless)

    # What forbids, now and once met

    def _exclusivity(self, term: Exclusivity) -> None:
        for action in sorted(term.actions):
            for reach in _REACHES.get(action, ()):
                self._reserve(term, action, reach, self._inside_for_owner(term, reach))
        if "sell" in term.actions:
            others = _Reach(actions=_SOLD, by="others")
            self._reserve(term, "sell", others, self._inside_for_others(term))

    def _reserve(self, term: Exclusivity, action: str, reach: _Reach, inside: str) -> None:
        carved = [self._carve_out(scope, action) for scope in term.except_]
        when = [*self._by(reach, term.products), self._in(term.products), *_places(term.clouds), *_trade(term)]
        unless = [one for one in (inside, *carved) if one != "false"]
        if "true" not in unless:
            self._forbid(term.citation, reach.actions, when, [*unless, *self._held(reach, term.products)])

    def _inside_for_owner(self, term: Exclusivity, reach: _Reach) -> str:
        if place := _kept_place(term):
            return place
        if term.only.parties:
            return self._owned_by(term.only.parties, term.products)
        if not reach.to:
            return "false"
        to_owner = [
            f"({reach.to} == {_quoted(owner.party)} && {self._owner_scope(owner.products, taken)})"
            for owner, taken in self.extract.owned()
            if self.extract.overlap(owner.products, term.products)
        ]
        return " || ".join([_contains(term.only.licensees, reach.to), *to_owner])

    def _inside_for_others(self, term: Exclusivity) -> str:
        if place := _kept_place(term):
            return place
        return _one_of("principal", term.only.parties) if term.only.parties else "false"

    def _carve_out(self, scope: Scope, action: str) -> str:
        if scope.actions and action not in scope.actions:
            return "false"
        return " && ".join(self._scope(scope)) or "true"

    def _lost(self, term: Licence) -> None:
        """A right that rested on a licence ends with it, until another licence or a grant gives it anew."""
        who = f"principal == {_name('Party', term.licensee)}"
        use = _Reach(actions=("use-under-licence",), by="others")
        held = [*self._held(use, term.products), *self._regranted(term.licensee, use.actions, term.products)]
        when = [who, *self._by(use, term.products), self._in(term.products)]
        self._forbid(term.citation, use.actions, when, held)
        for scope in term.carries:
            if actions := _sold(scope):
                sale = _Reach(actions=actions, by="others")
                anew = [*self._carried(term.licensee, scope), *self._regranted(term.licensee, actions, scope.products)]
                self._forbid(term.citation, actions, [who, *self._by(sale, scope.products), *self._scope(scope)], anew)

    def _carried(self, licensee: str, lost: Scope) -> list[str]:
        """What licences in force carry of what was lost with another."""
        return [
            " && ".join([f"action in {_actions(_all(actions))}", *self._scope(scope)])
            for term in self.extract.in_force(Licence)
            if term.licensee == licensee
            for scope in term.carries
            if (actions := _sold(scope)) and self._overlap(lost.products, scope.products)
        ]

    def _regranted(self, party: str, actions: Iterable[str], products: Iterable[str]) -> list[str]:
        """Grants to a party: those recorded, and those that terms give."""
        return [
            "resource in principal.grants",
            *(
                " && ".join([f"action in {_actions(_all(term.actions))}", *self._scope(term)])
                for term in self.extract.granted()
                if term.party == party and term.actions & {*actions} and self._overlap(term.products, products)
            ),
        ]

    # What forbids now only

    def _refusal(self, term: RefusalRight) -> None:
        passed = f"{_name('Offer', term.subject)} has passed && {_name('Offer', term.subject)}.passed"
        elsewhere = [f"!{_contains(term.except_clouds, 'context.cloud')}"] if term.except_clouds else []
        for action in sorted(term.actions):
            for reach in _REACHES.get(action, ()):
                when = [*self._by(reach, term.products), self._in(term.products), *elsewhere, *_trade(term)]
                unless = [passed, *self._held(reach, term.products)]
                self._forbid(term.citation, reach.actions, when, unless, _now)

    def _precedence(self, term: Precedence) -> None:
        first = f"resource has launchedOn && resource.launchedOn.contains({_quoted(term.first)})"
        how = "&&" if self.extract.needs_both(term) else "||"
        answer = f"resource has answer && (resource.answer.cannot {how} resource.answer.declines)"
        earlier = f'resource has firstShipped && resource.firstShipped < datetime("{term.since}")'
        met = [*([earlier] if self.extract.binds_new_only(term) else []), first, answer]
        owned = self._owned_by(frozenset({term.party}), term.products)
        if owned == "false":
            return
        for action in sorted(term.actions):
            for reach in _REACHES.get(action, ()):
                elsewhere = f"context.cloud != {_quoted(term.first)}"
                when = [*self._by(reach, term.products), self._in(term.products), elsewhere]
                when += [*_trade(term), *([] if owned == "true" else [f"({owned})"])]
                self._forbid(term.citation, reach.actions, when, [*met, *self._held(reach, term.products)], _now)

    # Parts of conditions

    def _in(self, names: Iterable[str]) -> str:
        return f"resource in [{', '.join(_name('Product', name) for name in sorted(names))}]"

    def _scope(self, scope: Scope | Permission) -> list[str]:
        products = [self._in(scope.products)] if scope.products else []
        return [*products, *_places(scope.clouds), *_trade(scope)]

    def _overlap(self, some: Iterable[str], others: Iterable[str]) -> bool:
        """Whether two scopes overlap; an empty one holds everything."""
        some, others = tuple(some), tuple(others)
        return not some or not others or self.extract.overlap(some, others)

    def _owner_scope(self, products: frozenset[str], taken: frozenset[str]) -> str:
        return " && ".join([self._in(products), *([f"!({self._in(taken)})"] if taken else [])])

    def _owned(self, products: Iterable[str]) -> list[str]:
        """That somebody owns it; nothing where all of the scope is owned."""
        owned = frozenset[str]().union(*(term.products for term, _ in self.extract.owned()))
        products = tuple(products)
        if products and self.extract.within(products, owned):
            return []
        return [self._in(owned)] if owned else ["false"]

    def _owned_by(self, parties: Iterable[str], products: Iterable[str]) -> str:
        """That one of these parties owns it: `true` or `false` where the scope alone says so."""
        owners = [one for one in self.extract.owned() if self.extract.overlap(one[0].products, products)]
        named = [one for one in owners if one[0].party in parties]
        if len(named) in (0, len(owners)):
            return "true" if named else "false"
        return " || ".join(f"({self._owner_scope(term.products, taken)})" for term, taken in named)

    def _by(self, reach: _Reach, products: Iterable[str]) -> list[str]:
        """Whether the owner or another party asks."""
        if reach.by == "anyone":
            return []
        owners = [one for one in self.extract.owned() if self._overlap(one[0].products, products)]
        owner = " || ".join(
            f"(principal == {_name('Party', term.party)} && {self._owner_scope(term.products, taken)})"
            for term, taken in owners
        )
        if len({term.party for term, _ in owners}) == 1:
            owner = f"principal == {_name('Party', owners[0][0].party)}"
        return [f"!({owner or 'false'})" if reach.by == "others" else f"({owner or 'false'})"]

    def _held(self, reach: _Reach, products: Iterable[str]) -> list[str]:
        """A licence in force lets its licensee use what it covers, whatever the owner may grant to others."""
        if "use-under-licence" not in reach.actions or reach.by == "owner":
            return []
        use = f"action in {_actions(_all(['use-under-licence']))}"
        return [
            f"{use} && principal == {_name('Party', term.licensee)} && {self._in(term.products)}"
            for term in self.extract.in_force(Licence)
            if self.extract.overlap(term.products, products)
        ]

    # Writing

    def _permit(
        self, citation: Citation, asked: Sequence[str], when: Sequence[str], unless: Sequence[str] = ()
    ) -> None:
        self._write("permit", citation, asked, when, unless)

    def _forbid(
        self,
        citation: Citation,
        actions: Sequence[str],
        when: Sequence[str],
        unless: Sequence[str],
        asked: Any = None,
    ) -> None:
        named = _now(actions) if asked is _now else [*_now(actions), *_once_met(actions)]
        public = [
            " && ".join([f"action in {_actions(_all(term.actions))}", *self._scope(term)])
            for term in self.extract.public()
            if term.actions & {*actions} and self._overlap(term.products, self._mentioned(citation))
        ]
        self._write("forbid", citation, named, when, [*unless, *public])

    def _mentioned(self, citation: Citation) -> frozenset[str]:
        """The products of a term and of what it carries; none where it carries whatever there is."""
        term = next(state.term for state in self.extract.force.states if state.term.id == citation.term)
        carried = [scope.products for scope in getattr(term, "carries", ())]
        if not all(carried):
            return frozenset()
        return frozenset(getattr(term, "products", frozenset())).union(*carried)

    def _write(
        self, effect: str, citation: Citation, asked: Sequence[str], when: Sequence[str], unless: Sequence[str]
    ) -> None:
        self.times[citation.term] = self.times.get(citation.term, 0) + 1
        number = self.times[citation.term]
        name = citation.term if number == 1 else f"{citation.term}#{number}"
        notes = [("id", name), ("term", citation.term), ("amendment", citation.amendment)]
        notes += [("document", citation.document), ("line", str(citation.line)), ("source", citation.source)]
        lines = [f"// {' '.join(citation.text.split())}", *(f"@{key}({_quoted(value)})" for key, value in notes)]
        lines.append(f"{effect} (principal, action in {_actions(asked)}, resource)")
        if when:
            lines.append("when { " + " && ".join(_grouped(when)) + " }")
        lines += ["unless { " + one + " }" for one in unless]
        self.written.append("\n".join(lines) + ";")


def _grouped(parts: Sequence[str]) -> list[str]:
    return [f"({part})" if " || " in part and not part.startswith(("(", "!(")) else part for part in parts]


def _now(actions: Iterable[str]) -> list[str]:
    return list(actions)


def _once_met(actions: Iterable[str]) -> list[str]:
    return [action + ONCE_MET for action in actions]


def _stated(actions: Iterable[str]) -> list[str]:
    return [action + STATED for action in actions]


def _all(actions: Iterable[str]) -> list[str]:
    return [action + asked for action in sorted(actions) for asked in ("", ONCE_MET, STATED)]


def _sold(scope: Scope) -> tuple[str, ...]:
    """Which sales a licence carries."""
    return tuple(action for action in _SOLD if not scope.actions or action in scope.actions)


def _actions(names: Iterable[str]) -> str:
    return f"[{', '.join(_name('Action', name) for name in names)}]"


def _contains(names: Iterable[str], what: str) -> str:
    return f"[{', '.join(map(_quoted, sorted(names)))}].contains({what})"


def _one_of(what: str, parties: Iterable[str]) -> str:
    return f"{what} in [{', '.join(_name('Party', name) for name in sorted(parties))}]"


def _places(clouds: Iterable[str]) -> list[str]:
    return [_contains(clouds, "context.cloud")] if clouds else []


def _trade(scope: Scope | Permission | Exclusivity | Precedence | RefusalRight) -> list[str]:
    """Who sells, to whom, and where, as far as a scope says so."""
    asked = [
        (scope.sellers, "context.seller"),
        (scope.segments, "context.segment"),
        (scope.regions, "context.region"),
    ]
    return [_contains(names, what) for names, what in asked if names]


def _kept_place(term: Exclusivity) -> str:
    """The clouds, sellers or regions for which an exclusivity reserves its scope, if it does for such."""
    only = term.only
    kept = [
        (only.clouds, "context.cloud"),
        (only.sellers, "context.seller"),
        (only.regions, "context.region"),
    ]
    return next((_contains(names, what) for names, what in kept if names), "")


def _name(kind: str, name: str) -> str:
    return f"{kind}::{_quoted(name)}"


def _quoted(text: str) -> str:
    """A string literal, which Cedar shares with JSON but for the escapes of what cannot be printed."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


# Entities


def _entity(kind: str, name: str, attributes: dict[str, Any], parents: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": name},
        "attrs": attributes,
        "parents": [{"type": "Product", "id": parent} for parent in parents],
    }


def _party(extract: Extract, name: str) -> dict[str, Any]:
    granted = sorted({fact.product for fact in extract.facts.grants(name, extract.as_of)})
    grants = [{"__entity": {"type": "Product", "id": product}} for product in granted]
    operates = sorted(extract.catalog.own_cloud(name))
    return _entity("Party", name, {"name": name, "operates": operates, "grants": grants})


def _class(extract: Extract, name: str) -> dict[str, Any]:
    wider = extract.catalog.classes[name].within
    return _entity("Product", name, {}, [wider] if wider else [])


def _product(extract: Extract, name: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"launchedOn": sorted({launch.cloud for launch in extract.launches(name)})}
    if first := extract.first_shipped(name):
        attributes["firstShipped"] = {"__extn": {"fn": "datetime", "arg": str(first)}}
    if answer := extract.facts.answer(name, extract.as_of):
        attributes["answer"] = {"cannot": not answer.can, "declines": answer.declines}
    return _entity("Product", name, attributes, [extract.catalog.products[name].product_class])
