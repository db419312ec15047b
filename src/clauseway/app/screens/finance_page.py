"""The finance screen: months by state, balances, and the files that a month is handed over in."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from clauseway.app.books.month_states import (
    CLOSED,
    INVOICED,
    OPEN,
    PAID,
    SETTLED,
    MonthOwed,
    MonthState,
    balances,
    latest_settled,
    month_states,
)
from clauseway.app.books.settled import SettledMonth, statement
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import month as month_of
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.app.reports.amounts import cents, in_currency
from clauseway.app.reports.statement_formats import FORMATS
from clauseway.app.reports.statements import statement_context
from clauseway.app.screens.clause_places import statement_with_places
from clauseway.app.screens.next_commands import SETTLE, assume_flags, first_command
from clauseway.exchange.journals import JOURNAL_FORMATS
from clauseway.ledger import Account
from clauseway.values import USD, read_place
from clauseway.web.contexts import Alert, FigureShown, ForecastContext, StatementContext
from clauseway.web.finance import (
    AssumptionChip,
    BalanceShown,
    FileLink,
    FinanceContext,
    MonthShown,
    OwedShown,
    SentFile,
)
from clauseway.wording.names import Wording

_STATEMENT, _LEDGER, _EVIDENCE = "statement", "ledger", "evidence"
_PACK = "pack"
_MEDIA_TYPES = {
    "html": "text/html",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
    "json": "application/json",
    "pack": "application/zip",
}
# Reads the lake's columns by an engine: loaded only for the download of a ledger.
_JOURNALS = "clauseway.app.books.handing_over"
_PACKING = "clauseway.app.reports.packing"
# The libraries of an extra, by the format that they write.
_LIBRARIES = {"pdf": "typst", "xlsx": "openpyxl"}
# Lines that the screen shows of a section: more are not looked through by folding them open.
_LINES_MAX = 200
# Lines on a page of a statement, which are about a megabyte.
_PAGE_LINES = 1000
NEXT = {
    OPEN: SETTLE,
    SETTLED: "clauseway books close {period}",
    CLOSED: "clauseway books invoice --period {period} --payer {payer} --payee {payee}",
    INVOICED: "clauseway books payment --help",
    PAID: "",
}
# Tried in this order: a sum is written in the first scale that leaves at most two places.
_SCALES = (("trillion", 12), ("billion", 9), ("million", 6))
_EMPTY = "Nothing is settled and no usage is sealed yet. Two settled months to try, in a home of their own:"
# The order in which months need attention: a step is due, a payment is awaited, an earlier month
# has to be closed first, the month is not over, all is paid.
_DUE, _AWAITED, _LATER, _RUNNING, _DONE = range(5)


def finance_page(
    home: Home,
    opened: Opened,
    settled_months: Mapping[str, SettledMonth],
    forecast: ForecastContext,
    alerts: tuple[Alert, ...],
    today: date,
) -> FinanceContext:
    """Return the screen; its months come in the order in which they need attention."""
    words = Wording.of(each_of(opened))
    months = month_states(home, settled_months)
    settled = [month.period for month in months if month.state != OPEN]
    flags = assume_flags(home, opened) if len(settled) < len(months) else ""
    last = latest_settled(months, today)
    latest = statement(home, last.period) if last else None
    shown = _in_part(statement_context(latest, words.name)) if latest else None
    return FinanceContext(
        title=title_of(opened),
        months=tuple(
            _month(words, month, _before(months, month), flags)
            for month in _by_attention(months, today)
        ),
        statement=statement_with_places(opened, shown) if shown else None,
        chips=tuple(_chip(words, each) for each in shown.assumptions) if shown else (),
        balances=tuple(
            _balance(words, balance.account, balance.currency, balance.amount)
            for balance in balances(home)
        ),
        forecast=forecast,
        empty="" if months else _EMPTY,
        empty_command="" if months else first_command(home, opened, months),
        alerts=alerts,
    )


def _in_part(statement: StatementContext) -> StatementContext:
    """Return a statement of which long sections have their first lines alone."""
    sections = tuple(
        msgspec.structs.replace(
            section,
            lines=section.lines[:_LINES_MAX],
            left_out=max(len(section.lines) - _LINES_MAX, 0),
        )
        for section in statement.sections
    )
    return msgspec.structs.replace(statement, sections=sections)


def page_of_statement(statement: StatementContext, begin: str) -> StatementContext:
    """Return a long statement with a page of its lines from number `begin` on (empty: from the
    first); a short one as it is. Raise InvalidInput: not the number of a line."""
    count = sum(len(section.lines) for section in statement.sections)
    first = read_place(begin, "line", "from", of="the statement", count=count)
    if count <= _PAGE_LINES and first == 1:
        return statement
    last = min(first + _PAGE_LINES - 1, count)
    sections, before = [], 0
    for section in statement.sections:
        lines = section.lines[max(first - 1 - before, 0) : max(last - before, 0)]
        # A section without lines says that nothing is due: it stands on the first page.
        if lines or (not section.lines and first == 1):
            sections.append(msgspec.structs.replace(section, lines=lines))
        before += len(section.lines)
    return msgspec.structs.replace(
        statement,
        sections=tuple(sections),
        said=f"Lines {first:,} to {last:,} of {count:,}; all sums are those of the whole statement.",
        earlier=max(1, first - _PAGE_LINES) if first > 1 else None,
        later=last + 1 if last < count else None,
    )


def _by_attention(months: Sequence[MonthState], today: date) -> list[MonthState]:
    """Return the months by attention: within a kind oldest first, because months are closed in
    order, but paid months latest first."""

    def attention(month: MonthState) -> int:
        if month.state == PAID:
            return _DONE
        if month.state in (OPEN, SETTLED) and month_of(month.period).end > today:
            return _RUNNING
        if month.state == INVOICED:
            return _AWAITED
        return _LATER if _before(months, month) else _DUE

    paid = [month for month in reversed(months) if month.state == PAID]
    return [*sorted((month for month in months if month.state != PAID), key=attention), *paid]


def _before(months: Sequence[MonthState], month: MonthState) -> str:
    """Return the month that has to be closed before this month, because months are closed in order;
    empty if there is none."""
    if month.state != SETTLED:
        return ""
    earlier = (each.period for each in months if each.state in (OPEN, SETTLED))
    return next((period for period in earlier if period < month.period), "")


def _month(words: Wording, month: MonthState, before: str, flags: str) -> MonthShown:
    """Return a month with its next command. `flags` accept the figures that settling needs."""
    unclaimed = next((owed for owed in month.owed if owed.amount and not owed.invoices), None)
    command = NEXT[month.state].format(
        period=month.period,
        payer=unclaimed.payer if unclaimed else "PAYER",
        payee=unclaimed.payee if unclaimed else "PAYEE",
    )
    if month.state == OPEN:
        command += flags
    return MonthShown(
        period=month.period,
        state=month.state,
        owed=tuple(_owed(words, owed) for owed in month.owed),
        downloads=tuple(_downloads(month.period)) if month.state != OPEN else (),
        next_command=command,
        next_after=before,
    )


def _owed(words: Wording, owed: MonthOwed) -> OwedShown:
    return OwedShown(
        label=f"{words.name(owed.payer)} owes {words.name(owed.payee)}",
        amount=f"{cents(owed.amount)} {USD}",
        claimed=_claimed(owed),
    )


def _claimed(owed: MonthOwed) -> str:
    if not owed.invoices:
        return ""
    unpaid = ", ".join(in_currency(amount, currency) for amount, currency in owed.unpaid if amount)
    claimed = f"invoice {', '.join(owed.invoices)}: {f'{unpaid} open' if unpaid else 'paid'}"
    rest = f" · {cents(owed.unclaimed)} {USD} not invoiced yet" if owed.unclaimed else ""
    return claimed + rest


def _downloads(period: str) -> Iterator[FileLink]:
    for form in FORMATS:
        if form not in _LIBRARIES or find_spec(_LIBRARIES[form]) is not None:
            yield FileLink(form.upper(), f"/download/{_STATEMENT}/{period}/{form}")
    for form in JOURNAL_FORMATS:
        yield FileLink(f"ledger ({form})", f"/download/{_LEDGER}/{period}/{form}")
    yield FileLink(_PACK, f"/download/{_EVIDENCE}/{period}/{_PACK}")


def _chip(words: Wording, figure: FigureShown) -> AssumptionChip:
    return AssumptionChip(
        kind=figure.standing.partition(" ")[0],
        figure=msgspec.structs.replace(
            figure, name=_label(words, figure.name), value=round_in_words(figure.value)
        ),
    )


def _label(words: Wording, name: str) -> str:
    """Return the name of a figure as words: `cap-counts` is `Cap counts`."""
    parts = (
        words.name(part) if part in words.catalog.parties else part for part in name.split("-")
    )
    label = " ".join(parts)
    return label[:1].upper() + label[1:]


def round_in_words(value: str) -> str:
    """Return `USD 38 billion` for `USD 38000000000`; any other sum with thousands separators, and
    any other text unchanged."""
    unit, _, written = value.rpartition(" ")
    digits = written.replace(",", "")
    if not unit or not (digits.isascii() and digits.isdigit()):
        return value
    for scale, power in _SCALES:
        rest = int(digits) % 10 ** (power - 2)
        if int(digits) >= 10**power and rest == 0:
            part = f"{Decimal(digits).scaleb(-power).normalize():f}"
            return f"{unit} {part} {scale}"
    return f"{unit} {int(digits):,}"


def _balance(words: Wording, account: Account, currency: str, amount: Decimal) -> BalanceShown:
    return BalanceShown(
        party=words.name(account.party),
        account=account.in_words,
        about=words.name(account.about),
        side="debit" if amount > 0 else "credit",
        amount=in_currency(abs(amount), currency),
    )


def file_of(home: Home, document: str, period: str, form: str) -> SentFile | None:
    """Return a month's statement, ledger or evidence as a file; None for an unknown document, month
    or format. Raise InvalidInput for an invalid month, and if a library is missing."""
    settled = statement(home, period)
    if settled is None:
        return None
    if document == _STATEMENT and form in FORMATS:
        content = FORMATS[form](settled)
    elif document == _LEDGER and form in JOURNAL_FORMATS:
        exporting = import_module(_JOURNALS)
        scope = exporting.ExportScope(period=period)
        content = exporting.journal_text(home, scope, form).text.encode()
    elif (document, form) == (_EVIDENCE, _PACK):
        content = _packed(home, period)
    else:
        return None
    ending, kind = form, _MEDIA_TYPES.get(form, "text/plain")
    if document == _LEDGER:
        ending, kind = JOURNAL_FORMATS[form].ending, "text/plain"
    return SentFile(name=f"clauseway-{document}-{period}.{ending}", kind=kind, content=content)


def _packed(home: Home, period: str) -> bytes:
    """Return the evidence with usage summed by day, so that its size does not grow with usage."""
    with TemporaryDirectory(prefix="clauseway-") as folder:
        out = Path(folder) / f"{period}.pack"
        import_module(_PACKING).pack_month(home, period, out, sums=True)
        return out.read_bytes()
