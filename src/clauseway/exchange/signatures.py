"""The signatures of a statement, in a separate document. Pure: knows which bytes are signed; must
not know keys.

    statement (canonical bytes) ── digest, and a digest of each line ──▶ Signatures
    Signatures ── payload of one signature ──▶ Ed25519

Each signature covers everything before it, so a countersignature covers the signature that it
answers. The digests of the lines are signed too, so that a changed statement can be compared line
by line. An unknown member is refused: no signature covers it, although it would seem so.
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
    """A party's signature. `at` is the party's own time of signing (UTC); key and signature are
    base64.

    `unverified` says why the party signed without repeating the settlement; unset if it repeated
    it, or signed first.
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
    """Return the bytes that a signature covers: the document up to it, without the signature
    itself."""
    own = msgspec.structs.replace(document.signatures[number], signature="")
    whole = msgspec.structs.replace(document, signatures=(*document.signatures[:number], own))
    return msgspec.json.encode(whole, order="sorted")


def written(document: Signatures) -> bytes:
    """Return the document as a file."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def changed_lines(document: Signatures, statement: Statement) -> list[str]:
    """Return the differences between a statement and the signed statement, line by line, in
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
    # Each line has a digest; only the digest of the whole covers the rest of the statement.
    if not differences and digest_of(statement) != document.statement:
        differences = [
            "the lines are those that were signed; something else in the statement is not"
        ]
    return differences
