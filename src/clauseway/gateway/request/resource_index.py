"""The resource index: on which deployment each stateful resource lies, and whose it is. A response,
a file or a batch lives on one account only, so a request that names one has to go there.

The index is a file of tables beside the journal (SQLite, from the standard library). A thread of
its own writes it, many rows to a commit; a row is durable before the client gets the last byte of
the answer that names the identifier. Workers on one machine share the file. A request that names no
identifier never reads it. Lists are read in a thread too: to look through what a project made may take
seconds.

The usage of a pending resource (a response in the background, a batch) is metered once, by the
request that sees its end first:

    pending ──(claim, by one request)──▶ claimed ──(its usage record is durable)──▶ metered

A process that dies in between leaves a claim; the next process that writes its journal reads there
whether the usage was recorded. INVARIANT: a claim names its journal, so no worker decides on
another's.

Where homes share a database, the commit that adds or forgets a resource also notes it to be shared,
and the process that runs this home copies it there (see `shared_index`). A pending resource is
metered by its own home alone.
"""

import contextlib
import errno
import queue
import sqlite3
import threading
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from clauseway.files.sqlite_errors import primary_code
from clauseway.metering import Buyer

# Hears the outcome of a change: True where a row was changed, or the error where nothing can be
# written.
OnWritten = Callable[[bool | OSError], None]

