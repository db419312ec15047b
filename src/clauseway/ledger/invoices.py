"""Invoices and payments: dues of settled periods become a claim with a due day, and payments pay
it.

    invoice   payer  debit payable:revenue-share · credit payable:invoiced
              payee  debit receivable:invoiced   · credit receivable:revenue-share
    payment   payer  debit payable:invoiced      · credit cash
                     · credit payable:withholding (to the tax authority)
              payee  debit cash · debit receivable:withholding · credit receivable:invoiced
    reversal  the entry of a payment the other way round

Amounts in another currency go through `equity:exchange`, so that each party's postings sum to zero
in each currency; the remainder of a conversion goes to `expense:fx-rounding`. An invoice is split
over its terms, and in another currency by largest remainder, each line at its worth. Amounts owed
come from the dues of closed periods (`dues`); each payment that a term names is a line with its own due day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec

from clauseway.ledger.dues import Due
from clauseway.ledger.exchange_rates import convert, convert_parts
from clauseway.ledger.journal import (
    BANK,
    EXCHANGE,
    INVOICED,
    ROUNDING,
    SHARE,
    WITHHOLDING,
    Account,
    Entry,
    Posting,
    balances,
)
from clauseway.ledger.settlement import in_direction
from clauseway.ledger.vouchers import (
    Invoice,
    InvoiceLine,
    InvoicePart,
    Payment,
    Reversal,
    Voucher,
    standing_payments,
)
from clauseway.values import (
    USD,
    Citation,
    InvalidInput,
    allocate,
    exact_product,
    exact_sum,
    smallest_unit,
    unit_of,
)

AUTHORITY = "tax-authority"
_ZERO = Decimal(0)


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """The amount due under one term through a day, for one due day and withholding, that no invoice
    claims: the sum of its `dues` less `before`."""

    term: str
    through: date
    due: date | None
    withholding: Decimal
    citation: Citation
    dues: tuple[Due, ...]
    before: Decimal

    @property
    def amount(self) -> Decimal:
        return exact_sum((*(item.amount for item in self.dues), -self.before))


def owed_through(
    due: Iterable[Due], invoices: Iterable[Invoice], payer: str, payee: str, through: date
) -> list[Owed]:
    """Return the amounts that `payer` owes `payee` with payments through a day and that no invoice
    claims.

    Ordered by term and payment, oldest first. `due` are the dues of closed periods. A payment for a
    quarter is owed once the quarter is over. Its due day is the term's, whenever it is invoiced.
    """
    payments: dict[tuple[str, date], list[Due]] = {}
    for item in in_direction(due, payer, payee):
        if item.through <= through:
            payments.setdefault((item.term, item.through), []).append(item)
    # Earlier invoices may have claimed a part of a payment; only the rest is open.
    before = _invoiced(invoices, payments, payer, payee)
    open_ = []
    for (term, day), of_payment in sorted(payments.items()):
        last = of_payment[-1]
        owed = Owed(
            term=term,
            through=day,
            due=last.due,
            withholding=last.withholding,
            citation=last.citation,
            dues=tuple(of_payment),
            before=before.get((term, day), _ZERO),
        )
        if owed.amount:
            open_.append(owed)
    return open_


def _invoiced(
    invoices: Iterable[Invoice],
    payments: Mapping[tuple[str, date], Sequence[Due]],
    payer: str,
    payee: str,
) -> dict[tuple[str, date], Decimal]:
    """Return the amount invoiced of each payment. A line without a day of its own claimed all that
    was owed, the oldest first."""
    before: dict[tuple[str, date], Decimal] = {}
    for invoice in in_direction(invoices, payer, payee):
        for line in invoice.lines:
            left = line.owed
            # Old lines name no payment: they claimed each open payment whole, in order of time.
            if line.through is None:
                for key in sorted(
                    key for key in payments if key[0] == line.term and key[1] <= invoice.through
                ):
                    whole = exact_sum(
                        (*(item.amount for item in payments[key]), -before.get(key, _ZERO))
                    )
                    before[key] = exact_sum((before.get(key, _ZERO), whole))
                    left -= whole
            last = line.term, line.through or invoice.through
            if last not in payments:
                last = max((key for key in payments if key[0] == line.term), default=last)
            before[last] = exact_sum((before.get(last, _ZERO), left))
    return before


def invoice_of(
    *,
    identity: str,
    payer: str,
    payee: str,
    day: date,
    through: date,
    owed: Sequence[Owed],
    currency: str = USD,
    rate: Fraction = Fraction(1),
) -> tuple[Invoice, Entry]:
    """Return an invoice over everything owed, and its entry. `rate` is the value of one USD in the
    invoice's currency."""
    unit = smallest_unit(currency)
    total = convert(exact_sum(item.amount for item in owed), rate, unit)
    exact = {(item.term, item.through): item.amount for item in owed}
    # Converted as a whole and then split: rounding each line would change the total.
    if currency != USD:
        parts = convert_parts(
            total, {f"{term} {day}": amount for (term, day), amount in exact.items()}, rate, unit
        )
        exact = {(term, day): parts[f"{term} {day}"] for term, day in exact}
    lines = tuple(_line(item, exact[item.term, item.through]) for item in owed)
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
    postings = [
        posting
        for line, item in zip(lines, owed, strict=True)
        for posting in _claimed(invoice, line, item.citation)
    ]
    narration = f"{payee} invoices {payer} through {through}: {invoice.total} {currency}"
    return invoice, _entry(f"invoice|{identity}", f"invoice|{identity}", day, narration, postings)


