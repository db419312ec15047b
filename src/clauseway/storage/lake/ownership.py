"""The owner of a lake: the database that lists its files. No other removes any.

    InvalidInput     the lake is of another database, or of one that is not known

A home whose address leads to an empty database, or to one of another home, would take every file for
a killed process's. So the first sweep writes the database's name beside the files: the digest with
which its log of the books begins, which copies, backups and moves of a database keep.
"""

from collections.abc import Collection

from sqlalchemy import select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control
from clauseway.storage.lake.stores import Store
from clauseway.values import InvalidInput

# Beside the published table, where readers of the lake never look.
OWNER = "metadata/owner"


def require_own(control: Control, store: Store, stored: Collection[str]) -> None:
    """Raise InvalidInput unless the lake with these `stored` files is of the database."""
    name = _name_of(control)
    owner = _owner(store)
    if not owner:
        if not _lists_some(control, stored):
            raise _foreign(store, f"it lists none of the {len(stored):,} files there")
        # Another process may have written it just now.
        owner = name if store.put(OWNER, name.encode()) else _owner(store)
    if owner != name:
        raise _foreign(store, f"{OWNER} there names another one")


def _name_of(control: Control) -> str:
    columns = schema.audit_log.c
    with control.reading() as connection:
        query = select(columns.digest).order_by(columns.sequence).limit(1)
        return str(connection.execute(query).scalar_one())


def _owner(store: Store) -> str:
    try:
        return store.get(OWNER).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def _lists_some(control: Control, stored: Collection[str]) -> bool:
    with control.reading() as connection:
        listed = connection.execute(select(schema.lake_files.c.name)).scalars()
        return not set(listed).isdisjoint(stored)


def _foreign(store: Store, why: str) -> InvalidInput:
    remedy = (
        "Name the database that lists them (database.url of the home), or another lake (lake.toml "
        f"of the home). If both are right, remove {OWNER} there."
    )
    return InvalidInput.of(
        what="the lake is not of this database, and nothing was removed",
        why=why,
        where=store.location,
        remedy=remedy,
    )
