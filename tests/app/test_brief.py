"""Reading over time knows no agreement in particular: other names change names alone, and any agreement can be told."""

import functools
from collections.abc import Mapping
from datetime import date

import msgspec
import pytest
from agreements_of_all_kinds import KINDS_DRAWN, NEW_NAMES, agreements, built_in_documents, opened_from, renamed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clauseway import InvalidInput, KnownAt, open_agreement
from clauseway.agreement import read_facts
from clauseway.agreement.language.terms import KINDS
from clauseway.app.agreements.briefing import brief
from clauseway.app.agreements.comparing import compare_amendments, compare_days, compare_sides
from clauseway.app.agreements.rights_over_time import timeline_of_rights
from clauseway.app.agreements.timelines import main_rights, rights_over_time, svg_of
from clauseway.app.screens.compare_page import compare_page
from clauseway.decisions import Outcome, decide
from clauseway.decisions.searches.compare import Combination
from clauseway.web.pictures import png_of
from clauseway.wording.brief_page import Brief, markdown_of
from clauseway.wording.changes import ChangedAnswer, Comparison
from terms_at_hand import amendment as written
from terms_at_hand import at_hand, documents, reading
from work_done import calls_in

BUILT_IN = open_agreement()
RENAMED = opened_from({name: renamed(text) for name, text in built_in_documents().items()})
NAMES = ("A1", "A2", "A3", "A4", "A5")
KNOWN = KnownAt.end_of(date(2026, 11, 1))


def test_terms_of_each_kind_are_drawn_at_random() -> None:
    assert set(KINDS) == KINDS_DRAWN


def test_a_brief_compiles_each_side_once_and_compares_the_sides_once() -> None:
    calls = calls_in(lambda: brief(BUILT_IN, "A5"))
    assert calls["facts_digest"] == 2
    assert calls["changes_between"] == 1


def test_an_agreement_is_compiled_once_for_all_rights_over_time() -> None:
    rights = main_rights(BUILT_IN, KNOWN, {})
    assert len(rights) > 1
    assert calls_in(lambda: rights_over_time(BUILT_IN, rights, KNOWN))["facts_digest"] == 1
    assert calls_in(lambda: timeline_of_rights(BUILT_IN, KNOWN))["facts_digest"] == 1


# Each example reads an agreement and walks all that can be asked of it; what fails is told, so nothing is made smaller.
few = settings(max_examples=2, phases=[Phase.explicit, Phase.reuse, Phase.generate])
some = settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@functools.cache
def told_of(name: str) -> Brief:
    return brief(BUILT_IN, name)


@functools.cache
def last_two_compared() -> Comparison:
    return compare_amendments(BUILT_IN, ["A4", "A5"])


# --- other names -----------------------------------------------------------------------------------------------------


def test_the_other_names_are_other_names() -> None:
    assert not RENAMED.catalog.parties & BUILT_IN.catalog.parties
    assert set(RENAMED.catalog.products) == {NEW_NAMES[name] for name in BUILT_IN.catalog.products}


@pytest.mark.parametrize("name", NAMES)
def test_a_brief_under_other_names_is_the_renamed_brief(name: str) -> None:
    assert markdown_of(brief(RENAMED, name)) == renamed(markdown_of(told_of(name)))


@pytest.mark.parametrize("names", [["A3"], ["A4", "A5"], ["A5", "A4"], ["A1", "A5"]], ids=str)
def test_a_diff_under_other_names_is_the_renamed_diff(names: list[str]) -> None:
    first, second = compare_amendments(BUILT_IN, names), compare_amendments(RENAMED, names)
    assert [(group.sentence, group.place) for group in second.groups] == [
        (renamed(group.sentence), group.place) for group in first.groups
    ]
    assert len(second.changed) == len(first.changed)


@few
@given(data=st.data())
def test_names_in_any_other_order_leave_every_change(data: st.DataObject) -> None:
    names = dict(zip(NEW_NAMES, data.draw(st.permutations(list(NEW_NAMES.values()))), strict=True))
    other = opened_from({name: renamed(text, names) for name, text in built_in_documents().items()})
    another = compare_amendments(other, ["A4", "A5"])
    assert {parts_of(change, {}) for change in another.changed} == {
        parts_of(change, names) for change in last_two_compared().changed
    }
    for name in NAMES:
        assert markdown_of(brief(other, name)).count("\n## ") == 6


def parts_of(change: ChangedAnswer, names: Mapping[str, str]) -> tuple[str, ...]:
    parts = (change.action, change.party, change.to, change.product, change.cloud, change.segment)
    return (*(names.get(part, part) for part in parts), change.before, change.after)


def test_a_timeline_under_other_names_is_the_renamed_timeline() -> None:
    first, second = (
        svg_of(rights_over_time(opened, main_rights(opened, KNOWN, {}), KNOWN)) for opened in (BUILT_IN, RENAMED)
    )
    assert second == renamed(first)


# --- any agreement ---------------------------------------------------------------------------------------------------


@some
@given(documents=agreements())
def test_any_agreement_can_be_told(documents: Mapping[str, str]) -> None:
    opened = opened_from(documents)
    for amendment in opened.agreement.amendments:
        page = markdown_of(brief(opened, amendment.id))
        assert page.startswith(f"# {amendment.id}: {amendment.title}\n")
        for term in amendment.terms:
            assert f":{term.citation.line}" in page, term.id
    view = rights_over_time(opened, main_rights(opened, KNOWN, {}), KNOWN)
    assert svg_of(view).count("<svg") == 1
    for row in view.rights:
        assert row.spans[0].begin == view.begin
        assert row.spans[-1].end == view.end
        assert all(span.end == other.begin for span, other in zip(row.spans, row.spans[1:], strict=False))


@some
@given(documents=agreements())
def test_the_groups_of_any_diff_are_exactly_what_changed(documents: Mapping[str, str]) -> None:
    opened = opened_from(documents)
    for amendment in opened.agreement.amendments:
        comparison = compare_amendments(opened, [amendment.id])
        changed = [Combination(**change.named()) for change in comparison.changed]
        told_of = {combination for group in comparison.groups for combination in group.combinations()}
        assert told_of == set(changed)
        assert sum(group.count for group in comparison.groups) == len(changed) == len(set(changed))
        rows = {(group.sentence, group.place) for group in comparison.groups}
        assert len(rows) == len(comparison.groups), "two groups are told in the same words"


