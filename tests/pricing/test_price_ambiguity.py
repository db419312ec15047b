"""Lines of a book that are refused as ambiguous: those that comparing each with all before it would refuse, in a book
of any length."""

from collections.abc import Sequence
from datetime import date
from itertools import combinations, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_price_choice import HEADER, line

from clauseway.metering import Unit
from clauseway.pricing import PriceBook, PriceEntry, PriceTable, Sale, ambiguity, parse_book
from clauseway.values import InvalidInput, KnownAt

DAYS = ("2026-01-01", "2026-02-01", "2026-03-01")
# Each part of a line with what it may say; what a line leaves out holds for any.
PARTS = {
    "product": ("", "gpt", "o9"),
    "cloud": ("", "aws", "azure"),
    "seller": ("", "openai"),
    "buyer": ("", "Acme", "Contoso"),
    "tier": ("", "batch"),
    "above": ("", "100"),
    "hours": ("", "22-06", "06-22"),
    "begin": DAYS[:2],
    "end": ("", *DAYS[1:]),
    "known_at": DAYS[:2],
    "unit": ("input_tokens", "output_tokens"),
    "off": ("", "5"),
}
LINES = st.fixed_dictionaries({name: st.sampled_from(said) for name, said in PARTS.items()})
# Most lines of these meet, and a third often decides between two.
CLOSE = st.fixed_dictionaries({name: st.sampled_from(PARTS[name][:2]) for name in ("cloud", "seller", "buyer")})
UNITLESS = CLOSE.map(lambda said: said | {"unit": "", "off": "6"})


def written(said: dict[str, str]) -> str:
    return line(" ".join(f"{name}={value}" for name, value in said.items() if value or name != "off"))


KINDS = (LINES, CLOSE, CLOSE | UNITLESS, LINES | UNITLESS)
BOOKS = st.sampled_from(KINDS).flatmap(lambda kind: st.lists(kind.map(written), max_size=9))


def read(lines: Sequence[str]) -> PriceBook:
    return parse_book(HEADER + "\n".join(lines), "book.csv")


def refused(lines: Sequence[str]) -> dict[int, str]:
    """The lines that are refused as ambiguous, with the line that each meets."""
    try:
        read(lines)
    except InvalidInput as error:
        return {problem.line: problem.why.split(" is ")[0] for problem in error.problems if "ambiguous" in problem.what}
    return {}


def entries_of(lines: Sequence[str]) -> list[PriceEntry]:
    """Each line read alone, at its place in the book."""
    blank = ["#"] * len(lines)
    return [read([*blank[:at], each]).entries[0] for at, each in enumerate(lines)]


def has_days(text: str) -> bool:
    begin, end = (text.split(",")[HEADER.split(",").index(name)] for name in ("begin", "end"))
    return not end or begin < end


@given(BOOKS)
# One that names fewer than both together, and more than each, decides.
@example([line("cloud=aws seller=openai"), line("buyer=Acme tier=batch"), line("cloud=aws buyer=Acme tier=batch")])
# The first that it meets is named, whatever it names itself.
@example([line("cloud=azure"), line("buyer=Acme"), line("cloud=aws"), line("cloud=aws")])
@example([line("off=5"), line("unit= cloud=aws off=6")])
# The decisive condition is of the unit that either names.
@example(
    [
        line("cloud=aws off=5"),
        line("unit= seller=openai buyer=Acme off=6"),
        line("cloud=aws seller=openai buyer=Acme off=7"),
    ]
)
def test_comparing_each_with_all_before_it_refuses_the_same(drawn: list[str]) -> None:
    lines = [each for each in drawn if has_days(each)]
    entries = entries_of(lines)
    expected: dict[int, str] = {}
    for earlier, later in sorted(combinations(entries, 2), key=lambda pair: (pair[1].line, pair[0].line)):
        is_decided = any(ambiguity._decides(entry, earlier, later) for entry in entries)
        if ambiguity._ambiguous(earlier, later) and not is_decided:
            expected.setdefault(later.line, f"line {earlier.line}")
    assert refused(lines) == expected


SALES = [
    Sale(name, cloud, "openai", "", buyer, tier, context=context, hour=hour)
    for name, cloud, buyer, tier, context, hour in product(
        ("gpt", "o9"), ("aws", "azure"), ("Acme", "Contoso"), ("default", "batch"), (50, 150), (3, 12)
    )
]


@given(BOOKS)
def test_in_a_book_that_is_accepted_no_price_is_chosen_by_its_place(drawn: list[str]) -> None:
    lines = [each.removesuffix("x") + f"line {number}" for number, each in enumerate(drawn) if has_days(each)]
    if refused(lines):
        return
    first, second = (PriceTable(read(each), KnownAt.everything()) for each in (lines, lines[::-1]))
    for sale, day in product(SALES, map(date.fromisoformat, DAYS)):
        assert first.row(sale, day).sources == second.row(sale, day).sources


@pytest.mark.parametrize("buyers", [10, 100])
def test_a_line_is_compared_with_few_however_long_the_book_is(buyers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    decide = ambiguity._ambiguous

    def compare(earlier: PriceEntry, later: PriceEntry) -> bool:
        compared.append(later.line)
        return decide(earlier, later)

    monkeypatch.setattr(ambiguity, "_ambiguous", compare)
    lines = [
        line(f"buyer=b{buyer} cloud={cloud} begin={begin}", unit=unit.column)
        for buyer in range(buyers)
        for cloud in ("aws", "azure")
        for unit in (Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS)
        for begin in DAYS
    ]
    read([line("cloud=aws"), *lines])
    # Of a price's three lines the second is compared with one, the third with two: 0 + 1 + 2 for three lines.
    assert len(compared) == len(lines)
