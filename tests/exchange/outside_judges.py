"""Judges from outside: Cedar's authorizer, OPA and another Rego interpreter, and a reader of ODRL that knows ODRL's
rules only."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple, Unpack

import cedarpy
import msgspec
import pytest
from rdflib import Graph, Literal, Namespace, URIRef
from rdflib.namespace import RDF
from rdflib.term import Node

import debian_programs
import opa_judge
from clauseway.agreement.language.actions import SEGMENTS, takes
from clauseway.decisions import Question
from clauseway.decisions.parts import Names, NamesGiven
from clauseway.decisions.question import region_problems
from clauseway.decisions.reach import Act, act_on
from clauseway.exchange.agreements.cedar import (
    ANY_PRODUCT,
    CEDAR_SCHEMA,
    ONCE_MET,
    STATED,
    cedar_entities,
    cedar_policies,
)
from clauseway.exchange.agreements.extract import Extract
from clauseway.exchange.agreements.odrl import odrl_document
from clauseway.exchange.agreements.rego import rego_module
from clauseway.values import InvalidInput

ODRL = Namespace("http://www.w3.org/ns/odrl/2/")
CW = Namespace("urn:clauseway:odrl:")


def cedar_answers(extract: Extract, questions: Sequence[Question]) -> list[str]:
    """Cedar's authorizer, whose validator must accept policies, entities and requests first."""
    text, schema = cedar_policies(extract), cedarpy.Schema.from_str(CEDAR_SCHEMA)
    valid = cedarpy.validate_policies(text, schema)
    assert valid.validation_passed, valid.errors[:3]
    policies = cedarpy.PolicySet.from_str(text)
    entities = cedarpy.Entities.from_json_str(json.dumps(cedar_entities(extract)), schema)
    parts = ("action", "party", "product", "cloud", "to", "segment", "seller", "region")
    asked = [cedar_requests(extract, **{part: getattr(question, part) for part in parts}) for question in questions]
    requests = [request for several in asked for request in several]
    results = cedarpy.is_authorized_batch(requests, policies, entities, schema)
    errors = [error for result in results for error in result.diagnostics.errors]
    assert not errors, errors[:3]
    allowed = iter([result.allowed for result in results])
    return [_answer_of([next(allowed) for _ in several]) for several in asked]


def cedar_requests(extract: Extract, **names: Unpack[NamesGiven]) -> list[dict[str, Any]]:
    """The three requests of a question: now, once met, stated. Of what is served and sold, those of the sale follow."""
    asked, catalog = Names(**names), extract.catalog
    if problems := region_problems(catalog, asked.action, asked.cloud, asked.region):
        raise InvalidInput(*problems)
    act = act_on(asked, region=catalog.region_of(asked.cloud, asked.region), seller=asked.seller or asked.party)
    hosts = {act: _host(extract, act)}
    if act.action == "serve":
        sale = msgspec.structs.replace(act, action="sell", party=act.seller)
        # Another seller's sale is hosted as any sale is: by the owner or the cloud's operator.
        if act.seller != act.party:
            hosts[sale] = _host(extract, sale)
        # The party that sells what it serves is its host; what is never sold has no sale to ask about.
        elif catalog.takes(act.product, "sell"):
            hosts[sale] = act.party
    where = ("cloud", "to", "segment", "seller", "region")
    return [
        {
            "principal": {"type": "Party", "id": each.party},
            "resource": {"type": "Product", "id": asked.product or ANY_PRODUCT},
            "context": {**{part: getattr(each, part) for part in where}, "host": host},
            "action": {"type": "Action", "id": each.action + further},
        }
        for each, host in hosts.items()
        for further in ("", ONCE_MET, STATED)
    ]


def _host(extract: Extract, act: Act) -> str:
    """Return the host: the server; of a sale the owner where it launched on that cloud, else the cloud's operator."""
    if act.action != "sell":
        return act.party if act.action == "serve" else ""
    launched = any(launch.cloud == act.cloud for launch in extract.launches(act.product))
    return (launched and extract.owner(act.product)) or extract.catalog.operators.get(act.cloud, "")


def _answer_of(allowed: Sequence[bool]) -> str:
    """The strictest outcome of all requests of a question together (True is Allow)."""
    outcomes = [
        "permitted" if now else "conditional" if once_met else "forbidden" if stated else "unstated"
        for now, once_met, stated in zip(allowed[::3], allowed[1::3], allowed[2::3], strict=True)
    ]
    return min(outcomes, key=["forbidden", "unstated", "conditional", "permitted"].index)


