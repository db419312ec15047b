"""The library: open an agreement, ask it.

agreement = open_agreement()
decision = agreement.decide(action="serve", party="openai", product="api.stateless", cloud="aws")
print(decision.outcome, decision.reasons[0])
"""

import importlib
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Self, TypeVar, Unpack, cast

import msgspec

from clauseway.agreement import (
    Agreement,
    Fact,
    FactRegister,
    InForce,
    RevenueShare,
    in_force,
    read_facts,
    read_with_facts,
    revenue_shares,
    suppose,
)
from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.offerings import shipped_products
from clauseway.app.opening.places import read_text
from clauseway.catalog import Catalog
from clauseway.decisions import (
    AnsweredStretch,
    AskedAgreement,
    Decision,
    Question,
    Tables,
    ask,
    check_readings,
    decide,
    facts_digest,
)
from clauseway.decisions.parts import BY_NAME, NamesGiven
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_file, is_folder, is_there
from clauseway.values import (
    InvalidInput,
    KnownAt,
    Problem,
    parse_day,
    refuse_any,
    suggestion,
)

# The agreements that ship with the package, by the names that `--agreement` takes beside folders.
SHIPPED = ("anthropic-clouds", "openai-microsoft")
BUILT_IN = "openai-microsoft"
# Brings a database library along: loaded only where a home has a register.
_REGISTER = "clauseway.app.books.register"
# Names of Markdown files elsewhere, and `.md` in capitals.
_MARKDOWN = (".md", ".markdown", ".mdown", ".mkdn", ".mkd", ".mdwn", ".mdx", ".mdtext", ".txt")
PartT = TypeVar("PartT")
_TO_THE_NANOSECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7,9}Z")


class QuestionParts(NamesGiven, total=False):
    """The parts of a question.

    Days may be `date`s or texts (YYYY-MM-DD); `reading` maps names to options.
    """

    as_of: date | str | None
    known_at: KnownAt | date | str | None
    reading: Mapping[str, str] | None


class Askable:
    """An agreement, or several in force at once, to put questions to."""

    __slots__ = ()

    def _ask(
        self,
        *,
        as_of: date,
        known_at: KnownAt,
        readings: Mapping[str, str],
        **named: Unpack[NamesGiven],
    ) -> Question:
        raise NotImplementedError

    def supposing(self, suppositions: Iterable[str]) -> Self:
        """Return these agreements with supposed facts, which count as known.

        Raise InvalidInput naming every bad one.
        """
        raise NotImplementedError

    def answer(self, question: Question) -> Decision:
        """Answer a question that is checked already."""
        raise NotImplementedError

    def question(self, **parts: Unpack[QuestionParts]) -> Question:
        """Return a checked question.

        `as_of` defaults to today (UTC), `known_at` to now. Raise InvalidInput.
        """
        _check_parts(parts)
        wrong = ProblemList()
        today = datetime.now(UTC).date()
        as_of = wrong.tried(lambda: day_given(parts.get("as_of"), "--as-of"), None) or today
        known_at = wrong.tried(lambda: known_point(parts.get("known_at")), KnownAt.everything())
        readings = parts.get("reading") or {}
        named = {name: str(part) for name, part in parts.items() if name in BY_NAME}
        given = cast("NamesGiven", named)
        asked = wrong.tried(
            lambda: self._ask(as_of=as_of, known_at=known_at, readings=readings, **given), None
        )
        wrong.refuse()
        assert asked is not None
        return asked

    def asking(
        self, suppose: Iterable[str], **parts: Unpack[QuestionParts]
    ) -> tuple[Self, Question]:
        """Return these agreements with supposed facts, and a question to them.

        Raise InvalidInput with the problems of both.
        """
        wrong = ProblemList()
        opened = wrong.tried(lambda: self.supposing(suppose), self)
        question = wrong.tried(lambda: self.question(**parts), None)
        wrong.refuse()
        assert question is not None
        return opened, question

    def decide(self, *, suppose: Iterable[str] = (), **parts: Unpack[QuestionParts]) -> Decision:
        """Answer a question, with facts supposed (`milestone=2027-01-01`).

        Its parts are those of `QuestionParts`. Raise InvalidInput with all that is wrong in them,
        and TypeError for a keyword that no question has.

        >>> from clauseway import open_agreement
        >>> decision = open_agreement().decide(
        ...     action="serve", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01"
        ... )
        >>> print(decision.outcome)
        permitted
        """
        opened, question = self.asking(suppose, **parts)
        return opened.answer(question)


