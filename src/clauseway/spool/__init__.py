"""A gateway's journal, the append-only records of its attempts, and the spool that it lies in.
Standard library, `librt` and our records, nothing else.

A spool is the folder of one journal: numbered segment files, and a lock file that admits one
writer. Of a journal we say what was recorded, of a spool where it lies. The
writer appends frames: all records since the last commit, under one checksum, made durable by one
write. The waiter of a record is notified when its frame is on the disk, never before. Readers may
come from other processes at any time: they see whole frames only, tell a torn end from damage in
the middle, and name every frame by (spool, segment, number) for ever.

    writer             the group commit, and the rotation of segments
    reader             batches, positions, attempts that a dead process left open; segments released
    segment_format     the layout on disk, byte by byte, and pure
    segments           the files of a spool: their names, order and headers, and the lock
    copier             each commit sent to a follower on another machine, at the gateway's side
    follower           commits of gateways, forced to the follower's own disk
    follower_messages  what copier and follower send each other, byte by byte
    copies             a copy as it lies in a follower's folder
    alone              notes of when a gateway went on alone: records were acknowledged with one copy

Knows nothing of clouds, prices or the lake. The writer waits for a disk without room. A disk that
fails makes the writer fail closed: no waiter is told "durable" again until a new process opens a
new segment.
"""

from clauseway.spool.alone import AlonePeriod, alone_periods
from clauseway.spool.copies import Uncopied
from clauseway.spool.reader import (
    Damage,
    FrameBatch,
    OpenAttempt,
    Position,
    Unended,
    blank_segments,
    force_segment,
    open_attempts,
    positions,
    read_frames,
    reading_unended,
    release,
    unended,
)
from clauseway.spool.segment_format import Label, pack_intent, pack_usage, pack_usage_fields
from clauseway.spool.segments import (
    NO_ROOM,
    SCARCE,
    SpoolBusy,
    identify,
    identity_of,
    is_numbered,
    is_written,
    list_segments,
    newest_segment,
    next_number,
    note_identity,
    note_number,
    renumber,
    set_fenced_aside,
    writing_start,
)
from clauseway.spool.writer import SpoolWriter, Waiter

__all__ = [
    "NO_ROOM",
    "SCARCE",
    "AlonePeriod",
    "Damage",
    "FrameBatch",
    "Label",
    "OpenAttempt",
    "Position",
    "SpoolBusy",
    "SpoolWriter",
    "Uncopied",
    "Unended",
    "Waiter",
    "alone_periods",
    "blank_segments",
    "force_segment",
    "identify",
    "identity_of",
    "is_numbered",
    "is_written",
    "list_segments",
    "newest_segment",
    "next_number",
    "note_identity",
    "note_number",
    "open_attempts",
    "pack_intent",
    "pack_usage",
    "pack_usage_fields",
    "positions",
    "read_frames",
    "reading_unended",
    "release",
    "renumber",
    "set_fenced_aside",
    "unended",
    "writing_start",
]
