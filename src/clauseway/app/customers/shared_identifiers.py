"""Identifiers of stateful resources, for the gateways of all homes that share a database.

A thread copies what the home's index notes, at once when a gateway asks for it and else within a
second, also what was noted before this process began. A home with a database of its own copies
nothing: its one index knows all that there is.

An identifier that no home has copied is denied only while all homes are heard: a home that does not
reach the database may have issued it.
"""

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway import spool
from clauseway.app.customers.leasing import AnswerQuestion
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import control_of
from clauseway.files.presence import is_there
from clauseway.gateway.request.resource_index import INDEX_FILE, IndexedResource, ListQuery
from clauseway.gateway.request.resources_to_share import ResourcesToShare, note_nothing
from clauseway.gateway.request.shared_index import SILENT_S, FindQuery
from clauseway.metering import Buyer
from clauseway.storage.control.engines import said_by
from clauseway.storage.control.sqlite_check import is_damage
from clauseway.storage.customers.issued_resources import IssuedResources, ResourceRow
from clauseway.values import InvalidInput, Problem

_AT_ONCE_MAX: Final = 500
_EVERY_S: Final = 1.0
_FIND: Final = msgspec.json.Decoder(FindQuery)
_LIST: Final = msgspec.json.Decoder(ListQuery)


def index_of(home: Home) -> Path:
    """Return the file of the resource index: it stays where the first worker's journal is."""
    return home.gateway_journal(0) / INDEX_FILE


@contextlib.contextmanager
def shared_identifiers(home: Home) -> Iterator[Mapping[str, AnswerQuestion]]:
    """Copy identifiers until the block ends; the answers to gateways' queries, by path. Nothing
    is copied, and there are none, where no other home can share the database. Raise InvalidInput
    where the index is damaged."""
    _report_removal(index_of(home))
    if not home.may_be_shared:
        try:
            note_nothing(index_of(home))
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise _damaged(index_of(home), error) from None
            raise
        yield {}
        return
    control = control_of(home)
    shared = IssuedResources(control)
    identifiers = SharedIdentifiers(home.identity(), index_of(home), shared)
    ended = threading.Event()
    thread = threading.Thread(
        target=_copying, args=(identifiers, ended), name="identifiers", daemon=True
    )
    thread.start()
    try:
        yield {
            "/issued/copy": identifiers.copy,
            "/issued/find": identifiers.find,
            "/issued/deployments": identifiers.deployments,
            "/issued/made": identifiers.made,
        }
    finally:
        ended.set()
        thread.join()
        # The gateways have left: what they issued last is known to all before this home is not.
        with contextlib.suppress(DBAPIError, InvalidInput, OSError, sqlite3.Error):
            identifiers.leave()
        identifiers.close()
        control.close()


def _report_removal(index: Path) -> None:
    """Say that the index is gone where the journal beside it was written before."""
    if not is_there(index) and spool.identity_of(index.parent) is not None:
        problem = Problem(
            what="the index of identifiers is gone, and another one is begun",
            why="responses, batches and files that were made before are not found by it",
            where=str(index),
            remedy=f"If nobody meant to remove it, stop, and put {INDEX_FILE} back from the folder journals of "
            "the latest backup.",
        )
        print(problem, file=sys.stderr, flush=True)


def _damaged(index: Path, error: sqlite3.Error) -> InvalidInput:
    return InvalidInput.of(
        what="the index of identifiers is damaged",
        why=f"{error}; responses, batches and files are found by it, and no usage is in it",
        where=str(index),
        remedy=f"Put {INDEX_FILE} back from the folder journals of the latest backup. Without one, move the "
        "file away. What it then lacks is not found any more, and a batch that was pending is "
        "not metered.",
    )


def _copying(identifiers: "SharedIdentifiers", ended: threading.Event) -> None:
    """Copy what nobody asks for (it was noted while the database was away, or before a start), and
    say that all is copied."""
    problem = ""
    while not ended.wait(_EVERY_S):
        try:
            identifiers.copy_all()
            problem = ""
        # Whatever fails (the database, the disk, ourselves), it is tried again.
        except Exception as error:
            if not problem:
                print(
                    f"Identifiers wait to be shared: {said_by(error)}", file=sys.stderr, flush=True
                )
            problem = str(error)


