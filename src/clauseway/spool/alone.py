"""The notes beside a journal of when its records were acknowledged with one copy only.

Lines of JSON, appended and forced: one when the gateway goes on alone, before anybody hears of a
record, and one when its follower has caught up.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple

from clauseway.files import append_lines

_NAME: Final = "alone.jsonl"


class AlonePeriod(NamedTuple):
    """Frames from `first` of `segment` on, acknowledged with one copy since `since_ns` of the
    machine's clock, until `until_ns`; 0 while it lasts."""

    segment: int
    first: int
    since_ns: int
    until_segment: int = -1
    until_frame: int = -1
    until_ns: int = 0

    @property
    def lasts(self) -> bool:
        return not self.until_ns


def alone_periods(directory: Path) -> list[AlonePeriod]:
    """Return a journal's periods alone, oldest first."""
    try:
        lines = (directory / _NAME).read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    periods: list[AlonePeriod] = []
    for line in lines:
        try:
            fields = json.loads(line)
            segment, frame, at_ns = fields["segment"], fields["frame"], fields["at_ns"]
        except (ValueError, KeyError, TypeError):
            continue  # the torn end of a process that died: nobody was told of it
        if fields.get("alone"):
            periods.append(AlonePeriod(segment, frame, at_ns))
        elif periods and periods[-1].lasts:
            periods[-1] = periods[-1]._replace(
                until_segment=segment, until_frame=frame, until_ns=at_ns
            )
    return periods


class AlonePeriods:
    """Writes the notes. A period that a process left open goes on until the copy is whole again."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        periods = alone_periods(directory)
        self._lasts = bool(periods) and periods[-1].lasts

    def begin(self, segment: int, frame: int, at_ns: int) -> None:
        """Note that frames from this one on have one copy, unless that is noted. Raise OSError."""
        if not self._lasts:
            self._write(segment, frame, at_ns, alone=True)
            self._lasts = True

    def end(self, segment: int, frame: int, at_ns: int) -> None:
        """Note that all frames before this one have their copy. Raise OSError."""
        if self._lasts:
            self._write(segment, frame, at_ns, alone=False)
            self._lasts = False

    def _write(self, segment: int, frame: int, at_ns: int, *, alone: bool) -> None:
        note = {"alone": alone, "segment": segment, "frame": frame, "at_ns": at_ns}
        append_lines(self._path, f"{json.dumps(note)}\n".encode())