@some
@given(documents=agreements())
def test_a_diff_says_of_each_combination_what_decisions_say(documents: Mapping[str, str]) -> None:
    opened = opened_from(documents)
    first, last = opened.agreement.amendments[0], opened.agreement.amendments[-1]
    comparison = compare_days(opened, [first.effective, last.effective], [KNOWN])
    for change in comparison.changed[::7]:
        parts = {field: getattr(change, field) for field in Combination.__struct_fields__}
        before, after = (
            opened.decide(as_of=day, known_at=KNOWN, **parts).outcome for day in (first.effective, last.effective)
        )
        assert (before, after) == (change.before, change.after), parts


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_sentence_is_cited() -> None:
    for name in NAMES:
        page = told_of(name)
        places = [said.place for said in (*page.what_happened, *page.why_it_matters)]
        places += [number.place for number in page.key_numbers] + [answer.place for answer in page.quick_answers]
        assert len(places) > 10
        assert [place for place in places if ".md" not in place] == []
        assert set(page.sources) <= set(BUILT_IN.agreement.sources)


def test_what_was_never_published_is_named_as_such() -> None:
    numbers = {number.what: number.value for number in told_of("A5").key_numbers}
    assert numbers["percentage, OpenAI to Microsoft"].startswith("not disclosed; 20 % was reported")
    assert numbers["total cap, OpenAI to Microsoft"].startswith("not disclosed; USD 38,000,000,000 was reported")


def test_a_quick_answer_is_the_decision() -> None:
    answers = {answer.question: answer for answer in told_of("A5").quick_answers}
    share = answers["Does OpenAI owe Microsoft a revenue share?"]
    assert share.answer == "Yes, through 2030-12-31; then no. Without A5: yes, without an end date."
    sale = answers["May Amazon sell gpt-5.5 on AWS?"]
    assert (sale.before, sale.outcome) == (Outcome.FORBIDDEN, Outcome.CONDITIONAL)
    question = BUILT_IN.question(
        action="sell", party="amazon", product="gpt-5.5", cloud="aws", as_of="2026-04-27", known_at="2026-04-27"
    )
    assert decide(BUILT_IN.agreement, BUILT_IN.catalog, BUILT_IN.facts, question).outcome is sale.outcome


def test_what_was_recorded_until_the_next_amendment_follows() -> None:
    rows = [(said.text, said.place) for said in told_of("A4").since_then]
    assert rows == [
        ("On 2026-02-27 stateful-runtime was announced for AWS.", "facts, facts.md:14; P"),
        ("On 2026-03-07 gpt-5.4 became available on Azure.", "facts, facts.md:12; P"),
        ("On 2026-04-24 gpt-5.5 became available on Azure.", "facts, facts.md:13; P"),
    ]
    assert told_of("A2").since_then == ()
    assert [told_of(amendment).next_amendment for amendment in ("A4", "A5")] == ["A5", ""]


def test_another_reading_makes_another_brief() -> None:
    texts = [
        said.text for said in brief(BUILT_IN, "A5", {"R1": "or"}).what_happened if "before any other cloud" in said.text
    ]
    assert len(texts) == 1
    assert "unless Microsoft cannot or chooses not to support them (read with R1=or and R5=new)" in texts[0]


def test_an_amendment_that_there_is_not() -> None:
    with pytest.raises(InvalidInput, match="there is no amendment 'A9'"):
        brief(BUILT_IN, "A9")


# --- the picture -----------------------------------------------------------------------------------------------------


def test_a_png_is_a_png() -> None:
    view = rights_over_time(BUILT_IN, main_rights(BUILT_IN, KNOWN, {})[:1], KNOWN)
    assert png_of(svg_of(view)).startswith(b"\x89PNG\r\n")


def test_the_years_are_those_asked_for() -> None:
    rights = main_rights(BUILT_IN, KNOWN, {})[:1]
    view = rights_over_time(BUILT_IN, rights, KNOWN, 2026, 2026)
    assert [(span.begin, span.end, span.outcome) for span in view.rights[0].spans] == [
        (date(2026, 1, 1), date(2026, 2, 27), Outcome.FORBIDDEN),
        (date(2026, 2, 27), date(2026, 4, 27), Outcome.FORBIDDEN),
        (date(2026, 4, 27), date(2027, 1, 1), Outcome.PERMITTED),
    ]
    with pytest.raises(InvalidInput, match="there are no years"):
        rights_over_time(BUILT_IN, rights, KNOWN, 2030, 2020)


def test_a_brief_is_told_with_what_was_known_then() -> None:
    """GPT-5.5 came to Oracle's cloud on 11 June 2026."""
    end_of_may, later = KnownAt.end_of(date(2026, 5, 31)), KnownAt.end_of(date(2026, 6, 30))
    since_then = [brief(BUILT_IN, "A5", None, known).since_then for known in (end_of_may, later)]
    assert ["OCI" in " ".join(said.text for said in since) for since in since_then] == [False, True]
    assert brief(BUILT_IN, "A5", None, later).known_at == "2026-06-30T23:59:59Z"
    with pytest.raises(InvalidInput, match="A5 was not known then"):
        brief(BUILT_IN, "A5", None, KnownAt.end_of(date(2026, 3, 31)))


def test_what_was_corrected_and_what_only_corrects_is_not_told() -> None:
    facts = """
- {kind: launch, product: new-model, cloud: azure, stage: preview, effective: 2026-06-30, source: [P], says: It went.}
- kind: retraction
  corrects: launch:new-model:azure:preview=2026-06-30
  effective: 2026-07-01
  source: [P]
  says: It did not.
"""
    register, _ = read_facts("f.yaml", facts, BUILT_IN.catalog, {})
    opened = msgspec.structs.replace(BUILT_IN, facts=BUILT_IN.facts.with_facts(register.facts))
    assert brief(opened, "A5").since_then == brief(BUILT_IN, "A5").since_then


def test_a_brief_says_where_something_is_granted_and_withdrawn() -> None:
    """A right kept to a place or to customers is not told as the whole right."""
    facts = (
        "kind: grant, party: shop, product: app, cloud: north, effective: 2026-02-01, through: 2026-12-31",
        "kind: withdrawal, party: shop, product: app, segment: state, effective: 2026-03-01",
    )
    assert [said.text for said in brief(at_hand("", facts), "A1").since_then] == [
        "On 2026-02-01 shop was granted app on north, through 2026-12-31.",
        "On 2026-03-01 shop's grant of app for state customers was withdrawn.",
    ]


