"""A statement's lines as CSV (RFC 4180, newlines as \\n): one row a line, every column with the unit it is in.

Decimals are written as they are, without thousands separators; what a row rests on stands in it, so that a row that is
copied elsewhere still says where it comes from.
"""

import csv
import io
from datetime import timedelta

from clauseway.ledger.statement import Statement, StatementLine, digest_of

COLUMNS = (
    "line", "period", "payer", "payee", "term", "first_day", "last_day", "product", "cloud", "seller", "requests",
    "base_usd", "rate", "amount_usd", "due", "corrects", "clauses", "sources", "assumptions", "receipt", "statement",
)  # fmt: skip


def statement_csv(statement: Statement) -> str:
    """The header and a row for each line, in the statement's order. A month without lines is the header alone."""
    written = io.StringIO(newline="")
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(COLUMNS)
    digest = digest_of(statement)
    rows.writerows(_row(statement, line, digest) for line in statement.lines)
    return written.getvalue()


def _row(statement: Statement, line: StatementLine, digest: str) -> tuple[object, ...]:
    values = {assumption.name: assumption.value for assumption in statement.assumptions}
    return (
        line.id,
        statement.month,
        line.payer,
        line.payee,
        line.term,
        line.days.begin,
        line.days.end - timedelta(days=1),
        line.product,
        line.cloud,
        line.seller,
        line.requests,
        f"{line.base.normalize():f}",
        "" if line.corrects else f"{line.rate.normalize():f}",
        f"{line.amount:f}",
        next((one.due for one in statement.calendar if one.term == line.term and one.payer == line.payer), ""),
        line.corrects,
        "; ".join(f"{cited.term} {cited.document}:{cited.line}" for cited in line.citations),
        "; ".join(cited.source for cited in line.citations),
        "; ".join(f"{name}={values[name]}" for name in line.assumptions),
        statement.receipt,
        digest,
    )
