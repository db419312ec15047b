"""`clauseway export` of the agreement: one command for each format."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
import typer

from clauseway.app.agreements.exporting import COMBINATION, cedar_schema, extracts
from clauseway.app.agreements.exporting import cedar as cedar_text
from clauseway.app.opening.library import readings_of
from clauseway.cli import options
from clauseway.cli.command_line import check_unread
from clauseway.cli.commands import Export
from clauseway.cli.written import OutFile, WrittenText, put, report_written, write_text
from clauseway.exchange.agreements import AGREEMENT_FORMATS
from clauseway.exchange.agreements.extract import Extract
from clauseway.values import InvalidInput

_Write = Callable[[Extract], WrittenText]


class _Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of every export of agreements."""

    as_of: options.AsOf = None
    known_at: options.KnownAtFlag = None
    reading: options.Readings = None
    suppose: options.Suppositions = None
    facts: options.FactsFile = None
    agreement: options.AgreementFolders = None
    home: options.HomeIfNamed = None
    out: OutFile = None
    as_json: options.AsJson = False


_Entities = Annotated[
    bool, typer.Option("--entities", help="Print the entities instead of the policies (JSON).")
]
_Schema = Annotated[
    bool, typer.Option("--schema", help="Print the schema instead of the policies.")
]


@options.taking(_Flags)
def cedar(
    flags: _Flags, context: typer.Context, entities: _Entities = False, schema: _Schema = False
) -> int:
    """Write the agreement in force as Cedar policies, each with the term it comes from.

    With --out the entities (parties, products, clouds' launches, grants) and the schema, under
    which policies and entities validate strictly, go beside it: partnership.cedar,
    partnership.entities.json and partnership.cedarschema. An authorizer that allows Action::"serve"
    says permitted; else one that allows Action::"serve.once-met" says conditional; else one that
    allows Action::"serve.stated" says forbidden; else it is unstated. Of several agreements each
    has files of its own, and a text says how their answers are joined.

    \b
    The agreement as it was in March 2026:
      clauseway export cedar --as-of 2026-03-15 --out partnership.cedar
    What was expected of May when March ended?
      clauseway export cedar --as-of 2026-05-01 --known-at 2026-03-31
    """
    if flags.out is not None:
        beside = "with --out it is written beside the policies"
        check_unread(context, {"entities": beside, "schema": beside})
    elif entities:
        check_unread(context, {"schema": "one text is printed at a time"})
    if entities or schema:
        return _put_all(flags, _schema if schema else _entities)
    further = {".entities.json": _entities, ".cedarschema": _schema}
    return _put_all(flags, lambda taken: _terms(taken, cedar_text(taken)[0]), further)


def agreement_in(export: Export) -> Callable[..., int]:
    """Return the command that writes agreements in the format of its record."""
    write = AGREEMENT_FORMATS[export.form]

    @options.taking(_Flags)
    def agreement(flags: _Flags) -> int:
        return _put_all(flags, lambda taken: _terms(taken, write(taken)))

    agreement.__doc__ = export.text
    return agreement


def _terms(taken: Extract, text: str) -> WrittenText:
    return WrittenText(text, taken.terms_written, "terms in force")


def _entities(taken: Extract) -> WrittenText:
    text = cedar_text(taken)[1]
    return WrittenText(text, len(msgspec.json.decode(text)), "entities")


def _schema(taken: Extract) -> WrittenText:
    text = cedar_schema(taken)
    return WrittenText(
        text, len(re.findall(r"^(?:entity|type|action)\b", text, re.MULTILINE)), "declarations"
    )


def _put_all(flags: _Flags, write: _Write, beside: Mapping[str, _Write] | None = None) -> int:
    """Write each agreement to a file of its own; a single agreement may go to standard output.

    `beside` are further files of each: their texts by the endings of their names.
    """
    opened = options.opened(flags.agreement, flags.facts, flags.suppose, flags.home)
    taken = extracts(opened, flags.as_of, flags.known_at, readings_of(flags.reading))
    if flags.out is None:
        return report_written([put(flags, write(_only_one(taken)))], flags.as_json)
    out, files = flags.out, []
    for name, extract in taken.items():
        stem = out.stem if len(taken) == 1 else f"{out.stem}.{name}"
        files.append(put(flags, write(extract), out.with_name(f"{stem}{out.suffix}")))
        for ending, write_beside in (beside or {}).items():
            files.append(put(flags, write_beside(extract), out.with_name(f"{stem}{ending}")))
    # Each file answers for its own agreement alone.
    if len(taken) > 1:
        joined = out.with_name(f"{out.stem}.combination.txt")
        write_text(joined, COMBINATION)
        print(
            f"How the answers of {len(taken)} agreements are joined is written to {joined}.",
            file=sys.stderr,
        )
    return report_written(files, flags.as_json)


def _only_one(taken: Mapping[str, Extract]) -> Extract:
    """Return the only agreement. Raise InvalidInput if there are several."""
    if len(taken) > 1:
        mistake, why = "several agreements are several files", "each has rules of its own"
        remedy = (
            "Name where they go: --out both.cedar writes both.NAME.cedar and both.combination.txt."
        )
        raise InvalidInput.of(what=mistake, why=why, where="--out", remedy=remedy)
    [extract] = taken.values()
    return extract
