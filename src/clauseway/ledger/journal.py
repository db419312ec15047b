"""The journal: balanced entries, append-only, idempotent by the caller's id.

    Conflict(Exception)    a used id comes again with different content; nothing was appended

An entry is valid once built: its debits equal its credits in every party's books. A correction is a
new entry.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.values import USD, Citation, exact_sum


class Conflict(Exception):
    """An id was used before, with different content. `identity` is the id of a voucher."""

    def __init__(self, message: str, identity: str = "") -> None:
        super().__init__(message)
        self.identity = identity


# Accounts by what they hold, in every party's books.
SHARE, INVOICED, DISPUTED = "revenue-share", "invoiced", "disputed"
BANK, WITHHOLDING = "bank", "withholding"
EXCHANGE, ROUNDING = "exchange", "fx-rounding"
ACCOUNT_NAMES = (SHARE, INVOICED, DISPUTED, BANK, WITHHOLDING, EXCHANGE, ROUNDING)


class Account(msgspec.Struct, frozen=True, order=True, gc=False):
    """An account in one party's books. `kind` is expense, income, payable, receivable, cash or
    equity; `about` is the other party, or the tax authority."""

    party: str
    kind: str
    name: str
    about: str

    def __str__(self) -> str:
        return f"{self.party}:{self.kind}:{self.name}:{self.about}"

    @property
    def in_words(self) -> str:
        """Return what the account holds, without its parties: `payable: revenue share`."""
        return f"{self.kind}: {self.name.replace('-', ' ')}"


class Posting(msgspec.Struct, frozen=True, gc=False):
    """One leg of an entry: a debit where `amount` is positive, a credit where it is negative."""

    account: Account
    amount: Decimal
    currency: str
    citations: tuple[Citation, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A balanced entry. `reference` groups an accrual with its later corrections; `day` is the day
    it is dated.

    INVARIANT: within each party's books, and so over all, the postings of a currency sum to zero.
    """

    id: str
    reference: str
    day: date
    narration: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        books = {(posting.account.party, posting.currency) for posting in self.postings}
        for party, currency in books:
            legs = [
                p.amount
                for p in self.postings
                if p.account.party == party and p.currency == currency
            ]
            assert exact_sum(legs) == 0, (
                f"{self.id}: debits and credits of {party} differ by {exact_sum(legs)} {currency}"
            )


class Journal(msgspec.Struct, frozen=True):
    """Entries in the order they were appended."""

    entries: tuple[Entry, ...] = ()

    def append(self, entries: Iterable[Entry]) -> "Journal":
        """Return the journal with these entries. Entries that are there already change nothing.
        Raise Conflict."""
        by_id = {entry.id: entry for entry in self.entries}
        for entry in entries:
            if by_id.setdefault(entry.id, entry) != entry:
                raise Conflict(f"entry {entry.id} was posted before with other content")
        return Journal(tuple(by_id.values()))


def balances(entries: Iterable[Entry], currency: str = USD) -> dict[Account, Decimal]:
    """Return each account's balance: debits positive, credits negative."""
    legs: dict[Account, list[Decimal]] = {}
    for entry in entries:
        for posting in entry.postings:
            if posting.currency == currency:
                legs.setdefault(posting.account, []).append(posting.amount)
    return {account: exact_sum(amounts) for account, amounts in sorted(legs.items())}
