"""Files of a lake that its database does not list.

Most were left by a process that was killed before its commit: what they hold is sealed again. After
the database was put back to an earlier state, they are all that is left of usage that was sealed
since, because the journals have let go of it.
"""

import re
from collections.abc import Collection, Iterator, Set
from typing import Final

from clauseway.storage.books.losses import WHOLE, Loss, Losses
from clauseway.storage.control.control import Control
from clauseway.storage.lake.file_list import LakeFile, every_file
from clauseway.storage.lake.sealed_batches import Range

# As the lake names its files: the kind and the day, then the range of a journal or that it was
# merged.
_SEALED: Final = re.compile(
    r"\w+/[\d-]+/(?P<spool>[0-9a-f]{32})-(?P<segment>\d{16})-(?P<first>\d{10})-(?P<end>\d{10})"
    r"(-[0-9a-f]{16})?\.parquet"
)
_MERGED: Final = re.compile(r"(?P<folder>\w+/[\d-]+/)merged-[0-9a-f]{32}(-[0-9a-f]{16})?\.parquet")


def files_with_missing_usage(control: Control, stored: Set[str]) -> set[str]:
    """Return which of the `stored` files may hold usage that the database lacks.

    Such a file has frames of a registered journal that are neither sealed nor accepted as lost, or
    was merged while a listed file of its day is not there.
    """
    files = every_file(control)
    unlisted = stored - {file.name for file in files}
    if not unlisted:
        return set()
    losses = Losses(control)
    journals = {registered.spool for registered in losses.spools()}
    accepted = [loss for loss in losses.all() if loss.is_accepted and not loss.file]
    folders = set(_folders_with_missing_files(files, stored))
    return {
        name
        for name in unlisted
        if _folder_of_merged(name) in folders
        or (
            (of := _range_of(name)) is not None
            and of.spool in journals
            and _lacks(control, of, accepted)
        )
    }


def _folders_with_missing_files(files: Collection[LakeFile], stored: Set[str]) -> Iterator[str]:
    for file in files:
        if file.name not in stored and not (file.is_retired or file.lost_ns):
            yield file.name[: file.name.rindex("/") + 1]


def _folder_of_merged(name: str) -> str:
    """Return the folder of a file that was merged; empty for another one."""
    merged = _MERGED.fullmatch(name)
    return merged["folder"] if merged else ""


def _range_of(name: str) -> Range | None:
    """Return the frames in a file that was sealed from a journal; None for another one."""
    sealed = _SEALED.fullmatch(name)
    if sealed is None:
        return None
    numbers = [int(sealed[part]) for part in ("segment", "first", "end")]
    segment, first, end = numbers
    return Range(spool=sealed["spool"], segment=segment, first_frame=first, end_frame=end)


def _lacks(control: Control, of: Range, accepted: Collection[Loss]) -> bool:
    """Return whether frames of a range are neither sealed nor accepted as lost."""
    if any(_covers(loss, of) for loss in accepted):
        return False
    sealed = control.overlapping(of.spool, of.segment, of.first_frame, of.end_frame)
    frames = sum(
        min(batch.end_frame, of.end_frame) - max(batch.first_frame, of.first_frame)
        for batch in sealed
    )
    return frames < of.end_frame - of.first_frame


def _covers(loss: Loss, of: Range) -> bool:
    if loss.spool != of.spool:
        return False
    if loss.segment == WHOLE:
        return loss.is_standing_write_off
    return (
        loss.segment == of.segment
        and loss.first_frame <= of.first_frame
        and (loss.end_frame < 0 or loss.end_frame >= of.end_frame)
    )
