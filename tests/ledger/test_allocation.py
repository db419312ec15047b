"""Costs by team: charges of bills, and the gateway's usage, each counted in one place."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from clauseway.ledger.allocation import (
    NO_TAG,
    NOT_METERED,
    TWO_VALUES,
    MeteredCost,
    TaggedCharge,
    costs_by_team,
    team_in,
)
from clauseway.values import exact_sum

AI, SEARCH = "ai-gateway", "acme/search"


def charge(cost: str, team: str = "", cloud: str = "aws", reason: str = "", **more: object) -> TaggedCharge:
    given = {"category": "Usage", "currency": "USD", "reason": reason or ("" if team else NO_TAG)} | more
    return TaggedCharge(team=team, cloud=cloud, cost=D(cost), **given)  # type: ignore[arg-type]


def gateways(cost: str, cloud: str = "aws") -> TaggedCharge:
    return charge(cost, AI, cloud, is_of_gateway=True)


def metered(team: str, cost: str, cloud: str = "aws") -> MeteredCost:
    return MeteredCost(team=team, cloud=cloud, cost=D(cost))


# tags of a charge | the team, or why of none, by the keys cost-centre and team
TEAMS: list[tuple[dict[str, tuple[str, ...]], tuple[str, str]]] = [
    ({"team": ("search",)}, ("search", "")),
    ({"team": ("search",), "cost-centre": ("42",)}, ("42", "")),  # the first key that it has
    ({"Team": ("search",)}, ("", NO_TAG)),  # another spelling is another key
    ({"team": ("Search",)}, ("search", "")),  # joined by --team Search=search
    ({"team": ("SEARCH",)}, ("SEARCH", "")),
    ({"team": ("a", "b")}, ("", TWO_VALUES)),
    ({"team": ("Search", "search")}, ("search", "")),
    ({}, ("", NO_TAG)),
]


def test_the_first_key_that_a_charge_has_names_its_team() -> None:
    for labels, team in TEAMS:
        assert team_in(labels, ("cost-centre", "team"), {"Search": "search"}) == team


# charges of bills | usage of the gateway | team or reason on cloud (metered) → cost
CASES: list[tuple[list[TaggedCharge], list[MeteredCost], dict[str, str]]] = [
    # Charges of a team sum; what has no tag stands by its category.
    (
        [
            charge("2.50", "search"),
            charge("0.50", "search"),
            charge("3", category="Tax"),
            charge("-1", category="Credit"),
        ],
        [],
        {"search on aws": "3.00", "no tag Credit on aws": "-1", "no tag Tax on aws": "3"},
    ),
    # Usage on a cloud with a bill is on that bill; on a cloud without, it is added.
    (
        [charge("10", "search")],
        [metered(SEARCH, "4"), metered(SEARCH, "6", "oci")],
        {"search on aws": "10", "acme/search on oci metered": "6"},
    ),
    # The gateway's charges of a cloud are split as its usage was metered there: 10 as 3 to 1.
    (
        [gateways("6"), gateways("4"), charge("1", "search")],
        [metered("search", "3"), metered("chat", "1"), metered("chat", "99", "azure")],
        {"chat on aws": "2.5", "chat on azure metered": "99", "search on aws": "8.5"},
    ),
    # A third has no end: the parts sum to the charge all the same.
    (
        [gateways("1")],
        [metered(team, "1") for team in ("a", "b", "c")],
        {"a on aws": "0.333333333334", "b on aws": "0.333333333333", "c on aws": "0.333333333333"},
    ),
    # Where nothing was metered the gateway's charge is of nobody.
    ([gateways("5", "oci")], [metered("search", "3")], {"search on aws metered": "3", f"{NOT_METERED} on oci": "5"}),
    # Another currency without a rate stays apart.
    (
        [charge("1", "search"), charge("2", "search", currency="EUR")],
        [],
        {"search on aws": "1", "search on aws EUR": "2"},
    ),
]


def test_each_cost_is_counted_in_one_place() -> None:
    for charges, usage, costs in CASES:
        result = {
            " ".join(
                filter(
                    None,
                    (
                        cost.team or cost.reason,
                        cost.category,
                        f"on {cost.cloud}",
                        "metered" if cost.is_metered else "",
                        "" if cost.currency == "USD" else cost.currency,
                    ),
                )
            ): cost.cost
            for cost in costs_by_team(charges, usage)
        }
        assert result == {name: D(cost) for name, cost in costs.items()}


def test_rows_are_counted_and_what_was_metered_has_none() -> None:
    charges = [charge("1", "search"), charge("2", "search"), charge("3", "chat"), gateways("6"), gateways("4")]
    costs = costs_by_team(charges, [metered("search", "3"), metered("chat", "1", "azure")])
    assert [(cost.team, cost.cloud, cost.rows) for cost in costs] == [
        ("chat", "aws", 1),
        ("chat", "azure", 0),
        ("search", "aws", 4),
    ]


AMOUNTS = st.decimals(-(10**9), 10**9, places=9)
CLOUDS = st.sampled_from(["aws", "azure", "oci"])
NAMES = st.sampled_from(["", "search", "Search", "chat"])


@given(
    st.lists(st.tuples(AMOUNTS, NAMES, CLOUDS, st.booleans())),
    st.lists(st.tuples(NAMES, CLOUDS, st.decimals(0, 10**6, places=12))),
)
def test_the_costs_of_a_cloud_with_a_bill_sum_to_its_charges(
    rows: list[tuple[D, str, str, bool]], usage: list[tuple[str, str, D]]
) -> None:
    charges = [charge(str(cost), team, cloud, is_of_gateway=shared) for cost, team, cloud, shared in rows]
    costs = costs_by_team(charges, [metered(team or "nobody", str(cost), cloud) for team, cloud, cost in usage])
    billed = {each.cloud for each in charges}
    for cloud in billed | {cloud for _, cloud, _ in usage}:
        expected = (
            exact_sum(each.cost for each in charges if each.cloud == cloud)
            if cloud in billed
            else exact_sum(cost for _, where, cost in usage if where == cloud)
        )
        assert exact_sum(cost.cost for cost in costs if cost.cloud == cloud) == expected
        assert all(cost.is_metered == (cloud not in billed) for cost in costs if cost.cloud == cloud)