def _line(owed: Owed, amount: Decimal) -> InvoiceLine:
    return InvoiceLine(
        term=owed.term,
        owed=owed.amount,
        amount=amount,
        withheld=owed.withholding,
        due=owed.due,
        through=owed.through,
        parts=tuple(
            InvoicePart(
                month=item.last_day.strftime("%Y-%m"),
                share=item.share,
                corrections=item.corrections,
                restated=item.restated,
                withholding=item.withholding,
                withheld=item.withheld,
            )
            for item in owed.dues
        ),
        invoiced_before=owed.before,
    )


def open_lines(invoice: Invoice, payments: Iterable[Payment]) -> dict[str, Decimal]:
    """Return the unpaid amounts of an invoice by its lines' names, in its currency. `payments` are
    those not reversed."""
    paid: dict[str, list[Decimal]] = {}
    for payment in payments:
        if payment.invoice == invoice.id:
            for line, amount in payment.settles:
                paid.setdefault(line, []).append(amount)
    return {line.name: line.amount - exact_sum(paid.get(line.name, ())) for line in invoice.lines}


def open_invoices(vouchers: Sequence[Voucher]) -> list[tuple[Invoice, Decimal]]:
    """Return every invoice with what is open of it, in its currency, in the order of recording."""
    payments: dict[str, list[Payment]] = {}
    for payment in standing_payments(vouchers):
        payments.setdefault(payment.invoice, []).append(payment)
    return [
        (voucher, exact_sum(open_lines(voucher, payments.get(voucher.id, ())).values()))
        for voucher in vouchers
        if isinstance(voucher, Invoice)
    ]


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
    """Return a payment of `amount` before withholding, and its entry.

    `rate` is the value of one unit of the payment's currency in the invoice's. `before` are the
    payments not reversed; `citations` are the terms'. Whatever the direction of the invoice,
    `amount` is above zero. A converted amount within one unit of the whole pays the whole. Raise
    InvalidInput if more is paid than is open.
    """
    open_ = open_lines(invoice, before)
    whole = exact_sum(open_.values())
    paid = -amount if whole < 0 else amount
    settled, rounding = _settled(invoice, open_, paid, currency, rate)
    # Split the payment over the open lines, and withhold tax line by line.
    weights = [(line, part) for line, part in open_.items() if part]
    settles = allocate(settled, weights, unit_of(invoice.currency, [settled, *open_.values()]))
    money = _money(invoice, paid, currency, settles, rate)
    standing = [item for item in before if (item.invoice, item.currency) == (invoice.id, currency)]
    withheld = {
        line.name: _withheld(invoice, line, money[line.name], currency, standing)
        for line in invoice.lines
        if line.name in settles
    }
    payment = Payment(
        id=identity,
        day=day,
        invoice=invoice.id,
        amount=paid,
        currency=currency,
        rate=str(rate),
        withheld=exact_sum((_ZERO * smallest_unit(currency), *withheld.values())),
        settles=tuple(settles.items()),
        rounding=rounding,
        withheld_of=tuple(withheld.items()),
    )
    return payment, _payment_entry(invoice, payment, money, citations)


