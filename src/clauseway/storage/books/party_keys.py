"""The register of the parties' public keys that a home vouches for: append-only, in the chain of
the books. A key that is withdrawn is trusted no longer, and never again."""

import msgspec
from sqlalchemy import Connection, insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record

_TABLE = schema.party_keys


class RecordedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the register: whose key is trusted, or withdrawn, by whom, when and why."""

    party: str
    public: str
    fingerprint: str
    who: str
    why: str
    recorded_ns: int
    is_withdrawn: bool = False


def keys_of(control: Control) -> dict[str, tuple[str, ...]]:
    """Return the trusted keys, by party, each in the order in which it was recorded."""
    keys: dict[str, tuple[str, ...]] = {}
    with control.reading() as connection:
        recorded = _recorded(connection)
    withdrawn = {(row.party, row.public) for row in recorded if row.is_withdrawn}
    for row in recorded:
        if (row.party, row.public) not in withdrawn:
            keys[row.party] = (*keys.get(row.party, ()), row.public)
    return keys


def has_keys(control: Control) -> bool:
    """Return whether the register names any key, trusted or withdrawn."""
    with control.reading() as connection:
        return connection.execute(select(_TABLE.c.sequence).limit(1)).first() is not None


def withdrawn_keys(control: Control) -> dict[tuple[str, str], RecordedKey]:
    """Return the withdrawals by party and public key, in the order in which they were recorded."""
    with control.reading() as connection:
        return {(row.party, row.public): row for row in _recorded(connection) if row.is_withdrawn}


def record_key(control: Control, key: RecordedKey) -> bool:
    """Record that a party's key is trusted, or withdrawn; return whether that is new."""
    table = _TABLE.c
    same = (table.party == key.party) & (table.public == key.public)
    with control.writing() as connection:
        # Recorded before: the register is append-only, and says it once.
        before = select(table.sequence).where(same, table.is_withdrawn == key.is_withdrawn)
        if connection.execute(before).first() is not None:
            return False
        connection.execute(insert(_TABLE).values(**msgspec.structs.asdict(key)))
        return True


def _recorded(connection: Connection) -> list[RecordedKey]:
    rows = connection.execute(select(_TABLE).order_by(_TABLE.c.sequence))
    return [as_record(RecordedKey, row) for row in rows]
