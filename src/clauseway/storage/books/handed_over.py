"""Rows of the control database as JSON, for another machine: the basis of a settlement, written and
read again.

Only the columns of the tables named here are read or written, each value by its column's type.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Integer,
    LargeBinary,
    Select,
    Table,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from clauseway.ledger import Settlement, Statement, statement_of
from clauseway.ledger.vouchers import Voucher
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, FactPayload
from clauseway.values import unreal_amount

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
RowsByTable = dict[str, list[dict[str, Any]]]
# The tables that a settlement stands on, and the column that says when a row became known.
_TABLES: tuple[tuple[Table, str], ...] = (
    (schema.basis, "recorded_ns"),
    (schema.basis_texts, ""),
    (schema.facts, "recorded_ns"),
    (schema.vouchers, "recorded_ns"),
    (schema.losses, "lost_ns"),
    (schema.one_copy, "recorded_ns"),
    (schema.audit_breaks, "recorded_ns"),
    (schema.settlements, "recorded_ns"),
    (schema.closes, "closed_ns"),
)
# The columns whose text is a record in JSON.
_RECORDS: Mapping[Column[Any], msgspec.json.Decoder[Any]] = {
    schema.facts.c.payload: msgspec.json.Decoder(FactPayload),
    schema.vouchers.c.body: msgspec.json.Decoder(Voucher),
    schema.settlements.c.body: msgspec.json.Decoder(Settlement),
}
ROWS_MAX = 1_000_000
# Gzip makes gigabytes of a megabyte. Agreements and price books of years have a few megabytes.
TEXT_BYTES_MAX = 256 << 20
_GZIP = zlib.MAX_WBITS | 16


class Unfit(ValueError):
    """Rows that do not fit their table."""


def taken(control: Control, known_ns: int, before: date) -> RowsByTable:
    """Return the rows known by an instant; closes only of periods that ended by a day."""
    with control.reading() as connection:
        rows = {
            table.name: _taken(connection, table, column, known_ns) for table, column in _TABLES
        }
    rows["closes"] = [row for row in rows["closes"] if row["end_day"] <= str(before)]
    return rows


def put(control: Control, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write rows into an empty database. Raise Unfit."""
    if unknown := sorted(rows.keys() - {str(table.name) for table, _ in _TABLES}):
        raise Unfit(f"there is no table {unknown[0]!r}")
    if sum(map(len, rows.values())) > ROWS_MAX:
        raise Unfit(f"there are more than {ROWS_MAX:,} rows")
    read = {
        table.name: [_read(table, row) for row in rows.get(str(table.name), ())]
        for table, _ in _TABLES
    }
    _check_texts(row["body"] for row in read["basis_texts"])
    _check_closes(read["closes"], read["settlements"])
    with control.writing() as connection:
        for table, _ in _TABLES:
            values = read[table.name]
            if not values:
                continue
            try:
                connection.execute(insert(table), values)
            except IntegrityError as error:
                why = f"rows of {table.name} do not fit each other: {error.orig}"
                raise Unfit(why) from None


def _check_texts(bodies: Iterable[bytes]) -> None:
    """Raise Unfit where texts unpack to more than texts may have, or where one holds another."""
    left = TEXT_BYTES_MAX
    for body in bodies:
        unpacking = zlib.decompressobj(_GZIP)
        try:
            left -= len(unpacking.decompress(body, left + 1))
        except zlib.error:
            # Whoever reads this text says that it is not what was accepted.
            continue
        if left < 0:
            raise Unfit(f"its texts unpack to more than {TEXT_BYTES_MAX >> 20} MB")
        if unpacking.unused_data:
            raise Unfit("a text is followed by something else")


def _check_closes(
    closes: Iterable[Mapping[str, Any]], settlements: Iterable[Mapping[str, Any]]
) -> None:
    """Raise Unfit where a month was not closed with the statement of a settlement that is there."""
    bodies = {row["receipt"]: row["body"] for row in settlements}
    for row in closes:
        month, statement, receipt = f"{row['begin_day']:%Y-%m}", row["statement"], row["receipt"]
        closed = f"the statement with which {month} was closed"
        if hashlib.sha256(statement.encode()).hexdigest() != row["digest"]:
            raise Unfit(f"{closed} is not the one of its digest")
        if receipt not in bodies:
            raise Unfit(
                f"{month} was closed with the settlement {receipt[:80]}, which is not there"
            )
        settlement = msgspec.json.decode(bodies[receipt], type=Settlement)
        try:
            stated = msgspec.json.decode(statement, type=Statement)
        except (msgspec.MsgspecError, InvalidOperation) as error:
            raise Unfit(f"{closed} is none: {error}") from None
        # Earlier versions wrote fewer members of a line.
        if _of_lines(stated) != _of_lines(statement_of(settlement)):
            raise Unfit(f"{closed} has other lines than its settlement")


def _of_lines(statement: Statement) -> list[tuple[object, ...]]:
    return [
        (line.id, line.payer, line.payee, line.days, line.base, line.amount, line.product)
        for line in statement.lines
    ]


def _taken(
    connection: Connection, table: Table, known_column: str, known_ns: int
) -> list[dict[str, Any]]:
    query: Select[Any] = select(table).order_by(*table.primary_key.columns)
    if known_column:
        query = query.where(table.c[known_column] <= known_ns)
    return [
        {name: _written(value) for name, value in row._mapping.items()}
        for row in connection.execute(query)
    ]


def _written(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, date | Decimal) else value


def _read(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    # Rows packed before a column was added lack it, and mean its default.
    needed = {column.name for column in table.columns if column.server_default is None}
    if not needed <= row.keys() <= {column.name for column in table.columns}:
        raise Unfit(f"a row of {table.name} has other columns")
    try:
        columns = [column for column in table.columns if column.name in row]
        values = {column.name: _value(column.type, row[column.name]) for column in columns}
        for column in columns:
            if decoder := _RECORDS.get(column):
                record = decoder.decode(values[column.name])
                if unreal_amount(record) is not None:
                    raise ValueError("an amount is no sum of money")
                _check_columns(table, values, record)
        return values
    except Unfit:
        raise
    except (ValueError, TypeError, InvalidOperation) as error:
        raise Unfit(f"a row of {table.name} has a value of another kind: {error}") from None


def _check_columns(table: Table, values: Mapping[str, Any], record: object) -> None:
    """Raise Unfit where the columns of a row say something else than its record."""
    if isinstance(record, Settlement):
        period = record.period
        stated = {"receipt": record.receipt, "begin_day": period.begin, "end_day": period.end}
    elif isinstance(record, Voucher):
        stated = {"id": record.id, "kind": record.kind, "day": record.day}
    else:
        return
    for name, value in stated.items():
        if values[name] != value:
            raise Unfit(f"a row of {table.name} is not what its columns say: {name}")


def _value(kind: Any, value: Any) -> Any:
    """Return a value as its column takes it."""
    if value is None:
        return None
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, LargeBinary):
        return base64.b64decode(value, validate=True)
    if isinstance(kind, schema.ExactDecimal):
        return Decimal(value)
    # A foreign machine's JSON: anything but the column's own type is refused, not converted.
    wanted = (
        bool
        if isinstance(kind, Boolean)
        else _Int64
        if isinstance(kind, Integer | BigInteger)
        else str
    )
    return msgspec.convert(value, wanted)
