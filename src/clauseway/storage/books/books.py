"""The vouchers that people added to the ledger, and the closed periods.

A voucher (an invoice, a payment, a credit, a dispute, its resolution) is appended once, by the id
that its author gave, together with its entries. A period is closed once: with the bytes of its
statement, which never change.

    ledger.Conflict        a voucher's id came again with different content; nothing was written
    AlreadyClosed          the period was closed before, with another statement; nothing was written
"""

from collections.abc import Iterable
from datetime import date

import msgspec
from sqlalchemy import Connection, insert, select

from clauseway.ledger import Conflict, Entry, Settlement, summary_of
from clauseway.ledger.closing import SettlementSummary
from clauseway.ledger.vouchers import Voucher
from clauseway.storage.books.kept_sums import KeptSum, keep_sums, read_sums
from clauseway.storage.control import journal, schema
from clauseway.storage.control.control import Control
from clauseway.values import Interval

_SUMMARY = msgspec.json.Decoder(SettlementSummary)
_VOUCHER = msgspec.json.Decoder(Voucher)


class AlreadyClosed(Exception):
    """A period was closed before."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A closed period: the receipt of its settlement, its statement's bytes, and their hash."""

    period: Interval
    receipt: str
    digest: str
    statement: bytes
    closed_ns: int


class Books:
    """Vouchers and closed periods of a control database."""

    def __init__(self, control: Control) -> None:
        self.control = control

    def book(self, voucher: Voucher, entries: Iterable[Entry], recorded_ns: int) -> bool:
        """Append a voucher with its entries, all or none; return whether it is new. Raise
        ledger.Conflict."""
        with self.control.writing() as connection:
            if not _keep(connection, voucher, recorded_ns):
                return False
            journal.post(connection, entries, recorded_ns)
            return True

    def book_together(self, vouchers: Iterable[Voucher], recorded_ns: int) -> None:
        """Append vouchers without entries, all or none. Raise ledger.Conflict."""
        with self.control.writing() as connection:
            for voucher in vouchers:
                _keep(connection, voucher, recorded_ns)

    def vouchers(self) -> list[Voucher]:
        """Return all vouchers, in the order in which they were recorded."""
        return [voucher for voucher, _ in self.dated_vouchers()]

    def dated_vouchers(self) -> list[tuple[Voucher, int]]:
        """Return all vouchers, each with the instant of its recording (ns since 1970), in that
        order."""
        columns = schema.vouchers.c
        query = select(columns.body, columns.recorded_ns).order_by(columns.sequence)
        with self.control.reading() as connection:
            return [
                (_VOUCHER.decode(row.body), row.recorded_ns) for row in connection.execute(query)
            ]

    def close(self, closed: Closed) -> bool:
        """Close a period; return whether it was open. The same again changes nothing. Raise
        AlreadyClosed."""
        with self.control.writing() as connection:
            for earlier in _closed(connection):
                if earlier.period == closed.period:
                    # The receipt names the inputs, the statement the result: both have to agree.
                    if (earlier.receipt, earlier.statement) != (closed.receipt, closed.statement):
                        raise AlreadyClosed(
                            f"{closed.period.begin} was closed with another statement"
                        )
                    return False
            row = {
                "begin_day": closed.period.begin,
                "end_day": closed.period.end,
                "receipt": closed.receipt,
                "digest": closed.digest,
                "statement": closed.statement.decode(),
                "closed_ns": closed.closed_ns,
            }
            connection.execute(insert(schema.closes).values(**row))
            return True

    def closed(self) -> list[Closed]:
        """Return the closed periods, oldest first."""
        with self.control.reading() as connection:
            return _closed(connection)

    def closed_receipts(self) -> dict[Interval, str]:
        """Return the receipt with which each period was closed, oldest first; without the
        statements."""
        columns = schema.closes.c
        query = select(columns.begin_day, columns.end_day, columns.receipt).order_by(
            columns.begin_day
        )
        with self.control.reading() as connection:
            return {
                Interval(begin, end): receipt for begin, end, receipt in connection.execute(query)
            }

    def summaries(self) -> list[SettlementSummary]:
        """Return the part of each settlement that later months need, in the order of recording.

        Summaries that were read before are kept.
        """
        columns = schema.settlements.c
        with self.control.reading() as connection:
            query = select(columns.sequence, columns.receipt).order_by(columns.sequence)
            receipts = {row.sequence: row.receipt for row in connection.execute(query)}
        names = {_summary_place(sequence): receipt for sequence, receipt in receipts.items()}
        kept = read_sums(self.control, names)
        # A kept sum of another receipt counts as missing: it was made of another settlement.
        missing = [sequence for sequence in receipts if _summary_place(sequence) not in kept]
        read = {sequence: summary_of(self._recorded(sequence)) for sequence in missing}
        keep_sums(
            self.control,
            [
                KeptSum(
                    _summary_place(sequence), summary.receipt, msgspec.json.encode(summary).decode()
                )
                for sequence, summary in read.items()
            ],
        )
        return [
            read[sequence] if sequence in read else _SUMMARY.decode(kept[_summary_place(sequence)])
            for sequence in receipts
        ]

    def _recorded(self, sequence: int) -> Settlement:
        columns = schema.settlements.c
        with self.control.reading() as connection:
            body = connection.execute(
                select(columns.body).where(columns.sequence == sequence)
            ).scalar_one()
        return msgspec.json.decode(body, type=Settlement)

    def open_since(self) -> date | None:
        """Return the first day after all closed periods; None if none is closed."""
        query = select(schema.closes.c.end_day).order_by(schema.closes.c.end_day.desc()).limit(1)
        with self.control.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def latest(self, period: Interval) -> Settlement | None:
        """Return the settlement of a period that was recorded last."""
        columns = schema.settlements.c
        query = select(columns.body).where(
            columns.begin_day == period.begin, columns.end_day == period.end
        )
        with self.control.reading() as connection:
            body = connection.execute(
                query.order_by(columns.sequence.desc()).limit(1)
            ).scalar_one_or_none()
        return None if body is None else msgspec.json.decode(body, type=Settlement)

    def standing_receipts(self) -> dict[Interval, str]:
        """Return the receipt of the settlement that stands for each settled period, oldest first: the
        one with which it was closed, else the latest. No settlement is decoded."""
        columns = schema.settlements.c
        query = select(columns.begin_day, columns.end_day, columns.receipt)
        with self.control.reading() as connection:
            rows = connection.execute(query.order_by(columns.sequence))
            latest = {Interval(begin, end): receipt for begin, end, receipt in rows}
        return dict(sorted((latest | self.closed_receipts()).items()))

    def standing(self, period: Interval) -> Settlement | None:
        """Return the settlement that stands for a period; None where it was not settled."""
        receipt = self.standing_receipts().get(period)
        return None if receipt is None else self.settlement(receipt)

    def restatements(self, period: Interval) -> list[Settlement]:
        """Return the restatements of a closed period, in the order of recording."""
        return [
            settlement for settlement in self.control.settlements(period) if settlement.restates
        ]

    def settled_before(self, day: date) -> list[Interval]:
        """Return the settled periods that begin before a day, oldest first."""
        columns = schema.settlements.c
        query = select(columns.begin_day, columns.end_day).where(columns.begin_day < day).distinct()
        with self.control.reading() as connection:
            return [Interval(*row) for row in connection.execute(query.order_by(columns.begin_day))]

    def settled_ns(self, receipt: str) -> int | None:
        """Return when the settlement with a receipt was first recorded here; None if it was not."""
        columns = schema.settlements.c
        query = (
            select(columns.recorded_ns)
            .where(columns.receipt == receipt)
            .order_by(columns.sequence)
            .limit(1)
        )
        with self.control.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def settlement(self, receipt: str) -> Settlement:
        """Return the settlement with a receipt that is known to exist."""
        columns = schema.settlements.c
        query = (
            select(columns.body)
            .where(columns.receipt == receipt)
            .order_by(columns.sequence)
            .limit(1)
        )
        with self.control.reading() as connection:
            return msgspec.json.decode(connection.execute(query).scalar_one(), type=Settlement)


