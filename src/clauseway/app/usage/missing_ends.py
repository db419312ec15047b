"""Ends of a journal's segments that are gone: the database knows that more was there.

A disk that was put back to an earlier state, or lost what it had taken, leaves a journal that looks
whole. Only what was registered and sealed of it shows that its end is missing.
"""

from collections.abc import Iterator
from pathlib import Path

from clauseway import spool
from clauseway.storage import Control
from clauseway.storage.books.losses import RECOVERED, RESTORED, Loss, Losses, Spool
from clauseway.values import day_of

_EMPTIED = "nothing is left in the segment"
_SHORTER = "the segment ends before what was sealed of it"


def missing_end(
    place: spool.Position, registered: Spool, sealed_to: int, until_ns: int, now_ns: int
) -> Iterator[Loss]:
    """Yield a loss if a segment ends before frames that were there.

    `registered` is how its journal was last seen, `sealed_to` the first frame beyond all sealed
    ones, `until_ns` when the segment was written to at the latest. A journal that was recovered or
    restored may lack what was sealed from the lost disk: its own losses say so.
    """
    if registered.is_at_rest or registered.place.startswith((RECOVERED, RESTORED)):
        return
    has_end = all(damage.end >= 0 for damage in place.damages)
    if place.is_blank and place.segment == registered.segment:
        reason = _EMPTIED
    elif place.end < sealed_to and has_end:
        reason = _SHORTER
    else:
        return
    yield lost_from(sealed_to, place, registered, reason, until_ns, now_ns)


def lost_from(
    first_frame: int,
    place: spool.Position,
    registered: Spool,
    reason: str,
    until_ns: int,
    now_ns: int,
) -> Loss:
    """Return the loss of a segment's frames from one on. They were written until `until_ns` at the
    latest."""
    since_ns = place.created_ns or registered.registered_ns
    return Loss(
        spool=registered.spool,
        segment=place.segment,
        first_frame=first_frame,
        end_frame=-1,
        reason=reason,
        first_day=day_of(min(since_ns, until_ns)),
        last_day=day_of(until_ns),
        lost_ns=now_ns,
        boot=f"{place.boot:016x}" if place.boot else "",
    )


def note_emptied(control: Control, identity: str, directory: Path, now_ns: int) -> None:
    """Record a loss if nothing is left in the newest segment that a journal is known to have had.

    INVARIANT: before a gateway begins the next segment. From then on an empty file may as well be
    one that a process died over while it made it.
    """
    blank = spool.blank_segments(directory)
    registered = Losses(control).spool(identity) if blank else None
    if registered is not None and registered.segment in blank:
        number = registered.segment
        place = spool.Position("", number, 0, closed=True, damages=())
        sealed_to = control.sealed_to(registered.spool, number)
        Losses(control).record(missing_end(place, registered, sealed_to, now_ns, now_ns))
