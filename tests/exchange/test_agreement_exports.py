"""Exports of an agreement: each rule with its term and line, ODRL as its model asks, files written."""

import json
import re
from datetime import date, timedelta
from pathlib import Path

import cedarpy
import pytest
from drawn_at_random import AGREEMENTS, FIRST_DAY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outside_judges import ANSWERS_NOTHING, CW, JUDGES, ODRL, odrl_graph
from pyshacl import validate
from rdflib import Graph, URIRef
from rdflib.namespace import DCTERMS, ODRL2, RDF, RDFS
from ruamel.yaml import YAML

from clauseway import OpenAgreement, open_agreement
from clauseway.app.agreements.exporting import cedar, extract
from clauseway.app.opening.library import SHIPPED
from clauseway.cli import run
from clauseway.cli.commands import COMMANDS, Group
from clauseway.exchange.agreements import AGREEMENT_FORMATS
from clauseway.exchange.agreements.cedar import CEDAR_SCHEMA
from clauseway.exchange.agreements.extract import Extract
from clauseway.exchange.agreements.odrl import odrl_document
from clauseway.values import Citation
from soak import examples

SHAPES = Path(__file__).with_name("odrl_information_model.ttl")
# The vocabulary of ODRL 2.2, apart from two names that are words of Python.
ODRL_NAMES = [str(term).removeprefix(str(ODRL)) for term in dir(ODRL2)]
DAYS = ("2023-01-23", "2025-01-21", "2025-10-28", "2026-02-27", "2026-04-27", "2026-06-15", "2031-01-01", "2033-01-01")


def taken_on(day: str) -> Extract:
    return extract(open_agreement(), day)


@pytest.mark.parametrize("day", DAYS)
def test_odrl_is_as_its_information_model_asks(day: str) -> None:
    conforms, _, report = validate(odrl_graph(taken_on(day)), shacl_graph=Graph().parse(SHAPES))
    assert conforms, report


@given(opened=AGREEMENTS, days=st.integers(0, 65))
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_odrl_of_any_agreement_is_as_the_model_asks(opened: OpenAgreement, days: int) -> None:
    graph = odrl_graph(extract(opened, FIRST_DAY + timedelta(days=days)))
    conforms, _, report = validate(graph, shacl_graph=Graph().parse(SHAPES))
    assert conforms, report
    assert strangers(graph) == set()
    assert_listed(graph)


def test_odrl_of_the_agreements_that_ship_says_what_the_profile_is_needed_for() -> None:
    for name in SHIPPED:
        graph = odrl_graph(extract(open_agreement(name), "2026-05-01"))
        assert strangers(graph) == set()
        assert_listed(graph)
        assert "no equivalence is claimed" in str(graph.value(URIRef(CW), RDFS.comment))


def strangers(graph: Graph) -> set[str]:
    """Terms in ODRL's namespace that its vocabulary does not have."""
    used = {str(term).removeprefix(str(ODRL)) for triple in graph for term in triple if str(term).startswith(ODRL)}
    return used - {*ODRL_NAMES, "and", "or"}


def assert_listed(graph: Graph) -> None:
    """Whatever of the profile stands where ODRL expects a term of its own is listed by the policy and defined."""
    used = {
        term
        for predicate in (ODRL.action, ODRL.leftOperand)
        for term in graph.objects(None, predicate)
        if str(term).startswith(CW)
    }
    used |= {CW[member] for member in ("metBy", "bearsOn", "scope") if (None, CW[member], None) in graph}
    if any(str(party).endswith(":party:anyone-but-the-owner") for party in graph.objects(None, ODRL.assignee)):
        used.add(CW["anyone-but-the-owner"])
    listed = set(graph.objects(None, CW.unknownWithoutProfile))
    assert used <= listed
    assert all(str(graph.value(term, RDFS.comment)) for term in listed)