def _check_parts(parts: Collection[str]) -> None:
    """Raise TypeError, as for any call in Python, for keywords that no question has and for
    those that it lacks."""
    names = sorted(QuestionParts.__annotations__)
    for name in parts:
        if name not in names:
            remedy = suggestion(name, names)
            raise TypeError(f"a question has no part {name!r}: {remedy}")
    if missing := sorted(QuestionParts.__required_keys__ - set(parts)):
        raise TypeError(f"a question needs {' and '.join(missing)}")


class OpenAgreement(AskedAgreement, Askable, frozen=True):
    """An agreement with its catalog and its register of facts, ready to be asked.

    `documents` are the texts that it was read from, by file name.
    """

    documents: Mapping[str, str] = {}

    def _ask(
        self,
        *,
        as_of: date,
        known_at: KnownAt,
        readings: Mapping[str, str],
        **named: Unpack[NamesGiven],
    ) -> Question:
        return ask(
            self.agreement,
            self.catalog,
            as_of=as_of,
            known_at=known_at,
            readings=readings,
            unnamed=shipped_unless_named(named.get("product", ""), [self.catalog]),
            **named,
        )

    def answer(self, question: Question) -> Decision:
        """Answer a question that is checked already."""
        return decide(self.agreement, self.catalog, self.facts, question)

    def timeline(self, question: Question) -> tuple[AnsweredStretch, ...]:
        """Return the answers to a question over all days, as known at its `known_at`."""
        [stretches] = self.timelines([question])
        return stretches

    def timelines(self, questions: Iterable[Question]) -> list[tuple[AnsweredStretch, ...]]:
        """Return the `timeline` of each question."""
        tables = Tables(self.agreement, self.catalog, self.facts)
        return [tables.timeline(question) for question in questions]

    def in_force(
        self,
        as_of: date | str | None = None,
        known_at: KnownAt | date | str | None = None,
        reading: Mapping[str, str] | None = None,
    ) -> InForce:
        """Return the terms and their states on a day."""
        point = known_point(known_at)
        readings = check_readings(self.agreement, reading or {})
        day = day_given(as_of, "--as-of") or datetime.now(UTC).date()
        return in_force(self.agreement, self.facts.known(point), day, point, readings)

    def revenue_shares(
        self, known_at: KnownAt | date | str | None = None, reading: Mapping[str, str] | None = None
    ) -> list[RevenueShare]:
        """Return every revenue share the agreement makes due, with its days."""
        point = known_point(known_at)
        readings = check_readings(self.agreement, reading or {})
        return revenue_shares(self.agreement, self.facts.known(point), point, readings)

    def facts_digest(self, known_at: KnownAt) -> str:
        """Return the hash of the facts known at a point, as receipts name it."""
        return facts_digest(self.facts.known(known_at))

    def supposing(self, suppositions: Iterable[str]) -> Self:
        """Return the same agreement with supposed facts, which count as known.

        Raise InvalidInput naming every bad one.
        """
        wrong = ProblemList()
        read = partial(suppose, catalog=self.catalog, events=self.agreement.events)
        supposed = [wrong.tried(partial(read, text), None) for text in suppositions]
        facts = [fact for fact in supposed if fact is not None]
        wrong.problems += _contradictions(facts, "--suppose", "Suppose one of the two.")
        wrong.refuse()
        return msgspec.structs.replace(self, facts=self.facts.with_facts(facts))

    def with_facts_from(self, path: Path) -> "OpenAgreement":
        """Return the same agreement with the facts of a file (Markdown with `yaml facts` blocks,
        or a YAML list)."""
        register, catalog = read_facts(
            str(path), read_text(path), self.catalog, self.agreement.events
        )
        facts = self.facts.with_facts(register.facts)
        refuse_any(
            _contradictions(
                facts.facts, str(path), "Say which was wrong, by corrects: and its name."
            )
        )
        return msgspec.structs.replace(self, catalog=catalog, facts=facts)


