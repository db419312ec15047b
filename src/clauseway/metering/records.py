"""The records of usage. An `Intent` is written when a cloud is about to be called, a `UsageRecord`
when the call ended.

Both are keyed by (request, attempt): a request that fails over has one pair per cloud it tried.
Data that many records share (the buyer, the deployment, the ruling that let it through) is written
once per segment as a label and named by its code; `Buyer`, `Deployment` and `Ruling` are those
labels.

Times are nanoseconds since 1970 (UTC). `event_ns` is the business clock's: the terms and prices of
that instant apply. `recorded_ns` is the machine's clock, when the record was made; only it orders
knowledge. Money is whole picodollars.
"""

import re
from enum import IntEnum

import msgspec

from clauseway.metering.units import Unit

_REQUEST_ID = re.compile(r"req_[0-9a-fA-F]{32}")


class Status(IntEnum):
    """The end of an attempt. The number is its code in the spool and never changes."""

    COMPLETE = 1  # the cloud's answer was read to its end, usage as reported
    INTERRUPTED = 2  # the client left or the stream broke; usage as reported up to then
    ESTIMATED = 3  # an answer without a usage report: units are the gateway's estimate
    FAILED = 4  # no answer that counts: refused connection, error status, deadline
    LOST = 5  # open when the process died; found at the next start, usage unknown
    # impossible usage was reported: it waits for correction, the attempt stays
    QUARANTINED = 6
    # as 2, without a report: units are the gateway's estimate of the answer until then
    INTERRUPTED_ESTIMATED = 7


# The units are the gateway's estimate, because the cloud reported none.
IS_ESTIMATE = (Status.ESTIMATED, Status.INTERRUPTED_ESTIMATED)
# Answers that were sold. Failed attempts and attempts lost in a crash have no charge.
SERVED = (Status.COMPLETE, Status.INTERRUPTED, *IS_ESTIMATE)


class RequestId(msgspec.Struct, frozen=True, order=True):
    """A request's identity: the start of a gateway, and the request's number since that start."""

    boot: int
    number: int

    def __str__(self) -> str:
        return f"req_{self.boot:016x}{self.number:016x}"

    @classmethod
    def parse(cls, text: str) -> "RequestId":
        """Return the id that a text names. Raise ValueError if it is not `req_` and 32 hexadecimal
        digits."""
        if not _REQUEST_ID.fullmatch(text):
            raise ValueError(f"{text!r} is not a request id")
        return cls(int(text[4:20], 16), int(text[20:], 16))


def request_ids_of(boot: str) -> tuple[str, str]:
    """Return the first and the last id that a start (in hex) can give its requests: ids are ordered
    by their start."""
    start = int(boot, 16)
    return str(RequestId(start, 0)), str(RequestId(start, 2**64 - 1))


class Buyer(msgspec.Struct, frozen=True, tag="buyer"):
    """The buyer: the key that was used, its organisation and project, and the seller it buys
    from."""

    organisation: str
    project: str
    key_id: str
    seller: str
    segment: str


class Deployment(msgspec.Struct, frozen=True, tag="deployment"):
    """The deployment that served: host cloud and seller are two fields, because one may resell what
    the other hosts."""

    deployment: str
    cloud: str
    seller: str
    region: str
    product: str
    model: str


class Ruling(msgspec.Struct, frozen=True, tag="ruling"):
    """The decision that let the request through: its outcome (permitted or unstated), the deciding
    terms, and the receipt to repeat it by."""

    decision: str
    outcome: str
    terms: tuple[str, ...]
    receipt: str


class Intent(msgspec.Struct, frozen=True, gc=False):
    """An attempt at a cloud, written when it begins."""

    request: RequestId
    attempt: int
    event_ns: int
    recorded_ns: int
    buyer: int
    deployment: int
    ruling: int
    endpoint: int
    body_bytes: int
    output_tokens_max: int
    reserved_picodollars: int


class UsageRecord(msgspec.Struct, frozen=True, gc=False):
    """An attempt at a cloud, written when it ended and before the client gets its last byte.

    `units` holds the cloud's report, wholes and parts as reported (see `units.CONTAINED_IN`).
    `upstream_id` is the cloud's own request id, for reconciliation; `tier` is one of
    `endpoints.TIERS`, as the cloud reported it, else empty. Durations are microseconds of the
    machine's clock.
    """

    request: RequestId
    attempt: int
    event_ns: int
    recorded_ns: int
    buyer: int
    deployment: int
    ruling: int
    endpoint: int
    status: Status
    http_status: int
    streamed: bool
    duration_us: int
    first_content_us: int
    charge_picodollars: int
    units: tuple[tuple[Unit, int], ...]
    upstream_id: str = ""
    tier: str = ""
