"""A reconciliation in words and rows: its verdict, its parts, and its differences, the most money
first."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from clauseway.app.reports.amounts import cents, signed
from clauseway.app.reports.reconciling import Reconciliation
from clauseway.ledger.reconciliation import BESIDE, MATCHED, NOT_READ, Item, ReconciledLine
from clauseway.values import exact_sum, round_together


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a bill, or a likely cause: the number of its items, and its amounts; `–` for
    none."""

    name: str
    items: str
    at_stake: str
    metered: str = ""
    billed: str = ""


def verdict(reconciliation: Reconciliation) -> str:
    """Return in a sentence whether the bill agrees, or how much is at stake."""
    result = reconciliation.found
    if reconciliation.is_whole:
        return "Everything is matched."
    shown = round_together({part.name: part.billed for part in result.parts})
    rest = [
        f"{part.name} {cents(shown[part.name])}"
        for part in result.parts
        if part.name in BESIDE and (part.billed or (part.name == NOT_READ and part.rows))
    ]
    beside = f" Beside it on the bill: {', '.join(rest)} USD." if rest else ""
    # Items may differ without an amount at stake: in a quantity, or where no price is known.
    is_different = any(count for name, (count, _) in result.by_status.items() if name != MATCHED)
    if is_different or reconciliation.unread:
        return f"At stake: {cents(result.at_stake)} USD.{beside}"
    return f"All usage that was compared is matched.{beside}"


def summary(reconciliation: Reconciliation) -> Iterator[SummaryRow]:
    """Yield the bill's parts, the likely causes of differences, and the sums of both sides."""
    result = reconciliation.found
    # Rounded together, so that the shown columns add up.
    metered = round_together({part.name: part.metered for part in result.parts})
    billed = round_together({part.name: part.billed for part in result.parts})
    at_stake = round_together(
        {name: stake for name, (_, stake) in result.by_status.items() if name != MATCHED}
    )
    for part in result.parts:
        if not part.rows and not part.metered:
            continue
        count, _ = result.by_status.get(part.name, (part.rows, Decimal(0)))
        is_known = part.name in result.by_status
        yield SummaryRow(
            name=part.name,
            items=f"{count:,}",
            at_stake=cents(at_stake[part.name]) if part.name in at_stake else "–",
            metered=cents(metered[part.name]) if is_known else "–",
            billed=cents(billed[part.name]),
        )
    of_causes = round_together({name: stake for name, (_, stake) in result.by_cause.items()})
    for cause, (count, _) in result.by_cause.items():
        name = f"  likely {cause}" if not cause.startswith("no ") else f"  {cause}"
        yield SummaryRow(name=name, items=f"{count:,}", at_stake=cents(of_causes[cause]))
    yield SummaryRow(
        name="in all",
        items="",
        at_stake=cents(result.at_stake),
        metered=cents(result.metered),
        billed=cents(result.total),
    )
    difference = exact_sum(
        (*billed.values(), *(amount.copy_negate() for amount in metered.values()))
    )
    yield SummaryRow(name="billed less metered", items="", at_stake="", billed=signed(difference))


def differing(reconciliation: Reconciliation) -> list[tuple[ReconciledLine, Item]]:
    """Return the items that differ, those with the most money at stake first; without items of a
    day on which one side has nothing of a cloud, which is reported as a whole day."""
    result = reconciliation.found
    whole = {(day.day, cloud, day.status) for day in result.whole_days for cloud in day.clouds}
    items = [
        (line, item)
        for line in result.lines
        for item in line.items
        if item.status != MATCHED and (line.day, line.cloud, item.status) not in whole
    ]
    items.sort(key=lambda pair: (-pair[1].at_stake, pair[0].day, pair[0].product, pair[1].unit))
    return items


def quantities(item: Item) -> str:
    """Return the quantities of both sides of an item."""
    return (
        f"metered {item.metered_quantity:,} for {_known(item.metered)} · "
        f"billed {item.billed_quantity.normalize():,f} for {_known(item.billed)}"
    )


def behind(item: Item) -> str:
    """Return the bill's rows and the meter's requests behind an item."""
    rows = ", ".join(map(str, item.rows[:8])) + (", …" if len(item.rows) > 8 else "")
    requests = " to ".join(item.requests)
    sides = [f"rows {rows}" if rows else "", f"requests {requests}" if requests else ""]
    return " · ".join(filter(None, sides))


def _known(amount: Decimal | None) -> str:
    return "an unknown amount" if amount is None else f"{amount.normalize():,f}"
