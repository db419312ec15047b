"""Rules of vouchers: how much of a sale may be taken back, what may be invoiced, paid and reversed,
and on which day.

Each rule reads the vouchers recorded so far. It returns what the new voucher stands on, or raises
InvalidInput and says what to do instead. Recording a voucher again under its id is no conflict:
`identity` names the voucher that is being recorded.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.ledger.dues import Due
from clauseway.ledger.invoices import Owed, owed_through
from clauseway.ledger.settlement import in_direction
from clauseway.ledger.vouchers import (
    Credit,
    Dispute,
    Invoice,
    Payment,
    Resolution,
    Reversal,
    Reversed,
    Voucher,
    standing_payments,
)
from clauseway.values import (
    BadNumber,
    Interval,
    InvalidInput,
    day_of,
    exact_sum,
    read_decimal,
    round_half_even,
    smallest_unit,
    suggestion,
)

DaySales = tuple[date, str, str, str]


def refused(message: str, why: str, remedy: str) -> InvalidInput:
    """Return the refusal of a voucher."""
    return InvalidInput.of(what=message, why=why, where="ledger", remedy=remedy)


def read_amount(text: str, unit: Decimal) -> Decimal:
    """Return an amount above zero, in whole units. Raise InvalidInput."""
    try:
        amount = read_decimal(text, places=-int(unit.as_tuple().exponent))
        if not amount:
            raise BadNumber("it is nothing", "Write an amount above zero, as 12.50.")
    except BadNumber as error:
        raise InvalidInput(error.problem(f"{text!r} is not an amount", "--amount")) from None
    return amount


def refuse_finer(amount: Decimal, currency: str) -> None:
    """Refuse an amount that nobody can pay: a part of a currency's smallest unit."""
    unit = smallest_unit(currency)
    if amount == round_half_even(amount, unit):
        return
    remedy = f"Write whole {currency}, as 1250." if unit == 1 else f"Write multiples of {unit}."
    why = f"{currency} has no smaller unit than {unit}"
    problem = f"{amount} {currency} is not an amount"
    raise InvalidInput.of(what=problem, why=why, where="--amount", remedy=remedy)


# Days


def voucher_day(vouchers: Iterable[Voucher], identity: str, day: date | None, today: date) -> date:
    """Return the day that a voucher is dated: the day given, else its day when it was first
    recorded, else today."""
    if day is not None:
        return day
    return next((voucher.day for voucher in vouchers if voucher.id == identity), today)


def refuse_before(identity: str, day: date, since: date, event: str) -> None:
    """Refuse a voucher that is dated before its event: the books of that day could not have
    known it."""
    if day < since:
        raise refused(
            f"{identity} is dated {day}, before {event}",
            "a voucher is dated when it is recorded, and nothing is recorded before it happens",
            f"Date it {since} or later, with --dated.",
        )


# Credits and disputes


def day_sales(sale: Reversed) -> DaySales:
    """Return the day's sales that a reversal belongs to: day, seller, cloud, product."""
    return day_of(sale.event_ns), sale.seller, sale.cloud, sale.product


def refuse_several_places(request: str, sales: Sequence[Reversed]) -> None:
    """Refuse a request whose attempts were charged in several places: a charge is taken back
    where it was made."""
    if len({day_sales(sale) for sale in sales}) == 1:
        return
    clouds = sorted({sale.cloud for sale in sales})
    days = sorted({str(day_of(sale.event_ns)) for sale in sales})
    raise refused(
        f"request {request} was charged on {' and '.join(clouds)}, on {' and '.join(days)}",
        "a charge is taken back where it was made",
        "Name one with --cloud, --seller, --product or --sold-on, in a voucher of its own.",
    )


def taken_back(
    vouchers: Iterable[Voucher],
    identity: str,
    sale: Reversed,
    *,
    charged: Decimal,
    day_charged: Decimal,
    wanted: Decimal | None,
) -> Reversed:
    """Return a sale with the amount that is taken back: `wanted`, or all that is left of it. Raise
    InvalidInput.

    `charged` is the charge for the sale, `day_charged` that for all sales of its day, cloud,
    product and seller.

    INVARIANT: what stands of credits and disputes never exceeds what was charged, neither for a
    request nor for the sales of its day, whichever of the two they name.
    """
    of_day = _taken_of_day(vouchers, identity, sale)
    taken = exact_sum(
        reversal.amount
        for reversal in of_day
        if not sale.request or reversal.request == sale.request
    )
    left = charged - taken
    if sale.request:
        # Reversals of the whole day leave less of each of its requests.
        day_left = day_charged - exact_sum(reversal.amount for reversal in of_day)
        if day_left < left:
            taken, left = charged - day_left, day_left
    amount = left if wanted is None else wanted
    if amount > left or left <= 0:
        why = (
            f"{charged.normalize():f} USD was charged, and {taken.normalize():f} of it was taken "
            "back before"
        )
        if left <= 0:
            raise refused(
                "nothing is left of that sale to take back",
                why,
                "Where a dispute took it back, that can be rejected: clauseway books dispute "
                "resolve.",
            )
        problem = f"{amount.normalize():f} USD is more than is left of that sale"
        raise refused(problem, why, "Take back what is left.")
    return msgspec.structs.replace(sale, amount=amount)


