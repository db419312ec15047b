"""Costs by team in rows: a row for each team and each reason of none, a column for each cloud."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from clauseway.app.reports.allocating import AllocatedCosts
from clauseway.app.reports.amounts import in_currency
from clauseway.ledger.allocation import TeamCost
from clauseway.values import USD, amount_text, counted, exact_sum, round_together

IN_ALL, METERED = "in all", "metered"
_NONE = "–"
_ZERO = Decimal(0)


class TeamRow(msgspec.Struct, frozen=True, kw_only=True):
    """A team, or a reason of none, with its amounts by cloud and in all."""

    name: str
    amounts: tuple[str, ...]
    is_team: bool


def columns_of(allocated: AllocatedCosts) -> tuple[str, ...]:
    """Return the headings of the amounts: clouds, then those without a bill, then the sum."""
    return (*(_heading(*place) for place in _places(allocated)), IN_ALL)


def rows_of_teams(allocated: AllocatedCosts) -> Iterator[TeamRow]:
    """Yield the rows in USD, then their sum. Amounts of a column are rounded together, so that
    columns and rows add up as they are printed."""
    places = _places(allocated)
    names: dict[str, bool] = {}
    cells: dict[tuple[str, bool], dict[str, list[Decimal]]] = {place: {} for place in places}
    for cost in allocated.costs:
        if cost.currency == USD:
            names[_name(cost)] = bool(cost.team)
            place = (cost.cloud, cost.is_metered)
            cells[place].setdefault(_name(cost), []).append(cost.cost)
    rounded = {
        place: round_together({name: exact_sum(costs) for name, costs in cells[place].items()})
        for place in places
    }
    for name, is_team in names.items():
        amounts = [rounded[place].get(name) for place in places]
        yield TeamRow(name=name, amounts=_texts(amounts), is_team=is_team)
    sums: list[Decimal | None] = [exact_sum(rounded[place].values()) for place in places]
    yield TeamRow(name=IN_ALL, amounts=_texts(sums), is_team=False)


def sentences(allocated: AllocatedCosts) -> Iterator[str]:
    """Yield what is in no amount, and what to look at."""
    for cost in allocated.costs:
        if cost.currency != USD:
            yield (
                f"{_name(cost)}: {in_currency(cost.cost, cost.currency)} on {cost.cloud} have no rate "
                "and are in no amount."
            )
    for outside in allocated.outside:
        yield (
            f"{counted(outside.rows, 'row')} of {outside.bill} "
            f"{'is' if outside.rows == 1 else 'are'} of other months: "
            f"{in_currency(outside.cost, outside.currency)}, in no amount."
        )
    for row in allocated.unread:
        yield f"{row.bill}:{row.line}: {row.field}: {row.reason}. The row is in no amount."
    yield from allocated.remarks


def _places(allocated: AllocatedCosts) -> list[tuple[str, bool]]:
    there = {(cost.cloud, cost.is_metered) for cost in allocated.costs if cost.currency == USD}
    return sorted(there, key=lambda place: (place[1], place[0]))


def _heading(cloud: str, is_metered: bool) -> str:
    return f"{cloud}, {METERED}" if is_metered else cloud


def _name(cost: TeamCost) -> str:
    if cost.team:
        return cost.team
    return f"({': '.join(filter(None, (cost.reason, cost.category)))})"


def _texts(amounts: list[Decimal | None]) -> tuple[str, ...]:
    total = exact_sum(amount or _ZERO for amount in amounts)
    return (*(_NONE if each is None else amount_text(each) for each in amounts), amount_text(total))
