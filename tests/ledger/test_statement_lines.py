"""The statement of a month by its lines: who sees which, what each rests on, the names that papers call them by."""

from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import at, cited, month, settled, share, sold

from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.shares import ShareBase
from clauseway.app.reports.statements import statement_context
from clauseway.ledger import Settlement, Statement, StatementChange, corrected, statement_of
from clauseway.ledger.differences import differences
from clauseway.ledger.statement import canonical_bytes, concerning, digest_of

MAY = month("2026-05")
FIGURES = {
    name: Figure(id=name, value=value, standing=standing, citation=cited(name))
    for name, value, standing in (
        ("rate-a", "20 %", "reported"),
        ("cap-a", "USD 900", "reported"),
        ("rate-b", "5 %", "reported"),
        ("wholesale", "100 %", "ours"),
        ("revenue-owner", "seller", "ours"),
    )
}
# The maker owes the host 20 % under a cap and, until 20 May, 5 % more; the reseller owes the maker a tenth.
A1 = share("A1.share", rate="rate-a", cap="cap-a")
B1 = share("B1.share", rate="rate-b", end=date(2026, 5, 21), ended_by=cited("B9.ends"))
R1 = share("R1.share", payer="reseller", payee="maker", rate="10 %", base=ShareBase(sellers=frozenset({"reseller"})))
SALES = [sold("05-02", "100.00"), sold("05-03", "50.00", cloud="own"), sold("05-04", "30.00", seller="reseller")]


def change(payer: str, payee: str, old: str, new: str, begin: str = "2026-04") -> StatementChange:
    nothing, term = D(0), f"{payer[0].upper()}1.share"
    return StatementChange(
        period=month(begin),
        term=term,
        payer=payer,
        payee=payee,
        line=f"{term}|chat|own|maker",
        old=D(old),
        new=D(new),
        old_base=D(25),
        new_base=D(40),
        old_requests=3,
        new_requests=5,
        old_adjusted=nothing,
        new_adjusted=nothing,
        causes=("late usage",),
        citation=cited("X"),
    )


def settled_may() -> Settlement:
    plain = settled(
        SALES,
        MAY,
        A1,
        B1,
        R1,
        figures=FIGURES,
        assume=["rate-a", "cap-a", "rate-b"],
        disputed=[at("05-02", 1, "D1", "-10.00")],
    )
    return corrected(
        plain,
        [change("maker", "host", "5.00", "8.00"), change("reseller", "maker", "1.00", "1.50")],
        ["r1"],
        [change("maker", "host", "8.00", "10.00", "2026-03")],
    )


MAKER_TO_HOST = [
    "A1.share chat on own 50.00 × 0.2 = 10.00",
    "A1.share chat on rented 90.00 × 0.2 = 18.00",
    "B1.share chat on own 50.00 × 0.05 = 2.50",
    "B1.share chat on rented 90.00 × 0.05 = 4.50",
    "M1.share chat on own 15 × 0 = 3.00",
    "M1.share chat on own 15 × 0 = 2.00",
]
RESELLER_TO_MAKER = ["R1.share chat on rented 30.00 × 0.1 = 3.00", "R1.share chat on own 15 × 0 = 0.50"]
# A party → the lines that it sees, and what each direction comes to, with what is in dispute.
SEEN = [
    ("", MAKER_TO_HOST + RESELLER_TO_MAKER, ["maker host 40.00 (2.50)", "reseller maker 3.50 (0)"]),
    ("maker", MAKER_TO_HOST + RESELLER_TO_MAKER, ["maker host 40.00 (2.50)", "reseller maker 3.50 (0)"]),
    ("host", MAKER_TO_HOST, ["maker host 40.00 (2.50)"]),
    ("reseller", RESELLER_TO_MAKER, ["reseller maker 3.50 (0)"]),
    ("nobody", [], []),
]


@pytest.mark.parametrize(("party", "lines", "directions"), SEEN)
def test_who_sees_which_lines(party: str, lines: list[str], directions: list[str]) -> None:
    statement = statement_of(settled_may(), party)
    assert [
        f"{line.term} {line.product} on {line.cloud} {line.base} × {line.rate} = {line.amount}"
        for line in statement.lines
    ] == lines
    assert [
        f"{direction.payer} {direction.payee} {direction.total} ({direction.disputed})"
        for direction in statement.directions
    ] == directions
    assert sorted({(due.payer, due.payee) for due in statement.dues}) == sorted(
        (direction.payer, direction.payee) for direction in statement.directions
    )


