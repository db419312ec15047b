"""A month under other terms beside the real one. The usage and its charges are those of `metered_months`."""

from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from bench.price_tables import open_prices
from journals import gateway, home_at, today

from clauseway.app.books.settled import latest_settlements
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import documents_of, open_agreement
from clauseway.app.opening.several import open_agreements
from clauseway.app.reports.what_if import read_under, what_if
from clauseway.storage import Control
from clauseway.values import InvalidInput, KnownAt
from metered_months import ACCEPTED, metered_home

EVERYTHING = KnownAt.everything()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return metered_home(tmp_path_factory.mktemp("months"))


def asked(home: Home, period: str, *under: str, assume: tuple[str, ...] = ACCEPTED) -> Any:
    return what_if(home, open_agreement(), open_prices(EVERYTHING, home.root / "book.csv"), period, assume, {}, under)


# payer → payee: real, supposed. A share is 20 %.
MONTHS = [
    # April: openai 20 % of 100 until the 26th and of 100 after; microsoft 20 % of 50 until the 26th, then nothing.
    ("2026-04", (), {"microsoft>openai": ("10.00", "10.00"), "openai>microsoft": ("40.00", "40.00")}),
    # Up to A3 microsoft's share goes on: 20 % of 50 + 20.
    ("2026-04", ("A3",), {"microsoft>openai": ("10.00", "14.00"), "openai>microsoft": ("40.00", "40.00")}),
    # May: openai 20 % of 200 + 144 = 68.80; up to A3 microsoft pays 20 % of 100.
    ("2026-05", ("A3",), {"microsoft>openai": ("0.00", "20.00"), "openai>microsoft": ("68.80", "68.80")}),
    # A cap of 70: A5's share of April, 20 % of 100, took 20 of it, so May is clipped to 50.
    ("2026-05", ("cap=70",), {"microsoft>openai": ("0.00", "0.00"), "openai>microsoft": ("68.80", "50.00")}),
    # 15 % of 444 cumulative is 66.60, of April's 100 15.00: 51.60.
    (
        "2026-05",
        ("share-openai-microsoft=15%",),
        {"microsoft>openai": ("0.00", "0.00"), "openai>microsoft": ("68.80", "51.60")},
    ),
    # Before A5 there is no cap to clip at.
    ("2026-05", ("A4", "cap=70"), {"microsoft>openai": ("0.00", "20.00"), "openai>microsoft": ("68.80", "68.80")}),
    # How ship-first is read moves no money.
    ("2026-05", ("R1=or",), {"microsoft>openai": ("0.00", "0.00"), "openai>microsoft": ("68.80", "68.80")}),
]


@pytest.mark.parametrize(("period", "under", "due"), MONTHS)
def test_what_would_be_due(home: Home, period: str, under: tuple[str, ...], due: dict[str, tuple[str, str]]) -> None:
    comparison = asked(home, period, *under).beside
    result = {f"{item.payer}>{item.payee}": (item.real, item.other) for item in comparison.directions}
    assert result == {pair: tuple(map(D, amounts)) for pair, amounts in due.items()}
    for direction in comparison.directions:
        lines = [line for line in comparison.lines if (line.payer, line.payee) == (direction.payer, direction.payee)]
        assert sum((line.real.amount for line in lines), D(0)) == direction.real
        assert sum((line.other.amount for line in lines), D(0)) == direction.other
        assert (
            sum((line.difference for line in lines), D(0)) == direction.difference == direction.other - direction.real
        )
    assert sum((party.gains for party in comparison.parties), D(0)) == 0


def test_a_line_names_both_sides_with_their_terms(home: Home) -> None:
    comparison = asked(home, "2026-05", "A3").beside
    [line] = [line for line in comparison.lines if line.payer == "microsoft"]
    assert (line.of, line.real.terms, line.other.terms) == (
        "gpt-5.4 on azure, sold by microsoft",
        (),
        ("A1.share-microsoft-openai",),
    )
    assert (line.other.base, line.other.amount, line.difference) == (D(100), D("20.00"), D("20.00"))
    assert {party.party: party.gains for party in comparison.parties} == {
        "microsoft": D("-20.00"),
        "openai": D("20.00"),
    }


@pytest.mark.parametrize("period", ["2026-04", "2026-05"])
@pytest.mark.parametrize("under", [("A5",), ("R1=and",), ("cap",)])
def test_under_the_same_terms_it_is_the_real_settlement(home: Home, period: str, under: tuple[str, ...]) -> None:
    result = asked(home, period, *under)
    assert result.beside.is_same
    assert {line.difference for line in result.beside.lines} == {D(0)}
    assert result.beside.real_receipt == result.beside.other_receipt


def test_nothing_is_posted_and_the_posted_settlement_is_the_real_side(tmp_path: Path) -> None:
    home = metered_home(tmp_path)
    opened, prices = open_agreement(), open_prices(EVERYTHING, home.root / "book.csv")
    asked(home, "2026-05", "A3")
    assert not latest_settlements(home)
    posted = settle_month(home, opened, prices, "2026-05", ACCEPTED, {})
    before = journal(home)
    # Figures accepted for the posted settlement need not be named again.
    outcome = what_if(home, opened, prices, "2026-05", (), {}, ("A3", "share-microsoft-openai"))
    assert (outcome.posted, outcome.real_is_posted) == (posted.receipt, True)
    assert [direction.real for direction in outcome.beside.directions] == [D("0.00"), D("68.80")]
    assert journal(home) == before
    assert len(latest_settlements(home)) == 1


def journal(home: Home) -> list[Any]:
    control = Control.open(home.control)
    try:
        return [*control.entries(), *control.settlements()]
    finally:
        control.close()


def test_what_was_metered_by_now_is_in_both_sides(tmp_path: Path) -> None:
    home = home_at(tmp_path / "home")
    gateway(home)
    comparison = asked(home, f"{today():%Y-%m}", "share-openai-microsoft=15%").beside
    [openai] = [way for way in comparison.directions if way.payer == "openai"]
    assert 0 < openai.other < openai.real


def test_what_is_undisclosed_there_must_be_accepted_too(home: Home) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(home, "2026-05", "A3", assume=("share-openai-microsoft", "cap"))
    assert [problem.what for problem in refused.value.problems] == ["share-microsoft-openai is undisclosed"]


def test_everything_unknown_is_told_at_once(home: Home) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(home, "2026-05", "A9", "R1", "share=15%")
    assert [problem.what for problem in refused.value.problems] == [
        "unknown: 'A9'",
        "unknown: 'R1'",
        "unknown: 'share=15%'",
    ]
    assert all("A5" in problem.remedy and "R1" in problem.remedy for problem in refused.value.problems)
    assert {problem.where for problem in refused.value.problems} == {"--under"}


def test_an_amendment_that_two_agreements_have_is_named_with_its_own(tmp_path: Path) -> None:
    for name, document in documents_of(None).items():
        (tmp_path / name).write_text(document.replace("id: openai-microsoft", "id: ours"))
    opened = open_agreements([None, tmp_path])
    assert read_under(["ours:A1", "openai-microsoft:A3"], opened).amendments == {"ours": "A1", "openai-microsoft": "A3"}
    with pytest.raises(InvalidInput, match="unknown: 'A1': openai-microsoft and ours have an amendment of this name"):
        read_under(["A1"], opened)
    both_named = "--under: A4 and A3 are both named: openai-microsoft can stand as of one amendment only"
    with pytest.raises(InvalidInput, match=both_named):
        read_under(["A3", "A4"], open_agreement())