LETS = "id: A1.lets\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
NEW = "id: A2.new\nkind: permission\nparty: rival\nactions: [sell]\nproducts: [apps]"
RESCINDED = documents(LETS) | {
    "A2.md": written("A2", "2026-07-01", f"id: A2.ends\nends: [A1.lets]\n\n{NEW}", "2026-03-01"),
    "A3.md": written("A3", "2026-06-01", "id: A3.takes-back\nrescinds: [A2]"),
}
RESCISSION = (
    "A2 (The terms at hand), which was to take effect on 2026-07-01, never does: A3 rescinds it, as announced on "
    "2026-06-01; the express permission for selling apps products (A1.lets) stays as it was; the express permission "
    "for selling apps products (A2.new) never begins"
)


def test_a_rescission_is_told_with_who_when_and_what_returns() -> None:
    opened = reading(RESCINDED)
    for name, begun in (("A2", "never (rescinded by A3; it was to be 2026-07-01)"), ("A3", "2026-06-01")):
        page = brief(opened, name)
        assert page.what_happened[0].text.startswith(f"{RESCISSION}.")
        assert {number.what: number.value for number in page.key_numbers} | {
            "in effect from": begun,
            "terms that begin": "0",
            "terms that end": "0",
        } == {number.what: number.value for number in page.key_numbers}
    assert "never in effect (rescinded by A3)" in markdown_of(brief(opened, "A2"))
    for names in (["A2"], ["A3"], ["A1", "A3"]):
        comparison = compare_amendments(opened, names)
        assert [rescission.sentence for rescission in comparison.rescissions] == [RESCISSION]
        assert comparison.rescissions[0].place.startswith("A3 1, A3.md:")
    # Facts since A3 do not stop where A2 would have begun.
    assert brief(opened, "A3").next_amendment == ""
    assert brief(opened, "A1").next_amendment == "A3"
    days = compare_days(opened, [date(2026, 6, 1), date(2026, 7, 1)], [KNOWN])
    assert [rescission.by for rescission in days.rescissions] == ["A3"]


def test_a_rescission_changes_answers_from_the_day_on_which_the_rescinded_amendment_was_to_hold() -> None:
    """Beside the text without both nothing changes; people had counted with the rescinded one until then."""
    opened = reading(RESCINDED)
    day = "Nothing that can be asked of 2026-06-01 is answered otherwise. Of 2026-07-01 something is:"
    page = brief(opened, "A3")
    assert [said.text for said in page.why_it_matters] == [
        day,
        "Rival may sell any apps product on any cloud only if maker grants it. Without A3: permitted.",
        "Shop may now sell any apps product on any cloud without condition. Without A3: conditional.",
    ]
    compared = compare_sides(opened, ["A3"], (), (), {})
    assert (compared.unchanged, len(compared.later.groups if compared.later else ())) == (day, 2)


def test_an_extension_is_told_beside_the_end_that_was_to_come() -> None:
    """A2 was to end the permission in July; A3, concluded after it, has it last on."""
    opened = reading(RESCINDED | {"A3.md": written("A3", "2026-06-01", EXTENDS.replace("A2", "A3"))})
    assert [said.text for said in brief(opened, "A3").why_it_matters][:2] == [
        "Nothing that can be asked of 2026-06-01 is answered otherwise. Of 2026-07-01 something is:",
        "Shop may now sell any apps product on any cloud without condition. Without A3: conditional.",
    ]


def test_the_brief_of_a_rescinded_amendment_says_what_its_clauses_would_have_done() -> None:
    page = brief(reading(RESCINDED), "A2")
    assert [said.text for said in page.what_happened] == [
        f"{RESCISSION}. What follows here is what it would have done.",
        "The express permission for selling apps products (A1.lets) is replaced.",
        "Rival may sell apps products on any cloud.",
    ]
    assert [said.text for said in page.why_it_matters] == [
        "Nothing that can be asked is answered otherwise, for A3 rescinds it."
    ]


def test_the_brief_of_a_rescinded_rescission_says_what_it_would_have_rescinded() -> None:
    texts = documents(LETS) | {
        "A2.md": written("A2", "2026-09-01", "id: A2.ends\nends: [A1.lets]", "2026-02-01"),
        "A3.md": written("A3", "2026-07-01", "id: A3.takes-back\nrescinds: [A2]", "2026-03-01"),
        "A4.md": written("A4", "2026-06-01", "id: A4.takes-back\nrescinds: [A3]", "2026-05-01"),
    }
    assert [said.text for said in brief(reading(texts), "A3").what_happened] == [
        "A3 (The terms at hand), which was to take effect on 2026-07-01, never does: A4 rescinds it, as announced "
        "on 2026-05-01; A2 stands again. What follows here is what it would have done.",
        "A2 is rescinded.",
    ]


def test_a_rescission_announced_after_the_amendment_took_effect_says_so() -> None:
    texts = documents(LETS) | {
        "A2.md": written("A2", "2026-05-01", NEW, "2026-02-01"),
        "A3.md": written("A3", "2026-03-01", "id: A3.takes-back\nrescinds: [A2]", "2026-07-01"),
    }
    opened = reading(texts)
    points = [KnownAt.end_of(date(2026, 6, 30)), KnownAt.end_of(date(2026, 7, 1))]
    [rescission] = compare_days(opened, [date(2026, 6, 1)], points).rescissions
    assert rescission.sentence == (
        "A2 (The terms at hand), in effect since 2026-05-01 as known before, never took effect: A3 rescinds it, as "
        "announced on 2026-07-01; the express permission for selling apps products (A2.new) never began"
    )
    numbers = {number.what: number.value for number in brief(opened, "A2").key_numbers}
    assert numbers["in effect from"] == "never (rescinded by A3; it was 2026-05-01, as known before)"


ENDING = f"{LETS}\nthrough: 2026-12-31"
EXTENDS = "id: A2.extends\nsets-end: [A1.lets]\nthrough: 2028-12-31"
EXTENDING = written("A2", "2026-07-01", EXTENDS)


def test_an_amendment_that_changes_later_answers_alone_says_of_which_day() -> None:
    """An extension changes nothing on its own day; its brief tells the first day of which it does."""
    page = brief(reading(documents(ENDING) | {"A2.md": EXTENDING}), "A2")
    assert [said.text for said in page.why_it_matters] == [
        "Nothing that can be asked of 2026-07-01 is answered otherwise. Of 2027-01-01 something is:",
        "Shop may now sell any apps product on any cloud without condition. Without A2: conditional.",
    ]
    assert ("answers of 2027-01-01 that change", "18") in [(number.what, number.value) for number in page.key_numbers]


