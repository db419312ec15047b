"""The auditor's page of a statement from outside: settled again from this home's usage, and its
signatures checked, as by `clauseway statement verify FILE`."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.handed_statements import (
    HandedStatement,
    beside,
    read_statement,
)
from clauseway.app.reports.verifying import verify_given
from clauseway.app.screens.auditor_page import statement_check
from clauseway.values import InvalidInput
from clauseway.web.auditor import HandedContext, SignatureShown
from clauseway.wording.names import Wording

if TYPE_CHECKING:
    from clauseway.app.reports.signing import SignatureState, Signing

_NAME = "statement.json"
# Loads the library of signatures, which may be absent: a statement without signatures needs none.
_SIGNING = "clauseway.app.reports.signing"


def handed_page(home: Home, opened: Opened, statement: str, signatures: str) -> HandedContext:
    """Return the page of a statement and its signatures, both JSON. Keep nothing."""
    shown = HandedContext(statement=statement, signatures=signatures)
    if not statement.strip():
        return shown
    with TemporaryDirectory(prefix="clauseway-handed-") as folder:
        path = Path(folder) / _NAME
        path.write_bytes(_as_written(statement))
        if signatures.strip():
            beside(path).write_text(signatures, encoding="utf-8")
        return _checked(home, Wording.of(each_of(opened)), path, shown)


def _as_written(typed: str) -> bytes:
    """Return a statement's bytes from its text: a form sends each line end as CR LF, and the field
    may add empty lines around the text."""
    return typed.replace("\r\n", "\n").strip().encode() + b"\n"


def _checked(home: Home, words: Wording, path: Path, shown: HandedContext) -> HandedContext:
    replace = msgspec.structs.replace
    try:
        given = _in_json(read_statement(path), path)
    except InvalidInput as error:
        return replace(shown, problem=error.sentences)
    assert given.statement is not None
    try:
        signing = _signing(home, path, given) if shown.signatures.strip() else None
    except InvalidInput as error:
        return replace(shown, signatures_problem=error.sentences)
    return HandedContext(
        statement=shown.statement,
        signatures=shown.signatures,
        check=statement_check(words, verify_given(home, given), "clauseway statement verify FILE"),
        signed=tuple(_signatures(words, signing, given)) if signing else (),
        changed=signing.changed if signing else (),
        edited=signing.edited if signing else (),
    )


def _signing(home: Home, path: Path, given: HandedStatement) -> "Signing | None":
    """Return the state of the signatures. Raise InvalidInput if the library is not installed."""
    try:
        signing: Signing | None = import_module(_SIGNING).signing_of(home, path, given)
    except ModuleNotFoundError as error:
        raise InvalidInput.of(
            what="the signatures cannot be checked",
            why=f"the library {error.name} is not installed",
            where=str(beside(path)),
            remedy="Install it where the pages run: pip install 'clauseway[signing]'.",
        ) from None
    return signing


def _in_json(given: HandedStatement, path: Path) -> HandedStatement:
    """Return a statement that is JSON. Raise InvalidInput for any other format."""
    if given.statement is not None:
        return given
    raise InvalidInput.of(
        what=f"a statement in {given.format} cannot be read on this page",
        why="only JSON states each line",
        where=str(path),
        remedy="Take it as JSON, or check the file: clauseway statement verify FILE.",
    )


def _signatures(
    words: Wording, signing: "Signing", given: HandedStatement
) -> Iterator[SignatureShown]:
    # A signature may be right although the statement beside it is another, or has other bytes.
    is_another = bool(signing.changed) or given.is_written_anew
    for state in signing.signatures:
        yield SignatureShown(
            party=words.name(state.party),
            role=state.role,
            at=state.at,
            holds=state.valid and state.trusted and not is_another,
            said=", ".join(_in_words(state, is_another=is_another)),
            disputed=tuple(f"not line {each.line}: {each.reason}" for each in state.disputes),
        )


def _in_words(state: "SignatureState", *, is_another: bool) -> Iterator[str]:
    if not state.valid:
        yield "other bytes were signed"
    else:
        yield "another statement was signed" if is_another else "these bytes were signed"
    yield state.vouched
    if state.unverified:
        yield f"signed without performing it again: {state.unverified}"
