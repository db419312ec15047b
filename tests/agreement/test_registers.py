"""Registers of facts: what is known when, in which order, and every mistake in one at once."""

from datetime import UTC, date, datetime
from itertools import permutations

import msgspec
import pytest
from small_agreement import DOCUMENTS

from clauseway.agreement import Answer, FactRegister, Launch, Milestone, Offer, read_agreement, read_facts, suppose
from clauseway.agreement.language.facts import Grant, Withdrawal
from clauseway.agreement.reading.recorded import UncheckedFact, checked
from clauseway.catalog import Catalog, ProductClass
from clauseway.values import InvalidInput, KnownAt

CATALOG = msgspec.structs.replace(read_agreement(DOCUMENTS).catalog, subjects=frozenset({"compute"}))
ANSWER = """\
- {{kind: answer, product: chat-1, can: {can}, declines: true, effective: 2026-05-01{more}, source: [T], says: A.}}
"""


def register(text: str, name: str = "facts.yaml", catalog: Catalog = CATALOG) -> FactRegister:
    return read_facts(name, text, catalog, {})[0]


def instant(text: str) -> KnownAt:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return KnownAt((since.days * 86_400 + since.seconds) * 10**9)


# how it is recorded | known a moment before | known at
RECORDED = [
    ("", "2026-04-30T23:59:59+00:00", "2026-05-01T00:00:00+00:00"),
    ("2026-05-03", "2026-05-02T23:59:59+00:00", "2026-05-03T00:00:00+00:00"),
    ("2026-05-03T12:00:00Z", "2026-05-03T11:59:59+00:00", "2026-05-03T12:00:00+00:00"),
    ("2026-05-03T12:00:00", "2026-05-03T11:59:59+00:00", "2026-05-03T12:00:00+00:00"),
    ("2026-05-03T12:00:00+02:00", "2026-05-03T09:59:59+00:00", "2026-05-03T10:00:00+00:00"),
]


@pytest.mark.parametrize(("recorded", "before", "at"), RECORDED)
def test_a_fact_is_unknown_before_it_is_recorded(recorded: str, before: str, at: str) -> None:
    facts = register(ANSWER.format(can="true", more=f", recorded: '{recorded}'" if recorded else ""))
    assert facts.known(instant(before)).facts == ()
    assert len(facts.known(instant(at)).facts) == 1
    assert facts.facts[0].effective == date(2026, 5, 1)


def test_what_is_recorded_late_holds_from_its_own_day() -> None:
    facts = register(ANSWER.format(can="false", more=", recorded: 2026-06-01"))
    assert facts.known(KnownAt.end_of(date(2026, 5, 31))).answer("chat-1", date(2026, 5, 15)) is None
    answer = facts.known(KnownAt.end_of(date(2026, 6, 1))).answer("chat-1", date(2026, 5, 15))
    assert answer is not None
    assert not answer.can


@pytest.mark.parametrize("more", ["", ", recorded: 2026-05-03", ", recorded: '2026-05-03T12:00:00Z'"])
@pytest.mark.parametrize("last", ["true", "false"])
def test_of_two_facts_with_one_instant_the_one_that_stands_later_became_known_later(more: str, last: str) -> None:
    first = "false" if last == "true" else "true"
    corrected = f"{more}, corrects: 'answer:chat-1=2026-05-01'"
    facts = register(ANSWER.format(can=first, more=more) + ANSWER.format(can=last, more=corrected))
    assert [fact.known.sequence for fact in facts.facts] == [0, 1]
    answer = facts.answer("chat-1", date(2026, 5, 2))
    assert answer is not None
    assert answer.can == (last == "true")
    # Between the two, the first alone is known.
    between = facts.known(facts.facts[0].known)
    assert between.facts == facts.facts[:1]


def test_a_register_is_ordered_by_when_its_facts_became_known() -> None:
    late, early = ANSWER.format(can="true", more=", recorded: 2026-06-02"), ANSWER.format(can="true", more="")
    facts = register(late + early).facts
    assert [fact.known for fact in facts] == [
        KnownAt.recorded_on(date(2026, 5, 1), 1),
        KnownAt.recorded_on(date(2026, 6, 2), 0),
    ]


