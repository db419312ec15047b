"""Rates: the prices of units compiled so that a charge is one sum over the reported units. A scale
has the rates for each length of a request.

The rule is metering's: a part that has a price of its own is taken out of its whole; a part without
a price stays inside. So a part counts with the difference to its whole, and a unit that is left out
of the sum is left out of `metering.billable` too.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from clauseway.gateway.clouds.reported_units import Units
from clauseway.metering import Unit
from clauseway.metering.units import CONTAINED_IN, WHOLES_OF, charged_in

_CODES: Final = max(Unit) + 1
_INPUT: Final = Unit.INPUT_TOKENS
_INPUT_PARTS: Final = (
    Unit.CACHED_INPUT_TOKENS,
    Unit.CACHE_WRITE_TOKENS,
    Unit.CACHE_WRITE_1H_TOKENS,
)
_OUTPUT_PARTS: Final = (
    Unit.REASONING_TOKENS,
    Unit.ACCEPTED_PREDICTION_TOKENS,
    Unit.REJECTED_PREDICTION_TOKENS,
)
# The most that a picture takes whatever its size and quality (3,840 × 2,160 at the highest takes some
# 13,400 tokens), and the most that it is drawn from: a prompt and a few other pictures.
_DRAWING_OUTPUT_MAX: Final = 16_384
_DRAWING_INPUT_MAX: Final = 16_384
ANY_SIZE: Final = 1 << 61  # compiled code compares it without a call, as all below 1 << 62

# The lengths above which prices change, ascending, the first of them 0: (length, unit →
# picodollars).
Steps = Sequence[tuple[int, Mapping[int, int]]]


class TokenRates:
    """Prices in picodollars per unit. `input_max` and `output_max` are the most that a token of
    plain text may cost, `any_input_max` and `any_output_max` of whatever kind; `drawing` is the most
    that a picture by the cloud's own tool may cost."""

    def __init__(self, prices: Mapping[int, int]) -> None:
        self._prices = [prices.get(code, 0) for code in range(_CODES)]
        self._differences = list(self._prices)
        for part in CONTAINED_IN:
            if part in prices:
                self._differences[part] -= self._prices[charged_in(part, prices)]
        self.input, self.output = self._prices[Unit.INPUT_TOKENS], self._prices[Unit.OUTPUT_TOKENS]
        self.input_max = max(
            self._prices[Unit.INPUT_TOKENS], *(prices.get(part, 0) for part in _INPUT_PARTS)
        )
        self.output_max = max(
            self._prices[Unit.OUTPUT_TOKENS], *(prices.get(part, 0) for part in _OUTPUT_PARTS)
        )
        self.any_input_max = self._most(Unit.INPUT_TOKENS)
        self.any_output_max = self._most(Unit.OUTPUT_TOKENS)
        self.cached_input = prices.get(Unit.CACHED_INPUT_TOKENS, self._prices[Unit.INPUT_TOKENS])
        self.milliseconds = self._prices[Unit.AUDIO_INPUT_MILLISECONDS]
        self.searches = self._prices[Unit.WEB_SEARCHES]
        self.drawing = _DRAWING_INPUT_MAX * self._most(
            Unit.IMAGE_TOOL_INPUT_TOKENS
        ) + _DRAWING_OUTPUT_MAX * self._most(Unit.IMAGE_TOOL_OUTPUT_TOKENS)
        # Sold by the length of what is heard: its tokens have no price.
        self.by_time = Unit.AUDIO_INPUT_MILLISECONDS in prices and Unit.INPUT_TOKENS not in prices

    def _most(self, whole: Unit) -> int:
        parts = (self._prices[part] for part, wholes in WHOLES_OF.items() if whole in wholes)
        return max(self._prices[whole], *parts)

    def charge(self, units: Units) -> int:
        """Return the charge of a report, in picodollars; each token counts once.

        INVARIANT: never below zero, which would refill a budget. Of a report whose parts are larger
        than their whole the differences may sum to less.
        """
        differences = self._differences
        total = 0
        for unit, count in units:
            total += differences[unit] * count
        return total if total > 0 else 0


class RateScale:
    """The rates of a deployment by the length of a request: above each step of context, a request
    pays other rates for all its tokens. `rates` hold for requests of up to `long` input tokens.

    A charge knows the length of its request and takes the rates of that length. A reservation knows
    only the greatest length, and takes the highest rates up to it.
    """

    __slots__ = ("_ceilings", "_longer", "long", "rates", "steps")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        units = steps[0][1]
        self.rates = TokenRates(units)
        # Longest first: prices of long requests, and the highest that a request of up to that
        # length may meet.
        self._longer: list[tuple[int, TokenRates]] = []
        self._ceilings: list[tuple[int, TokenRates]] = []
        for above, prices in steps[1:]:
            units = highest(units, prices)
            self._longer.insert(0, (above, TokenRates(prices)))
            self._ceilings.insert(0, (above, TokenRates(units)))
        self.long = steps[1][0] if len(steps) > 1 else ANY_SIZE

    def charge(self, units: Units) -> int:
        """Return the charge of a report, in picodollars, at the rates of its request's length."""
        if units and units[0][1] > self.long:
            return _above(self._longer, dict(units).get(_INPUT, 0), self.rates).charge(units)
        return self.rates.charge(units)

    def ceiling(self, input_tokens: int) -> TokenRates:
        """Return the highest rates of any request of up to `input_tokens`."""
        return _above(self._ceilings, input_tokens, self.rates)


def _above(
    longer: Sequence[tuple[int, TokenRates]], input_tokens: int, rates: TokenRates
) -> TokenRates:
    """Return the rates of a request of `input_tokens`."""
    return next((longer_rates for above, longer_rates in longer if input_tokens > above), rates)


def highest(*prices: Mapping[int, int]) -> Mapping[int, int]:
    """Return the highest price of each unit. Where a part has no price of its own, it is priced as
    its whole, so the highest of a whole and its parts is never too low."""
    units = {unit for priced in prices for unit in priced}
    return {unit: max(priced.get(unit, 0) for priced in prices) for unit in units}


def envelope(scales: Sequence[RateScale]) -> RateScale:
    """Return the lowest scale that is at no length below any of `scales`."""
    lengths = sorted({above for scale in scales for above, _ in scale.steps})
    return RateScale(
        [(length, highest(*(_at(scale.steps, length) for scale in scales))) for length in lengths]
    )


def _at(steps: Steps, length: int) -> Mapping[int, int]:
    """Return the prices just above a length."""
    return next(prices for above, prices in reversed(steps) if above <= length)
