"""Usage records and batches of which a test states what it is about: all else is alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from clauseway.metering import Buyer, Deployment, Intent, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage.lake.sealed_batches import UsageBatch


def usage_record(number: int, event_ns: int, units: Mapping[Unit, int], **fields: Any) -> UsageRecord:
    return UsageRecord(
        **{
            "request": RequestId(7, number),
            "attempt": 1,
            "event_ns": event_ns,
            "recorded_ns": number,
            "buyer": 1,
            "deployment": 1,
            "ruling": 1,
            "endpoint": 1,
            "status": Status.COMPLETE,
            "http_status": 200,
            "streamed": False,
            "duration_us": 1200,
            "first_content_us": 300,
            "charge_picodollars": 0,
            "units": tuple(units.items()),
            "upstream_id": f"up-{number}",
            **fields,
        }
    )


def usage_batch(
    usage: Sequence[UsageRecord],
    buyers: Mapping[int, Buyer],
    deployments: Mapping[int, Deployment],
    rulings: Mapping[int, Ruling],
    *,
    first: int = 0,
    end: int = 0,
    spool: str = "s",
    intents: Sequence[Intent] = (),
) -> UsageBatch:
    """A batch of the frames from `first` to before `end`; by default each record has one."""
    return UsageBatch(
        spool=spool,
        segment=1,
        first_frame=first,
        end_frame=end or first + len(usage),
        usage=usage,
        intents=intents,
        buyers=buyers,
        deployments=deployments,
        rulings=rulings,
    )
