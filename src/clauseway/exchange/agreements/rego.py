"""The agreement in force as a Rego module (v1), term by term.

Input is a question: {"action": …, "party": …} and, where the action takes them, "product", "cloud",
"to", "segment", "seller" and "region". `data.clauseway.outcome` is one of the four outcomes; with
{"questions": […]} as input, `data.clauseway.outcomes` lists one for each.

The module opens with the reading of silence, which is the same for every agreement. Under it each
term in force, each licence that has ended and each fact known and in effect adds a definition to
one of its functions or sets: `owner`, `public`, `granted`, `gives`, `licensed`, `lost`, `barred`,
`excepted`, `overridden`, `waits`, `freed`, `due` · `shipped`, `answered`, `passed`, `grant`. Each
carries its term, document, line and source as OPA metadata.

Language: https://www.openpolicyagent.org/docs/policy-language
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import assert_never

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
from clauseway.agreement.language.actions import LICENSE, USE
from clauseway.agreement.language.terms import (
    ANY_TERM,
    ANYONE,
    AnyTerm,
    Barring,
    Forbidding,
    Inoperative,
)
from clauseway.catalog import ELSEWHERE
from clauseway.exchange.agreements.extract import Extract, LostLicence, heading, sold
from clauseway.values import Citation

# The reading of silence. Terms and facts are added below; `if false` stands where nothing is said.
# Behind a text as value, a condition with a text stands in braces: `opa fmt` writes the value twice else.
_RULE = """\
outcome := both(asked(input))

outcomes := [both(asked(question)) | some question in input.questions]

asked(question) := kept(object.union(
	named(question),
	{"seller": seller(named(question)), "region": region(named(question))},
))

named(question) := object.union(
	{"product": "", "cloud": "", "to": "", "segment": "any", "seller": "", "region": ""},
	question,
)

# Parts that an action does not take are left out of its question.
kept(act) := act if act.action in {"serve", "sell", "contract-compute"}

else := object.union(act, {"segment": "", "region": ""}) if act.action == "share-revenue"

else := object.union(act, {"cloud": "", "segment": "", "region": ""})

seller(act) := "" if not act.action in {"serve", "sell"}

else := act.party if act.seller == ""

else := act.seller

# Where terms tell regions apart, there is no outcome for a question that says none, or a place of no known region.
region(act) := act.region if count(regions) == 0

else := within if {
	within := object.get(object.get(places, act.cloud, {}), act.region, "")
	within != ""
}

else := act.region if act.region in regions

else := "" if {
	act.region == ""
	not act.action in {"serve", "sell", "contract-compute"}
}

# Serving includes a sale, by the party or by another: both must be allowed.
both(act) := answer(act) if act.action != "serve"

else := strictest({answer(act), answer(object.union(act, {"action": "sell", "party": act.seller}))}) if {
	not sold_by_the_party(act)
}

else := answer(act) if act.product in unsold

# A party that sells what it serves is the host.
else := strictest({answer(act), answer(object.union(act, {"action": "sell", "host": act.party}))})

sold_by_the_party(act) if act.seller == act.party

strictest(answers) := "forbidden" if "forbidden" in answers

else := "unstated" if {
	"unstated" in answers
}

else := "conditional" if {
	"conditional" in answers
}

else := "permitted"

# Nothing is stated before an amendment is in force and known, nor of what nobody owns and no term leaves to anyone.
answer(act) := "unstated" if count(amendments) == 0

else := "permitted" if {
	act.action == "share-revenue"
	due(act)
}

else := "forbidden" if {
	act.action == "share-revenue"
}

else := "unstated" if {
	not owner(act.product)
	not public(act)
}

# A term that forbids overrides permissions, licences and grants, unless a permission names it.
else := "forbidden" if {
	some one in needed(act)
	barred(one, act.party)
}

# The owner may do what no term in force forbids, and so may anyone what is left to anyone.
else := waiting(act, needed(act), act.party) if owns(act)

else := waiting(act, needed(act), "") if public(act)

# Anyone else needs a licence or a grant, under the conditions that bind the owner.
else := waiting(act, {act}, "") if {
	act.action == "use-under-licence"
	licensed(act)
}