def test_what_is_added_became_known_after_what_stood_there_with_the_same_instant() -> None:
    yes, no = ANSWER.format(can="true", more=""), ANSWER.format(can="false", more="")
    facts = register(yes + yes + yes).with_facts(register(no).facts)
    assert [fact.known.sequence for fact in facts.facts] == [0, 1, 2, 3]
    answer = facts.answer("chat-1", date(2026, 5, 1))
    assert answer is not None
    assert not answer.can


def test_launches_of_one_day_are_cited_in_one_order() -> None:
    text = "- {{kind: launch, product: chat-1, cloud: {}, stage: {}, effective: 2026-05-01, source: [T], says: A.}}\n"
    launches = [
        text.format(cloud, stage) for cloud, stage in (("own", "preview"), ("other", "available"), ("other", "preview"))
    ]
    orders = [register("".join(each)).launches("chat-1") for each in permutations(launches)]
    assert {tuple(fact.citation.term for fact in order) for order in orders} == {
        ("launch:chat-1:other:available", "launch:chat-1:other:preview", "launch:chat-1:own:preview")
    }


# what contradicts an answer that it can of the same day | whether it does
CONTRADICTING = [
    (ANSWER.format(can="false", more=""), True),
    (ANSWER.format(can="false", more=", recorded: 2026-06-02"), True),
    (ANSWER.format(can="true", more=""), False),
    (ANSWER.format(can="false", more="").replace("2026-05-01", "2026-05-02"), False),
    (ANSWER.format(can="false", more=", corrects: 'answer:chat-1=2026-05-01'"), False),
]


@pytest.mark.parametrize(("other", "contradicts"), CONTRADICTING)
def test_of_one_day_and_one_thing_a_register_says_one_thing(other: str, contradicts: bool) -> None:
    text = ANSWER.format(can="true", more="") + other
    if not contradicts:
        assert len(register(text).facts) == 2
        return
    with pytest.raises(InvalidInput) as refused:
        register(text)
    [problem] = refused.value.problems
    assert (problem.line, problem.what) == (2, "it contradicts answer:chat-1=2026-05-01")
    assert "corrects: answer:chat-1=2026-05-01" in problem.remedy


def test_what_is_offered_is_something_that_a_right_of_first_refusal_speaks_of() -> None:
    offer = "- {kind: offer, subject: comput, passed: true, effective: 2026-05-01, source: [T], says: A.}\n"
    with pytest.raises(InvalidInput) as refused:
        register(offer)
    [problem] = refused.value.problems
    assert (problem.what, problem.remedy) == ("unknown subject 'comput'", "Did you mean 'compute'?")
    assert problem.why == "no right of first refusal names it as its subject"


