"""Signatures under a statement, as a document of their own beside it. Pure: the signed bytes, not
the signing.

    statement (canonical bytes) ── digest, and a digest of each line ──▶ Signatures
    Signatures ── payload of one signature ──▶ Ed25519

Each signature is over everything before it: a countersignature binds the signature it answers. The
digests of the lines are signed too, so that a changed statement can be compared line by line
without anything else. A member that no record has is refused: nobody signed it, and a signature
beside it would seem to cover it.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from clauseway.ledger.statement import Statement, digest_of

FORMAT = "clauseway-signatures/1"
SIGNED, COUNTERSIGNED, DISPUTED = ROLES = ("signed", "countersigned", "disputed")


class DisputedLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line that a signatory does not accept, and why."""

    line: str
    reason: str


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party's signature. `at` is when it says it signed (UTC); key and signature are base64.

    `unverified` says why it signed a statement that it had not performed again; unset if it had, or
    signed first.
    """

    party: str
    role: str
    at: str
    key: str
    disputes: tuple[DisputedLine, ...] = ()
    unverified: str | msgspec.UnsetType = msgspec.UNSET
    signature: str = ""


class Signatures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document: the statement, its lines' digests by name, and the signatures in order."""

    format: str
    period: str
    party: str
    receipt: str
    statement: str
    lines: Mapping[str, str]
    signatures: tuple[Signature, ...] = ()


def unsigned(statement: Statement) -> Signatures:
    """Return the document of a statement that nobody has signed."""
    return Signatures(
        format=FORMAT,
        period=statement.month,
        party=statement.party,
        receipt=statement.receipt,
        statement=digest_of(statement),
        lines=line_digests(statement),
    )


def line_digests(statement: Statement) -> dict[str, str]:
    """Return SHA-256 of each line's canonical JSON, by the line's name."""
    return {
        line.id: hashlib.sha256(msgspec.json.encode(line, order="sorted")).hexdigest()
        for line in statement.lines
    }


def payload(document: Signatures, number: int) -> bytes:
    """Return the bytes that the signature of this number is over: the document up to it, without
    its own signature."""
    own = msgspec.structs.replace(document.signatures[number], signature="")
    whole = msgspec.structs.replace(document, signatures=(*document.signatures[:number], own))
    return msgspec.json.encode(whole, order="sorted")


def written(document: Signatures) -> bytes:
    """Return the document as a file."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def changed_lines(document: Signatures, statement: Statement) -> list[str]:
    """Return the differences of the statement at hand from the signed one, line by line, in
    sentences."""
    now = line_digests(statement)
    differences = [
        f"line {name} was signed and is gone" for name in sorted(document.lines.keys() - now.keys())
    ]
    differences += [
        f"line {name} is not in what was signed"
        for name in sorted(now.keys() - document.lines.keys())
    ]
    differences += [
        f"line {name} says otherwise than what was signed"
        for name in sorted(now.keys() & document.lines.keys())
        if now[name] != document.lines[name]
    ]
    # Lines have digests of their own; the rest of the statement is covered by the whole's alone.
    if not differences and digest_of(statement) != document.statement:
        differences = [
            "the lines are those that were signed; something else in the statement is not"
        ]
    return differences
