"""A share keeps the name by which months were closed: settling under a text that calls it otherwise is refused."""

from datetime import date
from pathlib import Path

import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books.basis import change_agreements
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, open_agreements
from clauseway.ledger import Settlement
from clauseway.values import InvalidInput
from share_agreements import share_agreement

PRICES = open_prices(settled_book.KNOWN)
TODAY = date(2026, 7, 1)
MINIMUM = "\n```yaml term\nid: {}\nfloors: [{{amount: USD 25, per: month}}]\n"
SHARE, PORTION = MINIMUM.format("A1.share"), MINIMUM.format("A1.portion")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """January is closed under one agreement, whose share is A1.share."""
    home = Home(tmp_path / "home").make()
    settle(home, share_agreement(tmp_path / "first", SHARE), "2026-01")
    close_month(home, "2026-01", TODAY)
    return home


def settle(home: Home, opened: Opened, period: str) -> Settlement:
    return settle_month(home, opened, PRICES, period, (), {})


def accepted(home: Home, *folders: Path) -> Opened:
    change_agreements(home, "as the parties want it", folders)
    return open_agreements(list(folders))


def test_a_second_agreement_with_a_term_of_that_id_needs_another(home: Home, tmp_path: Path) -> None:
    share_agreement(tmp_path / "second", SHARE, identity="second")
    both = accepted(home, tmp_path / "first", tmp_path / "second")
    with pytest.raises(InvalidInput, match=r"two agreements have a term A1\.share.* Give the term of the other"):
        settle(home, both, "2026-02")
    share_agreement(tmp_path / "third", PORTION, identity="second")
    february = settle(home, accepted(home, tmp_path / "first", tmp_path / "third"), "2026-02")
    assert [(share.term, str(share.amount)) for share in february.shares] == [
        ("A1.portion", "25.00"),
        ("A1.share", "25.00"),
    ]
    # January's minimum under the second agreement, and nothing of the first.
    assert [(change.term, str(change.amount)) for change in february.corrections] == [("A1.portion", "25.00")]


def test_a_share_that_is_taken_out_of_the_text_says_how_to_end_it(home: Home, tmp_path: Path) -> None:
    share_agreement(tmp_path / "renamed", PORTION)
    renamed = accepted(home, tmp_path / "renamed")
    with pytest.raises(InvalidInput, match=r"closed with A1\.share.* Write it into the text again"):
        settle(home, renamed, "2026-02")
