"""Selection as tables: policy × deployments → order and reasons; and the laws that hold for any of them."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.catalog import BITS, Capability
from clauseway.gateway.plan import (
    Budget,
    Epoch,
    Lack,
    PlannedRetirement,
    Policy,
    Prices,
    RateLimit,
    Refusal,
    Route,
    SpendCommitment,
)
from clauseway.gateway.routing.quotas import Cached, Memory
from clauseway.gateway.routing.routing_tables import header_line
from clauseway.gateway.routing.strategies import STRATEGIES, CandidateStanding, cost, length_of
from clauseway.gateway.routing.targets import Balance
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import decode_chat
from clauseway.gateway.wire.operations import BY_NAME
from clauseway.metering import Buyer, Ruling, Status, Unit
from selection_rig import CHAT, MODEL, PLAIN_BODY, PRODUCT, Bench, deployment, plan

DIRECT = deployment("direct", "azure", residency="us", certifications=("soc2",), region="global")
SWEDEN = deployment(
    "sweden", "azure", seller="microsoft", residency="eu", certifications=("soc2", "hipaa"), region="swedencentral"
)
OHIO = deployment("ohio", "aws", residency="us", lacks=("web-search", "eu-data-zone"), region="us-east-2")
PARIS = deployment("paris", "aws", residency="eu", lacks=("eu-data-zone",), region="eu-west-3")
PLACES = [DIRECT, SWEDEN, OHIO, PARIS]


def body(**members: Any) -> bytes:
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **members}).encode()


def reasons(bench: Bench, asked: bytes = PLAIN_BODY) -> dict[str, str]:
    return {passed.deployment: passed.reason for passed in bench.select(asked).skipped}


POLICIES = [
    (Policy(), ["direct", "sweden", "ohio", "paris"], {}),
    (
        Policy(clouds=("aws",)),
        ["ohio", "paris"],
        {
            "direct": "its cloud azure; the policy allows aws",
            "sweden": "its cloud azure; the policy allows aws",
        },
    ),
    (Policy(sellers=("microsoft",)), ["sweden"], {"ohio": "its seller openai; the policy allows microsoft"}),
    (
        Policy(regions=("us-east-2", "eu-west-3")),
        ["ohio", "paris"],
        {"direct": "its region global; the policy allows us-east-2, eu-west-3"},
    ),
    # Paris says that its data stays there; the matrix says that nothing of that surface does.
    (
        Policy(residency=("eu",)),
        ["sweden"],
        {"direct": "its residency us; the policy allows eu", "paris": "lacks eu-data-zone (a page)"},
    ),
    (
        Policy(certifications=("soc2", "hipaa")),
        ["sweden"],
        {
            "direct": "has no certification hipaa, which the policy asks for",
            "ohio": "has no certification soc2, hipaa, which the policy asks for",
        },
    ),
    (
        Policy(strategy="pinned", pinned="ohio"),
        ["ohio"],
        {"direct": "the policy pins requests to ohio"},
    ),
]


@pytest.mark.parametrize(("policy", "order", "passed"), POLICIES)
def test_a_policy_leaves_these_for_these_reasons(policy: Policy, order: list[str], passed: dict[str, str]) -> None:
    bench = Bench(plan(PLACES, policy))
    assert bench.order() == order
    assert reasons(bench).items() >= passed.items()
    assert set(reasons(bench)) == {target.label.deployment for target in PLACES} - set(order)


def test_an_unstated_residency_is_none() -> None:
    bench = Bench(plan([deployment("somewhere")], Policy(residency=("eu",))))
    assert reasons(bench) == {"somewhere": "its residency is not stated; the policy allows eu"}


def test_who_lacks_what_is_asked_for_is_passed_over_with_the_source() -> None:
    bench = Bench(plan([OHIO, DIRECT]))
    assert bench.order() == ["ohio", "direct"]
    searching = body(web_search_options={})
    assert bench.order(searching) == ["direct"]
    assert reasons(bench, searching) == {"ohio": "lacks web-search (a page)"}


def test_what_is_lacked_is_dated() -> None:
    lack = Lack(capability="web-search", reason="until then", begin_ns=-5, end_ns=100)
    late = msgspec.structs.replace(deployment("late"), lacks=(lack,))
    dated = Bench(plan([late, DIRECT]))
    assert dated.order(body(web_search_options={}), at_ns=99) == ["direct"]
    assert dated.order(body(web_search_options={}), at_ns=100) == ["late", "direct"]


SIZES = [
    (PLAIN_BODY, ["small", "large", "unknown"]),
    (body(max_completion_tokens=5000), ["large", "unknown"]),
    (body(max_completion_tokens=50_000), ["unknown"]),
    (body(user="x" * 8_100), ["large", "unknown"]),  # more than 8 bytes a token for the thousand that it holds
    (body(user="x" * 7_000), ["small", "large", "unknown"]),
    # The bytes of a picture say nothing of its tokens.
    (
        body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 90_000}}]}]),
        ["small", "large", "unknown"],
    ),
    # Nor do those of sound, or of what brings in more than the body says.
    (
        body(messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x" * 90_000}}]}]),
        ["small", "large", "unknown"],
    ),
    (body(web_search_options={}, user="x" * 90_000), ["small", "large", "unknown"]),
]


@pytest.mark.parametrize(("asked", "order"), SIZES)
def test_what_does_not_fit_goes_elsewhere(asked: bytes, order: list[str]) -> None:
    bench = Bench(
        plan(
            [
                deployment("small", context_tokens_max=1000, output_tokens_max=1000),
                deployment("large", context_tokens_max=100_000, output_tokens_max=10_000),
                deployment("unknown"),
            ]
        )
    )
    assert bench.order(asked) == order
    assert len(bench.select(operation=BY_NAME["images.edits"], body_bytes=90_000).candidates) == 3, (
        "nor do those of a form"
    )


def test_the_largest_context_is_named_where_none_holds_the_prompt() -> None:
    contexts = [deployment("large", context_tokens_max=2000), deployment("small", context_tokens_max=1000)]
    selection = Bench(plan(contexts)).select(body(user="x" * 20_000))
    assert (selection.candidates, selection.context_tokens_max) == ((), 2000)


def test_each_cloud_has_reasons_of_its_own() -> None:
    refusals = tuple(
        Refusal(cloud=cloud, outcome="forbidden", message=f"{term}.", terms=(term,), receipt="receipt")
        for cloud, term in (("aws", "A4.one"), ("gcp", "A4.two"))
    )
    epochs = (Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|any": Route(candidates=(), refusals=refusals)}),)
    choice = Bench(plan([DIRECT], epochs=epochs)).choice()
    assert [choice.why_not(cloud) for cloud in ("aws", "gcp", "")] == [
        ("A4.one.", ("A4.one",)),
        ("A4.two.", ("A4.two",)),
        ("A4.one. A4.two.", ("A4.one", "A4.two")),
    ]


def test_what_the_agreement_closes_is_told_of_the_sellers_own_deployments() -> None:
    closed = [deployment("theirs", "aws", seller="microsoft"), deployment("own", "aws")]
    refusal = Refusal(cloud="aws", outcome="forbidden", message="A4.one.", terms=("A4.one",), receipt="receipt")
    epochs = (Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|any": Route(candidates=((0, 0),), refusals=(refusal,))}),)
    skipped = Bench(plan([DIRECT, *closed], epochs=epochs)).select().skipped
    assert [(each.deployment, each.terms) for each in skipped] == [("own", ("A4.one",))]


def test_a_deployment_that_stands_twice_is_asked_once_by_its_first_ruling() -> None:
    route = Route(candidates=((0, 1), (0, 0)))
    rulings = tuple(Ruling(name, "permitted", (), "receipt") for name in ("d-1", "d-2"))
    epochs = (Epoch(begin_ns=0, routes={f"openai|{PRODUCT}|any": route}),)
    (candidate,) = Bench(plan([DIRECT], rulings=rulings, epochs=epochs)).select().candidates
    assert candidate.decision == "d-2"


def test_a_vector_store_is_its_projects_alone() -> None:
    tables = Bench(plan([deployment("d", vector_stores={"vs_deeds": ("acme/research",)})])).tables
    projects = [("acme", "research"), ("acme", "sales"), ("rival", "research")]
    results = [tables.vector_store_at(Buyer(*owner, "k", "openai", "any"), "vs_deeds") for owner in projects]
    assert results == ["d", "", ""]


def test_no_name_of_a_plan_breaks_a_head() -> None:
    assert header_line("x-clauseway-region", "a\r\nx-b: c\x00 é") == b"x-clauseway-region: a??x-b: c? ?\r\n"


@pytest.mark.parametrize("held", [{"budgets": (0,)}, {"limits": (0,)}])
def test_a_key_with_a_limit_or_a_budget_has_an_allowance(held: dict[str, Any]) -> None:
    made = plan(
        [DIRECT],
        budgets=(Budget(id="b", whose="organisation acme"),),
        limits=(RateLimit(id="l", whose="organisation acme", tokens_per_minute=9),),
    )
    (key,) = made.keys
    kept = Bench(msgspec.structs.replace(made, keys=(msgspec.structs.replace(key, **held),)))
    assert kept.customer.allowance is not None
    assert Bench(made).customer.allowance is None


# Resources that a request follows lie on one deployment.
@pytest.mark.parametrize("followed", ["direct", "ohio"])
def test_what_lies_on_a_deployment_is_asked_for_there(followed: str) -> None:
    bench = Bench(plan([DIRECT, OHIO]))
    (other,) = {"direct", "ohio"} - {followed}
    assert bench.order(deployment=followed) == [followed]
    (skipped,) = bench.select(deployment=followed).skipped
    assert (skipped.deployment, skipped.reason) == (other, f"what the request follows lies on {followed}")


# -- strategies

CHEAP_IN = deployment("cheap-in", prices=(1_000_000, 1_000_000, 60_000_000))
CHEAP_OUT = deployment("cheap-out", prices=(9_000_000, 9_000_000, 20_000_000))
PAID_FOR = deployment("paid-for", prices=(50_000_000, 50_000_000, 90_000_000), provisioned=True)


def test_cheapest_depends_on_how_long_question_and_answer_are() -> None:
    bench = Bench(plan([CHEAP_OUT, CHEAP_IN], Policy(strategy="cheapest")))
    assert bench.order(body(max_completion_tokens=16, user="x" * 40_000)) == ["cheap-in", "cheap-out"]
    assert bench.order(body(max_completion_tokens=4000)) == ["cheap-out", "cheap-in"]


# how much longer the question than the answer, in powers of two | cost at 3 in, 1 cached, 5 out | with what is cached
COSTS = [(-2, 3 + 5 * 4, 1 + 5 * 4), (-1, 3 + 5 * 2, 1 + 5 * 2), (0, 3 + 5, 1 + 5), (1, 3 * 2 + 5, 2 + 5), (2, 17, 9)]


@pytest.mark.parametrize(("length", "whole", "cached"), COSTS)
def test_costs_weigh_question_and_answer_by_their_lengths(length: int, whole: int, cached: int) -> None:
    standing = CandidateStanding(input_price=3, cached_price=1, output_price=5)
    assert (cost(standing, length), cost(standing, length, cached=True)) == (whole, cached)


# the body's bytes, the tokens asked for → how much longer the question; an answer of unsaid length has 512 tokens
LENGTHS = [(0, 0, -10), (2_000, 0, -1), (2_000, 512, -1), (2_000, 16, 4), (1 << 40, 1, 12), (0, 1 << 30, -12)]


@pytest.mark.parametrize(("body_bytes", "output_tokens", "length"), LENGTHS)
def test_lengths_are_powers_of_two_within_bounds(body_bytes: int, output_tokens: int, length: int) -> None:
    assert length_of(body_bytes, output_tokens) == length


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "pinned"])
def test_what_is_paid_for_comes_first(strategy: str) -> None:
    assert Bench(plan([CHEAP_IN, PAID_FOR], Policy(strategy=strategy))).order()[0] == "paid-for"


ONE_TOKEN = ((Unit.INPUT_TOKENS, 1),)


@pytest.mark.parametrize(
    "charge",
    [
        lambda bench: bench.target("ohio").charge(ONE_TOKEN),
        lambda bench: bench.target("ohio").charge_of(ONE_TOKEN, "chat", "flex", bench.customer.buyer, 1),
    ],
    ids=["at one price", "in the tier that was told"],
)
def test_the_commitment_that_lapses_soonest_is_burnt_down_first_while_money_is_left(
    charge: Callable[[Bench], int],
) -> None:
    azure = SpendCommitment(name="macc", begin_ns=0, end_ns=2000, left=10**9, clouds=("azure",))
    # As much as the token costs, to the picodollar.
    aws = SpendCommitment(name="edp", begin_ns=0, end_ns=1000, left=5_000_000, clouds=("aws",))
    commitments = (azure, aws)
    bench = Bench(plan([DIRECT, OHIO], Policy(strategy="commitment"), commitments=commitments))
    assert bench.order() == ["ohio", "direct"]
    charge(bench)
    assert bench.order() == ["ohio", "direct"], "an order stands for a second"
    assert bench.order(now_s=1.0) == ["direct", "ohio"], "nothing is left of it"
    assert Bench(plan([OHIO, DIRECT], Policy(strategy="commitment"), commitments=(azure,))).order(at_ns=2000) == [
        "ohio",
        "direct",
    ], "both are over"


# clouds, sellers and products of a commitment; empty for any → whether what DIRECT serves counts toward it
COUNTED: list[tuple[dict[str, tuple[str, ...]], bool]] = [
    ({}, True),
    ({"clouds": ("aws", "azure"), "sellers": ("openai",), "products": (PRODUCT,)}, True),
    ({"clouds": ("aws",)}, False),
    ({"sellers": ("microsoft",)}, False),
    ({"products": ("gpt-4o",)}, False),
]


@pytest.mark.parametrize(("wanted", "counts"), COUNTED)
def test_what_counts_toward_a_commitment(wanted: dict[str, tuple[str, ...]], counts: bool) -> None:
    made = SpendCommitment(name="macc", begin_ns=0, end_ns=2000, left=10**9, **wanted)
    assert Balance(made).counts(DIRECT.label) is counts


def test_a_commitment_is_burnt_down_from_its_begin_on() -> None:
    later = SpendCommitment(name="edp", begin_ns=1000, end_ns=2000, left=10**9, clouds=("aws",))
    bench = Bench(plan([DIRECT, OHIO], Policy(strategy="commitment"), commitments=(later,)))
    assert [bench.order(at_ns=at_ns)[0] for at_ns in (999, 1000, 2000)] == ["direct", "ohio", "direct"]


def test_fastest_goes_by_what_was_measured_and_tries_what_was_not() -> None:
    memory = Memory()
    bench = Bench(plan([DIRECT, OHIO, SWEDEN], Policy(strategy="fastest")), memory)
    bench.target("direct").observe(False, Status.COMPLETE, 900_000, 0, 10.0)
    bench.target("ohio").observe(False, Status.COMPLETE, 450_000, 0, 10.0)
    assert bench.order(now_s=10.0) == ["sweden", "ohio", "direct"]
    bench.target("sweden").observe(False, Status.ESTIMATED, 500_000, 0, 10.0)
    bench.target("sweden").observe(False, Status.FAILED, 1, 0, 10.0)
    bench.target("sweden").observe(False, Status.COMPLETE, 0, 0, 10.0)  # reading what was made
    assert bench.order(now_s=11.0) == ["ohio", "sweden", "direct"]
    # Streams are measured apart, and what is remembered outlives the plan.
    again = Bench(plan([DIRECT, OHIO, SWEDEN], Policy(strategy="fastest")), memory)
    assert again.order(now_s=11.0) == ["ohio", "sweden", "direct"]
    assert again.order(body(stream=True), now_s=11.0) == ["direct", "ohio", "sweden"]
    # Whoever was slow once is asked again some day.
    again.target("ohio").observe(False, Status.COMPLETE, 300_000, 0, 400.0)
    assert again.order(now_s=400.0)[-1] == "ohio"


def test_a_quota_counts_requests_and_tokens_of_a_minute_and_drains_evenly() -> None:
    memory = Memory()
    limited = deployment("limited", quota_requests_per_minute=2, quota_tokens_per_minute=600)
    quota = Bench(plan([limited]), memory).target("limited").quota
    assert quota is not None
    assert quota.admits(0.0)
    quota.take(100)
    assert quota.admits(0.0)
    quota.take(100)
    assert not quota.admits(0.0), "two requests"
    assert not quota.admits(29.0)
    assert quota.admits(30.0), "one of two has drained in half a minute"
    quota.take(0)
    quota.correct(900)
    assert Bench(plan([limited]), memory).target("limited").quota is quota, "a new plan forgets nothing"
    assert not quota.admits(60.0), "tokens: 800 of 600 are still there"
    assert quota.admits(120.0)


def test_a_request_takes_about_its_tokens_until_they_are_known_and_fewer_save_nothing_up() -> None:
    target = Bench(plan([deployment("limited", quota_tokens_per_minute=600)])).target("limited")
    quota = target.quota
    assert quota is not None
    quota.admits(0.0)
    quota.take(600)
    assert not quota.admits(0.0)
    assert quota.admits(30.0)
    target.observe(False, Status.COMPLETE, 0, -600, 30.0)
    assert quota.left(30.0) == (0, 600)
    quota.take(600)
    assert not quota.admits(30.0), "nor what had drained before"


def test_of_several_workers_each_has_a_part_of_a_quota_and_never_none() -> None:
    quota = Memory(workers=4).quota("limited", MODEL, 2, 2_000)
    assert quota is not None
    assert (quota.requests, quota.tokens) == (1, 500)


# -- stickiness

CACHING = deployment("caching", prices=(5_500_000, 550_000, 33_000_000))
PLAIN_PRICED = deployment("plain", prices=(5_000_000, 500_000, 30_000_000))
DEAR = deployment("dear", prices=(60_000_000, 6_000_000, 90_000_000))


def keyed(**members: Any) -> bytes:
    return body(prompt_cache_key="k", user="x" * 4000, max_completion_tokens=100, **members)


STUCK = [
    ("caching", keyed(), ["caching", "plain", "dear"]),
    ("plain", keyed(), ["plain", "caching", "dear"]),
    ("dear", keyed(), ["plain", "caching", "dear"]),  # even cached it costs more than the other uncached
    ("gone", keyed(), ["plain", "caching", "dear"]),
    ("", keyed(), ["plain", "caching", "dear"]),
]


@pytest.mark.parametrize(("cached_at", "asked", "order"), STUCK)
def test_what_shares_a_prompt_stays_together_while_that_is_cheaper(
    cached_at: str, asked: bytes, order: list[str]
) -> None:
    assert Bench(plan([PLAIN_PRICED, CACHING, DEAR])).order(asked, cached_at=cached_at) == order


def test_what_stays_together_depends_on_the_lengths_and_costs_no_more() -> None:
    """A long answer costs more where the prompt is cached; where all costs the same, the cache is quicker."""
    bench = Bench(plan([PLAIN_PRICED, CACHING, deployment("even", prices=(5_000_000, 5_000_000, 30_000_000))]))
    brief = body(prompt_cache_key="k", max_completion_tokens=4000)
    assert bench.order(keyed(), cached_at="caching")[0] == "caching"
    assert bench.order(brief, cached_at="caching")[0] == "plain"
    assert bench.order(keyed(), cached_at="even")[0] == "even"
    assert bench.order(keyed(), cached_at="plain")[0] == "plain"
    units = {int(Unit.INPUT_TOKENS): 9_000_000, int(Unit.OUTPUT_TOKENS): 30_000_000}
    dear = msgspec.structs.replace(PLAIN_PRICED, prices=(Prices(begin_ns=0, end_ns=1 << 62, units=units),))
    dear = msgspec.structs.replace(dear, label=deployment("uncached").label)
    assert Bench(plan([PLAIN_PRICED, dear])).order(keyed(), cached_at="uncached")[0] == "plain"


def test_nobody_leaves_what_is_paid_for_to_stay_together() -> None:
    """Except for what is paid for too."""
    assert Bench(plan([PAID_FOR, PLAIN_PRICED])).order(keyed(), cached_at="plain") == ["paid-for", "plain"]
    too = msgspec.structs.replace(PAID_FOR, label=deployment("too").label)
    assert Bench(plan([PAID_FOR, too])).order(keyed(), cached_at="too") == ["too", "paid-for"]


def test_who_served_a_key_last_is_remembered_for_an_hour_by_organisation() -> None:
    cached = Memory().cached
    cached.served("acme", MODEL, "k", "ohio", 0.0)
    assert cached.deployment("acme", MODEL, "k", 3599.0) == "ohio"
    assert cached.deployment("acme", MODEL, "k", 3600.0) == ""
    assert cached.deployment("rival", MODEL, "k", 1.0) == ""
    cached.served("acme", MODEL, "k", "direct", 5.0)
    assert cached.deployment("acme", MODEL, "k", 6.0) == "direct"


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    cached = Cached(kept=2)
    for key in ("a", "b", "a", "c"):
        cached.served("acme", MODEL, key, "ohio", 0.0)
    assert [cached.deployment("acme", MODEL, key, 1.0) for key in "abc"] == ["ohio", "", "ohio"]


# -- retirements and snapshots

SNAPSHOT = "gpt-5.5-2026-04-23"


def retired(surface: str) -> PlannedRetirement:
    return PlannedRetirement(name=SNAPSHOT, surface=surface, begin_ns=100, message=f"It was retired on {surface}.")


def test_a_retired_name_comes_last_where_it_is_and_is_not_listed_where_it_is_everywhere() -> None:
    named: dict[str, Any] = {"models": {MODEL: MODEL, SNAPSHOT: MODEL}, "snapshots": (SNAPSHOT,)}
    targets = [deployment("here", surface="openai"), deployment("there", surface="azure-v1")]
    asked = body().replace(b'"gpt-5.5"', f'"{SNAPSHOT}"'.encode())
    bench = Bench(plan(targets, retirements=(retired("openai"),), **named))
    assert bench.order(asked, at_ns=99) == ["here", "there"]
    assert bench.order(asked, at_ns=100) == ["there", "here"]
    still = [deployment("here", surface="openai", serves_retired=True), targets[1]]
    assert Bench(plan(still, retirements=(retired("openai"),), **named)).order(asked, at_ns=100) == ["here", "there"]
    dear = [targets[0], deployment("there", surface="azure-v1", prices=(9_000_000, 9_000_000, 90_000_000))]
    cheapest = Bench(plan(dear, Policy(strategy="cheapest"), retirements=(retired("openai"),), **named))
    assert [cheapest.order(asked, at_ns=at) for at in (99, 100)] == [["here", "there"], ["there", "here"]]
    assert reasons(bench) == {}, "the product's own name is not retired"
    everywhere = Bench(plan(targets, retirements=(retired("openai"), retired("azure-v1")), **named))
    assert everywhere.choice(99, SNAPSHOT).retired == ""
    assert everywhere.choice(100, SNAPSHOT).retired == "It was retired on openai. It was retired on azure-v1."
    assert everywhere.tables.models(100, everywhere.customer) == [MODEL]


def test_a_deployment_of_a_retired_snapshot_comes_last_under_any_name() -> None:
    named: dict[str, Any] = {"models": {MODEL: MODEL, SNAPSHOT: MODEL}, "snapshots": (SNAPSHOT,)}
    targets = [
        deployment("old", surface="openai", snapshot=SNAPSHOT),
        deployment("new", surface="openai", snapshot="gpt-5.5-2026-04-24"),
    ]
    bench = Bench(plan(targets, retirements=(retired("openai"),), **named))
    assert [bench.order(at_ns=at) for at in (99, 100)] == [["old", "new"], ["new", "old"]]
    assert MODEL in bench.tables.models(100, bench.customer), "one deployment serves it on"
    alone = Bench(plan(targets[:1], retirements=(retired("openai"),), **named))
    assert (alone.order(at_ns=100), alone.tables.models(100, alone.customer)) == (["old"], [])


def test_a_snapshot_goes_where_it_is_served() -> None:
    named: dict[str, Any] = {"models": {MODEL: MODEL, SNAPSHOT: MODEL}, "snapshots": (SNAPSHOT,)}
    targets = [deployment("other", snapshot="gpt-5.5-2026-04-24"), deployment("this", snapshot=SNAPSHOT)]
    bench = Bench(plan(targets, **named))
    asked = body().replace(b'"gpt-5.5"', f'"{SNAPSHOT}"'.encode())
    assert bench.order(asked) == ["this"]
    assert bench.order() == ["other", "this"], "the product's own name is served by any"


# -- laws

NAMES = [str(capability) for capability in Capability]
ANY_DEPLOYMENT = st.builds(
    lambda cloud, region, residency, lacks, prices, provisioned, certified: {
        "cloud": cloud,
        "region": region,
        "residency": residency,
        "lacks": tuple(sorted(lacks)),
        "prices": prices,
        "provisioned": provisioned,
        "certifications": tuple(sorted(certified)),
    },
    st.sampled_from(["azure", "aws", "oci"]),
    st.sampled_from(["r-1", "r-2"]),
    st.sampled_from(["", "eu", "us"]),
    st.sets(st.sampled_from(NAMES), max_size=4),
    st.tuples(*[st.integers(1, 10**8)] * 3),
    st.booleans(),
    st.sets(st.sampled_from(["soc2", "hipaa"])),
)
SOME = st.lists(ANY_DEPLOYMENT, min_size=1, max_size=6)
ANY_POLICY = st.builds(
    Policy,
    strategy=st.sampled_from([name for name in STRATEGIES if name != "pinned"]),
    clouds=st.sampled_from([(), ("azure",), ("aws", "oci")]),
    regions=st.sampled_from([(), ("r-1",)]),
    residency=st.sampled_from([(), ("eu",), ("eu", "us")]),
    certifications=st.sampled_from([(), ("soc2",)]),
)
ANY_NEEDS = st.sets(st.sampled_from(NAMES), max_size=3)


def bits(names: set[str]) -> Needs:
    return Needs(sum(BITS[Capability(name)] for name in names)) if names else PLAIN


@given(SOME, ANY_POLICY, ANY_NEEDS)
def test_nothing_is_selected_that_lacks_a_need_or_violates_a_policy(
    described: list[dict[str, Any]], policy: Policy, needed: set[str]
) -> None:
    targets = [deployment(f"d-{index}", **description) for index, description in enumerate(described)]
    selection = Bench(plan(targets, policy)).select(needs=bits(needed))
    by_name = {target.label.deployment: target for target in targets}
    chosen = [by_name[candidate.target.name] for candidate in selection.candidates]
    for target in chosen:
        assert not needed & {lack.capability for lack in target.lacks}
        assert not policy.clouds or target.label.cloud in policy.clouds
        assert not policy.regions or target.label.region in policy.regions
        assert not policy.residency or target.residency in policy.residency
        assert set(policy.certifications) <= set(target.certifications)
    passed = [target.deployment for target in selection.skipped]
    # Each deployment stands once, among the candidates or among those skipped, there with a reason.
    assert sorted([*(target.label.deployment for target in chosen), *passed]) == sorted(by_name)
    assert all(target.reason for target in selection.skipped)
    # Paid deployments come first.
    assert [target.provisioned for target in chosen] == sorted((target.provisioned for target in chosen), reverse=True)


@given(SOME, ANY_POLICY, st.randoms(use_true_random=False))
def test_the_order_is_total_and_the_plans_order_decides_ties_only(
    described: list[dict[str, Any]], policy: Policy, shuffler: Any
) -> None:
    # No two alike: then the plan's order decides nothing but under primary-first, which is that order.
    for index, description in enumerate(described):
        description["prices"] = (
            description["prices"][0] * 8 + index,
            description["prices"][1],
            description["prices"][2],
        )
    targets = [deployment(f"d-{index}", **item) for index, item in enumerate(described)]
    shuffled = list(targets)
    shuffler.shuffle(shuffled)
    first, second = Bench(plan(targets, policy)).order(), Bench(plan(shuffled, policy)).order()
    assert sorted(first) == sorted(second)
    costs = {target.label.deployment: _cost(target) for target in targets}
    if policy.strategy == "cheapest" and len(set(costs.values())) == len(costs):
        assert first == second
        by_name = {target.label.deployment: target for target in targets}
        assert first == sorted(first, key=lambda name: (not by_name[name].provisioned, costs[name]))


def _cost(target: Any) -> int:
    """Of a short question with an ordinary answer: 16 tokens (5 bits) and 512 (10 bits)."""
    units = target.prices[0].units
    return int(units[2] + units[6] * (1 << 5))


def test_a_selection_is_made_once_per_kind_of_request() -> None:
    bench = Bench(plan(PLACES))
    assert bench.select() is bench.select(body(temperature=1))
    assert bench.select() is not bench.select(body(web_search_options={}))
    asked = decode_chat(PLAIN_BODY, b"")
    assert bench.choice().select(CHAT, asked) is bench.select()
