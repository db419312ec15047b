"""A look-up in a table says what the engine says, for everything that can be asked, on every day that matters."""

import random
from collections.abc import Mapping
from datetime import date, timedelta

import msgspec
import pytest
from every_question import ALL_READINGS, READINGS, SUPPOSED, partnership
from generated_agreements import KINDS_DRAWN, agreements
from generated_agreements import READINGS as GENERATED_READINGS
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clauseway import KnownAt, OpenAgreement
from clauseway.agreement import boundaries
from clauseway.agreement.language.terms import KINDS, Inoperative
from clauseway.decisions import Decision, Question, Tables, Verdict, all_questions, compile_table
from clauseway.decisions.findings.effects import effects
from clauseway.decisions.tables.decision_table import DecisionTable
from soak import examples, only_when_soaking
from terms_at_hand import asking, at_hand

DAY = timedelta(days=1)


def test_each_kind_that_changes_an_answer_is_drawn_at_random() -> None:
    """Else no law below, no export and no table would be asked about a new kind."""
    operative = {kind.term for kind in KINDS.values() if not issubclass(kind.term, Inoperative)}
    assert set(KINDS_DRAWN) == operative


def days_of(opened: OpenAgreement) -> list[date]:
    """Every boundary, its eve and its morrow."""
    days = boundaries(opened.agreement, opened.facts, KnownAt.everything())
    return sorted({around for day in days for around in (day - DAY, day, day + DAY)})


def points_of(opened: OpenAgreement) -> list[KnownAt]:
    """Every point at which something became known, and just before it."""
    known = {amendment.known for amendment in opened.agreement.amendments}
    known |= {fact.known for fact in opened.facts.facts}
    return [KnownAt(0), *sorted(known), *(KnownAt(point.instant_ns - 1) for point in known), KnownAt.everything()]


def differing(opened: OpenAgreement, questions: list[Question], tables: Tables) -> list[str]:
    """The questions that the tables answer otherwise than the engine, in any field of the decision."""
    return [
        f"{question}: {engine}\nby table: {table}"
        for question in questions
        if (engine := opened.answer(question)) != (table := tables.decide(question))
    ]


def tables_of(opened: OpenAgreement) -> Tables:
    return Tables(opened.agreement, opened.catalog, opened.facts)


def domain(opened: OpenAgreement, as_of: date, known_at: KnownAt, readings: Mapping[str, str]) -> list[Question]:
    return list(all_questions(opened.agreement, opened.catalog, as_of=as_of, known_at=known_at, readings=readings))


def sold_by_others(questions: list[Question], opened: OpenAgreement, draw: random.Random) -> list[Question]:
    """Where a seller may differ from the party, for some of them it does."""
    parties = sorted(opened.catalog.parties)
    return [
        msgspec.structs.replace(question, seller=draw.choice(parties)) if question.action == "serve" else question
        for question in questions
    ]


@pytest.mark.parametrize("texts", SUPPOSED[:6], ids=lambda texts: " ".join(texts) or "nothing")
def test_the_built_in_agreement_on_every_day_that_matters(texts: tuple[str, ...]) -> None:
    """A share of the whole domain on each day, with readings and knowledge drawn at random for it."""
    opened = partnership().supposing(texts)
    tables, draw = tables_of(opened), random.Random(" ".join(texts))
    options = [
        {name.upper(): option for name, option in reading.items() if len(name) == 2}
        for reading in (*READINGS, ALL_READINGS)
    ]
    wrong: list[str] = []
    for day in days_of(opened):
        known_at = draw.choice([KnownAt.everything(), *points_of(opened)])
        questions = domain(opened, day, known_at, draw.choice(options))
        wrong += differing(opened, sold_by_others(draw.sample(questions, 25), opened, draw), tables)
    assert not wrong, "\n\n".join(wrong[:3])


def test_the_whole_domain_on_the_days_of_the_last_amendment() -> None:
    """All of it, in outcome, reasons and conditions: nothing left to a draw."""
    opened = partnership()
    readings = opened.agreement.default_readings()
    tables = tables_of(opened)
    for day in (date(2026, 4, 26), date(2026, 4, 28)):
        for question in domain(opened, day, KnownAt.everything(), readings):
            if question.segment in ("any", "us-national-security"):
                assert essence(tables.answer(question)) == essence(opened.answer(question)), question


