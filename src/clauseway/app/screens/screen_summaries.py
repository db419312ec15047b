"""A summary of each reader's screen, for the first page."""

from collections.abc import Iterator, Mapping
from datetime import date

from clauseway.app.books.month_states import MonthState, latest_settled, month_states
from clauseway.app.books.settled import SettledMonth
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.amounts import cents
from clauseway.app.screens.next_commands import first_command
from clauseway.values import USD, counted
from clauseway.web.contexts import CountsContext, Timeline
from clauseway.web.overview import ScreenSummary
from clauseway.wording.dates import month_in_words
from clauseway.wording.names import Wording


def screen_summaries(
    home: Home,
    opened: Opened,
    settled: Mapping[str, SettledMonth],
    timeline: Timeline,
    counts: CountsContext,
    today: date,
    down: str,
) -> tuple[ScreenSummary, ...]:
    """Return a summary of each screen. `down` says why no gateway reports counts."""
    months = month_states(home, settled)
    served = sum(cloud.served for cloud in counts.clouds)
    return (
        ScreenSummary(
            reader="Engineer",
            address="/engineer",
            answer=down
            or f"{counted(served, 'request')} served, {counts.refused:,} refused by a clause",
            more="start it: clauseway serve" if down else "since the gateway started",
        ),
        ScreenSummary(
            reader="Lawyer",
            address="/lawyer",
            answer="; ".join(_rights(timeline, today)) or "no right is shown",
        ),
        ScreenSummary(
            reader="Finance",
            address="/finance",
            answer=_months(opened, months, today),
            more="" if settled else first_command(home, opened, months),
        ),
        ScreenSummary(
            reader="Auditor",
            address="/auditor",
            answer=f"{counted(sum(bool(month.owed) for month in months), 'settled month')} to repeat",
            more="the register of facts, and the log of the books",
        ),
    )


def _rights(timeline: Timeline, today: date) -> Iterator[str]:
    """Yield the first rights with today's outcome."""
    for row in timeline.rows[:2]:
        for stretch in row.stretches:
            if stretch.begin <= today < stretch.end:
                yield f"{row.label}: {stretch.said}"


def _months(opened: Opened, months: tuple[MonthState, ...], today: date) -> str:
    last = latest_settled([month for month in months if month.owed], today)
    if last is None:
        return "nothing is settled yet"
    words = Wording.of(each_of(opened))
    owed = "; ".join(
        f"{words.name(owed.payer)} owes {words.name(owed.payee)} {cents(owed.amount)} {USD}"
        for owed in last.owed
    )
    return f"{month_in_words(last.period)} is {last.state}: {owed}"
