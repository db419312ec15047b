"""The built-in partnership as read: what each amendment says, when each term ends as known then, who shares revenue."""

from datetime import date
from importlib import resources

import msgspec
import pytest

from clauseway.agreement import Amendment, Change, Launch, Term, TermState, boundaries, meaning_of
from clauseway.app.opening.library import open_agreement
from clauseway.values import FOREVER, KnownAt

PARTNERSHIP = open_agreement()
AGREEMENT = PARTNERSHIP.agreement
FOLDER = resources.files("clauseway.agreement") / "builtin" / "openai-microsoft"
# Later than every day that a text names: what is open then has no end.
FAR = date(2100, 1, 1)

# amendment | announced = effective | its terms | its changes
AMENDMENTS = """
A1 | 2023-01-23 | ownership workloads research capacity licence licence-exclusive sale sale-stateful \
share-microsoft-openai share-openai-microsoft open-weight | -
A2 | 2025-01-21 | api first-refusal research own-capacity ip-access revenue | through-2030 lifts-capacity lifts-research
A3 | 2025-10-28 | capacity non-api api api-stateful joint-api licence licence-exclusive licence-research stake | \
ends-first-refusal lifts-workloads sale-until-milestone sale-stateful replaces-licence share-until-milestone
A4 | 2026-02-27 | api joint-api stateful first-party ip-access revenue | lifts-stateful
A5 | 2026-04-27 | any-cloud ship-first licence licence-research other-licensees share-openai-microsoft stake \
own-models cooperation | ends-exclusivity ends-exclusive-sale replaces-licence ends-share-microsoft-openai \
replaces-share-openai-microsoft restates-stake
"""

