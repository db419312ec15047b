"""Read an amendment from its document: parse every block first, then validate them all.

    Block ─ blocks.read_mapping ─▶ YamlValue ─ blocks.build ─▶ term or change
    checks.check_term, check_change: the mistakes that a record shows beside the definitions

Each step adds its mistakes to one list and goes on, so that an author sees all of them at once.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement.language.agreement import Amendment, Change, Clause
from clauseway.agreement.language.kinds import NO_KINDS
from clauseway.agreement.language.terms import EXCLUSIVE_SUFFIX, KINDS, AnyTerm
from clauseway.agreement.reading.blocks import Cited, Named, build, read_mapping
from clauseway.agreement.reading.checks import TermPlace, check_change, check_term
from clauseway.agreement.reading.definitions import Definitions, spelled
from clauseway.agreement.reading.exclusive import (
    EXCLUSIVE_KEYS,
    with_exclusivities,
)
from clauseway.agreement.reading.front import AmendmentFront, read_front
from clauseway.agreement.reading.knowledge import known_since
from clauseway.agreement.text.entries import YamlValue
from clauseway.agreement.text.markdown import Block, Document
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.values import Citation, KnownAt, suggestion


class WrittenFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that every term and change has beside the fields of its kind."""

    id: Named
    source: Cited


class OfKind(msgspec.Struct, frozen=True, kw_only=True):
    """The field that decides which other fields a term may have."""

    kind: str


_BESIDE_A_TERM = frozenset({"id", "source", "kind"})
_BESIDE_A_CHANGE = frozenset({"id", "source"})


class ParsedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A term or change as parsed, with the lines of its keys.

    `declared` holds its id and line, even if the rest could not be read. `written` is None if its
    id or source has a mistake. `record` is None if any part of it could not be read.
    """

    block: Block
    declared: tuple[tuple[str, int], ...]
    entry: YamlValue
    written: WrittenFields | None = None
    record: AnyTerm | Change | None = None

    def names(self, key: str) -> list[tuple[str, int]]:
        """Return the names listed under a key, each with its line."""
        member = self.entry.members.get(key)
        return [(str(item.value), item.line) for item in member.items] if member else []

    def line(self, key: str) -> int:
        """Return the line of a key; of the head if it does not have the key."""
        return self.entry.members.get(key, self.entry).line


class Changed(msgspec.Struct, frozen=True):
    """A term that a change names, and the line on which it names the term."""

    change: Change
    term: str
    line: int


class AmendmentRead(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment as far as it could be read. `changed` holds the terms its readable changes name.

    `id` and `declared` (the id and line of each term and change) are read even if the rest has
    mistakes, so that references to them are not mistakes too. `effective` and `concluded` are None
    if they could not be read.
    """

    document: str
    id: str
    effective: date | None
    concluded: date | None
    after: str
    declared: tuple[tuple[str, int], ...]
    changed: tuple[Changed, ...]
    rescinded: tuple[Changed, ...]
    # The terms that permissions override, each with its line.
    despite: tuple[tuple[str, int], ...]
    # None if the document has any mistake.
    amendment: Amendment | None


