"""Accruals: a settlement as journal entries, in the books of payer and payee at once.

    payer   debit expense  · credit payable
    payee   debit receivable · credit income

What was accrued for a line before is not rewritten: an accrual posts the difference, so settling a period again on more
usage posts a correction, and settling it again on the same posts nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from clauseway.ledger.journal import Account, Entry, Posting, balances
from clauseway.ledger.settlement import Settlement, ShareLine, ShareResult
from clauseway.values import USD, Citation, Interval

_NAME = "revenue-share"


def accruals(settlement: Settlement, posted: Iterable[Entry] = ()) -> list[Entry]:
    """The entries that bring the journal from `posted` to the settlement, one per share line that changed.

    `posted` are the entries journalled so far, of any period. Dated on the last day of the share in the period.
    """
    before: dict[str, list[Entry]] = {}
    for entry in posted:
        before.setdefault(entry.reference, []).append(entry)
    wanted = {
        _reference(settlement.period, line.id): (share, line) for share in settlement.shares for line in share.lines
    }
    gone = [name for name in before if name.startswith(_reference(settlement.period, "")) and name not in wanted]
    entries = [
        _accrual(settlement, *wanted[name], name, before.get(name, []))
        if name in wanted
        else _reversal(settlement, name, before[name])
        for name in sorted([*wanted, *gone])
    ]
    return [entry for entry in entries if any(posting.amount for posting in entry.postings)]


def _reference(period: Interval, line: str) -> str:
    """What an accrual and its corrections share: period and statement line."""
    return f"accrual|{period.begin}|{period.end}|{line}"


def _accrual(
    settlement: Settlement, share: ShareResult, line: ShareLine, reference: str, before: Sequence[Entry]
) -> Entry:
    expense = Account(share.payer, "expense", _NAME, share.payee)
    change = line.amount - balances(before).get(expense, Decimal(0))
    legs = {
        expense: change,
        Account(share.payer, "payable", _NAME, share.payee): -change,
        Account(share.payee, "receivable", _NAME, share.payer): change,
        Account(share.payee, "income", _NAME, share.payer): -change,
    }
    narration = f"{share.payer} to {share.payee}: {line.of}"
    day = share.days.end - timedelta(days=1)
    return _entry(settlement, reference, before, day, narration, legs, (line.citation,))


def _reversal(settlement: Settlement, reference: str, before: Sequence[Entry]) -> Entry:
    """What was accrued for a line that the settlement no longer has, taken back."""
    legs = {account: -balance for account, balance in balances(before).items()}
    citations = before[0].postings[0].citations
    return _entry(settlement, reference, before, before[0].day, before[0].narration, legs, citations)


def _entry(
    settlement: Settlement,
    reference: str,
    before: Sequence[Entry],
    day: date,
    narration: str,
    legs: Mapping[Account, Decimal],
    citations: tuple[Citation, ...],
) -> Entry:
    return Entry(
        id=f"{reference}|{len(before)}|{settlement.receipt}",
        reference=reference,
        day=day,
        narration=f"{narration}, corrected" if before else narration,
        postings=tuple(Posting(account, amount, USD, citations) for account, amount in legs.items()),
    )