# The end of a term (the first day without it) and what ended it, as known on the day before each amendment and on its
# day. "-": no end is written, or it waits for the milestone. A term has a line wherever either changes.
ENDS = """
term                      | known at   | end        | ended by
A1.ownership              | 2026-04-27 | -          | A1.ownership
A1.open-weight            | 2026-04-27 | -          | A1.open-weight

A1.workloads              | 2025-01-20 | -          | A1.workloads
A1.workloads              | 2025-01-21 | 2031-01-01 | A2.through-2030
A1.workloads              | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.workloads              | 2025-10-28 | 2025-10-28 | A3.lifts-workloads
A1.workloads              | 2026-04-27 | 2025-10-28 | A3.lifts-workloads
A1.research               | 2025-01-20 | -          | A1.research
A1.research               | 2025-01-21 | 2025-01-21 | A2.lifts-research
A1.research               | 2026-04-27 | 2025-01-21 | A2.lifts-research
A1.capacity               | 2025-01-20 | -          | A1.capacity
A1.capacity               | 2025-01-21 | 2025-01-21 | A2.lifts-capacity
A1.capacity               | 2026-04-27 | 2025-01-21 | A2.lifts-capacity
A1.licence                | 2025-01-20 | -          | A1.licence
A1.licence                | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.licence                | 2025-10-28 | 2025-10-28 | A3.replaces-licence
A1.licence-exclusive      | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.licence-exclusive      | 2025-10-28 | 2025-10-28 | A3.replaces-licence
A1.sale                   | 2025-01-20 | -          | A1.sale
A1.sale                   | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.sale                   | 2025-10-28 | -          | A3.sale-until-milestone
A1.sale                   | 2026-04-26 | -          | A3.sale-until-milestone
A1.sale                   | 2026-04-27 | 2026-04-27 | A5.ends-exclusive-sale
A1.sale-stateful          | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.sale-stateful          | 2026-02-26 | -          | A3.sale-until-milestone
A1.sale-stateful          | 2026-02-27 | 2026-02-27 | A4.lifts-stateful
A1.sale-stateful          | 2026-04-27 | 2026-02-27 | A4.lifts-stateful
A1.share-microsoft-openai | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.share-microsoft-openai | 2026-04-26 | -          | A3.share-until-milestone
A1.share-microsoft-openai | 2026-04-27 | 2026-04-27 | A5.ends-share-microsoft-openai
A1.share-openai-microsoft | 2025-10-27 | 2031-01-01 | A2.through-2030
A1.share-openai-microsoft | 2026-04-26 | -          | A3.share-until-milestone
A1.share-openai-microsoft | 2026-04-27 | 2026-04-27 | A5.replaces-share-openai-microsoft

A2.api                    | 2025-10-27 | 2031-01-01 | A2.api
A2.api                    | 2025-10-28 | 2025-10-28 | A3.lifts-workloads
A2.first-refusal          | 2025-10-27 | 2031-01-01 | A2.first-refusal
A2.first-refusal          | 2025-10-28 | 2025-10-28 | A3.ends-first-refusal
A2.research               | 2025-10-27 | 2031-01-01 | A2.research
A2.research               | 2025-10-28 | 2025-10-28 | A3.lifts-workloads
A2.own-capacity           | 2025-10-27 | 2031-01-01 | A2.own-capacity
A2.own-capacity           | 2025-10-28 | 2025-10-28 | A3.ends-first-refusal
A2.ip-access              | 2025-10-28 | 2025-10-28 | A3.replaces-licence
A2.revenue                | 2026-04-26 | 2031-01-01 | A2.revenue
A2.revenue                | 2026-04-27 | 2026-04-27 | A5.ends-share-microsoft-openai

A3.capacity               | 2026-04-27 | -          | A3.capacity
A3.non-api                | 2026-04-27 | -          | A3.non-api
A3.api                    | 2026-04-26 | -          | A3.api
A3.api                    | 2026-04-27 | 2026-04-27 | A5.ends-exclusivity
A3.joint-api              | 2026-04-26 | -          | A3.joint-api
A3.joint-api              | 2026-04-27 | 2026-04-27 | A5.ends-exclusivity
A3.api-stateful           | 2026-02-26 | -          | A3.api-stateful
A3.api-stateful           | 2026-02-27 | 2026-02-27 | A4.lifts-stateful
A3.api-stateful           | 2026-04-27 | 2026-02-27 | A4.lifts-stateful
A3.licence                | 2026-04-26 | 2033-01-01 | A3.licence
A3.licence                | 2026-04-27 | 2026-04-27 | A5.replaces-licence
A3.licence-exclusive      | 2026-04-26 | 2033-01-01 | A3.licence-exclusive
A3.licence-exclusive      | 2026-04-27 | 2026-04-27 | A5.replaces-licence
A3.licence-research       | 2026-04-27 | 2031-01-01 | A3.licence-research
A3.stake                  | 2026-04-26 | -          | A3.stake
A3.stake                  | 2026-04-27 | 2026-04-27 | A5.restates-stake

A4.api                    | 2026-04-26 | -          | A4.api
A4.api                    | 2026-04-27 | 2026-04-27 | A5.ends-exclusivity
A4.joint-api              | 2026-04-26 | -          | A4.joint-api
A4.joint-api              | 2026-04-27 | 2026-04-27 | A5.ends-exclusivity
A4.stateful               | 2026-04-27 | -          | A4.stateful
A4.first-party            | 2026-04-27 | 2026-04-27 | A5.ends-exclusivity
A4.ip-access              | 2026-04-27 | -          | A4.ip-access
A4.revenue                | 2026-04-27 | 2026-04-27 | A5.ends-share-microsoft-openai

A5.any-cloud              | 2026-04-27 | -          | A5.any-cloud
A5.ship-first             | 2026-04-27 | -          | A5.ship-first
A5.licence                | 2026-04-27 | 2033-01-01 | A5.licence
A5.other-licensees        | 2026-04-27 | -          | A5.other-licensees
A5.share-openai-microsoft | 2026-04-27 | 2031-01-01 | A5.share-openai-microsoft
A5.stake                  | 2026-04-27 | -          | A5.stake
A5.own-models             | 2026-04-27 | -          | A5.own-models
A5.cooperation            | 2026-04-27 | -          | A5.cooperation
"""