else := waiting(act, needed(act), owner(act.product)) if licensed(act)

else := "forbidden" if {
	lost(act)
	not granted(act)
}

else := "forbidden" if {
	act.action == "use-under-licence"
	barred(licensing(act, act.party), owner(act.product))
}

else := waiting(act, granting(act), owner(act.product)) if granted(act)

else := waiting(act, granting(act), owner(act.product)) if launched_on_its_own_cloud(act)

else := "conditional"

owns(act) if act.party == owner(act.product)

# A sale is an offer and a hosting. Who serves what it sells itself does both; for another seller it hosts alone.
needed(act) := {act, object.union(act, {"action": "serve", "party": host(act)})} if act.action == "sell"

else := {act, object.union(act, {"action": "sell"})} if {
	act.action == "serve"
	sold_by_the_party(act)
}

else := {act, licensing(act, act.party), licensing(act, act.to)} if {
	act.action == "license"
	owner(act.product)
	not owns(act)
}

else := {act}

# The owner hosts where it launched, the cloud's operator elsewhere.
host(act) := act.host if act.host

else := owner(act.product) if [act.product, act.cloud] in shipped

else := operators[act.cloud]

granting(act) := {act, licensing(act, act.party)} if act.action == "use-under-licence"

else := needed(act)

licensing(act, to) := object.union(act, {"action": "license", "party": owner(act.product), "to": to})

# Ship-first and first refusal bind whoever does an act, and the grantor behind it.
waiting(act, acts, grantor) := "conditional" if {
	some one in acts
	some who in {one.party, grantor}
	waits(object.union(one, {"party": who, "doer": one.party, "licensee": act.to}), act.party)
}

else := "permitted"

# The holder of a right of first refusal is not bound by it: a licence to it needs no offer.
offers(act, party, holder, grantor) if {
	party != holder
	act.licensee != holder
	act.doer != holder
	act.party != holder
	act.party == grantor
}

# A share is asked about as a whole where no product is named.
of_base("", _)

of_base(product, scope) if lies_in(product, scope)

gives(licensor, product) if licensor == owner(product)

granted(act) if {
	some one in grant
	one.party == act.party
	lies_in(act.product, {one.product})
}

lies_in(product, scope) if {
	some one in scopes[product]
	one in scope
}

launched_on_its_own_cloud(_) if false

owner(_) := "" if false

public(_) if false

licensed(_) if false

lost(_) if false

barred(_, _) if false

excepted(_, _) if false

overridden(_, _, _) if false

waits(_, _) if false

freed(_, _) if false

due(_) if false

shipped contains ["", ""] if false

answered contains {"product": "", "can": true, "declines": true} if false

passed contains "" if false

grant contains {"party": "", "product": ""} if false"""

# Where the agreement says so, a launch on a party's own cloud grants it resale there.
_LAUNCH = [
    'act.action in {"serve", "sell"}',
    "operators[act.cloud] == act.party",
    "[act.product, act.cloud] in shipped",
]


def rego_module(extract: Extract) -> str:
    """Return the module as text: the reading of silence, the catalog, the terms, the facts."""
    parts = [
        heading(extract, "#", "as a Rego module"),
        "package clauseway\n\nimport rego.v1",
        _RULE,
        *_catalog(extract),
        *(_terms(extract) if extract.force.stated else ()),
        *_facts(extract),
    ]
    return "\n\n".join(parts) + "\n"


def _catalog(extract: Extract) -> list[str]:
    """Return the agreement's names: amendments, operators of clouds, scopes of products."""
    catalog = extract.catalog
    scopes = {
        name: extract.scopes_of(name) for name in sorted({*catalog.products, *catalog.classes})
    }
    shipped = {
        name: day for name in sorted(catalog.products) if (day := extract.first_shipped(name))
    }
    operators = sorted(catalog.operators.items())
    return [
        f"amendments := {_set(extract.force.amendments)}",
        # Only where the agreement tells regions apart is any other place `elsewhere`.
        f"regions := {_set([*catalog.regions, ELSEWHERE] if catalog.regions else [])}",
        f"places := {_object({cloud: _object(of) for cloud, of in _places(extract).items()})}",
        f"operators := {_object({cloud: _text(party) for cloud, party in operators})}",
        f"scopes := {_object({name: _set(within) for name, within in scopes.items()})}",
        f"unsold := {_set(extract.unsold())}",
        f"first_shipped := {_object({name: _day(day) for name, day in shipped.items()})}",
    ]


