"""Everything that a plan is compiled from, and whether it has changed.

The books' log has a row for each write of keys, tenants, limits, budgets, facts and the basis, so
its head says whether any of them was written: a row is read instead of all of them. What ends by
time alone, such as a secret, is known beforehand: all is read again at that instant, and where the
clock was set back since.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway.app.books.basis import history
from clauseway.app.books.register import recorded_facts
from clauseway.app.customers.tenants import tenancy_for_plan
from clauseway.app.opening.configuration import Configuration, placed_path, read_configuration
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, with_recorded
from clauseway.app.running.control_data import KeptControl
from clauseway.storage.control.audit import Head
from clauseway.storage.control.engines import said_by
from clauseway.values import InvalidInput

_BALANCES_EVERY_S = 600.0
# How long may go unseen what is written into the database beside the log.
_ALL_EVERY_S = 60.0
# A disk or a database that failed is tried again after so long.
_AGAIN_AFTER_S = 1.0


class InputsState(msgspec.Struct, frozen=True):
    """The state of everything that a plan is compiled from: what is `recorded` in the home, and the
    `files`, each with its time and number. At `until_ns` something ends; 0 if nothing does."""

    recorded: tuple[object, ...]
    files: dict[Path, tuple[int, int]]
    until_ns: int = 0


def state_of(
    home: Home, opened: Opened, configuration: Path, texts: Iterable[Path] = ()
) -> InputsState:
    """Return the state of tenants, facts, the basis, the configuration and the files of secrets
    that it names, and of the agreements' `texts`.

    Raise InvalidInput, DBAPIError.
    """
    facts = len(recorded_facts(home))
    try:
        read = read_configuration(configuration, with_recorded(opened, home).catalog)
    except InvalidInput:
        read = Configuration()
    files = [configuration, *_secret_files(read, configuration), *texts]
    # The gateway counts down the rest of commitments; now and then metered usage corrects it.
    period = time.monotonic() // _BALANCES_EVERY_S if read.commitment else 0
    tenancy = tenancy_for_plan(home)
    recorded = (tenancy, facts, len(history(home)), period)
    return InputsState(recorded, stamps(files), tenancy.until_ns)


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return the time and number of each file, zeros of one that is not there."""
    return {file: _stamp(file) for file in files}


class PlanInputs:
    """The inputs of a plan as they were at the last look."""

    def __init__(
        self,
        home: Home,
        look: Callable[[], InputsState],
        seen: InputsState | None,
        report: Callable[[str], None],
        head_of_log: Callable[[], Head] | None = None,
    ) -> None:
        """`head_of_log` returns the end of the log of the books where somebody else looks at it."""
        self._look, self._report = look, report
        self._control = KeptControl(home)
        self._head_of_log = head_of_log or self._control.head_of_log
        self._seen = seen
        self._seen_ns = 0  # when all was read
        self._head: Head | None = None
        self._due_s = self._all_due_s = 0.0
        self._is_away = self._is_missed = False

    def changed(self) -> bool:
        """Return whether there is something to compile that was not there at the last look. Looking
        takes a fifth of a processor at most, however many keys there are. A wait for the database
        is no such work: after it, the next look is due at once."""
        begin_s, worked_before_s = time.monotonic(), time.thread_time()
        if begin_s < self._due_s:
            return False
        before = self._seen
        try:
            if self._may_have_changed(begin_s):
                self._seen_ns = time.time_ns()
                self._seen = self._look()
                self._all_due_s = begin_s + _ALL_EVERY_S
            self._is_away = False
        # The address may be half written, or the disk with the home be gone.
        except (InvalidInput, DBAPIError, OSError) as error:
            self._head, self._all_due_s = None, 0.0
            if not self._is_away:
                self._report(
                    f"The database is away; the gateway goes on as it is: {said_by(error)}"
                )
            self._is_away = True
        self._due_s = time.monotonic() + 4 * (time.thread_time() - worked_before_s)
        is_missed, self._is_missed = self._is_missed, False
        return is_missed or self._seen != before

    def missed(self) -> None:
        """Have a later look find the change again: what was to be made of it could not be made."""
        self._is_missed = True
        self._due_s = time.monotonic() + _AGAIN_AFTER_S

    def close(self) -> None:
        """Let go of the database."""
        self._control.close()

    def _may_have_changed(self, now_s: float) -> bool:
        head, self._head = self._head, self._head_of_log()
        if now_s >= self._all_due_s or head != self._head or self._seen is None:
            return True
        now_ns = time.time_ns()
        # What had ended when all was read has not, where the clock was set back since.
        if 0 < self._seen.until_ns <= now_ns or now_ns < self._seen_ns:
            return True
        return stamps(self._seen.files) != self._seen.files


def _secret_files(configuration: Configuration, written: Path) -> list[Path]:
    """Return the files of secrets that are part of the plan, and may be replaced."""
    named = [deployment.auth.secret_file for deployment in configuration.deployment]
    return [Path(placed_path(name, written)) for name in named if name]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_ino)
