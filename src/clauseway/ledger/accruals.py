"""Accruals: a settlement as journal entries, in the books of payer and payee at once.

    payer   debit expense    · credit payable · the disputed part: credit payable:disputed
    payee   debit receivable · credit income  · the disputed part: debit receivable:disputed

Expense and income are the amounts due if every open dispute is rejected; payable and receivable are
the amounts due while disputes last. Earlier accruals of a line are not rewritten: an accrual posts
the difference, so settling a period again on more usage posts a correction, and settling it again
on the same usage posts nothing. Amounts that a period owes for closed periods are posted
separately, dated in the open period; a restatement is posted like any accrual, dated in the period
that it restates.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.ledger.journal import DISPUTED, SHARE, Account, Entry, Posting, balances
from clauseway.ledger.settlement import Settlement
from clauseway.values import USD, Citation, Interval

_ZERO = Decimal(0)


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The balances that the journal should show for one reference: `due` is payable, `disputed` may
    become so."""

    payer: str
    payee: str
    due: Decimal
    disputed: Decimal
    day: date
    narration: str
    citation: Citation

    def balances(self) -> dict[Account, Decimal]:
        whole = self.due + self.disputed
        return {
            Account(self.payer, "expense", SHARE, self.payee): whole,
            Account(self.payer, "payable", SHARE, self.payee): -self.due,
            Account(self.payer, "payable", DISPUTED, self.payee): -self.disputed,
            Account(self.payee, "receivable", SHARE, self.payer): self.due,
            Account(self.payee, "receivable", DISPUTED, self.payer): self.disputed,
            Account(self.payee, "income", SHARE, self.payer): -whole,
        }


def accruals(settlement: Settlement, posted: Iterable[Entry] = ()) -> list[Entry]:
    """Return the entries that bring the journal from `posted` to the settlement, one for each share
    line that changed.

    `posted` are the entries journalled so far, of any period. Entries whose references begin as
    `references` says are enough.
    """
    before: dict[str, list[Entry]] = {}
    for entry in posted:
        before.setdefault(entry.reference, []).append(entry)
    wanted = dict(_wanted(settlement))
    begins = references(settlement.period)
    # Lines accrued before that the settlement no longer has are reversed.
    gone = [name for name in before if name.startswith(begins) and name not in wanted]
    entries = [
        _accrual(settlement, wanted[name], name, before.get(name, []))
        if name in wanted
        else _reversal(settlement, name, before[name])
        for name in sorted([*wanted, *gone])
    ]
    return [entry for entry in entries if entry.postings]


def references(period: Interval) -> tuple[str, str]:
    """Return how the references begin of all entries that a settlement of a period posts: accruals,
    corrections."""
    return f"accrual|{period.begin}|{period.end}|", f"correction|{period.begin}|{period.end}|"


def _wanted(settlement: Settlement) -> Iterator[tuple[str, _Wanted]]:
    accrued, corrected = references(settlement.period)
    disputed = {dispute.line: dispute.amount for dispute in settlement.disputed}
    for share in settlement.shares:
        for line in share.lines:
            wanted = _Wanted(
                payer=share.payer,
                payee=share.payee,
                due=line.amount,
                disputed=disputed.pop(line.id, _ZERO),
                day=share.days.last_day,
                narration=f"{share.payer} to {share.payee}: {line.of}",
                citation=line.citation,
            )
            yield f"{accrued}{line.id}", wanted
    # Lines that stand on disputed sales alone are in no share.
    last_day = settlement.period.last_day
    for dispute in settlement.disputed:
        if dispute.line in disputed:  # it was not taken by a share's line
            narration = f"{dispute.payer} to {dispute.payee}: {dispute.line}"
            yield (
                f"{accrued}{dispute.line}",
                _Wanted(
                    payer=dispute.payer,
                    payee=dispute.payee,
                    due=_ZERO,
                    disputed=dispute.amount,
                    day=last_day,
                    narration=narration,
                    citation=dispute.citation,
                ),
            )
    for change in settlement.corrections:
        narration = (
            f"{change.payer} to {change.payee}, for {change.period.begin:%Y-%m}: {change.line}"
        )
        yield (
            f"{corrected}{change.period.begin}|{change.line}",
            _Wanted(
                payer=change.payer,
                payee=change.payee,
                due=change.amount,
                disputed=change.new_disputed - change.old_disputed,
                day=last_day,
                narration=f"{narration} ({'; '.join(change.causes)})",
                citation=change.citation,
            ),
        )


def _accrual(
    settlement: Settlement, wanted: _Wanted, reference: str, before: Sequence[Entry]
) -> Entry:
    # Post the difference from the balances that earlier entries of the line left.
    held = balances(before)
    legs = {
        account: amount - held.get(account, _ZERO) for account, amount in wanted.balances().items()
    }
    return _entry(
        settlement, reference, before, wanted.day, wanted.narration, legs, (wanted.citation,)
    )


def _reversal(settlement: Settlement, reference: str, before: Sequence[Entry]) -> Entry:
    """Return the entry that takes back the accruals of a line that the settlement no longer has."""
    legs = {account: -balance for account, balance in balances(before).items()}
    citations = before[0].postings[0].citations
    return _entry(
        settlement, reference, before, before[0].day, before[0].narration, legs, citations
    )


def _entry(
    settlement: Settlement,
    reference: str,
    before: Sequence[Entry],
    day: date,
    narration: str,
    legs: Mapping[Account, Decimal],
    citations: tuple[Citation, ...],
) -> Entry:
    done = "restated" if settlement.restates else "corrected"
    return Entry(
        # The same settlement after the same entries is the same entry: posted once.
        id=f"{reference}|{len(before)}|{settlement.receipt}",
        reference=reference,
        day=day,
        narration=f"{narration}, {done}" if before else narration,
        postings=tuple(
            Posting(account, amount, USD, citations) for account, amount in legs.items() if amount
        ),
    )
