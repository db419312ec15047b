"""The finance screens: months by state, balances, the forecast, bills, statements with their lines,
and files to download."""

from typing import Final, Protocol

import msgspec

from clauseway.web.contexts import (
    Alert,
    DayRequestsContext,
    FigureShown,
    ForecastContext,
    LineContext,
    StatementContext,
)
from clauseway.web.page import Absence, WebPage


class OwedShown(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that one party owes another for a month; `claimed` names its invoices and their
    open amounts."""

    label: str
    amount: str
    claimed: str = ""


class FileLink(msgspec.Struct, frozen=True):
    """A file to download: its label and its address."""

    label: str
    address: str


class MonthShown(msgspec.Struct, frozen=True, kw_only=True):
    """A month, its state, and the next command. If `next_after` names a month, that month must be
    closed first."""

    period: str
    state: str
    owed: tuple[OwedShown, ...]
    downloads: tuple[FileLink, ...]
    next_command: str = ""
    next_after: str = ""


class BalanceShown(msgspec.Struct, frozen=True, kw_only=True):
    """An account's balance: `side` is `debit` or `credit`."""

    party: str
    account: str
    about: str
    side: str
    amount: str


class AssumptionChip(msgspec.Struct, frozen=True, kw_only=True):
    """An assumption: `kind` is `given`, `reported` or `ours`."""

    kind: str
    figure: FigureShown


class FinanceContext(msgspec.Struct, frozen=True, kw_only=True):
    """The finance screen. `statement` is of the latest settled month; None if no month is settled.
    `empty` says that there is no month, and `empty_command` what to do then."""

    title: str
    months: tuple[MonthShown, ...]
    statement: StatementContext | None
    chips: tuple[AssumptionChip, ...]
    balances: tuple[BalanceShown, ...]
    forecast: ForecastContext
    empty: str
    empty_command: str = ""
    alerts: tuple[Alert, ...] = ()


class BillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a bill, or a likely cause within a part: the number of its items, and its
    amounts."""

    name: str
    items: str
    at_stake: str
    metered: str
    billed: str


class BillItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item in which a bill and the meter differ: the quantities of both sides, likely causes
    with their figures, and the rows and requests behind it."""

    said: str
    quantities: str = ""
    causes: tuple[str, ...] = ()
    behind: str = ""


class BillContext(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud's bill as typed, compared with the meter.

    `problem` says why it cannot be compared; all else is empty until a bill is typed. `more` counts
    the items that are not listed.
    """

    bill: str = ""
    problem: str = ""
    is_compared: bool = False
    holds: bool = False
    said: str = ""
    scope: str = ""
    rows: tuple[BillRow, ...] = ()
    items: tuple[BillItem, ...] = ()
    more: int = 0
    remarks: tuple[str, ...] = ()


class SentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as sent: its name for the browser, its media type, its bytes."""

    name: str
    kind: str
    content: bytes


class FinanceSource(Protocol):
    """The source of the finance pages and their files."""

    async def finance(self, growth: str, cap: str) -> FinanceContext:
        """Return the finance screen. Its forecast assumes a growth in percent a month (`5`, or a
        range `3..7`) and a cap, unless they are empty."""
        ...

    async def bill(self, bill: str) -> BillContext:
        """Compare a cloud's bill with the meter, and return the result. Change nothing."""
        ...

    async def file(self, document: str, period: str, form: str) -> SentFile | None:
        """Return a month's statement or ledger in a format; None if there is no such file."""
        ...

    async def statement(self, period: str, begin: str) -> StatementContext | None:
        """Return the statement of a month (`2026-05`), of a long one a page of its lines from number
        `begin` on; None if the month is not settled."""
        ...

    async def line(self, period: str, line: str, request: str, records: str) -> LineContext | None:
        """Return the evidence behind a line of a month, and of one request if it is named; None if
        there is no such line. Read many records only if `records` is `all`."""
        ...

    async def day_requests(
        self, period: str, line: str, day: str, begin: str
    ) -> DayRequestsContext | None:
        """Return the requests of a line on one day, from number `begin` on; None if the month has
        no such line."""
        ...


# Auditors may open a statement and each of its files.
AUDITORS_TOO = ("/auditor",)
FINANCE_PAGES: Final[tuple[WebPage[FinanceSource], ...]] = (
    WebPage(
        name="finance",
        path="/finance",
        query=("growth", "cap"),
        screen="/finance",
        ask=lambda source, given: source.finance(given["growth"], given["cap"]),
    ),
    WebPage(
        name="bill",
        path="/finance/bill",
        form=("bill",),
        command="clauseway usage reconcile --bill FILE",
        screen="/finance",
        link="Does a cloud’s bill agree?",
        ask=lambda source, given: source.bill(given["bill"]),
    ),
    WebPage(
        name="statement",
        screen="/finance",
        also=AUDITORS_TOO,
        path="/statement/{period}",
        query=("from",),
        ask=lambda source, given: source.statement(given["period"], given["from"]),
        absent=Absence(
            "There is no statement for {period}",
            "No settlement of that month has been posted.",
            "Settle it: clauseway settle --period {period} names the figures to accept first.",
        ),
    ),
    WebPage(
        name="line",
        screen="/finance",
        also=AUDITORS_TOO,
        path="/statement/{period}/{line}",
        query=("request", "records"),
        ask=lambda source, given: source.line(
            given["period"], given["line"], given["request"], given["records"]
        ),
        absent=Absence(
            "There is no line {line} in {period}",
            "No settlement of that month has it.",
            "Take the name from the statement: /statement/{period}.",
        ),
    ),
    WebPage(
        name="day_requests",
        screen="/finance",
        also=AUDITORS_TOO,
        path="/statement/{period}/{line}/{day}",
        query=("from",),
        ask=lambda source, given: source.day_requests(
            given["period"], given["line"], given["day"], given["from"]
        ),
        absent=Absence(
            "There are no requests of line {line} on {day}",
            "No settlement of {period} has that line, or nothing was charged in it on that day.",
            "Take the day from the line: /statement/{period}/{line}.",
        ),
    ),
)
