"""Whatever the price book says: a provisional charge is the settlement's, and no larger than what was reserved."""

from asyncio import AbstractEventLoop
from datetime import date
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.app.opening.plan_prices import plan_prices
from clauseway.gateway.plan import Lack, Policy, Prices, Target
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import ChatRequest, ResponsesRequest
from clauseway.gateway.wire.operations import BY_NAME, UnderstoodRequest
from clauseway.metering import Buyer, Unit
from clauseway.metering.endpoints import ENDPOINTS, TIERS, tier_of
from clauseway.metering.units import CONTAINED_IN
from clauseway.pricing import Conditions, PriceBook, PriceEntry, PriceTable, Sale
from clauseway.pricing.price_conditions import parse_hours
from clauseway.values import FOREVER, Interval, KnownAt, day_of, start_of_day_ns
from selection_rig import Bench, deployment, plan

PLACE = Sale("gpt-5.5", "azure", "openai", "r-1")
ENDPOINT = Endpoint("127.0.0.1", 9, cast("AbstractEventLoop", None), Limits())
HOUR_NS = 3_600_000_000_000
FIRST, SECOND, THIRD = date(2026, 5, 1), date(2026, 5, 9), date(2026, 5, 20)
WHOLES = (Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS)
OF_TEXT = (
    Unit.CACHED_INPUT_TOKENS,
    Unit.CACHE_WRITE_TOKENS,
    Unit.CACHE_WRITE_1H_TOKENS,
    Unit.REASONING_TOKENS,
    Unit.ACCEPTED_PREDICTION_TOKENS,
    Unit.REJECTED_PREDICTION_TOKENS,
)
# A request's tier → the tiers that its cloud may tell, empty where it tells none.
TOLD = {
    "": ("", "default", "flex", "priority", "fast", "ultrafast"),
    "auto": ("", "default", "flex", "priority", "fast", "ultrafast"),
    "scale": ("", "default", "flex", "priority", "fast", "ultrafast"),
    "default": ("", "default"),
    "flex": ("", "default", "flex"),
    "priority": ("", "default", "priority", "fast"),
    "fast": ("", "default", "priority", "fast"),
    "ultrafast": ("", "default", "priority", "fast", "ultrafast"),
}


def entry(price: int, unit: Unit | None, line: int = 0, **conditions: Any) -> PriceEntry:
    names = {name: conditions.get(name, "") for name in ("product", "cloud", "seller", "region")}
    names |= {name: conditions.get(name, "") for name in ("buyer", "tier", "endpoint")}
    return PriceEntry(
        conditions=Conditions(tuple(names.values()), conditions.get("above", 0), conditions.get("hours", frozenset())),
        unit=unit,
        interval=Interval(conditions.get("begin", date(2026, 1, 1)), conditions.get("end", FOREVER)),
        known_at=KnownAt.recorded_on(date(2026, 1, 1), sequence=line),
        price=price,
        source="test",
        line=line,
        book="book",
        percent=conditions.get("percent", 0),
    )


def table(*entries: PriceEntry) -> PriceTable:
    """Input for 5 and output for 30 USD a million, unless an entry says otherwise."""
    general = (entry(5_000_000, WHOLES[0], 1), entry(30_000_000, WHOLES[1], 2))
    return PriceTable(PriceBook(name="book", digest="", entries=(*general, *entries)), KnownAt.everything())


WORKDAY, NIGHTS = parse_hours("mon-fri 08-18"), parse_hours("22-06")


@st.composite
def books(draw: st.DrawFn) -> PriceTable:
    """Each of a few conditions, so that they meet."""
    units = draw(st.lists(st.sampled_from([*WHOLES, *CONTAINED_IN]), min_size=1, max_size=3))
    entries = st.builds(
        entry,
        st.sampled_from([0, 1_000_000, 100_000_000]),
        st.sampled_from(units),
        tier=st.sampled_from(["", draw(st.sampled_from(TIERS))]),
        buyer=st.sampled_from(["", draw(st.sampled_from(["", "acme"]))]),
        endpoint=st.sampled_from(["", draw(st.sampled_from(["", "chat", "responses.retrieve", "batches.retrieve"]))]),
        above=st.sampled_from([0, draw(st.sampled_from([0, 500, 5000]))]),
        hours=st.sampled_from([frozenset(), draw(st.sampled_from([frozenset(), WORKDAY, NIGHTS]))]),
        begin=st.sampled_from([date(2026, 1, 1), draw(st.sampled_from([date(2026, 1, 1), SECOND]))]),
        end=st.sampled_from([FOREVER, draw(st.sampled_from([FOREVER, THIRD]))]),
    )
    drawn = draw(st.lists(entries, min_size=1, max_size=6))
    return table(*(_numbered(entry, place) for place, entry in enumerate(drawn, 3)))


