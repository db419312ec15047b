"""The attempts of one start of a gateway, from the lake: to settle the budget slices that it died
with."""

from collections.abc import Sequence

import msgspec
import pyarrow.compute as pc

from clauseway.metering import request_ids_of
from clauseway.metering.endpoints import batch_codes
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.columns import LATER_OF_INTENTS
from clauseway.storage.lake.file_list import INTENTS, USAGE, LakeFile, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.values import DAY_NS

_SCOPE = ("organisation", "project", "key_id", "cloud", "product")
_INTENT = ("request_id", "attempt", "recorded_ns", "endpoint", "reserved_picodollars", *_SCOPE)
_PLACE = tuple(name for name, _ in LATER_OF_INTENTS)
_END = ("request_id", "attempt", "status", "charge_picodollars")


class ReservedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a cloud, in picodollars. `begun_ns` is the machine's clock; `status` is 0 if it
    has no end. The journal has its begin in frame `journal_frame` of segment `journal_segment`; -1 if the lake was
    not told.

    The charge of a batch's end is not here: it is spent of a lease that no gateway holds.
    """

    begun_ns: int
    organisation: str
    project: str
    key_id: str
    cloud: str
    product: str
    reserved: int
    status: int
    charge: int
    journal_segment: int = -1
    journal_frame: int = -1


def reserved_attempts(lake: Lake, boot: str, since_ns: int) -> list[ReservedAttempt]:
    """Return the attempts of the start `boot` (hex) that were sealed from `since_ns` on, in the
    order in which they began.

    If an attempt was ended twice, its best known end stands (the lowest status). Raise LakeDamaged.
    """
    first, last = request_ids_of(boot)
    of_boot = (pc.field("request_id") >= first) & (pc.field("request_id") <= last)
    # The ends first, so that each intent finds its end.
    ends: dict[tuple[str, int], tuple[int, int]] = {}
    for file in _sealed_since(lake, USAGE, since_ns, first, last):
        for row in read_rows(
            lake.root / file.name, columns=list(_END), filters=of_boot
        ).to_pylist():
            end = (row["status"], row["charge_picodollars"])
            key = (row["request_id"], row["attempt"])
            ends[key] = min(ends.get(key, end), end)
    attempts: dict[tuple[str, int], ReservedAttempt] = {}
    of_batches = batch_codes()
    for file in _sealed_since(lake, INTENTS, since_ns, first, last):
        for row in read_rows(
            lake.root / file.name, columns=[*_INTENT, *_PLACE], filters=of_boot
        ).to_pylist():
            key = (row["request_id"], row["attempt"])
            status, charge = ends.get(key, (0, 0))
            attempts[key] = ReservedAttempt(
                begun_ns=row["recorded_ns"],
                reserved=row["reserved_picodollars"],
                status=status,
                charge=0 if row["endpoint"] in of_batches else charge,
                **{name: row[name] for name in _SCOPE},
                **{name: row[name] for name in _PLACE if row.get(name) is not None},
            )
    # By their numbers, whatever clocks said.
    return [attempts[key] for key in sorted(attempts)]


def _sealed_since(
    lake: Lake, kind: str, since_ns: int, first: str, last: str
) -> Sequence[LakeFile]:
    """Return the files sealed since an instant that may hold requests from the first to the
    last, and those of a day before: a clock may have been set back in between."""
    return lake.sound(
        [
            file
            for file in files_of(lake.control, kind)
            if file.sealed_ns >= since_ns - DAY_NS
            and file.first_request <= last
            and file.last_request >= first
        ]
    )