def test_an_extension_is_compared_on_the_first_day_on_which_it_changes_an_answer() -> None:
    opened = reading(documents(ENDING) | {"A2.md": EXTENDING})
    for names in (["A2"], ["A1", "A2"]):
        extended = compare_sides(opened, names, (), (), {})
        assert (extended.groups, extended.after.as_of) == ((), date(2026, 7, 1))
        assert extended.later is not None
        assert extended.later.after.as_of == date(2027, 1, 1)
        assert extended.unchanged == (
            "Nothing that can be asked of 2026-07-01 is answered otherwise. Of 2027-01-01 something is:"
        )
        [group] = extended.shown.groups
        assert group.sentence.startswith("Shop may now sell any apps product on any cloud without condition")
        page = compare_page(opened, names[0] if len(names) == 2 else "", "A2")
        assert (page.unchanged, page.counted) == (extended.unchanged, "18 combinations are answered otherwise")
        [shown] = page.groups
        assert f"{shown.sentence}: {shown.before} → {shown.after}" == group.sentence


def test_an_amendment_that_no_answer_ever_turns_on_says_so() -> None:
    texts = documents(ENDING) | {"A2.md": written("A2", "2027-07-01", "id: A2.ends\nends: [A1.lets]")}
    assert [said.text for said in brief(reading(texts), "A2").why_it_matters] == [
        "Nothing that can be asked is answered otherwise."
    ]
    assert compare_sides(reading(texts), ["A2"], (), (), {}).unchanged == "Nothing changes."


def test_a_quick_answer_that_ends_on_another_day_without_the_amendment_says_when() -> None:
    share = "id: A1.share\nkind: revenue-share\npayer: maker\npayee: partner\nrate: 5 %\nbase: {sellers: [maker]}"
    ends = "id: A2.ends\nsets-end: [A1.share]\n%s"
    for before, change, said in (
        (
            "\nthrough: 2026-12-31",
            "through: 2028-12-31",
            "Yes, through 2028-12-31; then no. %s, through 2026-12-31; then no.",
        ),
        ("", "through: 2028-12-31", "Yes, through 2028-12-31; then no. %s, without an end date."),
    ):
        texts = documents(share + before) | {"A2.md": written("A2", "2026-07-01", ends % change)}
        [answer] = brief(reading(texts), "A2").quick_answers
        assert answer.question == "Does maker owe partner a revenue share?"
        assert answer.answer == said % "Without A2: yes"


def test_a_quick_answer_of_an_amendment_that_reaches_back_counts_with_those_announced_before_it() -> None:
    """A2 has a share begin in July; A3, announced after it, replaces the first share from April to June."""
    share = "kind: revenue-share\npayer: maker\npayee: partner\nrate: %s\nbase: {sellers: [maker]}"
    second, third = (f"id: {name}.share\n{share % rate}" for name, rate in (("A2", "6 %"), ("A3", "7 %")))
    texts = documents(f"id: A1.share\n{share % '5 %'}\nthrough: 2026-06-30") | {
        "A2.md": written("A2", "2026-07-01", second, "2026-05-01"),
        "A3.md": written(
            "A3", "2026-04-01", f"id: A3.c\nends: [A1.share]\n\n{third}\nthrough: 2026-06-30", "2026-06-10"
        ),
    }
    [answer] = brief(reading(texts), "A3").quick_answers
    assert (answer.question, answer.answer) == (
        "Does maker owe partner a revenue share?",
        "Yes. The same without A3.",
    )


NARROW = "under: {R1: narrow}"
RIGHT = "The express permission for selling apps products (A1.lets)"
# The term · a change of it · what happened.
WITHOUT_EFFECT = [
    ("through: 2026-03-31", "ends: [A1.lets]", f"A2.c changes nothing of t{RIGHT[1:]}, which had ended."),
    (
        NARROW,
        "ends: [A1.lets]\nunder: {R1: wide}",
        f"A2.c, which stands only if R1=wide, changes nothing of t{RIGHT[1:]}, which stands only if R1=narrow.",
    ),
    (NARROW, "ends: [A1.lets]", f"A2.c concerns t{RIGHT[1:]} only if R1=narrow."),
    ("through: 2026-12-31", "sets-end: [A1.lets]\nuntil: 2027-01-01", f"{RIGHT} lasts until 2027-01-01, as before."),
    (
        "through: 2026-12-31\nexclusive: true",
        "sets-end: [A1.lets.exclusive]\nthrough: 2027-12-31",
        "A2.c changes nothing of the exclusivity in selling apps products (A1.lets.exclusive), which "
        "ends with A1.lets.",
    ),
    ("", "ends: [A3.new]", "The express permission for selling apps products (A3.new) never begins."),
    (
        "",
        "sets-end: [A3.new]\nthrough: 2027-12-31",
        "The express permission for selling apps products (A3.new) is to last through 2027-12-31.",
    ),
    ("", "rescinds: [A3]\nunder: {R1: narrow}", "A3 is rescinded (only if R1=narrow)."),
]


@pytest.mark.parametrize(("key", "change", "expected"), WITHOUT_EFFECT)
def test_a_change_without_effect_is_told_as_such(key: str, change: str, expected: str) -> None:
    texts = documents(f"{LETS}\n{key}")
    readings = "readings:\n  R1: {says: It reads both ways., source: [T], options: [wide, narrow]}\nrules:"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", readings, 1)
    texts["A2.md"] = written("A2", "2026-07-01", f"id: A2.c\n{change}", "2026-03-01")
    texts["A3.md"] = written("A3", "2026-09-01", NEW.replace("A2.new", "A3.new"), "2026-02-01")
    assert [said.text for said in brief(reading(texts), "A2").what_happened] == [expected]


EXCLUSIVITY = "xclusivity in selling apps products (A1.lets.exclusive)"
# A change of a right, or of the exclusivity that it wrote, both through 2026-12-31 · what happened.
OF_BOTH = [
    ("ends: [A1.lets]", [f"{RIGHT} ends.", f"The e{EXCLUSIVITY} ends."]),
    ("ends: [A1.lets.exclusive]", [f"The e{EXCLUSIVITY} ends."]),
    ("sets-end: [A1.lets]\nthrough: 2027-06-30", [f"{RIGHT} and the e{EXCLUSIVITY} now last through 2027-06-30."]),
    ("sets-end: [A1.lets.exclusive]\nthrough: 2026-10-31", [f"The e{EXCLUSIVITY} now lasts through 2026-10-31."]),
]


@pytest.mark.parametrize(("change", "expected"), OF_BOTH)
def test_a_change_of_an_exclusive_right_is_told_of_both(change: str, expected: list[str]) -> None:
    texts = documents(f"{LETS}\nthrough: 2026-12-31\nexclusive: true")
    texts["A2.md"] = written("A2", "2026-07-01", f"id: A2.c\n{change}")
    assert [said.text for said in brief(reading(texts), "A2").what_happened] == expected


