"""A batch of usage as it is sealed: a range of one spool's frames with the labels that its records
name by code."""

from collections.abc import Mapping, Sequence

import msgspec

from clauseway.metering import Buyer, Deployment, Intent, Ruling, UsageRecord


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Frames `first_frame` ≤ n < `end_frame` of a spool's segment: a batch's identity, for ever.

    Usage from elsewhere has a spool of its own: an imported file, expanded traffic.
    """

    spool: str
    segment: int
    first_frame: int
    end_frame: int


class UsageBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The records in frames `first_frame` ≤ n < `end_frame` of a segment. There may be labels that
    no record names. `intent_frames` are the frames of the intents, if it is known where they stand.
    """

    spool: str
    segment: int
    first_frame: int
    end_frame: int
    usage: Sequence[UsageRecord]
    intents: Sequence[Intent]
    buyers: Mapping[int, Buyer]
    deployments: Mapping[int, Deployment]
    rulings: Mapping[int, Ruling]
    intent_frames: Sequence[int] = ()

    @property
    def range(self) -> Range:
        return Range(
            spool=self.spool,
            segment=self.segment,
            first_frame=self.first_frame,
            end_frame=self.end_frame,
        )
