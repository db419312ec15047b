"""Entries are found by the begin of their reference, letter by letter: no wildcard, and no other case."""

from datetime import date
from decimal import Decimal

import pytest

from clauseway.ledger import Account, Entry, Posting
from clauseway.storage import Control
from clauseway.storage.control.engines import Place

REFERENCES = ("invoice|a_1", "invoice|ab1", "invoice|A_1", "invoice|a%1", "invoice|a_12")
# The question · the references that begin so
ASKED = [
    ("invoice|a_1", ["invoice|a_1", "invoice|a_12"]),
    ("invoice|A", ["invoice|A_1"]),
    ("invoice|a%", ["invoice|a%1"]),
    ("INVOICE|", []),
]


@pytest.mark.parametrize(("asked", "begin_so"), ASKED)
def test_references_are_matched_exactly(place: Place, asked: str, begin_so: list[str]) -> None:
    owed, paid = Account("a", "payable", "x", "b"), Account("a", "expense", "x", "b")
    legs = (Posting(paid, Decimal("1.00"), "USD", ()), Posting(owed, Decimal("-1.00"), "USD", ()))
    control = Control.open(place)
    entries = [Entry(id=name, reference=name, day=date(2026, 5, 1), narration="", postings=legs) for name in REFERENCES]
    control.post(entries, 1)
    references = [entry.reference for entry in control.entries(asked)]
    control.close()
    assert references == begin_so
