"""Sign, countersign and dispute statements, and find the lines that differ from a signed
statement."""

import base64
import os
import time
from datetime import date, datetime
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clauseway.app.books.audit_log import edited_keys
from clauseway.app.books.party_keys import (
    is_signed,
    keys_folder,
    older_key_file,
    private_key,
    public_of,
)
from clauseway.app.books.trusted_keys import trusted_keys, withdrawal_text, withdrawals
from clauseway.app.opening.home import Home
from clauseway.app.opening.places import file_at, read_bytes
from clauseway.app.reports.handed_statements import SIGNATURES_BYTES_MAX, HandedStatement, beside
from clauseway.app.reports.packing import verify_pack
from clauseway.app.reports.tracing import BookedDispute, disputed_days
from clauseway.app.reports.verifying import verify_statement
from clauseway.exchange.signatures import (
    COUNTERSIGNED,
    DISPUTED,
    FORMAT,
    ROLES,
    SIGNED,
    DisputedLine,
    Signature,
    Signatures,
    changed_lines,
    payload,
    unsigned,
    written,
)
from clauseway.files.presence import is_there
from clauseway.ledger import Statement
from clauseway.ledger.statement import canonical_bytes
from clauseway.values import (
    NOT_JSON,
    InvalidInput,
    KnownAt,
    cause_of,
    check_depth,
    check_names_once,
    flaw_of_name,
)

# Each signature covers all before it, so each costs as much as all of them. A statement has some
# parties, each of which signs once.
_SIGNATURES_MAX = 100
_BESIDE = "Put the statement where you may write beside it."


