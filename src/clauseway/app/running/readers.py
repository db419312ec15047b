"""Those who may read a home's pages, as its database has them at the time of each request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Connection

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import control_of
from clauseway.app.running.machine_faults import fault_of
from clauseway.storage.control.control import Control
from clauseway.storage.control.passwords import (
    Password,
    matches,
    password_of,
    passwords,
    unmatched_verifier,
)
from clauseway.values import InvalidInput
from clauseway.web.contexts import Unavailable
from clauseway.web.sign_in import SignedIn

# Everybody who signs in sees the first page.
_OVERVIEW = "/"


class HomeReaders:
    """The readers of a home. Databases are read, and passwords tried, in threads.

    The control data are opened when somebody first asks, and until then again: pages that start
    while a database is away are up, and say so.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._opening = Lock()
        self._opened: Control | None = None
        # Tried for accounts that do not exist: the time of an answer does not tell who has one.
        self._nobodys = unmatched_verifier()

    async def are_named(self) -> bool:
        """Return whether anybody has a password."""
        return bool(await asyncio.to_thread(self._all))

    async def named(self, account: str) -> SignedIn | None:
        """Return somebody who may see the pages at present."""
        held = await asyncio.to_thread(self._password, account)
        return None if held is None else _reader(held)

    async def check(self, account: str, password: str) -> SignedIn | None:
        """Return the reader whose password that is."""
        return await asyncio.to_thread(self._check, account, password)

    def _check(self, account: str, password: str) -> SignedIn | None:
        held = self._password(account)
        is_right = matches(password, self._nobodys if held is None else held.verifier)
        return _reader(held) if held is not None and is_right else None

    def _all(self) -> list[Password]:
        with self._reading() as connection:
            return passwords(connection)

    def _password(self, account: str) -> Password | None:
        with self._reading() as connection:
            return password_of(connection, account)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Raise FileNotFoundError where the control data are gone: new ones would have no passwords,
        and the pages be open to everybody. Raise Unavailable where they cannot be read."""
        _ = self._home.control  # looks for them
        with faults_as_unavailable(self._home), self._control().reading() as connection:
            yield connection

    def _control(self) -> Control:
        with self._opening:
            if self._opened is None:
                self._opened = control_of(self._home)
            return self._opened


@contextmanager
def faults_as_unavailable(home: Home) -> Iterator[None]:
    """Raise Unavailable for a fault of the machine, such as a database that is away. It names no
    address: whoever has not signed in reads it too."""
    try:
        yield
    except (InvalidInput, Unavailable):
        raise
    except Exception as error:
        fault = fault_of(error, home.root)
        if fault is None:
            raise
        said = f"{fault.what[:1].upper()}{fault.what[1:]}"
        raise Unavailable(f"{said}. What to do is told by: clauseway doctor.") from error


def _reader(held: Password) -> SignedIn:
    sees = frozenset({_OVERVIEW, *(f"/{name}" for name in held.sees)})
    return SignedIn(account=held.account, sees=sees, since_ns=held.recorded_ns)
