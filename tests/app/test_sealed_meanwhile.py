"""Gateways seal while a month is settled. All of a settlement is of the usage that was sealed as it began."""

import time
from decimal import Decimal
from pathlib import Path

import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books.settling import Settler
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.periods import month
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.sealing import open_lake
from clauseway.storage.lake.lake import Lake
from in_process import answer

_MAY = month("2026-05")
# number | day | second of the day | buyer | deployment | input, cached, output tokens
_LATER = ((12, "05-03", 9, 1, 2, (100_000, 0, 10_000)),)
_NEW_DAY = ((13, "05-20", 9, 1, 2, (100_000, 0, 10_000)),)
# The cap is reached within 3 May: 6.81 × 20 % are 1.362, of which 1.103 are of the days before.
_CAPPED = (*settled_book.ACCEPTED[:-1], "cap=USD 1.2")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.sealed(tmp_path / "home")


def _settler(lake: Lake) -> Settler:
    return Settler(lake, open_agreement(), open_prices(settled_book.KNOWN), {})


def _read(settler: Settler) -> None:
    """Read the charges, as the first part of a settlement does."""
    settler.charges.lines(settler.needed(_MAY))


@pytest.mark.parametrize("assume", [settled_book.ACCEPTED, _CAPPED], ids=["below the cap", "at the cap"])
def test_no_part_of_a_settlement_sees_what_was_sealed_since_it_began(home: Home, assume: tuple[str, ...]) -> None:
    with open_lake(home) as lake:
        before = _settler(lake).settle(_MAY, assume)
        settler = _settler(lake)
        _read(settler)
        settled_book.seal(home, _LATER)
        assert settler.settle(_MAY, assume) == before


def test_a_settler_that_has_read_nothing_yet_is_of_the_instant_at_which_it_began(home: Home) -> None:
    with open_lake(home) as lake:
        before = _settler(lake).settle(_MAY, settled_book.ACCEPTED)
        settler = _settler(lake)
        settled_book.seal(home, _LATER)
        settled_book.seal(home, _NEW_DAY)
        assert settler.settle(_MAY, settled_book.ACCEPTED) == before
        settler.keep()


def test_sums_kept_meanwhile_are_of_that_instant_and_the_next_settlement_counts_all(home: Home) -> None:
    with open_lake(home) as lake:
        settler = _settler(lake)
        settled_book.seal(home, _LATER)
        settler.settle(_MAY, settled_book.ACCEPTED)
        settler.keep()
        later = _settler(lake)
        with_later = later.settle(_MAY, settled_book.ACCEPTED)
        from_scratch = Settler(lake, open_agreement(), open_prices(settled_book.KNOWN), {}, use_kept=False)
        assert with_later == from_scratch.settle(_MAY, settled_book.ACCEPTED)
        # 0.1 × 2.75 + 0.01 × 16.50 = 0.44
        assert _charged(later) - _charged(settler) == Decimal("0.44")


def test_files_that_are_merged_meanwhile_are_read_as_they_were(home: Home) -> None:
    settled_book.seal(home, _LATER)
    with open_lake(home) as lake:
        before = _settler(lake).settle(_MAY, settled_book.ACCEPTED)
        settler = _settler(lake)
        merged = compact_lake(home, 2)
        assert merged.after < merged.before
        assert settler.settle(_MAY, settled_book.ACCEPTED) == before


def test_a_month_that_was_settled_meanwhile_is_verified(home: Home) -> None:
    with open_lake(home) as lake:
        settlement = _settler(lake).settle(_MAY, settled_book.ACCEPTED)
        for rows in (_LATER, _NEW_DAY):
            settled_book.seal(home, rows)
        lake.control.settle(settlement, (), time.time_ns())
    done = answer("statement", "verify", "2026-05", home=home.root)["repeated"]
    assert {line["verdict"] for line in done["lines"]} == {"the same"}


def _charged(settler: Settler) -> Decimal:
    return sum((line.amount for line in settler.charges.lines(_MAY)), Decimal(0))
