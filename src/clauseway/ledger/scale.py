"""The scale of a share: one rate, or a rate for each band of the cumulative base.

    gross share of a base = Σ rate of a band × the part of the base that lies in it

The lowest band has no lower bound, so a base below zero (credits) is shared at the first rate.
"""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from clauseway.values import exact_product, exact_sum


class Band(msgspec.Struct, frozen=True):
    """The base above `above` USD of cumulative base is shared at `rate`, up to the next band."""

    above: Decimal
    rate: Decimal


class Scale:
    """Bands in order. `rate` holds for the base below the first band."""

    def __init__(self, rate: Decimal, bands: Sequence[Band] = ()) -> None:
        self.bands = tuple(sorted(bands, key=lambda band: band.above))
        self._bounds = [band.above for band in self.bands]
        self._rates = [rate, *(band.rate for band in self.bands)]
        # The gross share at each bound, so that the share of any base is one step from a bound.
        self._at = [Decimal(0)]
        lower = Decimal(0)
        for bound, of_band in zip(self._bounds, self._rates, strict=False):
            self._at.append(
                exact_sum((self._at[-1], exact_product(of_band, exact_sum((bound, -lower)))))
            )
            lower = bound

    def gross(self, base: Decimal) -> Decimal:
        """Return the share of a cumulative base, unrounded and before any cap."""
        band = self._band(base)
        lower = self._bounds[band - 1] if band else Decimal(0)
        return exact_sum(
            (
                self._at[band],
                exact_product(self._rates[band], exact_sum((base, lower.copy_negate()))),
            )
        )

    def rate_between(self, low: Decimal, high: Decimal) -> Decimal | None:
        """Return the one rate at which everything between two bases is shared; None if a band
        begins in between."""
        band = self._band(low)
        within = band == len(self._bounds) or high <= self._bounds[band]
        return self._rates[band] if within else None

    def _band(self, base: Decimal) -> int:
        return bisect_right(self._bounds, base)