def left_of_day(
    vouchers: Iterable[Voucher], identity: str, sale: Reversed, charged: Decimal
) -> Decimal:
    """Return what credits and disputes leave of a day's sales, for which `charged` was charged."""
    taken = _taken_of_day(vouchers, identity, sale)
    return exact_sum((charged, *(reversal.amount.copy_negate() for reversal in taken)))


def _taken_of_day(vouchers: Iterable[Voucher], identity: str, sale: Reversed) -> list[Reversed]:
    """Return what other vouchers than `identity` have taken back of the sales of a sale's day."""
    return [
        voucher.of
        for voucher in _standing(vouchers)
        if voucher.id != identity and day_sales(voucher.of) == day_sales(sale)
    ]


def _standing(vouchers: Iterable[Voucher]) -> list[Credit | Dispute]:
    """Return the credits, and the disputes that were not rejected."""
    booked = list(vouchers)
    rejected = {
        voucher.dispute
        for voucher in booked
        if isinstance(voucher, Resolution) and not voucher.upheld
    }
    return [
        voucher
        for voucher in booked
        if isinstance(voucher, Credit | Dispute) and voucher.id not in rejected
    ]


def dispute_to_resolve(vouchers: Iterable[Voucher], identity: str, dispute: str) -> Dispute:
    """Return the dispute that a resolution ends.

    Raise InvalidInput: no such dispute, or it is resolved.
    """
    booked = list(vouchers)
    opened = next(
        (voucher for voucher in booked if isinstance(voucher, Dispute) and voucher.id == dispute),
        None,
    )
    if opened is None:
        raise refused(
            f"no dispute is called {dispute!r}",
            "nobody recorded it here",
            "List them: dispute list.",
        )
    resolution = next(
        (
            voucher
            for voucher in booked
            if isinstance(voucher, Resolution) and voucher.dispute == dispute
        ),
        None,
    )
    if resolution is not None and resolution.id != identity:
        how = "upheld" if resolution.upheld else "rejected"
        raise refused(
            f"{dispute} is resolved",
            f"{resolution.id} {how} it",
            "Record a credit instead, if one is due.",
        )
    return opened


# Invoices


class InvoiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as somebody asks for it: its id, who pays whom through which month, and the day
    and currency, if any are named."""

    id: str
    payer: str
    payee: str
    month: Interval
    day: date | None = None
    currency: str = ""

    @property
    def through(self) -> date:
        return self.month.last_day

    @property
    def period(self) -> str:
        return f"{self.month.begin:%Y-%m}"


def invoiceable(
    vouchers: Iterable[Voucher], dues: Sequence[Due], asked: InvoiceRequest, open_since: date | None
) -> Invoice | list[Owed]:
    """Return what may be invoiced through a month; where nothing is left, the invoice that was
    written by the id that is asked for.

    `dues` are those of closed months, and `open_since` is the first day of the open ones. Raise
    InvalidInput: the month is open, nothing is owed, a term is not payable before its quarter ends,
    the invoice that stands is another than is asked for.
    """
    period, payer, payee, through = asked.period, asked.payer, asked.payee, asked.through
    if open_since is None or asked.month.end > open_since:
        raise refused(
            f"{period} is open",
            "what it owes may change until it is closed",
            f"Close it first: clauseway books close {period}.",
        )
    # The same invoice again is no mistake; an earlier month after a later one is.
    written = [voucher for voucher in vouchers if isinstance(voucher, Invoice)]
    same = next((invoice for invoice in written if invoice.id == asked.id), None)
    if same is not None:
        _refuse_another(same, asked)
    of_parties = in_direction(written, payer, payee)
    later = [invoice for invoice in of_parties if invoice.through > through]
    if later and same is None:
        raise refused(
            f"{period} is invoiced",
            f"{later[-1].id} is through {later[-1].through} and has all that was owed then",
            "Amounts that came since are in the next invoice of a later month.",
        )
    # An earlier invoice of this name is the answer only where nothing is owed beyond it.
    owed = owed_through(dues, written, payer, payee, through) if not later else []
    if same is not None and not owed:
        return same
    if not owed:
        raise _nothing_owed(dues, asked)
    if same is not None:
        raise refused(
            f"invoice {asked.id} was written before",
            "more is owed since, by corrections",
            "Give the further invoice an id of its own with --id.",
        )
    return owed


def _refuse_another(invoice: Invoice, asked: InvoiceRequest) -> None:
    """Refuse an invoice that is asked for again with other parties, through another day, or with
    another day or currency where one is given: an invoice never changes."""
    day, currency = asked.day or invoice.day, asked.currency or invoice.currency
    parts = (
        ("payer", invoice.payer, asked.payer),
        ("payee", invoice.payee, asked.payee),
        ("through", str(invoice.through), str(asked.through)),
        ("dated", str(invoice.day), str(day)),
        ("in", invoice.currency, currency),
    )
    different = [(what, stands, wanted) for what, stands, wanted in parts if stands != wanted]
    if not different:
        return
    if {what for what, _, _ in different} <= {"dated", "in"}:
        remedy = "Leave out what differs to read the invoice again."
        if currency != invoice.currency:
            remedy += (
                f" What arrives in {currency} pays it too: clauseway books payment --currency."
            )
        remedy += " To take back a charge in it, credit the charge: clauseway books credit."
    else:
        remedy = "Give this invoice an id of its own with --id."
    raise refused(
        f"invoice {invoice.id} was written before",
        "; ".join(f"it is {what} {stands}, not {wanted}" for what, stands, wanted in different),
        remedy,
    )


def _nothing_owed(dues: Iterable[Due], asked: InvoiceRequest) -> InvalidInput:
    """Return the refusal of an empty invoice, with the terms that wait for the end of their quarter,
    or with who owes whom if nothing was owed in that direction."""
    payer, payee, through = asked.payer, asked.payee, asked.through
    problem = f"nothing to invoice {payer} for {asked.period}"
    owing = [due for due in dues if due.last_day <= through and due.amount]
    of_direction = in_direction(owing, payer, payee)
    if not of_direction:
        directions = dict.fromkeys(f"{due.payer} owes {due.payee}" for due in owing)
        why = f"{payer} owes {payee} nothing through {through}"
        return refused(
            problem, why, f"Through that day: {'; '.join(directions) or 'nothing is owed'}."
        )
    if waiting := dict.fromkeys(due.term for due in of_direction if through < due.through):
        why = f"{', '.join(waiting)} is payable by the quarter"
        return refused(problem, why, "Invoice the last month of the quarter.")
    return refused(problem, "all that is owed is invoiced", "Nothing is left to do.")


# Payments


def invoice_to_pay(vouchers: Iterable[Voucher], name: str) -> Invoice:
    """Return the invoice that a payment is for. Raise InvalidInput where it was not written."""
    written = [voucher for voucher in vouchers if isinstance(voucher, Invoice)]
    for invoice in written:
        if invoice.id == name:
            return invoice
    remedy = suggestion(name, [invoice.id for invoice in written])
    raise refused(f"no invoice is called {name!r}", "it was not written here", remedy)


def payments_before(vouchers: Sequence[Voucher], identity: str) -> list[Payment]:
    """Return the payments that stood when a voucher was first recorded, or that stand now."""
    same = next((voucher for voucher in vouchers if voucher.id == identity), None)
    return standing_payments(vouchers if same is None else vouchers[: vouchers.index(same)])


def payment_to_reverse(vouchers: Sequence[Voucher], identity: str, name: str) -> Payment:
    """Return the payment that a reversal takes back.

    Raise InvalidInput: no such payment, or reversed before.
    """
    payment = next(
        (voucher for voucher in vouchers if isinstance(voucher, Payment) and voucher.id == name),
        None,
    )
    if payment is None:
        names = ", ".join(standing.id for standing in standing_payments(vouchers)) or "none"
        raise refused(
            f"no payment is called {name!r}", "it was not recorded here", f"Known: {names}."
        )
    reversal = next(
        (
            voucher
            for voucher in vouchers
            if isinstance(voucher, Reversal) and voucher.payment == name
        ),
        None,
    )
    if reversal is not None and reversal.id != identity:
        raise refused(
            f"{name} is reversed",
            f"{reversal.id} did it",
            "Record a payment of its own, if money came again.",
        )
    return payment
