"""Read an amendment from its document: front matter, numbered clauses, terms and changes."""

from datetime import date

import msgspec

from clauseway.agreement.language.agreement import Amendment, Change, Clause
from clauseway.agreement.language.kinds import KINDS
from clauseway.agreement.language.terms import AnyTerm
from clauseway.agreement.reading.blocks import Cited, Named, build, read_mapping
from clauseway.agreement.reading.checks import Place, check_change, check_term
from clauseway.agreement.reading.definitions import Definitions, spelled
from clauseway.agreement.reading.front import AmendmentFront, read_front
from clauseway.agreement.reading.knowledge import known_since
from clauseway.agreement.text.entries import Entry
from clauseway.agreement.text.markdown import Block, Document
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.values import Citation, KnownAt


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that every term and change has beside the fields of its kind."""

    id: Named
    source: Cited


class OfKind(msgspec.Struct, frozen=True, kw_only=True):
    """The field that decides which other fields a term may have."""

    kind: str


_BESIDE_A_TERM = frozenset({"id", "source", "kind"})
_BESIDE_A_CHANGE = frozenset({"id", "source"})


class Changed(msgspec.Struct, frozen=True):
    """A term that a change names, and the line on which it names the term."""

    change: Change
    term: str
    line: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
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


def read_amendment(document: Document, definitions: Definitions, mistakes: Mistakes) -> Draft:
    """Read a document and report its own mistakes. `sequence` checks all documents together."""
    before = len(mistakes)
    written, front = read_front(document, AmendmentFront, mistakes)
    known_at = _check_front(written, front, definitions, mistakes) if front else KnownAt.always()
    _check_clauses(document, mistakes)
    page = _Page(
        document, written.text("id"), front.effective if front else None, definitions, mistakes
    )
    for block in document.blocks:
        page.read(block)
    amendment = _amendment(front, known_at, page) if front and len(mistakes) == before else None
    return Draft(
        document=document.name,
        id=page.amendment,
        effective=page.effective,
        concluded=(front.concluded or front.announced) if front else None,
        after=written.text("after"),
        declared=tuple(page.declared),
        changed=tuple(page.changed),
        rescinded=tuple(page.rescinded),
        despite=tuple(page.despite),
        amendment=amendment,
    )


def _amendment(front: AmendmentFront, known_at: KnownAt, page: "_Page") -> Amendment:
    formalised = {block.clause for block in page.document.blocks}
    return Amendment(
        id=front.id,
        title=front.title,
        document=page.document.name,
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
            for index, section in enumerate(page.document.sections)
        ),
        terms=tuple(page.terms),
        changes=tuple(page.changes),
    )


def _check_front(
    written: Entry, front: AmendmentFront, definitions: Definitions, mistakes: Mistakes
) -> KnownAt:
    """Since when the amendment is known: not before it was announced."""
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
            problem, todo = (
                f"the heading {section.title!r} has no number",
                "Write it as '## 1.2 Title'.",
            )
            mistakes.add(section.line, problem, "a clause is named by its number", todo)
        elif section.number in lines:
            problem, why = (
                f"clause {section.number} stands twice",
                f"it stands on line {lines[section.number]}",
            )
            mistakes.add(section.line, problem, why, "Number one of them otherwise.")
        lines.setdefault(section.number, section.line)


class _Page:
    """The blocks of one document, read one after the other."""

    def __init__(
        self,
        document: Document,
        amendment: str,
        effective: date | None,
        definitions: Definitions,
        mistakes: Mistakes,
    ) -> None:
        self.document = document
        self.amendment = amendment
        self.effective = effective
        self.declared: list[tuple[str, int]] = []
        self.terms: list[AnyTerm] = []
        self.changes: list[Change] = []
        self.changed: list[Changed] = []
        self.rescinded: list[Changed] = []
        self.despite: list[tuple[str, int]] = []
        self._definitions = definitions
        self._mistakes = mistakes

    def read(self, block: Block) -> None:
        entry = read_mapping(block, ("term", "change"), self._mistakes)
        self.declared += _ids_in(block) if entry is None else [(entry.text("id"), block.line)]
        if entry is None:
            return
        citation = self._citation(entry, block)
        if block.kind == "change":
            self._read_change(entry, citation)
        else:
            self._read_term(entry, citation)

    def _read_change(self, entry: Entry, citation: Citation | None) -> None:
        computed = {"citation": citation, "id": citation.term if citation else ""}
        change = build(Change, entry, self._mistakes, computed, beside=_BESIDE_A_CHANGE)
        if change is None or citation is None:
            return
        self.changes.append(change)
        named = [
            item
            for key in ("ends", "sets-end")
            if key in entry.members
            for item in entry.members[key].items
        ]
        self.changed += [Changed(change, str(item.value), item.line) for item in named]
        if "rescinds" in entry.members:
            self.rescinded += [
                Changed(change, str(item.value), item.line)
                for item in entry.members["rescinds"].items
            ]
        check_change(change, self._place(entry))

    def _read_term(self, entry: Entry, citation: Citation | None) -> None:
        kind = self._kind(entry)
        if kind is None:
            return
        computed: dict[str, object] = {
            "citation": citation,
            "id": citation.term if citation else "",
        }
        if "begins" not in entry.members:
            # Without a day to begin on, the document already has a mistake. Read on to find more.
            computed["begins"] = self.effective or date.min
        term = build(kind, entry, self._mistakes, computed, beside=_BESIDE_A_TERM)
        if "despite" in entry.members:
            self.despite += [
                (str(item.value), item.line) for item in entry.members["despite"].items
            ]
        if term is not None and citation is not None:
            self.terms.append(term)
            check_term(term, self._place(entry))

    def _place(self, entry: Entry) -> Place:
        return Place(
            entry=entry,
            effective=self.effective,
            definitions=self._definitions,
            mistakes=self._mistakes,
        )

    def _kind(self, entry: Entry) -> type[AnyTerm] | None:
        about = entry.only(("kind",))
        written = build(OfKind, about, self._mistakes)
        if written is None:
            return None
        self._mistakes.check_one_of(entry.members["kind"].line, "kind of term", written.kind, KINDS)
        kind = KINDS.get(written.kind)
        return kind.term if kind else None

    def _citation(self, entry: Entry, block: Block) -> Citation | None:
        """Return the citation of a term or change.

        Return None if it lacks an id or source, or stands under no clause.
        """
        about = entry.only(("id", "source"))
        written = build(Written, about, self._mistakes)
        if block.clause < 0:
            problem = f"{entry.text('id') or 'the block'} stands under no clause"
            todo = "Put it under a heading such as '## 1.2 Title'."
            self._mistakes.add(block.line, problem, "a term restates a numbered clause", todo)
        if written is None or block.clause < 0:
            return None
        for source in written.source:
            line = entry.members["source"].line
            self._mistakes.check_defined(
                line, "source", source.id, self._definitions.names["sources"]
            )
        section = self.document.sections[block.clause]
        return Citation(
            term=written.id,
            amendment=self.amendment,
            document=self.document.name,
            line=block.line,
            source=spelled(written.source, self._definitions.sources),
            text=section.text or section.title,
        )


def _ids_in(block: Block) -> list[tuple[str, int]]:
    """Return the ids, with their lines, that an unreadable block seems to name."""
    lines = enumerate(block.text.split("\n"), start=block.line)
    return [(line.partition(":")[2].strip(), at) for at, line in lines if line.startswith("id:")]