def latest_settlement(control: Control) -> Settlement | None:
    """Return the settlement that was recorded last, of whatever period."""
    columns = schema.settlements.c
    query = select(columns.body).order_by(columns.sequence.desc()).limit(1)
    with control.reading() as connection:
        body = connection.execute(query).scalar_one_or_none()
    return None if body is None else msgspec.json.decode(body, type=Settlement)


def _summary_place(sequence: int) -> str:
    return f"told {sequence}"


def _keep(connection: Connection, voucher: Voucher, recorded_ns: int) -> bool:
    columns = schema.vouchers.c
    body = msgspec.json.encode(voucher).decode()
    recorded = connection.execute(
        select(columns.body).where(columns.id == voucher.id)
    ).scalar_one_or_none()
    # The same id again is a repetition only with the same content.
    if recorded is not None:
        if recorded != body:
            raise Conflict(f"{voucher.id} was recorded before as something else", voucher.id)
        return False
    row = {
        "id": voucher.id,
        "kind": voucher.kind,
        "day": voucher.day,
        "body": body,
        "recorded_ns": recorded_ns,
    }
    connection.execute(insert(schema.vouchers).values(**row))
    return True


def _closed(connection: Connection) -> list[Closed]:
    rows = connection.execute(select(schema.closes).order_by(schema.closes.c.begin_day))
    return [
        Closed(
            period=Interval(row.begin_day, row.end_day),
            receipt=row.receipt,
            digest=row.digest,
            statement=row.statement.encode(),
            closed_ns=row.closed_ns,
        )
        for row in rows
    ]
