"""The control data of a home that is served, opened for as long as it is: readers look again and
again."""

from pathlib import Path

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import control_of, open_control
from clauseway.storage import Control
from clauseway.storage.control import versions
from clauseway.storage.control.announcements import LogListener
from clauseway.storage.control.audit import Head, head_of
from clauseway.storage.control.engines import without_password
from clauseway.values import Problem


def place_of(home: Home) -> str:
    """Return where the control data of a home is, without a password. Raise InvalidInput."""
    return without_password(home.control)


def constraint_fault(home: Home) -> Problem | None:
    """Return a problem where the home's database lacks constraints. Raise InvalidInput,
    DBAPIError."""
    with open_control(home) as control, control.reading() as connection:
        fault = versions.constraint_fault(connection)
    return None if fault is None else msgspec.structs.replace(fault, where=place_of(home))


class KeptControl:
    """The control data of a home, opened once, and again where its place changes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._control: Control | None = None
        self._listener: LogListener | None = None
        self._place: Path | str = ""

    def opened(self) -> Control:
        """Raise InvalidInput, DBAPIError."""
        place = self._home.make().control
        if self._control is None or place != self._place:
            self.close()
            self._control, self._place = control_of(self._home), place
        return self._control

    def head_of_log(self) -> Head:
        """Return the end of the log of the books. Raise InvalidInput, DBAPIError."""
        with self.opened().reading() as connection:
            return head_of(connection)

    def listener(self) -> LogListener:
        """Return what listens at the database. Raise InvalidInput, DBAPIError."""
        control = self.opened()
        if self._listener is None:
            self._listener = control.listener()
        return self._listener

    def close(self) -> None:
        """Let go of the database."""
        if self._listener is not None:
            self._listener.close()
        self._listener = None
        if self._control is not None:
            self._control.close()
        self._control = None
