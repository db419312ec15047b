"""Secrets of keys that were ended by a write: the key was revoked, or its secret was replaced and
the former one ended at once.

The log of the books says which keys were written, so that a reader need not read all of them.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from clauseway.storage.control import schema
from clauseway.storage.control.audit import Head, head_of
from clauseway.storage.control.control import Control

# The parameters of one statement: every engine takes as many.
_AT_ONCE = 300
_LOG, _KEYS, _FORMER = schema.audit_log.c, schema.keys.c, schema.former_secrets.c
# The rows of the log about a key, and about a secret that was replaced.
_KINDS = ("key", "secret")


def ended_secrets(control: Control, after: int, now_ns: int) -> tuple[Head, list[str]]:
    """Return the end of the log, and the digests of all secrets of those keys that were written
    after number `after` of the log and that no gateway accepts any more."""
    with control.reading() as connection:
        head = head_of(connection)
        if head.sequence <= after:
            return head, []
        key_ids = _written_keys(connection, after)
        ended: list[str] = []
        for at in range(0, len(key_ids), _AT_ONCE):
            ended += _ended(connection, key_ids[at : at + _AT_ONCE], now_ns)
        return head, ended


def _written_keys(connection: Connection, after: int) -> list[str]:
    query = select(_LOG.kind, _LOG.row, _LOG.subject).where(
        _LOG.sequence > after, _LOG.kind.in_(_KINDS)
    )
    # A secret's row names its key.
    rows = connection.execute(query).all()
    return sorted({str(row.row if row.kind == "key" else row.subject) for row in rows})


def _ended(connection: Connection, key_ids: Sequence[str], now_ns: int) -> list[str]:
    revoked = select(_KEYS.digest).where(_KEYS.key_id.in_(key_ids), _KEYS.revoked_ns != 0)
    former = (
        select(_FORMER.digest)
        .join(schema.keys, _KEYS.key_id == _FORMER.key_id)
        .where(_FORMER.key_id.in_(key_ids), or_(_KEYS.revoked_ns != 0, _FORMER.until_ns <= now_ns))
    )
    return [
        *connection.execute(revoked).scalars(),
        *connection.execute(former).scalars(),
    ]
