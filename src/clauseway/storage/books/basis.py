"""The register of what settlements stand on: who accepted which prices, rates, figures, readings
and agreements, when and why.

Append-only. Of one kind and name the latest acceptance holds; one without a text withdraws what
was accepted before. Texts are kept whole, once each, under their SHA-256.

    Edited    a kept text is not what its digest names
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record


class Edited(Exception):
    """A text is not the one that was accepted under its digest."""


class Accepting(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptance that is to be recorded. `label` is what people call it: a file's name, a value.

    `text` is empty where it withdraws what was accepted before; `parts` are further texts that
    `text` names by their digests.
    """

    kind: str
    name: str
    label: str
    text: str
    parts: tuple[str, ...] = ()


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded acceptance. `digest` names its text; it is empty where it is a withdrawal."""

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


def text_digest(text: str) -> str:
    """The name under which a text is kept."""
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
            _append(connection, one, who, why, max(recorded_ns, before_ns)) for one in accepting
        ]


def acceptances(control: Control) -> list[Acceptance]:
    """Return everything that was ever accepted or withdrawn, in order."""
    query = select(schema.basis).order_by(schema.basis.c.sequence)
    with control.reading() as connection:
        return [as_record(Acceptance, row) for row in connection.execute(query)]


def holding(recorded: Iterable[Acceptance], known_ns: int | None = None) -> Holding:
    """Return what holds of these acceptances, all of them or those recorded by an instant."""
    held: dict[tuple[str, str], Acceptance] = {}
    for one in recorded:
        if known_ns is not None and one.recorded_ns > known_ns:
            break
        # The later one moves to the end, so that the order is that of recording.
        held.pop((one.kind, one.name), None)
        if not one.is_withdrawal:
            held[one.kind, one.name] = one
    return held


def is_kept(control: Control, digest: str) -> bool:
    """Return whether a text with this digest is kept."""
    query = select(schema.basis_texts.c.digest).where(schema.basis_texts.c.digest == digest)
    with control.reading() as connection:
        return connection.execute(query).first() is not None


def text_of(control: Control, digest: str) -> str:
    """Return a text that is kept. Raises KeyError where none has this digest, Edited where it is
    not the text that was accepted."""
    query = select(schema.basis_texts.c.body).where(schema.basis_texts.c.digest == digest)
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
    connection: Connection, one: Accepting, who: str, why: str, recorded_ns: int
) -> Acceptance:
    for part in one.parts:
        _keep_text(connection, part)
    acceptance = Acceptance(
        sequence=0,
        recorded_ns=recorded_ns,
        kind=one.kind,
        name=one.name,
        label=one.label,
        digest=_keep_text(connection, one.text) if one.text else "",
        who=who,
        why=why,
    )
    row = msgspec.structs.asdict(acceptance)
    del row["sequence"]
    done = connection.execute(insert(schema.basis).values(**row))
    assert done.inserted_primary_key is not None
    return msgspec.structs.replace(acceptance, sequence=int(done.inserted_primary_key[0]))


def _keep_text(connection: Connection, text: str) -> str:
    digest, table = text_digest(text), schema.basis_texts
    kept = select(table.c.digest).where(table.c.digest == digest)
    if connection.execute(kept).scalar_one_or_none() is None:
        body = gzip.compress(text.encode(), mtime=0)
        connection.execute(insert(table).values(digest=digest, body=body))
    return digest
