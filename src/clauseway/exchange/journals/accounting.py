"""The parts that all journals share: the choice of entries, account roots and the text of clauses.

An entry is balanced within each party's books, so the part of it that concerns one party is
balanced too.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from clauseway.ledger import Account, Entry, Posting
from clauseway.values import Citation, Interval

# Each kind of account belongs to one of the five roots of bookkeeping.
ROOTS = {
    "expense": "Expenses",
    "income": "Income",
    "receivable": "Assets",
    "payable": "Liabilities",
    "cash": "Assets",
    "equity": "Equity",
}


def entries_of(
    entries: Iterable[Entry], period: Interval | None = None, party: str = ""
) -> list[Entry]:
    """Return the entries of a period (default: all), with only one party's postings (default: all
    parties')."""
    chosen = (entry for entry in entries if period is None or entry.day in period)
    parts = (
        msgspec.structs.replace(
            entry, postings=tuple(p for p in entry.postings if p.account.party == party)
        )
        if party
        else entry
        for entry in chosen
    )
    return sorted((entry for entry in parts if entry.postings), key=lambda entry: entry.day)


def first_uses(entries: Sequence[Entry]) -> dict[Account, tuple[date, set[str]]]:
    """Return the first day and the currencies of each account; entries are in order of days."""
    uses: dict[Account, tuple[date, set[str]]] = {}
    for entry in entries:
        for posting in entry.postings:
            _, currencies = uses.setdefault(posting.account, (entry.day, set()))
            currencies.add(posting.currency)
    return dict(sorted(uses.items()))


def clauses_of(posting: Posting) -> str:
    """Return the clauses of a posting, on one line."""
    return " · ".join(map(_clause, posting.citations))


def _clause(cited: Citation) -> str:
    return f"{cited.amendment} {cited.term} ({cited.document}:{cited.line}; {cited.source})"
