"""The auditor's page of a statement that somebody handed over: performed again from this home's
usage, and the signatures under it, as `clauseway statement verify FILE` tells it."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.reports.amounts import cents
from clauseway.app.reports.handed_statements import (
    HandedStatement,
    LineCheck,
    StatementVerification,
    beside,
    read_statement,
)
from clauseway.app.reports.verifying import verify_given
from clauseway.values import InvalidInput, Problem
from clauseway.web.auditor import CheckContext, HandedContext, SignatureShown
from clauseway.wording.dates import month_in_words
from clauseway.wording.names import Wording

if TYPE_CHECKING:
    from clauseway.app.reports.signing import SignatureState, Signing

_NAME = "statement.json"
# Loads the library of signatures: a statement without any is performed again where that is absent.
_SIGNING = "clauseway.app.reports.signing"


def handed_page(home: Home, opened: Opened, statement: str, signatures: str) -> HandedContext:
    """Return the page of a statement and its signatures, as JSON. Nothing is kept."""
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
    """Return a statement's bytes of its text: a form sends each line's end in two signs, and lines
    around the text are the field's."""
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
        check=_repeated(words, verify_given(home, given)),
        signed=tuple(_signatures(words, signing, given)) if signing else (),
        changed=signing.changed if signing else (),
        edited=signing.edited if signing else (),
    )


def _signing(home: Home, path: Path, given: HandedStatement) -> "Signing | None":
    """Return the state of the signatures. Raise InvalidInput where nothing here can read them."""
    try:
        signing: Signing | None = import_module(_SIGNING).signing_of(home, path, given)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            Problem(
                what="the signatures cannot be checked",
                why=f"the library {error.name} is not installed",
                where=str(beside(path)),
                remedy="Install it where the pages run: pip install 'clauseway[signing]'.",
            )
        ) from None
    return signing


def _in_json(given: HandedStatement, path: Path) -> HandedStatement:
    """Refuse a statement of which only the bytes can be compared. Raise InvalidInput."""
    if given.statement is not None:
        return given
    raise InvalidInput(
        Problem(
            what=f"a statement as {given.format} is not read here",
            why="its bytes say nothing of each line",
            where=str(path),
            remedy="Take it as JSON, or check the file: clauseway statement verify FILE.",
        )
    )


def _repeated(words: Wording, done: StatementVerification) -> CheckContext:
    whom = f" for {words.name(done.party)}" if done.party else ""
    return CheckContext(
        title=f"The statement of {month_in_words(done.period)}{whom}, settled again",
        holds=done.same,
        said="repeats to the byte" if done.same else "does not repeat",
        lines=tuple(
            (line.line, f"{words.spelt(line.of)} {cents(line.stated)}", _verdict(line))
            for line in done.lines
        ),
        remarks=(
            f"Digest {done.digest}.",
            *done.remarks,
            *(f"{each.name} = {each.value}: {each.text}" for each in done.estimates),
            *map(str, done.differences),
        ),
        command="clauseway statement verify FILE",
    )


def _verdict(line: LineCheck) -> str:
    if line.because:
        return f"{line.verdict}: {line.because}"
    return f"{line.verdict} by {line.differs_by:+,.2f}" if line.differs_by else line.verdict


def _signatures(
    words: Wording, signing: "Signing", given: HandedStatement
) -> Iterator[SignatureShown]:
    # A signature may be right, and the statement beside it another one, or written anew.
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
