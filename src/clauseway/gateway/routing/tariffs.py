"""Tariffs: the prices of a deployment's units, by buyer, time, endpoint and service tier.

The plan lists the prices of every case in which they differ (`plan.Prices`): a case is a buyer, an
endpoint and a service tier. Here the prices of one stretch of time are compiled, case by case, to a
`RateScale`, when they are first needed. A charge takes the scale of the case in which the request
was served; a reservation takes the highest of all cases that are still possible. The cloud tells
the service tier only with its answer; where it does not, the request counts as served in the
default tier, in settlement too.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product as every

from clauseway.catalog import CAPABILITY_OF_TIER
from clauseway.gateway.plan import Prices, Target
from clauseway.gateway.routing.unit_rates import RateScale, envelope, highest
from clauseway.metering import Unit
from clauseway.metering.endpoints import BATCH, DEFAULT_TIER, ENDPOINTS
from clauseway.values import EPOCH_HOUR, HOUR_NS, HOURS_OF_WEEK

# Before and after everything dated.
_ALWAYS_NS = -(1 << 63)
_NEVER_NS = 1 << 63
# An end at or after this instant means no end.
_ENDLESS_NS = 1 << 62
# Stretches that are kept compiled: the present one, and those of requests under way and just behind
# it.
_KEPT_MAX = 8

# The tier that was asked for → the tiers in which the cloud may serve it. `fast` and `priority` are
# two words for one thing; who asks for either, or for what is faster still, may be served in a
# slower tier when there is no room.
_SERVED: Mapping[str, tuple[str, ...]] = {
    DEFAULT_TIER: (DEFAULT_TIER,),
    "flex": (DEFAULT_TIER, "flex"),
    "priority": (DEFAULT_TIER, "priority", "fast"),
    "fast": (DEFAULT_TIER, "priority", "fast"),
    "ultrafast": (DEFAULT_TIER, "priority", "fast", "ultrafast"),
    BATCH: (BATCH,),
}
_BATCHES = frozenset(name for name in ENDPOINTS if name.startswith("batches."))

# Buyer, endpoint and tier, each empty for any other than those that have prices of their own.
TariffCase = tuple[str, str, str]
_PLAIN: TariffCase = ("", "", "")


def cases_of(buyer: str, endpoint: str, tier: str) -> Iterator[TariffCase]:
    """The cases under which a price may be looked up, the most special first: the first that the
    plan has, counts."""
    return every(_or_any(buyer), _or_any(endpoint), _or_any(tier))


def _or_any(name: str) -> tuple[str, ...]:
    return (name, "") if name else ("",)


class Tariff:
    """The prices of a stretch of time, from `begin_ns` until before `end_ns`. `plain` is the scale of
    most requests: of no special buyer or endpoint, in the default tier. The scales of other cases
    are compiled when they are first needed."""

    def __init__(self, tariffs: "Tariffs", begin_ns: int, end_ns: int) -> None:
        self.begin_ns, self.end_ns = begin_ns, end_ns
        self._tariffs = tariffs
        self.plain = _scale(list(in_force(tariffs.by_case.get(_PLAIN, ()), begin_ns)), tariffs.own)
        target = tariffs.target
        lacking = {
            lack.capability for lack in target.lacks if lack.begin_ns <= begin_ns < lack.end_ns
        }
        # A request without a tier, or with `auto`, is served as the account is set up, in any tier
        # that it has.
        able = tuple(
            tier for tier, capability in CAPABILITY_OF_TIER.items() if capability not in lacking
        )
        self._usual = _SERVED.get(target.service_tier, (DEFAULT_TIER, *able))
        self._scales: dict[TariffCase, RateScale] = {}
        self._sums: dict[TariffCase, RateScale] = {}
        self._dearest: dict[tuple[str, str, str, bool], RateScale] = {}

    def of(self, buyer: str, endpoint: str, tier: str) -> RateScale:
        """Return the scale of a request that was served in `tier`, which is empty if its cloud did
        not report one."""
        tariffs = self._tariffs
        tier = tier or (BATCH if endpoint in _BATCHES else DEFAULT_TIER)
        case = (
            buyer if buyer in tariffs.buyers else "",
            endpoint if endpoint in tariffs.endpoints else "",
            "" if tier == DEFAULT_TIER else tier,
        )
        # A batch's report sums many requests: no length tells which step of the price holds.
        if endpoint in _BATCHES:
            return self._of_any_length(case)
        if case == _PLAIN:
            return self.plain
        scale = self._scales.get(case)
        if scale is None:
            scale = self._scales[case] = self._compiled(case)
        return scale

    def _of_any_length(self, case: TariffCase) -> RateScale:
        """Return the scale of a batch, which has no steps: the batch's report sums many requests,
        whose lengths are not known."""
        scale = self._sums.get(case)
        if scale is None:
            scale = self.plain if case == _PLAIN else self._compiled(case)
            scale = self._sums[case] = RateScale(scale.steps[:1])
        return scale

    def _compiled(self, case: TariffCase) -> RateScale:
        """Return the scale of the most special case that has prices in this stretch."""
        for wider in cases_of(*case):
            if wider in self._tariffs.by_case and wider != _PLAIN:
                prices = list(in_force(self._tariffs.by_case[wider], self.begin_ns))
                if prices:
                    return _scale(prices, self.plain.steps[0][1])
        return self.plain

    def dearest(self, buyer: str, endpoint: str, requested_tier: str, later: bool) -> RateScale:
        """Return the highest scale of a request that asks for a tier. `later`: its end will be
        reported at another time, and through another endpoint."""
        tariffs = self._tariffs
        later = later or endpoint in _BATCHES
        requested_tier = (
            BATCH
            if endpoint in _BATCHES
            else requested_tier
            if requested_tier in _SERVED and requested_tier != BATCH
            else ""
        )
        key = (
            buyer if buyer in tariffs.buyers else "",
            endpoint if endpoint in tariffs.endpoints else "",
            requested_tier,
            later,
        )
        scale = self._dearest.get(key)
        if scale is None:
            tiers = _SERVED[requested_tier] if requested_tier else self._usual
            scale = (
                self._ever(key[0], tiers)
                if later
                else envelope([self.of(key[0], key[1], tier) for tier in tiers])
            )
            self._dearest[key] = scale
        return scale

    def _ever(self, buyer: str, tiers: Sequence[str]) -> RateScale:
        """Return the highest scale from this stretch on, through whatever endpoint."""
        by_case, its_tiers = self._tariffs.by_case, {"", *tiers}
        # Where each of the tiers has prices for everybody, none of them falls back on what is
        # plain.
        is_plain = not all(("", "", tier) in by_case for tier in tiers)
        all_prices = [
            prices
            for case, its in by_case.items()
            if case[0] in ("", buyer) and case[2] in its_tiers and (case != _PLAIN or is_plain)
            for prices in its
            if prices.end_ns > self.begin_ns
        ]
        own = (
            self._tariffs.own
            if is_plain and not _endless(by_case.get(_PLAIN, ()), self.begin_ns)
            else {}
        )
        lengths = sorted({0, *(prices.above for prices in all_prices)})
        return RateScale(
            [
                (
                    length,
                    highest(
                        own, *(prices.units for prices in all_prices if prices.above <= length)
                    ),
                )
                for length in lengths
            ]
        )


def in_force(prices: Iterable[Prices], event_ns: int) -> Iterator[Prices]:
    """Yield the prices that hold at an instant."""
    hour = (event_ns // HOUR_NS + EPOCH_HOUR) % HOURS_OF_WEEK
    for price in prices:
        if price.begin_ns <= event_ns < price.end_ns and (not price.hours or hour in price.hours):
            yield price


def _endless(prices: Sequence[Prices], begin_ns: int) -> bool:
    """Return whether there is a price at any time from an instant on."""
    until_ns = begin_ns
    for price in sorted(prices, key=lambda price: price.begin_ns):
        if price.begin_ns <= until_ns:
            until_ns = max(until_ns, price.end_ns)
    return until_ns >= _ENDLESS_NS


def _scale(prices: Sequence[Prices], otherwise: Mapping[int, int]) -> RateScale:
    """Return the scale of one case. Where the case has no prices of short requests, `otherwise` are
    their prices."""
    steps = {0: otherwise, **{price.above: price.units for price in prices}}
    return RateScale(sorted(steps.items(), key=lambda step: step[0]))


class Tariffs:
    """A deployment's prices at all times. `has_varying_prices`: the price depends on buyer, tier,
    endpoint, length or time. `tiered`: it depends on the tier in which a request was served;
    `hourly`: on the hour of the week."""

    def __init__(self, target: Target) -> None:
        prices = target.prices
        self.target = target
        self.own = {
            int(Unit.INPUT_TOKENS): target.input_price,
            int(Unit.OUTPUT_TOKENS): target.output_price,
        }
        self.by_case: dict[TariffCase, list[Prices]] = {}
        for price in prices:
            self.by_case.setdefault((price.buyer, price.endpoint, price.tier), []).append(price)
        self.buyers = frozenset(price.buyer for price in prices)
        self.endpoints = frozenset(price.endpoint for price in prices)
        self.has_varying_prices = len(prices) > 1 or any(
            price.above
            or price.hours
            or price.buyer
            or price.endpoint
            or price.tier
            or price.end_ns < _ENDLESS_NS
            for price in prices
        )
        self.tiered = any(price.tier not in ("", BATCH) for price in prices)
        self.hourly = any(price.hours for price in prices)
        # Nothing changes between two of these instants: one compiled tariff serves them all.
        bounds = {bound for price in prices for bound in (price.begin_ns, price.end_ns)}
        bounds |= {bound for lack in target.lacks for bound in (lack.begin_ns, lack.end_ns)}
        self._cuts = sorted(bounds)
        self._kept: dict[int, Tariff] = {}

    def at(self, event_ns: int) -> Tariff:
        """The tariff of an instant."""
        place = bisect_right(self._cuts, event_ns)
        begin_ns = self._cuts[place - 1] if place else _ALWAYS_NS
        end_ns = self._cuts[place] if place < len(self._cuts) else _NEVER_NS
        if self.hourly:
            begin_ns, end_ns = hour_within(event_ns, begin_ns, end_ns)
        tariff = self._kept.get(begin_ns)
        if tariff is None:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            tariff = self._kept[begin_ns] = Tariff(self, begin_ns, end_ns)
        return tariff


def hour_within(event_ns: int, begin_ns: int, end_ns: int) -> tuple[int, int]:
    """The part of a stretch that lies in the same hour as an instant."""
    hour_ns = event_ns // HOUR_NS * HOUR_NS
    return max(begin_ns, hour_ns), min(end_ns, hour_ns + HOUR_NS)