def test_nothing_is_fetched_to_read_odrl() -> None:
    """The context stands in the document and names no other; what it means does not hang on ours."""
    document = odrl_document(taken_on("2026-05-01"))
    context = document["@context"]
    assert all(isinstance(namespace, str) and namespace.endswith(("/", "#", ":")) for namespace in context.values())
    # As whoever takes ODRL's own names for terms would read it.
    vocabulary = {name: str(ODRL[name]) for name in ODRL_NAMES}
    other = odrl_document(taken_on("2026-05-01")) | {"@context": vocabulary | context}
    read = Graph().parse(data=json.dumps(other), format="json-ld")
    assert {*map(str, read.predicates())} == {*map(str, odrl_graph(taken_on("2026-05-01")).predicates())}
    assert len(read) == len(odrl_graph(taken_on("2026-05-01")))


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        ((ODRL.action, "odrl:action"), "MinCountConstraintComponent"),
        ((ODRL.target, "odrl:target"), "MinCountConstraintComponent"),
        ((ODRL.operator, "odrl:operator"), "MinCountConstraintComponent"),
        ((CW.line, "line"), "MinCountConstraintComponent"),
    ],
    ids=lambda each: each[1] if isinstance(each, tuple) else "",
)
def test_the_shapes_find_what_is_missing(spoil: tuple[object, str], because: str) -> None:
    graph = odrl_graph(taken_on("2026-05-01"))
    graph.remove((None, spoil[0], None))  # type: ignore[arg-type]
    conforms, _, report = validate(graph, shacl_graph=Graph().parse(SHAPES))
    assert not conforms
    assert because in report


def test_before_the_agreement_there_is_no_policy() -> None:
    taken = taken_on("2022-06-01")
    assert "permit (" not in cedar(taken)[0]
    assert "barred(act) if {\n\tact.action in" not in AGREEMENT_FORMATS["rego"](taken)
    assert (None, RDF.type, ODRL.Agreement) not in odrl_graph(taken)


# --- term by term ----------------------------------------------------------------------------------------------------

# The terms in force on 1 May 2026 that bear on what is permitted, and those that have ended and still do.
ON_1_MAY = {
    "A1.ownership",
    "A1.open-weight",
    "A3.capacity",
    "A3.licence-research",
    "A3.non-api",
    "A4.stateful",
    "A5.any-cloud",
    "A5.licence",
    "A5.other-licensees",
    "A5.share-openai-microsoft",
    "A5.ship-first",
    "A1.licence",
    "A3.licence",
}
RULES = {"grant", "share", "launch"}


def cited_in(taken: Extract) -> dict[str, Citation]:
    """Each term, rule and fact by its name: where it stands, what it says, and by which source."""
    terms = [state.term.citation for state in taken.force.states]
    rules = [taken.agreement.rules[name] for name in RULES]
    facts = [fact.citation for fact in taken.facts.facts]
    return {citation.term: citation for citation in (*terms, *rules, *facts)}


def test_every_cedar_policy_names_its_term_and_source() -> None:
    """As Cedar's own parser reads the annotations."""
    taken = taken_on("2026-05-01")
    text, _ = cedar(taken)
    policies = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values()
    assert len(policies) == len(re.findall(r"^(permit|forbid) ", text, re.MULTILINE))
    for policy in policies:
        said = policy["annotations"]
        cited = cited_in(taken)[said["term"]]
        assert said == {
            "id": said["id"],
            "term": cited.term,
            "amendment": cited.amendment,
            "document": cited.document,
            "line": str(cited.line),
            "source": cited.source,
        }
        assert said["id"].partition("#")[0] == cited.term
        assert f'// {cited.text}\n@id("{said["id"]}")' in text
    assert {policy["annotations"]["term"] for policy in policies} >= ON_1_MAY


def test_every_rego_rule_of_a_term_or_fact_names_it_and_its_source() -> None:
    """As OPA reads the comment above a rule: YAML."""
    taken = taken_on("2026-05-01")
    blocks = re.findall(r"# METADATA\n((?:#.*\n)+)", AGREEMENT_FORMATS["rego"](taken))
    terms = set()
    for block in blocks:
        said = YAML(typ="safe").load(re.sub("^# ", "", block, flags=re.MULTILINE))
        cited = cited_in(taken)[said["title"]]
        assert (said["description"], said["custom"]) == (
            " ".join(cited.text.split()),
            {
                "amendment": cited.amendment,
                "document": cited.document,
                "source": cited.source,
                "line": cited.line,
            },
        )
        terms |= {cited.term} if cited.amendment else set()
    assert terms >= ON_1_MAY