def test_an_exclusivity_that_was_to_end_before_its_right_is_told_to_last_longer() -> None:
    texts = documents(f"{LETS}\nthrough: 2026-12-31\nexclusive: true")
    for name, effective, through in (("A2", "2026-07-01", "2026-10-31"), ("A3", "2026-08-01", "2027-06-30")):
        change = f"id: {name}.c\nsets-end: [A1.lets.exclusive]\nthrough: {through}"
        texts[f"{name}.md"] = written(name, effective, change)
    result = [said.text for said in brief(reading(texts), "A3").what_happened]
    assert result == [f"The e{EXCLUSIVITY} now lasts through 2027-06-30."]


KEPT_TO_SHOP = "id: A1.only\nkind: exclusivity\nactions: [%s]\nproducts: [rights]\nonly: {licensees: [shop]}"


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("license", "Licensing rights to anyone but shop is excluded."),
        ("use-under-licence", "The use of rights under licence by anyone but shop is excluded."),
        ("license, use-under-licence", "Licensing rights to, and use by, anyone but shop is excluded."),
    ],
)
def test_what_is_reserved_to_licensees_is_told_as_licensing_or_use(actions: str, expected: str) -> None:
    said = [said.text for said in brief(reading(documents(KEPT_TO_SHOP % actions)), "A1").what_happened]
    assert expected in said


SOLD = "id: A2.sold\nends: [own]\n\nid: A2.owns\nkind: ownership\nparty: rival\nproducts: [apps, rooms, rights]"
ENDS = "id: A2.end\nends: [A1.lets]"
LONG_AGO = "id: A1.old\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [maker]}\n"
TO_SHOP = LETS + "\nbegins: 2026-04-01"


def test_a_condition_names_the_owner_of_the_day() -> None:
    opened = reading(documents(LETS) | {"A2.md": written("A2", "2026-07-01", f"{SOLD}\n\n{ENDS}")})
    sentences = [group.sentence for group in compare_amendments(opened, ["A2"]).groups]
    assert "Shop may sell any apps product on any cloud only if rival grants it: permitted → conditional" in sentences
    assert not any("maker or rival" in sentence for sentence in sentences)


def test_an_amendment_that_reaches_back_takes_none_away_that_was_concluded_before_it() -> None:
    """A3 was concluded after A2, and takes effect before it."""
    back = written("A3", "2026-03-01", LETS.replace("A1.lets", "A3.lets"), "2026-08-01")
    opened = reading(documents("") | {"A2.md": written("A2", "2026-07-01", NEW), "A3.md": back})
    comparison = compare_amendments(opened, ["A2", "A3"])
    assert (comparison.before.up_to, comparison.after.up_to) == ("A2", "A3")
    assert {change.party for change in comparison.changed} == {"shop"}
    assert {(change.before, change.after) for change in comparison.changed} == {("conditional", "permitted")}


def test_what_no_product_is_concerned_by_is_told_last_and_never_as_the_whole_class() -> None:
    texts = documents("id: A1.no\nkind: prohibition\nparties: [anyone]\nactions: [sell]\nproducts: [apps.sold]")
    classes = "  apps: {actions: [sell]}\n  apps.sold: {within: apps, actions: [sell]}"
    texts["agreement.md"] = (
        texts["agreement.md"]
        .replace("  apps: {actions: [serve, sell]}", classes)
        .replace("{class: apps}", "{class: apps.sold}")
    )
    sentences = [group.sentence for group in compare_amendments(reading(texts), ["A1"]).groups]
    assert "Nobody may sell any apps.sold product on any cloud: unstated → forbidden" in sentences
    assert sentences[-2:] == [
        "Maker may sell any apps product outside apps.sold on any cloud: unstated → permitted",
        "Parties other than maker may sell any apps product outside apps.sold on any cloud, if maker grants it: "
        "unstated → conditional",
    ]


def test_a_diff_cites_what_ended_the_right_not_what_ended_long_before() -> None:
    old = f"{LONG_AGO}through: 2026-03-31\n\n{TO_SHOP}"
    opened = reading(documents(old) | {"A2.md": written("A2", "2026-07-01", ENDS)})
    [group] = compare_amendments(opened, ["A2"]).groups
    assert group.place.startswith("A2 1, A2.md:")
    # Nor the end of the right, where an exclusivity ended later.
    old = f"{LONG_AGO}through: 2026-08-31\n\n{LETS}\nthrough: 2026-03-31"
    opened = reading(documents(old))
    [group, *_] = compare_days(opened, [date(2026, 8, 31), date(2026, 9, 1)], [KNOWN]).groups
    assert group.because.term == "A1.old"


def test_quick_answers_say_that_they_are_few() -> None:
    """Others' rights may change: a brief asks about a few."""
    opened = reading(documents(LETS) | {"A2.md": written("A2", "2026-07-01", ENDS)})
    page = markdown_of(brief(opened, "A2"))
    assert "No fact is recorded of these days." in page
    assert "None of the few questions that a brief asks is answered otherwise, or rests on A2." in page
    assert "main rights" not in page


def test_a_brief_tells_on_which_events_a_term_rests() -> None:
    """Each in the agreement's own name for it, and what was recorded of events since."""
    events = """events:
  notice: {says: Notice is given., source: [T]}
  breach: {says: A material breach., over-by: notice, source: [T]}
  consent: {says: The maker consents., source: [T]}
"""
    common = "kind: prohibition\nparties: [rival]\nactions: [serve]"
    terms = "\n\n".join(
        f"id: A1.{key}\n{common}\nproducts: [{product}]\n{key}: {event}"
        for key, product, event in (
            ("from", "app", "consent"),
            ("while", "tool", "breach"),
            ("while-no", "apps", "breach"),
            ("until", "app", "notice"),
        )
    )
    facts = ["kind: event, event: breach, effective: 2026-02-01, through: 2026-02-28"]
    texts = documents(terms, facts)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", events + "rules:", 1)
    page = brief(reading(texts), "A1")
    assert [said.text for said in page.what_happened if "rival" in said.text.lower()] == [
        "Rival may not serve app, from “consent” on.",
        "Rival may not serve tool, while “breach” goes on.",
        "Rival may not serve apps products, except while “breach” goes on.",
        "Rival may not serve app, until “notice”.",
    ]
    assert [said.text for said in page.since_then] == [
        "On 2026-02-01 the event “breach” took place, through 2026-02-28."
    ]


