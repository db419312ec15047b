"""A term that an amendment keeps in force past its own end is cited with that amendment, and on those days alone."""

import pytest

import terms_at_hand as hand
from clauseway.agreement import boundaries
from clauseway.app.agreements.briefing import brief
from clauseway.app.agreements.comparing import compare_or_later
from clauseway.decisions import Tables
from clauseway.decisions.asking import decide
from clauseway.values import KnownAt
from terms_at_hand import asking

X = "id: A1.x\nkind: exclusivity\nactions: [serve]\nproducts: [apps]\nonly: {clouds: [north]}\n%s"
LETS = "id: A1.lets\nkind: permission\nparty: shop\ngrantor: maker\nactions: [sell]\nproducts: [apps]\n%s"
OWNED = "id: A1.own\nkind: ownership\nparty: maker\nproducts: [apps, rights]\n%s"
SHARE = "id: A1.s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: 10 %%\nbase: {sellers: [maker]}\n%s"
TO_2026, TO_2028 = "through: 2026-12-31", "through: 2028-12-31"
# The terms of A1 · then what later amendments change, each with its day of effect.
LONGER = [("2026-03-01", f"id: A2.c\nsets-end: [%s]\n{TO_2028}")]
AGAIN = [*LONGER, ("2027-06-01", "id: A3.c\nsets-end: [%s]\nthrough: 2030-12-31")]
SHORTER = [("2026-03-01", "id: A2.c\nsets-end: [%s]\nthrough: 2026-06-30")]
TOO_LATE = [("2027-02-01", f"id: A2.c\nsets-end: [%s]\n{TO_2028}")]
BY_EVENT = [("2026-03-01", "id: A2.c\nsets-end: [%s]\nuntil: milestone")]

# The term · who changes it · question · day → outcome · the changes that are cited.
PROLONGED = [
    (X % TO_2026, "A1.x", LONGER, "serve maker app own", "2026-12-31", "forbidden", []),
    (X % TO_2026, "A1.x", LONGER, "serve maker app own", "2027-01-01", "forbidden", ["A2.c"]),
    (X % TO_2026, "A1.x", LONGER, "serve maker app own", "2028-12-31", "forbidden", ["A2.c"]),
    (X % TO_2026, "A1.x", LONGER, "serve maker app own", "2029-01-01", "permitted", []),
    # Inside the exclusivity it is cited as well.
    (X % TO_2026, "A1.x", LONGER, "serve maker app north", "2027-01-01", "permitted", ["A2.c"]),
    # Of several changes, the one that holds on the day.
    (X % TO_2026, "A1.x", AGAIN, "serve maker app own", "2027-05-31", "forbidden", ["A2.c"]),
    (X % TO_2026, "A1.x", AGAIN, "serve maker app own", "2027-06-01", "forbidden", ["A3.c"]),
    (X % TO_2026, "A1.x", AGAIN, "serve maker app own", "2030-12-31", "forbidden", ["A3.c"]),
    # Until an event that has not come, and by no change that came too late or only shortens.
    (X % TO_2026, "A1.x", BY_EVENT, "serve maker app own", "2031-01-01", "forbidden", ["A2.c"]),
    (X % TO_2026, "A1.x", TOO_LATE, "serve maker app own", "2027-03-01", "permitted", []),
    (X % TO_2026, "A1.x", SHORTER, "serve maker app own", "2026-05-01", "forbidden", []),
    # Without an end of its own nothing prolongs it.
    (X % "", "A1.x", LONGER, "serve maker app own", "2027-01-01", "forbidden", []),
    # Its own end was an event, which came.
    (X % "until: milestone", "A1.x", LONGER, "serve maker app own", "2026-04-30", "forbidden", []),
    (X % "until: milestone", "A1.x", LONGER, "serve maker app own", "2026-05-01", "forbidden", ["A2.c"]),
    # Rights, ownership and shares.
    (LETS % TO_2026, "A1.lets", LONGER, "sell shop app north", "2026-12-31", "permitted", []),
    (LETS % TO_2026, "A1.lets", LONGER, "sell shop app north", "2027-01-01", "permitted", ["A2.c"]),
    (
        LETS % f"{TO_2026}\nexclusive: true",
        "A1.lets",
        LONGER,
        "sell rival app north",
        "2027-01-01",
        "forbidden",
        ["A2.c"],
    ),
    (SHARE % TO_2026, "A1.s", LONGER, "share-revenue maker to=shop", "2027-01-01", "permitted", ["A2.c"]),
]