@pytest.mark.parametrize("party", ["", "host", "maker", "reseller"])
def test_a_party_s_part_of_the_whole_is_its_statement(party: str) -> None:
    settlement = settled_may()
    assert concerning(statement_of(settlement), party) == msgspec.structs.replace(
        statement_of(settlement, party), party=""
    )


def test_what_a_line_says_of_closed_months() -> None:
    statement = statement_of(settled_may(), "host")
    [direction] = statement.directions
    assert [(line.corrects, line.restates, line.is_change, line.requests) for line in statement.lines] == [
        ("", "", False, 1),
        ("", "", False, 1),
        ("", "", False, 1),
        ("", "", False, 1),
        ("2026-04", "", True, 2),
        ("", "2026-03", True, 2),
    ]
    assert [len(part) for part in (direction.shares, direction.corrections, direction.restated)] == [2, 1, 1]
    assert [str(line.days.begin) for line in statement.lines[-2:]] == ["2026-04-01", "2026-03-01"]


def test_a_pair_that_only_has_changes_of_closed_months_has_a_direction() -> None:
    """Neither a share in force nor an ended one is between the two."""
    nothing = settled([], MAY)
    owed = change("host", "maker", "5.00", "8.00")
    for corrections, restated in (([owed], []), ([], [owed])):
        [direction] = statement_of(corrected(nothing, corrections, ["r1"], restated)).directions
        assert (direction.payer, direction.payee, str(direction.total)) == ("host", "maker", "3.00")


def test_a_minimum_has_no_rate_and_a_product_of_that_name_has_one() -> None:
    statement = statement_of(settled(SALES, MAY, A1, figures=FIGURES, assume=["rate-a", "cap-a"]))
    line = msgspec.structs.replace(statement.lines[0], product="minimum")
    assert statement.rate_of(line) == D("0.20")
    assert statement.rate_of(msgspec.structs.replace(line, seller="")) is None


def test_what_a_line_rests_on() -> None:
    """Its share's own figures, and those of ours that hold for all; its clause, and what ended it."""
    lines = {(line.term, line.cloud): line for line in statement_of(settled_may()).lines if not line.is_change}
    ours = ("wholesale", "revenue-owner")
    assert set(lines["A1.share", "own"].assumptions) == {"rate-a", "cap-a", *ours}
    assert set(lines["B1.share", "own"].assumptions) == {"rate-b", *ours}
    assert set(lines["R1.share", "rented"].assumptions) == set(ours)
    assert [citation.term for citation in lines["A1.share", "own"].citations] == ["A1.share"]
    assert [citation.term for citation in lines["B1.share", "own"].citations] == ["B1.share", "B9.ends"]
    # A clause that ends itself is cited once.
    itself = settled(SALES, MAY, share(end=date(2026, 5, 21), ended_by=cited("A1.share")))
    assert [len(line.citations) for line in statement_of(itself).lines] == [1, 1]


def test_a_line_keeps_the_name_that_papers_call_it_by() -> None:
    """Statements that were handed over hold these; they depend on what the line is of, never on its amount."""
    names = [line.id for line in statement_of(settled_may()).lines]
    assert names == ["m9k3y322", "8e89682v", "82anfvxs", "vpma25cm", "fz3xhhsn", "716yp1k6", "eb2an0hp", "4qhxcwt1"]
    assert len({*names}) == 8
    dearer = settled(
        [sold("05-02", "999.00"), *SALES[1:]], MAY, A1, B1, R1, figures=FIGURES, assume=["rate-a", "cap-a", "rate-b"]
    )
    assert [line.id for line in statement_of(dearer).lines] == [*names[:4], names[6]]