def _places(extract: Extract) -> dict[str, dict[str, str]]:
    """Return the region of each place, by cloud."""
    catalog = extract.catalog
    return {
        cloud: {place: _text(catalog.region_of(cloud, place)) for place in sorted(places)}
        for cloud in sorted(catalog.clouds)
        if (places := catalog.places_of(cloud))
    }


# Terms


def _terms(extract: Extract) -> list[str]:
    written: list[str] = []
    # Ownership comes first: grants need an owner.
    for term, taken in extract.owned():
        body = [f"lies_in(product, {_set(term.products)})", *_outside(taken, "product")]
        written.append(_rule(term.citation, f"owner(product) := {_text(term.party)}", body))
    for each in extract.written():
        written += _term(extract, each.term, each.but)
    # Recorded grants, launches, and licences once they ended.
    for kept in extract.kept_grants():
        grant = kept.permission
        who = [f"act.party == {_text(grant.party)}", *_scope(grant), *_outside(kept.but)]
        written.append(_rule(grant.citation, "granted(act)", who))
    if rule := extract.launch_rule:
        written.append(_rule(rule, "launched_on_its_own_cloud(act)", _LAUNCH))
    for lost in extract.lost():
        written += _licence("lost(act)", lost.term, partial(_lost_of, extract, lost))
    return written


def _term(extract: Extract, term: AnyTerm, but: frozenset[str]) -> list[str]:
    """Return the rules of a term in force, `but` for some products; of an ownership, `_terms`
    writes them."""
    if isinstance(term, Barring):
        return _barring(term)
    match term:
        case Permission():
            return _permission(term, but)
        case Licence():
            return _licence("licensed(act)", term, partial(_given_by, term.licensor))
        case Exclusivity():
            return _exclusivity(term, but)
        case RefusalRight():
            return [_refusal(term)]
        case Precedence():
            return _precedence(extract, term)
        case RevenueShareTerm():
            return [_share(term)]
        case Ownership() | Inoperative():
            return []
        case _:
            assert_never(term)


def _permission(term: Permission, but: frozenset[str]) -> list[str]:
    public = term.party == ANYONE
    who = [] if public else [f"act.party == {_text(term.party)}"]
    acts = [*_scope(term), *_outside(but)]
    rules = [_rule(term.citation, "public(act)" if public else "granted(act)", [*who, *acts])]
    holder = [] if public else [f"party == {_text(term.party)}"]
    for name in sorted(term.despite):
        forbidding = "_" if name == ANY_TERM else _text(name)
        head = f"overridden({forbidding}, act, {'_' if public else 'party'})"
        rules.append(_rule(term.citation, head, [*holder, *acts]))
    if LICENSE in term.actions and not public:
        # The party that may license on gives these products.
        products = [f"lies_in(product, {_set(term.products)})", *_outside(but, "product")]
        rules.append(_rule(term.citation, f"gives({_text(term.party)}, product)", products))
    return rules


def _licence(
    head: str, term: Licence, kept: Callable[[frozenset[str]], Sequence[str]]
) -> list[str]:
    """Return the rules of a licence to use, and of its further acts: serving and selling, the only
    acts that rest on one. `kept` returns the condition on the products of a scope."""
    who = f"act.party == {_text(term.licensee)}"
    use = [
        who,
        *kept(term.products),
        'act.action == "use-under-licence"',
        f"lies_in(act.product, {_set(term.products)})",
    ]
    rules = [_rule(term.citation, head, use)]
    for scope in term.carries:
        if acts := sold(scope):
            carried = msgspec.structs.replace(scope, actions=frozenset(acts))
            rules.append(_rule(term.citation, head, [who, *kept(scope.products), *_scope(carried)]))
    return rules


