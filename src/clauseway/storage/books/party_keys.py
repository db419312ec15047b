"""The register of the parties' public keys that a home vouches for: append-only, in the chain of
the books."""

from sqlalchemy import insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control


def keys_of(control: Control) -> dict[str, tuple[str, ...]]:
    """Return the trusted keys, by party, each in the order in which it was recorded."""
    table = schema.party_keys
    keys: dict[str, tuple[str, ...]] = {}
    with control.reading() as connection:
        for row in connection.execute(select(table).order_by(table.c.sequence)):
            keys[row.party] = (*keys.get(row.party, ()), row.public)
    return keys


def record_key(
    control: Control,
    *,
    party: str,
    public: str,
    fingerprint: str,
    who: str,
    why: str,
    recorded_ns: int,
) -> bool:
    """Record that a party's key is trusted; return whether that is new."""
    table = schema.party_keys
    same = (table.c.party == party) & (table.c.public == public)
    with control.writing() as connection:
        # Recorded before: the register is append-only, and says it once.
        if connection.execute(select(table.c.sequence).where(same)).first() is not None:
            return False
        connection.execute(
            insert(table).values(
                party=party,
                public=public,
                fingerprint=fingerprint,
                who=who,
                why=why,
                recorded_ns=recorded_ns,
            )
        )
        return True
