"""From a folder's texts to an `Agreement`, or to every problem in them at once. Nothing is half-loaded.

read_agreement(documents)      documents: file name → text
  agreement.md                 definitions: parties, clouds, classes, products, rules, readings, figures, sources
  every other *.md with an     an amendment: front matter (id, title, announced, effective, sources), numbered
  `effective` in its front     clauses, and under them `yaml term` and `yaml change` blocks
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, cast

import msgspec

from clauseway.agreement.agreement import Agreement, Amendment, Change, Clause, Commentary, Figure, Reading
from clauseway.agreement.blocks import Entry, Problems, build, compose
from clauseway.agreement.markdown import Block, Document, take_apart
from clauseway.agreement.terms import (
    ANYONE,
    BINDS,
    MILESTONE,
    TERM_KINDS,
    UNLESS,
    Choice,
    Exclusivity,
    Licence,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Term,
)
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.values import Citation, InvalidInput, KnownAt, Problem

DEFINITIONS = "agreement.md"
FACTS = "facts.md"
RULES = ("unstated", "owner", "grant", "share", "licensee")
_STANDINGS = ("reported", "ours")
_DEFINED = (
    "sources",
    "parties",
    "clouds",
    "segments",
    "classes",
    "products",
    "rules",
    "readings",
    "commentary",
    "figures",
)
# Any segment that a question does not name; every agreement has it.
ANY_SEGMENT = "any"


def read_agreement(documents: Mapping[str, str]) -> Agreement:
    """Read an agreement from its documents. Raises InvalidInput with every problem, each with file and line."""
    problems = Problems()
    if DEFINITIONS not in documents:
        raise InvalidInput(
            Problem(
                what=f"{DEFINITIONS} is missing",
                why="it defines the parties, clouds and products that the amendments speak about",
                where=DEFINITIONS,
                todo=f"Add {DEFINITIONS} to the agreement's folder.",
            )
        )
    definitions = _Definitions(take_apart(DEFINITIONS, documents[DEFINITIONS]), problems)
    amendments = [
        amendment
        for name in sorted(documents)
        if name not in (DEFINITIONS, FACTS) and name.endswith(".md")
        and (amendment := _amendment(take_apart(name, documents[name]), definitions, problems)) is not None
    ]  # fmt: skip
    amendments.sort(key=lambda amendment: (amendment.effective, amendment.id))
    _check_amendments(amendments, definitions, problems)
    if problems.found:
        raise InvalidInput(*problems.ordered())
    return definitions.agreement(_hash(documents), tuple(amendments))


def _hash(documents: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(documents):
        if name != FACTS:
            for part in (name.encode(), documents[name].encode("utf-8", "surrogatepass")):
                digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


class _ClassWritten(msgspec.Struct, frozen=True, kw_only=True):
    within: str = ""
    actions: frozenset[str] = frozenset()


class _ProductWritten(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    class_: str = msgspec.field(name="class")
    first_shipped_by: date | None = None


class _ReadingWritten(msgspec.Struct, frozen=True, kw_only=True):
    says: str
    source: tuple[str, ...]
    options: tuple[str, ...]


class _CommentaryWritten(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    says: str
    source: tuple[str, ...]
    bears_on: str
    from_: str = msgspec.field(name="from")


class _FigureWritten(msgspec.Struct, frozen=True, kw_only=True):
    says: str
    value: str
    standing: str
    source: tuple[str, ...]


class _Definitions:
    """What `agreement.md` declares, gathered over its blocks. Each name may be declared once."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self.name = document.name
        self.problems = problems
        self.front = _front(document, ("id", "title"), problems)
        self.entries: dict[str, Entry] = {}
        for block in document.blocks:
            self._gather(block)
        self.sources = self._strings("sources")
        self.clouds = self._strings("clouds")
        self.parties = self._names("parties")
        self.segments = self._names("segments") | {ANY_SEGMENT}
        self.classes = self._structs("classes", _ClassWritten)
        self.products = self._structs("products", _ProductWritten)
        self.rules = self._strings("rules")
        self.readings = self._structs("readings", _ReadingWritten)
        self.commentary = self._structs("commentary", _CommentaryWritten)
        self.figures = self._structs("figures", _FigureWritten)
        self._check()

    def _gather(self, block: Block) -> None:
        if block.kind != "definitions":
            self.problems.add(
                self.name, block.line, f"a {block.kind!r} block in {self.name}", "this file only defines names",
                "Move it to an amendment's file.",
            )  # fmt: skip
            return
        entry = compose(block.text, self.name, block.line, self.problems)
        if entry is None or not isinstance(entry.value, dict):
            return
        for key, member in entry.value.items():
            if key not in _DEFINED or key in self.entries:
                why = "it is defined above" if key in self.entries else "it means nothing here"
                self.problems.add(
                    self.name, member.line, f"cannot define {key!r}", why, f"Known: {', '.join(_DEFINED)}, each once."
                )
            else:
                self.entries[key] = member

    def _mapping(self, key: str) -> dict[str, Entry]:
        entry = self.entries.get(key, Entry({}, 0))
        if isinstance(entry.value, dict):
            return cast("dict[str, Entry]", entry.value)
        self.problems.add(
            self.name, entry.line, f"{key!r} does not fit", "it maps names to values", f"Write {key}: {{name: …}}."
        )
        return {}

    def _strings(self, key: str) -> dict[str, str]:
        found = {}
        for name, member in self._mapping(key).items():
            if isinstance(member.value, str):
                found[name] = member.value
            else:
                self.problems.add(
                    self.name, member.line, f"{key}: {name!r} does not fit", "it is no text", "Write one text."
                )
        return found

    def _names(self, key: str) -> frozenset[str]:
        entry = self.entries.get(key, Entry([], 0))
        if isinstance(entry.value, list) and all(isinstance(item.value, str) for item in entry.value):
            return frozenset(item.value for item in entry.value)
        self.problems.add(
            self.name, entry.line, f"{key!r} does not fit", "it is a list of names", f"Write {key}: [a, b]."
        )
        return frozenset()

    def _structs(self, key: str, kind: type[Any]) -> dict[str, Any]:
        found = {}
        for name, member in self._mapping(key).items():
            if not isinstance(member.value, dict):
                self.problems.add(
                    self.name, member.line, f"{key}: {name!r} does not fit", "it is no mapping", "Write {key: value}."
                )
            elif (built := build(kind, member, self.name, self.problems, {})) is not None:
                found[name] = built
        return found

    def line(self, key: str, name: str) -> int:
        entry = self.entries.get(key)
        member = entry.value.get(name) if entry and isinstance(entry.value, dict) else None
        return member.line if member else 0

    def _check(self) -> None:
        for cloud, operator in self.clouds.items():
            self.known("operator", operator, self.parties, self.line("clouds", cloud))
        for name, written in self.classes.items():
            if written.within:
                self.known("class", written.within, self.classes, self.line("classes", name))
        self._check_cycles()
        for name, written in self.products.items():
            self.known("class", written.class_, self.classes, self.line("products", name))
        for name, written in self.figures.items():
            self.known("standing", written.standing, _STANDINGS, self.line("figures", name))
        for name in RULES:
            if name not in self.rules:
                self.problems.add(
                    self.name,
                    1,
                    f"the rule {name!r} is missing",
                    "silence must be read somehow",
                    f"Write rules: {{{name}: …}}.",
                )
        for key, written_sources in (
            ("readings", self.readings),
            ("commentary", self.commentary),
            ("figures", self.figures),
        ):
            for name, written in written_sources.items():
                for source in written.source:
                    self.known("source", source, self.sources, self.line(key, name))

    def _check_cycles(self) -> None:
        for name in self.classes:
            seen, at = {name}, self.classes[name].within
            while at in self.classes:
                if at in seen:
                    self.problems.add(
                        self.name,
                        self.line("classes", name),
                        f"class {name!r} lies within itself",
                        "classes form a tree",
                        "Break the circle of within:.",
                    )
                    # The look-up of a product's classes would not end; the agreement is refused anyway.
                    self.classes = {**self.classes, name: _ClassWritten()}
                    break
                seen.add(at)
                at = self.classes[at].within

    def known(self, what: str, name: str, known: Iterable[str], line: int, where: str = "") -> None:
        if name not in known:
            self.problems.add(
                where or self.name, line, f"unknown {what} {name!r}", "the agreement does not define it",
                f"Define it in {DEFINITIONS}, or write one of: {', '.join(sorted(known))}.",
            )  # fmt: skip

    def source(self, ids: Iterable[str]) -> str:
        return "; ".join(f"{source} ({self.sources[source]})" if source in self.sources else source for source in ids)

    def cite(self, key: str, name: str, text: str, source: Iterable[str], amendment: str = "") -> Citation:
        return Citation(
            term=name,
            amendment=amendment,
            document=self.name,
            line=self.line(key, name),
            source=self.source(source),
            text=text,
        )

    def catalog(self) -> Catalog:
        return Catalog(
            parties=self.parties,
            clouds=frozenset(self.clouds),
            operators=self.clouds,
            segments=self.segments,
            classes={
                name: ProductClass(id=name, within=written.within, actions=written.actions)
                for name, written in self.classes.items()
            },
            products={
                name: Product(id=name, product_class=written.class_, first_shipped_by=written.first_shipped_by)
                for name, written in self.products.items()
            },
        )

    def agreement(self, hash: str, amendments: tuple[Amendment, ...]) -> Agreement:
        return Agreement(
            id=self.front["id"],
            title=self.front["title"],
            hash=hash,
            catalog=self.catalog(),
            sources=self.sources,
            rules={name: self.cite("rules", name, text, ["ours"], "agreement") for name, text in self.rules.items()},
            readings={
                name: Reading(
                    id=name, options=written.options, citation=self.cite("readings", name, written.says, written.source)
                )
                for name, written in self.readings.items()
            },
            commentary=tuple(
                Commentary(
                    id=name,
                    bears_on=written.bears_on,
                    from_amendment=written.from_,
                    citation=self.cite("commentary", name, written.says, written.source, written.from_),
                )
                for name, written in self.commentary.items()
            ),
            figures={
                name: Figure(
                    id=name,
                    value=written.value,
                    standing=written.standing,
                    citation=self.cite("figures", name, written.says, written.source),
                )
                for name, written in self.figures.items()
            },
            amendments=amendments,
        )