def _settled(
    invoice: Invoice,
    open_: Mapping[str, Decimal],
    paid: Decimal,
    currency: str,
    rate: Fraction,
) -> tuple[Decimal, Decimal]:
    """Return how much of an invoice a payment pays, in the invoice's currency, and how much of that
    is a rounding. Raise InvalidInput if more is paid than is open."""
    whole = exact_sum(open_.values())
    if not whole:
        raise InvalidInput.of(
            what=f"nothing of invoice {invoice.id} is open",
            why="it is paid",
            where="INVOICE",
            remedy="Pay another invoice, or take a payment back: clauseway books payment --reverse.",
        )
    unit = unit_of(invoice.currency, open_.values())
    worth = paid if currency == invoice.currency else convert(paid, rate, unit)
    # A conversion rounds: a unit of either currency more or less pays the whole.
    its_unit = convert(smallest_unit(currency), rate, unit)
    near = currency != invoice.currency and abs(whole - worth) <= max(unit, its_unit)
    settled = whole if near else worth
    if abs(settled) > abs(whole):
        raise InvalidInput.of(
            what=f"{abs(paid)} {currency} is more than is open",
            why=f"of invoice {invoice.id} {abs(whole)} {invoice.currency} is open",
            where="--amount",
            remedy="Pay what is open; what was paid beyond it belongs to another invoice.",
        )
    return settled, settled - worth


def _payment_entry(
    invoice: Invoice,
    payment: Payment,
    money: Mapping[str, Decimal],
    citations: Mapping[str, Citation],
) -> Entry:
    """Return the entry of a payment, of which each line got so much `money`."""
    cited = {line.name: (citations[line.term],) for line in invoice.lines}
    settles, withheld = dict(payment.settles), dict(payment.withheld_of)
    postings = [
        posting
        for line in settles
        for posting in _paid(
            invoice, payment, settles[line], money[line], withheld[line], cited[line]
        )
    ]
    postings += _rounded(invoice, payment, cited[next(iter(settles))])
    narration = (
        f"{invoice.payer} pays {invoice.payee} on {invoice.id}: {payment.amount} {payment.currency}"
    )
    reference = f"invoice|{invoice.id}"
    return _entry(f"payment|{payment.id}", reference, payment.day, narration, postings)


def reversal_of(
    *, identity: str, payment: Payment, paid: Entry, day: date, reason: str
) -> tuple[Reversal, Entry]:
    """Return the reversal of a payment, and its entry: the payment's entry `paid` the other way
    round."""
    reversal = Reversal(id=identity, day=day, reason=reason, payment=payment.id)
    postings = [
        msgspec.structs.replace(posting, amount=-posting.amount) for posting in paid.postings
    ]
    narration = f"{payment.id} reversed: {paid.narration}"
    return reversal, _entry(f"reversal|{identity}", paid.reference, day, narration, postings)


def _money(
    invoice: Invoice,
    paid: Decimal,
    currency: str,
    settles: Mapping[str, Decimal],
    rate: Fraction,
) -> Mapping[str, Decimal]:
    """Return the money that pays each line, in the currency that was paid."""
    if currency == invoice.currency:
        return settles
    return convert_parts(paid, settles, 1 / rate, unit_of(currency, [paid]))


def _withheld(
    invoice: Invoice,
    line: InvoiceLine,
    money: Decimal,
    currency: str,
    standing: Sequence[Payment],
) -> Decimal:
    """Return the tax on a payment of a line: on all that stands paid with it, less the tax withheld
    of that before. So parts withhold as much as the whole, whichever of them were reversed.

    `standing` are the payments of the invoice in this currency that were not reversed.
    """
    rate = _tax_rate(line, in_usd=currency == invoice.currency == USD)
    paid, taken = [money], list[Decimal]()
    for payment in standing:
        settles = dict(payment.settles)
        if line.name in settles:
            of_lines = _money(invoice, payment.amount, currency, settles, Fraction(payment.rate))
            paid.append(of_lines[line.name])
            taken.append(_withheld_of(invoice, payment, of_lines)[line.name])
    due = convert(exact_sum(paid), rate, unit_of(currency, paid))
    return exact_sum((due, *(-tax for tax in taken)))


def _tax_rate(line: InvoiceLine, *, in_usd: bool) -> Fraction:
    """Return the part of a line that is withheld: in USD as much as the statements of its months
    withhold, rounded month by month; in another currency by their rates."""
    amount = Fraction(exact_sum(part.amount for part in line.parts))
    rates = [part.withholding for part in line.parts]
    if not amount or None in rates:
        return Fraction(line.withheld)
    if in_usd:
        return Fraction(exact_sum(part.withheld for part in line.parts)) / amount
    taxed = sum(
        Fraction(part.amount) * Fraction(rate)
        for part, rate in zip(line.parts, rates, strict=True)
        if rate is not None
    )
    return Fraction(taxed) / amount


