"""Spool: the append-only record of usage beside one gateway process. Standard library and our
records, nothing else.

A spool is a directory with one writer (a lock file enforces it) and numbered segment files. The
writer appends frames: all records since the last commit, under one checksum, made durable by one
write. The waiter of a record is notified when its frame is on the disk, never before. Readers may
come from other processes at any time: they see whole frames only, tell a torn end from damage in
the middle, and name every frame by (spool, segment, number) for ever.

- `format` is the layout on disk, byte by byte, and pure.
- `segments` names and lists the files.
- `writer` is the group commit and the rotation of segments.
- `messages`, `copier` and `follower` keep a copy of a journal on another machine, in each commit;
  `copies` is what lies there, `alone` notes when there was none.
- `reader` gives batches, positions and attempts left open by a process that died, and releases segments.

Knows nothing of clouds, prices or the lake. The writer waits for a disk without room. A disk that
fails makes the writer fail closed: no waiter is told "durable" again until a new process opens a
new segment.
"""

from clauseway.spool.alone import AlonePeriod, alone_periods
from clauseway.spool.copies import Uncopied
from clauseway.spool.format import Label, pack_intent, pack_usage, pack_usage_fields
from clauseway.spool.reader import (
    Damage,
    FrameBatch,
    OpenAttempt,
    Position,
    Unended,
    open_attempts,
    positions,
    read_frames,
    reading_unended,
    release,
)
from clauseway.spool.segments import (
    NO_ROOM,
    SpoolBusy,
    identify,
    identity_of,
    is_written,
    newest_segment,
    set_fenced_aside,
)
from clauseway.spool.writer import SpoolWriter, Waiter

__all__ = [
    "NO_ROOM",
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
    "identify",
    "identity_of",
    "is_written",
    "newest_segment",
    "open_attempts",
    "pack_intent",
    "pack_usage",
    "pack_usage_fields",
    "positions",
    "read_frames",
    "reading_unended",
    "release",
    "set_fenced_aside",
]