def read_amendment(
    document: Document, definitions: Definitions, mistakes: Mistakes
) -> AmendmentRead:
    """Read a document and report its own mistakes. `sequence` checks all documents together."""
    before = len(mistakes)
    # Parse everything: the front matter and each block become records with their lines.
    entry, front = read_front(document, AmendmentFront, mistakes)
    place = _Place(
        document=document,
        amendment=entry.text("id"),
        effective=front.effective if front else None,
        titles=definitions.sources,
    )
    statements = [_parse(block, place, mistakes) for block in document.blocks]
    # Validate everything: hold the records against each other and against the definitions.
    known_at = _known_at(entry, front, definitions, mistakes) if front else KnownAt.always()
    _check_clauses(document, mistakes)
    for statement in statements:
        _check_statement(statement, place.effective, definitions, mistakes)
    # Gather: the amendment itself if nothing is wrong, and the names for `sequence` in any case.
    changes = [
        (statement, statement.record)
        for statement in statements
        if isinstance(statement.record, Change)
    ]
    return AmendmentRead(
        document=document.name,
        id=place.amendment,
        effective=place.effective,
        concluded=(front.concluded or front.announced) if front else None,
        after=entry.text("after"),
        declared=tuple(name for statement in statements for name in statement.declared),
        changed=tuple(
            Changed(change, term, line)
            for statement, change in changes
            for key in ("ends", "sets-end")
            for term, line in statement.names(key)
        ),
        rescinded=tuple(
            Changed(change, amendment, line)
            for statement, change in changes
            for amendment, line in statement.names("rescinds")
        ),
        despite=tuple(name for statement in statements for name in statement.names("despite")),
        amendment=(
            _amendment(front, known_at, document, statements)
            if front and len(mistakes) == before
            else None
        ),
    )


# Parse


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """The document that a block stands in, as far as the block's record depends on it."""

    document: Document
    amendment: str
    effective: date | None
    # The titles of sources, by name.
    titles: Mapping[str, str]

    def cite(self, block: Block, written: WrittenFields) -> Citation:
        section = self.document.sections[block.clause]
        return Citation(
            term=written.id,
            amendment=self.amendment,
            document=self.document.name,
            line=block.line,
            source=spelled(written.source, self.titles),
            text=section.text or section.title,
        )


def _parse(block: Block, place: _Place, mistakes: Mistakes) -> ParsedBlock:
    """Return a block as parsed, and report what cannot be read in it."""
    # From YAML to keys and values with their lines.
    entry = read_mapping(block, ("term", "change"), mistakes)
    if entry is None:
        return ParsedBlock(block=block, declared=_ids_in(block), entry=YamlValue({}, block.line))
    declared: tuple[tuple[str, int], ...] = ((entry.text("id"), block.line),)
    if any(key in entry.members for key in EXCLUSIVE_KEYS):
        declared += ((f"{entry.text('id')}{EXCLUSIVE_SUFFIX}", block.line),)
    # From keys and values to a record of the kind that is written.
    written = build(WrittenFields, entry.only(("id", "source")), mistakes)
    kind: type[AnyTerm | Change] | None = Change
    if block.kind == "term":
        kind = _kind(entry, mistakes)
    if kind is None:
        return ParsedBlock(block=block, declared=declared, entry=entry, written=written)
    # Without a citation the record is built all the same, to find its mistakes.
    citation = place.cite(block, written) if written and block.clause >= 0 else None
    computed: dict[str, object] = {"id": written.id if written else "", "citation": citation}
    if kind is not Change and "begins" not in entry.members:
        # Without a day to begin on, the document already has a mistake. Read on to find more.
        computed["begins"] = place.effective or date.min
    beside = _BESIDE_A_CHANGE if kind is Change else _BESIDE_A_TERM
    record = build(kind, entry, mistakes, computed, beside)
    return ParsedBlock(
        block=block,
        declared=declared,
        entry=entry,
        written=written,
        record=record if citation else None,
    )


def _ids_in(block: Block) -> tuple[tuple[str, int], ...]:
    """Return the ids, with their lines, that an unreadable block seems to name."""
    lines = enumerate(block.text.split("\n"), start=block.line)
    return tuple(
        (line.partition(":")[2].strip(), at) for at, line in lines if line.startswith("id:")
    )


def _kind(entry: YamlValue, mistakes: Mistakes) -> type[AnyTerm | Change] | None:
    written = build(OfKind, entry.only(("kind",)), mistakes)
    if written is None:
        return None
    kind = KINDS.get(written.kind)
    if kind is None:
        _report_unknown_kind(written.kind, entry.members["kind"].line, mistakes)
        return None
    return kind.term


