"""Move the control data of a home between its own file and a PostgreSQL server.

The lake and the journals stay.

Moved      the two places of control data that was moved, and the content of each table
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import LOCK_NAMES, SERVED, locked, locked_here
from clauseway.files import PRIVATE, force_folder, write_whole
from clauseway.files.presence import is_there
from clauseway.storage.books.losses import SILENT_NS, Losses
from clauseway.storage.control.audit import Head, head_of
from clauseway.storage.control.audit_check import check
from clauseway.storage.control.control import Control
from clauseway.storage.control.copying import TableContent, copy_and_compare, is_retired, retire
from clauseway.storage.control.engines import engine_of, without_password
from clauseway.values import InvalidInput, refuse_any

EMBEDDED = "embedded"


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Control data that was moved: from where, to where (without passwords), and each table's
    content, equal on both sides.

    `kept` is the file that the home had before, which nothing reads any more; empty where there was
    none.
    """

    source: str
    target: str
    tables: tuple[TableContent, ...]
    kept: str = ""

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def migrate(
    home: Home, target: str, on_table: Callable[[str, int], None] = lambda *_: None
) -> Moved:
    """Move a home's control data to the address of an empty database, or back into a file
    (`embedded`).

    Every table is counted and hashed on both sides before the home names the new place; until then
    the old one is untouched and in force. A move that was broken off is repeated by the same call.
    From then on the old one takes no more writes to the books and grants no lease. Raises
    InvalidInput where the home is served or written to meanwhile, another home uses the same
    database or took the control data from it, the target holds anything, or the log of the books
    does not hold.
    """
    is_back = target == EMBEDDED
    _refuse_same(home, target)
    if not is_back:
        engine_of(target).dispose()  # refuses an invalid address before anything is locked
    with ExitStack() as held:
        held.enter_context(locked_here(home.make(), SERVED, lambda: _refuse_busy(home)))
        # A change of a home takes one of these locks; a move takes all.
        for name in LOCK_NAMES:
            if name != SERVED:
                held.enter_context(locked(home, name, lambda: _refuse_busy(home)))
        _refuse_same(home, target)  # moved by another process until it let go of the locks
        source = home.control
        if is_back:
            _refuse_shared(home, source)
        place = home.embedded_control if is_back else target
        is_repeated = _begin(home, target)
        try:
            tables, head = _copied(source, place, on_table, may_be_done=is_repeated)
            with closing(Control.open(source)) as old, old.unchained() as still:
                # INVARIANT: the home names the copy while nobody can write, if the copy has
                # everything. Keys and facts, for example, are written without any of the locks.
                if head_of(still) != head:
                    _refuse_written(home, is_back=is_back)
                # Whoever has the old place open would go on writing there.
                retire(still)
                _switch(home, is_back=is_back)
        except InvalidInput:
            _begun(home).unlink()
            raise
        kept = "" if is_back else _set_aside(home)
    shown = (without_password(source), without_password(place))
    return Moved(source=shown[0], target=shown[1], tables=tuple(tables), kept=kept)


def _begun(home: Home) -> Path:
    """Return the file that says where a move goes, from its beginning to its end."""
    return home.database_address.with_name("database.url.moving")


def _begin(home: Home, target: str) -> bool:
    """Note the target; return whether a move there was begun before, and may have copied all."""
    address = f"{target}\n".encode()
    begun = _begun(home)
    if is_there(begun) and begun.read_bytes() == address:
        return True
    write_whole(begun, address, mode=PRIVATE)
    return False


def _copied(
    source: Path | str,
    target: Path | str,
    on_table: Callable[[str, int], None],
    *,
    may_be_done: bool,
) -> tuple[list[TableContent], Head]:
    """Copy, and hold the log of the books against the copied rows; return its end with them."""
    with closing(Control.open(source)) as old:
        new = Control.begin(target)
        try:
            tables = copy_and_compare(old, new, on_table, may_be_done=may_be_done)
            refuse_any(check(new).problems)
            with new.reading() as connection:
                head = head_of(connection)
        finally:
            new.close()
    return tables, head


def _switch(home: Home, *, is_back: bool) -> None:
    """Let the home name the new place."""
    if is_back:
        home.database_address.unlink()
        # Forced before the home goes on: the server's data would be in force again.
        force_folder(home.root)
        _begun(home).unlink()
        return
    _begun(home).rename(home.database_address)
    force_folder(home.root)


def _set_aside(home: Home) -> str:
    """Rename the file that nothing reads any more, and return its new path."""
    kept = home.migrated_control
    home.embedded_control.rename(kept)
    return str(kept)


def _refuse_same(home: Home, target: str) -> None:
    """Refuse to move from a file into a file, or from a server to a server."""
    source = home.control
    if (target == EMBEDDED) != isinstance(source, Path):
        return
    where = without_password(source)
    problem, why = "there is nothing to move", f"the control data is at {where} already"
    remedy = (
        "To move it to another server, move it back first: clauseway home migrate --to embedded."
        if target != EMBEDDED
        else "Name a server's database: clauseway home migrate --to postgresql://USER:PASSWORD@HOST/DATABASE."
    )
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)


def _refuse_shared(home: Home, server: Path | str) -> None:
    """Refuse to take control data from a server where another home uses it, or from which another
    home took it."""
    with closing(Control.open(server)) as control, control.reading() as connection:
        is_gone = is_retired(connection)
        heard = Losses(control).heard_lately()
    own = home.identity()
    others = [identity for identity in heard if identity != own]
    problem, where = "the control data stays on the server", without_password(server)
    if is_gone:
        why = "it was moved from there into another home"
        remedy = "Ask who ran `clauseway home migrate --to embedded`: the books go on in that home."
        raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)
    if others:
        why = f"home {others[0]} uses that database too"
        remedy = (
            f"Stop what serves or seals in every other home, wait {SILENT_NS // 10**9} s, and repeat the command. "
            "The other homes then have no control data: it goes into this one."
        )
        raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)


def _refuse_written(home: Home, *, is_back: bool) -> NoReturn:
    """Refuse a copy that lacks what was written since; a file that was made for it goes."""
    if is_back:
        control = home.embedded_control
        for ending in ("", "-wal", "-shm"):
            control.with_name(control.name + ending).unlink(missing_ok=True)
    problem, why = "the home was written to meanwhile", "the copy lacks what was recorded last"
    remedy = "Let nobody write to the home, then move it into an empty database."
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)


def _refuse_busy(home: Home) -> None:
    problem, why = "the home is in use", "another process serves it or writes to it"
    remedy = "Stop what serves, imports, seals or settles there, then repeat the command."
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)
