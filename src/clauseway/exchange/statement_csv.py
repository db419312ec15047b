"""A statement's lines as CSV (RFC 4180 with line feeds): a row for each line, units in the names of
columns.

Decimals are exact and have no thousands separators. Each row has its clauses and its receipt, so
that a copied row still shows its origin.
"""

import io
from collections.abc import Iterator, Mapping
from decimal import Decimal

from clauseway.exchange.cells import CsvWriter
from clauseway.ledger.dues import Due
from clauseway.ledger.statement import Statement, StatementLine, digest_of

COLUMNS = (
    "line",
    "period",
    "payer",
    "payee",
    "term",
    "first_day",
    "last_day",
    "product",
    "cloud",
    "seller",
    "requests",
    "base_usd",
    "rate",
    "amount_usd",
    "due",
    "corrects",
    "restates",
    "clauses",
    "sources",
    "assumptions",
    "receipt",
    "statement",
)


def statement_csv(statement: Statement) -> str:
    """Return the header and a row for each line, in the statement's order."""
    written = io.StringIO(newline="")
    writer = CsvWriter(written)
    writer.row(COLUMNS)
    writer.rows(
        [f"{value:f}" if isinstance(value, Decimal) else value for value in row]
        for row in statement_rows(statement)
    )
    return written.getvalue()


def statement_rows(statement: Statement) -> Iterator[tuple[object, ...]]:
    """Yield a row of `COLUMNS` for each line; amounts are Decimal, days are dates."""
    digest = digest_of(statement)
    values = {assumption.name: assumption.value for assumption in statement.assumptions}
    for line in statement.lines:
        yield _row(statement, line, digest, values)


def _is_paid_by(line: StatementLine, due: Due) -> bool:
    return (line.payer, line.payee, line.term) == (due.payer, due.payee, due.term)


def _row(
    statement: Statement, line: StatementLine, digest: str, values: Mapping[str, str]
) -> tuple[object, ...]:
    rate = statement.rate_of(line)
    return (
        line.id,
        statement.month,
        line.payer,
        line.payee,
        line.term,
        line.days.begin,
        # Intervals exclude their end; the column holds the last day itself.
        line.days.last_day,
        line.product,
        line.cloud,
        line.seller,
        line.requests,
        line.base.normalize(),
        "" if rate is None else rate.normalize(),
        line.amount,
        next((due.due or "" for due in statement.dues if _is_paid_by(line, due)), ""),
        line.corrects,
        line.restates,
        "; ".join(f"{cited.term} {cited.document}:{cited.line}" for cited in line.citations),
        "; ".join(cited.source for cited in line.citations),
        "; ".join(f"{name}={values[name]}" for name in line.assumptions),
        statement.receipt,
        digest,
    )