def test_another_receipt_alone_hides_no_other_difference() -> None:
    """The working of a share stands in no line: it is named where nothing but the receipt differs otherwise."""
    statement = statement_of(settled_may(), "host")
    [direction] = statement.directions
    moved = msgspec.structs.replace(direction.shares[0], base_after=D(1))
    other = msgspec.structs.replace(
        statement,
        receipt="0" * 64,
        directions=(msgspec.structs.replace(direction, shares=(moved, *direction.shares[1:])),),
    )
    receipt, directions = differences(statement, other)
    assert (receipt.what, directions.what) == ("receipt", "directions")
    assert f'"base_after":"{direction.shares[0].base_after}"' in directions.stated
    assert '"base_after":"1"' in directions.found
    assert differences(statement, statement) == []
    # The same value of a figure that is ours in one statement, and was reported in the other.
    [named, *others] = statement.assumptions
    ours = msgspec.structs.replace(named, standing="ours")
    changes = differences(statement, msgspec.structs.replace(statement, assumptions=(ours, *others)))
    assert [str(difference) for difference in changes] == [
        f"assumption: {named.name} is stated as {named.value} ({named.standing}), found as {named.value} (ours)"
    ]


def test_what_one_statement_lacks_is_nothing_in_it() -> None:
    statement = statement_of(settled_may())
    named, *others = statement.assumptions
    lacks = msgspec.structs.replace(statement, assumptions=tuple(others))
    has, nothing = f"{named.value} ({named.standing})", "nothing"
    for stated, found, before, after in ((statement, lacks, has, nothing), (lacks, statement, nothing, has)):
        said = [str(difference) for difference in differences(stated, found)]
        assert said == [f"assumption: {named.name} is stated as {before}, found as {after}"]


def test_a_line_or_a_total_that_differs_is_named() -> None:
    statement = statement_of(settled_may(), "host")
    [direction] = statement.directions
    line = statement.lines[0]
    short = msgspec.structs.replace(statement, lines=statement.lines[1:])
    other = msgspec.structs.replace(statement, directions=(msgspec.structs.replace(direction, total=D("1.00")),))
    described = f"{line.product} on {line.cloud}, sold by {line.seller}: {line.amount}"
    for stated, found, said in (
        (statement, short, f"line {line.id}: the line is stated as {described}, found as nothing"),
        (short, statement, f"line {line.id}: the line is stated as nothing, found as {described}"),
        (statement, other, f"total: maker to host is stated as {direction.total}, found as 1.00"),
    ):
        assert [str(difference) for difference in differences(stated, found)] == [said]


def test_usage_is_told_apart_by_its_digest_or_its_batches() -> None:
    statement = statement_of(settled_may())

    def of(**inputs: object) -> Statement:
        return msgspec.structs.replace(statement, inputs=msgspec.structs.replace(statement.inputs, **inputs))

    used = of(batches=(), usage="ab" * 32, attempts=12)
    for stated, found, said in (
        (statement, used, f"one, found as 12 attempts, {'ab' * 32}"),
        (used, of(batches=(), usage="", attempts=0), f"12 attempts, {'ab' * 32}, found as none"),
        (statement, of(batches=("two", "one")), "one, found as one, two"),
    ):
        assert [str(difference) for difference in differences(stated, found)] == [f"input: usage is stated as {said}"]


def test_a_statement_is_written_to_the_byte() -> None:
    statement = statement_of(settled_may())
    written = canonical_bytes(statement)
    assert written.endswith(b"\n}\n")
    assert written.startswith(b'{\n  "as_of": {\n    "begin": "2026-05-01"')
    assert digest_of(statement) != digest_of(msgspec.structs.replace(statement, party="host"))


def test_the_event_that_ends_a_share_is_named() -> None:
    """In the month of its end, and in every later one."""
    breach = msgspec.structs.replace(cited("event:breach"), document="facts.md", line=7, text="No audit. (2026-05-21)")
    ended = share("A1.share", end=date(2026, 5, 21), ended_by=cited("A1.share"), event=breach)
    said = "event:breach (facts.md:7: No audit. (2026-05-21))"
    for period, notes in (
        (MAY, [f"Ended with 20 May 2026 by A1.share (A1.md), upon {said}.", f"Ended, upon {said}."]),
        (month("2026-06"), [f"Ended, upon {said}."]),
    ):
        sections = statement_context(statement_of(settled(SALES, period, ended))).sections
        assert [section.note for section in sections] == notes
        assert all(breach in section.ended_by for section in sections)


def test_a_receipt_says_that_nothing_recorded_was_left_out() -> None:
    statement = statement_of(settled_may())
    for known_at, said in (
        ("everything", ("known", "everything recorded")),
        ("2026-06-03T23:59:59Z", ("known at", "2026-06-03T23:59:59Z")),
    ):
        receipt = statement_context(msgspec.structs.replace(statement, known_at=known_at)).receipt
        assert said in [(line.name, line.value) for line in receipt]
