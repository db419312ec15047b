"""Statements that contradict each other: of one month, with other contents where both speak.

Each may be right by its own inputs; a party that signed both told two readers two things.
Statements for different parties are compared in what both say: the directions that concern both, and
what they were made from. A restatement stands beside the statement that it restates, and contradicts
another restatement of the same.
"""

from collections.abc import Sequence
from itertools import combinations

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.ledger import Statement, statement_of
from clauseway.ledger.statement import amounts_restated, amounts_stated, concerning, digest_of
from clauseway.storage.books.books import Books


class VerifiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it was named on a command line, and the parties whose signatures hold."""

    named: str
    statement: Statement
    signed_by: tuple[str, ...]


class Equivocation(msgspec.Struct, frozen=True, kw_only=True):
    """Two statements of one month, each for a party (empty: for all), that differ in what both say.
    `signed_by` are the parties that signed both."""

    period: str
    parties: tuple[str, str]
    named: tuple[str, str]
    digests: tuple[str, str]
    signed_by: tuple[str, ...]

    def __str__(self) -> str:
        parties = dict.fromkeys(party or "all" for party in self.parties)
        whom = " and".join(f" for {party}" for party in parties) if any(self.parties) else ""
        signed = (
            f"{' and '.join(self.signed_by)} signed both"
            if self.signed_by
            else "nobody signed both"
        )
        first, second = (
            f"{named} ({digest})" for named, digest in zip(self.named, self.digests, strict=True)
        )
        return f"Two statements of {self.period}{whom}: {first} and {second}; {signed}."


def equivocations(verified: Sequence[VerifiedFile]) -> list[Equivocation]:
    """Return each pair of statements that contradict each other."""
    return [
        Equivocation(
            period=first.statement.month,
            parties=(first.statement.party, second.statement.party),
            named=(first.named, second.named),
            digests=(digest_of(first.statement), digest_of(second.statement)),
            signed_by=tuple(party for party in first.signed_by if party in second.signed_by),
        )
        for first, second in combinations(verified, 2)
        if _contradict(first.statement, second.statement)
    ]


def _contradict(first: Statement, second: Statement) -> bool:
    if first.as_of != second.as_of:
        return False
    both = concerning(first, second.party), concerning(second, first.party)
    if first.is_restatement or second.is_restatement:
        # One stands beside the statement that it restates, and another may have followed it.
        is_of_one = first.is_restatement and second.is_restatement
        if not is_of_one or amounts_restated(both[0]) != amounts_restated(both[1]):
            return False
    return both[0] != both[1]


def restating_others(verified: Sequence[VerifiedFile]) -> list[str]:
    """Return a remark for each restatement beside which no statement of its month is the one that
    it restates, or that restates it. It need not contradict them: a restatement between may be
    missing."""
    remarks = []
    for file in verified:
        others = [other for other in verified if _differ(file.statement, other.statement)]
        if not file.statement.is_restatement or not others:
            continue
        if not any(_follow(file.statement, other.statement) for other in others):
            named = " and ".join(other.named for other in others)
            state = "states" if len(others) == 1 else "state"
            remarks.append(
                f"{file.named} restates other amounts of {file.statement.month} than {named} {state}: "
                "ask for the statement that it restates."
            )
    return remarks


def _differ(first: Statement, second: Statement) -> bool:
    """Return whether two statements of a month differ in what both say, and do not contradict each
    other."""
    if first.as_of != second.as_of or _contradict(first, second):
        return False
    return concerning(first, second.party) != concerning(second, first.party)


def _follow(first: Statement, second: Statement) -> bool:
    """Return whether one of two statements restates what the other states."""
    both = concerning(first, second.party), concerning(second, first.party)
    return any(
        later.is_restatement and amounts_restated(later) == amounts_stated(earlier)
        for earlier, later in (both, both[::-1])
    )


def closed_otherwise(home: Home, stated: Statement) -> list[str]:
    """Return a remark if a home closed the month with another statement, and restated it to none
    like this one."""
    if not home.is_begun:
        return []
    with open_control(home) as control:
        books = Books(control)
        receipt = books.closed_receipts().get(stated.as_of)
        if receipt is None:
            return []
        given_out = [books.settlement(receipt), *books.restatements(stated.as_of)]
    own = [statement_of(settlement, stated.party) for settlement in given_out]
    if stated in own:
        return []
    return [f"{stated.month} was closed here with another statement: {digest_of(own[0])}."]