# The same under another reading, or with the milestone verified on a day; and whether it is the milestone that ends it.
ENDS_OTHERWISE = """
term                      | known at   | reading   | milestone  | end        | ended by                  | milestone?
A1.sale-stateful          | 2026-04-27 | R3=a3     | -          | 2025-10-28 | A3.sale-stateful          | no
A5.licence-research       | 2026-04-27 | R6=all-ip | -          | 2033-01-01 | A5.licence-research       | no
A1.sale                   | 2025-10-27 | -         | 2026-01-01 | 2031-01-01 | A2.through-2030           | no
A1.sale                   | 2025-10-28 | -         | 2026-01-01 | 2026-01-01 | A3.sale-until-milestone   | yes
A1.sale                   | 2026-04-27 | -         | 2026-01-01 | 2026-01-01 | A3.sale-until-milestone   | yes
A1.sale                   | 2026-04-27 | -         | 2027-01-01 | 2026-04-27 | A5.ends-exclusive-sale    | no
A3.api                    | 2026-04-26 | -         | 2027-01-01 | 2027-01-01 | A3.api                    | yes
A3.api                    | 2026-04-27 | -         | 2027-01-01 | 2026-04-27 | A5.ends-exclusivity       | no
A3.licence-exclusive      | 2026-04-26 | -         | 2027-01-01 | 2027-01-01 | A3.licence-exclusive      | yes
A3.licence-exclusive      | 2026-04-26 | -         | 2034-01-01 | 2033-01-01 | A3.licence-exclusive      | no
A3.licence-research       | 2026-04-27 | -         | 2027-01-01 | 2027-01-01 | A3.licence-research       | yes
A3.licence-research       | 2026-04-27 | -         | 2031-06-01 | 2031-01-01 | A3.licence-research       | no
A5.licence                | 2026-04-27 | -         | 2027-01-01 | 2033-01-01 | A5.licence                | no
A5.share-openai-microsoft | 2026-04-27 | -         | 2027-01-01 | 2031-01-01 | A5.share-openai-microsoft | no
A1.share-openai-microsoft | 2025-10-28 | -         | 2024-01-01 | 2025-10-28 | A3.share-until-milestone  | yes
"""

# known at | milestone | every share: its term, first day, first day without it, what ended it
SHARES = """
2024-06-01 | -          | A1.share-microsoft-openai 2023-01-23 - -
2024-06-01 | -          | A1.share-openai-microsoft 2023-01-23 - -
2025-10-27 | -          | A1.share-microsoft-openai 2023-01-23 2031-01-01 A2.through-2030
2025-10-27 | -          | A1.share-openai-microsoft 2023-01-23 2031-01-01 A2.through-2030
2025-10-27 | 2026-01-01 | A1.share-microsoft-openai 2023-01-23 2031-01-01 A2.through-2030
2025-10-27 | 2026-01-01 | A1.share-openai-microsoft 2023-01-23 2031-01-01 A2.through-2030
2025-10-28 | -          | A1.share-microsoft-openai 2023-01-23 - -
2025-10-28 | -          | A1.share-openai-microsoft 2023-01-23 - -
2025-10-28 | 2026-01-01 | A1.share-microsoft-openai 2023-01-23 2026-01-01 A3.share-until-milestone
2025-10-28 | 2026-01-01 | A1.share-openai-microsoft 2023-01-23 2026-01-01 A3.share-until-milestone
2026-04-26 | 2027-01-01 | A1.share-microsoft-openai 2023-01-23 2027-01-01 A3.share-until-milestone
2026-04-26 | 2027-01-01 | A1.share-openai-microsoft 2023-01-23 2027-01-01 A3.share-until-milestone
2026-04-27 | -          | A1.share-microsoft-openai 2023-01-23 2026-04-27 A5.ends-share-microsoft-openai
2026-04-27 | -          | A1.share-openai-microsoft 2023-01-23 2026-04-27 A5.replaces-share-openai-microsoft
2026-04-27 | -          | A5.share-openai-microsoft 2026-04-27 2031-01-01 A5.share-openai-microsoft
2026-04-27 | 2026-01-01 | A1.share-microsoft-openai 2023-01-23 2026-01-01 A3.share-until-milestone
2026-04-27 | 2026-01-01 | A1.share-openai-microsoft 2023-01-23 2026-01-01 A3.share-until-milestone
2026-04-27 | 2026-01-01 | A5.share-openai-microsoft 2026-04-27 2031-01-01 A5.share-openai-microsoft
2026-04-27 | 2027-01-01 | A1.share-microsoft-openai 2023-01-23 2026-04-27 A5.ends-share-microsoft-openai
2026-04-27 | 2027-01-01 | A1.share-openai-microsoft 2023-01-23 2026-04-27 A5.replaces-share-openai-microsoft
2026-04-27 | 2027-01-01 | A5.share-openai-microsoft 2026-04-27 2031-01-01 A5.share-openai-microsoft
"""