def test_a_brief_says_when_a_term_begins_and_how_long_a_product_leads() -> None:
    """And nothing of a party that a change leaves out: it may be forbidden the act already."""
    first = (
        "id: A1.first\nkind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\n"
        "binds: every-product\nsince: 2026-01-01\nlead-days: 30\nbegins: 2026-03-01"
    )
    no = "id: A1.no\nkind: prohibition\nparties: [anyone]\nactions: [sell]\nproducts: [tool]"
    said = [said.text for said in brief(reading(documents(f"{first}\n\n{no}")), "A1").what_happened]
    assert [text for text in said if "cloud, from 2026-03-01." in text]
    later = first.replace("A1.first", "A2.first").removesuffix("\nbegins: 2026-03-01")
    opened = reading(documents("") | {"A2.md": written("A2", "2026-07-01", later)})
    result = " ".join(said.text for said in brief(opened, "A2").why_it_matters)
    assert "only if it shipped on north 30 days before. Without A2: permitted." in result
    assert "Nobody may sell tool on any cloud." in said or "Nobody may sell tool." in said
    never = "id: A2.no\nkind: prohibition\nparties: [maker, partner, rival]\nactions: [sell]\nproducts: [apps]"
    opened = reading(documents("") | {"A2.md": written("A2", "2026-07-01", never)})
    matters = " ".join(said.text for said in brief(opened, "A2").why_it_matters)
    assert "obody but" not in matters
    assert "Without A2: " in matters


# The sources of a figure of ours · what a brief says of them.
OF_OURS = [
    ("[T]", "20 %, as the definitions say, by T (the text) (`rate`)"),
    ("[{T: its annex}]", "20 %, as the definitions say, by T (the text: its annex) (`rate`)"),
    ("[ours]", "20 %, as the definitions say; no source is named (`rate`)"),
]


@pytest.mark.parametrize(("source", "expected"), OF_OURS)
def test_a_figure_of_ours_is_not_called_undisclosed_and_names_its_source(source: str, expected: str) -> None:
    share = "id: A1.share\nkind: revenue-share\npayer: shop\npayee: maker\nrate: rate\nbase: {sellers: [shop]}"
    texts = documents(share)
    figures = f"figures:\n  rate: {{says: The rate., value: 20 %, standing: ours, source: {source}}}\n"
    definitions = texts["agreement.md"].replace("rules:\n", figures + "rules:\n")
    texts["agreement.md"] = definitions.replace("sources:\n", "sources:\n  ours: our own reading\n")
    numbers = {number.what: number.value for number in brief(reading(texts), "A1").key_numbers}
    assert numbers["percentage, shop to maker"] == expected


def test_a_new_right_is_cited_with_the_term_that_gives_it() -> None:
    gives = "id: A2.shop\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]"
    only = "id: A1.only\nkind: exclusivity\nactions: [sell]\nproducts: [apps]\nonly: {parties: [maker]}"
    ends = "id: A2.ends\nends: [A1.only]"
    opened = reading(documents(only) | {"A2.md": written("A2", "2026-07-01", f"{ends}\n\n{gives}")})
    page = brief(opened, "A2")
    [matter] = [said for said in page.why_it_matters if said.text.startswith("Shop may now sell")]
    line = opened.agreement.amendments[-1].terms[0].citation.line
    assert matter.place == f"A2 1, A2.md:{line}; T"


def test_a_brief_shows_bands_cap_and_minimum_of_a_share() -> None:
    share = (
        "id: A1.share\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\nbase: {sellers: [shop]}\n"
        "tiers: [{above: USD 1000000, rate: 4.12345 %}]\ncap: USD 90000\nfloors: [{amount: USD 100, per: quarter}]"
    )
    numbers = [(number.what, number.value) for number in brief(reading(documents(share)), "A1").key_numbers]
    assert [number for number in numbers if "shop to maker" in number[0]] == [
        ("percentage, shop to maker", "5 %"),
        ("percentage, shop to maker, above USD 1,000,000", "4.12345 %"),
        ("total cap, shop to maker", "USD 90,000"),
        ("minimum a quarter, shop to maker", "USD 100"),
    ]


OVERTAKING = written("A3", "2026-06-01", "id: A3.moves\nsets-end: [A1.lets]\nthrough: 2027-12-31", "2026-05-01")
# A change concluded in April, in effect in July.
OVERTAKEN = ["ends: [A1.lets]", "sets-end: [A1.lets]\nthrough: 2028-12-31"]


@pytest.mark.parametrize("change", OVERTAKEN)
def test_a_change_that_one_concluded_later_overtakes_is_told_as_such(change: str) -> None:
    overtaken = written("A2", "2026-07-01", f"id: A2.change\n{change}", "2026-04-01")
    page = brief(reading(documents(LETS) | {"A2.md": overtaken, "A3.md": OVERTAKING}), "A2")
    assert [said.text for said in page.what_happened] == [
        "The end of the express permission for selling apps products (A1.lets) stays as A3.moves sets it, "
        "which was concluded later."
    ]
    assert {number.what: number.value for number in page.key_numbers}["terms that end"] == "0"


# A term that is not in force on 2026-07-01 · a change of it on that day · what is told · how many terms end.
NOT_BEGUN = [
    ("from: notice", "ends: [A1.lets]", "never begins", "1"),
    ("while: notice", "ends: [A1.lets]", "never begins", "1"),
    ("begins: 2026-09-01", "ends: [A1.lets]", "never begins", "1"),
    ("begins: 2026-09-01", "sets-end: [A1.lets]\nthrough: 2026-12-31", "is to last through 2026-12-31", "0"),
    # In force on no day: it would begin on the day on which it ends.
    ("begins: 2026-07-01", "ends: [A1.lets]", "never begins", "1"),
    ("begins: 2026-06-30", "ends: [A1.lets]", "ends", "1"),
    ("begins: 2026-07-01", "sets-end: [A1.lets]\nthrough: 2026-12-31", "now lasts through 2026-12-31", "0"),
    ("from: notice", "sets-end: [A1.lets]\nuntil: milestone", "is to last until the milestone", "0"),
    ("while-no: consent", "ends: [A1.lets]", "ends", "1"),
    ("while-no: consent", "sets-end: [A1.lets]\nthrough: 2026-12-31", "now lasts through 2026-12-31", "0"),
]


