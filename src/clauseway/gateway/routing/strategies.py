"""In which order the permitted deployments are asked. Pure: a strategy is a function from what is
known to a rank.

    primary-first   as the plan lists them: the primary cloud's first, then as the operator wrote them
    commitment      first whose commitment lapses soonest, with money left in it
    cheapest        by the request's own unit prices
    fastest         by the time until the first content, as measured here; the unmeasured are tried
    pinned          one deployment and no other (a constraint, see `routing_tables`)

Provisioned throughput, which is paid for whether it is used or not, comes first under every
strategy. Ties are broken by the plan's order, so an order is always total. Costs and times are
small look-ups made here, at most once a second for what moves and never per request.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from clauseway.gateway.clouds.reported_units import BYTES_PER_TOKEN

NEVER_NS: Final = (1 << 63) - 1
# The length of an answer, in tokens, where a request does not say: for comparing prices only.
_ORDINARY_OUTPUT: Final = 512
_LENGTH_MAX: Final = 12


class CandidateStanding(NamedTuple):
    """The properties of a candidate that strategies compare. Prices in picodollars per token;
    `lapses_ns` is the end of the commitment that it burns down, NEVER_NS where there is none with
    money left; `expected_us` by (whole, streamed)."""

    provisioned: bool = False
    input_price: int = 0
    cached_price: int = 0
    output_price: int = 0
    lapses_ns: int = NEVER_NS
    expected_us: tuple[float, float] = (0.0, 0.0)


# (standing, length, streamed) → rank; lower is better. `length` as in `length_of`.
Rank = Callable[[CandidateStanding, int, bool], tuple[float, ...]]


def length_of(body_bytes: int, output_tokens: int) -> int:
    """Return how much longer a request is than its answer may be, in powers of two: prices are
    compared by that."""
    input_tokens = body_bytes // BYTES_PER_TOKEN
    length = input_tokens.bit_length() - (output_tokens or _ORDINARY_OUTPUT).bit_length()
    return max(-_LENGTH_MAX, min(_LENGTH_MAX, length))


def cost(standing: CandidateStanding, length: int, *, cached: bool = False) -> int:
    """Return the cost of a request of that length, in arbitrary units that compare."""
    tokens_in, tokens_out = (1 << length, 1) if length > 0 else (1, 1 << -length)
    return (
        standing.cached_price if cached else standing.input_price
    ) * tokens_in + standing.output_price * tokens_out


def _as_listed(_standing: CandidateStanding, _length: int, _streamed: bool) -> tuple[float, ...]:
    return ()


def _by_commitment(standing: CandidateStanding, _length: int, _streamed: bool) -> tuple[float, ...]:
    return (standing.lapses_ns,)


def _by_cost(standing: CandidateStanding, length: int, _streamed: bool) -> tuple[float, ...]:
    return (cost(standing, length),)


def _by_pace(standing: CandidateStanding, _length: int, streamed: bool) -> tuple[float, ...]:
    return (standing.expected_us[streamed],)


STRATEGIES: Final[Mapping[str, Rank]] = {
    "primary-first": _as_listed,
    "commitment": _by_commitment,
    "cheapest": _by_cost,
    "fastest": _by_pace,
    "pinned": _as_listed,
}
# Those whose order changes while requests go through.
MOVING: Final = frozenset({"commitment", "fastest"})


def order(
    strategy: str, standings: Sequence[CandidateStanding], length: int = 0, streamed: bool = False
) -> list[int]:
    """The indices of the candidates, best first."""
    rank = STRATEGIES[strategy]
    return sorted(
        range(len(standings)),
        key=lambda at: (not standings[at].provisioned, *rank(standings[at], length, streamed), at),
    )
