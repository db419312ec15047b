"""The lake: sealed usage as Parquet files, named by spool and range, listed by the manifest alone.

Sealing writes beside, forces to disk, renames, forces the folder, and only then commits the range to the manifest. A
crash in between leaves a file that nobody lists; sealing the batch again replaces it, and `sweep` removes it.
"""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.storage.batches import Batch
from clauseway.storage.columns import intent_table, usage_table
from clauseway.storage.control import Control, Overlap, Sealed
from clauseway.values import Interval


class Lake:
    """The files under `root`, which is created, and the manifest in `control`."""

    def __init__(self, root: Path, control: Control) -> None:
        self.root = root
        self.control = control
        root.mkdir(parents=True, exist_ok=True)

    def seal(self, batch: Batch, sealed_ns: int) -> bool:
        """Seal a batch; whether it is new. When this returns, the batch is durable and the spool may let go of it.

        The same range again changes nothing. Raises storage.Overlap, and OSError where the disk fails.
        """
        place = f"{batch.spool}/{batch.segment:016d}-{batch.first_frame:010d}-{batch.end_frame:010d}"
        if self._is_sealed(batch):
            return False
        usage, intents = usage_table(batch), intent_table(batch)
        usage_file, usage_digest = self._write(f"{place}.parquet", usage)
        intents_file, intents_digest = self._write(f"{place}.intents.parquet", intents)
        days = pc.min_max(usage["event_day"]).as_py()
        sealed = Sealed(
            spool=batch.spool,
            segment=batch.segment,
            first_frame=batch.first_frame,
            end_frame=batch.end_frame,
            usage_file=usage_file,
            intents_file=intents_file,
            digest=hashlib.sha256(usage_digest + intents_digest).hexdigest(),
            usage_rows=usage.num_rows,
            intent_rows=intents.num_rows,
            first_day=days["min"],
            last_day=days["max"],
            sealed_ns=sealed_ns,
        )
        return self.control.commit_batch(sealed)

    def files(self, days: Interval | None = None) -> list[Path]:
        """The files of sealed usage, all or those with usage on some of the days, in order of commit."""
        return [self.root / sealed.usage_file for sealed in self.control.batches(days) if sealed.usage_file]

    def sweep(self) -> list[Path]:
        """Remove the files that the manifest does not list; what was removed. Only while nobody seals."""
        listed = {name for sealed in self.control.batches() for name in (sealed.usage_file, sealed.intents_file)}
        orphans = [path for path in self.root.rglob("*") if path.is_file() and self._name(path) not in listed]
        for path in orphans:
            path.unlink()
        return orphans

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _is_sealed(self, batch: Batch) -> bool:
        """Whether this very range is committed. Raises Overlap where another one shares frames with it."""
        wanted = (batch.first_frame, batch.end_frame)
        held = self.control.overlapping(batch.spool, batch.segment, *wanted)
        if held and [(other.first_frame, other.end_frame) for other in held] != [wanted]:
            raise Overlap(f"frames {wanted} of {batch.spool}/{batch.segment} overlap {held[0].name}, which is sealed")
        return bool(held)

    def _write(self, name: str, table: pa.Table) -> tuple[str, bytes]:
        """Write a table so that its name appears only with all its bytes; the name, empty for no rows, and a hash."""
        if table.num_rows == 0:
            return "", hashlib.sha256().digest()
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex}.part")
        pq.write_table(table, beside, compression="zstd")
        with beside.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").digest()
            os.fsync(written.fileno())
        beside.rename(path)
        _force_folder(path.parent)
        _force_folder(self.root)
        return name, digest


def _force_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
