"""The tables whose rows the books' log chains, and a digest of each row's content.

A digest is over the row's columns in plain text, an entry's with its postings. Empty columns and
columns with their default are left out: a column that is added later changes no digest. Values are
read as the database holds them: a value written there by hand need not make sense.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    and_,
    or_,
    select,
    type_coerce,
)

from clauseway.storage.control import schema

# Rows asked for by key in one query: below the number of parameters that every database takes.
_AT_ONCE = 300
_STREAMED_ROWS = 5_000
_WRITTEN_PLAINLY = re.compile(r"-?(0|[1-9][0-9]{0,38})(\.[0-9]{0,38}[1-9])?").fullmatch
_EVERY_DIGIT = Context(prec=80)
RowKey = tuple[Any, ...]


def _nothing(_: Row[Any]) -> str:
    return ""


def _no_day(_: Row[Any]) -> date | None:
    return None


class Chained(msgspec.Struct, frozen=True, kw_only=True):
    """A table in the chain: how the log names its rows.

    `kinds` are what its rows may be, and `kind_of` says which a row is, where there are several.
    `key` are the columns that name a row for ever. `volatile` columns are in no digest: software
    notes them while it runs, and no amount stands on them. `stamps` are columns that say when,
    by whom or why a row was written: two people who ask for the same differ in them alone.
    """

    table: Table
    kinds: tuple[str, ...]
    kind_of: Callable[[Row[Any]], str] | None = None
    subject: Callable[[Row[Any]], str]
    day: Callable[[Row[Any]], date | None] = _no_day
    why: Callable[[Row[Any]], str] = _nothing
    key: tuple[str, ...] = ("sequence",)
    volatile: frozenset[str] = frozenset()
    stamps: frozenset[str] = frozenset()
    parts: Table | None = None

    @property
    def place(self) -> str:
        """Return the table's name."""
        return str(self.table.name)

    def kind(self, row: Row[Any]) -> str:
        """Return the word by which the log calls a row."""
        return self.kinds[0] if self.kind_of is None else self.kind_of(row)

    @property
    def is_numbered(self) -> bool:
        """True if the database numbers the rows as they are inserted."""
        return self.key == ("sequence",)


class _Reason(msgspec.Struct, frozen=True):
    """The part of a voucher that the log reads."""

    reason: str = ""


