"""The journal as beancount: the real loader accepts it, and its balances are ours."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from accruals import CLAUSE, accrual
from beancount import loader
from beancount.core import data, realization
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.exchange.journals.beancount import account_name, beancount_text
from clauseway.ledger import Entry, balances


def beancount_balances(entries: Sequence[Entry]) -> dict[str, Decimal]:
    """Return the balances that beancount makes of our text. It must have nothing to complain about."""
    loaded, errors, _ = loader.load_string(beancount_text(entries, 'The "journal"'))
    assert errors == []
    assert len([entry for entry in loaded if isinstance(entry, data.Transaction)]) == len(entries)
    root = realization.realize(loaded)  # type: ignore[no-untyped-call]
    names = {account_name(posting.account) for entry in entries for posting in entry.postings}
    return {name: sum((position.units.number for position in _leaf(root, name)), Decimal(0)) for name in names}


def _leaf(root: Any, name: str) -> Any:
    return realization.get(root, name).balance  # type: ignore[no-untyped-call]


def test_two_months_in_the_books_of_both() -> None:
    entries = [
        accrual(2, date(2026, 5, 31), "openai", "microsoft", "5.00", narration='with "quotes" \\ and\nlines'),
        accrual(1, date(2026, 4, 26), "microsoft", "openai", "8.00"),
        accrual(3, date(2026, 5, 31), "openai", "microsoft", "-0.20"),
    ]
    assert beancount_balances(entries) == {
        "Expenses:Openai:Revenue-Share:Microsoft": Decimal("4.80"),  # 5.00 − 0.20
        "Liabilities:Openai:Revenue-Share:Microsoft": Decimal("-4.80"),
        "Assets:Microsoft:Revenue-Share:Openai": Decimal("4.80"),
        "Income:Microsoft:Revenue-Share:Openai": Decimal("-4.80"),
        "Expenses:Microsoft:Revenue-Share:Openai": Decimal("8.00"),
        "Liabilities:Microsoft:Revenue-Share:Openai": Decimal("-8.00"),
        "Assets:Openai:Revenue-Share:Microsoft": Decimal("8.00"),
        "Income:Openai:Revenue-Share:Microsoft": Decimal("-8.00"),
    }


def test_an_entry_says_what_it_is_of_and_each_posting_by_which_clauses() -> None:
    """A backslash, quotes and two clauses come back as they were; an account has all its currencies."""
    [first, *_] = accrual(1, date(2026, 5, 31), "openai", "microsoft", "5.00").postings
    other = msgspec.structs.replace(CLAUSE, term="A5.cap", line=9, source=r"S3 \ 4")
    legs = (
        msgspec.structs.replace(first, citations=(CLAUSE, other)),
        msgspec.structs.replace(first, amount=Decimal("-5.00"), citations=()),
    )
    dollars = Entry(id="accrual|1", reference="r", day=date(2026, 5, 31), narration=r"a \"b\" \n", postings=legs)
    euros = tuple(msgspec.structs.replace(leg, currency="EUR") for leg in legs)
    in_euro = msgspec.structs.replace(dollars, id="accrual|2", day=date(2026, 4, 26), postings=euros)
    loaded, errors, options = loader.load_string(beancount_text([dollars, in_euro], 'The "journal"'))
    assert (errors, options["title"]) == ([], 'The "journal"')
    [opened] = [entry for entry in loaded if isinstance(entry, data.Open)]
    assert (opened.date, sorted(opened.currencies)) == (date(2026, 4, 26), ["EUR", "USD"])
    entries = [entry for entry in loaded if isinstance(entry, data.Transaction)]
    assert [(entry.date, entry.meta["id"], entry.narration) for entry in entries] == [
        (date(2026, 4, 26), "accrual|2", r"a \"b\" \n"),
        (date(2026, 5, 31), "accrual|1", r"a \"b\" \n"),
    ]
    cited = r'A5 A5.share (A5.md:7; S2, "capped"; S3) · A5 A5.cap (A5.md:9; S3 \ 4)'
    assert [(posting.meta or {}).get("clause") for entry in entries for posting in entry.postings] == [cited, None] * 2


def test_an_empty_journal_is_a_file_too() -> None:
    assert beancount_balances([]) == {}


def test_names_with_dashes_and_digits() -> None:
    entries = [accrual(1, date(2026, 5, 31), "deployment-venture", "3rd_party", "1.00")]
    assert beancount_balances(entries)["Expenses:Deployment-Venture:Revenue-Share:3rd-Party"] == Decimal("1.00")


AMOUNTS = st.integers(-(10**13), 10**13).map(lambda cents: str(Decimal(cents).scaleb(-2)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.booleans(), AMOUNTS), max_size=8))
def test_balances_equal_ours(history: list[tuple[date, bool, str]]) -> None:
    pairs = {False: ("openai", "microsoft"), True: ("microsoft", "openai")}
    entries = [accrual(number, day, *pairs[back], amount) for number, (day, back, amount) in enumerate(history)]
    ours = {account_name(account): balance for account, balance in balances(entries).items()}
    assert beancount_balances(entries) == ours
