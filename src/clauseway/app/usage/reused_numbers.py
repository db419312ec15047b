"""Segments whose number an earlier program gave twice.

Where all segments of a journal had gone, programs up to 0.1.0 began again at 0. What is sealed is
known by the segment's number and the frame's, so the first frames of such a segment pass for those
of the former one. It gets a number of its own before it is sealed.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.spool.segment_format import SegmentHeader
from clauseway.storage import Control
from clauseway.storage.books.losses import Spool


def renumber_reused(control: Control, registered: Spool, directory: Path) -> Spool:
    """Give each segment of a reused number the journal's next one; return how the spool is
    registered then.

    A journal that is written stays as it is: it was looked through before its gateway started.
    """
    if spool.is_numbered(directory) or spool.is_written(directory):
        return registered
    reused = [
        segment.number
        for segment in spool.list_segments(directory)
        if segment.header is not None
        and _is_reused(control, registered, segment.number, segment.header)
    ]
    if not reused:
        return registered
    taken = max(
        registered.segment + 1, registered.released, control.segments_sealed(registered.spool)
    )
    with suppress(spool.SpoolBusy):
        spool.renumber(directory, reused, taken)
    oldest = min(segment.number for segment in spool.list_segments(directory))
    # A former segment went only when all of it was sealed.
    return msgspec.structs.replace(registered, released=max(registered.released, oldest))


def _is_reused(control: Control, registered: Spool, number: int, header: SegmentHeader) -> bool:
    """Return whether what is sealed of a number is of another segment than the one that is there:
    all of it was sealed before that was made, by a start that no sealing has seen.

    Where a clock was set back, a sealed segment may look so: its attempts come again, and count
    once.
    """
    if f"{header.boot:016x}" in registered.boots:
        return False
    sealed_to = control.sealed_to(registered.spool, number)
    sealed = control.overlapping(registered.spool, number, 0, sealed_to) if sealed_to else ()
    return bool(sealed) and all(batch.sealed_ns < header.created_ns for batch in sealed)
