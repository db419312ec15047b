"""The next command of a reader whose page shows nothing yet."""

from collections.abc import Iterable

from clauseway.app.books.basis import basis_of
from clauseway.app.books.month_states import OPEN, MonthState
from clauseway.app.opening.home import DEMONSTRATION, Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.ledger.assumptions import PLACEHOLDER, REPORTED

SETTLE = "clauseway settle --period {period}"
# A demonstration fills another home: the home of the pages is already in use.
_TRY = f"{DEMONSTRATION} --home demo"


def first_command(home: Home, opened: Opened, months: Iterable[MonthState]) -> str:
    """Return the command that settles the first unsettled month; without any usage, the command
    that makes a home with two settled months."""
    for month in months:
        if month.state == OPEN:
            return SETTLE.format(period=month.period) + assume_flags(home, opened)
    return _TRY


def assume_flags(home: Home, opened: Opened) -> str:
    """Return the flags of `settle` for each figure that has to be accepted by name and is not yet
    accepted."""
    accepted = {item.partition("=")[0] for item in basis_of(home).assume}
    undisclosed = {
        name
        for asked in each_of(opened)
        for name, figure in asked.agreement.figures.items()
        if figure.standing in (REPORTED, PLACEHOLDER)
    }
    return "".join([f" --assume {name}" for name in sorted(undisclosed - accepted)])
