"""Files of a lake that its database does not list.

Most were left by a process that was killed before its commit: what they hold is sealed again. After
the database was put back to an earlier state, they are all that is left of usage that was sealed
since, because the journals have let go of it, and nobody imports the bill again.
"""

import re
from collections.abc import Collection, Iterator, Set
from datetime import date
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from clauseway.storage.books.losses import WHOLE, Loss, Losses
from clauseway.storage.control.control import Control
from clauseway.storage.control.schema import IMPORTED, LET_OUT
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.file_list import INTENTS, USAGE, LakeFile, every_file, kept_from
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.lake.sealed_files import SealedFiles
from clauseway.values import Interval

# As the lake names its files: the kind and the day, then the range of a journal or of an import, or
# that it was merged.
_SEALED: Final = re.compile(
    r"(?P<kind>\w+)/(?P<day>[\d-]+)/(?P<spool>[\w-]+)-(?P<segment>\d{16})"
    r"-(?P<first>\d{10})-(?P<end>\d{10})(-[0-9a-f]{16})?\.parquet"
)
_MERGED: Final = re.compile(
    r"(?P<kind>\w+)/(?P<day>[\d-]+)/merged-[0-9a-f]{32}(-[0-9a-f]{16})?\.parquet"
)


class _Unlisted(msgspec.Struct, frozen=True):
    """A file that is not listed: its kind and day, and the frames that it was sealed from; `range`
    is None for a merged file."""

    name: str
    kind: str
    day: str
    range: Range | None


def files_with_missing_usage(control: Control, sealed: SealedFiles, stored: Set[str]) -> set[str]:
    """Return which of the `stored` files may hold usage that the database lacks.

    Such a file has usage of attempts that no listed file of its day has, and whose loss nobody
    accepted. Its frames do not tell: a journal that was put back too gives its new frames the
    numbers of the lost ones. A file of intents stays beside such usage, or while it has attempts
    that no listed file has, in frames that are not sealed. So does a merged one while a listed file
    of its day is not there.
    """
    files = every_file(control)
    listed = {file.name for file in files}
    unlisted = [file for name in sorted(stored - listed) if (file := _described(name)) is not None]
    if not unlisted:
        return set()
    unsettled = _Unsettled(control, listed)
    wanted = [file for file in unlisted if unsettled.may_be_wanted(file)]
    known = _KnownAttempts(sealed, [file for file in files if file.name in stored])
    missing = {
        file
        for file in wanted
        if (file.kind == USAGE or unsettled.lacks(file)) and known.lacks(file)
    }
    days = {file.day for file in missing if file.kind == USAGE}
    days |= set(_days_with_missing_intents(files, stored))
    missing |= {file for file in wanted if file.kind == INTENTS and file.day in days}
    return {file.name for file in missing}


def usage_files_of(names: Collection[str], days: Interval) -> list[str]:
    """Return the files among `names` that hold usage of some of the days, as their names tell."""
    described = filter(None, map(_described, names))
    begin, end = str(days.begin), str(days.end)
    return sorted(file.name for file in described if file.kind == USAGE and begin <= file.day < end)


def day_of_file(name: str) -> date | None:
    """Return the day of which a file holds usage or intents, as its name tells; None for a file of
    another kind."""
    described = _described(name)
    return None if described is None else date.fromisoformat(described.day)


def _described(name: str) -> _Unlisted | None:
    """Return what the name of a file says; None for one that is not of a journal's usage."""
    if (merged := _MERGED.fullmatch(name)) is not None:
        return _Unlisted(name, merged["kind"], merged["day"], None)
    if (sealed := _SEALED.fullmatch(name)) is None:
        return None
    frames = Range(
        spool=sealed["spool"],
        segment=int(sealed["segment"]),
        first_frame=int(sealed["first"]),
        end_frame=int(sealed["end"]),
    )
    return _Unlisted(name, sealed["kind"], sealed["day"], frames)


def _days_with_missing_intents(files: Collection[LakeFile], stored: Set[str]) -> Iterator[str]:
    for file in files:
        is_wanted = not (file.is_retired or file.lost_ns)
        if file.kind == INTENTS and is_wanted and file.name not in stored:
            yield str(file.first_day)