BOOKS = books()
NOON, NIGHT = start_of_day_ns(SECOND) + 12 * HOUR_NS, start_of_day_ns(SECOND) + 23 * HOUR_NS
INSTANTS = st.integers(start_of_day_ns(FIRST) - 2 * HOUR_NS, start_of_day_ns(THIRD) + 30 * HOUR_NS)
REPORTS = st.fixed_dictionaries({whole: st.sampled_from([0, 1, 400, 800, 8000]) for whole in WHOLES})


def _numbered(price_entry: PriceEntry, line: int) -> PriceEntry:
    return PriceEntry(
        **{
            **{name: getattr(price_entry, name) for name in price_entry.__struct_fields__},
            "line": line,
            "known_at": KnownAt.recorded_on(date(2026, 1, 1), sequence=line),
        }
    )


@st.composite
def reports(draw: st.DrawFn, *parts: Unit) -> dict[Unit, int]:
    """As clouds report: wholes, and parts that fit into them."""
    report = draw(REPORTS)
    left = dict(report)
    for part in parts:
        whole = CONTAINED_IN[part]
        if whole in left and draw(st.booleans()):
            report[part] = left[part] = draw(st.sampled_from([left[whole], left[whole] // 2]))
            left[whole] -= report[part]
    return dict(sorted(report.items()))


def target_of(prices: PriceTable, **changes: Any) -> CallTarget:
    made = deployment("d", prices=(5_000_000, 5_000_000, 30_000_000))
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    spans = plan_prices(PLACE, prices, date(2026, 1, 1))
    return CallTarget(Target(**fields | {"prices": spans} | changes), 1, ENDPOINT, Health())


def buyer(organisation: str) -> Buyer:
    return Buyer(organisation, "p", "k", "openai", "any")


def asking(operation: str, needs: Needs, asked: RequestProperties) -> UnderstoodRequest:
    kind = BY_NAME[operation]
    return UnderstoodRequest(kind, kind.call(b"", b"", b""), asked, b"", b"", b"", "gpt-5.5", 0.0, needs)


def charged(target: CallTarget, who: str, operation: str, answered: str, at_ns: int, report: dict[Unit, int]) -> int:
    """By a gateway, as an attempt has it charged."""
    units = tuple(report.items())
    return (
        target.charge_of(units, operation, answered, buyer(who), at_ns)
        if target.has_varying_prices
        else target.charge(units)
    )


def settled(prices: PriceTable, who: str, operation: str, answered: str, at_ns: int, report: dict[Unit, int]) -> int:
    """By settlement, from the record of it."""
    hour = (at_ns // HOUR_NS + 72) % 168
    tier = tier_of(ENDPOINTS[operation], answered)
    sale = Sale(PLACE.product, PLACE.cloud, PLACE.seller, PLACE.region, who, tier, operation, 0, hour)
    return prices.charge(sale, day_of(at_ns), report).picodollars


def reserved(
    target: CallTarget, who: str, operation: str, at_ns: int, needs: Needs, report: dict[Unit, int], later: bool = False
) -> int:
    """For a request with a byte for each token of input, which allows as much output as it got."""
    most = report[Unit.OUTPUT_TOKENS] or 1
    asked = RequestProperties(
        ResponsesRequest(background=True, max_output_tokens=most) if later else ChatRequest(max_tokens=most)
    )
    wanted = asking(operation, needs, asked)
    scale = target.scale_for(wanted, buyer(who), at_ns) if target.has_varying_prices else target.scale
    return target.worst_case(asked, report[Unit.INPUT_TOKENS], needs, scale).picodollars


@settings(max_examples=500)
@given(
    st.data(),
    BOOKS,
    INSTANTS,
    INSTANTS,
    st.sampled_from(["acme", "globex", "other"]),
    st.sampled_from(["chat", "responses"]),
    st.sampled_from(sorted(TOLD)),
    st.booleans(),
)
def test_a_charge_is_the_settlements_and_within_its_reservation(
    data: st.DataObject,
    prices: PriceTable,
    at_ns: int,
    turned_ns: int,
    who: str,
    operation: str,
    asked: str,
    of_text: bool,
) -> None:
    report = data.draw(reports(*(OF_TEXT if of_text else CONTAINED_IN)))
    answered = data.draw(st.sampled_from(TOLD[asked]))
    target = target_of(prices)
    target.turn_to(turned_ns)  # by another request, of another time
    if not target.has_varying_prices:
        target.turn_to(at_ns)
    needs = Needs(tier=asked, audio=not of_text) if asked or not of_text else PLAIN
    charge = charged(target, who, operation, answered, at_ns, report)
    assert charge == settled(prices, who, operation, answered, at_ns, report)
    assert charge <= reserved(target, who, operation, at_ns, needs, report)


@settings(max_examples=300)
@given(
    BOOKS,
    INSTANTS,
    INSTANTS,
    st.sampled_from(["acme", "other"]),
    st.sampled_from(["responses", "responses.retrieve"]),
    st.sampled_from([(asked, tier) for asked, tiers in TOLD.items() for tier in tiers]),
    reports(*CONTAINED_IN),
)
def test_what_ends_later_is_charged_as_it_ends_and_was_reserved_for_all_that_may_come(
    prices: PriceTable,
    at_ns: int,
    then_ns: int,
    who: str,
    operation: str,
    tiers: tuple[str, str],
    report: dict[Unit, int],
) -> None:
    at_ns, then_ns = sorted((at_ns, then_ns))
    (asked, answered), target = tiers, target_of(prices)
    kept = reserved(target, who, "responses", at_ns, Needs(tier=asked, audio=True), report, later=True)
    if not target.has_varying_prices:
        target.turn_to(then_ns)
    charge = charged(target, who, operation, answered, then_ns, report)
    assert charge == settled(prices, who, operation, answered, then_ns, report)
    assert charge <= kept


@settings(max_examples=100)
@given(BOOKS, INSTANTS, INSTANTS, reports(*CONTAINED_IN))
def test_a_batch_is_charged_in_its_tier_and_without_a_length(
    prices: PriceTable, at_ns: int, then_ns: int, report: dict[Unit, int]
) -> None:
    at_ns, then_ns = sorted((at_ns, then_ns))
    target = target_of(prices)
    kept = reserved(target, "acme", "batches.create", at_ns, Needs(audio=True), report)
    target.turn_to(then_ns)
    charge = charged(target, "acme", "batches.retrieve", "", then_ns, report)
    assert charge == settled(prices, "acme", "batches.retrieve", "", then_ns, report)
    assert charge <= kept


# -- as a person would read it

IN, OUT = WHOLES
LONG = 1000
ALL_OUT = {IN: 0, OUT: 10}
# Further lines of the book, the request's tier, the tier and the usage that the cloud tells. In each, the
# dearest that may come does come.
TIGHT: list[tuple[list[PriceEntry], str, str, dict[Unit, int]]] = [
    # The tier asked for is cheaper than the one in which it is served.
    ([entry(1_000_000, IN, 3, tier="priority")], "priority", "", {IN: LONG, OUT: 0}),
    ([entry(1_000_000, IN, 3, tier="fast")], "fast", "default", {IN: LONG, OUT: 0}),
    ([entry(1_000_000, IN, 3, tier="flex")], "flex", "default", {IN: LONG, OUT: 0}),
    ([entry(9_000_000, IN, 3, tier="fast")], "priority", "fast", {IN: LONG, OUT: 0}),
    ([entry(9_000_000, IN, 3, tier="ultrafast")], "ultrafast", "ultrafast", {IN: LONG, OUT: 0}),
    # A part is dearer than its whole.
    ([entry(9_000_000, Unit.CACHE_WRITE_TOKENS, 3)], "default", "", {IN: LONG, Unit.CACHE_WRITE_TOKENS: LONG, OUT: 0}),
    ([entry(90_000_000, Unit.REASONING_TOKENS, 3)], "default", "", {**ALL_OUT, Unit.REASONING_TOKENS: 10}),
    (
        [entry(90_000_000, Unit.ACCEPTED_PREDICTION_TOKENS, 3)],
        "default",
        "",
        {**ALL_OUT, Unit.ACCEPTED_PREDICTION_TOKENS: 10},
    ),
    (
        [entry(90_000_000, Unit.REJECTED_PREDICTION_TOKENS, 3)],
        "default",
        "",
        {**ALL_OUT, Unit.REJECTED_PREDICTION_TOKENS: 10},
    ),
    ([entry(90_000_000, Unit.REASONING_TOKENS, 3, tier="flex")], "", "flex", {**ALL_OUT, Unit.REASONING_TOKENS: 10}),
    # Long requests in a tier, and for one buyer.
    ([entry(9_000_000, IN, 3, above=500, tier="priority")], "priority", "priority", {IN: LONG, OUT: 0}),
    ([entry(9_000_000, IN, 3, buyer="acme")], "default", "", {IN: LONG, OUT: 0}),
    ([entry(9_000_000, IN, 3, buyer="acme", tier="priority")], "auto", "priority", {IN: LONG, OUT: 0}),
]


@pytest.mark.parametrize(("entries", "asked", "expected", "report"), TIGHT)
def test_the_dearest_that_may_come_is_what_was_reserved(
    entries: list[PriceEntry], asked: str, expected: str, report: dict[Unit, int]
) -> None:
    prices = table(*entries)
    target, units = target_of(prices), dict(sorted(report.items()))
    charge = charged(target, "acme", "chat", expected, NOON, units)
    assert charge == settled(prices, "acme", "chat", expected, NOON, units)
    # One token of each is reserved at least.
    spare = (not units[IN]) * 100_000_000 + (not units[OUT]) * 30_000_000
    kept = reserved(target, "acme", "chat", NOON, Needs(tier=asked), {**units, IN: units[IN] or 1})
    assert charge <= kept <= charge + spare


def test_a_batch_is_reserved_at_its_own_prices() -> None:
    half = target_of(table(entry(2_500_000, IN, 3, tier="batch"), entry(15_000_000, OUT, 4, tier="batch")))
    report = {IN: LONG, OUT: 10}
    assert reserved(half, "acme", "batches.create", NOON, PLAIN, report) == LONG * 2_500_000 + 10 * 15_000_000
    assert reserved(half, "acme", "chat", NOON, PLAIN, report) == LONG * 5_000_000 + 10 * 30_000_000
    # Its cloud need not say that it was one.
    assert charged(half, "acme", "batches.retrieve", "", NOON, report) == LONG * 2_500_000 + 10 * 15_000_000


def test_a_batch_is_reserved_at_the_prices_to_come() -> None:
    dearer = target_of(table(entry(2_500_000, IN, 3, tier="batch"), entry(9_000_000, IN, 4, tier="batch", begin=THIRD)))
    kept = reserved(dearer, "acme", "batches.create", NOON, PLAIN, {IN: LONG, OUT: 1})
    assert kept == LONG * 9_000_000 + 30_000_000


def test_a_request_that_may_turn_out_shorter_is_reserved_at_the_dearest_length() -> None:
    steps = [entry(9_000_000, IN, 3, above=500, tier="flex"), entry(1_000_000, IN, 4, above=900, tier="flex")]
    kept = reserved(target_of(table(*steps)), "acme", "chat", NOON, Needs(tier="flex"), {IN: LONG, OUT: 1})
    assert kept == LONG * 9_000_000 + 30_000_000


def test_a_request_that_ends_later_is_reserved_at_the_prices_to_come() -> None:
    dearer = table(entry(9_000_000, IN, 3, begin=THIRD), entry(99_000_000, IN, 4, end=FIRST))
    target, report = target_of(dearer), {IN: LONG, OUT: 1}
    assert reserved(target, "acme", "responses", NOON, PLAIN, report) == LONG * 5_000_000 + 30_000_000
    assert reserved(target, "acme", "responses", NOON, PLAIN, report, later=True) == LONG * 9_000_000 + 30_000_000


def test_a_request_that_ends_later_may_be_served_in_a_tier_without_a_price_of_its_own() -> None:
    target, report = target_of(table(entry(1_000_000, IN, 3, tier="flex"))), {IN: LONG, OUT: 1}
    kept = reserved(target, "acme", "responses", NOON, Needs(tier="flex"), report, later=True)
    assert kept == LONG * 5_000_000 + 30_000_000


def test_a_tier_is_reserved_from_the_instant_on_at_which_a_deployment_has_it() -> None:
    lack = Lack(capability="priority", reason="a page", end_ns=NOON)
    target = target_of(table(entry(9_000_000, IN, 3, tier="priority")), lacks=(lack,))
    kept = [reserved(target, "acme", "chat", at_ns, PLAIN, {IN: LONG, OUT: 1}) for at_ns in (NOON - 1, NOON)]
    assert kept == [LONG * 5_000_000 + 30_000_000, LONG * 9_000_000 + 30_000_000]


DEARER = table(
    entry(10_000_000, WHOLES[0], 3, tier="priority"),
    entry(60_000_000, WHOLES[1], 4, tier="priority"),
    entry(2_000_000, WHOLES[0], 5, tier="flex"),
    entry(4_000_000, WHOLES[0], 6, buyer="acme"),
    entry(1_000_000, WHOLES[0], 7, hours=parse_hours("22-06"), endpoint="embeddings"),
    entry(3_000_000, WHOLES[0], 8, hours=parse_hours("22-06")),
)
ONE = {Unit.INPUT_TOKENS: 1000, Unit.OUTPUT_TOKENS: 10}
# what is asked for, how the deployment stands → picodollars of a token in and out that are reserved
RESERVED = [
    ("", {}, 10_000_000, 60_000_000),
    ("auto", {}, 10_000_000, 60_000_000),
    ("default", {}, 5_000_000, 30_000_000),
    ("flex", {}, 5_000_000, 30_000_000),
    ("priority", {}, 10_000_000, 60_000_000),
    ("", {"service_tier": "default"}, 5_000_000, 30_000_000),
    ("", {"service_tier": "priority"}, 10_000_000, 60_000_000),
    ("priority", {"service_tier": "default"}, 10_000_000, 60_000_000),
    ("", {"lacks": (Lack(capability="priority", reason="a page"),)}, 5_000_000, 30_000_000),
    # It no longer lacks it, or does not yet.
    ("", {"lacks": (Lack(capability="priority", reason="a page", end_ns=NOON),)}, 10_000_000, 60_000_000),
    ("", {"lacks": (Lack(capability="priority", reason="a page", begin_ns=NOON + 1),)}, 10_000_000, 60_000_000),
]


@pytest.mark.parametrize(("asked", "changes", "own", "output"), RESERVED)
def test_what_is_reserved_for_a_tier(asked: str, changes: dict[str, Any], own: int, output: int) -> None:
    target = target_of(DEARER, **changes)
    assert reserved(target, "other", "chat", NOON, Needs(tier=asked), ONE) == 1000 * own + 10 * output


# who, tier told, when → picodollars of a token in and out
CHARGED = [
    ("other", "", NOON, 5_000_000, 30_000_000),
    ("other", "default", NOON, 5_000_000, 30_000_000),
    ("other", "priority", NOON, 10_000_000, 60_000_000),
    ("other", "flex", NOON, 2_000_000, 30_000_000),
    ("acme", "", NOON, 4_000_000, 30_000_000),
    ("other", "", NIGHT, 3_000_000, 30_000_000),
]


@pytest.mark.parametrize(("who", "expected", "at_ns", "own", "output"), CHARGED)
def test_what_is_charged(who: str, expected: str, at_ns: int, own: int, output: int) -> None:
    assert charged(target_of(DEARER), who, "chat", expected, at_ns, ONE) == 1000 * own + 10 * output


def test_what_differs_for_nobody_is_not_in_the_plan() -> None:
    same = [entry(5_000_000, WHOLES[0], 3, tier="priority"), entry(30_000_000, WHOLES[1], 4, buyer="acme")]
    spans = plan_prices(PLACE, table(*same), date(2026, 1, 1))
    units = {int(Unit.INPUT_TOKENS): 5_000_000, int(Unit.OUTPUT_TOKENS): 30_000_000}
    assert spans == (Prices(begin_ns=start_of_day_ns(date(2026, 1, 1)), end_ns=(1 << 63) - 1, units=units),)
    assert not target_of(table(*same)).has_varying_prices


def test_the_cheapest_is_another_one_by_night() -> None:
    nightly = [entry(1_000_000, IN, 3, hours=NIGHTS), entry(9_000_000, IN, 4)]
    named = {name: getattr(deployment("nightly"), name) for name in Target.__struct_fields__}
    targets = [
        deployment("steady", prices=(5_000_000, 5_000_000, 30_000_000)),
        Target(**named | {"prices": plan_prices(PLACE, table(*nightly), date(2026, 1, 1))}),
    ]
    bench = Bench(plan(targets, Policy(strategy="cheapest")))
    orders = [bench.order(at_ns=at_ns) for at_ns in (NOON, NIGHT, NIGHT + 12 * HOUR_NS, NIGHT - HOUR_NS - 1)]
    assert [order[0] for order in orders] == ["steady", "nightly", "steady", "steady"]
    assert bench.order(at_ns=NIGHT - HOUR_NS)[0] == "nightly", "at 22:00 sharp"
