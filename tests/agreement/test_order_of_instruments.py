"""The instrument concluded last prevails, whatever the days of effect. Read each case as a letter file."""

import pytest

import terms_at_hand
from clauseway import InvalidInput, KnownAt, OpenAgreement
from clauseway.agreement.language.meaning import meaning_of
from clauseway.agreement.soundness.checking import check_agreement

EXCLUSIVE = """
id: x
kind: exclusivity
actions: [serve]
products: [apps]
only: {clouds: [north]}
"""


def opened(*amendments: str) -> OpenAgreement:
    texts = terms_at_hand.documents(EXCLUSIVE)
    for number, text in enumerate(amendments, start=2):
        texts[f"A{number}.md"] = text
    agreement: OpenAgreement = terms_at_hand.reading(texts)
    return agreement


def letter(name: str, concluded: str, effective: str, block: str, after: str = "") -> str:
    text: str = terms_at_hand.amendment(name, effective, block, announced=concluded)
    return text.replace("sources: [T]\n---", f"sources: [T]\nafter: {after}\n---") if after else text


def forbidden_on(agreement: OpenAgreement, *days: str) -> list[bool]:
    """Return for each day whether the owner may not serve elsewhere."""
    return [terms_at_hand.decided(agreement, "serve maker app south", day).outcome == "forbidden" for day in days]


