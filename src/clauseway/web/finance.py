"""The contexts of the finance screen: months by state, balances, what is ahead, and files to take
away."""

import msgspec

from clauseway.web.contexts import Alert, FigureShown, ForecastContext, StatementContext


class OwedShown(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that one party owes another for a month; `claimed` says by which invoices, and
    what is open of them."""

    label: str
    amount: str
    claimed: str = ""


class FileLink(msgspec.Struct, frozen=True):
    """A file to take away: what it is called, and its address."""

    label: str
    address: str


class MonthShown(msgspec.Struct, frozen=True, kw_only=True):
    """A month, how far it has come, and the command that brings it further."""

    period: str
    state: str
    owed: tuple[OwedShown, ...]
    downloads: tuple[FileLink, ...]
    next_command: str = ""


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
    """The finance screen. `statement` is of the latest settled month; None where there is none."""

    title: str
    months: tuple[MonthShown, ...]
    statement: StatementContext | None
    chips: tuple[AssumptionChip, ...]
    balances: tuple[BalanceShown, ...]
    forecast: ForecastContext
    empty: str
    alerts: tuple[Alert, ...] = ()


class SentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is sent: the name under which a browser keeps it, its kind, its bytes."""

    name: str
    kind: str
    content: bytes