# Homes and backups hold files of this name, with a table `issued`: neither is renamed.
INDEX_FILE = "issued.db"
_REMEMBERED_MAX = 10_000  # most follow-up requests come soon
_BATCH_MAX = 512
_AGAIN_S = 1.0
_METERED, _PENDING, _CLAIMED = range(3)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS issued (
    identifier TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    project TEXT NOT NULL,
    key_id TEXT NOT NULL,
    seller TEXT NOT NULL,
    segment TEXT NOT NULL,
    deployment TEXT NOT NULL,
    model TEXT NOT NULL,
    endpoint INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    claimed TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS issued_by_owner ON issued (organisation, project, endpoint, created_ns);
CREATE INDEX IF NOT EXISTS issued_pending ON issued (pending, created_ns, identifier) WHERE pending > 0;
CREATE TABLE IF NOT EXISTS contents (
    identifier TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    contents BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    identifier TEXT PRIMARY KEY,
    budgets TEXT NOT NULL,
    picodollars INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0,
    charged INTEGER NOT NULL DEFAULT -1
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_open ON held (identifier) WHERE kept = 0 OR charged >= 0;
CREATE TABLE IF NOT EXISTS to_share (
    identifier TEXT PRIMARY KEY,
    gone INTEGER NOT NULL
) WITHOUT ROWID;
"""
COLUMNS = (
    "identifier, organisation, project, key_id, seller, segment, deployment, model, endpoint, body_bytes, created_ns, "
    "pending"
)
# The first project owns an identifier: if a cloud issues it twice, no resource moves to another
# project.
_INSERT = f"INSERT INTO issued ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_INSERT_CONTENTS = (
    "INSERT INTO contents (identifier, purpose, contents) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_FORGET_CONTENTS = "DELETE FROM contents WHERE identifier = ?"
_SHARE = (
    "INSERT INTO to_share (identifier, gone) VALUES (?, ?) "
    "ON CONFLICT DO UPDATE SET gone = excluded.gone"
)
_INSERT_HOLD = (
    "INSERT INTO held (identifier, budgets, picodollars, created_ns) "
    "VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_OPEN_HOLDS = (
    "SELECT identifier, budgets, picodollars, created_ns, charged FROM held WHERE kept = 0 OR charged >= 0 "
    "ORDER BY charged DESC LIMIT ?"
)
_KEEP_HOLD = "UPDATE held SET kept = 1 WHERE identifier = ?"
_END_HOLD = "UPDATE held SET charged = ? WHERE identifier = ? AND charged < 0"
_FORGET_HOLD = "DELETE FROM held WHERE identifier = ?"
# The process died after it recorded the usage and before it wrote the charge: the whole hold counts.
_END_LOST_HOLDS = (
    "UPDATE held SET charged = picodollars WHERE charged < 0 "
    "AND identifier NOT IN (SELECT identifier FROM issued WHERE pending > 0)"
)
_CLAIM = (
    f"UPDATE issued SET pending = {_CLAIMED}, claimed = ? "
    f"WHERE identifier = ? AND pending = {_PENDING}"
)
_MARK_METERED = (
    f"UPDATE issued SET pending = {_METERED}, claimed = '' "
    f"WHERE identifier = ? AND pending = {_CLAIMED}"
)
# A claim that was made since then belongs to another process.
_RESOLVE = (
    "UPDATE issued SET pending = ?, claimed = '' "
    f"WHERE identifier = ? AND pending = {_CLAIMED} AND claimed IN (?, ?)"
)
# What tries whether rows can be written again: it leaves none.
_TRIAL = (
    ("INSERT INTO to_share (identifier, gone) VALUES ('', 0)", ()),
    ("DELETE FROM to_share WHERE identifier = ''", ()),
)
_FORGET = f"DELETE FROM issued WHERE identifier = ? AND pending = {_METERED}"


class Hold(NamedTuple):
    """The amount that stays reserved of each budget for a pending batch. `charged` is its final
    charge, -1 as long as that is not known."""

    identifier: str
    budgets: tuple[str, ...]
    picodollars: int
    created_ns: int
    charged: int = -1


class IndexedResource(msgspec.Struct, frozen=True):
    """A stateful resource, and the deployment on which it lies. `buyer` is the buyer whose key made
    it, `model` the name that the client asked for, `endpoint` the code of the operation that made
    it, `body_bytes` the length of the request, of a batch that of all its requests. `pending`: no
    request has claimed its end yet, nor metered its usage. `created_ns`: nanoseconds since 1970.

    The `purpose` of a file, the `contents` that were read in it, and the `hold` of a pending batch
    have tables of their own: a resource that is read from the index does not have them."""

    identifier: str
    buyer: Buyer
    deployment: str
    model: str = ""
    endpoint: int = 0
    body_bytes: int = 0
    created_ns: int = 0
    pending: bool = False
    purpose: str = ""
    contents: bytes = b""
    hold: Hold | None = None


class ListedResource(NamedTuple):
    """A resource as a list of its project names it: `created_ns` and `identifier` are its order."""

    identifier: str
    deployment: str
    created_ns: int


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query for the resources of one kind that a project made on some deployments, in order,
    behind the resource (`after_ns`, `after_identifier`) if one is named. With a `purpose`, files of
    which no purpose is known are listed too."""

    organisation: str
    project: str
    endpoint: int
    deployments: tuple[str, ...] = ()
    purpose: str = ""
    after_ns: int = 0
    after_identifier: str = ""
    newest_first: bool = True
    count: int = 0


class _Change(NamedTuple):
    """Statements of one commit, each with its values. `report` hears whether the last one changed a
    row. `resources` are those that the statements insert, in order; the new ones are put into
    `inserted`."""

    steps: Sequence[tuple[str, Sequence[object]]]
    report: OnWritten | None = None
    resources: Sequence[IndexedResource] = ()
    inserted: list[IndexedResource] | None = None


class IndexUnwritable(OSError):
    """The index of identifiers takes no rows, whatever the journal takes."""


class Announcing(Protocol):
    """Gets what is noted to be shared copied to where other homes find it."""

    def announce(self, step: Callable[[], None], /) -> None:
        """Call `step` once that is done, or cannot be waited for."""


class ResourceIndex:
    """The index of one home. A change is reported when it is durable, or as an OSError where it
    cannot be written; where homes share a database, once the change was announced there.

    `failure`: why the last change could not be written; None once changes can be written again, which
    is tried every second. `unreadable`: why the last query failed. Every query raises OSError where
    the file cannot be read."""

    def __init__(
        self,
        path: Path,
        loop: AbstractEventLoop,
        journal: str = "",
        announcing: Announcing | None = None,
    ) -> None:
        """`journal` names the journal in which this process records. Raises OSError where the file
        cannot be opened."""
        self._loop = loop
        self._announcing = announcing
        self._journal = journal
        self._remembered: OrderedDict[str, IndexedResource] = OrderedDict()
        self.failure: OSError | None = None
        self.unreadable: OSError | None = None
        self._path = path
        try:
            self._reading = open_index(path)
            self._listing = open_index(path)
            self._writing = open_index(path)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._inode = path.stat().st_ino
        self._queue: queue.SimpleQueue[_Change | threading.Event | None] = queue.SimpleQueue()
        self._lister = ThreadPoolExecutor(1, "resource lists")
        self._thread = threading.Thread(target=self._write, name="resource index", daemon=True)
        self._thread.start()

    # -- reading

    def _read(
        self, connection: sqlite3.Connection, query: str, values: Sequence[object] = ()
    ) -> list[Any]:
        """Return the rows of a query. Raise OSError where the file cannot be read."""
        try:
            rows = connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            forget_pages(connection)
            self.unreadable = OSError(
                errno.EIO, f"the index of identifiers cannot be read: {error}"
            )
            raise self.unreadable from error
        self.unreadable = None
        return rows

    def find(self, identifier: str) -> IndexedResource | None:
        """Return a resource of any project; None where the index does not have it."""
        resource = self._remembered.get(identifier)
        if resource is not None:
            return resource
        rows = self._read(
            self._reading, f"SELECT {COLUMNS} FROM issued WHERE identifier = ?", (identifier,)
        )
        return resource_in_row(rows[0]) if rows else None

    def is_pending(self, identifier: str) -> bool:
        """Return whether the end of a resource is still to be seen, and its usage to be metered."""
        resource = self.find(identifier)
        return resource is not None and resource.pending

    def find_for(self, buyer: Buyer, identifier: str) -> IndexedResource | None:
        """Return a resource of a buyer's project; resources of other projects are reported as not
        found."""
        resource = self.find(identifier)
        if resource is None or (resource.buyer.organisation, resource.buyer.project) != (
            buyer.organisation,
            buyer.project,
        ):
            return None
        return resource

    def contents(self, identifier: str) -> bytes:
        """Return the contents noted of a file; empty where it was not read."""
        remembered = self._remembered.get(identifier)
        if remembered is not None and remembered.contents:
            return remembered.contents
        rows = self._read(
            self._reading, "SELECT contents FROM contents WHERE identifier = ?", (identifier,)
        )
        return rows[0][0] if rows else b""

    def is_held(self, identifier: str) -> bool:
        """Return whether there is a hold for a resource."""
        return bool(
            self._read(self._reading, "SELECT 1 FROM held WHERE identifier = ?", (identifier,))
        )

    def open_holds(self, count: int) -> list[Hold]:
        """Return some holds that are to be reported to the lease server."""
        rows = self._read(self._reading, _OPEN_HOLDS, (count,))
        return [Hold(row[0], tuple(row[1].split("\n")), *row[2:]) for row in rows]

    async def deployments(self, buyer: Buyer, endpoint: int) -> list[str]:
        """Return the deployments on which resources of one kind lie that a project made."""
        return await self._loop.run_in_executor(self._lister, self._deployments, buyer, endpoint)

    def _deployments(self, buyer: Buyer, endpoint: int) -> list[str]:
        rows = self._read(
            self._listing,
            "SELECT DISTINCT deployment FROM issued WHERE organisation = ? AND project = ? AND endpoint = ?",
            (buyer.organisation, buyer.project, endpoint),
        )
        return [row[0] for row in rows]

    async def list_resources(self, query: ListQuery) -> list[ListedResource]:
        """Return the resources that a query asks for, in its order."""
        return await self._loop.run_in_executor(self._lister, self._list_resources, query)

    def _list_resources(self, query: ListQuery) -> list[ListedResource]:
        deployments = query.deployments
        beyond, order = ("<", "DESC") if query.newest_first else (">", "ASC")
        terms: list[str] = []
        values = [query.organisation, query.project, query.endpoint, *deployments]
        if query.after_identifier:
            # A row value: resources made in one nanosecond are told apart by their identifiers.
            terms.append(f"AND (created_ns, issued.identifier) {beyond} (?, ?)")
            values += (query.after_ns, query.after_identifier)
        if query.purpose:
            terms.append("AND coalesce(contents.purpose, ?) = ?")
            values += (query.purpose, query.purpose)
        rows = self._read(
            self._listing,
            "SELECT issued.identifier, deployment, created_ns FROM issued LEFT JOIN contents USING (identifier) "
            f"WHERE organisation = ? AND project = ? AND endpoint = ? AND deployment IN ({_marks(deployments)}) "
            f"{' '.join(terms)} ORDER BY created_ns {order}, issued.identifier {order} LIMIT ?",
            (*values, query.count),
        )
        return [ListedResource(*row) for row in rows]

    def pending(self, count: int, after: tuple[int, str] = (-1, "")) -> list[IndexedResource]:
        """Return the oldest pending resources that nobody has claimed, at most `count`, behind a
        place (created_ns, identifier)."""
        rows = self._read(
            self._reading,
            f"SELECT {COLUMNS} FROM issued WHERE pending = {_PENDING} AND (created_ns, identifier) > (?, ?) "
            "ORDER BY created_ns, identifier LIMIT ?",
            (*after, count),
        )
        return [resource_in_row(row) for row in rows]

    def claims(self) -> dict[str, str]:
        """Return the claims, not yet metered, of processes that record in this journal: identifier
        → the request that claimed it. Claims of an earlier version name no journal."""
        claims = {}
        for identifier, claimed in self._read(
            self._reading, f"SELECT identifier, claimed FROM issued WHERE pending = {_CLAIMED}"
        ):
            request, _, journal = claimed.partition(" ")
            if journal in ("", self._journal):
                claims[identifier] = request
        return claims

    def still_pending(self, identifiers: Sequence[str]) -> set[str]:
        """Return those of the resources whose end has not been metered."""
        rows = self._read(
            self._reading,
            f"SELECT identifier FROM issued WHERE pending != {_METERED} "
            f"AND identifier IN ({_marks(identifiers)})",
            tuple(identifiers),
        )
        return {row[0] for row in rows}

    def remember(self, resources: Iterable[IndexedResource]) -> None:
        """Remember resources of other homes, as long as there is room."""
        for resource in resources:
            if self.find(resource.identifier) is None:
                self._remember(resource)

    # -- writing

    def add(self, resources: Sequence[IndexedResource], report: OnWritten) -> None:
        """Write rows; those that exist stay as they are."""
        inserted: list[IndexedResource] = []
        announced = self._announced(report)

        def written(outcome: bool | OSError) -> None:
            if not isinstance(outcome, OSError):
                for resource in inserted:
                    self._remember(resource)
            announced(outcome)

        # One commit: a hold without its row would look like one whose process died, and the report
        # is of all rows.
        steps = [step for resource in resources for step in self._steps_to_add(resource)]
        self._queue.put(_Change(steps, written, resources, inserted))

    def _steps_to_add(self, resource: IndexedResource) -> list[tuple[str, Sequence[object]]]:
        """Return the statements that write a resource."""
        steps: list[tuple[str, Sequence[object]]] = []
        if resource.purpose:
            former = self.find(resource.identifier)
            if former is None or former.buyer == resource.buyer:
                contents = resource.identifier, resource.purpose, resource.contents
                steps.append((_INSERT_CONTENTS, contents))
        hold = resource.hold
        if hold is not None:
            budgets = "\n".join(hold.budgets)
            held = resource.identifier, budgets, hold.picodollars, hold.created_ns
            steps.append((_INSERT_HOLD, held))
        if self._announcing is not None:
            steps.append((_SHARE, (resource.identifier, 0)))
        # The row comes last: the report tells whether it was new.
        steps.append((_INSERT, _row_of(resource)))
        return steps

    def claim(self, identifier: str, request: str, report: OnWritten) -> None:
        """Claim the end of a pending resource for one request, which meters its usage; `report`
        hears False if another request has claimed it."""
        former = self._remembered.get(identifier)
        if former is not None:
            self._remembered[identifier] = msgspec.structs.replace(former, pending=False)
        claimed = f"{request} {self._journal}".rstrip()
        self._queue.put(_Change([(_CLAIM, (claimed, identifier))], report))

    def mark_metered(self, identifier: str) -> None:
        """Note that the usage of a claimed resource is recorded."""
        self._queue.put(_Change([(_MARK_METERED, (identifier,))]))

    def mark_hold_kept(self, identifier: str) -> None:
        """Note that a hold has leases of its own."""
        self._queue.put(_Change([(_KEEP_HOLD, (identifier,))]))

    def mark_hold_ended(self, identifier: str, charged: int) -> None:
        """Note the final charge of a hold."""
        self._queue.put(_Change([(_END_HOLD, (charged, identifier))]))

    def forget_hold(self, identifier: str) -> None:
        """Forget a hold that has ended, once the lease server knows."""
        self._queue.put(_Change([(_FORGET_HOLD, (identifier,))]))

    def forget(self, identifier: str, report: OnWritten) -> None:
        """Forget a deleted resource. A pending one stays until it is metered."""
        self._remembered.pop(identifier, None)
        steps: list[tuple[str, Sequence[object]]] = [(_FORGET_CONTENTS, (identifier,))]
        if self._announcing is not None:
            steps.append((_SHARE, (identifier, 1)))
        self._queue.put(_Change([*steps, (_FORGET, (identifier,))], self._announced(report)))

    def resolve(self, claims: Mapping[str, str], recorded: Collection[str]) -> None:
        """Decide the `claims` of a process that died: a resource that one of the `recorded` requests
        of the journal claimed is metered, any other is pending again. Then end the holds whose
        charge the process did not write any more. Try again where the file cannot be written."""
        steps: list[tuple[str, Sequence[object]]] = [
            (_RESOLVE, (_METERED if request in recorded else _PENDING, identifier, *names))
            for identifier, request in claims.items()
            for names in [(request, f"{request} {self._journal}")]
        ]

        def written(outcome: bool | OSError) -> None:
            if isinstance(outcome, OSError):
                # A full disk may have room again; until then the claims stay as they were.
                self._loop.call_later(_AGAIN_S, self._queue.put, change)
                return
            for identifier in claims:
                self._remembered.pop(identifier, None)

        change = _Change([*steps, (_END_LOST_HOLDS, ())], written)
        self._queue.put(change)

    def flush(self) -> None:
        """Wait until every change is on the disk. Its reports are called on the loop's next
        turn."""
        written = threading.Event()
        self._queue.put(written)
        written.wait()

    def close(self) -> None:
        """Write every change, break off lists, then close all connections."""
        self._queue.put(None)
        self._thread.join()
        self._listing.interrupt()
        self._lister.shutdown(cancel_futures=True)
        self._listing.close()
        self._reading.close()
        self._writing.close()

    def _announced(self, report: OnWritten) -> OnWritten:
        """Return a report that waits until other homes can find what was written."""
        announcing = self._announcing
        if announcing is None:
            return report

        def written(outcome: bool | OSError) -> None:
            if isinstance(outcome, OSError):
                report(outcome)
            else:
                announcing.announce(partial(report, outcome))

        return written

    def _remember(self, resource: IndexedResource) -> None:
        self._remembered[resource.identifier] = resource
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def _write(self) -> None:
        """Write changes, in the thread: one commit for all that came during the last commit."""
        ended = False
        while not ended:
            taken = [self._next_change()]
            while len(taken) < _BATCH_MAX and not self._queue.empty():
                taken.append(self._queue.get())
            ended = None in taken
            changes = [entry for entry in taken if isinstance(entry, _Change)]
            outcomes = self._commit(changes)
            for change, outcome in zip(changes, outcomes, strict=True):
                if change.report is not None:
                    self._loop.call_soon_threadsafe(change.report, outcome)
            for entry in taken:
                if isinstance(entry, threading.Event):
                    entry.set()

    def _next_change(self) -> _Change | threading.Event | None:
        """Wait for what is to be written; meanwhile try whether anything can be, after a failure."""
        while self.failure is not None:
            try:
                return self._queue.get(timeout=_AGAIN_S)
            except queue.Empty:
                self._commit([_Change(_TRIAL)])
        return self._queue.get()

    def _commit(self, changes: list[_Change]) -> Sequence[bool | OSError]:
        if not changes:
            return ()
        try:
            with self._writing:
                outcomes = [self._perform(change) for change in changes]
        except sqlite3.Error as error:
            forget_pages(self._writing)
            is_full = primary_code(error) == sqlite3.SQLITE_FULL
            message = f"the index of identifiers cannot be written: {error}"
            self.failure = IndexUnwritable(errno.ENOSPC if is_full else errno.EIO, message)
            return [self.failure] * len(changes)
        # INVARIANT: nothing is told to be kept that went into a file that was removed. SQLite writes
        # on into it, and it ends with the process.
        self.failure = self._removal()
        return outcomes if self.failure is None else [self.failure] * len(changes)

    def _removal(self) -> OSError | None:
        """Return the error of an index whose file is not at its place any more; None if it is."""
        try:
            if self._path.stat().st_ino == self._inode:
                return None
        except OSError as error:
            if error.errno != errno.ENOENT:
                return error
        return IndexUnwritable(
            errno.ENOENT, "the index of identifiers was removed", str(self._path)
        )

    def _perform(self, change: _Change) -> bool:
        """Return whether the last statement changed a row."""
        resources = iter(change.resources)
        for statement, values in change.steps:
            changed = self._writing.execute(statement, values).rowcount > 0
            if statement is _INSERT and change.inserted is not None:
                resource = next(resources)
                if changed:
                    change.inserted.append(resource)
        return changed


def forget_pages(connection: sqlite3.Connection) -> None:
    """Have the next statement read the file again: SQLite keeps the pages that it has read, damaged
    ones too."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA shrink_memory")


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def open_index(path: Path) -> sqlite3.Connection:
    """Open the file of an index, with its tables. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    return connection


def _row_of(resource: IndexedResource) -> Sequence[object]:
    """Return the values of `COLUMNS` of a resource."""
    buyer = resource.buyer
    return (
        resource.identifier,
        buyer.organisation,
        buyer.project,
        buyer.key_id,
        buyer.seller,
        buyer.segment,
        resource.deployment,
        resource.model,
        resource.endpoint,
        resource.body_bytes,
        resource.created_ns,
        int(resource.pending),
    )


def resource_in_row(
    row: tuple[str, str, str, str, str, str, str, str, int, int, int, int],
) -> IndexedResource:
    """Return the resource in a row of `COLUMNS`."""
    return IndexedResource(row[0], Buyer(*row[1:6]), *row[6:11], pending=row[11] == _PENDING)