def _front(document: Document, required: Iterable[str], problems: Problems) -> dict[str, str]:
    """The front matter as texts, every required key present (empty, with a problem, where it is not)."""
    entry = compose(document.front, document.name, 2, problems) if document.front else None
    members = entry.value if entry is not None and isinstance(entry.value, dict) else {}
    if not document.front:
        problems.add(
            document.name,
            1,
            "no front matter",
            "the file does not say what it is",
            "Begin it with --- and id:, title: … and ---.",
        )
    found = {}
    for key in required:
        member = members.get(key)
        if member is None and document.front:
            problems.add(
                document.name,
                1,
                f"{key!r} is missing from the front matter",
                "it has no default",
                f"Write {key}: … there.",
            )
        found[key] = str(member.plain()) if member is not None and isinstance(member.value, str) else ""
    return found


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of every term and change beside its own fields."""

    id: str
    source: tuple[str, ...]


class _ChangeWritten(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    ends: tuple[str, ...] = ()
    sets_end: tuple[str, ...] = ()
    until: str = ""
    through: date | None = None
    under: Mapping[str, str] = msgspec.field(default_factory=dict)


def _amendment(document: Document, definitions: _Definitions, problems: Problems) -> Amendment | None:
    name = document.name
    front = _front(document, ("id", "title", "announced", "effective"), problems)
    days = {key: _day(front[key], key, name, problems) for key in ("announced", "effective")}
    announced, effective = days["announced"], days["effective"]
    if announced is None or effective is None:
        return None
    terms: list[Term] = []
    changes: list[Change] = []
    for block in document.blocks:
        _read_block(block, document, front["id"], effective, definitions, terms, changes)
    formalised = {block.clause for block in document.blocks}
    return Amendment(
        id=front["id"],
        title=front["title"],
        document=name,
        announced=announced,
        effective=effective,
        known=KnownAt.recorded_on(announced),
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
        terms=tuple(terms),
        changes=tuple(changes),
    )  # fmt: skip


def _day(text: str, key: str, name: str, problems: Problems) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        if text:
            problems.add(name, 1, f"{key}: {text!r} is no day", str(error), "Write it as YYYY-MM-DD.")
        return None


def _read_block(
    block: Block,
    document: Document,
    amendment: str,
    effective: date,
    definitions: _Definitions,
    terms: list[Term],
    changes: list[Change],
) -> None:
    problems, name = definitions.problems, document.name
    if block.kind not in ("term", "change"):
        problems.add(
            name,
            block.line,
            f"unknown block {block.kind!r}",
            "it means nothing here",
            "Write ```yaml term or ```yaml change.",
        )
        return
    entry = compose(block.text, name, block.line, problems)
    if entry is None:
        return
    if not isinstance(entry.value, dict):
        problems.add(
            name,
            block.line,
            "the block is no mapping",
            "a term is written as keys and values",
            "Write id: … and kind: ….",
        )
        return
    citation = _citation(entry, block, document, amendment, definitions)
    if block.kind == "change":
        written = build(_ChangeWritten, entry, name, problems, {}, ignore=("id", "source"))
        if written is not None and citation is not None:
            fields = {field: getattr(written, field) for field in written.__struct_fields__}
            changes.append(Change(id=citation.term, citation=citation, **fields))
            _check_change(changes[-1], block.line, name, definitions)
        return
    kind = _kind_of(entry, name, problems)
    if kind is None:
        return
    computed: dict[str, Any] = {"citation": citation, "id": citation.term if citation else ""}
    if "begins" not in entry.value:
        computed["begins"] = effective
    term = build(kind, entry, name, problems, computed, ignore=("kind", "source", "id"))
    if term is not None and citation is not None:
        terms.append(term)
        _check_term(term, block.line, name, definitions)


def _kind_of(entry: Entry, name: str, problems: Problems) -> type[Term] | None:
    kind = entry.value.get("kind", Entry("", entry.line))
    if isinstance(kind.value, str) and kind.value in TERM_KINDS:
        return TERM_KINDS[kind.value]
    problems.add(
        name,
        kind.line,
        f"unknown kind of term {kind.plain()!r}",
        "it means nothing here",
        f"Write one of: {', '.join(sorted(TERM_KINDS))}.",
    )
    return None


def _citation(
    entry: Entry, block: Block, document: Document, amendment: str, definitions: _Definitions
) -> Citation | None:
    about = Entry({key: entry.value[key] for key in ("id", "source") if key in entry.value}, entry.line)
    written = build(_Written, about, document.name, definitions.problems, {})
    if written is None:
        return None
    for source in written.source:
        definitions.known("source", source, definitions.sources, block.line, document.name)
    section = document.sections[block.clause] if block.clause >= 0 else None
    if section is None:
        definitions.problems.add(
            document.name, block.line, f"{written.id} stands under no clause", "a term restates a numbered clause",
            "Put it under a heading such as '## 1.2 Title'.",
        )  # fmt: skip
        return None
    return Citation(
        term=written.id,
        amendment=amendment,
        document=document.name,
        line=block.line,
        source=definitions.source(written.source),
        text=section.text or section.title,
    )


def _check_change(change: Change, line: int, name: str, definitions: _Definitions) -> None:
    problems = definitions.problems
    if bool(change.ends) == bool(change.sets_end):
        problems.add(
            name,
            line,
            f"{change.id} changes nothing clear",
            "it either ends terms or sets their end",
            "Write ends: or sets-end:, one of them.",
        )
    if change.sets_end and not change.until and change.through is None:
        problems.add(name, line, f"{change.id} sets no end", "sets-end needs one", "Write until: or through:.")
    _check_timing(change, line, name, definitions)


def _check_timing(timed: Term | Change, line: int, name: str, definitions: _Definitions) -> None:
    problems = definitions.problems
    until: date | None = None
    if timed.until and timed.until != MILESTONE:
        until = _day(timed.until, "until", name, problems)
    if isinstance(timed, Term):
        for end in (until, timed.through):
            if end is not None and end < timed.begins:
                problems.add(
                    name,
                    line,
                    f"{timed.id} ends before it begins",
                    f"{end} lies before {timed.begins}",
                    "Mend one of the two days.",
                )
    for reading, value in timed.under.items():
        definitions.known("reading", reading, definitions.readings, line, name)
        if reading in definitions.readings:
            definitions.known(f"option of {reading}", value, definitions.readings[reading].options, line, name)


def _check_term(term: Term, line: int, name: str, definitions: _Definitions) -> None:
    """Every name that a term uses must be defined."""
    _check_timing(term, line, name, definitions)
    for what, used, known in _names_used(term, definitions):
        for one in sorted(used):
            definitions.known(what, one, known, line, name)
    if isinstance(term, Precedence):
        _check_choice("binds", term.binds, BINDS, line, name, definitions)
        _check_choice("unless", term.unless, UNLESS, line, name, definitions)
    if (
        isinstance(term, Exclusivity)
        and [bool(term.only.clouds), bool(term.only.parties), bool(term.only.licensees)].count(True) != 1
    ):
        definitions.problems.add(
            name,
            line,
            f"{term.id} reserves nothing clear",
            "only: names clouds, parties or licensees",
            "Write one of the three.",
        )


def _names_used(term: Term, definitions: _Definitions) -> list[tuple[str, frozenset[str], Iterable[str]]]:
    parties: frozenset[str] = definitions.parties | ({ANYONE} if isinstance(term, Permission) else set())
    products = frozenset(definitions.products) | frozenset(definitions.classes)
    used: list[tuple[str, frozenset[str], Iterable[str]]] = []
    for field in ("party", "holder", "of", "licensor", "licensee", "payer", "payee", "to"):
        if (value := getattr(term, field, None)) is not None:
            used.append(("party", frozenset({value}), parties))
    scopes: list[Any] = [term]
    if isinstance(term, Exclusivity):
        scopes += [*term.except_, term.only]
        used += [("party", term.only.parties | term.only.licensees, parties)]
    elif isinstance(term, Licence):
        scopes += term.carries
    elif isinstance(term, Precedence):
        used.append(("cloud", frozenset({term.first}), definitions.clouds))
    elif isinstance(term, RefusalRight):
        used.append(("cloud", term.except_clouds, definitions.clouds))
    elif isinstance(term, RevenueShareTerm):
        used.append(("party", term.base.sellers | term.base.wholesale_except, parties))
        used.append(("product", term.base.excludes, products))
        used.append(("figure", frozenset({term.rate} | ({term.cap} if term.cap else set())), definitions.figures))
    actions = {action for written in definitions.classes.values() for action in written.actions}
    for scope in scopes:
        if isinstance(scope, Scope | Term):
            used.append(("product", getattr(scope, "products", frozenset()), products))
            used.append(("action", getattr(scope, "actions", frozenset()), actions))
            used.append(("segment", getattr(scope, "segments", frozenset()), definitions.segments))
        used.append(("cloud", getattr(scope, "clouds", frozenset()), definitions.clouds))
    return used


def _check_choice(
    key: str, choice: Choice, known: frozenset[str], line: int, name: str, definitions: _Definitions
) -> None:
    for value in choice.options.values():
        definitions.known(f"value of {key}", value, known, line, name)
    if choice.reading:
        definitions.known("reading", choice.reading, definitions.readings, line, name)
        if choice.reading in definitions.readings:
            for option in definitions.readings[choice.reading].options:
                if option not in choice.options:
                    definitions.problems.add(
                        name, line, f"{key} says nothing for {choice.reading}={option}", "each option needs a value",
                        f"Write {option}: … there.",
                    )  # fmt: skip


def _check_amendments(amendments: list[Amendment], definitions: _Definitions, problems: Problems) -> None:
    """What only all documents together can show: names used twice, changes of what does not exist, one date twice."""
    if not amendments and not problems.found:
        problems.add(
            DEFINITIONS,
            1,
            "there is no amendment",
            "an agreement without one states nothing",
            "Add a file such as A1.md.",
        )
    documents: dict[str, str] = {}
    days: dict[date, str] = {}
    terms: dict[str, str] = {}
    for amendment in amendments:
        name = amendment.document
        if amendment.id in documents:
            problems.add(
                name,
                1,
                f"amendment {amendment.id!r} stands twice",
                f"{documents[amendment.id]} has that id",
                "Give one of them another id.",
            )
        if amendment.effective in days:
            problems.add(
                name,
                1,
                f"two amendments take effect on {amendment.effective}",
                f"{days[amendment.effective]} does too",
                "Merge them, or mend a date.",
            )
        documents.setdefault(amendment.id, name)
        days.setdefault(amendment.effective, name)
        items: list[Term | Change] = [*amendment.terms, *amendment.changes]
        for item in items:
            if item.id in terms:
                problems.add(
                    name,
                    item.citation.line,
                    f"{item.id!r} stands twice",
                    f"{terms[item.id]} has that id",
                    "Give one of them another id.",
                )
            terms.setdefault(item.id, name)
        earlier = {term.id for other in amendments if other.effective <= amendment.effective for term in other.terms}
        for change in amendment.changes:
            for term_id in (*change.ends, *change.sets_end):
                definitions.known("earlier term", term_id, earlier, change.citation.line, name)
    for name, written in definitions.commentary.items():
        definitions.known("amendment", written.from_, documents, definitions.line("commentary", name))