class _Unsettled:
    """The frames of journals that the database knows neither as sealed nor as lost, and all imports:
    the number of one that it lost is given again."""

    def __init__(self, control: Control, listed: Collection[str]) -> None:
        losses = Losses(control)
        self._control = control
        self._listed = {
            (file.kind, file.day, file.range) for file in filter(None, map(_described, listed))
        }
        self._journals = {registered.spool for registered in losses.spools()}
        self._accepted = [loss for loss in losses.all() if loss.is_accepted and not loss.file]
        self._kept_from = kept_from(control)

    def may_be_wanted(self, file: _Unlisted) -> bool:
        """Return whether a file is of a journal, of an import, or of what the database lists as sealed
        without a file; and its usage neither dropped nor accepted as lost.

        Files of a killed import count too: a copy of the database that was taken during an import
        records that import as killed.
        """
        if self._kept_from is not None and file.day < str(self._kept_from):
            return False
        if file.range is None or file.range.spool in (IMPORTED, LET_OUT):
            return True
        if file.range.spool in self._journals:
            return not any(_covers(loss, file.range) for loss in self._accepted)
        has_file = (file.kind, file.day, file.range) in self._listed
        return not has_file and self._is_sealed(file.range)

    def _is_sealed(self, of: Range) -> bool:
        batches = self._control.overlapping(of.spool, of.segment, of.first_frame, of.end_frame)
        frames = (of.first_frame, of.end_frame)
        return any((batch.first_frame, batch.end_frame) == frames for batch in batches)

    def lacks(self, file: _Unlisted) -> bool:
        """Return whether frames in a file are not sealed."""
        of = file.range
        if of is None:
            return False
        batches = self._control.overlapping(of.spool, of.segment, of.first_frame, of.end_frame)
        frames = sum(
            min(batch.end_frame, of.end_frame) - max(batch.first_frame, of.first_frame)
            for batch in batches
        )
        return frames < of.end_frame - of.first_frame


class _KnownAttempts:
    """The attempts in files that readers see."""

    def __init__(self, sealed: SealedFiles, files: Collection[LakeFile]) -> None:
        self._sealed = sealed
        self._files = [file for file in files if not (file.is_retired or file.lost_ns)]

    def lacks(self, file: _Unlisted) -> bool:
        """Return whether a file has attempts that no listed file of its day has; True if it cannot
        be read, because then nobody knows. An attempt with usage needs no intent."""
        try:
            left = _attempts(read_rows(self._sealed.unlisted_path(file.name), columns=_ATTEMPT))
        except (OSError, pa.ArrowException):
            return True
        for listed in self._listed_beside(file):
            if not len(left):
                break
            outer = pc.min_max(left["request_id"]).as_py()
            if listed.first_request <= outer["max"] and listed.last_request >= outer["min"]:
                left = self._without(left, listed)
        return len(left) > 0

    def _listed_beside(self, unlisted: _Unlisted) -> Iterator[LakeFile]:
        for file in self._files:
            is_of_day = str(file.first_day) <= unlisted.day <= str(file.last_day)
            if is_of_day and file.kind in (USAGE, unlisted.kind):
                yield file

    def _without(self, left: pa.Table, listed: LakeFile) -> pa.Table:
        """Return the attempts that a listed file does not have. What cannot be read of it counts as
        absent."""
        try:
            self._sealed.fetch([listed])
            there = _attempts(read_rows(self._sealed.path(listed), columns=_ATTEMPT))
        except (OSError, pa.ArrowException):
            return left
        is_there = pc.is_in(left["name"], value_set=there["name"].combine_chunks())
        return left.filter(pc.invert(is_there))


_ATTEMPT: Final = ("request_id", "attempt")


def _attempts(rows: pa.Table) -> pa.Table:
    """Return the attempts of rows: the request, and a name of the attempt."""
    requests, attempts = (pc.cast(rows[column], pa.string()) for column in _ATTEMPT)
    names = pc.binary_join_element_wise(requests, attempts, "/")
    return pa.table({"request_id": requests, "name": names})


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