def regopy_answers(extract: Extract, questions: Sequence[Question]) -> list[str]:
    """Microsoft's interpreter of Rego, in this process. It links to a library of GCC's that few machines lack."""
    try:
        debian_programs.load_library("libatomic.so.1", "libatomic1")
    except debian_programs.Unavailable:
        pytest.skip("no regopy: libatomic.so.1 is not on this machine (Debian: libatomic1)")
    from regopy import Interpreter  # noqa: PLC0415  # needs the library above

    interpreter = Interpreter()
    interpreter.add_module("partnership", rego_module(extract))
    asked = [_rego_input(question) for question in questions]
    answers: list[str] = []
    for at in range(0, len(asked), 2_000):
        interpreter.set_input({"questions": asked[at : at + 2_000]})
        answers += json.loads(str(interpreter.query("data.clauseway.outcomes")))["expressions"][0]
    return answers


def opa_answers(extract: Extract, questions: Sequence[Question]) -> list[str]:
    """OPA itself, which must accept the module under its strict rules first."""
    module = rego_module(extract)
    try:
        complaints = opa_judge.complaints(module)
    except opa_judge.Unavailable as reason:
        pytest.skip(f"no OPA: {reason}")
    assert complaints == ""
    asked = [_rego_input(question) for question in questions]
    return opa_judge.evaluate(module, "data.clauseway.outcomes", asked)


def _rego_input(asked: Question) -> dict[str, str]:
    parts = ("action", "party", "product", "cloud", "to", "segment", "seller", "region")
    return {part: getattr(asked, part) for part in parts}


def odrl_answers(extract: Extract, questions: Sequence[Question]) -> list[str]:
    reader = OdrlReader(odrl_graph(extract), extract.agreement.id, extract.as_of)
    return [reader.outcome(question) for question in questions]


def odrl_graph(extract: Extract) -> Graph:
    return Graph().parse(data=json.dumps(odrl_document(extract)), format="json-ld")


