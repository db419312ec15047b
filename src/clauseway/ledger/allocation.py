"""Costs by team: charges of clouds' bills by their tags, and the gateway's usage by its projects.

    charge ─▶ the first key that it has ─▶ team, or why of none
    charges of the gateway's accounts, by cloud ─▶ split over teams as their usage was metered there
    usage on a cloud without a bill ─▶ team, at its metered charge

Usage that the gateway sent to a cloud is on that cloud's bill. So it is added only where there is no
bill of the cloud, and no usage counts twice. INVARIANT: the costs of a cloud with a bill sum to its
charges, to the last digit. Names are taken as they are written: two spellings are two teams.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from clauseway.values import USD, allocate, exact_sum, last_digit

# Why a cost is of no team.
NO_TAG, TWO_VALUES = "no tag", "two values of one tag"
UNREAD_TAGS, NOT_METERED = "tags that cannot be read", "the gateway's, without metered usage"
# Finer than any price: the parts of a split differ from their weights by less than this.
_FINEST = Decimal(1).scaleb(-12)


class TaggedCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge of a bill: its team, or why it has none; whether the gateway's accounts caused it."""

    team: str
    reason: str
    category: str
    cloud: str
    currency: str
    cost: Decimal
    is_of_gateway: bool = False


class MeteredCost(msgspec.Struct, frozen=True, kw_only=True):
    """The charge in USD for what a team sent to a cloud through the gateway."""

    team: str
    cloud: str
    cost: Decimal


class TeamCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a team on a cloud, or a cost of no team with its `reason` and FOCUS category.

    `is_metered`: no bill of the cloud was given, so it is the charge of the gateway's usage. Without
    a rate `currency` is that of the bill, else USD.
    """

    team: str
    reason: str
    category: str
    cloud: str
    is_metered: bool
    currency: str
    cost: Decimal
    rows: int


def team_in(
    labels: Mapping[str, tuple[str, ...]], keys: Sequence[str], teams: Mapping[str, str]
) -> tuple[str, str]:
    """Return a charge's team and an empty reason, or no team and why, by the first of the keys that
    it has. `teams` are other names of teams."""
    for key in keys:
        named = {teams.get(value, value) for value in labels.get(key, ())}
        if len(named) > 1:
            return "", TWO_VALUES
        if named:
            return named.pop(), ""
    return "", NO_TAG


def costs_by_team(
    charges: Iterable[TaggedCharge], metered: Sequence[MeteredCost]
) -> list[TeamCost]:
    """Return the costs by team and cloud: teams by name, then those of no team."""
    sums: dict[tuple[str, ...], list[Decimal]] = {}
    counts: dict[tuple[str, ...], int] = {}
    shared: dict[tuple[str, str], tuple[Decimal, int]] = {}
    billed: set[str] = set()
    for charge in charges:
        billed.add(charge.cloud)
        if charge.is_of_gateway:
            place = (charge.cloud, charge.currency)
            cost, rows = shared.get(place, (Decimal(0), 0))
            shared[place] = (exact_sum((cost, charge.cost)), rows + 1)
            continue
        category = "" if charge.team else charge.category
        key = (charge.team, charge.reason, category, charge.cloud, "", charge.currency)
        sums[key] = [exact_sum((*sums.get(key, ()), charge.cost))]
        counts[key] = counts.get(key, 0) + 1
    for (cloud, currency), (cost, rows) in shared.items():
        for team, part in _split(cost, [each for each in metered if each.cloud == cloud]).items():
            reason = "" if team else NOT_METERED
            key = (team, reason, "", cloud, "", currency)
            sums.setdefault(key, []).append(part)
            counts[key] = counts.get(key, 0) + rows
    for usage in metered:
        if usage.cloud not in billed:
            sums.setdefault((usage.team, "", "", usage.cloud, "metered", USD), []).append(
                usage.cost
            )
    return sorted(
        (_team_cost(key, exact_sum(costs), counts.get(key, 0)) for key, costs in sums.items()),
        key=_order,
    )


def _order(cost: TeamCost) -> tuple[bool, str, str, str, str, str]:
    name = cost.team.casefold()
    return bool(cost.reason), name, cost.team, cost.reason, cost.category, cost.cloud


def _split(cost: Decimal, metered: Sequence[MeteredCost]) -> dict[str, Decimal]:
    """Return the parts of a cost by team; all of it for no team where nothing was metered."""
    weights: dict[str, Decimal] = {}
    for usage in metered:
        weights[usage.team] = exact_sum((weights.get(usage.team, Decimal(0)), usage.cost))
    if not any(weights.values()):
        return {"": cost}
    return allocate(cost, list(weights.items()), min(last_digit(cost), _FINEST))


def _team_cost(key: tuple[str, ...], cost: Decimal, rows: int) -> TeamCost:
    team, reason, category, cloud, metered, currency = key
    return TeamCost(
        team=team,
        reason=reason,
        category=category,
        cloud=cloud,
        is_metered=bool(metered),
        currency=currency,
        cost=cost,
        rows=rows,
    )
