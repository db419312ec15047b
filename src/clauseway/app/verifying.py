"""Repeating a statement: settle again from what it says it was made from, and say what comes out otherwise.

Nothing of the home is changed: a copy of its control data is settled from, with the batches that the statement names.
"""

from pathlib import Path

import msgspec

from clauseway.app.audit_log import edits
from clauseway.app.basis import basis_of, settled_agreement, settled_prices
from clauseway.app.handing_over import unpriced
from clauseway.app.home import Home
from clauseway.app.settling import Settler, latest_settlements, month, vouchers_hash
from clauseway.app.statement_formats import FORMATS
from clauseway.ledger import Settlement, Statement, corrected, statement_of
from clauseway.ledger.differences import Difference, differences
from clauseway.ledger.statement import canonical_bytes, digest_of
from clauseway.ledger.vouchers import Voucher
from clauseway.pricing import UnknownPrice
from clauseway.storage.books import Books
from clauseway.storage.past import Past, as_it_was
from clauseway.values import InvalidInput, KnownAt, Problem

_SIGNATURES = ".signatures.json"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as somebody handed it over: its format, its bytes, and where they can be read, what they say."""

    format: str
    content: bytes
    statement: Statement | None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of repeating a statement. `remarks` say why it could not be repeated in full."""

    period: str
    party: str
    digest: str
    same: bool
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...] = ()


def read_statement(path: Path) -> Given:
    """A statement's file in any format but the terminal's. Raises InvalidInput."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if content.startswith(b"%PDF"):
        return Given(format="pdf", content=content, statement=None)
    if content.lstrip()[:9].lower() == b"<!doctype":
        return Given(format="html", content=content, statement=None)
    if content.startswith(b"line,period,"):
        return Given(format="csv", content=content, statement=None)
    try:
        statement = msgspec.json.decode(content, type=Statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(path, f"it is no statement: {error}") from None
    return Given(format="json", content=content, statement=statement)


def beside(statement: Path) -> Path:
    """Where the signatures of a statement's file lie."""
    return statement.with_name(statement.name + _SIGNATURES)


def verify_settled(home: Home, period: str, party: str) -> Verification:
    """Repeat the statement of a settled month. Raises InvalidInput where it is not settled."""
    _ = month(period)
    found = latest_settlements(home).get(period)
    if found is None:
        todo = f"Settle it first: clauseway settle --period {period} --assume …"
        what, why = f"{period} is not settled", "no settlement of that month was posted here"
        raise InvalidInput(Problem(what=what, why=why, where="--period", todo=todo))
    return verify_statement(home, statement_of(found, party))


def verify_given(home: Home, given: Given) -> Verification:
    """Repeat a statement that was handed over. A JSON file says itself what it was made from; of any other format the
    settlement must be here, and the file must be what is written of it. Raises InvalidInput."""
    if given.statement is None:
        return _verify_print(home, given)
    done = verify_statement(home, given.statement)
    if done.same and given.content != canonical_bytes(given.statement):
        remark = "The file says the same in other bytes than those that are signed: it was written anew."
        return msgspec.structs.replace(done, same=False, remarks=(*done.remarks, remark))
    return done


def verify_statement(home: Home, stated: Statement) -> Verification:
    """Settle again from what a statement says it was made from. Raises InvalidInput where that is impossible."""
    repeated, remarks = _repeated(home, stated)
    remarks += [f"The books were edited: {problem.what}: {problem.why}." for problem in edits(home)]
    found = statement_of(repeated, stated.party)
    different = tuple(differences(stated, found))
    return Verification(
        period=stated.month,
        party=stated.party,
        digest=digest_of(stated),
        same=not different and not remarks,
        differences=different,
        remarks=tuple(remarks),
    )


def _repeated(home: Home, stated: Statement) -> tuple[Settlement, list[str]]:
    inputs = stated.inputs
    table = settled_prices(home, inputs.price_book, KnownAt.parse(inputs.known_at))
    opened, readings = settled_agreement(home, inputs.agreement), inputs.readings or {}
    assume = [f"{one.name}={value}" for one in stated.assumptions if one.accepted for value in one.value.split("; ")]
    with as_it_was(home.control, home.lake, inputs.batches) as past:
        books = Books(past.lake.control)
        settler = Settler(
            past.lake, opened, table, readings, _vouchers_then(books.vouchers(), inputs.vouchers), use_kept=False
        )
        try:
            repeated = settler.settle(stated.as_of, assume)
        except UnknownPrice as error:
            raise unpriced(error) from None
        kept = [one for one in past.lake.control.settlements(stated.as_of) if one.receipt == stated.receipt]
        remarks = _remarks(past)
    if inputs.closed and kept:
        last = kept[-1]
        repeated = corrected(repeated, last.corrections, last.inputs.closed, last.restated)
    elif inputs.closed:
        remarks.append("The corrections of closed months cannot be repeated: the settlement itself is not here.")
    return repeated, remarks


def _remarks(past: Past) -> list[str]:
    remarks = []
    if past.missing:
        remarks.append(f"{len(past.missing)} batches of usage are not in this lake, the first {past.missing[0]}.")
    if past.is_merged:
        remarks.append("Files of usage were merged with later ones, so what was settled from cannot be told apart.")
    return remarks


def _vouchers_then(vouchers: list[Voucher], digest: str) -> list[Voucher]:
    """The vouchers that had been recorded when they had this hash; all where they never had."""
    for count in range(len(vouchers), -1, -1):
        if vouchers_hash(vouchers[:count]) == digest:
            return vouchers[:count]
    return vouchers


def _verify_print(home: Home, given: Given) -> Verification:
    parties = ("", *sorted(basis_of(home).opened().catalog.parties))
    for period, settlement in latest_settlements(home).items():
        for statement in (statement_of(settlement, party) for party in parties):
            if digest_of(statement).encode() in given.content:
                done = verify_statement(home, statement)
                if FORMATS[given.format](statement) == given.content:
                    return done
                remark = f"The {given.format} names the statement of {period} and is not what is written of it."
                return msgspec.structs.replace(done, same=False, remarks=(*done.remarks, remark))
    what, why = "whose statement it is cannot be told", "it names none of the statements that are settled here"
    todo = "Give the statement as JSON, which says what it was made from, or settle the month here."
    raise InvalidInput(Problem(what=what, why=why, where="FILE", todo=todo))


def _unreadable(path: Path, why: str) -> InvalidInput:
    todo = "Give a statement as clauseway statement writes it: json, html, pdf or csv."
    return InvalidInput(Problem(what="no statement", why=why, where=str(path), todo=todo))