def _given_by(licensor: str, _products: frozenset[str]) -> list[str]:
    """Return the condition that a licensor may give a product."""
    return [f"gives({_text(licensor)}, act.product)"]


def _lost_of(extract: Extract, lost: LostLicence, products: frozenset[str]) -> list[str]:
    """Return the condition that a product is one of which a licence was lost."""
    names = extract.names_lost(lost, products)
    return [] if names is None else [f"act.product in {_set(names)}"]


def _exclusivity(term: Exclusivity, but: frozenset[str]) -> list[str]:
    actions = frozenset(action for action in term.actions if term.bears_on(action))
    if not term.only.licensees:
        field = {"clouds": "cloud", "sellers": "seller", "regions": "region", "parties": "party"}[
            term.only.part
        ]
        kept = [f"not act.{field} in {_set(term.only.names)}", *_outside(but)]
        return _forbidding(term, actions, kept)
    licensees = _set(term.only.licensees)
    licensing = [f"not act.to in {licensees}", "act.to != owner(act.product)", *_outside(but)]
    use = [f"not act.party in {licensees}", *_outside(but)]
    return [
        *_forbidding(term, actions & {LICENSE}, licensing),
        *_forbidding(term, actions & {USE}, use),
    ]


def _barring(term: Barring) -> list[str]:
    parties = term.barred
    named = [] if ANYONE in parties else [f"act.party in {_set(parties)}"]
    return _forbidding(term, term.actions, named)


def _forbidding(term: Forbidding, actions: frozenset[str], parties: Sequence[str]) -> list[str]:
    """Return the rules by which a term forbids parties these actions, but for carve-outs and
    permissions that name it."""
    if not actions:
        return []
    scope = msgspec.structs.replace(_traded(term), actions=actions, clouds=term.clouds)
    unless = [f"not excepted({_text(term.id)}, act)"] if term.except_ else []
    unless.append(f"not overridden({_text(term.id)}, act, party)")
    rules = [_rule(term.citation, "barred(act, party)", [*_scope(scope), *parties, *unless])]
    for scope in term.except_:
        # An empty carve-out holds for every act; OPA refuses an argument that is never used.
        head, body = ("act", asked) if (asked := _scope(scope)) else ("_", ["true"])
        rules.append(_rule(term.citation, f"excepted({_text(term.id)}, {head})", body))
    return rules


def _refusal(term: RefusalRight) -> str:
    elsewhere = [f"not act.cloud in {_set(term.except_clouds)}"] if term.except_clouds else []
    grantor = _text(term.grantor) if term.grantor else "owner(act.product)"
    binds = f"offers(act, party, {_text(term.holder)}, {grantor})"
    subject = _text(term.subject) if term.subject else "act.product"
    open_while = f"not {subject} in passed"
    return _rule(
        term.citation, "waits(act, party)", [binds, *_scope(_traded(term)), *elsewhere, open_while]
    )


def _precedence(extract: Extract, term: Precedence) -> list[str]:
    acts = _scope(_traded(term))
    elsewhere = f"act.cloud != {_text(term.first)}"
    unless = f"not freed({_text(term.id)}, act.product)"
    rules = [
        _rule(
            term.citation,
            "waits(act, _)",
            [f"act.party == {_text(term.party)}", *acts, elsewhere, unless],
        ),
    ]
    freed = f"freed({_text(term.id)}, product)"
    answer = ["some answer in answered", "answer.product == product"]
    # Each way to be freed is a rule of its own.
    ways = [[f"product in {_set(extract.ahead(term))}"]]
    if not term.lead_days:
        ways = [[f"[product, {_text(term.first)}] in shipped"]]
    if extract.binds_new_only(term):
        ways.append([f'object.get(first_shipped, product, "never") < {_day(term.since)}'])
    lifting = extract.lifting(term)
    if len(lifting) == 1:
        ways.append([*answer, "not answer.can", "answer.declines"])
    elif lifting:
        ways += [[*answer, "not answer.can"], [*answer, "answer.declines"]]
    return rules + [_rule(term.citation, freed, way) for way in ways]