@pytest.mark.parametrize(
    "recorded", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "0000-01-01", "10000-01-01"]
)
def test_a_recorded_time_outside_the_years_is_a_mistake(recorded: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        register(ANSWER.format(can="true", more=f", recorded: '{recorded}'"))
    assert [problem.what for problem in refused.value.problems] == [
        f"recorded: '{recorded}' is neither a day nor an instant"
    ]


@pytest.mark.parametrize(
    "recorded", ["0001-01-01", "0001-01-01T00:00:00-12:00", "9999-12-31T23:59:59+12:00", "9999-12-31"]
)
def test_a_recorded_time_at_the_edge_of_the_years_can_be_told(recorded: str) -> None:
    [fact] = register(ANSWER.format(can="true", more=f", recorded: '{recorded}'")).facts
    assert str(fact.known)[:4] == recorded[:4]


def test_every_kind_of_fact() -> None:
    facts, catalog = read_facts(
        "facts.md",
        """\
# Facts

```yaml facts
- {kind: party, party: newcomer}
- {kind: product, product: chat-2, class: api.chat, first-shipped-by: 2026-01-01}
```

```yaml facts
- {kind: launch, product: chat-2, cloud: other, stage: preview, effective: 2026-04-28, source: [T, P], says: Shown.}
- {kind: answer, product: chat-2, can: false, declines: true, effective: 2026-04-29, source: [T], says: It declined.}
- {kind: offer, subject: compute, passed: true, effective: 2026-04-30, source: [T], says: It passed.}
- {kind: grant, party: newcomer, product: api.chat, effective: 2026-05-01, source: [T], says: Granted.}
- {kind: milestone, effective: 2027-01-01, source: [T], says: Verified.}
```
""",
        CATALOG,
        {},
    )
    assert "newcomer" in catalog.parties
    assert catalog.products["chat-2"].first_shipped_by == date(2026, 1, 1)
    assert [str(fact.citation) for fact in facts.facts] == [
        "facts launch:chat-2:other:preview (facts.md:9; T, P): Shown. (2026-04-28)",
        "facts answer:chat-2 (facts.md:10; T): It declined. (2026-04-29)",
        "facts offer:compute (facts.md:11; T): It passed. (2026-04-30)",
        "facts grant:newcomer:api.chat (facts.md:12; T): Granted. (2026-05-01)",
        "facts milestone (facts.md:13; T): Verified. (2027-01-01)",
    ]


# a register (… stands for its source and what it says) | every problem in it
MALFORMED = [
    ("", ["1 the block is empty"]),
    ("just text", ["1 not a fact"]),
    ("kind: launch", ["1 not a fact"]),
    ("- a\n- [b]\n- kind: nothing", ["1 not a fact", "2 not a fact", "3 unknown kind of fact 'nothing'"]),
    ("- {kind: launch", ["1 not valid YAML"]),
    ("- &a {kind: *a}", ["1 &a is an anchor"]),
    ("- {kind: milestone, effective: 2027-01-01, source: [T]}", ["1 'says' is missing"]),
    (
        "- {kind: milestone, effective: soon, source: T, says: It.}",
        ["1 'source' does not fit", "1 'effective' does not fit"],
    ),
    (
        "- {kind: milestone, effective: 2027-01-01, …, recorded: soon}",
        ["1 recorded: 'soon' is neither a day nor an instant"],
    ),
    (
        "- {kind: milestone, effective: 2027-01-01, …, recorded: '0001-01-01T00:00:00+14:00'}",
        ["1 recorded: '0001-01-01T00:00:00+14:00' is neither a day nor an instant"],
    ),
    ("- {kind: milestone, effective: 2027-01-01, …, product: chat-1}", ["1 unknown key 'product'"]),
    (
        "- {kind: launch,\n  product: chat-9,\n  cloud: third,\n  stage: rumour,\n  effective: 2026-04-28, …}",
        ["2 unknown product 'chat-9'", "3 unknown cloud 'third'", "4 unknown stage 'rumour'"],
    ),
    (
        "- {kind: grant, party: taker, product: weights, effective: 2026-04-28, …}",
        ["1 unknown party 'taker'", "1 unknown product 'weights'"],
    ),
    (
        "- {kind: product, product: chat-2, class: chats}\n- {kind: product, class: api}\n- {kind: party, party: ''}",
        ["1 unknown class 'chats'", "2 'product' is missing", "3 'party' does not fit"],
    ),
    (
        "- {kind: milestone, effective: 2027-01-01, …, id: M}\n"
        "- {kind: retraction, effective: 2027-01-02, …, id: R, corrects: M}\n"
        "- {kind: retraction, effective: 2027-01-03, …, corrects: R}",
        ["3 R is a retraction"],
    ),
    # The last day of a grant, and for an answer to an offer.
    (
        "- {kind: grant, party: maker, product: api, effective: 2026-02-02, through: 2026-02-01, …}\n"
        "- {kind: offer, subject: compute, effective: 2026-02-02, answer-by: 2026-02-01, passed: false, …}",
        ["1 through lies before the fact itself", "2 answer-by lies before the fact itself"],
    ),
    ("- {kind: party, party: mаker}", ["1 the name 'mаker' has the character U+0430"]),
    (
        "- {kind: product, product: chat-2, class: api, first-shiped-by: 2026-01-01}",
        ["1 unknown key 'first-shiped-by'"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), MALFORMED)
def test_every_problem_of_a_register_is_told_with_its_line(text: str, expected: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        register(text.replace("…", "source: [T], says: It."))
    assert [f"{problem.line} {problem.what}" for problem in refused.value.problems] == expected
    assert {problem.where for problem in refused.value.problems} == {"facts.yaml"}


def test_a_fact_may_last_a_single_day() -> None:
    day = "effective: 2026-02-02, through: 2026-02-02"
    [grant] = register(f"- {{kind: grant, party: maker, product: api, {day}, source: [T], says: It.}}").facts
    assert [grant.in_effect(date(2026, 2, day)) for day in (1, 2, 3)] == [False, True, False]


# a document | every problem in it
MALFORMED_DOCUMENTS = [
    ("```yaml fact\n- {}\n```", ["1 unknown block 'yaml fact'"]),
    ("# Facts\n\n```yaml facts\n- kind: milestone\n", ["3 the block has no end"]),
    ("# Facts\n\n```yaml facts\n- a\n```\n\n```yaml facts\n- b\n```", ["4 not a fact", "8 not a fact"]),
    ("The\0 facts", ["1 the character U+0000"]),
    ("---\nid: facts\nrecorded: 2027-01-01\n---\n\n# Facts", ["3 unknown key 'recorded'"]),
    ("---\nid: [facts\n---\n\n# Facts", ["2 not valid YAML"]),
]


@pytest.mark.parametrize(("text", "expected"), MALFORMED_DOCUMENTS)
def test_every_problem_of_a_document_of_facts(text: str, expected: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        register(text, "facts.md")
    assert [f"{problem.line} {problem.what}" for problem in refused.value.problems] == expected


def test_a_grant_is_kept_to_no_place_that_no_act_with_its_product_has() -> None:
    ip = ProductClass(id="ip", actions=frozenset({"license", "use-under-licence"}))
    catalog = msgspec.structs.replace(CATALOG, classes={**CATALOG.classes, "ip": ip})
    rest = "effective: 2026-05-01, source: [T], says: It.}\n"
    text = (
        f"- {{kind: grant, party: maker, product: ip, cloud: other, {rest}"
        f"- {{kind: withdrawal, party: maker, product: ip, segment: trade, {rest}"
        f"- {{kind: grant, party: maker, product: api, cloud: other, {rest}"
    )
    with pytest.raises(InvalidInput) as refused:
        register(text, catalog=catalog)
    assert [f"{problem.line} {problem.what}, {problem.why}" for problem in refused.value.problems] == [
        "1 the grant is kept to a cloud, no act that may be asked of ip takes clouds",
        "2 the withdrawal is kept to a segment, no act that may be asked of ip takes segments",
    ]
    given = UncheckedFact(
        kind="grant",
        effective="2026-05-01",
        source="T",
        says="It.",
        about={"party": "maker", "product": "ip", "cloud": "other"},
    )
    with pytest.raises(InvalidInput) as refused:
        checked(given, "small", catalog, {}, [])
    assert [f"{problem.where} {problem.what}" for problem in refused.value.problems] == [
        "--cloud the grant is kept to a cloud"
    ]


def test_a_register_may_be_saved_in_any_way() -> None:
    text = ANSWER.format(can="true", more="") * 2
    plain = register(text)
    assert register("\ufeff" + text.replace("\n", "\r\n")) == plain
    assert register("[]").facts == ()
    assert register("# No facts yet", "facts.md").facts == ()


# a supposition | what is supposed
SUPPOSED = [
    ("milestone=2027-01-01", Milestone),
    ("launch:chat-1:other:available=2026-04-30", Launch),
    ("answer:chat-1:cannot+declines=2026-04-29", Answer),
    ("offer:compute:passed=2025-03-01", Offer),
    ("grant:buyer:api=2026-03-01", Grant),
    ("withdrawal:buyer:api=2026-04-01", Withdrawal),
]


@pytest.mark.parametrize(("text", "kind"), SUPPOSED)
def test_what_is_supposed_counts_as_known_always(text: str, kind: type) -> None:
    fact = suppose(text, CATALOG, {})
    assert type(fact) is kind
    assert str(fact.effective) == text.partition("=")[2]
    assert FactRegister().with_facts([fact]).known(KnownAt.recorded_on(date(1970, 1, 1))).facts == (fact,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("milestone", ["cannot suppose 'milestone'"]),
        ("milestone=soon", ["'soon' is not a day"]),
        ("milestone=2026-W18-1", ["'2026-W18-1' is not a day"]),
        ("answer:chat-1:perhaps=2026-04-29", ["cannot suppose 'answer:chat-1:perhaps=2026-04-29'"]),
        (
            "launch:chat-9:third:rumoured=soon",
            ["unknown product 'chat-9'", "unknown cloud 'third'", "unknown stage 'rumoured'", "'soon' is not a day"],
        ),
        ("grant:taker:api=2026-01-01", ["unknown party 'taker'"]),
    ],
)
def test_every_problem_of_a_supposition(text: str, expected: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        suppose(text, CATALOG, {})
    assert [problem.what for problem in refused.value.problems] == expected
    assert {problem.where for problem in refused.value.problems} == {"--suppose"}