def test_what_was_concluded_last_prevails_not_what_takes_effect_last() -> None:
    longer = letter("A2", "2026-02-01", "2026-07-01", "id: a2\nsets-end: [x]\nthrough: 2030-12-31")
    shorter = letter("A3", "2026-03-01", "2026-04-01", "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
    agreement = opened(longer, shorter)
    assert forbidden_on(agreement, "2026-06-01", "2026-12-31", "2027-01-01") == [True, True, False]


def test_the_day_of_conclusion_may_be_written() -> None:
    """Announced together, concluded one after the other."""
    longer = letter("A2", "2026-02-01", "2026-07-01", "id: a2\nsets-end: [x]\nthrough: 2030-12-31")
    longer = longer.replace("announced: 2026-02-01", "announced: 2026-03-01\nconcluded: 2026-02-01")
    shorter = letter("A3", "2026-03-01", "2026-04-01", "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
    assert forbidden_on(opened(longer, shorter), "2027-01-01") == [False]


def test_of_one_day_after_orders_them() -> None:
    amendment = letter("A2", "2026-02-01", "2026-03-01", "id: a2\nsets-end: [x]\nthrough: 2030-12-31")
    other = "id: a3\nsets-end: [x]\nthrough: 2026-12-31"
    later = letter("A3", "2026-02-01", "2026-03-01", other, after="A2")
    assert forbidden_on(opened(amendment, later), "2027-01-01") == [False]
    earlier = letter("A3", "2026-02-01", "2026-03-01", other)
    last = amendment.replace("sources: [T]\n---", "sources: [T]\nafter: A3\n---")
    assert forbidden_on(opened(last, earlier), "2027-01-01") == [True]


def test_of_three_of_one_day_each_comes_after_the_next() -> None:
    first = letter("A2", "2026-02-01", "2026-03-01", "id: a2\nsets-end: [x]\nthrough: 2030-12-31")
    last = letter("A3", "2026-02-01", "2026-03-01", "id: a3\nsets-end: [x]\nthrough: 2026-12-31", after="A4")
    second = letter("A4", "2026-02-01", "2026-03-01", "id: a4\nsets-end: [x]\nthrough: 2028-12-31", after="A2")
    assert forbidden_on(opened(first, last, second), "2026-12-31", "2027-01-01") == [True, False]


def test_which_was_concluded_last_is_meant() -> None:
    """Exchanging the days of conclusion changes the answer; moving one of them does not."""
    meant = []
    for second, third in (("2026-02-01", "2026-02-15"), ("2026-02-15", "2026-02-01"), ("2026-02-15", "2026-02-02")):
        longer = letter("A2", second, "2026-04-01", "id: a2\nsets-end: [x]\nthrough: 2030-12-31")
        shorter = letter("A3", third, "2026-05-01", "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
        dated = [
            text.replace(f"announced: {day}", f"announced: 2026-03-01\nconcluded: {day}")
            for text, day in ((longer, second), (shorter, third))
        ]
        meant.append(meaning_of(opened(*dated).agreement))
    assert meant[0] != meant[1] == meant[2]


def test_a_retroactive_one_changes_what_came_before_it() -> None:
    ended = letter("A2", "2026-02-01", "2026-02-01", "id: a2\nends: [x]")
    revived = letter("A3", "2026-05-01", "2026-01-15", "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
    agreement = opened(ended, revived)
    assert forbidden_on(agreement, "2026-03-01", "2027-01-01") == [True, False]
    question = agreement.question(
        action="serve", party="maker", product="app", cloud="south", as_of="2026-03-01", known_at="2026-04-30"
    )
    assert agreement.answer(question).outcome == "permitted", "as known before it was concluded"


def test_what_is_not_yet_in_effect_can_be_rescinded() -> None:
    ends = letter("A2", "2026-02-01", "2026-09-01", "id: a2\nends: [x]")
    rescinds = letter("A3", "2026-05-01", "2026-05-01", "id: a3\nrescinds: [A2]")
    agreement = opened(ends, rescinds)
    assert forbidden_on(agreement, "2026-10-01") == [True]
    question = agreement.question(
        action="serve", party="maker", product="app", cloud="south", as_of="2026-10-01", known_at="2026-04-30"
    )
    assert agreement.answer(question).outcome == "permitted"
    restored = letter("A4", "2026-06-01", "2026-06-01", "id: a4\nrescinds: [A3]")
    assert KnownAt.everything() > question.known_at
    with pytest.raises(InvalidInput, match="cannot be rescinded"):
        opened(ends, rescinds, restored)


def test_a_rescission_that_is_itself_rescinded_rescinds_nothing() -> None:
    """A4 takes effect before A3 would: A2 ends the exclusivity as it was concluded."""
    ends = letter("A2", "2026-02-01", "2026-09-01", "id: a2\nends: [x]")
    rescinds = letter("A3", "2026-05-01", "2026-08-01", "id: a3\nrescinds: [A2]")
    restored = letter("A4", "2026-06-01", "2026-07-01", "id: a4\nrescinds: [A3]")
    assert forbidden_on(opened(ends, rescinds), "2026-10-01") == [True]
    assert forbidden_on(opened(ends, rescinds, restored), "2026-08-31", "2026-09-01") == [True, False]


# x ends with 31 March; a renewal takes effect on a day → whether it comes in time.
RENEWED = [("2026-03-31", True), ("2026-04-01", False)]


@pytest.mark.parametrize(("day", "in_time"), RENEWED)
def test_a_renewal_comes_in_time_until_the_last_day(day: str, in_time: bool) -> None:
    ends = letter("A2", "2026-02-01", "2026-02-01", "id: a2\nsets-end: [x]\nthrough: 2026-03-31")
    renews = letter("A3", "2026-03-01", day, "id: a3\nsets-end: [x]\nthrough: 2030-12-31")
    agreement = opened(ends, renews)
    assert forbidden_on(agreement, "2026-03-31", "2026-04-01") == [True, in_time]
    texts = [remark.what for remark in check_agreement(agreement.agreement, agreement.facts)]
    assert ("a3 changes nothing of x" in texts) is not in_time


# Changes of A2, then of A3, concluded later, to x from 1 April on → x holds on 31 March, 1 April, 31 December, 2027?
LONGER = "sets-end: [x]\nthrough: 2026-12-31"
AT_ONCE = "sets-end: [x]\nuntil: 2026-04-01"
ON_ONE_DAY = [
    ("ends: [x]", LONGER, [True, True, True, False], "a2 changes nothing of x"),
    (AT_ONCE, LONGER, [True, True, True, False], "a2 changes nothing of x"),
    (LONGER, "ends: [x]", [True, False, False, False], "a2 changes nothing of x"),
    ("ends: [x]", "ends: [x]", [True, False, False, False], "a3 changes nothing of x"),
]


@pytest.mark.parametrize(("earlier", "later", "holds", "idle"), ON_ONE_DAY)
def test_of_two_that_take_effect_on_one_day_the_later_concluded_prevails(
    earlier: str, later: str, holds: list[bool], idle: str
) -> None:
    """A term that the earlier ends on that day has not ended before the later: both take effect at once."""
    agreement = opened(
        letter("A2", "2026-02-01", "2026-04-01", f"id: a2\n{earlier}"),
        letter("A3", "2026-03-01", "2026-04-01", f"id: a3\n{later}"),
    )
    assert forbidden_on(agreement, "2026-03-31", "2026-04-01", "2026-12-31", "2027-01-01") == holds
    remarks = [
        remark for remark in check_agreement(agreement.agreement, agreement.facts) if remark.kind == "idle-change"
    ]
    assert [remark.what for remark in remarks] == [idle]


REFUSED = [
    # Two of one day, and nothing says which came after.
    (
        (
            letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]"),
            letter("A3", "2026-02-01", "2026-03-01", "id: a3\nsets-end: [x]\nthrough: 2027-01-01"),
        ),
        "two amendments were concluded on 2026-02-01",
    ),
    ((letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]", after="A1"),), "unknown amendment 'A1'"),
    (
        (
            letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]", after="A3"),
            letter("A3", "2026-02-01", "2026-04-01", "id: a3\nsets-end: [x]\nthrough: 2027-01-01", after="A2"),
        ),
        "A2 comes after itself",
    ),
    # A change has its effect once: there is nothing of it to end.
    (
        (
            letter("A2", "2026-02-01", "2026-03-01", "id: a2\nsets-end: [x]\nthrough: 2027-01-01"),
            letter("A3", "2026-03-01", "2026-04-01", "id: a3\nends: [a2]"),
        ),
        "'a2' is a change",
    ),
    (
        (
            letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]"),
            letter("A3", "2026-04-01", "2026-04-01", "id: a3\nrescinds: [A2]"),
        ),
        "A2 cannot be rescinded from 2026-04-01",
    ),
]


@pytest.mark.parametrize(("amendments", "what"), REFUSED, ids=[what for _, what in REFUSED])
def test_refused(amendments: tuple[str, ...], what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        opened(*amendments)
    assert what in [problem.what for problem in refused.value.problems], refused.value.problems


def test_a_rescission_on_the_day_of_effect_is_told_what_to_write() -> None:
    """A2 has no terms that A3 could end: A3 may take effect before it."""
    with pytest.raises(InvalidInput) as refused:
        opened(
            letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]"),
            letter("A3", "2026-02-20", "2026-03-01", "id: a3\nrescinds: [A2]"),
        )
    [problem] = refused.value.problems
    assert problem.remedy.startswith("Let A3 take effect before that day (effective:), or end the terms of A2")
    opened(
        letter("A2", "2026-02-01", "2026-03-01", "id: a2\nends: [x]"),
        letter("A3", "2026-02-20", "2026-02-28", "id: a3\nrescinds: [A2]"),
    )


def test_check_tells_a_change_that_changes_nothing() -> None:
    """A renewal that comes after the end."""
    ends = letter("A2", "2026-02-01", "2026-02-01", "id: a2\nends: [x]")
    late = letter("A3", "2026-03-01", "2026-03-01", "id: a3\nsets-end: [x]\nthrough: 2030-12-31")
    agreement = opened(ends, late)
    remarks = [
        remark for remark in check_agreement(agreement.agreement, agreement.facts) if remark.kind == "idle-change"
    ]
    assert [(remark.what, remark.document) for remark in remarks] == [("a3 changes nothing of x", "A3.md")]


READINGS = "readings:\n  R1: {says: It reads both ways., source: [T], options: [wide, narrow]}\nrules:"


@pytest.mark.parametrize(
    ("term_under", "change_under", "rescission", "why", "remedy"),
    [
        (
            "narrow",
            "wide",
            "",
            "a2 stands under R1=wide, and x stands under R1=narrow",
            "Take x out of it, or let both stand under the same readings.",
        ),
        ("", "wide", "id: a3\nrescinds: [A2]\nunder: {R1: wide}", "A3 rescinds A2", "Take x out of it."),
        ("wide", "wide", "", "", ""),
        ("", "wide", "", "", ""),
        ("", "wide", "id: a3\nrescinds: [A2]\nunder: {R1: narrow}", "", ""),
    ],
)
def test_check_tells_a_change_that_never_stands_where_its_term_does(
    term_under: str, change_under: str, rescission: str, why: str, remedy: str
) -> None:
    """Under every reading one of them is missing: no other day would help."""
    ends = letter("A2", "2026-02-01", "2026-09-01", f"id: a2\nends: [x]\nunder: {{R1: {change_under}}}")
    texts = terms_at_hand.documents(EXCLUSIVE + (f"under: {{R1: {term_under}}}" if term_under else ""))
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", READINGS)
    texts["A2.md"] = ends
    if rescission:
        texts["A3.md"] = letter("A3", "2026-05-01", "2026-05-01", rescission)
    agreement = terms_at_hand.reading(texts)
    remarks = [
        remark for remark in check_agreement(agreement.agreement, agreement.facts) if remark.kind == "idle-change"
    ]
    assert [(remark.what, remark.why, remark.remedy) for remark in remarks] == (
        [("a2 changes nothing of x", why, remedy)] if why else []
    )


def test_check_tells_a_change_of_what_never_began_for_a_rescission() -> None:
    begun = letter("A2", "2026-02-01", "2026-09-01", EXCLUSIVE.replace("id: x", "id: y"))
    rescinds = letter("A3", "2026-05-01", "2026-05-01", "id: a3\nrescinds: [A2]")
    ends = letter("A4", "2026-10-01", "2026-10-01", "id: a4\nends: [y]")
    agreement = opened(begun, rescinds, ends)
    remarks = [
        remark for remark in check_agreement(agreement.agreement, agreement.facts) if remark.kind == "idle-change"
    ]
    assert [(remark.what, remark.why) for remark in remarks] == [("a4 changes nothing of y", "A3 rescinds A2")]


# The change of A2 to x from 1 July on · the day from which A3 sets another end.
OVERTAKEN = [("ends: [x]", "2026-04-01"), ("sets-end: [x]\nthrough: 2027-12-31", "2026-07-01")]


@pytest.mark.parametrize(("change", "day"), OVERTAKEN)
def test_check_tells_a_change_that_one_concluded_later_overtakes(change: str, day: str) -> None:
    """Nobody could have relied on the earlier one: the later was known before either took effect."""
    earlier = letter("A2", "2026-02-01", "2026-07-01", f"id: a2\n{change}")
    later = letter("A3", "2026-03-01", day, "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
    agreement = opened(earlier, later)
    remarks = [
        remark for remark in check_agreement(agreement.agreement, agreement.facts) if remark.kind == "idle-change"
    ]
    assert [(remark.what, remark.why) for remark in remarks] == [
        ("a2 changes nothing of x", "a3, concluded later, had set its end by 2026-07-01, when the change takes effect")
    ]


def test_check_says_nothing_of_a_change_that_held_until_a_retroactive_one() -> None:
    held = letter("A2", "2026-02-01", "2026-02-15", "id: a2\nsets-end: [x]\nthrough: 2027-12-31")
    revived = letter("A3", "2026-05-01", "2026-02-10", "id: a3\nsets-end: [x]\nthrough: 2026-12-31")
    agreement = opened(held, revived)
    remarks = check_agreement(agreement.agreement, agreement.facts)
    assert [remark for remark in remarks if remark.kind == "idle-change"] == []