class RowContent(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it stands: its key as text, and the words by which the log names it."""

    row: str
    kind: str
    subject: str
    day: date | None
    why: str
    digest: str


def _columns(*names: str) -> Callable[[Row[Any]], str]:
    return lambda row: "/".join([str(value) for name in names if (value := getattr(row, name))])


def _column(name: str) -> Callable[[Row[Any]], str]:
    return lambda row: str(getattr(row, name))


def _day(name: str) -> Callable[[Row[Any]], date | None]:
    return lambda row: day_of_text(getattr(row, name))


def day_of_text(value: Any) -> date | None:
    """Return the day that a column holds; None where it is empty or holds no day."""
    try:
        return None if value is None else date.fromisoformat(str(value))
    except ValueError:
        return None


def _reason(row: Row[Any]) -> str:
    try:
        return msgspec.json.decode(row.body, type=_Reason).reason
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _approval_reason(row: Row[Any]) -> str:
    return f"asked for by {row.asked_by}"


def _tenant_kind(row: Row[Any]) -> str:
    return "project" if row.project else "organisation"


def _party_key_kind(row: Row[Any]) -> str:
    return "withdrawn-key" if row.is_withdrawn else "party-key"


def _usage_kind(row: Row[Any]) -> str:
    return "import" if row.spool in (schema.IMPORTED, schema.LET_OUT) else "usage"


def _loss_reason(row: Row[Any]) -> str:
    """Return why a loss was accepted; nothing of one that was only found, or found again."""
    return "" if row.found_ns else str(row.why)


def _batch(row: Row[Any]) -> str:
    return f"{row.spool}/{row.segment}/{row.first_frame}-{row.end_frame}"


def _month(row: Row[Any]) -> str:
    return f"{str(row.begin_day)[:7]} {str(row.receipt)[:12]}"


CHAINED = (
    Chained(
        table=schema.keys,
        kinds=("key",),
        subject=_columns("key_id", "organisation", "project"),
        key=("key_id",),
    ),
    Chained(
        table=schema.former_secrets,
        kinds=("secret",),
        subject=_columns("key_id"),
        key=("digest",),
    ),
    Chained(
        table=schema.tenants,
        kinds=("organisation", "project"),
        kind_of=_tenant_kind,
        subject=_columns("organisation", "project"),
        key=("organisation", "project"),
    ),
    Chained(
        table=schema.limits,
        kinds=("limit",),
        subject=_columns("organisation", "project", "key_id", "cloud", "product"),
        key=("id",),
    ),
    Chained(
        table=schema.budgets,
        kinds=("budget",),
        subject=_columns("organisation", "project", "key_id", "cloud", "product", "period"),
        key=("id",),
        volatile=frozenset({"short_ns"}),
    ),
    Chained(
        table=schema.manifest,
        kinds=("usage", "import"),
        kind_of=_usage_kind,
        subject=_batch,
        day=_day("first_day"),
    ),
    Chained(
        table=schema.lake_files,
        kinds=("file",),
        subject=_columns("name"),
        day=_day("first_day"),
    ),
    Chained(
        table=schema.dropped_days,
        kinds=("dropped-days",),
        subject=_columns("kept_from"),
        day=_day("first_day"),
    ),
    Chained(
        table=schema.losses,
        kinds=("loss",),
        subject=_columns("spool", "segment", "first_frame"),
        day=_day("first_day"),
        why=_loss_reason,
    ),
    Chained(
        table=schema.one_copy,
        kinds=("one copy",),
        subject=_columns("spool", "segment", "first_frame"),
    ),
    Chained(
        table=schema.facts,
        kinds=("fact",),
        subject=_columns("kind", "sequence"),
        day=_day("effective"),
        why=_column("source"),
    ),
    Chained(
        table=schema.basis,
        kinds=("basis",),
        subject=_columns("kind", "name", "label"),
        why=_column("why"),
        stamps=frozenset({"sequence", "recorded_ns", "who", "why"}),
    ),
    Chained(
        table=schema.entries,
        kinds=("entry",),
        subject=_columns("id"),
        day=_day("day"),
        why=_column("narration"),
        parts=schema.postings,
    ),
    Chained(
        table=schema.settlements,
        kinds=("settlement",),
        subject=_month,
        day=_day("begin_day"),
    ),
    Chained(
        table=schema.vouchers,
        kinds=("credit", "dispute", "resolution", "invoice", "payment", "reversal"),
        kind_of=_column("kind"),
        subject=_columns("id"),
        day=_day("day"),
        why=_reason,
        stamps=frozenset({"sequence", "recorded_ns"}),
    ),
    Chained(
        table=schema.party_keys,
        kinds=("party-key", "withdrawn-key"),
        kind_of=_party_key_kind,
        subject=_columns("party", "fingerprint"),
        why=_column("why"),
    ),
    Chained(
        table=schema.audit_breaks,
        kinds=("break",),
        subject=_columns("head"),
        why=_column("why"),
    ),
    Chained(
        table=schema.closes,
        kinds=("close",),
        subject=_month,
        day=_day("begin_day"),
        # The statement's digest says which it is.
        stamps=frozenset({"sequence", "closed_ns", "statement"}),
    ),
    Chained(
        table=schema.people,
        kinds=("person",),
        subject=_columns("account", "may"),
        key=("account",),
        stamps=frozenset({"recorded_ns"}),
    ),
    Chained(
        table=schema.passwords,
        kinds=("password",),
        subject=_columns("account", "sees"),
        key=("account",),
    ),
    Chained(
        table=schema.two_person_rules,
        kinds=("rule",),
        subject=_columns("kind"),
        key=("kind",),
        stamps=frozenset({"recorded_ns"}),
    ),
    Chained(
        table=schema.approvals,
        kinds=("approval",),
        subject=_columns("kind", "subject", "decision"),
        why=_approval_reason,
    ),
)

# The tables that are not in the chain by themselves, and why not.
NOT_CHAINED: Mapping[str, str] = {
    "postings": "part of its entry's digest",
    "spools": "how journals were last seen; lost parts and accepted estimates are losses",
    "leases": "changes with every slice of a budget; usage tells the amounts spent",
    "homes": "when each home that shares the database was last heard",
    "limit_shares": "changes every minute; usage tells the requests that were let through",
    "limit_shortages": "when a share of a limit was last too small",
    "identifier_copies": "when each home last copied its index",
    "issued_resources": "copied from the homes' own indexes; usage tells the requests themselves",
    "rollups": "figures for pages, computed from usage; `clauseway lake rollups` rebuilds them",
    "imported": "the same as imported_records in older homes",
    "imported_records": "tells an import which records it read before; the records are usage",
    "imports": "names the files of an import; its batches are in the manifest",
    "quarantine": "in no amount until a row is corrected and sealed, which is usage",
    "basis_texts": "each is named by its digest in a chained row; checks and readers hold it against that",
    "kept_sums": "can be counted again; `settle --from-scratch` and every `statement verify` do",
    "usage_contents": "read from the lake's files; again if these change, and by every `statement verify`",
    "audit_log": "the chain itself",
    "audit_head": "the chain's end, checked against the log",
}

BY_TABLE = {chained.place: chained for chained in CHAINED}


def contents(
    connection: Connection, chained: Chained, where: ColumnElement[bool] | None = None
) -> Iterator[RowContent]:
    """Read the rows of a chained table, all or some, in the order of their keys."""
    columns = [chained.table.c[name] for name in chained.key]
    query = _raw(chained.table).order_by(*columns)
    if where is not None:
        query = query.where(where)
    rows = streamed(connection, query)
    if chained.parts is None:
        for row in rows:
            yield _content(chained, row, ())
        return
    parts = _parts(connection, chained.parts, chained, where)
    key, legs = next(parts, (None, []))
    for row in rows:
        sequence = row.sequence
        # Parts of a missing row belong to nothing: they are returned as a row of their own.
        while key is not None and key < sequence:
            yield _orphan(chained.parts, key, legs)
            key, legs = next(parts, (None, []))
        own = legs if key == sequence else []
        yield _content(chained, row, own)
        if key == sequence:
            key, legs = next(parts, (None, []))
    while key is not None:
        yield _orphan(chained.parts, key, legs)
        key, legs = next(parts, (None, []))


def contents_of(
    connection: Connection, chained: Chained, keys: Sequence[RowKey]
) -> Iterator[RowContent]:
    """Read the rows with these keys, as far as they are there."""
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        where: ColumnElement[bool]
        if len(chained.key) == 1:
            where = chained.table.c[chained.key[0]].in_([key[0] for key in some])
        else:
            where = or_(*(_is(chained, key) for key in some))
        yield from contents(connection, chained, where)


def row_text(key: Sequence[Any]) -> str:
    """Write a key as the log does: a single value as it is, several as a JSON list."""
    return str(key[0]) if len(key) == 1 else msgspec.json.encode(key).decode()


def row_key(chained: Chained, text: str) -> RowKey:
    """Read a key that `row_text` wrote."""
    if len(chained.key) > 1:
        return tuple(msgspec.json.decode(text))
    return (int(text) if chained.is_numbered else text,)


def unstamped(connection: Connection, chained: Chained, row: str) -> dict[str, str]:
    """Return what a row says, by column as text, without its stamps: who wrote it, when and why."""
    query = _raw(chained.table).where(_is(chained, row_key(chained, row)))
    return _filled(chained.table, connection.execute(query).one(), chained.stamps)


def _is(chained: Chained, key: RowKey) -> ColumnElement[bool]:
    return and_(
        *(chained.table.c[name] == value for name, value in zip(chained.key, key, strict=True))
    )


def _parts(
    connection: Connection, table: Table, chained: Chained, where: ColumnElement[bool] | None
) -> Iterator[tuple[int, list[Row[Any]]]]:
    """Yield the postings, grouped by the entry that they name."""
    query = _raw(table).order_by(table.c.entry, table.c.leg)
    if where is not None:
        query = query.join(chained.table, table.c.entry == chained.table.c.sequence).where(where)
    # The entry is the first column.
    for key, legs in groupby(streamed(connection, query), itemgetter(0)):
        yield key, list(legs)


def streamed(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Return the rows of a query as they come, some thousands at a time, so that a long table does
    not fill the memory."""
    result = connection.execute(query.execution_options(yield_per=_STREAMED_ROWS))
    # In whole parts: asking the result for each row takes longer than reading the row.
    return chain.from_iterable(result.partitions())


@cache
def _raw(table: Table) -> Select[Any]:
    """Select all columns of a table, as the database holds them."""
    columns: list[Any] = [type_coerce(column, Text).label(column.name) for column in table.columns]
    return select(*columns)


def _content(chained: Chained, row: Row[Any], legs: Sequence[Row[Any]]) -> RowContent:
    values = _filled(chained.table, row, chained.volatile)
    if legs and chained.parts is not None:
        values["parts"] = [_filled(chained.parts, leg, frozenset()) for leg in legs]
    return RowContent(
        row=row_text([getattr(row, name) for name in chained.key]),
        kind=chained.kind(row),
        subject=chained.subject(row),
        day=chained.day(row),
        why=chained.why(row),
        digest=_digest(chained.place, values),
    )


def _orphan(table: Table, key: int, legs: Sequence[Row[Any]]) -> RowContent:
    values = {"parts": [_filled(table, leg, frozenset()) for leg in legs]}
    subject = f"{len(legs)} of no entry"
    digest = _digest(str(table.name), values)
    return RowContent(
        row=f"{key}?", kind="posting", subject=subject, day=None, why="", digest=digest
    )


def _digest(table: str, values: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode((table, values), order="sorted")).hexdigest()


def stated(table: Table, row: Row[Any]) -> dict[str, Any]:
    """Return every column of a row that has a value, as text that is the same in every database."""
    return _filled(table, row, frozenset())


def _filled(table: Table, row: Row[Any], volatile: frozenset[str]) -> dict[str, Any]:
    """Return the filled columns of a row, as text that is the same in every database."""
    columns = _columns_of(table)
    # By position: each name would be looked up in the row.
    filled = {
        name: value if type(value) is str else _text(value)
        for name, value in zip(columns.names, row, strict=True)
        if value
    }
    for name, at in columns.decimals:
        if name in filled:
            filled[name] = _plain(row[at])
    for name, default in columns.defaults:
        if filled.get(name) == default:
            del filled[name]
    for name in volatile:
        filled.pop(name, None)
    return filled


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(int(value) if value is True else value)


def _plain(value: Any) -> str:
    """Write a decimal without the zeros that a database may add."""
    # Most are written so already, and a match costs a fifth of the arithmetic.
    if isinstance(value, str) and _WRITTEN_PLAINLY(value):
        return value
    try:
        number = Decimal(value)
        return format(number.normalize(_EVERY_DIGIT), "f") if number.is_finite() else str(value)
    except InvalidOperation:
        return str(value)


class _Columns(NamedTuple):
    """The columns of a table: the places of those with decimals, the texts of the defaults."""

    names: list[str]
    decimals: list[tuple[str, int]]
    defaults: list[tuple[str, str]]


@cache
def _columns_of(table: Table) -> _Columns:
    return _Columns(
        names=[column.name for column in table.columns],
        decimals=[
            (column.name, at)
            for at, column in enumerate(table.columns)
            if isinstance(column.type, schema.ExactDecimal)
        ],
        defaults=[(column.name, text) for column in table.columns if (text := _default(column))],
    )


def _default(column: Any) -> str:
    default = column.server_default
    return str(getattr(default, "arg", "")) if default is not None else ""