@pytest.mark.parametrize(("key", "change", "expected", "ended"), NOT_BEGUN)
def test_a_change_of_a_term_that_waits_or_pauses_is_told(key: str, change: str, expected: str, ended: str) -> None:
    texts = documents(f"{LETS}\n{key}", ["kind: event, event: consent, effective: 2026-02-01, through: 2026-12-31"])
    events = "notice: {says: Notice is given., source: [T]}\n  consent: {says: It is agreed., source: [T]}\n"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", f"events:\n  {events}rules:", 1)
    changed = written("A2", "2026-07-01", f"id: A2.change\n{change}")
    page = brief(reading(texts | {"A2.md": changed}), "A2")
    assert [said.text for said in page.what_happened] == [
        f"The express permission for selling apps products (A1.lets) {expected}."
    ]
    assert {number.what: number.value for number in page.key_numbers}["terms that end"] == ended


def test_a_brief_needs_no_other_amendment_to_have_been_known() -> None:
    """The page of a rescinded amendment, before anybody rescinded it."""
    opened, then = reading(RESCINDED), KnownAt.end_of(date(2026, 3, 1))
    page = brief(opened, "A2", None, then)
    assert page.rescinded_by == ""
    assert [said.text for said in page.what_happened] == [
        "The express permission for selling apps products (A1.lets) is replaced.",
        "Rival may sell apps products on any cloud.",
    ]
    assert compare_amendments(opened, ["A2"], None, then).before.up_to == "A1"
    with pytest.raises(InvalidInput, match="A3 was not known then"):
        compare_amendments(opened, ["A2", "A3"], None, then)


def test_a_brief_tells_how_a_share_is_paid() -> None:
    share = (
        "id: A1.share\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\nbase: {sellers: [shop]}\n"
        "cap: USD 90000\ncap-opening: USD 20000\npayment: {every: quarter, due-days: 30}\nwithholding: 15 %\n"
        "late: restatement"
    )
    numbers = {number.what: number.value for number in brief(reading(documents(share)), "A1").key_numbers}
    assert numbers["counted toward the cap before, shop to maker"] == "USD 20,000"
    assert numbers["withheld as tax, shop to maker"] == "15 %"
    assert numbers["payment due, shop to maker"] == "30 days after each quarter"
    assert numbers["late usage, shop to maker"] == "a restatement of the closed period"


def test_a_brief_names_what_is_to_be_offered_first() -> None:
    first = "id: A1.first\nkind: refusal-right\nholder: rival\nactions: [sell]\nproducts: [apps]\nsubject: deal"
    said = [said.text for said in brief(reading(documents(first)), "A1").what_happened]
    assert "Rival has a right of first refusal on selling apps products, offered as “deal”." in said


def test_quick_answers_ask_of_no_licence_to_oneself() -> None:
    """Where the owner runs every cloud but the first one."""
    to_others = "id: A1.only\nkind: exclusivity\nactions: [license]\nproducts: [rights]\nonly: {licensees: [shop]}"
    texts = documents(to_others)
    clouds = "clouds: {own: maker, north: partner, south: rival}"
    texts["agreement.md"] = texts["agreement.md"].replace(clouds, "clouds: {own: maker}")
    questions = [answer.question for answer in brief(reading(texts), "A1").quick_answers]
    assert not any("license rights to maker" in question for question in questions), questions


OPEN = """readings:
  R1: {says: It reads both ways., source: [T], options: [wide, narrow]}
figures:
  rate: {says: The rate., value: 5 %, standing: placeholder, source: [T]}
context:
  before: {says: On the first day of A0., day: 2026-06-01, value: USD 1, source: [T]}
  between: {says: After it., day: 2026-06-02, value: USD 20000, source: [T]}
  same: {says: On the first day of A2., day: 2026-07-01, source: [T]}
  after: {says: After it., day: 2026-07-02, source: [T]}
rules:"""
SECOND = """
id: A2.ends
ends: [A1.shop, A1.rival]

id: A2.partner
kind: permission
party: partner
actions: [sell]
products: [apps]
under: {R1: wide}

id: A2.share
kind: revenue-share
payer: maker
payee: partner
rate: rate
base: {sellers: [maker]}

id: A2.deal
kind: refusal-right
holder: rival
actions: [serve]
products: [apps]
subject: deal

id: A2.stake
kind: stake
holder: partner
of: maker
about: 27 %

id: A2.commits
kind: commitment
party: maker
to: partner
about: USD 250 billion

id: A2.narrow
kind: permission
party: rival
actions: [contract-compute]
products: [rooms]
under: {R1: narrow}

id: A2.rooms
kind: prohibition
parties: [anyone]
actions: [contract-compute]
products: [rooms]
"""
GRANTED = """
id: A1.shop
kind: permission
party: shop
actions: [sell]
products: [app]

id: A1.rival
kind: permission
party: rival
actions: [sell]
products: [tool]

id: A1.firsts
kind: precedence
party: maker
first: north
actions: [serve]
products: [apps]
binds: every-product
since: 2026-01-01
unless: cannot-and-declines
"""
# The first and the last fact are of the days on which A2 does not hold yet, and of which A3 tells.
HAPPENED = (
    "kind: launch, product: app, cloud: north, stage: preview, effective: 2026-06-30",
    "kind: launch, product: tool, cloud: north, stage: preview, effective: 2026-07-01",
    "kind: offer, subject: deal, passed: false, effective: 2026-08-31",
    "kind: offer, subject: deal, passed: true, effective: 2026-09-01",
)
PAGE = """\
# A2: The terms at hand

A maker, its partner and others. Announced on 2026-05-01, in effect from 2026-07-01; told as known at \
2026-07-01T23:59:59Z.

## What happened

- The express permission for selling app (A1.shop) and the express permission for selling tool (A1.rival) are \
replaced. (A2 2, A2.md:14; T)
- Partner may sell apps products on any cloud (only if R1=wide). (A2 2, A2.md:20; T)
- Maker owes partner a revenue share on the sales of maker. (A2 2, A2.md:30; T)
- Rival has a right of first refusal on serving apps products, offered as “deal”. (A2 2, A2.md:40; T)
- Partner holds a stake in maker: 27 %. (A2 2, A2.md:50; T)
- Maker commits to partner: USD 250 billion. (A2 2, A2.md:59; T)
- Rival may contract for rooms on any cloud (only if R1=narrow). (A2 2, A2.md:68; T)
- Nobody may contract for rooms. (A2 2, A2.md:78; T)

## Why it matters

- Maker may serve and sell app and tool on any cloud but south only if it was first offered to rival and rival \
passed. Without A2: permitted. (A2 2, A2.md:40; T)
- Maker may serve app and tool on south only if it was first offered to rival and rival passed. Without A2: \
permitted. (A2 2, A2.md:40; T)
- Maker may serve and sell any new apps product on north only if it was first offered to rival and rival passed. \
Without A2: permitted. (A2 2, A2.md:40; T)
- Maker may no longer contract for rooms on any cloud. Without A2: permitted. (A2 2, A2.md:78; T)
- Maker now owes partner a revenue share. Without A2: not due. (A2 2, A2.md:30; T)
- Rival may sell tool on any cloud only if maker grants it. Without A2: permitted. (A2 2, A2.md:14; T)
- Partner may now sell app and tool on south without condition. Without A2: conditional. (A2 2, A2.md:20; T)
- Shop may sell app on any cloud but south only if it was first offered to rival and rival passed, and if maker \
grants it. Without A2: permitted. (A2 2, A2.md:14; T)
- 2 more groups of answers change (20 combinations); `clauseway agreement diff A2` tells all. (A2, A2.md)
- It reads both ways. With R1=narrow instead of wide, 4 answers of that day would be others. (agreement.md:20; T)

## Key numbers

| what | value | place |
|---|---|---|
| announced | 2026-05-01 | A2, A2.md |
| in effect from | 2026-07-01 | A2, A2.md |
| terms that begin | 6 | A2, A2.md |
| terms that end | 2 | A2, A2.md |
| answers that change | 70 | A2, A2.md |
| of these, permitted → conditional | 36 | A2, A2.md |
| of these, conditional → forbidden | 18 | A2, A2.md |
| of these, permitted → forbidden | 6 | A2, A2.md |
| of these, forbidden → permitted | 6 | A2, A2.md |
| of these, conditional → permitted | 4 | A2, A2.md |
| percentage, maker to partner | not disclosed; no value was reported, 5 % is a placeholder (`rate`) | A2 2, \
A2.md:30; T |
| partner's stake in maker | 27 % | A2 2, A2.md:50; T |
| what maker commits to partner | USD 250 billion | A2 2, A2.md:59; T |
| 2026-06-02: After it | USD 20000 | agreement.md:25; T |
| 2026-07-01: On the first day of A2 | no effect on any answer | agreement.md:26; T |

## Quick answers

- **Does maker owe partner a revenue share?** Yes. Without A2: no. (A2 2, A2.md:30; T)

## Since then, until A3

- On 2026-07-01 tool went into preview on north. (facts, facts.md:8; T)
- On 2026-08-31 what is called deal was offered. (facts, facts.md:9; T)

## Sources

- T: the text
"""