def _withheld_of(
    invoice: Invoice, payment: Payment, money: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """Return the tax withheld of each line of a payment. Payments of older homes say only the
    sum: it is split by the lines' rates."""
    if payment.withheld_of:
        return dict(payment.withheld_of)
    rates = {line.name: line.withheld for line in invoice.lines}
    worth = {name: exact_product(paid, rates[name]) for name, paid in money.items()}
    if not exact_sum(worth.values()):
        return dict.fromkeys(money, _ZERO)
    return allocate(payment.withheld, list(worth.items()))


def _claimed(invoice: Invoice, line: InvoiceLine, citation: Citation) -> list[Posting]:
    payer, payee, cited = invoice.payer, invoice.payee, (citation,)
    # On both books, what was owed becomes what is invoiced.
    legs = [
        Posting(Account(payer, "payable", SHARE, payee), line.owed, USD, cited),
        Posting(Account(payer, "payable", INVOICED, payee), -line.amount, invoice.currency, cited),
        Posting(
            Account(payee, "receivable", INVOICED, payer), line.amount, invoice.currency, cited
        ),
        Posting(Account(payee, "receivable", SHARE, payer), -line.owed, USD, cited),
    ]
    if invoice.currency != USD:
        for party, other, sign in ((payer, payee, 1), (payee, payer, -1)):
            legs += _conversion(
                party, other, -sign * line.owed, USD, sign * line.amount, invoice.currency, cited
            )
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
    # The payee gets that much less cash and a claim on the authority, to whom the payer owes
    # the tax instead: the invoice is settled in full.
    legs = [
        Posting(Account(payer, "payable", INVOICED, payee), settled, invoice.currency, cited),
        Posting(Account(payer, "cash", BANK, payee), withheld - money, currency, cited),
        Posting(Account(payer, "payable", WITHHOLDING, AUTHORITY), -withheld, currency, cited),
        Posting(Account(payee, "cash", BANK, payer), money - withheld, currency, cited),
        Posting(Account(payee, "receivable", WITHHOLDING, AUTHORITY), withheld, currency, cited),
        Posting(Account(payee, "receivable", INVOICED, payer), -settled, invoice.currency, cited),
    ]
    if currency != invoice.currency:
        for party, other, sign in ((payer, payee, 1), (payee, payer, -1)):
            legs += _conversion(
                party, other, -sign * settled, invoice.currency, sign * money, currency, cited
            )
    return [leg for leg in legs if leg.amount]


def _rounded(invoice: Invoice, payment: Payment, cited: tuple[Citation, ...]) -> list[Posting]:
    """Return the postings of a conversion's remainder: the payer's gain and the payee's loss, or
    the other way round."""
    legs: list[Posting] = []
    for party, other, sign in (
        (invoice.payer, invoice.payee, 1),
        (invoice.payee, invoice.payer, -1),
    ):
        left = sign * payment.rounding
        legs.append(
            Posting(Account(party, "equity", EXCHANGE, other), left, invoice.currency, cited)
        )
        legs.append(
            Posting(Account(party, "expense", ROUNDING, other), -left, invoice.currency, cited)
        )
    return [leg for leg in legs if leg.amount]


def _conversion(
    party: str,
    other: str,
    given: Decimal,
    currency: str,
    taken: Decimal,
    into: str,
    cited: tuple[Citation, ...],
) -> list[Posting]:
    account = Account(party, "equity", EXCHANGE, other)
    return [Posting(account, given, currency, cited), Posting(account, taken, into, cited)]


def _entry(
    identity: str, reference: str, day: date, narration: str, postings: Sequence[Posting]
) -> Entry:
    return Entry(
        id=identity, reference=reference, day=day, narration=narration, postings=tuple(postings)
    )


def position(
    entries: Iterable[Entry], payer: str, payee: str, currency: str = USD
) -> dict[str, Decimal]:
    """Return where a direction stands in the payer's books, by account name: owed, disputed,
    invoiced. Zero balances are left out."""
    return {
        account.name: -amount
        for account, amount in balances(entries, currency).items()
        if (account.party, account.kind, account.about) == (payer, "payable", payee) and amount
    }
