"""The charge of a request and its reservation: equal to pricing's own charge, and never less than that."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.plan import Prices, Target
from clauseway.gateway.request.attempt import tokens_expected
from clauseway.gateway.routing.targets import WorstCase
from clauseway.gateway.routing.unit_rates import RateScale, TokenRates
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED, PlainRequest, decode_chat
from clauseway.gateway.wire.operations import BY_NAME, UnderstoodRequest
from clauseway.metering import Unit
from clauseway.metering.units import CONTAINED_IN, WHOLES
from clauseway.pricing import PriceTable, Sale, parse_book
from clauseway.values import KnownAt
from selection_rig import MODEL, PLAIN_BODY, Bench, deployment, plan

COLUMNS = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
SALE, DAY = Sale("p", "azure", "openai", "r"), date(2026, 5, 1)


def book(prices: dict[Unit, int]) -> PriceTable:
    """`prices` are in picodollars."""
    lines = [f"p,,,,{unit.column},2026-01-01,,2026-01-01,{price / 10**6:.6f},test" for unit, price in prices.items()]
    return PriceTable(parse_book(COLUMNS + "\n".join(lines), "book"), KnownAt.recorded_on(DAY, sequence=0))


PRICED = st.fixed_dictionaries(
    {whole: st.integers(0, 10**8) for whole in sorted(WHOLES)},
    optional={part: st.integers(0, 10**8) for part in CONTAINED_IN},
)


@st.composite
def reports(draw: st.DrawFn) -> dict[Unit, int]:
    """As clouds report: wholes, and parts that fit into them."""
    report: dict[Unit, int] = {}
    for whole in sorted(WHOLES):
        report[whole] = draw(st.integers(0, 10**6))
        left = report[whole]
        for part in sorted(part for part, its in CONTAINED_IN.items() if its is whole):
            if draw(st.booleans()):
                report[part] = draw(st.integers(0, left))
                left -= report[part]
    if Unit.CACHE_WRITE_TOKENS in report and draw(st.booleans()):
        report[Unit.CACHE_WRITE_1H_TOKENS] = draw(st.integers(0, report[Unit.CACHE_WRITE_TOKENS]))
    return report


@given(PRICED, reports())
def test_a_charge_is_what_pricing_charges_for_the_same_record(prices: dict[Unit, int], report: dict[Unit, int]) -> None:
    charged = book(prices).charge(SALE, DAY, report).picodollars
    assert TokenRates({int(unit): price for unit, price in prices.items()}).charge(tuple(report.items())) == charged


# Tokens written to the cache, and those of them for an hour: 1,000 in, of which 600 and 400. Prices → picodollars.
IN, WRITE, WRITE_1H = Unit.INPUT_TOKENS, Unit.CACHE_WRITE_TOKENS, Unit.CACHE_WRITE_1H_TOKENS
WRITTEN: list[tuple[dict[Unit, int], int]] = [
    ({IN: 5, WRITE: 6, WRITE_1H: 10}, 400 * 5 + 200 * 6 + 400 * 10),
    ({IN: 5, WRITE: 6}, 400 * 5 + 600 * 6),  # an hour costs what five minutes cost
    ({IN: 5, WRITE_1H: 10}, 600 * 5 + 400 * 10),  # what is written for five minutes is plain input
    ({IN: 5}, 1000 * 5),
]


@pytest.mark.parametrize(("prices", "picodollars"), WRITTEN)
def test_what_the_cache_keeps_for_an_hour_has_its_price(prices: dict[Unit, int], picodollars: int) -> None:
    report = {IN: 1000, WRITE: 600, WRITE_1H: 400}
    assert TokenRates({int(unit): price for unit, price in prices.items()}).charge(tuple(report.items())) == picodollars
    assert book({**prices, Unit.OUTPUT_TOKENS: 1}).charge(SALE, DAY, report).picodollars == picodollars


# Prices of 5.00, 0.50 and 30.00 USD a million: report → picodollars, as written-out arithmetic.
CHARGES: list[tuple[Units, int]] = [
    (((Unit.INPUT_TOKENS, 1000), (Unit.OUTPUT_TOKENS, 10)), 1000 * 5_000_000 + 10 * 30_000_000),
    (
        ((Unit.INPUT_TOKENS, 1000), (Unit.CACHED_INPUT_TOKENS, 400), (Unit.OUTPUT_TOKENS, 10)),
        600 * 5_000_000 + 400 * 500_000 + 10 * 30_000_000,
    ),
    # Reasoning has no price of its own: it is output.
    (((Unit.INPUT_TOKENS, 0), (Unit.OUTPUT_TOKENS, 10), (Unit.REASONING_TOKENS, 7)), 10 * 30_000_000),
    ((), 0),
    # An impossible report refills no budget: 100 at 5.00, less 200 at 4.50.
    (((Unit.INPUT_TOKENS, 100), (Unit.CACHED_INPUT_TOKENS, 200)), 0),
]


@pytest.mark.parametrize(("units", "picodollars"), CHARGES)
def test_cached_input_is_charged_as_such(units: Units, picodollars: int) -> None:
    assert Bench(plan([deployment("d")])).target("d").charge(units) == picodollars


def test_prices_are_those_in_force_at_the_events_time() -> None:
    def at(price: int, begin_ns: int, end_ns: int) -> Prices:
        return Prices(begin_ns=begin_ns, end_ns=end_ns, units={int(Unit.INPUT_TOKENS): price})

    bench = Bench(plan([_with(deployment("d"), prices=(at(7, 10, 20), at(9, 20, 30)))]))
    token = ((Unit.INPUT_TOKENS, 1),)
    charges = []
    for event_ns in (10, 19, 20, 30):
        bench.choice(event_ns)
        charges.append(bench.target("d").charge(token))
    # Where no price is in force, the plan's own stands in: 5.00 USD a million.
    assert charges == [7, 7, 9, 5_000_000]


# Prices of 1, of 2 above 100 input tokens, of 3 above 200: input tokens → the price of each, and the most up to there
STEPS = [(100, 1, 1), (101, 2, 2), (200, 2, 2), (201, 3, 3)]


@pytest.mark.parametrize(("tokens", "price", "most"), STEPS)
def test_a_step_begins_above_its_length(tokens: int, price: int, most: int) -> None:
    scale = RateScale([(above, {int(Unit.INPUT_TOKENS): picos}) for above, picos in ((0, 1), (100, 2), (200, 3))])
    assert scale.charge(((Unit.INPUT_TOKENS, tokens),)) == tokens * price
    assert scale.ceiling(tokens).input == most


# Units with a price → is what is heard sold by its length?
@pytest.mark.parametrize(
    ("units", "by_time"),
    [
        ((Unit.AUDIO_INPUT_MILLISECONDS, Unit.OUTPUT_TOKENS), True),
        ((Unit.AUDIO_INPUT_MILLISECONDS, Unit.INPUT_TOKENS), False),
        ((Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS), False),
    ],
)
def test_sound_is_sold_by_its_length_where_its_tokens_have_no_price(units: tuple[Unit, ...], by_time: bool) -> None:
    assert TokenRates({int(unit): 1 for unit in units}).by_time is by_time


def test_a_long_request_is_charged_and_reserved_at_the_price_of_long_ones() -> None:
    def above(tokens: int, own: int, output: int) -> Prices:
        units = {int(Unit.INPUT_TOKENS): own, int(Unit.OUTPUT_TOKENS): output}
        return Prices(begin_ns=0, end_ns=1 << 62, units=units, above=tokens)

    target = _with(deployment("d"), prices=(above(0, 5, 30), above(500, 8, 20), above(272, 10, 45)))
    call = Bench(plan([target])).target("d")
    charges = [call.charge(((Unit.INPUT_TOKENS, tokens), (Unit.OUTPUT_TOKENS, 1))) for tokens in (272, 273, 501)]
    assert charges == [272 * 5 + 30, 273 * 10 + 45, 501 * 8 + 20]
    # It may turn out shorter than its bytes: the dearest of what it may meet is reserved.
    assert [worst(target, body_bytes=size, max_tokens=1)[0] for size in (272, 273, 501)] == [
        272 * 5 + 30,
        273 * 10 + 45,
        501 * 10 + 45,
    ]


def _with(target: Target, **changes: Any) -> Target:
    return Target(**{name: getattr(target, name) for name in target.__struct_fields__} | changes)


def worst(target: Target, needs: Needs | None = None, body_bytes: int = 1000, **members: Any) -> tuple[int, int, int]:
    body = json.dumps({"model": "m", "messages": [], **members}).encode()
    asked = decode_chat(body, b"")
    call = Bench(plan([target])).target("d")
    reserved = call.worst_case(asked, body_bytes, needs or asked.needs(body), call.scale)
    return reserved.picodollars, reserved.tokens, reserved.output_tokens


TARGET = deployment("d", context_tokens_max=100_000, image_tokens_max=2_000, output_tokens_max=4_000)
# what is asked → tokens in, tokens out
WORST: list[tuple[Needs | None, dict[str, Any], int, int]] = [
    (None, {}, 1000, 4000),
    (None, {"max_completion_tokens": 50}, 1000, 50),
    (None, {"max_completion_tokens": 50, "n": 3}, 1000, 150),
    (Needs(bits=1, images=2), {"max_tokens": 1}, 1000 + 2 * 2000, 1),
    (Needs(bits=1, unbounded=True), {"max_tokens": 1}, 100_000, 1),
    (Needs(images=500), {"max_tokens": 1}, 100_000, 1),  # no more than the model holds
    (Needs(tokens_max=700), {"max_tokens": 1}, 700, 1),
    (Needs(tokens_max=700_000), {"max_tokens": 1}, 100_000, 1),
]


@pytest.mark.parametrize(("needs", "members", "tokens_in", "tokens_out"), WORST)
def test_the_worst_case(needs: Needs | None, members: dict[str, Any], tokens_in: int, tokens_out: int) -> None:
    picodollars = tokens_in * 5_000_000 + tokens_out * 30_000_000
    assert worst(TARGET, needs, **members) == (picodollars, tokens_in + tokens_out, tokens_out)


# operation, bytes of the body, what is reserved → tokens of the quota of a minute
EXPECTED = [
    ("chat", 4_000, WorstCase(0, 4_100, 100), 1_000),
    ("chat", 4_000_000, WorstCase(0, 128_100, 100), 128_000),  # a picture: all that the model holds
    ("moderations", 4_000, WorstCase(0, 0, 0), 0),
    ("files.create", 4_000_000, WorstCase(0, 0, 0), 0),
    ("batches.create", 4_000, WorstCase(9, 0, 100), 0),
]


@pytest.mark.parametrize(("operation", "body_bytes", "reserved", "tokens"), EXPECTED)
def test_no_more_tokens_of_a_quota_are_expected_than_input_is_reserved(
    operation: str, body_bytes: int, reserved: WorstCase, tokens: int
) -> None:
    asked, body = BY_NAME[operation], b" " * body_bytes
    request = UnderstoodRequest(asked, asked.call(b"", b"", b""), NOTHING_ASKED, body, b"", b"", MODEL)
    assert tokens_expected(request, reserved) == tokens


def test_a_body_longer_than_the_context_is_bounded_by_it() -> None:
    assert worst(TARGET, body_bytes=10**7, max_tokens=1)[1] == 100_000 + 1


def test_where_the_context_is_not_known_it_is_the_largest_known() -> None:
    assert worst(deployment("d"), Needs(unbounded=True), max_tokens=1)[1] == 1_050_000 + 1


def test_a_dearer_part_counts_where_it_may_be_used() -> None:
    units = {Unit.INPUT_TOKENS: 5, Unit.CACHE_WRITE_TOKENS: 6, Unit.AUDIO_INPUT_TOKENS: 40, Unit.OUTPUT_TOKENS: 20}
    target = _with(
        deployment("d"),
        prices=(Prices(begin_ns=0, end_ns=1 << 62, units={int(unit): price for unit, price in units.items()}),),
    )
    assert worst(target, max_tokens=1)[0] == 1000 * 6 + 1 * 20
    assert worst(target, Needs(audio=True), max_tokens=1)[0] == 1000 * 40 + 1 * 20
    kept_longer = _with(
        target,
        prices=(
            Prices(begin_ns=0, end_ns=1 << 62, units={int(unit): price for unit, price in units.items()} | {14: 10}),
        ),
    )
    assert worst(kept_longer, max_tokens=1)[0] == 1000 * 10 + 1 * 20


def test_sound_by_the_millisecond_is_bounded_by_its_bytes() -> None:
    units = {int(Unit.AUDIO_INPUT_MILLISECONDS): 100_000}
    whisper = _with(deployment("d"), kind="transcription", prices=(Prices(begin_ns=0, end_ns=1 << 62, units=units),))
    call = Bench(plan([whisper])).target("d")
    reserved = call.worst_case(RequestProperties(PlainRequest(model="whisper-1")), 4000, PLAIN, call.scale)
    assert reserved.picodollars == 4000 * 4 * 100_000, "two kilobits a second: four milliseconds a byte"


def test_as_many_searches_as_a_request_allows_are_reserved() -> None:
    prices = {int(Unit.INPUT_TOKENS): 5, int(Unit.OUTPUT_TOKENS): 20, int(Unit.WEB_SEARCHES): 10_000}
    target = _with(deployment("d"), prices=(Prices(begin_ns=0, end_ns=1 << 62, units=prices),))
    without = worst(target, Needs(bits=1), max_tokens=1)[0]
    assert worst(target, Needs(bits=1, searches=3), max_tokens=1)[0] == without + 3 * 10_000


def test_each_frame_of_a_picture_is_reserved_as_a_picture() -> None:
    prices = {int(Unit.INPUT_TOKENS): 5, int(Unit.OUTPUT_TOKENS): 20}
    target = _with(deployment("d"), kind="image", prices=(Prices(begin_ns=0, end_ns=1 << 62, units=prices),))
    first, nine = (worst(target, Needs(frames=frames), max_tokens=1)[0] for frames in (1, 9))
    assert nine - first == 8 * 20


def test_as_many_pictures_as_a_request_allows_are_reserved() -> None:
    """One of 3,840 × 2,160 at the highest quality takes some 13,400 tokens."""
    prices = {int(Unit.INPUT_TOKENS): 5, int(Unit.OUTPUT_TOKENS): 20}
    prices |= {int(Unit.IMAGE_TOOL_INPUT_TOKENS): 5_000, int(Unit.IMAGE_TOOL_IMAGE_INPUT_TOKENS): 8_000}
    prices |= {int(Unit.IMAGE_TOOL_OUTPUT_TOKENS): 30_000}
    target = _with(deployment("d"), prices=(Prices(begin_ns=0, end_ns=1 << 62, units=prices),))
    without = worst(target, Needs(bits=1), max_tokens=1)[0]
    assert worst(target, Needs(bits=1, drawings=3), max_tokens=1)[0] == without + 3 * (16_384 * 8_000 + 16_384 * 30_000)


@given(PRICED, reports(), st.integers(1, 4))
def test_no_charge_is_larger_than_its_worst_case(
    prices: dict[Unit, int], report: dict[Unit, int], choices: int
) -> None:
    """For any report of no more tokens than the body has bytes, and no more output, searches or pictures than asked."""
    del report[Unit.AUDIO_INPUT_MILLISECONDS]
    body_bytes, output = report[Unit.INPUT_TOKENS], report[Unit.OUTPUT_TOKENS]
    units = {int(unit): price for unit, price in prices.items() if unit is not Unit.AUDIO_INPUT_MILLISECONDS}
    target = _with(deployment("d"), prices=(Prices(begin_ns=0, end_ns=1 << 62, units=units),))
    call = Bench(plan([target])).target("d")
    each = -(-output // choices) or 1
    asked = decode_chat(PLAIN_BODY[:-1] + b',"max_tokens":%d,"n":%d}' % (each, choices), b"")
    drawn = max(report[Unit.IMAGE_TOOL_INPUT_TOKENS], report[Unit.IMAGE_TOOL_OUTPUT_TOKENS])
    needs = Needs(audio=True, searches=report[Unit.WEB_SEARCHES], drawings=-(-drawn // 16_384))
    reserved = call.worst_case(asked, body_bytes, needs, call.scale)
    assert call.charge(tuple(report.items())) <= reserved.picodollars