def test_a_carve_out_of_an_act_without_customers_names_none() -> None:
    opened = at_hand(
        "id: t\nkind: exclusivity\nactions: [license]\nproducts: [rights]\nonly: {parties: [rival]}\n"
        "except: [{actions: [license], products: [rights]}]"
    )
    question = asking(opened, "license maker rights to=shop", "2026-06-01")
    decision = opened.answer(question)
    assert [reason.note for reason in decision.reasons] == ["its carve-out", ""]
    assert tables_of(opened).decide(question) == decision


@pytest.mark.parametrize("clouds", [("own", "north", "south"), ("south", "north", "own"), ("north", "own", "south")])
def test_a_host_that_owns_is_told_from_one_that_does_not(clouds: tuple[str, ...]) -> None:
    """A right of first refusal without a grantor binds the owner, where it hosts what others sell."""
    opened = at_hand(
        "id: p\nkind: permission\nparty: anyone\nactions: [serve, sell]\nproducts: [apps]\n\n"
        "id: r\nkind: refusal-right\nholder: partner\nactions: [serve]\nproducts: [apps]\nsubject: hosting"
    )
    tables = tables_of(opened)
    asked = [asking(opened, f"sell shop app {cloud}", "2026-06-01") for cloud in clouds]
    assert differing(opened, asked, tables) == []
    outcomes = {question.cloud: str(tables.decide(question).outcome) for question in asked}
    assert outcomes == {"own": "conditional", "north": "permitted", "south": "permitted"}


def _default(opened: OpenAgreement) -> dict[str, str]:
    return opened.agreement.default_readings()


def _walks() -> list[tuple[str, KnownAt, dict[str, str]]]:
    """All that is known under each choice of readings that `READINGS` lists, and all at once; and by default what was
    known once each amendment, and on its eve."""
    opened = partnership()
    walks = [
        (
            " ".join(reading.values()) or "default",
            KnownAt.everything(),
            {name.upper(): option for name, option in reading.items()},
        )
        for reading in (*READINGS, ALL_READINGS)
    ]
    for amendment in opened.agreement.amendments:
        walks.append((f"known with {amendment.id}", amendment.known, {}))
        walks.append((f"known before {amendment.id}", KnownAt(amendment.known.instant_ns - 1), {}))
    return walks


@only_when_soaking
@pytest.mark.parametrize(("known_at", "readings"), [walk[1:] for walk in _walks()], ids=[walk[0] for walk in _walks()])
def test_the_whole_domain_on_every_day_that_matters(known_at: KnownAt, readings: dict[str, str]) -> None:
    """Every combination at every boundary and one day either side, by whoever sells: the whole decision, receipt and
    all. Nothing is left to a draw."""
    opened = partnership()
    tables = tables_of(opened)
    parties = sorted(opened.catalog.parties)
    for number, day in enumerate(days_of(opened)):
        questions = domain(opened, day, known_at, {**_default(opened), **readings})
        sold = [
            msgspec.structs.replace(question, seller=parties[(index + number) % len(parties)])
            for index, question in enumerate(questions)
            if question.action == "serve"
        ]
        wrong = differing(opened, [*questions, *sold], tables)
        assert not wrong, "\n\n".join(wrong[:3])


@only_when_soaking
@settings(max_examples=examples(2), deadline=None, phases=[Phase.generate])
@given(opened=agreements(), data=st.data())
def test_the_whole_domain_of_generated_agreements(opened: OpenAgreement, data: st.DataObject) -> None:
    """Every combination of an agreement drawn at random, sellers and regions too, on every day that matters."""
    tables, draw = tables_of(opened), data.draw(st.randoms(use_true_random=False))
    readings = {name: draw.choice(options) for name, options in GENERATED_READINGS.items()}
    known_at = draw.choice([KnownAt.everything(), *points_of(opened)])
    for day in days_of(opened):
        wrong = differing(opened, domain(opened, day, known_at, readings), tables)
        assert not wrong, "\n\n".join(wrong[:3])


def essence(answer: Verdict | Decision) -> tuple[object, ...]:
    return answer.outcome, answer.reasons, answer.conditions


