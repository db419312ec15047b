"""Invoices and payments: what is owed by settled periods becomes a claim with a due day, and money settles it.

    invoice   payer  debit payable:revenue-share · credit payable:invoiced
              payee  debit receivable:invoiced   · credit receivable:revenue-share
    payment   payer  debit payable:invoiced      · credit cash · credit payable:withholding (to the tax authority)
              payee  debit cash · debit receivable:withholding · credit receivable:invoiced

What is in another currency goes through `equity:exchange`, so that each party's postings sum to zero in each currency;
what a conversion leaves over goes to `expense:fx-rounding`. An invoice is split over its terms, and in another currency
by largest remainder.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec

from clauseway.agreement.shares import Payment as PaymentTerm
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.journal import Account, Entry, Posting, balances
from clauseway.ledger.rates import convert
from clauseway.ledger.vouchers import Invoice, InvoiceLine, Payment
from clauseway.values import CENT, USD, Citation, InvalidInput, Problem, allocate, exact_sum

SHARE, INVOICED, WITHHOLDING, ROUNDING = "revenue-share", "invoiced", "withholding", "fx-rounding"
AUTHORITY = "tax-authority"
_ZERO = Decimal(0)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a term says of its payment. `withheld` is a rate."""

    payment: PaymentTerm | None
    withheld: Decimal
    citation: Citation


def owed_by_term(
    accrued: Iterable[tuple[date, Posting]], invoices: Iterable[Invoice], payer: str, payee: str, through: date
) -> dict[str, Decimal]:
    """What `payer` owes `payee` by what was accrued through a day and is not in an invoice, by term; what is not zero.

    `accrued` are postings to the payer's payable, each with its entry's day, of accruals and corrections only.
    """
    legs: dict[str, list[Decimal]] = {}
    for day, posting in accrued:
        if day <= through and posting.account == Account(payer, "payable", SHARE, payee):
            legs.setdefault(posting.citations[0].term, []).append(-posting.amount)
    for invoice in invoices:
        if (invoice.payer, invoice.payee) == (payer, payee):
            for line in invoice.lines:
                legs.setdefault(line.term, []).append(-line.owed)
    owed = {term: exact_sum(amounts) for term, amounts in sorted(legs.items())}
    return {term: amount for term, amount in owed.items() if amount}


def invoice_of(
    *,
    identity: str,
    payer: str,
    payee: str,
    day: date,
    through: date,
    owed: Mapping[str, Decimal],
    terms: Mapping[str, Terms],
    currency: str = USD,
    rate: Fraction = Fraction(1),
) -> tuple[Invoice, Entry]:
    """An invoice over everything owed, and its entry. `rate` is what one USD is in its currency."""
    total = convert(exact_sum(owed.values()), rate)
    parts = allocate(total, list(owed.items()))
    lines = tuple(
        InvoiceLine(
            term=term,
            owed=amount,
            amount=parts[term],
            withheld=terms[term].withheld,
            due=due_day(through, terms[term].payment),
        )
        for term, amount in owed.items()
    )
    invoice = Invoice(
        id=identity,
        day=day,
        payer=payer,
        payee=payee,
        through=through,
        currency=currency,
        rate=str(rate),
        lines=lines,
    )
    postings = [posting for line in lines for posting in _claimed(invoice, line, terms[line.term].citation)]
    narration = f"{payee} invoices {payer} through {through}: {invoice.total} {currency}"
    return invoice, _entry(f"invoice|{identity}", f"invoice|{identity}", day, narration, postings)


def is_payable(through: date, payment: PaymentTerm | None) -> bool:
    """Whether a term is invoiced for what ends with this day: the last of its month or quarter."""
    every = payment.every if payment else "month"
    return calendar_period(through, every).end == through + timedelta(days=1)


def due_day(through: date, payment: PaymentTerm | None) -> date | None:
    """When what ends with a day is due; None where the term does not say."""
    return through + timedelta(days=payment.due_days) if payment else None


def open_lines(invoice: Invoice, payments: Iterable[Payment]) -> dict[str, Decimal]:
    """What is not yet paid of an invoice, by term, in its currency."""
    paid: dict[str, list[Decimal]] = {}
    for payment in payments:
        if payment.invoice == invoice.id:
            for term, amount in payment.settles:
                paid.setdefault(term, []).append(amount)
    return {line.term: line.amount - exact_sum(paid.get(line.term, ())) for line in invoice.lines}