def test_every_odrl_rule_and_fact_names_its_term_and_source() -> None:
    taken = taken_on("2026-05-01")
    graph = odrl_graph(taken)
    members = (CW.amendment, CW.document, CW.line, DCTERMS.source, DCTERMS.description)
    for rule, _, term in graph.triples((None, CW["term"], None)):
        cited = cited_in(taken)[str(term)]
        said = [str(graph.value(rule, member)) for member in members]
        assert said == [cited.amendment, cited.document, str(cited.line), cited.source, cited.text]
    rules = {str(graph.value(rule, CW["term"])) for rule in graph.subjects(ODRL.action, None)}
    # All that A3's licence carried is carried by A5's: ODRL has nothing to prohibit.
    assert rules >= ON_1_MAY - {"A3.licence"}


def test_odrl_has_each_fact_with_its_day_and_what_it_says() -> None:
    supposed = (
        "launch:new-model:azure:preview=2026-05-02",
        "answer:new-model:cannot+declines=2026-04-29",
        "answer:managed-agents:can+chooses=2026-05-01",
    )
    graph = odrl_graph(extract(open_agreement().supposing(supposed), "2026-05-03"))
    [launch] = [node for node in graph.objects(None, CW.launch) if str(graph.value(node, CW.effective)) == "2026-05-02"]
    assert (str(graph.value(launch, CW.stage)), str(graph.value(launch, CW.cloud)).rpartition(":")[2]) == (
        "preview",
        "azure",
    )
    answers = {
        (str(graph.value(node, CW.says)), str(graph.value(node, CW.effective)))
        for node in graph.objects(None, CW.answer)
    }
    assert answers == {("cannot+declines", "2026-04-29"), ("can+chooses", "2026-05-01")}
    offered = extract(open_agreement().supposing(("offer:compute:passed=2025-03-01",)), "2025-03-02")
    assert [str(subject) for subject in odrl_graph(offered).objects(None, CW.passed)] == ["compute"]


def test_every_export_says_of_which_day_knowledge_and_readings_it_is() -> None:
    """Else a file that lies about cannot be told from one of another day."""
    opened = open_agreement()
    taken = extract(opened, "2026-05-01", "2026-06-30", {"R1": "or"})
    title, digest = opened.agreement.title, opened.agreement.text_digest
    known, readings = "2026-06-30T23:59:59Z", ["R1=or", "R3=a4", "R5=new", "R6=listed"]
    for text, comment, form in (
        (cedar(taken)[0], "//", "as Cedar policies"),
        (AGREEMENT_FORMATS["rego"](taken), "#", "as a Rego module"),
    ):
        assert text.splitlines()[:3] == [
            f"{comment} {title}, {form}",
            f"{comment} as of 2026-05-01, known at {known}, readings {', '.join(readings)}",
            f"{comment} agreement {digest}",
        ]
    graph = odrl_graph(taken)
    policy = graph.value(None, RDF.type, ODRL.Agreement)
    said = {member: str(graph.value(policy, member)) for member in (CW.asOf, CW.knownAt, CW.agreement, DCTERMS.title)}
    assert said == {CW.asOf: "2026-05-01", CW.knownAt: known, CW.agreement: digest, DCTERMS.title: title}
    assert sorted(map(str, graph.objects(policy, CW.reading))) == readings


def test_ship_first_as_cedar_reads_it() -> None:
    text, _ = cedar(taken_on("2026-05-01"))
    [policy] = [part for part in text.split("\n\n") if '@id("A5.ship-first")' in part]
    assert policy.endswith(
        'forbid (principal, action in [Action::"serve", Action::"sell"], resource)\n'
        'when { resource in [Product::"api", Product::"app", Product::"joint"] && context.cloud != "azure" }\n'
        'unless { resource has firstShipped && resource.firstShipped < datetime("2026-04-27") }\n'
        'unless { resource has launchedOn && resource.launchedOn.contains("azure") }\n'
        "unless { resource has answer && (resource.answer.cannot && resource.answer.declines) };"
    )