def test_a_brief_as_it_is_read() -> None:
    texts = documents(GRANTED, HAPPENED)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", OPEN, 1)
    texts["A2.md"] = written("A2", "2026-07-01", SECOND, "2026-05-01")
    texts["A3.md"] = written("A3", "2026-09-01", "id: A3.ends\nends: [A2.deal]", "2026-08-01")
    # Announced before the second amendment, and in effect between its announcement and its first day.
    texts["A0.md"] = written("A0", "2026-06-01", "id: A0.tries\nkind: undertaking\nparties: [shop]", "2026-02-01")
    texts = {name: text.replace("## 1 Terms", f"## {name[1]} Terms") for name, text in texts.items()}
    assert markdown_of(brief(reading(texts), "A2")) == PAGE


TAX = "id: A1.tax\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\nbase: {sellers: [shop], products: [app]}"
# Changes of an amendment, with the number of combinations.
OF_A2 = [
    "Maker may serve and sell app and tool on any cloud but south only if it was first offered to rival and rival "
    "passed: permitted → conditional · 16",
    "Maker may serve app and tool on south only if it was first offered to rival and rival passed: permitted → "
    "conditional · 4",
    "Maker may serve and sell any new apps product on north only if it was first offered to rival and rival passed: "
    "permitted → conditional · 4",
    "Maker may no longer contract for rooms on any cloud: permitted → forbidden · 6",
    "Maker now owes partner a revenue share: not due → due · 6",
    "Rival may sell tool on any cloud only if maker grants it: permitted → conditional · 6",
    "Partner may now sell app and tool on south without condition: conditional → permitted · 4",
    "Shop may sell app on any cloud but south only if it was first offered to rival and rival passed, and if maker "
    "grants it: permitted → conditional · 4",
    "Shop may sell app on south only if maker grants it: permitted → conditional · 2",
    "Parties other than maker may no longer contract for rooms on any cloud, not even on a condition: conditional → "
    "forbidden · 18",
]
# Of those of the first amendment, of which nothing was stated before.
OF_A1 = [
    "Maker may serve and sell any apps product on any cloud but north, if it ships on north first, unless partner "
    "cannot and chooses not to support it: unstated → conditional · 24",
    "Nobody owes anyone but maker a revenue share: unstated → not due · 54",
    "Partner and rival owe maker no revenue share: unstated → not due · 12",
    "Shop owes maker no revenue share on rooms, rights and any apps product (except app): unstated → not due · 4",
    "Shop now owes maker a revenue share (rooms, rights and any apps product (except app) apart): unstated → due · 2",
]
OF_A3 = [
    "Maker owes partner no revenue share any more: due → not due · 6",
    "Nothing states any more whether rival and shop may serve and sell any apps product on any cloud: conditional → "
    "unstated · 72",
    "Shop owes maker no revenue share any more (rooms, rights and any apps product (except app) apart): due → not due "
    "· 2",
]


def test_a_diff_as_it_is_read() -> None:
    texts = documents(f"{GRANTED}\n\n{TAX}", HAPPENED)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", OPEN, 1)
    texts["A2.md"] = written("A2", "2026-07-01", SECOND, "2026-05-01")
    kept = "id: A3.own\nkind: ownership\nparty: maker\nproducts: [rooms, rights]"
    texts["A3.md"] = written("A3", "2026-09-01", f"id: A3.ends\nends: [A1.tax, A2.share, own]\n\n{kept}")
    opened = reading(texts)
    second, third = compare_amendments(opened, ["A2"]), compare_amendments(opened, ["A2", "A3"])
    assert str(second.before) == "A1, as of 2026-07-01, known at 2026-07-01T23:59:59Z"
    assert [f"{group.sentence} · {group.count}" for group in second.groups] == OF_A2
    for compared, some in ((compare_amendments(opened, ["A1"]), OF_A1), (third, OF_A3)):
        sentences = [f"{group.sentence} · {group.count}" for group in compared.groups]
        assert [sentence for sentence in sentences if sentence in some] == some
    first = second.changed[0]
    assert (first.was_because, first.because) == ("A1 1, A1.md:14; T", "A2 1, A2.md:40; T")
