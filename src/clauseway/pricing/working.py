"""The working of a price: every entry that was considered, the winner, and for each other entry the
reason it lost."""

from datetime import date

import msgspec

from clauseway.metering import Unit
from clauseway.pricing.price_conditions import Sale
from clauseway.pricing.price_entry import PriceEntry
from clauseway.pricing.price_table import Price, PriceTable, in_context
from clauseway.values import day_of

WON, DISCOUNT, SKIPPED = "won", "discount", "skipped"


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was considered: `verdict` is won, discount (taken off the winner) or passed
    over; and why.

    `holds` says that its conditions hold for the sale, whatever the day and the time of knowledge.
    """

    entry: PriceEntry
    verdict: str
    why: str
    holds: bool


def considered(
    table: PriceTable, sale: Sale, unit: Unit, day: date, tokens: int
) -> list[Considered]:
    """Return the entries on a unit of the sale's product, in the order of the books. `tokens` is
    the length of the context."""
    sale = in_context(sale, {Unit.INPUT_TOKENS: tokens})
    won = table.row(sale, day).won.get(unit)
    return [
        Considered(
            entry=entry,
            verdict=_verdict(entry, won),
            why=_why(table, entry, won, sale, day),
            holds=entry.conditions.matches(sale),
        )
        for entry in table.looked_at(sale, unit)
    ]


def _verdict(entry: PriceEntry, won: Price | None) -> str:
    if won is None:
        return SKIPPED
    return WON if entry is won.entry else DISCOUNT if entry is won.discount else SKIPPED


def _why(table: PriceTable, entry: PriceEntry, won: Price | None, sale: Sale, day: date) -> str:
    """Return the first reason that decides, in the order in which the rules are applied."""
    if entry.known_at.instant_ns > table.known_at.instant_ns:
        return f"it was recorded on {day_of(entry.known_at.instant_ns)}, which was not known then"
    if missed := entry.conditions.miss(sale):
        return missed
    if day not in entry.interval:
        return f"it is in force from {entry.interval.begin}" + _until(entry)
    assert won is not None, "an entry that holds, is in force and known must have won or lost"
    if entry.is_discount and won.entry.conditions.buyer:
        return f"{won.entry.place} was negotiated as a whole"
    winner = won.discount if entry.is_discount else won.entry
    assert winner is not None, "one discount that holds must have won"
    return _beaten(table, entry, winner)


def _until(entry: PriceEntry) -> str:
    return "" if entry.interval.end == date.max else f" until {entry.interval.end}"


def _beaten(table: PriceTable, entry: PriceEntry, winner: PriceEntry) -> str:
    if entry is winner:
        return "it names the most of those that hold"
    # The same order as `PriceTable.rank`: book, specificity, step, begin, knowledge.
    book, specificity, above, begin, _ = table.rank(entry)
    its_book, its_specificity, its_above, its_begin, _ = table.rank(winner)
    if book < its_book:
        return f"{winner.book} goes before it"
    if entry.conditions.is_of_lengths_in_any_tier and winner.conditions.is_of_batches:
        return f"{winner.place} is the price of batches of any length"
    if specificity < its_specificity:
        return f"{winner.place} names more conditions"
    if above < its_above:
        return f"{winner.place} is for longer contexts"
    if begin < its_begin:
        return f"{winner.place} begins later"
    return f"{winner.place} was recorded later and corrects it"
