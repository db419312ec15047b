"""Dues: one amount for each term in one period, with its parts. All other views of an amount due
are written from here.

    due of a term for a period = its share
                                 + corrections and restatements of closed periods
    due of a direction         = the sum over its terms

A statement's totals, lines and payments, an invoice's lines, and the past of a forecast are these
amounts. Restated amounts stand in the books of the period that they restate; they are due with the
period in which they became known, because nobody can pay on a day that is past.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from clauseway.agreement.language.shares import PaymentTerm
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.settlement import Settlement, ShareResult, StatementChange, in_direction
from clauseway.values import Citation, exact_product, exact_sum, round_half_even


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The amount that `payer` owes `payee` under one term for the period that ends with `last_day`.
    USD in cents.

    `amount` is `share` + `corrections` + `restated`. It is paid with everything through the day
    `through`, the last of its month or quarter, by the day `due` (None if the term names no day).
    The authority receives `withheld` of it, at the rate `withholding`; the payee receives `paid`.
    """

    payer: str
    payee: str
    term: str
    last_day: date
    share: Decimal
    corrections: Decimal
    restated: Decimal
    amount: Decimal
    through: date
    due: date | None
    withholding: Decimal
    withheld: Decimal
    paid: Decimal
    citation: Citation


def dues(settlement: Settlement) -> tuple[Due, ...]:
    """Return the amounts due under each term with an amount in the period, in order of direction
    and term."""
    last_day = settlement.period.last_day
    parts: dict[tuple[str, str, str], _Parts] = {}
    for share in settlement.shares:
        key = (share.payer, share.payee, share.term)
        parts.setdefault(key, _Parts(share)).shares.append(share.amount)
    for change in settlement.corrections:
        key = (change.payer, change.payee, change.term)
        parts.setdefault(key, _Parts(change)).corrections.append(change.amount)
    for change in settlement.restated:
        key = (change.payer, change.payee, change.term)
        parts.setdefault(key, _Parts(change)).restated.append(change.amount)
    return tuple(_due(last_day, parts[key]) for key in sorted(parts))


class _Parts:
    """The amounts of one term, by kind. `first` is a share or change of it, which states how it is
    paid."""

    def __init__(self, first: ShareResult | StatementChange) -> None:
        self.first = first
        self.shares: list[Decimal] = []
        self.corrections: list[Decimal] = []
        self.restated: list[Decimal] = []


def _due(last_day: date, parts: _Parts) -> Due:
    first = parts.first
    share, corrections, restated = map(_cents, (parts.shares, parts.corrections, parts.restated))
    amount = exact_sum((share, corrections, restated))
    # Of the whole amount, so that it is rounded once.
    withheld = round_half_even(exact_product(amount, first.withholding))
    through = paid_through(last_day, first.payment)
    return Due(
        payer=first.payer,
        payee=first.payee,
        term=first.term,
        last_day=last_day,
        share=share,
        corrections=corrections,
        restated=restated,
        amount=amount,
        through=through,
        due=due_day(through, first.payment),
        withholding=first.withholding,
        withheld=withheld,
        paid=exact_sum((amount, -withheld)),
        citation=first.citation,
    )


def _cents(amounts: Sequence[Decimal]) -> Decimal:
    """Sum amounts with two decimals, so that nothing and 0.00 are written alike."""
    return round_half_even(exact_sum(amounts))


def paid_through(last_day: date, payment: PaymentTerm | None) -> date:
    """Return the last day of the month or quarter with which a period is paid."""
    return calendar_period(last_day, payment.every if payment else "month").last_day


def due_day(through: date, payment: PaymentTerm | None) -> date | None:
    """Return the due day of a payment for everything through a day; None if the term names no
    day."""
    return through + timedelta(days=payment.due_days) if payment else None


def total(due: Iterable[Due], payer: str, payee: str) -> Decimal:
    """Sum the dues of one party to another, over all terms."""
    return exact_sum(item.amount for item in in_direction(due, payer, payee))
