"""Bytes that a request takes in the lake: sealed from records as a gateway writes them, with random ids of the cloud.

`python -m bench.record_bytes` measures it again; docs/operation.md and docs/scale.md reckon from `LAKE_BYTES`.
"""

import argparse
import random
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage import Control
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sealed_batches import UsageBatch

# As measured with 200,000 records: 22.7 of them for the cloud's own id.
LAKE_BYTES = 53
_ROWS = 200_000
_EVERY_NS, _BEGIN_NS = 172_000, 1_778_000_000 * 10**9
_LETTERS = string.ascii_letters + string.digits
_ID_LETTERS = 29
_BUYERS = {
    number: Buyer(f"org-{number}", f"p{number}", f"key_{number}", "openai", "direct")
    for number in (1, 2, 3)
}
_DEPLOYMENTS = {
    number: Deployment(f"gpt-{number}", "azure", "openai", "eastus", "api.stateless", "gpt-5.4")
    for number in (1, 2, 3)
}
_RULINGS = {1: Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt")}


def records(count: int) -> Iterator[UsageRecord]:
    """Yield chat requests, 5,800 a second on four workers; the same at each run."""
    chance = random.Random(2026)
    for number in range(count):
        event_ns = _BEGIN_NS + number * _EVERY_NS + chance.randrange(100_000)
        units = [(Unit.INPUT_TOKENS, read := chance.randrange(20, 6_020))]
        if chance.random() < 0.25:
            units.append((Unit.CACHED_INPUT_TOKENS, read // 2))
        units.append((Unit.OUTPUT_TOKENS, chance.randrange(1, 900)))
        yield UsageRecord(
            request=RequestId(chance.randrange(1, 5), number),
            attempt=1,
            buyer=chance.randrange(1, 4),
            deployment=chance.randrange(1, 4),
            ruling=1,
            event_ns=event_ns,
            endpoint=1,
            status=Status.COMPLETE,
            recorded_ns=event_ns + chance.randrange(10**9, 9 * 10**9),
            http_status=200,
            streamed=number % 2 == 0,
            duration_us=chance.randrange(300_000, 9_000_000),
            first_content_us=chance.randrange(200_000, 900_000),
            charge_picodollars=0,
            units=tuple(units),
            upstream_id="chatcmpl-" + "".join(chance.choices(_LETTERS, k=_ID_LETTERS)),
        )


def measured(count: int) -> float:
    """Return the bytes a record of the lake's files of so many records, sealed at once."""
    with tempfile.TemporaryDirectory() as folder:
        control = Control.open(Path(folder) / "control.db")
        batch = UsageBatch(
            spool="gateway",
            segment=1,
            first_frame=0,
            end_frame=count,
            usage=list(records(count)),
            intents=(),
            buyers=_BUYERS,
            deployments=_DEPLOYMENTS,
            rulings=_RULINGS,
        )
        Lake(Path(folder) / "lake", control).seal(batch, 1)
        total = sum(file.bytes for file in files_of(control, USAGE))
        control.close()
    return total / count


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.record_bytes", description=__doc__).parse_args()
    print(f"{measured(_ROWS):.1f} bytes a record")


if __name__ == "__main__":
    main()