# product | cloud | stage | effective
LAUNCHES = """
stateful-runtime | aws | announced | 2026-02-27
gpt-5.4 | azure | available | 2026-03-07
gpt-5.5 | azure | available | 2026-04-24
gpt-5.5 | aws | preview | 2026-04-28
gpt-5.4 | aws | preview | 2026-04-28
codex | aws | preview | 2026-04-28
managed-agents | aws | preview | 2026-04-28
gpt-5.5 | aws | available | 2026-06-01
gpt-5.4 | aws | available | 2026-06-01
codex | aws | available | 2026-06-01
gpt-5.5 | oci | available | 2026-06-11
codex | oci | available | 2026-06-11
"""


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().split("\n") if line.strip()]


def day_text(day: date) -> str:
    return "-" if day == FOREVER else str(day)


def states(known_at: str, reading: str = "-", milestone: str = "-") -> dict[str, TermState]:
    opened = PARTNERSHIP if milestone == "-" else PARTNERSHIP.supposing([f"milestone={milestone}"])
    readings = dict([reading.split("=")]) if reading != "-" else {}
    return {state.term.id: state for state in opened.in_force(FAR, known_at, readings).states}


def items(amendment: Amendment) -> list[Term | Change]:
    return [*amendment.terms, *amendment.changes]


@pytest.mark.parametrize("row", rows(AMENDMENTS), ids=lambda row: row[0])
def test_what_each_amendment_says(row: list[str]) -> None:
    id, day, terms, changes = row
    amendment = next(amendment for amendment in AGREEMENT.amendments if amendment.id == id)
    assert (str(amendment.announced), str(amendment.effective)) == (day, day)
    assert [term.id for term in amendment.terms] == [f"{id}.{name}" for name in terms.split()]
    assert [change.id for change in amendment.changes] == [f"{id}.{name}" for name in changes.split() if name != "-"]
    assert {term.begins for term in amendment.terms} == {amendment.effective}


def test_the_amendments_stand_oldest_first() -> None:
    assert [amendment.id for amendment in AGREEMENT.amendments] == ["A1", "A2", "A3", "A4", "A5"]


@pytest.mark.parametrize("row", rows(ENDS)[1:], ids=" ".join)
def test_the_end_of_each_term_as_known_then(row: list[str]) -> None:
    term, known_at, end, ended_by = row
    state = states(known_at)[term]
    assert [day_text(state.end), state.ended_by.term] == [end, ended_by]


def test_the_table_of_ends_knows_every_term() -> None:
    conditional = {"A5.licence-research"}  # under R6's alternative only
    listed = {row[0] for row in rows(ENDS)[1:]}
    assert listed == {term.id for amendment in AGREEMENT.amendments for term in amendment.terms} - conditional


@pytest.mark.parametrize("row", rows(ENDS_OTHERWISE)[1:], ids=" ".join)
def test_the_end_of_a_term_under_a_reading_or_with_the_milestone(row: list[str]) -> None:
    term, known_at, reading, milestone, end, ended_by, by_milestone = row
    state = states(known_at, reading, milestone)[term]
    assert [day_text(state.end), state.ended_by.term] == [end, ended_by]
    assert (state.event is not None) == (by_milestone == "yes")


def test_terms_that_a_reading_takes_out() -> None:
    assert "A3.api-stateful" not in states("2026-04-27", "R3=a3")
    assert "A5.licence-research" not in states("2026-04-27")


@pytest.mark.parametrize("day", ["2023-01-22", "2025-01-20", "2025-01-21", "2025-10-28", "2026-02-27", "2026-04-26"])
def test_an_amendment_is_unknown_before_its_day(day: str) -> None:
    known = {state.amendment for state in PARTNERSHIP.in_force(FAR, day).states}
    assert known == {amendment.id for amendment in AGREEMENT.amendments if str(amendment.announced) <= day}


