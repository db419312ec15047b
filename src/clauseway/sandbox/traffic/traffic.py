"""Planned requests of the simulated week, made from a trace. Pure and deterministic.

The trace's hour is stretched linearly over the business week [2026-04-26, 2026-05-03) UTC: early
rows fall before the amendment of 27 April, the others after. The mix is a table by the row's index
`i`, so it is exact and the same always:

| i mod 10 | buyer (its key's seller) | cloud asked for |
|---|---|---|
| 0 to 3 | `openai-customer` (openai) | any |
| 4 to 6 | `microsoft-customer` (microsoft) | any |
| 7 to 9 | `openai-customer` (openai) | `aws` |

| model | when |
|---|---|
| `gpt-5.5` | i div 10 is even |
| `gpt-5.4` | i div 10 is odd |

Streamed when i mod 3 is 0.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from clauseway.sandbox.traffic.traffic_trace import TraceRequest
from clauseway.values import start_of_day_ns

OPENAI_CUSTOMER: Final = "openai-customer"
MICROSOFT_CUSTOMER: Final = "microsoft-customer"
# The seller that each buyer's key buys from.
SELLERS: Final = {OPENAI_CUSTOMER: "openai", MICROSOFT_CUSTOMER: "microsoft"}

BEGIN_NS: Final = start_of_day_ns(date(2026, 4, 26))
END_NS: Final = start_of_day_ns(date(2026, 5, 3))

_MIX = (
    *((OPENAI_CUSTOMER, ""),) * 4,
    *((MICROSOFT_CUSTOMER, ""),) * 3,
    *((OPENAI_CUSTOMER, "aws"),) * 3,
)
_MODELS = ("gpt-5.5", "gpt-5.4")
_PROMPT = (
    "which cloud may serve this request under the agreement as amended and who is owed what "
    "share of it "
)
_PROMPT_WORDS = len(_PROMPT.split())


class PlannedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be sent.

    `cloud` is the one asked for, empty for any; `event_ns` is business time.
    """

    index: int
    event_ns: int
    buyer: str
    model: str
    cloud: str
    streamed: bool
    prompt_tokens: int
    completion_tokens: int


def plan(
    trace: Sequence[TraceRequest], begin_ns: int = BEGIN_NS, end_ns: int = END_NS
) -> list[PlannedRequest]:
    """Return the trace's requests over business time [begin_ns, end_ns), in order; the last one
    stays before the end."""
    if not trace:
        return []
    span_ns = trace[-1].offset_ns + 1
    return [
        _planned(index, request, begin_ns + request.offset_ns * (end_ns - begin_ns) // span_ns)
        for index, request in enumerate(trace)
    ]


def _planned(index: int, request: TraceRequest, event_ns: int) -> PlannedRequest:
    buyer, cloud = _MIX[index % len(_MIX)]
    return PlannedRequest(
        index=index,
        event_ns=event_ns,
        buyer=buyer,
        model=_MODELS[index // len(_MIX) % len(_MODELS)],
        cloud=cloud,
        streamed=index % 3 == 0,
        prompt_tokens=request.context_tokens,
        completion_tokens=request.generated_tokens,
    )


def prompt_text(words: int) -> str:
    """Return a prompt of exactly `words` words, that is, of so many tokens in the sandbox."""
    rounds, rest = divmod(words, _PROMPT_WORDS)
    return (_PROMPT * rounds + " ".join(_PROMPT.split(" ", rest)[:rest])).rstrip()