def payment_of(
    *,
    identity: str,
    invoice: Invoice,
    before: Sequence[Payment],
    day: date,
    amount: Decimal,
    currency: str,
    rate: Fraction,
    citations: Mapping[str, Citation],
) -> tuple[Payment, Entry]:
    """A payment of `amount` before withholding, and its entry. `rate` is what one of its currency is in the invoice's.

    Whatever the direction of the invoice, `amount` is above zero. What is within a unit of the whole, converted,
    settles the whole. Raises InvalidInput where more is paid than is open.
    """
    open_ = open_lines(invoice, before)
    whole = exact_sum(open_.values())
    sign = -1 if whole < 0 else 1
    paid = sign * amount
    worth = convert(paid, rate)
    near = currency != invoice.currency and abs(whole - worth) <= max(CENT, convert(CENT, rate))
    settled = whole if near else worth
    if abs(settled) > abs(whole) or not whole:
        raise InvalidInput(
            Problem(
                what=f"{amount} {currency} is more than is open",
                why=f"of invoice {invoice.id} {abs(whole)} {invoice.currency} is open",
                where="--amount",
                todo="Pay what is open; what was paid beyond it belongs to another invoice.",
            )
        )
    settles = allocate(settled, [(term, part) for term, part in open_.items() if part])
    money = allocate(paid, list(settles.items())) if currency != invoice.currency else settles
    withheld = {
        line.term: _withheld(line, open_[line.term], money[line.term], currency == invoice.currency)
        for line in invoice.lines
        if line.term in settles
    }
    payment = Payment(
        id=identity,
        day=day,
        invoice=invoice.id,
        amount=paid,
        currency=currency,
        rate=str(rate),
        withheld=exact_sum((_ZERO * CENT, *withheld.values())),
        settles=tuple(settles.items()),
        rounding=settled - worth,
    )
    postings = [
        posting
        for term in settles
        for posting in _paid(invoice, payment, settles[term], money[term], withheld[term], (citations[term],))
    ]
    postings += _rounded(invoice, payment, (citations[next(iter(settles))],))
    narration = f"{invoice.payer} pays {invoice.payee} on {invoice.id}: {paid} {currency}"
    return payment, _entry(f"payment|{identity}", f"invoice|{invoice.id}", day, narration, postings)


def _withheld(line: InvoiceLine, open_: Decimal, money: Decimal, same: bool) -> Decimal:
    """The tax on a payment: on what is paid so far less on what was paid before, so that parts withhold as a whole."""
    if not same:
        return convert(money, Fraction(line.withheld))
    before = line.amount - open_
    rate = Fraction(line.withheld)
    return convert(before + money, rate) - convert(before, rate)


def _claimed(invoice: Invoice, line: InvoiceLine, citation: Citation) -> list[Posting]:
    payer, payee, cited = invoice.payer, invoice.payee, (citation,)
    legs = [
        Posting(Account(payer, "payable", SHARE, payee), line.owed, USD, cited),
        Posting(Account(payer, "payable", INVOICED, payee), -line.amount, invoice.currency, cited),
        Posting(Account(payee, "receivable", INVOICED, payer), line.amount, invoice.currency, cited),
        Posting(Account(payee, "receivable", SHARE, payer), -line.owed, USD, cited),
    ]
    if invoice.currency != USD:
        for party, other, sign in ((payer, payee, 1), (payee, payer, -1)):
            legs += _exchange(party, other, -sign * line.owed, USD, sign * line.amount, invoice.currency, cited)
    return legs


def _paid(
    invoice: Invoice,
    payment: Payment,
    settled: Decimal,
    money: Decimal,
    withheld: Decimal,
    cited: tuple[Citation, ...],
) -> list[Posting]:
    payer, payee, currency = invoice.payer, invoice.payee, payment.currency
    legs = [
        Posting(Account(payer, "payable", INVOICED, payee), settled, invoice.currency, cited),
        Posting(Account(payer, "cash", "bank", payee), withheld - money, currency, cited),
        Posting(Account(payer, "payable", WITHHOLDING, AUTHORITY), -withheld, currency, cited),
        Posting(Account(payee, "cash", "bank", payer), money - withheld, currency, cited),
        Posting(Account(payee, "receivable", WITHHOLDING, AUTHORITY), withheld, currency, cited),
        Posting(Account(payee, "receivable", INVOICED, payer), -settled, invoice.currency, cited),
    ]
    if currency != invoice.currency:
        for party, other, sign in ((payer, payee, 1), (payee, payer, -1)):
            legs += _exchange(party, other, -sign * settled, invoice.currency, sign * money, currency, cited)
    return [leg for leg in legs if leg.amount]


def _rounded(invoice: Invoice, payment: Payment, cited: tuple[Citation, ...]) -> list[Posting]:
    """What the conversion leaves over: the payer's gain and the payee's loss, or the other way round."""
    legs: list[Posting] = []
    for party, other, sign in ((invoice.payer, invoice.payee, 1), (invoice.payee, invoice.payer, -1)):
        left = sign * payment.rounding
        legs.append(Posting(Account(party, "equity", "exchange", other), left, invoice.currency, cited))
        legs.append(Posting(Account(party, "expense", ROUNDING, other), -left, invoice.currency, cited))
    return [leg for leg in legs if leg.amount]


def _exchange(
    party: str, other: str, given: Decimal, currency: str, taken: Decimal, into: str, cited: tuple[Citation, ...]
) -> list[Posting]:
    account = Account(party, "equity", "exchange", other)
    return [Posting(account, given, currency, cited), Posting(account, taken, into, cited)]


def _entry(identity: str, reference: str, day: date, narration: str, postings: Sequence[Posting]) -> Entry:
    return Entry(id=identity, reference=reference, day=day, narration=narration, postings=tuple(postings))


def position(entries: Iterable[Entry], payer: str, payee: str, currency: str = USD) -> dict[str, Decimal]:
    """Where a direction stands in the payer's books, by account name: owed, disputed, invoiced. What is not zero."""
    found = balances(entries, currency)
    return {
        account.name: -amount
        for account, amount in found.items()
        if (account.party, account.kind, account.about) == (payer, "payable", payee) and amount
    }
