"""Statements from outside, and the result of repeating a statement.

Must not know usage, so that a command that only shows a statement loads no engine.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import msgspec

from clauseway.app.opening.places import read_bytes
from clauseway.ledger import Statement
from clauseway.ledger.assumptions import Assumption
from clauseway.ledger.differences import Difference
from clauseway.ledger.statement import canonical_bytes
from clauseway.values import NOT_JSON, InvalidInput, check_depth, check_names, unreal_amount

_SIGNATURES = ".signatures.json"
# The most that is read of a statement and of its signatures. 100,000 lines have 60 MB.
STATEMENT_BYTES_MAX, SIGNATURES_BYTES_MAX = 256 << 20, 64 << 20
THE_SAME, DIFFERS, CANNOT_BE_CHECKED = "the same", "differs", "cannot be checked here"
_ZERO = Decimal(0)
_AMOUNT_SHOWN_MAX = 40
# Packs and workbooks are zip archives; only a workbook has this part. Its texts are in `_TEXTS`.
_ARCHIVE, _WORKBOOK = b"PK\x03\x04", "xl/workbook.xml"
_TEXTS = ("xl/sharedStrings.xml", "xl/worksheets/")
# The texts of a statement with a hundred thousand lines.
_TEXTS_BYTES_MAX = 64 << 20
_NO_WORKBOOK = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class HandedStatement(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A statement from outside: its format and bytes, and its content if the format is JSON."""

    format: str
    content: bytes
    statement: Statement | None

    @cached_property
    def is_written_anew(self) -> bool:
        """Whether a statement in JSON has other bytes than the signed ones, which may hide content:
        a repeated name, or an unknown member."""
        return self.statement is not None and self.content != canonical_bytes(self.statement)

    @cached_property
    def text(self) -> bytes:
        """The bytes in which a print states the digest of its statement; empty if unreadable."""
        if self.format != "xlsx":
            return self.content
        try:
            with zipfile.ZipFile(io.BytesIO(self.content)) as parts:
                return b"".join(_texts_in(parts))
        except _NO_WORKBOOK:
            return b""


def _texts_in(workbook: zipfile.ZipFile) -> Iterator[bytes]:
    """Yield the parts of a workbook with texts, up to a bound, because an archive may expand."""
    left = _TEXTS_BYTES_MAX
    for name in workbook.namelist():
        if name.startswith(_TEXTS):
            with workbook.open(name) as part:
                content = part.read(left)
            left -= len(content)
            yield content


class LineCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one line: `verdict` is one of the three above. Amounts are USD."""

    line: str
    of: str
    stated: Decimal
    verdict: str
    differs_by: Decimal
    because: str


class StatementVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The result of repeating a statement. `remarks` say why it could not be repeated in full.

    `estimates` are accepted estimates of lost usage and stated breaks of the books, which nobody
    can check.
    """

    period: str
    party: str
    digest: str
    same: bool
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...]
    lines: tuple[LineCheck, ...]
    estimates: tuple[Assumption, ...]

    @property
    def is_unchecked(self) -> bool:
        """Return whether nothing of the statement could be repeated: no line is right or wrong."""
        verdicts = {line.verdict for line in self.lines}
        return not self.differences and verdicts == {CANNOT_BE_CHECKED}


def read_statement(path: Path) -> HandedStatement:
    """Return a statement's file in any format but the terminal's. Raise InvalidInput."""
    try:
        content = read_bytes(path, STATEMENT_BYTES_MAX)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    # A verification of these formats writes the statement again and compares the bytes.
    if content.startswith(b"%PDF"):
        return HandedStatement(format="pdf", content=content, statement=None)
    if content.lstrip()[:9].lower() == b"<!doctype":
        return HandedStatement(format="html", content=content, statement=None)
    if content.startswith(b"line,period,"):
        return HandedStatement(format="csv", content=content, statement=None)
    if content.startswith(_ARCHIVE):
        return HandedStatement(format="xlsx", content=content, statement=None)
    try:
        statement = statement_in(content)
    except NOT_JSON as error:
        raise _unreadable(path, f"it is not a statement: {error}") from None
    return HandedStatement(format="json", content=content, statement=statement)


def statement_in(content: bytes) -> Statement:
    """Return the statement that JSON states. Raise DecodeError where it states none, RecursionError
    where it nests too deeply, InvalidInput for a name that could imitate a result."""
    check_depth(content)
    statement = msgspec.json.decode(content, type=Statement)
    amount = unreal_amount(statement)
    if amount is not None:
        raise msgspec.DecodeError(f"{str(amount)[:_AMOUNT_SHOWN_MAX]} is not an amount")
    # Names are printed with the result: a name with line breaks could imitate it.
    check_names(_names_in(statement))
    return statement


def _names_in(statement: Statement) -> Iterator[tuple[str, str]]:
    """Yield the field and the value of each name in a statement, without empty names."""
    named = [("party", statement.party)]
    for direction in statement.directions:
        named += [("directions.payer", direction.payer), ("directions.payee", direction.payee)]
    for line in statement.lines:
        named += [
            ("lines.id", line.id),
            ("lines.payer", line.payer),
            ("lines.payee", line.payee),
            ("lines.term", line.term),
            ("lines.product", line.product),
            ("lines.cloud", line.cloud),
            ("lines.seller", line.seller),
        ]
    yield from ((where, name) for where, name in named if name)


def beside(statement: Path) -> Path:
    """Return the path of the signatures of a statement's file."""
    return statement.with_name(statement.name + _SIGNATURES)


def is_pack(path: Path) -> bool:
    """Return whether a file looks like a pack: an archive that is not a workbook."""
    try:
        with path.open("rb") as file:
            if file.read(len(_ARCHIVE)) != _ARCHIVE:
                return False
        return not _is_workbook(path)
    except OSError:
        return False


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as parts:
            return _WORKBOOK in parts.namelist()
    except _NO_WORKBOOK:
        return False


def _unreadable(path: Path, why: str) -> InvalidInput:
    remedy = "Give a statement as clauseway statement writes it: json, html, pdf, xlsx or csv."
    return InvalidInput.of(what="no statement", why=why, where=str(path), remedy=remedy)
