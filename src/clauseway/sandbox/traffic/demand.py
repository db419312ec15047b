"""Demand of real tenants, window by window, turned into single requests of another time.

Pure and deterministic.

A window says how many requests a tenant sent in ten minutes and how their tokens were distributed.
At a scale of 1/1000 one request in a thousand is made, counted over all of a tenant's windows, so
that none is rounded away. The fourteen days of the original repeat until the days asked for are
full. Who buys what, where and from whom is a table by the tenant's number:

| tenant mod 6 | seller | cloud | product |
|---|---|---|---|
| 0, 3 | openai | aws | gpt-5.4, gpt-5.5 |
| 1, 4 | microsoft | azure | gpt-5.5, gpt-5.4 |
| 2 | openai | azure | gpt-5.4 |
| 5 | openai | openai-own | gpt-5.5 |

The caller replaces a cloud that an agreement forbids on a day, and a product that is not sold there
yet.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from random import Random

import msgspec

from clauseway.values import DAY_NS

CYCLE_DAYS = 14
WINDOW_NS = 600 * 1_000_000_000
_SECOND_NS = 1_000_000_000
# Shares of the requests with at most a quantile's tokens. Both ends are our choice: half of the
# 10th percentile, and a fifth above the 99th.
_SHARES = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)
_BELOW, _ABOVE = 0.5, 1.2
_MIX = (
    ("openai", "aws", "gpt-5.4"),
    ("microsoft", "azure", "gpt-5.5"),
    ("openai", "azure", "gpt-5.4"),
    ("openai", "aws", "gpt-5.5"),
    ("microsoft", "azure", "gpt-5.4"),
    ("openai", "openai-own", "gpt-5.5"),
)


class DemandWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of a tenant in ten minutes. Tokens are percentiles over the requests."""

    client: int
    window_start_s: int
    requests: int
    arrival_cv: float
    input_p10: int
    input_p50: int
    input_p90: int
    input_p99: int
    output_p10: int
    output_p50: int
    output_p90: int
    output_p99: int


class Buying(msgspec.Struct, frozen=True):
    """A tenant, and the product, seller and cloud that it would choose."""

    organisation: str
    seller: str
    cloud: str
    product: str


class Demanded(msgspec.Struct, frozen=True, gc=False):
    """A request: who, when (nanoseconds since 1970), and its tokens."""

    client: int
    event_ns: int
    input_tokens: int
    output_tokens: int


def buying(client: int) -> Buying:
    """Return a tenant's purchases, by the table above."""
    return Buying(f"tenant-{client:02}", *_MIX[client % len(_MIX)])


def demand(
    windows: Sequence[DemandWindow], begin_ns: int, days: int, scale: Fraction, seed: int
) -> Iterator[Demanded]:
    """Yield the requests of `days` days from `begin_ns` on, window by window.

    The same arguments give the same requests. A tenant with N original requests gets ⌊N · scale⌋.
    """
    in_order = sorted(windows, key=lambda window: (window.window_start_s, window.client))
    left: dict[int, Fraction] = {}
    for cycle in range(-(-days // CYCLE_DAYS)):
        begins_ns = begin_ns + cycle * CYCLE_DAYS * DAY_NS
        for window in in_order:
            at_ns = begins_ns + window.window_start_s * _SECOND_NS
            if at_ns >= begin_ns + days * DAY_NS:
                break
            wanted = left.get(window.client, Fraction(0)) + window.requests * scale
            count = int(wanted)
            left[window.client] = wanted - count
            if count:
                chance = Random(f"{seed}/{window.client}/{window.window_start_s}/{cycle}")
                yield from _requests(window, at_ns, count, chance)


def _requests(window: DemandWindow, at_ns: int, count: int, chance: Random) -> Iterable[Demanded]:
    # The burstier the arrivals, the closer they come to the window's begin.
    bursts = max(1.0, window.arrival_cv)
    times = sorted(at_ns + int(chance.random() ** bursts * WINDOW_NS) for _ in range(count))
    inputs = _quantiles(window.input_p10, window.input_p50, window.input_p90, window.input_p99)
    outputs = _quantiles(window.output_p10, window.output_p50, window.output_p90, window.output_p99)
    return [
        Demanded(
            window.client,
            event_ns,
            _drawn(inputs, chance.random()),
            _drawn(outputs, chance.random()),
        )
        for event_ns in times
    ]


def _quantiles(p10: int, p50: int, p90: int, p99: int) -> tuple[float, ...]:
    return (p10 * _BELOW, p10, p50, p90, p99, p99 * _ABOVE)


def _drawn(quantiles: Sequence[float], share: float) -> int:
    """Return the tokens at a share of the distribution, at least 1, by linear interpolation between
    the quantiles."""
    place = next(n for n in range(1, len(_SHARES)) if share < _SHARES[n])
    low, high = _SHARES[place - 1], _SHARES[place]
    tokens = quantiles[place - 1] + (quantiles[place] - quantiles[place - 1]) * (share - low) / (
        high - low
    )
    return max(1, round(tokens))