@settings(max_examples=examples(12), deadline=None)
@given(opened=agreements(), data=st.data())
def test_generated_agreements(opened: OpenAgreement, data: st.DataObject) -> None:
    tables, draw = tables_of(opened), data.draw(st.randoms(use_true_random=False))
    wrong: list[str] = []
    for day in days_of(opened):
        readings = {name: draw.choice(options) for name, options in GENERATED_READINGS.items()}
        questions = domain(opened, day, draw.choice(points_of(opened)), readings)
        wrong += differing(opened, sold_by_others(draw.sample(questions, 25), opened, draw), tables)
    assert not wrong, "\n\n".join(wrong[:3])


def test_what_no_term_tells_apart_is_decided_once() -> None:
    """Two clouds and two parties that no document distinguishes have one verdict, with their own names in it."""
    opened = partnership()
    table = compile_table(
        opened.agreement, opened.catalog, opened.facts, KnownAt.everything(), opened.agreement.default_readings()
    )
    day = date(2026, 5, 1)
    decision = table.look_up("sell", "google", "new-model", "google-cloud", as_of=day)
    assert table.look_up("sell", "google", "new-model", "google-cloud", as_of=date(2026, 5, 20)) is decision
    other = table.look_up("sell", "deployment-venture", "new-model", "openai-own", as_of=day)
    assert [reason.term for reason in other.reasons] == [reason.term for reason in decision.reasons]
    assert decision.conditions[0].needs == ("grant:google:new-model",)
    assert other.conditions[0].needs == ("grant:deployment-venture:new-model",)
    table.decide_all()
    everything = len(domain(opened, day, KnownAt.everything(), {})) * len(days_of(opened)) // 3
    assert table.size[2] < everything / 10


@pytest.mark.parametrize(
    "parts",
    [
        ("fly", "openai", "gpt-5.5", "aws"),
        ("serve", "nobody", "gpt-5.5", "aws"),
        ("serve", "openai", "gpt-9", "aws"),
        ("serve", "openai", "api", "aws"),
        ("serve", "openai", "gpt-5.5", ""),
        ("serve", "openai", "gpt-5.5", "aws", "microsoft"),
        ("license", "openai", "ip.models", "", ""),
        ("license", "openai", "gpt-5.5", "", "microsoft"),
        ("sell", "openai", "gpt-5.5", "aws", "", "martians"),
    ],
    ids=" ".join,
)
def test_what_is_no_question_has_no_answer(parts: tuple[str, ...]) -> None:
    """On any day, also before anything is stated."""
    opened = partnership()
    table = tables_of(opened).table(KnownAt.everything(), opened.agreement.default_readings())
    for day in (date(2000, 1, 1), date(2026, 5, 1)):
        with pytest.raises(KeyError):
            table.look_up(*parts, as_of=day)


def test_older_knowledge_has_a_table_of_its_own() -> None:
    opened = partnership()
    tables, readings = tables_of(opened), opened.agreement.default_readings()
    new = tables.table(KnownAt.everything(), readings)
    assert tables.table(KnownAt.end_of(date(2026, 11, 1)), readings) is new, "nothing became known in between"
    old = tables.table(KnownAt.end_of(date(2026, 4, 1)), readings)
    asked = ("serve", "openai", "gpt-5.5", "aws")
    outcomes = [table.look_up(*asked, as_of=date(2026, 5, 1)).outcome for table in (old, new)]
    assert outcomes == ["forbidden", "permitted"]


def test_no_table_and_no_effect_asks_of_a_party_and_itself() -> None:
    kept = "id: x\nkind: exclusivity\nactions: [license]\nproducts: [rights]\nonly: {licensees: [partner, rival]}"
    opened = at_hand(kept)
    table = DecisionTable(opened.agreement, opened.catalog, opened.facts, KnownAt.everything(), {})
    asked = [(act.party, act.to) for sheet in table.sheets() for act in sheet.acts if act.to]
    assert asked
    assert all(party != to for party, to in asked)
    with pytest.raises(KeyError):
        table.look_up("license", "maker", "rights", to="maker", as_of=date(2026, 6, 1))
    shown = effects(opened.agreement, opened.catalog, opened.facts)["x"].question
    assert shown.party != shown.to
