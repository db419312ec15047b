"""Invoices of shares in FOCUS 1.4: Invoice Detail, and the charges of Cost and Usage behind it.

Each line of an invoice is a record of Invoice Detail. The charges behind it sum to the line: for
each settled month the share, corrections and restatements of closed months, less the amounts
invoiced before. By `InvoiceDetailId` the charges sum to the record, to the last digit.

A share is neither usage nor the purchase of a service: its category is "Adjustment". A correction
of a closed month has the class "Correction".

The data sets have no columns for facts that a home does not know: a purchase order, and a payment
in another currency than the invoice's.

Rules and their source: `focus_columns`.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import msgspec

from clauseway.exchange.focus.bill import bill_columns, midnight
from clauseway.exchange.focus.focus_columns import (
    INVOICE_DETAIL,
    MANDATORY,
    V1_4,
    FocusRow,
    Value,
    broken_columns,
    broken_periods,
    broken_rules,
)
from clauseway.ledger.exchange_rates import convert_parts
from clauseway.ledger.floors import calendar_period
from clauseway.ledger.vouchers import Invoice, InvoiceLine
from clauseway.values import USD, Interval, counted, exact_sum, unit_of

_CATEGORY, _CORRECTION, _SERVICE = "Adjustment", "Correction", "Revenue share"
_KEY = ("InvoiceIssuerName", "InvoiceId", "InvoiceDetailId", "BillingCurrency")
_ZERO = Decimal(0)

# The written columns, in their order: also of a file without a row. Those of our own are the
# figures of an invoice for which FOCUS has no column.
INVOICE_COLUMNS = (
    *(column.name for column in INVOICE_DETAIL.values() if column.level == MANDATORY),
    "x_OwedUsd",
    "x_UsdRate",
    "x_WithholdingRate",
)
CHARGE_COLUMNS = bill_columns(V1_4)


class IssuedInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice, and when it was recorded (ns since 1970, UTC)."""

    invoice: Invoice
    recorded_ns: int


class _Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an invoice's line in USD: its days, and the class of a correction, if it is one."""

    days: Interval
    name: str
    amount: Decimal
    charge_class: str | None = None


def billing_period(invoice: Invoice) -> Interval:
    """Return the days of the month through which an invoice asks."""
    return calendar_period(invoice.through, "month")


def has_months(invoice: Invoice) -> bool:
    """True if each line names its parts. Lines of older homes do not."""
    return all(line.parts for line in invoice.lines)