@pytest.mark.parametrize(("term", "name", "changes", "question", "day", "outcome", "cited"), PROLONGED)
def test_what_keeps_a_term_in_force_is_cited(
    term: str, name: str, changes: list[tuple[str, str]], question: str, day: str, outcome: str, cited: list[str]
) -> None:
    happened = ("kind: milestone, effective: 2026-05-01",) if "until: milestone" in term else ()
    texts = hand.documents("", happened, owned=f"{OWNED % ''}\n\n{term}")
    for number, (effective, change) in enumerate(changes, start=2):
        texts[f"A{number}.md"] = hand.amendment(f"A{number}", effective, change % name)
    opened = hand.reading(texts)
    asked = asking(opened, question, day)
    answer = opened.answer(asked)
    assert answer.outcome == outcome
    assert [reason.term for reason in answer.reasons if reason.bearing == "prolongs"] == cited
    for reason in answer.reasons:
        if reason.bearing == "prolongs":
            own_end = "2026-05-01" if happened else "2027-01-01"
            kept = f"{name}.exclusive" if "exclusive" in term else name
            assert reason.note == f"by its own text {kept} would have ended on {own_end}"
            assert (reason.document, reason.line > 0) == (f"{reason.amendment}.md", True)


def test_engine_and_table_cite_the_same_on_every_day() -> None:
    texts = hand.documents("", owned="\n\n".join([OWNED % TO_2026, X % TO_2026, LETS % f"{TO_2026}\nexclusive: true"]))
    for number, (effective, change) in enumerate(AGAIN, start=2):
        texts[f"A{number}.md"] = hand.amendment(f"A{number}", effective, change % "A1.own, A1.x, A1.lets")
    opened = hand.reading(texts)
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    days = boundaries(opened.agreement, opened.facts, KnownAt.everything())
    for question in (
        "serve maker app own",
        "sell shop app north",
        "sell rival app north",
        "license maker rights to=shop",
    ):
        for day in days:
            asked = asking(opened, question, str(day))
            assert tables.decide(asked) == decide(opened.agreement, opened.catalog, opened.facts, asked)


def test_the_change_stands_behind_its_term() -> None:
    texts = hand.documents("", owned=f"{OWNED % ''}\n\n{X % TO_2026}")
    texts["A2.md"] = hand.amendment("A2", "2026-03-01", LONGER[0][1] % "A1.x")
    opened = hand.reading(texts)
    answer = opened.answer(asking(opened, "serve maker app own", "2027-01-01"))
    assert [(reason.bearing, reason.term) for reason in answer.reasons] == [("forbids", "A1.x"), ("prolongs", "A2.c")]
    # Where there is room for one reason, a timeline's, it is the change.
    stretches = opened.timeline(asking(opened, "serve maker app own", "2027-01-01"))
    assert [
        (str(stretch.begin), str(stretch.decision.outcome), stretch.decision.main_reason.term) for stretch in stretches
    ] == [
        ("2026-01-01", "forbidden", "A1.x"),
        ("2027-01-01", "forbidden", "A2.c"),
        ("2029-01-01", "permitted", "A2.c"),
    ]


@pytest.mark.parametrize(
    ("terms", "changed"),
    [
        ([OWNED % "", X % TO_2026], "A1.x"),
        # The change keeps both the permission and the exclusivity that it writes.
        ([OWNED % "", LETS % f"{TO_2026}\nexclusive: true"], "A1.lets"),
        # The owner is cited first, and the change behind the ownership alone.
        ([OWNED % TO_2026, LETS % TO_2026], "A1.own, A1.lets"),
        ([OWNED % "", SHARE % TO_2026], "A1.s"),
    ],
)
def test_a_comparison_lays_what_is_prolonged_to_the_change(terms: list[str], changed: str) -> None:
    """The amendments are compared on the first day on which the old text alone would have ended."""
    texts = hand.documents("", owned="\n\n".join(terms))
    texts["A2.md"] = hand.amendment("A2", "2026-03-01", LONGER[0][1] % changed)
    compared = compare_or_later(hand.reading(texts), ["A1", "A2"]).shown
    assert compared.after.as_of.isoformat() == "2027-01-01"
    cited = {change.because.split()[0] for change in compared.changed}
    assert "A2" in cited
    assert "A1" not in cited
    answers = [answer for answer in brief(hand.reading(texts), "A2").quick_answers if "2028-12-31" in answer.answer]
    assert {answer.place.split()[0] for answer in answers} <= {"A2", "agreement.md:22;"}
