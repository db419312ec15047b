"""A batch's file as the batch made of it needs it: the kinds of its lines, and the most that they
may cost.

Kept with the file's identifier, so that the file is not read a second time.
"""

import msgspec

from clauseway.gateway.clouds.dialect import Call
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.routing.unit_rates import RateScale
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED
from clauseway.gateway.wire.operations import BATCHES, UnderstoodRequest
from clauseway.metering import Buyer


class LineGroup(msgspec.Struct, frozen=True, array_like=True):
    """Lines of one operation and model: the first one's number, what any of them needs, and the
    largest text (of the bodies whose bytes bound their tokens) and output of any. Where all are
    served by one deployment, it has to have all."""

    line: int
    operation: str
    model: str
    bits: int
    body_bytes: int
    output_tokens: int


class Contents(msgspec.Struct, frozen=True):
    """A file's lines by kind, and the most that they may cost where the file lies (picodollars).
    Their text has at most `body_bytes`; that is 0 in what older versions kept."""

    lines: int
    picodollars: int
    input_tokens: int
    output_tokens: int
    kinds: tuple[LineGroup, ...]
    body_bytes: int = 0


decode_contents = msgspec.json.Decoder(Contents).decode
_MADE = UnderstoodRequest(BATCHES, Call(b"POST", b"", b""), NOTHING_ASKED, b"", b"", b"", "")


def batch_scale(target: CallTarget, buyer: Buyer, event_ns: int) -> RateScale:
    """Return the scale of a batch at a deployment: the rates that its tokens may be charged by."""
    return target.scale_for(_MADE, buyer, event_ns) if target.has_varying_prices else target.scale