# --- the commands ----------------------------------------------------------------------------------------------------

EXPORTS = COMMANDS["export"]
assert isinstance(EXPORTS, Group)
FORMS = [form for form, command in EXPORTS.below.items() if command.module == "agreement.export"]


def test_every_format_of_the_agreement_has_a_command_and_a_judge_from_outside() -> None:
    assert {*AGREEMENT_FORMATS} <= {*FORMS}, "a format without its Export in COMMANDS"
    judged = {judge.form for judge in JUDGES.values()}
    assert not judged & ANSWERS_NOTHING.keys()
    assert {*FORMS} == judged | ANSWERS_NOTHING.keys(), "a format without its line in JUDGES or ANSWERS_NOTHING"


def test_files_are_written(tmp_path: Path) -> None:
    for form in FORMS:
        assert run(["export", form, "--as-of", "2026-05-01", "--out", str(tmp_path / f"partnership.{form}")]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    endings = sorted([*FORMS, "cedarschema", "entities.json"])
    assert names == [f"partnership.{ending}" for ending in endings]
    taken = extract(open_agreement(), date(2026, 5, 1), None)
    assert (tmp_path / "partnership.entities.json").read_text("utf-8") == cedar(taken)[1]
    assert (tmp_path / "partnership.cedarschema").read_text("utf-8") == CEDAR_SCHEMA
    assert "@graph" in json.loads((tmp_path / "partnership.odrl").read_text("utf-8"))


@pytest.mark.parametrize(("flag", "part"), [("--entities", 1), ("--schema", CEDAR_SCHEMA)])
def test_what_lies_beside_the_policies_is_printed(
    flag: str, part: int | str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "cedar", "--as-of", "2026-05-01", flag]) == 0
    entities = cedar(extract(open_agreement(), "2026-05-01"))[1]
    assert capsys.readouterr().out == (entities if part == 1 else part)


# --- Cedar's schema --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "instead", "because"),
    [
        ('context.cloud != "azure"', 'context.clowd != "azure"', "attribute `clowd`"),
        ('resource.firstShipped < datetime("2026-04-27")', 'resource.firstShipped < "2026-04-27"', "unexpected type"),
        ('Action::"serve"', 'Action::"serves"', "unrecognized action"),
        ('Product::"api"', 'Class::"api"', "unrecognized entity type"),
    ],
)
def test_the_schema_finds_what_no_request_has(written: str, instead: str, because: str) -> None:
    text, _ = cedar(taken_on("2026-05-01"))
    assert cedarpy.validate_policies(text, CEDAR_SCHEMA).validation_passed
    spoilt = cedarpy.validate_policies(text.replace(written, instead), CEDAR_SCHEMA)
    assert any(because in error.error for error in spoilt.errors), spoilt.errors


def test_grants_of_products_and_of_classes_have_one_type() -> None:
    supposed = ("grant:google:gpt-5.5=2026-04-30", "grant:google:app=2026-04-30")
    taken = extract(open_agreement().supposing(supposed), "2026-05-01")
    entities = json.loads(cedar(taken)[1])
    [google] = [entity for entity in entities if entity["uid"] == {"type": "Party", "id": "google"}]
    granted = [reference["__entity"] for reference in google["attrs"]["grants"]]
    assert granted == [{"type": "Product", "id": "app"}, {"type": "Product", "id": "gpt-5.5"}]
    cedarpy.Entities.from_json_str(json.dumps(entities), CEDAR_SCHEMA)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_what_is_wrong_is_told(form: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["export", form, "--as-of", "tomorrow"]) == 3
    assert run(["export", form, "--as-of", "2026-05-01", "--out", str(tmp_path / "nowhere" / "x")]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "cannot be written" in output.err
    assert "tomorrow" in output.err
