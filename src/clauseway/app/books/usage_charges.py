"""The charges for all usage of some days: sums of the lake meet the prices of their day. And what
credits take back of them."""

from collections.abc import Sequence

from clauseway.ledger.charges import UsageCharge, UsageCredit, charged_units, summed
from clauseway.ledger.revenue import RevenueLine, clipped
from clauseway.ledger.vouchers import Credit, Dispute, Reversed, Voucher, credited
from clauseway.pricing import PriceTable
from clauseway.storage.books.books import Books
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.attempts import Selection, attempts
from clauseway.storage.usage.sums import day_sums
from clauseway.values import Interval, day_after, day_of, exact_product


def usage_charges(lake: Lake, prices: PriceTable, days: Interval) -> list[UsageCharge]:
    """Return the charges for all usage of the days, summed in the lake before it is priced.

    Raise UnknownPrice.

    Pricing the attempts one by one comes to the same: a law in the tests.
    """
    return summed(
        part
        for usage in day_sums(lake, prices, Selection(days=days))
        for part in charged_units(
            usage.day,
            usage.organisation,
            usage.project,
            usage.attempts,
            prices.charge_sum(usage.sale, usage.day, usage.units),
            prices.row(usage.sale, usage.day),
        )
    )


def usage_credits(
    lake: Lake, prices: PriceTable, charges: Sequence[UsageCharge], days: Interval
) -> list[UsageCredit]:
    """Return what was taken back of the sales of some days, as the prices' point of knowledge knew
    it; a settlement limits it to the charges in the same way."""
    vouchers = _known_vouchers(lake, prices)
    back = [record for record in credited(vouchers) if day_of(record.event_ns) in days]
    if not back:
        return []
    revenue = [
        RevenueLine(
            event_day=charge.day,
            seller=charge.seller,
            cloud=charge.cloud,
            product=charge.product,
            amount=exact_product(charge.amount, prices.usd(charge.currency, charge.day)),
        )
        for charge in charges
    ]
    by_id = {voucher.id: voucher for voucher in vouchers if isinstance(voucher, Credit | Dispute)}
    taken: list[UsageCredit] = []
    for record in clipped(back, revenue):
        voucher = by_id[record.request_id]
        organisation, project = _buyer(lake, voucher.of)
        taken.append(
            UsageCredit(
                voucher=voucher.id,
                reason=voucher.reason,
                day=day_of(record.event_ns),
                organisation=organisation,
                project=project,
                seller=record.seller,
                cloud=record.cloud,
                product=record.product,
                amount=record.amount.copy_negate(),
            )
        )
    return taken


def _known_vouchers(lake: Lake, prices: PriceTable) -> list[Voucher]:
    recorded = Books(lake.control).dated_vouchers()
    return [voucher for voucher, at_ns in recorded if at_ns <= prices.known_at.instant_ns]


def _buyer(lake: Lake, sale: Reversed) -> tuple[str, str]:
    """Return the organisation and project that made a request; empty for a day's sales."""
    if not sale.request:
        return "", ""
    day = day_of(sale.event_ns)
    selection = Selection(days=Interval(day, day_after(day)), request_id=sale.request)
    for attempt in attempts(lake, selection, first=1):
        return attempt.organisation, attempt.project
    return "", ""
