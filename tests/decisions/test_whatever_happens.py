"""The words of `check` about days and questions stay true whatever events happen, recorded or to come.

Small agreements are drawn whose terms wait for events. Wherever `check` says that a text may go, it goes; wherever it
says that nobody may act, it is asked: under every choice of events and days.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from clauseway import KnownAt, OpenAgreement
from clauseway.agreement import Agreement, FactRegister, Permission, boundaries, in_force, suppose
from clauseway.agreement.language.facts import EventHappened
from clauseway.agreement.soundness.remarks import Remark
from clauseway.app.agreements.checking import all_remarks
from clauseway.decisions import Question, Tables, all_questions
from clauseway.decisions.findings.effects import effects, without_term
from clauseway.values import InvalidInput
from soak import examples
from terms_at_hand import amendment, documents, reading

EVENTS = """events:
  e: {says: It happened., source: [T]}
  f: {says: It happened., over-by: g, source: [T]}
  g: {says: It happened., source: [T]}
rules:
"""
# Words of terms beside their days, in two amendments; some say the same, or less.
SAID = [
    "kind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]",
    "kind: permission\nparty: shop\nactions: [sell]\nproducts: [app]",
    "kind: permission\nparty: shop\nactions: [serve, sell]\nproducts: [apps]",
    "kind: permission\nparty: rival\nactions: [serve, sell]\nproducts: [apps]\nexclusive: true",
    "kind: permission\nparty: shop\nactions: [sell]\nproducts: [app]\ndespite: [%s]",
    "kind: prohibition\nparties: [shop]\nactions: [sell]\nproducts: [apps]",
    "kind: prohibition\nparties: [anyone]\nactions: [serve, sell]\nproducts: [app]",
    "kind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [shop]}",
    "kind: exclusivity\nactions: [serve]\nproducts: [app]\nonly: {clouds: [north]}",
    "kind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]",
    "kind: licence\nlicensor: maker\nlicensee: rival\nproducts: [rights]\nexclusive: true",
    "kind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\nbinds: every-product\n"
    "since: 2026-01-01",
    "kind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
    "carries: [{actions: [serve, sell], products: [apps]}]",
    "kind: permission\nparty: partner\ngrantor: maker\nactions: [license]\nproducts: [rights, apps]",
    "kind: licence\nlicensor: partner\nlicensee: rival\nproducts: [rights]",
    "kind: ownership\nparty: partner\nproducts: [apps]",
    "kind: permission\nparty: anyone\nactions: [serve]\nproducts: [apps]",
    "kind: exclusivity\nactions: [use-under-licence]\nproducts: [rights]\nonly: {parties: [shop]}",
    "kind: refusal-right\nholder: partner\ngrantor: maker\nactions: [sell]\nproducts: [app]",
    "kind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\nbase: {sellers: [shop]}",
]
HOLDS = [
    "",
    "",
    "until: e",
    "until: f",
    "from: e",
    "from: f",
    "while: e",
    "while: f",
    "while-no: e",
    "while-no: f",
    "from: f\nuntil: e",
    "through: 2026-07-31",
    "until: e\nthrough: 2026-09-30",
    "until: f\nbegins: 2026-03-01",
    "from: e\nuntil: g",
]
CHANGED = ["ends: [%s]", "sets-end: [%s]\nuntil: e", "sets-end: [%s]\nthrough: 2026-12-31", "sets-end: [%s]\nuntil: f"]
DAYS = [date(2025, 12, 1), date(2026, 2, 1), date(2026, 8, 1)]
LATER = [day + timedelta(days=1) for day in DAYS]


@st.composite
def texts(draw: st.DrawFn) -> dict[str, str]:
    """One to three terms in A1, one or none in A2, perhaps a change, and what has come and gone."""
    chosen = draw(st.lists(st.sampled_from(SAID), min_size=2, max_size=4))
    blocks = []
    for number, said in enumerate(chosen):
        said = said.replace("%s", f"t{(number + 1) % len(chosen)}")
        holds = draw(st.sampled_from(HOLDS))
        if "revenue-share" in said and "while" in holds:
            holds = holds.replace("while-no", "until").replace("while", "from")
        blocks.append(f"id: t{number}\n{said}\n{holds}".strip())
    later = [blocks.pop()] if draw(st.booleans()) else []
    if draw(st.booleans()):
        changed = draw(st.sampled_from(CHANGED)) % f"t{draw(st.integers(0, len(blocks) - 1))}"
        later.append(f"id: changed\n{changed}")
    facts = [
        f"kind: event, event: {event}, effective: {day}" + (f", through: {day + timedelta(days=20)}" if over else "")
        for event, day, over in draw(
            st.lists(st.tuples(st.sampled_from("efg"), st.sampled_from(DAYS), st.booleans()), max_size=2)
        )
    ]
    written = documents("\n\n".join(blocks), facts)
    if later:
        written["A2.md"] = amendment("A2", "2026-06-01", "\n\n".join(later))
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    return written


def registers(opened: OpenAgreement) -> Iterator[FactRegister]:
    """The register with every choice of events to come, on days before, between and after those of the terms.

    They come after those that are recorded.
    """
    recorded = {fact.event: fact.effective for fact in opened.facts.facts if isinstance(fact, EventHappened)}
    to_come = [[day for day in LATER if day > recorded.get(event, date.min)] for event in "efg"]
    for days in product(*((None, *days) for days in to_come)):
        supposed = [f"event:{event}={day}" for event, day in zip("efg", days, strict=True) if day is not None]
        facts = [suppose(text, opened.catalog, opened.agreement.events) for text in supposed]
        yield opened.facts.with_facts(facts)


def asked(opened: OpenAgreement, facts: FactRegister) -> Iterator[Question]:
    """Every question about one product of each class, on each day on which an answer may change."""
    everything = KnownAt.everything()
    for day in days_of(opened, facts):
        for question in all_questions(opened.agreement, opened.catalog, as_of=day, known_at=everything):
            if question.product in ("app", "rights", ""):
                yield question


def assert_equal(opened: OpenAgreement, other: Agreement, remark: Remark, *, reasons: bool = False) -> None:
    """Every question has the same outcome, or the same answer, in two agreements, whatever happens."""
    for facts in registers(opened):
        before, after = (Tables(side, opened.catalog, facts) for side in (opened.agreement, other))
        for question in asked(opened, facts):
            answer, now = before.answer(question), after.answer(question)
            same = answer == now if reasons else answer.outcome == now.outcome
            assert same, (remark, question, facts)


def ended(agreement: Agreement, term: str, by: str) -> Agreement:
    """The agreement in which an amendment ends a term."""
    amendments = tuple(
        msgspec.structs.replace(
            each,
            changes=(
                *each.changes,
                type(each.changes[0])(id=f"{by}.ends", citation=each.changes[0].citation, ends=(term,)),
            ),
        )
        if each.id == by and each.changes
        else each
        for each in agreement.amendments
    )
    return msgspec.structs.replace(agreement, amendments=amendments)


def without_change(agreement: Agreement, change: str, term: str) -> Agreement:
    def less(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name != term)

    amendments = tuple(
        msgspec.structs.replace(
            each,
            changes=tuple(
                msgspec.structs.replace(item, ends=less(item.ends), sets_end=less(item.sets_end))
                if item.id == change
                else item
                for item in each.changes
            ),
        )
        for each in agreement.amendments
    )
    return msgspec.structs.replace(agreement, amendments=amendments)


def without_despite(agreement: Agreement, permission: str, term: str) -> Agreement:
    amendments = tuple(
        msgspec.structs.replace(
            each,
            terms=tuple(
                msgspec.structs.replace(item, despite=item.despite - {term})
                if item.id == permission and isinstance(item, Permission)
                else item
                for item in each.terms
            ),
        )
        for each in agreement.amendments
    )
    return msgspec.structs.replace(agreement, amendments=amendments)


_LASTING = r"from (\d{4}-\d\d-\d\d)(?: through (\d{4}-\d\d-\d\d))?"


def days_told(text: str, days: list[date]) -> list[date]:
    """The days among these on which a remark says that something is so; all, if it names none."""
    match = re.search(_LASTING, text)
    if match is None:
        until = re.search(r"through (\d{4}-\d\d-\d\d)", text)
        return [day for day in days if until is None or day <= date.fromisoformat(until[1])]
    begin, end = match[1], match[2] or "9999-12-31"
    return [day for day in days if begin <= str(day) <= end]


def in_force_on(opened: OpenAgreement, facts: FactRegister, day: date) -> set[str]:
    everything = KnownAt.everything()
    known = facts.known(everything)
    return {state.term.id for state in in_force(opened.agreement, known, day, everything, {}).states if state.in_force}


def days_of(opened: OpenAgreement, facts: FactRegister) -> list[date]:
    """Every day on which an answer may change, from the first on which anything is stated."""
    days = boundaries(opened.agreement, facts, KnownAt.everything())
    return [day for day in days if day >= date(2026, 1, 1)]


def hold_together(opened: OpenAgreement, remark: Remark) -> None:
    """Of terms said to be in force together each is, on each day told, but for the events that are named."""
    names = re.findall(r"\bt\d(?:\.exclusive)?", remark.what)[:2]
    waiting = set(re.findall(r"[(, ](t\d(?:\.exclusive)?) (?:from|until|while|while-no): ", remark.why))
    for facts in registers(opened):
        for day in days_told(remark.why, days_of(opened, facts)):
            missing = {*names} - in_force_on(opened, facts, day)
            assert missing <= waiting, (remark, facts, day)


def answers_told(opened: OpenAgreement, remark: Remark, names: set[str]) -> Iterator[tuple[Question, str, set[str]]]:
    """Questions of what nobody may do, their outcomes and the terms in force, on the days told; while these terms hold,
    if events are."""
    action, name = remark.what.split()[2:4]
    for facts in registers(opened):
        in_force = {day: in_force_on(opened, facts, day) for day in days_told(remark.what, days_of(opened, facts))}
        tables = Tables(opened.agreement, opened.catalog, facts)
        for question in asked(opened, facts):
            if (question.action, question.product) != (action, name) or question.as_of not in in_force:
                continue
            held = in_force[question.as_of]
            if names <= held or "events leave" not in remark.what:
                yield question, tables.answer(question).outcome, held


def nobody_may(opened: OpenAgreement, remark: Remark) -> None:
    names = {*re.findall(r"\bt\d(?:\.exclusive)?", remark.what.rpartition(": ")[2])}
    for question, outcome, held in answers_told(opened, remark, names):
        assert outcome == "forbidden" or brought_back(remark) & held, (remark, question, opened.facts)


def brought_back(remark: Remark) -> set[str]:
    """The rights without which nobody may act, by a remark: each waits for an event."""
    return {*re.findall(r"\b(t\d) \(", remark.what.partition(" unless ")[2])}


def nobody_is_left(opened: OpenAgreement, remark: Remark) -> None:
    kept = {*re.findall(r": (\S+) goes on", remark.what)}
    for question, outcome, held in answers_told(opened, remark, kept):
        assert outcome != "permitted" or brought_back(remark) & held, (remark, question, opened.facts)


def never_holds(opened: OpenAgreement, remark: Remark) -> None:
    for facts in registers(opened):
        for day in days_of(opened, facts):
            assert remark.term not in in_force_on(opened, facts, day), (remark, facts, day)


def is_forbidden(opened: OpenAgreement, remark: Remark) -> None:
    """A right that grants something and is said to be empty is forbidden whenever it is in force: it goes for nothing.
    What it keeps from others by its exclusivity is another matter, so that stays."""
    empty = remark.term
    amendments = tuple(
        msgspec.structs.replace(each, terms=tuple(term for term in each.terms if term.id != empty))
        for each in opened.agreement.amendments
    )
    less = msgspec.structs.replace(opened.agreement, amendments=amendments)
    for facts in registers(opened):
        before, after = (Tables(side, opened.catalog, facts) for side in (opened.agreement, less))
        for question in asked(opened, facts):
            answer, now = before.answer(question), after.answer(question)
            if answer.outcome != now.outcome:
                assert empty not in in_force_on(opened, facts, question.as_of), (remark, question, facts)


def hold_true(opened: OpenAgreement, remark: Remark) -> None:
    agreement = opened.agreement
    match remark.kind:
        case "no-effect":
            assert_equal(opened, without_term(agreement, remark.term), remark, reasons=True)
        case "within" if "delete" in remark.remedy:
            assert_equal(opened, without_term(agreement, remark.term), remark)
        case "overlap":
            hold_together(opened, remark)
            for name in re.findall(r"[Dd]elete (t\d)", remark.remedy):
                assert_equal(opened, without_term(agreement, name), remark)
            for name, by in re.findall(r"nd (t\d) in a change of (A\d)", remark.remedy):
                assert_equal(opened, ended(agreement, name, by), remark)
        case "conflict" | "contradicted-grant" | "narrowed":
            if remark.kind != "narrowed":
                hold_together(opened, remark)
        case "dead" | "never-begins":
            never_holds(opened, remark)
        case "idle-change":
            change, name = re.findall(r"(\S+) changes nothing of (\S+)", remark.what)[0]
            assert_equal(opened, without_change(agreement, change, name), remark)
        case "despite-in-vain":
            [name] = re.findall(r"despite: \[(t\d)\]", remark.what)
            assert_equal(opened, without_despite(agreement, remark.term, name), remark)
        case "emptied" if "grants nothing" in remark.what:
            is_forbidden(opened, remark)
        case "nobody-left":
            nobody_may(opened, remark)
        case "outlives-right":
            nobody_is_left(opened, remark)


@settings(
    max_examples=examples(12),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(written=texts())
def test_what_check_says_no_event_makes_untrue(written: dict[str, str]) -> None:
    try:
        opened = reading(written)
    except InvalidInput:
        reject()  # what the reader refuses says nothing
    shown = effects(opened.agreement, opened.catalog, opened.facts)
    for remark in all_remarks(opened, shown):
        hold_true(opened, remark)


SELLS = "id: t\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
OVER = "kind: event, event: e, effective: 2026-02-01, through: 2026-02-20"
SOLD = "id: sold\nkind: ownership\nparty: partner\nproducts: [apps]\nfrom: f"
# terms | said on 1 June 2026 | what happened | a kind of remark that would be untrue.
UNTRUE = [
    # It begins by an event that comes after the one that ends it is over.
    (f"{SELLS}\nbegins: 2026-02-10\nfrom: f\nuntil: e", "", (OVER,), "dead"),
    (f"{SELLS}\nfrom: f\nuntil: e", "id: changed\nends: [t]", (OVER,), "idle-change"),
    # An end that came before its beginning may turn out to have been over by then.
    (
        f"{SELLS}\nuntil: f",
        "id: changed\nsets-end: [t]\nthrough: 2026-12-31",
        ("kind: event, event: f, effective: 2025-12-01",),
        "idle-change",
    ),
    # So may what let it begin, and then it begins once that happens again.
    (
        f"{SELLS}\nfrom: f\nuntil: e",
        "id: changed\nsets-end: [t]\nuntil: f",
        ("kind: event, event: f, effective: 2025-12-01", OVER),
        "idle-change",
    ),
    (
        f"{SELLS}\nfrom: f\nuntil: e\n\n" + SELLS.replace(": t", ": u").replace("apps", "app") + "\nwhile: f",
        "",
        (OVER,),
        "within",
    ),
]


@pytest.mark.parametrize(("terms", "later", "facts", "kind"), UNTRUE)
def test_nothing_is_said_that_an_event_makes_untrue(terms: str, later: str, facts: tuple[str, ...], kind: str) -> None:
    written = documents(terms, facts) | ({"A2.md": amendment("A2", "2026-06-01", later)} if later else {})
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    opened = reading(written)
    assert kind not in [remark.kind for remark in all_remarks(opened, {})]


def test_a_term_has_an_effect_once_what_would_end_it_was_over_before_it_began() -> None:
    """Its grantor has the right by an event that would end the term, had it not been over before the first day."""
    licence = "kind: licence\nlicensor: partner\nlicensee: rival\nproducts: [rights]"
    given = SELLS.replace(": t", ": given").replace("shop", "partner\ngrantor: maker").replace("sell", "license")
    given = given.replace("apps", "rights") + "\nfrom: f"
    beside = f"id: beside\n{licence}\nthrough: 2026-07-31"
    written = documents(f"{beside}\n\nid: t\n{licence}\nbegins: 2026-03-01\nuntil: f\n\n{given}")
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    opened = reading(written)
    shown = effects(opened.agreement, opened.catalog, opened.facts)
    assert shown["t"].supposed == ("event:f=2026-02-28", "event:g=2026-03-01")


def test_a_term_has_an_effect_by_an_event_after_the_last_day_that_is_written() -> None:
    """It goes on past the event that ends another right, where that comes after a third one has ended."""
    licence = "kind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]"
    carried = "carries: [{actions: [serve, sell], products: [apps]}]\nuntil: f\nbegins: 2026-03-01"
    rights = f"id: carries\n{licence}\n{carried}\n\nid: third\n{licence}\nthrough: 2026-07-31"
    written = documents(f"{SELLS}\nuntil: f\nbegins: 2026-03-01\n\n{rights}") | {
        "A2.md": amendment("A2", "2026-06-01", "id: changed\nsets-end: [t]\nuntil: e")
    }
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    opened = reading(written)
    shown = effects(opened.agreement, opened.catalog, opened.facts)
    assert shown["t"].supposed == ("event:f=2026-08-02",)


def test_an_ownership_said_again_is_not_to_be_deleted_while_another_party_owns_it_too() -> None:
    """The last text that says so decides, so without the second text the maker owns it again."""
    owned = "kind: ownership\nparty: partner\nproducts: [apps]"
    written = documents(f"id: t\n{owned}") | {"A2.md": amendment("A2", "2026-06-01", f"id: again\n{owned}")}
    [remark] = [remark for remark in all_remarks(reading(written), {}) if remark.kind == "overlap"]
    assert remark.what == "again says what t says"
    assert remark.remedy == "Let one party alone own it; then end or delete one of them."


def test_a_right_that_outlives_its_owner_is_told_with_the_event_that_pauses_it() -> None:
    """While the event goes on that hands the product over, the right pauses."""
    written = documents(f"{SELLS}\nwhile-no: f\n\n{SOLD}", ("kind: event, event: f, effective: 2026-03-01",))
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    written["A1.md"] = written["A1.md"].replace(
        "products: [apps, rooms, rights]", "products: [apps, rooms, rights]\nuntil: f"
    )
    opened = reading(written)
    [remark] = [remark for remark in all_remarks(opened, {}) if remark.kind == "outlives-owner"]
    assert remark.what == (
        "t goes on when maker owns apps no more, from 2026-03-01, on the days that events leave to it (t while-no: f)"
    )


def test_nobody_is_left_until_an_event_brings_a_right_back() -> None:
    """The event that pauses the licence may be over sooner than is recorded."""
    terms = [
        "id: right\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
        "carries: [{actions: [serve, sell], products: [apps]}]\nwhile-no: f",
        "id: sold\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [shop]}",
        "id: served\nkind: exclusivity\nactions: [serve]\nproducts: [app]\nonly: {clouds: [north]}",
    ]
    happened = "kind: event, event: f, effective: 2026-02-01, through: 2026-02-21"
    written = documents("\n\n".join(terms), (happened,))
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    said = [remark.what for remark in all_remarks(reading(written), {}) if remark.kind == "nobody-left"]
    closed = "app from 2026-02-01 through 2026-02-21 unless right (while-no: f) holds again"
    assert sorted(said) == [
        f"nobody may sell {closed}: sold reserves it to shop, and served forbids maker, partner, rival to serve what "
        "shop sells",
        f"nobody may serve {closed}: served reserves it to north, and sold forbids it there",
    ]


def test_a_right_that_is_outlived_may_be_followed_by_one_that_waits_for_an_event() -> None:
    """By the permission, the shop may sell again on the days on which the exclusivity keeps all others out."""
    terms = [
        "id: carries\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
        "carries: [{actions: [serve, sell], products: [apps]}]\nthrough: 2026-07-31",
        "id: sold\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [shop]}",
        "id: again\nkind: permission\nparty: shop\nactions: [serve, sell]\nproducts: [app]\nfrom: f",
        "id: elsewhere\nkind: permission\nparty: rival\nactions: [serve, sell]\nproducts: [app]\nfrom: e",
    ]
    written = documents("\n\n".join(terms))
    written["agreement.md"] = written["agreement.md"].replace("rules:\n", EVENTS)
    [said] = [remark.what for remark in all_remarks(reading(written), {}) if remark.kind == "outlives-right"]
    assert said == (
        "nobody may sell app from 2026-08-01 unless it is granted anew or again (from: f) holds: sold goes on, "
        "and carries does not"
    )
