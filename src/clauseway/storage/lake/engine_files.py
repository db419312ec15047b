"""Files of the lake as an engine reads them: in the folder or as copies of this machine, or, by a
cluster, as objects where they are stored.

Either way each file is held against the digest under which it was sealed before its rows are read,
by whoever reads it: objects never pass through this machine.
"""

from collections.abc import Sequence
from pathlib import Path

from ibis.backends import BaseBackend

from clauseway.storage.lake.digests import CHANGED, LakeDamaged, as_fault
from clauseway.storage.lake.file_list import LakeFile
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import digests_by, objects_at


def places(con: BaseBackend, lake: Lake, files: Sequence[LakeFile]) -> list[Path | str]:
    """Return where an engine finds files that `sound_for` found nothing wrong with."""
    return [_address(con, file) if objects_at(con) else lake.root / file.name for file in files]


def sound_for(con: BaseBackend, lake: Lake, files: Sequence[LakeFile]) -> Sequence[LakeFile]:
    """Check that these files are as they were written where an engine reads them, and return
    them. Raise LakeDamaged."""
    if not objects_at(con) or not files:
        return lake.sound(files)
    # Spark names no more than the first object that is missing.
    if faults := lake.sealed.at_sight(files):
        raise LakeDamaged(faults)
    digests = digests_by(con, [_address(con, file) for file in files])
    changed = [file for file in files if digests.get(_address(con, file)) != file.digest]
    if changed:
        raise LakeDamaged([as_fault(file, CHANGED) for file in changed])
    return files


def _address(con: BaseBackend, file: LakeFile) -> str:
    return f"{objects_at(con)}/{file.name}"
