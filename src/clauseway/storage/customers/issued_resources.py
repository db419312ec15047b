"""Identifiers of stateful resources and where they lie, of all homes that share a database.

A home writes here what its own index holds already. Rows are added once, never changed, and removed
with their resource: the first project owns an identifier, in whichever home it was issued.

Each served home also says when it last copied all that it had issued, by the clock that all share:
what is not found here was issued by nobody, unless a home has been silent since.

PostgreSQL keeps no text with NUL, in which clients and clouds may name things. A resource with one is
not kept here, on SQLite neither: it would stop the copies of all that comes after it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import delete, insert, select, tuple_, update

from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control, as_record

_TABLE: Final = schema.issued_resources
_NS: Final = 1_000_000_000
# A home that is silent for longer is taken for gone: what it did not copy is found again with it.
_GONE_NS: Final = 300 * _NS
_AT_ONCE_MAX: Final = 500  # far below the parameters that either database takes in one statement


class ResourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An identifier, the project and key that it was issued to, and its deployment. `purpose` and
    `contents` are those of a file, empty for other resources."""

    identifier: str
    organisation: str
    project: str
    key_id: str
    seller: str
    segment: str
    deployment: str
    model: str
    endpoint: int
    body_bytes: int
    created_ns: int
    purpose: str = ""
    contents: bytes = b""


class IssuedResources:
    """The identifiers in a control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def change(self, added: Sequence[ResourceRow], removed: Sequence[str]) -> None:
        """Add rows, as far as their identifiers are new, and remove others. One transaction.

        Rows with NUL are left out.
        """
        # In one order everywhere, so that no two homes wait for each other.
        rows = map(msgspec.structs.asdict, sorted(added, key=lambda row: row.identifier))
        values = [row for row in rows if not any(map(_has_nul, row.values()))]
        with self._control.adding() as connection:
            if values:
                adding = engines.insert_into(connection, _TABLE).on_conflict_do_nothing()
                connection.execute(adding, values)
            for some in _parts(sorted(_without_nul(removed))):
                connection.execute(delete(_TABLE).where(_TABLE.c.identifier.in_(some)))

    def copied_all(self, home: str) -> None:
        """Note that all that a home has issued by now is here."""
        copies = schema.identifier_copies
        with self._control.adding() as connection:
            values = {"copied_ns": engines.now_ns(connection)}
            named = update(copies).where(copies.c.home == home)
            if not connection.execute(named.values(**values)).rowcount:
                connection.execute(insert(copies).values(home=home, **values))

    def leave(self, home: str) -> None:
        """Note that a home issues nothing any more: nobody waits for it to be heard."""
        copies = schema.identifier_copies
        with self._control.adding() as connection:
            connection.execute(delete(copies).where(copies.c.home == home))

    def is_complete(self, silent_s: float) -> bool:
        """Return whether no home may have issued something that is not here: each copied within
        the last `silent_s` seconds, or left, or is gone."""
        copies = schema.identifier_copies
        with self._control.reading() as connection:
            now_ns = engines.now_ns(connection)
            silent = select(copies.c.home).where(
                copies.c.copied_ns <= now_ns - int(silent_s * _NS),
                copies.c.copied_ns > now_ns - _GONE_NS,
            )
            return connection.execute(silent).first() is None

    def find(
        self, organisation: str, project: str, identifiers: Sequence[str]
    ) -> list[ResourceRow]:
        """Return the rows of some identifiers, as far as they are a project's."""
        rows: list[ResourceRow] = []
        with self._control.reading() as connection:
            for some in _parts(_without_nul(identifiers)):
                query = select(_TABLE).where(
                    _TABLE.c.identifier.in_(some),
                    _TABLE.c.organisation == organisation,
                    _TABLE.c.project == project,
                )
                rows += [as_record(ResourceRow, row) for row in connection.execute(query)]
        return rows

    def deployments(self, organisation: str, project: str, endpoint: int) -> list[str]:
        """Return where resources of one kind lie that a project made."""
        query = (
            select(_TABLE.c.deployment)
            .distinct()
            .where(
                _TABLE.c.organisation == organisation,
                _TABLE.c.project == project,
                _TABLE.c.endpoint == endpoint,
            )
            .order_by(_TABLE.c.deployment)
        )
        with self._control.reading() as connection:
            return list(connection.execute(query).scalars())

    def made(
        self,
        organisation: str,
        project: str,
        endpoint: int,
        *,
        deployments: Sequence[str],
        purpose: str,
        after: tuple[int, str] | None,
        newest_first: bool,
        count: int,
    ) -> list[ResourceRow]:
        """Return what a project made on some deployments, in the order of (created_ns, identifier),
        behind a place in it. With a `purpose`, also what is not known to have another."""
        place = tuple_(_TABLE.c.created_ns, _TABLE.c.identifier)
        query = select(_TABLE).where(
            _TABLE.c.organisation == organisation,
            _TABLE.c.project == project,
            _TABLE.c.endpoint == endpoint,
            _TABLE.c.deployment.in_(deployments),
        )
        if purpose:
            query = query.where(_TABLE.c.purpose.in_(("", *_without_nul([purpose]))))
        if after is not None:
            query = query.where(place < after if newest_first else place > after)
        columns = (_TABLE.c.created_ns, _TABLE.c.identifier)
        ordered = [column.desc() if newest_first else column.asc() for column in columns]
        with self._control.reading() as connection:
            rows = connection.execute(query.order_by(*ordered).limit(count))
            return [as_record(ResourceRow, row) for row in rows]


def _has_nul(value: object) -> bool:
    return isinstance(value, str) and "\0" in value


def _without_nul(texts: Iterable[str]) -> list[str]:
    """Return the texts that the database may have."""
    return [text for text in texts if not _has_nul(text)]


def _parts(identifiers: Sequence[str]) -> list[Sequence[str]]:
    return [identifiers[at : at + _AT_ONCE_MAX] for at in range(0, len(identifiers), _AT_ONCE_MAX)]
