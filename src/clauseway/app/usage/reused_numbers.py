"""Segments whose number an earlier program gave twice.

Where all segments of a journal had gone, programs up to 0.1.0 began again at 0. What is sealed is
known by the segment's number and the frame's, so the first frames of such a segment pass for those
of the former one. It gets a number of its own before it is sealed.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.storage import Control
from clauseway.storage.books.losses import Spool


def renumber_reused(control: Control, registered: Spool, directory: Path) -> Spool:
    """Give each segment of a reused number the journal's next one; return how the spool is
    registered then.

    A journal that is written stays as it is: it was looked through before its gateway started.
    """
    for segment in spool.list_segments(directory):
        if segment.header is None:
            continue
        start, created_ns = f"{segment.header.boot:016x}", segment.header.created_ns
        if _is_reused(control, registered, segment.number, start, created_ns):
            with suppress(spool.SpoolBusy):
                spool.renumber(directory, segment.number)
                # The former segment went because all of it was sealed.
                released = max(registered.released, segment.number + 1)
                registered = msgspec.structs.replace(registered, released=released)
    return registered


def _is_reused(
    control: Control, registered: Spool, number: int, start: str, created_ns: int
) -> bool:
    """Return whether what is sealed of a number is of another segment than the one that is there:
    all of it was sealed before that was made, by a start that no sealing has seen.

    Where a clock was set back, a sealed segment may look so: its attempts come again, and count
    once.
    """
    if start in registered.boots:
        return False
    sealed_to = control.sealed_to(registered.spool, number)
    sealed = control.overlapping(registered.spool, number, 0, sealed_to) if sealed_to else ()
    return bool(sealed) and all(batch.sealed_ns < created_ns for batch in sealed)