@pytest.mark.parametrize(
    ("known_at", "milestone"), sorted({(row[0], row[1]) for row in rows(SHARES)}), ids=lambda cell: str(cell)
)
def test_revenue_shares_with_their_days(known_at: str, milestone: str) -> None:
    opened = PARTNERSHIP if milestone == "-" else PARTNERSHIP.supposing([f"milestone={milestone}"])
    shares = [
        f"{share.term} {share.begin} {day_text(share.end)} {share.ended_by.term if share.ended_by else '-'}"
        for share in opened.revenue_shares(known_at)
    ]
    assert shares == [row[2] for row in rows(SHARES) if row[:2] == [known_at, milestone]]


def test_nobody_shares_before_the_first_amendment_is_known() -> None:
    assert PARTNERSHIP.revenue_shares("2023-01-22") == []


def test_only_two_clauses_stand_in_prose_alone() -> None:
    prose = [(amendment.id, clause.number, clause.title) for amendment, clause in AGREEMENT.not_formalised()]
    assert prose == [("A4", "4.1", "No term changes"), ("A4", "4.7", "Milestone")]


def test_each_term_and_change_is_cited_at_the_line_of_its_block() -> None:
    for amendment in AGREEMENT.amendments:
        lines = (FOLDER / amendment.document).read_text("utf-8").split("\n")
        for item in items(amendment):
            assert item.citation.document == amendment.document
            assert item.citation.amendment == amendment.id
            assert lines[item.citation.line - 1] == f"id: {item.id}"


def test_each_term_is_cited_with_the_prose_it_stands_under() -> None:
    for amendment in AGREEMENT.amendments:
        for item in items(amendment):
            above = [clause for clause in amendment.clauses if clause.line < item.citation.line]
            assert item.citation.text == above[-1].text
            assert above[-1].formalised


def test_definitions_are_cited_where_they_stand() -> None:
    lines = (FOLDER / "agreement.md").read_text("utf-8").split("\n")
    cited = [
        *AGREEMENT.rules.values(),
        *(reading.citation for reading in AGREEMENT.readings.values()),
        *(figure.citation for figure in AGREEMENT.figures.values()),
        *(comment.citation for comment in AGREEMENT.commentary),
    ]
    assert len(cited) == 6 + 4 + 6 + 2
    for citation in cited:
        assert lines[citation.line - 1].startswith(f"  {citation.term}:")


# term or change | the sources that carry it, and no others
SOURCES = """
A1.ownership                        | ours
A1.workloads                        | S1
A1.research                         | S1
A1.capacity                         | ours
A1.licence                          | S2 ours
A1.licence-exclusive                | S2
A1.sale                             | S0
A1.sale-stateful                    | S0
A1.share-microsoft-openai           | P
A1.share-openai-microsoft           | P
A1.open-weight                      | ours
A2.api                              | S1 P
A2.first-refusal                    | P
A2.research                         | P
A2.own-capacity                     | P
A2.ip-access                        | S1 S0
A2.revenue                          | P
A2.through-2030                     | S1
A2.lifts-capacity                   | P
A2.lifts-research                   | P
A3.capacity                         | S1
A3.non-api                          | S1
A3.api                              | S1 P
A3.api-stateful                     | S1 P
A3.joint-api                        | P
A3.licence                          | P ours
A3.licence-exclusive                | P
A3.licence-research                 | P
A3.stake                            | P
A3.ends-first-refusal               | S1
A3.lifts-workloads                  | S1
A3.sale-until-milestone             | P
A3.sale-stateful                    | ours
A3.replaces-licence                 | P
A3.share-until-milestone            | P
A4.api                              | S1 P
A4.joint-api                        | P
A4.stateful                         | P
A4.first-party                      | P
A4.ip-access                        | S0
A4.revenue                          | S1
A4.lifts-stateful                   | P
A5.any-cloud                        | S2 S4
A5.ship-first                       | S4 S2
A5.licence                          | S2 S4 ours
A5.licence-research                 | S3 S4
A5.other-licensees                  | S2
A5.share-openai-microsoft           | S2 S3 S4 P
A5.stake                            | S3 S4
A5.own-models                       | S3 S4
A5.cooperation                      | S0 S2 P
A5.ends-exclusivity                 | S2 S4
A5.ends-exclusive-sale              | S0
A5.replaces-licence                 | S2 S4
A5.ends-share-microsoft-openai      | S2 S3 S4
A5.replaces-share-openai-microsoft  | S2 S3 S4
A5.restates-stake                   | S3 S4
"""


