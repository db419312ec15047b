"""Ledger: revenue, shares of it and their caps *on sums*, statements, and the balanced journal they are posted to.

    revenue lines ─┐
    shares         ├─▶ settle ─▶ Settlement ─▶ statement_of ─▶ what a party reads
    assumptions    ┘                  └──────▶ accruals     ─▶ Entry… (debits = credits)

A share is due on the cumulative base since it began; what a period owes is the difference between its two ends. So no
order of arrival, batch size or split of periods can change the sum. Undisclosed figures are filled by named assumptions
only, and every statement names those it stands on.

Knows nothing of HTTP, SQL, requests or clocks: revenue, terms, assumptions and days are arguments.
"""

from clauseway.ledger.accruals import accruals
from clauseway.ledger.assumptions import Assumption, Assumptions, read_assumptions
from clauseway.ledger.journal import Account, Conflict, Entry, Journal, Posting, balances
from clauseway.ledger.revenue import RevenueLine, SaleRecord
from clauseway.ledger.settlement import (
    CapState,
    Change,
    Disputed,
    Ended,
    Inputs,
    Settlement,
    ShareLine,
    ShareResult,
)
from clauseway.ledger.settling import settle
from clauseway.ledger.statement import Direction, Statement, statement_of

__all__ = [
    "Account",
    "Assumption",
    "Assumptions",
    "CapState",
    "Change",
    "Conflict",
    "Direction",
    "Disputed",
    "Ended",
    "Entry",
    "Inputs",
    "Journal",
    "Posting",
    "RevenueLine",
    "SaleRecord",
    "Settlement",
    "ShareLine",
    "ShareResult",
    "Statement",
    "accruals",
    "balances",
    "read_assumptions",
    "settle",
    "statement_of",
]
