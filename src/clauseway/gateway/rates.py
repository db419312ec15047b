"""What usage is worth: the prices of units compiled so that a charge is one sum over what was reported.

The rule is metering's: a part with a price of its own is taken out of its whole, one without stays inside it. So a part
counts with the difference to its whole, and what is left out of the sum is left out of `metering.billable` too.
"""

from collections.abc import Mapping

from clauseway.gateway.clouds.usage import Units
from clauseway.metering import Unit
from clauseway.metering.units import CONTAINED_IN

_CODES = max(Unit) + 1
_INPUT_PARTS = (Unit.CACHED_INPUT_TOKENS, Unit.CACHE_WRITE_TOKENS)


class Rates:
    """Prices in picodollars per unit. `input_max` and `output_max` are the most that a token of plain text may cost,
    `any_input_max` and `any_output_max` of whatever kind."""

    __slots__ = (
        "_differences", "_prices", "any_input_max", "any_output_max", "cached_input", "input", "input_max",
        "milliseconds", "output", "output_max",
    )  # fmt: skip

    def __init__(self, prices: Mapping[int, int]) -> None:
        self._prices = [prices.get(code, 0) for code in range(_CODES)]
        self._differences = list(self._prices)
        for part, whole in CONTAINED_IN.items():
            if part in prices:
                self._differences[part] -= self._prices[whole]
        self.input, self.output = self._prices[Unit.INPUT_TOKENS], self._prices[Unit.OUTPUT_TOKENS]
        self.input_max = max(self._prices[Unit.INPUT_TOKENS], *(prices.get(part, 0) for part in _INPUT_PARTS))
        self.output_max = max(self._prices[Unit.OUTPUT_TOKENS], prices.get(Unit.REASONING_TOKENS, 0))
        self.any_input_max = self._most(Unit.INPUT_TOKENS)
        self.any_output_max = self._most(Unit.OUTPUT_TOKENS)
        self.cached_input = prices.get(Unit.CACHED_INPUT_TOKENS, self._prices[Unit.INPUT_TOKENS])
        self.milliseconds = self._prices[Unit.AUDIO_INPUT_MILLISECONDS]

    def _most(self, whole: Unit) -> int:
        parts = (self._prices[part] for part, its in CONTAINED_IN.items() if its is whole)
        return max(self._prices[whole], *parts)

    def charge(self, units: Units) -> int:
        """The worth of a report, each token once, in picodollars."""
        differences = self._differences
        total = 0
        for unit, count in units:
            total += differences[unit] * count
        return total