class OdrlReader:
    """Evaluates the policy of a graph: prohibitions win, duties must be fulfilled, obligations are due."""

    def __init__(self, graph: Graph, agreement: str, as_of: date) -> None:
        self.graph, self.as_of = graph, as_of
        self.prefix = f"urn:clauseway:{agreement}:"
        self.rules: dict[tuple[Node, Node], list[Node]] = {}
        for kind in (ODRL.permission, ODRL.prohibition, ODRL.obligation):
            for rule in graph.objects(None, kind):
                action = graph.value(rule, ODRL.action)
                assert action is not None
                self.rules.setdefault((kind, action), []).append(rule)
        self._hosts_itself = False
        self.parts: dict[tuple[Node, Node], list[Node]] = {}
        self._nodes: dict[tuple[str, str], Node] = {}

    @cached_property
    def has_policy(self) -> bool:
        return (None, RDF.type, ODRL.Agreement) in self.graph

    def outcome(self, asked: Question) -> str:
        """Of what is served and sold, the stricter of both. Who sells what it serves is its host."""
        own, itself = self._alone(asked), asked.seller == asked.party
        never_sold = Literal(True) in self._all(self._node("asset", asked.product), CW.neverSold)
        if asked.action != "serve" or (itself and never_sold):
            return own
        self._hosts_itself = itself
        sale = self._alone(msgspec.structs.replace(asked, action="sell", party=asked.seller))
        self._hosts_itself = False
        return min(own, sale, key=["forbidden", "unstated", "conditional", "permitted"].index)

    def _alone(self, asked: Question) -> str:
        if not self.has_policy:
            return "unstated"
        if asked.action == "share-revenue":
            return "permitted" if any(self._reaching(ODRL.obligation, asked)) else "forbidden"
        if any(self._reaching(ODRL.prohibition, asked)):
            return "forbidden"
        permissions = list(self._reaching(ODRL.permission, asked))
        if not permissions:
            return "unstated"
        fulfilled = any(
            all(self._fulfilled(duty, asked) for duty in self._all(permission, ODRL.duty)) for permission in permissions
        )
        return "permitted" if fulfilled else "conditional"

    def _reaching(self, kind: Node, asked: Question) -> Iterable[Node]:
        for rule in self.rules.get((kind, CW[asked.action]), ()):
            if self._of_rule(rule, asked) and all(
                self._holds(constraint, asked) for constraint in self._all(rule, ODRL.constraint)
            ):
                yield rule

    def _of_rule(self, rule: Node, asked: Question) -> bool:
        assignee, target = self._value(rule, ODRL.assignee), self._value(rule, ODRL.target)
        party, anyone = self._node("party", asked.party), self._node("party", "anyone")
        if assignee == self._node("party", "anyone-but-the-owner"):
            if party == self._value(rule, ODRL.assigner):
                return False
        elif assignee not in (party, anyone):
            return False
        if compensated := self._value(rule, ODRL.compensatedParty):
            return self._node("party", asked.to) == compensated
        return target is None or target in self._scopes(asked.product)

    def _fulfilled(self, duty: Node, asked: Question) -> bool:
        """A duty is fulfilled where it does not apply, or what meets it is on record. No consent ever is."""
        if self._value(duty, ODRL.action) == ODRL.obtainConsent:
            return False
        if not all(self._holds(constraint, asked) for constraint in self._all(duty, ODRL.constraint)):
            return True
        return self._holds(self._all(duty, CW.metBy)[0], asked)

    def _holds(self, constraint: Node, asked: Question) -> bool:
        if parts := self._all(constraint, ODRL["or"]):
            return any(self._holds(part, asked) for part in parts)
        operand, operator = (self._value(constraint, name) for name in (ODRL.leftOperand, ODRL.operator))
        values, named = self._values(operand, asked), self._all(constraint, ODRL.rightOperand)
        if operator == ODRL.gteq:
            return not values or min(map(_day, values)) >= _day(named[0])
        met = bool({*values} & {*named})
        return met if operator in (ODRL.isAnyOf, ODRL.eq) else not met

    def _values(self, operand: Node | None, asked: Question) -> list[Node]:
        product = self._node("asset", asked.product)
        if operand == CW.cloud:
            return [self._node("cloud", asked.cloud)]
        if operand == CW.seller:
            return [self._node("party", asked.seller)] if asked.action in ("serve", "sell") else []
        if operand == CW.sellsItself:
            return [Literal(asked.seller == asked.party)]
        if operand == CW.region:
            place = self._node("place", f"{asked.cloud}:{asked.region}")
            return self._all(place, CW.within) or [self._node("region", asked.region)]
        if operand == CW.segment:
            return [Literal(asked.segment)] if takes(asked.action, SEGMENTS) else []
        if operand in (CW.party, CW.recipient):
            return [self._node("party", asked.party if operand == CW.party else asked.to)]
        if operand == CW.host:
            return self._host(asked)
        if operand == CW.product:
            return self._scopes(asked.product)
        if operand == CW.firstShipped:
            return self._all(product, CW.firstShipped)
        if operand == CW.launchedOn:
            return [cloud for launch in self._all(product, CW.launch) for cloud in self._all(launch, CW.cloud)]
        if operand == CW.answer:
            return [said for answer in self._all(product, CW.answer) for said in self._all(answer, CW.says)]
        if operand == CW.passed:
            return list(self.graph.objects(None, CW.passed))
        assert operand == CW.granted, operand
        granted = {*self._all(self._node("party", asked.party), CW.granted)}
        return [Literal(bool(granted & {*self._scopes(asked.product)}))]

    def _host(self, asked: Question) -> list[Node]:
        """Return the host: the server; of a sale the owner where it launched there, else the cloud's operator."""
        cloud = self._node("cloud", asked.cloud)
        if asked.action == "serve" or self._hosts_itself:
            return [self._node("party", asked.party)]
        launched = [
            cloud_of
            for launch in self._all(self._node("asset", asked.product), CW.launch)
            for cloud_of in self._all(launch, CW.cloud)
        ]
        if cloud in launched and (owners := self._all(self._node("asset", asked.product), CW.owner)):
            return owners
        return list(self.graph.subjects(CW.operates, cloud))

    def _scopes(self, product: str) -> list[Node]:
        """A product and the collections it is part of, directly or through others."""
        scopes: list[Node] = [self._node("asset", product)]
        while wider := self._all(scopes[-1], ODRL.partOf):
            scopes.append(wider[0])
        return scopes

    def _all(self, subject: Node, predicate: Node) -> list[Node]:
        key = (subject, predicate)
        if key not in self.parts:
            self.parts[key] = list(self.graph.objects(subject, predicate))
        return self.parts[key]

    def _value(self, subject: Node, predicate: Node) -> Node | None:
        return next(iter(self._all(subject, predicate)), None)

    def _node(self, kind: str, name: str) -> Node:
        if (kind, name) not in self._nodes:
            self._nodes[kind, name] = URIRef(f"{self.prefix}{kind}:{name}")
        return self._nodes[kind, name]


def _day(literal: Node) -> date:
    assert isinstance(literal, Literal)
    value = literal.toPython()
    assert isinstance(value, date)
    return value


class Judge(NamedTuple):
    """Somebody outside who answers questions from an agreement's export in a format."""

    form: str
    answers: Callable[[Extract, Sequence[Question]], list[str]]


# Exports of the agreement from which nobody can answer a question, each with its reason.
ANSWERS_NOTHING: dict[str, str] = {}
JUDGES = {
    "cedar": Judge("cedar", cedar_answers),
    "opa": Judge("rego", opa_answers),
    "regopy": Judge("rego", regopy_answers),
    "odrl": Judge("odrl", odrl_answers),
}
