"""Usage that counts by its status, in the condition that all sums share."""

import ibis
import pytest

from clauseway.metering import SERVED, Status
from clauseway.storage.lake.usage_records import is_served

STATUSES = ibis.memtable({"status": [int(status) for status in Status]})


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (Status.COMPLETE, True),
        (Status.INTERRUPTED, True),
        (Status.ESTIMATED, True),
        (Status.FAILED, False),
        (Status.LOST, False),
        (Status.QUARANTINED, False),
        (Status.INTERRUPTED_ESTIMATED, True),
    ],
)
def test_an_attempt_counts_by_its_status(status: Status, counts: bool) -> None:
    con = ibis.duckdb.connect()
    kept = con.to_pyarrow(STATUSES.filter(is_served(STATUSES.status))).column("status").to_pylist()
    assert (int(status) in kept) is counts is (status in SERVED)
