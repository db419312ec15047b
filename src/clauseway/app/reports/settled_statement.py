"""The statement of a settled month, by its month and party."""

from clauseway.app.books.basis import basis_of
from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home
from clauseway.app.opening.periods import unsettled
from clauseway.app.opening.several import check_party
from clauseway.ledger import Statement
from clauseway.values import InvalidInput


def settled_statement(home: Home, period: str, party: str, *, restated: bool = False) -> Statement:
    """Return the statement of a month: see `statement`.

    Raise InvalidInput if the month is not settled, or the party has no line in it.
    """
    if not period:
        remedy = "Name it: clauseway statement --period 2026-05."
        raise InvalidInput.of(
            what="no period", why="a statement is of a month", where="--period", remedy=remedy
        )
    check_party(party, basis_of(home).opened())
    settled = statement(home, period, party, restated=restated)
    if settled is None:
        raise unsettled(period)
    if party and not settled.directions:
        mistake, why = (
            f"{party} has no line in {period}",
            "it owes nothing and is owed nothing in that month",
        )
        remedy = f"See who has: clauseway statement --period {period}."
        raise InvalidInput.of(what=mistake, why=why, where="--party", remedy=remedy)
    return settled
