"""Statements as somebody hands them over, and what is said of one that was repeated.

Nothing here counts usage, so that a command that only shows a statement loads no engine.
"""

from decimal import Decimal
from pathlib import Path

import msgspec

from clauseway.ledger import Statement
from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.differences import Difference
from clauseway.values import NOT_JSON, InvalidInput, Problem

_SIGNATURES = ".signatures.json"
THE_SAME, DIFFERS, CANNOT_BE_CHECKED = "the same", "differs", "cannot be checked here"
_ZERO = Decimal(0)


class HandedStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as somebody handed it over: its format, its bytes, and where they can be read,
    what they say."""

    format: str
    content: bytes
    statement: Statement | None


class LineCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one line: `verdict` is one of the three above. Amounts are USD."""

    line: str
    of: str
    stated: Decimal
    verdict: str
    differs_by: Decimal = _ZERO
    because: str = ""


class StatementVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of repeating a statement. `remarks` say why it could not be repeated in full.

    `estimates` are those that somebody accepted for usage that was lost, and breaks of the books
    that somebody stated: nobody can check what was there before.
    """

    period: str
    party: str
    digest: str
    same: bool
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...] = ()
    lines: tuple[LineCheck, ...] = ()
    estimates: tuple[Assumption, ...] = ()


def read_statement(path: Path) -> HandedStatement:
    """Return a statement's file in any format but the terminal's. Raise InvalidInput."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    # Of these only the bytes count: a verification writes the statement again and compares.
    if content.startswith(b"%PDF"):
        return HandedStatement(format="pdf", content=content, statement=None)
    if content.lstrip()[:9].lower() == b"<!doctype":
        return HandedStatement(format="html", content=content, statement=None)
    if content.startswith(b"line,period,"):
        return HandedStatement(format="csv", content=content, statement=None)
    try:
        statement = msgspec.json.decode(content, type=Statement)
    except NOT_JSON as error:
        raise _unreadable(path, f"it is not a statement: {error}") from None
    return HandedStatement(format="json", content=content, statement=statement)


def beside(statement: Path) -> Path:
    """Return where the signatures of a statement's file lie."""
    return statement.with_name(statement.name + _SIGNATURES)


def is_pack(path: Path) -> bool:
    """Return whether a file looks like a pack."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _unreadable(path: Path, why: str) -> InvalidInput:
    remedy = "Give a statement as clauseway statement writes it: json, html, pdf or csv."
    return InvalidInput(Problem(what="no statement", why=why, where=str(path), remedy=remedy))
