"""Minimums that are due for months before the first that is closed, though nothing was sold in them."""

from datetime import date
from pathlib import Path

import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books.basis import change_agreements
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement
from clauseway.ledger import Settlement
from clauseway.values import InvalidInput
from in_process import run
from share_agreements import share_agreement

PRICES = open_prices(settled_book.KNOWN)
TODAY = date(2026, 7, 1)
# Of January alone, with a minimum of 25.00 a month; and what follows it, without.
JANUARY = "\n```yaml term\nid: A1.january\nfloors: [{amount: USD 25, per: month}]\nthrough: 2026-01-31\n"
LATER = "\n```yaml term\nid: A1.later\nbegins: 2026-02-01\n"


def settle(home: Home, opened: OpenAgreement, period: str) -> Settlement:
    return settle_month(home, opened, PRICES, period, (), {})


def test_a_first_close_is_refused_while_the_minimum_of_an_ended_share_is_in_no_month(tmp_path: Path) -> None:
    home, opened = Home(tmp_path / "home").make(), share_agreement(tmp_path / "agreement", JANUARY, LATER)
    settle(home, opened, "2026-02")
    with pytest.raises(InvalidInput, match="2025-12 has nothing to settle"):  # A1 takes effect on the day after
        settle(home, opened, "2025-12")
    with pytest.raises(
        InvalidInput, match=r"a minimum is due under A1\.january for days before.* Settle and close 2026-01"
    ):
        close_month(home, "2026-02", TODAY)
    january = settle(home, opened, "2026-01")
    assert [(share.term, str(share.amount)) for share in january.shares] == [("A1.january", "25.00")]
    close_month(home, "2026-01", TODAY)
    close_month(home, "2026-02", TODAY)


def test_a_minimum_of_a_month_before_the_first_close_is_a_correction(tmp_path: Path) -> None:
    """February is closed first; then a text is accepted by which January had a minimum."""
    home, before = Home(tmp_path / "home").make(), share_agreement(tmp_path / "before", LATER)
    settle(home, before, "2026-02")
    close_month(home, "2026-02", TODAY)
    with pytest.raises(InvalidInput, match="2026-01 cannot be settled any more: months are closed from 2026-02 on"):
        settle(home, before, "2026-01")
    opened = share_agreement(tmp_path / "agreement", JANUARY, LATER)
    change_agreements(home, "the minimum was left out", [tmp_path / "agreement"])
    march = settle(home, opened, "2026-03")
    assert [
        (str(change.period.begin), change.term, str(change.amount), change.causes) for change in march.corrections
    ] == [("2026-01-01", "A1.january", "25.00", ("a minimum of a month before the first that was closed",))]
    close_month(home, "2026-03", TODAY)
    assert run("statement", "verify", "2026-03", "--home", str(home.root)).returncode == 0
    assert settle(home, opened, "2026-04").corrections == ()