def detail_rows(issued: IssuedInvoice) -> list[FocusRow]:
    """Return an invoice's records of Invoice Detail, one for each line."""
    invoice = issued.invoice
    # Whole seconds, which both formats hold.
    recorded = datetime.fromtimestamp(issued.recorded_ns // 1_000_000_000, UTC)
    return [_detail_row(invoice, line, recorded) for line in invoice.lines]


def charge_rows(invoice: Invoice) -> list[FocusRow]:
    """Return the charges of Cost and Usage behind an invoice, those of each line together."""
    return [
        _charge_row(invoice, line, part, amount)
        for line in invoice.lines
        for part, amount in _split(invoice, line)
    ]


def broken_invoices(details: Sequence[FocusRow], charges: Sequence[FocusRow]) -> list[str]:
    """Return every rule that the two data sets break, each alone and against the other."""
    broken = broken_columns(details, INVOICE_DETAIL, "Invoice Detail")
    for number, row in enumerate(details, 1):
        broken += [f"row {number}: {rule}" for rule in _broken_together(row)]
    broken += [f"charges, {rule}" for rule in broken_rules(charges, V1_4)]
    return broken + list(_broken_sums(details, charges))


def _detail_row(invoice: Invoice, line: InvoiceLine, recorded: datetime) -> dict[str, Value]:
    period = billing_period(invoice)
    grain = {"x_Term": line.term, "x_Through": str(line.through)}
    return {
        "BilledCost": line.amount,
        "BillingAccountId": invoice.payer,
        "BillingCurrency": invoice.currency,
        "BillingPeriodEnd": midnight(period.end),
        "BillingPeriodStart": midnight(period.begin),
        "ChargeCategory": _CATEGORY,
        "InvoiceDetailCreated": recorded,
        "InvoiceDetailDescription": f"{_SERVICE} under {line.name}",
        "InvoiceDetailGrain": json.dumps(grain, ensure_ascii=False),
        "InvoiceDetailId": line.name,
        # An invoice is recorded once and never changes.
        "InvoiceDetailLastUpdated": recorded,
        "InvoiceId": invoice.id,
        "InvoiceIssueDate": midnight(invoice.day),
        "InvoiceIssueStatus": "Issued",
        "InvoiceIssuerName": invoice.payee,
        "PaymentDueDate": midnight(line.due) if line.due else None,
        "PaymentTerms": _terms(line),
        # An invoice asks for all that is owed and names no other invoice.
        "ReferenceInvoiceId": invoice.id,
        "x_OwedUsd": line.owed,
        "x_UsdRate": invoice.rate,
        "x_WithholdingRate": line.withheld,
    }


def _terms(line: InvoiceLine) -> str:
    """Return the terms of payment in words: the agreement's days count from the end of the
    period."""
    if line.due is None or line.through is None:
        return "The agreement states no day of payment"
    return f"{counted((line.due - line.through).days, 'day')} after {line.through}"


def _parts(line: InvoiceLine) -> Iterator[_Charge]:
    """Yield the charges that a line sums, in USD."""
    months = [
        calendar_period(date.fromisoformat(f"{part.month}-01"), "month") for part in line.parts
    ]
    for days, part in zip(months, line.parts, strict=True):
        yield _Charge(days=days, name="share", amount=part.share)
        for name, amount in (("corrections", part.corrections), ("restatements", part.restated)):
            named = f"{name} of closed months"
            yield _Charge(days=days, name=named, amount=amount, charge_class=_CORRECTION)
    whole = Interval(months[0].begin, months[-1].end)
    yield _Charge(days=whole, name="less what was invoiced before", amount=-line.invoiced_before)


def _split(invoice: Invoice, line: InvoiceLine) -> list[tuple[_Charge, Decimal]]:
    """Return the charges of a line with amounts in the invoice's currency, which sum to the
    line."""
    charges = [charge for charge in _parts(line) if charge.amount]
    if invoice.currency == USD:
        return [(charge, charge.amount) for charge in charges]
    # Another currency: the line is rounded once, and its remainder goes to its largest parts.
    names = [f"{number:04}" for number in range(len(charges))]
    worth = {name: charge.amount for name, charge in zip(names, charges, strict=True)}
    unit = unit_of(invoice.currency, [line.amount])
    parts = convert_parts(line.amount, worth, Fraction(invoice.rate), unit)
    return [(charge, parts[name]) for name, charge in zip(names, charges, strict=True)]


def _charge_row(
    invoice: Invoice,
    line: InvoiceLine,
    charge: _Charge,
    amount: Decimal,
) -> dict[str, Value]:
    period = billing_period(invoice)
    row: dict[str, Value] = dict.fromkeys(CHARGE_COLUMNS)
    return row | {
        "BilledCost": amount,
        "BillingAccountId": invoice.payer,
        "BillingAccountName": invoice.payer,
        "BillingAccountType": "Party",
        "BillingCurrency": invoice.currency,
        "BillingPeriodEnd": midnight(period.end),
        "BillingPeriodStart": midnight(period.begin),
        "ChargeCategory": _CATEGORY,
        "ChargeClass": charge.charge_class,
        "ChargeDescription": f"{_SERVICE} under {line.term}: {charge.name}",
        "ChargeFrequency": "Recurring",
        "ChargePeriodEnd": midnight(charge.days.end),
        "ChargePeriodStart": midnight(charge.days.begin),
        # No price and no quantity: every cost is what was invoiced.
        "ContractedCost": amount,
        "EffectiveCost": amount,
        "InvoiceDetailId": line.name,
        "InvoiceId": invoice.id,
        "InvoiceIssuerName": invoice.payee,
        "ListCost": amount,
        "ServiceCategory": "Other",
        "ServiceName": _SERVICE,
        "ServiceProviderName": invoice.payee,
        "ServiceSubcategory": "Other (Other)",
    }


def _broken_together(row: FocusRow) -> Iterator[str]:
    yield from broken_periods(row)
    created, updated = row.get("InvoiceDetailCreated"), row.get("InvoiceDetailLastUpdated")
    if isinstance(created, datetime) and isinstance(updated, datetime) and updated < created:
        yield "InvoiceDetailLastUpdated is before InvoiceDetailCreated"


def _broken_sums(details: Sequence[FocusRow], charges: Sequence[FocusRow]) -> Iterator[str]:
    """Yield the records whose charges do not sum to them.

    The specification allows a variance of rounding; we do not.
    """
    records, behind = _sums(details), _sums(charges)
    if len(records) < len(details):
        yield "two records of Invoice Detail have one InvoiceDetailId"
    for key in sorted({*records, *behind}):
        if records.get(key, _ZERO) != behind.get(key, _ZERO):
            issuer, invoice, line, currency = key
            yield (
                f"invoice {invoice} of {issuer}, {line}: "
                f"BilledCost is {records.get(key)} {currency}, "
                f"and the charges behind it sum to {behind.get(key)}"
            )


def _sums(rows: Sequence[FocusRow]) -> dict[tuple[str, ...], Decimal]:
    """Return BilledCost by invoice, line and currency."""
    amounts: dict[tuple[str, ...], list[Decimal]] = {}
    for row in rows:
        key = tuple(str(row.get(name)) for name in _KEY)
        cost = row.get("BilledCost")
        amounts.setdefault(key, []).append(cost if isinstance(cost, Decimal) else _ZERO)
    return {key: exact_sum(costs) for key, costs in amounts.items()}