class SharedIdentifiers:
    """The identifiers of one home's index, and of the database."""

    def __init__(self, home: str, index: Path, shared: IssuedResources) -> None:
        self._home, self._index, self._shared = home, index, shared
        self._to_share: ResourcesToShare | None = None
        self._one_copy = threading.Lock()

    def copy(self, _body: bytes = b"") -> bytes:
        """Copy all that is noted by now. Raises DBAPIError, InvalidInput, OSError, sqlite3.Error."""
        with self._one_copy:
            # No gateway of the home has begun as long as there is no file.
            if self._to_share is None and not is_there(self._index):
                return b"{}"
            self._to_share = to_share = self._to_share or ResourcesToShare(self._index)
            try:
                self._copy_from(to_share)
            except sqlite3.Error:
                to_share.read_again()
                raise
        return b"{}"

    def _copy_from(self, to_share: ResourcesToShare) -> None:
        while noted := to_share.waiting(_AT_ONCE_MAX):
            added = [_row(note.resource) for note in noted if note.resource is not None]
            # An identifier without a resource was deleted, or its row is gone here.
            gone = [note.identifier for note in noted if note.resource is None]
            self._shared.change(added, gone)
            to_share.let_go(noted)

    def copy_all(self) -> None:
        """Copy all that is noted, and say so. Raises as `copy` does."""
        self.copy()
        self._shared.copied_all(self._home)

    def leave(self) -> None:
        """Copy all that is noted for the last time. Raises as `copy` does."""
        self.copy()
        self._shared.leave(self._home)

    def find(self, body: bytes) -> bytes:
        """Return the resources that are found; null where one is not, and may be known elsewhere."""
        query = _FIND.decode(body)
        # Looked at first: what a home that was heard by then had issued is there to be found.
        is_complete = self._shared.is_complete(SILENT_S)
        rows = self._shared.find(query.organisation, query.project, query.identifiers)
        if len(rows) < len(query.identifiers) and not is_complete:
            return b"null"
        return msgspec.json.encode([_resource(row) for row in rows])

    def deployments(self, body: bytes) -> bytes:
        """Return where something lies; null where a list would not be whole."""
        if not self._shared.is_complete(SILENT_S):
            return b"null"
        query = _LIST.decode(body)
        names = self._shared.deployments(query.organisation, query.project, query.endpoint)
        return msgspec.json.encode(names)

    def made(self, body: bytes) -> bytes:
        query = _LIST.decode(body)
        after = (query.after_ns, query.after_identifier)
        rows = self._shared.made(
            query.organisation,
            query.project,
            query.endpoint,
            deployments=query.deployments,
            purpose=query.purpose,
            after=after if query.after_identifier else None,
            newest_first=query.newest_first,
            count=query.count,
        )
        # A list needs no contents, which may be long.
        return msgspec.json.encode(
            [_resource(msgspec.structs.replace(row, contents=b"")) for row in rows]
        )

    def close(self) -> None:
        if self._to_share is not None:
            self._to_share.close()


def _row(resource: IndexedResource) -> ResourceRow:
    buyer = resource.buyer
    return ResourceRow(
        identifier=resource.identifier,
        organisation=buyer.organisation,
        project=buyer.project,
        key_id=buyer.key_id,
        seller=buyer.seller,
        segment=buyer.segment,
        deployment=resource.deployment,
        model=resource.model,
        endpoint=resource.endpoint,
        body_bytes=resource.body_bytes,
        created_ns=resource.created_ns,
        purpose=resource.purpose,
        contents=resource.contents,
    )


def _resource(row: ResourceRow) -> IndexedResource:
    """Return a resource as other homes know it: what is pending is metered by its own home."""
    return IndexedResource(
        identifier=row.identifier,
        buyer=Buyer(row.organisation, row.project, row.key_id, row.seller, row.segment),
        deployment=row.deployment,
        model=row.model,
        endpoint=row.endpoint,
        body_bytes=row.body_bytes,
        created_ns=row.created_ns,
        pending=False,
        purpose=row.purpose,
        contents=row.contents,
    )
