"""What is due: one amount for each term in one period, with its parts. Every face of it is written from here.

    due of a term for a period = its share + corrections of closed periods + restatements of closed periods
    due of a direction         = the sum over its terms

A statement's totals, lines and payments, an invoice's lines, and the past of a forecast are these amounts. What was
restated stands in the books of the period it restates; it is due with the period in which it became known, because
nobody can pay on a day that is past.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from clauseway.agreement.shares import Payment as PaymentTerm
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.settlement import Change, Settlement, ShareResult
from clauseway.values import Citation, exact_product, exact_sum, round_half_even

_ZERO = Decimal(0)


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What `payer` owes `payee` under one term for the period that ends with `last_day`. USD in cents.

    `amount` is `share` + `corrections` + `restated`. It is paid with everything through the day `through`, the last of
    its month or quarter, by the day `due`; None where the term does not say. Of it `withheld`, at the rate
    `withholding`, goes to the authority instead, and `paid` to the payee.
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
    """What is due under each term that says something of the period, in order of direction and term."""
    last_day = settlement.period.end - timedelta(days=1)
    parts: dict[tuple[str, str, str], _Parts] = {}
    for one in settlement.shares:
        parts.setdefault((one.payer, one.payee, one.term), _Parts(one)).shares.append(one.amount)
    for change in settlement.corrections:
        parts.setdefault(
            (change.payer, change.payee, change.term), _Parts(change)
        ).corrections.append(change.amount)
    for change in settlement.restated:
        parts.setdefault((change.payer, change.payee, change.term), _Parts(change)).restated.append(
            change.amount
        )
    return tuple(
        _due(last_day, found) for _, found in sorted(parts.items(), key=lambda item: item[0])
    )


class _Parts:
    """What is gathered of one term: who `says` how it is paid, and amounts of each kind."""

    def __init__(self, says: ShareResult | Change) -> None:
        self.says = says
        self.shares: list[Decimal] = []
        self.corrections: list[Decimal] = []
        self.restated: list[Decimal] = []


def _due(last_day: date, parts: _Parts) -> Due:
    said = parts.says
    share, corrections, restated = map(_cents, (parts.shares, parts.corrections, parts.restated))
    amount = exact_sum((share, corrections, restated))
    withheld = round_half_even(exact_product(amount, said.withholding))
    through = paid_through(last_day, said.payment)
    return Due(
        payer=said.payer,
        payee=said.payee,
        term=said.term,
        last_day=last_day,
        share=share,
        corrections=corrections,
        restated=restated,
        amount=amount,
        through=through,
        due=due_day(through, said.payment),
        withholding=said.withholding,
        withheld=withheld,
        paid=exact_sum((amount, -withheld)),
        citation=said.citation,
    )


def _cents(amounts: Sequence[Decimal]) -> Decimal:
    """A sum with two decimals, so that nothing and 0.00 are written alike."""
    return round_half_even(exact_sum(amounts))


def paid_through(last_day: date, payment: PaymentTerm | None) -> date:
    """The last day of the month or quarter with which a period is paid."""
    return calendar_period(last_day, payment.every if payment else "month").end - timedelta(days=1)


def due_day(through: date, payment: PaymentTerm | None) -> date | None:
    """When what ends with a day is due; None where the term does not say."""
    return through + timedelta(days=payment.due_days) if payment else None


def total(due: Iterable[Due], payer: str, payee: str) -> Decimal:
    """What one party owes another, over all terms."""
    return exact_sum(one.amount for one in due if (one.payer, one.payee) == (payer, payee))