def test_each_term_cites_exactly_the_sources_that_carry_it() -> None:
    cited = {
        item.id: " ".join(source.split(" ")[0] for source in item.citation.source.split("; "))
        for amendment in AGREEMENT.amendments
        for item in items(amendment)
    }
    assert cited == dict(rows(SOURCES))


def test_reports_are_cited_with_a_passage() -> None:
    for amendment in AGREEMENT.amendments:
        for item in items(amendment):
            for source in item.citation.source.split("; "):
                id, _, named = source.partition(" ")
                title = AGREEMENT.sources[id]
                assert named.startswith(f"({title}: ") if id.startswith("S") else named.startswith(f"({title}")


def test_context_is_told_with_its_day_and_changes_nothing() -> None:
    assert [(note.id, str(note.day), note.value) for note in AGREEMENT.context] == [
        ("round-2025", "2025-03-31", "USD 40 billion"),
        ("round-2026", "2026-03-31", "USD 122 billion"),
        ("venture-talks", "2026-03-31", ""),
        ("memo", "2026-04-20", ""),
        ("venture-commitment", "2026-04-20", "up to USD 1.5 billion"),
        ("bridge-loan", "2026-04-27", "USD 40 billion"),
        ("early-access", "2026-04-27", ""),
        ("products", "2026-04-27", ""),
    ]
    without = msgspec.structs.replace(AGREEMENT, context=())
    assert meaning_of(without) == AGREEMENT.meaning_digest


def test_readings_and_their_defaults() -> None:
    assert AGREEMENT.default_readings() == {"R1": "and", "R3": "a4", "R5": "new", "R6": "listed"}
    assert {id: reading.options for id, reading in AGREEMENT.readings.items()} == {
        "R1": ("and", "or"),
        "R3": ("a4", "a3"),
        "R5": ("new", "all"),
        "R6": ("listed", "all-ip"),
    }


def test_figures_are_assumptions_and_no_terms() -> None:
    assert {id: (figure.value, figure.standing) for id, figure in AGREEMENT.figures.items()} == {
        "share-openai-microsoft": ("20 %", "reported"),
        "share-microsoft-openai": ("20 %", "reported"),
        "cap": ("USD 38000000000", "reported"),
        "cap-counts": ("from-a5", "ours"),
        "revenue-owner": ("seller", "ours"),
        "wholesale": ("100 %", "ours"),
    }


def test_the_register_of_launches() -> None:
    launches = [
        [fact.product, fact.cloud, fact.stage, str(fact.effective)]
        for fact in PARTNERSHIP.facts.facts
        if isinstance(fact, Launch)
    ]
    assert launches == rows(LAUNCHES)
    lines = (FOLDER / "facts.md").read_text("utf-8").split("\n")
    for fact in PARTNERSHIP.facts.facts:
        assert lines[fact.citation.line - 1].startswith("- {kind: launch, product: " + fact.citation.term.split(":")[1])


@pytest.mark.parametrize(
    ("known_at", "days"),
    [
        ("2023-01-22", ""),
        ("2023-01-23", "2023-01-23"),
        ("2025-01-21", "2023-01-23 2025-01-21 2031-01-01"),
        ("2025-10-28", "2023-01-23 2025-01-21 2025-10-28 2031-01-01 2033-01-01"),
        (
            "2026-04-27",
            "2023-01-23 2025-01-21 2025-10-28 2026-02-27 2026-03-07 2026-04-24 2026-04-27 2031-01-01 2033-01-01",
        ),
    ],
)
def test_boundaries_are_the_days_on_which_an_answer_can_change(known_at: str, days: str) -> None:
    result = boundaries(AGREEMENT, PARTNERSHIP.facts, KnownAt.end_of(date.fromisoformat(known_at)))
    assert [str(day) for day in result] == days.split()


def test_between_two_boundaries_nothing_changes() -> None:
    known = KnownAt.everything()
    days = boundaries(AGREEMENT, PARTNERSHIP.facts, known)
    for begin, end in zip(days, [*days[1:], FAR], strict=True):
        last = date.fromordinal(end.toordinal() - 1)
        first_day, last_day = (
            [(state.term.id, state.in_force, state.end) for state in PARTNERSHIP.in_force(day, known).states]
            for day in (begin, last)
        )
        assert first_day == last_day
