"""The passwords of whoever reads the pages, as verifiers: a password itself is stored nowhere."""

import hashlib
import hmac
import secrets

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from clauseway.storage.control import schema

# scrypt's cost, block size and lanes: 32 MB and some tenths of a second for each try. They stand in
# each verifier, so that a later program may ask for more.
_COST, _BLOCK, _LANES = 2**15, 8, 3
_MEMORY_MAX = 64 * 1024 * 1024


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may read the pages: the screens that they see, and the verifier of their
    password."""

    account: str
    sees: tuple[str, ...]
    verifier: str
    recorded_ns: int


def verifier_of(password: str) -> str:
    """Return a verifier of a password: the text that later tries are held against. Each has a salt
    of its own."""
    salt = secrets.token_bytes(16)
    digest = _digest(password, salt, _COST, _BLOCK, _LANES)
    return f"scrypt:{_COST}:{_BLOCK}:{_LANES}:{salt.hex()}:{digest.hex()}"


def unmatched_verifier() -> str:
    """Return a verifier that no password matches; trying it takes as long as any other."""
    salt, digest = secrets.token_hex(16), secrets.token_hex(64)
    return f"scrypt:{_COST}:{_BLOCK}:{_LANES}:{salt}:{digest}"


def matches(password: str, verifier: str) -> bool:
    """Return whether a verifier was made of this password. Every try takes as long."""
    _, cost, block, lanes, salt, digest = verifier.split(":")
    tried = _digest(password, bytes.fromhex(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(tried, bytes.fromhex(digest))


def passwords(connection: Connection) -> list[Password]:
    """Return everybody who has a password, in the order of their accounts."""
    query = select(schema.passwords).order_by(schema.passwords.c.account)
    return [_password(row) for row in connection.execute(query)]


def password_of(connection: Connection, account: str) -> Password | None:
    """Return somebody's password."""
    if "\0" in account:
        return None  # a stranger types it; PostgreSQL has no such text, and fails where it is asked
    query = select(schema.passwords).where(schema.passwords.c.account == account)
    row = connection.execute(query).one_or_none()
    return None if row is None else _password(row)


def set_password(connection: Connection, password: Password) -> None:
    """Set somebody's password, or replace it."""
    values = {
        "verifier": password.verifier,
        "sees": " ".join(password.sees),
        "recorded_ns": password.recorded_ns,
    }
    named = schema.passwords.c.account == password.account
    if not connection.execute(update(schema.passwords).where(named).values(values)).rowcount:
        connection.execute(insert(schema.passwords).values(account=password.account, **values))


def remove_password(connection: Connection, account: str) -> bool:
    """Let somebody read the pages no more; return whether they could."""
    named = schema.passwords.c.account == account
    return connection.execute(delete(schema.passwords).where(named)).rowcount > 0


def _digest(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=_MEMORY_MAX
    )


def _password(row: Row[tuple[object, ...]]) -> Password:
    values = row._mapping
    return Password(
        account=values["account"],
        sees=tuple(values["sees"].split()),
        verifier=values["verifier"],
        recorded_ns=values["recorded_ns"],
    )