def shipped_unless_named(product: str, catalogs: Iterable[Catalog]) -> frozenset[str]:
    """Return the products of the shipped catalogue, to be asked about without an agreement's word.

    Empty where a catalog names the question's product: then the shipped one is not read.
    """
    if not product or any(catalog.names_product(product) for catalog in catalogs):
        return frozenset()
    return shipped_products()


def _contradictions(facts: Iterable[Fact], where: str, remedy: str) -> list[Problem]:
    """Return a problem for each pair of facts that contradict each other."""
    return [
        Problem(
            what=f"{fact.name} contradicts {earlier.name}",
            why=f"they say otherwise of the same day: {earlier.citation.text}",
            where=where,
            remedy=remedy,
        )
        for earlier, fact in FactRegister(tuple(facts)).contradictions()
    ]


class ProblemList:
    """The problems of a question, gathered from its parts, so that all are reported at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def tried(self, read: Callable[[], PartT], otherwise: PartT) -> PartT:
        try:
            return read()
        except InvalidInput as error:
            self.problems += error.problems
            return otherwise

    def refuse(self) -> None:
        refuse_any(self.problems)


def open_agreement(
    folder: Path | str | None = None, *, home: Path | str | None = None
) -> OpenAgreement:
    """Open an agreement: its folder, or the name of one that ships; by default the built-in
    partnership.

    With a home, what was recorded there is open too. Raise InvalidInput with every problem in the
    agreement and in its own facts.

    >>> from clauseway import open_agreement
    >>> agreement = open_agreement()
    >>> for share in agreement.revenue_shares(known_at="2026-06-30"):
    ...     print(share.term, share.payer, share.payee, share.begin, share.end)
    A1.share-microsoft-openai microsoft openai 2023-01-23 2026-04-27
    A1.share-openai-microsoft openai microsoft 2023-01-23 2026-04-27
    A5.share-openai-microsoft openai microsoft 2026-04-27 2031-01-01
    """
    opened = agreement_of(documents_of(folder))
    return opened if home is None else with_recorded(opened, home_at(home))


def agreement_of(documents: Mapping[str, str]) -> OpenAgreement:
    """Open an agreement from its texts. Raise InvalidInput with every problem in them."""
    return OpenAgreement(*_read(tuple(documents.items())), documents)


# Pages, replicas and settlements open the same texts again and again; most of the time goes to YAML.
@lru_cache(maxsize=8)
def _read(documents: tuple[tuple[str, str], ...]) -> tuple[Agreement, Catalog, FactRegister]:
    return read_with_facts(dict(documents))


def documents_of(folder: Path | str | None) -> dict[str, str]:
    """Return the texts of an agreement by file name: of a folder, or of one that ships, by its
    name.

    A folder goes before a shipped agreement of its name. Raise InvalidInput.
    """
    if folder is None:
        return built_in_documents(BUILT_IN)
    path = Path(folder)
    if str(path) in SHIPPED and not is_there(path):
        return built_in_documents(str(path))
    return _documents(path)


def with_recorded(opened: OpenAgreement, home: Home) -> OpenAgreement:
    """Return the agreement with the facts recorded in a home, where it has any."""
    if not home.is_begun:
        return opened
    recorded: OpenAgreement = importlib.import_module(_REGISTER).with_register(opened, home)
    return recorded


def built_in_documents(name: str) -> dict[str, str]:
    """Return the texts of an agreement that ships with the package, by file name."""
    folder = resources.files("clauseway.agreement") / "builtin" / name
    return {
        entry.name: entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".md")
    }


def require_folder(folder: Path, or_another: str = "") -> None:
    """Raise InvalidInput where a path is not a folder; `or_another` ends the remedy."""
    if not is_folder(folder):
        raise InvalidInput.of(
            what="not a folder" if is_there(folder) else "no such folder",
            why="an agreement is a folder of Markdown files",
            where=str(folder),
            remedy=f"Name the folder that holds agreement.md and the amendments{or_another}.",
        )


def _documents(folder: Path) -> dict[str, str]:
    require_folder(folder, f", or an agreement that ships: {' or '.join(SHIPPED)}")
    wrong = ProblemList()
    paths = list_folder(folder, "*.md")
    documents = {path.name: wrong.tried(partial(_document, path), "") for path in paths}
    wrong.problems += [
        _unread_document(folder / name) for name in unread(folder) if _is_markdown(name)
    ]
    wrong.refuse()
    return documents


def unread(folder: Path) -> list[str]:
    """Return the names in an agreement's folder that are not read: whatever does not end in `.md`.

    Hidden ones are left out unless they look like a document.
    """
    names = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".md"))
    return [name for name in names if not name.startswith(".") or _is_markdown(name)]


def _is_markdown(name: str) -> bool:
    """Return whether an author would take the file for a document of the agreement."""
    return name.casefold().endswith(_MARKDOWN)


def _unread_document(path: Path) -> Problem:
    return Problem(
        what=f"{path.name} would not be read",
        why="the documents of an agreement are the files whose names end in .md, in small letters",
        where=str(path),
        remedy=f"Rename it to {path.name.rpartition('.')[0]}.md, or move it out of the folder.",
    )


def _document(path: Path) -> str:
    """Return a document's text.

    Raise InvalidInput for a folder, a pipe or a device: reading one may never end.
    """
    if is_there(path) and not is_file(path):
        why = "it is a folder, a pipe or a device"
        remedy = "Put a plain file there, or move it out of the folder."
        raise InvalidInput.of(what="it is not a document", why=why, where=str(path), remedy=remedy)
    return read_text(path)


def readings_of(given: Iterable[str] | None) -> dict[str, str]:
    """`R1=or` items as a mapping.

    Raise InvalidInput for what has no equals sign, and for a reading given twice.
    """
    return chosen_by_name(given, "--reading", "a reading", "Write NAME=OPTION, as R1=or.")


def chosen_by_name(
    given: Iterable[str] | None, flag: str, kind: str, remedy: str
) -> dict[str, str]:
    """`NAME=OPTION` items as a mapping.

    Raise InvalidInput for what has no equals sign, and for two options of one.
    """
    items = list(given or ())
    problems = [
        Problem(what=f"{item!r} is not {kind}", why="it names no option", where=flag, remedy=remedy)
        for item in items
        if "=" not in item
    ]
    chosen: dict[str, str] = {}
    for name, equals, option in (item.partition("=") for item in items):
        # The same option twice is no contradiction.
        if equals and chosen.setdefault(name, option) != option:
            problem, why = f"{name} is given twice", f"as {chosen[name]}, and then as {option}"
            problems.append(
                Problem(
                    what=problem, why=why, where=f"{flag} {name}", remedy="Choose one of the two."
                )
            )
    refuse_any(problems)
    return chosen


def day_given(day: date | str | None, where: str) -> date | None:
    return parse_day(day, where) if isinstance(day, str) else day


def known_point(known_at: KnownAt | date | str | None) -> KnownAt:
    """Return a point of knowledge: now by default; a day includes the whole of it; text may be a
    day or an instant (UTC)."""
    if known_at is None:
        return KnownAt(time.time_ns())
    if isinstance(known_at, KnownAt):
        return known_at
    # A day has ten characters; whatever is longer is an instant.
    if isinstance(known_at, str) and len(known_at) > 10:
        return _instant(known_at)
    day = day_given(known_at, "--known-at")
    assert day is not None
    return KnownAt.end_of(day)


def _instant(text: str) -> KnownAt:
    try:
        # Instants that the program prints have nanoseconds, which `datetime` would cut off.
        if _TO_THE_NANOSECOND.fullmatch(text):
            return KnownAt.parse(text)
        instant = datetime.fromisoformat(text)
        # A time without an offset is UTC; with one it may still leave the years that there are.
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.of(
            what=f"{text!r} is no instant",
            why=str(error),
            where="--known-at",
            remedy="Write a day (2026-04-27) or an instant (2026-04-27T12:00:00Z).",
        ) from None
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return KnownAt(
        (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    )