class SignatureState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one signature.

    `valid`: its key signed its bytes; `trusted`: the home trusts the key as the party's.
    `withdrawn` says who withdrew the key, when and why; empty for a key in force.
    """

    party: str
    role: str
    at: str
    valid: bool
    trusted: bool
    disputes: tuple[DisputedLine, ...]
    unverified: str
    withdrawn: str

    @property
    def vouched(self) -> str:
        """Return in words whether the home trusts the key, or who withdrew it."""
        if self.withdrawn:
            return f"its key was {self.withdrawn}"
        return "its key is trusted here" if self.trusted else "nobody here vouches for its key"


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """The signatures of a statement, and the lines that differ from the signed statement.

    `edited` names trusted keys of the home that differ from its records; `note` says that the key
    is at the place of an older version.
    """

    file: str
    signatures: tuple[SignatureState, ...]
    changed: tuple[str, ...]
    edited: tuple[str, ...]
    note: str = ""

    @property
    def holds(self) -> bool:
        return (
            not self.changed
            and not self.edited
            and all(signature.valid and signature.trusted for signature in self.signatures)
        )


def sign(
    home: Home, path: Path, given: HandedStatement, party: str, key: Path | None, role: str = SIGNED
) -> Signing:
    """Sign a statement as a party; the signatures are written beside it.

    Raise InvalidInput: not a statement's JSON as it was written, not a party to it, signed before,
    nothing to countersign, or no key.
    """
    return _signed(_ready(home, path, given, party, key, role))


def countersign(
    home: Home,
    path: Path,
    given: HandedStatement,
    party: str,
    key: Path | None,
    pack: Path | None = None,
    unverified: str = "",
) -> Signing:
    """Sign a statement that another party has signed and whose signatures hold.

    First repeat it, from a pack or from this home. If the result differs, sign only with a reason
    (`unverified`), which becomes part of the signature. Raise InvalidInput.
    """
    statement = _signable(path, given, party)
    is_first = not is_there(beside(path))
    if not unverified and not is_first:
        _refuse_unverified(home, path, statement, pack)
    ready = _ready(home, path, given, party, key, COUNTERSIGNED)
    return _signed(ready, unverified=unverified)


def _refuse_unverified(home: Home, path: Path, statement: Statement, pack: Path | None) -> None:
    remedy = 'See clauseway statement verify; or countersign it as it is: --unverified --why "…".'
    problem, where = "it cannot be countersigned", str(pack or path)
    if pack is not None:
        verified, packed, _ = verify_pack(pack, home)
        # A pack proves its own statement, which may not be the statement to sign.
        if packed.content != canonical_bytes(statement):
            raise InvalidInput.of(
                what=problem, why="the pack holds another statement", where=where, remedy=remedy
            )
        is_same = verified.same
    else:
        is_same = verify_statement(home, statement).same
    if not is_same:
        why = "performed again here, it is not the same"
        raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)


def dispute(
    home: Home,
    path: Path,
    given: HandedStatement,
    party: str,
    key: Path | None,
    line: str,
    reason: str,
    day: date | None,
) -> tuple[BookedDispute, Signing]:
    """Dispute a line of a statement in the books, and sign the statement except for this line.

    Raise InvalidInput before anything is booked if the statement cannot be signed.
    """
    ready = _ready(home, path, given, party, key, DISPUTED)
    _refuse_other_line(path, ready.statement, line)
    _refuse_read_only(path)
    booked = disputed_days(home, line, party, reason, day)
    return booked, _signed(ready, disputes=(DisputedLine(line=booked.line, reason=reason),))


def _refuse_other_line(path: Path, statement: Statement, line: str) -> None:
    if not any(stated.id.startswith(line.lower()) for stated in statement.lines):
        problem, why = "it cannot be signed", f"it has no line {line!r}"
        remedy = "Name a line of this statement, or dispute the line without --file."
        raise InvalidInput.of(what=problem, why=why, where=str(path), remedy=remedy)


def _refuse_read_only(path: Path) -> None:
    if not os.access(path.parent, os.W_OK):
        raise InvalidInput.of(
            what="cannot be written",
            why="the folder is read-only",
            where=str(beside(path)),
            remedy=_BESIDE,
        )


def signing_of(home: Home, path: Path, given: HandedStatement) -> Signing | None:
    """Return the state of a statement's signatures; None if it has none.

    Raise InvalidInput.
    """
    if not is_there(beside(path)) or given.statement is None:
        return None
    document = _read(beside(path))
    trusted = trusted_keys(home)
    withdrawn = {key: withdrawal_text(ended) for key, ended in withdrawals(home).items()}
    states = tuple(
        SignatureState(
            party=signature.party,
            role=signature.role,
            at=signature.at,
            # A signature covers everything before it, so its number determines its bytes.
            valid=is_signed(signature.key, signature.signature, payload(document, number)),
            trusted=signature.key in trusted.get(signature.party, ()),
            disputes=signature.disputes,
            unverified=signature.unverified or "",
            withdrawn=withdrawn.get((signature.party, signature.key), ""),
        )
        for number, signature in enumerate(document.signatures)
    )
    return Signing(
        file=beside(path).name,
        signatures=states,
        changed=tuple(changed_lines(document, given.statement)),
        edited=tuple(f"{problem.what}: {problem.why}" for problem in edited_keys(home)),
    )


class _Ready(NamedTuple):
    """A statement that a party may sign, with the signatures before and the key."""

    home: Home
    path: Path
    given: HandedStatement
    statement: Statement
    document: Signatures
    party: str
    role: str
    private: Ed25519PrivateKey
    note: str


def _ready(
    home: Home, path: Path, given: HandedStatement, party: str, key: Path | None, role: str
) -> _Ready:
    """Return a statement that can be signed. Raise InvalidInput before anything is written."""
    statement = _signable(path, given, party)
    document = _read(beside(path)) if is_there(beside(path)) else unsigned(statement)
    _refuse(path, document, signing_of(home, path, given), party, role)
    older = None if key else older_key_file(home, party)
    note = f"{party}'s key lies in an older place: mv {older} {keys_folder(home)}/" if older else ""
    private = private_key(home, party, key)
    _refuse_withdrawn(home, path, party, public_of(private))
    return _Ready(home, path, given, statement, document, party, role, private, note)


def _refuse_withdrawn(home: Home, path: Path, party: str, public: str) -> None:
    if ended := withdrawals(home).get((party, public)):
        raise InvalidInput.of(
            what="it cannot be signed",
            why=f"the key of {party} was {withdrawal_text(ended)}",
            where=str(path),
            remedy=f"Move the key away, and make another: clauseway party key create --party {party}.",
        )


def _signed(
    ready: _Ready, *, disputes: tuple[DisputedLine, ...] = (), unverified: str = ""
) -> Signing:
    """Sign, and write the signatures beside the statement."""
    path, private = ready.path, ready.private
    at = str(KnownAt(time.time_ns()).to_the_second())
    # The signature covers its place in the document, so it is added before it is computed.
    own = Signature(
        party=ready.party,
        role=ready.role,
        at=at,
        key=public_of(private),
        disputes=disputes,
        unverified=unverified or msgspec.UNSET,
    )
    before = ready.document.signatures
    document = msgspec.structs.replace(ready.document, signatures=(*before, own))
    signature = private.sign(payload(document, len(before)))
    own = msgspec.structs.replace(own, signature=base64.b64encode(signature).decode())
    document = msgspec.structs.replace(document, signatures=(*before, own))
    with file_at(beside(path), _BESIDE) as signatures:
        signatures.write_bytes(written(document))
    signing = signing_of(ready.home, path, ready.given)
    assert signing is not None, "it was just written"
    return msgspec.structs.replace(signing, note=ready.note)


def _signable(path: Path, given: HandedStatement, party: str) -> Statement:
    """Return the statement, if it is the JSON that is signed and concerns the party."""
    problem = "it cannot be signed"
    if given.statement is None or given.is_written_anew:
        why = "what is signed is the statement's JSON, byte for byte as clauseway writes it"
        remedy = (
            "Write it again: clauseway statement --period … --out may.json. Prints of it carry "
            "its hash."
        )
        raise InvalidInput.of(what=problem, why=why, where=str(path), remedy=remedy)
    parties = {
        name
        for direction in given.statement.directions
        for name in (direction.payer, direction.payee)
    }
    if party not in parties:
        why, remedy = (
            f"{party} neither pays nor is paid by it",
            f"Its parties: {', '.join(sorted(parties)) or 'none'}.",
        )
        raise InvalidInput.of(what=problem, why=why, where="--party", remedy=remedy)
    return given.statement


def _refuse(
    path: Path, document: Signatures, before: Signing | None, party: str, role: str
) -> None:
    problem, where = "it cannot be signed", str(beside(path))
    if before is not None and (
        before.changed or not all(signature.valid for signature in before.signatures)
    ):
        why = "; ".join(before.changed) or "a signature under it is not valid"
        remedy = "Ask for the statement that was signed, or move the signatures away."
        raise InvalidInput.of(what=problem, why=why, where=where, remedy=remedy)
    if any(signature.party == party for signature in document.signatures):
        remedy = "Move the signatures away to begin again."
        raise InvalidInput.of(
            what=problem, why=f"{party} has signed it", where=where, remedy=remedy
        )
    if role == COUNTERSIGNED and not document.signatures:
        why, remedy = (
            "nobody has signed it yet",
            f"Sign it: clauseway statement sign {quote(path.name)} --party {party}.",
        )
        raise InvalidInput.of(
            what="it cannot be countersigned", why=why, where=where, remedy=remedy
        )


def _check_number(signatures: int) -> None:
    """Raise DecodeError where nobody signed, which would pass as signed by all, or too many did."""
    if not signatures:
        raise msgspec.DecodeError("nobody has signed in it")
    if signatures > _SIGNATURES_MAX:
        raise msgspec.DecodeError(f"{signatures:,} signatures are more than {_SIGNATURES_MAX}")


def _check_words(signature: Signature) -> None:
    """Raise DecodeError unless party, role and time are valid, because they are printed with the
    result."""
    if flaw := flaw_of_name(signature.party):
        raise msgspec.DecodeError(f"{signature.party!a} is not a name: {flaw}")
    if signature.role not in ROLES:
        raise msgspec.DecodeError(f"{signature.role!a} is none of {', '.join(ROLES)}")
    try:
        datetime.strptime(signature.at, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise msgspec.DecodeError(f"{signature.at!a} is no instant") from None


def _read(path: Path) -> Signatures:
    try:
        content = read_bytes(path, SIGNATURES_BYTES_MAX)
        check_depth(content)
        document = msgspec.json.decode(content, type=Signatures)
        check_names_once(content)
        if document.format != FORMAT:
            raise msgspec.DecodeError(f"its format is {document.format!r}")
        _check_number(len(document.signatures))
        for signature in document.signatures:
            _check_words(signature)
    except (OSError, *NOT_JSON) as error:
        problem, remedy = "no signatures", f"Give a document of the format {FORMAT}."
        raise InvalidInput.of(
            what=problem, why=cause_of(error), where=str(path), remedy=remedy
        ) from None
    return document
