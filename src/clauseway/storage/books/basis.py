"""The register of the basis of settlements: who accepted which prices, rates, figures, readings and
agreements, when and why.

Append-only. For each kind and name the latest acceptance holds; an acceptance without a text
withdraws the one before. Texts are kept whole, once each, under their SHA-256.

    Edited    a kept text does not have the digest under which it is kept
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, LargeBinary, cast, insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record


class Edited(Exception):
    """A text is not the text that was accepted under its digest."""


class Accepting(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptance that is to be recorded. `label` is its name for people: a file's name, a value.

    An empty `text` withdraws the acceptance before it; `parts` are further texts that `text` names
    by their digests.
    """

    kind: str
    name: str
    label: str
    text: str
    parts: tuple[str, ...] = ()


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded acceptance. `digest` names its text; it is empty for a withdrawal."""

    sequence: int
    recorded_ns: int
    kind: str
    name: str
    label: str
    digest: str
    who: str
    why: str

    @property
    def is_withdrawal(self) -> bool:
        return not self.digest


# The acceptances that hold at one point, by kind and name.
Holding: TypeAlias = Mapping[tuple[str, str], Acceptance]


# The highest level takes more than twice the time for 6 % fewer bytes.
_COMPRESSION = 6


def text_digest(text: str) -> str:
    """Return the name under which a text is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def accept(
    control: Control, accepting: Sequence[Accepting], *, who: str, why: str, recorded_ns: int
) -> list[Acceptance]:
    """Append acceptances, all or none, in their order; return them as recorded.

    A clock that was set back must not put a later acceptance before an earlier one: time of
    recording never decreases.
    """
    with control.writing() as connection:
        latest = (
            select(schema.basis.c.recorded_ns).order_by(schema.basis.c.sequence.desc()).limit(1)
        )
        before_ns = connection.execute(latest).scalar_one_or_none() or 0
        return [
            _append(connection, acceptance, who, why, max(recorded_ns, before_ns))
            for acceptance in accepting
        ]


def acceptances(control: Control) -> list[Acceptance]:
    """Return everything that was ever accepted or withdrawn, in order."""
    query = select(schema.basis).order_by(schema.basis.c.sequence)
    with control.reading() as connection:
        return [as_record(Acceptance, row) for row in connection.execute(query)]


def holding(recorded: Iterable[Acceptance], known_ns: int | None = None) -> Holding:
    """Return the acceptances that hold, among all of these or those recorded by an instant."""
    held: dict[tuple[str, str], Acceptance] = {}
    for acceptance in recorded:
        if known_ns is not None and acceptance.recorded_ns > known_ns:
            break
        # The later one moves to the end, so that the order is that of recording.
        held.pop((acceptance.kind, acceptance.name), None)
        if not acceptance.is_withdrawal:
            held[acceptance.kind, acceptance.name] = acceptance
    return held


def is_kept(control: Control, digest: str) -> bool:
    """Return whether a text with this digest is kept."""
    query = select(schema.basis_texts.c.digest).where(schema.basis_texts.c.digest == digest)
    with control.reading() as connection:
        return connection.execute(query).first() is not None


def kept_digests(control: Control) -> list[str]:
    """Return the digest under which each text is kept, in order."""
    query = select(schema.basis_texts.c.digest).order_by(schema.basis_texts.c.digest)
    with control.reading() as connection:
        return list(connection.scalars(query))


def text_of(control: Control, digest: str) -> str:
    """Return a kept text. Raise KeyError if none has this digest, Edited if it is not the text that
    was accepted."""
    # A body that somebody wrote there by hand may be no bytes.
    body_bytes = cast(schema.basis_texts.c.body, LargeBinary)
    query = select(body_bytes).where(schema.basis_texts.c.digest == digest)
    with control.reading() as connection:
        body = connection.execute(query).scalar_one_or_none()
    if body is None:
        raise KeyError(digest)
    try:
        text = gzip.decompress(body).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise Edited(digest) from None
    if text_digest(text) != digest:
        raise Edited(digest)
    return text


def _append(
    connection: Connection, accepting: Accepting, who: str, why: str, recorded_ns: int
) -> Acceptance:
    for part in accepting.parts:
        _keep_text(connection, part)
    acceptance = Acceptance(
        sequence=0,
        recorded_ns=recorded_ns,
        kind=accepting.kind,
        name=accepting.name,
        label=accepting.label,
        digest=_keep_text(connection, accepting.text) if accepting.text else "",
        who=who,
        why=why,
    )
    # The database numbers acceptances, in the order in which they were made.
    row = msgspec.structs.asdict(acceptance)
    del row["sequence"]
    done = connection.execute(insert(schema.basis).values(**row))
    assert done.inserted_primary_key is not None
    return msgspec.structs.replace(acceptance, sequence=int(done.inserted_primary_key[0]))


def _keep_text(connection: Connection, text: str) -> str:
    digest, table = text_digest(text), schema.basis_texts
    kept = select(table.c.digest).where(table.c.digest == digest)
    if connection.execute(kept).scalar_one_or_none() is None:
        body = gzip.compress(text.encode(), _COMPRESSION, mtime=0)
        connection.execute(insert(table).values(digest=digest, body=body))
    return digest
