"""Ledger: revenue, shares of it and their caps *on sums*, statements, and the balanced journal they
are posted to.

    revenue lines ─────┐
    credits, disputes ─┤
    shares ────────────┼─▶ settle ─▶ Settlement ─┬─▶ statement_of ─▶ Statement for a party
    assumptions ───────┤                         └─▶ accruals ─┐
    closed settlements ┘            invoices, payments ────────┴─▶ Entry… (debits = credits)

A share is due on the cumulative base since it began; a period owes the difference between the sums
at its two ends. So no order of arrival, batch size or split of periods can change the sum.
Undisclosed figures are filled by named assumptions only, and every statement names the assumptions
it stands on. A closed period is never rewritten: facts known later become a correction or a
restatement. People report to the ledger by vouchers, each with an id of their own.

    settling        a period settled: every share in force in it, clipped at its cap
    sharing         one share being settled; scale: its rates; floors: the least that is due
    settlement      a settled period: its lines, caps, clauses and inputs
    carrying        sums carried from month to month
    revenue         sums by day, seller, cloud and product, and the part that counts in a base
    assumptions     values for figures that are not disclosed; exchange_rates: dated exchange rates
    dues            one amount for each term in a period
    statement       a settled period for a party
    beside          two settlements of one period side by side; differences: between two statements
    closing         closed periods, and how what becomes known later is booked
    journal         balanced entries, append-only; accruals: a settlement as such entries
    vouchers        what people report; voucher_rules: how much of it, on which day
    invoices        dues to claims with a due day, and payments on them
    charges         charges for usage as a bill shows them
    reconciliation  a cloud's bill against the meter
    allocation      costs by team, from bills and metered usage
    forecast        when a cap is reached, and how much is due each year

Knows nothing of HTTP, SQL, requests or clocks: revenue, terms, assumptions and days are arguments.
"""

from clauseway.ledger.accruals import accruals, references
from clauseway.ledger.assumptions import (
    Assumption,
    Assumptions,
    check_sellers,
    read_assumptions,
)
from clauseway.ledger.carrying import Carried
from clauseway.ledger.closing import (
    Late,
    Stated,
    changes,
    corrected,
    late,
    never_closed,
    restated,
    stated,
    summary_of,
    uncounted,
)
from clauseway.ledger.dues import Due, dues
from clauseway.ledger.exchange_rates import Rates, read_rates
from clauseway.ledger.invoices import invoice_of, payment_of, reversal_of
from clauseway.ledger.journal import Account, Conflict, Entry, Journal, Posting, balances
from clauseway.ledger.revenue import RevenueLine, SaleRecord
from clauseway.ledger.settlement import (
    CapState,
    Disputed,
    Ended,
    Inputs,
    Settlement,
    ShareLine,
    ShareResult,
    StatementChange,
)
from clauseway.ledger.settling import carry, settle
from clauseway.ledger.statement import Direction, Statement, statement_of
from clauseway.ledger.vouchers import (
    Credit,
    Dispute,
    Invoice,
    Payment,
    Resolution,
    Reversal,
    Reversed,
    Voucher,
    credited,
    disputed,
)

__all__ = [
    "Account",
    "Assumption",
    "Assumptions",
    "CapState",
    "Carried",
    "Conflict",
    "Credit",
    "Direction",
    "Dispute",
    "Disputed",
    "Due",
    "Ended",
    "Entry",
    "Inputs",
    "Invoice",
    "Journal",
    "Late",
    "Payment",
    "Posting",
    "Rates",
    "Resolution",
    "RevenueLine",
    "Reversal",
    "Reversed",
    "SaleRecord",
    "Settlement",
    "ShareLine",
    "ShareResult",
    "Stated",
    "Statement",
    "StatementChange",
    "Voucher",
    "accruals",
    "balances",
    "carry",
    "changes",
    "check_sellers",
    "corrected",
    "credited",
    "disputed",
    "dues",
    "invoice_of",
    "late",
    "never_closed",
    "payment_of",
    "read_assumptions",
    "read_rates",
    "references",
    "restated",
    "reversal_of",
    "settle",
    "stated",
    "statement_of",
    "summary_of",
    "uncounted",
]
