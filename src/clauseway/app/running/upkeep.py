"""Upkeep of a served home: usage is sealed, files are merged and checked, damage is looked for."""

from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from clauseway.app.opening.home import Home
from clauseway.app.usage.compacting import compact_lake
from clauseway.app.usage.damages import write_damages
from clauseway.app.usage.lake_checks import check_part, unknown_problem
from clauseway.app.usage.sealing import seal
from clauseway.storage.control.engines import said_by
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.values import InvalidInput

# Each round of merging checks one of so many parts of the lake, so that a day covers all of it.
_CHECK_PARTS = 24


class Upkeep:
    """Upkeep of a served home, round by round. Each problem is reported once."""

    def __init__(self, home: Home, report: Callable[[str], None]) -> None:
        self._home, self._report = home, report
        self._part = 0
        self._lost: set[str] = set()
        self._unknown: tuple[str, ...] = ()
        # The failure that was reported last, until a round succeeds.
        self._failure: object = None

    def round(self, *, merging: bool) -> None:
        """Seal what was metered; where it is time, merge small files and read a part of the lake to
        its end.

        Whatever fails (the disk, the database, memory, an engine, ourselves), usage stays in the spool until
        it can be sealed: the gateways serve on, and refuse requests once their own disk fails.
        """
        try:
            seal(self._home)
            if merging:
                check_part(self._home, self._part, _CHECK_PARTS)
                self._part = (self._part + 1) % _CHECK_PARTS
                self._report_unknown(compact_lake(self._home).unknown)
        except LakeDamaged:
            pass  # told below
        except Exception as error:
            failure = _kind_of(error)
            if failure != self._failure:
                why = _reason(error)
                self._report(
                    f"Usage could not be sealed and waits in the spool; it is tried again: {why}"
                )
            self._failure = failure
            return
        self._failure = None
        try:
            lost = {str(damage.problem) for damage in write_damages(self._home)}
        except Exception as error:
            self._report(f"Damage could not be looked for; it is tried again: {_reason(error)}")
            return
        for text in sorted(lost - self._lost):
            self._report(f"Usage is damaged or lost; its months cannot be settled:\n{text}")
        self._lost = lost

    def _report_unknown(self, unknown: tuple[str, ...]) -> None:
        """Report the files of the lake that hold usage which the database lacks, once for each
        set of them."""
        if unknown and unknown != self._unknown:
            self._report(str(unknown_problem(unknown)))
        self._unknown = unknown


def _reason(error: Exception) -> str:
    """Return what an error says; one that is not expected here also says its kind."""
    said = said_by(error)
    is_expected = isinstance(error, (OSError, DBAPIError, InvalidInput))
    return said if is_expected else f"{type(error).__name__}: {said}"


def _kind_of(error: Exception) -> object:
    """Return what is equal for failures of one kind, whose words may name times or tries."""
    if isinstance(error, InvalidInput):
        return [problem.what for problem in error.problems]
    if isinstance(error, DBAPIError):
        return type(error.orig)
    if isinstance(error, OSError):
        return error.errno, error.filename
    return type(error)
