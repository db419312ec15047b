"""Entries of a revenue share, for journals in other formats."""

from datetime import date
from decimal import Decimal

from clauseway.ledger import Account, Entry, Posting
from clauseway.values import Citation

CLAUSE = Citation(term="A5.share", amendment="A5", document="A5.md", line=7, source='S2, "capped"; S3', text="…")


def accrual(number: int, day: date, payer: str, payee: str, amount: str, narration: str = "gpt-5.5 on aws") -> Entry:
    value = Decimal(amount)
    legs = [
        (Account(payer, "expense", "revenue-share", payee), value),
        (Account(payer, "payable", "revenue-share", payee), -value),
        (Account(payee, "receivable", "revenue-share", payer), value),
        (Account(payee, "income", "revenue-share", payer), -value),
    ]
    postings = tuple(Posting(account, amount, "USD", (CLAUSE,)) for account, amount in legs)
    return Entry(id=f"accrual|{number}", reference="r", day=day, narration=narration, postings=postings)
