"""Postings as an accountant reads them: what a settlement of a period books, and that nothing unbalanced is booked."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import at, cited, month, settled, share, sold

from clauseway.ledger import Account, Conflict, Entry, Journal, Posting, Settlement, StatementChange, accruals
from clauseway.ledger.accruals import references
from clauseway.ledger.journal import balances
from clauseway.ledger.settlement import Disputed

DAY, MAY = date(2026, 5, 20), month("2026-05")
# Until 20 May, 20 % of what the maker sells.
UNTIL_20_MAY = share(end=date(2026, 5, 21))
SALES = [sold("05-02", "100.00"), sold("05-02", "10.00", cloud="own")]
IN_DISPUTE = [at("05-02", 1, "D1", "-40.00"), at("05-02", 1, "D2", "-10.00", cloud="own")]


def posting(text: str) -> Posting:
    """`maker:payable:revenue-share:host -1.00 USD`"""
    account, amount, currency = text.split()
    return Posting(Account(*account.split(":")), D(amount), currency, (cited("A1.share"),))


def entry(*legs: str) -> Entry:
    return Entry(id="e", reference="e", day=DAY, narration="", postings=tuple(map(posting, legs)))


OWES, SPENDS = "maker:payable:revenue-share:host", "maker:expense:revenue-share:host"
CLAIMS, EARNS = "host:receivable:revenue-share:maker", "host:income:revenue-share:maker"
BALANCED = [
    (),
    (f"{SPENDS} 1.00 USD", f"{OWES} -1.00 USD"),
    (f"{SPENDS} 1.00 USD", f"{OWES} -0.60 USD", f"{OWES} -0.40 USD"),
    (f"{SPENDS} 1.00 USD", f"{OWES} -1.00 USD", f"{CLAIMS} 2.00 USD", f"{EARNS} -2.00 USD"),
    (f"{SPENDS} 1.00 USD", f"{OWES} -1.00 USD", f"{SPENDS} 2.00 EUR", f"{OWES} -2.00 EUR"),
]
UNBALANCED = [
    ((f"{SPENDS} 1.00 USD",), "debits and credits of maker differ by 1.00 USD"),
    ((f"{SPENDS} 1.00 USD", f"{OWES} -0.99 USD"), "debits and credits of maker differ by 0.01 USD"),
    # One party's debt is not balanced by another's claim, nor dollars by euros.
    ((f"{OWES} -1.00 USD", f"{CLAIMS} 1.00 USD"), "differ by"),
    ((f"{SPENDS} 1.00 USD", f"{OWES} -1.00 EUR"), "debits and credits of maker differ by"),
]


@pytest.mark.parametrize("legs", BALANCED)
def test_an_entry_balances_in_each_party_s_books_and_currency(legs: Sequence[str]) -> None:
    assert len(entry(*legs).postings) == len(legs)


@pytest.mark.parametrize(("legs", "why"), UNBALANCED)
def test_no_entry_is_made_that_does_not_balance(legs: Sequence[str], why: str) -> None:
    with pytest.raises(AssertionError, match=f"^e: .*{why}"):
        entry(*legs)


def test_an_entry_is_posted_once_and_never_changed() -> None:
    booking = entry(f"{SPENDS} 1.00 USD", f"{OWES} -1.00 USD")
    other = entry(f"{SPENDS} 2.00 USD", f"{OWES} -2.00 USD")
    journal = Journal().append([booking])
    assert journal.append([booking, booking]) == journal
    with pytest.raises(Conflict, match="entry e was posted before with other content"):
        journal.append([other])


def test_balances_stand_in_order_of_their_accounts() -> None:
    booking = entry(f"{OWES} -1.00 USD", f"{SPENDS} 1.00 USD", f"{CLAIMS} 2.00 EUR", f"{EARNS} -2.00 EUR")
    assert [(str(account), str(amount)) for account, amount in balances([booking, booking]).items()] == [
        (SPENDS, "2.00"),
        (OWES, "-2.00"),
    ]
    assert [str(account) for account in balances([booking], "EUR")] == [EARNS, CLAIMS]


def booked(entries: Sequence[Entry]) -> list[tuple[str, str, dict[str, str]]]:
    """The day, the narration and the legs of each entry, `revenue-share` and the other party left out."""
    return [
        (
            each.day.isoformat(),
            each.narration,
            {
                f"{leg.account.party} {leg.account.kind} {leg.account.name}".removesuffix(" revenue-share"): str(
                    leg.amount
                )
                for leg in each.postings
            },
        )
        for each in entries
    ]


DISPUTED = settled(SALES, MAY, UNTIL_20_MAY, disputed=IN_DISPUTE)


def test_a_dispute_is_an_expense_that_is_not_payable_yet() -> None:
    # own: 10.00 in dispute, 20 % are 2.00. rented: 60.00 undisputed are 12.00; 40.00 in dispute are 8.00.
    assert booked(accruals(DISPUTED)) == [
        (
            "2026-05-20",
            "maker to host: chat on own, sold by maker",
            {
                "maker expense": "2.00",
                "maker payable disputed": "-2.00",
                "host receivable disputed": "2.00",
                "host income": "-2.00",
            },
        ),
        (
            "2026-05-20",
            "maker to host: chat on rented, sold by maker",
            {
                "maker expense": "20.00",
                "maker payable": "-12.00",
                "maker payable disputed": "-8.00",
                "host receivable": "12.00",
                "host receivable disputed": "8.00",
                "host income": "-20.00",
            },
        ),
    ]


def test_settling_again_posts_the_difference() -> None:
    """The disputes ended. A price that became known later takes the sales on `own` out; `code` was sold too."""
    posted = accruals(DISPUTED)
    again = settled([SALES[0], sold("05-03", "5.00", product="code")], MAY, UNTIL_20_MAY)
    # Another month's entries are not the settlement's to take back.
    april = accruals(settled([sold("04-02", "1.00")], month("2026-04"), UNTIL_20_MAY))
    entries = accruals(again, [*april, *posted])
    assert booked(entries) == [
        (
            "2026-05-20",
            "maker to host: chat on own, sold by maker, corrected",
            {
                "maker expense": "-2.00",
                "maker payable disputed": "2.00",
                "host receivable disputed": "-2.00",
                "host income": "2.00",
            },
        ),
        (
            "2026-05-20",
            "maker to host: chat on rented, sold by maker, corrected",
            {
                "maker payable": "-8.00",
                "maker payable disputed": "8.00",
                "host receivable": "8.00",
                "host receivable disputed": "-8.00",
            },
        ),
        (
            "2026-05-20",
            "maker to host: code on rented, sold by maker",
            {"maker expense": "1.00", "maker payable": "-1.00", "host receivable": "1.00", "host income": "-1.00"},
        ),
    ]
    assert accruals(again, [*april, *posted, *entries]) == []
    assert [each.id.split("|")[-2] for each in entries] == ["1", "1", "0"]
    # A restatement says so.
    restating = msgspec.structs.replace(again, restates="receipt")
    assert booked(accruals(restating, posted))[1][1] == "maker to host: chat on rented, sold by maker, restated"


def test_a_line_that_stands_on_disputed_sales_alone_is_accrued_once() -> None:
    line = "A1.share|minimum|2026-05|"
    claimed = Disputed(
        term="A1.share", payer="maker", payee="host", line=line, amount=D("3.00"), citation=cited("A1.share")
    )
    more: Settlement = msgspec.structs.replace(DISPUTED, disputed=(*DISPUTED.disputed, claimed))
    entries = {each.reference: each for each in accruals(more)}
    assert list(entries) == [
        f"{references(MAY)[0]}{name}"
        for name in (
            "A1.share|chat|own|maker",
            "A1.share|chat|rented|maker",
            line,
        )
    ]
    assert booked([entries[f"accrual|2026-05-01|2026-06-01|{line}"]]) == [
        (
            "2026-05-31",
            f"maker to host: {line}",
            {
                "maker expense": "3.00",
                "maker payable disputed": "-3.00",
                "host receivable disputed": "3.00",
                "host income": "-3.00",
            },
        )
    ]


def test_what_is_owed_for_a_closed_month_is_dated_in_the_open_one() -> None:
    """April: 5.00 became 7.50, of which 1.00 was and 1.25 is in dispute. So 2.50 more are due, 0.25 more disputed."""
    zero = D(0)
    change = StatementChange(
        period=month("2026-04"),
        term="A1.share",
        payer="maker",
        payee="host",
        line="A1.share|chat|rented|maker",
        old=D("5.00"),
        new=D("7.50"),
        old_base=zero,
        new_base=zero,
        old_requests=0,
        new_requests=0,
        old_adjusted=zero,
        new_adjusted=zero,
        old_disputed=D("1.00"),
        new_disputed=D("1.25"),
        causes=("late usage", "a price"),
        citation=cited("A1.share"),
    )
    may = msgspec.structs.replace(settled([], MAY, UNTIL_20_MAY), corrections=(change,))
    [correction] = accruals(may)
    assert correction.reference == "correction|2026-05-01|2026-06-01|2026-04-01|A1.share|chat|rented|maker"
    assert booked([correction]) == [
        (
            "2026-05-31",
            "maker to host, for 2026-04: A1.share|chat|rented|maker (late usage; a price)",
            {
                "maker expense": "2.75",
                "maker payable": "-2.50",
                "maker payable disputed": "-0.25",
                "host receivable": "2.50",
                "host receivable disputed": "0.25",
                "host income": "-2.75",
            },
        )
    ]
    # The late usage was a mistake: once nothing is owed for April any more, May takes its correction back.
    [back] = accruals(msgspec.structs.replace(may, corrections=()), [correction])
    assert not any(balances([correction, back]).values())
    assert back.reference == correction.reference