def _share(term: RevenueShareTerm) -> str:
    between = [f"act.party == {_text(term.payer)}", f"act.to == {_text(term.payee)}"]
    excludes = _outside(term.base.excludes)
    products = [f"of_base(act.product, {_set(term.base.products)})"] if term.base.products else []
    clouds = [f"act.cloud in {_set(term.base.clouds | {''})}"] if term.base.clouds else []
    return _rule(term.citation, "due(act)", [*between, *excludes, *products, *clouds])


def _traded(term: Forbidding | Precedence | RefusalRight) -> Scope:
    """Return the scope of a term, but for clouds."""
    return Scope(
        actions=term.actions,
        products=term.products,
        sellers=term.sellers,
        segments=term.segments,
        regions=term.regions,
    )


def _outside(products: frozenset[str], product: str = "act.product") -> list[str]:
    """Return the condition that a product is none of these; empty where there are none."""
    return [f"not lies_in({product}, {_set(products)})"] if products else []


def _scope(scope: Scope | Permission) -> list[str]:
    """Return the conditions of a scope on an act; its open parts have none."""
    asked = [
        (scope.actions, f"act.action in {_set(scope.actions)}"),
        (scope.products, f"lies_in(act.product, {_set(scope.products)})"),
        (scope.clouds, f"act.cloud in {_set(scope.clouds)}"),
        (scope.sellers, f"act.seller in {_set(scope.sellers)}"),
        (scope.segments, f"act.segment in {_set(scope.segments)}"),
        (scope.regions, f"act.region in {_set(scope.regions)}"),
    ]
    return [line for names, line in asked if names]


# Facts


def _facts(extract: Extract) -> list[str]:
    """Return the facts known and in effect, each as an element of its set."""
    catalog, facts = extract.catalog, extract.facts
    written = [
        _element("shipped", f"[{_text(launch.product)}, {_text(launch.cloud)}]", launch.citation)
        for product in sorted(catalog.products)
        for launch in extract.launches(product)
    ]
    for product in sorted(catalog.products):
        if answer := facts.answer(product, extract.as_of):
            values = {
                "product": _text(product),
                "can": _truth(answer.can),
                "declines": _truth(answer.declines),
            }
            written.append(_element("answered", _object(values), answer.citation))
    for subject, citation in sorted(extract.offers().items()):
        written.append(_element("passed", _text(subject), citation))
    for party in sorted(catalog.parties):
        for grant in extract.grants(party):
            values = {"party": _text(grant.party), "product": _text(grant.product)}
            written.append(_element("grant", _object(values), grant.citation))
    return written


# Writing


def _rule(citation: Citation, head: str, body: Sequence[str]) -> str:
    lines = "\n".join(f"\t{line}" for line in body)
    return f"{_metadata(citation)}\n{head} if {{\n{lines}\n}}"


def _element(name: str, value: str, citation: Citation) -> str:
    return f"{_metadata(citation)}\n{name} contains {value}"


def _metadata(citation: Citation) -> str:
    """Return OPA's annotation comment, in YAML: the rule's place in the agreement."""
    custom = [
        ("amendment", citation.amendment),
        ("document", citation.document),
        ("source", citation.source),
    ]
    # OPA takes the comment block right above a rule as its metadata, in YAML; texts are quoted as
    # JSON, which YAML holds.
    return "\n".join(
        [
            "# METADATA",
            f"# title: {_text(citation.term)}",
            f"# description: {_text(citation.text)}",
            "# custom:",
            *(f"#   {key}: {_text(value)}" for key, value in custom),
            f"#   line: {citation.line}",
        ]
    )


def _object(members: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_text(key)}: {value}" for key, value in members.items()) + "}"


def _set(names: Iterable[str]) -> str:
    """Return a set of strings; the empty set has a name of its own, since {} is an object."""
    written = ", ".join(map(_text, sorted(names)))
    return f"{{{written}}}" if written else "set()"


def _day(day: date) -> str:
    """Return a day as text: days compare as text, year first."""
    return _text(str(day))


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _text(text: str) -> str:
    """Return a string literal, which is JSON's; on one line, because comments hold it too."""
    return msgspec.json.encode(" ".join(text.split())).decode()