def _report_unknown_kind(written: str, line: int, mistakes: Mistakes) -> None:
    """Report an unknown kind of term, with the nearest kind or another way to say it."""
    problem, why = f"unknown kind of term {written!r}", "no term of such a kind is executed"
    remedy = (
        f"Write one of: {', '.join(sorted(KINDS))}; keep as prose what none of them says, or as "
        "kind: context, which decides nothing and is shown."
    )
    if way := next((way for part, way in NO_KINDS.items() if part in written.casefold()), None):
        why, remedy = way.why, way.remedy
    else:
        remedy = suggestion(written, KINDS, remedy)
    mistakes.add(line, problem, why, remedy)


# Validate


def _check_statement(
    statement: ParsedBlock, effective: date | None, definitions: Definitions, mistakes: Mistakes
) -> None:
    """Report what is wrong with a statement in its own document; `sequence` does the rest."""
    block = statement.block
    if block.clause < 0 and statement.entry.members:
        problem = f"{statement.entry.text('id') or 'the block'} stands under no clause"
        remedy = "Put it under a heading such as '## 1.2 Title'."
        mistakes.add(block.line, problem, "a term restates a numbered clause", remedy)
    elif statement.written is not None:
        sources = definitions.names["sources"]
        for source in statement.written.source:
            mistakes.check_defined(statement.line("source"), "source", source.id, sources)
    place = TermPlace(
        entry=statement.entry, effective=effective, definitions=definitions, mistakes=mistakes
    )
    match statement.record:
        case None:
            pass
        case Change() as change:
            check_change(change, place)
        case term:
            check_term(term, place)


def _known_at(
    written: YamlValue, front: AmendmentFront, definitions: Definitions, mistakes: Mistakes
) -> KnownAt:
    """Return the point from which the amendment is known. Report a day before its announcement."""
    lines = {key: member.line for key, member in written.members.items()}
    for source in front.sources:
        mistakes.check_defined(lines["sources"], "source", source, definitions.names["sources"])
    known_at = known_since(front.recorded, front.announced, lines.get("recorded", 1), mistakes)
    if known_at < KnownAt.recorded_on(front.announced):
        problem, why = (
            "recorded before it was announced",
            f"{front.recorded} lies before {front.announced}",
        )
        mistakes.add(lines["recorded"], problem, why, "Fix one of the two, or delete recorded:.")
    return known_at


def _check_clauses(document: Document, mistakes: Mistakes) -> None:
    lines: dict[str, int] = {}
    # Without readable front matter, the lines meant as front matter may look like a heading.
    for section in document.sections if document.front else ():
        if not section.number:
            problem, remedy = (
                f"the heading {section.title!r} has no number",
                "Write it as '## 1.2 Title'.",
            )
            mistakes.add(section.line, problem, "a clause is named by its number", remedy)
        elif section.number in lines:
            problem, why = (
                f"clause {section.number} stands twice",
                f"it stands on line {lines[section.number]}",
            )
            mistakes.add(section.line, problem, why, "Number one of them otherwise.")
        lines.setdefault(section.number, section.line)


# Gather


def _amendment(
    front: AmendmentFront,
    known_at: KnownAt,
    document: Document,
    statements: Sequence[ParsedBlock],
) -> Amendment:
    formalised = {statement.block.clause for statement in statements}
    records = [statement.record for statement in statements if statement.record is not None]
    return Amendment(
        id=front.id,
        title=front.title,
        document=document.name,
        announced=front.announced,
        effective=front.effective,
        known=known_at,
        clauses=tuple(
            Clause(
                number=section.number,
                title=section.title,
                text=section.text,
                line=section.line,
                formalised=index in formalised,
            )
            for index, section in enumerate(document.sections)
        ),
        terms=with_exclusivities(record for record in records if not isinstance(record, Change)),
        changes=tuple(record for record in records if isinstance(record, Change)),
    )
