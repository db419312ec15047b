"""The journal and the lines of statements as Arrow tables, for Parquet and its readers. Decimals
stay decimals."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from clauseway.exchange.journals.accounting import clauses_of
from clauseway.ledger import Entry, Statement

# Twelve places hold whole picodollars; 38 digits are the most that a decimal128 has.
_MONEY, _RATE = pa.decimal128(38, 12), pa.decimal128(18, 12)
JOURNAL_SCHEMA = pa.schema(
    [
        ("entry", pa.string()),
        ("reference", pa.string()),
        ("day", pa.date32()),
        ("narration", pa.string()),
        ("leg", pa.int32()),
        ("party", pa.string()),
        ("kind", pa.string()),
        ("name", pa.string()),
        ("about", pa.string()),
        ("amount", _MONEY),
        ("currency", pa.string()),
        ("clauses", pa.string()),
    ]
)
LINES_SCHEMA = pa.schema(
    [
        ("line", pa.string()),
        ("period", pa.string()),
        ("payer", pa.string()),
        ("payee", pa.string()),
        ("term", pa.string()),
        ("begin", pa.date32()),
        ("end", pa.date32()),
        ("product", pa.string()),
        ("cloud", pa.string()),
        ("seller", pa.string()),
        ("requests", pa.int64()),
        ("base", _MONEY),
        ("rate", _RATE),
        ("amount", _MONEY),
        ("currency", pa.string()),
        ("assumptions", pa.list_(pa.string())),
        ("clauses", pa.list_(pa.string())),
        ("corrects", pa.string()),
        ("receipt", pa.string()),
        ("restates", pa.string()),
    ]
)


def journal_table(entries: Iterable[Entry]) -> pa.Table:
    """Return a row for each posting; debits are positive. An entry's postings sum to zero in each
    party's books."""
    rows = [
        {
            "entry": entry.id,
            "reference": entry.reference,
            "day": entry.day,
            "narration": entry.narration,
            "leg": leg,
            "party": posting.account.party,
            "kind": posting.account.kind,
            "name": posting.account.name,
            "about": posting.account.about,
            "amount": posting.amount,
            "currency": posting.currency,
            "clauses": clauses_of(posting),
        }
        for entry in entries
        for leg, posting in enumerate(entry.postings)
    ]
    return pa.Table.from_pylist(rows, JOURNAL_SCHEMA)


def lines_table(statements: Sequence[Statement]) -> pa.Table:
    """Return a row for each statement line; `begin` ≤ day < `end`. A line about a closed month
    names it: `corrects`, or `restates` for what its restatement changed."""
    rows = [
        {
            "line": line.id,
            "period": statement.month,
            "payer": line.payer,
            "payee": line.payee,
            "term": line.term,
            "begin": line.days.begin,
            "end": line.days.end,
            "product": line.product,
            "cloud": line.cloud,
            "seller": line.seller,
            "requests": line.requests,
            "base": line.base,
            "rate": statement.rate_of(line),
            "amount": line.amount,
            "currency": statement.currency,
            "assumptions": list(line.assumptions),
            "clauses": [f"{cited.term} {cited.document}:{cited.line}" for cited in line.citations],
            "corrects": line.corrects,
            "receipt": statement.receipt,
            "restates": line.restates,
        }
        for statement in statements
        for line in statement.lines
    ]
    return pa.Table.from_pylist(rows, LINES_SCHEMA)
